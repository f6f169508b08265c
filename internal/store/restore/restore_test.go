package restore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/safe"
	"strongroom/internal/store"
	"strongroom/internal/store/layout"
	"strongroom/internal/store/manifest"
	"strongroom/internal/store/restore"
	"strongroom/internal/store/storetest"
)

// openTarget opens a folder as a target.
func openTarget(t *testing.T, folder string) *os.Root {
	t.Helper()
	root, err := os.OpenRoot(folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

// mustRun restores and expects no error.
func mustRun(t *testing.T, s *store.Snapshot, folder string, opts restore.Options) restore.Report {
	t.Helper()
	report, err := restore.Run(t.Context(), s, openTarget(t, folder), opts)
	if err != nil {
		t.Fatalf("Run: %v", err)
	}
	return report
}

// tree reads what is in a folder: for each path its type, and the content or
// the target.
func tree(t *testing.T, folder string) map[string]string {
	t.Helper()
	found := make(map[string]string)
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == folder {
			return err
		}
		name := path[len(folder)+1:]
		switch d.Type() {
		case fs.ModeDir:
			found[name] = "dir"
		case fs.ModeSymlink:
			target, err := os.Readlink(path)
			found[name] = "-> " + target
			return err
		case 0:
			content, err := os.ReadFile(path)
			found[name] = "file " + string(content)
			return err
		default:
			found[name] = d.Type().String()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func checkTree(t *testing.T, folder string, want map[string]string) {
	t.Helper()
	if diff := cmp.Diff(want, tree(t, folder)); diff != "" {
		t.Errorf("what was restored (-want +got):\n%.4000s", diff)
	}
}

// losses writes a report's losses without the words of their errors.
func losses(r restore.Report) (list []string) {
	for _, l := range r.Losses {
		list = append(list, l.Path+": "+string(l.What))
	}
	return list
}

func checkLosses(t *testing.T, r restore.Report, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, losses(r)); diff != "" {
		t.Errorf("losses (-want +got):\n%s%v", diff, r.Losses)
	}
	if r.LossCount != int64(len(want)) {
		t.Errorf("LossCount is %d, want %d", r.LossCount, len(want))
	}
}

// noise is content that is the same for the same seed.
func noise(seed uint64, n int) string {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(seed, 0))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return string(b)
}

func TestEveryType(t *testing.T) {
	s := storetest.New(t)
	big := noise(1, 3<<20+17)
	long := strings.Repeat("n", safe.MaxName)
	deep := strings.TrimSuffix(strings.Repeat("d/", 500), "/")
	d := s.Snapshot(
		storetest.Dir("etc"),
		storetest.File("etc/hosts", "127.0.0.1 localhost\n"),
		storetest.File("etc/empty", ""),
		storetest.File("etc/big", big).Cut(100_000),
		storetest.Hardlink("etc/big.again", "etc/big"),
		storetest.Symlink("etc/out", "/../../absolute//target"),
		storetest.Symlink("etc/self", "self"),
		storetest.Stream("dump.sql", "-- dump\n"),
		storetest.Special("dev/null"),
		storetest.File("nasty/\xff\xfe not utf-8 \n\t\"\\", "a"),
		storetest.File("nasty/"+long, "b"),
		storetest.File("nasty/-rf *", "c"),
		storetest.File("nasty/.strongroom-restore-0123456789abcdef", "d"),
		storetest.File("nasty/.strongroom-restore-0123456789abcdef.1", "e"),
		storetest.File(".strongroom-restore-0123456789abcdef", "f"),
		storetest.File("nasty/C:\\con", "g"),
		storetest.File(deep+"/bottom", "h"),
	)
	folder := t.TempDir()
	var last restore.Progress
	report := mustRun(t, s.Open(d), folder, restore.Options{Progress: func(p restore.Progress) { last = p }})

	want := map[string]string{
		"etc": "dir", "dev": "dir", "nasty": "dir",
		"etc/hosts":                         "file 127.0.0.1 localhost\n",
		"etc/empty":                         "file ",
		"etc/big":                           "file " + big,
		"etc/big.again":                     "file " + big,
		"etc/out":                           "-> /../../absolute//target",
		"etc/self":                          "-> self",
		"dump.sql":                          "file -- dump\n",
		"nasty/\xff\xfe not utf-8 \n\t\"\\": "file a",
		"nasty/" + long:                     "file b",
		"nasty/-rf *":                       "file c",
		"nasty/.strongroom-restore-0123456789abcdef":   "file d",
		"nasty/.strongroom-restore-0123456789abcdef.1": "file e",
		".strongroom-restore-0123456789abcdef":         "file f",
		"nasty/C:\\con":                                "file g",
		deep + "/bottom":                               "file h",
	}
	for path := deep; ; path = filepath.Dir(path) {
		want[path] = "dir"
		if path == "d" {
			break
		}
	}
	checkTree(t, folder, want)
	checkLosses(t, report)
	wantReport := restore.Report{Files: 12, Bytes: d.Bytes, Dirs: 503, Symlinks: 2, Hardlinks: 1, Special: 1}
	if diff := cmp.Diff(wantReport, report); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	if want := (restore.Progress{Entries: d.Entries, Bytes: d.Bytes}); last != want {
		t.Errorf("the last progress is %v, want %v", last, want)
	}
	a, _ := os.Stat(filepath.Join(folder, "etc/big"))
	b, _ := os.Stat(filepath.Join(folder, "etc/big.again"))
	if !os.SameFile(a, b) {
		t.Error("etc/big.again is no other name of etc/big")
	}
}

// TestSeveralRuns restores content that lies in packs of earlier runs.
func TestSeveralRuns(t *testing.T) {
	s := storetest.New(t)
	first := s.Snapshot(storetest.File("a", "one "))
	second := s.Snapshot(storetest.File("a", "two "))
	mixed := storetest.File("a", "three ")
	mixed.Chunks = append(s.Chunks(second, "a"), s.Chunks(first, "a")...)
	third := s.Snapshot(mixed)
	if len(third.Runs) != 3 {
		t.Fatalf("the snapshot refers to %d runs, want 3", len(third.Runs))
	}
	folder := t.TempDir()
	checkLosses(t, mustRun(t, s.Open(third), folder, restore.Options{}))
	checkTree(t, folder, map[string]string{"a": "file three two one "})
}

func TestVerifyWritesNothing(t *testing.T) {
	s := storetest.New(t)
	s.PackChunks = 1
	d := s.Snapshot(
		storetest.File("a", noise(1, 500_000)).Cut(100_000),
		storetest.File("b", "bad"),
		storetest.Symlink("c", "a"),
		storetest.Special("d"),
	)
	report, err := restore.Verify(t.Context(), s.Open(d), restore.Options{})
	if want := (restore.Report{Files: 2, Bytes: 500_003, Symlinks: 1, Special: 1}); err != nil || !cmp.Equal(want, report) {
		t.Errorf("Verify = %+v, %v, want %+v", report, err, want)
	}
	s.Damage(s.Chunks(d, "b")[0])
	report, err = restore.Verify(t.Context(), s.Open(d), restore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	checkLosses(t, report, "b: entry")
	if report.Files != 1 || report.Missing != 1 {
		t.Errorf("%d files are sound and %d missing, want 1 and 1", report.Files, report.Missing)
	}
}

func TestDamagedChunk(t *testing.T) {
	s := storetest.New(t)
	s.PackChunks = 3
	content := noise(7, 1_000_000)
	d := s.Snapshot(
		storetest.File("a/before", noise(1, 200_000)).Cut(64<<10),
		storetest.File("a/damaged", content).Cut(64<<10),
		storetest.Hardlink("a/link", "a/damaged"),
		storetest.File("b/after", noise(2, 200_000)).Cut(64<<10),
	)
	chunks := s.Chunks(d, "a/damaged")
	bad := chunks[len(chunks)/2]
	s.Damage(bad)
	folder := t.TempDir()
	report := mustRun(t, s.Open(d), folder, restore.Options{})
	checkLosses(t, report, "a/damaged: entry", "a/link: entry")
	if _, ok := errors.AsType[*store.CorruptError](report.Losses[0].Err); !ok {
		t.Errorf("the loss does not name the object: %v", report.Losses[0])
	}
	got := tree(t, folder)
	markers := 0
	for path := range got {
		if strings.HasPrefix(path, ".strongroom-restore-") {
			delete(got, path)
			markers++
		}
	}
	want := map[string]string{
		"a": "dir", "a/before": "file " + noise(1, 200_000),
		"b": "dir", "b/after": "file " + noise(2, 200_000),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("beside the damaged file (-want +got):\n%.1000s", diff)
	}
	if markers != 1 {
		t.Errorf("there are %d markers, want 1 as long as something is missing", markers)
	}

	s.Damage(bad) // the same bit again, which repairs it
	report = mustRun(t, s.Open(d), folder, restore.Options{})
	checkLosses(t, report)
	if report.Kept != 2 {
		t.Errorf("%d files were kept, want 2", report.Kept)
	}
	want["a/damaged"], want["a/link"] = "file "+content, "file "+content
	checkTree(t, folder, want)
}

func TestInclude(t *testing.T) {
	s := storetest.New(t)
	d := s.Snapshot(
		storetest.File("etc/erp/erp.conf", "1"),
		storetest.File("etc/hosts", "2"),
		storetest.File("srv/erp/uploads/a.pdf", "3"),
		storetest.File("srv/erp/uploads/b.txt", "4"),
		storetest.Hardlink("srv/erp/uploads/c.pdf", "etc/hosts"),
		storetest.File("var/log/x", "5"),
	)
	for _, tt := range []struct {
		name      string
		include   []string
		want      string
		losses    []string
		unmatched []string
	}{
		{"a file", []string{"etc/hosts"}, "etc etc/hosts", nil, nil},
		{"a file, rooted", []string{"/etc/hosts"}, "etc etc/hosts", nil, nil},
		{"a folder", []string{"/etc/erp/"}, "etc etc/erp etc/erp/erp.conf", nil, nil},
		{"a glob, no folder for nothing", []string{"**/*.txt"}, "srv srv/erp srv/erp/uploads srv/erp/uploads/b.txt", nil, nil},
		{"a link without its file", []string{"srv/erp/uploads/*.pdf"},
			"srv srv/erp srv/erp/uploads srv/erp/uploads/a.pdf", []string{"srv/erp/uploads/c.pdf: entry"}, nil},
		{"a link with its file", []string{"srv/erp/uploads/c.pdf", "etc/hosts"},
			"etc etc/hosts srv srv/erp srv/erp/uploads srv/erp/uploads/c.pdf", nil, nil},
		{"nothing", []string{"/etc/host", "var/log/x"}, "var var/log var/log/x", nil, []string{"/etc/host"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			folder := t.TempDir()
			report := mustRun(t, s.Open(d), folder, restore.Options{Include: tt.include})
			checkLosses(t, report, tt.losses...)
			var got []string
			filepath.WalkDir(folder, func(path string, _ fs.DirEntry, _ error) error {
				if path != folder && !strings.HasPrefix(filepath.Base(path), ".strongroom-") {
					got = append(got, path[len(folder)+1:])
				}
				return nil
			})
			if strings.Join(got, " ") != tt.want {
				t.Errorf("restored %q, want %q", got, tt.want)
			}
			if !cmp.Equal(report.Unmatched, tt.unmatched) {
				t.Errorf("unmatched %q, want %q", report.Unmatched, tt.unmatched)
			}
		})
	}
	if _, err := restore.Run(t.Context(), s.Open(d), openTarget(t, t.TempDir()), restore.Options{Include: []string{"a/../b"}}); err == nil {
		t.Error("an impossible line was taken")
	}
}

func TestTargetMustBeEmpty(t *testing.T) {
	s := storetest.New(t)
	one, two := s.Snapshot(storetest.File("a", "1")), s.Snapshot(storetest.File("a", "2"))
	s.Damage(s.Chunks(one, "a")[0])
	unfinished := func(t *testing.T) string {
		folder := t.TempDir()
		mustRun(t, s.Open(one), folder, restore.Options{})
		return folder
	}
	for _, tt := range []struct {
		name string
		make func(t *testing.T) string
		ok   bool
	}{
		{"empty", (*testing.T).TempDir, true},
		{"new filesystem", func(t *testing.T) string {
			folder := t.TempDir()
			os.Mkdir(filepath.Join(folder, "lost+found"), 0o700)
			return folder
		}, true},
		{"a file", func(t *testing.T) string {
			folder := t.TempDir()
			os.WriteFile(filepath.Join(folder, "x"), nil, 0o600)
			return folder
		}, false},
		{"a marker that was cut short", func(t *testing.T) string {
			folder := t.TempDir()
			os.WriteFile(filepath.Join(folder, ".strongroom-restore-0123456789abcdef"), []byte("strongroom-restore 1\nstore "), 0o600)
			return folder
		}, true},
		{"a marker that was cut short, and a file", func(t *testing.T) string {
			folder := t.TempDir()
			os.WriteFile(filepath.Join(folder, ".strongroom-restore-0123456789abcdef"), nil, 0o600)
			os.WriteFile(filepath.Join(folder, "x"), nil, 0o600)
			return folder
		}, false},
		{"another snapshot, unfinished", unfinished, false},
		{"a marker that is a link", func(t *testing.T) string {
			folder, other := t.TempDir(), t.TempDir()
			mustRun(t, s.Open(two), other, restore.Options{})
			os.Symlink("x", filepath.Join(folder, ".strongroom-restore-0123456789abcdef"))
			return folder
		}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			folder := tt.make(t)
			before := tree(t, folder)
			_, err := restore.Run(t.Context(), s.Open(two), openTarget(t, folder), restore.Options{})
			if tt.ok != (err == nil) || !tt.ok && !errors.Is(err, restore.ErrNotEmpty) {
				t.Errorf("Run: %v", err)
			}
			if !tt.ok {
				checkTree(t, folder, before)
			}
		})
	}
}

// TestContinue ends a restore at random points, again and again, until it is
// done, and puts something in its way between.
func TestContinue(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	s := storetest.New(t)
	s.PackChunks = 20
	var entries []storetest.Entry
	want := make(map[string]string)
	for i := range 300 {
		dir := fmt.Sprintf("dir%d", i%7)
		path := fmt.Sprintf("%s/file%d", dir, i)
		content := noise(uint64(i), random.IntN(40_000))
		entries = append(entries, storetest.File(path, content).Cut(10_000))
		want[dir], want[path] = "dir", "file "+content
		if i%10 == 0 {
			entries = append(entries, storetest.Hardlink(path+".link", path), storetest.Symlink(path+".sym", "file1"))
			want[path+".link"], want[path+".sym"] = "file "+content, "-> file1"
		}
	}
	entries = append(entries, storetest.File("zero/big", noise(1000, 2_000_000)).Cut(50_000))
	want["zero"], want["zero/big"] = "dir", "file "+noise(1000, 2_000_000)
	entries = append(entries, storetest.Dir("closed").With(func(e *safe.Entry) { e.Mode = 0 }))
	want["closed"] = "dir"
	d := s.Snapshot(entries...)

	for _, recheck := range []bool{false, true} {
		t.Run(fmt.Sprintf("recheck %v", recheck), func(t *testing.T) {
			folder := t.TempDir()
			var report restore.Report
			for attempt := 1; ; attempt++ {
				ctx, cancel := context.WithCancel(t.Context())
				left := random.IntN(200 * attempt)
				var err error
				report, err = restore.Run(ctx, s.Open(d), openTarget(t, folder), restore.Options{Recheck: recheck, Progress: func(restore.Progress) {
					if left--; left == 0 {
						cancel()
					}
				}})
				cancel()
				if err == nil {
					break
				}
				if !errors.Is(err, context.Canceled) {
					t.Fatal(err)
				}
				checkLosses(t, report)
				for path, content := range tree(t, folder) {
					if strings.HasPrefix(path, ".strongroom-restore-") && strings.Contains(content, "run "+d.Run.String()) {
						continue
					}
					if content != want[path] {
						t.Fatalf("after attempt %d %q is %.60q", attempt, path, content)
					}
				}
			}
			checkLosses(t, report)
			checkTree(t, folder, want)
			if report.Files != 301 || report.Bytes != d.Bytes {
				t.Errorf("%d files of %d bytes, want 301 of %d", report.Files, report.Bytes, d.Bytes)
			}
		})
	}
}

// interrupted returns a folder with everything of a snapshot in place and the
// marker still there, as if the restore had died right before its end.
func interrupted(t *testing.T, s *storetest.Store, d safe.Snapshot) string {
	t.Helper()
	folder := t.TempDir()
	name := filepath.Join(folder, ".strongroom-restore-00112233445566aa")
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	marker := fmt.Sprintf("strongroom-restore 1\nstore %s\nrun %s\nboot %s", d.Store, d.Run, boot)
	if err := os.WriteFile(name, []byte(marker), 0o600); err != nil {
		t.Fatal(err)
	}
	mustRun(t, s.Open(d), folder, restore.Options{})
	if _, err := os.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("a finished restore has a marker: %v", err)
	}
	if err := os.WriteFile(name, []byte(marker), 0o600); err != nil {
		t.Fatal(err)
	}
	return folder
}

func TestWhatIsKept(t *testing.T) {
	s := storetest.New(t)
	content := noise(3, 100_000)
	d := s.Snapshot(storetest.File("d/f", content).Cut(10_000), storetest.File("d/g", "other"))
	at := storetest.Begun
	for _, tt := range []struct {
		name    string
		change  func(f string) error
		recheck bool
		kept    int64
	}{
		{"as it was", func(string) error { return nil }, false, 2},
		{"as it was, rechecked", func(string) error { return nil }, true, 2},
		{"another time", func(f string) error { return os.Chtimes(f, at, at.Add(1)) }, false, 1},
		{"another size", func(f string) error { return errors.Join(os.Truncate(f, 5), os.Chtimes(f, at, at)) }, false, 1},
		{"another content, rechecked", func(f string) error {
			h, err := os.OpenFile(f, os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			_, err = h.WriteAt([]byte("tampered"), 55_555)
			return errors.Join(err, h.Close(), os.Chtimes(f, at, at))
		}, true, 1},
		{"another mode", func(f string) error { return os.Chmod(f, 0o200) }, false, 2},
		{"a link to a file outside", func(f string) error {
			outside := filepath.Join(filepath.Dir(f), "..", "..", "outside")
			return errors.Join(os.Remove(f), os.WriteFile(outside, bytes.Repeat([]byte("o"), len(content)), 0o600),
				os.Chtimes(outside, at, at), os.Link(outside, f))
		}, true, 1},
		{"a symbolic link", func(f string) error { return errors.Join(os.Remove(f), os.Symlink("g", f)) }, false, 1},
		{"leftovers", func(f string) error {
			return os.WriteFile(filepath.Join(filepath.Dir(f), ".strongroom-restore-00112233445566aa.17"), []byte("x"), 0o600)
		}, false, 2},
		{"the folder is closed", func(f string) error { return os.Chmod(filepath.Dir(f), 0) }, false, 2},
		{"another file has the folder's name", func(f string) error {
			return errors.Join(os.RemoveAll(filepath.Dir(f)), os.WriteFile(filepath.Dir(f), []byte("x"), 0o600))
		}, false, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			folder := interrupted(t, s, d)
			if err := tt.change(filepath.Join(folder, "d/f")); err != nil {
				t.Fatal(err)
			}
			report := mustRun(t, s.Open(d), folder, restore.Options{Recheck: tt.recheck})
			checkLosses(t, report)
			checkTree(t, folder, map[string]string{"d": "dir", "d/f": "file " + content, "d/g": "file other"})
			if report.Files != 2 || report.Kept != tt.kept {
				t.Errorf("%d files, %d kept, want 2 and %d", report.Files, report.Kept, tt.kept)
			}
			info, err := os.Stat(filepath.Join(folder, "d/f"))
			if err != nil || info.Mode() != 0o644 || !info.ModTime().Equal(at) {
				t.Errorf("d/f has mode %v and time %v (%v)", info.Mode(), info.ModTime(), err)
			}
			outside, err := os.ReadFile(filepath.Join(folder, "..", "outside"))
			if err == nil && len(bytes.Trim(outside, "o")) > 0 {
				t.Error("a file outside of the target was changed")
			}
		})
	}
}

// TestRecheckAfterRestart: what another start of the host has left is read,
// for it may not have reached the disk.
func TestRecheckAfterRestart(t *testing.T) {
	s := storetest.New(t)
	d := s.Snapshot(storetest.File("f", "content"))
	folder := interrupted(t, s, d)
	name := filepath.Join(folder, ".strongroom-restore-00112233445566aa")
	marker := fmt.Sprintf("strongroom-restore 1\nstore %s\nrun %s\nboot another\n", d.Store, d.Run)
	err := errors.Join(os.WriteFile(name, []byte(marker), 0o600), os.WriteFile(filepath.Join(folder, "f"), make([]byte, 7), 0o600),
		os.Chtimes(filepath.Join(folder, "f"), storetest.Begun, storetest.Begun))
	if err != nil {
		t.Fatal(err)
	}
	mustRun(t, s.Open(d), folder, restore.Options{})
	checkTree(t, folder, map[string]string{"f": "file content"})
}

// TestLinksInTheTarget: whoever can write to the target beforehand leads a
// restore nowhere.
func TestLinksInTheTarget(t *testing.T) {
	s := storetest.New(t)
	d := s.Snapshot(
		storetest.File("a/f", "1"), storetest.File("b/f", "2"), storetest.Symlink("c", "a"),
		storetest.Hardlink("e", "b/f"))
	folder := interrupted(t, s, d)
	outside := t.TempDir()
	for _, err := range []error{
		os.RemoveAll(filepath.Join(folder, "a")), os.Symlink(outside, filepath.Join(folder, "a")),
		os.RemoveAll(filepath.Join(folder, "b")), os.Symlink("a", filepath.Join(folder, "b")),
		os.Remove(filepath.Join(folder, "c")), os.Symlink(filepath.Join(outside, "c"), filepath.Join(folder, "c")),
		os.Remove(filepath.Join(folder, "e")), os.Symlink(filepath.Join(outside, "e"), filepath.Join(folder, "e")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	report := mustRun(t, s.Open(d), folder, restore.Options{})
	checkLosses(t, report)
	checkTree(t, folder, map[string]string{
		"a": "dir", "a/f": "file 1", "b": "dir", "b/f": "file 2", "c": "-> a", "e": "file 2",
	})
	checkTree(t, outside, map[string]string{})
}

func TestHostileManifest(t *testing.T) {
	symlink := storetest.Symlink("x", "/tmp").Entry
	file := func(path string) safe.Entry { return storetest.File(path, "").Entry }
	link := func(path, target string) safe.Entry { return storetest.Hardlink(path, target).Entry }
	for _, tt := range []struct {
		name    string
		entries []safe.Entry
		err     bool
		losses  []string
	}{
		{"beneath a symlink", []safe.Entry{symlink, file("x/f")}, true, nil},
		{"up", []safe.Entry{file("../f")}, true, nil},
		{"rooted", []safe.Entry{file("/f")}, true, nil},
		{"twice", []safe.Entry{symlink, file("x")}, true, nil},
		{"hardlink to a symlink", []safe.Entry{symlink, link("y", "x")}, false, []string{"y: entry"}},
		{"hardlink through a symlink", []safe.Entry{symlink, link("y", "x/passwd")}, false, []string{"y: entry"}},
		{"hardlink to a folder", []safe.Entry{storetest.Dir("x").Entry, link("y", "x")}, false, []string{"y: entry"}},
		{"hardlink to nothing", []safe.Entry{link("y", "x")}, false, []string{"y: entry"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := storetest.New(t)
			d := s.Raw(func(r *storetest.Run) []byte {
				lines := manifest.AppendHeader(nil, r.Header)
				for _, e := range tt.entries {
					lines = manifest.AppendEntry(lines, manifest.Entry{Entry: e})
				}
				return manifest.AppendTotals(lines, manifest.Totals{Entries: int64(len(tt.entries))})
			})
			outer := t.TempDir()
			folder := filepath.Join(outer, "target")
			if err := os.Mkdir(folder, 0o700); err != nil {
				t.Fatal(err)
			}
			report, err := restore.Run(t.Context(), s.Open(d), openTarget(t, folder), restore.Options{})
			if tt.err != (err != nil) {
				t.Errorf("Run: %v", err)
			}
			checkLosses(t, report, tt.losses...)
			if names, _ := os.ReadDir(outer); len(names) != 1 {
				t.Errorf("something was written beside the target: %v", names)
			}
		})
	}
}

func TestManifestCannotBeRead(t *testing.T) {
	s := storetest.New(t)
	d := s.Snapshot(storetest.File("f", "content"))
	opened := s.Open(d)
	pack := s.Chunks(d, "f")[0].Pack
	for _, other := range d.Runs[d.Run].Packs {
		if other != pack {
			s.Blobs.Delete(layout.Pack(d.Run, other))
		}
	}
	if _, err := restore.Run(t.Context(), opened, openTarget(t, t.TempDir()), restore.Options{}); err == nil {
		t.Error("Run succeeded without the manifest")
	}
	if _, err := restore.Verify(t.Context(), opened, restore.Options{}); err == nil {
		t.Error("Verify succeeded without the manifest")
	}
}
