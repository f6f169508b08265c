package feedback

import (
	"math"
	"math/bits"
)

// exact finds the best order of at most Exact nodes, by dynamic programming
// over the sets of nodes that come first: the last of such a set gives up its
// arcs to all that come later (Held and Karp's scheme, as for the linear
// ordering problem). That is n steps for each of 2^n sets.
//
// A set is a number: its low bits are its first nodes, its high bits the others.
// For one choice of the high bits the sets lie side by side, few enough for a
// processor's cache, and what is looked up is read from front to back: this is
// several times as fast as going through them one by one.
func (g *graph) exact() []int {
	n := g.nodes()
	half := n / 2
	block := 1 << half
	later := g.later(half)
	least := make([]int32, 1<<n) // by set: what its nodes give up, in their best order
	for set := range least {
		least[set] = math.MaxInt32
	}
	least[0] = 0
	for high := range 1 << (n - half) {
		now := least[high*block : (high+1)*block]
		for rest := uint(high); rest != 0; rest &= rest - 1 {
			v := half + bits.TrailingZeros(rest)
			before := least[(high&^(1<<(v-half)))*block:][:block]
			more, other := later[v].low[:block], later[v].high[high]
			for low, sum := range before {
				now[low] = min(now[low], sum+more[low]+other)
			}
		}
		for low := 1; low < block; low++ {
			best := now[low]
			for rest := uint(low); rest != 0; rest &= rest - 1 {
				v := bits.TrailingZeros(rest)
				best = min(best, now[low&^(1<<v)]+later[v].low[low]+later[v].high[high])
			}
			now[low] = best
		}
	}
	order := make([]int, n)
	for set := uint(1)<<n - 1; set != 0; {
		for rest := set; ; rest &= rest - 1 {
			v := bits.TrailingZeros(rest)
			before := set &^ (1 << v)
			if least[before]+later[v].low[set&uint(block-1)]+later[v].high[set>>half] == least[set] {
				set = before
				order[bits.OnesCount(set)] = v
				break
			}
		}
	}
	return order
}

// A sum has what a node's arcs weigh that lead out of a set: to nodes of the low
// half, and of the high half, by the set's part in that half.
type sum struct{ low, high []int32 }

func (g *graph) later(half int) []sum {
	n := g.nodes()
	sums := make([]sum, n)
	for v, ends := range g.out {
		weight := make([]int32, n)
		for _, e := range ends {
			weight[e.node] = int32(e.weight)
		}
		sums[v] = sum{outside(weight[:half]), outside(weight[half:])}
	}
	return sums
}

// outside returns, for each set of some nodes, what those weigh that are not in it.
func outside(weight []int32) []int32 {
	sums := make([]int32, 1<<len(weight))
	all := len(sums) - 1
	for set := all - 1; set >= 0; set-- {
		missing := bits.TrailingZeros(uint(all &^ set))
		sums[set] = sums[set|1<<missing] + weight[missing]
	}
	return sums
}
