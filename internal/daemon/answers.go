package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"strongroom/internal/daemon/state"
	"strongroom/internal/estate"
	"strongroom/internal/estate/order"
	"strongroom/internal/ledger"
)

// A Question is one that a knot has: whether a component may start without
// another.
type Question struct {
	order.Pair
	Name   string        // as Pair.Question has it
	Answer *order.Answer // nil if nobody has answered
}

// answersOf returns what people have answered, the newest for each pair.
func answersOf(v state.View) ([]order.Answer, error) {
	said, err := v.NewestOf(ledger.MapAnswered{}.Kind(), mostRulings)
	if err != nil {
		return nil, err
	}
	seen := make(map[order.Pair]bool)
	var all []order.Answer
	for _, e := range said {
		what, ok := e.What.(ledger.MapAnswered)
		if !ok {
			continue
		}
		pair, err := pairOf(what)
		if err != nil {
			return nil, fmt.Errorf("reading what entry %d of the ledger answers: %w", e.N, err)
		}
		if !seen[pair] {
			seen[pair] = true
			all = append(all, order.Answer{Pair: pair, May: what.May, Who: string(what.Account), When: e.Time, Why: string(what.Reason)})
		}
	}
	return all, nil
}

func pairOf(e ledger.MapAnswered) (order.Pair, error) {
	from, err := estate.ParseID(string(e.From))
	if err != nil {
		return order.Pair{}, err
	}
	to, err := estate.ParseID(string(e.To))
	return order.Pair{From: from, To: to}, err
}

// named returns the answers by the names that the map has for their components
// now. One that is about a single component now says nothing any more.
func named(answers []order.Answer, m *estate.Map) []order.Answer {
	var all []order.Answer
	for _, a := range answers {
		for _, id := range []*estate.ID{&a.From, &a.To} {
			if known, ok := m.Known(*id); ok {
				*id = known
			}
		}
		if a.From != a.To {
			all = append(all, a)
		}
	}
	return all
}

// Questions returns those that an order has, and those that were answered, in the
// order of their components.
func (s *Safe) Questions(ctx context.Context, m *estate.Map, o order.Order) ([]Question, error) {
	answers, err := answersOf(s.state.View(ctx))
	if err != nil {
		return nil, err
	}
	var all []Question
	for _, a := range named(answers, m) {
		all = append(all, Question{Pair: a.Pair, Name: a.Question(), Answer: &a})
	}
	for _, open := range o.Questions() {
		if !slices.ContainsFunc(all, func(q Question) bool { return q.Pair == open.Pair }) {
			all = append(all, Question{Pair: open.Pair, Name: open.Question})
		}
	}
	slices.SortStableFunc(all, func(a, b Question) int { return a.Compare(b.Pair) })
	return all, nil
}

// Answer records what somebody answers to a question, on the account of the
// safe's host. It takes the place of what was answered before.
func (s *Safe) Answer(ctx context.Context, p order.Pair, may bool, reason, account string) error {
	err := s.state.Update(ctx, func(tx *state.Tx) error {
		said, err := tx.View().NewestOf(ledger.MapAnswered{}.Kind(), mostRulings)
		if err != nil {
			return err
		}
		if len(said) == mostRulings {
			return errors.New("people have answered so often that no more is read: write it under components: in the configuration")
		}
		return tx.Append(s.opts.Now(), ledger.Safe, ledger.MapAnswered{
			From: ledger.TextOf(string(p.From)), To: ledger.TextOf(string(p.To)), May: may, Reason: ledger.TextOf(reason), Account: ledger.TextOf(account),
		})
	})
	if err != nil {
		return err
	}
	return s.Publish(ctx)
}
