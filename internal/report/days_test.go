package report_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"strongroom/internal/report"
)

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// at reads a time of the zone, such as "2026-11-22 02:10".
func at(t *testing.T, zone *time.Location, s string) time.Time {
	t.Helper()
	v, err := time.ParseInLocation("2006-01-02 15:04", s, zone)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// nights reads collections, one after the other: "complete 2026-11-21 02:10".
func nights(t *testing.T, zone *time.Location, s string) []report.Collection {
	t.Helper()
	var all []report.Collection
	for line := range strings.SplitSeq(s, ";") {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		outcome, begun, _ := strings.Cut(line, " ")
		all = append(all, report.Collection{Outcome: report.Outcome(outcome), Begun: at(t, zone, begun)})
	}
	return all
}

// drawn writes the last cells of a strip, a letter each, and the number of
// equal ones before them.
func drawn(days []report.Day) string {
	letters := map[report.Mark]string{report.MarkKept: "K", report.MarkPartial: "P", report.MarkFailed: "F", report.MarkLate: "L",
		report.MarkNone: ".", report.MarkFuture: ">"}
	var all []string
	for _, day := range days {
		all = append(all, letters[day.Mark])
	}
	same := 1
	for same < len(all) && all[same] == all[0] {
		same++
	}
	return fmt.Sprintf("%d%s%s", same, all[0], strings.Join(all[same:], ""))
}

func TestDays(t *testing.T) {
	const now = "2026-11-22 09:00" // a Sunday
	tests := []struct {
		name, zone, runs, now string
		gone                  bool
		want                  string
	}{
		{"never collected", "UTC", "", now, false, "30."},
		{"new since three nights", "UTC", "complete 2026-11-20 02:10; complete 2026-11-21 02:10; complete 2026-11-22 02:10", now, false, "27.KKK"},
		{"the first of all is far back", "UTC", "complete 2025-01-01 02:10; complete 2026-11-22 02:10", now, false, "29LK"},
		{"a night failed, the next was partial", "UTC", "complete 2026-11-19 02:10; failed 2026-11-20 02:10; partial 2026-11-21 02:10; complete 2026-11-22 02:10", now, false, "26.KFPK"},
		{"a second attempt worked", "UTC", "failed 2026-11-22 02:10; partial 2026-11-22 03:10; complete 2026-11-22 04:10", now, false, "29.K"},
		{"a second attempt did not", "UTC", "complete 2026-11-22 02:10; failed 2026-11-22 03:10", now, false, "29.K"},
		{"partial is better than failed", "UTC", "partial 2026-11-22 02:10; failed 2026-11-22 03:10", now, false, "29.P"},
		{"under way after a failure", "UTC", "failed 2026-11-22 02:10; underway 2026-11-22 08:59", now, false, "29.>"},
		{"broken off, and lost", "UTC", "broken 2026-11-21 02:10; lost 2026-11-22 02:10", now, false, "28.FF"},
		{"today is still to come", "UTC", "complete 2026-11-20 23:00; complete 2026-11-21 23:00", now, false, "27.KK>"},
		{"today is late", "UTC", "complete 2026-11-20 02:10; complete 2026-11-21 02:10", now, false, "27.KKL"},
		{"today is late after 26 hours", "UTC", "complete 2026-11-21 07:00", "2026-11-22 09:00", false, "28.K>"},
		{"and a minute", "UTC", "complete 2026-11-21 07:00", "2026-11-22 09:01", false, "28.KL"},
		{"two nights missed", "UTC", "complete 2026-11-18 02:10; complete 2026-11-21 02:10", "2026-11-21 09:00", false, "26.KLLK"},
		// From 23:58 on the 19th to 00:03 on the 21st are 24 hours: the 20th
		// has no collection, and none was missed.
		{"around midnight", "UTC", "complete 2026-11-18 23:55; complete 2026-11-19 23:58; complete 2026-11-21 00:03; complete 2026-11-22 00:01", now, false, "25.KK.KK"},
		{"no longer configured", "UTC", "complete 2026-11-18 02:10; complete 2026-11-19 02:10", now, true, "25.KK..."},
		{"begun before midnight counts once", "UTC", "complete 2026-11-20 23:59; complete 2026-11-21 23:59", now, false, "27.KK>"},

		// 02:10 in UTC is the evening before in New York.
		{"another zone", "America/New_York", "complete 2026-11-19 21:10; complete 2026-11-20 21:10; complete 2026-11-21 21:10", "2026-11-22 04:00", false, "26.KKK>"},
		// On 2026-03-29 Berlin has no 02:30, on 2026-10-25 it has two.
		{"a day of 23 hours", "Europe/Berlin", "complete 2026-03-28 23:30; complete 2026-03-29 23:30", "2026-03-30 01:00", false, "27.KK>"},
		{"a day of 25 hours", "Europe/Berlin", "complete 2026-10-24 00:30; complete 2026-10-26 00:10", "2026-10-26 09:00", false, "27.KLK"},
		{"a day of 25 hours that is still going on", "Europe/Berlin", "complete 2026-10-24 23:30", "2026-10-25 23:30", false, "28.K>"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			z := zone(t, tt.zone)
			days := report.Days(nights(t, z, tt.runs), at(t, z, tt.now), tt.gone)
			if got := drawn(days); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if len(days) != report.DaysShown {
				t.Fatalf("%d days", len(days))
			}
			for i, day := range days {
				want := at(t, z, tt.now).AddDate(0, 0, i-report.DaysShown+1)
				if day.Date.Format("2006-01-02 15:04") != want.Format("2006-01-02")+" 00:00" {
					t.Errorf("day %d begins at %v, want midnight of %v", i, day.Date, want)
				}
			}
		})
	}
}

func TestDaysCount(t *testing.T) {
	days := report.Days(nights(t, time.UTC, "complete 2026-10-20 02:10; failed 2026-11-21 02:10; complete 2026-11-21 03:10; complete 2026-11-22 02:10"),
		at(t, time.UTC, "2026-11-22 09:00"), false)
	for i, want := range map[int]int{0: 0, 27: 0, 28: 2, 29: 1} {
		if days[i].Runs != want {
			t.Errorf("day %d has %d collections, want %d", i, days[i].Runs, want)
		}
	}
}
