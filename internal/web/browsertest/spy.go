package browsertest

import (
	"encoding/base64"
	"fmt"

	"github.com/chromedp/cdproto/page"
)

// spy counts touches and keeps what PRFs gave. If a page asks for any passkey
// it plays the person who has chosen one.
const spy = `
	globalThis.spied = {touches: 0, prf: []}
	for (const what of ["create", "get"]) {
		const ask = navigator.credentials[what].bind(navigator.credentials)
		navigator.credentials[what] = async options => {
			spied.touches++
			if (spied.chosen && options.publicKey.allowCredentials?.length === 0) {
				options.publicKey.allowCredentials = [{type: "public-key", id: Uint8Array.from(atob(spied.chosen), c => c.charCodeAt(0))}]
			}
			const c = await ask(options)
			for (const r of Object.values(c.getClientExtensionResults().prf?.results ?? {})) spied.prf.push(btoa(String.fromCharCode(...new Uint8Array(r))))
			return c
		}
	}`

// Spy watches what authenticators are asked for in each document that the page
// opens from now on.
func (p *Page) Spy() {
	p.t.Helper()
	call(p, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: spy})
}

// Choose has the person of a page with a spy choose the passkey of that name,
// where the document that is open asks for any. Otherwise it is one of them by
// chance.
func (a *Authenticator) Choose(name string) {
	a.p.t.Helper()
	for _, c := range a.Credentials() {
		if c.UserName == name {
			Eval[string](a.p, fmt.Sprintf("spied.chosen = %q", base64.StdEncoding.EncodeToString(c.CredentialID)))
			return
		}
	}
	a.p.t.Fatalf("the authenticator has no passkey %q", name)
}

// Spied returns how often authenticators were asked in the document that is
// open, and what their PRFs gave.
func (p *Page) Spied() (touches int, prf [][]byte) {
	p.t.Helper()
	for _, text := range Eval[[]string](p, "spied.prf") {
		b, err := base64.StdEncoding.DecodeString(text)
		p.must(err)
		prf = append(prf, b)
	}
	return Eval[int](p, "spied.touches"), prf
}
