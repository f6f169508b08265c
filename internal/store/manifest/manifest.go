// Package manifest reads and writes the list of what a snapshot contains:
// JSON Lines in path order, first a header, then one line per entry, last a
// line of totals. docs/format.md describes it for other readers.
//
// A Reader trusts nothing: paths, order, folders, types and sizes are checked
// line by line in constant memory, so that what it hands out can be restored
// without further thought.
package manifest

import (
	"time"

	"strongroom/internal/safe"
)

// A Header is the first line.
type Header struct {
	Version int             `json:"v"`
	Store   safe.StoreID    `json:"store"`
	Run     safe.RunID      `json:"run"`
	Source  safe.SourceName `json:"source"`
	Kind    string          `json:"kind"`
	Started time.Time       `json:"started"`
}

// An Entry is a line between the first and the last.
type Entry struct {
	safe.Entry
	// Chunks make up the content of a file or stream, in order; their lengths
	// add up to Size.
	Chunks []Chunk
}

// A Chunk says where a piece of content is.
type Chunk struct {
	Hash   safe.Digest // SHA-256 of the plaintext
	Run    safe.RunID
	Pack   safe.Digest
	Offset int64  // of the frame in the decrypted pack
	Stored uint32 // length of the frame
	Length uint32 // length of the plaintext
}

// Totals is the last line. A manifest without it was cut short.
type Totals struct {
	Entries int64 `json:"entries"`
	Bytes   int64 `json:"bytes"` // of content, duplicates counted
}
