package confine

import (
	"errors"
	"maps"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// tries are all that children attempt, each on its own objects, so that none
// depends on what came of another.
var tries = map[string]func(probe) error{
	// What a collector does with the store.
	"store: put a new object": func(p probe) error { return p.put(p.packs, "new") },
	"store: put over an object": func(p probe) error {
		return p.put(p.packs, "taken")
	},
	"store: put by path": func(p probe) error {
		return p.putFrom(unix.AT_FDCWD, p.path("store/stage"), unix.AT_FDCWD, p.path("store/runs/mine/packs/bypath"))
	},
	"store: sync the folder": func(p probe) error { return unix.Fsync(p.packs) },

	// What it must not do there.
	"store: read an object":             func(p probe) error { return p.open("read", unix.O_RDONLY) },
	"store: open an object to write":    func(p probe) error { return p.open("write", unix.O_WRONLY) },
	"store: open an object to append":   func(p probe) error { return p.open("append", unix.O_RDWR|unix.O_APPEND) },
	"store: open an object to truncate": func(p probe) error { return p.open("emptied", unix.O_WRONLY|unix.O_TRUNC) },
	"store: truncate an object":         func(p probe) error { return unix.Truncate(p.object("truncate"), 0) },
	"store: remove an object":           func(p probe) error { return unix.Unlink(p.object("unlink")) },
	"store: rename an object":           func(p probe) error { return unix.Rename(p.object("rename"), p.object("renamed")) },
	"store: rename an object to memory": func(p probe) error { return unix.Rename(p.object("exchange"), p.path("memory/stolen")) },
	"store: link an object into stage":  func(p probe) error { return unix.Link(p.object("stage"), p.path("store/stage/stolen")) },
	"store: link an object into memory": func(p probe) error { return unix.Link(p.object("work"), p.path("memory/linked")) },
	"store: list objects":               func(p probe) error { return openOnly(p.path("store/runs/mine/packs"), unix.O_RDONLY) },
	"store: make a folder":              func(p probe) error { return unix.Mkdir(p.object("folder"), 0o700) },
	"store: make a symbolic link":       func(p probe) error { return unix.Symlink("/", p.object("symlink")) },
	"store: write without stage":        func(p probe) error { return p.open("unstaged", unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY) },
	"store: make an unnamed file":       func(p probe) error { return openOnly(p.path("store/runs/mine/packs"), unix.O_TMPFILE|unix.O_RDWR) },
	"other run: put":                    func(p probe) error { return p.put(p.other, "new") },
	"other run: read":                   func(p probe) error { return openOnly(p.path("store/runs/other/packs/theirs"), unix.O_RDONLY) },
	"other run: read, folder open":      func(p probe) error { return openatOnly(p.other, "theirs", unix.O_RDONLY) },
	"other run: list":                   func(p probe) error { return openOnly(p.path("store/runs/other/packs"), unix.O_RDONLY) },
	"runs: make a folder":               func(p probe) error { return unix.Mkdir(p.path("store/runs/forged"), 0o700) },
	"stage: make a file with a name":    func(p probe) error { return openOnly(p.path("store/stage/named"), unix.O_CREAT|unix.O_RDWR) },
	"stage: name an unnamed file there": func(p probe) error { return p.put(p.stage, "named too") },
	"stage: list":                       func(p probe) error { return openOnly(p.path("store/stage"), unix.O_RDONLY) },
	"stage: remove the folder":          func(p probe) error { return unix.Rmdir(p.path("store/stage")) },

	// Memory, configuration and the rest.
	"memory: read":                 func(p probe) error { return openOnly(p.path("memory/index"), unix.O_RDWR) },
	"memory: list":                 func(p probe) error { return openOnly(p.path("memory"), unix.O_RDONLY) },
	"memory: write, replace":       func(p probe) error { return p.replaceMemory() },
	"memory: truncate":             func(p probe) error { return unix.Truncate(p.path("memory/index"), 1) },
	"memory: make a folder":        func(p probe) error { return unix.Mkdir(p.path("memory/folder"), 0o700) },
	"memory: remove":               func(p probe) error { return unix.Unlink(p.path("memory/remove")) },
	"memory: symbolic link":        func(p probe) error { return unix.Symlink("/", p.path("memory/symlink")) },
	"memory: named pipe":           func(p probe) error { return unix.Mkfifo(p.path("memory/pipe"), 0o600) },
	"memory: put out of the house": func(p probe) error { return unix.Link(p.path("memory/index"), p.path("index")) },
	"memory: run a program":        func(p probe) error { return run(p.path("memory/program"), "-test.list=^$") },
	"config: read":                 func(p probe) error { return openOnly(p.path("config/a"), unix.O_RDONLY) },
	"config: list":                 func(p probe) error { return openOnly(p.path("config"), unix.O_RDONLY) },
	"config: write":                func(p probe) error { return openOnly(p.path("config/a"), unix.O_WRONLY) },
	"config: make a file":          func(p probe) error { return unix.Mknod(p.path("config/new"), unix.S_IFREG|0o600, 0) },
	"single: read":                 func(p probe) error { return openOnly(p.path("single"), unix.O_RDONLY) },
	"single: write":                func(p probe) error { return openOnly(p.path("single"), unix.O_WRONLY) },
	"secret: read":                 func(p probe) error { return openOnly(p.path("secret"), unix.O_RDONLY) },
	"secret: read, every thread": func(p probe) error {
		return p.onEveryThread(func() error { return openOnly(p.path("secret"), unix.O_RDONLY) })
	},
	"house: list":                func(p probe) error { return openOnly(p.Dir, unix.O_RDONLY) },
	"house: make a file":         func(p probe) error { return unix.Mknod(p.path("new"), unix.S_IFREG|0o600, 0) },
	"house: make a folder":       func(p probe) error { return unix.Mkdir(p.path("folder"), 0o700) },
	"temp: make an unnamed file": func(p probe) error { return openOnly(os.TempDir(), unix.O_TMPFILE|unix.O_RDWR) },
	"device: write":              func(p probe) error { return openOnly("/dev/null", unix.O_WRONLY) },

	"run a program": func(p probe) error { return run("/bin/true") },
	"connect to a port listed": func(p probe) error {
		return connect(unix.AF_INET, 0, &unix.SockaddrInet4{Port: p.Open, Addr: loopback})
	},
	"connect to another port": func(p probe) error {
		return connect(unix.AF_INET, 0, &unix.SockaddrInet4{Port: p.Closed, Addr: loopback})
	},
	"connect to another port by MPTCP": func(p probe) error {
		return connect(unix.AF_INET, unix.IPPROTO_MPTCP, &unix.SockaddrInet4{Port: p.Closed, Addr: loopback})
	},
	"bind a port":                func(p probe) error { return bind(&unix.SockaddrInet4{Addr: loopback}) },
	"connect to abstract socket": func(p probe) error { return connect(unix.AF_UNIX, 0, &unix.SockaddrUnix{Name: p.Abstract}) },
	"signal the parent":          func(p probe) error { return unix.Kill(p.Parent, 0) },
	"signal itself":              func(p probe) error { return p.onEveryThread(func() error { return unix.Kill(os.Getpid(), 0) }) },
	"parent's memory":            func(p probe) error { return openOnly(p.ParentsProcFile, unix.O_RDONLY) },

	// What NoDump, NoSwap and NoNewPrivs leave to be seen.
	"no new privileges": func(p probe) error {
		return p.onEveryThread(func() error { return wantPrctl(unix.PR_GET_NO_NEW_PRIVS, 1) })
	},
	"not dumpable":                          func(p probe) error { return wantPrctl(unix.PR_GET_DUMPABLE, 0) },
	"no core files":                         func(p probe) error { return wantNoCore() },
	"memory is locked, and more can be had": func(p probe) error { return wantLocked() },
}

// confined is what comes of every attempt within house.rules, on a kernel with
// the newest ABI that is used.
var confined = map[string]string{
	"store: put a new object":   "ok",
	"store: put over an object": "EEXIST",
	"store: put by path":        "ok",
	"store: sync the folder":    "ok",

	"store: read an object":             "EACCES",
	"store: open an object to write":    "EACCES",
	"store: open an object to append":   "EACCES",
	"store: open an object to truncate": "EACCES",
	"store: truncate an object":         "EACCES",
	"store: remove an object":           "EACCES",
	"store: rename an object":           "EACCES",
	"store: rename an object to memory": "EACCES",
	"store: link an object into stage":  "EACCES",
	"store: link an object into memory": "EXDEV",
	"store: list objects":               "EACCES",
	"store: make a folder":              "EACCES",
	"store: make a symbolic link":       "EACCES",
	"store: write without stage":        "EACCES",
	"store: make an unnamed file":       "EACCES",
	"other run: put":                    "EACCES",
	"other run: read":                   "EACCES",
	"other run: read, folder open":      "EACCES",
	"other run: list":                   "EACCES",
	"runs: make a folder":               "EACCES",
	"stage: make a file with a name":    "EACCES",
	"stage: name an unnamed file there": "EACCES",
	"stage: list":                       "EACCES",
	"stage: remove the folder":          "EACCES",

	"memory: read":                 "ok",
	"memory: list":                 "ok",
	"memory: write, replace":       "ok",
	"memory: truncate":             "ok",
	"memory: make a folder":        "ok",
	"memory: remove":               "ok",
	"memory: symbolic link":        "EACCES",
	"memory: named pipe":           "EACCES",
	"memory: put out of the house": "EACCES",
	"memory: run a program":        "EACCES",
	"config: read":                 "ok",
	"config: list":                 "ok",
	"config: write":                "EACCES",
	"config: make a file":          "EACCES",
	"single: read":                 "ok",
	"single: write":                "EACCES",
	"secret: read":                 "EACCES",
	"secret: read, every thread":   "EACCES",
	"house: list":                  "EACCES",
	"house: make a file":           "EACCES",
	"house: make a folder":         "EACCES",
	"temp: make an unnamed file":   "EACCES",
	"device: write":                "EACCES",

	"run a program":              "EACCES",
	"connect to a port listed":   "ok",
	"connect to another port":    "EACCES",
	"bind a port":                "EACCES",
	"connect to abstract socket": "EPERM",
	"signal the parent":          "EPERM",
	"signal itself":              "ok",
	"parent's memory":            "EACCES",
	"no new privileges":          "ok",
}

func TestConfinement(t *testing.T) {
	needThreads(t)
	newest := kernelABI()
	if newest == 0 {
		t.Skip("this kernel has no Landlock")
	}
	for abi := oldestABI; abi <= newest; abi++ {
		t.Run("ABI "+strconv.Itoa(abi), func(t *testing.T) {
			h := newHouse(t)
			want := maps.Clone(confined)
			if abi < 3 {
				want["store: truncate an object"] = "ok"
			}
			if abi < 4 {
				want["connect to another port"], want["bind a port"] = "ok", "ok"
			}
			if abi < 6 {
				want["connect to abstract socket"], want["signal the parent"] = "ok", "ok"
			}
			got := child(t, order{Rules: h.rules(), ABI: abi, House: h, Tries: slices.Sorted(maps.Keys(want))}, 0)
			if got.Err != "" || got.Report.ABI != abi {
				t.Fatalf("got ABI %d, error %q", got.Report.ABI, got.Err)
			}
			if diff := cmp.Diff(want, got.Results); diff != "" {
				t.Errorf("results (-want +got)\n%s", diff)
			}
			t.Logf("Landlock ABI %d in force; notes: %q", got.Report.ABI, got.Report.Notes)
			h.checkStore(t, abi)
		})
	}
}

// checkStore looks at what the child left: all objects as they were, and no
// name but those that it was allowed to make.
func (h house) checkStore(t *testing.T, abi int) {
	t.Helper()
	want := map[string]string{"new": "sealed", "bypath": "sealed", "unstaged": ""}
	for _, name := range objects {
		want[name] = "content"
	}
	if abi < 3 {
		want["truncate"] = ""
	}
	got := map[string]string{}
	entries, err := os.ReadDir(h.path("store/runs/mine/packs"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		b, err := os.ReadFile(h.object(e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		got[e.Name()] = string(b)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what is in the store afterwards (-want +got)\n%s", diff)
	}
}

// TestUnconfined shows that it is Landlock that stops the attempts of
// TestConfinement, and not a mistake in them.
func TestUnconfined(t *testing.T) {
	if linkedWithCgo() {
		t.Skip("compares with TestConfinement")
	}
	h := newHouse(t)
	names := slices.Sorted(maps.Keys(confined))
	got := child(t, order{Free: true, House: h, Tries: names}, 0)
	want := map[string]string{}
	for _, name := range names {
		want[name] = "ok"
	}
	want["store: put over an object"] = "EEXIST"
	want["stage: remove the folder"] = "ENOTEMPTY" // of what was linked there
	want["no new privileges"] = "is 0, want 1"
	if os.Getuid() != 0 {
		delete(want, "parent's memory") // Yama may forbid that too
		delete(got.Results, "parent's memory")
	}
	if diff := cmp.Diff(want, got.Results); diff != "" {
		t.Errorf("results (-want +got)\n%s", diff)
	}
}

// TestParentsMemoryWithProc grants what would let a child find the file: the
// kernel still does not let a confined process look into one that is not.
func TestParentsMemoryWithProc(t *testing.T) {
	needThreads(t)
	h := newHouse(t)
	got := child(t, order{Rules: Rules{Read: []string{"/proc"}}, ABI: newestABI, House: h, Tries: []string{"parent's memory"}}, 0)
	if got.Err != "" || got.Results["parent's memory"] != "EACCES" {
		t.Errorf("got %v, error %q; want EACCES", got.Results, got.Err)
	}
}

// TestMultipathTCP records what is no promise. Should it begin to fail, a
// kernel has closed the hole, and the note in the Report can go.
func TestMultipathTCP(t *testing.T) {
	needThreads(t)
	if kernelABI() < 4 {
		t.Skip("this kernel does not confine TCP")
	}
	h := newHouse(t)
	const try = "connect to another port by MPTCP"
	free := child(t, order{Free: true, House: h, Tries: []string{try}}, 0).Results[try]
	got := child(t, order{Rules: h.rules(), ABI: newestABI, House: h, Tries: []string{try}}, 0)
	noted := strings.Contains(strings.Join(got.Report.Notes, " "), "Multipath TCP")
	t.Logf("MPTCP to a port that is not listed: unconfined %s, confined %s, noted %v", free, got.Results[try], noted)
	if (got.Results[try] == "ok") != noted {
		t.Errorf("it came to %s, and the report notes %q", got.Results[try], got.Report.Notes)
	}
}

func TestZeroRules(t *testing.T) {
	needThreads(t)
	h := newHouse(t)
	names := slices.Sorted(maps.Keys(confined))
	got := child(t, order{ABI: newestABI, House: h, Tries: names}, 0)
	if got.Err != "" {
		t.Fatal(got.Err)
	}
	for name, result := range got.Results {
		switch name {
		case "store: sync the folder", "signal itself", "no new privileges":
			if result != "ok" {
				t.Errorf("%s: %s, want ok", name, result)
			}
		default:
			if result != "EACCES" && result != "EPERM" {
				t.Errorf("%s: %s, want it denied", name, result)
			}
		}
	}
}

func TestWithoutLandlock(t *testing.T) {
	needThreads(t)
	h := newHouse(t)
	for _, abi := range []int{0, 1} {
		rules := h.rules()
		got := child(t, order{Rules: rules, ABI: abi, House: h}, 0)
		if !strings.Contains(got.Err, "there is no Landlock") {
			t.Errorf("ABI %d: got error %q", abi, got.Err)
		}
		rules.AllowWithoutLandlock = true
		got = child(t, order{Rules: rules, ABI: abi, House: h, Tries: []string{"secret: read", "no new privileges"}}, 0)
		want := answer{
			Report:  Report{Notes: got.Report.Notes},
			Results: map[string]string{"secret: read": "ok", "no new privileges": "ok"},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("ABI %d, allowed (-want +got)\n%s", abi, diff)
		}
		if len(got.Report.Notes) != 1 || !strings.HasPrefix(got.Report.Notes[0], "Nothing is confined") {
			t.Errorf("ABI %d, allowed: notes %q", abi, got.Report.Notes)
		}
	}
}

// TestApplyRefusesCgo runs in programs that TestConfinement cannot run in.
func TestApplyRefusesCgo(t *testing.T) {
	if !linkedWithCgo() {
		t.Skip("not linked with cgo")
	}
	h := newHouse(t)
	got := child(t, order{Rules: h.rules(), ABI: newestABI, House: h}, 0)
	if !strings.Contains(got.Err, "CGO_ENABLED=0") {
		t.Errorf("got error %q", got.Err)
	}
	rules := h.rules()
	rules.AllowWithoutLandlock = true
	got = child(t, order{Rules: rules, ABI: newestABI, House: h}, 0)
	if got.Err != "" || got.Report.ABI != 0 || len(got.Report.Notes) != 1 {
		t.Errorf("allowed: got %+v", got)
	}
}

func TestApplyRefusesRules(t *testing.T) {
	needThreads(t)
	h := newHouse(t)
	for _, tt := range []struct {
		name  string
		rules Rules
		want  string
	}{
		{"nothing at the path", Rules{Read: []string{h.path("gone")}}, "gone: open: no such file"},
		{"a file as folder to read", Rules{Read: []string{h.path("single")}}, "single: it is not a folder"},
		{"a file as folder to create in", Rules{Create: []string{h.path("single")}}, "single: it is not a folder"},
		{"a file as stage", Rules{Stage: []string{h.path("single")}}, "single: it is not a folder"},
		{"a file as folder to work in", Rules{Work: []string{h.path("single")}}, "single: it is not a folder"},
		{"a folder as file", Rules{ReadFile: []string{h.path("store")}}, "store: it is a folder"},
		{"reading where only creating is meant", Rules{Create: h.rules().Create, Read: []string{h.path("store")}}, "where more is allowed"},
	} {
		tt.rules.AllowWithoutLandlock = true // is no excuse for a mistake
		got := child(t, order{Rules: tt.rules, ABI: newestABI, House: h}, 0)
		if !strings.Contains(got.Err, tt.want) {
			t.Errorf("%s: got error %q, want %q", tt.name, got.Err, tt.want)
		}
	}
}

// TestNoDump also runs as another user, for whom NoDump takes /proc/self away
// in part: objects must get their names all the same.
func TestNoDump(t *testing.T) {
	needThreads(t)
	for _, uid := range []uint32{0, 65534} {
		if uid != 0 && os.Getuid() != 0 {
			t.Logf("user %d was not tried: that takes root", uid)
			continue
		}
		h := newHouse(t)
		if uid != 0 {
			h.giveTo(t, int(uid))
		}
		names := []string{"not dumpable", "no core files", "store: put a new object", "store: put by path"}
		got := child(t, order{Rules: h.rules(), ABI: newestABI, House: h, NoDump: true, Tries: names}, uid)
		for _, name := range names {
			if got.Results[name] != "ok" {
				t.Errorf("user %d: %s: %q %s", uid, name, got.Results[name], got.Err)
			}
		}
	}
}

// underRace is set if the race detector is there, which takes memory of its own.
var underRace bool

func TestMostMemory(t *testing.T) {
	if underRace {
		t.Skip("the race detector needs more memory than is left")
	}
	for mebibytes, enough := range map[string]bool{"100": true, "600": false} {
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = append(os.Environ(), hoardVariable+"="+mebibytes)
		said, err := cmd.CombinedOutput()
		if (err == nil) != enough || !enough && !strings.Contains(string(said), "out of memory") {
			t.Errorf("taking %s MiB of 256 more: %v\n%.300s", mebibytes, err, said)
		}
	}
}

func TestNoSwap(t *testing.T) {
	h := newHouse(t)
	const try = "memory is locked, and more can be had"
	got := child(t, order{Free: true, House: h, NoSwap: true, Tries: []string{try}}, 0)
	if strings.Contains(got.Err, "RLIMIT_MEMLOCK") && os.Getuid() != 0 {
		t.Skipf("this user may not lock memory: %s", got.Err)
	}
	if got.Err != "" || got.Results[try] != "ok" {
		t.Errorf("got %q, error %q", got.Results[try], got.Err)
	}
	if os.Getuid() != 0 {
		return
	}
	// Without the right to lift the limit it must fail and lock nothing.
	h.giveTo(t, 65534)
	got = child(t, order{Free: true, House: h, NoSwap: true}, 65534)
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Max != unix.RLIM_INFINITY && !strings.Contains(got.Err, "RLIMIT_MEMLOCK") {
		t.Errorf("below a limit of %d bytes: got error %q", limit.Max, got.Err)
	}
}

func (h house) object(name string) string { return h.path("store/runs/mine/packs/" + name) }

func (p probe) open(object string, flags int) error { return openOnly(p.object(object), flags) }

// put adds an object as package blob/dir does.
func (p probe) put(folder int, name string) error { return p.putFrom(p.stage, ".", folder, name) }

func (p probe) putFrom(stage int, stagePath string, folder int, name string) error {
	fd, err := unix.Openat(stage, stagePath, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o400)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if _, err := unix.Write(fd, []byte("sealed")); err != nil {
		return err
	}
	if err := unix.Fsync(fd); err != nil {
		return err
	}
	if _, err := unix.Pread(fd, make([]byte, 6), 0); err != nil {
		return err
	}
	return unix.Linkat(unix.AT_FDCWD, "/proc/self/fd/"+strconv.Itoa(fd), folder, name, unix.AT_SYMLINK_FOLLOW)
}

func (p probe) replaceMemory() error {
	if err := os.WriteFile(p.path("memory/sub/next"), []byte("next"), 0o600); err != nil {
		return err
	}
	return os.Rename(p.path("memory/sub/next"), p.path("memory/current"))
}

func run(program string, args ...string) error {
	argv := append([]string{program}, args...)
	pid, err := syscall.ForkExec(program, argv, &syscall.ProcAttr{Files: []uintptr{0, 2, 2}})
	if err != nil {
		return err
	}
	_, err = syscall.Wait4(pid, nil, 0, nil)
	return err
}

// onEveryThread calls f on threads that were there before and on a new one,
// which must all come to the same.
func (p probe) onEveryThread(f func() error) error {
	for range oldThreads {
		p.threads <- func() { p.results <- f() }
	}
	go func() {
		runtime.LockOSThread() // the thread ends with this function
		p.results <- f()
	}()
	first := <-p.results
	differ := false
	for range oldThreads {
		differ = outcome(<-p.results) != outcome(first) || differ
	}
	if differ {
		return errors.New("threads differ")
	}
	return first
}

func openOnly(path string, flags int) error { return openatOnly(unix.AT_FDCWD, path, flags) }

func openatOnly(folder int, path string, flags int) error {
	fd, err := unix.Openat(folder, path, flags|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

func connect(family, protocol int, to unix.Sockaddr) error {
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Connect(fd, to)
}

func bind(to unix.Sockaddr) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Bind(fd, to)
}
