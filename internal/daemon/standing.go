package daemon

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"strongroom/internal/estate/coverage"
	"strongroom/internal/report"
)

// mostDays is of how many days it is kept how it stood with an application:
// those of three years.
const mostDays = 3*365 + 1

// standingOf returns how it stands with an application, as it is kept.
func standingOf(r coverage.Report) ([]byte, error) {
	day := report.Standing{States: report.CardOf(r).States}
	for _, l := range r.Levels {
		day.Levels = append(day.Levels, report.LevelStanding{Promise: l.Promise, Verdict: l.Verdict, Seconds: l.Seconds, Limit: l.Limit})
	}
	b, err := json.Marshal(day)
	if err != nil {
		return nil, fmt.Errorf("encoding how it stands with %s: %w", r.Application.Name(), err)
	}
	return b, nil
}

// Standings returns how it stood with an application on each day since a time
// on which that was looked at, oldest first.
func (s *Safe) Standings(ctx context.Context, application string, since time.Time) ([]report.Standing, error) {
	kept, err := s.state.View(ctx).Standings(application, since)
	if err != nil {
		return nil, err
	}
	var all []report.Standing
	for _, k := range kept {
		var day report.Standing
		if err := json.Unmarshal(k.Bytes, &day); err != nil {
			return nil, fmt.Errorf("reading how it stood with %s: %w", application, err)
		}
		day.Taken = k.Taken
		all = append(all, day)
	}
	return all, nil
}
