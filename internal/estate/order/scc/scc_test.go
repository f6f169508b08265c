package scc

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestFind has graphs as "ab bc" for a -> b -> c, and what follows each of their
// nodes as components, in which nodes are letters.
func TestFind(t *testing.T) {
	for _, c := range []struct{ name, arcs, want string }{
		{"no arc", "", "a b c d e f"},
		{"a chain: what is needed comes first", "ab bc cd de ef", "f e d c b a"},
		{"a ring", "ab bc ca", "abc d e f"},
		{"two rings that share a node", "ab ba bc cb", "abc d e f"},
		{"two rings, one needs the other", "ab ba bc cd dc", "cd ab e f"},
		{"a loop", "aa", "a b c d e f"},
		{"a way across, to what is done already", "ab ca cb", "b a c d e f"},
		{"all", "ab bc cd de ef fa ad", "abcdef"},
	} {
		next := make([][]int, 6)
		for arc := range strings.FieldsSeq(c.arcs) {
			next[arc[0]-'a'] = append(next[arc[0]-'a'], int(arc[1]-'a'))
		}
		var got []string
		for _, part := range Find(6, func(v int) int { return len(next[v]) }, func(v, i int) int { return next[v][i] }) {
			var word []byte
			for _, v := range part {
				word = append(word, byte('a'+v))
			}
			got = append(got, string(word))
		}
		if diff := cmp.Diff(c.want, strings.Join(got, " ")); diff != "" {
			t.Errorf("%s: %s (-want +got):\n%s", c.name, c.arcs, diff)
		}
	}
}

// TestDeep would end a recursive walk slowly, if at all.
func TestDeep(t *testing.T) {
	const n = 200_000
	parts := Find(n, func(int) int { return 1 }, func(v, _ int) int { return (v + 1) % n })
	if len(parts) != 1 || len(parts[0]) != n {
		t.Errorf("a ring of %d is %d components", n, len(parts))
	}
}
