package pagetest

import (
	"io"

	"strongroom/internal/access"
	"strongroom/internal/report"
	"strongroom/internal/web/page"
)

// A Sheet is a page with something on it.
type Sheet struct {
	Name string // of a file, without its ending
	Draw func(*page.Pages, io.Writer) error
}

// Sheets are all pages, those of different states more than once.
func Sheets() []Sheet {
	var (
		id     = openings()[0].ID.String()
		kim    = func(path string) page.Frame { return Frame(path, access.Keykeeper) }
		nobody = func(path string) page.Frame { return Frame(path) }
	)
	return []Sheet{
		{"overview", func(p *page.Pages, w io.Writer) error { return p.Overview(w, kim("/"), Overview()) }},
		{"overview-calm", func(p *page.Pages, w io.Writer) error { return p.Overview(w, kim("/"), Calm()) }},
		{"overview-empty", func(p *page.Pages, w io.Writer) error {
			return p.Overview(w, kim("/"), report.Overview{Verdict: report.Verdict{Level: report.Look, Sentence: "Nothing is collected: no source is configured."}})
		}},
		{"source", func(p *page.Pages, w io.Writer) error { return p.Source(w, kim("/sources/wiki"), Source()) }},
		{"application", func(p *page.Pages, w io.Writer) error {
			return p.Application(w, kim("/applications/erp"), Application())
		}},
		{"application-many", func(p *page.Pages, w io.Writer) error {
			return p.Application(w, kim("/applications/erp"), LargeApplication())
		}},
		{"map", func(p *page.Pages, w io.Writer) error { return p.Map(w, kim("/map"), Map()) }},
		{"map-many", func(p *page.Pages, w io.Writer) error { return p.Map(w, kim("/map"), LargeMap(700, 2000)) }},
		{"map-empty", func(p *page.Pages, w io.Writer) error {
			return p.Map(w, kim("/map"), report.MapPage{Safe: "acme", Now: Now})
		}},
		{"component", func(p *page.Pages, w io.Writer) error { return p.Component(w, kim("/map/component"), Component()) }},
		{"openings", func(p *page.Pages, w io.Writer) error { return p.Openings(w, kim("/openings"), Openings()) }},
		{"opening-requested", func(p *page.Pages, w io.Writer) error { return p.Opening(w, kim("/openings/"+id), Requested()) }},
		{"opening-open", func(p *page.Pages, w io.Writer) error {
			return p.Opening(w, Frame("/openings/"+id, access.Auditor), Open())
		}},
		{"opening-closed", func(p *page.Pages, w io.Writer) error { return p.Opening(w, kim("/openings/"+id), Closed()) }},
		{"people", func(p *page.Pages, w io.Writer) error { return p.People(w, kim("/people"), People()) }},
		{"ledger", func(p *page.Pages, w io.Writer) error { return p.Ledger(w, kim("/ledger"), Ledger()) }},
		{"entry", func(p *page.Pages, w io.Writer) error { return p.Entry(w, kim("/ledger/4377"), Entry()) }},
		{"sign-in", func(p *page.Pages, w io.Writer) error { return p.SignIn(w, nobody("/sign-in")) }},
		{"enrol", func(p *page.Pages, w io.Writer) error { return p.Enrol(w, nobody("/enrol")) }},
		{"elsewhere", func(p *page.Pages, w io.Writer) error { return p.Elsewhere(w, Elsewhere()) }},
		{"problem", func(p *page.Pages, w io.Writer) error {
			return p.Problem(w, kim("/sources/none"), page.Problem{Status: 404, Text: "there is no such thing", Remedy: "Look for it among the sources, or in the ledger."})
		}},
	}
}
