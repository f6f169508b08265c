// Package tree pulls a tree of files: it walks what the include and exclude
// lines of a source ask for, in path order, reads content ahead, and judges
// what happened to a file between listing and reading. What the tree is made
// of (the own disk, a host behind SFTP) comes from an implementation of Tree.
//
// The walk holds the names of one folder, of the folders above it, and a
// bounded part of a few folders ahead; never the whole tree. It trusts nothing
// that a Tree says: names are checked, repeated ones refused, sizes compared
// with what was read. It does not follow symbolic links.
package tree

import (
	"context"
	"errors"
	"io"
	"time"

	"strongroom/internal/safe"
)

// A Tree is a tree of files. Its methods and those of its folders and files
// may be called concurrently.
//
// Errors: one that wraps fs.ErrNotExist means the entry is not there, a *Fatal
// that nothing more can be read from this Tree, a *source.Problem says itself
// what it means (its Path is filled in here); any other, that the entry cannot
// be read.
type Tree interface {
	// Root returns the folder "/" for passing through.
	Root() (Dir, error)
	// Interrupt makes all calls that are under way, and all later ones, return
	// soon with an error.
	Interrupt()
}

// A Distant is a Tree behind a line on which every answer takes its time, so
// that much is asked for at once.
type Distant interface {
	Tree
	// Handles is how many files and folders may be open at a time.
	Handles() int
}

// A Dir is a folder. Until it is closed, it stays the same folder even if its
// name leads elsewhere by now, as far as the kind of tree can promise that.
type Dir interface {
	// Sub returns the folder called name. If list is false, only its entries
	// that are known by name will be asked for.
	Sub(name string, list bool) (Dir, error)
	// Names calls add for every name in the folder but "." and "..", in any
	// order, until add returns an error, which it passes on.
	Names(add func(Name) error) error
	// Describe returns what there is to know of an entry, without following
	// a symbolic link.
	Describe(Name) (Stat, error)
	Readlink(name string) (string, error)
	// Open opens a regular file, and no symbolic link. The File may begin to
	// read ahead, at most Ahead bytes until its Read is called.
	Open(name string, listed safe.Entry) (File, error)
	Close()
}

// Ahead is how much of a file may be held in memory before its turn has come.
const Ahead = 2 << 20

// A File is an open file.
type File interface {
	io.ReadCloser
	// Stat returns size and times as they are once Read has returned io.EOF.
	Stat() (safe.Entry, error)
}

// A Name is an entry of a listing. The attributes are there if Listed is true:
// some trees have to ask for them one by one. There may be millions of Names
// in memory, hence the plain numbers.
type Name struct {
	Name   string
	Size   int64
	Mode   uint32 // as in stat(2), type included
	UID    uint32
	GID    uint32
	MTime  uint32 // seconds
	Listed bool
}

// A Stat describes an entry; its Path is left empty.
type Stat struct {
	safe.Entry
	// File identifies a file that has several names, by device and inode;
	// zero if it has but one.
	File  [2]uint64
	Links uint64 // how many names it has
}

// Fatal wraps an error after which nothing more can be read from a Tree.
type Fatal struct{ Err error }

func (f *Fatal) Error() string { return f.Err.Error() }
func (f *Fatal) Unwrap() error { return f.Err }

func isFatal(err error) bool {
	var f *Fatal
	return errors.As(err, &f) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// The type bits of stat(2), which SFTP sends as well.
const (
	typeMask    = 0o170000
	typeFile    = 0o100000
	typeDir     = 0o040000
	typeSymlink = 0o120000
)

// Entry returns the entry that n describes, if it is Listed.
func (n Name) Entry() safe.Entry {
	e := safe.Entry{Type: TypeOf(n.Mode), Mode: n.Mode & 0o7777, UID: n.UID, GID: n.GID, MTime: time.Unix(int64(n.MTime), 0).UTC()}
	if e.Type == safe.File {
		e.Size = n.Size
	}
	return e
}

// TypeOf reads the type bits of a mode as in stat(2).
func TypeOf(mode uint32) safe.EntryType {
	switch mode & typeMask {
	case typeFile:
		return safe.File
	case typeDir:
		return safe.Dir
	case typeSymlink:
		return safe.Symlink
	}
	return safe.Special
}
