package order

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"strongroom/internal/estate"
	"strongroom/internal/estate/order/scc"
)

// A graph is an estate as far as it makes an order: components by number, in
// the order of their IDs, and one arc for each pair of which one needs the other.
type graph struct {
	ids        []estate.ID
	number     map[estate.ID]int
	components []estate.Component
	arcs       []arc   // sorted by their ends
	out, in    [][]int // by component: arcs
	soft       [][]int // by component: what it serves better with
	answers    map[Pair]Answer
	fits       map[Pair]bool // answers that were of use
	knot       []int         // by component: the number of its knot, or -1
	list       [][]int       // the knots

	walks  int   // of leads, so far
	walked []int // by component: the last walk that came there
	stack  []int
}

// An arc is what one component needs another for.
type arc struct {
	from, to int
	needs    []estate.Need // hardest first
	evidence []estate.Evidence
	harm     int  // as somebody said; 0 if nobody did
	open     bool // the order does not wait for it
	by       Opening
}

// hardness has the needs that make an order, the hardest first.
var hardness = []estate.Need{estate.Hosting, estate.Start, estate.Run}

func newGraph(in Input) *graph {
	g := &graph{number: make(map[estate.ID]int), answers: make(map[Pair]Answer), fits: make(map[Pair]bool)}
	known := make(map[estate.ID]estate.Component)
	for _, c := range in.Components {
		if have, ok := known[c.ID]; ok {
			// The same thing twice is one, whichever came first.
			c.Roles, c.Evidence = slices.Concat(have.Roles, c.Roles), slices.Concat(have.Evidence, c.Evidence)
		}
		known[c.ID] = c
	}
	for _, d := range in.Dependencies {
		for _, id := range []estate.ID{d.From, d.To} {
			if _, ok := known[id]; !ok {
				known[id] = estate.Component{ID: id}
			}
		}
	}
	for id := range known {
		g.ids = append(g.ids, id)
	}
	slices.Sort(g.ids)
	n := len(g.ids)
	g.components, g.out, g.in, g.soft, g.knot = make([]estate.Component, n), make([][]int, n), make([][]int, n), make([][]int, n), make([]int, n)
	for v, id := range g.ids {
		g.number[id], g.components[v] = v, known[id]
	}
	g.walked = make([]int, n)
	g.connect(in)
	for _, a := range in.Answers {
		// Of two answers to a question the later one counts.
		if have, ok := g.answers[a.Pair]; !ok || cmp.Or(have.When.Compare(a.When), cmp.Compare(have.Who, a.Who), cmp.Compare(have.Why, a.Why)) < 0 {
			g.answers[a.Pair] = a
		}
	}
	return g
}

func (g *graph) connect(in Input) {
	harm := make(map[Pair]int)
	for _, h := range in.Harm {
		harm[h.Pair] = max(harm[h.Pair], h.Cost)
	}
	number := make(map[Pair]int)
	for _, d := range in.Dependencies {
		from, to := g.number[d.From], g.number[d.To]
		pair := Pair{d.From, d.To}
		switch {
		case from == to:
		case d.Need == estate.Soft:
			g.soft[from] = append(g.soft[from], to)
		case d.Need.Orders():
			i, ok := number[pair]
			if !ok {
				i = len(g.arcs)
				number[pair] = i
				g.arcs = append(g.arcs, arc{from: from, to: to, harm: harm[pair]})
			}
			g.arcs[i].needs = append(g.arcs[i].needs, d.Need)
			g.arcs[i].evidence = append(g.arcs[i].evidence, d.Evidence...)
		}
	}
	slices.SortFunc(g.arcs, func(a, b arc) int { return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to)) })
	for i := range g.arcs {
		a := &g.arcs[i]
		slices.SortFunc(a.needs, func(x, y estate.Need) int {
			return cmp.Compare(slices.Index(hardness, x), slices.Index(hardness, y))
		})
		a.needs = slices.Compact(a.needs)
		g.out[a.from] = append(g.out[a.from], i)
		g.in[a.to] = append(g.in[a.to], i)
	}
	for v := range g.soft {
		slices.Sort(g.soft[v])
		g.soft[v] = slices.Compact(g.soft[v])
	}
}

func (g *graph) pair(a arc) Pair { return Pair{g.ids[a.from], g.ids[a.to]} }

// knots finds the components that need each other, by their numbers.
func (g *graph) knots() [][]int {
	for v := range g.knot {
		g.knot[v] = -1
	}
	parts := scc.Find(len(g.ids), func(v int) int { return len(g.out[v]) }, func(v, i int) int { return g.arcs[g.out[v][i]].to })
	for _, part := range parts {
		if len(part) < 2 {
			continue
		}
		for _, v := range part {
			g.knot[v] = len(g.list)
		}
		g.list = append(g.list, part)
	}
	return g.list
}

