package passkey_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/access/passkey"
	"strongroom/internal/access/passkey/passkeytest"
)

const (
	domain  = "acme.example"
	origin  = "https://safe.acme.example"
	purpose = "strongroom/v1/test"
)

var message = []byte("a message")

// failed checks an error against what it must say; "" is none.
func failed(t *testing.T, name string, err error, want string) {
	t.Helper()
	if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
		t.Errorf("%s: %v, want %q", name, err, want)
	}
}

func TestSignAndVerify(t *testing.T) {
	other := passkeytest.New(t, domain, origin).Key(t)
	for name, kind := range map[string]passkeytest.Kind{"ES256": passkeytest.ES256, "EdDSA": passkeytest.EdDSA, "RS256": passkeytest.RS256} {
		t.Run(name, func(t *testing.T) {
			a := passkeytest.NewKind(t, kind, domain, origin)
			key := a.Key(t)
			signed := a.Get(t, passkey.Challenge(purpose, message))
			tests := []struct {
				name      string
				key       passkey.Key
				domain    string
				namespace string
				message   string
				problem   string
			}{
				{"as signed", key, domain, purpose, "a message", ""},
				{"another message", key, domain, purpose, "a Message", "has signed something else"},
				{"another namespace", key, domain, "strongroom/v1/other", "a message", "has signed something else"},
				{"another key", other, domain, purpose, "a message", "signed with another passkey than SHA256:"},
				{"no key", passkey.Key{}, domain, purpose, "a message", "there is none to compare"},
				{"another domain", key, "example", purpose, "a message", "for another domain than example"},
				{"no domain", key, "", purpose, "a message", "is no domain of passkeys"},
			}
			for _, tt := range tests {
				failed(t, tt.name, signed.Verify(tt.key, tt.domain, tt.namespace, []byte(tt.message)), tt.problem)
			}
			for i := range signed.Signature {
				bad := signed
				bad.Signature = bytes.Clone(signed.Signature)
				bad.Signature[i] ^= 1
				if bad.Verify(key, domain, purpose, message) == nil {
					t.Errorf("a signature with byte %d changed passes", i)
				}
			}
			text := signed.String()
			again, err := passkey.ParseAssertion(text)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(signed, again); d != "" {
				t.Error(d)
			}
			if again.String() != text || len(text) > 900 {
				t.Errorf("it is written %q, and then %q", text, again)
			}
		})
	}
}

