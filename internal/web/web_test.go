package web

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/access"
	"strongroom/internal/access/accesstest"
	"strongroom/internal/access/api"
	"strongroom/internal/access/opening"
	"strongroom/internal/access/signature"
	"strongroom/internal/safe"
	"strongroom/internal/spelling"
	"strongroom/internal/web/signed"
)

// TestWhoMayAsk asks everything as everybody. "ok" reaches the Desk, and
// nothing else does.
func TestWhoMayAsk(t *testing.T) {
	const want = `
route                           keykeeper operator officer auditor suspended enrolled anew founder elsewhere stranger forger nobody
POST /v1/enrol                  ok ok ok ok ok ok ok ok ok ok ok ok
POST /v1/recovery               ok ok ok ok ok ok ok ok ok ok ok ok
POST /v1/recovery/answer        ok ok ok ok ok ok ok ok ok ok ok ok
POST /v1/recovery/propose       ok ok ok ok ok ok ok ok ok ok ok ok
GET /v1/keyring                 ok 403 403 403 403 403 403 403 403 401 401 401
POST /v1/keyring                ok 403 403 403 403 403 403 403 403 401 401 401
GET /v1/people                  ok ok ok ok 403 ok ok ok 403 401 401 401
POST /v1/roster/propose         ok ok 403 403 403 403 403 ok 403 401 401 401
POST /v1/roster/agree           ok ok 403 403 403 403 403 ok 403 401 401 401
POST /v1/roster/object          ok ok 403 403 403 403 403 403 403 401 401 401
POST /v1/people/suspend         ok ok ok ok 403 403 403 403 403 401 401 401
POST /v1/keys/check             ok ok 403 403 403 403 403 403 403 401 401 401
POST /v1/keys/answer            ok ok 403 403 403 403 403 403 403 401 401 401
GET /v1/ledger                  ok ok ok ok 403 403 403 403 403 401 401 401
GET /v1/snapshots               ok ok ok ok 403 403 403 403 403 401 401 401
GET /v1/openings                ok ok ok ok 403 403 403 403 403 401 401 401
GET /v1/openings/{id}           ok ok ok ok 403 403 403 403 403 401 401 401
POST /v1/openings               403 ok 403 403 403 403 403 403 403 401 401 401
POST /v1/openings/{id}/grant    ok 403 403 403 403 403 403 403 403 401 401 401
GET /v1/openings/{id}/envelopes ok 403 403 403 403 403 403 403 403 401 401 401
POST /v1/openings/{id}/release  ok 403 403 403 403 403 403 403 403 401 401 401
POST /v1/openings/{id}/refuse   ok 403 403 403 403 403 403 403 403 401 401 401
POST /v1/openings/{id}/withdraw 403 ok 403 403 403 403 403 403 403 401 401 401
POST /v1/openings/{id}/close    ok ok ok 403 403 403 403 403 403 401 401 401
POST /v1/map/rule               403 403 ok 403 403 403 403 403 403 401 401 401
POST /v1/map/take-back          403 403 ok 403 403 403 403 403 403 401 401 401
`
	unhurried := func(s *Server) { s.attempts = newLimiter(leaping(time.Hour)) }
	founded, founding := newScene(t, unhurried), newScene(t, unhurried)
	founding.roster = founding.team.First
	eve := accesstest.NewPerson(t, "eve", access.Auditor)
	anew := accesstest.NewPerson(t, "ada", access.Keykeeper)
	founded.waiting = map[safe.PersonName][]signature.Key{"ada": anew.Keys()}
	callers := []func(route string) (*scene, shot){
		func(r string) (*scene, shot) { return founded, founded.forRoute(r, "ada") },
		func(r string) (*scene, shot) { return founded, founded.forRoute(r, "bob") },
		func(r string) (*scene, shot) { return founded, founded.forRoute(r, "cyd") },
		func(r string) (*scene, shot) { return founded, founded.forRoute(r, "dan") },
		func(r string) (*scene, shot) { return founded, founded.forRoute(r, "sue") },
		func(r string) (*scene, shot) { return founded, founded.forRoute(r, "pam") },
		func(r string) (*scene, shot) {
			x := founded.forRoute(r, "ada")
			x.key = anew.Signer
			return founded, x
		},
		func(r string) (*scene, shot) { return founding, founding.forRoute(r, "pam") },
		func(r string) (*scene, shot) {
			x := founded.forRoute(r, "ada")
			x.from = operatorAddress
			return founded, x
		},
		func(r string) (*scene, shot) {
			x := founded.forRoute(r, "ada")
			x.who, x.key = "eve", eve.Signer
			return founded, x
		},
		func(r string) (*scene, shot) {
			x := founded.forRoute(r, "ada")
			x.key = eve.Signer
			return founded, x
		},
		func(r string) (*scene, shot) { return founded, founded.forRoute(r, "") },
	}
	var got []string
	for _, r := range allRoutes {
		if r.browser || r.pattern == api.WhoAmI {
			continue // see TestWhoMayLook
		}
		row := []string{r.pattern}
		for _, caller := range callers {
			sc, x := caller(r.pattern)
			before, refusedBefore := sc.list()
			res, body := sc.fire(x)
			calls, refused := sc.list()
			word := fmt.Sprint(res.StatusCode)
			if res.StatusCode/100 == 2 {
				word = "ok"
			}
			if reached := len(calls) - len(before); (word == "ok") != (reached == 1) {
				t.Errorf("%s as %s from %v: %s %s, and %d calls reached the safe", r.pattern, x.who, x.from, res.Status, body, reached)
			}
			if recorded := len(refused) - len(refusedBefore); (word != "ok" && x.who != "") != (recorded == 1) {
				t.Errorf("%s as %s from %v: %s, and %d refusals were recorded", r.pattern, x.who, x.from, res.Status, recorded)
			}
			row = append(row, word)
		}
		got = append(got, strings.Join(row, " "))
	}
	var wanted []string
	for _, line := range strings.Split(strings.TrimSpace(want), "\n")[1:] {
		wanted = append(wanted, strings.Join(strings.Fields(line), " "))
	}
	if diff := cmp.Diff(wanted, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// leaping returns a clock that is ahead by a step each time it is looked at.
func leaping(step time.Duration) func() time.Time {
	var mu sync.Mutex
	now := accesstest.Start
	return func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(step)
		return now
	}
}

// TestRefused sends what is wrong in itself. None of it reaches the safe, and
// each answer is a problem in JSON.
func TestRefused(t *testing.T) {
	sc := newScene(t, func(s *Server) { s.attempts = newLimiter(leaping(time.Hour)) })
	other := safe.NewOpeningID(accesstest.Start)
	agree := sc.act(t, "ada", access.Agree{Number: 2})
	change := func(route string, who safe.PersonName, f func(*shot)) shot {
		x := sc.forRoute(route, who)
		f(&x)
		return x
	}
	get := func(target string) shot { return shot{method: "GET", target: target, who: "ada"} }
	post := func(target, body string) shot {
		return shot{method: "POST", target: target, who: "ada", body: []byte(body)}
	}
	tests := []struct {
		name   string
		shot   shot
		status int
		text   string
	}{
		{"unknown route", get("/v1/secrets"), 404, "no such request"},
		{"root", get("/"), 404, "no such request"},
		{"without a signature", shot{method: "GET", target: "/v1/secrets"}, 404, "no such request"},
		{"other method", post("/v1/people", "{}"), 404, "no such request"},
		{"delete", shot{method: "DELETE", target: "/v1/openings/" + theOpening.String(), who: "ada"}, 404, "no such request"},
		{"options", shot{method: "OPTIONS", target: "/v1/people", who: "ada"}, 404, "no such request"},
		{"path with dots", get("/v1/x/../people"), 404, "no such request"},
		{"path with slashes", get("//v1/people"), 404, "no such request"},
		{"path with a slash at the end", get("/v1/people/"), 404, "no such request"},
		{"escaped path", get("/v1/%70eople%2f"), 404, "no such request"},
		{"escaped id", get("/v1/openings/" + theOpening.String()[:10] + "%2f"), 404, "no such request"},

		{"unknown parameter", get("/v1/people?before=1"), 400, "query"},
		{"parameter twice", get("/v1/people?after=1&after=1"), 400, "query"},
		{"parameter of another route", get("/v1/openings?after=1"), 400, "query"},
		{"query that is none", get("/v1/people?after=%zz"), 400, "query"},
		{"no number", get("/v1/people?after=x"), 400, "not a number"},
		{"negative", get("/v1/ledger?from=-1"), 400, "not a number"},
		{"odd number", get("/v1/ledger?from=+1"), 400, "not a number"},
		{"huge number", get("/v1/ledger?from=9223372036854775808"), 400, "not a number"},
		{"no run", get("/v1/openings/" + theOpening.String() + "/envelopes?after=x"), 400, "UUID"},

		{"id that is none", get("/v1/openings/x"), 404, "no such thing"},
		{"unknown id", get("/v1/openings/" + other.String()), 404, "no such thing"},
		{"id in capitals", get("/v1/openings/" + strings.ToUpper(theOpening.String())), 404, "no such thing"},

		{"no content type", change(api.Agree, "ada", func(x *shot) { x.header = http.Header{"Content-Type": nil} }), 415, "application/json"},
		{"form", change(api.Agree, "ada", func(x *shot) { x.header = http.Header{"Content-Type": {"text/plain"}} }), 415, "application/json"},
		{"compressed", change(api.Agree, "ada", func(x *shot) { x.header = http.Header{"Content-Encoding": {"gzip"}} }), 415, "application/json"},
		{"body where none belongs", post("/v1/recovery", "{}"), 413, "too large"},
		{"get with a body", shot{method: "GET", target: "/v1/people", who: "ada", body: []byte("{}")}, 413, "too large"},

		{"no JSON", post("/v1/roster/agree", "agree"), 400, "cannot be understood"},
		{"empty", post("/v1/roster/agree", ""), 415, ""},
		{"array", post("/v1/roster/agree", "[]"), 400, "cannot be understood"},
		{"null statement", post("/v1/roster/agree", "null"), 400, "cannot be understood"},
		{"unknown field", post("/v1/roster/agree", `{"signed":{"statement":"","signature":"","by":"ada"}}`), 400, "unknown field"},
		{"trailing garbage", post("/v1/roster/agree", string(agree)+"{}"), 400, "something else follows"},
		{"deep", post("/v1/roster/agree", strings.Repeat("[", 30_000)), 400, "cannot be understood"},

		{"other act", change(api.Object, "ada", func(x *shot) { x.body = agree }), 400, "is roster.agree, not roster.object"},
		{"for another safe", change(api.Agree, "ada", func(x *shot) {
			x.body = encode(t, api.Act{Signed: sc.team.People["ada"].States(t, safe.NewStoreID(), time.Now(), access.Agree{})})
		}), 400, "another safe"},
		{"another opening", change(api.Refuse, "ada", func(x *shot) { x.body = sc.act(t, "ada", access.Refuse{Opening: other, Reason: "no"}) }), 400, "another opening"},
		{"release of another opening", change(api.Release, "ada", func(x *shot) {
			x.target = strings.Replace(x.target, theOpening.String(), other.String(), 1)
		}), 400, "another opening"},
		{"grant that is none", change(api.Release, "ada", func(x *shot) {
			r := sc.release(t, "ada")
			r.Grant = "{}"
			x.body = encode(t, api.Released{Release: r})
		}), 400, "cannot be understood"},
		{"enrolment that is none", change(api.Enrol, "", func(x *shot) { x.body = encode(t, api.Enrolling{Token: theToken, Enrolment: []byte("{}")}) }), 400, "enrolment cannot be"},

		{"signed long ago", change(api.People, "ada", func(x *shot) { x.signAt = time.Now().Add(-10 * time.Minute) }), 401, "clock"},
		{"signed in the future", change(api.People, "ada", func(x *shot) { x.signAt = time.Now().Add(10 * time.Minute) }), 401, "clock"},
		{"other body", change(api.Agree, "ada", func(x *shot) { x.signBody = []byte("{}") }), 400, "not the one that was signed"},

		{"just too large", change(api.Agree, "ada", func(x *shot) { x.body = bytes.Repeat([]byte(" "), smallBody+1) }), 413, "65536 bytes"},
		{"just too large, in chunks", change(api.Agree, "ada", func(x *shot) {
			x.body, x.chunked = bytes.Repeat([]byte(" "), smallBody+1), true
		}), 413, "65536 bytes"},
		{"largest", change(api.Agree, "ada", func(x *shot) { x.body = bytes.Repeat([]byte(" "), smallBody) }), 400, "cannot be understood"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			res, body := sc.fire(tt.shot)
			var p api.Problem
			if err := spelling.Decode(body, &p); err != nil || res.Header.Get("Content-Type") != "application/json" {
				t.Fatalf("%s %q is no problem in JSON", res.Status, body)
			}
			if res.StatusCode != tt.status || !strings.Contains(p.Error, tt.text) {
				t.Errorf("got %s %q, want %d with %q", res.Status, p.Error, tt.status, tt.text)
			}
			if isClock := tt.text == "clock"; isClock != !p.Now.IsZero() {
				t.Errorf("the safe's time is told: %v", p.Now)
			}
		})
	}
	if calls, _ := sc.list(); len(calls) > 0 {
		t.Errorf("the safe was called: %q", calls)
	}
}

