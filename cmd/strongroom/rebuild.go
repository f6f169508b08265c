package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"strongroom/internal/daemon"
	"strongroom/internal/ledger"
	"strongroom/internal/safe/config"
	"strongroom/internal/ui"
)

func (a *app) rebuildCommand() *cobra.Command {
	var checkpoints []string
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "rebuild [--checkpoint FILE...] [--dry-run]",
		Short: "Make the safe's lost state anew from its store",
		Long: `Make the database with what the safe knows anew, from its store and its keys,
after it was lost. The whole ledger in the store is verified first. A state that
is there is never written over, and nothing is made while the store lacks
something of its ledger, or has more than its ledger accounts for.

A store that is an old copy gives back an old state, with people in it who were
taken out since, and nothing in the store can tell. So give the newest
checkpoint that you have from elsewhere, such as the newest mail: if the store
does not reach it, it is refused. What this machine remembers is compared too.

What the safe keeps about people who wait is not in the store: proposed versions
of the roster, invitations, and enrolments that are in no roster are to be made
again, which is told. An opening that was open is closed. The ledger records it,
and everybody is told by mail.

With --dry-run it is tried and nothing is changed, also while there is a state
and nothing else works with it: a drill for the day when it is needed.`,
		Example: `  strongroom rebuild --checkpoint newest-mail.eml --dry-run
  strongroom rebuild --checkpoint newest-mail.eml`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			cfg, err := a.config()
			if err != nil {
				return err
			}
			kept, err := keptElsewhere(cfg, checkpoints)
			if err != nil {
				return explainRebuild(err)
			}
			rebuilt, err := daemon.Rebuild(a.stop, cfg, daemon.RebuildOptions{Kept: kept, DryRun: dryRun}, daemon.Options{Logger: a.logger(), Now: a.now})
			if rebuilt == nil {
				return explainRebuild(err)
			}
			a.showRebuilt(cfg, rebuilt, dryRun)
			if err != nil {
				return ui.WithRemedy(fmt.Errorf("the state is there, and what it has recorded is not in the store yet: %w", err),
					"The next command that writes tries again.")
			}
			if len(rebuilt.Lost) > 0 {
				return errLosses
			}
			return nil
		},
	}
	cmd.Flags().StringArrayVar(&checkpoints, "checkpoint", nil, "`file` with a checkpoint of the ledger from elsewhere: a mail as it was saved, or what is attached to it")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "try it, and change nothing")
	return cmd
}

// keptElsewhere returns the checkpoints that the store must agree with: those
// of the files, and what this machine remembers.
func keptElsewhere(cfg *config.Config, files []string) ([]ledger.Checkpoint, error) {
	key, err := daemon.LedgerKey(cfg)
	if err != nil {
		return nil, err
	}
	kept := recall(key.Store()).kept
	for _, file := range files {
		c, err := readCheckpoint(file, []ledger.PublicKey{key})
		if err != nil {
			return nil, err
		}
		kept = append(kept, c)
	}
	return kept, nil
}

// explainRebuild adds to an error what to do about it.
func explainRebuild(err error) error {
	var (
		beyond *daemon.BeyondError
		unfit  *daemon.UnfitError
		short  *ledger.ShortError
		fork   *ledger.ForkError
	)
	refuse := func(remedy string) error { return refusedError{ui.WithRemedy(err, remedy)} }
	switch {
	case err == nil:
		return nil
	case errors.Is(err, daemon.ErrNoKeys):
		return refuse("Put them back from a copy of the safe's own files. Without them: make a new safe, with another dir and store; this store stays readable.")
	case errors.Is(err, daemon.ErrStateExists):
		return refuse("If it cannot be used any more, move it away and keep it: state.db, and the files beside it whose names begin alike.")
	case errors.Is(err, daemon.ErrAtWork):
		return refuse("Stop it and its timers first, and a scrub if one is under way: systemctl stop strongroom.service strongroom-collect.timer strongroom-collect.service")
	case errors.As(err, &beyond):
		return refuse("Give a newer checkpoint, from a mail or a person's machine: --checkpoint FILE. Or put back what is missing, from a copy of the store. If there is neither, see docs/handbook/state-lost.md.")
	case errors.As(err, &short):
		return refuse("This store is an old copy, or was cut: find the newer one, or put back what is missing from a copy of it.")
	case errors.As(err, &fork):
		return refuse("Change nothing, and keep this store and all checkpoints: they are evidence.")
	case errors.As(err, &unfit):
		return refuse("Put back what is missing or damaged from a copy of the store, under the same name.")
	default:
		return explainStore(err)
	}
}

func (a *app) showRebuilt(cfg *config.Config, r *daemon.Rebuilt, dryRun bool) {
	t := a.talk()
	what := fmt.Sprintf("%s of the ledger, roster %d, %s, %s", plural(r.Ledger.Size, "entry", "entries"), r.Roster,
		plural(int64(r.Snapshots), "snapshot", "snapshots"), plural(int64(r.Openings), "opening", "openings"))
	if dryRun {
		t.Printf("The store %s would give back: %s. Nothing was changed.", cfg.Store, what)
	} else {
		t.Printf("The state of safe %s is made anew from %s: %s.", cfg.Safe, cfg.Store, what)
	}
	switch after := r.Ledger.Size - r.Compared; {
	case r.Compared == 0:
		t.Warn("nothing from elsewhere was compared, so the store may be an old copy: see the newest mail that anybody has, with strongroom ledger verify --checkpoint MAIL")
	case after > 0:
		t.Printf("It agrees with a checkpoint from elsewhere, of %s; that there were no more than the %s after it, the store alone says.",
			plural(r.Compared, "entry", "entries"), ui.Count(after))
	default:
		t.Printf("It agrees with a checkpoint from elsewhere, of all entries.")
	}
	for _, lost := range r.Lost {
		t.Warn("lost: %s: %v", lost.Name, lost.Err)
	}
	for _, again := range r.Again {
		t.Warn("gone, and to be made again: %s", again)
	}
	if !dryRun {
		t.Note("Next: strongroom scrub, strongroom doctor, and start what was stopped.")
	}
	lost := []string{}
	for _, l := range r.Lost {
		lost = append(lost, l.Name)
	}
	t.Emit("rebuilt", map[string]any{"store": r.Store, "entries": r.Ledger.Size, "root": r.Ledger.Root.String(), "compared": r.Compared, "roster": r.Roster,
		"runs": r.Runs, "snapshots": r.Snapshots, "openings": r.Openings, "lost": lost, "again": append([]string{}, r.Again...), "dry_run": dryRun})
}
