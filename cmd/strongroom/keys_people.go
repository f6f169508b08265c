package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"strongroom/internal/access"
	"strongroom/internal/access/api"
	"strongroom/internal/access/compose"
	"strongroom/internal/access/opening"
	"strongroom/internal/access/profile"
	"strongroom/internal/store/seal"
	"strongroom/internal/ui"
)

// typedKey reads a private key as a person brings it back from paper: from a
// file, or from the terminal or the pipe for "-". A key alone may have blanks
// and line breaks in it, and be in lower case.
func (a *app) typedKey(file, what string) ([]byte, error) {
	if file != "-" {
		b, err := os.ReadFile(file)
		return joinKey(b), err
	}
	if f, ok := a.stdin.(*os.File); ok && isTerminal(f) {
		s, err := a.talk().AskLine(a.stop, what+", in one line:", "Write it into a file, and name that.")
		return joinKey([]byte(s)), err
	}
	b, err := io.ReadAll(io.LimitReader(a.stdin, maxTyped))
	return joinKey(b), err
}

// maxTyped bounds what is read as a key: it has a line, a key file three.
const maxTyped = 64 << 10

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// joinKey puts the rows of a typed key together. A file with comments is a key
// file and stays as it is.
func joinKey(b []byte) []byte {
	if bytes.ContainsRune(b, '#') {
		return b
	}
	return []byte(strings.ToUpper(strings.Join(strings.Fields(string(b)), "")) + "\n")
}

// explainTyped says what to do about a key that was not taken.
func explainTyped(err error) error {
	return ui.WithRemedy(err, "Compare it with the page, row by row: the program that reads it takes no key with a wrong character.")
}

// paperRing finds out what a typed key is and opens what it opens: a role key
// of a period, or a personal key of somebody in the roster.
func paperRing(roster access.Roster, key []byte) (compose.Keyring, error) {
	var ring compose.Keyring
	outer, outerErr := seal.ReadOuterIdentity(bytes.NewReader(key))
	inner, innerErr := seal.ReadInnerIdentity(bytes.NewReader(key))
	personal, personalErr := seal.ReadPersonalIdentity(bytes.NewReader(key))
	if outerErr != nil && innerErr != nil && personalErr != nil {
		return ring, explainTyped(outerErr)
	}
	for i, period := range roster.Periods {
		if outerErr == nil && outer.Recipient() == period.Outer {
			ring.Outer = append(ring.Outer, profile.OuterKey{Period: i + 1, Key: outer})
		}
		if innerErr == nil && inner.Recipient() == period.Inner {
			ring.Inner = append(ring.Inner, profile.InnerKey{Period: i + 1, Key: inner})
		}
	}
	if len(ring.Outer) > 0 || len(ring.Inner) > 0 {
		return ring, nil
	}
	for _, p := range roster.People {
		if personalErr != nil || p.Key != personal.Recipient() {
			continue
		}
		return ringOf(roster, p.Name, personal)
	}
	return ring, refusedError{ui.WithRemedy(errors.New("it is a sound key, and neither a role key of this safe nor a personal key of somebody in its roster"),
		"Is it the page of another safe, or of a key that was replaced?")}
}

func (a *app) keysCheckCommand() *cobra.Command {
	var paper string
	phrase := &passphrase{}
	cmd := &cobra.Command{
		Use:   "check [--paper FILE]",
		Short: "Prove that your keys, or those on paper, still open something",
		Long: `Prove that you can open the role key of each period: the safe seals a number to
it, and this machine sends the number back. Neither the role key nor yours
leaves this machine. It is recorded in the ledger; "people list" names keys that
were not proven in 60 days, since lost keys are the usual death of such schemes.

With --paper it proves the key of a paper page, a role key or a personal one,
that was typed or scanned into a file, or is typed now (-).`,
		Example: `  strongroom keys check
  strongroom keys check --paper -`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			p, err := a.openPerson()
			if err != nil {
				return err
			}
			defer p.Close()
			everyone, roster, err := p.people(a.stop)
			if err != nil {
				return err
			}
			ring, lost, err := a.ringToCheck(p, everyone, roster, paper, phrase)
			if err != nil {
				return err
			}
			return errors.Join(p.prove(ring, paper != ""), lost)
		},
	}
	cmd.Flags().StringVar(&paper, "paper", "", "`file` with a key from paper, or - to type it")
	phrase.register(cmd)
	return cmd
}

// ringToCheck opens what is to be proven. lost is about copies that do not
// open, beside which others do.
func (a *app) ringToCheck(p *person, everyone api.Everyone, roster access.Roster, paper string, phrase *passphrase) (ring compose.Keyring, lost, err error) {
	if paper != "" {
		key, err := a.typedKey(paper, "The key from the page")
		if err != nil {
			return ring, nil, err
		}
		ring, err = paperRing(roster, key)
		return ring, nil, err
	}
	if _, err := p.own(everyone, roster); err != nil {
		return ring, nil, err
	}
	personal, err := a.unlock(p.profile, phrase)
	if err != nil {
		return ring, nil, err
	}
	ring, lost = ringOf(roster, p.profile.Person, personal)
	return ring, lost, nil
}

