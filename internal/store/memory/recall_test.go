package memory

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/safe"
	"strongroom/internal/store/manifest"
)

// A Writer finds what it has written to disk, while it goes on.
func TestLookupWhileWriting(t *testing.T) {
	const chunks, perFile, perPack = 5000, 100, 1000
	dir, keys, run := t.TempDir(), newKeys(t), safe.NewRunID(began)
	w := create(t, dir, run, keys, Options{Buffer: perFile * recordSize})
	chunkAt := func(i int) manifest.Chunk { return testChunk(i, testPack(run, i/perPack), i%perPack) }
	check := func(i int, there bool) {
		t.Helper()
		got, ok, err := w.Lookup(chunkAt(i).Hash)
		if err != nil || ok != there {
			t.Fatalf("chunk %d: %v, %v, want %v", i, ok, err, there)
		}
		if diff := cmp.Diff(chunkAt(i), got); there && diff != "" {
			t.Fatalf("chunk %d (-want +got):\n%s", i, diff)
		}
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := 0; ; i = (i + 1) % chunks {
				select {
				case <-stop:
					return
				default:
				}
				got, ok, err := w.Lookup(chunkAt(i).Hash)
				if err != nil || ok && got != chunkAt(i) {
					t.Errorf("chunk %d: %v, %v", i, got, err)
				}
			}
		})
	}
	for i := range chunks {
		must(t, w.AddPack(testPack(run, i/perPack)))
		must(t, w.AddChunks(t.Context(), []manifest.Chunk{chunkAt(i)}))
		if i%perFile == perFile-1 {
			check(i-perFile+1, true)
			check(i, true)
			check(i+1, false)
		}
	}
	close(stop)
	wg.Wait()
	for i := range chunks {
		check(i, true)
	}
	must(t, w.Finish(t.Context()))
	check(0, false)
}

// A lookup of what is not there asks as many filters as the digits of the
// number of chunks files add up to, to the base of tierWidth. What is there is
// found however long ago it was written.
func TestLookupAsksFewFilters(t *testing.T) {
	dir, keys, run := t.TempDir(), newKeys(t), safe.NewRunID(began)
	w := create(t, dir, run, keys, Options{Buffer: recordSize}) // a file for each chunk
	absent := lastDigest(keys)
	questions := map[int]int{1: 1, 3: 3, 4: 1, 7: 4, 15: 6, 16: 1, 63: 9, 64: 1, 100: 4, 255: 12, 256: 1, 257: 2}
	p := testPack(run, 0)
	must(t, w.AddPack(p))
	for files := 1; files <= 257; files++ {
		must(t, w.AddChunks(t.Context(), []manifest.Chunk{testChunk(files, p, files)}))
		want, ok := questions[files]
		if !ok {
			continue
		}
		var asked countingReads
		for _, table := range w.recall.tables {
			for i := range table.filter {
				table.filter[i] = 0xff // so that each question costs a read
			}
			table.plain = asked.of(table.plain)
		}
		if c, ok, err := w.Lookup(absent); ok || err != nil {
			t.Fatalf("an absent chunk: %v, %v, %v", c, ok, err)
		}
		if asked.reads != want {
			t.Errorf("with %d files %d filters are asked, want %d", files, asked.reads, want)
		}
		for i := 1; i <= files; i++ {
			want := testChunk(i, p, i)
			if got, ok, err := w.Lookup(want.Hash); got != want || err != nil {
				t.Fatalf("chunk %d with %d files: %v, %v, %v", i, files, got, ok, err)
			}
		}
	}
	must(t, w.Finish(t.Context()))
}

// As many files as a memory may have are few tables, all of which are merged at
// once when a run ends, and no record is copied more often than there are tiers.
func TestTiers(t *testing.T) {
	var tables, copies []int // of each table: chunks files in it, how often the most copied was copied
	most := 0
	for n := 1; n <= maxFiles; n++ {
		tables, copies = append(tables, 1), append(copies, 0)
		if due := due(n); due > 1 {
			first := len(tables) - due
			merged, copied := 0, 0
			for i := first; i < len(tables); i++ {
				merged, copied = merged+tables[i], max(copied, copies[i]+1)
			}
			tables, copies = append(tables[:first], merged), append(copies[:first], copied)
		}
		most = max(most, len(tables))
	}
	if want := []int{maxFiles}; !slices.Equal(tables, want) {
		t.Errorf("%d chunks files are in tables of %v, want %v", maxFiles, tables, want)
	}
	if most > fanIn || most != 30 {
		t.Errorf("there are up to %d tables, want 30", most)
	}
	if copies[0] > 10 {
		t.Errorf("a record is copied %d times, want 10 at most", copies[0])
	}
}

// lastDigest returns a digest whose tag is behind all others of a test, so that
// no fence saves reading for it.
func lastDigest(keys Keys) safe.Digest {
	maker := keys.tagMaker()
	for i := 0; ; i++ {
		d := digest("absent", i)
		if tag := maker.tag(d); tag[0] == 0xff && tag[1] == 0xff {
			return d
		}
	}
}

// countingReads counts reads of all that it is a reader of.
type countingReads struct{ reads int }

func (c *countingReads) of(src io.ReaderAt) io.ReaderAt { return &countedReader{src, c} }

