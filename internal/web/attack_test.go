package web_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/access/accesstest"
	"strongroom/internal/access/api"
	"strongroom/internal/access/opening"
	"strongroom/internal/access/passkey"
	"strongroom/internal/access/passkey/passkeytest"
	"strongroom/internal/access/signature"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/store/seal"
)

// lying returns an authenticator, or its browser, that says something else.
func lying(a *passkeytest.Authenticator, lie func(*passkeytest.Authenticator)) *passkeytest.Authenticator {
	other := *a
	lie(&other)
	return &other
}

// told sees that the ledger tells of a refusal in these words.
func (h *house) told(words string) {
	h.t.Helper()
	var all []string
	for _, e := range events[ledger.AccessRefused](h) {
		all = append(all, string(e.Reason))
	}
	if text := strings.Join(all, "\n"); !strings.Contains(text, words) {
		h.t.Errorf("the ledger does not tell of %q:\n%s", words, text)
	}
}

// TestAttacksOnARelease hands releases that are none to a real safe, from a
// keykeeper's page and from whoever would like to be there. Nothing opens, and
// the ledger tells of it.
func TestAttacksOnARelease(t *testing.T) {
	h, ctx := newHouse(t), t.Context()
	bob := h.enrol("bob", access.Operator)
	ada, dan := accesstest.NewPasskeyPerson(t, "ada", access.Keykeeper), accesstest.NewPasskeyPerson(t, "dan", access.Auditor)
	phone, laptop := h.browser(home), h.browser(netip.MustParseAddr("127.0.0.4"))
	founders := []access.Enrolment{phone.enrol(ada, access.Keykeeper), bob, laptop.enrol(dan, access.Auditor)}
	for b, a := range map[*browser]*passkeytest.Authenticator{phone: ada.SignIn, laptop: dan.SignIn} {
		if status, text := b.signIn(a); status != 200 {
			t.Fatalf("signing in: %d %s", status, text)
		}
	}
	phone.found(founders)
	outcome, err := h.safe.Collect(ctx, ctx, h.cfg.Sources[0], nil)
	h.must(err)
	q := access.Request{Opening: safe.NewOpeningID(time.Now()), NotAfter: time.Now().Add(time.Hour).UTC(), Hours: 1,
		Snapshots: []safe.RunID{outcome.Snapshot.Run}, Reason: "a drill", Address: desk, Known: 1}
	h.must(h.as("bob", desk).Request(ctx, h.says("bob", q)))

	target := "/v1/openings/" + q.Opening.String()
	grant := func() api.Granted {
		t.Helper()
		return ask[api.Granted](phone, "POST "+target+"/grant", nil)
	}
	grant()
	var inner []api.Inner
	for _, e := range ask[[]api.Envelope](phone, "GET "+target+"/envelopes", nil) {
		file, err := seal.OpenOuter(h.outer, e.Envelope, seal.Want{Store: h.safe.ID(), Run: e.Run, Source: "files"})
		h.must(err)
		inner = append(inner, api.Inner{Run: e.Run, File: file})
	}
	release := func(g api.Granted, by *passkeytest.Authenticator) opening.Release {
		t.Helper()
		made, err := signature.OfPasskey(by.Get(t, passkey.Challenge(opening.ReleaseNamespace, append(g.Nonce[:], g.Grant...))))
		h.must(err)
		return opening.Release{Version: 1, Keykeeper: "ada", Nonce: g.Nonce, Grant: string(g.Grant), Request: g.Request, Signature: made}
	}
	lie := func(lie func(*passkeytest.Authenticator)) func(api.Granted) opening.Release {
		return func(g api.Granted) opening.Release { return release(g, lying(ada.Release, lie)) }
	}
	atDesk := h.browser(desk)
	atDesk.cookie = phone.cookie
	const unsigned = "does not bear the signature"
	for _, tt := range []struct {
		name    string
		by      *browser
		release func(api.Granted) opening.Release
		reason  string
	}{
		{"a nonce of one's own", phone, func(g api.Granted) opening.Release { g.Nonce = opening.NewNonce(); return release(g, ada.Release) }, "nonce is none"},
		{"another nonce than was signed", phone, func(g api.Granted) opening.Release {
			r := release(grant(), ada.Release)
			r.Nonce = g.Nonce
			return r
		}, unsigned},
		{"altered grant", phone, func(g api.Granted) opening.Release {
			altered, err := opening.ParseGrant(g.Grant)
			h.must(err)
			altered.Until = altered.Until.Add(time.Hour)
			g.Grant = altered.Encode()
			return release(g, ada.Release)
		}, "not the grant that was given out"},
		{"user verification missing", phone, lie(func(a *passkeytest.Authenticator) { a.Flags &^= passkeytest.UserVerified }), unsigned},
		{"nobody touched it", phone, lie(func(a *passkeytest.Authenticator) { a.Flags &^= passkeytest.UserPresent }), unsigned},
		{"within another page", phone, lie(func(a *passkeytest.Authenticator) { a.CrossOrigin = true }), unsigned},
		{"for another domain", phone, lie(func(a *passkeytest.Authenticator) { a.Domain = "safe.acme.example" }), unsigned},
		{"on a neighbour's page", phone, lie(func(a *passkeytest.Authenticator) { a.Origin = "https://www.acme.example" }), "on a page of \"https://www.acme.example\", which is none of this safe's"},
		{"with the passkey to sign in", phone, func(g api.Granted) opening.Release { return release(g, ada.SignIn) }, unsigned},
		{"in the name of who asked", phone, func(g api.Granted) opening.Release {
			r := release(g, ada.Release)
			r.Keykeeper = "bob"
			return r
		}, "ada sent a release of bob"},
		{"by an auditor", laptop, func(g api.Granted) opening.Release { return release(g, ada.Release) }, "that is for keykeepers, and dan is none"},
		{"at the desk of who asked", atDesk, func(g api.Granted) opening.Release { return release(g, ada.Release) }, "ada is a keykeeper and calls from an address of the operator bob"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, text := tt.by.call("POST", target+"/release", api.Released{Release: tt.release(grant()), Inner: inner})
			if status != 403 {
				t.Errorf("%d %s", status, text)
			}
			h.told(tt.reason)
		})
	}
	h.refused(h.as("bob", desk).Release(ctx, q.Opening, release(grant(), ada.Release), inner), 403, "that is for keykeepers, and bob is none")
	if status, text := phone.call("POST", target+"/release", map[string]any{"credential": map[string]any{"clientExtensionResults": map[string]any{"prf": map[string]any{"results": "x"}}}}); status != 403 || !strings.Contains(text, "what ada sent") {
		t.Errorf("the result of a PRF: %d %s", status, text)
	}
	h.told("what ada sent has the result of a passkey's PRF")
	if o, err := h.safe.Opening(ctx, q.Opening); err != nil || o.State != opening.Requested || len(events[ledger.OpeningReleased](h)) > 0 {
		t.Fatalf("the opening is %s, %v", o.State, err)
	}

	// What is right opens, and does so once.
	right := api.Released{Release: release(grant(), ada.Release), Inner: inner}
	if status, text := phone.call("POST", target+"/release", right); status != 204 {
		t.Fatalf("%d %s", status, text)
	}
	if status, text := phone.call("POST", target+"/release", right); status != 403 || !strings.Contains(text, "nonce is none") {
		t.Errorf("once more: %d %s", status, text)
	}
	if status, text := phone.call("POST", target+"/close", api.Act{Signed: h.says("ada", access.Close{Opening: q.Opening, Reason: "done"})}); status != 204 {
		t.Errorf("closing: %d %s", status, text)
	}
}

