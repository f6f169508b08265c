// Package feedback finds minimum feedback arc sets: which arcs of a directed
// graph to give up, so that what is left has no cycle and what was given up
// weighs as little as possible.
//
// Up to Exact nodes the answer is the best there is. Above that it is the best
// of a search of fixed length, with a weight that no answer can stay below, so
// that whoever uses it can say how far from the best it may be. The same graph
// gives the same answer: effort is counted, there is no clock, and chance comes
// from a generator with a fixed seed.
//
// It does not promise that the two weights meet. In sparse graphs, as they are
// drawn of real estates, they mostly do; in dense ones without structure nobody
// knows a way to prove much.
package feedback

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"strongroom/internal/estate/order/scc"
)

// Exact is the most nodes for which the answer is always the best.
const Exact = 24

// Most is what all arcs together may weigh.
const Most = math.MaxInt32

// An Arc leads from a node to another that it needs, both counted from 0.
type Arc struct {
	From, To int
	Weight   int // at least 1
}

// An Answer says what to give up.
type Answer struct {
	Order  []int // all nodes; every arc that is kept leads to an earlier one
	Cut    []int // the arcs that are given up, by their place in what was asked, ascending
	Weight int   // of all that is given up
	Bound  int   // no answer weighs less; the same as Weight if this one is proven to be the best
}

// Solve finds an answer for a graph of n nodes. Arcs may be parallel; one from
// a node to itself is always given up.
func Solve(n int, arcs []Arc) (Answer, error) {
	sum := 0
	for i, a := range arcs {
		if a.From < 0 || a.From >= n || a.To < 0 || a.To >= n {
			return Answer{}, fmt.Errorf("arc %d leads from %d to %d, and there are %d nodes", i, a.From, a.To, n)
		}
		if a.Weight < 1 || a.Weight > Most-sum {
			return Answer{}, fmt.Errorf("arc %d weighs %d: each weighs at least 1, and all together at most %d", i, a.Weight, Most)
		}
		sum += a.Weight
	}
	g := newGraph(n, arcs)
	order, bound := g.solve(budget{searching, bounding})
	return answer(n, arcs, order, bound), nil
}

// answer says what an order of the nodes costs, whatever it has been found by.
func answer(n int, arcs []Arc, order []int, bound int) Answer {
	place := places(order)
	a := Answer{Order: order, Bound: bound}
	for i, arc := range arcs {
		if place[arc.From] > place[arc.To] {
			continue
		}
		a.Cut = append(a.Cut, i)
		a.Weight += arc.Weight
		if arc.From == arc.To {
			a.Bound += arc.Weight
		}
	}
	return a
}

// A budget is how much may be done.
type budget struct{ search, bound int }

// share is the part of it for so many of all arcs.
func (b budget) share(arcs, all int) budget {
	part := float64(arcs) / float64(all)
	return budget{int(float64(b.search) * part), int(float64(b.bound) * part)}
}

// solve returns an order and a weight that none stays below. Each knot is a
// problem of its own.
func (g *graph) solve(b budget) (order []int, bound int) {
	parts := g.components()
	knots := make([]*graph, len(parts))
	arcs := 0
	for i, part := range parts {
		if len(part) > 1 {
			knots[i] = g.part(part)
			arcs += knots[i].arcs
		}
	}
	for i, part := range parts {
		if knots[i] == nil {
			order = append(order, part[0])
			continue
		}
		inner, least := knots[i].knot(b.share(knots[i].arcs, arcs))
		for _, v := range inner {
			order = append(order, part[v])
		}
		bound += least
	}
	return order, bound
}

// knot is solve for a graph in which each node can be reached from each.
func (g *graph) knot(b budget) (order []int, bound int) {
	if smaller, groups, paid := g.reduce(); paid > 0 || len(groups) < g.nodes() {
		inner, least := smaller.solve(b)
		for _, v := range inner {
			order = append(order, groups[v]...)
		}
		return order, least + paid
	}
	if g.nodes() <= quick {
		return g.best()
	}
	if g.nodes() <= Exact {
		b = budget{little / 20, little}
	}
	order, bound = g.near(b)
	if g.nodes() <= Exact && bound < g.cost(places(order)) {
		return g.best()
	}
	return order, bound
}

