package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"strongroom/internal/safe/config"
)

var update = flag.Bool("update", false, "write the generated documents anew")

// TestGeneratedDocumentsAreCurrent compares docs/cli.md with the help texts
// and docs/config.schema.json with the configuration's schema. With -update it
// writes both.
func TestGeneratedDocumentsAreCurrent(t *testing.T) {
	for name, want := range map[string][]byte{
		"../../docs/cli.md":             commandReference(t),
		"../../docs/config.schema.json": config.Schema(),
	} {
		if *update {
			if err := os.WriteFile(name, want, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		got, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s is not current; write it anew with: go test ./cmd/strongroom -run Generated -update\n(-program +document)\n%s", name, diff)
		}
	}
}

// commandReference returns what --help says of every command.
func commandReference(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	b.WriteString("# Commands\n\nWhat `strongroom COMMAND --help` says of each command. Written by `go test ./cmd/strongroom -run Generated -update`.\n")
	var describe func(*cobra.Command)
	describe = func(cmd *cobra.Command) {
		if cmd.Hidden {
			return
		}
		var help bytes.Buffer
		args := append(strings.Fields(cmd.CommandPath())[1:], "--help")
		if status := run(t.Context(), args, strings.NewReader(""), &help, io.Discard); status != 0 {
			t.Fatalf("strongroom %s: exit status %d", strings.Join(args, " "), status)
		}
		fmt.Fprintf(&b, "\n## %s\n\n```text\n%s```\n", cmd.CommandPath(), help.String())
		for _, below := range cmd.Commands() {
			describe(below)
		}
	}
	describe((&app{}).command())
	return b.Bytes()
}
