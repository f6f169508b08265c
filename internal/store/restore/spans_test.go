package restore_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"strongroom/internal/safe"
	"strongroom/internal/store/layout"
	"strongroom/internal/store/manifest"
	"strongroom/internal/store/restore"
	"strongroom/internal/store/storetest"
)

// requests counts how often the packs of a snapshot were read, and looks that
// no more was read of one than it has.
func requests(t *testing.T, s *storetest.Store, d safe.Snapshot) (calls, packs int64) {
	t.Helper()
	for run, of := range d.Runs {
		for _, digest := range of.Packs {
			name := layout.Pack(run, digest)
			info, err := s.Blobs.Stat(t.Context(), name)
			if err != nil {
				t.Fatal(err)
			}
			reads := s.Blobs.Reads(name)
			calls += reads.Calls
			packs++
			if reads.Bytes > info.Size {
				t.Errorf("of a pack of %d bytes %d were read", info.Size, reads.Bytes)
			}
		}
	}
	return calls, packs
}

// wantReadOnce checks that packs were read once, in one request each.
func wantReadOnce(t *testing.T, s *storetest.Store, d safe.Snapshot) {
	t.Helper()
	if calls, packs := requests(t, s, d); calls != packs {
		t.Errorf("%d packs were read in %d requests", packs, calls)
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
	// All that is restored lies in five packs of one run, the manifest in a sixth
	// of another; two envelopes and the root are one request each.
	if calls := after.Calls - before.Calls; calls != 9 {
		t.Errorf("%d reads", calls)
	}
	if n := after.Bytes - before.Bytes; n > 13<<20 {
		t.Errorf("%d bytes were read for 12 MiB", n)
	}
}

// aged makes a snapshot of files of which some have changed in each of many
// nights, and so lie in many packs.
func aged(t *testing.T, s *storetest.Store, files, nights int) safe.Snapshot {
	r := rand.New(rand.NewPCG(7, 8))
	src := rand.NewChaCha8([32]byte{7})
	entries := make([]storetest.Entry, files)
	for i := range entries {
		entries[i] = storetest.File(fmt.Sprintf("%02d/%04d", i/50, i), random(src, r.IntN(20<<10)))
	}
	d := s.Snapshot(entries...)
	fresh := make([]int, files) // indices of those that the last snapshot has stored
	for i := range fresh {
		fresh[i] = i
	}
	for range nights {
		for _, i := range fresh {
			entries[i].Chunks, entries[i].Content = s.Chunks(d, entries[i].Path), ""
		}
		fresh = fresh[:0]
		for i := range entries {
			if r.IntN(100) == 0 {
				entries[i] = storetest.File(entries[i].Path, random(src, 1+r.IntN(20<<10)))
				fresh = append(fresh, i)
			}
		}
		d = s.Snapshot(entries...)
	}
	return d
}

// TestOldPacksAreReadAboutOnce restores what has changed for many nights.
func TestOldPacksAreReadAboutOnce(t *testing.T) {
	s := storetest.New(t)
	d := aged(t, s, 200, 60)
	calls, _ := requests(t, s, d)
	report := mustRun(t, s.Open(d), t.TempDir(), restore.Options{Owner: restore.NoOwner})
	if report.LossCount > 0 || report.Files != 200 {
		t.Fatalf("restored %d files with %d losses", report.Files, report.LossCount)
	}
	after, packs := requests(t, s, d)
	if calls = after - calls; calls > packs {
		t.Errorf("%d packs were read in %d requests", packs, calls)
	}
}

// TestSharedChunksAreReadOnce restores many files of the same content.
func TestSharedChunksAreReadOnce(t *testing.T) {
	s := storetest.New(t)
	src := rand.NewChaCha8([32]byte{9})
	first := s.Snapshot(storetest.File("a", random(src, 300<<10)), storetest.File("b", random(src, 5<<20)))
	entries := make([]storetest.Entry, 500)
	for i := range entries {
		entries[i] = storetest.File(fmt.Sprintf("%02d/%04d", i/50, i), "")
		entries[i].Chunks = s.Chunks(first, []string{"a", "a", "a", "a", "a", "a", "a", "a", "a", "b"}[i%10])
	}
	d := s.Snapshot(entries...)
	before := s.Blobs.Counts().Reads
	if _, err := restore.Verify(t.Context(), s.Open(d), restore.Options{}); err != nil {
		t.Fatal(err)
	}
	after := s.Blobs.Counts().Reads
	if calls := after.Calls - before.Calls; calls != 5 {
		t.Errorf("%d reads, want one each of the pack, the manifest's pack, two envelopes and the root", calls)
	}
	if n := after.Bytes - before.Bytes; n > 6<<20 {
		t.Errorf("%d bytes were read for 5.3 MiB", n)
	}
}

func random(src *rand.ChaCha8, n int) string {
	b := make([]byte, n)
	src.Read(b)
	return string(b)
}
