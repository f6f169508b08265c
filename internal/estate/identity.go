package estate

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Bounds of what is believed to be one component. A thing is known to a few
// sources under a few names; what dozens have in common is the address of a
// bridge or of a balancer, and identifies nobody.
const (
	maxBearers = 8  // that become one by one alias
	maxChain   = 32 // that become one because each shares an alias with another
)

// A layer is what an alias can be of. A service and the host that it runs on
// answer to one address, and are two things.
type layer int

const (
	machines layer = iota // hosts and what else stands somewhere
	software
	applications
	anything // a part of a platform, or of somebody else's: it joins what it proves to be
)

func layerOf(k Kind) layer {
	switch k {
	case Service, Database:
		return software
	case Application, Person:
		return applications
	case External, Resource:
		return anything
	default:
		return machines
	}
}

// A node is what was told of under one ID.
type node struct {
	id      ID
	told    []Component // as each source of facts describes it; none if it is only needed
	said    []Component // as people describe it
	aliases []Alias     // of both, and of the ID itself; in order
	given   []Alias     // those that people gave it
}

// traits are what is known of a component, kept at its root.
type traits struct {
	is      [anything]bool // in which layers it is
	said    bool           // a person describes it
	machine bool           // it has an identity that is given to one machine alone
	names   map[Alias]bool
	numbers map[Alias]bool  // its addresses
	hosts   map[string]bool // what it is called as a host, without domains
}

// identities find out which nodes are one component. What is told in another
// order is found to be the same: each step looks at all that there is, and
// where things contradict each other none of them is believed.
type identities struct {
	nodes  []node // by ID
	index  map[ID]int
	parent []int // of each node in its component; the root, its first one, is its own
	traits []traits
	apart  [][2]int  // nodes that people hold apart
	by     [][]Alias // for each node, what made it part of its component
	doubts []string

	// strays have aliases of two components that differ. These are theirs, too,
	// but nothing is found by them there.
	strays map[int]bool
	// cloned are identities of machines that several have, by mistake.
	cloned map[Alias]bool
}

// identify joins nodes that are the same thing: first those that people say
// are, then by what is given to one machine alone, by names, by addresses, and
// last by where something listens.
func (ids *identities) identify(said Statements) {
	ids.parent = make([]int, len(ids.nodes))
	for i := range ids.parent {
		ids.parent[i] = i
	}
	ids.by = make([][]Alias, len(ids.nodes))
	ids.strays, ids.cloned = make(map[int]bool), make(map[Alias]bool)
	for _, p := range said.Apart {
		a, known := ids.index[p.A]
		b, both := ids.index[p.B]
		if known && both && a != b {
			ids.apart = append(ids.apart, [2]int{a, b})
		}
	}
	for _, p := range slices.SortedFunc(slices.Values(said.Same), comparePairs) {
		a, b := ids.root(ids.index[p.A]), ids.root(ids.index[p.B])
		if ids.areApart([]int{a, b}) {
			ids.doubt("people say that %s and %s are the same, and that they are not: they are left two", p.A, p.B)
			continue
		}
		ids.union(a, b)
	}
	ids.join(func(a Alias) (Alias, bool) { return a, a.isMachine() }, ids.contradict)
	ids.join(func(a Alias) (Alias, bool) { return a, a.isName() }, ids.differ)
	ids.join(func(a Alias) (Alias, bool) { return a, a.isAddress() }, ids.differ)
	ids.join(ids.owners().listener, ids.differ)
	ids.look()
}

func comparePairs(a, b Pair) int { return cmp.Or(cmp.Compare(a.A, b.A), cmp.Compare(a.B, b.B)) }

func (ids *identities) root(i int) int {
	for ids.parent[i] != i {
		ids.parent[i] = ids.parent[ids.parent[i]]
		i = ids.parent[i]
	}
	return i
}

// union makes one of two components.
func (ids *identities) union(a, b int) {
	a, b = ids.root(a), ids.root(b)
	ids.parent[max(a, b)] = min(a, b)
}

func (ids *identities) doubt(format string, args ...any) {
	ids.doubts = append(ids.doubts, fmt.Sprintf(format, args...))
}

