package access

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"strongroom/internal/ledger"
	"strongroom/internal/safe"
)

// How long a version of the roster waits after its last agreement, so that
// whoever is told by mail can object; and how long it may wait for that
// agreement.
const (
	Wait         = 24 * time.Hour      // 0 while there is no snapshot
	PapersWait   = 72 * time.Hour      // always: nobody of the roster has agreed
	ProposalLife = 14 * 24 * time.Hour // after which it is dropped
)

// A Proposal is a version of the roster that is not yet in force. Its methods
// return what changed; nothing is changed in place.
type Proposal struct {
	Roster   []byte            `json:"roster"`
	Proposed time.Time         `json:"proposed"`
	By       ledger.Who        `json:"by"`
	Agreed   []ledger.Signed   `json:"agreed"`           // since the last objection
	After    int64             `json:"after"`            // ledger entry of the last objection, 0 if there was none
	Objected []safe.PersonName `json:"objected"`         // whose agreement does not count any more
	Papers   bool              `json:"papers,omitempty"` // both role keys were proven
	Ready    time.Time         `json:"ready,omitzero"`   // when it comes into force; zero while agreement is missing
}

// Propose begins a proposal to follow current.
func Propose(current Roster, next []byte, by ledger.Who, now time.Time) (Proposal, error) {
	roster, err := ParseRoster(next)
	if err != nil {
		return Proposal{}, err
	}
	if err := current.CheckSuccessor(roster); err != nil {
		return Proposal{}, err
	}
	if !roster.Founded() {
		return Proposal{}, errors.New("a version needs a keykeeper and an operator")
	}
	return Proposal{Roster: next, Proposed: now.UTC(), By: by}, nil
}

// Next returns the proposed version.
func (p Proposal) Next() Roster {
	r, err := ParseRoster(p.Roster)
	if err != nil {
		panic(fmt.Sprintf("a proposal's roster cannot be read again: %v", err)) // Propose has read it
	}
	return r
}

// A Situation is what counts beside the roster itself.
type Situation struct {
	Now       time.Time
	Snapshots bool        // the safe has any
	Suspended Suspensions // that are in force
}

// Errors of those who may not agree.
var (
	ErrSuspended = errors.New("suspended people, and suspended keys, count for nothing until a new version of the roster lifts that")
	ErrObjector  = errors.New("who has objected to a version cannot agree with it any more: propose another one")
	ErrObjected  = errors.New("this person has objected to the version before: now it is for a pair without them to decide")
	ErrRepeated  = errors.New("this person has agreed already")
	ErrStale     = errors.New("this agreement is from before an objection")
	ErrNoVoice   = errors.New("only keykeepers and operators agree on a roster")
	// ErrMaker means that a version begins a role key with which nobody of that
	// role has agreed. Whoever makes a key knows it: a keykeeper who made the
	// operators' key, too, would read alone what is sealed to both.
	ErrMaker = errors.New("it begins a role key that nobody of that role has proposed: whoever made it knows it")
)

// Agree adds a person's agreement.
func (p Proposal) Agree(current Roster, signed ledger.Signed, sit Situation) (Proposal, error) {
	before, next := p, p.Next()
	voters := current.voters(next)
	s, a, key, err := voters.verifyAgree(signed, next)
	if err != nil {
		return p, err
	}
	person, _ := voters.Person(s.Person)
	switch {
	case !person.Has(Keykeeper) && !person.Has(Operator):
		return p, ErrNoVoice
	case sit.Suspended.Stop(s.Person, key):
		return p, ErrSuspended
	case slices.Contains(p.Objected, s.Person):
		return p, ErrObjector
	case a.After != p.After:
		return p, ErrStale
	}
	for _, other := range p.Agreed {
		if o, err := ParseStatement([]byte(other.Statement)); err != nil || o.Person == s.Person {
			return p, ErrRepeated
		}
	}
	p.Agreed = append(slices.Clone(p.Agreed), signed)
	if err := p.CheckMakers(current); err != nil {
		return before, err
	}
	if p.Ready.IsZero() && p.complete(voters) {
		wait := Wait
		if !sit.Snapshots {
			wait = 0
		}
		p.Ready = sit.Now.UTC().Add(wait)
	}
	return p, nil
}

