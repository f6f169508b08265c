package remote

import (
	"fmt"
	"io"
	"testing"
	"time"

	"strongroom/internal/safe"
	"strongroom/internal/store"
	"strongroom/internal/store/blob"
	"strongroom/internal/store/blob/mem"
	"strongroom/internal/store/layout"
)

// The bucket's.
const (
	latency = 30 * time.Millisecond
	rate    = 100 << 20 // bytes a second of each request
)

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

// BenchmarkBucket reads a snapshot from where every request takes long, as from
// a bucket: from objects in memory, each request after a latency, each at its
// own rate. It is compared with a reader that opens the seal of a pack on the
// bare source, which asks for every 64 KiB by itself. What a real bucket adds,
// such as retries, and connections that are made first, it does not show.
//
// It prints a line of a table for each thing that is read.
func BenchmarkBucket(b *testing.B) {
	fmt.Printf("| store | work | reader | requests | reads of a pack | MB read | seconds |\n|---|---|---|---:|---:|---:|---:|\n")
	for _, nights := range []int{0, 50} {
		s, d := fill(b, nights)
		there := mem.New(mem.Options{Rate: rate})
		copyStore(b, s, there)
		there.SetLatency(latency)
		for _, work := range []struct {
			name string
			do   func(*testing.B, *store.Snapshot)
		}{
			{"restore", func(b *testing.B, s *store.Snapshot) { restoreAll(b, s, b.TempDir()) }},
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
							open(b, r, s, d, func(s *store.Snapshot) { work.do(b, s) })
						})
					}
				})
			}
		}
		b.Run(fmt.Sprintf("nights=%d/restore/bare", nights), func(b *testing.B) {
			for b.Loop() {
				row(b, there, d, fmt.Sprintf("after %d nights | restore | chunk by chunk", nights), func() {
					open(b, bare{there}, s, d, func(s *store.Snapshot) { bareAll(b, s) })
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
