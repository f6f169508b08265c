package local

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"strongroom/internal/safe"
	"strongroom/internal/source"
)

// A folder with a million files is pulled in order, in memory that holds the
// names and little else.
func TestSoakMillionInOneFolder(t *testing.T) {
	if os.Getenv("STRONGROOM_SOAK") == "" {
		t.Skip("make soak runs this: it makes a million files")
	}
	const files = 1_000_000
	folder := t.TempDir()
	for i := range files {
		f, err := os.Create(filepath.Join(folder, fmt.Sprintf("file-%d", i)))
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	s, err := New(Options{Include: []string{folder}})
	if err != nil {
		t.Fatal(err)
	}
	var count int
	var last string
	var peak uint64
	request := source.Request{
		Need:   func(safe.Entry) bool { return false },
		Report: func(p source.Problem) { t.Error(&p) },
	}
	for item, err := range s.Pull(t.Context(), request) {
		if err != nil {
			t.Fatal(err)
		}
		if last != "" && safe.ComparePaths(last, item.Path) >= 0 {
			t.Fatalf("%q comes after %q", item.Path, last)
		}
		last = item.Path
		if item.Type == safe.File {
			if count++; count%50_000 == 0 {
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				peak = max(peak, m.HeapAlloc)
			}
		}
	}
	if count != files {
		t.Errorf("got %d files, want %d", count, files)
	}
	t.Logf("peak heap %d MB", peak>>20)
	if limit := uint64(300 << 20); peak > limit {
		t.Errorf("peak heap %d bytes, want at most %d", peak, limit)
	}
}
