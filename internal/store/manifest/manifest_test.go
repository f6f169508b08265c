package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/safe"
)

var (
	testRun    = safe.NewRunID(time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC))
	testHeader = Header{Version: 1, Store: safe.StoreID{1, 2}, Run: testRun, Source: "erp-files", Kind: "local",
		Started: time.Date(2026, 11, 21, 2, 0, 0, 5000000, time.UTC)}
	testTime = time.Date(2026, 11, 20, 1, 2, 3, 123456789, time.UTC)
)

func dir(path string) Entry {
	return Entry{Entry: safe.Entry{Path: path, Type: safe.Dir, Mode: 0o755, MTime: testTime}}
}

func file(path string, lengths ...uint32) Entry {
	e := Entry{Entry: safe.Entry{Path: path, Type: safe.File, Mode: 0o644, UID: 1000, GID: 1000, User: "anna", Group: "staff", MTime: testTime}}
	for i, n := range lengths {
		e.Chunks = append(e.Chunks, Chunk{Hash: safe.Digest{byte(i), 7}, Run: testRun, Pack: safe.Digest{9}, Offset: int64(i) * 100, Stored: n + 1, Length: n})
		e.Size += int64(n)
	}
	return e
}

func encode(entries ...Entry) []byte {
	b := AppendHeader(nil, testHeader)
	var t Totals
	for _, e := range entries {
		b = AppendEntry(b, e)
		t.Entries++
		t.Bytes += contentSize(e.Entry)
	}
	return AppendTotals(b, t)
}

func readAll(b []byte) ([]Entry, error) {
	r, _, err := NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	var all []Entry
	for {
		e, err := r.Next()
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		whole := Entry{Entry: e}
		for c, err := range r.Chunks() {
			if err != nil {
				return all, err
			}
			whole.Chunks = append(whole.Chunks, c)
		}
		all = append(all, whole)
	}
}

func manyChunks(path string, n int) Entry {
	lengths := make([]uint32, n)
	for i := range lengths {
		lengths[i] = maxChunk
	}
	return file(path, lengths...)
}

func TestRoundTrip(t *testing.T) {
	long := strings.Repeat("d", safe.MaxName-len(".y"))
	link := Entry{Entry: safe.Entry{Path: "etc/zlink", Type: safe.Symlink, Mode: 0o777, MTime: testTime, Target: "../../\xff\n"}}
	hard := Entry{Entry: safe.Entry{Path: "etc/zz", Type: safe.Hardlink, Mode: 0o4755, MTime: testTime, Target: "etc/hosts"}}
	rich := file("etc/rich", 5)
	rich.CTime, rich.Inode, rich.Sparse = testTime.Add(time.Second), 1<<63, true
	rich.Xattrs = map[string][]byte{"user.b": {0, 1}, "user.a": nil, "security.x": []byte("v")}
	want := []Entry{
		dir(long), file(long + "/x"), file(long + ".y"),
		dir("etc"), file("etc/hosts", 10, 20), manyChunks("etc/huge", 2*ChunksPerLine), manyChunks("etc/huge2", 2*ChunksPerLine+1), rich, link, hard,
		file("new\nline \"quoted\" back\\slash \x01\x1f\x7f é"), file("not-utf8-\xff\xfe"),
		{Entry: safe.Entry{Path: "socket", Type: safe.Special, Mode: 0o600, MTime: testTime}},
	}
	b := encode(want...)
	got, err := readAll(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("entries changed on the way (-want +got):\n%s", diff)
	}
	for i := range len(b) {
		if _, err := readAll(b[:i]); err == nil {
			t.Fatalf("a manifest cut to %d of %d bytes was accepted", i, len(b))
		}
		if i > 5000 {
			break
		}
	}
}

func TestChunksMayBeLeftUnread(t *testing.T) {
	b := encode(manyChunks("a", 3*ChunksPerLine), file("b", 1), file("c", 1))
	r, h, err := NewReader(bytes.NewReader(b))
	if err != nil || !h.Started.Equal(testHeader.Started) {
		t.Fatal(h, err)
	}
	var paths []string
	for {
		e, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for range r.Chunks() {
			break // one is enough
		}
		paths = append(paths, e.Path)
	}
	if got := strings.Join(paths, " "); got != "a b c" {
		t.Errorf("got entries %s", got)
	}
}

func TestTimesThatCannotBeWritten(t *testing.T) {
	early, late := file("a"), file("b")
	early.MTime, late.MTime = time.Unix(-1<<55, 0), time.Unix(1<<55, 0)
	got, err := readAll(encode(early, late))
	if err != nil {
		t.Fatal(err)
	}
	if a, b := got[0].MTime.Year(), got[1].MTime.Year(); a != 0 || b != 9999 {
		t.Errorf("got years %d and %d, want 0 and 9999", a, b)
	}
}

