package daemon

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/access/accesstest"
	"strongroom/internal/access/api"
	"strongroom/internal/access/signature"
	"strongroom/internal/estate"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/safe/config"
)

// A mapHall is a hall whose map says that host/a needs another.
type mapHall struct {
	*hall
	seen estate.ID
}

func newMapHall(t *testing.T) *mapHall {
	h := newFoundedHall(t, pair+" ana:officer olaf:officer dan:auditor")
	h.safe.opts.Program = playing("facts")
	return &mapHall{h, estate.NewID(estate.Host, h.collect(0).Run.String())}
}

// needs returns what host/a needs it for.
func (h *mapHall) needs() (all []estate.Need) {
	h.t.Helper()
	m, err := h.safe.Map(h.t.Context())
	h.must(err)
	for _, d := range m.Between("host/a", h.seen) {
		all = append(all, d.Need)
	}
	return all
}

func (h *mapHall) rejection() access.Rule {
	return access.Rule{Verdict: ledger.Rejected, From: "host/a", To: ledger.Text(h.seen), Need: "run", Reason: "it pulls"}
}

func (h *mapHall) rules(name safe.PersonName, act access.Rule) error {
	h.pass(time.Second) // a statement is good once
	return h.safe.RuleMap(h.t.Context(), from, h.says(name, act))
}

func (h *mapHall) takesBack(name safe.PersonName, entry int64) error {
	h.pass(time.Second)
	return h.safe.TakeBackRuling(h.t.Context(), from, h.says(name, access.TakeBack{Entry: entry, Reason: "it does wait"}))
}

// newest returns the number of the newest ruling that is in force.
func (h *mapHall) newest() int64 {
	h.t.Helper()
	all, err := rulingsOf(h.safe.state.View(h.t.Context()))
	h.must(err)
	if len(all) == 0 {
		h.t.Fatal("nothing is said")
	}
	return slices.MaxFunc(all, func(a, b Ruling) int { return cmp.Compare(a.Entry, b.Entry) }).Entry
}

// What an officer signs is on the map at once, with their name, and off it when
// an officer takes it back, be it their own word or somebody's at the safe's host.
func TestOfficersSayWhatDependsOnWhat(t *testing.T) {
	h := newMapHall(t)
	want := func(needs ...estate.Need) {
		t.Helper()
		if got := h.needs(); !slices.Equal(got, needs) {
			t.Errorf("host/a needs it to %v, want %v", got, needs)
		}
	}
	want(estate.Run)
	h.must(h.rules("ana", h.rejection()))
	want()
	rejected := last[ledger.MapRuled](h.hall)
	if rejected.Account != "" || rejected.Signed.Statement == "" || rejected.Reason != "it pulls" {
		t.Errorf("the ledger says %+v", rejected)
	}
	first := h.newest()
	m, err := h.safe.Map(t.Context())
	h.must(err)
	if len(m.Overruled) != 1 || m.Overruled[0].By[0].Source != "ana" || m.Overruled[0].By[0].Place != fmt.Sprintf("entry %d of the ledger", first) {
		t.Errorf("the map says %+v", m.Overruled)
	}
	h.must(h.takesBack("olaf", first))
	want(estate.Run)
	if got := last[ledger.MapWithdrawn](h.hall); got.Entry != first || got.Account != "" {
		t.Errorf("the ledger says %+v", got)
	}
	var invalid *api.InvalidError
	if err := h.takesBack("ana", first); !errors.As(err, &invalid) {
		t.Errorf("what was taken back: %v", err)
	}

	added := access.Rule{Verdict: ledger.Added, From: "host/a", To: "external/license.vendor.example", Need: "start", Reason: "it asks for it"}
	h.must(h.rules("ana", added))
	m, err = h.safe.Map(t.Context())
	h.must(err)
	if len(m.Between("host/a", "external/license.vendor.example")) != 1 {
		t.Error("what was added is not on the map")
	}

	h.must(h.safe.Rule(t.Context(), estate.Ruling{Verdict: estate.Rejected, From: "host/a", To: h.seen, Evidence: estate.Evidence{Detail: "why"}}, "root"))
	want()
	h.must(h.takesBack("ana", h.newest()))
	want(estate.Run)
	h.must(h.rules("ana", h.rejection()))
	taken, err := h.safe.WithdrawRulings(t.Context(), "host/a", h.seen, "why", "root")
	if err != nil || len(taken) != 1 {
		t.Errorf("at the safe's host, %v was taken back, %v", taken, err)
	}
	want(estate.Run)
	h.sound()
}

