package daemon

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/access"
	"strongroom/internal/access/accesstest"
	"strongroom/internal/access/api"
	"strongroom/internal/access/opening"
	"strongroom/internal/daemon/state"
	"strongroom/internal/ledger"
	"strongroom/internal/report"
	"strongroom/internal/safe"
	"strongroom/internal/safe/config"
	"strongroom/internal/safe/words"
)

func (h *hall) overview() report.Overview {
	h.t.Helper()
	o, err := h.safe.LookOverview(h.t.Context())
	h.must(err)
	return o
}

// whats returns what findings say.
func whats(findings []report.Finding) (all []string) {
	for _, f := range findings {
		all = append(all, f.What)
	}
	return all
}

// marks writes the last days of a strip, a word each.
func marks(s report.SourceStrip, last int) string {
	var all []string
	for _, day := range s.Days[len(s.Days)-last:] {
		all = append(all, string(day.Mark))
	}
	return strings.Join(all, " ")
}

func TestLookOverview(t *testing.T) {
	h := newFoundedHall(t, pair)
	o := h.overview()
	if o.Verdict.Level != report.Alarm || o.Verdict.Sentence != "erp and web were never collected." || o.Verdict.Remedy != "Collect it: strongroom collect --all" {
		t.Errorf("before anything is collected the verdict is %+v", o.Verdict)
	}
	for i, s := range o.Sources {
		if s.Name != h.cfg.Sources[i].Name || s.Kind != "local" || s.Last != nil || s.Whole != nil || len(s.Days) != report.DaysShown || s.Days[29].Mark != report.MarkNone {
			t.Errorf("a source that was never collected: %+v", s)
		}
	}

	erp, web := h.collect(0), h.collect(1)
	o = h.overview()
	strip := o.Sources[0]
	if strip.Whole.Run != erp.Run || strip.Newest.Name != erp.Short(time.Local) || strip.Count != 1 || strip.Bytes != erp.Bytes || strip.New != erp.NewBytes {
		t.Errorf("after a collection: %+v, want those of %+v", strip, erp)
	}
	if c := strip.Last; c.Run != erp.Run || c.Outcome != report.Complete || !c.Begun.Equal(erp.Started) || c.Entries != erp.Entries || c.Bytes != erp.Bytes {
		t.Errorf("the last collection is %+v", c)
	}
	if strip.Days[29].Mark != report.MarkKept || strip.Days[29].Runs != 1 {
		t.Errorf("today is %+v", strip.Days[29])
	}
	if o.Verdict.Sentence != "The store was never read to look for damage." {
		t.Errorf("the verdict is %+v", o.Verdict)
	}
	if got := whats(o.Findings); !slices.Contains(got, "nobody is told what happens: no mail is configured") || len(got) != o.Verdict.Others+1 {
		t.Errorf("the findings are %q", got)
	}

	h.sound()
	o = h.overview()
	if o.LastScrub == nil || o.LastScrub.Left != 0 || o.LastScrub.Objects == 0 {
		t.Errorf("the last scrub is %+v", o.LastScrub)
	}
	checkpoint, err := h.safe.State().Checkpoint(t.Context())
	h.must(err)
	signed, err := ledger.ParseCheckpoint(checkpoint, h.safe.LedgerKeys()...)
	h.must(err)
	want := report.Checkpoint{Size: signed.Size, Root: signed.Root.String(), Time: h.now(), Words: words.Of(safe.Digest(signed.Root)), Bytes: checkpoint}
	if diff := cmp.Diff(want, o.Checkpoint); diff != "" {
		t.Errorf("the checkpoint, want - got +:\n%s", diff)
	}

	// A night in which one source fails and the other is not collected.
	h.pass(27 * time.Hour)
	failed := safe.NewRunID(h.now())
	h.must(h.safe.state.Update(t.Context(), func(tx *state.Tx) error {
		begun := ledger.RunBegun{Run: failed, Source: "erp", Envelope: safe.Digest{1}, Roster: 1}
		if err := tx.BeginRun(h.now(), begun, []byte("envelope")); err != nil {
			return err
		}
		if err := tx.Append(h.now(), ledger.Safe, ledger.FindingRaised{Finding: "source.host_key_refused", Subject: "erp", Text: "another key"}); err != nil {
			return err
		}
		return tx.FailRun(h.now().Add(time.Minute), ledger.RunFailed{Run: failed, Source: "erp", Reason: "no route to host"})
	}))
	h.strange = true // an envelope that is none
	o = h.overview()
	if c := o.Sources[0].Last; c.Run != failed || c.Outcome != report.Failed || c.Reason != "no route to host" || c.Took != time.Minute {
		t.Errorf("the last collection is %+v", c)
	}
	if o.Verdict.Level != report.Look || o.Verdict.Sentence != "erp and web have no complete snapshot of the last 26 hours." {
		t.Errorf("the verdict is %+v", o.Verdict)
	}
	if got := whats(o.Findings); !slices.Contains(got, "finding source.host_key_refused in erp") {
		t.Errorf("the findings are %q", got)
	}
	if got, want := marks(o.Sources[0], 1), "failed"; got != want {
		t.Errorf("erp's days end with %s, want %s", got, want)
	}
	if got, want := marks(o.Sources[1], 1), "late"; got != want {
		t.Errorf("web's days end with %s, want %s", got, want)
	}
	if o.Sources[1].Whole.Run != web.Run {
		t.Errorf("web's newest is %+v", o.Sources[1].Whole)
	}

	// What is mended is not shown any more, though it stays in the ledger.
	h.collect(0)
	if got := whats(h.overview().Findings); slices.Contains(got, "finding source.host_key_refused in erp") {
		t.Errorf("the findings are %q", got)
	}

	// What is no longer configured is still there.
	h.cfg.Sources = h.cfg.Sources[:1]
	o = h.overview()
	if len(o.Sources) != 2 || !o.Sources[1].Gone || o.Sources[1].Name != "web" || o.Sources[1].Kind != "" || o.Sources[1].Count != 1 {
		t.Errorf("a source that is gone: %+v", o.Sources)
	}
	if got := marks(o.Sources[1], 1); got != "none" || o.Verdict.Sentence == "web has no complete snapshot of the last 26 hours." {
		t.Errorf("it is missed: %s, %+v", got, o.Verdict)
	}
}

