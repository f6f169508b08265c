package seal

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"

	"strongroom/internal/safe"
)

// A desk is what the envelope tests work at: both role keys and one run.
type desk struct {
	outer     OuterIdentity
	inner     InnerIdentity
	label     Label
	envelope  []byte
	recipient RunRecipient
}

func newDesk(t testing.TB) desk {
	t.Helper()
	d := desk{
		outer: must(NewOuterIdentity())(t),
		inner: must(NewInnerIdentity())(t),
		label: Label{safe.NewStoreID(), safe.NewRunID(made), "erp-files", made, 3},
	}
	d.envelope, d.recipient = d.newEnvelope(t, d.label)
	return d
}

func (d desk) newEnvelope(t testing.TB, label Label) ([]byte, RunRecipient) {
	t.Helper()
	envelope, recipient, err := NewEnvelope(label, d.outer.Recipient(), d.inner.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	return envelope, recipient
}

func (d desk) want() Want { return d.label.want() }

func (l Label) want() Want { return Want{l.Store, l.Run, l.Source, l.Roster} }

func (d desk) innerFile(t testing.TB) InnerFile {
	t.Helper()
	return must(OpenOuter(d.outer, d.envelope, d.want()))(t)
}

func TestEnvelope(t *testing.T) {
	d := newDesk(t)
	run := must(OpenInner(d.inner, d.innerFile(t), d.want()))(t)
	if run.Recipient() != d.recipient {
		t.Error("the envelope holds another key than the recipient's")
	}
	got, err := opened(run, sealed(t, d.recipient, []byte("payroll")))
	if err != nil || string(got) != "payroll" {
		t.Errorf("what was sealed to the run opens as %q, error %v", got, err)
	}

	_, other := d.newEnvelope(t, d.label)
	if other == d.recipient {
		t.Error("two envelopes hold the same key")
	}
	unknown := d.want()
	unknown.Roster = 0
	file := must(OpenOuter(d.outer, d.envelope, unknown))(t)
	must(OpenInner(d.inner, file, unknown))(t)
}

// TestEnvelopeForm holds the bytes to docs/format.md: names, order, spelling.
func TestEnvelopeForm(t *testing.T) {
	d := newDesk(t)
	d.label.Time = made.In(time.FixedZone("CET", 3600)) // is written in UTC
	d.envelope, d.recipient = d.newEnvelope(t, d.label)

	plain := string(must(d.outer.openLayer(d.envelope))(t))
	file := d.innerFile(t)
	want := `{"v":1,"store":"` + d.label.Store.String() + `","run":"` + d.label.Run.String() +
		`","source":"erp-files","time":"2026-11-21T02:00:00Z","roster":3,"inner":"` + base64.StdEncoding.EncodeToString(file) + `"}`
	if plain != want {
		t.Errorf("outer layer\n%s\nwant\n%s", plain, want)
	}
	run := must(OpenInner(d.inner, file, d.want()))(t)
	plain = string(must(d.inner.openLayer(file))(t))
	want = `{"v":1,"store":"` + d.label.Store.String() + `","run":"` + d.label.Run.String() +
		`","roster":3,"identity":"` + run.key.String() + `"}`
	if plain != want {
		t.Errorf("inner layer\n%s\nwant\n%s", plain, want)
	}
}

func TestOneRoleKeyAloneOpensNothing(t *testing.T) {
	d := newDesk(t)
	// The same private key in the other role is what an attacker would try.
	outerAsInner, innerAsOuter := InnerIdentity{d.outer.identity}, OuterIdentity{d.inner.identity}

	if _, err := OpenOuter(innerAsOuter, d.envelope, d.want()); !errors.Is(err, ErrWrongKey) {
		t.Errorf("the inner key on the envelope: got %v, want ErrWrongKey", err)
	}
	if _, err := OpenInner(d.inner, InnerFile(d.envelope), d.want()); !errors.Is(err, ErrWrongKey) {
		t.Errorf("the inner key on the envelope as inner file: got %v, want ErrWrongKey", err)
	}
	if _, err := OpenInner(outerAsInner, d.innerFile(t), d.want()); !errors.Is(err, ErrWrongKey) {
		t.Errorf("the outer key on the inner file: got %v, want ErrWrongKey", err)
	}
	// With the outer key, everything that can be seen holds no run key.
	plain := must(d.outer.openLayer(d.envelope))(t)
	if bytes.Contains(plain, []byte("AGE-SECRET-KEY")) {
		t.Error("the outer layer shows a private key")
	}
	if _, err := OpenOuter(must(NewOuterIdentity())(t), d.envelope, d.want()); !errors.Is(err, ErrWrongKey) {
		t.Errorf("the outer key of another period: got %v, want ErrWrongKey", err)
	}
}

func TestLabelsAreCompared(t *testing.T) {
	d := newDesk(t)
	file := d.innerFile(t)
	elsewhere := Want{safe.NewStoreID(), safe.NewRunID(made), "erp-db", 4}
	tests := []struct {
		field string
		want  Want
		outer *LabelError
		inner *LabelError
	}{
		{"store", Want{elsewhere.Store, d.label.Run, d.label.Source, 3},
			&LabelError{"outer", "store", d.label.Store.String(), elsewhere.Store.String()},
			&LabelError{"inner", "store", d.label.Store.String(), elsewhere.Store.String()}},
		{"run", Want{d.label.Store, elsewhere.Run, d.label.Source, 3},
			&LabelError{"outer", "run", d.label.Run.String(), elsewhere.Run.String()},
			&LabelError{"inner", "run", d.label.Run.String(), elsewhere.Run.String()}},
		{"source", Want{d.label.Store, d.label.Run, elsewhere.Source, 3},
			&LabelError{"outer", "source", "erp-files", "erp-db"}, nil},
		{"roster", Want{d.label.Store, d.label.Run, d.label.Source, 4},
			&LabelError{"outer", "roster", "3", "4"}, &LabelError{"inner", "roster", "3", "4"}},
		{"nothing asked for", Want{},
			&LabelError{"outer", "store", d.label.Store.String(), safe.StoreID{}.String()},
			&LabelError{"inner", "store", d.label.Store.String(), safe.StoreID{}.String()}},
	}
	for _, tt := range tests {
		_, err := OpenOuter(d.outer, d.envelope, tt.want)
		got, _ := errors.AsType[*LabelError](err)
		if diff := cmp.Diff(tt.outer, got); diff != "" {
			t.Errorf("%s: outer layer: %v (-want +got)\n%s", tt.field, err, diff)
		}
		_, err = OpenInner(d.inner, file, tt.want)
		got, _ = errors.AsType[*LabelError](err)
		if diff := cmp.Diff(tt.inner, got); diff != "" {
			t.Errorf("%s: inner layer: %v (-want +got)\n%s", tt.field, err, diff)
		}
	}
}

// TestSwappedLayersAreRefused is an attack: who can write the store puts the
// envelope of one run in the place of another's, or wraps the inner layer of
// one run into an outer layer with the label of another.
func TestSwappedLayersAreRefused(t *testing.T) {
	d := newDesk(t)
	open := d.label // the run that a keykeeper would release
	open.Run, open.Source = safe.NewRunID(made.Add(time.Hour)), "intranet"

	if _, err := OpenOuter(d.outer, d.envelope, open.want()); !isLabelError(err, "outer") {
		t.Errorf("an envelope in another's place: got %v, want a LabelError of the outer layer", err)
	}

	wrapped := must(sealLayer(d.outer.Recipient().recipient, outerLayer{
		1, open.Store, open.Run, open.Source, made, open.Roster, d.innerFile(t),
	}))(t)
	file := must(OpenOuter(d.outer, wrapped, open.want()))(t)
	if _, err := OpenInner(d.inner, file, open.want()); !isLabelError(err, "inner") {
		t.Errorf("an inner layer under another's label: got %v, want a LabelError of the inner layer", err)
	}
}

func isLabelError(err error, layer string) bool {
	e, ok := errors.AsType[*LabelError](err)
	return ok && e.Layer == layer && strings.Contains(err.Error(), "belongs elsewhere")
}

func TestNewEnvelopeRefuses(t *testing.T) {
	d := newDesk(t)
	outer, inner := d.outer.Recipient(), d.inner.Recipient()
	change := func(f func(*Label)) Label { l := d.label; f(&l); return l }
	for _, tt := range []struct {
		name  string
		label Label
		outer OuterRecipient
		inner InnerRecipient
	}{
		{"no store", change(func(l *Label) { l.Store = safe.StoreID{} }), outer, inner},
		{"no run", change(func(l *Label) { l.Run = safe.RunID{} }), outer, inner},
		{"no source", change(func(l *Label) { l.Source = "" }), outer, inner},
		{"a path as source", change(func(l *Label) { l.Source = "../x" }), outer, inner},
		{"no roster", change(func(l *Label) { l.Roster = 0 }), outer, inner},
		{"no time", change(func(l *Label) { l.Time = time.Time{} }), outer, inner},
		{"no outer key", d.label, OuterRecipient{}, inner},
		{"no inner key", d.label, outer, InnerRecipient{}},
	} {
		if envelope, _, err := NewEnvelope(tt.label, tt.outer, tt.inner); err == nil {
			t.Errorf("%s: an envelope of %d bytes was made", tt.name, len(envelope))
		}
	}
}

// damageStep is the distance between the bytes that are tried.
var damageStep = 1

func TestDamagedLayersAreRefused(t *testing.T) {
	d := newDesk(t)
	file := d.innerFile(t)
	if len(d.envelope) > 8<<10 {
		t.Errorf("an envelope has %d bytes, about 5 kB were expected", len(d.envelope))
	}
	outer := func(b []byte) error { _, err := OpenOuter(d.outer, b, d.want()); return err }
	inner := func(b []byte) error { _, err := OpenInner(d.inner, b, d.want()); return err }
	for _, layer := range []struct {
		name string
		file []byte
		open func([]byte) error
	}{{"outer", d.envelope, outer}, {"inner", file, inner}} {
		t.Run(layer.name, func(t *testing.T) {
			t.Parallel()
			if err := layer.open(layer.file); err != nil {
				t.Fatal(err)
			}
			for n := 0; n < len(layer.file); n += damageStep {
				if layer.open(layer.file[:n]) == nil {
					t.Fatalf("the first %d of %d bytes open", n, len(layer.file))
				}
				damaged := bytes.Clone(layer.file)
				damaged[n] ^= 1 << (n % 8)
				if layer.open(damaged) == nil {
					t.Fatalf("opens with bit %d of byte %d flipped", n%8, n)
				}
			}
			if layer.open(append(bytes.Clone(layer.file), 0)) == nil {
				t.Error("opens with a byte after its end")
			}
			if err := layer.open(make([]byte, MaxEnvelope+1)); err == nil || !strings.Contains(err.Error(), "at most") {
				t.Errorf("more than the bound: got %v", err)
			}
		})
	}
}

// TestLayersAreReadStrictly seals what only somebody with a public key, such
// as root on the safe, could have made.
func TestLayersAreReadStrictly(t *testing.T) {
	d := newDesk(t)
	outer := string(must(d.outer.openLayer(d.envelope))(t))
	inner := string(must(d.inner.openLayer(d.innerFile(t)))(t))
	key := inner[strings.Index(inner, "AGE-"):strings.LastIndex(inner, `"`)]
	classic := must(age.GenerateX25519Identity())(t)

	edit := func(s, old, new string) string {
		t.Helper()
		if !strings.Contains(s, old) {
			t.Fatalf("%q is not in the layer", old)
		}
		return strings.Replace(s, old, new, 1)
	}
	type test struct{ name, plain, want string }
	common := func(plain string) []test {
		return []test{
			{"empty", "", "content"},
			{"null", "null", "version 0"},
			{"a list", "[]", "content"},
			{"cut", plain[:len(plain)-1], "content"},
			{"later version", edit(plain, `"v":1`, `"v":2,"new":true`), "version 2, this program knows version 1"},
			{"unknown name", edit(plain, `"v":1`, `"v":1,"x":0`), "spelling"},
			{"name twice", edit(plain, `"v":1`, `"v":1,"v":1`), "spelling"},
			{"name in upper case", edit(plain, `"store"`, `"STORE"`), "spelling"},
			{"name missing", edit(plain, `"roster":3,`, ``), "spelling"},
			{"space", edit(plain, `,`, `, `), "spelling"},
			{"newline after it", plain + "\n", "spelling"},
			{"second value after it", plain + "{}", "content"},
			{"no roster", edit(plain, `"roster":3`, `"roster":0`), "there is no roster 0"},
			{"no store", edit(plain, d.label.Store.String(), safe.StoreID{}.String()), "no store"},
			{"store in upper case", edit(plain, d.label.Store.String(), strings.Repeat("A", 32)), "content"},
		}
	}
	for _, tt := range append(common(outer), []test{
		{"source is a path", edit(outer, "erp-files", "../files"), "content"},
		{"time in another zone", edit(outer, "02:00:00Z", "03:00:00+01:00"), "UTC"},
		{"no inner layer", outer[:strings.Index(outer, `"inner":"`)] + `"inner":""}`, "no inner layer"},
		{"base64 with a line break", edit(outer, `"inner":"`, `"inner":"\n`), "spelling"},
	}...) {
		checkParse(t, "outer layer, "+tt.name, tt.want, func() error { _, err := parseOuter([]byte(tt.plain)); return err })
	}
	for _, tt := range append(common(inner), []test{
		{"no key", edit(inner, key, ""), "not a private key"},
		{"classic key", edit(inner, key, classic.String()), "not a post-quantum key"},
		{"damaged key", edit(inner, key, key[:len(key)-1]), "not a private key"},
		{"key in another's place", edit(inner, d.label.Store.String(), key), "content"},
	}...) {
		checkParse(t, "inner layer, "+tt.name, tt.want, func() error {
			_, _, err := parseInner([]byte(tt.plain))
			if err != nil && strings.Contains(err.Error(), key[20:40]) {
				t.Errorf("%s: the error repeats the key: %v", tt.name, err)
			}
			return err
		})
	}
}

func checkParse(t *testing.T, name, want string, parse func() error) {
	t.Helper()
	err := parse()
	if want == "" && err != nil {
		t.Errorf("%s: %v", name, err)
	}
	if want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
		t.Errorf("%s: got %v, want %q", name, err, want)
	}
}

