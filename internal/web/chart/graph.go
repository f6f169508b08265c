package chart

import (
	"cmp"
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"
)

// A Cover is how it stands with a node of a graph.
type Cover string

const (
	Held     Cover = "held"     // a full square
	Waived   Cover = "waived"   // a low stroke
	Unproven Cover = "unproven" // a square that is half full
	Stale    Cover = "stale"    // an empty frame
	Missing  Cover = "missing"  // a square that is crossed out
	Unasked  Cover = "unasked"  // a dot: nothing needs it
)

// Covers are all that a node can have, best first.
var Covers = []Cover{Held, Waived, Unproven, Stale, Missing, Unasked}

// A Tie is how much an arrow binds.
type Tie string

const (
	Hard  Tie = "hard"  // a solid line
	Soft  Tie = "soft"  // a dashed one
	Loose Tie = "loose" // a dotted one
)

// Ties are all of them, drawn in this order.
var Ties = []Tie{Loose, Soft, Hard}

// A Graph is what needs what, in layers: what needs nothing is at the bottom.
//
// Few nodes are boxes with their names, and arrows between them. More than
// MostNamed are drawn as small squares, dozens in a row, without arrows: a
// thousand of these would show nothing but themselves. Then the picture is
// hidden from those who hear the page and skipped by the keyboard, and whoever
// shows it has a list of the same nodes beside it.
type Graph struct {
	ID          string // unique in its page; letters, digits and hyphens
	Title, Desc string
	Nodes       []Node
	Arrows      []Arrow
}

// A Node is a component.
type Node struct {
	Layer  int // of those that there are, the least is at the bottom
	Knot   int // nodes of one layer with the same knot stand in one box; 0 is none
	Kind   string
	Name   string
	Href   string // where a click leads
	Cover  Cover
	Chosen bool // it stands out: the picture is about it
}

// An Arrow leads from one of the nodes to one that it needs, by their places
// among the nodes.
type Arrow struct {
	From, To int
	Tie      Tie
}

// MostNamed is how many nodes are drawn with their names, and MostArrows how many
// arrows between these.
const (
	MostNamed  = 160
	MostArrows = 400
)

// Arrowed reports whether the picture has arrows: whether there are as few nodes
// and arrows as one can follow.
func (g Graph) Arrowed() bool { return len(g.Nodes) <= MostNamed && len(g.Arrows) <= MostArrows }

// The width of a graph, in its own units, which are CSS pixels, and the part of
// it at the left in which layers have their numbers.
const (
	graphWidth = 1136
	gutter     = 40
)

// A grid is the measures of nodes, and of what is between them.
type grid struct {
	width, height float64 // of a node
	gap           float64 // between two
	between       float64 // two layers, beside their margins
	margin        float64 // of a layer around its nodes
	columns       int
	named         bool
}

func (g Graph) grid() grid {
	m := grid{width: 11, height: 11, gap: 3, between: 6, margin: 5}
	if len(g.Nodes) <= MostNamed {
		m = grid{width: 166, height: 40, gap: 14, between: 34, margin: 10, named: true}
		if !g.Arrowed() || len(g.Arrows) == 0 {
			m.between = 8
		}
	}
	m.columns = int((graphWidth - gutter - 2*m.margin + m.gap) / (m.width + m.gap))
	return m
}

// A block is what is placed as one: a node, or a knot.
type block struct {
	nodes      []int
	knot       bool
	cols, rows int
	at         float64 // where it would be nearest to what it needs
	x, y       float64 // of its upper left corner
}

// A band is a layer.
type band struct {
	layer     int
	blocks    []block
	y, height float64
}

// A drawn graph, for its form.
type drawnGraph struct {
	Graph
	Named  bool
	Width  int
	Height string
	Bands  []drawnBand
	Knots  string // path
	Paths  []path // of arrows
	Boxes  []drawnNode
}

type drawnBand struct{ Y, Height, TextY, Layer string }

type drawnNode struct {
	Node
	N                    int
	X, Y, Width, Height  string
	TextX, KindY, NameY  string
	Short, Mark, Covered string
}

