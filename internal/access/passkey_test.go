package access_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"strongroom/internal/access"
	"strongroom/internal/access/accesstest"
	"strongroom/internal/access/passkey"
	"strongroom/internal/access/passkey/passkeytest"
	"strongroom/internal/access/signature"
	"strongroom/internal/access/sshsig"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/spelling"
)

// newTeamWithPasskeys has ada, a keykeeper with passkeys alone, bob, an
// operator, and zoe, who looks with a passkey.
func newTeamWithPasskeys(t testing.TB) *accesstest.Team {
	t.Helper()
	team := accesstest.NewTeam(t, "bob:operator")
	team.Join(t, accesstest.NewPasskeyPerson(t, "ada", access.Keykeeper))
	team.Join(t, accesstest.NewPasskeyPerson(t, "zoe", access.Auditor))
	team.Roster = accesstest.Reread(t, team.Roster)
	return team
}

func TestPasskeySignsStatements(t *testing.T) {
	team := newTeamWithPasskeys(t)
	ada := team.People["ada"]
	act := access.Refuse{Opening: safe.NewOpeningID(accesstest.Start), Reason: "on whose order?"}
	good := ada.States(t, team.Store, accesstest.Start, act)
	s, key, err := team.Roster.Verify(good)
	if err != nil || s.Person != "ada" || key != signature.FromPasskey(ada.Release.Key(t)) {
		t.Fatalf("Verify: %+v by %s, %v", s, key, err)
	}
	if (access.Suspensions{{Entry: 1, Person: "ada", Key: signature.FromPasskey(ada.SignIn.Key(t))}}).Stop("ada", key) {
		t.Error("the suspension of one passkey stops the other")
	}
	if !(access.Suspensions{{Entry: 1, Person: "ada", Key: key}}).Stop("ada", key) {
		t.Error("a passkey that is suspended is not stopped")
	}

	by := func(a *passkeytest.Authenticator, namespace string) ledger.Signed {
		return ledger.Signed{Statement: good.Statement, Signature: a.Get(t, passkey.Challenge(namespace, []byte(good.Statement))).String()}
	}
	elsewhere := passkeytest.New(t, "evil.example", "https://evil.example")
	for name, signed := range map[string]ledger.Signed{
		"another reason":             {Statement: strings.Replace(good.Statement, "order", "word", 1), Signature: good.Signature},
		"the passkey for sign-in":    by(ada.SignIn, access.ActNamespace),
		"a passkey of nobody":        by(passkeytest.New(t, accesstest.Domain, accesstest.Origin), access.ActNamespace),
		"a passkey of another site":  by(elsewhere, access.ActNamespace),
		"a sign-in with that secret": by(ada.Release, "strongroom/v1/sign-in"),
		"a release":                  by(ada.Release, "strongroom/v1/release"),
	} {
		if _, _, err := team.Roster.Verify(signed); !errors.Is(err, access.ErrNotSigned) {
			t.Errorf("%s: %v, want %v", name, err, access.ErrNotSigned)
		}
	}
	moved := team.Roster
	moved.Domain = "other.example"
	if _, _, err := moved.Verify(good); !errors.Is(err, access.ErrNotSigned) {
		t.Errorf("in a roster of another domain: %v", err)
	}
	suspend := ada.States(t, team.Store, accesstest.Start, access.Suspend{Person: "ada", Key: key, Reason: "phone lost"})
	if s, _, err := team.Roster.Verify(suspend); err != nil || s.Act.(access.Suspend).Key != key {
		t.Errorf("suspending a passkey: %+v, %v", s, err)
	}
}

// A keykeeper's passkey and an operator's SSH key bring a version into force.
func TestFollowPasskey(t *testing.T) {
	team := newTeamWithPasskeys(t)
	next := team.Roster.Next()
	next.Lifted = []int64{7}
	links := link(next, team.Agrees(t, "ada", next, 0), team.Agrees(t, "bob", next, 0))
	got, err := team.Roster.Follow(links)
	if err != nil || got.Digest() != next.Digest() || got.Domain != accesstest.Domain || len(got.People[0].Passkeys) != 2 {
		t.Errorf("Follow: %+v, %v", got, err)
	}
}

