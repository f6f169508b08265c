package web

import (
	"context"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"strongroom/internal/safe"
)

// Attempts of strangers. Tokens have 128 random bits, so this is to save work,
// not to keep anybody from guessing. Ten people of one office can enrol within
// a minute.
const (
	burst    = 10              // at once, from one site
	refill   = 6 * time.Second // until one more is allowed
	atATime  = 2               // from one site
	maxSites = 4096            // that are remembered
)

// A limiter bounds how often strangers are listened to. Its methods may be
// called concurrently.
type limiter struct {
	now func() time.Time

	mu   sync.Mutex // guards what follows
	seen map[netip.Prefix]attempts
}

// attempts are those of one site: as if they ran off at one in each refill.
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

// site is what may belong to one customer of a provider, who has 2^16 networks
// then: too many for each to have attempts of its own.
func site(a netip.Addr) netip.Prefix {
	bits := a.BitLen()
	if a.Is6() {
		bits = 48
	}
	p, _ := a.Prefix(bits) // fails for other numbers of bits only
	return p
}

// begin reports whether an attempt is listened to; then end must follow.
func (l *limiter) begin(from netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now, key := l.now(), site(from)
	a, known := l.seen[key]
	if !known && len(l.seen) >= maxSites {
		maps.DeleteFunc(l.seen, func(_ netip.Prefix, a attempts) bool { return a.open == 0 && a.left(now) == 0 })
		if len(l.seen) >= maxSites {
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
	a := l.seen[site(from)]
	a.open--
	l.seen[site(from)] = a
}

// pagesAtOnce is how many pages are drawn for one person at a time: somebody who
// asks for a large one from dozens of connections waits for themselves.
const pagesAtOnce = 2

// turns keep who asks for many pages at once from taking the time and memory of
// others. The zero value is ready to use. Its method may be called concurrently.
type turns struct {
	by sync.Map // the chan struct{} of each person who ever looked; a value in it is a page
}

// take waits until a page may be drawn for somebody; then leave must follow.
func (t *turns) take(ctx context.Context, who safe.PersonName) (leave func(), err error) {
	made, _ := t.by.LoadOrStore(who, make(chan struct{}, pagesAtOnce))
	turn := made.(chan struct{})
	select {
	case turn <- struct{}{}:
		return func() { <-turn }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// A room bounds the bytes of large bodies at a time: of all, and of one person,
// who could be slow and keep the others out. Its methods may be called
// concurrently.
type room struct {
	all, one int64

	mu    sync.Mutex // guards what follows
	taken int64
	by    map[safe.PersonName]int64
}

func newRoom(all, one int64) *room {
	return &room{all: all, one: one, by: make(map[safe.PersonName]int64)}
}

// take reports whether there is room for so many bytes of somebody, "" for
// strangers; then leave must follow.
func (r *room) take(by safe.PersonName, n int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.taken+n > r.all || r.by[by]+n > r.one {
		return false
	}
	r.taken += n
	r.by[by] += n
	return true
}

func (r *room) leave(by safe.PersonName, n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.taken -= n
	if r.by[by] -= n; r.by[by] == 0 {
		delete(r.by, by)
	}
}

// A boundedListener shuts connections that are too many, before anything is
// read from them. If there is no room for one from somewhere else, the site that
// has most loses its newest: so a few addresses keep nobody out.
type boundedListener struct {
	net.Listener
	all, one int

	mu   sync.Mutex     // guards the field below
	open []*boundedConn // the newest last
}

// bound returns l with at most all connections at a time, and at most one of
// one network.
func bound(l net.Listener, all, one int) net.Listener {
	return &boundedListener{Listener: l, all: all, one: one}
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
		c := &boundedConn{Conn: conn, of: l, network: network(at.Addr().Unmap()), site: site(at.Addr().Unmap())}
		taken, shut := l.take(c)
		if shut != nil {
			shut.Conn.Close() // its place is taken already
		}
		if taken {
			return c, nil
		}
		conn.Close() // nothing was said
	}
}

// take reports whether there is room for a connection, and which one has to be
// shut for it, nil if none has to.
func (l *boundedListener) take(c *boundedConn) (taken bool, shut *boundedConn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	ofNetwork, ofSite := 0, make(map[netip.Prefix]int)
	for _, other := range l.open {
		ofSite[other.site]++
		if other.network == c.network {
			ofNetwork++
		}
	}
	if ofNetwork >= l.one {
		return false, nil
	}
	if len(l.open) >= l.all {
		for _, other := range l.open {
			if shut == nil || ofSite[other.site] >= ofSite[shut.site] {
				shut = other
			}
		}
		if ofSite[shut.site] <= ofSite[c.site]+1 {
			return false, nil
		}
		l.removeLocked(shut)
	}
	l.open = append(l.open, c)
	return true, shut
}

// removeLocked forgets a connection, if it is there. l.mu must be held.
func (l *boundedListener) removeLocked(c *boundedConn) {
	l.open = slices.DeleteFunc(l.open, func(other *boundedConn) bool { return other == c })
}

type boundedConn struct {
	net.Conn
	of            *boundedListener
	network, site netip.Prefix
}

func (c *boundedConn) Close() error {
	c.of.mu.Lock()
	c.of.removeLocked(c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}
