package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"strongroom/internal/access"
	"strongroom/internal/access/profile"
	"strongroom/internal/safe"
	"strongroom/internal/store/blob"
	"strongroom/internal/store/catalog"
	"strongroom/internal/store/layout"
	"strongroom/internal/store/seal"
	"strongroom/internal/ui"
)

// roleKeys are the flags with which both role keys are given: as themselves,
// or as the personal keys of two people, which open their copies of them.
type roleKeys struct{ outerFile, innerFile string }

func (k *roleKeys) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&k.outerFile, "outer-key", "", "`file` with the keykeepers' role key, or with the personal key of one of them")
	cmd.Flags().StringVar(&k.innerFile, "inner-key", "", "`file` with the operators' role key, or with the personal key of one of them")
}

// given refuses if there are not both; one is not enough.
func (k *roleKeys) given() error {
	if k.outerFile == "" || k.innerFile == "" {
		return &ui.UsageError{Problem: "reading takes two keys, the keykeepers' and the operators'",
			Remedy: "Give both: --outer-key FILE --inner-key FILE"}
	}
	return nil
}

// A keyFile is what a file says that its key is. A key without a comment, as
// it is typed in from paper, may be each of them.
type keyFile struct {
	outer    *seal.OuterIdentity
	inner    *seal.InnerIdentity
	personal *seal.PersonalIdentity
}

func readKeyFile(a *app, file string) (k keyFile, err error) {
	if k.personal, err = readLocked(a, file); k.personal != nil || err != nil {
		return k, err
	}
	outer, err := readKey(file, seal.ReadOuterIdentity)
	if err == nil {
		k.outer = &outer
	}
	if inner, err := readKey(file, seal.ReadInnerIdentity); err == nil {
		k.inner = &inner
	}
	if personal, err := readKey(file, seal.ReadPersonalIdentity); err == nil {
		k.personal = &personal
	}
	if k != (keyFile{}) {
		err = nil
	}
	return k, err
}

// readLocked reads a personal key behind a passphrase. It returns nil if the
// file is not one.
func readLocked(a *app, file string) (*seal.PersonalIdentity, error) {
	b, err := os.ReadFile(file)
	if err != nil || !bytes.HasPrefix(b, []byte("-----BEGIN AGE ENCRYPTED FILE-----")) {
		return nil, err
	}
	var personal seal.PersonalIdentity
	err = a.attempt("Passphrase of "+file+":", "Give the same key as it stands on paper.", seal.ErrPassphrase, func(phrase string) (err error) {
		personal, err = seal.OpenLocked(bytes.NewReader(b), phrase)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return &personal, nil
}

// open reads both files. The copies that personal keys open are in the
// rosters, which are given newest first.
func (k *roleKeys) open(a *app, rosters []access.Roster) ([]seal.OuterIdentity, []seal.InnerIdentity, error) {
	outer, err := readKeyFile(a, k.outerFile)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the outer key: %w", err)
	}
	inner, err := readKeyFile(a, k.innerFile)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the inner key: %w", err)
	}
	outerHolder, innerHolder := findHolder(outer, rosters), findHolder(inner, rosters)
	if err := k.explain(outer, inner, outerHolder, innerHolder); err != nil {
		return nil, nil, err
	}
	outerHolder.tell(a.talk())
	innerHolder.tell(a.talk())
	return outerHolder.openOuter(a, outer), innerHolder.openInner(a, inner), nil
}

// A holder is the person whose key it is, in the newest version of the roster
// that knows the key. The zero value is nobody.
type holder struct {
	name   safe.PersonName
	roster *access.Roster
}

func findHolder(k keyFile, rosters []access.Roster) holder {
	if k.personal == nil {
		return holder{}
	}
	for i, r := range rosters {
		for _, p := range r.People {
			if p.Key == k.personal.Recipient() {
				return holder{p.Name, &rosters[i]}
			}
		}
	}
	return holder{}
}

func (h holder) keepsOuter() bool { return h.roster != nil && len(h.roster.OuterFor(h.name)) > 0 }
func (h holder) keepsInner() bool { return h.roster != nil && len(h.roster.InnerFor(h.name)) > 0 }

// openOuter returns the role key, or those of all periods whose copies the
// holder's key opens.
func (h holder) openOuter(a *app, k keyFile) (all []seal.OuterIdentity) {
	if h.roster == nil {
		return []seal.OuterIdentity{*k.outer}
	}
	keys, err := profile.OuterKeys(*h.roster, h.name, *k.personal)
	h.warn(a.talk(), err)
	for _, key := range keys {
		all = append(all, key.Key)
	}
	return all
}

// openInner is openOuter for the inner key.
func (h holder) openInner(a *app, k keyFile) (all []seal.InnerIdentity) {
	if h.roster == nil {
		return []seal.InnerIdentity{*k.inner}
	}
	keys, err := profile.InnerKeys(*h.roster, h.name, *k.personal)
	h.warn(a.talk(), err)
	for _, key := range keys {
		all = append(all, key.Key)
	}
	return all
}

