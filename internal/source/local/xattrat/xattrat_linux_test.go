package xattrat

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestNone(t *testing.T) {
	folder := t.TempDir()
	for _, name := range []string{"plain", "marked"} {
		if err := os.WriteFile(filepath.Join(folder, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("marked", filepath.Join(folder, "link")); err != nil {
		t.Fatal(err)
	}
	err := unix.Setxattr(filepath.Join(folder, "marked"), "user.mark", []byte("x"), 0)
	if errors.Is(err, unix.ENOTSUP) {
		t.Skip("this filesystem has no extended attributes")
	}
	if err != nil {
		t.Fatal(err)
	}
	d, err := os.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	fd := int(d.Fd())
	plain := None(fd, "plain")
	if unavailable.Load() {
		t.Skip("the kernel does not have the call")
	}
	if !plain || !None(fd, "link") {
		t.Error("an entry without extended attributes: not known to have none")
	}
	for _, name := range []string{"marked", "not there", "a\x00b", ""} {
		if None(fd, name) {
			t.Errorf("%q is said to have none", name)
		}
	}
}