// TestSentForAnother: a person cannot pass on what somebody else signed.
func TestSentForAnother(t *testing.T) {
	sc := newScene(t)
	for _, x := range []shot{
		{method: "POST", target: "/v1/roster/agree", who: "ada", body: sc.act(t, "bob", access.Agree{Number: 2})},
		{method: "POST", target: "/v1/openings/" + theOpening.String() + "/release", who: "ada", body: encode(t, api.Released{Release: sc.release(t, "sue")})},
	} {
		if res, body := sc.fire(x); res.StatusCode != 403 {
			t.Errorf("%s: %s %s, want 403", x.target, res.Status, body)
		}
	}
	calls, refused := sc.list()
	if len(calls) > 0 || len(refused) != 2 {
		t.Errorf("calls %q, refusals %q; want none and two", calls, refused)
	}
}

// TestOnce sends the same request twice.
func TestOnce(t *testing.T) {
	sc := newScene(t)
	req := sc.request(sc.forRoute(api.People, "ada"))
	client := http.Client{Transport: &http.Transport{TLSClientConfig: sc.ca}}
	defer client.CloseIdleConnections()
	for i, want := range []int{200, 409, 409} {
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("time %d: %s, want %d", i+1, res.Status, want)
		}
	}
	if calls, _ := sc.list(); len(calls) != 1 {
		t.Errorf("the safe was called: %q", calls)
	}
}

