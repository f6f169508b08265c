package estate

import (
	"bytes"
	"slices"
	"time"
)

// A Change is what is different between two maps.
type Change struct {
	Come    []ID     // components that were not there
	Gone    []ID     // that are not there any more
	Renamed []Rename // that have another name, or were found to be part of another

	Needed   []Dependency // that were not there
	Unneeded []Dependency // that are not there any more, as they were

	// Aged are dependencies of the new map for which nothing has spoken for a
	// while, and that no person vouches for.
	Aged []Dependency
}

// A Rename is a component that was on a map under another ID.
type Rename struct {
	Was ID `json:"was"`
	Is  ID `json:"is"`
}

// Diff compares two maps. What nobody has spoken of since then has aged; the
// zero time is before everything.
func Diff(old, new *Map, since time.Time) Change {
	var c Change
	names := make(map[ID][]ID) // that components of the old map had besides theirs
	for _, m := range old.Merges {
		names[m.Into] = append(names[m.Into], m.Was)
	}
	is := make(map[ID]ID) // what the new map has for an ID of the old one
	had := make(map[ID]bool)
	for _, o := range old.Components {
		id, ok := new.Known(o.ID)
		for _, name := range names[o.ID] {
			if !ok {
				id, ok = new.Known(name)
			}
		}
		switch {
		case !ok:
			c.Gone = append(c.Gone, o.ID)
			id = o.ID
		case id != o.ID:
			c.Renamed = append(c.Renamed, Rename{o.ID, id})
			had[id] = true
		default:
			had[id] = true
		}
		is[o.ID] = id
	}
	for _, n := range new.Components {
		if !had[n.ID] {
			c.Come = append(c.Come, n.ID)
		}
	}
	type arrow struct {
		from, to ID
		need     Need
	}
	was := make(map[arrow]bool)
	for _, d := range old.Dependencies {
		was[arrow{is[d.From], is[d.To], d.Need}] = true
	}
	stays := make(map[arrow]bool)
	for _, d := range new.Dependencies {
		at := arrow{d.From, d.To, d.Need}
		stays[at] = true
		if !was[at] {
			c.Needed = append(c.Needed, d)
		}
		if !slices.ContainsFunc(d.Evidence, func(e Evidence) bool { return e.Basis == Stated || !e.Last.Before(since) }) {
			c.Aged = append(c.Aged, d)
		}
	}
	for _, d := range old.Dependencies {
		from, to := is[d.From], is[d.To]
		if from != to && !stays[arrow{from, to, d.Need}] { // those of one to itself are nothing that changed
			c.Unneeded = append(c.Unneeded, d)
		}
	}
	return c
}

// IsEmpty reports whether nothing came and nothing went.
func (c Change) IsEmpty() bool {
	return len(c.Come)+len(c.Gone)+len(c.Renamed)+len(c.Needed)+len(c.Unneeded) == 0
}

// Same reports whether two maps say the same, but for when and how often it was
// seen.
func Same(a, b *Map) bool {
	one, err := a.timeless().Encode()
	if err != nil {
		return false // who keeps a map that is too large is told so then
	}
	other, err := b.timeless().Encode()
	return err == nil && bytes.Equal(one, other)
}

// timeless returns what the map says, without when and how often it was seen.
func (m *Map) timeless() *Map {
	plain := &Map{Overruled: slices.Clone(m.Overruled), Components: slices.Clone(m.Components), Dependencies: slices.Clone(m.Dependencies),
		Merges: slices.Clone(m.Merges), Undescribed: m.Undescribed, Doubts: m.Doubts}
	for i, c := range plain.Components {
		plain.Components[i].Evidence = timeless(c.Evidence)
	}
	for i, d := range plain.Dependencies {
		plain.Dependencies[i].Evidence = timeless(d.Evidence)
	}
	for i, o := range plain.Overruled {
		plain.Overruled[i].Found, plain.Overruled[i].By = timeless(o.Found), timeless(o.By)
	}
	for i, merge := range plain.Merges {
		plain.Merges[i].Evidence = timeless(merge.Evidence)
	}
	return plain
}

// timeless returns the evidence without its times and counts, in an order that
// does not depend on them: the newest is first of those on a map.
func timeless(all []Evidence) []Evidence {
	all = slices.Clone(all)
	for i := range all {
		all[i].First, all[i].Last, all[i].Count = time.Time{}, time.Time{}, 0
	}
	slices.SortFunc(all, compareEvidence)
	return all
}
