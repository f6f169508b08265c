package state

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/ledger"
	"strongroom/internal/safe"
)

// downgrade takes away what version 5 has brought.
func downgrade(t *testing.T, d *desk) {
	t.Helper()
	queries := []string{"DROP TABLE fact", "DROP TABLE map", "DROP TABLE finding", "DROP TABLE standing", "DROP TABLE keyring", "DROP TABLE source", "PRAGMA user_version = 4"}
	for _, column := range []string{"ended", "reason", "tier", "started", "keep_until", "entries", "bytes", "new_bytes", "warnings"} {
		queries = append(queries, "ALTER TABLE run DROP COLUMN "+column)
	}
	if _, err := d.db.Exec(strings.Join(queries, ";")); err != nil {
		t.Fatal(err)
	}
}

// nights has a run of every kind: of erp one that is complete, one that failed,
// one that is partial; of mail one that is complete and one under way; and one
// of lost whose description is gone.
func (d *desk) nights() (runs []safe.RunID) {
	d.t.Helper()
	begin := func(source safe.SourceName, day int) safe.RunID {
		run := d.begin(source, now.AddDate(0, 0, day))
		runs = append(runs, run)
		return run
	}
	keep := func(source safe.SourceName, day int, tier safe.Tier, reason string) safe.Snapshot {
		run := begin(source, day)
		s := d.snapshot(run, source)
		s.Started = now.AddDate(0, 0, day).Add(123456789)
		s.Finished = s.Started.Add(time.Hour)
		s.Tier, s.Partial = tier, tier == safe.Broken
		s.Entries, s.Bytes, s.NewBytes, s.Warnings = int64(day+1), int64(day+2), int64(day+3), int64(day+4)
		d.update(func(tx *Tx) error { return tx.KeepSnapshot(s.Finished.Add(time.Second), s, reason) })
		return s
	}
	keep("erp", 0, safe.Daily, "")
	failed := begin("erp", 1)
	d.update(func(tx *Tx) error {
		return tx.FailRun(now.AddDate(0, 0, 1).Add(time.Minute), ledger.RunFailed{Run: failed, Source: "erp", Reason: `the host said "no"`})
	})
	keep("erp", 2, safe.Broken, "stopped")
	keep("mail", 0, safe.Weekly, "")
	begin("mail", 2)
	lost := begin("lost", 0)
	d.update(func(tx *Tx) error {
		kept := ledger.KeptOf(d.snapshot(lost, "lost"), "")
		if err := tx.EndRun(lost, EndOf(now, kept)); err != nil {
			return err
		}
		return tx.Append(now, ledger.Safe, kept)
	})
	return runs
}

func (d *desk) sources() []Source {
	d.t.Helper()
	all, err := d.View(d.t.Context()).Sources()
	if err != nil {
		d.t.Fatal(err)
	}
	return all
}

func TestSources(t *testing.T) {
	d := newDesk(t)
	runs := d.nights()
	day := func(n int) time.Time { return now.AddDate(0, 0, n) }
	figures := func(n int, tier safe.Tier) *Figures {
		return &Figures{Tier: tier, Started: day(n).Add(123456789), KeepUntil: now.AddDate(0, 1, 0), Entries: int64(n + 1), Bytes: int64(n + 2), NewBytes: int64(n + 3), Warnings: int64(n + 4)}
	}
	ended := func(n int) time.Time { return day(n).Add(123456789 + time.Hour + time.Second) }
	nine := safe.Digest{9}
	first := Run{ID: runs[0], Source: "erp", Envelope: nine, Outcome: Complete, Ended: ended(0), Kept: figures(0, safe.Daily)}
	failed := Run{ID: runs[1], Source: "erp", Envelope: nine, Outcome: Failed, Ended: day(1).Add(time.Minute), Reason: `the host said "no"`}
	partial := Run{ID: runs[2], Source: "erp", Envelope: nine, Outcome: Partial, Ended: ended(2), Reason: "stopped", Kept: figures(2, safe.Broken)}
	mail := Run{ID: runs[3], Source: "mail", Envelope: nine, Outcome: Complete, Ended: ended(0), Kept: figures(0, safe.Weekly)}
	want := []Source{
		{Name: "erp", First: runs[0], Last: partial, Newest: &partial, Complete: &first, Snapshots: 2},
		{Name: "lost", First: runs[5], Last: Run{ID: runs[5], Source: "lost", Envelope: nine, Outcome: Complete, Ended: now}},
		{Name: "mail", First: runs[3], Last: Run{ID: runs[4], Source: "mail", Envelope: nine}, Newest: &mail, Complete: &mail, Snapshots: 1},
	}
	if diff := cmp.Diff(want, d.sources()); diff != "" {
		t.Errorf("want - got +:\n%s", diff)
	}
	if got := d.sources(); got[0].Last.Lost() || !got[1].Last.Lost() || got[2].Last.Lost() {
		t.Error("what is lost is what was kept and has no description")
	}
	if got, ok, err := d.View(t.Context()).Source("mail"); err != nil || !ok || !cmp.Equal(got, want[2]) {
		t.Errorf("got %+v, %v, %v", got, ok, err)
	}
	if _, ok, err := d.View(t.Context()).Source("payroll"); err != nil || ok {
		t.Errorf("a source that was never collected: %v, %v", ok, err)
	}

	byID, err := d.Runs(t.Context(), "erp")
	if err != nil || !cmp.Equal(byID, map[safe.RunID]Run{first.ID: first, failed.ID: failed, partial.ID: partial}) {
		t.Errorf("got %+v, %v", byID, err)
	}
	for _, tt := range []struct {
		before safe.RunID
		most   int
		want   []Run
	}{
		{safe.RunID{}, 9, []Run{partial, failed, first}},
		{safe.RunID{}, 2, []Run{partial, failed}},
		{failed.ID, 9, []Run{first}},
		{first.ID, 9, nil},
	} {
		if got, err := d.View(t.Context()).RunsBefore("erp", tt.before, tt.most); err != nil || !cmp.Equal(got, tt.want) {
			t.Errorf("before %s: got %+v, %v", tt.before, got, err)
		}
	}
}

