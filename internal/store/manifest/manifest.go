// Package manifest reads and writes the list of what a snapshot contains:
// JSON Lines in path order, first a header, then one line per entry, last a
// line of totals. docs/format.md describes it for other readers.
//
// There is one spelling: fields in a fixed order, no blanks, fields without a
// value left out. That makes lines quick to write and to check, and equal
// entries equal bytes, which is what lets manifests deduplicate.
//
// A Reader trusts nothing: paths, order, folders, types and sizes are checked
// line by line in constant memory, so that what it hands out can be restored
// without further thought.
package manifest

import (
	"time"

	"strongroom/internal/safe"
)

const (
	// version of the format, in the header.
	version = 1

	// ChunksPerLine bounds a line: an entry with more chunks goes on in lines
	// of its own, so that a reader needs no more memory for a file of
	// terabytes than for a small one.
	ChunksPerLine = 1024

	// maxLine is more than the longest line that can be written: 1,024 chunks
	// of at most 260 bytes, a path and a target of 4,096 bytes in base64 or
	// escaped, and extended attributes (see maxXattrs).
	maxLine = 1 << 20

	// maxXattrs bounds the extended attributes of one entry, names and values
	// together. Linux allows 64 KiB for each value, filesystems usually one
	// block for all of them.
	maxXattrs = 256 << 10

	// maxOwner bounds the names of user and group. LOGIN_NAME_MAX of Linux is
	// 256; with a domain before it a name may be longer.
	maxOwner = 1024

	// maxChunk is the greatest length of a chunk that a manifest may name.
	maxChunk = 4 << 20
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

// An Entry is one name with the places of its content.
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