// A run without an end may be under way for a night; one that another has
// followed has broken off.
func TestLookAtWhatHasNoEnd(t *testing.T) {
	h := newHall(t)
	h.strange = true // envelopes that are none
	begin := func() {
		h.must(h.safe.state.Update(t.Context(), func(tx *state.Tx) error {
			return tx.BeginRun(h.now(), ledger.RunBegun{Run: safe.NewRunID(h.now()), Source: "erp", Envelope: safe.Digest{1}, Roster: 1}, []byte("envelope"))
		}))
	}
	last := func() report.Outcome { return h.overview().Sources[0].Last.Outcome }
	begin()
	if got := last(); got != report.Underway {
		t.Errorf("just now: %s", got)
	}
	h.pass(report.Within)
	if got := last(); got != report.Underway {
		t.Errorf("a night later: %s", got)
	}
	h.pass(time.Second)
	if got := last(); got != report.Broken {
		t.Errorf("and a second: %s", got)
	}
	begin()
	s, err := h.safe.LookSource(t.Context(), "erp", safe.RunID{})
	h.must(err)
	if len(s.Collections) != 2 || s.Collections[0].Outcome != report.Underway || s.Collections[1].Outcome != report.Broken || s.Collections[1].Took != 0 {
		t.Errorf("got %+v", s.Collections)
	}
}

func TestLookSource(t *testing.T) {
	h := newHall(t)
	h.cfg.Sources[1].Spec = config.SFTP{Login: config.Login{Host: config.Host{User: "backup", Name: "mail.acme.example", Port: 22}},
		Paths: config.Paths{Include: []string{"/var/mail/**"}, Exclude: []string{"/var/mail/spam"}}}
	look := func(name safe.SourceName, before safe.RunID) report.Source {
		t.Helper()
		s, err := h.safe.LookSource(t.Context(), name, before)
		h.must(err)
		return s
	}
	if s := look("web", safe.RunID{}); s.Kind != "sftp" || s.Where != "backup@mail.acme.example:22" || !slices.Equal(s.Include, []string{"/var/mail/**"}) ||
		!slices.Equal(s.Exclude, []string{"/var/mail/spam"}) || len(s.Collections) != 0 || len(s.Strip.Days) != report.DaysShown {
		t.Errorf("one that was never collected: %+v", s)
	}
	if _, err := h.safe.LookSource(t.Context(), "payroll", safe.RunID{}); !errors.Is(err, api.ErrNotFound) {
		t.Errorf("one that there is not: %v", err)
	}

	var nights []safe.Snapshot
	for range 3 {
		nights = append(nights, h.collect(0))
	}
	s := look("erp", safe.RunID{})
	if s.Where != "this host" || len(s.Collections) != 3 || len(s.Snapshots) != 3 || !s.Older.IsZero() {
		t.Fatalf("got %+v", s)
	}
	for i, night := range nights {
		line := s.Snapshots[2-i]
		want := report.SnapshotLine{Name: night.Short(time.Local), Run: night.Run, Source: "erp", Time: night.Started, Tier: night.Tier, KeepUntil: night.KeepUntil,
			Entries: night.Entries, Bytes: night.Bytes, New: night.NewBytes, Warnings: night.Warnings}
		if diff := cmp.Diff(want, line); diff != "" {
			t.Errorf("night %d, want - got +:\n%s", i, diff)
		}
	}
	if s := look("erp", nights[1].Run); len(s.Collections) != 1 || s.Collections[0].Run != nights[0].Run || s.Before != nights[1].Run || s.Strip.Count != 3 {
		t.Errorf("before the second: %+v", s)
	}
}

