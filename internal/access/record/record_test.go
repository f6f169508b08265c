package record_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"strongroom/internal/access"
	"strongroom/internal/access/accesstest"
	"strongroom/internal/access/record"
	"strongroom/internal/access/sshsig"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
)

var (
	store = safe.StoreID{0: 1, 6: 0x70, 8: 0x80}
	night = accesstest.Start
	run   = safe.NewRunID(night)
	later = safe.NewRunID(night.Add(time.Hour))
)

func good() record.Record {
	r := record.New(store, "otto", "spare7", night.Add(8*time.Hour), night.Add(10*time.Hour), []record.Restored{
		{Run: run, Source: "erp-db", Result: record.Right, Checked: "row counts <= last night's"},
		{Run: later, Source: "erp-files", Result: record.Wrong, Checked: "in/ is empty"},
	})
	r.Application, r.Note = "erp", "the second time"
	return r
}

func sign(t testing.TB, r record.Record, by accesstest.Somebody) (ledger.Signed, []byte) {
	t.Helper()
	signed, err := record.Sign(r, by.Signer)
	if err != nil {
		t.Fatal(err)
	}
	b, err := record.Encode(signed)
	if err != nil {
		t.Fatal(err)
	}
	return signed, b
}

// The bytes of a statement never change: signatures are over them.
func TestGolden(t *testing.T) {
	r := good()
	r.Snapshots[0].Run, r.Snapshots[1].Run = safe.RunID{0: 1}, safe.RunID{0: 2}
	signed, _ := sign(t, r, accesstest.NewPerson(t, "otto", access.Operator))
	want := `{"v":1,"store":"01000000000070008000000000000000","kind":"restore","person":"otto","application":"erp","host":"spare7",` +
		`"started":"2026-11-21T10:00:00Z","ended":"2026-11-21T12:00:00Z","snapshots":[` +
		`{"run":"` + r.Snapshots[0].Run.String() + `","source":"erp-db","result":"right","checked":"row counts <= last night's"},` +
		`{"run":"` + r.Snapshots[1].Run.String() + `","source":"erp-files","result":"wrong","checked":"in/ is empty"}],"note":"the second time"}` + "\n"
	if signed.Statement != want {
		t.Errorf("the statement is\n%s\nwant\n%s", signed.Statement, want)
	}
}

