package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"strongroom/internal/daemon"
	"strongroom/internal/daemon/state"
	"strongroom/internal/estate"
	"strongroom/internal/estate/coverage"
	"strongroom/internal/ledger"
	"strongroom/internal/ui"
)

func (a *app) findingsCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "findings COMMAND",
		Short: "Show what people must look at, and acknowledge it",
		Long: `A finding is what a person must look at: what looks like tampering, what an
application misses, a service level that is not kept. It is open until what it
is about is mended, which the safe sees by itself, or until somebody
acknowledges it.`,
	}, a.findingsListCommand(), a.findingsAckCommand())
}

func (a *app) findingsListCommand() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Show the findings that are open",
		Long: `Show the findings that are open, oldest first: the number of the entry of the
ledger that raised it, its kind, what it is about, and what is known. With --all
also those that are acknowledged, by whom and until when, and those that were
cleared last.

The exit status is 3 if anything is open, so that a timer can watch it.`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			s, err := a.openSafe()
			if err != nil {
				return err
			}
			defer s.Close() // nothing was written
			return a.showFindings(s, all)
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "also those that are acknowledged, and that were cleared last")
	return cmd
}

func (a *app) showFindings(s *daemon.Safe, all bool) error {
	t, now := a.talk(), a.now()
	live, err := s.Findings(a.stop)
	if err != nil {
		return err
	}
	open, silent := split(live, now)
	for _, f := range open {
		seen := "since " + day(f.First)
		if f.Count > 1 {
			seen = fmt.Sprintf("%s, %s until %s", seen, plural(int64(f.Count), "time", "times"), day(f.Seen))
		}
		t.Printf("%d %s in %s, %s\n  %s\n  %s", f.N, f.Kind, ui.Clean(string(f.Subject)), seen, ui.Clean(string(f.Text)), whatToDo(f))
		t.Emit("finding", messageOfFinding(f, "open"))
	}
	if len(open) == 0 {
		t.Printf("Nothing is open.")
	}
	if !all {
		if len(silent) > 0 {
			t.Note("%s acknowledged: strongroom findings list --all", plural(int64(len(silent)), "other is", "others are"))
		}
	} else if err := a.showOldFindings(s, silent); err != nil {
		return err
	}
	if len(open) > 0 {
		return errLosses
	}
	return nil
}

// split parts those that are open from those that are acknowledged.
func split(live []state.Finding, now time.Time) (open, silent []state.Finding) {
	for _, f := range live {
		if f.Open(now) {
			open = append(open, f)
		} else {
			silent = append(silent, f)
		}
	}
	return open, silent
}

// showOldFindings shows what nobody must look at now.
func (a *app) showOldFindings(s *daemon.Safe, silent []state.Finding) error {
	t := a.talk()
	for _, f := range silent {
		t.Printf("%d %s in %s, acknowledged until %s by the account %s: %s\n  %s", f.N, f.Kind, ui.Clean(string(f.Subject)),
			day(f.Ack.Until), ui.Clean(string(f.Ack.Account)), ui.Clean(string(f.Ack.Reason)), ui.Clean(string(f.Text)))
		t.Emit("finding", messageOfFinding(f, "acknowledged"))
	}
	cleared, err := s.ClearedFindings(a.stop)
	if err != nil {
		return err
	}
	for _, f := range cleared {
		if what, ok := f.Cleared.What.(ledger.FindingCleared); ok {
			t.Printf("%d %s in %s, cleared on %s: %s", f.N, f.Kind, ui.Clean(string(f.Subject)), day(f.Cleared.Time), ui.Clean(string(what.Reason)))
			t.Emit("finding", messageOfFinding(f, "cleared"))
		}
	}
	return nil
}

func day(t time.Time) string { return t.Local().Format(time.DateOnly) }

// whatToDo says what to do about a finding next.
func whatToDo(f state.Finding) string {
	app, component := coverage.About(string(f.Subject))
	app = ui.Clean(app)
	switch {
	case f.Kind == coverage.KindUnproven:
		return "See what is not proven: strongroom coverage " + app
	case coverage.IsMiss(f.Kind) && (component != estate.ID("") || f.Kind == coverage.KindMore):
		return "See what closes it: strongroom coverage " + app + " --propose"
	case coverage.IsMiss(f.Kind):
		return "See what was promised: strongroom levels " + app
	}
	return fmt.Sprintf("Read it, and what was before it: strongroom ledger show --from %d", f.Last)
}

