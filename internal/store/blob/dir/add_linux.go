package dir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"strongroom/internal/store/blob"
)

// Create makes a store in a folder that is empty or does not exist yet. Its
// parent must exist. The error says so if the file system cannot hold a store.
func Create(path string) (*Store, error) {
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("creating the store: %w", err)
	}
	s, err := Open(path)
	if err != nil {
		return nil, err
	}
	if err := s.create(); err != nil {
		s.Close() // the first error says more
		return nil, fmt.Errorf("creating the store in %s: %w", path, err)
	}
	return s, nil
}

func (s *Store) create() error {
	children, err := s.children("")
	if err != nil {
		return err
	}
	for _, name := range children {
		// A stage may be left of an attempt that did not come to an end.
		if name != lostAndFound+"/" && name != stageFolder+"/" {
			return fmt.Errorf("%w: it holds %q", ErrNotEmpty, name)
		}
	}
	stage, err := s.folder(stageFolder)
	if err != nil {
		return err
	}
	defer stage.Close() // a folder: nothing was written through it
	if err := probe(stage); err != nil {
		return err
	}
	parent, err := os.Open(filepath.Dir(filepath.Clean(s.tree.root.Name())))
	if err != nil {
		return err
	}
	defer parent.Close() // as above
	if err := s.fsync(parent); err != nil {
		return err
	}
	return s.Sync(context.Background())
}

// probe finds out whether objects can be staged and published here.
func probe(stage *os.File) error {
	f, err := unnamed(stage)
	switch {
	case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EISDIR):
		return errors.New("this file system cannot make files without a name (O_TMPFILE), " +
			"which keep half-written objects out of the store; ext4, xfs, btrfs and tmpfs can")
	case err != nil:
		return err
	}
	defer f.Close() // its content does not matter
	const name = "probe"
	if err := link(f, stage, name); err != nil && !errors.Is(err, blob.ErrExist) {
		return fmt.Errorf("giving a file its name through /proc/self/fd: %w", err)
	}
	return unix.Unlinkat(int(stage.Fd()), name, 0)
}

// unnamed makes a file in the stage that has no name. Its mode says that
// nobody may open it for writing, ever; this descriptor may write.
func unnamed(stage *os.File) (*os.File, error) {
	fd, err := unix.Openat(int(stage.Fd()), ".", unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o400)
	if err != nil {
		return nil, &fs.PathError{Op: "openat with O_TMPFILE", Path: stage.Name(), Err: err}
	}
	return os.NewFile(uintptr(fd), stage.Name()+"/(unnamed)"), nil
}

// link gives a file a name in a folder; the error is blob.ErrExist if there is
// anything under the name.
func link(f, folder *os.File, name string) error {
	// linkat with AT_EMPTY_PATH would do without /proc but takes a capability.
	from := "/proc/self/fd/" + strconv.Itoa(int(f.Fd()))
	err := unix.Linkat(unix.AT_FDCWD, from, int(folder.Fd()), name, unix.AT_SYMLINK_FOLLOW)
	switch err {
	case nil:
		return nil
	case unix.EEXIST:
		return blob.ErrExist
	}
	return os.NewSyscallError("linkat", err)
}

// folder opens a folder, which it creates if need be, with those above it.
func (s *Store) folder(name string) (*os.File, error) {
	f, err := s.tree.openat2(name, unix.O_RDONLY|unix.O_DIRECTORY)
	if name == "." || !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	above, err := s.folder(path.Dir(name))
	if err != nil {
		return nil, err
	}
	defer above.Close() // a folder: nothing was written through it
	switch err := unix.Mkdirat(int(above.Fd()), path.Base(name), 0o700); err {
	case nil:
		s.changes.add(path.Dir(name))
	case unix.EEXIST: // another process was quicker
	default:
		return nil, &fs.PathError{Op: "mkdirat", Path: filepath.Join(s.tree.root.Name(), name), Err: err}
	}
	return s.tree.openat2(name, unix.O_RDONLY|unix.O_DIRECTORY)
}

