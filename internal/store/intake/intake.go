// Package intake is the way of content into the store during one run: it cuts
// what it reads into chunks, leaves out those that the store has, compresses
// the others and streams them into packs.
//
// The work flows through goroutines that pass on what they are done with:
//
//	Store: read, cut ──> workers: digest, look up, compress ──> lane: seal, write ──> finish: parity, sync, publish
//	                 └───────── in the order of reading ───────────┘
//
// The lane takes pieces in the order in which they were read, so that packs
// are read in order when they are restored. Where a piece came to lie is known
// once its pack is finished; see Piece.Chunk.
//
// Nothing here knows files or manifests, and nothing is read back from the
// store.
package intake

import (
	"context"
	"io"
	"runtime"
	"sync"

	"golang.org/x/sync/errgroup"

	"strongroom/internal/safe"
	"strongroom/internal/store/blob"
	"strongroom/internal/store/manifest"
	"strongroom/internal/store/pack"
)

// Known finds a chunk that the store has and that this run may refer to: of an
// earlier run, or of a pack of this one that was finished long ago, since an
// Intake itself remembers only the newest. It is called concurrently.
type Known func(hash safe.Digest) (manifest.Chunk, bool, error)

// Renew tells whether a chunk that the store has is to be stored again.
// It is called concurrently.
type Renew func(manifest.Chunk) bool

// Seal encrypts what is written to the returned writer to the run's recipient.
type Seal func(io.Writer) (io.WriteCloser, error)

// Options tunes an Intake. The zero value is ready to use.
type Options struct {
	Level    pack.Level
	NoParity bool
	Workers  int // goroutines that digest and compress; 0 means one per processor
}

const (
	// bigBuffers is how many buffers of the greatest chunk length there are
	// beyond two for each worker, what it digests and what it makes of that:
	// one being read into, and some that wait for the lane. They bound the
	// memory of an Intake.
	bigBuffers = 3

	// smallChunk is the length up to which a chunk is copied out of its big
	// buffer, so that many small files can be under way at once.
	smallChunk = 64 << 10

	// queued is how many pieces may wait to be digested, so that there is work
	// while whoever reads has other things to do for a moment.
	queued = 64

	// waiting is how many pieces may wait for the lane: with small chunks
	// 16 MiB at most, and enough to keep the workers busy while the lane
	// begins a pack.
	waiting = 256
)

// An Intake takes the content of one run. Lanes may be used concurrently with
// each other.
type Intake struct {
	dst   blob.Writer
	run   safe.RunID
	seal  Seal
	known Known
	opts  Options

	// ctx is that of everything that works for this Intake, and ends with its
	// first error. It is kept because Store and Finish serve one run only,
	// whose context was given to New.
	ctx     context.Context
	group   *errgroup.Group
	jobs    chan *task  // pieces to digest; closed by Close
	buffers chan []byte // free big buffers; nil for one not yet made
	closing sync.Once

	mu       sync.Mutex // guards the fields below
	lanes    []*Lane
	underway map[safe.Digest]*task // what this run stores, until it is in a pack
	placed   placed                // what this run has put into packs
	packs    []*openPack           // that places refer to
	done     []Finished            // packs, in the order in which they were finished
}

// Finished is a pack that was published.
type Finished struct {
	Digest safe.Digest
	Frames int64 // bytes of its frames
	Stored int64 // bytes of the object
	Parity int64 // bytes of its parity
}

// New returns an Intake for a run. Its goroutines end with Close, which must be
// called also after ctx has ended what they do.
func New(ctx context.Context, dst blob.Writer, run safe.RunID, seal Seal, known Known, opts Options) *Intake {
	if opts.Workers <= 0 {
		opts.Workers = runtime.GOMAXPROCS(0)
	}
	group, ctx := errgroup.WithContext(ctx)
	in := &Intake{
		dst: dst, run: run, seal: seal, known: known, opts: opts,
		ctx: ctx, group: group,
		jobs:     make(chan *task, queued),
		buffers:  make(chan []byte, opts.Workers+bigBuffers),
		underway: make(map[safe.Digest]*task),
	}
	for range cap(in.buffers) {
		in.buffers <- nil // made when first used
	}
	for range opts.Workers {
		group.Go(in.work)
	}
	return in
}

// Close ends the work, after the last Store and Finish have returned. What is
// in unfinished packs is lost. It returns the first error of anything that
// worked for the Intake, and may be repeated.
func (in *Intake) Close() error {
	in.closing.Do(func() {
		close(in.jobs)
		in.mu.Lock()
		defer in.mu.Unlock()
		for _, l := range in.lanes {
			close(l.order)
		}
	})
	return in.group.Wait()
}

// Finished returns the packs that were published so far, in that order. Every
// piece that has its place lies in one of them, or in an earlier run's.
func (in *Intake) Finished() []Finished {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.done[:len(in.done):len(in.done)]
}
