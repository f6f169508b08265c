package pack

import (
	"errors"
	"fmt"
	"io"

	"strongroom/internal/safe"
)

// A Writer streams one pack. Of what it writes it keeps the table only. It is
// not safe for concurrent use, and ends with Close or Abandon. After an error
// the pack is of no use and the Writer refuses further work.
type Writer struct {
	out    *outlet
	plain  io.WriteCloser // seals and writes to out
	refs   []Ref
	frames int64 // bytes of all frames
	err    error // first failure
}

// Sealed describes a finished pack.
type Sealed struct {
	Digest safe.Digest // SHA-256 of the ciphertext
	Size   int64       // of the ciphertext
	Frames int64       // bytes of all frames, before sealing
	Chunks int
}

// NewWriter begins a pack. What seal makes of the plaintext goes to dst, and
// digest and size of it are computed as it passes, both in goroutines of their
// own. Closing what seal returns must write all that is left, as that of
// age.Encrypt does.
func NewWriter(dst io.Writer, seal func(io.Writer) (io.WriteCloser, error)) (*Writer, error) {
	out := newOutlet(dst)
	plain, err := seal(out)
	if err != nil {
		out.close()
		return nil, fmt.Errorf("sealing a pack: %w", err)
	}
	return &Writer{out: out, plain: plain}, nil
}

// Fits tells whether a frame of n bytes can be added without making the pack
// greater than Target or giving it too many chunks. Into an empty pack
// everything fits that a Compressor makes.
func (w *Writer) Fits(n int) bool {
	return len(w.refs) < MaxChunks &&
		padme(w.frames+int64(n)+skippableHeader+tableSize(len(w.refs)+1)) <= maxPlaintext
}

// Add appends the frame that a Compressor made of a chunk of length bytes, and
// returns its offset. That hash and length are those of the chunk is for the
// caller to know; that the frame fits it must have asked Fits.
func (w *Writer) Add(hash safe.Digest, frame []byte, length int) (offset int64, err error) {
	if w.err != nil {
		return 0, w.err
	}
	r := Ref{Hash: hash, Offset: w.frames, Stored: uint32(len(frame)), Length: uint32(length)}
	if int64(r.Length) != int64(length) || int64(r.Stored) != int64(len(frame)) {
		return 0, w.fail(fmt.Errorf("a frame of %d bytes for a chunk of %d bytes", len(frame), length))
	}
	if err := r.check(); err != nil {
		return 0, w.fail(err)
	}
	if !w.Fits(len(frame)) {
		return 0, w.fail(fmt.Errorf("a frame of %d bytes does not fit in any more", len(frame)))
	}
	if err := w.write(frame); err != nil {
		return 0, err
	}
	w.refs = append(w.refs, r)
	w.frames += int64(len(frame))
	return r.Offset, nil
}

// Abandon ends a Writer whose pack is not wanted. After Close, or again, it
// does nothing.
func (w *Writer) Abandon() {
	w.out.close()
	if w.err == nil {
		w.err = errors.New("the pack was abandoned")
	}
}

// Close writes padding and table and ends the sealing; dst is left open.
func (w *Writer) Close() (Sealed, error) {
	defer w.out.close()
	if w.err != nil {
		return Sealed{}, w.err
	}
	table := tableSize(len(w.refs))
	padding := padme(w.frames+skippableHeader+table) - w.frames - skippableHeader - table
	if err := w.write(appendSkippable(nil, paddingMagic, padding)); err != nil {
		return Sealed{}, err
	}
	zeros := make([]byte, min(padding, 64<<10))
	for padding > 0 {
		n := min(padding, int64(len(zeros)))
		if err := w.write(zeros[:n]); err != nil {
			return Sealed{}, err
		}
		padding -= n
	}
	if err := w.write(appendTable(make([]byte, 0, table), w.refs)); err != nil {
		return Sealed{}, err
	}
	if err := w.plain.Close(); err != nil {
		return Sealed{}, w.fail(err)
	}
	digest, size, err := w.out.finish()
	if err != nil {
		return Sealed{}, w.fail(err)
	}
	w.err = errors.New("the pack is closed")
	return Sealed{
		Digest: digest,
		Size:   size,
		Frames: w.frames,
		Chunks: len(w.refs),
	}, nil
}

func (w *Writer) write(b []byte) error {
	if _, err := w.plain.Write(b); err != nil {
		return w.fail(err)
	}
	return nil
}

func (w *Writer) fail(err error) error {
	w.err = fmt.Errorf("writing a pack: %w", err)
	return w.err
}
