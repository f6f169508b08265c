package estate

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestRenew(t *testing.T) {
	night := func(n int) time.Time { return time.Date(2026, 7, n, 2, 0, 0, 0, time.UTC) }
	says := func(b Basis, place string, first, last int, count int64) Evidence {
		return Evidence{Basis: b, Source: "s", Place: place, First: night(first), Last: night(last), Count: count}
	}
	link := func(to ID, all ...Evidence) Link {
		return Link{From: End{ID: "host/a"}, To: End{ID: to}, Need: Run, Evidence: all}
	}
	known := Facts{
		Components: []Component{
			{ID: "host/a", Aliases: []Alias{"10.0.0.1"}, Evidence: []Evidence{says(Declared, "hosts", 1, 9, 0)}},
			{ID: "host/old", Evidence: []Evidence{says(Declared, "hosts", 1, 9, 0)}},
			{ID: "host/seen", Evidence: []Evidence{says(Observed, "tcp", 1, 9, 3)}},
		},
		Links: []Link{
			link("host/b", says(Declared, "a.yaml", 1, 9, 0), says(Observed, "tcp", 1, 2, 5)),
			link("host/c", says(Declared, "a.yaml", 1, 9, 0), says(Observed, "tcp", 3, 9, 2)),
			link("host/d", says(Declared, "a.yaml", 1, 9, 0)),
			link("host/e", says(Observed, "tcp", 1, 5, 7)),
		},
		Doubts: []string{"of yesterday"},
	}
	fresh := Facts{
		Components: []Component{{ID: "host/a", Aliases: []Alias{"10.0.0.2"}, Evidence: []Evidence{says(Declared, "hosts", 10, 10, 0)}}},
		Links: []Link{
			link("host/b", says(Declared, "a.yaml", 10, 10, 0), says(Observed, "tcp", 10, 10, 1)),
			link("host/f", says(Observed, "tcp", 10, 10, 1)),
		},
		Doubts: []string{"of today"},
	}
	want := Facts{
		Components: []Component{
			{ID: "host/a", Aliases: []Alias{"10.0.0.2"}, Evidence: []Evidence{says(Declared, "hosts", 1, 10, 0)}},
			{ID: "host/seen", Evidence: []Evidence{says(Observed, "tcp", 1, 9, 3)}},
		},
		Links: []Link{
			link("host/b", says(Declared, "a.yaml", 1, 10, 0), says(Observed, "tcp", 1, 10, 6)),
			link("host/f", says(Observed, "tcp", 10, 10, 1)),
			link("host/c", says(Observed, "tcp", 3, 9, 2)), // is not declared any more, and was seen
		},
		Doubts: []string{"of today"},
	}
	got := Renew(known, fresh, night(5))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff(fresh.Links[1:], Renew(Facts{}, fresh, night(5)).Links[1:]); diff != "" {
		t.Errorf("of a source that was not known: -want +got:\n%s", diff)
	}
}

// What is seen of a part of a source takes nothing away.
func TestExtend(t *testing.T) {
	night := func(n int) time.Time { return time.Date(2026, 7, n, 2, 0, 0, 0, time.UTC) }
	says := func(place string, first, last int) []Evidence {
		return []Evidence{{Basis: Declared, Source: "s", Place: place, First: night(first), Last: night(last)}}
	}
	link := func(to ID, all []Evidence) Link {
		return Link{From: End{ID: "host/a"}, To: End{ID: to}, Need: Run, Evidence: all}
	}
	known := Facts{
		Components: []Component{
			{ID: "host/a", Aliases: []Alias{"10.0.0.1"}, Label: "the shop", Software: Redis, Listens: []Port{{80, "tcp"}}, Evidence: says("hosts", 1, 9)},
			{ID: "host/b", Evidence: says("hosts", 1, 9)},
		},
		Links:  []Link{link("host/b", says("a.yaml", 1, 9)), link("host/c", says("b.yaml", 1, 9))},
		Doubts: []string{"of yesterday"},
	}
	fresh := Facts{
		Components: []Component{{ID: "host/a", Aliases: []Alias{"10.0.0.2"}, Roles: []Role{DNS}, Evidence: says("tcp", 10, 10)}},
		Links:      []Link{link("host/c", says("b.yaml", 10, 10)), link("host/d", says("a.yaml", 10, 10))},
		Doubts:     []string{"of today"},
	}
	want := Facts{
		Components: []Component{
			{ID: "host/a", Aliases: []Alias{"10.0.0.1", "10.0.0.2"}, Label: "the shop", Software: Redis, Roles: []Role{DNS}, Listens: []Port{{80, "tcp"}},
				Evidence: append(says("tcp", 10, 10), says("hosts", 1, 9)...)},
			{ID: "host/b", Evidence: says("hosts", 1, 9)},
		},
		Links: []Link{
			link("host/c", says("b.yaml", 1, 10)), link("host/d", says("a.yaml", 10, 10)),
			link("host/b", says("a.yaml", 1, 9)),
		},
		Doubts: []string{"of today"},
	}
	got := Extend(known, fresh)
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff(got, Extend(got, fresh), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("told again: -want +got:\n%s", diff)
	}
}
