package signature_test

import (
	"crypto/ed25519"
	"encoding/json"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"strongroom/internal/access/passkey"
	"strongroom/internal/access/passkey/passkeytest"
	"strongroom/internal/access/signature"
	"strongroom/internal/access/sshsig"
)

const (
	domain  = "acme.example"
	purpose = "strongroom/v1/test"
)

var message = []byte("a message")

// A holder has a key and signs with it.
type holder struct {
	key  signature.Key
	sign func(namespace string, message []byte) signature.Signature
}

func newSSH(t testing.TB) holder {
	t.Helper()
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	key, err := sshsig.PublicKeyOf(signer.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	return holder{signature.FromSSH(key), func(namespace string, message []byte) signature.Signature {
		made, err := sshsig.Sign(signer, namespace, message)
		if err != nil {
			t.Fatal(err)
		}
		return signature.OfSSH(made)
	}}
}

func newPasskey(t testing.TB) holder {
	t.Helper()
	a := passkeytest.New(t, domain, "https://safe.acme.example")
	return holder{signature.FromPasskey(a.Key(t)), func(namespace string, message []byte) signature.Signature {
		made, err := signature.OfPasskey(a.Get(t, passkey.Challenge(namespace, message)))
		if err != nil {
			t.Fatal(err)
		}
		return made
	}}
}

func TestVerify(t *testing.T) {
	holders := []holder{newSSH(t), newSSH(t), newPasskey(t), newPasskey(t)}
	for i, by := range holders {
		made := by.sign(purpose, message)
		for j, other := range holders {
			if err := made.Verify(other.key, domain, purpose, message); (err == nil) != (i == j) {
				t.Errorf("a signature by the %s %s, checked with the %s %s: %v", by.key.Kind(), by.key, other.key.Kind(), other.key, err)
			}
		}
		for name, err := range map[string]error{
			"no key":            made.Verify(signature.Key{}, domain, purpose, message),
			"another namespace": made.Verify(by.key, domain, "strongroom/v1/other", message),
			"another message":   made.Verify(by.key, domain, purpose, []byte("another")),
			"no signature":      signature.Signature{}.Verify(by.key, domain, purpose, message),
		} {
			if err == nil {
				t.Errorf("%s: a signature by the %s passes", name, by.key.Kind())
			}
		}
	}
}

func TestTexts(t *testing.T) {
	for _, by := range []holder{newSSH(t), newPasskey(t)} {
		key, err := signature.ParseKey(by.key.String())
		if err != nil || key != by.key || key.Fingerprint() != by.key.Fingerprint() || key.Kind() != by.key.Kind() {
			t.Errorf("%q is read as %q, %v", by.key, key, err)
		}
		_, isSSH := key.SSH()
		_, isPasskey := key.Passkey()
		if isSSH == isPasskey || !strings.HasPrefix(key.Fingerprint(), "SHA256:") {
			t.Errorf("%s is an SSH key: %t, a passkey: %t, called %s", key, isSSH, isPasskey, key.Fingerprint())
		}
		made := by.sign(purpose, message)
		again, err := signature.Parse(made.String())
		if err != nil || again != made {
			t.Errorf("%q is read as %q, %v", made, again, err)
		}
		if _, ok := again.Assertion(); ok != isPasskey {
			t.Errorf("%q is an assertion: %t", made, ok)
		}
	}
	for _, v := range []any{signature.Key{}, signature.Signature{}} {
		if b, err := json.Marshal(v); err == nil {
			t.Errorf("%T, empty, has the text %s", v, b)
		}
	}
	if _, err := signature.OfPasskey(passkey.Assertion{}); err == nil {
		t.Error("nothing is taken for a signature")
	}
}

// What stood where there are signatures now reads as before.
func TestSSHAsBefore(t *testing.T) {
	by := newSSH(t)
	old, err := json.Marshal(struct {
		Key       sshsig.PublicKey
		Signature sshsig.Signature
	}{must(sshsig.ParsePublicKey(by.key.String())), must(sshsig.ParseSignature(by.sign(purpose, message).String()))})
	if err != nil {
		t.Fatal(err)
	}
	var now struct {
		Key       signature.Key
		Signature signature.Signature
	}
	if err := json.Unmarshal(old, &now); err != nil {
		t.Fatal(err)
	}
	if again, err := json.Marshal(now); err != nil || string(again) != string(old) {
		t.Errorf("%s is written again as %s, %v", old, again, err)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func FuzzParse(f *testing.F) {
	for _, by := range []holder{newSSH(f), newPasskey(f)} {
		f.Add(by.sign(purpose, message).String(), by.key.String())
	}
	f.Fuzz(func(t *testing.T, text, keyText string) {
		made, err := signature.Parse(text)
		if err == nil && made.String() != text {
			t.Errorf("%q is written %q", text, made)
		}
		key, keyErr := signature.ParseKey(keyText)
		if keyErr == nil && key.String() != keyText {
			t.Errorf("%q is written %q", keyText, key)
		}
		if err == nil && keyErr == nil {
			made.Verify(key, domain, purpose, message)
		}
	})
}
