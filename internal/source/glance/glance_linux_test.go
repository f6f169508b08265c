package glance_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/safe"
	"strongroom/internal/source"
	"strongroom/internal/source/glance"
	"strongroom/internal/source/sftp/sshdtest"
	"strongroom/internal/source/sshclient"
)

// seen is what one glance has shown.
type seen struct {
	entries  []string
	contents map[string]string
	problems map[string]source.Kind
}

func options(t *testing.T) glance.Options {
	t.Helper()
	s := sshdtest.ForTest(t, sshdtest.Options{})
	return glance.Options{SSH: sshclient.Options{Addr: s.Addr, User: s.User, HostKeys: []string{s.HostKey}, Key: s.PrivateKey}}
}

func look(t *testing.T, o glance.Options) (seen, error) {
	t.Helper()
	s, err := glance.New(o)
	if err != nil {
		t.Fatal(err)
	}
	got := seen{contents: make(map[string]string), problems: make(map[string]source.Kind)}
	request := source.Request{Report: func(p source.Problem) { got.problems[p.Path] = p.Kind }}
	for item, err := range s.Pull(t.Context(), request) {
		if err != nil {
			return got, err
		}
		if n := len(got.entries); n > 0 && safe.ComparePaths(got.entries[n-1], item.Path) >= 0 || safe.CheckPath(item.Path) != nil {
			t.Errorf("%q comes after %q", item.Path, got.entries)
		}
		got.entries = append(got.entries, item.Path)
		if item.Type != safe.File {
			continue
		}
		b, err := io.ReadAll(item.Content)
		if err != nil || int64(len(b)) != item.Size {
			t.Errorf("%s has %d bytes of %d, %v", item.Path, len(b), item.Size, err)
		}
		got.contents[item.Path] = string(b)
	}
	return got, nil
}

// A real OpenSSH server, the real kernel.
func TestGlanceAtThisHost(t *testing.T) {
	o := options(t)
	o.Once, o.Often, o.Looks, o.Pause = glance.Identity, glance.Sockets, 3, time.Millisecond
	got, err := look(t, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"etc", "etc/hosts", "proc", "proc/net", "proc/net/fib_trie", "proc/net/tcp"} {
		if !slices.Contains(got.entries, want) {
			t.Errorf("%s was not seen: %q", want, got.entries)
		}
	}
	tcp := got.contents["proc/net/tcp"]
	if n := strings.Count(tcp, "local_address"); n != 3 {
		t.Errorf("%d looks at the sockets, want 3:\n%s", n, tcp)
	}
	if !strings.Contains(tcp, "0100007F") {
		t.Errorf("the connection of the glance itself is not there:\n%s", tcp)
	}
	want, err := os.ReadFile("/etc/hosts")
	if err != nil || got.contents["etc/hosts"] != string(want) {
		t.Errorf("/etc/hosts is %q, want %q, %v", got.contents["etc/hosts"], want, err)
	}
	if len(got.problems) > 0 {
		t.Errorf("problems %v", got.problems)
	}
}

func TestGlanceAtWhatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "fine"), []byte("fine"), 0o600); err != nil {
		t.Fatal(err)
	}
	o := options(t)
	o.Once = []string{"/dev/zero", dir, filepath.Join(dir, "fine"), filepath.Join(dir, "fine"), filepath.Join(dir, "none"), filepath.Join(dir, "wanted")}
	o.Required = []string{dir, filepath.Join(dir, "wanted")}
	got, err := look(t, o)
	if err != nil {
		t.Fatal(err)
	}
	name := func(file string) string { return filepath.Join(dir[1:], file) }
	if diff := cmp.Diff(map[string]string{name("fine"): "fine"}, got.contents); diff != "" {
		t.Errorf("what was read (-want +got):\n%s", diff)
	}
	want := map[string]source.Kind{"dev/zero": source.Unseen, dir[1:]: source.Unreadable, name("wanted"): source.Missing}
	if diff := cmp.Diff(want, got.problems); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

// What is held in memory is bounded, however many files there are.
func TestGlanceAtTooMuch(t *testing.T) {
	dir := t.TempDir()
	o := options(t)
	for i := range 6 {
		large := filepath.Join(dir, fmt.Sprint("large", i))
		if err := os.WriteFile(large, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(large, glance.Most); err != nil {
			t.Fatal(err)
		}
		o.Once = append(o.Once, large)
	}
	got, err := look(t, o)
	if err != nil {
		t.Fatal(err)
	}
	held := 0
	for _, content := range got.contents {
		held += len(content)
	}
	if held != glance.MostOfAll || len(got.problems) != 2 {
		t.Errorf("%d bytes are held, and the problems are %v", held, got.problems)
	}
}

// A server that does not answer ends the glance, and so does whoever waits.
func TestGlanceThatNobodyAnswers(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	o := options(t)
	o.Once, o.Stall = []string{pipe}, 100*time.Millisecond
	if _, err := look(t, o); err == nil || !strings.Contains(err.Error(), "silent") {
		t.Errorf("the error is %v, want that the server is silent", err)
	}

	o.Once, o.Often, o.Looks, o.Pause, o.Stall = nil, glance.Sockets, 2, time.Hour, 0
	s, err := glance.New(o)
	if err != nil {
		t.Fatal(err)
	}
	stopped := errors.New("stopped")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(200*time.Millisecond, func() { cancel(stopped) })
	for item, err := range s.Pull(ctx, source.Request{}) {
		if !errors.Is(err, stopped) {
			t.Errorf("%v, %v, want that it was stopped", item.Path, err)
		}
	}
}

func TestGlanceAtPathsThatCannotBe(t *testing.T) {
	for _, file := range []string{"", "etc/hosts", "/etc/../hosts", "/etc/", "/a\x00b"} {
		o := options(t)
		o.Once = []string{file}
		if _, err := glance.New(o); err == nil {
			t.Errorf("%q can be looked at", file)
		}
	}
}
