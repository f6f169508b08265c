package access_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/access/accesstest"
	"strongroom/internal/store/seal"
)

// A safe is founded with the role keys that it was made with, or with an outer
// key that stands in the enrolment of a keykeeper as they stand in the roster.
func TestCheckFounding(t *testing.T) {
	team := accesstest.NewTeam(t, "ada:keykeeper bob:operator kim:keykeeper")
	outer, inner := must(seal.NewOuterIdentity())(t), must(seal.NewInnerIdentity())(t)
	sealed := must(outer.SealTo(team.People["ada"].Key, accesstest.Start))(t)
	enrolments := func(change func(*access.Enrolment)) []access.Enrolment {
		e := access.Enrolment{Version: 1, Store: team.Store, Time: accesstest.Start, Person: team.People["ada"].Person, Outer: outer.Recipient(), OuterCopy: sealed}
		if change != nil {
			change(&e)
		}
		return []access.Enrolment{{Version: 1, Store: team.Store, Time: accesstest.Start, Person: team.People["kim"].Person}, e}
	}
	begun := func(change func(*access.Period)) access.Roster {
		next := accesstest.Reread(t, team.Roster)
		period := next.Current()
		period.From, period.Outer, period.OuterCopies = period.From.Add(time.Second), outer.Recipient(), []access.Copy{{Person: "ada", Sealed: sealed}}
		if change != nil {
			change(&period)
		}
		next.Periods = append(next.Periods, period)
		return accesstest.Reread(t, next)
	}
	for _, tt := range []struct {
		name       string
		next       access.Roster
		enrolments []access.Enrolment
		want       string
	}{
		{"with the keys of the first version", team.Roster, nil, ""},
		{"with a key that ada has made", begun(nil), enrolments(nil), ""},
		{"nobody has enrolled", begun(nil), nil, "none of its keykeepers has enrolled"},
		{"with another key", begun(nil), enrolments(func(e *access.Enrolment) { e.Outer = team.Outer.Recipient() }), "none of its keykeepers"},
		{"with another copy", begun(func(p *access.Period) { p.OuterCopies[0].Sealed = []byte("x") }), enrolments(nil), "none of its keykeepers"},
		{"with a copy for kim", begun(func(p *access.Period) { p.OuterCopies[0].Person = "kim" }), enrolments(nil), "none of its keykeepers"},
		{"as somebody else", begun(nil), enrolments(func(e *access.Enrolment) { e.Person.Mail = "mallory@example.com" }), "none of its keykeepers"},
		{"who is not there", begun(nil), enrolments(func(e *access.Enrolment) { e.Person.Name = "eve" }), "none of its keykeepers"},
		{"another inner key", begun(func(p *access.Period) { p.Inner, p.InnerCopies = inner.Recipient(), nil }), enrolments(nil), "another inner key"},
	} {
		if err := access.CheckFounding(team.First, tt.next, tt.enrolments); (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: the error is %v, want %q", tt.name, err, tt.want)
		}
	}
	if err := access.CheckFounding(team.Roster, begun(nil), nil); err != nil {
		t.Errorf("once it is founded, its people decide: %v", err)
	}

	// Who proposes it may be of either role, and an operator's key needs an
	// operator all the same.
	at := access.Situation{Now: accesstest.Start}
	for next, want := range map[*access.Roster]error{new(begun(nil)): nil, new(begun(func(p *access.Period) { p.Inner, p.InnerCopies = inner.Recipient(), nil })): access.ErrMaker} {
		p := must(access.Propose(team.First, next.Encode(), "ada", accesstest.Start))(t)
		if _, err := p.Agree(team.First, team.Agrees(t, "ada", *next, 0), at); !errors.Is(err, want) {
			t.Errorf("a keykeeper proposes it: %v, want %v", err, want)
		}
	}
	next := begun(nil)
	p := must(access.Propose(team.First, next.Encode(), "bob", accesstest.Start))(t)
	if _, err := p.Agree(team.First, team.Agrees(t, "bob", next, 0), at); err != nil {
		t.Errorf("an operator proposes it: %v", err)
	}
}

func TestEnrolmentWithAnOuterKey(t *testing.T) {
	ada := accesstest.NewPasskeyPerson(t, "ada", access.Keykeeper)
	outer := must(seal.NewOuterIdentity())(t)
	good := access.Enrolment{Version: 1, Time: accesstest.Start, Person: ada.Person, Domain: accesstest.Domain, Outer: outer.Recipient(), OuterCopy: []byte("x")}
	b := good.Encode()
	if e, err := access.ParseEnrolment(b); err != nil || e.Outer != good.Outer {
		t.Errorf("%+v, %v", e, err)
	}
	if _, tail, ok := strings.Cut(string(b), `"domain":"acme.example","outer":"`+outer.Recipient().String()+`","outer_copy":"`); !ok {
		t.Errorf("it is spelled %s", tail)
	}
	alone := good
	alone.OuterCopy = nil
	if _, err := access.ParseEnrolment(alone.Encode()); err == nil {
		t.Error("a new outer key that nobody brings is taken")
	}
	officer := good
	officer.Person = accesstest.NewPasskeyPerson(t, "ada", access.Officer).Person
	if _, err := access.ParseEnrolment(officer.Encode()); err == nil {
		t.Error("an officer brings the keykeepers' key")
	}
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