// TestAttacksOnASignIn has whoever would like to be somebody else sign in at a
// real safe. All are told the same, and the ledger why.
func TestAttacksOnASignIn(t *testing.T) {
	h := newHouse(t)
	bob := h.enrol("bob", access.Operator)
	ada := accesstest.NewPasskeyPerson(t, "ada", access.Keykeeper)
	phone := h.browser(home)
	founders := []access.Enrolment{phone.enrol(ada, access.Keykeeper), bob}
	if status, text := phone.signIn(ada.SignIn); status != 200 {
		t.Fatalf("signing in: %d %s", status, text)
	}
	phone.found(founders)

	cafe := h.browser(netip.MustParseAddr("127.0.0.5"))
	begin := func() api.SignInChallenge { return ask[api.SignInChallenge](cafe, api.SignInBegin, nil) }
	sign := func(c api.SignInChallenge, by *passkeytest.Authenticator) api.SignIn {
		return api.SignIn{Nonce: c.Nonce, Assertion: by.Get(t, passkey.Challenge(api.SignInNamespace, api.SignInMessage(c.Store, c.Nonce)))}
	}
	for _, tt := range []struct {
		name   string
		m      func() api.SignIn
		reason string
	}{
		{"another nonce than was signed", func() api.SignIn {
			m := sign(begin(), ada.SignIn)
			m.Nonce = begin().Nonce
			return m
		}, "signed something else"},
		{"signed for another safe", func() api.SignIn {
			c := begin()
			c.Store = safe.NewStoreID()
			return sign(c, ada.SignIn)
		}, "signed something else"},
		{"user verification missing", func() api.SignIn {
			return sign(begin(), lying(ada.SignIn, func(a *passkeytest.Authenticator) { a.Flags &^= passkeytest.UserVerified }))
		}, "did not ask who touched it"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, text := cafe.call("POST", "/v1/sign-in", tt.m())
			if status != 403 || !strings.Contains(text, "that was no passkey of somebody of this safe") || cafe.cookie != "" {
				t.Errorf("%d %s, cookie %q", status, text, cafe.cookie)
			}
			h.told(tt.reason)
		})
	}

	// Nor does somebody who is to be a keykeeper come from the operator's desk.
	eva := accesstest.NewPasskeyPerson(t, "eva", access.Keykeeper)
	tablet, atDesk := h.browser(netip.MustParseAddr("127.0.0.6")), h.browser(desk)
	tablet.enrol(eva, access.Keykeeper)
	if status, text := atDesk.signIn(eva.SignIn); status != 403 || !strings.Contains(text, "address of the operator bob") || atDesk.cookie != "" {
		t.Errorf("eva signs in at bob's desk: %d %s", status, text)
	}
	h.told("eva has enrolled as a keykeeper and calls from an address of the operator bob")
	if status, text := tablet.signIn(eva.SignIn); status != 200 {
		t.Errorf("eva signs in: %d %s", status, text)
	}
}
