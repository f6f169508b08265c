// Package browsertest starts a real Chromium for tests of pages, with an
// authenticator for passkeys that needs no finger.
//
// A Browser takes a second to start and some 300 MB, so a test has one and
// opens Pages in it, which share nothing: each has its own cookies, its own
// authenticator and a record of all that it sent. Names below .test are this
// machine, every other name but localhost is nowhere.
package browsertest

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
)

// Modules is a script, an ES module, that exports all modules of the pages by
// their names: the kit with which a test calls them one by one.
//
//go:embed modules.js
var Modules []byte

// A Browser is a running Chromium.
type Browser struct{ ctx context.Context }

// Start starts a Browser, which takes these certificates for good whatever
// their names. The test is skipped if there is no Chromium, unless CI is set.
// The Browser ends with the test.
func Start(t testing.TB, trusted ...*x509.Certificate) *Browser {
	t.Helper()
	b, stop, err := launch(trusted)
	skipOrFail(t, err)
	t.Cleanup(stop)
	return b
}

func skipOrFail(t testing.TB, err error) {
	t.Helper()
	if errors.Is(err, exec.ErrNotFound) && os.Getenv("CI") == "" {
		t.Skip("there is no Chromium: hack/deps installs it")
	}
	if err != nil {
		t.Fatalf("starting Chromium: %v", err)
	}
}

func launch(trusted []*x509.Certificate) (*Browser, func(), error) {
	program, err := exec.LookPath("chromium")
	if err != nil {
		return nil, nil, err
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program),
		chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("host-resolver-rules", "MAP *.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1"),
	)
	if len(trusted) > 0 {
		var keys []string
		for _, c := range trusted {
			sum := sha256.Sum256(c.RawSubjectPublicKeyInfo)
			keys = append(keys, base64.StdEncoding.EncodeToString(sum[:]))
		}
		options = append(options, chromedp.Flag("ignore-certificate-errors-spki-list", strings.Join(keys, ",")))
	}
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(allocator)
	if err := chromedp.Do(ctx); err != nil {
		cancel()
		stop()
		return nil, nil, err
	}
	return &Browser{ctx}, func() { cancel(); stop() }, nil
}

// A Page is a tab. Its methods fail the test that it was opened for.
type Page struct {
	t   testing.TB
	ctx context.Context

	mu         sync.Mutex // guards the fields below
	sent       []Request
	complaints []string
}

// A Request is what a page sent.
type Request struct {
	Method, URL string
	Body        []byte
}

// Open opens a Page at that address.
func (b *Browser) Open(t testing.TB, url string) *Page {
	t.Helper()
	return b.OpenVia(t, "", url)
}

// OpenVia opens a Page that reaches everything through a proxy, which finds out
// by itself where names lead. "" stands for none.
func (b *Browser) OpenVia(t testing.TB, proxy, url string) *Page {
	t.Helper()
	ctx, cancel := chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext(func(c *target.CreateBrowserContextParams) { c.ProxyServer = proxy }))
	t.Cleanup(cancel)
	p := &Page{t: t, ctx: ctx}
	size := int64(1 << 30) // all of any body
	p.must(chromedp.Do(ctx))
	p.must(chromedp.Listen(ctx, p.listen))
	call(p, network.Enable, network.EnableParams{MaxPostDataSize: &size})
	call(p, log.Enable, struct{}{})
	p.Go(url)
	return p
}

func (p *Page) listen(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		r := Request{Method: e.Request.Method, URL: e.Request.URL + e.Request.URLFragment}
		for _, part := range e.Request.PostDataEntries {
			r.Body = append(r.Body, part.Bytes...)
		}
		p.sent = append(p.sent, r)
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError {
			p.complaints = append(p.complaints, e.Entry.Text)
		}
	case *runtime.EventExceptionThrown:
		p.complaints = append(p.complaints, fmt.Sprint(e.ExceptionDetails.Text, " ", e.ExceptionDetails.Exception.Description))
	}
}

// Context is for what this package does not offer: chromedp's actions take it.
func (p *Page) Context() context.Context { return p.ctx }

// Sent returns all requests of the page so far.
func (p *Page) Sent() []Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.sent)
}

// Complaints returns the errors that the browser has logged: exceptions that
// nobody caught, what a policy forbade, what could not be loaded.
func (p *Page) Complaints() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.complaints)
}

// Go goes to that address.
func (p *Page) Go(url string) {
	p.t.Helper()
	p.must(p.do(chromedp.Navigate(url)))
}

// patience is how long a page may take for anything. A browser on a busy
// machine is slow, and a test that fails for it is worse than one that waits.
const patience = time.Minute

func (p *Page) do(actions ...chromedp.Action[chromedp.Void]) error {
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	return chromedp.Do(ctx, actions...)
}

func (p *Page) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatalf("the page: %v; the browser's log: %q", err, p.Complaints())
	}
}

