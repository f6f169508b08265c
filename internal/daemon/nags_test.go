package daemon

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/access/accesstest"
	"strongroom/internal/access/api"
	"strongroom/internal/access/signature"
	"strongroom/internal/daemon/mail"
	"strongroom/internal/ledger"
	"strongroom/internal/report"
	"strongroom/internal/safe"
	"strongroom/internal/store/seal"
)

func TestNags(t *testing.T) {
	nags := func(h *hall) string {
		t.Helper()
		all, err := h.safe.Nags(t.Context())
		h.must(err)
		var lines []string
		for _, n := range all {
			lines = append(lines, n.Text)
		}
		return strings.Join(lines, "\n")
	}
	has := func(h *hall, wants ...string) {
		t.Helper()
		for _, want := range wants {
			if got := nags(h); !strings.Contains(got, want) {
				t.Errorf("%q is missing among\n%s", want, got)
			}
		}
	}
	h := newHall(t)
	has(h, "nobody stands in the roster", "no mail is configured")
	h.found(pair)
	has(h, "one keykeeper", "one operator", "outer key of ada was never proven", "inner key of bob was never proven", "outer key on paper was never proven")
	for _, paper := range []bool{false, true} {
		c, err := h.safe.BeginKeyCheck(t.Context(), from, "ada", api.KeyCheck{Role: "outer", Period: 1, Paper: paper})
		h.must(err)
		nonce, err := seal.AnswerOuterProof(h.outer[0], c.Sealed)
		h.must(err)
		h.must(h.safe.AnswerKeyCheck(t.Context(), from, "ada", api.Answer{ID: c.ID, Nonce: nonce}))
	}
	if got := nags(h); strings.Contains(got, "ada") || strings.Contains(got, "outer key") || strings.Contains(got, "one keykeeper") {
		t.Errorf("it nags about what was proven:\n%s", got)
	}
	h.pass(61 * 24 * time.Hour)
	has(h, "outer key of ada was proven last on", "outer key on paper was proven last on")
}

// nagsOf returns what h nags about, by level.
func (h *hall) nagsOf(level report.Level) (texts, remedies string) {
	h.t.Helper()
	all, err := h.safe.Nags(h.t.Context())
	h.must(err)
	for _, n := range all {
		if n.Level == level {
			texts, remedies = texts+n.Text+"\n", remedies+n.Remedy+"\n"
		}
	}
	return texts, remedies
}

// That nobody can release any more, or read, is the worst that there is to say
// of a safe, and everybody is told of it.
func TestNobodyIsLeft(t *testing.T) {
	suspend := func(h *hall, by, whom safe.PersonName, keys ...signature.Key) {
		h.pass(time.Second)
		for _, key := range keys {
			h.must(h.safe.Suspend(t.Context(), from, h.says(by, access.Suspend{Person: whom, Key: key, Reason: "lost"})))
		}
	}
	for _, c := range []struct {
		name     string
		by, whom safe.PersonName
		text, do string
	}{
		{"keykeeper", "bob", "ada", "nobody can release what was stored: ada is suspended", "people recover"},
		{"operator", "ada", "bob", "nobody can read what was stored: bob is suspended", "people recover"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newFoundedHall(t, pair)
			h.t = t
			if texts, _ := h.nagsOf(report.Alarm); texts != "" {
				t.Errorf("all can act: %s", texts)
			}
			suspend(h, c.by, c.whom, signature.Key{})
			texts, remedies := h.nagsOf(report.Alarm)
			if !strings.Contains(texts, c.text) || !strings.Contains(remedies, c.do) {
				t.Errorf("got %s%s", texts, remedies)
			}
			if v := h.overview().Verdict; v.Level != report.Alarm || !strings.Contains(v.Sentence, c.text[1:]) || !strings.Contains(v.Remedy, c.do) {
				t.Errorf("the verdict is %+v", v)
			}
			if f := last[ledger.FindingRaised](h); f.Finding != report.NobodyLeft || f.Subject != ledger.Text(c.name) || !mail.Deserves(f) {
				t.Errorf("people are told of %+v", f)
			}
		})
	}
	t.Run("one key", func(t *testing.T) {
		h := newFoundedHall(t, pair)
		suspend(h, "bob", "ada", h.people["ada"].Signing()...)
		if texts, _ := h.nagsOf(report.Alarm); !strings.Contains(texts, "ada has suspended keys and no others") {
			t.Errorf("got %s", texts)
		}
	})
	t.Run("another is left", func(t *testing.T) {
		h := newFoundedHall(t, pair+" kim:keykeeper")
		suspend(h, "bob", "ada", signature.Key{})
		if texts, _ := h.nagsOf(report.Alarm); texts != "" || len(all[ledger.FindingRaised](h)) > 0 {
			t.Errorf("kim is left: %s", texts)
		}
		texts, remedies := h.nagsOf(report.Look)
		if !strings.Contains(texts, "of 2 keykeepers only kim can release") || !strings.Contains(texts, "ada is suspended, and cannot release") || !strings.Contains(remedies, "people lift ada") {
			t.Errorf("got %s%s", texts, remedies)
		}
		suspend(h, "bob", "kim", signature.Key{})
		if texts, remedies := h.nagsOf(report.Alarm); !strings.Contains(texts, "ada is suspended, kim is suspended") || strings.Contains(remedies, "people lift") {
			t.Errorf("no keykeeper is left to agree: %s%s", texts, remedies)
		}
	})
}

