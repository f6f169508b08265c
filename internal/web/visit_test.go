package web

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/access"
	"strongroom/internal/access/accesstest"
	"strongroom/internal/access/api"
	"strongroom/internal/access/passkey"
	"strongroom/internal/access/passkey/passkeytest"
	"strongroom/internal/access/signature"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/spelling"
)

// TestWhoMayLook asks everything as everybody who has signed in. "ok" reaches
// the Desk, and nothing else does.
func TestWhoMayLook(t *testing.T) {
	const want = `
route                           keykeeper operator officer auditor suspended stopped enrolled anew founder elsewhere neighbour signedout nobody
POST /v1/enrol                  ok ok ok ok ok ok ok ok ok ok ok ok ok
POST /v1/recovery               ok ok ok ok ok ok ok ok ok ok ok ok ok
POST /v1/recovery/answer        ok ok ok ok ok ok ok ok ok ok ok ok ok
POST /v1/recovery/propose       ok ok ok ok ok ok ok ok ok ok ok ok ok
POST /v1/passkeys/begin         ok ok ok ok ok ok ok ok ok ok 403 ok ok
POST /v1/sign-in/begin          ok ok ok ok ok ok ok ok ok ok 403 ok ok
GET /v1/session                 ok ok ok ok 401 401 ok ok ok 403 403 401 401
GET /v1/keyring                 ok 403 403 403 401 401 403 403 403 403 403 401 401
POST /v1/keyring                ok 403 403 403 401 401 403 403 403 403 403 401 401
GET /v1/people                  ok ok ok ok 401 401 ok ok ok 403 403 401 401
POST /v1/roster/propose         ok ok 403 403 401 401 403 403 ok 403 403 401 401
POST /v1/roster/agree           ok ok 403 403 401 401 403 403 ok 403 403 401 401
POST /v1/roster/object          ok ok 403 403 401 401 403 403 403 403 403 401 401
POST /v1/people/suspend         ok ok ok ok 401 401 403 403 403 403 403 401 401
POST /v1/keys/check             ok ok 403 403 401 401 403 403 403 403 403 401 401
POST /v1/keys/answer            ok ok 403 403 401 401 403 403 403 403 403 401 401
GET /v1/ledger                  ok ok ok ok 401 401 403 403 403 403 403 401 401
GET /v1/snapshots               ok ok ok ok 401 401 403 403 403 403 403 401 401
GET /v1/openings                ok ok ok ok 401 401 403 403 403 403 403 401 401
GET /v1/openings/{id}           ok ok ok ok 401 401 403 403 403 403 403 401 401
POST /v1/openings               401 401 401 401 401 401 401 401 401 401 401 401 401
POST /v1/openings/{id}/grant    ok 403 403 403 401 401 403 403 403 403 403 401 401
GET /v1/openings/{id}/envelopes ok 403 403 403 401 401 403 403 403 403 403 401 401
POST /v1/openings/{id}/release  ok 403 403 403 401 401 403 403 403 403 403 401 401
POST /v1/openings/{id}/refuse   ok 403 403 403 401 401 403 403 403 403 403 401 401
POST /v1/openings/{id}/withdraw 401 401 401 401 401 401 401 401 401 401 401 401 401
POST /v1/openings/{id}/close    ok ok ok 403 401 401 403 403 403 403 403 401 401
POST /v1/map/rule               403 403 ok 403 401 401 403 403 403 403 403 401 401
POST /v1/map/take-back          403 403 ok 403 401 401 403 403 403 403 403 401 401
GET /{$}                        ok ok ok ok 303 303 303 303 303 403 ok 303 303
GET /sources/{name}             ok ok ok ok 303 303 303 303 303 403 ok 303 303
GET /applications/{name}        ok ok ok ok 303 303 303 303 303 403 ok 303 303
GET /map                        ok ok ok ok 303 303 303 303 303 403 ok 303 303
GET /map/component              ok ok ok ok 303 303 303 303 303 403 ok 303 303
GET /openings                   ok ok ok ok 303 303 303 303 303 403 ok 303 303
GET /openings/{id}              ok ok ok ok 303 303 303 303 303 403 ok 303 303
GET /people                     ok ok ok ok 303 303 ok ok ok 403 ok 303 303
GET /ledger                     ok ok ok ok 303 303 303 303 303 403 ok 303 303
GET /ledger/{id}                ok ok ok ok 303 303 303 303 303 403 ok 303 303
`
	founded, founding := newVisitedScene(t), newVisitedScene(t)
	founding.roster = founding.team.First
	anew := passkeytest.New(t, "safe.test", founded.origin).Key(t)

	// Somebody who has enrolled anew signs in with the new passkey.
	waiting := founded.in("ada")
	ada := founded.team.People["ada"]
	old := ada.Passkeys
	ada.Passkeys = []access.Passkey{{Key: anew, Use: access.SignIn}}
	founded.team.People["ada"], founded.passkeys["anew"] = ada, anew
	waiting.signIn("anew")
	founded.waiting = map[safe.PersonName][]signature.Key{"ada": {signature.FromPasskey(anew)}}
	ada.Passkeys = old
	founded.team.People["ada"] = ada

	type caller struct {
		*browser
		who       safe.PersonName // whose acts they are
		neighbour bool            // the request is started by a page of another port
	}
	in := func(v *visitedScene, who safe.PersonName) caller { return caller{browser: v.in(who), who: who} }
	founded.suspended["sue"] = false
	callers := []caller{in(founded, "ada"), in(founded, "bob"), in(founded, "cyd"), in(founded, "dan"), in(founded, "sue"), in(founded, "ann"),
		in(founded, "pam"), {browser: waiting, who: "ada"}, in(founding, "pam"), in(founded, "ada"), in(founded, "ada"), in(founded, "ada"), {browser: founded.browser(), who: "ada"}}
	founded.suspended["sue"], founded.halted[signature.FromPasskey(founded.passkeys["ann"])] = true, true
	callers[9].from = operatorAddress
	callers[10].neighbour = true
	if res, _ := callers[11].visit("POST", "/sign-out", nil, nil); res.StatusCode != 303 {
		t.Fatalf("signing out: %s", res.Status)
	}

	patterns := make([]string, 0, len(allRoutes)+len(allPages))
	for _, r := range allRoutes {
		if r.pattern != api.SignInFinish { // see TestSignIn and TestSignInRefused
			patterns = append(patterns, r.pattern)
		}
	}
	for _, p := range allPages {
		if p.roles != nil {
			patterns = append(patterns, p.pattern)
		}
	}
	var got []string
	for _, pattern := range patterns {
		row := []string{pattern}
		for i, c := range callers {
			x := c.v.forRoute(strings.Replace(pattern, "/ledger/{id}", "/ledger/7", 1), c.who)
			target := strings.NewReplacer("{$}", "", "{name}", "files", "/map/component", "/map/component?id=host%2Ferp").Replace(x.target)
			header := http.Header{}
			if c.neighbour {
				header = http.Header{"Sec-Fetch-Site": {"same-site"}, "Origin": {"https://safe.test"}}
			}
			before, refusedBefore := c.v.list()
			res, body := c.visit(x.method, target, x.body, header)
			calls, refused := c.v.list()
			word := fmt.Sprint(res.StatusCode)
			if res.StatusCode/100 == 2 {
				word = "ok"
			}
			if reached := len(calls) - len(before); (word == "ok" && pattern != api.WhoAmI) != (reached == 1) {
				t.Errorf("%s by caller %d: %s %s, and %d calls reached the safe", pattern, i, res.Status, body, reached)
			}
			// Who is nobody the ledger need not know.
			isStranger := word == "401" || word == "303" || strings.HasPrefix(pattern, "POST /v1/passkeys") || strings.HasPrefix(pattern, "POST /v1/sign-in")
			if recorded := len(refused) - len(refusedBefore); (word != "ok" && !isStranger) != (recorded == 1) {
				t.Errorf("%s by caller %d: %s, and %d refusals were recorded", pattern, i, res.Status, recorded)
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

// TestSession tells a page who is there.
func TestSession(t *testing.T) {
	v := newVisitedScene(t)
	v.roster.Domain = "safe.test"
	res, body := v.in("dan").visit("GET", "/v1/session", nil, nil)
	var got api.Session
	want := api.Session{Person: "dan", Safe: "acme", Store: v.team.Store, Domain: "safe.test"}
	if err := spelling.Decode(body, &got); err != nil || got != want {
		t.Errorf("%s %s %v", res.Status, body, err)
	}
}

// TestKeyring: who has none is told so, and nobody is handed another's.
func TestKeyring(t *testing.T) {
	v := newVisitedScene(t)
	for who, want := range map[safe.PersonName]string{"ada": "keyring of ada", "ann": ""} {
		res, body := v.in(who).visit("GET", "/v1/keyring", nil, nil)
		var got api.Keyring
		if err := spelling.Decode(body, &got); err != nil || string(got.Keyring) != want {
			t.Errorf("%s: %s %s %v", who, res.Status, body, err)
		}
	}
}

// TestSignedInAndSigned: a request that is signed is of who has signed it,
// whoever is signed in.
func TestSignedInAndSigned(t *testing.T) {
	v := newVisitedScene(t)
	b := v.in("dan")
	x := v.forRoute(api.Grant, "ada")
	x.header = http.Header{"Cookie": {cookieName + "=" + b.cookie}}
	if res, body := v.fire(x); res.StatusCode != 200 {
		t.Errorf("signed by a keykeeper, in the browser of an auditor: %s %s", res.Status, body)
	}
	x = v.forRoute(api.Grant, "dan")
	x.header = http.Header{"Cookie": {cookieName + "=" + v.in("ada").cookie}}
	if res, body := v.fire(x); res.StatusCode != 403 {
		t.Errorf("signed by an auditor, in the browser of a keykeeper: %s %s", res.Status, body)
	}
}

// TestSentForAnotherByPage: who is signed in cannot pass on what somebody else
// signed.
func TestSentForAnotherByPage(t *testing.T) {
	v := newVisitedScene(t)
	b := v.in("ada")
	res, body := b.visit("POST", "/v1/roster/agree", v.act(t, "bob", access.Agree{Number: 2}), nil)
	if calls, refused := v.list(); res.StatusCode != 403 || slices.Contains(calls, "agree") || len(refused) != 1 {
		t.Errorf("%s %s, refusals %q", res.Status, body, refused)
	}
}

// TestSignedOnAnotherPage: what a passkey has signed for this safe's domain, but
// on a page that is none of the safe's, is not taken.
func TestSignedOnAnotherPage(t *testing.T) {
	v := newVisitedScene(t)
	b := v.in("ada")
	statement, err := access.Statement{Store: v.team.Store, Person: "ada", Time: accesstest.Start, Act: access.Agree{Number: 2}}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for origin, want := range map[string]int{v.origin: 204, elsewhere: 204, "https://forgotten.safe.test": 403} {
		assertion := passkeytest.New(t, "safe.test", origin).Get(t, passkey.Challenge(access.ActNamespace, statement))
		made, err := signature.OfPasskey(assertion)
		if err != nil {
			t.Fatal(err)
		}
		before, _ := v.list()
		res, body := b.visit("POST", "/v1/roster/agree", encode(t, api.Act{Signed: ledger.Signed{Statement: string(statement), Signature: made.String()}}), nil)
		calls, _ := v.list()
		if res.StatusCode != want || (len(calls) > len(before)) != (want == 204) {
			t.Errorf("on a page of %s: %s %s, calls %q", origin, res.Status, body, calls[len(before):])
		}
	}
}

// TestWithoutPages: a safe that no browser finds has neither pages nor sessions.
func TestWithoutPages(t *testing.T) {
	sc := newScene(t)
	id := sc.s.sessions.Begin("ada", passkey.Key{}, "")
	for _, pattern := range []string{"GET /", "GET /people", "GET /sign-in", "GET /enrol", "GET /assets/pages.css", "POST /sign-out", api.SignInBegin, api.SignInFinish, api.PasskeysBegin} {
		method, target, _ := strings.Cut(pattern, " ")
		if res, _ := sc.fire(shot{method: method, target: target}); res.StatusCode != 404 {
			t.Errorf("%s: %s", pattern, res.Status)
		}
	}
	x := shot{method: "GET", target: "/v1/people", header: http.Header{"Cookie": {cookieName + "=" + id.String()}}}
	if res, body := sc.fire(x); res.StatusCode/100 != 4 {
		t.Errorf("by a cookie: %s %s", res.Status, body)
	}
}
