package page_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"strongroom/internal/access"
	"strongroom/internal/report"
	"strongroom/internal/web/assets"
	"strongroom/internal/web/browsertest"
	"strongroom/internal/web/page"
	"strongroom/internal/web/page/pagetest"
)

// serveMap serves a map with its script, and for every component the same page.
func serveMap(t testing.TB, m report.MapPage) string {
	t.Helper()
	pages, err := page.New()
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	show := func(pattern string, draw func(io.Writer) error) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, _ *http.Request) {
			var b bytes.Buffer
			if err := draw(&b); err != nil {
				t.Error(err)
			}
			w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; require-trusted-types-for 'script'; trusted-types 'none'")
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.Write(b.Bytes())
		})
	}
	show("GET /map", func(w io.Writer) error { return pages.Map(w, pagetest.Frame("/map", access.Auditor), m) })
	show("GET /map/component", func(w io.Writer) error {
		return pages.Component(w, pagetest.Frame("/map/component", access.Auditor), pagetest.Component())
	})
	mux.Handle("GET "+page.Assets, http.StripPrefix(page.Assets, http.FileServerFS(page.Static())))
	for _, script := range assets.Scripts() {
		mux.HandleFunc("GET "+page.Assets+script.Name, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/javascript")
			w.Write(script.Content)
		})
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

// listed returns the components that the table shows.
func listed(p *browsertest.Page) []string {
	return browsertest.Eval[[]string](p, `[...document.querySelectorAll("#components tbody tr:not([hidden]) th a")].map(a => a.textContent)`)
}

// lit returns the components that stand out in the picture, of those that are
// as many as in the table.
func lit(p *browsertest.Page) int {
	return browsertest.Eval[int](p, `document.querySelectorAll(".graph a:not(.out)").length`)
}

// Who types sees at once what is found, in the table and in the picture.
func TestMapIsSearched(t *testing.T) {
	m := pagetest.Map()
	p := browsertest.Start(t).Open(t, serveMap(t, m)+"/map")
	p.Wait(`document.querySelector("#found").innerText === "30 of 30 components"`)
	p.Fill("#find-text", "10.0.4.5")
	p.Wait(`document.querySelector("#found").innerText === "1 of 30 components"`)
	if got := strings.Join(listed(p), " "); got != "host/db1" || lit(p) != 1 {
		t.Errorf("by its address, %s is found, and %d in the picture", got, lit(p))
	}
	p.Fill("#find-text", "")
	choose := func(id, value string) {
		browsertest.Eval[bool](p, `{ const s = document.querySelector("`+id+`"); s.value = "`+value+`"; s.dispatchEvent(new Event("input")); true }`)
	}
	choose("#find-kind", "database")
	p.Wait(`document.querySelector("#found").innerText === "2 of 30 components"`)
	choose("#find-application", "erp")
	p.Wait(`document.querySelector("#found").innerText === "1 of 30 components"`)
	if got := strings.Join(listed(p), " "); got != "database/erp" {
		t.Errorf("of the databases, erp needs %s", got)
	}
	choose("#find-application", "")
	choose("#find-kind", "")
	p.Wait(`document.querySelector("#found").innerText === "30 of 30 components"`)
	choose("#find-evidence", "stated")
	p.Wait(`document.querySelector("#found").innerText === "1 of 30 components"`)
	if got := strings.Join(listed(p), " "); got != "service/ntp" {
		t.Errorf("a person has stated %s", got)
	}
	choose("#find-evidence", "")
	p.Wait(`document.querySelector("#found").innerText === "30 of 30 components"`)
	if lit(p) != 30 {
		t.Errorf("of all, %d stand out", lit(p))
	}
	if complaints := p.Complaints(); len(complaints) > 0 {
		t.Errorf("the browser complains: %q", complaints)
	}
}

