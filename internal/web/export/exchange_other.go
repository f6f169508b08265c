//go:build !linux

package export

import (
	"errors"
	"os"
)

// exchange gives each of two folders the other's name. For a moment none has
// the second one.
func exchange(a, b string) error {
	aside := a + ".old"
	if err := os.Rename(b, aside); err != nil {
		return err
	}
	if err := os.Rename(a, b); err != nil {
		return errors.Join(err, os.Rename(aside, b))
	}
	return os.Rename(aside, a)
}
