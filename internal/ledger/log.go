package ledger

import (
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

// maxSize bounds the entries of a log. tlog's loops do not end for sizes
// above 2^62, so every size from outside is compared with this first.
const maxSize = 1 << 40

func checkSize(size int64) error {
	if size < 0 || size > maxSize {
		return fmt.Errorf("a ledger of %d entries is not possible", size)
	}
	return nil
}

// A Head stands for the whole content of a log of some size.
type Head struct {
	Size int64     // entries
	Root tlog.Hash // of their Merkle tree
}

// HeadOf returns the head of the first size entries of the log whose hashes
// are given.
func HeadOf(size int64, hashes tlog.HashReader) (Head, error) {
	if err := checkSize(size); err != nil {
		return Head{}, err
	}
	root, err := tlog.TreeHash(size, hashes)
	if err != nil {
		return Head{}, fmt.Errorf("computing the ledger's root at %d entries: %w", size, err)
	}
	return Head{Size: size, Root: root}, nil
}

// Append works out what adding entry to a log of size entries comes to: the
// hashes to store, which take the indexes from tlog.StoredHashCount(size) on,
// and the head of the longer log. hashes reads those that were stored before.
// An entry that ParseEntry refuses is an error, so that nothing malformed ever
// gets into a log.
func Append(size int64, hashes tlog.HashReader, entry []byte) (added []tlog.Hash, head Head, err error) {
	if err := checkSize(size + 1); err != nil {
		return nil, Head{}, err
	}
	if _, err := ParseEntry(entry); err != nil {
		return nil, Head{}, fmt.Errorf("adding entry %d to the ledger: %w", size, err)
	}
	added, err = tlog.StoredHashes(size, entry, hashes)
	if err != nil {
		return nil, Head{}, fmt.Errorf("adding entry %d to the ledger: %w", size, err)
	}
	head, err = HeadOf(size+1, overlay{hashes, tlog.StoredHashCount(size), added})
	return added, head, err
}

// overlay reads hashes that have been added to a log and are not stored yet.
type overlay struct {
	stored tlog.HashReader
	count  int64 // of stored hashes
	added  []tlog.Hash
}

func (o overlay) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var old []int64
	for _, index := range indexes {
		if index < o.count {
			old = append(old, index)
		}
	}
	found, err := o.stored.ReadHashes(old)
	if err != nil {
		return nil, err
	}
	if len(found) != len(old) {
		return nil, fmt.Errorf("%d hashes were asked for, %d were read", len(old), len(found))
	}
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		if index < o.count {
			hashes[i], found = found[0], found[1:]
		} else {
			hashes[i] = o.added[index-o.count]
		}
	}
	return hashes, nil
}

// frontier is what must be remembered of a log to go on computing its root:
// the roots of the full subtrees that its size in binary has as ones, the
// largest first. For 11 = 8+2+1 entries:
//
//	[--------8--------][-2-][1]
type frontier struct {
	size  int64
	roots []tlog.Hash
}

func (f *frontier) add(entry []byte) {
	hash := tlog.RecordHash(entry)
	// Like a carry in addition: each full subtree of the same height on the
	// left is joined with the one that was just completed.
	for size := f.size; size&1 == 1; size >>= 1 {
		last := len(f.roots) - 1
		hash = tlog.NodeHash(f.roots[last], hash)
		f.roots = f.roots[:last]
	}
	f.roots = append(f.roots, hash)
	f.size++
}

func (f *frontier) head() Head {
	if f.size == 0 {
		return emptyHead
	}
	last := len(f.roots) - 1
	root := f.roots[last]
	for _, left := range slices.Backward(f.roots[:last]) {
		root = tlog.NodeHash(left, root)
	}
	return Head{Size: f.size, Root: root}
}

// emptyHead is the head of a log without entries; RFC 6962 gives it the
// SHA-256 of nothing as its root.
var emptyHead = func() Head {
	root, _ := tlog.TreeHash(0, nil) // reads no hashes
	return Head{Root: root}
}()
