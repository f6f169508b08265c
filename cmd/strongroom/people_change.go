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
	"strongroom/internal/access/profile"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/safe/words"
	"strongroom/internal/store/seal"
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
		return c.propose(p, roster, next)
	}
	c.confirm.register(cmd)
	c.phrase.register(cmd)
	return cmd, c
}

func explainCompose(err error) error {
	var need *compose.NeedError
	if errors.As(err, &need) {
		return refusedError{ui.WithRemedy(err, fmt.Sprintf("Ask a %s to do it, on their machine. If you are one: do you have a copy of the key of every period? See strongroom people list", need.Role))}
	}
	return err
}

// propose shows a version, asks, and proposes it.
func (c *change) propose(p *person, roster, next access.Roster) error {
	t := c.talk()
	lines := compose.Changes(roster, next)
	if len(lines) == 0 {
		return &ui.UsageError{Problem: "this would change nothing", Remedy: "See how it stands: strongroom people list"}
	}
	t.Printf("Version %d of the roster:", next.Number)
	for _, line := range lines {
		t.Printf("  - %s", line)
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

func (a *app) peopleAddCommand() *cobra.Command {
	cmd, c := a.proposing(&cobra.Command{
		Use:   "add NAME...",
		Short: "Propose to add people who have enrolled, or to replace their keys",
		Long: `Propose a version of the roster with people who have enrolled. It shows the
eight words of each enrolment, to be compared by voice with the person, and
seals the role keys of all periods to them; so a keykeeper adds keykeepers, and
an operator operators. Somebody of the other role agrees.

The first version with people founds the safe. It is composed of the enrolments
of a keykeeper and an operator at least, you among them. Adding somebody who is
in the roster already replaces their keys by those of the new enrolment, or, if
there is none, gives them the copies that they lack.`,
		Example: `  strongroom people add kim otto          found the safe
  strongroom people add kate
  strongroom people add kate --yes --words 'kate=...'`,
		Args: args(1, -1, "one name or several"),
	}, (*change).add)
	cmd.Flags().StringArrayVar(&c.words, "words", nil, "`NAME=WORDS` of an enrolment, as that person has them, instead of being asked")
	return cmd
}

func (c *change) add(p *person, everyone api.Everyone, roster access.Roster, given []string) (access.Roster, error) {
	enrolments, present, err := c.enrolments(p, everyone, roster, given)
	if err != nil {
		return roster, err
	}
	if !roster.Founded() {
		return c.found(p, roster, enrolments)
	}
	self, err := p.own(everyone, roster)
	if err != nil {
		return roster, err
	}
	people := present
	for _, e := range enrolments {
		people = append(people, e.Person)
	}
	var ring compose.Keyring
	if slices.ContainsFunc(people, func(other access.Person) bool { return sharesKey(self, other) }) {
		if ring, err = c.ring(p, roster); err != nil {
			return roster, err
		}
	}
	return compose.Add(roster, enrolments, ring, c.now())
}

// sharesKey reports whether both hold the same role key.
func sharesKey(a, b access.Person) bool {
	return a.Has(access.Keykeeper) && b.Has(access.Keykeeper) || a.Has(access.Operator) && b.Has(access.Operator)
}

// enrolments finds the enrolments of those named, and has their words
// compared. present are those named who are in the roster and not enrolled
// anew.
func (c *change) enrolments(p *person, everyone api.Everyone, roster access.Roster, names []string) (enrolments []access.Enrolment, present []access.Person, err error) {
	waiting := make(map[string]access.Enrolment)
	var all []string
	for _, e := range everyone.Enrolments {
		enrolment, err := access.ParseEnrolment(e.Enrolment)
		if err != nil {
			return nil, nil, err
		}
		if enrolment.Store != p.profile.Store {
			return nil, nil, fmt.Errorf("the enrolment of %s is for another safe", enrolment.Person.Name)
		}
		waiting[string(enrolment.Person.Name)] = enrolment // the newest is the last
		all = append(all, string(enrolment.Person.Name))
	}
	for _, name := range names {
		enrolment, ok := waiting[name]
		if known, is := roster.Person(safe.PersonName(name)); !ok && is {
			present = append(present, known)
			continue
		}
		if !ok {
			remedy := "Nobody waits. Invite them on the safe's host: strongroom people invite " + name + " --role ROLE"
			if len(all) > 0 {
				remedy = "Enrolled are: " + strings.Join(all, ", ")
			}
			return nil, nil, &ui.UsageError{Problem: fmt.Sprintf("there is no enrolment of %q", name), Remedy: remedy}
		}
		if err := c.checkEnrolment(p, enrolment); err != nil {
			return nil, nil, err
		}
		enrolments = append(enrolments, enrolment)
	}
	return enrolments, present, nil
}

// checkEnrolment has the person compare the words of an enrolment. This
// machine knows its own.
func (c *change) checkEnrolment(p *person, e access.Enrolment) error {
	name := e.Person.Name
	if name == p.profile.Person && e.Digest() == p.profile.Enrolment {
		return nil
	}
	if name == p.profile.Person {
		return refusedError{ui.WithRemedy(errors.New("the safe shows another enrolment of yours than this machine has sent"),
			"Do nothing with this safe before you know why: somebody may have put keys of theirs in.")}
	}
	typed := ""
	for _, s := range c.words {
		if who, theirs, ok := strings.Cut(s, "="); ok && who == string(name) {
			typed = theirs
		}
	}
	return compareWords(c.app, fmt.Sprintf("the enrolment of %s, %s", name, rolesOf(e.Person.Roles)), e.Digest(), typed,
		fmt.Sprintf("Give the words that %s has: --words '%s=...'", name, name))
}

// found composes the version that founds the safe. The role keys in the first
// version were given to the safe's host by hand, so each founder sees whether
// their own is there.
func (c *change) found(p *person, roster access.Roster, enrolments []access.Enrolment) (access.Roster, error) {
	at := slices.IndexFunc(enrolments, func(e access.Enrolment) bool { return e.Person.Name == p.profile.Person })
	if at < 0 {
		return roster, &ui.UsageError{Problem: "a safe is founded by people who stand in its roster, and you are not among those named", Remedy: "Add your own name: " + string(p.profile.Person)}
	}
	own := enrolments[at]
	var ring compose.Keyring
	if own.OuterCopy != nil || own.InnerCopy != nil {
		personal, err := c.unlock(p.profile, &c.phrase)
		if err != nil {
			return roster, err
		}
		if ring, err = openOwn(roster, own.OuterCopy, own.InnerCopy, personal); err != nil {
			return roster, err
		}
	}
	return compose.Found(roster, enrolments, ring, c.now())
}

// openOwn opens the copies that a founder has brought.
func openOwn(roster access.Roster, outer, inner []byte, personal seal.PersonalIdentity) (ring compose.Keyring, err error) {
	period := len(roster.Periods)
	if outer != nil {
		key, err := seal.OpenOuterCopy(personal, outer, roster.Current().Outer)
		if err != nil {
			return ring, explainOwn(err)
		}
		ring.Outer = []profile.OuterKey{{Period: period, Key: key}}
	}
	if inner != nil {
		key, err := seal.OpenInnerCopy(personal, inner, roster.Current().Inner)
		if err != nil {
			return ring, explainOwn(err)
		}
		ring.Inner = []profile.InnerKey{{Period: period, Key: key}}
	}
	return ring, nil
}

func explainOwn(err error) error {
	return refusedError{ui.WithRemedy(fmt.Errorf("your copy of the role key does not hold: %w", err),
		"Was the safe made with the public half of your role key? If so, somebody has changed it: do nothing with this safe before you know why.")}
}

// ring opens all role keys that the person has copies of.
func (c *change) ring(p *person, roster access.Roster) (compose.Keyring, error) {
	personal, err := c.unlock(p.profile, &c.phrase)
	if err != nil {
		return compose.Keyring{}, err
	}
	ring, err := ringOf(roster, p.profile.Person, personal)
	if err != nil {
		c.talk().Warn("%v", err)
	}
	return ring, nil
}

// ringOf opens the copies of one person. What opens is returned even if
// something does not, which is then an error.
func ringOf(roster access.Roster, name safe.PersonName, personal seal.PersonalIdentity) (compose.Keyring, error) {
	outer, outerErr := profile.OuterKeys(roster, name, personal)
	inner, innerErr := profile.InnerKeys(roster, name, personal)
	return compose.Keyring{Outer: outer, Inner: inner}, errors.Join(outerErr, innerErr)
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

func (a *app) peopleObjectCommand() *cobra.Command {
	var reason string
	c := &confirm{}
	cmd := &cobra.Command{
		Use:   "object [DIGEST] --reason TEXT",
		Short: "Stop a proposed version of the roster",
		Long: `Stop a version of the roster that is proposed or waits for its time. What was
agreed on it counts no more; a keykeeper and an operator without you can agree
anew.`,
		Example: `  strongroom people object --reason "nobody has told me of this"`,
		Args:    args(0, 1, "at most one digest"),
		RunE: func(_ *cobra.Command, given []string) error {
			text, err := reasonOf(reason)
			if err != nil {
				return err
			}
			p, err := a.openPerson()
			if err != nil {
				return err
			}
			defer p.Close()
			everyone, roster, err := p.people(a.stop)
			if err != nil {
				return err
			}
			_, next, err := chooseProposal(everyone, slices.Concat(given, []string{""})[0])
			if err != nil {
				return err
			}
			for _, line := range compose.Changes(roster, next) {
				a.talk().Printf("  - %s", line)
			}
			if err := c.ask(a, fmt.Sprintf("Object to version %d?", next.Number)); err != nil {
				return err
			}
			signed, err := p.sign(access.Object{Number: next.Number, Digest: next.Digest(), Reason: text})
			if err == nil {
				err = explainSent(p.client.Object(a.stop, signed))
			}
			if err != nil {
				return err
			}
			a.talk().Printf("You have objected to version %d, %.8s.", next.Number, next.Digest())
			a.talk().Emit("objected", map[string]any{"n": next.Number, "digest": next.Digest()})
			return nil
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for everybody to read")
	c.register(cmd)
	return cmd
}

// reasonOf checks the text that everybody will read in ledger and mails.
func reasonOf(s string) (ledger.Text, error) {
	var t ledger.Text
	if s == "" {
		return t, &ui.UsageError{Problem: "the reason is missing", Remedy: "Add --reason TEXT: it stands in the ledger, and in mails to everybody."}
	}
	if err := t.UnmarshalText([]byte(s)); err != nil {
		return t, &ui.UsageError{Problem: "--reason: " + err.Error(), Remedy: "Write it on one line."}
	}
	return t, nil
}

func (a *app) peopleSuspendCommand() *cobra.Command {
	var reason, fingerprint string
	c := &confirm{}
	cmd := &cobra.Command{
		Use:   "suspend NAME --reason TEXT",
		Short: "Stop somebody, or one of their keys, at once",
		Long: `Stop somebody at once, or one of their keys: a lost laptop, somebody who has
left. Their openings close, and their agreements count no more. Any person of
the roster may do it. It lasts until a version of the roster lifts it.`,
		Example: `  strongroom people suspend otto --reason "laptop lost"
  strongroom people suspend otto --key SHA256:Yx5w --reason "key lost"`,
		Args: args(1, 1, "one name"),
		RunE: func(_ *cobra.Command, given []string) error {
			text, err := reasonOf(reason)
			if err != nil {
				return err
			}
			p, err := a.openPerson()
			if err != nil {
				return err
			}
			defer p.Close()
			_, roster, err := p.people(a.stop)
			if err != nil {
				return err
			}
			act, err := suspension(roster, given[0], fingerprint, text)
			if err != nil {
				return err
			}
			if err := c.ask(a, fmt.Sprintf("Suspend %s?", act.Person)); err != nil {
				return err
			}
			signed, err := p.sign(act)
			if err == nil {
				err = explainSent(p.client.Suspend(a.stop, signed))
			}
			if err != nil {
				return err
			}
			a.talk().Printf("%s is suspended.", act.Person)
			a.talk().Note("What this should have stopped, see: strongroom opening list. It ends with: strongroom people lift %s", act.Person)
			a.talk().Emit("suspended", map[string]any{"person": act.Person})
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&reason, "reason", "", "why, for everybody to read")
	f.StringVar(&fingerprint, "key", "", "`fingerprint` of the one SSH key or passkey that is meant, or its beginning")
	c.register(cmd)
	return cmd
}

// suspension finds who, and which key, is meant.
func suspension(roster access.Roster, name, fingerprint string, reason ledger.Text) (access.Suspend, error) {
	person, ok := roster.Person(safe.PersonName(name))
	if !ok {
		return access.Suspend{}, &ui.UsageError{Problem: fmt.Sprintf("there is no %q in the roster", name), Remedy: "See who is: strongroom people list"}
	}
	act := access.Suspend{Person: person.Name, Reason: reason}
	if fingerprint == "" {
		return act, nil
	}
	for _, key := range person.Keys() {
		if strings.HasPrefix(key.Fingerprint(), fingerprint) || strings.HasPrefix(strings.TrimPrefix(key.Fingerprint(), "SHA256:"), fingerprint) {
			if !act.Key.IsZero() {
				return act, &ui.UsageError{Problem: fmt.Sprintf("several keys of %s begin with %q", name, fingerprint), Remedy: "Give more of it."}
			}
			act.Key = key
		}
	}
	if act.Key.IsZero() {
		return act, &ui.UsageError{Problem: fmt.Sprintf("%s has no key that begins with %q", name, fingerprint), Remedy: "There is " + keysOf(person)}
	}
	return act, nil
}

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
