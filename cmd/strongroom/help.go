package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"strongroom/internal/ui"
)

// usage is the template of what follows a command's description. It is as wide
// as a terminal always was.
const usage = `Usage:
  {{.UseLine}}
{{- if .HasExample}}

Examples:
{{.Example}}
{{- end}}
{{- range $group := .Groups}}

{{$group.Title}}
{{- range $.Commands}}{{if and (eq .GroupID $group.ID) .IsAvailableCommand}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}
{{- end}}
{{- if and .HasAvailableSubCommands (not .Groups)}}

Commands:
{{- range .Commands}}{{if .IsAvailableCommand}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}
{{- end}}
{{- if .HasAvailableLocalFlags}}

Flags:
{{.LocalFlags.FlagUsagesWrapped 80 | trimTrailingWhitespaces}}
{{- end}}
{{- if .HasAvailableInheritedFlags}}

Flags of every command:
{{.InheritedFlags.FlagUsagesWrapped 80 | trimTrailingWhitespaces}}
{{- end}}
{{- if .HasAvailableSubCommands}}

More about one of them: {{.CommandPath}} COMMAND --help
{{- end}}
`

// group makes cmd hold other commands. By itself it shows what they are.
func group(cmd *cobra.Command, commands ...*cobra.Command) *cobra.Command {
	cmd.DisableFlagsInUseLine = true
	cmd.Args = func(cmd *cobra.Command, given []string) error {
		if len(given) > 0 {
			return noSuchCommand(cmd, given[0])
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	cmd.AddCommand(commands...)
	return cmd
}

// noSuchCommand says that cmd has no command of that name.
func noSuchCommand(cmd *cobra.Command, name string) error {
	cmd.SuggestionsMinimumDistance = 2
	remedy := "See what there is: " + cmd.CommandPath() + " --help"
	if near := cmd.SuggestionsFor(name); len(near) > 0 {
		remedy = fmt.Sprintf("Did you mean %s? %s", strings.Join(near, " or "), remedy)
	}
	return &ui.UsageError{Problem: fmt.Sprintf("%s has no command %q", cmd.CommandPath(), name), Remedy: remedy}
}

func helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:                   "help [COMMAND]",
		Short:                 "Show what a command does, what it needs and what it leaves",
		DisableFlagsInUseLine: true,
		RunE: func(_ *cobra.Command, path []string) error {
			cmd := root
			for _, name := range path {
				next, _, err := cmd.Find([]string{name})
				if err != nil || next == cmd {
					return noSuchCommand(cmd, name)
				}
				cmd = next
			}
			cmd.InitDefaultHelpFlag()
			return cmd.Help()
		},
	}
}

// args returns a check of positional arguments that says what was expected.
func args(least, most int, expect string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, given []string) error {
		if len(given) >= least && (most < 0 || len(given) <= most) {
			return nil
		}
		return &ui.UsageError{Problem: cmd.CommandPath() + " takes " + expect, Remedy: seeHelp(cmd)}
	}
}

var noArgs = args(0, 0, "no arguments, only flags")

func seeHelp(cmd *cobra.Command) string { return "See: " + cmd.CommandPath() + " --help" }

// plural returns a number with the word for so many.
func plural(n int64, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return ui.Count(n) + " " + more
}
