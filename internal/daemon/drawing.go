package daemon

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"strongroom/internal/daemon/state"
	"strongroom/internal/estate"
	"strongroom/internal/estate/order"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
)

// A drawing is the map, with what follows from it, from the configuration and
// from what people have answered. All who ask share it, so nothing in it may be
// changed.
type drawing struct {
	*estate.Map
	of       drawnOf
	answered int64 // the newest entry of an answer
	taken    time.Time
	order    func() (order.Order, error)
	shape    func() (shape, error)
}

// drawnOf is all that a map is drawn of, but for the configuration, which stays
// what it is while a safe is open.
type drawnOf struct {
	told             safe.Digest // what sources have told
	ruled, withdrawn int64       // the newest entries of what people said, and took back; -1 if there are none
}

// An atlas has the newest drawing. The zero value is ready to use.
type atlas struct {
	// turn is held while the state is read and the map drawn: of many who ask at
	// once, one draws, and the others wait for that.
	turn       sync.Mutex
	generation state.Generation // of the state, in which newest is right; guarded by turn

	newest atomic.Pointer[drawing] // nil if there is none yet; changed by whose turn it is
}

// freshFor is how long a drawing is used though nothing has changed. The
// configuration says what it says at the time of the drawing, and that is shown.
const freshFor = time.Hour

// drawn returns the map as it is now: a drawing that there is, if nothing that it
// was made of has changed.
func (s *Safe) drawn(ctx context.Context) (*drawing, error) {
	a := &s.atlas
	a.turn.Lock()
	defer a.turn.Unlock()
	// First the generation, and then what it is of: if somebody commits between
	// the two, the next one to ask sees that.
	generation, err := s.state.Generation(ctx)
	if err != nil {
		return nil, err
	}
	now := s.opts.Now()
	last := a.newest.Load()
	if last != nil && (now.Before(last.taken) || now.Sub(last.taken) >= freshFor) {
		last = nil
	}
	if last != nil && a.generation == generation {
		return last, nil
	}
	k, err := s.knowledge(ctx)
	if err != nil {
		return nil, err
	}
	switch {
	case last == nil || last.of != k.of:
		m, err := s.draw(k, now)
		if err != nil {
			return nil, err
		}
		last = s.newDrawing(m, k, now)
	case last.answered != k.answered: // it is the same map, in another order
		last = s.newDrawing(last.Map, k, last.taken)
	}
	a.newest.Store(last)
	a.generation = generation
	return last, nil
}

// prepareMap has the map drawn and ordered, so that nobody who looks at it waits
// for that.
func (s *Safe) prepareMap(ctx context.Context) error {
	d, err := s.drawn(ctx)
	if err != nil {
		return err
	}
	_, err = d.shape()
	return err
}

func (s *Safe) newDrawing(m *estate.Map, k knowledge, taken time.Time) *drawing {
	d := &drawing{Map: m, of: k.of, answered: k.answered, taken: taken}
	answers := k.answers // and nothing else of what is known stays in memory
	d.order = sync.OnceValues(func() (order.Order, error) { return orderOf(s.config, m, answers) })
	d.shape = sync.OnceValues(func() (shape, error) { return shapeOf(s.config, d) })
	return d
}

// drawingOf returns the drawing of a map: of another one than the newest, one
// that nobody shares.
func (s *Safe) drawingOf(ctx context.Context, m *estate.Map) (*drawing, error) {
	if d := s.atlas.newest.Load(); d != nil && d.Map == m {
		return d, nil
	}
	k, err := s.knowledge(ctx)
	if err != nil {
		return nil, err
	}
	return s.newDrawing(m, k, time.Time{}), nil
}

// knowledge is what a map is drawn of, as the state has it at one moment.
type knowledge struct {
	of      drawnOf
	told    []state.Told
	rulings []Ruling

	answered int64
	answers  []order.Answer
}

func (s *Safe) knowledge(ctx context.Context) (k knowledge, err error) {
	err = s.state.Look(ctx, func(v state.View) error {
		k, err = knowledgeOf(v)
		return err
	})
	return k, err
}

func knowledgeOf(v state.View) (k knowledge, err error) {
	if k.told, k.of.told, err = v.Told(); err != nil {
		return k, err
	}
	if k.of.ruled, err = newestOf(v, ledger.MapRuled{}.Kind()); err != nil {
		return k, err
	}
	if k.of.withdrawn, err = newestOf(v, ledger.MapWithdrawn{}.Kind()); err != nil {
		return k, err
	}
	if k.rulings, err = rulingsOf(v); err != nil {
		return k, err
	}
	if k.answered, err = newestOf(v, ledger.MapAnswered{}.Kind()); err != nil {
		return k, err
	}
	k.answers, err = answersOf(v)
	return k, err
}

func newestOf(v state.View, kind ledger.Kind) (int64, error) {
	newest, err := v.NewestOf(kind, 1)
	if err != nil || len(newest) == 0 {
		return -1, err
	}
	return newest[0].N, nil
}

// facts returns what the sources of the configuration have told.
func (s *Safe) facts(told []state.Told) ([]estate.Facts, error) {
	by := make(map[safe.SourceName]state.Told, len(told))
	for _, t := range told {
		by[t.Source] = t
	}
	var facts []estate.Facts
	for _, src := range s.config.Sources {
		t, ok := by[src.Name]
		if !ok {
			continue
		}
		f, err := t.Facts()
		if err != nil {
			return nil, fmt.Errorf("drawing the map: %w", err)
		}
		facts = append(facts, f)
	}
	return facts, nil
}
