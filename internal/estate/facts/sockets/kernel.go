package sockets

import (
	"encoding/hex"
	"fmt"
	"math/bits"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"

	"strongroom/internal/estate/facts"
)

// A kernelTable has the addresses of a host as the kernel shows them in
// /proc/net, for hosts on which nothing is run: fib_trie has those of IPv4 and
// not their interfaces, which route has; if_inet6 has both.
type kernelTable struct {
	addresses []netip.Addr   // of IPv4
	networks  []namedNetwork // that an interface is in
	ifaces    []iface        // of IPv6
	told      bool
}

type namedNetwork struct {
	name string
	netip.Prefix
}

// take reads a file if it is one of the table.
func (t *kernelTable) take(f facts.File) (taken bool, err error) {
	switch path.Base(f.Path) {
	case "fib_trie":
		t.told = true
		return true, t.fibTrie(string(f.Data))
	case "route":
		return true, t.route(string(f.Data))
	case "if_inet6":
		t.told = true
		return true, t.inet6(string(f.Data))
	}
	return false, nil
}

// fibTrie reads the leaves that are addresses of this host:
//
//	|-- 10.77.0.53
//	   /32 host LOCAL
func (t *kernelTable) fibTrie(text string) error {
	var leaf string
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		switch {
		case len(fields) == 2 && fields[0] == "|--":
			leaf = fields[1]
		case len(fields) == 3 && fields[0] == "/32" && fields[1] == "host" && fields[2] == "LOCAL":
			address, err := netip.ParseAddr(leaf)
			if err != nil || !address.Is4() {
				return fmt.Errorf("%.40q is not an address as fib_trie has it", leaf)
			}
			if !slices.Contains(t.addresses, address) { // there are two tables
				t.addresses = append(t.addresses, address)
			}
		}
		if len(t.addresses) > maxInside {
			return facts.TooMuch("addresses of a host", maxInside)
		}
	}
	return nil
}

// route reads the networks that an interface is in itself: those without a
// gateway.
func (t *kernelTable) route(text string) error {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 8 || fields[0] == "Iface" || fields[2] != "00000000" {
			continue
		}
		network, err := wordAddr(fields[1])
		if err != nil {
			return err
		}
		mask, err := wordAddr(fields[7])
		if err != nil {
			return err
		}
		b := mask.As4()
		ones := 0
		for _, part := range b {
			ones += bits.OnesCount8(part)
		}
		if ones > 0 { // else it is the way to everybody
			t.networks = append(t.networks, namedNetwork{fields[0], netip.PrefixFrom(network, ones).Masked()})
		}
		if len(t.networks) > maxInside {
			return facts.TooMuch("networks of a host", maxInside)
		}
	}
	return nil
}

// wordAddr reads an address of IPv4 as route has it: eight digits, the last byte
// first.
func wordAddr(s string) (netip.Addr, error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != 4 {
		return netip.Addr{}, fmt.Errorf("%.40q is not an address as /proc/net/route has it", s)
	}
	slices.Reverse(b)
	return netip.AddrFrom4([4]byte(b)), nil
}

// inet6 reads lines of an address, and of the interface that has it: address,
// number, length of the prefix, scope, flags, name.
func (t *kernelTable) inet6(text string) error {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		if len(fields) != 6 {
			return fmt.Errorf("%.40q is not an address as if_inet6 has it", line)
		}
		b, err := hex.DecodeString(fields[0])
		ones, err2 := strconv.ParseUint(fields[2], 16, 8)
		if err != nil || err2 != nil || len(b) != 16 || ones > 128 {
			return fmt.Errorf("%.40q is not an address as if_inet6 has it", line)
		}
		address := netip.AddrFrom16([16]byte(b))
		t.ifaces = append(t.ifaces, ifaceOf(fields[5], netip.PrefixFrom(address, int(ones))))
		if len(t.ifaces) > maxInside {
			return facts.TooMuch("addresses of a host", maxInside)
		}
	}
	return nil
}

// all returns the interfaces with their addresses. An address of which no
// network is known is its own.
func (t *kernelTable) all() []iface {
	ifaces := t.ifaces
	for _, address := range t.addresses {
		best := namedNetwork{"", netip.PrefixFrom(address, 32)}
		for _, n := range t.networks {
			if n.Contains(address) && (best.name == "" || n.Bits() > best.Bits()) {
				best = namedNetwork{n.name, netip.PrefixFrom(address, n.Bits())}
			}
		}
		ifaces = append(ifaces, ifaceOf(best.name, best.Prefix))
	}
	return ifaces
}

func ifaceOf(name string, p netip.Prefix) iface {
	i := iface{Name: name, Addresses: []ifaceAddress{{Local: p.Addr().String(), Prefix: p.Bits()}}}
	if p.Addr().IsLoopback() {
		i.Flags = []string{"LOOPBACK"}
	}
	return i
}