func TestParse(t *testing.T) {
	signed, b := sign(t, good(), accesstest.NewPerson(t, "otto", access.Operator))
	again, r, err := record.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(good(), r, cmpopts.EquateComparable(safe.StoreID{}, safe.RunID{})); diff != "" || again != signed {
		t.Errorf("-want +got:\n%s\n%v, want %v", diff, again, signed)
	}
	if r.Right() {
		t.Error("a record with something wrong is right")
	}
	statement := func(change func(string) string) []byte {
		b, err := record.Encode(ledger.Signed{Statement: change(signed.Statement), Signature: signed.Signature})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	replace := func(old, new string) []byte {
		if !strings.Contains(signed.Statement, old) {
			t.Fatalf("the statement has no %s", old)
		}
		return statement(func(s string) string { return strings.Replace(s, old, new, 1) })
	}
	for name, tt := range map[string]struct {
		file []byte
		why  string
	}{
		"nothing":             {nil, "EOF"},
		"another document":    {[]byte("{}\n"), "canonical"},
		"an unknown field":    {[]byte(`{"statement":"","signature":"","more":1}`), "unknown field"},
		"other white space":   {append([]byte(" "), b...), "canonical"},
		"too large":           {append(bytes.Clone(b), bytes.Repeat([]byte(" "), record.MaxFile)...), "at most"},
		"many values":         {[]byte("[" + strings.Repeat("{},", 20_000) + "{}]"), "commas"},
		"a large statement":   {statement(func(s string) string { return s + strings.Repeat(" ", 16<<10) }), "at most"},
		"a newer version":     {replace(`"v":1`, `"v":2`), "version 2"},
		"another kind":        {replace(`"restore"`, `"recovery"`), `the kind "recovery"`},
		"a field twice":       {replace(`"v":1,`, `"v":1,"v":1,`), "canonical"},
		"an unknown detail":   {replace(`"note":`, `"gaps":`), "unknown field"},
		"nobody":              {replace(`"person":"otto"`, `"person":""`), "lower-case letters"},
		"no host":             {replace(`"spare7"`, `""`), "which host"},
		"a hidden mark":       {replace(`"spare7"`, `"spare\u202e7"`), ""},
		"backwards":           {replace("T10:00:00Z", "T12:00:01Z"), "after its end"},
		"in another zone":     {replace("T10:00:00Z", "T10:00:00+01:00"), "in UTC"},
		"parts of a second":   {replace("T10:00:00Z", "T10:00:00.5Z"), "whole seconds"},
		"no start":            {replace("2026-11-21T10:00:00Z", "0001-01-01T00:00:00Z"), "when it was done"},
		"neither right":       {replace(`"right"`, `"fine"`), `"fine"`},
		"not checked":         {replace(`"in/ is empty"`, `""`), "how snapshot"},
		"no source":           {replace(`"erp-db"`, `""`), "source"},
		"twice the same":      {replace(later.String(), run.String()), "not in order"},
		"no store":            {replace(store.String(), safe.StoreID{}.String()), ""},
		"not signed as such":  {[]byte(`{"statement":"x","signature":"y"}` + "\n"), "invalid character"},
		"no snapshots at all": {statement(func(s string) string { return s[:strings.Index(s, `"snapshots"`)] + `"snapshots":[]}` + "\n" }), "of 0 snapshots"},
	} {
		if _, _, err := record.Parse(tt.file); err == nil || !strings.Contains(err.Error(), tt.why) {
			t.Errorf("%s: %v, want %q", name, err, tt.why)
		}
	}
}

// What cannot be read is not signed either.
func TestSignRefuses(t *testing.T) {
	otto := accesstest.NewPerson(t, "otto", access.Operator)
	for name, change := range map[string]func(*record.Record){
		"backwards":       func(r *record.Record) { r.Ended = r.Started.Add(-time.Second) },
		"nothing checked": func(r *record.Record) { r.Snapshots[0].Checked = "" },
		"out of order":    func(r *record.Record) { r.Snapshots[0], r.Snapshots[1] = r.Snapshots[1], r.Snapshots[0] },
		"too long": func(r *record.Record) {
			r.Note = ledger.Text(strings.Repeat("x", 4<<10))
			r.Host, r.Application = r.Note, r.Note
			r.Snapshots[0].Checked = r.Note
		},
		"not a line": func(r *record.Record) { r.Note = "a\nb" },
	} {
		r := good()
		change(&r)
		if _, err := record.Sign(r, otto.Signer); err == nil {
			t.Errorf("%s: it is signed", name)
		}
	}
}

func TestVerify(t *testing.T) {
	team := accesstest.NewTeam(t, "kim:keykeeper otto:operator ole:operator")
	otto, ole := team.People["otto"], team.People["ole"]
	r := good()
	r.Store = team.Store
	signed, _ := sign(t, r, otto)
	key, err := record.Verify(team.Roster, r, signed)
	if ssh, _ := key.SSH(); err != nil || ssh != otto.SSH[0] {
		t.Errorf("it is signed with %v, %v", key, err)
	}
	foreign := r
	foreign.Store = store
	byAnother, _ := sign(t, r, ole)
	stranger := r
	stranger.Person = "eve"
	byStranger, _ := sign(t, stranger, otto)
	// The same bytes, signed for another purpose.
	replayed := signed
	act, err := sshsig.Sign(otto.Signer, access.ActNamespace, []byte(signed.Statement))
	if err != nil {
		t.Fatal(err)
	}
	replayed.Signature = act.String()
	altered := signed
	altered.Statement = strings.Replace(signed.Statement, `"wrong"`, `"right"`, 1)
	for name, tt := range map[string]struct {
		record    record.Record
		signed    ledger.Signed
		notSigned bool
	}{
		"another safe":      {foreign, signed, false},
		"another's":         {r, byAnother, true},
		"a stranger's":      {stranger, byStranger, true},
		"signed as an act":  {r, replayed, true},
		"altered":           {r, altered, true},
		"without signature": {r, ledger.Signed{Statement: signed.Statement}, true},
	} {
		if _, err := record.Verify(team.Roster, tt.record, tt.signed); err == nil || errors.Is(err, access.ErrNotSigned) != tt.notSigned {
			t.Errorf("%s: %v", name, err)
		}
	}
	// And no record passes for an act.
	if _, _, err := team.Roster.Verify(signed); err == nil {
		t.Error("a record is taken for an act")
	}
}

func FuzzParse(f *testing.F) {
	_, b := sign(f, good(), accesstest.NewPerson(f, "otto", access.Operator))
	f.Add(b)
	f.Add([]byte(`{"statement":"{\"v\":1}\n","signature":""}` + "\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		signed, r, err := record.Parse(b)
		if err != nil {
			return
		}
		if again, err := record.Encode(signed); err != nil || !bytes.Equal(again, b) {
			t.Errorf("%q is written %q, %v", b, again, err)
		}
		if err := r.Check(); err != nil {
			t.Errorf("%q is taken, and cannot be: %v", b, err)
		}
	})
}
