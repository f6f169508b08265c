// Package passkeytest plays authenticators, and the browser before them, for
// tests of whatever takes their passkeys and assertions.
package passkeytest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"strongroom/internal/access/passkey"
)

// Flags of authenticator data.
const (
	UserPresent    byte = 0x01
	UserVerified   byte = 0x04
	BackupEligible byte = 0x08
	BackedUp       byte = 0x10
	attested       byte = 0x40 // a credential follows: at registration
)

// A Kind of key, as COSE numbers it.
type Kind int

const (
	ES256 Kind = -7
	EdDSA Kind = -8
	RS256 Kind = -257
)

// An Authenticator has one passkey. Its exported fields say what it and the
// browser say of themselves, and may be changed to lie.
type Authenticator struct {
	Domain      string // the RP ID, whose hash it signs
	Origin      string // of the page that asks
	Flags       byte
	Counter     uint32
	CrossOrigin bool
	Type        string // in what the browser says; "" is right for what is done

	credential []byte
	private    crypto.Signer
	cose       []byte
}

// New makes an authenticator with an ES256 passkey for a domain, asked by a
// page of an origin such as "https://safe.acme.example". Its user is there and
// verified, and its passkey stays on it.
func New(t testing.TB, domain, origin string) *Authenticator {
	t.Helper()
	return NewKind(t, ES256, domain, origin)
}

// NewKind is New for a kind of key.
func NewKind(t testing.TB, kind Kind, domain, origin string) *Authenticator {
	t.Helper()
	a := &Authenticator{Domain: domain, Origin: origin, Flags: UserPresent | UserVerified, credential: make([]byte, 32)}
	rand.Read(a.credential)
	var err error
	switch kind {
	case ES256:
		a.private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case EdDSA:
		_, a.private, err = ed25519.GenerateKey(rand.Reader)
	case RS256:
		a.private, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		t.Fatal(err)
	}
	a.cose = COSE(a.private.Public())
	return a
}

// COSE returns a public key as authenticators hand it over: *ecdsa.PublicKey
// of P-256, ed25519.PublicKey or *rsa.PublicKey.
func COSE(public crypto.PublicKey) []byte {
	switch public := public.(type) {
	case *ecdsa.PublicKey:
		point, err := public.Bytes()
		if err != nil {
			panic(err) // of a key that was just made
		}
		return slices.Concat(cborMap(5), cborInt(1), cborInt(2), cborInt(3), cborInt(int(ES256)), cborInt(-1), cborInt(1),
			cborInt(-2), cborBytes(point[1:33]), cborInt(-3), cborBytes(point[33:]))
	case ed25519.PublicKey:
		return slices.Concat(cborMap(4), cborInt(1), cborInt(1), cborInt(3), cborInt(int(EdDSA)), cborInt(-1), cborInt(6),
			cborInt(-2), cborBytes(public))
	case *rsa.PublicKey:
		return slices.Concat(cborMap(4), cborInt(1), cborInt(3), cborInt(3), cborInt(int(RS256)), cborInt(-1), cborBytes(public.N.Bytes()),
			cborInt(-2), cborBytes([]byte{byte(public.E >> 16), byte(public.E >> 8), byte(public.E)}))
	}
	panic(fmt.Sprintf("there are no passkeys with a %T", public))
}

// Key returns the passkey as a roster has it.
func (a *Authenticator) Key(t testing.TB) passkey.Key {
	t.Helper()
	key, err := passkey.NewKey(a.credential, a.cose)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// A Registration is what navigator.credentials.create() gives.
type Registration struct {
	Credential        []byte
	AttestationObject []byte // of the format "none"
	ClientData        []byte
}

// Register hands the passkey over.
func (a *Authenticator) Register(challenge []byte) Registration {
	data := slices.Concat(a.authenticatorData(attested), make([]byte, 16), // which model: it does not say
		binary.BigEndian.AppendUint16(nil, uint16(len(a.credential))), a.credential, a.cose)
	return Registration{
		Credential: a.credential,
		AttestationObject: slices.Concat(cborMap(3), cborText("fmt"), cborText("none"), cborText("attStmt"), cborMap(0),
			cborText("authData"), cborBytes(data)),
		ClientData: a.clientData("webauthn.create", challenge),
	}
}

// Get signs a challenge.
func (a *Authenticator) Get(t testing.TB, challenge [32]byte) passkey.Assertion {
	t.Helper()
	return a.Sign(t, a.clientData("webauthn.get", challenge[:]))
}

// Sign signs whatever a browser says.
func (a *Authenticator) Sign(t testing.TB, clientData []byte) passkey.Assertion {
	t.Helper()
	made := passkey.Assertion{Credential: a.credential, AuthenticatorData: a.authenticatorData(0), ClientData: clientData}
	hash := sha256.Sum256(clientData)
	message := slices.Concat(made.AuthenticatorData, hash[:])
	digest := sha256.Sum256(message)
	var err error
	if _, ok := a.private.(ed25519.PrivateKey); ok {
		made.Signature, err = a.private.Sign(rand.Reader, message, crypto.Hash(0))
	} else {
		made.Signature, err = a.private.Sign(rand.Reader, digest[:], crypto.SHA256)
	}
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func (a *Authenticator) authenticatorData(more byte) []byte {
	domain := sha256.Sum256([]byte(a.Domain))
	return binary.BigEndian.AppendUint32(append(domain[:], a.Flags|more), a.Counter)
}

func (a *Authenticator) clientData(what string, challenge []byte) []byte {
	if a.Type != "" {
		what = a.Type
	}
	return fmt.Appendf(nil, `{"type":%q,"challenge":%q,"origin":%q,"crossOrigin":%t}`,
		what, base64.RawURLEncoding.EncodeToString(challenge), a.Origin, a.CrossOrigin)
}

// The bits of CBOR (RFC 8949) that keys and attestations are made of.

func cborHead(major byte, n int) []byte {
	switch {
	case n < 24:
		return []byte{major<<5 | byte(n)}
	case n < 1<<8:
		return []byte{major<<5 | 24, byte(n)}
	}
	return []byte{major<<5 | 25, byte(n >> 8), byte(n)}
}

func cborMap(n int) []byte      { return cborHead(5, n) }
func cborBytes(b []byte) []byte { return append(cborHead(2, len(b)), b...) }
func cborText(s string) []byte  { return append(cborHead(3, len(s)), s...) }
func cborInt(n int) []byte {
	if n < 0 {
		return cborHead(1, -1-n)
	}
	return cborHead(0, n)
}
