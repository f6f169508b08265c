// Package sockets reads what a host tells of its sockets: who listens on it,
// whom it calls, and who calls it.
//
// It reads what ss, /proc/net/tcp and its like, and ip -j addr print. The port
// that a host listens on tells an incoming connection from an outgoing one. It
// does not promise to see all: a connection between two samples is missed,
// those of containers are not in the host's list, and a socket of UDP shows a
// caller only if it is connected.
package sockets

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"strongroom/internal/estate"
	"strongroom/internal/estate/facts"
)

// maxCrowd is how many callers of one port, and how many public addresses that
// are called at one, are listed.
const maxCrowd = 100

// maxInside bounds the networks within a host, each of which is looked through
// for each address.
const maxInside = 1000

// ephemeral is the first port that Linux gives to a caller by itself.
const ephemeral = 32768

// Read returns what the files tell of the host of the place. They may be, in any
// number and order: the output of ss -tunapH, or of ss -tnpH and ss -tlnpH;
// /proc/net/tcp, tcp6, udp and udp6, by their paths; and the output of
// ip -j addr, or /proc/net/fib_trie, route and if_inet6, without which nobody
// can know the host by its addresses. Without
// the sockets that listen, only ports tell who called whom.
func Read(p facts.Place, files []facts.File) (estate.Facts, error) {
	r := reader{self: estate.End{ID: p.Host()}, own: make(map[netip.Addr]bool), hears: make(map[end]bool)}
	var kernel kernelTable
	for _, f := range files {
		at := p.At(f)
		if len(f.Data) > facts.MaxBytes {
			return estate.Facts{}, fmt.Errorf("reading %s: %w", at.Path, facts.TooMuch("bytes", facts.MaxBytes))
		}
		taken, err := kernel.take(f)
		if err != nil {
			return estate.Facts{}, fmt.Errorf("reading %s: %w", at.Path, err)
		}
		text := bytes.TrimSpace(f.Data)
		switch {
		case taken:
		case bytes.HasPrefix(text, []byte("[")) && !bytes.HasPrefix(text, []byte("[:")):
			all, err := interfaces(text)
			if err != nil {
				return estate.Facts{}, fmt.Errorf("reading %s: %w", at.Path, err)
			}
			if err := r.addresses(at, all); err != nil {
				return estate.Facts{}, fmt.Errorf("reading %s: %w", at.Path, err)
			}
		default:
			all, err := sockets(at, f.Data)
			if err != nil {
				return estate.Facts{}, fmt.Errorf("reading %s: %w", at.Path, err)
			}
			r.sockets = append(r.sockets, all...)
		}
	}
	if kernel.told {
		p.Path = "/proc/net"
		if err := r.addresses(p, kernel.all()); err != nil {
			return estate.Facts{}, err
		}
	}
	if !r.told && len(r.sockets) > 0 {
		r.Doubt("the addresses of %s are not known, and so neither who calls it: ip -j addr or /proc/net/fib_trie tell them", p.Host().Name())
	}
	// What names its process comes first, and so is the one of two that counts.
	slices.SortStableFunc(r.sockets, func(a, b socket) int { return cmp.Compare(min(1, len(b.process)), min(1, len(a.process))) })
	r.listeners()
	r.connections()
	return r.Facts()
}

// A reader puts the sockets of one host together.
type reader struct {
	facts.Draft
	self    estate.End
	sockets []socket
	told    bool                // whether its interfaces are known
	own     map[netip.Addr]bool // its addresses
	inside  []netip.Prefix      // networks within it
	hears   map[end]bool        // where it listens
	unknown int                 // connections of which it is not known who called
}

// An end is one of a socket's.
type end struct {
	protocol string
	netip.AddrPort
}

