package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"strongroom/internal/estate/coverage"
	"strongroom/internal/ledger"
)

// A Missed is an open finding about coverage or service levels.
type Missed struct {
	Entry               int64 // that raised it first
	Kind, Subject, Text string
	Since               time.Time
}

// missedWays are the ways in which an application misses something, the worst
// first, with what is said of it on the page of a safe. Each is a finding there:
// whoever is told one by one of forty components does not see the rest.
var missedWays = []struct {
	level Level
	is    func(kind string) bool
	what  func(application string, n int) string
}{
	{Alarm, isKind(coverage.KindMissing, coverage.KindMore), func(app string, n int) string {
		return fmt.Sprintf("%s could not be rebuilt from what is kept: of %s something is missing", app, Counted(n, "component", "components"))
	}},
	{Look, isKind(coverage.KindStale), func(app string, n int) string {
		return fmt.Sprintf("%s would come back older than was promised: of %s the newest snapshot is too old", app, Counted(n, "component", "components"))
	}},
	{Look, func(kind string) bool { return coverage.IsMiss(kind) && !strings.HasPrefix(kind, "coverage.") }, func(app string, n int) string {
		return fmt.Sprintf("%s does not keep %s", app, Counted(n, "service level", "service levels"))
	}},
	{Look, isKind(coverage.KindUnproven), func(app string, _ int) string {
		return fmt.Sprintf("nobody knows whether all of %s would come back: it was not proven", app)
	}},
}

func isKind(kinds ...string) func(string) bool {
	return func(kind string) bool { return slices.Contains(kinds, kind) }
}

// JudgeMissed sums up what applications miss: a finding of each application and
// way, the worst first.
func JudgeMissed(missed []Missed) (all []Finding) {
	for _, way := range missedWays {
		byApp := make(map[string][]Missed)
		var apps []string
		for _, m := range missed {
			if !way.is(m.Kind) {
				continue
			}
			app, _ := coverage.About(m.Subject)
			if byApp[app] == nil {
				apps = append(apps, app)
			}
			byApp[app] = append(byApp[app], m)
		}
		slices.Sort(apps)
		for _, app := range apps {
			some := byApp[app]
			slices.SortFunc(some, func(a, b Missed) int { return cmp.Compare(a.Entry, b.Entry) })
			n := 0
			for _, m := range some {
				if m.Kind != coverage.KindMore {
					n++
				}
			}
			first := some[0]
			f := Finding{Level: way.level, What: way.what(brief(app), n), Since: first.Since, Entry: first.Entry,
				Do: "See what, and what closes it: strongroom coverage " + app + " --propose; then: strongroom findings list"}
			if strings.HasPrefix(first.Kind, "levels.") {
				f.Do = "See which: strongroom levels " + app
			}
			f.Why = whyMissed(some)
			all = append(all, f)
		}
	}
	return all
}

// whyMissed says of one finding what is missed, and of several the first.
func whyMissed(some []Missed) string {
	first := some[0]
	why := first.Text
	if _, component := coverage.About(first.Subject); component != "" {
		why = fmt.Sprintf("%s: %s", component, why)
	}
	if len(some) > 1 {
		why += fmt.Sprintf(", and %d more", len(some)-1)
	}
	return why
}

// findingSaid says a finding in words, for the sentence of its entry.
func findingSaid(kind string, subject ledger.Text) string {
	app, component := coverage.About(string(subject))
	app = brief(app)
	part := brief(string(component))
	switch kind {
	case NobodyLeft:
		return fmt.Sprintf("no %s is left who can act", app)
	case coverage.KindMissing:
		return fmt.Sprintf("%s needs %s, and the safe misses something of it", app, part)
	case coverage.KindStale:
		return fmt.Sprintf("%s needs %s, and what is kept of it is too old", app, part)
	case coverage.KindUnproven:
		return fmt.Sprintf("nobody knows whether all of %s would come back", app)
	case coverage.KindMore:
		return fmt.Sprintf("%s misses more than is told one by one", app)
	case coverage.KindOf(coverage.RPO):
		return fmt.Sprintf("%s: snapshots were older than was promised", app)
	case coverage.KindOf(coverage.Window):
		return fmt.Sprintf("%s: a collection took longer than was promised", app)
	case coverage.KindOf(coverage.Retention):
		return fmt.Sprintf("%s: snapshots are not kept as long as was promised", app)
	case coverage.KindOf(coverage.RTO):
		return fmt.Sprintf("%s: the last rehearsal took longer than was promised", app)
	case coverage.KindOf(coverage.Rehearsed):
		return fmt.Sprintf("%s: it was not rehearsed as often as was promised", app)
	case coverage.KindOf(coverage.TwoPeople):
		return fmt.Sprintf("%s: it was not rehearsed by two different people", app)
	}
	return fmt.Sprintf("finding %s in %s", kind, brief(string(subject)))
}

// levelOf says how much of people's attention a finding needs.
func levelOf(kind string) Level {
	if coverage.IsMiss(kind) && kind != coverage.KindMissing && kind != coverage.KindMore {
		return Look
	}
	return Alarm
}
