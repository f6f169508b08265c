package command

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTailLines(t *testing.T) {
	for _, tt := range []struct {
		most    int
		written []string
		want    []string
	}{
		{100, nil, nil},
		{100, []string{"\n \n\t\r\n"}, nil},
		{100, []string{"a\n", "b", "c"}, []string{"a", "bc"}},
		{100, []string{"a \r\n\n", "  b\t\n\n"}, []string{"a", "  b"}},
		{6, []string{"0123456789\n", "x"}, []string{"6789", "x"}},
		{6, []string{"one\ntwo\nthree\n"}, []string{"three"}},
		{6, []string{"x\n", "\n\n\n\n\n\n"}, nil},
	} {
		last := tail{most: tt.most}
		for _, w := range tt.written {
			last.Write([]byte(w))
		}
		if diff := cmp.Diff(tt.want, last.lines()); diff != "" {
			t.Errorf("%q (-want +got):\n%s", tt.written, diff)
		}
	}
}

// FuzzTail compares a tail with the end of everything.
func FuzzTail(f *testing.F) {
	f.Add([]byte("some lines\nof output\n"), 4, 3)
	f.Add([]byte("0123456789"), 10, 7)
	f.Fuzz(func(t *testing.T, all []byte, most, step int) {
		if most < 0 || most > 1<<16 || step < 1 {
			return
		}
		last := tail{most: most}
		for rest := all; len(rest) > 0; {
			n, err := last.Write(rest[:min(step, len(rest))])
			if n != min(step, len(rest)) || err != nil {
				t.Fatalf("wrote %d, %v", n, err)
			}
			rest = rest[n:]
		}
		want := all[max(0, len(all)-most):]
		if string(last.b) != string(want) || last.cut != (len(all) > most) {
			t.Errorf("%q in steps of %d, at most %d: kept %q, cut %v", all, step, most, last.b, last.cut)
		}
		for _, line := range last.lines() {
			if strings.TrimSpace(line) == "" || strings.Contains(line, "\n") {
				t.Errorf("the line %q", line)
			}
		}
	})
}
