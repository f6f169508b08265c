package coverage_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/estate"
	"strongroom/internal/estate/coverage"
	"strongroom/internal/safe"
	"strongroom/internal/safe/config"
)

// now is a morning; each night at two something was collected.
var now = time.Date(2026, 7, 31, 9, 0, 0, 0, time.UTC)

func night(ago int) time.Time { return time.Date(2026, 7, 31-ago, 2, 0, 0, 0, time.UTC) }

// kept is a source that was collected on those nights, each time in ten minutes.
func kept(c *config.Config, name safe.SourceName, ago ...int) coverage.Source {
	var s coverage.Source
	for _, src := range c.Sources {
		if src.Name == name {
			s.Keep = src.Keep
		}
	}
	for _, n := range ago {
		s.Snapshots = append(s.Snapshots, coverage.Snapshot{Run: safe.NewRunID(night(n)), Started: night(n), Finished: night(n).Add(10 * time.Minute)})
	}
	return s
}

const file = `
safe: acme
store: /srv/store
keep: { daily: 35d, monthly: 24mo }
sources:
  erp-db: { kind: local, include: [ /db ] }
  erp-files: { kind: local, include: [ /files ] }
  dns-zones: { kind: local, include: [ /zones ] }
components:
  database/erp:
    must_hold: { data: [ erp-db ], configuration: [ erp-files ], people: [ ada ], secrets: missing }
    depends_on: [ host/dns1, external/license.vendor.example ]
    waived: [ { what: secrets, by: ada, until: 2026-07-31, reason: on paper in the vault } ]
  host/dns1:
    must_hold: { data: [ dns-zones ] }
    depends_on: [ { component: host/printer, kind: soft }, host/base ]
  host/base: {}
applications:
  erp:
    consists_of: [ database/erp ]
    levels: { rpo: 26h, rto: 4h, keep: 7y, rehearsed_every: 90d, window: 5min }
`

// scene is the input of a safe in which all that can be held is.
func scene(t *testing.T, text string) (coverage.Input, config.Application) {
	t.Helper()
	c, err := config.Parse("strongroom.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	in := coverage.Input{
		Map: estate.Draw(nil, c.Statements(now)), Said: make(map[estate.ID]config.Component), Sources: make(map[safe.SourceName]coverage.Source),
		Scrubbed: night(1).Add(10 * time.Hour), Now: now,
	}
	for _, one := range c.Components {
		in.Said[one.ID] = one
	}
	for i, src := range c.Sources {
		in.Sources[src.Name] = kept(c, src.Name, 2, 1, 0)
		in.Proofs = append(in.Proofs, coverage.Proof{Source: src.Name, Run: safe.NewRunID(night(2)), At: night(20 + i), By: "otto", Application: "application/erp", Took: 3 * time.Hour})
	}
	return in, c.Applications[0]
}

// spell writes items, one a line.
func spell(r coverage.Report) string {
	var b strings.Builder
	for _, item := range r.Items {
		b.WriteString(strings.Join([]string{string(item.State), string(item.Component), string(item.Matter), string(item.Source)}, " ") + "\n")
	}
	return b.String()
}