// look finds the traits of all components.
func (ids *identities) look() {
	ids.traits = make([]traits, len(ids.nodes))
	for i, n := range ids.nodes {
		t := &ids.traits[ids.root(i)]
		if t.names == nil {
			t.names, t.numbers, t.hosts = make(map[Alias]bool), make(map[Alias]bool), make(map[string]bool)
		}
		if l := layerOf(n.id.Kind()); l != anything {
			t.is[l] = true
		}
		if n.id.Kind() == Host && !isNumber(n.id) {
			short, _, _ := strings.Cut(n.id.Name(), ".")
			t.hosts[short] = true
		}
		t.said = t.said || len(n.said) > 0
		for _, a := range n.aliases {
			switch {
			case a.isMachine():
				t.machine = t.machine || !ids.cloned[a]
			case a.isName():
				t.names[a] = true
			case a.isAddress():
				t.numbers[a] = true
			}
		}
	}
}

// differ says why components cannot be one, or "".
func (ids *identities) differ(roots []int) string {
	if why := ids.overruled(roots); why != "" {
		return why
	}
	known := 0
	for _, r := range roots {
		if ids.traits[r].machine {
			known++
		}
	}
	if known > 1 {
		return "which are different machines"
	}
	for i, r := range roots {
		for _, s := range roots[:i] {
			a, b := ids.traits[r], ids.traits[s]
			if len(a.hosts) > 0 && len(b.hosts) > 0 && !intersect(a.hosts, b.hosts) && !within(a.numbers, b.numbers) && !within(b.numbers, a.numbers) {
				return "which are hosts with addresses of their own"
			}
		}
	}
	return ""
}

// contradict says why components that share a machine's identity are not one
// machine, or "": a copy of a machine brings its identity along, and has names
// and addresses of its own.
func (ids *identities) contradict(roots []int) string {
	if why := ids.overruled(roots); why != "" {
		return why
	}
	for i, r := range roots {
		for _, s := range roots[:i] {
			a, b := ids.traits[r], ids.traits[s]
			comparable := len(a.names) > 0 && len(b.names) > 0 || len(a.numbers) > 0 && len(b.numbers) > 0
			if comparable && !intersect(a.names, b.names) && !intersect(a.numbers, b.numbers) {
				return "which have nothing else in common and may be copies"
			}
		}
	}
	return ""
}

func intersect[K comparable](a, b map[K]bool) bool {
	for k := range a {
		if b[k] {
			return true
		}
	}
	return false
}

// within reports whether all of a are in b.
func within(a, b map[Alias]bool) bool {
	for k := range a {
		if !b[k] {
			return false
		}
	}
	return true
}

// overruled says why nothing at all makes one of the components but a person who
// says that they are, or "".
func (ids *identities) overruled(roots []int) string {
	said := 0
	for _, r := range roots {
		if ids.traits[r].said {
			said++
		}
	}
	switch {
	case said > 1:
		return "of which people describe more than one"
	case ids.areApart(roots):
		return "of which a person holds two apart"
	case len(roots) > maxChain:
		return "which are too many to be one"
	}
	return ""
}

// areApart reports whether people hold two of the components apart.
func (ids *identities) areApart(roots []int) bool {
	for _, pair := range ids.apart {
		a, b := ids.root(pair[0]), ids.root(pair[1])
		if a != b && slices.Contains(roots, a) && slices.Contains(roots, b) {
			return true
		}
	}
	return false
}

// A bearer is a node that has an alias.
type bearer struct {
	node int
	as   Alias
}

func (ids *identities) roots(bearers []bearer) []int {
	var roots []int
	for _, b := range bearers {
		roots = append(roots, ids.root(b.node))
	}
	return sorted(roots)
}

// A group is what shares a key, and could be one thing: two components at least.
type group struct {
	key     Alias
	bearers []bearer
	roots   []int
}

