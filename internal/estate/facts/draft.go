package facts

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"strongroom/internal/estate"
)

// Limits of what a draft says of one thing, and of what it could not use.
const (
	maxEvidence = 20 // the first ones; those after them say the same once more
	maxDoubts   = 100
)

// A Draft gathers what a reader finds, in whatever order. What is said twice of
// the same component or link becomes one, what would need itself is left out, and
// the facts come out in an order that depends on nothing but themselves.
//
// The zero value is ready to use. Not safe for concurrent use.
type Draft struct {
	components map[estate.ID]*estate.Component
	links      map[linkKey]*estate.Link
	doubts     map[string]bool
	full       bool
}

// A linkKey is what makes two links the same.
type linkKey struct {
	from, to estate.End
	need     estate.Need
	port     estate.Port
}

// Component adds a component, or what else is known of it.
func (d *Draft) Component(c estate.Component) {
	old := d.components[c.ID]
	if old == nil {
		if len(d.components)+len(d.links) >= MaxThings {
			d.full = true
			return
		}
		if d.components == nil {
			d.components = make(map[estate.ID]*estate.Component)
		}
		old = &estate.Component{ID: c.ID}
		d.components[c.ID] = old
	}
	old.Aliases = append(old.Aliases, c.Aliases...)
	old.Label = cmp.Or(old.Label, c.Label)
	old.Owner = cmp.Or(old.Owner, c.Owner)
	old.Software = cmp.Or(old.Software, c.Software)
	old.Listens = append(old.Listens, c.Listens...)
	for _, r := range c.Roles { // there are few, and a hostile file says them often
		if !slices.Contains(old.Roles, r) {
			old.Roles = append(old.Roles, r)
		}
	}
	old.Evidence = addEvidence(old.Evidence, c.Evidence)
}

// Link adds a dependency, or more evidence for it.
func (d *Draft) Link(l estate.Link) {
	if l.From == l.To {
		return
	}
	key := linkKey{l.From, l.To, l.Need, l.Port}
	old := d.links[key]
	if old == nil {
		if len(d.components)+len(d.links) >= MaxThings {
			d.full = true
			return
		}
		if d.links == nil {
			d.links = make(map[linkKey]*estate.Link)
		}
		old = &estate.Link{From: l.From, To: l.To, Need: l.Need, Port: l.Port}
		d.links[key] = old
	}
	old.Evidence = addEvidence(old.Evidence, l.Evidence)
}

// Doubt adds what was there and could not be made use of. The first hundred are
// enough to see what is wrong.
func (d *Draft) Doubt(format string, args ...any) {
	if d.doubts == nil {
		d.doubts = make(map[string]bool)
	}
	if len(d.doubts) < maxDoubts {
		d.doubts[Quote(fmt.Sprintf(format, args...))] = true
	}
}

// addEvidence adds evidence. What is there already is counted, and was there from
// the first to the last time.
func addEvidence(all, more []estate.Evidence) []estate.Evidence {
	for _, e := range more {
		i := slices.IndexFunc(all, func(a estate.Evidence) bool {
			return a.Basis == e.Basis && a.Source == e.Source && a.Place == e.Place && a.Detail == e.Detail
		})
		switch {
		case i >= 0:
			all[i].Count += e.Count
			if e.First.Before(all[i].First) {
				all[i].First = e.First
			}
			if e.Last.After(all[i].Last) {
				all[i].Last = e.Last
			}
		case len(all) < maxEvidence:
			all = append(all, e)
		}
	}
	return all
}

// Facts returns what was gathered. There is an error if it was more than a map
// can hold: half of it would be a wrong one.
func (d *Draft) Facts() (estate.Facts, error) {
	if d.full {
		return estate.Facts{}, TooMuch("components and links", MaxThings)
	}
	var f estate.Facts
	for _, id := range slices.Sorted(maps.Keys(d.components)) {
		c := *d.components[id]
		slices.Sort(c.Aliases)
		c.Aliases = slices.Compact(c.Aliases)
		slices.SortFunc(c.Listens, comparePorts)
		c.Listens = slices.Compact(c.Listens)
		slices.Sort(c.Roles)
		slices.SortStableFunc(c.Evidence, compareEvidence)
		f.Components = append(f.Components, c)
	}
	for _, l := range d.links {
		slices.SortStableFunc(l.Evidence, compareEvidence)
		f.Links = append(f.Links, *l)
	}
	slices.SortFunc(f.Links, func(a, b estate.Link) int {
		return cmp.Or(compareEnds(a.From, b.From), compareEnds(a.To, b.To), cmp.Compare(a.Need, b.Need), comparePorts(a.Port, b.Port))
	})
	f.Doubts = slices.Sorted(maps.Keys(d.doubts))
	return f, nil
}

func compareEnds(a, b estate.End) int {
	return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Alias, b.Alias))
}

func comparePorts(a, b estate.Port) int {
	return cmp.Or(cmp.Compare(a.Number, b.Number), cmp.Compare(a.Protocol, b.Protocol))
}

func compareEvidence(a, b estate.Evidence) int {
	return cmp.Or(cmp.Compare(a.Place, b.Place), cmp.Compare(a.Detail, b.Detail), cmp.Compare(a.Basis, b.Basis))
}
