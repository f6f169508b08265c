package web

import (
	"bytes"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/access"
	"strongroom/internal/access/accesstest"
	"strongroom/internal/access/api"
	"strongroom/internal/access/opening"
	"strongroom/internal/access/passkey"
	"strongroom/internal/access/passkey/passkeytest"
	"strongroom/internal/access/signature"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/spelling"
	"strongroom/internal/web/session"
)

// A house with pages: everybody has a passkey to sign in with.
type visitedScene struct {
	*scene
	origin   string
	passkeys map[safe.PersonName]passkey.Key
	clock    *stopped
	clients  map[netip.Addr]*http.Client
}

// elsewhere is the origin of a release page on another host.
const elsewhere = "https://release.safe.test"

// A stopped clock is put forward by tests.
type stopped struct {
	mu  sync.Mutex // guards the field below
	now time.Time
}

func (c *stopped) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *stopped) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func newVisitedScene(t *testing.T, change ...func(*Server)) *visitedScene {
	t.Helper()
	v := &visitedScene{passkeys: make(map[safe.PersonName]passkey.Key), clients: make(map[netip.Addr]*http.Client), clock: &stopped{now: accesstest.Start}}
	v.scene = newSceneWith(t, func(port string) Pages {
		v.origin = "https://safe.test:" + port
		return Pages{Origins: []string{"https://safe.example:" + port, v.origin}, ReleasePages: []string{elsewhere}, Safe: "acme"}
	}, append(change, func(s *Server) {
		s.sessions = session.New(v.clock.Now)
		s.attempts = newLimiter(leaping(time.Hour))
	})...)
	for name, somebody := range v.team.People {
		v.passkeys[name] = passkeytest.New(t, "safe.test", v.origin).Key(t)
		somebody.Passkeys = []access.Passkey{{Key: v.passkeys[name], Use: access.SignIn}}
		v.team.People[name] = somebody
	}
	v.halted = make(map[signature.Key]bool)
	return v
}

// A browser is somebody's, and does what browsers do.
type browser struct {
	v      *visitedScene
	from   netip.Addr
	cookie string // "" for none
}

func (v *visitedScene) browser() *browser { return &browser{v: v, from: keeperAddress} }

// of returns the connections from an address, which all its browsers share.
func (v *visitedScene) of(from netip.Addr) *http.Client {
	if v.clients[from] == nil {
		v.clients[from] = v.client(from)
	}
	return v.clients[from]
}

// visit sends a request as a page of the safe would, but for what header says
// otherwise: nil takes away what a browser says. A cookie that comes is kept.
func (b *browser) visit(method, target string, body []byte, header http.Header) (*http.Response, []byte) {
	b.v.t.Helper()
	x := shot{method: method, target: target, body: body, from: b.from, header: http.Header{"Sec-Fetch-Site": {"same-origin"}}}
	if method != "GET" && method != "HEAD" {
		x.header.Set("Origin", b.v.origin)
	}
	if b.cookie != "" {
		x.header.Set("Cookie", cookieName+"="+b.cookie)
	}
	maps.Copy(x.header, header)
	req := b.v.request(x)
	_, port, _ := net.SplitHostPort(b.v.addr)
	req.Host = "safe.test:" + port
	if host := header.Get("Host"); host != "" {
		req.Host = host
	}
	res, answer, err := do(b.v.of(b.from), req)
	if err != nil {
		b.v.t.Fatalf("%s %s: %v", x.method, x.target, err)
	}
	for _, cookie := range res.Cookies() {
		b.cookie = cookie.Value
	}
	return res, answer
}

// signIn touches somebody's passkey.
func (b *browser) signIn(name safe.PersonName) (*http.Response, []byte) {
	b.v.t.Helper()
	return b.visit("POST", "/v1/sign-in", b.v.signs(name), nil)
}

// signs returns the body of a request by which somebody signs in.
func (v *visitedScene) signs(name safe.PersonName) []byte {
	return encode(v.t, api.SignIn{Nonce: opening.NewNonce(), Assertion: passkey.Assertion{Credential: v.passkeys[name].Credential(),
		AuthenticatorData: make([]byte, 37), ClientData: []byte("{}"), Signature: []byte("x")}})
}

// in returns the browser of somebody who has signed in.
func (v *visitedScene) in(name safe.PersonName) *browser {
	v.t.Helper()
	b := v.browser()
	if res, body := b.signIn(name); res.StatusCode != 200 || b.cookie == "" {
		v.t.Fatalf("%s does not sign in: %s %s", name, res.Status, body)
	}
	return b
}

