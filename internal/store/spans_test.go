package store_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"strongroom/internal/safe"
	"strongroom/internal/store"
	"strongroom/internal/store/blob"
	"strongroom/internal/store/layout"
	"strongroom/internal/store/manifest"
	"strongroom/internal/store/storetest"
)

// TestPlan plans random chunks: each is in one span, spans are of one pack and
// in order, and none is too long or could have been joined with the next.
func TestPlan(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	packs := []safe.Digest{{1}, {2}, {3}}
	runs := []safe.RunID{safe.NewRunID(storetest.Begun), safe.NewRunID(storetest.Begun)}
	for range 300 {
		chunks := make([]manifest.Chunk, r.IntN(60))
		for i := range chunks {
			chunks[i] = manifest.Chunk{
				Run: runs[r.IntN(2)], Pack: packs[r.IntN(3)],
				Offset: r.Int64N(32 << 20), Stored: 1 + uint32(r.IntN(1<<(1+r.IntN(22)))),
			}
			switch r.IntN(40) {
			case 0:
				chunks[i].Offset = -1
			case 1:
				chunks[i].Offset = 1<<63 - 1
			case 2:
				chunks[i].Stored = 1<<32 - 1
			}
		}
		seen := make([]int, len(chunks))
		var last manifest.Chunk // of the span before
		var lastSize int64
		for n, span := range store.Spans(chunks) {
			if span.Size() > store.MaxSpan {
				t.Fatalf("seed %d: a span of %d bytes", seed, span.Size())
			}
			var end int64
			for k, i := range span.Chunks {
				c := chunks[i]
				seen[i]++
				if c.Pack != span.Pack || c.Run != span.Run {
					t.Fatalf("seed %d: a chunk of another pack is in a span", seed)
				}
				if k > 0 && (c.Offset < chunks[span.Chunks[k-1]].Offset || c.Offset > end+1<<20) {
					t.Fatalf("seed %d: a chunk at %d after one that ends at %d", seed, c.Offset, end)
				}
				end = max(end, c.Offset+int64(c.Stored))
			}
			first := chunks[span.Chunks[0]]
			if n > 0 && last.Pack == first.Pack && last.Run == first.Run && lastSize > 1<<20 && lastSize+span.Size() < store.MaxSpan/2 &&
				0 <= first.Offset-last.Offset && first.Offset-last.Offset < 1<<20 {
				t.Fatalf("seed %d: spans at %d and %d are two", seed, last.Offset, first.Offset)
			}
			last, lastSize = chunks[span.Chunks[len(span.Chunks)-1]], span.Size()
		}
		for i, n := range seen {
			if n != 1 {
				t.Fatalf("seed %d: chunk %d is in %d spans", seed, i, n)
			}
		}
	}
}

// random returns n bytes that cannot be compressed.
func random(n int) string {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(n)}).Read(b)
	return string(b)
}

// oneFile makes a snapshot of a file cut into chunks of a size.
func oneFile(t *testing.T, size, chunk int) (*storetest.Store, safe.Snapshot, string) {
	s := storetest.New(t)
	content := random(size)
	return s, s.Snapshot(storetest.File("a", content).Cut(chunk)), content
}

