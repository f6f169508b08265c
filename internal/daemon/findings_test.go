package daemon

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/daemon/state"
	"strongroom/internal/estate"
	"strongroom/internal/ledger"
	"strongroom/internal/report"
	"strongroom/internal/safe/config"
)

// since returns what the ledger says of findings from an entry on, one a line.
func (h *hall) since(n int64) string {
	h.t.Helper()
	entries, err := h.safe.state.View(h.t.Context()).EntriesFrom(n, 10_000)
	h.must(err)
	var b strings.Builder
	for _, e := range entries {
		switch what := e.What.(type) {
		case ledger.FindingRaised:
			fmt.Fprintf(&b, "up %s in %s: %s\n", what.Finding, what.Subject, what.Text)
		case ledger.FindingCleared:
			fmt.Fprintf(&b, "mended %s in %s: %s\n", what.Finding, what.Subject, what.Reason)
		}
	}
	return b.String()
}

// assess returns what an assessment records.
func (h *hall) assess() string {
	h.t.Helper()
	size, err := h.safe.state.Size(h.t.Context())
	h.must(err)
	h.must(h.safe.Assess(h.t.Context()))
	return h.since(size)
}

func (h *hall) assesses(what, want string) {
	h.t.Helper()
	if diff := cmp.Diff(want, h.assess()); diff != "" {
		h.t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// live returns the findings of a kind that nothing has cleared.
func (h *hall) live(kind string) []state.Finding {
	h.t.Helper()
	all, err := h.safe.Findings(h.t.Context())
	h.must(err)
	return slices.DeleteFunc(all, func(f state.Finding) bool { return f.Kind != kind })
}

// What an application misses is told once, and once more when it is mended.
func TestWhatIsMissedIsToldOnce(t *testing.T) {
	h := mappedHall(t)
	const unsaid = "nobody has said what it takes to rebuild it"
	h.assesses("before all collections", "up coverage.missing in erp: database/erp: data: there is no complete snapshot of erp\n"+
		"up coverage.missing in erp: host/db1: configuration: there is no complete snapshot of web\n"+
		"up coverage.missing in erp: service/dns: "+unsaid+"\n"+
		"up coverage.missing in erp: service/ldap: "+unsaid+"\n")
	h.assesses("again", "")
	h.collect(1)
	h.assesses("one is collected", "up coverage.unproven in erp: nobody knows whether all of it would come back: no scrub has read some of it, or nobody has restored it and found it to be right\n"+
		"mended coverage.missing in erp: host/db1: it is kept\n")
	h.collect(0)
	h.assesses("the other is", "mended coverage.missing in erp: database/erp: it is kept\n")
	h.pass(30 * time.Hour)
	h.assesses("time goes by", "up coverage.stale in erp: database/erp: data: the newest snapshot of erp is older than was promised\n"+
		"up coverage.stale in erp: host/db1: configuration: the newest snapshot of web is older than was promised\n"+
		"up levels.rpo in erp: in the last 30 days the newest snapshot of web was up to 30 hours old, and may be 26 hours\n"+
		"mended coverage.unproven in erp: nothing of it is kept unproven any more\n")
	h.pass(24 * time.Hour)
	h.assesses("and more", "")
	h.collect(0)
	h.collect(1)
	h.cfg.Components = append(h.cfg.Components, config.Component{ID: "service/ldap", Waived: []config.Waiver{{Matter: "", By: "ada", Until: h.now().AddDate(0, 1, 0), Reason: "gone soon"}}})
	h.assesses("it is collected again, and something is waived", "up coverage.unproven in erp: nobody knows whether all of it would come back: no scrub has read some of it, or nobody has restored it and found it to be right\n"+
		"mended coverage.missing in erp: service/ldap: somebody has waived it\n"+
		"mended coverage.stale in erp: database/erp: it is kept\n"+
		"mended coverage.stale in erp: host/db1: it is kept\n")

	days, err := h.safe.Standings(t.Context(), "erp", h.now().AddDate(0, 0, -9))
	h.must(err)
	last := days[len(days)-1]
	if n, all := last.Count("missing"); len(days) != 3 && len(days) != 4 || n != 1 || all != 5 || len(last.Levels) != 1 || last.Levels[0].Verdict != "broken" || last.Levels[0].Limit != 26*3600 {
		t.Errorf("the days are %+v", days)
	}

	h.cfg.Applications = nil
	if got := h.assess(); strings.Count(got, "mended") != 3 || strings.Count(got, "no application of the configuration") != 3 {
		t.Errorf("without the application:\n%s", got)
	}
}

// A host that invents components each night does not fill the ledger.
func TestManyMisses(t *testing.T) {
	h := mappedHall(t)
	h.strange = true // facts that no rebuild gives back
	invent := func(from, n int) {
		t.Helper()
		var told estate.Facts
		for i := from; i < from+n; i++ {
			id := estate.NewID(estate.Host, fmt.Sprintf("h%06d", i))
			told.Components = append(told.Components, estate.Component{ID: id})
			told.Links = append(told.Links, estate.Link{From: estate.End{ID: "database/erp"}, To: estate.End{ID: id}, Need: estate.Run,
				Evidence: []estate.Evidence{{Basis: estate.Observed, Source: "web", Place: "tcp", First: h.now(), Last: h.now()}}})
		}
		h.must(h.safe.state.Update(t.Context(), func(tx *state.Tx) error { return tx.SetFacts("web", told) }))
	}
	invent(0, 3000)
	if got := h.assess(); strings.Count(got, "up coverage.missing") != mostMissed || strings.Count(got, "up coverage.more in erp") != 1 {
		t.Errorf("at first:\n%s", got)
	}
	if !strings.Contains(h.since(0), "in erp: host/db1: ") {
		t.Error("what people speak of is not told before what was invented")
	}
	h.assesses("again", "")
	invent(3000, 3000)
	got := h.assess()
	if up, mended := strings.Count(got, "up "), strings.Count(got, "mended "); up > mostMissed || mended > mostMissed {
		t.Errorf("others: %d came up, %d are mended", up, mended)
	}
	invent(0, 0)
	h.assess()
	if got := h.live("coverage.more"); len(got) != 0 {
		t.Errorf("there is still more: %+v", got)
	}
}

// Acknowledging silences one finding, for a time, and as long as it is the same.
func TestAcknowledge(t *testing.T) {
	h := mappedHall(t)
	h.assess()
	ack := func(entry int64, days int) error {
		_, err := h.safe.Acknowledge(t.Context(), entry, h.now().AddDate(0, 0, days), "it is being moved", "ada")
		return err
	}
	open := func() (subjects []string) {
		t.Helper()
		for _, f := range h.live("coverage.missing") {
			if f.Open(h.now()) {
				subjects = append(subjects, string(f.Subject))
			}
		}
		return subjects
	}
	all := h.live("coverage.missing")
	dns := all[2]
	h.must(ack(dns.N, 10))
	if got := open(); slices.Contains(got, "erp: service/dns") || len(got) != 3 {
		t.Errorf("open are %q", got)
	}
	h.assesses("it is acknowledged", "")
	for entry, days := range map[int64]int{0: 1, 99999: 1, dns.N: 400, all[0].N: 0} {
		if err := ack(entry, days); err == nil {
			t.Errorf("entry %d is acknowledged for %d days", entry, days)
		}
	}
	h.pass(11 * 24 * time.Hour)
	if got := open(); len(got) != 4 {
		t.Errorf("open are %q", got)
	}
	h.assesses("the time is over", "up coverage.missing in erp: service/dns: nobody has said what it takes to rebuild it\n")
	h.assesses("which is told once", "")
	if got := h.live("coverage.missing")[2]; got.N != dns.N || got.Count != 2 || !got.First.Equal(dns.First) || !got.Seen.After(dns.Seen) || got.Ack != nil {
		t.Errorf("the finding is %+v", got)
	}

	// Whoever was told that something of a component is missing, is told when
	// more of it is.
	h.must(ack(all[0].N, 10))
	at := slices.IndexFunc(h.cfg.Components, func(c config.Component) bool { return c.ID == "database/erp" })
	h.cfg.Components[at].MustHold = append(h.cfg.Components[at].MustHold, config.Holding{Matter: config.Documents})
	h.assesses("more is missed", "up coverage.missing in erp: database/erp: data: there is no complete snapshot of erp; documents: the configuration says that it is missing\n")
	if got := open(); len(got) != 4 {
		t.Errorf("open are %q", got)
	}
	h.cfg.Components[at].MustHold = h.cfg.Components[at].MustHold[1:]
	h.assesses("less is missed", "")

	// What was cleared cannot be acknowledged; what comes up after that is another.
	h.collect(1)
	h.assess()
	if err := ack(all[1].N, 1); !errors.Is(err, ErrNoFinding) {
		t.Errorf("what was cleared: %v", err)
	}
	if cleared, err := h.safe.ClearedFindings(t.Context()); err != nil || len(cleared) != 1 || cleared[0].N != all[1].N {
		t.Errorf("cleared are %+v, %v", cleared, err)
	}
}

// Findings about other things than coverage are cleared when they are mended; an
// event stays until somebody has looked at it.
func TestOtherFindings(t *testing.T) {
	h := newHall(t)
	raise := func(kind, subject, text string) int64 {
		t.Helper()
		var n int64
		h.must(h.safe.state.Update(t.Context(), func(tx *state.Tx) (err error) {
			n, err = tx.Record(h.now(), ledger.Safe, ledger.FindingRaised{Finding: kind, Subject: ledger.TextOf(subject), Text: ledger.TextOf(text)})
			return err
		}))
		return n
	}
	raise("source.host_key_refused", "erp", "another key")
	raise("source.host_key_refused", "gone", "another key")
	raise("mail.refused", "old@x", "550")
	lied := raise(collectorLied, "erp", "a lie")
	h.collect(0)
	h.assesses("after a collection", "mended source.host_key_refused in erp: the source was collected since\n"+
		"mended source.host_key_refused in gone: the source is not configured any more\n"+
		"mended mail.refused in old@x: nobody is told anything there any more\n")
	if got := h.live(collectorLied); len(got) != 1 || !got[0].Open(h.now()) {
		t.Errorf("an event: %+v", got)
	}
	ack := func() {
		t.Helper()
		_, err := h.safe.Acknowledge(t.Context(), lied, h.now().AddDate(0, 0, 2), "a test", "ada")
		h.must(err)
	}
	ack()
	raise(collectorLied, "erp", "a lie") // the same
	if got := h.live(collectorLied); len(got) != 1 || got[0].Open(h.now()) || got[0].Count != 2 {
		t.Errorf("the same again: %+v", got)
	}
	raise(collectorLied, "erp", "another lie")
	if got := h.live(collectorLied); len(got) != 1 || !got[0].Open(h.now()) || got[0].Count != 3 || got[0].N != lied {
		t.Errorf("another: %+v", got)
	}
	ack()
	raise(collectorLied, "erp", "another lie")
	h.pass(3 * 24 * time.Hour)
	h.assesses("it has come up again meanwhile", "up source.collector_lied in erp: another lie\n")
	ack()
	h.pass(3 * 24 * time.Hour)
	h.assesses("it has not", "mended source.collector_lied in erp: it has not come up again since it was acknowledged\n")
	h.assesses("again", "")
}

// Until the sources of facts have told, nobody knows what an application does
// not need.
func TestBlindAfterARebuild(t *testing.T) {
	h := mappedHall(t)
	h.strange = true // facts that no rebuild gives back
	told := estate.Facts{Links: []estate.Link{{From: estate.End{ID: "database/erp"}, To: estate.End{ID: "host/nfs1"}, Need: estate.Run}}, Components: []estate.Component{{ID: "host/nfs1"}}}
	h.cfg.Sources = append(h.cfg.Sources, config.Source{Name: "hosts", Spec: config.Facts{}})
	h.must(h.safe.state.Update(t.Context(), func(tx *state.Tx) error { return tx.SetFacts("hosts", told) }))
	if got := h.assess(); !strings.Contains(got, "host/nfs1") {
		t.Fatalf("the host is not missed:\n%s", got)
	}
	h.cfg.Sources[2].Name = "others" // which have not told anything
	h.safe.atlas.newest.Store(nil)
	h.assesses("nobody has told", "")
	h.must(h.safe.state.Update(t.Context(), func(tx *state.Tx) error { return tx.SetFacts("others", estate.Facts{}) }))
	h.assesses("somebody has", "mended coverage.missing in erp: host/nfs1: erp does not need it any more\n")
}

// What was decided by an older look is not recorded over a newer one.
func TestTheLaterAssessmentIsRight(t *testing.T) {
	h := mappedHall(t)
	old, err := h.safe.assessed(t.Context())
	h.must(err)
	h.collect(0)
	h.collect(1)
	h.assess()
	h.must(h.safe.state.Look(t.Context(), func(v state.View) error {
		a, err := h.safe.assessment(v, old)
		if events := a.events(); err != nil || len(events) > 0 {
			t.Errorf("it would record %v, %v", events, err)
		}
		return nil
	}))
}

// The verdict of the safe is no plain yes while an application misses something.
func TestVerdictOnApplications(t *testing.T) {
	h := mappedHall(t)
	h.collect(0)
	h.collect(1)
	h.sound()
	h.assess()
	o := h.overview()
	if o.Verdict.Level != report.Alarm || o.Verdict.Sentence != "Erp could not be rebuilt from what is kept: of 2 components something is missing." {
		t.Errorf("the verdict is %+v", o.Verdict)
	}
	for _, f := range h.live("coverage.missing") {
		_, err := h.safe.Acknowledge(t.Context(), f.N, h.now().AddDate(0, 0, 1), "a test", "ada")
		h.must(err)
	}
	if o = h.overview(); o.Verdict.Level != report.Look {
		t.Errorf("the verdict is %+v", o.Verdict)
	}
	if got := whats(o.Findings); !slices.Contains(got, "nobody knows whether all of erp would come back: it was not proven") {
		t.Errorf("the findings are %q", got)
	}
}

// What breaks off in the middle loses nothing and leaves no half: what came up is
// recorded with how it stands on that day, or neither is, and is found again.
func TestAssessIsOneTransaction(t *testing.T) {
	h := mappedHall(t)
	free := h.fill("standing") // which is written last
	if err := h.safe.Assess(t.Context()); err == nil {
		t.Error("it was recorded although there was no room for all of it")
	}
	if got := h.since(0); got != "" {
		t.Errorf("recorded is\n%s", got)
	}
	free()
	if got := h.assess(); strings.Count(got, "up ") != 4 {
		t.Errorf("recorded is\n%s", got)
	}
}
