package restore_test

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"strongroom/internal/safe"
	"strongroom/internal/store/restore"
	"strongroom/internal/store/storetest"
)

// metadata is what a restore has to give an entry.
type metadata struct {
	Mode, UID, GID uint32
	MTime          string
	Xattrs         map[string]string
}

func metadataOf(t *testing.T, path string) metadata {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		t.Fatal(err)
	}
	m := metadata{Mode: st.Mode & 0o7777, UID: st.Uid, GID: st.Gid, MTime: time.Unix(st.Mtim.Unix()).UTC().Format(time.RFC3339Nano)}
	list := make([]byte, 4096)
	n, err := unix.Llistxattr(path, list)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range strings.FieldsFunc(string(list[:n]), func(c rune) bool { return c == 0 }) {
		value := make([]byte, 4096)
		n, err := unix.Lgetxattr(path, name, value)
		if err != nil {
			t.Fatal(err)
		}
		if m.Xattrs == nil {
			m.Xattrs = make(map[string]string)
		}
		m.Xattrs[name] = string(value[:n])
	}
	return m
}

func TestMetadata(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	s := storetest.New(t)
	times := map[string]time.Time{
		"epoch":  time.Unix(0, 0).UTC(),
		"before": time.Date(1931, 5, 6, 7, 8, 9, 123, time.UTC),
		"nanos":  time.Date(2026, 1, 2, 3, 4, 5, 999_999_999, time.UTC),
		"later":  time.Date(2200, 1, 2, 3, 4, 5, 1, time.UTC),
	}
	modes := map[string]uint32{"none": 0, "setuid": 0o4755, "setgid": 0o2711, "sticky": 0o1777, "all": 0o7777, "readonly": 0o400}
	xattrs := map[string][]byte{"user.note": []byte("some\x00bytes\xff"), "user.empty": {}, "trusted.mark": []byte("t")}
	// A capability, as setcap writes it: cap_net_bind_service=ep.
	capability := map[string][]byte{"security.capability": []byte("\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")}

	want := make(map[string]metadata)
	var entries []storetest.Entry
	add := func(e storetest.Entry, change func(*safe.Entry)) {
		e = e.With(func(e *safe.Entry) { e.UID, e.GID = 4321, 8765 }).With(change)
		m := metadata{Mode: e.Mode, UID: e.UID, GID: e.GID, MTime: e.MTime.Format(time.RFC3339Nano)}
		for name, value := range e.Xattrs {
			if m.Xattrs == nil {
				m.Xattrs = make(map[string]string)
			}
			m.Xattrs[name] = string(value)
		}
		want[e.Path] = m
		entries = append(entries, e)
	}
	for name, at := range times {
		add(storetest.File("times/"+name, "x"), func(e *safe.Entry) { e.MTime = at })
		add(storetest.Dir("times/"+name+".d"), func(e *safe.Entry) { e.MTime = at })
		add(storetest.File("times/"+name+".d/f", "x"), func(*safe.Entry) {})
		add(storetest.Symlink("times/"+name+".l", "x"), func(e *safe.Entry) { e.MTime = at })
	}
	for name, mode := range modes {
		add(storetest.File("modes/"+name, "x"), func(e *safe.Entry) { e.Mode = mode })
		add(storetest.Dir("modes/"+name+".d"), func(e *safe.Entry) { e.Mode = mode })
		add(storetest.Dir("modes/"+name+".d/e"), func(e *safe.Entry) { e.Mode = mode })
		add(storetest.File("modes/"+name+".d/e/f", "x"), func(*safe.Entry) {})
	}
	add(storetest.File("xattrs/f", "x"), func(e *safe.Entry) { e.Xattrs, e.Mode = xattrs, 0o444 })
	add(storetest.Dir("xattrs/d"), func(e *safe.Entry) { e.Xattrs = xattrs })
	add(storetest.Symlink("xattrs/l", "nowhere"), func(e *safe.Entry) {
		e.Xattrs = map[string][]byte{"trusted.mark": []byte("of the link")}
	})
	add(storetest.File("xattrs/cap", "x"), func(e *safe.Entry) { e.Xattrs, e.Mode = capability, 0o4755 })
	folder := t.TempDir()
	report := mustRun(t, s.Open(s.Snapshot(entries...)), folder, restore.Options{})
	checkLosses(t, report)
	got := make(map[string]metadata)
	for path := range want {
		got[path] = metadataOf(t, filepath.Join(folder, path))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("metadata (-want +got):\n%s", diff)
	}
}

