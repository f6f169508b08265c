package crashtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A disk is a block device of its own with a file system on it. It lies in a
// file on a second file system that can clone files at one stroke, so the
// clone is what the device held at one moment: what the inner file system had
// submitted by then, in whatever order it chose, and nothing of what was in
// the page cache only. That is what a loss of power leaves, but for what a
// drive has accepted and not yet written down; no test here drops that.
type disk struct {
	*mounted
	kind   string
	folder string // of the file system that can clone
	cuts   int
}

// kinds says of each file system how one is made for a device with sectors of
// 4096 bytes, which is what a clone is then written in.
var kinds = map[string][]string{
	"ext4":  {"mkfs.ext4", "-q", "-b", "4096"},
	"xfs":   {"mkfs.xfs", "-q", "-s", "size=4096"},
	"btrfs": {"mkfs.btrfs", "-q", "-s", "4096"},
}

// newDisk makes a disk and mounts it. Without root and loop devices the test
// is skipped; in CI, where there must be both, it fails.
func newDisk(t *testing.T, kind string, size string) *disk {
	t.Helper()
	d := &disk{kind: kind, folder: t.TempDir()}
	if err := d.make(t, size); err != nil {
		if os.Getenv("CI") == "" {
			t.Skipf("this takes root and loop devices: %v", err)
		}
		t.Fatal(err)
	}
	d.mounted = d.mount(t, d.image())
	return d
}

func (d *disk) image() string { return filepath.Join(d.folder, "disk.img") }

// make makes the outer file system, and the inner one in a file on it.
func (d *disk) make(t *testing.T, size string) error {
	outer := filepath.Join(t.TempDir(), "outer.img")
	for _, command := range [][]string{
		{"truncate", "-s", "16G", outer}, // takes only as much as is written
		{"mkfs.xfs", "-q", "-m", "reflink=1", outer},
		{"mount", "-o", "loop", outer, d.folder},
	} {
		if err := sh(command...); err != nil {
			return err
		}
	}
	t.Cleanup(func() { must(t, "umount", d.folder) })
	if err := sh("truncate", "-s", size, d.image()); err != nil {
		return err
	}
	return sh(append(slices.Clone(kinds[d.kind]), d.image())...)
}

// cut keeps what the disk holds at this moment, and returns the image.
func (d *disk) cut(t *testing.T) (image string) {
	t.Helper()
	d.cuts++
	image = filepath.Join(d.folder, fmt.Sprintf("cut-%d.img", d.cuts))
	from, err := os.Open(d.image())
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close() // nothing was written
	to, err := os.Create(image)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(unix.IoctlFileClone(int(to.Fd()), int(from.Fd())), to.Close()); err != nil {
		t.Fatalf("cloning the disk: %v", err)
	}
	return image
}

// A mounted is an image that is mounted.
type mounted struct {
	device, at string
	closed     bool
}

// mount mounts an image until the test ends or close is called.
func (d *disk) mount(t *testing.T, image string) *mounted {
	t.Helper()
	// Direct: what is written passes by the page cache of the outer system.
	out, err := exec.Command("losetup", "--find", "--show", "--direct-io=on", "--sector-size=4096", image).Output()
	if err != nil {
		t.Fatalf("losetup: %v", err)
	}
	m := &mounted{device: strings.TrimSpace(string(out)), at: t.TempDir()}
	if err := sh("mount", m.device, m.at); err != nil {
		must(t, "losetup", "--detach", m.device)
		t.Fatal(err)
	}
	t.Cleanup(func() { m.close(t) })
	return m
}

// close unmounts the image, once.
func (m *mounted) close(t *testing.T) {
	t.Helper()
	if m.closed {
		return
	}
	m.closed = true
	must(t, "umount", m.at)
	must(t, "losetup", "--detach", m.device)
}

func must(t *testing.T, command ...string) {
	t.Helper()
	if err := sh(command...); err != nil {
		t.Fatal(err)
	}
}

func sh(command ...string) error {
	out, err := exec.Command(command[0], command[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(command, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
