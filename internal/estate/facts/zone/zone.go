// Package zone reads a zone of DNS as text: names that mean one host, and names
// that mean a service and lead to hosts.
//
// A name with one address is a name of that host, and so is one that leads to it
// by CNAME. A name with several addresses, or with records SRV, MX or NS, is a
// service. One of the hosts behind it is enough to serve: the one that clients
// are sent to first is needed, the others are soft. It does not promise that
// what has a name exists: records outlive hosts.
package zone

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"strongroom/internal/estate"
	"strongroom/internal/estate/facts"
)

// maxChain bounds how far CNAMEs are followed, as resolvers do.
const maxChain = 16

// Read returns what a zone says. The Scope of the place is the name of the zone,
// if the text does not begin with $ORIGIN. $INCLUDE is refused: it names a file
// of the machine that reads.
func Read(p facts.Place, b []byte) (estate.Facts, error) {
	if len(b) > facts.MaxBytes {
		return estate.Facts{}, facts.TooMuch("bytes", facts.MaxBytes)
	}
	z := zone{place: p, hosts: make(map[string][]netip.Addr), single: make(map[string]bool), cnames: make(map[string]string),
		services: make(map[service][]server), roles: make(map[string][]estate.Role), reverse: make(map[netip.Addr]string)}
	parser := dns.NewZoneParser(bytes.NewReader(b), p.Scope, "")
	parser.SetDefaultTTL(3600)
	n := 0
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		if n++; n > facts.MaxThings {
			return estate.Facts{}, facts.TooMuch("records", facts.MaxThings)
		}
		z.record(rr)
	}
	if err := parser.Err(); err != nil {
		return estate.Facts{}, fmt.Errorf("not a zone of DNS: %s", where(err))
	}
	if n == 0 {
		return estate.Facts{}, fmt.Errorf("not a zone of DNS: it has no records")
	}
	z.addresses()
	z.aliases()
	z.servers()
	for _, address := range slices.SortedFunc(maps.Keys(z.reverse), netip.Addr.Compare) {
		z.host(z.reverse[address], "PTR", address)
	}
	return z.Facts()
}

// where returns what a parser says without what it quotes of the file.
func where(err error) string {
	text := err.Error()
	if strings.Contains(text, "$INCLUDE") {
		return "$INCLUDE is not read, give the files that it names as well"
	}
	if i := strings.LastIndex(text, "at line: "); i >= 0 {
		line, _, _ := strings.Cut(text[i+len("at line: "):], ":")
		return "line " + line
	}
	return "it ends too early"
}

// A service is a name that leads to hosts, by one kind of record.
type service struct{ name, kind string }

// A server is a host that a service leads to.
type server struct {
	name     string
	port     uint16
	priority uint16 // less is first
	weight   uint16 // more is first
}

// A zone is what was read. Names are in lower case and without the last dot.
type zone struct {
	facts.Draft
	place    facts.Place
	hosts    map[string][]netip.Addr
	single   map[string]bool // the names of them that mean one host
	cnames   map[string]string
	services map[service][]server
	master   string // the server that the zone is changed on
	roles    map[string][]estate.Role
	reverse  map[netip.Addr]string
}

