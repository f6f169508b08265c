//go:build !linux

package local

import (
	"errors"

	"strongroom/internal/source/tree"
)

// files cannot be read safely without Linux's openat(2) and its O_PATH.
type files struct{}

func newFiles() *files { return &files{} }

func (*files) learnOwners() {}
func (*files) Interrupt()   {}

func (*files) Root() (tree.Dir, error) {
	return nil, &tree.Fatal{Err: errors.New("local sources need Linux")}
}
