package manifest

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"
)

func testRoot(chunks int) Root {
	return Root{Store: testHeader.Store, Run: testRun, Source: "erp-files", Entries: 3, Bytes: 9, Chunks: manyChunks("x", chunks).Chunks}
}

func TestRootComesBack(t *testing.T) {
	for _, chunks := range []int{0, 1, ChunksPerLine, ChunksPerLine + 1, 3*ChunksPerLine - 1} {
		want := testRoot(chunks)
		got, err := ParseRoot(want.Encode())
		if err != nil {
			t.Fatalf("%d chunks: %v", chunks, err)
		}
		if !slices.Equal(got.Chunks, want.Chunks) || got.Run != want.Run || got.Entries != want.Entries {
			t.Errorf("%d chunks: the root changed on the way", chunks)
		}
	}
}

func TestRootRefused(t *testing.T) {
	good := string(testRoot(2).Encode())
	for name, b := range map[string]string{
		"empty":         "",
		"version":       strings.Replace(good, `"v":1`, `"v":2`, 1),
		"unknown field": strings.Replace(good, `"v":1`, `"v":1,"x":1`, 1),
		"blank":         strings.Replace(good, `"v":1`, `"v": 1`, 1),
		"list twice":    good + strings.SplitAfter(good, "\n")[1],
		"cut short":     good[:len(good)-2],
		"no newline":    good[:len(good)-1],
		"too large":     string(testRoot(8 * ChunksPerLine).Encode()),
	} {
		if _, err := ParseRoot([]byte(b)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := LimitRoot(endless{}); err == nil {
		t.Error("an endless root was read")
	}
}

func FuzzParseRoot(f *testing.F) {
	f.Add(testRoot(0).Encode())
	f.Add(testRoot(2).Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := ParseRoot(b); err == nil && !bytes.Equal(r.Encode(), b) {
			t.Errorf("accepted %q, which is written %q", b, r.Encode())
		}
	})
}

func FuzzChunkList(f *testing.F) {
	f.Add(AppendChunkList(nil, manyChunks("x", 2).Chunks))
	f.Fuzz(func(t *testing.T, b []byte) {
		var chunks []Chunk
		for list := NewListReader(bytes.NewReader(b)); ; {
			c, err := list.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				return
			}
			chunks = append(chunks, c)
		}
		if again := AppendChunkList(nil, chunks); !bytes.Equal(again, b) {
			t.Errorf("accepted %q, which is written %q", b, again)
		}
	})
}

func TestChunkListEndsAtItsFirstError(t *testing.T) {
	b := AppendChunkList(nil, manyChunks("x", ChunksPerLine+1).Chunks)
	src := io.MultiReader(bytes.NewReader(b[:len(b)-10]), strings.NewReader("x"))
	list, n := NewListReader(src), 0
	var err error
	for {
		if _, err = list.Next(); err != nil {
			break
		}
		n++
	}
	if n != ChunksPerLine || err == io.EOF {
		t.Errorf("got %d chunks and %v, want %d and an error", n, err, ChunksPerLine)
	}
	if _, again := list.Next(); again != err {
		t.Errorf("after its error %v the list went on with %v", err, again)
	}
}
