package browsertest

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/access"
	"strongroom/internal/access/api"
	"strongroom/internal/access/compose"
	"strongroom/internal/access/keyring"
	"strongroom/internal/store/seal"
)

// TestOwnKeys has ada give kim a copy, begin a period, and prove her keys.
func TestOwnKeys(t *testing.T) {
	s, p, secrets := keykeeper(t)
	second := s.aPeriodMore()
	kim := s.team.People["kim"].Identity
	proposed := func() access.Roster {
		t.Helper()
		p.Press("Propose it with your passkey")
		p.Wait(`document.querySelector(".ended") && document.activeElement.id === "people-status"`)
		if len(s.proposals) != 1 {
			t.Fatalf("%d proposals: %s", len(s.proposals), p.Text("body"))
		}
		next := s.proposals[0].Next()
		s.change(func() { s.proposals = nil })
		return next
	}
	p.Go(s.url + "/people")
	p.Press("Give the missing copies")
	next := proposed()
	if diff := cmp.Diff([]string{"gives kim a copy of the outer key of period 2"}, compose.Changes(s.team.Roster, next)); diff != "" {
		t.Errorf("what it changes (-want +got)\n%s", diff)
	}
	sealed, _ := next.Periods[1].OuterCopy("kim")
	must(seal.OpenOuterCopy(kim, sealed, second.Recipient()))(t)
	if n := p.spied(secrets); n != 2 {
		t.Errorf("it took %d touches", n)
	}

	p.Go(s.url + "/people")
	p.Press("Begin a new period")
	next = proposed()
	changes := compose.Changes(s.team.Roster, next)
	if want := []string{"begins period 3 with a new role key of the keykeepers", "gives ada a copy of the outer key of period 3", "gives kim a copy of the outer key of period 3"}; !slices.Equal(changes, want) {
		t.Errorf("it changes %q, want %q", changes, want)
	}
	sealed, _ = next.Periods[2].OuterCopy("kim")
	third := must(seal.OpenOuterCopy(kim, sealed, next.Periods[2].Outer))(t)
	secrets["the third outer key"] = []byte(third.PrivateLine())
	if n := p.spied(secrets); n != 1 {
		t.Errorf("it took %d touches", n)
	}

	p.Go(s.url + "/people")
	p.Press("Check your keys")
	p.Wait(`document.querySelector("#keep")`)
	if n := p.spied(secrets); n != 1 || !slices.Equal(s.proven, []api.KeyCheck{{Role: "outer", Period: 1}, {Role: "outer", Period: 2}}) {
		t.Errorf("%d touches have proven %+v: %s", n, s.proven, p.Text("body"))
	}
	if got := p.Text(".ended"); !strings.Contains(got, "The outer key of period 1 is proven. The outer key of period 2 is proven.") {
		t.Errorf("the page says %s", got)
	}
	p.Press("Put it under your passkey")
	p.Wait(`document.querySelector("#kept")`)
	if n := p.spied(secrets); n != 2 {
		t.Errorf("it took %d touches to keep a key", n)
	}
	kept := must(keyring.Parse(s.keyring))(t)
	if len(kept.Periods) != 1 || kept.Periods[0].Number != 2 {
		t.Errorf("the keyring has %+v", kept.Periods)
	}

	// What is kept is not offered again, and a copy that holds something else
	// proves nothing.
	p.Go(s.url + "/people")
	p.Press("Check your keys")
	p.Wait(`document.querySelector(".ended") && document.activeElement.id === "people-status"`)
	if Eval[bool](p, `!!document.querySelector("#keep")`) {
		t.Error("the key is to be kept twice")
	}
	p.spied(secrets)
	s.change(func() { s.proven = nil })
	s.change(func() {
		s.team.Roster.Periods[1].OuterCopies[0].Sealed = must(third.SealTo(s.enrolment.Person.Key, made))(t)
	})
	p.Go(s.url + "/people")
	p.Press("Check your keys")
	p.Wait(`document.querySelector("#people-status").innerText.includes("does not hold that key")`)
	if len(s.proven) > 0 {
		t.Errorf("the page has proven %+v", s.proven)
	}
	p.spied(secrets)
	secrets["the first outer key"], secrets["the second outer key"] = []byte(s.team.Outer.PrivateLine()), []byte(second.PrivateLine())
	p.keepsToItself(secrets)
}
