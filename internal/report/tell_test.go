package report_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/ledger"
	"strongroom/internal/report"
	"strongroom/internal/safe"
)

func TestTell(t *testing.T) {
	run, id, digest := safe.NewRunID(now), safe.NewOpeningID(now), safe.Digest{7}
	from := netip.MustParseAddr("10.0.9.7")
	until := now.Add(4 * time.Hour)
	restored := []ledger.SnapshotRestored{{Run: run, Source: "erp-db", Right: true}}
	kept := ledger.SnapshotKept{Run: run, Source: "erp-db", Tier: safe.Daily, KeepUntil: until, Bytes: 41_200_000_000, NewBytes: 1_100_000_000}
	warned, partial := kept, kept
	warned.Warnings = 1
	partial.Partial, partial.Tier, partial.Reason = true, safe.Broken, "stopped after 8 h, as configured"
	asks := ledger.OpeningRequested{Opening: id, Address: from, Hours: 4, Reason: "drill", Until: until,
		Snapshots: []ledger.SnapshotNamed{{Run: run, Source: "erp-db"}, {Run: run, Source: "erp-files"}, {Run: run, Source: "erp-db"}, {Run: run, Source: "mail"}}}

	tests := []struct {
		who  ledger.Who
		what ledger.Event
		want report.Told
	}{
		{"safe", ledger.SafeCreated{Name: "acme"}, report.Told{Level: report.OK, What: "the safe acme was made", Detail: "store 00000000000000000000000000000000"}},
		{"safe", ledger.RunBegun{Run: run, Source: "erp-db"}, report.Told{Level: report.OK, What: "the collection of erp-db began", Source: "erp-db"}},
		{"safe", kept, report.Told{Level: report.OK, What: "erp-db kept: 41.2 GB, 1.1 GB new", Source: "erp-db"}},
		{"safe", warned, report.Told{Level: report.OK, What: "erp-db kept: 41.2 GB, 1.1 GB new", Detail: "1 warning", Source: "erp-db"}},
		{"safe", partial, report.Told{Level: report.Look, What: "erp-db kept in part: 41.2 GB, 1.1 GB new", Detail: "stopped after 8 h, as configured", Source: "erp-db"}},
		{"safe", ledger.RunFailed{Run: run, Source: "erp-db", Reason: "connection refused"},
			report.Told{Level: report.Alarm, What: "erp-db failed: nothing was kept", Detail: "connection refused", Source: "erp-db"}},
		{"safe", ledger.MemoryForgotten{Source: "erp-db", Reason: "asked for"}, report.Told{Level: report.OK, What: "what the safe remembered of erp-db is forgotten", Detail: "asked for", Source: "erp-db"}},
		{"safe", ledger.KeepExtended{Run: run, Until: until}, report.Told{Level: report.OK, What: "a snapshot is kept longer", Detail: "run " + run.String()}},
		{"safe", ledger.ObjectRepaired{Name: "a/b", How: ledger.FromParity}, report.Told{Level: report.Look, What: "a damaged object of the store was repaired", Detail: "a/b, made again from parity"}},
		{"safe", ledger.ObjectLost{Name: "a/b", Snapshots: []safe.RunID{run}, More: 3}, report.Told{Level: report.Alarm, What: "an object of the store is lost", Detail: "a/b, needed by 4 snapshots"}},
		{"safe", ledger.ScrubDone{Objects: 4321, Bytes: 123_000_000_000}, report.Told{Level: report.OK, What: "scrub: nothing is damaged", Detail: "123 GB in 4,321 objects were read"}},
		{"safe", ledger.ScrubDone{Objects: 1, Damaged: 1}, report.Told{Level: report.Look, What: "scrub: 1 object damaged, all repaired", Detail: "0 B in 1 object were read"}},
		{"safe", ledger.ScrubDone{Objects: 9, Damaged: 3, Left: 2}, report.Told{Level: report.Alarm, What: "scrub: 3 objects damaged, 2 left", Detail: "0 B in 9 objects were read"}},
		{"safe", ledger.FindingRaised{Finding: "mail.refused", Subject: "ada@acme.example", Text: "550 no such user"},
			report.Told{Level: report.Alarm, What: "finding mail.refused in ada@acme.example", Detail: "550 no such user"}},
		{"safe", ledger.StateRebuilt{Entries: 438}, report.Told{Level: report.Alarm, What: "the safe's state was lost, and made anew from its store", Detail: "438 entries of the ledger were given back"}},
		{"safe", ledger.MapRuled{Verdict: ledger.Added, From: "host/erp", To: "service/dns", Need: "start", Reason: "drill", Account: "ada"},
			report.Told{Level: report.OK, What: "host/erp needs service/dns (start), as people say", Detail: "by the account ada: drill"}},
		{"safe", ledger.MapRuled{Verdict: ledger.Rejected, From: "host/erp", To: "service/dns", Reason: "no", Account: "ada"},
			report.Told{Level: report.Look, What: "host/erp does not need service/dns, as people say", Detail: "by the account ada: no"}},
		{"safe", ledger.FindingRaised{Finding: "coverage.missing", Subject: "erp: host/dns1", Text: "data: gone"},
			report.Told{Level: report.Alarm, What: "erp needs host/dns1, and the safe misses something of it", Detail: "data: gone"}},
		{"safe", ledger.FindingRaised{Finding: "levels.rpo", Subject: "erp", Text: "old"},
			report.Told{Level: report.Look, What: "erp: snapshots were older than was promised", Detail: "old"}},
		{"safe", ledger.FindingCleared{Entry: 7, Finding: "coverage.missing", Subject: "erp: host/dns1", Reason: "it is kept"},
			report.Told{Level: report.OK, What: "mended: coverage.missing in erp: host/dns1", Detail: "it is kept"}},
		{"safe", ledger.FindingAcknowledged{Entry: 7, Finding: "store.unknown", Subject: "notes", Until: time.Date(2026, 12, 30, 12, 0, 0, 0, time.UTC), Reason: "ours", Account: "ada"},
			report.Told{Level: report.Look, What: "finding 7 is acknowledged until 2026-12-30: store.unknown in notes", Detail: "by the account ada: ours"}},
		{"safe", ledger.MapWithdrawn{Entry: 7, Reason: "wrong", Account: "bo"},
			report.Told{Level: report.Look, What: "what entry 7 says of the map is withdrawn", Detail: "by the account bo: wrong"}},
		{"safe", ledger.MapAnswered{From: "host/erp", To: "service/dns", Reason: "no names", Account: "bo"},
			report.Told{Level: report.OK, What: "host/erp may not start without service/dns, as people say", Detail: "by the account bo: no names"}},
		{"ana", ledger.MapRuled{Verdict: ledger.Rejected, From: "host/erp", To: "service/dns", Reason: "no", Signed: ledger.Signed{Statement: "x", Signature: "eA=="}},
			report.Told{Level: report.Look, What: "host/erp does not need service/dns, as people say", Detail: "by ana: no"}},
		{"ana", ledger.MapWithdrawn{Entry: 7, Reason: "wrong", Signed: ledger.Signed{Statement: "x", Signature: "eA=="}},
			report.Told{Level: report.Look, What: "what entry 7 says of the map is withdrawn", Detail: "by ana: wrong"}},
		{"safe", ledger.SafeStarted{}, report.Told{Level: report.OK, What: "the safe began to serve people", Detail: "program SHA-256 " + strings.Repeat("0", 64)}},
		{"safe", ledger.SafeStarted{Pages: safe.Digest{0xff}}, report.Told{Level: report.OK, What: "the safe began to serve people",
			Detail: "program SHA-256 " + strings.Repeat("0", 64) + ", scripts of its pages SHA-256 ff" + strings.Repeat("0", 62)}},
		{"safe", ledger.SafeStarted{Unclean: true}, report.Told{Level: report.Look, What: "the safe started again after a crash", Detail: "program SHA-256 " + strings.Repeat("0", 64)}},
		{"safe", ledger.SafeStopped{}, report.Told{Level: report.OK, What: "the safe ceased to serve people"}},
		{"safe", ledger.AccessRefused{What: "gate", Reason: "no opening is open", From: from, Count: 214}, report.Told{Level: report.Look, What: "214 attempts were refused", Detail: "gate from 10.0.9.7: no opening is open"}},
		{"safe", ledger.AccessRefused{What: "many", Reason: "too many", Count: 1}, report.Told{Level: report.Look, What: "1 attempt was refused", Detail: "many: too many"}},

		{"ada", ledger.RosterProposed{Version: 3, Digest: digest, Changes: []ledger.Text{"adds mia", "removes bob"}}, report.Told{Level: report.Look, What: "ada proposes roster 3", Detail: "adds mia; removes bob"}},
		{ledger.Papers, ledger.RosterProposed{Version: 3, Digest: digest}, report.Told{Level: report.Look, What: "somebody with both role keys on paper proposes roster 3"}},
		{"bob", ledger.RosterAgreed{Version: 3, Digest: digest}, report.Told{Level: report.OK, What: "bob agrees with roster 3"}},
		{"bob", ledger.RosterObjected{Version: 3, Digest: digest, Reason: "no"}, report.Told{Level: report.Alarm, What: "bob objects to roster 3", Detail: "no"}},
		{"safe", ledger.RosterDropped{Version: 3, Digest: digest, Reason: "too late"}, report.Told{Level: report.OK, What: "roster 3 is dropped", Detail: "too late"}},
		{"safe", ledger.RosterChanged{Version: 3, Digest: digest}, report.Told{Level: report.OK, What: "roster 3 is in force"}},
		{"safe", ledger.PersonInvited{Person: "mia", Role: "keykeeper", Until: until}, report.Told{Level: report.OK, What: "mia is invited as keykeeper"}},
		{"mia", ledger.EnrolmentReceived{Person: "mia", Digest: digest, From: from}, report.Told{Level: report.OK, What: "mia sent their keys", Detail: "from 10.0.9.7"}},
		{"ada", ledger.PersonSuspended{Person: "bob", Reason: "laptop stolen"}, report.Told{Level: report.Alarm, What: "ada suspended bob", Detail: "laptop stolen"}},
		{"ada", ledger.PersonSuspended{Person: "bob", Key: "SHA256:x", Reason: "laptop stolen"}, report.Told{Level: report.Alarm, What: "ada suspended a key of bob", Detail: "laptop stolen"}},
		{"ada", ledger.KeyChecked{Role: "outer", Period: 2}, report.Told{Level: report.OK, What: "ada proved the outer key of period 2"}},
		{"ada", ledger.KeyChecked{Role: "outer", Period: 2, Paper: true}, report.Told{Level: report.OK, What: "ada proved the outer key of period 2", Detail: "typed in from paper"}},
		{"ada", ledger.KeyringKept{Person: "ada"}, report.Told{Level: report.OK, What: "the safe keeps a new keyring of ada", Detail: "keys that only their passkey opens"}},

		{"bob", asks, report.Told{Level: report.Look, What: "bob asks to read erp-db and 2 other sources", Detail: "from 10.0.9.7, for 4 hours: drill", Opening: id}},
		{"ada", ledger.OpeningReleased{Opening: id, Runs: 1, Until: until}, report.Told{Level: report.OK, What: "ada released an opening", Detail: "the outer seal of 1 run was opened", Opening: id}},
		{"safe", ledger.OpeningOpened{Opening: id, Listen: netip.AddrPortFrom(from, 2222), Until: until}, report.Told{Level: report.OK, What: "the gate is open", Detail: "it listens at 10.0.9.7:2222", Opening: id}},
		{"ada", ledger.OpeningRefused{Opening: id, Reason: "not now"}, report.Told{Level: report.OK, What: "ada refused an opening", Detail: "not now", Opening: id}},
		{"bob", ledger.OpeningWithdrawn{Opening: id}, report.Told{Level: report.OK, What: "the request for an opening was withdrawn", Opening: id}},
		{"safe", ledger.OpeningExpired{Opening: id, Reason: "nobody answered"}, report.Told{Level: report.OK, What: "the request for an opening expired", Detail: "nobody answered", Opening: id}},
		{"safe", ledger.OpeningClosed{Opening: id, Cause: "its time is over", Bytes: 7_100_000}, report.Told{Level: report.OK, What: "the opening is closed: 7.1 MB was read", Detail: "its time is over", Opening: id}},
		{"safe", ledger.OpeningClosed{Opening: id, Unknown: true}, report.Told{Level: report.Alarm, What: "the opening is closed; what was read is not known", Opening: id}},
		{"safe", ledger.RecordReceived{Opening: id, Name: "rehearsal.json", Size: 12_000}, report.Told{Level: report.OK, What: "a record came back", Detail: "rehearsal.json, 12.0 kB", Opening: id}},
		{"safe", ledger.RecordRefused{Opening: id, Name: "rehearsal.json", Reason: "it is none"}, report.Told{Level: report.Look, What: "a record is refused", Detail: "rehearsal.json: it is none", Opening: id}},
		{"bob", ledger.RecordAccepted{Opening: id, Application: "erp", Started: until, Ended: until.Add(2 * time.Hour), Snapshots: restored},
			report.Told{Level: report.OK, What: "bob restored erp-db, and found it right", Detail: "all of erp, in 2 h", Opening: id}},
		{"bob", ledger.RecordAccepted{Account: "root", Started: until, Ended: until.Add(time.Minute), Snapshots: append(restored, ledger.SnapshotRestored{Source: "files"})},
			report.Told{Level: report.Look, What: "bob restored erp-db and files, and found it wrong in files", Detail: "in 60 s"}},
	}
	told := make(map[ledger.Kind]bool)
	for _, tt := range tests {
		told[tt.what.Kind()] = true
		if diff := cmp.Diff(tt.want, report.Tell(ledger.Entry{Who: tt.who, What: tt.what})); diff != "" {
			t.Errorf("%s, want - got +:\n%s", tt.what.Kind(), diff)
		}
	}
	for _, kind := range kindsOfLedger(t) {
		if !told[kind] {
			t.Errorf("nobody knows how %s is told", kind)
		}
	}
}

// kindsOfLedger reads the closed list from where it is written.
func kindsOfLedger(t *testing.T) (kinds []ledger.Kind) {
	t.Helper()
	files, err := filepath.Glob("../ledger/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
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

// TestTellHidesNothing sees that what a hostile host has said stays on its line
// and shows all that is in it.
func TestTellHidesNothing(t *testing.T) {
	evil := ledger.TextOf("erp\u200b\n" + strings.Repeat("é", 100))
	told := report.Tell(ledger.Entry{Who: "safe", What: ledger.FindingRaised{Finding: "a", Subject: evil, Text: evil}})
	if want := "finding a in erp\\u200b " + strings.Repeat("é", 26) + "…"; told.What != want {
		t.Errorf("got %q, want %q", told.What, want)
	}
	if strings.ContainsAny(told.What+told.Detail, "\n\u200b") {
		t.Errorf("got %q, %q", told.What, told.Detail)
	}
}
