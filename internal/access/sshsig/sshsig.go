// Package sshsig makes and checks people's signatures with their SSH keys: the
// format SSHSIG of OpenSSH (PROTOCOL.sshsig), in base64 on one line. Between the
// two lines that ssh-keygen -Y sign puts around it, ssh-keygen -Y verify reads
// it, so that a signature can be checked without this program.
//
// It takes less than OpenSSH does. Keys are ssh-ed25519 or
// sk-ssh-ed25519@openssh.com, a security key whose holder had to touch it; the
// message's hash is SHA-512, which ssh-keygen takes by itself. One signature
// has one spelling, so that the bytes of a signature may be compared and
// hashed.
//
// A signature says which key made it, not whose key that is or whether it may
// sign: that is what a roster is for. The namespace keeps a signature for one
// purpose from being used for another. Nothing here remembers signatures: what
// must not be said twice needs something in the message that makes it unique.
package sshsig

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"

	"golang.org/x/crypto/ssh"
)

// MaxText bounds the characters of a signature in base64. An ordinary one has
// 260, that of a security key 330.
const MaxText = 1500

// maxNamespace bounds a namespace.
const maxNamespace = 128

const (
	magic         = "SSHSIG"
	version       = 1
	hashAlgorithm = "sha512"
)

// A Signature is the signature of a message, with the key and the namespace
// that it claims. Only Verify says whether that is true. Two signatures are the
// same if they are equal by ==. The zero Signature is none.
type Signature struct {
	blob      string // all of it, without armor
	key       PublicKey
	namespace string
}

// envelope is the format of a signature after the magic.
type envelope struct {
	Version       uint32
	PublicKey     []byte
	Namespace     string
	Reserved      string
	HashAlgorithm string
	Signature     []byte
}

// signed returns the bytes that are signed for a message: the namespace and
// the message's hash behind a magic that begins no other thing that an SSH key
// signs.
func signed(namespace string, message []byte) []byte {
	hash := sha512.Sum512(message)
	return append([]byte(magic), ssh.Marshal(struct {
		Namespace     string
		Reserved      string
		HashAlgorithm string
		Hash          []byte
	}{namespace, "", hashAlgorithm, hash[:]})...)
}

// Sign signs a message for a purpose, which the namespace names.
func Sign(signer ssh.Signer, namespace string, message []byte) (Signature, error) {
	key, err := PublicKeyOf(signer.PublicKey())
	if err != nil {
		return Signature{}, fmt.Errorf("signing: %w", err)
	}
	made, err := signer.Sign(rand.Reader, signed(namespace, message))
	if err != nil {
		return Signature{}, fmt.Errorf("signing with SSH key %s: %w", key.Fingerprint(), err)
	}
	s, err := parse(append([]byte(magic), ssh.Marshal(envelope{
		Version:       version,
		PublicKey:     signer.PublicKey().Marshal(),
		Namespace:     namespace,
		HashAlgorithm: hashAlgorithm,
		Signature:     ssh.Marshal(made),
	})...))
	if err != nil {
		return Signature{}, fmt.Errorf("signing with SSH key %s: %w", key.Fingerprint(), err)
	}
	// An agent is another program, and a file may hold halves of two keys.
	if err := s.Verify(key, namespace, message); err != nil {
		return Signature{}, fmt.Errorf("signing with SSH key %s: what came back is not valid: %w", key.Fingerprint(), err)
	}
	return s, nil
}

// parse reads a signature without armor.
func parse(b []byte) (Signature, error) {
	rest, ok := bytes.CutPrefix(b, []byte(magic))
	if !ok {
		return Signature{}, fmt.Errorf("not an SSH signature: it does not begin with %s", magic)
	}
	var e envelope
	if err := ssh.Unmarshal(rest, &e); err != nil {
		return Signature{}, errors.New("the SSH signature is cut short, damaged or followed by something else")
	}
	switch {
	case e.Version != version:
		return Signature{}, fmt.Errorf("an SSH signature has version %d of the format, this program knows version %d", e.Version, version)
	case e.Namespace == "" || len(e.Namespace) > maxNamespace:
		return Signature{}, fmt.Errorf("an SSH signature has a namespace of %d bytes, want 1 to %d", len(e.Namespace), maxNamespace)
	case e.Reserved != "":
		return Signature{}, errors.New("an SSH signature has content in its reserved field, which this program does not know")
	case e.HashAlgorithm != hashAlgorithm:
		return Signature{}, fmt.Errorf("an SSH signature is over a hash of the kind %.20q, want %s (ssh-keygen does without -O hashalg)", e.HashAlgorithm, hashAlgorithm)
	}
	wire, err := ssh.ParsePublicKey(e.PublicKey)
	if err != nil {
		return Signature{}, errors.New("the public key in an SSH signature cannot be read")
	}
	key, err := PublicKeyOf(wire)
	if err != nil {
		return Signature{}, err
	}
	if _, err := parseInner(e.Signature, wire.Type()); err != nil {
		return Signature{}, err
	}
	return Signature{blob: string(b), key: key, namespace: e.Namespace}, nil
}

