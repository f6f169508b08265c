package memory

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/safe"
	"strongroom/internal/store/manifest"
	"strongroom/internal/store/seal"
)

var began = time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)

func newKeys(t testing.TB) Keys {
	t.Helper()
	identity, err := seal.NewMemoryIdentity()
	if err != nil {
		t.Fatal(err)
	}
	return Keys{Seal: identity, Tag: seal.TagKey{1, 2, 3}}
}

// digest returns a digest that is as good as random, and the same every time.
func digest(kind string, n int) safe.Digest {
	return safe.DigestOf(fmt.Appendf(nil, "%s %d", kind, n))
}

// testPack returns the nth pack of a run, with room for 1,000 frames of 100
// bytes.
func testPack(run safe.RunID, n int) Pack {
	return Pack{Run: run, Digest: digest(run.String(), n), Frames: 100_000}
}

// testChunk returns a chunk that lies in the given frame of p.
func testChunk(content int, p Pack, frame int) manifest.Chunk {
	return manifest.Chunk{
		Hash:   digest("content", content),
		Run:    p.Run,
		Pack:   p.Digest,
		Offset: int64(frame) * 100,
		Stored: 100,
		Length: uint32(1000 + content),
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func create(t testing.TB, dir string, run safe.RunID, keys Keys, options Options) *Writer {
	t.Helper()
	w, err := Create(dir, run, keys, options)
	must(t, err)
	t.Cleanup(func() { w.Close() })
	return w
}

func openMemory(t testing.TB, dir string, run safe.RunID, keys Keys) *Memory {
	t.Helper()
	m, err := Open(t.Context(), dir, run, keys)
	must(t, err)
	t.Cleanup(func() { m.Close() })
	return m
}

func readLines(t testing.TB, m *Memory) string {
	t.Helper()
	r := m.Lines()
	b, err := io.ReadAll(r)
	must(t, errors.Join(err, r.Close()))
	return string(b)
}

// checkChunk makes sure that a chunk is found where it is.
func checkChunk(t testing.TB, m *Memory, want manifest.Chunk) {
	t.Helper()
	got, ok, err := m.Lookup(want.Hash)
	if err != nil || !ok {
		t.Fatalf("Lookup(%s) = %v, %v", want.Hash, ok, err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("Lookup(%s) (-want +got):\n%s", want.Hash, diff)
	}
}

func checkAbsent(t testing.TB, m *Memory, hash safe.Digest) {
	t.Helper()
	if got, ok, err := m.Lookup(hash); ok || err != nil {
		t.Fatalf("Lookup of an unknown chunk = %v, %v, %v", got, ok, err)
	}
}

// names returns the names in the folder of a run.
func names(t testing.TB, dir string, run safe.RunID) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, run.String()))
	must(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestRoundTrip(t *testing.T) {
	dir, keys := t.TempDir(), newKeys(t)
	old, run := safe.NewRunID(began), safe.NewRunID(began.Add(time.Hour))
	oldPack, first, second, unused := testPack(old, 0), testPack(run, 1), testPack(run, 2), testPack(run, 3)
	reused := testChunk(1, oldPack, 7)
	fresh := testChunk(2, first, 0)
	shared := testChunk(3, first, 1)
	own := testChunk(4, second, 5)

	w := create(t, dir, run, keys, Options{})
	for _, p := range []Pack{oldPack, first, second, unused, first} {
		must(t, w.AddPack(p))
	}
	must(t, w.Add(t.Context(), []byte("header\n"), nil))
	must(t, w.Add(t.Context(), []byte("a\n"), []manifest.Chunk{reused, fresh, shared}))
	must(t, w.Checkpoint(t.Context()))
	must(t, w.Checkpoint(t.Context())) // nothing new: no file
	must(t, w.Add(t.Context(), []byte("b\n"), []manifest.Chunk{shared, shared}))
	must(t, w.AddChunks(t.Context(), []manifest.Chunk{own}))
	must(t, w.Finish(t.Context()))
	must(t, w.Close())

	if diff := cmp.Diff([]string{"index.age", "lines-00000001.age", "lines-00000002.age", "tags.age"}, names(t, dir, run)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	m := openMemory(t, dir, run, keys)
	for range 2 { // Lines begins anew each time
		if got, want := readLines(t, m), "header\na\nb\n"; got != want {
			t.Errorf("Lines: %q, want %q", got, want)
		}
	}
	for _, c := range []manifest.Chunk{reused, fresh, shared, own} {
		checkChunk(t, m, c)
	}
	checkAbsent(t, m, digest("content", 99))

	oldPack.Used, first.Used, second.Used = 100, 200, 100
	if diff := cmp.Diff([]Pack{oldPack, first, second}, slices.Collect(m.Packs())); diff != "" {
		t.Errorf("Packs (-want +got):\n%s", diff)
	}
	if got, ok := m.Pack(first.Digest); !ok || got != first {
		t.Errorf("Pack = %v, %v, want %v", got, ok, first)
	}
	for _, d := range []safe.Digest{unused.Digest, digest("pack", 99)} {
		if got, ok := m.Pack(d); ok {
			t.Errorf("Pack of one that is not referred to = %v", got)
		}
	}
}

func TestEmptyRun(t *testing.T) {
	dir, keys, run := t.TempDir(), newKeys(t), safe.NewRunID(began)
	must(t, create(t, dir, run, keys, Options{}).Finish(t.Context()))
	m := openMemory(t, dir, run, keys)
	if got := readLines(t, m); got != "" {
		t.Errorf("Lines: %q, want none", got)
	}
	checkAbsent(t, m, digest("content", 1))
}

// A chunk that was stored again is found in the newer run, and both places
// count as used.
func TestStoredAgain(t *testing.T) {
	old, run := safe.NewRunID(began), safe.NewRunID(began.Add(time.Hour))
	oldPack, newPack := testPack(old, 0), testPack(run, 1)
	for _, packs := range [][]Pack{{oldPack, newPack}, {newPack, oldPack}} {
		dir, keys := t.TempDir(), newKeys(t)
		w := create(t, dir, run, keys, Options{})
		for _, p := range packs {
			must(t, w.AddPack(p))
			must(t, w.AddChunks(t.Context(), []manifest.Chunk{testChunk(1, p, 3)}))
		}
		must(t, w.Finish(t.Context()))
		m := openMemory(t, dir, run, keys)
		checkChunk(t, m, testChunk(1, newPack, 3))
		for _, p := range packs {
			if got, _ := m.Pack(p.Digest); got.Used != 100 {
				t.Errorf("of pack %v %d bytes are used, want 100", got, got.Used)
			}
		}
	}
}

func TestWriterRefuses(t *testing.T) {
	run := safe.NewRunID(began)
	known := testPack(run, 0)
	other := known
	other.Frames++
	unknown := testChunk(1, testPack(run, 1), 0)
	beyond := testChunk(1, known, 1000)
	foreign := testChunk(1, known, 0)
	foreign.Run = safe.NewRunID(began)
	negative := testChunk(1, known, -1)
	tests := []struct {
		name string
		do   func(*Writer) error
	}{
		{"chunk in an unknown pack", func(w *Writer) error { return w.AddChunks(t.Context(), []manifest.Chunk{unknown}) }},
		{"chunk beyond its pack", func(w *Writer) error { return w.Add(t.Context(), []byte("a\n"), []manifest.Chunk{beyond}) }},
		{"chunk before its pack", func(w *Writer) error { return w.AddChunks(t.Context(), []manifest.Chunk{negative}) }},
		{"chunk of another run", func(w *Writer) error { return w.AddChunks(t.Context(), []manifest.Chunk{foreign}) }},
		{"pack with two sizes", func(w *Writer) error { return w.AddPack(other) }},
		{"pack that is too large", func(w *Writer) error { return w.AddPack(Pack{Run: run, Frames: 1 << 32}) }},
		{"line without an end", func(w *Writer) error { return w.Add(t.Context(), []byte("a"), nil) }},
		{"closed", func(w *Writer) error { w.Close(); return w.Add(t.Context(), []byte("a\n"), nil) }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir, keys := t.TempDir(), newKeys(t)
			w := create(t, dir, run, keys, Options{})
			must(t, w.AddPack(known))
			must(t, w.Add(t.Context(), []byte("a\n"), []manifest.Chunk{testChunk(1, known, 0)}))
			must(t, w.Checkpoint(t.Context()))
			if err := test.do(w); err == nil {
				t.Fatal("no error")
			}
			if err := w.Checkpoint(t.Context()); err == nil {
				t.Fatal("Checkpoint after an error has none")
			}
			w.Close()
			if got := readLines(t, openMemory(t, dir, run, keys)); got != "a\n" {
				t.Errorf("Lines: %q, want what was checkpointed", got)
			}
		})
	}
}

func TestCreateTwice(t *testing.T) {
	dir, keys, run := t.TempDir(), newKeys(t), safe.NewRunID(began)
	create(t, dir, run, keys, Options{})
	if _, err := Create(dir, run, keys, Options{}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("second Create: %v, want fs.ErrExist", err)
	}
}

// With a buffer of 4,000 records, 330,000 of 300,000 chunks make 83 sorted
// files, more than are merged at once.
func TestSpillAndMerge(t *testing.T) {
	const lines, perLine = 30_000, 10
	dir, keys, run := t.TempDir(), newKeys(t), safe.NewRunID(began)
	packs := make([]Pack, lines*perLine/1000)
	for i := range packs {
		packs[i] = testPack(run, i)
	}
	chunkAt := func(i int) manifest.Chunk { return testChunk(i, packs[i/1000], i%1000) }

	w := create(t, dir, run, keys, Options{Buffer: 4000 * recordSize})
	var want strings.Builder
	for i := range lines {
		if i%100 == 0 {
			must(t, w.AddPack(packs[i/100]))
		}
		var chunks []manifest.Chunk
		for j := range perLine {
			chunks = append(chunks, chunkAt(i*perLine+j))
		}
		chunks = append(chunks, chunkAt(i)) // again one that came before
		line := fmt.Sprintf("line %d\n", i)
		want.WriteString(line)
		must(t, w.Add(t.Context(), []byte(line), chunks))
		if i == lines/2 {
			must(t, w.Checkpoint(t.Context()))
		}
	}
	if n := len(w.sorter.files); n <= fanIn {
		t.Fatalf("%d sorted files, too few for this test", n)
	}
	must(t, w.Finish(t.Context()))

	m := openMemory(t, dir, run, keys)
	if got := names(t, dir, run); len(got) != 4 {
		t.Errorf("files: %q, want two of lines, the tags and the index", got)
	}
	if got := readLines(t, m); got != want.String() {
		t.Errorf("Lines: %d bytes that differ from the %d written", len(got), want.Len())
	}
	if got := m.index.chunks; got != lines*perLine {
		t.Errorf("%d chunks, want %d", got, lines*perLine)
	}
	for p := range m.Packs() {
		if p.Used != p.Frames {
			t.Fatalf("of pack %v %d bytes are used, want all", p, p.Used)
		}
	}
	// From several goroutines, for they share the file and its cache.
	var group sync.WaitGroup
	for g := range 4 {
		group.Go(func() {
			for i := g; i < lines*perLine; i += 397 {
				want := chunkAt(i)
				if got, ok, err := m.Lookup(want.Hash); err != nil || !ok || got != want {
					t.Errorf("Lookup(%s) = %v, %v, %v, want %v", want.Hash, got, ok, err, want)
					return
				}
				if got, ok, err := m.Lookup(digest("absent", i)); err != nil || ok {
					t.Errorf("Lookup of an unknown chunk = %v, %v, %v", got, ok, err)
					return
				}
			}
		})
	}
	group.Wait()
}

// Every record is found wherever it lies in its block, for numbers of records
// around the ends of blocks, whose first has room for one less.
func TestBlockBoundaries(t *testing.T) {
	for _, n := range []int{1, 2, blockRecords - 2, blockRecords - 1, blockRecords, 2*blockRecords - 1, 2 * blockRecords} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			dir, keys, run := t.TempDir(), newKeys(t), safe.NewRunID(began)
			w := create(t, dir, run, keys, Options{})
			for i := range n {
				must(t, w.AddPack(testPack(run, i/1000)))
				must(t, w.AddChunks(t.Context(), []manifest.Chunk{testChunk(i, testPack(run, i/1000), i%1000)}))
			}
			must(t, w.Finish(t.Context()))
			m := openMemory(t, dir, run, keys)
			// The filter must not be what keeps an absent tag from a search.
			for i := range m.index.filter {
				m.index.filter[i] = 0xff
			}
			for i := 0; i < n; i += max(1, n/500) {
				checkChunk(t, m, testChunk(i, testPack(run, i/1000), i%1000))
				checkAbsent(t, m, digest("absent", i))
			}
			for _, first := range m.index.fence {
				r, ok, err := m.tags.search(first)
				if err != nil || !ok || r.tag() != first {
					t.Errorf("the first tag of a block: %v, %v", ok, err)
				}
				before := first
				binary.BigEndian.PutUint64(before[8:], binary.BigEndian.Uint64(first[8:])-1)
				if _, ok, err := m.tags.search(before); err != nil || ok {
					t.Errorf("a tag between two blocks: %v, %v", ok, err)
				}
			}
		})
	}
}

