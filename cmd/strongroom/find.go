package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"strongroom/internal/safe"
	"strongroom/internal/store"
	"strongroom/internal/store/blob"
	"strongroom/internal/store/diff"
	"strongroom/internal/store/manifest"
	"strongroom/internal/store/seal"
	"strongroom/internal/ui"
)

func (a *app) findCommand() *cobra.Command {
	r, keys := &reading{app: a}, &roleKeys{}
	var chosen selection
	var sought search
	cmd := &cobra.Command{
		Use:   "find [PATTERN...]",
		Short: "Look for paths in snapshots, and for when they changed",
		Long: `Look for what the patterns match, as in the include lines of a source: a folder
is matched with everything in it. By itself it looks into the newest snapshot
of each source.

With --source or --all it goes through all complete snapshots, from the oldest
to the newest, and tells what became of the paths: what was there in the first
of them, and in each after it what was added or removed, of what the content
or only the metadata (owner, mode, time, attributes) was changed. Content is
compared by its digests: what changed it while keeping size and time shows.

It needs both role keys, or the gate of an opening.`,
		Example: `  strongroom find --name '*.csv' --outer-key outer.key --inner-key inner.key
  strongroom find /srv/erp/prices.csv --source erp-files \
      --outer-key outer.key --inner-key inner.key
  strongroom find '/etc/**/*.conf' --newer 2026-11-20 --from sftp://HOST:PORT`,
		Args: args(0, -1, "patterns"),
		RunE: func(_ *cobra.Command, given []string) error {
			if err := sought.compile(given); err != nil {
				return err
			}
			if err := chosen.check(); err != nil {
				return err
			}
			s, err := r.open(a.stop)
			if err != nil {
				return err
			}
			defer s.Close() // nothing was written
			return explainGate(a.find(r, s, keys, &chosen, &sought))
		},
	}
	r.registerChoice(cmd)
	keys.register(cmd)
	f := cmd.Flags()
	f.StringArrayVar(&chosen.names, "snapshot", nil, "look into this `snapshot`; may be given several times")
	f.StringVar(&chosen.source, "source", "", "go through all snapshots of this `source`")
	f.BoolVar(&chosen.all, "all", false, "go through all snapshots of all sources")
	f.StringArrayVar(&sought.names, "name", nil, "what is called like this `pattern`, in any folder; may be given several times")
	f.StringVar(&sought.newer, "newer", "", "only what was modified at or after this `time`, such as 2026-11-20 or 2026-11-20T12:00")
	return cmd
}

// A search is what find looks for.
type search struct {
	names []string
	newer string

	wanted *wanted
	since  time.Time // zero for any
}

func (q *search) compile(lines []string) (err error) {
	for _, name := range q.names {
		if name == "" || strings.Contains(name, "/") {
			return &ui.UsageError{Problem: fmt.Sprintf("--name %q is not the pattern of a name", name), Remedy: "Give a path as it is, without --name."}
		}
		lines = append(lines, "**/"+name)
	}
	if len(lines) == 0 {
		return &ui.UsageError{Problem: "say what to look for", Remedy: "Give patterns such as '/etc/**/*.conf', or --name '*.conf'. See: strongroom find --help"}
	}
	if q.wanted, err = want(lines); err != nil {
		return err
	}
	// A day means its beginning here, as everything of that day is newer.
	if q.since, err = time.ParseInLocation(time.DateOnly, q.newer, time.Local); err != nil {
		q.since, err = parseTime(q.newer)
	}
	return err
}

// has reports whether an entry is looked for.
func (q *search) has(e safe.Entry) bool {
	return q.wanted.has(e.Path) && !e.MTime.Before(q.since)
}

// A selection is where find looks.
type selection struct {
	names  []string
	source string
	all    bool
}

func (c *selection) check() error {
	given := 0
	for _, is := range []bool{len(c.names) > 0, c.source != "", c.all} {
		if is {
			given++
		}
	}
	if given > 1 {
		return &ui.UsageError{Problem: "--snapshot, --source and --all exclude each other", Remedy: "Name snapshots, or a source, or take all."}
	}
	return nil
}

// history tells whether snapshots are compared with those before them.
func (c *selection) history() bool { return c.source != "" || c.all }

