package facts

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/estate"
)

func TestDraft(t *testing.T) {
	p := Place{Source: "web", Path: "/etc/x", Scope: "web1", Seen: time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)}
	seen := func(detail string, count int64) []estate.Evidence {
		e := p.Evidence(estate.Observed, "", detail)
		e.Count = count
		return []estate.Evidence{e}
	}
	a, b := estate.End{ID: "host/a"}, estate.End{ID: "host/b"}
	port := estate.Port{Number: 80, Protocol: "tcp"}

	// The same in another order, and said in other pieces.
	says := []func(*Draft){
		func(d *Draft) { d.Component(estate.Component{ID: "host/b", Aliases: []estate.Alias{"10.0.0.2"}}) },
		func(d *Draft) {
			d.Component(estate.Component{ID: "host/b", Aliases: []estate.Alias{"10.0.0.2", "10.0.0.1"}, Label: "B"})
		},
		func(d *Draft) { d.Component(estate.Component{ID: "host/a", Roles: []estate.Role{estate.DNS}}) },
		func(d *Draft) {
			d.Link(estate.Link{From: b, To: a, Need: estate.Run, Port: port, Evidence: seen("one", 1)})
		},
		func(d *Draft) {
			d.Link(estate.Link{From: b, To: a, Need: estate.Run, Port: port, Evidence: seen("one", 2)})
		},
		func(d *Draft) {
			d.Link(estate.Link{From: b, To: a, Need: estate.Run, Port: port, Evidence: seen("another", 1)})
		},
		func(d *Draft) { d.Link(estate.Link{From: a, To: a, Need: estate.Run, Evidence: seen("itself", 1)}) },
		func(d *Draft) { d.Doubt("%d of them", 2) },
		func(d *Draft) { d.Doubt("%d of them", 2) },
	}
	want := estate.Facts{
		Components: []estate.Component{
			{ID: "host/a", Roles: []estate.Role{estate.DNS}},
			{ID: "host/b", Aliases: []estate.Alias{"10.0.0.1", "10.0.0.2"}, Label: "B"},
		},
		Links: []estate.Link{{From: b, To: a, Need: estate.Run, Port: port,
			Evidence: append(seen("another", 1), seen("one", 3)...)}},
		Doubts: []string{"2 of them"},
	}
	for from := range says {
		var d Draft
		for i := range says {
			says[(from+i)%len(says)](&d)
		}
		got, err := d.Facts()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("said from the %dth on: -want +got\n%s", from, diff)
		}
	}
}
