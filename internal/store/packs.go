package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"strongroom/internal/safe"
	"strongroom/internal/store/blob"
	"strongroom/internal/store/layout"
	"strongroom/internal/store/manifest"
	"strongroom/internal/store/pack"
	"strongroom/internal/store/seal"
)

// openPacks bounds how many packs are held open at a time: enough for a few
// files whose chunks lie in packs of different years, few enough to stay far
// from the limits of a process.
const openPacks = 32

// packs opens the packs of one snapshot as they are needed, and keeps those
// used last. It may be used concurrently.
type packs struct {
	// ctx is that of the whole reading. It is kept because what is opened for
	// one chunk serves all that come after it, whose own contexts end sooner.
	ctx   context.Context
	r     blob.Reader
	d     safe.Snapshot
	ident Identities

	mu     sync.Mutex // guards the fields below
	runs   map[safe.RunID]*runState
	open   map[safe.Digest]*openPack
	recent []*openPack // the one used last comes last
}

// A runState opens a run's envelope once, whoever asks first.
type runState struct {
	once     sync.Once
	identity seal.RunIdentity
	err      error
}

// An openPack counts its users, so that it is closed by the last of them if
// it was dropped meanwhile. One that could not be opened is dropped at once,
// so that the next chunk tries again.
type openPack struct {
	digest safe.Digest
	once   sync.Once
	object blob.Object
	reader *pack.Reader
	err    error

	users   int  // guarded by packs.mu
	dropped bool // guarded by packs.mu
}

func newPacks(ctx context.Context, r blob.Reader, d safe.Snapshot, identities Identities) *packs {
	return &packs{ctx: ctx, r: r, d: d, ident: identities, runs: make(map[safe.RunID]*runState), open: make(map[safe.Digest]*openPack)}
}

// identity opens a run that the description names, at most once.
func (p *packs) identity(run safe.RunID) (seal.RunIdentity, error) {
	if _, named := p.d.Runs[run]; !named {
		return seal.RunIdentity{}, fmt.Errorf("the snapshot refers to run %s, which its description does not name", run)
	}
	p.mu.Lock()
	state := p.runs[run]
	if state == nil {
		state = new(runState)
		p.runs[run] = state
	}
	p.mu.Unlock()
	state.once.Do(func() { state.identity, state.err = p.ident(p.ctx, run) })
	return state.identity, state.err
}

// chunk appends the content of c to dst, verified.
func (p *packs) chunk(ctx context.Context, dst []byte, c manifest.Chunk) ([]byte, error) {
	if err := cmp.Or(ctx.Err(), p.ctx.Err()); err != nil {
		return dst, err
	}
	o, err := p.acquire(c)
	if err != nil {
		return dst, err
	}
	defer p.release(o)
	o.once.Do(func() { o.err = p.load(o, c.Run) })
	if o.err != nil {
		return dst, o.err
	}
	grown, err := o.reader.Chunk(dst, pack.Ref{Hash: c.Hash, Offset: c.Offset, Stored: c.Stored, Length: c.Length})
	if err != nil {
		return dst, p.corrupt(layout.Pack(c.Run, c.Pack), err)
	}
	return grown, nil
}

func (p *packs) acquire(c manifest.Chunk) (*openPack, error) {
	// A manifest is believed only as far as the description goes, which is in
	// the ledger: so no chunk can come from another source's run.
	if _, named := slices.BinarySearchFunc(p.d.Runs[c.Run].Packs, c.Pack, safe.Digest.Compare); !named {
		return nil, fmt.Errorf("the snapshot refers to pack %s of run %s, which its description does not name", c.Pack, c.Run)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	o := p.open[c.Pack]
	if o == nil {
		o = &openPack{digest: c.Pack}
		p.open[c.Pack] = o
		p.recent = append(p.recent, o)
		p.dropOldestLocked()
	} else if i := slices.Index(p.recent, o); i != len(p.recent)-1 {
		p.recent = append(slices.Delete(p.recent, i, i+1), o)
	}
	o.users++
	return o, nil
}

// dropOldestLocked keeps the number of open packs within its bound. p.mu must
// be held.
func (p *packs) dropOldestLocked() {
	if len(p.recent) <= openPacks {
		return
	}
	o := p.recent[0]
	p.dropLocked(o)
	if o.users == 0 && o.object != nil {
		o.object.Close() // nothing was written
	}
}

// dropLocked forgets a pack, which may still be in use. p.mu must be held.
func (p *packs) dropLocked(o *openPack) {
	i := slices.Index(p.recent, o)
	p.recent = slices.Delete(p.recent, i, i+1)
	delete(p.open, o.digest)
	o.dropped = true
}

func (p *packs) release(o *openPack) {
	p.mu.Lock()
	defer p.mu.Unlock()
	o.users--
	if o.err != nil && !o.dropped {
		p.dropLocked(o)
	}
	if o.dropped && o.users == 0 && o.object != nil {
		o.object.Close() // nothing was written
	}
}

func (p *packs) load(o *openPack, run safe.RunID) error {
	identity, err := p.identity(run)
	if err != nil {
		return err
	}
	name := layout.Pack(run, o.digest)
	o.object, err = p.r.Open(p.ctx, name)
	if errors.Is(err, blob.ErrNotExist) {
		return &CorruptError{Name: name, Err: blob.ErrNotExist}
	}
	if err != nil {
		return fmt.Errorf("opening pack %s: %w", name, err)
	}
	if o.reader, err = pack.Open(o.object, o.object.Size(), identity.OpenAt); err != nil {
		return p.corrupt(name, err)
	}
	return nil
}

// corrupt blames an object for an error of reading it, unless the reading as a
// whole was given up.
func (p *packs) corrupt(name string, err error) error {
	if p.ctx.Err() != nil {
		return p.ctx.Err()
	}
	return &CorruptError{Name: name, Err: err}
}

// close closes everything, after the last chunk was read.
func (p *packs) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	for _, o := range p.recent {
		if o.object != nil {
			errs = append(errs, o.object.Close())
		}
	}
	p.recent = nil
	clear(p.open)
	return errors.Join(errs...)
}
