package memory

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/safe"
)

// The parsers are fuzzed below the seal: whoever gets bytes past it must not
// get further.

func FuzzCheckpoint(f *testing.F) {
	run := safe.NewRunID(began)
	f.Add((&checkpoint{}).encode())
	f.Add((&checkpoint{lines: 200, chunks: []uint64{3, 4}, packs: []Pack{testPack(run, 1), testPack(run, 2)}}).encode())
	f.Add(bytes.Repeat([]byte{0xff}, 100))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := decodeCheckpoint(bytes.NewReader(b))
		if err != nil {
			return
		}
		if !bytes.Equal(c.encode(), b) {
			t.Errorf("%x is read as %+v, which is %x", b, c, c.encode())
		}
		if err := new(state).add(c); err != nil {
			t.Errorf("a checkpoint that is read does not count: %v", err)
		}
	})
}

func FuzzIndex(f *testing.F) {
	run := safe.NewRunID(began)
	used := testPack(run, 2)
	used.Used = 500
	full := &index{
		chunks: blockRecords + 5,
		lines:  []uint64{200, 300},
		packs:  []Pack{testPack(run, 1), used},
		guide:  guide{fence: []tag{{1}, {2}}, filter: newFilter(10, indexBits)},
	}
	f.Add((&index{}).encode())
	f.Add(full.encode())
	f.Add(bytes.Repeat([]byte{0xff}, 100))
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := decodeIndex(bytes.NewReader(b))
		if err != nil {
			return
		}
		if !bytes.Equal(x.encode(), b) {
			t.Errorf("%x is read as %+v, which is %x", b, x, x.encode())
		}
		m := &Memory{index: x}
		if err := m.sortPacks(); err != nil {
			return
		}
		for _, p := range x.packs {
			if got, _ := m.Pack(p.Digest); got != p {
				t.Errorf("Pack = %v, want %v", got, p)
			}
		}
		x.filter.mayHave(tag{1, 2, 3})
	})
}

// FuzzRecords reads sorted files, and makes tags of what it gets.
func FuzzRecords(f *testing.F) {
	first := newRecord(tag{1}, 0, 0, 100, 1000)
	again := newRecord(tag{1}, 1, 0, 100, 1000)
	second := newRecord(tag{2}, 0, 100, 100, 2000)
	f.Add(slices.Concat(first[:], again[:], second[:]), uint64(3))
	f.Add(slices.Concat(second[:], first[:]), uint64(2))
	f.Add(first[:31], uint64(1<<60))
	run := safe.NewRunID(began)
	f.Fuzz(func(t *testing.T, b []byte, count uint64) {
		r := recordReader{src: bytes.NewReader(b), left: count}
		var tags []record
		tagger := tagger{
			folder: &folder{run: run},
			packs:  []Pack{testPack(run, 0), testPack(run, 1)},
			emit:   func(r record) error { tags = append(tags, r); return nil },
		}
		var err error
		n := uint64(0)
		for ; ; n++ {
			if err = r.next(); err != nil {
				break
			}
			if err = tagger.add(r.current); err != nil {
				break
			}
		}
		if err != io.EOF {
			return
		}
		if n != count || n*recordSize != uint64(len(b)) {
			t.Errorf("%d records were read of %d bytes, %d were promised", n, len(b), count)
		}
		if err := tagger.flush(); err != nil {
			t.Error(err)
		}
		for i := range tags {
			if i > 0 && bytes.Compare(tags[i-1][:16], tags[i][:16]) >= 0 {
				t.Errorf("tags are not in order: %x, %x", tags[i-1], tags[i])
			}
			if err := checkPlace(&tags[i], tagger.packs); err != nil {
				t.Error(err)
			}
		}
	})
}

func FuzzBlock(f *testing.F) {
	first := newRecord(tag{1}, 0, 0, 100, 1000)
	second := newRecord(tag{2}, 0, 100, 100, 2000)
	f.Add(slices.Concat(first[:], second[:]), bytes.Repeat([]byte{1}, 16))
	f.Add(slices.Concat(first[:], second[:]), second[:16])
	f.Add(first[:20], first[:16])
	f.Fuzz(func(t *testing.T, block, wanted []byte) {
		if len(block) < 16 || len(wanted) < 16 || len(block) > blockSize {
			return
		}
		want := tag(wanted[:16])
		r, ok, err := searchBlock(block, tag(block[:16]), want)
		if err != nil {
			return
		}
		var there bool
		for i := 0; i < len(block); i += recordSize {
			there = there || bytes.Equal(block[i:i+16], want[:])
		}
		if ok != there || ok && r.tag() != want {
			t.Errorf("searching %x in %x: %x, %v", want, block, r, ok)
		}
	})
}

