package daemon

import (
	"fmt"
	"testing"
	"time"

	"strongroom/internal/estate"
	"strongroom/internal/estate/order"
	"strongroom/internal/safe/config"
)

// knotOf draws components that need each other in a circle.
func knotOf(t *testing.T, text string, ids ...estate.ID) (*config.Config, *estate.Map) {
	t.Helper()
	cfg, err := config.Parse("test.yaml", fmt.Appendf(nil, "safe: test\nstore: /s\ndir: /d\nsources: { s: { kind: local, include: [/etc] } }\ncomponents:\n%s", text))
	if err != nil {
		t.Fatal(err)
	}
	var f estate.Facts
	for i, id := range ids {
		f.Links = append(f.Links, estate.Link{From: estate.End{ID: id}, To: estate.End{ID: ids[(i+1)%len(ids)]}, Need: estate.Start,
			Evidence: []estate.Evidence{{Basis: estate.Declared, Source: "s"}}})
	}
	return cfg, estate.Draw([]estate.Facts{f}, cfg.Statements(time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)))
}

// A host that takes its name off the map, or has two things answer to it, does
// not make a rule about it one about everything.
func TestRuleAboutWhatIsNotThere(t *testing.T) {
	cfg, m := knotOf(t, "  service/db:\n    may_start_without: [ { component: host/gone, mode: m, proven_by: p, undone_by: u } ]\n",
		"service/db", "service/auth", "service/dns")
	o, err := orderOf(cfg, m, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, opened := range o.Knots[0].Opened {
		if opened.Means == order.ByRule {
			t.Errorf("%s starts without %s: %s", opened.From, opened.To, opened.Why)
		}
	}
	if len(o.Questions()) != 1 {
		t.Errorf("questions %v, want one", o.Questions())
	}
}

// Rules in one line are two.
func TestRulesInOneLine(t *testing.T) {
	cfg, m := knotOf(t, "  service/db: { may_start_without: [ { component: service/a, mode: m, proven_by: p, undone_by: u }, { component: service/b, mode: m, proven_by: p, undone_by: u } ] }\n",
		"service/db", "service/a", "service/b")
	o, err := orderOf(cfg, m, nil)
	if err != nil {
		t.Fatal(err)
	}
	if k := o.Knots[0]; len(k.Opened) != 1 || k.Opened[0].Means != order.ByRule || k.Opened[0].To != "service/a" {
		t.Errorf("opened %+v, want service/db without service/a by its rule", k.Opened)
	}
}
