// Package far plays a distant host: a link that delays every byte by a time in
// each direction, and limits nothing else.
//
// It is not a network: it loses nothing, and a connection is made at once, since
// the near end accepts it.
package far

import (
	"fmt"
	"net"
	"sync"
	"time"
)

// A Link leads to an address.
type Link struct {
	Addr string // of the near end

	delay    time.Duration
	to       string
	listener net.Listener
	wg       sync.WaitGroup

	mu   sync.Mutex // guards open
	open []net.Conn
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

// Close ends all connections.
func (l *Link) Close() {
	l.listener.Close()
	l.mu.Lock()
	for _, c := range l.open {
		c.Close()
	}
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
		l.mu.Lock()
		l.open = append(l.open, near, distant)
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
