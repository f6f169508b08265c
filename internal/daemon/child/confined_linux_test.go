package child

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"

	"strongroom/internal/safe"
	"strongroom/internal/store/blob"
	"strongroom/internal/store/blob/dir"
	"strongroom/internal/store/layout"
	"strongroom/internal/store/seal"
)

// What a collector may still do is found out by one: this program runs itself
// again, prepares for a task as the real collector does, and then tries what
// somebody would who has taken it over. Without preparing, the same attempts
// have to succeed, or they would show nothing.

const childVariable = "STRONGROOM_COLLECTOR_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) == "" {
		os.Exit(m.Run())
	}
	var p prison
	err := json.NewDecoder(os.Stdin).Decode(&p)
	if err == nil {
		err = p.tryAll(os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// A prison is what a child is told.
type prison struct {
	Task   CollectTask
	Free   bool
	Host   string // the safe's folder: keys, state and memories
	Source string // what is collected, of a local source
	Other  safe.RunID
	Parent int
	Ports  map[string]int // "source" and "other", with a listener each
}

// tryAll writes what comes of each attempt: "ok", or the name of an error.
func (p prison) tryAll(answer io.Writer) error {
	ctx := context.Background()
	into, err := p.enter(ctx)
	if err != nil {
		return err
	}
	// Each attempt on a pack has a pack of its own, so that none depends on
	// what came of another.
	for _, try := range packTries {
		if err := publish(ctx, into, layout.Pack(p.Task.Run, digestOf(try))); err != nil {
			return fmt.Errorf("a collector cannot publish a pack: %w", err)
		}
	}
	results := map[string]string{}
	for name, try := range tries {
		results[name] = outcome(try(p))
	}
	if os.Geteuid() == 0 {
		results["host: read /etc/shadow"] = outcome(openPath("/etc/shadow", unix.O_RDONLY))
	}
	results["own pack: publish another over it"] = outcome(publish(ctx, into, layout.Pack(p.Task.Run, digestOf("read"))))
	results["other run: publish a pack"] = "ok"
	if err := publish(ctx, into, layout.Pack(p.Other, digestOf("forged"))); err != nil {
		results["other run: publish a pack"] = "refused"
	}
	return json.NewEncoder(answer).Encode(results)
}

// enter does what Collect does before it touches the source, or, to be free,
// only opens the store.
func (p prison) enter(ctx context.Context) (blob.Writer, error) {
	if p.Free {
		return dir.Open(p.Task.StorePath)
	}
	input, _, err := prepare(ctx, p.Task)
	return input.Into, err
}

func publish(ctx context.Context, into blob.Writer, name string) error {
	s, err := into.Stage(ctx)
	if err != nil {
		return err
	}
	defer s.Discard()
	if _, err := s.Write([]byte("content")); err != nil {
		return err
	}
	return s.Publish(ctx, name)
}

func digestOf(try string) safe.Digest { return safe.DigestOf([]byte(try)) }

func outcome(err error) string {
	if err == nil {
		return "ok"
	}
	if errors.Is(err, blob.ErrExist) {
		return "EEXIST"
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return unix.ErrnoName(errno)
	}
	return err.Error()
}

func (p prison) store(name string) string { return filepath.Join(p.Task.StorePath, name) }
func (p prison) pack(try string) string {
	return p.store(layout.Pack(p.Task.Run, digestOf(try)))
}

func openPath(path string, flags int) error {
	fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0o600)
	if err == nil {
		unix.Close(fd)
	}
	return err
}

const makeNew = unix.O_CREAT | unix.O_EXCL | unix.O_WRONLY

// packTries name the packs that attempts are made on.
var packTries = []string{"read", "write", "truncate", "remove", "rename", "replace", "link"}

var tries = map[string]func(p prison) error{
	"own pack: read":                 func(p prison) error { return openPath(p.pack("read"), unix.O_RDONLY) },
	"own pack: write":                func(p prison) error { return openPath(p.pack("write"), unix.O_WRONLY) },
	"own pack: truncate":             func(p prison) error { return unix.Truncate(p.pack("truncate"), 0) },
	"own pack: remove":               func(p prison) error { return unix.Unlink(p.pack("remove")) },
	"own pack: rename":               func(p prison) error { return unix.Rename(p.pack("rename"), p.pack("renamed")) },
	"own pack: replace by another":   func(p prison) error { return unix.Rename(p.pack("replace"), p.pack("rename")) },
	"own pack: link into the memory": func(p prison) error { return unix.Link(p.pack("link"), p.Task.MemoryDir+"/stolen") },
	"own packs: list":                func(p prison) error { return openPath(p.store(layout.Run(p.Task.Run)+"/packs"), unix.O_RDONLY) },
	"own run: write an envelope":     func(p prison) error { return openPath(p.store(layout.EnvelopeCopy(p.Task.Run)), makeNew) },
	"own run: make a folder":         func(p prison) error { return unix.Mkdir(p.store(layout.Run(p.Task.Run)+"/more"), 0o700) },
	"other run: read a pack": func(p prison) error {
		return openPath(p.store(layout.Pack(p.Other, digestOf("theirs"))), unix.O_RDONLY)
	},
	"other run: list packs":            func(p prison) error { return openPath(p.store(layout.Run(p.Other)+"/packs"), unix.O_RDONLY) },
	"other run: remove a pack":         func(p prison) error { return unix.Unlink(p.store(layout.Pack(p.Other, digestOf("remove")))) },
	"other run: make a file":           func(p prison) error { return openPath(p.store(layout.Pack(p.Other, digestOf("made"))), makeNew) },
	"other run: read its envelope":     func(p prison) error { return openPath(p.store(layout.Envelope(p.Other)), unix.O_RDONLY) },
	"store: list runs":                 func(p prison) error { return openPath(p.store("runs"), unix.O_RDONLY) },
	"store: make a run":                func(p prison) error { return unix.Mkdir(p.store("runs/forged"), 0o700) },
	"store: write a roster":            func(p prison) error { return openPath(p.store(layout.Roster(2)), makeNew) },
	"store: write a description":       func(p prison) error { return openPath(p.store(layout.Snapshot(p.Task.Run)), makeNew) },
	"store: write a ledger entry":      func(p prison) error { return openPath(p.store(layout.Entry(99)), makeNew) },
	"store: read a description":        func(p prison) error { return openPath(p.store(layout.Snapshot(p.Other)), unix.O_RDONLY) },
	"store: rename a folder":           func(p prison) error { return unix.Rename(p.store("spare"), p.store("moved")) },
	"stage: make a file with a name":   func(p prison) error { return openPath(p.store("stage/named"), makeNew) },
	"safe: read a key":                 func(p prison) error { return openPath(p.Host+"/keys/memory.key", unix.O_RDONLY) },
	"safe: list keys":                  func(p prison) error { return openPath(p.Host+"/keys", unix.O_RDONLY) },
	"safe: read the state":             func(p prison) error { return openPath(p.Host+"/state.db", unix.O_RDONLY) },
	"safe: write the state":            func(p prison) error { return openPath(p.Host+"/state.db", unix.O_WRONLY) },
	"other memory: read":               func(p prison) error { return openPath(p.Host+"/memory/other/lines", unix.O_RDONLY) },
	"other memory: write":              func(p prison) error { return openPath(p.Host+"/memory/other/forged", makeNew) },
	"other memory: list":               func(p prison) error { return openPath(p.Host+"/memory/other", unix.O_RDONLY) },
	"own memory: read":                 func(p prison) error { return openPath(p.Task.MemoryDir+"/lines", unix.O_RDONLY) },
	"own memory: write":                func(p prison) error { return openPath(p.Task.MemoryDir+"/new", makeNew) },
	"source: read":                     func(p prison) error { return openPath(p.Source+"/file", unix.O_RDONLY) },
	"source: write":                    func(p prison) error { return openPath(p.Source+"/file", unix.O_WRONLY) },
	"source: make a file":              func(p prison) error { return openPath(p.Source+"/new", makeNew) },
	"source: remove":                   func(p prison) error { return unix.Unlink(p.Source + "/spare") },
	"source: run a program":            func(p prison) error { return exec.Command(p.Source + "/program").Run() },
	"host: read /etc/passwd":           func(prison) error { return openPath("/etc/passwd", unix.O_RDONLY) },
	"host: read its own program":       func(prison) error { return openPath("/proc/self/exe", unix.O_RDONLY) },
	"host: make a file in /tmp":        func(prison) error { return openPath(os.TempDir(), unix.O_TMPFILE|unix.O_RDWR) },
	"host: run /bin/true":              func(prison) error { return exec.Command("/bin/true").Run() },
	"network: connect to the source":   func(p prison) error { return p.connect("source") },
	"network: connect to another port": func(p prison) error { return p.connect("other") },
	"network: listen":                  func(prison) error { return listenTCP() },
	"parent: signal":                   func(p prison) error { return unix.Kill(p.Parent, 0) },
	"parent: trace":                    func(p prison) error { return trace(p.Parent) },
	"parent: read its memory":          func(p prison) error { return openPath(fmt.Sprintf("/proc/%d/mem", p.Parent), unix.O_RDONLY) },
	"no folder open but those to add to": func(p prison) error {
		return p.onlyOwnFolders()
	},
}

func (p prison) connect(to string) error {
	conn, err := net.DialTimeout("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(p.Ports[to])), 5*time.Second)
	if err == nil {
		conn.Close()
	}
	return err
}

// listenTCP does without MPTCP, which the kernel does not confine; see confine.
func listenTCP() error {
	var config net.ListenConfig
	config.SetMultipathTCP(false)
	l, err := config.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err == nil {
		l.Close()
	}
	return err
}

// trace lays hands on a process without stopping it, and lets go.
func trace(pid int) error {
	const seize = 0x4206 // PTRACE_SEIZE
	_, _, errno := unix.RawSyscall6(unix.SYS_PTRACE, seize, uintptr(pid), 0, 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil // the end of this process ends it
}

// onlyOwnFolders looks at every open descriptor: a folder that is open can be
// listed whatever the kernel confines.
func (p prison) onlyOwnFolders() error {
	allowed := map[uint64]bool{}
	for _, name := range append([]string{"stage"}, prefixed(layout.Run(p.Task.Run)+"/", folders)...) {
		var st unix.Stat_t
		if err := unix.Stat(p.store(name), &st); err != nil {
			return err
		}
		allowed[st.Ino] = true
	}
	for fd := range 256 {
		var st unix.Stat_t
		if unix.Fstat(fd, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR && !allowed[st.Ino] {
			return fmt.Errorf("descriptor %d is another folder", fd)
		}
	}
	return nil
}

func prefixed(prefix string, names []string) (all []string) {
	for _, name := range names {
		all = append(all, prefix+name)
	}
	return all
}

// allowed is what a collector may do beside publishing in its own run; all
// other attempts have to fail, with EACCES unless it stands in otherErrors.
var allowed = map[string]bool{
	"own memory: read":                   true,
	"own memory: write":                  true,
	"no folder open but those to add to": true,
}

var otherErrors = map[string]string{
	"own pack: link into the memory":     "EXDEV", // or else it could be read there
	"own pack: publish another over it":  "EEXIST",
	"other run: publish a pack":          "refused", // by AddOnly: it has not that folder
	"own run: write an envelope":         "EACCES",
	"parent: signal":                     "EPERM",
	"parent: trace":                      "EPERM",
	"no folder open but those to add to": "ok",
}

func TestCollectorIsConfined(t *testing.T) {
	if _, _, errno := syscall.AllThreadsSyscall(syscall.SYS_GETPID, 0, 0, 0); errno == syscall.ENOTSUP {
		t.Skip("linked with cgo, where nothing can be confined: CGO_ENABLED=0 go test")
	}
	kinds := map[string]struct {
		set     func(p *prison)
		allowed []string // beside those of every collector
	}{
		"local": {
			set:     func(p *prison) { p.Task.Local = &LocalTask{Include: []string{p.Source}} },
			allowed: []string{"source: read"},
		},
		"sftp": {
			set: func(p *prison) {
				p.Task.SFTP = &SFTPTask{Login: login(t, p.Ports["source"]), Include: []string{"/data"}}
			},
			allowed: []string{"network: connect to the source"},
		},
		"command": {
			set:     func(p *prison) { p.Task.Command = &CommandTask{Login: login(t, p.Ports["source"]), Name: "dump"} },
			allowed: []string{"network: connect to the source"},
		},
	}
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			p := newPrison(t)
			kind.set(&p)
			want := map[string]string{}
			got := p.run(t)
			for try := range got {
				want[try] = "EACCES"
				if allowed[try] {
					want[try] = "ok"
				}
				if other, ok := otherErrors[try]; ok {
					want[try] = other
				}
			}
			for _, try := range kind.allowed {
				want[try] = "ok"
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("confined (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("not at all", func(t *testing.T) {
		p := newPrison(t)
		p.Free = true
		want := map[string]string{}
		got := p.run(t)
		for try := range got {
			want[try] = "ok"
		}
		want["own pack: publish another over it"] = "EEXIST"
		want["no folder open but those to add to"] = got["no folder open but those to add to"]
		if os.Geteuid() != 0 {
			// Their mode forbids the first two, and Yama may the others.
			for _, try := range []string{"own pack: write", "own pack: truncate", "parent: trace", "parent: read its memory"} {
				want[try] = got[try]
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("unconfined, where everything should be possible (-want +got):\n%s", diff)
		}
	})
}

// newPrison makes a safe as a collector finds it.
func newPrison(t *testing.T) prison {
	t.Helper()
	top := t.TempDir()
	store, err := dir.Create(filepath.Join(top, "store"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	now := time.Now()
	p := prison{
		Host: filepath.Join(top, "host"), Source: filepath.Join(top, "source"), Other: safe.NewRunID(now.Add(-time.Hour)), Parent: os.Getpid(),
		Ports: map[string]int{"source": port(t), "other": port(t)},
		Task: CollectTask{
			StorePath: filepath.Join(top, "store"), Store: safe.NewStoreID(), Run: safe.NewRunID(now), Source: "mine", Started: now,
			CutKey: make([]byte, 32), TagKey: make([]byte, 32), MemoryDir: filepath.Join(top, "host/memory/mine"),
		},
	}
	for _, name := range []string{
		layout.FormatName, layout.Roster(1), layout.Entry(0), layout.Snapshot(p.Other), layout.Envelope(p.Task.Run), layout.Envelope(p.Other),
		layout.Pack(p.Other, digestOf("theirs")), layout.Pack(p.Other, digestOf("remove")), "spare/object",
	} {
		if err := blob.PutOnce(t.Context(), store, name, []byte("content")); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"host/keys/memory.key", "host/state.db", "host/memory/mine/lines", "host/memory/other/lines", "source/file", "source/spare"} {
		path := filepath.Join(top, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte("content"), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	program, err := os.ReadFile("/bin/true")
	if err == nil {
		err = os.WriteFile(p.Source+"/program", program, 0o700)
	}
	if err != nil {
		t.Fatal(err)
	}
	p.addKeys(t, now)
	return p
}

// addKeys completes the task with a run's recipient and the memory's key.
func (p *prison) addKeys(t *testing.T, now time.Time) {
	t.Helper()
	outer, err1 := seal.NewOuterIdentity()
	inner, err2 := seal.NewInnerIdentity()
	memory, err3 := seal.NewMemoryIdentity()
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	label := seal.Label{Store: p.Task.Store, Run: p.Task.Run, Source: p.Task.Source, Time: now, Roster: 1}
	_, recipient, err := seal.NewEnvelope(label, outer.Recipient(), inner.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	var key bytes.Buffer
	if err := memory.Write(&key, now); err != nil {
		t.Fatal(err)
	}
	p.Task.Recipient, p.Task.MemoryKey = recipient, key.Bytes()
}

// port returns one of this machine at which somebody listens.
func port(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().(*net.TCPAddr).Port
}

func login(t *testing.T, port int) Login {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	return Login{
		Host: "127.0.0.1", Port: port, User: "safe", Key: pem.EncodeToMemory(block),
		HostKeys: []string{strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey())))},
	}
}

// run has a child try everything.
func (p prison) run(t *testing.T) map[string]string {
	t.Helper()
	in, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), childVariable+"=1")
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("child: %v\n%s", err, out)
	}
	var results map[string]string
	if err := json.Unmarshal(out, &results); err != nil {
		t.Fatalf("child: %v\n%s", err, out)
	}
	return results
}
