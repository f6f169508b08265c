package seal

import (
	"encoding/hex"
	"strings"
	"testing"

	"strongroom/internal/safe"
)

// TestSourceKeys fixes the derivation for ever: with other keys, nothing that
// is in the store would be found again. The values were computed by another
// program: python3's hmac and hashlib, as RFC 5869 says.
func TestSourceKeys(t *testing.T) {
	secret := must(ReadSecret(strings.NewReader("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n")))(t)
	for _, tt := range []struct {
		source   safe.SourceName
		tag, cut string
	}{
		{"erp-db", "c30282b0d5020b3dad6d2d4511f3d2df5f5209d1f3b2a642595cbf7fb471b309", "78dad1ca9bd44dca56b0b9a082db3db090f4ac73ebde397c877b75f791d6b805"},
		{"erp-files", "35a31b2372103d38365a935490c631e2e2454750a3c0cd2b2a4e072f1b3841ec", "b61d33f59386122a4f557a8b42c7c70c6597ad9460bd08e6d0befa548a5d76d1"},
	} {
		tag, cut := secret.SourceKeys(tt.source)
		if got := hex.EncodeToString(tag[:]); got != tt.tag {
			t.Errorf("%s: tag key %s, want %s", tt.source, got, tt.tag)
		}
		if got := hex.EncodeToString(cut[:]); got != tt.cut {
			t.Errorf("%s: cut key %s, want %s", tt.source, got, tt.cut)
		}
	}
}

func TestSecretFile(t *testing.T) {
	secret := NewSecret()
	var b strings.Builder
	if err := secret.Write(&b); err != nil {
		t.Fatal(err)
	}
	again := must(ReadSecret(strings.NewReader(b.String())))(t)
	if *again.key != *secret.key {
		t.Error("another secret was read than was written")
	}
	if *NewSecret().key == *secret.key {
		t.Error("two new secrets are the same")
	}

	good := b.String()
	for name, file := range map[string]string{
		"nothing":     "",
		"no newline":  good[:64],
		"two lines":   good + "\n",
		"short":       good[:62] + "\n",
		"upper case":  "A" + good[1:],
		"not hex":     "g" + good[1:],
		"space":       " " + good[1:],
		"two secrets": good + good,
	} {
		if _, err := ReadSecret(strings.NewReader(file)); err == nil {
			t.Errorf("%s: %q was taken", name, file)
		} else if strings.Contains(err.Error(), good[10:20]) {
			t.Errorf("%s: the error repeats the secret: %v", name, err)
		}
	}
}
