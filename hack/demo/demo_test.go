package main

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/daemon/mail"
	"strongroom/internal/daemon/mail/smtptest"
	"strongroom/internal/safe/config"
)

// TestDifferences changes one thing of a restored tree at a time: a comparison
// that overlooks one of them would make the demonstration a lie.
func TestDifferences(t *testing.T) {
	zone := time.Local
	time.Local = time.UTC
	t.Cleanup(func() { time.Local = zone })
	cases := []struct {
		name   string
		change func(at func(string) string) error
		want   []string
	}{
		{"nothing", func(func(string) string) error { return nil }, nil},
		{"content of the same size", func(at func(string) string) error { return keepTime(at("a/file"), []byte("CONTENT")) },
			[]string{"/top/a/file: other content"}},
		{"size", func(at func(string) string) error { return keepTime(at("a/file"), []byte("contents")) },
			[]string{"/top/a/file: size 8, was 7; other content"}},
		{"permissions", func(at func(string) string) error { return os.Chmod(at("a/file"), 0o600) },
			[]string{"/top/a/file: mode -rw-------, was -rw-r--r--"}},
		{"time of a folder", func(at func(string) string) error {
			return os.Chtimes(at("a"), time.Time{}, past.Add(time.Second))
		}, []string{"/top/a: time 2026-01-02 03:04:06, was 2026-01-02 03:04:05"}},
		{"a file vanished", func(at func(string) string) error { return settle(at("a"), os.Remove(at("a/file"))) },
			[]string{"/top/a/file: vanished"}},
		{"a file appeared", func(at func(string) string) error {
			return settle(at("a"), os.WriteFile(at("a/new"), nil, 0o644))
		}, []string{"/top/a/new: appeared"}},
		{"target of a link", func(at func(string) string) error {
			return errors.Join(os.Remove(at("link")), os.Symlink("b", at("link")), settle(at(""), nil))
		}, []string{"/top/link: target b, was a"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			production, restored := t.TempDir(), t.TempDir()
			plant(t, production)
			plant(t, restored)
			if err := c.change(func(name string) string { return filepath.Join(restored, "top", name) }); err != nil {
				t.Fatal(err)
			}
			before, err := take(production, []string{"/top"})
			if err != nil {
				t.Fatal(err)
			}
			after, err := take(restored, []string{"/top"})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, x := range ignoreLinkTime(after, before).differences(before) {
				got = append(got, x.String())
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("differences (-want +got):\n%s", d)
			}
		})
	}
}

var past = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// plant makes the same small tree anywhere.
func plant(t *testing.T, folder string) {
	t.Helper()
	top := filepath.Join(folder, "top")
	err := errors.Join(
		os.MkdirAll(filepath.Join(top, "a"), 0o755),
		keepTime(filepath.Join(top, "a/file"), []byte("content")),
		os.Symlink("a", filepath.Join(top, "link")),
		settle(filepath.Join(top, "a"), nil),
		settle(top, nil),
	)
	if err != nil {
		t.Fatal(err)
	}
}

// keepTime writes a file of the past.
func keepTime(path string, content []byte) error {
	return errors.Join(os.WriteFile(path, content, 0o644), settle(path, nil))
}

// settle gives a path the time that all of the tree has.
func settle(path string, err error) error {
	return errors.Join(err, os.Chtimes(path, time.Time{}, past))
}

// ignoreLinkTime gives links the time they had: the standard library cannot
// set it, so that the two trees may differ by a second.
func ignoreLinkTime(after, before inventory) inventory {
	for path, it := range after {
		if was, ok := before[path]; ok && it.mode&fs.ModeSymlink != 0 {
			it.modified = was.modified
			after[path] = it
		}
	}
	return after
}

