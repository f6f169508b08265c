// Package seal is the only package that touches keys. It seals what a run
// stores to that run's own key, and the run's key to two people's: an envelope
// is two nested age files, the outer one sealed to the keykeepers' role key,
// the inner one to the operators'. Copies of the role keys are sealed to the
// people who hold them. It also derives the keys with which a source's chunks
// are cut and recognised.
//
// Every key pair is an age hybrid identity (ML-KEM-768 with X25519), and all
// that is sealed here is an ordinary age file that the program age opens
// (version 1.3 or newer). Each kind of key has its own type, so that a call
// with two keys swapped does not compile.
//
// Private keys redact themselves when they are formatted or logged, as a guard
// against accidents. The package does not promise to erase them from memory:
// Go keeps copies, so a process that must not be able to read what it sealed
// has to be one that never had the key. That is why NewEnvelope, which makes a
// run's key, is called in a process that exits.
package seal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"filippo.io/age"
)

// ErrWrongKey means that something is not sealed to the key that was tried, or
// that its header is damaged; the two cannot be told apart.
var ErrWrongKey = errors.New("it is sealed to another key, or its header is damaged")

// An OuterRecipient is the public half of a keykeepers' role key.
type OuterRecipient struct{ recipient }

// An InnerRecipient is the public half of an operators' role key.
type InnerRecipient struct{ recipient }

// A RunRecipient is the public half of a run's key. All that a collector knows
// of the key is this, so it cannot read what it stored.
type RunRecipient struct{ recipient }

// An OuterIdentity is a keykeepers' role key. It opens the outer layer of the
// envelopes of its period.
type OuterIdentity struct{ identity }

// An InnerIdentity is an operators' role key. It opens the inner layer of the
// envelopes of its period.
type InnerIdentity struct{ identity }

// A RunIdentity is a run's key. It comes out of an envelope only.
type RunIdentity struct{ identity }

// A PersonalRecipient is the public half of a person's own key, to which copies
// of role keys are sealed.
type PersonalRecipient struct{ recipient }

// A PersonalIdentity is a person's own key. It opens that person's copies of
// role keys, and nothing that is in a store.
type PersonalIdentity struct{ identity }

// A MemoryIdentity is the safe's own key, for what it remembers of its sources
// between collections. It has nothing to do with what is in the store.
type MemoryIdentity struct{ identity }

// ParseOuterRecipient reads the form that String writes, "age1pq1...".
func ParseOuterRecipient(s string) (OuterRecipient, error) {
	r, err := parseRecipient(s)
	return OuterRecipient{r}, err
}

// ParseInnerRecipient reads the form that String writes, "age1pq1...".
func ParseInnerRecipient(s string) (InnerRecipient, error) {
	r, err := parseRecipient(s)
	return InnerRecipient{r}, err
}

// ParsePersonalRecipient reads the form that String writes, "age1pq1...".
func ParsePersonalRecipient(s string) (PersonalRecipient, error) {
	r, err := parseRecipient(s)
	return PersonalRecipient{r}, err
}

// NewOuterIdentity makes a key.
func NewOuterIdentity() (OuterIdentity, error) {
	i, err := newIdentity()
	return OuterIdentity{i}, err
}

// NewInnerIdentity makes a key.
func NewInnerIdentity() (InnerIdentity, error) {
	i, err := newIdentity()
	return InnerIdentity{i}, err
}

// NewPersonalIdentity makes a key.
func NewPersonalIdentity() (PersonalIdentity, error) {
	i, err := newIdentity()
	return PersonalIdentity{i}, err
}

// NewMemoryIdentity makes a key.
func NewMemoryIdentity() (MemoryIdentity, error) {
	i, err := newIdentity()
	return MemoryIdentity{i}, err
}

// Recipient returns the public half of the key.
func (i OuterIdentity) Recipient() OuterRecipient { return OuterRecipient{i.public()} }

// Recipient returns the public half of the key.
func (i InnerIdentity) Recipient() InnerRecipient { return InnerRecipient{i.public()} }

// Recipient returns the public half of the key.
func (i PersonalIdentity) Recipient() PersonalRecipient { return PersonalRecipient{i.public()} }

// Recipient returns the public half of the key.
func (i RunIdentity) Recipient() RunRecipient { return RunRecipient{i.public()} }

// Seal returns a writer that seals what is written to it into w as one age
// file. Only Close completes the file; it does not close w. The writer passes
// on pieces of 64 KiB and holds no more than one. Starting a file costs about
// a fifth of a millisecond.
func (r RunRecipient) Seal(w io.Writer) (io.WriteCloser, error) { return r.seal(w) }

// Open returns a reader of what was sealed. Each piece of 64 KiB is
// authenticated before a byte of it is handed out; that nothing is missing is
// known only once the reader has returned io.EOF. The error is ErrWrongKey if
// the header does not fit.
func (i RunIdentity) Open(r io.Reader) (io.Reader, error) { return i.open(r) }

// OpenAt is Open for random access: it returns a reader and the size of what
// was sealed, which is authenticated. Each ReadAt reads the pieces of 64 KiB
// that it touches from src, one call for each.
func (i RunIdentity) OpenAt(src io.ReaderAt, size int64) (io.ReaderAt, int64, error) {
	return i.openAt(src, size)
}

// Seal is RunRecipient.Seal for the safe's own use.
func (i MemoryIdentity) Seal(w io.Writer) (io.WriteCloser, error) { return i.public().seal(w) }

