package web

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/access/accesstest"
	"strongroom/internal/access/api"
	"strongroom/internal/access/passkey/passkeytest"
	"strongroom/internal/access/signature"
	"strongroom/internal/safe"
	"strongroom/internal/spelling"
	"strongroom/internal/web/session"
)

// TestSignIn: the answer has one cookie, which only the safe itself gets back.
func TestSignIn(t *testing.T) {
	v := newVisitedScene(t)
	b := v.browser()
	res, body := b.visit("POST", "/v1/sign-in/begin", nil, nil)
	var challenge api.SignInChallenge
	if err := spelling.Decode(body, &challenge); err != nil || challenge.Domain != "safe.test" || challenge.Store != v.team.Store || len(res.Cookies()) != 0 {
		t.Errorf("the challenge is %s %s %v, with cookies %v", res.Status, body, err, res.Cookies())
	}
	res, body = b.signIn("dan")
	var answer api.SignedIn
	if err := spelling.Decode(body, &answer); err != nil || answer != (api.SignedIn{Person: "dan"}) {
		t.Errorf("%s %s %v", res.Status, body, err)
	}
	want := []string{cookieName + "=" + b.cookie + "; Path=/; HttpOnly; Secure; SameSite=Strict"}
	if diff := cmp.Diff(want, res.Header["Set-Cookie"]); diff != "" {
		t.Errorf("cookies (-want +got)\n%s", diff)
	}
	if _, ok := session.ParseID(b.cookie); !ok {
		t.Errorf("the cookie %q is no id of a session", b.cookie)
	}
	if !b.isIn() {
		t.Error("dan is not signed in")
	}
	// A page of somebody who is only enrolled is told so.
	_, body = v.browser().signIn("pam")
	if err := spelling.Decode(body, &answer); err != nil || answer != (api.SignedIn{Person: "pam", Pending: true}) {
		t.Errorf("%s %v", body, err)
	}
	calls, _ := v.list()
	if !slices.Contains(calls, "sign-in from "+v.origin) {
		t.Errorf("the safe is not told on which page it was: %q", calls)
	}
	if strings.Contains(v.log.String(), b.cookie) {
		t.Error("the id of a session is in the log")
	}
}

// TestSignInRefused: neither who may not call at all, nor who calls from the
// wrong place.
func TestSignInRefused(t *testing.T) {
	tests := []struct {
		name    string
		who     safe.PersonName
		change  func(*visitedScene, *browser)
		text    string
		records int
	}{
		{"suspended", "sue", func(*visitedScene, *browser) {}, "suspended", 1},
		{"passkey suspended", "ada", func(v *visitedScene, _ *browser) { v.halted[signature.FromPasskey(v.passkeys["ada"])] = true }, "suspended", 1},
		{"a keykeeper at an operator's desk", "ada", func(_ *visitedScene, b *browser) { b.from = operatorAddress }, "operator's address", 1},
		{"nobody's passkey", "eve", func(v *visitedScene, _ *browser) {
			v.passkeys["eve"] = passkeytest.New(t, "safe.test", v.origin).Key(t)
		}, "nobody has that passkey", 0}, // the Desk records it
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := newVisitedScene(t)
			b := v.browser()
			tt.change(v, b)
			res, body := b.signIn(tt.who)
			var p api.Problem
			if err := spelling.Decode(body, &p); err != nil || res.StatusCode != 403 || !strings.Contains(p.Error, tt.text) || len(res.Cookies()) > 0 {
				t.Errorf("%s %s %v, cookies %v", res.Status, body, err, res.Cookies())
			}
			if _, refused := v.list(); len(refused) != tt.records {
				t.Errorf("recorded is %q", refused)
			}
			if b.isIn() {
				t.Error("who was refused is signed in")
			}
		})
	}
	v := newVisitedScene(t)
	b := v.browser()
	b.from = operatorAddress
	if res, body := b.signIn("bob"); res.StatusCode != 200 || !b.isIn() {
		t.Errorf("an operator at their own desk: %s %s", res.Status, body)
	}
}

// TestSignInIsSlowedDown: strangers cannot ask for challenges without end.
func TestSignInIsSlowedDown(t *testing.T) {
	v := newVisitedScene(t)
	v.s.attempts = newLimiter(func() time.Time { return accesstest.Start })
	last := 0
	for range burst + 1 {
		res, _ := v.browser().visit("POST", "/v1/sign-in/begin", nil, nil)
		last = res.StatusCode
	}
	other := v.browser()
	other.from = operatorAddress
	res, _ := other.visit("POST", "/v1/sign-in/begin", nil, nil)
	if last != 429 || res.StatusCode != 200 {
		t.Errorf("one too many: %d; from another address: %s", last, res.Status)
	}
}

// TestSessionFixation: who plants a cookie in somebody's browser is not signed
// in when they are, be it one that was made up, or that of a session of their
// own.
func TestSessionFixation(t *testing.T) {
	v := newVisitedScene(t)
	for name, planted := range map[string]string{"made up": session.ID{1, 2, 3}.String(), "of a session": v.in("dan").cookie, "no id": "x", "long": strings.Repeat("A", 4000)} {
		t.Run(name, func(t *testing.T) {
			victim, attacker := v.browser(), v.browser()
			victim.cookie, attacker.cookie = planted, planted
			if res, body := victim.signIn("ada"); res.StatusCode != 200 {
				t.Fatalf("%s %s", res.Status, body)
			}
			if victim.cookie == planted || !victim.isIn() {
				t.Errorf("the victim has the cookie %.50q, and is in: %t", victim.cookie, victim.isIn())
			}
			if attacker.isIn() {
				t.Error("the planted cookie is good after the victim has signed in")
			}
		})
	}
}

