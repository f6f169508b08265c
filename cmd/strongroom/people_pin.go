package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"strongroom/internal/access/compose"
	"strongroom/internal/access/profile"
	"strongroom/internal/safe/words"
	"strongroom/internal/ui"
)

func (a *app) peoplePinCommand() *cobra.Command {
	c := &confirm{}
	cmd := &cobra.Command{
		Use:   "pin",
		Short: "Compare the roster's words with other people, once, and keep them",
		Long: `Show the eight words of the version of the roster that founded the safe, or of
the last one that paper keys brought about. Compare them by voice with what
"people list" shows to somebody else: a mail says what the safe says. From then
on this machine verifies by itself every later version: that a keykeeper and an
operator of the version before have agreed with it.`,
		Example: `  strongroom people pin
  strongroom people pin --words '...'`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			p, err := a.openPerson()
			if err != nil {
				return err
			}
			defer p.Close()
			return a.pin(p, c)
		},
	}
	c.registerWords(cmd, "the version")
	return cmd
}

func (a *app) pin(p *person, c *confirm) error {
	everyone, err := p.client.People(a.stop, 0)
	if err != nil {
		return explainCall(err)
	}
	candidate, ok, err := profile.Candidate(everyone)
	if err != nil {
		return err
	}
	if !ok {
		return refusedError{ui.WithRemedy(errors.New("the safe is not founded, so there is nothing to pin"), "A keykeeper and an operator found it: strongroom people add")}
	}
	t := a.talk()
	known, verified, err := p.profile.Verified()
	if err != nil {
		t.Warn("what this machine has verified before counts no more: %v", err)
	}
	isNew := p.profile.Pin.Digest != candidate.Digest()
	if p.profile.Pin.Number > 0 && isNew {
		t.Warn("this machine has pinned version %d: %s", p.profile.Pin.Number, words.Of(p.profile.Pin.Digest))
	}
	// The words say that it is the version that the others have, not that it is
	// good: whoever knew the people before sees who would be new.
	ahead := verified && candidate.Number > known.Number
	if ahead {
		t.Printf("What papers have changed since version %d, which this machine has verified:", known.Number)
		for _, line := range compose.Changes(known, candidate) {
			t.Printf("  - %s", line)
		}
	}
	if isNew {
		if err := c.compare(a, fmt.Sprintf("version %d of the roster", candidate.Number), candidate.Digest()); err != nil {
			return err
		}
	}
	// Whoever has proposed it has pinned it already, and may still have the
	// version before, from which no chain leads here.
	if isNew || ahead || err != nil {
		if err := p.profile.SetPin(candidate); err != nil {
			return err
		}
	}
	roster, err := p.profile.Follow(everyone)
	if err != nil {
		return explainTrust(err)
	}
	t.Printf("Version %d of the roster is pinned, and version %d follows from it.\n  words    %s", candidate.Number, roster.Number, words.Of(candidate.Digest()))
	t.Emit("pinned", map[string]any{"n": candidate.Number, "digest": candidate.Digest(), "words": words.Of(candidate.Digest()), "current": roster.Number})
	return nil
}
