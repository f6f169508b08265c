package restore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/windows"
)

const (
	hasModes   = false
	syncsFiles = true // there is no call for all of them at once
	noPoll     = 0    // there is nothing to be spared
)

// setTime sets the modification time of what is called name in the folder in.
func setTime(_ *os.File, in *os.Root, name string, t time.Time) error {
	return in.Chtimes(name, time.Time{}, t) // the zero time leaves the time of access alone
}

// fatal tells whether an error of the target will meet every other entry too.
func fatal(err error) bool {
	for _, e := range []error{
		windows.ERROR_DISK_FULL, windows.ERROR_HANDLE_DISK_FULL, windows.ERROR_DISK_QUOTA_EXCEEDED,
		windows.ERROR_WRITE_PROTECT, windows.ERROR_TOO_MANY_OPEN_FILES,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// checkName reports whether a name is possible here. Some of those that are
// not would mean something else: a backslash another folder, a colon another
// stream of the same file.
func checkName(name string) error {
	switch {
	case !utf8.ValidString(name), strings.ContainsAny(name, `<>:"/\|?*`),
		strings.ContainsFunc(name, func(c rune) bool { return c < ' ' }),
		strings.HasSuffix(name, "."), strings.HasSuffix(name, " "), !filepath.IsLocal(name):
		return fmt.Errorf("the name %.80q is not possible on this system", name)
	}
	return nil
}

// links is not known here without opening the file.
func links(os.FileInfo) uint64 { return 1 }

// bootID is not known here, so what an earlier Run has left is rechecked.
func bootID() string { return "" }

// syncAll has nothing to do: every file was written to disk.
func syncAll(*os.File) error { return nil }

var errNoXattrs = errors.New("this system has no extended attributes")

func setXattr(*os.File, string, []byte) error                { return errNoXattrs }
func setSymlinkXattr(*os.File, string, string, []byte) error { return errNoXattrs }
func setSymlinkTime(dir *os.File, name string, t time.Time) error {
	return errors.New("not possible for a symbolic link on this system")
}
