package restore

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// bootID changes whenever the host is started: what was written before may
// since have been lost.
func bootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "" // then nothing is known, and everything is rechecked
	}
	return strings.TrimSpace(string(b))
}

// syncAll writes the whole filesystem of a folder to disk. The error is also
// that of any write that has failed since the folder was opened. It does not
// reach filesystems that are mounted within the folder.
func syncAll(dir *os.File) error { return os.NewSyscallError("syncfs", unix.Syncfs(int(dir.Fd()))) }

// setTime sets the modification time of f, which is what is called name in the
// folder in. The time of access stays.
func setTime(f *os.File, in *os.Root, name string, t time.Time) error {
	mtime, err := unix.TimeToTimespec(t)
	if err != nil {
		return err
	}
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	times := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, mtime}
	var errTime error
	err = conn.Control(func(fd uintptr) { errTime = unix.UtimesNanoAt(int(fd), "", times, unix.AT_EMPTY_PATH) })
	if errors.Is(errTime, unix.EINVAL) || errors.Is(errTime, unix.ENOENT) {
		return in.Chtimes(name, time.Time{}, t) // a kernel before 5.8
	}
	return errors.Join(err, errTime)
}

// setSymlinkXattr leads through /proc, since no call takes a folder's
// descriptor on the kernels of today.
func setSymlinkXattr(dir *os.File, name, xattr string, value []byte) error {
	return unix.Lsetxattr("/proc/self/fd/"+strconv.Itoa(int(dir.Fd()))+"/"+name, xattr, value, 0)
}
