package seal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
)

var made = time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func newRun(t testing.TB) RunIdentity {
	t.Helper()
	return RunIdentity{must(newIdentity())(t)}
}

func sealed(t testing.TB, to RunRecipient, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := must(to.Seal(&b))(t)
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func opened(run RunIdentity, file []byte) ([]byte, error) {
	r, err := run.Open(bytes.NewReader(file))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

func TestSealAndOpen(t *testing.T) {
	run := newRun(t)
	for _, size := range []int{0, 1, 64<<10 - 1, 64 << 10, 64<<10 + 1, 300_000} {
		content := bytes.Repeat([]byte("strongroom"), size/10+1)[:size]
		file := sealed(t, run.Recipient(), content)

		if got, err := opened(run, file); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%d bytes: Open gave %d bytes, error %v", size, len(got), err)
		}

		at, n, err := run.OpenAt(bytes.NewReader(file), int64(len(file)))
		if err != nil || n != int64(size) {
			t.Errorf("%d bytes: OpenAt said %d, error %v", size, n, err)
			continue
		}
		tail := make([]byte, size-size/2)
		if _, err := at.ReadAt(tail, int64(size/2)); err != nil && err != io.EOF {
			t.Errorf("%d bytes: ReadAt: %v", size, err)
		}
		if !bytes.Equal(tail, content[size/2:]) {
			t.Errorf("%d bytes: ReadAt gave other bytes than were sealed", size)
		}
	}
}

func TestOpenRefusesAnotherKeyAndACutFile(t *testing.T) {
	run, other := newRun(t), newRun(t)
	file := sealed(t, run.Recipient(), make([]byte, 130_000))

	if _, err := opened(other, file); !errors.Is(err, ErrWrongKey) {
		t.Errorf("another key: got %v, want ErrWrongKey", err)
	}
	if _, _, err := other.OpenAt(bytes.NewReader(file), int64(len(file))); !errors.Is(err, ErrWrongKey) {
		t.Errorf("another key, random access: got %v, want ErrWrongKey", err)
	}
	const piece = 64<<10 + 16
	for _, n := range []int{0, 10, len(file) - 2*piece, len(file) - piece, len(file) - 1} {
		if _, err := opened(run, file[:n]); err == nil {
			t.Errorf("the first %d of %d bytes opened without an error", n, len(file))
		}
		if _, _, err := run.OpenAt(bytes.NewReader(file), int64(n)); err == nil {
			t.Errorf("the first %d of %d bytes opened for random access", n, len(file))
		}
	}
}

func TestMemoryIdentity(t *testing.T) {
	memory := must(NewMemoryIdentity())(t)
	var file bytes.Buffer
	w := must(memory.Seal(&file))(t)
	io.WriteString(w, "what the safe remembers")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	r := must(memory.Open(bytes.NewReader(file.Bytes())))(t)
	if got := must(io.ReadAll(r))(t); string(got) != "what the safe remembers" {
		t.Errorf("got %q", got)
	}
	other := must(NewMemoryIdentity())(t)
	if _, err := other.Open(&file); !errors.Is(err, ErrWrongKey) {
		t.Errorf("another key: got %v, want ErrWrongKey", err)
	}
}

// TestSealWritesWholePieces guards the hot path: what goes to disk comes in
// age's pieces of 64 KiB, however it was written.
func TestSealWritesWholePieces(t *testing.T) {
	var sizes writeSizes
	w := must(newRun(t).Recipient().Seal(&sizes))(t)
	sizes = nil // the header
	w.Write(make([]byte, 100_000))
	w.Write(make([]byte, 100_000))
	w.Close()
	want := "[65552 65552 65552 3408]"
	if got := fmt.Sprint(sizes); got != want {
		t.Errorf("writes of %s bytes, want %s", got, want)
	}
}

type writeSizes []int

func (s *writeSizes) Write(p []byte) (int, error) {
	*s = append(*s, len(p))
	return len(p), nil
}

func TestRecipientText(t *testing.T) {
	outer := must(NewOuterIdentity())(t).Recipient()
	again := must(ParseOuterRecipient(outer.String()))(t)
	if again != outer {
		t.Error("a recipient is not equal to itself after String and Parse")
	}
	var fromJSON struct{ Key OuterRecipient }
	doc := must(json.Marshal(struct{ Key OuterRecipient }{outer}))(t)
	if err := json.Unmarshal(doc, &fromJSON); err != nil || fromJSON.Key != outer {
		t.Errorf("through JSON: %v, error %v", fromJSON.Key, err)
	}
	if outer.IsZero() || !(OuterRecipient{}).IsZero() {
		t.Error("IsZero does not tell a key from none")
	}
}

func TestRecipientRefuses(t *testing.T) {
	hybrid := must(newIdentity())(t)
	classic := must(age.GenerateX25519Identity())(t)
	text := hybrid.public().String()
	tests := []struct{ name, key, want string }{
		{"nothing", "", "not a public key"},
		{"classic key", classic.Recipient().String(), "is not a post-quantum key"},
		{"private key", hybrid.key.String(), "a private key stands where"},
		{"private key in lower case", strings.ToLower(hybrid.key.String()), "a private key stands where"},
		{"classic private key", classic.String(), "a private key stands where"},
		{"ssh key", "ssh-ed25519 AAAA", "not a public key"},
		{"cut", text[:len(text)-1], "is damaged"},
		{"a character changed", flip(text, 100), "is damaged"},
		{"space after it", text + " ", "is damaged"},
		{"two keys", text + "\n" + text, "is damaged"},
	}
	for _, tt := range tests {
		for role, parse := range map[string]func(string) error{
			"outer":    func(s string) error { _, err := ParseOuterRecipient(s); return err },
			"inner":    func(s string) error { _, err := ParseInnerRecipient(s); return err },
			"personal": func(s string) error { _, err := ParsePersonalRecipient(s); return err },
			"run":      func(s string) error { return new(RunRecipient).UnmarshalText([]byte(s)) },
		} {
			err := parse(tt.key)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s, %s: got %v, want %q", tt.name, role, err, tt.want)
			}
			if err != nil && strings.Contains(strings.ToUpper(err.Error()), "SECRET-KEY-") {
				t.Errorf("%s, %s: the error repeats a private key: %v", tt.name, role, err)
			}
		}
	}
}

