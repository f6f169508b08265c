package main

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
)

// A trial is a scenario under some rules.
type trial struct {
	scenario scenario
	rules    rules
	life     life
}

// simulate fills in the lives of trials, as many at a time as there are
// processors.
func simulate(trials []trial, c *calendar) {
	next := make(chan *trial)
	var done sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		done.Go(func() {
			for t := range next {
				t.life = live(t.scenario, t.rules, c)
			}
		})
	}
	for i := range trials {
		next <- &trials[i]
	}
	close(next)
	done.Wait()
}

// nightsOf returns how many nights so many years have.
func nightsOf(years int) int { return years * 36525 / 100 }

// times returns how many times the source's first size there is of something
// after so many years.
func (t trial) times(stored []int64, years int) float64 {
	return float64(stored[nightsOf(years)-1]) / float64(t.scenario.bytes)
}

// A summary is what the nights came to, but the first, which stores all.
// Shares are in per cent of the source, or of what was stored.
type summary struct {
	median, most         float64 // stored
	medianRead, mostRead float64
	again                float64 // of what was stored
	packs                int     // that a snapshot needs, at most
	runs                 int     // that these belong to, at most
}

func (t trial) summary() (s summary) {
	var stored, read []float64
	var again, all int64
	for _, n := range t.life.nights[1:] {
		stored = append(stored, percent(n.fresh+n.again, n.source))
		read = append(read, percent(n.read, n.source))
		again += n.again
		all += n.fresh + n.again
		s.packs, s.runs = max(s.packs, n.packs), max(s.runs, n.runs)
	}
	slices.Sort(stored)
	slices.Sort(read)
	s.median, s.most = stored[len(stored)/2], stored[len(stored)-1]
	s.medianRead, s.mostRead = read[len(read)/2], read[len(read)-1]
	s.again = percent(again, max(all, 1))
	return s
}

func percent(n, of int64) float64 { return 100 * float64(n) / float64(of) }

// line tells of a trial in one.
func (t trial) line(years int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-14s kept", t.scenario.name)
	for year := range years {
		fmt.Fprintf(&b, " %.2f", t.times(t.life.whole, year+1))
	}
	s := t.summary()
	fmt.Fprintf(&b, "; chunk by chunk %.2f; a night %.2f %%, at most %.2f; %.0f %% again; at most %d packs, %d runs",
		t.times(t.life.exact, years), s.median, s.most, s.again, s.packs, s.runs)
	return b.String()
}
