// Package chunk cuts content into chunks at places that the content itself
// chooses, so that after a change in the middle of a file only the chunks
// around the change are new.
//
// The method is that of FastCDC (Xia et al., 2016): a gear hash rolls over the
// content, and a chunk ends where the hash falls below a threshold. The
// threshold is strict up to a turning point and loose after it, which keeps
// sizes together, and the first Min bytes of a chunk are not looked at. A
// judgement depends on the 64 bytes before it and on nothing else.
//
// The gear values come from a key, so that somebody who does not have it
// cannot make up content that is cut at a place of their choosing, nor find
// known content by its cuts. The package does not promise that sizes of
// chunks say nothing of the content: to whoever sees them they do.
package chunk

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"math"
)

// Sizes bound the chunks, in bytes. 64 <= Min < Avg < Max must hold.
type Sizes struct{ Min, Avg, Max int }

// The sizes that are in use. With other sizes nothing that was stored before
// is found again, so they are not configurable.
var (
	Files     = Sizes{256 << 10, 1 << 20, 4 << 20}
	Records   = Sizes{64 << 10, 256 << 10, 1 << 20} // dumps: changes are small and scattered
	Manifests = Sizes{8 << 10, 32 << 10, 128 << 10}
)

// window is the number of bytes that a judgement depends on: each byte shifts
// the hash by one bit of its 64.
const window = 64

// A Table holds the gear values of one key. It may be used concurrently.
type Table struct {
	gear [256]uint64
}

// NewTable derives the gear values from key: HKDF-SHA-256 without salt and
// with the info "strongroom gear table v1" gives 2,048 bytes, which are the
// values of the bytes 0 to 255, little endian.
func NewTable(key []byte) *Table {
	t := new(Table)
	stream, err := hkdf.Key(sha256.New, key, nil, "strongroom gear table v1", 8*len(t.gear))
	if err != nil {
		panic(fmt.Sprintf("chunk: deriving the gear table: %v", err)) // only if more than 255 digests are asked for
	}
	for i := range t.gear {
		t.gear[i] = binary.LittleEndian.Uint64(stream[8*i:])
	}
	return t
}

// Cut returns the length of the first chunk of data, which must be all that
// is left of the content or at least its next s.Max bytes.
func (t *Table) Cut(data []byte, s Sizes) int {
	if n := t.resume(data, 0, s); n > 0 {
		return n
	}
	return len(data)
}

// resume returns the length of the first chunk of data, or 0 if more than
// data is needed to tell. It is known that the chunk is longer than judged.
func (t *Table) resume(data []byte, judged int, s Sizes) int {
	data = data[:min(len(data), s.Max)]
	// Beginning at Min, a strict threshold of one in 4*Avg up to the turning
	// point and a loose one of four in Avg after it: with Min = Avg/4 the
	// mean length is Avg if the turning point is at 0.82 Avg.
	turn := s.Avg - 3*s.Avg/16
	from := max(judged, s.Min)
	if to := min(turn, len(data)); from < to {
		if n := t.find(data[:to], from, math.MaxUint64/uint64(4*s.Avg)); n > 0 {
			return n
		}
		from = to
	}
	if from < len(data) {
		if n := t.find(data, from, math.MaxUint64/uint64(s.Avg/4)); n > 0 {
			return n
		}
	}
	if len(data) == s.Max {
		return s.Max
	}
	return 0
}

// find returns the first n > from at which the hash of the window before n
// is below the threshold, or 0 if there is none. from is at least window.
//
// This loop passes over every byte that is stored. It takes two bytes a step,
// because then the chain from one hash to the next costs one shift and one
// addition for both, and has no bounds checks.
func (t *Table) find(data []byte, from int, below uint64) int {
	g := &t.gear
	var h, h1 uint64
	for _, b := range data[from-window : from] {
		h = h<<1 + g[b]
	}
	d := data[from:]
	for ; len(d) >= 8; d = d[8:] {
		if h1, h = roll2(g, h, d[0], d[1]); h1 < below {
			return len(data) - len(d) + 1
		} else if h < below {
			return len(data) - len(d) + 2
		}
		if h1, h = roll2(g, h, d[2], d[3]); h1 < below {
			return len(data) - len(d) + 3
		} else if h < below {
			return len(data) - len(d) + 4
		}
		if h1, h = roll2(g, h, d[4], d[5]); h1 < below {
			return len(data) - len(d) + 5
		} else if h < below {
			return len(data) - len(d) + 6
		}
		if h1, h = roll2(g, h, d[6], d[7]); h1 < below {
			return len(data) - len(d) + 7
		} else if h < below {
			return len(data) - len(d) + 8
		}
	}
	for i, b := range d {
		if h = h<<1 + g[b]; h < below {
			return len(data) - len(d) + i + 1
		}
	}
	return 0
}

// roll2 returns the hashes after a, and after a and b.
func roll2(g *[256]uint64, h uint64, a, b byte) (h1, h2 uint64) {
	x := g[a]
	return h<<1 + x, h<<2 + (x<<1 + g[b])
}

// A Cutter cuts what it reads into chunks. It is not safe for concurrent use.
//
// It reads in small steps and looks at each at once, while it is in the
// processor's cache. What it has read beyond the end of a chunk is therefore
// at most a step, and is all that is ever copied.
type Cutter struct {
	table *Table
	sizes Sizes
	src   io.Reader
	err   error  // of src; io.EOF at its end
	left  []byte // read from src, belongs to the next chunk; at most step()
}

// NewCutter returns a Cutter that must be given a source with Reset.
func NewCutter(t *Table, s Sizes) *Cutter {
	c := &Cutter{table: t, sizes: s}
	c.left = make([]byte, 0, c.step())
	return c
}

// Reset makes the Cutter begin with src and forget what it had.
func (c *Cutter) Reset(src io.Reader) {
	c.src, c.err, c.left = src, nil, c.left[:0]
}

// step is how much is read at a time once a chunk may end. With a sixteenth of
// the average about a thirtieth of the content is copied.
func (c *Cutter) step() int { return c.sizes.Avg / 16 }

// Next reads the next chunk into buf, which must have room for Sizes.Max
// bytes, and returns its length; buf beyond that is overwritten. After the
// last chunk it returns io.EOF. Any other error is the source's own, given
// once the chunks that ended before it have been returned.
func (c *Cutter) Next(buf []byte) (int, error) {
	buf = buf[:c.sizes.Max]
	n := copy(buf, c.left)
	c.left = c.left[:0]
	judged := 0
	for {
		if cut := c.table.resume(buf[:n], judged, c.sizes); cut > 0 {
			c.left = append(c.left, buf[cut:n]...)
			return cut, nil
		}
		switch {
		case c.err == io.EOF && n > 0:
			return n, nil
		case c.err != nil:
			return 0, c.err
		}
		judged = n
		to := min(max(n, c.sizes.Min)+c.step(), len(buf))
		n += c.fill(buf[n:to])
	}
}

// maxEmptyReads is how often in a row a source may return neither bytes nor an
// error; the number is that of package bufio.
const maxEmptyReads = 100

// fill reads until p is full or the source has an error, which it keeps. It
// is not io.ReadFull, because that could not tell the end of a source from a
// source that itself failed with io.ErrUnexpectedEOF.
func (c *Cutter) fill(p []byte) (n int) {
	for empty := 0; n < len(p) && c.err == nil; {
		var m int
		m, c.err = c.src.Read(p[n:])
		n += m
		if m > 0 {
			empty = 0
		} else if empty++; empty == maxEmptyReads && c.err == nil {
			c.err = io.ErrNoProgress
		}
	}
	return n
}
