package confine

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"

	"golang.org/x/sys/unix"
)

func wantPrctl(option, want int) error {
	got, err := unix.PrctlRetInt(option, 0, 0, 0, 0)
	if err == nil && got != want {
		err = fmt.Errorf("is %d, want %d", got, want)
	}
	return err
}

func wantNoCore() error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &limit); err != nil {
		return err
	}
	if limit != (unix.Rlimit{}) {
		return fmt.Errorf("the limit of core files is %+v", limit)
	}
	return nil
}

var lockedLine = regexp.MustCompile(`(?m)^VmLck:\s+(\d+) kB$`)

func wantLocked() error {
	b := make([]byte, 64<<20) // also after the lock there must be more to have
	for i := 0; i < len(b); i += 4096 {
		b[i] = 1
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	m := lockedLine.FindSubmatch(status)
	if m == nil {
		return errors.New("/proc/self/status has no VmLck")
	}
	if kB, err := strconv.Atoi(string(m[1])); err != nil || kB < len(b)>>10 {
		return fmt.Errorf("%s kB are locked", m[1])
	}
	return nil
}
