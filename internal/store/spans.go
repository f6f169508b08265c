package store

import (
	"cmp"
	"context"
	"io"
	"slices"
	"sync"

	"strongroom/internal/safe"
	"strongroom/internal/store/blob"
	"strongroom/internal/store/manifest"
)

// A pack is sealed in pieces of 64 KiB, and whoever reads it through age reads
// them one by one: a round trip each, where the store is far away. So what is
// known to be needed is brought into memory in spans of some MiB first, many
// at a time, and unsealed there from one end to the other.

const (
	// MaxSpan is the greatest size of a span. The longest frame fits, with the
	// pieces in which it begins and ends.
	MaxSpan = 4<<20 + 256<<10

	// maxGap is how many bytes between two frames are fetched along with them:
	// they take less time than another request would.
	maxGap = 1 << 20

	// maxResident bounds what fetched spans hold of memory. Whoever fetches
	// more than that has lost the oldest ones.
	maxResident = 32 << 20
)

// What an age file adds: a header, which takes 2 kB for one hybrid recipient,
// and a tag for each piece. If a header should be longer than maxHeader, some
// bytes are read twice and nothing else is different.
const (
	piece       = 64 << 10
	sealedPiece = piece + 16
	maxHeader   = 4 << 10
)

// sealedRange returns where in a pack the frames between two offsets of its
// plaintext lie, generously, since the length of the header is not known.
func sealedRange(begin, end int64) (from, to int64) {
	return begin / piece * sealedPiece, maxHeader + (end+piece-1)/piece*sealedPiece
}

// A span is what is fetched of a pack at once: frames that lie close together.
type span struct {
	run    safe.RunID
	pack   safe.Digest
	chunks []int // those in it, by their index in what Plan was given

	begin, end int64 // of the frames, in the plaintext of the pack; the same if they cannot be fetched
}

// size is how many bytes a span takes in memory, at most.
func (s *span) size() int64 {
	from, to := sealedRange(s.begin, s.end)
	return to - from
}

// add extends the span by a frame that begins no earlier than it does, if the
// two belong together and have no more than most bytes.
func (s *span) add(i int, c manifest.Chunk, most int64) bool {
	grown := span{begin: s.begin, end: max(s.end, c.Offset+int64(c.Stored))}
	if !possible(c) || s.begin == s.end || c.Offset-s.end > maxGap || grown.size() > most {
		return false
	}
	s.end = grown.end
	s.chunks = append(s.chunks, i)
	return true
}

// farthest is where a frame may begin that is fetched ahead. A pack is a
// fraction of it; what a manifest says beyond that is left to Chunk to refuse.
const farthest = 1 << 40

// possible tells whether c can be fetched ahead.
func possible(c manifest.Chunk) bool {
	return 0 <= c.Offset && c.Offset <= farthest && c.Stored <= MaxSpan-2*sealedPiece-maxHeader
}

// A Passage is chunks of one pack that are read one after the other, as they
// lie.
type Passage struct {
	Run    safe.RunID
	Pack   safe.Digest
	Chunks []int // by their index in what Plan was given

	chunks []manifest.Chunk // the same
}

// Plan says in which order to read chunks: pack by pack, as they are first
// named, and a pack from its beginning on. Every chunk is in one Passage.
func Plan(chunks []manifest.Chunk) []Passage {
	order := make([]int, 0, len(chunks))
	first := make(map[safe.Digest]int) // chunk of each pack
	var passages []Passage
	for i, c := range chunks {
		if !possible(c) {
			passages = append(passages, Passage{Run: c.Run, Pack: c.Pack, Chunks: []int{i}, chunks: []manifest.Chunk{c}})
			continue
		}
		order = append(order, i)
		if _, named := first[c.Pack]; !named {
			first[c.Pack] = i
		}
	}
	slices.SortFunc(order, func(i, j int) int {
		a, b := &chunks[i], &chunks[j]
		return cmp.Or(cmp.Compare(first[a.Pack], first[b.Pack]), a.Run.Compare(b.Run), cmp.Compare(a.Offset, b.Offset), cmp.Compare(i, j))
	})
	impossible := len(passages)
	for _, i := range order {
		c := chunks[i]
		if n := len(passages); n == impossible || passages[n-1].Pack != c.Pack || passages[n-1].Run != c.Run {
			passages = append(passages, Passage{Run: c.Run, Pack: c.Pack})
		}
		last := &passages[len(passages)-1]
		last.Chunks = append(last.Chunks, i)
		last.chunks = append(last.chunks, c)
	}
	return passages
}

// spans cuts the passage into spans of about so many bytes, or of one longer
// frame.
func (w *Passage) spans(size int64) []span {
	var spans []span
	for k, c := range w.chunks {
		if n := len(spans); n == 0 || !spans[n-1].add(w.Chunks[k], c, size) {
			s := span{run: w.Run, pack: w.Pack, chunks: []int{w.Chunks[k]}}
			if possible(c) {
				s.begin, s.end = c.Offset, c.Offset+int64(c.Stored)
			}
			spans = append(spans, s)
		}
	}
	return spans
}

// fetch brings a span into memory, where chunk finds what is in it until
// release is called. What could not be fetched is found by chunk piece by
// piece, and chunk will say why not: sound chunks that have nothing to do with
// the damage in a span are so not lost.
func (p *packs) fetch(ctx context.Context, s span) (release func()) {
	nothing := func() {}
	if s.begin == s.end || cmp.Or(ctx.Err(), p.ctx.Err()) != nil {
		return nothing
	}
	o, err := p.acquire(s.run, s.pack)
	if err != nil {
		return nothing
	}
	defer p.release(o)
	f := &fetched{pack: o, off: s.begin, data: newBuffer(s.end - s.begin)}
	if !p.readStream(o, s, f.data) && !p.readSpan(o, s, f.data) {
		freeBuffer(f.data)
		return nothing
	}
	p.keep(f)
	return func() { p.forget(f) }
}

