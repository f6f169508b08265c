package docs

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/access"
	"strongroom/internal/access/accesstest"
	"strongroom/internal/access/vaulttest"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/store"
	"strongroom/internal/store/blob"
	"strongroom/internal/store/blob/dir"
	"strongroom/internal/store/layout"
	"strongroom/internal/store/manifest"
	"strongroom/internal/store/seal"
	"strongroom/internal/store/storetest"
)

// stock are the programs that restoring by hand may use, beside age: bash,
// coreutils, jq and zstd.
var stock = []string{
	"bash", "jq", "zstd",
	"base64", "cat", "chmod", "chown", "dd", "head", "ln", "mkdir", "mktemp", "mv", "rm", "sha256sum", "sort", "tail", "touch",
}

// tools returns a folder with the stock programs and nothing else.
func tools(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	link := func(name, program string) {
		if err := os.Symlink(program, filepath.Join(folder, name)); err != nil {
			t.Fatal(err)
		}
	}
	link("age", age(t))
	for _, name := range stock {
		program, err := exec.LookPath(name)
		if err != nil {
			t.Fatalf("what restores by hand is not there (hack/deps installs it): %v", err)
		}
		link(name, program)
	}
	return folder
}

// age returns stock age, version 1.3 or newer.
func age(t *testing.T) string {
	t.Helper()
	program := os.Getenv("STRONGROOM_AGE")
	if program == "" {
		program, _ = exec.LookPath("age") // "" if there is none
	}
	out, err := exec.Command(program, "--version").Output()
	var major, minor int
	if _, scanErr := fmt.Sscanf(string(out), "v%d.%d", &major, &minor); err == nil && scanErr == nil && (major > 1 || minor >= 3) {
		return program
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("no age 1.3 or newer: STRONGROOM_AGE=%q: %v", program, err)
	}
	t.Skip("no age 1.3 or newer, neither in STRONGROOM_AGE nor in PATH: use make test")
	return ""
}

// command returns a program that finds the given tools and nothing else, in an
// empty folder unless another is set.
func command(t *testing.T, tools, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(filepath.Join(tools, name), args...)
	cmd.Env = []string{"PATH=" + tools, "TMPDIR=" + t.TempDir()}
	return cmd
}