// join makes one of the components that share a key, which is made of an alias,
// unless that would make one of what differs:
//
//   - A key of components that differ from each other, or of very many, joins
//     none of them.
//   - A component that shares keys with two others that differ is a stray, and
//     joins neither.
//   - Where a longer chain of keys leads from one to another that differs, none
//     of the chain is joined.
//
// Each of these is a doubt.
func (ids *identities) join(keyOf func(Alias) (Alias, bool), differ func([]int) string) {
	ids.look()
	groups := ids.withoutStrays(ids.unshared(ids.groups(keyOf), differ), differ)

	chain := identities{parent: make([]int, len(ids.nodes))} // of roots, for the time being
	for i := range chain.parent {
		chain.parent[i] = i
	}
	for _, g := range groups {
		for _, r := range g.roots {
			chain.union(g.roots[0], r)
		}
	}
	linked := make(map[int][]int)
	for _, g := range groups {
		first := chain.root(g.roots[0])
		linked[first] = append(linked[first], g.roots...)
	}
	broken := make(map[int]bool)
	for _, first := range slices.Sorted(maps.Keys(linked)) {
		roots := sorted(linked[first])
		if why := differ(roots); why != "" {
			broken[first] = true
			ids.doubt("aliases lead from one to the other of %s, %s: none of them becomes another", ids.spell(roots), why)
		}
	}
	for _, g := range groups {
		if broken[chain.root(g.roots[0])] {
			continue
		}
		for _, b := range g.bearers {
			ids.by[b.node] = append(ids.by[b.node], b.as)
			ids.union(g.bearers[0].node, b.node)
		}
	}
}

// groups returns what shares a key, in the order of the keys.
func (ids *identities) groups(keyOf func(Alias) (Alias, bool)) []group {
	byKey := make(map[Alias][]bearer)
	for i, n := range ids.nodes {
		for _, a := range n.aliases {
			if key, ok := keyOf(a); ok {
				byKey[key] = append(byKey[key], bearer{i, a})
			}
		}
	}
	var groups []group
	for _, key := range slices.Sorted(maps.Keys(byKey)) {
		for _, bearers := range ids.byLayer(byKey[key]) {
			if roots := ids.roots(bearers); len(roots) > 1 {
				groups = append(groups, group{key, bearers, roots})
			}
		}
	}
	return groups
}

// byLayer splits the bearers of one alias by what could be one thing. What the
// alias most likely means is first: a program where something listens, or else
// a machine. What may be anything is held for that.
func (ids *identities) byLayer(bearers []bearer) [][]bearer {
	order := []layer{machines, software, applications}
	if bearers[0].as.isEndpoint() {
		order = []layer{software, machines, applications}
	}
	var split [][]bearer
	placed := make(map[int]bool)
	for _, l := range order {
		var in []bearer
		for _, b := range bearers {
			if ids.traits[ids.root(b.node)].is[l] {
				in = append(in, b)
				placed[b.node] = true
			}
		}
		if in != nil {
			split = append(split, in)
		}
	}
	for _, b := range bearers {
		if placed[b.node] {
			continue
		}
		if split == nil {
			split = [][]bearer{nil}
		}
		split[0] = append(split[0], b)
	}
	return split
}

// unshared returns the groups that could be one thing each.
func (ids *identities) unshared(groups []group, differ func([]int) string) []group {
	return slices.DeleteFunc(groups, func(g group) bool {
		why := differ(g.roots)
		if why == "" && len(g.roots) > maxBearers {
			why = "which are too many to be one"
		}
		if why == "" {
			return false
		}
		if g.key.isMachine() {
			ids.cloned[g.key] = true
		}
		ids.doubt("%s is an alias of %s, %s: it makes none of them another", g.key, ids.spell(g.roots), why)
		return true
	})
}