// TestNothingToEnumerate compares the bytes that a stranger, or who has no
// right to know, gets for what there is and for what there is not.
func TestNothingToEnumerate(t *testing.T) {
	sc := newScene(t, func(s *Server) { s.attempts = newLimiter(leaping(time.Hour)) })
	eve := accesstest.NewPerson(t, "eve", access.Auditor)
	missing := safe.NewOpeningID(accesstest.Start)
	as := func(who safe.PersonName, target string) shot {
		return shot{method: "GET", target: target, who: who, key: eve.Signer}
	}
	enrol := func(token access.Token) shot {
		return shot{method: "POST", target: "/v1/enrol", body: encode(t, api.Enrolling{Token: token, Enrolment: []byte("{}")})}
	}
	tests := []struct {
		name           string
		there, missing shot
	}{
		{"person", as("ada", "/v1/people"), as("nobody", "/v1/people")},
		{"person who is suspended", as("sue", "/v1/people"), as("nobody", "/v1/people")},
		{"person who is enrolled", as("pam", "/v1/people"), as("nobody", "/v1/people")},
		{"opening, to a stranger", as("ada", "/v1/openings/"+theOpening.String()), as("ada", "/v1/openings/"+missing.String())},
		{"opening, to nobody", shot{method: "GET", target: "/v1/openings/" + theOpening.String()}, shot{method: "GET", target: "/v1/openings/" + missing.String()}},
		{"opening, to one without the right",
			shot{method: "POST", target: "/v1/openings/" + theOpening.String() + "/grant", who: "bob"},
			shot{method: "POST", target: "/v1/openings/" + missing.String() + "/grant", who: "bob"}},
		{"opening, to one not in the roster yet",
			shot{method: "GET", target: "/v1/openings/" + theOpening.String(), who: "pam"},
			shot{method: "GET", target: "/v1/openings/" + missing.String(), who: "pam"}},
		{"clock, to a stranger",
			shot{method: "GET", target: "/v1/people", who: "ada", key: eve.Signer, signAt: time.Now().Add(-time.Hour)}, as("nobody", "/v1/people")},
		{"invitation, by an enrolment that is none", enrol(theToken), enrol(access.NewToken())},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			res, body := sc.fire(tt.there)
			otherRes, otherBody := sc.fire(tt.missing)
			res.Header.Del("Date")
			otherRes.Header.Del("Date")
			if res.StatusCode/100 != 4 || res.Status != otherRes.Status || !bytes.Equal(body, otherBody) {
				t.Errorf("there: %s %q, not there: %s %q", res.Status, body, otherRes.Status, otherBody)
			}
			if diff := cmp.Diff(res.Header, otherRes.Header); diff != "" {
				t.Errorf("headers (-there +not there)\n%s", diff)
			}
		})
	}
}