func lower(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

func (z *zone) record(rr dns.RR) {
	name := lower(rr.Header().Name)
	lead := func(kind string, s server) {
		if s.name = lower(s.name); s.name != "" {
			z.services[service{name, kind}] = append(z.services[service{name, kind}], s)
		}
	}
	switch rr := rr.(type) {
	case *dns.A:
		z.address(name, rr.A)
	case *dns.AAAA:
		z.address(name, rr.AAAA)
	case *dns.CNAME:
		z.cnames[name] = lower(rr.Target)
	case *dns.SRV:
		lead("SRV", server{rr.Target, rr.Port, rr.Priority, rr.Weight})
		z.plays(rr.Target, roles(name)...)
	case *dns.MX:
		lead("MX", server{rr.Mx, 25, rr.Preference, 0})
	case *dns.NS:
		lead("NS", server{name: rr.Ns, port: 53})
		z.plays(rr.Ns, estate.DNS)
	case *dns.SOA:
		z.master = lower(rr.Ns)
	case *dns.PTR:
		if address, ok := reverseName(name); ok {
			z.reverse[address] = lower(rr.Ptr)
		}
	}
}

// plays notes the roles of a server, each once.
func (z *zone) plays(name string, roles ...estate.Role) {
	name = lower(name)
	for _, role := range roles {
		if !slices.Contains(z.roles[name], role) {
			z.roles[name] = append(z.roles[name], role)
		}
	}
}

func (z *zone) address(name string, ip []byte) {
	if a, ok := netip.AddrFromSlice(ip); ok {
		if _, ok := estate.AddressAlias(a.Unmap()); ok {
			z.hosts[name] = append(z.hosts[name], a.Unmap())
		}
	}
}

// roles returns the parts that the servers of a service play, by its name.
func roles(name string) []estate.Role {
	switch {
	case strings.HasPrefix(name, "_ldap._tcp.dc._msdcs."), strings.HasPrefix(name, "_ldap._tcp.pdc._msdcs."):
		return []estate.Role{estate.DomainMaster, estate.Directory}
	case strings.HasPrefix(name, "_ldap."), strings.HasPrefix(name, "_ldaps."):
		return []estate.Role{estate.Directory}
	case strings.HasPrefix(name, "_kerberos."):
		return []estate.Role{estate.Kerberos}
	case strings.HasPrefix(name, "_ntp."):
		return []estate.Role{estate.Time}
	}
	return nil
}

// isHost reports whether addresses are of one host: at most one of each family.
func isHost(addresses []netip.Addr) bool {
	four := 0
	for _, a := range addresses {
		if a.Is4() {
			four++
		}
	}
	return len(addresses) > 0 && four <= 1 && len(addresses)-four <= 1
}

// host adds what is known of one.
func (z *zone) host(name, detail string, addresses ...netip.Addr) {
	alias, ok := estate.NameAlias(name)
	if !ok {
		return
	}
	c := estate.Component{ID: estate.NewID(estate.Host, name), Aliases: []estate.Alias{alias}, Roles: z.roles[name]}
	for _, a := range addresses {
		if alias, ok := estate.AddressAlias(a); ok {
			c.Aliases = append(c.Aliases, alias)
			c.Evidence = append(c.Evidence, z.place.Evidence(estate.Declared, name+" "+detail, a.String()))
		}
	}
	if len(c.Evidence) > 0 {
		z.Component(c)
	}
}

// service adds one, and the link to each host behind it.
func (z *zone) service(id estate.ID, name string, aliased bool, kind string, ends []estate.End, ports []uint16) {
	c := estate.Component{ID: id, Evidence: []estate.Evidence{z.place.Evidence(estate.Declared, name+" "+kind, fmt.Sprintf("%d of them", len(ends)))}}
	if alias, ok := estate.NameAlias(name); ok && aliased {
		c.Aliases = []estate.Alias{alias}
	}
	z.Component(c)
	for i, end := range ends {
		link := estate.Link{From: estate.End{ID: id}, To: end, Need: estate.Hosting}
		detail := string(end.Alias)
		if i > 0 {
			link.Need = estate.Soft
			detail += fmt.Sprintf(", which stands in for %s", ends[0].Alias)
		}
		if ports != nil && ports[i] != 0 {
			link.Port = estate.Port{Number: ports[i], Protocol: protocol(name)}
		}
		link.Evidence = []estate.Evidence{z.place.Evidence(estate.Declared, name+" "+kind, detail)}
		z.Link(link)
	}
}

// protocol returns the one of a service, by its name.
func protocol(name string) string {
	if strings.Contains(name, "_udp.") {
		return "udp"
	}
	return "tcp"
}

// addresses adds the names that have some.
func (z *zone) addresses() {
	for _, name := range slices.Sorted(maps.Keys(z.hosts)) {
		all := z.hosts[name]
		slices.SortFunc(all, netip.Addr.Compare)
		all = slices.Compact(all)
		if isHost(all) {
			z.single[name] = true
			z.host(name, "A", all...)
			continue
		}
		if _, ok := estate.NameAlias(name); !ok {
			continue
		}
		var ends []estate.End
		for _, a := range all {
			alias, _ := estate.AddressAlias(a)
			ends = append(ends, estate.End{Alias: alias})
		}
		z.service(estate.NewID(estate.Service, name), name, true, "A", ends, nil)
	}
}

// aliases adds the names that lead to another.
func (z *zone) aliases() {
	for _, name := range slices.Sorted(maps.Keys(z.cnames)) {
		alias, ok := estate.NameAlias(name)
		if !ok {
			continue
		}
		target, steps := name, 0
		for next, ok := z.cnames[target]; ok && steps < maxChain; next, ok = z.cnames[target] {
			target = next
			steps++
		}
		evidence := []estate.Evidence{z.place.Evidence(estate.Declared, name+" CNAME", target)}
		end, valid := estate.NameAlias(target)
		switch {
		case z.cnames[target] != "":
			z.Doubt("%s leads from name to name and never to a host", name)
		case !valid:
		case z.single[target]:
			z.Component(estate.Component{ID: estate.NewID(estate.Host, target), Aliases: []estate.Alias{alias}, Evidence: evidence})
		case len(z.hosts[target]) > 0:
			z.Component(estate.Component{ID: estate.NewID(estate.Service, target), Aliases: []estate.Alias{alias}, Evidence: evidence})
		default: // what it leads to is of another zone
			z.service(estate.NewID(estate.Service, name), name, true, "CNAME", []estate.End{{Alias: end}}, nil)
		}
	}
}

// servers adds the services that lead to hosts by name.
func (z *zone) servers() {
	for _, s := range slices.SortedFunc(maps.Keys(z.services), func(a, b service) int {
		return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.kind, b.kind))
	}) {
		all := z.services[s]
		if _, ok := estate.NameAlias(s.name); !ok && s.kind == "SRV" {
			continue
		}
		slices.SortFunc(all, func(a, b server) int {
			return cmp.Or(cmp.Compare(a.priority, b.priority), cmp.Compare(b.weight, a.weight), z.compareMaster(a, b),
				cmp.Compare(a.name, b.name), cmp.Compare(a.port, b.port))
		})
		var (
			ends  []estate.End
			ports []uint16
		)
		for _, server := range slices.Compact(all) {
			if alias, ok := estate.NameAlias(server.name); ok {
				ends = append(ends, estate.End{Alias: alias})
				ports = append(ports, server.port)
			}
		}
		switch s.kind {
		case "SRV":
			z.service(estate.NewID(estate.Service, s.name), s.name, true, s.kind, ends, ports)
		case "MX":
			z.service(estate.NewID(estate.Service, "mail/"+s.name), s.name, false, s.kind, ends, ports)
		case "NS":
			z.service(estate.NewID(estate.Service, "dns/"+s.name), s.name, false, s.kind, ends, ports)
		}
	}
}

// compareMaster puts the server that a zone is changed on before its copies.
func (z *zone) compareMaster(a, b server) int {
	switch z.master {
	case a.name:
		return -1
	case b.name:
		return 1
	}
	return 0
}

// reverseName returns the address that a name of in-addr.arpa or ip6.arpa means.
func reverseName(name string) (netip.Addr, bool) {
	if digits, ok := strings.CutSuffix(name, ".in-addr.arpa"); ok {
		labels := strings.Split(digits, ".")
		slices.Reverse(labels)
		a, err := netip.ParseAddr(strings.Join(labels, "."))
		return a, err == nil && a.Is4()
	}
	digits, ok := strings.CutSuffix(name, ".ip6.arpa")
	labels := strings.Split(digits, ".")
	if !ok || len(labels) != 32 {
		return netip.Addr{}, false
	}
	var b strings.Builder
	for i, label := range slices.Backward(labels) {
		if len(label) != 1 {
			return netip.Addr{}, false
		}
		b.WriteString(label)
		if i%4 == 0 && i > 0 {
			b.WriteByte(':')
		}
	}
	a, err := netip.ParseAddr(b.String())
	return a, err == nil
}
