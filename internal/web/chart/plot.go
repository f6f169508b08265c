package chart

import (
	"fmt"
	"html/template"
	"strings"
	"time"

	"strongroom/internal/ui"
)

// A Measure is what the values of a plot are.
type Measure int

const (
	Number   Measure = iota
	Bytes            // in decimal units
	Duration         // in nanoseconds, as time.Duration
)

// Write writes a value with its unit.
func (m Measure) Write(v int64) string {
	switch m {
	case Bytes:
		return ui.Size(v)
	case Duration:
		return ui.Duration(time.Duration(v))
	}
	return ui.Count(v)
}

// A Plot is a value over time.
type Plot struct {
	ID      string // unique in its page; letters, digits and hyphens
	Title   string
	Desc    string
	Measure Measure
	Points  []Point // oldest first
}

// most is the largest value that a plot shows: beyond it, sums of values would
// not be numbers any more. What is larger is drawn there.
const most = 1 << 60

// A Point is one value. State is Kept, Partial or Failed; what failed has no
// value and is crossed at the bottom.
type Point struct {
	Time  time.Time
	Value int64 // not negative
	Of    int64 // what the value is a part of, a dashed line of its own; 0 if it is none
	State State
}

// The measures of a plot, in its own units. It is never shown much smaller than
// that, so that its text stays readable.
const (
	plotWidth  = 300
	plotHeight = 140
	plotLeft   = 54 // where the values' axis stands: text such as "1.25 TB"
	plotRight  = plotWidth - 6
	plotTop    = 8
	plotBottom = plotHeight - 22
	mostDots   = 60 // more would be a smear
)

var plotForm = template.Must(template.New("plot").Parse(
	`<svg class="plot" viewBox="0 0 {{.Width}} {{.Height}}" role="img" aria-labelledby="{{.ID}}-t {{.ID}}-d">` +
		`<title id="{{.ID}}-t">{{.Title}}</title><desc id="{{.ID}}-d">{{.Desc}}</desc>` +
		`{{range .Ticks}}<path class="grid" d="M{{$.Left}} {{.Y}}H{{$.Right}}" /><text x="{{$.Label}}" y="{{.Y}}" dy="4" text-anchor="end">{{.Text}}</text>{{end}}` +
		`{{range .Dates}}<text x="{{.X}}" y="{{$.Foot}}" text-anchor="{{.Anchor}}">{{.Text}}</text>{{end}}` +
		`{{range .Paths}}<path class="{{.Class}}" d="{{.D}}" />{{end}}</svg>`))

type tick struct {
	Y    string
	Text string
}

type date struct{ X, Anchor, Text string }

// Line draws the plot as a line. It is broken where something failed.
func (p Plot) Line() (template.HTML, error) { return p.draw(p.line) }

// Bars draws the plot as one bar for each value.
func (p Plot) Bars() (template.HTML, error) { return p.draw(p.bars) }

func (p Plot) draw(paths func(scale) []path) (template.HTML, error) {
	s := p.scale()
	var ticks []tick
	for v := int64(0); v <= s.top; v += s.step {
		ticks = append(ticks, tick{unit(s.y(v)), strings.Replace(p.Measure.Write(v), ".0 ", " ", 1)})
	}
	ticks[0].Text = "0"
	return execute(plotForm, struct {
		Plot
		Width, Height, Left, Right, Label, Foot int
		Ticks                                   []tick
		Dates                                   []date
		Paths                                   []path
	}{p, plotWidth, plotHeight, plotLeft, plotRight, plotLeft - 6, plotHeight - 5, ticks, p.dates(s), append(paths(s), p.crosses(s)...)})
}

// A scale places values and times in the picture.
type scale struct {
	from, to  time.Time
	top, step int64
}

func (p Plot) scale() scale {
	var s scale
	var largest int64
	for i, point := range p.Points {
		largest = max(largest, min(max(point.Value, point.Of), most))
		if i == 0 {
			s.from = point.Time
		}
		s.to = point.Time
	}
	s.step = p.Measure.step(largest)
	s.top = (max(largest, 1) + s.step - 1) / s.step * s.step
	return s
}

// x places a time; the margin on both sides leaves room for dots and bars.
func (s scale) x(t time.Time) float64 {
	const left, right = plotLeft + 6, plotRight - 6
	span := s.to.Sub(s.from)
	if span <= 0 {
		return (left + right) / 2
	}
	return left + (right-left)*float64(t.Sub(s.from))/float64(span)
}