func messageOfFinding(f state.Finding, is string) map[string]any {
	m := map[string]any{"entry": f.N, "is": is, "kind": f.Kind, "subject": f.Subject, "text": f.Text, "last_entry": f.Last,
		"count": f.Count, "first_seen": f.First, "last_seen": f.Seen, "what_to_do": whatToDo(f)}
	if f.Ack != nil {
		m["acknowledged"] = map[string]any{"entry": f.Acked, "until": f.Ack.Until, "reason": f.Ack.Reason, "account": f.Ack.Account}
	}
	if f.Cleared != nil {
		m["cleared"] = map[string]any{"entry": f.Cleared.N, "time": f.Cleared.Time}
	}
	return m
}

func (a *app) findingsAckCommand() *cobra.Command {
	var reason, until string
	cmd := &cobra.Command{
		Use:   "ack ENTRY --reason WHY --until DAY",
		Short: "Take a finding on yourself, until a day",
		Long: `Say that you know of a finding and take it on yourself: until the end of that
day nobody is told of it again. It silences that finding and nothing else; if
what is found changes, it is open again at once. If it is still so after that
day, it comes up again. It is recorded in the ledger with the account of this
host, and everybody is told.

The number is that of an entry that raised it, as findings list and mails have
it. The day is one of the next year, or so many days from now: 30d.`,
		Example: `  strongroom findings ack 17 --reason "dns1 is being moved" --until 30d`,
		Args:    args(1, 1, "the number of an entry"),
		RunE: func(_ *cobra.Command, given []string) error {
			entry, err := strconv.ParseInt(given[0], 10, 64)
			if err != nil || entry < 0 {
				return &ui.UsageError{Problem: fmt.Sprintf("%q is no number of an entry", given[0]), Remedy: "strongroom findings list shows them."}
			}
			if strings.TrimSpace(reason) == "" {
				return &ui.UsageError{Problem: "--reason is empty", Remedy: "Say why: others rely on it that somebody has looked."}
			}
			end, err := endOf(until, a.now())
			if err != nil {
				return err
			}
			s, err := a.openSafe()
			if err != nil {
				return err
			}
			defer s.Close() // everything was committed
			defer a.deliverMails(s)
			f, err := s.Acknowledge(a.ctx, entry, end, reason, account())
			if errors.Is(err, daemon.ErrNoFinding) {
				return ui.WithRemedy(fmt.Errorf("entry %d: %w", entry, err), "See what is open: strongroom findings list")
			}
			if err != nil {
				return err
			}
			a.talk().Printf("%s in %s is acknowledged until %s. It comes up again after that, if it is still so.", f.Kind, ui.Clean(string(f.Subject)), day(end))
			a.talk().Emit("acknowledged", map[string]any{"entry": f.N, "kind": f.Kind, "subject": f.Subject, "until": end})
			return nil
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why it may stay so, for the ledger and everybody who looks")
	cmd.Flags().StringVar(&until, "until", "", "the last `day`, such as 2027-06-30, or 30d; a year at most")
	return cmd
}

// endOf returns the last second of the day that somebody names, here: the day
// itself, or how many days it is from now.
func endOf(until string, now time.Time) (time.Time, error) {
	wrong := &ui.UsageError{Problem: fmt.Sprintf("--until %q is no day of the next year", until), Remedy: "Say a day such as 2027-06-30, or so many days from now: 30d."}
	last, err := time.ParseInLocation(time.DateOnly, until, time.Local)
	if days, ok := strings.CutSuffix(until, "d"); ok {
		var n int
		if n, err = strconv.Atoi(days); err == nil && (n < 1 || n > longestAckDays) {
			return last, wrong
		}
		last = now.Local().AddDate(0, 0, n)
	}
	if err != nil {
		return last, wrong
	}
	end := time.Date(last.Year(), last.Month(), last.Day(), 23, 59, 59, 0, time.Local)
	if !end.After(now) || end.Sub(now) > daemon.LongestAck {
		return end, wrong
	}
	return end, nil
}

const longestAckDays = 365

// assess has the safe keep a version of the map, and record what came up and what
// is mended. If it cannot, that is told, and changes nothing of what the command
// was for.
func (a *app) assess(s *daemon.Safe) {
	if err := s.KeepMap(a.ctx); err != nil && a.ctx.Err() == nil {
		a.talk().Warn("no version of the map was kept, and the next collection keeps one: %v", err)
	}
	if err := s.Assess(a.ctx); err != nil && a.ctx.Err() == nil {
		a.talk().Warn("what the applications miss was not worked out, and is with the next collection: %v", err)
	}
}
