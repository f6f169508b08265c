package web

import (
	"net"
	"net/http"
	"strings"
	"testing"

	"strongroom/internal/access/api"
	"strongroom/internal/spelling"
	"strongroom/internal/web/session"
)

// TestCrossSite: nothing that a page from elsewhere starts is done, though the
// browser sends the cookie along.
func TestCrossSite(t *testing.T) {
	v := newVisitedScene(t)
	_, port, _ := net.SplitHostPort(v.addr)
	tests := []struct {
		name   string
		header http.Header
		want   bool // it is done
	}{
		{"the safe's own page", nil, true},
		{"the safe's own page, old browser", http.Header{"Sec-Fetch-Site": nil}, true},
		{"another site", http.Header{"Sec-Fetch-Site": {"cross-site"}, "Origin": {"https://evil.example"}}, false},
		{"another site, by origin alone", http.Header{"Sec-Fetch-Site": nil, "Origin": {"https://evil.example"}}, false},
		{"another site that says it is none", http.Header{"Origin": {"https://evil.example"}}, false},
		{"a neighbour", http.Header{"Sec-Fetch-Site": {"same-site"}, "Origin": {"https://www.safe.test:" + port}}, false},
		{"a neighbour that says it is none", http.Header{"Sec-Fetch-Site": {"same-site"}}, false},
		{"another port", http.Header{"Sec-Fetch-Site": {"same-site"}, "Origin": {"https://safe.test"}}, false},
		{"without TLS", http.Header{"Sec-Fetch-Site": {"cross-site"}, "Origin": {"http://safe.test:" + port}}, false},
		{"another name of the safe", http.Header{"Sec-Fetch-Site": {"cross-site"}, "Origin": {"https://safe.example:" + port}}, false},
		{"another name of the safe, by origin alone", http.Header{"Sec-Fetch-Site": nil, "Origin": {"https://safe.example:" + port}}, false},
		{"a page in a box", http.Header{"Sec-Fetch-Site": {"cross-site"}, "Origin": {"null"}}, false},
		{"a page in a box, by origin alone", http.Header{"Sec-Fetch-Site": nil, "Origin": {"null"}}, false},
		{"typed by hand", http.Header{"Sec-Fetch-Site": {"none"}, "Origin": nil}, false},
		{"no browser", http.Header{"Sec-Fetch-Site": nil, "Origin": nil}, false},
		{"two origins", http.Header{"Origin": {v.origin, "https://evil.example"}}, false},
		{"origin with a path", http.Header{"Sec-Fetch-Site": nil, "Origin": {v.origin + "/"}}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, pattern := range []string{api.Agree, api.Propose, api.Suspend, api.KeyAnswer, api.Release, api.Grant, api.CloseIt, api.SignInFinish, api.PasskeysBegin} {
				b := v.in("ada")
				x := v.forRoute(pattern, "ada")
				if pattern == api.SignInFinish {
					x.body = v.signs("bob")
				}
				before, refusedBefore := v.list()
				res, body := b.visit(x.method, x.target, x.body, tt.header)
				calls, refused := v.list()
				if done := len(calls) > len(before); done != tt.want || !tt.want && res.StatusCode != 403 || len(res.Cookies()) > 0 != (tt.want && pattern == api.SignInFinish) {
					t.Errorf("%s: %s %s, done: %t", pattern, res.Status, body, done)
				}
				if isAct := pattern != api.SignInFinish && pattern != api.PasskeysBegin; isAct && len(refused) > len(refusedBefore) == tt.want {
					t.Errorf("%s: %d refusals are recorded", pattern, len(refused)-len(refusedBefore))
				}
			}
			b := v.in("ada")
			if res, _ := b.visit("POST", "/sign-out", nil, tt.header); (res.StatusCode == 303) != tt.want || b.isIn() == tt.want {
				t.Errorf("signing out: %s", res.Status)
			}
		})
	}
	// To read across sites, too, is for nobody: the API is for pages of the safe.
	for site, want := range map[string]int{"same-origin": 200, "same-site": 403, "cross-site": 403, "none": 403} {
		if res, _ := v.in("ada").visit("GET", "/v1/people", nil, http.Header{"Sec-Fetch-Site": {site}}); res.StatusCode != want {
			t.Errorf("GET from %s: %s, want %d", site, res.Status, want)
		}
	}
	// A page may be come to by a link, but the cookie does not come along.
	if res, _ := v.browser().visit("GET", "/people", nil, http.Header{"Sec-Fetch-Site": {"cross-site"}}); res.StatusCode != 303 {
		t.Errorf("a link from elsewhere: %s", res.Status)
	}
}

