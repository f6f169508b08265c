package ledger_test

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"strongroom/internal/ledger"
	"strongroom/internal/ledger/ledgertest"
	"strongroom/internal/safe"
)

func runID(t testing.TB, s string) safe.RunID {
	t.Helper()
	id, err := safe.ParseRunID(s)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

type golden struct {
	what ledger.Event
	line string // without what all have in front
}

// goldens has every kind of what the safe does once; peopleGoldens has the
// others. The lines are what ledgers hold: a change here is a change of the
// format.
func goldens(t testing.TB) []golden {
	run := runID(t, "019aa3f1-7c00-7abc-8def-0123456789ab")
	older := runID(t, "01989a2b-3c00-7abc-8def-0123456789ab")
	digest := safe.DigestOf([]byte("digest"))
	root := safe.DigestOf([]byte("root"))
	const (
		digestText = "0bf474896363505e5ea5e5d6ace8ebfb13a760a409b1fb467d428fc716f9f284"
		rootText   = "4813494d137e1631bba301d5acab6e7bb7aa74ce1185d456565ef51d737677b2"
	)
	return []golden{
		{ledger.SafeCreated{Name: "Tresor <Nord> & Süd", Store: testStore(t), Roster: digest, Key: testKey(t).Public()},
			`"kind":"safe.created","who":"safe","what":{"name":"Tresor <Nord> & Süd","store":"000102030405060708090a0b0c0d0e0f","roster":"` + digestText + `","key":"strongroom/000102030405060708090a0b0c0d0e0f+2b118d6b+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"}}`},
		{ledger.RosterChanged{Version: 2, Digest: digest},
			`"kind":"roster.changed","who":"safe","what":{"version":2,"digest":"` + digestText + `"}}`},
		{ledger.RunBegun{Run: run, Source: "erp-db", Envelope: digest, Roster: 2},
			`"kind":"run.begun","who":"safe","what":{"run":"019aa3f1-7c00-7abc-8def-0123456789ab","source":"erp-db","envelope":"` + digestText + `","roster":2}}`},
		{ledger.SnapshotKept{Run: run, Source: "erp-db", Description: digest, Tier: safe.Monthly, KeepUntil: testTime, Entries: 1, Bytes: 2, NewBytes: 3, Warnings: 4, Root: root},
			`"kind":"snapshot.kept","who":"safe","what":{"run":"019aa3f1-7c00-7abc-8def-0123456789ab","source":"erp-db","description":"` + digestText + `","tier":"monthly","keep_until":"2026-11-21T02:00:00.123456789Z","entries":1,"bytes":2,"new_bytes":3,"warnings":4,"root":"` + rootText + `"}}`},
		{ledger.SnapshotKept{Run: run, Source: "erp-db", Description: digest, Partial: true, Tier: safe.Broken, KeepUntil: testTime, Root: root},
			`"kind":"snapshot.kept","who":"safe","what":{"run":"019aa3f1-7c00-7abc-8def-0123456789ab","source":"erp-db","description":"` + digestText + `","partial":true,"tier":"partial","keep_until":"2026-11-21T02:00:00.123456789Z","entries":0,"bytes":0,"new_bytes":0,"warnings":0,"root":"` + rootText + `"}}`},
		{ledger.RunFailed{Run: run, Source: "erp-db", Reason: `dialing: "no route" \ to <host>`},
			`"kind":"run.failed","who":"safe","what":{"run":"019aa3f1-7c00-7abc-8def-0123456789ab","source":"erp-db","reason":"dialing: \"no route\" \\ to <host>"}}`},
		{ledger.MemoryForgotten{Source: "erp-db", Reason: "incident 7"},
			`"kind":"memory.forgotten","who":"safe","what":{"source":"erp-db","reason":"incident 7"}}`},
		{ledger.ObjectRepaired{Name: "runs/019aa3f1-7c00-7abc-8def-0123456789ab/packs/" + digestText, How: ledger.FromParity},
			`"kind":"object.repaired","who":"safe","what":{"name":"runs/019aa3f1-7c00-7abc-8def-0123456789ab/packs/` + digestText + `","how":"parity"}}`},
		{ledger.ObjectRepaired{Name: "ledger/entries/7.2", How: ledger.FromState},
			`"kind":"object.repaired","who":"safe","what":{"name":"ledger/entries/7.2","how":"state"}}`},
		{ledger.LostOf("roster/2.json", []safe.RunID{run, older, run}),
			`"kind":"object.lost","who":"safe","what":{"name":"roster/2.json","snapshots":["01989a2b-3c00-7abc-8def-0123456789ab","019aa3f1-7c00-7abc-8def-0123456789ab"]}}`},
		{ledger.LostOf("roster/2.json", nil),
			`"kind":"object.lost","who":"safe","what":{"name":"roster/2.json","snapshots":[]}}`},
		{ledger.ScrubDone{Objects: 10, Bytes: 20, Damaged: 2, Left: 1},
			`"kind":"scrub.done","who":"safe","what":{"objects":10,"bytes":20,"damaged":2,"left":1}}`},
		{ledger.FindingRaised{Finding: "source.host_key_refused", Subject: "erp-db", Text: "The host key has changed."},
			`"kind":"finding.raised","who":"safe","what":{"kind":"source.host_key_refused","subject":"erp-db","text":"The host key has changed."}}`},
		{ledger.KeepExtended{Run: run, Until: testTime},
			`"kind":"keep.extended","who":"safe","what":{"run":"019aa3f1-7c00-7abc-8def-0123456789ab","until":"2026-11-21T02:00:00.123456789Z"}}`},
	}
}

const goldenFront = `{"v":1,"time":"2026-11-21T02:00:00.123456789Z",`

func TestGoldenBytesOfEveryKind(t *testing.T) {
	seen := make(map[ledger.Kind]bool)
	for _, g := range append(goldens(t), peopleGoldens(t)...) {
		seen[g.what.Kind()] = true
		want := goldenFront + g.line + "\n"
		e := ledger.Entry{Time: testTime, Who: ledger.Safe, What: g.what}
		b, err := e.Encode()
		if err != nil {
			t.Error(err)
			continue
		}
		if diff := cmp.Diff(want, string(b)); diff != "" {
			t.Errorf("%s: bytes differ (-want +got):\n%s", g.what.Kind(), diff)
		}
		got, err := ledger.ParseEntry([]byte(want))
		if err != nil {
			t.Errorf("ParseEntry(%s): %v", want, err)
		} else if diff := cmp.Diff(e, got, cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{})); diff != "" {
			t.Errorf("%s: entry read back differs (-want +got):\n%s", g.what.Kind(), diff)
		}
	}
	for _, kind := range ledger.Kinds() {
		if !seen[kind] {
			t.Errorf("kind %s has no golden bytes", kind)
		}
	}
}

