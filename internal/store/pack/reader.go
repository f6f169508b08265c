package pack

import (
	"errors"
	"fmt"
	"io"
	"sync"
)

// A CorruptError says that a pack does not hold what it should. Reading it
// again does not help; a repaired or another copy of it may.
type CorruptError struct {
	Part string // of the pack
	Err  error
}

func (e *CorruptError) Error() string { return fmt.Sprintf("pack is damaged: %s: %v", e.Part, e.Err) }
func (e *CorruptError) Unwrap() error { return e.Err }

// A Reader reads one pack. It may be used concurrently.
type Reader struct {
	plain io.ReaderAt
	size  int64
}

// Open opens the pack whose ciphertext is src. What unseal returns is the
// plaintext and its size, as from age.DecryptReaderAt; errors of it, then and
// when it is read, are passed on wrapped. Of the pack itself nothing is read
// yet.
func Open(src io.ReaderAt, size int64, unseal func(io.ReaderAt, int64) (io.ReaderAt, int64, error)) (*Reader, error) {
	plain, plainSize, err := unseal(src, size)
	if err != nil {
		return nil, fmt.Errorf("unsealing a pack: %w", err)
	}
	return &Reader{plain: plain, size: plainSize}, nil
}

// frames are buffers for frames as they are read.
var frames = sync.Pool{New: func() any { return new([]byte) }}

// Chunk appends to dst the chunk that want describes, once it has been
// verified. It reads the frame and nothing else. If want itself is impossible
// or the pack does not have such a chunk there, the error is a *CorruptError.
func (r *Reader) Chunk(dst []byte, want Ref) ([]byte, error) {
	part := fmt.Sprintf("frame at offset %d", want.Offset)
	if err := want.check(); err != nil {
		return nil, &CorruptError{part, err}
	}
	if want.Offset > r.size-int64(want.Stored) {
		return nil, &CorruptError{part, fmt.Errorf("%d bytes are beyond the end at %d", want.Stored, r.size)}
	}
	buf := frames.Get().(*[]byte)
	defer frames.Put(buf)
	if cap(*buf) < int(want.Stored) {
		*buf = make([]byte, want.Stored)
	}
	frame := (*buf)[:want.Stored]
	if err := r.readAt(frame, want.Offset); err != nil {
		return nil, fmt.Errorf("reading a pack: %s: %w", part, err)
	}
	return Decode(dst, frame, want)
}

// Frames fills b with what is at an offset of the plaintext, where there should
// be frames, for Decode. Whoever needs many that lie side by side reads them so
// at once: no piece of the seal is then opened twice.
func (r *Reader) Frames(b []byte, off int64) error {
	if err := r.readAt(b, off); err != nil {
		return fmt.Errorf("reading a pack: %d bytes at offset %d: %w", len(b), off, err)
	}
	return nil
}

// Table reads the table and checks that it, the frames it names and the
// padding fill the pack exactly. A violation is a *CorruptError.
func (r *Reader) Table() ([]Ref, error) {
	corrupt := func(err error) ([]Ref, error) { return nil, &CorruptError{"table", err} }
	if r.size < skippableHeader+tableSize(0) {
		return corrupt(fmt.Errorf("a pack of %d bytes has no room for one", r.size))
	}
	trailer := make([]byte, trailerSize)
	if err := r.readAt(trailer, r.size-trailerSize); err != nil {
		return nil, fmt.Errorf("reading the end of a pack: %w", err)
	}
	n, err := parseTrailer(trailer)
	if err != nil {
		return corrupt(err)
	}
	start := r.size - tableSize(n)
	if start < skippableHeader {
		return corrupt(fmt.Errorf("%d chunks in a pack of %d bytes", n, r.size))
	}
	table := make([]byte, tableSize(n))
	if err := r.readAt(table, start); err != nil {
		return nil, fmt.Errorf("reading the table of a pack: %w", err)
	}
	refs, end, err := parseTable(table)
	if err != nil {
		return corrupt(err)
	}
	if want := padme(end + skippableHeader + tableSize(n)); want != r.size {
		return corrupt(fmt.Errorf("the pack has %d bytes, want %d", r.size, want))
	}
	padding := make([]byte, skippableHeader)
	if err := r.readAt(padding, end); err != nil {
		return nil, fmt.Errorf("reading the padding of a pack: %w", err)
	}
	if err := checkSkippable(padding, paddingMagic, start-end-skippableHeader); err != nil {
		return nil, &CorruptError{"padding", err}
	}
	return refs, nil
}

// readAt fills b. That the plaintext has so many bytes is known, so an end
// before that is unexpected.
func (r *Reader) readAt(b []byte, off int64) error {
	n, err := r.plain.ReadAt(b, off)
	if n == len(b) {
		return nil
	}
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
