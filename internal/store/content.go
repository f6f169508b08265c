package store

import (
	"context"
	"io"
	"sync"

	"strongroom/internal/store/manifest"
)

// How much content is fetched ahead of its reader: two windows at a time, the
// first one small, since a reader may want no more than a beginning.
const (
	firstWindow = 256 << 10
	mostWindow  = 4 << 20

	// Of a window that lies scattered over packs, so much is fetched ahead and
	// the rest in its turn. Whatever is written at one time lies together.
	mostSpans    = 8
	mostInWindow = 3 * mostWindow
)

// content returns a reader of the chunks that next returns, up to io.EOF.
func (s *Snapshot) content(ctx context.Context, next func() (manifest.Chunk, error)) io.Reader {
	return &contentReader{ctx: ctx, packs: s.packs, next: next, room: firstWindow}
}

// A contentReader is for one goroutine. It keeps the context that its maker
// gave, because io.Reader has no place for one. One that is given up leaves
// behind what it has fetched, which later spans crowd out, and a goroutine that
// ends when its fetching does.
type contentReader struct {
	ctx   context.Context
	packs *packs
	next  func() (manifest.Chunk, error)

	now  *window // nil at the beginning and after the end
	then *window // is fetched while now is read; nil if there is none
	room int64   // stored bytes in the next one

	buf  []byte
	left []byte
	err  error
}

// A window is some chunks that are fetched at the same time.
type window struct {
	chunks  []manifest.Chunk // not yet read
	end     error            // what comes after them; nil if it is another window
	release func()           // to be called when it is read; not before fetched
	fetched chan struct{}    // closed
}

func (r *contentReader) Read(p []byte) (int, error) {
	for len(r.left) == 0 {
		if r.err == nil {
			r.err = r.fill()
		}
		if r.err != nil {
			return 0, r.err
		}
	}
	n := copy(p, r.left)
	r.left = r.left[n:]
	return n, nil
}

// fill reads the next chunk.
func (r *contentReader) fill() error {
	if r.now == nil || len(r.now.chunks) == 0 {
		if err := r.turn(); err != nil {
			return err
		}
	}
	var err error
	r.buf, err = r.packs.chunk(r.ctx, r.buf[:0], r.now.chunks[0])
	r.now.chunks = r.now.chunks[1:]
	r.left = r.buf
	return err
}

// turn goes on to the next window, and has the one after that fetched.
func (r *contentReader) turn() error {
	first := r.now == nil
	if first {
		r.now = r.gather()
	} else {
		r.now.release()
		if r.now.end != nil {
			return r.now.end
		}
		r.now = r.then
	}
	if first {
		now := r.now
		r.packs.fetching.Go(func() { now.fetch(r.ctx, r.packs) })
	}
	if r.packs.streamer != nil {
		<-r.now.fetched // what comes then is further on in the same stream
	}
	if r.now.end == nil {
		then := r.gather()
		r.then = then
		r.packs.fetching.Go(func() { then.fetch(r.ctx, r.packs) })
	}
	<-r.now.fetched
	if len(r.now.chunks) == 0 {
		return r.now.end
	}
	return nil
}

// gather begins a window.
func (r *contentReader) gather() *window {
	w := &window{fetched: make(chan struct{})}
	for size := int64(0); size < r.room && w.end == nil; {
		c, err := r.next()
		if err != nil {
			w.end = err
			break
		}
		w.chunks = append(w.chunks, c)
		size += int64(c.Stored)
	}
	r.room = min(2*r.room, mostWindow)
	return w
}

// fetch fetches the window, most of it at the same time. What is of one pack
// comes in its turn where it is read as a stream.
func (w *window) fetch(ctx context.Context, p *packs) {
	defer close(w.fetched)
	var mu sync.Mutex // guards releases
	var releases []func()
	w.release = func() {
		for _, release := range releases {
			release()
		}
	}
	fetch := func(spans ...span) {
		for _, s := range spans {
			release := p.fetch(ctx, s)
			mu.Lock()
			releases = append(releases, release)
			mu.Unlock()
		}
	}
	var group sync.WaitGroup
	defer group.Wait()
	n, size := 0, int64(0)
	for _, passage := range Plan(w.chunks) {
		spans := passage.spans(MaxSpan)
		for i := range spans {
			if size += spans[i].size(); n == mostSpans || size > mostInWindow {
				group.Go(func() { fetch(spans[:i]...) })
				return
			}
			n++
		}
		if p.streamer != nil {
			group.Go(func() { fetch(spans...) })
			continue
		}
		for _, s := range spans {
			group.Go(func() { fetch(s) })
		}
	}
}

// inRow returns a function that returns one chunk after the other.
func inRow(chunks []manifest.Chunk) func() (manifest.Chunk, error) {
	return func() (c manifest.Chunk, err error) {
		if len(chunks) == 0 {
			return c, io.EOF
		}
		c, chunks = chunks[0], chunks[1:]
		return c, nil
	}
}
