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

// A Piece is a chunk on its way into the store.
type Piece struct {
	lane   *Lane
	data   []byte // until it is in a pack or known to be elsewhere
	buffer []byte // the big buffer that data lies in, to be given back; may be nil
	renew  Renew

	// ready is closed when the piece has been digested: the fields below are
	// then final, but for frame, which the lane consumes.
	ready chan struct{}

	hash   safe.Digest
	length uint32
	frame  []byte         // compressed, to be put into a pack; nil if the content is elsewhere
	same   *Piece         // elsewhere: a piece of this run, still under way when it was found
	known  manifest.Chunk // elsewhere: in the store already

	// pack is set when the frame has been put into one, after offset and
	// stored were.
	pack   atomic.Pointer[openPack]
	offset uint32
	stored uint32
}

// Chunk returns where the piece came to lie; ok is false until its pack is
// finished.
func (p *Piece) Chunk() (c manifest.Chunk, ok bool) {
	select {
	case <-p.ready:
	default:
		return manifest.Chunk{}, false
	}
	if p.same != nil {
		return p.same.Chunk()
	}
	if p.known.Length > 0 {
		return p.known, true
	}
	at := p.pack.Load()
	if at == nil {
		return manifest.Chunk{}, false
	}
	digest := at.digest.Load()
	if digest == nil {
		return manifest.Chunk{}, false
	}
	return manifest.Chunk{
		Hash: p.hash, Run: at.run, Pack: *digest,
		Offset: int64(p.offset), Stored: p.stored, Length: p.length,
	}, true
}

// work digests pieces until there are no more.
func (in *Intake) work() error {
	c := pack.NewCompressor(in.opts.Level)
	for p := range in.jobs {
		if err := in.digest(p, c); err != nil {
			return err
		}
		close(p.ready)
	}
	return nil
}

// digest finds out whether the content of a piece is in the store or on its
// way there, and compresses it if not.
func (in *Intake) digest(p *Piece, c *pack.Compressor) error {
	p.hash = sha256.Sum256(p.data)
	p.length = uint32(len(p.data))
	if !in.foundHere(p) {
		known, ok, err := in.known(p.hash)
		if err != nil {
			return fmt.Errorf("looking up a chunk: %w", err)
		}
		if ok && known.Length == p.length && (p.renew == nil || !p.renew(known)) {
			p.known = known
		} else if in.claim(p) {
			p.frame = c.Append(nil, p.data)
			return nil
		}
	}
	in.release(p)
	return nil
}

// foundHere tells whether this run has stored, or is about to store, the
// content of p, and then notes in p where.
func (in *Intake) foundHere(p *Piece) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.foundHereLocked(p)
}

func (in *Intake) foundHereLocked(p *Piece) bool {
	if at, ok := in.placed[p.hash]; ok {
		to := in.packs[at.pack]
		p.offset, p.stored = at.offset, at.stored
		p.pack.Store(to)
		if to.digest.Load() == nil {
			p.lane.leanOnLocked(to.lane)
		}
		return true
	}
	if p.same = in.underway[p.hash]; p.same == nil {
		return false
	}
	p.lane.leanOnLocked(p.same.lane)
	return true
}

// leanOnLocked notes that a piece of l has its place once other has published
// its packs. Intake.mu must be held.
func (l *Lane) leanOnLocked(other *Lane) {
	if other != l && !slices.Contains(l.leansOn, other) {
		l.leansOn = append(l.leansOn, other)
	}
}

// claim makes p the piece that stores its content, unless there is one.
func (in *Intake) claim(p *Piece) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.foundHereLocked(p) {
		return false
	}
	in.underway[p.hash] = p
	return true
}

// settle notes that p has been put into a pack.
func (in *Intake) settle(p *Piece, to *openPack, offset int64) {
	p.offset, p.stored, p.frame = uint32(offset), uint32(len(p.frame)), nil
	in.mu.Lock()
	delete(in.underway, p.hash)
	in.placed[p.hash] = place{pack: to.index, offset: p.offset, stored: p.stored}
	in.mu.Unlock()
	p.pack.Store(to)
	in.release(p)
}

// release drops the plaintext of p and gives its big buffer back.
func (in *Intake) release(p *Piece) {
	if p.buffer != nil {
		in.buffers <- p.buffer // never blocks: there are as many places as buffers
	}
	p.data, p.buffer = nil, nil
}
