// Package catalog reads what a store says of itself: its ledger, and the
// descriptions that the ledger vouches for.
//
// A store may be in anyone's hands. What a Catalog calls proven was signed by
// the ledger's key, as part of the same history as every checkpoint that the
// reader kept from before; that the key is the right one is for the reader to
// know. What was hidden altogether, the newest entries with their checkpoint,
// only a kept checkpoint can show.
package catalog

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/store/blob"
	"strongroom/internal/store/layout"
)

// Options says what the reader of a store knows. The zero value trusts the key
// that the store's first entry names.
type Options struct {
	Keys []ledger.PublicKey  // of this store's ledger, all that were ever valid
	Kept []ledger.Checkpoint // that the reader kept from before
}

// A Catalog is what a store's ledger tells.
type Catalog struct {
	Store      safe.StoreID
	Checkpoint ledger.Checkpoint // the newest of the store, or one kept that is newer
	Keys       []ledger.PublicKey
	Replay     ledger.Replay
	Name       string // of the safe
	Runs       map[safe.RunID]Run
	Kept       map[safe.RunID]ledger.SnapshotKept
	Rosters    map[int64]safe.Digest // versions of the roster, by number

	useCopy map[int64]bool // entries whose first copy is not the one that was signed
}

// A Run is what the ledger says of a run that was begun.
type Run struct {
	Source   safe.SourceName
	Envelope safe.Digest
}

// ErrNoStore says that a folder does not have the mark of a store: it is
// another one, or what should be mounted there is not.
var ErrNoStore = errors.New("this is not a store, or its mark is damaged")

// ReadStoreID returns the id of the store. It wraps ErrNoStore if there is
// none.
func ReadStoreID(ctx context.Context, r blob.Reader) (id safe.StoreID, err error) {
	good := func(b []byte) (err error) {
		id, err = layout.ParseFormat(b)
		return err
	}
	if _, err := blob.ReadEither(ctx, r, 1024, good, layout.FormatName, layout.Copy(layout.FormatName)); err != nil {
		return safe.StoreID{}, fmt.Errorf("%w: %w", ErrNoStore, err)
	}
	return id, nil
}

// Read reads and verifies the ledger of a store, as far as its newest
// checkpoint goes.
func Read(ctx context.Context, r blob.Reader, opts Options) (*Catalog, error) {
	id, err := ReadStoreID(ctx, r)
	if err != nil {
		return nil, err
	}
	keys := opts.Keys
	if len(keys) == 0 {
		key, err := firstKey(ctx, r)
		if err != nil {
			return nil, fmt.Errorf("reading the ledger's first entry: %w", err)
		}
		keys = []ledger.PublicKey{key}
	}
	newest, err := Newest(ctx, r, id, keys)
	// One that the reader kept serves as well, if the store's own are damaged,
	// or if none is left.
	for _, kept := range opts.Kept {
		if kept.Store == id && kept.Size > newest.Size && hasEntry(ctx, r, kept.Size-1) {
			newest, err = kept, nil
		}
	}
	if err != nil {
		return nil, err
	}
	return replay(ctx, r, id, keys, newest, opts.Kept)
}

func hasEntry(ctx context.Context, r blob.Reader, n int64) bool {
	_, err := r.Stat(ctx, layout.Entry(n))
	if err != nil {
		_, err = r.Stat(ctx, layout.Copy(layout.Entry(n)))
	}
	return err == nil
}

// firstKey returns the key that the first entry names.
func firstKey(ctx context.Context, r blob.Reader) (ledger.PublicKey, error) {
	var key ledger.PublicKey
	_, err := blob.ReadEither(ctx, r, ledger.MaxEntry, func(b []byte) error {
		e, err := ledger.ParseEntry(b)
		if err != nil {
			return err
		}
		created, ok := e.What.(ledger.SafeCreated)
		if !ok {
			return fmt.Errorf("it is of kind %s, not %s", e.What.Kind(), ledger.SafeCreated{}.Kind())
		}
		key = created.Key
		return nil
	}, layout.Entry(0), layout.Copy(layout.Entry(0)))
	return key, err
}

// ErrNoCheckpoint says that a store has no checkpoint at all.
var ErrNoCheckpoint = errors.New("the store has no checkpoint of its ledger")

// Newest returns the checkpoint of the greatest size that is properly signed.
// It does not look at the entries.
func Newest(ctx context.Context, r blob.Reader, id safe.StoreID, keys []ledger.PublicKey) (ledger.Checkpoint, error) {
	sizes, err := checkpointSizes(ctx, r)
	if err != nil {
		return ledger.Checkpoint{}, err
	}
	var errs []error
	for _, size := range sizes {
		var c ledger.Checkpoint
		name := layout.Checkpoint(size)
		_, err := blob.ReadEither(ctx, r, ledger.MaxCheckpoint, func(b []byte) (err error) {
			c, err = ledger.ParseCheckpoint(b, keys...)
			if err == nil && (c.Size != size || c.Store != id) {
				err = fmt.Errorf("it is the checkpoint of %d entries of store %s", c.Size, c.Store)
			}
			return err
		}, name, layout.Copy(name))
		if err == nil {
			return c, nil
		}
		// An older one still proves what it covers, so damage does not end
		// this; scrub names it.
		if errs = append(errs, err); len(errs) == 16 {
			break
		}
	}
	if len(errs) == 0 {
		return ledger.Checkpoint{}, ErrNoCheckpoint
	}
	return ledger.Checkpoint{}, fmt.Errorf("no checkpoint of the store's ledger can be relied on: %w", errors.Join(errs...))
}

