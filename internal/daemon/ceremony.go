package daemon

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/go-webauthn/webauthn/protocol/webauthncbor"

	"strongroom/internal/access"
	"strongroom/internal/access/api"
	"strongroom/internal/access/passkey"
	"strongroom/internal/daemon/state"
	"strongroom/internal/safe"
)

// passkeyChallenge is what the passkeys of one enrolment answer.
type passkeyChallenge [32]byte

// BeginPasskeys returns what somebody who was invited needs to make passkeys on
// a page of the safe. The challenge lasts as long as an invitation, since a key
// may have to be printed meanwhile; a new one makes it void.
func (s *Safe) BeginPasskeys(ctx context.Context, from netip.Addr, token access.Token) (api.Ceremony, error) {
	v, now := s.state.View(ctx), s.opts.Now().UTC()
	invited, err := goodInvitation(v, token, now)
	if err != nil {
		return api.Ceremony{}, s.settle(ctx, from, "enrol", err)
	}
	roster := s.Roster()
	domain, err := s.domain(roster)
	if err != nil {
		return api.Ceremony{}, err
	}
	var challenge passkeyChallenge
	rand.Read(challenge[:]) // never fails: crypto/rand aborts the program instead
	s.callers.passkeys.put(now, access.InvitationLife, "", safe.DigestOf(token[:]), challenge)
	c := api.Ceremony{Challenge: challenge[:], Domain: domain, Name: s.config.Safe}
	if slices.Contains(invited.Roles, access.Keykeeper) && !roster.Founded() {
		c.Founding = &api.Founding{Outer: roster.Current().Outer, Period: len(roster.Periods)}
	}
	return c, nil
}

// domain returns what passkeys are bound to: where the first were made, all are.
func (s *Safe) domain(r access.Roster) (string, error) {
	if r.HasPasskeys() {
		return r.Domain, nil
	}
	if s.config.Serve == nil || s.config.Serve.Passkeys.Domain == "" {
		return "", invalid("this safe has no name that passkeys could be bound to: its configuration names addresses only")
	}
	return s.config.Serve.Passkeys.Domain, nil
}

// checkPasskeys sees that the passkeys of an enrolment are those that were just
// made with its invitation, on a page of that origin.
func (s *Safe) checkPasskeys(token access.Token, e access.Enrolment, origin string, made []api.Registration) error {
	if len(made) != len(e.Person.Passkeys) {
		return fmt.Errorf("it has %d passkeys, and %d were made on the safe's page for it", len(e.Person.Passkeys), len(made))
	}
	if len(made) == 0 {
		return nil
	}
	challenge, ok := s.callers.passkeys.look(s.opts.Now().UTC(), safe.DigestOf(token[:]))
	if !ok {
		return errors.New("no passkeys were asked for with its invitation since the safe was started")
	}
	domain, err := s.domain(s.Roster())
	if err != nil {
		return err
	}
	if e.Domain != domain {
		return fmt.Errorf("its passkeys are for %q, and this safe's are for %q", e.Domain, domain)
	}
	for i, r := range made {
		got, err := readRegistration(r, domain, origin, challenge)
		if err != nil {
			return fmt.Errorf("passkey %d: %w", i+1, err)
		}
		if want := e.Person.Passkeys[i]; got.Key != want.Key || got.Use != want.Use || got.Synced != want.Synced {
			return fmt.Errorf("passkey %d is not the one that was made for %s on the safe's page", i+1, want.Use)
		}
	}
	return nil
}

// checkOwn sees that nobody else has the passkeys of somebody who enrols. What is
// public of a passkey can be copied, and who has the private key would sign in
// as the one who has not.
func (s *Safe) checkOwn(v state.View, p access.Person) error {
	people, err := everybody(v, s.Roster())
	if err != nil {
		return err
	}
	for _, other := range people {
		for _, k := range other.Passkeys {
			mine := slices.ContainsFunc(p.Passkeys, func(own access.Passkey) bool { return own.Key.Fingerprint() == k.Key.Fingerprint() })
			if mine && other.Name != p.Name {
				return fmt.Errorf("%s has a passkey of %s", p.Name, other.Name)
			}
		}
	}
	return nil
}