// Who was never given the role key is no second one.
func TestKeykeeperWithoutACopy(t *testing.T) {
	for _, c := range []struct {
		name  string
		ada   accesstest.Somebody
		gives string
	}{
		{"terminal", accesstest.NewPerson(t, "ada", access.Keykeeper), "ada runs: strongroom people add kim"},
		{"page", accesstest.NewPasskeyPerson(t, "ada", access.Keykeeper), "ada presses “Give the missing copies” on the page People"},
	} {
		t.Run(c.name, func(t *testing.T) {
			team := accesstest.NewTeam(t, "bob:operator")
			team.Join(t, c.ada)
			kim := accesstest.NewPerson(t, "kim", access.Keykeeper)
			team.Join(t, kim)
			r := team.Roster
			r.Periods[0].OuterCopies = slices.DeleteFunc(r.Periods[0].OuterCopies, func(c access.Copy) bool { return c.Person == "kim" })
			n := nagging{situation: situation{now: accesstest.Start, roster: r}}
			n.roles()
			got := fmt.Sprint(n.all)
			for _, want := range []string{"of 2 keykeepers only ada can release", "kim has no copy of the outer key of period 1, and cannot release", c.gives} {
				if !strings.Contains(got, want) {
					t.Errorf("%q is missing in %s", want, got)
				}
			}
			if remedy := "bob enrols anew, with an address for mails"; strings.Contains(got, remedy) {
				t.Errorf("bob has an address: %s", got)
			}
			if strings.Contains(got, "outer key of kim was never proven") {
				t.Errorf("kim has nothing to prove: %s", got)
			}
		})
	}
}

// What nobody can do is no finding, and each has a remedy.
func TestNagsCanBeSeenTo(t *testing.T) {
	for _, c := range []struct {
		name  string
		ada   accesstest.Somebody
		paper bool
	}{
		{"a keykeeper has a terminal", accesstest.NewPerson(t, "ada", access.Keykeeper), true},
		{"all have phones", accesstest.NewPasskeyPerson(t, "ada", access.Keykeeper), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			team := accesstest.NewTeam(t, "bob:operator")
			c.ada.Mail = ""
			team.Join(t, c.ada)
			n := nagging{situation: situation{now: accesstest.Start, roster: team.Roster}}
			n.roles()
			if got := fmt.Sprint(n.all); strings.Contains(got, "outer key on paper") != c.paper || !strings.Contains(got, "ada enrols anew, with an address for mails: strongroom people invite ada --role keykeeper") {
				t.Errorf("got %s", got)
			}
			for _, nag := range n.all {
				if nag.Remedy == "" {
					t.Errorf("no remedy: %s", nag.Text)
				}
			}
		})
	}
}
