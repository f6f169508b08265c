package main

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"strongroom/internal/collect"
	"strongroom/internal/daemon"
	"strongroom/internal/safe"
	"strongroom/internal/safe/config"
	"strongroom/internal/store/blob"
	"strongroom/internal/ui"
)

func (a *app) collectCommand() *cobra.Command {
	var all, dryRun bool
	cmd := &cobra.Command{
		Use:   "collect SOURCE... | --all",
		Short: "Pull sources and seal them into the store",
		Long: `Pull sources and seal them into the store. What is new is stored; the rest is
referred to. Ctrl-C ends the pulling and keeps what was collected until then as
a partial snapshot; a second Ctrl-C ends at once, and the next collection goes
on from the last checkpoint.

A source that fails does not keep the others from being collected. The exit
status is 1 if one failed, 3 if a snapshot is partial or a dry run has warned, 4
if a source showed what looks like tampering, or is being collected already.`,
		Example: `  strongroom collect --all
  strongroom collect erp-files --dry-run`,
		RunE: func(_ *cobra.Command, given []string) error {
			cfg, err := a.config()
			if err != nil {
				return err
			}
			sources, err := chosen(cfg, given, all)
			if err != nil {
				return err
			}
			if dryRun {
				return a.dryRun(sources)
			}
			return a.collect(sources)
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "every source of the configuration")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "list what would be pulled and what each line matches; run no command, store nothing")
	return cmd
}

// chosen returns the sources that were named.
func chosen(cfg *config.Config, names []string, all bool) ([]config.Source, error) {
	if all == (len(names) > 0) {
		return nil, &ui.UsageError{Problem: "name the sources to collect, or say --all", Remedy: "See: strongroom collect --help"}
	}
	if all {
		return cfg.Sources, nil
	}
	var sources []config.Source
	for _, name := range names {
		src, err := sourceOf(cfg, name)
		if err != nil {
			return nil, err
		}
		sources = append(sources, src)
	}
	return sources, nil
}

// collect collects the sources one after the other. One that fails does not
// keep the others from being collected.
func (a *app) collect(sources []config.Source) error {
	s, err := a.openSafe()
	if err != nil {
		return err
	}
	defer s.Close() // everything was committed
	defer a.deliverMails(s)
	defer a.assess(s)
	t := a.talk()
	defer context.AfterFunc(a.stop, func() {
		t.Note("Stopping. What was pulled so far is kept; a second Ctrl-C ends at once.")
	})()
	var failed []error
	losses := false
	for _, src := range sources {
		if a.stop.Err() != nil {
			t.Warn("%s was not collected: stopped by request", src.Name)
			losses = true
			continue
		}
		partial, err := a.collectOne(s, src)
		losses = losses || partial
		if err == nil {
			continue
		}
		if a.ctx.Err() != nil {
			return fmt.Errorf("collecting %s was broken off; what was checkpointed is used by the next collection", src.Name)
		}
		t.Error(err)
		failed = append(failed, err)
	}
	return verdictOn(failed, losses)
}

func (a *app) collectOne(s *daemon.Safe, src config.Source) (partial bool, err error) {
	began := time.Now()
	progress := a.talk().Progress("collecting "+string(src.Name), "entries")
	defer progress.Done()
	var told collect.Progress
	outcome, err := s.Collect(a.ctx, a.stop, src, func(e collect.Event) {
		if e.Progress != nil {
			progress.Add(e.Progress.Entries-told.Entries, e.Progress.Bytes-told.Bytes)
			told = *e.Progress
		}
		if e.Problem != nil {
			a.showProblem(src.Name, *e.Problem)
		}
	})
	progress.Done()
	if outcome.Finding != nil {
		a.talk().Warn("finding in %s: %s", src.Name, outcome.Finding.Text)
	}
	if err != nil {
		var failed *daemon.FailedError
		var conflict *blob.ConflictError
		switch recorded := errors.As(err, &failed); {
		case errors.As(err, &conflict):
			err = ui.WithRemedy(fmt.Errorf("collecting %s: %w", src.Name, err),
				"Nothing can be collected while something else is in the place of what the safe has to write. Put it right: strongroom scrub --repair")
		case !recorded:
			err = fmt.Errorf("collecting %s: %w", src.Name, err)
		case outcome.Finding != nil:
			err = refusedError{fmt.Errorf("collecting %s: nothing could be kept: see the finding", src.Name)}
		case errors.Is(err, syscall.ENOSPC):
			err = ui.WithRemedy(err, makeRoom)
		case errors.Is(err, blob.ErrNotExist):
			err = ui.WithRemedy(err, "The store has lost what the safe remembers of it: see strongroom scrub. To store everything again: strongroom forget "+string(src.Name))
		}
		return false, err
	}
	all, err := s.State().Snapshots(a.ctx, src.Name)
	if err != nil {
		return false, err
	}
	a.showKept(namesOf(all).of(*outcome.Snapshot), *outcome.Snapshot, outcome, time.Since(began))
	if outcome.Finding != nil {
		err = refusedError{fmt.Errorf("collecting %s: what was kept looks tampered with: see the finding", src.Name)}
	}
	return outcome.Snapshot.Partial, err
}

