package feedback

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

// checked fails if an answer is none: what is kept has to lead from later to
// earlier nodes, and what is given up has to weigh what is said.
func checked(t *testing.T, n int, arcs []Arc) Answer {
	t.Helper()
	a, err := Solve(n, arcs)
	if err != nil {
		t.Fatal(err)
	}
	sorted := slices.Sorted(slices.Values(a.Order))
	for v := range n {
		if sorted[v] != v {
			t.Fatalf("the order has not each of %d nodes once: %v", n, a.Order)
		}
	}
	place := places(a.Order)
	sum := 0
	for i, arc := range arcs {
		if _, cut := slices.BinarySearch(a.Cut, i); cut {
			sum += arc.Weight
		} else if place[arc.From] <= place[arc.To] {
			t.Errorf("arc %d is kept and leads from %d to %d in %v", i, arc.From, arc.To, a.Order)
		}
	}
	if sum != a.Weight || a.Bound > a.Weight || a.Bound < 0 {
		t.Errorf("weight %d, bound %d; the cut weighs %d", a.Weight, a.Bound, sum)
	}
	return a
}

// random makes a graph of one knot: a ring, and other arcs.
func random(chance *rand.Rand, n, arcs, most int) []Arc {
	var list []Arc
	for v := range n {
		list = append(list, Arc{v, (v + 1) % n, 1 + chance.IntN(most)})
	}
	for len(list) < arcs {
		list = append(list, Arc{chance.IntN(n), chance.IntN(n), 1 + chance.IntN(most)})
	}
	return list
}

// brute tries all orders.
func brute(n int, arcs []Arc) int {
	best := -1
	order := make([]int, 0, n)
	var try func(int)
	try = func(cost int) {
		if best >= 0 && cost >= best {
			return
		}
		if len(order) == n {
			best = cost
			return
		}
		for v := range n {
			if slices.Contains(order, v) {
				continue
			}
			more := 0
			for _, a := range arcs {
				// v comes now: what it needs has to be there.
				if a.From == v && !slices.Contains(order, a.To) {
					more += a.Weight
				}
			}
			order = append(order, v)
			try(cost + more)
			order = order[:len(order)-1]
		}
	}
	try(0)
	return best
}

// TestBest compares with what trying all orders finds, on 2,000 knots.
func TestBest(t *testing.T) {
	chance := rand.New(rand.NewPCG(7, 7))
	for i := range 2000 {
		n := 2 + chance.IntN(8)
		most := 1
		if i%2 == 1 {
			most = 100
		}
		arcs := random(chance, n, n+chance.IntN(2*n), most)
		a := checked(t, n, arcs)
		if want := brute(n, arcs); a.Weight != want || a.Bound != want {
			t.Fatalf("%v: weight %d, bound %d, the best is %d", arcs, a.Weight, a.Bound, want)
		}
	}
}

// TestReduced compares graphs that were made smaller first with the same graphs
// as they are, and what is done above Exact with what is best.
func TestReduced(t *testing.T) {
	chance := rand.New(rand.NewPCG(8, 8))
	for i := range 300 {
		n, most := 10+chance.IntN(7), 1+999*(i%2)
		arcs := random(chance, n, n+chance.IntN(2*n), most)
		g := newGraph(n, arcs)
		best := g.cost(places(g.exact()))
		if a := checked(t, n, arcs); a.Weight-loops(arcs) != best {
			t.Errorf("%v: weight %d with loops of %d, the best is %d", arcs, a.Weight, loops(arcs), best)
		}
		order := g.search(g.greedy(nil), 100_000)
		if cost := g.cost(places(order)); cost != best {
			t.Errorf("%v: the search ends at %d, the best is %d", arcs, cost, best)
		}
		if bound := newPacking(g, order, 1_000_000).bound(); bound > best {
			t.Errorf("%v: a bound of %d, the best is %d", arcs, bound, best)
		}
	}
}

func loops(arcs []Arc) int {
	sum := 0
	for _, a := range arcs {
		if a.From == a.To {
			sum += a.Weight
		}
	}
	return sum
}

// services makes a graph as services that call each other have: mostly down
// through tiers, some few back up, and those among the first ones only, which
// are one knot.
func services(n, knot, arcs, most int) []Arc {
	chance := rand.New(rand.NewPCG(3, uint64(n)))
	weight := func() int { return 1 + chance.IntN(most) }
	var list []Arc
	for v := range knot {
		list = append(list, Arc{(v + 1) % knot, v, weight()})
	}
	for len(list) < arcs {
		from, to := chance.IntN(n), chance.IntN(n)
		if from == to {
			continue
		}
		from, to = max(from, to), min(from, to)
		if from < knot && chance.IntN(10) == 0 {
			from, to = to, from
		}
		list = append(list, Arc{from, to, weight()})
	}
	return list
}