// Try evaluates an expression and waits for what it promises. An exception is
// an error.
func Try[T any](p *Page, expression string) (T, error) {
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// Eval is Try for what must not fail.
func Eval[T any](p *Page, expression string) T {
	p.t.Helper()
	v, err := Try[T](p, expression)
	p.must(err)
	return v
}

// Wait waits until an expression is true.
func (p *Page) Wait(expression string) {
	p.t.Helper()
	for end := time.Now().Add(patience); ; {
		ok, err := Try[bool](p, "!!("+expression+")")
		if err == nil && ok {
			return
		}
		if time.Now().After(end) {
			p.t.Fatalf("waited in vain for %s: %v; the page says %q; the browser's log: %q", expression, err, p.Text("body"), p.Complaints())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Click clicks the element that a CSS selector names, once it can be clicked.
func (p *Page) Click(selector string) {
	p.t.Helper()
	at := fmt.Sprintf("document.querySelector(%q)", selector)
	p.Wait(at + " && !" + at + ".disabled && " + at + ".checkVisibility()")
	p.must(p.do(chromedp.Click(chromedp.CSS(selector))))
}

// Tick clicks a box until it is ticked, as somebody does who sees that it is not:
// a page may move while a slow machine draws it, and then a click misses.
func (p *Page) Tick(selector string) {
	p.t.Helper()
	for range 5 {
		p.Click(selector)
		if Eval[bool](p, fmt.Sprintf("document.querySelector(%q).checked", selector)) {
			return
		}
	}
	p.t.Fatalf("%s cannot be ticked", selector)
}

// Press clicks the button with that text, once it can be clicked.
func (p *Page) Press(text string) {
	p.t.Helper()
	p.Wait(fmt.Sprintf(`[...document.querySelectorAll("button")].find(b => b.innerText === %q && !b.disabled && b.checkVisibility())`, text))
	Eval[bool](p, fmt.Sprintf(`[...document.querySelectorAll("button")].find(b => b.innerText === %q).setAttribute("data-press", ""), true`, text))
	p.Click("button[data-press]")
	Try[bool](p, `document.querySelector("button[data-press]")?.removeAttribute("data-press"), true`) // it may be gone
}

// Upload chooses a file in the field that a CSS selector names.
func (p *Page) Upload(selector, file string) {
	p.t.Helper()
	p.must(p.do(chromedp.SetUploadFiles(chromedp.CSS(selector), []string{file})))
}

// Fill puts text into the field that a CSS selector names, once it is there, as
// typing would.
func (p *Page) Fill(selector, text string) {
	p.t.Helper()
	p.Wait(fmt.Sprintf("document.querySelector(%q)", selector))
	Eval[bool](p, fmt.Sprintf(`{
		const e = document.querySelector(%q)
		e.focus()
		e.value = %q
		e.dispatchEvent(new Event("input", {bubbles: true}))
		e.dispatchEvent(new Event("change", {bubbles: true}))
		true
	}`, selector, text))
}

// Text returns the visible text of the element that a CSS selector names, ""
// if there is none.
func (p *Page) Text(selector string) string {
	text, _ := Try[string](p, fmt.Sprintf("document.querySelector(%q)?.innerText ?? ''", selector))
	return text
}

// An Authenticator is what passkeys live in. Each Page has its own.
type Authenticator struct {
	p  *Page
	id webauthn.AuthenticatorID
}

// Authenticate gives the page an authenticator, which acts at once whenever it
// is asked. With prf it can evaluate a PRF.
func (p *Page) Authenticate(prf bool) *Authenticator {
	p.t.Helper()
	call(p, webauthn.Enable, webauthn.EnableParams{})
	added := call(p, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &webauthn.VirtualAuthenticatorOptions{
		Protocol: webauthn.AuthenticatorProtocolCtap2, Ctap2version: webauthn.Ctap2versionCtap21, Transport: webauthn.AuthenticatorTransportInternal,
		HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, HasPrf: prf, AutomaticPresenceSimulation: true,
	}})
	return &Authenticator{p, added.AuthenticatorID}
}

// Remove takes the authenticator away, with all that it holds. A Page has one
// at a time.
func (a *Authenticator) Remove() {
	a.p.t.Helper()
	call(a.p, webauthn.RemoveVirtualAuthenticator, webauthn.RemoveVirtualAuthenticatorParams{AuthenticatorID: a.id})
}

// Verify says whether the authenticator recognises who touches it from now on.
func (a *Authenticator) Verify(ok bool) {
	a.p.t.Helper()
	call(a.p, webauthn.SetUserVerified, webauthn.SetUserVerifiedParams{AuthenticatorID: a.id, IsUserVerified: ok})
}

// Lie has the authenticator say in its answers that it did not verify who
// touched it.
func (a *Authenticator) Lie(unverified bool) {
	a.p.t.Helper()
	call(a.p, webauthn.SetResponseOverrideBits, webauthn.SetResponseOverrideBitsParams{AuthenticatorID: a.id, IsBadUV: &unverified})
}

// Hold puts passkeys of another authenticator into this one. Their PRFs give
// something else here.
func (a *Authenticator) Hold(credentials ...*webauthn.Credential) {
	a.p.t.Helper()
	for _, c := range credentials {
		call(a.p, addCredential, held{a.id, heldCredential{c.CredentialID, c.IsResidentCredential, c.RpID, c.PrivateKey, c.UserHandle, c.SignCount, c.UserName}})
	}
}

// addCredential is webauthn.AddCredential, whose Credential always speaks of
// keys that these authenticators do not have, and is refused for it.
var addCredential = cdp.Command[held, cdp.Empty]{Method: webauthn.CommandAddCredential}

type held struct {
	Authenticator webauthn.AuthenticatorID `json:"authenticatorId"`
	Credential    heldCredential           `json:"credential"`
}

type heldCredential struct {
	ID         []byte  `json:"credentialId"`
	Resident   bool    `json:"isResidentCredential"`
	Domain     string  `json:"rpId"`
	PrivateKey []byte  `json:"privateKey"`
	User       []byte  `json:"userHandle"`
	Count      float64 `json:"signCount"`
	UserName   string  `json:"userName"`
}

// Credentials returns the passkeys that the authenticator holds.
func (a *Authenticator) Credentials() []*webauthn.Credential {
	a.p.t.Helper()
	return call(a.p, webauthn.GetCredentials, webauthn.GetCredentialsParams{AuthenticatorID: a.id}).Credentials
}