func TestNightsSince(t *testing.T) {
	d := newDesk(t)
	runs := d.nights()
	all := map[safe.SourceName][]Night{
		"erp":  {{runs[0], Complete, false}, {runs[1], Failed, false}, {runs[2], Partial, false}},
		"mail": {{runs[3], Complete, false}, {runs[4], Underway, false}},
		"lost": {{runs[5], Complete, true}},
	}
	later := map[safe.SourceName][]Night{"erp": all["erp"][1:], "mail": all["mail"][1:]}
	for _, tt := range []struct {
		since time.Time
		want  map[safe.SourceName][]Night
	}{
		{now, all},
		{now.Add(time.Millisecond), later},
		{now.AddDate(0, 0, 1), later},
		{now.AddDate(0, 0, 3), map[safe.SourceName][]Night{}},
		{time.UnixMilli(1), all},
	} {
		if got, err := d.View(t.Context()).NightsSince(tt.since); err != nil || !cmp.Equal(got, tt.want) {
			t.Errorf("since %s: got %+v, %v", tt.since, got, err)
		}
		for _, source := range []safe.SourceName{"erp", "mail", "payroll"} {
			if got, err := d.View(t.Context()).NightsOf(source, tt.since); err != nil || !cmp.Equal(got, tt.want[source]) {
				t.Errorf("%s since %s: got %+v, %v", source, tt.since, got, err)
			}
		}
	}
}

// A state of version 4 gets from its ledger and its descriptions what one of
// version 5 has kept all along.
func TestFiguresAreMigrated(t *testing.T) {
	d := newDesk(t)
	d.nights()
	read := func() (all []any) {
		all = append(all, d.sources())
		for _, name := range []safe.SourceName{"erp", "lost", "mail"} {
			runs, err := d.Runs(t.Context(), name)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, slices.SortedFunc(maps.Values(runs), func(a, b Run) int { return a.ID.Compare(b.ID) }))
		}
		return all
	}
	want := read()
	downgrade(t, d)
	d.State.Close()
	d.State = d.open()
	got := read()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want - got +:\n%s", diff)
	}
	// And goes on from there.
	run := d.begin("lost", now.AddDate(0, 0, 5))
	d.update(func(tx *Tx) error { return tx.KeepSnapshot(now.AddDate(0, 0, 5), d.snapshot(run, "lost"), "") })
	if s := d.sources()[1]; s.Snapshots != 1 || s.Complete == nil || s.Complete.ID != run || s.Last.ID != run {
		t.Errorf("got %+v", s)
	}
}

// A look sees one moment, whatever is written meanwhile.
func TestALookSeesOneMoment(t *testing.T) {
	d := newDesk(t)
	d.nights()
	err := d.Look(t.Context(), func(v View) error {
		before, err := v.Sources()
		if err != nil {
			return err
		}
		d.begin("erp", now.AddDate(0, 0, 9))
		after, err := v.Sources()
		if !cmp.Equal(before, after) {
			t.Errorf("%+v became %+v", before, after)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Of the complete snapshots before a time the first and the last are enough, for
// those that want to know how old the newest was since then.
func TestHeld(t *testing.T) {
	d := newDesk(t)
	runs := d.nights()
	more := make(map[int]safe.RunID)
	for _, day := range []int{3, 5, 7, 9} {
		s := d.snapshot(d.begin("erp", now.AddDate(0, 0, day)), "erp")
		s.Started, s.Finished = now.AddDate(0, 0, day), now.AddDate(0, 0, day).Add(time.Hour)
		d.update(func(tx *Tx) error { return tx.KeepSnapshot(s.Finished, s, "") })
		more[day] = s.Run
	}
	held := func(of []Held) (ids []safe.RunID) {
		for _, h := range of {
			ids = append(ids, h.Run)
			if d := h.Ended.Sub(h.Started); d < 59*time.Minute || d > 61*time.Minute {
				t.Errorf("run %s took %v", h.Run, d)
			}
		}
		return ids
	}
	is := func(what string, got, want []safe.RunID) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	v := d.View(t.Context())
	for _, tt := range []struct {
		day int
		erp []safe.RunID
	}{
		{-1, []safe.RunID{runs[0], more[3], more[5], more[7], more[9]}},
		{1, []safe.RunID{runs[0], more[3], more[5], more[7], more[9]}},
		{6, []safe.RunID{runs[0], more[5], more[7], more[9]}},
		{20, []safe.RunID{runs[0], more[9]}},
	} {
		all, err := v.HeldSince(now.AddDate(0, 0, tt.day))
		if err != nil {
			t.Fatal(err)
		}
		is("erp", held(all["erp"]), tt.erp)
		is("mail", held(all["mail"]), []safe.RunID{runs[3]})
		is("lost", held(all["lost"]), nil)
	}
	all, err := v.HeldOf("erp")
	if err != nil {
		t.Fatal(err)
	}
	is("all of erp", held(all), []safe.RunID{runs[0], more[3], more[5], more[7], more[9]})
	if none, err := v.HeldOf("nobody"); err != nil || len(none) > 0 {
		t.Errorf("of nobody: %v, %v", none, err)
	}
}