// broken leaves a run that broke off after three checkpoints, with a line, a
// pack and a chunk of its own in each, and something begun after them.
func broken(t testing.TB, dir string, run safe.RunID, keys Keys) {
	t.Helper()
	w := create(t, dir, run, keys, Options{Buffer: recordSize})
	for i := range 3 {
		p := testPack(run, i)
		must(t, w.AddPack(p))
		must(t, w.Add(t.Context(), fmt.Appendf(nil, "line %d\n", i), []manifest.Chunk{testChunk(i, p, i)}))
		must(t, w.Checkpoint(t.Context()))
	}
	p := testPack(run, 3)
	must(t, w.AddPack(p))
	must(t, w.Add(t.Context(), []byte("lost\n"), []manifest.Chunk{testChunk(3, p, 3)}))
	must(t, w.Close())
}

// checkBroken makes sure that the first n checkpoints of broken are remembered,
// and no more.
func checkBroken(t testing.TB, m *Memory, run safe.RunID, n int) {
	t.Helper()
	var want string
	for i := range n {
		want += fmt.Sprintf("line %d\n", i)
		p := testPack(run, i)
		checkChunk(t, m, testChunk(i, p, i))
		if got, ok := m.Pack(p.Digest); !ok || got.Frames != p.Frames || got.Used != 100 {
			t.Errorf("Pack = %v, %v", got, ok)
		}
	}
	for i := n; i < 4; i++ {
		checkAbsent(t, m, digest("content", i))
	}
	if got := readLines(t, m); got != want {
		t.Errorf("Lines: %q, want %q", got, want)
	}
}

