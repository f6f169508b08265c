package main

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"strongroom/internal/web/browsertest"
	"strongroom/internal/web/wiretest"
)

// An answer is what the safe says to a page.
type answer struct {
	Status int
	Text   string
}

// post sends a body as a script of the page could.
func (g *guest) post(path string, body any) answer {
	g.s.t.Helper()
	text, err := json.Marshal(body)
	g.s.must(err)
	literal, err := json.Marshal(string(text))
	g.s.must(err)
	return browsertest.Eval[answer](g.Page, fmt.Sprintf(`(async () => {
		const r = await fetch(%q, {method: "POST", headers: {"Content-Type": "application/json"}, body: %s})
		return {status: r.status, text: await r.text()}
	})()`, path, literal))
}

// refused fails the test unless the answer is a refusal in these words.
func (a answer) refused(t *testing.T, what, words string) {
	t.Helper()
	if a.Status != 403 || !strings.Contains(a.Text, words) {
		t.Errorf("%s: the safe answers %d %s, want a refusal with %q", what, a.Status, a.Text, words)
	}
}

// enrolWithoutPRF has somebody be invited whose authenticator keeps no keys.
func (s *site) enrolWithoutPRF(name string) {
	s.t.Helper()
	g := s.guest(name)
	g.Remove()
	g.Authenticate(false)
	g.Go(s.invite(name, "keykeeper"))
	g.Press("Begin")
	g.Press("Make the passkey for looking")
	g.Press("Make the passkey that signs")
	g.says("#enrol-status", "lacks the extension PRF")
	g.says("#enrol-status", "Take another authenticator")
}

// releaseWithoutPRF has the guest at an opening with a device that has the
// passkeys, and cannot evaluate their PRF: from now on it is the guest's own.
func (g *guest) releaseWithoutPRF(link string) {
	g.s.t.Helper()
	passkeys := g.Credentials()
	g.Remove()
	g.Authenticator = g.Authenticate(false)
	g.Hold(passkeys...)
	g.Go(link)
	g.Press("Look at what would be released")
	g.Click("#release-button")
	g.says("#release-status", "lacks the extension PRF")
	g.says("#release-status", "do not delete it")
	g.keep()
}

// releaseUnverified has the guest touch an authenticator that does not check who
// does.
func (g *guest) releaseUnverified(link string) {
	g.s.t.Helper()
	g.Go(link)
	g.Press("Look at what would be released")
	g.Lie(true)
	g.Click("#release-button")
	g.says("#release-status", "did not check who touched it")
	g.Lie(false)
	g.keep()
}

// signInUnverified signs in as the page does, but for what it checks.
const signInUnverified = `(async () => {
	const bytes = s => Uint8Array.from(atob(s.replaceAll("-", "+").replaceAll("_", "/")), c => c.charCodeAt(0))
	const text = b => btoa(String.fromCharCode(...new Uint8Array(b))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")
	const {nonce, store, domain} = await (await fetch("/v1/sign-in/begin", {method: "POST"})).json()
	const message = [...new TextEncoder().encode("strongroom/v1/sign-in\n" + store + "\n"), ...bytes(nonce)]
	const challenge = await crypto.subtle.digest("SHA-256", new Uint8Array(message))
	const {rawId, response} = await navigator.credentials.get({publicKey: {challenge, rpId: domain, userVerification: "discouraged", allowCredentials: []}})
	const parts = [rawId, response.authenticatorData, response.clientDataJSON, response.signature].map(text)
	const assertion = ["strongroom-passkey-v1", ...parts].join(" ")
	const r = await fetch("/v1/sign-in", {method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify({nonce, assertion})})
	return {status: r.status, text: await r.text()}
})()`

// signInUnverified has the guest sign in likewise.
func (g *guest) signInUnverified() {
	g.s.t.Helper()
	g.Go(g.s.origin + "/sign-in")
	g.Choose(g.name + " at acme")
	g.Lie(true)
	browsertest.Eval[answer](g.Page, signInUnverified).refused(g.s.t, "without user verification", "no passkey of somebody of this safe")
	g.Lie(false)
}

// signInFrom has somebody come with the guest's passkey from another machine's
// address.
func (g *guest) signInFrom(other string) {
	g.s.t.Helper()
	there := g.s.guest(other)
	there.Hold(g.Credentials()...)
	there.Go(g.s.origin + "/sign-in")
	there.Choose(g.name + " at acme")
	there.Press("Sign in with your passkey")
	there.says("#sign-in-status", g.name+" is a keykeeper and calls from an address of the operator "+other)
}

// alteredReleases has what the guest releases be altered on its way from the
// page, which is the last moment at which it could be.
func (g *guest) alteredReleases(link string) {
	g.s.t.Helper()
	for _, tt := range []struct{ name, alter, want string }{
		{"another reason", `m.release.grant = m.release.grant.replace("disk array lost", "disk array last")`, "not the grant that was given out with its nonce"},
		{"another nonce", `m.release.nonce = "A".repeat(43)`, "its nonce is none that was given out"},
		{"another's signature", `m.release.keykeeper = "kim"`, g.name + " sent a release of kim"},
	} {
		g.Go(link)
		g.Press("Look at what would be released")
		g.Wait(`document.querySelector("#release-button")`)
		browsertest.Eval[bool](g.Page, fmt.Sprintf(`{
			const send = fetch
			globalThis.fetch = (url, options) => {
				if (options.method === "POST" && url.endsWith("/release")) {
					const m = JSON.parse(options.body)
					%s
					options.body = JSON.stringify(m)
				}
				return send(url, options)
			}
			true
		}`, tt.alter))
		g.Click("#release-button")
		g.says("#release-status", tt.want)
		g.keep()
	}
}

// replays has what the guest has released be sent once more.
func (g *guest) replays(kim *guest) {
	t := g.s.t
	t.Helper()
	var path string
	var body []byte
	for _, r := range g.Sent() {
		if p, ok := strings.CutPrefix(r.URL, g.s.origin); ok && strings.HasSuffix(p, "/release") {
			path, body = p, r.Body
		}
	}
	var m map[string]any
	g.s.must(json.Unmarshal(body, &m))
	g.post(path, m).refused(t, "the same release once more", "or it was used")
	kim.post(path, m).refused(t, "the release of another person", "kim sent a release of "+g.name)

	// What a page with a mistake would send, and a test of the test: this one is
	// found on its way.
	result := make([]byte, 32)
	rand.Read(result)
	m["clientExtensionResults"] = map[string]any{"prf": map[string]any{"results": map[string]any{"first": base64.StdEncoding.EncodeToString(result)}}}
	kim.post(path, m).refused(t, "a body with the results of a PRF", "must never leave the page")
	found := false
	for _, sent := range kim.line.Sent() {
		found = found || len(wiretest.Find(sent, result)) > 0
	}
	if !found {
		t.Error("what a page sends is not found on the wire")
	}
}
