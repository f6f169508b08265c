// Package store reads snapshots out of a sealed store: from the description
// and the keys of its runs to the manifest and the content.
//
// It hands out nothing that it has not verified: every chunk is compared with
// the digest that the manifest gives, the manifest's own chunks with the root,
// the root with the description. That the description itself is genuine is
// for package catalog to prove. How snapshots are written is told in packages
// intake and collect.
package store

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"

	"strongroom/internal/safe"
	"strongroom/internal/store/blob"
	"strongroom/internal/store/layout"
	"strongroom/internal/store/manifest"
	"strongroom/internal/store/pack"
	"strongroom/internal/store/seal"
)

// Identities gives the identity that opens what was sealed to a run. It is
// asked once for every run of a snapshot, never for another.
type Identities func(ctx context.Context, run safe.RunID) (seal.RunIdentity, error)

// WithRoleKeys opens the envelopes of a store with the role keys, those of one
// period or of several: of each role the first that fits is taken. The
// envelopes are those that the description names, by their digests. If none
// fits, the error wraps seal.ErrWrongKey.
func WithRoleKeys(r blob.Reader, d safe.Snapshot, outer []seal.OuterIdentity, inner []seal.InnerIdentity) Identities {
	return func(ctx context.Context, run safe.RunID) (seal.RunIdentity, error) {
		want := seal.Want{Store: d.Store, Run: run, Source: d.Source}
		envelope, err := readCopied(ctx, r, layout.Envelope(run), d.Runs[run].Envelope, seal.MaxEnvelope)
		if err != nil {
			return seal.RunIdentity{}, err
		}
		sealed, err := firstThatFits(outer, func(key seal.OuterIdentity) (seal.InnerFile, error) { return seal.OpenOuter(key, envelope, want) })
		if err != nil {
			return seal.RunIdentity{}, err
		}
		return firstThatFits(inner, func(key seal.InnerIdentity) (seal.RunIdentity, error) { return seal.OpenInner(key, sealed, want) })
	}
}

// WithInnerFiles opens what is left of the envelopes once somebody else has
// opened their outer seal: the objects runs/<run>/inner.age that the gate of an
// opening shows. Keys are as in WithRoleKeys. A file that belongs to another
// run or store is a *seal.LabelError.
func WithInnerFiles(r blob.Reader, d safe.Snapshot, inner []seal.InnerIdentity) Identities {
	return func(ctx context.Context, run safe.RunID) (seal.RunIdentity, error) {
		file, err := blob.ReadAll(ctx, r, layout.Run(run)+"/inner.age", seal.MaxEnvelope)
		if err != nil {
			return seal.RunIdentity{}, err
		}
		want := seal.Want{Store: d.Store, Run: run}
		return firstThatFits(inner, func(key seal.InnerIdentity) (seal.RunIdentity, error) { return seal.OpenInner(key, file, want) })
	}
}

// firstThatFits opens something with the first of the keys that fits.
func firstThatFits[K, T any](keys []K, open func(K) (T, error)) (opened T, err error) {
	err = seal.ErrWrongKey // there may be no key at all
	for _, key := range keys {
		if opened, err = open(key); !errors.Is(err, seal.ErrWrongKey) {
			break
		}
	}
	return opened, err
}

// A CorruptError says that an object is not what its name or the ledger says,
// nor is any copy of it.
type CorruptError struct {
	Name string
	Err  error
}

func (e *CorruptError) Error() string { return fmt.Sprintf("object %s: %v", e.Name, e.Err) }
func (e *CorruptError) Unwrap() error { return e.Err }

// readCopied returns the bytes of a small object that have the digest, from
// the object or its copy.
func readCopied(ctx context.Context, r blob.Reader, name string, want safe.Digest, limit int64) ([]byte, error) {
	good := func(b []byte) error {
		if safe.DigestOf(b) != want {
			return errors.New("it does not have the digest that the snapshot's description gives")
		}
		return nil
	}
	b, err := blob.ReadEither(ctx, r, limit, good, name, layout.Parse(name).Other())
	if err != nil && ctx.Err() == nil {
		return nil, &CorruptError{Name: name, Err: err}
	}
	return b, err
}

// A Snapshot is a snapshot opened for reading. Its methods may be called
// concurrently; Close comes last.
type Snapshot struct {
	Description safe.Snapshot
	root        manifest.Root
	packs       *packs
}

// maxRootObject bounds a sealed root: what cannot be compressed, and what age
// adds to it.
const maxRootObject = manifest.MaxRoot + 64<<10

