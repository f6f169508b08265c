package confine

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// What is confined stays confined, so every test runs this program again as a
// child, which reads an order, confines itself, tries things, and answers.
//
// The package net is not imported on purpose: it would link cgo in.

const childVariable = "STRONGROOM_CONFINE_TEST_CHILD"

// hoardVariable has a child bound its memory, and then take as many MiB.
const hoardVariable = "STRONGROOM_CONFINE_TEST_HOARD"

func hoard(mebibytes string) error {
	n, err := strconv.Atoi(mebibytes)
	if err == nil {
		err = MostMemory(256 << 20)
	}
	for range n {
		hoarded = append(hoarded, bytes.Repeat([]byte{1}, 1<<20))
	}
	return err
}

var hoarded [][]byte

func TestMain(m *testing.M) {
	if mebibytes := os.Getenv(hoardVariable); mebibytes != "" {
		if err := hoard(mebibytes); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if os.Getenv(childVariable) == "" {
		os.Exit(m.Run())
	}
	var o order
	if err := json.NewDecoder(os.Stdin).Decode(&o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if err := json.NewEncoder(os.Stdout).Encode(o.carryOut()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// An order is what a child is to do.
type order struct {
	Rules Rules
	ABI   int // the newest ABI to be used
	Free  bool
	House house
	Tries []string // names in tries

	NoDump, NoSwap bool // before it is confined
}

// An answer is what came of an order.
type answer struct {
	Err     string // of Apply and its like
	Report  Report
	Results map[string]string // "ok", or the name of an errno
}

func (o order) carryOut() answer {
	p := newProbe(o.House)
	if o.NoDump {
		if err := NoDump(); err != nil {
			return answer{Err: err.Error()}
		}
	}
	if o.NoSwap {
		if err := NoSwap(); err != nil {
			return answer{Err: err.Error()}
		}
	}
	var a answer
	if !o.Free {
		var err error
		if a.Report, err = apply(o.Rules, min(o.ABI, kernelABI())); err != nil {
			a.Err = err.Error()
			return a
		}
	}
	a.Results = map[string]string{}
	for _, name := range o.Tries {
		a.Results[name] = outcome(tries[name](p))
	}
	return a
}

func outcome(err error) string {
	if err == nil {
		return "ok"
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return unix.ErrnoName(errno)
	}
	return err.Error()
}

// child runs an order in a child, as the given user if that is not 0.
func child(t *testing.T, o order, uid uint32) answer {
	t.Helper()
	in, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), childVariable+"=1")
	cmd.Stdin = strings.NewReader(string(in))
	cmd.Stderr = os.Stderr
	if uid != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	}
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("child: %v\n%s", err, out)
	}
	var a answer
	if err := json.Unmarshal(out, &a); err != nil {
		t.Fatalf("child: %v\n%s", err, out)
	}
	return a
}

// needThreads skips a test in a program linked with cgo, as under -race.
func needThreads(t *testing.T) {
	t.Helper()
	if linkedWithCgo() {
		t.Skip("linked with cgo, where nothing can be confined; see TestApplyRefusesCgo")
	}
}

func linkedWithCgo() bool {
	_, _, errno := syscall.AllThreadsSyscall(syscall.SYS_GETPID, 0, 0, 0)
	return errno == syscall.ENOTSUP
}

// A house is what the tests confine children in.
//
//	store/runs/mine/packs   Create; holds one object for each attempt on it
//	store/runs/other/packs  nothing
//	store/stage             Stage
//	memory                  Work; with a folder "sub" and a program
//	config                  Read
//	single                  ReadFile
//	secret                  nothing
type house struct {
	Dir             string
	Open, Closed    int // TCP ports with a listener; Open may be connected to
	Abstract        string
	Parent          int
	ParentsProcFile string
}

var objects = []string{"taken", "read", "write", "append", "truncate", "emptied", "unlink", "rename", "exchange", "link", "stage", "work"}

func newHouse(t *testing.T) house {
	t.Helper()
	// Not t.TempDir, which other users cannot enter.
	dir, err := os.MkdirTemp("", "confine")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	h := house{
		Dir:             dir,
		Abstract:        "@strongroom-" + filepath.Base(dir),
		Parent:          os.Getpid(),
		ParentsProcFile: "/proc/" + strconv.Itoa(os.Getpid()) + "/mem",
	}
	for _, name := range []string{"store/runs/mine/packs", "store/runs/other/packs", "store/stage", "memory/sub", "config"} {
		if err := os.MkdirAll(h.path(name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	files := []string{"store/runs/other/packs/theirs", "config/a", "single", "secret", "memory/index", "memory/remove"}
	for _, name := range objects {
		files = append(files, "store/runs/mine/packs/"+name)
	}
	for _, name := range files {
		if err := os.WriteFile(h.path(name), []byte("content"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// A program that needs no other file to run: this one.
	program, err := os.ReadFile("/proc/self/exe")
	if err == nil {
		err = os.WriteFile(h.path("memory/program"), program, 0o700)
	}
	if err != nil {
		t.Fatal(err)
	}
	h.Open, h.Closed = listenTCP(t), listenTCP(t)
	listen(t, unix.AF_UNIX, &unix.SockaddrUnix{Name: h.Abstract})
	return h
}

func (h house) path(name string) string { return filepath.Join(h.Dir, name) }

func (h house) rules() Rules {
	return Rules{
		Read:     []string{h.path("config")},
		ReadFile: []string{h.path("single")},
		Create:   []string{h.path("store/runs/mine/packs")},
		Stage:    []string{h.path("store/stage")},
		Work:     []string{h.path("memory")},
		Connect:  []uint16{uint16(h.Open)},
	}
}

// giveTo makes a user the owner of the house.
func (h house) giveTo(t *testing.T, uid int) {
	t.Helper()
	err := filepath.WalkDir(h.Dir, func(path string, _ os.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(path, uid, uid))
	})
	if err != nil {
		t.Fatal(err)
	}
}

func listenTCP(t *testing.T) int {
	t.Helper()
	fd := listen(t, unix.AF_INET, &unix.SockaddrInet4{Addr: loopback})
	at, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return at.(*unix.SockaddrInet4).Port
}

func listen(t *testing.T, family int, at unix.Sockaddr) int {
	t.Helper()
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := errors.Join(unix.Bind(fd, at), unix.Listen(fd, 64)); err != nil {
		t.Fatal(err)
	}
	return fd
}

var loopback = [4]byte{127, 0, 0, 1}

// A probe is what a child opened before it was confined, as a collector does.
type probe struct {
	house
	stage, packs, other int
	threads             chan func() // runs on threads that were there before
	results             chan error
}

const oldThreads = 4

func newProbe(h house) probe {
	p := probe{house: h, threads: make(chan func()), results: make(chan error)}
	p.stage, p.packs, p.other = openFolder(h.path("store/stage")), openFolder(h.path("store/runs/mine/packs")), openFolder(h.path("store/runs/other/packs"))
	ready := make(chan bool)
	for range oldThreads {
		go func() { // ends with the process
			runtime.LockOSThread()
			ready <- true
			for f := range p.threads {
				f()
			}
		}()
	}
	for range oldThreads {
		<-ready
	}
	return p
}

func openFolder(path string) int {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1 // the attempts that need it will say so
	}
	return fd
}