func TestCrash(t *testing.T) {
	tests := []struct {
		name  string
		crash func(t *testing.T, folder string, keys Keys)
		want  int // checkpoints remembered
	}{
		{"between checkpoints", func(t *testing.T, folder string, keys Keys) {}, 3},
		{"while a checkpoint was written", func(t *testing.T, folder string, keys Keys) {
			b, err := os.ReadFile(filepath.Join(folder, checkpointName(3)))
			must(t, err)
			must(t, os.Remove(filepath.Join(folder, checkpointName(3))))
			must(t, os.WriteFile(filepath.Join(folder, "new.tmp"), b[:len(b)/2], 0o600))
		}, 2},
		{"while the tags were made", func(t *testing.T, folder string, keys Keys) {
			for _, name := range []string{tagsName, mergedName(1), "new.tmp"} {
				must(t, os.WriteFile(filepath.Join(folder, name), []byte("half"), 0o600))
			}
		}, 3},
		{"before the checkpoints were removed", func(t *testing.T, folder string, keys Keys) {
			saved := map[string][]byte{}
			for _, e := range names(t, filepath.Dir(folder), runOf(t, folder)) {
				b, err := os.ReadFile(filepath.Join(folder, e))
				must(t, err)
				saved[e] = b
			}
			must(t, openMemory(t, filepath.Dir(folder), runOf(t, folder), keys).Close())
			for name, b := range saved {
				must(t, os.WriteFile(filepath.Join(folder, name), b, 0o600))
			}
		}, 3},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir, keys, run := t.TempDir(), newKeys(t), safe.NewRunID(began)
			broken(t, dir, run, keys)
			test.crash(t, filepath.Join(dir, run.String()), keys)
			for range 2 { // the first Open finishes, the second finds it finished
				m := openMemory(t, dir, run, keys)
				checkBroken(t, m, run, test.want)
				must(t, m.Close())
			}
		})
	}
}

