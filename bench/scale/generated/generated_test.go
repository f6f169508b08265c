package generated

import (
	"bytes"
	"compress/flate"
	"context"
	"crypto/sha256"
	"io"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/safe"
	"strongroom/internal/source"
)

// A pulled entry has the digest of its content.
type pulled struct {
	safe.Entry
	Digest [32]byte
}

func pull(t *testing.T, s *Source) (all []pulled) {
	t.Helper()
	for item, err := range s.Pull(t.Context(), source.Request{}) {
		if err != nil {
			t.Fatal(err)
		}
		p := pulled{Entry: item.Entry}
		if item.Content != nil {
			content, err := io.ReadAll(item.Content)
			if err != nil || int64(len(content)) != item.Size {
				t.Fatalf("%s: %d bytes of %d, %v", item.Path, len(content), item.Size, err)
			}
			p.Digest = sha256.Sum256(content)
		}
		all = append(all, p)
	}
	return all
}

func TestEntriesAreAsTheContractSays(t *testing.T) {
	shape := Shape{Seed: 3, Files: 160_000, Shortest: 8, Longest: 16}
	s := New(shape)
	files, inFolder, folders := int64(0), 0, map[string]bool{"": true}
	previous := ""
	for item, err := range s.Pull(t.Context(), source.Request{Need: func(safe.Entry) bool { return false }}) {
		if err != nil {
			t.Fatal(err)
		}
		if err := safe.CheckPath(item.Path); err != nil {
			t.Fatal(err)
		}
		if previous != "" && safe.ComparePaths(previous, item.Path) >= 0 {
			t.Fatalf("%s comes after %s", item.Path, previous)
		}
		previous = item.Path
		if within, _ := cut(item.Path); !folders[within] {
			t.Fatalf("the folder of %s does not come before it", item.Path)
		}
		if item.Content != nil {
			t.Fatalf("%s has content that is not needed", item.Path)
		}
		if item.Type == safe.Dir {
			if inFolder != 0 && (inFolder < fewestInFolder || inFolder > mostInFolder) {
				t.Errorf("the folder before %s has %d files", item.Path, inFolder)
			}
			folders[item.Path], inFolder = true, 0
			continue
		}
		files++
		inFolder++
	}
	if files != shape.Files {
		t.Errorf("%d files, want %d", files, shape.Files)
	}
	if got, want := s.Matches()[0].Entries, files+int64(len(folders))-1; got != want {
		t.Errorf("the line matches %d entries, want %d", got, want)
	}
}

func cut(path string) (folder, name string) {
	i := bytes.LastIndexByte([]byte(path), '/')
	return path[:max(i, 0)], path[i+1:]
}

func TestTheSameAgain(t *testing.T) {
	shape := Shape{Seed: 5, Files: 300, Shortest: 200, Longest: 200_000}
	once := pull(t, New(shape))
	if diff := cmp.Diff(once, pull(t, New(shape))); diff != "" {
		t.Error(diff)
	}
	seen := make(map[[32]byte]string)
	for _, p := range once {
		if p.Type != safe.File {
			continue
		}
		if p.Size < shape.Shortest || p.Size > shape.Longest {
			t.Errorf("%s has %d bytes", p.Path, p.Size)
		}
		if other := seen[p.Digest]; other != "" {
			t.Errorf("%s and %s have the same content", p.Path, other)
		}
		seen[p.Digest] = p.Path
	}
}

// What changes is about what was asked for, and looks changed; the rest is as
// it was.
func TestChange(t *testing.T) {
	shape := Shape{Seed: 7, Files: 10_000, Shortest: 8, Longest: 16, Change: 0.01}
	before := pull(t, New(shape))
	for night := 1; night <= 2; night++ {
		shape.Night = night
		after := pull(t, New(shape))
		changed := 0
		for i := range after {
			a, b := before[i], after[i]
			if a.Digest == b.Digest {
				if a.Path != b.Path || a.Size != b.Size || !a.MTime.Equal(b.MTime) || !a.CTime.Equal(b.CTime) || a.Inode != b.Inode {
					t.Errorf("%s was not changed, and looks like\n%+v\nbefore\n%+v", a.Path, b, a)
				}
				continue
			}
			changed++
			if a.Path != b.Path || a.Size != b.Size || !a.MTime.Before(b.MTime) || !a.CTime.Before(b.CTime) {
				t.Errorf("%s was written anew and looks like\n%+v\nbefore\n%+v", a.Path, b, a)
			}
		}
		if changed < 70 || changed > 130 {
			t.Errorf("night %d: %d of %d files changed, want about 1 %%", night, changed, shape.Files)
		}
		before = after
	}
}

func TestContent(t *testing.T) {
	const size = 3*blockSize + 4321
	shape := Shape{Seed: 9, Files: 1, Shortest: size, Longest: size}
	open := func() io.Reader {
		for item, err := range New(shape).Pull(t.Context(), source.Request{}) {
			if err != nil {
				t.Fatal(err)
			}
			if item.Content != nil {
				return item.Content
			}
		}
		t.Fatal("no file")
		return nil
	}
	whole, err := io.ReadAll(open())
	if err != nil || len(whole) != size {
		t.Fatal(len(whole), err)
	}
	if err := iotest.TestReader(open(), whole); err != nil {
		t.Error(err)
	}
	var small bytes.Buffer
	w, err := flate.NewWriter(&small, flate.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(whole); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if small.Len() < size {
		t.Errorf("%d bytes were compressed to %d", size, small.Len())
	}
}

func TestFile(t *testing.T) {
	s := New(Shape{Seed: 1, Files: 3000, Shortest: 8, Longest: 16})
	var files []pulled
	for _, p := range pull(t, s) {
		if p.Type == safe.File {
			files = append(files, p)
		}
	}
	for _, n := range []int64{0, 1, 1500, 2999} {
		item := s.File(t.Context(), n)
		content, err := io.ReadAll(item.Content)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(files[n], pulled{item.Entry, sha256.Sum256(content)}); diff != "" {
			t.Errorf("file %d differs (- pulled):\n%s", n, diff)
		}
	}
}

// Reading ends with the context of the Pull.
func TestEndsWithItsContext(t *testing.T) {
	shape := Shape{Seed: 1, Files: 10, Shortest: 1 << 40, Longest: 1 << 40}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := false
	for item, err := range New(shape).Pull(ctx, source.Request{}) {
		if err != nil {
			ended = true
			continue
		}
		if item.Content == nil {
			continue
		}
		cancel()
		if _, err := io.Copy(io.Discard, item.Content); err == nil {
			t.Error("reading went on to the end")
		}
	}
	if !ended {
		t.Error("the sequence did not end with an error")
	}
}
