package web

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/safe"
	"strongroom/internal/web/assets"
)

// TestPages looks at each page, and at what is none.
func TestPages(t *testing.T) {
	v := newVisitedScene(t)
	run := "01930000-0000-7000-8000-000000000001"
	tests := []struct {
		target string
		status int
		call   string // that reached the safe
		text   string // in the page
	}{
		{"/", 200, "look at /", "<title>Overview"},
		{"/sources/files", 200, "look at source", "<title>files"},
		{"/sources/files?before=" + run, 200, "look at source", "<title>files"},
		{"/applications/files", 200, "look at application", "<title>files"},
		{"/map", 200, "look at map {Text: Application: Kind: Basis:}", "<title>Map"},
		{"/map?text=+db1+&application=erp&kind=host&evidence=observed", 200, "look at map {Text:db1 Application:erp Kind:host Basis:observed}", "<title>Map"},
		{"/map?text=&application=&kind=&evidence=", 200, "look at map {Text: Application: Kind: Basis:}", "<title>Map"},
		{"/map/component?id=host%2Ferp", 200, "look at component", "<title>host/erp"},
		{"/openings", 200, "look at openings", "<title>Openings"},
		{"/openings/" + theOpening.String(), 200, "look at opening", "<title>Opening"},
		{"/people", 200, "look at people", "<title>People"},
		{"/ledger", 200, "look at ledger before 0", "<title>Ledger"},
		{"/ledger?before=7", 200, "look at ledger before 7", "<title>Ledger"},
		{"/ledger/0", 200, "look at entry 0", "<title>Entry 0"},
		{"/ledger/7", 200, "look at entry 7", "<title>Entry 7"},
		{"/sign-in", 200, "", "<title>Sign in"},
		{"/sign-in?next=%2Fopenings%2F" + theOpening.String(), 200, "", "<title>Sign in"},
		{"/enrol", 200, "", "<title>Enrol"},

		{"/sources/none", 404, "", "There is no such thing"},
		{"/sources/No", 404, "", "There is no such thing"},
		{"/sources/files/x", 404, "", "no such page"},
		{"/applications/none", 404, "", "There is no such thing"},
		{"/map/component", 404, "", "There is no such thing"},
		{"/map/component?id=host%2Fnone", 404, "", "There is no such thing"},
		{"/map/component?id=erp", 404, "", "There is no such thing"},
		{"/openings/x", 404, "", "There is no such thing"},
		{"/openings/" + safe.NewOpeningID(theOpening.Time()).String(), 404, "", "There is no such thing"},
		{"/ledger/8", 404, "", "There is no such thing"},
		{"/ledger/-1", 404, "", "There is no such thing"},
		{"/ledger/07", 404, "", "There is no such thing"},
		{"/ledger/x", 404, "", "There is no such thing"},
		{"/nothing", 404, "", "no such page"},
		{"/assets/none.js", 404, "", "no such page"},
		{"/assets/assets.go", 404, "", "no such page"},

		{"/?x=1", 400, "", "does not belong there"},
		{"/map?kind=planet", 400, "", "no kind of component"},
		{"/map?evidence=hearsay", 400, "", "no basis of evidence"},
		{"/map?text=" + strings.Repeat("w", maxSearch+1), 400, "", "at most 200 bytes"},
		{"/map?text=%ff", 400, "", "at most 200 bytes"},
		{"/map?text=a&text=b", 400, "", "does not belong there"},
		{"/map?at=host", 400, "", "does not belong there"},
		{"/people?before=1", 400, "", "does not belong there"},
		{"/ledger?before=x", 400, "", "not a number"},
		{"/ledger?before=1&before=2", 400, "", "does not belong there"},
		{"/sources/files?before=x", 400, "", "UUID"},
		{"/enrol?token=1", 400, "", "does not belong there"},
		{"/ledger?before=%zz", 400, "", "cannot be read"},
	}
	for _, tt := range tests {
		t.Run(tt.target, func(t *testing.T) {
			b := v.in("dan")
			before, _ := v.list()
			res, body := b.visit("GET", tt.target, nil, nil)
			after, _ := v.list()
			if res.StatusCode != tt.status || !strings.Contains(string(body), tt.text) || res.Header.Get("Content-Type") != "text/html; charset=utf-8" {
				t.Errorf("%s %s\n%s", res.Status, res.Header.Get("Content-Type"), body)
			}
			var want []string
			if tt.call != "" {
				want = []string{tt.call}
			}
			if got := after[len(before):]; !slices.Equal(got, want) {
				t.Errorf("the safe was asked %q, want %q", got, want)
			}
			if !strings.Contains(string(body), "acme") {
				t.Error("the page does not say of which safe it is")
			}
			if isIn := tt.call != "" || tt.status != 200; isIn && !strings.Contains(string(body), ">dan</bdi>") {
				t.Error("the page does not say who is signed in")
			}
			head, none := b.visit("HEAD", tt.target, nil, nil)
			if head.StatusCode != tt.status || len(none) > 0 || head.ContentLength != int64(len(body)) {
				t.Errorf("HEAD gives %s, %d bytes", head.Status, head.ContentLength)
			}
		})
	}
}

