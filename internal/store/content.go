package store

import (
	"context"
	"io"
	"iter"

	"strongroom/internal/store/manifest"
)

// content returns a reader of chunks in a row.
func (s *Snapshot) content(ctx context.Context, chunks iter.Seq2[manifest.Chunk, error]) io.Reader {
	next, stop := iter.Pull2(chunks)
	return &contentReader{ctx: ctx, s: s, next: next, stop: stop}
}

// A contentReader is for one goroutine. It keeps the context that its maker
// gave, because io.Reader has no place for one.
type contentReader struct {
	ctx  context.Context
	s    *Snapshot
	next func() (manifest.Chunk, error, bool)
	stop func()
	buf  []byte
	left []byte
	err  error
}

func (r *contentReader) Read(p []byte) (int, error) {
	for len(r.left) == 0 {
		if r.err == nil {
			r.err = r.fill()
		}
		if r.err != nil {
			r.stop()
			return 0, r.err
		}
	}
	n := copy(p, r.left)
	r.left = r.left[n:]
	return n, nil
}

func (r *contentReader) fill() error {
	c, err, ok := r.next()
	if !ok {
		return io.EOF
	}
	if err != nil {
		return err
	}
	r.buf, err = r.s.packs.chunk(r.ctx, r.buf[:0], c)
	r.left = r.buf
	return err
}

// noErrors makes a sequence of chunks one that could have failed.
func noErrors(chunks iter.Seq[manifest.Chunk]) iter.Seq2[manifest.Chunk, error] {
	return func(yield func(manifest.Chunk, error) bool) {
		for c := range chunks {
			if !yield(c, nil) {
				return
			}
		}
	}
}
