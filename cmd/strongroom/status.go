package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"strongroom/internal/daemon"
	"strongroom/internal/daemon/state"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/ui"
)

func (a *app) statusCommand() *cobra.Command {
	var maxAge time.Duration
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show what is kept of each source, and how old it is",
		Long: `Show for each source of the configuration how old its newest complete snapshot
is, how many snapshots there are, and what became of the last collection; and
what the last scrub has left.

The exit status is 3 if a source has no complete snapshot or one older than
--max-age, if its last collection failed or was partial, or if the last scrub
has left damage: so a timer can watch it.`,
		Example: `  strongroom status --max-age 26h    notices a night that was missed`,
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			s, err := a.openSafe()
			if err != nil {
				return err
			}
			defer s.Close() // nothing was written
			return a.showStatus(s, maxAge)
		},
	}
	cmd.Flags().DurationVar(&maxAge, "max-age", 0, "how old the newest complete snapshot may be, such as `26h` (default: any age)")
	return cmd
}

func (a *app) showStatus(s *daemon.Safe, maxAge time.Duration) error {
	now := a.now()
	sums, err := a.sumUpAll(s)
	if err != nil {
		return err
	}
	size, err := s.State().Size(a.stop)
	if err != nil {
		return err
	}
	t := a.talk()
	table := ui.NewTable(ui.Column{Title: "SOURCE"}, ui.Column{Title: "NEWEST COMPLETE"}, ui.Column{Title: "SNAPSHOTS", Right: true},
		ui.Column{Title: "SIZE", Right: true}, ui.Column{Title: "LAST COLLECTION"})
	var missing, never, old int64 // without a complete snapshot, of these never collected, with one that is too old
	needsLook := false
	for _, sum := range sums {
		table.Row(sum.source, sum.newest(now), ui.Count(int64(sum.count)), sum.size(), sum.outcome())
		t.Emit("source", sum.message())
		needsLook = needsLook || sum.needsLook()
		switch {
		case sum.run.ID.IsZero():
			never++
			missing++
		case sum.complete == nil:
			missing++
		case maxAge > 0 && now.Sub(sum.complete.Started) > maxAge:
			old++
		}
	}
	t.Table(table)
	t.Printf("Store %s, ledger of %s.", s.Config().Store, plural(size, "entry", "entries"))
	for _, sum := range sums {
		if err := sum.bad(); err != nil {
			t.Warn("last collection of %s: %v", sum.source, err)
		}
	}
	if never > 0 {
		t.Warn("without a complete snapshot: %s; begin with strongroom collect --all", plural(missing, "source", "sources"))
	} else if missing > 0 {
		t.Warn("without a complete snapshot: %s", plural(missing, "source", "sources"))
	}
	if old > 0 {
		t.Warn("without a complete snapshot of the last %s: %s; see whether the timer runs, and collect", ui.Duration(maxAge), plural(old, "source", "sources"))
	}
	harmed, err := a.tellScrub(s, now)
	if err != nil {
		return err
	}
	nags, err := s.Nags(a.stop)
	if err != nil {
		return err
	}
	for _, n := range nags {
		t.Note("note: %s", n.Text)
		t.Emit("nag", nagMessage(n))
	}
	t.Emit("safe", map[string]any{"name": s.Config().Safe, "store": s.ID(), "path": s.Config().Store, "ledger_size": size, "damaged": harmed})
	if needsLook || old > 0 || harmed > 0 {
		return errLosses
	}
	return nil
}

// sumUpAll looks at every source of the configuration.
func (a *app) sumUpAll(s *daemon.Safe) ([]summary, error) {
	all, err := s.State().Snapshots(a.stop, "")
	if err != nil {
		return nil, err
	}
	var sums []summary
	for _, src := range s.Config().Sources {
		runs, err := s.State().Runs(a.stop, src.Name)
		if err != nil {
			return nil, err
		}
		sum := sumUp(all, runs, src.Name)
		if sum.reason, err = s.State().Reason(a.stop, sum.run.ID); err != nil {
			return nil, err
		}
		sums = append(sums, sum)
	}
	return sums, nil
}

