package child

import (
	"bufio"
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
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"

	"strongroom/internal/access/gate"
	"strongroom/internal/safe"
	"strongroom/internal/store/blob"
	"strongroom/internal/store/blob/dir"
	"strongroom/internal/store/layout"
)

// As with the collector, what a gate may still do is found out by one: this
// program runs itself again, as the gate or as somebody who has taken it over.

const gateVariable = "STRONGROOM_GATE_TEST_CHILD"

// TestGateChild is no test but the child.
func TestGateChild(t *testing.T) {
	var err error
	switch os.Getenv(gateVariable) {
	case "":
		t.Skip("for the tests below")
	case "gate":
		err = Gate(os.Stdin, os.Stdout)
	case "intruder":
		var in intruder
		if err = json.NewDecoder(os.Stdin).Decode(&in); err == nil {
			err = in.tryAll(os.Stdout)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0) // without the words of a test
}

func gateChild(kind string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestGateChild$")
	cmd.Env = append(os.Environ(), gateVariable+"="+kind)
	cmd.Stderr = os.Stderr
	return cmd
}

// linkedWithCgo says whether nothing can be confined.
func linkedWithCgo() bool {
	_, _, errno := syscall.AllThreadsSyscall(syscall.SYS_GETPID, 0, 0, 0)
	return errno == syscall.ENOTSUP
}

// An intruder is what somebody is told who has taken a gate over.
type intruder struct {
	Task   GateTask
	Free   bool
	Host   string // the safe's folder
	Other  safe.RunID
	Parent int
	Port   int // where somebody listens
}

func (in intruder) tryAll(answer io.Writer) error {
	ctx := context.Background()
	inbox, err := in.enter(ctx)
	if err != nil {
		return err
	}
	results := map[string]string{}
	for name, try := range gateTries {
		results[name] = outcome(try(in))
	}
	results["inbox: add a file"] = outcome(publish(ctx, inbox, gate.InboxFolder+"/new.json"))
	results["inbox: add over a file"] = outcome(publish(ctx, inbox, gate.InboxFolder+"/held.json"))
	return json.NewEncoder(answer).Encode(results)
}

// enter does what Gate does before it serves, or, to be free, only opens the
// inbox.
func (in intruder) enter(ctx context.Context) (blob.Writer, error) {
	folder, err := dir.Open(in.Task.InboxPath)
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	into, err := folder.AddOnly(ctx, gate.InboxFolder)
	if err == nil && !in.Free {
		_, _, err = openGate(ctx, in.Task, nil)
	}
	return into, err
}

func (in intruder) store(name string) string { return filepath.Join(in.Task.StorePath, name) }
func (in intruder) own(name string) string {
	return in.store(layout.Run(in.Task.Gate.Scope[0].Run) + "/" + name)
}
func (in intruder) inbox(name string) string {
	return filepath.Join(in.Task.InboxPath, gate.InboxFolder, name)
}
func (in intruder) pack(of string) string { return in.own("packs/" + digestOf(of).String()) }

var gateTries = map[string]func(in intruder) error{
	"own pack: read":                 func(in intruder) error { return openPath(in.pack("granted"), unix.O_RDONLY) },
	"own packs: list":                func(in intruder) error { return openPath(in.own("packs"), unix.O_RDONLY) },
	"own pack: write":                func(in intruder) error { return openPath(in.pack("granted"), unix.O_WRONLY) },
	"own pack: truncate":             func(in intruder) error { return unix.Truncate(in.pack("truncate"), 0) },
	"own pack: remove":               func(in intruder) error { return unix.Unlink(in.pack("remove")) },
	"own pack: rename":               func(in intruder) error { return unix.Rename(in.pack("rename"), in.pack("renamed")) },
	"own pack: link into the inbox":  func(in intruder) error { return unix.Link(in.pack("granted"), in.inbox("link.json")) },
	"own packs: make a file":         func(in intruder) error { return openPath(in.own("packs/new"), makeNew) },
	"own packs: make a folder":       func(in intruder) error { return unix.Mkdir(in.own("packs/folder"), 0o700) },
	"own packs: make a link":         func(in intruder) error { return unix.Symlink("/etc/passwd", in.own("packs/link")) },
	"own run: list":                  func(in intruder) error { return openPath(in.own(""), unix.O_RDONLY) },
	"own run: read its envelope":     func(in intruder) error { return openPath(in.own("envelope.age"), unix.O_RDONLY) },
	"own run: read a sketch":         func(in intruder) error { return openPath(in.own("sketch/x"), unix.O_RDONLY) },
	"other run: read a pack":         func(in intruder) error { return openPath(in.other("packs/x"), unix.O_RDONLY) },
	"other run: list packs":          func(in intruder) error { return openPath(in.other("packs"), unix.O_RDONLY) },
	"other run: read its envelope":   func(in intruder) error { return openPath(in.other("envelope.age"), unix.O_RDONLY) },
	"store: list":                    func(in intruder) error { return openPath(in.store("."), unix.O_RDONLY) },
	"store: list runs":               func(in intruder) error { return openPath(in.store("runs"), unix.O_RDONLY) },
	"store: read a description":      func(in intruder) error { return openPath(in.store(layout.Snapshot(in.Other)), unix.O_RDONLY) },
	"store: read the ledger":         func(in intruder) error { return openPath(in.store(layout.Entry(0)), unix.O_RDONLY) },
	"store: make a run":              func(in intruder) error { return unix.Mkdir(in.store("runs/forged"), 0o700) },
	"store: stage a file":            func(in intruder) error { return openPath(in.store("stage"), unix.O_TMPFILE|unix.O_RDWR) },
	"inbox: read a file":             func(in intruder) error { return openPath(in.inbox("held.json"), unix.O_RDONLY) },
	"inbox: write a file":            func(in intruder) error { return openPath(in.inbox("held.json"), unix.O_WRONLY) },
	"inbox: truncate a file":         func(in intruder) error { return unix.Truncate(in.inbox("truncate.json"), 0) },
	"inbox: remove a file":           func(in intruder) error { return unix.Unlink(in.inbox("remove.json")) },
	"inbox: rename a file":           func(in intruder) error { return unix.Rename(in.inbox("rename.json"), in.inbox("renamed.json")) },
	"inbox: list":                    func(in intruder) error { return openPath(in.inbox("."), unix.O_RDONLY) },
	"inbox: make a folder":           func(in intruder) error { return unix.Mkdir(in.inbox("folder"), 0o700) },
	"safe: read a key":               func(in intruder) error { return openPath(in.Host+"/keys/ledger.key", unix.O_RDONLY) },
	"safe: read the state":           func(in intruder) error { return openPath(in.Host+"/state.db", unix.O_RDONLY) },
	"safe: write the state":          func(in intruder) error { return openPath(in.Host+"/state.db", unix.O_WRONLY) },
	"host: read /etc/passwd":         func(intruder) error { return openPath("/etc/passwd", unix.O_RDONLY) },
	"host: read its own program":     func(intruder) error { return openPath("/proc/self/exe", unix.O_RDONLY) },
	"host: make a file in /tmp":      func(intruder) error { return openPath(os.TempDir(), unix.O_TMPFILE|unix.O_RDWR) },
	"host: run /bin/true":            func(intruder) error { return exec.Command("/bin/true").Run() },
	"network: connect":               func(in intruder) error { return in.connect() },
	"network: listen":                func(intruder) error { return listenTCP() },
	"parent: signal":                 func(in intruder) error { return unix.Kill(in.Parent, 0) },
	"parent: trace":                  func(in intruder) error { return trace(in.Parent) },
	"no folder open that tells much": func(in intruder) error { return in.onlyOwnFolders() },
}

func (in intruder) other(name string) string {
	return in.store(layout.Run(in.Other) + "/" + name)
}

func (in intruder) connect() error {
	conn, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", in.Port), 5*time.Second)
	if err == nil {
		conn.Close()
	}
	return err
}

// onlyOwnFolders looks at every open descriptor. The store's top may be one: it
// tells the same names in each store.
func (in intruder) onlyOwnFolders() error {
	allowed := map[uint64]bool{}
	for _, path := range []string{in.Task.StorePath, filepath.Join(in.Task.InboxPath, "stage"), in.inbox(".")} {
		var st unix.Stat_t
		if err := unix.Stat(path, &st); err != nil {
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

func TestGateIsConfined(t *testing.T) {
	if linkedWithCgo() {
		t.Skip("linked with cgo, where nothing can be confined: CGO_ENABLED=0 go test")
	}
	run := func(t *testing.T, in intruder) map[string]string {
		t.Helper()
		stdin, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		cmd := gateChild("intruder")
		cmd.Stdin = bytes.NewReader(stdin)
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
	t.Run("confined", func(t *testing.T) {
		got := run(t, newGateSite(t).intruder)
		want := map[string]string{}
		for try := range got {
			want[try] = "EACCES"
		}
		for _, try := range []string{"own pack: read", "own packs: list", "inbox: add a file", "no folder open that tells much"} {
			want[try] = "ok"
		}
		want["inbox: add over a file"] = "EEXIST"
		want["own pack: link into the inbox"] = "EXDEV" // which it could not read there anyway
		want["parent: signal"], want["parent: trace"] = "EPERM", "EPERM"
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
	t.Run("not at all", func(t *testing.T) {
		in := newGateSite(t).intruder
		in.Free = true
		got := run(t, in)
		want := map[string]string{}
		for try := range got {
			want[try] = "ok"
		}
		want["inbox: add over a file"] = "EEXIST"
		if os.Geteuid() != 0 {
			// Their mode forbids the writing, and Yama may the tracing.
			for _, try := range []string{"own pack: write", "own pack: truncate", "inbox: write a file", "inbox: truncate a file", "parent: trace"} {
				want[try] = got[try]
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("unconfined, where everything should be possible (-want +got):\n%s", diff)
		}
	})
}

// A gateSite is a safe as a gate finds it, and the operator's key to the gate.
type gateSite struct {
	intruder
	operator, host ssh.Signer
	run            safe.RunID
}

func newGateSite(t *testing.T) gateSite {
	t.Helper()
	top := t.TempDir()
	store, err := dir.Create(filepath.Join(top, "store"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	s := gateSite{run: safe.NewRunID(time.Now())}
	operator, _ := newSSHKey(t)
	host, hostKey := newSSHKey(t)
	s.operator, s.host = operator, host
	s.intruder = intruder{
		Host: filepath.Join(top, "host"), Other: safe.NewRunID(time.Now()), Parent: os.Getpid(), Port: port(t),
		Task: GateTask{
			StorePath: filepath.Join(top, "store"), InboxPath: filepath.Join(top, "inbox"),
			Gate: gate.Task{
				Listen: netip.MustParseAddrPort("127.0.0.1:0"), Peer: netip.MustParseAddr("127.0.0.1"), User: "operator",
				Key: string(ssh.MarshalAuthorizedKey(operator.PublicKey())), HostKey: hostKey, Until: time.Now().Add(time.Minute),
				Files: []gate.File{{Name: layout.Run(s.run) + "/inner.age", Content: []byte("inner")}},
				Scope: []gate.Scope{{Run: s.run, Packs: []safe.Digest{digestOf("granted")}}},
			},
			WithoutLandlock: linkedWithCgo(),
		},
	}
	names := []string{
		layout.FormatName, layout.Entry(0), layout.Envelope(s.run), layout.Run(s.run) + "/sketch/x",
		layout.Snapshot(s.Other), layout.Envelope(s.Other), layout.Run(s.Other) + "/packs/x",
	}
	for _, of := range []string{"granted", "truncate", "remove", "rename"} {
		names = append(names, layout.Pack(s.run, digestOf(of)))
	}
	for _, name := range names {
		if err := blob.PutOnce(t.Context(), store, name, []byte("content")); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{
		"host/keys/ledger.key", "host/state.db",
		"inbox/inbox/held.json", "inbox/inbox/truncate.json", "inbox/inbox/remove.json", "inbox/inbox/rename.json",
	} {
		path := filepath.Join(top, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte("content"), 0o400)); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func newSSHKey(t *testing.T) (ssh.Signer, []byte) {
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
	return signer, pem.EncodeToMemory(block)
}

// A runningGate is a gate in its own process, as confined as it gets.
type runningGate struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout *bufio.Reader
	addr   string
	events []gate.Event
}

func (s gateSite) start(t *testing.T) *runningGate {
	t.Helper()
	g := &runningGate{cmd: gateChild("gate")}
	var err1, err2 error
	var stdout io.Reader
	g.stdin, err1 = g.cmd.StdinPipe()
	stdout, err2 = g.cmd.StdoutPipe()
	if err := errors.Join(err1, err2, g.cmd.Start()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.cmd.Process.Kill(); g.cmd.Wait() })
	g.stdout = bufio.NewReader(stdout)
	if err := WriteTask(g.stdin, s.Task); err != nil {
		t.Fatal(err)
	}
	answer := g.read(t)
	if answer.Event == nil || answer.Event.Listening == nil {
		t.Fatalf("the gate says %+v, want that it is listening", answer)
	}
	g.addr = answer.Event.Listening.Addr.String()
	return g
}

func (g *runningGate) read(t *testing.T) GateAnswer {
	t.Helper()
	var answer GateAnswer
	if err := ReadAnswer(g.stdout, &answer); err != nil {
		t.Fatal(err)
	}
	return answer
}

// end reads on to the last answer, and waits for the process.
func (g *runningGate) end(t *testing.T) gate.Totals {
	t.Helper()
	start := time.Now()
	for {
		answer := g.read(t)
		if answer.Event != nil {
			g.events = append(g.events, *answer.Event)
			continue
		}
		if answer.Done == nil {
			t.Fatalf("the gate says %+v", answer)
		}
		if err := g.cmd.Wait(); err != nil {
			t.Errorf("the gate's process: %v", err)
		}
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("ended after %v", took)
		}
		return *answer.Done
	}
}

func (s gateSite) client(t *testing.T, addr string) *sftp.Client {
	t.Helper()
	conn, err := ssh.Dial("tcp", addr, &ssh.ClientConfig{
		User: "operator", Auth: []ssh.AuthMethod{ssh.PublicKeys(s.operator)}, HostKeyCallback: ssh.FixedHostKey(s.host.PublicKey()),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	client, err := sftp.NewClient(conn)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// TestGate: confined as it is, a gate does all that it is for.
func TestGate(t *testing.T) {
	s := newGateSite(t)
	g := s.start(t)
	client := s.client(t, g.addr)
	for name, want := range map[string]string{
		layout.Run(s.run) + "/inner.age": "inner", layout.Pack(s.run, digestOf("granted")): "content",
	} {
		f, err := client.Open("/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(f); string(b) != want {
			t.Errorf("%s: read %q, %v; want %q", name, b, err, want)
		}
		f.Close()
	}
	if infos, err := client.ReadDir("/" + layout.Run(s.run) + "/packs"); err != nil || len(infos) != 1 || infos[0].Size() != 7 {
		t.Errorf("listed %v, %v", infos, err)
	}
	f, err := client.OpenFile("/inbox/record.json", os.O_WRONLY|os.O_CREATE)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Write([]byte("{}"))
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(s.inbox("record.json")); string(b) != "{}" {
		t.Errorf("kept %q, %v", b, err)
	}
	if infos, err := client.ReadDir("/inbox"); err != nil || len(infos) != 5 {
		t.Errorf("listed %v, %v; want what was there and what is new", infos, err)
	}
	// The session hangs on; the word ends it.
	if err := Stop(g.stdin); err != nil {
		t.Fatal(err)
	}
	totals := g.end(t)
	if want := (gate.Totals{Sessions: 1, Objects: 2, Bytes: 12, Received: 1, End: gate.Stopped}); totals != want {
		t.Errorf("totals %+v, want %+v", totals, want)
	}
	if conn, err := net.Dial("tcp", g.addr); err == nil {
		conn.Close()
		t.Error("somebody listens")
	}
}

func TestGateEnds(t *testing.T) {
	for name, test := range map[string]struct {
		until time.Duration
		end   func(g *runningGate)
		want  gate.End
	}{
		"its supervisor is gone": {time.Minute, func(g *runningGate) { g.stdin.Close() }, gate.Stopped},
		"its time is over":       {500 * time.Millisecond, func(g *runningGate) {}, gate.Deadline},
	} {
		t.Run(name, func(t *testing.T) {
			s := newGateSite(t)
			s.Task.Gate.Until = time.Now().Add(test.until)
			g := s.start(t)
			client := s.client(t, g.addr)
			test.end(g)
			if totals := g.end(t); totals.End != test.want || totals.Sessions != 1 {
				t.Errorf("totals %+v", totals)
			}
			if _, err := client.Stat("/"); err == nil {
				t.Error("the session goes on")
			}
		})
	}
}

// TestGateWithoutTask: what is no task opens nothing, and says so.
func TestGateWithoutTask(t *testing.T) {
	good := newGateSite(t).Task
	link := newGateSite(t)
	moved := link.own("moved")
	if err := errors.Join(os.Rename(link.own("packs"), moved), os.Symlink(moved, link.own("packs"))); err != nil {
		t.Fatal(err)
	}
	noStore, noInbox, badPeer := good, good, good
	noStore.StorePath += "/nothing"
	noInbox.InboxPath += "/nothing"
	badPeer.Gate.Peer = netip.Addr{}
	for name, test := range map[string]struct {
		task GateTask
		want string
	}{
		"no store": {noStore, "opening the store"}, "no inbox": {noInbox, "opening the inbox"},
		"no peer": {badPeer, "no address that may connect"}, "link in the store": {link.Task, "is not a folder"},
	} {
		if _, _, err := openGate(t.Context(), test.task, nil); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

// FuzzGateTask: what is not a task is refused, and what is can be written
// again.
func FuzzGateTask(f *testing.F) {
	for _, seed := range []string{
		"", "\n", "{}\n", `{"gate":{"listen":"[::1]:22","peer":"fe80::1%eth0","until":"2026-01-02T03:04:05Z"},"store_path":"/x"}` + "\n",
		`{"gate":{"scope":[{"run":"x"}]}}` + "\n", `{"unknown":1}` + "\n", `{"gate":{"files":[{"name":"README","content":"eA=="}]}}` + "\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		task, err := readGateTask(bufio.NewReader(bytes.NewReader(b)))
		if err != nil {
			return
		}
		var again bytes.Buffer
		if err := WriteTask(&again, task); err != nil {
			return // such as a year of five digits
		}
		if _, err := readGateTask(bufio.NewReader(&again)); err != nil {
			t.Errorf("%+v cannot be read again: %v", task, err)
		}
	})
}
