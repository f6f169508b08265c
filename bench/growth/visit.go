package main

import (
	"slices"
	"time"

	"strongroom/internal/store/manifest"
	"strongroom/internal/store/refresh"
)

// Visits remembers which files the planner need be asked about tonight, since
// to ask about each of a million files on 2,556 nights takes long. Whether one
// is read is for the planner to say.
//
// An unchanged file is read when it has its turn, which comes once in a
// period, or when it has missed one. What it has missed is found out when it
// is read, and does not change until it is read again.
type visits struct {
	rules  refresh.Rules
	first  time.Time
	plans  []*refresh.Night // one for each night of a period
	turns  [][]int          // by night of a period: the files with a turn, ascending
	missed []int            // files to ask about tonight, ascending
	files  int              // whose turns are known
}

func newVisits(r refresh.Rules, first time.Time) *visits {
	v := &visits{rules: r, first: first}
	for i := range max(1, int(r.Reread/day)) {
		v.plans = append(v.plans, v.plan(i, 0))
	}
	v.turns = make([][]int, len(v.plans))
	return v
}

// plan returns the planner of a night.
func (v *visits) plan(night int, bytes int64) *refresh.Night {
	return refresh.NewNight(v.rules, v.first.AddDate(0, 0, night-1), v.first.AddDate(0, 0, night), bytes)
}

// tonight returns the files to ask about, ascending: those that may be due,
// those with a chunk in changed, and all that are new. Streams are always due.
func (v *visits) tonight(src *source, night int, changed []int) (files []int) {
	if src.stream {
		for i := src.gone; i < len(src.files); i++ {
			files = append(files, i)
		}
		return files
	}
	files = slices.Concat(v.turns[night%len(v.turns)], v.missed)
	v.missed = v.missed[:0]
	for _, c := range changed {
		if f := src.fileOf(c); len(files) == 0 || files[len(files)-1] != f {
			files = append(files, f)
		}
	}
	for ; v.files < len(src.files); v.files++ {
		files = append(files, v.files)
		for i, plan := range v.plans {
			if plan.FileTurn(src.files[v.files].path, nil) {
				v.turns[i] = append(v.turns[i], v.files)
			}
		}
	}
	slices.Sort(files)
	files = slices.Compact(files)
	there, _ := slices.BinarySearch(files, src.gone)
	return files[there:]
}

// wasRead notes that a file was read and what its oldest chunk is now.
func (v *visits) wasRead(file int, path string, oldest []manifest.Chunk, tomorrow *refresh.Night) {
	if tomorrow.FileTurn(path, oldest) {
		v.missed = append(v.missed, file)
	}
}
