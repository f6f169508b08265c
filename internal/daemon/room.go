package daemon

import (
	"errors"
	"fmt"
	"io/fs"

	"strongroom/internal/safe"
	"strongroom/internal/safe/config"
)

// leastRoom is what should be free whatever is collected: a database and its
// journal, the manifest of a large source, a pack of each lane.
const leastRoom = 1 << 30

// A Room is what is free where the safe writes.
type Room struct {
	What string // such as "the store"
	Path string
	Free int64
	Need int64 // less than this is too little for a collection
}

// Rooms tells what is free where the store and the safe's own folder lie, as
// far as they exist. What a collection needs is guessed from all snapshots,
// oldest first; there may be none.
func Rooms(cfg *config.Config, snapshots []safe.Snapshot) ([]Room, error) {
	var rooms []Room
	for _, r := range []Room{
		{What: "the store", Path: cfg.Store, Need: max(leastRoom, needOf(snapshots))},
		{What: "the safe's own folder", Path: cfg.Dir, Need: leastRoom},
	} {
		var err error
		r.Free, err = free(r.Path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("looking how much is free in %s: %w", r.Path, err)
		}
		rooms = append(rooms, r)
	}
	return rooms, nil
}

// needOf returns the most that the newest complete snapshot of any source has
// stored. A source's first one stores everything, which no other does: it
// does not count.
func needOf(snapshots []safe.Snapshot) int64 {
	newest, earlier := make(map[safe.SourceName]int64), make(map[safe.SourceName]bool)
	for _, s := range snapshots { // oldest first
		if s.Partial {
			continue
		}
		if earlier[s.Source] {
			newest[s.Source] = s.StoredBytes + s.ParityBytes
		}
		earlier[s.Source] = true
	}
	var most int64
	for _, n := range newest {
		most = max(most, n)
	}
	return most
}