// find looks through the snapshots chosen, source by source, oldest first.
// What cannot be read is named, and the rest is looked through.
func (a *app) find(r *reading, s *openStore, keys *roleKeys, chosen *selection, q *search) error {
	bySource, missing, err := chosen.snapshots(r, s)
	if err != nil {
		return err
	}
	unlock, err := r.unlock(a.stop, s, keys)
	if err != nil {
		return err
	}
	f := &finder{app: a, store: s, search: q, unlock: onceEach(unlock), out: bufio.NewWriter(a.stdout), losses: missing}
	for _, snapshots := range bySource {
		if chosen.history() {
			err = f.follow(snapshots)
		} else {
			err = f.look(snapshots)
		}
		if err != nil {
			return errors.Join(f.out.Flush(), err)
		}
	}
	if err := f.out.Flush(); err != nil {
		return err
	}
	err = a.tellUnmatched(q.wanted)
	if f.losses {
		err = errLosses
	}
	return err
}

// snapshots returns what was chosen, a list for each source, and whether
// something had to be left out.
func (c *selection) snapshots(r *reading, s *openStore) (bySource [][]safe.Snapshot, missing bool, err error) {
	if len(c.names) > 0 {
		for _, name := range c.names {
			d, err := r.choose(s, name)
			if err != nil {
				return nil, false, err
			}
			bySource = append(bySource, []safe.Snapshot{d})
		}
		return bySource, false, nil
	}
	var sources []safe.SourceName
	for _, l := range s.candidates() {
		if l.Source != "" && (c.source == "" || c.source == string(l.Source)) && !slices.Contains(sources, l.Source) {
			sources = append(sources, l.Source)
		}
	}
	if len(sources) == 0 && c.source != "" {
		return nil, false, noSnapshotOf(c.source, s.sources())
	}
	for _, source := range sources {
		if !c.history() {
			d, err := r.choose(s, string(source))
			if err != nil {
				return nil, false, err
			}
			bySource = append(bySource, []safe.Snapshot{d})
			continue
		}
		snapshots, left, err := r.series(s, source)
		if err != nil {
			return nil, false, err
		}
		bySource, missing = append(bySource, snapshots), missing || left
	}
	return bySource, missing, nil
}

// series returns the complete snapshots of a source, oldest first. Those that
// are not proven are left out, unless that was allowed, and so are those whose
// description is lost.
func (r *reading) series(s *openStore, source safe.SourceName) (snapshots []safe.Snapshot, missing bool, err error) {
	t := r.app.talk()
	until, err := parseTime(r.at)
	if err != nil {
		return nil, false, err
	}
	var partial int64
	for _, l := range s.candidates() {
		if l.Source != source || !until.IsZero() && l.Started.After(until) {
			continue
		}
		if l.Partial {
			partial++
			continue
		}
		unsound := cmp.Or(s.lost[l.Run], l.Unproven)
		if unsound != nil && (s.lost[l.Run] != nil || !r.unproven) {
			t.Warn("%s is left out: %v", s.names.of(l.Snapshot), unsound)
			missing = true
			continue
		}
		snapshots = append(snapshots, l.Snapshot)
	}
	if partial > 0 {
		t.Note("Left out of %s: %s, of which nobody knows what is only not in it.", source, plural(partial, "partial snapshot", "partial snapshots"))
	}
	return snapshots, missing, nil
}

// sources returns the names of all sources there are, some several times.
func (s *openStore) sources() (all []string) {
	for _, l := range s.listed {
		all = append(all, string(l.Source))
	}
	return all
}

// A finder looks through snapshots.
type finder struct {
	app    *app
	store  *openStore
	search *search
	unlock unlocker
	out    *bufio.Writer
	losses bool
}

// look shows what there is in each of the snapshots.
func (f *finder) look(snapshots []safe.Snapshot) error {
	for _, d := range snapshots {
		if err := f.each(d, ""); err != nil {
			return err
		}
	}
	return nil
}

