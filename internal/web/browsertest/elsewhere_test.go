package browsertest

import (
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/access/accesstest"
	"strongroom/internal/access/api"
	"strongroom/internal/access/opening"
	"strongroom/internal/safe"
	"strongroom/internal/safe/words"
	"strongroom/internal/web/assets"
	"strongroom/internal/web/export"
)

// domain is that of the passkeys, below which both hosts are.
const domain = "acme.test"

// exported is the release page of a safe on another host: what package export
// has written, behind a web server that knows nothing but the headers that its
// README asks for.
type exported struct {
	*fakeSafe
	page string // origin
	site export.Site
	id   safe.OpeningID
}

func newExported(t *testing.T) (*exported, *Page, map[string][]byte) {
	t.Helper()
	s := newSafeBelow(t, domain)
	p, secrets := keykeeperOf(t, s)
	now := time.Now()
	s.snapshot("erp-files", s.team.Outer.Recipient(), now.Add(-3*time.Hour), now.Add(-time.Hour))
	e := &exported{fakeSafe: s, id: safe.NewOpeningID(now),
		site: export.Site{Safe: "acme", Origin: s.url, Roster: s.team.Roster, First: safe.Digest{8}, Version: "v1"}}
	s.ask(e.id)
	e.page = e.serve(t, "keys."+domain, e.site, true)
	s.elsewhere = e.page
	return e, p, secrets
}

// serve serves such a page, with its headers or without.
func (e *exported) serve(t *testing.T, name string, site export.Site, headers bool) string {
	t.Helper()
	files := must(site.Files())(t)
	dir := filepath.Join(t.TempDir(), "page")
	if err := export.Write(dir, files); err != nil {
		t.Fatal(err)
	}
	static := http.FileServer(http.Dir(dir))
	return serveAt(t, name, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/trap" {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			io.WriteString(w, `<!DOCTYPE html><title>trap</title><iframe src="/" width="900" height="600"></iframe>`)
			return
		}
		if headers {
			for _, h := range site.Headers() {
				w.Header().Set(h.Name, h.Value)
			}
		}
		static.ServeHTTP(w, r)
	}))
}

// TestReleaseFromElsewhere releases on the page that export has written. From
// the safe comes nothing but answers to the requests of its API.
func TestReleaseFromElsewhere(t *testing.T) {
	e, p, secrets := newExported(t)
	before := len(p.Sent())
	p.Go(e.page + "/#opening=" + e.id.String())
	if got := Eval[int](p, `[...document.querySelectorAll("script, link, img")].filter(e => new URL(e.src || e.href).origin !== location.origin).length`); got != 0 {
		t.Errorf("%d elements of the page come from elsewhere", got)
	}
	for _, want := range []string{words.Of(e.site.First), words.Of(e.team.Roster.Digest()), e.url, domain, assets.Digest().String()} {
		if !strings.Contains(p.Text("body"), want) {
			t.Errorf("the page does not show %s", want)
		}
	}
	p.Press("Sign in with your passkey")
	p.Press("Look at what would be released")
	p.Press("Release with your personal key")
	p.Wait(`document.querySelector("#ended")`)
	if e.released == nil {
		t.Fatalf("nothing was released: %s", p.Text("body"))
	}

	// Another time by the list.
	p.Press("Look at what else waits")
	p.Wait(`document.querySelectorAll("#openings li").length === 1`)
	if got := p.Text("#openings"); !strings.Contains(got, "bob asks, on ") || !strings.Contains(got, "“restore drill <b>bold</b>”") {
		t.Errorf("the list says %q", got)
	}
	p.Press("Release or refuse")
	p.Wait(`document.querySelector("#reason")`)
	if got := p.Text("#release-panel"); !strings.Contains(got, "bob asks, on ") || !strings.Contains(got, "“restore drill <b>bold</b>”") {
		t.Errorf("whoever refuses does not see what: %q", got)
	}
	p.Press("Look at what else waits")
	p.Press("Release or refuse")
	p.Fill("#reason", "twice is too much")
	p.Press("Refuse it")
	p.Wait(`document.querySelector("#ended")`)
	if len(e.acts) != 1 {
		t.Errorf("%d acts were signed", len(e.acts))
	}

	if kept := Eval[string](p, "document.cookie + Object.keys(localStorage) + Object.keys(sessionStorage)"); kept != "" {
		t.Errorf("the page keeps %q", kept)
	}
	p.spied(secrets)
	p.keepsToItself(secrets)
	calls := 0
	for _, r := range p.Sent()[before:] {
		u := must(url.Parse(r.URL))(t)
		switch u.Scheme + "://" + u.Host {
		case e.page:
			if name := strings.TrimPrefix(u.Path, "/"); r.Method != "GET" || name != "" && !slices.ContainsFunc(must(e.site.Files())(t), func(f export.File) bool { return f.Name == name }) {
				t.Errorf("%s %s is none of the files", r.Method, r.URL)
			}
		case e.url:
			calls++
			if !strings.HasPrefix(u.Path, "/v1/") && u.Path != "/favicon.ico" { // of the page before, which the browser may ask for late
				t.Errorf("%s %s comes from the safe", r.Method, r.URL)
			}
		default:
			t.Errorf("%s %s goes somewhere else", r.Method, r.URL)
		}
	}
	if calls < 8 {
		t.Errorf("only %d calls of the safe: nothing was tested", calls)
	}
	if complaints := p.Complaints(); len(complaints) > 0 {
		t.Errorf("the browser complains: %q", complaints)
	}
}