// Long histories come in pages.
func TestLookSourceInPages(t *testing.T) {
	h := newHall(t)
	h.strange = true // runs that only the state knows
	const nights = 2*report.PageOfRuns + 1
	h.must(h.safe.state.Update(t.Context(), func(tx *state.Tx) error {
		for i := range nights {
			run := safe.NewRunID(h.now().Add(time.Duration(i) * time.Second))
			if err := tx.AddRun(ledger.RunBegun{Run: run, Source: "erp", Envelope: safe.Digest{1}}); err != nil {
				return err
			}
			if err := tx.EndRun(run, state.End{Outcome: state.Failed, Time: h.now(), Reason: ledger.Text(fmt.Sprint(i))}); err != nil {
				return err
			}
		}
		return nil
	}))
	var before safe.RunID
	next := nights
	for _, want := range []int{report.PageOfRuns, report.PageOfRuns, 1} {
		s, err := h.safe.LookSource(t.Context(), "erp", before)
		h.must(err)
		if len(s.Collections) != want {
			t.Fatalf("%d collections, want %d", len(s.Collections), want)
		}
		for _, c := range s.Collections {
			if next--; c.Reason != fmt.Sprint(next) {
				t.Fatalf("collection %s comes where %d should", c.Reason, next)
			}
		}
		before = s.Older
	}
	if !before.IsZero() {
		t.Error("there is something before the first")
	}
}

func TestLookLedger(t *testing.T) {
	h := newHall(t)
	h.strange = true // memories that nobody has
	h.must(h.safe.state.Update(t.Context(), func(tx *state.Tx) error {
		for range 2*report.PageOfEntries + 4 { // with the first, 205
			if err := tx.Append(h.now(), ledger.Safe, ledger.MemoryForgotten{Source: "erp", Reason: "a test"}); err != nil {
				return err
			}
		}
		return nil
	}))
	for _, tt := range []struct{ before, first, last, older, newer int64 }{
		{0, 204, 105, 105, 0},
		{205, 204, 105, 105, 0},
		{999, 204, 105, 105, 0},
		{-1, 204, 105, 105, 0},
		{105, 104, 5, 5, 205},
		{5, 4, 0, 0, 105},
		{1, 0, 0, 0, 101},
		{200, 199, 100, 100, 205},
	} {
		p, err := h.safe.LookLedger(t.Context(), tt.before)
		h.must(err)
		if n := len(p.Entries); n == 0 || p.Entries[0].N != tt.first || p.Entries[n-1].N != tt.last || int64(n) != tt.first-tt.last+1 || p.Older != tt.older || p.Newer != tt.newer {
			t.Errorf("before %d: %d entries, older %d, newer %d, first %+v", tt.before, n, p.Older, p.Newer, p.Entries)
		}
		if p.Checkpoint.Size != 205 {
			t.Errorf("the checkpoint is %+v", p.Checkpoint)
		}
	}
	p, err := h.safe.LookLedger(t.Context(), 2)
	h.must(err)
	want := []report.LedgerLine{
		{N: 1, Time: h.now(), Kind: "memory.forgotten", Who: "safe", What: "what the safe remembered of erp is forgotten", Detail: "a test", Level: report.OK, Source: "erp"},
		{N: 0, Time: h.now(), Kind: "safe.created", Who: "safe", What: "the safe test was made", Detail: "store " + h.safe.ID().String(), Level: report.OK},
	}
	if diff := cmp.Diff(want, p.Entries); diff != "" {
		t.Errorf("want - got +:\n%s", diff)
	}
}

