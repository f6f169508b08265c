package estate

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
)

// Bounds of a map: beyond them there is more than people read, and than a
// version of it should keep.
const (
	maxEvidence = 16 // of each basis, for one component or dependency; the newest
	maxDoubts   = 1000
)

// Draw makes a map of what all sources told and of what people say.
//
// Components that share an alias become one, unless they are known to differ:
// docs/decisions/0022 has the rules. Everything that was joined is listed as a
// Merge, and what was not, though it shares an alias, is a doubt. Ends of links
// that nobody describes become components of their own: hosts if they have a
// private address, or else external ones.
//
// The same facts and statements give the same map, in whatever order they come,
// and however often.
func Draw(facts []Facts, said Statements) *Map {
	facts, malformed := wellFormed(facts)
	d := drawing{links: make(map[arrow]*Dependency), hosted: make(map[hostedPort][]int)}
	d.ids.doubts = malformed
	d.gather(facts, said)
	d.ids.identify(said)
	d.owners = d.ids.owners()
	d.host(facts)
	for _, f := range facts {
		for _, l := range f.Links {
			d.link(l)
		}
	}
	return d.finish(facts, said)
}

// wellFormed returns the facts without what no reader should say, and doubts
// about that. What reads a hostile file may be led to say anything.
func wellFormed(facts []Facts) (good []Facts, doubts []string) {
	doubt := func(format string, args ...any) { doubts = append(doubts, fmt.Sprintf(format, args...)) }
	id := func(id ID) bool { _, err := ParseID(string(id)); return err == nil }
	alias := func(a Alias) bool { parsed, err := ParseAlias(string(a)); return err == nil && parsed == a }
	end := func(e End) bool { return e.ID != "" && id(e.ID) || e.ID == "" && alias(e.Alias) }
	evidence := func(all []Evidence) []Evidence {
		if !slices.ContainsFunc(all, Evidence.isMalformed) {
			return all
		}
		doubt("a reader gave evidence without saying how that is known: %.100q", all[0].Place)
		return slices.DeleteFunc(slices.Clone(all), Evidence.isMalformed)
	}
	for _, f := range facts {
		g := Facts{Doubts: f.Doubts}
		for _, c := range f.Components {
			if !id(c.ID) {
				doubt("a reader told of a component %.100q, which is no name of one", c.ID)
				continue
			}
			aliases := c.Aliases
			c.Aliases = nil
			for _, a := range aliases {
				if !alias(a) {
					doubt("a reader told of an alias of %s, %.100q, which is none", c.ID, a)
					continue
				}
				c.Aliases = append(c.Aliases, a)
			}
			if !c.Software.isKnown() {
				doubt("a reader told that %s runs %.40q, which is not known", c.ID, c.Software)
				c.Software = ""
			}
			c.Evidence = evidence(c.Evidence)
			g.Components = append(g.Components, c)
		}
		for _, l := range f.Links {
			if !end(l.From) || !end(l.To) || !l.Need.Valid() {
				doubt("a reader told of a dependency that is none: %.100q needs %.100q (%.20q)", l.From.name(), l.To.name(), l.Need)
				continue
			}
			l.Evidence = evidence(l.Evidence)
			g.Links = append(g.Links, l)
		}
		good = append(good, g)
	}
	return good, doubts
}

func (e End) name() string { return string(e.ID) + string(e.Alias) }

func (e Evidence) isMalformed() bool { return !e.Basis.Valid() || e.Count < 0 }

// A drawing is a map in the making. Components are known by the roots of their
// nodes.
type drawing struct {
	ids    identities
	owners owners
	hosted map[hostedPort][]int // what listens there
	links  map[arrow]*Dependency
}

// An arrow is what there is one dependency of.
type arrow struct {
	from, to int
	need     Need
}

// A hostedPort is a port of a host on which a program of it listens.
type hostedPort struct {
	host int
	port Port
}

// gather makes a node for every ID that is told of.
func (d *drawing) gather(facts []Facts, said Statements) {
	nodes := make(map[ID]*node)
	add := func(id ID) *node {
		if nodes[id] == nil {
			nodes[id] = &node{id: id}
			if a, ok := implied(id); ok {
				nodes[id].aliases = append(nodes[id].aliases, a)
			}
		}
		return nodes[id]
	}
	for _, f := range facts {
		for _, c := range f.Components {
			n := add(c.ID)
			n.told = append(n.told, c)
			n.aliases = append(n.aliases, c.Aliases...)
		}
		for _, l := range f.Links {
			for _, end := range []End{l.From, l.To} {
				if end.ID != "" {
					add(end.ID)
				}
			}
		}
	}
	for _, c := range said.Components {
		n := add(c.ID)
		n.said = append(n.said, c)
		n.aliases = append(n.aliases, c.Aliases...)
		n.given = append(n.given, c.Aliases...)
	}
	for _, p := range said.Same {
		add(p.A)
		add(p.B)
	}
	for _, r := range said.Rulings {
		if r.Verdict != Rejected {
			add(r.From)
			add(r.To)
		}
	}
	d.ids.index = make(map[ID]int, len(nodes))
	for i, id := range slices.Sorted(maps.Keys(nodes)) {
		n := nodes[id]
		n.aliases = sorted(n.aliases)
		d.ids.nodes = append(d.ids.nodes, *n)
		d.ids.index[id] = i
	}
}

// implied returns the alias that an ID is made of: host/10.0.0.4 is known by its
// address to everybody.
func implied(id ID) (Alias, bool) {
	if layerOf(id.Kind()) == software || layerOf(id.Kind()) == applications {
		return "", false
	}
	a, err := ParseAlias(id.Name())
	return a, err == nil && string(a) == id.Name() && !a.isEndpoint()
}