// TestNoForms: the types of bodies that a form can send without being asked are
// none that the safe reads.
func TestNoForms(t *testing.T) {
	v := newVisitedScene(t)
	for _, kind := range []string{"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"} {
		x := v.forRoute(api.Agree, "ada")
		res, body := v.in("ada").visit(x.method, x.target, x.body, http.Header{"Content-Type": {kind}})
		if res.StatusCode != 415 {
			t.Errorf("%q: %s %s", kind, res.Status, body)
		}
	}
}

// TestHost: only who looks for this safe by a name of its own sees pages. So a
// name of somebody else that leads to the safe's address is of no use to them.
func TestHost(t *testing.T) {
	v := newVisitedScene(t)
	_, port, _ := net.SplitHostPort(v.addr)
	tests := []struct {
		host string
		want int
	}{
		{"safe.test:" + port, 200},
		{"safe.example:" + port, 200},
		{"evil.example", 421},
		{"evil.example:" + port, 421},
		{"safe.test", 421},
		{"safe.test:1", 421},
		{"safe.test.evil.example:" + port, 421},
		{"SAFE.TEST:" + port, 421}, // browsers write names in lower case
		{"safe.test.:" + port, 421},
		{"127.0.0.1:" + port, 421},
		{"[::1]:" + port, 421},
	}
	for _, tt := range tests {
		for _, target := range []string{"/", "/sign-in", "/enrol", "/openings/" + theOpening.String(), "/assets/pages.css"} {
			b := v.in("dan")
			if res, _ := b.visit("GET", target, nil, http.Header{"Host": {tt.host}}); res.StatusCode != tt.want {
				t.Errorf("%s at %s: %s, want %d", target, tt.host, res.Status, tt.want)
			}
		}
		for _, x := range []shot{{method: "GET", target: "/v1/people"}, v.forRoute(api.Suspend, "dan"), {method: "POST", target: "/sign-out"},
			{method: "POST", target: "/v1/sign-in", body: v.signs("dan")}, {method: "POST", target: "/v1/sign-in/begin"}} {
			b := v.in("dan")
			calls, _ := v.list()
			want := tt.want/100 == 2
			if want {
				b.v.origin = "https://" + tt.host
			}
			res, body := b.visit(x.method, x.target, x.body, http.Header{"Host": {tt.host}})
			b.v.origin = "https://safe.test:" + port
			after, _ := v.list()
			if got := res.StatusCode/100 <= 3; got != want || !want && res.StatusCode != 421 || !want && len(after) != len(calls) {
				t.Errorf("%s %s at %s: %s %s", x.method, x.target, tt.host, res.Status, body)
			}
		}
	}
	// Programs that sign each request go by other names, too.
	x := v.forRoute(api.People, "ada")
	if res, body := v.fire(x); res.StatusCode != 200 {
		t.Errorf("a signed request to the address: %s %s", res.Status, body)
	}
}