// TestContentIsFetchedAhead reads a file whose chunks are many: that takes few
// reads, and none is for what was read before.
func TestContentIsFetchedAhead(t *testing.T) {
	s, d, content := oneFile(t, 16<<20, 100_000)
	snapshot := s.Open(d)
	m, _, err := snapshot.Manifest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Next(); err != nil {
		t.Fatal(err)
	}
	before := s.Blobs.Counts().Reads
	got, err := io.ReadAll(snapshot.Content(t.Context(), m))
	if err != nil || string(got) != content {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
	after := s.Blobs.Counts().Reads
	if calls := after.Calls - before.Calls; calls > 14 {
		t.Errorf("%d reads for 16 MiB, want no more than one for each window", calls)
	}
	if n := after.Bytes - before.Bytes; n > 18<<20 {
		t.Errorf("%d bytes were read for 16 MiB", n)
	}
}

func TestFetchedIsNotReadAgain(t *testing.T) {
	s, d, content := oneFile(t, 3<<20, 1<<20)
	chunks := s.Chunks(d, "a")
	snapshot := s.Open(d)
	pack := layout.Pack(chunks[0].Run, chunks[0].Pack)
	var got []byte
	for _, span := range store.Spans(chunks) {
		release := snapshot.Fetch(t.Context(), span)
		before := s.Blobs.Reads(pack)
		for _, i := range span.Chunks {
			var err error
			if got, err = snapshot.Chunk(t.Context(), got, chunks[i]); err != nil {
				t.Fatal(err)
			}
		}
		if after := s.Blobs.Reads(pack); after != before {
			t.Errorf("what was fetched took %d more reads", after.Calls-before.Calls)
		}
		release()
		release() // does no harm
		if _, err := snapshot.Chunk(t.Context(), nil, chunks[0]); err != nil || s.Blobs.Reads(pack) == before {
			t.Errorf("after release: %v, and %d more reads", err, s.Blobs.Reads(pack).Calls-before.Calls)
		}
	}
	if string(got) != content {
		t.Error("other content than was stored")
	}
}

// A short reader fails every read of more than most bytes.
type shortReader struct {
	blob.Reader
	most int
}

type shortObject struct {
	blob.Object
	most int
}

func (r shortReader) Open(ctx context.Context, name string) (blob.Object, error) {
	o, err := r.Reader.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	return shortObject{o, r.most}, nil
}

func (o shortObject) ReadAt(p []byte, off int64) (int, error) {
	if len(p) > o.most {
		return 0, errors.New("there is a bad sector somewhere")
	}
	return o.Object.ReadAt(p, off)
}

// TestWhatCannotBeFetchedIsReadPieceByPiece shows that fetching ahead loses
// nothing that could be read without it.
func TestWhatCannotBeFetchedIsReadPieceByPiece(t *testing.T) {
	s, d, content := oneFile(t, 3<<20, 1<<20)
	for _, most := range []int{64<<10 + 16, 2 << 20} {
		got, err := readAll(t.Context(), shortReader{s.Blobs, most}, d, s.Identities(s.Blobs, d))
		if err != nil || got["a"] != content {
			t.Errorf("reads of %d bytes at most: got %d bytes, %v", most, len(got["a"]), err)
		}
	}
}

// TestFetchedIsBounded fetches and releases nothing.
func TestFetchedIsBounded(t *testing.T) {
	s, d, content := oneFile(t, 60<<20, 4<<20)
	chunks := s.Chunks(d, "a")
	snapshot := s.Open(d)
	for _, span := range store.Spans(chunks) {
		snapshot.Fetch(t.Context(), span)
	}
	before := s.Blobs.Counts().Reads.Bytes
	var got bytes.Buffer
	for _, c := range chunks {
		b, err := snapshot.Chunk(t.Context(), nil, c)
		if err != nil {
			t.Fatal(err)
		}
		got.Write(b)
	}
	if got.String() != content {
		t.Error("other content than was stored")
	}
	if again := s.Blobs.Counts().Reads.Bytes - before; again < 28<<20 {
		t.Errorf("of 60 MiB only %d bytes were read again: so more than 32 MiB were kept", again)
	}
}

// TestGoneIsNoDamage loses the store as a whole.
func TestGoneIsNoDamage(t *testing.T) {
	s, d, _ := oneFile(t, 1<<20, 1<<20)
	chunks := s.Chunks(d, "a")
	r := &vanishing{Reader: s.Blobs}
	snapshot, err := store.Open(t.Context(), r, d, s.Identities(s.Blobs, d))
	if err != nil {
		t.Fatal(err)
	}
	defer snapshot.Close()
	r.gone = true
	_, err = snapshot.Chunk(t.Context(), nil, chunks[0])
	var corrupt *store.CorruptError
	if !errors.Is(err, blob.ErrGone) || errors.As(err, &corrupt) {
		t.Errorf("a store that is gone: %v", err)
	}
}

type vanishing struct {
	blob.Reader
	gone bool
}

type vanishingObject struct {
	blob.Object
	in *vanishing
}

func (r *vanishing) Open(ctx context.Context, name string) (blob.Object, error) {
	o, err := r.Reader.Open(ctx, name)
	return vanishingObject{o, r}, err
}

func (o vanishingObject) ReadAt(p []byte, off int64) (int, error) {
	if o.in.gone {
		return 0, blob.ErrGone
	}
	return o.Object.ReadAt(p, off)
}
