// Package s3shape measures how a snapshot is read from where every request
// takes long, as from a bucket: from objects in memory, each request after a
// latency, each at its own rate. It is compared with a reader that opens the
// seal of a pack on the bare source, which asks for every 64 KiB by itself. It
// is run by hand, and fails nobody's test for being slow:
//
//	go test -run '^$' -bench . -benchtime 1x ./bench/s3shape
//
// What a real bucket adds, such as retries, and connections that are made
// first, it does not show.
package s3shape

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"strongroom/internal/safe"
	"strongroom/internal/store"
	"strongroom/internal/store/blob"
	"strongroom/internal/store/blob/mem"
	"strongroom/internal/store/layout"
	"strongroom/internal/store/restore"
	"strongroom/internal/store/storetest"
)

const (
	latency = 30 * time.Millisecond
	rate    = 100 << 20 // bytes a second of each request
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

// far copies a store to where every request takes long.
func far(b *testing.B, s *storetest.Store) *mem.Store {
	there := mem.New(mem.Options{Rate: rate})
	for info, err := range s.Blobs.List(b.Context(), "") {
		if err != nil {
			b.Fatal(err)
		}
		data, err := blob.ReadAll(b.Context(), s.Blobs, info.Name, info.Size)
		if err != nil {
			b.Fatal(err)
		}
		if err := blob.Put(b.Context(), there, info.Name, data); err != nil {
			b.Fatal(err)
		}
	}
	there.SetLatency(latency)
	return there
}

// A bare reader is no blob.Streamer.
type bare struct{ blob.Reader }

// list reads the manifest from one end to the other.
func list(b *testing.B, snapshot *store.Snapshot) {
	m, _, err := snapshot.Manifest(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	for {
		if _, err := m.Next(); err == io.EOF {
			return
		} else if err != nil {
			b.Fatal(err)
		}
	}
}

// oneFile reads the file of a path.
func oneFile(b *testing.B, snapshot *store.Snapshot, path string) {
	m, _, err := snapshot.Manifest(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	for {
		e, err := m.Next()
		if err != nil {
			b.Fatal(err)
		}
		if e.Path == path {
			if n, err := io.Copy(io.Discard, snapshot.Content(b.Context(), m)); err != nil || n != e.Size {
				b.Fatal(n, err)
			}
			return
		}
	}
}

func restoreAll(b *testing.B, snapshot *store.Snapshot) {
	folder, err := os.MkdirTemp(b.TempDir(), "")
	if err != nil {
		b.Fatal(err)
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		b.Fatal(err)
	}
	defer root.Close()
	report, err := restore.Run(b.Context(), snapshot, root, restore.Options{Owner: restore.NoOwner})
	if err != nil || report.LossCount > 0 {
		b.Fatal(err, report.Losses)
	}
}

// bareAll reads every chunk of the snapshot by itself, in the order of the
// manifest, and writes nothing.
func bareAll(b *testing.B, snapshot *store.Snapshot) {
	m, _, err := snapshot.Manifest(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	var buf []byte
	for {
		if _, err := m.Next(); err == io.EOF {
			return
		} else if err != nil {
			b.Fatal(err)
		}
		for c, err := range m.Chunks() {
			if err != nil {
				b.Fatal(err)
			}
			if buf, err = snapshot.Chunk(b.Context(), buf[:0], c); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkBucket prints a line of a table for each thing that is read.
func BenchmarkBucket(b *testing.B) {
	fmt.Printf("| store | work | reader | requests | reads of a pack | MB read | seconds |\n|---|---|---|---:|---:|---:|---:|\n")
	for _, nights := range []int{0, 50} {
		s, d := fill(b, nights)
		there := far(b, s)
		for _, work := range []struct {
			name string
			do   func(*testing.B, *store.Snapshot)
		}{
			{"restore", restoreAll},
			{"one file", func(b *testing.B, s *store.Snapshot) { oneFile(b, s, "files/20/2042") }},
			{"list", list},
		} {
			for _, reader := range []string{"streams", "spans"} {
				b.Run(fmt.Sprintf("nights=%d/%s/%s", nights, work.name, reader), func(b *testing.B) {
					r := blob.Reader(there)
					if reader == "spans" {
						r = bare{there}
					}
					for b.Loop() {
						row(b, there, d, fmt.Sprintf("after %d nights | %s | %s", nights, work.name, reader), func() {
							snapshot, err := store.Open(b.Context(), r, d, s.Identities(r, d))
							if err != nil {
								b.Fatal(err)
							}
							work.do(b, snapshot)
							snapshot.Close()
						})
					}
				})
			}
		}
		b.Run(fmt.Sprintf("nights=%d/restore/bare", nights), func(b *testing.B) {
			for b.Loop() {
				row(b, there, d, fmt.Sprintf("after %d nights | restore | chunk by chunk", nights), func() {
					r := bare{there}
					snapshot, err := store.Open(b.Context(), r, d, s.Identities(r, d))
					if err != nil {
						b.Fatal(err)
					}
					bareAll(b, snapshot)
					snapshot.Close()
				})
			}
		})
	}
}

// row does some work and prints what it took.
func row(b *testing.B, there *mem.Store, d safe.Snapshot, name string, work func()) {
	type pack struct {
		run    safe.RunID
		digest safe.Digest
	}
	before, reads := there.Counts(), make(map[pack]int64)
	for run, of := range d.Runs {
		for _, digest := range of.Packs {
			reads[pack{run, digest}] = there.Reads(layout.Pack(run, digest)).Calls
		}
	}
	began := time.Now()
	work()
	took := time.Since(began)
	after := there.Counts()
	var calls, touched float64
	for p, n := range reads {
		if more := there.Reads(layout.Pack(p.run, p.digest)).Calls - n; more > 0 {
			calls += float64(more)
			touched++
		}
	}
	requests := after.Opens + after.Stats + after.Lists + after.Reads.Calls - before.Opens - before.Stats - before.Lists - before.Reads.Calls
	fmt.Printf("| %s | %d | %.2f | %.1f | %.2f |\n", name, requests, calls/touched,
		float64(after.Reads.Bytes-before.Reads.Bytes)/1e6, took.Seconds())
}