// TestElsewhereHoldsTheSafeToItsPin has the safe's host lie.
func TestElsewhereHoldsTheSafeToItsPin(t *testing.T) {
	e, p, _ := newExported(t)
	signIn := func(t *testing.T, want string, touches int) {
		t.Helper()
		p.Go(fmt.Sprintf("%s/?%d#opening=%s", e.page, len(p.Sent()), e.id)) // another address each time, so that it is loaded anew
		p.Press("Sign in with your passkey")
		p.Wait(`document.querySelector("#release-status").innerText !== "" || document.querySelector("#look")`)
		if got := p.Text("#release-status"); !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("the page says %q, want %q", got, want)
		}
		if n := Eval[int](p, "spied.touches"); n != touches {
			t.Errorf("it asked for %d touches, want %d", n, touches)
		}
	}
	honest := e.says
	for _, tt := range []struct {
		name, want string
		touches    int
		lie        func()
	}{
		{"honest", "", 1, func() {}},
		{"another store", "answers another safe", 0, func() { e.says.store = safe.NewStoreID() }},
		{"another domain", "answers another safe", 0, func() { e.says.domain = "keys." + domain }},
		{"a newer roster", "version 3 of its roster is in force", 1, func() { e.lie = func(r *access.Roster) { r.Number++ } }},
		{"another roster", "shows another roster than version 2", 1, func() { e.lie = func(r *access.Roster) { r.Domain = "" } }},
		{"an older roster", "shows another roster than version 2", 1, func() { e.lie = func(r *access.Roster) { r.Number-- } }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e.change(func() {
				e.says, e.lie = honest, nil
				tt.lie()
			})
			signIn(t, tt.want, tt.touches)
		})
	}
	e.change(func() { e.says, e.lie = honest, nil })

	// A request that the operator's key has not signed: the safe's own page
	// would have to believe it.
	forged := accesstest.NewTeam(t, "bob:operator kim:keykeeper").People["bob"]
	e.change(func() {
		e.tamper = func(g *api.Granted) {
			g.Request = forged.States(t, e.team.Store, time.Now().UTC().Truncate(time.Second), e.request)
		}
	})
	signIn(t, "", 1)
	p.Press("Look at what would be released")
	p.Wait(`document.querySelector("#release-status").innerText.includes("no SSH key of bob has signed the request")`)
	Eval[bool](p, "scrollTo(0, document.documentElement.scrollHeight), true") // what it says stays in view, and is over the button in a low window
	e.change(func() {
		e.tamper = func(g *api.Granted) {
			grant := must(opening.ParseGrant(g.Grant))(t)
			grant.Roster[0]++
			g.Grant = grant.Encode()
		}
	})
	p.Press("Look at what would be released")
	p.Wait(`document.querySelector("#release-status").innerText.includes("it is for another roster")`)
	// What an operator has asked for long ago, or somebody else with an SSH key.
	for _, tt := range []struct {
		name, want string
		by         safe.PersonName
		asked      time.Time
		good       time.Duration
		address    string
	}{
		{"an old request", "and was good until", "bob", time.Now().Add(-48 * time.Hour), 24 * time.Hour, ""},
		{"a request that is good for ever", "and was good until", "bob", time.Now().Add(-48 * time.Hour), 10 * 365 * 24 * time.Hour, ""},
		{"another address", "has another address than 192.0.2.99", "bob", time.Now(), time.Hour, "192.0.2.99"},
		{"no operator", "kim is no operator", "kim", time.Now(), time.Hour, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e.change(func() {
				e.tamper = func(g *api.Granted) {
					q, asked := e.request, tt.asked.UTC().Truncate(time.Second)
					q.NotAfter = asked.Add(tt.good)
					if tt.address != "" {
						q.Address = netip.MustParseAddr(tt.address)
					}
					by := e.team.People[tt.by]
					grant := must(opening.ParseGrant(g.Grant))(t)
					grant.Operator, grant.Key, grant.Address = by.Name, by.SSH[0], q.Address
					g.Grant, g.Request = grant.Encode(), by.States(t, e.team.Store, asked, q)
				}
			})
			p.Press("Look at what would be released")
			p.Wait(fmt.Sprintf(`document.querySelector("#release-status").innerText.includes(%q)`, tt.want))
		})
	}
	if e.released != nil || Eval[bool](p, `!!document.querySelector("#release-button")`) {
		t.Error("it can be released all the same")
	}
}

