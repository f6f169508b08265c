package chart_test

import (
	"encoding/xml"
	"errors"
	"html/template"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/web/chart"
)

// An element of a picture.
type element struct {
	name string
	attr map[string]string
	text string
}

// parse reads a picture as XML and returns its elements in order.
func parse(t *testing.T, svg template.HTML) []element {
	t.Helper()
	var all []element
	var open []int
	for d := xml.NewDecoder(strings.NewReader(string(svg))); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("%v in %s", err, svg)
		}
		switch token := token.(type) {
		case xml.StartElement:
			e := element{name: token.Name.Local, attr: map[string]string{}}
			for _, a := range token.Attr {
				e.attr[a.Name.Local] = a.Value
			}
			open = append(open, len(all))
			all = append(all, e)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			if len(open) > 0 {
				all[open[len(open)-1]].text += string(token)
			}
		}
	}
}

// drawn returns the path of a class; "" if there is none.
func drawn(all []element, class string) string {
	for _, e := range all {
		if e.name == "path" && e.attr["class"] == class {
			return e.attr["d"]
		}
	}
	return ""
}

func texts(all []element) []string {
	var found []string
	for _, e := range all {
		if e.name == "text" {
			found = append(found, e.text)
		}
	}
	return found
}

func TestStripHasACellForEachDay(t *testing.T) {
	svg, err := chart.Strip{
		ID: "strip-1", Title: "erp-db", Desc: "30 days",
		Days: []chart.State{chart.None, chart.Kept, chart.Partial, chart.Failed, chart.Kept, chart.Late, chart.Future},
	}.SVG()
	if err != nil {
		t.Fatal(err)
	}
	all := parse(t, svg)
	want := map[string]int{"day-none": 1, "day-kept": 2, "day-partial": 2, "day-failed": 1, "day-cross": 1, "day-late": 1, "day-future": 1}
	for class, cells := range want {
		// Half a cell of what was kept in part is a hole of its own.
		if got := strings.Count(drawn(all, class), "z") + strings.Count(drawn(all, class), "m"); got != cells {
			t.Errorf("%s has %d cells, want %d: %s", class, got, cells, drawn(all, class))
		}
	}
	if got := all[0].attr["viewBox"]; got != "0 0 61 18" {
		t.Errorf("the strip is %s large", got)
	}
}

func TestEachStateHasAShapeOfItsOwn(t *testing.T) {
	shapes := map[string]chart.State{}
	for _, state := range chart.States {
		svg, err := chart.Mark(state)
		if err != nil {
			t.Fatal(err)
		}
		shape := ""
		for _, e := range parse(t, svg) {
			shape += e.attr["d"]
		}
		// A frame is not filled: its outline alone would be that of a full bar.
		if state == chart.Late {
			shape += " empty"
		}
		if other, ok := shapes[shape]; ok {
			t.Errorf("%s looks like %s without its colour", state, other)
		}
		shapes[shape] = state
	}
}

func TestPicturesAreNamedAndTextIsText(t *testing.T) {
	const hostile = `</title><script>alert(1)</script>"'&<b>`
	strip, err := chart.Strip{ID: "s", Title: hostile, Desc: hostile, Days: []chart.State{chart.Kept}}.SVG()
	if err != nil {
		t.Fatal(err)
	}
	plot := chart.Plot{ID: "p", Title: hostile, Desc: hostile, Points: []chart.Point{{Time: time.Unix(0, 0).UTC(), Value: 1, State: chart.Kept}}}
	line, err := plot.Line()
	if err != nil {
		t.Fatal(err)
	}
	for _, svg := range []template.HTML{strip, line} {
		all := parse(t, svg)
		if !slices.Equal([]string{all[0].name, all[1].name, all[2].name}, []string{"svg", "title", "desc"}) || all[1].text != hostile || all[2].text != hostile {
			t.Errorf("title and description are not first, or not the text that was given: %s", svg)
		}
		if want := all[1].attr["id"] + " " + all[2].attr["id"]; all[0].attr["role"] != "img" || all[0].attr["aria-labelledby"] != want {
			t.Errorf("the picture is not named by its title and description: %s", svg)
		}
		for _, e := range all {
			if e.name == "script" || e.name == "b" || e.attr["style"] != "" {
				t.Errorf("there is an element %s with %v", e.name, e.attr)
			}
		}
	}
}

func TestUnknownStateIsAnError(t *testing.T) {
	if _, err := (chart.Strip{Days: []chart.State{"<b>"}}).SVG(); err == nil {
		t.Error("a strip was drawn with a state that there is not")
	}
	if _, err := chart.Mark("gone"); err == nil {
		t.Error("a mark was drawn of a state that there is not")
	}
}

func points(values ...int64) []chart.Point {
	var all []chart.Point
	for i, v := range values {
		all = append(all, chart.Point{Time: time.Date(2026, 11, 1+i, 2, 30, 0, 0, time.UTC), Value: v, State: chart.Kept})
	}
	return all
}

