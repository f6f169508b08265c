package manifest

import (
	"errors"
	"fmt"
	"io"
)

// AppendChunkList appends a bare list of chunks, in as many lines as it
// takes, newlines included; nothing for no chunks.
func AppendChunkList(b []byte, chunks []Chunk) []byte { return appendRest(b, chunks) }

// A ListReader reads a list of chunks as AppendChunkList writes it, in constant
// memory. The first error ends it.
type ListReader struct {
	lines  lines
	room   []Chunk // reused from line to line
	lately lately
	left   []Chunk // of the line read last
	more   bool    // whether that line says that another follows
	err    error
}

// NewListReader returns a ListReader of all that src has.
func NewListReader(src io.Reader) *ListReader {
	return &ListReader{lines: newLines(src)}
}

// Next returns the next chunk, and io.EOF after the last one.
func (l *ListReader) Next() (Chunk, error) {
	for l.err == nil && len(l.left) == 0 {
		if l.err = l.readLine(); l.err != nil && l.err != io.EOF {
			l.err = fmt.Errorf("line %d of a list of chunks: %w", l.lines.n, l.err)
		}
	}
	if l.err != nil {
		return Chunk{}, l.err
	}
	c := l.left[0]
	l.left = l.left[1:]
	return c, nil
}

func (l *ListReader) readLine() error {
	line, err := l.lines.next()
	switch {
	case err == io.EOF && l.more:
		return io.ErrUnexpectedEOF
	case err != nil:
		return err
	case l.lines.n > 1 && !l.more:
		return errors.New("something follows a list of chunks")
	}
	s := &scanner{line: line, rest: line, last: &l.lately}
	s.want(`{`)
	l.left, l.more = s.chunks(l.room[:0])
	s.end()
	l.room = roomier(l.room, l.left)
	return s.err
}
