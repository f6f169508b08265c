package main

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"strongroom/internal/daemon"
	"strongroom/internal/daemon/state"
	"strongroom/internal/report"
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
--max-age, if its last collection failed or was partial, if the last scrub has
left damage, or if nobody is left who can release or read what was stored: so a
timer can watch it. Notes, of what is not wrong yet, leave it at 0.`,
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
	needsLook, alarmed := false, false
	for _, sum := range sums {
		table.Row(sum.Name, sum.newest(now), ui.Count(sum.Snapshots), sum.size(), sum.outcome())
		if err := a.emitSource(s, sum); err != nil {
			return err
		}
		needsLook = needsLook || sum.needsLook()
		switch {
		case sum.Last.ID.IsZero():
			never++
			missing++
		case sum.Complete == nil:
			missing++
		case maxAge > 0 && now.Sub(sum.Complete.Kept.Started) > maxAge:
			old++
		}
	}
	t.Table(table)
	t.Printf("Store %s, ledger of %s.", s.Config().Store, plural(size, "entry", "entries"))
	for _, sum := range sums {
		if err := sum.bad(); err != nil {
			t.Warn("last collection of %s: %v", sum.Name, err)
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
		if n.Level == report.Alarm {
			alarmed = true
			t.Warn("%s. %s", n.Text, n.Remedy)
		} else {
			t.Note("note: %s", n.Text)
		}
		t.Emit("nag", nagMessage(n))
	}
	t.Emit("safe", map[string]any{"name": s.Config().Safe, "store": s.ID(), "path": s.Config().Store, "ledger_size": size, "damaged": harmed})
	if needsLook || alarmed || old > 0 || harmed > 0 {
		return errLosses
	}
	return nil
}

// emitSource tells programs of a source, with all that descriptions say: those
// can be large, and people are not shown what only they say.
func (a *app) emitSource(s *daemon.Safe, sum summary) error {
	if !a.json {
		return nil
	}
	m := map[string]any{"source": sum.Name, "snapshots": sum.Snapshots}
	for key, run := range map[string]*state.Run{"newest_complete": sum.Complete, "last": sum.Newest} {
		if run == nil {
			continue
		}
		d, ok, err := s.State().Snapshot(a.stop, run.ID)
		if err != nil {
			return err
		}
		if ok {
			m[key] = messageOf(d)
		}
	}
	if last := sum.Last; !last.ID.IsZero() {
		m["last_run"] = map[string]any{"run": last.ID, "outcome": last.Outcome, "reason": last.Reason}
	}
	a.talk().Emit("source", m)
	return nil
}

// sumUpAll looks at every source of the configuration.
func (a *app) sumUpAll(s *daemon.Safe) ([]summary, error) {
	known, err := s.State().View(a.stop).Sources()
	if err != nil {
		return nil, err
	}
	var sums []summary
	for _, src := range s.Config().Sources {
		sum := summary{Source: state.Source{Name: src.Name}}
		if i := slices.IndexFunc(known, func(k state.Source) bool { return k.Name == src.Name }); i >= 0 {
			sum.Source = known[i]
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
type summary struct{ state.Source }

// needsLook tells whether there is no complete snapshot, or the newest run came
// to a bad end. One without an end may be under way just now, and is no reason
// to call anybody; if it was broken off, the age tells.
func (s summary) needsLook() bool {
	return s.Complete == nil || s.Last.Outcome == state.Partial || s.Last.Outcome == state.Failed || s.Last.Lost()
}

// bad says what became of a newest run that came to a bad end.
func (s summary) bad() error {
	switch {
	case s.Last.Outcome == state.Failed:
		return fmt.Errorf("nothing could be kept: %s", s.Last.Reason)
	case s.Last.Outcome == state.Partial:
		return fmt.Errorf("what was kept is not complete: %s", s.Last.Reason)
	case s.Last.Lost():
		return ui.WithRemedy(errors.New("its description is lost"), "See what else is: strongroom scrub")
	default:
		return nil
	}
}

func (s summary) newest(now time.Time) any {
	if s.Complete == nil {
		return ui.Bad("never")
	}
	return ui.Age(s.Complete.Kept.Started, now)
}

func (s summary) size() string {
	if s.Complete == nil {
		return ""
	}
	return ui.Size(s.Complete.Kept.Bytes)
}

func (s summary) outcome() any {
	switch {
	case s.Last.ID.IsZero():
		return ""
	case s.Last.Outcome == state.Failed:
		return ui.Bad("failed")
	case s.Last.Outcome == state.Underway:
		return ui.Bad("under way, or broken off")
	case s.Last.Lost():
		return ui.Bad("lost")
	case s.Last.Outcome == state.Partial:
		return ui.Bad("partial")
	case s.Last.Kept.Warnings > 0:
		return "kept, " + plural(s.Last.Kept.Warnings, "warning", "warnings")
	default:
		return "kept"
	}
}
