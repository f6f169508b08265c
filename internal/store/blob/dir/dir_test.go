//go:build linux

package dir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"strongroom/internal/store/blob"
	"strongroom/internal/store/blob/blobtest"
)

// newStore returns an empty store and its folder.
func newStore(t *testing.T) (*Store, string) {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "store")
	s, err := Create(folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, folder
}

func TestStore(t *testing.T) {
	blobtest.TestStore(t, func(t *testing.T) blob.Store {
		s, _ := newStore(t)
		return s
	})
}

// twoProcesses adds with one Store and reads with another of the same folder.
type twoProcesses struct {
	blob.Writer
	blob.Reader
}

func TestStoreOpenedTwice(t *testing.T) {
	blobtest.TestStore(t, func(t *testing.T) blob.Store {
		s, folder := newStore(t)
		other, err := Open(folder)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { other.Close() })
		return twoProcesses{s, other}
	})
}

// watch records what s fsyncs: folders by their path in the store, files as
// "object". If fail names one of them its fsync fails instead.
type watch struct {
	mu     sync.Mutex
	folder string
	synced []string
	fail   string
}

var errDisk = errors.New("the disk is gone")

func watchSyncs(s *Store) *watch {
	w := &watch{folder: s.tree.root.Name()}
	s.fsync = func(f *os.File) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		name := "object"
		if info, err := f.Stat(); err != nil {
			return err
		} else if info.IsDir() {
			name, _ = filepath.Rel(w.folder, f.Name())
		}
		if name == w.fail {
			return errDisk
		}
		w.synced = append(w.synced, name)
		return f.Sync()
	}
	return w
}

// take returns what was synced since the last take.
func (w *watch) take() []string {
	defer func() { w.synced = nil }()
	return w.synced
}

