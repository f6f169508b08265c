package order

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"strongroom/internal/estate"
	"strongroom/internal/estate/order/scc"
)

// steps are the steps of all components, by number: the only one of a component,
// or the first one, has the component's number; the last one of those that have
// two follows after all of these.
type steps struct {
	*graph
	last  []int // by component: the number of its last step
	of    []int // by step: its component
	after [][]wait
}

// A wait is for a step, because of an arc; or because of none, for the first
// step of the same component.
type wait struct{ step, arc int }

// layers puts each step after all that it has to wait for, as early as can be.
//
// Within a knot a component waits for the first step of another: that it works
// in its bootstrap mode is what opens the knot. Whoever is outside waits for the
// last one. What was opened is waited for by the last step. So nothing within a
// knot waits for a last step, and there is no circle left.
func (g *graph) layers() [][]Step {
	s := g.steps()
	level := make([]int, len(s.of))
	count := 0
	for _, part := range scc.Find(len(s.of), func(v int) int { return len(s.after[v]) }, func(v, i int) int { return s.after[v][i].step }) {
		step := part[0] // alone: there is no circle
		for _, w := range s.after[step] {
			level[step] = max(level[step], level[w.step]+1)
		}
		count = max(count, level[step]+1)
	}
	members := make([][]int, count)
	for step, l := range level {
		members[l] = append(members[l], step)
	}
	layers := make([][]Step, count)
	for l, list := range members {
		for _, step := range g.softly(list, s) {
			layers[l] = append(layers[l], s.step(step))
		}
	}
	return layers
}

func (g *graph) steps() *steps {
	n := len(g.ids)
	s := &steps{graph: g, last: make([]int, n), of: make([]int, n), after: make([][]wait, n)}
	for v := range n {
		s.last[v], s.of[v] = v, v
		if slices.ContainsFunc(g.out[v], func(a int) bool { return g.arcs[a].open }) {
			s.last[v] = len(s.of)
			s.of = append(s.of, v)
			s.after = append(s.after, []wait{{v, -1}})
		}
	}
	for i := range g.arcs {
		a := &g.arcs[i]
		step, target := a.from, s.last[a.to]
		if g.knot[a.from] >= 0 && g.knot[a.from] == g.knot[a.to] {
			target = a.to
		}
		if a.open {
			step = s.last[a.from]
		}
		s.after[step] = append(s.after[step], wait{target, i})
	}
	return s
}

// softly lists the steps of a layer: by their IDs, but what others serve better
// with before those, if they do not want that of each other.
func (g *graph) softly(list []int, s *steps) []int {
	slices.SortFunc(list, func(a, b int) int { return cmp.Or(cmp.Compare(s.of[a], s.of[b]), cmp.Compare(a, b)) })
	at := make(map[int]int, len(list)) // by component
	for i, step := range list {
		at[s.of[step]] = i
	}
	next := make([][]int, len(list))
	for i, step := range list {
		for _, u := range g.soft[s.of[step]] {
			if j, ok := at[u]; ok {
				next[i] = append(next[i], j)
			}
		}
	}
	sorted := make([]int, 0, len(list))
	for _, part := range scc.Find(len(list), func(v int) int { return len(next[v]) }, func(v, i int) int { return next[v][i] }) {
		for _, i := range part {
			sorted = append(sorted, list[i])
		}
	}
	return sorted
}

// step describes a step.
func (s *steps) step(number int) Step {
	v := s.of[number]
	id := s.ids[v]
	if isOthers(id) && s.last[v] == v { // in a knot it is like all others
		return s.check(number)
	}
	step := Step{Component: id, Phases: []Phase{Install, Start, Verify}}
	var without []string
	for _, a := range s.out[v] {
		arc := &s.arcs[a]
		if !arc.open {
			continue
		}
		without = append(without, string(s.ids[arc.to]))
		step.Modes = append(step.Modes, mode(arc.by, number != v))
	}
	for _, w := range s.after[number] {
		step.After = append(step.After, s.wait(w))
	}
	switch {
	case number != v:
		step.Phases = []Phase{Start, Verify}
		step.Why = fmt.Sprintf("%s was started without %s, and is completed now that it can be.", id, strings.Join(without, ", "))
	case len(without) > 0:
		step.Phases = []Phase{Install, Bootstrap}
		step.Why = fmt.Sprintf("%s and others need each other. It starts without %s.", id, strings.Join(without, ", "))
	case len(step.After) == 0:
		step.Why = fmt.Sprintf("%s needs nothing that is on the map.", id)
	default:
		step.Why = fmt.Sprintf("%s has all that it needs: %s.", id, few(step.After))
	}
	return step
}

// isOthers reports whether nobody here rebuilds a component: others run it, or it
// is a person.
func isOthers(id estate.ID) bool { return id.Kind() == estate.External || id.Kind() == estate.Person }

