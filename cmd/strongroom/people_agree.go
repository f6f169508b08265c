package main

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"strongroom/internal/access"
	"strongroom/internal/access/api"
	"strongroom/internal/access/compose"
	"strongroom/internal/safe"
	"strongroom/internal/ui"
)

func (a *app) peopleAgreeCommand() *cobra.Command {
	c := &change{app: a}
	cmd := &cobra.Command{
		Use:   "agree [DIGEST]",
		Short: "Agree with a proposed version of the roster",
		Long: `Agree with a version of the roster that somebody has proposed: the beginning of
its digest says which, if there are several. It shows what changes and the eight
words of the version. Compare them by voice with the person who proposed it;
what this machine cannot see, whether the new keys are theirs, they have
compared.

A version needs a keykeeper and an operator, and comes into force a day later,
so that others can object.`,
		Example: `  strongroom people agree
  strongroom people agree 3f7a --yes --words '...'`,
		Args: args(0, 1, "at most one digest"),
		RunE: func(_ *cobra.Command, given []string) error {
			p, err := a.openPerson()
			if err != nil {
				return err
			}
			defer p.Close()
			return c.agree(p, slices.Concat(given, []string{""})[0])
		},
	}
	c.confirm.register(cmd)
	c.confirm.registerWords(cmd, "the version")
	c.phrase.register(cmd)
	return cmd
}

func (c *change) agree(p *person, prefix string) error {
	everyone, roster, err := p.people(c.stop)
	if err != nil {
		return err
	}
	proposal, next, err := chooseProposal(everyone, prefix)
	if err != nil {
		return err
	}
	if err := roster.CheckSuccessor(next); err != nil {
		return refusedError{fmt.Errorf("the proposed version %d cannot follow: %w", next.Number, err)}
	}
	if !next.Founded() {
		return refusedError{errors.New("the proposed version has no keykeeper and operator")}
	}
	if err := proposal.CheckMakers(roster); err != nil {
		return refusedError{ui.WithRemedy(fmt.Errorf("do not agree with version %d: %w", next.Number, err),
			"Object, and tell the others. If it was proposed as it should be, and somebody has objected since: who made the key proposes it anew.")}
	}
	if err := checkFounding(everyone, roster, next); err != nil {
		return refusedError{ui.WithRemedy(fmt.Errorf("do not agree with version %d: %w", next.Number, err), "Do nothing with this safe before you know why: tell the others.")}
	}
	if err := c.checkOwn(p, everyone, roster, next); err != nil {
		return err
	}
	t := c.talk()
	t.Printf("Version %d of the roster, proposed by %s:", next.Number, proposal.By)
	lines := compose.Changes(roster, next)
	for _, line := range lines {
		t.Printf("  - %s", line)
	}
	for _, s := range everyone.Suspensions {
		if slices.Contains(next.Lifted, s.Entry) {
			t.Printf("  - ledger entry %d suspends %s, as the safe says", s.Entry, s.Person)
		}
	}
	for _, line := range compose.Lacks(next) {
		t.Warn("%s", line)
	}
	if err := c.confirm.compare(c.app, fmt.Sprintf("version %d", next.Number), next.Digest()); err != nil {
		return err
	}
	if err := c.confirm.ask(c.app, "Agree?"); err != nil {
		return err
	}
	signed, err := p.sign(access.Agree{Number: next.Number, Digest: next.Digest(), After: proposal.After})
	if err != nil {
		return err
	}
	if err := p.client.Agree(c.stop, signed); err != nil {
		return explainSent(err)
	}
	if !roster.Founded() {
		if err := p.profile.Expect(next.Number, next.Digest()); err != nil {
			return err
		}
	}
	t.Printf("You have agreed with version %d, %.8s.", next.Number, next.Digest())
	c.noteReady(p, next)
	t.Emit("agreed", map[string]any{"n": next.Number, "digest": next.Digest(), "changes": lines})
	return nil
}

// checkFounding sees that the role keys which a safe is founded with are of
// those who found it.
func checkFounding(everyone api.Everyone, roster, next access.Roster) error {
	var enrolments []access.Enrolment
	for _, e := range everyone.Enrolments {
		enrolment, err := access.ParseEnrolment(e.Enrolment)
		if err != nil {
			return err
		}
		enrolments = append(enrolments, enrolment)
	}
	return access.CheckFounding(roster, next, enrolments)
}

