package daemon

import (
	"testing"
	"time"

	"strongroom/internal/safe"
)

// A clock that was far ahead for one run must not make that run's snapshot the
// newest for ever after, nor keep the next from building on what is remembered.
func TestNewestAfterTheClockWasAhead(t *testing.T) {
	d := newDesk(t)
	collect := func(at time.Time) safe.Snapshot {
		t.Helper()
		d.now = at
		outcome, err := d.collect("honest", 0)
		if err != nil {
			t.Fatal(err)
		}
		return *outcome.Snapshot
	}
	began := d.now
	collect(began)
	ahead := collect(began.AddDate(1, 0, 0))
	back := collect(began.AddDate(0, 0, 1))
	if back.Started.After(ahead.Started) {
		t.Fatalf("the clock was not turned back: %v, then %v", ahead.Started, back.Started)
	}
	if _, listed := d.check(); listed[len(listed)-1].Run != back.Run {
		t.Errorf("the newest of %d snapshots is not the last", len(listed))
	}
	r := &run{safe: d.safe, source: d.cfg.Sources[0]}
	if err := r.lookBack(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r.last == nil || r.last.Run != back.Run {
		t.Errorf("the next run would build on %+v, want run %s", r.last, back.Run)
	}
}
