// Package fartest plays a distant host, for tests and benches: a link that
// delays every byte by a time in each direction, and limits nothing else.
//
// It is not a network: it loses nothing, and a connection is made at once, since
// the near end accepts it.
package fartest

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// A Link leads to an address.
type Link struct {
	Addr string // of the near end

	delay    time.Duration
	to       string
	listener net.Listener
	made     atomic.Int64
	wg       sync.WaitGroup

	mu    sync.Mutex // guards the fields below
	open  []net.Conn
	ended bool
}

// NewLink makes a link on which every byte takes delay in each direction.
func NewLink(to string, delay time.Duration) (*Link, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening: %w", err)
	}
	l := &Link{Addr: listener.Addr().String(), delay: delay, to: to, listener: listener}
	l.wg.Go(l.accept)
	return l, nil
}

// TB is what ForTest needs of a *testing.T.
type TB interface {
	Helper()
	Cleanup(func())
	Fatal(args ...any)
}

// ForTest makes a link that ends with the test.
func ForTest(t TB, to string, delay time.Duration) *Link {
	t.Helper()
	l, err := NewLink(to, delay)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// Connections is how many were made so far.
func (l *Link) Connections() int64 { return l.made.Load() }

// Cut ends all connections. New ones can be made.
func (l *Link) Cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cutLocked()
}

// cutLocked is Cut. l.mu must be held.
func (l *Link) cutLocked() {
	for _, c := range l.open {
		c.Close()
	}
	l.open = nil
}

// Close ends all connections, for good. It may be repeated.
func (l *Link) Close() {
	l.listener.Close()
	l.mu.Lock()
	l.ended = true
	l.cutLocked()
	l.mu.Unlock()
	l.wg.Wait()
}

func (l *Link) accept() {
	for {
		near, err := l.listener.Accept()
		if err != nil {
			return // Close
		}
		distant, err := net.Dial("tcp", l.to)
		if err != nil {
			near.Close() // whoever connects sees it
			continue
		}
		l.made.Add(1)
		l.mu.Lock()
		l.open = append(l.open, near, distant)
		if l.ended { // while this one was made
			l.cutLocked()
		}
		l.mu.Unlock()
		l.wg.Go(func() { l.connect(near.(*net.TCPConn), distant.(*net.TCPConn)) })
	}
}

// connect carries in both directions until both have ended.
func (l *Link) connect(near, distant *net.TCPConn) {
	defer near.Close()
	defer distant.Close()
	var both sync.WaitGroup
	both.Go(func() { l.carry(near, distant) })
	both.Go(func() { l.carry(distant, near) })
	both.Wait()
}

// A packet is some bytes on their way.
type packet struct {
	data []byte
	due  time.Time
}

// carry carries bytes until there are no more.
func (l *Link) carry(to, from *net.TCPConn) {
	packets := make(chan packet, 4096) // 128 MiB: more than is ever under way
	var writing sync.WaitGroup
	writing.Go(func() {
		for p := range packets {
			time.Sleep(time.Until(p.due))
			to.Write(p.data) // after an error nobody reads any more
		}
		to.CloseWrite() // after an error it is of no use, and does no harm
	})
	for {
		b := make([]byte, 32<<10)
		n, err := from.Read(b)
		if n > 0 {
			packets <- packet{b[:n], time.Now().Add(l.delay)}
		}
		if err != nil {
			break
		}
	}
	close(packets)
	writing.Wait()
}
