package daemon

import (
	"context"
	"fmt"

	"strongroom/internal/daemon/state"
	"strongroom/internal/estate"
	"strongroom/internal/estate/coverage"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/safe/config"
)

// Coverage returns how it stands with each application of the configuration, in
// its order.
func (s *Safe) Coverage(ctx context.Context) ([]coverage.Report, error) {
	m, err := s.Map(ctx)
	if err != nil {
		return nil, err
	}
	in := coverage.Input{Map: m, Said: make(map[estate.ID]config.Component), Sources: make(map[safe.SourceName]coverage.Source), Now: s.opts.Now()}
	say := func(c config.Component) {
		id, _ := m.Known(c.ID)
		said := in.Said[id]
		c.MustHold, c.Waived = append(said.MustHold, c.MustHold...), append(said.Waived, c.Waived...) // of two that are the same
		in.Said[id] = c
	}
	for _, c := range s.config.Components {
		say(c)
	}
	for _, a := range s.config.Applications {
		say(a.Component)
	}
	v := s.state.View(ctx)
	damaged, err := lostRuns(v)
	if err != nil {
		return nil, err
	}
	for _, src := range s.config.Sources {
		if in.Sources[src.Name], err = s.heldOf(ctx, src, damaged); err != nil {
			return nil, err
		}
	}
	if _, at, ok, err := v.LastScrub(); err != nil {
		return nil, err
	} else if ok {
		in.Scrubbed = at
	}
	var all []coverage.Report
	for _, a := range s.config.Applications {
		all = append(all, coverage.Of(in, a))
	}
	return all, nil
}

// heldOf returns what there is of a source that could be restored tonight.
func (s *Safe) heldOf(ctx context.Context, src config.Source, damaged map[safe.RunID]bool) (coverage.Source, error) {
	held := coverage.Source{Keep: src.Keep}
	snapshots, err := s.state.Snapshots(ctx, src.Name)
	if err != nil {
		return held, fmt.Errorf("reading the snapshots of %s: %w", src.Name, err)
	}
	for _, snapshot := range snapshots {
		if !snapshot.Partial {
			held.Snapshots = append(held.Snapshots, coverage.Snapshot{Run: snapshot.Run, Started: snapshot.Started, Finished: snapshot.Finished, Damaged: damaged[snapshot.Run]})
		}
	}
	return held, nil
}

// mostLost bounds how many records of lost objects are looked at, the newest.
const mostLost = 10_000

// lostRuns returns the snapshots that need something which is lost, and was not
// repaired since.
func lostRuns(v state.View) (map[safe.RunID]bool, error) {
	repaired, err := v.NewestOf(ledger.ObjectRepaired{}.Kind(), mostLost)
	if err != nil {
		return nil, err
	}
	since := make(map[string]int64)
	for _, e := range repaired {
		if what, ok := e.What.(ledger.ObjectRepaired); ok {
			since[what.Name] = max(since[what.Name], e.N)
		}
	}
	lost, err := v.NewestOf(ledger.ObjectLost{}.Kind(), mostLost)
	if err != nil {
		return nil, err
	}
	damaged := make(map[safe.RunID]bool)
	for _, e := range lost {
		what, ok := e.What.(ledger.ObjectLost)
		if n, again := since[what.Name]; !ok || again && n > e.N {
			continue
		}
		for _, run := range what.Snapshots {
			damaged[run] = true
		}
	}
	return damaged, nil
}
