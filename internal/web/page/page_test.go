package page_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/access"
	"strongroom/internal/access/opening"
	"strongroom/internal/estate/coverage"
	"strongroom/internal/report"
	"strongroom/internal/web/page"
	"strongroom/internal/web/page/pagetest"
)

// A node is an element of a page, or, without a name, a text.
type node struct {
	name     string
	attr     map[string]string
	text     string
	parent   *node
	children []*node
}

// parse reads a page strictly as XML: what was not escaped, or left open, is an
// error.
func parse(t *testing.T, html []byte) *node {
	t.Helper()
	root := &node{}
	at := root
	for d := xml.NewDecoder(bytes.NewReader(html)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return root
		}
		if err != nil {
			end := d.InputOffset()
			t.Fatalf("the page is not well-formed: %v after %q", err, html[max(0, end-200):end])
		}
		switch token := token.(type) {
		case xml.StartElement:
			n := &node{name: token.Name.Local, attr: map[string]string{}, parent: at}
			for _, a := range token.Attr {
				if _, ok := n.attr[a.Name.Local]; ok {
					t.Errorf("<%s> has %s twice", n.name, a.Name.Local)
				}
				n.attr[a.Name.Local] = a.Value
			}
			at.children = append(at.children, n)
			at = n
		case xml.EndElement:
			at = at.parent
		case xml.CharData:
			at.children = append(at.children, &node{text: string(token), parent: at})
		case xml.Comment:
			t.Errorf("the page has a comment: %s", token)
		}
	}
}

// all returns the elements below n that have one of the names, or all.
func (n *node) all(names ...string) []*node {
	var found []*node
	for _, c := range n.children {
		if c.name != "" && (len(names) == 0 || slices.Contains(names, c.name)) {
			found = append(found, c)
		}
		found = append(found, c.all(names...)...)
	}
	return found
}

// words returns the text in n, with single spaces.
func (n *node) words() string { return strings.Join(strings.Fields(n.raw()), " ") }

func (n *node) raw() string {
	if n.name == "" && n.text != "" {
		return n.text
	}
	var b strings.Builder
	for _, c := range n.children {
		b.WriteString(c.raw())
	}
	return b.String()
}

func (n *node) byID(id string) *node {
	for _, e := range n.all() {
		if e.attr["id"] == id {
			return e
		}
	}
	return nil
}

func newPages(t *testing.T) *page.Pages {
	t.Helper()
	pages, err := page.New()
	if err != nil {
		t.Fatal(err)
	}
	return pages
}

// check finds what no page may have, whatever it shows.
func check(t *testing.T, html []byte) *node {
	t.Helper()
	root := parse(t, html)
	ids := map[string]bool{}
	for _, e := range root.all() {
		if id, ok := e.attr["id"]; ok {
			if ids[id] || id == "" {
				t.Errorf("the id %q stands there twice, or is empty", id)
			}
			ids[id] = true
		}
		for name := range e.attr {
			if name == "style" || strings.HasPrefix(name, "on") {
				t.Errorf("<%s> has the attribute %s", e.name, name)
			}
		}
	}
	for _, e := range root.all() {
		checkElement(t, e, ids)
	}
	if h1 := root.all("h1"); len(h1) != 1 || h1[0].words() == "" {
		t.Errorf("there are %d headings of the page, or an empty one", len(h1))
	}
	last := 0
	for _, h := range root.all("h1", "h2", "h3", "h4", "h5", "h6") {
		level := int(h.name[1] - '0')
		if level > last+1 {
			t.Errorf("heading %q is of level %d, after one of level %d", h.words(), level, last)
		}
		last = level
	}
	if lang := root.all("html")[0].attr["lang"]; lang != "en" {
		t.Errorf("the page's language is %q", lang)
	}
	if title := root.all("title")[0].words(); title == "" {
		t.Error("the page has no title")
	}
	for _, landmark := range []string{"main", "footer"} {
		if n := len(root.all(landmark)); n != 1 {
			t.Errorf("there are %d of <%s>", n, landmark)
		}
	}
	return root
}

// beside is what the page for another host loads.
var beside = regexp.MustCompile(`^[a-z]+\.(css|js|svg)$`)

