package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"strongroom/internal/daemon"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/store/blob/dir"
	"strongroom/internal/store/catalog"
	"strongroom/internal/store/scrub"
	"strongroom/internal/ui"
)

// nightlyTurns is in how many nights every pack is read once.
const nightlyTurns = 30

func (a *app) scrubCommand() *cobra.Command {
	var repair, nightly bool
	var storePath string
	cmd := &cobra.Command{
		Use:   "scrub [--repair]",
		Short: "Look for damage in the store, and repair it",
		Long: `Read everything in the store and compare it with what the ledger says, without
any key. With --repair, what is damaged is made again, from parity, from its
second copy, or from what the safe itself knows; what it replaces is kept in the
store's folder "damaged". What cannot be repaired is named with the snapshots
that need it.

The exit status is 3 if something is damaged and was not repaired.`,
		Example: `  strongroom scrub --repair
  strongroom scrub --store /mnt/copy    a copy of a store, without its safe`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			var share scrub.Share
			if nightly {
				share = scrub.ShareOn(a.now(), nightlyTurns)
			}
			if storePath == "" {
				return a.scrubSafe(daemon.ScrubOptions{Repair: repair, Packs: share})
			}
			if repair {
				return &ui.UsageError{Problem: "only a safe repairs its store", Remedy: "Run scrub --repair on the safe, or leave out --repair."}
			}
			return a.scrubCopy(a.stop, storePath, share)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&repair, "repair", false, "make damaged objects again")
	f.BoolVar(&nightly, "nightly", false, "read only this night's share of the packs, a thirtieth, and all small objects")
	f.StringVar(&storePath, "store", "", "`folder` of a copy of a store, to look at without its safe")
	return cmd
}

func (a *app) scrubSafe(opts daemon.ScrubOptions) error {
	s, err := a.openSafe()
	if err != nil {
		return err
	}
	defer s.Close() // everything was committed
	progress := a.talk().Progress("scrubbing", "objects")
	defer progress.Done()
	opts.Progress = follow(progress)
	began := time.Now()
	report, err := s.Scrub(a.stop, opts)
	progress.Done()
	if err != nil {
		return err
	}
	a.assess(s)
	for _, o := range report.Outcomes {
		a.showOutcome(o)
	}
	snapshots, err := s.State().Snapshots(a.ctx, "")
	if err != nil {
		return err
	}
	next := "Next: strongroom scrub --repair"
	if opts.Repair {
		next = "Copy the objects from a copy of the store, or run strongroom forget SOURCE, so that the next snapshot is whole."
	}
	return a.showScrub(report.Report, report.Left(), runNames(snapshots), time.Since(began), next)
}

// scrubCopy checks a store against its own ledger.
func (a *app) scrubCopy(ctx context.Context, path string, share scrub.Share) error {
	blobs, err := dir.Open(path)
	if err != nil {
		return explainStore(err)
	}
	defer blobs.Close() // nothing was written
	id, err := catalog.ReadStoreID(ctx, blobs)
	if err != nil {
		return explainStore(err)
	}
	known := recall(id)
	truth, err := scrub.FromStore(ctx, blobs, catalog.Options{Keys: known.keys, Kept: known.kept})
	var short *ledger.ShortError
	if errors.As(err, &short) {
		err = ui.WithRemedy(err, "A copy from before what this machine has seen: bring it up to date, and find out why if it should be.")
	}
	if err != nil {
		return err
	}
	progress := a.talk().Progress("scrubbing", "objects")
	defer progress.Done()
	began := time.Now()
	report, err := scrub.Check(ctx, blobs, truth, scrub.Options{Packs: share, Progress: follow(progress)})
	progress.Done()
	if err != nil {
		return err
	}
	return a.showScrub(report, report.Findings, nil, time.Since(began), "Copy it again from another copy that is sound; only a safe repairs its store.")
}

// follow shows progress that is told as totals.
func follow(progress *ui.Progress) func(scrub.Progress) {
	var told scrub.Progress
	return func(p scrub.Progress) {
		progress.Add(p.Objects-told.Objects, p.Bytes-told.Bytes)
		told = p
	}
}

func (a *app) showOutcome(o scrub.Outcome) {
	message := map[string]any{"name": o.Name, "result": o.Result, "from": o.From}
	switch {
	case o.Err != nil:
		message["problem"] = o.Err.Error()
		a.talk().Warn("%s: %v", o.Result, o.Err)
	case o.Result == scrub.Repaired:
		a.talk().Printf("%s was damaged and is repaired, from %s.", o.Name, inWords(o.From))
	}
	a.talk().Emit("outcome", message)
}

// showScrub tells what was found and is left, and what to do next about damage.
func (a *app) showScrub(report scrub.Report, left []scrub.Finding, named map[safe.RunID]string, took time.Duration, next string) error {
	t := a.talk()
	harmed := 0
	for _, f := range left {
		if f.Harmful() {
			harmed++
		}
		t.Warn("%q is %s: %s%s", f.Name, f.Problem, f.Why, neededBy(f.Snapshots, named))
		t.Emit("finding", findingMessage(f))
	}
	t.Printf("%s objects with %s were checked in %s: %s.", ui.Count(report.Objects), ui.Size(report.Bytes), ui.Duration(took), verdict(report, len(left), harmed))
	t.Emit("scrub", map[string]any{"objects": report.Objects, "bytes": report.Bytes, "harmed": report.Harmed(), "left": len(left)})
	if len(left) > 0 {
		if harmed > 0 {
			t.Note("%s", next)
		}
		return errLosses
	}
	return nil
}

// runNames gives the names that people use for the snapshots of runs.
func runNames(snapshots []safe.Snapshot) map[safe.RunID]string {
	short, named := namesOf(snapshots), make(map[safe.RunID]string)
	for _, s := range snapshots {
		named[s.Run] = short.of(s)
	}
	return named
}

// neededBy says which snapshots need an object, the newest first and not more
// of them than a person reads.
func neededBy(runs []safe.RunID, named map[safe.RunID]string) string {
	const most = 3
	if len(runs) == 0 {
		return ""
	}
	var text []string
	for _, run := range slices.Backward(runs) {
		name := named[run]
		if name == "" {
			name = run.String()
		}
		if text = append(text, name); len(text) == most {
			break
		}
	}
	if more := len(runs) - len(text); more > 0 {
		text = append(text, fmt.Sprintf("%d more", more))
	}
	return "; needed by " + strings.Join(text, ", ")
}

func verdict(report scrub.Report, left, harmed int) string {
	switch {
	case harmed > 0:
		return plural(int64(harmed), "is", "are") + " damaged or missing; see above"
	case left > 0:
		return "everything that must be there is sound, and " + plural(int64(left), "thing needs", "things need") + " a look; see above"
	case report.Harmed() > 0:
		return "everything is sound again"
	default:
		return "everything is sound"
	}
}

func findingMessage(f scrub.Finding) map[string]any {
	snapshots := f.Snapshots
	if snapshots == nil {
		snapshots = []safe.RunID{}
	}
	return map[string]any{"name": f.Name, "problem": f.Problem, "why": f.Why, "snapshots": snapshots, "harmful": f.Harmful()}
}
