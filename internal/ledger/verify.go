package ledger

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
)

// A Replay is what Verify has found out about a log.
type Replay struct {
	Head // of all its entries
	// Proven is the size of the largest checkpoint presented that the log
	// agrees with. Entries from that number on rest on the log alone.
	Proven int64
}

// Verify replays a whole log, given as the bytes of its entries from the first
// to the last, and compares it with checkpoints that ParseCheckpoint has
// accepted: the newest of the log itself, and those that others have kept. It
// reads the entries once and remembers a few hashes of them.
//
// each, which may be nil, is called for every entry in order; an error from it
// ends the replay and is returned. What it has collected counts only if Verify
// returns nil, and then as far as Replay.Proven.
//
// What is wrong with the log is a *MalformedError, an *AlteredError, a
// *ShortError or a *ForkError. Of several, the one that concerns the earliest
// entries is returned, but a fork before an alteration, since it says more.
// The bytes that entries yields are not used after the next is asked for.
func Verify(ctx context.Context, entries iter.Seq2[[]byte, error], checkpoints []Checkpoint, each func(index int64, e Entry) error) (Replay, error) {
	due := slices.SortedStableFunc(slices.Values(checkpoints), func(a, b Checkpoint) int {
		return cmp.Compare(a.Size, b.Size)
	})
	if err := checkAgreement(due); err != nil {
		return Replay{}, err
	}

	var log frontier
	var result Replay
	var altered *AlteredError // the first disagreement
	var newest Checkpoint     // the largest that agrees
	compare := func() {
		for len(due) > 0 && due[0].Size == log.size {
			c, head := due[0], log.head()
			due = due[1:]
			switch {
			case c.Root == head.Root:
				newest = c
				result.Proven = c.Size
			case altered == nil:
				altered = &AlteredError{Checkpoint: c, Got: head, Proven: result.Proven}
			}
		}
	}
	compare() // with a checkpoint of the empty log
	err := replay(ctx, entries, func(entry []byte) error {
		parsed, err := ParseEntry(entry)
		if err != nil {
			return &MalformedError{Index: log.size, Proven: result.Proven, Err: err}
		}
		// After a disagreement the replay goes on only to learn whether the
		// log's own checkpoints agree with it.
		if each != nil && altered == nil {
			if err := each(log.size, parsed); err != nil {
				return err
			}
		}
		log.add(entry)
		compare()
		return nil
	})
	result.Head = log.head()
	switch {
	case altered != nil && newest.Size > altered.Checkpoint.Size:
		return result, &ForkError{Old: altered.Checkpoint, New: newest}
	case altered != nil:
		return result, altered
	case err != nil:
		return result, err
	case len(due) > 0:
		return result, &ShortError{Checkpoint: due[len(due)-1], Got: result.Head, Proven: result.Proven}
	}
	return result, nil
}

// replay gives add every entry, until one cannot be read, add fails or ctx is
// cancelled.
func replay(ctx context.Context, entries iter.Seq2[[]byte, error], add func([]byte) error) error {
	index := int64(0)
	for entry, err := range entries {
		if err != nil {
			return fmt.Errorf("reading entry %d of the ledger: %w", index, err)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := add(entry); err != nil {
			return err
		}
		index++
	}
	return nil
}

// checkAgreement compares checkpoints, ascending by size, with one another as
// far as that is possible without the log.
func checkAgreement(checkpoints []Checkpoint) error {
	for i := 1; i < len(checkpoints); i++ {
		a, b := checkpoints[i-1], checkpoints[i]
		if a.Store != b.Store {
			return fmt.Errorf("the checkpoints are of different safes, %s and %s", a.Store, b.Store)
		}
		if a.Size == b.Size && a.Root != b.Root {
			return &ForkError{Old: a, New: b}
		}
	}
	return nil
}

// A MalformedError means that an entry is none: it was damaged, or written by
// something else than this program or a newer one.
type MalformedError struct {
	Index  int64 // of the entry
	Proven int64 // size of the largest checkpoint before it that the log agrees with
	Err    error
}

func (e *MalformedError) Error() string {
	return fmt.Sprintf("entry %d of the ledger is malformed: %v; it was damaged or altered, or a newer program wrote it", e.Index, e.Err)
}

func (e *MalformedError) Unwrap() error { return e.Err }

// An AlteredError means that the log is not what was signed: entries were
// altered, removed, inserted or reordered.
type AlteredError struct {
	Checkpoint Checkpoint // that the log does not agree with
	Got        Head       // of the log at the checkpoint's size
	Proven     int64      // size of the largest smaller checkpoint that the log agrees with
}

func (e *AlteredError) Error() string {
	return fmt.Sprintf("the ledger is not the one that was signed: its first %d entries have root %s, against the signed %s; %s altered, removed, inserted or reordered",
		e.Got.Size, e.Got.Root, e.Checkpoint, among(e.Proven, e.Checkpoint.Size))
}

// among says where the entries are that something happened to.
func among(from, to int64) string {
	if to-from == 1 {
		return fmt.Sprintf("entry %d was", from)
	}
	return fmt.Sprintf("of entries %d to %d at least one was", from, to-1)
}

// A ShortError means that the log is shorter than one that was signed:
// entries were removed, or an old copy was put in its place.
type ShortError struct {
	Checkpoint Checkpoint // the largest that the log does not reach
	Got        Head       // of the whole log
	Proven     int64      // size of the largest checkpoint that the log agrees with
}

func (e *ShortError) Error() string {
	return fmt.Sprintf("the ledger ends after %d entries, but there is a signed %s: at least %d were removed somewhere from entry %d on, or an old copy of the ledger was put in its place",
		e.Got.Size, e.Checkpoint, e.Checkpoint.Size-e.Got.Size, e.Proven)
}

// A ForkError means that two checkpoints with valid signatures belong to
// histories that contradict one another. No accident does that: somebody with
// the ledger's key has rewritten the ledger. The two signed checkpoints are
// the evidence.
type ForkError struct {
	Old, New Checkpoint
}

func (e *ForkError) Error() string {
	return fmt.Sprintf("the ledger's key has signed two histories that contradict one another: the %s and the %s cannot both be of one ledger; somebody with this key has rewritten the ledger, keep both checkpoints as evidence",
		e.Old, e.New)
}