var graphForm = template.Must(template.New("graph").Parse(
	`<svg class="graph" viewBox="0 0 {{.Width}} {{.Height}}" width="{{.Width}}" height="{{.Height}}"` +
		`{{if .Named}} role="group" aria-labelledby="{{.ID}}-t {{.ID}}-d"{{else}} aria-hidden="true"{{end}}>` +
		`<title id="{{.ID}}-t">{{.Title}}</title><desc id="{{.ID}}-d">{{.Desc}}</desc>` +
		`{{range .Bands}}<rect class="layer" x="0" y="{{.Y}}" width="{{$.Width}}" height="{{.Height}}" /><text class="layer-name" x="10" y="{{.TextY}}">{{.Layer}}</text>{{end}}` +
		`{{with .Knots}}<path class="knot" d="{{.}}" />{{end}}` +
		`{{range .Paths}}<path class="{{.Class}}" d="{{.D}}" />{{end}}` +
		`{{range .Boxes}}<a id="{{$.ID}}-{{.N}}" class="cover-{{.Cover}}{{if .Chosen}} chosen{{end}}" href="{{.Href}}"{{if not $.Named}} tabindex="-1"{{end}}>` +
		`<title>{{.Kind}}/{{.Name}}{{with .Covered}}: {{.}}{{end}}</title>` +
		`{{if $.Named}}<rect class="box" x="{{.X}}" y="{{.Y}}" width="{{.Width}}" height="{{.Height}}" rx="3" />` +
		`<path class="square" d="{{.Mark}}" /><text class="kind" x="{{.TextX}}" y="{{.KindY}}">{{.Kind}}</text><text x="{{.TextX}}" y="{{.NameY}}">{{.Short}}</text>` +
		`{{else}}<path class="square" d="{{.Mark}}" />{{end}}</a>{{end}}</svg>`))

// SVG draws the graph.
func (g Graph) SVG() (template.HTML, error) {
	for _, n := range g.Nodes {
		if !slices.Contains(Covers, n.Cover) {
			return "", fmt.Errorf("drawing a graph: a node cannot be %.20q", n.Cover)
		}
	}
	for _, a := range g.Arrows {
		if min(a.From, a.To) < 0 || max(a.From, a.To) >= len(g.Nodes) || !slices.Contains(Ties, a.Tie) {
			return "", fmt.Errorf("drawing a graph of %d nodes: there is no %.20q arrow from %d to %d", len(g.Nodes), a.Tie, a.From, a.To)
		}
	}
	m := g.grid()
	bands := g.bands(m)
	corners := make([][2]float64, len(g.Nodes))
	height, knots := m.place(bands, corners)
	d := drawnGraph{Graph: g, Named: m.named, Width: graphWidth, Height: unit(max(height, 1)), Knots: knots}
	for _, b := range bands {
		d.Bands = append(d.Bands, drawnBand{unit(b.y), unit(b.height), unit(b.y + b.height/2 + 4), fmt.Sprint(b.layer)})
	}
	if g.Arrowed() {
		d.Paths = g.arrows(m, corners)
	}
	for i, n := range g.Nodes {
		d.Boxes = append(d.Boxes, m.box(i, n, corners[i][0], corners[i][1]))
	}
	return execute(graphForm, d)
}

// bands puts the nodes into layers, the highest first, and those of a layer into
// the order in which they stand: each near to what it needs.
func (g Graph) bands(m grid) []band {
	byLayer := make(map[int][]int)
	for i, n := range g.Nodes {
		byLayer[n.Layer] = append(byLayer[n.Layer], i)
	}
	needs := make([][]int, len(g.Nodes))
	for _, a := range g.Arrows {
		needs[a.From] = append(needs[a.From], a.To)
	}
	var bands []band
	near := make([]float64, len(g.Nodes)) // how far right a node stands, from 0 to 1
	placed := make([]bool, len(g.Nodes))
	layers := make([]int, 0, len(byLayer))
	for layer := range byLayer {
		layers = append(layers, layer)
	}
	slices.Sort(layers)
	for _, layer := range layers {
		blocks := g.blocks(byLayer[layer], m)
		for i := range blocks {
			b := &blocks[i]
			sum, n := 0.0, 0
			for _, from := range b.nodes {
				for _, to := range needs[from] {
					if placed[to] {
						sum, n = sum+near[to], n+1
					}
				}
			}
			b.at = 0.5
			if n > 0 {
				b.at = sum / float64(n)
			}
		}
		slices.SortStableFunc(blocks, func(a, b block) int { return cmp.Compare(a.at, b.at) })
		for i, b := range blocks {
			for _, n := range b.nodes {
				near[n], placed[n] = (float64(i)+0.5)/float64(len(blocks)), true
			}
		}
		bands = append(bands, band{layer: layer, blocks: blocks})
	}
	slices.Reverse(bands)
	return bands
}

