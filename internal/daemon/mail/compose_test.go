package mail

import (
	"bytes"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/ledger"
	"strongroom/internal/ledger/ledgertest"
	"strongroom/internal/safe"
)

var (
	update = flag.Bool("update", false, "write the golden files anew")
	show   = flag.String("html", "", "a `folder` to write the HTML of all golden mails to")
)

var (
	night = time.Date(2026, 11, 21, 2, 30, 0, 0, time.UTC)
	// The key is fixed, so that the golden mails are.
	testKey = func() ledger.Key {
		key, err := ledger.ParseKey("PRIVATE+KEY+strongroom/0198a1b2000070008000000000000001+9148f66b+AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
		if err != nil {
			panic(err)
		}
		return key
	}()
)

func testSafe() Safe {
	return Safe{
		Name: "acme", SubjectPrefix: "[acme]", LedgerKey: testKey.Public(), Program: safe.DigestOf([]byte("program")), Scripts: safe.DigestOf([]byte("scripts")),
		Words: "ocean tulip marble fabric lunar cradle onion vivid", Pages: "https://safe.acme.example:8443", Zone: time.UTC,
	}
}

func runAt(at time.Time, n byte) safe.RunID {
	id, err := safe.ParseRunID(fmt.Sprintf("%012x", at.UnixMilli())[:8] + "-" + fmt.Sprintf("%012x", at.UnixMilli())[8:] + fmt.Sprintf("-7000-8000-0000000000%02x", n))
	if err != nil {
		panic(err)
	}
	return id
}

// proofOf makes a ledger of some entries, and its proof from an earlier size.
func proofOf(t *testing.T, from, to int64) Proof {
	t.Helper()
	var log ledgertest.Log
	var head ledger.Head
	for range to {
		var err error
		if head, err = log.Append(night, ledger.MemoryForgotten{Source: "erp-db"}); err != nil {
			t.Fatal(err)
		}
	}
	b, err := testKey.Sign(head)
	if err != nil {
		t.Fatal(err)
	}
	consistency, err := ledger.ProveConsistency(from, to, &log)
	if err != nil {
		t.Fatal(err)
	}
	return Proof{Checkpoint: b, Consistency: consistency}
}

func entry(who ledger.Who, what ledger.Event) ledger.Entry {
	return ledger.Entry{Time: night.Add(7 * time.Minute), Who: who, What: what}
}

var (
	opening = safe.OpeningID(runAt(night, 9))
	signed  = ledger.Signed{Statement: "x", Signature: "eA=="}
	request = ledger.OpeningRequested{
		Opening: opening, Address: netip.MustParseAddr("10.0.9.7"), Hours: 4, Reason: "quarterly drill", Until: night.Add(24 * time.Hour), Signed: signed,
		Snapshots: []ledger.SnapshotNamed{{Run: runAt(night, 1), Source: "erp-db"}, {Run: runAt(night, 2), Source: "erp-files"}},
	}
	twice = ledger.OpeningRequested{
		Opening: opening, Address: netip.MustParseAddr("10.0.9.7"), Hours: 4, Reason: "quarterly drill", Until: night.Add(24 * time.Hour), Signed: signed,
		Snapshots: []ledger.SnapshotNamed{{Run: runAt(night, 1), Source: "erp-db"}, {Run: runAt(night.Add(30*time.Second), 2), Source: "erp-db"}},
	}
	evil = ledger.TextOf("go to http://evil.example/ or www.evil.example \u200b\u202e <script>alert(1)</script> \r\nBcc: all@acme.example & more")
)

// mails are what the golden files are made of, by name.
func mails() map[string][]Item {
	kept := ledger.SnapshotKept{
		Run: runAt(night, 1), Source: "erp-db", Tier: safe.Weekly, KeepUntil: night.AddDate(0, 3, 0),
		Entries: 12345, Bytes: 41_200_000_000, NewBytes: 1_100_000_000,
	}
	description := safe.Snapshot{
		Started: night, Finished: night.Add(6 * time.Minute), StoredBytes: 412_000_000, ParityBytes: 51_000_000,
	}
	before := safe.Snapshot{Started: night.AddDate(0, 0, -1), Entries: 12333, Bytes: 41_500_000_000}
	partial := kept
	partial.Partial, partial.Tier, partial.Reason, partial.Warnings = true, safe.Broken, "stopped after 8 h, as configured", 3
	one := func(e ledger.Entry) []Item { return []Item{{Number: 17, Entry: e}} }
	about := func(who ledger.Who, what ledger.Event) []Item {
		asked := ledger.Entry{Time: night, Who: "olga", What: request}
		return []Item{{Number: 17, Entry: entry(who, what), Request: &asked}}
	}
	lost := func(n int) (items []Item) {
		for i := range n {
			name := fmt.Sprintf("runs/%s/packs/%064x", runAt(night, 1), i)
			items = append(items, Item{Number: int64(17 + i), Entry: entry(ledger.Safe, ledger.LostOf(name, []safe.RunID{runAt(night, 1)}))})
		}
		return items
	}
	missed := func(n int) (items []Item) {
		for i := range n {
			raised := ledger.FindingRaised{Finding: "coverage.missing", Subject: ledger.TextOf(fmt.Sprintf("erp: host/h%d", i)), Text: "nobody has said what it takes to rebuild it"}
			items = append(items, Item{Number: int64(17 + i), Entry: entry(ledger.Safe, raised)})
		}
		return items
	}
	repaired := func(n int) (items []Item) {
		for i := range n {
			items = append(items, Item{Number: int64(17 + i), Entry: entry(ledger.Safe, ledger.ObjectRepaired{Name: fmt.Sprintf("ledger/entries/%d", i), How: ledger.FromCopy})})
		}
		return items
	}
	digest := safe.DigestOf([]byte("roster"))
	proposal := entry("karl", ledger.RosterProposed{Version: 3, Digest: digest, Previous: digest, Signed: signed, Changes: []ledger.Text{"adds mia, keykeeper"}})
	return map[string][]Item{
		"kept":        {{Number: 17, Entry: entry(ledger.Safe, kept), Snapshot: &description, Before: &before}},
		"kept-first":  {{Number: 17, Entry: entry(ledger.Safe, kept), Snapshot: &description}},
		"kept-partly": {{Number: 17, Entry: entry(ledger.Safe, partial), Snapshot: &description, Before: &before}},
		"failed":      {{Number: 17, Entry: entry(ledger.Safe, ledger.RunFailed{Run: runAt(night, 1), Source: "erp-db", Reason: "connecting to erp-app.acme.example:22: connection refused"}), Before: &before}},
		"finding":     one(entry(ledger.Safe, ledger.FindingRaised{Finding: "source.host_key_refused", Subject: "erp-files", Text: "the host shows the key SHA256:uNiVztksCsDhcc0u9e8BrDAQ1MYPD4PGQ0v0zOOWTBE"})),
		"hostile":     one(entry(ledger.Safe, ledger.FindingRaised{Finding: "source.collector_lied", Subject: evil, Text: evil})),
		"missed": {
			{Number: 17, Entry: entry(ledger.Safe, ledger.FindingRaised{Finding: "coverage.stale", Subject: "erp: database/erp", Text: "data: the newest snapshot of erp-db is older than was promised"})},
			{Number: 18, Entry: entry(ledger.Safe, ledger.FindingRaised{Finding: "coverage.missing", Subject: "erp: host/dns1", Text: "nobody has said what it takes to rebuild it"})},
			{Number: 19, Entry: entry(ledger.Safe, ledger.FindingRaised{Finding: "coverage.missing", Subject: "erp: host/db1", Text: evil})},
			{Number: 20, Entry: entry(ledger.Safe, ledger.FindingCleared{Entry: 4, Finding: "levels.rpo", Subject: "erp", Reason: "in the last 30 days the newest snapshot of erp-db was up to 25 hours old, and may be 26 hours"})},
		},
		"missed-one":   one(entry(ledger.Safe, ledger.FindingRaised{Finding: "coverage.missing", Subject: "erp: host/dns1", Text: "configuration: there is no complete snapshot of dns1-conf"})),
		"missed-many":  missed(30),
		"mended":       one(entry(ledger.Safe, ledger.FindingCleared{Entry: 4, Finding: "coverage.missing", Subject: "erp: host/dns1", Reason: "it is kept"})),
		"acknowledged": one(entry(ledger.Safe, ledger.FindingAcknowledged{Entry: 4, Finding: "coverage.missing", Subject: "erp: host/dns1", Until: night.AddDate(0, 1, 0), Reason: evil, Account: "ada"})),
		"lost":         lost(2),
		"lost-many":    lost(14),
		"repaired":     repaired(1),
		"scrub":        one(entry(ledger.Safe, ledger.ScrubDone{Objects: 4321, Bytes: 123_000_000_000, Damaged: 3, Left: 1})),
		"scrub-clean":  one(entry(ledger.Safe, ledger.ScrubDone{Objects: 4321, Bytes: 123_000_000_000, Damaged: 3})),
		"rebuilt":      one(entry(ledger.Safe, ledger.StateRebuilt{Entries: 438, Compared: 430})),
		"started":      one(entry(ledger.Safe, ledger.SafeStarted{Program: safe.DigestOf([]byte("program")), Unclean: true})),
		"access-refused": {
			{Number: 17, Entry: entry(ledger.Safe, ledger.AccessRefused{What: "gate", Reason: "no opening is open", From: netip.MustParseAddr("203.0.113.9"), Count: 214})},
			{Number: 18, Entry: entry("karl", ledger.AccessRefused{What: "opening.release", Reason: "an operator cannot release", From: netip.MustParseAddr("10.0.9.8"), Count: 1})},
		},
		"map-ruled": {
			{Number: 17, Entry: entry(ledger.Safe, ledger.MapRuled{Verdict: ledger.Rejected, From: "host/erp", To: "host/backup", Reason: "it pulls, and nothing waits for it", Account: "ada"})},
			{Number: 18, Entry: entry(ledger.Safe, ledger.MapRuled{Verdict: ledger.Added, From: "host/erp", To: "external/license.vendor.example", Need: "start", Reason: evil, Account: "ada"})},
		},
		"map-signed": one(entry("ana", ledger.MapRuled{Verdict: ledger.Confirmed, From: "host/erp", To: "service/dns", Need: "start", Reason: "seen at the drill", Signed: signed})),
		"map-both": {
			{Number: 17, Entry: entry(ledger.Safe, ledger.MapRuled{Verdict: ledger.Rejected, From: "host/erp", To: "host/backup", Reason: "it pulls", Account: "ada"})},
			{Number: 18, Entry: entry("ana", ledger.MapWithdrawn{Entry: 17, Reason: "it does wait", Signed: signed})},
		},
		"map-withdrawn": one(entry(ledger.Safe, ledger.MapWithdrawn{Entry: 12, Reason: "it does wait", Account: "bo"})),
		"map-answered":  one(entry(ledger.Safe, ledger.MapAnswered{From: "host/erp", To: "service/dns", Reason: "it has no names in files", Account: "bo"})),
		"roster-proposed": one(entry("karl", ledger.RosterProposed{Version: 3, Digest: digest, Previous: digest, Signed: signed,
			Changes: []ledger.Text{"petra becomes keykeeper", "karl gets the SSH key SHA256:uNiVztksCsDhcc0u9e8BrDAQ1MYPD4PGQ0v0zOOWTBE"}})),
		"roster-agreed":      one(entry("olga", ledger.RosterAgreed{Version: 3, Digest: digest, Signed: signed, Ready: night.Add(24 * time.Hour)})),
		"roster-objected":    one(entry("olga", ledger.RosterObjected{Version: 3, Digest: digest, Signed: signed, Reason: "I know no petra"})),
		"roster-dropped":     one(entry(ledger.Safe, ledger.RosterDropped{Version: 3, Digest: digest, Reason: "another version was agreed before it"})),
		"roster-changed":     {{Number: 17, Entry: entry(ledger.Safe, ledger.RosterChanged{Version: 3, Digest: digest}), Proposal: &proposal}},
		"person-invited":     one(entry(ledger.Safe, ledger.PersonInvited{Person: "petra", Role: "keykeeper", Until: night.Add(30 * time.Minute)})),
		"enrolment-received": one(entry(ledger.Safe, ledger.EnrolmentReceived{Person: "petra", Digest: digest, From: netip.MustParseAddr("10.0.8.5")})),
		"finding-nobody":     one(entry(ledger.Safe, ledger.FindingRaised{Finding: "people.nobody", Subject: "keykeeper", Text: "nobody can release what was stored: olga is suspended"})),
		"person-suspended":   one(entry("karl", ledger.PersonSuspended{Person: "olga", Reason: "laptop stolen", Signed: signed})),
		"key-checked":        one(entry("karl", ledger.KeyChecked{Role: "outer", Period: 2, Paper: true})),
		"opening-requested":  one(entry("olga", request)),
		"opening-twice":      one(entry("olga", twice)),
		"opening-released":   about("karl", ledger.OpeningReleased{Opening: opening, Runs: 91, Release: digest, Until: night.Add(4 * time.Hour)}),
		"opening-opened":     about(ledger.Safe, ledger.OpeningOpened{Opening: opening, Listen: netip.MustParseAddrPort("10.0.9.2:2222"), Until: night.Add(4 * time.Hour)}),
		"opening-refused":    about("karl", ledger.OpeningRefused{Opening: opening, Reason: "olga knows nothing of it", Signed: signed}),
		"opening-withdrawn":  about("olga", ledger.OpeningWithdrawn{Opening: opening, Reason: "found it elsewhere", Signed: signed}),
		"opening-expired":    one(entry(ledger.Safe, ledger.OpeningExpired{Opening: opening, Reason: "nobody answered"})),
		"opening-closed":     about(ledger.Safe, ledger.OpeningClosed{Opening: opening, Cause: "its time is over", Sessions: 2, Objects: 1312, Bytes: 40_100_000_000}),
		"opening-shut":       about("olga", ledger.OpeningClosed{Opening: opening, Sessions: 1, Objects: 12, Bytes: 7_100_000, Signed: signed}),
		"opening-lost":       about(ledger.Safe, ledger.OpeningClosed{Opening: opening, Cause: "the safe crashed", Unknown: true}),
		"record-accepted": one(entry("olga", ledger.RecordAccepted{Opening: opening, Application: "erp", Started: night.Add(-2 * time.Hour), Ended: night, Signed: signed,
			Snapshots: []ledger.SnapshotRestored{{Run: runAt(night, 1), Source: "erp-db", Right: true}}})),
		"record-wrong": one(entry("olga", ledger.RecordAccepted{Account: "ada", Started: night.Add(-2 * time.Hour), Ended: night, Signed: signed,
			Snapshots: []ledger.SnapshotRestored{{Run: runAt(night, 1), Source: "erp-db", Right: true}, {Run: runAt(night, 2), Source: "erp-files"}}})),
		"record-refused": {
			{Number: 17, Entry: entry(ledger.Safe, ledger.RecordRefused{Opening: opening, Name: "rehearsal.json", Digest: digest, Reason: "it is not signed by the person whom it names"})},
			{Number: 18, Entry: entry(ledger.Safe, ledger.RecordRefused{Opening: opening, Name: evil, Digest: digest, Reason: evil})},
		},
	}
}

func TestGoldenMails(t *testing.T) {
	p := proofOf(t, 13, 40)
	for name, items := range mails() {
		t.Run(name, func(t *testing.T) {
			m, err := Compose(testSafe(), items, p)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, name, m)
			checkHarmless(t, m)
		})
	}
	t.Run("test", func(t *testing.T) {
		m, err := Test(testSafe(), night, proofOf(t, 0, 40))
		if err != nil {
			t.Fatal(err)
		}
		golden(t, "test", m)
	})
	t.Run("summary", func(t *testing.T) {
		all := mails()
		var groups [][]Item
		for _, name := range []string{"kept", "failed", "finding", "hostile", "repaired", "roster-proposed", "opening-requested", "opening-closed"} {
			groups = append(groups, all[name])
		}
		m, err := Summarize(testSafe(), groups, p)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, "summary", m)
		checkHarmless(t, m)
	})
}

