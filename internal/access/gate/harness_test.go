package gate

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"strongroom/internal/porttest"
	"strongroom/internal/safe"
	"strongroom/internal/store/blob"
	"strongroom/internal/store/blob/dir"
	"strongroom/internal/store/layout"
)

// A key is a private key, in memory and in a file.
type key struct {
	signer  ssh.Signer
	private []byte
	path    string
}

func (k key) authorized() string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k.signer.PublicKey())))
}

func newKey(t testing.TB) key {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	k := key{signer: signer, private: pem.EncodeToMemory(block), path: filepath.Join(t.TempDir(), "key")}
	if err := os.WriteFile(k.path, k.private, 0o600); err != nil {
		t.Fatal(err)
	}
	return k
}

// content is that of every small file and object of a site but the great pack.
var content = []byte("content")

const greatSize = 50 << 20

// A site is a store, and a task that grants a part of it.
type site struct {
	operator, host key
	path           string // of the store
	inboxPath      string
	store          *dir.Store
	inbox          *dir.Store
	task           Task
	// options and waits are the server's, unless they are zero.
	options Options
	waits   patience

	run, other                safe.RunID
	pack, unnamed, root       safe.Digest // of run; no released snapshot names the second
	theirs, theirRoot, absent safe.Digest
}

func newSite(t testing.TB) *site {
	t.Helper()
	s := &site{
		operator: newKey(t), host: newKey(t), path: t.TempDir(), inboxPath: t.TempDir(),
		run: safe.NewRunID(time.Now()), other: safe.NewRunID(time.Now()),
		pack: digest("pack"), unnamed: digest("unnamed"), root: digest("root"),
		theirs: digest("theirs"), theirRoot: digest("their root"), absent: digest("absent"),
	}
	var err1, err2 error
	s.store, err1 = dir.Create(s.path)
	s.inbox, err2 = dir.Open(s.inboxPath)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.store.Close(); s.inbox.Close() })
	for _, name := range []string{
		layout.FormatName, layout.Envelope(s.run), layout.Snapshot(s.run), layout.Snapshot(s.other), layout.Entry(0), layout.Roster(1),
		layout.Pack(s.run, s.pack), layout.Parity(s.run, s.pack), layout.Pack(s.run, s.unnamed), layout.Parity(s.run, s.unnamed),
		layout.Root(s.run, s.root), layout.Copy(layout.Root(s.run, s.root)),
		layout.Envelope(s.other), layout.Pack(s.other, s.theirs), layout.Root(s.other, s.theirRoot),
	} {
		s.put(t, name, content)
	}
	s.task = Task{
		Listen: netip.MustParseAddrPort("127.0.0.1:0"), Peer: netip.MustParseAddr("127.0.0.1"),
		User: "operator", Key: s.operator.authorized(), HostKey: s.host.private, Until: time.Now().Add(time.Minute),
		Files: []File{
			{"README", content}, {layout.Snapshot(s.run), content}, {layout.Run(s.run) + "/inner.age", content},
			{"ledger/checkpoint", content}, {"ledger/proofs/" + s.run.String() + ".json", content},
			{"ledger/proofs/consistency.json", content}, {layout.Roster(1), content},
		},
		Scope: []Scope{{Run: s.run, Packs: []safe.Digest{s.pack, s.absent}, Roots: []safe.Digest{s.root}}},
	}
	return s
}

func digest(of string) safe.Digest { return safe.DigestOf([]byte(of)) }

func (s *site) put(t testing.TB, name string, content []byte) {
	t.Helper()
	if err := blob.PutOnce(t.Context(), s.store, name, content); err != nil {
		t.Fatal(err)
	}
}

// A gate is a server that runs until the test ends.
type running struct {
	*site
	addr string
	stop context.CancelFunc
	done chan struct{} // closed when Serve has returned

	mu     sync.Mutex
	events []Event
	totals Totals
}

