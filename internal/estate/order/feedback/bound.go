package feedback

import (
	"container/heap"
	"math"
	"math/rand/v2"
	"slices"
)

// bounding is how many numbers all bounds together may change.
const bounding = 700_000_000

// widest is how many arcs may be full in a packing: their matrix takes 32 MiB.
const widest = 2000

// What counts as nothing among numbers that are about as great as 1.
const (
	tiny  = 1e-9
	small = 1e-7
)

// A packing proves a bound. Each cycle has an arc that is given up. So if cycles
// are packed into a graph, any part of each, so that no arc is in more of them
// than it weighs, then every answer weighs at least as much as was packed.
//
// The best packing is a linear program with a variable for each cycle, of which
// there are too many to write down. It is solved by the simplex method over the
// cycles that are known; the prices that it gives to the arcs show which cycles
// are missing, namely those whose arcs cost less than 1 together; they are found
// as cheapest ways, and so on until there is none (as Baharev, Schichl, Neumaier
// and Achterberg do, who state it the other way round: "An exact method for the
// minimum feedback arc set problem", 2021). What is packed at any time is a
// proof, so it does not matter when it ends.
//
// An arc has room, or is full; what is full has a price. There are always as
// many full arcs as cycles that are packed, so that either determine the other:
// the matrix that says which of these cycles has which of these arcs has an
// inverse. That is kept, and all else follows from it.
type packing struct {
	*graph
	place  []int // some order; each cycle has an arc that it gives up
	target int   // what that gives up: more cannot be proven
	left   int   // how many numbers may still be changed

	cycles [][]int // the arcs of each that is known
	slot   []int   // by cycle: where it is packed, or -1
	packed []int   // by slot: the cycle
	amount []float64

	holds  []float64   // by arc
	room   []float64   // by arc: what can still be packed into it
	price  []float64   // by arc: 0 while it has room
	full   []int       // the arcs that are
	column [][]float64 // by arc: if it is full, how much of each packed cycle comes with one more room in it

	// What it would change to bring something in.
	fewer []float64 // by slot: how much less of each cycle is packed
	takes []float64 // by arc: the room that this takes
}

func newPacking(g *graph, order []int, effort int) *packing {
	p := &packing{
		graph: g, place: places(order), left: effort,
		holds: make([]float64, g.arcs), price: make([]float64, g.arcs),
		column: make([][]float64, g.arcs), takes: make([]float64, g.arcs),
	}
	p.target = g.cost(p.place)
	// Where weights are alike many steps of the simplex method lead nowhere.
	// So each arc holds a little less, by chance, which proves no more.
	chance := rand.New(rand.NewPCG(2, uint64(g.arcs)))
	for _, ends := range g.out {
		for _, e := range ends {
			p.holds[e.arc] = float64(e.weight) * (1 - 1e-5*chance.Float64())
		}
	}
	p.room = slices.Clone(p.holds)
	return p
}

// bound returns what is proven.
func (p *packing) bound() int {
	p.seed()
	p.improve()
	best := p.proven()
	for p.left > 0 && len(p.full) < widest/2 && best < p.target && p.find() {
		p.improve()
		best = max(best, p.proven())
	}
	return best
}

// proven takes what is packed now, and nothing else of all that was computed.
func (p *packing) proven() int {
	load := make([]float64, p.arcs)
	sum := 0.0
	for slot, c := range p.packed {
		sum += p.amount[slot]
		for _, a := range p.cycles[c] {
			load[a] += p.amount[slot]
		}
	}
	over := 1.0
	for _, ends := range p.out {
		for _, e := range ends {
			over = max(over, load[e.arc]/float64(e.weight))
		}
	}
	// All weights are whole, so is the best answer. A sum of these numbers is
	// wrong by far less than what is taken off here.
	return int(math.Ceil(sum/over - 1e-9*(1+sum)))
}

// know adds a cycle to those that are known.
func (p *packing) know(cycle []int) {
	p.cycles = append(p.cycles, cycle)
	p.slot = append(p.slot, -1)
}

// seed adds cycles that can be packed side by side, short ones first.
func (p *packing) seed() {
	room := make([]int, p.arcs) // what they leave
	for _, ends := range p.out {
		for _, e := range ends {
			room[e.arc] = e.weight
		}
	}
	w := newWays(p)
	for most := 3; p.left > 0 && most <= 2*p.nodes(); most += 1 + most/8 {
		for v, ends := range p.in {
			for _, e := range ends {
				for p.place[e.node] < p.place[v] && room[e.arc] > 0 {
					cycle := w.shortest(v, e.node, most-1, room)
					if cycle == nil || p.left <= 0 {
						break
					}
					cycle = append(cycle, e.arc)
					p.know(cycle)
					least := room[e.arc]
					for _, a := range cycle {
						least = min(least, room[a])
					}
					for _, a := range cycle {
						room[a] -= least
					}
				}
			}
		}
	}
}

