package browsertest

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/access"
	"strongroom/internal/access/passkey"
	"strongroom/internal/ledger"
	"strongroom/internal/paper"
	"strongroom/internal/safe"
	"strongroom/internal/safe/words"
	"strongroom/internal/spelling"
	"strongroom/internal/store/seal"
)

// TestStatements holds what the page signs to the bytes that Go makes of the
// same act.
func TestStatements(t *testing.T) {
	p := kit(t)
	store, opening, digest := safe.NewStoreID(), safe.NewOpeningID(time.Now()), safe.DigestOf([]byte("a roster"))
	at := time.Date(2026, 11, 22, 6, 5, 4, 0, time.UTC)
	for _, tt := range []struct {
		act access.Act
		js  string
	}{
		{access.Agree{Number: 3, Digest: digest, After: 41}, `m.statement.agree({after: 41, digest: x.digest, n: 3})`},
		{access.Object{Number: 3, Digest: digest, Reason: "no"}, `m.statement.object({n: 3, digest: x.digest, reason: "no"})`},
		{access.Suspend{Person: "bob", Reason: "lost laptop"}, `m.statement.suspend({person: "bob", reason: "lost laptop"})`},
		{access.Refuse{Opening: opening, Reason: `"why?" <b> & \ é 語 😀 `}, `m.statement.refuse(x.opening, '"why?" <b> & \\ é 語 😀 ')`},
		{access.Rule{Verdict: ledger.Rejected, From: "host/erp", To: "host/b<a>ckup", Reason: "it pulls"},
			`m.statement.rule({reason: "it pulls", verdict: "rejected", to: "host/b<a>ckup", from: "host/erp", need: ""})`},
		{access.Rule{Verdict: ledger.Added, From: "host/erp", To: "service/dns", Need: "start", Reason: "é"},
			`m.statement.rule({verdict: "added", from: "host/erp", to: "service/dns", need: "start", reason: "é"})`},
		{access.TakeBack{Entry: 17, Reason: "wrong"}, `m.statement.takeBack({reason: "wrong", entry: 17})`},
		{access.Close{Opening: opening, Reason: "done"}, `m.statement.close(x.opening, "done")`},
	} {
		want, err := access.Statement{Store: store, Person: "ada", Time: at, Act: tt.act}.Encode()
		if err != nil {
			t.Fatal(err)
		}
		x := js(map[string]any{"store": store, "opening": opening, "digest": digest})
		got := Eval[[]string](p, async(`
			const x = %s
			const s = m.statement.statement(x.store, "ada", new Date(%q), %s)
			return [m.base64.toBase64(s), m.base64.toBase64(await m.statement.challenge(m.statement.actNamespace, s))]`, x, "2026-11-22T06:05:04.987Z", tt.js))
		if b := must(base64.StdEncoding.DecodeString(got[0]))(t); !bytes.Equal(b, want) {
			t.Errorf("%s: the page signs\n%s\nand Go\n%s", tt.act.Act(), b, want)
		}
		challenge := passkey.Challenge(access.ActNamespace, want)
		if c := must(base64.StdEncoding.DecodeString(got[1]))(t); !bytes.Equal(c, challenge[:]) {
			t.Errorf("%s: the page's challenge is %x, Go's %x", tt.act.Act(), c, challenge)
		}
	}
}

// TestTexts compares which reasons can be signed.
func TestTexts(t *testing.T) {
	p := kit(t)
	for _, s := range []string{
		"", "plain", "tab\tin", "line\nend", "\x00", "\x1f", "\x7f", "\u0080", "\u009f", "\u00a0", "\u2027", "\u2028", "\u2029", "\u202a",
		"\u202e", "\u202f", "\u2065", "\u2066", "\u2069", "\u206a", "\ufeff", "\U0001F600",
		strings.Repeat("é", ledger.MaxText/2), strings.Repeat("é", ledger.MaxText/2) + "x",
	} {
		_, err := ledger.Text(s).MarshalText()
		_, jsErr := Try[string](p, fmt.Sprintf("m.statement.text(%s)", js(s)))
		if (err == nil) != (jsErr == nil) {
			t.Errorf("%.20q: Go says %v, the page %v", s, err, jsErr)
		}
	}
	if _, message := fails(t, p, `m.statement.text("half \ud83d a pair")`); !strings.Contains(message, "on one line") {
		t.Errorf("half a surrogate pair: %s", message)
	}
}

