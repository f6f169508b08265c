package collect

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"strongroom/internal/safe"
	"strongroom/internal/source"
	"strongroom/internal/store/chunk"
	"strongroom/internal/store/intake"
	"strongroom/internal/store/manifest"
	"strongroom/internal/store/memory"
	"strongroom/internal/store/refresh"
)

const (
	// maxWaiting bounds the entries that wait for a pack to be finished before
	// they can be listed, and what of their content is in memory. It is reached
	// when few files are new among very many, or few chunks in very great files;
	// a small pack is then the lesser evil.
	maxWaiting = 1 << 15

	// maxEvents bounds the problems that are told one by one; all are counted.
	maxEvents = 1000

	// progressEvery is how often progress is told.
	progressEvery = 200 * time.Millisecond
)

// A collector is one collection under way. Its methods are called from one
// goroutine, but for need, known and the renewals.
type collector struct {
	in     Input
	events func(Event)
	night  *refresh.Night
	// sinceBroken gives the turns of files that only the unfinished run knows.
	sinceBroken *refresh.Night

	complete   *recollection // nil if there is none
	unfinished *recollection

	intake  *intake.Intake
	data    *intake.Lane
	list    *list
	memory  *memory.Writer
	files   *chunk.Cutter
	streams *chunk.Cutter
	meter   *meter

	mu        sync.Mutex // guards the fields below, which need writes
	decisions []decision
	memoryErr error

	sequence  manifest.Sequence
	changed   string           // path of the last file that changed while it was read
	reading   places           // of the content being read, or during which the source broke off
	waiting   []listing        // in path order, not yet listed
	weight    int              // of what waits, together
	line      []byte           // reused, as is part
	part      []manifest.Chunk // those that line refers to
	announced int              // packs of this run that the memory knows
	needed    map[safe.Digest]safe.RunID
	root      manifest.Root

	saved    time.Time // of the last checkpoint
	savedAt  int       // packs at the last checkpoint
	told     time.Time // of the last progress
	progress Progress
	result   Result
}

func (c *collector) close() {
	if c.list != nil {
		c.list.abandon()
	}
	if c.intake != nil {
		c.intake.Close() // its error was seen by whatever waited for it
	}
	if c.memory != nil {
		c.memory.Close() // what counts was checkpointed
	}
	c.reading.drop()
	for i := range c.waiting {
		c.waiting[i].places.drop()
	}
	c.complete.close()
	c.unfinished.close()
}

// pull takes everything that the source yields. broke is why it ended early;
// err is a failure of the safe itself.
func (c *collector) pull(ctx, pull context.Context) (broke, err error) {
	if d := c.in.Options.Limits.Duration; d > 0 {
		limited, cancel := context.WithTimeoutCause(pull, d, &limitError{d})
		defer cancel()
		pull = limited
	}
	pull, cancel := context.WithCancelCause(pull)
	defer cancel(nil)
	defer context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })()
	c.meter = &meter{ctx: pull, rate: c.in.Options.Limits.Rate, began: time.Now()}
	request := source.Request{Need: c.need, Report: c.report}
	for item, sourceErr := range c.in.From.Pull(pull, request) {
		if sourceErr == nil {
			sourceErr, err = c.take(ctx, item)
		}
		if err != nil {
			return nil, err
		}
		if sourceErr != nil {
			if cause := context.Cause(pull); cause != nil {
				sourceErr = cause // says why rather than that it was cancelled
			}
			broke = sourceErr
			break
		}
		if err := c.keepUp(ctx); err != nil {
			return nil, err
		}
	}
	c.result.Matches = c.in.From.Matches()
	return broke, context.Cause(ctx)
}

// report counts and tells a problem of the source.
func (c *collector) report(p source.Problem) {
	lost := p.Kind == source.Invalid ||
		(p.Kind == source.Unreadable || p.Kind == source.Missing) && !c.in.Options.AllowUnreadable
	if lost {
		c.incomplete(fmt.Errorf("an entry is %s", p.Kind)) // which, is told by the event
	}
	if p.Kind == source.Changed {
		c.changed = p.Path
	}
	c.warn(Problem{Kind: p.Kind, Path: []byte(p.Path), Text: p.Err.Error()})
}

