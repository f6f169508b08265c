package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"strongroom/internal/daemon/state"
	"strongroom/internal/estate"
	"strongroom/internal/ledger"
)

// A Ruling is what somebody says of a dependency on the map: at the safe's host
// with a command, or on its pages as an officer. It is an entry of the ledger,
// and nothing beside that.
type Ruling struct {
	Entry int64
	estate.Ruling
}

// mostRulings bounds how often people can say something of the map: all of it is
// read whenever the map is drawn.
const mostRulings = 10_000

// rulingsOf returns what was said so and is in force, oldest first.
// Who says something of a dependency again says it in the place of what was
// said before.
func rulingsOf(v state.View) ([]Ruling, error) {
	withdrawn, err := v.NewestOf(ledger.MapWithdrawn{}.Kind(), mostRulings)
	if err != nil {
		return nil, err
	}
	gone := make(map[int64]bool, len(withdrawn))
	for _, e := range withdrawn {
		if what, ok := e.What.(ledger.MapWithdrawn); ok {
			gone[what.Entry] = true
		}
	}
	ruled, err := v.NewestOf(ledger.MapRuled{}.Kind(), mostRulings)
	if err != nil {
		return nil, err
	}
	type about struct{ from, to, need ledger.Text }
	said := make(map[about]bool)
	var all []Ruling
	for _, e := range ruled {
		what, ok := e.What.(ledger.MapRuled)
		whole := about{what.From, what.To, ""}
		one := about{what.From, what.To, what.Need}
		if !ok || said[whole] || said[one] {
			continue
		}
		said[one] = true // also what was taken back: that brings nothing older back
		if gone[e.N] {
			continue
		}
		r, err := rulingOf(e, what)
		if err != nil {
			return nil, fmt.Errorf("reading what entry %d of the ledger says of the map: %w", e.N, err)
		}
		all = append(all, r)
	}
	slices.Reverse(all)
	return all, nil
}

// verdicts are what the ledger has for those of the map.
var verdicts = map[ledger.Verdict]estate.Verdict{ledger.Confirmed: estate.Confirmed, ledger.Rejected: estate.Rejected, ledger.Added: estate.Added}

func rulingOf(e state.Numbered, what ledger.MapRuled) (Ruling, error) {
	from, err := estate.ParseID(string(what.From))
	if err != nil {
		return Ruling{}, err
	}
	to, err := estate.ParseID(string(what.To))
	if err != nil {
		return Ruling{}, err
	}
	need := estate.Need(what.Need)
	if need != "" && !need.Valid() {
		return Ruling{}, fmt.Errorf("%.40q is no need", need)
	}
	by := string(what.Account)
	if by == "" {
		by = string(e.Who)
	}
	return Ruling{e.N, estate.Ruling{Verdict: verdicts[what.Verdict], From: from, To: to, Need: need, Evidence: estate.Evidence{
		Basis: estate.Stated, Source: by, Place: fmt.Sprintf("entry %d of the ledger", e.N), Detail: string(what.Reason),
		First: e.Time, Last: e.Time,
	}}}, nil
}

// Rule records what somebody says of a dependency, on the account of the safe's
// host. It refuses what would change nothing because the configuration says
// otherwise, with an *OverruledError.
func (s *Safe) Rule(ctx context.Context, r estate.Ruling, account string) error {
	now := s.opts.Now().UTC()
	entry := ledger.MapRuled{
		From: ledger.TextOf(string(r.From)), To: ledger.TextOf(string(r.To)), Need: ledger.TextOf(string(r.Need)),
		Reason: ledger.TextOf(r.Evidence.Detail), Account: ledger.TextOf(account),
	}
	for of, verdict := range verdicts {
		if verdict == r.Verdict {
			entry.Verdict = of
		}
	}
	if err := s.mayRule(s.state.View(ctx), now, r); err != nil {
		return err
	}
	if err := s.state.Update(ctx, func(tx *state.Tx) error { return tx.Append(now, ledger.Safe, entry) }); err != nil {
		return err
	}
	return s.redrawn(ctx)
}

// mayRule reports why something cannot be said of a dependency, or would change
// nothing.
func (s *Safe) mayRule(v state.View, now time.Time, r estate.Ruling) error {
	if err := r.Check(); err != nil {
		return invalid("%v", err)
	}
	said, err := v.NewestOf(ledger.MapRuled{}.Kind(), mostRulings)
	if err != nil {
		return err
	}
	if len(said) == mostRulings {
		return invalid("people have said something of the map %d times, and no more is read: write it under components: in the configuration", mostRulings)
	}
	r.Evidence.Basis, r.Evidence.First, r.Evidence.Last = estate.Stated, now, now
	k, err := knowledgeOf(v)
	if err != nil {
		return err
	}
	m, err := s.draw(k, now, r)
	if err != nil {
		return err
	}
	return overrules(m, r)
}

// overrules reports why a ruling is not in force on a map that was drawn with it.
func overrules(m *estate.Map, r estate.Ruling) error {
	from, _ := m.Known(r.From)
	to, _ := m.Known(r.To)
	if from == to && from != "" {
		return invalid("%s and %s are one component, %s: what is two can be held apart in the configuration", r.From, r.To, from)
	}
	var against []estate.Evidence
	if r.Verdict == estate.Rejected {
		for _, d := range m.Between(from, to) {
			if r.Need == "" || r.Need == d.Need {
				against = append(against, d.Evidence...)
			}
		}
	} else {
		for _, o := range m.Overruled {
			if o.From == from && o.To == to && (o.Need == "" || o.Need == r.Need) {
				against = append(against, o.By...)
			}
		}
	}
	for _, e := range against {
		if e.Basis == estate.Stated {
			return &OverruledError{e}
		}
	}
	return nil
}

// An OverruledError says that the configuration says otherwise, and wins.
type OverruledError struct {
	By estate.Evidence // of the configuration
}

func (e *OverruledError) Error() string {
	return fmt.Sprintf("the configuration says otherwise, and wins: %s, %s", e.By.Source, e.By.Place)
}

// ErrNothingSaid says that there is nothing to take back.
var ErrNothingSaid = errors.New("nobody has said anything of that with a command, or on a page")

// WithdrawRulings takes back what was said with commands and on pages of whether a
// component needs another, and returns it.
func (s *Safe) WithdrawRulings(ctx context.Context, from, to estate.ID, reason, account string) ([]Ruling, error) {
	m, err := s.Map(ctx)
	if err != nil {
		return nil, err
	}
	var taken []Ruling
	err = s.state.Update(ctx, func(tx *state.Tx) error {
		rulings, err := rulingsOf(tx.View())
		if err != nil {
			return err
		}
		taken = nil
		for _, r := range rulings {
			if !isCalled(m, r.From, from) || !isCalled(m, r.To, to) {
				continue
			}
			entry := ledger.MapWithdrawn{Entry: r.Entry, Reason: ledger.TextOf(reason), Account: ledger.TextOf(account)}
			if err := tx.Append(s.opts.Now(), ledger.Safe, entry); err != nil {
				return err
			}
			taken = append(taken, r)
		}
		if taken == nil {
			return ErrNothingSaid
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return taken, s.redrawn(ctx)
}

// isCalled reports whether two names are of one component, on the map or off it.
func isCalled(m *estate.Map, a, b estate.ID) bool {
	known, ok := m.Known(a)
	other, also := m.Known(b)
	return a == b || ok && also && known == other
}

// redrawn sees to what follows when people have changed the map.
func (s *Safe) redrawn(ctx context.Context) error {
	return errors.Join(s.keepMap(ctx), s.Assess(ctx), s.Publish(ctx))
}