func runOf(t testing.TB, folder string) safe.RunID {
	t.Helper()
	run, err := safe.ParseRunID(filepath.Base(folder))
	must(t, err)
	return run
}

func TestNothingRemembered(t *testing.T) {
	dir, keys, run := t.TempDir(), newKeys(t), safe.NewRunID(began)
	if _, err := Open(t.Context(), dir, run, keys); !errors.Is(err, ErrNone) {
		t.Errorf("Open of no folder: %v, want ErrNone", err)
	}
	w := create(t, dir, run, keys, Options{})
	must(t, w.Add(t.Context(), []byte("a\n"), nil))
	must(t, w.Close())
	if _, err := Open(t.Context(), dir, run, keys); !errors.Is(err, ErrNone) {
		t.Errorf("Open without a checkpoint: %v, want ErrNone", err)
	}
}

func TestCancelled(t *testing.T) {
	dir, keys, run := t.TempDir(), newKeys(t), safe.NewRunID(began)
	broken(t, dir, run, keys)
	before := names(t, dir, run)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, dir, run, keys); err == nil {
		t.Error("Open has no error")
	}
	for _, name := range before {
		if !slices.Contains(names(t, dir, run), name) {
			t.Errorf("%s is gone", name)
		}
	}
	checkBroken(t, openMemory(t, dir, run, keys), run, 3)
}

