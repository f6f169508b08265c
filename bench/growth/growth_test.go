package main

import (
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/safe/keep"
	"strongroom/internal/store/chunk"
)

var underRace bool // set by race_test.go

const (
	sevenYears = 2556 // nights
	small      = 1_000_000_000
)

// A shelving is where each chunk of a snapshot lies, and since when it has had
// its content.
type shelving struct {
	first  int // chunk
	places []place
}

// TestLongRetention collects for some years and finds out by going through all
// snapshots which packs and chunks are kept on a day, as expiry will have to.
func TestLongRetention(t *testing.T) {
	if underRace {
		t.Skip("thousands of collections; make test runs it without the race detector")
	}
	const nights = 900
	for _, sc := range scenarios(small) {
		if sc.name == "uploads" || sc.name == "dump" {
			sc.bytes /= 10 // they have most chunks
		}
		t.Run(sc.name, func(t *testing.T) {
			src, churn := sc.make(sc.bytes)
			c := defaultCalendar(nights)
			s := newStore(product, firstNight, c)
			var snapshots []shelving
			for night := range nights {
				var changed []int
				if night > 0 {
					changed = churn(src, night)
				}
				s.collect(src, changed)
				first := src.files[src.gone].first
				snapshots = append(snapshots, shelving{first, slices.Clone(s.places[first:])})
			}
			s.close(src)
			whole, exact := s.whole.stored(), s.exact.stored()
			for today := 0; today < nights; today += 53 {
				packs, contents := make(map[uint32]bool), make(map[[2]int]bool)
				var inPacks, inChunks int64
				for night, snapshot := range snapshots[:today+1] {
					if c.gone(night, night) <= today {
						continue
					}
					for i, p := range snapshot.places {
						if !packs[p.pack] {
							packs[p.pack] = true
							inPacks += s.packs[p.pack].frames
						}
						chunk := snapshot.first + i
						if content := [2]int{chunk, int(p.began)}; !contents[content] {
							contents[content] = true
							inChunks += int64(src.lengths[chunk])
						}
					}
				}
				if whole[today] != inPacks || exact[today] != inChunks {
					t.Errorf("day %d: %d bytes in packs and %d in chunks are kept, the snapshots need %d and %d", today, whole[today], exact[today], inPacks, inChunks)
				}
			}
		})
	}
}

// lives are those of all scenarios, of small sources.
var lives = sync.OnceValue(func() []trial {
	trials := mainTrials(small)
	simulate(trials, defaultCalendar(sevenYears))
	return trials
})

// TestLongBounds states what holds for every source on every night.
func TestLongBounds(t *testing.T) {
	if underRace {
		t.Skip("thousands of collections; make test runs it without the race detector")
	}
	for _, trial := range lives() {
		t.Run(trial.scenario.name, func(t *testing.T) {
			l := trial.life
			for i, n := range l.nights {
				if l.whole[i] < l.exact[i] || l.exact[i] < n.source {
					t.Errorf("day %d: of a source of %d bytes %d are kept in packs, chunk by chunk %d", i, n.source, l.whole[i], l.exact[i])
				}
				// The budget is a 27th of what the source was; the first chunk
				// is always affordable.
				if limit := l.nights[max(i-1, 0)].source/27 + int64(chunk.Files.Max); n.again > limit {
					t.Errorf("night %d stores %d bytes again, at most %d are promised", i, n.again, limit)
				}
				// Refreshed after 365 days, in its turn of 30 days; and what the
				// budget left over.
				if n.runs > 365+30+30 {
					t.Errorf("night %d needs %d runs", i, n.runs)
				}
			}
		})
	}
}

// TestLongReport writes the report of small sources. The text between its tables
// is that of docs/growth.md, which nobody edits by hand.
func TestLongReport(t *testing.T) {
	if underRace {
		t.Skip("thousands of collections; make test runs it without the race detector")
	}
	main := lives()
	others := otherTrials(small)
	for i := range others {
		others[i].life = main[0].life
	}
	text, err := report(main, others)
	if err != nil {
		t.Fatal(err)
	}
	tables := 0
	for _, rows := range []int{len(main), len(main), len(changes())} {
		tables += 2 + rows
	}
	if got := strings.Count(text, "\n|"); got != tables {
		t.Errorf("the report has %d lines of tables, want %d", got, tables)
	}
	for _, odd := range []string{"NaN", "Inf", "<no value>"} {
		if strings.Contains(text, odd) {
			t.Errorf("the report says %q", odd)
		}
	}
	written, err := os.ReadFile("../../docs/growth.md")
	if err != nil {
		t.Fatal(err)
	}
	prose := func(text string) (lines []string) {
		for line := range strings.Lines(text) {
			if !strings.HasPrefix(line, "|") && !strings.Contains(line, " TB that is collected every night") {
				lines = append(lines, line)
			}
		}
		return lines
	}
	if diff := cmp.Diff(prose(text), prose(string(written))); diff != "" {
		t.Errorf("docs/growth.md is not what make bench-growth writes (- written):\n%s", diff)
	}
	if err := xml.Unmarshal([]byte(chart(main)), new(struct{})); err != nil {
		t.Errorf("the chart is no XML: %v", err)
	}
}