func TestRefused(t *testing.T) {
	line := func(e Entry) string { return string(AppendEntry(nil, e)) }
	wrongSize := file("a", 3)
	wrongSize.Size = 4
	dirWithTarget := dir("a")
	dirWithTarget.Target = "b"
	linkTo := func(typ safe.EntryType, target string) Entry {
		return Entry{Entry: safe.Entry{Path: "m", Type: typ, MTime: testTime, Target: target}}
	}
	cases := map[string]struct{ lines, want string }{
		"parent":         {line(file("../a")), `component ".."`},
		"rooted":         {line(file("/a")), `component ""`},
		"dot":            {line(file("a/./b")), `component "."`},
		"no path":        {line(file("")), "path is empty"},
		"NUL":            {strings.Replace(line(file("aXb")), "X", `\u0000`, 1), "NUL"},
		"twice":          {line(file("a")) + line(file("a")), "does not come after"},
		"order":          {line(file("b")) + line(file("a")), "does not come after"},
		"no folder":      {line(file("a/b")), "folder that was not listed"},
		"under a link":   {line(linkTo(safe.Symlink, "/etc")) + line(file("m/passwd")), "folder that was not listed"},
		"under a file":   {line(file("m")) + line(file("m/passwd")), "folder that was not listed"},
		"size":           {line(wrongSize), "do not add up"},
		"dir target":     {line(dirWithTarget), "has a target"},
		"link no target": {line(linkTo(safe.Symlink, "")), "target of 0 bytes"},
		"hardlink out":   {line(linkTo(safe.Hardlink, "../../etc/passwd")), "hardlink's target"},
		"hardlink later": {line(linkTo(safe.Hardlink, "z")), "does not come before"},
		"type":           {line(linkTo("door", "")), "not known"},
		"upper case":     {strings.Replace(line(file("a", 1)), `"h":"0007`, `"h":"000A`, 1), "hex"},
		"blank":          {strings.Replace(line(file("a")), `,"uid"`, `, "uid"`, 1), "want"},
		"unknown field":  {strings.Replace(line(file("a")), `}`, `,"x":1}`, 1), "want"},
		"leading zero":   {strings.Replace(line(file("a")), `"uid":1000`, `"uid":01000`, 1), "want a number"},
		"utf8 as base64": {strings.Replace(line(file("a")), `"path":"a"`, `"path64":"YQ=="`, 1), "has to stand in path"},
		"bare non-UTF-8": {strings.Replace(line(file("aX")), "X", "\xff", 1), "not UTF-8"},
		"two in a line":  {strings.Replace(line(file("a")), "}\n", "}{}\n", 1), "follows the end"},
		"not a line":     {"\n", "want {"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := AppendHeader(nil, testHeader)
			b = append(b, c.lines...)
			b = AppendTotals(b, Totals{Entries: int64(strings.Count(c.lines, "\n"))})
			_, err := readAll(b)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("lines %q: got error %v, want one with %q", c.lines, err, c.want)
			}
		})
	}
}

func TestTotalsAreCompared(t *testing.T) {
	b := AppendEntry(AppendHeader(nil, testHeader), file("a", 4))
	for _, tt := range []Totals{{0, 4}, {2, 4}, {1, 3}} {
		if _, err := readAll(AppendTotals(b[:len(b):len(b)], tt)); err == nil {
			t.Errorf("totals %+v were accepted for one entry of 4 bytes", tt)
		}
	}
	if _, err := readAll(append(encode(), '\n')); err == nil {
		t.Error("something after the totals was accepted")
	}
}

func TestEndlessLine(t *testing.T) {
	src := io.MultiReader(bytes.NewReader(AppendHeader(nil, testHeader)), endless{})
	r, _, err := NewReader(src)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Next(); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("got %v", err)
	}
	if _, again := r.Next(); again == nil {
		t.Error("a Reader went on after an error")
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return copy(p, bytes.Repeat([]byte("x"), len(p))), nil }

func TestHeaderRefused(t *testing.T) {
	good := string(AppendHeader(nil, testHeader))
	for _, h := range []string{
		"", "{}\n", strings.Replace(good, `"v":1`, `"v":2`, 1), strings.Replace(good, `"v":1`, `"v":1,"x":1`, 1),
		strings.Replace(good, `"erp-files"`, `"../x"`, 1), strings.Replace(good, `{`, `{ `, 1),
	} {
		if _, _, err := NewReader(strings.NewReader(h)); err == nil {
			t.Errorf("header %q was accepted", h)
		}
	}
}

// FuzzReader: whatever is accepted is in the one spelling, so writing it
// again gives the same bytes.
func FuzzReader(f *testing.F) {
	f.Add(encode(dir("etc"), file("etc/hosts", 10, 20), file("\xff")))
	f.Add(encode(Entry{Entry: safe.Entry{Path: "l", Type: safe.Symlink, MTime: testTime, Target: "\x01", Xattrs: map[string][]byte{"user.a": {1}}}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		entries, err := readAll(b)
		if err != nil {
			return
		}
		_, h, err := NewReader(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		again := AppendHeader(nil, h)
		var totals Totals
		for _, e := range entries {
			if err := safe.CheckPath(e.Path); err != nil {
				t.Fatal(err)
			}
			again = AppendEntry(again, e)
			totals.Entries++
			totals.Bytes += contentSize(e.Entry)
		}
		if again = AppendTotals(again, totals); !bytes.Equal(again, b) {
			t.Errorf("accepted %q,\nwhich is written %q", b, again)
		}
	})
}

func BenchmarkRead(b *testing.B) {
	m := AppendHeader(nil, testHeader)
	for i := range 1000 {
		m = AppendEntry(m, file(fmt.Sprintf("file-%06d", i), 4000, 5000))
	}
	b.SetBytes(int64(len(m)))
	for b.Loop() {
		r, _, _ := NewReader(bytes.NewReader(m))
		for {
			if _, err := r.Next(); err != nil {
				if !errors.Is(err, io.ErrUnexpectedEOF) {
					b.Fatal(err)
				}
				break
			}
		}
	}
}
