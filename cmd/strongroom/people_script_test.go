package main

import (
	"crypto/ed25519"
	"encoding/pem"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/crypto/ssh"
)

// TestPeopleScript runs the scripts of several people and a safe that serves
// them, each with a home of their own and an address of their own.
func TestPeopleScript(t *testing.T) {
	commands := maps.Clone(scriptCommands)
	maps.Copy(commands, map[string]func(ts *testscript.TestScript, neg bool, args []string){
		"as":      as,
		"stopped": stopped,
		"serving": serving,
		"founded": founded,
		"enrols":  enrols,
		"wordsof": wordsOf,
	})
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/people",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds:                commands,
		Condition:           condition,
		Setup: func(env *testscript.Env) error {
			env.Setenv("TZ", "UTC")
			env.Setenv("PATH", programDir+string(filepath.ListSeparator)+env.Getenv("PATH"))
			env.Setenv("HOME", filepath.Join(env.WorkDir, "root"))
			if err := os.Mkdir(filepath.Join(env.WorkDir, "root"), 0o700); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(env.WorkDir, "strongroom.yaml"), []byte(peopleConfig), 0o600)
		},
	})
}

// raceDetector says that this test binary is linked with it.
var raceDetector = false

// peopleConfig is the configuration of the safe in these scripts.
const peopleConfig = `safe: acme
dir: $WORK/safe
store: $WORK/store
serve:
  listen: 127.0.0.1:$PORT
  name: 127.0.0.1
  gate: { listen: "127.0.0.1:$GATE" }
sources:
  files:
    kind: local
    include: [ $WORK/data ]
`

// addresses of people. The safe is 127.0.0.1.
var addresses = map[string]string{"otto": "127.0.0.2", "kim": "127.0.0.3", "kate": "127.0.0.4", "olga": "127.0.0.5"}

// as makes what follows happen on the machine of a person, or on that of the
// safe, whose user is root:
//
//	as kim
func as(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: as NAME")
	}
	home := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(home, 0o700))
	ts.Setenv("HOME", home)
	phrase := filepath.Join(home, "passphrase")
	ts.Check(os.WriteFile(phrase, []byte("the passphrase of "+args[0]+"\n"), 0o600))
	ts.Setenv("STRONGROOM_PASSPHRASE_FILE", phrase)
}

// served are the processes that serve, by the folder of the script.
var served sync.Map

// serving makes the safe, if there is none, and serves it until the end of the
// script, or until it is stopped:
//
//	serving
func serving(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: serving")
	}
	if ts.Getenv("PORT") == "" {
		freePort(ts, false, []string{"PORT"})
		freePort(ts, false, []string{"GATE"})
		makeSafe(ts, false, nil)
	}
	program := filepath.Join(programDir, "strongroom")
	if clocked := ts.Getenv("PROGRAM"); clocked != "" {
		program = clocked
	}
	cmd := exec.Command(program, "-c", ts.MkAbs("strongroom.yaml"), "serve")
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = append(os.Environ(), "HOME="+ts.Getenv("HOME"), "TZ=UTC")
	log, err := os.Create(ts.MkAbs("serve.log"))
	ts.Check(err)
	cmd.Stdout, cmd.Stderr = log, log
	ts.Check(cmd.Start())
	stop := sync.OnceFunc(func() {
		cmd.Process.Signal(syscall.SIGTERM) // it may have ended, which Wait tells
		cmd.Wait()                          // its log tells what went wrong
		log.Close()
	})
	served.Store(ts.MkAbs("."), stop)
	ts.Defer(stop)
	answers(ts, false, []string{"401", "https://127.0.0.1:" + ts.Getenv("PORT") + "/v1/people"})
}

// stopped ends what serving began:
//
//	stopped
func stopped(ts *testscript.TestScript, neg bool, args []string) {
	stop, ok := served.Load(ts.MkAbs("."))
	if neg || len(args) > 0 || !ok {
		ts.Fatalf("usage: serving, then stopped")
	}
	stop.(func())()
}

// enrols has somebody invited and enrolled, with more flags of enrol, and sets
// NAME_WORDS to the words of the enrolment:
//
//	enrols kim keykeeper --role-key outer.key
func enrols(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: enrols NAME ROLE [FLAG...]")
	}
	name, role := args[0], args[1]
	as(ts, false, []string{"root"})
	ts.Check(ts.Exec("strongroom", "people", "invite", name, "--role", role))
	link := strings.TrimSpace(ts.ReadFile("stdout"))
	as(ts, false, []string{name})
	key := ts.MkAbs(name + "/ssh_key")
	if _, err := os.Stat(key); err != nil {
		ts.Check(writeSSHKey(key))
	}
	call := append([]string{"enrol", link, "--ssh-key", key}, args[2:]...)
	if a := addresses[name]; a != "" {
		call = append(call, "--from", a)
	}
	ts.Check(ts.Exec("strongroom", call...))
	wordsOf(ts, false, []string{strings.ToUpper(name) + "_WORDS"})
}

func writeSSHKey(file string) error {
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return err
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		return err
	}
	return os.WriteFile(file, pem.EncodeToMemory(block), 0o600)
}

// wordsOf sets a variable to the last eight words on standard output:
//
//	wordsof WORDS
func wordsOf(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: wordsof VARIABLE")
	}
	all := regexp.MustCompile(`[a-z]+(?: [a-z]+){7}\n`).FindAllString(ts.ReadFile("stdout"), -1)
	if len(all) == 0 {
		ts.Fatalf("there are no eight words on standard output")
	}
	ts.Setenv(args[0], strings.TrimSpace(all[len(all)-1]))
}

// founded makes a safe, serves it, and has kim the keykeeper and otto the
// operator found it. FOUNDING is set to the words of that version:
//
//	founded
func founded(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: founded")
	}
	serving(ts, false, nil)
	enrols(ts, false, []string{"kim", "keykeeper", "--role-key", ts.MkAbs("outer.key")})
	enrols(ts, false, []string{"otto", "operator", "--role-key", ts.MkAbs("inner.key")})
	as(ts, false, []string{"kim"})
	ts.Check(ts.Exec("strongroom", "people", "add", "kim", "otto", "--yes", "--words", fmt.Sprintf("otto=%s", ts.Getenv("OTTO_WORDS"))))
	wordsOf(ts, false, []string{"FOUNDING"})
	as(ts, false, []string{"otto"})
	ts.Check(ts.Exec("strongroom", "people", "agree", "--yes", "--words", ts.Getenv("FOUNDING")))
}