// host finds out on which ports of which hosts programs listen, so that what
// connects to the host is known to need the program.
func (d *drawing) host(facts []Facts) {
	listens := make(map[int][]Port)
	for i, n := range d.ids.nodes {
		for _, c := range slices.Concat(n.told, n.said) {
			listens[d.ids.root(i)] = append(listens[d.ids.root(i)], c.Listens...)
		}
	}
	for _, f := range facts {
		for _, l := range f.Links {
			if l.Need != Hosting {
				continue
			}
			program, known := d.find(l.From)
			host, both := d.find(l.To)
			if !known || !both || program == host || !d.ids.traits[program].is[software] {
				continue
			}
			for _, p := range listens[program] {
				at := hostedPort{host, p}
				if !slices.Contains(d.hosted[at], program) {
					d.hosted[at] = append(d.hosted[at], program)
				}
			}
		}
	}
}

// find returns the component that an end of a link is, if there is one.
func (d *drawing) find(e End) (root int, ok bool) {
	if e.ID != "" {
		i, ok := d.ids.index[e.ID]
		return d.ids.root(i), ok
	}
	host, port, ok := e.Alias.split()
	if !ok {
		return d.owners.of(e.Alias)
	}
	if root, ok := d.owners.at(e.Alias); ok {
		return root, true
	}
	root, ok = d.owners.of(host)
	if programs := d.hosted[hostedPort{root, port}]; ok && len(programs) == 1 {
		return programs[0], true
	}
	return root, ok
}

// link adds a dependency that was discovered. Its ends become components if they
// are none.
func (d *drawing) link(l Link) {
	from := d.end(l.From, -1)
	to := d.end(l.To, from)
	if from == to {
		return
	}
	port := l.Port
	if _, p, ok := l.To.Alias.split(); ok && port == (Port{}) {
		port = p
	}
	d.add(from, to, l.Need, port, l.Evidence)
}

// end returns the component that the end of a link is. Of an address that
// several have, a component that has it itself means itself: so it is with the
// bridge on every host of containers.
func (d *drawing) end(e End, from int) int {
	if root, ok := d.find(e); ok {
		return root
	}
	host, _, _ := e.Alias.split()
	shared := len(d.owners.bearers[host]) > 0
	if shared && from >= 0 && d.owners.have(from, host) {
		return from
	}
	kind := External
	if a, err := netip.ParseAddr(string(host)); err == nil && isPrivate(a) || shared || host.isMachine() {
		kind = Host
	}
	id := NewID(kind, string(host))
	if i, ok := d.ids.index[id]; ok {
		return d.ids.root(i)
	}
	i := len(d.ids.nodes)
	n := node{id: id}
	if !shared {
		n.aliases = []Alias{host}
	}
	d.ids.nodes = append(d.ids.nodes, n)
	d.ids.index[id] = i
	d.ids.parent = append(d.ids.parent, i)
	d.ids.by = append(d.ids.by, nil)
	return i
}

// carrier has addresses that are private, too: those within a provider's network
// (RFC 6598).
var carrier = netip.MustParsePrefix("100.64.0.0/10")

func isPrivate(a netip.Addr) bool { return a.IsPrivate() || carrier.Contains(a) }

func (d *drawing) add(from, to int, need Need, port Port, evidence []Evidence) {
	at := arrow{from, to, need}
	dep := d.links[at]
	if dep == nil {
		dep = &Dependency{Need: need}
		d.links[at] = dep
	}
	if port != (Port{}) && !slices.Contains(dep.Ports, port) {
		dep.Ports = append(dep.Ports, port)
	}
	dep.Evidence = append(dep.Evidence, evidence...)
}

// finish makes the map of what was drawn.
func (d *drawing) finish(facts []Facts, said Statements) *Map {
	members := make(map[int][]int)
	for i := range d.ids.nodes {
		members[d.ids.root(i)] = append(members[d.ids.root(i)], i)
	}
	seen := make(map[int][]Evidence)
	for at, dep := range d.links {
		seen[at.from] = append(seen[at.from], dep.Evidence...)
		seen[at.to] = append(seen[at.to], dep.Evidence...)
	}
	m, names := &Map{}, namesOf(said.Same)
	called := make(map[int]ID, len(members))
	for root, nodes := range members {
		c, merges, described := d.ids.component(nodes, names)
		if !described {
			m.Undescribed = append(m.Undescribed, c.ID)
			c.Evidence = append(c.Evidence, seen[root]...)
		}
		c.Evidence = joinEvidence(c.Evidence)
		called[root] = c.ID
		m.Components = append(m.Components, c)
		m.Merges = append(m.Merges, merges...)
	}
	m.Dependencies, m.Overruled = d.rule(said, called)
	d.ids.doubts = append(d.ids.doubts, doubtsOf(facts)...)

	slices.SortFunc(m.Components, func(a, b Component) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(m.Merges, func(a, b Merge) int { return cmp.Compare(a.Was, b.Was) })
	slices.SortFunc(m.Dependencies, Dependency.Compare)
	slices.SortFunc(m.Overruled, Overruled.compare)
	slices.Sort(m.Undescribed)
	m.Doubts = sorted(d.ids.doubts)
	if more := len(m.Doubts) - maxDoubts; more > 0 {
		m.Doubts = append(m.Doubts[:maxDoubts:maxDoubts], fmt.Sprintf("and %d doubts more", more))
	}
	return m.seal()
}

func doubtsOf(facts []Facts) []string {
	var all []string
	for _, f := range facts {
		all = append(all, f.Doubts...)
	}
	return all
}