// The challenge is part of the format: other programs make it, too.
func TestChallenge(t *testing.T) {
	// printf 'strongroom/v1/test\na message' | sha256sum
	const want = "070b4e3f838aabadcaa3ab91c51063462fe229130b0b7f41d53636910b5d7625"
	if got := fmt.Sprintf("%x", passkey.Challenge("strongroom/v1/test", []byte("a message"))); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// Each check of Verify fails once, with all others satisfied.
func TestVerifyRefuses(t *testing.T) {
	tests := []struct {
		name    string
		change  func(*passkeytest.Authenticator)
		problem string
	}{
		{"nothing", func(*passkeytest.Authenticator) {}, ""},
		{"a registration", func(a *passkeytest.Authenticator) { a.Type = "webauthn.create" }, `made it for "webauthn.create"`},
		{"a payment", func(a *passkeytest.Authenticator) { a.Type = "payment.get" }, `made it for "payment.get"`},
		{"another domain", func(a *passkeytest.Authenticator) { a.Domain = "safe.acme.example" }, "for another domain than acme.example"},
		{"a page inside another", func(a *passkeytest.Authenticator) { a.CrossOrigin = true }, "a page inside another one"},
		{"nobody there", func(a *passkeytest.Authenticator) { a.Flags = passkeytest.UserVerified }, "nobody touched"},
		{"nobody verified", func(a *passkeytest.Authenticator) { a.Flags = passkeytest.UserPresent }, "did not ask who touched it"},
		{"a synced passkey", func(a *passkeytest.Authenticator) { a.Flags |= passkeytest.BackupEligible | passkeytest.BackedUp }, ""},
		{"a counter", func(a *passkeytest.Authenticator) { a.Counter = 7 }, ""},
	}
	for _, tt := range tests {
		a := passkeytest.New(t, domain, origin)
		tt.change(a)
		signed := a.Get(t, passkey.Challenge(purpose, message))
		failed(t, tt.name, signed.Verify(a.Key(t), domain, purpose, message), tt.problem)
	}
}

func TestOrigins(t *testing.T) {
	tests := []struct {
		domain, origin, problem string
	}{
		{domain, "https://acme.example", ""},
		{domain, "https://safe.acme.example", ""},
		{domain, "https://a.safe.acme.example", ""},
		{domain, "https://safe.acme.example:8443", ""},
		{domain, "https://evilacme.example", "want https and acme.example or a name below it"},
		{domain, "https://acme.example.evil.example", "want https and acme.example"},
		{domain, "https://example", "want https and acme.example"},
		{domain, "https://acme.example.", "want https and acme.example"},
		{domain, "https://ACME.example", "want https and acme.example"},
		{domain, "http://acme.example", "want https and acme.example"},
		{domain, "http://localhost", "want https and acme.example"},
		{domain, "https://acme.example@evil.example", "which is no origin"},
		{domain, "https://evil.example/.acme.example", "which is no origin"},
		{domain, "https://evil.example?.acme.example", "which is no origin"},
		{domain, "https://evil.example#.acme.example", "which is no origin"},
		{domain, `https://evil.example\.acme.example`, "which is no origin"},
		{domain, "https://acme.example/", "which is no origin"},
		{domain, "https://", "want https and acme.example"},
		{domain, "acme.example", "which is no origin"},
		{domain, "null", "which is no origin"},
		{domain, "", "which is no origin"},
		{domain, "android:apk-key-hash:acme.example", "which is no origin"},
		{"localhost", "http://localhost:8080", ""},
		{"localhost", "https://localhost", ""},
		{"localhost", "http://safe.localhost", "want https and localhost"},
		{"localhost", "http://localhost.evil.example", "want https and localhost"},
	}
	for _, tt := range tests {
		a := passkeytest.New(t, tt.domain, tt.origin)
		signed := a.Get(t, passkey.Challenge(purpose, message))
		failed(t, tt.origin, signed.Verify(a.Key(t), tt.domain, purpose, message), tt.problem)
		if got, err := signed.Origin(); err != nil || got != tt.origin {
			t.Errorf("Origin: %q, %v, want %q", got, err, tt.origin)
		}
	}
}

// What browsers say is JSON that package json reads in more ways than one.
func TestClientData(t *testing.T) {
	a := passkeytest.New(t, domain, origin)
	key := a.Key(t)
	hash := passkey.Challenge(purpose, message)
	challenge := base64.RawURLEncoding.EncodeToString(hash[:])
	good := fmt.Sprintf(`"type":"webauthn.get","challenge":"%s","origin":"%s"`, challenge, origin)
	tests := []struct {
		name, text, problem string
	}{
		{"without crossOrigin", "{" + good + "}", ""},
		{"with white space", "{ " + good + "\n}", ""},
		{"with more", "{" + good + `,"crossOrigin":false,"other_keys_can_be_added_here":{"type":["x"]}}`, ""},
		{"another case beside it", "{" + good + `,"crossOrigin":false,"CrossOrigin":true,"Origin":"https://evil.example"}`, ""},
		{"no type", strings.Replace("{"+good+"}", `"type":"webauthn.get",`, "", 1), `has no "type"`},
		{"no challenge", `{"type":"webauthn.get","origin":"` + origin + `"}`, `has no "challenge"`},
		{"no origin", `{"type":"webauthn.get","challenge":"` + challenge + `"}`, `has no "origin"`},
		{"origin in capitals", strings.Replace("{"+good+"}", "origin", "Origin", 1), `has no "origin"`},
		{"challenge padded", strings.Replace("{"+good+"}", challenge, challenge+"=", 1), "has signed something else"},
		{"origin twice", "{" + good + `,"origin":"https://evil.example"}`, "says something twice"},
		{"an unknown member twice", "{" + good + `,"x":1,"x":1}`, "says something twice"},
		{"a type of a wrong type", strings.Replace("{"+good+"}", `"webauthn.get"`, `["webauthn.get"]`, 1), `a "type" that cannot be read`},
		{"a crossOrigin of a wrong type", "{" + good + `,"crossOrigin":"false"}`, `a "crossOrigin" that cannot be read`},
		{"a list", "[" + `"type"` + "]", "no JSON object"},
		{"nothing", " ", "no JSON object"},
		{"cut short", "{" + good, "cut short"},
		{"two objects", "{" + good + "}{}", "followed by something else"},
		{"too much", "{" + good + `,"x":"` + strings.Repeat("x", 2048) + `"}`, "client data of"},
	}
	for _, tt := range tests {
		failed(t, tt.name, a.Sign(t, []byte(tt.text)).Verify(key, domain, purpose, message), tt.problem)
	}
}

// The parts of an assertion are bound to one another.
func TestPartsBelongTogether(t *testing.T) {
	a := passkeytest.New(t, domain, origin)
	key := a.Key(t)
	signed := a.Get(t, passkey.Challenge(purpose, message))
	tests := []struct {
		name    string
		change  func(*passkey.Assertion)
		problem string
	}{
		{"other client data", func(a *passkey.Assertion) { a.ClientData = append(bytes.Clone(a.ClientData), ' ') }, "followed by something else"},
		{"white space in it", func(a *passkey.Assertion) { a.ClientData = bytes.Replace(a.ClientData, []byte(","), []byte(", "), 1) }, "not one of this assertion"},
		{"another counter", func(a *passkey.Assertion) {
			a.AuthenticatorData = bytes.Clone(a.AuthenticatorData)
			a.AuthenticatorData[36]++
		}, "not one of this assertion"},
		{"another id", func(a *passkey.Assertion) { a.Credential = []byte("id") }, "signed with another passkey"},
		{"no id", func(a *passkey.Assertion) { a.Credential = nil }, "id of 0 bytes"},
		{"short authenticator data", func(a *passkey.Assertion) { a.AuthenticatorData = a.AuthenticatorData[:36] }, "authenticator data of 36 bytes"},
		{"no client data", func(a *passkey.Assertion) { a.ClientData = nil }, "client data of 0 bytes"},
		{"no signature", func(a *passkey.Assertion) { a.Signature = nil }, "signature of 0 bytes"},
		{"nothing", func(a *passkey.Assertion) { *a = passkey.Assertion{} }, "id of 0 bytes"},
	}
	for _, tt := range tests {
		changed := signed
		tt.change(&changed)
		failed(t, tt.name, changed.Verify(key, domain, purpose, message), tt.problem)
	}
	if _, err := json.Marshal(passkey.Assertion{}); err == nil {
		t.Error("an assertion of nothing has a text")
	}
}

func TestSynced(t *testing.T) {
	a := passkeytest.New(t, domain, origin)
	if a.Get(t, [32]byte{}).Synced() || (passkey.Assertion{}).Synced() {
		t.Error("a passkey that stays is said to be synced")
	}
	a.Flags |= passkeytest.BackupEligible
	if !a.Get(t, [32]byte{}).Synced() {
		t.Error("a synced passkey is said to stay")
	}
}

func TestKeys(t *testing.T) {
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	large := &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 4096), E: 65537}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := passkeytest.COSE(&mustP256(t).PublicKey)
	change := func(at int, to byte) []byte {
		b := bytes.Clone(good)
		b[at] = to
		return b
	}
	odd, err := p384.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name    string
		id      []byte
		cose    []byte
		problem string
	}{
		{"good", []byte("id"), good, ""},
		{"the longest id", make([]byte, 1023), good, ""},
		{"no id", nil, good, "id of 0 bytes"},
		{"an id too long", make([]byte, 1024), good, "id of 1024 bytes"},
		{"no key", []byte("id"), nil, "not of a kind"},
		{"something behind it", []byte("id"), append(bytes.Clone(good), 0), "not of a kind"},
		{"cut short", []byte("id"), good[:len(good)-1], "not of a kind"},
		{"another algorithm", []byte("id"), change(4, 0x27), "not of a kind"},
		{"another curve", []byte("id"), change(6, 0x02), "not of a kind"},
		{"no point", []byte("id"), change(12, good[12]^1), "no point of its curve"},
		{"a point in another form", []byte("id"), odd, "not of a kind"},
		{"RSA too small", []byte("id"), passkeytest.COSE(&small.PublicKey), "not of a kind"},
		{"RSA too large", []byte("id"), passkeytest.COSE(large), "not of a kind"},
		{"RSA with another exponent", []byte("id"), passkeytest.COSE(&rsa.PublicKey{N: new(big.Int).SetBit(new(big.Int), 2047, 1), E: 65539}), "not of a kind"},
	}
	for _, tt := range tests {
		key, err := passkey.NewKey(tt.id, tt.cose)
		failed(t, tt.name, err, tt.problem)
		if err != nil {
			continue
		}
		again, err := passkey.ParseKey(key.String())
		if err != nil || again != key || !bytes.Equal(again.Credential(), tt.id) {
			t.Errorf("%s: %q is read as %q, %v", tt.name, key, again, err)
		}
	}
}

