package main

import (
	"bufio"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"strongroom/internal/daemon"
	"strongroom/internal/ledger"
	"strongroom/internal/report"
	"strongroom/internal/ui"
)

func (a *app) ledgerCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "ledger COMMAND",
		Short: "Show what happened, and prove that nobody changed it",
		Long: `The ledger records every collection, failure and change of the safe. It only
grows; its newest signed checkpoint fixes all that was before, so whoever has
kept one can tell whether anything was changed, removed or put in since.`,
	}, a.ledgerShowCommand(), a.ledgerVerifyCommand(), a.ledgerCheckpointCommand())
}

func (a *app) ledgerShowCommand() *cobra.Command {
	var from int64
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Show the entries of the safe's ledger",
		Long: `Show the entries of the safe's ledger, oldest first: number, time, kind, who
did it, and what.`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			s, err := a.openSafe()
			if err != nil {
				return err
			}
			defer s.Close() // nothing was written
			return a.showLedger(s, from)
		},
	}
	cmd.Flags().Int64Var(&from, "from", 0, "`number` of the first entry to show")
	return cmd
}

func (a *app) showLedger(s *daemon.Safe, from int64) error {
	t := a.talk()
	out := bufio.NewWriter(a.stdout)
	n := max(from, 0)
	for b, err := range s.State().Entries(a.stop, n) {
		if err != nil {
			return err
		}
		e, err := ledger.ParseEntry(b)
		if err != nil {
			return fmt.Errorf("entry %d: %w", n, err)
		}
		if t.JSON() {
			t.Emit("entry", map[string]any{"n": n, "time": e.Time, "kind": e.What.Kind(), "who": e.Who, "what": e.What})
		} else if _, err := fmt.Fprintf(out, "%6d  %s  %-18s %-8s %s\n", n, e.Time.Local().Format(time.DateTime), e.What.Kind(), e.Who, ui.Clean(describe(e.What))); err != nil {
			return err
		}
		n++
	}
	return out.Flush()
}

// describe says an entry in words.
func describe(what ledger.Event) string {
	switch e := what.(type) {
	case ledger.SafeCreated:
		return fmt.Sprintf("safe %s with store %s", e.Name, e.Store)
	case ledger.RosterChanged:
		return fmt.Sprintf("roster %d, %s", e.Version, e.Digest)
	case ledger.RunBegun:
		return fmt.Sprintf("%s, run %s", e.Source, e.Run)
	case ledger.SnapshotKept:
		verdict := ""
		if e.Partial {
			verdict = ", partial"
			if e.Reason != "" {
				verdict += " (" + string(e.Reason) + ")"
			}
		}
		return fmt.Sprintf("%s: %s entries, %s, %s new, until %s%s; run %s", e.Source, ui.Count(e.Entries), ui.Size(e.Bytes), ui.Size(e.NewBytes),
			e.KeepUntil.Local().Format(time.DateOnly), verdict, e.Run)
	case ledger.RunFailed:
		return fmt.Sprintf("%s: %s; run %s", e.Source, e.Reason, e.Run)
	case ledger.MemoryForgotten:
		return fmt.Sprintf("%s: %s", e.Source, e.Reason)
	case ledger.ObjectRepaired:
		return fmt.Sprintf("%s, from %s", e.Name, inWords(e.How))
	case ledger.ObjectLost:
		return fmt.Sprintf("%s, needed by %d snapshots", e.Name, len(e.Snapshots)+e.More)
	case ledger.ScrubDone:
		return fmt.Sprintf("%s objects, %s, %s damaged", ui.Count(e.Objects), ui.Size(e.Bytes), ui.Count(e.Damaged))
	case ledger.FindingRaised:
		return fmt.Sprintf("%s: %s: %s", e.Finding, e.Subject, e.Text)
	case ledger.FindingCleared:
		return fmt.Sprintf("entry %d, %s: %s: %s", e.Entry, e.Finding, e.Subject, e.Reason)
	case ledger.FindingAcknowledged:
		return fmt.Sprintf("entry %d, %s: %s, until %s; the account %s: %s", e.Entry, e.Finding, e.Subject, e.Until.Local().Format(time.DateOnly), e.Account, e.Reason)
	case ledger.KeepExtended:
		return fmt.Sprintf("run %s until %s", e.Run, e.Until.Local().Format(time.DateOnly))
	case ledger.MapRuled:
		return report.Ruled(e) + ofAccount(e.Account, e.Reason)
	case ledger.MapWithdrawn:
		return fmt.Sprintf("entry %d", e.Entry) + ofAccount(e.Account, e.Reason)
	case ledger.MapAnswered:
		return report.Answered(e) + ofAccount(e.Account, e.Reason)
	case ledger.StateRebuilt:
		compared := ""
		if e.Compared > 0 {
			compared = fmt.Sprintf(", compared with a checkpoint of %d", e.Compared)
		}
		return fmt.Sprintf("from %s of the store%s", plural(e.Entries, "entry", "entries"), compared)
	default:
		return describeOfPeople(what)
	}
}

