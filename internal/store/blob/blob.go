// Package blob is the contract of the place where sealed objects lie: named
// runs of bytes that are put once and never changed. Realisations are beneath:
// dir (a folder) and mem (for tests); fault makes any of them fail on purpose,
// and blobtest holds the suite that every one of them passes.
//
// A store of this kind knows nothing of what is in its objects. It does not
// compare bytes with names, and it removes nothing: both belong to those who
// know what the objects mean.
package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"
)

// Errors on which callers decide; realisations wrap them.
var (
	// ErrNotExist means that there is nothing under a name.
	ErrNotExist = errors.New("object does not exist")
	// ErrExist means that a name is taken and that its object stands unchanged.
	ErrExist = errors.New("object exists already")
	// ErrGone means that the store as a whole is out of reach for good, as
	// when the connection to it was cut: no other name or offset will do
	// better, and nothing is said about any object.
	ErrGone = errors.New("the store is out of reach")
)

// A NameError concerns what is found under one name: a link or a device where
// an object should be, a folder that cannot be read. Of another name it says
// nothing.
type NameError struct {
	Name string // may be no valid name; %q it
	Err  error
}

func (e *NameError) Error() string { return fmt.Sprintf("%q in the store: %v", e.Name, e.Err) }
func (e *NameError) Unwrap() error { return e.Err }

// Info is what a store says of an object without opening it.
type Info struct {
	Name    string
	Size    int64
	ModTime time.Time // by the clock of the store's host; no evidence of anything
}

// An Object is an object opened for reading. ReadAt may be called
// concurrently. The context given to Open also bounds the reads; an Object
// whose context has ended may fail every read. Close is called once, after the
// last read.
type Object interface {
	io.ReaderAt
	io.Closer
	Size() int64
}

// A Reader reads a store. All methods may be called concurrently, with each
// other and with those of a Writer in this or another process.
type Reader interface {
	// Open opens the object of that name. An error wraps ErrNotExist if and
	// only if there is nothing under the name.
	Open(ctx context.Context, name string) (Object, error)

	// Stat describes the object of that name without reading it. Errors are
	// those of Open.
	Stat(ctx context.Context, name string) (Info, error)

	// List yields all objects whose names begin with prefix, in any folder,
	// each once, strictly ascending by the bytes of their names. The prefix is
	// empty or, but for a slash at its end, a valid name. If nothing begins
	// with it the sequence is empty. Objects published meanwhile may appear or
	// not.
	//
	// An error that is a *NameError concerns that name and what would be
	// beneath it, and the sequence goes on if the consumer does. Any other
	// error is the last thing yielded: the list is not complete.
	List(ctx context.Context, prefix string) iter.Seq2[Info, error]
}

// A Streamer is a Reader for which every request takes long, however much it
// brings: a bucket. It can be asked once for what is then read piece by piece.
type Streamer interface {
	// Stream reads the object of that name from an offset on, as it comes. It
	// is one request, without a look at the object before; errors are those of
	// Open, and may come with the first Read. The context bounds the reads as
	// well. Close ends the request, read to its end or not; what came too much
	// is thrown away.
	Stream(ctx context.Context, name string, off int64) (io.ReadCloser, error)
}

// A Writer adds to a store. All methods may be called concurrently, also by
// several processes on one store.
type Writer interface {
	// Stage begins a new object, invisible until it is published. If the
	// process ends before that, nothing is left of it.
	Stage(ctx context.Context) (Staged, error)

	// Sync makes durable the name of every object for which a Publish of this
	// Writer has returned nil or ErrExist before the call. After an error none
	// of those since the last Sync that succeeded may be relied upon; Sync may
	// be called again.
	Sync(ctx context.Context) error
}

// A Staged is an object in the making. It is for one goroutine at a time, but
// ReadAt may be called concurrently with itself.
//
// Whoever stages an object calls Discard in the end, published or not.
type Staged interface {
	// Write appends. After an error the object can no longer be published.
	io.Writer

	// ReaderAt reads back what was written, until Discard.
	io.ReaderAt

	// Publish gives the object its name, once. When it returns nil the object
	// can be read by everyone, its bytes are durable, and its name is as soon
	// as the Writer's Sync has returned. Folders in the name come into being
	// as needed, where the Writer may create them.
	//
	// If the name is taken, also by a concurrent Publish, the error wraps
	// ErrExist and the object there stands. After any other error the name may
	// or may not be taken by this object, in whole, never in part; PutOnce
	// finds out. After a Publish, whatever it returned, the object takes no
	// further Write, Publish or Replace.
	//
	// No name may be a folder in another's name; a store need not notice.
	Publish(ctx context.Context, name string) error

	// Discard releases what staging holds and drops the object unless it was
	// published. It may be called after Publish and repeatedly.
	Discard() error
}