// TestOneDecapsulationForEachLayer holds a release of thousands of envelopes
// to its price, and shows that nobody else is among the recipients.
func TestOneDecapsulationForEachLayer(t *testing.T) {
	d := newDesk(t)
	for name, layer := range map[string]struct {
		file []byte
		key  identity
	}{
		"outer": {d.envelope, d.outer.identity},
		"inner": {d.innerFile(t), d.inner.identity},
	} {
		counting := &countingIdentity{key: layer.key.key}
		if _, err := age.Decrypt(bytes.NewReader(layer.file), counting); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"mlkem768x25519"}, counting.stanzas); diff != "" {
			t.Errorf("%s layer: stanzas (-want +got)\n%s", name, diff)
		}
	}
}

type countingIdentity struct {
	key     age.Identity
	stanzas []string
}

func (i *countingIdentity) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	for _, s := range stanzas {
		i.stanzas = append(i.stanzas, s.Type)
	}
	return i.key.Unwrap(stanzas)
}

// stockAge returns the path of the program age that is pinned in go.mod, or
// skips the test.
func stockAge(t *testing.T) string {
	t.Helper()
	program := os.Getenv("STRONGROOM_AGE")
	if program == "" {
		program = "../../../bin/age"
	}
	if _, err := os.Stat(program); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("no age 1.3 or newer at STRONGROOM_AGE: %v", err)
		}
		t.Skipf("no age 1.3 or newer at STRONGROOM_AGE or bin/age: %v", err)
	}
	return must(filepath.Abs(program))(t)
}

