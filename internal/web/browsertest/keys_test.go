package browsertest

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"strongroom/internal/safe"
	"strongroom/internal/store/seal"
)

var made = time.Date(2026, 11, 22, 6, 5, 4, 0, time.UTC)

// A desk has the role keys, the outer one of which was made in the page, as
// g.outer.
type desk struct {
	p     *Page
	outer seal.OuterRecipient
	inner seal.InnerIdentity
	store safe.StoreID
}

func newDesk(t testing.TB) *desk {
	t.Helper()
	d := &desk{p: kit(t), inner: must(seal.NewInnerIdentity())(t), store: safe.NewStoreID()}
	d.outer = must(seal.ParseOuterRecipient(Eval[string](d.p, async(`g.outer = await m.keys.PrivateKey.generate("outer"); return g.outer.recipient`))))(t)
	return d
}

// envelope makes one, and what the page must be asked for.
func (d *desk) envelope(t testing.TB, run safe.RunID, source safe.SourceName) (envelope []byte, want map[string]any) {
	t.Helper()
	label := seal.Label{Store: d.store, Run: run, Source: source, Time: made.Add(123456789), Roster: 2}
	envelope, _, err := seal.NewEnvelope(label, d.outer, d.inner.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	return envelope, map[string]any{"store": d.store, "run": run, "source": source}
}

// TestRoleKeyOfThePageWorksInGo makes an outer key in the page. Go reads the
// copy that the page seals, and the page opens the envelopes that Go seals.
func TestRoleKeyOfThePageWorksInGo(t *testing.T) {
	d := newDesk(t)
	kim := must(seal.NewPersonalIdentity())(t)
	sealed := Eval[string](d.p, async(`return m.base64.toBase64(await m.keys.sealCopy(g.outer, %q, new Date(%q)))`, kim.Recipient(), made.Format(time.RFC3339)))
	copy := must(base64.StdEncoding.DecodeString(sealed))(t)
	outer, err := seal.OpenOuterCopy(kim, copy, d.outer)
	if err != nil {
		t.Fatalf("Go opens a copy that the page sealed: %v", err)
	}
	var file strings.Builder
	if err := outer.Write(&file, made); err != nil {
		t.Fatal(err)
	}
	if got := Eval[string](d.p, fmt.Sprintf("g.outer.keyFile(new Date(%q))", made.Format(time.RFC3339))); got != file.String() {
		t.Error("the page's key file is not the one that Go writes")
	}

	run := safe.NewRunID(made)
	envelope, want := d.envelope(t, run, "erp-files")
	got := Eval[string](d.p, async(`return m.base64.toBase64(await m.envelope.openOuter(g.outer, m.base64.fromBase64(%s), %s))`, js(envelope), js(want)))
	file2 := must(base64.StdEncoding.DecodeString(got))(t)
	if inner := must(seal.OpenOuter(outer, envelope, seal.Want{Store: d.store, Run: run, Source: "erp-files"}))(t); !bytes.Equal(inner, file2) {
		t.Error("the page takes another inner file out than Go")
	}
	if _, err := seal.OpenInner(d.inner, file2, seal.Want{Store: d.store, Run: run}); err != nil {
		t.Errorf("the operator opens what the page took out: %v", err)
	}
}

// TestCopiesOfGoOpenInThePage is the other way round, with what must be refused.
func TestCopiesOfGoOpenInThePage(t *testing.T) {
	d := newDesk(t)
	person := must(seal.ParsePersonalRecipient(Eval[string](d.p, async(`g.personal = await m.keys.PrivateKey.generate("personal"); return g.personal.recipient`))))(t)
	outer, other := must(seal.NewOuterIdentity())(t), must(seal.NewOuterIdentity())(t)
	copy := must(outer.SealTo(person, made))(t)
	open := func(copy []byte, want string) string {
		return async(`return (await m.keys.openCopy(g.personal, m.base64.fromBase64(%s), %q)).recipient`, js(copy), want)
	}
	if got := Eval[string](d.p, open(copy, outer.Recipient().String())); got != outer.Recipient().String() {
		t.Errorf("the copy holds %.30s", got)
	}
	classic := must(age.GenerateX25519Identity())(t)
	raw := func(content string) []byte { return sealRaw(t, person.String(), content) }
	inner := must(d.inner.SealTo(person, made))(t)
	flipped := bytes.Clone(copy)
	flipped[len(flipped)-1] ^= 1
	for _, tt := range []struct {
		name, want string
		copy       []byte
	}{
		{"another key", "holds another key", must(other.SealTo(person, made))(t)},
		{"the inner key", "says that it is another key", inner},
		{"another person's", "sealed to another key", must(outer.SealTo(must(seal.NewPersonalIdentity())(t).Recipient(), made))(t)},
		{"two keys", "a second key", raw(outer.PrivateLine() + "\n" + outer.PrivateLine())},
		{"a classic key", "not a private key", raw(classic.String())},
		{"nothing in it", "holds another key", raw("")},
		{"not an age file", "not an age file", []byte(outer.PrivateLine())},
		{"nothing", "not an age file", []byte{}},
		{"damaged", "", flipped},
		{"too large", "at most", append(bytes.Clone(copy), make([]byte, seal.MaxCopy)...)},
	} {
		_, message := fails(t, d.p, open(tt.copy, outer.Recipient().String()))
		if message == "it did not fail" || !strings.Contains(message, tt.want) {
			t.Errorf("%s: %s, want %q", tt.name, message, tt.want)
		}
		if strings.Contains(message, outer.PrivateLine()[20:40]) {
			t.Errorf("%s: the error repeats a key: %s", tt.name, message)
		}
	}
}

// sealRaw seals what no program of ours would.
func sealRaw(t testing.TB, recipient, content string) []byte {
	t.Helper()
	to := must(age.ParseHybridRecipient(recipient))(t)
	var b bytes.Buffer
	w := must(age.Encrypt(&b, to))(t)
	w.Write([]byte(content))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestEnvelopesAreRefused tries what who can write the store, or has the public
// key, could put in an envelope's place.
func TestEnvelopesAreRefused(t *testing.T) {
	d := newDesk(t)
	run := safe.NewRunID(made)
	envelope, want := d.envelope(t, run, "erp-files")
	open := func(envelope []byte, want map[string]any) string {
		return async(`return m.base64.toBase64(await m.envelope.openOuter(g.outer, m.base64.fromBase64(%s), %s))`, js(envelope), js(want))
	}
	with := func(field string, v any) map[string]any {
		changed := map[string]any{}
		for k, old := range want {
			changed[k] = old
		}
		changed[field] = v
		return changed
	}
	for field, v := range map[string]any{"store": safe.NewStoreID(), "run": safe.NewRunID(made), "source": "payroll"} {
		name, message := fails(t, d.p, open(envelope, with(field, v)))
		if name != "LabelError" || !strings.Contains(message, "labelled with "+field+" ") {
			t.Errorf("another %s: %s: %s", field, name, message)
		}
	}
	if name, message := fails(t, d.p, strings.Replace(open(envelope, want), "g.outer", `await m.keys.PrivateKey.generate("outer")`, 1)); name != "WrongKeyError" {
		t.Errorf("another key: %s: %s", name, message)
	}

	plain := `{"v":1,"store":"` + d.store.String() + `","run":"` + run.String() + `","source":"erp-files","time":"2026-11-22T06:05:04Z","roster":2,"inner":"aW5uZXI="}`
	if got := Eval[string](d.p, open(sealRaw(t, d.outer.String(), plain), want)); got != "aW5uZXI=" {
		t.Fatalf("the layer that the others are made of gives %q", got)
	}
	edit := func(old, new string) string {
		if !strings.Contains(plain, old) {
			t.Fatalf("%q is not in the layer", old)
		}
		return strings.Replace(plain, old, new, 1)
	}
	for name, layer := range map[string]string{
		"empty": "", "null": "null", "a list": "[]", "cut": plain[:len(plain)-1], "newline after it": plain + "\n", "two": plain + "{}",
		"mark before it": "\ufeff" + plain, "not UTF-8": edit("erp-files", "erp-\xff"),
		"later version": edit(`"v":1`, `"v":2`), "version as text": edit(`"v":1`, `"v":"1"`), "unknown name": edit(`"v":1`, `"v":1,"x":0`),
		"name twice": edit(`"v":1`, `"v":1,"v":1`), "name missing": edit(`"roster":2,`, ``), "space": edit(`,`, `, `),
		"no roster": edit(`"roster":2`, `"roster":0`), "roster as 2.0": edit(`"roster":2`, `"roster":2.0`),
		"time in another zone": edit("06:05:04Z", "07:05:04+01:00"), "time with trailing zero": edit("04Z", "04.10Z"), "no such time": edit("-22T", "-42T"),
		"no inner layer": edit("aW5uZXI=", ""), "base64 with a line break": edit("aW5u", `aW5u\n`), "base64 in another spelling": edit("aW5uZXI=", "aW5uZXJ="),
	} {
		if _, message := fails(t, d.p, open(sealRaw(t, d.outer.String(), layer), want)); !strings.HasPrefix(message, "the content of an outer layer") && !strings.HasPrefix(message, "an outer layer has version") && !strings.HasPrefix(message, "what should be base64") {
			t.Errorf("%s: %s", name, message)
		}
	}
	for _, n := range []int{0, 1, 21, 22, 100, len(envelope) / 2, len(envelope) - 1} {
		damaged := bytes.Clone(envelope)
		damaged[n] ^= 1
		if _, message := fails(t, d.p, open(damaged, want)); message == "it did not fail" {
			t.Errorf("opens with byte %d damaged", n)
		}
		if _, message := fails(t, d.p, open(envelope[:n], want)); message == "it did not fail" {
			t.Errorf("the first %d bytes open", n)
		}
	}
	if _, message := fails(t, d.p, open(make([]byte, seal.MaxEnvelope+1), want)); !strings.Contains(message, "at most") {
		t.Errorf("too large: %s", message)
	}
}

// TestProofs answers the safe's question whether somebody holds the outer key.
func TestProofs(t *testing.T) {
	d := newDesk(t)
	nonce := [32]byte{1, 2, 254, 255}
	challenge := must(seal.NewOuterProof(nonce, d.outer))(t)
	answer := func(challenge []byte) string {
		return async("return m.keys.answerOuterProof(g.outer, m.base64.fromBase64(%s))", js(challenge))
	}
	if got, want := Eval[string](d.p, answer(challenge)), base64.RawURLEncoding.EncodeToString(nonce[:]); got != want {
		t.Errorf("the page answers %s, want %s", got, want)
	}
	envelope, _ := d.envelope(t, safe.NewRunID(made), "erp-files")
	digits := hex.EncodeToString(nonce[:])
	for name, other := range map[string][]byte{
		"an envelope":         envelope,
		"for both keys":       sealRaw(t, d.outer.String(), "strongroom/v1/proof\nboth\n"+digits+"\n"),
		"something after it":  sealRaw(t, d.outer.String(), "strongroom/v1/proof\nouter\n"+digits+"\n\n"),
		"in capitals":         sealRaw(t, d.outer.String(), "strongroom/v1/proof\nouter\n"+strings.ToUpper(digits)+"\n"),
		"something before it": sealRaw(t, d.outer.String(), "\nstrongroom/v1/proof\nouter\n"+digits+"\n"),
	} {
		if _, message := fails(t, d.p, answer(other)); !strings.Contains(message, "is not such a challenge") {
			t.Errorf("%s: %s", name, message)
		}
	}
}

func TestPrivateKeysRedactThemselves(t *testing.T) {
	d := newDesk(t)
	got := Eval[[]string](d.p, async("return [String(g.outer), `${g.outer}`, Object.keys(g.outer).join()]"))
	for _, s := range got {
		if strings.Contains(s, "AGE-SECRET") {
			t.Errorf("a key shows itself: %s", s)
		}
	}
	for _, expression := range []string{"JSON.stringify(g.outer)", "JSON.stringify({key: g.outer})", "m.statement.spell({key: g.outer})"} {
		if _, message := fails(t, d.p, expression); message == "it did not fail" {
			t.Errorf("%s gives something", expression)
		}
	}
}

// TestWorkerOpensEnvelopes opens a thousand in the Worker of the release page,
// under the policy of the pages.
func TestWorkerOpensEnvelopes(t *testing.T) {
	n := 1000
	if testing.Short() {
		n = 100
	}
	openMany(t, n)
}

// TestSoakWorkerOpensEnvelopes opens as many as a safe with thirty sources
// gathers in a year.
func TestSoakWorkerOpensEnvelopes(t *testing.T) {
	if os.Getenv("STRONGROOM_SOAK") == "" {
		t.Skip("takes minutes; set STRONGROOM_SOAK=1")
	}
	openMany(t, 10_000)
}

func openMany(t *testing.T, n int) {
	d := newDesk(t)
	const batch = 250
	Eval[bool](d.p, `g.opener = new m.opener.Opener(new URL("/assets/worker.js", location)), g.progress = 0, g.steps = 0, true`)
	Eval[bool](d.p, async(`g.opener.useKeys([await m.keys.PrivateKey.generate("outer"), g.outer]); return true`)) // the newest period's key first, which fits none
	var took time.Duration
	for at := 0; at < n; at += batch {
		var envelopes []map[string]any
		var runs []safe.RunID
		for i := range min(batch, n-at) {
			run := safe.NewRunID(made.Add(time.Duration(at+i) * time.Minute))
			envelope, e := d.envelope(t, run, "erp-files")
			e["envelope"] = envelope
			envelopes, runs = append(envelopes, e), append(runs, run)
		}
		begin := time.Now()
		got := Eval[[]string](d.p, async(`
			const batch = %s.map(e => ({...e, envelope: m.base64.fromBase64(e.envelope)}))
			let last = 0
			const inner = await g.opener.open(batch, done => { if (done <= last) throw new Error("progress goes from " + last + " to " + done); last = done; g.steps++ })
			g.progress += last
			return inner.map(m.base64.toBase64)`, js(envelopes)))
		took += time.Since(begin)
		for _, i := range []int{0, len(runs) - 1} {
			file := must(base64.StdEncoding.DecodeString(got[i]))(t)
			if _, err := seal.OpenInner(d.inner, file, seal.Want{Store: d.store, Run: runs[i]}); err != nil {
				t.Fatalf("envelope %d: %v", at+i, err)
			}
		}
	}
	if got := Eval[[2]int](d.p, "[g.progress, g.steps]"); got[0] != n || got[1] < n/20 {
		t.Errorf("the Worker reported %d of %d envelopes in %d steps", got[0], n, got[1])
	}
	t.Logf("%d envelopes, two keys tried for each: %v each", n, (took / time.Duration(n)).Round(10*time.Microsecond))

	// What is sealed to none of the keys is told apart from what is wrong.
	run := safe.NewRunID(made)
	mine, want := d.envelope(t, run, "erp-files")
	foreign, _, err := seal.NewEnvelope(seal.Label{Store: d.store, Run: run, Source: "erp-files", Time: made, Roster: 1},
		must(seal.NewOuterIdentity())(t).Recipient(), d.inner.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	open := func(envelopes ...[]byte) string {
		return async(`return (await g.opener.open(%s.map(b => ({...%s, envelope: m.base64.fromBase64(b)})), () => {})).map(b => b && b.length > 0)`, js(envelopes), js(want))
	}
	if got := Eval[json.RawMessage](d.p, open(mine, foreign)); string(got) != "[true,null]" {
		t.Errorf("one of two keys: %s", got)
	}
	want["source"] = "payroll"
	if _, message := fails(t, d.p, open(mine)); !strings.Contains(message, "run "+run.String()) || !strings.Contains(message, "belongs elsewhere") {
		t.Errorf("an envelope in another's place: %s", message)
	}
	if complaints := d.p.Complaints(); len(complaints) > 0 {
		t.Errorf("the browser complains: %q", complaints)
	}
}