// TestNewIDAtSignIn: whoever signs in once more has a new session, and the old
// one has ended.
func TestNewIDAtSignIn(t *testing.T) {
	v := newVisitedScene(t)
	b := v.in("ada")
	old := *b
	b.signIn("ada")
	if old.cookie == b.cookie || old.isIn() || !b.isIn() {
		t.Errorf("another id: %t, the old session goes on: %t, the new one is good: %t", old.cookie != b.cookie, old.isIn(), b.isIn())
	}
	// A passkey that is refused changes nothing.
	before := *b
	v.passkeys["eve"] = passkeytest.New(t, "safe.test", v.origin).Key(t)
	if res, _ := b.signIn("eve"); res.StatusCode != 403 || len(res.Cookies()) != 0 || !before.isIn() {
		t.Errorf("%s, cookies %v, the session goes on: %t", res.Status, res.Cookies(), before.isIn())
	}
}

// TestSessionEnds in all ways there are.
func TestSessionEnds(t *testing.T) {
	tests := []struct {
		name string
		end  func(*visitedScene, *browser)
		want bool // it goes on
	}{
		{"nothing", func(*visitedScene, *browser) {}, true},
		{"not yet idle", func(v *visitedScene, _ *browser) { v.clock.add(session.Idle - time.Second) }, true},
		{"idle", func(v *visitedScene, _ *browser) { v.clock.add(session.Idle) }, false},
		{"too long", func(v *visitedScene, b *browser) {
			for range int(session.Longest/session.Idle) * 2 {
				v.clock.add(session.Idle / 2)
				b.visit("GET", "/v1/people", nil, nil)
			}
		}, false},
		{"signed out", func(_ *visitedScene, b *browser) { b.visit("POST", "/sign-out", nil, nil) }, false},
		{"person suspended", func(v *visitedScene, _ *browser) { v.suspended["ada"] = true }, false},
		{"passkey suspended", func(v *visitedScene, _ *browser) { v.halted[signature.FromPasskey(v.passkeys["ada"])] = true }, false},
		{"other passkey suspended", func(v *visitedScene, _ *browser) { v.halted[signature.FromPasskey(v.passkeys["bob"])] = true }, true},
		{"person taken out", func(v *visitedScene, _ *browser) { delete(v.team.People, "ada") }, false},
		{"passkey taken out", func(v *visitedScene, _ *browser) {
			ada := v.team.People["ada"]
			ada.Passkeys = nil
			v.team.People["ada"] = ada
		}, false},
		{"other cookie", func(_ *visitedScene, b *browser) { b.cookie = session.ID{1}.String() }, false},
		{"two cookies", func(_ *visitedScene, b *browser) { b.cookie += "; " + cookieName + "=" + b.cookie }, false},
		{"spelled otherwise", func(_ *visitedScene, b *browser) { b.cookie += "=" }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := newVisitedScene(t)
			b := v.in("ada")
			other := v.in("dan")
			tt.end(v, b)
			if got := b.isIn(); got != tt.want {
				t.Errorf("ada is signed in: %t, want %t", got, tt.want)
			}
			if v.clock.Now().Equal(accesstest.Start) && !other.isIn() {
				t.Error("dan is signed out with ada")
			}
		})
	}
}

// TestSignedOutScript: the script of a page whose session is over is told so, and
// not that it has signed nothing. That is for programs.
func TestSignedOutScript(t *testing.T) {
	v := newVisitedScene(t)
	over := v.in("ada")
	v.clock.add(session.Idle)
	gone := v.browser()
	for name, b := range map[string]*browser{"the session is over": over, "the cookie is gone": gone} {
		for _, r := range allRoutes {
			if !r.session {
				continue
			}
			x := v.forRoute(r.pattern, "ada")
			for page, header := range map[string]http.Header{"today's browser": nil, "elsewhere": fromElsewhere(""), "elsewhere, with a session that is over": fromElsewhere(over.cookie)} {
				if header != nil && !r.elsewhere {
					continue
				}
				res, body := b.visit(x.method, x.target, x.body, header)
				var p api.Problem
				if err := spelling.Decode(body, &p); err != nil || res.StatusCode != 401 || p.Error != errSignedOut.Error() || p.Remedy != "Sign in again." {
					t.Errorf("%s, %s, %s: %s %s %v", r.pattern, name, page, res.Status, body, err)
				}
			}
		}
	}
	res, body := v.fire(shot{method: "GET", target: "/v1/people"})
	if res.StatusCode != 401 || !bytes.Contains(body, []byte("is not signed")) {
		t.Errorf("a program that has signed nothing: %s %s", res.Status, body)
	}
	if calls, refused := v.list(); len(refused) > 0 || len(calls) > 1 {
		t.Errorf("strangers have reached the safe: %q %q", calls, refused)
	}
}

// TestSignOut: the browser is told to forget the cookie, also if the session is
// over.
func TestSignOut(t *testing.T) {
	v := newVisitedScene(t)
	for _, b := range []*browser{v.in("ada"), v.browser()} {
		res, _ := b.visit("POST", "/sign-out", nil, http.Header{"Content-Type": {"application/x-www-form-urlencoded"}})
		want := []string{cookieName + "=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Strict"}
		if res.StatusCode != 303 || res.Header.Get("Location") != "/sign-in" || cmp.Diff(want, res.Header["Set-Cookie"]) != "" {
			t.Errorf("%s to %q, cookies %q", res.Status, res.Header.Get("Location"), res.Header["Set-Cookie"])
		}
	}
	if res, _ := v.in("ada").visit("GET", "/sign-out", nil, nil); res.StatusCode != 404 {
		t.Errorf("a link signs out: %s", res.Status)
	}
}
