package browsertest

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"strongroom/internal/access/passkey"
	"strongroom/internal/store/seal"
)

// register makes a passkey of the page's authenticator, as g.<use>.
func register(use string) string {
	return async(`
		const r = await m.webauthn.register({use: %q, wraps: %t, domain: "localhost", safe: "acme", person: "ada", challenge: new Uint8Array(32).fill(7)})
		g[%q] = r
		return {key: r.key, synced: r.synced, attestation: m.base64.toBase64(r.attestationObject), client: m.base64.toBase64(r.clientDataJSON)}`, use, use == "release", use)
}

type registered struct {
	Key                 passkey.Key
	Synced              bool
	Attestation, Client []byte
}

// counting counts what authenticators are asked for, and keeps each result of a
// PRF as g.prf, so that a test can look for it where it must not be.
const counting = `
	g.touches = 0; g.prf = []
	for (const what of ["create", "get"]) {
		const ask = navigator.credentials[what].bind(navigator.credentials)
		navigator.credentials[what] = async options => {
			g.touches++
			const c = await ask(options)
			const results = c.getClientExtensionResults().prf?.results ?? {}
			for (const r of Object.values(results)) g.prf.push(m.base64.toBase64(new Uint8Array(r)))
			return c
		}
	}
	true`

// TestPasskeys makes both passkeys of a keykeeper and signs with each.
func TestPasskeys(t *testing.T) {
	p := kit(t)
	p.Authenticate(true)
	keys := map[string]passkey.Key{}
	for _, use := range []string{"sign-in", "release"} {
		r := Eval[registered](p, register(use))
		keys[use] = r.Key
		if r.Synced {
			t.Errorf("%s: an authenticator that keeps its keys is called synced", use)
		}
		// The authenticator's data within the attestation, found by the hash of
		// the domain: after it flags, counter and 16 bytes of a model come the id
		// with its length, and the key, which for ES256 has 77 bytes.
		domain := sha256.Sum256([]byte("localhost"))
		_, data, ok := bytes.Cut(r.Attestation, domain[:])
		if !ok || len(data) < 21+2 {
			t.Fatalf("%s: the attestation has %x", use, r.Attestation)
		}
		id := data[21+2:][:binary.BigEndian.Uint16(data[21:])]
		cose := data[21+2+len(id):][:77]
		if want := must(passkey.NewKey(id, cose))(t); want != r.Key {
			t.Errorf("%s: the page says %s, the attestation %s", use, r.Key, want)
		}
		if want := base64.RawURLEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32)); !bytes.Contains(r.Client, []byte(want)) {
			t.Errorf("%s: the challenge is not in %s", use, r.Client)
		}
	}
	if keys["sign-in"] == keys["release"] {
		t.Error("there is one passkey for two uses")
	}
	message := []byte("a statement\n")
	for use, key := range keys {
		text := Eval[string](p, async(`
			const c = await m.statement.challenge("a-namespace", m.base64.fromBase64(%s))
			return m.webauthn.assertionText(await m.webauthn.sign("localhost", [g[%q].credential], c))`, js(message), use))
		a := must(passkey.ParseAssertion(text))(t)
		if err := a.Verify(key, "localhost", "a-namespace", message); err != nil {
			t.Errorf("%s: %v", use, err)
		}
		if err := a.Verify(key, "localhost", "a-namespace", []byte("another statement\n")); err == nil {
			t.Errorf("%s: signs another statement", use)
		}
	}
	// Whoever signs in has not said who they are.
	a := must(passkey.ParseAssertion(Eval[string](p, async(`return m.webauthn.assertionText(await m.webauthn.signWithAny("localhost", new Uint8Array(32)))`))))(t)
	if !bytes.Equal(a.Credential, keys["sign-in"].Credential()) && !bytes.Equal(a.Credential, keys["release"].Credential()) {
		t.Errorf("a passkey of nobody signed: %x", a.Credential)
	}
}

// TestPasskeyNames sees that a person can tell the two apart on their device.
func TestPasskeyNames(t *testing.T) {
	p := kit(t)
	a := p.Authenticate(true)
	Eval[registered](p, register("release"))
	c := a.Credentials()
	if len(c) != 1 || !c[0].IsResidentCredential || c[0].UserName != "acme SAFE KEY, do not delete" {
		t.Errorf("the authenticator holds %+v", c)
	}
	Eval[registered](p, register("sign-in"))
	if c := a.Credentials(); len(c) != 2 {
		t.Errorf("one passkey was written over the other: %d are left", len(c))
	}
}

