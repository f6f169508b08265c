package tree

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"strongroom/internal/estate/facts"
)

// text shows a tree on one line, as JSON with lines.
func text(n *Node) string {
	switch {
	case n.Is(Scalar):
		return fmt.Sprintf("%s%q@%d", n.Tag, n.Text, n.Line)
	case n.Is(List):
		var all []string
		for _, i := range n.Items {
			all = append(all, text(i))
		}
		return n.Tag + "[" + strings.Join(all, " ") + "]"
	case n.Is(Map):
		var all []string
		for _, k := range n.Keys {
			all = append(all, fmt.Sprintf("%s@%d:%s", k.Name, k.Line, text(k.Value)))
		}
		return n.Tag + "{" + strings.Join(all, " ") + "}"
	}
	return n.Tag + "null"
}

func TestRead(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"nothing", "", ""},
		{"a comment", "# a\n", ""},
		{"scalars", "a: 1\nb: x\nc:\nd: ~\ne: ''\n", `{a@1:"1"@1 b@2:"x"@2 c@3:null d@4:null e@5:""@5}`},
		{"lists", "- a\n- [b, c]\n", `["a"@1 ["b"@2 "c"@2]]`},
		{"a block", "a: |\n  x\n  y\nb: z\n", `{a@1:"x\ny\n"@1 b@4:"z"@4}`},
		{"the last of equal keys", "a: 1\nb: 2\na: 3\n", `{a@3:"3"@3 b@2:"2"@2}`},
		{"a merge", "x: &x {a: 1, b: 2}\ny:\n  <<: *x\n  b: 3\n", `{x@1:{a@1:"1"@1 b@1:"2"@1} y@2:{b@4:"3"@4 a@1:"1"@1}}`},
		{"a merge of two", "- &x {a: 1}\n- &y {a: 2, b: 2}\n- <<: [*x, *y]\n", `[{a@1:"1"@1} {a@2:"2"@2 b@2:"2"@2} {a@1:"1"@1 b@2:"2"@2}]`},
		{"no merge in quotes", "'<<': {a: 1}\n", `{<<@1:{a@1:"1"@1}}`},
		{"tags", "a: !reset null\nb: !override [x]\nc: !!str 1\n", `{a@1:!resetnull b@2:!override["x"@2] c@3:"1"@3}`},
		{"documents", "a: 1\n---\n# none\n---\nb: 2 # ---\n--- \nc: |\n  x\n", `{a@1:"1"@1} null {b@5:"2"@5} {c@7:"x\n"@7}`},
		{"a directive", "%YAML 1.1\n---\na: 1\n", `{a@3:"1"@3}`},
		{"an end", "a: 1\n...\n---\nb: 2\n", `{a@1:"1"@1} {b@4:"2"@4}`},
		{"JSON", "{\"a\": [1,\n true, null, {\"b\": \"x\", \"b\": \"y\"}]}", `{a@1:["1"@1 "true"@2 null {b@2:"y"@2}]}`},
		{"a stream of JSON", "{}\n[]\n", `{} []`},
		{"YAML that begins like JSON", "{a: 1}\n", `{a@1:"1"@1}`},
		{"a byte order mark", "\ufeffa: 1\n", `{a@1:"1"@1}`},
		{"keys that are no names", "? [a]\n: 1\nb: 2\n", `{b@3:"2"@3}`},
	} {
		docs, err := Read([]byte(tt.in))
		var got []string
		for _, d := range docs {
			got = append(got, text(d))
		}
		if err != nil || strings.Join(got, " ") != tt.want {
			t.Errorf("%s: got %s, %v, want %s", tt.name, strings.Join(got, " "), err, tt.want)
		}
	}
}

// An error says where, and not a word of the file, which may be a secret.
func TestNotYAML(t *testing.T) {
	for in, line := range map[string]string{"a: 1\n---\nb: [hunter2\n": "line 2", "a: 'hunter2": "line 1", "hunter2: hunter2: hunter2": "line 1", `{"hunter2" "a"}`: "line 1", "a: *hunter2": "line 1"} {
		docs, err := Read([]byte(in))
		if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), line) {
			t.Errorf("Read(%q) = %v, %v, want an error for %s", in, docs, err, line)
		}
	}
}

func TestGet(t *testing.T) {
	docs, err := Read([]byte("a:\n  b: [x]\n"))
	if err != nil {
		t.Fatal(err)
	}
	n := docs[0]
	if got := n.Get("a", "b").List()[0].String(); got != "x" {
		t.Errorf("got %q, want x", got)
	}
	none := n.Get("a", "c", "d")
	if none != nil || none.String() != "" || none.List() != nil || none.Map() != nil || none.Is(Null) || n.Get("a", "b", "c") != nil {
		t.Error("what is not there should be nothing")
	}
}

