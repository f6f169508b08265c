package web_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/access/accesstest"
	"strongroom/internal/access/api"
	"strongroom/internal/access/compose"
	"strongroom/internal/access/passkey"
	"strongroom/internal/access/passkey/passkeytest"
	"strongroom/internal/ledger"
	"strongroom/internal/store/seal"
	"strongroom/internal/web/certificate"
)

// A browser is at the safe's pages, without their scripts.
type browser struct {
	h      *house
	http   *http.Client
	cookie string
}

func (h *house) browser(from netip.Addr) *browser {
	h.t.Helper()
	trust, err := certificate.Trust(h.auto.CA())
	h.must(err)
	dialer := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))}
	transport := &http.Transport{TLSClientConfig: trust, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, network, strings.TrimPrefix(h.url, "https://"))
	}}
	h.t.Cleanup(transport.CloseIdleConnections)
	return &browser{h: h, http: &http.Client{Transport: transport, Timeout: 10 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// call sends a request, and returns the status and the body of the answer.
func (b *browser) call(method, target string, message any) (int, string) {
	b.h.t.Helper()
	var body bytes.Buffer
	if message != nil {
		b.h.must(json.NewEncoder(&body).Encode(message))
	}
	req, err := http.NewRequest(method, accesstest.Origin+target, &body)
	b.h.must(err)
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	if method == "POST" {
		req.Header.Set("Origin", accesstest.Origin)
	}
	if message != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if b.cookie != "" {
		req.Header.Set("Cookie", "__Host-strongroom="+b.cookie)
	}
	res, err := b.http.Do(req)
	b.h.must(err)
	defer res.Body.Close()
	for _, c := range res.Cookies() {
		b.cookie = c.Value
	}
	text, err := io.ReadAll(res.Body)
	b.h.must(err)
	return res.StatusCode, string(text)
}

// ask sends a request, whose answer is read.
func ask[A any](b *browser, route string, message any) (answer A) {
	b.h.t.Helper()
	method, target, _ := strings.Cut(route, " ")
	status, text := b.call(method, target, message)
	if status/100 != 2 {
		b.h.t.Fatalf("%s: %d %s", route, status, text)
	}
	if text != "" {
		b.h.must(json.Unmarshal([]byte(text), &answer))
	}
	return answer
}

// enrol has somebody enrol on the page.
func (b *browser) enrol(s accesstest.Somebody, role access.Role) access.Enrolment {
	h := b.h
	h.t.Helper()
	i := h.invite(s.Name, role)
	c := ask[api.Ceremony](b, api.PasskeysBegin, api.Invited{Token: i.Token})
	e := access.Enrolment{Version: 1, Store: i.Store, Time: time.Now().UTC().Truncate(time.Second), Person: s.Person, Domain: c.Domain}
	if s.Has(access.Keykeeper) {
		var err error
		e.OuterCopy, err = h.outer.SealTo(s.Key, e.Time)
		h.must(err)
	}
	m := api.Enrolling{Token: i.Token, Enrolment: e.Encode()}
	for _, p := range s.Passkeys {
		a := s.SignIn
		if p.Use == access.Release {
			a = s.Release
		}
		made := a.Register(c.Challenge)
		m.Passkeys = append(m.Passkeys, api.Registration{Use: p.Use, AttestationObject: made.AttestationObject, ClientData: made.ClientData})
	}
	ask[struct{}](b, api.Enrol, m)
	h.people[s.Name] = s
	return e
}

// signIn touches a passkey.
func (b *browser) signIn(a *passkeytest.Authenticator) (int, string) {
	b.h.t.Helper()
	c := ask[api.SignInChallenge](b, api.SignInBegin, nil)
	return b.call("POST", "/v1/sign-in", api.SignIn{Nonce: c.Nonce, Assertion: a.Get(b.h.t, passkey.Challenge(api.SignInNamespace, api.SignInMessage(c.Store, c.Nonce)))})
}

// found has bob propose the roster of the founders, and ada, whose browser it is,
// agree with her passkey for releases.
func (b *browser) found(founders []access.Enrolment) {
	h := b.h
	h.t.Helper()
	current, err := access.ParseRoster(ask[api.Everyone](b, api.People, nil).Current)
	h.must(err)
	next, err := compose.Found(current, founders, compose.Keyring{}, time.Now())
	h.must(err)
	agree := access.Agree{Number: next.Number, Digest: next.Digest()}
	h.must(h.as("bob", desk).Propose(h.t.Context(), next.Encode(), h.says("bob", agree)))
	ask[struct{}](b, api.Agree, api.Act{Signed: h.says("ada", agree)})
	for start := time.Now(); h.safe.Roster().Digest() != next.Digest(); time.Sleep(10 * time.Millisecond) {
		if time.Since(start) > 5*time.Second {
			h.t.Fatal("the safe is not founded")
		}
	}
}

// TestPeopleLook has people come with passkeys to a real safe: they enrol, sign
// in, look, act, and are put out.
func TestPeopleLook(t *testing.T) {
	h := newHouse(t)
	bob := h.enrol("bob", access.Operator)
	ada, dan := accesstest.NewPasskeyPerson(t, "ada", access.Keykeeper), accesstest.NewPasskeyPerson(t, "dan", access.Auditor)
	phone, laptop, cafe := h.browser(home), h.browser(netip.MustParseAddr("127.0.0.4")), h.browser(netip.MustParseAddr("127.0.0.5"))
	founders := []access.Enrolment{phone.enrol(ada, access.Keykeeper), bob, laptop.enrol(dan, access.Auditor)}

	// Who has only enrolled sees the people, and nothing else.
	if status, text := laptop.signIn(dan.SignIn); status != 200 || !strings.Contains(text, `"pending":true`) {
		t.Fatalf("dan signs in: %d %s", status, text)
	}
	if status, _ := phone.signIn(ada.SignIn); status != 200 {
		t.Fatalf("ada signs in: %d", status)
	}
	for target, want := range map[string]int{"/people": 200, "/": 303, "/openings": 303, "/ledger": 303, "/v1/openings": 403} {
		if status, text := laptop.call("GET", target, nil); status != want {
			t.Errorf("before the safe is founded, %s: %d\n%s", target, status, text)
		}
	}

	// A keykeeper founds it with her passkey for releases.
	phone.found(founders)
	_, err := h.safe.Collect(t.Context(), t.Context(), h.cfg.Sources[0], nil)
	h.must(err)

	// Everybody looks at everything.
	for target, text := range map[string]string{
		"/": "files", "/sources/files": "files", "/openings": "Openings", "/people": "bob", "/ledger": "safe.created", "/ledger/0": "Entry 0",
	} {
		for _, b := range []*browser{phone, laptop} {
			if status, body := b.call("GET", target, nil); status != 200 || !strings.Contains(body, text) {
				t.Errorf("%s: %d\n%s", target, status, body)
			}
		}
	}
	if got := ask[api.Session](phone, api.WhoAmI, nil); got != (api.Session{Person: "ada", Safe: "test", Store: h.safe.ID(), Domain: accesstest.Domain}) {
		t.Errorf("ada's page is told %+v", got)
	}

	// A keykeeper does not come from the operator's desk, neither to sign in nor
	// with a session from elsewhere.
	elsewhere := h.browser(desk)
	if status, text := elsewhere.signIn(ada.SignIn); status != 403 || !strings.Contains(text, "address of the operator bob") {
		t.Errorf("ada signs in at bob's desk: %d %s", status, text)
	}
	elsewhere.cookie = phone.cookie
	if status, _ := elsewhere.call("GET", "/openings", nil); status != 403 {
		t.Errorf("ada's session at bob's desk: %d", status)
	}

	// An assertion is good once, and only a passkey to sign in with signs in.
	c := ask[api.SignInChallenge](phone, api.SignInBegin, nil)
	m := api.SignIn{Nonce: c.Nonce, Assertion: ada.SignIn.Get(t, passkey.Challenge(api.SignInNamespace, api.SignInMessage(c.Store, c.Nonce)))}
	ask[api.SignedIn](phone, api.SignInFinish, m)
	if status, text := cafe.call("POST", "/v1/sign-in", m); status != 403 {
		t.Errorf("the same assertion once more: %d %s", status, text)
	}
	if status, text := cafe.signIn(ada.Release); status != 400 || !strings.Contains(text, "for releases") {
		t.Errorf("with the passkey for releases: %d %s", status, text)
	}

	// She proposes a version from the page, and shows that she holds the outer
	// key. Nobody proposes with somebody else's touch.
	officer := accesstest.NewPasskeyPerson(t, "eva", access.Officer)
	next, err := compose.Add(h.safe.Roster(), []access.Enrolment{laptop.enrol(officer, access.Officer)}, compose.Keyring{}, nil, time.Now())
	h.must(err)
	proposing := api.Proposing{Roster: next.Encode(), Signed: h.says("ada", access.Agree{Number: next.Number, Digest: next.Digest()})}
	if status, text := laptop.call("POST", "/v1/roster/propose", proposing); status != 403 {
		t.Errorf("dan proposes what ada has signed: %d %s", status, text)
	}
	ask[struct{}](phone, api.Propose, proposing)
	if status, text := phone.call("POST", "/v1/roster/propose", proposing); status != 400 || !strings.Contains(text, "proposed already") {
		t.Errorf("once more: %d %s", status, text)
	}
	if got := events[ledger.RosterProposed](h); len(got) != 2 || got[1].Digest != next.Digest() || got[1].Signed != proposing.Signed {
		t.Errorf("the ledger says that was proposed: %+v", got)
	}
	check := ask[api.Challenge](phone, api.KeyBegin, api.KeyCheck{Role: "outer", Period: 1})
	nonce, err := seal.AnswerOuterProof(h.outer, check.Sealed)
	h.must(err)
	if status, text := laptop.call("POST", "/v1/keys/answer", api.Answer{ID: check.ID, Nonce: nonce}); status != 403 {
		t.Errorf("dan answers for ada: %d %s", status, text)
	}
	ask[struct{}](phone, api.KeyAnswer, api.Answer{ID: check.ID, Nonce: nonce})
	if status, text := phone.call("POST", "/v1/keys/answer", api.Answer{ID: check.ID, Nonce: nonce}); status != 403 {
		t.Errorf("the same answer once more: %d %s", status, text)
	}
	if got := events[ledger.KeyChecked](h); len(got) != 1 || got[0] != (ledger.KeyChecked{Role: "outer", Period: 1}) {
		t.Errorf("the ledger says that was proven: %+v", got)
	}

	// Who is suspended is out at once.
	ask[struct{}](phone, api.Suspend, api.Act{Signed: h.says("ada", access.Suspend{Person: "dan", Reason: "left the company"})})
	if status, _ := laptop.call("GET", "/", nil); status != 303 {
		t.Errorf("dan is suspended, and sees the overview: %d", status)
	}
	if status, text := laptop.signIn(dan.SignIn); status != 403 || !strings.Contains(text, "suspended") {
		t.Errorf("dan is suspended, and signs in: %d %s", status, text)
	}
	if status, _ := phone.call("POST", "/sign-out", nil); status != 303 {
		t.Errorf("signing out: %d", status)
	}
	phone.cookie = elsewhere.cookie
	if status, _ := phone.call("GET", "/", nil); status != 303 {
		t.Errorf("a session that has ended: %d", status)
	}

	var refused []string
	for _, e := range events[ledger.AccessRefused](h) {
		refused = append(refused, fmt.Sprint(e.What, ": ", e.Reason))
	}
	for _, want := range []string{"openings.read: dan is enrolled", "call: ada is a keykeeper", "or it was used", "is suspended"} {
		if !strings.Contains(strings.Join(refused, "\n"), want) {
			t.Errorf("the ledger does not tell of %q:\n%s", want, strings.Join(refused, "\n"))
		}
	}
}
