package store

import (
	"cmp"
	"context"
	"io"

	"strongroom/internal/safe"
	"strongroom/internal/store/layout"
	"strongroom/internal/store/manifest"
)

// Of a bucket every request takes long and costs something, so a pack is read
// there in one: as a stream from its beginning on, which stays open while what
// has come is written, and goes on when more of the pack is wanted. It is
// unsealed as it comes. To begin in the middle takes three further requests:
// to look at the object, for its header and for its last piece.

const (
	// maxSkip is how many bytes are read and thrown away, at the beginning of
	// a stream or further on, rather than to begin another: what comes in the
	// time of those three requests.
	maxSkip = 8 << 20

	// openStreams bounds how many packs of a bucket are held open: what changed
	// in a quarter of a year of nights lies in so many packs, all of which are
	// wanted at all times. Each is a connection, and 64 KiB of memory.
	openStreams = 128
)

// A stream is the plaintext of a pack from its beginning on. It is for one
// goroutine at a time.
type stream struct {
	sealed io.ReadCloser
	plain  io.Reader
	at     int64 // how far it was read
}

// leadsTo tells whether an offset is ahead and not far.
func (s *stream) leadsTo(off int64) bool { return s.at <= off && off-s.at <= maxSkip }

// read fills p with what is at an offset ahead.
func (s *stream) read(p []byte, off int64) error {
	skipped, err := io.CopyN(io.Discard, s.plain, off-s.at)
	s.at += skipped
	if err != nil {
		return err
	}
	n, err := io.ReadFull(s.plain, p)
	s.at += int64(n)
	return err
}

// readStream fills data with what is in a span, and tells whether it could. It
// leaves to readSpan what is not on the way of a stream.
func (p *packs) readStream(o *openPack, s span, data []byte) bool {
	if p.streamer == nil {
		return false
	}
	o.streaming.Lock() // so that whoever comes next goes on where this one ends
	defer o.streaming.Unlock()
	if o.stream != nil && !o.stream.leadsTo(s.begin) {
		o.endStream()
	}
	if o.stream == nil {
		o.stream = p.newStream(o.digest, s.run, s.begin)
	}
	if o.stream == nil {
		return false
	}
	if o.stream.read(data, s.begin) != nil {
		o.endStream() // why it cannot be read, chunk will say
		return false
	}
	return true
}

// newStream begins a stream that leads to an offset; nil if there can be none.
func (p *packs) newStream(digest safe.Digest, run safe.RunID, off int64) *stream {
	if off > maxSkip {
		return nil
	}
	identity, err := p.identity(run)
	if err != nil {
		return nil
	}
	sealed, err := p.streamer.Stream(p.ctx, layout.Pack(run, digest), 0)
	if err != nil {
		return nil
	}
	plain, err := identity.Open(sealed)
	if err != nil {
		sealed.Close() // nothing was written
		return nil
	}
	return &stream{sealed: sealed, plain: plain}
}

// endStream closes the stream if there is one. o.streaming must be held, or
// nobody else use o any more.
func (o *openPack) endStream() {
	if o.stream != nil {
		o.stream.sealed.Close() // nothing was written
		o.stream = nil
	}
}

// close closes what is open of a pack that nobody uses any more.
func (o *openPack) close() error {
	o.endStream()
	if o.object == nil {
		return nil
	}
	return o.object.Close()
}

// How a Passage is read: in loads of about loadSize bytes, or of one longer
// frame, up to loadsAhead of them at the same time as far as there is room. All
// loads of a Snapshot together have room for loadRoom bytes, which are enough
// for a link of 100 MB/s with a round trip of an eighth of a second. While one
// is unsealed it takes twice its room.
const (
	loadSize   = 2 << 20
	loadsAhead = 8
	loadRoom   = 12 << 20
)

// A Load is a part of a Passage in memory.
type Load struct {
	Chunks []int // those in it, by their index in what Plan was given

	packs *packs
	begin int64
	data  []byte // nil if it could not be read
	room  int64
}

// Frame returns what is stored of a chunk of the load; nil if that could not
// be read.
func (l *Load) Frame(c manifest.Chunk) []byte {
	if l.data == nil {
		return nil
	}
	return l.data[c.Offset-l.begin:][:c.Stored]
}

// Release lets go of the memory.
func (l *Load) Release() {
	if l.data != nil {
		freeBuffer(l.data)
	}
	l.packs.room.Release(l.room)
}

// Read reads a Passage and calls yield with one Load after the other, each to
// be released. In the end every chunk was in one. What cannot be read comes as
// well, without its frames: Chunk will say why, or find another way. So it is
// with all that is left when ctx has ended.
func (s *Snapshot) Read(ctx context.Context, w Passage, yield func(*Load)) {
	p := s.packs
	o, err := p.acquire(w.Run, w.Pack)
	if err != nil {
		yield(&Load{Chunks: w.Chunks, packs: p})
		return
	}
	defer p.release(o)
	spans := w.spans(loadSize)
	for len(spans) > 0 && p.streamer != nil {
		size := spans[0].end - spans[0].begin
		l := &Load{Chunks: spans[0].chunks, packs: p, begin: spans[0].begin}
		if size > 0 && cmp.Or(ctx.Err(), p.ctx.Err()) == nil && p.room.Acquire(ctx, size) == nil {
			l.room = size
			l.data = newBuffer(size)
			if !p.readStream(o, spans[0], l.data) {
				freeBuffer(l.data)
				p.room.Release(size)
				spans = w.last(spans).spans(MaxSpan) // as few requests as possible
				break
			}
		}
		yield(l)
		spans = spans[1:]
	}
	var ahead []*loading
	for len(spans)+len(ahead) > 0 {
		for len(spans) > 0 && len(ahead) < loadsAhead {
			l := p.beginLoad(ctx, o, spans[0], len(ahead) > 0)
			if l == nil {
				break
			}
			ahead = append(ahead, l)
			spans = spans[1:]
		}
		l := <-ahead[0].done
		ahead = ahead[1:]
		yield(l)
	}
}

// last returns what the last spans of a passage hold.
func (w *Passage) last(spans []span) *Passage {
	n := 0
	for i := range spans {
		n += len(spans[i].chunks)
	}
	n = len(w.Chunks) - n
	return &Passage{Run: w.Run, Pack: w.Pack, Chunks: w.Chunks[n:], chunks: w.chunks[n:]}
}

// A loading is a load that is under way.
type loading struct{ done chan *Load }

// beginLoad begins to read a span. If it is only to be tried and there is no
// room now it returns nil.
func (p *packs) beginLoad(ctx context.Context, o *openPack, s span, try bool) *loading {
	l := &Load{Chunks: s.chunks, packs: p, begin: s.begin}
	ing := &loading{make(chan *Load, 1)}
	room := s.size()
	switch {
	case s.begin == s.end || cmp.Or(ctx.Err(), p.ctx.Err()) != nil:
		ing.done <- l
		return ing
	case try && !p.room.TryAcquire(room):
		return nil
	case !try && p.room.Acquire(ctx, room) != nil:
		ing.done <- l
		return ing
	}
	l.room = room
	p.fetching.Go(func() {
		data := newBuffer(s.end - s.begin)
		if p.readSpan(o, s, data) {
			l.data = data
		} else {
			freeBuffer(data)
		}
		ing.done <- l
	})
	return ing
}
