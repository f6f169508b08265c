package parity

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"strongroom/internal/safe"
)

// A Report says what Repair did.
type Report struct {
	Head
	// Rebuilt are the parts of the object that were lost, ascending.
	Rebuilt []Range
	// ParityDamaged tells that the parity object itself is not sound and
	// should be written anew.
	ParityDamaged bool
}

// A Range is a part of an object.
type Range struct{ Offset, Length int64 }

// place names a block.
type place struct{ shard, column int }

// Repair writes to dst the object that parity belongs to, taken from what is
// left of it and rebuilt where it is lost. A block is lost if it has another
// checksum, is beyond the end, or cannot be read. Bytes of object after the
// end of the true object do not count.
//
// What was written is right only if the error is nil: then it has the SHA-256
// that the head of parity names. ErrBeyondRepair says that too much is lost;
// it also wraps the first error met in reading, if any, because what cannot be
// read now may be readable another time. Repair keeps the rebuilt parts in
// memory, a tenth of the object at most.
func Repair(dst io.Writer, object io.ReaderAt, objectSize int64, parity io.ReaderAt, paritySize int64) (Report, error) {
	h, damage, err := findHead(parity, paritySize)
	if err != nil {
		return Report{}, fmt.Errorf("%w: no head of the parity is left: %w", ErrBeyondRepair, err)
	}
	r := repair{
		grid:   gridOf(h.Size),
		head:   h,
		object: io.NewSectionReader(object, 0, objectSize),
		parity: io.NewSectionReader(parity, 0, paritySize),
		fixed:  make(map[place][]byte),
		report: Report{Head: h.Head, ParityDamaged: damage != nil},
	}
	room := r.newColumn()
	for c := range h.sums {
		if err := r.column(c, room); err != nil {
			return Report{}, err
		}
	}
	if err := r.write(dst, room[0]); err != nil {
		return Report{}, err
	}
	return r.report, nil
}

// repair is the state of one Repair.
type repair struct {
	grid
	head    head
	object  io.ReaderAt
	parity  io.ReaderAt
	fixed   map[place][]byte // rebuilt blocks of the object
	readErr error            // the first, other than an early end
	report  Report
}

// column finds out which blocks of a column are lost, and rebuilds those of
// the object.
func (r *repair) column(c int, room [shards][]byte) error {
	blocks := make([][]byte, shards)
	var lostData []int
	lostParity := 0
	for s := range shards {
		b := room[s][:r.width(c)]
		var err error
		if s < dataShards {
			err = r.readBlock(r.object, b, r.at(s, c))
		} else {
			err = readFull(r.parity, b, r.at(s, c))
		}
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && r.readErr == nil {
			r.readErr = err
		}
		switch {
		case err == nil && sum(b) == r.head.sums[c][s]:
			blocks[s] = b
		case s < dataShards:
			lostData = append(lostData, s)
		default:
			lostParity++
			r.report.ParityDamaged = true
		}
	}
	if len(lostData) == 0 {
		return nil
	}
	if lost := len(lostData) + lostParity; lost > parityShards {
		err := fmt.Errorf("%w: %d of %d blocks are lost in column %d, the first at offset %d; parity can bring back %d",
			ErrBeyondRepair, lost, shards, c, r.at(lostData[0], c), parityShards)
		if r.readErr != nil {
			err = fmt.Errorf("%w; reading: %w", err, r.readErr)
		}
		return err
	}
	if err := code().ReconstructData(blocks); err != nil {
		return fmt.Errorf("rebuilding column %d: %w", c, err)
	}
	for _, s := range lostData {
		r.fixed[place{s, c}] = blocks[s] // allocated by ReconstructData
	}
	return nil
}

// write writes the object to dst, using room for a block, and checks its
// digest.
func (r *repair) write(dst io.Writer, room []byte) error {
	hash := sha256.New()
	dst = io.MultiWriter(dst, hash)
	for s := range dataShards {
		for c := range r.columns() {
			off := r.at(s, c)
			n := min(int64(r.width(c)), r.size-off)
			if n <= 0 {
				continue
			}
			b, rebuilt := r.fixed[place{s, c}]
			if rebuilt {
				r.note(Range{off, n})
			} else {
				b = room[:n]
				if err := readFull(r.object, b, off); err != nil {
					return fmt.Errorf("reading a damaged object again: %w", err)
				}
			}
			if _, err := dst.Write(b[:n]); err != nil {
				return fmt.Errorf("writing a repaired object: %w", err)
			}
		}
	}
	if got := safe.Digest(hash.Sum(nil)); got != r.head.Digest {
		return fmt.Errorf("%w: the result has the SHA-256 %s, want %s", ErrBeyondRepair, got, r.head.Digest)
	}
	return nil
}

// note adds a part to the report, which comes after those that are there.
func (r *repair) note(part Range) {
	if n := len(r.report.Rebuilt); n > 0 {
		if last := &r.report.Rebuilt[n-1]; last.Offset+last.Length == part.Offset {
			last.Length += part.Length
			return
		}
	}
	r.report.Rebuilt = append(r.report.Rebuilt, part)
}
