package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"

	"strongroom/internal/safe"
	"strongroom/internal/spelling"
)

// A Reader reads a manifest, or the lines of one, in constant memory. The
// first error ends it. It is not safe for concurrent use.
type Reader struct {
	lines lines
	whole bool // with header and totals

	entry   Entry   // the current one; Chunks are those of the last line read
	room    []Chunk // reused from line to line
	yielded int     // how many of entry.Chunks were handed out
	more    bool    // whether lines of the current entry follow
	left    int64   // bytes of the current entry's size not yet covered by chunks
	lately  lately
	checks  Sequence
	totals  Totals
	err     error
}

// NewReader returns a Reader of a whole manifest. It reads the header.
func NewReader(src io.Reader) (*Reader, Header, error) {
	r := &Reader{lines: newLines(src), whole: true}
	line, err := r.lines.next()
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, Header{}, fmt.Errorf("reading a manifest's header: %w", err)
	}
	h, err := parseHeader(line)
	if err != nil {
		return nil, Header{}, fmt.Errorf("reading a manifest's header: %w", err)
	}
	return r, h, nil
}

// NewLines returns a Reader of the lines of entries alone, without header and
// totals, as a source's memory holds them. It ends with io.EOF where src does.
func NewLines(src io.Reader) *Reader {
	return &Reader{lines: newLines(src)}
}

func parseHeader(line []byte) (Header, error) {
	var h Header
	if err := spelling.Decode(line, &h); err != nil {
		return Header{}, err
	}
	if h.Version != version {
		return Header{}, fmt.Errorf("it has version %d, this program knows version %d", h.Version, version)
	}
	if again := AppendHeader(nil, h); !bytes.Equal(again[:len(again)-1], line) {
		return Header{}, errors.New("it is not in its canonical spelling")
	}
	return h, nil
}

// Next returns the next entry without its chunks, which Chunks yields. After
// the last one it returns io.EOF; any other error means that the manifest must
// not be used any further.
func (r *Reader) Next() (safe.Entry, error) {
	if r.err == nil {
		r.err = r.next()
	}
	if r.err != nil {
		return safe.Entry{}, r.err
	}
	return r.entry.Entry, nil
}

func (r *Reader) next() error {
	if err := r.skipChunks(); err != nil {
		return err
	}
	line, err := r.lines.next()
	switch {
	case err == io.EOF && r.whole:
		return fmt.Errorf("the manifest ends without its line of totals: %w", io.ErrUnexpectedEOF)
	case err != nil:
		return err
	case r.whole && bytes.HasPrefix(line, []byte(`{"entries":`)):
		return r.finish(line)
	}
	s := &scanner{line: line, rest: line, last: &r.lately}
	e, more := s.entry(r.room[:0])
	if s.err == nil {
		s.err = r.checks.Check(e.Entry)
	}
	if s.err == nil && len(e.Chunks) > 0 && !hasContent(e.Type) {
		s.err = fmt.Errorf("a %s has content", e.Type)
	}
	if s.err != nil {
		return fmt.Errorf("line %d of the manifest: %w", r.lines.n, s.err)
	}
	r.room = roomier(r.room, e.Chunks)
	r.entry, r.more, r.left, r.yielded = e, more, contentSize(e.Entry), 0
	r.totals.Entries++
	r.totals.Bytes += r.left
	return r.cover()
}

// finish checks the last line against what was read.
func (r *Reader) finish(line []byte) error {
	s := &scanner{line: line, rest: line, last: &r.lately}
	var t Totals
	s.want(`{"entries":`)
	t.Entries = int64(s.number(1<<63 - 1))
	s.want(`,"bytes":`)
	t.Bytes = int64(s.number(1<<63 - 1))
	s.end()
	if s.err == nil && t != r.totals {
		s.err = fmt.Errorf("the totals say %d entries with %d bytes, and there were %d with %d",
			t.Entries, t.Bytes, r.totals.Entries, r.totals.Bytes)
	}
	if s.err == nil {
		if _, err := r.lines.src.ReadByte(); err == nil {
			s.err = errors.New("something follows the totals")
		} else if err != io.EOF {
			s.err = err
		}
	}
	if s.err != nil {
		return fmt.Errorf("line %d of the manifest: %w", r.lines.n, s.err)
	}
	return io.EOF
}

// contentSize is how many bytes the chunks of an entry have to add up to.
func contentSize(e safe.Entry) int64 {
	if hasContent(e.Type) {
		return e.Size
	}
	return 0
}

// NextChunk returns the next chunk of the entry that Next returned last, and
// io.EOF after the last one.
func (r *Reader) NextChunk() (Chunk, error) {
	for r.err == nil && r.yielded == len(r.entry.Chunks) {
		if !r.more {
			return Chunk{}, io.EOF
		}
		r.err = r.goOn()
	}
	if r.err != nil {
		return Chunk{}, r.err
	}
	r.yielded++
	return r.entry.Chunks[r.yielded-1], nil
}

// Chunks yields the chunks of the entry that Next returned last, as NextChunk
// returns them. An error is the last thing that it yields.
func (r *Reader) Chunks() iter.Seq2[Chunk, error] {
	return func(yield func(Chunk, error) bool) {
		for {
			c, err := r.NextChunk()
			if err == io.EOF || !yield(c, err) || err != nil {
				return
			}
		}
	}
}

// skipChunks reads over the lines of the current entry that nobody asked for.
func (r *Reader) skipChunks() error {
	for r.more {
		if err := r.goOn(); err != nil {
			return err
		}
	}
	return nil
}

// goOn reads a line that continues the current entry.
func (r *Reader) goOn() error {
	line, err := r.lines.next()
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return err
	}
	s := &scanner{line: line, rest: line, last: &r.lately}
	s.want(`{`)
	r.entry.Chunks, r.more = s.chunks(r.room[:0])
	s.end()
	if s.err != nil {
		return fmt.Errorf("line %d of the manifest: %w", r.lines.n, s.err)
	}
	r.room = roomier(r.room, r.entry.Chunks)
	r.yielded = 0
	return r.cover()
}

// cover takes the chunks of the line just read off what is left of the
// entry's size.
func (r *Reader) cover() error {
	for _, c := range r.entry.Chunks {
		r.left -= int64(c.Length)
	}
	if r.left < 0 || !r.more && r.left != 0 {
		return fmt.Errorf("line %d of the manifest: the chunks of %.80q do not add up to its size, they differ by %d bytes",
			r.lines.n, r.entry.Path, -r.left)
	}
	return nil
}
