package coverage

import (
	"fmt"
	"slices"
	"time"

	"strongroom/internal/estate"
	"strongroom/internal/safe"
	"strongroom/internal/safe/config"
)

// A Verdict says whether a service level is kept.
type Verdict string

const (
	Kept    Verdict = "kept"
	Broken  Verdict = "broken"
	Unknown Verdict = "unknown" // nothing was measured
)

// A Promise is a sort of service level.
type Promise string

const (
	RPO       Promise = "rpo"       // the age of the newest snapshots
	Window    Promise = "window"    // the time that a collection takes
	Retention Promise = "keep"      // the time for which snapshots are kept
	RTO       Promise = "rto"       // the time that the last rehearsal took
	Rehearsed Promise = "rehearsed" // the age of the last rehearsal
	TwoPeople Promise = "two_people"
)

// A Level is how it stands with one thing that was promised for an application.
type Level struct {
	Promise Promise `json:"promise"`
	Verdict Verdict `json:"verdict"`
	Why     string  `json:"why"`
	// Seconds is what was measured last, if that is a time, and Limit what it may
	// be. Of the age of snapshots that is how old the newest was in the last day:
	// the verdict is on the last 30.
	Seconds int64 `json:"seconds,omitempty"`
	Limit   int64 `json:"limit_seconds,omitempty"`
}

// LookBack is how far the past counts for what is measured over time.
const LookBack = 30 * 24 * time.Hour

// levels returns how it stands with each promise that was made.
func (in Input) levels(r Report, app config.Application) []Level {
	promised, sources := app.Levels, r.sources()
	var all []Level
	add := func(p Promise, v Verdict, format string, args ...any) {
		all = append(all, Level{Promise: p, Verdict: v, Why: fmt.Sprintf(format, args...)})
	}
	measure := func(figure, limit time.Duration) {
		l := &all[len(all)-1]
		l.Seconds, l.Limit = int64(figure/time.Second), int64(limit/time.Second)
	}
	verdict := func(kept bool) Verdict {
		if kept {
			return Kept
		}
		return Broken
	}
	if limit := promised.RPO; limit > 0 {
		worst, of, measured := in.worst(sources, func(s Source) (time.Duration, bool) { return s.largestGap(in.Now, LookBack) })
		if !measured {
			add(RPO, Unknown, "there is no snapshot to measure")
		} else {
			add(RPO, verdict(worst <= limit), "in the last 30 days the newest snapshot of %s was up to %s old, and may be %s", of, round(worst), round(limit))
			today, _, _ := in.worst(sources, func(s Source) (time.Duration, bool) { return s.largestGap(in.Now, 24*time.Hour) })
			measure(today, limit)
		}
	}
	if limit := promised.Window; limit > 0 {
		worst, of, measured := in.worst(sources, func(s Source) (time.Duration, bool) { return s.longest(in.Now) })
		if !measured {
			add(Window, Unknown, "nothing was collected in the last 30 days")
		} else {
			add(Window, verdict(worst <= limit), "collecting %s took up to %s, and may take %s", of, round(worst), round(limit))
			measure(worst, limit)
		}
	}
	if !promised.Keep.IsZero() {
		all = append(all, in.retention(sources, promised))
	}
	proofs := in.proofsOf(sources)
	if limit := promised.RTO; limit > 0 {
		if took, ok := lastTook(proofs, app.ID); !ok {
			add(RTO, Unknown, "no rehearsal of the whole was measured")
		} else {
			add(RTO, verdict(took <= limit), "the last rehearsal took %s, and may take %s", round(took), round(limit))
			measure(took, limit)
		}
	}
	if limit := promised.RehearsedEvery; limit > 0 {
		oldest, name, ok := in.oldestProof(sources)
		switch {
		case name != "" && !ok:
			add(Rehearsed, Broken, "%s was never rehearsed", name)
		case !ok:
			add(Rehearsed, Unknown, "no source is needed")
		default:
			age := in.Now.Sub(oldest)
			add(Rehearsed, verdict(age <= limit), "%s was rehearsed %s ago, and that may be %s", name, round(age), round(limit))
			measure(age, limit)
		}
	}
	if promised.TwoPeople && promised.RehearsedEvery > 0 {
		people := make(map[string]bool)
		for _, p := range proofs {
			if in.Now.Sub(p.At) <= 2*promised.RehearsedEvery {
				people[p.By] = true
			}
		}
		add(TwoPeople, verdict(len(people) >= 2), "%d different people have rehearsed it in its last two turns, and two must", len(people))
	}
	return all
}

