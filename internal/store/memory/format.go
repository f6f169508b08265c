package memory

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

const (
	// maxPacks bounds the packs of one memory: 16 TiB in full packs, and more
	// than a snapshot's description can name.
	maxPacks = 1 << 19
	// maxFiles bounds the lines files and the chunks files of one memory; at a
	// checkpoint a minute it is reached after two years.
	maxFiles = 1 << 20
	// maxChunks bounds the distinct chunks of one memory: 128 TiB in chunks of
	// the average size, and a fence of 1 MiB.
	maxChunks = 1 << 27
)

// A checkpoint is the body of a checkpoint file: what came since the one
// before.
//
//	lines  u64  size on disk of the lines file with the same number
//	n u32, n times: u64            records in each further chunks file
//	n u32, n times: run, digest, u64   each further pack, with the bytes of its frames
type checkpoint struct {
	lines  uint64
	chunks []uint64
	packs  []Pack
}

func (c *checkpoint) encode() []byte {
	b := binary.BigEndian.AppendUint64(nil, c.lines)
	b = binary.BigEndian.AppendUint32(b, uint32(len(c.chunks)))
	for _, count := range c.chunks {
		b = binary.BigEndian.AppendUint64(b, count)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(c.packs)))
	for _, p := range c.packs {
		b = appendPack(b, p)
	}
	return b
}

// appendPack appends what decoder.pack reads.
func appendPack(b []byte, p Pack) []byte {
	b = append(b, p.Run[:]...)
	b = append(b, p.Digest[:]...)
	return binary.BigEndian.AppendUint64(b, uint64(p.Frames))
}

func decodeCheckpoint(src io.Reader) (*checkpoint, error) {
	d := newDecoder(src)
	c := &checkpoint{lines: d.uint64()}
	for range d.count(maxFiles) {
		count := d.uint64()
		if d.err == nil && (count == 0 || count > maxChunks) {
			d.err = fmt.Errorf("a file has %d chunks", count)
		}
		if d.err != nil {
			return nil, d.err
		}
		c.chunks = append(c.chunks, count)
	}
	for range d.count(maxPacks) {
		c.packs = append(c.packs, d.pack())
		if d.err != nil {
			return nil, d.err
		}
	}
	return c, d.end()
}

// An index is the body of the index file: all that is needed beside the lines
// and the tags, so that opening a memory reads little.
//
//	chunks u64  records in tags.age
//	n u32, n times: u64    size on disk of each lines file
//	n u32, n times: run, digest, u64, u64   each pack: bytes of its frames, bytes used
//	n u32, n times: tag    the fence
//	n u32, n bytes         the filter
type index struct {
	chunks uint64
	lines  []uint64
	packs  []Pack // records refer to them by place; also such that no record refers to
	guide         // of tags.age
}

func (x *index) encode() []byte {
	// In one piece, because it may be tens of megabytes.
	b := make([]byte, 0, 8+4*4+8*len(x.lines)+64*len(x.packs)+len(tag{})*len(x.fence)+len(x.filter))
	b = binary.BigEndian.AppendUint64(b, x.chunks)
	b = binary.BigEndian.AppendUint32(b, uint32(len(x.lines)))
	for _, size := range x.lines {
		b = binary.BigEndian.AppendUint64(b, size)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(x.packs)))
	for _, p := range x.packs {
		b = appendPack(b, p)
		b = binary.BigEndian.AppendUint64(b, uint64(p.Used))
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(x.fence)))
	for _, t := range x.fence {
		b = append(b, t[:]...)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(x.filter)))
	return append(b, x.filter...)
}

func decodeIndex(src io.Reader) (*index, error) {
	d := newDecoder(src)
	x := &index{chunks: d.uint64()}
	for range d.count(maxFiles) {
		x.lines = append(x.lines, d.uint64())
		if d.err != nil {
			return nil, d.err
		}
	}
	for range d.count(maxPacks) {
		p := d.pack()
		p.Used = int64(d.uint64())
		if d.err == nil && (p.Used < 0 || p.Used > p.Frames) {
			d.err = fmt.Errorf("of a pack with %d bytes %d are used", p.Frames, p.Used)
		}
		if d.err != nil {
			return nil, d.err
		}
		x.packs = append(x.packs, p)
	}
	fence := d.count(blocksFor(maxChunks))
	if d.err == nil && (x.chunks > maxChunks || fence != blocksFor(x.chunks)) {
		d.err = fmt.Errorf("a fence of %d blocks does not fit %d chunks", fence, x.chunks)
	}
	for i := range fence {
		var t tag
		d.bytes(t[:])
		if d.err == nil && i > 0 && bytes.Compare(x.fence[i-1][:], t[:]) >= 0 {
			d.err = errors.New("the fence is not in order")
		}
		if d.err != nil {
			return nil, d.err
		}
		x.fence = append(x.fence, t)
	}
	x.filter = d.blob(maxFilter)
	return x, d.end()
}

