package daemon

import (
	"slices"
	"testing"
	"time"

	"strongroom/internal/estate"
	"strongroom/internal/safe"
)

// What a source told once and does not tell again stays known for a while, if
// it was seen; and a collection that broke off adds what it saw
// and takes nothing away.
func TestFactsAreKept(t *testing.T) {
	d := newDesk(t)
	known := func() (label string, to []estate.ID) {
		t.Helper()
		f, err := d.safe.state.View(t.Context()).FactsOf("erp")
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range f.Links {
			to = append(to, l.To.ID)
		}
		for _, c := range f.Components {
			label = c.Label
		}
		return label, to
	}
	collect := func(part string) safe.RunID {
		t.Helper()
		outcome, err := d.collect(part, 0)
		if err != nil {
			t.Fatal(err)
		}
		return outcome.Snapshot.Run
	}
	is := func(what string, label safe.RunID, to ...safe.RunID) {
		t.Helper()
		var want []estate.ID
		for _, run := range to {
			want = append(want, estate.NewID(estate.Host, run.String()))
		}
		if gotLabel, got := known(); gotLabel != label.String() || !slices.Equal(got, want) {
			t.Errorf("%s: label %s, links to %v, want %s and %v", what, gotLabel, got, label, want)
		}
	}
	first := collect("facts")
	is("after the first night", first, first)
	second := collect("facts")
	is("after the second", second, second, first)
	part := collect("partial facts")
	is("after one that broke off", part, part, second, first)
	d.now = d.now.Add(seenFor - time.Hour)
	third := collect("facts")
	is("just before it is forgotten", third, third, part, second, first)
	d.now = d.now.Add(2 * time.Hour)
	fourth := collect("facts")
	is("when nothing was seen for so long", fourth, fourth, third)
}