// An entry that lacks a field is refused; it is not read as one with zeros.
func TestEveryFieldIsRequired(t *testing.T) {
	optional := map[string]string{
		"partial": "snapshot.kept", "more": "object.lost", "left": "scrub.done",
		"unclean": "safe.started", "pages": "safe.started", "ready": "roster.agreed", "key": "person.suspended", "unknown": "opening.closed", "from": "access.refused",
		"signed": "roster.proposed roster.agreed opening.closed", "reason": "snapshot.kept", "compared": "state.rebuilt",
		"application": "record.accepted",
	}
	for _, g := range append(goldens(t), peopleGoldens(t)...) {
		line := goldenFront + g.line + "\n"
		start := strings.Index(line, `{`+strings.SplitN(line, `"what":{`, 2)[1])
		var values map[string]json.RawMessage
		if err := json.Unmarshal([]byte(line[start:len(line)-2]), &values); err != nil {
			t.Fatal(err)
		}
		// without spells the event with all its fields but one.
		what := reflect.TypeOf(g.what)
		without := func(omit string) []byte {
			var fields []string
			for i := range what.NumField() {
				name, _, _ := strings.Cut(what.Field(i).Tag.Get("json"), ",")
				if value, ok := values[name]; ok && name != omit {
					fields = append(fields, `"`+name+`":`+string(value))
				}
			}
			return []byte(line[:start] + "{" + strings.Join(fields, ",") + "}}\n")
		}
		if got := without(""); string(got) != line {
			t.Fatalf("the test spells %s, want %s", got, line)
		}
		for name := range values {
			if slices.Contains(strings.Fields(optional[name]), string(g.what.Kind())) {
				continue
			}
			if _, err := ledger.ParseEntry(without(name)); err == nil {
				t.Errorf("%s without %s is accepted", g.what.Kind(), name)
			}
		}
	}
}

