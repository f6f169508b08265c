package daemon

import (
	"context"
	"fmt"

	"strongroom/internal/store/blob"
	"strongroom/internal/store/catalog"
)

// atATime is how many objects of the outbox are published between two syncs.
// A description can have tens of megabytes, but few are that large.
const atATime = 64

// Publish brings everything that was committed into the store. It is done
// after every commit and may be repeated, also by several processes: what is
// there already is compared and left.
//
// An object that is there with other content is a contradiction that nothing
// may be written over; the error names it.
func (s *Safe) Publish(ctx context.Context) error {
	for {
		parcels, err := s.state.Outbox(ctx, atATime)
		if err != nil || len(parcels) == 0 {
			return err
		}
		for _, p := range parcels {
			if err := blob.PutOnce(ctx, s.store, p.Name, p.Bytes); err != nil {
				return fmt.Errorf("publishing %s: %w", p.Name, err)
			}
			s.step("published", "object", p.Name)
		}
		if err := s.store.Sync(ctx); err != nil {
			return fmt.Errorf("making what was published durable: %w", err)
		}
		if err := s.state.Sent(ctx, parcels); err != nil {
			return err
		}
	}
}

// A RolledBackError says that the store has less of the ledger than was
// published to it.
type RolledBackError struct{ Stored, Published int64 }

func (e *RolledBackError) Error() string {
	return fmt.Sprintf("the store's ledger ends after entry %d of the %d that were written to it: the newest are gone, or an old copy of the store is in its place", e.Stored, e.Published)
}

// CheckPublished returns a *RolledBackError if the store has lost the newest of
// what was published to it.
func (s *Safe) CheckPublished(ctx context.Context) error {
	published, err := s.state.Size(ctx)
	if err != nil {
		return err
	}
	waiting, err := s.state.Outbox(ctx, 1)
	if err != nil || len(waiting) > 0 {
		return err // the next Publish goes on, and nobody knows how far the last one came
	}
	stored, err := catalog.Newest(ctx, s.store, s.id, s.LedgerKeys())
	if err != nil {
		return fmt.Errorf("reading the store's ledger: %w", err)
	}
	if stored.Size < published {
		return &RolledBackError{Stored: stored.Size, Published: published}
	}
	return nil
}

// step tells the log where in the order of writing the safe is.
func (s *Safe) step(name string, args ...any) {
	s.log.Debug("step", append([]any{"step", name}, args...)...)
}
