package report_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/report"
	"strongroom/internal/safe"
)

var now = time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)

// source makes a strip whose newest complete snapshot is of that age, if it is
// not 0, and whose last collection, whichever, came to that end.
func source(name safe.SourceName, age time.Duration, last report.Outcome) report.SourceStrip {
	s := report.SourceStrip{Name: name}
	if age != 0 {
		s.Whole, s.Count = &report.SnapshotLine{Source: name, Time: now.Add(-age)}, 7
	}
	if last != "" {
		s.Last = &report.Collection{Outcome: last}
	}
	if last == report.Failed || last == report.Partial {
		s.Last.Reason = "connection refused"
	}
	return s
}

func gone(s report.SourceStrip) report.SourceStrip {
	s.Gone = true
	return s
}

func TestJudge(t *testing.T) {
	const hour = time.Hour
	scrubbed := &report.Scrub{Time: now.Add(-5 * hour)}
	id := safe.NewOpeningID(now)
	bob := report.OpeningLine{ID: id, Operator: "bob", Sources: []safe.SourceName{"erp-db", "erp-files"}, Reason: "rehearsal", Asked: now.Add(-hour)}
	nag := report.Finding{Level: report.Look, What: "there is one keykeeper and no proven paper key", Do: "strongroom people invite NAME --role keykeeper", Entry: -1}
	well := source("erp", 7*hour, report.Complete)
	over := func(sources ...report.SourceStrip) report.Overview {
		return report.Overview{Now: now, Sources: sources, LastScrub: scrubbed}
	}
	var thirty []report.SourceStrip
	for i := range 30 {
		thirty = append(thirty, source(safe.SourceName(fmt.Sprintf("source-%02d", i)), 27*hour, report.Complete))
	}
	thirty[4].Last.Outcome = report.Failed

	tests := []struct {
		name  string
		o     report.Overview
		more  []report.Finding
		level report.Level
		says  string
		do    string
		all   []string // findings in their order
	}{
		{"well", over(well, source("mail", 26*hour, report.Complete)), nil, report.OK, "Every source has a complete snapshot of the last 26 hours.", "", nil},
		{"under way", over(source("erp", 25*hour, report.Underway)), nil, report.OK, "Every source has a complete snapshot of the last 26 hours.", "", nil},
		{"nothing configured", over(), nil, report.Look, "Nothing is collected: no source is configured.", "Add one to the configuration: strongroom config example",
			[]string{"nothing is collected: no source is configured"}},
		{"never collected", over(well, source("mail", 0, "")), nil, report.Alarm, "mail was never collected.", "Collect it: strongroom collect mail", []string{"mail was never collected"}},
		{"none was ever collected", report.Overview{Now: now, Sources: []report.SourceStrip{source("erp", 0, ""), source("mail", 0, "")}}, nil,
			report.Alarm, "erp and mail were never collected.", "Collect it: strongroom collect --all", []string{"erp and mail were never collected"}},
		{"the first time", over(source("erp", 0, report.Underway)), nil, report.Look, "erp is being collected for the first time.", "", []string{"erp is being collected for the first time"}},
		{"never complete", over(source("erp", 0, report.Failed)), nil, report.Alarm, "erp has no complete snapshot.",
			"See whether it can be reached: strongroom doctor; then collect it: strongroom collect erp", []string{"erp has no complete snapshot (connection refused)"}},
		{"partial only", over(source("erp", 0, report.Partial)), nil, report.Alarm, "erp has no complete snapshot.",
			"See what cannot be pulled: strongroom collect erp --dry-run", []string{"erp has no complete snapshot (connection refused)"}},
		{"a minute too old", over(source("erp", 26*hour+time.Minute, report.Complete)), nil, report.Look, "erp has no complete snapshot of the last 26 hours.",
			"See whether the timer runs, and collect it: strongroom collect erp", []string{"erp has no complete snapshot of the last 26 hours"}},
		{"three days", over(source("erp", 72*hour, report.Failed)), nil, report.Look, "erp has no complete snapshot of the last 26 hours.",
			"See whether it can be reached: strongroom doctor; then collect it: strongroom collect erp", []string{"erp has no complete snapshot of the last 26 hours (connection refused)"}},
		{"more than three days", over(source("erp", 73*hour, report.Complete)), nil, report.Alarm, "erp has no complete snapshot of the last three days.",
			"See whether the timer runs, and collect it: strongroom collect erp", []string{"erp has no complete snapshot of the last three days"}},
		{"many too old", over(thirty...), nil, report.Look, "source-00 and 29 other sources have no complete snapshot of the last 26 hours.",
			"See whether it can be reached: strongroom doctor; then collect it: strongroom collect --all",
			[]string{"source-00 and 29 other sources have no complete snapshot of the last 26 hours (of these, 1 was not collected completely the last time)"}},
		{"a second attempt failed", over(source("erp", 7*hour, report.Failed)), nil, report.Look, "erp could not be collected the last time.",
			"See whether it can be reached: strongroom doctor; then collect it: strongroom collect erp", []string{"erp could not be collected the last time (connection refused)"}},
		{"partial after a complete one", over(source("erp", 7*hour, report.Partial)), nil, report.Look, "erp was collected in part the last time.",
			"See what cannot be pulled: strongroom collect erp --dry-run", []string{"erp was collected in part the last time (connection refused)"}},
		{"lost", over(source("erp", 7*hour, report.Lost)), nil, report.Look, "erp has lost the description of its newest snapshot.", "See what else is lost: strongroom scrub --repair",
			[]string{"erp has lost the description of its newest snapshot"}},
		{"broken off", over(source("erp", 7*hour, report.Broken)), nil, report.Look, "erp was broken off the last time.",
			"See whether it can be reached: strongroom doctor; then collect it: strongroom collect erp", []string{"erp was broken off the last time"}},
		{"one that is gone is nobody's business", over(well, gone(source("old", 9999*hour, report.Failed))), nil, report.OK, "Every source has a complete snapshot of the last 26 hours.", "", nil},

		{"damage", report.Overview{Now: now, Sources: []report.SourceStrip{source("erp", 27*hour, report.Complete)}, LastScrub: &report.Scrub{Time: now.Add(-hour), Damaged: 4, Left: 3}}, nil,
			report.Alarm, "The last scrub left 3 objects damaged.", "See which, and what needs them: strongroom scrub --repair",
			[]string{"the last scrub left 3 objects damaged", "erp has no complete snapshot of the last 26 hours"}},
		{"repaired", report.Overview{Now: now, Sources: []report.SourceStrip{well}, LastScrub: &report.Scrub{Time: now, Damaged: 4}}, nil,
			report.OK, "Every source has a complete snapshot of the last 26 hours.", "", nil},
		{"never scrubbed", report.Overview{Now: now, Sources: []report.SourceStrip{well}}, nil, report.Look, "The store was never read to look for damage.", "strongroom scrub --repair",
			[]string{"the store was never read to look for damage"}},
		{"not scrubbed for long", report.Overview{Now: now, Sources: []report.SourceStrip{well}, LastScrub: &report.Scrub{Time: now.Add(-31 * 24 * hour)}}, nil,
			report.Look, "The store was not read for 30 days to look for damage.", "strongroom scrub --repair", []string{"the store was not read for 30 days to look for damage"}},

		{"open", report.Overview{Now: now, Sources: []report.SourceStrip{well}, LastScrub: scrubbed, Opening: &bob}, []report.Finding{nag}, report.Look,
			"An opening is open: bob can read erp-db and erp-files.", "If it should not be: strongroom opening close " + id.String(),
			[]string{"an opening is open: bob can read erp-db and erp-files (rehearsal)", "there is one keykeeper and no proven paper key"}},
		{"asked", report.Overview{Now: now, Sources: []report.SourceStrip{well}, LastScrub: scrubbed, Requests: []report.OpeningLine{bob}}, nil, report.Look,
			"A request waits: bob asks to read erp-db and erp-files.", "A keykeeper releases or refuses it: strongroom opening show " + id.String(),
			[]string{"a request waits: bob asks to read erp-db and erp-files (rehearsal)"}},
		{"the worst first", over(source("a", 7*hour, report.Partial), source("b", 0, "")), []report.Finding{nag, {Level: report.Alarm, What: "the house is on fire"}}, report.Alarm,
			"The house is on fire.", "",
			[]string{"the house is on fire", "b was never collected", "a was collected in part the last time (connection refused)", "there is one keykeeper and no proven paper key"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v, findings := report.Judge(tt.o, tt.more)
			want := report.Verdict{Level: tt.level, Sentence: tt.says, Remedy: tt.do, Others: max(0, len(tt.all)-1)}
			if v != want {
				t.Errorf("verdict\n%+v, want\n%+v", v, want)
			}
			var all []string
			for _, f := range findings {
				line := f.What
				if f.Why != "" {
					line += " (" + f.Why + ")"
				}
				all = append(all, line)
			}
			if diff := cmp.Diff(tt.all, all); diff != "" {
				t.Errorf("findings, want - got +:\n%s", diff)
			}
		})
	}
}

