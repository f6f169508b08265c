package manifest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"strongroom/internal/safe"
)

// A Reader reads a manifest, or the lines of one, in constant memory. The
// first error ends it. It is not safe for concurrent use.
type Reader struct {
	src   *bufio.Reader
	whole bool // with header and totals

	line    int64
	entry   Entry   // the current one; Chunks are those of the last line read
	chunks  []Chunk // reused
	started bool    // whether the chunks of the current entry were asked for
	more    bool    // whether lines of the current entry follow
	left    int64   // bytes of the current entry's size not yet covered by chunks
	folders []string
	totals  Totals
	err     error
}

// NewReader returns a Reader of a whole manifest. It reads the header.
func NewReader(src io.Reader) (*Reader, Header, error) {
	r := &Reader{src: bufio.NewReaderSize(src, 64<<10), whole: true}
	line, err := r.readLine()
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
	return &Reader{src: bufio.NewReaderSize(src, 64<<10)}
}

func parseHeader(line []byte) (Header, error) {
	var h Header
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&h); err != nil {
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
	line, err := r.readLine()
	switch {
	case err == io.EOF && r.whole:
		return fmt.Errorf("the manifest ends without its line of totals: %w", io.ErrUnexpectedEOF)
	case err != nil:
		return err
	case r.whole && bytes.HasPrefix(line, []byte(`{"entries":`)):
		return r.finish(line)
	}
	s := &scanner{line: line, rest: line}
	e, more := s.entry(r.chunks[:0])
	if s.err == nil {
		s.err = r.check(e)
	}
	if s.err != nil {
		return fmt.Errorf("line %d of the manifest: %w", r.line, s.err)
	}
	r.keep(e.Chunks)
	r.entry, r.more, r.left, r.started = e, more, contentSize(e.Entry), false
	r.totals.Entries++
	r.totals.Bytes += r.left
	return r.cover()
}

// finish checks the last line against what was read.
func (r *Reader) finish(line []byte) error {
	s := &scanner{line: line, rest: line}
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
		if _, err := r.src.ReadByte(); err == nil {
			s.err = errors.New("something follows the totals")
		} else if err != io.EOF {
			s.err = err
		}
	}
	if s.err != nil {
		return fmt.Errorf("line %d of the manifest: %w", r.line, s.err)
	}
	return io.EOF
}

// check holds what one entry may be, given those before it.
func (r *Reader) check(e Entry) error {
	if err := safe.CheckPath(e.Path); err != nil {
		return err
	}
	if r.totals.Entries > 0 && safe.ComparePaths(r.entry.Path, e.Path) >= 0 {
		return fmt.Errorf("path %.80q does not come after %.80q", e.Path, r.entry.Path)
	}
	if err := r.descend(e); err != nil {
		return err
	}
	return checkShape(e)
}

// descend keeps the folders that enclose the current entry, and refuses an
// entry whose folder was not listed as one: something under a symlink, say.
func (r *Reader) descend(e Entry) error {
	for len(r.folders) > 0 && !strings.HasPrefix(e.Path, r.folders[len(r.folders)-1]+"/") {
		r.folders = r.folders[:len(r.folders)-1]
	}
	parent := ""
	if i := strings.LastIndexByte(e.Path, '/'); i >= 0 {
		parent = e.Path[:i]
	}
	last := ""
	if len(r.folders) > 0 {
		last = r.folders[len(r.folders)-1]
	}
	if parent != last {
		return fmt.Errorf("path %.80q is in a folder that was not listed", e.Path)
	}
	if e.Type == safe.Dir {
		r.folders = append(r.folders, e.Path)
	}
	return nil
}

// checkShape refuses fields that do not go with the type.
func checkShape(e Entry) error {
	switch e.Type {
	case safe.File, safe.Stream:
		if e.Target != "" {
			return fmt.Errorf("a %s has a target", e.Type)
		}
		return nil
	case safe.Symlink:
		if e.Target == "" || len(e.Target) > safe.MaxPath {
			return fmt.Errorf("a symlink has a target of %d bytes", len(e.Target))
		}
		if strings.IndexByte(e.Target, 0) >= 0 {
			return errors.New("a symlink's target has a NUL byte")
		}
	case safe.Hardlink:
		if err := safe.CheckPath(e.Target); err != nil {
			return fmt.Errorf("a hardlink's target: %w", err)
		}
		if safe.ComparePaths(e.Target, e.Path) >= 0 {
			return errors.New("a hardlink's target does not come before it")
		}
	case safe.Dir, safe.Special:
		if e.Target != "" {
			return fmt.Errorf("a %s has a target", e.Type)
		}
	default:
		return fmt.Errorf("type %.20q is not known", e.Type)
	}
	if len(e.Chunks) > 0 || e.Sparse {
		return fmt.Errorf("a %s has content", e.Type)
	}
	return nil
}

// contentSize is how many bytes the chunks of an entry have to add up to.
func contentSize(e safe.Entry) int64 {
	if e.Type == safe.File || e.Type == safe.Stream {
		return e.Size
	}
	return 0
}

// Chunks yields the chunks of the entry that Next returned last. It may be
// called once for an entry, or not at all.
func (r *Reader) Chunks() iter.Seq2[Chunk, error] {
	return func(yield func(Chunk, error) bool) {
		if r.err != nil || r.started {
			return
		}
		r.started = true
		for {
			for _, c := range r.entry.Chunks {
				if !yield(c, nil) {
					return
				}
			}
			if !r.more {
				return
			}
			if r.err = r.goOn(); r.err != nil {
				yield(Chunk{}, r.err)
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
	line, err := r.readLine()
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return err
	}
	s := &scanner{line: line, rest: line}
	s.want(`{`)
	r.entry.Chunks, r.more = s.chunks(r.chunks[:0])
	s.end()
	if s.err != nil {
		return fmt.Errorf("line %d of the manifest: %w", r.line, s.err)
	}
	r.keep(r.entry.Chunks)
	return r.cover()
}

// keep reuses the room of a line's chunks for the next line's.
func (r *Reader) keep(chunks []Chunk) {
	if cap(chunks) > cap(r.chunks) {
		r.chunks = chunks[:0]
	}
}

// cover takes the chunks of the line just read off what is left of the
// entry's size.
func (r *Reader) cover() error {
	for _, c := range r.entry.Chunks {
		r.left -= int64(c.Length)
	}
	if r.left < 0 || !r.more && r.left != 0 {
		return fmt.Errorf("line %d of the manifest: the chunks of %.80q do not add up to its size, they differ by %d bytes",
			r.line, r.entry.Path, -r.left)
	}
	return nil
}

// readLine returns the next line without its newline, valid until the next
// call. io.EOF means that src ended after a whole line.
func (r *Reader) readLine() ([]byte, error) {
	line, err := r.src.ReadSlice('\n')
	if err == bufio.ErrBufferFull {
		line, err = r.readLongLine(line)
	}
	if err == io.EOF && len(line) > 0 {
		return nil, fmt.Errorf("the manifest ends within line %d: %w", r.line+1, io.ErrUnexpectedEOF)
	}
	if err != nil {
		return nil, err
	}
	r.line++
	return line[:len(line)-1], nil
}

func (r *Reader) readLongLine(begin []byte) ([]byte, error) {
	long := append([]byte(nil), begin...)
	for {
		part, err := r.src.ReadSlice('\n')
		long = append(long, part...)
		if len(long) > maxLine {
			return nil, fmt.Errorf("line %d of the manifest is longer than %d bytes", r.line+1, maxLine)
		}
		if err != bufio.ErrBufferFull {
			return long, err
		}
	}
}
