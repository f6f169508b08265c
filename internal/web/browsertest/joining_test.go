package browsertest

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/access"
	"strongroom/internal/access/accesstest"
	"strongroom/internal/access/compose"
	"strongroom/internal/safe"
	"strongroom/internal/safe/words"
	"strongroom/internal/store/seal"
)

// TestTakeIn has ada take a keykeeper and an officer in, who gets the keys of
// all periods.
func TestTakeIn(t *testing.T) {
	s, p, secrets := keykeeper(t)
	second := s.aPeriodMore()
	petra, eva, olga := accesstest.NewPasskeyPerson(t, "petra", access.Keykeeper), accesstest.NewPasskeyPerson(t, "eva", access.Officer), accesstest.NewPerson(t, "olga", access.Operator)
	for _, who := range []accesstest.Somebody{petra, eva, olga} {
		e := access.Enrolment{Version: 1, Store: s.team.Store, Time: made, Person: who.Person}
		if len(who.Passkeys) > 0 {
			e.Domain = "localhost"
		}
		s.change(func() { s.enrolments = append(s.enrolments, e) })
	}
	p.Go(s.url + "/people")
	p.Wait(`document.querySelector("#join")`)
	if got := p.texts("#joining-panel .words"); !slices.Equal(got, []string{words.Of(s.enrolments[0].Digest()), words.Of(s.enrolments[1].Digest())}) {
		t.Errorf("the page shows the words %q", got)
	}
	p.Press("Take in whose words you have heard")
	p.Wait(`document.querySelector("#people-status").innerText.includes("then tick their names")`)
	p.Tick("#heard-petra")
	p.Tick("#heard-eva")
	p.Press("Take in whose words you have heard")
	p.Wait(`document.querySelector("#joining-panel .list")`)
	shown := p.texts("#joining-panel .list li")
	p.Press("Propose it with your passkey")
	p.Wait(`document.querySelector(".ended") && document.activeElement.id === "people-status"`)
	if n := p.spied(secrets); n != 2 || len(s.proposals) != 1 {
		t.Fatalf("%d touches, %d proposals: %s", n, len(s.proposals), p.Text("body"))
	}
	next := s.proposals[0].Next()
	if diff := cmp.Diff(compose.Changes(s.team.Roster, next), shown); diff != "" {
		t.Errorf("what it changes (-a terminal +the page)\n%s", diff)
	}
	for _, where := range []string{".ended", "#proposals dd.words"} {
		if got := p.Text(where); !strings.Contains(got, words.Of(next.Digest())) {
			t.Errorf("%s shows the words %q", where, got)
		}
	}
	// Who is proposed is not to be taken in once more.
	if got := p.Text("#joining-panel"); got != "Operators are taken in by an operator, from a terminal." {
		t.Errorf("the page offers: %s", got)
	}
	if _, ok := next.Person("olga"); ok || len(next.People) != 5 {
		t.Errorf("there are %d people", len(next.People))
	}
	for i, key := range []seal.OuterIdentity{s.team.Outer, second} {
		for name, identity := range map[safe.PersonName]seal.PersonalIdentity{"petra": petra.Identity, "kim": s.team.People["kim"].Identity} {
			sealed, _ := next.Periods[i].OuterCopy(name)
			if _, err := seal.OpenOuterCopy(identity, sealed, key.Recipient()); err != nil {
				t.Errorf("the copy of %s of period %d: %v", name, i+1, err)
			}
		}
		if _, ok := next.Periods[i].OuterCopy("eva"); ok {
			t.Error("an officer has a copy")
		}
	}
	// Nor does another version take the place of one that is agreed on, unsaid.
	agreed := s.team.People["bob"].States(t, s.team.Store, time.Now(), access.Agree{Number: next.Number, Digest: next.Digest()})
	s.change(func() {
		s.proposals[0] = must(s.proposals[0].Agree(s.team.Roster, agreed, access.Situation{Now: time.Now(), Snapshots: true}))(t)
	})
	p.Go(s.url + "/people")
	p.Press("Begin a new period")
	p.Wait(`document.querySelector(".beside")`)
	if got, want := p.Text(".beside"), "Note: version 3, which you have proposed before, is dropped by this. What bob agreed on counts no more, and the wait begins anew."; got != want {
		t.Errorf("the page says %q, want %q", got, want)
	}
	secrets["the first outer key"], secrets["the second outer key"] = []byte(s.team.Outer.PrivateLine()), []byte(second.PrivateLine())
	p.keepsToItself(secrets)
	if complaints := p.Complaints(); len(complaints) > 0 {
		t.Errorf("the browser complains: %q", complaints)
	}
}