type countedReader struct {
	io.ReaderAt
	count *countingReads
}

func (c *countedReader) ReadAt(p []byte, off int64) (int, error) {
	c.count.reads++
	return c.ReaderAt.ReadAt(p, off)
}

// A run may be killed with any number of chunks files, at any step of merging.
func TestKilledWhileMerging(t *testing.T) {
	dir, keys, run := t.TempDir(), newKeys(t), safe.NewRunID(began)
	w := create(t, dir, run, keys, Options{Buffer: recordSize})
	for n := range 20 {
		p := testPack(run, n)
		must(t, w.AddPack(p))
		must(t, w.AddChunks(t.Context(), []manifest.Chunk{testChunk(n, p, 0)}))
		must(t, w.Checkpoint(t.Context()))

		left := t.TempDir()
		must(t, os.CopyFS(left, os.DirFS(dir)))
		must(t, os.WriteFile(filepath.Join(left, run.String(), mergedName(n+2)), []byte("half"), 0o600))
		m := openMemory(t, left, run, keys)
		for i := range n + 1 {
			checkChunk(t, m, testChunk(i, testPack(run, i), 0))
		}
		checkAbsent(t, m, digest("content", n+1))
		for _, name := range names(t, left, run) {
			if strings.HasSuffix(name, ".tmp") {
				t.Errorf("of a run that was killed with %d chunks files %s remains", n+1, name)
			}
		}
	}
}

// What a run merged for itself goes with it, whether it ends well or not.
func TestMergedFilesGo(t *testing.T) {
	for name, end := range map[string]func(*Writer) error{
		"finished":   func(w *Writer) error { return w.Finish(t.Context()) },
		"broken off": (*Writer).Close,
	} {
		dir, keys, run := t.TempDir(), newKeys(t), safe.NewRunID(began)
		w := create(t, dir, run, keys, Options{Buffer: recordSize})
		merged := func() (n int) {
			for _, name := range names(t, dir, run) {
				if strings.HasPrefix(name, "merged-") {
					n++
				}
			}
			return n
		}
		p := testPack(run, 0)
		must(t, w.AddPack(p))
		for i := range 2*tierWidth*tierWidth + tierWidth + 1 {
			must(t, w.AddChunks(t.Context(), []manifest.Chunk{testChunk(i, p, i)}))
		}
		if n := merged(); n != 3 {
			t.Errorf("%d merged files, want 3", n)
		}
		must(t, end(w))
		if n := merged(); n != 0 {
			t.Errorf("%s: %d merged files remain", name, n)
		}
	}
}

// A file that was damaged is noticed when it is merged, and after a
// cancellation nothing is.
func TestMergingFails(t *testing.T) {
	tests := []struct {
		name string
		do   func(cancel func(), second string) error
		is   func(error) bool
	}{
		{"damage", func(_ func(), second string) error { return os.Truncate(second, 100) },
			func(err error) bool { return errors.As(err, new(*DamagedError)) }},
		{"cancellation", func(cancel func(), _ string) error { cancel(); return nil },
			func(err error) bool { return errors.Is(err, context.Canceled) }},
	}
	for _, test := range tests {
		dir, keys, run := t.TempDir(), newKeys(t), safe.NewRunID(began)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		w := create(t, dir, run, keys, Options{Buffer: recordSize})
		p := testPack(run, 0)
		must(t, w.AddPack(p))
		for i := range tierWidth - 1 {
			must(t, w.AddChunks(ctx, []manifest.Chunk{testChunk(i, p, i)}))
		}
		must(t, test.do(cancel, filepath.Join(dir, run.String(), chunksName(2))))
		if err := w.AddChunks(ctx, []manifest.Chunk{testChunk(tierWidth, p, tierWidth)}); !test.is(err) {
			t.Errorf("%s: %v", test.name, err)
		}
		must(t, w.Close())
	}
}

// BenchmarkLookupOfNew is what a chunk costs that is new to a run of very many:
// looking it up and adding it. Metrics beside the time are the filters that are
// asked and the blocks that are read for a lookup, on average.
func BenchmarkLookupOfNew(b *testing.B) {
	for _, chunks := range []int{1e6, 3e6, 10e6} {
		b.Run(fmt.Sprint(chunks), func(b *testing.B) {
			for b.Loop() {
				keys, run := newKeys(b), safe.NewRunID(began)
				w := create(b, b.TempDir(), run, keys, Options{})
				var p Pack
				asked, reads := 0, new(countingReads)
				for i := range chunks {
					if i%1000 == 0 {
						p = testPack(run, i/1000)
						must(b, w.AddPack(p))
					}
					c := testChunk(i, p, i%1000)
					if _, ok, err := w.Lookup(c.Hash); ok || err != nil {
						b.Fatal(ok, err)
					}
					asked += len(w.recall.tables)
					before := len(w.sorter.files)
					must(b, w.AddChunks(b.Context(), []manifest.Chunk{c}))
					if len(w.sorter.files) > before {
						newest := w.recall.tables[len(w.recall.tables)-1]
						newest.plain = reads.of(newest.plain)
					}
				}
				b.ReportMetric(float64(asked)/float64(chunks), "filters/chunk")
				b.ReportMetric(float64(reads.reads)/float64(chunks), "reads/chunk")
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(chunks), "ns/chunk")
			}
		})
	}
}
