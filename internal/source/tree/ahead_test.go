package tree

import (
	"bytes"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"strongroom/internal/safe"
	"strongroom/internal/source"
	"strongroom/internal/source/pattern"
)

// afar is a tree on which every call takes a time. Its folders have folders
// down to a depth, and all have files.
type afar struct {
	delay        time.Duration
	handles      int
	width, depth int // of the folders
	files        int // in each

	mu         sync.Mutex // guards the fields below
	open, most int
	listed     int // folders
}

func (a *afar) Root() (Dir, error) { return &afarDir{afar: a}, nil }
func (a *afar) Interrupt()         {}
func (a *afar) Handles() int       { return a.handles }

// use opens n handles, or closes some.
func (a *afar) use(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.open += n
	a.most = max(a.most, a.open)
}

type afarDir struct {
	*afar
	depth int
}

func (d *afarDir) Close() {}

func (d *afarDir) Sub(name string, _ bool) (Dir, error) {
	if name == "." {
		return d, nil
	}
	return &afarDir{d.afar, d.depth + 1}, nil
}

func (d *afarDir) Names(add func(Name) error) error {
	d.use(1)
	defer d.use(-1)
	time.Sleep(2 * d.delay) // to open it, and to list it
	d.mu.Lock()
	d.afar.listed++
	d.mu.Unlock()
	for i := range d.files {
		if err := add(Name{Name: fmt.Sprintf("file%d", i), Size: 3, Mode: typeFile, Listed: true}); err != nil {
			return err
		}
	}
	if d.depth == d.afar.depth {
		return nil
	}
	for i := range d.width {
		if err := add(Name{Name: fmt.Sprintf("folder%d", i), Mode: typeDir, Listed: true}); err != nil {
			return err
		}
	}
	return nil
}

func (d *afarDir) Describe(n Name) (Stat, error)   { return Stat{Entry: n.Entry(), Links: 1}, nil }
func (d *afarDir) Readlink(string) (string, error) { panic("there are no links") }

func (d *afarDir) Open(_ string, listed safe.Entry) (File, error) {
	d.use(1)
	time.Sleep(2 * d.delay) // to open it, and to read it
	return &afarFile{bytes.NewReader([]byte("abc")), d.afar, listed}, nil
}

type afarFile struct {
	*bytes.Reader
	afar   *afar
	listed safe.Entry
}

func (f *afarFile) Stat() (safe.Entry, error) { return f.listed, nil }
func (f *afarFile) Close() error              { f.afar.use(-1); return nil }

// How long a pull takes is decided by how much is under way at once, which is
// as much as the other side lets be open, and no more. Time is not real here,
// and computing takes none.
func TestPullFromAfar(t *testing.T) {
	tests := []struct {
		name   string
		afar   *afar
		need   bool // the content of files
		within time.Duration
	}{
		// 11,111 folders, five levels. 256 at a time would take 3.5 s if all
		// were known from the start.
		{"folders", &afar{handles: 1000, width: 10, depth: 4, files: 1}, false, 5 * time.Second},
		// 16,105 folders and files. 743 files at a time take 1.8 s.
		{"folders and files", &afar{handles: 1000, width: 11, depth: 4, files: 1}, true, 8 * time.Second},
		{"a chain", &afar{handles: 1000, width: 1, depth: 20, files: 1}, true, 3 * time.Second},
		{"a folder of files", &afar{handles: 1000, width: 0, depth: 0, files: 10000}, true, 2 * time.Second},
		{"few handles", &afar{handles: 9, width: 5, depth: 3, files: 3}, true, 20 * time.Second},
		{"two handles", &afar{handles: 2, width: 3, depth: 2, files: 3}, true, 20 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				list, err := pattern.Compile([]string{"/**"}, nil)
				if err != nil {
					t.Fatal(err)
				}
				a := tt.afar
				a.delay = 40 * time.Millisecond
				var before string
				var entries, read int
				begin := time.Now()
				Pull(t.Context(), a, list, list.NewTally(), source.Limits{}, source.Request{Need: func(safe.Entry) bool { return tt.need }}, func(item source.Item, err error) bool {
					if err != nil {
						t.Fatal(err)
					}
					if before != "" && safe.ComparePaths(before, item.Path) >= 0 {
						t.Fatalf("%q comes after %q", item.Path, before)
					}
					before = item.Path
					entries++
					if item.Content != nil {
						if b, err := io.ReadAll(item.Content); err != nil || string(b) != "abc" {
							t.Fatalf("%q holds %q, %v", item.Path, b, err)
						}
						read++
					}
					return true
				})
				took := time.Since(begin)
				folders, level := 0, 1 // without the root
				for range a.depth {
					level *= a.width
					folders += level
				}
				files := (folders + 1) * a.files
				if entries != folders+files || tt.need && read != files {
					t.Errorf("%d entries, %d files read; want %d folders and %d files", entries, read, folders, files)
				}
				if a.most > a.handles || a.open != 0 {
					t.Errorf("%d handles were open at once of %d, and %d are", a.most, a.handles, a.open)
				}
				t.Logf("%d entries in %v, %d handles at once", entries, took, a.most)
				if took > tt.within {
					t.Errorf("took %v, want at most %v", took, tt.within)
				}
			})
		})
	}
}

// However many folders there are, and though there is nothing in them, so many
// are listed ahead as there is room for, while the consumer takes its time.
func TestEmptyFoldersAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list, err := pattern.Compile([]string{"/**"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		a := &afar{delay: time.Millisecond, handles: 1000, width: 40_000, depth: 1}
		taken, most := 0, 0
		Pull(t.Context(), a, list, list.NewTally(), source.Limits{}, source.Request{}, func(source.Item, error) bool {
			time.Sleep(time.Second)
			taken++
			a.mu.Lock()
			defer a.mu.Unlock()
			most = max(most, a.listed-taken)
			return taken < 200
		})
		if room := maxAhead/pathNames + queued + a.handles; most > room {
			t.Errorf("%d folders were listed ahead, want at most %d", most, room)
		}
	})
}
