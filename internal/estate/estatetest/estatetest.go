//go:build linux

// Package estatetest makes hosts within one machine, for tests that look at an
// estate from outside: each has a root folder, processes and a network of its
// own, and a bridge joins them that leads nowhere else.
//
// The programs of a host are those of this machine, whose /usr it has and cannot
// change. Its /etc, /run, /usr/local and /var are the test's: those of this machine are not
// there, and nothing that runs on a host can reach them. What a host mounts
// nobody else sees. All of it ends with the test, and also if that is killed.
//
// It is no place for programs that mean harm: what is root there is root here.
package estatetest

import (
	"bufio"
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

//go:embed host.sh
var firstProcess string

// A Network is a bridge with the hosts that are plugged into it. It is in a
// network namespace, so its addresses are nobody else's.
type Network struct {
	t      testing.TB
	dir    string
	bridge *process
}

// New makes a network without hosts. The test is skipped, or fails in CI, unless
// it runs as root and all of the files are there that it needs: programs, say.
func New(t testing.TB, address string, needs ...string) *Network {
	t.Helper()
	if err := possible(needs); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	dir, err := os.MkdirTemp("", "estate-")
	if err != nil {
		t.Fatal(err)
	}
	n := &Network{t: t, dir: dir}
	t.Cleanup(n.remove)
	n.bridge = n.start(exec.Command("sh", "-c", "echo ready; exec cat"), syscall.CLONE_NEWNET)
	n.ip(n.bridge, "link", "set", "lo", "up")
	n.ip(n.bridge, "link", "add", "br0", "type", "bridge")
	n.ip(n.bridge, "addr", "add", address, "dev", "br0")
	n.ip(n.bridge, "link", "set", "br0", "up")
	return n
}

// possible says why there can be no such network here, or nil.
func possible(needs []string) error {
	if os.Geteuid() != 0 {
		return errors.New("only root can make hosts")
	}
	for _, pattern := range needs {
		if found, err := filepath.Glob(pattern); err != nil || len(found) == 0 {
			return fmt.Errorf("there is no %s: hack/deps installs what is needed", pattern)
		}
	}
	return nil
}

// remove deletes the folders of the hosts, whose processes have ended. If what
// they have mounted were seen from here, it would delete that.
func (n *Network) remove() {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || bytes.Contains(mounts, []byte(n.dir)) {
		n.t.Errorf("%s is left as it is: something is mounted there, or nobody knows: %v", n.dir, err)
		return
	}
	if err := os.RemoveAll(n.dir); err != nil {
		n.t.Error(err)
	}
}

// A process is the one that holds namespaces: they end with it, and it ends with
// the test, which holds the other end of its standard input.
type process struct {
	pid  int
	stop func()
}

func (n *Network) start(cmd *exec.Cmd, namespaces uintptr) *process {
	n.t.Helper()
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces}
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	leash, err := cmd.StdinPipe()
	if err != nil {
		n.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		n.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	p := &process{cmd.Process.Pid, sync.OnceFunc(func() {
		leash.Close()
		_, _ = io.Copy(io.Discard, out) // until it has ended
		_ = cmd.Wait()                  // it ends well, or has complained before
	})}
	n.t.Cleanup(p.stop)
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		p.stop()
		n.t.Fatalf("a host does not come up: %v: %s", err, complaints.Bytes())
	}
	return p
}

