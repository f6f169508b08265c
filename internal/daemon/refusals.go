package daemon

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"strongroom/internal/daemon/state"
	"strongroom/internal/ledger"
)

// Nobody who is refused may fill the ledger: equal attempts within a while are
// one entry more, and in an hour only so many different ones of a sort are told.
const (
	refusalsWhile   = time.Minute
	refusalsAnHour  = 20
	tooManyRefusals = "many"
)

type refusal struct {
	what, reason ledger.Text
	from         netip.Addr
}

// sort is what attempts are counted with. Anybody can make as many as they have
// addresses, which must not hide what a person has tried.
func (r refusal) sort() ledger.Text {
	switch r.what {
	case "api", "sign-in", "enrol", "recovery":
		return "of strangers"
	case "prf", "gate":
		return r.what
	}
	return "of people"
}

// refusals are those that are still counted.
type refusals struct {
	mu    sync.Mutex // guards the fields below
	again map[refusal]*repeated
	hour  time.Time              // when the hour began
	sorts map[ledger.Text]*tally // of this hour
}

// A tally is of one sort.
type tally struct {
	told int
	more int64 // beyond those
}

// A repeated refusal was told once.
type repeated struct {
	since time.Time
	count int64 // since it was told
}

// Refused records that somebody tried what they may not. from may be the zero
// Addr.
func (s *Safe) Refused(ctx context.Context, what, reason string, from netip.Addr) {
	now := s.opts.Now().UTC()
	events := s.callers.refusals.add(now, refusal{ledger.TextOf(what), ledger.TextOf(reason), from.Unmap().WithZone("")})
	s.recordRefusals(ctx, now, events)
}

// tellRefusals records what was counted until now; all says to wait no longer.
func (s *Safe) tellRefusals(ctx context.Context, all bool) {
	now := s.opts.Now().UTC()
	s.recordRefusals(ctx, now, s.callers.refusals.flush(now, all))
}

func (s *Safe) recordRefusals(ctx context.Context, now time.Time, events []ledger.AccessRefused) {
	if len(events) == 0 {
		return
	}
	err := s.state.Update(context.WithoutCancel(ctx), func(tx *state.Tx) error {
		for _, e := range events {
			if err := tx.Append(now, ledger.Safe, e); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		// Whoever was refused stays so.
		s.log.Error("a refused attempt could not be recorded", "error", err)
		return
	}
	s.publishSoon(ctx)
}

// within reports whether less than d has passed since then. A clock that was
// put back ends every while: or else one that was years ahead for a moment
// would keep refusals from being told for years.
func within(now, since time.Time, d time.Duration) bool {
	passed := now.Sub(since)
	return 0 <= passed && passed < d
}

// add counts an attempt and returns what is to be recorded now.
func (r *refusals) add(now time.Time, attempt refusal) []ledger.AccessRefused {
	events := r.flush(now, false)
	r.mu.Lock()
	defer r.mu.Unlock()
	if again, ok := r.again[attempt]; ok {
		again.count++
		return events
	}
	if r.again == nil {
		r.again, r.sorts = make(map[refusal]*repeated), make(map[ledger.Text]*tally)
	}
	if len(r.sorts) == 0 {
		r.hour = now
	}
	t := r.sorts[attempt.sort()]
	if t == nil {
		t = new(tally)
		r.sorts[attempt.sort()] = t
	}
	if t.told >= refusalsAnHour {
		t.more++
		return events
	}
	t.told++
	r.again[attempt] = &repeated{since: now}
	return append(events, ledger.AccessRefused{What: attempt.what, Reason: attempt.reason, From: attempt.from, Count: 1})
}

// flush returns what has been counted long enough, or all.
func (r *refusals) flush(now time.Time, all bool) (events []ledger.AccessRefused) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for attempt, again := range r.again {
		if !all && within(now, again.since, refusalsWhile) {
			continue
		}
		if again.count > 0 {
			events = append(events, ledger.AccessRefused{What: attempt.what, Reason: attempt.reason, From: attempt.from, Count: again.count})
		}
		delete(r.again, attempt)
	}
	if all || !within(now, r.hour, time.Hour) {
		for _, sort := range slices.Sorted(maps.Keys(r.sorts)) {
			if t := r.sorts[sort]; t.more > 0 {
				reason := fmt.Sprintf("attempts (%s) beyond the %d that are told in an hour", sort, refusalsAnHour)
				events = append(events, ledger.AccessRefused{What: tooManyRefusals, Reason: ledger.Text(reason), Count: t.more})
			}
		}
		clear(r.sorts)
	}
	return events
}
