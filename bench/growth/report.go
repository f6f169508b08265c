package main

import (
	_ "embed"
	"fmt"
	"strings"
	"text/template"
	"time"
)

const reportYears = 7

// reportedYears are the columns of the report.
var reportedYears = []int{1, 2, 3, 5, reportYears}

// mainTrials are the product as it is.
func mainTrials(bytes int64) (trials []trial) {
	for _, sc := range scenarios(bytes) {
		trials = append(trials, trial{scenario: sc, rules: product})
	}
	return trials
}

// A change is one of the product's rules that was tried.
type change struct {
	title string
	make  func(*rules)
}

// never is longer than anything that is simulated.
const never = mostYears * 366 * day

func leftBelow(share float64) func(*rules)    { return func(r *rules) { r.threshold = share } }
func reread(days time.Duration) func(*rules)  { return func(r *rules) { r.Reread = days * day } }
func renewed(days time.Duration) func(*rules) { return func(r *rules) { r.Refresh = days * day } }
func packs(name string) func(*rules)          { return func(r *rules) { r.lane = laneRules[name] } }

func changes() []change {
	return []change{
		{"as it is: 30 days, 365 days, a third of a pack", func(*rules) {}},
		{"packs are left below 75 % in use", leftBelow(0.75)},
		{"below 50 %", leftBelow(0.5)},
		{"below 25 %", leftBelow(0.25)},
		{"never for that reason", leftBelow(0)},
		{"unchanged files are read every 10 days", reread(10)},
		{"every 90 days", reread(90)},
		{"chunks are stored again after 180 days", renewed(180)},
		{"after 730 days", renewed(730)},
		{"never for their age", renewed(never / day)},
		{"what is stored again has packs of its own", packs("apart")},
		{"and so has what replaces something young", packs("lifetime")},
		{"the same, and packs are left below 25 %", func(r *rules) { packs("lifetime")(r); leftBelow(0.25)(r) }},
		{"below 25 %, and 730 days", func(r *rules) { leftBelow(0.25)(r); renewed(730)(r) }},
	}
}

// triedOn are the sources on which changes were tried, by name, with what they
// are called above a narrow column.
var triedOn = []struct{ name, title string }{
	{"scattered-1", "1 % anywhere"}, {"scattered-0.1", "0.1 % anywhere"}, {"hot", "hot files"}, {"uploads", "uploads"},
}

// otherTrials are all changes on all of triedOn, in that order.
func otherTrials(bytes int64) (trials []trial) {
	for _, c := range changes() {
		for _, on := range triedOn {
			for _, sc := range scenarios(bytes) {
				if sc.name == on.name {
					r := product
					c.make(&r)
					trials = append(trials, trial{scenario: sc, rules: r})
				}
			}
		}
	}
	return trials
}

//go:embed growth.md.tmpl
var reportText string

// report returns the text of docs/growth.md.
func report(main, others []trial) (string, error) {
	t, err := template.New("growth.md").Parse(reportText)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	err = t.Execute(&b, map[string]string{
		"Kept":   keptTable(main),
		"Nights": nightTable(main),
		"Tried":  triedTable(others),
		"Size":   fmt.Sprintf("%.3g TB", float64(main[0].scenario.bytes)/terabyte),
	})
	return b.String(), err
}

// keptTable tells what is kept after years.
func keptTable(trials []trial) string {
	header := []string{"what changes"}
	for _, year := range reportedYears {
		header = append(header, fmt.Sprint(year))
	}
	rows := [][]string{append(header, "chunk by chunk", "times that", "manifests")}
	for _, t := range trials {
		row := []string{t.scenario.title}
		for _, year := range reportedYears {
			row = append(row, fmt.Sprintf("%.1f", t.times(t.life.whole, year)))
		}
		whole, exact := t.times(t.life.whole, reportYears), t.times(t.life.exact, reportYears)
		rows = append(rows, append(row, fmt.Sprintf("%.1f", exact), fmt.Sprintf("%.1f", whole/exact), fmt.Sprintf("%.2f", t.times(t.life.lists, reportYears))))
	}
	return table(rows)
}

// nightTable tells what nights are like.
func nightTable(trials []trial) string {
	rows := [][]string{{"what changes", "stored", "at most", "read", "at most", "of what is stored: again", "packs for each TB", "runs"}}
	for _, t := range trials {
		s := t.summary()
		rows = append(rows, []string{
			t.scenario.title, fmt.Sprintf("%.2f %%", s.median), fmt.Sprintf("%.2f %%", s.most),
			fmt.Sprintf("%.1f %%", s.medianRead), fmt.Sprintf("%.1f %%", s.mostRead),
			fmt.Sprintf("%.0f %%", s.again),
			fmt.Sprintf("%.0f", float64(s.packs)*terabyte/float64(t.scenario.bytes)), fmt.Sprint(s.runs),
		})
	}
	return table(rows)
}

// triedTable tells what each change comes to.
func triedTable(trials []trial) string {
	header := []string{"rule"}
	for _, on := range triedOn {
		header = append(header, on.title)
	}
	rows := [][]string{append(header, "median night of 1 % anywhere", "runs, at most")}
	for _, c := range changes() {
		row := []string{c.title}
		runs := 0
		for _, t := range trials[:len(triedOn)] {
			row = append(row, fmt.Sprintf("%.1f", t.times(t.life.whole, reportYears)))
			runs = max(runs, t.summary().runs)
		}
		rows = append(rows, append(row, fmt.Sprintf("%.2f %%", trials[0].summary().median), fmt.Sprint(runs)))
		trials = trials[len(triedOn):]
	}
	return table(rows)
}

// table returns rows as a table of Markdown: the first is the header, the first
// column text and the others numbers.
func table(rows [][]string) string {
	var b strings.Builder
	for i, row := range rows {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(row, " | "))
		if i == 0 {
			fmt.Fprintf(&b, "|---|%s\n", strings.Repeat("--:|", len(row)-1))
		}
	}
	return b.String()
}
