package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/access/api"
	"strongroom/internal/access/opening"
	"strongroom/internal/access/signature"
	"strongroom/internal/daemon/state"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
)

// callers is what the side of a safe that people call keeps in memory. A stop
// loses it, which costs people a repetition and nothing else.
type callers struct {
	grants     once[opening.Nonce, issued]
	challenges once[access.Token, challenge] // of people who check their keys
	recoveries once[access.Token, challenge] // apart: anybody may ask for one, and many make the oldest void
	tickets    once[access.Token, ticket]
	signIns    once[opening.Nonce, struct{}]       // anybody may ask for one
	passkeys   once[safe.Digest, passkeyChallenge] // by the hash of an invitation's token
	refusals   refusals

	opening sync.Mutex     // held while an opening opens, closes or is prolonged; guards door
	door    *door          // nil if none is open
	doors   sync.WaitGroup // goroutines that follow doors
}

// actLife is how long what was signed is good: statements, and the nonces of
// grants. People's clocks may differ from the safe's by as much.
const actLife = 15 * time.Minute

// ErrClock means that a statement is not from now.
var ErrClock = errors.New("it was not signed just now: either it is an old one, or the clock of the machine where it was signed is wrong")

// deny makes err the reason why somebody may not do what they tried. It is
// recorded when it comes to settle.
func deny(err error) error { return &api.DeniedError{Reason: err.Error(), Err: err} }

func denyf(format string, args ...any) error { return deny(fmt.Errorf(format, args...)) }

// isDenied tells a decision from a failure.
func isDenied(err error) bool {
	_, denied := errors.AsType[*api.DeniedError](err)
	return denied
}

func invalid(format string, args ...any) error {
	return &api.InvalidError{Reason: fmt.Sprintf(format, args...)}
}

// change commits what somebody asked for, or records that it was denied.
func (s *Safe) change(ctx context.Context, from netip.Addr, what string, change func(*state.Tx) error) error {
	err := s.state.Update(ctx, change)
	if err == nil {
		s.publishSoon(ctx)
	}
	return s.settle(ctx, from, what, err)
}

// settle records it if err denies something.
func (s *Safe) settle(ctx context.Context, from netip.Addr, what string, err error) error {
	if d, ok := errors.AsType[*api.DeniedError](err); ok {
		d.What = what
		s.Refused(ctx, what, d.Reason, from)
	}
	return err
}

// publishSoon is Publish where what counts was committed: if it fails now, it
// is done with whatever is published next.
func (s *Safe) publishSoon(ctx context.Context) {
	if err := s.Publish(context.WithoutCancel(ctx)); err != nil {
		s.log.Warn("what was recorded is not in the store yet", "error", err)
	}
}

// A situation is what decides about people's acts at one moment.
type situation struct {
	now       time.Time
	roster    access.Roster // in force
	suspended access.Suspensions
	snapshots bool
}

func (s *Safe) situation(v state.View) (situation, error) {
	sit := situation{now: s.opts.Now().UTC()}
	roster, ok, err := v.InForce()
	if err != nil {
		return sit, err
	}
	if !ok {
		return sit, errors.New("the state knows no roster") // Open has seen to it
	}
	all, err := v.Suspensions()
	if err != nil {
		return sit, err
	}
	sit.roster, sit.suspended = roster, all.In(roster)
	sit.snapshots, err = v.HasSnapshots()
	return sit, err
}

// access returns it in the words of package access.
func (sit situation) access() access.Situation {
	return access.Situation{Now: sit.now, Snapshots: sit.snapshots, Suspended: sit.suspended}
}

// holder returns the person of that name, who must have the role and not be
// suspended as a whole.
func (sit situation) holder(name safe.PersonName, role access.Role) (access.Person, error) {
	p, ok := sit.roster.Person(name)
	switch {
	case !ok || !p.Has(role):
		return p, denyf("%s is no %s", name, role)
	case sit.suspended.Stop(name, signature.Key{}):
		return p, deny(access.ErrSuspended)
	}
	return p, nil
}

