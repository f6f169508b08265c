package ui

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// console is a Terminal with what it wrote.
type console struct {
	*Terminal
	out, err *bytes.Buffer
}

// newConsole makes a Terminal of so many columns; 0 is none.
func newConsole(columns int, opts Options, answers string) console {
	c := console{out: &bytes.Buffer{}, err: &bytes.Buffer{}}
	c.Terminal = New(strings.NewReader(answers), c.out, c.err, opts)
	if columns > 0 {
		size := func() int { return columns }
		c.Terminal.out.columns, c.Terminal.err.columns = size, size
		c.in.person = true
	}
	return c
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	name = filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; -update writes it anew):\n%s", name, diff)
	}
}

// TestModes shows the same things in every mode; the golden file has the
// escape sequences quoted.
func TestModes(t *testing.T) {
	modes := []struct {
		name    string
		columns int
		opts    Options
	}{
		{"file", 0, Options{}},
		{"terminal", 60, Options{}},
		{"terminal-no-color", 60, Options{NoColor: true}},
		{"terminal-quiet", 60, Options{Quiet: true}},
		{"narrow", 34, Options{NoColor: true}},
		{"json", 60, Options{JSON: true}},
	}
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			c := newConsole(m.columns, m.opts, "")
			table := NewTable(Column{Title: "SOURCE"}, Column{Title: "SIZE", Right: true}, Column{Title: "STATE"}, Column{Title: "NEWEST FILE", Cut: true})
			table.Row("erp-db", Size(41_200_000_000), Strong("kept"), "/var/lib/dump")
			table.Row("files", Size(7), Bad("late"), "/srv/\x1b]0;owned\x07\u202egnp.exe")
			table.Row("書類", Size(1_100_000), "", "/srv/データ/とても長い名前のファイル.txt")
			table.Row("empty", "", "", "")
			c.Note("Looking at %d sources.", 4)
			c.Table(table)
			c.Printf("4 sources,\n%s", "one \x1b[2Jlate")
			c.Emit("source", struct {
				Name string `json:"name"`
				Path string `json:"path"`
			}{"files", "/srv/<\x1b]0;owned\x07>\u009b\u202e\U000e0001é"})
			c.Emit("end", struct{}{})
			c.Warn("%d file could not be read", 1)
			c.Error(WithRemedy(errors.New("reading secret file:/k: permission denied"), "Run: chmod 0400 /k"))
			c.Error(fmt.Errorf("status: %w", &UsageError{"there is no source `erp\x1b`", "Did you mean `erp-db`?"}))
			c.Error(errors.New("x.yaml:1:1: no\n    a: b\n    ^"))
			var got strings.Builder
			for _, part := range []struct{ title, text string }{{"standard output", c.out.String()}, {"standard error", c.err.String()}} {
				fmt.Fprintf(&got, "-- %s --\n%s", part.title, strings.ReplaceAll(part.text, "\x1b", "<ESC>"))
			}
			golden(t, m.name, got.String())
			if m.opts.JSON {
				for line := range strings.Lines(c.out.String()) {
					var v struct {
						V    int
						Type string
						Path string
					}
					if err := json.Unmarshal([]byte(line), &v); err != nil || v.V != 1 || v.Type == "" {
						t.Errorf("message %q: %v", line, err)
					}
					if v.Type == "source" && v.Path != "/srv/<\x1b]0;owned\x07>\u009b\u202e\U000e0001é" {
						t.Errorf("the path came out as %q", v.Path)
					}
				}
			}
		})
	}
}

func TestEmitRefusesWhatIsNoMessage(t *testing.T) {
	c := newConsole(0, Options{JSON: true}, "")
	for _, v := range []any{3, []int{1}, nil, map[string]int{"v": 2}, map[string]int{"type": 2}, make(chan int)} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("Emit(%v) did not panic", v)
				}
			}()
			c.Emit("x", v)
		}()
	}
	if c.out.Len() > 0 {
		t.Errorf("wrote %q", c.out)
	}
}

func TestClean(t *testing.T) {
	tests := []struct{ in, want string }{
		{"/srv/erp/Müller & Söhne.txt", "/srv/erp/Müller & Söhne.txt"},
		{`C:\x`, `C:\x`},
		{"a\x1b[31mb", `a\x1b[31mb`},
		{"a\nb\tc\rd\x00\x7f", `a\nb\tc\x0dd\x00\x7f`},
		{"\u009b2J", `\u009b2J`}, // the one-character form of ESC [
		{"\x9b2J", `\x9b2J`},
		{"photo\u202egnp.exe", `photo\u202egnp.exe`},
		{"a\u200bb\u00a0c\ufeff", `a\u200bb\u00a0c\ufeff`},
		{"\U000e0041", `\U000e0041`},
		{"\xff\xfe", `\xff\xfe`},
		{"e\u0301", "e\u0301"},
		{"\ufffd", "\ufffd"},
		{"\u2028", `\u2028`},
	}
	for _, tt := range tests {
		if got := Clean(tt.in); got != tt.want {
			t.Errorf("Clean(%q) = %s, want %s", tt.in, got, tt.want)
		}
	}
}