func flip(s string, at int) string {
	c := byte('q')
	if s[at] == c {
		c = 'p'
	}
	return s[:at] + string(c) + s[at+1:]
}

func TestSealingToNoKeyFails(t *testing.T) {
	if _, err := (RunRecipient{}).Seal(io.Discard); err == nil {
		t.Error("sealed to the zero recipient")
	}
}

func TestPrivateThingsRedactThemselves(t *testing.T) {
	outer, inner, memory := must(NewOuterIdentity())(t), must(NewInnerIdentity())(t), must(NewMemoryIdentity())(t)
	run, personal, secret := newRun(t), must(NewPersonalIdentity())(t), NewSecret()
	tag, cut := secret.SourceKeys("files")

	things := []struct {
		name   string
		thing  any
		secret []string // spellings that must not appear
	}{
		{"outer", outer, []string{outer.key.String()}},
		{"inner", inner, []string{inner.key.String()}},
		{"personal", personal, []string{personal.key.String()}},
		{"memory", memory, []string{memory.key.String()}},
		{"run", run, []string{run.key.String()}},
		{"secret", secret, spellings(secret.key[:])},
		{"tag key", tag, spellings(tag[:])},
		{"cut key", cut, spellings(cut[:])},
	}
	for _, tt := range things {
		var out strings.Builder
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
			fmt.Fprintf(&out, verb+"\n", tt.thing)
			fmt.Fprintf(&out, verb+"\n", struct{ Key any }{tt.thing})
			fmt.Fprintf(&out, verb+"\n", []any{&tt.thing, tt.thing})
		}
		fmt.Fprintln(&out, errors.New(fmt.Sprint(tt.thing)), tt.thing.(fmt.Stringer).String())
		for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
			slog.New(handler).Info("test", "key", tt.thing, "in", struct{ Key any }{tt.thing})
		}
		doc, err := json.Marshal(tt.thing)
		if err == nil {
			t.Errorf("%s: is written into JSON as %s", tt.name, doc)
		}
		fmt.Fprintf(&out, "%s %v", doc, err)

		if !strings.Contains(out.String(), redacted) {
			t.Errorf("%s: does not say that it is redacted", tt.name)
		}
		for _, s := range tt.secret {
			if strings.Contains(strings.ToUpper(out.String()), strings.ToUpper(s)) {
				t.Errorf("%s: prints itself: %s", tt.name, out.String())
			}
		}
	}
}

// TestUnexportedFieldsDoNotPrintKeys covers where fmt cannot call Format.
func TestUnexportedFieldsDoNotPrintKeys(t *testing.T) {
	outer, secret := must(NewOuterIdentity())(t), NewSecret()
	holder := struct {
		outer  OuterIdentity
		secret Secret
	}{outer, secret}
	for _, verb := range []string{"%v", "%+v", "%#v", "%x"} {
		got := fmt.Sprintf(verb, holder)
		for _, s := range append(spellings(secret.key[:]), outer.key.String()) {
			if strings.Contains(got, s) {
				t.Errorf("%s prints a key: %s", verb, got)
			}
		}
	}
}

// spellings returns how fmt and encoding/json might write the beginning of b.
func spellings(b []byte) []string {
	b = b[:8]
	return []string{
		string(b),
		fmt.Sprintf("%x", b),
		strings.Trim(fmt.Sprint(b), "[]"),
		strings.ReplaceAll(strings.Trim(fmt.Sprint(b), "[]"), " ", ","),
		strings.Trim(fmt.Sprintf("%#v", b), "[]byte{}"),
	}
}
