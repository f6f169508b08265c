package dir

import (
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// A tree opens what is below a folder without ever following a symbolic link.
// Names are valid object names or "." for the folder itself.
type tree struct{ root *os.File }

func openTree(path string) (*tree, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	return &tree{root: f}, nil
}

func (t *tree) close() error { return t.root.Close() }

// open opens a file or folder for reading. It does not wait for the other end
// of a named pipe.
func (t *tree) open(name string) (*os.File, error) {
	return t.openat2(name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY)
}

// stat describes what is at a name, a symbolic link as such.
func (t *tree) stat(name string) (fs.FileInfo, error) {
	f, err := t.openat2(name, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return nil, err
	}
	defer f.Close() // O_PATH: there is nothing to lose
	return f.Stat()
}

func (t *tree) openat2(name string, flags uint64) (*os.File, error) {
	how := unix.OpenHow{
		Flags:   flags | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS,
	}
	full := filepath.Join(t.root.Name(), name)
	for {
		fd, err := unix.Openat2(int(t.root.Fd()), name, &how)
		switch err {
		case nil:
			return os.NewFile(uintptr(fd), full), nil
		case unix.EINTR: // from file systems of user space, in copies that are only read
		default:
			return nil, &fs.PathError{Op: "openat2", Path: full, Err: err}
		}
	}
}
