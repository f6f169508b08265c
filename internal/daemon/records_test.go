package daemon

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/access"
	"strongroom/internal/access/opening"
	"strongroom/internal/access/record"
	"strongroom/internal/estate/coverage"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/safe/config"
)

// newErpHall makes a safe that promises something for an application.
func newErpHall(t *testing.T, people string) *hall {
	t.Helper()
	return erpHall(t, t.TempDir(), people)
}

func erpHall(t *testing.T, folder, people string) *hall {
	t.Helper()
	text := fmt.Sprintf(`safe: test
store: %[1]s/store
dir: %[1]s/dir
sources:
  erp: { kind: local, include: [/etc] }
  web: { kind: local, include: [/etc] }
components:
  database/erp:
    must_hold: { data: [ erp ], secrets: missing, configuration: missing }
    waived: [ { what: secrets, by: ada, until: 2999-12-31, reason: in the vault } ]
    depends_on: [ host/web ]
  host/web: { must_hold: { data: [ web ] } }
applications:
  erp:
    consists_of: [ database/erp ]
    levels: { rpo: 26h, rto: 4h, rehearsed_every: 90d, two_people: true }
`, folder)
	cfg, err := config.Parse("test.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	cfg.Serve = &config.Serve{Names: []string{"localhost"}, Gate: hallConfig(t, folder).Serve.Gate}
	h := newHallIn(t, cfg, nil)
	h.found(people)
	return h
}

// restored is what somebody found of snapshots, an hour after the last of them.
func (h *hall) restored(name safe.PersonName, result record.Result, snapshots ...safe.Snapshot) record.Record {
	h.t.Helper()
	var all []record.Restored
	for _, d := range snapshots {
		all = append(all, record.Restored{Run: d.Run, Source: d.Source, Result: result, Checked: "it starts"})
	}
	return record.New(h.safe.ID(), name, "spare", h.now(), h.now().Add(time.Hour), all)
}

// file signs a record as that person.
func (h *hall) file(name safe.PersonName, r record.Record) []byte {
	h.t.Helper()
	signed, err := record.Sign(r, h.people[name].Signer)
	h.must(err)
	b, err := record.Encode(signed)
	h.must(err)
	return b
}

// brings has somebody's record of an hour's work brought to the host.
func (h *hall) brings(r record.Record) {
	h.t.Helper()
	h.pass(time.Hour)
	_, err := h.safe.AddRecord(h.t.Context(), h.file(r.Person, r), "root")
	h.must(err)
}

// states returns how it stands with what erp needs, by component and matter, or
// source.
func (h *hall) states() (map[string]coverage.State, map[coverage.Promise]coverage.Verdict) {
	h.t.Helper()
	c, err := h.safe.Coverage(h.t.Context())
	h.must(err)
	states := make(map[string]coverage.State)
	for _, item := range c.Reports[0].Items {
		name := string(item.Source)
		if name == "" {
			name = string(item.Matter)
		}
		states[name] = item.State
	}
	levels := make(map[coverage.Promise]coverage.Verdict)
	for _, l := range c.Reports[0].Levels {
		levels[l.Promise] = l.Verdict
	}
	return states, levels
}

// What is held is decided from snapshots, scrubs and records. Each is brought,
// and then taken away again.
func TestWhatIsHeld(t *testing.T) {
	h := newErpHall(t, pair)
	want := func(when string, erp, web coverage.State) {
		t.Helper()
		states, _ := h.states()
		if states["erp"] != erp || states["web"] != web || states["secrets"] != coverage.Waived || states["configuration"] != coverage.Missing {
			t.Errorf("%s: %v; want erp %s, web %s", when, states, erp, web)
		}
	}
	want("nothing was collected", coverage.Missing, coverage.Missing)
	erp, web := h.collect(0), h.collect(1)
	want("collected", coverage.Unproven, coverage.Unproven)
	h.brings(h.restored("bob", record.Right, erp))
	want("restored and not scrubbed", coverage.Unproven, coverage.Unproven)
	h.pass(time.Minute)
	h.sound()
	want("scrubbed", coverage.Held, coverage.Unproven)
	h.brings(h.restored("bob", record.Right, web))
	want("both restored", coverage.Held, coverage.Held)

	h.brings(h.restored("bob", record.Wrong, erp))
	want("the last restore was wrong", coverage.Unproven, coverage.Held)
	if f := last[ledger.FindingRaised](h); f.Finding != wrongRestore || f.Subject != "erp" || !strings.Contains(string(f.Text), erp.Run.String()) {
		t.Errorf("the finding is %+v", f)
	}
	h.brings(h.restored("bob", record.Right, erp))
	want("and right again", coverage.Held, coverage.Held)

	h.pass(27 * time.Hour)
	want("a day later", coverage.Stale, coverage.Stale)
	h.pass(91 * 24 * time.Hour)
	h.collect(0)
	h.collect(1)
	want("collected again, restored long ago", coverage.Unproven, coverage.Unproven)
}

// Each of what held is decided from is taken away from a safe where all is held.
func TestWhatIsHeldNoMore(t *testing.T) {
	for _, tt := range []struct {
		name   string
		remove func(*coverage.Input)
		want   coverage.State
	}{
		{"nothing", func(*coverage.Input) {}, coverage.Held},
		{"the snapshots", func(in *coverage.Input) { in.Sources["erp"] = coverage.Source{} }, coverage.Missing},
		{"the scrub", func(in *coverage.Input) { in.Scrubbed = time.Time{} }, coverage.Unproven},
		{"the records", func(in *coverage.Input) { in.Proofs = nil }, coverage.Unproven},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newErpHall(t, pair)
			h.brings(h.restored("bob", record.Right, h.collect(0)))
			h.sound()
			in, err := h.safe.covered(t.Context())
			h.must(err)
			tt.remove(&in)
			for _, item := range coverage.Of(in, h.cfg.Applications[0]).Items {
				if item.Source == "erp" && item.State != tt.want {
					t.Errorf("without %s it is %s: %s", tt.name, item.State, item.Why)
				}
			}
		})
	}
}