// circles returns, by component, the number of the knot that it is still in
// while what is open does not count, or -1, and how many knots there are.
func (g *graph) circles(part []int) (in map[int]int, count int) {
	at := make(map[int]int, len(part))
	next := make([][]int, len(part))
	for i, v := range part {
		at[v] = i
	}
	for i, v := range part {
		for _, a := range g.out[v] {
			if to, ok := at[g.arcs[a].to]; ok && !g.arcs[a].open {
				next[i] = append(next[i], to)
			}
		}
	}
	in = make(map[int]int, len(part))
	for _, p := range scc.Find(len(part), func(v int) int { return len(next[v]) }, func(v, i int) int { return next[v][i] }) {
		number := -1
		if len(p) > 1 {
			number = count
			count++
		}
		for _, i := range p {
			in[part[i]] = number
		}
	}
	return in, count
}

// leads reports whether a component needs another, directly or not, within its
// knot, while what is open does not count.
func (g *graph) leads(from, to int) bool {
	g.walks++
	g.walked[from] = g.walks
	stack := append(g.stack[:0], from)
	for len(stack) > 0 {
		v := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if v == to {
			break
		}
		for _, a := range g.out[v] {
			arc := &g.arcs[a]
			if u := arc.to; !arc.open && g.walked[u] != g.walks && g.knot[u] == g.knot[to] {
				g.walked[u] = g.walks
				stack = append(stack, u)
			}
		}
	}
	g.stack = stack[:0]
	return g.walked[to] == g.walks
}

// starts is from how many components of a knot a shortest way around is looked
// for. It is an example for people; a longer one does as well.
const starts = 100

// circle returns a short way around in a knot.
func (g *graph) circle(part []int) []estate.ID {
	var best []int
	for _, start := range part[:min(len(part), starts)] {
		if way := g.around(start); best == nil || len(way) < len(best) {
			best = way
		}
		if len(best) == 2 {
			break
		}
	}
	return g.names(best)
}

// around returns a shortest way from a component of a knot back to it.
func (g *graph) around(start int) []int {
	came := map[int]int{start: -1}
	for queue := []int{start}; ; queue = queue[1:] {
		v := queue[0] // in a knot, each leads back in the end
		for _, a := range g.out[v] {
			u := g.arcs[a].to
			if u == start {
				var way []int
				for ; v >= 0; v = came[v] {
					way = append(way, v)
				}
				slices.Reverse(way)
				return way
			}
			if _, ok := came[u]; !ok && g.knot[u] == g.knot[start] {
				came[u] = v
				queue = append(queue, u)
			}
		}
	}
}

func (g *graph) names(list []int) []estate.ID {
	ids := make([]estate.ID, len(list))
	for i, v := range list {
		ids[i] = g.ids[v]
	}
	return ids
}

// hosts reports whether something runs on a component, directly or not.
func (g *graph) hosts(host, guest int) bool {
	seen := map[int]bool{guest: true}
	for queue := []int{guest}; len(queue) > 0; {
		v := queue[0]
		queue = queue[1:]
		for _, a := range g.out[v] {
			arc := &g.arcs[a]
			if arc.needs[0] != estate.Hosting || seen[arc.to] {
				continue
			}
			if arc.to == host {
				return true
			}
			seen[arc.to] = true
			queue = append(queue, arc.to)
		}
	}
	return false
}

// needsWords says for what one needs the other.
func (a *arc) needsWords() string {
	words := make([]string, len(a.needs))
	for i, n := range a.needs {
		switch n {
		case estate.Hosting:
			words[i] = "to run on"
		case estate.Start:
			words[i] = "to start"
		case estate.Run:
			words[i] = "to serve"
		}
	}
	return strings.Join(words, " and ")
}

// evidenceWords quotes the evidence that is worth most.
func (a *arc) evidenceWords() string {
	if len(a.evidence) == 0 {
		return "nobody says why"
	}
	e := slices.MinFunc(a.evidence, func(x, y estate.Evidence) int {
		return cmp.Or(cmp.Compare(slices.Index(worth, x.Basis), slices.Index(worth, y.Basis)), -cmp.Compare(x.Count, y.Count),
			cmp.Compare(x.Source, y.Source), cmp.Compare(x.Place, y.Place), cmp.Compare(x.Detail, y.Detail))
	})
	text := string(e.Basis)
	if e.Basis == estate.Observed && e.Count > 0 {
		text += " " + times(e.Count)
	}
	if e.Source != "" {
		text += " by " + e.Source
	}
	for _, more := range []string{e.Place, e.Detail} {
		if more != "" {
			text += ", " + more
		}
	}
	return text
}

// worth is what evidence is worth, most first.
var worth = []estate.Basis{estate.Stated, estate.Declared, estate.Observed, estate.Derived}

func times(n int64) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// often is how often a need has to be observed to be believed as one that
// somebody wrote down is. Less is what a chance connection may leave.
const often = 10

// doubt says what the evidence of an arc is worth while it is weak: the less,
// the sooner it is given up. What a component runs on is never weak, nor what
// somebody wrote down, or set a harm for.
func (a *arc) doubt() (worth int, weak bool) {
	if a.harm > 0 || a.needs[0] == estate.Hosting {
		return 0, false
	}
	seen := int64(0)
	worth = 1
	for _, e := range a.evidence {
		switch e.Basis {
		case estate.Stated, estate.Declared:
			return 0, false
		case estate.Observed:
			seen += max(1, e.Count)
		case estate.Derived:
			worth = 2
		}
	}
	if seen >= often {
		return 0, false
	}
	if seen > 0 {
		worth = 2 + int(seen)
	}
	return worth, true
}
