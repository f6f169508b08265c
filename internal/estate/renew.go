package estate

import (
	"cmp"
	"slices"
	"time"
)

// Renew returns what is known of a source once it has told fresh facts.
//
// What is declared is so for as long as the source declares it. What was
// observed stays known for a while, since a look now and then misses what is
// short and rare: until nothing was seen of it after the time forget.
func Renew(known, fresh Facts, forget time.Time) Facts {
	return join(known, fresh, func(e Evidence) bool { return e.Basis == Observed && e.Last.After(forget) })
}

// Extend returns what is known of a source once a part of it has told fresh
// facts: what was not told may be in the other part, and stays known.
func Extend(known, fresh Facts) Facts {
	joined := join(known, fresh, func(Evidence) bool { return true })
	before := make(map[ID]Component, len(known.Components))
	for _, c := range known.Components {
		before[c.ID] = c
	}
	for i, c := range joined.Components {
		k := before[c.ID]
		c.Aliases = sorted(slices.Concat(c.Aliases, k.Aliases))
		c.Roles = sorted(slices.Concat(c.Roles, k.Roles))
		c.Listens = sortedPorts(slices.Concat(c.Listens, k.Listens))
		c.Label, c.Owner, c.Software = cmp.Or(c.Label, k.Label), cmp.Or(c.Owner, k.Owner), cmp.Or(c.Software, k.Software)
		joined.Components[i] = c
	}
	return joined
}

// join adds to the fresh facts what stays of those that were known, though nobody
// has told it again.
func join(known, fresh Facts, stays func(Evidence) bool) Facts {
	components := make(map[ID]Component, len(known.Components))
	for _, c := range known.Components {
		components[c.ID] = c
	}
	links := make(map[bareLink]Link, len(known.Links))
	for _, l := range known.Links {
		links[l.bare()] = l
	}
	joined := Facts{Doubts: fresh.Doubts}
	for _, c := range fresh.Components {
		c.Evidence = renewEvidence(components[c.ID].Evidence, c.Evidence, stays)
		delete(components, c.ID)
		joined.Components = append(joined.Components, c)
	}
	for _, l := range fresh.Links {
		l.Evidence = renewEvidence(links[l.bare()].Evidence, l.Evidence, stays)
		delete(links, l.bare())
		joined.Links = append(joined.Links, l)
	}
	for _, c := range known.Components {
		if _, gone := components[c.ID]; !gone {
			continue
		}
		if c.Evidence = renewEvidence(c.Evidence, nil, stays); len(c.Evidence) > 0 {
			joined.Components = append(joined.Components, c)
		}
	}
	for _, l := range known.Links {
		if _, gone := links[l.bare()]; !gone {
			continue
		}
		if l.Evidence = renewEvidence(l.Evidence, nil, stays); len(l.Evidence) > 0 {
			joined.Links = append(joined.Links, l)
		}
	}
	return joined
}

// A bareLink is a link without its evidence, by which it is known.
type bareLink struct {
	from, to End
	need     Need
	port     Port
}

func (l Link) bare() bareLink { return bareLink{l.From, l.To, l.Need, l.Port} }

// renewEvidence joins the fresh evidence with what is known and is said again, or
// stays though it is not.
func renewEvidence(known, fresh []Evidence, stays func(Evidence) bool) []Evidence {
	all := slices.Clone(fresh)
	for _, k := range known {
		again := slices.ContainsFunc(fresh, func(f Evidence) bool {
			return f.Basis == k.Basis && f.Source == k.Source && f.Place == k.Place
		})
		if again || stays(k) {
			all = append(all, k)
		}
	}
	return joinEvidence(all)
}