// isIn reports whether the browser is signed in.
func (b *browser) isIn() bool {
	b.v.t.Helper()
	res, _ := b.visit("GET", "/people", nil, nil)
	api, _ := b.visit("GET", "/v1/people", nil, nil)
	if (res.StatusCode == 200) != (api.StatusCode == 200) {
		b.v.t.Errorf("the page says %s, the API %s", res.Status, api.Status)
	}
	return res.StatusCode == 200
}

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
GET /{$}                        ok ok ok ok 303 303 303 303 303 403 ok 303 303
GET /sources/{name}             ok ok ok ok 303 303 303 303 303 403 ok 303 303
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
			target := strings.NewReplacer("{$}", "", "{name}", "files").Replace(x.target)
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

// TestPRFNeverArrives: a body with the results of a PRF is refused and recorded
// wherever it comes to, and its content is nowhere.
func TestPRFNeverArrives(t *testing.T) {
	const secret = "c2VjcmV0IG9mIHRoZSBwYXNza2V5"
	v := newVisitedScene(t)
	results := `{"id":"x","clientExtensionResults":{"prf":{"enabled":true,"results":{"first":"` + secret + `"}}}}`
	bodies := map[string]func(right string) string{
		"a whole credential": func(string) string { return results },
		"beside what belongs there": func(right string) string {
			return strings.TrimSuffix(right, "}") + `,"credential":` + results + `}`
		},
		"deep within":   func(string) string { return `{"a":[1,{"b":[` + results + `]}]}` },
		"without a lid": func(string) string { return `{"prf" : { "results":{"first":"` + secret + `"}}}` },
		"cut short":     func(string) string { return results[:len(results)-5] },
	}
	for _, r := range allRoutes {
		if r.limit == 0 {
			continue
		}
		for name, body := range bodies {
			who := safe.PersonName("ada")
			if slices.Equal(r.roles, operator) {
				who = "bob"
			}
			x := v.forRoute(r.pattern, who)
			x.body = []byte(body(string(x.body)))
			before, refusedBefore := v.list()
			var res *http.Response
			var answer []byte
			if r.session || r.browser {
				b := v.in(who)
				before, refusedBefore = v.list()
				res, answer = b.visit(x.method, x.target, x.body, nil)
			} else {
				if r.roles == nil {
					x.who = ""
				}
				res, answer = v.fire(x)
			}
			calls, refused := v.list()
			if res.StatusCode != 403 || !bytes.Contains(answer, []byte("PRF")) || len(calls) > len(before) {
				t.Errorf("%s with %s: %s %s", r.pattern, name, res.Status, answer)
			}
			if len(refused) != len(refusedBefore)+1 || !strings.HasPrefix(refused[len(refused)-1], "prf: ") {
				t.Errorf("%s with %s: it is not recorded", r.pattern, name)
			}
			if bytes.Contains(answer, []byte(secret)) {
				t.Errorf("%s with %s: the answer has the result itself", r.pattern, name)
			}
			// So that it can be seen whose passkey is to be suspended.
			if named := strings.Contains(refused[len(refused)-1], fmt.Sprintf("what %s sent", who)); named != (r.roles != nil) {
				t.Errorf("%s with %s: the ledger has %q", r.pattern, name, refused[len(refused)-1])
			}
		}
	}
	_, refused := v.list()
	if strings.Contains(v.log.String(), secret) || strings.Contains(strings.Join(refused, " "), secret) {
		t.Error("the log, or the ledger, has the result itself")
	}
}

