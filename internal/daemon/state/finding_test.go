package state

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/ledger"
)

func (d *desk) raise(kind, subject, text string, at time.Time) (n int64) {
	d.t.Helper()
	d.update(func(tx *Tx) (err error) {
		n, err = tx.Record(at, ledger.Safe, ledger.FindingRaised{Finding: kind, Subject: ledger.TextOf(subject), Text: ledger.TextOf(text)})
		return err
	})
	return n
}

func (d *desk) findings() []Finding {
	d.t.Helper()
	all, err := d.View(d.t.Context()).LiveFindings(100)
	if err != nil {
		d.t.Fatal(err)
	}
	return all
}

// What version 9 makes of the findings of an older ledger is what it would have
// made of them as they were raised.
func TestFindingsAreMigrated(t *testing.T) {
	d := newDesk(t)
	for i, f := range []struct{ kind, subject string }{
		{"store.unknown", "notes"}, {"source.host_key_refused", "erp"}, {"store.unknown", "more \"notes\""},
		{"source.host_key_refused", "erp"}, {"source.host_key_refused", "mail"}, {"source.host_key_refused", "erp"},
	} {
		d.raise(f.kind, f.subject, fmt.Sprint(i), now.Add(time.Duration(i)*time.Hour))
	}
	want := d.findings()
	if len(want) != 4 || want[1].Count != 3 || want[1].Text != "5" || !want[1].First.Equal(now.Add(time.Hour)) || !want[1].Seen.Equal(now.Add(5*time.Hour)) {
		t.Errorf("the findings are %+v", want)
	}
	before := d.verify()
	if _, err := d.db.Exec("DROP TABLE finding; DROP TABLE standing; PRAGMA user_version = 8"); err != nil {
		t.Fatal(err)
	}
	d.State.Close()
	d.State = d.open()
	if diff := cmp.Diff(want, d.findings()); diff != "" {
		t.Errorf("migrated they differ (-want +got):\n%s", diff)
	}
	if after := d.verify(); after != before {
		t.Errorf("the ledger went from %+v to %+v", before, after)
	}
	if d.raise("store.unknown", "notes", "again", now.Add(9*time.Hour)); d.findings()[0].Count != 2 {
		t.Errorf("one that was migrated is not raised again: %+v", d.findings())
	}
}

// A finding that was cleared is another one when it comes up again.
func TestFindingsBeginAgain(t *testing.T) {
	d := newDesk(t)
	first := d.raise("a", "b", "c", now)
	clear := func(n int64) {
		d.update(func(tx *Tx) error {
			return tx.Append(now, ledger.Safe, ledger.FindingCleared{Entry: n, Finding: "a", Subject: "b", Reason: "mended"})
		})
	}
	clear(first)
	clear(first) // which changes nothing
	if all := d.findings(); len(all) != 0 {
		t.Errorf("they are %+v", all)
	}
	second := d.raise("a", "b", "c", now)
	if all := d.findings(); len(all) != 1 || all[0].N != second || all[0].Count != 1 {
		t.Errorf("they are %+v", all)
	}
	cleared, err := d.View(t.Context()).ClearedFindings(9)
	if err != nil || len(cleared) != 1 || cleared[0].N != first || cleared[0].Cleared.N != first+1 {
		t.Errorf("cleared are %+v, %v", cleared, err)
	}
}

// There is a standing of a day, the last one; and of many days the oldest are
// dropped.
func TestStandings(t *testing.T) {
	d := newDesk(t)
	keep := func(app string, at time.Time, b string) {
		t.Helper()
		d.update(func(tx *Tx) error { return tx.KeepStanding(Standing{app, at, []byte(b)}, 3) })
	}
	if taken, err := d.View(t.Context()).NewestStanding(); err != nil || !taken.IsZero() {
		t.Errorf("before all: %v, %v", taken, err)
	}
	for i, b := range []string{"a", "b", "c", "d"} {
		keep("erp", now.AddDate(0, 0, i), b)
	}
	keep("erp", now.AddDate(0, 0, 3).Add(time.Hour), "e")
	keep("shop", now, "f")
	all, err := d.View(t.Context()).Standings("erp", now)
	if err != nil {
		t.Fatal(err)
	}
	var got string
	for _, s := range all {
		got += string(s.Bytes)
	}
	if got != "bce" || !all[2].Taken.Equal(now.AddDate(0, 0, 3).Add(time.Hour)) {
		t.Errorf("kept are %q", got)
	}
	if some, err := d.View(t.Context()).Standings("erp", now.AddDate(0, 0, 3)); err != nil || len(some) != 1 {
		t.Errorf("of the last day: %v, %v", some, err)
	}
}
