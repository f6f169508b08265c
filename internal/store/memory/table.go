package memory

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
	"sync"
)

// A guide is what makes a search in a sorted file take one read or none.
type guide struct {
	// The fence has the first tag of each block, so that the block in which a
	// tag must be is known without reading.
	fence  []tag
	filter filter
}

// newGuide returns the guide of a file of at most that many records, with bits
// for each, before any is noted.
func newGuide(records, bits uint64) guide { return guide{filter: newFilter(records, bits)} }

// note adds the ith record.
func (g *guide) note(i uint64, r *record) {
	if beginsBlock(i) {
		g.fence = append(g.fence, r.tag())
	}
	g.filter.add(r.tag())
}

// beginsBlock tells whether the ith record, from 0, is the first of its block.
// The header has the place of one record.
func beginsBlock(i uint64) bool { return i == 0 || (i+1)%blockRecords == 0 }

// A table is a file of sorted records that is searched in place: what is not in
// it costs a look at the filter, most often, and what is costs reading a block.
// It may be used concurrently.
type table struct {
	sortedFile
	guide
	file  *os.File
	plain io.ReaderAt
}

// openTable opens a sorted file of which g was made.
func (f *folder) openTable(sorted sortedFile, g guide) (_ *table, err error) {
	file, err := f.openFile(sorted.name)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			file.Close()
		}
	}()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	plain, size, err := f.keys.Seal.OpenAt(file, info.Size())
	if err != nil {
		return nil, err
	}
	t := &table{sortedFile: sorted, guide: g, file: file, plain: plain}
	if want := t.size(); size != want {
		return nil, fmt.Errorf("holds %d bytes instead of %d", size, want)
	}
	var h [headerSize]byte
	if err := readAt(plain, h[:], 0); err != nil {
		return nil, err
	}
	if err := checkHeader(h[:], t.kind, f.run, t.n); err != nil {
		return nil, err
	}
	return t, nil
}

func (t *table) close() error { return t.file.Close() }

// size returns the size of the plaintext.
func (t *table) size() int64 { return headerSize + int64(t.count)*recordSize }

// blocks are buffers for searches.
var blocks = sync.Pool{New: func() any { return new([blockSize]byte) }}

// find returns a record of that tag, if there is one.
func (t *table) find(wanted tag) (record, bool, error) {
	if !t.filter.mayHave(wanted) {
		return record{}, false, nil
	}
	return t.search(wanted)
}

// search finds a record of a tag, reading the one block in which it must be.
func (t *table) search(wanted tag) (record, bool, error) {
	n := sort.Search(len(t.fence), func(i int) bool { return bytes.Compare(t.fence[i][:], wanted[:]) > 0 }) - 1
	if n < 0 {
		return record{}, false, nil
	}
	start := int64(n) * blockSize
	end := min(start+blockSize, t.size())
	if n == 0 {
		start = headerSize
	}
	buffer := blocks.Get().(*[blockSize]byte)
	defer blocks.Put(buffer)
	block := buffer[:end-start]
	if err := readAt(t.plain, block, start); err != nil {
		return record{}, false, err
	}
	return searchBlock(block, t.fence[n], wanted)
}

// searchBlock finds a record of a tag in a block that begins with the tag
// first, after making sure that all of it is in order.
func searchBlock(block []byte, first, wanted tag) (record, bool, error) {
	n := len(block) / recordSize
	if n == 0 || len(block)%recordSize != 0 {
		return record{}, false, fmt.Errorf("a block of %d bytes has no whole records", len(block))
	}
	tagAt := func(i int) []byte { return block[i*recordSize:][:len(tag{})] }
	if !bytes.Equal(tagAt(0), first[:]) {
		return record{}, false, errors.New("a block does not begin as the index says")
	}
	for i := 1; i < n; i++ {
		if bytes.Compare(tagAt(i-1), tagAt(i)) > 0 {
			return record{}, false, errors.New("tags are not in order")
		}
	}
	i, ok := sort.Find(n, func(i int) int { return bytes.Compare(wanted[:], tagAt(i)) })
	if !ok {
		return record{}, false, nil
	}
	return record(block[i*recordSize:][:recordSize]), true, nil
}

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
