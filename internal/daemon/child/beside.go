package child

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"strongroom/internal/source/local"
)

// A Place is a folder that the safe writes into, and what it is to people.
type Place struct{ Path, What string }

// Beside returns what a local source reads, which must lie beside the places
// that the safe itself writes into: a collector that is taken over could read
// them, and each collection would pull what the one before it has written.
func Beside(include []string, places ...Place) (folders, files []string, err error) {
	folders, files, err = local.Reach(include)
	if err != nil {
		return nil, nil, err
	}
	for _, folder := range folders {
		for _, place := range places {
			holds, err := holds(folder, place.Path)
			if err != nil {
				return nil, nil, fmt.Errorf("looking at what to pull: %w", err)
			}
			if holds {
				return nil, nil, fmt.Errorf("the include lines read beneath %s, which holds %s, %s: name the folders beside it", folder, place.What, place.Path)
			}
		}
	}
	return folders, files, nil
}

// holds tells whether place is, or will be, in the folder or is it, also
// where links lead there.
func holds(folder, place string) (bool, error) {
	folder, err := resolved(folder)
	if err != nil {
		return false, err
	}
	if place, err = resolved(place); err != nil {
		return false, err
	}
	beneath, err := filepath.Rel(folder, place)
	return err == nil && filepath.IsLocal(beneath), nil
}

// resolved follows the links of an absolute path as far as it exists.
func resolved(path string) (string, error) {
	to, err := filepath.EvalSymlinks(path)
	if parent := filepath.Dir(path); errors.Is(err, fs.ErrNotExist) && parent != path {
		to, err = resolved(parent)
		to = filepath.Join(to, filepath.Base(path))
	}
	return to, err
}