func TestSyncsWhatIsNeeded(t *testing.T) {
	s, folder := newStore(t)
	w := watchSyncs(s)
	put := func(name string) {
		t.Helper()
		if err := blob.PutOnce(t.Context(), s, name, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	steps := []struct {
		what string
		do   func()
		want []string // folders that the next Sync syncs
	}{
		{"nothing", func() {}, nil},
		{"new folders, so those above them too", func() { put("runs/1/packs/a") }, []string{".", "runs", "runs/1", "runs/1/packs"}},
		{"known folders", func() { put("runs/1/packs/b"); put("runs/1/packs/c") }, []string{"runs/1/packs"}},
		{"a folder beside", func() { put("runs/1/root/a") }, []string{".", "runs", "runs/1", "runs/1/root"}},
		{"a folder that another process made", func() {
			if err := os.Mkdir(filepath.Join(folder, "ledger"), 0o700); err != nil {
				t.Fatal(err)
			}
			put("ledger/1")
		}, []string{".", "ledger"}},
		{"an object that is there already", func() { put("runs/1/packs/a") }, []string{"runs/1/packs"}},
		{"the top", func() { put("format") }, []string{"."}},
	}
	for _, step := range steps {
		step.do()
		for _, name := range w.take() {
			if name != "object" {
				t.Errorf("%s: folder %s was synced before Sync", step.what, name)
			}
		}
		if err := s.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(step.want, w.take()); diff != "" {
			t.Errorf("%s: folders synced (-want +got):\n%s", step.what, diff)
		}
	}
}

func TestBytesAreDurableBeforeTheName(t *testing.T) {
	s, folder := newStore(t)
	synced := false
	s.fsync = func(f *os.File) error {
		synced = true
		if info, err := f.Stat(); err != nil || info.Size() != 3 {
			t.Errorf("synced %d bytes of 3, %v", info.Size(), err)
		}
		if _, err := os.Lstat(filepath.Join(folder, "a")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the name is there before the bytes are synced: %v", err)
		}
		return f.Sync()
	}
	if err := blob.Put(t.Context(), s, "a", []byte("abc")); err != nil {
		t.Fatal(err)
	}
	if !synced {
		t.Error("the object was never synced")
	}
}

func TestObjectThatCouldNotBeSyncedIsNeverPublished(t *testing.T) {
	s, _ := newStore(t)
	w := watchSyncs(s)
	st := blobtest.Stage(t, s, "x")
	w.fail = "object"
	if err := st.Publish(t.Context(), "a"); !errors.Is(err, errDisk) {
		t.Errorf("got %v, want the error of fsync", err)
	}
	// The kernel reports such an error once and would say now that all is well.
	w.fail = ""
	if err := st.Publish(t.Context(), "a"); err == nil {
		t.Error("a second Publish succeeded")
	}
	if _, err := s.Stat(t.Context(), "a"); !errors.Is(err, blob.ErrNotExist) {
		t.Errorf("the object has a name: %v", err)
	}
}

func TestFolderThatCouldNotBeSyncedIsSyncedAgain(t *testing.T) {
	s, _ := newStore(t)
	w := watchSyncs(s)
	if err := blob.Put(t.Context(), s, "runs/1/a", nil); err != nil {
		t.Fatal(err)
	}
	w.take()
	w.fail = "runs"
	for range 2 {
		if err := s.Sync(t.Context()); !errors.Is(err, errDisk) {
			t.Errorf("got %v, want the error of fsync", err)
		}
	}
	w.fail = ""
	if err := s.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := w.take()
	for _, name := range []string{".", "runs", "runs/1"} {
		if !slices.Contains(got, name) {
			t.Errorf("folder %s was not synced, only %q", name, got)
		}
	}
}

// A Sync that finds nothing left to do must not return while another still
// does it: the names it promises are not durable yet.
func TestSyncWaitsForASyncUnderWay(t *testing.T) {
	var c changes
	c.add(".")
	entered, answer := make(chan struct{}), make(chan struct{}) // closed when the disk is asked, and answers
	answered := false
	var group sync.WaitGroup
	group.Go(func() {
		c.sync(t.Context(), func(string) error {
			close(entered)
			<-answer
			answered = true
			return nil
		})
	})
	<-entered
	group.Go(func() {
		err := c.sync(t.Context(), func(string) error { return errors.New("synced twice") })
		if err != nil || !answered {
			t.Errorf("the second sync returned %v; the first had synced: %v", err, answered)
		}
	})
	// Time for a second sync that does not wait to return. One that waits on a
	// mutex cannot be seen by package synctest.
	time.Sleep(20 * time.Millisecond)
	close(answer)
	group.Wait()
}

func TestStagedObjectHasNoName(t *testing.T) {
	s, folder := newStore(t)
	blobtest.Stage(t, s, "x")
	if names, err := os.ReadDir(filepath.Join(folder, "stage")); len(names) != 0 || err != nil {
		t.Errorf("in the stage: %v, %v", names, err)
	}
}

func TestModes(t *testing.T) {
	s, folder := newStore(t)
	blobtest.Put(t, s, "runs/1/a", "x")
	for name, want := range map[string]fs.FileMode{".": fs.ModeDir | 0o700, "stage": fs.ModeDir | 0o700, "runs/1": fs.ModeDir | 0o700, "runs/1/a": 0o400} {
		info, err := os.Lstat(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != want {
			t.Errorf("%s has mode %v, want %v", name, info.Mode(), want)
		}
	}
}

func TestStrays(t *testing.T) {
	s, folder := newStore(t)
	blobtest.Put(t, s, "runs/1/good", "good")
	outside := filepath.Join(filepath.Dir(folder), "outside")
	at := func(name string) string { return filepath.Join(folder, name) }
	for _, err := range []error{
		os.Mkdir(outside, 0o700),
		os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o600),
		os.Symlink(filepath.Join(outside, "secret"), at("runs/1/link-to-file")),
		os.Symlink("good", at("runs/1/link-inside")),
		os.Symlink(outside, at("runs/2")),
		os.Symlink("1", at("runs/3")),
		os.Symlink("nowhere", at("runs/dangling")),
		unix.Mkfifo(at("runs/1/pipe"), 0o600),
		os.WriteFile(at("runs/1/bad name"), nil, 0o600),
		os.Mkdir(at("bad:folder"), 0o700),
		os.WriteFile(at("bad:folder/x"), nil, 0o600),
		os.Mkdir(at("lost+found"), 0o700),
		os.Mkdir(at("runs/1/empty"), 0o700),
		os.MkdirAll(at("damaged/runs/1"), 0o700),
		os.WriteFile(at("damaged/runs/1/good"), nil, 0o600),
		os.WriteFile(at("zz"), []byte("last"), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}

	t.Run("list names them and goes on", func(t *testing.T) {
		var got []string
		for info, err := range s.List(t.Context(), "") {
			var bad *blob.NameError
			switch {
			case err == nil:
				got = append(got, info.Name)
			case errors.As(err, &bad):
				got = append(got, "? "+bad.Name)
			default:
				t.Fatal(err)
			}
		}
		want := []string{
			"? bad:folder", "? runs/1/bad name", "runs/1/good", "? runs/1/link-inside", "? runs/1/link-to-file",
			"? runs/1/pipe", "? runs/2", "? runs/3", "? runs/dangling", "zz",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
	t.Run("list does not enter a link", func(t *testing.T) {
		for info, err := range s.List(t.Context(), "runs/3/") {
			var bad *blob.NameError
			if !errors.As(err, &bad) {
				t.Errorf("got %+v, %v, want a NameError", info, err)
			}
		}
	})
	t.Run("they are no objects", func(t *testing.T) {
		for name, want := range map[string]string{
			"runs/1/link-to-file": "symbolic link", "runs/1/link-inside": "symbolic link", "runs/dangling": "symbolic link",
			"runs/2/secret": "symbolic link", "runs/3/good": "symbolic link",
			"runs/1/pipe": "pipe", "runs/1": "folder", "runs/1/empty": "folder",
		} {
			_, errStat := s.Stat(t.Context(), name)
			_, errOpen := s.Open(t.Context(), name)
			for _, err := range []error{errStat, errOpen} {
				var bad *blob.NameError
				if !errors.As(err, &bad) || !strings.Contains(err.Error(), want) {
					t.Errorf("%s: %v, want a NameError that speaks of a %s", name, err, want)
				}
			}
		}
	})
	t.Run("they are told from a lack of descriptors", func(t *testing.T) {
		var limit unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			t.Fatal(err)
		}
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 0, Max: limit.Max}); err != nil {
			t.Fatal(err)
		}
		_, errStat := s.Stat(t.Context(), "zz")
		_, errOpen := s.Open(t.Context(), "zz")
		listed := 0
		var errList error
		for _, err := range s.List(t.Context(), "runs/") {
			listed, errList = listed+1, err
		}
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			t.Fatal(err)
		}
		if listed != 1 {
			t.Errorf("listing went on after %v", errList)
		}
		for _, err := range []error{errStat, errOpen, errList} {
			var bad *blob.NameError
			if !errors.Is(err, unix.EMFILE) || errors.As(err, &bad) {
				t.Errorf("%v, want EMFILE that is not a NameError", err)
			}
		}
	})
	t.Run("nothing is written through a link", func(t *testing.T) {
		for _, name := range []string{"runs/2/new", "runs/2/new/new", "runs/3/new", "runs/dangling/new"} {
			if err := blob.Put(t.Context(), s, name, nil); err == nil {
				t.Errorf("publishing %s succeeded", name)
			}
		}
		if err := blob.Put(t.Context(), s, "runs/1/link-to-file", nil); !errors.Is(err, blob.ErrExist) {
			t.Errorf("publishing where a link is: %v, want ErrExist", err)
		}
		if _, err := s.AddOnly(t.Context(), "runs/2"); err == nil {
			t.Error("a link was opened to add to")
		}
		if names, err := os.ReadDir(outside); len(names) != 1 || err != nil {
			t.Errorf("outside: %v, %v", names, err)
		}
	})
}

func TestReplaceKeepsWhatWasThere(t *testing.T) {
	s, folder := newStore(t)
	blobtest.Put(t, s, "runs/1/packs/a", "damaged 1")
	w := watchSyncs(s)
	for _, content := range []string{"damaged 2", "sound"} {
		if err := s.Replace(t.Context(), "runs/1/packs/a", blobtest.Stage(t, s, content)); err != nil {
			t.Fatal(err)
		}
		synced := w.take()
		if last := synced[len(synced)-2:]; !slices.Equal(last, []string{"damaged/runs/1/packs", "runs/1/packs"}) {
			t.Errorf("synced at last: %q", last)
		}
	}
	if err := os.Symlink("a", filepath.Join(folder, "runs/1/packs/b")); err != nil {
		t.Fatal(err)
	}
	if err := s.Replace(t.Context(), "runs/1/packs/b", blobtest.Stage(t, s, "sound b")); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"runs/1/packs/a": "sound", "runs/1/packs/b": "sound b"}, blobtest.Contents(t, s)); diff != "" {
		t.Errorf("contents (-want +got):\n%s", diff)
	}
	apart := filepath.Join(folder, "damaged/runs/1/packs")
	for name, want := range map[string]string{"a": "damaged 1", "a~1": "damaged 2"} {
		if got, err := os.ReadFile(filepath.Join(apart, name)); string(got) != want {
			t.Errorf("damaged %s: %q, %v, want %q", name, got, err, want)
		}
	}
	if got, err := os.Readlink(filepath.Join(apart, "b")); got != "a" {
		t.Errorf("damaged b: link to %q, %v", got, err)
	}
}