func checkElement(t *testing.T, e *node, ids map[string]bool) {
	t.Helper()
	switch e.name {
	case "style", "iframe", "object", "embed", "base", "img":
		t.Errorf("there is a <%s>", e.name)
	case "script":
		if src := e.attr["src"]; !strings.HasPrefix(src, page.Assets) && !beside.MatchString(src) || len(e.children) > 0 {
			t.Errorf("there is a script from %q with %d in it", e.attr["src"], len(e.children))
		}
	case "section":
		if e.attr["aria-labelledby"] == "" {
			t.Errorf("a section has no name: %v", e.attr)
		}
	case "nav":
		if e.attr["aria-label"] == "" {
			t.Error("a navigation has no name")
		}
	case "th":
		if e.attr["scope"] == "" {
			t.Errorf("the header %q of a table has no scope", e.words())
		}
	case "input", "select", "textarea":
		if e.attr["id"] == "" {
			t.Errorf("<%s> has no id, and so no label", e.name)
		}
	case "button", "a", "summary":
		if e.words() == "" && e.attr["aria-label"] == "" {
			t.Errorf("<%s> has no name: %v", e.name, e.attr)
		}
	case "svg":
		if e.attr["role"] != "img" && e.attr["aria-hidden"] != "true" && (e.attr["role"] != "group" || e.attr["aria-labelledby"] == "") {
			t.Errorf("a picture is neither named nor hidden: %v", e.attr)
		}
	case "time":
		if _, err := time.Parse(time.RFC3339, e.attr["datetime"]); err != nil {
			if _, err := time.Parse(time.DateOnly, e.attr["datetime"]); err != nil {
				t.Errorf("a time is %q for machines", e.attr["datetime"])
			}
		}
	}
	for _, name := range []string{"aria-labelledby", "aria-describedby", "for"} {
		for id := range strings.FieldsSeq(e.attr[name]) {
			if !ids[id] {
				t.Errorf("<%s> is about %s, which is not there", e.name, id)
			}
		}
	}
	for _, name := range []string{"href", "src", "action"} {
		link := e.attr[name]
		if link == "" {
			continue
		}
		if anchor, ok := strings.CutPrefix(link, "#"); ok && !ids[anchor] {
			t.Errorf("there is a link to %s, which is not there", link)
		}
		if !strings.HasPrefix(link, "#") && !beside.MatchString(link) && (!strings.HasPrefix(link, "/") || strings.HasPrefix(link, "//")) {
			t.Errorf("<%s> leads to %q, which is not of this safe", e.name, link)
		}
	}
}

func TestSheetsAreSound(t *testing.T) {
	pages := newPages(t)
	for _, sheet := range pagetest.Sheets() {
		t.Run(sheet.Name, func(t *testing.T) {
			var b bytes.Buffer
			if err := sheet.Draw(pages, &b); err != nil {
				t.Fatal(err)
			}
			check(t, b.Bytes())
		})
	}
}

// drawings are all pages with data, by reports of the caller.
type drawings struct {
	overview report.Overview
	source   report.Source
	openings report.OpeningsPage
	opening  report.OpeningPage
	people   report.PeoplePage
	ledger   report.LedgerPage
	entry    report.EntryPage
	problem  page.Problem

	application report.ApplicationPage
	estate      report.MapPage
	component   report.ComponentPage
}

func (d drawings) each(t *testing.T, f page.Frame, check func(t *testing.T, html []byte)) {
	pages := newPages(t)
	for name, draw := range map[string]func(io.Writer) error{
		"overview": func(w io.Writer) error { return pages.Overview(w, f, d.overview) },
		"source":   func(w io.Writer) error { return pages.Source(w, f, d.source) },
		"openings": func(w io.Writer) error { return pages.Openings(w, f, d.openings) },
		"opening":  func(w io.Writer) error { return pages.Opening(w, f, d.opening) },
		"people":   func(w io.Writer) error { return pages.People(w, f, d.people) },
		"ledger":   func(w io.Writer) error { return pages.Ledger(w, f, d.ledger) },
		"entry":    func(w io.Writer) error { return pages.Entry(w, f, d.entry) },
		"sign-in":  func(w io.Writer) error { return pages.SignIn(w, f) },
		"enrol":    func(w io.Writer) error { return pages.Enrol(w, f) },
		"problem":  func(w io.Writer) error { return pages.Problem(w, f, d.problem) },

		"application": func(w io.Writer) error { return pages.Application(w, f, d.application) },
		"map":         func(w io.Writer) error { return pages.Map(w, f, d.estate) },
		"component":   func(w io.Writer) error { return pages.Component(w, f, d.component) },
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := draw(&b); err != nil {
				t.Fatal(err)
			}
			check(t, b.Bytes())
		})
	}
}

