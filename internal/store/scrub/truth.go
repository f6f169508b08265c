package scrub

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/store/blob"
	"strongroom/internal/store/catalog"
	"strongroom/internal/store/layout"
	"strongroom/internal/store/parity"
)

// A Truth is what must be in a store, as its ledger says. It is not changed by
// Check and Repair, which may use it concurrently. It keeps about 100 bytes for
// each entry of the ledger.
type Truth struct {
	store   safe.StoreID
	keys    []ledger.PublicKey
	entries []safe.Digest
	hashes  []tlog.Hash                // of the ledger's tree, as tlog stores them
	runs    map[safe.RunID]safe.Digest // those that were begun, with their envelopes
	kept    map[safe.RunID]ledger.SnapshotKept
	rosters map[int64]safe.Digest
	named   map[layout.Name]bool // releases and keyrings, whose entries name them by their digests
	excused map[string]bool
}

// NewTruth takes the entries of a ledger, from the first on, on the authority
// of the caller: the safe's own state, or a store's ledger that was verified.
// The keys are all that may have signed its checkpoints.
func NewTruth(ctx context.Context, store safe.StoreID, keys []ledger.PublicKey, entries iter.Seq2[[]byte, error]) (*Truth, error) {
	t := &Truth{
		store: store, keys: keys, excused: make(map[string]bool),
		runs: make(map[safe.RunID]safe.Digest), kept: make(map[safe.RunID]ledger.SnapshotKept), rosters: make(map[int64]safe.Digest),
		named: make(map[layout.Name]bool),
	}
	for b, err := range entries {
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = t.add(b)
		}
		if err != nil {
			return nil, fmt.Errorf("reading entry %d of the ledger: %w", t.Size(), err)
		}
	}
	return t, nil
}

// FromStore returns the truth that a store tells of itself, as far as its
// ledger is proven. It serves where there is no safe to ask.
func FromStore(ctx context.Context, r blob.Reader, opts catalog.Options) (*Truth, error) {
	c, err := catalog.Read(ctx, r, opts)
	if err != nil {
		return nil, err
	}
	t, err := NewTruth(ctx, c.Store, c.Keys, c.Entries(ctx, r))
	if err != nil {
		return nil, err
	}
	head, err := ledger.HeadOf(t.Size(), t)
	if err == nil && head != c.Checkpoint.Head {
		err = errors.New("the store's ledger has changed while it was read")
	}
	return t, err
}

func (t *Truth) add(b []byte) error {
	e, err := ledger.ParseEntry(b)
	if err != nil {
		return err
	}
	hashes, err := tlog.StoredHashes(t.Size(), b, t)
	if err != nil {
		return err
	}
	t.hashes = append(t.hashes, hashes...)
	t.entries = append(t.entries, safe.DigestOf(b))
	switch what := e.What.(type) {
	case ledger.SafeCreated:
		t.rosters[1] = what.Roster
	case ledger.RosterChanged:
		t.rosters[what.Version] = what.Digest
	case ledger.RunBegun:
		t.runs[what.Run] = what.Envelope
	case ledger.SnapshotKept:
		t.kept[what.Run] = what
	case ledger.OpeningReleased:
		t.named[layout.Name{Kind: layout.ReleaseObject, Opening: what.Opening, Digest: what.Release}] = true
	case ledger.KeyringKept:
		t.named[layout.Name{Kind: layout.KeyringObject, Person: safe.PersonName(what.Person), Digest: what.Digest}] = true
	}
	return nil
}

// Excuse names objects that may be missing because they are still to be
// published.
func (t *Truth) Excuse(names ...string) {
	for _, name := range names {
		t.excused[name] = true
	}
}

// Size returns the number of the ledger's entries.
func (t *Truth) Size() int64 { return int64(len(t.entries)) }

// ReadHashes implements tlog.HashReader.
func (t *Truth) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		if index < 0 || index >= int64(len(t.hashes)) {
			return nil, fmt.Errorf("hash %d of %d was asked for", index, len(t.hashes))
		}
		hashes[i] = t.hashes[index]
	}
	return hashes, nil
}

