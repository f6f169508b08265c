package page_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"strongroom/internal/web/browsertest"
	"strongroom/internal/web/page"
	"strongroom/internal/web/page/pagetest"
)

// looks are the ways of looking at a page that are tested. With options for
// axe-core, barriers are looked for, which takes a while.
var looks = []struct {
	name   string
	width  int64
	scheme string
	axe    string
}{
	{"wide", 1280, "light", "{}"}, {"wide and dark", 1280, "dark", "{runOnly: ['color-contrast']}"}, {"narrow", 390, "light", "{}"}, {"very narrow", 320, "light", ""},
	{"small tablet", 768, "light", ""}, {"tablet", 900, "light", ""}, {"small window", 1130, "light", ""},
}

// Every page, in a real browser: it is not wider than its window, breaks
// nothing of its policy, loads all that it asks for, and has no barrier that
// axe-core knows, among them too little contrast.
func TestPagesInABrowser(t *testing.T) {
	axe := readAxe(t)
	handler, err := pagetest.Handler()
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	p := browsertest.Start(t).Open(t, server.URL+"/sign-in")
	for _, look := range looks {
		t.Run(look.name, func(t *testing.T) {
			if err := chromedp.Do(p.Context(), chromedp.EmulateViewport(look.width, 800)); err != nil {
				t.Fatal(err)
			}
			_, err := chromedp.Call(p.Context(), emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
				Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: look.scheme}},
			})
			if err != nil {
				t.Fatal(err)
			}
			for _, sheet := range pagetest.Sheets() {
				p.Go(server.URL + "/" + sheet.Name)
				// What is folded is a part of the page, too.
				browsertest.Eval[bool](p, `{ for (const d of document.querySelectorAll("details")) d.open = true; true }`)
				if width := browsertest.Eval[int64](p, "document.documentElement.scrollWidth"); width > look.width {
					t.Errorf("%s is %d pixels wide in a window of %d", sheet.Name, width, look.width)
				}
				if axe == "" || look.axe == "" {
					continue
				}
				browsertest.Eval[bool](p, axe+"; true")
				if sheet.Name == "sign-in" && look.axe == "{}" {
					// A test of the test: what cannot be found is never found.
					browsertest.Eval[bool](p, `document.documentElement.lang = ""; true`)
					if len(barriers(p, look.axe)) == 0 {
						t.Error("axe-core does not find that a page has no language")
					}
					browsertest.Eval[bool](p, `document.documentElement.lang = "en"; true`)
				}
				for _, barrier := range barriers(p, look.axe) {
					t.Errorf("%s: %s", sheet.Name, barrier)
				}
			}
		})
	}
	for _, complaint := range p.Complaints() {
		t.Errorf("the browser complains: %s", complaint)
	}
}

// barriers returns what axe-core finds, a line for each kind in each place.
func barriers(p *browsertest.Page, options string) []string {
	return browsertest.Eval[[]string](p, "axe.run("+options+`).then(found =>
		found.violations.flatMap(v => v.nodes.map(n => v.id + ": " + n.failureSummary + " " + n.html)))`)
}

// readAxe returns axe-core, "" if make has not put it there.
func readAxe(t *testing.T) string {
	t.Helper()
	name := os.Getenv("STRONGROOM_AXE")
	if name == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("STRONGROOM_AXE is not set: make axe")
		}
		t.Log("without axe-core: make axe puts it there")
		return ""
	}
	axe, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(axe)
}

// Whatever somebody says, and however long its words are: no page becomes wider
// than its window.
func TestHostileTextFitsThePage(t *testing.T) {
	mux := http.NewServeMux()
	mux.Handle(page.Assets, http.StripPrefix(page.Assets, http.FileServerFS(page.Static())))
	var names []string
	d, f := hostileDrawings()
	d.each(t, f, func(t *testing.T, html []byte) {
		name := "/" + path.Base(t.Name())
		names = append(names, name)
		mux.HandleFunc(name, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.Write(html)
		})
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	p := browsertest.Start(t).Open(t, server.URL+"/sign-in")
	for _, width := range []int64{390, 900, 1280} {
		if err := chromedp.Do(p.Context(), chromedp.EmulateViewport(width, 800)); err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			p.Go(server.URL + name)
			if got := browsertest.Eval[int64](p, "document.documentElement.scrollWidth"); got > width {
				t.Errorf("%s is %d pixels wide in a window of %d", name, got, width)
			}
		}
	}
}

// Times, and the names of kinds and of people, are not broken for a long text
// beside them.
func TestNamesInTablesStayWhole(t *testing.T) {
	handler, err := pagetest.Handler()
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	p := browsertest.Start(t).Open(t, server.URL+"/sign-in")
	for _, width := range []int64{900, 1280} {
		if err := chromedp.Do(p.Context(), chromedp.EmulateViewport(width, 800)); err != nil {
			t.Fatal(err)
		}
		p.Go(server.URL + "/ledger")
		const broken = `[...document.querySelectorAll(".entries td:not(:nth-child(3))")].flatMap(cell => {
			const range = document.createRange();
			range.selectNodeContents(cell);
			return new Set([...range.getClientRects()].map(r => Math.round(r.bottom / 8))).size > 1 ? [cell.innerText] : [];
		})`
		if got := browsertest.Eval[[]string](p, broken); len(got) > 0 {
			t.Errorf("in a window of %d pixels there are lines broken: %q", width, got)
		}
	}
}

// The first thing that the keyboard reaches leads past the navigation, and
// whatever it reaches is seen to be reached.
func TestKeyboard(t *testing.T) {
	handler, err := pagetest.Handler()
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	p := browsertest.Start(t).Open(t, server.URL+"/overview")
	tab := func() string {
		if err := chromedp.Do(p.Context(), chromedp.KeyEvent("\t")); err != nil {
			t.Fatal(err)
		}
		return browsertest.Eval[string](p, "document.activeElement.innerText.trim()")
	}
	const outline = "getComputedStyle(document.activeElement).outlineStyle + ' ' + document.activeElement.checkVisibility() + ' ' + (document.activeElement.getBoundingClientRect().top >= 0)"
	for i, want := range []string{"Skip to the content", "acme safe", "Overview", "Map", "Openings", "People", "Ledger", "Sign out", "Look at it, or close it"} {
		if got := tab(); got != want {
			t.Errorf("stop %d of the keyboard is %q, want %q", i+1, got, want)
		}
		if got := browsertest.Eval[string](p, outline); got != "solid true true" {
			t.Errorf("%s has the outline %s", want, got)
		}
	}
	p.Go(server.URL + "/overview")
	tab()
	if err := chromedp.Do(p.Context(), chromedp.KeyEvent("\r")); err != nil {
		t.Fatal(err)
	}
	p.Wait(fmt.Sprintf("document.activeElement.id === %q", "main"))
}
