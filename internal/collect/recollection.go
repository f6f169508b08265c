package collect

import (
	"io"
	"sync/atomic"

	"strongroom/internal/safe"
	"strongroom/internal/store/manifest"
	"strongroom/internal/store/memory"
)

// A recollection is the memory of an earlier run, read alongside the source:
// both are in path order.
type recollection struct {
	memory *memory.Memory
	lines  io.ReadCloser
	reader *manifest.Reader
	next   safe.Entry // read, and not before any path asked for yet
	err    error      // of reading; io.EOF at the end

	damaged atomic.Bool // a lookup failed
}

func newRecollection(m *memory.Memory) *recollection {
	r := &recollection{memory: m, lines: m.Lines()}
	r.reader = manifest.NewLines(r.lines)
	r.next, r.err = r.reader.Next()
	return r
}

// find returns the earlier entry of that path, with its chunks. Paths must be
// asked for in ascending order. The error is that of the memory.
func (r *recollection) find(path string) (e manifest.Entry, ok bool, err error) {
	if r == nil {
		return manifest.Entry{}, false, nil
	}
	for r.err == nil && safe.ComparePaths(r.next.Path, path) < 0 {
		r.next, r.err = r.reader.Next()
	}
	if r.err == io.EOF || r.err == nil && r.next.Path != path {
		return manifest.Entry{}, false, nil
	}
	if r.err != nil {
		return manifest.Entry{}, false, r.err
	}
	e.Entry = r.next
	for chunk, err := range r.reader.Chunks() {
		if err != nil {
			return manifest.Entry{}, false, err
		}
		e.Chunks = append(e.Chunks, chunk)
	}
	r.next, r.err = r.reader.Next()
	return e, true, nil
}

// lookup finds a chunk by its digest. A memory that is damaged in one place is
// not asked again.
func (r *recollection) lookup(hash safe.Digest) (manifest.Chunk, bool, error) {
	if r == nil || r.damaged.Load() {
		return manifest.Chunk{}, false, nil
	}
	found, ok, err := r.memory.Lookup(hash)
	if err != nil {
		r.damaged.Store(true)
	}
	return found, ok, err
}

func (r *recollection) close() {
	if r != nil {
		r.lines.Close()  // nothing was written
		r.memory.Close() // nothing was written
	}
}

// looksSame tells whether a file needs no reading: all that the source shows
// of it is as it was.
func looksSame(before, now safe.Entry) bool {
	return before.Type == safe.File && now.Type == safe.File &&
		before.Size == now.Size && before.MTime.Equal(now.MTime) &&
		before.CTime.Equal(now.CTime) && before.Inode == now.Inode
}
