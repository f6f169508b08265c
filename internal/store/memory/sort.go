package memory

import (
	"bytes"
	"container/heap"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"strongroom/internal/safe"
	"strongroom/internal/store/manifest"
)

// A tag stands for a chunk's digest: HMAC-SHA-256 of it, the first 16 bytes.
type tag [16]byte

// A record says where a chunk lies: its tag, then four numbers of 32 bits: the
// pack by its place in the list of packs, offset and length of the frame,
// length of the chunk. Being big-endian, records of one chunk are neighbours
// when sorted bytewise, and equal ones are equal bytes.
type record [recordSize]byte

const recordSize = 32

func newRecord(t tag, pack, offset, stored, length uint32) record {
	var r record
	copy(r[:], t[:])
	binary.BigEndian.PutUint32(r[16:], pack)
	binary.BigEndian.PutUint32(r[20:], offset)
	binary.BigEndian.PutUint32(r[24:], stored)
	binary.BigEndian.PutUint32(r[28:], length)
	return r
}

func (r *record) tag() tag       { return tag(r[:16]) }
func (r *record) pack() uint32   { return binary.BigEndian.Uint32(r[16:]) }
func (r *record) offset() uint32 { return binary.BigEndian.Uint32(r[20:]) }
func (r *record) stored() uint32 { return binary.BigEndian.Uint32(r[24:]) }
func (r *record) length() uint32 { return binary.BigEndian.Uint32(r[28:]) }

// chunk returns what r says of the chunk with that digest; packs must be those
// that it refers to.
func (r *record) chunk(hash safe.Digest, packs []Pack) manifest.Chunk {
	p := &packs[r.pack()]
	return manifest.Chunk{
		Hash: hash, Run: p.Run, Pack: p.Digest,
		Offset: int64(r.offset()), Stored: r.stored(), Length: r.length(),
	}
}

func compareRecords(a, b record) int { return bytes.Compare(a[:], b[:]) }

// A sortedFile is a file of strictly ascending records.
type sortedFile struct {
	name  string
	kind  kind
	n     int // number in its header
	count uint64
}

// recordsIn returns how many records there are in files.
func recordsIn(files []sortedFile) (n uint64) {
	for _, file := range files {
		n += file.count
	}
	return n
}

// chunksFile returns the nth chunks file.
func chunksFile(n int, count uint64) sortedFile {
	return sortedFile{chunksName(n), chunksKind, n, count}
}

// A sorter turns records that come in any order into sorted files, as few as
// its buffer allows.
type sorter struct {
	folder *folder
	limit  int // records in the buffer
	buffer []record
	files  []uint64 // counts of the chunks files written, of which the first is chunks-1

	written func(context.Context, sortedFile, []record) error // is told of each file
}

func (s *sorter) add(ctx context.Context, r record) error {
	s.buffer = append(s.buffer, r)
	if len(s.buffer) < s.limit {
		return nil
	}
	return s.flush(ctx)
}

// flush writes what is in the buffer into a file of its own.
func (s *sorter) flush(ctx context.Context) error {
	if len(s.buffer) == 0 {
		return nil
	}
	slices.SortFunc(s.buffer, compareRecords)
	unique := slices.Compact(s.buffer)
	file := chunksFile(len(s.files)+1, uint64(len(unique)))
	out, err := s.folder.create(file.name, file.kind, file.n)
	if err != nil {
		return err
	}
	for i := range unique {
		if _, err := out.Write(unique[i][:]); err != nil {
			out.drop()
			return err
		}
	}
	if _, err := out.commit(); err != nil {
		return err
	}
	s.files = append(s.files, file.count)
	err = s.written(ctx, file, unique)
	s.buffer = s.buffer[:0]
	return err
}

// A recordReader reads a sorted file and makes sure that it is one.
type recordReader struct {
	src     io.Reader
	left    uint64
	current record
	begun   bool
}

// next makes the next record current; after the last it returns io.EOF.
func (r *recordReader) next() error {
	if r.left == 0 {
		return expectEnd(r.src)
	}
	previous := r.current
	if _, err := io.ReadFull(r.src, r.current[:]); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	if r.begun && compareRecords(previous, r.current) >= 0 {
		return errors.New("records are not in order")
	}
	r.begun = true
	r.left--
	return nil
}

// expectEnd returns io.EOF if nothing follows in src.
func expectEnd(src io.Reader) error {
	var b [1]byte
	if _, err := io.ReadFull(src, b[:]); err != nil {
		return err
	}
	return errors.New("more follows where the file should end")
}

// fanIn is how many files are merged at once. Each takes about 200 KiB of RAM
// and a file descriptor; 64 files of the default buffer hold 8 million
// records, and 4,096 checkpoints still need only one pass more.
const fanIn = 64

