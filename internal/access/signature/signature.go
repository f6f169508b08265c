// Package signature is what stands under what people state: a signature with
// an SSH key, made in a terminal, or with a passkey, made in a browser.
//
// Both sign the same bytes for the same purpose. Their texts cannot be taken
// for one another, and those of SSH are what they were before there were
// passkeys: package sshsig and package passkey have the forms. Which of
// somebody's keys may sign what is not decided here.
package signature

import (
	"errors"
	"fmt"
	"strings"

	"strongroom/internal/access/passkey"
	"strongroom/internal/access/sshsig"
)

// A Key is a public key that people sign with. Two keys are the same if they
// are equal by ==. The zero Key is no key.
type Key struct {
	ssh     sshsig.PublicKey // one of the two is zero
	passkey passkey.Key
}

// FromSSH returns an SSH key as a Key.
func FromSSH(key sshsig.PublicKey) Key { return Key{ssh: key} }

// FromPasskey returns a passkey as a Key.
func FromPasskey(key passkey.Key) Key { return Key{passkey: key} }

// ParseKey reads the form that String writes, and no other.
func ParseKey(s string) (Key, error) {
	if strings.HasPrefix(s, passkey.KeyWord+" ") {
		key, err := passkey.ParseKey(s)
		return FromPasskey(key), err
	}
	key, err := sshsig.ParsePublicKey(s)
	return FromSSH(key), err
}

// SSH returns the SSH key, if it is one.
func (k Key) SSH() (sshsig.PublicKey, bool) { return k.ssh, !k.ssh.IsZero() }

// Passkey returns the passkey, if it is one.
func (k Key) Passkey() (passkey.Key, bool) { return k.passkey, !k.passkey.IsZero() }

// Fingerprint returns the key's name for people: SHA256 and a hash in base64.
// It must not be called on the zero Key.
func (k Key) Fingerprint() string {
	if key, ok := k.Passkey(); ok {
		return key.Fingerprint()
	}
	return k.ssh.Fingerprint()
}

// Kind says what sort of key it is: "SSH key" or "passkey".
func (k Key) Kind() string {
	if _, ok := k.Passkey(); ok {
		return "passkey"
	}
	return "SSH key"
}

func (k Key) String() string {
	if key, ok := k.Passkey(); ok {
		return key.String()
	}
	return k.ssh.String()
}

func (k Key) IsZero() bool         { return k == Key{} }
func (k Key) Equal(other Key) bool { return k == other }

// MarshalText writes what String returns; the zero Key has no text.
func (k Key) MarshalText() ([]byte, error) {
	if k.IsZero() {
		return nil, errors.New("a key is missing")
	}
	return []byte(k.String()), nil
}

func (k *Key) UnmarshalText(b []byte) (err error) {
	*k, err = ParseKey(string(b))
	return err
}

// A Signature is one by an SSH key or by a passkey. Two signatures are the same
// if they are equal by ==. The zero Signature is none.
type Signature struct {
	ssh       sshsig.Signature // one of the two is zero
	assertion string           // its text
}

// OfSSH returns what an SSH key has signed as a Signature.
func OfSSH(s sshsig.Signature) Signature { return Signature{ssh: s} }

// OfPasskey returns what a passkey has signed as a Signature.
func OfPasskey(a passkey.Assertion) (Signature, error) {
	b, err := a.MarshalText()
	return Signature{assertion: string(b)}, err
}

// Parse reads the form that String writes, and no other.
func Parse(s string) (Signature, error) {
	if strings.HasPrefix(s, passkey.Word+" ") {
		_, err := passkey.ParseAssertion(s)
		if err != nil {
			return Signature{}, err
		}
		return Signature{assertion: s}, nil
	}
	made, err := sshsig.ParseSignature(s)
	return OfSSH(made), err
}

// Verify checks that key has signed the message for the purpose that the
// namespace names. The domain is that of the passkeys; an SSH key has none.
func (s Signature) Verify(key Key, domain, namespace string, message []byte) error {
	if a, ok := s.Assertion(); ok {
		if key, ok := key.Passkey(); ok {
			return a.Verify(key, domain, namespace, message)
		}
		return errors.New("it is signed with a passkey, not with an SSH key")
	}
	if key, ok := key.Passkey(); ok {
		return fmt.Errorf("it is signed with an SSH key, not with passkey %s", key.Fingerprint())
	}
	return s.ssh.Verify(key.ssh, namespace, message)
}

// Assertion returns what a passkey has signed, if it was one.
func (s Signature) Assertion() (passkey.Assertion, bool) {
	if s.assertion == "" {
		return passkey.Assertion{}, false
	}
	a, err := passkey.ParseAssertion(s.assertion)
	if err != nil {
		panic(fmt.Sprintf("an assertion was taken and cannot be read: %v", err)) // every way to make one reads or checks it
	}
	return a, true
}

// String returns the signature on one line. That is also its text in JSON.
func (s Signature) String() string {
	if s.assertion != "" {
		return s.assertion
	}
	return s.ssh.String()
}

func (s Signature) IsZero() bool               { return s == Signature{} }
func (s Signature) Equal(other Signature) bool { return s == other }

// MarshalText writes what String returns; the zero Signature has no text.
func (s Signature) MarshalText() ([]byte, error) {
	if s.IsZero() {
		return nil, errors.New("a signature is missing")
	}
	return []byte(s.String()), nil
}

func (s *Signature) UnmarshalText(b []byte) (err error) {
	*s, err = Parse(string(b))
	return err
}
