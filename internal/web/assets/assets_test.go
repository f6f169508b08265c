package assets

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestBundlesMatchSources builds all bundles anew and compares them with those
// that are in the repository.
func TestBundlesMatchSources(t *testing.T) {
	if _, err := exec.LookPath("npm"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("no npm, which hack/deps installs: %v", err)
		}
		t.Skip("there is no npm, so nothing shows that the bundles are made of the sources: hack/deps installs it")
	}
	made, kit := t.TempDir(), t.TempDir()
	if out, err := exec.Command("../src/build", made, kit).CombinedOutput(); err != nil {
		t.Fatalf("building the bundles: %v\n%s", err, out)
	}
	compare(t, made, ".")
	compare(t, kit, "../browsertest")
}

// compare sees that both folders have the same scripts.
func compare(t *testing.T, made, kept string) {
	t.Helper()
	names := func(dir string) []string {
		paths, err := filepath.Glob(filepath.Join(dir, "*.js"))
		if err != nil {
			t.Fatal(err)
		}
		for i, path := range paths {
			paths[i] = filepath.Base(path)
		}
		return paths
	}
	if want, got := names(made), names(kept); !slices.Equal(want, got) {
		t.Errorf("the sources give %q, and here are %q", want, got)
	}
	for _, name := range names(made) {
		want, err := os.ReadFile(filepath.Join(made, name))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join(kept, name)); err != nil || !bytes.Equal(want, got) {
			t.Errorf("%s is not what the sources give: make web (%v)", name, err)
		}
	}
}

// TestDigestIsThatOfStockTools does what people are told to do.
func TestDigestIsThatOfStockTools(t *testing.T) {
	out, err := exec.Command("sh", "-c", "LC_ALL=C; sha256sum *.js | sha256sum").CombinedOutput()
	if err != nil {
		t.Fatalf("sha256sum: %v\n%s", err, out)
	}
	if want := Digest().String(); !strings.HasPrefix(string(out), want+" ") {
		t.Errorf("sha256sum says %s, Digest %s", out, want)
	}
}

// TestScriptsRunUnderThePolicy looks for what the pages' policy forbids, and
// for anything that is fetched from elsewhere.
func TestScriptsRunUnderThePolicy(t *testing.T) {
	for _, s := range Scripts() {
		for _, forbidden := range []string{"eval(", "new Function(", "innerHTML", "document.write", "sourceMappingURL", "importScripts"} {
			if bytes.Contains(s.Content, []byte(forbidden)) {
				t.Errorf("%s has %s", s.Name, forbidden)
			}
		}
	}
}
