// Package dir keeps objects as files in a folder.
//
//	<folder>/stage/          where objects are written, without a name
//	<folder>/damaged/<name>  what Replace has put aside
//	<folder>/<name>          the objects, mode 0400
//
// An object is written to a file without a name (O_TMPFILE), which the kernel
// drops with the process; it is fsynced and only then linked to its name.
// A link never replaces what is there, needs no right to read or remove, and
// works in folders that are append-only. So a name always leads to a whole
// object, after a loss of power as well: file systems may make a name durable
// before the bytes unless the bytes were synced first.
//
// Several processes may use one folder. Nothing in it is trusted to be what it
// should be: no symbolic link is followed on the way to an object, and what is
// not a regular file is not an object.
//
// Adding needs Linux; reading works everywhere. The attributes that make
// objects immutable are set by others; while they are on an object, Replace
// fails.
package dir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"strongroom/internal/store/blob"
)

const (
	stageFolder   = "stage"
	damagedFolder = "damaged"
	// File systems keep this at their top, where a store may lie.
	lostAndFound = "lost+found"
)

// A Store is a blob.Store and a blob.Replacer. All methods but Close may be
// called concurrently.
type Store struct {
	tree    *tree
	fsync   func(*os.File) error // (*os.File).Sync, unless a test watches
	changes changes
}

// ErrNotEmpty says that Create would have made a store among other things.
var ErrNotEmpty = errors.New("the folder is not empty")

// Open opens a store that Create has made, or a copy of one.
func Open(path string) (*Store, error) {
	t, err := openTree(path)
	if err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	return &Store{tree: t, fsync: (*os.File).Sync}, nil
}

// Close releases the folder. Objects that were opened stay readable, and an
// AddOnly stays usable.
func (s *Store) Close() error { return s.tree.close() }

// Open implements blob.Reader.
func (s *Store) Open(ctx context.Context, name string) (blob.Object, error) {
	if _, err := s.Stat(ctx, name); err != nil {
		return nil, err
	}
	f, err := s.tree.open(name)
	if err != nil {
		return nil, nameError(name, err)
	}
	// Something else may have come to the name since Stat.
	info, err := f.Stat()
	if err == nil {
		err = checkRegular(info)
	}
	if err != nil {
		f.Close() // nothing was written
		return nil, nameError(name, err)
	}
	return &object{File: f, size: info.Size()}, nil
}

type object struct {
	*os.File
	size int64
}

func (o *object) Size() int64 { return o.size }

// Stat implements blob.Reader.
func (s *Store) Stat(ctx context.Context, name string) (blob.Info, error) {
	if err := blob.CheckName(name); err != nil {
		return blob.Info{}, err
	}
	if err := ctx.Err(); err != nil {
		return blob.Info{}, fmt.Errorf("looking for object %s: %w", name, err)
	}
	return s.info(name)
}

// info describes the object of that name, which must be valid. Errors are
// those of nameError.
func (s *Store) info(name string) (blob.Info, error) {
	info, err := s.tree.stat(name)
	if err == nil {
		err = checkRegular(info)
	}
	if err != nil {
		return blob.Info{}, nameError(name, err)
	}
	return blob.Info{Name: name, Size: info.Size(), ModTime: info.ModTime()}, nil
}

func checkRegular(info fs.FileInfo) error {
	var what string
	switch info.Mode().Type() {
	case 0:
		return nil
	case fs.ModeDir:
		what = "folder"
	case fs.ModeSymlink:
		what = "symbolic link"
	case fs.ModeNamedPipe:
		what = "named pipe"
	case fs.ModeSocket:
		what = "socket"
	default:
		what = "device"
	}
	return fmt.Errorf("is not a regular file but a %s", what)
}

// nameError says in the words of package blob what is wrong at a name. What is
// wrong with this process or host says nothing of the name: it must not be
// taken for damage.
func nameError(name string, err error) error {
	for _, want := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM} {
		if errors.Is(err, want) {
			return fmt.Errorf("object %s: %w", name, err)
		}
	}
	switch {
	case isAbsent(err):
		return fmt.Errorf("object %s: %w", name, blob.ErrNotExist)
	case errors.Is(err, syscall.ELOOP):
		return &blob.NameError{Name: name, Err: errors.New("is or lies behind a symbolic link")}
	}
	return &blob.NameError{Name: name, Err: err}
}

// isAbsent reports whether err means that there is nothing under a path: its
// last part is missing, or a part before that is a file.
func isAbsent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// List implements blob.Reader. It holds the names of one folder at a time and
// of those above it.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		if err := blob.CheckPrefix(prefix); err != nil {
			yield(blob.Info{}, err)
			return
		}
		folder, rest := path.Split(prefix)
		s.list(ctx, folder, rest, yield)
	}
}

// list yields what is in a folder, whose name is empty or ends in a slash, and
// begins there with rest. It reports whether to go on.
func (s *Store) list(ctx context.Context, folder, rest string, yield func(blob.Info, error) bool) bool {
	children, err := s.children(folder)
	switch {
	case err == nil:
	case folder == "":
		return yield(blob.Info{}, fmt.Errorf("listing the store: %w", err))
	case isAbsent(err): // also if it was removed since it was seen
		return true
	default:
		return report(nameError(strings.TrimSuffix(folder, "/"), err), yield)
	}
	for _, key := range children {
		if err := ctx.Err(); err != nil {
			yield(blob.Info{}, fmt.Errorf("listing the store: %w", err))
			return false
		}
		if strings.HasPrefix(key, rest) && !s.listChild(ctx, folder+key, yield) {
			return false
		}
	}
	return true
}

// listChild yields an object, or what is in a folder if the name ends in a
// slash. It reports whether to go on.
func (s *Store) listChild(ctx context.Context, name string, yield func(blob.Info, error) bool) bool {
	bare, isFolder := strings.CutSuffix(name, "/")
	switch bare {
	case stageFolder, damagedFolder, lostAndFound:
		return true
	}
	if err := blob.CheckName(bare); err != nil {
		return yield(blob.Info{}, &blob.NameError{Name: bare, Err: err})
	}
	if isFolder {
		return s.list(ctx, name, "", yield)
	}
	info, err := s.info(bare)
	switch {
	case err == nil:
		return yield(info, nil)
	case errors.Is(err, blob.ErrNotExist):
		return true // removed since it was seen
	}
	return report(err, yield)
}

// report yields an error. It reports whether to go on, which nothing does
// after an error that concerns more than one name.
func report(err error, yield func(blob.Info, error) bool) bool {
	_, one := errors.AsType[*blob.NameError](err)
	return yield(blob.Info{}, err) && one
}

// children returns the names in a folder, those of folders with a slash at the
// end: sorted like this, a walk yields whole names in ascending order, as in
// "a-b", "a/c", "a0".
func (s *Store) children(folder string) ([]string, error) {
	f, err := s.tree.open(path.Clean(folder))
	if err != nil {
		return nil, err
	}
	defer f.Close() // nothing was written
	entries, err := f.ReadDir(-1)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
		if e.IsDir() {
			names[i] += "/"
		}
	}
	slices.Sort(names)
	return names, nil
}