func TestDomainStays(t *testing.T) {
	team := newTeamWithPasskeys(t)
	without := func(r *access.Roster) {
		r.People = slices.DeleteFunc(r.People, func(p access.Person) bool { return len(p.Passkeys) > 0 })
		kim := accesstest.NewPerson(t, "kim", access.Keykeeper)
		r.People = append(r.People, kim.Person)
		r.Periods[0].OuterCopies = nil
	}
	for _, tt := range []struct {
		name   string
		change func(*access.Roster)
		want   string
	}{
		{"the same", func(*access.Roster) {}, ""},
		{"another", func(r *access.Roster) { r.Domain = "other.example" }, `the domain of the passkeys is "other.example", was "acme.example"`},
		{"none with passkeys", func(r *access.Roster) { r.Domain = "" }, "the domain of the passkeys"},
		{"no passkeys left", without, ""},
		{"none without passkeys", func(r *access.Roster) { without(r); r.Domain = "" }, ""},
		{"another without passkeys", func(r *access.Roster) { without(r); r.Domain = "other.example" }, ""},
	} {
		next := team.Roster.Next()
		tt.change(&next)
		err := team.Roster.CheckSuccessor(next)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: CheckSuccessor: %v, want %q", tt.name, err, tt.want)
		}
	}
	first := accesstest.NewTeam(t, "bob:operator kim:keykeeper").Roster
	next := first.Next()
	next.Domain = accesstest.Domain
	next.People = append(next.People, accesstest.NewPasskeyPerson(t, "zoe", access.Auditor).Person)
	if err := first.CheckSuccessor(next); err != nil {
		t.Errorf("the first passkeys: %v", err)
	}
}