// Open opens the snapshot of a description that the caller believes. All
// reading of it ends with ctx, since packs stay open from one chunk to another.
func Open(ctx context.Context, r blob.Reader, d safe.Snapshot, identities Identities) (*Snapshot, error) {
	s := &Snapshot{Description: d, packs: newPacks(ctx, r, d, identities)}
	var err error
	if s.root, err = s.openRoot(ctx, r); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Snapshot) openRoot(ctx context.Context, r blob.Reader) (manifest.Root, error) {
	d := s.Description
	var sealed []byte
	var errRead error
	var reading sync.WaitGroup // at the same time as the envelope: each takes round trips
	reading.Go(func() { sealed, errRead = readCopied(ctx, r, layout.Root(d.Run, d.Root), d.Root, maxRootObject) })
	identity, err := s.packs.identity(d.Run)
	reading.Wait()
	if err := cmp.Or(err, errRead); err != nil {
		return manifest.Root{}, err
	}
	root, err := openRoot(sealed, identity)
	if err != nil {
		return manifest.Root{}, fmt.Errorf("opening the root of run %s: %w", d.Run, err)
	}
	if root.Store != d.Store || root.Run != d.Run || root.Source != d.Source {
		return manifest.Root{}, fmt.Errorf("the root of run %s says that it belongs to run %s of %s in store %s: it was swapped",
			d.Run, root.Run, root.Source, root.Store)
	}
	return root, nil
}

func openRoot(sealed []byte, identity seal.RunIdentity) (manifest.Root, error) {
	compressed, err := identity.Open(bytes.NewReader(sealed))
	if err != nil {
		return manifest.Root{}, err
	}
	plain, err := zstd.NewReader(compressed, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(2*manifest.MaxRoot))
	if err != nil {
		return manifest.Root{}, err
	}
	defer plain.Close()
	b, err := manifest.LimitRoot(plain)
	if err != nil {
		return manifest.Root{}, err
	}
	return manifest.ParseRoot(b)
}

// SealRoot returns the object that a root is stored as, given what seals to
// its run's recipient.
func SealRoot(root manifest.Root, seal func(io.Writer) (io.WriteCloser, error)) ([]byte, error) {
	var object bytes.Buffer
	sealing, err := seal(&object)
	if err != nil {
		return nil, err
	}
	compressing, err := zstd.NewWriter(sealing, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(manifest.MaxRoot))
	if err != nil {
		return nil, err
	}
	if _, err := compressing.Write(root.Encode()); err != nil {
		return nil, err
	}
	if err := compressing.Close(); err != nil {
		return nil, err
	}
	if err := sealing.Close(); err != nil { // writes what is left
		return nil, err
	}
	return object.Bytes(), nil
}

// Close releases what was opened.
func (s *Snapshot) Close() error { return s.packs.close() }

// Manifest returns a reader of the snapshot's entries from the first on. It
// has checked that the manifest is that of this snapshot.
func (s *Snapshot) Manifest(ctx context.Context) (*manifest.Reader, manifest.Header, error) {
	content := s.content(ctx, inRow(s.root.Chunks))
	if s.root.List {
		content = s.content(ctx, manifest.NewListReader(content).Next)
	}
	r, h, err := manifest.NewReader(content)
	if err != nil {
		return nil, manifest.Header{}, err
	}
	if h.Store != s.root.Store || h.Run != s.root.Run || h.Source != s.root.Source {
		return nil, manifest.Header{}, fmt.Errorf("the manifest of run %s says that it belongs to run %s of %s", s.root.Run, h.Run, h.Source)
	}
	return r, h, nil
}

// Chunk appends the content of a chunk to dst, verified.
func (s *Snapshot) Chunk(ctx context.Context, dst []byte, c manifest.Chunk) ([]byte, error) {
	return s.packs.chunk(ctx, dst, c)
}

// Room returns how many bytes Chunk and Decode need behind dst for a chunk of n,
// so that they take no memory of their own.
func Room(n uint32) int { return pack.Room(n) }

// Decode is Chunk for a chunk whose frame a Load has.
func (s *Snapshot) Decode(dst, frame []byte, c manifest.Chunk) ([]byte, error) {
	return s.packs.decode(dst, frame, c)
}

// Content reads what is left of the chunks of r's entry one after the other,
// each verified before a byte of it is returned.
func (s *Snapshot) Content(ctx context.Context, r *manifest.Reader) io.Reader {
	return s.content(ctx, r.NextChunk)
}
