package blob_test

import (
	"io/fs"
	"path"
	"strings"
	"testing"

	"strongroom/internal/store/blob"
)

func TestCheckName(t *testing.T) {
	long := strings.Repeat("a", blob.MaxName)
	for _, name := range []string{"a", "format", "runs/0/envelope.2.age", "..a/...", "a-/_", "a/stage", "a/damaged/b", "stages", long} {
		if err := blob.CheckName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"", "/", ".", "..", "a/..", "a/./b", "a//b", "/a", "a/", "a b", "a~1", "a:b", "a\\b", "a\x00", "é", "stage", "stage/a", "damaged/a", long + "a"} {
		if err := blob.CheckName(name); err == nil {
			t.Errorf("%q was taken for a name", name)
		}
	}
}

func FuzzCheckName(f *testing.F) {
	for _, seed := range []string{"", "a", "a/b", "../a", "a/../b", "a//b", "a\x00b", "a\\..\\b", "stage/a"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if blob.CheckName(name) != nil {
			return
		}
		if !fs.ValidPath(name) || path.Clean("/"+name) != "/"+name || len(name) > blob.MaxName ||
			strings.ContainsAny(name, "\\:~ \x00") || strings.HasPrefix(name+"/", "stage/") || strings.HasPrefix(name+"/", "damaged/") {
			t.Errorf("%q was taken for a name", name)
		}
	})
}