// TestNotSignedIn: strangers are sent to sign in, and learn of nothing that is
// there or is not. Where they wanted to go is remembered, if it can be a page.
func TestNotSignedIn(t *testing.T) {
	v := newVisitedScene(t)
	for target, next := range map[string]string{
		"/":               "",
		"/people":         "/people",
		"/sources/files":  "/sources/files",
		"/sources/none":   "/sources/none",
		"/openings/x":     "/openings/x",
		"/ledger/99":      "/ledger/99",
		"/ledger?before=": "/ledger?before=",
		"/ledger?before=12&next=https://evil.example": "",
		"/map?text=a%2Fb&application=&kind=host":      "/map?text=a%2Fb&application=&kind=host",
		"/map/component?id=service%2Fdns":             "/map/component?id=service%2Fdns",
		"/sources/%C3%A4":                             "",
		"/openings/" + theOpening.String():            "/openings/" + theOpening.String(),
	} {
		res, body := v.browser().visit("GET", target, nil, nil)
		want := "/sign-in"
		if next != "" {
			want += "?next=" + url.QueryEscape(next)
		}
		if got := res.Header.Get("Location"); res.StatusCode != 303 || got != want || len(body) > 0 || len(res.Cookies()) > 0 {
			t.Errorf("%s: %s to %q, want %q", target, res.Status, got, want)
		}
	}
	// What is no page, and what changes something, is nowhere else.
	for _, x := range []shot{{method: "GET", target: "/v1/people"}, {method: "POST", target: "/v1/openings/" + theOpening.String() + "/release"},
		{method: "POST", target: "/people"}, {method: "DELETE", target: "/people"}, {method: "GET", target: "/nothing"}, {method: "OPTIONS", target: "/"}} {
		if res, _ := v.browser().visit(x.method, x.target, nil, nil); res.StatusCode/100 != 4 || res.Header.Get("Location") != "" {
			t.Errorf("%s %s: %s to %q", x.method, x.target, res.Status, res.Header.Get("Location"))
		}
	}
	if calls, refused := v.list(); len(calls) > 0 || len(refused) > 0 {
		t.Errorf("strangers have reached the safe: %q %q", calls, refused)
	}
}

// TestNoOpenRedirect: the page to sign in on does not show with a next page that
// is not one of this safe.
func TestNoOpenRedirect(t *testing.T) {
	v := newVisitedScene(t)
	for _, next := range []string{"https://evil.example", "//evil.example", "/\\evil.example", "\\\\evil.example", "javascript:alert(1)", "/people#x",
		"people", " /people", "/people\t", "/./people", "/../people", "/people/", "/a//b", "/%2f%2fevil.example", "/people?next=//evil.example",
		"/people?x=https://evil.example", "/" + strings.Repeat("a", maxNext), "/people\r\nSet-Cookie: x=y", "/PEOPLE", "/pæople", "?before=1",
		"/%2f/evil.example?text=a&kind=b", "//evil.example?text=a&kind=b", "/\\evil.example?a=b&c=d", "/map?text=a&kind=b#x", "/map?text=a b", "/map?text=a\r\nSet-Cookie:+x=y",
		"/map?text=ä", "/map?text=a;kind=b", "/map?next=//evil.example&kind=b", "/map?next=https://evil.example", "/map?text=<b>", "/map?text=\"&kind=b", "/map\x00?text=a"} {
		if isNext(next) {
			t.Errorf("%q can be a next page", next)
		}
		res, body := v.browser().visit("GET", "/sign-in?next="+url.QueryEscape(next), nil, nil)
		if res.StatusCode != 303 || res.Header.Get("Location") != "/sign-in" || len(body) > 0 {
			t.Errorf("next=%q: %s to %q\n%s", next, res.Status, res.Header.Get("Location"), body)
		}
	}
	for _, next := range []string{"/", "/people", "/ledger/7", "/ledger?before=7", "/sources/erp-files?before=01930000-0000-7000-8000-000000000001",
		"/map?text=db1.acme&application=erp&kind=database&evidence=observed", "/map?text=&application=&kind=host&evidence=", "/map?text=%C3%A4+b%2F%2Fc%0D%0A&kind=",
		"/map/component?id=service%2Frack07-112%2Funit-443", "/map/component?id=host%2F2001%3Adb8%3A%3A4"} {
		if !isNext(next) {
			t.Errorf("%q cannot be a next page", next)
		}
	}
}