func golden(t *testing.T, name string, m Message) {
	t.Helper()
	if *show != "" {
		if err := os.WriteFile(filepath.Join(*show, name+".html"), []byte(m.HTML), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join("testdata", name+".txt")
	got := "Subject: " + m.Subject + "\n\n" + m.Text
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; -update writes it anew):\n%s", file, diff)
	}
}

// links are to a page of the safe, in both forms of a mail.
var links = regexp.MustCompile(`(?m)^https://safe\.acme\.example:8443/[a-z]+(/[a-z0-9-]+)?$|<a href="(https://safe\.acme\.example:8443/[a-z]+(?:/[a-z0-9-]+)?)">([^<>]+)</a>`)

// checkHarmless looks for what a mail program would obey, fetch or follow,
// beside one link to the safe itself.
func checkHarmless(t *testing.T, m Message) {
	t.Helper()
	for _, form := range []*string{&m.Text, &m.HTML} {
		found := links.FindAllStringSubmatch(*form, -1)
		if len(found) > 1 || len(found) == 1 && found[0][2] != found[0][3] {
			t.Errorf("the links are %q", found)
		}
		*form = links.ReplaceAllString(*form, "")
	}
	if strings.ContainsAny(m.Subject, "\r\n\u200b\u202e") || len(m.Subject) > 250 {
		t.Errorf("the subject is %q", m.Subject)
	}
	if strings.ContainsAny(m.Text, "\r\u200b\u202e") || strings.Contains(m.Text, "://") || strings.Contains(m.Text, "www.") {
		t.Errorf("the text has what it must not have:\n%s", m.Text)
	}
	body := m.HTML[strings.Index(m.HTML, "<body>"):]
	for _, never := range []string{"<script", "<img", "<a ", "href", "src=", "://", "url(", "@import", "onload", "\u202e", "\u200b", "ZgotmplZ"} {
		if strings.Contains(body, never) || strings.Contains(m.HTML, "<link") {
			t.Errorf("the HTML has %q:\n%s", never, body)
		}
	}
}