func TestScalesAreRoundForTheirUnit(t *testing.T) {
	tests := []struct {
		name    string
		measure chart.Measure
		most    int64
		want    []string
	}{
		{"nothing", chart.Bytes, 0, []string{"0", "1 B"}},
		{"bytes", chart.Bytes, 41_200_000_000, []string{"0", "20 GB", "40 GB", "60 GB"}},
		{"bytes on the edge", chart.Bytes, 4000, []string{"0", "1 kB", "2 kB", "3 kB", "4 kB"}},
		{"seconds", chart.Duration, int64(95 * time.Second), []string{"0", "30 s", "60 s", "90 s", "2 min"}},
		{"hours", chart.Duration, int64(11 * time.Hour), []string{"0", "3 h", "6 h", "9 h", "12 h"}},
		{"years", chart.Duration, int64(100 * 24 * time.Hour), []string{"0", "26 d", "52 d", "78 d", "104 d"}},
		{"numbers", chart.Number, 18_000, []string{"0", "5,000", "10,000", "15,000", "20,000"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			svg, err := chart.Plot{ID: "p", Measure: tt.measure, Points: points(tt.most)}.Line()
			if err != nil {
				t.Fatal(err)
			}
			got := texts(parse(t, svg))
			if diff := cmp.Diff(append(tt.want, "2026-11-01"), got); diff != "" {
				t.Errorf("texts (-want +got):\n%s", diff)
			}
		})
	}
}

// Whatever is drawn lies within the picture.
func TestEverythingIsInThePicture(t *testing.T) {
	tests := map[string][]chart.Point{
		"nothing": nil, "one": points(7), "equal": points(5, 5, 5), "zeros": points(0, 0), "huge": points(1, math.MaxInt64, 3), "many": points(make([]int64, 1200)...),
		"mixed": {
			{Time: time.Unix(0, 0), Value: 3, Of: 50, State: chart.Kept}, {Time: time.Unix(9, 0), State: chart.Failed},
			{Time: time.Unix(20, 0), Value: 9, State: chart.Partial}, {Time: time.Unix(30, 0), Value: 1, State: chart.Kept},
		},
	}
	for name, all := range tests {
		for kind, draw := range map[string]func(chart.Plot) (template.HTML, error){"line": chart.Plot.Line, "bars": chart.Plot.Bars} {
			t.Run(name+" "+kind, func(t *testing.T) {
				svg, err := draw(chart.Plot{ID: "p", Measure: chart.Bytes, Points: all})
				if err != nil {
					t.Fatal(err)
				}
				elements := parse(t, svg)
				var size [4]float64
				for i, s := range strings.Fields(elements[0].attr["viewBox"]) {
					size[i], _ = strconv.ParseFloat(s, 64)
				}
				for _, e := range elements {
					for _, move := range strings.FieldsFunc(e.attr["d"], func(r rune) bool { return r == 'M' || r == 'L' }) {
						var at [2]float64
						fields := strings.FieldsFunc(move, func(r rune) bool { return r == ' ' || (r >= 'a' && r <= 'z') || r == 'H' })
						for i := range at {
							if at[i], err = strconv.ParseFloat(fields[i], 64); err != nil {
								t.Fatalf("%q of %q: %v", fields[i], e.attr["d"], err)
							}
						}
						if at[0] < 0 || at[0] > size[2] || at[1] < 0 || at[1] > size[3] {
							t.Errorf("%s: %v lies outside of %v", e.attr["class"], at, size)
						}
					}
				}
			})
		}
	}
}

func TestFailedPointBreaksTheLine(t *testing.T) {
	all := points(1, 2, 0, 4)
	all[2].State = chart.Failed
	all[3].State = chart.Partial
	svg, err := chart.Plot{ID: "p", Points: all}.Line()
	if err != nil {
		t.Fatal(err)
	}
	elements := parse(t, svg)
	if line := drawn(elements, "line"); strings.Count(line, "M") != 2 {
		t.Errorf("the line goes on over what failed: %s", line)
	}
	for class, want := range map[string]int{"dot": 2, "dot-partial": 1, "cross": 1} {
		if got := strings.Count(drawn(elements, class), "M"); got != want {
			t.Errorf("%d of %s, want %d", got, class, want)
		}
	}
}

func TestWhatAValueIsPartOf(t *testing.T) {
	all := points(1, 2, 3, 4)
	all[1].Of, all[2].Of = 9, 30
	svg, err := chart.Plot{ID: "p", Points: all}.Line()
	if err != nil {
		t.Fatal(err)
	}
	elements := parse(t, svg)
	if of := drawn(elements, "line-of"); strings.Count(of, "M") != 1 || strings.Count(of, "L") != 1 {
		t.Errorf("the line of the whole is %q, want one from the second to the third", of)
	}
	if got := texts(elements); !slices.Contains(got, "30") {
		t.Errorf("the whole does not fit below %v", got)
	}
}
