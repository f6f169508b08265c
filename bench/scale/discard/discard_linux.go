// Package discard is a store that keeps nothing but counts: for measuring what
// a collection costs by itself, of a source that no disk has room for.
//
// An object can be read back until it is discarded, as blob.Staged promises;
// it lies in the kernel's memory meanwhile, as it does in a store of files,
// and not in the process's. Names are not remembered, so what is published
// twice is counted twice, and nothing is ever in anybody's way.
package discard

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"strongroom/internal/store/blob"
	"strongroom/internal/store/layout"
)

// A Count is how much was published of one kind of object.
type Count struct{ Objects, Bytes int64 }

// Counts are how much was published.
type Counts struct{ Packs, Parity, Roots, Other Count }

// A Store is a blob.Writer.
type Store struct {
	mu     sync.Mutex // guards the fields below
	counts Counts
	free   []*os.File // written to again and again, since new pages cost time
}

// New returns a store.
func New() *Store { return new(Store) }

// Counts returns what was published so far.
func (s *Store) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts
}

// Close gives back what staged objects lay in.
func (s *Store) Close() (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.free {
		err = errors.Join(err, f.Close())
	}
	s.free = nil
	return err
}

// Stage begins an object.
func (s *Store) Stage(context.Context) (blob.Staged, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if last := len(s.free) - 1; last >= 0 {
		f := s.free[last]
		s.free = s.free[:last]
		return &staged{store: s, file: f}, nil
	}
	fd, err := unix.MemfdCreate("staged", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("making room for an object: %w", err)
	}
	return &staged{store: s, file: os.NewFile(uintptr(fd), "staged")}, nil
}

// Sync does nothing: there is nothing to lose.
func (s *Store) Sync(context.Context) error { return nil }

// A staged object. What is beyond its size in the file is another's.
type staged struct {
	store *Store
	file  *os.File // nil once it was discarded
	size  int64
}

func (o *staged) Write(p []byte) (int, error) {
	n, err := o.file.WriteAt(p, o.size)
	o.size += int64(n)
	return n, err
}

func (o *staged) ReadAt(p []byte, off int64) (int, error) {
	return io.NewSectionReader(o.file, 0, o.size).ReadAt(p, off)
}

func (o *staged) Publish(_ context.Context, name string) error {
	o.store.mu.Lock()
	defer o.store.mu.Unlock()
	c := o.store.counts.of(layout.Parse(name).Kind)
	c.Objects++
	c.Bytes += o.size
	return nil
}

func (c *Counts) of(kind layout.Kind) *Count {
	switch kind {
	case layout.PackObject:
		return &c.Packs
	case layout.ParityObject:
		return &c.Parity
	case layout.RootObject:
		return &c.Roots
	default:
		return &c.Other
	}
}

func (o *staged) Discard() error {
	if o.file == nil {
		return nil
	}
	o.store.mu.Lock()
	defer o.store.mu.Unlock()
	o.store.free = append(o.store.free, o.file)
	o.file = nil
	return nil
}
