package ledger_test

import (
	"fmt"
	"strings"
	"testing"

	"strongroom/internal/ledger"
	"strongroom/internal/safe"
)

func TestGeneratedKeySurvivesItsPrivateForm(t *testing.T) {
	for range 50 { // about every other private form has a plus sign in its base64
		testPrivateForm(t)
	}
}

func testPrivateForm(t *testing.T) {
	t.Helper()
	store := safe.NewStoreID()
	key, private := ledger.GenerateKey(store)
	if got := key.Public().Store(); got != store {
		t.Errorf("the key is for store %s, want %s", got, store)
	}
	again, err := ledger.ParseKey(private + "\n")
	if err != nil {
		t.Fatal(err)
	}
	if !again.Public().Equal(key.Public()) {
		t.Errorf("public key %s after reading the private one back, want %s", again.Public(), key.Public())
	}
	public, err := ledger.ParsePublicKey(key.Public().String())
	if err != nil {
		t.Fatal(err)
	}
	b, err := again.Sign(ledger.Head{Size: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.ParseCheckpoint(b, public); err != nil {
		t.Error(err)
	}
}

func TestKeyIsNeverPrinted(t *testing.T) {
	key, private := ledger.GenerateKey(testStore(t))
	secret := strings.SplitN(private, "+", 5)[4]
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if s := fmt.Sprintf(verb, key); strings.Contains(s, secret) {
			t.Errorf("%s prints the private key", verb)
		}
	}
	_, err := ledger.ParseKey(strings.Replace(private, "PRIVATE", "SECRET", 1))
	if err == nil || strings.Contains(err.Error(), secret) {
		t.Errorf("error of a malformed private key: %v; want one without the key", err)
	}
}

func TestParsePublicKeyRefusesOtherSpellings(t *testing.T) {
	good := testKey(t).Public().String()
	if _, err := ledger.ParsePublicKey(good); err != nil {
		t.Fatal(err)
	}
	name, rest, _ := strings.Cut(good, "+")
	hash, key, _ := strings.Cut(rest, "+")
	for _, bad := range []string{
		"",
		good + "\n",
		name + "+" + strings.ToUpper(hash) + "+" + key,
		name + "+" + hash + "+" + key[:20] + "\n" + key[20:],
		"strongroom/0f+" + hash + "+" + key,
		// Valid keys of other logs.
		"PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
		"sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
	} {
		if _, err := ledger.ParsePublicKey(bad); err == nil {
			t.Errorf("ParsePublicKey(%q) succeeded", bad)
		}
	}
}
