package store

import (
	"context"
	"io"

	"strongroom/internal/store/manifest"
)

// content returns a reader of the chunks that next returns, up to io.EOF.
func (s *Snapshot) content(ctx context.Context, next func() (manifest.Chunk, error)) io.Reader {
	return &contentReader{ctx: ctx, s: s, next: next}
}

// A contentReader is for one goroutine. It keeps the context that its maker
// gave, because io.Reader has no place for one.
type contentReader struct {
	ctx  context.Context
	s    *Snapshot
	next func() (manifest.Chunk, error)
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
			return 0, r.err
		}
	}
	n := copy(p, r.left)
	r.left = r.left[n:]
	return n, nil
}

func (r *contentReader) fill() error {
	c, err := r.next()
	if err != nil {
		return err
	}
	r.buf, err = r.s.packs.chunk(r.ctx, r.buf[:0], c)
	r.left = r.buf
	return err
}

// inRow returns a function that returns one chunk after the other.
func inRow(chunks []manifest.Chunk) func() (manifest.Chunk, error) {
	return func() (c manifest.Chunk, err error) {
		if len(chunks) == 0 {
			return c, io.EOF
		}
		c, chunks = chunks[0], chunks[1:]
		return c, nil
	}
}