// find adds, for each arc that the order gives up, the cheapest cycle through
// it, if that costs less than 1, and says whether there was one.
func (p *packing) find() bool {
	w := newWays(p)
	known := len(p.cycles)
	for v, ends := range p.in {
		if !slices.ContainsFunc(ends, func(e end) bool { return p.place[e.node] < p.place[v] }) {
			continue
		}
		w.from(v)
		for _, e := range ends {
			if p.place[e.node] > p.place[v] {
				continue
			}
			if w.cost[e.node]+p.price[e.arc] < 1-1e-6 {
				p.know(append(w.back(e.node), e.arc))
			}
		}
	}
	return len(p.cycles) > known
}

// improve packs as much as can be of the cycles that are known.
func (p *packing) improve() {
	p.settle()
	for p.left > 0 && len(p.full) < widest {
		// What gains most comes in: a cycle that costs less than 1, or room in
		// an arc whose price has fallen below 0.
		arc, cycle, gain := -1, -1, small
		for _, a := range p.full {
			if -p.price[a] > gain {
				arc, gain = a, -p.price[a]
			}
		}
		for c, arcs := range p.cycles {
			if p.slot[c] >= 0 {
				continue
			}
			by := 1.0
			for _, a := range arcs {
				by -= p.price[a]
			}
			if by > gain {
				cycle, gain = c, by
			}
			p.left -= len(arcs)
		}
		switch {
		case cycle >= 0:
			p.weigh(p.cycles[cycle], 1)
			arc = -1
		case arc >= 0:
			p.weigh([]int{arc}, 0)
		default:
			return
		}
		if !p.pivot(cycle, arc, gain) {
			return
		}
	}
}

// settle computes anew what is packed and what has room, since errors of
// rounding add up in what is changed step by step.
func (p *packing) settle() {
	clear(p.amount)
	for _, a := range p.full {
		for s, x := range p.column[a] {
			p.amount[s] += x * p.holds[a]
		}
	}
	copy(p.room, p.holds)
	for s, c := range p.packed {
		p.amount[s] = max(0, p.amount[s])
		for _, a := range p.cycles[c] {
			p.room[a] -= p.amount[s]
		}
	}
	for a := range p.room {
		p.room[a] = max(0, p.room[a])
	}
}

// weigh says what it changes if some arcs have one less room for what is packed,
// which takes so much of each of them.
func (p *packing) weigh(arcs []int, takes float64) {
	p.fewer = append(p.fewer[:0], make([]float64, len(p.packed))...)
	clear(p.takes)
	for _, a := range arcs {
		p.takes[a] += takes
		for slot, x := range p.column[a] {
			p.fewer[slot] += x
		}
	}
	for slot, c := range p.packed {
		if math.Abs(p.fewer[slot]) < tiny {
			p.fewer[slot] = 0
			continue
		}
		for _, a := range p.cycles[c] {
			p.takes[a] -= p.fewer[slot]
		}
	}
	p.left -= p.arcs + len(p.packed)
}

// pivot brings in the cycle, or room in the arc, whichever is not negative: as
// much as can be, until nothing is left of another cycle or an arc is full.
func (p *packing) pivot(cycle, arc int, gain float64) bool {
	most, slot, filled := p.ratio()
	if slot < 0 && filled < 0 {
		return false // rounding has gone astray: what arcs hold has a limit
	}
	for s, x := range p.fewer {
		p.amount[s] = max(0, p.amount[s]-most*x)
	}
	for a, x := range p.takes {
		if p.column[a] == nil {
			p.room[a] = max(0, p.room[a]-most*x)
		}
	}
	// First as if what comes in took a slot of its own, then what goes out
	// gives up its own.
	shares := p.update(slot, filled, gain)
	if filled >= 0 {
		by := p.takes[filled]
		column := make([]float64, len(p.packed), len(p.packed)+16)
		for s, x := range p.fewer {
			column[s] = -x / by
		}
		p.column[filled], p.price[filled], p.room[filled] = column, gain/by, 0
		p.full, shares = append(p.full, filled), append(shares, 1/by)
	}
	if arc >= 0 {
		i := slices.Index(p.full, arc)
		p.full, shares = slices.Delete(p.full, i, i+1), slices.Delete(shares, i, i+1)
		p.column[arc], p.price[arc], p.room[arc] = nil, 0, most
	}
	switch {
	case cycle >= 0 && slot >= 0:
		p.slot[p.packed[slot]] = -1
		p.packed[slot], p.slot[cycle], p.amount[slot] = cycle, slot, most
		for i, a := range p.full {
			p.column[a][slot] = shares[i]
		}
	case cycle >= 0:
		p.slot[cycle] = len(p.packed)
		p.packed, p.amount = append(p.packed, cycle), append(p.amount, most)
		for i, a := range p.full {
			p.column[a] = append(p.column[a], shares[i])
		}
	case slot >= 0:
		last := len(p.packed) - 1
		p.slot[p.packed[slot]] = -1
		if slot < last {
			p.packed[slot], p.amount[slot] = p.packed[last], p.amount[last]
			p.slot[p.packed[slot]] = slot
		}
		p.packed, p.amount = p.packed[:last], p.amount[:last]
		for _, a := range p.full {
			p.column[a][slot] = p.column[a][last]
			p.column[a] = p.column[a][:last]
		}
	}
	return true
}

