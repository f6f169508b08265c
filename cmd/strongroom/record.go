package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"strongroom/internal/access/record"
	"strongroom/internal/daemon"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/store/catalog"
	"strongroom/internal/ui"
)

func (a *app) recordCommand() *cobra.Command {
	return group(&cobra.Command{Use: "record COMMAND", Short: "Say what came of a restore, signed"},
		a.recordWriteCommand(), a.recordAddCommand())
}

// A writing is one call of record write.
type writing struct {
	*app
	right, wrong   []string
	checked        string
	application    string
	host           string
	started, ended string
	took           time.Duration
	note           string
	out            string
}

func (a *app) recordWriteCommand() *cobra.Command {
	w := &writing{app: a}
	cmd := &cobra.Command{
		Use:   "write --snapshot NAME --started TIME --checked TEXT",
		Short: "Write a record of what you have restored, and sign it",
		Long: `Write a record: which snapshots you have restored, when, and whether you found
them to be right. It is signed with the SSH key of your profile. With it the
safe knows that these sources come back, and counts you among those who can do
it.

A snapshot that came back and was not right is named with --wrong in the place
of --snapshot: that is no proof, and a finding is raised.

--application says that you have rebuilt all of an application, from --started
to --ended: that is measured against its service levels.

The safe is not asked if snapshots are named as SOURCE/RUN. Bring the file to
the safe: into the inbox of the gate while an opening of yours is open (sftp,
put), or with "strongroom record add" at the safe's host.`,
		Example: `  strongroom record write --snapshot erp-files --started 2026-11-20T09:00 \
      --checked "the shop starts, and shows yesterday's orders"
  strongroom record write --application erp \
      --started 2026-11-20T09:00 --took 2h \
      --snapshot erp-db/01a1ffd6-eb8b-7c57-8def-0123456789ab \
      --wrong erp-files/01a1ffd7-0b1c-7d02-8def-0123456789ab \
      --checked "row counts of all tables; the folder in/ is empty"`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error { return w.run() },
	}
	f := cmd.Flags()
	f.StringArrayVar(&w.right, "snapshot", nil, "`name` of a snapshot that came back and was right; may be given several times")
	f.StringArrayVar(&w.wrong, "wrong", nil, "`name` of a snapshot that came back and was not right; may be given several times")
	f.StringVar(&w.checked, "checked", "", "how you found that out, for everybody to read")
	f.StringVar(&w.application, "application", "", "`name` of the application, if you have rebuilt all of it")
	f.StringVar(&w.host, "host", "", "`name` of the host on which you did it (default: this one)")
	f.StringVar(&w.started, "started", "", "`time` at which you started")
	f.StringVar(&w.ended, "ended", "", "`time` at which it was checked (default: now)")
	f.DurationVar(&w.took, "took", 0, "how long it took, such as `2h`, in the place of --ended")
	f.StringVar(&w.note, "note", "", "whatever else there is to say")
	f.StringVarP(&w.out, "output", "o", "record.json", "`file` to write")
	return cmd
}

func (w *writing) run() error {
	started, ended, err := w.times()
	switch {
	case err != nil:
		return err
	case len(w.right)+len(w.wrong) == 0:
		return &ui.UsageError{Problem: "say what you have restored", Remedy: "Add --snapshot NAME, or --wrong NAME if it was not right."}
	case strings.TrimSpace(w.checked) == "":
		return &ui.UsageError{Problem: "say how you have checked it", Remedy: "Add --checked TEXT: a restore that nobody has looked at proves nothing."}
	case w.host == "":
		if w.host, err = os.Hostname(); err != nil {
			return ui.WithRemedy(err, "Name it: --host NAME")
		}
	}
	p, err := w.openPerson()
	if err != nil {
		return err
	}
	defer p.Close()
	snapshots, err := w.restored(p)
	if err != nil {
		return err
	}
	r := record.New(p.profile.Store, p.profile.Person, ledger.TextOf(w.host), started, ended, snapshots)
	r.Application, r.Note = ledger.TextOf(w.application), ledger.TextOf(w.note)
	if err := r.Check(); err != nil {
		return &ui.UsageError{Problem: "the record cannot be: " + err.Error(), Remedy: "See: strongroom record write --help"}
	}
	signed, err := record.Sign(r, p.signer)
	if err != nil {
		return err
	}
	b, err := record.Encode(signed)
	if err != nil {
		return err
	}
	err = writeNew(w.out, 0o644, func(f io.Writer) error {
		_, err := f.Write(b)
		return err
	})
	if errors.Is(err, os.ErrExist) {
		err = refusedError{ui.WithRemedy(fmt.Errorf("nothing is written over: %w", err), "Name another file: --output FILE")}
	}
	if err != nil {
		return err
	}
	w.talk().Printf("The record is in %s, signed by %s: %s.", w.out, r.Person, recordInWords(r))
	w.talk().Note("Bring it to the safe: into the inbox of the gate while an opening of yours is open,\nor at the safe's host: strongroom record add %s", w.out)
	w.talk().Emit("record", map[string]any{"file": w.out, "record": r})
	return nil
}