func TestRun(t *testing.T) {
	var out strings.Builder
	if err := run(strings.Fields("-scale 0.001 -years 1 -only still"), &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	if want := "still          kept 1.00; chunk by chunk 1.00; a night 0.00 %, at most 0.00; 0 % again; at most 33 packs, 2 runs\n"; out.String() != want {
		t.Errorf("said was %q, want %q", out.String(), want)
	}
	for _, args := range []string{"-scale 0", "-years 0", "-years 51", "-packs some", "-threshold 101", "-threshold half", "-what"} {
		if err := run(strings.Fields(args), io.Discard, io.Discard); err == nil {
			t.Errorf("%s was taken", args)
		}
	}
}

// TestAsTheProgramForLong compares with what the program did with 300 files
// that never change, on 400 nights: the figures, in per cent of the source, are
// those that TestLongGrowth of package collect prints. Its processors spend a
// night's budget side by side, which may shift a file to the next night; a
// file has up to 0.5 %.
func TestAsTheProgramForLong(t *testing.T) {
	src := newSource(1)
	for i := range 300 {
		size := 4000 + (i+1)*7919%8000
		src.files = append(src.files, file{fmt.Sprintf("%03d/%03d", i/15, i%15), i, i + 1})
		src.lengths = append(src.lengths, uint32(size))
		src.bytes += int64(size)
	}
	recorded := map[int]float64{
		363: 0, 369: 3.50, 372: 3.68, 375: 3.48, 378: 2.73, 381: 2.56,
		384: 2.52, 387: 3.29, 390: 3.54, 393: 3.62, 396: 0.76, 399: 0,
	}
	begins := time.Date(2026, 1, 1, 2, 0, 0, 0, time.UTC)
	s := newStore(product, begins, newCalendar(keep.Default(), begins, 400))
	var most float64
	for night := range 400 {
		n := s.collect(src, nil)
		again := percent(n.again, n.source)
		most = max(most, again)
		if want, ok := recorded[night]; ok && math.Abs(again-want) > 0.5 {
			t.Errorf("night %d stores %.2f %% again, in the program it was %.2f", night, again, want)
		}
	}
	if math.Abs(most-3.69) > 0.03 {
		t.Errorf("the greatest night stores %.2f %% again, that of the program 3.69", most)
	}
}

// TestLongVisits asks the planner about every file on every night, to see that
// those that it is not asked about are none that it would have read.
func TestLongVisits(t *testing.T) {
	if underRace {
		t.Skip("hundreds of collections; make test runs it without the race detector")
	}
	run := func(all bool) (nights []tally) {
		src := tree(1, small)
		churn := hot(0.01)
		s := newStore(product, firstNight, defaultCalendar(450))
		for night := range 450 {
			var changed []int
			if night > 0 {
				changed = churn(src, night)
			}
			if all {
				s.visits.missed = s.visits.missed[:0]
				for i := range src.files {
					s.visits.missed = append(s.visits.missed, i)
				}
			}
			nights = append(nights, s.collect(src, changed))
		}
		return nights
	}
	if few, all := run(false), run(true); !slices.Equal(few, all) {
		t.Error("some files were not read that the planner would have had read")
	}
}

func TestChunksHaveTheirMean(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, sizes := range []chunk.Sizes{chunk.Files, chunk.Records, chunk.Manifests} {
		var sum float64
		for range 100_000 {
			n := chunkLength(random.ExpFloat64(), sizes)
			if n < int64(sizes.Min) || n > int64(sizes.Max) {
				t.Fatalf("a chunk of %d bytes, with %+v", n, sizes)
			}
			sum += float64(n)
		}
		if mean := sum / 100_000; math.Abs(mean/float64(sizes.Avg)-1) > 0.02 {
			t.Errorf("chunks have a mean of %.0f bytes, want %d", mean, sizes.Avg)
		}
	}
}

func TestSomeAreChosenEvenly(t *testing.T) {
	s := newSource(1)
	const n, rounds, rate = 1000, 2000, 0.05
	counts := make([]int, n)
	for range rounds {
		chosen := s.some(n, rate)
		if !slices.IsSorted(chosen) || len(slices.Compact(chosen)) != len(chosen) {
			t.Fatalf("chosen were %v", chosen)
		}
		for _, i := range chosen {
			counts[i]++
		}
	}
	for i, count := range counts {
		if count < rounds*rate/2 || count > rounds*rate*2 {
			t.Errorf("%d was chosen %d times, want about %.0f", i, count, rounds*rate)
		}
	}
}
