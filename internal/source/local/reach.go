package local

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
)

// Reach returns what a process must be able to read to pull the include lines:
// the folders beneath which everything may be read, and single files. Of a
// line with a pattern in it, that is the folder before the pattern. What does
// not exist, and symbolic links, which are not followed, are left out.
func Reach(include []string) (folders, files []string, err error) {
	for _, line := range include {
		name := beforePattern(line)
		info, err := os.Lstat(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, nil, fmt.Errorf("looking at what to pull: %w", err)
		case info.IsDir():
			folders = append(folders, name)
		case info.Mode().IsRegular():
			files = append(files, name)
		}
	}
	slices.Sort(folders)
	slices.Sort(files)
	return slices.Compact(folders), slices.Compact(files), nil
}

// beforePattern returns the part of a line in which every component names one
// file. A backslash may stand before any byte, so it ends that part too.
func beforePattern(line string) string {
	plain := "/"
	for name := range strings.SplitSeq(strings.TrimPrefix(line, "/"), "/") {
		if strings.ContainsAny(name, `*?[\`) {
			break
		}
		plain = path.Join(plain, name)
	}
	return plain
}
