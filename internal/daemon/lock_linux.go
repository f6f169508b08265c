package daemon

import (
	"errors"
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
func lockFile(path string) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = ErrBusy
	}
	if err != nil {
		f.Close() // nothing was written
		return nil, err
	}
	return func() { f.Close() }, nil
}
