package chart

import (
	"fmt"
	"html/template"
	"strings"
)

// A State is how one day went, or one collection.
type State string

const (
	Kept    State = "kept"    // a full bar
	Partial State = "partial" // a bar that is half full
	Failed  State = "failed"  // a bar that is crossed out
	Late    State = "late"    // an empty frame: what was due did not come
	None    State = "none"    // a low stroke: nothing was due
	Future  State = "future"  // a dot: not yet
)

// States are all that a strip can show, best first.
var States = []State{Kept, Partial, Late, Failed, None, Future}

// A Strip is one cell a day, oldest first.
type Strip struct {
	ID    string // unique in its page; letters, digits and hyphens
	Title string
	Desc  string
	Days  []State
}

// The measures of a strip, in its own units: what a page shows at full size is
// one CSS pixel each.
const (
	cellWidth  = 7
	cellPitch  = 9
	cellHeight = 18
)

var stripForm = template.Must(template.New("strip").Parse(
	`<svg class="strip" viewBox="0 0 {{.Width}} {{.Height}}" width="{{.Width}}" height="{{.Height}}" role="img" aria-labelledby="{{.ID}}-t {{.ID}}-d">` +
		`<title id="{{.ID}}-t">{{.Title}}</title><desc id="{{.ID}}-d">{{.Desc}}</desc>` +
		`{{range .Paths}}<path class="{{.Class}}" d="{{.D}}" />{{end}}</svg>`))

type path struct{ Class, D string }

// SVG draws the strip. All days of a state are one path, because a page may
// have hundreds of strips.
func (s Strip) SVG() (template.HTML, error) {
	drawn := map[State]*strings.Builder{}
	for _, state := range States {
		drawn[state] = new(strings.Builder)
	}
	crosses := new(strings.Builder)
	for i, state := range s.Days {
		b := drawn[state]
		if b == nil {
			return "", fmt.Errorf("drawing a strip: there is no state %.20q", state)
		}
		x := i * cellPitch
		switch state {
		case Kept, Failed:
			fmt.Fprintf(b, "M%d 0h%dv%dh-%dz", x, cellWidth, cellHeight, cellWidth)
		case Partial:
			// The style sheet fills by the even-odd rule: the upper half is a hole.
			const w, h = cellWidth - 1, cellHeight - 1
			fmt.Fprintf(b, "M%d.5 .5h%dv%dh-%dzh%dv%dh-%dz", x, w, h, w, w, h/2, w)
		case Late:
			fmt.Fprintf(b, "M%d.5 .5h%dv%dh-%dz", x, cellWidth-1, cellHeight-1, cellWidth-1)
		case None:
			fmt.Fprintf(b, "M%d %dh%dv2h-%dz", x, cellHeight-2, cellWidth, cellWidth)
		case Future:
			fmt.Fprintf(b, "M%d %dh3v3h-3z", x+2, cellHeight-3)
		}
		if state == Failed {
			fmt.Fprintf(crosses, "M%d.5 6l4 6m0-6l-4 6", x+1)
		}
	}
	var paths []path
	for _, state := range States {
		if d := drawn[state].String(); d != "" {
			paths = append(paths, path{"day-" + string(state), d})
		}
	}
	if crosses.Len() > 0 {
		paths = append(paths, path{"day-cross", crosses.String()})
	}
	return execute(stripForm, struct {
		Strip
		Width, Height int
		Paths         []path
	}{s, max(len(s.Days)*cellPitch-(cellPitch-cellWidth), 1), cellHeight, paths})
}

// Mark draws the cell of one state alone, for a legend or beside a word that
// says the same: it is hidden from those who hear the page.
func Mark(state State) (template.HTML, error) {
	svg, err := Strip{Days: []State{state}}.SVG()
	if err != nil {
		return "", err
	}
	_, paths, _ := strings.Cut(string(svg), "</desc>")
	return template.HTML(fmt.Sprintf(`<svg class="mark" viewBox="0 0 %d %d" width="%d" height="%d" aria-hidden="true">`, cellWidth, cellHeight, cellWidth, cellHeight) + paths), nil
}

func execute(form *template.Template, data any) (template.HTML, error) {
	var b strings.Builder
	if err := form.Execute(&b, data); err != nil {
		return "", fmt.Errorf("drawing a %s: %w", form.Name(), err)
	}
	return template.HTML(b.String()), nil
}