func TestEmptyReportsAreSound(t *testing.T) {
	var d drawings
	d.overview.Verdict.Sentence, d.source.Name = "nothing", "nothing"
	d.application.Card.Name, d.component.ID = "nothing", "host/nothing"
	d.each(t, page.Frame{}, func(t *testing.T, html []byte) { check(t, html) })
}

// hostile is what somebody may say who wants more than to be read: markup,
// template actions, what ends an attribute, characters that nobody sees or that
// turn the direction of writing, bytes that are not text, and a very long word.
var hostile = "</bdi></p></title><evil id='main' onclick=\"x\">&amp;{{.}}\"'`javascript:alert(1)//\u202e\u2066\u200b\x00\x1b[31m\x7f\ufeff\u2028\xff\n" + strings.Repeat("w", 3000)

// fill sets every text in v to the hostile one, and everything else to
// something: two elements in each list.
func fill(v reflect.Value) {
	if !v.CanSet() {
		return
	}
	switch value := v.Addr().Interface().(type) {
	case *time.Time:
		*value = pagetest.Now.Add(-time.Hour)
		return
	case *netip.Addr:
		*value = netip.MustParseAddr("fe80::1").WithZone("<evil>")
		return
	case *report.Mark: // of the program, not from outside
		*value = report.MarkFailed
		return
	case *report.Level:
		*value = report.Look
		return
	case *coverage.State:
		*value = coverage.Missing
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(hostile)
	case reflect.Int, reflect.Int64:
		v.SetInt(2)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Uint8:
		v.SetUint('<')
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes([]byte(hostile))
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(v.Index(i))
		}
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	}
}

// hostileDrawings are reports and a frame full of the hostile text.
func hostileDrawings() (d drawings, f page.Frame) {
	for _, into := range []any{&d.overview, &d.source, &d.openings, &d.opening, &d.people, &d.ledger, &d.entry, &d.problem, &d.application, &d.estate, &d.component} {
		fill(reflect.ValueOf(into).Elem())
	}
	fill(reflect.ValueOf(&f).Elem())
	// States and outcomes are of the program. Those that show most:
	d.opening.Opening.State = opening.Open
	for i := range d.overview.Sources {
		d.overview.Sources[i].Last.Outcome = report.Failed
	}
	for i := range d.source.Collections {
		d.source.Collections[i].Outcome = report.Partial
	}
	f.Visitor.Roles = []access.Role{access.Keykeeper, access.Role(hostile)}
	return d, f
}

func TestHostileTextStaysText(t *testing.T) {
	d, f := hostileDrawings()
	seen := false
	d.each(t, f, func(t *testing.T, html []byte) {
		root := check(t, html)
		if evil := root.all("evil"); len(evil) > 0 {
			t.Error("markup of a text has become an element")
		}
		for _, hidden := range []string{"\u202e", "\u2066", "\u200b", "\x00", "\x1b", "\x7f", "\ufeff", "\u2028"} {
			if bytes.Contains(html, []byte(hidden)) {
				t.Errorf("the page has the character %q", hidden)
			}
		}
		seen = seen || strings.Contains(root.raw(), "<evil id='main'")
	})
	if !seen {
		t.Error("the hostile text is on no page: this test tests nothing")
	}
}

