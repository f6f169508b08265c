//go:build linux

package dir

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"strongroom/internal/store/blob"
	"strongroom/internal/store/blob/blobtest"
)

// TestAddOnlyConfined adds to a store from a thread that has only the rights
// which AddOnly's comment asks for.
func TestAddOnlyConfined(t *testing.T) {
	s, folder := newStore(t)
	blobtest.Put(t, s, "runs/1/envelope.age", "envelope")
	blobtest.Put(t, s, "runs/1/packs/old", "old")
	a, err := s.AddOnly(t.Context(), "runs/1/packs")
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()

	inConfinedThread(t, map[string]uint64{
		filepath.Join(folder, "stage"): unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_READ_FILE |
			unix.LANDLOCK_ACCESS_FS_MAKE_REG | unix.LANDLOCK_ACCESS_FS_REFER,
		filepath.Join(folder, "runs/1/packs"): unix.LANDLOCK_ACCESS_FS_MAKE_REG | unix.LANDLOCK_ACCESS_FS_REFER,
	}, func() { useConfined(t, s, a, folder) })

	want := map[string]string{"runs/1/envelope.age": "envelope", "runs/1/packs/old": "old", "runs/1/packs/new": "new"}
	for name, want := range want {
		if got, err := blob.ReadAll(t.Context(), s, name, 100); string(got) != want {
			t.Errorf("%s afterwards: %q, %v, want %q", name, got, err, want)
		}
	}
}

func useConfined(t *testing.T, s *Store, a *AddOnly, folder string) {
	ctx := t.Context()
	st, err := a.Stage(ctx)
	if err != nil {
		t.Error(err)
		return
	}
	defer st.Discard()
	p := make([]byte, 3)
	_, errWrite := st.Write([]byte("new"))
	_, errRead := st.ReadAt(p, 0)
	if err := errors.Join(errWrite, errRead, st.Publish(ctx, "runs/1/packs/new"), a.Sync(ctx)); err != nil || string(p) != "new" {
		t.Errorf("adding an object: %v; read back %q", err, p)
	}
	if err := blob.Put(ctx, a, "runs/1/packs/old", []byte("x")); !errors.Is(err, blob.ErrExist) {
		t.Errorf("publishing to a name that is taken: %v, want ErrExist", err)
	}

	// And nothing else, not even through the folder that was opened before.
	_, errOpen := s.Open(ctx, "runs/1/packs/new")
	var errList error
	for _, errList = range s.List(ctx, "") {
	}
	at := filepath.Join(folder, "runs/1/packs/old")
	for what, err := range map[string]error{
		"reading":              errOpen,
		"listing":              errList,
		"publishing elsewhere": blob.Put(ctx, s, "runs/1/x", nil),
		"making a folder":      os.Mkdir(at+".d", 0o700),
		"truncating":           os.Truncate(at, 0),
		"removing":             os.Remove(at),
		"renaming":             os.Rename(at, at+"2"),
	} {
		if !errors.Is(err, unix.EACCES) {
			t.Errorf("%s: %v, want it refused", what, err)
		}
	}
}

// inConfinedThread calls f in a thread of its own that Landlock (ABI 3)
// confines to the given rights, by path.
func inConfinedThread(t *testing.T, rights map[string]uint64, f func()) {
	abi, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 || abi < 3 {
		t.Skipf("this kernel has Landlock ABI %d (%v), the test needs 3", abi, errno)
	}
	const all = unix.LANDLOCK_ACCESS_FS_TRUNCATE<<1 - 1 // the greatest of ABI 3
	attr := unix.LandlockRulesetAttr{Handled_access_fs: all}
	rules, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr.Handled_access_fs), 0)
	if errno != 0 {
		t.Fatal("creating a ruleset:", errno)
	}
	defer unix.Close(int(rules))
	for path, allowed := range rights {
		folder, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer folder.Close()
		rule := unix.LandlockPathBeneathAttr{Allowed_access: allowed, Parent_fd: int32(folder.Fd())}
		_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, rules, unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&rule)), 0, 0, 0)
		if errno != 0 {
			t.Fatal("adding a rule:", errno)
		}
	}
	done := make(chan struct{}) // closed when f has returned
	go func() {
		defer close(done)
		// Never unlocked: the thread ends with this goroutine, and confinement
		// with the thread.
		runtime.LockOSThread()
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			t.Error(err)
			return
		}
		if _, _, errno := unix.RawSyscall(unix.SYS_LANDLOCK_RESTRICT_SELF, rules, 0, 0); errno != 0 {
			t.Error("confining the thread:", errno)
			return
		}
		f()
	}()
	<-done
}
