package access

import (
	"errors"
	"fmt"
	"net/mail"
	"net/netip"
	"slices"

	"strongroom/internal/access/passkey"
	"strongroom/internal/access/signature"
	"strongroom/internal/access/sshsig"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/spelling"
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
	SSH []sshsig.PublicKey `json:"ssh,omitempty"`
	// Addresses are those that an operator comes from: the usual one, and one
	// for the day on which that is gone.
	Addresses []netip.Addr `json:"addresses,omitempty"`
	Passkeys  []Passkey    `json:"passkeys,omitempty"`
}

// A Passkey is one that a person has, and what for.
type Passkey struct {
	Key passkey.Key `json:"key"`
	Use PasskeyUse  `json:"use"`
	// Synced passkeys are copied to other devices by their provider, and are as
	// safe as an account there.
	Synced bool `json:"synced,omitempty"`
}

// A PasskeyUse says what a passkey is for. One that people touch each morning
// to look at pages shall not be the one whose touch releases.
type PasskeyUse string

const (
	SignIn  PasskeyUse = "sign-in" // to look at the pages; signs no act
	Release PasskeyUse = "release" // signs acts and releases, as an SSH key does
)

func (u *PasskeyUse) UnmarshalText(b []byte) error {
	*u = PasskeyUse(b)
	return u.check()
}

func (u PasskeyUse) check() error {
	if u != SignIn && u != Release {
		return fmt.Errorf("%.40q is no use of a passkey: there are sign-in and release", string(u))
	}
	return nil
}

// PasskeysFor returns the passkeys of that use.
func (p Person) PasskeysFor(use PasskeyUse) []passkey.Key {
	var keys []passkey.Key
	for _, k := range p.Passkeys {
		if k.Use == use {
			keys = append(keys, k.Key)
		}
	}
	return keys
}

// Signing returns the keys with which the person signs acts and releases.
func (p Person) Signing() []signature.Key {
	var keys []signature.Key
	for _, k := range p.SSH {
		keys = append(keys, signature.FromSSH(k))
	}
	for _, k := range p.PasskeysFor(Release) {
		keys = append(keys, signature.FromPasskey(k))
	}
	return keys
}

// Keys returns all keys by which the safe knows the person.
func (p Person) Keys() []signature.Key {
	keys := p.Signing()
	for _, k := range p.PasskeysFor(SignIn) {
		keys = append(keys, signature.FromPasskey(k))
	}
	return keys
}

// Has reports whether the person has the role.
func (p Person) Has(role Role) bool { return slices.Contains(p.Roles, role) }

// ComesFrom reports whether the address is one of the person's.
func (p Person) ComesFrom(a netip.Addr) bool { return slices.Contains(p.Addresses, a.Unmap()) }

// Equal reports whether both stand in a roster in the same way.
func (p Person) Equal(other Person) bool {
	b, err := spelling.Of(other)
	return err == nil && spelling.Is(b, p)
}

const (
	maxKeysOfPerson = 4
	maxPasskeys     = 8
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
		// Package mail takes every character beyond ASCII, also those that disguise
		// a line.
		a, err := mail.ParseAddress(p.Mail)
		if err != nil || a.Address != p.Mail || a.Name != "" || ledger.TextOf(p.Mail) != ledger.Text(p.Mail) {
			return fmt.Errorf("%.80q is not a mail address", p.Mail)
		}
	}
	if err := p.checkKeys(); err != nil {
		return err
	}
	if (p.Has(Keykeeper) || p.Has(Operator)) == p.Key.IsZero() {
		return errors.New("keykeepers and operators have a personal key, nobody else")
	}
	return p.checkAddresses()
}

// checkKeys sees that there is a key for what the person does: an operator
// comes through the gate, and a keykeeper or an officer signs.
func (p Person) checkKeys() error {
	if len(p.SSH) > maxKeysOfPerson {
		return fmt.Errorf("has %d SSH keys, at most %d are possible", len(p.SSH), maxKeysOfPerson)
	}
	if len(p.Passkeys) > maxPasskeys {
		return fmt.Errorf("has %d passkeys, at most %d are possible", len(p.Passkeys), maxPasskeys)
	}
	for _, k := range p.Passkeys {
		if k.Key.IsZero() {
			return errors.New("has an empty passkey")
		}
		if err := k.Use.check(); err != nil {
			return err
		}
	}
	signs := p.Has(Keykeeper) || p.Has(Officer)
	switch {
	case p.Has(Operator) && len(p.SSH) == 0:
		return errors.New("has no SSH key: an operator signs and reads with one")
	case p.Has(Operator) && len(p.PasskeysFor(Release)) > 0:
		return errors.New("has a passkey for releases: an operator signs with SSH keys alone")
	case signs && len(p.Signing()) == 0:
		return errors.New("has no key to sign with: neither SSH keys nor a passkey for releases")
	case len(p.Keys()) == 0:
		return errors.New("has no key: neither SSH keys nor passkeys")
	}
	return nil
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