// Whatever a report has, somebody shows: a string that is on no page would be
// computed for nothing.
func TestNothingOfAReportIsForgotten(t *testing.T) {
	tests := []struct {
		into    any
		draw    func(*page.Pages, io.Writer, any) error
		unshown []string
	}{
		{&report.OpeningPage{}, func(p *page.Pages, w io.Writer, v any) error {
			o := *v.(*report.OpeningPage)
			o.Opening.State, o.Unknown = opening.Open, false
			return p.Opening(w, pagetest.Frame("/openings", access.Keykeeper), o)
		}, []string{"Safe", "Opening.State", "Keykeeper", "Events.Kind", "Events.Who", "Snapshots.Source"}},
		{&report.MapPage{}, func(p *page.Pages, w io.Writer, v any) error {
			return p.Map(w, pagetest.Frame("/map", access.Keykeeper), *v.(*report.MapPage))
		}, []string{"Safe", "Asked.Basis", "Asked.Application", "Asked.Kind", "Arrows.From", "Arrows.Need", "Arrows.To"}},
		{&report.PeoplePage{}, func(p *page.Pages, w io.Writer, v any) error {
			return p.People(w, pagetest.Frame("/people", access.Keykeeper), *v.(*report.PeoplePage))
		}, []string{"Safe", "People.Keys.Use", "Enrolments.Keys.Use"}},
		{&report.LedgerPage{}, func(p *page.Pages, w io.Writer, v any) error {
			return p.Ledger(w, pagetest.Frame("/ledger", access.Keykeeper), *v.(*report.LedgerPage))
		}, []string{"Safe", "Entries.Source"}},
		{&report.EntryPage{}, func(p *page.Pages, w io.Writer, v any) error {
			return p.Entry(w, pagetest.Frame("/ledger", access.Keykeeper), *v.(*report.EntryPage))
		}, []string{"Safe", "Line.Level"}},
	}
	pages := newPages(t)
	for _, tt := range tests {
		name := reflect.TypeOf(tt.into).Elem().Name()
		t.Run(name, func(t *testing.T) {
			fill(reflect.ValueOf(tt.into).Elem())
			marks := map[string]string{}
			mark(reflect.ValueOf(tt.into).Elem(), "", marks)
			var b bytes.Buffer
			if err := tt.draw(pages, &b, tt.into); err != nil {
				t.Fatal(err)
			}
			var unshown []string
			for text, path := range marks {
				if !regexp.MustCompile(text + `\b`).Match(b.Bytes()) {
					unshown = append(unshown, path)
				}
			}
			slices.Sort(unshown)
			slices.Sort(tt.unshown)
			if diff := cmp.Diff(tt.unshown, unshown); diff != "" {
				t.Errorf("not shown (-want +got):\n%s", diff)
			}
		})
	}
}

// mark sets every string to one of its own, and notes of which field it is.
func mark(v reflect.Value, path string, marks map[string]string) {
	if v.Type() == reflect.TypeFor[coverage.State]() {
		return // of the program
	}
	switch v.Kind() {
	case reflect.String:
		text := fmt.Sprintf("field%d", len(marks))
		v.SetString(text)
		marks[text] = strings.TrimPrefix(path, ".")
	case reflect.Slice:
		if v.Type().Elem().Kind() != reflect.Uint8 && v.Len() > 0 {
			v.Set(v.Slice(0, 1))
			mark(v.Index(0), path, marks)
		}
	case reflect.Struct:
		if v.Type().PkgPath() != reflect.TypeFor[report.Overview]().PkgPath() {
			return
		}
		for i := range v.NumField() {
			mark(v.Field(i), path+"."+v.Type().Field(i).Name, marks)
		}
	}
}

func draw(t *testing.T, name string) *node {
	t.Helper()
	for _, sheet := range pagetest.Sheets() {
		if sheet.Name == name {
			var b bytes.Buffer
			if err := sheet.Draw(newPages(t), &b); err != nil {
				t.Fatal(err)
			}
			return parse(t, b.Bytes())
		}
	}
	t.Fatalf("there is no sheet %s", name)
	return nil
}

func TestOverviewSaysTheVerdictFirst(t *testing.T) {
	root := draw(t, "overview")
	if got := root.all("h1")[0].words(); got != "wiki has no complete snapshot of the last three days." {
		t.Errorf("the heading is %q", got)
	}
	main := root.byID("main").words()
	if want := "Alarm wiki has no complete snapshot of the last three days. What to do: See whether it can be reached: strongroom doctor; then collect it: strongroom collect wiki"; !strings.HasPrefix(main, want) {
		t.Errorf("the page begins %.200q", main)
	}
	reading := root.byID("reading").words()
	for _, want := range []string{"otto can read erp-files, directory until 2026-11-22 10:42, in 2 h 32 min", "olga asks to read erp-db for 2 hours"} {
		if !strings.Contains(reading, want) {
			t.Errorf("who reads: %q, want %q in it", reading, want)
		}
	}
}

