package passkey

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"strings"
)

// A Key is the public half of a passkey, and the id by which its authenticator
// finds the private one. Its text is one line: KeyWord, the credential's id
// and the key as COSE has it, both in base64url. Two keys are the same if they
// are equal by ==. The zero Key is no key.
type Key struct{ text string }

// KeyWord begins the text of a passkey, and of no other key.
const KeyWord = "passkey"

const (
	// maxCredential is what WebAuthn allows. Most ids have 16 to 64 bytes; those
	// of old security keys, which keep nothing, contain the wrapped private key.
	maxCredential = 1023
	minRSABits    = 2048
	maxRSA        = 4096 / 8 // bytes of a modulus
)

// maxKeyText is what a key with the largest id and the largest modulus takes.
var maxKeyText = len(KeyWord) + 2 + base64.RawURLEncoding.EncodedLen(maxCredential) +
	base64.RawURLEncoding.EncodedLen(len(rs256Head)+2+maxRSA+len(rs256Tail))

// NewKey makes a Key of what an authenticator gave at registration: the
// credential's id, and the key in COSE form.
func NewKey(credential, cose []byte) (Key, error) {
	if len(credential) == 0 || len(credential) > maxCredential {
		return Key{}, fmt.Errorf("a passkey's id of %d bytes, want 1 to %d", len(credential), maxCredential)
	}
	if _, err := publicKey(cose); err != nil {
		return Key{}, err
	}
	return Key{strings.Join([]string{KeyWord, encode(credential), encode(cose)}, " ")}, nil
}

// ParseKey reads the form that String writes, and no other.
func ParseKey(s string) (Key, error) {
	if len(s) > maxKeyText {
		return Key{}, fmt.Errorf("a passkey of %d characters, at most %d are possible", len(s), maxKeyText)
	}
	parts, err := decodeLine(s, KeyWord, 2)
	if err != nil {
		return Key{}, fmt.Errorf("a passkey: %w", err)
	}
	return NewKey(parts[0], parts[1])
}

// parts returns the credential's id and the COSE key. It must not be called on
// the zero Key.
func (k Key) parts() (credential, cose []byte) {
	parts, err := decodeLine(k.text, KeyWord, 2)
	if err != nil {
		panic(fmt.Sprintf("passkey %q was taken and cannot be read: %v", k.text, err)) // NewKey alone makes one
	}
	return parts[0], parts[1]
}

// Credential returns the id that a browser is told, so that it asks for this
// passkey. It must not be called on the zero Key.
func (k Key) Credential() []byte {
	credential, _ := k.parts()
	return credential
}

// Fingerprint names the public key as ssh-keygen -l would: SHA256 and the hash
// of its COSE form in base64. It must not be called on the zero Key.
func (k Key) Fingerprint() string {
	_, cose := k.parts()
	hash := sha256.Sum256(cose)
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(hash[:])
}

func (k Key) String() string       { return k.text }
func (k Key) IsZero() bool         { return k == Key{} }
func (k Key) Equal(other Key) bool { return k == other }

// MarshalText writes what String returns; the zero Key has no text.
func (k Key) MarshalText() ([]byte, error) {
	if k.IsZero() {
		return nil, errors.New("a passkey is missing")
	}
	return []byte(k.text), nil
}

func (k *Key) UnmarshalText(b []byte) (err error) {
	*k, err = ParseKey(string(b))
	return err
}

// What stands around the numbers of a COSE key (RFC 9053), in the form of CBOR
// that WebAuthn prescribes, which has one spelling for each map: CTAP2's
// canonical one. So a key is recognised by its bytes, and no parser of CBOR
// stands between an authenticator and the roster.
const (
	es256Head = "\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20" // {1: 2 (EC2), 3: -7 (ES256), -1: 1 (P-256), -2: 32 bytes, x
	es256Y    = "\x22\x58\x20"                             // -3: 32 bytes, y}
	eddsaHead = "\xa4\x01\x01\x03\x27\x20\x06\x21\x58\x20" // {1: 1 (OKP), 3: -8 (EdDSA), -1: 6 (Ed25519), -2: 32 bytes, the key}
	rs256Head = "\xa4\x01\x03\x03\x39\x01\x00\x20\x59"     // {1: 3 (RSA), 3: -257 (RS256), -1: as many bytes as the next two say, the modulus
	rs256Tail = "\x21\x43\x01\x00\x01"                     // -2: 3 bytes, the exponent 65537}
	unknown   = "a passkey's key is not of a kind that is taken here: ES256, EdDSA (Ed25519), or RS256 of 2048 to 4096 bits"
)

const coordinate = 32 // bytes of x, and of y

// publicKey reads a COSE key: *ecdsa.PublicKey, ed25519.PublicKey or
// *rsa.PublicKey.
func publicKey(cose []byte) (crypto.PublicKey, error) {
	s := string(cose)
	if rest, ok := strings.CutPrefix(s, es256Head); ok && len(rest) == coordinate+len(es256Y)+coordinate {
		x := rest[:coordinate]
		if y, ok := strings.CutPrefix(rest[coordinate:], es256Y); ok {
			key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), []byte("\x04"+x+y))
			if err != nil {
				return nil, errors.New("a passkey's ES256 key is no point of its curve")
			}
			return key, nil
		}
	}
	if number, ok := strings.CutPrefix(s, eddsaHead); ok && len(number) == ed25519.PublicKeySize {
		return ed25519.PublicKey(number), nil
	}
	if rest, ok := strings.CutPrefix(s, rs256Head); ok && len(rest) > 2 {
		size := int(binary.BigEndian.Uint16([]byte(rest)))
		modulus, ok := strings.CutSuffix(rest[2:], rs256Tail)
		if ok && len(modulus) == size && size <= maxRSA {
			n := new(big.Int).SetBytes([]byte(modulus))
			if n.BitLen() >= minRSABits && modulus[0] != 0 {
				return &rsa.PublicKey{N: n, E: 65537}, nil
			}
		}
	}
	return nil, errors.New(unknown)
}

// check reports whether signature is one of message by the key.
func check(cose, message, signature []byte) (bool, error) {
	key, err := publicKey(cose)
	if err != nil {
		return false, err
	}
	hash := sha256.Sum256(message)
	switch key := key.(type) {
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(key, hash[:], signature), nil
	case ed25519.PublicKey:
		return ed25519.Verify(key, message, signature), nil
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, hash[:], signature) == nil, nil
	}
	panic(fmt.Sprintf("a passkey's key is a %T", key)) // publicKey returns no other
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// decodeLine reads a word and n parts in base64url behind it, in the one
// spelling that they have.
func decodeLine(s, word string, n int) ([][]byte, error) {
	fields := strings.Split(s, " ")
	if len(fields) != n+1 || fields[0] != word {
		return nil, fmt.Errorf("want one line of %q and %d parts behind it", word, n)
	}
	parts := make([][]byte, n)
	for i, field := range fields[1:] {
		b, err := base64.RawURLEncoding.Strict().DecodeString(field)
		// The decoder passes over line ends.
		if err != nil || strings.ContainsAny(field, "\r\n") {
			return nil, fmt.Errorf("part %d is not in base64url", i+1)
		}
		parts[i] = b
	}
	return parts, nil
}