// prove answers a challenge to each key of the ring.
func (p *person) prove(ring compose.Keyring, paper bool) error {
	for _, k := range ring.Outer {
		err := p.proveOne(p.stop, api.KeyCheck{Role: "outer", Period: k.Period, Paper: paper}, func(challenge []byte) ([32]byte, error) {
			return seal.AnswerOuterProof(k.Key, challenge)
		})
		if err != nil {
			return err
		}
	}
	for _, k := range ring.Inner {
		err := p.proveOne(p.stop, api.KeyCheck{Role: "inner", Period: k.Period, Paper: paper}, func(challenge []byte) ([32]byte, error) {
			return seal.AnswerInnerProof(k.Key, challenge)
		})
		if err != nil {
			return err
		}
	}
	if len(ring.Outer)+len(ring.Inner) == 0 {
		return refusedError{ui.WithRemedy(errors.New("you have no copy of a role key"), "Somebody of your role gives you one: strongroom people add "+string(p.profile.Person))}
	}
	return nil
}

func (p *person) proveOne(ctx context.Context, check api.KeyCheck, answer func([]byte) ([32]byte, error)) error {
	challenge, err := p.client.BeginKeyCheck(ctx, check)
	if err != nil {
		return explainCall(err)
	}
	nonce, err := answer(challenge.Sealed)
	if err != nil {
		return fmt.Errorf("proving the %s key of period %d: %w", check.Role, check.Period, err)
	}
	if err := p.client.AnswerKeyCheck(ctx, api.Answer{ID: challenge.ID, Nonce: opening.Nonce(nonce)}); err != nil {
		return explainCall(err)
	}
	p.talk().Printf("The %s key of period %d is proven.", check.Role, check.Period)
	p.talk().Emit("key_checked", map[string]any{"role": check.Role, "period": check.Period, "paper": check.Paper})
	return nil
}

func (a *app) keysPassphraseCommand() *cobra.Command {
	var newFile string
	phrase := &passphrase{}
	cmd := &cobra.Command{
		Use:   "passphrase",
		Short: "Choose another passphrase for your personal key",
		Long: `Write your personal key anew behind another passphrase. Whoever has a copy of
the old file and its passphrase still has the key: then somebody adds you with
new keys, after you were suspended.`,
		Example: `  strongroom keys passphrase`,
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			p, err := a.openProfile()
			if err != nil {
				return err
			}
			personal, err := a.unlock(p, phrase)
			if err != nil {
				return err
			}
			return a.lock(p, personal, newFile)
		},
	}
	cmd.Flags().StringVar(&newFile, "new-passphrase-file", "", "`file` whose first line is the new passphrase (default: ask)")
	phrase.register(cmd)
	return cmd
}

// lock writes the personal key behind a passphrase that is chosen now.
func (a *app) lock(p *profile.Profile, personal seal.PersonalIdentity, file string) error {
	fresh, err := (&passphrase{file: file, ask: true}).fresh(a)
	if err != nil {
		return err
	}
	if err := p.Lock(personal, fresh, a.now()); err != nil {
		return err
	}
	a.talk().Printf("Your personal key opens with the new passphrase.")
	return nil
}

func (a *app) keysRestoreCommand() *cobra.Command {
	var paper, newFile string
	cmd := &cobra.Command{
		Use:   "restore --from-paper FILE",
		Short: "Bring your personal key back from its paper page",
		Long: `Write your personal key anew from its paper page, behind a new passphrase, if
the old one is forgotten. The key must be the one that stands for you in the
roster.`,
		Example: `  strongroom keys restore --from-paper -`,
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			if paper == "" {
				return &ui.UsageError{Problem: "say where the key from paper is", Remedy: "Add --from-paper FILE, or --from-paper - to type it."}
			}
			return a.restoreKey(paper, newFile)
		},
	}
	f := cmd.Flags()
	f.StringVar(&paper, "from-paper", "", "`file` with the personal key from paper, or - to type it")
	f.StringVar(&newFile, "new-passphrase-file", "", "`file` whose first line is the new passphrase (default: ask)")
	return cmd
}

func (a *app) restoreKey(paper, newFile string) error {
	p, err := a.openPerson()
	if err != nil {
		return err
	}
	defer p.Close()
	everyone, roster, err := p.people(a.stop)
	if err != nil {
		return err
	}
	self, err := p.own(everyone, roster)
	if err != nil {
		return err
	}
	key, err := a.typedKey(paper, "Your personal key from the page")
	if err != nil {
		return err
	}
	personal, err := seal.ReadPersonalIdentity(bytes.NewReader(key))
	if err != nil {
		return explainTyped(err)
	}
	if personal.Recipient() != self.Key {
		return refusedError{ui.WithRemedy(fmt.Errorf("it is a sound key, and not the personal key of %s in the roster", self.Name), "Is it the page of another safe, or of a key that was replaced?")}
	}
	return a.lock(p.profile, personal, newFile)
}
