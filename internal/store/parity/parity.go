// Package parity makes and uses Reed-Solomon parity for an object, so that
// rot, bad sectors and a missing end can be repaired from what is left.
//
// The object is seen as 20 shards, one after the other, of the same length S:
// a twentieth of its size rounded up to 64 bytes, with zeros after the end of
// the object. Two shards of parity are computed byte by byte. Shards are
// divided into blocks of 64 KiB (the last one may be shorter), and the blocks
// at the same place of all 22 shards are a column:
//
//	            column 0   column 1  ...
//	shard  0    [ block ]  [ block ]       object, first twentieth
//	  ...
//	shard 19    [ block ]  [ block ]       object, last twentieth
//	shard 20    [ block ]  [ block ]       parity
//	shard 21    [ block ]  [ block ]       parity
//
// In every column any two blocks can be lost: two shards from end to end, or
// others in each column. The parity object is, little endian,
//
//	head         "SRPR", version u16, size of the object u64, its SHA-256,
//	             CRC-32C of the 22 blocks of column 0, of column 1, ... (u32 each),
//	             SHA-256 of the head so far
//	shard 20
//	shard 21
//	head         again, so that rot in one of them does no harm
//
// The parity is that of the systematic Vandermonde matrix over GF(2^8) with
// the polynomial 0x11d, as in github.com/klauspost/reedsolomon and Backblaze's
// JavaReedSolomon. The same object always has the same parity.
//
// The package is against accidents. Whoever can write to the store can write
// parity that fits; only the SHA-256 of the object, which it must have from
// elsewhere, tells the caller that a repaired object is the right one. That is
// also why blocks have a CRC only: it is to find out which are lost, and
// another SHA-256 of every byte stored would cost ten times the parity.
package parity

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"sync"

	"github.com/klauspost/reedsolomon"

	"strongroom/internal/safe"
)

const (
	dataShards   = 20
	parityShards = 2
	shards       = dataShards + parityShards
	blockSize    = 64 << 10
	align        = 64 // for the vector instructions that compute parity

	version   = 1
	fixedHead = 4 + 2 + 8 + sha256.Size // before the sums
)

var magic = [4]byte{'S', 'R', 'P', 'R'}

var (
	// ErrDamaged says that a parity object is not as it was written. It can be
	// made anew from a sound object.
	ErrDamaged = errors.New("parity is damaged")
	// ErrBeyondRepair says that more is lost than parity can bring back.
	ErrBeyondRepair = errors.New("beyond repair")
)

// errVersion is not damage: a newer program wrote the parity.
var errVersion = errors.New("parity has a version that this program does not know")

// A Head says which object a parity object belongs to.
type Head struct {
	Digest safe.Digest // SHA-256 of the object
	Size   int64       // of the object
}

// Size returns the size of the parity of an object of n bytes: about a tenth
// of it, 156 bytes, and 176 for every 1.25 MiB begun.
func Size(n int64) int64 {
	g := gridOf(n)
	return 2*g.headSize() + parityShards*g.shard
}

// grid is how an object is divided.
type grid struct {
	size  int64 // of the object
	shard int64 // length of a shard
}

func gridOf(size int64) grid {
	shard := size / dataShards
	if size%dataShards > 0 {
		shard++
	}
	return grid{size: size, shard: (shard + align - 1) / align * align}
}

func (g grid) columns() int { return int((g.shard + blockSize - 1) / blockSize) }

// width is the length of the blocks of a column.
func (g grid) width(column int) int {
	return int(min(blockSize, g.shard-int64(column)*blockSize))
}

// at is where a block begins, in the object for shards below 20 and in the
// parity object for those above.
func (g grid) at(shard, column int) int64 {
	start := int64(shard) * g.shard
	if shard >= dataShards {
		start = g.headSize() + int64(shard-dataShards)*g.shard
	}
	return start + int64(column)*blockSize
}

func (g grid) headSize() int64 {
	return fixedHead + int64(g.columns())*shards*4 + sha256.Size
}

// head is all that a head holds.
type head struct {
	Head
	sums [][shards]uint32 // by column
}

