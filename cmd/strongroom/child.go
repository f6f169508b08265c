package main

import (
	"github.com/spf13/cobra"

	"strongroom/internal/daemon/child"
)

// childCommand is how the safe starts processes of its own that may do less.
// People have no use for it.
func (a *app) childCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "child", Hidden: true, Args: args(1, 1, "the name of a child")}
	cmd.AddCommand(
		&cobra.Command{Use: "runkey", Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error {
			return child.RunKey(a.stdin, a.stdout)
		}},
		&cobra.Command{Use: "collect", Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error {
			return child.Collect(a.stdin, a.stdout)
		}},
	)
	return cmd
}