func TestPasskeysThatCannotBe(t *testing.T) {
	team := newTeamWithPasskeys(t)
	const ada, bob, zoe = 0, 1, 2
	spare := func(use access.PasskeyUse) access.Passkey {
		return access.Passkey{Key: passkeytest.New(t, accesstest.Domain, accesstest.Origin).Key(t), Use: use}
	}
	for _, tt := range []struct {
		name   string
		change func(*access.Roster)
		want   string // "" if it can be
	}{
		{"as it is", func(*access.Roster) {}, ""},
		{"an operator who signs in", func(r *access.Roster) { r.People[bob].Passkeys = []access.Passkey{spare(access.SignIn)} }, ""},
		{"a keykeeper who does not sign in", func(r *access.Roster) { r.People[ada].Passkeys = r.People[ada].Passkeys[1:] }, ""},
		{"an auditor with a passkey for releases alone", func(r *access.Roster) { r.People[zoe].Passkeys = []access.Passkey{spare(access.Release)} }, ""},
		{"an officer with passkeys", func(r *access.Roster) {
			r.People[zoe].Roles, r.People[zoe].Passkeys = []access.Role{access.Officer}, []access.Passkey{spare(access.Release)}
		}, ""},
		{"an SSH key beside", func(r *access.Roster) { r.People[ada].SSH = accesstest.NewPerson(t, "x1", access.Auditor).SSH }, ""},
		{"no domain", func(r *access.Roster) { r.Domain = "" }, "of which domain"},
		{"a domain in capitals", func(r *access.Roster) { r.Domain = "Acme.example" }, "no domain of passkeys"},
		{"an address as domain", func(r *access.Roster) { r.Domain = "192.0.2.1" }, "no domain of passkeys"},
		{"an origin as domain", func(r *access.Roster) { r.Domain = "https://acme.example" }, "no domain of passkeys"},
		{"an operator without an SSH key", func(r *access.Roster) {
			r.People[bob].SSH, r.People[bob].Passkeys = nil, []access.Passkey{spare(access.SignIn)}
		}, "bob: has no SSH key: an operator"},
		{"an operator who releases", func(r *access.Roster) { r.People[bob].Passkeys = []access.Passkey{spare(access.Release)} }, "bob: has a passkey for releases"},
		{"a keykeeper who only signs in", func(r *access.Roster) { r.People[ada].Passkeys = r.People[ada].Passkeys[:1] }, "ada: has no key to sign with"},
		{"an officer who only signs in", func(r *access.Roster) { r.People[zoe].Roles = []access.Role{access.Officer} }, "zoe: has no key to sign with"},
		{"nobody's keys", func(r *access.Roster) { r.People[zoe].Passkeys = nil }, "zoe: has no key"},
		{"nine", func(r *access.Roster) {
			for range 7 {
				r.People[ada].Passkeys = append(r.People[ada].Passkeys, spare(access.SignIn))
			}
		}, "9 passkeys, at most 8"},
		{"one for two people", func(r *access.Roster) { r.People[zoe].Passkeys[0].Key = r.People[ada].Passkeys[0].Key }, "ada and zoe have the same passkey"},
		{"one for two uses", func(r *access.Roster) { r.People[ada].Passkeys[1].Key = r.People[ada].Passkeys[0].Key }, "ada and ada have the same passkey"},
		{"one id for two keys", func(r *access.Roster) {
			a, b := r.People[ada].Passkeys[0].Key, r.People[ada].Passkeys[1].Key
			cose := strings.Fields(b.String())[2]
			key, err := passkey.ParseKey(strings.Join(append(strings.Fields(a.String())[:2], cose), " "))
			if err != nil {
				t.Fatal(err)
			}
			r.People[ada].Passkeys[1].Key = key
		}, "the same passkey"},
		{"another use", func(r *access.Roster) { r.People[ada].Passkeys[0].Use = "anything" }, `"anything" is no use`},
		{"no use", func(r *access.Roster) { r.People[ada].Passkeys[0].Use = "" }, "is no use"},
		{"an empty key", func(r *access.Roster) { r.People[ada].Passkeys[0].Key = passkey.Key{} }, ""},
	} {
		r := accesstest.Reread(t, team.Roster)
		tt.change(&r)
		b, err := spelling.Of(r)
		if err == nil {
			_, err = access.ParseRoster(b)
		}
		ok := tt.want == "" && tt.name != "an empty key"
		if ok != (err == nil) || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

// Who has passkeys is written as who has none, with more.
func TestPersonText(t *testing.T) {
	key, err := passkey.ParseKey("passkey AQ pQECAyYgASFYIBzyfyXaWRIIpCOcLjJPEE9YVSVHmint7t2DD0jneurlIlggWeS32mwBBuIGzjkMk6uYoVpew4h-V_DMK-zoA7kgxCM")
	if err != nil {
		t.Fatal(err)
	}
	p := access.Person{Name: "ada", Roles: []access.Role{access.Auditor}, Passkeys: []access.Passkey{{Key: key, Use: access.SignIn, Synced: true}}}
	e := access.Enrolment{Version: 1, Time: accesstest.Start, Person: p, Domain: accesstest.Domain}
	const want = `{"v":1,"store":"00000000000000000000000000000000","time":"2026-11-21T02:00:00Z","person":{"name":"ada","roles":["auditor"],` +
		`"passkeys":[{"key":"passkey AQ pQECAyYgASFYIBzyfyXaWRIIpCOcLjJPEE9YVSVHmint7t2DD0jneurlIlggWeS32mwBBuIGzjkMk6uYoVpew4h-V_DMK-zoA7kgxCM","use":"sign-in","synced":true}]},` +
		`"domain":"acme.example"}` + "\n"
	b, err := spelling.Of(e)
	if err != nil || string(b) != want {
		t.Errorf("%s, %v, want %s", b, err, want)
	}
}

func TestEnrolmentsWithPasskeys(t *testing.T) {
	zoe := accesstest.NewPasskeyPerson(t, "zoe", access.Auditor)
	good := access.Enrolment{Version: 1, Store: safe.NewStoreID(), Time: accesstest.Start, Person: zoe.Person, Domain: accesstest.Domain}
	if e, err := access.ParseEnrolment(good.Encode()); err != nil || !bytes.Equal(e.Encode(), good.Encode()) {
		t.Errorf("%+v, %v", e, err)
	}
	for name, change := range map[string]func(*access.Enrolment){
		"no domain":             func(e *access.Enrolment) { e.Domain = "" },
		"a domain that is none": func(e *access.Enrolment) { e.Domain = "acme.example." },
		"a domain without passkeys": func(e *access.Enrolment) {
			e.Person = accesstest.NewPerson(t, "zoe", access.Auditor).Person
		},
		"no key at all":    func(e *access.Enrolment) { e.Person.Passkeys, e.Domain = nil, "" },
		"an empty SSH key": func(e *access.Enrolment) { e.Person.SSH = []sshsig.PublicKey{{}} },
	} {
		e := good
		change(&e)
		b, err := json.Marshal(e)
		if err == nil {
			_, err = access.ParseEnrolment(append(b, '\n'))
		}
		if err == nil {
			t.Errorf("%s: %s is taken", name, b)
		}
	}
	// There is one spelling of no SSH keys.
	if b := bytes.Replace(good.Encode(), []byte(`"passkeys":`), []byte(`"ssh":[],"passkeys":`), 1); !bytes.Contains(b, []byte(`"ssh":[]`)) {
		t.Fatal("the test does not find the passkeys")
	} else if _, err := access.ParseEnrolment(b); err == nil {
		t.Errorf("%s is taken", b)
	}
}