func FuzzHeader(f *testing.F) {
	run := safe.NewRunID(began)
	f.Add(header(linesKind, run, 1))
	f.Add(header(linesKind, run, 2))
	f.Add(header(linesKind, safe.NewRunID(began), 1))
	f.Add(header(tagsKind, run, 1))
	next := header(linesKind, run, 1)
	next[7] = version + 1
	f.Add(next)
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) != headerSize {
			return
		}
		if err := checkHeader(b, linesKind, run, 1); (err == nil) != bytes.Equal(b, header(linesKind, run, 1)) {
			t.Errorf("%x: %v", b, err)
		}
	})
}

// Hostile counts are errors, before anything is made room for.
func TestHostileCounts(t *testing.T) {
	valid := (&checkpoint{lines: 1, chunks: []uint64{1}}).encode()
	for name, change := range map[string]func([]byte){
		"files":         func(b []byte) { b[8] = 0xff },
		"files to come": func(b []byte) { b[10] = 0x0f },
		"no chunks":     func(b []byte) { b[19] = 0 },
		"many chunks":   func(b []byte) { b[12] = 0xff },
		"packs":         func(b []byte) { b[20] = 0xff },
		"packs to come": func(b []byte) { b[21] = 0x07 },
	} {
		b := slices.Clone(valid)
		change(b)
		if _, err := decodeCheckpoint(bytes.NewReader(b)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := decodeCheckpoint(io.MultiReader(bytes.NewReader(valid), bytes.NewReader([]byte{0}))); err == nil {
		t.Error("a byte too many: no error")
	}
	if _, err := decodeCheckpoint(bytes.NewReader(valid[:len(valid)-1])); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a byte too few: %v, want io.ErrUnexpectedEOF", err)
	}
}

// Two places with different lengths of one chunk, or frames that overlap, mean
// that somebody else's records are among them.
func TestTaggerRefuses(t *testing.T) {
	run := safe.NewRunID(began)
	small := Pack{Run: run, Frames: 150}
	for name, records := range map[string][]record{
		"two lengths":     {newRecord(tag{1}, 0, 0, 50, 1000), newRecord(tag{1}, 0, 50, 50, 1001)},
		"overlap":         {newRecord(tag{1}, 0, 0, 100, 1000), newRecord(tag{2}, 0, 50, 100, 1000)},
		"beyond its pack": {newRecord(tag{1}, 0, 100, 51, 1000)},
		"unknown pack":    {newRecord(tag{1}, 1, 0, 100, 1000)},
		"nothing stored":  {newRecord(tag{1}, 0, 0, 0, 1000)},
		"nothing":         {newRecord(tag{1}, 0, 0, 100, 0)},
	} {
		tagger := tagger{folder: &folder{run: run}, packs: []Pack{small}, emit: func(record) error { return nil }}
		var err error
		for _, r := range records {
			err = errors.Join(err, tagger.add(r))
		}
		if !errors.As(err, new(*DamagedError)) {
			t.Errorf("%s: %v, want a DamagedError", name, err)
		}
	}
}

// A filter has no false negatives and about as many false positives as the
// comments say.
func TestFilter(t *testing.T) {
	const n = 20_000
	keys := Keys{}
	for bits, most := range map[uint64]int{indexBits: n * 12 / 1000, recallBits: n * 25 / 10000} {
		f := newFilter(n, bits)
		for i := range n {
			f.add(keys.tagMaker().tag(digest("content", i)))
		}
		passed := 0
		for i := range n {
			if !f.mayHave(keys.tagMaker().tag(digest("content", i))) {
				t.Fatalf("tag %d is not found", i)
			}
			if f.mayHave(keys.tagMaker().tag(digest("absent", i))) {
				passed++
			}
		}
		if passed > most {
			t.Errorf("with %d bits for each %d of %d absent tags pass", bits, passed, n)
		}
	}
	if diff := cmp.Diff(filter{}, newFilter(0, indexBits)); diff != "" {
		t.Errorf("filter of nothing (-want +got):\n%s", diff)
	}
	if got := len(newFilter(1<<40, indexBits)); got != maxFilter {
		t.Errorf("filter of 2^40 tags has %d bytes, want %d", got, maxFilter)
	}
}