// tellScrub tells what the last scrub has left, and how many objects that are.
func (a *app) tellScrub(s *daemon.Safe, now time.Time) (harmed int64, err error) {
	scrub, at, ok, err := s.State().LastScrub(a.stop)
	switch {
	case err != nil:
		return 0, err
	case !ok:
		a.talk().Printf("The store was never scrubbed: strongroom scrub --repair")
	case scrub.Left > 0:
		a.talk().Warn("the last scrub, %s, left %s damaged: strongroom scrub --repair names them and what needs them",
			ui.Age(at, now), plural(scrub.Left, "object", "objects"))
	default:
		a.talk().Printf("Last scrub %s: what must be there was sound.", ui.Age(at, now))
	}
	return scrub.Left, nil
}

// A summary is what there is of one source.
type summary struct {
	source   safe.SourceName
	count    int
	complete *safe.Snapshot // the newest complete one
	last     *safe.Snapshot // the newest
	run      state.Run      // the newest, whatever became of it
	reason   ledger.Text    // why that failed or is partial; "" if neither
}

// sumUp looks at snapshots that are listed oldest first, and at all runs of
// the source.
func sumUp(all []safe.Snapshot, runs map[safe.RunID]state.Run, source safe.SourceName) summary {
	sum := summary{source: source}
	for id, run := range runs {
		if id.Compare(sum.run.ID) > 0 {
			sum.run = run
		}
	}
	for i, s := range all {
		if s.Source != source {
			continue
		}
		sum.count++
		sum.last = &all[i]
		if !s.Partial {
			sum.complete = &all[i]
		}
	}
	return sum
}

// needsLook tells whether there is no complete snapshot, or the newest run came
// to a bad end. One without an end may be under way just now, and is no reason
// to call anybody; if it was broken off, the age tells.
func (s summary) needsLook() bool {
	return s.complete == nil || s.run.Outcome == state.Partial || s.run.Outcome == state.Failed || s.lost()
}

// lost tells whether the newest run became a snapshot that nobody can describe
// any more: both copies of its description were lost, and then the state.
func (s summary) lost() bool {
	kept := s.run.Outcome == state.Complete || s.run.Outcome == state.Partial
	return kept && (s.last == nil || s.last.Run != s.run.ID)
}

// bad says what became of a newest run that came to a bad end.
func (s summary) bad() error {
	switch {
	case s.run.Outcome == state.Failed:
		return fmt.Errorf("nothing could be kept: %s", s.reason)
	case s.run.Outcome == state.Partial:
		return fmt.Errorf("what was kept is not complete: %s", s.reason)
	case s.lost():
		return ui.WithRemedy(errors.New("its description is lost"), "See what else is: strongroom scrub")
	default:
		return nil
	}
}

func (s summary) newest(now time.Time) any {
	if s.complete == nil {
		return ui.Bad("never")
	}
	return ui.Age(s.complete.Started, now)
}

func (s summary) size() string {
	if s.complete == nil {
		return ""
	}
	return ui.Size(s.complete.Bytes)
}

func (s summary) outcome() any {
	switch {
	case s.run.ID.IsZero():
		return ""
	case s.run.Outcome == state.Failed:
		return ui.Bad("failed")
	case s.run.Outcome == state.Underway:
		return ui.Bad("under way, or broken off")
	case s.lost():
		return ui.Bad("lost")
	case s.last.Partial:
		return ui.Bad("partial")
	case s.last.Warnings > 0:
		return "kept, " + plural(s.last.Warnings, "warning", "warnings")
	default:
		return "kept"
	}
}

func (s summary) message() map[string]any {
	m := map[string]any{"source": s.source, "snapshots": s.count}
	if s.complete != nil {
		m["newest_complete"] = messageOf(*s.complete)
	}
	if s.last != nil {
		m["last"] = messageOf(*s.last)
	}
	if !s.run.ID.IsZero() {
		m["last_run"] = map[string]any{"run": s.run.ID, "outcome": s.run.Outcome, "reason": s.reason}
	}
	return m
}
