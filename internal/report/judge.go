package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"strongroom/internal/safe"
)

const (
	// missedLong is when a source without a new complete snapshot is an alarm:
	// three nights, after the first of which somebody could have seen to it.
	missedLong = 3 * 24 * time.Hour
	// scrubbedWithin is how old the last scrub may be: nightly ones read
	// everything once in thirty nights.
	scrubbedWithin = 30 * 24 * time.Hour
)

// Judge sums an overview up: the verdict, and what a person must see to, the
// worst first. more is what the caller has found itself; its alarms, that nobody
// can read anything, are worse than what is wrong with a source.
func Judge(o Overview, more []Finding) (Verdict, []Finding) {
	alarm := func(f Finding) bool { return f.Level == Alarm }
	alarms := slices.DeleteFunc(slices.Clone(more), func(f Finding) bool { return !alarm(f) })
	others := slices.DeleteFunc(slices.Clone(more), alarm)
	findings := slices.Concat(alarms, judgeSources(o.Sources, o.Now), judgeScrub(o), judgeOpenings(o), others)
	slices.SortStableFunc(findings, func(a, b Finding) int { return rank(b.Level) - rank(a.Level) })
	if len(findings) == 0 {
		return Verdict{Level: OK, Sentence: allIsWell(o.Applications)}, nil
	}
	worst := findings[0]
	return Verdict{Level: worst.Level, Sentence: worst.sentence(), Remedy: worst.Do, Others: len(findings) - 1}, findings
}

// allIsWell says what is so if there is no finding. What an application misses
// is none if somebody has waived or acknowledged it.
func allIsWell(applications []ApplicationCard) string {
	sources := "Every source has a " + ofLast26Hours
	switch {
	case len(applications) == 0:
		return sources + "."
	case slices.ContainsFunc(applications, func(a ApplicationCard) bool { return a.Held < a.Needed }):
		return sources + ", and what applications miss is known: it is waived or acknowledged."
	default:
		return sources + ", and all that the applications need is held."
	}
}

// rank orders levels by how bad they are.
func rank(l Level) int { return slices.Index([]Level{OK, Look, Alarm}, l) }

// sentence writes what was found as a sentence. The name of a source, with
// which one may begin, stays as it is.
func (f Finding) sentence() string {
	if len(f.Sources) > 0 && strings.HasPrefix(f.What, string(f.Sources[0])) || f.What == "" {
		return f.What + "."
	}
	return strings.ToUpper(f.What[:1]) + f.What[1:] + "."
}

// A looked at source is a strip with the age of its newest complete snapshot,
// if it has one.
type looked struct {
	SourceStrip
	age time.Duration
}

// ended reports whether that became of the last collection.
func (s looked) ended(o Outcome) bool { return s.Last != nil && s.Last.Outcome == o }

// unwell reports whether the last collection came to a bad end.
func (s looked) unwell() bool {
	return s.Last != nil && s.Last.Outcome != Complete && s.Last.Outcome != Underway
}

// A complaint is one thing that can be wrong with a source.
type complaint struct {
	level     Level
	one, many string // what is said of one source, or of several
	wrong     func(looked) bool
}

const ofLast26Hours = "complete snapshot of the last 26 hours" // Within

// complaints are all there are, the worst first: of each source the first that
// holds is made.
var complaints = []complaint{
	{Alarm, "was never collected", "were never collected", func(s looked) bool { return s.Last == nil && s.Whole == nil }},
	{Look, "is being collected for the first time", "are being collected for the first time", func(s looked) bool { return s.Whole == nil && s.ended(Underway) }},
	{Alarm, "has no complete snapshot", "have no complete snapshot", func(s looked) bool { return s.Whole == nil }},
	{Alarm, "has no complete snapshot of the last three days", "have no complete snapshot of the last three days", func(s looked) bool { return s.age > missedLong }},
	{Look, "has no " + ofLast26Hours, "have no " + ofLast26Hours, func(s looked) bool { return s.age > Within }},
	{Look, "could not be collected the last time", "could not be collected the last time", func(s looked) bool { return s.ended(Failed) }},
	{Look, "was collected in part the last time", "were collected in part the last time", func(s looked) bool { return s.ended(Partial) }},
	{Look, "has lost the description of its newest snapshot", "have lost the descriptions of their newest snapshots", func(s looked) bool { return s.ended(Lost) }},
	{Look, "was broken off the last time", "were broken off the last time", func(s looked) bool { return s.ended(Broken) }},
}

