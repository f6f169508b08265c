package promise

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"strongroom/internal/safe"
	"strongroom/internal/source/sftp/sshdtest"
	"strongroom/internal/store"
	"strongroom/internal/store/blob"
	"strongroom/internal/store/blob/dir"
	"strongroom/internal/store/catalog"
	"strongroom/internal/store/seal"
)

// built is where the program is, once it was asked for.
var built struct {
	once   sync.Once
	folder string
	err    error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if built.folder != "" {
		os.RemoveAll(built.folder)
	}
	os.Exit(code)
}

// program builds the program as it is released: without cgo, since otherwise
// it could not confine itself.
func program(t *testing.T) string {
	t.Helper()
	built.once.Do(func() {
		if built.folder, built.err = os.MkdirTemp("", "promise"); built.err != nil {
			return
		}
		// A result in the cache of go test holds for the files that were opened,
		// and the folders. So these are those of the program.
		for _, folder := range []string{"../../cmd", "../../internal"} {
			built.err = filepath.WalkDir(folder, func(_ string, _ fs.DirEntry, err error) error { return err })
			if built.err != nil {
				return
			}
		}
		build := exec.Command("go", "build", "-ldflags", "-s -w", "-o", built.folder, "strongroom/cmd/strongroom")
		build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
		if out, err := build.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("building the program: %w\n%s", err, out)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return filepath.Join(built.folder, "strongroom")
}

// A site is a safe that was made for one test, beneath one folder:
//
//	host/  all that is on the safe: strongroom.yaml, dir, store, and the
//	       credentials of its sources
//	keys/  both role keys, which are elsewhere
//	home/  of the user who calls the program
type site struct {
	t       *testing.T
	folder  string
	sources string // as they stand in the configuration
}

// newSite makes a safe with the given sources, in YAML without indentation.
func newSite(t *testing.T, sources string) *site {
	t.Helper()
	s := &site{t: t, folder: t.TempDir()}
	for _, name := range []string{"host", "keys", "home"} {
		if err := os.Mkdir(s.path(name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s.configure(sources)
	for _, role := range []string{"outer", "inner"} {
		s.must("keys", "new-role", role, "-o", s.path("keys", role))
	}
	s.must("init", "--outer", s.path("keys/outer.pub"), "--inner", s.path("keys/inner.pub"))
	return s
}

// of returns the same site for a test within the one that made it.
func (s *site) of(t *testing.T) *site {
	within := *s
	within.t = t
	return &within
}

func (s *site) path(elem ...string) string {
	return filepath.Join(append([]string{s.folder}, elem...)...)
}

// configure writes the configuration.
func (s *site) configure(sources string) {
	s.t.Helper()
	s.sources = sources
	var b strings.Builder
	fmt.Fprintf(&b, "safe: test\nstore: %s\ndir: %s\nkeep: { daily: 35d, at_least: 2 }\nsources:\n", s.path("host/store"), s.path("host/dir"))
	for line := range strings.Lines(sources) {
		b.WriteString("  " + line)
	}
	if err := os.WriteFile(s.path("host/strongroom.yaml"), []byte(b.String()), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// localSource is a source of one folder of this machine.
func localSource(name, folder, more string) string {
	return fmt.Sprintf("%s:\n  kind: local\n  include: [ %q ]\n%s", name, folder, more)
}

// sftpSource is a source of one folder of a server.
func sftpSource(name string, server *sshdtest.Server, folder, more string) string {
	return fmt.Sprintf("%s:\n  kind: sftp\n  host: %s@%s\n  host_key: %s\n  key: file:%s\n  include: [ %q ]\n%s",
		name, server.User, server.Addr, server.HostKey, server.KeyFile, folder, more)
}

// A result is what a call of the program came to.
type result struct {
	args     []string
	code     int
	out, err string
}

func (r result) String() string {
	return fmt.Sprintf("strongroom %s: exit status %d\n%s%s", strings.Join(r.args, " "), r.code, r.out, r.err)
}

// command returns a call of the program, as it is made from a terminal of its
// own user.
func (s *site) command(args ...string) *exec.Cmd {
	s.t.Helper()
	// What hangs is a failure, and shall be seen as one.
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	s.t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, program(s.t), append([]string{"-c", s.path("host/strongroom.yaml")}, args...)...)
	cmd.Env = []string{"HOME=" + s.path("home"), "PATH=" + os.Getenv("PATH"), "TZ=UTC"}
	return cmd
}

func (s *site) run(args ...string) result {
	s.t.Helper()
	return s.finish(s.command(args...))
}

// finish runs a command to its end.
func (s *site) finish(cmd *exec.Cmd) result {
	s.t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && (!ok || !exit.Exited()) {
		s.t.Fatalf("%v: %v\n%s", cmd.Args, err, errs.Bytes())
	}
	return result{args: cmd.Args[1:], code: cmd.ProcessState.ExitCode(), out: out.String(), err: errs.String()}
}

// must runs what has to succeed.
func (s *site) must(args ...string) result {
	s.t.Helper()
	r := s.run(args...)
	if r.code != 0 {
		s.t.Fatal(r)
	}
	return r
}

// read runs a command that reads the store at path, with both role keys.
func (s *site) read(store string, args ...string) result {
	s.t.Helper()
	return s.run(append(args, "--store", store, "--outer-key", s.path("keys/outer"), "--inner-key", s.path("keys/inner"))...)
}

func (s *site) outer() seal.OuterIdentity { return readKey(s, "outer", seal.ReadOuterIdentity) }
func (s *site) inner() seal.InnerIdentity { return readKey(s, "inner", seal.ReadInnerIdentity) }

// identities opens the envelopes that are in r with both role keys.
func (s *site) identities(r blob.Reader, d safe.Snapshot) store.Identities {
	return store.WithRoleKeys(r, d, []seal.OuterIdentity{s.outer()}, []seal.InnerIdentity{s.inner()})
}

// snapshots returns the descriptions in the store, oldest first, all proven.
func (s *site) snapshots(from *dir.Store) []safe.Snapshot {
	s.t.Helper()
	c, err := catalog.Read(s.t.Context(), from, catalog.Options{})
	if err != nil {
		s.t.Fatal(err)
	}
	listed, lost, err := c.Snapshots(s.t.Context(), from)
	if err != nil || len(lost) > 0 {
		s.t.Fatal(err, lost)
	}
	var all []safe.Snapshot
	for _, l := range listed {
		if l.Unproven != nil {
			s.t.Fatal(l.Unproven)
		}
		all = append(all, l.Snapshot)
	}
	return all
}

func (s *site) openStore(path string) *dir.Store {
	s.t.Helper()
	store, err := dir.Open(path)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { store.Close() })
	return store
}

// entry is a line of "ledger show --json".
type entry struct {
	Kind string          `json:"kind"`
	What json.RawMessage `json:"what"`
}

// ledger returns the entries of a kind.
func (s *site) ledger(kind string) []string {
	s.t.Helper()
	var found []string
	for line := range strings.Lines(s.must("ledger", "show", "--json").out) {
		var e entry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			s.t.Fatalf("%v: %s", err, line)
		}
		if e.Kind == kind {
			found = append(found, string(e.What))
		}
	}
	return found
}

// identity opens the envelope of a snapshot's run with both role keys.
func (s *site) identity(d safe.Snapshot) seal.RunIdentity {
	s.t.Helper()
	r := s.openStore(s.path("host/store"))
	identity, err := s.identities(r, d)(s.t.Context(), d.Run)
	if err != nil {
		s.t.Fatal(err)
	}
	return identity
}

// everyFile calls f for every regular file beneath a folder.
func everyFile(t *testing.T, folder string, f func(path string)) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			f(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// write writes files, each with the folders that it takes.
func write(t *testing.T, folder string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// containsAll reports whether every one of words stands in text.
func containsAll(text string, words ...string) bool {
	return !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(text, word) })
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can look at other processes, or give files away")
	}
}

// randomText returns n bytes that cannot be compressed.
func randomText(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return string(b)
}

func mustRead(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func storeID(t *testing.T, from *dir.Store) safe.StoreID {
	t.Helper()
	id, err := catalog.ReadStoreID(t.Context(), from)
	if err != nil {
		t.Fatal(err)
	}
	return id
}