func (c *collector) warn(p Problem) {
	c.result.Warnings++
	if c.result.Warnings <= maxEvents {
		c.events(Event{Problem: &p})
	}
}

// incomplete notes that the snapshot will be partial. The first reason stays;
// like every error of Run it may be published, so it names no entry.
func (c *collector) incomplete(reason error) {
	if c.result.Complete {
		c.result.Complete, c.result.Reason, c.result.Cause = false, reason.Error(), reason
	}
}

// keepUp does what is due between two entries.
func (c *collector) keepUp(ctx context.Context) error {
	if c.weight >= maxWaiting {
		if err := c.data.Finish(); err != nil {
			return err
		}
	}
	if err := c.listReady(ctx); err != nil {
		return err
	}
	c.tellNowAndThen()
	if !c.checkpointDue() {
		return nil
	}
	return c.checkpoint(ctx)
}

// amid does what is due while the content of an entry is read, which may take
// hours: what is stored of it so far is not lost in a crash either.
func (c *collector) amid(ctx context.Context) error {
	if len(c.reading.pieces) >= maxWaiting {
		if err := c.data.Finish(); err != nil {
			return err
		}
	}
	if len(c.reading.pieces) >= manifest.ChunksPerLine {
		if err := c.setAside(ctx); err != nil {
			return err
		}
	}
	c.tellNowAndThen()
	if !c.checkpointDue() {
		return nil
	}
	if err := c.listReady(ctx); err != nil {
		return err
	}
	if err := c.setAside(ctx); err != nil {
		return err
	}
	return c.checkpoint(ctx)
}

func (c *collector) checkpointDue() bool {
	packs := len(c.intake.Finished())
	return packs-c.savedAt >= c.in.Options.CheckpointPacks ||
		packs > c.savedAt && time.Since(c.saved) >= c.in.Options.CheckpointEvery
}

// setAside lets go of what has its place of the content being read. It is
// remembered, so that another run need not store it again if this one never
// comes to its end.
func (c *collector) setAside(ctx context.Context) error {
	r := &c.reading
	c.part = c.part[:0]
	for _, p := range r.pieces {
		chunk, ok := p.Chunk()
		if !ok {
			break
		}
		c.part = append(c.part, chunk)
	}
	if len(c.part) == 0 {
		return nil
	}
	if err := c.announce(c.part); err != nil {
		return err
	}
	if err := c.memory.AddChunks(ctx, c.part); err != nil {
		return err
	}
	if r.aside == nil {
		var err error
		if r.aside, err = newSpool(c.in.MemoryDir, c.in.Memory.Seal); err != nil {
			return fmt.Errorf("making a file for where content lies: %w", err)
		}
	}
	r.pieces = slices.Delete(r.pieces, 0, len(c.part))
	if err := r.aside.add(c.part); err != nil {
		return fmt.Errorf("writing down where content lies: %w", err)
	}
	return nil
}

func (c *collector) tellNowAndThen() {
	if now := time.Now(); now.Sub(c.told) >= progressEvery {
		c.told = now
		c.tell()
	}
}

func (c *collector) tell() {
	p := c.progress
	p.Read, p.NewBytes = c.meter.read, c.data.NewBytes()
	c.events(Event{Progress: &p})
}

// checkpoint makes what was stored so far survive a crash. The order matters:
//
//  1. packs   their names are made durable; nothing refers to them yet
//  2. memory  from now on the next run may refer to chunks in those packs
//
// Entries enter the memory only after their packs are published, so what step
// 2 saves refers to nothing that step 1 has not.
func (c *collector) checkpoint(ctx context.Context) error {
	if err := c.announceOwn(); err != nil {
		return err
	}
	if err := c.in.Into.Sync(ctx); err != nil {
		return fmt.Errorf("making packs durable: %w", err)
	}
	if err := c.memory.Checkpoint(ctx); err != nil {
		return fmt.Errorf("saving what is remembered: %w", err)
	}
	c.saved, c.savedAt = time.Now(), c.announced
	c.events(Event{Checkpoint: &Checkpoint{Packs: c.announced}})
	return nil
}