// Who chooses a component sees it beside the map, by mouse and by keyboard.
func TestMapShowsWhatIsChosen(t *testing.T) {
	url := serveMap(t, pagetest.Map())
	p := browsertest.Start(t).Open(t, url+"/map")
	p.Click(`.graph a[href$="service%2Fdns"] .box`)
	p.Wait(`document.querySelector("#chosen #needs")`)
	if got := p.Text("#chosen"); !strings.Contains(got, "nameserver 10.0.0.2") {
		t.Errorf("the evidence is not there: %s", got)
	}
	if got := browsertest.Eval[[]int](p, `[...document.querySelectorAll(".way-needs, .way-needed")].map(w => w.getAttribute("d").split("M").length - 1)`); len(got) != 2 || got[0] != 3 || got[1] != 9 {
		t.Errorf("the lines lead to %d", got)
	}
	if got := browsertest.Eval[int](p, `document.querySelectorAll(".graph .chosen").length`); got != 1 {
		t.Errorf("%d components stand out", got)
	}
	if barriers := axeOf(t, p); len(barriers) > 0 {
		t.Errorf("barriers: %q", barriers)
	}
	if err := chromedp.Do(p.Context(), chromedp.KeyEvent("\u001b")); err != nil { // Escape
		t.Fatal(err)
	}
	p.Wait(`document.querySelector("#chosen").hidden && !document.querySelector(".way-needs, .graph .chosen")`)
	if got := browsertest.Eval[string](p, `document.activeElement.textContent`); got != "service/dns" {
		t.Errorf("the keyboard goes on at %q", got)
	}
	if err := chromedp.Do(p.Context(), chromedp.KeyEvent("\r")); err != nil {
		t.Fatal(err)
	}
	p.Wait(`document.activeElement.id === "chosen" && document.querySelector("#chosen #needs")`)
	if got := browsertest.Eval[string](p, `location.pathname`); got != "/map" {
		t.Errorf("the page is %s", got)
	}
	p.Press("Close")
	p.Wait(`document.querySelector("#chosen").hidden`)
	if complaints := p.Complaints(); len(complaints) > 0 {
		t.Errorf("the browser complains: %q", complaints)
	}
	if folder := os.Getenv("STRONGROOM_SCREENSHOTS"); folder != "" {
		p.Click(`.graph a[href$="service%2Fdns"] .box`)
		p.Wait(`document.querySelector("#chosen #needs")`)
		picture, err := chromedp.Run(p.Context(), chromedp.FullScreenshot(100))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, "map-chosen.png"), picture, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func axeOf(t *testing.T, p *browsertest.Page) []string {
	axe := readAxe(t)
	if axe == "" {
		return nil
	}
	browsertest.Eval[bool](p, axe+"; true")
	return barriers(p, "{}")
}

// A map of thousands is searched and chosen from as a small one is. How long that
// takes is said, and depends on the machine.
func TestLargeMapIsUsable(t *testing.T) {
	m := pagetest.LargeMap(5000, 20_000)
	url := serveMap(t, m)
	p := browsertest.Start(t).Open(t, url+"/map/component")
	begun := time.Now()
	took := func(what string) {
		t.Logf("%s: %v", what, time.Since(begun).Round(time.Millisecond))
		begun = time.Now()
	}
	p.Go(url + "/map")
	p.Wait(`document.querySelector("#found").innerText === "5,000 of 5,000 components"`)
	browsertest.Eval[bool](p, `new Promise(done => requestAnimationFrame(() => setTimeout(() => done(true))))`)
	took("drawn, and ready")
	t.Logf("the browser says: %s", browsertest.Eval[string](p, `JSON.stringify(performance.getEntriesByType("navigation").map(n => ({bytes: n.decodedBodySize, answered: n.responseEnd, interactive: n.domInteractive, complete: n.loadEventEnd})))`))
	begun = time.Now()
	p.Fill("#find-text", "rack07-")
	p.Wait(`document.querySelector("#found").innerText.startsWith("13")`)
	browsertest.Eval[bool](p, `new Promise(done => requestAnimationFrame(() => setTimeout(() => done(true))))`)
	took("searched")
	if n := len(listed(p)); n != lit(p) || n < 100 {
		t.Errorf("%d are listed, %d in the picture", n, lit(p))
	}
	if !browsertest.Eval[bool](p, `document.querySelector("#components").open`) {
		t.Error("what was found is not listed")
	}
	begun = time.Now()
	p.Fill("#find-text", "")
	p.Wait(`document.querySelector("#found").innerText.startsWith("5,000")`)
	browsertest.Eval[bool](p, `new Promise(done => requestAnimationFrame(() => setTimeout(() => done(true))))`)
	took("all again")
	p.Click(`#map-17 .square`)
	p.Wait(`document.querySelector("#chosen #needs")`)
	took("chosen, with what needs it")
	if complaints := p.Complaints(); len(complaints) > 0 {
		t.Errorf("the browser complains: %q", complaints)
	}
}
