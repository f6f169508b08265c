package daemon

import (
	"context"

	"strongroom/internal/access/api"
	"strongroom/internal/daemon/state"
	"strongroom/internal/report"
)

// LookLedger returns the entries of the ledger before that number; the newest
// if it is 0.
func (s *Safe) LookLedger(ctx context.Context, before int64) (p report.LedgerPage, err error) {
	err = s.look(ctx, func(g glance) error {
		p, err = g.ledgerPage(before)
		return err
	})
	return p, err
}

func (g glance) ledgerPage(before int64) (p report.LedgerPage, err error) {
	p = report.LedgerPage{Safe: g.config.Safe, Now: g.now}
	if p.Checkpoint, err = g.checkpoint(); err != nil {
		return p, err
	}
	size := p.Checkpoint.Size
	if before <= 0 || before > size {
		before = size
	}
	entries, err := g.v.EntriesBefore(before, report.PageOfEntries)
	if err != nil {
		return p, err
	}
	for _, e := range entries {
		p.Entries = append(p.Entries, ledgerLine(e))
	}
	if n := len(entries); n > 0 {
		p.Older = entries[n-1].N // there is one before it unless it is the first
	}
	if before < size {
		p.Newer = min(before+report.PageOfEntries, size)
	}
	return p, nil
}

func ledgerLine(e state.Numbered) report.LedgerLine {
	told := report.Tell(e.Entry)
	return report.LedgerLine{N: e.N, Time: e.Time, Kind: e.What.Kind(), Who: e.Who, What: told.What, Detail: told.Detail, Level: told.Level,
		Source: told.Source, Opening: told.Opening}
}

// LookEntry returns one entry of the ledger with its proof: api.ErrNotFound if
// there is none of that number.
func (s *Safe) LookEntry(ctx context.Context, n int64) (p report.EntryPage, err error) {
	err = s.look(ctx, func(g glance) error {
		p, err = g.entryPage(n)
		return err
	})
	return p, err
}

func (g glance) entryPage(n int64) (p report.EntryPage, err error) {
	p = report.EntryPage{Safe: g.config.Safe, Now: g.now}
	if p.Checkpoint, err = g.checkpoint(); err != nil {
		return p, err
	}
	if n < 0 || n >= p.Checkpoint.Size {
		return p, api.ErrNotFound
	}
	entries, err := g.v.EntriesFrom(n, 1)
	if err != nil {
		return p, err
	}
	proof, err := g.v.ProveInclusion(n, p.Checkpoint.Size)
	if err != nil {
		return p, err
	}
	p.Line, p.Bytes, p.Proof, p.Last = ledgerLine(entries[0]), entries[0].Bytes, proof.Encode(), p.Checkpoint.Size-1
	p.Leaf, p.Path = report.PathOf(p.Bytes, proof)
	p.RootHex = p.Leaf
	if n := len(p.Path); n > 0 {
		p.RootHex = p.Path[n-1].Hash
	}
	p.Steps = report.ByHand(p.Leaf, p.Path, p.Checkpoint)
	return p, nil
}
