package intake

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"sync/atomic"

	"strongroom/internal/safe"
	"strongroom/internal/store/manifest"
	"strongroom/internal/store/pack"
)

// A Piece is a chunk on its way into the store, and afterwards the record of
// where it came to lie. Of these there are many at a time, so what only the way
// needs is in its task.
type Piece struct {
	// task is what is left to do; nil when the fields below are final.
	task atomic.Pointer[task]

	hash   safe.Digest
	length uint32

	// One of these tells where the content is.
	known *manifest.Chunk // in the store already
	same  *Piece          // where this piece of this run is, which was still under way
	pack  *openPack       // there
	// offset and stored belong to pack.
	offset uint32
	stored uint32
}

// A task is what is to be done with a piece.
type task struct {
	piece  *Piece
	lane   *Lane
	data   []byte // the chunk, until frame is there or the content is known to be elsewhere
	buffer []byte // the big buffer that data or frame lies in, to be given back; may be nil
	renew  Renew

	// ready is closed when the piece was digested.
	ready chan struct{}
	frame []byte // then: compressed, to be put into a pack; nil if the content is elsewhere
}

// Chunk returns where the piece came to lie; ok is false until its pack is
// finished.
func (p *Piece) Chunk() (c manifest.Chunk, ok bool) {
	if p.task.Load() != nil {
		return manifest.Chunk{}, false
	}
	if p.same != nil {
		return p.same.Chunk()
	}
	if p.known != nil {
		return *p.known, true
	}
	digest := p.pack.digest.Load()
	if digest == nil {
		return manifest.Chunk{}, false
	}
	return manifest.Chunk{
		Hash: p.hash, Run: p.pack.run, Pack: *digest,
		Offset: int64(p.offset), Stored: p.stored, Length: p.length,
	}, true
}

// A worker digests pieces. It has a buffer to compress into, which changes
// places with that of a big piece.
type worker struct {
	in         *Intake
	compressor *pack.Compressor
	room       []byte
}

// work digests pieces until there are no more.
func (in *Intake) work() error {
	w := &worker{in: in, compressor: pack.NewCompressor(in.opts.Level)}
	for t := range in.jobs {
		if err := w.digest(t); err != nil {
			return err
		}
		close(t.ready)
	}
	return nil
}

// digest finds out whether the content of a piece is in the store or on its
// way there, and compresses it if not.
func (w *worker) digest(t *task) error {
	in, p := w.in, t.piece
	p.hash = sha256.Sum256(t.data)
	p.length = uint32(len(t.data))
	if !in.foundHere(t) {
		known, ok, err := in.known(p.hash)
		if err != nil {
			return fmt.Errorf("looking up a chunk: %w", err)
		}
		if ok && known.Length == p.length && (t.renew == nil || !t.renew(known)) {
			p.known = new(manifest.Chunk)
			*p.known = known
		} else if in.claim(t) {
			w.compress(t)
			return nil
		}
	}
	in.release(t)
	p.task.Store(nil)
	return nil
}

// compress makes the frame of a piece. No memory is taken for it: the frame of
// a small piece takes the place of its content, that of a big one stays in the
// worker's buffer, for which the worker gets the one with the content.
func (w *worker) compress(t *task) {
	if w.room == nil {
		w.room = newBuffer()
	}
	frame := w.compressor.Append(w.room[:0], t.data)
	if t.buffer == nil {
		t.frame = append(t.data[:0], frame...)
	} else {
		t.frame, t.buffer, w.room = frame, frame[:cap(frame)], t.buffer
	}
	t.data = nil
}

// foundHere tells whether this run has stored, or is about to store, the
// content of a piece, and then notes in it where.
func (in *Intake) foundHere(t *task) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.foundHereLocked(t)
}

func (in *Intake) foundHereLocked(t *task) bool {
	p := t.piece
	if at, ok := in.placed.find(p.hash); ok {
		p.pack, p.offset, p.stored = in.packs[at.pack], at.offset, at.stored
		if p.pack.digest.Load() == nil {
			t.lane.leanOnLocked(p.pack.lane)
		}
		return true
	}
	other := in.underway[p.hash]
	if other == nil {
		return false
	}
	p.same = other.piece
	t.lane.leanOnLocked(other.lane)
	return true
}

// leanOnLocked notes that a piece of l has its place once other has published
// its packs. Intake.mu must be held.
func (l *Lane) leanOnLocked(other *Lane) {
	if other != l && !slices.Contains(l.leansOn, other) {
		l.leansOn = append(l.leansOn, other)
	}
}

// claim makes a piece the one that stores its content, unless there is one.
func (in *Intake) claim(t *task) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.foundHereLocked(t) {
		return false
	}
	in.underway[t.piece.hash] = t
	return true
}

// settle notes that a piece has been put into a pack.
func (in *Intake) settle(t *task, to *openPack, offset int64) {
	p := t.piece
	p.pack, p.offset, p.stored = to, uint32(offset), uint32(len(t.frame))
	in.mu.Lock()
	delete(in.underway, p.hash)
	in.placed.add(p.hash, place{pack: to.index, offset: p.offset, stored: p.stored})
	in.mu.Unlock()
	in.release(t)
	p.task.Store(nil)
}

// release gives the big buffer of a piece back.
func (in *Intake) release(t *task) {
	if t.buffer != nil {
		in.buffers <- t.buffer // never blocks: there are as many places as buffers
	}
	t.data, t.buffer, t.frame = nil, nil, nil
}