// Each state, by hand: of the base nobody has said what it takes; the secrets
// are said to be missing, and waived to the end of today; all else is held. The
// printer is needed softly, and the licence is another's.
func TestCoverage(t *testing.T) {
	in, app := scene(t, file)
	r := coverage.Of(in, app)
	want := `missing host/base  
waived database/erp secrets 
held database/erp data erp-db
held database/erp configuration erp-files
held database/erp people 
held host/dns1 data dns-zones
`
	if diff := cmp.Diff(want, spell(r)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff([]estate.ID{"external/license.vendor.example"}, r.Outside); diff != "" {
		t.Errorf("outside (-want +got):\n%s", diff)
	}
	if held, needed := r.Count(); held != 4 || needed != 6 || r.Worst() != coverage.Missing {
		t.Errorf("%d of %d are held, the worst is %s", held, needed, r.Worst())
	}
}

// What a source holds is decided by its snapshots, the scrub and rehearsals: each
// of them missing, or too old, is another state.
func TestStates(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*coverage.Input)
		state  coverage.State
		why    string
	}{
		{"all is well", func(*coverage.Input) {}, coverage.Held, "is 7 hours old"},
		{"no snapshot", func(in *coverage.Input) { in.Sources["erp-db"] = coverage.Source{} }, coverage.Missing, "no complete snapshot"},
		{"no source", func(in *coverage.Input) { delete(in.Sources, "erp-db") }, coverage.Missing, "no source erp-db"},
		{"all snapshots are damaged", func(in *coverage.Input) {
			for i := range in.Sources["erp-db"].Snapshots {
				in.Sources["erp-db"].Snapshots[i].Damaged = true
			}
		}, coverage.Missing, "every snapshot of erp-db is damaged"},
		{"the newest is damaged", func(in *coverage.Input) { in.Sources["erp-db"].Snapshots[2].Damaged = true }, coverage.Stale, "is 31 hours old, and may be 26 hours"},
		{"nights were missed", func(in *coverage.Input) {
			s := in.Sources["erp-db"]
			s.Snapshots = s.Snapshots[:1]
			in.Sources["erp-db"] = s
		}, coverage.Stale, "is 2 days old"},
		{"never scrubbed", func(in *coverage.Input) { in.Scrubbed = time.Time{} }, coverage.Unproven, "no scrub has read"},
		{"scrubbed before there was a snapshot", func(in *coverage.Input) { in.Scrubbed = night(2) }, coverage.Unproven, "no scrub has read"},
		{"never rehearsed", func(in *coverage.Input) { in.Proofs = in.Proofs[1:] }, coverage.Unproven, "was ever restored"},
		{"restored since and wrong", func(in *coverage.Input) {
			in.Wrong = map[safe.SourceName]time.Time{"erp-db": in.Proofs[0].At.Add(time.Hour)}
		}, coverage.Unproven, "found to be wrong"},
		{"wrong and never right", func(in *coverage.Input) {
			in.Proofs, in.Wrong = in.Proofs[1:], map[safe.SourceName]time.Time{"erp-db": night(21)}
		}, coverage.Unproven, "found to be wrong"},
		{"wrong once, and right since", func(in *coverage.Input) {
			in.Wrong = map[safe.SourceName]time.Time{"erp-db": in.Proofs[0].At.Add(-time.Hour)}
		}, coverage.Held, "7 hours old"},
		{"rehearsed long ago", func(in *coverage.Input) { in.Proofs[0].At = now.AddDate(0, 0, -91) }, coverage.Unproven, "91 days ago, and that may be 90 days"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in, app := scene(t, file)
			tt.change(&in)
			for _, item := range coverage.Of(in, app).Items {
				if item.Source == "erp-db" && (item.State != tt.state || !strings.Contains(item.Why, tt.why)) {
					t.Errorf("it is %s: %s; want %s: %s", item.State, item.Why, tt.state, tt.why)
				}
				if item.Source == "erp-files" && tt.state != coverage.Unproven && item.State != coverage.Held {
					t.Errorf("another source is %s: %s", item.State, item.Why)
				}
			}
		})
	}
}

// A waiver is good to the end of its last day, and covers nothing else.
func TestWaivers(t *testing.T) {
	for _, tt := range []struct {
		name string
		now  time.Time
		want coverage.State
	}{
		{"its last minute", time.Date(2026, 7, 31, 23, 59, 59, 0, time.UTC), coverage.Waived},
		{"the day after", time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC), coverage.Missing},
	} {
		in, app := scene(t, file)
		in.Now = tt.now
		for _, item := range coverage.Of(in, app).Items {
			if item.Matter == config.Secrets && item.State != tt.want {
				t.Errorf("%s: secrets are %s, want %s", tt.name, item.State, tt.want)
			}
		}
	}
	in, app := scene(t, strings.Replace(file, "what: secrets", "what: data", 1))
	for _, item := range coverage.Of(in, app).Items {
		if item.Component == "database/erp" && item.Matter == config.Data && item.State != coverage.Held {
			t.Errorf("data that are held are %s by a waiver", item.State)
		}
		if item.Matter == config.Secrets && item.State != coverage.Missing {
			t.Errorf("secrets are %s by a waiver of data", item.State)
		}
	}
}

