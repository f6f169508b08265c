package daemon

import (
	"fmt"
	"time"

	"strongroom/internal/daemon/state"
	"strongroom/internal/estate"
)

// seenFor is how long something stays on the map that was seen and is not seen
// any more: what happens once a quarter shall be there.
const seenFor = 120 * 24 * time.Hour

// maxKnown bounds how many components and links are remembered of one source,
// lest one that is hostile tell of other ones each night.
const maxKnown = 200_000

// learn keeps what a source has told of the estate. What one that could not be
// pulled whole does not tell is believed no less than it was.
func (r *run) learn(tx *state.Tx, told *estate.Facts, whole bool) error {
	if told == nil {
		return nil
	}
	known, err := tx.View().FactsOf(r.source.Name)
	if err != nil {
		return err
	}
	renewed := estate.Extend(known, *told)
	if whole {
		renewed = estate.Renew(known, *told, r.started.Add(-seenFor))
	}
	if len(renewed.Components)+len(renewed.Links) > maxKnown {
		renewed = *told // what it tells in one night is bounded
		renewed.Doubts = append(renewed.Doubts, fmt.Sprintf("%s tells of other things each night: what was seen before tonight is forgotten", r.source.Name))
	}
	r.learned = len(known.Components)+len(known.Links)+len(renewed.Components)+len(renewed.Links)+len(renewed.Doubts) > 0
	return tx.SetFacts(r.source.Name, renewed)
}