// Whatever fsync fails: the name leads to the old or the new object, both are
// somewhere, and a repetition succeeds.
func TestReplaceInterrupted(t *testing.T) {
	for _, fail := range []string{"object", "damaged", "damaged/f", "f", "."} {
		t.Run(fail, func(t *testing.T) {
			s, folder := newStore(t)
			blobtest.Put(t, s, "f/a", "old")
			w := watchSyncs(s)
			w.fail = fail
			err := s.Replace(t.Context(), "f/a", blobtest.Stage(t, s, "new"))
			if !errors.Is(err, errDisk) {
				t.Fatalf("got %v, want the error of fsync", err)
			}
			if got, err := blob.ReadAll(t.Context(), s, "f/a", 9); string(got) != "old" && string(got) != "new" {
				t.Errorf("after the failure: %q, %v", got, err)
			}
			w.fail = ""
			if err := s.Replace(t.Context(), "f/a", blobtest.Stage(t, s, "new")); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(map[string]string{"f/a": "new"}, blobtest.Contents(t, s)); diff != "" {
				t.Errorf("after the repetition (-want +got):\n%s", diff)
			}
			kept := false
			entries, err := os.ReadDir(filepath.Join(folder, "damaged/f"))
			for _, e := range entries {
				data, _ := os.ReadFile(filepath.Join(folder, "damaged/f", e.Name()))
				kept = kept || string(data) == "old"
			}
			if !kept {
				t.Errorf("the old object is lost; damaged/f has %v, %v", entries, err)
			}
		})
	}
}

