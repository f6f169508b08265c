package feedback

import "slices"

// reduce returns a smaller graph that is worth the same, less what is paid in
// any case, and which nodes each of its nodes stands for, in their order. Two
// rules are applied until neither can be:
//
//   - Of two arcs between the same nodes, one each way, any order gives up one.
//     So the lighter one is paid, and the heavier one weighs that much less.
//   - If all ways on from a node v begin with its arc to u, or all ways to u end
//     with it, and that arc weighs at least as much as all arcs to v together,
//     or all from u, then it need not be given up: the others can be instead.
//     So u and v stand side by side, u first, and are one node.
func (g *graph) reduce() (smaller *graph, groups [][]int, paid int) {
	r := newReduction(g)
	for len(r.queue) > 0 {
		v := r.queue[0]
		r.queue = r.queue[1:]
		r.waits[v] = false
		if r.group[v] == nil {
			continue
		}
		r.cancel(v)
		if u, ok := only(r.out[v]); ok && r.spared(v, u) {
			r.merge(v, u)
		} else if u, ok := only(r.in[v]); ok && r.spared(u, v) {
			r.merge(u, v)
		}
	}
	number := make([]int, g.nodes())
	for v, group := range r.group {
		if group != nil {
			number[v] = len(groups)
			groups = append(groups, group)
		}
	}
	var arcs []Arc
	for v, out := range r.out {
		for u, w := range out {
			arcs = append(arcs, Arc{number[v], number[u], w})
		}
	}
	return newGraph(len(groups), arcs), groups, r.paid
}

// A reduction is a graph that is being made smaller.
type reduction struct {
	out, in     []map[int]int // weights, by node and the other node
	needs, used []int         // what the arcs from a node, and to it, weigh together
	group       [][]int       // the nodes that it stands for; nil if it is part of another
	paid        int
	queue       []int // nodes for which a rule may have come to apply
	waits       []bool
}

func newReduction(g *graph) *reduction {
	n := g.nodes()
	r := &reduction{
		out: make([]map[int]int, n), in: make([]map[int]int, n),
		needs: make([]int, n), used: make([]int, n),
		group: make([][]int, n), waits: make([]bool, n),
	}
	for v := range n {
		r.out[v], r.in[v] = make(map[int]int), make(map[int]int)
		r.group[v] = []int{v}
	}
	for v, ends := range g.out {
		for _, e := range ends {
			r.add(v, e.node, e.weight)
		}
		r.look(v)
	}
	return r
}

func only(ends map[int]int) (int, bool) {
	if len(ends) != 1 {
		return 0, false
	}
	for v := range ends {
		return v, true
	}
	return 0, false
}

// add makes an arc heavier, or lighter; one that weighs nothing is none.
func (r *reduction) add(v, u, weight int) {
	r.out[v][u] += weight
	r.in[u][v] += weight
	r.needs[v] += weight
	r.used[u] += weight
	if r.out[v][u] == 0 {
		delete(r.out[v], u)
		delete(r.in[u], v)
	}
}

// look has a node looked at once more.
func (r *reduction) look(v int) {
	if !r.waits[v] {
		r.waits[v] = true
		r.queue = append(r.queue, v)
	}
}

// lookAround does so for a node and its neighbours, in an order that does not
// depend on that of a map.
func (r *reduction) lookAround(v int) {
	around := []int{v}
	for u := range r.out[v] {
		around = append(around, u)
	}
	for u := range r.in[v] {
		around = append(around, u)
	}
	slices.Sort(around)
	for _, u := range around {
		r.look(u)
	}
}

// cancel pays for the pairs of arcs between a node and others.
func (r *reduction) cancel(v int) {
	var pairs []int
	for u := range r.out[v] {
		if r.in[v][u] > 0 {
			pairs = append(pairs, u)
		}
	}
	slices.Sort(pairs)
	for _, u := range pairs {
		least := min(r.out[v][u], r.in[v][u])
		r.paid += least
		r.lookAround(v)
		r.lookAround(u)
		r.add(v, u, -least)
		r.add(u, v, -least)
	}
}

// spared reports whether the arc from v to u need not be given up.
func (r *reduction) spared(v, u int) bool {
	w := r.out[v][u]
	return w >= r.used[v] || w >= r.needs[u]
}

// merge makes v, which needs u, and u one node.
func (r *reduction) merge(v, u int) {
	group := append(slices.Clip(r.group[u]), r.group[v]...)
	r.add(v, u, -r.out[v][u])
	keep, gone := u, v
	if len(r.out[v])+len(r.in[v]) > len(r.out[u])+len(r.in[u]) {
		keep, gone = v, u
	}
	for x, w := range r.out[gone] {
		r.add(gone, x, -w)
		r.add(keep, x, w)
	}
	for x, w := range r.in[gone] {
		r.add(x, gone, -w)
		r.add(x, keep, w)
	}
	r.group[keep], r.group[gone] = group, nil
	r.lookAround(keep)
}
