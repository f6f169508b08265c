package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"strongroom/internal/safe/config"
)

// documents returns the texts of all documents by their names.
func documents(t *testing.T) map[string]string {
	t.Helper()
	texts := make(map[string]string)
	add := func(name string) {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		texts[name] = string(b)
	}
	add("../README.md")
	for _, pattern := range []string{"*.md", "*/*.md", "../changelog/*.md", "../changelog/*/*.md"} {
		names, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			add(name)
		}
	}
	return texts
}

var (
	link      = regexp.MustCompile(`\]\(([^)#: ]*)(?:#([^) ]+))?\)`)
	heading   = regexp.MustCompile(`(?m)^#+ (.+)$`)
	notAnchor = regexp.MustCompile(`[^a-z0-9 -]`)
)

// TestLinks follows the links within the repository, to headings as well.
func TestLinks(t *testing.T) {
	for name, text := range documents(t) {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			to := name
			if m[1] != "" {
				to = filepath.Join(filepath.Dir(name), m[1])
			}
			if _, err := os.Stat(to); err != nil {
				t.Errorf("%s leads to %s: %v", name, m[0], err)
				continue
			}
			if m[2] == "" {
				continue
			}
			if b, err := os.ReadFile(to); err != nil || !hasHeading(string(b), m[2]) {
				t.Errorf("%s leads to %s, and there is no such heading", name, m[0])
			}
		}
	}
}

func hasHeading(text, anchor string) bool {
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		if strings.ReplaceAll(notAnchor.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-") == anchor {
			return true
		}
	}
	return false
}

var namedTest = regexp.MustCompile("`([a-z]+)\\.(Test[A-Za-z0-9]+)`")

// TestNamedTestsExist looks for the tests that the threat model calls evidence.
func TestNamedTestsExist(t *testing.T) {
	all := make(map[string]bool)
	function := regexp.MustCompile(`(?m)^func (Test[A-Za-z0-9]+)\(`)
	err := filepath.WalkDir("..", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(name, "_test.go") {
			return err
		}
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		folder, err := filepath.Abs(filepath.Dir(name))
		for _, m := range function.FindAllSubmatch(b, -1) {
			all[filepath.Base(folder)+"."+string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	named := namedTest.FindAllStringSubmatch(documents(t)["threat-model.md"], -1)
	if len(named) == 0 {
		t.Fatal("the threat model names no tests")
	}
	for _, m := range named {
		if !all[m[1]+"."+m[2]] {
			t.Errorf("the threat model names %s.%s, which is not there", m[1], m[2])
		}
	}
}

// TestReadmeNamesTargets: what the Makefile lists, the README says too.
func TestReadmeNamesTargets(t *testing.T) {
	makefile, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	targets := regexp.MustCompile(`(?m)^([a-z-]+):.* ## `).FindAllStringSubmatch(string(makefile), -1)
	if len(targets) < 10 {
		t.Fatalf("found %d targets only", len(targets))
	}
	readme := documents(t)["../README.md"]
	for _, m := range targets {
		named := regexp.MustCompile("`make " + m[1] + "[ `]")
		if m[1] != "help" && !named.MatchString(readme) {
			t.Errorf("the README does not tell of make %s", m[1])
		}
	}
}

// TestConfigurationsAreSound reads the configurations that documents show.
func TestConfigurationsAreSound(t *testing.T) {
	block := regexp.MustCompile("(?s)```yaml\n(.*?)```")
	found := 0
	for name, text := range documents(t) {
		for _, m := range block.FindAllStringSubmatch(text, -1) {
			found++
			if _, err := config.Parse(name, []byte(m[1])); err != nil {
				t.Error(err)
			}
		}
	}
	if found == 0 {
		t.Error("no document shows a configuration")
	}
}
