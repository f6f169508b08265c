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

	"strongroom/internal/safe"
	"strongroom/internal/store"
	"strongroom/internal/store/blob"
	"strongroom/internal/store/manifest"
)

const (
	// smallChunk is up to which length a chunk is read into a worker's own
	// buffer.
	smallChunk = 128 << 10

	// bigBuffers is how many workers can have a longer one at a time, beyond one
	// for each processor. Each takes up to 4 MiB.
	bigBuffers = 1

	// workers is how many chunks are worked on for each processor: while one
	// waits for the disk another can be decrypted.
	workers = 2

	// waiting is how many chunks may wait for a worker.
	waiting = 64

	// readers is how many packs are read at the same time. A bucket sends each
	// at its own speed, 100 MB/s or so.
	readers = 8

	// The manifest is read ahead by windows of so many chunks: some packs at
	// least, for the readers. A window ends sooner with so many contents of more
	// than one chunk, since each may stay open until the last pack of the window
	// was read.
	windowChunks = 4096
	windowOpen   = 512
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
	in     *load          // what the chunk was read with; nil if it was not
}

// A passage is tasks whose chunks lie in one pack.
type passage struct {
	store.Passage
	tasks  []task        // in the window
	before chan struct{} // closed when what comes before in the pack was read; nil if nothing does
	read   chan struct{} // closed when it was read
}

// A load is what was read of a pack at once.
type load struct {
	*store.Load
	pending atomic.Int64 // tasks that are not done
}

// A pipe brings chunks from the snapshot to where they belong, many at a time:
//
//	sender -> window -> passages -> readers -> tasks -> workers
//
// One goroutine sends. What it sends is collected in a window, which is sorted
// into passages, one for each pack. Some of these are read at the same time,
// each from its beginning to its end, and what has come is worked on at once.
// So packs are read once in a window, whatever the order of the manifest, and
// where they are streams one window goes on where the last one ended.
//
// In memory are at most: two windows, what package store has read of passages
// and of the manifest, 12 and 8 MiB as a rule, and the workers' buffers.
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

	window window // belongs to the sender

	passages chan passage   // closed by close
	tasks    chan task      // closed by close
	big      chan []byte    // free buffers for long chunks; nil for one not yet made
	reading  sync.WaitGroup // readers
	group    sync.WaitGroup // workers

	mu       sync.Mutex               // guards underway
	underway map[string]chan struct{} // by path, contents that have not ended; closed when they do
}

// A window is tasks that are not yet under way.
type window struct {
	tasks []task
	open  int      // contents with more than one chunk
	many  *content // the last of them

	// last has the packs of the window before, each with what is closed when
	// its passage was read.
	last map[safe.Digest]chan struct{}
}

func newPipe(ctx context.Context, s *store.Snapshot, t *tally) *pipe {
	p := &pipe{
		s: s, tally: t, ctx: ctx,
		passages: make(chan passage),
		tasks:    make(chan task, waiting),
		big:      make(chan []byte, bigBuffers+runtime.GOMAXPROCS(0)),
		underway: make(map[string]chan struct{}),
	}
	p.stopped, p.stop = context.WithCancelCause(ctx)
	for range cap(p.big) {
		p.big <- nil
	}
	for range readers {
		p.reading.Go(p.read)
	}
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
	w := &p.window
	w.tasks = append(w.tasks, t)
	if t.offset > 0 && w.many != t.to {
		w.many = t.to
		w.open++
	}
	if len(w.tasks) == windowChunks || w.open == windowOpen {
		p.flush()
	}
	return nil
}

// flush has what is in the window read and worked on.
func (p *pipe) flush() {
	tasks := p.window.tasks
	chunks := make([]manifest.Chunk, len(tasks))
	for i, t := range tasks {
		chunks[i] = t.chunk
	}
	last := make(map[safe.Digest]chan struct{})
	for _, plan := range store.Plan(chunks) {
		read := make(chan struct{})
		before := last[plan.Pack]
		if before == nil {
			before = p.window.last[plan.Pack]
		}
		last[plan.Pack] = read
		p.passages <- passage{plan, tasks, before, read} // readers go on taking them until the end
	}
	p.window = window{last: last}
}

// read reads passages and passes on their tasks.
func (p *pipe) read() {
	for w := range p.passages {
		if w.before != nil {
			<-w.before // a reader has taken it long ago
		}
		p.s.Read(p.stopped, w.Passage, func(l *store.Load) {
			in := &load{Load: l}
			in.pending.Store(int64(len(l.Chunks)))
			for _, i := range l.Chunks {
				t := w.tasks[i]
				t.in = in
				p.tasks <- t
			}
		})
		close(w.read)
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
	close(p.passages)
	p.reading.Wait()
	close(p.tasks)
	p.group.Wait()
	err = p.cause()
	p.stop(nil) // releases the context
	return err
}

// work goes on taking tasks when the pipe was stopped, so that every content
// is ended.
func (p *pipe) work() {
	small := make([]byte, store.Room(smallChunk))
	for t := range p.tasks {
		if err := p.move(t, small); err != nil {
			t.to.fail(err)
		}
		if t.in != nil && t.in.pending.Add(-1) == 0 {
			t.in.Release()
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
		if room := store.Room(t.chunk.Length); cap(buf) < room {
			buf = make([]byte, room)
		}
		defer func() { p.big <- buf }() // never blocks: there are as many places as buffers
	}
	if t.to.sink.holds(buf, t.chunk, t.offset) {
		return nil
	}
	data, err := p.content(buf[:0], t)
	if errors.Is(err, blob.ErrGone) {
		p.stop(err)
	}
	if err != nil {
		return err
	}
	return p.targetError(t.to.entry, t.to.sink.write(data, t.offset))
}

// content appends the content of a task's chunk to dst.
func (p *pipe) content(dst []byte, t task) ([]byte, error) {
	if t.in != nil {
		if frame := t.in.Frame(t.chunk); frame != nil {
			return p.s.Decode(dst, frame, t.chunk)
		}
	}
	return p.s.Chunk(p.ctx, dst, t.chunk)
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
