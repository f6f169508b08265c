//go:build !linux

package confine

import (
	"errors"
	"fmt"
)

var errNotLinux = fmt.Errorf("only Linux can confine a process: %w", errors.ErrUnsupported)

// Apply fails, unless rules.AllowWithoutLandlock.
func Apply(rules Rules) (Report, error) {
	if err := rules.checkApart(); err != nil {
		return Report{}, fmt.Errorf("confining this process: %w", err)
	}
	if !rules.AllowWithoutLandlock {
		return Report{}, errNotLinux
	}
	return Report{Notes: []string{"Nothing is confined: this is not Linux."}}, nil
}

// NoNewPrivs fails.
func NoNewPrivs() error { return errNotLinux }

// NoDump fails.
func NoDump() error { return errNotLinux }

// NoSwap fails.
func NoSwap() error { return errNotLinux }

// MostMemory fails.
func MostMemory(uint64) error { return errNotLinux }

// ABI returns the version of Landlock that the kernel offers, 0 for none.
func ABI() int { return 0 }