func TestStripIsToldInWords(t *testing.T) {
	root := draw(t, "overview")
	for _, row := range root.byID("sources").all("tr") {
		if !strings.HasPrefix(row.words(), "wiki") {
			continue
		}
		got := row.all("desc")[0].words()
		want := "25 kept; 4 failed (2026-11-02, 2026-11-20, 2026-11-21, 2026-11-22); 1 late: due, and not begun (2026-11-19)"
		if got != want {
			t.Errorf("the strip says %q, want %q", got, want)
		}
		return
	}
	t.Error("wiki is not there")
}

// Whatever is red says what to do next.
func TestRedSaysWhatToDo(t *testing.T) {
	for _, name := range []string{"overview", "source", "people"} {
		root := draw(t, name)
		for _, e := range root.all() {
			if !slices.Contains(strings.Fields(e.attr["class"]), "alarm") {
				continue
			}
			if !strings.Contains(e.words(), "What to do:") {
				t.Errorf("%s: an alarm says nothing to do: %s", name, e.words())
			}
		}
		if strings.Contains(root.words(), "failed") && !strings.Contains(root.words(), "strongroom doctor") {
			t.Errorf("%s tells of a failure, and not what to do", name)
		}
	}
}

// Who has enrolled waits for somebody to take them in, or for the version that
// does.
func TestEnrolmentsSayWhoTakesThemIn(t *testing.T) {
	enrolments := draw(t, "people").byID("enrolments").words()
	for _, want := range []string{"Taken inby version 4, which is proposed", "An operator has nora read the words by voice, then strongroom people add nora"} {
		if !strings.Contains(enrolments, want) {
			t.Errorf("it does not say %q: %s", want, enrolments)
		}
	}
	if strings.Contains(enrolments, "people add petra") {
		t.Errorf("who is proposed is to be proposed once more: %s", enrolments)
	}
}

func TestReleaseIsForThoseWhoMay(t *testing.T) {
	tests := []struct {
		name   string
		frame  page.Frame
		state  opening.State
		script bool
		state2 string // of the panel; "" if there is none
	}{
		{"keykeeper, requested", pagetest.Frame("/openings", access.Keykeeper), opening.Requested, true, "requested"},
		{"officer, open", pagetest.Frame("/openings", access.Officer), opening.Open, true, "open"},
		{"auditor, requested", pagetest.Frame("/openings", access.Auditor), opening.Requested, false, "requested"},
		{"keykeeper, closed", pagetest.Frame("/openings", access.Keykeeper), opening.Closed, false, ""},
		{"stranger, requested", pagetest.Frame("/openings"), opening.Requested, false, "requested"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := pagetest.Requested()
			o.Opening.State = tt.state
			var b bytes.Buffer
			if err := newPages(t).Opening(&b, tt.frame, o); err != nil {
				t.Fatal(err)
			}
			root := check(t, b.Bytes())
			if got := len(root.all("script")) == 1; got != tt.script {
				t.Errorf("the page has the script: %t, want %t", got, tt.script)
			}
			if got := root.byID("release-panel") != nil; got != tt.script {
				t.Errorf("the page has the panel: %t, want %t", got, tt.script)
			}
			section := root.byID("release")
			if (section != nil) != (tt.state2 != "") {
				t.Fatalf("the section is there: %t", section != nil)
			}
			if section != nil && (section.attr["data-state"] != tt.state2 || section.attr["data-opening"] != o.Opening.ID.String()) {
				t.Errorf("the section is of %v", section.attr)
			}
		})
	}
}

func TestNavigationShowsWhereTheReaderIs(t *testing.T) {
	tests := map[string]string{
		"/": "Overview page", "/sources/erp-db": "Overview true", "/applications/erp": "Overview true", "/map": "Map page", "/map/component": "Map true", "/openings": "Openings page", "/openings/x": "Openings true",
		"/people": "People page", "/ledger": "Ledger page", "/ledger/12": "Ledger true", "/peoples": "", "/sign-in": "",
	}
	for path, want := range tests {
		var b bytes.Buffer
		if err := newPages(t).People(&b, pagetest.Frame(path, access.Auditor), report.PeoplePage{}); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, a := range parse(t, b.Bytes()).all("nav")[0].all("a") {
			if a.attr["aria-current"] != "" {
				got = append(got, a.words()+" "+a.attr["aria-current"])
			}
		}
		if strings.Join(got, "; ") != want {
			t.Errorf("at %s the reader is told %q, want %q", path, got, want)
		}
	}
}

