package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// check says whether a step has done what it was measured for. What was
// restored is compared byte by byte on each contender's first turn.
func (t *turn) check(st step, m measurement) error {
	restored := os.Expand(t.restored, t.get)
	switch st.do {
	case collect:
		if m.Stored == 0 {
			return errors.New("nothing is stored")
		}
		if t.snapshot != nil {
			output, err := os.ReadFile(t.output())
			if err != nil {
				return err
			}
			found := t.snapshot.FindSubmatch(output)
			if found == nil {
				return fmt.Errorf("its output does not name the snapshot:\n%s", output)
			}
			t.newest = string(found[1])
		}
	case find:
		lines, err := countLines(t.output())
		if err != nil {
			return err
		}
		if lines < t.facts.Files {
			return fmt.Errorf("it lists %d entries of %d", lines, t.facts.Files)
		}
	case one:
		got := filepath.Join(restored, t.course.one)
		if t.contender.one != "" {
			got = os.Expand(t.contender.one, t.get)
		}
		return sameFile(filepath.Join(t.source(), t.course.one), got)
	case restore:
		if t.careful {
			return sameTree(t.source(), restored)
		}
	}
	return nil
}

// countLines counts the lines of a file. It takes no memory for a long one: what
// this program has ever taken counts as the least that others take.
func countLines(file string) (lines int, err error) {
	f, err := os.Open(file)
	if err != nil {
		return 0, err
	}
	defer f.Close() // only read
	part := make([]byte, 64<<10)
	for {
		n, err := f.Read(part)
		lines += bytes.Count(part[:n], []byte("\n"))
		if err == io.EOF {
			return lines, nil
		} else if err != nil {
			return 0, err
		}
	}
}

// sameTree says what is different between two trees, if anything: entries,
// their types and permissions, contents, times of files.
func sameTree(want, got string) error {
	entries := func(dir string) (n int, err error) {
		err = filepath.WalkDir(dir, func(string, fs.DirEntry, error) error { n++; return nil })
		return n, err
	}
	err := filepath.WalkDir(want, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(want, path)
		if err != nil {
			return err
		}
		return sameEntry(path, filepath.Join(got, rel), rel == ".")
	})
	if err != nil {
		return fmt.Errorf("what was restored differs: %w", err)
	}
	n, err := entries(want)
	if err != nil {
		return err
	}
	m, err := entries(got)
	if err != nil {
		return err
	}
	if n != m {
		return fmt.Errorf("%d entries were restored, of %d", m, n)
	}
	return nil
}

// sameEntry compares two entries. Of the folder that was kept only the type
// counts: some restore it, others what is in it.
func sameEntry(want, got string, top bool) error {
	w, err := os.Lstat(want)
	if err != nil {
		return err
	}
	g, err := os.Lstat(got)
	if err != nil {
		return err
	}
	if w.Mode().Type() != g.Mode().Type() || !top && w.Mode() != g.Mode() {
		return fmt.Errorf("%s is %v, and was %v", got, g.Mode(), w.Mode())
	}
	switch {
	case w.Mode().IsRegular():
		if !w.ModTime().Equal(g.ModTime()) {
			return fmt.Errorf("%s is of %v, and was of %v", got, g.ModTime(), w.ModTime())
		}
		return sameFile(want, got)
	case w.Mode().Type() == fs.ModeSymlink:
		wt, err := os.Readlink(want)
		if err != nil {
			return err
		}
		gt, err := os.Readlink(got)
		if err != nil {
			return err
		}
		if wt != gt {
			return fmt.Errorf("%s leads to %s, and led to %s", got, gt, wt)
		}
	}
	return nil
}

// sameFile compares contents.
func sameFile(want, got string) error {
	w, err := os.Open(want)
	if err != nil {
		return err
	}
	defer w.Close() // only read
	g, err := os.Open(got)
	if err != nil {
		return err
	}
	defer g.Close() // only read
	a, b := make([]byte, 64<<10), make([]byte, 64<<10)
	for {
		n, errW := io.ReadFull(w, a)
		m, errG := io.ReadFull(g, b)
		if !bytes.Equal(a[:n], b[:m]) {
			return fmt.Errorf("%s has other content", got)
		}
		if errW != nil || errG != nil {
			return unexpected(errW, errG)
		}
	}
}

// unexpected joins errors other than the end of a file.
func unexpected(errs ...error) error {
	var joined error
	for _, err := range errs {
		if err != io.EOF && err != io.ErrUnexpectedEOF {
			joined = errors.Join(joined, err)
		}
	}
	return joined
}