func TestLevels(t *testing.T) {
	type verdicts map[coverage.Promise]coverage.Verdict
	good := verdicts{coverage.RPO: coverage.Kept, coverage.Window: coverage.Broken, coverage.Retention: coverage.Broken,
		coverage.RTO: coverage.Kept, coverage.Rehearsed: coverage.Kept, coverage.TwoPeople: coverage.Broken}
	for _, tt := range []struct {
		name   string
		change func(*coverage.Input)
		text   string
		want   verdicts
	}{
		// Collections take ten minutes and may take five; snapshots are kept for two
		// years and must be for seven; one person has rehearsed.
		{"as it is", func(*coverage.Input) {}, file, nil},
		{"a night was missed", func(in *coverage.Input) {
			s := in.Sources["dns-zones"]
			s.Snapshots = append(s.Snapshots[:1:1], s.Snapshots[2])
			in.Sources["dns-zones"] = s
		}, file, verdicts{coverage.RPO: coverage.Broken}},
		{"a longer window", func(*coverage.Input) {}, strings.Replace(file, "window: 5min", "window: 10min", 1), verdicts{coverage.Window: coverage.Kept}},
		{"kept for longer", func(*coverage.Input) {}, strings.Replace(file, "monthly: 24mo", "yearly: 7y", 1), verdicts{coverage.Retention: coverage.Kept}},
		{"slow", func(in *coverage.Input) { in.Proofs[0].Took = 5 * time.Hour }, file, verdicts{coverage.RTO: coverage.Broken}},
		{"of another application", func(in *coverage.Input) {
			for i := range in.Proofs {
				in.Proofs[i].Application = "application/shop"
			}
		}, file, verdicts{coverage.RTO: coverage.Unknown}},
		{"not measured", func(in *coverage.Input) {
			for i := range in.Proofs {
				in.Proofs[i].Took = 0
			}
		}, file, verdicts{coverage.RTO: coverage.Unknown}},
		{"never rehearsed", func(in *coverage.Input) { in.Proofs = nil }, file, verdicts{coverage.RTO: coverage.Unknown, coverage.Rehearsed: coverage.Broken}},
		{"one source long ago", func(in *coverage.Input) { in.Proofs[2].At = now.AddDate(0, 0, -91) }, file, verdicts{coverage.Rehearsed: coverage.Broken}},
		{"two people", func(in *coverage.Input) { in.Proofs[1].By = "bob" }, file, verdicts{coverage.TwoPeople: coverage.Kept}},
		{"the second too long ago", func(in *coverage.Input) { in.Proofs[1].By, in.Proofs[1].At = "bob", now.AddDate(0, 0, -181) }, file, verdicts{coverage.Rehearsed: coverage.Broken}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in, app := scene(t, tt.text)
			tt.change(&in)
			want := make(verdicts)
			for p, v := range good {
				want[p] = v
			}
			for p, v := range tt.want {
				want[p] = v
			}
			got := make(verdicts)
			for _, l := range coverage.Of(in, app).Levels {
				got[l.Promise] = l.Verdict
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// An application that promises nothing is measured by nothing, and one that is
// not on the map needs what it consists of.
func TestNoPromises(t *testing.T) {
	in, app := scene(t, file[:strings.Index(file, "    levels:")])
	if r := coverage.Of(in, app); len(r.Levels) != 0 || len(r.Items) != 6 {
		t.Errorf("%d levels, %d items", len(r.Levels), len(r.Items))
	}
}