// bombs are files that mean much more than their size says, or that make a
// parser slow.
func bombs() map[string]string {
	laughs := "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
	merges := "a0: &a0 {a: 1}\n"
	for i := range 30 {
		laughs += fmt.Sprintf("a%d: &a%d [%s]\n", i+1, i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i), 10), ","))
		merges += fmt.Sprintf("a%d: &a%d {<<: [%s]}\n", i+1, i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i), 10), ","))
	}
	return map[string]string{
		"aliases of aliases":    laughs,
		"merges of merges":      merges,
		"one that holds itself": "a: &a [*a, *a]\n",
		"a merge of itself":     "a: &a {<<: *a, b: [*a, *a]}\n",
		"brackets":              strings.Repeat("[", 1000) + strings.Repeat("]", 1000),
		"brackets of YAML":      "a: " + strings.Repeat("[", 1000) + strings.Repeat("]", 1000),
		"braces of JSON":        strings.Repeat(`{"a":`, 1000) + "1" + strings.Repeat("}", 1000),
		"dashes":                strings.Repeat("- ", 1000) + "a",
		"a great list":          "[" + strings.Repeat("a,", maxMarks) + "a]",
		"a great list of JSON":  "[" + strings.Repeat("1,", maxNodes) + "1]",
		"many keys":             strings.Repeat("a:\n", maxMarks),
		"copies of a text":      "a: &a " + strings.Repeat("x", 1<<20) + "\nb: [" + strings.Repeat("*a,", 200) + "]\n",
		"many documents":        strings.Repeat("---\n", maxDocuments+1),
	}
}

// What is too much is refused, with what is too much in the error.
func TestBombs(t *testing.T) {
	for name, in := range bombs() {
		if _, err := Read([]byte(in)); err == nil || !strings.Contains(err.Error(), "more than") {
			t.Errorf("%s: got %v, want that it is too much", name, err)
		}
	}
	if _, err := Read(make([]byte, facts.MaxBytes+1)); err == nil {
		t.Error("a file without end was read")
	}
}

// child is set in the process that TestLongMemory starts.
const child = "STRONGROOM_TREE_TEST_CHILD"

// In a process of its own, whose memory is limited, each bomb and what the
// parser of the configuration takes minutes for are read or refused.
func TestLongMemory(t *testing.T) {
	if os.Getenv(child) != "" {
		for name, in := range map[string]string{
			"tabs in quotes": "a: \"" + strings.Repeat("\t", 100_000) + "x\"\n",
			"empty lines":    "a: |\n" + strings.Repeat("\n", 400_000),
			"keys":           keys(100_000),
			"braces":         "{" + strings.Repeat("a: b,", 50_000) + "a: b}",
			"words":          "a: " + strings.Repeat("word\n  ", 100_000),
			"comments":       strings.Repeat("# a comment\n", 200_000) + "a: b\n",
		} {
			if _, err := Read([]byte(in)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			runtime.GC()
		}
		TestBombs(t)
		return
	}
	if testing.Short() || raceEnabled() {
		t.Skip("needs the memory as it is without the race detector")
	}
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no shell to limit memory with")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(sh, "-c", `ulimit -v 3000000; ulimit -t 120; exec "$0" -test.run '^TestLongMemory$'`, exe)
	cmd.Env = append(os.Environ(), child+"=1", "GOMEMLIMIT=1GiB")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%.2000s", err, out)
	}
}

func keys(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "k%d: v\n", i)
	}
	return b.String()
}

func FuzzRead(f *testing.F) {
	for _, s := range []string{"a: &a [1, {b: *a}]\n---\n- <<: {c: d}\n", `{"a": [1, null, "x"]}`, "a: |\n x\n...\n%YAML 1.1\n--- b", "a: !t 'x'\n? k\n: v\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		docs, err := Read(b)
		if err != nil {
			return
		}
		lines := 2 // what is missing at the end stands after it
		for _, r := range string(b) {
			if strings.ContainsRune("\n\r\u0085\u2028\u2029", r) { // what YAML takes for the end of one
				lines++
			}
		}
		var check func(n *Node)
		check = func(n *Node) {
			if n.Line < 1 || n.Line > lines {
				t.Errorf("line %d of %d", n.Line, lines)
			}
			for _, i := range n.Items {
				check(i)
			}
			names := make(map[string]bool)
			for _, k := range n.Keys {
				if names[k.Name] {
					t.Errorf("key %q twice", k.Name)
				}
				names[k.Name] = true
				check(k.Value)
			}
		}
		for _, d := range docs {
			check(d)
		}
	})
}
