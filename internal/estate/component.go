package estate

import (
	"cmp"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// names are what people say of names.
type names struct {
	better map[ID]bool // the first of two that are the same
	same   map[ID][]Evidence
}

func namesOf(same []Pair) names {
	n := names{make(map[ID]bool), make(map[ID][]Evidence)}
	for _, p := range same {
		n.better[p.A] = true
		n.same[p.A] = append(n.same[p.A], p.Evidence)
		n.same[p.B] = append(n.same[p.B], p.Evidence)
	}
	return n
}

// component makes one of nodes that are one, and tells whether anybody describes
// it.
func (ids *identities) component(nodes []int, names names) (c Component, merges []Merge, described bool) {
	nodes = slices.SortedFunc(slices.Values(nodes), func(i, j int) int {
		a, b := ids.nodes[i], ids.nodes[j]
		return cmp.Or(first(len(a.said) > 0, len(b.said) > 0), first(names.better[a.id], names.better[b.id]), compareNames(a.id, b.id))
	})
	var said, told []Component
	for _, i := range nodes {
		n := ids.nodes[i]
		said = append(said, n.said...)
		told = append(told, n.told...)
		c.Aliases = append(c.Aliases, n.aliases...)
	}
	c.ID = ids.nodes[nodes[0]].id
	c.Aliases = sorted(c.Aliases)
	for _, parts := range [][]Component{said, told} {
		for _, p := range parts {
			c.Listens = append(c.Listens, p.Listens...)
			c.Evidence = append(c.Evidence, p.Evidence...)
		}
		if c.Roles == nil { // what people say replaces what was discovered
			for _, p := range parts {
				c.Roles = append(c.Roles, p.Roles...)
			}
		}
		c.Label = cmp.Or(c.Label, agreed(c.ID, parts, func(p Component) string { return p.Label }))
		c.Owner = cmp.Or(c.Owner, agreed(c.ID, parts, func(p Component) string { return p.Owner }))
		c.Software = cmp.Or(c.Software, Software(agreed(c.ID, parts, func(p Component) string { return string(p.Software) })))
	}
	c.Roles = sorted(c.Roles)
	c.Listens = sortedPorts(c.Listens)
	for _, i := range nodes[1:] {
		n := ids.nodes[i]
		merge := Merge{Into: c.ID, Was: n.id, By: sorted(ids.by[i]), Evidence: names.same[n.id]}
		for _, p := range n.told {
			merge.Evidence = append(merge.Evidence, p.Evidence...)
		}
		merge.Evidence = joinEvidence(merge.Evidence)
		merges = append(merges, merge)
	}
	return c, merges, len(said)+len(told) > 0
}

// first orders true before false.
func first(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// agreed returns what the component's own name is described with, or else what
// another is; the least of several, as good as any and always the same.
func agreed(id ID, parts []Component, of func(Component) string) string {
	var own, all []string
	for _, p := range parts {
		if s := of(p); s != "" {
			all = append(all, s)
			if p.ID == id {
				own = append(own, s)
			}
		}
	}
	switch {
	case own != nil:
		return slices.Min(own)
	case all != nil:
		return slices.Min(all)
	}
	return ""
}

// special are the kinds, the one that says most of a component first.
var special = []Kind{Application, Database, Service, Cluster, Storage, Network, Power, Host, Person, Resource, External}

// compareNames puts the name first that says most to people: of the most special
// kind, no address, not of one project only, short.
func compareNames(a, b ID) int {
	return cmp.Or(
		cmp.Compare(slices.Index(special, a.Kind()), slices.Index(special, b.Kind())),
		first(!isNumber(a), !isNumber(b)),
		cmp.Compare(strings.Count(string(a), "/"), strings.Count(string(b), "/")),
		cmp.Compare(len(a), len(b)),
		cmp.Compare(a, b))
}

func isNumber(id ID) bool {
	_, err := netip.ParseAddr(id.Name())
	return err == nil
}

func sortedPorts(all []Port) []Port {
	slices.SortFunc(all, func(a, b Port) int {
		return cmp.Or(cmp.Compare(a.Number, b.Number), cmp.Compare(a.Protocol, b.Protocol))
	})
	return slices.Compact(all)
}

// joinEvidence returns the evidence in order: what is worth most first. What one
// place says of one thing is one, however often it was told, with the newest
// words. Of more than a person reads, the newest is kept.
func joinEvidence(all []Evidence) []Evidence {
	all = slices.Clone(all)
	for i := range all {
		all[i].First, all[i].Last = plain(all[i].First), plain(all[i].Last)
	}
	slices.SortFunc(all, compareEvidence)
	all = slices.Compact(all) // told twice
	joined := all[:0]
	for _, e := range all {
		last := len(joined) - 1
		if last < 0 || joined[last].Basis != e.Basis || joined[last].Source != e.Source || joined[last].Place != e.Place {
			joined = append(joined, e)
			continue
		}
		into := &joined[last]
		into.First = earlier(into.First, e.First)
		into.Last, into.Detail = e.Last, e.Detail // not older, by the order
		if into.Count > math.MaxInt64-e.Count {
			into.Count = math.MaxInt64
		} else {
			into.Count += e.Count
		}
	}
	slices.SortStableFunc(joined, func(a, b Evidence) int {
		return cmp.Or(compareBases(a, b), b.Last.Compare(a.Last))
	})
	count := make(map[Basis]int)
	joined = slices.DeleteFunc(joined, func(e Evidence) bool {
		count[e.Basis]++
		return count[e.Basis] > maxEvidence
	})
	return slices.Clip(joined)
}

// plain returns a time that can be compared with == and written down.
func plain(t time.Time) time.Time {
	if t = t.UTC().Round(0); t.Year() < 1 || t.Year() > 9999 {
		return time.Time{}
	}
	return t
}

// earlier returns the earlier of two times; the zero time is not known.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func compareBases(a, b Evidence) int {
	return cmp.Compare(slices.Index(Bases, a.Basis), slices.Index(Bases, b.Basis))
}

func compareEvidence(a, b Evidence) int {
	return cmp.Or(compareBases(a, b), cmp.Compare(a.Source, b.Source), cmp.Compare(a.Place, b.Place),
		a.Last.Compare(b.Last), cmp.Compare(a.Detail, b.Detail), a.First.Compare(b.First), cmp.Compare(a.Count, b.Count))
}