func (a *app) showProblem(source safe.SourceName, p collect.Problem) {
	t := a.talk()
	if t.JSON() {
		t.Emit("problem", map[string]any{"source": source, "kind": p.Kind, "path": string(p.Path), "path64": p.Path, "text": p.Text})
		return
	}
	if len(p.Path) == 0 {
		t.Warn("%s: %s: %s", source, p.Kind, p.Text)
		return
	}
	t.Warn("%s: %s: %q: %s", source, p.Kind, p.Path, p.Text)
}

func (a *app) showKept(name string, snapshot safe.Snapshot, outcome daemon.Outcome, took time.Duration) {
	t := a.talk()
	verdict := "kept"
	if snapshot.Partial {
		verdict = "kept in part"
	}
	warned := ""
	if snapshot.Warnings > 0 {
		warned = ", with " + plural(snapshot.Warnings, "warning", "warnings")
	}
	t.Printf("%s %s until %s (%s)%s\n  %s, %s; new %s, stored %s and parity %s, in %s",
		name, verdict, snapshot.KeepUntil.Local().Format(time.DateOnly), snapshot.Tier, warned,
		plural(snapshot.Entries, "entry", "entries"), ui.Size(snapshot.Bytes), ui.Size(snapshot.NewBytes),
		ui.Size(snapshot.StoredBytes), ui.Size(snapshot.ParityBytes), ui.Duration(took))
	if snapshot.Partial {
		t.Warn("%s is not complete: %s", name, outcome.Reason)
	}
	t.Emit("kept", map[string]any{"snapshot": messageOf(snapshot), "reason": outcome.Reason, "matches": outcome.Matches, "seconds": took.Seconds()})
}

// dryRun lists what would be pulled.
func (a *app) dryRun(sources []config.Source) error {
	t := a.talk()
	var failed []error
	losses := false
	for _, src := range sources {
		found, err := daemon.DryRun(a.stop, src, daemon.Options{}, func(p collect.Problem) {
			losses = true
			a.showProblem(src.Name, p)
		})
		if a.stop.Err() != nil {
			return a.stop.Err()
		}
		if err != nil {
			err = fmt.Errorf("looking at %s: %w", src.Name, err)
			t.Error(err)
			failed = append(failed, err)
			continue
		}
		if found.Unknown {
			t.Emit("dry_run", map[string]any{"source": src.Name, "entries": found.Entries, "matches": []any{}})
			t.Printf("%s would pull the output of a command, which a dry run does not run: its host can be reached and takes the key", src.Name)
			continue
		}
		t.Printf("%s would pull %s, %s", src.Name, plural(found.Entries, "entry", "entries"), ui.Size(found.Bytes))
		table := ui.NewTable(ui.Column{Title: "LINE"}, ui.Column{Title: "PATTERN", Cut: true}, ui.Column{Title: "ENTRIES", Right: true})
		for _, m := range found.Matches {
			line := "include"
			if m.Exclude {
				line = "exclude"
			}
			table.Row(line, m.Pattern, ui.Count(m.Entries))
		}
		if len(found.Matches) > 0 { // a source that looks for facts has no lines to match
			t.Table(table)
		}
		t.Emit("dry_run", map[string]any{"source": src.Name, "entries": found.Entries, "bytes": found.Bytes, "matches": found.Matches})
	}
	return verdictOn(failed, losses)
}

// verdictOn sums up what became of several sources, and was told.
func verdictOn(failed []error, losses bool) error {
	switch {
	case len(failed) > 0:
		return errors.Join(append(failed, errSaid)...)
	case losses:
		return errLosses
	default:
		return nil
	}
}

// nameOfAnyZone returns a name by which a snapshot can be called from a script
// in whatever zone that runs.
func nameOfAnyZone(s safe.Snapshot) string {
	return string(s.Source) + "@" + s.Started.UTC().Format(toMilli) + "Z"
}

// messageOf is a snapshot as scripts see it.
func messageOf(s safe.Snapshot) map[string]any {
	return map[string]any{
		"name": nameOfAnyZone(s), "run": s.Run, "source": s.Source, "kind": s.Kind, "started": s.Started, "finished": s.Finished,
		"entries": s.Entries, "bytes": s.Bytes, "new_bytes": s.NewBytes, "stored_bytes": s.StoredBytes, "parity_bytes": s.ParityBytes,
		"warnings": s.Warnings, "partial": s.Partial, "keep_until": s.KeepUntil, "tier": s.Tier,
	}
}