// readSpan fills data with what is in a span, and tells whether it could.
func (p *packs) readSpan(o *openPack, s span, data []byte) bool {
	if p.open(o, s.run) != nil {
		_ = p.unseal(o, s.run) // is told the same, and so is release
		return false
	}
	// The first span of a pack does not wait until the pack is unsealed.
	var unsealing sync.WaitGroup
	unsealing.Go(func() { _ = p.unseal(o, s.run) }) // chunk will say why it cannot be
	sealed := o.object.load(sealedRange(s.begin, s.end))
	unsealing.Wait()
	if sealed == nil {
		return false
	}
	defer o.object.unload(sealed)
	return o.err == nil && o.reader.Frames(data, s.begin) == nil
}

// A fetched is what a span fetched: a part of the plaintext of a pack, in
// memory. Its pieces are unsealed once, however many frames they hold.
type fetched struct {
	pack *openPack
	off  int64
	data []byte

	readers int  // of data; guarded by packs.mu
	gone    bool // the last of them frees data; guarded by packs.mu
}

// keep keeps f, and lets go of the oldest ones beyond maxResident.
func (p *packs) keep(f *fetched) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.resident = append(p.resident, f)
	p.residentSize += len(f.data)
	if f.pack.dropped {
		p.forgetLocked(f)
	}
	for p.residentSize > maxResident {
		p.forgetLocked(p.resident[0])
	}
}

func (p *packs) forget(f *fetched) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forgetLocked(f)
}

// forgetLocked lets go of f, perhaps not for the first time. p.mu must be
// held.
func (p *packs) forgetLocked(f *fetched) {
	if i := slices.Index(p.resident, f); i >= 0 {
		p.resident = slices.Delete(p.resident, i, i+1)
		p.residentSize -= len(f.data)
		f.gone = true
		f.freeLocked()
	}
}

func (f *fetched) freeLocked() {
	if f.gone && f.readers == 0 {
		freeBuffer(f.data)
	}
}

// frame returns n bytes at an offset of a pack's plaintext if they were
// fetched, until done is called; otherwise nil.
func (p *packs) frame(o *openPack, off int64, n uint32) (frame []byte, done func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range p.resident {
		if f.pack == o && off >= f.off && off-f.off <= int64(len(f.data))-int64(n) {
			f.readers++
			return f.data[off-f.off:][:n], func() {
				p.mu.Lock()
				defer p.mu.Unlock()
				f.readers--
				f.freeLocked()
			}
		}
	}
	return nil, nil
}

// Buffers that were freed: of loads, and of what is longer.
var spareLoads, spareSpans sync.Pool

// newBuffer returns n bytes of any content.
func newBuffer(n int64) []byte {
	switch {
	case loadSize/4 <= n && n <= loadSize:
		if b, ok := spareLoads.Get().(*[loadSize]byte); ok {
			return b[:n]
		}
		return make([]byte, n, loadSize)
	case MaxSpan/2 <= n && n <= MaxSpan:
		if b, ok := spareSpans.Get().(*[MaxSpan]byte); ok {
			return b[:n]
		}
		return make([]byte, n, MaxSpan)
	}
	return make([]byte, n)
}

// freeBuffer takes back what newBuffer gave.
func freeBuffer(b []byte) {
	switch cap(b) {
	case loadSize:
		spareLoads.Put((*[loadSize]byte)(b[:loadSize]))
	case MaxSpan:
		spareSpans.Put((*[MaxSpan]byte)(b[:MaxSpan]))
	}
}

// A region is a part of an object in memory.
type region struct {
	off  int64
	data []byte
}

// A buffered is an object of which regions may be in memory, for age to read.
type buffered struct {
	blob.Object

	mu      sync.RWMutex // guards regions and what is in them
	regions []*region
}

// load reads the object between two offsets, as far as it goes, into a region
// that stays until unload. It is nil if that cannot be read, or is nothing.
func (b *buffered) load(from, to int64) *region {
	from, to = max(from, 0), min(to, b.Size())
	if from >= to {
		return nil
	}
	r := &region{off: from, data: newBuffer(to - from)}
	if n, err := b.Object.ReadAt(r.data, from); n < len(r.data) || err != nil && err != io.EOF {
		freeBuffer(r.data)
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.regions = append(b.regions, r)
	return r
}

// unload forgets a region, which may be nil or forgotten already.
func (b *buffered) unload(r *region) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if i := slices.Index(b.regions, r); i >= 0 {
		b.regions = slices.Delete(b.regions, i, i+1)
		freeBuffer(r.data)
	}
}

// copy fills p with what is in memory from an offset on. It tells whether all
// of it is.
func (b *buffered) copy(p []byte, off int64) bool {
	b.mu.RLock() // held while copying, so that the region stays
	defer b.mu.RUnlock()
	for _, r := range b.regions {
		if off >= r.off && off-r.off <= int64(len(r.data)-len(p)) {
			copy(p, r.data[off-r.off:])
			return true
		}
	}
	return false
}

// ReadAt implements io.ReaderAt.
func (b *buffered) ReadAt(p []byte, off int64) (int, error) {
	if b.copy(p, off) {
		return len(p), nil
	}
	return b.Object.ReadAt(p, off)
}
