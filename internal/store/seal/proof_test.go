package seal

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func newNonce() (nonce [32]byte) {
	rand.Read(nonce[:])
	return nonce
}

func TestProofs(t *testing.T) {
	d, nonce := newDesk(t), newNonce()
	both := must(NewProof(nonce, d.outer.Recipient(), d.inner.Recipient()))(t)
	outer := must(NewOuterProof(nonce, d.outer.Recipient()))(t)
	inner := must(NewInnerProof(nonce, d.inner.Recipient()))(t)
	if len(both) > 6<<10 {
		t.Errorf("a challenge has %d bytes, at most 5 kB were expected", len(both))
	}

	if got, err := AnswerProof(d.outer, d.inner, both); err != nil || got != nonce {
		t.Errorf("both keys: got %x, error %v, want %x", got, err, nonce)
	}
	if got, err := AnswerOuterProof(d.outer, outer); err != nil || got != nonce {
		t.Errorf("outer key: got %x, error %v, want %x", got, err, nonce)
	}
	if got, err := AnswerInnerProof(d.inner, inner); err != nil || got != nonce {
		t.Errorf("inner key: got %x, error %v, want %x", got, err, nonce)
	}

	other := newDesk(t)
	for name, answer := range map[string]func() ([32]byte, error){
		"another outer key for both": func() ([32]byte, error) { return AnswerProof(other.outer, d.inner, both) },
		"another inner key for both": func() ([32]byte, error) { return AnswerProof(d.outer, other.inner, both) },
		"another outer key":          func() ([32]byte, error) { return AnswerOuterProof(other.outer, outer) },
		"another inner key":          func() ([32]byte, error) { return AnswerInnerProof(other.inner, inner) },
	} {
		if got, err := answer(); !errors.Is(err, ErrWrongKey) || got != [32]byte{} {
			t.Errorf("%s: got %x, %v, want ErrWrongKey", name, got, err)
		}
	}
}

// TestProofsAreNoOracle is an attack: a safe in the wrong hands asks a person
// to prove a key, and what it hands over is something that the person should
// not open for it.
func TestProofsAreNoOracle(t *testing.T) {
	d, nonce := newDesk(t), newNonce()
	outer, inner := d.outer.Recipient(), d.inner.Recipient()
	file := d.innerFile(t)
	secret := hex.EncodeToString(nonce[:])
	text := func(of holding) []byte { return proofText(nonce, of) }
	to := func(r recipient, plain []byte) []byte { return must(r.sealBytes(plain))(t) }
	both := must(NewProof(nonce, outer, inner))(t)

	answers := map[string]func([]byte) ([32]byte, error){
		"both":  func(b []byte) ([32]byte, error) { return AnswerProof(d.outer, d.inner, b) },
		"outer": func(b []byte) ([32]byte, error) { return AnswerOuterProof(d.outer, b) },
		"inner": func(b []byte) ([32]byte, error) { return AnswerInnerProof(d.inner, b) },
	}
	for _, tt := range []struct {
		name, asks string
		challenge  []byte
	}{
		{"an envelope", "outer", d.envelope},
		{"an envelope", "both", d.envelope},
		{"an inner file", "inner", file},
		{"an inner file in another's outer layer", "both", to(outer.recipient, file)},
		{"the outer layer of a challenge to both", "outer", both},
		{"the inner layer of a challenge to both", "inner", to(inner.recipient, text(bothKeys))},
		{"one key's challenge in a second layer", "both", to(outer.recipient, to(inner.recipient, text(innerKey)))},
		{"the other role's", "outer", to(outer.recipient, text(innerKey))},
		{"the other role's", "inner", to(inner.recipient, text(outerKey))},
		{"a nonce without a word", "outer", to(outer.recipient, nonce[:])},
		{"not sealed at all", "outer", text(outerKey)},
		{"not sealed within", "both", to(outer.recipient, text(bothKeys))},
		{"too large", "outer", append([]byte(ageIntro), make([]byte, MaxProof)...)},
		{"nothing", "inner", nil},
	} {
		got, err := answers[tt.asks](tt.challenge)
		if err == nil || got != [32]byte{} {
			t.Errorf("%s, asked of %s: answered with %x, error %v", tt.name, tt.asks, got, err)
			continue
		}
		for _, hidden := range []string{secret, d.label.Run.String(), "AGE-SECRET", string(nonce[:8])} {
			if strings.Contains(err.Error(), hidden) {
				t.Errorf("%s, asked of %s: the error repeats what was sealed: %v", tt.name, tt.asks, err)
			}
		}
	}

	// Nor is a challenge an envelope or an inner file.
	if _, err := OpenOuter(d.outer, both, d.want()); err == nil {
		t.Error("a challenge was taken for an envelope")
	}
	if _, err := OpenInner(d.inner, must(NewInnerProof(nonce, inner))(t), d.want()); err == nil {
		t.Error("a challenge was taken for an inner file")
	}
}