// Stage implements blob.Writer.
func (s *Store) Stage(ctx context.Context) (blob.Staged, error) {
	stage, err := s.folder(stageFolder)
	if err != nil {
		return nil, fmt.Errorf("staging an object: %w", err)
	}
	defer stage.Close() // a folder: nothing was written through it
	return newStaged(ctx, stage, s.fsync, s.link)
}

// link gives a file its name in the store.
func (s *Store) link(f *os.File, name string) error {
	folder, err := s.folder(path.Dir(name))
	if err != nil {
		return err
	}
	defer folder.Close() // as above
	err = link(f, folder, path.Base(name))
	// Whatever happened: the name may be there without being durable, and not
	// by our doing.
	s.changes.add(path.Dir(name))
	return err
}

// Sync implements blob.Writer.
func (s *Store) Sync(ctx context.Context) error {
	err := s.changes.sync(ctx, func(name string) error {
		folder, err := s.tree.openat2(name, unix.O_RDONLY|unix.O_DIRECTORY)
		if err != nil {
			return err
		}
		defer folder.Close() // as above
		return s.fsync(folder)
	})
	if err != nil {
		return fmt.Errorf("syncing the store: %w", err)
	}
	return nil
}

// Replace implements blob.Replacer. What was under the name, of whatever kind,
// comes to damaged/<name>, with a "~" and a number behind it if that is taken.
// After a failure a sound copy may be left there.
func (s *Store) Replace(ctx context.Context, name string, st blob.Staged) error {
	o, ok := st.(*staged)
	if !ok {
		return fmt.Errorf("replacing %s: the new object was staged elsewhere", name)
	}
	if err := o.finish(ctx, name); err != nil {
		return fmt.Errorf("replacing %s: %w", name, err)
	}
	if err := s.replace(ctx, name, o.file); err != nil {
		return fmt.Errorf("replacing %s: %w", name, err)
	}
	return nil
}

// The order matters:
//  1. link      the new object, whose bytes are durable, gets a name beside
//     the damaged ones; losing that name loses nothing
//  2. sync      it keeps that name, so that the next step, if it is half
//     durable, leaves no object without one
//  3. exchange  both names lead to the other's object, at one stroke
//  4. sync      and stay so
func (s *Store) replace(ctx context.Context, name string, f *os.File) error {
	apart := path.Dir(path.Join(damagedFolder, name))
	from, err := s.folder(apart)
	if err != nil {
		return err
	}
	defer from.Close() // as above
	to, err := s.folder(path.Dir(name))
	if err != nil {
		return err
	}
	defer to.Close() // as above

	beside, err := linkFree(f, from, path.Base(name))
	if err != nil {
		return err
	}
	s.changes.add(apart)
	if err := s.Sync(ctx); err != nil {
		return err
	}
	if err := exchange(from, beside, to, path.Base(name)); err != nil {
		return err
	}
	s.changes.add(apart)
	s.changes.add(path.Dir(name))
	return s.Sync(ctx)
}

// linkFree gives a file the first name that is free, and returns that.
func linkFree(f, folder *os.File, name string) (string, error) {
	free := name
	for n := 1; ; n++ {
		err := link(f, folder, free)
		if !errors.Is(err, blob.ErrExist) {
			return free, err
		}
		free = name + "~" + strconv.Itoa(n)
	}
}

// exchange swaps what two names lead to, or moves the first if there is
// nothing under the second.
func exchange(from *os.File, old string, to *os.File, name string) error {
	err := unix.Renameat2(int(from.Fd()), old, int(to.Fd()), name, unix.RENAME_EXCHANGE)
	if err == unix.ENOENT {
		err = unix.Renameat2(int(from.Fd()), old, int(to.Fd()), name, unix.RENAME_NOREPLACE)
	}
	return os.NewSyscallError("renameat2", err)
}
