// Package ledgertest keeps a ledger in memory, for tests.
package ledgertest

import (
	"fmt"
	"iter"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"strongroom/internal/ledger"
)

// A Log is a ledger in memory. The zero value is empty and ready to use. It
// is a tlog.HashReader of its own hashes, so that proofs can be made from it.
type Log struct {
	entries [][]byte
	hashes  []tlog.Hash
}

// Append adds an event of the safe and returns the new head.
func (l *Log) Append(at time.Time, what ledger.Event) (ledger.Head, error) {
	b, err := ledger.Entry{Time: at.UTC(), Who: ledger.Safe, What: what}.Encode()
	if err != nil {
		return ledger.Head{}, err
	}
	return l.AppendBytes(b)
}

// AppendBytes adds an encoded entry and returns the new head.
func (l *Log) AppendBytes(entry []byte) (ledger.Head, error) {
	added, head, err := ledger.Append(l.Size(), l, entry)
	if err != nil {
		return ledger.Head{}, err
	}
	l.entries = append(l.entries, slices.Clone(entry))
	l.hashes = append(l.hashes, added...)
	return head, nil
}

// Size returns the number of entries.
func (l *Log) Size() int64 { return int64(len(l.entries)) }

// Entries yields the bytes of all entries, as ledger.Verify takes them.
func (l *Log) Entries() iter.Seq2[[]byte, error] { return Seq(l.entries) }

// ReadHashes implements tlog.HashReader.
func (l *Log) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		if index < 0 || index >= int64(len(l.hashes)) {
			return nil, fmt.Errorf("hash %d of %d was asked for", index, len(l.hashes))
		}
		hashes[i] = l.hashes[index]
	}
	return hashes, nil
}

// Seq yields entries that may have been tampered with.
func Seq(entries [][]byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for _, entry := range entries {
			if !yield(entry, nil) {
				return
			}
		}
	}
}
