package keep

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"strongroom/internal/safe"
)

// at reads "2026-02-01", "2026-02-01 23:59" or either followed by an offset.
func at(t testing.TB, s string) time.Time {
	t.Helper()
	for _, layout := range []string{"2006-01-02", "2006-01-02 15:04", "2006-01-02 15:04 -0700"} {
		if v, err := time.Parse(layout, s); err == nil {
			return v
		}
	}
	t.Fatalf("not a time: %q", s)
	return time.Time{}
}

// past reads "yearly 2026-01-01; daily 2026-01-02 23:00".
func past(t testing.TB, s string) []Past {
	t.Helper()
	var all []Past
	for part := range strings.SplitSeq(s, ";") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		tier, when, _ := strings.Cut(part, " ")
		all = append(all, Past{Started: at(t, when), Tier: safe.Tier(tier)})
	}
	return all
}

func TestDecide(t *testing.T) {
	all := Rules{Daily: Span{35, Day}, Weekly: Span{13, Week}, Monthly: Span{24, Month}, Yearly: Span{7, Year}}
	dailyOnly := Rules{Daily: Span{35, Day}}
	noYearly := Rules{Daily: Span{35, Day}, Weekly: Span{13, Week}, Monthly: Span{24, Month}}
	onlyYearly := Rules{Daily: Span{35, Day}, Yearly: Span{7, Year}}
	const old = "daily 2020-06-01; " // the source is not new

	tests := []struct {
		name    string
		rules   Rules
		started string
		earlier string
		tier    safe.Tier
		until   string
	}{
		{"first ever", all, "2026-01-01", "", safe.Daily, "2026-02-05"},
		{"last minute of the first days", all, "2026-01-08 02:09", "daily 2026-01-01 02:10", safe.Daily, "2026-02-12 02:09"},
		{"first days end to the minute", all, "2026-01-08 02:10", "daily 2026-01-01 02:10", safe.Yearly, "2033-01-08 02:10"},
		{"first days over a year's end", all, "2027-01-01", "daily 2026-12-30; daily 2026-12-31", safe.Daily, "2027-02-05"},
		{"first days used nothing up", all, "2027-01-06", "daily 2026-12-30; daily 2027-01-01; daily 2027-01-05", safe.Yearly, "2034-01-06"},
		{"before the first, by a turned clock", all, "2025-01-01", "daily 2026-01-01", safe.Daily, "2025-02-05"},

		{"first of a year", all, "2027-01-01", old + "monthly 2026-12-01", safe.Yearly, "2034-01-01"},
		{"last instant of a year", all, "2026-12-31 23:59", old + "yearly 2026-01-01; monthly 2026-12-01; weekly 2026-12-28", safe.Daily, "2027-02-04 23:59"},
		{"first of a month", all, "2026-02-01", old + "yearly 2026-01-01; weekly 2026-01-26", safe.Monthly, "2028-02-01"},
		{"first of a week", all, "2026-02-02", old + "yearly 2026-01-01; monthly 2026-02-01", safe.Weekly, "2026-05-04"},
		{"second of a week", all, "2026-02-03", old + "yearly 2026-01-01; monthly 2026-02-01; weekly 2026-02-02", safe.Daily, "2026-03-10"},
		{"second of a day", all, "2026-02-02 12:00", old + "yearly 2026-01-01; monthly 2026-02-01; weekly 2026-02-02", safe.Daily, "2026-03-09 12:00"},
		{"a year's first serves month and week", all, "2026-01-02", old + "yearly 2026-01-01", safe.Daily, "2026-02-06"},
		{"a month's first serves its week", all, "2026-07-02", old + "yearly 2026-01-01; monthly 2026-07-01", safe.Daily, "2026-08-06"},
		{"the order of the past does not matter", all, "2026-07-02", "monthly 2026-07-01; yearly 2026-01-01; daily 2020-06-01", safe.Daily, "2026-08-06"},
		{"dailies serve nothing", all, "2026-07-10", old + "daily 2026-07-01; daily 2026-07-09", safe.Yearly, "2033-07-10"},

		// 2026 has 53 ISO weeks: the last is 2026-12-28 to 2027-01-03. The first
		// of 2027 is 2027-01-04.
		{"week 53 begins", all, "2026-12-28", old + "yearly 2026-01-01; monthly 2026-12-01; weekly 2026-12-21", safe.Weekly, "2027-03-29"},
		{"week 53 goes on over the year's end", all, "2027-01-02", old + "weekly 2026-12-28; yearly 2027-01-01", safe.Daily, "2027-02-06"},
		{"week 53 was served in the old year", noYearly, "2027-01-03", old + "weekly 2026-12-28; monthly 2027-01-01", safe.Daily, "2027-02-07"},
		{"week 1 after week 53", all, "2027-01-04", old + "weekly 2026-12-28; yearly 2027-01-01", safe.Weekly, "2027-04-05"},
		{"week 1 begins in the old year", all, "2025-01-01", old + "weekly 2024-12-30; yearly 2024-01-01", safe.Yearly, "2032-01-01"},
		{"the same week number of another year", all, "2026-12-29", old + "yearly 2026-01-01; monthly 2026-12-01; weekly 2020-12-29", safe.Weekly, "2027-03-30"},

		{"leap day, yearly", all, "2028-02-29", old + "", safe.Yearly, "2035-02-28"},
		{"leap day, monthly", all, "2028-02-29", old + "yearly 2028-01-01", safe.Monthly, "2030-02-28"},
		{"daily over a leap day", all, "2028-02-01", old + "yearly 2028-01-01; monthly 2028-02-01; weekly 2028-01-31", safe.Daily, "2028-03-07"},

		{"evening in New York is the next year in UTC", all, "2026-12-31 20:00 -0500", old + "yearly 2026-01-01; monthly 2026-12-01; weekly 2026-12-28", safe.Yearly, "2034-01-01 01:00"},
		{"morning in Sydney is the old year in UTC", all, "2027-01-01 08:00 +1100", old + "yearly 2026-01-01; monthly 2026-12-01; weekly 2026-12-28", safe.Daily, "2027-02-04 21:00"},
		{"the past is in UTC too", all, "2027-01-01 12:00", old + "yearly 2026-12-31 20:00 -0500", safe.Daily, "2027-02-05 12:00"},

		{"only a daily rule", dailyOnly, "2027-01-01", old, safe.Daily, "2027-02-05"},
		{"no yearly rule: monthly", noYearly, "2027-01-01", old + "monthly 2026-12-01", safe.Monthly, "2029-01-01"},
		{"no monthly and weekly rule: daily", onlyYearly, "2026-02-01", old + "yearly 2026-01-01", safe.Daily, "2026-03-08"},
		{"a rule added in June", all, "2026-06-10", old + "monthly 2026-06-01; weekly 2026-06-08", safe.Yearly, "2033-06-10"},
		{"a rule shorter than a smaller one", Rules{Daily: Span{35, Day}, Weekly: Span{1, Week}}, "2026-02-02", old, safe.Weekly, "2026-03-09"},
		{"a rule shorter than the one between", Rules{Daily: Span{1, Day}, Weekly: Span{9, Week}, Yearly: Span{1, Month}}, "2026-02-02", old, safe.Yearly, "2026-04-06"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tier, until := Decide(tt.rules, at(t, tt.started), past(t, tt.earlier))
			if tier != tt.tier || !until.Equal(at(t, tt.until)) || until.Location() != time.UTC {
				t.Errorf("Decide(%v, %s, %q) = %s until %v, want %s until %s", tt.rules, tt.started, tt.earlier, tier, until, tt.tier, tt.until)
			}
		})
	}
}

