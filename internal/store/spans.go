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
	// MaxSpan is the greatest size of a Span. The longest frame fits, with the
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

// A Span is what is fetched of a pack at once: frames that lie close together.
type Span struct {
	Run    safe.RunID
	Pack   safe.Digest
	Chunks []int // those in it, by their index in what Plan was given

	begin, end int64 // of the frames, in the plaintext of the pack
}

// Size is how many bytes a Span takes in memory, at most.
func (s *Span) Size() int64 {
	from, to := sealedRange(s.begin, s.end)
	return to - from
}

// add extends the span by a frame that begins no earlier than it does, if the
// two belong together.
func (s *Span) add(i int, c manifest.Chunk) bool {
	grown := Span{begin: s.begin, end: max(s.end, c.Offset+int64(c.Stored))}
	if c.Run != s.Run || c.Pack != s.Pack || c.Offset-s.end > maxGap || grown.Size() > MaxSpan {
		return false
	}
	s.end = grown.end
	s.Chunks = append(s.Chunks, i)
	return true
}

// farthest is where a frame may begin that is fetched ahead. A pack is a
// fraction of it; what a manifest says beyond that is left to Chunk to refuse.
const farthest = 1 << 40

// Plan says in which spans to fetch chunks: pack by pack, as they are first
// named, and in a pack from its beginning on. Every chunk is in one span.
func Plan(chunks []manifest.Chunk) []Span {
	order := make([]int, 0, len(chunks))
	first := make(map[safe.Digest]int) // chunk of each pack
	var spans []Span
	for i, c := range chunks {
		if c.Offset < 0 || c.Offset > farthest || c.Stored > MaxSpan-2*sealedPiece-maxHeader {
			spans = append(spans, Span{Run: c.Run, Pack: c.Pack, Chunks: []int{i}})
			continue
		}
		order = append(order, i)
		if _, named := first[c.Pack]; !named {
			first[c.Pack] = i
		}
	}
	slices.SortFunc(order, func(i, j int) int {
		a, b := chunks[i], chunks[j]
		return cmp.Or(cmp.Compare(first[a.Pack], first[b.Pack]), a.Run.Compare(b.Run), cmp.Compare(a.Offset, b.Offset), cmp.Compare(i, j))
	})
	impossible := len(spans)
	for _, i := range order {
		c := chunks[i]
		if n := len(spans); n == impossible || !spans[n-1].add(i, c) {
			spans = append(spans, Span{Run: c.Run, Pack: c.Pack, Chunks: []int{i}, begin: c.Offset, end: c.Offset + int64(c.Stored)})
		}
	}
	return spans
}

// Fetch brings a span into memory, where Chunk finds what is in it until
// release is called. It has no error: what could not be fetched, or was
// crowded out by later spans, Chunk reads on its own, and says what is wrong.
// Chunks that have nothing to do with the damage in a span are so not lost.
func (s *Snapshot) Fetch(ctx context.Context, span Span) (release func()) {
	return s.packs.fetch(ctx, span)
}

func (p *packs) fetch(ctx context.Context, span Span) (release func()) {
	nothing := func() {}
	if span.begin == span.end || cmp.Or(ctx.Err(), p.ctx.Err()) != nil {
		return nothing
	}
	o, err := p.acquire(span.Run, span.Pack)
	if err != nil {
		return nothing
	}
	defer p.release(o)
	if p.open(o, span.Run) != nil {
		_ = p.unseal(o, span.Run) // is told the same, and so is release
		return nothing
	}
	// The first span of a pack does not wait until the pack is unsealed.
	var unsealing sync.WaitGroup
	unsealing.Go(func() { _ = p.unseal(o, span.Run) }) // Chunk will say why it cannot be
	sealed := o.object.load(sealedRange(span.begin, span.end))
	unsealing.Wait()
	if sealed == nil {
		return nothing
	}
	defer o.object.unload(sealed)
	if o.err != nil {
		return nothing
	}
	f := &fetched{pack: o, off: span.begin, data: newBuffer(span.end - span.begin)}
	if o.reader.Frames(f.data, f.off) != nil {
		freeBuffer(f.data)
		return nothing
	}
	p.keep(f)
	return func() { p.forget(f) }
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

// spare are buffers of MaxSpan bytes that were freed.
var spare sync.Pool

// newBuffer returns n bytes of any content.
func newBuffer(n int64) []byte {
	if n < MaxSpan/2 || n > MaxSpan {
		return make([]byte, n)
	}
	if b, ok := spare.Get().(*[MaxSpan]byte); ok {
		return b[:n]
	}
	return make([]byte, n, MaxSpan)
}

// freeBuffer takes back what newBuffer gave.
func freeBuffer(b []byte) {
	if cap(b) == MaxSpan {
		spare.Put((*[MaxSpan]byte)(b[:MaxSpan]))
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
