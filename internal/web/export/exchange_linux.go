package export

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// exchange gives each of two folders the other's name, at once.
func exchange(a, b string) error {
	if err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE); err != nil {
		return fmt.Errorf("exchanging %s for %s: %w", b, a, err)
	}
	return nil
}
