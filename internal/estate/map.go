package estate

import (
	"cmp"
	"slices"
)

// A Map is the estate at one time: what there is and what depends on what. It
// is a value: nothing in it may be changed, and all of its methods may be
// called concurrently.
type Map struct {
	Components   []Component  // by ID
	Dependencies []Dependency // in the order of Compare; both ends are among Components, and two
	Overruled    []Overruled
	Merges       []Merge
	// Undescribed are components that something depends on, or that depend on
	// something, and that nobody has told more of.
	Undescribed []ID
	// Doubts are what people should look at, in words for them.
	Doubts []string

	at       map[ID]int // place in Components
	aliased  map[Alias][]ID
	was      map[ID]ID    // what merged components were called
	neededBy map[ID][]int // places in Dependencies
	needs    []int        // for each of Components, and one more: the place in Dependencies of the first from it or a later one
	ends     []int        // for each of Dependencies: the place of its To in Components
}

// An Overruled dependency is not on the map because people say so. It is
// remembered, so that what speaks for it can be held against them.
type Overruled struct {
	From  ID         `json:"from"`
	To    ID         `json:"to"`
	Need  Need       `json:"need,omitempty"` // empty if every need is rejected, and none was discovered
	Ports []Port     `json:"ports,omitempty"`
	Found []Evidence `json:"found,omitempty"` // what was discovered for it
	By    []Evidence `json:"by"`              // who says otherwise, and why
}

// A Merge says that what was told of under another name is this component. The
// statement that Into and Was are apart undoes it.
type Merge struct {
	Into     ID         `json:"into"`
	Was      ID         `json:"was"`
	By       []Alias    `json:"by,omitempty"`       // what it shares with the others that are Into
	Evidence []Evidence `json:"evidence,omitempty"` // of what Was
}

// seal makes the map's indexes. Its fields are in order and do not change from
// here on.
func (m *Map) seal() *Map {
	m.at = make(map[ID]int, len(m.Components))
	m.aliased = make(map[Alias][]ID)
	for i, c := range m.Components {
		m.at[c.ID] = i
		for _, a := range c.Aliases {
			m.aliased[a] = append(m.aliased[a], c.ID)
		}
	}
	m.was = make(map[ID]ID, len(m.Merges))
	for _, merge := range m.Merges {
		m.was[merge.Was] = merge.Into
	}
	m.neededBy = make(map[ID][]int)
	m.ends = make([]int, len(m.Dependencies))
	for i, d := range m.Dependencies {
		m.neededBy[d.To] = append(m.neededBy[d.To], i)
		m.ends[i] = m.at[d.To]
	}
	m.needs = make([]int, 0, len(m.Components)+1)
	next := 0
	for _, c := range m.Components {
		for next < len(m.Dependencies) && m.Dependencies[next].From < c.ID {
			next++
		}
		m.needs = append(m.needs, next)
	}
	m.needs = append(m.needs, len(m.Dependencies))
	return m
}

// Known returns the ID under which the map has what is called id, or was before
// it was merged. What was only seen, and called by its address or name, is known
// by that when it is described.
func (m *Map) Known(id ID) (ID, bool) {
	if into, ok := m.was[id]; ok {
		return into, true
	}
	if _, ok := m.at[id]; ok {
		return id, true
	}
	if a, ok := implied(id); ok {
		for _, l := range []layer{machines, anything, software} {
			all := slices.DeleteFunc(slices.Clone(m.aliased[a]), func(id ID) bool { return layerOf(id.Kind()) != l })
			if len(all) > 0 {
				return all[0], len(all) == 1
			}
		}
	}
	return "", false
}

// Component returns the component that is called id, or was.
func (m *Map) Component(id ID) (Component, bool) {
	id, ok := m.Known(id)
	if !ok {
		return Component{}, false
	}
	return m.Components[m.at[id]], true
}

