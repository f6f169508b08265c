package memory

import "encoding/binary"

// A filter (Bloom's) says of most tags that are not there that they are not,
// so that new content costs no reads. An empty one has nothing.
type filter []byte

const (
	filterProbes = 7
	maxFilter    = 32 << 20 // bytes; beyond 26 million tags of 10 bits more absent ones pass
)

// Bits for each tag. An absent one that passes costs unsealing a block, a tenth
// of a millisecond.
const (
	indexBits  = 10 // 8 in 1,000 pass
	recallBits = 14 // 1.5 in 1,000 pass each of the filters that a run asks
)

func newFilter(tags, bits uint64) filter {
	return make(filter, min((tags*bits+7)/8, maxFilter))
}

func (f filter) add(t tag) {
	for i := range filterProbes {
		bit := f.probe(t, i)
		f[bit/8] |= 1 << (bit % 8)
	}
}

func (f filter) mayHave(t tag) bool {
	if len(f) == 0 {
		return false
	}
	for i := range filterProbes {
		bit := f.probe(t, i)
		if f[bit/8]&(1<<(bit%8)) == 0 {
			return false
		}
	}
	return true
}

// probe returns the ith bit that stands for t. Tags being digests, their halves
// serve as the two hashes from which all probes are made.
func (f filter) probe(t tag, i int) uint64 {
	first := binary.BigEndian.Uint64(t[:8])
	step := binary.BigEndian.Uint64(t[8:]) | 1
	return (first + uint64(i)*step) % (uint64(len(f)) * 8)
}