func (h head) append(b []byte) []byte {
	start := len(b)
	b = append(b, magic[:]...)
	b = binary.LittleEndian.AppendUint16(b, version)
	b = binary.LittleEndian.AppendUint64(b, uint64(h.Size))
	b = append(b, h.Digest[:]...)
	for _, column := range h.sums {
		for _, sum := range column {
			b = binary.LittleEndian.AppendUint32(b, sum)
		}
	}
	sum := sha256.Sum256(b[start:])
	return append(b, sum[:]...)
}

// parseFixed reads the beginning of a head, which tells how long it is.
func parseFixed(b []byte) (Head, error) {
	if [4]byte(b) != magic {
		return Head{}, fmt.Errorf("%w: a head does not begin with %q", ErrDamaged, magic)
	}
	if v := binary.LittleEndian.Uint16(b[4:]); v != version {
		return Head{}, fmt.Errorf("%w: %d", errVersion, v)
	}
	h := Head{Size: int64(binary.LittleEndian.Uint64(b[6:])), Digest: safe.Digest(b[14:fixedHead])}
	if h.Size <= 0 {
		return Head{}, fmt.Errorf("%w: a head is for an object of %d bytes", ErrDamaged, h.Size)
	}
	return h, nil
}

// readHead reads the head at off of a parity object of size bytes. It never
// allocates more than that size.
func readHead(parity io.ReaderAt, off, size int64) (head, error) {
	if off < 0 || size-off < fixedHead {
		return head{}, fmt.Errorf("%w: %d bytes have no room for a head", ErrDamaged, size)
	}
	b := make([]byte, fixedHead)
	if err := readFull(parity, b, off); err != nil {
		return head{}, fmt.Errorf("reading a head of parity: %w", err)
	}
	fixed, err := parseFixed(b)
	if err != nil {
		return head{}, err
	}
	n := gridOf(fixed.Size).headSize()
	if n > size-off {
		return head{}, fmt.Errorf("%w: a head of %d bytes, but %d are left", ErrDamaged, n, size-off)
	}
	b = make([]byte, n)
	if err := readFull(parity, b, off); err != nil {
		return head{}, fmt.Errorf("reading a head of parity: %w", err)
	}
	return parseHead(b)
}

// findHead returns the head of a parity object from its beginning or, if that
// is lost, from its end. damage is why the other one cannot be trusted.
func findHead(parity io.ReaderAt, size int64) (h head, damage, err error) {
	first, firstErr := readHead(parity, 0, size)
	n := headSizeIn(size)
	second, secondErr := readHead(parity, size-n, size)
	if firstErr != nil && secondErr != nil {
		return head{}, nil, firstErr
	}
	h, damage = first, secondErr
	if firstErr != nil {
		h, damage = second, firstErr
	}
	switch {
	case size != Size(h.Size):
		damage = fmt.Errorf("%w: it has %d bytes, want %d", ErrDamaged, size, Size(h.Size))
	case errors.Is(damage, errVersion), damage == nil && !bytes.Equal(first.append(nil), second.append(nil)):
		damage = fmt.Errorf("%w: its two heads differ", ErrDamaged)
	}
	return h, damage, nil
}

// headSizeIn tells from the size of a whole parity object how long a head of
// it is.
func headSizeIn(paritySize int64) int64 {
	// Each half is a head and a shard: fixed bytes, and for each column its
	// sums and up to a block.
	const fixed, sums = fixedHead + sha256.Size, shards * 4
	columns := (paritySize/2 - fixed + blockSize + sums - 1) / (blockSize + sums)
	return fixed + columns*sums
}

// parseHead reads a head of exactly len(b) bytes.
func parseHead(b []byte) (head, error) {
	if len(b) < fixedHead {
		return head{}, fmt.Errorf("%w: a head of %d bytes", ErrDamaged, len(b))
	}
	fixed, err := parseFixed(b)
	if err != nil {
		return head{}, err
	}
	g := gridOf(fixed.Size)
	if g.headSize() != int64(len(b)) {
		return head{}, fmt.Errorf("%w: a head of %d bytes, want %d", ErrDamaged, len(b), g.headSize())
	}
	body := b[:len(b)-sha256.Size]
	if sha256.Sum256(body) != [sha256.Size]byte(b[len(body):]) {
		return head{}, fmt.Errorf("%w: a head does not have the SHA-256 that it says", ErrDamaged)
	}
	h := head{Head: fixed, sums: make([][shards]uint32, g.columns())}
	b = body[fixedHead:]
	for c := range h.sums {
		for s := range shards {
			h.sums[c][s] = binary.LittleEndian.Uint32(b)
			b = b[4:]
		}
	}
	return h, nil
}

