package main

import (
	"math/bits"
	"time"

	"strongroom/internal/safe/keep"
)

// A calendar says when each snapshot of a source is let go. Times are days
// since the first night; a snapshot is that of the night of its number, and
// nothing is ever missed.
//
// It is the design's rule of expiry, told in advance: an object goes with the
// last snapshot that needs it. Expiry itself also waits for holds, openings
// and replicas, which are not simulated.
type calendar struct {
	// last[k][i] is the day on which the last of the 2^k snapshots from i on is
	// let go.
	last [][]int
}

func newCalendar(rules keep.Rules, first time.Time, nights int) *calendar {
	gone := make([]int, nights)
	var past []keep.Past
	for i := range gone {
		started := first.AddDate(0, 0, i)
		tier, until := keep.Decide(rules, started, past)
		past = append(past, keep.Past{Started: started, Tier: tier})
		gone[i] = int((until.Sub(first) + day - 1) / day)
		gone[i] = max(gone[i], i+rules.AtLeast)
	}
	c := &calendar{last: [][]int{gone}}
	for width := 2; width <= nights; width *= 2 {
		half := c.last[len(c.last)-1]
		row := make([]int, nights-width+1)
		for i := range row {
			row[i] = max(half[i], half[i+width/2])
		}
		c.last = append(c.last, row)
	}
	return c
}

// gone returns the day on which an object is removed that the snapshots first
// to last need, and no other.
func (c *calendar) gone(first, last int) int {
	k := bits.Len(uint(last-first+1)) - 1
	return max(c.last[k][first], c.last[k][last-1<<k+1])
}

// nights returns how many there are.
func (c *calendar) nights() int { return len(c.last[0]) }

// A shelf counts what is kept on each day.
type shelf struct {
	calendar *calendar
	change   []int64 // bytes, by day
}

func newShelf(c *calendar) *shelf {
	return &shelf{calendar: c, change: make([]int64, c.nights()+1)}
}

// hold counts an object that the snapshots first to last need.
func (s *shelf) hold(first, last int, bytes int64) {
	s.change[first] += bytes
	s.change[min(s.calendar.gone(first, last), s.calendar.nights())] -= bytes
}

// stored returns the bytes that are kept after each night's collection, and
// after what is due that day has been removed.
func (s *shelf) stored() []int64 {
	stored := make([]int64, s.calendar.nights())
	var sum int64
	for day := range stored {
		sum += s.change[day]
		stored[day] = sum
	}
	return stored
}