func TestParseEntryRefuses(t *testing.T) {
	const (
		front = `{"v":1,"time":"2026-11-21T02:00:00Z","kind":`
		scrub = front + `"scrub.done","who":"safe","what":{"objects":1,"bytes":2,"damaged":0}}` + "\n"
	)
	if _, err := ledger.ParseEntry([]byte(scrub)); err != nil {
		t.Fatal(err)
	}
	with := func(old, new string) string {
		t.Helper()
		if !strings.Contains(scrub, old) {
			t.Fatalf("%q is not in the entry", old)
		}
		return strings.Replace(scrub, old, new, 1)
	}
	tests := []struct{ name, entry, err string }{
		{"nothing", "", "EOF"},
		{"null", "null\n", "version 0"},
		{"no newline", strings.TrimSuffix(scrub, "\n"), "canonical"},
		{"two newlines", scrub + "\n", "canonical"},
		{"two entries", scrub + scrub, "follows"},
		{"space", with(`,"kind"`, `, "kind"`), "canonical"},
		{"other order", with(`"objects":1,"bytes":2`, `"bytes":2,"objects":1`), "canonical"},
		{"capital in a field", with(`"who"`, `"Who"`), "canonical"},
		{"field twice", with(`"objects":1`, `"objects":3,"objects":1`), "canonical"},
		{"what twice", with(`"what":`, `"what":{},"what":`), "canonical"},
		{"unknown field", with(`"who"`, `"why":1,"who"`), "unknown field"},
		{"unknown field in what", with(`"objects"`, `"why":1,"objects"`), "unknown field"},
		{"no what", with(`,"what":{"objects":1,"bytes":2,"damaged":0}`, ``), "EOF"},
		{"null what", with(`{"objects":1,"bytes":2,"damaged":0}`, `null`), "canonical"},
		{"version 2", with(`"v":1`, `"v":2`), "version 2"},
		{"unknown kind", with(`scrub.done`, `scrub.begun`), "does not know"},
		{"escape without need", with(`"safe"`, `"saf\u0065"`), "canonical"},
		{"who", with(`"safe"`, `"Safe"`), "who acted"},
		{"no who", with(`"safe"`, `""`), "who acted"},
		{"time zone", with(`02:00:00Z`, `02:00:00+01:00`), "UTC"},
		{"zero time zone", with(`02:00:00Z`, `02:00:00+00:00`), "canonical"},
		{"zeros in a time", with(`02:00:00Z`, `02:00:00.500Z`), "canonical"},
		{"no time", with(`2026-11-21T02:00:00Z`, `0001-01-01T00:00:00Z`), "not set"},
		{"a number as float", with(`"bytes":2`, `"bytes":2e0`), "cannot unmarshal"},
		{"negative", with(`"damaged":0`, `"damaged":-1`), "negative"},
		{"too long", with(`{"objects"`, `{`+strings.Repeat(" ", ledger.MaxEntry)+`"objects"`), "at most 65536"},
		{"too deep", with(`1,"bytes"`, strings.Repeat("[", 30000)+`,"bytes"`), "depth"},
		{"line break in a text", front + `"memory.forgotten","who":"safe","what":{"source":"a","reason":"x\ny"}}` + "\n", "cannot hold"},
		{"invalid UTF-8", front + `"memory.forgotten","who":"safe","what":{"source":"a","reason":"` + "\xff" + `"}}` + "\n", "canonical"},
		{"name of a source", front + `"memory.forgotten","who":"safe","what":{"source":"../a","reason":""}}` + "\n", "source name"},
		{"name of an object", front + `"object.repaired","who":"safe","what":{"name":"runs/../format","how":"copy"}}` + "\n", `".."`},
		{"how", front + `"object.repaired","who":"safe","what":{"name":"format","how":"magic"}}` + "\n", "unknown way"},
		{"rebuilt of nothing", front + `"state.rebuilt","who":"safe","what":{"entries":0}}` + "\n", "0 entries"},
		{"rebuilt of less than it was compared with", front + `"state.rebuilt","who":"safe","what":{"entries":3,"compared":4}}` + "\n", "compared with 4"},
		{"null snapshots", front + `"object.lost","who":"safe","what":{"name":"format","snapshots":null}}` + "\n", "no list"},
		{"snapshot twice", front + `"object.lost","who":"safe","what":{"name":"format","snapshots":["019aa3f1-7c00-7abc-8def-0123456789ab","019aa3f1-7c00-7abc-8def-0123456789ab"]}}` + "\n", "ascending"},
		{"more than none", front + `"object.lost","who":"safe","what":{"name":"format","snapshots":[],"more":1}}` + "\n", "more"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ledger.ParseEntry([]byte(tt.entry))
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("ParseEntry: error %v, want one with %q", err, tt.err)
			}
		})
	}
}

