package collect

import (
	"context"
	"fmt"
	"time"

	"strongroom/internal/safe"
	"strongroom/internal/store/intake"
	"strongroom/internal/store/manifest"
	"strongroom/internal/store/memory"
)

// A listing is an entry that waits for its content to have a place.
type listing struct {
	entry  safe.Entry
	pieces []*intake.Piece
	chunks []manifest.Chunk // of a file that was not read
	before *manifest.Entry  // of a file that was read although it looked the same
}

// len returns of how many chunks the content of the entry is made.
func (l *listing) len() int {
	if l.pieces != nil {
		return len(l.pieces)
	}
	return len(l.chunks)
}

// chunk returns the i-th of them; ok is false if it has no place yet.
func (l *listing) chunk(i int) (c manifest.Chunk, ok bool) {
	if l.pieces != nil {
		return l.pieces[i].Chunk()
	}
	return l.chunks[i], true
}

// ready reports whether all of them have a place. The last one gets its place
// last, most of the time, so it is asked first.
func (l *listing) ready() bool {
	for i := l.len() - 1; i >= 0; i-- {
		if _, ok := l.chunk(i); !ok {
			return false
		}
	}
	return true
}

// poisoned reports whether a file that looked the same has other content than
// before.
func (l *listing) poisoned() bool {
	if l.before == nil {
		return false
	}
	if l.len() != len(l.before.Chunks) {
		return true
	}
	for i, before := range l.before.Chunks {
		if c, _ := l.chunk(i); c.Hash != before.Hash {
			return true
		}
	}
	return false
}

// listReady lists the entries at the front whose content has its place.
func (c *collector) listReady(ctx context.Context) error {
	n := 0
	for ; n < len(c.waiting); n++ {
		l := &c.waiting[n]
		if !l.ready() {
			break
		}
		if l.poisoned() {
			c.warn(Problem{Kind: Poisoned, Path: []byte(l.entry.Path),
				Text: fmt.Sprintf("it was read because it had its turn, and differs from what was read until %s", c.in.LastStarted.UTC().Format(time.DateOnly))})
		}
		if err := c.enter(ctx, l); err != nil {
			return err
		}
	}
	clear(c.waiting[:n]) // lets go of the pieces
	if c.waiting = c.waiting[n:]; len(c.waiting) == 0 {
		c.waiting = nil
	}
	return nil
}

// enter writes an entry that is ready into manifest and memory, line by line:
// all chunks of a file of terabytes take more room than anything else.
func (c *collector) enter(ctx context.Context, l *listing) error {
	for begin, n := 0, l.len(); begin == 0 || begin < n; begin += manifest.ChunksPerLine {
		end := min(begin+manifest.ChunksPerLine, n)
		c.part = c.part[:0]
		for i := begin; i < end; i++ {
			chunk, _ := l.chunk(i)
			c.part = append(c.part, chunk)
		}
		if begin == 0 {
			c.line = manifest.AppendFirst(c.line[:0], manifest.Entry{Entry: l.entry, Chunks: c.part}, end < n)
		} else {
			c.line = manifest.AppendMore(c.line[:0], c.part, end < n)
		}
		if err := c.enterLine(ctx); err != nil {
			return err
		}
	}
	c.result.Entries++
	c.result.Bytes += l.entry.Size
	return nil
}

// enterLine writes c.line, which refers to the chunks of c.part.
func (c *collector) enterLine(ctx context.Context) error {
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
