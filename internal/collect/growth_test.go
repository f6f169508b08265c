package collect_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"strongroom/internal/collect"
)

// A source that never changes, for 400 nights.
func TestLongGrowth(t *testing.T) {
	if testing.Short() || underRace {
		t.Skip("400 collections; make test runs it without the race detector")
	}
	growth(t, 20, 15, 8000)
}

func TestSoakGrowth(t *testing.T) {
	if os.Getenv("STRONGROOM_SOAK") == "" {
		t.Skip("takes long: set STRONGROOM_SOAK=1")
	}
	growth(t, 60, 50, 16_000)
}

// growth collects a source of so many folders with so many files of about that
// size, and checks what no night may do.
func growth(t *testing.T, folders, files, size int) {
	tree := new(tree)
	seed := uint64(0)
	for i := range folders {
		tree.entries = append(tree.entries, folder(fmt.Sprintf("%03d", i)))
		for j := range files {
			seed++
			tree.entries = append(tree.entries, file(fmt.Sprintf("%03d/%03d", i, j), noise(seed, size/2+int(seed*7919%uint64(size)))))
		}
	}
	r := newRoom(t)
	lastRead := make(map[string]int)
	const nights = 400
	var worstNew, worstStored float64
	for night := range nights {
		tree.reads = nil
		d := r.collect(firstNight.Add(time.Duration(night)*day), tree, func(in *collect.Input) { in.Options.NoParity = true })
		for path := range tree.reads {
			if gap := night - lastRead[path]; gap > 31 {
				t.Errorf("night %d: %s was not read for %d days", night, path, gap)
			}
			lastRead[path] = night
		}
		newShare, storedShare := share(d.NewBytes, d.Bytes), share(d.StoredBytes, d.Bytes)
		if night > 0 {
			worstNew, worstStored = max(worstNew, newShare), max(worstStored, storedShare)
			if newShare > 5 || storedShare > 5 {
				t.Errorf("night %d stores %.1f %% of the source, %.1f %% with manifest and seals", night, newShare, storedShare)
			}
		}
		for run := range d.Runs {
			if age := d.Started.Sub(run.Time()); age > (365+31)*day {
				t.Errorf("night %d refers to run %s, which is %d days old", night, run, age/day)
			}
		}
		if len(d.Runs) > 70 {
			t.Errorf("night %d refers to %d runs", night, len(d.Runs))
		}
		if night%50 == 0 || night > 363 && night%3 == 0 || night == nights-1 {
			packs := 0
			for _, needs := range d.Runs {
				packs += len(needs.Packs)
			}
			t.Logf("night %3d: read %5.1f %%, new %4.2f %%, stored %4.2f %%; %d runs, %d packs", night, share(int64(len(tree.reads)), int64(folders*files)), newShare, storedShare, len(d.Runs), packs)
		}
	}
	t.Logf("at most new %.2f %%, stored %.2f %%", worstNew, worstStored)
	for path, night := range lastRead {
		if nights-1-night > 31 {
			t.Errorf("%s was not read after night %d", path, night)
		}
	}
	r.holds(r.complete, tree)
}

func share(part, whole int64) float64 { return 100 * float64(part) / float64(whole) }
