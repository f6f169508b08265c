//go:build linux

package sftp_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/binary"
	"encoding/pem"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"strongroom/internal/source/sftp"
)

// newSigner makes a host key.
func newSigner(t *testing.T, key any) ssh.Signer {
	t.Helper()
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

func ed25519Key(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func rsaKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// fakeSSH starts an SSH server whose sftp subsystem is serve, and returns
// options that lead to it.
func fakeSSH(t *testing.T, host ssh.Signer, serve func(channel ssh.Channel, conn net.Conn)) sftp.Options {
	t.Helper()
	user := ed25519Key(t)
	allowed, err := ssh.NewPublicKey(user.Public())
	if err != nil {
		t.Fatal(err)
	}
	config := &ssh.ServerConfig{
		PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if string(key.Marshal()) != string(allowed.Marshal()) {
				return nil, io.ErrNoProgress // any error refuses
			}
			return nil, nil
		},
		BannerCallback: func(ssh.ConnMetadata) string { return "a banner that nobody must see" },
	}
	config.AddHostKey(host)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
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
	return sftp.Options{
		Addr: listener.Addr().String(), User: "safe", Key: pem.EncodeToMemory(block), Include: []string{"/d"},
		HostKeys:       []string{strings.TrimSpace(string(ssh.MarshalAuthorizedKey(host.PublicKey())))},
		StallTimeout:   time.Second,
		ConnectTimeout: 5 * time.Second,
	}
}

func serveSSH(conn net.Conn, config *ssh.ServerConfig, serve func(ssh.Channel, net.Conn)) {
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
		go func() {
			for r := range requests {
				r.Reply(r.Type == "subsystem", nil)
				if r.Type == "subsystem" {
					go serve(channel, conn)
				}
			}
		}()
	}
	server.Wait()
}

// Packets, as the draft writes them.

func str(s string) []byte { return append(binary.BigEndian.AppendUint32(nil, uint32(len(s))), s...) }
func u32(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

func join(parts ...[]byte) []byte {
	var all []byte
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

func packet(typ byte, id uint32, fields ...[]byte) []byte {
	body := join(append([][]byte{{typ}, u32(id)}, fields...)...)
	return append(u32(uint32(len(body))), body...)
}

func status(id, code uint32) []byte {
	return packet(101, id, u32(code), str("words of the server \x1b[31m"), str(""))
}

const (
	modeDir  = 0o040755
	modeFile = 0o100644
	modeLink = 0o120777
)

// attrs has size, owner, mode and times.
func attrs(mode uint32, size uint64) []byte {
	return join(u32(1|2|4|8), binary.BigEndian.AppendUint64(nil, size), u32(1000), u32(1000), u32(mode), u32(1e9), u32(1e9))
}

type named struct {
	name  string
	attrs []byte
}

func page(id uint32, names ...named) []byte {
	fields := [][]byte{u32(uint32(len(names)))}
	for _, n := range names {
		fields = append(fields, str(n.name), str("long "+n.name), n.attrs)
	}
	return packet(104, id, fields...)
}

// fake is an SFTP server with a folder /d. It keeps to the protocol, but for
// what answer does; answer returns nil for what it leaves to the fake.
type fake struct {
	files  []named           // in /d
	data   map[string]string // contents, by name
	target string            // of every symbolic link
	answer func(typ byte, id uint32, text string, offset uint64) []byte
}

// silence is an answer that never comes, and hangUp one that ends everything.
var silence, hangUp = []byte{}, []byte{0}

func (f *fake) serve(channel ssh.Channel, conn net.Conn) {
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
		var text string // path or handle, which is the path too
		var offset uint64
		length := 32 << 10
		if len(body) >= 8 {
			n := binary.BigEndian.Uint32(body[4:])
			text = string(body[8 : 8+n])
			if head[4] == 5 {
				offset = binary.BigEndian.Uint64(body[8+n:])
				length = min(length, int(binary.BigEndian.Uint32(body[16+n:])))
			}
		}
		var reply []byte
		if f.answer != nil {
			reply = f.answer(head[4], id, text, offset)
		}
		if reply == nil {
			reply = f.usual(head[4], id, text, offset, length, listed)
		}
		if string(reply) == string(hangUp) {
			conn.Close()
			return
		}
		if _, err := channel.Write(reply); err != nil {
			return
		}
	}
}

func (f *fake) usual(typ byte, id uint32, text string, offset uint64, length int, listed map[string]bool) []byte {
	name := strings.TrimPrefix(text, "/d/")
	switch typ {
	case 1: // INIT
		return []byte{0, 0, 0, 5, 2, 0, 0, 0, 3}
	case 3, 11: // OPEN, OPENDIR
		return packet(102, id, str(text))
	case 5: // READ
		data := f.data[name]
		if offset >= uint64(len(data)) {
			return status(id, 1)
		}
		return packet(103, id, str(data[offset:min(uint64(len(data)), offset+uint64(length))]))
	case 7, 8: // LSTAT, FSTAT
		if text == "/" || text == "/d" {
			return packet(105, id, attrs(modeDir, 0))
		}
		for _, n := range f.files {
			if n.name == name {
				return packet(105, id, n.attrs)
			}
		}
		return status(id, 2)
	case 12: // READDIR
		if listed[text] || len(f.files) == 0 {
			return status(id, 1)
		}
		listed[text] = true
		return page(id, f.files...)
	case 19: // READLINK
		return page(id, named{f.target, u32(0)})
	}
	return status(id, 0)
}
