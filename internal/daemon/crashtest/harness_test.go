package crashtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/safe"
	"strongroom/internal/store/layout"
)

// program is the real one, built as it is released.
var program string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	folder, err := os.MkdirTemp("", "crashtest-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(folder)
	program = filepath.Join(folder, "strongroom")
	build := exec.Command("go", "build", "-o", program, "strongroom/cmd/strongroom")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the program: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// soak tells whether the long tests are wanted.
func soak(t *testing.T) {
	t.Helper()
	if os.Getenv("STRONGROOM_SOAK") == "" {
		t.Skip("takes long: set STRONGROOM_SOAK=1")
	}
}

// A site is an installation: a configuration, role keys, and a safe whose
// store and state lie in one place.
type site struct {
	t     *testing.T
	home  string // configuration, role keys, what operators remember
	place string // holds store and dir
	yaml  string // of the sources
}

// newSite makes a safe in a place, which must exist.
func newSite(t *testing.T, place, sources string) *site {
	t.Helper()
	s := &site{t: t, home: t.TempDir(), place: place, yaml: sources}
	s.configure()
	s.must("keys", "new-role", "outer", "-o", filepath.Join(s.home, "outer.key"))
	s.must("keys", "new-role", "inner", "-o", filepath.Join(s.home, "inner.key"))
	s.must("init", "--outer", filepath.Join(s.home, "outer.key.pub"), "--inner", filepath.Join(s.home, "inner.key.pub"))
	return s
}

// at returns the same safe found in another place, as by somebody who knows
// its role keys and nothing of its past.
func (s *site) at(t *testing.T, place string) *site {
	t.Helper()
	moved := &site{t: t, home: t.TempDir(), place: place, yaml: s.yaml}
	for _, name := range []string{"outer.key", "inner.key"} {
		copyFile(t, filepath.Join(s.home, name), filepath.Join(moved.home, name))
	}
	moved.configure()
	return moved
}

func (s *site) configure() {
	s.t.Helper()
	text := fmt.Sprintf("safe: crash\nstore: %s\ndir: %s\nkeep: { daily: 35d }\nsources:\n%s", s.store(), s.state(), s.yaml)
	if err := os.WriteFile(s.config(), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) config() string { return filepath.Join(s.home, "strongroom.yaml") }
func (s *site) store() string  { return filepath.Join(s.place, "store") }
func (s *site) state() string  { return filepath.Join(s.place, "dir") }

// localSource is the configuration of a source of kind local.
func localSource(name, root, more string) string {
	return fmt.Sprintf("  %s:\n    kind: local\n    include: [ %s ]\n%s", name, root, more)
}

// command returns the program, not started.
func (s *site) command(args ...string) *exec.Cmd {
	cmd := exec.Command(program, append([]string{"--config", s.config()}, args...)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.home, "XDG_STATE_HOME=" + s.home, "TZ=UTC"}
	cmd.Dir = s.home
	return cmd
}

// A result is how the program ended.
type result struct {
	args           []string
	code           int
	stdout, stderr string
}

func (r result) String() string {
	return fmt.Sprintf("strongroom %s: exit status %d\n%s%s", strings.Join(r.args, " "), r.code, r.stdout, r.stderr)
}

// messages returns the JSON messages of one type.
func (r result) messages(t *testing.T, kind string) []map[string]any {
	t.Helper()
	var all []map[string]any
	for line := range strings.Lines(r.stdout) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("not a message: %q: %v", line, err)
		}
		if m["type"] == kind {
			all = append(all, m)
		}
	}
	return all
}