// TestStrangersAreSlowedDown: ten attempts at once from a network, then one in
// six seconds; others are not touched by that.
func TestStrangersAreSlowedDown(t *testing.T) {
	var mu sync.Mutex
	now := time.Now()
	sc := newScene(t, func(s *Server) {
		s.attempts = newLimiter(func() time.Time { mu.Lock(); defer mu.Unlock(); return now })
	})
	guess := func(from netip.Addr) int {
		x := sc.forRoute(api.Enrol, "")
		x.body, x.from = encode(t, api.Enrolling{Token: access.NewToken(), Enrolment: sc.enrolment()}), from
		res, _ := sc.fire(x)
		if late := res.StatusCode == 429; late != (res.Header.Get("Retry-After") != "") {
			t.Errorf("%s, Retry-After %q", res.Status, res.Header.Get("Retry-After"))
		}
		return res.StatusCode
	}
	var got []int
	for range burst + 2 {
		got = append(got, guess(keeperAddress))
	}
	got = append(got, guess(operatorAddress))
	mu.Lock()
	now = now.Add(refill)
	mu.Unlock()
	got = append(got, guess(keeperAddress), guess(keeperAddress))
	want := append(slices.Repeat([]int{404}, burst), 429, 429, 404, 404, 429)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if res, _ := sc.fire(sc.forRoute(api.People, "ada")); res.StatusCode != 200 {
		t.Errorf("a person from the same address: %s", res.Status)
	}
}

// A clock that was years ahead for a moment keeps nobody out when it is right
// again.
func TestLimiterAfterTheClockWasAhead(t *testing.T) {
	now := accesstest.Start.AddDate(10, 0, 0)
	l := newLimiter(func() time.Time { return now })
	for range burst {
		if !l.begin(keeperAddress) {
			t.Fatal("it is not listened to")
		}
		l.end(keeperAddress)
	}
	if l.begin(keeperAddress) {
		t.Error("more than can be are listened to")
	}
	now = accesstest.Start
	if !l.begin(keeperAddress) {
		t.Error("it is not listened to when the clock is right")
	}
}

