package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"strongroom/internal/access/api"
	"strongroom/internal/access/profile"
	"strongroom/internal/safe"
	"strongroom/internal/source/pattern"
	"strongroom/internal/store"
	"strongroom/internal/store/catalog"
	"strongroom/internal/ui"
)

func (a *app) snapshotsCommand() *cobra.Command {
	r := &reading{app: a, unproven: true}
	cmd := &cobra.Command{
		Use:   "snapshots [SOURCE]",
		Short: "List the snapshots of the store",
		Long: `List the snapshots of the store, or of one source, oldest first, by the names
that other commands take. It needs no key: what is in them it does not show.
What the ledger does not vouch for is marked, and the exit status is then 3.

On a person's own machine, where there is a profile and no configuration, the
safe is asked instead. That is to choose what to ask for, with "strongroom
opening request": what the safe says is verified once it is released.`,
		Example: `  strongroom snapshots
  strongroom snapshots erp-files --store /mnt/copy`,
		Args: args(0, 1, "at most one source"),
		RunE: func(_ *cobra.Command, given []string) error {
			source := ""
			if len(given) > 0 {
				source = given[0]
			}
			if r.asksSafe() {
				return a.listSnapshotsOfSafe(source)
			}
			s, err := r.open(a.stop)
			if err != nil {
				return err
			}
			defer s.Close() // nothing was written
			return a.listSnapshots(s, source)
		},
	}
	r.register(cmd)
	r.registerGate(cmd)
	return cmd
}

func (a *app) listSnapshots(s *openStore, source string) error {
	of := func(l catalog.Listed) bool {
		// Of what is lost, the source may be, too.
		return source == "" || l.Source == "" || string(l.Source) == source
	}
	if source != "" && !slices.ContainsFunc(s.candidates(), of) {
		var others []string
		for _, l := range s.listed {
			others = append(others, string(l.Source))
		}
		return noSnapshotOf(source, others)
	}
	t, now := a.talk(), a.now()
	if len(s.listed) == 0 && len(s.lost) == 0 {
		t.Note("The store has no snapshot yet.")
		return nil
	}
	table := ui.NewTable(ui.Column{Title: "SNAPSHOT"}, ui.Column{Title: "AGE"}, ui.Column{Title: "ENTRIES", Right: true},
		ui.Column{Title: "SIZE", Right: true}, ui.Column{Title: "NEW", Right: true}, ui.Column{Title: "KEPT UNTIL"}, ui.Column{Title: "", Cut: true})
	losses := false
	for _, l := range s.listed {
		if !of(l) {
			continue
		}
		losses = losses || l.Unproven != nil
		table.Row(s.names.of(l.Snapshot), ui.Ago(l.Started, now), ui.Count(l.Entries), ui.Size(l.Bytes), ui.Size(l.NewBytes),
			l.KeepUntil.Local().Format(time.DateOnly)+" "+string(l.Tier), remarkOn(l))
		message := messageOf(l.Snapshot)
		message["proven"] = l.Unproven == nil
		t.Emit("snapshot", message)
	}
	t.Table(table)
	for _, l := range s.candidates() {
		if err, lost := s.lost[l.Run]; lost && of(l) {
			losses = true
			t.Warn("the description of run %s is lost: %v", l.Run, err)
		}
	}
	if losses {
		return errLosses
	}
	return nil
}

// asksSafe reports whether the safe is to be asked what it has: nothing says
// which store is meant, and this is a person's own machine.
func (r *reading) asksSafe() bool {
	switch a := r.app; {
	case r.storePath != "" || r.from != "" || len(r.ledgerKeys) > 0 || len(r.checkpoints) > 0:
		return false
	case a.profileDir != "":
		return true
	default:
		if _, err := a.config(); a.configFile != "" || !errors.Is(err, fs.ErrNotExist) {
			return false
		}
		_, err := a.openProfile()
		var find *profile.FindError
		return !errors.As(err, &find) || len(find.Found) > 0
	}
}

