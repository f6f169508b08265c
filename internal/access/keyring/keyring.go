// Package keyring is what a keykeeper's passkey keeps for them: their personal
// key, and the outer keys of periods, each wrapped in a file of its own.
//
// A file is an age file with one stanza of the type
// age-encryption.org/fido2prf: what opens it is an output of the passkey's
// authenticator (the extension PRF of WebAuthn) for a nonce that is in the
// stanza, so one touch opens one file. They are made and opened in the person's
// browser, or by any other program that knows the type and has the
// authenticator. The safe keeps a keyring, and hands it out to its person
// alone; without the authenticator it is worth nothing.
//
// Nothing here opens anything, and so nothing here says that a file holds the
// key that it should. Whoever opens it compares with the roster. A person who
// has no keyring, or not the passkey any more, has the personal key on paper.
package keyring

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/access/passkey"
	"strongroom/internal/safe"
	"strongroom/internal/spelling"
)

// A Keyring belongs to one passkey of a person. The newest that a person has
// sent counts.
type Keyring struct {
	Version  int             `json:"v"`
	Store    safe.StoreID    `json:"store"`
	Person   safe.PersonName `json:"person"`
	Passkey  Credential      `json:"passkey"`
	Time     time.Time       `json:"time"`     // in whole seconds
	Personal []byte          `json:"personal"` // the personal key, wrapped
	Periods  []Period        `json:"periods"`  // ascending; those that were taken over so far
}

// A Period has the outer key of a period of the roster.
type Period struct {
	Number int    `json:"n"`      // from 1
	Sealed []byte `json:"sealed"` // the outer key, wrapped
}

// A Credential is the id of a passkey.
type Credential []byte

func (c Credential) MarshalText() ([]byte, error) {
	return []byte(base64.RawURLEncoding.EncodeToString(c)), nil
}

func (c *Credential) UnmarshalText(b []byte) error {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(string(b))
	if err != nil {
		return errors.New("the id of a passkey is not in base64url")
	}
	*c = raw
	return nil
}

// MaxKeyring bounds the bytes of a keyring. A wrapped outer key takes about 3 kB
// of it.
const MaxKeyring = 1 << 20

const (
	version    = 1
	maxWrapped = 16 << 10
)

// Encode returns the one spelling of k.
func (k Keyring) Encode() []byte {
	b, err := spelling.Of(k)
	if err != nil {
		panic(fmt.Sprintf("a keyring cannot be encoded: %v", err)) // no field can fail
	}
	return b
}

// Parse reads what Encode writes, and nothing else.
func Parse(b []byte) (Keyring, error) {
	var k Keyring
	if err := spelling.Parse(b, MaxKeyring, "a keyring", &k); err != nil {
		return Keyring{}, err
	}
	if k.Version != version {
		return Keyring{}, fmt.Errorf("a keyring of version %d, this program knows version %d", k.Version, version)
	}
	if err := k.check(); err != nil {
		return Keyring{}, fmt.Errorf("a keyring cannot be: %w", err)
	}
	if !spelling.Is(b, k) {
		return Keyring{}, errors.New("a keyring is not in its canonical spelling")
	}
	return k, nil
}

func (k Keyring) check() error {
	switch {
	case k.Store.IsZero() || k.Person == "" || len(k.Passkey) == 0:
		return errors.New("it does not say whose it is")
	case k.Time.IsZero() || k.Time.Location() != time.UTC || k.Time.Nanosecond() != 0:
		return errors.New("its time is not in whole seconds of UTC")
	case k.Periods == nil:
		return errors.New("it has no list of periods")
	}
	if err := checkWrapped(k.Personal); err != nil {
		return fmt.Errorf("the personal key: %w", err)
	}
	for i, p := range k.Periods {
		if p.Number < 1 || i > 0 && k.Periods[i-1].Number >= p.Number {
			return errors.New("its periods are not in order")
		}
		if err := checkWrapped(p.Sealed); err != nil {
			return fmt.Errorf("the outer key of period %d: %w", p.Number, err)
		}
	}
	return nil
}

// wrapped is the header of an age file that an authenticator opens, and nobody
// else: nonce, file key, MAC.
var wrapped = regexp.MustCompile(`^age-encryption\.org/v1\n-> age-encryption\.org/fido2prf [A-Za-z0-9+/]{22}\n[A-Za-z0-9+/]{43}\n--- [A-Za-z0-9+/]{43}\n`)

// checkWrapped sees that a key is not there in the clear, nor sealed to a
// recipient beside the passkey, should a page be wrong, or not be ours.
func checkWrapped(file []byte) error {
	switch {
	case len(file) > maxWrapped:
		return fmt.Errorf("it has %d bytes, at most %d are possible", len(file), maxWrapped)
	case !wrapped.Match(file):
		return errors.New("it is not wrapped under a passkey and nothing else")
	}
	return nil
}

// Continues reports whether k has all that the keyring before it has, unchanged,
// and more. So whoever gets hold of a session can add what is of no use, once for
// each period, and take nothing away.
func (k Keyring) Continues(before Keyring) bool {
	if !bytes.Equal(k.Personal, before.Personal) || len(k.Periods) <= len(before.Periods) {
		return false
	}
	for _, p := range before.Periods {
		if !slices.ContainsFunc(k.Periods, func(q Period) bool { return p.Number == q.Number && bytes.Equal(p.Sealed, q.Sealed) }) {
			return false
		}
	}
	return true
}

// Belongs reports why a keyring is not one of that person, as they stand in a
// roster with so many periods.
func (k Keyring) Belongs(store safe.StoreID, p access.Person, periods int) error {
	mine := func(key passkey.Key) bool { return string(key.Credential()) == string(k.Passkey) }
	switch {
	case k.Store != store:
		return fmt.Errorf("it is for store %s, not for %s", k.Store, store)
	case k.Person != p.Name:
		return fmt.Errorf("it is the keyring of %s, not of %s", k.Person, p.Name)
	case !p.Has(access.Keykeeper):
		return fmt.Errorf("%s is no keykeeper", p.Name)
	case !slices.ContainsFunc(p.PasskeysFor(access.Release), mine):
		return fmt.Errorf("it is wrapped under a passkey that is not one of %s for releases", p.Name)
	case len(k.Periods) > 0 && k.Periods[len(k.Periods)-1].Number > periods:
		return fmt.Errorf("it has the outer key of period %d, and there are %d", k.Periods[len(k.Periods)-1].Number, periods)
	}
	return nil
}
