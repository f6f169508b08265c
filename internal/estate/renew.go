package estate

import (
	"slices"
	"time"
)

// Renew returns what is known of a source once it has told fresh facts.
//
// What is declared is so for as long as the source declares it. What was
// observed stays known for a while, since a look now and then misses what is
// short and rare: until nothing was seen of it after the time forget.
func Renew(known, fresh Facts, forget time.Time) Facts {
	components := make(map[ID]Component, len(known.Components))
	for _, c := range known.Components {
		components[c.ID] = c
	}
	links := make(map[bareLink]Link, len(known.Links))
	for _, l := range known.Links {
		links[l.bare()] = l
	}
	renewed := Facts{Doubts: fresh.Doubts}
	for _, c := range fresh.Components {
		c.Evidence = renewEvidence(components[c.ID].Evidence, c.Evidence, forget)
		delete(components, c.ID)
		renewed.Components = append(renewed.Components, c)
	}
	for _, l := range fresh.Links {
		l.Evidence = renewEvidence(links[l.bare()].Evidence, l.Evidence, forget)
		delete(links, l.bare())
		renewed.Links = append(renewed.Links, l)
	}
	for _, c := range known.Components {
		if _, gone := components[c.ID]; !gone {
			continue
		}
		if c.Evidence = renewEvidence(c.Evidence, nil, forget); len(c.Evidence) > 0 {
			renewed.Components = append(renewed.Components, c)
		}
	}
	for _, l := range known.Links {
		if _, gone := links[l.bare()]; !gone {
			continue
		}
		if l.Evidence = renewEvidence(l.Evidence, nil, forget); len(l.Evidence) > 0 {
			renewed.Links = append(renewed.Links, l)
		}
	}
	return renewed
}

// A bareLink is a link without its evidence, by which it is known.
type bareLink struct {
	from, to End
	need     Need
	port     Port
}

func (l Link) bare() bareLink { return bareLink{l.From, l.To, l.Need, l.Port} }

// renewEvidence joins what is known with what the fresh evidence says again,
// and with what was observed after the time forget.
func renewEvidence(known, fresh []Evidence, forget time.Time) []Evidence {
	all := slices.Clone(fresh)
	for _, k := range known {
		again := slices.ContainsFunc(fresh, func(f Evidence) bool {
			return f.Basis == k.Basis && f.Source == k.Source && f.Place == k.Place
		})
		if again || k.Basis == Observed && k.Last.After(forget) {
			all = append(all, k)
		}
	}
	return joinEvidence(all)
}
