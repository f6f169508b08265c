package keyring_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/access/accesstest"
	"strongroom/internal/access/keyring"
	"strongroom/internal/safe"
)

// wrapped is an age file as a browser makes them, of a payload that does not
// matter here.
func wrapped(payload string) []byte {
	return []byte("age-encryption.org/v1\n-> age-encryption.org/fido2prf " + strings.Repeat("A", 22) + "\n" +
		strings.Repeat("B", 43) + "\n--- " + strings.Repeat("C", 43) + "\n" + payload)
}

func good(t testing.TB) (keyring.Keyring, access.Person) {
	t.Helper()
	ada := accesstest.NewPasskeyPerson(t, "ada", access.Keykeeper)
	return keyring.Keyring{Version: 1, Store: safe.NewStoreID(), Person: "ada", Passkey: ada.Release.Key(t).Credential(), Time: accesstest.Start,
		Personal: wrapped("personal"), Periods: []keyring.Period{{1, wrapped("first")}, {3, wrapped("third")}}}, ada.Person
}

func TestKeyringComesBack(t *testing.T) {
	k, ada := good(t)
	for _, k := range []keyring.Keyring{k, {Version: 1, Store: k.Store, Person: "ada", Passkey: k.Passkey, Time: k.Time, Personal: k.Personal, Periods: []keyring.Period{}}} {
		again, err := keyring.Parse(k.Encode())
		if err != nil || !bytes.Equal(again.Encode(), k.Encode()) {
			t.Errorf("%s is read as %+v, %v", k.Encode(), again, err)
		}
		if err := again.Belongs(k.Store, ada, 3); err != nil {
			t.Errorf("Belongs: %v", err)
		}
	}
}

