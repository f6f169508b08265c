package web

import (
	"maps"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Attempts of strangers. Tokens have 128 random bits, so this is to save work,
// not to keep anybody from guessing. Ten people of one office can enrol within
// a minute.
const (
	burst       = 10              // at once, from one network
	refill      = 6 * time.Second // until one more is allowed
	atATime     = 2               // from one network
	maxNetworks = 4096            // that are remembered
)

// A limiter bounds how often strangers are listened to. Its methods may be
// called concurrently.
type limiter struct {
	now func() time.Time

	mu   sync.Mutex // guards what follows
	seen map[netip.Prefix]attempts
}

// attempts are those of one network: as if they ran off at one in each refill.
type attempts struct {
	full time.Time // when all have run off
	open int       // that are being answered
}

// left is how long it takes until all have run off. More than there can be was
// counted by a clock that was ahead, and would keep people out for as long.
func (a attempts) left(now time.Time) time.Duration {
	left := a.full.Sub(now)
	if left < 0 || left > burst*refill {
		return 0
	}
	return left
}

func newLimiter(now func() time.Time) *limiter {
	return &limiter{now: now, seen: make(map[netip.Prefix]attempts)}
}

// network is what counts as one address: whoever has one of IPv6 has 2^64.
func network(a netip.Addr) netip.Prefix {
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits) // fails for other numbers of bits only
	return p
}

// begin reports whether an attempt is listened to; then end must follow.
func (l *limiter) begin(from netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now, key := l.now(), network(from)
	a, known := l.seen[key]
	if !known && len(l.seen) >= maxNetworks {
		maps.DeleteFunc(l.seen, func(_ netip.Prefix, a attempts) bool { return a.open == 0 && a.left(now) == 0 })
		if len(l.seen) >= maxNetworks {
			return false
		}
	}
	left := a.left(now)
	if a.open >= atATime || left > (burst-1)*refill {
		return false
	}
	a.full, a.open = now.Add(left+refill), a.open+1
	l.seen[key] = a
	return true
}

func (l *limiter) end(from netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.seen[network(from)]
	a.open--
	l.seen[network(from)] = a
}

// A boundedListener shuts connections that are too many, before anything is
// read from them.
type boundedListener struct {
	net.Listener
	all, one int

	mu    sync.Mutex // guards what follows
	count int
	from  map[netip.Prefix]int
}

// bound returns l with at most all connections at a time, and at most one of
// one network.
func bound(l net.Listener, all, one int) net.Listener {
	return &boundedListener{Listener: l, all: all, one: one, from: make(map[netip.Prefix]int)}
}

func (l *boundedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		at, err := netip.ParseAddrPort(conn.RemoteAddr().String())
		if err != nil {
			conn.Close() // gone already: it has no other side
			continue
		}
		key := network(at.Addr().Unmap())
		if l.take(key) {
			return &boundedConn{Conn: conn, release: sync.OnceFunc(func() { l.release(key) })}, nil
		}
		conn.Close() // nothing was said
	}
}

func (l *boundedListener) take(key netip.Prefix) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.count >= l.all || l.from[key] >= l.one {
		return false
	}
	l.count++
	l.from[key]++
	return true
}

func (l *boundedListener) release(key netip.Prefix) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count--
	if l.from[key]--; l.from[key] == 0 {
		delete(l.from, key)
	}
}

type boundedConn struct {
	net.Conn
	release func()
}

func (c *boundedConn) Close() error {
	c.release()
	return c.Conn.Close()
}
