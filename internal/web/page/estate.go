package page

import (
	"fmt"
	"html/template"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"strongroom/internal/estate"
	"strongroom/internal/estate/coverage"
	"strongroom/internal/report"
	"strongroom/internal/ui"
	"strongroom/internal/web/chart"
)

// coverOf returns how a state is drawn; "" is that nothing is asked of it.
func coverOf(s coverage.State) chart.Cover {
	if s == "" {
		return chart.Unasked
	}
	return chart.Cover(s)
}

// toComponent returns where the page of a component is.
func toComponent(id estate.ID) string { return "/map/component?id=" + url.QueryEscape(string(id)) }

func tieOf(n estate.Need) chart.Tie {
	switch {
	case n.Orders():
		return chart.Hard
	case n == estate.Soft:
		return chart.Soft
	}
	return chart.Loose
}

func nodeOf(id estate.ID, layer int, state coverage.State) chart.Node {
	return chart.Node{Layer: layer, Kind: clean(id.Kind()), Name: clean(id.Name()), Href: toComponent(id), Cover: coverOf(state)}
}

// A drawnMap is the map, ready for its template.
type drawnMap struct {
	Graph   template.HTML
	Named   bool // its nodes have their names
	Arrowed bool
	Rows    []mapRow
	Layers  int
}

// A mapRow is a component, with what the page's script finds it by.
type mapRow struct {
	report.MapComponent
	Find, For, By, Needing string
}

// Draw draws the map.
func (v view) Draw(m report.MapPage) (drawnMap, error) {
	g := chart.Graph{ID: "map", Title: "The map in layers"}
	places := make(map[estate.ID]int, len(m.Components))
	var d drawnMap
	for i, c := range m.Components {
		places[c.ID] = i
		node := nodeOf(c.ID, c.Layer, c.State)
		node.Knot = c.Knot
		g.Nodes = append(g.Nodes, node)
		d.Layers = max(d.Layers, c.Layer)
		row := mapRow{MapComponent: c}
		var also []string
		for _, s := range c.Also {
			also = append(also, clean(s))
		}
		row.Find = strings.Join(also, " ")
		var apps, bases []string
		for _, a := range c.Applications {
			apps = append(apps, strconv.Itoa(slices.Index(m.Applications, a)))
		}
		for _, b := range c.Bases {
			bases = append(bases, clean(b))
		}
		row.For, row.By = strings.Join(apps, " "), strings.Join(bases, " ")
		d.Rows = append(d.Rows, row)
	}
	needs := make([][]string, len(d.Rows))
	for _, a := range m.Arrows {
		from, ok := places[a.From]
		to, also := places[a.To]
		if ok && also {
			g.Arrows = append(g.Arrows, chart.Arrow{From: from, To: to, Tie: tieOf(a.Need)})
			needs[from] = append(needs[from], strconv.Itoa(to))
		}
	}
	for i := range d.Rows {
		d.Rows[i].Needing = strings.Join(needs[i], " ")
	}
	g.Desc = fmt.Sprintf("%s in %s; what each needs is below it. The table below has the same.", plural(len(d.Rows), "component", "components"), plural(d.Layers, "layer", "layers"))
	d.Named, d.Arrowed = len(g.Nodes) <= chart.MostNamed, g.Arrowed()
	var err error
	d.Graph, err = g.SVG()
	return d, err
}

// mostAround is how many components are drawn above and below one.
const mostAround = 18

// Around draws a component between what needs it and what it needs; nothing if
// it stands alone.
func (v view) Around(c report.ComponentPage) (template.HTML, error) {
	if len(c.Needs)+len(c.NeededBy) == 0 {
		return "", nil
	}
	g := chart.Graph{ID: "around", Title: "What needs it, and what it needs", Nodes: []chart.Node{nodeOf(c.ID, 2, c.State)}}
	g.Nodes[0].Chosen = true
	places := map[estate.ID]int{c.ID: 0}
	add := func(all []report.Neighbour, layer int, arrow func(at int, tie chart.Tie)) {
		drawn := 0
		linked := make(map[estate.ID]bool)
		for _, n := range all {
			at, ok := places[n.ID]
			if !ok && drawn == mostAround {
				continue
			}
			if !ok {
				at = len(g.Nodes)
				places[n.ID] = at
				g.Nodes = append(g.Nodes, nodeOf(n.ID, layer, n.State))
				drawn++
			}
			if !linked[n.ID] { // of several needs, the first binds most
				linked[n.ID] = true
				arrow(at, tieOf(n.Need))
			}
		}
	}
	add(c.Needs, 1, func(at int, tie chart.Tie) { g.Arrows = append(g.Arrows, chart.Arrow{From: 0, To: at, Tie: tie}) })
	add(c.NeededBy, 3, func(at int, tie chart.Tie) { g.Arrows = append(g.Arrows, chart.Arrow{From: at, To: 0, Tie: tie}) })
	g.Desc = "What needs it is above, what it needs below. The tables have the same, with the reasons."
	if left := len(c.Needs) + len(c.NeededBy) - len(g.Arrows); left > 0 {
		g.Desc = "What needs it is above, what it needs below; of many, the first. The tables have more, with the reasons."
	}
	return g.SVG()
}