// TestStockTools does what docs/format.md tells people to do without
// strongroom, with jq's part done here: it is not everywhere.
func TestStockTools(t *testing.T) {
	program := stockAge(t)
	d := newDesk(t)
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	decrypt := func(key string, file []byte) []byte {
		t.Helper()
		cmd := exec.Command(program, "-d", "-i", key)
		cmd.Stdin = bytes.NewReader(file)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("age -d -i %s: %v", filepath.Base(key), err)
		}
		return out
	}
	field := func(name string, doc []byte) string {
		t.Helper()
		var m map[string]any
		if err := json.Unmarshal(doc, &m); err != nil {
			t.Fatal(err)
		}
		return m[name].(string)
	}
	outerKey := write("outer.key", keyFile(t, func(w io.Writer) error { return d.outer.Write(w, made) }))
	innerKey := write("inner.key", keyFile(t, func(w io.Writer) error { return d.inner.Write(w, made) }))

	innerFile := must(base64.StdEncoding.DecodeString(field("inner", decrypt(outerKey, d.envelope))))(t)
	runKey := write("run.key", field("identity", decrypt(innerKey, innerFile))+"\n")
	if got := decrypt(runKey, sealed(t, d.recipient, []byte("payroll"))); string(got) != "payroll" {
		t.Errorf("got %q", got)
	}
}