func TestStrangersSeeNoNavigation(t *testing.T) {
	root := draw(t, "sign-in")
	if n := len(root.all("nav")) + len(root.all("form")); n != 0 {
		t.Errorf("there are %d navigations and forms", n)
	}
}

func TestBytesThatCannotBeShownAreSaidSo(t *testing.T) {
	for bytesOfEntry, inexact := range map[string]bool{"{\"v\":1}\n": false, "{\"v\":\"\u202e\"}": true} {
		e := pagetest.Entry()
		e.Bytes = []byte(bytesOfEntry)
		var b bytes.Buffer
		if err := newPages(t).Entry(&b, pagetest.Frame("/ledger/1", access.Auditor), e); err != nil {
			t.Fatal(err)
		}
		section := check(t, b.Bytes()).byID("bytes")
		if got := strings.Contains(section.words(), "Not all of it can be shown"); got != inexact {
			t.Errorf("%q: said to be incomplete: %t, want %t", bytesOfEntry, got, inexact)
		}
		if shown := section.all("pre")[0].raw(); !inexact && shown != bytesOfEntry {
			t.Errorf("%q is shown as %q", bytesOfEntry, shown)
		}
	}
}

func TestProblemWithoutRemedyHasOne(t *testing.T) {
	var b bytes.Buffer
	if err := newPages(t).Problem(&b, page.Frame{}, page.Problem{Status: 500, Text: "the safe could not do this"}); err != nil {
		t.Fatal(err)
	}
	root := check(t, b.Bytes())
	if got := root.all("h1")[0].words(); got != "The safe could not do this" {
		t.Errorf("the heading is %q", got)
	}
	if !strings.Contains(root.words(), "What to do: Go back") {
		t.Error("the page does not say what to do")
	}
}

// Every class of a page is one of the style sheet: a class that is not, is a
// mistake in its name.
func TestClassesAreInTheStyleSheet(t *testing.T) {
	css, err := fs.ReadFile(page.Static(), "pages.css")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, m := range regexp.MustCompile(`\.([a-z][a-z-]*)`).FindAllSubmatch(css, -1) {
		known[string(m[1])] = true
	}
	for _, sheet := range pagetest.Sheets() {
		for _, e := range draw(t, sheet.Name).all() {
			for class := range strings.FieldsSeq(e.attr["class"]) {
				if !known[class] {
					t.Errorf("%s: <%s> is of the class %s", sheet.Name, e.name, class)
				}
			}
		}
	}
}

func TestNothingIsWrittenOfAPageThatFails(t *testing.T) {
	o := pagetest.Overview()
	o.Sources[len(o.Sources)-1].Days[0].Mark = "none of them"
	var b bytes.Buffer
	if err := newPages(t).Overview(&b, page.Frame{}, o); err == nil || b.Len() > 0 {
		t.Errorf("%d bytes were written, and the error is %v", b.Len(), err)
	}
}

// What is written is bounded by what is shown: the overview of a large safe is
// a page that a phone can still load.
func TestOverviewOfManySources(t *testing.T) {
	o := pagetest.Overview()
	for len(o.Sources) < 500 {
		o.Sources = append(o.Sources, o.Sources[len(o.Sources)%9])
	}
	var b bytes.Buffer
	if err := newPages(t).Overview(&b, pagetest.Frame("/", access.Auditor), o); err != nil {
		t.Fatal(err)
	}
	check(t, b.Bytes())
	if most := 1 << 20; b.Len() > most {
		t.Errorf("the page has %d bytes, want at most %d", b.Len(), most)
	}
}

func BenchmarkOverview(b *testing.B) {
	pages, err := page.New()
	if err != nil {
		b.Fatal(err)
	}
	o := pagetest.Overview()
	for len(o.Sources) < 500 {
		o.Sources = append(o.Sources, o.Sources[len(o.Sources)%9])
	}
	f := pagetest.Frame("/", access.Auditor)
	for b.Loop() {
		if err := pages.Overview(io.Discard, f, o); err != nil {
			b.Fatal(err)
		}
	}
}