// required yields the small objects that must be there, each with its copy.
func (t *Truth) required() iter.Seq[layout.Name] {
	return func(yield func(layout.Name) bool) {
		both := func(n layout.Name) bool {
			for _, n := range copies(n) {
				if !yield(n) {
					return false
				}
			}
			return true
		}
		if !both(layout.Name{Kind: layout.FormatObject}) {
			return
		}
		for n := range t.entries {
			if !both(layout.Name{Kind: layout.EntryObject, Number: int64(n)}) {
				return
			}
		}
		if size := t.Size(); size > 0 && !both(layout.Name{Kind: layout.CheckpointObject, Number: size}) {
			return
		}
		for n := range t.rosters {
			if !both(layout.Name{Kind: layout.RosterObject, Number: n}) {
				return
			}
		}
		for n := range t.named {
			if !both(n) {
				return
			}
		}
		for run := range t.runs {
			if !both(layout.Name{Kind: layout.EnvelopeObject, Run: run}) {
				return
			}
		}
		for run, kept := range t.kept {
			if !both(layout.Name{Kind: layout.SnapshotObject, Run: run}) ||
				!both(layout.Name{Kind: layout.RootObject, Run: run, Digest: kept.Root}) {
				return
			}
		}
	}
}

// Knows reports whether the ledger accounts for an object of that name.
func (t *Truth) Knows(name string) bool { return t.knows(layout.Parse(name)) }

func (t *Truth) knows(n layout.Name) bool {
	switch n.Kind {
	case layout.PackObject, layout.ParityObject, layout.SketchObject:
		_, begun := t.runs[n.Run]
		return begun
	case layout.RootObject:
		_, begun := t.runs[n.Run]
		_, kept := t.kept[n.Run]
		return begun && !kept || t.isRequired(n)
	case layout.CheckpointObject:
		return n.Number <= t.Size()
	default:
		return t.isRequired(n)
	}
}

// isRequired reports whether required yields n.
func (t *Truth) isRequired(n layout.Name) bool {
	switch n.Kind {
	case layout.PackObject, layout.ParityObject, layout.SketchObject:
		return false
	case layout.RootObject:
		kept, ok := t.kept[n.Run]
		return ok && kept.Root == n.Digest
	case layout.CheckpointObject:
		return n.Number == t.Size()
	case layout.ReleaseObject, layout.KeyringObject:
		n.Copied = false
		return t.named[n]
	default:
		_, ok := t.digest(n)
		return ok
	}
}

// digest returns the SHA-256 that an object must have, false if it can be
// judged otherwise only or if nothing is known of it.
func (t *Truth) digest(n layout.Name) (d safe.Digest, ok bool) {
	switch n.Kind {
	case layout.FormatObject:
		return safe.DigestOf(layout.Format(t.store)), true
	case layout.PackObject, layout.RootObject, layout.SketchObject, layout.ReleaseObject, layout.KeyringObject:
		return n.Digest, true
	case layout.EntryObject:
		if n.Number < t.Size() {
			return t.entries[n.Number], true
		}
		return safe.Digest{}, false
	case layout.RosterObject:
		d, ok = t.rosters[n.Number]
	case layout.EnvelopeObject:
		d, ok = t.runs[n.Run]
	case layout.SnapshotObject:
		var kept ledger.SnapshotKept
		kept, ok = t.kept[n.Run]
		d = kept.Description
	}
	return d, ok
}

// A verdict says what is wrong with an object; the zero value is that of a
// sound one.
type verdict struct {
	problem Problem
	why     string
	size    int64 // bytes that were read
}