// addresses takes in the interfaces of the host.
func (r *reader) addresses(at facts.Place, all []iface) error {
	r.told = true
	host := estate.Component{ID: r.self.ID}
	for _, i := range all {
		for prefix := range i.prefixes() {
			r.own[prefix.Addr()] = true
			if i.isInside() {
				if !prefix.IsSingleIP() {
					r.inside = append(r.inside, prefix.Masked())
				}
				continue
			}
			if alias, ok := estate.AddressAlias(prefix.Addr()); ok {
				host.Aliases = append(host.Aliases, alias)
				host.Evidence = append(host.Evidence, at.Evidence(estate.Observed, i.Name, string(alias)))
			}
		}
	}
	if len(r.inside) > maxInside {
		return facts.TooMuch("networks within a host", maxInside)
	}
	r.Component(host)
	return nil
}

// isOwn reports whether an address is one of this host, or behind a bridge in it.
func (r *reader) isOwn(a netip.Addr) bool {
	return a.IsLoopback() || r.own[a] || slices.ContainsFunc(r.inside, func(p netip.Prefix) bool { return p.Contains(a) })
}

// isLocal reports whether what listens there is for this host alone.
func (r *reader) isLocal(a netip.Addr) bool {
	return a.IsLoopback() || slices.ContainsFunc(r.inside, func(p netip.Prefix) bool { return p.Contains(a) })
}

// listeners finds out what the host serves.
func (r *reader) listeners() {
	host := estate.Component{ID: r.self.ID}
	serves := make(map[estate.Port]string) // what others can reach, and by which process
	for _, s := range r.sockets {
		port := estate.Port{Number: s.local.Port(), Protocol: s.protocol}
		if !s.listens() || s.protocol == "udp" && !slices.Contains(servingUDP, port.Number) {
			continue
		}
		r.hears[end{s.protocol, s.local}] = true
		detail := "listens"
		if r.isLocal(s.local.Addr()) {
			detail += " for the host itself"
		} else {
			host.Listens = append(host.Listens, port)
			if serves[port] == "" {
				serves[port] = s.process
			}
		}
		if s.process != "" {
			detail += ": " + s.process
		}
		host.Evidence = append(host.Evidence, s.place.Evidence(estate.Observed, port.String(), detail))
	}
	host.Roles = roles(serves)
	r.Component(host)
}

// heard reports whether the host listens where a connection of it ends.
func (r *reader) heard(s socket) bool {
	port := s.local.Port()
	return r.hears[end{s.protocol, s.local}] ||
		r.hears[end{s.protocol, netip.AddrPortFrom(netip.IPv4Unspecified(), port)}] ||
		r.hears[end{s.protocol, netip.AddrPortFrom(netip.IPv6Unspecified(), port)}]
}

// A call is what connections have in common that mean one dependency.
type call struct {
	in       bool
	peer     netip.Addr
	port     estate.Port // of the one who is called
	need     estate.Need
	process  string
	place    facts.Place
	unclear  bool // which of the two called
	answered bool
}

// connections finds out who calls whom.
func (r *reader) connections() {
	calls := make(map[call]int64)
	seen := make(map[[2]end]bool) // ss and /proc may both tell of one
	for _, s := range r.sockets {
		ends := [2]end{{s.protocol, s.local}, {s.protocol, s.peer}}
		if s.listens() || s.peer.Port() == 0 || s.state == "SYN-RECV" || seen[ends] {
			continue
		}
		seen[ends] = true
		r.own[s.local.Addr()] = true
		if c, ok := r.call(s); ok {
			calls[c]++
		}
	}
	if r.unknown > 0 {
		r.Doubt("who called whom is not known of %d connections of %s, at whose ends nothing listens now", r.unknown, r.self.ID.Name())
	}

	crowds := make(map[side]map[netip.Addr]bool)
	for c := range calls {
		s, ok := c.side()
		if ok && crowds[s] == nil {
			crowds[s] = make(map[netip.Addr]bool)
		}
		if ok {
			crowds[s][c.peer] = true
		}
	}
	for s, who := range crowds {
		switch {
		case len(who) <= maxCrowd:
		case s.in:
			r.Doubt("%s of %s is called from %d addresses: more than %d are not listed", s.port, r.self.ID.Name(), len(who), maxCrowd)
		default:
			r.Doubt("%s calls %s of %d public addresses: more than %d are not listed", r.self.ID.Name(), s.port, len(who), maxCrowd)
		}
	}
	for _, c := range slices.SortedFunc(maps.Keys(calls), compareCalls) {
		if s, ok := c.side(); !ok || len(crowds[s]) <= maxCrowd {
			r.add(c, calls[c])
		}
	}
}

