package restore

import (
	"os"
	"testing"

	"strongroom/internal/safe"
)

// TestClaimFoldsCase: where two names are one file, the second must not
// silently take the place of the first.
func TestClaimFoldsCase(t *testing.T) {
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for _, folds := range []bool{false, true} {
		f := (&restorer{folds: folds}).newFolder(nil, safe.Entry{}, root)
		for _, tt := range []struct {
			name  string
			taken bool // where case is folded
		}{
			{"Readme", false}, {"README", true}, {"readme2", false}, {"straße", false}, {"STRAẞE", true}, {"other", false},
		} {
			if err := f.claim(tt.name); (err != nil) != (folds && tt.taken) {
				t.Errorf("folding %v, %q: %v", folds, tt.name, err)
			}
		}
	}
}
