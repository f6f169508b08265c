package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"strongroom/bench/scale/generated"
)

func some(files int64, cores float64, peak int64) row {
	return row{shape: generated.Shape{Files: files, Shortest: 8, Longest: 16}, what: "collect first", cost: cost{Wall: cores, Cores: cores, Peak: peak << 20}}
}

func someGreat(peak int64, tenths ...float64) row {
	r := row{shape: generated.Shape{Files: 1, Shortest: 10e9, Longest: 10e9}, what: "collect first", cost: cost{Wall: 100, Cores: 100, Peak: peak << 20}}
	for _, cores := range tenths {
		r.tenths = append(r.tenths, cost{Wall: cores, Cores: cores, Peak: peak << 20})
	}
	return r
}

func TestMusts(t *testing.T) {
	even := []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	slower := []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 11}
	for _, test := range []struct {
		name   string
		report report
		missed []string // beginnings
	}{
		{"all held", report{some(1e5, 10, 128), some(1e6, 100, 128), some(1e7, 1000, 1023), someGreat(100, even...)}, nil},
		{"little memory", report{some(1e6, 10, 129)}, []string{"NOT held: at most 128 MiB"}},
		{"great ones too", report{someGreat(129, even...)}, []string{"NOT held: at most 128 MiB"}},
		{"very many", report{some(1e7, 10, 1025)}, []string{"NOT held: at most 1024 MiB"}},
		{"more than in proportion", report{some(1e5, 10, 1), some(1e6, 140, 1)}, []string{"NOT held: a file of a source"}},
		{"too short to tell", report{some(1e3, 0.01, 1), some(1e4, 1, 1)}, nil},
		{"slower at the end", report{someGreat(1, slower...)}, []string{"NOT held: the last tenth"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var missed []string
			for _, m := range test.report.musts() {
				if !m.held {
					missed = append(missed, m.String())
				}
			}
			begins := func(got, want string) bool { return strings.HasPrefix(got, want) }
			if diff := cmp.Diff(test.missed, missed, cmp.FilterValues(func(a, b string) bool { return begins(a, b) || begins(b, a) }, cmp.Ignore())); diff != "" {
				t.Errorf("what must hold and does not (- want):\n%s", diff)
			}
			if got := test.report.held(); got != (test.missed == nil) {
				t.Errorf("held is %t", got)
			}
		})
	}
}

func TestText(t *testing.T) {
	_, text, _ := strings.Cut(report{some(100_000, 2, 100), some(1_000_000, 22, 110), someGreat(90, 1, 3)}.text(), "\n\n")
	want := `|     files |            of |          what | wall s | core s | core us a file, s a GB | times the smaller | peak MiB |
|----------:|--------------:|--------------:|-------:|-------:|-----------------------:|------------------:|---------:|
|   100,000 | 8 to 16 bytes | collect first |    2.0 |    2.0 |                   20.0 |                   |      100 |
| 1,000,000 | 8 to 16 bytes | collect first |   22.0 |   22.0 |                   22.0 |              1.10 |      110 |
|         1 |         10 GB | collect first |  100.0 |  100.0 |                   10.0 |                   |       90 |

Tenth by tenth, one file of 10 GB, collect first:

| tenth of it | MB/s | core s a GB | MiB |
|------------:|-----:|------------:|----:|
|           1 | 1000 |        1.00 |  90 |
|           2 |  500 |        2.00 |  90 |

- held: at most 128 MiB up to 1,000,000 files, and for great ones: 110
- held: a file of a source ten times as large takes at most 1.3 times the core seconds: 1.10
`
	if diff := cmp.Diff(want, text); diff != "" {
		t.Errorf("(- want)\n%s", diff)
	}
}

func TestReplaceFigures(t *testing.T) {
	document := filepath.Join(t.TempDir(), "scale.md")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(document, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("# Before\n" + figuresBegin + "old\n" + figuresEnd + "\nAfter\n")
	for _, text := range []string{"one\n", "another\n"} {
		if err := replaceFigures(document, text); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		if want := "# Before\n" + figuresBegin + "\n" + text + "\n" + figuresEnd + "\nAfter\n"; string(got) != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	write("# A document without a place for figures\n")
	if err := replaceFigures(document, "text"); err == nil {
		t.Error("figures were written into a document that has no place for them")
	}
}

func TestParse(t *testing.T) {
	for _, test := range []struct {
		args []string
		want options
	}{
		{nil, options{files: numbers{10_000, 100_000, 1_000_000}, size: 10e9, kept: numbers{100_000, 1_000_000}}},
		{[]string{"-soak"}, options{files: numbers{10_000, 100_000, 1_000_000, 10_000_000}, size: 200e9, kept: numbers{100_000, 1_000_000}}},
		{[]string{"-soak", "-size", "20", "-files", "500"}, options{files: numbers{500}, size: 20e9, kept: numbers{100_000, 1_000_000}}},
		{[]string{"-files", "", "-kept", ""}, options{size: 10e9}},
	} {
		got, err := parse(test.args, t.Output())
		if err != nil {
			t.Errorf("%q: %v", test.args, err)
		}
		if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(options{})); diff != "" {
			t.Errorf("%q (- want):\n%s", test.args, diff)
		}
	}
	if _, err := parse([]string{"-files", "1,x"}, t.Output()); err == nil {
		t.Error("a number that is none was taken")
	}
}
