package daemon

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/access/api"
	"strongroom/internal/daemon/state"
	"strongroom/internal/estate"
	"strongroom/internal/report"
	"strongroom/internal/safe/config"
)

const estateOfTheTests = `
components:
  database/erp:
    owner: infra@acme.example
    must_hold: { data: [ erp ], secrets: missing }
    depends_on: [ host/db1 ]
    waived: [ { what: secrets, by: ada, until: 2099-12-31, reason: on paper } ]
  host/db1:
    must_hold: { configuration: [ web ] }
    depends_on: [ service/dns, { component: service/watch, kind: telemetry } ]
  service/dns: { depends_on: [ service/ldap ] }
  service/ldap: { depends_on: [ service/dns ] }
applications:
  erp:
    consists_of: [ database/erp ]
    levels: { rpo: 26h }
`

// mappedHall is a hall whose configuration speaks of an estate.
func mappedHall(t *testing.T) *hall {
	t.Helper()
	cfg := hallConfig(t, t.TempDir())
	text := fmt.Sprintf("safe: test\nstore: %s\nsources:\n  erp: { kind: local, include: [/etc] }\n  web: { kind: local, include: [/etc] }\n%s", t.TempDir(), estateOfTheTests)
	more, err := config.Parse("test.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	cfg.Components, cfg.Applications = more.Components, more.Applications
	return newHallIn(t, cfg, nil)
}

// spell writes the components of a map, one a line: with its layer, its knot and
// its state.
func spell(m report.MapPage) string {
	var b strings.Builder
	for _, c := range m.Components {
		fmt.Fprintf(&b, "%d %d %s %s %d %d\n", c.Layer, c.Knot, c.ID, c.State, c.Needs, c.NeededBy)
	}
	return b.String()
}

func TestLookMap(t *testing.T) {
	h := mappedHall(t)
	h.collect(1)
	m, err := h.safe.LookMap(t.Context(), report.MapFilter{})
	h.must(err)
	want := `1 1 service/dns missing 1 2
1 1 service/ldap missing 1 1
1 0 service/watch  0 1
2 0 host/db1 unproven 2 1
3 0 database/erp missing 1 1
4 0 application/erp missing 1 0
`
	if diff := cmp.Diff(want, spell(m)); diff != "" {
		t.Errorf("layer, knot, component, state, needs, needed by (-want +got):\n%s", diff)
	}
	if m.All != 6 || len(m.Arrows) != 6 || len(m.Knots) != 1 || len(m.Knots[0].Opened) == 0 || strings.Join(m.Applications, " ") != "erp" {
		t.Errorf("the map has %d components, %d arrows, the knots %+v", m.All, len(m.Arrows), m.Knots)
	}
	for _, tt := range []struct {
		asked report.MapFilter
		want  string
	}{
		{report.MapFilter{Text: "DB1"}, "host/db1"},
		{report.MapFilter{Text: "infra@"}, "database/erp"},
		{report.MapFilter{Application: "erp", Kind: estate.Service}, "service/dns service/ldap"},
		{report.MapFilter{Kind: estate.Service}, "service/dns service/ldap service/watch"},
		{report.MapFilter{Basis: estate.Stated, Kind: estate.Host}, "host/db1"},
		{report.MapFilter{Basis: estate.Observed}, ""},
		{report.MapFilter{Application: "wiki"}, ""},
	} {
		m, err := h.safe.LookMap(t.Context(), tt.asked)
		h.must(err)
		var got []string
		shown := make(map[estate.ID]bool)
		for _, c := range m.Components {
			got, shown[c.ID] = append(got, string(c.ID)), true
		}
		if strings.Join(got, " ") != tt.want || m.All != 6 {
			t.Errorf("%+v: %q of %d", tt.asked, got, m.All)
		}
		for _, a := range m.Arrows {
			if !shown[a.From] || !shown[a.To] {
				t.Errorf("%+v: an arrow from %s to %s, which are not both shown", tt.asked, a.From, a.To)
			}
		}
	}
}

// A source that tells of very much makes no page that nobody can hold in memory,
// and hides nothing that an application needs.
func TestLookMapOfVeryMuch(t *testing.T) {
	h := mappedHall(t)
	before, err := h.safe.LookMap(t.Context(), report.MapFilter{Application: "erp"})
	h.must(err)
	const knot = 2 * report.MostInKnot
	id := func(i int) estate.ID { return estate.NewID(estate.Host, fmt.Sprint("a", i)) }
	var told estate.Facts
	for i := range report.MostMapped + 500 {
		told.Components = append(told.Components, estate.Component{ID: id(i)})
		if i < knot {
			told.Links = append(told.Links, estate.Link{From: estate.End{ID: id(i)}, To: estate.End{ID: id((i + 1) % knot)}, Need: estate.Start,
				Evidence: []estate.Evidence{{Basis: estate.Declared, Source: "s"}}})
		}
	}
	r := run{safe: h.safe, source: h.cfg.Sources[0], started: h.now()}
	h.must(h.safe.state.Update(t.Context(), func(tx *state.Tx) error { return r.learn(tx, &told, false) }))
	m, err := h.safe.LookMap(t.Context(), report.MapFilter{})
	h.must(err)
	if len(m.Components) != report.MostMapped || len(m.Components)+m.More != m.All {
		t.Errorf("%d components and %d more, of %d", len(m.Components), m.More, m.All)
	}
	if k := m.Knots[0]; len(k.Components) != report.MostInKnot || k.Size() != knot {
		t.Errorf("a knot shows %d components of %d", len(k.Components), k.Size())
	}
	for _, c := range before.Components {
		if !slices.ContainsFunc(m.Components, func(d report.MapComponent) bool { return d.ID == c.ID }) {
			t.Errorf("%s, which an application needs, is hidden", c.ID)
		}
	}
}

func TestLookComponent(t *testing.T) {
	h := mappedHall(t)
	c, err := h.safe.LookComponent(t.Context(), "host/db1")
	h.must(err)
	ends := func(all []report.Neighbour) string {
		var words []string
		for _, n := range all {
			words = append(words, fmt.Sprintf("%s %s %d", n.Need, n.ID, len(n.Evidence)))
		}
		return strings.Join(words, ", ")
	}
	if got := ends(c.Needs); got != "run service/dns 1, telemetry service/watch 1" {
		t.Errorf("it needs %s", got)
	}
	if got := ends(c.NeededBy); got != "run database/erp 1" {
		t.Errorf("it is needed by %s", got)
	}
	if len(c.Covers) != 1 || c.Covers[0].Application != "erp" || len(c.Covers[0].Items) != 1 || c.Covers[0].Items[0].Source != "web" {
		t.Errorf("what erp needs of it: %+v", c.Covers)
	}
	if len(c.Steps) == 0 || len(c.Evidence) == 0 || c.Layer != 2 {
		t.Errorf("it is %+v", c)
	}
	knotted, err := h.safe.LookComponent(t.Context(), "service/dns")
	h.must(err)
	if diff := cmp.Diff([]estate.ID{"service/ldap"}, knotted.Knot); diff != "" {
		t.Errorf("the others of its knot (-want +got):\n%s", diff)
	}
	if _, err := h.safe.LookComponent(t.Context(), "host/none"); !errors.Is(err, api.ErrNotFound) {
		t.Errorf("a component that there is not: %v", err)
	}
}
