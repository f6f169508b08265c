package access

import (
	"errors"
	"fmt"
	"slices"

	"strongroom/internal/access/signature"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/store/seal"
)

// CheckSuccessor reports why next may not follow r, whoever agrees. Nothing of
// the past may be taken out: neither keys that signed or sealed, nor the fact
// that a suspension was lifted.
func (r Roster) CheckSuccessor(next Roster) error {
	switch {
	case next.Store != r.Store:
		return fmt.Errorf("it is of store %s, not of %s", next.Store, r.Store)
	case next.Number != r.Number+1:
		return fmt.Errorf("version %d does not follow version %d", next.Number, r.Number)
	case next.Previous != r.Digest():
		return fmt.Errorf("it follows another version %d", r.Number)
	case r.Founded() && !next.Founded():
		return errors.New("a keykeeper and an operator must remain")
	case len(next.LedgerKeys) < len(r.LedgerKeys) || !slices.EqualFunc(next.LedgerKeys[:len(r.LedgerKeys)], r.LedgerKeys, same[ledger.PublicKey]):
		return errors.New("a key of the ledger is taken out")
	case r.Founded() && next.Gate != r.Gate && !r.Gate.IsZero():
		return errors.New("the gate has another host key")
	case r.Domain != next.Domain && r.HasPasskeys() && next.HasPasskeys():
		return fmt.Errorf("the domain of the passkeys is %q, was %q: they are bound to it, so it stays while there are any", next.Domain, r.Domain)
	}
	for _, entry := range r.Lifted {
		if !slices.Contains(next.Lifted, entry) {
			return fmt.Errorf("the suspension of ledger entry %d, which was lifted, is taken out", entry)
		}
	}
	return r.checkPeriodsOf(next)
}

// checkPeriodsOf sees that the role keys of r stay as they are, and that next
// begins one period at most. Copies may come and go with their people.
func (r Roster) checkPeriodsOf(next Roster) error {
	if n := len(next.Periods) - len(r.Periods); n < 0 || n > 1 {
		return fmt.Errorf("it has %d periods after %d: a version begins one at most, and ends none", len(next.Periods), len(r.Periods))
	}
	for i, old := range r.Periods {
		p := next.Periods[i]
		if !p.From.Equal(old.From) || !same(p.Outer, old.Outer) || !same(p.Inner, old.Inner) {
			return fmt.Errorf("the role keys of period %d are changed", i+1)
		}
	}
	if len(next.Periods) == len(r.Periods) {
		return nil
	}
	if a, b := r.Current(), next.Current(); same(a.Outer, b.Outer) && same(a.Inner, b.Inner) {
		return errors.New("it begins a period without a new role key")
	}
	for _, old := range r.Periods {
		if same[fmt.Stringer](next.Current().Outer, old.Inner) || same[fmt.Stringer](next.Current().Inner, old.Outer) {
			return errors.New("a role key of one role becomes that of the other")
		}
	}
	return nil
}

// Renewed returns the roles of which next begins a new role key.
func (r Roster) Renewed(next Roster) []Role {
	var roles []Role
	a, b := r.Current(), next.Current()
	if !same(a.Outer, b.Outer) {
		roles = append(roles, Keykeeper)
	}
	if !same(a.Inner, b.Inner) {
		roles = append(roles, Operator)
	}
	return roles
}

// same compares keys by their text: some hold pointers.
func same[K fmt.Stringer](a, b K) bool { return a.String() == b.String() }

// A Link is a version of the roster with what brought it into force, as a safe
// hands it out.
type Link struct {
	Roster []byte `json:"roster"`
	// Agreements are the statements of its keykeeper and its operator. None if
	// the safe was not founded, or if it came into force by papers.
	Agreements []ledger.Signed `json:"agreements,omitempty"`
	Papers     bool            `json:"papers,omitempty"`
}

// ErrPapers means that a version came into force by both role keys from paper,
// which only the safe has seen. Whoever follows the chain must ask people.
var ErrPapers = errors.New("this version of the roster was brought about with both paper keys, not by people: compare its words with those of other people, then pin it")

// Follow verifies that the links lead on from r, version by version, and
// returns the last. It needs r to be founded: what comes before cannot be
// verified, and is pinned by its words instead.
func (r Roster) Follow(links []Link) (Roster, error) {
	for _, link := range links {
		next, err := ParseRoster(link.Roster)
		if err != nil {
			return r, err
		}
		if err := r.follow(next, link); err != nil {
			return r, fmt.Errorf("version %d of the roster: %w", next.Number, err)
		}
		r = next
	}
	return r, nil
}

func (r Roster) follow(next Roster, link Link) error {
	if err := r.CheckSuccessor(next); err != nil {
		return err
	}
	if link.Papers {
		return ErrPapers
	}
	// Agreements after an objection name its entry, which only the ledger can
	// tell; that both name the same one is what can be seen here.
	var after []int64
	var roles []Role
	var people []safe.PersonName
	for _, signed := range link.Agreements {
		s, a, _, err := r.verifyAgree(signed, next)
		if err != nil {
			return err
		}
		p, _ := r.Person(s.Person)
		roles, people, after = append(roles, p.Roles...), append(people, p.Name), append(after, a.After)
	}
	slices.Sort(after)
	switch {
	case !slices.Contains(roles, Keykeeper) || !slices.Contains(roles, Operator):
		return fmt.Errorf("it was agreed on by %v, and needs a keykeeper and an operator of version %d", people, r.Number)
	case len(slices.Compact(after)) != 1:
		return errors.New("its agreements are from before and after an objection")
	}
	return nil
}

// voters returns the version whose people decide about next. Before the safe
// is founded, it is the people of next who found it by agreeing.
func (r Roster) voters(next Roster) Roster {
	if r.Founded() {
		return r
	}
	return next
}

// verifyAgree verifies that a person of r has agreed with next.
func (r Roster) verifyAgree(signed ledger.Signed, next Roster) (Statement, Agree, signature.Key, error) {
	s, key, err := r.Verify(signed)
	if err != nil {
		return Statement{}, Agree{}, key, err
	}
	a, ok := s.Act.(Agree)
	if !ok || a.Number != next.Number || a.Digest != next.Digest() {
		return Statement{}, Agree{}, key, fmt.Errorf("%s has signed something else", s.Person)
	}
	return s, a, key, nil
}

// OuterFor returns the copies of the outer keys that the person can open,
// newest period first, with what they must open to.
func (r Roster) OuterFor(name safe.PersonName) []SealedOuter {
	var all []SealedOuter
	for i, p := range slices.Backward(r.Periods) {
		if c, ok := p.OuterCopy(name); ok {
			all = append(all, SealedOuter{Period: i + 1, Recipient: p.Outer, Copy: c})
		}
	}
	return all
}

// InnerFor is OuterFor for the inner keys.
func (r Roster) InnerFor(name safe.PersonName) []SealedInner {
	var all []SealedInner
	for i, p := range slices.Backward(r.Periods) {
		if c, ok := p.InnerCopy(name); ok {
			all = append(all, SealedInner{Period: i + 1, Recipient: p.Inner, Copy: c})
		}
	}
	return all
}

// A SealedOuter is a person's copy of the outer key of a period.
type SealedOuter struct {
	Period    int // from 1
	Recipient seal.OuterRecipient
	Copy      []byte
}

// A SealedInner is a person's copy of the inner key of a period.
type SealedInner struct {
	Period    int // from 1
	Recipient seal.InnerRecipient
	Copy      []byte
}
