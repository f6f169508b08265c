// Package compose makes new versions of the roster: whom it adds and removes,
// and the copies of role keys that go with that. It is computation on the
// machine of the person who proposes, whose opened keys the caller passes.
//
// A version that was composed is as good as the enrolments that it was made
// of: that their words were compared is for the caller to see to. Nothing here
// decides whether a version may follow another; access.Roster does.
package compose

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/access/profile"
	"strongroom/internal/access/signature"
	"strongroom/internal/safe"
	"strongroom/internal/store/seal"
)

// A Keyring is what a person who proposes can open.
type Keyring struct {
	Outer []profile.OuterKey
	Inner []profile.InnerKey
}

// has reports whether the ring has the role's key of all periods of r that
// anybody has, and of the newest in any case.
func (k Keyring) has(r access.Roster, role access.Role) bool {
	have := make(map[int]bool)
	for _, o := range k.Outer {
		have[o.Period] = have[o.Period] || role == access.Keykeeper
	}
	for _, i := range k.Inner {
		have[i.Period] = have[i.Period] || role == access.Operator
	}
	for i, p := range r.Periods {
		copies := p.OuterCopies
		if role == access.Operator {
			copies = p.InnerCopies
		}
		if needed := len(copies) > 0 || i == len(r.Periods)-1; needed && !have[i+1] {
			return false
		}
	}
	return true
}

// Found composes the version that founds a safe, from its first one and the
// enrolments of its founders. Each role's key must be brought by a founder;
// the ring opens more copies for people of the same role. If a keykeeper has
// made a new outer key, a period begins with it: the one that the safe was made
// with is then for what was collected before.
func Found(current access.Roster, founders []access.Enrolment, ring Keyring, now time.Time) (access.Roster, error) {
	next := current.Next()
	next.People = nil
	period := &next.Periods[len(next.Periods)-1]
	period.OuterCopies, period.InnerCopies = nil, nil
	var maker *access.Enrolment
	for i, e := range founders {
		if err := join(&next, e); err != nil {
			return next, err
		}
		switch {
		case !e.Outer.IsZero() && maker != nil:
			return next, fmt.Errorf("%s and %s have each made a new outer key, and the safe has one: found it with one of them, and add the other afterwards", maker.Person.Name, e.Person.Name)
		case !e.Outer.IsZero():
			maker = &founders[i]
		case e.OuterCopy != nil:
			setCopy(&period.OuterCopies, e.Person.Name, e.OuterCopy)
		}
		if e.InnerCopy != nil {
			setCopy(&period.InnerCopies, e.Person.Name, e.InnerCopy)
		}
	}
	switch {
	case !next.Founded():
		return next, errors.New("a safe is founded by a keykeeper and an operator at least")
	case len(period.OuterCopies) == 0 && maker == nil:
		return next, errors.New("none of the keykeepers has brought the outer key, or made one: without it nothing can be released")
	case len(period.InnerCopies) == 0:
		return next, errors.New("none of the operators has brought the inner key: without it nothing can be read")
	}
	if err := share(&next, ring, now); err != nil {
		return next, err
	}
	if maker != nil {
		beginPeriod(&next, now)
		period := &next.Periods[len(next.Periods)-1]
		period.Outer, period.OuterCopies = maker.Outer, []access.Copy{{Person: maker.Person.Name, Sealed: maker.OuterCopy}}
	}
	return checked(current, next)
}

// A NeedError says that a change takes somebody of another role.
type NeedError struct {
	Role   access.Role
	Person safe.PersonName // whom the change is about
}

func (e *NeedError) Error() string {
	return fmt.Sprintf("%s is a matter of the %ss: only one of them, who can open all their role keys, can seal them to people or make a new one", e.Person, e.Role)
}

// Add composes a version with these people added, or their keys replaced. The
// ring must open the role keys of all periods that they are to have. Without
// anybody to add it gives copies to those who lack some. Who is suspended and
// gets other keys counts again.
func Add(current access.Roster, enrolments []access.Enrolment, ring Keyring, suspended access.Suspensions, now time.Time) (access.Roster, error) {
	next := current.Next()
	for _, e := range enrolments {
		old, _ := current.Person(e.Person.Name)
		for _, role := range []access.Role{access.Keykeeper, access.Operator} {
			switch {
			case e.Person.Has(role) && !ring.has(current, role):
				return next, &NeedError{role, e.Person.Name}
			case old.Has(role) && !e.Person.Has(role):
				return next, fmt.Errorf("%s would no longer be %s and still know its role key: remove %s first, which makes a new one", e.Person.Name, role, e.Person.Name)
			}
		}
		if err := join(&next, e); err != nil {
			return next, err
		}
		if replaces(old, e.Person) {
			lift(&next, suspended.Whole(old.Name))
		}
	}
	if err := share(&next, ring, now); err != nil {
		return next, err
	}
	return checked(current, next)
}

