package ledger

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"strongroom/internal/safe"
)

// originPrefix and the id of the store make the first line of a checkpoint,
// which is also the name of the keys that may sign it.
const originPrefix = "strongroom/"

func origin(store safe.StoreID) string { return originPrefix + store.String() }

// A Key signs checkpoints of one store's ledger. It cannot be printed: its
// private form exists only where it is kept.
type Key struct {
	signer note.Signer
	public PublicKey
}

// GenerateKey returns a new key for the ledger of a store, and the key's
// private form, which is a secret.
func GenerateKey(store safe.StoreID) (key Key, private string) {
	private, _, err := note.GenerateKey(rand.Reader, origin(store))
	if err == nil {
		key, err = ParseKey(private)
	}
	if err != nil {
		panic(fmt.Sprintf("a new ledger key cannot be used: %v", err)) // crypto/rand does not fail
	}
	return key, private
}

// ParseKey reads the private form of a key, which may end in a newline. Its
// errors do not repeat what was read.
func ParseKey(private string) (Key, error) {
	private = strings.TrimSuffix(private, "\n")
	signer, err := note.NewSigner(private)
	if err != nil {
		return Key{}, fmt.Errorf("reading the ledger's private key: %w", err)
	}
	// NewSigner has checked the form, PRIVATE+KEY+name+hash+base64, but does not
	// tell the public half. The base64 may have plus signs of its own.
	fields := strings.SplitN(private, "+", 5)
	raw, err := base64.StdEncoding.DecodeString(fields[len(fields)-1])
	if err != nil || len(raw) != 1+ed25519.SeedSize {
		return Key{}, errors.New("reading the ledger's private key: it is malformed")
	}
	public := ed25519.NewKeyFromSeed(raw[1:]).Public().(ed25519.PublicKey)
	text, err := note.NewEd25519VerifierKey(signer.Name(), public)
	if err != nil {
		return Key{}, fmt.Errorf("reading the ledger's private key: %w", err)
	}
	key := Key{signer: signer}
	if key.public, err = ParsePublicKey(text); err != nil {
		return Key{}, fmt.Errorf("reading the ledger's private key: %w", err)
	}
	return key, nil
}

// Public returns the half of the key that checks what Sign has signed.
func (k Key) Public() PublicKey { return k.public }

// A PublicKey checks checkpoints of one store's ledger. Several may have been
// valid over time; the roster holds them all.
type PublicKey struct {
	text     string
	store    safe.StoreID
	verifier note.Verifier
}

// ParsePublicKey reads the form that String writes, and no other.
func ParsePublicKey(s string) (PublicKey, error) {
	verifier, err := note.NewVerifier(s)
	if err != nil {
		return PublicKey{}, fmt.Errorf("ledger key %.150q: %w", s, err)
	}
	id, ok := strings.CutPrefix(verifier.Name(), originPrefix)
	if !ok {
		return PublicKey{}, fmt.Errorf("ledger key %.150q: its name does not begin with %q", s, originPrefix)
	}
	store, err := safe.ParseStoreID(id)
	if err != nil {
		return PublicKey{}, fmt.Errorf("ledger key %.150q: %w", s, err)
	}
	// NewVerifier takes capitals in the key's hash, and line breaks in base64.
	name, rest, _ := strings.Cut(s, "+")
	hash, _, _ := strings.Cut(rest, "+")
	if name != origin(store) || hash != fmt.Sprintf("%08x", verifier.KeyHash()) || strings.ContainsAny(s, "\r\n") {
		return PublicKey{}, fmt.Errorf("ledger key %.150q: it is not in its canonical spelling", s)
	}
	return PublicKey{text: s, store: store, verifier: verifier}, nil
}

// Store returns the store whose ledger the key belongs to.
func (k PublicKey) Store() safe.StoreID          { return k.store }
func (k PublicKey) String() string               { return k.text }
func (k PublicKey) Equal(other PublicKey) bool   { return k.text == other.text }
func (k PublicKey) MarshalText() ([]byte, error) { return []byte(k.text), nil }
func (k *PublicKey) UnmarshalText(b []byte) (err error) {
	*k, err = ParsePublicKey(string(b))
	return err
}
