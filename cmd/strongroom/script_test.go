package main

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/rogpeppe/go-internal/testscript"

	"strongroom/internal/daemon/mail/smtptest"
	"strongroom/internal/porttest"
	"strongroom/internal/source/sftp/sshdtest"
)

// programDir holds the program that the scripts run.
var programDir string

// TestMain builds the program as it is released, without cgo: what it starts
// confines itself, which a test binary linked with the race detector cannot.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "strongroom" {
		os.Exit(runClocked()) // this test binary, as the command clocked has linked it
	}
	os.Exit(func() int {
		var err error
		if programDir, err = os.MkdirTemp("", "strongroom-script-"); err != nil {
			fmt.Fprintln(os.Stderr, "making a folder for the program:", err)
			return 1
		}
		defer os.RemoveAll(programDir) // what is left lies among temporary files
		build := exec.Command("go", "build", "-o", filepath.Join(programDir, "strongroom"), ".")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "building the program: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// TestScript runs the scripts, each named for the behaviour that it guards.
// Beside testscript's own commands there are those of scriptCommands.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds:                scriptCommands,
		Condition:           condition,
		Setup: func(env *testscript.Env) error {
			home := filepath.Join(env.WorkDir, "home")
			env.Setenv("HOME", home)
			env.Setenv("TZ", "UTC")
			env.Setenv("PATH", programDir+string(filepath.ListSeparator)+env.Getenv("PATH"))
			return os.Mkdir(home, 0o700)
		},
	})
}

// condition tells whether this machine has what a script needs. In CI all must
// be there.
func condition(name string) (bool, error) {
	if name == "race" {
		return raceDetector, nil
	}
	if os.Getenv("CI") != "" {
		return true, nil
	}
	switch name {
	case "sshd":
		_, err := os.Stat("/usr/sbin/sshd")
		return err == nil, nil
	default:
		return false, fmt.Errorf("unknown condition %q", name)
	}
}

var scriptCommands = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"exits":    exits,
	"expand":   expand,
	"safe":     makeSafe,
	"messages": messages,
	"capture":  capture,
	"harmless": harmless,
	"mode":     mode,
	"damage":   damage,
	"sshd":     startServer,
	"port":     freePort,
	"answers":  answers,
	"smtp":     startMailServer,
	"api":      startAPI,
	"clocked":  clocked,
}

// exits runs a program that must end with that exit status:
//
//	exits 2 strongroom collect
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits NUMBER PROGRAM [ARG...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("running it: %v", err)
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

// expand replaces variables in files, such as $WORK:
//
//	expand strongroom.yaml
func expand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: expand FILE...")
	}
	for _, file := range args {
		content := os.Expand(ts.ReadFile(file), ts.Getenv)
		ts.Check(os.WriteFile(ts.MkAbs(file), []byte(content), 0o600))
	}
}

// makeSafe makes role keys and the safe that strongroom.yaml describes, in
// which it first expands variables:
//
//	safe
func makeSafe(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: safe")
	}
	expand(ts, false, []string{"strongroom.yaml"})
	ts.Check(ts.Exec("strongroom", "keys", "new-role", "outer"))
	ts.Check(ts.Exec("strongroom", "keys", "new-role", "inner"))
	ts.Check(ts.Exec("strongroom", "init", "--outer", "outer.key.pub", "--inner", "inner.key.pub"))
}

// messages checks that standard output is a stream of messages for scripts,
// and that these types were among them:
//
//	messages kept warning
func messages(ts *testscript.TestScript, neg bool, args []string) {
	var types []string
	for line := range strings.Lines(ts.ReadFile("stdout")) {
		var message struct {
			Version int    `json:"v"`
			Type    string `json:"type"`
		}
		if err := json.Unmarshal([]byte(line), &message); err != nil {
			ts.Fatalf("not a JSON object on a line: %q: %v", line, err)
		}
		if message.Version != 1 || message.Type == "" {
			ts.Fatalf("not a message of version 1 with a type: %s", line)
		}
		types = append(types, message.Type)
	}
	for _, want := range args {
		if slices.Contains(types, want) == neg {
			ts.Fatalf("messages of the types %q; %q among them: %v", types, want, !neg)
		}
	}
	if said := ts.ReadFile("stderr"); said != "" {
		ts.Fatalf("with --json nothing belongs on standard error: %q", said)
	}
}

