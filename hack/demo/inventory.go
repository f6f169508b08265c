package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// An inventory is everything below some folders, by absolute path.
type inventory map[string]item

// An item is what must be the same after a restore. It can be compared with ==.
type item struct {
	mode     fs.FileMode // type and permissions
	modified int64       // seconds since 1970: SFTP does not tell finer
	uid, gid uint32      // zero unless owners can be restored
	size     int64       // of files
	content  [sha256.Size]byte
	target   string // of symbolic links
}

// take makes the inventory of folders whose paths begin with top, and leaves
// top away. Only root can restore owners, so only root looks at them.
func take(top string, folders []string) (inventory, error) {
	all := make(inventory)
	for _, folder := range folders {
		err := filepath.WalkDir(top+folder, func(path string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			it, err := look(path, e)
			if err != nil {
				return err
			}
			all[path[len(top):]] = it
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("taking the inventory of %s: %w", top+folder, err)
		}
	}
	return all, nil
}

func look(path string, e fs.DirEntry) (item, error) {
	info, err := e.Info()
	if err != nil {
		return item{}, err
	}
	it := item{mode: info.Mode(), modified: info.ModTime().Unix()}
	if os.Geteuid() == 0 {
		owner := info.Sys().(*syscall.Stat_t)
		it.uid, it.gid = owner.Uid, owner.Gid
	}
	switch {
	case info.Mode().IsRegular():
		it.size = info.Size()
		it.content, err = digest(path)
	case info.Mode()&fs.ModeSymlink != 0:
		it.target, err = os.Readlink(path)
	}
	return it, err
}

func digest(path string) (sum [sha256.Size]byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return sum, err
	}
	defer f.Close() // nothing was written
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return sum, err
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}

// totals counts regular files and their bytes.
func (inv inventory) totals() (files int, bytes int64) {
	for _, it := range inv {
		if it.mode.IsRegular() {
			files++
			bytes += it.size
		}
	}
	return files, bytes
}

// A difference says how a path of one inventory is in another one.
type difference struct{ path, text string }

func (d difference) String() string { return d.path + ": " + d.text }

const (
	vanished = "vanished"
	appeared = "appeared"
)

// differences lists what was otherwise before, in the order of paths.
func (inv inventory) differences(before inventory) []difference {
	var all []difference
	for path, was := range before {
		if is, ok := inv[path]; !ok {
			all = append(all, difference{path, vanished})
		} else if was != is {
			all = append(all, difference{path, is.unlike(was)})
		}
	}
	for path := range inv {
		if _, ok := before[path]; !ok {
			all = append(all, difference{path, appeared})
		}
	}
	slices.SortFunc(all, func(a, b difference) int { return strings.Compare(a.path, b.path) })
	return all
}

// unlike names everything that differs between two items of a path.
func (it item) unlike(was item) string {
	var parts []string
	note := func(differs bool, what string, was, is any) {
		if differs {
			parts = append(parts, fmt.Sprintf("%s %v, was %v", what, is, was))
		}
	}
	clock := func(seconds int64) string { return time.Unix(seconds, 0).Format(time.DateTime) }
	note(it.mode != was.mode, "mode", was.mode, it.mode)
	note(it.modified != was.modified, "time", clock(was.modified), clock(it.modified))
	note(it.uid != was.uid || it.gid != was.gid, "owner", fmt.Sprint(was.uid, ":", was.gid), fmt.Sprint(it.uid, ":", it.gid))
	note(it.size != was.size, "size", was.size, it.size)
	note(it.target != was.target, "target", was.target, it.target)
	if it.content != was.content {
		parts = append(parts, "other content")
	}
	return strings.Join(parts, "; ")
}
