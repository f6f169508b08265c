package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// A result is what was found in a course on a medium.
type result struct {
	Data         facts
	Filesystem   string
	Runs         int
	Programs     map[string]string // versions, by contender
	Measurements []measurement
}

// save keeps a result in place of an earlier one.
func (r result) save(dir, course, medium string) error {
	b, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, course+"-"+medium+".json"), b, 0o644)
}

// load returns what was saved; there need not be any.
func load(dir, course, medium string) (r result, found bool, err error) {
	b, err := os.ReadFile(filepath.Join(dir, course+"-"+medium+".json"))
	if errors.Is(err, fs.ErrNotExist) {
		return result{}, false, nil
	} else if err != nil {
		return result{}, false, err
	}
	return r, true, json.Unmarshal(b, &r)
}

// median returns what is typical of a contender in a step, each figure by
// itself. There must be at least one measurement.
func (r result) median(step, contender string) (measurement, bool) {
	var all []measurement
	for _, m := range r.Measurements {
		if m.Step == step && m.Contender == contender {
			all = append(all, m)
		}
	}
	if len(all) == 0 {
		return measurement{}, false
	}
	return measurement{
		Step: step, Contender: contender,
		Cost: cost{
			Wall:  middle(all, func(m measurement) time.Duration { return m.Cost.Wall }),
			Cores: middle(all, func(m measurement) time.Duration { return m.Cost.Cores }),
			Peak:  middle(all, func(m measurement) int64 { return m.Cost.Peak }),
			Sum:   middle(all, func(m measurement) int64 { return m.Cost.Sum }),
		},
		Stored: middle(all, func(m measurement) int64 { return m.Stored }),
		Parity: middle(all, func(m measurement) int64 { return m.Parity }),
		New:    middle(all, func(m measurement) int64 { return m.New }),
	}, true
}

// middle returns the median of a figure; of an even number, the mean of the two
// in the middle.
func middle[T ~int64](all []measurement, figure func(measurement) T) T {
	sorted := make([]T, len(all))
	for i, m := range all {
		sorted[i] = figure(m)
	}
	slices.Sort(sorted)
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

// fastest returns who of the peers has the least of a figure in a step.
func (r result) fastest(step string, peers []contender, figure func(cost) time.Duration) (least measurement, found bool) {
	for _, p := range peers {
		if p.name == ours {
			continue
		}
		if m, ok := r.median(step, p.name); ok && (!found || figure(m.Cost) < figure(least.Cost)) {
			least, found = m, true
		}
	}
	return least, found
}

func wall(c cost) time.Duration  { return c.Wall }
func cores(c cost) time.Duration { return c.Cores }
