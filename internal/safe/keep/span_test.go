package keep

import (
	"regexp"
	"testing"
	"time"
)

func TestSpanAfter(t *testing.T) {
	tests := []struct{ from, span, want string }{
		{"2026-01-31", "1mo", "2026-02-28"},
		{"2028-01-31", "1mo", "2028-02-29"},
		{"2026-01-31", "2mo", "2026-03-31"},
		{"2026-03-31", "1mo", "2026-04-30"},
		{"2026-12-31", "2mo", "2027-02-28"},
		{"2026-08-31", "6mo", "2027-02-28"},
		{"2026-05-15", "24mo", "2028-05-15"},
		{"2028-02-29", "1y", "2029-02-28"},
		{"2028-02-29", "4y", "2032-02-29"},
		{"2096-02-29", "4y", "2100-02-28"}, // 2100 is no leap year
		{"2028-02-28", "1d", "2028-02-29"},
		{"2026-12-31 23:59", "1d", "2027-01-01 23:59"},
		{"2026-12-28", "1w", "2027-01-04"},
		{"2026-03-28 20:00 -0500", "1mo", "2026-04-29 01:00"}, // the 29th in UTC
		{"2026-01-01", "100y", "2126-01-01"},
	}
	for _, tt := range tests {
		span, err := ParseSpan(tt.span)
		if err != nil {
			t.Fatal(err)
		}
		if got := span.After(at(t, tt.from)); !got.Equal(at(t, tt.want)) || got.Location() != time.UTC {
			t.Errorf("%s after %s is %v, want %s", tt.span, tt.from, got, tt.want)
		}
	}
}

func TestSpanBefore(t *testing.T) {
	for _, tt := range []struct{ to, span, want string }{
		{"2026-03-31", "1mo", "2026-02-28"},
		{"2028-02-29", "1y", "2027-02-28"},
		{"2026-01-04", "1w", "2025-12-28"},
		{"2026-01-01 23:59", "1d", "2025-12-31 23:59"},
	} {
		span, err := ParseSpan(tt.span)
		if err != nil {
			t.Fatal(err)
		}
		if got := span.Before(at(t, tt.to)); !got.Equal(at(t, tt.want)) {
			t.Errorf("%s before %s is %v, want %s", tt.span, tt.to, got, tt.want)
		}
	}
}

func TestParseSpan(t *testing.T) {
	for _, s := range []string{"1d", "35d", "13w", "24mo", "7y", "36525d", "100y"} {
		if span, err := ParseSpan(s); err != nil || span.String() != s || span.IsZero() {
			t.Errorf("ParseSpan(%q) = %v, %v", s, span, err)
		}
	}
	for _, s := range []string{"", "d", "35", "0d", "035d", "-1d", "+1d", "1.5d", "1 d", " 1d", "1d ", "1D", "1m", "1mo1d", "6h", "36526d", "101y", "99999999999999999999d", "١d"} {
		if span, err := ParseSpan(s); err == nil {
			t.Errorf("ParseSpan(%q) = %v, want an error", s, span)
		}
	}
}

func FuzzParseSpan(f *testing.F) {
	for _, s := range []string{"35d", "13w", "24mo", "7y", "0d", "1m", "99999y"} {
		f.Add(s)
	}
	pattern := regexp.MustCompile(SpanPattern)
	from := time.Date(2028, 2, 29, 23, 59, 59, 0, time.UTC)
	f.Fuzz(func(t *testing.T, s string) {
		span, err := ParseSpan(s)
		if err != nil {
			return
		}
		if span.String() != s || !pattern.MatchString(s) {
			t.Errorf("ParseSpan(%q) = %v: another spelling, or not of the pattern", s, span)
		}
		if end := span.After(from); end.Before(from.AddDate(0, 0, 1)) || end.After(from.AddDate(101, 0, 0)) {
			t.Errorf("%v after %v is %v", span, from, end)
		}
	})
}