// TestName has names that Clean shows alike.
func TestName(t *testing.T) {
	tests := []struct{ in, want string }{
		{"/srv/erp/Müller & Söhne.txt", "/srv/erp/Müller & Söhne.txt"},
		{"a\nb", `a\nb`},
		{`a\nb`, `a\\nb`},
		{`a\`, `a\\`},
		{"\\\x1b", `\\\x1b`},
		{"\xff", `\xff`},
		{`\xff`, `\\xff`},
	}
	for _, tt := range tests {
		if got := Name(tt.in); got != tt.want {
			t.Errorf("Name(%q) = %s, want %s", tt.in, got, tt.want)
		}
	}
}

func FuzzClean(f *testing.F) {
	for _, s := range []string{"a", `a\n"\`, "\x1b[2J", "\u009b", "\xff", "データ", "e\u0301", "\u202e"} {
		f.Add(s, 3)
	}
	f.Fuzz(func(t *testing.T, s string, columns int) {
		got := Clean(s)
		if strings.ContainsFunc(got, isHostile) || Clean(got) != got {
			t.Errorf("Clean(%q) = %q", s, got)
		}
		name := Name(s)
		if again, err := strconv.Unquote(`"` + strings.ReplaceAll(name, `"`, `\"`) + `"`); again != s || Clean(name) != name {
			t.Errorf("Name(%q) = %q, which says %q, %v", s, name, again, err)
		}
		if w := width(cut(got, columns)); w > max(columns, 0) {
			t.Errorf("cut(%q, %d) has %d columns", got, columns, w)
		}
		if m := message("x", map[string]string{"s": s}); strings.ContainsFunc(strings.TrimSuffix(m, "\n"), isHostile) || !json.Valid([]byte(m)) {
			t.Errorf("a message with %q is %q", s, m)
		}
	})
}

func TestWidth(t *testing.T) {
	tests := []struct {
		s    string
		want int
	}{{"", 0}, {"abc", 3}, {"ü", 1}, {"e\u0301", 1}, {"データ", 6}, {"한글", 4}, {"ﾃﾞ", 2}, {"Ａ", 2}, {"✅", 2}, {"🗄", 1}, {"💾", 2}, {"…", 1}}
	for _, tt := range tests {
		if got := width(tt.s); got != tt.want {
			t.Errorf("width(%q) = %d, want %d", tt.s, got, tt.want)
		}
	}
	for _, tt := range []struct {
		s       string
		columns int
		want    string
	}{{"データ", 6, "データ"}, {"データ", 5, "デー…"}, {"データ", 4, "デ…"}, {"データ", 1, "…"}, {"abc", 2, "a…"}, {"abc", 0, ""}} {
		if got := cut(tt.s, tt.columns); got != tt.want {
			t.Errorf("cut(%q, %d) = %q, want %q", tt.s, tt.columns, got, tt.want)
		}
	}
}

func TestNumbers(t *testing.T) {
	sizes := map[int64]string{
		0: "0 B", 999: "999 B", 1000: "1.0 kB", 1049: "1.0 kB", 99_949: "99.9 kB", 99_950: "100 kB", 999_499: "999 kB", 999_500: "1.0 MB",
		41_200_000_000: "41.2 GB", 412_000_000_000: "412 GB", 999_999_999_999: "1.0 TB", 1<<63 - 1: "9.2 EB", -1500: "-1.5 kB", -1 << 63: "-9.2 EB",
	}
	for n, want := range sizes {
		if got := Size(n); got != want {
			t.Errorf("Size(%d) = %q, want %q", n, got, want)
		}
	}
	counts := map[int64]string{0: "0", 999: "999", 1000: "1,000", 18_000: "18,000", 1_234_567: "1,234,567", -100: "-100", -1000: "-1,000", -1 << 63: "-9,223,372,036,854,775,808"}
	for n, want := range counts {
		if got := Count(n); got != want {
			t.Errorf("Count(%d) = %q, want %q", n, got, want)
		}
	}
	durations := map[time.Duration]string{
		0: "0 ms", 350 * time.Millisecond: "350 ms", 999_600 * time.Microsecond: "1 s", 95 * time.Second: "95 s", 119_600 * time.Millisecond: "2 min",
		6*time.Minute + 20*time.Second: "6 min", 59*time.Minute + 40*time.Second: "1 h", 125 * time.Minute: "2 h 5 min",
		24*time.Hour - time.Second: "1 d", 76 * time.Hour: "3 d 4 h", -5 * time.Second: "-5 s",
	}
	for d, want := range durations {
		if got := Duration(d); got != want {
			t.Errorf("Duration(%v) = %q, want %q", d, got, want)
		}
	}
	if got := Duration(-1 << 63); !strings.HasPrefix(got, "-106751 d") {
		t.Errorf("the smallest duration is %q", got)
	}
}

func TestAge(t *testing.T) {
	zone := time.FixedZone("", 2*3600)
	now := time.Date(2026, 11, 21, 4, 10, 0, 0, zone)
	tests := []struct {
		before time.Duration
		want   string
	}{
		{0, "now (2026-11-21 04:10)"},
		{59 * time.Second, "now (2026-11-21 04:09)"},
		{6 * time.Minute, "6 min ago (2026-11-21 04:04)"},
		{2 * time.Hour, "2 h ago (2026-11-21 02:10)"},
		{26 * time.Hour, "26 h ago (2026-11-20 02:10)"},
		{72 * time.Hour, "3 d ago (2026-11-18 04:10)"},
		{3 * 365 * 24 * time.Hour, "3 y ago (2023-11-22 04:10)"},
		{-time.Hour - 59*time.Minute - 50*time.Second, "in 2 h (2026-11-21 06:09)"},
		{-72 * time.Hour, "in 3 d (2026-11-24 04:10)"},
	}
	for _, tt := range tests {
		if got := Age(now.Add(-tt.before).UTC(), now); got != tt.want {
			t.Errorf("Age of %v = %q, want %q", tt.before, got, tt.want)
		}
	}
	if got := Age(time.Time{}, now); got != "never" {
		t.Errorf("Age of the zero time = %q", got)
	}
}

func TestAsk(t *testing.T) {
	tests := []struct {
		answers string
		yes     bool
		problem string
		rest    string
	}{
		{"yes\nrest", true, "", "rest"},
		{" Y \n", true, "", ""},
		{"no\n", false, "", ""},
		{"\nyes\n", false, "", "yes\n"},
		{"maybe\nyes\n", true, "", ""},
		{"maybe\nwell\nhm\nyes\n", false, "no answer to: Retire erp-db?", "yes\n"},
		{"yes", false, "EOF", ""}, // no end of line: the person left
		{"", false, "EOF", ""},
	}
	for _, tt := range tests {
		c := newConsole(80, Options{NoColor: true}, tt.answers)
		yes, err := c.Ask(t.Context(), "Retire erp-db?", "Add --yes.")
		if yes != tt.yes || (err == nil) != (tt.problem == "") || err != nil && !strings.Contains(err.Error(), tt.problem) {
			t.Errorf("Ask with %q = %v, %v, want %v, %q", tt.answers, yes, err, tt.yes, tt.problem)
		}
		if rest, _ := io.ReadAll(c.in); string(rest) != tt.rest {
			t.Errorf("Ask with %q left %q, want %q", tt.answers, rest, tt.rest)
		}
		if !strings.HasPrefix(c.err.String(), "Retire erp-db? [yes/no] ") || c.out.Len() > 0 {
			t.Errorf("asked %q", c.err)
		}
	}
}

func TestAskWithoutPerson(t *testing.T) {
	for _, c := range []console{newConsole(0, Options{}, "yes\n"), newConsole(80, Options{JSON: true}, "yes\n")} {
		var usage *UsageError
		yes, err := c.Ask(t.Context(), "Retire erp-db?", "Add --yes.")
		if yes || !errors.As(err, &usage) || usage.Remedy != "Add --yes." || c.err.Len()+c.out.Len() > 0 {
			t.Errorf("Ask = %v, %v, wrote %q", yes, err, c.err)
		}
	}
}

func TestAskIsCancelled(t *testing.T) {
	c := newConsole(80, Options{}, "")
	r, w := io.Pipe()
	defer w.Close()
	c.in.Reader = r
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if yes, err := c.Ask(ctx, "Retire erp-db?", ""); yes || !errors.Is(err, context.Canceled) {
		t.Errorf("Ask = %v, %v", yes, err)
	}
}

type fullDisk struct{ n int }

func (f *fullDisk) Write(b []byte) (int, error) {
	f.n++
	return 0, fmt.Errorf("no space left, for the %d. time", f.n)
}

func TestLostResult(t *testing.T) {
	c := New(nil, &fullDisk{}, io.Discard, Options{})
	if err := c.Err(); err != nil {
		t.Fatal(err)
	}
	c.Printf("a")
	c.Printf("b")
	if err := c.Err(); err == nil || err.Error() != "writing the result: no space left, for the 1. time" {
		t.Errorf("Err = %v", err)
	}
}

// TestConcurrentLines checks that lines stay whole.
func TestConcurrentLines(t *testing.T) {
	c := newConsole(0, Options{}, "")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				c.Printf("%s", strings.Repeat("x", 70))
			}
		})
	}
	wg.Wait()
	if want := strings.Repeat(strings.Repeat("x", 70)+"\n", 400); c.out.String() != want {
		t.Error("lines are mixed")
	}
}
