// Package page draws what people look at as HTML: whole pages, from reports
// and a frame around them. Templates and the one style sheet are embedded.
//
// The pages are read without any script, work in light and dark and on a
// phone, and load nothing from anywhere but their own safe: one style sheet, an
// icon, and on the map and the pages where a passkey is touched one script. They have no
// style and no script within them, so that a strict Content-Security-Policy can
// forbid both; whoever serves them sends it. They are well-formed XML, which is
// how the tests find input that was not escaped.
//
// What stands in a report may have been said by anybody: each text of it is
// escaped, freed of what would be invisible or turn the direction of writing,
// and isolated from the text around it. The package decides nothing about who
// may see what, and asks nothing: it has no clock and no state.
package page

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"slices"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/report"
	"strongroom/internal/safe"
)

// Assets is where the pages expect Static and the scripts.
const Assets = "/assets/"

// The scripts of the pages that need one, below Assets.
const (
	scriptSignIn  = "signin.js"
	scriptEnrol   = "enrol.js"
	scriptRelease = "release.js"
	scriptPeople  = "people.js"
	scriptMap     = "map.js"
	scriptRuling  = "component.js"
)

var (
	//go:embed templates
	templates embed.FS
	//go:embed static
	static embed.FS
)

// Static holds the files that pages.css and mark.svg are, to be served below
// Assets.
func Static() fs.FS {
	sub, err := fs.Sub(static, "static")
	if err != nil {
		panic("the embedded folder is not there: " + err.Error())
	}
	return sub
}

// A Frame is what stands around a page.
type Frame struct {
	Safe    string
	Path    string    // of the request, to show where the reader is
	Visitor *Visitor  // nil if nobody is signed in
	Now     time.Time // in the zone in which times are shown
	Digest  string    // of the pages' scripts; "" if it is not known
	Version string    // of the program; "" if it is not known
}

// A Visitor is who is signed in.
type Visitor struct {
	Name  safe.PersonName
	Roles []access.Role
}

// A Problem is shown in the place of a page.
type Problem struct {
	Status int    // of HTTP
	Text   string // what is wrong, for people
	Remedy string // what to do; "" says to try again
}

// Pages are all pages, ready to be drawn. Its methods may be called
// concurrently, and write either a whole page or nothing.
type Pages struct {
	byName map[string]*template.Template
}

// New prepares the pages.
func New() (*Pages, error) {
	base, err := template.New("").Option("missingkey=error").Funcs(funcs).ParseFS(templates, "templates/frame.html", "templates/parts.html")
	if err != nil {
		return nil, fmt.Errorf("preparing the pages: %w", err)
	}
	p := &Pages{byName: make(map[string]*template.Template)}
	for _, name := range []string{"overview", "source", "application", "map", "component", "openings", "opening", "people", "ledger", "entry", "signin", "enrol", "problem", "elsewhere"} {
		t, err := base.Clone()
		if err == nil {
			t, err = t.ParseFS(templates, "templates/"+name+".html")
		}
		if err != nil {
			return nil, fmt.Errorf("preparing the page %s: %w", name, err)
		}
		p.byName[name] = t
	}
	return p, nil
}

// Overview writes the page that says how the safe is.
func (p *Pages) Overview(w io.Writer, f Frame, o report.Overview) error {
	return p.write(w, "overview", view{Frame: f, Title: "Overview", Page: o})
}

// Source writes the page of one source.
func (p *Pages) Source(w io.Writer, f Frame, s report.Source) error {
	return p.write(w, "source", view{Frame: f, Title: string(s.Name), Page: s})
}

// Application writes the page that says what of an application would be missing.
func (p *Pages) Application(w io.Writer, f Frame, a report.ApplicationPage) error {
	return p.write(w, "application", view{Frame: f, Title: a.Card.Name, Page: a})
}

// Map writes the map, or the part of it that was asked for. It is whole without
// its script, which only makes finding and choosing quick: each row of the table
// in "components" is that node of the picture whose id is "map-" and the place of
// the row, and says in data-find by what else it is found, in data-for which
// of the applications to choose from need it, in data-by what it is known by, and
// in data-needs which other rows it needs.
func (p *Pages) Map(w io.Writer, f Frame, m report.MapPage) error {
	return p.write(w, "map", view{Frame: f, Title: "Map", Script: scriptMap, Page: m})
}

// Component writes the page of one component of the map. The map's script shows
// the element "component" of it beside the map. For officers a script fills it:
// what has data-from, data-to and data-need is a dependency, of which data-said
// has the entries of the ledger that say something of it, and which has an
// element of class "say" for what an officer says; "say-panel" has the fields to
// add one.
func (p *Pages) Component(w io.Writer, f Frame, c report.ComponentPage) error {
	v := view{Frame: f, Title: string(c.ID), Page: c}
	if f.Officer() {
		v.Script = scriptRuling
	}
	return p.write(w, "component", v)
}

