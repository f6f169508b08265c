//go:build !linux

package dir

import (
	"io/fs"
	"os"
)

// A tree opens what is below a folder and nothing outside it. Other than on
// Linux, a symbolic link from one folder of the store to another is followed.
// Names are valid object names or "." for the folder itself.
type tree struct{ root *os.Root }

func openTree(path string) (*tree, error) {
	r, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	return &tree{root: r}, nil
}

func (t *tree) close() error                          { return t.root.Close() }
func (t *tree) open(name string) (*os.File, error)    { return t.root.Open(name) }
func (t *tree) stat(name string) (fs.FileInfo, error) { return t.root.Lstat(name) }