func FuzzOuterLayer(f *testing.F) {
	d := newDesk(f)
	f.Add(must(d.outer.openLayer(d.envelope))(f))
	f.Add([]byte(`{"v":1,"store":"","run":"","source":"","time":"","roster":1,"inner":""}`))
	f.Add([]byte(`{"v":2}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		layer, err := parseOuter(b)
		if err != nil {
			return
		}
		if again := must(json.Marshal(layer))(t); !bytes.Equal(again, b) {
			t.Errorf("%q is taken and written as %q", b, again)
		}
		label := Label{layer.Store, layer.Run, layer.Source, layer.Time, layer.Roster}
		if _, _, err := NewEnvelope(label, d.outer.Recipient(), d.inner.Recipient()); err != nil {
			t.Errorf("the label of %q is taken, but none can be made: %v", b, err)
		}
	})
}

func FuzzInnerLayer(f *testing.F) {
	d := newDesk(f)
	f.Add(must(d.inner.openLayer(d.innerFile(f)))(f))
	f.Add([]byte(`{"v":1,"store":"","run":"","roster":1,"identity":""}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		layer, key, err := parseInner(b)
		if err != nil {
			return
		}
		if again := must(json.Marshal(layer))(t); !bytes.Equal(again, b) {
			t.Errorf("%q is taken and written as %q", b, again)
		}
		if _, err := parseRecipient(key.public().String()); err != nil {
			t.Errorf("the key in %q has no recipient: %v", b, err)
		}
	})
}

// FuzzOpenOuter has no key for what it tries, so nothing may open.
func FuzzOpenOuter(f *testing.F) {
	d := newDesk(f)
	f.Add(d.envelope)
	f.Add(d.envelope[:200])
	f.Add([]byte("age-encryption.org/v1\n-> mlkem768x25519 AAAA\n\n--- AAAA\n"))
	other := must(NewOuterIdentity())(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		if file, err := OpenOuter(other, b, d.want()); err == nil {
			t.Errorf("%q opens as %q", b, file)
		}
	})
}