// The spelling is made in a browser, too.
func TestGoldenBytes(t *testing.T) {
	k := keyring.Keyring{Version: 1, Person: "ada", Passkey: keyring.Credential{0xff, 0xfe}, Time: accesstest.Start,
		Personal: []byte("x"), Periods: []keyring.Period{{1, []byte("y")}}}
	const want = `{"v":1,"store":"00000000000000000000000000000000","person":"ada","passkey":"__4","time":"2026-11-21T02:00:00Z","personal":"eA==","periods":[{"n":1,"sealed":"eQ=="}]}` + "\n"
	if got := string(k.Encode()); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestKeyringThatCannotBe(t *testing.T) {
	clear := []byte("# strongroom personal key\nAGE-SECRET-KEY-PQ-1AAAA\n")
	two := bytes.Replace(wrapped(""), []byte("--- "), []byte("-> X25519 "+strings.Repeat("A", 43)+"\n"+strings.Repeat("B", 43)+"\n--- "), 1)
	for name, change := range map[string]func(*keyring.Keyring){
		"another version":             func(k *keyring.Keyring) { k.Version = 2 },
		"no store":                    func(k *keyring.Keyring) { k.Store = safe.StoreID{} },
		"no passkey":                  func(k *keyring.Keyring) { k.Passkey = nil },
		"no time":                     func(k *keyring.Keyring) { k.Time = time.Time{} },
		"parts of a second":           func(k *keyring.Keyring) { k.Time = k.Time.Add(1) },
		"another zone":                func(k *keyring.Keyring) { k.Time = k.Time.In(time.FixedZone("", 3600)) },
		"no personal key":             func(k *keyring.Keyring) { k.Personal = nil },
		"a personal key in the clear": func(k *keyring.Keyring) { k.Personal = clear },
		"two recipients":              func(k *keyring.Keyring) { k.Personal = two },
		"a scrypt recipient": func(k *keyring.Keyring) {
			k.Personal = bytes.Replace(wrapped(""), []byte("age-encryption.org/fido2prf"), []byte("scrypt"), 1)
		},
		"a large file":              func(k *keyring.Keyring) { k.Personal = wrapped(strings.Repeat("x", 16<<10)) },
		"an outer key in the clear": func(k *keyring.Keyring) { k.Periods[1].Sealed = clear },
		"null for periods":          func(k *keyring.Keyring) { k.Periods = nil },
		"period 0":                  func(k *keyring.Keyring) { k.Periods[0].Number = 0 },
		"a period twice":            func(k *keyring.Keyring) { k.Periods[0].Number = 3 },
	} {
		k, _ := good(t)
		change(&k)
		if _, err := keyring.Parse(k.Encode()); err == nil {
			t.Errorf("%s: it is taken", name)
		}
	}
	k, _ := good(t)
	text := string(k.Encode())
	for name, s := range map[string]string{
		"nothing":          "",
		"an unknown field": strings.Replace(text, `"v":1`, `"v":1,"key":""`, 1),
		"a blank":          strings.Replace(text, `"v":1`, `"v": 1`, 1),
		"a padded passkey": strings.Replace(text, `","time"`, `=","time"`, 1),
		"two":              text + text,
	} {
		if _, err := keyring.Parse([]byte(s)); err == nil {
			t.Errorf("%s: it is taken", name)
		}
	}
}

func TestContinues(t *testing.T) {
	before, _ := good(t)
	before.Periods = []keyring.Period{{Number: 2, Sealed: wrapped("two")}}
	for _, tt := range []struct {
		name     string
		personal []byte
		periods  []keyring.Period
		want     bool
	}{
		{"one more", before.Personal, []keyring.Period{{Number: 1, Sealed: wrapped("one")}, {Number: 2, Sealed: wrapped("two")}}, true},
		{"the same", before.Personal, before.Periods, false},
		{"another in its place", before.Personal, []keyring.Period{{Number: 2, Sealed: wrapped("three")}, {Number: 3, Sealed: wrapped("three")}}, false},
		{"without it", before.Personal, []keyring.Period{{Number: 1, Sealed: wrapped("one")}, {Number: 3, Sealed: wrapped("three")}}, false},
		{"another personal key", wrapped("another"), []keyring.Period{{Number: 1, Sealed: wrapped("one")}, {Number: 2, Sealed: wrapped("two")}}, false},
	} {
		k := before
		k.Personal, k.Periods = tt.personal, tt.periods
		if got := k.Continues(before); got != tt.want {
			t.Errorf("%s: %t", tt.name, got)
		}
	}
}

func TestBelongs(t *testing.T) {
	k, ada := good(t)
	mia := accesstest.NewPasskeyPerson(t, "mia", access.Keykeeper).Person
	renamed := mia
	renamed.Name = "ada"
	officer := ada
	officer.Roles = []access.Role{access.Officer}
	signIn := k
	signIn.Passkey = ada.PasskeysFor(access.SignIn)[0].Credential()
	for _, tt := range []struct {
		name    string
		k       keyring.Keyring
		store   safe.StoreID
		person  access.Person
		periods int
		want    string
	}{
		{"hers", k, k.Store, ada, 3, ""},
		{"another store", k, safe.NewStoreID(), ada, 3, "it is for store"},
		{"another person", k, k.Store, mia, 3, "the keyring of ada, not of mia"},
		{"another passkey", k, k.Store, renamed, 3, "not one of ada for releases"},
		{"the passkey for sign-in", signIn, k.Store, ada, 3, "not one of ada for releases"},
		{"no keykeeper", k, k.Store, officer, 3, "no keykeeper"},
		{"a period that there is not", k, k.Store, ada, 2, "the outer key of period 3, and there are 2"},
	} {
		err := tt.k.Belongs(tt.store, tt.person, tt.periods)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	k, _ := good(f)
	f.Add(k.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := keyring.Parse(b)
		if err == nil && !bytes.Equal(k.Encode(), b) {
			t.Errorf("accepted %q, which is written %q", b, k.Encode())
		}
	})
}