// What is told of how to check an entry by hand works by hand.
func TestLookEntry(t *testing.T) {
	h := newFoundedHall(t, pair)
	h.collect(0)
	size, err := h.safe.state.Size(t.Context())
	h.must(err)
	for _, n := range []int64{-1, size} {
		if _, err := h.safe.LookEntry(t.Context(), n); !errors.Is(err, api.ErrNotFound) {
			t.Errorf("entry %d: %v", n, err)
		}
	}
	for n := range size {
		p, err := h.safe.LookEntry(t.Context(), n)
		h.must(err)
		proof, err := ledger.ParseInclusion(p.Proof)
		h.must(err)
		signed, err := ledger.ParseCheckpoint(p.Checkpoint.Bytes, h.safe.LedgerKeys()...)
		h.must(err)
		h.must(proof.Verify(p.Bytes, signed))
		if p.Line.N != n || p.Last != size-1 || p.RootHex != fmt.Sprintf("%x", signed.Root[:]) {
			t.Errorf("entry %d: %+v", n, p)
		}
	}
	p, err := h.safe.LookEntry(t.Context(), size-2)
	h.must(err)
	folder := t.TempDir()
	h.must(os.WriteFile(filepath.Join(folder, "entry.json"), p.Bytes, 0o600))
	ran := 0
	for _, step := range p.Steps {
		if step.Shows == "" {
			continue
		}
		cmd := exec.CommandContext(t.Context(), "sh", "-c", step.Command)
		cmd.Dir = folder
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v: %s", step.Command, err, out)
		}
		if got, _, _ := strings.Cut(string(out), " "); strings.TrimSpace(got) != step.Shows {
			t.Errorf("%s shows %s, want %s", step.Command, out, step.Shows)
		}
		ran++
	}
	if ran < 4 {
		t.Errorf("only %d steps show something", ran)
	}
}

func TestLookPeople(t *testing.T) {
	h := newHall(t)
	look := func() report.PeoplePage {
		t.Helper()
		p, err := h.safe.LookPeople(t.Context())
		h.must(err)
		return p
	}
	if p := look(); p.Founded || p.Pinned != "" || p.Version != 1 || len(p.People) != 0 || len(p.Missing) != 1 {
		t.Errorf("before anybody is there: %+v", p)
	}
	h.found(pair)
	founding := h.roster()
	h.collect(0)
	mia := h.enrol(accesstest.NewPerson(t, "mia", access.Keykeeper))
	_, err := h.safe.Invite(t.Context(), "otto", []access.Role{access.Operator})
	h.must(err)
	p := look()
	if !p.Founded || p.Pinned != words.Of(founding.Digest()) || p.Words != p.Pinned || p.Version != founding.Number || len(p.People) != 2 {
		t.Fatalf("got %+v", p)
	}
	ada, bob := p.People[0], p.People[1]
	wantAda := report.PersonLine{Name: "ada", FullName: ada.FullName, Roles: []access.Role{access.Keykeeper}, Mail: ada.Mail,
		Keys:   []report.KeyLine{{Fingerprint: h.people["ada"].SSH[0].Fingerprint(), Use: report.UseSSH}},
		Proven: []report.KeyProof{{Role: "outer", Old: true}}}
	if diff := cmp.Diff(wantAda, ada); diff != "" {
		t.Errorf("want - got +:\n%s", diff)
	}
	if bob.Name != "bob" || !slices.Equal(bob.Addresses, h.people["bob"].Addresses) || bob.Proven[0].Role != "inner" {
		t.Errorf("got %+v", bob)
	}
	if e := p.Enrolments; len(e) != 1 || e[0].Person != "mia" || e[0].Words != words.Of(mia.Digest()) || e[0].From != from || len(e[0].Keys) != 1 || e[0].Proposed != 0 {
		t.Errorf("got %+v", e)
	}
	if i := p.Invited; len(i) != 1 || i[0].Person != "otto" || !i[0].Until.Equal(h.now().Add(access.InvitationLife).Truncate(time.Second)) {
		t.Errorf("got %+v", i)
	}

	next := founding.Next()
	next.People = slices.DeleteFunc(slices.Clone(next.People), func(p access.Person) bool { return p.Name == "ada" })
	next.People = append(next.People, mia.Person)
	next.Periods[0].OuterCopies = []access.Copy{{Person: "mia", Sealed: mia.OuterCopy}}
	h.must(h.propose("ada", next))
	h.must(h.suspend("bob", "ada"))
	p = look()
	if e := p.Enrolments; len(e) != 1 || e[0].Proposed != next.Number {
		t.Errorf("who is proposed waits for it: %+v", e)
	}
	if l := p.Proposals; len(l) != 1 || l[0].Words != words.Of(next.Digest()) || l[0].By != "ada" || len(l[0].Agreed) != 0 || len(l[0].Changes) < 2 || !l[0].Ready.IsZero() {
		t.Errorf("got %+v", l)
	}
	if !p.People[0].Suspended || !p.People[0].Keys[0].Suspended || p.People[1].Suspended {
		t.Errorf("ada is suspended, and got %+v", p.People)
	}
	h.pass(access.InvitationLife)
	if p := look(); len(p.Invited) != 0 {
		t.Errorf("an invitation that is over: %+v", p.Invited)
	}
}

