// Package factstest has what the tests of readers of facts share: facts as text
// for people, golden files of them, and what holds for the facts of any file.
package factstest

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/estate"
	"strongroom/internal/estate/facts"
)

var update = flag.Bool("update", false, "write the golden files anew")

// Place is one for tests.
var Place = facts.Place{Source: "files", Path: "file", Seen: time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)}

// Files reads files of testdata, and names them as there.
func Files(t testing.TB, names ...string) []facts.File {
	t.Helper()
	var all []facts.File
	for _, name := range names {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, facts.File{Path: name, Data: b})
	}
	return all
}

// Text returns facts as people read them: a line for each component, link and
// doubt, and below it the evidence.
func Text(f estate.Facts) string {
	var b strings.Builder
	evidence := func(all []estate.Evidence) {
		for _, e := range all {
			fmt.Fprintf(&b, "\t%s, %s: %s\n", e.Basis, e.Place, e.Detail)
		}
	}
	for _, c := range f.Components {
		fmt.Fprint(&b, c.ID)
		for _, p := range c.Listens {
			fmt.Fprint(&b, " ", p)
		}
		for _, a := range c.Aliases {
			fmt.Fprint(&b, " =", a)
		}
		for _, r := range c.Roles {
			fmt.Fprint(&b, " #", r)
		}
		if c.Software != "" {
			fmt.Fprintf(&b, " (%s)", c.Software)
		}
		if c.Label != "" {
			fmt.Fprintf(&b, " %q", c.Label)
		}
		if c.Owner != "" {
			fmt.Fprintf(&b, " of %s", c.Owner)
		}
		fmt.Fprintln(&b)
		evidence(c.Evidence)
	}
	for _, l := range f.Links {
		fmt.Fprintln(&b, Link(l))
		evidence(l.Evidence)
	}
	for _, d := range f.Doubts {
		fmt.Fprintln(&b, "?", d)
	}
	return b.String()
}

// Link returns a link on one line, without the evidence.
func Link(l estate.Link) string {
	end := func(e estate.End) string { return string(e.ID) + string(e.Alias) }
	text := fmt.Sprintf("%s -> %s %s", end(l.From), end(l.To), l.Need)
	if l.Port.Number != 0 {
		text += " " + l.Port.String()
	}
	return text
}

// Links returns all links as Link does.
func Links(f estate.Facts) []string {
	var all []string
	for _, l := range f.Links {
		all = append(all, Link(l))
	}
	return all
}

// Golden compares facts with testdata/NAME.golden, which -update writes.
func Golden(t *testing.T, name string, f estate.Facts) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden")
	got := Text(f)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s: -want +got\n%s", file, diff)
	}
}

// Sound checks what holds for the facts of any file: names that can be read
// back, no link to itself, evidence for each, and little enough of that.
func Sound(t testing.TB, f estate.Facts) {
	t.Helper()
	for _, c := range f.Components {
		if _, err := estate.ParseID(string(c.ID)); err != nil {
			t.Errorf("component %q: %v", c.ID, err)
		}
		if len(c.Evidence) == 0 {
			t.Errorf("component %q has no evidence", c.ID)
		}
	}
	for _, l := range f.Links {
		for _, e := range []estate.End{l.From, l.To} {
			if _, err := estate.ParseID(string(e.ID)); e.Alias == "" && err != nil {
				t.Errorf("link %v: %v", l, err)
			}
		}
		if l.From == l.To || !l.Need.Valid() || len(l.Evidence) == 0 {
			t.Errorf("%v is no link", l)
		}
		for _, e := range l.Evidence {
			if len(e.Detail) > estate.MaxDetail || len(e.Place) > estate.MaxDetail {
				t.Errorf("evidence of %v is too long", l)
			}
		}
	}
}

// Secretless checks that none of the words stands anywhere in the facts, nor in
// the error.
func Secretless(t testing.TB, f estate.Facts, err error, words ...string) {
	t.Helper()
	b, jsonErr := json.Marshal(f)
	if jsonErr != nil {
		t.Fatal(jsonErr)
	}
	text := string(b) + fmt.Sprint(err)
	for _, w := range words {
		if strings.Contains(text, w) {
			t.Errorf("the facts hold %q:\n%s%v", w, Text(f), err)
		}
	}
}