func TestEncodeRefusesWhatCannotBeReadBack(t *testing.T) {
	digest := safe.DigestOf(nil)
	run := safe.NewRunID(testTime)
	kept := ledger.SnapshotKept{Run: run, Source: "a", Description: digest, Tier: safe.Daily, KeepUntil: testTime, Root: digest}
	broken := kept
	broken.Partial = true
	local := kept
	local.KeepUntil = testTime.In(time.FixedZone("", 3600))
	untiered := kept
	untiered.Tier = "hourly"
	otherStore, _ := ledger.GenerateKey(safe.NewStoreID())
	at := func(what ledger.Event) ledger.Entry {
		return ledger.Entry{Time: testTime, Who: ledger.Safe, What: what}
	}
	tests := []struct {
		name  string
		entry ledger.Entry
	}{
		{"no event", at(nil)},
		{"no time", ledger.Entry{Who: ledger.Safe, What: kept}},
		{"local time", ledger.Entry{Time: local.KeepUntil, Who: ledger.Safe, What: kept}},
		{"nobody", ledger.Entry{Time: testTime, What: kept}},
		{"partial of a tier", at(broken)},
		{"unknown tier", at(untiered)},
		{"local keep_until", at(local)},
		{"no run", at(ledger.RunFailed{Source: "a"})},
		{"no source", at(ledger.RunFailed{Run: run})},
		{"text that is none", at(ledger.RunFailed{Run: run, Source: "a", Reason: "\xff"})},
		{"text that is too long", at(ledger.RunFailed{Run: run, Source: "a", Reason: ledger.Text(strings.Repeat("x", ledger.MaxText+1))})},
		{"no envelope", at(ledger.RunBegun{Run: run, Source: "a", Roster: 1})},
		{"no roster", at(ledger.RunBegun{Run: run, Source: "a", Envelope: digest})},
		{"kind of finding", at(ledger.FindingRaised{Finding: "Not a kind"})},
		{"finding without an entry", at(ledger.FindingCleared{Finding: "a"})},
		{"kind of a finding that is cleared", at(ledger.FindingCleared{Entry: 1, Finding: "Not a kind"})},
		{"acknowledged for ever", at(ledger.FindingAcknowledged{Entry: 1, Finding: "a", Reason: "why"})},
		{"acknowledged for no reason", at(ledger.FindingAcknowledged{Entry: 1, Finding: "a", Until: testTime})},
		{"key of another store", at(ledger.SafeCreated{Name: "a", Store: testStore(t), Roster: digest, Key: otherStore.Public()})},
		{"no key", at(ledger.SafeCreated{Name: "a", Store: testStore(t), Roster: digest})},
		{"object without name", at(ledger.LostOf("", nil))},
		{"snapshots as nil", at(ledger.ObjectLost{Name: "format"})},
	}
	for _, tt := range tests {
		if b, err := tt.entry.Encode(); err == nil {
			t.Errorf("%s: encoded as %s", tt.name, b)
		}
	}
}

