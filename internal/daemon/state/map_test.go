package state

import (
	"bytes"
	"testing"
	"time"
)

// There is a version of a day, the last one; and of many the oldest are dropped.
func TestVersionsOfTheMap(t *testing.T) {
	d := newDesk(t)
	day := time.Date(2026, 11, 1, 2, 0, 0, 0, time.UTC)
	keep := func(at time.Time, b string, most int, mostBytes int64) {
		t.Helper()
		d.update(func(tx *Tx) error { return tx.KeepMap(MapVersion{at, []byte(b)}, most, mostBytes) })
	}
	is := func(at time.Time, want string) {
		t.Helper()
		v, ok, err := d.View(t.Context()).NewestMap(at)
		if err != nil || ok != (want != "") || string(v.Bytes) != want {
			t.Errorf("on %v it is %q, %v, %v, want %q", at, v.Bytes, ok, err, want)
		}
	}
	is(day, "")
	if _, ok, err := d.View(t.Context()).OldestMap(); ok || err != nil {
		t.Errorf("an oldest version of none: %v, %v", ok, err)
	}
	keep(day, "a", 9, 100)
	keep(day.AddDate(0, 0, 1), "b", 9, 100)
	keep(day.AddDate(0, 0, 1).Add(time.Hour), "c", 9, 100) // the same day
	keep(day.AddDate(0, 0, 7), "d", 9, 100)
	is(day.Add(-time.Second), "")
	is(day, "a")
	is(day.AddDate(0, 0, 1), "a")
	is(day.AddDate(0, 0, 6), "c")
	is(day.AddDate(1, 0, 0), "d")
	if v, ok, err := d.View(t.Context()).OldestMap(); !ok || err != nil || string(v.Bytes) != "a" || !v.Taken.Equal(day) {
		t.Errorf("the oldest is %q of %v, %v, %v", v.Bytes, v.Taken, ok, err)
	}

	keep(day.AddDate(0, 0, 8), "e", 3, 100)
	is(day.AddDate(0, 0, 1), "")
	is(day.AddDate(0, 0, 2), "c")
	keep(day.AddDate(0, 0, 9), string(bytes.Repeat([]byte("f"), 99)), 9, 100)
	is(day.AddDate(0, 0, 7), "")
	is(day.AddDate(0, 0, 8), "e")
}
