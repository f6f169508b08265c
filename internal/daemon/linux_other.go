//go:build !linux

package daemon

import (
	"errors"
	"fmt"
	"os/exec"

	"strongroom/internal/safe"
)

var errNotLinux = fmt.Errorf("a safe: %w on this system, it needs Linux; restoring and verifying do not", errors.ErrUnsupported)

// A safe needs Linux; see the files for it.

func checkGuarded(string) error { return errNotLinux }

func lockFile(string) (unlock func(), err error) { return nil, errNotLinux }

// shareFile has nobody to keep out, since lockFile does not work.
func shareFile(string) (unlock func(), err error) { return func() {}, nil }

func (s *Safe) lockSource(safe.SourceName) (unlock func(), err error) { return nil, errNotLinux }

func placeState(string, string) error { return errNotLinux }

func free(string) (int64, error) { return 0, errNotLinux }

func apart(*exec.Cmd) {}