func TestLimiter(t *testing.T) {
	now := accesstest.Start
	l := newLimiter(func() time.Time { return now })
	address := func(i int) netip.Addr {
		return netip.AddrFrom16([16]byte{0x20, 1, byte(i >> 16), byte(i >> 8), byte(i), 0, 0, 0, 9, byte(i)})
	}
	if !l.begin(address(0)) || !l.begin(netip.MustParseAddr("2001:0:0:0:ffff::1")) {
		t.Error("the first two of a site are not listened to")
	}
	if l.begin(netip.MustParseAddr("2001:0:0:eeee::1")) {
		t.Error("three of one site are listened to at a time")
	}
	l.end(address(0))
	if !l.begin(address(0)) {
		t.Error("one that has ended still counts as open")
	}
	for i := 1; i < maxSites; i++ {
		if !l.begin(address(i)) {
			t.Fatalf("site %d is not listened to", i)
		}
		if i != 7 {
			l.end(address(i))
		}
	}
	if l.begin(address(maxSites)) {
		t.Error("more sites are remembered than may be")
	}
	now = now.Add(refill)
	if !l.begin(address(maxSites)) {
		t.Error("sites that have nothing to their name are not forgotten")
	}
	if len(l.seen) != 3 {
		t.Errorf("%d sites are remembered, want the two that have attempts open, and the new one", len(l.seen))
	}
}

// TestInsideStaysInside: neither errors of the safe nor a panic tell anything,
// and both are in the log.
func TestInsideStaysInside(t *testing.T) {
	sc := newScene(t)
	for _, answer := range []func() error{
		func() error { return fmt.Errorf("reading: %w", errInside) },
		func() error { panic(errInside) },
	} {
		sc.answer = answer
		res, body := sc.fire(sc.forRoute(api.People, "ada"))
		if res.StatusCode != 500 || bytes.Contains(body, []byte("SELECT")) || bytes.Contains(body, []byte("goroutine")) {
			t.Errorf("%s %s", res.Status, body)
		}
	}
	sc.answer = nil
	if res, _ := sc.fire(sc.forRoute(api.People, "ada")); res.StatusCode != 200 {
		t.Errorf("after a panic: %s", res.Status)
	}
	if log := sc.log.String(); strings.Count(log, "SELECT secret") != 2 || !strings.Contains(log, "web.go") && !strings.Contains(log, "answer.go") {
		t.Errorf("the log does not tell both errors, and where the panic was:\n%s", log)
	}
}

// TestProblems lists what people are told of the errors of a Desk.
func TestProblems(t *testing.T) {
	sc := newScene(t)
	for _, tt := range []struct {
		err    error
		status int
		text   string
	}{
		{&api.DeniedError{What: "opening.release", Reason: "not yours", Err: errInside}, 403, "not yours"},
		{fmt.Errorf("inside: %w", &api.InvalidError{Reason: "no snapshots"}), 400, "no snapshots"},
		{fmt.Errorf("inside: %w", api.ErrNotFound), 404, "there is no such thing"},
		{fmt.Errorf("inside: %w", api.ErrBusy), 409, api.ErrBusy.Error()},
		{fmt.Errorf("inside: %w", opening.ErrState), 409, opening.ErrState.Error()},
		{&api.DeniedError{What: "roster.agree", Reason: access.ErrStale.Error(), Err: access.ErrStale}, 403, access.ErrStale.Error()},
	} {
		sc.answer = func() error { return tt.err }
		res, body := sc.fire(sc.forRoute(api.People, "ada"))
		var p api.Problem
		if err := spelling.Decode(body, &p); err != nil || res.StatusCode != tt.status || p.Error != tt.text {
			t.Errorf("%v: %s %q %v, want %d %q", tt.err, res.Status, body, err, tt.status, tt.text)
		}
	}
}

func TestHeaders(t *testing.T) {
	sc := newScene(t)
	for _, x := range []shot{sc.forRoute(api.People, "ada"), {method: "GET", target: "/"}, sc.forRoute(api.Agree, "ada")} {
		x.header = http.Header{"Origin": {"https://evil.example"}}
		res, _ := sc.fire(x)
		got := map[string]string{}
		for key := range res.Header {
			switch key {
			case "Date", "Content-Length", "Content-Type", "Connection":
			default:
				got[key] = res.Header.Get(key)
			}
		}
		want := map[string]string{
			"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
			"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "Cross-Origin-Resource-Policy": "same-origin",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", x.target, diff)
		}
	}
}

// raw writes bytes to the server and returns the answers that come until it
// shuts the connection. A reset shuts it, too: that is what a kernel sends when
// a server closes a connection of which it has not read all.
func (sc *scene) raw(text string) string {
	sc.t.Helper()
	conn := sc.dial(keeperAddress)
	if _, err := io.WriteString(conn, text); err != nil {
		sc.t.Fatal(err)
	}
	got, err := io.ReadAll(conn)
	if err != nil && !errors.Is(err, syscall.ECONNRESET) {
		sc.t.Fatalf("after %q: %v", got, err)
	}
	return string(got)
}

// text returns a signed request as it is on the wire.
func (sc *scene) text(x shot, header string) string {
	req := sc.request(x)
	return fmt.Sprintf("%s %s HTTP/1.1\r\nHost: safe\r\n%s: %s\r\n%s\r\n", x.method, x.target, signed.Header, req.Header.Get(signed.Header), header)
}

