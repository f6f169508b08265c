// Package remotetest plays what lies between an operator and a gate: a link
// that is far away, and a host that shows a store as a gate does.
package remotetest

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"strongroom/internal/access/remote"
	"strongroom/internal/source/sftp/sshdtest"
)

// Options returns how to reach a server that shows a store.
func Options(t testing.TB, s *sshdtest.Server) remote.Options {
	t.Helper()
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(s.HostKey))
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.ParsePrivateKey(s.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return remote.Options{Addr: s.Addr, User: s.User, HostKey: key, Signer: signer, From: netip.MustParseAddr("127.0.0.1"), Stall: 20 * time.Second}
}

// A Far is a link that delays every byte by a time in each direction, and
// limits nothing else.
type Far struct {
	Addr string // of the near end

	delay    time.Duration
	listener net.Listener
	made     atomic.Int64
	wg       sync.WaitGroup

	mu   sync.Mutex // guards open
	open []net.Conn
}

// NewFar makes a link to an address. It ends with the test.
func NewFar(t testing.TB, to string, delay time.Duration) *Far {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &Far{Addr: listener.Addr().String(), delay: delay, listener: listener}
	f.wg.Go(func() { f.accept(to) })
	t.Cleanup(func() {
		f.Close()
		f.wg.Wait()
	})
	return f
}

// Connections is how many were made so far.
func (f *Far) Connections() int64 { return f.made.Load() }

// Cut ends all connections. New ones can be made.
func (f *Far) Cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.open {
		c.Close()
	}
	f.open = nil
}

// Close ends all connections, for good.
func (f *Far) Close() {
	f.listener.Close()
	f.Cut()
}

func (f *Far) accept(to string) {
	for {
		near, err := f.listener.Accept()
		if err != nil {
			return // Close
		}
		distant, err := net.Dial("tcp", to)
		if err != nil {
			near.Close()
			continue
		}
		f.made.Add(1)
		f.mu.Lock()
		f.open = append(f.open, near, distant)
		f.mu.Unlock()
		f.wg.Go(func() { f.carry(near, distant) })
		f.wg.Go(func() { f.carry(distant, near) })
	}
}

// A packet is some bytes on their way.
type packet struct {
	data []byte
	due  time.Time
}

// carry carries bytes until either end is closed.
func (f *Far) carry(to, from net.Conn) {
	packets := make(chan packet, 4096) // 128 MiB: more than is ever under way
	f.wg.Go(func() {
		defer to.Close()
		for p := range packets {
			time.Sleep(time.Until(p.due))
			to.Write(p.data) // after an error nobody reads, and from will be closed
		}
	})
	defer close(packets)
	for {
		b := make([]byte, 32<<10)
		n, err := from.Read(b)
		if n > 0 {
			packets <- packet{b[:n], time.Now().Add(f.delay)}
		}
		if err != nil {
			return
		}
	}
}
