package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"strongroom/internal/estate/order/forest"
	"strongroom/internal/ui"
)

func (a *app) mapForestCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "forest TABLE",
		Short: "Choose the domain controller that is restored first",
		Long: `Say which domain controller a domain of Active Directory is restored from, out
of a table of all that it has, and why, criterion by criterion: Microsoft's, in
the order of its example. It is a proposal: whether a backup is good, and older
than what it is to undo, no table says.

The table is CSV. Its first line names the columns, in any order: dc, os, rodc
and backup, and, if they are known, fsmo, gc, dns, server_core, vm, accessible,
network_unlock. os is text such as Windows Server 2022, fsmo has the operations
master roles; the others are Yes, No, or empty for what nobody knows.

The exit status is 3 if none of them can be restored first.`,
		Example: `  strongroom map forest domain-controllers.csv`,
		Args:    args(1, 1, "one file with a table of domain controllers"),
		RunE: func(_ *cobra.Command, given []string) error {
			table, err := readControllers(given[0])
			if err != nil {
				return fmt.Errorf("%s: %w", given[0], err)
			}
			choice := forest.Choose(table)
			a.showChoice(choice)
			if choice.Chosen == "" {
				return errLosses
			}
			return nil
		},
	}
}

// maxTable bounds a table in bytes: a hundred for each of the most rows.
const maxTable = 100 * forest.MaxRows

func readControllers(file string) ([]forest.Controller, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close() // nothing was written
	b, err := io.ReadAll(io.LimitReader(f, maxTable+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxTable {
		return nil, fmt.Errorf("the table has more than %d bytes", maxTable)
	}
	return forest.Read(b)
}

func (a *app) showChoice(c forest.Choice) {
	t := a.talk()
	t.Emit("choice", c)
	say := func(format string, args ...any) { t.Printf("%s", ui.Clean(fmt.Sprintf(format, args...))) }
	say("%s", c.Why)
	for _, s := range c.Missing {
		say("  %s", s)
	}
	for i, r := range c.Ranking {
		t.Printf("")
		say("%d. %s", i+1, r.Name)
		for _, k := range r.Criteria {
			mark := "-"
			if k.Met {
				mark = "+"
			}
			must := ""
			if k.Mandatory {
				must = " (mandatory)"
			}
			say("   %s %-9s %s%s", mark, k.Name, k.Why, must)
		}
		if r.Behind != "" {
			say("   %s", r.Behind)
		}
	}
	if len(c.Advice) > 0 {
		t.Printf("")
		say("With %s:", c.Chosen)
		for _, s := range c.Advice {
			say("  * %s", s)
		}
	}
}