func TestMetadataThatCannotBe(t *testing.T) {
	s := storetest.New(t)
	d := s.Snapshot(
		storetest.File("f", "x").With(func(e *safe.Entry) {
			e.MTime = time.Date(9000, 1, 1, 0, 0, 0, 0, time.UTC)
			e.Xattrs = map[string][]byte{"no.such.namespace": []byte("v")}
		}),
		storetest.Symlink("l", "f").With(func(e *safe.Entry) { e.Xattrs = map[string][]byte{"user.on-a-link": nil} }),
	)
	folder := t.TempDir()
	report := mustRun(t, s.Open(d), folder, restore.Options{})
	checkLosses(t, report, "f: xattr", "f: mtime", "l: xattr")
	checkTree(t, folder, map[string]string{"f": "file x", "l": "-> f"})
	if report.Missing != 0 || report.Files != 1 {
		t.Errorf("missing %d, files %d: the content counts all the same", report.Missing, report.Files)
	}
}

func TestOwners(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	s := storetest.New(t)
	d := s.Snapshot(
		storetest.File("known", "x").With(func(e *safe.Entry) { e.UID, e.GID = 7, 7 }), // of user and group root
		storetest.File("unknown", "x").With(func(e *safe.Entry) { e.UID, e.User, e.Mode = 7, "nobody-has-this-name", 0o4755 }),
	)
	for _, tt := range []struct {
		name           string
		owner          restore.Owner
		known, unknown uint32
		mode           uint32
		losses         []string
	}{
		{"by number", restore.ByNumber, 7, 7, 0o4755, nil},
		{"by name", restore.ByName, 0, 7, 0o4755, []string{"unknown: owner"}},
		{"none", restore.NoOwner, 0, 0, 0o755, []string{"unknown: mode"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			folder := t.TempDir()
			report := mustRun(t, s.Open(d), folder, restore.Options{Owner: tt.owner})
			checkLosses(t, report, tt.losses...)
			known, unknown := metadataOf(t, filepath.Join(folder, "known")), metadataOf(t, filepath.Join(folder, "unknown"))
			if known.UID != tt.known || unknown.UID != tt.unknown || unknown.Mode != tt.mode {
				t.Errorf("owners %d and %d, mode %04o, want %d, %d and %04o", known.UID, unknown.UID, unknown.Mode, tt.known, tt.unknown, tt.mode)
			}
		})
	}
}

