package access_test

import (
	"errors"
	"testing"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/access/accesstest"
	"strongroom/internal/access/compose"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
)

// A scene plays what happens to a proposal.
type scene struct {
	t    *testing.T
	team *accesstest.Team
	next access.Roster
	p    access.Proposal
	sit  access.Situation
}

func newScene(t *testing.T) *scene {
	team := accesstest.NewTeam(t, fourPeople)
	s := &scene{t: t, team: team, next: withAuditor(t, team), sit: access.Situation{Now: accesstest.Start, Snapshots: true}}
	var err error
	if s.p, err = access.Propose(team.Roster, s.next.Encode(), "ada", s.sit.Now); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *scene) agree(name safe.PersonName, after int64, want error) {
	s.t.Helper()
	p, err := s.p.Agree(s.team.Roster, s.team.Agrees(s.t, name, s.next, after), s.sit)
	if !errors.Is(err, want) {
		s.t.Fatalf("%s agrees: %v, want %v", name, err, want)
	}
	s.p = p
}

func (s *scene) ready(want time.Duration) {
	s.t.Helper()
	if got := s.p.Ready.Sub(s.sit.Now); s.p.Ready.IsZero() != (want < 0) || want >= 0 && got != want {
		s.t.Fatalf("comes into force at %v, now is %v, want in %v", s.p.Ready, s.sit.Now, want)
	}
}

const never = -1

func TestTwoAgreeAndWait(t *testing.T) {
	s := newScene(t)
	s.ready(never)
	s.agree("ada", 0, nil)
	s.ready(never)
	s.agree("ada", 0, access.ErrRepeated)
	s.agree("kim", 0, nil) // a second keykeeper is no operator
	s.ready(never)
	s.agree("bob", 0, nil)
	s.ready(24 * time.Hour)
	if s.p.Due(s.sit.Now.Add(24*time.Hour - time.Second)) {
		t.Error("it comes into force a second too early")
	}
	if !s.p.Due(s.sit.Now.Add(24 * time.Hour)) {
		t.Error("it does not come into force after its wait")
	}
	// A third agreement does not begin the wait again.
	s.sit.Now = s.sit.Now.Add(time.Hour)
	s.agree("otto", 0, nil)
	s.ready(23 * time.Hour)
}

func TestNoWaitWithoutSnapshots(t *testing.T) {
	s := newScene(t)
	s.sit.Snapshots = false
	s.agree("ada", 0, nil)
	s.agree("bob", 0, nil)
	s.ready(0)
}

func TestObjection(t *testing.T) {
	s := newScene(t)
	s.agree("ada", 0, nil)
	s.agree("bob", 0, nil)
	s.p = s.p.Object("kim", 17)
	s.ready(never)
	if s.p.Due(s.sit.Now.AddDate(1, 0, 0)) {
		t.Error("it comes into force in spite of an objection")
	}
	s.agree("ada", 0, access.ErrStale) // the signature from before
	s.agree("kim", 17, access.ErrObjector)
	s.agree("ada", 17, nil)
	s.agree("bob", 17, nil)
	s.ready(24 * time.Hour)
	s.p = s.p.Object("bob", 20)
	s.agree("ada", 20, nil)
	s.agree("bob", 20, access.ErrObjector)
	s.ready(never)
	s.agree("otto", 20, nil) // a pair without either objector
	s.ready(24 * time.Hour)
}

