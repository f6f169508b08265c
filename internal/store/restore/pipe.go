package restore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/semaphore"

	"strongroom/internal/safe"
	"strongroom/internal/store"
	"strongroom/internal/store/blob"
	"strongroom/internal/store/manifest"
)

const (
	// smallChunk is up to which length a chunk is read into a worker's own
	// buffer.
	smallChunk = 128 << 10

	// bigBuffers bounds the longer chunks in flight. With a frame of the same
	// length each, as package pack needs it, that is 64 MiB if all of them had
	// the greatest length; a quarter of that is usual.
	bigBuffers = 8

	// workers is how many chunks are worked on for each processor: while one
	// waits for the disk another can be decrypted.
	workers = 2

	// waiting is how many chunks may wait for a worker.
	waiting = 64

	// The manifest is read ahead by windows of so many chunks or so many stored
	// bytes, whichever is reached first.
	windowChunks = 512
	windowBytes  = 64 << 20

	// These bound the spans that are fetched or wait for workers: their bytes,
	// their chunks, since each may be of another file, and that in another
	// folder, which are then open, and how many there are.
	aheadBytes  = 16 << 20
	aheadChunks = 1024
	aheadSpans  = 12
)

// A sink takes the content of one entry. The first three methods are called
// concurrently, then finish or abort once.
type sink interface {
	// mayHold tells whether holds can be true for any chunk. If so, no chunk is
	// fetched before holds was asked.
	mayHold() bool
	// holds tells whether the chunk is in its place already. It may use the
	// room of buf, which is enough for the chunk.
	holds(buf []byte, c manifest.Chunk, off int64) bool
	write(p []byte, off int64) error
	// finish makes the content appear. kept tells that it was there before.
	finish() (kept bool, err error)
	abort()
}

// A content is a file or stream whose chunks are under way.
type content struct {
	entry safe.Entry
	sink  sink

	// pending counts the chunks that are under way, and the sender's hold
	// until the last of them was sent. Whoever takes it to 0 ends the content.
	pending atomic.Int64

	mu  sync.Mutex // guards err
	err error      // first failure
}

func (c *content) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
	}
}

func (c *content) failure() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// A task is one chunk of a content, or, for an empty content, none.
type task struct {
	to     *content
	chunk  manifest.Chunk // of no length if there is none
	offset int64          // in the content
	in     *span          // what the chunk was fetched with; nil if it was not
}

// A span is tasks whose chunks are fetched at once.
type span struct {
	tasks   []task
	fetched chan struct{} // closed
	release func()        // not before fetched
	pending atomic.Int64  // tasks that are not done
}

// A pipe brings chunks from the snapshot to where they belong, many at a time:
//
//	sender -> window -> spans -> tasks -> workers
//
// One goroutine sends. What it sends is collected in a window, which is cut
// into spans, pack by pack; these are fetched at the same time, and worked on
// in that order as soon as they are there. So packs are read about once and
// from beginning to end, whatever the order of the manifest, and neighbours
// in a pack are decrypted one after the other.
//
// In memory are at most: aheadBytes of spans, bigBuffers, and what package
// store has fetched of the manifest, 8 MiB as a rule.
type pipe struct {
	s     *store.Snapshot
	tally *tally

	// ctx is that of the caller. Packs are opened with it and stay open for
	// longer than a pipe, so it is not the context that the pipe ends itself.
	ctx context.Context
	// stopped ends with ctx and with the first error after which it makes no
	// sense to go on, which is its cause.
	stopped context.Context
	stop    context.CancelCauseFunc

	window      []task // belongs to the sender, with the stored bytes in it
	windowBytes int64

	bytes   *semaphore.Weighted // of spans
	chunks  *semaphore.Weighted // in spans
	spans   chan *span          // under way, in order; closed by close
	tasks   chan task           // closed by close
	big     chan []byte         // free buffers for long chunks; nil for one not yet made
	fetches sync.WaitGroup      // with the goroutine that takes spans
	group   sync.WaitGroup

	mu       sync.Mutex               // guards underway
	underway map[string]chan struct{} // by path, contents that have not ended; closed when they do
}