// TestAuthenticatorsThatWillNotDo tells people what to do.
func TestAuthenticatorsThatWillNotDo(t *testing.T) {
	explain := func(p *Page, expression string) string {
		return Eval[string](p, async(`try { await %s; return "" } catch (e) { return [e.name, e.reason, e.message, e.remedy].join("; ") }`, expression))
	}
	t.Run("without PRF", func(t *testing.T) {
		p := kit(t)
		a := p.Authenticate(false)
		got := explain(p, register("release"))
		for _, want := range []string{"PasskeyError; no-prf; ", "lacks the extension PRF", "Take another authenticator", "iCloud Keychain", "Google Password Manager", "YubiKey 5", "Windows Hello"} {
			if !strings.Contains(got, want) {
				t.Errorf("%q does not say %q", got, want)
			}
		}
		if got := explain(p, register("sign-in")); got != "" {
			t.Errorf("a passkey for signing in: %s", got)
		}
		if n := len(a.Credentials()); n > 2 {
			t.Errorf("%d passkeys are left", n)
		}
		// It can sign, and cannot keep a key.
		Eval[bool](p, async(`g.passkey = {domain: "localhost", credential: g["sign-in"].credential}; g.key = await m.keys.PrivateKey.generate("personal"); return true`))
		if got := explain(p, "m.keys.wrap(g.key, g.passkey, new Date())"); !strings.HasPrefix(got, "PasskeyError; no-prf; ") {
			t.Errorf("wrapping a key: %s", got)
		}
	})
	t.Run("who does not verify its user", func(t *testing.T) {
		p := kit(t)
		a := p.Authenticate(true)
		Eval[registered](p, register("release"))
		a.Verify(false)
		sign := `m.webauthn.sign("localhost", [g.release.credential], new Uint8Array(32))`
		if got := explain(p, sign); !strings.HasPrefix(got, "PasskeyError; not-allowed; ") || !strings.Contains(got, "PIN") {
			t.Errorf("signing: %s", got)
		}
		if got := explain(p, register("sign-in")); !strings.HasPrefix(got, "PasskeyError; not-allowed; ") {
			t.Errorf("making a passkey: %s", got)
		}
	})
	t.Run("who does not say so", func(t *testing.T) {
		p := kit(t)
		a := p.Authenticate(true)
		Eval[registered](p, register("release"))
		a.Lie(true)
		if got := explain(p, `m.webauthn.sign("localhost", [g.release.credential], new Uint8Array(32))`); !strings.HasPrefix(got, "PasskeyError; no-verification; ") || !strings.Contains(got, "Set up a PIN") {
			t.Errorf("got %s", got)
		}
	})
	t.Run("of another address", func(t *testing.T) {
		p := kit(t)
		p.Authenticate(true)
		if got := explain(p, `m.webauthn.signWithAny("safe.example", new Uint8Array(32))`); !strings.HasPrefix(got, "PasskeyError; address; ") {
			t.Errorf("another domain: %s", got)
		}
		p.Go(strings.Replace(Eval[string](p, "location.href"), "localhost", "127.0.0.1", 1))
		Eval[bool](p, `(async () => { globalThis.m = await import("/assets/modules.js"); globalThis.g = {}; return true })()`)
		if got := explain(p, strings.Replace(register("sign-in"), "localhost", "127.0.0.1", 1)); !strings.HasPrefix(got, "PasskeyError; address; ") || !strings.Contains(got, "not under an IP address") {
			t.Errorf("an address: %s", got)
		}
	})
	t.Run("browsers without passkeys", func(t *testing.T) {
		p := kit(t)
		Eval[bool](p, "delete globalThis.PublicKeyCredential")
		if got := explain(p, register("sign-in")); !strings.HasPrefix(got, "PasskeyError; no-webauthn; ") {
			t.Errorf("got %s", got)
		}
	})
}

