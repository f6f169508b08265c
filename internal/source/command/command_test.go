//go:build linux

package command_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"strongroom/internal/safe"
	"strongroom/internal/source"
	"strongroom/internal/source/command"
	"strongroom/internal/source/sftp/sshdtest"
	"strongroom/internal/source/sourcetest"
	"strongroom/internal/source/sshclient"
)

// optionsFor leads to a server.
func optionsFor(server *sshdtest.Server) command.Options {
	return command.Options{
		SSH:  sshclient.Options{Addr: server.Addr, User: server.User, HostKeys: []string{server.HostKey}, Key: server.PrivateKey},
		Name: "dump.sql",
	}
}

// openSSH starts OpenSSH with a key of these options and returns options that
// lead to it.
func openSSH(t *testing.T, keyOptions string) command.Options {
	t.Helper()
	return optionsFor(sshdtest.ForTest(t, sshdtest.Options{KeyOptions: keyOptions}))
}

// forced is what production writes before the safe's key.
func forced(text string) string {
	return `restrict,command="` + strings.ReplaceAll(text, `"`, `\"`) + `"`
}

func newSource(t *testing.T, o command.Options) source.Source {
	t.Helper()
	s, err := command.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// An outcome is what a pull came to.
type outcome struct {
	path, content string // "" if there was no entry
	complaint     string
	err           error
}

func pull(t *testing.T, o command.Options) (got outcome) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	note := func(p source.Problem) {
		if p.Kind != source.Complaint || p.Path != o.Name || got.complaint != "" {
			t.Errorf("problem %v", &p)
		}
		got.complaint = p.Err.Error()
	}
	for item, err := range newSource(t, o).Pull(ctx, source.Request{Report: note}) {
		if got.err != nil {
			t.Fatalf("after the error %v came %v", got.err, item)
		}
		if err != nil {
			got.err = err
			continue
		}
		if item.Type != safe.Stream || got.path != "" {
			t.Errorf("an entry %v", item.Entry)
		}
		b, err := io.ReadAll(item.Content)
		if err != nil {
			t.Errorf("reading: %v", err)
		}
		got.path, got.content = item.Path, string(b)
	}
	return got
}

// check compares what a pull came to; err and complaint are parts of what is
// said.
func (got outcome) check(t *testing.T, path, content, complaint, err string) {
	t.Helper()
	if got.path != path || got.content != content {
		t.Errorf("entry %q with %.200q, want %q with %.200q", got.path, got.content, path, content)
	}
	if (got.complaint == "") != (complaint == "") || !strings.Contains(got.complaint, complaint) {
		t.Errorf("complaint %q, want one with %q", got.complaint, complaint)
	}
	if (got.err == nil) != (err == "") || got.err != nil && !strings.Contains(got.err.Error(), err) {
		t.Errorf("error %v, want one with %q", got.err, err)
	}
}

func TestConformance(t *testing.T) {
	file := filepath.Join(t.TempDir(), "content")
	cat := openSSH(t, forced("cat '"+file+"'"))
	endless := openSSH(t, forced("exec cat /dev/zero"))
	silent := openSSH(t, forced("exec sleep 3"))
	with := func(t *testing.T, o command.Options, limits source.Limits) source.Source {
		o.Limits = limits
		return newSource(t, o)
	}
	sourcetest.RunStream(t, sourcetest.StreamKind{
		New: func(t *testing.T, content string, limits source.Limits) source.Source {
			if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			return with(t, cat, limits)
		},
		Endless: func(t *testing.T, limits source.Limits) source.Source { return with(t, endless, limits) },
		Silent:  func(t *testing.T) source.Source { return with(t, silent, source.Limits{}) },
	})
}