// use opens a memory and reads everything of it.
func use(t testing.TB, dir string, run safe.RunID, keys Keys) error {
	m, err := Open(t.Context(), dir, run, keys)
	if err != nil {
		return err
	}
	defer m.Close()
	r := m.Lines()
	defer r.Close()
	if _, err := io.Copy(io.Discard, r); err != nil {
		return err
	}
	for i := range 3 {
		if _, ok, err := m.Lookup(digest("content", i)); err != nil {
			return err
		} else if !ok {
			return errors.New("a chunk is missing")
		}
	}
	return nil
}

// Every file that counts is damaged in every way, and each time that is noticed.
func TestDamage(t *testing.T) {
	keys := newKeys(t)
	run, otherRun := safe.NewRunID(began), safe.NewRunID(began)
	other := t.TempDir()
	broken(t, other, otherRun, keys)
	flip := func(at func(size int) int) func(string) error {
		return func(path string) error {
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			b[at(len(b))] ^= 1
			return os.WriteFile(path, b, 0o600)
		}
	}
	truncate := func(by int64) func(string) error {
		return func(path string) error {
			info, err := os.Stat(path)
			if err != nil {
				return err
			}
			return os.Truncate(path, max(0, info.Size()-by))
		}
	}
	ways := map[string]func(path string) error{
		"removed":   os.Remove,
		"first bit": flip(func(int) int { return 0 }),
		"last bit":  flip(func(size int) int { return size - 1 }),
		"body":      flip(func(size int) int { return size - 20 }),
		"tail gone": truncate(1),
		"emptied":   truncate(1 << 20),
		"longer":    truncate(-1),
		"other run": func(path string) error {
			return copyFile(filepath.Join(other, otherRun.String(), filepath.Base(path)), path)
		},
		"a pipe": func(path string) error {
			return errors.Join(os.Remove(path), syscall.Mkfifo(path, 0o600))
		},
		"other file": func(path string) error { return copyFile(sibling(path), path) },
	}
	template := t.TempDir()
	broken(t, template, run, keys)
	for _, finished := range []bool{false, true} {
		files := []string{linesName(1), linesName(2), linesName(3), chunksName(1), chunksName(2), chunksName(3), checkpointName(1), checkpointName(2), checkpointName(3)}
		if finished {
			must(t, openMemory(t, template, run, keys).Close())
			must(t, openMemory(t, other, otherRun, keys).Close())
			files = []string{linesName(1), linesName(2), linesName(3), tagsName, indexName}
		}
		for _, file := range files {
			for way, damage := range ways {
				t.Run(fmt.Sprintf("finished=%v/%s/%s", finished, file, way), func(t *testing.T) {
					dir := t.TempDir()
					must(t, os.CopyFS(dir, os.DirFS(template)))
					must(t, damage(filepath.Join(dir, run.String(), file)))
					err := use(t, dir, run, keys)
					var damaged *DamagedError
					switch {
					case way == "removed" && file == indexName:
						// The checkpoints went when the index came.
						if !errors.Is(err, ErrNone) {
							t.Fatalf("error %v, want ErrNone", err)
						}
					case way == "removed" && file == checkpointName(3):
						// Nothing tells that it was there.
						checkBroken(t, openMemory(t, dir, run, keys), run, 2)
					case !errors.As(err, &damaged):
						t.Fatalf("error %v, want a DamagedError", err)
					case damaged.Run != run:
						t.Fatalf("error %v names another run", err)
					}
				})
			}
		}
	}
}

