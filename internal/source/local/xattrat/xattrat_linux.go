// Package xattrat asks whether an entry of an open folder has extended
// attributes. It is the one place beside package confine that hands memory to
// the kernel by hand, since no library has the call yet.
package xattrat

import (
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// unavailable is set once the kernel has refused the call as such: it is older
// than Linux 6.13, or a filter of system calls does not know it.
var unavailable atomic.Bool

// None reports whether it is known that the entry called name in the folder
// that fd was opened for has no extended attributes. It does not follow a
// symbolic link.
func None(fd int, name string) bool {
	if unavailable.Load() {
		return false
	}
	path, err := unix.BytePtrFromString(name)
	if err != nil {
		return false
	}
	// With no room given, the call tells the length of the list.
	n, _, errno := unix.Syscall6(unix.SYS_LISTXATTRAT, uintptr(fd), uintptr(unsafe.Pointer(path)), unix.AT_SYMLINK_NOFOLLOW, 0, 0, 0)
	if errno == unix.ENOSYS || errno == unix.EPERM {
		unavailable.Store(true)
	}
	return errno == 0 && n == 0 || errno == unix.ENOTSUP
}
