package manifest

import (
	"bufio"
	"fmt"
	"io"
	"iter"
)

// AppendChunkList appends a bare list of chunks, in as many lines as it
// takes, newlines included; nothing for no chunks.
func AppendChunkList(b []byte, chunks []Chunk) []byte {
	if len(chunks) == 0 {
		return b
	}
	b = append(b, '{')
	b = appendChunks(b, chunks)
	return append(b, "}\n"...)
}

// ReadChunkList yields the chunks of a list as AppendChunkList writes it, in
// constant memory. An error is the last thing that it yields.
func ReadChunkList(src io.Reader) iter.Seq2[Chunk, error] {
	return func(yield func(Chunk, error) bool) {
		r := &Reader{src: bufio.NewReaderSize(src, 64<<10)}
		for more := false; ; {
			line, err := r.readLine()
			if err == io.EOF && !more {
				return
			}
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			if err == nil && r.line > 1 && !more {
				err = fmt.Errorf("something follows a list of chunks")
			}
			if err != nil {
				yield(Chunk{}, fmt.Errorf("line %d of a list of chunks: %w", r.line, err))
				return
			}
			s := &scanner{line: line, rest: line}
			s.want(`{`)
			var chunks []Chunk
			chunks, more = s.chunks(r.chunks[:0])
			s.end()
			if s.err != nil {
				yield(Chunk{}, fmt.Errorf("line %d of a list of chunks: %w", r.line, s.err))
				return
			}
			r.keep(chunks)
			for _, c := range chunks {
				if !yield(c, nil) {
					return
				}
			}
		}
	}
}
