package daemon

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/access/api"
	"strongroom/internal/daemon/state"
	"strongroom/internal/estate"
	"strongroom/internal/estate/coverage"
	"strongroom/internal/report"
)

// What the page proposes and says of levels is what the command does.
func TestLookApplication(t *testing.T) {
	h := mappedHall(t)
	h.collect(0)
	a, err := h.safe.LookApplication(t.Context(), "erp")
	h.must(err)
	c, err := h.safe.Coverage(t.Context())
	h.must(err)
	if diff := cmp.Diff(c.Reports[0].Items, a.Items); diff != "" {
		t.Errorf("items (-coverage +page):\n%s", diff)
	}
	if diff := cmp.Diff(c.Propose(c.Reports[0]), a.Proposals); diff != "" || len(a.Proposals) == 0 {
		t.Errorf("proposals (-coverage +page):\n%s", diff)
	}
	if diff := cmp.Diff(report.CardOf(c.Reports[0]), a.Card); diff != "" {
		t.Errorf("the card (-coverage +page):\n%s", diff)
	}
	o := h.overview()
	if diff := cmp.Diff([]report.ApplicationCard{a.Card}, o.Applications); diff != "" {
		t.Errorf("the card of the overview (-page +overview):\n%s", diff)
	}
	if _, err := h.safe.LookApplication(t.Context(), "wiki"); !errors.Is(err, api.ErrNotFound) {
		t.Errorf("an application that there is not: %v", err)
	}
}

// A host that tells of very much makes no page that takes long, and hides no miss
// of what people speak of. All of it is counted.
func TestLookApplicationOfVeryMuch(t *testing.T) {
	h := mappedHall(t)
	before, err := h.safe.LookApplication(t.Context(), "erp")
	h.must(err)
	const many = 3000
	var told estate.Facts
	for i := range many {
		for _, kind := range []estate.Kind{estate.Host, estate.External} {
			id := estate.NewID(kind, fmt.Sprintf("a%05d", i)) // before all others
			told.Components = append(told.Components, estate.Component{ID: id})
			told.Links = append(told.Links, estate.Link{From: estate.End{ID: "host/db1"}, To: estate.End{ID: id}, Need: estate.Run,
				Evidence: []estate.Evidence{{Basis: estate.Observed, Source: "s", First: h.now(), Last: h.now()}}})
		}
	}
	r := run{safe: h.safe, source: h.cfg.Sources[0], started: h.now()}
	h.must(h.safe.state.Update(t.Context(), func(tx *state.Tx) error { return r.learn(tx, &told, false) }))
	a, err := h.safe.LookApplication(t.Context(), "erp")
	h.must(err)
	components := componentsOf(a)
	if all := len(componentsOf(before)) + many; len(components) != report.MostCovered || len(components)+a.MoreComponents != all {
		t.Errorf("%d components and %d more, of %d", len(components), a.MoreComponents, all)
	}
	if misses := len(before.Proposals) + many; len(a.Proposals) != report.MostProposed || len(a.Proposals)+a.MoreProposals != misses {
		t.Errorf("%d proposals and %d more, of %d", len(a.Proposals), a.MoreProposals, misses)
	}
	if len(a.Outside) != report.MostCovered || len(a.Outside)+a.MoreOutside != many {
		t.Errorf("%d that others run and %d more, of %d", len(a.Outside), a.MoreOutside, many)
	}
	if a.Card.Needed != before.Card.Needed+many {
		t.Errorf("the card counts %d", a.Card.Needed)
	}
	for _, item := range before.Items {
		if item.Matter == "" || item.State == coverage.Waived {
			continue
		}
		if !slices.ContainsFunc(a.Items, func(i coverage.Item) bool { return i == item }) ||
			!slices.ContainsFunc(a.Proposals, func(p coverage.Proposal) bool { return p.For == item }) {
			t.Errorf("%+v is hidden", item)
		}
	}
	worst := slices.IsSortedFunc(a.Items, func(a, b coverage.Item) int {
		return slices.Index(coverage.States, a.State) - slices.Index(coverage.States, b.State)
	})
	if !worst {
		t.Error("the worst are not first")
	}
}

func componentsOf(a report.ApplicationPage) map[estate.ID]bool {
	all := make(map[estate.ID]bool)
	for _, item := range a.Items {
		all[item.Component] = true
	}
	return all
}

// The page looks back on the days of one year.
func TestLookApplicationHistory(t *testing.T) {
	h := mappedHall(t)
	a, err := h.safe.LookApplication(t.Context(), "erp")
	h.must(err)
	if len(a.History) != 0 {
		t.Errorf("nothing was looked at, and the history is %+v", a.History)
	}
	h.assess()
	h.pass((report.DaysBack - 2) * 24 * time.Hour)
	h.collect(0)
	h.assess()
	for _, want := range []int{2, 1} {
		a, err = h.safe.LookApplication(t.Context(), "erp")
		h.must(err)
		if len(a.History) != want {
			t.Fatalf("the history has %d days, want %d", len(a.History), want)
		}
		h.pass(5 * 24 * time.Hour)
	}
	if last := a.History[0]; len(last.States) == 0 || len(last.Levels) != 1 {
		t.Errorf("the newest day is %+v", last)
	}
}