// checkOwn sees that the person stands in the next version as they should: as
// they enrolled, if they are new there, and with copies that open.
func (c *change) checkOwn(p *person, everyone api.Everyone, roster, next access.Roster) error {
	name := p.profile.Person
	before, was := roster.Person(name)
	self, is := next.Person(name)
	if !was && !is {
		return refusedError{errors.New("you are not in the roster, and not in the proposed version")}
	}
	if !is {
		return nil // whoever is to leave may agree
	}
	if !was || before.Key != self.Key || !slices.Equal(before.Keys(), self.Keys()) {
		if err := c.asEnrolled(p, everyone, self); err != nil {
			return err
		}
	}
	changed := false
	for i, period := range next.Periods {
		var old access.Period
		if i < len(roster.Periods) {
			old = roster.Periods[i]
		}
		oldOuter, _ := old.OuterCopy(name)
		oldInner, _ := old.InnerCopy(name)
		outer, _ := period.OuterCopy(name)
		inner, _ := period.InnerCopy(name)
		changed = changed || !bytes.Equal(oldOuter, outer) || !bytes.Equal(oldInner, inner)
	}
	if !changed {
		return nil
	}
	personal, err := c.unlock(p.profile, &c.phrase)
	if err != nil {
		return err
	}
	if _, err := ringOf(next, name, personal); err != nil {
		return explainOwn(err)
	}
	return nil
}

// asEnrolled sees that the person stands there as this machine has enrolled
// them.
func (c *change) asEnrolled(p *person, everyone api.Everyone, self access.Person) error {
	for _, e := range everyone.Enrolments {
		if safe.DigestOf(e.Enrolment) != p.profile.Enrolment {
			continue
		}
		enrolment, err := access.ParseEnrolment(e.Enrolment)
		if err != nil {
			return err
		}
		enrolled := access.Enrolment{Version: 1, Person: enrolment.Person}
		if bytes.Equal(enrolled.Encode(), access.Enrolment{Version: 1, Person: self}.Encode()) {
			return nil
		}
	}
	return refusedError{ui.WithRemedy(errors.New("you do not stand in the proposed version as this machine has enrolled you"),
		"Object, and ask who proposed it: strongroom people object --reason \"not my keys\"")}
}

// noteReady tells when a version comes into force that was just agreed with.
// That it was agreed with stands, so an answer that does not come is no error.
func (c *change) noteReady(p *person, next access.Roster) {
	t := c.talk()
	everyone, err := p.client.People(c.stop, p.profile.After())
	waits := err == nil && slices.ContainsFunc(everyone.Proposals, func(o access.Proposal) bool {
		if safe.DigestOf(o.Roster) != next.Digest() || o.Ready.IsZero() {
			return false
		}
		t.Note("It comes into force %s, unless somebody objects.", ui.Age(o.Ready.Local(), c.now()))
		return true
	})
	if !waits {
		t.Note("See how it stands: strongroom people list")
	}
}

// chooseProposal finds the proposal whose digest begins so, or the only one.
func chooseProposal(everyone api.Everyone, prefix string) (access.Proposal, access.Roster, error) {
	var found []access.Proposal
	var next []access.Roster
	var digests []string
	for _, p := range everyone.Proposals {
		r, err := access.ParseRoster(p.Roster)
		if err != nil {
			return access.Proposal{}, access.Roster{}, err
		}
		digests = append(digests, fmt.Sprintf("%.8s", r.Digest()))
		if strings.HasPrefix(r.Digest().String(), strings.ToLower(prefix)) {
			found, next = append(found, p), append(next, r)
		}
	}
	switch {
	case len(digests) == 0:
		return access.Proposal{}, access.Roster{}, &ui.UsageError{Problem: "nothing is proposed", Remedy: "See how it stands: strongroom people list"}
	case len(found) == 0:
		return access.Proposal{}, access.Roster{}, &ui.UsageError{Problem: fmt.Sprintf("no proposal has a digest that begins with %q", prefix), Remedy: "There is " + strings.Join(digests, ", ")}
	case len(found) > 1:
		return access.Proposal{}, access.Roster{}, &ui.UsageError{Problem: fmt.Sprintf("%d proposals could be meant", len(found)), Remedy: "Say which: " + strings.Join(digests, " or ")}
	}
	return found[0], next[0], nil
}