// readRegistration returns the passkey that navigator.credentials.create() made
// for a challenge, on a page of that origin.
//
// No authenticator is asked to vouch for it (attestation "none"), and what comes
// of that is not looked at. So none of this is signed, and it keeps nobody from
// lying who holds the invitation. It finds passkeys that could never be used,
// and pages that are not the safe's; that the person has the private key shows
// when they sign in.
func readRegistration(r api.Registration, domain, origin string, challenge passkeyChallenge) (access.Passkey, error) {
	var page struct {
		Type        string `json:"type"`
		Challenge   string `json:"challenge"`
		Origin      string `json:"origin"`
		CrossOrigin bool   `json:"crossOrigin"`
	}
	if err := json.Unmarshal(r.ClientData, &page); err != nil {
		return access.Passkey{}, errors.New("what the browser says of it cannot be read")
	}
	switch {
	case page.Type != "webauthn.create":
		return access.Passkey{}, fmt.Errorf("the browser made it as %.40q", page.Type)
	case page.Challenge != base64.RawURLEncoding.EncodeToString(challenge[:]):
		return access.Passkey{}, errors.New("it was made for another challenge")
	case page.CrossOrigin || origin == "" || page.Origin != origin:
		return access.Passkey{}, fmt.Errorf("it was made on a page of %.100q, not on the safe's own", page.Origin)
	}
	var object struct {
		AuthData []byte `cbor:"authData"`
	}
	if err := webauthncbor.Unmarshal(r.AttestationObject, &object); err != nil {
		return access.Passkey{}, errors.New("what the authenticator says of it cannot be read")
	}
	return readAuthenticatorData(r.Use, object.AuthData, domain)
}

// Flags of authenticator data.
const (
	flagPresent    = 1 << 0
	flagVerified   = 1 << 2
	flagSyncable   = 1 << 3 // "backup eligible"
	flagCredential = 1 << 6
)

// readAuthenticatorData reads what WebAuthn, 6.1, has in a fixed order: the hash
// of the domain (32 bytes), flags (1), a counter (4), the model (16), the length
// of the credential's id (2), the id, the key in CBOR, and extensions.
func readAuthenticatorData(use access.PasskeyUse, b []byte, domain string) (access.Passkey, error) {
	const flagsAt, lengthAt, idAt = 32, 53, 55
	if len(b) < idAt {
		return access.Passkey{}, errors.New("what the authenticator says of it is cut short")
	}
	flags := b[flagsAt]
	hash := sha256.Sum256([]byte(domain))
	switch {
	case !bytes.HasPrefix(b, hash[:]):
		return access.Passkey{}, fmt.Errorf("it is for another domain than %s", domain)
	case flags&flagPresent == 0 || flags&flagVerified == 0:
		return access.Passkey{}, errors.New("the authenticator did not ask who touched it: a finger, a face or a PIN is needed")
	case flags&flagCredential == 0:
		return access.Passkey{}, errors.New("the authenticator does not say which key it made")
	}
	keyAt := idAt + int(binary.BigEndian.Uint16(b[lengthAt:]))
	if len(b) < keyAt {
		return access.Passkey{}, errors.New("what the authenticator says of it is cut short")
	}
	var key webauthncbor.RawMessage
	if _, err := webauthncbor.UnmarshalFirst(b[keyAt:], &key); err != nil {
		return access.Passkey{}, errors.New("its key cannot be read")
	}
	k, err := passkey.NewKey(b[idAt:keyAt], key)
	return access.Passkey{Key: k, Use: use, Synced: flags&flagSyncable != 0}, err
}
