package tree

import (
	"strings"
	"testing"

	"strongroom/internal/source"
)

// fullOf is a folder with names that are far too long.
type fullOf struct {
	Dir
	name string
}

func (d fullOf) Names(add func(Name) error) error {
	for range 10 * maxBadNames {
		if err := add(Name{Name: d.name}); err != nil {
			return err
		}
	}
	return nil
}

// Names that cannot be taken are told, but not kept in memory whole.
func TestBadNamesAreBounded(t *testing.T) {
	f := &folder{dir: newHandle(fullOf{name: strings.Repeat("x", 200<<10)}), wanted: make(chan struct{})}
	f.read(t.Context(), "folder", folderEntries)
	if f.err != nil || len(f.names) > 0 || len(f.bad) != maxBadNames {
		t.Fatalf("%d names, %d bad ones, %v; want %d bad ones", len(f.names), len(f.bad), f.err, maxBadNames)
	}
	for _, p := range f.bad {
		if p.Kind != source.Invalid || !strings.HasPrefix(p.Path, "folder/xxx") || len(p.Path) > 1000 || len(p.Err.Error()) > 1000 {
			t.Fatalf("a problem %s of %d bytes with a path of %d", p.Kind, len(p.Err.Error()), len(p.Path))
		}
	}
}