// Open is RunIdentity.Open for the safe's own use.
func (i MemoryIdentity) Open(r io.Reader) (io.Reader, error) { return i.open(r) }

// OpenAt is RunIdentity.OpenAt for the safe's own use.
func (i MemoryIdentity) OpenAt(src io.ReaderAt, size int64) (io.ReaderAt, int64, error) {
	return i.openAt(src, size)
}

// A recipient is the public half of a hybrid key in its text form, so that
// recipients can be compared with ==. The zero value is no recipient.
type recipient struct{ text string }

const (
	recipientPrefix      = "age1pq1"
	privatePrefix        = "AGE-SECRET-KEY-PQ-1"
	classicPrivatePrefix = "AGE-SECRET-KEY-1"
)

func parseRecipient(s string) (recipient, error) {
	// What is not clearly a public key is not repeated in an error: it might
	// be a private one in the wrong place.
	switch {
	case strings.HasPrefix(strings.ToUpper(s), "AGE-SECRET-KEY-"):
		return recipient{}, errors.New("a private key stands where a public key belongs")
	case strings.HasPrefix(s, "age1") && !strings.HasPrefix(s, recipientPrefix):
		return recipient{}, fmt.Errorf("public key %.24s... is not a post-quantum key (%s...), which strongroom requires; age-keygen -pq makes one", s, recipientPrefix)
	case !strings.HasPrefix(s, recipientPrefix):
		return recipient{}, fmt.Errorf("not a public key: it does not begin with %s", recipientPrefix)
	}
	if _, err := age.ParseHybridRecipient(s); err != nil {
		return recipient{}, fmt.Errorf("public key %.24s... is damaged: a character is wrong or missing", s)
	}
	return recipient{s}, nil
}

// String returns the key in age's text form, "age1pq1...".
func (r recipient) String() string { return r.text }

// IsZero reports whether r is the zero value, which is no key.
func (r recipient) IsZero() bool { return r.text == "" }

func (r recipient) MarshalText() ([]byte, error) { return []byte(r.text), nil }

func (r *recipient) UnmarshalText(b []byte) (err error) {
	*r, err = parseRecipient(string(b))
	return err
}

func (r recipient) seal(w io.Writer) (io.WriteCloser, error) {
	key, err := age.ParseHybridRecipient(r.text)
	if err != nil {
		return nil, errors.New("sealing to no key") // all but the zero value were parsed before
	}
	return age.Encrypt(w, key)
}

// sealBytes is seal for what is small.
func (r recipient) sealBytes(plain []byte) ([]byte, error) {
	var sealed bytes.Buffer
	w, err := r.seal(&sealed)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(plain); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return sealed.Bytes(), nil
}

// An identity is a hybrid key pair. The pointer keeps fmt from printing the
// key where it cannot call Format: in an unexported field of another struct.
type identity struct{ key *age.HybridIdentity }

func newIdentity() (identity, error) {
	key, err := age.GenerateHybridIdentity()
	if err != nil {
		return identity{}, fmt.Errorf("making a key: %w", err)
	}
	return identity{key}, nil
}

// parseIdentity reads the one line of a private key. Its errors hold nothing
// of the line.
func parseIdentity(s string) (identity, error) {
	if strings.HasPrefix(s, classicPrivatePrefix) {
		return identity{}, fmt.Errorf("not a post-quantum key (%s...), which strongroom requires", privatePrefix)
	}
	key, err := age.ParseHybridIdentity(s)
	if err != nil {
		return identity{}, fmt.Errorf("not a private key of the form %s..., or a character of it is wrong or missing", privatePrefix)
	}
	return identity{key}, nil
}

func (i identity) public() recipient { return recipient{i.key.Recipient().String()} }

func (i identity) openAt(src io.ReaderAt, size int64) (io.ReaderAt, int64, error) {
	r, n, err := age.DecryptReaderAt(src, size, i.key)
	if err != nil {
		return nil, 0, openError(err)
	}
	return r, n, nil
}

func (i identity) open(r io.Reader) (io.Reader, error) {
	plain, err := age.Decrypt(r, i.key)
	if err != nil {
		return nil, openError(err)
	}
	return plain, nil
}

// ageIntro is the first line of every age file.
const ageIntro = "age-encryption.org/v1\n"

// openBytes is open for what has at most max bytes. What is no age file is
// refused here, because age would repeat its first line in the error: it might
// be a private key in the wrong place, or have been under another seal.
func (i identity) openBytes(sealed []byte, max int) ([]byte, error) {
	if len(sealed) > max {
		return nil, fmt.Errorf("it has %d bytes, at most %d are possible", len(sealed), max)
	}
	if !bytes.HasPrefix(sealed, []byte(ageIntro)) {
		return nil, errors.New("it is not an age file")
	}
	r, err := i.open(bytes.NewReader(sealed))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r) // what was sealed is smaller than its seal
}

// openError turns age's way to say that the key does not fit into ours.
func openError(err error) error {
	if _, ok := errors.AsType[*age.NoIdentityMatchError](err); ok {
		return ErrWrongKey
	}
	return err
}

// redacted is what every private thing of this package says of itself.
const redacted = "[redacted]"

func (identity) String() string               { return redacted }
func (identity) Format(f fmt.State, _ rune)   { io.WriteString(f, redacted) }
func (identity) LogValue() slog.Value         { return slog.StringValue(redacted) }
func (identity) MarshalText() ([]byte, error) { return nil, errNotText }

// errNotText keeps a private key out of documents, where "[redacted]" in its
// place would be a key that is lost.
var errNotText = errors.New("a private key is not written into a document")