// check describes the step of such a component: one sees that it is there.
func (s *steps) check(number int) Step {
	id := s.ids[s.of[number]]
	step := Step{Component: id, Phases: []Phase{Verify}, Why: fmt.Sprintf("%s is not rebuilt here: see that it is there.", id)}
	for _, w := range s.after[number] {
		step.After = append(step.After, s.wait(w))
	}
	return step
}

// mode says how a component starts without another, or how that ends.
func mode(o Opening, ends bool) Mode {
	m := Mode{Without: o.To}
	if o.Rule == nil {
		m.How = fmt.Sprintf("Start it without %s. What fails for that reason may fail until then.", o.To)
		if ends {
			m.How = fmt.Sprintf("%s is there: restart it, and verify all of it.", o.To)
		}
		return m
	}
	m.Rule, m.How, m.Check = o.Rule.Name, o.Rule.Mode, o.Rule.Check
	if ends {
		m.How, m.Check = o.Rule.Undo, ""
	}
	return m
}

func (s *steps) wait(w wait) Wait {
	v := s.of[w.step]
	phase := Verify
	if w.step != s.last[v] {
		phase = Bootstrap
	}
	if w.arc < 0 {
		return Wait{s.ids[v], phase, "it has been started without some of what it needs"}
	}
	a := &s.arcs[w.arc]
	why := fmt.Sprintf("needs it %s: %s", a.needsWords(), a.evidenceWords())
	return Wait{s.ids[v], phase, why}
}

// few names the first three of what a step waits for.
func few(list []Wait) string {
	var names []string
	for _, w := range list[:min(3, len(list))] {
		name := string(w.For)
		if w.Phase == Bootstrap {
			name += " (in its bootstrap mode)"
		}
		names = append(names, name)
	}
	text := strings.Join(names, ", ")
	if more := len(list) - len(names); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// foundations returns what needs nothing outside its own knot and is needed
// itself, most needed first.
func (g *graph) foundations() []Foundation {
	var list []Foundation
	seen := make([]int, len(g.ids))
	for v := range g.ids {
		part := []int{v}
		if k := g.knot[v]; k >= 0 {
			part = g.list[k]
		}
		if part[0] != v || !g.stands(part) {
			continue
		}
		needed := g.users(part, seen, v+1)
		if needed == 0 {
			continue
		}
		f := Foundation{Components: g.names(part), Needed: needed}
		f.Why = fmt.Sprintf("%s needs nothing that is on the map, and %s, directly or not.", g.ids[v], others(needed, "it"))
		if len(part) > 1 {
			f.Why = fmt.Sprintf("These %d components need each other and nothing else, and %s, directly or not.", len(part), others(needed, "them"))
		}
		list = append(list, f)
	}
	slices.SortStableFunc(list, func(a, b Foundation) int { return cmp.Compare(b.Needed, a.Needed) })
	return list
}

func others(n int, what string) string {
	if n == 1 {
		return "one other needs " + what
	}
	return fmt.Sprintf("%d others need %s", n, what)
}

// stands reports whether nothing outside is needed.
func (g *graph) stands(part []int) bool {
	for _, v := range part {
		for _, a := range g.out[v] {
			if k := g.knot[g.arcs[a].to]; k < 0 || k != g.knot[v] {
				return false
			}
		}
	}
	return true
}

// users counts who needs any of some components, themselves left out. Seen has
// the mark of whoever was counted.
func (g *graph) users(part, seen []int, mark int) int {
	stack := slices.Clone(part)
	for _, v := range part {
		seen[v] = mark
	}
	count := 0
	for len(stack) > 0 {
		v := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		for _, a := range g.in[v] {
			if u := g.arcs[a].from; seen[u] != mark {
				seen[u] = mark
				stack = append(stack, u)
				count++
			}
		}
	}
	return count
}

// doubtful returns what many need and nobody observed, most needed first.
func (g *graph) doubtful() []Doubtful {
	observed := func(list []estate.Evidence) bool {
		return slices.ContainsFunc(list, func(e estate.Evidence) bool { return e.Basis == estate.Observed })
	}
	var list []Doubtful
	for v, id := range g.ids {
		needed := len(g.in[v])
		if needed < MuchNeeded || observed(g.components[v].Evidence) ||
			slices.ContainsFunc(g.out[v], func(a int) bool { return observed(g.arcs[a].evidence) }) {
			continue
		}
		list = append(list, Doubtful{id, needed, fmt.Sprintf(
			"%d components need %s, and nothing that it does was ever observed: what it needs itself is known from what is written down, or not at all.", needed, id)})
	}
	slices.SortStableFunc(list, func(a, b Doubtful) int { return cmp.Compare(b.Needed, a.Needed) })
	return list
}
