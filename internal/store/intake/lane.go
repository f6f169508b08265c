package intake

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"

	"strongroom/internal/safe"
	"strongroom/internal/store/blob"
	"strongroom/internal/store/chunk"
	"strongroom/internal/store/layout"
	"strongroom/internal/store/pack"
	"strongroom/internal/store/parity"
)

// finishing is how many packs of a lane may wait for their bytes to reach the
// disk while the next one is being filled.
const finishing = 2

// A Lane is a sequence of packs, filled one after the other. Its methods are
// not safe for concurrent use.
type Lane struct {
	in    *Intake
	order chan ticket   // in the order of reading; closed by Intake.Close
	slots chan struct{} // one in it for each pack that is not published yet

	open *openPack // owned by run

	// leansOn are other lanes that had yet to publish content which a piece of
	// this one has too. Guarded by Intake.mu.
	leansOn []*Lane

	newBytes atomic.Int64
}

// NewBytes is the content in the lane's packs so far: what was stored neither
// before nor in another lane.
func (l *Lane) NewBytes() int64 { return l.newBytes.Load() }

// A ticket asks the lane to put a piece into a pack, or, without a task, to
// finish its packs and close the channel.
type ticket struct {
	task     *task
	finished chan struct{}
}

// An openPack is a pack being filled.
type openPack struct {
	lane   *Lane
	run    safe.RunID
	index  uint32
	staged blob.Staged
	writer *pack.Writer
	digest atomic.Pointer[safe.Digest] // set when it was published
}

// NewLane returns a lane of its own packs. Content that is read at different
// times, such as files and manifests, goes into different lanes.
func (in *Intake) NewLane() *Lane {
	l := &Lane{in: in, order: make(chan ticket, waiting), slots: make(chan struct{}, finishing)}
	in.mu.Lock()
	in.lanes = append(in.lanes, l)
	in.mu.Unlock()
	in.group.Go(l.run)
	return l
}

// Store cuts all of src and puts what is new into the lane's packs. The pieces
// that make up the content go to take, in order and as they are cut: of content
// of terabytes nobody wants to have them all at hand. The size is the content's;
// after an error of src both are those of what came before.
func (l *Lane) Store(src io.Reader, cutter *chunk.Cutter, renew Renew, take func(*Piece)) (size int64, err error) {
	cutter.Reset(src)
	for {
		buffer, err := l.in.buffer()
		if err != nil {
			return size, err
		}
		n, err := cutter.Next(buffer)
		if err == io.EOF {
			l.in.buffers <- buffer // never blocks: there are as many places as buffers
			return size, nil
		}
		if err != nil {
			l.in.buffers <- buffer
			return size, err
		}
		t := &task{piece: new(Piece), lane: l, data: buffer[:n], buffer: buffer, renew: renew, ready: make(chan struct{})}
		t.piece.task.Store(t)
		if n <= smallChunk {
			t.data, t.buffer = append(make([]byte, 0, pack.MaxFrame(uint32(n))), t.data...), nil
			l.in.buffers <- buffer
		}
		if err := l.put(t); err != nil {
			return size, err
		}
		take(t.piece)
		size += int64(n)
	}
}

// buffer waits for a free big buffer.
func (in *Intake) buffer() ([]byte, error) {
	select {
	case b := <-in.buffers:
		if b == nil {
			b = newBuffer()
		}
		return b, nil
	case <-in.ctx.Done():
		return nil, context.Cause(in.ctx)
	}
}

// newBuffer makes a big buffer, which has room for any chunk and its frame.
func newBuffer() []byte { return make([]byte, pack.MaxFrame(pack.MaxChunk)) }

func (l *Lane) put(t *task) error {
	select {
	case l.order <- ticket{task: t}:
	case <-l.in.ctx.Done():
		return context.Cause(l.in.ctx)
	}
	select {
	case l.in.jobs <- t:
		return nil
	case <-l.in.ctx.Done():
		return context.Cause(l.in.ctx)
	}
}

// Finish ends the pack being filled and returns when all packs of the lane are
// published, so that every piece has its place. Of another lane whose content
// some of them share the same is done, which may be in use meanwhile. The lane
// may be used further.
func (l *Lane) Finish() error {
	if err := l.finishPacks(); err != nil {
		return err
	}
	l.in.mu.Lock()
	others := l.leansOn
	l.leansOn = nil
	l.in.mu.Unlock()
	for _, other := range others {
		if err := other.finishPacks(); err != nil {
			return err
		}
	}
	return nil
}

func (l *Lane) finishPacks() error {
	t := ticket{finished: make(chan struct{})}
	select {
	case l.order <- t:
	case <-l.in.ctx.Done():
		return context.Cause(l.in.ctx)
	}
	select {
	case <-t.finished:
		return nil
	case <-l.in.ctx.Done():
		return context.Cause(l.in.ctx)
	}
}

