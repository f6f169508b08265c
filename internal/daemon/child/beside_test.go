package child

import (
	"os"
	"path/filepath"
	"testing"
)

func TestBeside(t *testing.T) {
	base := t.TempDir()
	at := func(name string) string { return filepath.Join(base, name) }
	for _, dir := range []string{"data/deep/store", "database", "elsewhere"} {
		if err := os.MkdirAll(at(dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(at("data/deep"), at("link")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		include, place string
		fits           bool
	}{
		{"data", "data/deep/store", false},
		{"data/deep/store", "data/deep/store", false},
		{"data/**/*.txt", "data/deep/store", false},
		{"data", "data/not/yet/made", false},
		{"data", "link/store", false},
		{"data", "link/not-yet-made", false},
		{"link/store", "data/deep", true},
		{"data", "database", true},
		{"data", "elsewhere", true},
		{"not-there", "not-there/store", true}, // there is nothing to read
	} {
		_, _, err := Beside([]string{at(c.include)}, Place{at("elsewhere/other"), "another"}, Place{at(c.place), "the store"})
		if (err == nil) != c.fits {
			t.Errorf("a source of %s and the place %s: %v", c.include, c.place, err)
		}
	}
}