// judge reads an object and says whether it is as it must be. An error is one
// of reading the store at all, or that of ctx.
func (t *Truth) judge(ctx context.Context, r blob.Reader, n layout.Name, buf []byte) (verdict, error) {
	o, err := r.Open(ctx, n.String())
	var nameErr *blob.NameError
	switch {
	case errors.Is(err, blob.ErrNotExist):
		return verdict{problem: Missing, why: "it is not there"}, nil
	case errors.As(err, &nameErr):
		return verdict{problem: Damaged, why: nameErr.Err.Error()}, nil
	case err != nil:
		return verdict{}, err
	}
	defer o.Close() // nothing was written
	v := verdict{size: o.Size()}
	err = t.judgeObject(o, n, buf)
	if err != nil && ctx.Err() != nil {
		return verdict{}, ctx.Err()
	}
	switch {
	case errors.Is(err, errFork):
		v.problem, v.why = Contradiction, err.Error()
	case err != nil:
		v.problem, v.why = Damaged, err.Error()
	}
	return v, nil
}

func (t *Truth) judgeObject(o blob.Object, n layout.Name, buf []byte) error {
	switch n.Kind {
	case layout.ParityObject:
		h, err := parity.Check(o, o.Size())
		if err == nil && h.Digest != n.Digest {
			err = fmt.Errorf("it is the parity of another object, %s", h.Digest)
		}
		return err
	case layout.CheckpointObject:
		if o.Size() > ledger.MaxCheckpoint {
			return fmt.Errorf("it has %d bytes, a checkpoint has %d at most", o.Size(), ledger.MaxCheckpoint)
		}
		b := make([]byte, o.Size())
		if _, err := io.ReadFull(io.NewSectionReader(o, 0, o.Size()), b); err != nil {
			return fmt.Errorf("reading it: %w", err)
		}
		return t.checkCheckpoint(n.Number, b)
	}
	hash := sha256.New()
	if _, err := io.CopyBuffer(hash, io.NewSectionReader(o, 0, o.Size()), buf); err != nil {
		return fmt.Errorf("reading it: %w", err)
	}
	return t.checkDigest(n, safe.Digest(hash.Sum(nil)))
}

// checkBytes reports why b is not what a small object must be.
func (t *Truth) checkBytes(n layout.Name, b []byte) error {
	if n.Kind == layout.CheckpointObject {
		return t.checkCheckpoint(n.Number, b)
	}
	return t.checkDigest(n, safe.DigestOf(b))
}

func (t *Truth) checkDigest(n layout.Name, got safe.Digest) error {
	want, ok := t.digest(n)
	switch {
	case !ok:
		return errors.New("the ledger knows nothing of it")
	case got == want:
		return nil
	case n.Digest == want:
		return fmt.Errorf("it does not match its name: its SHA-256 is %s", got)
	default:
		return fmt.Errorf("its SHA-256 is %s, the ledger recorded %s", got, want)
	}
}

// errFork is wrapped by what is wrong with a checkpoint that the ledger's key
// has signed: no accident does that, so it is evidence and stays.
var errFork = errors.New("it is signed, for another history than the ledger's")

// checkCheckpoint reports why b is not the checkpoint of the ledger's first
// size entries.
func (t *Truth) checkCheckpoint(size int64, b []byte) error {
	c, err := ledger.ParseCheckpoint(b, t.keys...)
	if err != nil {
		return err
	}
	if c.Store != t.store || c.Size != size {
		return fmt.Errorf("it is the checkpoint of %d entries of store %s", c.Size, c.Store)
	}
	if size > t.Size() {
		return fmt.Errorf("it is signed, but the ledger has %d entries only", t.Size())
	}
	head, err := ledger.HeadOf(size, t)
	if err != nil {
		return err
	}
	if c.Head != head {
		return fmt.Errorf("%w: the root of the ledger is %s there, not %s", errFork, head.Root, c.Root)
	}
	return checkSpelling(b)
}

// checkSpelling refuses stray bits in the base64 of a signature, which do not
// invalidate it: a checkpoint has no digest that would tell.
func checkSpelling(b []byte) error {
	_, signatures, _ := strings.Cut(string(b), "\n\n")
	for line := range strings.Lines(signatures) {
		text := strings.TrimSuffix(line, "\n")
		if _, err := base64.StdEncoding.Strict().DecodeString(text[strings.LastIndexByte(text, ' ')+1:]); err != nil {
			return fmt.Errorf("a signature is not spelled as it was written: %w", err)
		}
	}
	return nil
}
