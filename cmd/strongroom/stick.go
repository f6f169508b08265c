package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"strongroom/docs"
	"strongroom/internal/access"
	"strongroom/internal/access/profile"
	"strongroom/internal/access/review"
	"strongroom/internal/safe"
	"strongroom/internal/safe/words"
	"strongroom/internal/ui"
)

// A stick is a folder that is made into a recovery stick.
type stick struct {
	*app
	dir                           string
	age, ageSource, zstd, replica string

	written []string // with their digests, as sha256sum -c reads them
	missing []string
}

func (a *app) stickCommand() *cobra.Command {
	s := &stick{app: a}
	cmd := &cobra.Command{
		Use:   "stick FOLDER",
		Short: "Write what a restore takes without the safe onto a recovery stick",
		Long: `Write into an empty folder, of a USB stick as a rule, what a restore takes if
the safe is gone or not to be trusted: this program, age and zstd with which
anybody can restore by hand, the guide for that, the format, and what this
machine knows of the safe: the roster and its words, the ledger's key and newest
checkpoint.

No key is on it, so it may be found: keys come from your paper page. Nobody
should run a program that the safe gave them; take this one from here.`,
		Example: `  strongroom stick /media/stick/acme
  strongroom stick /media/stick/acme --age ~/age/age --age-source age.tar.gz`,
		Args: args(1, 1, "one folder"),
		RunE: func(_ *cobra.Command, given []string) error {
			s.dir = given[0]
			return s.run()
		},
	}
	f := cmd.Flags()
	f.StringVar(&s.age, "age", "", "`file` of the program age, 1.3 or newer (default: the one in PATH)")
	f.StringVar(&s.ageSource, "age-source", "", "`file` with the source of age")
	f.StringVar(&s.zstd, "zstd", "", "`file` of the program zstd (default: the one in PATH)")
	f.StringVar(&s.replica, "replica", "", "`file` with the read-only credential of a replica")
	return cmd
}

func (s *stick) run() error {
	p, err := s.openPerson()
	if err != nil {
		return err
	}
	defer p.Close()
	everyone, err := p.client.People(s.stop, 0) // all links, as they go onto the stick
	if err != nil {
		return explainCall(err)
	}
	roster, err := p.profile.Follow(everyone)
	if err != nil {
		return explainTrust(err)
	}
	if !roster.Founded() {
		return refusedError{ui.WithRemedy(errors.New("the safe is not founded, so there is no roster for a stick"), "Found it: strongroom people add")}
	}
	head, err := p.head(s.stop, roster)
	if err != nil {
		return err
	}
	if err := s.begin(); err != nil {
		return err
	}
	for _, step := range []func() error{
		s.programs,
		func() error { return s.known(p.profile, roster, everyone.Links, head) },
		func() error { return s.documents(p.profile) },
		s.finish,
	} {
		if err := step(); err != nil {
			return fmt.Errorf("the stick in %s is not complete: %w", s.dir, err)
		}
	}
	return nil
}

// head fetches the newest checkpoint of the ledger, verifies it against the
// one that this machine remembers, and remembers it.
func (p *person) head(ctx context.Context, roster access.Roster) ([]byte, error) {
	known := recall(p.profile.Store)
	head, err := p.client.Head(ctx, known.size())
	if err != nil {
		return nil, explainCall(err)
	}
	c, err := review.Head(head, known.newest(), roster.LedgerKeys)
	if err == nil && c.Store != roster.Store {
		err = fmt.Errorf("the ledger is that of store %s, not of %s", c.Store, roster.Store)
	}
	if err != nil {
		return nil, refusedError{ui.WithRemedy(err, "Tell the other people: the safe shows something that does not hold.")}
	}
	if err := known.keep(c, roster.LedgerKeys, head.Checkpoint); err != nil {
		p.talk().Note("The newest checkpoint could not be remembered: %v", err)
	}
	return head.Checkpoint, nil
}

// begin makes the folder, which must be empty.
func (s *stick) begin() error {
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return err
	}
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	// A filesystem of its own may have its lost+found.
	entries = slices.DeleteFunc(entries, func(e os.DirEntry) bool { return e.Name() == "lost+found" })
	if len(entries) > 0 {
		return refusedError{ui.WithRemedy(fmt.Errorf("%s is not empty", s.dir), "Name a new folder: nothing is written over.")}
	}
	return nil
}

// write writes a file of the stick, and reads it back for the manifest, since
// what counts is what is on the stick.
func (s *stick) write(name string, from io.Reader, mode os.FileMode) error {
	file := filepath.Join(s.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	err := writeNew(file, mode, func(w io.Writer) error {
		_, err := io.Copy(w, from)
		return err
	})
	if err != nil {
		return err
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	s.written = append(s.written, fmt.Sprintf("%s  %s\n", safe.DigestOf(b), name))
	return nil
}

func (s *stick) copy(name, file string, mode os.FileMode) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close() // nothing was written
	return s.write(name, f, mode)
}

// programs copies this program and those with which one restores by hand.
func (s *stick) programs() error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	if err := s.copy("bin/strongroom", self, 0o555); err != nil {
		return err
	}
	for _, program := range [][2]string{{"age", s.age}, {"zstd", s.zstd}} {
		name, file := program[0], program[1]
		if file == "" {
			if file, err = exec.LookPath(name); err != nil {
				s.missing = append(s.missing, fmt.Sprintf("the program %s, for restoring by hand: --%s FILE", name, name))
				continue
			}
		}
		if err := s.copy("bin/"+name, file, 0o555); err != nil {
			return err
		}
	}
	if s.ageSource == "" {
		s.missing = append(s.missing, "the source of age, for machines of another kind: --age-source FILE")
	} else if err := s.copy("source/"+filepath.Base(s.ageSource), s.ageSource, 0o444); err != nil {
		return err
	}
	if s.replica == "" {
		s.missing = append(s.missing, "the credential of a replica, if the safe has one: --replica FILE")
		return nil
	}
	return s.copy("replica/"+filepath.Base(s.replica), s.replica, 0o400)
}

