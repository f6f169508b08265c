package store_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"strongroom/internal/store"
	"strongroom/internal/store/blob"
	"strongroom/internal/store/blob/mem"
)

// A lingering store takes its time to open objects, but not to stream them.
type lingering struct{ *mem.Store }

func (l lingering) Open(ctx context.Context, name string) (blob.Object, error) {
	time.Sleep(20 * time.Millisecond)
	return l.Store.Open(ctx, name)
}

// TestStreamBesideOtherReading reads a pack as a stream while somebody else
// unseals it for one chunk. It is for the race detector.
func TestStreamBesideOtherReading(t *testing.T) {
	s, d, content := oneFile(t, 300_000, 100_000)
	chunks := s.Chunks(d, "a")
	from := lingering{s.Blobs}
	snapshot, err := store.Open(t.Context(), from, d, s.Identities(from, d))
	if err != nil {
		t.Fatal(err)
	}
	defer snapshot.Close()
	var other sync.WaitGroup
	other.Go(func() {
		if got, err := snapshot.Chunk(t.Context(), nil, chunks[2]); err != nil || string(got) != content[200_000:] {
			t.Errorf("the chunk that was read by itself: %d bytes, %v", len(got), err)
		}
	})
	defer other.Wait()
	for _, passage := range store.Plan(chunks) {
		snapshot.Read(t.Context(), passage, func(l *store.Load) {
			defer l.Release()
			for _, i := range l.Chunks {
				got, err := snapshot.Decode(nil, l.Frame(chunks[i]), chunks[i])
				if err != nil || string(got) != content[i*100_000:][:100_000] {
					t.Errorf("chunk %d of the stream: %d bytes, %v", i, len(got), err)
				}
			}
		})
	}
}
