// Package access says who may do what: the roster in its numbered versions,
// how a new version comes into force, and what people sign.
//
// All of it is computation, for the safe and for the people's own machines
// alike: neither believes the other, and both check the same. Nothing here
// does I/O or has a clock. Openings are in package opening, the door itself in
// package gate.
package access

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"strongroom/internal/access/passkey"
	"strongroom/internal/access/sshsig"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/spelling"
	"strongroom/internal/store/seal"
)

// A Roster is one version of the roster. Only public keys stand in it, and
// role keys sealed to people.
type Roster struct {
	Version    int                `json:"v"`
	Store      safe.StoreID       `json:"store"`
	Number     int                `json:"n"`                 // from 1
	Previous   safe.Digest        `json:"previous,omitzero"` // of version n-1; not in the first
	LedgerKeys []ledger.PublicKey `json:"ledger_keys"`       // all that were ever valid, the newest last
	Periods    []Period           `json:"periods"`           // the newest last
	People     []Person           `json:"people,omitempty"`  // by name
	// Gate is the host key of the gate.
	Gate sshsig.PublicKey `json:"gate,omitzero"`
	// Domain is what people's passkeys are bound to, the RP ID of WebAuthn:
	// "acme.example". It is theirs for good, which is why it stands here and not
	// in a configuration alone.
	Domain string `json:"domain,omitempty"`
	// Lifted are the numbers of the ledger's entries that suspended somebody
	// and count no more, ascending.
	Lifted []int64 `json:"lifted,omitempty"`
}

// A Period has its own pair of role keys. Runs are sealed to those of the
// newest period.
type Period struct {
	From  time.Time           `json:"from"`
	Outer seal.OuterRecipient `json:"outer"` // the keykeepers' role key
	Inner seal.InnerRecipient `json:"inner"` // the operators' role key
	// OuterCopies and InnerCopies are the private halves, each sealed to a
	// person's own key, by name.
	OuterCopies []Copy `json:"outer_copies,omitempty"`
	InnerCopies []Copy `json:"inner_copies,omitempty"`
}

// A Copy is a role key that one person can open.
type Copy struct {
	Person safe.PersonName `json:"person"`
	Sealed []byte          `json:"sealed"` // an age file
}

// findCopy returns the copy of that person.
func findCopy(copies []Copy, name safe.PersonName) ([]byte, bool) {
	for _, c := range copies {
		if c.Person == name {
			return c.Sealed, true
		}
	}
	return nil, false
}

// OuterCopy returns the copy of the outer key that the person can open.
func (p Period) OuterCopy(name safe.PersonName) ([]byte, bool) { return findCopy(p.OuterCopies, name) }

// InnerCopy returns the copy of the inner key that the person can open.
func (p Period) InnerCopy(name safe.PersonName) ([]byte, bool) { return findCopy(p.InnerCopies, name) }

const (
	// MaxRoster bounds the bytes of a roster: 100 people and 20 periods take
	// 1 MB.
	MaxRoster = 4 << 20

	maxPeople  = 200
	maxPeriods = 200
	maxLifted  = 10_000
)

const rosterVersion = 1

// First returns version 1 of the roster of the safe whose ledger the key
// signs. Nobody stands in it yet.
func First(key ledger.PublicKey, gate sshsig.PublicKey, period Period) Roster {
	return Roster{Version: rosterVersion, Store: key.Store(), Number: 1, LedgerKeys: []ledger.PublicKey{key}, Periods: []Period{period}, Gate: gate}
}

// Current returns the period whose keys runs are sealed to.
func (r Roster) Current() Period { return r.Periods[len(r.Periods)-1] }

// Founded reports whether the roster has both roles. From then on each new
// version needs one person of each, and the digest of the first such version
// is what people pin.
func (r Roster) Founded() bool { return r.Count(Keykeeper) > 0 && r.Count(Operator) > 0 }

// Count returns how many people have the role.
func (r Roster) Count(role Role) int {
	n := 0
	for _, p := range r.People {
		if p.Has(role) {
			n++
		}
	}
	return n
}

// HasPasskeys reports whether anybody has one.
func (r Roster) HasPasskeys() bool {
	return slices.ContainsFunc(r.People, func(p Person) bool { return len(p.Passkeys) > 0 })
}

// Person returns the person of that name.
func (r Roster) Person(name safe.PersonName) (Person, bool) {
	for _, p := range r.People {
		if p.Name == name {
			return p, true
		}
	}
	return Person{}, false
}

// Next returns the beginning of the version after r: a deep copy with the next
// number, for the caller to change.
func (r Roster) Next() Roster {
	next, err := ParseRoster(r.Encode())
	if err != nil {
		panic(fmt.Sprintf("a roster cannot be read again: %v", err)) // r was checked when it was made
	}
	next.Number++
	next.Previous = r.Digest()
	return next
}

// Digest is what people compare in words, and what the ledger records.
func (r Roster) Digest() safe.Digest { return safe.DigestOf(r.Encode()) }