// TestOnTheWire sends what no client of ours would.
func TestOnTheWire(t *testing.T) {
	sc := newScene(t)
	people := sc.forRoute(api.People, "ada")
	agree := sc.forRoute(api.Agree, "ada")
	length := fmt.Sprintf("Content-Type: application/json\r\nContent-Length: %d\r\n", len(agree.body))
	shut := "Connection: close\r\n"
	tests := []struct {
		name, text string
		statuses   []int
	}{
		{"two on one connection", sc.text(people, "") + sc.text(people, shut), []int{200, 200}},
		{"a body and another", sc.text(agree, length) + string(agree.body) + sc.text(people, shut), []int{204, 200}},
		{"HTTP/1.0", strings.Replace(sc.text(people, ""), "HTTP/1.1", "HTTP/1.0", 1), []int{200}},
		{"other host", strings.Replace(sc.text(people, shut), "Host: safe", "Host: evil.example", 1), []int{200}},
		{"no host", strings.Replace(sc.text(people, shut), "Host: safe\r\n", "", 1), []int{400}},
		{"two hosts", sc.text(people, "Host: evil.example\r\n"+shut), []int{400}},
		{"two signatures", sc.text(people, signed.Header+": person=ada\r\n"+shut), []int{401}},
		{"two lengths", sc.text(agree, length+"Content-Length: 3\r\n") + string(agree.body), []int{400}},
		{"length and chunks", sc.text(agree, length+"Transfer-Encoding: chunked\r\n"+shut) + "0\r\n\r\n", []int{400}},
		{"no HTTP", "\x16\x03\x01 hello\r\n\r\n", []int{400}},
		{"whole address", strings.Replace(sc.text(people, shut), "/v1/people", "https://evil.example/v1/people", 1), []int{401}},
		{"large header", sc.text(people, "X: "+strings.Repeat("x", maxHeader+8<<10)+"\r\n"), []int{431}},
		{"many headers", sc.text(people, strings.Repeat("X: y\r\n", 20_000)), []int{431}},
		{"no chunk", sc.text(agree, "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n"+shut) + "zz\r\n", []int{400}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			reader := bufio.NewReader(strings.NewReader(sc.raw(tt.text)))
			var got []int
			for {
				res, err := http.ReadResponse(reader, nil)
				if err != nil {
					break
				}
				if _, err := io.Copy(io.Discard, res.Body); err != nil {
					t.Fatal(err)
				}
				got = append(got, res.StatusCode)
			}
			if diff := cmp.Diff(tt.statuses, got); diff != "" {
				t.Errorf("statuses (-want +got)\n%s", diff)
			}
		})
	}
}

// TestSlow: who does not finish in time is cut off, be it in the header, in the
// body or before TLS; what is slow by its nature has longer.
func TestSlow(t *testing.T) {
	sc := newScene(t, func(s *Server) {
		s.times.header, s.times.body, s.times.release = 150*time.Millisecond, 300*time.Millisecond, 10*time.Second
	})
	agree := sc.forRoute(api.Agree, "ada")
	length := fmt.Sprintf("Content-Type: application/json\r\nContent-Length: %d\r\n", len(agree.body))
	for name, tt := range map[string]struct{ text, want string }{
		"nothing":       {"", ""},
		"half a line":   {"GET /v1/peo", ""},
		"half a header": {sc.text(agree, "")[:100], ""},
		"half a body":   {sc.text(agree, length) + string(agree.body[:20]), "HTTP/1.1 408 "},
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			if got := sc.raw(tt.text); tt.want == "" && strings.Contains(got, " 200 ") || !strings.HasPrefix(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("it was cut off after %s", took)
			}
		})
	}
	t.Run("release", func(t *testing.T) {
		x := sc.forRoute(api.Release, "ada")
		conn := sc.dial(keeperAddress)
		fmt.Fprint(conn, sc.text(x, fmt.Sprintf("Connection: close\r\nContent-Type: application/json\r\nContent-Length: %d\r\n", len(x.body))))
		time.Sleep(500 * time.Millisecond)
		conn.Write(x.body)
		if got, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 204 ") {
			t.Errorf("%q %v", got, err)
		}
	})
	t.Run("work", func(t *testing.T) {
		sc.answer = func() error { time.Sleep(600 * time.Millisecond); return nil }
		defer func() { sc.answer = nil }()
		if res, body := sc.fire(sc.forRoute(api.People, "ada")); res.StatusCode != 200 {
			t.Errorf("what takes longer than a body may: %s %s", res.Status, body)
		}
	})
}

// TestTruncated: a body that breaks off reaches nobody.
func TestTruncated(t *testing.T) {
	sc := newScene(t)
	agree := sc.forRoute(api.Agree, "ada")
	conn := sc.dial(keeperAddress)
	fmt.Fprintf(conn, "%s%s", sc.text(agree, fmt.Sprintf("Content-Type: application/json\r\nContent-Length: %d\r\n", len(agree.body))), agree.body[:20])
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, conn)
	if err := sc.stop(); err != nil {
		t.Error(err)
	}
	if calls, _ := sc.list(); len(calls) > 0 {
		t.Errorf("the safe was called: %q", calls)
	}
}

