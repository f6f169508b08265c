package daemon

import (
	"encoding/json"
	"fmt"
	"time"

	"strongroom/internal/daemon/state"
	"strongroom/internal/estate"
)

// seenFor is how long something stays on the map that was seen and is not seen
// any more: what happens once a quarter shall be there.
const seenFor = 120 * 24 * time.Hour

// Bounds of what is remembered of one source, lest one that is hostile tell of
// other things each night: components and links, and bytes in which they are
// kept. A collection tells of less than half of that. The state has no room for
// a gigabyte in one place, and no snapshot shall be lost over what was read
// beside it.
const (
	maxKnown      = 200_000
	maxKnownBytes = 64 << 20
)

// learn keeps what a source has told of the estate. What one that could not be
// pulled whole does not tell is believed no less than it was; nor is it if
// nothing that the source shows could be read: whoever spoils one file shall not
// take all of them off the map.
func (r *run) learn(tx *state.Tx, told *estate.Facts, whole bool) error {
	known, err := tx.View().FactsOf(r.source.Name)
	if err != nil {
		return err
	}
	if told == nil {
		told = &estate.Facts{Doubts: []string{fmt.Sprintf("%s: what it shows could not be read to its end, in time or in the memory that there is for that", r.source.Name)}}
	}
	unread := len(told.Components)+len(told.Links) == 0 && len(told.Doubts) > 0
	renewed := estate.Extend(known, *told)
	if whole && !unread {
		renewed = estate.Renew(known, *told, r.started.Add(-seenFor))
	}
	if isTooMuch(renewed) {
		renewed = *told // what it tells in one night is bounded
		renewed.Doubts = append(renewed.Doubts, fmt.Sprintf("%s tells of other things each night: what was seen before tonight is forgotten", r.source.Name))
	}
	r.learned = len(known.Components)+len(known.Links)+len(renewed.Components)+len(renewed.Links)+len(renewed.Doubts) > 0
	return tx.SetFacts(r.source.Name, renewed)
}

func isTooMuch(f estate.Facts) bool {
	if len(f.Components)+len(f.Links) > maxKnown {
		return true
	}
	b, err := json.Marshal(f)
	return err != nil || len(b) > maxKnownBytes
}
