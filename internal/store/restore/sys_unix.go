//go:build linux || darwin

package restore

import (
	"errors"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	hasModes   = true
	syncsFiles = false // syncAll does it for all of them at once

	// noPoll opens a file as one that does not block, which makes no difference
	// to it. Or else package os would set and clear that by itself to find out
	// whether it can wait for the file: four calls of the system for each.
	noPoll = unix.O_NONBLOCK
)

// fatal tells whether an error of the target will meet every other entry too.
func fatal(err error) bool {
	for _, e := range []error{unix.ENOSPC, unix.EDQUOT, unix.EROFS, unix.EIO, unix.EMFILE, unix.ENFILE, unix.ENOMEM} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// checkName reports whether a name is possible here: every name of a manifest
// is, or the system will say so.
func checkName(string) error { return nil }

// links is how many names a file has.
func links(info os.FileInfo) uint64 {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0
	}
	return uint64(st.Nlink)
}

func setXattr(f *os.File, name string, value []byte) error {
	return unix.Fsetxattr(int(f.Fd()), name, value, 0)
}

func setSymlinkTime(dir *os.File, name string, t time.Time) error {
	mtime, err := unix.TimeToTimespec(t)
	if err != nil {
		return err
	}
	return unix.UtimesNanoAt(int(dir.Fd()), name, []unix.Timespec{mtime, mtime}, unix.AT_SYMLINK_NOFOLLOW)
}
