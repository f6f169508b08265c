// Package pack writes and reads packs: objects of the store that hold many
// chunks, each in a zstd frame of its own, in a form that the program zstd
// reads as well. The plaintext of a pack is
//
//	frame 0 .. n-1    one chunk each, one directly after the other
//	skippable frame   0x184D2A51: zeros, so that the plaintext has its Padme length
//	skippable frame   0x184D2A50: the table
//	                  n entries { sha256[32], frame offset u64, frame length u32, chunk length u32 }
//	                  then n u32, version u16, "SRPK"
//
// and all numbers are little endian. Every frame tells the length of its
// chunk and is no longer than the chunk in raw blocks of 64 KiB would be.
// Padme (Nikitin et al., "Reducing Metadata Leakage from Encrypted Files",
// 2019) rounds a length so that it tells only O(log log length) bits.
//
// Sealing is the caller's: this package does not know how plaintext becomes
// ciphertext. It does not promise that a pack tells nothing of its chunks: its
// length, rounded, it does tell.
package pack

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"strongroom/internal/safe"
)

const (
	// Target is the greatest length of a pack's ciphertext.
	Target = 32 << 20
	// MaxChunks is the greatest number of chunks in a pack.
	MaxChunks = 65_536
	// MaxChunk is the greatest length of a chunk.
	MaxChunk = 4 << 20

	// maxPlaintext is the greatest Padme length that leaves room in Target
	// for what sealing adds: the next one is Target itself. The 512 KiB
	// between are an age header for over a hundred recipients, and 8 KiB of
	// tags.
	maxPlaintext = Target - 512<<10

	version         = 1
	tableMagic      = 0x184D2A50
	paddingMagic    = 0x184D2A51
	skippableHeader = 8
	entrySize       = 32 + 8 + 4 + 4
	trailerSize     = 4 + 2 + 4
)

var trailerMagic = [4]byte{'S', 'R', 'P', 'K'}

// A Ref says where a chunk is in a pack.
type Ref struct {
	Hash   safe.Digest // SHA-256 of the chunk
	Offset int64       // of the frame in the plaintext of the pack
	Stored uint32      // length of the frame
	Length uint32      // length of the chunk
}

// check reports a Ref that no pack can satisfy.
func (r Ref) check() error {
	switch {
	case r.Length == 0 || r.Length > MaxChunk:
		return fmt.Errorf("a chunk of %d bytes, possible are 1 to %d", r.Length, MaxChunk)
	case r.Stored == 0 || r.Stored > MaxFrame(r.Length):
		return fmt.Errorf("a frame of %d bytes for a chunk of %d bytes", r.Stored, r.Length)
	case r.Offset < 0:
		return fmt.Errorf("a frame at offset %d", r.Offset)
	}
	return nil
}

// tableSize is the length of the table's frame for n chunks.
func tableSize(n int) int64 {
	return skippableHeader + int64(n)*entrySize + trailerSize
}

// appendTable appends the table's frame.
func appendTable(b []byte, refs []Ref) []byte {
	b = appendSkippable(b, tableMagic, tableSize(len(refs))-skippableHeader)
	for _, r := range refs {
		b = append(b, r.Hash[:]...)
		b = binary.LittleEndian.AppendUint64(b, uint64(r.Offset))
		b = binary.LittleEndian.AppendUint32(b, r.Stored)
		b = binary.LittleEndian.AppendUint32(b, r.Length)
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(len(refs)))
	b = binary.LittleEndian.AppendUint16(b, version)
	return append(b, trailerMagic[:]...)
}

// parseTable reads what appendTable wrote. The frames must follow each other
// from offset 0 on; end is where the last one ends.
func parseTable(b []byte) (refs []Ref, end int64, err error) {
	n, err := parseTrailer(b[len(b)-trailerSize:])
	if err != nil {
		return nil, 0, err
	}
	if tableSize(n) != int64(len(b)) {
		return nil, 0, fmt.Errorf("%d bytes for %d chunks", len(b), n)
	}
	if err := checkSkippable(b, tableMagic, int64(len(b))-skippableHeader); err != nil {
		return nil, 0, err
	}
	refs = make([]Ref, n)
	for i := range refs {
		e := b[skippableHeader+i*entrySize:]
		r := Ref{
			Hash:   safe.Digest(e[:32]),
			Offset: int64(binary.LittleEndian.Uint64(e[32:])),
			Stored: binary.LittleEndian.Uint32(e[40:]),
			Length: binary.LittleEndian.Uint32(e[44:]),
		}
		if err := r.check(); err != nil {
			return nil, 0, fmt.Errorf("entry %d: %w", i, err)
		}
		if r.Offset != end {
			return nil, 0, fmt.Errorf("entry %d: a frame at offset %d, the one before ends at %d", i, r.Offset, end)
		}
		end += int64(r.Stored)
		refs[i] = r
	}
	return refs, end, nil
}

// parseTrailer reads the last bytes of a pack and returns how many chunks it
// has.
func parseTrailer(b []byte) (n int, err error) {
	if [4]byte(b[6:10]) != trailerMagic {
		return 0, errors.New("the last bytes are not those of a pack")
	}
	if v := binary.LittleEndian.Uint16(b[4:]); v != version {
		return 0, fmt.Errorf("version %d, this program knows version %d", v, version)
	}
	count := binary.LittleEndian.Uint32(b)
	if count > MaxChunks {
		return 0, fmt.Errorf("%d chunks, at most %d are possible", count, MaxChunks)
	}
	return int(count), nil
}

func appendSkippable(b []byte, magic uint32, size int64) []byte {
	b = binary.LittleEndian.AppendUint32(b, magic)
	return binary.LittleEndian.AppendUint32(b, uint32(size))
}

// checkSkippable reports whether b begins a skippable frame as it is expected.
func checkSkippable(b []byte, magic uint32, size int64) error {
	if m := binary.LittleEndian.Uint32(b); m != magic {
		return fmt.Errorf("a frame with the magic number %08x, want %08x", m, magic)
	}
	if s := int64(binary.LittleEndian.Uint32(b[4:])); s != size {
		return fmt.Errorf("a skippable frame of %d bytes, want %d", s, size)
	}
	return nil
}

// padme returns the length to which n is padded: at most 12 % more, less the
// longer it is.
func padme(n int64) int64 {
	if n < 2 {
		return n
	}
	e := bits.Len64(uint64(n)) - 1
	s := bits.Len(uint(e))
	mask := int64(1)<<(e-s) - 1
	return (n + mask) &^ mask
}
