// Package scrub finds damage in a store without any key, decides what can be
// repaired and from what, and repairs it.
//
// The three are apart. Check only reads: it compares everything that is in a
// store with the Truth, which is what the ledger says must be there. Plan does
// no I/O. Repair looks again before each step, writes only what it has
// verified, and keeps what it replaces; it may be stopped anywhere and begun
// again.
//
//	packs, roots, sketches    must hash to their names
//	small objects             must hash to what the ledger says; so must their copies
//	checkpoints               must be signed, and agree with the ledger's tree
//	parity                    must be sound, and of the pack of its name
//	snapshots                 every pack and root that a description needs must be there
//	all else                  is something that nobody of this safe put there
//
// What is not promised: whether a pack can be opened and holds what its
// snapshot lists, only a restore with keys tells. An older checkpoint that is
// gone with its copy is not missed, since newer ones cover what it covered.
// What is unknown is only reported, never touched.
package scrub

import (
	"encoding/binary"
	"slices"
	"time"

	"strongroom/internal/safe"
	"strongroom/internal/store/layout"
)

// A Problem says what is wrong at a name.
type Problem string

const (
	// Missing: it must be there and is not.
	Missing Problem = "missing"
	// Damaged: it has other bytes than it must have, cannot be read, or is not
	// an object at all.
	Damaged Problem = "damaged"
	// Unproven: its name has a place in the store, but the ledger knows
	// nothing of it.
	Unproven Problem = "unproven"
	// Contradiction: it was recorded or signed by this safe, and does not go
	// with the rest of the ledger.
	Contradiction Problem = "contradiction"
	// Unknown: nothing of this version has such a name.
	Unknown Problem = "unknown"
)

// A Finding is one thing that is wrong in a store.
type Finding struct {
	Name    string  `json:"name"` // where; may be no valid name of an object: %q it
	Problem Problem `json:"problem"`
	Why     string  `json:"why"` // in words for people
	// Snapshots are those that need the object, by their runs, ascending.
	Snapshots []safe.RunID `json:"snapshots,omitempty"`
	// Parity tells of a pack that there is a parity object of its name.
	Parity bool `json:"parity,omitempty"`
}

// Known reports whether p is one of the problems above, for those who are told
// of it by another process.
func (p Problem) Known() bool {
	return slices.Contains([]Problem{Missing, Damaged, Unproven, Contradiction, Unknown}, p)
}

// Harmful reports whether something that must be in the store is not there as
// it must be.
func (f Finding) Harmful() bool { return f.Problem == Missing || f.Problem == Damaged }

// A Report is what Check has found.
type Report struct {
	Objects  int64     // that were read, or looked for in vain
	Bytes    int64     // that were read
	Findings []Finding // ascending by name
}

// Harmed counts the findings that are Harmful.
func (r Report) Harmed() int64 {
	var n int64
	for _, f := range r.Findings {
		if f.Harmful() {
			n++
		}
	}
	return n
}

// Options tunes a Check. The zero value is ready to use.
type Options struct {
	// Packs is the share of the packs, with their parity, that is read. Of the
	// others only presence and size are looked at; everything else is always
	// read.
	Packs Share
	// Workers is how many objects are read at the same time; 0 means 2, which
	// keeps a disk busy while SHA-256 is computed.
	Workers int
	// Progress, which may be nil, is called after each object, from one
	// goroutine at a time.
	Progress func(Progress)
}

// Progress says how far a Check has come.
type Progress struct {
	Objects int64 `json:"objects"`
	Bytes   int64 `json:"bytes"`
}

// A Share is a part of all packs, chosen by their digests: turn number Turn,
// from 0, of Of turns. The zero value is all packs.
type Share struct {
	Turn int `json:"turn"`
	Of   int `json:"of"`
}

// NoPacks is the empty Share.
var NoPacks = Share{Turn: -1, Of: 1}

// ShareOn returns the share for a day, so that on any days consecutive days
// every pack has its turn once.
func ShareOn(day time.Time, days int) Share {
	if days <= 1 {
		return Share{}
	}
	const seconds = 24 * 60 * 60
	n := int(day.Unix() / seconds % int64(days))
	return Share{Turn: (n + days) % days, Of: days}
}

func (s Share) includes(pack safe.Digest) bool {
	return s.Of == 0 || int(binary.BigEndian.Uint32(pack[:])%uint32(s.Of)) == s.Turn
}

// copies yields a small object's name and that of its copy.
func copies(n layout.Name) [2]layout.Name {
	second := n
	second.Copied = true
	return [2]layout.Name{n, second}
}
