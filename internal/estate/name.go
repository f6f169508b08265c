package estate

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// An ID names a component on the map: what sort of thing it is and its name,
// such as "host/erp-app". The name may have slashes of its own; what is known
// only within a folder, a cluster or a file begins with that: a service db of
// the compose project shop is "service/shop/db".
type ID string

// MaxID bounds an ID in bytes, and so everything that is named by one.
const MaxID = 300

// NewID returns the ID of a component of that kind. What its name cannot have
// is replaced by hyphens, so that a reader never loses a component over its
// spelling: two names that differ in nothing else become one.
func NewID(kind Kind, name string) ID {
	name = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || unicode.IsControl(r) || unicode.IsSpace(r) || !unicode.IsPrint(r) {
			return '-'
		}
		return r
	}, name)
	name = strings.Trim(name, "/")
	if limit := MaxID - len(kind) - 1; len(name) > limit {
		name = strings.ToValidUTF8(name[:limit], "")
	}
	if name == "" {
		name = "-"
	}
	return ID(string(kind) + "/" + name)
}

// ParseID reads an ID as people write it.
func ParseID(s string) (ID, error) {
	kind, name, ok := strings.Cut(s, "/")
	switch {
	case !ok:
		return "", fmt.Errorf("%.80q is not a component: expected its kind, a slash and its name, such as host/erp-app", s)
	case len(s) > MaxID:
		return "", fmt.Errorf("a component's name has at most %d bytes", MaxID)
	case !Kind(kind).Valid():
		return "", fmt.Errorf("%.80q is not a component: %.40q is no kind of one; there are %s", s, kind, spellKinds())
	case NewID(Kind(kind), name) != ID(s):
		return "", fmt.Errorf("%.80q is not a component: its name is empty, ends with a slash, or has a space or a character that cannot be seen", s)
	}
	return ID(s), nil
}

// Kind returns what sort of thing the component is.
func (id ID) Kind() Kind { kind, _, _ := strings.Cut(string(id), "/"); return Kind(kind) }

// Name returns the name without the kind.
func (id ID) Name() string { _, name, _ := strings.Cut(string(id), "/"); return name }

// UnmarshalText reads an ID that nobody has checked.
func (id *ID) UnmarshalText(b []byte) (err error) {
	*id, err = ParseID(string(b))
	return err
}

// An Alias is what a component is known by to everybody: an IP address, a name
// of DNS, one of these with a port, or an identity that a machine was given for
// life. Two components that share one are the same thing. What is only known
// within a project or a cluster is part of an ID instead.
//
// Its spelling is canonical: "10.0.0.4", "2001:db8::4", "db1.example.com",
// "10.0.0.4:5432/tcp", "db1.example.com:5432/tcp", "machine:9f86d081884c7d65".
type Alias string

// AddressAlias returns the alias for an address, and false for one that means
// another machine wherever it is written: loopback, link-local, unspecified and
// multicast ones.
func AddressAlias(a netip.Addr) (Alias, bool) {
	a = a.WithZone("").Unmap()
	if !a.IsValid() || a.IsUnspecified() || a.IsLoopback() || a.IsMulticast() || a.IsLinkLocalUnicast() {
		return "", false
	}
	return Alias(a.String()), true
}

// NameAlias returns the alias for a name of DNS, and false for what is none, for
// localhost, and for a name without a dot: many hosts are called db1.
func NameAlias(name string) (Alias, bool) {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if !strings.Contains(name, ".") || !IsHostName(name) || strings.HasSuffix(name, ".localhost") || strings.HasSuffix(name, ".localdomain") {
		return "", false
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return "", false
	}
	return Alias(name), true
}

// MachineAlias returns the alias for an identity that one machine alone has,
// such as the content of /etc/machine-id or a UUID of its mainboard, and false
// if it is empty or the same digit throughout, as unset ones are.
func MachineAlias(identity string) (Alias, bool) {
	identity = strings.ToLower(strings.TrimSpace(identity))
	digits := strings.ReplaceAll(identity, "-", "")
	if len(digits) < 8 || len(digits) > 64 || strings.Trim(digits, digits[:1]) == "" || strings.Trim(digits, "0123456789abcdef") != "" {
		return "", false
	}
	return Alias("machine:" + digits), true
}

// At returns the alias for a port of what the alias names.
func (a Alias) At(port uint16, protocol string) Alias {
	host := string(a)
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return Alias(host + ":" + strconv.Itoa(int(port)) + "/" + protocol)
}

