package daemon

import (
	"context"
	"fmt"

	"strongroom/internal/daemon/state"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/store/memory"
)

// Forget drops what is remembered of a source, so that its next collection
// reads and stores everything. It is recorded before it is done: what is
// forgotten without a record would be silent, and the other way round it can
// be repeated.
func (s *Safe) Forget(ctx context.Context, source safe.SourceName, reason string) error {
	unlock, err := s.lockSource(source)
	if err != nil {
		return fmt.Errorf("forgetting %s: %w", source, err)
	}
	defer unlock()
	err = s.state.Update(ctx, func(tx *state.Tx) error {
		return tx.Append(s.opts.Now(), ledger.Safe, ledger.MemoryForgotten{Source: source, Reason: ledger.TextOf(reason)})
	})
	if err != nil {
		return err
	}
	if err := memory.Sweep(s.memoryPath(source)); err != nil {
		return err
	}
	return s.Publish(ctx)
}