// merge calls emit with the records of all files in ascending order, equal
// ones once. If there are more files than can be merged at once, it first
// makes fewer of them.
func merge(ctx context.Context, f *folder, files []sortedFile, emit func(record) error) error {
	for n := 1; len(files) > fanIn; n++ {
		merged, err := mergeInto(ctx, f, files[:fanIn], n, func(uint64, *record) {})
		if err != nil {
			return err
		}
		if err := f.removeMerged(files[:fanIn]); err != nil {
			return err
		}
		files = append(slices.Clone(files[fanIn:]), merged)
	}
	return mergeOnce(ctx, f, files, emit)
}

// removeMerged removes those of files that are merged ones. Checkpoints name
// the chunks files, so those must stay.
func (f *folder) removeMerged(files []sortedFile) error {
	var errs []error
	for _, file := range files {
		if file.kind == mergedKind {
			errs = append(errs, f.remove(file.name))
		}
	}
	return errors.Join(errs...)
}

// mergeInto merges files into the nth merged file, and calls note with each
// record of it and how many came before.
func mergeInto(ctx context.Context, f *folder, files []sortedFile, n int, note func(uint64, *record)) (sortedFile, error) {
	merged := sortedFile{name: mergedName(n), kind: mergedKind, n: n}
	out, err := f.create(merged.name, merged.kind, n)
	if err != nil {
		return sortedFile{}, err
	}
	err = mergeOnce(ctx, f, files, func(r record) error {
		note(merged.count, &r)
		merged.count++
		_, err := out.Write(r[:])
		return err
	})
	if err != nil {
		out.drop()
		return sortedFile{}, err
	}
	return merged, out.finish()
}

// mergeOnce is merge for files that can all be open at once.
func mergeOnce(ctx context.Context, f *folder, files []sortedFile, emit func(record) error) error {
	var h mergeHeap
	for _, file := range files {
		src, err := f.open(file.name, file.kind, file.n)
		if err != nil {
			return err
		}
		defer src.Close()
		in := &mergeInput{recordReader{src: src, left: file.count}, file.name}
		switch err := in.next(); err {
		case nil:
			h = append(h, in)
		case io.EOF:
		default:
			return f.damaged(file.name, err)
		}
	}
	heap.Init(&h)
	var last record
	for n := 0; len(h) > 0; n++ {
		if n%(1<<16) == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		in := h[0]
		if n == 0 || in.current != last {
			last = in.current
			if err := emit(last); err != nil {
				return err
			}
		}
		switch err := in.next(); err {
		case nil:
			heap.Fix(&h, 0)
		case io.EOF:
			heap.Pop(&h)
		default:
			return f.damaged(in.name, err)
		}
	}
	return nil
}

// A mergeInput is a sorted file that is being merged.
type mergeInput struct {
	recordReader
	name string
}

// A mergeHeap has the input with the smallest current record first.
type mergeHeap []*mergeInput

func (h mergeHeap) Len() int           { return len(h) }
func (h mergeHeap) Less(i, j int) bool { return bytes.Compare(h[i].current[:], h[j].current[:]) < 0 }
func (h mergeHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *mergeHeap) Push(x any)        { *h = append(*h, x.(*mergeInput)) }
func (h *mergeHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// A tagger makes of sorted records one for each chunk, and counts what they
// use of their packs.
type tagger struct {
	folder *folder
	packs  []Pack
	emit   func(record) error
	best   record // of the chunk whose records are passing
	any    bool
}

func (t *tagger) add(r record) error {
	if err := t.use(&r); err != nil {
		return t.folder.damaged("chunks", err)
	}
	if !t.any || r.tag() != t.best.tag() {
		if err := t.flush(); err != nil {
			return err
		}
		t.best, t.any = r, true
		return nil
	}
	if r.length() != t.best.length() {
		return t.folder.damaged("chunks", fmt.Errorf("a chunk has %d bytes and also %d", t.best.length(), r.length()))
	}
	// A chunk that was stored again lies in two places as long as some lines
	// still name the old one. The newer run is the one that will be kept.
	if t.runOf(&r).Compare(t.runOf(&t.best)) >= 0 {
		t.best = r
	}
	return nil
}

// flush emits the last chunk.
func (t *tagger) flush() error {
	if !t.any {
		return nil
	}
	return t.emit(t.best)
}

func (t *tagger) runOf(r *record) safe.RunID { return t.packs[r.pack()].Run }

// use checks where r points to, and counts its frame.
func (t *tagger) use(r *record) error {
	if err := checkPlace(r, t.packs); err != nil {
		return err
	}
	p := &t.packs[r.pack()]
	p.Used += int64(r.stored())
	if p.Used > p.Frames {
		return errors.New("the chunks of a pack overlap")
	}
	return nil
}

// checkPlace makes sure that a record points into a pack.
func checkPlace(r *record, packs []Pack) error {
	if int64(r.pack()) >= int64(len(packs)) {
		return fmt.Errorf("a chunk lies in pack %d of %d", r.pack(), len(packs))
	}
	frames := packs[r.pack()].Frames
	if int64(r.offset())+int64(r.stored()) > frames || r.stored() == 0 || r.length() == 0 {
		return fmt.Errorf("a chunk of %d bytes lies at %d+%d of a pack with %d bytes", r.length(), r.offset(), r.stored(), frames)
	}
	return nil
}