// TestWithoutRoot runs itself again as a user without rights.
func TestWithoutRoot(t *testing.T) {
	const inside = "STRONGROOM_TEST_TARGET"
	if os.Geteuid() == 0 && os.Getenv(inside) == "" {
		// Neither the folders of this test nor its binary are open to others.
		folder, err := os.MkdirTemp("", "restore")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(folder)
		program, err := os.ReadFile(os.Args[0])
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(os.WriteFile(filepath.Join(folder, "test"), program, 0o755), os.Mkdir(filepath.Join(folder, "t"), 0o700),
			os.Chown(filepath.Join(folder, "t"), 65534, 65534), os.Chmod(folder, 0o755)); err != nil {
			t.Fatal(err)
		}
		command := exec.Command(filepath.Join(folder, "test"), "-test.run=^TestWithoutRoot$", "-test.v")
		command.Env = append(os.Environ(), inside+"="+filepath.Join(folder, "t"), "GOCOVERDIR="+filepath.Join(folder, "t"))
		command.Dir = folder
		command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		out, err := command.CombinedOutput()
		if err != nil || !bytes.Contains(out, []byte("--- PASS: TestWithoutRoot")) {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	t.Setenv("TMPDIR", os.Getenv(inside))
	s := storetest.New(t)
	d := s.Snapshot(
		storetest.Dir("closed").With(func(e *safe.Entry) { e.Mode = 0 }),
		storetest.File("closed/f", "x").With(func(e *safe.Entry) { e.Mode = 0 }),
		storetest.Dir("closed/d").With(func(e *safe.Entry) { e.Mode = 0o500 }),
		storetest.File("closed/d/f", "y").With(func(e *safe.Entry) { e.Mode = 0o4755 }),
	)
	folder := interrupted(t, s, d) // continues what is not open even to its owner
	t.Cleanup(func() {             // before the folder is removed
		os.Chmod(filepath.Join(folder, "closed"), 0o700)
		os.Chmod(filepath.Join(folder, "closed/d"), 0o700)
	})
	report := mustRun(t, s.Open(d), folder, restore.Options{})
	checkLosses(t, report, ": owner", "closed/d/f: mode")
	if report.Kept != 2 || report.Missing != 0 {
		t.Errorf("kept %d, missing %d, want 2 and 0", report.Kept, report.Missing)
	}
	if err := os.Chmod(filepath.Join(folder, "closed"), 0o700); err != nil {
		t.Fatal(err)
	}
	got := map[string]uint32{}
	for _, path := range []string{"closed/f", "closed/d", "closed/d/f"} {
		got[path] = metadataOf(t, filepath.Join(folder, path)).Mode
	}
	if want := map[string]uint32{"closed/f": 0, "closed/d": 0o500, "closed/d/f": 0o755}; !maps.Equal(got, want) {
		t.Errorf("modes %v, want %v", got, want)
	}
	// What a program wrote has no owner to lose.
	dump := s.Snapshot(storetest.Stream("dump.sql", "-- dump\n"))
	checkLosses(t, mustRun(t, s.Open(dump), t.TempDir(), restore.Options{}))
}

func TestSparse(t *testing.T) {
	s := storetest.New(t)
	content := strings.Repeat("\x00", 3<<20) + "middle" + strings.Repeat("\x00", 5<<20) + noise(1, 10_000) + strings.Repeat("\x00", 1<<20)
	sparse := func(e *safe.Entry) { e.Sparse = true }
	d := s.Snapshot(
		storetest.File("sparse", content).Cut(100_003).With(sparse),
		storetest.File("all-hole", strings.Repeat("\x00", 2<<20)).With(sparse),
		storetest.File("zeros", strings.Repeat("\x00", 2<<20)),
	)
	folder := t.TempDir()
	checkLosses(t, mustRun(t, s.Open(d), folder, restore.Options{}))
	checkTree(t, folder, map[string]string{
		"sparse":   "file " + content,
		"all-hole": "file " + strings.Repeat("\x00", 2<<20),
		"zeros":    "file " + strings.Repeat("\x00", 2<<20),
	})
	blocks := func(name string) int64 {
		var st unix.Stat_t
		if err := unix.Lstat(filepath.Join(folder, name), &st); err != nil {
			t.Fatal(err)
		}
		return st.Blocks * 512
	}
	if n := blocks("sparse"); n > 64<<10 {
		t.Errorf("sparse takes %d bytes, want at most 64 KiB", n)
	}
	if n := blocks("all-hole"); n > 4096 {
		t.Errorf("all-hole takes %d bytes", n)
	}
}

// TestFull restores into a filesystem that is too small, then into the same
// after it has been given room.
func TestFull(t *testing.T) {
	folder := t.TempDir()
	if err := unix.Mount("tmpfs", folder, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("a small filesystem cannot be made here: %v", err)
	}
	defer unix.Unmount(folder, unix.MNT_DETACH)
	s := storetest.New(t)
	want := make(map[string]string)
	var entries []storetest.Entry
	for _, name := range []string{"a", "b", "c", "d"} {
		entries = append(entries, storetest.File(name, noise(1, 400_000)).Cut(100_000))
		want[name] = "file " + noise(1, 400_000)
	}
	d := s.Snapshot(entries...)
	_, err := restore.Run(t.Context(), s.Open(d), openTarget(t, folder), restore.Options{})
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("Run: %v, want that no space is left", err)
	}
	if err := unix.Mount("", folder, "", unix.MS_REMOUNT, "size=16m"); err != nil {
		t.Fatal(err)
	}
	checkLosses(t, mustRun(t, s.Open(d), folder, restore.Options{}))
	checkTree(t, folder, want)
}
