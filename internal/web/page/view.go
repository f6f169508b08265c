package page

import (
	"fmt"
	"html/template"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"strongroom/internal/access"
	"strongroom/internal/estate"
	"strongroom/internal/estate/coverage"
	"strongroom/internal/report"
	"strongroom/internal/safe"
	"strongroom/internal/ui"
	"strongroom/internal/web/chart"
)

// A view is what a template is executed with.
type view struct {
	Frame  Frame
	Title  string
	Script string // below Assets; "" if the page needs none
	Page   any    // a report, or a Problem; nil if the page has no data
}

// Assets is for templates.
func (v view) Assets() string { return Assets }

// Zone names the zone in which times are shown.
func (v view) Zone() string { return v.Frame.Now.Format("MST") }

// A section is an entry of the navigation.
type section struct {
	Name, Path string
	Current    bool // the reader is in it
	Exact      bool // the reader is on the very page
}

// Sections are the pages that everybody goes to.
func (v view) Sections() []section {
	all := []section{{Name: "Overview", Path: "/"}, {Name: "Map", Path: "/map"}, {Name: "Openings", Path: "/openings"}, {Name: "People", Path: "/people"}, {Name: "Ledger", Path: "/ledger"}}
	for i := range all {
		s := &all[i]
		s.Exact = v.Frame.Path == s.Path
		s.Current = s.Exact || s.Path != "/" && strings.HasPrefix(v.Frame.Path, s.Path+"/") || s.Path == "/" && (strings.HasPrefix(v.Frame.Path, "/sources/") || strings.HasPrefix(v.Frame.Path, "/applications/"))
	}
	return all
}

// A moment is a time as pages show it: how long ago it was, and its date.
type moment struct {
	Zero                bool
	ISO, Age, Date, Day string
}

// At makes a moment of a time.
func (v view) At(t time.Time) moment {
	local := t.In(v.Frame.Now.Location())
	return moment{
		Zero: t.IsZero(), ISO: t.UTC().Format(time.RFC3339), Age: unbroken(ui.Ago(t, v.Frame.Now)),
		Date: local.Format("2006-01-02 15:04"), Day: local.Format(time.DateOnly),
	}
}

type finding struct {
	report.Finding
	When moment
}

// NotOpenings returns the findings that are not about an opening, for where
// openings are shown by themselves.
func (v view) NotOpenings(all []report.Finding) []report.Finding {
	return slices.DeleteFunc(slices.Clone(all), func(f report.Finding) bool { return !f.Opening.IsZero() })
}

// Findings are for the template "findings".
func (v view) Findings(all []report.Finding) []finding {
	var shown []finding
	for _, f := range all {
		shown = append(shown, finding{f, v.At(f.Since)})
	}
	return shown
}

type checkpoint struct {
	View       view
	Checkpoint report.Checkpoint
}

// Checkpoint is for the template "checkpoint".
func (v view) Checkpoint(c report.Checkpoint) checkpoint { return checkpoint{v, c} }

type snapshots struct {
	View      view
	Snapshots []report.SnapshotLine
}

// SnapshotsOf is for the template "snapshots".
func (v view) SnapshotsOf(lines []report.SnapshotLine) snapshots { return snapshots{v, lines} }

// Strip draws the days of the i-th source of a page.
func (v view) Strip(i int, s report.SourceStrip) (template.HTML, error) {
	strip := chart.Strip{ID: fmt.Sprintf("strip-%d", i), Title: clean(s.Name) + ": the last days"}
	days := make(map[report.Mark][]time.Time)
	for _, day := range s.Days {
		strip.Days = append(strip.Days, chart.State(day.Mark))
		days[day.Mark] = append(days[day.Mark], day.Date)
	}
	var parts []string
	for _, mark := range report.Marks {
		if len(days[mark]) == 0 {
			continue
		}
		part := fmt.Sprintf("%d %s", len(days[mark]), dayWord(mark))
		switch mark {
		case report.MarkPartial, report.MarkFailed, report.MarkLate:
			var dates []string
			for _, date := range days[mark] {
				dates = append(dates, v.At(date).Day)
			}
			part += " (" + strings.Join(dates, ", ") + ")"
		}
		parts = append(parts, part)
	}
	strip.Desc = strings.Join(parts, "; ")
	return strip.SVG()
}

// funcs write values as every page does.
var funcs = template.FuncMap{
	"isOperator": func(all []access.Role) bool { return slices.Contains(all, access.Operator) },
	"text":       clean,
	"sentence":   sentence,
	"path":       ui.Name,
	"exact":      exact,
	"inexact":    func(b []byte) bool { return exact(b) != string(b) },
	"size":       func(n int64) string { return unbroken(ui.Size(n)) },
	"took":       func(d time.Duration) string { return unbroken(ui.Duration(d)) },
	"count":      func(n any) string { return ui.Count(number(n)) },
	"plural":     plural,
	"next":       func(n any) int64 { return number(n) + 1 },
	"prev":       func(n int64) int64 { return n - 1 },
	"first":      func(days []report.Day) report.Day { return days[0] },
	"list":       list,
	"do":         remedies,
	"roles":      roles,
	"mark":       func(m any) (template.HTML, error) { return chart.Mark(chart.State(fmt.Sprint(m))) },
	"days":       func() []report.Mark { return report.Marks },
	"dayWord":    dayWord,
	"figures":    figures,
	"failing":    failing,
	"charts":     charts,

	"cover":       func(s coverage.State) (template.HTML, error) { return chart.CoverMark(coverOf(s)) },
	"covers":      func() []coverage.State { return coverage.States },
	"promise":     promiseWord,
	"need":        needWord,
	"basis":       basisWord,
	"toComponent": toComponent,
	"bases":       func() []estate.Basis { return estate.Bases },
	"needs":       func() []estate.Need { return estate.Needs },
	"part":        part,
	"heldOf":      heldOf,
	"neededOf":    neededOf,
	"lines":       func(s string) string { return exact([]byte(s)) },
}

