package export

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"strongroom/internal/safe"
)

// A ForeignError says that a folder has something that no release page has left
// there as it is.
type ForeignError struct{ Dir, Name string }

func (e *ForeignError) Error() string {
	return fmt.Sprintf("%s has something else than a release page as it was written: %s", e.Dir, e.Name)
}

// Write makes a folder of the files, or puts them in the place of an older page,
// of which every file must be as it was written: *ForeignError. Whoever reads
// the folder meanwhile finds the one page or the other.
func Write(dir string, files []File) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if found, err := filepath.EvalSymlinks(dir); err == nil {
		dir = found // the link stays one
	}
	there, err := checkOwn(dir)
	if err != nil {
		return err
	}
	parent := filepath.Dir(dir)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	fresh, err := os.MkdirTemp(parent, "."+filepath.Base(dir)+".new-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(fresh) // what it holds then is the older page, or nothing that anybody needs
	for _, f := range files {
		if err := writeFile(filepath.Join(fresh, f.Name), f.Content); err != nil {
			return err
		}
	}
	// For the web server to read, whose user is another one.
	if err := errors.Join(os.Chmod(fresh, 0o755), syncDir(fresh)); err != nil {
		return err
	}
	if there {
		err = exchange(fresh, dir)
	} else {
		err = os.Rename(fresh, dir)
	}
	if err != nil {
		return err
	}
	return syncDir(parent)
}

// checkOwn reports whether the folder is there, and sees that it holds a page or
// nothing.
func checkOwn(dir string) (bool, error) {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	case len(entries) == 0:
		return true, nil
	}
	var found []File
	var sumsFound []byte
	for _, e := range entries {
		if !e.Type().IsRegular() {
			return false, &ForeignError{dir, e.Name()}
		}
		b, err := readBounded(filepath.Join(dir, e.Name()))
		if err != nil {
			return false, err
		}
		if e.Name() == sumsFile {
			sumsFound = b
			continue
		}
		if e.Name() == readmeFile && !bytes.HasPrefix(b, []byte(readmeFirst)) {
			return false, &ForeignError{dir, e.Name()}
		}
		found = append(found, File{e.Name(), b})
	}
	if !slices.ContainsFunc(found, func(f File) bool { return f.Name == readmeFile }) {
		return false, &ForeignError{dir, found[0].Name}
	}
	for _, f := range found { // by name, as os.ReadDir gives them
		if !bytes.Contains(sumsFound, sums([]File{f})) {
			return false, &ForeignError{dir, f.Name}
		}
	}
	return true, nil
}

// maxFile bounds what is read of a file to see whether it is one of ours.
const maxFile = 8 << 20

func readBounded(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err == nil && info.Size() > maxFile {
		return nil, nil // none of ours: it has another digest
	}
	if err != nil {
		return nil, err
	}
	return os.ReadFile(name)
}

func writeFile(name string, content []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close()) // whatever the umask
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Digest stands for all files: it is that of SHA256SUMS.
func Digest(files []File) safe.Digest {
	i := slices.IndexFunc(files, func(f File) bool { return f.Name == sumsFile })
	return safe.DigestOf(files[i].Content)
}