// A side is where a crowd may be at the other end: users or servers of the
// internet, which are no part of an estate, and others tomorrow.
type side struct {
	in   bool
	port estate.Port
}

// side returns where a call is one of many, and false if it is counted by
// itself: whom a host calls within its estate it calls by intention.
func (c call) side() (side, bool) { return side{c.in, c.port}, c.in || !c.peer.IsPrivate() }

func compareCalls(a, b call) int {
	return cmp.Or(a.peer.Compare(b.peer), cmp.Compare(a.port.Number, b.port.Number), cmp.Compare(a.port.Protocol, b.port.Protocol),
		cmp.Compare(a.process, b.process), cmp.Compare(a.place.Path, b.place.Path), cmp.Compare(a.mark(), b.mark()))
}

// mark tells calls apart that differ in nothing else.
func (c call) mark() (bits int) {
	for i, is := range []bool{c.in, c.unclear, c.answered} {
		if is {
			bits |= 1 << i
		}
	}
	return bits
}

// call tells what a connection means, and false if that is nothing.
func (r *reader) call(s socket) (call, bool) {
	c := call{peer: s.peer.Addr(), process: s.process, place: s.place, answered: s.state != "SYN-SENT"}
	mine, theirs := s.local.Port(), s.peer.Port()
	switch {
	case r.heard(s):
		c.in = true
	case s.protocol == "udp", !c.answered, theirs < ephemeral && (mine >= ephemeral || len(r.hears) > 0):
	case mine < ephemeral && theirs >= ephemeral && len(r.hears) == 0:
		c.in = true
	case len(r.hears) > 0 && s.state == "ESTAB" && mine >= ephemeral:
		c.unclear = true // it does not listen now, and so has called, most likely
	default:
		r.unknown++
		return call{}, false
	}
	c.port = estate.Port{Number: theirs, Protocol: s.protocol}
	if c.in {
		c.port.Number = mine
	}
	c.need = needOf(c)
	return c, true
}

// add makes a call a link. One between two sockets of the host says what runs on
// it.
func (r *reader) add(c call, count int64) {
	who := c.process
	if who == "" {
		who = "something"
	}
	if r.isOwn(c.peer) {
		if !c.in {
			e := c.place.Evidence(estate.Observed, "from "+who, fmt.Sprintf("calls %s of the same host", c.port))
			e.Count = count
			r.Component(estate.Component{ID: r.self.ID, Evidence: []estate.Evidence{e}})
		}
		return
	}
	alias, ok := estate.AddressAlias(c.peer)
	if !ok {
		r.Doubt("a connection with %s, which names another host wherever it is written", c.peer)
		return
	}
	peer := estate.End{Alias: alias}
	link := estate.Link{From: r.self, To: peer, Need: c.need, Port: c.port}
	detail := fmt.Sprintf("%s calls %s", who, netip.AddrPortFrom(c.peer, c.port.Number))
	if c.in {
		link.From, link.To = peer, r.self
		detail = fmt.Sprintf("%s calls %s here", c.peer, c.port)
		if c.process != "" {
			detail += ": " + c.process
		}
	}
	switch {
	case c.need == estate.Admin: // who logs in to a host manages it
		link.From, link.To = link.To, link.From
		link.Port = estate.Port{}
	case !c.answered:
		detail += ", and has no answer"
	case c.unclear:
		detail += ", or is called by it: neither port is one that services have"
	}
	e := c.place.Evidence(estate.Observed, c.port.String(), detail)
	e.Count = count
	link.Evidence = []estate.Evidence{e}
	r.Link(link)
}