// tell says whose copies are used; nothing of nobody's.
func (h holder) tell(t *ui.Terminal) {
	if h.roster != nil {
		t.Note("The copies of the role key are those of %s in version %d of the roster.", h.name, h.roster.Number)
	}
}

// warn tells of copies that do not open, if there are any. Those of other
// periods may be all that is needed.
func (h holder) warn(t *ui.Terminal, failed error) {
	if failed != nil {
		t.Warn("of the copies of %s some do not open: %v", h.name, failed)
	}
}

// explain says what is wrong with the keys given, if anything is.
func (k *roleKeys) explain(outer, inner keyFile, outerHolder, innerHolder holder) error {
	outerFits, innerFits := outer.outer != nil, inner.inner != nil
	if outerHolder.roster != nil {
		outerFits = outerHolder.keepsOuter()
	}
	if innerHolder.roster != nil {
		innerFits = innerHolder.keepsInner()
	}
	if outerFits && innerFits {
		return nil
	}
	outerIsInner, innerIsOuter := outer.inner != nil || outerHolder.keepsInner(), inner.outer != nil || innerHolder.keepsOuter()
	switch {
	case !outerFits && !innerFits && outerIsInner && innerIsOuter:
		return &ui.UsageError{Problem: fmt.Sprintf("the keys are swapped: %s is the inner key, %s the outer one", k.outerFile, k.innerFile),
			Remedy: fmt.Sprintf("Give them as --outer-key %s --inner-key %s", k.innerFile, k.outerFile)}
	case !outerFits && outerHolder.roster != nil:
		return notHeld("outer", k.outerFile, outerHolder, "a keykeeper")
	case !innerFits && innerHolder.roster != nil:
		return notHeld("inner", k.innerFile, innerHolder, "an operator")
	case !outerFits && outer.inner != nil:
		return &ui.UsageError{Problem: k.outerFile + " is the inner key, which the operators hold", Remedy: "--outer-key takes the other one, which the keykeepers hold."}
	case !innerFits && inner.outer != nil:
		return &ui.UsageError{Problem: k.innerFile + " is the outer key, which the keykeepers hold", Remedy: "--inner-key takes the other one, which the operators hold."}
	case !outerFits:
		return unknownKey(k.outerFile)
	default:
		return unknownKey(k.innerFile)
	}
}

func notHeld(flag, file string, h holder, who string) error {
	return &ui.UsageError{Problem: fmt.Sprintf("%s is the personal key of %s, who has no copy of the %s role key", file, h.name, flag),
		Remedy: fmt.Sprintf("--%s-key takes the key of %s.", flag, who)}
}

func unknownKey(file string) error {
	return refusedError{ui.WithRemedy(fmt.Errorf("%s is a personal key that stands in no version of the roster in this store", file),
		"It may be of another safe, or the roster be lost: then the role key itself is needed.")}
}

// warn tells of keys that others on this machine can read.
func (k *roleKeys) warn(t *ui.Terminal) {
	for _, file := range []string{k.outerFile, k.innerFile} {
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 {
			t.Warn("others on this machine can read the key in %s (mode %04o): chmod 0400 it", file, info.Mode().Perm())
		}
	}
}

// readRosters returns the versions of the roster that the ledger vouches for,
// newest first, and those that are lost. Without a catalog it is all that is
// there: who forges one can seal to people what they like, and read nothing.
func readRosters(ctx context.Context, r blob.Reader, c *catalog.Catalog) (rosters []access.Roster, lost error) {
	numbers, err := rosterNumbers(ctx, r, c)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, n := range numbers {
		var roster access.Roster
		good := func(b []byte) (err error) {
			if c != nil && safe.DigestOf(b) != c.Rosters[n] {
				return errors.New("it is not the roster that the ledger recorded")
			}
			roster, err = access.ParseRoster(b)
			return err
		}
		name := layout.Roster(int(n))
		if _, err := blob.ReadEither(ctx, r, access.MaxRoster, good, name, layout.Copy(name)); err != nil {
			errs = append(errs, err)
			continue
		}
		rosters = append(rosters, roster)
	}
	return rosters, errors.Join(errs...)
}

// rosterNumbers returns the numbers of the rosters, the greatest first.
func rosterNumbers(ctx context.Context, r blob.Reader, c *catalog.Catalog) ([]int64, error) {
	known := make(map[int64]bool)
	if c != nil {
		for n := range c.Rosters {
			known[n] = true
		}
	} else {
		for info, err := range r.List(ctx, "roster/") {
			var nameErr *blob.NameError
			if errors.As(err, &nameErr) {
				continue // not an object
			}
			if err != nil {
				return nil, fmt.Errorf("listing the rosters: %w", err)
			}
			if n := layout.Parse(info.Name); n.Kind == layout.RosterObject {
				known[n.Number] = true
			}
		}
	}
	numbers := slices.Sorted(maps.Keys(known))
	slices.Reverse(numbers)
	return numbers, nil
}