// Encode returns the one spelling of r that is stored and hashed.
func (r Roster) Encode() []byte {
	b, err := spelling.Of(r)
	if err != nil {
		panic(fmt.Sprintf("a roster cannot be encoded: %v", err)) // of those that check accepts, none fails
	}
	return b
}

// ParseRoster reads what Encode writes, strictly, and checks that it can be a
// roster. Whether it may follow another is for CheckSuccessor.
func ParseRoster(b []byte) (Roster, error) {
	var r Roster
	if err := spelling.Parse(b, MaxRoster, "a roster", &r); err != nil {
		return Roster{}, err
	}
	if r.Version != rosterVersion {
		return Roster{}, fmt.Errorf("a roster has version %d of the format, this program knows version %d", r.Version, rosterVersion)
	}
	if err := r.check(); err != nil {
		return Roster{}, fmt.Errorf("a roster cannot be: %w", err)
	}
	if !spelling.Is(b, r) {
		return Roster{}, errors.New("a roster is not in its canonical spelling")
	}
	return r, nil
}

func (r Roster) check() error {
	switch {
	case r.Number < 1 || len(r.Periods) == 0 || len(r.LedgerKeys) == 0:
		return errors.New("it lacks its number, its role keys or the ledger's key")
	case (r.Number == 1) != r.Previous.IsZero():
		return fmt.Errorf("version %d does not go with previous version %s", r.Number, r.Previous)
	case len(r.People) > maxPeople || len(r.Periods) > maxPeriods || len(r.Lifted) > maxLifted:
		return fmt.Errorf("it has %d people, %d periods, %d suspensions lifted", len(r.People), len(r.Periods), len(r.Lifted))
	case !slices.IsSorted(r.Lifted) || len(slices.Compact(slices.Clone(r.Lifted))) != len(r.Lifted):
		return errors.New("the suspensions lifted are not in order")
	case r.Domain == "" && r.HasPasskeys():
		return errors.New("it does not say of which domain its passkeys are")
	}
	if r.Domain != "" {
		if err := passkey.CheckDomain(r.Domain); err != nil {
			return err
		}
	}
	return errors.Join(r.checkPeople(), r.checkPeriods())
}

func (r Roster) checkPeople() error {
	ssh := make(map[string]safe.PersonName)
	passkeys := make(map[string]safe.PersonName)    // by the public key
	credentials := make(map[string]safe.PersonName) // by the passkey's id, by which a browser's answer is looked up
	personal := make(map[string]safe.PersonName)
	for i, p := range r.People {
		if err := p.Check(); err != nil {
			return err
		}
		if i > 0 && r.People[i-1].Name >= p.Name {
			return errors.New("the people are not in order of their names")
		}
		for _, key := range p.SSH {
			if key.IsZero() {
				return fmt.Errorf("%s has an empty SSH key", p.Name)
			}
			if other, taken := ssh[key.String()]; taken {
				return fmt.Errorf("%s and %s have the same SSH key: two people must be two", other, p.Name)
			}
			ssh[key.String()] = p.Name
		}
		for _, k := range p.Passkeys {
			key, credential := k.Key.Fingerprint(), string(k.Key.Credential())
			other, taken := passkeys[key]
			if !taken {
				other, taken = credentials[credential]
			}
			if taken {
				return fmt.Errorf("%s and %s have the same passkey: two people must be two, and so must the uses of one", other, p.Name)
			}
			passkeys[key], credentials[credential] = p.Name, p.Name
		}
		if p.Key.IsZero() {
			continue
		}
		if other, taken := personal[p.Key.String()]; taken {
			return fmt.Errorf("%s and %s have the same personal key: two people must be two", other, p.Name)
		}
		personal[p.Key.String()] = p.Name
	}
	return nil
}

func (r Roster) checkPeriods() error {
	for i, period := range r.Periods {
		if period.Outer.IsZero() || period.Inner.IsZero() || same[fmt.Stringer](period.Outer, period.Inner) {
			return fmt.Errorf("period %d does not have two role keys", i+1)
		}
		if i > 0 && !r.Periods[i-1].From.Before(period.From) {
			return fmt.Errorf("period %d does not begin after the one before", i+1)
		}
		if err := errors.Join(r.checkCopies(period.OuterCopies, Keykeeper), r.checkCopies(period.InnerCopies, Operator)); err != nil {
			return fmt.Errorf("period %d: %w", i+1, err)
		}
	}
	return nil
}

// checkCopies sees that copies belong to people of that role, who alone may
// hold them.
func (r Roster) checkCopies(copies []Copy, role Role) error {
	for i, c := range copies {
		if p, ok := r.Person(c.Person); !ok || !p.Has(role) {
			return fmt.Errorf("%s has a copy of the %ss' key and is none", c.Person, role)
		}
		if i > 0 && copies[i-1].Person >= c.Person {
			return errors.New("the copies are not in order of their names")
		}
		if len(c.Sealed) == 0 || len(c.Sealed) > seal.MaxCopy {
			return fmt.Errorf("the copy of %s has %d bytes", c.Person, len(c.Sealed))
		}
	}
	return nil
}
