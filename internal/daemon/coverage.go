package daemon

import (
	"context"
	"slices"

	"strongroom/internal/daemon/state"
	"strongroom/internal/estate"
	"strongroom/internal/estate/coverage"
	"strongroom/internal/estate/facts/identity"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/safe/config"
)

// A Coverage says how it stands with the applications of the configuration.
type Coverage struct {
	Reports []coverage.Report // in the order of the configuration

	in    coverage.Input
	reach map[estate.ID]coverage.Reach
}

// Propose returns what closes each miss of a report.
func (c Coverage) Propose(r coverage.Report) []coverage.Proposal {
	return coverage.Propose(c.in, r, func(id estate.ID) (coverage.Reach, bool) {
		reach, ok := c.reach[id]
		return reach, ok
	})
}

// Coverage decides how it stands with each application.
func (s *Safe) Coverage(ctx context.Context) (Coverage, error) {
	in, err := s.covered(ctx)
	if err != nil {
		return Coverage{}, err
	}
	c := Coverage{in: in, reach: reachOf(s.config, in.Map)}
	for _, a := range s.config.Applications {
		c.Reports = append(c.Reports, coverage.Of(in, a))
	}
	return c, nil
}

// reachOf returns how the safe gets into the hosts of components already: by the
// sources that read by what a host knows itself, there or on what the component
// runs on. Others tell of a host, too, and lie elsewhere: the zones in which it
// has its name are on the name server.
func reachOf(c *config.Config, m *estate.Map) map[estate.ID]coverage.Reach {
	logins := make(map[string]coverage.Reach)
	reads := make(map[string][]coverage.Reading) // by where they log in
	for _, src := range c.Sources {
		var login config.Login
		switch spec := src.Spec.(type) {
		case config.SFTP:
			login = spec.Login
			if len(spec.Exclude) == 0 {
				to := login.Host.String()
				reads[to] = append(reads[to], coverage.Reading{Source: src.Name, Include: spec.Include})
			}
		case config.Facts:
			login = spec.Login
		default: // of a command the key runs that, and nothing else
			continue
		}
		reach := coverage.Reach{Host: login.Host.String(), Key: login.Key.String()}
		for _, k := range login.HostKeys {
			reach.HostKeys = append(reach.HostKeys, authorizedKey(k))
		}
		logins[string(src.Name)] = reach
	}
	all := make(map[estate.ID]coverage.Reach)
	for _, component := range m.Components {
		if component.ID.Kind() != estate.Host {
			continue
		}
		if _, undescribed := slices.BinarySearch(m.Undescribed, component.ID); undescribed {
			continue
		}
		for _, e := range component.Evidence {
			if reach, ok := logins[e.Source]; ok && identity.Knows(e.Place) {
				reach.Reads = reads[reach.Host]
				all[component.ID] = reach
				break
			}
		}
	}
	for _, d := range m.Dependencies {
		if reach, ok := all[d.To]; ok && d.Need == estate.Hosting {
			all[d.From] = reach
		}
	}
	return all
}

// covered gathers what coverage is decided from.
func (s *Safe) covered(ctx context.Context) (coverage.Input, error) {
	m, err := s.Map(ctx)
	if err != nil {
		return coverage.Input{}, err
	}
	in := coverage.Input{Map: m, Said: make(map[estate.ID]config.Component), Sources: make(map[safe.SourceName]coverage.Source), Now: s.opts.Now()}
	say := func(c config.Component) {
		id, _ := m.Known(c.ID)
		said := in.Said[id]
		c.MustHold, c.Waived = slices.Concat(said.MustHold, c.MustHold), slices.Concat(said.Waived, c.Waived) // of two that are the same
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
		return in, err
	}
	asked := make(map[safe.SourceName]bool)
	for _, said := range in.Said {
		for _, h := range said.MustHold {
			for _, source := range h.Sources {
				asked[source] = true
			}
		}
	}
	held := make(map[safe.SourceName][]state.Held)
	if len(asked) > 0 {
		if held, err = v.HeldSince(in.Now.Add(-coverage.LookBack)); err != nil {
			return in, err
		}
	}
	for _, src := range s.config.Sources {
		if !asked[src.Name] { // nobody asks for its snapshots
			in.Sources[src.Name] = sourceOf(src)
		} else if in.Sources[src.Name], err = heldOf(v, src, held[src.Name], damaged); err != nil {
			return in, err
		}
	}
	if in.Proofs, in.Wrong, err = proofsOf(v); err != nil {
		return in, err
	}
	if _, at, ok, err := v.LastScrub(); err != nil {
		return in, err
	} else if ok {
		in.Scrubbed = at
	}
	return in, nil
}

// sourceOf returns what coverage asks of a source, without its snapshots.
func sourceOf(src config.Source) coverage.Source {
	_, sftp := src.Spec.(config.SFTP)
	_, local := src.Spec.(config.Local)
	return coverage.Source{Keep: src.Keep, Files: sftp || local}
}

// heldOf returns what there is of a source that could be restored tonight: as
// much of it as decides how it stands. That is all there is if the newest ones
// are damaged.
func heldOf(v state.View, src config.Source, held []state.Held, damaged map[safe.RunID]bool) (of coverage.Source, err error) {
	of = sourceOf(src)
	isDamaged := func(h state.Held) bool { return damaged[h.Run] }
	if len(held) > 0 && isDamaged(held[len(held)-1]) {
		if held, err = v.HeldOf(src.Name); err != nil {
			return of, err
		}
	}
	for _, h := range held {
		of.Snapshots = append(of.Snapshots, coverage.Snapshot{Run: h.Run, Started: h.Started, Finished: h.Ended, Damaged: isDamaged(h)})
	}
	return of, nil
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