// blocks makes blocks of the nodes of a layer.
func (g Graph) blocks(nodes []int, m grid) []block {
	var blocks []block
	knots := make(map[int]int)
	for _, n := range nodes {
		knot := g.Nodes[n].Knot
		if at, ok := knots[knot]; ok && knot != 0 {
			blocks[at].nodes = append(blocks[at].nodes, n)
			continue
		}
		knots[knot] = len(blocks)
		blocks = append(blocks, block{nodes: []int{n}, knot: knot != 0})
	}
	for i := range blocks {
		b := &blocks[i]
		b.cols = min(m.columns, int(math.Ceil(math.Sqrt(1.5*float64(len(b.nodes))))), len(b.nodes))
		b.rows = (len(b.nodes) + b.cols - 1) / b.cols
	}
	return blocks
}

// place gives every block its place, in rows from left to right, and every node
// its corner. It returns the height of all, and the frames of knots as a path.
func (m grid) place(bands []band, corners [][2]float64) (height float64, knots string) {
	var frames strings.Builder
	y := 0.0
	for i := range bands {
		b := &bands[i]
		b.y = y
		y += m.margin
		for rest := b.blocks; len(rest) > 0; {
			n, cols, rows := 0, 0, 0
			for n < len(rest) && (n == 0 || cols+rest[n].cols <= m.columns) {
				cols, rows, n = cols+rest[n].cols, max(rows, rest[n].rows), n+1
			}
			x := gutter + m.margin
			if m.named { // in the middle
				x += float64(m.columns-cols) * (m.width + m.gap) / 2
			}
			for j := range rest[:n] {
				one := &rest[j]
				one.x, one.y = x, y
				m.corners(*one, corners)
				if one.knot {
					const around = 2.0
					pad := around
					if m.named {
						pad = 3 * around
					}
					w, h := float64(one.cols)*(m.width+m.gap)-m.gap+2*pad, float64(one.rows)*(m.height+m.gap)-m.gap+2*pad
					fmt.Fprintf(&frames, "M%s %sh%sv%sh-%sz", unit(x-pad), unit(y-pad), unit(w), unit(h), unit(w))
				}
				x += float64(one.cols) * (m.width + m.gap)
			}
			y += float64(rows) * (m.height + m.gap)
			rest = rest[n:]
		}
		y += m.margin - m.gap
		b.height = y - b.y
		y += m.between
	}
	return max(y-m.between, 0), frames.String()
}

func (m grid) corners(b block, corners [][2]float64) {
	for i, n := range b.nodes {
		corners[n] = [2]float64{b.x + float64(i%b.cols)*(m.width+m.gap), b.y + float64(i/b.cols)*(m.height+m.gap)}
	}
}

// box draws a node.
func (m grid) box(i int, n Node, x, y float64) drawnNode {
	d := drawnNode{Node: n, N: i}
	if n.Cover != Unasked {
		d.Covered = string(n.Cover)
	}
	if !m.named {
		d.Mark = shape(n.Cover, x, y, m.width)
		return d
	}
	d.X, d.Y, d.Width, d.Height = unit(x), unit(y), unit(m.width), unit(m.height)
	d.TextX, d.KindY, d.NameY = unit(x+29), unit(y+15), unit(y+31)
	d.Short = shorten(n.Name, 20)
	d.Mark = shape(n.Cover, x+9, y+14, 12)
	return d
}

// shorten leaves out the middle of a name that does not fit into its box: names
// are told apart by their ends as often as by their beginnings.
func shorten(name string, most int) string {
	runes := []rune(name)
	if len(runes) <= most {
		return name
	}
	return string(runes[:most/2]) + "…" + string(runes[len(runes)-(most-1-most/2):])
}