func TestPartial(t *testing.T) {
	tier, until := Partial(at(t, "2028-02-20 23:00 -0500"))
	if want := at(t, "2028-03-06 04:00"); tier != safe.Broken || !until.Equal(want) {
		t.Errorf("Partial = %s until %v, want %s until %v", tier, until, safe.Broken, want)
	}
}

// TestThreeYears takes snapshots for three years, most nights one, some none,
// some several, and looks at what is there on every day: the promise of the
// rules is about that.
func TestThreeYears(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	rules := Default()

	type snapshot struct {
		Past
		until time.Time
	}
	var all []snapshot
	var earlier []Past
	first := at(t, "2026-01-01 02:10").AddDate(0, 0, rng.IntN(365))
	days := 3 * 365
	for day := range days {
		for range []int{0, 1, 1, 1, 1, 1, 1, 1, 1, 2}[rng.IntN(10)] {
			started := first.AddDate(0, 0, day).Add(time.Duration(rng.IntN(20*3600)) * time.Second)
			tier, until := Decide(rules, started, earlier)
			if until.Before(rules.Daily.After(started)) {
				t.Fatalf("%s at %v is kept until %v only, less than a daily one", tier, started, until)
			}
			all = append(all, snapshot{Past{started, tier}, until})
			earlier = append(earlier, Past{started, tier})
		}
	}
	first = all[0].Started // the first night may have had none

	// Every period that has a snapshot after the first days has exactly one
	// that is kept for it, and that is its first.
	periods := map[string]func(time.Time) string{
		"year":  func(t time.Time) string { return t.Format("2006") },
		"month": func(t time.Time) string { return t.Format("2006-01") },
		"week":  func(t time.Time) string { return t.AddDate(0, 0, -(int(t.Weekday())+6)%7).Format("2006-01-02") },
	}
	least := map[string]int{"week": 1, "month": 2, "year": 3}
	for period, name := range periods {
		served := map[string]bool{}
		for _, s := range all {
			key := name(s.Started)
			isNew := s.Started.Before(first.Add(NewSourceDays * 24 * time.Hour))
			keptFor := rank(s.Tier) >= least[period]
			if want := !isNew && !served[key]; want && !keptFor {
				t.Errorf("%s %s: its first snapshot, of %v, is only %s", period, key, s.Started, s.Tier)
			}
			// A larger tier may come from a larger period that begins within
			// this one, as a month does within a week.
			if keptFor && served[key] && rank(s.Tier) == least[period] {
				t.Errorf("%s %s: the snapshot of %v is a second %s one", period, key, s.Started, s.Tier)
			}
			served[key] = served[key] || keptFor
		}
	}

	// On any day: all of the last 35 days, and not more than the rules sum up to.
	for day := range days {
		now := first.AddDate(0, 0, day)
		alive := 0
		for _, s := range all {
			if s.Started.After(now) {
				break
			}
			if s.until.After(now) {
				alive++
			} else if now.Sub(s.Started) < 35*24*time.Hour {
				t.Fatalf("on %v the snapshot of %v is gone", now, s.Started)
			}
		}
		if limit := 2*35 + 14 + 25 + 4; alive > limit {
			t.Fatalf("on %v there are %d snapshots, at most %d were expected", now, alive, limit)
		}
	}
}

func TestDecideWithoutDailyPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("Decide with the zero Rules did not panic; it would have kept a snapshot for no time")
		}
	}()
	Decide(Rules{}, at(t, "2026-01-01"), nil)
}