// sibling returns a file of the same folder that is not path, of the same kind
// if there are several.
func sibling(path string) string {
	folder, name := filepath.Split(path)
	if strings.Contains(name, "00000001") {
		return folder + strings.Replace(name, "00000001", "00000002", 1)
	}
	return folder + linesName(1)
}

func copyFile(from, to string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o600)
}

func TestWrongKey(t *testing.T) {
	dir, keys, run := t.TempDir(), newKeys(t), safe.NewRunID(began)
	broken(t, dir, run, keys)
	for _, state := range []string{"broken off", "finished"} {
		var damaged *DamagedError
		if _, err := Open(t.Context(), dir, run, newKeys(t)); !errors.As(err, &damaged) || !errors.Is(err, seal.ErrWrongKey) {
			t.Errorf("%s: %v, want a DamagedError for want of the key", state, err)
		}
		must(t, openMemory(t, dir, run, keys).Close())
	}
}

// What the system refuses for now is no damage: nobody may throw a memory away
// for that.
func TestRefusedIsNotDamaged(t *testing.T) {
	tests := []struct {
		err  error
		want bool
	}{
		{fs.ErrPermission, false},
		{syscall.EMFILE, false},
		{fs.ErrNotExist, true},
		{syscall.EIO, true},
	}
	for _, test := range tests {
		err := damaged(safe.NewRunID(began), tagsName, fmt.Errorf("x: %w", &fs.PathError{Op: "open", Path: tagsName, Err: test.err}))
		if got := errors.As(err, new(*DamagedError)); got != test.want || !errors.Is(err, test.err) {
			t.Errorf("%v: a DamagedError: %v, want %v", err, got, test.want)
		}
	}
}

// No name, digest or place is on disk in clear at any time, in the files or
// their names.
func TestNothingInClear(t *testing.T) {
	dir, keys, run := t.TempDir(), newKeys(t), safe.NewRunID(began)
	p := testPack(run, 0)
	const name = "payroll-of-the-board.ods"
	chunk := testChunk(1, p, 7)
	chunk.Stored, chunk.Length = 12345, 0x5a17c0de
	tagged := keys.tagMaker().tag(chunk.Hash)
	secrets := map[string][]byte{
		"name":        []byte(name),
		"digest":      chunk.Hash[:],
		"hex digest":  []byte(hex.EncodeToString(chunk.Hash[:])),
		"pack":        p.Digest[:],
		"hex pack":    []byte(p.Digest.String()),
		"tag":         tagged[:],
		"length":      binary.BigEndian.AppendUint32(nil, chunk.Length),
		"other order": binary.LittleEndian.AppendUint32(nil, chunk.Length),
	}
	check := func(stage string) {
		t.Helper()
		seen := 0
		must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			b, err := os.ReadFile(path)
			for what, secret := range secrets {
				if bytes.Contains(b, secret) || strings.Contains(path, string(secret)) {
					t.Errorf("%s: %s has a %s in clear", stage, path, what)
				}
			}
			seen += len(b)
			return err
		}))
		if seen == 0 {
			t.Errorf("%s: there is nothing on disk", stage)
		}
	}
	line := []byte(`{"path":"` + name + `","h":"` + chunk.Hash.String() + `"}` + "\n")

	w := create(t, dir, run, keys, Options{Buffer: 3 * recordSize})
	must(t, w.AddPack(p))
	for i := range 5000 { // enough for age to write its first blocks
		other := testChunk(i+2, p, i%1000)
		other.Hash = digest("other", i)
		must(t, w.Add(t.Context(), line, nil))
		if i < 100 {
			must(t, w.AddChunks(t.Context(), []manifest.Chunk{chunk, other}))
		}
	}
	check("while writing")
	must(t, w.Checkpoint(t.Context()))
	check("after a checkpoint")
	must(t, w.AddChunks(t.Context(), []manifest.Chunk{chunk}))
	must(t, w.Close())
	check("broken off")
	m := openMemory(t, dir, run, keys)
	check("finished")
	checkChunk(t, m, chunk)
}

