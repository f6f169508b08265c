package memory

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"slices"
	"sort"
	"sync"

	"strongroom/internal/safe"
	"strongroom/internal/store/manifest"
)

// A Memory is what is remembered of one run. All methods but Close may be
// called concurrently.
type Memory struct {
	folder   *folder
	index    *index
	byDigest []uint32 // places in index.packs, by digest
	file     *os.File // tags.age
	tags     io.ReaderAt
	blocks   sync.Pool // of *[blockSize]byte
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
	m := &Memory{folder: f, index: x}
	m.blocks.New = func() any { return new([blockSize]byte) }
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
	return build(ctx, f, s)
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
	file, err := m.folder.openFile(tagsName)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			file.Close()
		}
	}()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	tags, size, err := m.folder.keys.Seal.OpenAt(file, info.Size())
	if err != nil {
		return err
	}
	if want := m.tagsSize(); size != want {
		return fmt.Errorf("holds %d bytes instead of %d", size, want)
	}
	var h [headerSize]byte
	if err := readAt(tags, h[:], 0); err != nil {
		return err
	}
	if err := checkHeader(h[:], tagsKind, m.folder.run, 0); err != nil {
		return err
	}
	m.file, m.tags = file, tags
	return nil
}

// tagsSize returns the size of the tags' plaintext.
func (m *Memory) tagsSize() int64 { return headerSize + int64(m.index.chunks)*recordSize }

// readAt fills p. Reading up to the end is no error.
func readAt(src io.ReaderAt, p []byte, off int64) error {
	n, err := src.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Lookup returns where the chunk with the given digest lies, in the newest run
// if in several places, and whether it is remembered at all. The error, if any,
// is a *DamagedError or one of reading.
func (m *Memory) Lookup(hash safe.Digest) (manifest.Chunk, bool, error) {
	t := m.folder.keys.tag(hash)
	if !m.index.filter.mayHave(t) {
		return manifest.Chunk{}, false, nil
	}
	r, ok, err := m.search(t)
	if err != nil {
		return manifest.Chunk{}, false, m.folder.damaged(tagsName, err)
	}
	if !ok {
		return manifest.Chunk{}, false, nil
	}
	p := &m.index.packs[r.pack()]
	return manifest.Chunk{
		Hash:   hash,
		Run:    p.Run,
		Pack:   p.Digest,
		Offset: int64(r.offset()),
		Stored: r.stored(),
		Length: r.length(),
	}, true, nil
}

// search finds the record of a tag, reading the one block in which it must be.
func (m *Memory) search(t tag) (record, bool, error) {
	fence := m.index.fence
	n := sort.Search(len(fence), func(i int) bool { return bytes.Compare(fence[i][:], t[:]) > 0 }) - 1
	if n < 0 {
		return record{}, false, nil
	}
	start := int64(n) * blockSize
	end := min(start+blockSize, m.tagsSize())
	if n == 0 {
		start = headerSize
	}
	buffer := m.blocks.Get().(*[blockSize]byte)
	defer m.blocks.Put(buffer)
	block := buffer[:end-start]
	if err := readAt(m.tags, block, start); err != nil {
		return record{}, false, err
	}
	r, ok, err := searchBlock(block, fence[n], t)
	if err != nil || !ok {
		return record{}, false, err
	}
	return r, true, checkPlace(&r, m.index.packs)
}

// searchBlock finds the record of a tag in a block that begins with the tag
// first, after making sure that all of it is in order.
func searchBlock(block []byte, first, t tag) (record, bool, error) {
	n := len(block) / recordSize
	if n == 0 || len(block)%recordSize != 0 {
		return record{}, false, fmt.Errorf("a block of %d bytes has no whole records", len(block))
	}
	tagAt := func(i int) []byte { return block[i*recordSize:][:len(tag{})] }
	if !bytes.Equal(tagAt(0), first[:]) {
		return record{}, false, errors.New("a block does not begin as the index says")
	}
	for i := 1; i < n; i++ {
		if bytes.Compare(tagAt(i-1), tagAt(i)) >= 0 {
			return record{}, false, errors.New("tags are not in order")
		}
	}
	i, ok := sort.Find(n, func(i int) int { return bytes.Compare(t[:], tagAt(i)) })
	if !ok {
		return record{}, false, nil
	}
	return record(block[i*recordSize:][:recordSize]), true, nil
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
func (m *Memory) Close() error { return errors.Join(m.file.Close(), m.folder.root.Close()) }
