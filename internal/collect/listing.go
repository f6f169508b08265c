package collect

import (
	"fmt"
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
	pieces []*intake.Piece
	chunks []manifest.Chunk // of a file that was not read
	before *manifest.Entry  // of a file that was read although it looked the same
}

// listReady lists the entries at the front whose content has its place.
func (c *collector) listReady() error {
	n := 0
	for ; n < len(c.waiting); n++ {
		l := &c.waiting[n]
		chunks, ok := placesOf(l)
		if !ok {
			break
		}
		if l.before != nil && !sameContent(chunks, l.before.Chunks) {
			c.warn(Problem{Kind: Poisoned, Path: []byte(l.entry.Path),
				Text: fmt.Sprintf("it was read because it had its turn, and differs from what was read until %s", c.in.LastStarted.UTC().Format(time.DateOnly))})
		}
		if err := c.enter(manifest.Entry{Entry: l.entry, Chunks: chunks}); err != nil {
			return err
		}
	}
	clear(c.waiting[:n]) // lets go of the pieces
	if c.waiting = c.waiting[n:]; len(c.waiting) == 0 {
		c.waiting = nil
	}
	return nil
}

// placesOf returns the chunks of a listing; ok is false if not all of them
// have a place yet.
func placesOf(l *listing) (chunks []manifest.Chunk, ok bool) {
	if l.pieces == nil {
		return l.chunks, true
	}
	// The last piece gets its place last, most of the time.
	if _, ok := l.pieces[len(l.pieces)-1].Chunk(); !ok {
		return nil, false
	}
	chunks = make([]manifest.Chunk, len(l.pieces))
	for i, p := range l.pieces {
		if chunks[i], ok = p.Chunk(); !ok {
			return nil, false
		}
	}
	return chunks, true
}

func sameContent(a, b []manifest.Chunk) bool {
	return slices.EqualFunc(a, b, func(a, b manifest.Chunk) bool { return a.Hash == b.Hash })
}

// enter writes an entry into manifest and memory.
func (c *collector) enter(e manifest.Entry) error {
	if err := c.announce(e.Chunks); err != nil {
		return err
	}
	c.line = manifest.AppendEntry(c.line[:0], e)
	if err := c.memory.Add(c.line, e.Chunks); err != nil {
		return fmt.Errorf("remembering an entry: %w", err)
	}
	if _, err := c.list.Write(c.line); err != nil {
		return fmt.Errorf("storing the manifest: %w", err)
	}
	c.result.Entries++
	c.result.Bytes += e.Size
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
