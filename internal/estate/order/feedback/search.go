package feedback

import (
	"cmp"
	"math/rand/v2"
	"slices"
)

// searching is how many ends of arcs all searches together may look at.
const searching = 30_000_000

// search makes an order better. It moves each node to where it costs least
// until no move helps. Then it throws some nodes elsewhere, mends that in the
// same way, keeps what did not become worse, and so on until its effort is spent.
func (g *graph) search(order []int, effort int) []int {
	s := &searcher{graph: g, order: order, place: places(order), left: effort, waits: make([]bool, g.nodes())}
	s.cost = g.cost(s.place)
	for v := range g.nodes() {
		s.look(v)
	}
	s.descend()
	best, least := slices.Clone(s.order), s.cost
	chance := rand.New(rand.NewPCG(1, uint64(g.nodes())))
	for s.left > 0 && least > 0 {
		for range 1 + chance.IntN(4) {
			s.throw(chance.IntN(g.nodes()), chance.IntN(g.nodes()))
		}
		s.descend()
		if s.cost <= least {
			least = s.cost
			copy(best, s.order)
		} else {
			s.cost = least
			copy(s.order, best)
			for i, v := range best {
				s.place[v] = i
			}
		}
		s.left -= g.nodes() / 4
	}
	return best
}

// greedy returns an order by the rule of Eades, Lin and Smyth ("A fast and
// effective heuristic for the feedback arc set problem", 1993): it takes away,
// again and again, a node that needs nobody to the front, or one that nobody
// needs to the end, or else the one of which most more is needed than it needs.
// Arcs may have prices; what costs 1 counts as nothing, and what costs nothing
// in full.
func (g *graph) greedy(price []float64) []int {
	n := g.nodes()
	worth := make([]float64, g.arcs)
	needs, needed := make([]float64, n), make([]float64, n) // worth of arcs to nodes that are still there
	count := make([][2]int, n)                              // numbers of them that are worth anything
	for v := range n {
		for _, e := range g.out[v] {
			worth[e.arc] = float64(e.weight)
			if price != nil {
				worth[e.arc] *= 1 - min(1, max(0, price[e.arc]))
			}
			if worth[e.arc] < small {
				continue
			}
			needs[v] += worth[e.arc]
			needed[e.node] += worth[e.arc]
			count[v][0]++
			count[e.node][1]++
		}
	}
	gone := make([]bool, n)
	take := func(v int) {
		gone[v] = true
		for _, e := range g.out[v] {
			if worth[e.arc] >= small {
				needed[e.node] -= worth[e.arc]
				count[e.node][1]--
			}
		}
		for _, e := range g.in[v] {
			if worth[e.arc] >= small {
				needs[e.node] -= worth[e.arc]
				count[e.node][0]--
			}
		}
	}
	var first, last []int
	for range n {
		pick, end := -1, false
		for v := range n {
			if gone[v] {
				continue
			}
			if count[v][0] == 0 || count[v][1] == 0 {
				pick, end = v, count[v][0] > 0
				break
			}
			if pick < 0 || needed[v]-needs[v] > needed[pick]-needs[pick] {
				pick = v
			}
		}
		take(pick)
		if end {
			last = append(last, pick)
		} else {
			first = append(first, pick)
		}
	}
	slices.Reverse(last)
	return append(first, last...)
}

type searcher struct {
	*graph
	order, place []int
	cost         int      // of the order
	left         int      // of the effort
	queue        []int    // nodes that may cost less elsewhere
	waits        []bool   // by node: whether it is there
	near         []change // of move, kept to be used again
}

// A change is what a node's cost grows by when the node passes a place.
type change struct{ place, grows int }

func (s *searcher) look(v int) {
	if !s.waits[v] {
		s.waits[v] = true
		s.queue = append(s.queue, v)
	}
}

// descend moves nodes to where they cost least until no move helps. What a node
// costs depends on where its neighbours stand, so only they are looked at again.
func (s *searcher) descend() {
	for i := 0; i < len(s.queue); i++ {
		v := s.queue[i]
		s.waits[v] = false
		if s.left > 0 && s.move(v) {
			s.lookAround(v)
		}
	}
	s.queue = s.queue[:0]
}

func (s *searcher) lookAround(v int) {
	for _, e := range s.out[v] {
		s.look(e.node)
	}
	for _, e := range s.in[v] {
		s.look(e.node)
	}
}

// move moves a node to where it costs least, and says whether that helped.
func (s *searcher) move(v int) bool {
	s.left -= len(s.out[v]) + len(s.in[v])
	s.near = s.near[:0]
	// Later than what it needs, the node gives up nothing; earlier than that,
	// the arc. For those that need it, it is the other way round.
	for _, e := range s.out[v] {
		s.near = append(s.near, change{s.place[e.node], -e.weight})
	}
	for _, e := range s.in[v] {
		s.near = append(s.near, change{s.place[e.node], e.weight})
	}
	slices.SortFunc(s.near, func(a, b change) int { return cmp.Compare(a.place, b.place) })
	here := s.place[v]
	above, _ := slices.BinarySearchFunc(s.near, here, func(c change, here int) int { return cmp.Compare(c.place, here) })
	to, least := here, 0
	try := func(i, next, sum int) {
		// Two nodes that need each other are two changes at one place.
		if sum < least && (next < 0 || next == len(s.near) || s.near[next].place != s.near[i].place) {
			to, least = s.near[i].place, sum
		}
	}
	sum := 0
	for i := above; i < len(s.near); i++ {
		sum += s.near[i].grows
		try(i, i+1, sum)
	}
	sum = 0
	for i := above - 1; i >= 0; i-- {
		sum -= s.near[i].grows
		try(i, i-1, sum)
	}
	if to == here {
		return false
	}
	s.put(v, to)
	s.cost += least
	return true
}

// put moves a node to a place, and those between by one.
func (s *searcher) put(v, to int) {
	here := s.place[v]
	if here < to {
		copy(s.order[here:to], s.order[here+1:to+1])
	} else {
		copy(s.order[to+1:here+1], s.order[to:here])
	}
	s.order[to] = v
	for i := min(here, to); i <= max(here, to); i++ {
		s.place[s.order[i]] = i
	}
}

// throw moves a node to a place, whatever that costs.
func (s *searcher) throw(v, to int) {
	before := s.costs(v)
	s.put(v, to)
	s.cost += s.costs(v) - before
	s.look(v)
	s.lookAround(v)
}

// costs is what a node's arcs that are given up weigh.
func (s *searcher) costs(v int) int {
	sum := 0
	for _, e := range s.out[v] {
		if s.place[v] < s.place[e.node] {
			sum += e.weight
		}
	}
	for _, e := range s.in[v] {
		if s.place[e.node] < s.place[v] {
			sum += e.weight
		}
	}
	return sum
}