// Find returns the components that a person may mean by a word: the one with
// that ID, or else all with that alias, or else all with that name or label.
func (m *Map) Find(word string) []ID {
	if id, ok := m.Known(ID(word)); ok {
		return []ID{id}
	}
	var all []ID
	if alias, err := ParseAlias(word); err == nil {
		if all = m.ByAlias(alias); len(all) > 0 {
			return all
		}
	}
	for _, c := range m.Components {
		if c.Label == word && word != "" || isCalled(c.ID, word) {
			all = append(all, c.ID)
		}
	}
	for _, merge := range m.Merges {
		if isCalled(merge.Was, word) {
			all = append(all, merge.Into)
		}
	}
	return sorted(all)
}

// isCalled reports whether word is the name of the ID, or the last part of it.
func isCalled(id ID, word string) bool {
	name := id.Name()
	return name == word || len(name) > len(word) && name[len(name)-len(word)-1:] == "/"+word
}

// ByAlias returns the components that have the alias: more than one if it is
// shared by things that are not the same.
func (m *Map) ByAlias(a Alias) []ID { return slices.Clone(m.aliased[a]) }

// Needs returns the dependencies from id.
func (m *Map) Needs(id ID) []Dependency {
	i, ok := m.at[id]
	if !ok {
		return nil
	}
	return m.Dependencies[m.needs[i]:m.needs[i+1]:m.needs[i+1]]
}

// NeededBy returns the dependencies to id.
func (m *Map) NeededBy(id ID) []Dependency {
	var all []Dependency
	for _, i := range m.neededBy[id] {
		all = append(all, m.Dependencies[i])
	}
	return all
}

// Between returns the dependencies of from on to itself.
func (m *Map) Between(from, to ID) []Dependency {
	var all []Dependency
	for _, d := range m.Needs(from) {
		if d.To == to {
			all = append(all, d)
		}
	}
	return all
}

// Ordering chooses the dependencies that decide what is restored first.
func Ordering(d Dependency) bool { return d.Need.Orders() }

// Closure returns id and all that it needs, directly or not, by the dependencies
// that follow chooses, by ID.
func (m *Map) Closure(id ID, follow func(Dependency) bool) []ID {
	first, ok := m.at[id]
	if !ok {
		return nil
	}
	seen := make([]bool, len(m.Components))
	seen[first] = true
	places := []int{first}
	for i := 0; i < len(places); i++ {
		for d := m.needs[places[i]]; d < m.needs[places[i]+1]; d++ {
			if to := m.ends[d]; !seen[to] && follow(m.Dependencies[d]) {
				seen[to] = true
				places = append(places, to)
			}
		}
	}
	slices.Sort(places) // and so by ID
	all := make([]ID, len(places))
	for i, place := range places {
		all[i] = m.Components[place].ID
	}
	return all
}

// Paths returns why from needs to: the shortest ways from one to the other by
// the dependencies that follow chooses, at most that many. Where two of a way
// are joined by several dependencies, it has the one that binds them most.
func (m *Map) Paths(from, to ID, follow func(Dependency) bool, most int) [][]Dependency {
	left := m.distances(from, to, follow)
	if left == nil || from == to {
		return nil
	}
	var all [][]Dependency
	var way []Dependency
	var walk func(at ID)
	walk = func(at ID) {
		if at == to {
			all = append(all, slices.Clone(way))
			return
		}
		var before ID
		for _, d := range m.Needs(at) {
			if n, ok := left[d.To]; !ok || n != left[at]-1 || d.To == before || !follow(d) {
				continue
			}
			if len(all) == most {
				return
			}
			before = d.To
			way = append(way, d)
			walk(d.To)
			way = way[:len(way)-1]
		}
	}
	walk(from)
	return all
}

// distances returns how many dependencies lead to to, from each component at
// which that is known once it is known of from; nil if none leads there.
func (m *Map) distances(from, to ID, follow func(Dependency) bool) map[ID]int {
	left := map[ID]int{to: 0}
	for next := []ID{to}; len(next) > 0; next = next[1:] {
		if next[0] == from {
			return left
		}
		for _, i := range m.neededBy[next[0]] {
			d := m.Dependencies[i]
			if _, ok := left[d.From]; !ok && follow(d) {
				left[d.From] = left[next[0]] + 1
				next = append(next, d.From)
			}
		}
	}
	return nil
}

// sorted returns the values in order, each once.
func sorted[T cmp.Ordered](all []T) []T {
	slices.Sort(all)
	return slices.Compact(all)
}
