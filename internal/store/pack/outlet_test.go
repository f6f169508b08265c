package pack

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/synctest"

	"strongroom/internal/safe"
)

// lateWriter is written to no more once it is closed.
type lateWriter struct {
	t      *testing.T
	closed bool
	bytes.Buffer
}

func (w *lateWriter) Write(p []byte) (int, error) {
	if w.closed {
		w.t.Error("a write comes after the Writer has ended")
	}
	return w.Buffer.Write(p)
}

// closeFails is a seal that fails at the end.
type closeFails struct{ io.Writer }

func (closeFails) Close() error { return errFull }

// However a Writer ends, its goroutines have ended then, and nobody writes to
// what the caller is about to let go of.
func TestWriterEnds(t *testing.T) {
	frame := NewCompressor(Fastest).Append(nil, random(1, 1<<20))
	seal := func(make func(io.Writer) io.WriteCloser) func(io.Writer) (io.WriteCloser, error) {
		return func(w io.Writer) (io.WriteCloser, error) { return make(w), nil }
	}
	plain := seal(func(w io.Writer) io.WriteCloser { return nopCloser{w} })
	tests := []struct {
		name string
		seal func(io.Writer) (io.WriteCloser, error)
		end  func(t *testing.T, w *Writer)
	}{
		{"closed", plain, func(t *testing.T, w *Writer) {
			if _, err := w.Close(); err != nil {
				t.Error(err)
			}
			w.Abandon()
			if _, err := w.Close(); err == nil {
				t.Error("it could be closed twice")
			}
		}},
		{"abandoned", plain, func(t *testing.T, w *Writer) {
			w.Abandon()
			w.Abandon()
			if _, err := w.Add(safe.Digest{}, frame, 1<<20); err == nil {
				t.Error("what was abandoned takes more")
			}
		}},
		{"sealing fails at the end", seal(func(w io.Writer) io.WriteCloser { return closeFails{w} }), func(t *testing.T, w *Writer) {
			if _, err := w.Close(); !errors.Is(err, errFull) {
				t.Errorf("Close: %v", err)
			}
			w.Abandon()
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			// A goroutine that does not end fails the bubble.
			synctest.Test(t, func(t *testing.T) {
				dst := &lateWriter{t: t}
				w, err := NewWriter(dst, tt.seal)
				if err != nil {
					t.Fatal(err)
				}
				for range 3 {
					if _, err := w.Add(safe.Digest{}, frame, 1<<20); err != nil {
						t.Fatal(err)
					}
				}
				tt.end(t, w)
				dst.closed = true
				synctest.Wait()
			})
		})
	}
	t.Run("sealing does not begin", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			if _, err := NewWriter(&lateWriter{t: t, closed: true}, func(io.Writer) (io.WriteCloser, error) { return nil, errFull }); !errors.Is(err, errFull) {
				t.Errorf("NewWriter: %v", err)
			}
		})
	})
}
