package seal

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"filippo.io/age"
)

func keyFile(t testing.TB, write func(io.Writer) error) string {
	t.Helper()
	var b strings.Builder
	if err := write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestKeyFileForm(t *testing.T) {
	outer := must(NewOuterIdentity())(t)
	got := keyFile(t, func(w io.Writer) error { return outer.Write(w, made) })
	want := "# strongroom outer key, made 2026-11-21T02:00:00Z\n" +
		"# public key: " + outer.Recipient().String() + "\n" +
		outer.key.String() + "\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}

	again := must(ReadOuterIdentity(strings.NewReader(got)))(t)
	if again.Recipient() != outer.Recipient() {
		t.Error("another key was read than was written")
	}
	// age reads the same file as an identity file.
	ids := must(age.ParseIdentities(strings.NewReader(got)))(t)
	if len(ids) != 1 || ids[0].(*age.HybridIdentity).Recipient().String() != outer.Recipient().String() {
		t.Errorf("age reads %d other keys", len(ids))
	}
}

func TestKeyFileRoles(t *testing.T) {
	outer, inner := must(NewOuterIdentity())(t), must(NewInnerIdentity())(t)
	personal, memory := must(NewPersonalIdentity())(t), must(NewMemoryIdentity())(t)
	files := map[role]string{
		outerRole:    keyFile(t, func(w io.Writer) error { return outer.Write(w, made) }),
		innerRole:    keyFile(t, func(w io.Writer) error { return inner.Write(w, made) }),
		personalRole: keyFile(t, func(w io.Writer) error { return personal.Write(w, made) }),
		memoryRole:   keyFile(t, func(w io.Writer) error { return memory.Write(w, made) }),
	}
	for reader, read := range map[role]func(io.Reader) error{
		outerRole:    func(r io.Reader) error { _, err := ReadOuterIdentity(r); return err },
		innerRole:    func(r io.Reader) error { _, err := ReadInnerIdentity(r); return err },
		personalRole: func(r io.Reader) error { _, err := ReadPersonalIdentity(r); return err },
		memoryRole:   func(r io.Reader) error { _, err := ReadMemoryIdentity(r); return err },
	} {
		for writer, file := range files {
			err := read(strings.NewReader(file))
			if reader == writer && err != nil {
				t.Errorf("%s key: %v", reader, err)
			}
			if reader != writer && (err == nil || !strings.Contains(err.Error(), "says that it is another key")) {
				t.Errorf("%s key read as %s key: got %v", writer, reader, err)
			}
		}
	}
}

// TestPrivateLine reads each key again from the line that goes on paper.
func TestPrivateLine(t *testing.T) {
	outer, inner, personal := must(NewOuterIdentity())(t), must(NewInnerIdentity())(t), must(NewPersonalIdentity())(t)
	if i := must(ReadOuterIdentity(strings.NewReader(outer.PrivateLine())))(t); i.Recipient() != outer.Recipient() {
		t.Error("outer: another key was read")
	}
	if i := must(ReadInnerIdentity(strings.NewReader(inner.PrivateLine())))(t); i.Recipient() != inner.Recipient() {
		t.Error("inner: another key was read")
	}
	if i := must(ReadPersonalIdentity(strings.NewReader(personal.PrivateLine())))(t); i.Recipient() != personal.Recipient() {
		t.Error("personal: another key was read")
	}
}

func TestKeyFileRefuses(t *testing.T) {
	key, other := must(newIdentity())(t), must(newIdentity())(t)
	classic := must(age.GenerateX25519Identity())(t)
	text := key.key.String()
	tests := []struct{ name, file, want string }{
		{"the key alone", text, ""},
		{"as an editor on Windows leaves it", "\r\n" + text + "\r\n\r\n", ""},
		{"comments of age-keygen", "# created: 2026\n# public key: " + key.public().String() + "\n" + text + "\n", ""},
		{"nothing", "", "there is no key"},
		{"comments only", "# strongroom outer key, made 2026\n", "there is no key"},
		{"classic key", classic.String(), "line 1: not a post-quantum key"},
		{"public key", key.public().String(), "line 1: not a private key"},
		{"cut", text[:len(text)-1], "line 1: not a private key"},
		{"a character changed", strings.ToUpper(flip(strings.ToLower(text), 30)), "line 1: not a private key"},
		{"two keys", text + "\n" + other.key.String(), "line 2: a second key"},
		{"another public key", "# public key: " + other.public().String() + "\n" + text, "is not that of the private key"},
		{"role of another", "# strongroom inner key, made 2026\n" + text, "line 1 says that it is another key"},
		{"role that begins like it", "# strongroom outermost key\n" + text, "line 1 says that it is another key"},
		{"role after the key", text + "\n# strongroom run key\n", "line 2 says that it is another key"},
		{"too long", strings.Repeat("#\n", maxKeyFile), "are not a key file"},
	}
	for _, tt := range tests {
		_, err := ReadOuterIdentity(strings.NewReader(tt.file))
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%s: %v", tt.name, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		case err != nil && strings.Contains(err.Error(), text[20:40]):
			t.Errorf("%s: the error repeats a part of the key: %v", tt.name, err)
		}
	}
}

func FuzzKeyFile(f *testing.F) {
	key := must(newIdentity())(f)
	f.Add([]byte(keyFile(f, func(w io.Writer) error { return OuterIdentity{key}.Write(w, made) })))
	f.Add([]byte("# strongroom inner key, made 2026\n"))
	f.Add([]byte("AGE-SECRET-KEY-1\nAGE-SECRET-KEY-PQ-1"))
	f.Fuzz(func(t *testing.T, b []byte) {
		i, err := ReadOuterIdentity(bytes.NewReader(b))
		if err != nil {
			return
		}
		again := keyFile(t, func(w io.Writer) error { return i.Write(w, made) })
		if j, err := ReadOuterIdentity(strings.NewReader(again)); err != nil || j.Recipient() != i.Recipient() {
			t.Errorf("a key that was read from %q cannot be read again: %v", b, err)
		}
	})
}