// TestManyConnections: one address cannot take all connections, and gets its
// share back when it lets them go.
func TestManyConnections(t *testing.T) {
	sc := newScene(t)
	var open []io.Closer
	for len(open) < maxOfAddress {
		open = append(open, sc.dial(operatorAddress))
	}
	if conn, err := sc.tryDial(operatorAddress); err == nil {
		t.Errorf("connection %d of one address is taken: %v", maxOfAddress+1, conn.RemoteAddr())
	}
	if res, _ := sc.fire(sc.forRoute(api.People, "ada")); res.StatusCode != 200 {
		t.Errorf("meanwhile, from another address: %s", res.Status)
	}
	for _, conn := range open {
		conn.Close()
	}
	for start := time.Now(); ; {
		if _, err := sc.tryDial(operatorAddress); err == nil {
			break
		} else if time.Since(start) > 5*time.Second {
			t.Fatalf("after all were shut: %v", err)
		}
	}
}

// TestOneReleaseAtATime: two of the largest do not fit into the memory that
// bodies may have. One that somebody sends slowly keeps none out that is smaller.
func TestOneReleaseAtATime(t *testing.T) {
	sc := newScene(t)
	x := sc.forRoute(api.Release, "ada")
	begin := func() net.Conn { // and do not say how large it is
		conn := sc.dial(keeperAddress)
		fmt.Fprint(conn, sc.text(x, "Connection: close\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n"))
		return conn
	}
	first := begin()
	eventually(t, "the first holds its place", func() bool {
		if sc.s.people.take("kim", maxPeople-releaseBody+1) {
			sc.s.people.leave("kim", maxPeople-releaseBody+1)
			return false
		}
		return true
	})
	if got, err := bufio.NewReader(begin()).ReadString('\n'); err != nil || !strings.HasPrefix(got, "HTTP/1.1 503 ") {
		t.Errorf("the second: %q %v, want 503", got, err)
	}
	if sc.s.people.take("ada", enrolBody) {
		t.Error("ada has more room than for one")
	}
	if !sc.s.people.take("kim", maxPeople-releaseBody) {
		t.Error("kim has no room meanwhile")
	}
	for _, route := range []string{api.Release, api.Agree} {
		if res, body := sc.fire(sc.forRoute(route, "ada")); res.StatusCode != 204 {
			t.Errorf("something small meanwhile: %s %s", res.Status, body)
		}
	}
	fmt.Fprintf(first, "%x\r\n%s\r\n0\r\n\r\n", len(x.body), x.body)
	if got, err := io.ReadAll(first); err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 204 ") {
		t.Errorf("the first: %q %v", got, err)
	}
	sc.s.people.leave("kim", maxPeople-releaseBody)
	eventually(t, "the first leaves its place", func() bool { return sc.s.people.take("ada", releaseBody) })
}

// Whoever sends something large, and slowly, keeps nobody from shutting the
// safe, nor from enrolling.
func TestSmallRequestsNeverWait(t *testing.T) {
	sc := newScene(t)
	if !sc.s.people.take("kim", releaseBody) || !sc.s.people.take("ada", maxPeople-releaseBody) || !sc.s.strangers.take("", maxStrangers) {
		t.Fatal("there is no room")
	}
	for _, pattern := range []string{api.Suspend, api.CloseIt, api.Propose} {
		if res, body := sc.fire(sc.forRoute(pattern, "ada")); res.StatusCode != 204 {
			t.Errorf("%s: %s %s", pattern, res.Status, body)
		}
	}
	x := sc.forRoute(api.Enrol, "")
	x.body = encode(t, api.Enrolling{Token: access.NewToken(), Enrolment: sc.enrolment()})
	if res, body := sc.fire(x); res.StatusCode == 503 {
		t.Errorf("an enrolment: %s %s", res.Status, body)
	}
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for start := time.Now(); !holds(); time.Sleep(time.Millisecond) {
		if time.Since(start) > 5*time.Second {
			t.Fatalf("in vain: %s", what)
		}
	}
}

