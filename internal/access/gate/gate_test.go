package gate

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"strongroom/internal/safe"
	"strongroom/internal/store/blob"
	"strongroom/internal/store/layout"
)

// TestGet: what arrives is what was sent, and the client learns that all went
// well.
func TestGet(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	pack := great(t)
	name := layout.Pack(s.run, safe.DigestOf(pack))
	s.put(t, name, pack)
	s.task.Scope[0].Packs = append(s.task.Scope[0].Packs, safe.DigestOf(pack))
	g := s.open(t)
	local := filepath.Join(t.TempDir(), "pack")
	out, err := g.door().batch(t, "get /"+name+" "+local)
	if err != nil {
		t.Fatalf("sftp: %v: %s", err, out)
	}
	if strings.Contains(out, "closed by remote host") {
		t.Errorf("cut off: %s", out)
	}
	got, err := os.ReadFile(local)
	if err != nil || sha256.Sum256(got) != sha256.Sum256(pack) {
		t.Errorf("got %d bytes, %v; want the %d that were stored", len(got), err, len(pack))
	}
	read := find(t, g, func(e Event) *Read { return e.Read }, func(r Read) bool { return r.Name == name })
	if read.Bytes != greatSize {
		t.Errorf("read %d bytes, want %d", read.Bytes, greatSize)
	}
	if want := (Totals{Sessions: 1, Objects: 1, Bytes: greatSize, End: Stopped}); g.end(t) != want {
		t.Errorf("got %+v, want %+v", g.end(t), want)
	}
}

