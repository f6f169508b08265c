package pack

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/klauspost/compress/zstd"

	"strongroom/internal/safe"
)

// Level says how hard a Compressor tries.
type Level int

const (
	Fastest Level = iota // the default
	Balanced
	Better
)

// A Compressor makes frames of chunks. It works in the goroutine that calls it
// and is not safe for concurrent use: every worker has its own, which takes
// 5 MB of memory at Fastest, 8 at Balanced and 14 at Better.
type Compressor struct {
	enc *zstd.Encoder
	// literals tells how enc is set: whether a block in which nothing repeats
	// is compressed by how often each byte occurs.
	literals bool
}

// NewCompressor returns a Compressor for chunks of up to MaxChunk bytes.
func NewCompressor(level Level) *Compressor {
	levels := map[Level]zstd.EncoderLevel{
		Fastest:  zstd.SpeedFastest,
		Balanced: zstd.SpeedDefault,
		Better:   zstd.SpeedBetterCompression,
	}
	enc, err := zstd.NewWriter(nil,
		zstd.WithWindowSize(MaxChunk), // before the level, which would make blocks shorter
		zstd.WithEncoderLevel(levels[level]),
		zstd.WithEncoderConcurrency(1),
		zstd.WithLowerEncoderMem(true),
		zstd.WithEncoderCRC(false), // SHA-256 is what verifies a chunk
		zstd.WithSingleSegment(true),
		zstd.WithAllLitEntropyCompression(false))
	if err != nil {
		panic(fmt.Sprintf("pack: making a zstd encoder: %v", err)) // only for options out of range
	}
	return &Compressor{enc: enc}
}

// Append appends the frame of chunk to dst. A chunk that does not become
// smaller by a 64th is put into raw blocks, which cost nothing to read.
func (c *Compressor) Append(dst, chunk []byte) []byte {
	// Counting literals makes base64 a quarter and hexadecimal half as long,
	// but for random bytes it takes thrice the time to find that it is of no use.
	if literals := !looksRandom(chunk); literals != c.literals {
		if err := c.enc.ResetWithOptions(nil, zstd.WithAllLitEntropyCompression(literals)); err != nil {
			panic(fmt.Sprintf("pack: setting a zstd encoder: %v", err)) // the option can be set at any time
		}
		c.literals = literals
	}
	start := len(dst)
	dst = c.enc.EncodeAll(chunk, slices.Grow(dst, int(MaxFrame(uint32(len(chunk))))))
	// At the length of the chunk and above, the encoder took raw blocks itself.
	if n := len(dst) - start; n > len(chunk)-len(chunk)/64 && n < len(chunk) {
		return appendRaw(dst[:start], chunk)
	}
	return dst
}

// looksRandom judges by a sample whether the bytes of chunk are about equally
// frequent. The sum of squares that it takes is n*n/256 + n for n random
// bytes, with a standard deviation below 400, and four times that for base64.
func looksRandom(chunk []byte) bool {
	const pieces, piece = 64, 64
	if len(chunk) < pieces*piece {
		return false
	}
	var count [256]uint32
	for i := range pieces {
		at := i * (len(chunk) / pieces)
		for _, b := range chunk[at : at+piece] {
			count[b]++
		}
	}
	var sum uint32
	for _, n := range count {
		sum += n * n
	}
	const n = pieces * piece
	return sum < n*n/256+n/256*n/2
}

// rawBlock is the length of the raw blocks that are written here. The encoder
// takes twice as much, which is the most (RFC 8878).
const rawBlock = 64 << 10

// MaxFrame is the length of the longest frame that is made or taken for a chunk
// of n bytes: raw blocks with their headers behind the header of the frame.
func MaxFrame(n uint32) uint32 {
	const frameHeader, blockHeader = 9, 3
	return frameHeader + (n+rawBlock-1)/rawBlock*blockHeader + n
}

// appendFrameHeader appends the header of a frame that has no checksum and
// is a single segment, so that its window is its content.
func appendFrameHeader(b []byte, n uint32) []byte {
	const singleSegment = 1 << 5
	b = append(b, 0x28, 0xb5, 0x2f, 0xfd)
	switch {
	case n < 256:
		return append(b, 0<<6|singleSegment, byte(n))
	case n < 65_536+256:
		return binary.LittleEndian.AppendUint16(append(b, 1<<6|singleSegment), uint16(n-256))
	default:
		return binary.LittleEndian.AppendUint32(append(b, 2<<6|singleSegment), n)
	}
}