// run runs the program to its end, which must come within a minute.
func (s *site) run(args ...string) result {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	cmd := s.command(args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	defer context.AfterFunc(ctx, func() { cmd.Process.Kill() })()
	err := cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.t.Fatal(err)
	}
	return result{args, cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// must runs the program, which must succeed.
func (s *site) must(args ...string) result {
	s.t.Helper()
	return s.exits(0, args...)
}

// exits runs the program, which must end with that status.
func (s *site) exits(code int, args ...string) result {
	s.t.Helper()
	r := s.run(args...)
	if r.code != code {
		s.t.Fatalf("want exit status %d of %v", code, r)
	}
	return r
}

// collect runs a collection that must be complete, and returns its run.
func (s *site) collect(source string) string {
	s.t.Helper()
	return keptRun(s.t, s.must("--json", "collect", source))
}

// keptRun returns the run that a collection says it has kept.
func keptRun(t *testing.T, r result) string {
	t.Helper()
	return kept(t, r)["run"].(string)
}

// kept returns the snapshot that a collection says it has kept.
func kept(t *testing.T, r result) map[string]any {
	t.Helper()
	all := r.messages(t, "kept")
	if len(all) != 1 {
		t.Fatalf("no snapshot was kept: %v", r)
	}
	return all[0]["snapshot"].(map[string]any)
}

func (s *site) keys() []string {
	return []string{"--outer-key", filepath.Join(s.home, "outer.key"), "--inner-key", filepath.Join(s.home, "inner.key")}
}

// verify reads all that a snapshot refers to.
func (s *site) verify(run string) {
	s.t.Helper()
	s.must(append([]string{"restore", run, "--verify"}, s.keys()...)...)
}

// restores restores a snapshot and compares it with what the tree was.
func (s *site) restores(run string, was print) {
	s.t.Helper()
	to, err := os.MkdirTemp(s.home, "restored-")
	if err != nil {
		s.t.Fatal(err)
	}
	defer os.RemoveAll(to)
	s.must(append([]string{"restore", run, "--to", to}, s.keys()...)...)
	if diff := cmp.Diff(was, printOf(s.t, filepath.Join(to, was.Root), was.Root)); diff != "" {
		s.t.Errorf("the tree and what run %s restores to (-was +restored):\n%s", run, diff)
	}
}

// A listing is what the store says of its snapshots.
type listing map[string]struct{ proven, partial bool }

// snapshots lists them by run.
func (s *site) snapshots() listing {
	s.t.Helper()
	all := make(listing)
	want := 0
	r := s.run("--json", "snapshots")
	for _, m := range r.messages(s.t, "snapshot") {
		all[m["run"].(string)] = struct{ proven, partial bool }{m["proven"].(bool), m["partial"].(bool)}
		if !m["proven"].(bool) {
			want = 3
		}
	}
	if r.code != want {
		s.t.Fatalf("want exit status %d of %v", want, r)
	}
	return all
}

// sound makes sure of a store that somebody left in the middle of things: its
// ledger can be verified, and it lists what is expected. It returns what there
// is besides, of which nothing refers to what is not there.
func (s *site) sound(expected map[string]print) (besides listing) {
	s.t.Helper()
	s.must("ledger", "verify")
	besides = s.snapshots()
	for run := range expected {
		if !besides[run].proven {
			s.t.Errorf("run %s was kept, and is now listed as %+v", run, besides[run])
		}
		delete(besides, run)
	}
	s.references(sortedKeys(besides)...)
	return besides
}

// references makes sure that the descriptions of these runs refer to what is
// there, by looking at the files, as somebody without the program would.
func (s *site) references(runs ...string) {
	s.t.Helper()
	for _, run := range runs {
		file := filepath.Join(s.store(), "snapshots", run+".json")
		b, err := os.ReadFile(file)
		if err != nil {
			s.t.Fatal(err)
		}
		d, err := safe.ParseSnapshot(b)
		if err != nil {
			s.t.Errorf("%s: %v", file, err)
			continue
		}
		names := []string{layout.Root(d.Run, d.Root), layout.Copy(layout.Root(d.Run, d.Root))}
		for run, needs := range d.Runs {
			for _, name := range []string{layout.Envelope(run), layout.EnvelopeCopy(run)} {
				if b, err := os.ReadFile(filepath.Join(s.store(), name)); err != nil || safe.DigestOf(b) != needs.Envelope {
					s.t.Errorf("%s: envelope %s: %v, or not what is described", file, name, err)
				}
			}
			for _, p := range needs.Packs {
				names = append(names, layout.Pack(run, p), layout.Parity(run, p))
			}
		}
		for _, name := range names {
			if _, err := os.Stat(filepath.Join(s.store(), name)); err != nil {
				s.t.Errorf("%s refers to what is not there: %v", file, err)
			}
		}
	}
}

// A print tells one state of a tree from another.
type print struct {
	Root  string // of the tree, as it was collected
	Lines string // an entry each: mode, time, content
}

// printOf takes the print of the tree in folder, which was collected as root.
func printOf(t *testing.T, folder, root string) print {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		var content string
		switch {
		case info.Mode().IsRegular():
			content = digestFile(t, path)[:16]
		case info.Mode()&fs.ModeSymlink != 0:
			content, err = os.Readlink(path)
		}
		fmt.Fprintf(&b, "%s %s %d %s\n", path[len(folder):], info.Mode(), info.ModTime().UnixNano(), content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return print{root, b.String()}
}

func digestFile(t *testing.T, path string) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() // nothing was written
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// sortedKeys returns the keys of a map in order, so that a seed gives the same
// test again.
func sortedKeys[K ~string, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