// ip configures the network that a process is in.
func (n *Network) ip(p *process, args ...string) {
	n.t.Helper()
	cmd := exec.Command("nsenter", append([]string{"--target", strconv.Itoa(p.pid), "--net", "ip"}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		n.t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// Command returns one that runs on this machine, and has the bridge's network.
func (n *Network) Command(name string, args ...string) *exec.Cmd {
	return exec.Command("nsenter", append([]string{"--target", strconv.Itoa(n.bridge.pid), "--net", "--", name}, args...)...)
}

// A Host is a machine in a Network.
type Host struct {
	Name string

	net  *Network
	root string
	init *process
}

// Host makes a host with that address, such as 10.77.0.4/24, that has nothing
// but the files of the folders, each of which is the root of some.
func (n *Network) Host(name, address string, folders ...string) *Host {
	n.t.Helper()
	h := &Host{Name: name, net: n, root: filepath.Join(n.dir, name)}
	for _, dir := range []string{"dev", "etc", "old", "proc", "root", "run/sshd", "sys", "tmp", "usr/local/sbin", "var/log"} {
		if err := os.MkdirAll(filepath.Join(h.root, dir), 0o755); err != nil {
			n.t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64", "var/run": "../run", "dev/shm": "../tmp"} {
		if err := os.Symlink(to, filepath.Join(h.root, link)); err != nil {
			n.t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(h.root, "tmp"), 0o777|os.ModeSticky); err != nil {
		n.t.Fatal(err)
	}
	for _, folder := range folders {
		h.Copy(folder, "/")
	}
	h.init = n.start(exec.Command("sh", "-c", firstProcess, "first", h.root, name),
		syscall.CLONE_NEWNS|syscall.CLONE_NEWUTS|syscall.CLONE_NEWIPC|syscall.CLONE_NEWPID|syscall.CLONE_NEWNET)
	n.ip(n.bridge, "link", "add", "to-"+name, "type", "veth", "peer", "name", "eth0", "netns", strconv.Itoa(h.init.pid))
	n.ip(n.bridge, "link", "set", "to-"+name, "master", "br0", "up")
	n.ip(h.init, "link", "set", "lo", "up")
	n.ip(h.init, "addr", "add", address, "dev", "eth0")
	n.ip(h.init, "link", "set", "eth0", "up")
	return h
}

// Copy copies the files of a folder of this machine into one of the host.
func (h *Host) Copy(from, to string) {
	h.net.t.Helper()
	err := fs.WalkDir(os.DirFS(from), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			return err
		}
		return h.write(path.Join(to, name), content)
	})
	if err != nil {
		h.net.t.Fatal(err)
	}
}

// Write writes a file of the host, which everybody there may read.
func (h *Host) Write(file, content string) {
	h.net.t.Helper()
	if err := h.write(file, []byte(content)); err != nil {
		h.net.t.Fatal(err)
	}
}

// write writes a file, and no link of the host leads it out of that.
func (h *Host) write(file string, content []byte) error {
	root, err := os.OpenRoot(h.root)
	if err != nil {
		return err
	}
	defer root.Close()
	file = strings.TrimPrefix(path.Clean("/"+file), "/")
	if err := root.MkdirAll(path.Dir(file), 0o755); err != nil {
		return err
	}
	return root.WriteFile(file, content, 0o644)
}

// Command returns one that runs on the host, as root.
func (h *Host) Command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command("nsenter", append([]string{"--target", strconv.Itoa(h.init.pid), "--mount", "--uts", "--ipc", "--net", "--pid", "--", name}, args...)...)
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/sbin:/usr/bin", "LANG=C.UTF-8", "HOME=/root"}
	return cmd
}

// Run runs a command on the host, which must succeed, and returns what it says.
func (h *Host) Run(name string, args ...string) string {
	h.net.t.Helper()
	out, err := h.Command(name, args...).CombinedOutput()
	if err != nil {
		h.net.t.Fatalf("%s on %s: %v\n%s", name, h.Name, err, out)
	}
	return string(out)
}

// Serve runs a program on the host, in the foreground, for as long as the host
// is there. What it says is shown if the test fails.
func (h *Host) Serve(name string, args ...string) {
	h.net.t.Helper()
	var said bytes.Buffer
	cmd := h.Command(name, args...)
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		h.net.t.Fatal(err)
	}
	h.net.t.Cleanup(func() {
		h.init.stop()
		_ = cmd.Wait() // it was killed, or what it said tells why not
		if h.net.t.Failed() {
			h.net.t.Logf("%s on %s: %v\n%s", name, h.Name, cmd.ProcessState, said.Bytes())
		}
	})
}

// Await waits until a command succeeds on the host.
func (h *Host) Await(name string, args ...string) {
	h.net.t.Helper()
	var out []byte
	var err error
	for range 300 {
		if out, err = h.Command(name, args...).CombinedOutput(); err == nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	h.net.t.Fatalf("%s %s on %s does not succeed within half a minute: %v\n%s", name, strings.Join(args, " "), h.Name, err, out)
}