// TestStop: what is under way ends, what would begin is cut off, and nothing
// reaches the safe when Serve has returned.
func TestStop(t *testing.T) {
	sc := newScene(t, func(s *Server) { s.times.stop = 300 * time.Millisecond })
	inside, goOn := make(chan bool, 2), make(chan bool)
	sc.answer = func() error { inside <- true; <-goOn; return nil }
	statuses := make(chan int, 1)
	x := sc.forRoute(api.People, "ada")
	go func() {
		res, _, err := sc.try(x)
		if err != nil {
			statuses <- 0
			return
		}
		statuses <- res.StatusCode
	}()
	<-inside
	ended := make(chan error, 1)
	go func() { ended <- sc.stop() }()
	eventually(t, "no new connections", func() bool {
		conn, err := sc.tryDial(keeperAddress)
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	select {
	case err := <-ended:
		t.Fatalf("Serve returned %v while a request was under way", err)
	default:
	}
	close(goOn)
	if status := <-statuses; status != 200 {
		t.Errorf("the request under way got status %d", status)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestStopDoesNotWaitForEver: a request that does not end is told to, and Serve
// still waits for it.
func TestStopDoesNotWaitForEver(t *testing.T) {
	sc := newScene(t, func(s *Server) { s.times.stop = 50 * time.Millisecond })
	inside := make(chan bool, 1)
	var left bool
	sc.hold = func(done <-chan struct{}) { inside <- true; <-done; left = true }
	x := sc.forRoute(api.People, "ada")
	result := make(chan error, 1)
	go func() { _, _, err := sc.try(x); result <- err }()
	<-inside
	if err := sc.stop(); err != nil {
		t.Error(err)
	}
	if !left {
		t.Error("Serve returned before the request had ended")
	}
	if err := <-result; err == nil {
		t.Error("a request that was cut off got an answer")
	}
}

// TestPaging: versions of the roster and openings come in bounded answers.
func TestPaging(t *testing.T) {
	links := []access.Link{{Roster: make([]byte, maxLinks)}, {Roster: []byte("x")}, {Roster: []byte("y")}}
	for _, tt := range []struct{ from, want int }{{0, 1}, {1, 2}, {3, 0}} {
		if got := len(some(links[tt.from:])); got != tt.want {
			t.Errorf("%d links are handed out from link %d on, want %d", got, tt.from, tt.want)
		}
	}
}

// FuzzBodies gives each route bodies of all kinds: whatever they are, they are
// taken or refused.
func FuzzBodies(f *testing.F) {
	team := accesstest.NewTeam(f, everybodyOfTheTests)
	desk := &fakeDesk{team: team, roster: team.Roster}
	s := New(desk, Options{})
	sc := &scene{fakeDesk: desk}
	for i, r := range allRoutes {
		for _, who := range []safe.PersonName{"", "ada", "bob"} {
			if r.limit > 0 {
				f.Add(i, sc.bodyFor(f, r.pattern, who))
			}
		}
	}
	f.Fuzz(func(t *testing.T, i int, body []byte) {
		if i < 0 || i >= len(allRoutes) {
			return
		}
		c := call{from: keeperAddress, person: "ada", id: theOpening.String(), body: body}
		_, err := allRoutes[i].handle(s, t.Context(), c)
		if err == nil {
			return
		}
		if status, problem := problemOf(err); status >= 500 {
			t.Errorf("%s: %d %s: %v", allRoutes[i].pattern, status, problem.Error, err)
		}
	})
}

// TestBoundedListener: all connections together are bounded, too, and each
// counts once however often it is shut.
func TestBoundedListener(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := bound(inner, 2, 2)
	defer l.Close()
	accepted := make(chan net.Conn)
	go func() {
		defer close(accepted)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- conn
		}
	}()
	dial := func(from string) net.Conn {
		conn, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}).Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	dial("127.0.0.1")
	first := <-accepted
	dial("127.0.0.2")
	second := <-accepted
	third := dial("127.0.0.3")
	third.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := third.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the third connection: %v, want it shut", err)
	}
	first.Close()
	first.Close()
	dial("127.0.0.3")
	fourth := <-accepted
	fifth := dial("127.0.0.3")
	fifth.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := fifth.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("one that was shut twice makes room for two: %v", err)
	}
	second.Close()
	fourth.Close()
}

// TestFewAddressesKeepNobodyOut: where all connections are taken, who has most
// makes room for somebody else, until nobody has two more than another.
func TestFewAddressesKeepNobodyOut(t *testing.T) {
	var gone []string
	l := bound(nil, 4, 3).(*boundedListener)
	come := func(from string) bool {
		t.Helper()
		at := netip.MustParseAddr(from)
		c := &boundedConn{of: l, network: network(at), site: site(at)}
		taken, shut := l.take(c)
		if shut != nil {
			gone = append(gone, shut.network.String())
		}
		return taken
	}
	for _, tt := range []struct {
		from  string
		taken bool
		gone  string // "" if none has to go
	}{
		{"2001:db8:1:1::1", true, ""},
		{"2001:db8:1:2::1", true, ""}, // the same site
		{"2001:db8:1:3::1", true, ""},
		{"192.0.2.1", true, ""},
		{"192.0.2.1", true, "2001:db8:1:3::/64"},
		{"192.0.2.1", false, ""},
		{"2001:db8:1:4::1", false, ""},
		{"192.0.2.2", true, "192.0.2.1/32"},
		{"192.0.2.3", true, "2001:db8:1:2::/64"},
		{"192.0.2.4", false, ""},
	} {
		gone = nil
		if taken := come(tt.from); taken != tt.taken || strings.Join(gone, " ") != tt.gone || len(l.open) > 4 {
			t.Errorf("%s is taken: %t, and %q has to go, want %t, %q", tt.from, taken, gone, tt.taken, tt.gone)
		}
	}
}
