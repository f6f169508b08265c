// Package blobtest holds the suite that every blob.Store passes.
package blobtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/store/blob"
)

// TestStore checks what package blob promises, as far as one process that does
// not lose power can see it. open returns an empty store, a new one with every
// call. What a blob.Replacer promises is checked if the store is one.
func TestStore(t *testing.T, open func(t *testing.T) blob.Store) {
	tests := []struct {
		name string
		run  func(*testing.T, blob.Store)
	}{
		{"what is published can be read", testRoundTrip},
		{"a staged object is invisible and can be read back", testStaged},
		{"discard leaves nothing", testDiscard},
		{"a staged object ends once", testEnds},
		{"a name that is taken stands", testTaken},
		{"one of many wins a name", testRace},
		{"what is not there", testAbsent},
		{"names that are none", testNames},
		{"list is ordered and whole", testList},
		{"list with an end", testListEnd},
		{"cancelled", testCancelled},
		{"concurrent use", testConcurrent},
		{"put once", testPutOnce},
		{"replace", testReplace},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

// Put publishes and syncs an object or ends the test.
func Put(t *testing.T, s blob.Store, name, content string) {
	t.Helper()
	if err := blob.Put(t.Context(), s, name, []byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := s.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// Contents returns every object of a store, or ends the test.
func Contents(t *testing.T, s blob.Store) map[string]string {
	t.Helper()
	all := map[string]string{}
	for info, err := range s.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		data, err := blob.ReadAll(t.Context(), s, info.Name, info.Size)
		if err != nil {
			t.Fatal(err)
		}
		all[info.Name] = string(data)
	}
	return all
}

// Stage stages an object with this content or ends the test, at whose end it
// is discarded.
func Stage(t *testing.T, s blob.Writer, content string) blob.Staged {
	t.Helper()
	st, err := s.Stage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Discard(); err != nil {
			t.Error(err)
		}
	})
	if n, err := io.WriteString(st, content); n != len(content) || err != nil {
		t.Fatalf("writing %d bytes to a staged object: %d, %v", len(content), n, err)
	}
	return st
}

func wantContents(t *testing.T, s blob.Store, want map[string]string) {
	t.Helper()
	if diff := cmp.Diff(want, Contents(t, s)); diff != "" {
		t.Errorf("contents of the store (-want +got):\n%s", diff)
	}
}

func testRoundTrip(t *testing.T, s blob.Store) {
	big := make([]byte, 3<<20+1)
	rand.NewChaCha8([32]byte{}).Read(big)
	for _, content := range [][]byte{{}, {0}, []byte("some text"), big} {
		name := fmt.Sprintf("objects/of/%d", len(content))
		st := Stage(t, s, "")
		for piece := range slices.Chunk(content, 1<<20) {
			if _, err := st.Write(piece); err != nil {
				t.Fatal(err)
			}
		}
		if err := st.Publish(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		if err := st.Discard(); err != nil {
			t.Fatal(err)
		}
		if err := s.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}

		got, err := blob.ReadAll(t.Context(), s, name, int64(len(content)))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, content) {
			t.Errorf("%s: other bytes than were written", name)
		}
		info, err := s.Stat(t.Context(), name)
		if err != nil || info.Name != name || info.Size != int64(len(content)) || info.ModTime.IsZero() {
			t.Errorf("stat of %s: %+v, %v", name, info, err)
		}
		if len(content) > 0 {
			if _, err := blob.ReadAll(t.Context(), s, name, int64(len(content)-1)); err == nil {
				t.Errorf("%s: read beyond the limit", name)
			}
		}
	}
	testReadAt(t, s, fmt.Sprintf("objects/of/%d", len(big)), big)
	if streamer, ok := s.(blob.Streamer); ok {
		testStream(t, streamer, fmt.Sprintf("objects/of/%d", len(big)), big)
	}
}

