package ui

import (
	"fmt"
	"strconv"
	"time"
)

// Size writes a number of bytes in decimal units: 999 B, 1.1 kB, 41.2 GB,
// 412 GB.
func Size(n int64) string {
	if n > -1000 && n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	v := float64(n)
	for _, unit := range []string{"kB", "MB", "GB", "TB", "PB"} {
		v /= 1000
		switch {
		case v > -99.95 && v < 99.95:
			return fmt.Sprintf("%.1f %s", v, unit)
		case v > -999.5 && v < 999.5:
			return fmt.Sprintf("%.0f %s", v, unit)
		}
	}
	return fmt.Sprintf("%.1f EB", v/1000)
}

// Count writes a number with a comma before every three digits: 18,000.
func Count(n int64) string {
	s := strconv.FormatInt(n, 10)
	first := 0
	if n < 0 {
		first = 1
	}
	for i := len(s) - 3; i > first; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Duration writes how long something took or will take, in one or two units:
// 350 ms, 95 s, 6 min, 2 h 5 min, 3 d 4 h.
func Duration(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < 0:
		return "-" + Duration(-max(d, -1<<63+1))
	case d.Round(time.Millisecond) < time.Second:
		return fmt.Sprintf("%d ms", d.Round(time.Millisecond)/time.Millisecond)
	case d.Round(time.Second) < 2*time.Minute:
		return fmt.Sprintf("%d s", d.Round(time.Second)/time.Second)
	case d.Round(time.Minute) < time.Hour:
		return fmt.Sprintf("%d min", d.Round(time.Minute)/time.Minute)
	case d.Round(time.Minute) < day:
		return twoUnits(d.Round(time.Minute), time.Hour, "h", time.Minute, "min")
	default:
		return twoUnits(d.Round(time.Hour), day, "d", time.Hour, "h")
	}
}

func twoUnits(d, large time.Duration, largeName string, small time.Duration, smallName string) string {
	s := fmt.Sprintf("%d %s", d/large, largeName)
	if rest := d % large / small; rest > 0 {
		s += fmt.Sprintf(" %d %s", rest, smallName)
	}
	return s
}

// Age writes how long before now t was, or how long after, and its date in
// the zone of now: "2 h ago (2026-11-21 02:10)". The zero time was never.
func Age(t, now time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return Ago(t, now) + " (" + t.In(now.Location()).Format("2006-01-02 15:04") + ")"
}

// Ago writes how long before now t was, or how long after, for where the date
// stands beside it.
func Ago(t, now time.Time) string {
	switch d := now.Sub(t); {
	case d >= time.Minute:
		return coarse(d) + " ago"
	case d <= -time.Minute:
		return "in " + soon(-d)
	default:
		return "now"
	}
}

// soon writes how long something will take to come. People wait for it, so
// nothing large is cut off.
func soon(d time.Duration) string {
	if d = d.Round(time.Minute); d < time.Hour {
		return fmt.Sprintf("%d min", d/time.Minute)
	}
	return Duration(d)
}

// coarse writes an age in whole units, as people give it.
func coarse(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 2*day:
		return fmt.Sprintf("%d h", d/time.Hour)
	case d < 2*365*day:
		return fmt.Sprintf("%d d", d/day)
	default:
		return fmt.Sprintf("%d y", d/(365*day))
	}
}
