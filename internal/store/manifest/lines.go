package manifest

import (
	"bufio"
	"fmt"
	"io"
)

// lines reads lines of bounded length.
type lines struct {
	src *bufio.Reader
	n   int64 // number of the line read last, from 1
}

func newLines(src io.Reader) lines { return lines{src: bufio.NewReaderSize(src, 64<<10)} }

// next returns the next line without its newline, valid until the next call.
// io.EOF means that src ended after a whole line.
func (l *lines) next() ([]byte, error) {
	line, err := l.src.ReadSlice('\n')
	if err == bufio.ErrBufferFull {
		line, err = l.long(line)
	}
	if err == io.EOF && len(line) > 0 {
		return nil, fmt.Errorf("the end comes within line %d: %w", l.n+1, io.ErrUnexpectedEOF)
	}
	if err != nil {
		return nil, err
	}
	l.n++
	return line[:len(line)-1], nil
}

// long returns the line that begins with what fills the buffer.
func (l *lines) long(begin []byte) ([]byte, error) {
	line := append([]byte(nil), begin...)
	for {
		part, err := l.src.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > maxLine {
			return nil, fmt.Errorf("line %d is longer than %d bytes", l.n+1, maxLine)
		}
		if err != bufio.ErrBufferFull {
			return line, err
		}
	}
}

// roomier returns the slice that has more room for the chunks of lines to
// come.
func roomier(a, b []Chunk) []Chunk {
	if cap(b) > cap(a) {
		return b
	}
	return a
}