func TestCreate(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "store")
	for range 2 { // the second time there is a stage
		s, err := Create(folder)
		if err != nil {
			t.Fatal(err)
		}
		s.Close()
	}
	if err := os.WriteFile(filepath.Join(folder, "photo.jpg"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Create(folder); err == nil || !strings.Contains(err.Error(), "photo.jpg") {
		t.Errorf("creating a store in a folder with a file: %v", err)
	}
	if _, err := Create(filepath.Join(folder, "photo.jpg")); err == nil {
		t.Error("creating a store in a file succeeded")
	}
	if _, err := Open(filepath.Join(folder, "absent")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("opening a store that is not there: %v", err)
	}
}

func TestCreateExplainsAFileSystemThatWillNotDo(t *testing.T) {
	proc, err := os.Open("/proc/self")
	if err != nil {
		t.Fatal(err)
	}
	defer proc.Close()
	if err := probe(proc); err == nil || !strings.Contains(err.Error(), "O_TMPFILE") {
		t.Errorf("got %v, want an error that names O_TMPFILE", err)
	}
}

func TestAddOnly(t *testing.T) {
	s, _ := newStore(t)
	w := watchSyncs(s)
	a, err := s.AddOnly(t.Context(), "runs/1/packs", "runs/1/root", "runs/1/packs")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := w.take(), []string{".", "runs", "runs/1", "runs/1/packs", "runs/1/root"}; !slices.Equal(got, want) {
		t.Errorf("synced %q on opening, want %q", got, want)
	}
	reader, err := Open(w.folder)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	s.Close()

	for _, name := range []string{"runs/1/packs/x", "runs/1/packs/y"} {
		if err := blob.Put(t.Context(), a, name, []byte(name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := blob.Put(t.Context(), a, "runs/1/packs/x", nil); !errors.Is(err, blob.ErrExist) {
		t.Errorf("publishing to a name that is taken: %v", err)
	}
	for _, name := range []string{"x", "runs/1/x", "runs/1/packs/f/x", "runs/2/packs/x"} {
		if err := blob.Put(t.Context(), a, name, nil); err == nil {
			t.Errorf("publishing %s succeeded", name)
		}
	}
	w.take()
	for _, want := range [][]string{{"runs/1/packs"}, nil} {
		if err := a.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := w.take(); !slices.Equal(got, want) {
			t.Errorf("synced %q, want %q", got, want)
		}
	}
	if diff := cmp.Diff(map[string]string{"runs/1/packs/x": "runs/1/packs/x", "runs/1/packs/y": "runs/1/packs/y"}, blobtest.Contents(t, reader)); diff != "" {
		t.Errorf("contents (-want +got):\n%s", diff)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	if err := blob.Put(t.Context(), a, "runs/1/packs/z", nil); err == nil {
		t.Error("publishing after Close succeeded")
	}
}