// TestWrappedKey wraps a personal key under a passkey. One touch then opens it
// and signs, and stock tools open it, too.
func TestWrappedKey(t *testing.T) {
	p := kit(t)
	p.Authenticate(true)
	key := Eval[registered](p, register("release")).Key
	Eval[bool](p, counting)
	file := Eval[string](p, async(`
		g.passkey = {domain: "localhost", credential: g.release.credential}
		g.key = await m.keys.PrivateKey.generate("personal")
		g.file = await m.keys.wrap(g.key, g.passkey, new Date())
		return m.base64.toBase64(g.file)`))
	if n := Eval[int](p, "g.touches"); n != 1 {
		t.Errorf("wrapping took %d touches", n)
	}
	if b := must(base64.StdEncoding.DecodeString(file))(t); !bytes.HasPrefix(b, []byte("age-encryption.org/v1\n-> age-encryption.org/fido2prf ")) || bytes.Contains(b, []byte("AGE-SECRET")) {
		t.Errorf("the wrapped key is %.120q", b)
	}

	message := []byte("nonce and grant")
	got := Eval[struct {
		Same    bool
		Touches int
		Text    string
	}](p, async(`
		g.touches = 0
		const c = await m.statement.challenge("strongroom/v1/release", m.base64.fromBase64(%s))
		const {key, assertion} = await m.keys.unwrapAndSign("personal", g.file, g.passkey, g.key.recipient, c)
		return {same: key.privateLine() === g.key.privateLine(), touches: g.touches, text: m.webauthn.assertionText(assertion)}`, js(message)))
	if !got.Same || got.Touches != 1 {
		t.Errorf("one touch opens and signs: the same key %t, touches %d", got.Same, got.Touches)
	}
	a := must(passkey.ParseAssertion(got.Text))(t)
	if err := a.Verify(key, "localhost", "strongroom/v1/release", message); err != nil {
		t.Error(err)
	}

	// The format's own implementation, which knows nothing of us.
	same := Eval[bool](p, async(`
		const d = new m.age.Decrypter()
		d.addIdentity(new m.age.webauthn.WebAuthnIdentity({rpId: "localhost"}))
		return (await d.decrypt(g.file, "text")).includes(g.key.privateLine())`))
	if !same {
		t.Error("another program opens the file and finds another key")
	}
	// And the other way round.
	if !Eval[bool](p, async(`
		const e = new m.age.Encrypter()
		e.addRecipient(new m.age.webauthn.WebAuthnRecipient({rpId: "localhost"}))
		const file = await e.encrypt(g.key.keyFile(new Date()))
		return (await m.keys.unwrap("personal", file, g.passkey, g.key.recipient)).recipient === g.key.recipient`)) {
		t.Error("a file of another program opens with another key")
	}

	other := must(seal.NewPersonalIdentity())(t).Recipient().String()
	for _, tt := range []struct{ name, expression, want string }{
		{"another key was expected", fmt.Sprintf(`m.keys.unwrap("personal", g.file, g.passkey, %q)`, other), "holds another key"},
		{"another role", `m.keys.unwrap("outer", g.file, g.passkey, g.key.recipient)`, "says that it is another key"},
		{"damaged", `m.keys.unwrap("personal", g.file.slice(0, -1), g.passkey, g.key.recipient)`, ""},
		{"sealed, not wrapped", `m.keys.sealTo(g.key.recipient, new Uint8Array(3)).then(f => m.keys.unwrap("personal", f, g.passkey, g.key.recipient))`, "sealed to another key"},
	} {
		if _, message := fails(t, p, tt.expression); message == "it did not fail" || !strings.Contains(message, tt.want) {
			t.Errorf("%s: %s", tt.name, message)
		}
	}
	// Another passkey of the same authenticator does not open it.
	Eval[registered](p, register("release"))
	if _, message := fails(t, p, `m.keys.unwrap("personal", g.file, {domain: "localhost", credential: g.release.credential}, g.key.recipient)`); !strings.Contains(message, "another key") {
		t.Errorf("another passkey: %s", message)
	}
}

// TestTouchesAreNotSpentInSecret gives the page a file that would have it ask
// for two touches.
func TestTouchesAreNotSpentInSecret(t *testing.T) {
	p := kit(t)
	p.Authenticate(true)
	Eval[registered](p, register("release"))
	Eval[bool](p, counting)
	var nonces [2][16]byte
	rand.Read(nonces[0][:])
	rand.Read(nonces[1][:])
	file := "age-encryption.org/v1\n"
	for _, n := range nonces {
		file += "-> age-encryption.org/fido2prf " + base64.RawStdEncoding.EncodeToString(n[:]) + "\n" + base64.RawStdEncoding.EncodeToString(make([]byte, 32)) + "\n"
	}
	file += "--- " + base64.RawStdEncoding.EncodeToString(make([]byte, 32)) + "\n" + strings.Repeat("x", 40)
	_, message := fails(t, p, fmt.Sprintf(`m.keys.unwrap("personal", m.base64.fromBase64(%s), {domain: "localhost", credential: g.release.credential}, "age1pq1")`, js([]byte(file))))
	if !strings.Contains(message, "a second touch") || Eval[int](p, "g.touches") != 1 {
		t.Errorf("%d touches: %s", Eval[int](p, "g.touches"), message)
	}
}

// TestNothingToSendHoldsPRFResults looks for what the authenticator gave in
// everything that the modules return.
func TestNothingToSendHoldsPRFResults(t *testing.T) {
	p := kit(t)
	p.Authenticate(true)
	Eval[bool](p, counting)
	Eval[registered](p, register("release"))
	got := Eval[struct {
		Results []string
		Sent    string
	}](p, async(`
		const passkey = {domain: "localhost", credential: g.release.credential}
		const key = await m.keys.PrivateKey.generate("personal")
		const file = await m.keys.wrap(key, passkey, new Date())
		const {assertion} = await m.keys.unwrapAndSign("personal", file, passkey, key.recipient, new Uint8Array(32))
		const plain = v => JSON.stringify(v, (k, v) => v instanceof Uint8Array ? [m.base64.toBase64(v), m.base64.toBase64url(v), String.fromCharCode(...v)] : v)
		return {results: g.prf, sent: plain({registration: g.release, assertion, text: m.webauthn.assertionText(assertion), file})}`))
	if len(got.Results) < 4 {
		t.Fatalf("the authenticator gave %d results: nothing was tested", len(got.Results))
	}
	for _, r := range got.Results {
		raw := must(base64.StdEncoding.DecodeString(r))(t)
		for _, form := range []string{r, base64.RawURLEncoding.EncodeToString(raw), fmt.Sprintf("%x", raw), string(raw)} {
			if strings.Contains(got.Sent, form) {
				t.Errorf("what is to be sent holds %.12s...", form)
			}
		}
	}
}