// byHand runs the script and returns what it says and its exit status.
func byHand(t *testing.T, tools, store string, run safe.RunID, keys, target string) (said string, status int) {
	t.Helper()
	script, err := filepath.Abs("restore-by-hand.sh")
	if err != nil {
		t.Fatal(err)
	}
	cmd := command(t, tools, "bash", script, store, run.String(), filepath.Join(keys, "outer.key"), filepath.Join(keys, "inner.key"), target)
	out, err := cmd.CombinedOutput()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// TestRestoreByHand collects a tree twice with the real program, and restores
// it from a copy of the store and the two role keys, without that program.
func TestRestoreByHand(t *testing.T) {
	tools := tools(t)
	at := t.TempDir()
	source := filepath.Join(at, "source")
	makeTree(t, source)
	removable(t, source)

	program := filepath.Join(at, "strongroom")
	build := exec.Command("go", "build", "-o", program, "../cmd/strongroom")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	run(t, build)
	config := fmt.Sprintf("safe: acme\nstore: %[1]s/store\ndir: %[1]s/safe\nsources:\n  tree:\n    kind: local\n    include: [ %[2]s ]\n", at, source)
	write(t, filepath.Join(at, "strongroom.yaml"), config, 0o600)
	strongroom := func(args ...string) {
		t.Helper()
		cmd := exec.Command(program, args...)
		cmd.Dir = at
		cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+at)
		run(t, cmd)
	}
	strongroom("keys", "new-role", "outer")
	strongroom("keys", "new-role", "inner")
	strongroom("init", "--outer", "outer.key.pub", "--inner", "inner.key.pub")
	strongroom("collect", "tree")
	grow(t, source)
	strongroom("collect", "tree")

	copied := filepath.Join(t.TempDir(), "copy")
	run(t, exec.Command("cp", "-a", filepath.Join(at, "store"), copied))
	for _, gone := range []string{"store", "safe", "strongroom"} {
		if err := os.RemoveAll(filepath.Join(at, gone)); err != nil {
			t.Fatal(err)
		}
	}
	papers := addPeople(t, copied, at)
	run(t, exec.Command("chmod", "-R", "a-w", copied))
	removable(t, copied)
	newest := newestSnapshot(t, copied)
	if len(newest.Runs) != 2 {
		t.Fatalf("the snapshot needs %d runs, want one that spans 2", len(newest.Runs))
	}
	target := filepath.Join(t.TempDir(), "target")

	// Keys that are not those of the store leave no target in the way.
	strangers := writeKeys(t, storetest.New(t))
	said, status := byHand(t, tools, copied, newest.Run, strangers, target)
	if _, err := os.Lstat(target); err == nil || status != 1 || !strings.Contains(said, "outer.key does not open the outer seal of run ") {
		t.Fatalf("with other keys: exit status %d, the target %v\n%s", status, err, said)
	}

	said, status = byHand(t, tools, copied, newest.Run, at, target)
	removable(t, target)
	if status != 0 || strings.Contains(said, "LOST") || strings.Contains(said, "WARNING") {
		t.Fatalf("exit status %d\n%s", status, said)
	}
	if diff := cmp.Diff(survey(t, source), survey(t, filepath.Join(target, source))); diff != "" {
		t.Errorf("the restored tree differs (-source +restored):\n%s", diff)
	}
	stepByStep(t, tools, copied, newest.Run, at, strings.TrimPrefix(source, "/")+"/folder/big")

	// The same with what two people have on paper.
	target = filepath.Join(t.TempDir(), "target")
	said, status = byHand(t, tools, copied, newest.Run, papers, target)
	removable(t, target)
	if status != 0 || said != "" && !strings.HasPrefix(said, "not made") {
		t.Fatalf("with personal keys: exit status %d\n%s", status, said)
	}
	if diff := cmp.Diff(survey(t, source), survey(t, filepath.Join(target, source))); diff != "" {
		t.Errorf("the tree restored with personal keys differs (-source +restored):\n%s", diff)
	}
	stepByStep(t, tools, copied, newest.Run, papers, strings.TrimPrefix(source, "/")+"/folder/big")
}

// addPeople adds a version of the roster to a store, as people bring it about,
// with an entry of the ledger that names it, and one that no entry names. It
// returns a folder with the personal keys of a keykeeper and an operator in the
// places of role keys, as they are typed in from paper. keys is where the role
// keys are.
func addPeople(t *testing.T, store, keys string) (papers string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(store, layout.Roster(1)))
	if err != nil {
		t.Fatal(err)
	}
	first, err := access.ParseRoster(b)
	if err != nil {
		t.Fatal(err)
	}
	ada, bob := accesstest.NewPerson(t, "ada", access.Keykeeper), accesstest.NewPerson(t, "bob", access.Operator)
	outer, outerErr := readKey(t, filepath.Join(keys, "outer.key"), seal.ReadOuterIdentity).SealTo(ada.Key, storetest.Begun)
	inner, innerErr := readKey(t, filepath.Join(keys, "inner.key"), seal.ReadInnerIdentity).SealTo(bob.Key, storetest.Begun)
	if err := errors.Join(outerErr, innerErr); err != nil {
		t.Fatal(err)
	}
	second := first.Next()
	second.People = []access.Person{ada.Person, bob.Person}
	second.Periods[0].OuterCopies = []access.Copy{{Person: "ada", Sealed: outer}}
	second.Periods[0].InnerCopies = []access.Copy{{Person: "bob", Sealed: inner}}
	second = accesstest.Reread(t, second)
	entry, err := ledger.Entry{Time: storetest.Begun.Truncate(time.Second), Who: ledger.Safe,
		What: ledger.RosterChanged{Version: 2, Digest: second.Digest()}}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	entries, err := filepath.Glob(filepath.Join(store, "ledger/entries/*.2"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(store, layout.Roster(2)), string(second.Encode()), 0o400)
	write(t, filepath.Join(store, layout.Roster(3)), "not a roster at all", 0o400)
	write(t, filepath.Join(store, layout.Entry(int64(len(entries)))), string(entry), 0o400)
	papers = t.TempDir()
	write(t, filepath.Join(papers, "outer.key"), ada.Identity.PrivateLine()+"\n", 0o400)
	write(t, filepath.Join(papers, "inner.key"), bob.Identity.PrivateLine()+"\n", 0o400)
	return papers
}

