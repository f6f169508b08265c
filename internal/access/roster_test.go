package access

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"strongroom/internal/access/sshsig"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/store/seal"
)

func first(t *testing.T) Roster {
	t.Helper()
	outer, err := seal.NewOuterIdentity()
	if err != nil {
		t.Fatal(err)
	}
	inner, err := seal.NewInnerIdentity()
	if err != nil {
		t.Fatal(err)
	}
	id := safe.NewStoreID()
	key, _ := ledger.GenerateKey(id)
	from := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	return First(key.Public(), sshsig.PublicKey{}, Period{From: from, Outer: outer.Recipient(), Inner: inner.Recipient()})
}

func TestRosterComesBack(t *testing.T) {
	want := first(t)
	got, err := ParseRoster(want.Encode())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Encode(), want.Encode()) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// The format has one escape for a character, and none for those that HTML
// minds.
func TestNamesStandAsTheyAre(t *testing.T) {
	const name = `Müller & Söhne <IT>`
	e := Enrolment{Version: 1, Person: Person{Name: "ada", FullName: name}}
	if b := e.Encode(); !bytes.Contains(b, []byte(`"full_name":"`+name+`"`)) {
		t.Errorf("%s", b)
	}
}

func TestRosterRefused(t *testing.T) {
	good := string(first(t).Encode())
	for name, b := range map[string]string{
		"empty":         "",
		"version":       strings.Replace(good, `"v":1`, `"v":2`, 1),
		"number":        strings.Replace(good, `"n":1`, `"n":0`, 1),
		"unknown field": strings.Replace(good, `"n":1`, `"n":1,"x":1`, 1),
		"blank":         strings.Replace(good, `"n":1`, `"n": 1`, 1),
		"more":          good + "{}",
		"no periods":    good[:strings.Index(good, `"periods"`)] + `"periods":[]}` + "\n",
		"other key":     strings.Replace(good, "age1pq1", "age1", 1),
	} {
		if _, err := ParseRoster([]byte(b)); err == nil {
			t.Errorf("%s: accepted %s", name, b)
		}
	}
}

func FuzzParseRoster(f *testing.F) {
	f.Add([]byte(`{"v":1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseRoster(b)
		if err == nil && !bytes.Equal(r.Encode(), b) {
			t.Errorf("accepted %q, which is written %q", b, r.Encode())
		}
	})
}
