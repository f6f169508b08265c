package ledger

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"strongroom/internal/safe"
)

// MaxCheckpoint bounds the bytes of a checkpoint: our own takes about 250, and
// there must be room for the signatures of witnesses, of which one that
// resists quantum computers takes 3.3 KiB.
const MaxCheckpoint = 64 << 10

// A Checkpoint is a head that a store's ledger key has signed.
type Checkpoint struct {
	Store safe.StoreID
	Head
}

func (c Checkpoint) String() string {
	return fmt.Sprintf("checkpoint of %d entries with root %s", c.Size, c.Root)
}

// Sign returns the signed checkpoint for a head in the form of C2SP's
// tlog-checkpoint: a note of three lines and its signature. Signing the same
// head again gives the same bytes.
func (k Key) Sign(head Head) ([]byte, error) {
	if err := checkSize(head.Size); err != nil {
		return nil, err
	}
	c := Checkpoint{Store: k.public.store, Head: head}
	b, err := note.Sign(&note.Note{Text: c.text()}, k.signer)
	if err != nil {
		return nil, fmt.Errorf("signing a checkpoint: %w", err)
	}
	return b, nil
}

func (c Checkpoint) text() string {
	return fmt.Sprintf("%s\n%d\n%s\n", origin(c.Store), c.Size, c.Root)
}

// ErrNotSigned means that a checkpoint bears no valid signature by a key that
// is known to belong to the ledger it names.
var ErrNotSigned = errors.New("the checkpoint is not signed by a key that is known for this ledger")

// ParseCheckpoint reads a signed checkpoint and checks that one of the keys,
// being a key of the store that the checkpoint names, has signed it. Further
// signatures by unknown keys, such as witnesses have, are passed over; an
// invalid one by a known key is ErrNotSigned.
func ParseCheckpoint(b []byte, keys ...PublicKey) (Checkpoint, error) {
	if len(b) > MaxCheckpoint {
		return Checkpoint{}, fmt.Errorf("checkpoint of %d bytes, at most %d are possible", len(b), MaxCheckpoint)
	}
	known := make(map[string]note.Verifier, len(keys)) // a key given twice must not become ambiguous
	for _, key := range keys {
		known[key.text] = key.verifier
	}
	var verifiers []note.Verifier
	for _, v := range known {
		verifiers = append(verifiers, v)
	}
	opened, err := note.Open(b, note.VerifierList(verifiers...))
	var invalid *note.InvalidSignatureError
	var unverified *note.UnverifiedNoteError
	if errors.As(err, &invalid) || errors.As(err, &unverified) {
		return Checkpoint{}, fmt.Errorf("%w (%w)", ErrNotSigned, err)
	}
	if err != nil {
		return Checkpoint{}, fmt.Errorf("reading a checkpoint: %w", err)
	}
	c, err := parseText(opened.Text)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("reading a checkpoint: %w", err)
	}
	for _, sig := range opened.Sigs {
		if sig.Name == origin(c.Store) {
			return c, nil
		}
	}
	return Checkpoint{}, ErrNotSigned // signed by a key of another store
}

// parseText reads the part of a checkpoint that is signed. tlog-checkpoint
// allows further lines; this ledger has none and refuses them, because a
// reader that passed over one would agree to something it has not understood.
func parseText(text string) (Checkpoint, error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[3] != "" {
		return Checkpoint{}, errors.New("want three lines: origin, size, root")
	}
	id, ok := strings.CutPrefix(lines[0], originPrefix)
	if !ok {
		return Checkpoint{}, fmt.Errorf("its origin %.80q does not begin with %q", lines[0], originPrefix)
	}
	store, err := safe.ParseStoreID(id)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("its origin: %w", err)
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("its size: %w", err)
	}
	if err := checkSize(size); err != nil {
		return Checkpoint{}, err
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		return Checkpoint{}, fmt.Errorf("its root: %w", err)
	}
	c := Checkpoint{Store: store, Head: Head{Size: size, Root: root}}
	if c.text() != text {
		return Checkpoint{}, errors.New("it is not in its canonical spelling")
	}
	if size == 0 && c.Head != emptyHead {
		return Checkpoint{}, errors.New("its root is not that of a ledger without entries")
	}
	return c, nil
}
