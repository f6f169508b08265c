package restore_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"strongroom/internal/safe"
	"strongroom/internal/store"
	"strongroom/internal/store/layout"
	"strongroom/internal/store/manifest"
	"strongroom/internal/store/restore"
	"strongroom/internal/store/storetest"
)

// wantReadOnce checks that each pack was read about once, and in about as few
// spans as possible.
func wantReadOnce(t *testing.T, s *storetest.Store, d safe.Snapshot) {
	t.Helper()
	for run, packs := range d.Runs {
		for _, digest := range packs.Packs {
			name := layout.Pack(run, digest)
			info, err := s.Blobs.Stat(t.Context(), name)
			if err != nil {
				t.Fatal(err)
			}
			reads := s.Blobs.Reads(name)
			least := (info.Size + store.MaxSpan - 1) / store.MaxSpan
			// Its header and its last piece are read once beside the spans.
			if spans := reads.Calls - 2; float64(spans) > 1.2*float64(least)+2 {
				t.Errorf("a pack of %d bytes was read in %d spans, want about %d", info.Size, spans, least)
			}
			if edges := int64(200 << 10); float64(reads.Bytes) > 1.2*float64(info.Size)+float64(edges) {
				t.Errorf("of a pack of %d bytes %d were read", info.Size, reads.Bytes)
			}
		}
	}
}

func TestPacksAreReadAboutOnce(t *testing.T) {
	s := storetest.New(t)
	r := rand.New(rand.NewPCG(3, 4))
	src := rand.NewChaCha8([32]byte{3})
	entries := []storetest.Entry{storetest.File("big", random(src, 50<<20))}
	for i := range 1500 {
		entries = append(entries, storetest.File(fmt.Sprintf("%02d/%04d", i/50, i), random(src, r.IntN(20<<10))))
	}
	d := s.Snapshot(entries...)
	report := mustRun(t, s.Open(d), t.TempDir(), restore.Options{Owner: restore.NoOwner})
	if report.LossCount > 0 || report.Files != 1501 {
		t.Fatalf("restored %d files with %d losses", report.Files, report.LossCount)
	}
	wantReadOnce(t, s, d)
}

// TestHardlinksCutNoSpans restores as many hard links as files, each right
// behind its file.
func TestHardlinksCutNoSpans(t *testing.T) {
	s := storetest.New(t)
	src := rand.NewChaCha8([32]byte{5})
	var entries []storetest.Entry
	for i := range 800 {
		name := fmt.Sprintf("%02d/%04d", i/50, i)
		entries = append(entries, storetest.File(name, random(src, 10<<10)), storetest.Hardlink(name+".again", name))
	}
	d := s.Snapshot(entries...)
	report := mustRun(t, s.Open(d), t.TempDir(), restore.Options{Owner: restore.NoOwner})
	if report.LossCount > 0 || report.Files != 800 || report.Hardlinks != 800 {
		t.Fatalf("restored %d files and %d hard links with %d losses", report.Files, report.Hardlinks, report.LossCount)
	}
	wantReadOnce(t, s, d)
}

// TestShuffledPacksAreReadAboutOnce restores files whose chunks lie in the
// packs in another order than in the manifest, here and there.
func TestShuffledPacksAreReadAboutOnce(t *testing.T) {
	s := storetest.New(t)
	s.PackChunks = 250
	src := rand.NewChaCha8([32]byte{4})
	first := s.Snapshot(storetest.File("all", random(src, 12<<20)).Cut(12 << 10))
	chunks := s.Chunks(first, "all")
	rand.New(rand.NewPCG(5, 6)).Shuffle(len(chunks), func(i, j int) { chunks[i], chunks[j] = chunks[j], chunks[i] })
	var entries []storetest.Entry
	for i := 0; i < len(chunks); i += 2 {
		e := storetest.File(fmt.Sprintf("f%04d", i), "")
		e.Chunks = append([]manifest.Chunk(nil), chunks[i:min(i+2, len(chunks))]...)
		entries = append(entries, e)
	}
	d := s.Snapshot(entries...)
	before := s.Blobs.Counts().Reads
	if _, err := restore.Verify(t.Context(), s.Open(d), restore.Options{}); err != nil {
		t.Fatal(err)
	}
	after := s.Blobs.Counts().Reads
	// Each window of 512 chunks touches all four packs, there are two windows.
	if calls := after.Calls - before.Calls; calls > 40 {
		t.Errorf("%d reads", calls)
	}
	if n := after.Bytes - before.Bytes; n > 3*12<<20 {
		t.Errorf("%d bytes were read for 12 MiB", n)
	}
}

func random(src *rand.ChaCha8, n int) string {
	b := make([]byte, n)
	src.Read(b)
	return string(b)
}