// Whatever does not bear the signature of an officer, made just now for this
// safe, is denied, and the ledger says so.
func TestWhoSaysNothingOfTheMap(t *testing.T) {
	h := newMapHall(t)
	h.must(h.rules("ana", h.rejection()))
	mine := h.newest()
	ruled, withdrawn := len(all[ledger.MapRuled](h.hall)), len(all[ledger.MapWithdrawn](h.hall))
	h.must(h.suspend("ada", "olaf"))
	h.people["eve"] = accesstest.NewPerson(t, "eve", access.Officer)
	confirm := h.rejection()
	confirm.Verdict = ledger.Confirmed
	for name, words := range map[safe.PersonName]string{
		"ada": "ada is no officer", "bob": "bob is no officer", "dan": "dan is no officer",
		"olaf": access.ErrSuspended.Error(), "eve": access.ErrNotSigned.Error(),
	} {
		h.denied(h.rules(name, confirm), words)
		h.denied(h.takesBack(name, mine), words)
	}

	good := h.says("ana", confirm)
	back := h.says("ana", access.TakeBack{Entry: mine, Reason: "wrong"})
	ctx := t.Context()
	altered := func(s ledger.Signed, old, new string) ledger.Signed {
		t.Helper()
		if !strings.Contains(s.Statement, old) {
			t.Fatalf("%q is not in %s", old, s.Statement)
		}
		s.Statement = strings.Replace(s.Statement, old, new, 1)
		return s
	}
	h.denied(h.safe.RuleMap(ctx, from, altered(good, "host/a", "host/b")), access.ErrNotSigned.Error())
	h.denied(h.safe.RuleMap(ctx, from, altered(good, "confirmed", "rejected")), access.ErrNotSigned.Error())
	h.denied(h.safe.RuleMap(ctx, from, altered(good, `"ana"`, `"dan"`)), access.ErrNotSigned.Error())
	h.denied(h.safe.TakeBackRuling(ctx, from, altered(back, "wrong", "right")), access.ErrNotSigned.Error())
	other := h.people["ana"].States(t, safe.NewStoreID(), h.now(), confirm)
	h.denied(h.safe.RuleMap(ctx, from, other), "a statement for store")
	old := h.people["ana"].States(t, h.safe.ID(), h.now().Add(-time.Hour), confirm)
	h.denied(h.safe.RuleMap(ctx, from, old), ErrClock.Error())
	var invalid *api.InvalidError
	if err := h.safe.RuleMap(ctx, from, back); !errors.As(err, &invalid) {
		t.Errorf("another act: %v", err)
	}
	if err := h.safe.TakeBackRuling(ctx, from, good); !errors.As(err, &invalid) {
		t.Errorf("another act: %v", err)
	}
	// One key of an officer that is suspended signs no more.
	h.pass(time.Second)
	key := signature.FromSSH(h.people["ana"].SSH[0])
	h.must(h.safe.Suspend(ctx, from, h.says("ada", access.Suspend{Person: "ana", Key: key, Reason: "a test"})))
	h.denied(h.rules("ana", confirm), access.ErrSuspended.Error())
	if len(all[ledger.MapRuled](h.hall)) != ruled || len(all[ledger.MapWithdrawn](h.hall)) != withdrawn {
		t.Error("something was said of the map all the same")
	}
	if got := h.needs(); got != nil {
		t.Errorf("host/a needs it to %v", got)
	}
	h.sound()
}

// What was signed is good once, also after the state was lost and made anew.
func TestWordOnTheMapIsGoodOnce(t *testing.T) {
	h := newMapHall(t)
	signed := h.says("ana", h.rejection())
	h.must(h.safe.RuleMap(t.Context(), from, signed))
	h.denied(h.safe.RuleMap(t.Context(), from, signed), "used")
	back := h.says("ana", access.TakeBack{Entry: h.newest(), Reason: "wrong"})
	h.must(h.safe.TakeBackRuling(t.Context(), from, back))
	h.denied(h.safe.RuleMap(t.Context(), from, signed), "used")
	h.denied(h.safe.TakeBackRuling(t.Context(), from, back), "used")
	h.strange = true // it is lost here
	h.lose()
	h.rebuild()
	h.denied(h.safe.RuleMap(t.Context(), from, signed), "used")
	h.denied(h.safe.TakeBackRuling(t.Context(), from, back), "used")
}

// What cannot be said is told, and not recorded.
func TestWhatOfficersCannotSay(t *testing.T) {
	h := newMapHall(t)
	h.cfg.Components = []config.Component{{ID: "host/c", DependsOn: []config.Relation{{To: "host/d", Need: estate.Run, By: "mia"}}}}
	rule := func(change func(*access.Rule)) access.Rule {
		r := access.Rule{Verdict: ledger.Added, From: "host/a", To: "host/b", Need: "run", Reason: "why"}
		change(&r)
		return r
	}
	for name, act := range map[string]access.Rule{
		"no reason":                  rule(func(r *access.Rule) { r.Reason = "" }),
		"a blank for a reason":       rule(func(r *access.Rule) { r.Reason = " " }),
		"a reason that is too long":  rule(func(r *access.Rule) { r.Reason = ledger.Text(strings.Repeat("x", estate.MaxDetail+1)) }),
		"another verdict":            rule(func(r *access.Rule) { r.Verdict = "doubted" }),
		"no verdict":                 rule(func(r *access.Rule) { r.Verdict = "" }),
		"itself":                     rule(func(r *access.Rule) { r.To = r.From }),
		"no component":               rule(func(r *access.Rule) { r.To = "b" }),
		"another kind":               rule(func(r *access.Rule) { r.To = "thing/b" }),
		"a name that is too long":    rule(func(r *access.Rule) { r.To = ledger.Text("host/" + strings.Repeat("b", 4000)) }),
		"another need":               rule(func(r *access.Rule) { r.Need = "hard" }),
		"not what for":               rule(func(r *access.Rule) { r.Need = "" }),
		"against the configuration":  {Verdict: ledger.Rejected, From: "host/c", To: "host/d", Reason: "why"},
		"something of the wrong one": {Verdict: ledger.Rejected, From: "", To: "host/d", Reason: "why"},
	} {
		var invalid *api.InvalidError
		if err := h.rules("ana", act); !errors.As(err, &invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, entry := range []int64{-1, 0, 1, 1 << 40} {
		var invalid *api.InvalidError
		if err := h.takesBack("ana", entry); !errors.As(err, &invalid) {
			t.Errorf("entry %d: %v", entry, err)
		}
	}
	if n := len(all[ledger.MapRuled](h.hall)) + len(all[ledger.MapWithdrawn](h.hall)); n > 0 {
		t.Errorf("the ledger has %d words of the map", n)
	}
}