// clean makes a text from outside fit for a page, beyond what html/template
// escapes: nothing in it is invisible or turns the direction of writing.
func clean(v any) string {
	if a, ok := v.(netip.Addr); ok && !a.IsValid() {
		return "an address that is not known"
	}
	return ui.Clean(fmt.Sprint(v))
}

// sentence is clean, with a capital letter at its beginning.
func sentence(v any) string {
	s := clean(v)
	first, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(first)) + s[n:]
}

// exact shows bytes that were hashed or signed, lines as they are.
func exact(b []byte) string {
	lines := strings.Split(string(b), "\n")
	for i := range lines {
		lines[i] = ui.Clean(lines[i])
	}
	return strings.Join(lines, "\n")
}

// unbroken keeps a number and its unit on one line.
func unbroken(s string) string { return strings.ReplaceAll(s, " ", "\u00a0") }

func number(n any) int64 {
	switch n := n.(type) {
	case int:
		return int64(n)
	case int64:
		return n
	}
	panic(fmt.Sprintf("a template counts a %T", n))
}

// plural writes a number with its noun.
func plural(n any, one, many string) string {
	if number(n) == 1 {
		return "1 " + one
	}
	return ui.Count(number(n)) + " " + many
}

// A short list of sources, and how many more there are.
type short struct {
	Names  []safe.SourceName
	Others int
}

// mostNamed is how many sources a sentence names: more nobody reads.
const mostNamed = 6

func list(all []safe.SourceName) short {
	if len(all) <= mostNamed {
		return short{Names: all}
	}
	return short{all[:mostNamed], len(all) - mostNamed}
}

// A remedy is a part of what to do, and the command that does it, if any.
type remedy struct{ Text, Command string }

// remedies takes a text apart, as reports write it: "Look at it: strongroom
// doctor; then collect it: strongroom collect erp".
func remedies(text string) []remedy {
	var parts []remedy
	for part := range strings.SplitSeq(text, "; ") {
		prose, command, ok := strings.Cut(part, ": strongroom ")
		switch {
		case ok:
			prose, command = prose+":", "strongroom "+command
		case strings.HasPrefix(part, "strongroom "):
			prose, command = "", part
		}
		if len(parts) > 0 {
			prose = "; " + prose
		}
		parts = append(parts, remedy{prose, command})
	}
	return parts
}

func roles(all []access.Role) string {
	var names []string
	for _, r := range all {
		names = append(names, clean(r))
	}
	return strings.Join(names, ", ")
}

func dayWord(m report.Mark) string {
	switch m {
	case report.MarkKept:
		return "kept"
	case report.MarkPartial:
		return "kept in part"
	case report.MarkFailed:
		return "failed"
	case report.MarkLate:
		return "late: due, and not begun"
	case report.MarkNone:
		return "nothing due"
	case report.MarkFuture:
		return "still to come"
	}
	return clean(m)
}

// figures reports whether a collection has those of a snapshot.
func figures(c report.Collection) bool {
	return c.Outcome == report.Complete || c.Outcome == report.Partial
}

func failed(c report.Collection) bool {
	return c.Outcome == report.Failed || c.Outcome == report.Broken
}

func failing(all []report.Collection) bool {
	for _, c := range all {
		if failed(c) {
			return true
		}
	}
	return false
}

// A figure is one chart of a source.
type figure struct {
	Name   string
	Newest string
	SVG    template.HTML
}

// charts draws the collections of a source, newest first, over time: nothing
// if none of them was kept.
func charts(all []report.Collection) ([]figure, error) {
	kinds := []struct {
		id, name string
		measure  chart.Measure
		value    func(report.Collection) int64
		draw     func(chart.Plot) (template.HTML, error)
	}{
		{"size", "Size", chart.Bytes, func(c report.Collection) int64 { return c.Bytes }, chart.Plot.Line},
		{"new", "New", chart.Bytes, func(c report.Collection) int64 { return c.New }, chart.Plot.Bars},
		{"took", "Took", chart.Duration, func(c report.Collection) int64 { return int64(c.Took) }, chart.Plot.Bars},
	}
	var drawn []figure
	for _, kind := range kinds {
		plot := chart.Plot{ID: "chart-" + kind.id, Title: kind.name + " of each collection over time", Measure: kind.measure}
		fig, least, most := figure{Name: kind.name}, int64(0), int64(0)
		for i := len(all) - 1; i >= 0; i-- {
			point := chart.Point{Time: all[i].Begun, State: chart.Kept}
			switch c := all[i]; {
			case c.Outcome == report.Complete, c.Outcome == report.Partial:
				point.Value = kind.value(c)
				if c.Outcome == report.Partial {
					point.State = chart.Partial
				}
				if fig.Newest == "" {
					least, most = point.Value, point.Value
				}
				least, most = min(least, point.Value), max(most, point.Value)
				fig.Newest = kind.measure.Write(point.Value)
			case failed(c):
				point.State = chart.Failed
			default:
				continue
			}
			plot.Points = append(plot.Points, point)
		}
		if fig.Newest == "" {
			return nil, nil
		}
		plot.Desc = fmt.Sprintf("Between %s and %s; the newest is %s. The table of collections has all figures.",
			kind.measure.Write(least), kind.measure.Write(most), fig.Newest)
		svg, err := kind.draw(plot)
		if err != nil {
			return nil, err
		}
		fig.SVG = svg
		drawn = append(drawn, fig)
	}
	return drawn, nil
}