func FuzzNext(f *testing.F) {
	f.Add("/openings/x?before=1")
	f.Add("//evil.example")
	f.Add("/map?text=a%2Fb&kind=host")
	base, _ := url.Parse("https://safe.test:8443/sign-in")
	f.Fuzz(func(t *testing.T, next string) {
		if !isNext(next) {
			return
		}
		u, err := base.Parse(next)
		if err != nil || u.Host != base.Host || u.Scheme != "https" || u.RequestURI() != next {
			t.Errorf("%q leads to %v, %v", next, u, err)
		}
	})
}

// TestPageHeaders: pages, their files and their problems are all under the same
// policy.
func TestPageHeaders(t *testing.T) {
	v := newVisitedScene(t)
	const csp = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; worker-src 'self'; " +
		"frame-ancestors 'none'; base-uri 'none'; form-action 'self'; require-trusted-types-for 'script'; trusted-types strongroom-worker"
	for _, x := range []struct{ method, target, host string }{
		{"GET", "/", ""}, {"GET", "/people", ""}, {"GET", "/sign-in", ""}, {"GET", "/enrol", ""}, {"GET", "/openings/" + theOpening.String(), ""},
		{"GET", "/nothing", ""}, {"GET", "/ledger/99", ""}, {"GET", "/", "evil.example"},
		{"GET", "/assets/pages.css", ""}, {"GET", "/assets/worker.js", ""}, {"GET", "/assets/mark.svg", ""},
	} {
		header := http.Header{}
		if x.host != "" {
			header.Set("Host", x.host)
		}
		res, _ := v.in("dan").visit(x.method, x.target, nil, header)
		got := map[string]string{}
		for key := range res.Header {
			switch key {
			case "Date", "Content-Length", "Content-Type", "Etag":
			default:
				got[key] = strings.Join(res.Header[key], " | ")
			}
		}
		want := map[string]string{
			"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin",
			"Content-Security-Policy": csp, "Cross-Origin-Resource-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin",
			"Strict-Transport-Security": "max-age=31536000",
		}
		if strings.HasPrefix(x.target, "/assets/") {
			want["Cache-Control"] = "no-cache"
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", x.target, diff)
		}
	}
	// The API of a safe with pages has what it had without.
	res, _ := v.in("dan").visit("GET", "/v1/people", nil, nil)
	if got := res.Header.Get("Content-Security-Policy"); got != "default-src 'none'; frame-ancestors 'none'" {
		t.Errorf("the API's policy is %q", got)
	}
}