// times returns when it was done.
func (w *writing) times() (started, ended time.Time, err error) {
	if w.started == "" {
		return started, ended, &ui.UsageError{Problem: "say when you started", Remedy: "Add --started TIME, such as 2026-11-20T09:00."}
	}
	if started, err = parseTime(w.started); err != nil {
		return started, ended, err
	}
	switch {
	case w.took != 0 && w.ended != "":
		err = &ui.UsageError{Problem: "--ended and --took exclude each other", Remedy: "Give one of them."}
	case w.took != 0:
		ended = started.Add(w.took)
	case w.ended != "":
		ended, err = parseTime(w.ended)
	default:
		ended = w.now()
	}
	return started, ended, err
}

// restored finds the snapshots that are meant.
func (w *writing) restored(p *person) (all []record.Restored, err error) {
	var listed []catalog.Listed // asked for once, and only if need be
	find := func(name string) (safe.RunID, safe.SourceName, error) {
		if source, run, ok := strings.Cut(name, "/"); ok {
			id, err := safe.ParseRunID(run)
			n, badName := safe.ParseSourceName(source)
			if err := errors.Join(badName, err); err != nil {
				return id, n, &ui.UsageError{Problem: fmt.Sprintf("%q is no snapshot: %v", name, err), Remedy: "Write SOURCE/RUN, or a name that the safe knows: see strongroom snapshots."}
			}
			return id, n, nil
		}
		if listed == nil {
			known, err := p.client.Snapshots(w.stop)
			if err != nil {
				return safe.RunID{}, "", ui.WithRemedy(explainCall(err), "Without the safe, write SOURCE/RUN.")
			}
			listed = listedOf(known)
		}
		l, err := choose(listed, name, time.Time{})
		return l.Run, l.Source, err
	}
	for _, of := range []struct {
		names  []string
		result record.Result
	}{{w.right, record.Right}, {w.wrong, record.Wrong}} {
		for _, name := range of.names {
			run, source, err := find(name)
			if err != nil {
				return nil, err
			}
			all = append(all, record.Restored{Run: run, Source: source, Result: of.result, Checked: ledger.TextOf(w.checked)})
		}
	}
	slices.SortFunc(all, func(a, b record.Restored) int { return a.Run.Compare(b.Run) })
	return all, nil
}

// recordInWords says what a record claims.
func recordInWords(r record.Record) string {
	e := ledger.RecordAccepted{Application: r.Application, Started: r.Started, Ended: r.Ended}
	for _, s := range r.Snapshots {
		e.Snapshots = append(e.Snapshots, ledger.SnapshotRestored{Run: s.Run, Source: s.Source, Right: s.Result == record.Right})
	}
	return describeRestored(e)
}

func (a *app) recordAddCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "add FILE",
		Short: "Bring a record to the safe, at its host",
		Long: `Take in a record that somebody has written and signed on their own machine,
and that did not come through a gate. It counts for the one who signed it, not
for who brings it. What the safe cannot believe it refuses, and says why.`,
		Example: `  strongroom record add record.json`,
		Args:    args(1, 1, "one file"),
		RunE: func(_ *cobra.Command, given []string) error {
			b, err := readRecord(given[0])
			if err != nil {
				return err
			}
			s, err := a.openSafe()
			if err != nil {
				return err
			}
			defer s.Close() // what was added was committed
			r, err := s.AddRecord(a.ctx, b, account())
			if refused := (*daemon.RecordError)(nil); errors.As(err, &refused) {
				return refusedError{ui.WithRemedy(err, "A record is what strongroom record write has made, unchanged.")}
			}
			if err != nil {
				return err
			}
			a.assess(s)
			a.talk().Printf("Taken in, signed by %s: %s.", r.Person, recordInWords(r))
			if !r.Right() {
				a.talk().Warn("what was not right is a finding now: strongroom findings list")
			}
			a.talk().Emit("record", map[string]any{"record": r})
			return nil
		},
	}
}

func readRecord(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()                                        // nothing was written
	return io.ReadAll(io.LimitReader(f, record.MaxFile+1)) // more than that is refused as such
}