// blockRecords is how many records age seals together: 64 KiB. The first block
// has one less, for the header.
const (
	blockRecords = 2048
	blockSize    = blockRecords * recordSize
)

// blocksFor returns over how many blocks n records and a header spread, or 0
// if there are none.
func blocksFor(n uint64) int {
	if n == 0 {
		return 0
	}
	return int((n + 1 + blockRecords - 1) / blockRecords)
}

// A decoder reads numbers and bytes until the first error, which it keeps. It
// never takes more memory for a count than bytes follow it.
type decoder struct {
	src *bufio.Reader
	err error
	buf [8]byte
}

func newDecoder(src io.Reader) *decoder { return &decoder{src: bufio.NewReader(src)} }

func (d *decoder) bytes(p []byte) {
	if d.err != nil {
		return
	}
	if _, err := io.ReadFull(d.src, p); err != nil {
		d.fail(err)
		clear(p)
	}
}

// fail keeps err; an end of the file before its time is not io.EOF.
func (d *decoder) fail(err error) {
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	d.err = err
}

func (d *decoder) uint32() uint32 {
	clear(d.buf[:4])
	d.bytes(d.buf[:4])
	return binary.BigEndian.Uint32(d.buf[:4])
}

func (d *decoder) uint64() uint64 {
	clear(d.buf[:])
	d.bytes(d.buf[:])
	return binary.BigEndian.Uint64(d.buf[:])
}

// count returns a number of things to come, 0 after an error.
func (d *decoder) count(limit int) int {
	n := d.uint32()
	if d.err == nil && int64(n) > int64(limit) {
		d.err = fmt.Errorf("has %d of what there are at most %d", n, limit)
	}
	if d.err != nil {
		return 0
	}
	return int(n)
}

func (d *decoder) pack() Pack {
	var p Pack
	d.bytes(p.Run[:])
	d.bytes(p.Digest[:])
	frames := d.uint64()
	if d.err == nil && frames > math.MaxUint32 {
		d.err = fmt.Errorf("a pack has %d bytes", frames)
	}
	p.Frames = int64(frames)
	return p
}

// blob returns the bytes behind a count.
func (d *decoder) blob(limit int) []byte {
	n := d.count(limit)
	var b bytes.Buffer
	if d.err == nil {
		if _, err := io.CopyN(&b, d.src, int64(n)); err != nil {
			d.fail(err)
		}
	}
	return b.Bytes()
}

// end returns an error if there was one, or if something follows.
func (d *decoder) end() error {
	if d.err != nil {
		return d.err
	}
	if err := expectEnd(d.src); err != io.EOF {
		return err
	}
	return nil
}

// A state is the sum of a run's checkpoints.
type state struct {
	lines  []uint64 // size on disk of lines-1 and on
	chunks []uint64 // records in chunks-1 and on
	packs  []Pack
}

// add takes a checkpoint in.
func (s *state) add(c *checkpoint) error {
	s.lines = append(s.lines, c.lines)
	s.chunks = append(s.chunks, c.chunks...)
	s.packs = append(s.packs, c.packs...)
	return s.check()
}

// check makes sure that what it becomes can be read again.
func (s *state) check() error {
	switch {
	case len(s.lines) > maxFiles || len(s.chunks) > maxFiles:
		return fmt.Errorf("has more than %d files", maxFiles)
	case len(s.packs) > maxPacks:
		return fmt.Errorf("has more than %d packs", maxPacks)
	}
	return nil
}

// files returns the chunks files.
func (s *state) files() []sortedFile {
	var files []sortedFile
	for i, count := range s.chunks {
		files = append(files, chunksFile(i+1, count))
	}
	return files
}
