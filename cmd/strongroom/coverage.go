package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"strongroom/internal/daemon"
	"strongroom/internal/estate"
	"strongroom/internal/estate/coverage"
	"strongroom/internal/report"
	"strongroom/internal/ui"
)

func (a *app) coverageCommand() *cobra.Command {
	var propose bool
	cmd := &cobra.Command{
		Use:   "coverage [APPLICATION]",
		Short: "Show whether all that an application needs is in the safe",
		Long: `Show for each application what it takes to rebuild it and how it stands with
that, the worst first: missing (nothing could be restored), stale (older than
was promised), unproven (never scrubbed, or never restored and found right),
waived (somebody has taken that on themselves), held. What an application needs
are the components that it consists of, and all that they need on the map.

With --propose it says what closes each miss: what to put into the
configuration, below the keys that it has already, and what to run on the host
and on the safe. What the safe does not know is left open, as a comment. Nothing
is changed by that.

The exit status is 3 if anything is missing or stale, so that a timer can watch
it.`,
		Example: `  strongroom coverage
  strongroom coverage erp --propose`,
		Args:              args(0, 1, "one application"),
		ValidArgsFunction: a.completeApplication,
		RunE: func(_ *cobra.Command, given []string) error {
			c, err := a.coverageOf(given)
			if err != nil {
				return err
			}
			if propose {
				a.proposeCover(c)
				return nil
			}
			return a.showCoverage(c.Reports)
		},
	}
	cmd.Flags().BoolVar(&propose, "propose", false, "say what closes each miss")
	return cmd
}

func (a *app) levelsCommand() *cobra.Command {
	history := false
	cmd := &cobra.Command{
		Use:   "levels [APPLICATION]",
		Short: "Show whether service levels are kept",
		Long: `Show for each application what was promised under levels: in the configuration,
and whether that is kept: the age of snapshots, the time that collections take,
how long snapshots are kept, and rehearsals. With --history also on how many
days of the last year each was kept; with --json each day of the last three.

The exit status is 3 if a level is not kept.`,
		Args:              args(0, 1, "one application"),
		ValidArgsFunction: a.completeApplication,
		RunE: func(_ *cobra.Command, given []string) error {
			c, err := a.coverageOf(given)
			if err != nil {
				return err
			}
			if history {
				if err := a.showHistory(c); err != nil {
					return err
				}
			}
			return a.showLevels(c.Reports)
		},
	}
	cmd.Flags().BoolVar(&history, "history", false, "also how it was on earlier days")
	return cmd
}

// showHistory shows on how many days each level was kept.
func (a *app) showHistory(c daemon.Coverage) error {
	s, err := a.openSafe()
	if err != nil {
		return err
	}
	defer s.Close() // nothing was written
	t := a.talk()
	since := a.now().AddDate(-1, 0, 0)
	if t.JSON() {
		since = time.Time{}
	}
	table := ui.NewTable(ui.Column{Title: "APPLICATION"}, ui.Column{Title: "LEVEL"}, ui.Column{Title: "DAYS KEPT", Right: true},
		ui.Column{Title: "BROKEN", Right: true}, ui.Column{Title: "UNKNOWN", Right: true}, ui.Column{Title: "WORST"}, ui.Column{Title: "SINCE"})
	for _, r := range c.Reports {
		name := r.Application.Name()
		days, err := s.Standings(a.stop, name, since)
		if err != nil {
			return err
		}
		for _, day := range days {
			t.Emit("standing", map[string]any{"application": r.Application, "day": day.Taken.Format(time.DateOnly), "states": day.States, "levels": day.Levels})
		}
		for _, sum := range report.SumLevels(days) {
			worst := "-"
			if sum.Worst > 0 {
				worst = ui.Duration(time.Duration(sum.Worst) * time.Second)
			}
			table.Row(name, string(sum.Promise), ui.Count(sum.Days[coverage.Kept]), ui.Count(sum.Days[coverage.Broken]), ui.Count(sum.Days[coverage.Unknown]), worst, day(sum.Since))
		}
	}
	t.Table(table)
	return nil
}

