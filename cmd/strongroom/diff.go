package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"strongroom/internal/safe"
	"strongroom/internal/store/diff"
	"strongroom/internal/ui"
)

func (a *app) diffCommand() *cobra.Command {
	r, keys := &reading{app: a}, &roleKeys{}
	var include []string
	cmd := &cobra.Command{
		Use:   "diff SNAPSHOT SNAPSHOT",
		Short: "Show what is different between two snapshots",
		Long: `Show what is different between two snapshots: what was added or removed on the
way from the first to the second, and of what the content or only the metadata
(owner, mode, time, attributes) was changed. It compares what a restore would
bring back, by digests, and reads no content.

It needs both role keys, or the gate of an opening. The exit status does not
tell whether there is a difference; the last line does, and with --json the
message "compared".`,
		Example: `  strongroom diff erp-files@2026-11-19 erp-files@2026-11-20 --include /etc \
      --outer-key outer.key --inner-key inner.key`,
		Args: args(2, 2, "two snapshots"),
		RunE: func(_ *cobra.Command, given []string) error {
			wanted, err := want(include)
			if err != nil {
				return err
			}
			s, err := r.open(a.stop)
			if err != nil {
				return err
			}
			defer s.Close() // nothing was written
			before, err := r.choose(s, given[0])
			if err != nil {
				return err
			}
			after, err := r.choose(s, given[1])
			if err != nil {
				return err
			}
			unlock, err := r.unlock(a.stop, s, keys)
			if err != nil {
				return err
			}
			return explainGate(a.diff(s, before, after, onceEach(unlock), wanted))
		},
	}
	r.registerChoice(cmd)
	keys.register(cmd)
	cmd.Flags().StringArrayVar(&include, "include", nil, "only this `path` or pattern; may be given several times")
	return cmd
}

// diff shows the differences as they are found.
func (a *app) diff(s *openStore, before, after safe.Snapshot, unlock unlocker, wanted *wanted) error {
	t, out := a.talk(), bufio.NewWriter(a.stdout)
	counts := make(map[diff.Kind]int64)
	for c, err := range s.compare(a.stop, before, after, unlock) {
		if err != nil {
			return errors.Join(out.Flush(), err) // what comes before the damage is worth having
		}
		if !wanted.has(c.Path()) {
			continue
		}
		counts[c.Kind]++
		if t.JSON() {
			t.Emit("difference", differenceMessage(c))
			continue
		}
		if _, err := fmt.Fprintln(out, differenceLine(c)); err != nil {
			return err
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	t.Printf("%s to %s: %s added, %s removed, %s changed in content, %s in metadata only", s.names.of(before), s.names.of(after),
		ui.Count(counts[diff.Added]), ui.Count(counts[diff.Removed]), ui.Count(counts[diff.Content]), ui.Count(counts[diff.Metadata]))
	t.Emit("compared", map[string]any{"before": before.Run, "after": after.Run, "added": counts[diff.Added], "removed": counts[diff.Removed],
		"content": counts[diff.Content], "metadata": counts[diff.Metadata]})
	return nil
}

func differenceMessage(c diff.Change) map[string]any {
	m := map[string]any{"path": c.Path(), "path64": []byte(c.Path()), "change": c.Kind.String()}
	if c.Kind != diff.Added {
		m["before"] = entryMessage(c.Before)
	}
	if c.Kind != diff.Removed {
		m["after"] = entryMessage(c.After)
	}
	return m
}

func differenceLine(c diff.Change) string {
	e := c.After
	if c.Kind == diff.Removed {
		e = c.Before
	}
	path := ui.Name(e.Path)
	if e.Type == safe.Dir {
		path += "/"
	}
	line := fmt.Sprintf("%-8s  %s", c.Kind, path)
	switch c.Kind {
	case diff.Added, diff.Removed:
		if e.Type == safe.File || e.Type == safe.Stream {
			line += "  (" + ui.Size(e.Size) + ")"
		}
	default:
		line += "  (" + strings.Join(whatChanged(c), ", ") + ")"
	}
	return line
}

// whatChanged names what is different. Content that changed while size and
// time stayed is said to have, since honest programs seldom do that.
func whatChanged(c diff.Change) (all []string) {
	a, b := c.Before, c.After
	changed := func(what, from, to string) {
		if from != to {
			all = append(all, strings.TrimSpace(fmt.Sprintf("%s %s -> %s", what, from, to)))
		}
	}
	if c.Kind == diff.Content && a.Type == b.Type && a.Target == b.Target && a.Size == b.Size && a.MTime.Equal(b.MTime) {
		all = append(all, "same size and time")
	}
	changed("type", string(a.Type), string(b.Type))
	changed("target", ui.Name(a.Target), ui.Name(b.Target))
	if a.Size != b.Size {
		changed("", ui.Size(a.Size), ui.Size(b.Size))
	}
	changed("modified", modified(a, b), modified(b, a))
	changed("mode", fmt.Sprintf("%04o", a.Mode), fmt.Sprintf("%04o", b.Mode))
	changed("owner", owner(a), owner(b))
	if a.UID != b.UID || a.GID != b.GID {
		changed("numbers", fmt.Sprintf("%d:%d", a.UID, a.GID), fmt.Sprintf("%d:%d", b.UID, b.GID))
	}
	if !maps.EqualFunc(a.Xattrs, b.Xattrs, bytes.Equal) {
		all = append(all, "attributes")
	}
	if a.Sparse != b.Sparse {
		all = append(all, "holes")
	}
	return all
}

// modified returns when e was modified, to the second if that tells it from
// the other.
func modified(e, other safe.Entry) string {
	t := e.MTime.Local()
	if s := t.Format(time.DateTime); s != other.MTime.Local().Format(time.DateTime) {
		return s
	}
	return t.Format("2006-01-02 15:04:05.000000000")
}
