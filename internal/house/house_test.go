package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const module = "strongroom"

// top is the module's folder, seen from this package's.
const top = "../.."

// A source is one Go file of the module, whatever its build constraints.
type source struct {
	name string // below the module's folder
	room string // path of its package
	test bool   // a _test.go file
	ast  *ast.File
}

// sources parses the module once; the tests share what it returns.
var sources = sync.OnceValues(func() ([]source, error) {
	var all []source
	err := filepath.WalkDir(top, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := entry.Name()
		if entry.IsDir() {
			// As the go command passes them over.
			if name != top && (base == "testdata" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_")) {
				return filepath.SkipDir
			}
			if _, err := os.Stat(filepath.Join(name, "go.mod")); err == nil && name != top {
				return filepath.SkipDir // another module, as the demo makes one
			}
			return nil
		}
		if !strings.HasSuffix(base, ".go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(top, name)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		all = append(all, source{rel, path.Dir(rel), strings.HasSuffix(base, "_test.go"), file})
		return nil
	})
	return all, err
})

func parsed(t *testing.T) []source {
	t.Helper()
	all, err := sources()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatal("no Go files found")
	}
	return all
}

// imports returns the paths that a file imports.
func (s source) imports() []string {
	var paths []string
	for _, spec := range s.ast.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			panic("the parser took an import that is no string: " + spec.Path.Value)
		}
		paths = append(paths, p)
	}
	return paths
}

// find returns the room of a package.
func find(path string) (room, bool) {
	i := slices.IndexFunc(rooms, func(r room) bool { return r.path == path })
	if i < 0 {
		return room{}, false
	}
	return rooms[i], true
}

// permit returns the key of the table that an import falls under: a package of
// this module, or a module. It returns "" for the standard library, and an
// import of a module that the table does not know as it is.
func permit(imported string) string {
	if own, ok := strings.CutPrefix(imported, module+"/"); ok {
		return own
	}
	if first, _, _ := strings.Cut(imported, "/"); !strings.Contains(first, ".") {
		return ""
	}
	for known := range modules() {
		if imported == known || strings.HasPrefix(imported, known+"/") {
			return known
		}
	}
	return imported
}

// modules returns the third-party modules that the table and tests know.
var modules = sync.OnceValue(func() map[string]bool {
	known := make(map[string]bool)
	for _, r := range rooms {
		for p := range r.imports {
			if !own(p) {
				known[p] = true
			}
		}
	}
	for p := range testModules {
		known[p] = true
	}
	return known
})

// own says whether a key of the table is a package of this module.
func own(permit string) bool {
	first, _, _ := strings.Cut(permit, "/")
	return !strings.Contains(first, ".")
}

// support says whether a package is support for tests.
func support(path string) bool { return strings.HasSuffix(path, "test") }

// workshop says whether a package is a tool for us, which nobody is given.
func workshop(path string) bool {
	return strings.HasPrefix(path, "hack/") || path == "bench" || strings.HasPrefix(path, "bench/")
}

func TestTableImportsOnlyWhatStandsAbove(t *testing.T) {
	above := make(map[string]bool)
	for _, r := range rooms {
		if above[r.path] {
			t.Errorf("%s stands twice in the table", r.path)
		}
		for _, p := range slices.Sorted(maps.Keys(r.imports)) {
			switch {
			case r.imports[p] == "":
				t.Errorf("%s may import %s, and the table does not say why", r.path, p)
			case own(p) && !above[p]:
				t.Errorf("%s may not import %s, which does not stand above it in the table", r.path, p)
			case own(p) && support(p) && !support(r.path) && !workshop(r.path):
				t.Errorf("%s may not import %s, which is support for tests", r.path, p)
			}
		}
		above[r.path] = true
	}
}