// TestExitStatus: a client that ends its session is told 0, and is not cut off
// before.
func TestExitStatus(t *testing.T) {
	t.Parallel()
	g := newSite(t).open(t)
	for range 5 {
		out, err := openSSH(t, g.door(), "ssh", "-s", g.door().host(), "sftp").CombinedOutput() // its input ends at once
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
}

func TestEvents(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	now := time.Now().Truncate(time.Second)
	s.options.Now = func() time.Time { return now }
	g := s.open(t)
	conn := g.dial(t)
	client, err := sftp.NewClient(conn)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"README", layout.Pack(s.run, s.pack), "README"} {
		if b, err := readAll(client, name); err != nil || !bytes.Equal(b, content) {
			t.Fatalf("%s: %q, %v", name, b, err)
		}
	}
	if err := put(client, "/inbox/record.json", content); err != nil {
		t.Fatal(err)
	}
	client.Remove("/README")
	conn.Close()
	find(t, g, func(e Event) *Disconnected { return e.Disconnected }, func(Disconnected) bool { return true })
	totals := g.end(t)

	var got []Event
	for _, e := range g.events {
		if e.Time != now.UTC() {
			t.Errorf("event of %v, want %v", e.Time, now)
		}
		if e.Listening != nil && e.Listening.Addr.String() != g.addr {
			t.Errorf("listening at %v, want %v", e.Listening.Addr, g.addr)
		}
		if e.Listening == nil && e.Connected == nil {
			e.Time = time.Time{}
			got = append(got, e)
		}
	}
	want := []Event{
		{Read: &Read{1, "README", 7}}, {Read: &Read{1, layout.Pack(s.run, s.pack), 7}}, {Read: &Read{1, "README", 7}},
		{Received: &Received{1, "record.json", safe.DigestOf(content), 7}}, {Denied: &Denied{1, "remove", "/README"}},
		{Denied: &Denied{1, "rmdir", "/README"}}, // the library's client tries this, too
		{Disconnected: &Disconnected{1, 21}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(Totals{Sessions: 1, Objects: 2, Bytes: 21, Received: 1, Denied: 2, End: Stopped}, totals); diff != "" {
		t.Errorf("totals (-want +got):\n%s", diff)
	}
}

// TestEventsAreBounded: what goes on and on is only counted.
func TestEventsAreBounded(t *testing.T) {
	told := 0
	r := newReporter(func(e Event) {
		told++
		if b, err := json.Marshal(e); err != nil || len(b) > 2*maxText+300 {
			t.Errorf("event %s, %v", b, err)
		}
	}, time.Now)
	for range maxOthers + 5 {
		r.denied(1, strings.Repeat("m", 1000), strings.Repeat("\xff", 1000))
	}
	if got := r.sum(Stopped); told != maxOthers || got.Denied != maxOthers+5 || got.Untold != 5 {
		t.Errorf("told %d, totals %+v", told, got)
	}
}

func readAll(client *sftp.Client, name string) ([]byte, error) {
	f, err := client.Open("/" + name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

func put(client *sftp.Client, path string, content []byte) error {
	f, err := client.OpenFile(path, os.O_WRONLY|os.O_CREATE)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Close())
}

func TestInbox(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	g := s.open(t)
	d := g.door()
	if out, err := d.batch(t, "put "+file(t, content)+" /inbox/first.json"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	client := g.sftp(t)
	longest := strings.Repeat("x", maxInboxName-len(".json")) + ".json"
	large := bytes.Repeat([]byte("x"), maxInboxFile)
	for _, c := range []struct {
		name    string
		content []byte
		good    bool
	}{
		{"first.json", []byte("another"), false},
		{"second.json", large, true},
		{"third.json", append(large[:len(large):len(large)], 'x'), false},
		{"third.json", content, true}, // the name is free again
		{"empty.json", nil, false},
		{longest, content, true},
		{"x" + longest, content, false},
		{"no-ending", content, false},
		{".hidden.json", content, false},
		{"name with space.json", content, false},
		{"nul\x00.json", content, false},
		{"folder/file.json", content, false},
		{"../README.json", content, false},
		{".json", content, false},
	} {
		if err := put(client, "/inbox/"+c.name, c.content); (err == nil) != c.good {
			t.Errorf("%.40q with %d bytes: %v", c.name, len(c.content), err)
		}
	}
	for name, try := range map[string]func() error{
		"read back":      func() error { _, err := readAll(client, "inbox/first.json"); return err },
		"read and write": func() error { _, err := client.OpenFile("/inbox/rw.json", os.O_RDWR|os.O_CREATE); return err },
		"append": func() error {
			_, err := client.OpenFile("/inbox/first.json", os.O_WRONLY|os.O_APPEND)
			return err
		},
		"not new":  func() error { _, err := client.OpenFile("/inbox/nn.json", os.O_WRONLY); return err },
		"truncate": func() error { return client.Truncate("/inbox/first.json", 0) },
		"remove":   func() error { return client.Remove("/inbox/first.json") },
		"rename":   func() error { return client.Rename("/inbox/first.json", "/inbox/renamed.json") },
		"replace":  func() error { return client.PosixRename("/inbox/second.json", "/inbox/first.json") },
		"chmod":    func() error { return client.Chmod("/inbox/first.json", 0o600) },
		"mkdir":    func() error { return client.Mkdir("/inbox/folder.json") },
	} {
		if err := try(); !errors.Is(err, os.ErrPermission) {
			t.Errorf("%s: %v, want permission denied", name, err)
		}
	}
	// Half a file is none.
	conn := g.dial(t)
	broken, err := sftp.NewClient(conn)
	if err != nil {
		t.Fatal(err)
	}
	f, err := broken.OpenFile("/inbox/half.json", os.O_WRONLY|os.O_CREATE)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(content); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	find(t, g, func(e Event) *Disconnected { return e.Disconnected }, func(d Disconnected) bool { return d.Session == 3 })

	wantSizes := map[string]int64{"first.json": 7, "second.json": maxInboxFile, "third.json": 7, longest: 7}
	checkInbox := func(client *sftp.Client) {
		t.Helper()
		infos, err := client.ReadDir("/inbox")
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]int64{}
		for _, info := range infos {
			got[info.Name()] = info.Size()
		}
		if diff := cmp.Diff(wantSizes, got); diff != "" {
			t.Errorf("listed (-want +got):\n%s", diff)
		}
	}
	checkInbox(client)
	for name, size := range wantSizes {
		info, err := s.inbox.Stat(t.Context(), InboxFolder+"/"+name)
		if err != nil || info.Size != size {
			t.Errorf("%s on the disk: %v, %v; want %d bytes", name, info, err, size)
		}
	}
	if b, err := blob.ReadAll(t.Context(), s.inbox, InboxFolder+"/first.json", 100); err != nil || !bytes.Equal(b, content) {
		t.Errorf("kept %q, %v", b, err)
	}
	g.end(t)

	// A later gate of the same opening goes on with what is there.
	later := s.open(t)
	client = later.sftp(t)
	checkInbox(client)
	if err := put(client, "/inbox/first.json", []byte("another")); !errors.Is(err, os.ErrPermission) {
		t.Errorf("over a file of the first gate: %v, want permission denied", err)
	}
}

// TestInboxIsBounded: neither files nor bytes are taken beyond what is said.
func TestInboxIsBounded(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	client := s.open(t).sftp(t)
	large := make([]byte, maxInboxFile)
	kept := 0
	for i := range maxInboxFiles + 5 {
		content := content
		if i < 17 {
			content = large
		}
		err := put(client, fmt.Sprintf("/inbox/%03d.json", i), content)
		if err == nil {
			kept++
		}
		if room := i < 15; room && err != nil {
			t.Fatalf("file %d: %v", i, err)
		}
	}
	var bytes int64
	for info, err := range s.inbox.List(t.Context(), InboxFolder+"/") {
		if err != nil {
			t.Fatal(err)
		}
		bytes += info.Size
	}
	if kept > maxInboxFiles || bytes > maxInboxBytes || bytes < 15*maxInboxFile {
		t.Errorf("took %d files of %d bytes", kept, bytes)
	}
	small := newSite(t)
	client = small.open(t).sftp(t)
	for i := range maxInboxFiles + 1 {
		if err := put(client, fmt.Sprintf("/inbox/%03d.json", i), content); (err == nil) != (i < maxInboxFiles) {
			t.Fatalf("file %d: %v", i, err)
		}
	}
}

func TestNoInbox(t *testing.T) {
	s := newSite(t)
	server, err := New(s.task, s.store, Options{})
	if err != nil {
		t.Fatal(err)
	}
	c := &session{server: server}
	if _, err := c.put("/inbox/x.json", openWrite|openCreate); !errors.Is(err, os.ErrPermission) {
		t.Errorf("put: %v", err)
	}
	if _, err := c.list("/inbox"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("list: %v", err)
	}
}

func TestSessionsAreBounded(t *testing.T) {
	t.Parallel()
	g := newSite(t).open(t)
	var clients []*sftp.Client
	var conns []*ssh.Client
	for range maxSessions {
		conn := g.dial(t)
		client, err := sftp.NewClient(conn)
		if err != nil {
			t.Fatal(err)
		}
		clients, conns = append(clients, client), append(conns, conn)
	}
	oneMore := g.dial(t)
	if _, err := sftp.NewClient(oneMore); err == nil || !strings.Contains(err.Error(), "8 sessions are open already") {
		t.Errorf("one more session: %v", err)
	}
	g.refused(t, "8 sessions are open already")
	oneMore.Close()
	for _, c := range clients {
		if b, err := readAll(c, "README"); err != nil || !bytes.Equal(b, content) {
			t.Errorf("the control: %q, %v", b, err)
		}
	}
	conns[0].Close()
	find(t, g, func(e Event) *Disconnected { return e.Disconnected }, func(d Disconnected) bool { return d.Session == 1 })
	eventually(t, "a place that was freed", func() error {
		conn := g.dial(t)
		client, err := sftp.NewClient(conn)
		if err != nil {
			conn.Close()
			return err
		}
		return client.Close()
	})
}

// eventually tries until it succeeds.
func eventually(t *testing.T, what string, try func() error) {
	t.Helper()
	var err error
	for range 100 {
		if err = try(); err == nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("%s: %v", what, err)
}

func TestHandlesAreBounded(t *testing.T) {
	t.Parallel()
	g := newSite(t).open(t)
	client := g.sftp(t)
	var files []*sftp.File
	for i := range maxHandles {
		f, err := client.Open("/README")
		if err != nil {
			t.Fatalf("file %d: %v", i, err)
		}
		files = append(files, f)
	}
	if _, err := client.Open("/README"); !errors.Is(err, os.ErrPermission) {
		t.Errorf("one more file: %v", err)
	}
	if _, err := client.ReadDir("/"); !errors.Is(err, os.ErrPermission) {
		t.Errorf("one more listing: %v", err)
	}
	if err := put(client, "/inbox/x.json", content); !errors.Is(err, os.ErrPermission) {
		t.Errorf("one more file in the inbox: %v", err)
	}
	g.denied(t, "read", "/README")
	for _, f := range files {
		f.Close()
	}
	for range 2 * maxHandles { // what fails or is closed gives its handle back
		client.Open("/" + layout.Pack(g.run, g.absent))
		client.ReadDir("/nothing")
		put(client, "/inbox/no", content)
		if _, err := client.ReadDir("/"); err != nil {
			t.Fatalf("after closing: %v", err)
		}
	}
}

// TestSlowHandshake: those who do not log in keep no place, and take none of
// the operator's.
func TestSlowHandshake(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.waits = defaultPatience
	s.waits.handshake = 3 * time.Second // logging in takes its time on a busy machine
	g := s.open(t)
	early := g.sftp(t)
	var ended sync.WaitGroup
	start := time.Now()
	for range maxHandshakes {
		conn, err := net.Dial("tcp", g.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		ended.Go(func() {
			for i := range 1000 { // one byte at a time
				time.Sleep(20 * time.Millisecond)
				if _, err := conn.Write([]byte("SSH-2.0-x"[i%9 : i%9+1])); err != nil {
					return
				}
			}
			t.Error("a slow handshake was not cut off")
		})
	}
	eventually(t, "a crowd", func() error {
		if client, err := g.tryDial(); err == nil {
			client.Close()
			return errors.New("was let in")
		}
		return nil
	})
	g.refused(t, "8 others are logging in")
	if _, err := readAll(early, "README"); err != nil {
		t.Errorf("who is logged in is not concerned: %v", err)
	}
	ended.Wait()
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("cut off after %v", took)
	}
	g.sftp(t)
}

// TestNoChannel: a connection that is logged in and does nothing keeps no
// place either.
func TestNoChannel(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.waits = defaultPatience
	s.waits.handshake = 3 * time.Second // logging in takes its time on a busy machine
	g := s.open(t)
	idle, busy := g.dial(t), g.sftp(t)
	done := make(chan error, 1)
	go func() { done <- idle.Wait() }()
	select {
	case <-done:
	case <-time.After(15 * time.Second):
		t.Fatal("was not cut off")
	}
	if _, err := readAll(busy, "README"); err != nil {
		t.Errorf("the control: %v", err)
	}
}

// TestDeadPeer: a peer that does not answer any more frees its place.
func TestDeadPeer(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.waits = defaultPatience
	s.waits.keepAlive, s.waits.answer = 50*time.Millisecond, time.Second
	g := s.open(t)
	conn, err := net.Dial("tcp", g.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	dead := &deafConn{Conn: conn, woken: make(chan struct{})}
	defer close(dead.woken)
	c, channels, requests, err := ssh.NewClientConn(dead, g.addr, g.client(g.task.User, g.operator))
	if err != nil {
		t.Fatal(err)
	}
	client, err := sftp.NewClient(ssh.NewClient(c, channels, requests))
	if err != nil {
		t.Fatal(err)
	}
	alive := g.sftp(t)
	time.Sleep(400 * time.Millisecond)
	for _, c := range []*sftp.Client{client, alive} {
		if _, err := c.Stat("/README"); err != nil {
			t.Fatalf("the control: %v", err)
		}
	}
	dead.deaf.Store(true)
	find(t, g, func(e Event) *Disconnected { return e.Disconnected }, func(d Disconnected) bool { return d.Session == 1 })
	if _, err := alive.Stat("/README"); err != nil {
		t.Errorf("the control: %v", err)
	}
}

// A deafConn stops hearing when it is told to.
type deafConn struct {
	net.Conn
	deaf  atomic.Bool
	woken chan struct{}
}

func (c *deafConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.deaf.Load() {
		<-c.woken
		return 0, io.EOF
	}
	return n, err
}

// TestDeadline: at the end a transfer is cut in the middle, and nobody gets in
// any more.
func TestDeadline(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	pack := great(t)
	name := layout.Pack(s.run, safe.DigestOf(pack))
	s.put(t, name, pack)
	s.task.Scope[0].Packs = append(s.task.Scope[0].Packs, safe.DigestOf(pack))
	s.task.Until = time.Now().Add(1500 * time.Millisecond)
	g := s.open(t)
	idle := g.sftp(t)
	f, err := g.sftp(t).Open("/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var got int64
	for err == nil {
		var n int
		n, err = f.ReadAt(make([]byte, 32<<10), got)
		got += int64(n)
		time.Sleep(10 * time.Millisecond)
	}
	if err == io.EOF || got == 0 || got >= greatSize {
		t.Errorf("read %d bytes, then %v; want to be cut off in the middle", got, err)
	}
	g.wait(t, time.Second)
	if late := time.Since(s.task.Until); late < 0 || late > time.Second {
		t.Errorf("ended %v after the deadline", late)
	}
	if _, err := idle.Stat("/README"); err == nil {
		t.Error("a session that was idle goes on")
	}
	if conn, err := net.Dial("tcp", g.addr); err == nil {
		conn.Close()
		t.Error("somebody listens")
	}
	if totals := g.end(t); totals.End != Deadline || totals.Bytes < got {
		t.Errorf("totals %+v", totals)
	}
}

// TestDeadlineWithoutReader: a client that takes nothing cannot hold the end
// up, nor can one in its handshake.
func TestDeadlineWithoutReader(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	pack := great(t)
	s.put(t, layout.Pack(s.run, safe.DigestOf(pack)), pack)
	s.task.Scope[0].Packs = append(s.task.Scope[0].Packs, safe.DigestOf(pack))
	s.task.Until = time.Now().Add(1500 * time.Millisecond)
	g := s.open(t)
	session, err := g.dial(t).NewSession()
	if err != nil {
		t.Fatal(err)
	}
	in, err := session.StdinPipe()
	if err == nil {
		err = session.RequestSubsystem("sftp")
	}
	if err != nil {
		t.Fatal(err)
	}
	open := request(3, str("/"+layout.Pack(s.run, safe.DigestOf(pack))), u32(1), u32(0))
	in.Write(append(request(1), open...))
	for range 200 { // 50 MB, which nobody takes
		in.Write(request(5, str("1"), u32(0), u32(0), u32(maxData)))
	}
	hanging, err := net.Dial("tcp", g.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer hanging.Close()
	g.wait(t, 3*time.Second)
	if late := time.Since(s.task.Until); late > time.Second {
		t.Errorf("ended %v after the deadline", late)
	}
}

// request spells a request of SFTP.
func request(typ byte, fields ...[]byte) []byte {
	body := []byte{typ, 0, 0, 0, 3}
	for _, f := range fields {
		body = append(body, f...)
	}
	return append(u32(uint32(len(body))), body...)
}

func u32(n uint32) []byte { return []byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)} }
func str(s string) []byte { return append(u32(uint32(len(s))), s...) }

// TestClock: the end comes with the clock or with the time that has passed,
// whichever is first.
func TestClock(t *testing.T) {
	for name, test := range map[string]struct{ until, jump time.Duration }{
		"set forward": {time.Hour, 2 * time.Hour},
		"set back":    {1200 * time.Millisecond, -24 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var jump atomic.Int64
			s := newSite(t)
			s.task.Until = time.Now().Add(test.until)
			s.options.Now = func() time.Time { return time.Now().Add(time.Duration(jump.Load())) }
			g := s.open(t)
			client := g.sftp(t)
			if _, err := client.Stat("/README"); err != nil {
				t.Fatalf("the control: %v", err)
			}
			jump.Store(int64(test.jump))
			g.wait(t, 2500*time.Millisecond)
			if totals := g.end(t); totals.End != Deadline {
				t.Errorf("totals %+v", totals)
			}
		})
	}
}

// TestTooLate: a gate whose time is over lets nobody in.
func TestTooLate(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.task.Until = time.Now().Add(-time.Second)
	g := s.open(t)
	g.wait(t, time.Second)
	if conn, err := net.Dial("tcp", g.addr); err == nil {
		conn.Close()
		t.Error("somebody listens")
	}
}

func TestClosedPort(t *testing.T) {
	t.Parallel()
	g := newSite(t).open(t)
	g.sftp(t) // the control, which hangs around
	g.end(t)
	if out, err := openSSH(t, g.door(), "sftp", g.door().host()).CombinedOutput(); err == nil || !strings.Contains(string(out), "refused") {
		t.Errorf("%v: %s", err, out)
	}
}
