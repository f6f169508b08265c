package daemon

import (
	"cmp"
	"context"
	"slices"
	"time"

	"strongroom/internal/access/api"
	"strongroom/internal/estate"
	"strongroom/internal/estate/coverage"
	"strongroom/internal/report"
)

// LookApplication returns what of an application would be missing, and how it
// stood with it in the last year. api.ErrNotFound means that none is configured
// under that name.
func (s *Safe) LookApplication(ctx context.Context, name string) (report.ApplicationPage, error) {
	c, err := s.Coverage(ctx)
	if err != nil {
		return report.ApplicationPage{}, err
	}
	i := slices.IndexFunc(c.Reports, func(r coverage.Report) bool { return r.Application.Name() == name })
	if i < 0 {
		return report.ApplicationPage{}, api.ErrNotFound
	}
	r := c.Reports[i]
	p := report.ApplicationPage{Safe: s.config.Safe, Now: c.in.Now.In(time.Local), Card: report.CardOf(r)}
	p.Items, p.MoreComponents = worstOf(r.Items, report.MostCovered)
	p.Outside, p.MoreOutside = atMost(r.Outside, report.MostCovered)
	r.Items, p.MoreProposals = urgent(r.Items, report.MostProposed)
	p.Proposals = c.Propose(r)
	p.History, err = s.Standings(ctx, name, c.in.Now.AddDate(0, 0, -report.DaysBack))
	return p, err
}

// urgency orders items for a page that has not room for all: what something has
// to be done about comes first, and of that what people speak of before what was
// only discovered, so that nobody hides a miss by telling of much.
func urgency(i coverage.Item) int {
	switch {
	case !missed(i):
		return 2
	case i.Matter == "":
		return 1
	}
	return 0
}

// missed reports whether something has to be done about an item.
func missed(i coverage.Item) bool {
	return i.State == coverage.Missing || i.State == coverage.Stale || i.State == coverage.Unproven
}

// worstOf returns the items of the most urgent components, in their order, and
// how many more components there are.
func worstOf(items []coverage.Item, most int) (worst []coverage.Item, more int) {
	of := make(map[estate.ID]int)
	var components []estate.ID
	for _, item := range items {
		u, ok := of[item.Component]
		if !ok {
			u = urgency(item)
			components = append(components, item.Component)
		}
		of[item.Component] = min(u, urgency(item))
	}
	if len(components) <= most {
		return items, 0
	}
	slices.SortStableFunc(components, func(a, b estate.ID) int { return cmp.Compare(of[a], of[b]) })
	for _, id := range components[most:] {
		delete(of, id)
	}
	for _, item := range items {
		if _, ok := of[item.Component]; ok {
			worst = append(worst, item)
		}
	}
	return worst, len(components) - most
}

// urgent returns the most urgent items about which something has to be done, and
// how many more there are.
func urgent(items []coverage.Item, most int) (first []coverage.Item, more int) {
	items = slices.DeleteFunc(slices.Clone(items), func(i coverage.Item) bool { return !missed(i) })
	if len(items) > most {
		slices.SortStableFunc(items, func(a, b coverage.Item) int { return cmp.Compare(urgency(a), urgency(b)) })
	}
	return atMost(items, most)
}

// cards returns the applications at a glance.
func (s *Safe) cards(ctx context.Context) (all []report.ApplicationCard, err error) {
	if len(s.config.Applications) == 0 { // nobody waits for a map
		return nil, nil
	}
	c, err := s.Coverage(ctx)
	if err != nil {
		return nil, err
	}
	for _, r := range c.Reports {
		all = append(all, report.CardOf(r))
	}
	return all, nil
}
