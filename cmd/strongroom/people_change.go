package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"strongroom/internal/access"
	"strongroom/internal/access/api"
	"strongroom/internal/access/compose"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/safe/words"
	"strongroom/internal/ui"
)

// A change is a command that proposes a version of the roster.
type change struct {
	*app
	phrase  passphrase
	confirm confirm
	words   []string // NAME=WORDS, for enrolments
}

// proposing makes a command that proposes what compose returns.
func (a *app) proposing(cmd *cobra.Command, compose func(*change, *person, api.Everyone, access.Roster, []string) (access.Roster, error)) (*cobra.Command, *change) {
	c := &change{app: a}
	cmd.RunE = func(_ *cobra.Command, given []string) error {
		p, err := a.openPerson()
		if err != nil {
			return err
		}
		defer p.Close()
		everyone, roster, err := p.people(a.stop)
		if err != nil {
			return err
		}
		next, err := compose(c, p, everyone, roster, given)
		if err != nil {
			return explainCompose(err)
		}
		return c.propose(p, everyone.Proposals, roster, next)
	}
	c.confirm.register(cmd)
	c.phrase.register(cmd)
	return cmd, c
}

func explainCompose(err error) error {
	var need *compose.NeedError
	if errors.As(err, &need) {
		return refusedError{ui.WithRemedy(err, fmt.Sprintf("Ask a %s to do it, on their machine. If you are one: do you have a copy of the key of every period? See strongroom people list. If none is left: strongroom people recover %s --outer - --inner -, with both keys from paper", need.Role, need.Person))}
	}
	return err
}

// propose shows a version, and what becomes of one that waits; asks, and
// proposes it.
func (c *change) propose(p *person, waiting []access.Proposal, roster, next access.Roster) error {
	t := c.talk()
	lines := compose.Changes(roster, next)
	if len(lines) == 0 {
		return &ui.UsageError{Problem: "this would change nothing", Remedy: "See how it stands: strongroom people list"}
	}
	t.Printf("Version %d of the roster:", next.Number)
	for _, line := range lines {
		t.Printf("  - %s", line)
	}
	for _, other := range waiting {
		others := slices.DeleteFunc(agreed(other), func(name safe.PersonName) bool { return name == p.profile.Person })
		if other.By == ledger.Who(p.profile.Person) && len(others) > 0 {
			t.Warn("version %d, which you have proposed before, is dropped by this: what %s agreed on counts no more, and the wait begins anew", other.Next().Number, joined(others))
		}
	}
	if err := c.confirm.ask(c.app, "Propose this?"); err != nil {
		return err
	}
	signed, err := p.sign(access.Agree{Number: next.Number, Digest: next.Digest()})
	if err != nil {
		return err
	}
	if err := p.client.Propose(c.stop, next.Encode(), signed); err != nil {
		return explainSent(err)
	}
	if !roster.Founded() {
		if err := p.profile.Expect(next.Number, next.Digest()); err != nil {
			return err
		}
	}
	t.Printf("Proposed as %.8s. Its words:\n  %s", next.Digest(), words.Of(next.Digest()))
	t.Note("Somebody of the other role agrees, and compares these words with you by voice: strongroom people agree")
	t.Emit("proposed", map[string]any{"n": next.Number, "digest": next.Digest(), "words": words.Of(next.Digest()), "changes": lines})
	return nil
}

func (a *app) peopleRemoveCommand() *cobra.Command {
	cmd, _ := a.proposing(&cobra.Command{
		Use:   "remove NAME",
		Short: "Propose to remove somebody, and a new role key",
		Long: `Propose a version of the roster without somebody. If it is a keykeeper or an
operator, somebody of the same role does it, and a new period begins with a new
role key, made on this machine and sealed to those who remain. What the person
could open before, they still could, if they kept a copy; what is collected from
then on, they cannot. In a hurry, suspend them first: that counts at once.`,
		Example: `  strongroom people suspend kate --reason "has left"
  strongroom people remove kate`,
		Args: args(1, 1, "one name"),
	}, func(c *change, p *person, everyone api.Everyone, roster access.Roster, given []string) (access.Roster, error) {
		leaver, ok := roster.Person(safe.PersonName(given[0]))
		self, err := p.own(everyone, roster)
		switch {
		case err != nil:
			return roster, err
		case !ok:
			return roster, &ui.UsageError{Problem: fmt.Sprintf("there is no %q in the roster", given[0]), Remedy: "See who is: strongroom people list"}
		case leaver.Name == self.Name:
			return roster, &ui.UsageError{Problem: "who leaves cannot make the key that they must not have", Remedy: "Ask somebody of your role who remains."}
		}
		var ring compose.Keyring
		if sharesKey(self, leaver) {
			if ring, err = c.ring(p, roster); err != nil {
				return roster, err
			}
		}
		return compose.Remove(roster, leaver.Name, ring, c.now())
	})
	return cmd
}

func (a *app) peopleLiftCommand() *cobra.Command {
	cmd, _ := a.proposing(&cobra.Command{
		Use:   "lift NAME",
		Short: "Propose that somebody who is suspended counts again",
		Long: `Propose a version of the roster in which the suspensions of somebody count no
more.`,
		Example: `  strongroom people lift kate`,
		Args:    args(1, 1, "one name"),
	}, func(_ *change, _ *person, everyone api.Everyone, roster access.Roster, given []string) (access.Roster, error) {
		entries := everyone.Suspensions.Of(safe.PersonName(given[0]))
		if len(entries) == 0 {
			return roster, &ui.UsageError{Problem: fmt.Sprintf("%q is not suspended", given[0]), Remedy: "See who is: strongroom people list"}
		}
		return compose.Lift(roster, entries...)
	})
	return cmd
}

func (a *app) newPeriodCommand() *cobra.Command {
	cmd, _ := a.proposing(&cobra.Command{
		Use:   "new-period",
		Short: "Propose a new role key of your role, from now on",
		Long: `Propose a version of the roster that begins a new period with a new key of your
role: once a year, or when the old one may have been seen. It is made on this
machine and sealed to everybody of the role. Old snapshots stay sealed to the
old keys, of which everybody keeps a copy.

Once it is in force, print the new role key: strongroom keys paper --period N.
The paper page of an old role key does not open what is sealed to the new one;
pages with personal keys do.`,
		Example: `  strongroom keys new-period`,
		Args:    noArgs,
	}, func(c *change, p *person, everyone api.Everyone, roster access.Roster, _ []string) (access.Roster, error) {
		self, err := p.own(everyone, roster)
		switch {
		case err != nil:
			return roster, err
		case self.Has(access.Keykeeper):
			return compose.Renew(roster, access.Keykeeper, c.now())
		case self.Has(access.Operator):
			return compose.Renew(roster, access.Operator, c.now())
		}
		return roster, refusedError{errors.New("only keykeepers and operators have a role key")}
	})
	return cmd
}
