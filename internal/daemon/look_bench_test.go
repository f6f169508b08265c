package daemon

import (
	"fmt"
	"testing"
	"time"

	"strongroom/internal/daemon/state"
	"strongroom/internal/ledger"
	"strongroom/internal/report"
	"strongroom/internal/safe"
	"strongroom/internal/safe/config"
	"strongroom/internal/store/seal"
)

// BenchmarkOverview looks at safes of several sizes that have collected every
// night for three years, and failed one night in fifty: at the overview, and at
// the other pages beside it. To make the largest takes five minutes, and 1.2 GB
// of disk.
func BenchmarkOverview(b *testing.B) {
	const nights = 3 * 365
	for _, sources := range []int{5, 50, 500} {
		b.Run(fmt.Sprintf("sources=%d", sources), func(b *testing.B) {
			s := collectedFor(b, sources, nights)
			name := s.config.Sources[sources/2].Name
			look := func(name string, look func() error) {
				b.Run(name, func(b *testing.B) {
					for b.Loop() {
						if err := look(); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
			look("overview", func() error { _, err := s.LookOverview(b.Context()); return err })
			look("source", func() error { _, err := s.LookSource(b.Context(), name, safe.RunID{}); return err })
			look("ledger", func() error { _, err := s.LookLedger(b.Context(), 0); return err })
			look("entry", func() error { _, err := s.LookEntry(b.Context(), 7); return err })
			look("people", func() error { _, err := s.LookPeople(b.Context()); return err })
			look("openings", func() error { _, err := s.LookOpenings(b.Context()); return err })
			tellLarge(b, s) // and what depends on what; who looks first has it drawn
			if _, err := s.LookMap(b.Context(), report.MapFilter{}); err != nil {
				b.Fatal(err)
			}
			look("overview-with-applications", func() error { _, err := s.LookOverview(b.Context()); return err })
			look("map", func() error { _, err := s.LookMap(b.Context(), report.MapFilter{}); return err })
		})
	}
}

// collectedFor makes a safe whose state is as if its sources had been collected
// for so many nights until now. Its store has nothing of that.
func collectedFor(b *testing.B, sources, nights int) *Safe {
	b.Helper()
	folder := b.TempDir()
	cfg, err := config.Parse("test.yaml", fmt.Appendf(nil, "safe: test\nstore: %[1]s/store\ndir: %[1]s/dir\nsources:\n  erp: { kind: local, include: [/etc] }\n", folder))
	if err != nil {
		b.Fatal(err)
	}
	first := cfg.Sources[0]
	cfg.Sources = nil
	for i := range sources {
		first.Name = safe.SourceName(fmt.Sprintf("source-%03d", i))
		cfg.Sources = append(cfg.Sources, first)
	}
	outer, err := seal.NewOuterIdentity()
	if err != nil {
		b.Fatal(err)
	}
	inner, err := seal.NewInnerIdentity()
	if err != nil {
		b.Fatal(err)
	}
	now := time.Now().UTC().Truncate(time.Second)
	s, err := Init(b.Context(), cfg, outer.Recipient(), inner.Recipient(), Options{Now: func() time.Time { return now }})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	n, err := s.state.Size(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	for night := range nights {
		at := now.Add(-7*time.Hour).AddDate(0, 0, night+1-nights)
		err := s.state.Update(b.Context(), func(tx *state.Tx) error {
			for i, source := range cfg.Sources {
				begun := at.Add(time.Duration(i) * time.Second)
				for _, e := range collectedAt(s.id, source.Name, begun, (night+i)%50 == 49) {
					if err := happens(tx, n, e.entry, e.snapshot); err != nil {
						return err
					}
					n++
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	// The last entry has the checkpoint signed.
	err = s.state.Update(b.Context(), func(tx *state.Tx) error { return tx.Append(now, ledger.Safe, ledger.ScrubDone{Objects: 1}) })
	if err != nil {
		b.Fatal(err)
	}
	return s
}

// A happening is an entry of the ledger, with the snapshot that it is about.
type happening struct {
	entry    ledger.Entry
	snapshot safe.Snapshot
}

// collectedAt is what a collection brings about.
func collectedAt(store safe.StoreID, source safe.SourceName, begun time.Time, failed bool) []happening {
	d := safe.Snapshot{Version: 1, Store: store, Run: safe.NewRunID(begun), Source: source, Kind: "local", Started: begun, Finished: begun.Add(6 * time.Minute),
		Entries: 12345, Bytes: 41_200_000_000, NewBytes: 1_100_000_000, StoredBytes: 412_000_000, ParityBytes: 51_000_000,
		KeepUntil: begun.AddDate(0, 0, 35), Tier: safe.Daily, Root: safe.Digest{7}, Runs: make(map[safe.RunID]safe.RunPacks)}
	d.Runs[d.Run] = safe.RunPacks{Envelope: safe.Digest{9}, Packs: []safe.Digest{{1}, {2}}}
	entry := func(at time.Time, what ledger.Event) ledger.Entry {
		return ledger.Entry{Time: at, Who: ledger.Safe, What: what}
	}
	all := []happening{{entry: entry(begun, ledger.RunBegun{Run: d.Run, Source: source, Envelope: safe.Digest{9}, Roster: 1})}}
	if failed {
		return append(all, happening{entry: entry(d.Finished, ledger.RunFailed{Run: d.Run, Source: source, Reason: "connection refused"})})
	}
	return append(all, happening{entry(d.Finished, ledger.KeptOf(d, "")), d})
}

// happens keeps an entry as the nth, and what it says.
func happens(tx *state.Tx, n int64, e ledger.Entry, d safe.Snapshot) error {
	encoded, err := e.Encode()
	if err != nil {
		return err
	}
	if err := tx.Adopt(n, encoded); err != nil {
		return err
	}
	switch what := e.What.(type) {
	case ledger.RunBegun:
		return tx.AddRun(what)
	case ledger.RunFailed:
		return tx.EndRun(what.Run, state.End{Outcome: state.Failed, Time: e.Time, Reason: what.Reason})
	case ledger.SnapshotKept:
		if err := tx.EndRun(what.Run, state.EndOf(e.Time, what)); err != nil {
			return err
		}
		return tx.AddSnapshot(d)
	default:
		return fmt.Errorf("%s is nothing of a collection", what.Kind())
	}
}
