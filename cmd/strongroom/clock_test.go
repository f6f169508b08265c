package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// clockFile lies beside the clocked program and says how far its clock is from
// the true one: "-80h".
const clockFile = "clock"

// runClocked is the program with another time. The real program has no such
// thing.
func runClocked() int {
	b, err := os.ReadFile(filepath.Join(filepath.Dir(os.Args[0]), clockFile))
	if err != nil {
		panic(err)
	}
	off, err := time.ParseDuration(strings.TrimSpace(string(b)))
	if err != nil {
		panic(err)
	}
	now := func() time.Time { return time.Now().Add(off) }
	return runAt(context.Background(), now, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
}

// clocked has the script run the program with a clock that is so far from the
// true one. What runs keeps the clock that it began with.
//
//	clocked -80h
func clocked(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: clocked DURATION")
	}
	dir := ts.MkAbs("clocked")
	program := filepath.Join(dir, "strongroom")
	if _, err := os.Stat(program); err != nil {
		self, err := os.Executable()
		ts.Check(err)
		b, err := os.ReadFile(self)
		ts.Check(err)
		ts.Check(os.Mkdir(dir, 0o700))
		ts.Check(os.WriteFile(program, b, 0o700))
		ts.Setenv("PROGRAM", program)
		ts.Setenv("PATH", dir+string(filepath.ListSeparator)+ts.Getenv("PATH"))
	}
	ts.Check(os.WriteFile(filepath.Join(dir, clockFile), []byte(args[0]), 0o600))
}
