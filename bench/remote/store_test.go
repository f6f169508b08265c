package remote

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"strongroom/internal/safe"
	"strongroom/internal/store"
	"strongroom/internal/store/blob"
	"strongroom/internal/store/restore"
	"strongroom/internal/store/storetest"
)

// fill stores a great file of which nothing can be compressed, and 3,000 files
// that can be, half; then changes a hundredth of the files on each of some
// nights.
func fill(b *testing.B, nights int) (*storetest.Store, safe.Snapshot) {
	s := storetest.New(b)
	src := rand.NewChaCha8([32]byte{1})
	r := rand.New(rand.NewPCG(1, 2))
	random := func(n int) string {
		p := make([]byte, n)
		src.Read(p)
		return string(p)
	}
	text := func(i int) string {
		half := 1 + r.IntN(40<<10)
		line := fmt.Sprint("line ", i)
		return random(half) + strings.Repeat(line, half/len(line)+1)
	}
	entries := []storetest.Entry{storetest.File("great", random(160<<20))}
	for i := range 3000 {
		entries = append(entries, storetest.File(fmt.Sprintf("files/%02d/%04d", i/100, i), text(i)))
	}
	d := s.Snapshot(entries...)
	for night := range nights {
		stored(b, s, d, entries)
		for i := range entries[1:] {
			if r.IntN(100) == 0 {
				entries[1+i].Content, entries[1+i].Chunks = text(night), nil
			}
		}
		d = s.Snapshot(entries...)
	}
	return s, d
}

// stored makes the entries refer to what a snapshot of them has stored.
func stored(b *testing.B, s *storetest.Store, d safe.Snapshot, entries []storetest.Entry) {
	at := make(map[string]int)
	for i, e := range entries {
		at[e.Path] = i
	}
	m, _, err := s.Open(d).Manifest(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	for {
		e, err := m.Next()
		if err == io.EOF {
			return
		}
		if err != nil {
			b.Fatal(err)
		}
		if i, ok := at[e.Path]; ok {
			entries[i].Content, entries[i].Chunks = "", nil
			for c, err := range m.Chunks() {
				if err != nil {
					b.Fatal(err)
				}
				entries[i].Chunks = append(entries[i].Chunks, c)
			}
		}
	}
}

// copyStore copies what is in a store.
func copyStore(b *testing.B, s *storetest.Store, to blob.Writer) {
	for info, err := range s.Blobs.List(b.Context(), "") {
		if err != nil {
			b.Fatal(err)
		}
		data, err := blob.ReadAll(b.Context(), s.Blobs, info.Name, info.Size)
		if err != nil {
			b.Fatal(err)
		}
		if err := blob.Put(b.Context(), to, info.Name, data); err != nil {
			b.Fatal(err)
		}
	}
}

// open opens a snapshot, for do.
func open(b *testing.B, r blob.Reader, s *storetest.Store, d safe.Snapshot, do func(*store.Snapshot)) {
	snapshot, err := store.Open(b.Context(), r, d, s.Identities(r, d))
	if err != nil {
		b.Fatal(err)
	}
	defer snapshot.Close()
	do(snapshot)
}

// restoreAll restores a snapshot into a folder.
func restoreAll(b *testing.B, snapshot *store.Snapshot, to string) {
	root, err := os.OpenRoot(to)
	if err != nil {
		b.Fatal(err)
	}
	defer root.Close()
	report, err := restore.Run(b.Context(), snapshot, root, restore.Options{Owner: restore.NoOwner})
	if err != nil || report.LossCount > 0 {
		b.Fatal(err, report.Losses)
	}
}