func TestSweep(t *testing.T) {
	dir, keys := t.TempDir(), newKeys(t)
	runs := []safe.RunID{safe.NewRunID(began), safe.NewRunID(began), safe.NewRunID(began)}
	for _, run := range runs {
		broken(t, dir, run, keys)
	}
	outside := filepath.Join(t.TempDir(), "outside")
	must(t, os.WriteFile(outside, nil, 0o600))
	must(t, os.Symlink(filepath.Dir(outside), filepath.Join(dir, "link")))
	must(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o600))

	for range 2 {
		must(t, Sweep(dir, runs[0], runs[2]))
		entries, err := os.ReadDir(dir)
		must(t, err)
		if len(entries) != 2 {
			t.Errorf("%d entries remain, want 2", len(entries))
		}
		checkBroken(t, openMemory(t, dir, runs[0], keys), runs[0], 3)
		checkBroken(t, openMemory(t, dir, runs[2], keys), runs[2], 3)
	}
	must(t, Sweep(dir))
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("after forgetting all: %v, %v", entries, err)
	}
	if _, err := os.Stat(outside); err != nil {
		t.Errorf("Sweep went through a link: %v", err)
	}
	must(t, Sweep(filepath.Join(dir, "absent")))
}

// TestSize: of two runs that broke off, the one that got farther is the larger,
// also once it was opened and thereby finished.
// TestSweepFollowsNoLink guards what a link in the place of a source's memory
// leads to.
func TestSweepFollowsNoLink(t *testing.T) {
	outside, dir := t.TempDir(), filepath.Join(t.TempDir(), "source")
	must(t, os.WriteFile(filepath.Join(outside, "file"), nil, 0o600))
	must(t, os.Symlink(outside, dir))
	if err := Sweep(dir); err == nil {
		t.Error("a symbolic link was swept like a memory")
	}
	if _, err := os.Stat(filepath.Join(outside, "file")); err != nil {
		t.Errorf("what the link leads to: %v", err)
	}
}

// A file under the name of a run is no memory, and in nobody's way.
func TestAFileInThePlaceOfAFolder(t *testing.T) {
	dir, run := t.TempDir(), safe.NewRunID(time.Now())
	must(t, os.WriteFile(filepath.Join(dir, run.String()), nil, 0o600))
	if n, err := Size(dir, run); n != 0 || err != nil {
		t.Errorf("its size is %d, %v", n, err)
	}
	if _, err := Open(t.Context(), dir, run, newKeys(t)); !errors.As(err, new(*DamagedError)) {
		t.Errorf("opening it: %v, want a DamagedError", err)
	}
	must(t, Sweep(dir))
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("after sweeping, %v remain, %v", left, err)
	}
}

func TestSize(t *testing.T) {
	dir, keys := t.TempDir(), newKeys(t)
	size := func(run safe.RunID) int64 {
		t.Helper()
		n, err := Size(dir, run)
		must(t, err)
		return n
	}
	var sizes []int64
	for _, lines := range []int{1, 500} {
		run := safe.NewRunID(time.Now())
		if n := size(run); n != 0 {
			t.Errorf("a run that left nothing has size %d", n)
		}
		w := create(t, dir, run, keys, Options{})
		for n := range lines {
			must(t, w.Add(t.Context(), fmt.Appendf(nil, "line %d\n", n), nil))
		}
		if n := size(run); n != 0 {
			t.Errorf("without a checkpoint a run has size %d", n)
		}
		must(t, w.Checkpoint(t.Context()))
		must(t, w.Close())
		before := size(run)
		must(t, openMemory(t, dir, run, keys).Close())
		if after := size(run); after != before || after == 0 {
			t.Errorf("the size was %d, and %d once the memory was opened", before, after)
		}
		sizes = append(sizes, before)
	}
	if sizes[0] >= sizes[1] {
		t.Errorf("a line has size %d, 500 lines %d", sizes[0], sizes[1])
	}
	if n, err := Size(filepath.Join(dir, "absent"), safe.NewRunID(time.Now())); n != 0 || err != nil {
		t.Errorf("of a source without memory: %d, %v", n, err)
	}
}