// A Store is read and added to.
type Store interface {
	Reader
	Writer
}

// A Replacer can put a sound object in the place of a damaged one. It is the
// only exception to put-once, and for repair alone: the caller has verified
// that the staged bytes are what the name promises.
type Replacer interface {
	// Replace publishes the staged object under the name, whether or not that
	// is taken. What was there is kept apart, where List does not see it, and
	// never lost. At every moment, also after a crash, the name leads to the
	// old or to the new object, if it led anywhere before. Bytes and name are
	// durable on return. After an error Replace may be repeated with newly
	// staged bytes.
	Replace(ctx context.Context, name string, s Staged) error
}

// MaxName is the greatest length of a name in bytes. File systems take 255
// for a component and S3 1,024 in all; the rest is for what a store adds.
const MaxName = 200

// CheckName reports whether name may name an object: components of ASCII
// letters, digits, ".", "_" and "-", neither empty nor "." nor "..", separated
// by slashes, MaxName bytes at most, and the first one neither "stage" nor
// "damaged", which stores keep for themselves.
func CheckName(name string) error {
	if len(name) > MaxName {
		return fmt.Errorf("object name %.60q... has %d bytes, at most %d are possible", name, len(name), MaxName)
	}
	for i := range len(name) {
		if !inName(name[i]) {
			return fmt.Errorf("object name %q has the byte %q", name, name[i])
		}
	}
	first := true
	for part := range strings.SplitSeq(name, "/") {
		switch {
		case part == "", part == ".", part == "..":
			return fmt.Errorf("object name %q has the component %q", name, part)
		case first && (part == "stage" || part == "damaged"):
			return fmt.Errorf("object name %q: %q is kept for the store itself", name, part)
		}
		first = false
	}
	return nil
}

// CheckPrefix reports whether prefix may be given to List.
func CheckPrefix(prefix string) error {
	if prefix == "" {
		return nil
	}
	return CheckName(strings.TrimSuffix(prefix, "/"))
}

func inName(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '.' || c == '_' || c == '-' || c == '/'
}

// Put publishes data under the name; errors are those of Publish. The name is
// durable after the Writer's Sync.
func Put(ctx context.Context, w Writer, name string, data []byte) error {
	s, err := w.Stage(ctx)
	if err != nil {
		return err
	}
	// What fails to be released after a Publish takes nothing back.
	defer s.Discard()
	if _, err := s.Write(data); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return s.Publish(ctx, name)
}

// A ConflictError means that an object has other bytes than it must have.
type ConflictError struct{ Name string }

func (e *ConflictError) Error() string {
	return fmt.Sprintf("object %s exists with other content", e.Name)
}

// PutOnce is a Put that may be repeated: it succeeds if the object is there
// already with these bytes. With other bytes there it returns a
// *ConflictError. The name is durable after the Store's Sync in either case.
func PutOnce(ctx context.Context, s Store, name string, data []byte) error {
	err := Put(ctx, s, name, data)
	if !errors.Is(err, ErrExist) {
		return err
	}
	same, err := hasContent(ctx, s, name, data)
	if err != nil {
		return fmt.Errorf("comparing with what is there: %w", err)
	}
	if !same {
		return &ConflictError{Name: name}
	}
	return nil
}

func hasContent(ctx context.Context, r Reader, name string, data []byte) (bool, error) {
	info, err := r.Stat(ctx, name)
	if err != nil || info.Size != int64(len(data)) {
		return false, err
	}
	there, err := ReadAll(ctx, r, name, info.Size)
	return string(there) == string(data), err
}

// ReadAll returns the bytes of an object, which is an error if there are more
// than limit.
func ReadAll(ctx context.Context, r Reader, name string, limit int64) ([]byte, error) {
	o, err := r.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer o.Close() // nothing was written
	if o.Size() > limit {
		return nil, fmt.Errorf("reading %s: it has %d bytes, at most %d were expected", name, o.Size(), limit)
	}
	data := make([]byte, o.Size())
	if _, err := io.ReadFull(io.NewSectionReader(o, 0, o.Size()), data); err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return data, nil
}

// ReadEither returns the bytes of the first of the named objects that can be
// read and that good accepts. It serves small objects, of which there are two
// copies. If none will do, the error tells of each.
func ReadEither(ctx context.Context, r Reader, limit int64, good func([]byte) error, names ...string) ([]byte, error) {
	var all error
	for _, name := range names {
		b, err := ReadAll(ctx, r, name, limit)
		if err == nil {
			if err = good(b); err == nil {
				return b, nil
			}
			err = fmt.Errorf("%s: %w", name, err)
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if all == nil {
			all = err
		} else {
			all = fmt.Errorf("%w; %w", all, err)
		}
	}
	return nil, all
}
