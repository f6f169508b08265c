package main

import (
	"slices"

	"strongroom/internal/store/chunk"
)

// What the lines of a manifest take: of a file, of each of its chunks, and
// what of a hundred bytes is left when they are compressed, most of it digests.
const (
	fileLine   = 210
	chunkLine  = 225
	compressed = 20
)

// A listing is the manifest of a source as a source of its own. Each of its
// chunks is a stream, which comes to the same as one stream of them all, and
// lets the oldest be deleted.
type listing struct {
	lines  *source
	ofFile []int // by file: the chunk of lines where its lines begin
	of     []int // by chunk of a file: the chunk of lines that names it
	left   int64 // what the last chunk of lines has yet to take
}

func newListing(seed uint64) *listing {
	l := &listing{lines: newSource(seed)}
	l.lines.stream = true
	return l
}

// follow lists src as it is now, with new places for the chunks in put, and
// returns the chunks of lines that differ, ascending.
func (l *listing) follow(src *source, put []int) (changed []int) {
	end := len(l.lines.lengths)
	for _, f := range src.files[len(l.ofFile):] {
		l.ofFile = append(l.ofFile, l.take(fileLine))
		for range f.chunks() {
			l.of = append(l.of, l.take(chunkLine))
		}
	}
	for ; src.gone < len(src.files) && l.lines.gone < l.ofFile[src.gone]; l.lines.gone++ {
		l.lines.bytes -= int64(l.lines.lengths[l.lines.gone])
	}
	mark := func(c int) {
		if len(changed) == 0 || changed[len(changed)-1] < c {
			changed = append(changed, c)
		}
	}
	mark(l.lines.gone) // it has the line that names the run
	for _, c := range put {
		mark(l.of[c])
	}
	if end > 0 && end < len(l.lines.lengths) {
		// New lines follow in the chunk that was the last.
		if i, found := slices.BinarySearch(changed, end-1); !found {
			changed = slices.Insert(changed, i, end-1)
		}
	}
	mark(len(l.lines.lengths) - 1) // it has the totals
	return changed
}

// take returns the chunk of lines in which a line of that many bytes ends.
func (l *listing) take(bytes int64) int {
	for l.left < bytes {
		bytes -= l.left
		length := chunkLength(l.lines.random.ExpFloat64(), chunk.Manifests)
		n := len(l.lines.lengths)
		l.lines.lengths = append(l.lines.lengths, uint32(length*compressed/100))
		l.lines.files = append(l.lines.files, file{first: n, end: n + 1})
		l.lines.bytes += length * compressed / 100
		l.left = length
	}
	l.left -= bytes
	return len(l.lines.lengths) - 1
}