func TestStrangers(t *testing.T) {
	top := t.TempDir()
	for _, folder := range []string{"usr/share/doc/x", "usr/include"} {
		if err := os.MkdirAll(filepath.Join(top, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := strangers(top, []string{"/usr/share/doc", "/usr/include"}); err != nil {
		t.Errorf("what was specified is a stranger: %v", err)
	}
	if err := os.WriteFile(filepath.Join(top, "usr/share/note"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	err := strangers(top, []string{"/usr/share/doc", "/usr/include"})
	if err == nil || !strings.Contains(err.Error(), "usr/share/note") {
		t.Errorf("a file beside what was specified gives %v", err)
	}
}

// TestPrepareSparesOthers makes sure that no folder is removed but our own.
func TestPrepareSparesOthers(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := errors.Join(os.MkdirAll("bin", 0o755), os.MkdirAll("demo", 0o755), os.WriteFile("bin/strongroom", nil, 0o755),
		os.WriteFile("bin/age", nil, 0o755), os.WriteFile("demo/precious", []byte("x"), 0o644)); err != nil {
		t.Fatal(err)
	}
	if _, err := prepare(); err == nil {
		t.Error("a folder that is not ours was taken")
	}
	if _, err := os.Stat("demo/precious"); err != nil {
		t.Errorf("somebody's file is gone: %v", err)
	}
	if err := os.WriteFile("demo/go.mod", []byte("module demo\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := prepare(); err == nil {
		t.Error("a folder with another go.mod was taken")
	}
	if err := errors.Join(os.WriteFile("demo/go.mod", []byte(markerText), 0o644), os.Chmod("demo", 0o500)); err != nil {
		t.Fatal(err)
	}
	if _, err := prepare(); err != nil {
		t.Errorf("making our own folder anew: %v", err)
	}
	if _, err := os.Stat("demo/precious"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what the last demo left is still there: %v", err)
	}
}

func TestWrap(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{"", ">\n"},
		{"fits", "> fits\n"},
		{"a table   keeps  its", "> a table   keeps  its\n"},
		{"one line that is too long for it, and more", "> one line that is too\n>>> long for it, and more\n"},
		{"averyveryverylongwordthatcannotbebroken then", "> averyveryverylongwordthatcannotbebroken\n>>> then\n"},
	} {
		if d := cmp.Diff(c.want, wrap(c.line, "> ", ">>> ", 25)); d != "" {
			t.Errorf("wrap(%q) (-want +got):\n%s", c.line, d)
		}
	}
}

func TestFigures(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 26583: "26,583", 1234567: "1,234,567"} {
		if got := count(n); got != want {
			t.Errorf("count(%d) = %q, want %q", n, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 99960: "100 kB", 999600: "1.0 MB", 351383389: "351 MB", 12012000: "12.0 MB"} {
		if got := size(n); got != want {
			t.Errorf("size(%d) = %q, want %q", n, got, want)
		}
	}
}

// TestBackground starts what would go on for long, and makes sure that it ends
// when it is stopped, with what it has started, and leaves its output.
func TestBackground(t *testing.T) {
	d := &demo{story: &story{out: io.Discard, width: 80}, ctx: t.Context(), home: t.TempDir()}
	if err := os.Mkdir(d.path("machine"), 0o700); err != nil {
		t.Fatal(err)
	}
	// It ends as a server does: it is told to, and says so.
	b, err := d.start("machine", `sh -c 'trap "echo ends; exit 0" TERM; echo begins; while :; do sleep 0.01; done'`, "log")
	if err != nil {
		t.Fatal(err)
	}
	wait := func(want string) {
		t.Helper()
		err := d.wait(want, func() (bool, error) { out, err := b.output(); return out == want, err })
		if err != nil {
			t.Error(err)
		}
	}
	wait("begins\n")
	b.stop()
	wait("begins\nends\n")
	if b.err != nil {
		t.Errorf("it ended with %v", b.err)
	}
	if err := syscall.Kill(-b.cmd.Process.Pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("something of it still runs (%v)", err)
	}
	b.stop() // again does no harm
	(*background)(nil).stop()
}

// TestShell: what a machine's commands get to see is that machine's, and an
// exit status other than promised is an error that shows what was said.
func TestShell(t *testing.T) {
	t.Setenv("STRONGROOM_PROFILE", "/somebody")
	t.Setenv("SSH_AUTH_SOCK", "/somebody")
	d := &demo{story: &story{out: io.Discard, width: 80}, ctx: t.Context(), home: t.TempDir()}
	if err := os.Mkdir(d.path("operator"), 0o700); err != nil {
		t.Fatal(err)
	}
	out, err := d.quietly("operator", `echo "$HOME $XDG_CONFIG_HOME $STRONGROOM_PROFILE$SSH_AUTH_SOCK."; exit 4`, 4)
	if want := d.path("operator") + " " + d.path("operator/config") + " .\n"; out != want || err != nil {
		t.Errorf("the machine sees %q (%v), want %q", out, err, want)
	}
	if _, err := d.quietly("operator", "echo reason; exit 1", 0); err == nil || !strings.Contains(err.Error(), "reason\nexit status 1, where 0 was promised") {
		t.Errorf("another exit status than promised gives %v", err)
	}
	if err := d.says("operator", "echo one thing", 0, "another"); err == nil {
		t.Error("other words than promised are no error")
	}
}

// TestDoors: two ports are found, and one that is open is noticed.
func TestDoors(t *testing.T) {
	found, err := findDoor()
	if err != nil {
		t.Fatal(err)
	}
	if err := shut(found.api, found.gate); err != nil || found.api == found.gate {
		t.Errorf("%+v are not two free ports (%v)", found, err)
	}
	l, err := net.Listen("tcp", found.gate)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := shut(found.api, found.gate); err == nil || !strings.Contains(err.Error(), found.gate) {
		t.Errorf("an open port gives %v", err)
	}
}

// TestRead reads a mail as the safe sends it, over the wire and out of its
// file.
func TestRead(t *testing.T) {
	server, err := smtptest.Start(smtptest.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Stop()
	host, port, err := net.SplitHostPort(server.Addr)
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	sender := &mail.Sender{Config: config.Mail{Server: config.Server{Name: host, Port: number}, From: "safe@acme.example", TLS: config.NoTLS}}
	text := "Grüße, und eine Zeile, die viel zu lang ist, um in einer Mail als eine Zeile zu stehen, wenn sie so kodiert ist.\n\nCHECK IT YOURSELF\n"
	message := mail.Message{ID: "1@acme.example", Subject: "[acme] “otto” asks to read", Text: text, HTML: "<!doctype html><html><p>Grüße</p></html>\n", Checkpoint: []byte("checkpoint\n")}
	if err := sender.Send(t.Context(), "kim@acme.example", message); err != nil {
		t.Fatal(err)
	}
	mails := server.Mails()
	if len(mails) != 1 {
		t.Fatalf("%d mails arrived, want 1", len(mails))
	}
	got, err := read(mails[0])
	if err != nil {
		t.Fatal(err)
	}
	want := letter{to: "kim@acme.example", subject: message.Subject, file: mails[0].File, text: text, html: message.HTML}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(letter{})); d != "" {
		t.Errorf("the mail as it is read (-want +got):\n%s", d)
	}
	page, err := render(got)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(page); string(b) != message.HTML || err != nil {
		t.Errorf("the page is %q (%v)", b, err)
	}
}

func TestWordsIn(t *testing.T) {
	const out = "kim is enrolled at the safe acme. The words of this enrolment:\n  dumb spy exhibit amount village tonight derive defense\nRead them by voice to the person who adds you.\n"
	if got, err := wordsIn(out); got != "dumb spy exhibit amount village tonight derive defense" || err != nil {
		t.Errorf("the words are %q (%v)", got, err)
	}
	for _, bad := range []string{"", out + out, "  one two three four five six seven\n"} {
		if got, err := wordsIn(bad); err == nil {
			t.Errorf("%q has the words %q", bad, got)
		}
	}
}

func TestMessage(t *testing.T) {
	const out = "a note\n{\"type\":\"opening\",\"opening\":\"1\",\"reason\":\"a\"}\n{\"type\":\"opening\",\"opening\":\"2\",\"reason\":\"b\"}\n"
	with := func(reason string) func(closing) bool { return func(c closing) bool { return c.Reason == reason } }
	got, err := message(out, with("b"))
	if want := (closing{Type: "opening", Opening: "2", Reason: "b"}); got != want || err != nil {
		t.Errorf("the message is %+v (%v), want %+v", got, err, want)
	}
	if _, err := message(out, with("c")); err == nil {
		t.Error("a message that is not there is found")
	}
	if _, err := message(out+out, with("b")); err == nil {
		t.Error("of two messages one is chosen")
	}
}
