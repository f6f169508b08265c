//go:build linux

package local_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"strongroom/internal/safe"
	"strongroom/internal/source"
	"strongroom/internal/source/local"
)

// pull returns all entries, contents by path, and problems.
func pull(t *testing.T, options local.Options, need func(safe.Entry) bool) (entries []safe.Entry, contents map[string]string, problems []source.Problem) {
	t.Helper()
	s, err := local.New(options)
	if err != nil {
		t.Fatal(err)
	}
	contents = make(map[string]string)
	for item, err := range s.Pull(t.Context(), source.Request{Need: need, Report: func(p source.Problem) { problems = append(problems, p) }}) {
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, item.Entry)
		if item.Content != nil {
			b, err := io.ReadAll(item.Content)
			if err != nil {
				problems = append(problems, source.Problem{Path: item.Path, Err: err})
			}
			contents[item.Path] = string(b)
		}
	}
	return entries, contents, problems
}

// confine lets this thread, and what it executes, read only beneath the given
// paths.
func confine(paths ...string) error {
	const access = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR
	rules := unix.LandlockRulesetAttr{Handled_access_fs: access}
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&rules)), unsafe.Sizeof(rules.Handled_access_fs), 0)
	if errno != 0 {
		return errno
	}
	for _, path := range paths {
		dir, err := unix.Open(path, unix.O_PATH, 0)
		if errors.Is(err, unix.ENOENT) {
			continue
		}
		rule := unix.LandlockPathBeneathAttr{Allowed_access: access, Parent_fd: int32(dir)}
		var st unix.Stat_t
		if err := unix.Fstat(dir, &st); err != nil {
			return err
		}
		if st.Mode&unix.S_IFMT != unix.S_IFDIR {
			rule.Allowed_access = unix.LANDLOCK_ACCESS_FS_READ_FILE
		}
		if _, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, fd, unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&rule)), 0, 0, 0); errno != 0 {
			return errno
		}
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, fd, 0, 0); errno != 0 {
		return errno
	}
	return nil
}