func TestKeptOf(t *testing.T) {
	run := safe.NewRunID(testTime)
	digest := safe.DigestOf([]byte("root"))
	s := safe.Snapshot{
		Version: 1, Store: testStore(t), Run: run, Source: "erp-db", Kind: "postgres",
		Started: testTime, Finished: testTime, Entries: 1, Bytes: 2, NewBytes: 3, StoredBytes: 4, ParityBytes: 5, Warnings: 6,
		Partial: true, KeepUntil: testTime.In(time.FixedZone("", 7200)), Tier: safe.Broken, Root: digest,
		Runs: map[safe.RunID]safe.RunPacks{run: {}},
	}
	want := ledger.SnapshotKept{
		Run: run, Source: "erp-db", Description: safe.DigestOf(s.Encode()), Partial: true, Tier: safe.Broken,
		KeepUntil: testTime, Entries: 1, Bytes: 2, NewBytes: 3, Warnings: 6, Root: digest,
	}
	got := ledger.KeptOf(s, "")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("KeptOf differs (-want +got):\n%s", diff)
	}
	if _, err := (ledger.Entry{Time: testTime, Who: ledger.Safe, What: got}).Encode(); err != nil {
		t.Error(err)
	}
}

// A loss must fit into an entry however many snapshots it hits.
func TestLostOfNamesTheNewestSnapshots(t *testing.T) {
	var runs []safe.RunID
	for i := range 3000 {
		runs = append(runs, safe.NewRunID(testTime.Add(time.Duration(i)*time.Hour)))
	}
	newest := runs[len(runs)-1]
	slices.Reverse(runs)
	lost := ledger.LostOf(strings.Repeat("x", 255), runs)
	if len(lost.Snapshots)+lost.More != len(runs) || lost.Snapshots[len(lost.Snapshots)-1] != newest {
		t.Errorf("names %d snapshots and %d more of %d, the last %s, want %s", len(lost.Snapshots), lost.More, len(runs), lost.Snapshots[len(lost.Snapshots)-1], newest)
	}
	if _, err := (ledger.Entry{Time: testTime, Who: ledger.Safe, What: lost}).Encode(); err != nil {
		t.Error(err)
	}
}

func TestTextOf(t *testing.T) {
	long := strings.Repeat("x", ledger.MaxText)
	tests := []struct{ in, want string }{
		{"", ""},
		{"plain & <simple> \"quoted\" é 世界", "plain & <simple> \"quoted\" é 世界"},
		{"two\nlines\tand\u2028more", "two lines and more"},
		{"\x1b[31mred\x7f\u0085", "\uFFFD[31mred\uFFFD\uFFFD"},
		{"exe.\u202Etxt", "exe.\uFFFDtxt"},
		{"bad \xff\xfe bytes", "bad \uFFFD bytes"},
		{long, long},
		{long + "x", long[:ledger.MaxText-3] + "…"},
		{long[:ledger.MaxText-4] + "世x", long[:ledger.MaxText-4] + "世x"},
		{long[:ledger.MaxText-4] + "世xx", long[:ledger.MaxText-4] + "…"},
	}
	for _, tt := range tests {
		if got := string(ledger.TextOf(tt.in)); got != tt.want {
			t.Errorf("TextOf(%.80q) = %.80q of %d bytes, want %.80q of %d", tt.in, got, len(got), tt.want, len(tt.want))
		}
	}
}

func FuzzTextOf(f *testing.F) {
	f.Add("a\n\xff\u2028" + strings.Repeat("é", ledger.MaxText))
	f.Fuzz(func(t *testing.T, s string) {
		text := ledger.TextOf(s)
		if len(text) > ledger.MaxText || !utf8.ValidString(string(text)) || ledger.TextOf(string(text)) != text {
			t.Errorf("TextOf(%q) = %q", s, text)
		}
		e := ledger.Entry{Time: testTime, Who: ledger.Safe, What: ledger.FindingRaised{Finding: "a", Subject: text, Text: text}}
		b, err := e.Encode()
		if err != nil {
			t.Fatalf("text %q cannot be recorded: %v", text, err)
		}
		if again, err := ledger.ParseEntry(b); err != nil || !cmp.Equal(again, e) {
			t.Errorf("text %q is read back as %v, %v", text, again, err)
		}
	})
}

func FuzzParseEntry(f *testing.F) {
	for _, g := range append(goldens(f), peopleGoldens(f)...) {
		f.Add([]byte(goldenFront + g.line + "\n"))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := ledger.ParseEntry(b)
		if err != nil {
			return
		}
		again, err := e.Encode()
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("%q is accepted and spelled %q, %v", b, again, err)
		}
		if _, err := new(ledgertest.Log).AppendBytes(b); err != nil {
			t.Error(err)
		}
	})
}
