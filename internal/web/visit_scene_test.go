package web

import (
	"maps"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/access/accesstest"
	"strongroom/internal/access/api"
	"strongroom/internal/access/opening"
	"strongroom/internal/access/passkey"
	"strongroom/internal/access/passkey/passkeytest"
	"strongroom/internal/access/signature"
	"strongroom/internal/safe"
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

// fromElsewhere is what a browser says of the release page on another host.
func fromElsewhere(session string) http.Header {
	header := http.Header{"Origin": {elsewhere}, "Sec-Fetch-Site": {"same-site"}}
	if session != "" {
		header.Set("Authorization", "Bearer "+session)
	}
	return header
}
