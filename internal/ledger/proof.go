package ledger

import (
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"strongroom/internal/spelling"
)

// ErrNotProven means that a proof does not show what it was asked to show.
// What it is about may be forged, or the proof be damaged or for another
// checkpoint; it must not be relied on.
var ErrNotProven = errors.New("not proven")

// A proof's bounds: a path in a tree of maxSize entries has 40 hashes, a
// consistency proof one more, of 47 bytes each when encoded.
const (
	maxPath  = 41
	maxProof = 4 << 10
)

// An Inclusion proves that an entry stands at its place in a log.
type Inclusion struct {
	Index int64       // of the entry
	Size  int64       // of the log, at a checkpoint
	Path  []tlog.Hash // RFC 6962 audit path, from the entry up
}

// A Consistency proves that a log is an earlier one with entries added.
type Consistency struct {
	From int64 // size of the earlier log
	To   int64
	Path []tlog.Hash // RFC 6962 consistency proof
}

// ProveInclusion makes the proof for the entry index in the first size
// entries of the log whose hashes are given.
func ProveInclusion(index, size int64, hashes tlog.HashReader) (Inclusion, error) {
	p := Inclusion{Index: index, Size: size, Path: []tlog.Hash{}}
	if err := p.check(); err != nil {
		return Inclusion{}, err
	}
	path, err := tlog.ProveRecord(size, index, hashes)
	if err != nil {
		return Inclusion{}, fmt.Errorf("proving entry %d of %d of the ledger: %w", index, size, err)
	}
	p.Path = path
	return p, nil
}

// ProveConsistency makes the proof from the first from to the first to
// entries of the log whose hashes are given.
func ProveConsistency(from, to int64, hashes tlog.HashReader) (Consistency, error) {
	p := Consistency{From: from, To: to, Path: []tlog.Hash{}}
	if err := p.check(); err != nil {
		return Consistency{}, err
	}
	if from == 0 {
		return p, nil // every log continues the empty one
	}
	path, err := tlog.ProveTree(to, from, hashes)
	if err != nil {
		return Consistency{}, fmt.Errorf("proving the ledger's growth from %d to %d entries: %w", from, to, err)
	}
	p.Path = path
	return p, nil
}

// Verify reports whether p proves that entry stands in the log of checkpoint
// c at the place p.Index. It returns ErrNotProven if not.
func (p Inclusion) Verify(entry []byte, c Checkpoint) error {
	if err := p.check(); err != nil {
		return fmt.Errorf("%w: %w", ErrNotProven, err)
	}
	if p.Size != c.Size {
		return fmt.Errorf("%w: the proof is for a ledger of %d entries, the checkpoint for one of %d", ErrNotProven, p.Size, c.Size)
	}
	if tlog.CheckRecord(p.Path, p.Size, c.Root, p.Index, tlog.RecordHash(entry)) != nil {
		return fmt.Errorf("%w: this is not entry %d of the ledger with the %s", ErrNotProven, p.Index, c)
	}
	return nil
}

// Verify reports whether p proves that the log of checkpoint from is the
// beginning of the log of checkpoint to. It returns a *ForkError if the two
// contradict one another whatever the proof, and ErrNotProven if the proof
// does not join them, which honest checkpoints and their own proof cannot
// bring about.
func (p Consistency) Verify(from, to Checkpoint) error {
	if from.Store != to.Store {
		return fmt.Errorf("%w: the checkpoints are of different safes, %s and %s", ErrNotProven, from.Store, to.Store)
	}
	if from.Size == to.Size && from.Root != to.Root {
		return &ForkError{Old: from, New: to}
	}
	if err := p.check(); err != nil {
		return fmt.Errorf("%w: %w", ErrNotProven, err)
	}
	if p.From != from.Size || p.To != to.Size {
		return fmt.Errorf("%w: the proof is from %d to %d entries, the checkpoints have %d and %d", ErrNotProven, p.From, p.To, from.Size, to.Size)
	}
	proven := from.Head == emptyHead && len(p.Path) == 0
	if p.From > 0 {
		proven = tlog.CheckTree(p.Path, p.To, to.Root, p.From, from.Root) == nil
	}
	if !proven {
		return fmt.Errorf("%w: nothing shows that the ledger with the %s goes on from the %s; either the proof is damaged, or the ledger was rewritten", ErrNotProven, to, from)
	}
	return nil
}

func (p Inclusion) check() error {
	if p.Index < 0 || p.Index >= p.Size {
		return fmt.Errorf("entry %d is not in a ledger of %d entries", p.Index, p.Size)
	}
	return checkProof(p.Size, p.Path)
}

func (p Consistency) check() error {
	if p.From < 0 || p.From > p.To {
		return fmt.Errorf("a ledger cannot grow from %d to %d entries", p.From, p.To)
	}
	return checkProof(p.To, p.Path)
}

func checkProof(size int64, path []tlog.Hash) error {
	if path == nil {
		return errors.New("the proof has no path")
	}
	if len(path) > maxPath {
		return fmt.Errorf("a path of %d hashes, at most %d are possible", len(path), maxPath)
	}
	return checkSize(size)
}

type encodedInclusion struct {
	Version int         `json:"v"`
	Index   int64       `json:"index"`
	Size    int64       `json:"size"`
	Path    []tlog.Hash `json:"path"`
}

type encodedConsistency struct {
	Version int         `json:"v"`
	From    int64       `json:"from"`
	To      int64       `json:"to"`
	Path    []tlog.Hash `json:"path"`
}

// Encode returns the one spelling of p, a line of JSON.
func (p Inclusion) Encode() []byte {
	return mustSpell(encodedInclusion{1, p.Index, p.Size, p.Path})
}

// Encode returns the one spelling of p, a line of JSON.
func (p Consistency) Encode() []byte {
	return mustSpell(encodedConsistency{1, p.From, p.To, p.Path})
}

// ParseInclusion reads the form that Encode writes, and no other.
func ParseInclusion(b []byte) (Inclusion, error) {
	var e encodedInclusion
	if err := parseProof(b, &e, &e.Version); err != nil {
		return Inclusion{}, err
	}
	p := Inclusion{Index: e.Index, Size: e.Size, Path: e.Path}
	return p, p.check()
}

// ParseConsistency reads the form that Encode writes, and no other.
func ParseConsistency(b []byte) (Consistency, error) {
	var e encodedConsistency
	if err := parseProof(b, &e, &e.Version); err != nil {
		return Consistency{}, err
	}
	p := Consistency{From: e.From, To: e.To, Path: e.Path}
	return p, p.check()
}

// parseProof decodes b into one of the structs above, of which version is a
// field, and requires that b is how that struct is spelled.
func parseProof(b []byte, into any, version *int) error {
	if err := spelling.Parse(b, maxProof, "a proof", into); err != nil {
		return err
	}
	if *version != 1 {
		return fmt.Errorf("proof has version %d, this program knows version 1", *version)
	}
	if !spelling.Is(b, into) {
		return errors.New("a proof is not in its canonical spelling")
	}
	return nil
}

func mustSpell(v any) []byte {
	b, err := spelling.Of(v)
	if err != nil {
		panic(fmt.Sprintf("a proof cannot be encoded: %v", err)) // no field can fail
	}
	return b
}