// ratio returns how much can come in, and what stops it: the cycle in a slot of
// which nothing is left, or else an arc that is full. Of those that stop it at
// about the same amount it takes the one with the greatest number, by which
// others are divided (Harris's test).
func (p *packing) ratio() (most float64, slot, filled int) {
	limit := math.Inf(1)
	for s, x := range p.fewer {
		if x > small {
			limit = min(limit, (p.amount[s]+small)/x)
		}
	}
	for a, x := range p.takes {
		if x > small && p.column[a] == nil {
			limit = min(limit, (p.room[a]+small)/x)
		}
	}
	slot, filled = -1, -1
	greatest := 0.0
	for s, x := range p.fewer {
		if x > max(small, greatest) && p.amount[s]/x <= limit {
			greatest, most, slot = x, p.amount[s]/x, s
		}
	}
	for a, x := range p.takes {
		if x > max(small, greatest) && p.column[a] == nil && p.room[a]/x <= limit {
			greatest, most, slot, filled = x, p.room[a]/x, -1, a
		}
	}
	return most, slot, filled
}

// update brings columns and prices of the full arcs up to date, and returns the
// share that each has in what comes in. What goes out is the cycle in a slot, or
// the room in an arc that is filled.
func (p *packing) update(slot, filled int, gain float64) []float64 {
	var with []int // slots of the cycles through the arc that is filled
	if filled >= 0 {
		for s, c := range p.packed {
			if slices.Contains(p.cycles[c], filled) {
				with = append(with, s)
			}
		}
	}
	shares := make([]float64, len(p.full), len(p.full)+1)
	for i, a := range p.full {
		column := p.column[a]
		share := 0.0
		if filled < 0 {
			share = column[slot] / p.fewer[slot]
		} else {
			for _, s := range with {
				share -= column[s]
			}
			share /= p.takes[filled]
		}
		p.left -= 8
		if math.Abs(share) < tiny {
			continue
		}
		for s, x := range p.fewer {
			column[s] -= share * x
		}
		p.left -= len(column)
		p.price[a] += gain * share
		shares[i] = share
	}
	return shares
}

// slow is how many numbers could change while one arc is looked at, in memory
// far apart.
const slow = 8

// ways finds ways from one node to others.
type ways struct {
	*packing
	start  int
	came   []step    // by node: how the way came there
	cost   []float64 // by node: of the way there
	open   queue
	walks  int
	walked []int // by node: the last walk that came there
	hops   []int // and after how many arcs
	line   []int // the nodes where it came, in that order
}

type step struct{ node, arc int }

func newWays(p *packing) *ways {
	n := p.nodes()
	return &ways{packing: p, came: make([]step, n), cost: make([]float64, n), walked: make([]int, n), hops: make([]int, n)}
}

// from looks for the ways that cost less than 1, the cheapest ones (Dijkstra).
func (w *ways) from(start int) {
	w.start = start
	for v := range w.cost {
		w.cost[v] = math.Inf(1)
	}
	w.cost[start] = 0
	w.open = append(w.open[:0], item{0, start})
	w.left -= len(w.cost)
	for len(w.open) > 0 {
		now := heap.Pop(&w.open).(item)
		if now.key > w.cost[now.node] {
			continue
		}
		w.left -= slow * len(w.out[now.node])
		for _, e := range w.out[now.node] {
			// Of ways that cost the same, the one with fewer arcs.
			d := now.key + max(0, w.price[e.arc]) + tiny
			if d < 1 && d < w.cost[e.node] {
				w.cost[e.node], w.came[e.node] = d, step{now.node, e.arc}
				heap.Push(&w.open, item{d, e.node})
			}
		}
	}
}

// shortest returns the arcs of a way to a node with the fewest of them, at most
// so many, all of which have room; nil if there is none.
func (w *ways) shortest(start, goal, most int, room []int) []int {
	w.start = start
	w.walks++
	w.walked[start], w.hops[start] = w.walks, 0
	w.line = append(w.line[:0], start)
	for i := 0; i < len(w.line) && w.walked[goal] != w.walks; i++ {
		v := w.line[i]
		if w.hops[v] == most {
			break
		}
		w.left -= slow * len(w.out[v])
		for _, e := range w.out[v] {
			if room[e.arc] > 0 && w.walked[e.node] != w.walks {
				w.walked[e.node], w.hops[e.node], w.came[e.node] = w.walks, w.hops[v]+1, step{v, e.arc}
				w.line = append(w.line, e.node)
			}
		}
	}
	if w.walked[goal] != w.walks {
		return nil
	}
	return w.back(goal)
}

// back returns the arcs of the way that was found to a node.
func (w *ways) back(node int) []int {
	var arcs []int
	for v := node; v != w.start; v = w.came[v].node {
		arcs = append(arcs, w.came[v].arc)
	}
	slices.Reverse(arcs)
	return arcs
}

// A queue gives what has the least key first.
type queue []item

type item struct {
	key  float64
	node int
}

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].key < q[j].key }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)        { *q = append(*q, x.(item)) }
func (q *queue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}
