package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// A dataset is what is kept in a course. It is made once in a folder, and the
// same wherever its parts are the same.
type dataset struct {
	name     string
	what     string // for the document
	versions int
	make     func(dir string, version int) error
}

// facts tell what a dataset turned out to be.
type facts struct {
	What    string
	Files   int // of the first version: regular files,
	Folders int
	Links   int
	Bytes   int64 // and what is in them
	dir     string
}

// folder is where a version of it lies.
func (f facts) folder(version int) string { return filepath.Join(f.dir, strconv.Itoa(version)) }

// prepare makes a dataset below dir, unless it is there already. That it is
// whole shows a file that is written last.
func (d dataset) prepare(dir string, out io.Writer) (facts, error) {
	f := facts{What: d.what, dir: filepath.Join(dir, d.name)}
	done := filepath.Join(f.dir, "facts.json")
	if b, err := os.ReadFile(done); err == nil {
		return f, json.Unmarshal(b, &f)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return facts{}, err
	}
	fmt.Fprintf(out, "making %s\n", d.what)
	if err := remove(f.dir); err != nil {
		return facts{}, err
	}
	for version := range d.versions {
		if err := os.MkdirAll(f.folder(version), 0o755); err != nil {
			return facts{}, err
		}
		if err := d.make(f.folder(version), version); err != nil {
			return facts{}, err
		}
	}
	err := filepath.WalkDir(f.folder(0), func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		switch {
		case e.IsDir():
			f.Folders++
		case e.Type() == fs.ModeSymlink:
			f.Links++
		default:
			info, err := e.Info()
			if err != nil {
				return err
			}
			f.Files++
			f.Bytes += info.Size()
		}
		return nil
	})
	if err != nil {
		return facts{}, err
	}
	b, err := json.Marshal(f)
	if err != nil {
		return facts{}, err
	}
	return f, os.WriteFile(done, b, 0o644)
}

// write writes a file through a buffer.
func write(path string, content func(w *bufio.Writer) error) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriterSize(f, 1<<20)
	if err := content(w); err != nil {
		return err
	}
	return w.Flush()
}

// duplicate copies a tree with everything that belongs to it.
func duplicate(from, to string) error {
	out, err := exec.Command("cp", "-a", from, to).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// warm reads a tree once, so that whoever comes first has no harder time.
func warm(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close() // only read
		_, err = io.Copy(io.Discard, f)
		return err
	})
}

// empty gives back the space of all files of a tree, and leaves the files.
func empty(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		if err := os.Chmod(path, 0o600); err != nil {
			return err
		}
		return os.Truncate(path, 0)
	})
}

// remove removes a tree, also folders in it that were restored as read-only.
func remove(dir string) error {
	if err := os.RemoveAll(dir); err == nil {
		return nil
	}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		return os.Chmod(path, 0o700)
	})
	if err != nil {
		return err
	}
	return os.RemoveAll(dir)
}
