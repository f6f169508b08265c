package manifest

import (
	"errors"
	"fmt"
	"strings"

	"strongroom/internal/safe"
)

// A Sequence checks the entries of one manifest in their order: what a Reader
// refuses, it refuses before it is written. The zero value is ready to use.
type Sequence struct {
	last    string
	folders []string // that enclose last, or are last
}

// Check reports why e may not come next. An entry that was refused counts as
// if it had not been there.
func (s *Sequence) Check(e safe.Entry) error {
	if err := safe.CheckPath(e.Path); err != nil {
		return err
	}
	if s.last != "" && safe.ComparePaths(s.last, e.Path) >= 0 {
		return fmt.Errorf("path %.80q does not come after %.80q", e.Path, s.last)
	}
	if err := checkShape(e); err != nil {
		return err
	}
	return s.descend(e)
}

// descend keeps the folders that enclose the current entry, and refuses an
// entry whose folder was not listed as one: something under a symlink, say.
func (s *Sequence) descend(e safe.Entry) error {
	n := len(s.folders)
	for n > 0 && !isIn(e.Path, s.folders[n-1]) {
		n--
	}
	parent, last := "", ""
	if i := strings.LastIndexByte(e.Path, '/'); i >= 0 {
		parent = e.Path[:i]
	}
	if n > 0 {
		last = s.folders[n-1]
	}
	if parent != last {
		return fmt.Errorf("path %.80q is in a folder that was not listed", e.Path)
	}
	s.last, s.folders = e.Path, s.folders[:n]
	if e.Type == safe.Dir {
		s.folders = append(s.folders, e.Path)
	}
	return nil
}

func isIn(path, folder string) bool {
	return len(path) > len(folder) && path[len(folder)] == '/' && path[:len(folder)] == folder
}

func hasContent(t safe.EntryType) bool { return t == safe.File || t == safe.Stream }

// checkShape refuses fields that do not go with the type, and more extended
// attributes than a line takes.
func checkShape(e safe.Entry) error {
	switch e.Type {
	case safe.Symlink:
		if e.Target == "" || len(e.Target) > safe.MaxPath {
			return fmt.Errorf("a symlink has a target of %d bytes", len(e.Target))
		}
		if strings.IndexByte(e.Target, 0) >= 0 {
			return errors.New("a symlink's target has a NUL byte")
		}
	case safe.Hardlink:
		if err := safe.CheckPath(e.Target); err != nil {
			return fmt.Errorf("a hardlink's target: %w", err)
		}
		if safe.ComparePaths(e.Target, e.Path) >= 0 {
			return errors.New("a hardlink's target does not come before it")
		}
	case safe.File, safe.Stream, safe.Dir, safe.Special:
		if e.Target != "" {
			return fmt.Errorf("a %s has a target", e.Type)
		}
	default:
		return fmt.Errorf("type %.20q is not known", e.Type)
	}
	if e.Sparse && !hasContent(e.Type) {
		return fmt.Errorf("a %s has content", e.Type)
	}
	if e.Size < 0 {
		return fmt.Errorf("a size of %d bytes", e.Size)
	}
	if len(e.User) > maxOwner || len(e.Group) > maxOwner {
		return fmt.Errorf("an owner with a name of more than %d bytes", maxOwner)
	}
	return checkXattrs(e.Xattrs)
}

func checkXattrs(xattrs map[string][]byte) error {
	total := 0
	for name, value := range xattrs {
		if name == "" {
			return errors.New("an extended attribute has no name")
		}
		total += len(name) + len(value)
	}
	if total > maxXattrs {
		return fmt.Errorf("extended attributes of more than %d bytes", maxXattrs)
	}
	return nil
}