// readFull fills b. That there are so many bytes is expected, so an end
// before that is an error of its own.
func readFull(src io.ReaderAt, b []byte, off int64) error {
	n, err := src.ReadAt(b, off)
	if n == len(b) {
		return nil
	}
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// readBlock fills b from off with what the object has there, and with zeros
// after its end.
func (g grid) readBlock(object io.ReaderAt, b []byte, off int64) error {
	n := int(max(0, min(int64(len(b)), g.size-off)))
	clear(b[n:])
	if n == 0 {
		return nil
	}
	return readFull(object, b[:n], off)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func sum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// code is safe for concurrent use. One goroutine at a time is enough for
// blocks of this size, and leaves the others to those who asked for them.
var code = sync.OnceValue(func() reedsolomon.Encoder {
	c, err := reedsolomon.New(dataShards, parityShards, reedsolomon.WithMaxGoroutines(1))
	if err != nil {
		panic(fmt.Sprintf("parity: making a Reed-Solomon code: %v", err)) // only for impossible numbers of shards
	}
	return c
})

// newColumn returns room for the blocks of any column.
func (g grid) newColumn() (blocks [shards][]byte) {
	for s := range blocks {
		blocks[s] = make([]byte, g.width(0))
	}
	return blocks
}

// Write computes the parity of object, which has size bytes and the given
// digest, and writes it to dst; it returns how many bytes that were. What it
// reads it does not check against the digest. It keeps the parity, a tenth of
// the object, in memory.
func Write(dst io.Writer, object io.ReaderAt, size int64, digest safe.Digest) (int64, error) {
	if size <= 0 {
		return 0, fmt.Errorf("writing parity: an object of %d bytes", size)
	}
	g := gridOf(size)
	h := head{Head: Head{Digest: digest, Size: size}, sums: make([][shards]uint32, g.columns())}
	parity := make([]byte, parityShards*g.shard)
	room := g.newColumn()
	blocks := make([][]byte, shards)
	for c := range h.sums {
		for s := range dataShards {
			blocks[s] = room[s][:g.width(c)]
			if err := g.readBlock(object, blocks[s], g.at(s, c)); err != nil {
				return 0, fmt.Errorf("writing parity: reading back the object: %w", err)
			}
		}
		for s := dataShards; s < shards; s++ {
			blocks[s] = parity[g.at(s, c)-g.headSize():][:g.width(c)]
		}
		if err := code().Encode(blocks); err != nil {
			return 0, fmt.Errorf("writing parity: %w", err)
		}
		for s, b := range blocks {
			h.sums[c][s] = sum(b)
		}
	}
	var written int64
	head := h.append(nil)
	for _, part := range [][]byte{head, parity, head} {
		n, err := dst.Write(part)
		written += int64(n)
		if err != nil {
			return written, fmt.Errorf("writing parity: %w", err)
		}
	}
	return written, nil
}

// Check reads a parity object of size bytes and finds any change in it,
// without the object that it belongs to. The error is ErrDamaged for a change;
// others are those of reading.
func Check(parity io.ReaderAt, size int64) (Head, error) {
	h, damage, err := findHead(parity, size)
	if err != nil {
		return Head{}, err
	}
	if damage != nil {
		return Head{}, damage
	}
	g := gridOf(h.Size)
	room := make([]byte, blockSize)
	for s := dataShards; s < shards; s++ {
		for c := range h.sums {
			b := room[:g.width(c)]
			if err := readFull(parity, b, g.at(s, c)); err != nil {
				return Head{}, fmt.Errorf("reading parity: %w", err)
			}
			if sum(b) != h.sums[c][s] {
				return Head{}, fmt.Errorf("%w: %d bytes at offset %d", ErrDamaged, len(b), g.at(s, c))
			}
		}
	}
	return h.Head, nil
}