func TestImports(t *testing.T) {
	used := make(map[string]map[string]bool) // by room, then as in room.imports
	for _, s := range parsed(t) {
		r, ok := find(s.room)
		first := used[s.room] == nil
		if first {
			used[s.room] = make(map[string]bool)
		}
		if !ok {
			if first {
				t.Errorf("package %s is not in the table of rooms_test.go: add it below what it imports", s.room)
			}
			continue
		}
		for _, imported := range s.imports() {
			p := permit(imported)
			if p == "" {
				continue
			}
			if s.test {
				// A test may look at the thing from anywhere; the compiler
				// forbids cycles.
				if !own(p) && !modules()[p] {
					t.Errorf("%s imports %s, a module that rooms_test.go does not know", s.name, imported)
				}
				continue
			}
			if r.imports[p] == "" && !used[r.path][p] {
				t.Errorf("%s: the table of rooms_test.go does not let %s import %s: add it with the reason, or do without", s.name, r.path, p)
			}
			used[r.path][p] = true
		}
	}
	for _, r := range rooms {
		for _, p := range slices.Sorted(maps.Keys(r.imports)) {
			if used[r.path] != nil && !used[r.path][p] {
				t.Errorf("the table of rooms_test.go lets %s import %s, and it does not: take it out", r.path, p)
			}
		}
	}
}

func TestProgramDoesNotImportTesting(t *testing.T) {
	for _, s := range parsed(t) {
		if s.test || support(s.room) {
			continue
		}
		for _, p := range s.imports() {
			if p == "testing" || strings.HasPrefix(p, "testing/") {
				t.Errorf("%s imports %s; support for tests lives in a package whose name ends in test", s.name, p)
			}
		}
	}
}

func TestReserves(t *testing.T) {
	for _, s := range parsed(t) {
		if s.test || support(s.room) {
			continue
		}
		touched := s.imports()
		ast.Inspect(s.ast, func(n ast.Node) bool {
			if selector, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := selector.X.(*ast.Ident); ok {
					touched = append(touched, x.Name+"."+selector.Sel.Name)
				}
			}
			return true
		})
		for _, r := range reserves {
			if r.allows(s.room) {
				continue
			}
			for _, name := range r.names {
				if slices.Contains(touched, name) {
					t.Errorf("%s uses %s, which is not for %s: %s", s.name, name, s.room, r.why)
				}
			}
		}
	}
}

// allows says whether a room may touch what is reserved.
func (r reserve) allows(path string) bool {
	for allowed := range r.rooms {
		if path == allowed || strings.HasSuffix(allowed, "/") && strings.HasPrefix(path, allowed) {
			return true
		}
	}
	return false
}

func TestNoInit(t *testing.T) {
	for _, s := range parsed(t) {
		if s.test {
			continue
		}
		for _, d := range s.ast.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s has an init function: nothing happens because a package was imported", s.name)
			}
		}
	}
}

func TestPackageComments(t *testing.T) {
	commented := make(map[string]bool)
	for _, s := range parsed(t) {
		if s.test {
			continue
		}
		name := s.ast.Name.Name
		if name != "main" && name != path.Base(s.room) {
			t.Errorf("%s is of package %s, and its folder is called otherwise", s.name, name)
		}
		text := s.ast.Doc.Text()
		commented[s.room] = commented[s.room] || text != ""
		if want := "Package " + name + " "; text != "" && name != "main" && !strings.HasPrefix(text, want) {
			t.Errorf("%s: the comment of the package does not start with %q", s.name, want)
		}
	}
	for _, room := range slices.Sorted(maps.Keys(commented)) {
		if !commented[room] {
			t.Errorf("package %s has no comment that says what it is for", room)
		}
	}
}

// TestModule reads go.mod: the module has its name, and what the table knows is
// still needed.
func TestModule(t *testing.T) {
	content, err := os.ReadFile(filepath.Join(top, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(content), "\n")
	if want := "module " + module; lines[0] != want {
		t.Errorf("go.mod starts with %q, want %q", lines[0], want)
	}
	required := make(map[string]bool)
	for _, line := range lines {
		if fields := strings.Fields(strings.TrimPrefix(line, "require ")); len(fields) >= 2 && strings.HasPrefix(fields[1], "v") {
			required[fields[0]] = true
		}
	}
	for _, p := range slices.Sorted(maps.Keys(modules())) {
		if !required[p] {
			t.Errorf("rooms_test.go knows module %s, which go.mod does not require", p)
		}
	}
}
