package restore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync/atomic"

	"strongroom/internal/safe"
)

// A folder of the target, by a handle that no renaming leads astray. It gets
// its metadata when the last of its users lets go of it: the manifest, files
// in it, folders in it.
type folder struct {
	r      *restorer
	parent *folder // nil for the target
	entry  safe.Entry
	root   *os.Root // nil if the folder could not be made
	users  atomic.Int64

	// seen has the names in it, folded, if the target does not distinguish
	// case. It belongs to the goroutine that reads the manifest.
	seen map[string]bool
}

var errNoFolder = errors.New("its folder could not be restored")

// newFolder returns a folder that its maker has to release.
func (r *restorer) newFolder(parent *folder, e safe.Entry, root *os.Root) *folder {
	f := &folder{r: r, parent: parent, entry: e, root: root}
	f.users.Store(1)
	if r.folds {
		f.seen = make(map[string]bool)
	}
	if parent != nil {
		parent.retain()
	}
	return f
}

func (f *folder) retain() { f.users.Add(1) }

func (f *folder) release() {
	if f.users.Add(-1) > 0 {
		return
	}
	if f.parent == nil {
		return // the target is the caller's
	}
	if f.root != nil {
		if f.r.pipe.cause() == nil {
			f.describe()
		}
		f.root.Close() // was opened for reading: nothing can be lost
	}
	f.parent.release()
}

// describe gives the folder its metadata.
func (f *folder) describe() {
	dir, err := f.root.OpenFile(".", os.O_RDONLY|noPoll, 0)
	if err != nil {
		f.r.tally.lose(f.entry.Path, Mode, err)
		return
	}
	defer dir.Close() // was opened for reading
	f.r.describe(dir, f.parent.root, base(f.entry.Path), f.entry)
}

// claim reports why no entry of that name can be made in f.
func (f *folder) claim(name string) error {
	if f.root == nil {
		return errNoFolder
	}
	if err := checkName(name); err != nil {
		return err
	}
	if f.seen == nil {
		return nil
	}
	folded := strings.ToLower(strings.ToUpper(name))
	if f.seen[folded] {
		return errors.New("the target does not distinguish case, and another entry has this name already")
	}
	f.seen[folded] = true
	return nil
}

// makeFolder makes a folder that only its owner may enter. After an error too
// there is a folder, in which nothing can be made.
func (r *restorer) makeFolder(parent *folder, e safe.Entry) (*folder, error) {
	f := r.newFolder(parent, e, nil)
	name := base(e.Path)
	if err := parent.claim(name); err != nil {
		return f, err
	}
	err := parent.root.Mkdir(name, 0o700)
	there := errors.Is(err, fs.ErrExist)
	if there {
		there, err = r.reuseFolder(parent, name)
	}
	if err != nil {
		return f, err
	}
	root, err := openFolder(parent.root, name)
	if err != nil {
		return f, err
	}
	if there && r.resumed {
		if err := r.removeTemporaries(root); err != nil {
			root.Close() // nothing was written
			return f, err
		}
	}
	f.root = root
	return f, nil
}

// reuseFolder makes usable what an earlier Run may have left under the name of
// a folder: the folder itself, which stays, or something else, which gives way.
func (r *restorer) reuseFolder(parent *folder, name string) (there bool, err error) {
	info, err := parent.root.Lstat(name)
	if err != nil {
		return false, err
	}
	if !info.IsDir() {
		if err := r.free(parent, name); err != nil {
			return false, err
		}
		return false, parent.root.Mkdir(name, 0o700)
	}
	if info.Mode().Perm()&0o700 != 0o700 {
		err = parent.root.Chmod(name, 0o700)
	}
	return true, err
}

// openFolder opens a folder, but no link to one: os.Root would follow that as
// long as it stays inside.
func openFolder(parent *os.Root, name string) (*os.Root, error) {
	listed, err := parent.Lstat(name)
	if err != nil {
		return nil, err
	}
	root, err := parent.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	opened, err := root.Stat(".")
	if err == nil && !os.SameFile(listed, opened) {
		err = errors.New("something else has taken the name of the folder")
	}
	if err != nil {
		root.Close() // nothing was written
		return nil, err
	}
	return root, nil
}

// removeTemporaries removes what an earlier Run was writing in a folder when
// it ended.
func (r *restorer) removeTemporaries(folder *os.Root) error {
	names, err := namesIn(folder)
	if err != nil {
		return fmt.Errorf("looking for temporary files: %w", err)
	}
	for _, name := range names {
		if r.mark.isTemporary(name) {
			if err := folder.Remove(name); err != nil {
				return fmt.Errorf("removing a temporary file: %w", err)
			}
		}
	}
	return nil
}