// listSnapshotsOfSafe lists what the safe says that it has. A person chooses
// from it what to ask for; nothing is read or believed by it.
func (a *app) listSnapshotsOfSafe(source string) error {
	p, err := a.openPerson()
	if err != nil {
		return err
	}
	defer p.Close()
	all, err := p.client.Snapshots(a.stop)
	if err != nil {
		return explainCall(err)
	}
	slices.SortFunc(all, func(a, b api.Snapshot) int { return a.Run.Compare(b.Run) })
	t, now := a.talk(), a.now()
	if len(all) == 0 {
		t.Note("The safe has no snapshot yet.")
		return nil
	}
	listed, names := listedOf(all), make(names)
	var sources []string
	for _, l := range listed {
		names.add(l.Snapshot)
		sources = append(sources, string(l.Source))
	}
	if source != "" && !slices.Contains(sources, source) {
		return noSnapshotOf(source, sources)
	}
	table := ui.NewTable(ui.Column{Title: "SNAPSHOT"}, ui.Column{Title: "AGE"}, ui.Column{Title: "ENTRIES", Right: true},
		ui.Column{Title: "SIZE", Right: true}, ui.Column{Title: "COLLECTIONS", Right: true}, ui.Column{Title: "KEPT UNTIL"}, ui.Column{Title: ""})
	for i, l := range listed {
		if source != "" && string(l.Source) != source {
			continue
		}
		partial := any("")
		if l.Partial {
			partial = ui.Bad("partial")
		}
		table.Row(names.of(l.Snapshot), ui.Ago(l.Started, now), ui.Count(l.Entries), ui.Size(l.Bytes), all[i].Runs,
			l.KeepUntil.Local().Format(time.DateOnly)+" "+string(l.Tier), partial)
		t.Emit("snapshot", map[string]any{"name": nameOfAnyZone(l.Snapshot), "run": l.Run, "source": l.Source, "started": l.Started, "finished": l.Finished,
			"entries": l.Entries, "bytes": l.Bytes, "collections": all[i].Runs, "partial": l.Partial, "keep_until": l.KeepUntil, "tier": l.Tier})
	}
	t.Table(table)
	return nil
}

func remarkOn(l catalog.Listed) any {
	switch {
	case l.Unproven != nil:
		return ui.Bad("NOT PROVEN: " + l.Unproven.Error())
	case l.Partial:
		return ui.Bad("partial")
	case l.Warnings > 0:
		return plural(l.Warnings, "warning", "warnings")
	default:
		return ""
	}
}

func (a *app) lsCommand() *cobra.Command {
	r, keys := &reading{app: a}, &roleKeys{}
	var long bool
	cmd := &cobra.Command{
		Use:   "ls SNAPSHOT [PATH...]",
		Short: "List what a snapshot contains",
		Long: `List what a snapshot contains: everything, or what the paths and patterns match.
It needs both role keys, or the gate of an opening. In names \\ is a backslash,
and what a terminal might obey or hide is shown as in \n, \x1b or \u202e.`,
		Example: `  strongroom ls erp-files --outer-key outer.key --inner-key inner.key
  strongroom ls -l erp-files@2026-11-20 '/etc/**/*.conf' \
      --outer-key outer.key --inner-key inner.key`,
		Args: args(1, -1, "a snapshot, and paths or patterns"),
		RunE: func(_ *cobra.Command, given []string) error {
			s, err := r.open(a.stop)
			if err != nil {
				return err
			}
			defer s.Close() // nothing was written
			snapshot, err := r.openSnapshot(a.stop, s, given[0], keys)
			if err != nil {
				return err
			}
			defer snapshot.Close() // nothing was written
			return explainGate(a.list(snapshot, given[1:], long))
		},
	}
	r.registerChoice(cmd)
	keys.register(cmd)
	cmd.Flags().BoolVarP(&long, "long", "l", false, "with mode, owner, size and time")
	return cmd
}

// list lists the entries that the paths match, as they are read.
func (a *app) list(snapshot *store.Snapshot, paths []string, long bool) error {
	wanted, err := want(paths)
	if err != nil {
		return err
	}
	reader, _, err := snapshot.Manifest(a.stop)
	if err != nil {
		return err
	}
	t := a.talk()
	out := bufio.NewWriter(a.stdout)
	for {
		e, err := reader.Next()
		if err == io.EOF {
			return errors.Join(out.Flush(), a.tellUnmatched(wanted))
		}
		if err != nil {
			return errors.Join(out.Flush(), err) // what comes before the damage is worth having
		}
		if !wanted.has(e.Path) {
			continue
		}
		if t.JSON() {
			t.Emit("entry", entryMessage(e))
			continue
		}
		if _, err := fmt.Fprintln(out, entryLine(e, long)); err != nil {
			return err
		}
	}
}

func entryLine(e safe.Entry, long bool) string {
	name := ui.Name(e.Path)
	if e.Type == safe.Dir {
		name += "/"
	}
	if !long {
		return name
	}
	if e.Target != "" {
		name += " -> " + ui.Name(e.Target)
	}
	return fmt.Sprintf("%s%04o %s %10s  %s  %s", typeLetter(e.Type), e.Mode, owner(e), ui.Size(e.Size), e.MTime.Local().Format("2006-01-02 15:04:05"), name)
}

func typeLetter(t safe.EntryType) string {
	letters := map[safe.EntryType]string{safe.File: "-", safe.Dir: "d", safe.Symlink: "l", safe.Hardlink: "h", safe.Stream: "s", safe.Special: "x"}
	return letters[t]
}

