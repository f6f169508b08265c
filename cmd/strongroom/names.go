package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"strongroom/internal/safe"
	"strongroom/internal/safe/config"
	"strongroom/internal/store/catalog"
	"strongroom/internal/ui"
)

// The forms in which the name of a snapshot gives its start.
const (
	toDay    = time.DateOnly
	toMinute = "2006-01-02T15:04"
	toSecond = "2006-01-02T15:04:05"
	toMilli  = "2006-01-02T15:04:05.000"
)

// names counts, for each name that a snapshot can go by, how many do.
type names map[string]int

func namesOf(all []safe.Snapshot) names {
	n := make(names)
	for _, s := range all {
		n.add(s)
	}
	return n
}

func (n names) add(s safe.Snapshot) {
	n[nameOf(s, toMinute)]++
	n[nameOf(s, toSecond)]++
	n[nameOf(s, toMilli)]++
}

// of returns the shortest name that means this snapshot alone.
func (n names) of(s safe.Snapshot) string {
	for _, form := range []string{toMinute, toSecond, toMilli} {
		if name := nameOf(s, form); n[name] <= 1 {
			return name
		}
	}
	return s.Run.String() // in the hour that comes twice when summer ends, at the latest
}

func nameOf(s safe.Snapshot, form string) string {
	return string(s.Source) + "@" + s.Started.Local().Format(form)
}

// choose finds the snapshot that name means, among those listed oldest first:
//
//	erp-files                       the newest complete one, or else the newest
//	erp-files@2026-11-20            the same, of those that started on that day
//	erp-files@2026-11-20T02:30      of those that started in that minute
//	erp-files@2026-11-20T02:30:07   of those that started in that second, or millisecond
//	01a1ffd6-eb8b-7c57-...          the one of that run
//
// Times are local; one with a Z at its end is in UTC. Until, unless zero,
// leaves out those that started later.
func choose(listed []catalog.Listed, name string, until time.Time) (catalog.Listed, error) {
	source, when, dated := strings.Cut(name, "@")
	started, err := startedAt(when)
	if dated && err != nil {
		return catalog.Listed{}, err
	}
	var newest, newestComplete *catalog.Listed
	var sources []string
	for i, l := range listed {
		if l.Run.String() == name {
			return l, nil
		}
		sources = append(sources, string(l.Source))
		if string(l.Source) != source {
			continue
		}
		if !until.IsZero() && l.Started.After(until) || dated && !started(l.Started) {
			continue
		}
		newest = &listed[i]
		if !l.Partial {
			newestComplete = &listed[i]
		}
	}
	switch {
	case newestComplete != nil:
		return *newestComplete, nil
	case newest != nil:
		return *newest, nil
	case !slices.Contains(sources, source):
		return catalog.Listed{}, noSnapshotOf(source, sources)
	default:
		return catalog.Listed{}, &ui.UsageError{Problem: fmt.Sprintf("there is no snapshot of %s at that time", source), Remedy: "See what there is: strongroom snapshots " + source}
	}
}

// noSnapshotOf says that the store has none of a source, but of others.
func noSnapshotOf(source string, others []string) error {
	remedy := "See what it has: strongroom snapshots"
	if near, ok := config.Nearest(source, others); ok {
		remedy = fmt.Sprintf("Did you mean %s? %s", near, remedy)
	}
	return &ui.UsageError{Problem: fmt.Sprintf("the store has no snapshot of %q", source), Remedy: remedy}
}

// startedAt returns what tells whether a snapshot started in the day, minute
// or second that when names.
func startedAt(when string) (func(time.Time) bool, error) {
	text, utc := strings.CutSuffix(when, "Z")
	zone := time.Local
	if utc {
		zone = time.UTC
	}
	for _, form := range []string{toDay, toMinute, toSecond, toMilli} {
		// Parse takes fractions of a second that the form does not have.
		if t, err := time.Parse(form, text); err == nil && t.Format(form) == text {
			return func(t time.Time) bool { return t.In(zone).Format(form) == text }, nil
		}
	}
	return nil, &ui.UsageError{Problem: fmt.Sprintf("%q is not the time of a snapshot", when),
		Remedy: "Write a day, a minute or a second: 2026-11-20, 2026-11-20T02:30 or 2026-11-20T02:30:07."}
}

// parseTime reads a point in time as people write it, in the local zone. A
// day means its end.
func parseTime(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if t, err := time.ParseInLocation(time.DateOnly, s, time.Local); err == nil {
		return t.AddDate(0, 0, 1).Add(-time.Nanosecond), nil
	}
	for _, form := range []string{toMinute, "2006-01-02 15:04", toSecond, time.DateTime} {
		if t, err := time.ParseInLocation(form, s, time.Local); err == nil {
			return t, nil
		}
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	return time.Time{}, &ui.UsageError{Problem: fmt.Sprintf("%q is no time", s), Remedy: "Write it as 2026-11-20, 2026-11-20T12:00 or 2026-11-20T12:00:00Z."}
}