// Every kind of the ledger either has a mail or is known not to have one, so
// that a new kind is not forgotten here.
func TestEveryKindIsDecidedAbout(t *testing.T) {
	told := make(map[ledger.Kind]bool)
	for _, items := range mails() {
		what := items[0].Entry.What
		told[what.Kind()] = true
		if !Deserves(what) {
			t.Errorf("%s has a golden mail and does not deserve one", what.Kind())
		}
	}
	silent := map[ledger.Kind]bool{
		ledger.SafeCreated{}.Kind(): true, ledger.RunBegun{}.Kind(): true, ledger.MemoryForgotten{}.Kind(): true,
		ledger.KeepExtended{}.Kind(): true, ledger.SafeStopped{}.Kind(): true, ledger.KeyringKept{}.Kind(): true,
		ledger.RecordReceived{}.Kind(): true,
	}
	for _, kind := range kindsOfLedger(t) {
		if told[kind] == silent[kind] {
			t.Errorf("%s: told of: %v, passed over: %v", kind, told[kind], silent[kind])
		}
	}
	for _, what := range []ledger.Event{ledger.ScrubDone{Objects: 1}, ledger.SafeStarted{}, ledger.RunBegun{}} {
		if Deserves(what) {
			t.Errorf("%+v deserves a mail", what)
		}
	}
}

