package daemon

import (
	"path/filepath"
	"testing"

	"strongroom/internal/safe"
	"strongroom/internal/safe/config"
)

func TestRooms(t *testing.T) {
	const gib = 1 << 30
	kept := func(source string, stored int64) safe.Snapshot {
		return safe.Snapshot{Source: safe.SourceName(source), StoredBytes: stored - 1, ParityBytes: 1}
	}
	partial := kept("a", 9*gib)
	partial.Partial = true
	for _, c := range []struct {
		name      string
		snapshots []safe.Snapshot
		want      int64
	}{
		{"nothing was collected", nil, gib},
		{"the first stores everything", []safe.Snapshot{kept("a", 7*gib)}, gib},
		{"little is new", []safe.Snapshot{kept("a", 7*gib), kept("a", 5)}, gib},
		{"the newest counts", []safe.Snapshot{kept("a", 7*gib), kept("a", 6*gib), kept("a", 2*gib)}, 2 * gib},
		{"a partial one does not", []safe.Snapshot{kept("a", 7*gib), kept("a", 2*gib), partial}, 2 * gib},
		{"the largest of several", []safe.Snapshot{kept("a", 7*gib), kept("b", 1), kept("b", 3*gib), kept("a", 2*gib)}, 3 * gib},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			rooms, err := Rooms(&config.Config{Store: dir, Dir: dir}, c.snapshots)
			if err != nil || len(rooms) != 2 {
				t.Fatalf("got %v, %v", rooms, err)
			}
			if rooms[0].Need != c.want || rooms[1].Need != gib || rooms[0].Free <= 0 {
				t.Errorf("got %v, want a need of %d", rooms, c.want)
			}
		})
	}
	rooms, err := Rooms(&config.Config{Store: filepath.Join(t.TempDir(), "not-yet"), Dir: t.TempDir()}, nil)
	if err != nil || len(rooms) != 1 {
		t.Errorf("before there is a store: %v, %v", rooms, err)
	}
}