// TestElsewhereAsksWhoIsThere has the safe's host lie about nothing but that,
// when the keykeeper has signed in.
func TestElsewhereAsksWhoIsThere(t *testing.T) {
	e, p, _ := newExported(t)
	for _, tt := range []struct {
		name, want string
		lie        func(*api.Session)
	}{
		{"another store", "answers another safe", func(s *api.Session) { s.Store = safe.NewStoreID() }},
		{"another domain", "answers another safe", func(s *api.Session) { s.Domain = "safe." + domain }},
		{"no domain", "with passkeys of no domain", func(s *api.Session) { s.Domain = "" }},
		{"a colleague", "says that you are kim, whose passkey is not the one", func(s *api.Session) { s.Person = "kim" }},
		{"the operator who asks", "says that you are bob, whose passkey is not the one", func(s *api.Session) { s.Person = "bob" }},
		{"nobody of the safe", "You are not in the safe's roster", func(s *api.Session) { s.Person = "mallory" }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e.change(func() { e.session = tt.lie })
			p.Go(fmt.Sprintf("%s/?%d#opening=%s", e.page, len(p.Sent()), e.id))
			p.Press("Sign in with your passkey")
			p.Wait(`document.querySelector("#release-status").innerText !== ""`)
			if got := p.Text("#release-status"); !strings.Contains(got, tt.want) || Eval[bool](p, `!!document.querySelector("#look")`) {
				t.Errorf("the page says %q, want %q", got, tt.want)
			}
		})
	}
	for _, r := range p.Sent() {
		if strings.Contains(r.URL, "/v1/openings") {
			t.Errorf("%s %s: it goes on all the same", r.Method, r.URL)
		}
	}
}

// TestOtherOriginsAreShutOut has the same page somewhere that the safe does not
// know of, and within another page.
func TestOtherOriginsAreShutOut(t *testing.T) {
	e, p, _ := newExported(t)
	other := e.serve(t, "other."+domain, e.site, true)
	p.Go(other)
	p.Press("Sign in with your passkey")
	p.Wait(`document.querySelector("#release-status").innerText.includes("The safe cannot be reached at")`)
	if got := p.Text("#release-status"); !strings.Contains(got, other) || Eval[int](p, "spied.touches") != 0 {
		t.Errorf("the page says %q", got)
	}

	p.Go(e.page + "/#openings")
	p.Wait(`document.querySelector("#release-status").innerText.includes("does not name an opening")`)

	// Of one origin with the page around it, which can so look into it.
	const within = "document.querySelector('iframe')?.contentDocument?.querySelector('#release-status')?.innerText ?? ''"
	p.Go(e.serve(t, "bare."+domain, e.site, false) + "/trap")
	p.Wait(fmt.Sprintf(`(%s).includes("This page is shown within another one")`, within))
	p.Go(e.page + "/trap")
	p.Wait(`performance.getEntriesByType("resource").length > 0`)
	if complaints := strings.Join(p.Complaints(), "; "); Eval[string](p, within) != "" || !strings.Contains(complaints, "frame-ancestors") {
		t.Errorf("the page is shown within another one; the browser's log: %s", complaints)
	}
}