// TestOpenSSH runs commands that production could force.
func TestOpenSSH(t *testing.T) {
	const pgEnd = "--\n-- PostgreSQL database dump complete\n--\n\n"
	tests := []struct {
		name, command           string
		endsWith                string
		allowEmpty              bool
		content, complaint, err string
	}{
		{name: "all is well", command: "echo data", content: "data\n"},
		{name: "sees no text of the safe", command: `printf "<%s>" "$SSH_ORIGINAL_COMMAND"`, content: "<>"},
		{name: "has no input", command: "wc -c", content: "0\n"},
		{name: "warns", command: "echo data; echo mind the gap >&2", content: "data\n", complaint: "error: mind the gap"},
		{name: "fails at last", command: "echo data; echo broken pipe >&2; exit 3", content: "data\n", complaint: "broken pipe", err: "exit status 3"},
		{name: "fails at once", command: "echo denied >&2; exit 1", complaint: "denied", err: "exit status 1"},
		{name: "dies", command: "echo data; kill -SEGV $$", content: "data\n", err: "SIGSEGV"},
		{name: "is not there", command: "/nonexistent/dump", complaint: "/nonexistent/dump", err: "exit status 127"},
		{name: "nothing", command: "true", err: "gave no output"},
		{name: "nothing, and so be it", command: "true", allowEmpty: true},
		{name: "failed, and nothing is no excuse", command: "false", allowEmpty: true, err: "exit status 1"},
		{name: "whole dump", command: "echo x; printf -- '" + strings.ReplaceAll(pgEnd, "\n", `\n`) + "'", endsWith: "-- PostgreSQL database dump complete", content: "x\n" + pgEnd},
		{name: "broken dump", command: "echo -- PostgreSQL database dump; echo x", endsWith: "-- PostgreSQL database dump complete", content: "-- PostgreSQL database dump\nx\n", err: "does not end as it should"},
		{name: "goes on in the background", command: "(sleep 0.5; echo more) & echo data", content: "data\nmore\n"},
		{name: "closes its output first", command: "echo data; exec >&-; sleep 0.5; exit 4", content: "data\n", err: "exit status 4"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := openSSH(t, forced(tt.command))
			o.EndsWith, o.AllowEmpty = tt.endsWith, tt.allowEmpty
			path := o.Name
			if tt.content == "" && !(tt.allowEmpty && tt.err == "") {
				path = ""
			}
			pull(t, o).check(t, path, tt.content, tt.complaint, tt.err)
		})
	}
}

// TestNoCommandForced pulls from an account that would give the safe a shell.
func TestNoCommandForced(t *testing.T) {
	o := openSSH(t, "restrict")
	got := pull(t, o)
	if got.err == nil {
		t.Errorf("a shell without input passed for a command: %+v", got)
	}
	if got.content == "" { // the shell's profile may print something
		got.check(t, "", "", got.complaint, `restrict,command=`)
	}
	o.Command = `echo "by text"`
	pull(t, o).check(t, o.Name, "by text\n", "", "")

	o = openSSH(t, forced("echo $SSH_ORIGINAL_COMMAND"))
	o.Command = "the text"
	pull(t, o).check(t, o.Name, "the text\n", "", "")
}

func TestProbe(t *testing.T) {
	ran := filepath.Join(t.TempDir(), "ran")
	o := openSSH(t, forced("touch '"+ran+"'; echo data"))
	probe := func() error { return newSource(t, o).(*command.Source).Probe(t.Context()) }
	if err := probe(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(ran); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the command was run: %v", err)
	}
	o = openSSH(t, `command="echo data"`)
	if err := probe(); err == nil || !strings.Contains(err.Error(), "terminal") {
		t.Errorf("a key without restrict: %v", err)
	}
	o = openSSH(t, "no-touch-required") // nothing at all
	if err := probe(); err == nil || !strings.Contains(err.Error(), "terminal") {
		t.Errorf("a key that may do anything: %v", err)
	}
}

func TestNewRefuses(t *testing.T) {
	for _, name := range []string{"", ".", "..", "a/b", "/a", "a\x00b", strings.Repeat("n", 256)} {
		o := openSSH(t, "restrict")
		o.Name = name
		if _, err := command.New(o); err == nil || !strings.Contains(err.Error(), "name") {
			t.Errorf("name %q: error %v", name, err)
		}
	}
	o := openSSH(t, "restrict")
	o.SSH.HostKeys = nil
	if _, err := command.New(o); err == nil || !strings.Contains(err.Error(), "pinned") {
		t.Errorf("no host key: error %v", err)
	}
}
