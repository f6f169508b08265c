package daemon

import (
	"os"

	"golang.org/x/sys/unix"
)

// free returns how many bytes this user can still write into a folder.
func free(path string) (int64, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(path, &fs); err != nil {
		return 0, &os.PathError{Op: "statfs", Path: path, Err: err}
	}
	return int64(fs.Bavail) * fs.Frsize, nil
}
