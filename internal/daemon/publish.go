package daemon

import (
	"context"
	"fmt"

	"strongroom/internal/store/blob"
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

// step tells the log where in the order of writing the safe is.
func (s *Safe) step(name string, args ...any) {
	s.log.Debug("step", append([]any{"step", name}, args...)...)
}