// TestHeadersEverywhere: whatever is answered, no browser shows it within another
// page, guesses what it is, or hands it to a page from elsewhere; and all that
// is for browsers says so to them for good, from the first redirection on.
func TestHeadersEverywhere(t *testing.T) {
	v := newVisitedScene(t)
	in, out := v.in("ada"), v.browser()
	var targets []string
	for _, p := range allPages {
		_, target, _ := strings.Cut(p.pattern, " ")
		targets = append(targets, strings.NewReplacer("/ledger/{id}", "/ledger/7", "{id}", theOpening.String(), "{name}", "files", "{$}", "", "/map/component", "/map/component?id=host%2Ferp").Replace(target))
	}
	for name := range readAssets() {
		targets = append(targets, "/assets/"+name)
	}
	statuses := make(map[int]int)
	check := func(what string, res *http.Response, browsers bool) {
		t.Helper()
		statuses[res.StatusCode]++
		want := map[string]string{"X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "same-origin"}
		if browsers {
			for key, values := range pageHeader() {
				want[key] = values[0]
			}
		}
		for key, value := range want {
			if got := res.Header.Values(key); len(got) != 1 || got[0] != value {
				t.Errorf("%s: %s has %s: %q, want %q", what, res.Status, key, got, value)
			}
		}
		csp, kept := res.Header.Get("Content-Security-Policy"), res.Header.Get("Cache-Control")
		if !strings.HasPrefix(csp, "default-src 'none'; ") || !strings.Contains(csp, "frame-ancestors 'none'") || kept != "no-store" && kept != "no-cache" {
			t.Errorf("%s: %s has the policy %q, and is kept as %q", what, res.Status, csp, kept)
		}
	}
	for _, target := range targets {
		for _, b := range []*browser{in, out} {
			for _, method := range []string{"GET", "HEAD"} {
				res, _ := b.visit(method, target, nil, nil)
				check(target, res, true)
			}
		}
		res, _ := in.visit("GET", target, nil, http.Header{"Host": {"evil.example"}})
		check(target+" of another host", res, true)
		res, _ = in.visit("GET", target+"?unknown=1", nil, nil)
		check(target+" with a parameter", res, true)
		res, _ = in.visit("GET", strings.TrimSuffix(target, "/")+"/nothing", nil, nil)
		check(target+", something below it", res, true)
		res, _ = in.visit("POST", target, []byte("{}"), nil)
		check(target+" posted to", res, false)
	}
	for _, r := range allRoutes {
		for _, b := range []*browser{in, out} {
			x := v.forRoute(r.pattern, "ada")
			res, _ := b.visit(x.method, x.target, x.body, nil)
			check(r.pattern, res, false)
		}
	}
	v.answer = func() error { panic(errInside) }
	res, _ := in.visit("GET", "/people", nil, nil)
	check("a mistake", res, true)
	v.answer = nil
	for _, header := range []http.Header{nil, {"Origin": {"https://evil.example"}}} {
		res, _ := v.in("dan").visit("POST", "/sign-out", nil, header)
		check("signing out", res, true)
	}
	for _, status := range []int{200, 303, 400, 401, 403, 404, 421, 500} {
		if statuses[status] == 0 {
			t.Errorf("nothing was answered with %d: %v", status, statuses)
		}
	}
}

// inline finds what the policy forbids within a page.
var inline = regexp.MustCompile(`(?i)<script(?:\s[^>]*)?>[^<]|<style|\sstyle\s*=|\son[a-z]+\s*=|javascript:|https?://`)

// TestPagesKeepTheirPolicy: nothing in a page is what browsers would refuse, and
// all that it loads is there.
func TestPagesKeepTheirPolicy(t *testing.T) {
	v := newVisitedScene(t)
	linked := regexp.MustCompile(`(?:src|href)="(/assets/[^"]*)"`)
	loaded := make(map[string]bool)
	for _, target := range []string{"/", "/sources/files", "/openings", "/openings/" + theOpening.String(), "/people", "/ledger", "/ledger/7", "/sign-in", "/enrol", "/nothing"} {
		_, body := v.in("ada").visit("GET", target, nil, nil)
		text := strings.ReplaceAll(string(body), `xmlns="http://www.w3.org/2000/svg"`, "")
		if found := inline.FindString(text); found != "" {
			t.Errorf("%s has %q within", target, found)
		}
		for _, m := range linked.FindAllStringSubmatch(text, -1) {
			loaded[m[1]] = true
		}
	}
	for target := range loaded {
		if res, _ := v.browser().visit("GET", target, nil, nil); res.StatusCode != 200 {
			t.Errorf("a page loads %s: %s", target, res.Status)
		}
	}
	if len(loaded) < 3 {
		t.Errorf("the pages load %v only", loaded)
	}
}

// TestAssets: files are kept by browsers as long as they are the same.
func TestAssets(t *testing.T) {
	v := newVisitedScene(t)
	kinds := map[string]string{"/assets/pages.css": "text/css; charset=utf-8", "/assets/worker.js": "text/javascript; charset=utf-8", "/assets/mark.svg": "image/svg+xml", "/assets/SHA256SUMS": "text/plain; charset=utf-8"}
	for target, kind := range kinds {
		res, body := v.browser().visit("GET", target, nil, nil)
		tag := res.Header.Get("ETag")
		if res.StatusCode != 200 || res.Header.Get("Content-Type") != kind || len(body) == 0 || tag != fmt.Sprintf("%q", safe.DigestOf(body)) {
			t.Errorf("%s: %s, %s, %d bytes, tag %s", target, res.Status, res.Header.Get("Content-Type"), len(body), tag)
		}
		res, body = v.browser().visit("GET", target, nil, http.Header{"If-None-Match": {tag}})
		if res.StatusCode != 304 || len(body) > 0 || res.Header.Get("ETag") != tag {
			t.Errorf("%s again: %s, %d bytes", target, res.Status, len(body))
		}
		if res, _ = v.browser().visit("GET", target, nil, http.Header{"If-None-Match": {`"other"`}}); res.StatusCode != 200 {
			t.Errorf("%s with another tag: %s", target, res.Status)
		}
	}
	_, body := v.browser().visit("GET", "/sign-in", nil, nil)
	if !strings.Contains(string(body), assets.Digest().String()) {
		t.Error("the page does not show the digest of the scripts")
	}
	if _, body := v.browser().visit("GET", "/assets/SHA256SUMS", nil, nil); safe.DigestOf(body) != assets.Digest() {
		t.Errorf("the list of the scripts has another digest than the pages show:\n%s", body)
	}
	for _, script := range assets.Scripts() {
		if _, body := v.browser().visit("GET", "/assets/"+script.Name, nil, nil); !bytes.Equal(body, script.Content) {
			t.Errorf("%s is served with other content", script.Name)
		}
	}
}

// TestPagesTellNothingOfInside: an error of the safe becomes a page that tells
// nothing of it.
func TestPagesTellNothingOfInside(t *testing.T) {
	v := newVisitedScene(t)
	b := v.in("dan")
	for _, answer := range []func() error{func() error { return errInside }, func() error { panic(errInside) }} {
		v.answer = answer
		res, body := b.visit("GET", "/people", nil, nil)
		if res.StatusCode != 500 || bytes.Contains(body, []byte("SELECT")) || bytes.Contains(body, []byte("goroutine")) || !bytes.Contains(body, []byte("could not do this")) {
			t.Errorf("%s\n%s", res.Status, body)
		}
	}
	v.answer = nil
	if res, _ := b.visit("GET", "/people", nil, nil); res.StatusCode != 200 {
		t.Errorf("afterwards: %s", res.Status)
	}
	if strings.Count(v.log.String(), "SELECT secret") != 2 {
		t.Errorf("the log does not tell both errors:\n%s", v.log)
	}
}

// TestPageBodies: a page takes no body, however it comes.
func TestPageBodies(t *testing.T) {
	v := newVisitedScene(t)
	b := v.in("dan")
	for name, body := range map[string]io.Reader{"short": strings.NewReader("x"), "long": bytes.NewReader(make([]byte, 1<<20)), "in chunks": io.MultiReader(strings.NewReader("x"))} {
		req, err := http.NewRequest("GET", "https://"+v.addr+"/people", body)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = strings.TrimPrefix(v.origin, "https://")
		req.Header.Set("Cookie", cookieName+"="+b.cookie)
		res, _, err := do(v.client(keeperAddress), req)
		if err != nil || res.StatusCode != 413 {
			t.Errorf("%s: %v, %v", name, res, err)
		}
	}
}

// A page is not shown by a path in another spelling.
func TestPagePaths(t *testing.T) {
	v := newVisitedScene(t)
	for _, target := range []string{"//", "/people/", "/./people", "/x/../people", "/People", "/sources//files", "/sources/files/", "/sources/", "/ledger/7/", "/assets/", "/v1"} {
		if res, _ := v.in("dan").visit("GET", target, nil, nil); res.StatusCode != 404 || res.Header.Get("Location") != "" {
			t.Errorf("%s: %s to %q", target, res.Status, res.Header.Get("Location"))
		}
	}
	// Programs get JSON for what is below /v1/.
	if res, body := v.browser().visit("GET", "/v1/nothing", nil, nil); res.StatusCode != 404 || res.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%s %s", res.Status, body)
	}
}
