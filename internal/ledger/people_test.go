package ledger_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"strongroom/internal/ledger"
	"strongroom/internal/safe"
)

// peopleGoldens has every kind of what people did once, with and without what
// may be left out. They stand apart from goldens, whose checkpoint is golden as
// well.
func peopleGoldens(t testing.TB) []golden {
	t.Helper()
	opening := safe.OpeningID(runID(t, "019aa3f1-7c00-7abc-8def-0123456789ab"))
	run := runID(t, "01989a2b-3c00-7abc-8def-0123456789ab")
	digest, previous := safe.DigestOf([]byte("digest")), safe.DigestOf([]byte("root"))
	began := time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)
	until := time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC)
	from := netip.MustParseAddr("192.0.2.7")
	signed := ledger.Signed{Statement: "{\"v\":1}\n", Signature: "U1NIU0lH"}
	byPasskey := ledger.Signed{Statement: "{\"v\":1}\n", Signature: "strongroom-passkey-v1 AQ AgM BAUG _w"}
	const (
		id         = `"opening":"019aa3f1-7c00-7abc-8def-0123456789ab"`
		digestText = "0bf474896363505e5ea5e5d6ace8ebfb13a760a409b1fb467d428fc716f9f284"
		rootText   = "4813494d137e1631bba301d5acab6e7bb7aa74ce1185d456565ef51d737677b2"
		signedText = `"signed":{"statement":"{\"v\":1}\n","signature":"U1NIU0lH"}`
	)
	line := func(kind, what string) string { return `"kind":"` + kind + `","who":"safe","what":{` + what + `}}` }
	return []golden{
		{ledger.MapRuled{Verdict: ledger.Confirmed, From: "host/erp", To: "service/dns", Need: "start", Reason: "seen at the drill", Account: "ada"},
			`"kind":"map.ruled","who":"safe","what":{"verdict":"confirmed","from":"host/erp","to":"service/dns","need":"start","reason":"seen at the drill","account":"ada"}}`},
		{ledger.MapRuled{Verdict: ledger.Rejected, From: "host/erp", To: "host/backup", Reason: "it pulls", Account: "ada"},
			`"kind":"map.ruled","who":"safe","what":{"verdict":"rejected","from":"host/erp","to":"host/backup","need":"","reason":"it pulls","account":"ada"}}`},
		{ledger.MapWithdrawn{Entry: 7, Reason: "it was wrong", Account: "bo"},
			`"kind":"map.withdrawn","who":"safe","what":{"entry":7,"reason":"it was wrong","account":"bo"}}`},
		{ledger.MapAnswered{From: "host/erp", To: "service/dns", May: true, Reason: "names are in its files", Account: "ada"},
			`"kind":"map.answered","who":"safe","what":{"from":"host/erp","to":"service/dns","may":true,"reason":"names are in its files","account":"ada"}}`},
		{ledger.MapRuled{Verdict: ledger.Added, From: "host/erp", To: "service/dns", Need: "start", Reason: "seen at the drill", Signed: byPasskey},
			line("map.ruled", `"verdict":"added","from":"host/erp","to":"service/dns","need":"start","reason":"seen at the drill","signed":{"statement":"{\"v\":1}\n","signature":"strongroom-passkey-v1 AQ AgM BAUG _w"}`)},
		{ledger.MapWithdrawn{Entry: 7, Reason: "it was wrong", Signed: signed}, line("map.withdrawn", `"entry":7,"reason":"it was wrong",`+signedText)},
		{ledger.FindingCleared{Entry: 7, Finding: "coverage.missing", Subject: "erp: host/db1", Reason: "it is held"},
			line("finding.cleared", `"entry":7,"kind":"coverage.missing","subject":"erp: host/db1","reason":"it is held"`)},
		{ledger.FindingAcknowledged{Entry: 7, Finding: "store.unknown", Subject: "notes", Until: until, Reason: "ours", Account: "ada"},
			line("finding.acknowledged", `"entry":7,"kind":"store.unknown","subject":"notes","until":"2026-11-22T02:00:00Z","reason":"ours","account":"ada"`)},
		{ledger.StateRebuilt{Entries: 438}, line("state.rebuilt", `"entries":438`)},
		{ledger.StateRebuilt{Entries: 438, Compared: 437}, line("state.rebuilt", `"entries":438,"compared":437`)},
		{ledger.SafeStarted{Program: digest}, line("safe.started", `"program":"`+digestText+`"`)},
		{ledger.SafeStarted{Program: digest, Pages: digest}, line("safe.started", `"program":"`+digestText+`","pages":"`+digestText+`"`)},
		{ledger.SafeStarted{Program: digest, Unclean: true}, line("safe.started", `"program":"`+digestText+`","unclean":true`)},
		{ledger.SafeStopped{}, line("safe.stopped", ``)},
		{ledger.RosterProposed{Version: 3, Digest: digest, Previous: previous, Changes: []ledger.Text{"adds mia, keykeeper"}, Signed: signed},
			line("roster.proposed", `"version":3,"digest":"`+digestText+`","previous":"`+rootText+`","changes":["adds mia, keykeeper"],`+signedText)},
		{ledger.RosterProposed{Version: 3, Digest: digest, Previous: previous, Changes: []ledger.Text{}},
			line("roster.proposed", `"version":3,"digest":"`+digestText+`","previous":"`+rootText+`","changes":[]`)},
		{ledger.RosterAgreed{Version: 3, Digest: digest, Signed: signed, Ready: until},
			line("roster.agreed", `"version":3,"digest":"`+digestText+`",`+signedText+`,"ready":"2026-11-22T02:00:00Z"`)},
		{ledger.RosterAgreed{Version: 3, Digest: digest}, line("roster.agreed", `"version":3,"digest":"`+digestText+`"`)},
		{ledger.RosterObjected{Version: 3, Digest: digest, Reason: "who is mia?", Signed: signed},
			line("roster.objected", `"version":3,"digest":"`+digestText+`","reason":"who is mia?",`+signedText)},
		{ledger.RosterDropped{Version: 3, Digest: digest, Reason: "too late"},
			line("roster.dropped", `"version":3,"digest":"`+digestText+`","reason":"too late"`)},
		{ledger.PersonInvited{Person: "mia", Role: "auditor, keykeeper", Until: until},
			line("person.invited", `"person":"mia","role":"auditor, keykeeper","until":"2026-11-22T02:00:00Z"`)},
		{ledger.EnrolmentReceived{Person: "mia", Digest: digest, From: from},
			line("enrolment.received", `"person":"mia","digest":"`+digestText+`","from":"192.0.2.7"`)},
		{ledger.PersonSuspended{Person: "mia", Reason: "laptop lost", Signed: signed},
			line("person.suspended", `"person":"mia","reason":"laptop lost",`+signedText)},
		{ledger.PersonSuspended{Person: "mia", Key: "SHA256:abc", Reason: "laptop lost", Signed: signed},
			line("person.suspended", `"person":"mia","key":"SHA256:abc","reason":"laptop lost",`+signedText)},
		{ledger.PersonSuspended{Person: "mia", Key: "SHA256:abc", Reason: "phone lost", Signed: byPasskey},
			line("person.suspended", `"person":"mia","key":"SHA256:abc","reason":"phone lost","signed":{"statement":"{\"v\":1}\n","signature":"strongroom-passkey-v1 AQ AgM BAUG _w"}`)},
		{ledger.KeyChecked{Role: "outer", Period: 1, Paper: true}, line("key.checked", `"role":"outer","period":1,"paper":true`)},
		{ledger.KeyringKept{Person: "mia", Digest: digest}, line("keyring.kept", `"person":"mia","digest":"`+digestText+`"`)},
		{ledger.OpeningRequested{Opening: opening, Address: from, Snapshots: []ledger.SnapshotNamed{{Run: run, Source: "erp-db"}}, Hours: 4, Reason: "disk gone", Until: until, Signed: signed},
			line("opening.requested", id+`,"address":"192.0.2.7","snapshots":[{"run":"01989a2b-3c00-7abc-8def-0123456789ab","source":"erp-db"}],"hours":4,"reason":"disk gone","until":"2026-11-22T02:00:00Z",`+signedText)},
		{ledger.OpeningReleased{Opening: opening, Runs: 91, Release: digest, Until: until},
			line("opening.released", id+`,"runs":91,"release":"`+digestText+`","until":"2026-11-22T02:00:00Z"`)},
		{ledger.OpeningOpened{Opening: opening, Listen: netip.MustParseAddrPort("192.0.2.1:2222"), Until: until},
			line("opening.opened", id+`,"listen":"192.0.2.1:2222","until":"2026-11-22T02:00:00Z"`)},
		{ledger.OpeningRefused{Opening: opening, Reason: "not today", Signed: signed}, line("opening.refused", id+`,"reason":"not today",`+signedText)},
		{ledger.OpeningWithdrawn{Opening: opening, Reason: "found it", Signed: signed}, line("opening.withdrawn", id+`,"reason":"found it",`+signedText)},
		{ledger.OpeningExpired{Opening: opening, Reason: "nobody answered"}, line("opening.expired", id+`,"reason":"nobody answered"`)},
		{ledger.OpeningClosed{Opening: opening, Cause: "its time is over", Sessions: 1, Objects: 2, Bytes: 3},
			line("opening.closed", id+`,"cause":"its time is over","sessions":1,"objects":2,"bytes":3`)},
		{ledger.OpeningClosed{Opening: opening, Cause: "done", Unknown: true, Signed: signed},
			line("opening.closed", id+`,"cause":"done","sessions":0,"objects":0,"bytes":0,"unknown":true,`+signedText)},
		{ledger.RecordReceived{Opening: opening, Name: "rehearsal.json", Digest: digest, Size: 3},
			line("record.received", id+`,"name":"rehearsal.json","digest":"`+digestText+`","size":3`)},
		{ledger.RecordAccepted{Opening: opening, Application: "erp", Started: began, Ended: until, Snapshots: []ledger.SnapshotRestored{{Run: run, Source: "erp-db", Right: true}}, Signed: signed},
			line("record.accepted", id+`,"application":"erp","started":"2026-11-21T02:00:00Z","ended":"2026-11-22T02:00:00Z","snapshots":[{"run":"01989a2b-3c00-7abc-8def-0123456789ab","source":"erp-db","right":true}],`+signedText)},
		{ledger.RecordAccepted{Account: "ada", Started: began, Ended: began, Snapshots: []ledger.SnapshotRestored{{Run: run, Source: "erp-db"}}, Signed: signed},
			line("record.accepted", `"account":"ada","started":"2026-11-21T02:00:00Z","ended":"2026-11-21T02:00:00Z","snapshots":[{"run":"01989a2b-3c00-7abc-8def-0123456789ab","source":"erp-db","right":false}],`+signedText)},
		{ledger.RecordRefused{Opening: opening, Name: "rehearsal.json", Digest: digest, Reason: "it is none"},
			line("record.refused", id+`,"name":"rehearsal.json","digest":"`+digestText+`","reason":"it is none"`)},
		{ledger.AccessRefused{What: "gate", Reason: "another address", From: from, Count: 2},
			line("access.refused", `"what":"gate","reason":"another address","from":"192.0.2.7","count":2`)},
		{ledger.AccessRefused{What: "many", Reason: "more", Count: 7}, line("access.refused", `"what":"many","reason":"more","count":7`)},
	}
}