// userPresent is the flag by which a security key says that it was touched.
const userPresent = 0x01

// parseInner reads the part of a signature that the key made.
func parseInner(b []byte, keyType string) (*ssh.Signature, error) {
	var s ssh.Signature
	if err := ssh.Unmarshal(b, &s); err != nil {
		return nil, errors.New("an SSH signature's last field cannot be read")
	}
	if s.Format != keyType {
		return nil, fmt.Errorf("an SSH signature of the kind %.60q is by a key of the kind %s", s.Format, keyType)
	}
	if len(s.Blob) != ed25519.SignatureSize {
		return nil, fmt.Errorf("an Ed25519 signature has %d bytes, want %d", len(s.Blob), ed25519.SignatureSize)
	}
	// What follows is one byte of flags and a counter of 4 bytes for a
	// security key, and nothing for others.
	switch {
	case keyType == ssh.KeyAlgoED25519 && len(s.Rest) != 0, keyType == ssh.KeyAlgoSKED25519 && len(s.Rest) != 5:
		return nil, errors.New("an SSH signature has more or less behind it than its kind has")
	case keyType == ssh.KeyAlgoSKED25519 && s.Rest[0]&userPresent == 0:
		return nil, errors.New("the security key was not touched when it signed; a key made with no-touch-required is not taken")
	}
	return &s, nil
}

// Verify checks that key has signed the message for the purpose that the
// namespace names.
func (s Signature) Verify(key PublicKey, namespace string, message []byte) error {
	switch {
	case s.IsZero():
		return errors.New("an SSH signature is missing")
	case s.key != key:
		return fmt.Errorf("it is signed with SSH key %s, not with %s", s.key.Fingerprint(), fingerprint(key))
	case s.namespace != namespace:
		return fmt.Errorf("it is signed for the purpose %q, not for %q", s.namespace, namespace)
	}
	var e envelope
	if err := ssh.Unmarshal([]byte(s.blob[len(magic):]), &e); err != nil {
		return fmt.Errorf("reading an SSH signature: %w", err)
	}
	wire := s.key.SSH()
	inner, err := parseInner(e.Signature, wire.Type())
	if err != nil {
		return err
	}
	if wire.Verify(signed(namespace, message), inner) != nil {
		return fmt.Errorf("the signature with SSH key %s is not one of this message", key.Fingerprint())
	}
	return nil
}

// fingerprint names a key that may be none.
func fingerprint(key PublicKey) string {
	if key.IsZero() {
		return "no key"
	}
	return key.Fingerprint()
}

// Key returns the key that the signature claims to be made with.
func (s Signature) Key() PublicKey { return s.key }

// Namespace returns the purpose that the signature claims to be made for.
func (s Signature) Namespace() string { return s.namespace }

func (s Signature) IsZero() bool               { return s == Signature{} }
func (s Signature) Equal(other Signature) bool { return s == other }

// String returns the signature without armor, in base64 on one line. That is
// also its text in JSON.
func (s Signature) String() string { return base64.StdEncoding.EncodeToString([]byte(s.blob)) }

// ParseSignature reads the form that String writes, and no other.
func ParseSignature(s string) (Signature, error) {
	signature, err := decode(s)
	if err == nil && signature.String() != s {
		return Signature{}, errors.New("an SSH signature is not in its canonical spelling")
	}
	return signature, err
}

// decode reads base64 in any spelling; who calls it compares.
func decode(text string) (Signature, error) {
	if len(text) > MaxText {
		return Signature{}, fmt.Errorf("SSH signature of %d characters, at most %d are possible", len(text), MaxText)
	}
	blob, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return Signature{}, errors.New("an SSH signature is not in base64")
	}
	return parse(blob)
}

// MarshalText writes what String returns; the zero Signature has no text.
func (s Signature) MarshalText() ([]byte, error) {
	if s.IsZero() {
		return nil, errors.New("an SSH signature is missing")
	}
	return []byte(s.String()), nil
}

func (s *Signature) UnmarshalText(b []byte) (err error) {
	*s, err = ParseSignature(string(b))
	return err
}
