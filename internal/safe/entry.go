package safe

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"
)

// EntryType says what an entry of a source is.
type EntryType string

const (
	File     EntryType = "file"
	Dir      EntryType = "dir"
	Symlink  EntryType = "symlink"
	Hardlink EntryType = "hardlink" // another name of a file that came earlier in path order
	Stream   EntryType = "stream"   // the output of a program, such as a dump: no size is known beforehand
	Special  EntryType = "special"  // a device, socket or pipe: recorded, not stored
)

// An Entry is one name in a source with its metadata, without its content.
type Entry struct {
	// Path is relative to the source's root, slash-separated, any bytes but
	// NUL; see CheckPath.
	Path string
	Type EntryType
	// Mode holds the permission bits with setuid (04000), setgid (02000) and
	// sticky (01000), as chmod(2) takes them.
	Mode  uint32
	UID   uint32
	GID   uint32
	User  string // name of UID on the source; "" if not known
	Group string // name of GID on the source; "" if not known
	MTime time.Time
	// CTime and Inode, where the source shows them, make it harder to change
	// a file unnoticed; zero if not known.
	CTime time.Time
	Inode uint64
	Size  int64 // of a file; of a stream once it has been read
	// Target of a symlink, exactly as stored in it; of a hardlink, the Path of
	// the file it is another name of.
	Target string
	Sparse bool              // the file had holes
	Xattrs map[string][]byte // extended attributes, ACLs among them
}

// MaxPath is the longest path that is taken, in bytes; the PATH_MAX of Linux.
const MaxPath = 4096

// MaxName is the longest component of a path, in bytes; the NAME_MAX of Linux.
const MaxName = 255

// CheckPath reports whether path may be the Path of an entry: not empty, not
// rooted, no empty, "." or ".." component, no NUL, and not too long. Every
// path from outside passes here before anything is done with it.
func CheckPath(path string) error {
	if path == "" {
		return errors.New("path is empty")
	}
	if len(path) > MaxPath {
		return fmt.Errorf("path %.60q... has %d bytes, at most %d are possible", path, len(path), MaxPath)
	}
	if strings.IndexByte(path, 0) >= 0 {
		return fmt.Errorf("path %.80q has a NUL byte", path)
	}
	for rest, more := path, true; more; {
		var name string
		name, rest, more = strings.Cut(rest, "/")
		switch {
		case name == "", name == ".", name == "..":
			return fmt.Errorf("path %.80q has the component %q", path, name)
		case len(name) > MaxName:
			return fmt.Errorf("path has the component %.60q... of %d bytes, at most %d are possible", name, len(name), MaxName)
		}
	}
	return nil
}

// ComparePaths orders paths component by component, bytewise, as if the slash
// were the smallest byte: "a" < "a/z" < "a.b". A folder is followed by all
// that is in it.
func ComparePaths(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		x, y := a[i], b[i]
		switch {
		case x == y:
		case x == '/':
			return -1
		case y == '/':
			return 1
		default:
			return cmp.Compare(x, y)
		}
	}
	return cmp.Compare(len(a), len(b))
}
