// Package keep decides how long a snapshot is kept.
//
// It is pure: no I/O, no clock. A snapshot's time is decided once, when it is
// made; nothing here ever shortens it, and nothing here deletes. All calendar
// arithmetic is in UTC, whatever zone a time is given in.
package keep

import (
	"time"

	"strongroom/internal/safe"
)

// Rules say how long the snapshots of a source are kept.
type Rules struct {
	// Daily is what every complete snapshot gets at least. It must be set.
	Daily Span
	// Weekly, Monthly and Yearly are for the first snapshot of an ISO week, a
	// month and a year. The zero Span means that there is no such rule: the
	// snapshot then gets the next smaller tier.
	Weekly, Monthly, Yearly Span
	// AtLeast is how many of a source's newest complete snapshots never
	// expire. Decide does not need it; expiry does.
	AtLeast int
}

// Default returns the rules of a configuration that has none.
func Default() Rules {
	return Rules{
		Daily:   Span{35, Day},
		Weekly:  Span{13, Week},
		Monthly: Span{24, Month},
		Yearly:  Span{7, Year},
		AtLeast: 2,
	}
}

// A Past is a complete snapshot that a source already has, or had.
type Past struct {
	Started time.Time
	Tier    safe.Tier
}

// NewSourceDays is how long after a source's first complete snapshot all of
// its snapshots are daily. A source that was just configured is often wrong,
// and what it collected by mistake should not stay for years.
const NewSourceDays = 7

// PartialDays is how long a partial snapshot is kept.
const PartialDays = 14

// Decide returns the tier of a complete snapshot whose collection started at
// the given time, and until when it is kept.
//
// Earlier are the source's complete snapshots before it, in any order,
// expired ones too: at least its first ever, and all that started in the same
// year, month or ISO week. Both times are trusted time of the collection's
// start, so that a collection over midnight counts for one day only.
//
// A year, month or week is served once a snapshot that started in it has been
// kept for it: a yearly one serves all three, a monthly one its month and
// week, a weekly one its week, a daily one nothing. The snapshot gets the
// largest tier that has a rule and is not served yet. So the first snapshot
// after a new source's first days is yearly, although others precede it in
// that year, and a rule that is added in June finds its first snapshot in
// June.
//
// The time is counted from the start, and is never earlier than a smaller
// tier's rule would give.
func Decide(rules Rules, started time.Time, earlier []Past) (tier safe.Tier, until time.Time) {
	if rules.Daily.IsZero() {
		panic("keep: rules without a daily span, which no configuration can have")
	}
	started = started.UTC()
	tier, until = safe.Daily, rules.Daily.After(started)
	if isNew(started, earlier) {
		return tier, until
	}
	for _, t := range []struct {
		tier safe.Tier
		rule Span
		same func(a, b time.Time) bool
	}{
		{safe.Weekly, rules.Weekly, sameWeek},
		{safe.Monthly, rules.Monthly, sameMonth},
		{safe.Yearly, rules.Yearly, sameYear},
	} {
		if t.rule.IsZero() || served(t.tier, t.same, started, earlier) {
			continue
		}
		tier = t.tier
		if u := t.rule.After(started); u.After(until) {
			until = u
		}
	}
	return tier, until
}

// Partial returns tier and time of the snapshot of a collection that was not
// complete and ended at the given time.
func Partial(ended time.Time) (tier safe.Tier, until time.Time) {
	return safe.Broken, Span{PartialDays, Day}.After(ended)
}

// isNew reports whether a snapshot falls into its source's first days. They
// are counted in hours of the first snapshot's start, not in calendar days.
func isNew(started time.Time, earlier []Past) bool {
	first := started
	for _, p := range earlier {
		if p.Started.Before(first) {
			first = p.Started
		}
	}
	return started.Before(first.Add(NewSourceDays * 24 * time.Hour))
}

// served reports whether an earlier snapshot of the same period was kept for
// it, as one of that tier or of a larger one.
func served(tier safe.Tier, same func(a, b time.Time) bool, started time.Time, earlier []Past) bool {
	for _, p := range earlier {
		if rank(p.Tier) >= rank(tier) && same(p.Started.UTC(), started) {
			return true
		}
	}
	return false
}

// rank orders the tiers that serve a period; all others have rank 0.
func rank(t safe.Tier) int {
	switch t {
	case safe.Weekly:
		return 1
	case safe.Monthly:
		return 2
	case safe.Yearly:
		return 3
	}
	return 0
}

func sameWeek(a, b time.Time) bool {
	ay, aw := a.ISOWeek()
	by, bw := b.ISOWeek()
	return ay == by && aw == bw
}

func sameMonth(a, b time.Time) bool { return a.Year() == b.Year() && a.Month() == b.Month() }

func sameYear(a, b time.Time) bool { return a.Year() == b.Year() }