// capture sets a variable to what the parentheses match on standard output:
//
//	capture RUN 'run ([0-9a-f-]{36})'
func capture(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: capture VARIABLE PATTERN")
	}
	pattern, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	found := pattern.FindStringSubmatch(ts.ReadFile("stdout"))
	if len(found) != 2 {
		ts.Fatalf("no %s with one group on standard output", args[1])
	}
	ts.Setenv(args[0], found[1])
}

// harmless checks that nothing was written that a terminal obeys:
//
//	harmless
func harmless(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) > 0 {
		ts.Fatalf("usage: harmless")
	}
	for _, file := range []string{"stdout", "stderr", "ttyout"} {
		hostile := func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) && !(file == "ttyout" && r == '\r') }
		if s := ts.ReadFile(file); strings.ContainsFunc(s, hostile) != neg {
			ts.Fatalf("%s: harmless: %v: %q", file, neg, s)
		}
	}
}

// mode checks the permissions of a file:
//
//	mode 0400 outer.key
func mode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: mode OCTAL FILE")
	}
	info, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := fmt.Sprintf("%04o", info.Mode().Perm()); got != args[0] {
		ts.Fatalf("%s has mode %s, want %s", args[1], got, args[0])
	}
}

// damage changes a byte in the middle of the largest file below a folder whose
// path has that in it:
//
//	damage store/runs packs
func damage(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: damage FOLDER PART")
	}
	var largest string
	var size int64
	ts.Check(filepath.WalkDir(ts.MkAbs(args[0]), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || !strings.Contains(path, args[1]) {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Size() > size {
			largest, size = path, info.Size()
		}
		return err
	}))
	if largest == "" {
		ts.Fatalf("no file below %s", args[0])
	}
	b, err := os.ReadFile(largest)
	ts.Check(err)
	b[size/2] ^= 1
	ts.Check(os.Chmod(largest, 0o600))
	ts.Check(os.WriteFile(largest, b, 0o600))
	ts.Check(os.Chmod(largest, 0o400))
}

// startServer starts an SSH server that lets read by SFTP, or whatever these
// options of the key allow, and sets SSH_HOST, SSH_HOST_KEY and SSH_KEY as a
// source needs them:
//
//	[!sshd] skip 'there is no OpenSSH server'
//	sshd
//	sshd 'restrict,command="pg_dumpall"'
func startServer(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 1 {
		ts.Fatalf("usage: sshd [KEY-OPTIONS]")
	}
	var options sshdtest.Options
	if len(args) == 1 {
		options.KeyOptions = args[0]
	}
	folder, err := os.MkdirTemp(ts.Getenv("WORK"), "sshd")
	ts.Check(err)
	s, err := sshdtest.Start(folder, options)
	ts.Check(err)
	ts.Defer(s.Stop)
	ts.Setenv("SSH_HOST", s.User+"@"+s.Addr)
	ts.Setenv("SSH_HOST_KEY", s.HostKey)
	ts.Setenv("SSH_KEY", s.KeyFile)
}

// startMailServer starts a mail server that wants STARTTLS and a login, keeps
// mails in the folder mails, and sets SMTP_ADDR as a configuration needs it. The
// program trusts its certificate.
//
//	smtp USER PASSWORD
func startMailServer(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: smtp USER PASSWORD")
	}
	ts.Check(os.Mkdir(ts.MkAbs("mails"), 0o700))
	s, err := smtptest.Start(smtptest.Options{Dir: ts.MkAbs("mails"), StartTLS: true, User: args[0], Password: args[1]})
	ts.Check(err)
	ts.Defer(s.Stop)
	ts.Check(os.WriteFile(ts.MkAbs("mail-ca.pem"), s.Certificate, 0o600))
	ts.Setenv("SMTP_ADDR", s.Addr)
	ts.Setenv("SSL_CERT_FILE", ts.MkAbs("mail-ca.pem"))
}

// freePort sets a variable to a port of this host that nobody listens on:
//
//	port PORT
func freePort(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: port VARIABLE")
	}
	port, err := porttest.Free()
	ts.Check(err)
	ts.Setenv(args[0], port)
}

// answers waits until a server answers a GET over HTTPS with that status,
// whatever its certificate:
//
//	answers 401 https://127.0.0.1:$PORT/v1/people
func answers(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: answers STATUS URL")
	}
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	var got string
	for range 100 {
		res, err := client.Get(args[1])
		if err != nil {
			got = err.Error()
		} else {
			res.Body.Close()
			if got = strconv.Itoa(res.StatusCode); got == args[0] {
				return
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	ts.Fatalf("%s answers %s, want %s", args[1], got, args[0])
}