// Whoever makes a role key knows it. A keykeeper who has made the operators'
// key, and found one of them to agree with it, would need nobody any more.
func TestKeysComeFromTheirOwnRole(t *testing.T) {
	s := newScene(t)
	propose := func(role access.Role, by safe.PersonName) {
		t.Helper()
		var err error
		if s.next, err = compose.Renew(s.team.Roster, role, accesstest.Start.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if s.p, err = access.Propose(s.team.Roster, s.next.Encode(), ledger.Who(by), s.sit.Now); err != nil {
			t.Fatal(err)
		}
	}
	propose(access.Operator, "ada")
	s.agree("ada", 0, access.ErrMaker)
	// What a safe shows that lies, or has not looked.
	s.p.Agreed = []ledger.Signed{s.team.Agrees(t, "ada", s.next, 0)}
	if err := s.p.CheckMakers(s.team.Roster); !errors.Is(err, access.ErrMaker) {
		t.Errorf("bob is asked to agree with a key that a keykeeper has made: %v", err)
	}
	otto := accesstest.NewPerson(t, "otto", access.Operator)
	s.p.Agreed = append(s.p.Agreed, otto.States(t, s.team.Store, accesstest.Start, access.Agree{Number: s.next.Number, Digest: s.next.Digest()}))
	if err := s.p.CheckMakers(s.team.Roster); !errors.Is(err, access.ErrMaker) {
		t.Errorf("an operator's signature was forged: %v", err)
	}
	propose(access.Keykeeper, "ada")
	s.agree("bob", 0, access.ErrMaker)
	s.agree("ada", 0, nil)
	if err := s.p.CheckMakers(s.team.Roster); err != nil {
		t.Error(err)
	}
	s.agree("bob", 0, nil)
	s.ready(24 * time.Hour)
}

func TestSuspendedDoNotCount(t *testing.T) {
	s := newScene(t)
	s.agree("ada", 0, nil)
	bob := s.team.People["bob"]
	for _, suspension := range []access.Suspension{{Entry: 3, Person: "bob"}, {Entry: 3, Person: "bob", Key: bob.Keys()[0]}} {
		s.sit.Suspended = access.Suspensions{suspension}
		s.agree("bob", 0, access.ErrSuspended)
	}
	s.sit.Suspended = access.Suspensions{{Entry: 3, Person: "bob", Key: s.team.People["ada"].Keys()[0]}} // another key
	s.agree("bob", 0, nil)
	s.ready(24 * time.Hour)

	later := access.Suspensions{{Entry: 9, Person: "ada"}}
	s.p = s.p.Recount(s.team.Roster, later)
	s.ready(never)
	if len(s.p.Agreed) != 1 {
		t.Errorf("%d agreements are left, want bob's", len(s.p.Agreed))
	}
	lifting := s.team.Roster.Next()
	lifting.Lifted = []int64{9}
	if got := later.In(lifting); len(got) != 0 {
		t.Errorf("lifted, and still in force: %v", got)
	}
	if got := later.In(s.team.Roster); len(got) != 1 {
		t.Errorf("in force are %v, want ada's", got)
	}
}

func TestPapersWaitLonger(t *testing.T) {
	s := newScene(t)
	s.sit.Snapshots = false
	s.p = s.p.Prove(s.sit.Now)
	s.ready(72 * time.Hour)
	s.p = s.p.Recount(s.team.Roster, access.Suspensions{{Entry: 1, Person: "ada"}})
	s.ready(72 * time.Hour)
	s.p = s.p.Object("ada", 8)
	s.ready(never)
	if err := s.p.MayObject("ada"); !errors.Is(err, access.ErrObjected) {
		t.Errorf("ada stops again what nobody has agreed with since: %v", err)
	}
	if err := s.p.Prove(s.sit.Now).MayObject("ada"); err != nil {
		t.Errorf("when the papers are proven again: %v", err)
	}
	if s.p.Papers {
		t.Error("the proof still counts after an objection")
	}
}

// Before a safe is founded, its founders agree; nobody else can.
func TestFounding(t *testing.T) {
	team := accesstest.NewTeam(t, "ada:keykeeper bob:operator zoe:auditor")
	p, err := access.Propose(team.First, team.Roster.Encode(), "ada", accesstest.Start)
	if err != nil {
		t.Fatal(err)
	}
	sit := access.Situation{Now: accesstest.Start}
	stranger := accesstest.NewPerson(t, "bob", access.Operator)
	forged := stranger.States(t, team.Store, accesstest.Start, access.Agree{Number: 2, Digest: team.Roster.Digest()})
	for _, step := range []struct {
		name   string
		signed ledger.Signed
		want   error
	}{
		{"a keykeeper", team.Agrees(t, "ada", team.Roster, 0), nil},
		{"an auditor", team.Agrees(t, "zoe", team.Roster, 0), access.ErrNoVoice},
		{"another operator of that name", forged, access.ErrNotSigned},
		{"an operator", team.Agrees(t, "bob", team.Roster, 0), nil},
	} {
		if p, err = p.Agree(team.First, step.signed, sit); !errors.Is(err, step.want) {
			t.Fatalf("%s: %v, want %v", step.name, err, step.want)
		}
	}
	if !p.Due(accesstest.Start) {
		t.Error("the safe is not founded")
	}
	alone := accesstest.NewTeam(t, "ada:keykeeper")
	if _, err := access.Propose(alone.First, alone.Roster.Encode(), "ada", accesstest.Start); err == nil {
		t.Error("a safe can be founded without an operator")
	}
}
