package crashtest

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A state that is older than the store would fork the ledger.
func TestOldState(t *testing.T) {
	tr := newTree(t, newRandom(t))
	s := newSite(t, t.TempDir(), localSource("files", tr.root, ""))
	kept := map[string]print{s.collect("files"): tr.print()}
	file := filepath.Join(s.state(), "state.db")
	old := s.saveState(file)
	tr.change()
	kept[s.collect("files")] = tr.print()
	now := s.saveState(file)
	before := storeNames(t, s.store())

	s.putState(file, old)
	for _, command := range [][]string{{"collect", "files"}, {"status"}, {"forget", "files", "--yes"}, {"scrub"}} {
		r := s.exits(4, command...)
		if !strings.Contains(r.stderr, "older copy") || !strings.Contains(r.stderr, file) {
			t.Errorf("not a clear refusal: %v", r)
		}
	}
	if after := storeNames(t, s.store()); after != before {
		t.Errorf("the store had\n%s\nand has\n%s", before, after)
	}
	s.sound(kept)

	// With the right state all is well.
	s.putState(file, now)
	tr.change()
	kept[s.collect("files")] = tr.print()
	s.sound(kept)
	for _, run := range sortedKeys(kept) {
		s.restores(run, kept[run])
	}
	s.must("scrub")
}

// saveState returns the content of the state database, which nobody has open.
func (s *site) saveState(file string) []byte {
	s.t.Helper()
	if _, err := os.Stat(file + "-wal"); err == nil {
		s.t.Fatal("the program left a journal of its state")
	}
	b, err := os.ReadFile(file)
	if err != nil {
		s.t.Fatal(err)
	}
	return b
}

func (s *site) putState(file string, b []byte) {
	s.t.Helper()
	if err := os.WriteFile(file, b, 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// storeNames lists all that is in a store.
func storeNames(t *testing.T, store string) string {
	t.Helper()
	var b bytes.Buffer
	err := filepath.WalkDir(store, func(path string, entry os.DirEntry, err error) error {
		b.WriteString(path + "\n")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestReadOnlyStore(t *testing.T) {
	d := newDisk(t, "ext4", "1G")
	tr := newTree(t, newRandom(t))
	s := newSite(t, d.at, localSource("files", tr.root, ""))
	// Only the store is on the disk that fails.
	s.splitState()
	kept := map[string]print{s.collect("files"): tr.print()}
	must(t, "mount", "-o", "remount,ro", d.at)
	tr.change()
	r := s.exits(1, "collect", "files")
	if !strings.Contains(r.stderr, "read-only file system") {
		t.Errorf("not a clear error: %v", r)
	}
	if besides := s.sound(kept); len(besides) > 0 {
		t.Errorf("there are %v besides what was kept", besides)
	}
	for _, run := range sortedKeys(kept) {
		s.restores(run, kept[run])
	}
	must(t, "mount", "-o", "remount,rw", d.at)
	kept[s.collect("files")] = tr.print()
	s.sound(kept)
	s.must("scrub")
}

// splitState moves the state out of the place of the store.
func (s *site) splitState() {
	s.t.Helper()
	must(s.t, "cp", "-a", s.state(), s.home)
	must(s.t, "rm", "-rf", s.state())
	must(s.t, "ln", "-s", filepath.Join(s.home, "dir"), s.state())
}

// A full disk costs the collection that met it and nothing else.
func TestFullDisk(t *testing.T) {
	for name, apart := range map[string]bool{"store": true, "store and state": false} {
		t.Run(name, func(t *testing.T) {
			d := newDisk(t, "ext4", "1G")
			tr := newTree(t, newRandom(t))
			s := newSite(t, d.at, localSource("files", tr.root, ""))
			if apart {
				s.splitState()
			}
			kept := map[string]print{s.collect("files"): tr.print()}
			// From plenty to nothing, so that each kind of object fails once.
			for _, left := range []int{16 << 20, 1 << 20, 128 << 10, 16 << 10, 0} {
				tr.change()
				tr.grow(6, 4<<20)
				d.fill(t, left)
				r := s.run("collect", "files")
				if r.code != 1 || !strings.Contains(r.stderr, "no space left on device") && !strings.Contains(r.stderr, "disk is full") {
					t.Errorf("with %d bytes left, not a clear error: %v", left, r)
				}
				if besides := s.sound(kept); len(besides) > 0 {
					t.Errorf("with %d bytes left, there are %v besides what was kept", left, besides)
				}
				for _, run := range sortedKeys(kept) {
					s.verify(run)
				}
				tr.shrink()
				d.free(t)
				run := s.collect("files")
				kept[run] = tr.print()
				s.restores(run, kept[run])
			}
			s.sound(kept)
			s.must("scrub")
		})
	}
}

// fill leaves so many bytes on the disk.
func (d *disk) fill(t *testing.T, left int) {
	t.Helper()
	f, err := os.Create(filepath.Join(d.at, "ballast"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() // the disk is full
	for size := 64 << 20; size >= 4096; {
		if err := allocate(f, size); err != nil {
			size /= 2
		}
	}
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(max(info.Size()-int64(left), 0)); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
}

// free takes away what fill has put there.
func (d *disk) free(t *testing.T) {
	t.Helper()
	if err := os.Remove(filepath.Join(d.at, "ballast")); err != nil {
		t.Fatal(err)
	}
	must(t, "sync", "-f", d.at)
}

// allocate makes a file longer by so many bytes.
func allocate(f *os.File, size int) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return unix.Fallocate(int(f.Fd()), 0, info.Size(), int64(size))
}