// shape draws a cover as a path into a square. The style sheet fills by the
// even-odd rule.
func shape(c Cover, x, y, size float64) string {
	square := func(x, y, w, h float64) string {
		return fmt.Sprintf("M%s %sh%sv%sh-%sz", unit(x), unit(y), unit(w), unit(h), unit(w))
	}
	full := square(x, y, size, size)
	inner := size - 3
	switch c {
	case Held:
		return full
	case Unproven: // the upper half is a hole
		return full + square(x+1.5, y+1.5, inner, inner/2)
	case Stale:
		return full + square(x+1.5, y+1.5, inner, inner)
	case Missing: // a cross is left out
		const w = 1.1 // half the width of its strokes, along the edges
		a, b, mid := 2.5, size-2.5, size/2
		at := func(dx, dy float64) string { return unit(x+dx) + " " + unit(y+dy) }
		return full + "M" + strings.Join([]string{
			at(a, a+w), at(a+w, a), at(mid, mid-w), at(b-w, a), at(b, a+w), at(mid+w, mid),
			at(b, b-w), at(b-w, b), at(mid, mid+w), at(a+w, b), at(a, b-w), at(mid-w, mid),
		}, "L") + "z"
	case Waived:
		return square(x, y+size-3, size, 3)
	}
	return square(x+size/2-2, y+size/2-2, 4, 4)
}

// CoverMark draws a cover alone, for a legend or beside a word that says the
// same: it is hidden from those who hear the page.
func CoverMark(c Cover) (template.HTML, error) {
	if !slices.Contains(Covers, c) {
		return "", fmt.Errorf("drawing a mark: nothing can be %.20q", c)
	}
	return template.HTML(fmt.Sprintf(`<svg class="mark cover-%[1]s" viewBox="0 0 12 12" width="12" height="12" aria-hidden="true"><path class="square" d="%[2]s" /></svg>`, c, shape(c, 0, 0, 12))), nil
}

// arrows draws all arrows of a tie as one path, and all their heads as another.
func (g Graph) arrows(m grid, corners [][2]float64) []path {
	var all []path
	for _, tie := range Ties {
		var lines, heads strings.Builder
		for _, a := range g.Arrows {
			if a.Tie == tie && a.From != a.To {
				m.arrow(&lines, &heads, corners[a.From], corners[a.To])
			}
		}
		all = append(all, some(path{"arrow-" + string(tie), lines.String()}, path{"head-" + string(tie), heads.String()})...)
	}
	return all
}

// arrow draws one from a node to another, which stands below it, or beside it in
// the same row, or, within a knot, above it.
func (m grid) arrow(lines, heads *strings.Builder, from, to [2]float64) {
	const head = 6.0
	x1, y1, x2, y2 := from[0]+m.width/2, from[1]+m.height, to[0]+m.width/2, to[1]
	if from[1] == to[1] {
		side, up := 1.0, 7.0 // there and back are two lines
		if to[0] < from[0] {
			side, up = -1, -7
		}
		x1, x2 = x1+side*m.width/2, x2-side*m.width/2
		y1 = from[1] + m.height/2 + up
		bow := 0.0
		if math.Abs(x2-x1) > m.gap { // around those in between
			bow = (m.height/2 + m.gap/2) * math.Copysign(1, up) * 1.3
		}
		fmt.Fprintf(lines, "M%s %sQ%s %s %s %s", unit(x1), unit(y1), unit((x1+x2)/2), unit(y1+bow), unit(x2-side*head), unit(y1))
		fmt.Fprintf(heads, "M%s %sL%s %sL%s %sz", unit(x2), unit(y1), unit(x2-side*head), unit(y1-3), unit(x2-side*head), unit(y1+3))
		return
	}
	down := 1.0
	if to[1] < from[1] {
		down, y1, y2 = -1, from[1], to[1]+m.height
	}
	bend := math.Min(math.Abs(y2-y1)*0.45, 60)
	fmt.Fprintf(lines, "M%s %sC%s %s %s %s %s %s", unit(x1), unit(y1), unit(x1), unit(y1+down*bend), unit(x2), unit(y2-down*bend), unit(x2), unit(y2-down*head))
	fmt.Fprintf(heads, "M%s %sL%s %sL%s %sz", unit(x2), unit(y2), unit(x2-3), unit(y2-down*head), unit(x2+3), unit(y2-down*head))
}
