package sockets

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"strongroom/internal/estate/facts"
)

// A socket is a line of ss, or of /proc/net/tcp and its like.
type socket struct {
	protocol string // "tcp" or "udp"
	state    string // as ss spells it
	local    netip.AddrPort
	peer     netip.AddrPort // port 0 where there is none
	process  string         // its name, if that was shown
	place    facts.Place
}

func (s socket) listens() bool { return s.state == "LISTEN" || s.state == "UNCONN" }

// States as ss spells them, by the number that /proc/net has.
var states = []string{1: "ESTAB", "SYN-SENT", "SYN-RECV", "FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT", "UNCONN", "CLOSE-WAIT", "LAST-ACK", "LISTEN", "CLOSING", "SYN-RECV"}

// Kinds of sockets that ss lists beside the ones that are read.
var others = []string{"u_str", "u_dgr", "u_seq", "nl", "p_raw", "p_dgr", "raw", "icmp", "icmp6", "v_str", "v_dgr", "xdp", "sctp", "dccp", "tipc", "mptcp", "???"}

// sockets reads the text of ss, or of a file of /proc/net.
func sockets(p facts.Place, text []byte) ([]socket, error) {
	var (
		all  []socket
		proc bool
		n    int
	)
	for line := range bytes.Lines(text) {
		n++
		fields := strings.Fields(string(line))
		switch {
		case len(fields) == 0, fields[0] == "State", fields[0] == "Netid", slices.Contains(others, fields[0]):
			continue
		case fields[0] == "sl":
			proc = true
			continue
		case !proc && (line[0] == '\t' || line[0] == ' '):
			continue // ss -i and -e continue a line so
		case len(all) >= facts.MaxThings:
			return nil, facts.TooMuch("sockets", facts.MaxThings)
		}
		read := fromSS
		if proc {
			read = fromProc
		}
		s, err := read(p.Path, fields)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		s.place = p
		all = append(all, s)
	}
	return all, nil
}

// fromSS reads the fields of a line: State Recv-Q Send-Q Local:Port Peer:Port
// and, if one may see it, the processes; before them the protocol, if ss was
// asked for more than one.
func fromSS(_ string, fields []string) (socket, error) {
	s := socket{protocol: "tcp"}
	if fields[0] == "tcp" || fields[0] == "udp" {
		s.protocol, fields = fields[0], fields[1:]
	} else if fields[0] == "UNCONN" {
		s.protocol = "udp"
	}
	if len(fields) < 5 || !slices.Contains(states, fields[0]) {
		return s, fmt.Errorf("not a socket as ss tells it")
	}
	s.state = fields[0]
	var err error
	if s.local, err = endpoint(fields[3]); err != nil {
		return s, err
	}
	if s.peer, err = endpoint(fields[4]); err != nil {
		return s, err
	}
	s.process = process(strings.Join(fields[5:], " "))
	return s, nil
}

// process returns the name of the first process in users:(("name",pid=1,fd=2)).
// A name may have blanks and quotation marks of its own.
func process(users string) string {
	_, rest, ok := strings.Cut(users, `users:(("`)
	if !ok {
		return ""
	}
	name, _, ok := strings.Cut(rest, `",pid=`)
	if !ok {
		return ""
	}
	return name
}

// endpoint reads an address and port as ss writes them: 10.0.0.1:53,
// [::1]:53, *:53, 127.0.0.53%lo:53, [fe80::1]%eth0:546, 0.0.0.0:*.
func endpoint(s string) (netip.AddrPort, error) {
	colon := strings.LastIndexByte(s, ':')
	if colon < 0 {
		return netip.AddrPort{}, fmt.Errorf("%.60q is not an address and a port", s)
	}
	host, portText := s[:colon], s[colon+1:]
	var port uint64
	if portText != "*" {
		var err error
		if port, err = strconv.ParseUint(portText, 10, 16); err != nil {
			return netip.AddrPort{}, fmt.Errorf("%.60q has no port in digits: ss must be asked with -n", s)
		}
	}
	host, _, _ = strings.Cut(host, "%")
	host = strings.Trim(host, "[]")
	if host == "*" {
		return netip.AddrPortFrom(netip.IPv6Unspecified(), uint16(port)), nil
	}
	address, err := netip.ParseAddr(host)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("%.60q is not an address and a port", s)
	}
	return netip.AddrPortFrom(address.Unmap(), uint16(port)), nil
}

