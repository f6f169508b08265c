package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"strongroom/internal/access"
	"strongroom/internal/access/api"
	"strongroom/internal/access/compose"
	"strongroom/internal/access/profile"
	"strongroom/internal/safe"
	"strongroom/internal/store/seal"
	"strongroom/internal/ui"
)

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
	return compose.Add(roster, enrolments, ring, everyone.Suspensions, c.now())
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