// run puts pieces into packs until there are no more.
func (l *Lane) run() error {
	defer l.abandon()
	for t := range l.order {
		if err := l.serve(t); err != nil {
			return err
		}
	}
	return nil
}

func (l *Lane) serve(t ticket) error {
	if t.task == nil {
		return l.finishAll(t.finished)
	}
	select {
	case <-t.task.ready:
	case <-l.in.ctx.Done():
		return context.Cause(l.in.ctx)
	}
	if t.task.frame == nil {
		return nil // its content is elsewhere
	}
	return l.add(t.task)
}

// add puts a piece into the open pack, or into a new one if it does not fit.
func (l *Lane) add(t *task) error {
	if l.open != nil && !l.open.writer.Fits(len(t.frame)) {
		if err := l.finish(); err != nil {
			return err
		}
	}
	if l.open == nil {
		if err := l.begin(); err != nil {
			return err
		}
	}
	offset, err := l.open.writer.Add(t.piece.hash, t.frame, int(t.piece.length))
	if err != nil {
		return err
	}
	l.newBytes.Add(int64(t.piece.length))
	l.in.settle(t, l.open, offset)
	return nil
}

func (l *Lane) begin() error {
	staged, err := l.in.dst.Stage(l.in.ctx)
	if err != nil {
		return fmt.Errorf("beginning a pack: %w", err)
	}
	writer, err := pack.NewWriter(staged, l.in.seal)
	if err != nil {
		staged.Discard() // nothing of it is needed
		return fmt.Errorf("beginning a pack: %w", err)
	}
	l.open = &openPack{lane: l, run: l.in.run, staged: staged, writer: writer}
	l.in.mu.Lock()
	defer l.in.mu.Unlock()
	l.open.index = uint32(len(l.in.packs))
	l.in.packs = append(l.in.packs, l.open)
	return nil
}

// finish ends the open pack, which then makes its way to the disk beside the
// next one.
func (l *Lane) finish() error {
	select {
	case l.slots <- struct{}{}:
	case <-l.in.ctx.Done():
		return context.Cause(l.in.ctx)
	}
	p := l.open
	l.open = nil
	l.in.group.Go(func() error {
		err := l.in.publish(p)
		if err == nil {
			<-l.slots // one that failed keeps it, so that finishAll waits until ctx has ended
		}
		return err
	})
	return nil
}

// finishAll ends the open pack and waits until all are published.
func (l *Lane) finishAll(finished chan<- struct{}) error {
	if l.open != nil {
		if err := l.finish(); err != nil {
			return err
		}
	}
	for range cap(l.slots) { // all of them are free when nothing is being published
		select {
		case l.slots <- struct{}{}:
		case <-l.in.ctx.Done():
			return context.Cause(l.in.ctx)
		}
	}
	for range cap(l.slots) {
		<-l.slots
	}
	close(finished)
	return nil
}

// abandon drops the open pack.
func (l *Lane) abandon() {
	if l.open != nil {
		l.open.writer.Abandon()
		l.open.staged.Discard() // nothing of it is needed
		l.open = nil
	}
}

// publish closes a pack and gives it and its parity their names: the pack
// first, since parity can be made again from it.
func (in *Intake) publish(p *openPack) error {
	staged := p.staged
	defer staged.Discard() // after Publish this only releases it
	sealed, err := p.writer.Close()
	if err != nil {
		return err
	}
	if err := staged.Publish(in.ctx, layout.Pack(in.run, sealed.Digest)); err != nil {
		return fmt.Errorf("publishing a pack: %w", err)
	}
	done := Finished{Digest: sealed.Digest, Frames: sealed.Frames, Stored: sealed.Size}
	if !in.opts.NoParity {
		if done.Parity, err = in.writeParity(staged, sealed); err != nil {
			return fmt.Errorf("writing the parity of pack %s: %w", sealed.Digest, err)
		}
	}
	in.mu.Lock()
	in.done = append(in.done, done)
	in.mu.Unlock()
	p.staged, p.writer = nil, nil // the places of this run keep the rest alive
	p.digest.Store(&sealed.Digest)
	return nil
}

func (in *Intake) writeParity(src io.ReaderAt, sealed pack.Sealed) (int64, error) {
	staged, err := in.dst.Stage(in.ctx)
	if err != nil {
		return 0, err
	}
	defer staged.Discard() // after Publish this only releases it
	n, err := parity.Write(staged, src, sealed.Size, sealed.Digest)
	if err != nil {
		return 0, err
	}
	return n, staged.Publish(in.ctx, layout.Parity(in.run, sealed.Digest))
}
