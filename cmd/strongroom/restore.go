package main

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"strongroom/internal/access/remote"
	"strongroom/internal/store"
	"strongroom/internal/store/restore"
	"strongroom/internal/ui"
)

func (a *app) restoreCommand() *cobra.Command {
	r, keys := &reading{app: a}, &roleKeys{}
	var to, owner string
	var verify bool
	var opts restore.Options
	cmd := &cobra.Command{
		Use:   "restore SNAPSHOT --to FOLDER | --verify",
		Short: "Restore a snapshot into a folder, with both role keys",
		Long: `Restore a snapshot into a folder, which must be empty. A restore that broke off
is continued by the same command. Names of snapshots can be short: erp-files is
the newest complete one of that source, erp-files@2026-11-20 that of that day.
Times are those of this machine's zone; with a Z at the end they are UTC.

It needs the store, or a copy of it, and both role keys; it needs no safe. In
the place of a role key the personal key of somebody who holds it will do, also
as it was typed in from paper: its copies are in the roster in the store.

With --from it reads through the gate of an opening, where the outer seal is off
already: then the personal key of your profile is all it takes. If the opening
ends meanwhile, the same command goes on in the next one.

Everything is verified before it is written. What could not be restored is
listed, and the exit status is then 3.`,
		Example: `  strongroom restore erp-files --to /srv/new \
      --outer-key outer.key --inner-key inner.key
  strongroom restore erp-files@2026-11-20 --include /etc/erp --to etc \
      --store /mnt/copy --outer-key outer.key --inner-key inner.key
  strongroom restore erp-files --verify \
      --outer-key outer.key --inner-key inner.key
  strongroom restore erp-files --from sftp://HOST:PORT --to /srv/new`,
		Args: args(1, 1, "one snapshot"),
		RunE: func(_ *cobra.Command, given []string) error {
			switch {
			case verify && to != "":
				return &ui.UsageError{Problem: "--to and --verify exclude each other", Remedy: "With --verify nothing is written."}
			case !verify && to == "":
				return &ui.UsageError{Problem: "say where to restore, or only to verify", Remedy: "Add --to FOLDER, or --verify to write nothing."}
			}
			var err error
			if opts.Owner, err = parseOwner(owner); err != nil {
				return err
			}
			s, err := r.open(a.stop)
			if err != nil {
				return err
			}
			defer s.Close() // nothing was written to the store
			snapshot, err := r.openSnapshot(a.stop, s, given[0], keys)
			if err != nil {
				return err
			}
			defer snapshot.Close() // nothing was written to the store
			began := a.now()
			if err := a.restore(snapshot, s.names.of(snapshot.Description), to, opts); err != nil {
				return err
			}
			if d := snapshot.Description; s.gate != nil && !verify && len(opts.Include) == 0 {
				a.talk().Note("When you have checked it, say so: strongroom record write --snapshot %s/%s --started %s --checked TEXT", d.Source, d.Run, began.Local().Format(toSecond))
			}
			return nil
		},
	}
	r.registerChoice(cmd)
	keys.register(cmd)
	f := cmd.Flags()
	f.StringVar(&to, "to", "", "`folder` to restore into; made if it is not there")
	f.BoolVar(&verify, "verify", false, "read and verify everything, write nothing")
	f.StringArrayVar(&opts.Include, "include", nil, "only this `path` or pattern; may be given several times")
	f.StringVar(&owner, "owner", "", "give files to their owners by `how`: number, name, or none for who restores (default number for root, none for others)")
	f.BoolVar(&opts.Recheck, "recheck", false, "when continuing, compare the content of files that are in place")
	return cmd
}

func parseOwner(s string) (restore.Owner, error) {
	switch s {
	case "":
		if os.Geteuid() != 0 {
			return restore.NoOwner, nil
		}
		return restore.ByNumber, nil
	case "number":
		return restore.ByNumber, nil
	case "name":
		return restore.ByName, nil
	case "none":
		return restore.NoOwner, nil
	default:
		return 0, &ui.UsageError{Problem: fmt.Sprintf("--owner %q is not known", s), Remedy: "It is number, name or none."}
	}
}

// restore restores, or verifies if there is no folder to restore into.
func (a *app) restore(snapshot *store.Snapshot, name, to string, opts restore.Options) error {
	t, d := a.talk(), snapshot.Description
	what, doing := "restored", "restoring "
	if to == "" {
		what, doing = "verified", "verifying "
	}
	progress := t.Progress(doing+name, "entries")
	defer progress.Done()
	if len(opts.Include) == 0 {
		progress.Expect(d.Bytes)
	}
	var told restore.Progress
	opts.Progress = func(p restore.Progress) {
		progress.Add(p.Entries-told.Entries, p.Bytes-told.Bytes)
		told = p
	}
	began := time.Now()
	report, err := a.runRestore(snapshot, to, opts)
	progress.Done()
	for _, line := range report.Unmatched {
		t.Warn("%q matches nothing in the snapshot", line)
	}
	for _, loss := range report.Losses {
		t.Warn("%s", loss)
	}
	if err != nil {
		return err
	}
	if more := report.LossCount - int64(len(report.Losses)); more > 0 {
		t.Warn("and %s more losses", ui.Count(more))
	}
	t.Printf("%s %s: %s with %s, %s, %s, in %s", name, what, plural(report.Files, "file", "files"), ui.Size(report.Bytes),
		plural(report.Dirs, "folder", "folders"), plural(report.Symlinks+report.Hardlinks, "link", "links"), ui.Duration(time.Since(began)))
	if report.Special > 0 {
		t.Note("Not made, as snapshots only record them: %s.", plural(report.Special, "device, socket or pipe", "devices, sockets and pipes"))
	}
	if report.LossCount > 0 {
		t.Warn("this is not the whole of %s: %s missing, %s in all; see above", name,
			plural(report.Missing, "entry is", "entries are"), plural(report.LossCount, "loss", "losses"))
	}
	t.Emit(what, map[string]any{"run": d.Run, "source": d.Source, "files": report.Files, "bytes": report.Bytes, "dirs": report.Dirs,
		"symlinks": report.Symlinks, "hardlinks": report.Hardlinks, "special": report.Special, "missing": report.Missing, "losses": report.LossCount})
	if report.LossCount > 0 || len(report.Unmatched) > 0 {
		return errLosses
	}
	return nil
}

func (a *app) runRestore(snapshot *store.Snapshot, to string, opts restore.Options) (restore.Report, error) {
	debug.SetGCPercent(restore.GCPercent)
	if to == "" {
		report, err := restore.Verify(a.stop, snapshot, opts)
		return report, explainGate(err)
	}
	if err := os.MkdirAll(to, 0o700); err != nil {
		return restore.Report{}, err
	}
	target, err := os.OpenRoot(to)
	if err != nil {
		return restore.Report{}, err
	}
	defer target.Close() // Run has synced
	report, err := restore.Run(a.stop, snapshot, target, opts)
	switch {
	case errors.Is(err, restore.ErrNotEmpty):
		err = refusedError{ui.WithRemedy(fmt.Errorf("%s: %w", to, err), "Restore into a new folder and move things from there.")}
	case errors.Is(err, remote.ErrCut):
		err = explainGate(err)
	case err != nil:
		err = ui.WithRemedy(err, "Call the same command again to continue.")
	}
	return report, err
}
