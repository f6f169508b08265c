package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"strongroom/internal/access"
	"strongroom/internal/access/api"
	"strongroom/internal/access/compose"
	"strongroom/internal/access/opening"
	"strongroom/internal/access/profile"
	"strongroom/internal/safe/words"
	"strongroom/internal/store/seal"
	"strongroom/internal/ui"
	"strongroom/internal/web/client"
)

// A recovering is one call of people recover.
type recovering struct {
	change
	outer, inner []string
}

func (a *app) peopleRecoverCommand() *cobra.Command {
	r := &recovering{change: change{app: a}}
	cmd := &cobra.Command{
		Use:   "recover NAME... --outer FILE --inner FILE",
		Short: "Begin anew with both paper keys, if nobody can agree any more",
		Long: `Replace the people of a role, or of both, if they have lost everything but
paper. It takes both keys from paper, of a keykeeper and of an operator: the
role keys, or the personal keys of two people. Enrol first, as if the safe were
new; the people named, you among them or not, replace everybody who had their
roles.

The safe sees no key: this machine proves both by opening a challenge. Everybody
gets a mail, and the new version waits for three days, in which any person of
the roster can object. Then each machine compares its words and pins it anew.`,
		Example: `  strongroom people recover kurt --outer outer.txt --inner inner.txt
  strongroom people recover kurt ole --outer - --inner -`,
		Args: args(1, -1, "the names of those who have enrolled"),
		RunE: func(_ *cobra.Command, names []string) error {
			if len(r.outer) == 0 || len(r.inner) == 0 {
				return &ui.UsageError{Problem: "a recovery takes both keys from paper", Remedy: "Give both: --outer FILE --inner FILE, or - to type them."}
			}
			p, err := a.openPerson()
			if err != nil {
				return err
			}
			defer p.Close()
			return r.run(p, names)
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&r.outer, "outer", nil, "`file` with the outer role key, or a keykeeper's personal key; - to type it")
	f.StringArrayVar(&r.inner, "inner", nil, "`file` with the inner role key, or an operator's personal key; - to type it")
	f.StringArrayVar(&r.words, "words", nil, "`NAME=WORDS` of an enrolment, as that person has them, instead of being asked")
	r.confirm.register(cmd)
	return cmd
}

func (r *recovering) run(p *person, names []string) error {
	everyone, roster, err := r.current(p)
	if err != nil {
		return err
	}
	ring, err := r.fromPaper(roster)
	if err != nil {
		return err
	}
	enrolments, present, err := r.enrolments(p, everyone, roster, names)
	if err != nil {
		return err
	}
	if len(present) > 0 {
		return &ui.UsageError{Problem: fmt.Sprintf("%s has not enrolled anew", present[0].Name), Remedy: "Name those who have; who is in the roster and not replaced stays."}
	}
	next, err := compose.Recover(roster, enrolments, ring, everyone.Suspensions, r.now())
	if err != nil {
		return err
	}
	t := r.talk()
	t.Printf("Version %d of the roster:", next.Number)
	for _, line := range compose.Changes(roster, next) {
		t.Printf("  - %s", line)
	}
	if err := r.confirm.ask(r.app, "Propose this, with both paper keys?"); err != nil {
		return err
	}
	if err := r.propose(p, roster, next, ring); err != nil {
		return err
	}
	if err := p.profile.Expect(next.Number, next.Digest()); err != nil {
		return err
	}
	t.Printf("Proposed as %.8s, to come into force in %s. Its words:\n  %s", next.Digest(), ui.Duration(access.PapersWait), words.Of(next.Digest()))
	t.Note("Read these words to everybody else; they pin the version with them: strongroom people pin")
	t.Emit("recovering", map[string]any{"n": next.Number, "digest": next.Digest(), "words": words.Of(next.Digest())})
	return nil
}

// current returns the version in force: verified, if this machine can. A new
// machine has nothing to verify it with; then compose.Recover gives no key to
// anybody but those whose words were compared.
func (r *recovering) current(p *person) (api.Everyone, access.Roster, error) {
	everyone, roster, err := p.people(r.stop)
	if errors.Is(err, profile.ErrNotPinned) || errors.Is(err, profile.ErrNotYet) {
		if roster, err = access.ParseRoster(everyone.Current); err == nil {
			r.talk().Warn("this machine cannot verify the roster that the safe shows, version %d: %s", roster.Number, words.Of(roster.Digest()))
		}
	}
	if err == nil && !roster.Founded() {
		err = &ui.UsageError{Problem: "the safe is not founded, so there is nobody to replace", Remedy: "Found it: strongroom people add"}
	}
	return everyone, roster, err
}

// fromPaper reads all keys from paper. Those of the current period are needed.
func (r *recovering) fromPaper(roster access.Roster) (compose.Keyring, error) {
	var ring compose.Keyring
	for _, file := range slices.Concat(r.outer, r.inner) {
		key, err := r.typedKey(file, "A key from paper")
		if err != nil {
			return ring, err
		}
		one, err := paperRing(roster, key)
		if err != nil {
			return ring, err
		}
		ring.Outer, ring.Inner = append(ring.Outer, one.Outer...), append(ring.Inner, one.Inner...)
	}
	if _, _, ok := currentPair(roster, ring); !ok {
		return ring, refusedError{ui.WithRemedy(fmt.Errorf("these are not both role keys of period %d, which is the current one", len(roster.Periods)),
			"It takes the page of a keykeeper and that of an operator, the newest ones.")}
	}
	return ring, nil
}

// currentPair finds both role keys of the current period.
func currentPair(roster access.Roster, ring compose.Keyring) (outer seal.OuterIdentity, inner seal.InnerIdentity, ok bool) {
	o := slices.IndexFunc(ring.Outer, func(k profile.OuterKey) bool { return k.Period == len(roster.Periods) })
	i := slices.IndexFunc(ring.Inner, func(k profile.InnerKey) bool { return k.Period == len(roster.Periods) })
	if o < 0 || i < 0 {
		return outer, inner, false
	}
	return ring.Outer[o].Key, ring.Inner[i].Key, true
}

// propose proves both keys and proposes with the ticket. Who calls is nobody
// of the roster, so nothing is signed.
func (r *recovering) propose(p *person, roster, next access.Roster, ring compose.Keyring) error {
	c, err := client.New(client.Options{URL: p.profile.URL, CA: []byte(p.profile.CA), Store: p.profile.Store, From: p.profile.From, Now: r.now})
	if err != nil {
		return err
	}
	defer c.Close()
	challenge, err := c.BeginRecovery(r.stop)
	if err != nil {
		return explainCall(err)
	}
	outer, inner, _ := currentPair(roster, ring)
	nonce, err := seal.AnswerProof(outer, inner, challenge.Sealed)
	if err != nil {
		return fmt.Errorf("proving both role keys: %w", err)
	}
	recovery, err := c.AnswerRecovery(r.stop, api.Answer{ID: challenge.ID, Nonce: opening.Nonce(nonce)})
	if err != nil {
		return explainCall(err)
	}
	return explainSent(c.Recover(r.stop, recovery.Ticket, next.Encode()))
}
