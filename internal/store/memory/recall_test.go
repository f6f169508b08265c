package memory

import (
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
		must(t, w.AddChunks([]manifest.Chunk{chunkAt(i)}))
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

// The oldest files are let go of, so that descriptors and memory are bounded.
func TestLookupForgetsTheOldest(t *testing.T) {
	const chunks = maxRecalled + 10
	dir, keys, run := t.TempDir(), newKeys(t), safe.NewRunID(began)
	w := create(t, dir, run, keys, Options{Buffer: recordSize}) // a file for each
	p := testPack(run, 0)
	must(t, w.AddPack(p))
	for i := range chunks {
		must(t, w.AddChunks([]manifest.Chunk{testChunk(i, p, i)}))
	}
	for i := range chunks {
		if _, ok, err := w.Lookup(testChunk(i, p, i).Hash); err != nil || ok != (i >= chunks-maxRecalled) {
			t.Errorf("chunk %d of %d: %v, %v", i, chunks, ok, err)
		}
	}
	must(t, w.Finish(t.Context()))
}