// TestGap states how far from the best an answer may be in knots that are too
// large for what is exact.
func TestGap(t *testing.T) {
	for _, c := range []struct {
		n, knot, arcs, most int
		gap                 float64
	}{
		{1238, 356, 4271, 1, 0.15},
		{1238, 356, 4271, 1000, 0.15},
		{5000, 1000, 50000, 1, 0.5},
		{5000, 1000, 50000, 1000, 0.5},
	} {
		a := checked(t, c.n, services(c.n, c.knot, c.arcs, c.most))
		gap := float64(a.Weight-a.Bound) / float64(a.Bound)
		t.Logf("%+v: %d, and no answer below %d: %.1f %%", c, a.Weight, a.Bound, 100*gap)
		if gap > c.gap {
			t.Errorf("%+v: %d, and no answer below %d: %.1f %%", c, a.Weight, a.Bound, 100*gap)
		}
	}
}

// TestExact has knots of 15 to 24 nodes, proven by their bounds or not.
func TestExact(t *testing.T) {
	for n := quick + 1; n <= Exact; n++ {
		arcs := random(rand.New(rand.NewPCG(uint64(n), 6)), n, n*(2+n%4), 1+n%2*50)
		if a := checked(t, n, arcs); a.Bound != a.Weight {
			t.Errorf("%d nodes: %d, and no answer below %d", n, a.Weight, a.Bound)
		} else if n == Exact {
			if _, best := newGraph(n, arcs).best(); best != a.Weight-loops(arcs) {
				t.Errorf("%d nodes: %d, and the best is %d", n, a.Weight-loops(arcs), best)
			}
		}
	}
}

// TestSame asks for the same graph with its arcs in another order.
func TestSame(t *testing.T) {
	arcs := random(rand.New(rand.NewPCG(1, 2)), 40, 120, 5)
	spell := func(arcs []Arc) []Arc {
		var cut []Arc
		for _, i := range checked(t, 40, arcs).Cut {
			cut = append(cut, arcs[i])
		}
		slices.SortFunc(cut, func(a, b Arc) int { return cmp.Or(a.From-b.From, a.To-b.To, a.Weight-b.Weight) })
		return cut
	}
	want := spell(arcs)
	rand.New(rand.NewPCG(3, 4)).Shuffle(len(arcs), func(i, j int) { arcs[i], arcs[j] = arcs[j], arcs[i] })
	if diff := gocmp.Diff(want, spell(arcs)); diff != "" {
		t.Errorf("shuffled arcs are cut elsewhere (-want +got):\n%s", diff)
	}
}

func TestNoGraph(t *testing.T) {
	for _, arcs := range [][]Arc{
		{{0, 2, 1}}, {{-1, 0, 1}}, {{0, 1, 0}}, {{0, 1, -1}}, {{0, 1, Most}, {1, 0, 1}},
	} {
		if a, err := Solve(2, arcs); err == nil {
			t.Errorf("%v: %+v, want an error", arcs, a)
		}
	}
	if a, err := Solve(0, nil); err != nil || a.Weight != 0 {
		t.Errorf("nothing: %+v, %v", a, err)
	}
}

func BenchmarkSolve(b *testing.B) {
	for _, c := range []struct {
		name string
		n    int
		arcs []Arc
	}{
		{"exact", Exact, random(rand.New(rand.NewPCG(1, 2)), Exact, 100, 1000)},
		{"services-48", 2 * Exact, services(2*Exact, 2*Exact, 120, 1000)},
		{"services-1238", 1238, services(1238, 356, 4271, 1)},
		{"services-1238-weighted", 1238, services(1238, 356, 4271, 1000)},
		{"services-5000", 5000, services(5000, 1000, 50000, 1)},
		{"services-5000-weighted", 5000, services(5000, 1000, 50000, 1000)},
		{"random-356", 356, random(rand.New(rand.NewPCG(1, 2)), 356, 1200, 1)},
		{"random-1000-dense", 1000, random(rand.New(rand.NewPCG(1, 2)), 1000, 10000, 1)},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				a, err := Solve(c.n, c.arcs)
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(a.Weight), "cut")
				b.ReportMetric(float64(a.Bound), "bound")
			}
		})
	}
}