// A heard statement was verified against the roster in force.
type heard struct {
	access.Statement
	person access.Person
}

// hear verifies what a person of the roster has stated just now, and that it is
// stated for the first time.
func (s *Safe) hear(tx *state.Tx, sit situation, signed ledger.Signed) (heard, error) {
	h, err := s.recognize(sit, signed)
	if err != nil {
		return heard{}, err
	}
	return h, s.fresh(tx, sit.now, signed)
}

// hearAct is hear for a statement of that kind, in the situation of the moment.
func hearAct[A access.Act](s *Safe, tx *state.Tx, signed ledger.Signed) (sit situation, h heard, act A, err error) {
	if sit, err = s.situation(tx.View()); err != nil {
		return sit, h, act, err
	}
	if h, err = s.hear(tx, sit, signed); err != nil {
		return sit, h, act, err
	}
	act, ok := h.Act.(A)
	if !ok {
		err = invalid("what was signed is %s, not %s", h.Act.Act(), act.Act())
	}
	return sit, h, act, err
}

// recognize verifies what a person of the roster has stated at some time.
func (s *Safe) recognize(sit situation, signed ledger.Signed) (heard, error) {
	st, key, err := sit.roster.Verify(signed)
	if err != nil {
		return heard{}, deny(err)
	}
	if sit.suspended.Stop(st.Person, key) {
		return heard{}, deny(access.ErrSuspended)
	}
	p, _ := sit.roster.Person(st.Person)
	return heard{st, p}, nil
}

// fresh sees that a statement is from now, and takes it as used.
func (s *Safe) fresh(tx *state.Tx, now time.Time, signed ledger.Signed) error {
	st, err := access.ParseStatement([]byte(signed.Statement))
	if err != nil {
		return deny(err)
	}
	if d := now.Sub(st.Time); d > actLife || d < -actLife {
		return deny(ErrClock)
	}
	err = tx.Use(safe.DigestOf([]byte(signed.Statement)), now)
	if errors.Is(err, state.ErrUsed) {
		return deny(err)
	}
	return err
}

// A once keeps what is handed out to be brought back, once and soon. The zero
// value is ready to use.
type once[K comparable, V any] struct {
	mu  sync.Mutex // guards the field below
	all map[K]kept[V]
}

type kept[V any] struct {
	value V
	by    ledger.Who // "" for a stranger
	until time.Time
}

// mostKept bounds what is kept, and mostOfOne what is of one person; whoever asks
// for more makes the oldest void. So a person, or who has stolen their cookie,
// makes their own void and nobody else's.
const (
	mostKept  = 256
	mostOfOne = 32
)

// put keeps what was handed out to somebody, "" for a stranger.
func (o *once[K, V]) put(now time.Time, life time.Duration, by ledger.Who, key K, value V) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.all == nil {
		o.all = make(map[K]kept[V])
	}
	var oldest, oldestOfOne K
	ofOne := 0
	older := func(v kept[V], than K) bool {
		other, ok := o.all[than]
		return !ok || v.until.Before(other.until)
	}
	for k, v := range o.all {
		if now.After(v.until) {
			delete(o.all, k)
			continue
		}
		if older(v, oldest) {
			oldest = k
		}
		if v.by != by {
			continue
		}
		ofOne++
		if older(v, oldestOfOne) {
			oldestOfOne = k
		}
	}
	switch {
	case by != "" && ofOne >= mostOfOne:
		delete(o.all, oldestOfOne)
	case len(o.all) >= mostKept:
		delete(o.all, oldest)
	}
	o.all[key] = kept[V]{value, by, now.Add(life)}
}

// look returns what was put there, which stays.
func (o *once[K, V]) look(now time.Time, key K) (V, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	v, ok := o.all[key]
	return v.value, ok && !now.After(v.until)
}

// take returns what was put there, once.
func (o *once[K, V]) take(now time.Time, key K) (V, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	v, ok := o.all[key]
	delete(o.all, key)
	return v.value, ok && !now.After(v.until)
}
