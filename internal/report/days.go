package report

import "time"

// Within is how old the newest complete snapshot of a source may be, and how
// long after a collection the next one should have begun: a night, and two
// hours for one that takes longer than the last. The configuration says
// nothing of when sources are collected; a timer outside does it every night.
const Within = 26 * time.Hour

// Days makes the strip of a source: DaysShown cells up to the day of now, in
// the zone of now.
//
// runs are the source's collections, oldest first: those since FirstDay, and
// the one before them if there is one. A collection counts on the day on which
// it began, so one over midnight counts once. gone says that the source is no
// longer configured, so that nothing is missed.
func Days(runs []Collection, now time.Time, gone bool) []Day {
	days := make([]Day, 0, DaysShown)
	var last *Collection // the newest that had begun by the end of the day
	for begin := FirstDay(now); len(days) < DaysShown; {
		end := dayAfter(begin)
		day := Day{Date: begin}
		var best Mark
		for len(runs) > 0 && runs[0].Begun.Before(end) {
			last, runs = &runs[0], runs[1:]
			if last.Begun.Before(begin) {
				continue
			}
			day.Runs++
			best = better(best, last.Outcome.mark())
		}
		today := now.Before(end)
		by := end // when it would have been late
		if today {
			by = now
		}
		switch {
		case best != "":
			day.Mark = best
		case last == nil || gone:
			day.Mark = MarkNone
		case by.Sub(last.Begun) > Within:
			day.Mark = MarkLate
		case today:
			day.Mark = MarkFuture
		default:
			day.Mark = MarkNone
		}
		days = append(days, day)
		begin = end
	}
	return days
}

// FirstDay returns when the first day of a strip begins whose last is the day
// of now.
func FirstDay(now time.Time) time.Time {
	y, m, d := now.Date()
	return time.Date(y, m, d-DaysShown+1, 0, 0, 0, 0, now.Location())
}

// dayAfter returns when the day after that of t begins: not always 24 hours
// later.
func dayAfter(t time.Time) time.Time {
	y, m, d := t.Date()
	return time.Date(y, m, d+1, 0, 0, 0, 0, t.Location())
}

// mark returns what a collection makes of its day.
func (o Outcome) mark() Mark {
	switch o {
	case Complete:
		return MarkKept
	case Partial:
		return MarkPartial
	case Underway:
		return MarkFuture
	default: // what is lost brings nothing back
		return MarkFailed
	}
}

// better returns the mark that counts for a day which has both. One that is
// still to come says more than that an earlier attempt has failed.
func better(a, b Mark) Mark {
	for _, m := range []Mark{MarkKept, MarkPartial, MarkFuture, MarkFailed} {
		if a == m || b == m {
			return m
		}
	}
	return a
}