func TestRecordsKeepLevels(t *testing.T) {
	h := newErpHall(t, pair+" carl:operator olga:officer")
	want := func(when string, rto, rehearsed, twoPeople coverage.Verdict) {
		t.Helper()
		_, levels := h.states()
		if levels[coverage.RTO] != rto || levels[coverage.Rehearsed] != rehearsed || levels[coverage.TwoPeople] != twoPeople {
			t.Errorf("%s: %v; want rto %s, rehearsed %s, two people %s", when, levels, rto, rehearsed, twoPeople)
		}
	}
	erp, web := h.collect(0), h.collect(1)
	want("never rehearsed", coverage.Unknown, coverage.Broken, coverage.Broken)
	h.brings(h.restored("bob", record.Right, erp))
	want("one source", coverage.Unknown, coverage.Broken, coverage.Broken)
	h.brings(h.restored("bob", record.Right, erp, web))
	want("not measured", coverage.Unknown, coverage.Kept, coverage.Broken)
	whole := h.restored("bob", record.Right, erp, web)
	whole.Application, whole.Note = "erp", "the whole"
	h.brings(whole)
	want("one person", coverage.Kept, coverage.Kept, coverage.Broken)
	h.brings(h.restored("carl", record.Right, web))
	want("two people", coverage.Kept, coverage.Kept, coverage.Kept)

	slow := h.restored("olga", record.Right, erp, web)
	slow.Application, slow.Ended = "application/erp", slow.Started.Add(5*time.Hour)
	h.pass(4 * time.Hour)
	h.brings(slow)
	want("slow", coverage.Broken, coverage.Kept, coverage.Kept)
	failed := h.restored("olga", record.Right, erp, web)
	failed.Application, failed.Snapshots[1].Result = "erp", record.Wrong
	h.brings(failed)
	want("quick, and wrong", coverage.Broken, coverage.Kept, coverage.Kept)

	// Who leaves has restored it all the same.
	next := h.roster().Next()
	for i, p := range next.People {
		if p.Name == "carl" {
			next.People = append(next.People[:i:i], next.People[i+1:]...)
			break
		}
	}
	for i := range next.Periods {
		copies := next.Periods[i].InnerCopies
		next.Periods[i].InnerCopies = nil
		for _, c := range copies {
			if c.Person != "carl" {
				next.Periods[i].InnerCopies = append(next.Periods[i].InnerCopies, c)
			}
		}
	}
	h.changed(next, "ada", "bob")
	want("one of them has left", coverage.Broken, coverage.Kept, coverage.Kept)
}