// replaces reports whether no key of the person remains, of those that stood in
// the roster: what was suspended with the person is gone for good then, and who
// takes them in anew decides about nothing else.
func replaces(old, p access.Person) bool {
	kept := slices.ContainsFunc(p.Keys(), func(key signature.Key) bool { return slices.Contains(old.Keys(), key) })
	return len(old.Keys()) > 0 && !kept && (p.Key.IsZero() || p.Key != old.Key)
}

// Remove composes a version without that person. If they could open a role's
// keys, a new period begins with another one, which they never had.
func Remove(current access.Roster, name safe.PersonName, ring Keyring, now time.Time) (access.Roster, error) {
	next := current.Next()
	p, ok := current.Person(name)
	if !ok {
		return next, fmt.Errorf("there is no %s in the roster", name)
	}
	drop(&next, name)
	for _, role := range []access.Role{access.Keykeeper, access.Operator} {
		if !p.Has(role) {
			continue
		}
		if !ring.has(current, role) {
			return next, &NeedError{role, name}
		}
		if err := newPeriod(&next, role, now); err != nil {
			return next, err
		}
	}
	return checked(current, next)
}

// Renew composes a version that begins a period with a new key of the role.
func Renew(current access.Roster, role access.Role, now time.Time) (access.Roster, error) {
	next := current.Next()
	if err := newPeriod(&next, role, now); err != nil {
		return next, err
	}
	return checked(current, next)
}

// Lift composes a version in which these suspensions count no more.
func Lift(current access.Roster, entries ...int64) (access.Roster, error) {
	next := current.Next()
	lift(&next, entries)
	return checked(current, next)
}

func lift(r *access.Roster, entries []int64) {
	r.Lifted = append(r.Lifted, entries...)
	slices.Sort(r.Lifted)
	r.Lifted = slices.Compact(r.Lifted)
}

// Recover composes a version for those who have nothing but the paper keys:
// in each role that somebody is enrolled for anew, everybody is replaced, and
// the ring's keys of that role are sealed to the new people and to nobody
// else. A period begins with new keys of these roles, as nobody knows what
// became of the old copies. Of those who are suspended, who is enrolled anew
// counts again: there may be nobody left who could lift that.
func Recover(current access.Roster, enrolments []access.Enrolment, ring Keyring, suspended access.Suspensions, now time.Time) (access.Roster, error) {
	next := current.Next()
	var lost []access.Role
	for _, role := range []access.Role{access.Keykeeper, access.Operator} {
		if slices.ContainsFunc(enrolments, func(e access.Enrolment) bool { return e.Person.Has(role) }) {
			lost = append(lost, role)
		}
	}
	for _, p := range current.People {
		if slices.ContainsFunc(lost, p.Has) {
			drop(&next, p.Name)
		}
	}
	for _, e := range enrolments {
		if err := join(&next, e); err != nil {
			return next, err
		}
		lift(&next, suspended.Of(e.Person.Name))
	}
	// What a role has that is not lost stays: the roster that the safe shows
	// is not verified on a machine that begins anew, so no key may go to
	// whoever stands there.
	if !slices.Contains(lost, access.Keykeeper) {
		ring.Outer = nil
	}
	if !slices.Contains(lost, access.Operator) {
		ring.Inner = nil
	}
	if err := share(&next, ring, now); err != nil {
		return next, err
	}
	if len(lost) > 0 {
		beginPeriod(&next, now)
	}
	for _, role := range lost {
		if err := renew(&next, role, now); err != nil {
			return next, err
		}
	}
	return checked(current, next)
}

// checked reads the version again as everybody else will.
func checked(current, next access.Roster) (access.Roster, error) {
	next, err := access.ParseRoster(next.Encode())
	if err != nil {
		return next, err
	}
	return next, current.CheckSuccessor(next)
}

// join puts somebody into r who has enrolled. The first with passkeys bring the
// domain, which is then that of all.
func join(r *access.Roster, e access.Enrolment) error {
	if e.Domain != "" && e.Domain != r.Domain {
		if r.HasPasskeys() {
			return fmt.Errorf("%s has made passkeys for %s, and those of the others are for %s: they must enrol there", e.Person.Name, e.Domain, r.Domain)
		}
		r.Domain = e.Domain
	}
	put(r, e.Person)
	return nil
}