func TestLookOpenings(t *testing.T) {
	h := newFoundedHall(t, pair)
	erp, web := h.collect(0), h.collect(1)
	look := func(id safe.OpeningID) report.OpeningPage {
		t.Helper()
		p, err := h.safe.LookOpening(t.Context(), id)
		h.must(err)
		return p
	}
	if _, err := h.safe.LookOpening(t.Context(), safe.NewOpeningID(h.now())); !errors.Is(err, api.ErrNotFound) {
		t.Errorf("one that there is not: %v", err)
	}
	id := h.request("bob", erp, web)
	asked := h.now()
	p := look(id)
	line := report.OpeningLine{ID: id, State: opening.Requested, Operator: "bob", Address: h.people["bob"].Addresses[0], Sources: []safe.SourceName{"erp", "web"}, Count: 2,
		Reason: "a test", Hours: 4, Asked: asked, Until: asked.Add(24 * time.Hour)}
	if diff := cmp.Diff(line, p.Opening, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("want - got +:\n%s", diff)
	}
	if p.Runs != 2 || p.Keykeeper != "" || len(p.Events) != 1 || len(p.Snapshots) != 2 || p.Snapshots[1].Name != web.Short(time.Local) || p.Snapshots[1].Bytes != web.Bytes {
		t.Errorf("got %+v", p)
	}
	o := h.overview()
	if o.Opening != nil || len(o.Requests) != 1 || !slices.Contains(whats(o.Findings), "a request waits: bob asks to read erp and web") {
		t.Errorf("the overview has %+v, %v", o.Requests, whats(o.Findings))
	}

	h.must(h.release(h.sign("ada", id)))
	o = h.overview()
	if o.Opening == nil || o.Opening.ID != id || o.Opening.Gate == "" || len(o.Requests) != 0 || !slices.Contains(whats(o.Findings), "an opening is open: bob can read erp and web") {
		t.Errorf("the overview has %+v, %v", o.Opening, whats(o.Findings))
	}
	c := h.inside("bob", id)
	f, err := c.OpenFile("/inbox/rehearsal.json", os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	h.must(err)
	_, err = f.Write([]byte("it works"))
	h.must(errors.Join(err, f.Close()))
	h.pass(time.Minute)
	h.must(h.safe.CloseOpening(t.Context(), from, h.says("ada", access.Close{Opening: id, Reason: "enough"})))
	h.closed(id)
	p = look(id)
	var events []string
	for _, e := range p.Events {
		events = append(events, fmt.Sprintf("%s by %s", e.Kind, e.Who))
	}
	want := []string{"opening.requested by bob", "opening.released by ada", "opening.opened by safe", "record.received by safe", "record.refused by safe", "opening.closed by ada"}
	if !slices.Equal(events, want) {
		t.Errorf("the events are %q, want %q", events, want)
	}
	if p.Events[0].From != h.people["bob"].Addresses[0].String() || !strings.HasPrefix(p.Events[2].From, "127.0.0.1:") || p.Events[5].Detail != "enough" {
		t.Errorf("got %+v", p.Events)
	}
	if p.Keykeeper != "ada" || p.Runs != 2 || p.Opening.State != opening.Closed || p.Opening.Cause != "enough" || p.Opening.Gate != "" || p.Unknown {
		t.Errorf("got %+v", p)
	}
	if r := p.Records; len(r) != 1 || r[0].Name != "rehearsal.json" || r[0].Size != 8 || r[0].Digest != safe.DigestOf([]byte("it works")) {
		t.Errorf("the records are %+v", r)
	}
	second := h.request("bob", erp)
	list, err := h.safe.LookOpenings(t.Context())
	h.must(err)
	if len(list.Openings) != 2 || list.Openings[0].ID != second || list.Openings[1].ID != id || list.More {
		t.Errorf("got %+v", list)
	}
}
