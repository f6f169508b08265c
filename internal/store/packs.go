package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/semaphore"

	"strongroom/internal/safe"
	"strongroom/internal/store/blob"
	"strongroom/internal/store/layout"
	"strongroom/internal/store/manifest"
	"strongroom/internal/store/pack"
	"strongroom/internal/store/seal"
)

// openPacks bounds how many packs are held open at a time where they are not
// read as streams: enough for a few files whose chunks lie in packs of
// different years, few enough to stay far from the limits of a process.
const openPacks = 32

// packs opens the packs of one snapshot as they are needed, and keeps those
// used last. It may be used concurrently.
type packs struct {
	// ctx is that of the whole reading. It is kept because what is opened for
	// one chunk serves all that come after it, whose own contexts end sooner.
	ctx      context.Context
	r        blob.Reader
	streamer blob.Streamer // r as well; nil if it is none
	d        safe.Snapshot
	ident    Identities

	room *semaphore.Weighted // of loads, in bytes

	// fetching is what readers of content fetch while they do something else.
	fetching sync.WaitGroup

	mu           sync.Mutex // guards the fields below
	runs         map[safe.RunID]*runState
	packs        map[safe.Digest]*openPack
	recent       []*openPack // the one used last comes last
	resident     []*fetched  // the oldest first
	residentSize int         // bytes in it
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

	opening sync.Once
	object  *buffered
	openErr error

	unsealing sync.Once
	reader    *pack.Reader
	err       error // of either

	streaming sync.Mutex // held while the stream is read
	stream    *stream    // nil if there is none

	users   int  // guarded by packs.mu
	failed  bool // to be unsealed, as err says; guarded by packs.mu
	dropped bool // guarded by packs.mu
}

func newPacks(ctx context.Context, r blob.Reader, d safe.Snapshot, identities Identities) *packs {
	streamer, _ := r.(blob.Streamer)
	return &packs{
		ctx: ctx, r: r, streamer: streamer, d: d, ident: identities,
		room: semaphore.NewWeighted(loadRoom),
		runs: make(map[safe.RunID]*runState), packs: make(map[safe.Digest]*openPack),
	}
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
	o, err := p.acquire(c.Run, c.Pack)
	if err != nil {
		return dst, err
	}
	defer p.release(o)
	if frame, done := p.frame(o, c.Offset, c.Stored); frame != nil {
		defer done()
		return p.decode(dst, frame, c)
	}
	if err := p.unseal(o, c.Run); err != nil {
		return dst, err
	}
	// One or two pieces are read as quickly by age.
	if c.Stored > piece && possible(c) {
		defer o.object.unload(o.object.load(sealedRange(c.Offset, c.Offset+int64(c.Stored))))
	}
	grown, err := o.reader.Chunk(dst, pack.Ref{Hash: c.Hash, Offset: c.Offset, Stored: c.Stored, Length: c.Length})
	if err != nil {
		return dst, p.corrupt(layout.Pack(c.Run, c.Pack), err)
	}
	return grown, nil
}

// decode appends the content of c to dst, verified, given its frame.
func (p *packs) decode(dst, frame []byte, c manifest.Chunk) ([]byte, error) {
	grown, err := pack.Decode(dst, frame, pack.Ref{Hash: c.Hash, Offset: c.Offset, Stored: c.Stored, Length: c.Length})
	if err != nil {
		return dst, p.corrupt(layout.Pack(c.Run, c.Pack), err)
	}
	return grown, nil
}

func (p *packs) acquire(run safe.RunID, digest safe.Digest) (*openPack, error) {
	// A manifest is believed only as far as the description goes, which is in
	// the ledger: so no chunk can come from another source's run.
	if _, named := slices.BinarySearchFunc(p.d.Runs[run].Packs, digest, safe.Digest.Compare); !named {
		return nil, fmt.Errorf("the snapshot refers to pack %s of run %s, which its description does not name", digest, run)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	o := p.packs[digest]
	if o == nil {
		o = &openPack{digest: digest}
		p.packs[digest] = o
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
	most := openPacks
	if p.streamer != nil {
		most = openStreams
	}
	if len(p.recent) <= most {
		return
	}
	o := p.recent[0]
	p.dropLocked(o)
	if o.users == 0 {
		o.close() // nothing was written
	}
}

// dropLocked forgets a pack, which may still be in use. p.mu must be held.
func (p *packs) dropLocked(o *openPack) {
	i := slices.Index(p.recent, o)
	p.recent = slices.Delete(p.recent, i, i+1)
	delete(p.packs, o.digest)
	o.dropped = true
	for _, f := range slices.Clone(p.resident) {
		if f.pack == o {
			p.forgetLocked(f)
		}
	}
}

func (p *packs) release(o *openPack) {
	p.mu.Lock()
	defer p.mu.Unlock()
	o.users--
	if o.failed && !o.dropped {
		p.dropLocked(o)
	}
	if o.dropped && o.users == 0 {
		o.close() // nothing was written
	}
}

// open opens the object of a pack, at most once.
func (p *packs) open(o *openPack, run safe.RunID) error {
	o.opening.Do(func() {
		name := layout.Pack(run, o.digest)
		object, err := p.r.Open(p.ctx, name)
		switch {
		case errors.Is(err, blob.ErrNotExist):
			o.openErr = &CorruptError{Name: name, Err: blob.ErrNotExist}
		case err != nil:
			o.openErr = fmt.Errorf("opening pack %s: %w", name, err)
		default:
			o.object = &buffered{Object: object}
		}
	})
	return o.openErr
}

// unseal opens a pack and its seal, at most once.
func (p *packs) unseal(o *openPack, run safe.RunID) error {
	o.unsealing.Do(func() {
		if o.reader, o.err = p.newReader(o, run); o.err != nil {
			p.mu.Lock()
			defer p.mu.Unlock()
			o.failed = true
		}
	})
	return o.err
}

func (p *packs) newReader(o *openPack, run safe.RunID) (*pack.Reader, error) {
	if err := p.open(o, run); err != nil {
		return nil, err
	}
	identity, err := p.identity(run)
	if err != nil {
		return nil, err
	}
	// The header, and the last piece, which authenticates the size.
	size := o.object.Size()
	var end *region
	var group sync.WaitGroup
	group.Go(func() { end = o.object.load(size-sealedPiece, size) })
	begin := o.object.load(0, maxHeader)
	group.Wait()
	defer o.object.unload(begin)
	defer o.object.unload(end)
	reader, err := pack.Open(o.object, size, identity.OpenAt)
	if err != nil {
		return nil, p.corrupt(layout.Pack(run, o.digest), err)
	}
	return reader, nil
}

// corrupt blames an object for an error of reading it, unless the reading as a
// whole was given up or the store is gone.
func (p *packs) corrupt(name string, err error) error {
	if p.ctx.Err() != nil {
		return p.ctx.Err()
	}
	if errors.Is(err, blob.ErrGone) {
		return err
	}
	return &CorruptError{Name: name, Err: err}
}

// close closes everything, after the last chunk was read.
func (p *packs) close() error {
	p.fetching.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	for _, o := range p.recent {
		errs = append(errs, o.close())
	}
	p.recent, p.resident, p.residentSize = nil, nil, 0
	clear(p.packs)
	return errors.Join(errs...)
}