func mustP256(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// A text has one spelling.
func TestKeyText(t *testing.T) {
	key := passkeytest.New(t, domain, origin).Key(t)
	text := key.String()
	for _, s := range []string{"", "passkey", text + "\n", text + " ", " " + text, text + " comment", strings.ToUpper(text),
		strings.Replace(text, " ", "  ", 1), text[:20] + "\n" + text[20:], text + "=", strings.Repeat("x", 5000)} {
		if got, err := passkey.ParseKey(s); err == nil {
			t.Errorf("%q is read as %q", s, got)
		}
	}
	if _, err := (passkey.Key{}).MarshalText(); err == nil {
		t.Error("no key has a text")
	}
	// As ssh-keygen would show it, of the COSE form.
	cose, err := hex.DecodeString("a50102032620012158201cf27f25da591208a4239c2e324f104f585525479a29edeedd830f48e77aeae522582059e4b7da6c0106e206ce390c93ab98a15a5ec3887e57f0cc2bece803b920c423")
	if err != nil {
		t.Fatal(err)
	}
	named, err := passkey.NewKey([]byte{1}, cose)
	if err != nil {
		t.Fatal(err)
	}
	hash := sha256.Sum256(cose)
	if want := "SHA256:" + base64.RawStdEncoding.EncodeToString(hash[:]); named.Fingerprint() != want {
		t.Errorf("it is called %s, want %s", named.Fingerprint(), want)
	}
}

func FuzzParseKey(f *testing.F) {
	for _, kind := range []passkeytest.Kind{passkeytest.ES256, passkeytest.EdDSA, passkeytest.RS256} {
		f.Add(passkeytest.NewKind(f, kind, domain, origin).Key(f).String())
	}
	f.Fuzz(func(t *testing.T, s string) {
		key, err := passkey.ParseKey(s)
		if err != nil {
			return
		}
		if key.String() != s {
			t.Errorf("%q is written %q", s, key)
		}
		// No key of such a form makes a check panic.
		a := passkeytest.New(t, domain, origin).Get(t, passkey.Challenge(purpose, message))
		a.Credential = key.Credential()
		if a.Verify(key, domain, purpose, message) == nil {
			t.Errorf("a signature by another key passes for one by %s", key)
		}
	})
}

func FuzzParseAssertion(f *testing.F) {
	a := passkeytest.New(f, domain, origin)
	f.Add(a.Get(f, passkey.Challenge(purpose, message)).String())
	f.Add(a.Sign(f, []byte(`{"type":"webauthn.get","x":{}}`)).String())
	key := a.Key(f)
	f.Fuzz(func(t *testing.T, s string) {
		a, err := passkey.ParseAssertion(s)
		if err != nil {
			return
		}
		if a.String() != s {
			t.Errorf("%q is written %q", s, a)
		}
		a.Origin()
		a.Synced()
		a.Verify(key, domain, purpose, message)
	})
}

func FuzzClientData(f *testing.F) {
	a := passkeytest.New(f, domain, origin)
	key := a.Key(f)
	f.Add(string(a.Get(f, passkey.Challenge(purpose, message)).ClientData))
	f.Add(`{"type":"webauthn.get","challenge":"","origin":"https://acme.example"}`)
	f.Fuzz(func(t *testing.T, s string) {
		signed := a.Sign(t, []byte(s))
		if signed.Verify(key, domain, purpose, message) != nil {
			return
		}
		// What passes is read in the same way by a reader who takes the last of two.
		var c map[string]any
		if err := json.Unmarshal([]byte(s), &c); err != nil {
			t.Fatalf("%q passes, and is no JSON: %v", s, err)
		}
		if got, _ := c["origin"].(string); c["type"] != "webauthn.get" || !strings.HasPrefix(got, "https://") || !strings.Contains(got, domain) {
			t.Errorf("%q passes", s)
		}
	})
}
