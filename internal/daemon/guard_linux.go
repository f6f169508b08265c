package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// checkGuarded refuses a folder that anyone but this user can write to: what
// lies in it may have been put there by somebody else, such as keys that they
// know. A folder that does not exist is fine.
func checkGuarded(path string) error {
	info, err := os.Stat(path) // the configuration may name a link; what counts is where it leads
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a folder", path)
	}
	owner := info.Sys().(*syscall.Stat_t).Uid
	switch self := os.Geteuid(); {
	case int(owner) != self && owner != 0:
		return fmt.Errorf("%s belongs to user %d, and the safe runs as user %d: whoever owns it can exchange what is in it; chown it if you know who made it", path, owner, self)
	case info.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("others can write to %s (mode %04o): chmod 0700 it, and consider what they may have put there", path, info.Mode().Perm())
	}
	return nil
}
