// Package proven verifies what the gate of an opening shows of the ledger: that
// descriptions of snapshots stand in it, and that it is the ledger that this
// machine knew before.
//
// Through a gate nobody reads the ledger as a whole. A signed checkpoint, a
// proof of inclusion for each snapshot and a proof of consistency stand for
// it. They say less than the whole does: not that the runs which a description
// names are of its source, for which the safe's word as it made the description
// is taken, nor what else happened. That the keys which sign checkpoints are
// the right ones is for the caller to know, from a roster that was verified.
//
// Everything here is computation, on bytes that somebody else may have made.
package proven

import (
	"fmt"

	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/spelling"
)

// A Proof shows that a description stands in the ledger: the object
// ledger/proofs/<run>.json of a gate.
type Proof struct {
	Entry     []byte `json:"entry"`     // a snapshot.kept
	Inclusion []byte `json:"inclusion"` // a ledger.Inclusion
}

// MaxProof bounds the bytes of a Proof: an entry and a path, in base64.
const MaxProof = 128 << 10

// ParseProof reads a Proof strictly. What it says is for Verify.
func ParseProof(b []byte) (Proof, error) {
	var p Proof
	if err := spelling.Parse(b, MaxProof, "a proof", &p); err != nil {
		return Proof{}, err
	}
	return p, nil
}

// Verify returns the snapshot that these bytes describe, once the ledger of
// checkpoint c is shown to vouch for them. The error wraps ledger.ErrNotProven
// if it is not.
func (p Proof) Verify(description []byte, c ledger.Checkpoint) (safe.Snapshot, error) {
	kept, err := p.kept(c)
	if err != nil {
		return safe.Snapshot{}, err
	}
	if safe.DigestOf(description) != kept.Description {
		return safe.Snapshot{}, fmt.Errorf("%w: it is not the description that the ledger recorded", ledger.ErrNotProven)
	}
	d, err := safe.ParseSnapshot(description)
	if err != nil {
		return safe.Snapshot{}, err
	}
	if d.Store != c.Store || d.Run != kept.Run || d.Source != kept.Source {
		return safe.Snapshot{}, fmt.Errorf("%w: the description is of run %s of %s in store %s, the ledger's entry of run %s of %s in store %s",
			ledger.ErrNotProven, d.Run, d.Source, d.Store, kept.Run, kept.Source, c.Store)
	}
	return d, nil
}

// kept returns what the ledger says of the snapshot.
func (p Proof) kept(c ledger.Checkpoint) (ledger.SnapshotKept, error) {
	inclusion, err := ledger.ParseInclusion(p.Inclusion)
	if err != nil {
		return ledger.SnapshotKept{}, fmt.Errorf("%w: %w", ledger.ErrNotProven, err)
	}
	if err := inclusion.Verify(p.Entry, c); err != nil {
		return ledger.SnapshotKept{}, err
	}
	entry, err := ledger.ParseEntry(p.Entry)
	if err != nil {
		return ledger.SnapshotKept{}, err
	}
	kept, ok := entry.What.(ledger.SnapshotKept)
	if !ok {
		return ledger.SnapshotKept{}, fmt.Errorf("%w: the entry of the ledger is about %s", ledger.ErrNotProven, entry.What.Kind())
	}
	return kept, nil
}

// A GapError says that nothing shows whether two checkpoints are of one
// ledger: the proof that is there is between others.
type GapError struct {
	Known, Shown ledger.Checkpoint
}

func (e *GapError) Error() string {
	return fmt.Sprintf("nothing shows that the ledger with the %s, which is shown here, is the one with the %s, which this machine remembers", e.Shown, e.Known)
}

// Follows verifies that the ledger of later is that of known with entries
// added. The proof is a ledger.Consistency, nil if there is none. The error is
// a *GapError if the proof is between other checkpoints, also because later is
// the older one of the two; a *ledger.ForkError if the two contradict one
// another; and else wraps ledger.ErrNotProven.
func Follows(known, later ledger.Checkpoint, proof []byte) error {
	if known == later {
		return nil
	}
	if known.Store == later.Store && known.Size == later.Size {
		return &ledger.ForkError{Old: known, New: later}
	}
	if len(proof) == 0 {
		return &GapError{Known: known, Shown: later}
	}
	c, err := ledger.ParseConsistency(proof)
	if err != nil {
		return fmt.Errorf("%w: %w", ledger.ErrNotProven, err)
	}
	if c.From != known.Size || c.To != later.Size {
		return &GapError{Known: known, Shown: later}
	}
	return c.Verify(known, later)
}

// A Way leads from one checkpoint to a later one.
type Way struct {
	To    ledger.Checkpoint
	Proof []byte // a ledger.Consistency; nil if there is nothing to go
}

// Meet verifies that two checkpoints are of one ledger, since a way from each
// leads to the same later one. It closes the gap that Follows found. Errors
// are those of Follows; a *GapError, if the ways end apart.
func Meet(known ledger.Checkpoint, onward Way, shown ledger.Checkpoint, upward Way) error {
	if onward.To.Size == upward.To.Size && onward.To != upward.To {
		return &ledger.ForkError{Old: onward.To, New: upward.To}
	}
	if onward.To != upward.To {
		return &GapError{Known: known, Shown: shown}
	}
	if err := Follows(known, onward.To, onward.Proof); err != nil {
		return err
	}
	return Follows(shown, upward.To, upward.Proof)
}