// sources returns those that the items name.
func (r Report) sources() []safe.SourceName {
	var all []safe.SourceName
	for _, item := range r.Items {
		if item.Source != "" {
			all = append(all, item.Source)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// worst returns the largest of what is measured of the sources, and of which.
func (in Input) worst(names []safe.SourceName, measure func(Source) (time.Duration, bool)) (worst time.Duration, of safe.SourceName, ok bool) {
	for _, name := range names {
		if d, measured := measure(in.Sources[name]); measured && (!ok || d > worst) {
			worst, of, ok = d, name, true
		}
	}
	return worst, of, ok
}

// largestGap returns how old the newest snapshot was at most in the time before
// now, up to now.
func (s Source) largestGap(now time.Time, before time.Duration) (worst time.Duration, ok bool) {
	since := now.Add(-before)
	for i, snapshot := range s.Snapshots {
		next := now
		if i+1 < len(s.Snapshots) {
			next = s.Snapshots[i+1].Started
		}
		if next.After(since) {
			worst, ok = max(worst, next.Sub(snapshot.Started)), true
		}
	}
	return worst, ok
}

// longest returns how long a collection took at most in the last 30 days.
func (s Source) longest(now time.Time) (worst time.Duration, ok bool) {
	for _, snapshot := range s.Snapshots {
		if snapshot.Started.After(now.Add(-LookBack)) {
			worst, ok = max(worst, snapshot.Finished.Sub(snapshot.Started)), true
		}
	}
	return worst, ok
}

// retention compares what was promised with the rules of the sources: the longest
// of them says how far back one can go in the end.
func (in Input) retention(names []safe.SourceName, promised config.Levels) Level {
	want := promised.Keep.After(in.Now)
	for _, name := range names {
		rules := in.Sources[name].Keep
		reach := in.Now
		for _, span := range []interface{ After(time.Time) time.Time }{rules.Daily, rules.Weekly, rules.Monthly, rules.Yearly} {
			if end := span.After(in.Now); end.After(reach) {
				reach = end
			}
		}
		if reach.Before(want) {
			return Level{Promise: Retention, Verdict: Broken, Why: fmt.Sprintf("snapshots of %s are kept for %s at most, and must be for %s", name, round(reach.Sub(in.Now)), promised.Keep)}
		}
	}
	if len(names) == 0 {
		return Level{Promise: Retention, Verdict: Unknown, Why: "no source is needed"}
	}
	return Level{Promise: Retention, Verdict: Kept, Why: fmt.Sprintf("snapshots are kept for %s or longer", promised.Keep)}
}

func (in Input) proofsOf(names []safe.SourceName) []Proof {
	return slices.DeleteFunc(slices.Clone(in.Proofs), func(p Proof) bool { return !slices.Contains(names, p.Source) })
}

// lastTook returns how long the last rehearsal of an application that was measured
// took.
func lastTook(proofs []Proof, app estate.ID) (took time.Duration, ok bool) {
	var last time.Time
	for _, p := range proofs {
		if p.Application == app && p.Took > 0 && p.At.After(last) {
			took, last, ok = p.Took, p.At, true
		}
	}
	return took, ok
}

// oldestProof returns when the source was proven last for which that is longest
// ago; ok is false, and name the source, if one never was.
func (in Input) oldestProof(names []safe.SourceName) (oldest time.Time, name safe.SourceName, ok bool) {
	for _, n := range names {
		p, proven := in.lastProof(n)
		if !proven {
			return time.Time{}, n, false
		}
		if !ok || p.At.Before(oldest) {
			oldest, name, ok = p.At, n, true
		}
	}
	return oldest, name, ok
}
