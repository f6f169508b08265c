// Package sftptest is an SSH server with an SFTP subsystem that says what a
// test wants it to say, true or not. It speaks version 3 and knows no files but
// those that it is told to pretend.
//
// It does not promise to behave: for a server as they are, see sshdtest.
package sftptest

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"
)

// A Server is a running server.
type Server struct {
	Addr       string // host:port
	User       string // who may log in
	HostKey    string // as in "ssh-ed25519 AAAA..."
	PrivateKey []byte // the user's, as in a file
}

// Signer makes a host key of a private key.
func Signer(t testing.TB, key any) ssh.Signer {
	t.Helper()
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// NewKey makes a private key.
func NewKey(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// Start starts an SSH server whose sftp subsystem is serve. It ends with the
// test.
func Start(t testing.TB, host ssh.Signer, serve func(channel ssh.Channel, conn net.Conn)) Server {
	t.Helper()
	return StartSessions(t, host, func(channel ssh.Channel, requests <-chan *ssh.Request, conn net.Conn) {
		for r := range requests {
			r.Reply(r.Type == "subsystem", nil)
			if r.Type == "subsystem" {
				go serve(channel, conn)
			}
		}
	})
}

// StartSessions starts an SSH server that leaves to serve what is asked for in
// a session. It ends with the test.
func StartSessions(t testing.TB, host ssh.Signer, serve func(channel ssh.Channel, requests <-chan *ssh.Request, conn net.Conn)) Server {
	t.Helper()
	user := NewKey(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	config := serverConfig(host, Signer(t, user).PublicKey())
	var wg sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn // guarded by mu
	wg.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, conn)
			mu.Unlock()
			wg.Go(func() { serveSSH(conn, config, serve) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		mu.Lock()
		for _, conn := range open {
			conn.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	block, err := ssh.MarshalPrivateKey(user, "")
	if err != nil {
		t.Fatal(err)
	}
	return Server{
		Addr: listener.Addr().String(), User: "safe", PrivateKey: pem.EncodeToMemory(block),
		HostKey: strings.TrimSpace(string(ssh.MarshalAuthorizedKey(host.PublicKey()))),
	}
}

func serverConfig(host ssh.Signer, user ssh.PublicKey) *ssh.ServerConfig {
	config := &ssh.ServerConfig{
		PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if !bytes.Equal(key.Marshal(), user.Marshal()) {
				return nil, errors.New("another key")
			}
			return nil, nil
		},
		BannerCallback: func(ssh.ConnMetadata) string { return "a banner that nobody must see" },
	}
	config.AddHostKey(host)
	return config
}

func serveSSH(conn net.Conn, config *ssh.ServerConfig, serve func(ssh.Channel, <-chan *ssh.Request, net.Conn)) {
	defer conn.Close()
	server, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for c := range channels {
		channel, requests, err := c.Accept()
		if err != nil {
			return
		}
		go serve(channel, requests, conn)
	}
	server.Wait()
}

// Types of packets.
const (
	Init     = 1
	Open     = 3
	Read     = 5
	Lstat    = 7
	Fstat    = 8
	Opendir  = 11
	Readdir  = 12
	Readlink = 19
)

// Modes of entries.
const (
	Dir     = 0o040755
	Regular = 0o100644
	Link    = 0o120777
)

// Str and U32 are fields, as the draft writes them.
func Str(s string) []byte { return append(U32(uint32(len(s))), s...) }
func U32(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

func join(parts ...[]byte) []byte {
	var all []byte
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

// Packet is a packet with its length.
func Packet(typ byte, id uint32, fields ...[]byte) []byte {
	body := join(append([][]byte{{typ}, U32(id)}, fields...)...)
	return append(U32(uint32(len(body))), body...)
}

// Handle answers an Open or Opendir.
func Handle(id uint32, handle string) []byte { return Packet(102, id, Str(handle)) }

// Data answers a Read.
func Data(id uint32, data string) []byte { return Packet(103, id, Str(data)) }

// Page answers a Readdir or Readlink.
func Page(id uint32, names ...Named) []byte {
	fields := [][]byte{U32(uint32(len(names)))}
	for _, n := range names {
		fields = append(fields, Str(n.Name), Str("long "+n.Name), n.Attrs)
	}
	return Packet(104, id, fields...)
}

// Attributes answers an Lstat or Fstat.
func Attributes(id uint32, attrs []byte) []byte { return Packet(105, id, attrs) }

// Status answers anything; the code is 0 for OK.
func Status(id, code uint32) []byte {
	return Packet(101, id, U32(code), Str("words of the server \x1b[31m"), Str(""))
}

// Attrs has size, owner, mode and times.
func Attrs(mode uint32, size uint64) []byte {
	return join(U32(1|2|4|8), binary.BigEndian.AppendUint64(nil, size), U32(1000), U32(1000), U32(mode), U32(1e9), U32(1e9))
}

// A Named is an entry of a folder.
type Named struct {
	Name  string
	Attrs []byte
}

// Entry is an entry of a folder.
func Entry(name string, attrs []byte) Named { return Named{Name: name, Attrs: attrs} }

// A Fake is an SFTP server with a folder /d. It keeps to the protocol, but for
// what Answer does.
type Fake struct {
	Files  []Named           // in /d
	Data   map[string]string // contents, by name
	Target string            // of every symbolic link
	// Answer returns the answer to a packet, or nil to leave it to the Fake.
	// Text is a path, or a handle, which is the path of what was opened.
	Answer func(typ byte, id uint32, text string, offset uint64) []byte
}

// Silence is an answer that never comes, and HangUp one that ends everything.
var Silence, HangUp = []byte{}, []byte{0}

// Serve answers until the connection ends.
func (f *Fake) Serve(channel ssh.Channel, conn net.Conn) {
	defer channel.Close()
	listed := make(map[string]bool)
	for {
		var head [5]byte
		if _, err := io.ReadFull(channel, head[:]); err != nil {
			return
		}
		body := make([]byte, binary.BigEndian.Uint32(head[:])-1)
		if _, err := io.ReadFull(channel, body); err != nil {
			return
		}
		id := binary.BigEndian.Uint32(body)
		var text string
		var offset uint64
		length := 32 << 10
		if len(body) >= 8 {
			n := binary.BigEndian.Uint32(body[4:])
			text = string(body[8 : 8+n])
			if head[4] == Read {
				offset = binary.BigEndian.Uint64(body[8+n:])
				length = min(length, int(binary.BigEndian.Uint32(body[16+n:])))
			}
		}
		var reply []byte
		if f.Answer != nil {
			reply = f.Answer(head[4], id, text, offset)
		}
		if reply == nil {
			reply = f.usual(head[4], id, text, offset, length, listed)
		}
		if bytes.Equal(reply, HangUp) {
			conn.Close()
			return
		}
		if _, err := channel.Write(reply); err != nil {
			return
		}
	}
}

func (f *Fake) usual(typ byte, id uint32, text string, offset uint64, length int, listed map[string]bool) []byte {
	name := strings.TrimPrefix(text, "/d/")
	switch typ {
	case Init:
		return []byte{0, 0, 0, 5, 2, 0, 0, 0, 3}
	case Open, Opendir:
		return Handle(id, text)
	case Read:
		data := f.Data[name]
		if offset >= uint64(len(data)) {
			return Status(id, 1)
		}
		return Data(id, data[offset:min(uint64(len(data)), offset+uint64(length))])
	case Lstat, Fstat:
		if text == "/" || text == "/d" {
			return Attributes(id, Attrs(Dir, 0))
		}
		for _, n := range f.Files {
			if n.Name == name {
				return Attributes(id, n.Attrs)
			}
		}
		return Status(id, 2)
	case Readdir:
		if listed[text] || len(f.Files) == 0 {
			return Status(id, 1)
		}
		listed[text] = true
		return Page(id, f.Files...)
	case Readlink:
		return Page(id, Named{f.Target, U32(0)})
	}
	return Status(id, 0)
}
