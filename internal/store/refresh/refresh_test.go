package refresh

import (
	"fmt"
	"testing"
	"time"

	"strongroom/internal/safe"
	"strongroom/internal/store/manifest"
)

var start = time.Date(2026, 1, 1, 2, 0, 0, 0, time.UTC)

func night(last, now int) *Night {
	return NewNight(Rules{}, start.Add(time.Duration(last)*day), start.Add(time.Duration(now)*day), 1<<30)
}

func TestEveryFileHasOneTurnInThirtyNights(t *testing.T) {
	const files = 3000
	turns := make(map[string]int)
	for d := 1; d <= 30; d++ {
		tonight := 0
		for i := range files {
			path := fmt.Sprintf("srv/data/%d", i)
			if night(d-1, d).FileTurn(path, nil) {
				turns[path]++
				tonight++
			}
		}
		if tonight < files/30/2 || tonight > files/30*2 {
			t.Errorf("night %d reads %d of %d files again, want about a thirtieth", d, tonight, files)
		}
	}
	for i := range files {
		if n := turns[fmt.Sprintf("srv/data/%d", i)]; n != 1 {
			t.Fatalf("file %d had %d turns in 30 nights", i, n)
		}
	}
}

func TestMissedNightsAreMadeUpFor(t *testing.T) {
	for i := range 300 {
		path := fmt.Sprint("f", i)
		each := 0
		for d := 11; d <= 17; d++ {
			if night(d-1, d).FileTurn(path, nil) {
				each++
			}
		}
		if got := night(10, 17).FileTurn(path, nil); got != (each > 0) {
			t.Errorf("%s: turn in the week at once is %v, night by night %d", path, got, each)
		}
		if !night(0, 30).FileTurn(path, nil) {
			t.Errorf("%s: no turn in 30 days", path)
		}
		if night(5, 5).FileTurn(path, nil) {
			t.Errorf("%s: a second turn on the same day", path)
		}
	}
}

// TestWhatTheBudgetLeftOver reads a file every night from the turn on at which
// a chunk of it was too old, and no earlier.
func TestWhatTheBudgetLeftOver(t *testing.T) {
	const path = "srv/data/1"
	turn := 366
	for !night(turn-1, turn).FileTurn(path, nil) {
		turn++
	}
	old := manifest.Chunk{Run: safe.NewRunID(start)}
	young := manifest.Chunk{Run: safe.NewRunID(start.Add(time.Duration(turn-365) * day))}
	for d := turn - 29; d < turn+30; d++ {
		if got, want := night(d-1, d).FileTurn(path, []manifest.Chunk{young, old}), d >= turn; got != want {
			t.Errorf("turn at night %d: read in night %d is %v", turn, d, got)
		}
		if got, want := night(d-1, d).FileTurn(path, []manifest.Chunk{young}), d == turn; got != want {
			t.Errorf("turn at night %d: a young file is read in night %d is %v", turn, d, got)
		}
	}
}

func chunkOf(age int, i byte) manifest.Chunk {
	return manifest.Chunk{Hash: safe.Digest{i}, Run: safe.NewRunID(start.Add(time.Duration(400-age) * day)), Length: 1 << 20}
}

func TestWhichChunks(t *testing.T) {
	third := Pack{Frames: 99, Used: 33}
	n := night(399, 400)
	for _, c := range []struct {
		age  int
		pack Pack
		want bool
	}{
		{1, third, false}, {365, third, false}, {366, third, true},
		{1, Pack{Frames: 99, Used: 32}, true}, {1, Pack{Frames: 100, Used: 33}, true}, {1, Pack{}, false},
	} {
		if got := n.FileChunk(chunkOf(c.age, 0), c.pack); got != c.want {
			t.Errorf("a chunk of %d days in a pack %+v: stored again is %v, want %v", c.age, c.pack, got, c.want)
		}
	}
}

func TestBudget(t *testing.T) {
	n := NewNight(Rules{}, start, start.Add(400*day), 270<<20)
	again := 0
	for i := range 100 {
		if n.FileChunk(chunkOf(400, byte(i)), Pack{}) {
			again++
		}
	}
	if again != 10 {
		t.Errorf("%d MiB of 270 were stored again, want a 27th", again)
	}
	if n := NewNight(Rules{}, start, start.Add(400*day), 1<<20); !n.FileChunk(chunkOf(400, 1), Pack{}) || n.FileChunk(chunkOf(400, 2), Pack{}) {
		t.Error("of a small source, one chunk a night is stored again, no more")
	}
}

func TestStreamsByChunk(t *testing.T) {
	again := 0
	for i := range 240 {
		if night(399, 400).StreamChunk(chunkOf(366, byte(i)), Pack{}) {
			again++
		}
	}
	if again < 2 || again > 20 {
		t.Errorf("%d of 240 chunks of a stream had their turn, want about 8", again)
	}
	again = 0
	for i := range 240 { // due for a whole period
		if NewNight(Rules{}, start.Add(399*day), start.Add(400*day), 1<<40).StreamChunk(chunkOf(396, byte(i)), Pack{}) {
			again++
		}
	}
	if again != 240 {
		t.Errorf("%d of 240 chunks were stored again when all had missed their turn", again)
	}
}
