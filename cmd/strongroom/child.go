package main

import (
	"github.com/spf13/cobra"

	"strongroom/internal/daemon/child"
)

// childCommand is how the safe starts processes of its own that may do less.
// People have no use for it. A signal to stop, which systemd sends to every
// process of a unit, does nothing here: run has caught it, and the parent, which
// got it too, says what is to be done.
func (a *app) childCommand() *cobra.Command {
	return group(&cobra.Command{Use: "child COMMAND", Short: "Be a process that may do less; not for people", Hidden: true},
		&cobra.Command{Use: "runkey", Short: "Make the key of a run", Args: noArgs, RunE: func(*cobra.Command, []string) error {
			return child.RunKey(a.stdin, a.stdout)
		}},
		&cobra.Command{Use: "collect", Short: "Collect a source", Args: noArgs, RunE: func(*cobra.Command, []string) error {
			return child.Collect(a.stdin, a.stdout)
		}},
		&cobra.Command{Use: "scrub", Short: "Check the store", Args: noArgs, RunE: func(*cobra.Command, []string) error {
			return child.Scrub(a.stdin, a.stdout)
		}},
		&cobra.Command{Use: "gate", Short: "Be the door of an opening", Args: noArgs, RunE: func(*cobra.Command, []string) error {
			return child.Gate(a.stdin, a.stdout)
		}},
	)
}
