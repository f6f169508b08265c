package daemon

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"strongroom/internal/estate"
	"strongroom/internal/estate/order"
	"strongroom/internal/safe/config"
)

// Map returns the estate of what the sources of the configuration tell, and of
// what people say there and with commands. What a source told that is no longer
// configured is not believed any more. All who ask share the map: nothing in it
// may be changed.
func (s *Safe) Map(ctx context.Context) (*estate.Map, error) {
	d, err := s.drawn(ctx)
	if err != nil {
		return nil, err
	}
	return d.Map, nil
}

// draw draws the map of what is known, and what it would be if somebody said
// more.
func (s *Safe) draw(k knowledge, now time.Time, more ...estate.Ruling) (*estate.Map, error) {
	facts, err := s.facts(k.told)
	if err != nil {
		return nil, err
	}
	// The configuration speaks now, and so after everything that was said with
	// commands until now.
	said := s.config.Statements(now.UTC().Truncate(time.Second).Add(time.Second))
	for _, r := range k.rulings {
		said.Rulings = append(said.Rulings, r.Ruling)
	}
	said.Rulings = append(said.Rulings, more...)
	return estate.Draw(facts, said), nil
}

// Order returns the order in which a map can be rebuilt, by what is known
// everywhere of how such things start, by what the configuration says, and by
// what people have answered. Like the map it is shared.
func (s *Safe) Order(ctx context.Context, m *estate.Map) (order.Order, error) {
	d, err := s.drawingOf(ctx, m)
	if err != nil {
		return order.Order{}, err
	}
	return d.order()
}

func orderOf(c *config.Config, m *estate.Map, answers []order.Answer) (order.Order, error) {
	return order.Of(order.Input{Components: m.Components, Dependencies: m.Dependencies, Rules: rulesOf(c, m), Harm: harmsOf(c, m), Answers: named(answers, m)})
}

// harmsOf returns what the configuration says it costs to start without
// something, by the names that the map has for components.
func harmsOf(c *config.Config, m *estate.Map) (all []order.Harm) {
	for _, one := range statedOf(c) {
		from, known := m.Known(one.ID)
		for _, r := range one.DependsOn {
			if to, both := m.Known(r.To); known && both && r.Harm > 0 {
				all = append(all, order.Harm{Pair: order.Pair{From: from, To: to}, Cost: r.Harm})
			}
		}
	}
	return all
}

// statedOf returns all that the configuration describes.
func statedOf(c *config.Config) []config.Component {
	all := slices.Clone(c.Components)
	for _, a := range c.Applications {
		all = append(all, a.Component)
	}
	return all
}

// rulesOf returns what the configuration says of how components start without
// others, by the names that the map has for them. What says something of a
// component that the map does not have, or has two of, is left out: a rule
// without a name would be one for all.
func rulesOf(c *config.Config, m *estate.Map) []order.Rule {
	var rules []order.Rule
	for _, one := range statedOf(c) {
		for _, b := range one.MayStartWithout {
			from, known := m.Known(one.ID)
			without, both := m.Known(b.Without)
			if !known || !both {
				continue
			}
			rules = append(rules, order.Rule{
				Name: fmt.Sprintf("line %d, column %d of the configuration", b.At.Line, b.At.Column),
				From: []order.Match{{ID: from}}, Without: []order.Match{{ID: without}},
				Mode: b.Mode, Until: cmp.Or(b.Until, fmt.Sprintf("%s has started", without)), Check: b.ProvenBy, Undo: b.UndoneBy, Source: "the configuration",
			})
		}
	}
	return rules
}