// testStream reads an object from some offsets on, to its end and not.
func testStream(t *testing.T, s blob.Streamer, name string, content []byte) {
	read := func(ctx context.Context, name string, off, most int64) ([]byte, error) {
		r, err := s.Stream(ctx, name, off)
		if err != nil {
			return nil, err
		}
		got, err := io.ReadAll(io.LimitReader(r, most))
		if errClose := r.Close(); errClose != nil {
			t.Errorf("closing a stream: %v", errClose)
		}
		return got, err
	}
	size := int64(len(content))
	for _, off := range []int64{0, 1, 100_000, size - 1, size} {
		for _, most := range []int64{0, 1, 100_000, size + 1} {
			got, err := read(t.Context(), name, off, most)
			if err != nil || !bytes.Equal(got, content[off:min(off+most, size)]) {
				t.Errorf("at most %d bytes of a stream from %d of %d: %d bytes, %v", most, off, size, len(got), err)
			}
		}
	}
	if _, err := read(t.Context(), "objects/of/nothing", 0, 1); !errors.Is(err, blob.ErrNotExist) {
		t.Errorf("a stream of what is not there: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := read(ctx, name, 0, 1); err == nil {
		t.Error("a stream could be read after its context had ended")
	}
}

// testReadAt reads spans at the boundaries of an object, as io.ReaderAt
// defines it.
func testReadAt(t *testing.T, s blob.Store, name string, content []byte) {
	o, err := s.Open(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	size := o.Size()
	if size != int64(len(content)) {
		t.Errorf("%s has %d bytes, want %d", name, size, len(content))
	}
	for _, off := range []int64{0, 1, 4096, size - 1, size, size + 1} {
		for _, length := range []int{0, 1, 4096} {
			p := make([]byte, length)
			n, err := o.ReadAt(p, off)
			want := content[min(off, size):min(off+int64(length), size)]
			if !bytes.Equal(p[:n], want) {
				t.Errorf("ReadAt of %d bytes at %d of %d: %d bytes, want %d of the content", length, off, size, n, len(want))
			}
			if n < length && err != io.EOF || n == length && err != nil && err != io.EOF {
				t.Errorf("ReadAt of %d bytes at %d of %d: %d, %v", length, off, size, n, err)
			}
		}
	}
	if _, err := o.ReadAt(make([]byte, 1), -1); err == nil {
		t.Error("ReadAt at -1 returned no error")
	}
}

func testStaged(t *testing.T, s blob.Store) {
	st := Stage(t, s, "abc")
	if _, err := st.Write([]byte("def")); err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 4)
	if n, err := st.ReadAt(p, 1); n != 4 || string(p) != "bcde" {
		t.Errorf("reading back: %q, %v", p[:n], err)
	}
	if n, err := st.ReadAt(p, 4); n != 2 || string(p[:n]) != "ef" || err != io.EOF {
		t.Errorf("reading back over the end: %q, %v, want \"ef\", EOF", p[:n], err)
	}
	wantContents(t, s, map[string]string{})
	if err := st.Publish(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if n, err := st.ReadAt(p, 0); n != 4 || string(p) != "abcd" {
		t.Errorf("reading back after Publish: %q, %v", p[:n], err)
	}
	wantContents(t, s, map[string]string{"a": "abcdef"})
}

func testDiscard(t *testing.T, s blob.Store) {
	st := Stage(t, s, "x")
	for range 2 {
		if err := st.Discard(); err != nil {
			t.Errorf("discarding: %v", err)
		}
	}
	if _, err := st.Write([]byte("x")); err == nil {
		t.Error("a Write after Discard succeeded")
	}
	if err := st.Publish(t.Context(), "a"); err == nil {
		t.Error("a Publish after Discard succeeded")
	}
	wantContents(t, s, map[string]string{})

	st = Stage(t, s, "y")
	if err := st.Publish(t.Context(), "b"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := st.Discard(); err != nil {
			t.Errorf("discarding what was published: %v", err)
		}
	}
	wantContents(t, s, map[string]string{"b": "y"})
}

func testEnds(t *testing.T, s blob.Store) {
	st := Stage(t, s, "x")
	if err := st.Publish(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if _, err := st.Write([]byte("more")); err == nil {
		t.Error("a Write after Publish succeeded")
	}
	for _, name := range []string{"a", "b"} {
		if err := st.Publish(t.Context(), name); err == nil {
			t.Errorf("a second Publish, to %s, succeeded", name)
		}
	}
	wantContents(t, s, map[string]string{"a": "x"})
}

func testTaken(t *testing.T, s blob.Store) {
	Put(t, s, "f/a", "old")
	o, err := s.Open(t.Context(), "f/a")
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	for _, content := range []string{"new and longer", "old", ""} {
		st := Stage(t, s, content)
		if err := st.Publish(t.Context(), "f/a"); !errors.Is(err, blob.ErrExist) {
			t.Errorf("publishing %q to a name that is taken: %v, want ErrExist", content, err)
		}
		if err := st.Publish(t.Context(), "f/b"); err == nil {
			t.Errorf("a second Publish succeeded")
		}
	}
	if err := s.Sync(t.Context()); err != nil {
		t.Error(err)
	}
	wantContents(t, s, map[string]string{"f/a": "old"})
	p := make([]byte, 3)
	if _, err := o.ReadAt(p, 0); err != nil && err != io.EOF || string(p) != "old" {
		t.Errorf("an object opened before: %q, %v", p, err)
	}
}

func testRace(t *testing.T, s blob.Store) {
	const racers = 16
	for round := range 5 {
		name := fmt.Sprintf("new/folder%d/object", round)
		errs := make([]error, racers)
		var group sync.WaitGroup
		for i := range racers {
			st := Stage(t, s, fmt.Sprint("by racer ", i))
			group.Go(func() { errs[i] = st.Publish(t.Context(), name) })
		}
		group.Wait()
		won := ""
		for i, err := range errs {
			switch {
			case err == nil && won == "":
				won = fmt.Sprint("by racer ", i)
			case err == nil:
				t.Errorf("%s was won twice", name)
			case !errors.Is(err, blob.ErrExist):
				t.Errorf("losing %s: %v, want ErrExist", name, err)
			}
		}
		if got, err := blob.ReadAll(t.Context(), s, name, 100); string(got) != won {
			t.Errorf("%s has %q, %v, and %q won", name, got, err, won)
		}
	}
}

func testAbsent(t *testing.T, s blob.Store) {
	Put(t, s, "f/a", "x")
	for _, name := range []string{"a", "f/b", "g/a", "f/a/b"} {
		if _, err := s.Open(t.Context(), name); !errors.Is(err, blob.ErrNotExist) {
			t.Errorf("opening %s: %v, want ErrNotExist", name, err)
		}
		if _, err := s.Stat(t.Context(), name); !errors.Is(err, blob.ErrNotExist) {
			t.Errorf("looking for %s: %v, want ErrNotExist", name, err)
		}
	}
	// A folder is no object; a store that has no folders finds nothing.
	if _, err := s.Open(t.Context(), "f"); err == nil {
		t.Error("a folder could be opened")
	}
}

func testNames(t *testing.T, s blob.Store) {
	Put(t, s, "f/a", "x")
	for _, name := range []string{"", "/", "/f/a", "f/a/", "f//a", "../f", "f/../f/a", "./f/a", "f\\a", "f/a\x00", "ä", "stage/a", "damaged/f/a", strings.Repeat("a", blob.MaxName+1)} {
		if _, err := s.Open(t.Context(), name); err == nil || errors.Is(err, blob.ErrNotExist) {
			t.Errorf("opening %q: %v, want an error of its own", name, err)
		}
		if _, err := s.Stat(t.Context(), name); err == nil || errors.Is(err, blob.ErrNotExist) {
			t.Errorf("looking for %q: %v, want an error of its own", name, err)
		}
		if err := blob.Put(t.Context(), s, name, []byte("y")); err == nil {
			t.Errorf("publishing %q succeeded", name)
		}
	}
	for _, prefix := range []string{"/", "//", "../", "f//", "f/../", "stage/", "damaged", "*"} {
		for info, err := range s.List(t.Context(), prefix) {
			if err == nil {
				t.Errorf("listing %q: %+v, want an error", prefix, info)
			}
		}
	}
	longest := strings.Repeat("a", blob.MaxName)
	Put(t, s, longest, "z")
	wantContents(t, s, map[string]string{"f/a": "x", longest: "z"})
}

// names has every byte that sorts below, at or above the slash where folders
// and objects meet.
var names = []string{
	"A", "a-/x", "a.b", "a.b.2", "a/b", "a/b-", "a/b.2/y", "a/b0/y", "a/z", "a0", "a_", "format",
	"runs/1/envelope.2.age", "runs/1/envelope.age", "runs/1/packs/00", "runs/1/packs/ff", "runs/10/packs/00", "z/-/_/.x",
}

func testList(t *testing.T, s blob.Store) {
	for _, i := range rand.New(rand.NewPCG(1, 2)).Perm(len(names)) {
		if err := blob.Put(t.Context(), s, names[i], []byte(names[i])); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.IsSorted(names) {
		t.Fatal("the names of the test are not in order")
	}
	for _, prefix := range []string{"", "a", "a/", "a/b", "a.", "a0", "a/z", "a/z/", "runs", "runs/1", "runs/1/", "runs/1/packs/f", "runs/2/", "zz", "B/c/d", "z/-/_/"} {
		var got, want []string
		for info, err := range s.List(t.Context(), prefix) {
			if err != nil {
				t.Fatal(err)
			}
			if info.Size != int64(len(info.Name)) || info.ModTime.IsZero() {
				t.Errorf("listing %q: %+v", prefix, info)
			}
			got = append(got, info.Name)
		}
		for _, n := range names {
			if strings.HasPrefix(n, prefix) {
				want = append(want, n)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("listing %q (-want +got):\n%s", prefix, diff)
		}
	}
}

func testListEnd(t *testing.T, s blob.Store) {
	for _, name := range []string{"a/1", "a/2", "b/1"} {
		Put(t, s, name, "x")
	}
	seq := s.List(t.Context(), "")
	for range 2 { // a sequence can be run again
		n := 0
		for range seq {
			if n++; n == 2 {
				break
			}
		}
		if n != 2 {
			t.Errorf("got %d of three names, wanted to stop after two", n)
		}
	}
}

func testCancelled(t *testing.T, s blob.Store) {
	Put(t, s, "a", "x")
	ctx, cancel := context.WithCancel(t.Context())
	st := Stage(t, s, "y")
	cancel()
	none, errStage := s.Stage(ctx)
	if none != nil {
		t.Errorf("a Stage that failed returned %#v", none)
	}
	_, errOpen := s.Open(ctx, "a")
	_, errStat := s.Stat(ctx, "a")
	var errList error
	for _, errList = range s.List(ctx, "") {
	}
	for what, err := range map[string]error{
		"publish": st.Publish(ctx, "b"), "stage": errStage, "sync": blob.Put(ctx, s, "b", nil),
		"open": errOpen, "stat": errStat, "list": errList,
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s after the context has ended: %v", what, err)
		}
	}
	wantContents(t, s, map[string]string{"a": "x"})
}

func testConcurrent(t *testing.T, s blob.Store) {
	ctx := t.Context()
	const workers, each = 4, 10
	want := map[string]string{}
	var group sync.WaitGroup
	for w := range workers {
		for i := range each {
			want[fmt.Sprintf("w%d/%d/x", w, i/2)+fmt.Sprint(i)] = fmt.Sprint(w, i)
		}
		group.Go(func() {
			for i := range each {
				name := fmt.Sprintf("w%d/%d/x", w, i/2) + fmt.Sprint(i)
				err := errors.Join(blob.Put(ctx, s, name, []byte(fmt.Sprint(w, i))), s.Sync(ctx))
				if err != nil {
					t.Error(err)
				}
				if _, err := s.Stat(ctx, name); err != nil {
					t.Error(err)
				}
				last := ""
				for info, err := range s.List(ctx, "") {
					if err != nil || info.Name <= last {
						t.Errorf("listing while others publish: %q after %q, %v", info.Name, last, err)
					}
					last = info.Name
				}
			}
		})
	}
	group.Wait()
	wantContents(t, s, want)
}

func testPutOnce(t *testing.T, s blob.Store) {
	for range 2 {
		if err := blob.PutOnce(t.Context(), s, "a", []byte("x")); err != nil {
			t.Error(err)
		}
	}
	for _, other := range []string{"y", "", "xx"} {
		err := blob.PutOnce(t.Context(), s, "a", []byte(other))
		var conflict *blob.ConflictError
		if !errors.As(err, &conflict) || conflict.Name != "a" {
			t.Errorf("putting %q once where \"x\" is: %v, want a ConflictError", other, err)
		}
	}
	wantContents(t, s, map[string]string{"a": "x"})
}

func testReplace(t *testing.T, s blob.Store) {
	r, ok := s.(blob.Replacer)
	if !ok {
		t.Skip("not a blob.Replacer")
	}
	want := map[string]string{"f/other": "o"}
	Put(t, s, "f/other", "o")
	for _, content := range []string{"first: nothing was there", "second", "third"} {
		st := Stage(t, s, content)
		if err := r.Replace(t.Context(), "f/a", st); err != nil {
			t.Fatal(err)
		}
		want["f/a"] = content
		wantContents(t, s, want)
		if err := st.Publish(t.Context(), "f/b"); err == nil {
			t.Error("a Publish after Replace succeeded")
		}
		if err := r.Replace(t.Context(), "f/b", st); err == nil {
			t.Error("a second Replace succeeded")
		}
	}
	if err := r.Replace(t.Context(), "../a", Stage(t, s, "x")); err == nil {
		t.Error("replacing a name that is none succeeded")
	}
	wantContents(t, s, want)
}
