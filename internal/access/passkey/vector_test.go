package passkey

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// The vectors of WebAuthn Level 3, section 16: what others have computed. They
// are of random challenges, so what a message becomes is not in them.
func TestVectors(t *testing.T) {
	b, err := os.ReadFile("testdata/webauthn-3.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		Section, Name                                                         string
		Credential, COSE, AuthenticatorData, ClientData, Signature, Challenge string
	}
	if err := json.Unmarshal(b, &vectors); err != nil {
		t.Fatal(err)
	}
	unhex := func(s string) []byte {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	problems := map[string]string{
		"PackedES384": "not of a kind that is taken here",
		"PackedRS256": "did not ask who touched it",
		"PackedEdDSA": "did not ask who touched it",
	}
	for _, v := range vectors {
		t.Run(v.Name, func(t *testing.T) {
			a := Assertion{Credential: unhex(v.Credential), AuthenticatorData: unhex(v.AuthenticatorData), ClientData: unhex(v.ClientData), Signature: unhex(v.Signature)}
			challenge := [32]byte(unhex(v.Challenge))
			key, err := NewKey(a.Credential, unhex(v.COSE))
			if err == nil {
				err = a.verify(key, "example.org", challenge)
			}
			if problem := problems[v.Name]; problem == "" && err != nil || problem != "" && (err == nil || !strings.Contains(err.Error(), problem)) {
				t.Errorf("section %s: %v, want %q", v.Section, err, problem)
			}
			if key.IsZero() {
				return
			}
			// The signature is good also where the assertion is not enough.
			hash := sha256.Sum256(a.ClientData)
			message := append(bytes.Clone(a.AuthenticatorData), hash[:]...)
			if good, err := check(unhex(v.COSE), message, a.Signature); err != nil || !good {
				t.Errorf("section %s: the signature is %v, %v", v.Section, good, err)
			}
			message[32] ^= userVerified
			if good, err := check(unhex(v.COSE), message, a.Signature); err != nil || good {
				t.Errorf("section %s: the signature of something else is %v, %v", v.Section, good, err)
			}
		})
	}
}
