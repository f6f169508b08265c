package intake

import (
	"encoding/binary"
	"testing"

	"strongroom/internal/safe"
)

// So many of the newest are found as are promised, and what is asked for is
// among the newest again, while there are never more than two generations.
func TestPlacedForgetsTheOldest(t *testing.T) {
	var p placed
	hash := func(i int) (h safe.Digest) {
		binary.BigEndian.PutUint64(h[:], uint64(i))
		return h
	}
	const asked, all = 7, 4 * generation
	for i := range all {
		p.add(hash(i), place{offset: uint32(i)})
		if n := len(p.young) + len(p.old); n > 2*generation {
			t.Fatalf("%d places are remembered", n)
		}
		if i > asked && i%(generation/2) == 0 {
			if at, ok := p.find(hash(asked)); !ok || at.offset != asked {
				t.Errorf("what comes again and again: %v, %v after %d", at, ok, i)
			}
		}
	}
	for i := all - generation; i < all; i++ {
		if at, ok := p.find(hash(i)); !ok || at.offset != uint32(i) {
			t.Fatalf("%d of %d: %v, %v", i, all, at, ok)
		}
	}
	if at, ok := p.find(hash(asked + 1)); ok {
		t.Errorf("one of the first is remembered at %v", at)
	}
}