func TestEncodeRefusesWhatPeopleCannotHaveDone(t *testing.T) {
	opening := safe.NewOpeningID(testTime)
	digest := safe.DigestOf(nil)
	from := netip.MustParseAddr("192.0.2.7")
	signed := ledger.Signed{Statement: "x", Signature: "eA=="}
	named := []ledger.SnapshotNamed{{Run: safe.NewRunID(testTime), Source: "a"}}
	request := ledger.OpeningRequested{Opening: opening, Address: from, Snapshots: named, Hours: 4, Until: testTime, Signed: signed}
	changed := func(change func(*ledger.OpeningRequested)) ledger.OpeningRequested {
		r := request
		change(&r)
		return r
	}
	recorded := func(change func(*ledger.RecordAccepted)) ledger.RecordAccepted {
		r := ledger.RecordAccepted{Account: "ada", Started: testTime, Ended: testTime, Snapshots: []ledger.SnapshotRestored{{Run: named[0].Run, Source: "a"}}, Signed: signed}
		change(&r)
		return r
	}
	for name, what := range map[string]ledger.Event{
		"no program":            ledger.SafeStarted{},
		"changes as nil":        ledger.RosterProposed{Version: 2, Digest: digest, Previous: digest},
		"first version":         ledger.RosterProposed{Version: 1, Digest: digest, Previous: digest, Changes: []ledger.Text{}},
		"objection unsigned":    ledger.RosterObjected{Version: 2, Digest: digest},
		"signature not base64":  ledger.RosterObjected{Version: 2, Digest: digest, Signed: ledger.Signed{Statement: "x", Signature: "?"}},
		"three parts":           ledger.RosterObjected{Version: 2, Digest: digest, Signed: ledger.Signed{Statement: "x", Signature: "strongroom-passkey-v1 AQ AQ AQ"}},
		"five parts":            ledger.RosterObjected{Version: 2, Digest: digest, Signed: ledger.Signed{Statement: "x", Signature: "strongroom-passkey-v1 AQ AQ AQ AQ AQ"}},
		"an empty part":         ledger.RosterObjected{Version: 2, Digest: digest, Signed: ledger.Signed{Statement: "x", Signature: "strongroom-passkey-v1 AQ AQ  AQ"}},
		"padded part":           ledger.RosterObjected{Version: 2, Digest: digest, Signed: ledger.Signed{Statement: "x", Signature: "strongroom-passkey-v1 AQ AQ AQ AQ=="}},
		"another version":       ledger.RosterObjected{Version: 2, Digest: digest, Signed: ledger.Signed{Statement: "x", Signature: "strongroom-passkey-v2 AQ AQ AQ AQ"}},
		"long signature":        ledger.RosterObjected{Version: 2, Digest: digest, Signed: ledger.Signed{Statement: "x", Signature: strings.Repeat("AAAA", 7<<10/4+1)}},
		"long statement":        ledger.RosterObjected{Version: 2, Digest: digest, Signed: ledger.Signed{Statement: strings.Repeat("x", 16<<10+1), Signature: "eA=="}},
		"invitation for ever":   ledger.PersonInvited{Person: "a", Role: "auditor"},
		"enrolment from nobody": ledger.EnrolmentReceived{Person: "a", Digest: digest},
		"mapped address":        ledger.EnrolmentReceived{Person: "a", Digest: digest, From: netip.MustParseAddr("::ffff:192.0.2.7")},
		"suspension unsigned":   ledger.PersonSuspended{Person: "a"},
		"another role key":      ledger.KeyChecked{Role: "run", Period: 1},
		"period 0":              ledger.KeyChecked{Role: "outer"},
		"keyring of nobody":     ledger.KeyringKept{Person: "safe", Digest: digest},
		"no keyring":            ledger.KeyringKept{Person: "mia"},
		"no snapshots":          changed(func(r *ledger.OpeningRequested) { r.Snapshots = nil }),
		"too many hours":        changed(func(r *ledger.OpeningRequested) { r.Hours = 73 }),
		"no address":            changed(func(r *ledger.OpeningRequested) { r.Address = netip.Addr{} }),
		"no opening":            changed(func(r *ledger.OpeningRequested) { r.Opening = safe.OpeningID{} }),
		"release of no runs":    ledger.OpeningReleased{Opening: opening, Release: digest, Until: testTime},
		"gate nowhere":          ledger.OpeningOpened{Opening: opening, Until: testTime},
		"negative count":        ledger.OpeningClosed{Opening: opening, Bytes: -1},
		"refused never":         ledger.AccessRefused{What: "gate"},
		"record of nothing":     recorded(func(r *ledger.RecordAccepted) { r.Snapshots = nil }),
		"record from nowhere":   recorded(func(r *ledger.RecordAccepted) { r.Account = "" }),
		"record of two ways":    recorded(func(r *ledger.RecordAccepted) { r.Opening = opening }),
		"record unsigned":       recorded(func(r *ledger.RecordAccepted) { r.Signed = ledger.Signed{} }),
		"record backwards":      recorded(func(r *ledger.RecordAccepted) { r.Started = testTime.Add(time.Second) }),
		"record of no digest":   ledger.RecordRefused{Opening: opening, Reason: "it is none"},
	} {
		if b, err := (ledger.Entry{Time: testTime, Who: ledger.Safe, What: what}).Encode(); err == nil {
			t.Errorf("%s: encoded as %s", name, b)
		}
	}
	if _, err := (ledger.Entry{Time: testTime, Who: ledger.Safe, What: request}).Encode(); err != nil {
		t.Error(err)
	}
}