// put adds a person, or replaces the one of that name. Copies that were sealed
// to another key, or are of a role that the person has no more, go.
func put(r *access.Roster, p access.Person) {
	old, _ := r.Person(p.Name)
	at, found := slices.BinarySearchFunc(r.People, p.Name, func(p access.Person, name safe.PersonName) int {
		return strings.Compare(string(p.Name), string(name))
	})
	if found {
		r.People[at] = p
	} else {
		r.People = slices.Insert(r.People, at, p)
	}
	for i := range r.Periods {
		period := &r.Periods[i]
		if !p.Has(access.Keykeeper) || old.Key != p.Key {
			dropCopy(&period.OuterCopies, p.Name)
		}
		if !p.Has(access.Operator) || old.Key != p.Key {
			dropCopy(&period.InnerCopies, p.Name)
		}
	}
}

func drop(r *access.Roster, name safe.PersonName) {
	r.People = slices.DeleteFunc(r.People, func(p access.Person) bool { return p.Name == name })
	for i := range r.Periods {
		dropCopy(&r.Periods[i].OuterCopies, name)
		dropCopy(&r.Periods[i].InnerCopies, name)
	}
}

func dropCopy(copies *[]access.Copy, name safe.PersonName) {
	*copies = slices.DeleteFunc(*copies, func(c access.Copy) bool { return c.Person == name })
}

func setCopy(copies *[]access.Copy, name safe.PersonName, sealed []byte) {
	dropCopy(copies, name)
	*copies = append(*copies, access.Copy{Person: name, Sealed: sealed})
	slices.SortFunc(*copies, func(a, b access.Copy) int { return strings.Compare(string(a.Person), string(b.Person)) })
}

// share seals each key of the ring to those people of its role who have no
// copy of it.
func share(r *access.Roster, ring Keyring, made time.Time) error {
	for _, k := range ring.Outer {
		if err := shareKey(r, access.Keykeeper, &r.Periods[k.Period-1].OuterCopies, k.Key, made); err != nil {
			return err
		}
	}
	for _, k := range ring.Inner {
		if err := shareKey(r, access.Operator, &r.Periods[k.Period-1].InnerCopies, k.Key, made); err != nil {
			return err
		}
	}
	return nil
}

// A roleKey is the private half of either role.
type roleKey interface {
	SealTo(person seal.PersonalRecipient, made time.Time) ([]byte, error)
}

func shareKey(r *access.Roster, role access.Role, copies *[]access.Copy, key roleKey, made time.Time) error {
	for _, p := range r.People {
		has := slices.ContainsFunc(*copies, func(c access.Copy) bool { return c.Person == p.Name })
		if !p.Has(role) || has {
			continue
		}
		sealed, err := key.SealTo(p.Key, made)
		if err != nil {
			return fmt.Errorf("sealing a role key to %s: %w", p.Name, err)
		}
		setCopy(copies, p.Name, sealed)
	}
	return nil
}

// newPeriod begins a period with a new key of the role. That of the other role
// stays, with its copies. The new key is nowhere but in the copies; who wants
// it on paper prints it afterwards.
func newPeriod(r *access.Roster, role access.Role, now time.Time) error {
	beginPeriod(r, now)
	return renew(r, role, now)
}

// beginPeriod begins a period with the keys of the last one.
func beginPeriod(r *access.Roster, now time.Time) {
	period := r.Current()
	from := now.UTC().Truncate(time.Second)
	if !from.After(period.From) { // clocks differ, and the first period began when the safe was made
		from = period.From.Add(time.Second)
	}
	period.From = from
	period.OuterCopies, period.InnerCopies = slices.Clone(period.OuterCopies), slices.Clone(period.InnerCopies)
	r.Periods = append(r.Periods, period)
}

// renew gives the last period a new key of the role.
func renew(r *access.Roster, role access.Role, now time.Time) error {
	period := &r.Periods[len(r.Periods)-1]
	switch role {
	case access.Keykeeper:
		key, err := seal.NewOuterIdentity()
		if err != nil {
			return err
		}
		period.Outer, period.OuterCopies = key.Recipient(), nil
		return shareKey(r, role, &period.OuterCopies, key, now)
	case access.Operator:
		key, err := seal.NewInnerIdentity()
		if err != nil {
			return err
		}
		period.Inner, period.InnerCopies = key.Recipient(), nil
		return shareKey(r, role, &period.InnerCopies, key, now)
	}
	return fmt.Errorf("the %s has no role key", role)
}