// checkpointSizes returns the sizes of the checkpoints in the store, greatest
// first.
func checkpointSizes(ctx context.Context, r blob.Reader) ([]int64, error) {
	var sizes []int64
	for info, err := range r.List(ctx, "ledger/checkpoints/") {
		var nameErr *blob.NameError
		if errors.As(err, &nameErr) {
			continue // not an object; scrub names it
		}
		if err != nil {
			return nil, fmt.Errorf("listing the ledger's checkpoints: %w", err)
		}
		if n := layout.Parse(info.Name); n.Kind == layout.CheckpointObject {
			sizes = append(sizes, n.Number)
		}
	}
	slices.SortFunc(sizes, func(a, b int64) int { return cmp.Compare(b, a) })
	return slices.Compact(sizes), nil
}

// replay verifies the entries. Entries that exist in two versions, since one
// copy is damaged, are tried in each.
func replay(ctx context.Context, r blob.Reader, id safe.StoreID, keys []ledger.PublicKey, newest ledger.Checkpoint, kept []ledger.Checkpoint) (*Catalog, error) {
	try := func(useCopy map[int64]bool) (*Catalog, error) {
		c := &Catalog{Store: id, Checkpoint: newest, Keys: keys, useCopy: useCopy,
			Runs: make(map[safe.RunID]Run), Kept: make(map[safe.RunID]ledger.SnapshotKept), Rosters: make(map[int64]safe.Digest)}
		var err error
		c.Replay, err = ledger.Verify(ctx, entries(ctx, r, newest.Size, useCopy), append([]ledger.Checkpoint{newest}, kept...), c.add)
		if err != nil {
			return nil, fmt.Errorf("verifying the ledger: %w", err)
		}
		return c, nil
	}
	c, err := try(nil)
	var altered *ledger.AlteredError
	if !errors.As(err, &altered) {
		return c, err
	}
	doubtful, listErr := differing(ctx, r, newest.Size)
	if listErr != nil {
		return nil, errors.Join(err, listErr)
	}
	for choice := 1; choice < 1<<len(doubtful); choice++ {
		useCopy := make(map[int64]bool)
		for i, n := range doubtful {
			useCopy[n] = choice&(1<<i) != 0
		}
		if c, tryErr := try(useCopy); tryErr == nil {
			return c, nil
		}
	}
	return nil, err
}

// maxDoubtful bounds the entries of which both copies are tried: with 8, the
// ledger is read 256 times at most.
const maxDoubtful = 8

// differing lists the entries whose two copies are both well formed and not
// the same, the first few of them.
func differing(ctx context.Context, r blob.Reader, size int64) ([]int64, error) {
	var doubtful []int64
	for n := range size {
		if len(doubtful) == maxDoubtful {
			break
		}
		a, errA := readEntry(ctx, r, layout.Entry(n))
		b, errB := readEntry(ctx, r, layout.Copy(layout.Entry(n)))
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if errA == nil && errB == nil && !bytes.Equal(a, b) {
			doubtful = append(doubtful, n)
		}
	}
	return doubtful, nil
}

func readEntry(ctx context.Context, r blob.Reader, name string) ([]byte, error) {
	return blob.ReadEither(ctx, r, ledger.MaxEntry, wellFormed, name)
}

func wellFormed(b []byte) error {
	_, err := ledger.ParseEntry(b)
	return err
}

// entries yields the entries of the ledger, from the copy where it is asked
// for or the object will not do.
func entries(ctx context.Context, r blob.Reader, size int64, useCopy map[int64]bool) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for n := range size {
			names := []string{layout.Entry(n), layout.Copy(layout.Entry(n))}
			if useCopy[n] {
				slices.Reverse(names)
			}
			b, err := blob.ReadEither(ctx, r, ledger.MaxEntry, wellFormed, names...)
			if err != nil {
				err = fmt.Errorf("reading entry %d: %w", n, err)
			}
			if !yield(b, err) || err != nil {
				return
			}
		}
	}
}

// Entries yields the bytes of the entries that were verified, read once more.
// Whoever relies on them compares the head of what comes with Replay.
func (c *Catalog) Entries(ctx context.Context, r blob.Reader) iter.Seq2[[]byte, error] {
	return entries(ctx, r, c.Checkpoint.Size, c.useCopy)
}

// add takes in one entry.
func (c *Catalog) add(_ int64, e ledger.Entry) error {
	switch what := e.What.(type) {
	case ledger.SafeCreated:
		c.Name = string(what.Name)
		c.Rosters[1] = what.Roster
	case ledger.RosterChanged:
		c.Rosters[what.Version] = what.Digest
	case ledger.RunBegun:
		c.Runs[what.Run] = Run{Source: what.Source, Envelope: what.Envelope}
	case ledger.SnapshotKept:
		c.Kept[what.Run] = what
	}
	return nil
}