func owner(e safe.Entry) string {
	user, group := e.User, e.Group
	if user == "" {
		user = fmt.Sprint(e.UID)
	}
	if group == "" {
		group = fmt.Sprint(e.GID)
	}
	return ui.Clean(user + ":" + group)
}

func entryMessage(e safe.Entry) map[string]any {
	return map[string]any{
		"path": e.Path, "path64": []byte(e.Path), "kind": e.Type, "mode": fmt.Sprintf("%04o", e.Mode), "uid": e.UID, "gid": e.GID,
		"user": e.User, "group": e.Group, "mtime": e.MTime, "size": e.Size, "target": e.Target,
	}
}

func (a *app) catCommand() *cobra.Command {
	r, keys := &reading{app: a}, &roleKeys{}
	cmd := &cobra.Command{
		Use:   "cat SNAPSHOT PATH",
		Short: "Write the content of one file to standard output",
		Long: `Write the content of one file to standard output, every part verified before it
is written. It needs both role keys, or the gate of an opening.`,
		Example: `  strongroom cat erp-files /etc/erp/erp.conf \
      --outer-key outer.key --inner-key inner.key`,
		Args: args(2, 2, "a snapshot and the path of a file in it"),
		RunE: func(_ *cobra.Command, given []string) error {
			if a.json {
				return &ui.UsageError{Problem: "the content of a file is no message", Remedy: "Leave out --json."}
			}
			s, err := r.open(a.stop)
			if err != nil {
				return err
			}
			defer s.Close() // nothing was written
			snapshot, err := r.openSnapshot(a.stop, s, given[0], keys)
			if err != nil {
				return err
			}
			defer snapshot.Close() // nothing was written
			return explainGate(a.cat(snapshot, given[0], strings.TrimPrefix(given[1], "/")))
		},
	}
	r.registerChoice(cmd)
	keys.register(cmd)
	return cmd
}

func (a *app) cat(snapshot *store.Snapshot, name, path string) error {
	reader, _, err := snapshot.Manifest(a.stop)
	if err != nil {
		return err
	}
	for {
		e, err := reader.Next()
		if err == io.EOF || err == nil && safe.ComparePaths(e.Path, path) > 0 {
			return ui.WithRemedy(fmt.Errorf("%s: %w", ui.Name(path), errNothingThere), "See what is in it: strongroom ls "+name)
		}
		if err != nil {
			return err
		}
		if e.Path != path {
			continue
		}
		if e.Type == safe.Hardlink {
			return a.cat(snapshot, name, e.Target)
		}
		if e.Type != safe.File && e.Type != safe.Stream {
			return fmt.Errorf("%s is a %s and has no content", ui.Name(path), describeType(e))
		}
		_, err = io.Copy(a.stdout, snapshot.Content(a.stop, reader))
		return err
	}
}

// describeType says what an entry is that has no content of its own.
func describeType(e safe.Entry) string {
	switch e.Type {
	case safe.Dir:
		return "folder"
	case safe.Symlink:
		return "symbolic link to " + ui.Name(e.Target)
	default:
		return "device, socket or pipe"
	}
}

// wanted is what of a snapshot is to be listed. The zero value is all of it.
type wanted struct {
	list  *pattern.List
	tally *pattern.Tally
	lines []string // as they were given
}

func want(lines []string) (*wanted, error) {
	if len(lines) == 0 {
		return &wanted{}, nil
	}
	rooted := make([]string, len(lines))
	for i, line := range lines {
		rooted[i] = "/" + strings.TrimSuffix(strings.TrimPrefix(line, "/"), "/")
		if line == "/" {
			return &wanted{}, nil
		}
	}
	list, err := pattern.Compile(rooted, nil)
	if err != nil {
		return nil, &ui.UsageError{Problem: err.Error(), Remedy: "Name paths of the snapshot, or patterns with * and **."}
	}
	return &wanted{list, list.NewTally(), lines}, nil
}

// has reports whether a path is wanted.
func (w *wanted) has(path string) bool {
	if w.list == nil {
		return true
	}
	for place := w.list.Root(); place != nil; {
		name, rest, more := strings.Cut(path, "/")
		verdict := place.Match(name)
		if !more {
			w.tally.Count(verdict)
			return verdict.Included
		}
		place, path = verdict.Beneath, rest
	}
	return false
}

// tellUnmatched names the lines that matched nothing.
func (a *app) tellUnmatched(w *wanted) error {
	if w.list == nil {
		return nil
	}
	var err error
	for i, m := range w.tally.Matches() {
		if m.Entries > 0 {
			continue
		}
		hint := ""
		if line := w.lines[i]; !strings.Contains(line, "/") {
			hint = fmt.Sprintf("; it was looked for at the top only, in any folder it is %q", "**/"+line)
		}
		a.talk().Warn("%q matches nothing in the snapshot%s", w.lines[i], hint)
		err = errLosses
	}
	return err
}