// CheckMakers returns ErrMaker unless somebody of each role whose key is new
// has agreed. Whoever is asked to agree asks this first, of a proposal as the
// safe shows it: so the new key of a role comes from one of the role, and only
// papers begin both at once. The outer key that a safe is founded with is for
// CheckFounding.
func (p Proposal) CheckMakers(current Roster) error {
	next := p.Next()
	roles := p.agreed(current.voters(next))
	for _, role := range current.Renewed(next) {
		founds := role == Keykeeper && !current.Founded()
		if !founds && !slices.Contains(roles, role) {
			return ErrMaker
		}
	}
	return nil
}

// CheckFounding reports why next may not found the safe whose roster is
// current, as far as its role keys go. They are those that the safe was made
// with; only the outer key may be one that a keykeeper has made instead, who
// stands there as they have enrolled with it. So whoever has compared the words
// of that enrolment knows who made it, whoever proposes it.
func CheckFounding(current, next Roster, enrolments []Enrolment) error {
	if current.Founded() || len(current.Renewed(next)) == 0 {
		return nil
	}
	last := next.Current()
	if !same(last.Inner, current.Current().Inner) {
		return errors.New("it has another inner key than the safe was made with")
	}
	for _, e := range enrolments {
		p, _ := next.Person(e.Person.Name)
		sealed, _ := last.OuterCopy(p.Name)
		if p.Equal(e.Person) && same(e.Outer, last.Outer) && bytes.Equal(sealed, e.OuterCopy) {
			return nil
		}
	}
	return errors.New("it begins an outer key with which none of its keykeepers has enrolled")
}

// complete reports whether a keykeeper and an operator agree. No person is
// both, so they are two.
func (p Proposal) complete(voters Roster) bool {
	roles := p.agreed(voters)
	return slices.Contains(roles, Keykeeper) && slices.Contains(roles, Operator)
}

// agreed returns the roles of all whose agreement holds.
func (p Proposal) agreed(voters Roster) []Role {
	next := p.Next()
	var roles []Role
	for _, signed := range p.Agreed {
		if s, _, _, err := voters.verifyAgree(signed, next); err == nil {
			person, _ := voters.Person(s.Person)
			roles = append(roles, person.Roles...)
		}
	}
	return roles
}

// Prove records that both role keys were proven for this version.
func (p Proposal) Prove(now time.Time) Proposal {
	p.Papers = true
	p.Ready = now.UTC().Add(PapersWait)
	return p
}

// MayObject returns ErrObjected if the person has stopped the proposal before:
// or else one person alone could stop each version for ever, also the one that
// takes them out. What papers bring about can be stopped each time that they
// are proven, as there is no pair who would decide.
func (p Proposal) MayObject(name safe.PersonName) error {
	if slices.Contains(p.Objected, name) && !p.Papers {
		return ErrObjected
	}
	return nil
}

// Object stops the proposal, until a pair without the objector agrees anew.
// entry is the number of the ledger entry that records it.
func (p Proposal) Object(by safe.PersonName, entry int64) Proposal {
	p.Agreed, p.After, p.Papers, p.Ready = nil, entry, false, time.Time{}
	if !slices.Contains(p.Objected, by) {
		p.Objected = append(slices.Clone(p.Objected), by)
	}
	return p
}

// Due reports whether the version comes into force now. Those who agreed must
// still count: the caller passes what is known now.
func (p Proposal) Due(now time.Time) bool { return !p.Ready.IsZero() && !now.Before(p.Ready) }

// Recount drops the agreements of people who were suspended since, and with
// them what was complete because of them.
func (p Proposal) Recount(current Roster, suspended Suspensions) Proposal {
	next := p.Next()
	voters := current.voters(next)
	kept := slices.DeleteFunc(slices.Clone(p.Agreed), func(signed ledger.Signed) bool {
		s, _, key, err := voters.verifyAgree(signed, next)
		return err != nil || suspended.Stop(s.Person, key)
	})
	if len(kept) == len(p.Agreed) {
		return p
	}
	p.Agreed = kept
	if !p.Papers && !p.complete(voters) {
		p.Ready = time.Time{}
	}
	return p
}