// TestRestoreByHandOfTwoPeriods restores a snapshot that needs a run from
// before the role keys were changed, with two personal keys, from a store in
// which the first copy of the newest roster is damaged.
func TestRestoreByHandOfTwoPeriods(t *testing.T) {
	tools := tools(t)
	v := vaulttest.New(t, "ada:keykeeper bob:operator eve:operator")
	first := v.Keep(storetest.File("old", "from before"))
	old := storetest.File("old", "")
	old.Chunks = v.Chunks(first, "old")
	v.NewPeriod()
	d := v.Keep(old, storetest.File("new", "from now"))
	folder, papers, target := filepath.Join(t.TempDir(), "store"), t.TempDir(), filepath.Join(t.TempDir(), "target")
	v.Write(folder)
	write(t, filepath.Join(folder, layout.Roster(v.Roster.Number)), "damaged", 0o600)
	vaulttest.WriteKey(t, filepath.Join(papers, "outer.key"), v.People["ada"].Identity)
	vaulttest.WriteKey(t, filepath.Join(papers, "inner.key"), v.People["bob"].Identity)
	if said, status := byHand(t, tools, folder, d.Run, papers, target); status != 0 {
		t.Fatalf("exit status %d\n%s", status, said)
	}
	for name, want := range map[string]string{"old": "from before", "new": "from now"} {
		if got, err := os.ReadFile(filepath.Join(target, name)); err != nil || string(got) != want {
			t.Errorf("%s: %q, error %v; want %q", name, got, err, want)
		}
	}
}

// TestFormat1StaysReadable reads a store that was written when the format was
// new, with the program's own packages and by hand, and compares it with what
// format.md shows of it.
func TestFormat1StaysReadable(t *testing.T) {
	const fixture = "testdata/format-1"
	want := map[string]string{"hosts": "127.0.0.1 localhost\n", "other": "127.0.0.1 localhost\n", "caf\xe9": "caf\xe9\n"}
	d := newestSnapshot(t, fixture+"/store")
	blobs, err := dir.Open(fixture + "/store")
	if err != nil {
		t.Fatal(err)
	}
	defer blobs.Close()
	outer := readKey(t, fixture+"/outer.key", seal.ReadOuterIdentity)
	inner := readKey(t, fixture+"/inner.key", seal.ReadInnerIdentity)
	identities := store.WithRoleKeys(blobs, d, []seal.OuterIdentity{outer}, []seal.InnerIdentity{inner})

	snapshot, err := store.Open(t.Context(), blobs, d, identities)
	if err != nil {
		t.Fatal(err)
	}
	defer snapshot.Close()
	entries, _, err := snapshot.Manifest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]string)
	for {
		e, err := entries.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(snapshot.Content(t.Context(), entries))
		if err != nil {
			t.Fatal(err)
		}
		switch name := filepath.Base(e.Path); e.Type {
		case safe.File:
			got[name] = string(b)
		case safe.Hardlink:
			got[name] = got[filepath.Base(e.Target)]
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}

	identity, err := identities(t.Context(), d.Run)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := unsealed(t, identity, filepath.Join(fixture, "store", layout.Pack(d.Run, d.Runs[d.Run].Packs[0])))
	if shown := dumpOf(t, "format.md"); err != nil || !bytes.Equal(plain, shown) {
		t.Errorf("format.md shows a pack of %d bytes, it has %d; error %v", len(shown), len(plain), err)
	}

	target := filepath.Join(t.TempDir(), "target")
	folder, err := filepath.Abs(fixture)
	if err != nil {
		t.Fatal(err)
	}
	if said, status := byHand(t, tools(t), folder+"/store", d.Run, folder, target); status != 0 {
		t.Fatalf("exit status %d\n%s", status, said)
	}
	for name, content := range want {
		if b, err := os.ReadFile(filepath.Join(target, "srv/erp-example/conf", name)); err != nil || string(b) != content {
			t.Errorf("by hand %q has %q, error %v; want %q", name, b, err, content)
		}
	}
}