func TestRecordsThatAreRefused(t *testing.T) {
	h := newErpHall(t, pair+" carl:operator olga:officer tim:auditor eve:operator")
	d := h.collect(0)
	h.safe.opts.Program = playing("partial")
	partial := h.collect(0)
	h.must(h.suspend("carl", "eve"))
	h.pass(2 * time.Hour)
	good := h.restored("bob", record.Right, d)
	good.Started, good.Ended = h.now().Add(-time.Hour), h.now()
	with := func(change func(*record.Record)) []byte {
		r := good
		r.Snapshots = []record.Restored{good.Snapshots[0]}
		change(&r)
		return h.file(r.Person, r)
	}
	for _, tt := range []struct {
		name string
		file []byte
		why  string
	}{
		{"no record", []byte("{}\n"), "canonical"},
		{"another safe", with(func(r *record.Record) { r.Store[0] ^= 1 }), "of store"},
		{"signed by another", h.file("carl", good), "not signed by the person"},
		{"a keykeeper", with(func(r *record.Record) { r.Person = "ada" }), "ada is neither operator nor officer"},
		{"an auditor", with(func(r *record.Record) { r.Person = "tim" }), "tim is neither operator nor officer"},
		{"suspended", with(func(r *record.Record) { r.Person = "eve" }), "is suspended"},
		{"no such snapshot", with(func(r *record.Record) { r.Snapshots[0].Run = safe.NewRunID(h.now()) }), "there is no snapshot"},
		{"another source", with(func(r *record.Record) { r.Snapshots[0].Source = "web" }), "is not of web"},
		{"of the whole of a part", with(func(r *record.Record) { r.Snapshots[0].Run = partial.Run }), "is partial"},
		{"still to come", with(func(r *record.Record) { r.Ended = h.now().Add(actLife + time.Second) }), "still to come"},
		{"before the snapshot", with(func(r *record.Record) { r.Started = d.Finished.UTC().Truncate(time.Second).Add(-time.Second) }), "was complete"},
		{"no such application", with(func(r *record.Record) { r.Application = "shop" }), "no application shop"},
	} {
		_, err := h.safe.AddRecord(t.Context(), tt.file, "root")
		if refused, ok := errors.AsType[*RecordError](err); !ok || !strings.Contains(refused.Reason, tt.why) {
			t.Errorf("%s: %v, want that it is refused with %q", tt.name, err, tt.why)
		}
	}
	if got := len(all[ledger.RecordAccepted](h)); got > 0 {
		t.Errorf("the ledger has %d records", got)
	}
	file := h.file("bob", good)
	_, err := h.safe.AddRecord(t.Context(), file, "root")
	h.must(err)
	if _, err := h.safe.AddRecord(t.Context(), file, "root"); err == nil || !strings.Contains(err.Error(), "taken in before") {
		t.Errorf("a record is taken in twice: %v", err)
	}
	// That a part was wrong is worth knowing.
	_, err = h.safe.AddRecord(t.Context(), with(func(r *record.Record) { r.Snapshots[0].Run, r.Snapshots[0].Result = partial.Run, record.Wrong }), "root")
	h.must(err)
	officer := with(func(r *record.Record) { r.Person = "olga" })
	_, err = h.safe.AddRecord(t.Context(), officer, "root")
	h.must(err)
}

