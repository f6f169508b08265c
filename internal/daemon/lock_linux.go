package daemon

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"strongroom/internal/safe"
)

// lockSource makes sure that a source is collected once at a time.
func (s *Safe) lockSource(source safe.SourceName) (unlock func(), err error) {
	return lockFile(s.lockPath(source))
}

// lockFile makes the file if there is none, and locks it: ErrBusy if another
// process has. The lock ends with the process, however that ends.
func lockFile(path string) (unlock func(), err error) { return flock(path, unix.LOCK_EX) }

// shareFile is lockFile for a lock that many may have, while nobody has it by
// lockFile.
func shareFile(path string) (unlock func(), err error) { return flock(path, unix.LOCK_SH) }

func flock(path string, how int) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = ErrBusy
	}
	if err != nil {
		f.Close() // nothing was written
		return nil, err
	}
	return func() { f.Close() }, nil
}

// placeState gives a new state its name: ErrStateExists if there is one.
func placeState(from, to string) error {
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("%s: %w", to, ErrStateExists)
	}
	if err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return syncFolder(filepath.Dir(to))
}