// ofAccount adds the reason, and whose account gave it. Of a person the line has
// the name already.
func ofAccount(account, reason ledger.Text) string {
	if account == "" {
		return fmt.Sprintf("; %s", reason)
	}
	return fmt.Sprintf("; the account %s: %s", account, reason)
}

// inWords says where the right bytes of a damaged object came from.
func inWords(how ledger.Repair) string {
	switch how {
	case ledger.FromCopy:
		return "its copy"
	case ledger.FromReplica:
		return "a replica"
	case ledger.FromState:
		return "what the safe knows itself"
	case ledger.ParityRebuilt:
		return "the pack that it belongs to"
	default:
		return string(how)
	}
}

func (a *app) ledgerVerifyCommand() *cobra.Command {
	r := &reading{app: a}
	cmd := &cobra.Command{
		Use:   "verify [--checkpoint FILE...]",
		Short: "Prove that the store's ledger was not changed",
		Long: `Prove that the store's ledger is what was signed, and that it is the same
history as every checkpoint that was kept from before: those given here, and the
newest that this machine remembers. It needs the store alone, or a copy of it. A
ledger that was changed is refused, with exit status 4.`,
		Example: `  strongroom ledger verify --checkpoint an-old-mail.eml`,
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			s, err := r.open(a.stop)
			if err != nil {
				return err
			}
			defer s.Close() // nothing was written
			c := s.catalog
			a.talk().Printf("The ledger of store %s is sound: %s, root %s.", c.Store, plural(c.Checkpoint.Size, "entry", "entries"), c.Checkpoint.Root)
			for _, key := range c.Keys {
				a.talk().Printf("It is signed by %s", key)
			}
			compared := []int64{}
			for i, kept := range s.kept {
				whose := "this machine remembers"
				if i >= len(s.kept)-len(r.checkpoints) {
					whose = "was given"
				}
				a.talk().Printf("It contains the checkpoint of %s that %s.", plural(kept.Size, "entry", "entries"), whose)
				compared = append(compared, kept.Size)
			}
			a.talk().Emit("ledger", map[string]any{"store": c.Store, "size": c.Checkpoint.Size, "root": c.Checkpoint.Root.String(), "keys": c.Keys, "compared": compared})
			return nil
		},
	}
	r.register(cmd)
	return cmd
}

func (a *app) ledgerCheckpointCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "checkpoint",
		Short: "Write the newest signed checkpoint, to keep it elsewhere",
		Long: `Write the newest signed checkpoint of the ledger. Kept where the safe's people
cannot reach it, it proves later that nothing was changed before it.`,
		Example: `  strongroom ledger checkpoint > 2026-11-21.checkpoint`,
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			s, err := a.openSafe()
			if err != nil {
				return err
			}
			defer s.Close() // nothing was written
			b, err := s.State().Checkpoint(a.stop)
			if err != nil {
				return err
			}
			if a.json {
				a.talk().Emit("checkpoint", map[string]string{"checkpoint": string(b)})
				return nil
			}
			_, err = a.stdout.Write(b)
			return err
		},
	}
}