func (s scale) y(v int64) float64 {
	return plotBottom - (plotBottom-plotTop)*float64(min(v, most))/float64(s.top)
}

// step returns the distance of the lines of the grid, of which there are three
// to five: round for those who read the unit.
func (m Measure) step(largest int64) int64 {
	const lines = 4
	if m == Duration {
		const s, min, h, day = int64(time.Second), int64(time.Minute), int64(time.Hour), 24 * int64(time.Hour)
		for _, step := range []int64{
			s, 2 * s, 5 * s, 10 * s, 20 * s, 30 * s, min, 2 * min, 5 * min, 10 * min, 20 * min, 30 * min,
			h, 2 * h, 3 * h, 6 * h, 12 * h, day, 2 * day, 5 * day, 10 * day,
		} {
			if largest <= lines*step {
				return step
			}
		}
		return (largest/lines/day + 1) * day
	}
	decade := int64(1)
	for largest > 10*lines*decade {
		decade *= 10
	}
	for _, step := range []int64{decade, 2 * decade, 5 * decade} {
		if largest <= lines*step {
			return step
		}
	}
	return 10 * decade
}

func (p Plot) dates(s scale) []date {
	if len(p.Points) == 0 {
		return nil
	}
	at := func(t time.Time, anchor string) date {
		return date{unit(s.x(t)), anchor, t.Format(time.DateOnly)}
	}
	first, last := at(s.from, "start"), at(s.to, "end")
	if first.Text == last.Text {
		return []date{at(s.to, "middle")}
	}
	return []date{first, last}
}

func (p Plot) line(s scale) []path {
	var line, of pen
	var dots, halves strings.Builder
	for i, point := range p.Points {
		if point.State == Failed {
			line.up, of.up = true, true
			continue
		}
		x, y := s.x(point.Time), s.y(point.Value)
		line.to(x, y)
		if point.Of > 0 {
			of.to(x, s.y(point.Of))
		} else {
			of.up = true
		}
		switch {
		case point.State == Partial:
			dot(&halves, x, y)
		case i == len(p.Points)-1 || len(p.Points) <= mostDots:
			dot(&dots, x, y)
		}
	}
	return some(path{"line-of", of.d.String()}, path{"line", line.d.String()}, path{"dot", dots.String()}, path{"dot-partial", halves.String()})
}

// A pen draws a line. Lifted up, it begins anew at the next point.
type pen struct {
	d  strings.Builder
	up bool
}

func (p *pen) to(x, y float64) {
	command := "L"
	if p.up || p.d.Len() == 0 {
		command = "M"
	}
	p.up = false
	fmt.Fprintf(&p.d, "%s%s %s", command, unit(x), unit(y))
}

// dot draws a circle around a point.
func dot(b *strings.Builder, x, y float64) {
	fmt.Fprintf(b, "M%s %sa2.5 2.5 0 1 0 5 0a2.5 2.5 0 1 0-5 0z", unit(x-2.5), unit(y))
}

func (p Plot) bars(s scale) []path {
	width := min(max((plotRight-plotLeft)/float64(max(len(p.Points), 1))*0.7, 1), 10)
	var bars, halves strings.Builder
	for _, point := range p.Points {
		b := &bars
		switch point.State {
		case Failed:
			continue
		case Partial:
			b = &halves
		}
		// What is not nothing is seen.
		height := plotBottom - s.y(point.Value)
		if point.Value > 0 {
			height = max(height, 1)
		}
		fmt.Fprintf(b, "M%s %dv-%sh%sv%sz", unit(s.x(point.Time)-width/2), plotBottom, unit(height), unit(width), unit(height))
	}
	return some(path{"bar", bars.String()}, path{"bar-partial", halves.String()})
}

func (p Plot) crosses(s scale) []path {
	var b strings.Builder
	for _, point := range p.Points {
		if point.State == Failed {
			fmt.Fprintf(&b, "M%s %dl6 6m0-6l-6 6", unit(s.x(point.Time)-3), plotBottom-8)
		}
	}
	return some(path{"cross", b.String()})
}

func some(paths ...path) []path {
	var all []path
	for _, p := range paths {
		if p.D != "" {
			all = append(all, p)
		}
	}
	return all
}

// unit writes a length: a tenth is finer than anyone sees.
func unit(v float64) string {
	return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0")
}