func readKey[K any](t *testing.T, file string, read func(io.Reader) (K, error)) K {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	key, err := read(f)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func unsealed(t *testing.T, identity seal.RunIdentity, file string) ([]byte, error) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := identity.Open(f)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

var dumpLine = regexp.MustCompile(`(?m)^    [0-9a-f]{8}: ((?:[0-9a-f]{4} ){7}[0-9a-f]{4})`)

// dumpOf returns the bytes that a document shows in hex.
func dumpOf(t *testing.T, document string) (all []byte) {
	t.Helper()
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range dumpLine.FindAllSubmatch(text, -1) {
		b, err := hex.DecodeString(strings.ReplaceAll(string(line[1]), " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	return all
}

// stepByStep runs the commands that restore-by-hand.md gives for one file.
func stepByStep(t *testing.T, tools, store string, run safe.RunID, keys, path string) {
	t.Helper()
	document, err := os.ReadFile("restore-by-hand.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(document), "```sh\n")
	commands, _, found := strings.Cut(after, "```\n")
	if !found {
		t.Fatal("restore-by-hand.md has no commands to try")
	}
	cmd := command(t, tools, "bash", "-eu", "-c", commands)
	cmd.Dir = keys
	cmd.Env = append(cmd.Env, "store="+store, "run="+run.String(), "path="+path)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	got, err := os.ReadFile(filepath.Join(keys, "file"))
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("/" + path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the commands of restore-by-hand.md give %d bytes for %s that differ from its %d", len(got), path, len(want))
	}
}

func TestRestoreByHandOfALongerList(t *testing.T) {
	tools := tools(t)
	s := storetest.New(t)
	content := strings.Repeat("a line of many\n", 1<<14)
	var list []manifest.Chunk
	d := s.Raw(func(r *storetest.Run) []byte {
		chunks := r.Store(content, 8<<10)
		r.Finish()
		e := storetest.File("many", content)
		e.Size = int64(len(content))
		lines := manifest.AppendHeader(nil, r.Header)
		lines = manifest.AppendEntry(lines, manifest.Entry{Entry: e.Entry, Chunks: chunks})
		lines = manifest.AppendTotals(lines, manifest.Totals{Entries: 1, Bytes: e.Size})
		parts := r.Store(string(lines), 1<<10)
		r.Finish()
		list = r.Store(string(manifest.AppendChunkList(nil, parts)), 1<<10)
		r.Finish()
		return lines
	})
	root := manifest.Root{Store: d.Store, Run: d.Run, Source: d.Source, Entries: d.Entries, Bytes: d.Bytes, List: true, Chunks: list}
	replaceRoot(t, s, &d, root)
	s.Open(d) // it is one that the program reads as well

	target := filepath.Join(t.TempDir(), "target")
	said, status := byHand(t, tools, dump(t, s, d), d.Run, writeKeys(t, s), target)
	if status != 0 {
		t.Fatalf("exit status %d\n%s", status, said)
	}
	if got, err := os.ReadFile(filepath.Join(target, "many")); err != nil || string(got) != content {
		t.Errorf("%d bytes, error %v; want %d", len(got), err, len(content))
	}
}

// TestRestoreByHandOfAFileOfManyChunks restores a file whose chunks take
// several lines.
func TestRestoreByHandOfAFileOfManyChunks(t *testing.T) {
	tools := tools(t)
	s := storetest.New(t)
	var content strings.Builder
	for i := range 1024 + 5 {
		fmt.Fprintf(&content, "%08d", i%97)
	}
	d := s.Snapshot(storetest.File("a", "before"), storetest.Stream("b", content.String()).Cut(8), storetest.File("c", "after"))
	target := filepath.Join(t.TempDir(), "target")
	if said, status := byHand(t, tools, dump(t, s, d), d.Run, writeKeys(t, s), target); status != 0 {
		t.Fatalf("exit status %d\n%s", status, said)
	}
	for name, want := range map[string]string{"a": "before", "b": content.String(), "c": "after"} {
		if got, err := os.ReadFile(filepath.Join(target, name)); err != nil || string(got) != want {
			t.Errorf("%s: %.40q, error %v; want %.40q", name, got, err, want)
		}
	}
}

func TestRestoreByHandNamesWhatIsLost(t *testing.T) {
	tools := tools(t)
	s := storetest.New(t)
	d := s.Snapshot(storetest.File("bad", strings.Repeat("lost ", 1000)), storetest.File("good", "kept"), storetest.Hardlink("link", "bad"))
	s.Damage(s.Chunks(d, "bad")[0])
	target := filepath.Join(t.TempDir(), "target")
	folder := dump(t, s, d)
	said, status := byHand(t, tools, folder, d.Run, writeKeys(t, s), target)
	// age gives nothing of a piece of 64 KiB that is damaged, so all is lost
	// that lies in it.
	for _, want := range []string{"LOST pack", "LOST '" + target + "/bad'", "LOST '" + target + "/link'"} {
		if !strings.Contains(said, want) {
			t.Errorf("it does not say %q:\n%s", want, said)
		}
	}
	if status != 3 {
		t.Errorf("exit status %d, want 3", status)
	}
	if _, err := os.Lstat(filepath.Join(target, "bad")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a damaged file is there: %v", err)
	}
}

// TestRestoreByHandTakesCopies damages the first copy of every small object.
func TestRestoreByHandTakesCopies(t *testing.T) {
	tools := tools(t)
	folder := filepath.Join(t.TempDir(), "format-1")
	if err := os.CopyFS(folder, os.DirFS("testdata/format-1")); err != nil {
		t.Fatal(err)
	}
	d := newestSnapshot(t, folder+"/store")
	for _, name := range []string{
		layout.Envelope(d.Run), layout.Root(d.Run, d.Root), layout.Snapshot(d.Run), layout.Entry(0), layout.Entry(1), layout.Entry(2),
	} {
		file := filepath.Join(folder, "store", name)
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		write(t, file, string(b[:len(b)-2]), 0o400)
	}
	target := filepath.Join(t.TempDir(), "target")
	said, status := byHand(t, tools, folder+"/store", d.Run, folder, target)
	if status != 0 || strings.Contains(said, "WARNING") {
		t.Fatalf("exit status %d\n%s", status, said)
	}
	if b, err := os.ReadFile(filepath.Join(target, "srv/erp-example/conf/hosts")); err != nil || string(b) != "127.0.0.1 localhost\n" {
		t.Errorf("got %q, error %v", b, err)
	}
}

// TestRestoreByHandRefuses gives the script what no collection writes. Nothing
// may come to be outside of the target.
func TestRestoreByHandRefuses(t *testing.T) {
	tools := tools(t)
	entry := func(path string, kind safe.EntryType, target string) manifest.Entry {
		return manifest.Entry{Entry: safe.Entry{Path: path, Type: kind, Mode: 0o600, MTime: storetest.Begun, Target: target}}
	}
	for _, c := range []struct {
		name    string
		entries []manifest.Entry
	}{
		{"parent", []manifest.Entry{entry("../evil", safe.File, "")}},
		{"parent within", []manifest.Entry{entry("d", safe.Dir, ""), entry("d/../../evil", safe.File, "")}},
		{"parent at the end", []manifest.Entry{entry("..", safe.Dir, "")}},
		{"rooted", []manifest.Entry{entry("/evil", safe.File, "")}},
		{"empty", []manifest.Entry{entry("", safe.Dir, "")}},
		{"not UTF-8", []manifest.Entry{entry("../evil\xff", safe.File, "")}},
		{"beneath a link", []manifest.Entry{entry("link", safe.Symlink, ".."), entry("link/evil", safe.File, "")}},
		{"a folder that is a link", []manifest.Entry{entry("link", safe.Dir, ""), entry("link", safe.Symlink, "..")}},
		{"hard link from outside", []manifest.Entry{entry("evil", safe.Hardlink, "../secret")}},
		{"NUL", []manifest.Entry{entry("a\x00b", safe.File, "")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := storetest.New(t)
			d := s.Raw(func(r *storetest.Run) []byte {
				lines := manifest.AppendHeader(nil, r.Header)
				for _, e := range c.entries {
					lines = manifest.AppendEntry(lines, e)
				}
				return manifest.AppendTotals(lines, manifest.Totals{Entries: int64(len(c.entries))})
			})
			around := t.TempDir()
			write(t, filepath.Join(around, "secret"), "secret", 0o600)
			said, status := byHand(t, tools, dump(t, s, d), d.Run, writeKeys(t, s), filepath.Join(around, "target"))
			if status == 0 {
				t.Errorf("exit status 0\n%s", said)
			}
			if names, err := os.ReadDir(around); err != nil || len(names) != 2 {
				t.Errorf("outside of the target there is %v, error %v", names, err)
			}
			if _, err := os.Lstat(filepath.Join(around, "target", "evil")); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("it was made: %v\n%s", err, said)
			}
		})
	}
}

// TestRestoreByHandRefusesWhatBelongsElsewhere exchanges things of two
// snapshots that one pair of role keys opens.
func TestRestoreByHandRefusesWhatBelongsElsewhere(t *testing.T) {
	tools := tools(t)
	s := storetest.New(t)
	first, second := s.Snapshot(storetest.File("a", "first")), s.Snapshot(storetest.File("a", "second"))
	envelope := second
	envelope.Runs = map[safe.RunID]safe.RunPacks{second.Run: {Envelope: first.Runs[first.Run].Envelope, Packs: second.Runs[second.Run].Packs}}
	for _, c := range []struct {
		name, want string
		d          safe.Snapshot
		from, to   string // copied in the store before
	}{
		{"envelope", "belongs elsewhere", envelope, layout.Envelope(first.Run), layout.Envelope(second.Run)},
		{"envelope unlike its digest", "damaged or missing", second, layout.Envelope(first.Run), layout.Envelope(second.Run)},
		{"root unlike its digest", "damaged or missing", second, layout.Root(first.Run, first.Root), layout.Root(second.Run, second.Root)},
	} {
		t.Run(c.name, func(t *testing.T) {
			folder := dump(t, s, c.d)
			b, err := os.ReadFile(filepath.Join(folder, c.from))
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{c.to, layout.Parse(c.to).Other()} {
				os.Remove(filepath.Join(folder, name)) // it may be missing
				write(t, filepath.Join(folder, name), string(b), 0o400)
			}
			said, status := byHand(t, tools, folder, c.d.Run, writeKeys(t, s), filepath.Join(t.TempDir(), "target"))
			if status != 1 || !strings.Contains(said, c.want) {
				t.Errorf("exit status %d, want 1 and %q:\n%s", status, c.want, said)
			}
		})
	}
}

// replaceRoot gives a snapshot another root.
func replaceRoot(t *testing.T, s *storetest.Store, d *safe.Snapshot, root manifest.Root) {
	t.Helper()
	ctx := context.Background()
	identity, err := s.Identities(s.Blobs, *d)(ctx, d.Run)
	if err != nil {
		t.Fatal(err)
	}
	object, err := store.SealRoot(root, identity.Recipient().Seal)
	if err != nil {
		t.Fatal(err)
	}
	d.Root = safe.DigestOf(object)
	for _, name := range []string{layout.Root(d.Run, d.Root), layout.Copy(layout.Root(d.Run, d.Root))} {
		if err := blob.Put(ctx, s.Blobs, name, object); err != nil {
			t.Fatal(err)
		}
	}
}

// dump writes a store into a folder, with the description given.
func dump(t *testing.T, s *storetest.Store, d safe.Snapshot) string {
	t.Helper()
	ctx := context.Background()
	folder := filepath.Join(t.TempDir(), "store")
	for info, err := range s.Blobs.List(ctx, "") {
		if err != nil {
			t.Fatal(err)
		}
		b, err := blob.ReadAll(ctx, s.Blobs, info.Name, 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(folder, info.Name), string(b), 0o600)
	}
	write(t, filepath.Join(folder, d.Name()), string(d.Encode()), 0o600)
	return folder
}

// writeKeys writes the role keys into a folder.
func writeKeys(t *testing.T, s *storetest.Store) string {
	t.Helper()
	folder := t.TempDir()
	for name, key := range map[string]interface {
		Write(io.Writer, time.Time) error
	}{"outer.key": seal.OuterIdentity(s.Outer), "inner.key": seal.InnerIdentity(s.Inner)} {
		var b bytes.Buffer
		if err := key.Write(&b, storetest.Begun); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(folder, name), b.String(), 0o400)
	}
	return folder
}

func newestSnapshot(t *testing.T, folder string) (newest safe.Snapshot) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(folder, "snapshots", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names { // in the order of their runs
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if newest, err = safe.ParseSnapshot(b); err != nil {
			t.Fatal(err)
		}
	}
	return newest
}

// makeTree makes a tree with whatever a name and an entry can be.
func makeTree(t *testing.T, root string) {
	t.Helper()
	at := func(name string) string { return filepath.Join(root, name) }
	noise := make([]byte, 3<<20)
	for i, x := 0, uint32(1); i < len(noise); i++ {
		x = x*1664525 + 1013904223
		noise[i] = byte(x >> 24)
	}
	for _, name := range []string{
		"plain", "new\nline", "tail\n", "not UTF-8 \xff\xfe", "not UTF-8 \xff\n", `back\slash "quote" 'quote'`, "-rf", "$(exit 1)", "tab\t\x01\x7f",
		"folder/a", "folder.b", "folder/deep/er/est/file", "\xc3\xa4 \xe2\x82\xac", "*", "..dots..", strings.Repeat("n", 255),
	} {
		write(t, at(name), "content of "+name, 0o644)
	}
	write(t, at("folder/big"), string(noise), 0o751)
	write(t, at("folder/zeros"), strings.Repeat("\x00", 5<<20), 0o600)
	write(t, at("empty"), "", 0o444)
	write(t, at("setuid"), "#!/bin/false\n", 0o755)
	for name, mode := range map[string]uint32{"setuid": 0o4755, "folder/deep": 0o2750, "folder/deep/er": 0o500} {
		if err := syscall.Chmod(at(name), mode); err != nil { // os.Chmod has other bits
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{
		"absolute": "/etc/passwd", "broken": "nowhere\n", "odd": "\xff", "folder/up": "../plain", "loop": "loop", "to-folder": "folder",
	} {
		if err := os.Symlink(target, at(name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Link(at("folder/a"), at("other name")); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(at("not UTF-8 \xff\xfe"), at("other name \xff")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(at("pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	past := time.Date(1969, 12, 31, 23, 59, 58, 123456789, time.UTC)
	for _, name := range []string{"plain", "folder/deep"} {
		if err := os.Chtimes(at(name), past, past); err != nil {
			t.Fatal(err)
		}
	}
}

// grow changes the tree, so that the next snapshot needs both runs.
func grow(t *testing.T, root string) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(root, "folder", "big"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(strings.Repeat("more\n", 1000)); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(root, "new"), "new", 0o640)
	if err := os.Remove(filepath.Join(root, "folder.b")); err != nil {
		t.Fatal(err)
	}
}

// A thing is what must come back of an entry.
type thing struct {
	Mode    fs.FileMode
	MTime   time.Time
	Owner   string // as root only
	Target  string
	Content safe.Digest
	Same    string // the first other name of the same file
}

// survey lists a tree without pipes, which are not restored.
func survey(t *testing.T, root string) map[string]thing {
	t.Helper()
	things := make(map[string]thing)
	first := make(map[uint64]string)
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Type() == fs.ModeNamedPipe {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		is := thing{Mode: info.Mode(), MTime: info.ModTime()}
		stat := info.Sys().(*syscall.Stat_t)
		if os.Geteuid() == 0 {
			is.Owner = fmt.Sprint(stat.Uid, ":", stat.Gid)
		}
		switch {
		case info.Mode().IsRegular():
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			is.Content = safe.DigestOf(b)
			if is.Same = first[stat.Ino]; is.Same == "" {
				first[stat.Ino] = name
			}
		case info.Mode()&fs.ModeSymlink != 0:
			if is.Target, err = os.Readlink(path); err != nil {
				return err
			}
		}
		things[name] = is
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return things
}

// removable lets a tree be removed when the test ends, also by who is not root.
func removable(t *testing.T, root string) {
	t.Helper()
	t.Cleanup(func() { run(t, exec.Command("chmod", "-R", "u+rwx", root)) })
}

func write(t *testing.T, path, content string, mode fs.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
}
