// Package fault makes a store fail on purpose, once or from some point on, so
// that a test can show what its subject does about it at every single step:
//
//	for _, mode := range fault.Modes {
//		for n := 1; ; n++ {
//			s := fault.New(mem.New(mem.Options{}), mode, n)
//			err := subject(s)
//			if !s.Struck() {
//				break // the subject takes fewer than n steps
//			}
//			... check what is in the store, repeat, check again
//		}
//	}
package fault

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync/atomic"
	"syscall"

	"strongroom/internal/store/blob"
)

// ErrInjected is wrapped by every error that this package makes.
var ErrInjected = errors.New("fault injected by the test")

// A Mode is the manner in which an operation fails.
type Mode string

const (
	// Fail: the operation does nothing and returns an error.
	Fail Mode = "fail"
	// NoSpace: as Fail, with an error that is syscall.ENOSPC also; a Write
	// does half of its work.
	NoSpace Mode = "no space"
	// Short: as Fail, but a Write does half of its work.
	Short Mode = "short"
	// Unknown: the operation is done and returns an error all the same, as
	// when an answer gets lost.
	Unknown Mode = "unknown"
	// Stop: the operation and all that come after it, reading as well, do
	// nothing and return an error, as if the process had died before it.
	Stop Mode = "stop"
)

// Modes lists every Mode.
var Modes = []Mode{Fail, NoSpace, Short, Unknown, Stop}

// A Store passes everything on to another store, but for the operation that is
// to fail. Operations that change something are counted: Stage, Write,
// Publish, Sync and Replace, in the order in which they begin. Methods may be
// called concurrently.
type Store struct {
	inner blob.Store
	mode  Mode
	nth   int64
	count atomic.Int64
}

// New returns a Store whose nth operation, counted from 1, fails.
func New(inner blob.Store, mode Mode, nth int) *Store {
	return &Store{inner: inner, mode: mode, nth: int64(nth)}
}

// Operations returns how many operations have begun.
func (s *Store) Operations() int { return int(s.count.Load()) }

// Struck reports whether the operation that is to fail has been reached.
func (s *Store) Struck() bool { return s.count.Load() >= s.nth }

// do counts an operation and does it, or not.
func (s *Store) do(what string, operation func() error) error {
	n := s.count.Add(1)
	switch {
	case n == s.nth && s.mode == Unknown:
		if err := operation(); err != nil {
			return err
		}
	case n == s.nth, n > s.nth && s.mode == Stop:
	default:
		return operation()
	}
	return s.fault(what)
}

func (s *Store) fault(what string) error {
	if s.mode == NoSpace {
		return fmt.Errorf("%s: %w: %w", what, ErrInjected, syscall.ENOSPC)
	}
	return fmt.Errorf("%s: %w", what, ErrInjected)
}

// alive returns an error after a Stop.
func (s *Store) alive(what string) error {
	if s.mode == Stop && s.Struck() {
		return s.fault(what)
	}
	return nil
}

// Open implements blob.Reader.
func (s *Store) Open(ctx context.Context, name string) (blob.Object, error) {
	if err := s.alive("opening " + name); err != nil {
		return nil, err
	}
	o, err := s.inner.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	return &object{Object: o, store: s}, nil
}

type object struct {
	blob.Object
	store *Store
}

func (o *object) ReadAt(p []byte, off int64) (int, error) {
	if err := o.store.alive("reading"); err != nil {
		return 0, err
	}
	return o.Object.ReadAt(p, off)
}

// Stat implements blob.Reader.
func (s *Store) Stat(ctx context.Context, name string) (blob.Info, error) {
	if err := s.alive("looking for " + name); err != nil {
		return blob.Info{}, err
	}
	return s.inner.Stat(ctx, name)
}

// List implements blob.Reader.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		for info, err := range s.inner.List(ctx, prefix) {
			if dead := s.alive("listing"); dead != nil {
				yield(blob.Info{}, dead)
				return
			}
			if !yield(info, err) {
				return
			}
		}
		if dead := s.alive("listing"); dead != nil {
			yield(blob.Info{}, dead)
		}
	}
}

// Stage implements blob.Writer.
func (s *Store) Stage(ctx context.Context) (blob.Staged, error) {
	var inner blob.Staged
	err := s.do("staging", func() (err error) {
		inner, err = s.inner.Stage(ctx)
		return err
	})
	if err != nil {
		if inner != nil {
			inner.Discard() // nobody else will, and nothing was written
		}
		return nil, err
	}
	return &staged{Staged: inner, store: s}, nil
}

// Sync implements blob.Writer.
func (s *Store) Sync(ctx context.Context) error {
	return s.do("syncing", func() error { return s.inner.Sync(ctx) })
}

// Replace implements blob.Replacer if the inner store does; otherwise the
// error wraps errors.ErrUnsupported.
func (s *Store) Replace(ctx context.Context, name string, st blob.Staged) error {
	inner, ok := s.inner.(blob.Replacer)
	if !ok {
		return fmt.Errorf("replacing %s: %w", name, errors.ErrUnsupported)
	}
	o, ok := st.(*staged)
	if !ok {
		return fmt.Errorf("replacing %s: the new object was staged elsewhere", name)
	}
	return o.end("replacing "+name, func() error { return inner.Replace(ctx, name, o.Staged) })
}

// staged fails at times. Discard always passes, as the end of a process
// releases what it held.
type staged struct {
	blob.Staged
	store  *Store
	broken bool // a Write failed, so that a Publish must
	ended  bool // Publish or Replace was called
}

func (o *staged) Write(p []byte) (n int, err error) {
	done := false
	err = o.store.do("writing", func() (err error) {
		done = true
		n, err = o.Staged.Write(p)
		return err
	})
	if err == nil {
		return n, nil
	}
	o.broken = true
	if !done && (o.store.mode == Short || o.store.mode == NoSpace) {
		// The error of the inner store would tell nothing more.
		n, _ = o.Staged.Write(p[:len(p)/2])
	}
	return n, err
}

func (o *staged) ReadAt(p []byte, off int64) (int, error) {
	if err := o.store.alive("reading back"); err != nil {
		return 0, err
	}
	return o.Staged.ReadAt(p, off)
}

func (o *staged) Publish(ctx context.Context, name string) error {
	return o.end("publishing "+name, func() error { return o.Staged.Publish(ctx, name) })
}

// end keeps the contract's word that there is no publishing after a Write or
// a Publish that failed, of which the inner store need not know.
func (o *staged) end(what string, operation func() error) error {
	if o.broken || o.ended {
		return fmt.Errorf("%s: the object is no longer staged", what)
	}
	o.ended = true
	return o.store.do(what, operation)
}