// TestMalformedCeremonies sends what is no ceremony.
func TestMalformedCeremonies(t *testing.T) {
	v := newVisitedScene(t)
	right := string(v.signs("dan"))
	nonce := opening.NewNonce()
	text, _ := nonce.MarshalText()
	tests := []struct {
		name, target, body string
		status             int
	}{
		{"no body", "/v1/sign-in", "", 415},
		{"no JSON", "/v1/sign-in", "sign me in", 400},
		{"array", "/v1/sign-in", "[]", 400},
		{"null", "/v1/sign-in", "null", 403},
		{"empty object", "/v1/sign-in", "{}", 403},
		{"unknown field", "/v1/sign-in", strings.TrimSuffix(right, "}") + `,"person":"ada"}`, 400},
		{"twice", "/v1/sign-in", right + right, 400},
		{"deep", "/v1/sign-in", strings.Repeat("[", 30_000), 400},
		{"no nonce", "/v1/sign-in", `{"nonce":"x"}`, 400},
		{"no assertion", "/v1/sign-in", `{"nonce":"` + string(text) + `","assertion":"strongroom-passkey-v1 a b c"}`, 400},
		{"assertion of another kind", "/v1/sign-in", `{"nonce":"` + string(text) + `","assertion":"-----BEGIN SSH SIGNATURE-----"}`, 400},
		{"huge assertion", "/v1/sign-in", `{"nonce":"` + string(text) + `","assertion":"strongroom-passkey-v1 ` + strings.Repeat("A", 20_000) + `"}`, 400},
		{"too large", "/v1/sign-in", right + strings.Repeat(" ", smallBody), 413},
		{"body where none belongs", "/v1/sign-in/begin", "{}", 413},
		{"no token", "/v1/passkeys/begin", "{}", 404},
		{"token that is none", "/v1/passkeys/begin", `{"token":"x"}`, 400},
		{"too large for an invitation", "/v1/passkeys/begin", strings.Repeat(" ", smallBody+1), 413},
		{"body of signing out", "/sign-out", "x", 303},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			res, body := v.browser().visit("POST", tt.target, []byte(tt.body), nil)
			if res.StatusCode != tt.status {
				t.Errorf("%s %s, want %d", res.Status, body, tt.status)
			}
			if len(res.Cookies()) > 0 && tt.status != 303 {
				t.Errorf("it has cookies: %v", res.Cookies())
			}
		})
	}
}

// TestMalformedBodies sends what is no message to each route that a page may
// call, from a page of somebody who may. None of it reaches the safe.
func TestMalformedBodies(t *testing.T) {
	v := newVisitedScene(t)
	b := v.in("ada")
	tests := []struct {
		name   string
		body   func(right []byte) []byte
		header http.Header
		status int
	}{
		{"no JSON", func([]byte) []byte { return []byte("please") }, nil, 400},
		{"no text", func([]byte) []byte { return []byte("\x00\xff\xfe") }, nil, 400},
		{"array", func([]byte) []byte { return []byte("[]") }, nil, 400},
		{"number", func([]byte) []byte { return []byte("1e999") }, nil, 400},
		{"cut short", func(right []byte) []byte { return right[:len(right)-1] }, nil, 400},
		{"twice", func(right []byte) []byte { return slices.Concat(right, right) }, nil, 400},
		{"unknown field", func(right []byte) []byte { return append(bytes.TrimSuffix(right, []byte("}")), `,"by":"ada"}`...) }, nil, 400},
		{"deep", func([]byte) []byte { return bytes.Repeat([]byte(`{"signed":`), 5_000) }, nil, 400},
		// Which would take far more memory than it has bytes.
		{"many values", func([]byte) []byte { return []byte(`{"inner":[{}` + strings.Repeat(",{}", 20_000) + "]}") }, nil, 400},
		{"as a form", func(right []byte) []byte { return right }, http.Header{"Content-Type": {"text/plain"}}, 415},
		{"compressed", func(right []byte) []byte { return right }, http.Header{"Content-Encoding": {"gzip"}}, 415},
	}
	before, _ := v.list()
	for _, r := range allRoutes {
		if !r.session || r.limit == 0 {
			continue
		}
		x := v.forRoute(r.pattern, "ada")
		for _, tt := range tests {
			res, body := b.visit(x.method, x.target, tt.body(bytes.Clone(x.body)), tt.header)
			var p api.Problem
			if err := spelling.Decode(body, &p); err != nil || res.StatusCode != tt.status || p.Error == "" {
				t.Errorf("%s, %s: %s %s", r.pattern, tt.name, res.Status, body)
			}
		}
		if r.slow {
			continue // its limit is 96 MiB, which take long and show nothing more
		}
		res, body := b.visit(x.method, x.target, bytes.Repeat([]byte(" "), int(r.limit)+1), nil)
		if res.StatusCode != 413 {
			t.Errorf("%s, too large: %s %s", r.pattern, res.Status, body)
		}
	}
	// A route without a body takes none.
	for _, r := range allRoutes {
		if !r.session || r.limit > 0 {
			continue
		}
		x := v.forRoute(r.pattern, "ada")
		if res, body := b.visit(x.method, x.target, []byte("{}"), nil); res.StatusCode != 413 {
			t.Errorf("%s, with a body: %s %s", r.pattern, res.Status, body)
		}
	}
	if after, refused := v.list(); len(after) > len(before) || len(refused) > 0 {
		t.Errorf("they have reached the safe: %q, %q", after[len(before):], refused)
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

// fromElsewhere is what a browser says of the release page on another host.
func fromElsewhere(session string) http.Header {
	header := http.Header{"Origin": {elsewhere}, "Sec-Fetch-Site": {"same-site"}}
	if session != "" {
		header.Set("Authorization", "Bearer "+session)
	}
	return header
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