type neighbours struct {
	View view
	All  []report.Neighbour
	More int
	None string // what is said if there are none
}

// Neighbours is for the template "neighbours".
func (v view) Neighbours(all []report.Neighbour, more int, none string) neighbours {
	return neighbours{v, all, more, none}
}

type evidence struct {
	View view
	All  []estate.Evidence
}

// EvidenceOf is for the template "evidence".
func (v view) EvidenceOf(all []estate.Evidence) evidence { return evidence{v, all} }

// A drawnHistory is how it stood with an application, ready for its template.
type drawnHistory struct {
	Begins  time.Time // the first day; zero if there is none yet
	Picture template.HTML
	Newest  report.Standing
	Changes []report.Standing // the days on which it was not as on the day before, newest first
}

// History draws how it stood with an application. Of fewer than two days there is
// no picture.
func (v view) History(days []report.Standing) (drawnHistory, error) {
	if len(days) == 0 {
		return drawnHistory{}, nil
	}
	d := drawnHistory{Begins: days[0].Taken, Newest: days[len(days)-1]}
	if len(days) == 1 {
		return d, nil
	}
	plot := chart.Plot{ID: "history-plot", Title: "How many things were held, of those needed, by day"}
	held, least := heldOf(d.Newest), heldOf(d.Newest)
	for i, day := range days {
		plot.Points = append(plot.Points, chart.Point{Time: day.Taken, Value: heldOf(day), Of: neededOf(day), State: chart.Kept})
		least = min(least, heldOf(day))
		if i == 0 || !slices.Equal(day.States, days[i-1].States) {
			d.Changes = append(d.Changes, day)
		}
	}
	slices.Reverse(d.Changes)
	plot.Desc = fmt.Sprintf("At least %s, and %s on the newest day; what is needed is the dashed line. The table has the figures.", ui.Count(least), ui.Count(held))
	var err error
	d.Picture, err = plot.Line()
	return d, err
}

func heldOf(day report.Standing) int64 {
	n, _ := day.Count(coverage.Held)
	return n
}

func neededOf(day report.Standing) int64 {
	_, all := day.Count(coverage.Held)
	return all
}

// LevelHistory says on how many of the days a level was kept.
func (v view) LevelHistory(days []report.Standing, of coverage.Promise) string {
	sums := report.SumLevels(days)
	i := slices.IndexFunc(sums, func(s report.LevelSum) bool { return s.Promise == of })
	if i < 0 {
		return "no history yet"
	}
	sum, all := sums[i], int64(0)
	for _, n := range sum.Days {
		all += n
	}
	words := fmt.Sprintf("kept on %s of %s", ui.Count(sum.Days[coverage.Kept]), plural(all, "day", "days"))
	if n := sum.Days[coverage.Broken]; n > 0 {
		words += fmt.Sprintf("; broken on %s, the last %s", ui.Count(n), v.At(sum.Broken).Day)
	}
	if n := sum.Days[coverage.Unknown]; n > 0 {
		words += fmt.Sprintf("; not known on %s", ui.Count(n))
	}
	return words
}

// part returns how much of a bar of 100 is filled: all of it only if everything
// is there, and nothing only if nothing is.
func part(held, needed int) int {
	switch {
	case needed <= 0 || held >= needed:
		return 100
	case held <= 0:
		return 0
	}
	return min(max(held*100/needed, 1), 99)
}

func promiseWord(p coverage.Promise) string {
	switch p {
	case coverage.RPO:
		return "Age of the newest snapshots (RPO)"
	case coverage.Window:
		return "Time that a collection takes"
	case coverage.Retention:
		return "Time that snapshots are kept"
	case coverage.RTO:
		return "Time that a restore takes (RTO)"
	case coverage.Rehearsed:
		return "Age of the last rehearsal"
	case coverage.TwoPeople:
		return "Rehearsed by two different people"
	}
	return clean(p)
}

// needWord says what a component needs another for, as an end of a sentence that
// begins with the former.
func needWord(n estate.Need) string {
	switch n {
	case estate.Start:
		return "cannot start without it"
	case estate.Run:
		return "cannot serve without it"
	case estate.Hosting:
		return "runs on it"
	case estate.Soft:
		return "serves worse without it"
	case estate.Telemetry:
		return "tells it things, or is looked at by it"
	case estate.Admin:
		return "is managed by it"
	case "":
		return "needs it in any way"
	}
	return clean(n)
}

func basisWord(b estate.Basis) string {
	switch b {
	case estate.Stated:
		return "stated by a person"
	case estate.Declared:
		return "declared for a machine"
	case estate.Derived:
		return "derived from what is declared"
	case estate.Observed:
		return "observed"
	}
	return clean(b)
}