func TestParseProof(t *testing.T) {
	const good = "strongroom/v1/proof\nouter\n000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n"
	if nonce, err := parseProof([]byte(good), outerKey); err != nil || nonce[31] != 0x1f {
		t.Errorf("got %x, error %v", nonce, err)
	}
	for name, s := range map[string]string{
		"nothing":          "",
		"no newline":       good[:len(good)-1],
		"two newlines":     good + "\n",
		"upper case":       strings.Replace(good, "0a0b", "0A0B", 1),
		"not hex":          strings.Replace(good, "0a0b", "0a0g", 1),
		"a digit missing":  strings.Replace(good, "0001", "000", 1),
		"a byte too many":  strings.Replace(good, "0001", "000001", 1),
		"line of Windows":  strings.ReplaceAll(good, "\n", "\r\n"),
		"another version":  strings.Replace(good, "v1", "v2", 1),
		"another purpose":  strings.Replace(good, "outer", "inner", 1),
		"something before": " " + good,
	} {
		if nonce, err := parseProof([]byte(s), outerKey); err == nil || nonce != [32]byte{} {
			t.Errorf("%s: %q was taken: %x, error %v", name, s, nonce, err)
		}
	}
}

// TestStockAgeAnswersProof proves two paper keys where strongroom is not.
func TestStockAgeAnswersProof(t *testing.T) {
	program := stockAge(t)
	d, nonce, dir := newDesk(t), newNonce(), t.TempDir()
	peel := func(name string, write func(io.Writer) error, sealed []byte) []byte {
		t.Helper()
		key := filepath.Join(dir, name)
		if err := os.WriteFile(key, []byte(keyFile(t, write)), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(program, "-d", "-i", key)
		cmd.Stdin = bytes.NewReader(sealed)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("age -d -i %s: %v", name, err)
		}
		return out
	}
	challenge := must(NewProof(nonce, d.outer.Recipient(), d.inner.Recipient()))(t)
	within := peel("outer.key", func(w io.Writer) error { return d.outer.Write(w, made) }, challenge)
	got := peel("inner.key", func(w io.Writer) error { return d.inner.Write(w, made) }, within)
	if want := "strongroom/v1/proof\nboth\n" + hex.EncodeToString(nonce[:]) + "\n"; string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func FuzzProof(f *testing.F) {
	f.Add(proofText([32]byte{1}, bothKeys))
	f.Add(proofText([32]byte{2}, outerKey))
	f.Add([]byte(`{"v":1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		taken := 0
		for _, of := range []holding{bothKeys, outerKey, innerKey} {
			nonce, err := parseProof(b, of)
			if err != nil {
				continue
			}
			taken++
			if !bytes.Equal(proofText(nonce, of), b) {
				t.Errorf("%q is taken for %s and written otherwise", b, of)
			}
		}
		if taken > 1 {
			t.Errorf("%q is taken for more than one purpose", b)
		}
	})
}
