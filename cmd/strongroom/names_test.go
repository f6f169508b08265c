package main

import (
	"errors"
	"testing"
	"time"

	"strongroom/internal/safe"
	"strongroom/internal/store/catalog"
	"strongroom/internal/ui"
)

// at makes a snapshot of a source, at a time in the local zone.
func at(t *testing.T, source safe.SourceName, started string, partial bool) catalog.Listed {
	t.Helper()
	when, err := time.ParseInLocation("2006-01-02T15:04:05.000", started, time.Local)
	if err != nil {
		t.Fatal(err)
	}
	return catalog.Listed{Snapshot: safe.Snapshot{Source: source, Run: safe.NewRunID(when), Started: when, Partial: partial}}
}

func TestChoose(t *testing.T) {
	listed := []catalog.Listed{
		at(t, "erp", "2026-11-19T02:30:00.000", false),
		at(t, "web", "2026-11-20T02:29:00.000", false),
		at(t, "erp", "2026-11-20T02:30:07.100", false),
		at(t, "erp", "2026-11-20T02:30:07.900", false),
		at(t, "erp", "2026-11-20T02:30:59.000", true),
		at(t, "erp", "2026-11-20T14:00:00.000", true),
		at(t, "new", "2026-11-20T15:00:00.000", true),
	}
	var all []safe.Snapshot
	for i, l := range listed {
		all = append(all, l.Snapshot)
		if got, err := choose(listed, l.Run.String(), time.Time{}); err != nil || got.Run != l.Run {
			t.Errorf("the run of %d is that of %v, %v", i, got.Started, err)
		}
	}
	for i, l := range listed {
		name := namesOf(all).of(l.Snapshot)
		if got, err := choose(listed, name, time.Time{}); err != nil || got.Run != l.Run {
			t.Errorf("the name %s of %d means %v, %v", name, i, got.Started, err)
		}
		if got, err := choose(listed, nameOfAnyZone(l.Snapshot), time.Time{}); err != nil || got.Run != l.Run {
			t.Errorf("the name %s of %d means %v, %v", nameOfAnyZone(l.Snapshot), i, got.Started, err)
		}
	}
	for _, tt := range []struct {
		name, until string
		want        int // -1 if it is a mistake
	}{
		{"erp", "", 3}, // the newest complete one
		{"new", "", 6}, // for want of a complete one
		{"erp@2026-11-19", "", 0},
		{"erp@2026-11-20", "", 3},
		{"erp@2026-11-20T02:30", "", 3},
		{"erp@2026-11-20T02:30:07", "", 3},
		{"erp@2026-11-20T02:30:07.100", "", 2},
		{"erp@2026-11-20T14:00", "", 5},
		{"erp", "2026-11-19", 0},
		{"erp", "2026-11-20T02:30:07", 0},
		{"erp", "2026-11-20T02:31", 3},
		{"web", "2026-11-19", -1},
		{"erp@2026-11-2", "", -1}, // not the twenties
		{"erp@2026-11", "", -1},
		{"erp@", "", -1},
		{"erp@2026-11-18", "", -1},
		{"erb", "", -1},
		{"", "", -1},
	} {
		until, err := parseTime(tt.until)
		if err != nil {
			t.Fatal(err)
		}
		got, err := choose(listed, tt.name, until)
		var usage *ui.UsageError
		switch {
		case tt.want < 0 && (!errors.As(err, &usage) || usage.Remedy == ""):
			t.Errorf("%q until %q is %v, %v; want a mistake with a remedy", tt.name, tt.until, got.Started, err)
		case tt.want >= 0 && (err != nil || got.Run != listed[tt.want].Run):
			t.Errorf("%q until %q is %v, %v; want %v", tt.name, tt.until, got.Started, err, listed[tt.want].Started)
		}
	}
}

func TestParseTime(t *testing.T) {
	local := func(y int, m time.Month, d, h, min, s int) time.Time {
		return time.Date(y, m, d, h, min, s, 0, time.Local)
	}
	for text, want := range map[string]time.Time{
		"":                     {},
		"2026-11-20":           local(2026, 11, 21, 0, 0, 0).Add(-time.Nanosecond),
		"2026-11-20T12:00":     local(2026, 11, 20, 12, 0, 0),
		"2026-11-20 12:00":     local(2026, 11, 20, 12, 0, 0),
		"2026-11-20T12:00:07":  local(2026, 11, 20, 12, 0, 7),
		"2026-11-20 12:00:07":  local(2026, 11, 20, 12, 0, 7),
		"2026-11-20T12:00:07Z": time.Date(2026, 11, 20, 12, 0, 7, 0, time.UTC),
	} {
		if got, err := parseTime(text); err != nil || !got.Equal(want) {
			t.Errorf("%q is %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"yesterday", "2026-11", "20.11.2026", "2026-02-30", "12:00"} {
		if got, err := parseTime(text); err == nil {
			t.Errorf("%q is %v, want a mistake", text, got)
		}
	}
}