// kindsOfLedger reads the closed list from where it is written.
func kindsOfLedger(t *testing.T) (kinds []ledger.Kind) {
	t.Helper()
	for _, file := range []string{"kind.go", "people.go"} {
		b, err := os.ReadFile(filepath.Join("../../ledger", file))
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range regexp.MustCompile(`Kind\(\) Kind +\{ return "([a-z.]+)" \}`).FindAllSubmatch(b, -1) {
			kinds = append(kinds, ledger.Kind(found[1]))
		}
	}
	if len(kinds) < 25 {
		t.Fatalf("only found the kinds %v", kinds)
	}
	return kinds
}

// A summary of very many events lists the newest of them.
func TestSummaryIsBounded(t *testing.T) {
	var groups [][]Item
	for i := range 1000 {
		failed := ledger.RunFailed{Run: runAt(night, 1), Source: "erp-db"}
		groups = append(groups, []Item{{Number: int64(i), Entry: ledger.Entry{Time: night.Add(time.Duration(i) * time.Hour), Who: ledger.Safe, What: failed}}})
	}
	m, err := Summarize(testSafe(), groups, proofOf(t, 0, 10))
	if err != nil {
		t.Fatal(err)
	}
	if m.Subject != "[acme] 1,000 events that you were not told of" || !strings.Contains(m.Text, "800 older ones") || !strings.Contains(m.Text, "entries 0 to 999") {
		t.Errorf("got %s\n%.2000s", m.Subject, m.Text)
	}
	if len(m.HTML) > 100_000 {
		t.Errorf("the HTML has %d bytes", len(m.HTML))
	}
}

