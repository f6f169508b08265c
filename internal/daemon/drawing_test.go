package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"strongroom/internal/daemon/state"
	"strongroom/internal/estate"
	"strongroom/internal/estate/order"
	"strongroom/internal/ledger"
	"strongroom/internal/report"
)

// reconfigured has a safe be as if it were opened anew: its configuration was
// changed, which a safe reads once.
func (s *Safe) reconfigured() { s.atlas.newest.Store(nil) }

// tell has a source have told of a host, in no collection.
func (h *hall) tell(s *Safe, host string) {
	h.t.Helper()
	h.strange = true
	h.must(s.state.Update(h.t.Context(), func(tx *state.Tx) error {
		return tx.SetFacts("web", estate.Facts{Components: []estate.Component{{ID: estate.NewID(estate.Host, host)}}})
	}))
}

// A map is drawn once, until something that it is drawn of changes, by whatever
// process.
func TestMapIsDrawnOnce(t *testing.T) {
	h := mappedHall(t)
	other, err := Open(t.Context(), h.cfg, h.safe.opts) // as a collection in a process of its own
	h.must(err)
	defer other.Close()
	ctx := t.Context()
	last, err := h.safe.Map(ctx)
	h.must(err)
	after := func(what string, anew bool) {
		t.Helper()
		m, err := h.safe.Map(ctx)
		h.must(err)
		if (m != last) != anew {
			t.Errorf("%s: drawn anew is %v, want %v", what, m != last, anew)
		}
		last = m
	}
	has := func(id estate.ID, want bool) {
		t.Helper()
		if _, ok := last.Component(id); ok != want {
			t.Errorf("%s is on the map: %v, want %v", id, ok, want)
		}
	}
	rules := func(v estate.Verdict, to estate.ID) error {
		h.pass(time.Second)
		return h.safe.Rule(ctx, estate.Ruling{Verdict: v, From: "host/one", To: to, Need: estate.Run, Evidence: estate.Evidence{Detail: "why"}}, "ada")
	}
	after("nothing", false)
	h.must(h.safe.state.Update(ctx, func(tx *state.Tx) error { return tx.Append(h.now(), ledger.Safe, ledger.ScrubDone{Objects: 1}) }))
	after("a scrub", false)
	h.tell(other, "one")
	after("facts that another process has taken in", true)
	has("host/one", true)
	h.tell(other, "one")
	after("the same once more", false)
	h.tell(h.safe, "two")
	after("other facts", true)
	has("host/one", false)
	h.must(rules(estate.Added, "host/db1"))
	after("what somebody says", true)
	has("host/one", true)
	_, err = other.WithdrawRulings(ctx, "host/one", "host/db1", "wrong", "ada")
	h.must(err)
	after("what somebody takes back", true)
	has("host/one", false)
	opened := func(want order.Means) {
		t.Helper()
		o, err := h.safe.Order(ctx, last)
		h.must(err)
		if got := o.Knots[0].Opened[0].Means; got != want {
			t.Errorf("the knot is opened by %s, want %s", got, want)
		}
	}
	opened(order.Least)
	h.must(other.Answer(ctx, order.Pair{From: "service/dns", To: "service/ldap"}, true, "why", "ada"))
	after("an answer", false)
	opened(order.ByAnswer)
	h.pass(freshFor - time.Second)
	after("most of an hour", false)
	h.pass(2 * time.Second)
	after("an hour", true)

	ended, cancel := context.WithCancel(ctx)
	cancel()
	h.tell(other, "three")
	if _, err := h.safe.Map(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("who is not there any more gets %v", err)
	}
	after("somebody who did not wait", true)
	has("host/three", true)
}

// All who look share a map, while others change what it is drawn of. None of
// them changes the map.
func TestMapIsShared(t *testing.T) {
	h := mappedHall(t)
	h.collect(1)
	h.tell(h.safe, "one")
	shared, err := h.safe.drawn(t.Context())
	h.must(err)
	before, err := shared.Encode()
	h.must(err)
	var all sync.WaitGroup
	ask := func(what string, ask func(ctx context.Context) error) {
		for range 3 {
			all.Go(func() {
				if err := ask(t.Context()); err != nil {
					t.Errorf("%s: %v", what, err)
				}
			})
		}
	}
	look := func() {
		ask("overview", func(ctx context.Context) error { _, err := h.safe.LookOverview(ctx); return err })
		ask("map", func(ctx context.Context) error { _, err := h.safe.LookMap(ctx, report.MapFilter{}); return err })
		ask("part of the map", func(ctx context.Context) error {
			_, err := h.safe.LookMap(ctx, report.MapFilter{Text: "db", Basis: estate.Stated})
			return err
		})
		ask("component", func(ctx context.Context) error { _, err := h.safe.LookComponent(ctx, "host/db1"); return err })
		ask("application", func(ctx context.Context) error { _, err := h.safe.LookApplication(ctx, "erp"); return err })
		ask("order", func(ctx context.Context) error { _, err := h.safe.Order(ctx, shared.Map); return err })
		ask("what would be", func(ctx context.Context) error {
			return h.safe.Rule(ctx, estate.Ruling{Verdict: estate.Added, From: "host/one", To: "host/db1", Need: estate.Run, Evidence: estate.Evidence{Detail: "why"}}, "ada")
		})
		ask("what is kept", func(ctx context.Context) error { return h.safe.keepDrawing(ctx, shared) })
	}
	look()
	for i := range 3 {
		h.tell(h.safe, fmt.Sprint("new", i))
		look()
	}
	all.Wait()
	after, err := shared.Encode()
	h.must(err)
	if !bytes.Equal(before, after) {
		t.Error("somebody has changed the map that all share")
	}
}

// A map that is no longer true when it could be kept is left to whoever has
// changed it.
func TestOldMapIsNotKept(t *testing.T) {
	h := mappedHall(t)
	h.tell(h.safe, "one")
	old, err := h.safe.drawn(t.Context())
	h.must(err)
	h.tell(h.safe, "two")
	h.must(h.safe.keepMap(t.Context()))
	h.must(h.safe.keepDrawing(t.Context(), old))
	m, _, err := h.safe.MapAt(t.Context(), h.now())
	h.must(err)
	if _, ok := m.Component("host/two"); !ok {
		t.Error("the map that is kept is not the newest")
	}
}

// A safe that serves people has the map drawn and ordered before they ask.
func TestMapIsReadyForPeople(t *testing.T) {
	h := mappedHall(t)
	h.tell(h.safe, "one")
	h.safe.atlas.newest.Store(nil)
	defer h.serve()()
	for range 1000 {
		if d := h.safe.atlas.newest.Load(); d != nil {
			if _, ok := d.Component("host/one"); !ok {
				t.Error("the map lacks what was told")
			}
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("the map is not drawn")
}
