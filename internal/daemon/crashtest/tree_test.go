package crashtest

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// newRandom returns a source of randomness whose seed is printed.
// STRONGROOM_SEED repeats a test, as far as the order of processes allows.
func newRandom(t *testing.T) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	if text := os.Getenv("STRONGROOM_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("STRONGROOM_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// A tree is a folder in production, whose content changes.
type tree struct {
	t      *testing.T
	root   string
	random *rand.Rand
	made   int
}

// newTree makes a tree of some hundred files, most of them small, 1 MB in all.
func newTree(t *testing.T, random *rand.Rand) *tree {
	t.Helper()
	tr := &tree{t: t, root: filepath.Join(t.TempDir(), "tree"), random: random}
	for range 120 {
		tr.make(random.IntN(10_000))
	}
	for range 3 {
		tr.make(200_000)
	}
	tr.symlink()
	return tr
}

// make makes a file of that size somewhere.
func (tr *tree) make(size int) {
	tr.t.Helper()
	tr.made++
	tr.write(filepath.Join(tr.folder(), fmt.Sprintf("file-%04d", tr.made)), size)
}

func (tr *tree) folder() string {
	tr.t.Helper()
	folder := filepath.Join(tr.root, fmt.Sprint("a", tr.random.IntN(5)), fmt.Sprint("b", tr.random.IntN(5)))
	if err := os.MkdirAll(folder, 0o755); err != nil {
		tr.t.Fatal(err)
	}
	return folder
}

// write fills a file with bytes that cannot be compressed.
func (tr *tree) write(path string, size int) {
	tr.t.Helper()
	b := make([]byte, size)
	chacha := rand.NewChaCha8([32]byte{byte(tr.random.Uint32()), byte(tr.random.Uint32()), byte(tr.random.Uint32()), byte(tr.random.Uint32())})
	chacha.Read(b) // never fails
	if err := os.WriteFile(path, b, 0o644); err != nil {
		tr.t.Fatal(err)
	}
}

func (tr *tree) symlink() {
	tr.t.Helper()
	link := filepath.Join(tr.root, "latest")
	if err := os.Remove(link); err != nil && !errors.Is(err, os.ErrNotExist) {
		tr.t.Fatal(err)
	}
	if err := os.Symlink(fmt.Sprint("target-", tr.made), link); err != nil {
		tr.t.Fatal(err)
	}
}

// change changes the tree a little: files come, go, and get other content.
func (tr *tree) change() {
	tr.t.Helper()
	files, err := filepath.Glob(filepath.Join(tr.root, "a*", "b*", "file-*"))
	if err != nil {
		tr.t.Fatal(err)
	}
	for i, place := range tr.random.Perm(len(files))[:8] {
		if i < 3 {
			err = os.Remove(files[place])
		} else {
			tr.write(files[place], tr.random.IntN(20_000))
		}
		if err != nil {
			tr.t.Fatal(err)
		}
	}
	for range 3 {
		tr.make(tr.random.IntN(10_000))
	}
	tr.symlink()
}

// grow gives the tree so much new content that its collection takes more than
// one pack, and has checkpoints on the way.
func (tr *tree) grow(files, size int) {
	tr.t.Helper()
	for i := range files {
		tr.write(filepath.Join(tr.root, fmt.Sprintf("large-%03d", i)), size)
	}
}

// shrink takes back what grow has added.
func (tr *tree) shrink() {
	tr.t.Helper()
	files, err := filepath.Glob(filepath.Join(tr.root, "large-*"))
	for _, f := range files {
		err = errors.Join(err, os.Remove(f))
	}
	if err != nil {
		tr.t.Fatal(err)
	}
}

// wholeSeconds cuts off the times of all entries.
func (tr *tree) wholeSeconds() {
	tr.t.Helper()
	err := filepath.WalkDir(tr.root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		at := unix.Timespec{Sec: info.ModTime().Unix()}
		return unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{at, at}, unix.AT_SYMLINK_NOFOLLOW)
	})
	if err != nil {
		tr.t.Fatal(err)
	}
}

func (tr *tree) print() print {
	tr.t.Helper()
	return printOf(tr.t, tr.root, tr.root)
}
