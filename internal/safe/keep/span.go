package keep

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A Span is a length of time as people say it: so many days, weeks, months or
// years. How many hours that is depends on when it begins. The zero Span
// stands for no time at all.
type Span struct {
	N    int
	Unit Unit
}

// A Unit is what a Span counts, as it is written.
type Unit string

const (
	Day   Unit = "d"
	Week  Unit = "w"
	Month Unit = "mo"
	Year  Unit = "y"
)

// longest holds the largest N of each unit: a hundred years. Who wants more
// has made a typing error, and far dates trouble other programs.
var longest = map[Unit]int{Day: 36525, Week: 5218, Month: 1200, Year: 100}

// SpanPattern is what ParseSpan takes, as a regular expression, but for the
// largest numbers.
const SpanPattern = `^[1-9][0-9]{0,4}(d|w|mo|y)$`

// ParseSpan reads a whole number directly followed by its unit: 35d, 13w,
// 24mo or 7y. It takes nothing that String would write otherwise.
func ParseSpan(s string) (Span, error) {
	digits := len(s) - len(strings.TrimLeft(s, "0123456789"))
	unit := Unit(s[digits:])
	most, ok := longest[unit]
	if !ok || digits == 0 || s[0] == '0' {
		return Span{}, fmt.Errorf("span %.40q: want a number above 0 and d, w, mo or y, such as 35d", s)
	}
	n, err := strconv.Atoi(s[:digits])
	if err != nil || n > most {
		return Span{}, fmt.Errorf("span %.40q: at most %d%s are possible", s, most, unit)
	}
	return Span{n, unit}, nil
}

func (s Span) String() string {
	if s.IsZero() {
		return "none"
	}
	return strconv.Itoa(s.N) + string(s.Unit)
}

// IsZero reports whether s is no time at all.
func (s Span) IsZero() bool { return s == Span{} }

// After returns the end of the span that begins at t, in UTC. Days and weeks
// have 24 and 168 hours. Months and years end on the same day and at the same
// time of day; where the last month has no such day, on its last day: one
// month after 31 January is 28 or 29 February, and never a day in March.
func (s Span) After(t time.Time) time.Time {
	t = t.UTC()
	switch s.Unit {
	case Day:
		return t.AddDate(0, 0, s.N)
	case Week:
		return t.AddDate(0, 0, 7*s.N)
	case Month:
		return addMonths(t, s.N)
	case Year:
		return addMonths(t, 12*s.N)
	}
	return t
}

// Before returns the beginning of the span that ends at t, in UTC, by the same
// rules.
func (s Span) Before(t time.Time) time.Time { return Span{-s.N, s.Unit}.After(t) }

func addMonths(t time.Time, n int) time.Time {
	end := t.AddDate(0, n, 0)
	// AddDate carries 31 February over into March; the day of the month tells.
	if end.Day() != t.Day() {
		end = end.AddDate(0, 0, -end.Day())
	}
	return end
}
