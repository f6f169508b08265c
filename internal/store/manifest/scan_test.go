package manifest

import (
	"strings"
	"testing"
	"time"
)

// slowTime is what parseTime has to be the same as.
func slowTime(text string) (time.Time, bool) {
	t, err := time.Parse(time.RFC3339Nano, text)
	return t, err == nil && t.Format(time.RFC3339Nano) == text && t.Location() == time.UTC
}

var times = []string{
	"2026-11-21T02:00:00Z", "2026-11-21T02:00:00.5Z", "2026-11-21T02:00:00.123456789Z", "0000-01-01T00:00:00Z",
	"9999-12-31T23:59:59.999999999Z", "2024-02-29T00:00:00Z", "2026-11-21T02:00:00.000000001Z",
	// and what is none
	"", "Z", "2026-11-21T02:00:00", "2026-11-21T02:00:00+00:00", "2026-11-21T02:00:00.Z", "2026-11-21T02:00:00.50Z",
	"2026-11-21T02:00:00.1234567891Z", "2026-11-21T02:00:00,5Z", "2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z",
	"2026-00-01T00:00:00Z", "2026-01-00T00:00:00Z", "2026-06-31T00:00:00Z", "2026-11-21T24:00:00Z", "2026-11-21T23:60:00Z",
	"2026-11-21T23:59:60Z", "2026-11-21 02:00:00Z", "2026-11-21T2:00:00Z", "-026-11-21T02:00:00Z", "2026-11-21t02:00:00z",
	"2026-11-21T02:00:00.5xZ", "2026-11-21T02:00:00x5Z", "20261-11-21T02:00:00Z", "2026-1a-21T02:00:00Z",
}

func FuzzTime(f *testing.F) {
	for _, text := range times {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		want, wantOK := slowTime(text)
		got, ok := parseTime([]byte(text))
		if ok != wantOK || ok && !got.Equal(want) {
			t.Errorf("%q: got %v %t, want %v %t", text, got, ok, want, wantOK)
		}
	})
}

// What was read last of a field stands in for it only if it is there again.
func TestChunksThatDifferInOneField(t *testing.T) {
	text := func(run, pack string) string {
		return `{"h":"` + strings.Repeat("0a", 32) + `","r":"` + run + `","p":"` + pack + `","o":0,"z":1,"n":1}`
	}
	runs := []string{testRun.String(), "0193a5a0-0000-7000-8000-000000000001"}
	packs := []string{strings.Repeat("ab", 32), strings.Repeat("ab", 31) + "ac"}
	last := new(lately)
	for _, i := range []int{0, 0, 1, 1, 0} {
		for _, j := range []int{0, 1, 1, 0} {
			line := []byte(text(runs[i], packs[j]))
			s := &scanner{line: line, rest: line, last: last}
			c := s.chunk()
			if s.err != nil || c.Run.String() != runs[i] || c.Pack.String() != packs[j] || len(s.rest) > 0 {
				t.Errorf("read %v, %v of %s", c, s.err, line)
			}
		}
	}
	for _, bad := range []string{
		text(strings.Repeat("\x00", 36), packs[0]), text(runs[0], strings.Repeat("\x00", 64)),
		text(strings.ToUpper(runs[1]), packs[0]), text(runs[0], strings.ToUpper(packs[0])), text(runs[0][:35], packs[0]),
	} {
		s := &scanner{line: []byte(bad), rest: []byte(bad), last: new(lately)}
		if c := s.chunk(); s.err == nil {
			t.Errorf("read %v of %q", c, bad)
		}
	}
}