func newPipe(ctx context.Context, s *store.Snapshot, t *tally) *pipe {
	p := &pipe{
		s: s, tally: t, ctx: ctx,
		bytes:    semaphore.NewWeighted(aheadBytes),
		chunks:   semaphore.NewWeighted(aheadChunks),
		spans:    make(chan *span, aheadSpans),
		tasks:    make(chan task, waiting),
		big:      make(chan []byte, bigBuffers),
		underway: make(map[string]chan struct{}),
	}
	p.stopped, p.stop = context.WithCancelCause(ctx)
	for range bigBuffers {
		p.big <- nil
	}
	p.fetches.Go(p.unpack)
	for range workers * runtime.GOMAXPROCS(0) {
		p.group.Go(p.work)
	}
	return p
}

// noChunks are the chunks of a content that is not to be read.
func noChunks(func(manifest.Chunk, error) bool) {}

// send sends the chunks of a content.
func (p *pipe) send(c *content, chunks iter.Seq2[manifest.Chunk, error]) error {
	p.mu.Lock()
	p.underway[c.entry.Path] = make(chan struct{})
	p.mu.Unlock()
	c.pending.Store(1)
	// The last task takes over the hold of the sender, so the one before is
	// sent when there is another.
	last := task{to: c}
	for chunk, err := range chunks {
		if err != nil {
			return p.recall(c, fmt.Errorf("reading the manifest: %w", err))
		}
		if last.chunk.Length > 0 {
			c.pending.Add(1)
			if err := p.put(last); err != nil {
				c.pending.Add(-1)
				return p.recall(c, err)
			}
		}
		last = task{to: c, chunk: chunk, offset: last.offset + int64(last.chunk.Length)}
	}
	if err := p.put(last); err != nil {
		return p.recall(c, err)
	}
	return nil
}

// recall ends the sending of a content before its last chunk.
func (p *pipe) recall(c *content, err error) error {
	p.stop(err)
	c.fail(err)
	p.release(c)
	return err
}

// put takes a task into the window.
func (p *pipe) put(t task) error {
	if err := p.cause(); err != nil {
		return err
	}
	if t.chunk.Length == 0 || t.to.sink.mayHold() {
		p.tasks <- t // workers go on taking tasks until the end
		return nil
	}
	p.window = append(p.window, t)
	p.windowBytes += int64(t.chunk.Stored)
	if len(p.window) == windowChunks || p.windowBytes >= windowBytes {
		p.flush()
	}
	return nil
}

// flush has what is in the window fetched and worked on.
func (p *pipe) flush() {
	chunks := make([]manifest.Chunk, len(p.window))
	for i, t := range p.window {
		chunks[i] = t.chunk
	}
	for _, plan := range store.Plan(chunks) {
		s := &span{tasks: make([]task, len(plan.Chunks)), fetched: make(chan struct{})}
		for i, n := range plan.Chunks {
			s.tasks[i] = p.window[n]
			s.tasks[i].in = s
		}
		s.pending.Store(int64(len(s.tasks)))
		p.fetch(s, plan)
	}
	p.window, p.windowBytes = p.window[:0], 0
}

// fetch waits for room in memory and begins to fetch a span. When the pipe was
// stopped there is nothing to wait for.
func (p *pipe) fetch(s *span, plan store.Span) {
	size, chunks := plan.Size(), int64(len(plan.Chunks))
	if p.bytes.Acquire(p.stopped, size) != nil || p.chunks.Acquire(p.stopped, chunks) != nil {
		s.release = func() {} // nobody will wait any more
		close(s.fetched)
	} else {
		p.fetches.Go(func() {
			release := p.s.Fetch(p.stopped, plan)
			s.release = func() {
				release()
				p.bytes.Release(size)
				p.chunks.Release(chunks)
			}
			close(s.fetched)
		})
	}
	p.spans <- s
}

