package collect

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"strongroom/internal/safe"
	"strongroom/internal/store/intake"
	"strongroom/internal/store/manifest"
	"strongroom/internal/store/memory"
)

// A listing is an entry that waits for its content to have a place.
type listing struct {
	entry  safe.Entry
	places                  // of a file that was read
	chunks []manifest.Chunk // of one that was not
	before *manifest.Entry  // of a file that was read although it looked the same
}

// places say where content lies that was read.
type places struct {
	aside  *spool          // of its beginning; nil if pieces are all
	pieces []*intake.Piece // after that
}

func (p *places) take(piece *intake.Piece) { p.pieces = append(p.pieces, piece) }

// drop lets go of everything.
func (p *places) drop() {
	if p.aside != nil {
		p.aside.close() // nobody wants to read it any more
	}
	*p = places{}
}

// weight says how much of what may wait the listing is: one for each chunk in
// memory, at least one, and for a spool, of which few may be open at once, what
// keeps them few.
func (l *listing) weight() int {
	n := len(l.pieces) + len(l.chunks)
	if l.aside != nil {
		n += manifest.ChunksPerLine
	}
	return max(1, n)
}

// ready reports whether all of its content has a place. The last piece gets its
// place last, most of the time, so it is asked first.
func (l *listing) ready() bool {
	for _, p := range slices.Backward(l.pieces) {
		if _, ok := p.Chunk(); !ok {
			return false
		}
	}
	return true
}

// all returns where the content lies of a listing that is ready.
func (l *listing) all() iter.Seq2[manifest.Chunk, error] {
	return func(yield func(manifest.Chunk, error) bool) {
		if l.aside != nil {
			for c, err := range l.aside.all() {
				if !yield(c, err) {
					return
				}
			}
		}
		for _, p := range l.pieces {
			if c, _ := p.Chunk(); !yield(c, nil) {
				return
			}
		}
		for _, c := range l.chunks {
			if !yield(c, nil) {
				return
			}
		}
	}
}

// poisoned reports whether a file that looked the same has other content than
// before.
func (l *listing) poisoned() (bool, error) {
	if l.before == nil {
		return false, nil
	}
	before := l.before.Chunks
	for c, err := range l.all() {
		if err != nil {
			return false, err
		}
		if len(before) == 0 || c.Hash != before[0].Hash {
			return true, nil
		}
		before = before[1:]
	}
	return len(before) > 0, nil
}

// listReady lists the entries at the front whose content has its place.
func (c *collector) listReady(ctx context.Context) error {
	n := 0
	for ; n < len(c.waiting); n++ {
		l := &c.waiting[n]
		if !l.ready() {
			break
		}
		poisoned, err := l.poisoned()
		if err != nil {
			return err
		}
		if poisoned {
			c.warn(Problem{Kind: Poisoned, Path: []byte(l.entry.Path),
				Text: fmt.Sprintf("it was read because it had its turn, and differs from what was read until %s", c.in.LastStarted.UTC().Format(time.DateOnly))})
		}
		if err := c.enter(ctx, l); err != nil {
			return err
		}
		c.weight -= l.weight()
		l.places.drop()
	}
	clear(c.waiting[:n]) // lets go of the rest
	if c.waiting = c.waiting[n:]; len(c.waiting) == 0 {
		c.waiting = nil
	}
	return nil
}

// enter writes an entry that is ready into manifest and memory, line by line:
// all chunks of a file of terabytes take more room than anything else.
func (c *collector) enter(ctx context.Context, l *listing) error {
	c.part = c.part[:0]
	lines := 0
	for chunk, err := range l.all() {
		if err != nil {
			return err
		}
		if len(c.part) == manifest.ChunksPerLine {
			if err := c.enterLine(ctx, l, lines, true); err != nil {
				return err
			}
			lines++
			c.part = c.part[:0]
		}
		c.part = append(c.part, chunk)
	}
	if err := c.enterLine(ctx, l, lines, false); err != nil {
		return err
	}
	c.result.Entries++
	c.result.Bytes += l.entry.Size
	return nil
}

// enterLine writes a line of an entry, the nth from 0, that refers to the
// chunks of c.part, and says whether more follow.
func (c *collector) enterLine(ctx context.Context, l *listing, n int, more bool) error {
	if n == 0 {
		c.line = manifest.AppendFirst(c.line[:0], manifest.Entry{Entry: l.entry, Chunks: c.part}, more)
	} else {
		c.line = manifest.AppendMore(c.line[:0], c.part, more)
	}
	if err := c.announce(c.part); err != nil {
		return err
	}
	if err := c.memory.Add(ctx, c.line, c.part); err != nil {
		return fmt.Errorf("remembering an entry: %w", err)
	}
	if _, err := c.list.Write(c.line); err != nil {
		return fmt.Errorf("storing the manifest: %w", err)
	}
	return nil
}

// announce makes the packs of the chunks known to the memory, and notes that
// the snapshot needs them.
func (c *collector) announce(chunks []manifest.Chunk) error {
	if err := c.announceOwn(); err != nil {
		return err
	}
	for _, chunk := range chunks {
		if _, done := c.needed[chunk.Pack]; done {
			continue
		}
		c.needed[chunk.Pack] = chunk.Run
		if chunk.Run == c.in.Run {
			continue
		}
		p, ok := c.packOf(chunk.Pack)
		if !ok {
			return fmt.Errorf("the memory names pack %s and says nothing of it", chunk.Pack)
		}
		if err := c.memory.AddPack(p); err != nil {
			return err
		}
	}
	return nil
}

// announceOwn makes known to the memory what this run has finished.
func (c *collector) announceOwn() error {
	finished := c.intake.Finished()
	for _, f := range finished[c.announced:] {
		if err := c.memory.AddPack(memory.Pack{Run: c.in.Run, Digest: f.Digest, Frames: f.Frames}); err != nil {
			return err
		}
	}
	c.announced = len(finished)
	return nil
}