// known writes what this machine has verified of the safe.
func (s *stick) known(p *profile.Profile, roster access.Roster, links []access.Link, head []byte) error {
	var keys bytes.Buffer
	for _, k := range roster.LedgerKeys {
		fmt.Fprintln(&keys, k)
	}
	wordsOf := fmt.Sprintf("Version %d of the roster, which this machine has pinned:\n  %s\nVersion %d, the newest:\n  %s\n",
		p.Pin.Number, words.Of(p.Pin.Digest), roster.Number, words.Of(roster.Digest()))
	err := errors.Join(
		s.write("known/checkpoint", bytes.NewReader(head), 0o444),
		s.write("known/ledger-keys", &keys, 0o444),
		s.write("known/words.txt", strings.NewReader(wordsOf), 0o444))
	if err != nil {
		return err
	}
	return s.rosters(roster, links)
}

// rosters writes the versions of the roster back to the one that founded the
// safe. Each names the digest of the one before, and the last is verified.
func (s *stick) rosters(roster access.Roster, links []access.Link) error {
	want := roster.Digest()
	for _, link := range slices.Backward(links) {
		if safe.DigestOf(link.Roster) != want {
			return refusedError{errors.New("the safe shows other old versions of the roster than those that the newest follows from")}
		}
		r, err := access.ParseRoster(link.Roster)
		if err != nil {
			return err
		}
		if err := s.write(fmt.Sprintf("known/roster/%d.json", r.Number), bytes.NewReader(link.Roster), 0o444); err != nil {
			return err
		}
		want = r.Previous
	}
	return nil
}

// documents writes the guide, and the README with its steps.
func (s *stick) documents(p *profile.Profile) error {
	slices.Sort(s.missing)
	var readme strings.Builder
	fmt.Fprintf(&readme, stickReadme, p.Safe, p.Store, s.now().UTC().Format("2 January 2006"), p.Person, version, runtime.GOOS, runtime.GOARCH)
	if len(s.missing) > 0 {
		readme.WriteString("\nNot on this stick:\n")
		for _, m := range s.missing {
			fmt.Fprintf(&readme, "- %s\n", m)
		}
	}
	return errors.Join(
		s.write("restore-by-hand.md", strings.NewReader(docs.RestoreByHand), 0o444),
		s.write("restore-by-hand.sh", strings.NewReader(docs.RestoreScript), 0o555),
		s.write("format.md", strings.NewReader(docs.Format), 0o444),
		s.write("README", strings.NewReader(readme.String()), 0o444))
}

// stickReadme is for somebody who has found the stick in a drawer, years
// later.
const stickReadme = `Recovery stick of the safe %s
Store %s. Made on %s by %s, with strongroom %s for %s on %s.

There is no key on this stick. A restore takes the store, or a copy of it, and
two keys from paper pages: that of the keykeepers and that of the operators, or
the personal keys of a keykeeper and an operator.

1. See that nothing was changed:        sha256sum -c MANIFEST
   Compare the SHA-256 of bin/strongroom with the one in a mail of the safe.
2. Type each key from its page into a file of its own: outer.key, inner.key.
3. See what there is, with the ledger's key from known/ledger-keys:
       bin/strongroom snapshots --store COPY --ledger-key KEY \
           --checkpoint known/checkpoint
4. Restore:
       bin/strongroom restore SNAPSHOT --to FOLDER --store COPY \
           --ledger-key KEY --checkpoint known/checkpoint \
           --outer-key outer.key --inner-key inner.key

Without this program: restore-by-hand.md, with bin/age and bin/zstd. Then it
takes the role keys; a person's copy of one, in known/roster, is an age file that
the personal key opens. The format is in format.md.
`

// finish writes the manifest and tells what is missing.
func (s *stick) finish() error {
	manifest := strings.Join(s.written, "")
	if err := s.write("MANIFEST", strings.NewReader(manifest), 0o444); err != nil {
		return err
	}
	t := s.talk()
	t.Printf("The stick is in %s: %s. Its manifest has the SHA-256\n  %s", s.dir, plural(int64(len(s.written)), "file", "files"), safe.DigestOf([]byte(manifest)))
	for _, m := range s.missing {
		t.Warn("not on the stick: %s", m)
	}
	t.Note("Keep it apart from the paper keys, and make a new one when the roster changes.")
	t.Emit("stick", map[string]any{"folder": s.dir, "files": len(s.written), "manifest": safe.DigestOf([]byte(manifest)), "missing": s.missing})
	return nil
}