// TestSpelling compares random values.
func TestSpelling(t *testing.T) {
	p := kit(t)
	seed := mathrand.Uint64()
	t.Logf("seed %d", seed)
	r := mathrand.New(mathrand.NewPCG(seed, 0))
	odd := []rune{0, 7, 8, '\t', '\n', 11, '\f', '\r', 27, '"', '\\', '/', '<', '>', '&', 0x7f, 0x85, 0xa0, 0x2028, 0x2029, 0xfeff, 0xffff, 0x1f600}
	text := func() string {
		var b strings.Builder
		for range r.IntN(12) {
			if r.IntN(2) == 0 {
				b.WriteRune(odd[r.IntN(len(odd))])
			} else {
				b.WriteRune(rune('a' + r.IntN(26)))
			}
		}
		return b.String()
	}
	type value struct {
		S string   `json:"s"`
		L []string `json:"l"`
		N int64    `json:"n"`
		B bool     `json:"b"`
		Z *value   `json:"z"`
	}
	var values []value
	for range 300 {
		v := value{S: text(), L: []string{text(), text()}, N: r.Int64N(1<<53) - 1<<52, B: r.IntN(2) == 0}
		if r.IntN(2) == 0 {
			v.Z = &value{S: text(), L: []string{}}
		}
		values = append(values, v)
	}
	got := Eval[[]string](p, fmt.Sprintf("%s.map(v => m.base64.toBase64(m.statement.spell(v)))", js(values)))
	for i, v := range values {
		want := must(spelling.Of(v))(t)
		if b := must(base64.StdEncoding.DecodeString(got[i]))(t); !bytes.Equal(b, want) {
			t.Errorf("the page spells %q, Go %q", b, want)
		}
	}
	for _, v := range []string{"undefined", "{a: undefined}", "1.5", "-0", "NaN", "2 ** 53", "10n", "new Date()", "() => 1", "new Uint8Array(1)", `"\ud800"`, `{"\udc00": 1}`, "[,1]"} {
		if _, message := fails(t, p, "m.statement.spell("+v+")"); message == "it did not fail" {
			t.Errorf("%s was spelled", v)
		}
	}
}

func TestBase64(t *testing.T) {
	p := kit(t)
	for _, n := range []int{0, 1, 2, 3, 31, 32, 0x7fff, 0x8000, 0x8001, 100_000} {
		b := make([]byte, n)
		rand.Read(b)
		std, url := base64.StdEncoding.EncodeToString(b), base64.RawURLEncoding.EncodeToString(b)
		got := Eval[[2]string](p, fmt.Sprintf("[m.base64.toBase64(m.base64.fromBase64url(%q)), m.base64.toBase64url(m.base64.fromBase64(%q))]", url, std))
		if got != [2]string{std, url} {
			t.Errorf("%d bytes do not come back", n)
		}
	}
	for _, bad := range []string{"A", "AB", "AB=", "AB==\n", " AA=", "AR==", "A-==", "AAA", "é"} {
		if _, message := fails(t, p, fmt.Sprintf("m.base64.fromBase64(%q)", bad)); message == "it did not fail" {
			t.Errorf("%q was read", bad)
		}
	}
	for _, bad := range []string{"A", "AB==", "AR", "A+", "AA A"} {
		if _, message := fails(t, p, fmt.Sprintf("m.base64.fromBase64url(%q)", bad)); message == "it did not fail" {
			t.Errorf("%q was read", bad)
		}
	}
}

func TestWords(t *testing.T) {
	p := kit(t)
	for range 50 {
		var d safe.Digest
		rand.Read(d[:])
		got := Eval[string](p, fmt.Sprintf("m.words.wordsOf(m.base64.fromBase64(%s))", js(d[:])))
		if want := words.Of(d); got != want {
			t.Errorf("%s: the page says %q, Go %q", d, got, want)
		}
	}
}