// TestConfined pulls in a child that may read the included folder and no other
// of its kind, as the collector does. Landlock confines one thread, so a first
// child confines itself and becomes the second.
func TestConfined(t *testing.T) {
	const variable, stage = "STRONGROOM_TEST_ROOT", "STRONGROOM_TEST_CONFINED"
	if root := os.Getenv(variable); root != "" && os.Getenv(stage) == "" {
		runtime.LockOSThread()
		// The rest is what the test's own program needs to start.
		if err := confine(root+"/in", os.Args[0], "/usr", "/lib", "/lib64", "/etc", "/proc", "/sys", "/dev"); err != nil {
			fmt.Println("no landlock:", err)
			return
		}
		t.Fatal(syscall.Exec(os.Args[0], os.Args, append(os.Environ(), stage+"=1")))
	} else if root != "" {
		if _, err := os.ReadDir(root); err == nil {
			t.Fatal("the child is not confined")
		}
		entries, contents, problems := pull(t, local.Options{Include: []string{root + "/in"}}, nil)
		path := strings.TrimPrefix(root, "/") + "/in/folder/file"
		if contents[path] != "content" || len(problems) > 0 {
			t.Fatalf("entries %v, problems %v", entries, problems)
		}
		_, contents, problems = pull(t, local.Options{Include: []string{root + "/out"}}, nil)
		if len(contents) > 0 || len(problems) != 1 || problems[0].Kind != source.Unreadable {
			t.Fatalf("outside: %q, problems %v", contents, problems)
		}
		fmt.Println("confined and complete")
		return
	}
	root := t.TempDir()
	for _, dir := range []string{"/in/folder", "/out"} {
		if err := os.MkdirAll(root+dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(root+dir+"/file", []byte("content"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestConfined$")
	cmd.Env = append(os.Environ(), variable+"="+root)
	out, err := cmd.CombinedOutput()
	if strings.Contains(string(out), "no landlock:") && os.Getenv("CI") == "" {
		t.Skipf("this kernel confines nobody: %s", out)
	}
	if err != nil || !strings.Contains(string(out), "confined and complete") {
		t.Errorf("child: %v\n%s", err, out)
	}
}

// TestFolderExchanged exchanges a folder for a symbolic link while the walk is
// in the folder before it, and a folder that the walk is in.
func TestFolderExchanged(t *testing.T) {
	root, secret := t.TempDir(), t.TempDir()
	for _, path := range []string{root + "/a/1", root + "/b/1", root + "/c/1", root + "/c/2", secret + "/1", secret + "/2"} {
		content := "public"
		if strings.HasPrefix(path, secret) {
			content = "secret"
		}
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	exchange := func(dir string) {
		if err := errors.Join(os.Rename(dir, dir+".moved"), os.Symlink(secret, dir)); err != nil {
			t.Fatal(err)
		}
	}
	_, contents, problems := pull(t, local.Options{Include: []string{root + "/a", root + "/b", root + "/c"}}, func(e safe.Entry) bool {
		switch "/" + e.Path {
		case root + "/a/1":
			exchange(root + "/b")
		case root + "/c/1":
			exchange(root + "/c")
		}
		return true
	})
	for path, content := range contents {
		if content == "secret" {
			t.Errorf("%s leads out of the folder", path)
		}
	}
	if len(contents) != 3 { // all but b/1
		t.Errorf("contents %v, problems %v", contents, problems)
	}
}

func TestXattrs(t *testing.T) {
	root := t.TempDir()
	want := map[string]map[string][]byte{
		"file":   {"user.a": []byte("value"), "user.empty": {}, "user.binary": {0, 1, 0xff}},
		"many":   {},
		"folder": {"user.b": []byte("of a folder")},
		"none":   nil,
	}
	for i := range 60 {
		want["many"][fmt.Sprintf("user.%s%02d", strings.Repeat("n", 40), i)] = []byte("v")
	}
	for name, attrs := range want {
		path := filepath.Join(root, name)
		var err error
		if name == "folder" {
			err = os.Mkdir(path, 0o755)
		} else {
			err = os.WriteFile(path, nil, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		for attr, value := range attrs {
			if err := unix.Setxattr(path, attr, value, 0); err != nil {
				if errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.ENOSPC) {
					t.Skip("this filesystem takes no such attributes: ", err)
				}
				t.Fatal(err)
			}
		}
	}
	entries, _, problems := pull(t, local.Options{Include: []string{root + "/*"}}, nil)
	if len(problems) > 0 {
		t.Errorf("problems %v", problems)
	}
	for _, e := range entries {
		name, below := strings.CutPrefix("/"+e.Path, root+"/")
		if !below {
			continue
		}
		for attr := range e.Xattrs {
			if !strings.HasPrefix(attr, "user.") {
				delete(e.Xattrs, attr) // what a security module adds
			}
		}
		if diff := cmp.Diff(want[name], e.Xattrs); diff != "" && len(want[name])+len(e.Xattrs) > 0 {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestOwnerNames(t *testing.T) {
	entries, _, _ := pull(t, local.Options{Include: []string{"/etc/passwd"}}, nil)
	for _, e := range entries {
		if e.User != "root" || e.Group != "root" {
			t.Errorf("%s belongs to %q:%q", e.Path, e.User, e.Group)
		}
	}
}

// TestDeeperThanNamed has files deeper than any path can name: they are
// reported one by one, and the others come through.
func TestDeeperThanNamed(t *testing.T) {
	root := t.TempDir()
	t.Cleanup(func() { exec.Command("rm", "-rf", root).Run() }) // os.RemoveAll may be stopped by the depth
	fd, err := unix.Open(root, unix.O_PATH, 0)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.Repeat("d", 250)
	for range 20 {
		if err := unix.Mkdirat(fd, name, 0o755); err != nil {
			t.Fatal(err)
		}
		sub, err := unix.Openat(fd, name, unix.O_PATH, 0)
		if err != nil {
			t.Fatal(err)
		}
		unix.Close(fd)
		fd = sub
	}
	unix.Close(fd)
	if err := os.WriteFile(root+"/later", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	entries, _, problems := pull(t, local.Options{Include: []string{root}}, nil)
	if len(problems) != 1 || problems[0].Kind != source.Invalid {
		t.Errorf("problems %.500v", problems)
	}
	if last := entries[len(entries)-1]; "/"+last.Path != root+"/later" {
		t.Errorf("the last entry is %.100s", last.Path)
	}
}

// TestProc reads files that claim to be empty and are not.
func TestProc(t *testing.T) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _, problems := pull(t, local.Options{Include: []string{"/proc/version"}}, nil)
		if len(problems) != 1 {
			t.Errorf("a file of unknown size was taken without a word: problems %v", problems)
		}
	}()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		t.Fatal("reading does not end")
	}
}
