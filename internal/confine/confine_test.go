package confine

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFoldersOfTheStoreLieApart(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"store/runs/r/packs", "store/stage", "memory", "storehouse"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("store", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	at := func(names ...string) []string {
		var paths []string
		for _, name := range names {
			paths = append(paths, filepath.Join(dir, name))
		}
		return paths
	}
	packs, stage := at("store/runs/r/packs"), at("store/stage")
	tests := []struct {
		name  string
		rules Rules
		want  string
	}{
		{"a collector", Rules{Create: packs, Stage: stage, Work: at("memory"), Read: at("storehouse")}, ""},
		{"work beneath create", Rules{Create: at("store"), Work: at("store/stage")}, ""},
		{"stage beneath create", Rules{Create: at("store"), Stage: stage}, ""},
		{"create beneath read", Rules{Create: packs, Read: at("store")}, "packs lies in"},
		{"create is read", Rules{Create: packs, Read: packs}, "packs lies in"},
		{"create beneath read by another name", Rules{Create: packs, Read: at("link")}, "packs lies in"},
		{"create beneath read by a longer name", Rules{Create: packs, Read: at("memory/../store/runs")}, "packs lies in"},
		{"create beneath the root", Rules{Create: packs, Read: []string{"/"}}, "packs lies in"},
		{"create beneath work", Rules{Create: packs, Work: at("store")}, "packs lies in"},
		{"create beneath stage", Rules{Create: packs, Stage: at("store")}, "packs lies in"},
		{"create is stage", Rules{Create: stage, Stage: stage}, "stage lies in"},
		{"stage beneath read", Rules{Stage: stage, Read: at("store")}, "stage lies in"},
		{"stage beneath work", Rules{Stage: stage, Work: at("store")}, "stage lies in"},
		{"the second of two", Rules{Create: append(at("memory"), packs...), Read: at("storehouse", "store")}, "packs lies in"},
		{"not there", Rules{Create: at("gone"), Read: at("memory")}, "gone"},
	}
	for _, tt := range tests {
		err := tt.rules.checkApart()
		if tt.want == "" && err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}