// withoutStrays returns the groups without the components that share keys with
// two others that differ.
func (ids *identities) withoutStrays(groups []group, differ func([]int) string) []group {
	near := make(map[int][]int)
	for _, g := range groups {
		for _, r := range g.roots {
			near[r] = append(near[r], g.roots...)
		}
	}
	stray := make(map[int]bool)
	for _, r := range slices.Sorted(maps.Keys(near)) {
		all := sorted(near[r])
		if why := differ(all); why != "" {
			stray[r] = true
			others := slices.DeleteFunc(all, func(o int) bool { return o == r })
			ids.doubt("%s shares aliases with %s, %s: it becomes none of them", ids.nodes[r].id, ids.spell(others), why)
		}
	}
	if len(stray) == 0 {
		return groups
	}
	for i := range ids.nodes {
		if stray[ids.root(i)] {
			ids.strays[i] = true
		}
	}
	var rest []group
	for _, g := range groups {
		g.bearers = slices.DeleteFunc(g.bearers, func(b bearer) bool { return stray[ids.root(b.node)] })
		if g.roots = ids.roots(g.bearers); len(g.roots) > 1 {
			rest = append(rest, g)
		}
	}
	return rest
}

// spell names a few components, at least one.
func (ids *identities) spell(roots []int) string {
	const few = 4
	var words []string
	for _, r := range roots[:min(few, len(roots))] {
		words = append(words, string(ids.nodes[r].id))
	}
	if more := len(roots) - few; more > 0 {
		words = append(words, fmt.Sprintf("%d more", more))
	}
	last := len(words) - 1
	if last == 0 {
		return words[0]
	}
	return strings.Join(words[:last], ", ") + " and " + words[last]
}

// owners know what is found by an alias.
type owners struct {
	ids       *identities
	bearers   map[Alias][]bearer
	listeners map[Alias][]bearer // by the key that listener makes of an alias with a port
}

func (ids *identities) owners() owners {
	ids.look()
	o := owners{ids, make(map[Alias][]bearer), make(map[Alias][]bearer)}
	for i, n := range ids.nodes {
		for _, a := range n.aliases {
			o.bearers[a] = append(o.bearers[a], bearer{i, a})
		}
	}
	for i, n := range ids.nodes {
		for _, a := range n.aliases {
			if a.isEndpoint() {
				key, _ := o.listener(a)
				o.listeners[key] = append(o.listeners[key], bearer{i, a})
			}
		}
	}
	return o
}

// of returns the root of what has the alias, which has no port.
func (o owners) of(a Alias) (root int, ok bool) { return o.choose(o.bearers[a]) }

// at returns the root of what listens at the alias, which has a port.
func (o owners) at(a Alias) (root int, ok bool) {
	key, _ := o.listener(a)
	return o.choose(o.listeners[key])
}

// choose returns the root of the one among several that is meant: the one to
// which a person gave the alias; or else, of those that it most likely means,
// the one that is known to be one machine, or the one that is no stray.
func (o owners) choose(bearers []bearer) (root int, ok bool) {
	if len(bearers) == 0 {
		return 0, false
	}
	ids := o.ids
	given := func(b bearer) bool { return slices.Contains(ids.nodes[b.node].given, b.as) }
	machine := func(b bearer) bool { return ids.traits[ids.root(b.node)].machine }
	settled := func(b bearer) bool { return !ids.strays[b.node] }
	likely := ids.byLayer(bearers)[0]
	for _, among := range [][]bearer{only(bearers, given), likely, only(likely, machine), only(likely, settled)} {
		if roots := ids.roots(among); len(roots) == 1 {
			return roots[0], true
		}
	}
	return 0, false
}

func only(bearers []bearer, keep func(bearer) bool) []bearer {
	var all []bearer
	for _, b := range bearers {
		if keep(b) {
			all = append(all, b)
		}
	}
	return all
}

// have reports whether a component has the alias, though it may not be found by
// it.
func (o owners) have(root int, a Alias) bool {
	return slices.Contains(o.ids.roots(o.bearers[a]), root)
}

// listener returns a key for a port of a host that is the same under all names
// of the host. It returns the alias itself and false if that is none, or the
// host's address is one of several hosts.
func (o owners) listener(a Alias) (Alias, bool) {
	host, port, ok := a.split()
	if !ok {
		return a, false
	}
	if len(o.bearers[host]) == 0 {
		return a, true
	}
	root, ok := o.of(host)
	if !ok {
		return a, false
	}
	return Alias(o.ids.nodes[root].id).At(port.Number, port.Protocol), true
}
