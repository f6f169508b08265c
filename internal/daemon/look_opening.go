package daemon

import (
	"context"
	"slices"

	"strongroom/internal/access"
	"strongroom/internal/access/api"
	"strongroom/internal/daemon/state"
	"strongroom/internal/ledger"
	"strongroom/internal/report"
	"strongroom/internal/safe"
)

// LookOpenings returns who got in, and who wants to.
func (s *Safe) LookOpenings(ctx context.Context) (p report.OpeningsPage, err error) {
	err = s.look(ctx, func(g glance) error {
		p, err = g.openings()
		return err
	})
	return p, err
}

func (g glance) openings() (p report.OpeningsPage, err error) {
	p = report.OpeningsPage{Safe: g.config.Safe, Now: g.now}
	all, err := g.v.Openings(api.MaxOpenings + 1)
	if err != nil {
		return p, err
	}
	if len(all) > api.MaxOpenings {
		all, p.More = all[:api.MaxOpenings], true
	}
	for _, o := range all {
		line, err := g.openingLine(o)
		if err != nil {
			return p, err
		}
		p.Openings = append(p.Openings, line)
	}
	return p, nil
}

func (g glance) openingLine(o state.Opening) (line report.OpeningLine, err error) {
	line = report.OpeningLine{ID: o.ID, State: o.State, Operator: o.Operator, Asked: o.ID.Time(), Until: o.Until, Gate: g.standing(o).GateAddress(), Cause: o.Cause,
		Sessions: o.Sessions, Objects: o.Objects, Bytes: o.Bytes}
	recorded, err := g.v.Entry(o.Recorded)
	if err != nil {
		return line, err
	}
	line.Asked = recorded.Time
	if asked, ok := recorded.What.(ledger.OpeningRequested); ok {
		line.Address, line.Count, line.Reason, line.Hours = asked.Address, len(asked.Snapshots), string(asked.Reason), asked.Hours
		line.Sources = report.SourcesOf(asked.Snapshots)
	}
	return line, nil
}

// LookOpening returns an opening from its request to its close: api.ErrNotFound
// if there is none.
func (s *Safe) LookOpening(ctx context.Context, id safe.OpeningID) (p report.OpeningPage, err error) {
	err = s.look(ctx, func(g glance) error {
		p, err = g.opening(id)
		return err
	})
	return p, err
}

func (g glance) opening(id safe.OpeningID) (p report.OpeningPage, err error) {
	o, ok, err := g.v.Opening(id)
	if err != nil || !ok {
		return p, either(err, api.ErrNotFound)
	}
	p = report.OpeningPage{Safe: g.config.Safe, Now: g.now}
	if p.Opening, err = g.openingLine(o); err != nil {
		return p, err
	}
	entries, err := g.v.OfOpening(id)
	if err != nil {
		return p, err
	}
	var named []ledger.SnapshotNamed
	for _, e := range entries {
		told := report.Tell(e.Entry)
		event := report.OpeningEvent{Entry: e.N, Time: e.Time, Kind: e.What.Kind(), Who: e.Who, What: told.What, Detail: told.Detail}
		switch what := e.What.(type) {
		case ledger.OpeningRequested:
			named = what.Snapshots
			event.From, event.Until = what.Address.String(), what.Until
		case ledger.OpeningReleased:
			p.Keykeeper, p.Runs, event.Until = safe.PersonName(e.Who), int(what.Runs), what.Until
		case ledger.OpeningOpened:
			event.From, event.Until = what.Listen.String(), what.Until
		case ledger.OpeningClosed:
			p.Unknown = what.Unknown
		case ledger.RecordReceived:
			p.Records = append(p.Records, report.RecordLine{Name: string(what.Name), Size: what.Size, Digest: what.Digest, Time: e.Time})
		}
		p.Events = append(p.Events, event)
	}
	if p.Snapshots, err = g.asked(named); err != nil {
		return p, err
	}
	if p.Runs == 0 && !o.State.Over() {
		p.Runs, err = g.disclosed(named)
	}
	return p, err
}

// asked returns the lines of the snapshots that were asked for.
func (g glance) asked(named []ledger.SnapshotNamed) (all []report.SnapshotLine, err error) {
	var ids []safe.RunID
	for _, n := range named {
		ids = append(ids, n.Run)
	}
	runs, err := g.v.RunsNamed(ids)
	if err != nil {
		return nil, err
	}
	for _, n := range named {
		run, ok := runs[n.Run]
		if !ok {
			run = state.Run{ID: n.Run, Source: n.Source}
		}
		all = append(all, snapshotLine(run))
	}
	return all, nil
}

// disclosed returns of how many runs an opening would disclose the keys. What
// has lost its description discloses nothing.
func (g glance) disclosed(named []ledger.SnapshotNamed) (int, error) {
	var descriptions []safe.Snapshot
	for _, n := range named {
		d, err := described(g.v, access.Request{Snapshots: []safe.RunID{n.Run}})
		if err != nil {
			return 0, err
		}
		descriptions = slices.Concat(descriptions, d)
	}
	return len(runsOf(descriptions)), nil
}
