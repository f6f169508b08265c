package access

import (
	"errors"
	"fmt"
	"net/mail"
	"net/netip"
	"slices"

	"strongroom/internal/access/sshsig"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/store/seal"
)

// A Role says what a person may do.
type Role string

const (
	Keykeeper Role = "keykeeper" // releases the outer seal
	Operator  Role = "operator"  // asks for openings, and restores
	Officer   Role = "officer"   // signs recoveries off, acknowledges findings
	Auditor   Role = "auditor"   // looks
)

// ParseRole checks s.
func ParseRole(s string) (Role, error) {
	switch r := Role(s); r {
	case Keykeeper, Operator, Officer, Auditor:
		return r, nil
	}
	return "", fmt.Errorf("%.40q is no role: there are keykeeper, operator, officer and auditor", s)
}

func (r *Role) UnmarshalText(b []byte) (err error) {
	*r, err = ParseRole(string(b))
	return err
}

// A Person stands in the roster.
type Person struct {
	Name     safe.PersonName `json:"name"`
	FullName ledger.Text     `json:"full_name,omitempty"`
	Roles    []Role          `json:"roles"`          // ascending, each once
	Mail     string          `json:"mail,omitempty"` // an address and nothing else
	// Key is the person's own, to which copies of role keys are sealed.
	// Keykeepers and operators have one.
	Key seal.PersonalRecipient `json:"key,omitzero"`
	// SSH are the keys that sign for the person, and open the gate.
	SSH []sshsig.PublicKey `json:"ssh"`
	// Addresses are those that an operator comes from: the usual one, and one
	// for the day on which that is gone.
	Addresses []netip.Addr `json:"addresses,omitempty"`
}

// Has reports whether the person has the role.
func (p Person) Has(role Role) bool { return slices.Contains(p.Roles, role) }

// ComesFrom reports whether the address is one of the person's.
func (p Person) ComesFrom(a netip.Addr) bool { return slices.Contains(p.Addresses, a.Unmap()) }

const (
	maxKeysOfPerson = 4
	maxAddresses    = 2
)

// Check reports what a roster cannot hold of the person.
func (p Person) Check() error {
	if err := p.check(); err != nil {
		return fmt.Errorf("%s: %w", p.Name, err)
	}
	return nil
}

func (p Person) check() error {
	if _, err := safe.ParsePersonName(string(p.Name)); err != nil {
		return err
	}
	if len(p.Roles) == 0 {
		return errors.New("has no role")
	}
	if !slices.IsSorted(p.Roles) || len(slices.Compact(slices.Clone(p.Roles))) != len(p.Roles) {
		return errors.New("the roles are not in order")
	}
	if p.Has(Keykeeper) && p.Has(Operator) {
		return errors.New("cannot be keykeeper and operator: one person would open the safe alone")
	}
	if p.Mail != "" {
		if a, err := mail.ParseAddress(p.Mail); err != nil || a.Address != p.Mail || a.Name != "" {
			return fmt.Errorf("%.80q is not a mail address", p.Mail)
		}
	}
	if len(p.SSH) == 0 || len(p.SSH) > maxKeysOfPerson {
		return fmt.Errorf("has %d SSH keys, wants 1 to %d", len(p.SSH), maxKeysOfPerson)
	}
	if (p.Has(Keykeeper) || p.Has(Operator)) == p.Key.IsZero() {
		return errors.New("keykeepers and operators have a personal key, nobody else")
	}
	return p.checkAddresses()
}

func (p Person) checkAddresses() error {
	switch {
	case !p.Has(Operator) && len(p.Addresses) > 0:
		return errors.New("only operators have an address that they come from")
	case p.Has(Operator) && (len(p.Addresses) == 0 || len(p.Addresses) > maxAddresses):
		return fmt.Errorf("an operator has one address, or two, not %d", len(p.Addresses))
	}
	for i, a := range p.Addresses {
		if !a.IsValid() || a != a.Unmap() || a.Zone() != "" || a.IsUnspecified() || a.IsMulticast() {
			return fmt.Errorf("%s cannot be the address that somebody comes from", a)
		}
		if slices.Contains(p.Addresses[:i], a) {
			return fmt.Errorf("address %s stands there twice", a)
		}
	}
	return nil
}