// unpack passes on the tasks of each span when it is there.
func (p *pipe) unpack() {
	for s := range p.spans {
		<-s.fetched
		for _, t := range s.tasks {
			p.tasks <- t
		}
	}
}

// cause returns why the pipe was stopped; nil if it was not.
func (p *pipe) cause() error {
	if err := p.ctx.Err(); err != nil {
		return err
	}
	return context.Cause(p.stopped)
}

// wait returns when the content of the path is not under way any more. It is
// for the sender.
func (p *pipe) wait(path string) error {
	p.mu.Lock()
	ended := p.underway[path]
	p.mu.Unlock()
	if ended == nil {
		return nil
	}
	p.flush()
	select {
	case <-ended:
		return nil
	case <-p.stopped.Done():
		return p.cause()
	}
}

// close waits for what is under way, or, after an error of the sender, stops
// it. It returns the first error.
func (p *pipe) close(err error) error {
	if err != nil {
		p.stop(err)
	}
	p.flush()
	close(p.spans)
	p.fetches.Wait()
	close(p.tasks)
	p.group.Wait()
	err = p.cause()
	p.stop(nil) // releases the context
	return err
}

// work goes on taking tasks when the pipe was stopped, so that every content
// is ended.
func (p *pipe) work() {
	small := make([]byte, smallChunk)
	for t := range p.tasks {
		if err := p.move(t, small); err != nil {
			t.to.fail(err)
		}
		if t.in != nil && t.in.pending.Add(-1) == 0 {
			t.in.release()
		}
		p.tally.moved(int64(t.chunk.Length))
		p.release(t.to)
	}
}

// move brings one chunk to its place.
func (p *pipe) move(t task, buf []byte) error {
	if err := p.cause(); err != nil {
		return err
	}
	if t.chunk.Length == 0 || t.to.failure() != nil {
		return nil
	}
	if t.chunk.Length > smallChunk {
		buf = <-p.big
		if cap(buf) < int(t.chunk.Length) {
			buf = make([]byte, t.chunk.Length)
		}
		defer func() { p.big <- buf }() // never blocks: there are as many places as buffers
	}
	if t.to.sink.holds(buf, t.chunk, t.offset) {
		return nil
	}
	data, err := p.s.Chunk(p.ctx, buf[:0], t.chunk)
	if errors.Is(err, blob.ErrGone) {
		p.stop(err)
	}
	if err != nil {
		return err
	}
	return p.targetError(t.to.entry, t.to.sink.write(data, t.offset))
}

// targetError stops the pipe if err means that the target fails as a whole.
func (p *pipe) targetError(e safe.Entry, err error) error {
	if err != nil && fatal(err) {
		err = fmt.Errorf("restoring %q: %w", e.Path, err)
		p.stop(err)
	}
	return err
}

// release takes one off what is pending of a content, and ends it if that was
// the last.
func (p *pipe) release(c *content) {
	if c.pending.Add(-1) > 0 {
		return
	}
	kept, err := false, c.failure()
	if err == nil {
		kept, err = c.sink.finish()
		err = p.targetError(c.entry, err)
	} else {
		c.sink.abort()
	}
	switch {
	case err == nil:
		p.tally.countFile(c.entry.Size, kept)
	case p.cause() == nil:
		p.tally.lose(c.entry.Path, Whole, err)
	}
	p.tally.done()
	p.mu.Lock()
	close(p.underway[c.entry.Path])
	delete(p.underway, c.entry.Path)
	p.mu.Unlock()
}

// walk calls visit with every entry of the manifest, until p is stopped.
func walk(ctx context.Context, s *store.Snapshot, p *pipe, visit func(*manifest.Reader, safe.Entry) error) error {
	m, _, err := s.Manifest(ctx)
	if err != nil {
		return fmt.Errorf("reading the manifest: %w", err)
	}
	for p.cause() == nil {
		e, err := m.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading the manifest: %w", err)
		}
		if err := visit(m, e); err != nil {
			return err
		}
	}
	return p.cause()
}
