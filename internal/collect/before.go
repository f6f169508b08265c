package collect

import (
	"errors"

	"strongroom/internal/safe"
	"strongroom/internal/store/manifest"
	"strongroom/internal/store/memory"
	"strongroom/internal/store/refresh"
)

// A decision is what need found out about a file that looks as it did.
type decision struct {
	path   string
	before manifest.Entry // as it was
}

// need decides whether a file is read. It is called ahead of the entries.
func (c *collector) need(e safe.Entry) bool {
	before, same, fromComplete := c.before(e)
	if !same {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.decisions = append(c.decisions, decision{e.Path, before})
	if fromComplete {
		return c.night.FileTurn(e.Path, before.Chunks)
	}
	// What an unfinished run has read need not be read again at once; but a
	// source that is never complete has its turns all the same.
	return c.sinceBroken.FileTurn(e.Path, before.Chunks)
}

// before looks for an earlier entry that looks the same.
func (c *collector) before(e safe.Entry) (before manifest.Entry, same, fromComplete bool) {
	for _, earlier := range []*recollection{c.complete, c.unfinished} {
		found, ok, err := earlier.find(e.Path)
		if err != nil {
			c.lose(err)
			continue
		}
		if ok && !same && looksSame(found.Entry, e) {
			before, same, fromComplete = found, true, earlier == c.complete
		}
	}
	return before, same, fromComplete
}

// decided returns what the file was if need found that it looks the same, and
// forgets what was found out about those before.
func (c *collector) decided(path string) (before manifest.Entry, same bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.decisions) > 0 && safe.ComparePaths(c.decisions[0].path, path) <= 0 {
		d := c.decisions[0]
		c.decisions = c.decisions[1:]
		if d.path == path {
			return d.before, true
		}
	}
	return manifest.Entry{}, false
}

// lose notes that a memory, or a part of it, is of no use.
func (c *collector) lose(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.memoryErr == nil {
		c.memoryErr = err
	}
}

// tellLoss warns of what came to light of the memories since they were opened.
func (c *collector) tellLoss() {
	c.mu.Lock()
	err := c.memoryErr
	c.mu.Unlock()
	if err != nil {
		c.warn(Problem{Kind: "memory lost", Text: err.Error() + "; what it would have told was read and stored again"})
	}
}

// known finds a chunk that this run may refer to: its own first, so that what
// is renewed is renewed once.
func (c *collector) known(hash safe.Digest) (manifest.Chunk, bool, error) {
	if found, ok, err := c.memory.Lookup(hash); ok || err != nil {
		return found, ok, err
	}
	for _, earlier := range []*recollection{c.complete, c.unfinished} {
		found, ok, err := earlier.lookup(hash)
		if damaged, isDamaged := errors.AsType[*memory.DamagedError](err); isDamaged {
			c.lose(damaged)
			continue
		}
		if ok || err != nil {
			return found, ok, err
		}
	}
	return manifest.Chunk{}, false, nil
}

// packOf returns what is known of an earlier run's pack.
func (c *collector) packOf(digest safe.Digest) (memory.Pack, bool) {
	for _, earlier := range []*recollection{c.complete, c.unfinished} {
		if earlier == nil {
			continue
		}
		if p, ok := earlier.memory.Pack(digest); ok {
			return p, true
		}
	}
	return memory.Pack{}, false
}

func (c *collector) renewFile(known manifest.Chunk) bool {
	if known.Run == c.in.Run {
		return false
	}
	p, _ := c.packOf(known.Pack)
	return c.night.FileChunk(known, refresh.Pack{Frames: p.Frames, Used: p.Used})
}

func (c *collector) renewStream(known manifest.Chunk) bool {
	if known.Run == c.in.Run {
		return false
	}
	p, _ := c.packOf(known.Pack)
	return c.night.StreamChunk(known, refresh.Pack{Frames: p.Frames, Used: p.Used})
}
