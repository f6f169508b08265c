// Package scc finds the strongly connected components of a directed graph: its
// knots, in which each node can be reached from each other.
//
// It needs memory for the nodes alone, and no stack of calls however long the
// ways are.
package scc

import "slices"

// Find returns the components of a graph of n nodes, each sorted, and each after
// all that its nodes lead to. A node has the successors from 0 to below degree.
// This is Tarjan's algorithm with a list of its own in place of recursion.
func Find(n int, degree func(v int) int, successor func(v, i int) int) [][]int {
	f := finder{
		degree: degree, successor: successor,
		number: make([]int, n), low: make([]int, n), next: make([]int, n), open: make([]bool, n),
	}
	for root := range n {
		if f.number[root] == 0 {
			f.walk(root)
		}
	}
	return f.parts
}

type finder struct {
	degree    func(v int) int
	successor func(v, i int) int

	parts  [][]int
	count  int
	number []int // by node: when it was first seen, from 1; 0 is not yet
	low    []int // by node: the lowest number that it is known to lead back to
	next   []int // by node: the successor to look at next
	open   []bool
	stack  []int // nodes that are in no component yet: the open ones
	path   []int // the way from the root to where the walk is
}

func (f *finder) walk(root int) {
	f.enter(root)
	for len(f.path) > 0 {
		v := f.path[len(f.path)-1]
		if f.next[v] == f.degree(v) {
			f.leave(v)
			continue
		}
		u := f.successor(v, f.next[v])
		f.next[v]++
		if f.number[u] == 0 {
			f.enter(u)
		} else if f.open[u] {
			f.low[v] = min(f.low[v], f.number[u])
		}
	}
}

func (f *finder) enter(v int) {
	f.count++
	f.number[v], f.low[v], f.open[v] = f.count, f.count, true
	f.stack, f.path = append(f.stack, v), append(f.path, v)
}

func (f *finder) leave(v int) {
	f.path = f.path[:len(f.path)-1]
	if len(f.path) > 0 {
		above := f.path[len(f.path)-1]
		f.low[above] = min(f.low[above], f.low[v])
	}
	if f.low[v] != f.number[v] {
		return
	}
	var part []int
	for len(part) == 0 || part[len(part)-1] != v {
		u := f.stack[len(f.stack)-1]
		f.stack = f.stack[:len(f.stack)-1]
		f.open[u] = false
		part = append(part, u)
	}
	slices.Sort(part)
	f.parts = append(f.parts, part)
}
