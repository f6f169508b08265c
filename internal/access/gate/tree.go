package gate

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"strongroom/internal/safe"
	"strongroom/internal/store/layout"
)

// A tree is what clients see, but for the inbox. It never changes. Paths are
// absolute and clean, as the SFTP library makes them.
type tree struct {
	files   map[string][]byte
	folders map[string]*folder
}

// A folder knows what is in it: either files and folders, or objects.
type folder struct {
	names   []string // ascending
	objects bool
}

func newTree(files []File, scopes []Scope) (*tree, error) {
	t := &tree{files: map[string][]byte{}, folders: map[string]*folder{"/": {}}}
	for _, scope := range scopes {
		if err := t.addRun(scope); err != nil {
			return nil, err
		}
	}
	for _, f := range files {
		if err := checkFile(f.Name); err != nil {
			return nil, err
		}
		if err := t.addFile("/"+f.Name, f.Content); err != nil {
			return nil, err
		}
	}
	for _, f := range t.folders {
		slices.Sort(f.names)
	}
	return t, nil
}

func (t *tree) addRun(scope Scope) error {
	packs, roots := make([]string, 0, len(scope.Packs)), make([]string, 0, 2*len(scope.Roots))
	for _, d := range scope.Packs {
		packs = append(packs, d.String())
	}
	for _, d := range scope.Roots {
		roots = append(roots, d.String(), layout.Copy(d.String()))
	}
	run := "/" + layout.Run(scope.Run)
	if scope.Run.IsZero() || t.folders[run] != nil {
		return fmt.Errorf("run %s: it has no id, or is in scope twice", scope.Run)
	}
	for _, objects := range []struct {
		kind  string
		names []string
	}{{"packs", packs}, {"parity", packs}, {"root", roots}} {
		if len(objects.names) == 0 {
			continue
		}
		if err := t.addFolder(run + "/" + objects.kind); err != nil {
			return err
		}
		t.folders[run+"/"+objects.kind] = &folder{names: objects.names, objects: true}
	}
	return nil
}

func (t *tree) addFile(p string, content []byte) error {
	if t.isFile(p) || t.folders[p] != nil {
		return fmt.Errorf("file %s: there is something of that name already", p)
	}
	if err := t.addFolder(path.Dir(p)); err != nil {
		return err
	}
	in := t.folders[path.Dir(p)]
	if in.objects {
		return fmt.Errorf("file %s lies among objects of the store", p)
	}
	in.names = append(in.names, path.Base(p))
	t.files[p] = content
	return nil
}

func (t *tree) isFile(p string) bool {
	_, ok := t.files[p]
	return ok
}

// addFolder adds a folder with those above it, if there is none.
func (t *tree) addFolder(p string) error {
	switch {
	case t.folders[p] != nil:
		return nil
	case t.isFile(p):
		return fmt.Errorf("%s is a file and a folder", p)
	}
	above := path.Dir(p)
	if err := t.addFolder(above); err != nil {
		return err
	}
	if t.folders[above].objects {
		return fmt.Errorf("folder %s lies among objects of the store", p)
	}
	t.folders[above].names = append(t.folders[above].names, path.Base(p))
	t.folders[p] = &folder{}
	return nil
}

// object returns the name in the store of the object at a path.
func (t *tree) object(p string) (string, bool) {
	in := t.folders[path.Dir(p)]
	if in == nil || !in.objects {
		return "", false
	}
	if _, found := slices.BinarySearch(in.names, path.Base(p)); !found {
		return "", false
	}
	return strings.TrimPrefix(p, "/"), true
}

// foreign reports whether a path would lead, in a store, to a run or snapshot.
// Those who ask for one that is not in their tree were told its name by
// somebody else.
func foreign(p string) bool {
	parts := strings.Split(strings.TrimPrefix(p, "/"), "/")
	if parts[0] == "runs" && len(parts) > 1 {
		_, err := safe.ParseRunID(parts[1])
		return err == nil
	}
	return layout.Parse(p[1:]).Kind == layout.SnapshotObject
}