// What comes through the gate is taken in when the opening is closed, whatever
// else lies beside it; and it is there again when the state was lost.
func TestRecordsThroughTheGate(t *testing.T) {
	h := newErpHall(t, pair)
	d := h.collect(0)
	id := h.open(d)
	r := h.restored("bob", record.Right, d)
	r.Ended = r.Started
	good := h.file("bob", r)
	left := map[string][]byte{"a-junk.json": []byte("{}\n"), "b-good.json": good, "c-again.json": good, "d-large.json": make([]byte, 1<<20),
		"e-forged.json": []byte(strings.Replace(string(good), "bob", "ada", 1))}
	c := h.inside("bob", id)
	for name, b := range left {
		f, err := c.OpenFile("/inbox/"+name, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
		h.must(err)
		_, err = f.Write(b)
		h.must(err)
		h.must(f.Close())
	}
	h.must(c.Close())
	h.pass(time.Second)
	h.must(h.safe.CloseOpening(t.Context(), from, h.says("bob", access.Close{Opening: id, Reason: "done"})))
	if got := h.opening(id).State; got != opening.Closed {
		t.Errorf("the opening is %s", got)
	}
	if got := len(all[ledger.RecordReceived](h)); got != len(left) {
		t.Errorf("%d records were received, want %d", got, len(left))
	}
	refused := make(map[string]string)
	for _, e := range all[ledger.RecordRefused](h) {
		refused[string(e.Name)] = string(e.Reason)
	}
	for name, why := range map[string]string{"a-junk.json": "canonical", "c-again.json": "taken in before", "d-large.json": "at most", "e-forged.json": "not signed"} {
		if !strings.Contains(refused[name], why) {
			t.Errorf("%s is refused with %q, want %q", name, refused[name], why)
		}
	}
	if len(refused) != len(left)-1 {
		t.Errorf("refused are %v", refused)
	}
	accepted := all[ledger.RecordAccepted](h)
	if len(accepted) != 1 || accepted[0].Opening != id || accepted[0].Account != "" || accepted[0].Snapshots[0].Run != d.Run {
		t.Fatalf("accepted are %+v", accepted)
	}
	// The evidence is whole: it can be checked again from the entry alone.
	again, err := record.ParseStatement([]byte(accepted[0].Signed.Statement))
	h.must(err)
	if _, err := record.Verify(h.roster(), again, accepted[0].Signed); err != nil {
		t.Error(err)
	}
	h.sound()
	if states, _ := h.states(); states["erp"] != coverage.Held {
		t.Errorf("with a record from the gate it stands so: %v", states)
	}
	before, levels := h.states()
	h.strange = true // its state is lost now
	h.lose()
	h.rebuild()
	after, levelsAfter := h.states()
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("after the state was lost, coverage is another (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(levels, levelsAfter); diff != "" {
		t.Errorf("after the state was lost, levels are others (-before +after):\n%s", diff)
	}
	if _, err := h.safe.AddRecord(t.Context(), good, "root"); err == nil || !strings.Contains(err.Error(), "taken in before") {
		t.Errorf("after the state was lost, a record is taken in again: %v", err)
	}
}

// What lay in the inbox when the state was lost is not believed unseen: somebody
// brings it once more.
func TestRecordsOfAnOpeningThatWasLost(t *testing.T) {
	h := newErpHall(t, pair)
	h.strange = true
	d := h.collect(0)
	id := h.open(d)
	r := h.restored("bob", record.Right, d)
	r.Ended = r.Started
	c := h.inside("bob", id)
	f, err := c.OpenFile("/inbox/record.json", os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	h.must(err)
	_, err = f.Write(h.file("bob", r))
	h.must(err)
	h.must(f.Close())
	h.must(c.Close())
	h.lose()
	h.rebuild()
	if got := last[ledger.RecordRefused](h); got.Opening != id || !strings.Contains(string(got.Reason), "record add") {
		t.Errorf("the ledger says of the record %+v", got)
	}
	if got := len(all[ledger.RecordAccepted](h)); got > 0 {
		t.Errorf("%d records were accepted", got)
	}
	b, err := os.ReadFile(filepath.Join(h.safe.inboxPath(id), "inbox", "record.json"))
	if err != nil { // it was moved
		b, err = os.ReadFile(filepath.Join(h.safe.recordsPath(id), "record.json"))
	}
	h.must(err)
	_, err = h.safe.AddRecord(t.Context(), b, "root")
	h.must(err)
}
