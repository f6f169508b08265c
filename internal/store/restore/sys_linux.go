package restore

import (
	"os"
	"strconv"
	"strings"

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

// syncTarget writes the whole filesystem of the target to disk. It does not
// reach filesystems that are mounted within the target.
func syncTarget(target *os.Root) error {
	dir, err := target.Open(".")
	if err != nil {
		return err
	}
	defer dir.Close() // was opened for reading
	return unix.Syncfs(int(dir.Fd()))
}

// setSymlinkXattr leads through /proc, since no call takes a folder's
// descriptor on the kernels of today.
func setSymlinkXattr(dir *os.File, name, xattr string, value []byte) error {
	return unix.Lsetxattr("/proc/self/fd/"+strconv.Itoa(int(dir.Fd()))+"/"+name, xattr, value, 0)
}