// TestReleasePageElsewhere: a release page on another host signs in and calls
// for what it needs, and for nothing else. Its session is good on its own host
// only, and not as a cookie.
func TestReleasePageElsewhere(t *testing.T) {
	v := newVisitedScene(t)
	b := v.browser()
	own := v.in("ada")
	if res, body := b.visit("POST", "/v1/sign-in/begin", nil, fromElsewhere("")); res.StatusCode != 200 || res.Header.Get("Access-Control-Allow-Origin") != elsewhere {
		t.Fatalf("%s %s %v", res.Status, body, res.Header)
	}
	res, body := b.visit("POST", "/v1/sign-in", v.signs("ada"), fromElsewhere(""))
	var answer api.SignedIn
	if err := spelling.Decode(body, &answer); err != nil || answer.Person != "ada" || len(res.Cookies()) > 0 {
		t.Fatalf("%s %s %v, cookies %v", res.Status, body, err, res.Cookies())
	}
	if _, ok := session.ParseID(answer.Session); !ok {
		t.Fatalf("%q is no session", answer.Session)
	}
	for _, r := range allRoutes {
		if r.roles == nil || !r.session {
			continue
		}
		x := v.forRoute(r.pattern, "ada")
		res, body := b.visit(x.method, x.target, x.body, fromElsewhere(answer.Session))
		if ok := res.StatusCode/100 == 2; ok != r.elsewhere || res.Header.Get("Access-Control-Allow-Origin") != "" != r.elsewhere {
			t.Errorf("%s: %s %s, %v", r.pattern, res.Status, body, res.Header)
		}
		_, target, _ := strings.Cut(r.pattern, " ")
		target = strings.Replace(target, "{id}", theOpening.String(), 1)
		res, _ = b.visit("OPTIONS", target, nil, fromElsewhere(""))
		if ok := res.StatusCode == 204; ok != r.elsewhere || ok && (res.Header.Get("Access-Control-Allow-Methods") != "GET, POST" ||
			res.Header.Get("Access-Control-Allow-Headers") != "Authorization, Content-Type" || res.Header.Get("Vary") != "Origin") {
			t.Errorf("asked for %s: %s %v", r.pattern, res.Status, res.Header)
		}
		if res.Header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("asked for %s: cookies would be sent", r.pattern)
		}
	}
	people := func(header http.Header, cookie string) int {
		b := v.browser()
		b.cookie = cookie
		res, _ := b.visit("GET", "/v1/people", nil, header)
		return res.StatusCode
	}
	evil := fromElsewhere(answer.Session)
	evil.Set("Origin", "https://evil.example")
	none := fromElsewhere(answer.Session)
	none.Del("Origin")
	for name, got := range map[string]int{
		"another host with the session":           people(evil, ""),
		"no page with the session":                people(none, ""),
		"the session as a cookie":                 people(nil, answer.Session),
		"the session as a cookie, from elsewhere": people(fromElsewhere(""), answer.Session),
		"another's cookie, from elsewhere":        people(fromElsewhere(""), own.cookie),
		"a cookie as the session":                 people(fromElsewhere(own.cookie), ""),
	} {
		if got/100 != 4 {
			t.Errorf("%s: %d", name, got)
		}
	}
	for _, x := range []struct{ method, target string }{{"POST", "/sign-out"}, {"POST", "/v1/passkeys/begin"}} {
		if res, body := b.visit(x.method, x.target, v.forRoute(x.method+" "+x.target, "").body, fromElsewhere(answer.Session)); res.StatusCode != 403 || res.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s from elsewhere: %s %s", x.target, res.Status, body)
		}
	}
	if res, _ := b.visit("GET", "/people", nil, fromElsewhere(answer.Session)); res.StatusCode != 303 || res.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("a page of the safe, from elsewhere: %s %v", res.Status, res.Header)
	}
	for _, who := range []string{"https://evil.example", "null", elsewhere + ":8443", "http://release.safe.test", ""} {
		header := http.Header{"Origin": {who}, "Sec-Fetch-Site": {"cross-site"}}
		if res, _ := b.visit("OPTIONS", "/v1/people", nil, header); res.StatusCode != 404 || res.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("asked from %q: %s %v", who, res.Status, res.Header)
		}
	}
	if !own.isIn() {
		t.Error("the session on the safe's own page has ended")
	}
}