// fromProc reads the fields of a line of /proc/net/tcp, tcp6, udp or udp6, which
// the path tells apart.
func fromProc(path string, fields []string) (socket, error) {
	s := socket{protocol: "tcp"}
	if base := path[strings.LastIndexByte(path, '/')+1:]; strings.Contains(base, "udp") {
		s.protocol = "udp"
	}
	if len(fields) < 4 {
		return s, fmt.Errorf("not a socket as /proc/net tells it")
	}
	state, err := strconv.ParseUint(fields[3], 16, 8)
	if err != nil || state == 0 || int(state) >= len(states) {
		return s, fmt.Errorf("%.20q is not a state of a socket", fields[3])
	}
	s.state = states[state]
	if s.local, err = hexEndpoint(fields[1]); err != nil {
		return s, err
	}
	s.peer, err = hexEndpoint(fields[2])
	return s, err
}

// hexEndpoint reads 0100007F:1F90: an address in words of 32 bits, each as a
// little-endian machine has it in memory, and a port.
func hexEndpoint(s string) (netip.AddrPort, error) {
	host, portText, _ := strings.Cut(s, ":")
	raw, err := hex.DecodeString(host)
	port, err2 := strconv.ParseUint(portText, 16, 16)
	if err != nil || err2 != nil || len(raw) != 4 && len(raw) != 16 {
		return netip.AddrPort{}, fmt.Errorf("%.60q is not an address and a port in hexadecimal digits", s)
	}
	for word := range slices.Chunk(raw, 4) {
		slices.Reverse(word)
	}
	address, _ := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(address.Unmap(), uint16(port)), nil
}

// An iface is an interface of ip -j addr.
type iface struct {
	Name      string         `json:"ifname"`
	Flags     []string       `json:"flags"`
	Addresses []ifaceAddress `json:"addr_info"`
}

type ifaceAddress struct {
	Local  string `json:"local"`
	Prefix int    `json:"prefixlen"`
}

func interfaces(b []byte) ([]iface, error) {
	var all []iface
	if err := json.Unmarshal(b, &all); err != nil {
		return nil, fmt.Errorf("not interfaces as ip -j addr tells them: %w", err)
	}
	return all, nil
}

// prefixes yields the addresses of an interface with their networks.
func (i iface) prefixes() iter.Seq[netip.Prefix] {
	return func(yield func(netip.Prefix) bool) {
		for _, a := range i.Addresses {
			address, err := netip.ParseAddr(a.Local)
			if err != nil {
				continue // a peer-to-peer interface has an entry without
			}
			if p := netip.PrefixFrom(address.WithZone("").Unmap(), a.Prefix); p.IsValid() && !yield(p) {
				return
			}
		}
	}
}

// Bridges that programs for containers and virtual machines make. Each host
// has one with the same address, which therefore names none of them, and what is
// behind it is part of the host.
var inside = []string{"docker", "br-", "virbr", "cni", "podman", "lxcbr", "lxdbr", "incusbr", "flannel", "cali", "cilium_", "kube-", "nodelocaldns", "weave", "veth", "vmnet"}

// isInside reports whether the addresses of an interface are known on this host
// only. Those on the loopback are so too: an address of a group of servers lies
// on each of them there.
func (i iface) isInside() bool {
	return slices.Contains(i.Flags, "LOOPBACK") ||
		slices.ContainsFunc(inside, func(prefix string) bool { return strings.HasPrefix(i.Name, prefix) })
}
