// Package source is the contract of everything that can be pulled: a source
// yields entries in path order, each with metadata and, where wanted, a reader
// of its content.
//
// A source never writes anywhere, never executes what it receives, and treats
// everything from production as hostile: names, sizes, endless streams, links,
// cycles, stalls. What it promises is stated at Source, and sourcetest checks
// it for every kind.
package source

import (
	"context"
	"fmt"
	"io"
	"iter"

	"strongroom/internal/safe"
)

// A Source is something that can be pulled once. Making one does no I/O.
type Source interface {
	// Pull yields every entry that the source was asked for, each path once,
	// strictly ascending by safe.ComparePaths, every path valid by
	// safe.CheckPath. A folder on the way to an entry is an entry too, so that
	// the folder of every entry precedes it.
	//
	// Content may be opened ahead of the yield, many files at a time; need
	// decides for which. An Item's Content must be read and closed before the
	// next Item is asked for, and is invalid afterwards.
	//
	// Problems with single entries go to request.Report and do not end the
	// sequence. A non-nil error is the last thing yielded: the collection
	// cannot go on (the connection is gone, a limit was reached) and is not
	// complete. Cancelling ctx ends the sequence with an error within a
	// second, also when the other side is silent.
	//
	// Everything that Pull opened is closed when the sequence ends, also when
	// the consumer stops early.
	Pull(ctx context.Context, request Request) iter.Seq2[Item, error]

	// Matches tells, after Pull has ended, how many entries each line of the
	// include and exclude lists matched, in the order of the configuration.
	Matches() []Match
}

// Request is what the consumer of a Pull wants.
type Request struct {
	// Need decides whether the content of a file is wanted; nil wants all.
	// It is called once for every entry of type file, in path order, never
	// concurrently with itself, possibly well ahead of the yield of that
	// entry and from another goroutine than the consumer's.
	Need func(safe.Entry) bool
	// Report takes problems with single entries; nil discards them. It is
	// called on the consumer's goroutine: between two Items, or while a
	// method of Content runs. So it needs no lock.
	Report func(Problem)
}

// An Item is one entry with its content.
type Item struct {
	safe.Entry
	// Content is nil if the entry has none (it is not a file or stream), or if
	// it was not needed. A Read that fails with a *Problem concerns this entry
	// only: its content so far is to be dropped, and the sequence goes on;
	// that Problem is not reported again. Any other error from Read will also
	// end the sequence.
	//
	// The content of a stream that broke off, or whose end cannot be trusted,
	// ends with io.EOF like another: part of a dump is better than none. The
	// sequence then ends with the error that says why.
	//
	// Entry.Size is what the file had when it was listed. A file that changed
	// meanwhile (Problem Changed, reported before Read returns io.EOF) yields
	// more or less than that: record the number of bytes that were read.
	Content io.ReadCloser
}

// Limits bounds what one Pull takes. For rate and duration a source needs no
// limits of its own: it reads only a little ahead of its consumer, and ends
// with its context.
type Limits struct {
	Bytes   int64 // of content; 0 means no limit
	Entries int64 // 0 means no limit
	// FolderEntries bounds one folder, whose names must be sorted in memory;
	// 0 means 5,000,000. What is beyond is not seen, and the folder is a
	// Problem.
	FolderEntries int
	// Growth is by how much a file may have grown beyond twice the size that
	// it was listed with, before it counts as endless; 0 means 64 MiB.
	Growth int64
}

// A LimitError ends a Pull that reached one of its Limits.
type LimitError struct {
	What  string // "bytes" or "entries"
	Limit int64
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("the source has more than the %d %s that its limit allows", e.Limit, e.What)
}

// A Match is how often one line of an include or exclude list applied.
type Match struct {
	Pattern string `json:"pattern"`
	Exclude bool   `json:"exclude,omitempty"`
	Entries int64  `json:"entries"`
}

// Kind says what a Problem means for the collection.
type Kind string

const (
	// Changed: the file changed while it was read, so its content may be a
	// mixture. It is kept, with a warning.
	Changed Kind = "changed"
	// Vanished: the entry was listed and was gone when it was opened. A
	// warning; nothing is kept of it.
	Vanished Kind = "vanished"
	// Unreadable: the entry exists and cannot be read or listed. The
	// collection is not complete unless the source's configuration allows it.
	Unreadable Kind = "unreadable"
	// Invalid: the name cannot be taken (".." or "/" or NUL in it, too long),
	// or the other side contradicted itself. The collection is not complete.
	Invalid Kind = "invalid"
	// Missing: a line of the include list names one path, without wildcards,
	// and nothing is there. The collection is not complete unless the source's
	// configuration allows it: what was specified may have moved, or a
	// filesystem may not be mounted.
	Missing Kind = "missing"
	// Unmatched: a line of the include list with wildcards matched nothing. A
	// warning.
	Unmatched Kind = "unmatched"
	// Unseen: something that is looked at where it is there may not be read. A
	// warning.
	Unseen Kind = "unseen"
	// Complaint: the program that makes the entry wrote to its standard error.
	// A warning.
	Complaint Kind = "complaint"
)

// A Problem is something wrong with one entry.
type Problem struct {
	Kind Kind
	Path string // may be invalid as a path if Kind is Invalid; %q it
	Err  error  // what was seen; never file content, never a secret
}

func (p *Problem) Error() string { return fmt.Sprintf("%q: %s: %v", p.Path, p.Kind, p.Err) }
func (p *Problem) Unwrap() error { return p.Err }
