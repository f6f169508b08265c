package gate

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/netip"
	"path"
	"strings"
	"testing"
	"time"

	"strongroom/internal/safe"
	"strongroom/internal/store/blob"
	"strongroom/internal/store/blob/mem"
	"strongroom/internal/store/layout"
)

func TestTask(t *testing.T) {
	good := newSite(t)
	run := layout.Run(good.run)
	for name, test := range map[string]struct {
		change func(*Task)
		want   string // "" if it is good
	}{
		"good":            {func(*Task) {}, ""},
		"no files":        {func(t *Task) { t.Files, t.Scope = nil, nil }, ""},
		"mapped address":  {func(t *Task) { t.Peer = netip.MustParseAddr("::ffff:127.0.0.1") }, ""},
		"empty file":      {func(t *Task) { t.Files = []File{{"README", nil}} }, ""},
		"security key":    {func(t *Task) { t.Key = securityKey }, ""},
		"no address":      {func(t *Task) { t.Listen = netip.AddrPort{} }, "no address to listen on"},
		"no peer":         {func(t *Task) { t.Peer = netip.Addr{} }, "no address that may connect"},
		"any peer":        {func(t *Task) { t.Peer = netip.IPv4Unspecified() }, "no address that may connect"},
		"no user":         {func(t *Task) { t.User = "" }, "user name"},
		"odd user":        {func(t *Task) { t.User = "a b" }, "user name"},
		"no end":          {func(t *Task) { t.Until = time.Time{} }, "no end"},
		"no key":          {func(t *Task) { t.Key = "" }, "operator's key"},
		"RSA key":         {func(t *Task) { t.Key = rsaKey }, "of type ssh-rsa"},
		"key and options": {func(t *Task) { t.Key = "restrict " + t.Key }, "more than a key"},
		"two keys":        {func(t *Task) { t.Key += "\n" + t.Key }, "more than a key"},
		"no host key":     {func(t *Task) { t.HostKey = nil }, "host key"},
		"file twice":      {func(t *Task) { t.Files = append(t.Files, t.Files[0]) }, "of that name already"},
		"file in inbox":   {func(t *Task) { t.Files = []File{{"inbox/x.json", nil}} }, "lies in the inbox"},
		"file is inbox":   {func(t *Task) { t.Files = []File{{"inbox", nil}} }, "lies in the inbox"},
		"bad name":        {func(t *Task) { t.Files = []File{{"../x", nil}} }, "component"},
		"absolute name":   {func(t *Task) { t.Files = []File{{"/x", nil}} }, "component"},
		"file and folder": {func(t *Task) { t.Files = []File{{"x", nil}, {"x/y", nil}} }, "a file and a folder"},
		"folder and file": {func(t *Task) { t.Files = []File{{"x/y", nil}, {"x", nil}} }, "of that name already"},
		"among objects":   {func(t *Task) { t.Files = []File{{run + "/packs/x", nil}} }, "among objects"},
		"beneath objects": {func(t *Task) { t.Files = []File{{run + "/root/x/y", nil}} }, "among objects"},
		"run twice":       {func(t *Task) { t.Scope = append(t.Scope, t.Scope[0]) }, "in scope twice"},
		"no run":          {func(t *Task) { t.Scope = []Scope{{}} }, "no id"},
	} {
		task := good.task
		test.change(&task)
		switch _, err := New(task, good.store, Options{}); {
		case test.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

const (
	rsaKey      = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQC7UtRSE3/pQWsiQ9YDHHsF7wEyvvGd7kCpcW2tWWfXyGjiIDAhJnnOsuzSn1tw5Gh4jlbAfHKjSPJ9CYQAWTTVr3CxHGCUtxQUcHASGoLhkcgXNOzHNWMwhZhLV7C2XIRg7CtdLQzd8GzV2GfSPWMlLBPpmYMXQYBLZMFZWOUdxw=="
	securityKey = "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAILdZS6lpJ2vBkV9CqyeVIZUVXCvAPBUEcDg6CJaflk4EAAAABHNzaDo="
)

// FuzzTask: whatever a task says, the tree that comes of it is sound: what is
// listed is there, and nothing leads out of it.
func FuzzTask(f *testing.F) {
	s := newSite(f)
	b, err := json.Marshal(s.task)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"files":[{"name":"a/b"},{"name":"a"}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		task := s.task
		if json.Unmarshal(b, &task) != nil {
			return
		}
		server, err := New(task, s.store, Options{})
		if err != nil {
			return
		}
		for p, folder := range server.tree.folders {
			if path.Clean(p) != p || p[0] != '/' || strings.HasPrefix(p, inboxPath) {
				t.Errorf("folder %q", p)
			}
			for _, name := range folder.names {
				at := path.Join(p, name)
				_, isObject := server.tree.object(at)
				if isObject == (server.tree.isFile(at) || server.tree.folders[at] != nil) {
					t.Errorf("%q is an object: %v", at, isObject)
				}
				if kind := layout.Parse(at[1:]).Kind; isObject && kind != layout.PackObject && kind != layout.ParityObject && kind != layout.RootObject {
					t.Errorf("object %q is of kind %v", at, kind)
				}
			}
		}
	})
}

// FuzzSFTP: no request makes the server panic, read what is not granted, or
// write outside the inbox.
func FuzzSFTP(f *testing.F) {
	open := func(path string, flags uint32) []byte { return request(3, str(path), u32(flags), u32(0)) }
	read, write := request(5, str("1"), u32(0), u32(0), u32(100)), request(6, str("1"), u32(0), u32(3), str("abc"))
	closing := request(4, str("1"))
	for _, seed := range [][]byte{
		bytes.Join([][]byte{request(1), open("/README", 1), read, write, request(8, str("1")), closing}, nil),
		bytes.Join([][]byte{request(1), open("/inbox/x.json", 0x1a), write, read, request(10, str("1"), u32(1), u32(0), u32(9)), closing}, nil),
		bytes.Join([][]byte{request(1), request(11, str("/")), request(12, str("1")), read, closing}, nil),
		bytes.Join([][]byte{request(1), request(16, str("..")), request(17, str("/")), request(7, str("/x")), request(19, str("/README"))}, nil),
		request(200, str("hardlink@openssh.com"), str("/a"), str("/b")), request(20, str("a"), str("b")), request(18, str("a"), str("b")),
		request(9, str("/README"), u32(4), u32(0o777)), request(14, str("/x"), u32(0)), {0, 0, 0, 0}, {0xff, 0xff, 0xff, 0xff, 1},
	} {
		f.Add(seed)
	}
	key := newKey(f)
	secret := []byte("not in scope: secret")
	f.Fuzz(func(t *testing.T, requests []byte) {
		store, kept := mem.New(mem.Options{}), mem.New(mem.Options{})
		run := safe.RunID{6: 0x70, 8: 0x80}
		if err := blob.PutOnce(t.Context(), store, layout.Pack(run, safe.DigestOf(secret)), secret); err != nil {
			t.Fatal(err)
		}
		server, err := New(Task{
			Listen: netip.MustParseAddrPort("127.0.0.1:0"), Peer: netip.MustParseAddr("127.0.0.1"), User: "u", Key: key.authorized(),
			HostKey: key.private, Until: time.Unix(1<<33, 0), Files: []File{{"README", content}},
		}, store, Options{Inbox: &Inbox{Into: kept}})
		if err != nil {
			t.Fatal(err)
		}
		c, channel := &session{server: server}, &pipe{Reader: bytes.NewReader(requests)}
		c.converse(channel)
		if bytes.Contains(channel.Bytes(), secret) {
			t.Error("read what is not in scope")
		}
		if n := c.handles; n != 0 {
			t.Errorf("%d handles are left", n)
		}
		for info, err := range kept.List(context.Background(), "") {
			if err != nil || path.Dir(info.Name) != InboxFolder || !isInboxName(path.Base(info.Name)) || info.Size > maxInboxFile {
				t.Errorf("kept %v, %v", info, err)
			}
		}
	})
}

// A pipe is a channel with all requests in it.
type pipe struct {
	io.Reader
	bytes.Buffer // the answers
}

func (p *pipe) Read(b []byte) (int, error) { return p.Reader.Read(b) }