// TestTakeInAnew has ada take kim in anew, who was suspended: with new keys she
// counts again, which the page says before anybody agrees.
func TestTakeInAnew(t *testing.T) {
	s, p, _ := keykeeper(t)
	kim := accesstest.NewPasskeyPerson(t, "kim", access.Keykeeper)
	s.change(func() {
		s.suspensions = access.Suspensions{{Entry: 9, Person: "kim"}, {Entry: 11, Person: "bob"}}
		s.enrolments = append(s.enrolments, access.Enrolment{Version: 1, Store: s.team.Store, Time: made, Person: kim.Person, Domain: "localhost"})
	})
	p.Go(s.url + "/people")
	p.Tick("#heard-kim")
	p.Press("Take in whose words you have heard")
	p.Wait(`document.querySelector("#joining-panel .list")`)
	if shown := p.texts("#joining-panel .list li"); !slices.Contains(shown, "lifts the suspension of ledger entry 9") {
		t.Errorf("the page shows %q", shown)
	}
	p.Press("Propose it with your passkey")
	p.Wait(`document.querySelector(".ended") && document.activeElement.id === "people-status"`)
	if got := s.proposals[0].Next().Lifted; !slices.Equal(got, []int64{9}) {
		t.Errorf("it lifts %v", got)
	}
}

// TestTakeInIsRefusedByThePage has it compose what nobody should propose.
func TestTakeInIsRefusedByThePage(t *testing.T) {
	s, p, _ := keykeeper(t)
	good := s.team.Roster
	petra := accesstest.NewPasskeyPerson(t, "petra", access.Keykeeper)
	officer := accesstest.NewPasskeyPerson(t, "kim", access.Officer)
	for _, tt := range []struct {
		name, want string
		person     access.Person
		domain     string
		before     func()
	}{
		{"passkeys of another domain", "they must enrol there", petra.Person, "evil.example", func() {}},
		{"a keykeeper becomes officer", "would no longer be what they are", officer.Person, "localhost", func() {}},
		{"she lacks a key", "you cannot", petra.Person, "localhost", func() {
			s.aPeriodMore()
			copies := s.team.Roster.Periods[1].OuterCopies
			copies[0] = access.Copy{Person: "kim", Sealed: copies[0].Sealed}
		}},
		{"her copy holds another key", "does not hold that key", petra.Person, "localhost", func() {
			s.aPeriodMore()
			s.change(func() {
				s.team.Roster.Periods[1].OuterCopies[0].Sealed = must(s.team.Outer.SealTo(s.enrolment.Person.Key, made))(t)
			})
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.change(func() { s.team.Roster = accesstest.Reread(t, good) })
			tt.before()
			s.change(func() {
				s.enrolments = []access.Enrolment{{Version: 1, Store: s.team.Store, Time: made, Person: tt.person, Domain: tt.domain}}
			})
			p.Go(s.url + "/people")
			p.Tick("#heard-" + string(tt.person.Name))
			p.Press("Take in whose words you have heard")
			p.Wait(`document.querySelector("#people-status").innerText !== ""`)
			if got := p.Text("#people-status"); !strings.Contains(got, tt.want) || len(s.proposals) > 0 {
				t.Errorf("the page says %q, want %q", got, tt.want)
			}
		})
	}
}