// TestJudgeNames sees that a finding about many sources has all of them, and
// since when.
func TestJudgeNames(t *testing.T) {
	sources := []report.SourceStrip{source("a", 30*time.Hour, report.Complete), source("b", 7*time.Hour, report.Complete), source("c", 40*time.Hour, report.Complete)}
	_, findings := report.Judge(report.Overview{Now: now, Sources: sources, LastScrub: &report.Scrub{Time: now}}, nil)
	want := []report.Finding{{Level: report.Look, What: "a and c have no complete snapshot of the last 26 hours",
		Do: "See whether the timer runs, and collect it: strongroom collect --all", Since: now.Add(-40 * time.Hour), Sources: []safe.SourceName{"a", "c"}, Entry: -1}}
	if diff := cmp.Diff(want, findings); diff != "" {
		t.Errorf("want - got +:\n%s", diff)
	}
}

// What nobody has to look at is still said: an application that misses something
// with somebody's consent is not one of which all is held.
func TestJudgeApplications(t *testing.T) {
	for _, tt := range []struct {
		held, needed int
		want         string
	}{
		{5, 5, "Every source has a complete snapshot of the last 26 hours, and all that the applications need is held."},
		{4, 5, "Every source has a complete snapshot of the last 26 hours, and what applications miss is known: it is waived or acknowledged."},
	} {
		o := report.Overview{Now: now, LastScrub: &report.Scrub{Time: now}, Sources: []report.SourceStrip{source("erp", time.Hour, report.Complete)},
			Applications: []report.ApplicationCard{{Name: "erp", Held: tt.held, Needed: tt.needed}}}
		if v, findings := report.Judge(o, nil); v.Level != report.OK || v.Sentence != tt.want || len(findings) > 0 {
			t.Errorf("%d of %d held: %+v, %v, want %q", tt.held, tt.needed, v, findings, tt.want)
		}
	}
}
