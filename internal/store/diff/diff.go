// Package diff tells what is different between two snapshots, from their
// manifests alone, in constant memory.
//
// It compares what a restore would bring back. It reads no content: two files
// are the same if their chunks are, one after the other. So content that was
// cut at other places, as by a source whose cutting changed in between, counts
// as changed although it may be the same. When the content behind several names
// changes, it is the first name that has changed; the others are links to it.
package diff

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"

	"strongroom/internal/safe"
	"strongroom/internal/store/manifest"
)

// A Kind says what has happened to a path.
type Kind int

const (
	Added Kind = iota
	Removed
	// Content means that something else is there: other bytes, another target
	// of a link, or another type of entry.
	Content
	// Metadata means that owner, mode, modification time or extended attributes
	// are different, and the content is not. Inode numbers and the time of the
	// last change of the inode do not count.
	Metadata
)

func (k Kind) String() string {
	switch k {
	case Added:
		return "added"
	case Removed:
		return "removed"
	case Content:
		return "content"
	case Metadata:
		return "metadata"
	}
	return fmt.Sprintf("Kind(%d)", int(k))
}

// A Change is one path that is not the same in both snapshots.
type Change struct {
	Kind   Kind
	Before safe.Entry // zero if Added
	After  safe.Entry // zero if Removed
}

// Path is where the change is.
func (c Change) Path() string {
	if c.Kind == Added {
		return c.After.Path
	}
	return c.Before.Path
}

// Compare yields the changes that lead from the snapshot of one manifest to
// that of the other, in path order. It reads both, so it can be ranged over
// once. An error is the last thing that it yields.
func Compare(before, after *manifest.Reader) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		a, b := side{r: before}, side{r: after}
		if err := errors.Join(a.next("the earlier"), b.next("the later")); err != nil {
			yield(Change{}, err)
			return
		}
		for !a.ended || !b.ended {
			c, changed, err := step(&a, &b)
			if err != nil {
				yield(Change{}, err)
				return
			}
			if changed && !yield(c, nil) {
				return
			}
		}
	}
}

// A side is one of the manifests.
type side struct {
	r     *manifest.Reader
	entry safe.Entry
	ended bool
}

func (s *side) next(which string) (err error) {
	s.entry, err = s.r.Next()
	if err == io.EOF {
		s.ended = true
		return nil
	}
	return wrap(which, err)
}

func wrap(which string, err error) error {
	if err != nil {
		return fmt.Errorf("reading %s manifest: %w", which, err)
	}
	return nil
}

// step deals with the least path that is left, and goes on to the next.
func step(a, b *side) (c Change, changed bool, err error) {
	order := 0
	switch {
	case a.ended:
		order = 1
	case b.ended:
		order = -1
	default:
		order = safe.ComparePaths(a.entry.Path, b.entry.Path)
	}
	switch {
	case order < 0:
		c, changed = Change{Kind: Removed, Before: a.entry}, true
	case order > 0:
		c, changed = Change{Kind: Added, After: b.entry}, true
	default:
		c = Change{Before: a.entry, After: b.entry}
		same, err := sameContent(a, b)
		if err != nil {
			return Change{}, false, err
		}
		switch {
		case !same:
			c.Kind, changed = Content, true
		case !sameMetadata(a.entry, b.entry):
			c.Kind, changed = Metadata, true
		}
	}
	if order <= 0 {
		err = a.next("the earlier")
	}
	if order >= 0 {
		err = errors.Join(err, b.next("the later"))
	}
	return c, changed, err
}

func sameContent(a, b *side) (bool, error) {
	if a.entry.Type != b.entry.Type || a.entry.Size != b.entry.Size || a.entry.Target != b.entry.Target {
		return false, nil
	}
	for {
		x, errA := a.r.NextChunk()
		y, errB := b.r.NextChunk()
		if errA == io.EOF || errB == io.EOF {
			// Their lengths add up to the size, so both have ended.
			return errA == errB, nil
		}
		if err := errors.Join(wrap("the earlier", errA), wrap("the later", errB)); err != nil {
			return false, err
		}
		if x.Hash != y.Hash || x.Length != y.Length {
			return false, nil
		}
	}
}

func sameMetadata(a, b safe.Entry) bool {
	return a.Mode == b.Mode && a.UID == b.UID && a.GID == b.GID && a.User == b.User && a.Group == b.Group &&
		a.MTime.Equal(b.MTime) && a.Sparse == b.Sparse && maps.EqualFunc(a.Xattrs, b.Xattrs, bytes.Equal)
}
