package paper

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"rsc.io/qr"
)

// key was made by age-keygen -pq for this test and guards nothing.
const key = "AGE-SECRET-KEY-PQ-1CZHTLZXCA4A0WC5MQFQKW8GDZWFFNE3ZFY3F5SNFS3N436CFL73SRL9LYZ"

func newPage() Page {
	return Page{
		Title: "Personal key of Ada Fischer, keykeeper",
		Safe:  "ACME & Söhne <main>",
		Made:  time.Date(2026, 11, 21, 3, 0, 0, 0, time.FixedZone("CET", 3600)),
		Purpose: []string{
			"This key opens Ada Fischer's copies of the keykeepers' role keys, with which she releases what is in the safe. It reads nothing alone: an operator's key is needed too.",
			"Keep this page where no operator can get at it, in an envelope that shows whether it was opened, and not in the building that the safe is in. Who reads it has the key: if it is lost, say so at once, and the key will be replaced.",
		},
		Secret: Secret{"Personal key", key},
		Facts: []Fact{
			{"Public key begins", "age1pq1k7v0m4q8z3yxd9r5tq2"},
			{"First roster", "legal winner thank year wave sausage worth useful"},
			{"Ledger's key", "strongroom-4f2a9c01+8c1de0b5+AQ2tnJxZ0y6kB3vPqkXGm0dTn8uWf1sJrYl5cHaEo7iM"},
			{"Certificate of the safe's CA, SHA-256", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0bb822cd15d6c15b0f00a0"},
			{"Program strongroom 1.0 for Linux, SHA-256", "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"},
		},
		Steps: []Step{
			{"On a machine without a network, type the key into a file, or scan the code into one:", "cat > personal.key"},
			{"Open your copy of a role key from the roster, with age 1.3 or newer:", "jq -r '.periods[0].outer.copies[\"ada\"]' roster.json | base64 -d |\n  age -d -i personal.key -o outer.key"},
			{"Release as docs/restore-by-hand.md says, then take both files from memory.", ""},
		},
	}
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func html(t testing.TB, p Page) string {
	t.Helper()
	var b strings.Builder
	if err := p.HTML(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func text(t testing.TB, p Page) string {
	t.Helper()
	var b strings.Builder
	if err := p.Text(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// An element is one of a page's, with all text within it.
type element struct {
	name  string
	attrs map[string]string
	text  string
}

// elements reads the page as XML, which fails if it is not well-formed.
func elements(t testing.TB, page string) []*element {
	t.Helper()
	var all, open []*element
	d := xml.NewDecoder(strings.NewReader(page))
	for {
		token, err := d.Token()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatalf("the page is not well-formed: %v", err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			e := &element{name: token.Name.Local, attrs: map[string]string{}}
			for _, a := range token.Attr {
				e.attrs[a.Name.Local] = a.Value
			}
			all, open = append(all, e), append(open, e)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			for _, e := range open {
				e.text += string(token)
			}
		}
	}
}

// find returns the only element of that name or, with a #, of that id.
func find(t testing.TB, all []*element, selector string) *element {
	t.Helper()
	var found *element
	for _, e := range all {
		if e.name == selector || "#"+e.attrs["id"] == selector {
			if found != nil {
				t.Fatalf("there are two of %s", selector)
			}
			found = e
		}
	}
	if found == nil {
		t.Fatalf("there is no %s", selector)
	}
	return found
}

func TestHTML(t *testing.T) {
	p := newPage()
	page := html(t, p)
	all := elements(t, page)

	for selector, want := range map[string]string{
		"title": p.Title,
		"h1":    p.Title,
		"b":     "ACME & Söhne <main>",
		"#line": key,
	} {
		if got := find(t, all, selector).text; got != want {
			t.Errorf("%s is %q, want %q", selector, got, want)
		}
	}
	// The key stands in one place whole and in one place in groups.
	if n := strings.Count(page, key); n != 1 {
		t.Errorf("the key stands %d times on the page", n)
	}
	var got, steps, facts []string
	for _, e := range all {
		switch e.name {
		case "td":
			got = append(got, e.text)
		case "pre":
			steps = append(steps, e.text)
		case "th":
			facts = append(facts, e.text)
		}
	}
	groups := got[:len(got)-len(p.Facts)]
	if strings.Join(groups, "") != key {
		t.Errorf("the groups are %q, together not the key", groups)
	}
	for i, fact := range p.Facts {
		if value := got[len(groups)+i]; value != fact.Value || facts[len(facts)-len(p.Facts)+i] != fact.Label {
			t.Errorf("fact %q is %q", fact, value)
		}
	}
	if diff := cmp.Diff([]string{p.Steps[0].Command, p.Steps[1].Command}, steps); diff != "" {
		t.Errorf("commands (-want +got)\n%s", diff)
	}
	if !strings.Contains(page, "Made 21 November 2026, 02:00 UTC.") {
		t.Error("the time is not there in UTC")
	}
}

// TestHTMLLoadsNothing looks for whatever makes a browser ask somebody: the
// page is opened on the machine where the key was made.
func TestHTMLLoadsNothing(t *testing.T) {
	p := newPage()
	p.Title = `<img src="https://example.org/x.png">`
	p.Facts = append(p.Facts, Fact{"</table><script>", "javascript:alert(1)"}, Fact{"{{.Key}}", "url(https://example.org)"})
	p.Steps = append(p.Steps, Step{"<style>@import 'https://example.org'", "<link rel=stylesheet href=x>"})
	page := html(t, p)
	allowed := map[string]bool{"xmlns": true, "lang": true, "charset": true, "http-equiv": true, "content": true, "name": true,
		"id": true, "class": true, "colspan": true, "viewBox": true, "shape-rendering": true, "role": true, "aria-label": true,
		"width": true, "height": true, "fill": true, "d": true}
	for _, e := range elements(t, page) {
		switch e.name {
		case "script", "img", "link", "iframe", "object", "image", "use", "a":
			t.Errorf("there is an element %s", e.name)
		case "style":
			if strings.Contains(e.text, "url") || strings.Contains(e.text, "@import") {
				t.Errorf("the style sheet loads something:\n%s", e.text)
			}
		}
		for name := range e.attrs {
			if !allowed[name] {
				t.Errorf("%s has the attribute %s", e.name, name)
			}
		}
	}
	if got := find(t, elements(t, page), "h1").text; got != p.Title {
		t.Errorf("the title is %q", got)
	}
}

// TestCode draws the modules again from the page, and compares them with what
// the encoder made.
func TestCode(t *testing.T) {
	want := must(qr.Encode(key, qr.H))(t)
	side := want.Size + 2*quiet
	black := func(x, y int) bool { return want.Black(x-quiet, y-quiet) }

	all := elements(t, html(t, newPage()))
	if got := find(t, all, "svg").attrs["viewBox"]; got != fmt.Sprintf("0 0 %d %d", side, side) {
		t.Errorf("the drawing is %s, want %d modules a side", got, side)
	}
	drawn := map[[2]int]bool{}
	for bar := range strings.SplitSeq(strings.TrimSuffix(find(t, all, "path").attrs["d"], "z"), "z") {
		var x, y, long, back int
		if _, err := fmt.Sscanf(bar, "M%d %dh%dv1h-%d", &x, &y, &long, &back); err != nil || long != back {
			t.Fatalf("a bar is %q", bar)
		}
		for i := range long {
			drawn[[2]int{x + i, y}] = true
		}
	}

	var lines [][]rune
	for line := range strings.Lines(text(t, newPage())) {
		if strings.ContainsAny(line, "█▀▄") {
			lines = append(lines, []rune(strings.TrimSuffix(line, "\n")))
		}
	}
	printed := func(x, y int) bool {
		y -= quiet // the border above is of blank lines, which are not among them
		if y < 0 || y/2 >= len(lines) || x >= len(lines[y/2]) {
			return false
		}
		return strings.ContainsRune([]string{"█▀", "█▄"}[y%2], lines[y/2][x])
	}
	for y := range side {
		for x := range side {
			if drawn[[2]int{x, y}] != black(x, y) {
				t.Fatalf("the drawing is wrong at %d, %d", x, y)
			}
			if printed(x, y) != black(x, y) {
				t.Fatalf("the text is wrong at %d, %d", x, y)
			}
		}
	}
}

func TestText(t *testing.T) {
	got := text(t, newPage())
	for n, line := range strings.Split(got, "\n") {
		if w := utf8.RuneCountInString(line); w > columns || strings.HasSuffix(line, " ") {
			t.Errorf("line %d has %d columns or ends in a blank: %q", n+1, w, line)
		}
	}
	if n := strings.Count(got, key); n != 1 {
		t.Errorf("the key stands %d times on the page", n)
	}
	// As somebody types it who does what the page says.
	var typed string
	for line := range strings.Lines(got) {
		if row, ok := strings.CutPrefix(line, "    "); ok && len(row) > 4 && row[1:4] == "   " && 'A' <= row[0] && row[0] <= 'E' {
			typed += strings.ReplaceAll(strings.TrimSpace(row[1:]), " ", "")
		}
	}
	if typed != key {
		t.Errorf("the rows give %q, want %q", typed, key)
	}

	golden := filepath.Join("testdata", "page.txt")
	if want := string(must(os.ReadFile(golden))(t)); got != want {
		t.Errorf("%s is another (-want +got)\n%s", golden, cmp.Diff(want, got))
	}
}

func TestPageWithoutAKey(t *testing.T) {
	p := newPage()
	p.Secret, p.Steps = Secret{}, nil
	for _, page := range []string{html(t, p), text(t, p)} {
		for _, not := range []string{"<svg", "█", "checksum", "How to use it"} {
			if strings.Contains(page, not) {
				t.Errorf("a page without a key and steps has %q", not)
			}
		}
		if !strings.Contains(page, "To compare") {
			t.Error("the facts are missing")
		}
	}
}

func TestPageRefuses(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		change     func(*Page)
	}{
		{"no title", "needs a title", func(p *Page) { p.Title = "" }},
		{"no safe", "needs a title, a safe", func(p *Page) { p.Safe = "" }},
		{"no time", "and a time", func(p *Page) { p.Made = time.Time{} }},
		{"a key without a label", "has no label", func(p *Page) { p.Secret.Label = "" }},
		{"a label without a key", "not in Bech32", func(p *Page) { p.Secret.Key = "" }},
		{"a key in lower case", "not in Bech32", func(p *Page) { p.Secret.Key = Key(strings.ToLower(key)) }},
		{"a key with a blank", "not in Bech32", func(p *Page) { p.Secret.Key = Key(key[:40] + " " + key[40:]) }},
		{"a whole key file", "not in Bech32", func(p *Page) { p.Secret.Key = "# made\n" + key }},
		{"a letter that Bech32 lacks", "not in Bech32", func(p *Page) { p.Secret.Key = key + "O" }},
		{"no prefix", "not in Bech32", func(p *Page) { p.Secret.Key = Key(key[19:]) }},
		{"only a prefix", "not in Bech32", func(p *Page) { p.Secret.Key = Key(key[:19]) }},
		{"a long key", "at most 120 fit", func(p *Page) { p.Secret.Key = key + Key(strings.Repeat("Q", 44)) }},
		{"an escape sequence", "facts has a character", func(p *Page) { p.Facts[1].Value = "\x1b[2J" }},
		{"text that runs backwards", "purpose has a character", func(p *Page) { p.Purpose[0] = "a\u202eb" }},
		{"two lines in a step", "steps has a character", func(p *Page) { p.Steps[0].Text = "a\nb" }},
		{"bytes that are not text", "title has a character", func(p *Page) { p.Title = "\xff" }},
		{"a tabulator in a command", "commands has a character", func(p *Page) { p.Steps[0].Command = "a\tb" }},
		{"a command too long", "73 characters, at most 72", func(p *Page) { p.Steps[0].Command = "a\n" + strings.Repeat("b", 73) }},
	} {
		p := newPage()
		tt.change(&p)
		var out bytes.Buffer
		for form, write := range map[string]func(io.Writer) error{"HTML": p.HTML, "text": p.Text} {
			err := write(&out)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s, %s: got %v, want %q", tt.name, form, err, tt.want)
			}
			if err != nil && strings.Contains(strings.ToUpper(err.Error()), key[20:40]) {
				t.Errorf("%s, %s: the error repeats the key: %v", tt.name, form, err)
			}
		}
		if out.Len() > 0 {
			t.Errorf("%s: something was printed: %.80s", tt.name, out.String())
		}
	}
}

func TestWrap(t *testing.T) {
	for _, tt := range []struct {
		s    string
		want []string
	}{
		{"", []string{""}},
		{"a bc", []string{"a bc"}},
		{"  a   bc ", []string{"a bc"}},
		{"ab cde f", []string{"ab", "cde f"}},
		{"abcde fghij", []string{"abcde", "fghij"}},
		{"abcdef", []string{"abcde", "f"}},
		{"a bcdefghijkl m", []string{"a", "bcdef", "ghijk", "l m"}},
		{"äöüßé ñ", []string{"äöüßé", "ñ"}},
	} {
		if diff := cmp.Diff(tt.want, wrap(tt.s, 5)); diff != "" {
			t.Errorf("%q (-want +got)\n%s", tt.s, diff)
		}
	}
}

func TestKeyRedactsItself(t *testing.T) {
	p := newPage()
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		fmt.Fprintf(&out, verb+verb+verb, p.Secret.Key, p.Secret, p)
	}
	slog.New(slog.NewTextHandler(&out, nil)).Info("test", "key", p.Secret.Key, "page", p)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("test", "key", p.Secret.Key, "page", p)
	if _, err := json.Marshal(p); err == nil {
		t.Error("a page with a key is written into a document")
	}
	if s := strings.ToUpper(out.String()); strings.Contains(s, key[20:40]) || strings.Contains(s, fmt.Sprintf("%X", key[20:40])) {
		t.Errorf("the key prints itself: %s", out.String())
	}
}