func (s *site) open(t testing.TB) *running {
	t.Helper()
	g := &running{site: s, done: make(chan struct{})}
	options := s.options
	options.Events = func(e Event) {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.events = append(g.events, e)
	}
	into, err := s.inbox.AddOnly(t.Context(), InboxFolder)
	if err != nil {
		t.Fatal(err)
	}
	options.Inbox = &Inbox{Into: into}
	for info, err := range s.inbox.List(t.Context(), InboxFolder+"/") {
		if err != nil {
			t.Fatal(err)
		}
		options.Inbox.Held = append(options.Inbox.Held, info)
	}
	server, err := New(s.task, s.store, options)
	if err != nil {
		t.Fatal(err)
	}
	if s.waits != (patience{}) {
		server.patience = s.waits
	}
	listener, err := Listen(t.Context(), s.task.Listen)
	if err != nil {
		t.Fatal(err)
	}
	g.addr = listener.Addr().String()
	ctx, stop := context.WithCancel(context.Background())
	g.stop = stop
	go func() {
		defer close(g.done)
		totals, err := server.Serve(ctx, listener)
		if err != nil {
			t.Error(err)
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		g.totals = totals
	}()
	t.Cleanup(func() { g.end(t); into.Close() })
	return g
}

// end stops the server and returns its totals.
func (g *running) end(t testing.TB) Totals {
	t.Helper()
	g.stop()
	g.wait(t, 2*time.Second)
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.totals
}

// wait waits for the server's end, which must come within the time.
func (g *running) wait(t testing.TB, within time.Duration) {
	t.Helper()
	select {
	case <-g.done:
	case <-time.After(within):
		t.Fatalf("the gate has not ended after %v", within)
	}
}

// find waits for an event.
func find[E any](t testing.TB, g *running, which func(Event) *E, good func(E) bool) E {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for {
		g.mu.Lock()
		events := g.events
		g.mu.Unlock()
		for _, e := range events {
			if found := which(e); found != nil && good(*found) {
				return *found
			}
		}
		if time.Now().After(deadline) {
			var none E
			t.Errorf("no such event %T among %s", none, spell(events))
			return none
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (g *running) denied(t testing.TB, method, path string) {
	t.Helper()
	find(t, g, func(e Event) *Denied { return e.Denied }, func(d Denied) bool {
		return d.Method == method && strings.Contains(d.Path, path)
	})
}

func (g *running) refused(t testing.TB, why string) {
	t.Helper()
	find(t, g, func(e Event) *Refused { return e.Refused }, func(r Refused) bool { return strings.Contains(r.Why, why) })
}

// dial logs in as the operator does.
func (g *running) dial(t testing.TB) *ssh.Client {
	t.Helper()
	client, err := g.tryDial()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

func (g *running) tryDial() (*ssh.Client, error) {
	return ssh.Dial("tcp", g.addr, g.client(g.task.User, g.operator))
}

func (g *running) client(user string, k key) *ssh.ClientConfig {
	return &ssh.ClientConfig{
		User: user, Auth: []ssh.AuthMethod{ssh.PublicKeys(k.signer)}, HostKeyCallback: ssh.FixedHostKey(g.host.signer.PublicKey()),
		Timeout: 5 * time.Second,
	}
}

func (g *running) sftp(t testing.TB) *sftp.Client {
	t.Helper()
	client, err := sftp.NewClient(g.dial(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

// A door is an SSH server that programs are pointed at: a gate, or an ordinary
// server that lets them do what a gate must not.
type door struct {
	addr, user, keyFile, hostKey string
	root                         string // what clients have to put before a path
}

func (g *running) door() door {
	return door{addr: g.addr, user: g.task.User, keyFile: g.operator.path, hostKey: g.host.authorized()}
}

// args are those of ssh and sftp that keep them from the user's own settings.
func (d door) args(t testing.TB) []string {
	t.Helper()
	host, port, err := net.SplitHostPort(d.addr)
	if err != nil {
		t.Fatal(err)
	}
	known := filepath.Join(t.TempDir(), "known")
	if err := os.WriteFile(known, []byte("["+host+"]:"+port+" "+d.hostKey+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{
		"-F", "none", "-o", "UserKnownHostsFile=" + known, "-o", "GlobalKnownHostsFile=none", "-o", "StrictHostKeyChecking=yes",
		"-o", "IdentityAgent=none", "-o", "IdentitiesOnly=yes", "-o", "IdentityFile=" + d.keyFile, "-o", "BatchMode=yes",
		"-o", "ConnectTimeout=5", "-o", "LogLevel=INFO", "-o", "User=" + d.user, "-o", "Port=" + port,
	}
}

// openSSH returns a command of the real client. Without one on this machine the
// test is skipped; in CI, where one must be, it fails.
func openSSH(t testing.TB, d door, program string, more ...string) *exec.Cmd {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("the OpenSSH client is not installed (Debian: apt-get install openssh-client)")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, path, append(d.args(t), more...)...)
	cmd.WaitDelay = time.Second
	return cmd
}

// host is what ssh takes for one.
func (d door) host() string {
	host, _, _ := net.SplitHostPort(d.addr)
	return host
}

// batch runs commands of sftp, and returns what it says.
func (d door) batch(t testing.TB, commands string) (string, error) {
	t.Helper()
	cmd := openSSH(t, d, "sftp", "-b", "-", d.host())
	cmd.Stdin = strings.NewReader(strings.ReplaceAll(commands, "@", d.root) + "\n")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// file makes a file to be sent.
func file(t testing.TB, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "local.json")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// greeter listens, and says hello to whoever connects.
func greeter(t testing.TB) (port string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn.Write([]byte("hello\n"))
			conn.Close()
		}
	}()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

// freePort returns one that nobody listens on now.
func freePort(t testing.TB) string {
	t.Helper()
	port, err := porttest.Free()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func great(t testing.TB) []byte {
	t.Helper()
	b := make([]byte, greatSize)
	rand.Read(b)
	if bytes.Count(b, []byte{0}) == len(b) {
		t.Fatal("no random bytes")
	}
	return b
}

// spell writes events for people.
func spell(events []Event) string {
	var b strings.Builder
	for _, e := range events {
		line, err := json.Marshal(e)
		fmt.Fprintf(&b, "\n%s %v", line, err)
	}
	return b.String()
}
