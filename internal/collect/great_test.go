package collect_test

import (
	"context"
	"errors"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/collect"
	"strongroom/internal/safe"
	"strongroom/internal/source"
	"strongroom/internal/store/chunk"
)

// crumbs makes of a few megabytes as many chunks as a file of terabytes has.
var crumbs = chunk.Sizes{Min: 64, Avg: 128, Max: 256}

// TestLongGreatFileIsNotHeld counts what is on the heap while a file is read: with
// something there for each of its chunks it grows until the file ends.
func TestLongGreatFileIsNotHeld(t *testing.T) {
	if underRace {
		t.Skip("takes long, and memory says nothing then")
	}
	const atMost = 50_000 // of which maxWaiting are pieces
	for _, test := range []struct {
		name    string
		content []byte // of 75,000 chunks at least
	}{
		{"all of it new", noise(1, 11<<20)},
		{"all of it the same", make([]byte, 19<<20)}, // no pack is ever full
	} {
		t.Run(test.name, func(t *testing.T) {
			r, before := newRoom(t), objects()
			most := 0
			great := file("great", test.content)
			next := len(test.content)
			great.amid = func(left int) {
				if left <= next {
					most = max(most, objects()-before)
					next = left - len(test.content)/10
				}
			}
			tree := &tree{entries: []entry{file("a", []byte("b")), great, file("z", []byte("y"))}}
			in := r.begin(firstNight, tree)
			in.Options.NoParity = true
			result, err := collect.RunCut(t.Context(), t.Context(), in, crumbs)
			if err != nil || !result.Complete {
				t.Fatalf("%+v, %v", result, err)
			}
			t.Logf("%d objects at most", most)
			if most > atMost {
				t.Errorf("%d objects were held, at most %d are allowed", most, atMost)
			}
			r.holds(r.end(in, result), tree)
		})
	}
}

// objects counts what is reachable on the heap.
func objects() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapObjects)
}

// TestLongGreatFileIsListedWholeOrNotAtAll ends the reading of a file of which most
// was set aside.
func TestLongGreatFileIsListedWholeOrNotAtAll(t *testing.T) {
	const size = 5 << 20 // 36,000 chunks, of which 32,768 may wait
	broken := errors.New("the line is dead")
	unreadable := &source.Problem{Kind: source.Unreadable, Path: "great", Err: errors.New("so it is")}
	for _, test := range []struct {
		name  string
		harm  func(great *entry, crash func())
		paths []string // in the snapshot; none if there is none
	}{
		{"read to its end", func(*entry, func()) {}, []string{"a", "great", "z"}},
		{"unreadable near its end", func(e *entry, _ func()) { e.err = unreadable }, []string{"a", "z"}},
		{"broken off", func(e *entry, _ func()) { e.err = broken }, []string{"a"}},
		{"crashed", func(e *entry, crash func()) {
			e.amid = func(left int) {
				if left < size/16 {
					crash()
				}
			}
		}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			if underRace && test.name != "broken off" {
				t.Skip("takes long, and one of them has all that runs at the same time")
			}
			r := newRoom(t)
			whole := &tree{entries: []entry{file("a", []byte("b")), file("great", noise(1, size)), file("z", []byte("y"))}}
			harmed := whole.fresh()
			ctx, crash := context.WithCancel(t.Context())
			defer crash()
			test.harm(harmed.at("great"), crash)
			in := r.begin(firstNight, harmed)
			in.Options.CheckpointPacks = 1
			result, err := collect.RunCut(ctx, t.Context(), in, crumbs)
			if (err != nil) != (test.paths == nil) || result.Complete != (len(test.paths) == 3) {
				t.Fatalf("%+v, %v", result, err)
			}
			r.noSpools()
			if d := r.end(in, result); test.paths != nil {
				var want []item
				for _, it := range whole.items() {
					if slices.Contains(test.paths, it.Path) {
						want = append(want, it)
					}
				}
				if diff := cmp.Diff(want, r.read(d)); diff != "" {
					t.Errorf("the snapshot (- want):\n%.1000s", diff)
				}
			}
			if result.Complete {
				return
			}
			// What was stored of it is found by the next run.
			in = r.begin(firstNight.Add(time.Hour), whole)
			if result, err = collect.RunCut(t.Context(), t.Context(), in, crumbs); err != nil || !result.Complete {
				t.Fatalf("%+v, %v", result, err)
			}
			if result.NewBytes > size/2 {
				t.Errorf("%d of %d bytes were stored again", result.NewBytes, size)
			}
			r.holds(r.end(in, result), whole)
		})
	}
}

// noSpools makes sure that nothing lies in the folder of what is remembered but
// folders of runs.
func (r *room) noSpools() {
	r.t.Helper()
	names, err := os.ReadDir(r.memory)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, name := range names {
		if _, err := safe.ParseRunID(name.Name()); err != nil {
			r.t.Errorf("%s was left", name.Name())
		}
	}
}