// follow shows what there is in the first of the snapshots, and what changed
// in each that follows.
func (f *finder) follow(snapshots []safe.Snapshot) error {
	for i, d := range snapshots {
		var err error
		if i == 0 {
			err = f.each(d, "there")
		} else {
			err = f.changes(snapshots[i-1], d)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// each shows all entries of a snapshot that are looked for.
func (f *finder) each(d safe.Snapshot, change string) error {
	return f.reading(d, func(ctx context.Context) error {
		snapshot, err := f.store.openWith(ctx, d, f.unlock)
		if err != nil {
			return err
		}
		defer snapshot.Close() // nothing was written
		entries, _, err := snapshot.Manifest(ctx)
		if err != nil {
			return err
		}
		for {
			e, err := entries.Next()
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return err
			}
			if f.search.has(e) {
				if err := f.show(d, change, e); err != nil {
					return err
				}
			}
		}
	})
}

// changes shows what has become of entries since the snapshot before.
func (f *finder) changes(before, d safe.Snapshot) error {
	return f.reading(d, func(ctx context.Context) error {
		for c, err := range f.store.compare(ctx, before, d, f.unlock) {
			if err != nil {
				return err
			}
			e := c.After
			if c.Kind == diff.Removed {
				e = c.Before
			}
			if f.search.has(e) {
				if err := f.show(d, c.Kind.String(), e); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// compare yields the changes from one snapshot to another, as diff.Compare.
func (s *openStore) compare(ctx context.Context, before, after safe.Snapshot, unlock unlocker) iter.Seq2[diff.Change, error] {
	return func(yield func(diff.Change, error) bool) {
		fail := func(err error) { yield(diff.Change{}, err) }
		var readers [2]*manifest.Reader
		for i, d := range []safe.Snapshot{before, after} {
			snapshot, err := s.openWith(ctx, d, unlock)
			if err != nil {
				fail(fmt.Errorf("opening %s: %w", s.names.of(d), err))
				return
			}
			defer snapshot.Close() // nothing was written
			if readers[i], _, err = snapshot.Manifest(ctx); err != nil {
				fail(fmt.Errorf("reading what is in %s: %w", s.names.of(d), err))
				return
			}
		}
		for c, err := range diff.Compare(readers[0], readers[1]) {
			if !yield(c, err) {
				return
			}
		}
	}
}

// reading calls read, and takes a snapshot that cannot be read for a loss. An
// error is one that ends the search.
func (f *finder) reading(d safe.Snapshot, read func(context.Context) error) error {
	err := read(f.app.stop)
	var output outputError
	var corrupt *store.CorruptError // also where damage looks like a wrong key
	switch {
	case err == nil:
		return nil
	case f.app.stop.Err() != nil, errors.As(err, &output), errors.Is(err, blob.ErrGone),
		errors.Is(err, seal.ErrWrongKey) && !errors.As(err, &corrupt):
		return err
	}
	f.app.talk().Warn("%s cannot be read as a whole: %v", f.store.names.of(d), err)
	f.losses = true
	return nil
}

// An outputError says that nobody reads what is found.
type outputError struct{ error }

func (e outputError) Unwrap() error { return e.error }

// show shows an entry, with what has happened to it if that is known.
func (f *finder) show(d safe.Snapshot, change string, e safe.Entry) error {
	name := f.store.names.of(d)
	if t := f.app.talk(); t.JSON() {
		m := entryMessage(e)
		m["snapshot"], m["run"], m["source"] = name, d.Run, d.Source
		if change != "" {
			m["change"] = change
		}
		t.Emit("found", m)
		return nil
	}
	path := ui.Name(e.Path)
	if e.Type == safe.Dir {
		path += "/"
	}
	if change != "" {
		change = fmt.Sprintf("%-8s  ", change)
	}
	if _, err := fmt.Fprintf(f.out, "%s  %s%10s  %s  %s\n", name, change, ui.Size(e.Size), e.MTime.Local().Format(time.DateTime), path); err != nil {
		return outputError{err}
	}
	return nil
}

// onceEach opens the key of each run once, however many snapshots need it.
func onceEach(unlock unlocker) unlocker {
	type key struct {
		run      safe.RunID
		envelope safe.Digest
	}
	var mu sync.Mutex // guards opened
	opened := make(map[key]seal.RunIdentity)
	return func(d safe.Snapshot) store.Identities {
		open := unlock(d)
		return func(ctx context.Context, run safe.RunID) (seal.RunIdentity, error) {
			k := key{run, d.Runs[run].Envelope}
			mu.Lock()
			identity, known := opened[k]
			mu.Unlock()
			if known {
				return identity, nil
			}
			identity, err := open(ctx, run)
			if err == nil {
				mu.Lock()
				opened[k] = identity
				mu.Unlock()
			}
			return identity, err
		}
	}
}