// judgeSources complains about sources, about several in one finding.
func judgeSources(sources []SourceStrip, now time.Time) (all []Finding) {
	about := make([][]looked, len(complaints))
	configured := 0
	for _, source := range sources {
		if source.Gone {
			continue
		}
		configured++
		s := looked{SourceStrip: source}
		if s.Whole != nil {
			s.age = now.Sub(s.Whole.Time)
		}
		if i := slices.IndexFunc(complaints, func(c complaint) bool { return c.wrong(s) }); i >= 0 {
			about[i] = append(about[i], s)
		}
	}
	if configured == 0 {
		all = append(all, Finding{Level: Look, What: "nothing is collected: no source is configured", Do: "Add one to the configuration: strongroom config example", Entry: -1})
	}
	for i, c := range complaints {
		if len(about[i]) > 0 {
			all = append(all, c.about(about[i]))
		}
	}
	return all
}

// about makes the finding about the sources that are wrong in this way.
func (c complaint) about(wrong []looked) Finding {
	f := Finding{Level: c.level, Do: remedy(wrong), Entry: -1}
	unwell := 0
	for _, s := range wrong {
		f.Sources = append(f.Sources, s.Name)
		if s.unwell() {
			unwell++
		}
		if s.Whole != nil && (f.Since.IsZero() || s.Whole.Time.Before(f.Since)) {
			f.Since = s.Whole.Time
		}
	}
	f.What = Sources(f.Sources) + " " + c.one
	switch {
	case len(wrong) > 1:
		f.What = Sources(f.Sources) + " " + c.many
		if unwell > 0 {
			f.Why = fmt.Sprintf("of these, %s not collected completely the last time", Counted(unwell, "was", "were"))
		}
	case unwell > 0:
		f.Why = wrong[0].Last.Reason
	}
	return f
}

// remedy says what helps sources of which the same is wrong.
func remedy(wrong []looked) string {
	which := "--all"
	if len(wrong) == 1 {
		which = string(wrong[0].Name)
	}
	switch first := wrong[0]; {
	case first.ended(Lost):
		return "See what else is lost: strongroom scrub --repair"
	case first.ended(Underway):
		return "" // it is being done
	case first.ended(Partial):
		return fmt.Sprintf("See what cannot be pulled: strongroom collect %s --dry-run", first.Name)
	case slices.ContainsFunc(wrong, looked.unwell):
		return "See whether it can be reached: strongroom doctor; then collect it: strongroom collect " + which
	case first.Last == nil:
		return "Collect it: strongroom collect " + which
	default:
		return "See whether the timer runs, and collect it: strongroom collect " + which
	}
}

// judgeScrub says what the last scrub has left, or that there was none.
func judgeScrub(o Overview) []Finding {
	f := Finding{Level: Look, Do: "strongroom scrub --repair", Entry: -1}
	kept := slices.ContainsFunc(o.Sources, func(s SourceStrip) bool { return s.Count > 0 })
	switch s := o.LastScrub; {
	case s == nil && !kept:
		return nil
	case s == nil:
		f.What = "the store was never read to look for damage"
	case s.Left > 0:
		f.Level, f.Since = Alarm, s.Time
		f.What = fmt.Sprintf("the last scrub left %s damaged", Counted(s.Left, "object", "objects"))
		f.Do = "See which, and what needs them: strongroom scrub --repair"
	case o.Now.Sub(s.Time) > scrubbedWithin:
		f.What, f.Since = fmt.Sprintf("the store was not read for %d days to look for damage", int(scrubbedWithin.Hours()/24)), s.Time
	default:
		return nil
	}
	return []Finding{f}
}

// judgeOpenings says who can read just now, and who wants to.
func judgeOpenings(o Overview) (all []Finding) {
	if open := o.Opening; open != nil {
		all = append(all, Finding{Level: Look, What: fmt.Sprintf("an opening is open: %s can read %s", open.Operator, Sources(open.Sources)),
			Why: open.Reason, Do: fmt.Sprintf("If it should not be: strongroom opening close %s", open.ID), Since: open.Asked, Entry: -1, Opening: open.ID})
	}
	for _, asks := range o.Requests {
		all = append(all, Finding{Level: Look, What: fmt.Sprintf("a request waits: %s asks to read %s", asks.Operator, Sources(asks.Sources)),
			Why: asks.Reason, Do: fmt.Sprintf("A keykeeper releases or refuses it: strongroom opening show %s", asks.ID), Since: asks.Asked, Entry: -1, Opening: asks.ID})
	}
	return all
}

// Name returns the name of a snapshot as commands take it.
func Name(source safe.SourceName, started time.Time, zone *time.Location) string {
	return safe.Snapshot{Source: source, Started: started}.Short(zone)
}
