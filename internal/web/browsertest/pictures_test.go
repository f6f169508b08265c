package browsertest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"strongroom/internal/access"
	"strongroom/internal/access/accesstest"
)

// TestPictures makes pictures of pages as their scripts fill them, where make
// screenshots wants them; those that it makes by itself are of pages without
// their scripts.
func TestPictures(t *testing.T) {
	folder := os.Getenv("STRONGROOM_SCREENSHOTS")
	if folder == "" {
		t.Skip("make screenshots asks for pictures")
	}
	t.Run("people", func(t *testing.T) {
		s, p, _ := keykeeper(t)
		s.aPeriodMore()
		otto := newcomer(t, "otto")
		otto.FullName = "Otto Weber"
		s.propose("bob", adds(otto))
		petra := accesstest.NewPasskeyPerson(t, "petra", access.Keykeeper).Person
		s.change(func() {
			s.enrolments = []access.Enrolment{{Version: 1, Store: s.team.Store, Time: made, Person: petra, Domain: "localhost"}}
		})
		p.Go(s.url + "/people")
		p.Wait(`document.querySelector("#join")`)
		p.pictures(folder, "people-filled")
		Eval[bool](p, `{ for (const d of document.querySelectorAll("details")) d.open = true; true }`)
		p.pictures(folder, "people-unfolded")
		p.Go(s.url + "/people")
		p.Tick("#heard-petra")
		p.Press("Take in whose words you have heard")
		p.Wait(`document.querySelector("#joining-panel .list")`)
		p.pictures(folder, "people-taking-in")
	})
	t.Run("component", func(t *testing.T) {
		s, p := member(t, access.Officer)
		p.Go(s.url + componentPath)
		p.Wait(`document.querySelector("details.say")`)
		for _, selector := range []string{`#needs tr:nth-child(2) details.say`, "#known details.say"} {
			p.Click(selector + " summary")
		}
		p.pictures(folder, "component-officer")
		p.Go(s.url + "/map")
		p.Click("#components tbody tr:first-child a")
		p.Click("#chosen #needs details.say summary")
		p.pictures(folder, "map-officer")
	})
	t.Run("elsewhere", func(t *testing.T) {
		e, p, _ := newExported(t)
		e.askFor(e.id, "disk array of erp-app lost")
		p.Go(e.page)
		p.Press("Sign in with your passkey")
		p.Wait(`document.querySelector("#openings li")`)
		p.pictures(folder, "elsewhere-list")
		p.Press("Release or refuse")
		p.Press("Look at what would be released")
		p.Wait(`document.querySelector("#release-button")`)
		p.pictures(folder, "elsewhere-release")
	})
}

// pictures makes pictures of the page, light and dark, wide and narrow.
func (p *Page) pictures(folder, name string) {
	p.t.Helper()
	for _, look := range []struct {
		name   string
		width  int64
		scheme string
	}{{"wide", 1280, "light"}, {"wide-dark", 1280, "dark"}, {"narrow-dark", 390, "dark"}, {"narrow", 390, "light"}} {
		p.must(p.do(chromedp.EmulateViewport(look.width, 800)))
		p.scheme(look.scheme)
		picture, err := chromedp.Run(p.ctx, chromedp.FullScreenshot(100))
		p.must(err)
		p.must(os.WriteFile(filepath.Join(folder, name+"-"+look.name+".png"), picture, 0o644))
	}
}

// scheme has the page be looked at in light or dark.
func (p *Page) scheme(name string) {
	p.t.Helper()
	call(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}}})
}