// Host returns the alias without its port, and false if it has none.
func (a Alias) Host() (Alias, bool) {
	end, _, ok := strings.Cut(string(a), "/")
	if !ok {
		return a, false
	}
	host := end[:strings.LastIndexByte(end, ':')]
	return Alias(strings.Trim(host, "[]")), true
}

// split returns what an alias with a port is made of, and false for another.
func (a Alias) split() (host Alias, port Port, ok bool) {
	end, protocol, ok := strings.Cut(string(a), "/")
	if !ok {
		return a, Port{}, false
	}
	at := strings.LastIndexByte(end, ':')
	if at < 0 {
		return a, Port{}, false
	}
	number, err := strconv.ParseUint(end[at+1:], 10, 16)
	return Alias(strings.Trim(end[:at], "[]")), Port{uint16(number), protocol}, err == nil
}

func (a Alias) isEndpoint() bool { return strings.Contains(string(a), "/") }
func (a Alias) isMachine() bool  { return strings.HasPrefix(string(a), "machine:") }
func (a Alias) isName() bool     { return !a.isEndpoint() && !a.isMachine() && !a.isAddress() }
func (a Alias) isAddress() bool {
	_, err := netip.ParseAddr(string(a))
	return err == nil
}

// UnmarshalText reads an alias that nobody has checked.
func (a *Alias) UnmarshalText(b []byte) error {
	alias, err := ParseAlias(string(b))
	if err == nil && string(alias) != string(b) {
		err = fmt.Errorf("%.80q is spelled %s", b, alias)
	}
	*a = alias
	return err
}

// ParseAlias reads an address or a name as people write it, or one of these with
// a port: 10.0.0.4, db1.example.com, db1.example.com:5432/tcp.
func ParseAlias(s string) (Alias, error) {
	if len(s) > MaxID {
		return "", fmt.Errorf("an alias has at most %d bytes", MaxID)
	}
	if end, ok := strings.CutSuffix(s, "/tcp"); ok {
		return parseEndpoint(s, end, "tcp")
	}
	if end, ok := strings.CutSuffix(s, "/udp"); ok {
		return parseEndpoint(s, end, "udp")
	}
	if address, err := netip.ParseAddr(s); err == nil {
		if a, ok := AddressAlias(address); ok {
			return a, nil
		}
		return "", fmt.Errorf("%q means another machine wherever it is written", s)
	}
	if a, ok := NameAlias(s); ok {
		return a, nil
	}
	if identity, ok := strings.CutPrefix(s, "machine:"); ok {
		if a, ok := MachineAlias(identity); ok {
			return a, nil
		}
	}
	return "", fmt.Errorf("%.80q is neither an IP address nor a name with a dot, such as db1.example.com", s)
}

// parseEndpoint reads s, of which host is what stands before the protocol.
func parseEndpoint(s, host, protocol string) (Alias, error) {
	at := strings.LastIndexByte(host, ':')
	if at < 0 {
		return "", fmt.Errorf("%.80q is no port of a host, such as 10.0.0.4:5432/tcp", s)
	}
	host, digits := host[:at], host[at+1:]
	if inner, ok := strings.CutPrefix(host, "["); ok {
		host, ok = strings.CutSuffix(inner, "]")
		if !ok || !strings.Contains(host, ":") {
			return "", fmt.Errorf("%.80q has no IPv6 address in its brackets", s)
		}
	} else if strings.Contains(host, ":") {
		return "", fmt.Errorf("%.80q: an IPv6 address with a port goes into brackets", s)
	}
	port, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || port == 0 || strings.HasPrefix(digits, "0") {
		return "", fmt.Errorf("%.80q has no port between 1 and 65535", s)
	}
	a, err := ParseAlias(host)
	if err != nil {
		return "", err
	}
	return a.At(uint16(port), protocol), nil
}

// IsHostName reports whether a name can be a host's: labels of letters, digits,
// hyphens and underscores, at most 63 bytes each and 253 in all, and not digits
// alone.
func IsHostName(name string) bool {
	if name == "" || len(name) > 253 {
		return false
	}
	letters := false
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-") {
			return false
		}
		for _, c := range []byte(label) {
			switch {
			case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
				letters = true
			case '0' <= c && c <= '9', c == '-', c == '_':
			default:
				return false
			}
		}
	}
	return letters
}
