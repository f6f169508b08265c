package seal

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Two role keys and two people.
type circle struct {
	outer      OuterIdentity
	inner      InnerIdentity
	anna, bert PersonalIdentity
}

func newCircle(t testing.TB) circle {
	t.Helper()
	return circle{
		must(NewOuterIdentity())(t), must(NewInnerIdentity())(t),
		must(NewPersonalIdentity())(t), must(NewPersonalIdentity())(t),
	}
}

func TestCopies(t *testing.T) {
	c := newCircle(t)
	copy := must(c.outer.SealTo(c.anna.Recipient(), made))(t)
	outer, err := OpenOuterCopy(c.anna, copy, c.outer.Recipient())
	if err != nil || outer.Recipient() != c.outer.Recipient() {
		t.Errorf("the outer key's copy opens as another key, error %v", err)
	}
	if len(copy) > 6<<10 {
		t.Errorf("a copy has %d bytes, about 4 kB were expected", len(copy))
	}
	// Within is the key file and nothing else.
	want := keyFile(t, func(w io.Writer) error { return c.outer.Write(w, made) })
	if got := must(c.anna.openBytes(copy, MaxCopy))(t); string(got) != want {
		t.Errorf("the copy holds\n%s\nwant\n%s", got, want)
	}

	copy = must(c.inner.SealTo(c.bert.Recipient(), made))(t)
	inner, err := OpenInnerCopy(c.bert, copy, c.inner.Recipient())
	if err != nil || inner.Recipient() != c.inner.Recipient() {
		t.Errorf("the inner key's copy opens as another key, error %v", err)
	}
	if _, err := c.outer.SealTo(PersonalRecipient{}, made); err == nil {
		t.Error("a copy was sealed to nobody")
	}
}

// TestCopiesAreRefused tries what somebody could do who can replace copies but
// has no key of those people.
func TestCopiesAreRefused(t *testing.T) {
	c := newCircle(t)
	person := c.anna.Recipient()
	theirs := must(NewOuterIdentity())(t)
	good := must(c.outer.SealTo(person, made))(t)
	flipped := bytes.Clone(good)
	flipped[len(flipped)-1] ^= 1
	sealed := func(content string) []byte { return must(person.sealBytes([]byte(content)))(t) }
	line := c.outer.PrivateLine()

	for _, tt := range []struct {
		name, want string
		copy       []byte
	}{
		{"another role key", "another key than the private half", must(theirs.SealTo(person, made))(t)},
		{"the inner key", "says that it is another key", must(c.inner.SealTo(person, made))(t)},
		{"a file that holds two keys", "a second key", sealed(line + "\n" + theirs.PrivateLine())},
		{"no key", "there is no key", sealed("")},
		{"not sealed at all", "not an age file", []byte(line)},
		{"nothing", "not an age file", nil},
		{"damaged", "", flipped},
		{"cut", "", good[:len(good)-1]},
		{"too large", "at most", append([]byte(ageIntro), make([]byte, MaxCopy)...)},
	} {
		_, err := OpenOuterCopy(c.anna, tt.copy, c.outer.Recipient())
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
		if err != nil && strings.Contains(err.Error(), line[20:40]) {
			t.Errorf("%s: the error repeats a key: %v", tt.name, err)
		}
	}
	if _, err := OpenOuterCopy(c.bert, good, c.outer.Recipient()); !errors.Is(err, ErrWrongKey) {
		t.Errorf("another person's copy: got %v, want ErrWrongKey", err)
	}
	if _, err := OpenOuterCopy(c.anna, good, OuterRecipient{}); err == nil {
		t.Error("a copy of no key in particular was opened")
	}
}

// TestStockAgeOpensCopies goes from a person's key to an envelope with nothing
// but the program age.
func TestStockAgeOpensCopies(t *testing.T) {
	program := stockAge(t)
	c, d := newCircle(t), newDesk(t)
	dir := t.TempDir()
	personal, outer := filepath.Join(dir, "personal.key"), filepath.Join(dir, "outer.key")
	file := keyFile(t, func(w io.Writer) error { return c.anna.Write(w, made) })
	if err := os.WriteFile(personal, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	decrypt := func(key string, sealed []byte, flags ...string) []byte {
		t.Helper()
		cmd := exec.Command(program, append([]string{"-d", "-i", key}, flags...)...)
		cmd.Stdin = bytes.NewReader(sealed)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("age -d -i %s: %v\n%s", filepath.Base(key), err, out)
		}
		return out
	}
	decrypt(personal, must(d.outer.SealTo(c.anna.Recipient(), made))(t), "-o", outer)
	if layer := decrypt(outer, d.envelope); !bytes.Contains(layer, []byte(d.label.Run.String())) {
		t.Errorf("the envelope's outer layer is %q", layer)
	}
}

// FuzzOpenCopy has no key for what it tries, so nothing may open.
func FuzzOpenCopy(f *testing.F) {
	c := newCircle(f)
	f.Add(must(c.outer.SealTo(c.bert.Recipient(), made))(f))
	f.Add([]byte(ageIntro + "-> mlkem768x25519 AAAA\n\n--- AAAA\n"))
	f.Add([]byte(c.outer.PrivateLine()))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := OpenOuterCopy(c.anna, b, c.outer.Recipient()); err == nil {
			t.Errorf("%q opens", b)
		}
	})
}
