package diff_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/safe"
	"strongroom/internal/store/diff"
	"strongroom/internal/store/manifest"
)

var day = time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)

// chunk is of 100 bytes.
func chunk(content string) manifest.Chunk {
	return manifest.Chunk{
		Hash: safe.DigestOf([]byte(content)), Run: safe.NewRunID(day), Pack: safe.DigestOf([]byte("pack")), Stored: 50, Length: 100,
	}
}

func file(path, content string) manifest.Entry {
	e := manifest.Entry{Entry: safe.Entry{Path: path, Type: safe.File, Mode: 0o644, MTime: day, Size: int64(100 * len(content))}}
	for _, c := range content {
		e.Chunks = append(e.Chunks, chunk(string(c)))
	}
	return e
}

func folder(path string) manifest.Entry {
	return manifest.Entry{Entry: safe.Entry{Path: path, Type: safe.Dir, Mode: 0o755, MTime: day}}
}

func link(path, target string) manifest.Entry {
	return manifest.Entry{Entry: safe.Entry{Path: path, Type: safe.Symlink, Mode: 0o777, MTime: day, Target: target}}
}

func with(e manifest.Entry, change func(*safe.Entry)) manifest.Entry {
	change(&e.Entry)
	return e
}

// write returns a manifest of the entries, which are in order.
func write(entries []manifest.Entry) []byte {
	b := manifest.AppendHeader(nil, manifest.Header{Store: safe.NewStoreID(), Run: safe.NewRunID(day), Source: "erp", Kind: "local", Started: day})
	var totals manifest.Totals
	for _, e := range entries {
		b = manifest.AppendEntry(b, e)
		totals.Entries++
		totals.Bytes += e.Size
	}
	return manifest.AppendTotals(b, totals)
}

func open(t *testing.T, b []byte) *manifest.Reader {
	t.Helper()
	r, _, err := manifest.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// compare returns lines such as "added etc/hosts".
func compare(t *testing.T, before, after []manifest.Entry) []string {
	t.Helper()
	var lines []string
	for c, err := range diff.Compare(open(t, write(before)), open(t, write(after))) {
		if err != nil {
			t.Fatalf("comparing: %v", err)
		}
		lines = append(lines, c.Kind.String()+" "+c.Path())
	}
	return lines
}

func TestCompare(t *testing.T) {
	many := strings.Repeat("0123456789", 300) // chunks in several lines
	for _, test := range []struct {
		name          string
		before, after []manifest.Entry
		want          []string
	}{
		{"nothing", nil, nil, nil},
		{"the first", nil, []manifest.Entry{file("a", "x")}, []string{"added a"}},
		{"the last", []manifest.Entry{file("a", "x")}, nil, []string{"removed a"}},
		{"the same", []manifest.Entry{file("a", many), link("b", "a")}, []manifest.Entry{file("a", many), link("b", "a")}, nil},
		{"one chunk of many", []manifest.Entry{file("a", many), file("b", "x")}, []manifest.Entry{file("a", many[1:]+"x"), file("b", "x")}, []string{"content a"}},
		{"the last chunk", []manifest.Entry{file("a", many+"x")}, []manifest.Entry{file("a", many+"y")}, []string{"content a"}},
		{"longer", []manifest.Entry{file("a", "x")}, []manifest.Entry{file("a", "xy")}, []string{"content a"}},
		{"empty", []manifest.Entry{file("a", "x")}, []manifest.Entry{file("a", "")}, []string{"content a"}},
		{"another target", []manifest.Entry{link("a", "x")}, []manifest.Entry{link("a", "y")}, []string{"content a"}},
		{"a file that becomes a folder", []manifest.Entry{file("a", "x"), file("a.b", "")}, []manifest.Entry{folder("a"), file("a/b", ""), file("a.b", "")},
			[]string{"content a", "added a/b"}},
		{"path order", []manifest.Entry{folder("a"), file("a/z", ""), file("a.b", "")}, []manifest.Entry{folder("a"), file("a.b", "x"), file("a0", "")},
			[]string{"removed a/z", "content a.b", "added a0"}},
		{"mode", []manifest.Entry{folder("a")}, []manifest.Entry{with(folder("a"), func(e *safe.Entry) { e.Mode = 0o700 })}, []string{"metadata a"}},
		{"owner", []manifest.Entry{file("a", "x")}, []manifest.Entry{with(file("a", "x"), func(e *safe.Entry) { e.User = "eve" })}, []string{"metadata a"}},
		{"time", []manifest.Entry{file("a", "x")}, []manifest.Entry{with(file("a", "x"), func(e *safe.Entry) { e.MTime = day.Add(1) })}, []string{"metadata a"}},
		{"attribute", []manifest.Entry{file("a", "x")}, []manifest.Entry{with(file("a", "x"), func(e *safe.Entry) { e.Xattrs = map[string][]byte{"user.a": nil} })}, []string{"metadata a"}},
		{"inode", []manifest.Entry{file("a", "x")}, []manifest.Entry{with(file("a", "x"), func(e *safe.Entry) { e.Inode, e.CTime = 7, day })}, nil},
		{"both", []manifest.Entry{file("a", "x")}, []manifest.Entry{with(file("a", "y"), func(e *safe.Entry) { e.Mode = 0 })}, []string{"content a"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, compare(t, test.before, test.after)); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
		})
	}
}

