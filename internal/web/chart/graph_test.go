package chart_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"strongroom/internal/web/chart"
)

// nodes makes nodes named by their layer, their knot and their place: "1" or
// "2k1".
func nodes(spelled string) (all []chart.Node) {
	for i, word := range strings.Fields(spelled) {
		layer, knot, _ := strings.Cut(word, "k")
		n := chart.Node{Kind: "host", Name: fmt.Sprint("n", i), Href: fmt.Sprint("/n", i), Cover: chart.Held}
		n.Layer, _ = strconv.Atoi(layer)
		n.Knot, _ = strconv.Atoi(knot)
		all = append(all, n)
	}
	return all
}

// An area is where a box is drawn.
type area struct{ x, y, w, h float64 }

func areaOf(t *testing.T, e element) area {
	t.Helper()
	var a area
	for name, into := range map[string]*float64{"x": &a.x, "y": &a.y, "width": &a.w, "height": &a.h} {
		var err error
		if *into, err = strconv.ParseFloat(e.attr[name], 64); err != nil {
			t.Fatalf("%s of %v: %v", name, e.attr, err)
		}
	}
	return a
}

func boxes(t *testing.T, all []element, class string) (found []area) {
	t.Helper()
	for _, e := range all {
		if e.name == "rect" && e.attr["class"] == class {
			found = append(found, areaOf(t, e))
		}
	}
	return found
}

func draw(t *testing.T, g chart.Graph) []element {
	t.Helper()
	g.ID = "g"
	svg, err := g.SVG()
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, svg)
}

// Whatever needs another stands above it, nothing covers anything else, and all
// is within the picture.
func TestGraphHasLayers(t *testing.T) {
	for _, tt := range []string{"1", "1 2 3", "1 1 1 2 2 3", "1 " + strings.Repeat("2 ", 40), "1 2k1 2k1 2k1 2 3", strings.Repeat("1k1 ", 30) + strings.Repeat("1k2 ", 9) + "1 1 2"} {
		g := chart.Graph{Nodes: nodes(tt)}
		for i := 1; i < len(g.Nodes); i++ {
			g.Arrows = append(g.Arrows, chart.Arrow{From: i, To: i - 1, Tie: chart.Hard})
		}
		all := draw(t, g)
		size := strings.Fields(all[0].attr["viewBox"])
		width, _ := strconv.ParseFloat(size[2], 64)
		height, _ := strconv.ParseFloat(size[3], 64)
		placed := boxes(t, all, "box")
		if len(placed) != len(g.Nodes) {
			t.Fatalf("%s: %d boxes", tt, len(placed))
		}
		for i, a := range placed {
			if a.x < 0 || a.y < 0 || a.x+a.w > width || a.y+a.h > height {
				t.Errorf("%s: box %d is outside of the picture: %v", tt, i, a)
			}
			for j, b := range placed[:i] {
				if a.x < b.x+b.w && b.x < a.x+a.w && a.y < b.y+b.h && b.y < a.y+a.h {
					t.Errorf("%s: boxes %d and %d cover each other", tt, i, j)
				}
				if d := g.Nodes[i].Layer - g.Nodes[j].Layer; d > 0 && a.y+a.h >= b.y || d < 0 && b.y+b.h >= a.y {
					t.Errorf("%s: boxes %d and %d are not in the order of their layers", tt, i, j)
				}
			}
		}
	}
}

// The members of a knot are in one frame, and nobody else is.
func TestGraphFramesKnots(t *testing.T) {
	g := chart.Graph{Nodes: nodes("1 2k1 2 2k1 2k2 2k2 2 2k1")}
	all := draw(t, g)
	placed := boxes(t, all, "box")
	frames := strings.Split(strings.TrimSuffix(drawn(all, "knot"), "z"), "z")
	if len(frames) != 2 {
		t.Fatalf("there are %d frames", len(frames))
	}
	for i, frame := range frames {
		var f area
		if _, err := fmt.Sscanf(frame, "M%f %fh%fv%f", &f.x, &f.y, &f.w, &f.h); err != nil {
			t.Fatalf("%s: %v", frame, err)
		}
		knots := map[int]bool{}
		for j, b := range placed {
			if inside := b.x >= f.x && b.y >= f.y && b.x+b.w <= f.x+f.w && b.y+b.h <= f.y+f.h; inside {
				knots[g.Nodes[j].Knot] = true
			} else if b.x < f.x+f.w && f.x < b.x+b.w && b.y < f.y+f.h && f.y < b.y+b.h {
				t.Errorf("frame %d cuts box %d", i, j)
			}
		}
		if len(knots) != 1 || knots[0] {
			t.Errorf("frame %d is around those of %v", i, knots)
		}
	}
}

// Too many to follow are not drawn as if one could: no names, no arrows, and
// nothing that the keyboard would have to pass.
func TestLargeGraphIsCompact(t *testing.T) {
	g := chart.Graph{Nodes: nodes(strings.Repeat("1 ", chart.MostNamed) + "2"), Arrows: []chart.Arrow{{From: chart.MostNamed, To: 0, Tie: chart.Hard}}}
	all := draw(t, g)
	if all[0].attr["aria-hidden"] != "true" || drawn(all, "arrow-hard") != "" || len(boxes(t, all, "box")) > 0 {
		t.Error("a large graph has what a small one has")
	}
	links := 0
	for _, e := range all {
		if e.name == "a" {
			links++
			if e.attr["tabindex"] != "-1" || e.attr["href"] == "" {
				t.Errorf("a square is %v", e.attr)
			}
		}
	}
	if links != len(g.Nodes) {
		t.Errorf("there are %d squares", links)
	}
	g.Nodes = g.Nodes[:chart.MostNamed]
	g.Arrows[0].From = 1
	all = draw(t, g)
	if all[0].attr["role"] != "group" || drawn(all, "arrow-hard") == "" || len(boxes(t, all, "box")) != chart.MostNamed {
		t.Error("a graph that is not large does not have names and arrows")
	}
}

func TestEachCoverHasAShapeOfItsOwn(t *testing.T) {
	shapes := map[string]chart.Cover{}
	for _, c := range chart.Covers {
		svg, err := chart.CoverMark(c)
		if err != nil {
			t.Fatal(err)
		}
		d := drawn(parse(t, svg), "square")
		if other, ok := shapes[d]; ok || d == "" {
			t.Errorf("%s looks like %s without its colour", c, other)
		}
		shapes[d] = c
	}
}

func TestGraphsThatCannotBe(t *testing.T) {
	one := nodes("1")
	odd := nodes("1")
	odd[0].Cover = "gone"
	for name, g := range map[string]chart.Graph{
		"a cover that there is not": {Nodes: odd},
		"an arrow from nowhere":     {Nodes: one, Arrows: []chart.Arrow{{From: 1, Tie: chart.Hard}}},
		"an arrow to nowhere":       {Nodes: one, Arrows: []chart.Arrow{{To: -1, Tie: chart.Hard}}},
		"a tie that there is not":   {Nodes: one, Arrows: []chart.Arrow{{Tie: "red"}}},
	} {
		if _, err := g.SVG(); err == nil {
			t.Errorf("%s is drawn", name)
		}
	}
}