// Openings writes the list of openings.
func (p *Pages) Openings(w io.Writer, f Frame, o report.OpeningsPage) error {
	return p.write(w, "openings", view{Frame: f, Title: "Openings", Page: o})
}

// Opening writes the page of one opening. As long as it is not over, and for
// those who may act on it, it has an element with the id "release", which a
// script fills: data-opening is its id, and data-state its state.
func (p *Pages) Opening(w io.Writer, f Frame, o report.OpeningPage) error {
	v := view{Frame: f, Title: "Opening", Page: o}
	if !o.Opening.State.Over() && f.MayAct() {
		v.Script = scriptRelease
	}
	return p.write(w, "opening", v)
}

// People writes the page of the roster and of those who want into it. For those
// who may act with a passkey, a script fills it: data-proposal has the digest of
// a version that waits, within which the element of class "panel" is for what a
// keykeeper does about it, and data-person the name of a person.
func (p *Pages) People(w io.Writer, f Frame, people report.PeoplePage) error {
	v := view{Frame: f, Title: "People", Page: people}
	if f.MayAct() {
		v.Script = scriptPeople
	}
	return p.write(w, "people", v)
}

// Ledger writes a part of the ledger.
func (p *Pages) Ledger(w io.Writer, f Frame, l report.LedgerPage) error {
	return p.write(w, "ledger", view{Frame: f, Title: "Ledger", Page: l})
}

// Entry writes one entry of the ledger with its proof.
func (p *Pages) Entry(w io.Writer, f Frame, e report.EntryPage) error {
	return p.write(w, "entry", view{Frame: f, Title: fmt.Sprintf("Entry %d", e.Line.N), Page: e})
}

// SignIn writes the page on which a passkey is touched. Its script finds the
// elements "sign-in-button" and "sign-in-status".
func (p *Pages) SignIn(w io.Writer, f Frame) error {
	return p.write(w, "signin", view{Frame: f, Title: "Sign in", Script: scriptSignIn})
}

// Enrol writes the page on which somebody who was invited makes their keys.
// Its script fills the element "enrol".
func (p *Pages) Enrol(w io.Writer, f Frame) error {
	return p.write(w, "enrol", view{Frame: f, Title: "Enrol", Script: scriptEnrol})
}

// Problem writes a page that says what is wrong.
func (p *Pages) Problem(w io.Writer, f Frame, problem Problem) error {
	if problem.Remedy == "" {
		problem.Remedy = "Go back, and try again. If it stays, ask who keeps the safe’s host: its log may say more."
	}
	return p.write(w, "problem", view{Frame: f, Title: "Problem", Page: problem})
}

// Elsewhere is what a release page on another host knows of its safe, and
// holds it to.
type Elsewhere struct {
	Safe, Origin string // its name, and where it is
	Store        safe.StoreID
	Domain       string      // of its passkeys
	First        string      // words of the version of the roster that was pinned
	Roster       safe.Digest // of the version in force
	Number       int
	Words        string // of that version
	Policy       string // for web servers that send none
	Digest       safe.Digest
	Version      string // of the program
}

// Elsewhere writes the release page for another host than the safe's. All that
// it loads lies beside it: the files of Static, and the scripts.
func (p *Pages) Elsewhere(w io.Writer, e Elsewhere) error {
	return p.write(w, "elsewhere", view{Title: "Release", Page: e})
}

func (p *Pages) write(w io.Writer, name string, v view) error {
	var b bytes.Buffer
	if err := p.byName[name].ExecuteTemplate(&b, "frame", v); err != nil {
		return fmt.Errorf("drawing the page %s: %w", name, err)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// Is reports whether the visitor is called so.
func (f Frame) Is(name string) bool { return f.Visitor != nil && string(f.Visitor.Name) == name }

// Keykeeper reports whether the visitor is one.
func (f Frame) Keykeeper() bool { return f.has(access.Keykeeper) }

// Officer reports whether the visitor is one.
func (f Frame) Officer() bool { return f.has(access.Officer) }

// MayAct reports whether the visitor can act with a passkey: keykeepers release,
// refuse, close, agree and object, officers close, and both suspend.
func (f Frame) MayAct() bool { return f.has(access.Keykeeper, access.Officer) }

func (f Frame) has(roles ...access.Role) bool {
	return f.Visitor != nil && slices.ContainsFunc(f.Visitor.Roles, func(r access.Role) bool { return slices.Contains(roles, r) })
}
