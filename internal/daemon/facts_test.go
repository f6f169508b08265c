package daemon

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"strongroom/internal/daemon/state"
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

// What a hostile host shows so that nothing at all can be read of it takes
// nothing off the map, and is not passed over in silence.
func TestWhatCannotBeReadTakesNothingAway(t *testing.T) {
	d := newDesk(t)
	told := estate.Facts{Components: []estate.Component{{ID: "host/dns1"}}, Links: []estate.Link{{
		From: estate.End{ID: "host/erp"}, To: estate.End{ID: "host/dns1"}, Need: estate.Start,
		Evidence: []estate.Evidence{{Basis: estate.Declared, Source: "erp", Place: "resolv.conf"}},
	}}}
	for what, spoilt := range map[string]*estate.Facts{
		"too much":         {Doubts: []string{"erp: more than 25165824 bytes of facts: this is not read"}},
		"killed over them": nil,
	} {
		d.learn(&told, true)
		d.learn(spoilt, true)
		m, err := d.safe.Map(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Between("host/erp", "host/dns1")) != 1 {
			t.Errorf("%s: the dependency has vanished", what)
		}
		if len(m.Doubts) != 1 {
			t.Errorf("%s: doubts %q, want one", what, m.Doubts)
		}
	}
	d.learn(&estate.Facts{}, true)
	if m, err := d.safe.Map(t.Context()); err != nil || len(m.Dependencies)+len(m.Doubts) > 0 {
		t.Errorf("a host that shows nothing any more, and nothing odd: %v, %v", m.Dependencies, err)
	}
}

// What is remembered of a source that tells of other things each night, or of
// the same with other words, stays bounded.
func TestFactsDoNotGrowWithoutEnd(t *testing.T) {
	d := newDesk(t)
	for night := range 5 {
		var told estate.Facts
		for i := range 20 {
			told.Components = append(told.Components, estate.Component{ID: estate.NewID(estate.Host, fmt.Sprint(night, "-", i)),
				Evidence: []estate.Evidence{{Basis: estate.Observed, Source: "erp", Detail: strings.Repeat("x", 1<<20), Last: d.now}}})
		}
		d.learn(&told, night%2 == 0)
		known, err := d.safe.state.View(t.Context()).FactsOf("erp")
		if err != nil {
			t.Fatal(err)
		}
		size := 0
		for _, c := range known.Components {
			size += len(c.Evidence[0].Detail)
		}
		if size < 20<<20 || size > maxKnownBytes {
			t.Errorf("after night %d %d bytes are known, want at least what it told and at most %d", night, size, maxKnownBytes)
		}
	}
}

// learn has source erp tell something.
func (d *desk) learn(told *estate.Facts, whole bool) {
	d.t.Helper()
	r := run{safe: d.safe, source: d.cfg.Sources[0], started: d.now}
	if err := d.safe.state.Update(d.t.Context(), func(tx *state.Tx) error { return r.learn(tx, told, whole) }); err != nil {
		d.t.Fatal(err)
	}
}
