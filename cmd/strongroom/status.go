package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"strongroom/internal/safe"
	"strongroom/internal/ui"
)

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show what is kept of each source, and how old it is",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			s, err := a.openSafe()
			if err != nil {
				return err
			}
			defer s.Close() // nothing was written
			all, err := s.State().Snapshots(a.stop, "")
			if err != nil {
				return err
			}
			size, err := s.State().Size(a.stop)
			if err != nil {
				return err
			}
			t, now := a.talk(), time.Now()
			table := ui.NewTable(ui.Column{Title: "SOURCE"}, ui.Column{Title: "NEWEST COMPLETE"}, ui.Column{Title: "SNAPSHOTS", Right: true},
				ui.Column{Title: "SIZE", Right: true}, ui.Column{Title: "LAST COLLECTION"})
			missing := 0
			for _, src := range s.Config().Sources {
				sum := sumUp(all, src.Name)
				if sum.complete == nil {
					missing++
				}
				table.Row(src.Name, sum.newest(now), ui.Count(int64(sum.count)), sum.size(), sum.outcome())
				t.Emit("source", sum.message())
			}
			t.Table(table)
			t.Printf("Store %s, ledger of %s entries.", s.Config().Store, ui.Count(size))
			if missing > 0 {
				t.Warn("%d sources have no complete snapshot: strongroom collect --all", missing)
			}
			return nil
		},
	}
}

// A summary is what there is of one source.
type summary struct {
	source   safe.SourceName
	count    int
	complete *safe.Snapshot // the newest complete one
	last     *safe.Snapshot // the newest
}

// sumUp looks at snapshots that are listed oldest first.
func sumUp(all []safe.Snapshot, source safe.SourceName) summary {
	sum := summary{source: source}
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
	case s.last == nil:
		return ""
	case s.last.Partial:
		return ui.Bad("partial")
	case s.last.Warnings > 0:
		return fmt.Sprintf("kept, %s warnings", ui.Count(s.last.Warnings))
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
	return m
}
