package main

import (
	"time"

	"strongroom/internal/safe/keep"
)

// firstNight is when simulated time begins: a Thursday, and the first of a year.
var firstNight = time.Date(2026, 1, 1, 2, 10, 0, 0, time.UTC)

// A night is what one came to.
type night struct {
	tally
	listed int64 // bytes of the manifest that were stored, compressed
	packs  int   // that the snapshot needs, those of its manifest included
	runs   int   // that these packs belong to
}

// A life is what became of a source and its store, by nights.
type life struct {
	nights []night
	// whole is what is kept of the source in packs, exact what would be if
	// each chunk were stored once and let go by itself; lists is what is kept
	// of manifests.
	whole, exact, lists []int64
}

// live lets a source live for all the nights of a calendar.
func live(sc scenario, r rules, c *calendar) life {
	src, churn := sc.make(sc.bytes)
	data, manifests := newStore(r, firstNight, c), newStore(r, firstNight, c)
	list := newListing(uint64(sc.bytes))
	var l life
	for i := range c.nights() {
		var changed []int
		if i > 0 {
			changed = churn(src, i)
		}
		var n night
		n.tally = data.collect(src, changed)
		lines := manifests.collect(list.lines, list.follow(src, data.put))
		n.listed = lines.fresh + lines.again
		for run, packs := range data.alive {
			packs += manifests.alive[run]
			n.packs += packs
			n.runs += min(packs, 1)
		}
		l.nights = append(l.nights, n)
	}
	data.close(src)
	manifests.close(list.lines)
	l.whole, l.exact, l.lists = data.whole.stored(), data.exact.stored(), manifests.whole.stored()
	return l
}

func defaultCalendar(nights int) *calendar { return newCalendar(keep.Default(), firstNight, nights) }
