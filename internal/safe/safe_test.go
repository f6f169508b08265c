package safe

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestIDsHaveOneSpelling(t *testing.T) {
	at := time.Date(2026, 11, 21, 2, 3, 4, 567_000_000, time.UTC)
	run := NewRunID(at)
	if got, err := ParseRunID(run.String()); err != nil || got != run {
		t.Errorf("run %s came back as %s, %v", run, got, err)
	}
	if !run.Time().Equal(at) {
		t.Errorf("run begun at %s says %s", at, run.Time())
	}
	if later := NewRunID(at.Add(time.Millisecond)); run.Compare(later) >= 0 || run.String() >= later.String() {
		t.Errorf("run %s does not sort before the later %s", run, later)
	}
	store, digest := NewStoreID(), DigestOf([]byte("x"))
	if got, err := ParseStoreID(store.String()); err != nil || got != store {
		t.Errorf("store %s came back as %s, %v", store, got, err)
	}
	if got, err := ParseDigest(digest.String()); err != nil || got != digest {
		t.Errorf("digest %s came back as %s, %v", digest, got, err)
	}
	const v4 = "01a1ffd6-eb8b-4c57-9287-73b0c2a78820"
	for _, s := range []string{"", strings.ToUpper(run.String()), run.String() + "0", " " + run.String(), v4,
		strings.ReplaceAll(run.String(), "-", ""), "{" + run.String() + "}", "../" + run.String()[3:]} {
		if _, err := ParseRunID(s); err == nil {
			t.Errorf("run id %q was accepted", s)
		}
	}
	for _, s := range []string{"", strings.ToUpper(digest.String()), digest.String()[1:], digest.String() + "0", strings.Repeat("g", 64)} {
		if _, err := ParseDigest(s); err == nil {
			t.Errorf("digest %q was accepted", s)
		}
	}
}

func TestSourceNames(t *testing.T) {
	for name, ok := range map[string]bool{
		"a": true, "erp-files": true, "0x": true, strings.Repeat("a", 63): true,
		"": false, "-a": false, "A": false, "a_b": false, "a/b": false, "..": false, "a.b": false, "ä": false, strings.Repeat("a", 64): false, "a\n": false,
	} {
		if _, err := ParseSourceName(name); (err == nil) != ok {
			t.Errorf("source name %q: %v", name, err)
		}
	}
}

func TestCheckPath(t *testing.T) {
	long := strings.Repeat("d", MaxName)
	for path, ok := range map[string]bool{
		"a": true, "a/b": true, "...": true, ".a": true, "a..b": true, "\xff\n": true, long: true, strings.Repeat("d/", 2047) + "dd": true,
		"": false, "/a": false, "a/": false, "a//b": false, ".": false, "..": false, "a/../b": false, "a/.": false, "a\x00": false, long + "d": false,
		strings.Repeat("d/", 2048) + "d": false,
	} {
		if err := CheckPath(path); (err == nil) != ok {
			t.Errorf("path %.40q (%d bytes): %v", path, len(path), err)
		}
	}
}

func TestPathOrder(t *testing.T) {
	want := []string{"a", "a/b", "a/b/c", "a/b.c", "a\x01", "a b", "a.b", "a0", "b", "\xff"}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, ComparePaths)
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// FuzzComparePaths: the order is that of comparing the lists of components.
func FuzzComparePaths(f *testing.F) {
	f.Add("a/b", "a.b")
	f.Add("", "/")
	f.Fuzz(func(t *testing.T, a, b string) {
		if CheckPath(a) != nil || CheckPath(b) != nil {
			return
		}
		want := slices.Compare(strings.Split(a, "/"), strings.Split(b, "/"))
		if got := ComparePaths(a, b); got != want {
			t.Errorf("ComparePaths(%q, %q) = %d, want %d", a, b, got, want)
		}
	})
}

func testSnapshot() Snapshot {
	at := time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)
	run, old := NewRunID(at), NewRunID(at.AddDate(0, 0, -1))
	return Snapshot{Version: 1, Store: NewStoreID(), Run: run, Source: "erp-files", Kind: "sftp", Started: at, Finished: at.Add(time.Minute),
		Entries: 3, Bytes: 5, KeepUntil: at.AddDate(0, 1, 0), Tier: Monthly, Root: Digest{1}, Runs: map[RunID]RunPacks{
			run: {Envelope: Digest{2}, Packs: []Digest{}}, old: {Envelope: Digest{3}, Packs: []Digest{{4}, {5}}}}}
}

func TestSnapshotComesBack(t *testing.T) {
	b := testSnapshot().Encode()
	got, err := ParseSnapshot(b)
	if err != nil {
		t.Fatal(err)
	}
	if again := got.Encode(); !bytes.Equal(again, b) {
		t.Errorf("%s\nbecame\n%s", b, again)
	}
}

func TestSnapshotRefused(t *testing.T) {
	s := testSnapshot()
	good := string(s.Encode())
	one, two := Digest{4}.String(), Digest{5}.String()
	for name, b := range map[string]string{
		"empty":          "",
		"version":        strings.Replace(good, `"v":1`, `"v":2`, 1),
		"unknown field":  strings.Replace(good, `"v":1`, `"v":1,"x":1`, 1),
		"twice":          good + good,
		"blank":          strings.Replace(good, `"v":1`, `"v": 1`, 1),
		"field missing":  strings.Replace(good, `"entries":3,`, ``, 1),
		"negative count": strings.Replace(good, `"entries":3,`, `"entries":-3,`, 1),
		"own run":        strings.Replace(good, `"`+s.Run.String()+`":{`, `"`+NewRunID(time.Now()).String()+`":{`, 1),
		"path as source": strings.Replace(good, `"erp-files"`, `"../x"`, 1),
		"order of packs": strings.Replace(good, `["`+one+`","`+two+`"]`, `["`+two+`","`+one+`"]`, 1),
		"a pack twice":   strings.Replace(good, `["`+one+`","`+two+`"]`, `["`+one+`","`+one+`"]`, 1),
		"null packs":     strings.Replace(good, `"packs":[]`, `"packs":null`, 1),
		"order of keys":  strings.Replace(good, `"v":1,"store"`, `"store"`, 1),
	} {
		if _, err := ParseSnapshot([]byte(b)); err == nil || b == good {
			t.Errorf("%s: accepted %s", name, b)
		}
	}
}

// FuzzParseSnapshot: what is accepted is in the one spelling.
func FuzzParseSnapshot(f *testing.F) {
	f.Add(testSnapshot().Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := ParseSnapshot(b); err == nil && !bytes.Equal(s.Encode(), b) {
			t.Errorf("accepted %q, which is written %q", b, s.Encode())
		}
	})
}
