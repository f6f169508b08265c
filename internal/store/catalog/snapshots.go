package catalog

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"strongroom/internal/safe"
	"strongroom/internal/store/blob"
	"strongroom/internal/store/layout"
)

// A Listed is a description with what is known of it.
type Listed struct {
	safe.Snapshot
	Unproven error // why it is not proven; nil if it is
}

// Snapshots returns the descriptions of a store, oldest run first. Those that
// the ledger vouches for and that are missing or damaged in both copies are
// in lost, by run; garbage under the name of one is passed over. Without a
// catalog, nil, nothing is proven, and lost is what cannot be read.
func (c *Catalog) Snapshots(ctx context.Context, r blob.Reader) (listed []Listed, lost map[safe.RunID]error, err error) {
	runs, err := describedRuns(ctx, r)
	if err != nil {
		return nil, nil, err
	}
	lost = make(map[safe.RunID]error)
	if c != nil {
		for run := range c.Kept {
			runs[run] = true
		}
	}
	for run := range runs {
		l, err := c.read(ctx, r, run)
		if ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		if err != nil {
			if c == nil || c.vouches(run) {
				lost[run] = err
			}
			continue
		}
		listed = append(listed, l)
	}
	slices.SortFunc(listed, func(a, b Listed) int { return a.Run.Compare(b.Run) })
	return listed, lost, nil
}

// describedRuns returns the runs of which there is a description.
func describedRuns(ctx context.Context, r blob.Reader) (map[safe.RunID]bool, error) {
	runs := make(map[safe.RunID]bool)
	for info, err := range r.List(ctx, "snapshots/") {
		var nameErr *blob.NameError
		if errors.As(err, &nameErr) {
			continue // not an object; scrub names it
		}
		if err != nil {
			return nil, fmt.Errorf("listing the snapshots: %w", err)
		}
		if n := layout.Parse(info.Name); n.Kind == layout.SnapshotObject {
			runs[n.Run] = true
		}
	}
	return runs, nil
}

// read returns the description of a run: the one that the ledger vouches for
// if there is one, in whichever copy it is sound.
func (c *Catalog) read(ctx context.Context, r blob.Reader, run safe.RunID) (Listed, error) {
	var l Listed
	var unproven error
	good := func(b []byte) (err error) {
		l.Snapshot, err = safe.ParseSnapshot(b)
		if err == nil && l.Run != run {
			err = fmt.Errorf("it describes run %s", l.Run)
		}
		if err == nil && c != nil {
			if c.vouches(run) {
				return c.proves(l.Snapshot, b)
			}
			unproven = errors.New("the ledger knows nothing of it")
		}
		return err
	}
	name := layout.Snapshot(run)
	if _, err := blob.ReadEither(ctx, r, safe.MaxSnapshot, good, name, layout.Copy(name)); err != nil {
		return Listed{}, err
	}
	if c == nil {
		unproven = errors.New("the ledger could not be relied on")
	}
	l.Unproven = unproven
	return l, nil
}

// vouches tells whether the ledger says that a run has become a snapshot.
func (c *Catalog) vouches(run safe.RunID) bool {
	_, ok := c.Kept[run]
	return ok
}

// proves compares a description with what the ledger says of it, of its run
// and of all runs that it names.
func (c *Catalog) proves(s safe.Snapshot, b []byte) error {
	kept := c.Kept[s.Run]
	if kept.Description != safe.DigestOf(b) {
		return errors.New("it is not the description that the ledger recorded")
	}
	if s.Store != c.Store {
		return fmt.Errorf("it is of another store, %s", s.Store)
	}
	for run, needs := range s.Runs {
		begun, ok := c.Runs[run]
		switch {
		case !ok:
			return fmt.Errorf("it refers to run %s, of which the ledger knows nothing", run)
		case begun.Source != s.Source:
			return fmt.Errorf("it refers to run %s, which is of another source, %s", run, begun.Source)
		case begun.Envelope != needs.Envelope:
			return fmt.Errorf("it names another envelope for run %s than the ledger", run)
		}
	}
	return nil
}