// appendRaw appends a frame of raw blocks for chunk, which is not empty.
func appendRaw(b, chunk []byte) []byte {
	b = appendFrameHeader(b, uint32(len(chunk)))
	for block := range slices.Chunk(chunk, rawBlock) {
		chunk = chunk[len(block):]
		b = appendBlockHeader(b, len(block), len(chunk) == 0)
		b = append(b, block...)
	}
	return b
}

func appendBlockHeader(b []byte, n int, last bool) []byte {
	h := uint32(n) << 3 // a raw block has the type 0
	if last {
		h |= 1
	}
	return append(b, byte(h), byte(h>>8), byte(h>>16))
}

// checkFrame reports whether b is exactly one frame, that needs no dictionary
// and says that its content has n bytes. What is in the blocks it does not
// look at.
func checkFrame(b []byte, n uint32) error {
	var h zstd.Header
	if err := h.Decode(b); err != nil {
		return fmt.Errorf("not a zstd frame: %w", err)
	}
	switch {
	case h.Skippable:
		return errors.New("a skippable frame")
	case h.DictionaryID != 0:
		return errors.New("a frame that needs a dictionary")
	case !h.HasFCS:
		return errors.New("a frame that does not tell the length of its content")
	case h.FrameContentSize != uint64(n):
		return fmt.Errorf("a frame of %d bytes of content, want %d", h.FrameContentSize, n)
	}
	b = b[h.HeaderSize:]
	for last := false; !last; {
		if len(b) < 3 {
			return errors.New("a frame without a last block")
		}
		header := uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16
		last = header&1 == 1
		size := int(header >> 3)
		if kind := header >> 1 & 3; kind == 1 {
			size = 1 // a byte that is repeated
		}
		if b = b[3:]; len(b) < size {
			return errors.New("a block that is longer than its frame")
		}
		b = b[size:]
	}
	if h.HasCheckSum {
		b = b[min(4, len(b)):] // if it is short the decoder says so
	}
	if len(b) > 0 {
		return fmt.Errorf("%d bytes after the end of a frame", len(b))
	}
	return nil
}

// decodeSlack is room behind a chunk, which lets the decoder copy in long steps.
const decodeSlack = 16

// Room returns how many bytes Decode needs behind dst for a chunk of n, so that
// it takes no memory of its own.
func Room(n uint32) int { return int(n) + decodeSlack }

// decoder is shared by all readers: its DecodeAll has no state, and as many
// calls run at once as there are processors. It never allocates for content:
// that must fit in what it is given.
var decoder = sync.OnceValue(func() *zstd.Decoder {
	d, err := zstd.NewReader(nil,
		zstd.WithDecoderConcurrency(0),
		zstd.WithDecoderMaxMemory(MaxChunk+decodeSlack),
		zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		panic(fmt.Sprintf("pack: making a zstd decoder: %v", err)) // only for options out of range
	}
	return d
})

// Decode appends to dst the chunk that frame holds, verified. Whatever frame
// is, no more is allocated than dst needs to grow by want.Length. Any error is
// a *CorruptError.
func Decode(dst, frame []byte, want Ref) ([]byte, error) {
	corrupt := func(err error) error {
		return &CorruptError{Part: fmt.Sprintf("frame at offset %d", want.Offset), Err: err}
	}
	if err := want.check(); err != nil {
		return nil, corrupt(err)
	}
	if err := checkFrame(frame, want.Length); err != nil {
		return nil, corrupt(err)
	}
	// The decoder writes in place: it may not go beyond the capacity it sees.
	start, end := len(dst), len(dst)+int(want.Length)
	dst = slices.Grow(dst, Room(want.Length))
	got, err := decoder().DecodeAll(frame, dst[:start:end+decodeSlack])
	if err != nil {
		return nil, corrupt(err)
	}
	if len(got) != end {
		return nil, corrupt(fmt.Errorf("%d bytes of content, want %d", len(got)-start, want.Length))
	}
	dst = dst[:end]
	if safe.DigestOf(dst[start:]) != want.Hash {
		return nil, corrupt(errors.New("the content does not have the SHA-256 that it should have"))
	}
	return dst, nil
}