// TestCompareRandom changes random trees and compares the result with that of
// a comparison of maps.
func TestCompareRandom(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	for range 200 {
		before := make(map[string]manifest.Entry)
		for range r.IntN(40) {
			grow(r, before)
		}
		after := maps.Clone(before)
		for range r.IntN(10) {
			grow(r, after)
			for path := range after { // any
				if after[path].Type != safe.Dir {
					delete(after, path)
				}
				break
			}
		}
		var want []string
		for _, path := range slices.SortedFunc(maps.Keys(union(before, after)), safe.ComparePaths) {
			a, inA := before[path]
			b, inB := after[path]
			switch {
			case !inA:
				want = append(want, "added "+path)
			case !inB:
				want = append(want, "removed "+path)
			case a.Type != b.Type || !slices.EqualFunc(a.Chunks, b.Chunks, func(x, y manifest.Chunk) bool { return x.Hash == y.Hash }):
				want = append(want, "content "+path)
			case a.Mode != b.Mode:
				want = append(want, "metadata "+path)
			}
		}
		if diff := cmp.Diff(want, compare(t, inOrder(before), inOrder(after))); diff != "" {
			t.Fatalf("seed %d: changes (-want +got):\n%s", seed, diff)
		}
	}
}

// grow puts or replaces a random entry.
func grow(r *rand.Rand, tree map[string]manifest.Entry) {
	in := ""
	for range r.IntN(3) {
		in += string("ab-."[r.IntN(2)]) + "d"
		if e, there := tree[in]; there && e.Type != safe.Dir {
			return
		}
		tree[in] = folder(in)
		in += "/"
	}
	e := file(in+string("ab-."[r.IntN(3)])+"f", strings.Repeat("xyz", r.IntN(3)))
	e.Mode = uint32(r.IntN(2))
	tree[e.Path] = e
}

func union(a, b map[string]manifest.Entry) map[string]manifest.Entry {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

func inOrder(tree map[string]manifest.Entry) []manifest.Entry {
	return slices.SortedFunc(maps.Values(tree), func(a, b manifest.Entry) int { return safe.ComparePaths(a.Path, b.Path) })
}

func TestDamagedManifest(t *testing.T) {
	whole := write([]manifest.Entry{file("a", "x"), file("b", "y")})
	cut := whole[:len(whole)-30]
	for _, pair := range [][2][]byte{{whole, cut}, {cut, whole}} {
		var last error
		for _, err := range diff.Compare(open(t, pair[0]), open(t, pair[1])) {
			if last != nil {
				t.Error("something was yielded after an error")
			}
			last = err
		}
		if !errors.Is(last, io.ErrUnexpectedEOF) {
			t.Errorf("a manifest that was cut short: %v", last)
		}
	}
}

func TestStopsEarly(t *testing.T) {
	n := 0
	for range diff.Compare(open(t, write(nil)), open(t, write([]manifest.Entry{file("a", ""), file("b", "")}))) {
		n++
		break
	}
	if n != 1 {
		t.Error(fmt.Sprint(n, " changes, wanted to stop after one"))
	}
}