// completeApplication offers the shell the applications of the configuration.
func (a *app) completeApplication(_ *cobra.Command, given []string, _ string) (names []string, _ cobra.ShellCompDirective) {
	c, err := a.config()
	if err != nil || len(given) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	for _, one := range c.Applications {
		names = append(names, one.ID.Name())
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// coverageOf returns how it stands with all applications, or with the one that
// is given.
func (a *app) coverageOf(given []string) (daemon.Coverage, error) {
	s, err := a.openSafe()
	if err != nil {
		return daemon.Coverage{}, err
	}
	defer s.Close() // nothing was written
	c, err := s.Coverage(a.stop)
	if err != nil {
		return c, err
	}
	if len(c.Reports) == 0 {
		return c, ui.WithRemedy(errors.New("the configuration names no application"), "Write applications: with what each consists of: strongroom config example")
	}
	if len(given) == 0 {
		return c, nil
	}
	var known []string
	for _, r := range c.Reports {
		if name := r.Application.Name(); name == given[0] || r.Application == estate.ID(given[0]) {
			c.Reports = []coverage.Report{r}
			return c, nil
		}
		known = append(known, r.Application.Name())
	}
	return c, &ui.UsageError{Problem: fmt.Sprintf("there is no application %q", given[0]), Remedy: "There are " + strings.Join(known, ", ") + "."}
}

func (a *app) showCoverage(reports []coverage.Report) error {
	t := a.talk()
	bad := false
	for i, r := range reports {
		held, needed := r.Count()
		if i > 0 {
			t.Printf("")
		}
		t.Printf("%s: %d of %d held", r.Application.Name(), held, needed)
		table := ui.NewTable(ui.Column{Title: "STATE"}, ui.Column{Title: "COMPONENT"}, ui.Column{Title: "WHAT"}, ui.Column{Title: "WHY"})
		for _, item := range r.Items {
			state := any(string(item.State))
			if item.State == coverage.Missing || item.State == coverage.Stale {
				bad, state = true, ui.Bad(string(item.State))
			}
			table.Row(state, string(item.Component), string(item.Matter), item.Why)
		}
		t.Table(table)
		for _, id := range r.Outside {
			t.Printf("It needs %s, which others run.", id)
		}
		t.Emit("coverage", map[string]any{"application": r.Application, "held": held, "needed": needed, "items": r.Items, "outside": r.Outside})
	}
	if bad {
		t.Note("note: what closes each miss: strongroom coverage --propose")
		return errLosses
	}
	return nil
}

func (a *app) proposeCover(c daemon.Coverage) {
	t := a.talk()
	for _, r := range c.Reports {
		for _, p := range c.Propose(r) {
			t.Emit("proposal", p)
			t.Printf("# %s, %s %s: %s", r.Application.Name(), p.For.Component, p.For.State, p.For.Why)
			t.Printf("# %s", p.Says)
			run := func(where string, lines []string) {
				if len(lines) > 0 {
					t.Printf("# %s:\n%s", where, strings.Join(lines, "\n"))
				}
			}
			run("on the safe, first", p.First)
			run("on the host, as root", p.OnHost)
			if p.Source != "" || p.Component != "" {
				t.Printf("# in the configuration, below what is there of these keys:")
			}
			if p.Source != "" {
				t.Printf("sources:\n%s", strings.TrimSuffix(p.Source, "\n"))
			}
			if p.Component != "" {
				t.Printf("%s:\n%s", p.Below, strings.TrimSuffix(p.Component, "\n"))
			}
			run("on the safe", p.OnSafe)
			if len(p.Open) > 0 {
				t.Note("to be filled in for %s: %s", p.For.Component, strings.Join(p.Open, ", "))
			}
			t.Printf("")
		}
	}
}

func (a *app) showLevels(reports []coverage.Report) error {
	t := a.talk()
	bad := false
	table := ui.NewTable(ui.Column{Title: "APPLICATION"}, ui.Column{Title: "LEVEL"}, ui.Column{Title: "IS"}, ui.Column{Title: "WHY"})
	for _, r := range reports {
		for _, l := range r.Levels {
			verdict := any(string(l.Verdict))
			if l.Verdict == coverage.Broken {
				bad, verdict = true, ui.Bad(string(l.Verdict))
			}
			table.Row(r.Application.Name(), string(l.Promise), verdict, l.Why)
		}
		if len(r.Levels) == 0 {
			t.Note("note: nothing is promised for %s: write levels: below it", r.Application.Name())
		}
		t.Emit("levels", map[string]any{"application": r.Application, "levels": r.Levels})
	}
	t.Table(table)
	if bad {
		return errLosses
	}
	return nil
}
