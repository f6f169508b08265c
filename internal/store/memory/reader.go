package memory

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"slices"
	"sort"

	"strongroom/internal/safe"
	"strongroom/internal/store/manifest"
)

// A Memory is what is remembered of one run. All methods but Close may be
// called concurrently.
type Memory struct {
	folder   *folder
	index    *index
	byDigest []uint32 // places in index.packs, by digest
	tags     *table   // of tags.age
	maker    *tagMaker
}

// Open opens the memory of a run in dir, the memory of its source. If it was
// not finished, Open finishes it, which takes a second or so for a million
// chunks; no Writer may be at work on it.
//
// The error is ErrNone if nothing was checkpointed, and a *DamagedError if the
// memory is lost; anything else may be gone another time.
func Open(ctx context.Context, dir string, run safe.RunID, keys Keys) (*Memory, error) {
	parent, err := os.OpenRoot(dir)
	var root *os.Root
	if err == nil {
		defer parent.Close()
		root, err = openRun(parent, run)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("run %s: %w", run, ErrNone)
	}
	if errors.Is(err, errNoFolder) {
		return nil, &DamagedError{Run: run, File: ".", Err: err}
	}
	if err != nil {
		return nil, fmt.Errorf("opening the memory of run %s: %w", run, err)
	}
	m, err := open(ctx, &folder{root, run, keys})
	if err != nil {
		root.Close()
		var known *DamagedError
		if errors.As(err, &known) {
			return nil, err
		}
		return nil, fmt.Errorf("opening the memory of run %s: %w", run, err)
	}
	return m, nil
}

func open(ctx context.Context, f *folder) (*Memory, error) {
	x, err := f.readIndex()
	if errors.Is(err, fs.ErrNotExist) {
		if err := complete(ctx, f); err != nil {
			return nil, err
		}
		x, err = f.readIndex()
	}
	if err != nil {
		return nil, err
	}
	if err := f.checkLines(x); err != nil {
		return nil, err
	}
	m := &Memory{folder: f, index: x, maker: f.keys.tagMaker()}
	if err := m.sortPacks(); err != nil {
		return nil, f.damaged(indexName, err)
	}
	if err := m.openTags(); err != nil {
		return nil, f.damaged(tagsName, err)
	}
	return m, nil
}

// complete does what the run did not live to do.
func complete(ctx context.Context, f *folder) error {
	s, err := load(f)
	if err != nil {
		return err
	}
	if err := f.removeAll(tagsName, "*.tmp"); err != nil {
		return err
	}
	return build(ctx, f, s, s.files())
}

// checkLines makes sure that the lines are there in full length, so that a
// reader is not surprised on its way. Their content is checked as it is read.
func (f *folder) checkLines(x *index) error {
	for i, size := range x.lines {
		name := linesName(i + 1)
		info, err := f.root.Lstat(name)
		if err == nil && (!info.Mode().IsRegular() || uint64(info.Size()) != size) {
			err = fmt.Errorf("has %d bytes instead of %d", info.Size(), size)
		}
		if err != nil {
			return f.damaged(name, err)
		}
	}
	return nil
}

func (m *Memory) sortPacks() error {
	packs := m.index.packs
	m.byDigest = make([]uint32, len(packs))
	for i := range packs {
		m.byDigest[i] = uint32(i)
	}
	slices.SortFunc(m.byDigest, func(a, b uint32) int {
		return packs[a].Digest.Compare(packs[b].Digest)
	})
	for i := 1; i < len(m.byDigest); i++ {
		if d := packs[m.byDigest[i]].Digest; d == packs[m.byDigest[i-1]].Digest {
			return fmt.Errorf("pack %s is there twice", d)
		}
	}
	return nil
}

// openTags opens the file of tags and makes sure that it is the index's.
func (m *Memory) openTags() (err error) {
	m.tags, err = m.folder.openTable(sortedFile{tagsName, tagsKind, 0, m.index.chunks}, m.index.guide)
	return err
}

// Lookup returns where the chunk with the given digest lies, in the newest run
// if in several places, and whether it is remembered at all. The error, if any,
// is a *DamagedError or one of reading.
func (m *Memory) Lookup(hash safe.Digest) (manifest.Chunk, bool, error) {
	r, ok, err := m.tags.find(m.maker.tag(hash))
	if ok {
		err = checkPlace(&r, m.index.packs)
	}
	if err != nil {
		return manifest.Chunk{}, false, m.folder.damaged(tagsName, err)
	}
	if !ok {
		return manifest.Chunk{}, false, nil
	}
	return r.chunk(hash, m.index.packs), true, nil
}

// Packs yields the packs that the run refers to, in no particular order.
func (m *Memory) Packs() iter.Seq[Pack] {
	return func(yield func(Pack) bool) {
		for _, p := range m.index.packs {
			// One that was announced and then not referred to is not of interest.
			if p.Used > 0 && !yield(p) {
				return
			}
		}
	}
}

// Pack returns what is known of a pack, and whether the run refers to it.
func (m *Memory) Pack(digest safe.Digest) (Pack, bool) {
	packs := m.index.packs
	i, ok := sort.Find(len(m.byDigest), func(i int) int { return digest.Compare(packs[m.byDigest[i]].Digest) })
	if !ok {
		return Pack{}, false
	}
	p := packs[m.byDigest[i]]
	return p, p.Used > 0
}

// Lines returns the lines of the manifest in order. Those of a run that broke
// off end at its last checkpoint, between two lines. A read fails with a
// *DamagedError, or one of reading. It must be closed before the Memory.
func (m *Memory) Lines() io.ReadCloser { return &lines{folder: m.folder, last: len(m.index.lines)} }

// lines reads one lines file after the other.
type lines struct {
	folder  *folder
	n, last int           // number of the current and the last file
	current io.ReadCloser // nil between files
}

func (l *lines) Read(p []byte) (int, error) {
	for {
		if l.current == nil {
			if l.n == l.last {
				return 0, io.EOF
			}
			src, err := l.folder.open(linesName(l.n+1), linesKind, l.n+1)
			if err != nil {
				return 0, err
			}
			l.n++
			l.current = src
		}
		n, err := l.current.Read(p)
		switch {
		case err == io.EOF:
			err = l.closeCurrent()
		case err != nil:
			err = l.folder.damaged(linesName(l.n), err)
		}
		if n > 0 || err != nil || len(p) == 0 {
			return n, err
		}
	}
}

// Close ends the reading.
func (l *lines) Close() error {
	l.n = l.last
	return l.closeCurrent()
}

func (l *lines) closeCurrent() error {
	if l.current == nil {
		return nil
	}
	err := l.current.Close()
	l.current = nil
	return err
}

// Close closes the memory.
func (m *Memory) Close() error { return errors.Join(m.tags.close(), m.folder.root.Close()) }
