package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"strongroom/internal/daemon"
	"strongroom/internal/estate"
	"strongroom/internal/safe/keep"
	"strongroom/internal/ui"
)

func (a *app) mapDiffCommand() *cobra.Command {
	since := "7d"
	cmd := &cobra.Command{
		Use:   "diff",
		Short: "Show what is different on the map since a while ago",
		Long: `Show what came, went, and has another name on the map since a while ago, what is
needed and was not, what is needed no more, and what aged: dependencies for
which nothing has spoken since then, and that nobody vouches for. A version of
the map is kept of each day on which it changed.`,
		Example: `  strongroom map diff --since 4w`,
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			span, err := keep.ParseSpan(since)
			if err != nil {
				return &ui.UsageError{Problem: fmt.Sprintf("--since %q is no time to look back", since), Remedy: "Write 7d, 4w, 3mo or 1y."}
			}
			return a.withMap(func(s *daemon.Safe, m *estate.Map) error { return a.mapDiff(s, m, span.Before(a.now())) })
		},
	}
	cmd.Flags().StringVar(&since, "since", since, "how far to look back, such as `4w`")
	return cmd
}

func (a *app) mapDiff(s *daemon.Safe, m *estate.Map, since time.Time) error {
	old, taken, err := s.MapAt(a.stop, since)
	if errors.Is(err, daemon.ErrNoMap) {
		return ui.WithRemedy(err, "A collection keeps one: strongroom collect --all")
	}
	if err != nil {
		return err
	}
	t := a.talk()
	if taken.After(since) {
		t.Note("note: the oldest version of the map is of %s", taken.Local().Format(time.DateTime))
	}
	c := estate.Diff(old, m, since)
	say := func(what, format string, args ...any) {
		t.Printf("%-11s %s", what, ui.Clean(fmt.Sprintf(format, args...)))
	}
	for _, id := range c.Come {
		say("came", "%s", id)
		t.Emit("came", map[string]any{"component": id})
	}
	for _, id := range c.Gone {
		say("went", "%s", id)
		t.Emit("went", map[string]any{"component": id})
	}
	for _, r := range c.Renamed {
		say("renamed", "%s is %s now", r.Was, r.Is)
		t.Emit("renamed", r)
	}
	for _, d := range c.Needed {
		say("needed", "%s needs %s, %s", d.From, d.To, inWordsOf(d))
		t.Emit("needed", d)
	}
	for _, d := range c.Unneeded {
		say("not needed", "%s needed %s, %s", d.From, d.To, inWordsOf(d))
		t.Emit("unneeded", d)
	}
	for _, d := range c.Aged {
		say("aged", "%s needs %s, %s, as %s", d.From, d.To, inWordsOf(d), lastHeard(d.Evidence))
		t.Emit("aged", d)
	}
	before := fmt.Sprintf("as it was from %s on", taken.Local().Format(time.DateTime))
	if c.IsEmpty() {
		t.Printf("The map is %s.", before)
	} else {
		t.Printf("Compared with the map %s.", before)
	}
	t.Emit("compared", map[string]any{"taken": taken, "same": c.IsEmpty()})
	return nil
}

// lastHeard says when something has spoken for a dependency last.
func lastHeard(all []estate.Evidence) string {
	var last estate.Evidence
	for _, e := range all {
		if e.Last.After(last.Last) {
			last = e
		}
	}
	if last.Last.IsZero() {
		return "nobody knows since when"
	}
	return fmt.Sprintf("%s said last on %s", last.Source, last.Last.Local().Format(time.DateOnly))
}
