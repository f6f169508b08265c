package state

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/ledger"
	"strongroom/internal/safe"
)

// numbers returns those of entries.
func numbers(entries []Numbered) (all []int64) {
	for _, e := range entries {
		all = append(all, e.N)
	}
	return all
}

func TestEntriesAreLookedUp(t *testing.T) {
	d := newDesk(t)
	one, other := safe.NewOpeningID(now), safe.NewOpeningID(now)
	asks := func(id safe.OpeningID, reason ledger.Text) ledger.Event {
		return ledger.OpeningRequested{Opening: id, Address: netip.MustParseAddr("10.0.0.7"), Hours: 4, Reason: reason, Until: now,
			Snapshots: []ledger.SnapshotNamed{{Run: safe.NewRunID(now), Source: "erp"}}, Signed: ledger.Signed{Statement: "x", Signature: "eA=="}}
	}
	for _, what := range []ledger.Event{
		asks(one, "drill"), // 1
		asks(other, ledger.Text(`"opening":"`+one.String()+`"`)), // 2: quotes the first
		ledger.ScrubDone{Objects: 1},                             // 3
		ledger.OpeningExpired{Opening: other},                    // 4
		ledger.OpeningRefused{Opening: one, Reason: "no", Signed: ledger.Signed{Statement: "x", Signature: "eA=="}}, // 5
		ledger.ScrubDone{Objects: 2}, // 6
		ledger.RecordReceived{Opening: one, Name: "a", Digest: safe.Digest{1}}, // 7
	} {
		d.update(func(tx *Tx) error { return tx.Append(now, ledger.Safe, what) })
	}
	v := d.View(t.Context())
	for _, tt := range []struct {
		name string
		read func() ([]Numbered, error)
		want []int64
	}{
		{"before the end", func() ([]Numbered, error) { return v.EntriesBefore(8, 3) }, []int64{7, 6, 5}},
		{"before the third", func() ([]Numbered, error) { return v.EntriesBefore(2, 3) }, []int64{1, 0}},
		{"before the first", func() ([]Numbered, error) { return v.EntriesBefore(0, 3) }, nil},
		{"from the sixth on", func() ([]Numbered, error) { return v.EntriesFrom(5, 2) }, []int64{5, 6}},
		{"of a kind", func() ([]Numbered, error) { return v.NewestOf("scrub.done", 9) }, []int64{6, 3}},
		{"the newest of a kind", func() ([]Numbered, error) { return v.NewestOf("scrub.done", 1) }, []int64{6}},
		{"of a kind that there is not", func() ([]Numbered, error) { return v.NewestOf("run.failed", 1) }, nil},
		{"of an opening", func() ([]Numbered, error) { return v.OfOpening(one) }, []int64{1, 5, 7}},
		{"of another", func() ([]Numbered, error) { return v.OfOpening(other) }, []int64{2, 4}},
		{"of none", func() ([]Numbered, error) { return v.OfOpening(safe.NewOpeningID(now)) }, nil},
	} {
		got, err := tt.read()
		if err != nil || !cmp.Equal(numbers(got), tt.want) {
			t.Errorf("%s: got %v, %v, want %v", tt.name, numbers(got), err, tt.want)
		}
	}
	if size, err := v.Size(); err != nil || size != 8 {
		t.Errorf("%d entries, %v", size, err)
	}
	if done, _, ok, err := v.LastScrub(); err != nil || !ok || done.Objects != 2 {
		t.Errorf("the last scrub is %+v, %v, %v", done, ok, err)
	}
}

func TestRunsNamed(t *testing.T) {
	d := newDesk(t)
	runs := d.nights()
	got, err := d.View(t.Context()).RunsNamed([]safe.RunID{runs[3], safe.NewRunID(now), runs[1]})
	if err != nil || len(got) != 2 || got[runs[3]].Source != "mail" || got[runs[1]].Outcome != Failed {
		t.Errorf("got %+v, %v", got, err)
	}
	if got, err := d.View(t.Context()).RunsNamed(nil); err != nil || len(got) != 0 {
		t.Errorf("of none: %+v, %v", got, err)
	}
}