func TestCheckpointOfASavedText(t *testing.T) {
	p := proofOf(t, 3, 7)
	m, err := Compose(testSafe(), mails()["kept"], p)
	if err != nil {
		t.Fatal(err)
	}
	for name, saved := range map[string]string{
		"text":                    m.Text,
		"with other line breaks":  strings.ReplaceAll(m.Text, "\n", "\r\n"),
		"with what a reader adds": "From: somebody\n\n> hello\n" + m.Text,
	} {
		got, err := Checkpoint([]byte(saved))
		if err != nil || !bytes.Equal(got, p.Checkpoint) {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
		proof, err := ConsistencyProof([]byte(saved))
		if err != nil || !bytes.Equal(proof, p.Consistency.Encode()) {
			t.Errorf("%s: got %q, %v", name, proof, err)
		}
	}
	for _, none := range []string{"", "hello", checkpointBegin + "\n", checkpointBegin + "\n" + checkpointEnd, "From: a\nContent-Type: multipart/mixed; boundary=x\n\n--x\n"} {
		if got, err := Checkpoint([]byte(none)); err != ErrNoCheckpoint {
			t.Errorf("%q has the checkpoint %q, %v", none, got, err)
		}
	}
}

func FuzzCheckpoint(f *testing.F) {
	f.Add([]byte(checkpointBegin + "\nx\n" + checkpointEnd))
	f.Add([]byte("Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\n" + checkpointBegin + "\nx=3D\n" + checkpointEnd + "\n--x--\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := Checkpoint(b)
		if (err == nil) == (len(got) == 0) {
			t.Errorf("got %q, %v", got, err)
		}
		if bytes.Contains(got, []byte(checkpointEnd)) {
			t.Errorf("the block does not end: %q", got)
		}
	})
}