// TestPaperOpensCopies runs what the page of a personal key says to run, on the
// roster of a safe that was founded with an outer key made for it.
func TestPaperOpensCopies(t *testing.T) {
	age := os.Getenv("STRONGROOM_AGE")
	if _, err := os.Stat(age); err != nil {
		t.Skip("no stock age in STRONGROOM_AGE: use make test")
	}
	p := kit(t)
	ada, kim := must(seal.NewPersonalIdentity())(t), must(seal.NewPersonalIdentity())(t)
	outer := []seal.OuterIdentity{must(seal.NewOuterIdentity())(t), must(seal.NewOuterIdentity())(t)}
	copyOf := func(key seal.OuterIdentity, to safe.PersonName, of seal.PersonalIdentity) access.Copy {
		return access.Copy{Person: to, Sealed: must(key.SealTo(of.Recipient(), time.Now()))(t)}
	}
	roster := map[string]any{"periods": []access.Period{
		{}, // with the key of the safe's making, of which nobody has a copy
		{OuterCopies: []access.Copy{copyOf(outer[0], "ada", ada), copyOf(outer[0], "kim", kim)}},
		{OuterCopies: []access.Copy{copyOf(outer[1], "ada", ada)}},
	}}
	command := Eval[string](p, async(`
		const key = await m.keys.PrivateKey.parse("personal", %q)
		const page = m.paper.personalPage({person: "ada", safe: "acme", store: "x", url: "https://safe.acme.example", made: new Date(0), key})
		return page.steps.at(-1).command`, ada.PrivateLine()))
	folder := t.TempDir()
	for name, text := range map[string]string{"roster.json": js(roster), "personal.key": ada.PrivateLine() + "\n"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("sh", "-c", command)
	cmd.Dir, cmd.Env = folder, append(os.Environ(), "PATH="+filepath.Dir(age)+":"+os.Getenv("PATH"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s\n%v: %s", command, err, out)
	}
	opened := string(must(os.ReadFile(filepath.Join(folder, "outer.key")))(t))
	for i, key := range outer {
		if !strings.Contains(opened, key.PrivateLine()) {
			t.Errorf("the outer key of period %d is not among what was opened:\n%s", i+2, opened)
		}
	}
}

// TestPaper compares the page of a personal key with the one that package paper
// writes, but for the QR code.
func TestPaper(t *testing.T) {
	p := kit(t)
	key := must(seal.NewPersonalIdentity())(t)
	store := safe.NewStoreID()
	got := Eval[map[string]any](p, async(`
		const key = await m.keys.PrivateKey.parse("personal", %q)
		const page = m.paper.personalPage({person: "ada", safe: "acme", store: %q, url: "https://safe.acme.example:8443", made: new Date("2026-11-02T09:07:59Z"), key})
		return {page, text: m.paper.paperText(page)}`, key.PrivateLine(), store))
	page := got["page"].(map[string]any)
	strs := func(v any) (all []string) {
		for _, s := range v.([]any) {
			all = append(all, s.(string))
		}
		return all
	}
	want := paper.Page{
		Title: page["title"].(string), Safe: page["safe"].(string), Made: time.Date(2026, 11, 2, 9, 7, 59, 0, time.UTC), Purpose: strs(page["purpose"]),
		Secret: paper.Secret{Label: "Private key", Key: paper.Key(key.PrivateLine())},
	}
	for _, f := range page["facts"].([]any) {
		f := f.(map[string]any)
		want.Facts = append(want.Facts, paper.Fact{Label: f["label"].(string), Value: f["value"].(string)})
	}
	for _, s := range page["steps"].([]any) {
		s := s.(map[string]any)
		command, _ := s["command"].(string)
		want.Steps = append(want.Steps, paper.Step{Text: s["text"].(string), Command: command})
	}
	var text strings.Builder
	if err := want.Text(&text); err != nil {
		t.Fatal(err)
	}
	head, rest, _ := strings.Cut(text.String(), "The QR code")
	_, tail, ok := strings.Cut(rest, "\n\n\nTo compare\n")
	if !ok {
		t.Fatalf("package paper writes another page:\n%s", text.String())
	}
	withoutCode := strings.TrimRight(head, " \n") + "\n\n\nTo compare\n" + tail
	if diff := cmp.Diff(withoutCode, got["text"]); diff != "" {
		t.Errorf("the page's paper (-package paper +browser)\n%s", diff)
	}
	if want.Facts[2].Value != key.Recipient().String() || want.Facts[0].Value != store.String() {
		t.Errorf("the facts are %q", want.Facts)
	}
}