// quick is the most nodes for which trying everything takes less time than
// anything else: milliseconds.
const quick = 14

// little is how many numbers may change for a bound of at most Exact nodes. What
// is proven by then, as most is, need not be looked for among all orders.
const little = 4_000_000

// best returns the best order and what it costs.
func (g *graph) best() (order []int, bound int) {
	order = g.exact()
	return order, g.cost(places(order))
}

// deep is how many ends of arcs a search looks at most for each arc there is:
// more is of no use to small graphs.
const deep = 60_000

// near returns a good order and a bound. It goes on to what takes longer only
// while the order is not proven to be the best.
func (g *graph) near(b budget) (order []int, bound int) {
	effort := min(b.search, deep*g.arcs)
	order = g.search(g.greedy(nil), effort/16)
	p := newPacking(g, order, b.bound)
	bound = p.bound()
	better := func(other []int) {
		if g.cost(places(other)) < g.cost(places(order)) {
			order = other
		}
	}
	if bound < g.cost(places(order)) {
		// What has a high price in the packing is worth giving up.
		better(g.search(g.greedy(p.price), effort/4))
	}
	if bound < g.cost(places(order)) {
		better(g.search(g.anneal(g.greedy(nil), effort/2), effort/8))
	}
	return order, bound
}

// places returns where each node stands in an order.
func places(order []int) []int {
	place := make([]int, len(order))
	for i, v := range order {
		place[v] = i
	}
	return place
}

// A graph has its arcs at both of their ends, without loops; parallel arcs are
// one, of their weights together.
type graph struct {
	out, in [][]end // by node, sorted by the other
	arcs    int
}

// An end is the other end of an arc.
type end struct {
	node, weight int
	arc          int // the number of the arc, the same at both ends
}

func newGraph(n int, arcs []Arc) *graph {
	sorted := slices.Clone(arcs)
	slices.SortFunc(sorted, func(a, b Arc) int { return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To)) })
	g := &graph{out: make([][]end, n), in: make([][]end, n)}
	for i := 0; i < len(sorted); {
		a := sorted[i]
		for i++; i < len(sorted) && sorted[i].From == a.From && sorted[i].To == a.To; i++ {
			a.Weight += sorted[i].Weight
		}
		if a.From == a.To {
			continue
		}
		g.out[a.From] = append(g.out[a.From], end{a.To, a.Weight, g.arcs})
		g.in[a.To] = append(g.in[a.To], end{a.From, a.Weight, g.arcs})
		g.arcs++
	}
	return g
}

func (g *graph) nodes() int { return len(g.out) }

// cost is the weight of the arcs that an order gives up.
func (g *graph) cost(place []int) int {
	sum := 0
	for v, ends := range g.out {
		for _, e := range ends {
			if place[v] < place[e.node] {
				sum += e.weight
			}
		}
	}
	return sum
}

// part returns the graph of some nodes and the arcs between them; its nodes are
// numbered as they are listed.
func (g *graph) part(nodes []int) *graph {
	number := make(map[int]int, len(nodes))
	for i, v := range nodes {
		number[v] = i
	}
	var arcs []Arc
	for i, v := range nodes {
		for _, e := range g.out[v] {
			if to, ok := number[e.node]; ok {
				arcs = append(arcs, Arc{i, to, e.weight})
			}
		}
	}
	return newGraph(len(nodes), arcs)
}

// components returns the strongly connected components, each after all that it
// needs.
func (g *graph) components() [][]int {
	return scc.Find(g.nodes(), func(v int) int { return len(g.out[v]) }, func(v, i int) int { return g.out[v][i].node })
}
