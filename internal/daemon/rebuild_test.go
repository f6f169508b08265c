package daemon

import (
	"context"
	"database/sql"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"strongroom/internal/access/opening"
	"strongroom/internal/daemon/state"
	"strongroom/internal/ledger"
)

// A dump is what a state database holds: of each table the rows, as text.
type dump map[string][]string

func dumpOf(t *testing.T, file string) dump {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+file)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	texts := func(query string) (all []string) {
		rows, err := db.Query(query)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var text string
			if err := rows.Scan(&text); err != nil {
				t.Fatal(err)
			}
			all = append(all, text)
		}
		return all
	}
	d := make(dump)
	for _, table := range texts("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'") {
		columns := texts("SELECT name FROM pragma_table_info('" + table + "')")
		first := columns[0]
		for i, c := range columns {
			// All blobs are text, but hashes.
			columns[i] = "'" + c + "=' || iif(typeof(" + c + ") = 'blob' AND length(" + c + ") = 32, hex(" + c + "), ifnull(" + c + ", 'NULL'))"
		}
		d[table] = texts("SELECT " + strings.Join(columns, " || ' ' || ") + " FROM " + table + " ORDER BY " + first)
	}
	return d
}

// expected is what a rebuild makes of a state: all but what waits for people,
// and an opening that is open.
func (d dump) expected() dump {
	e := make(dump)
	for table, rows := range d {
		e[table] = slices.Clone(rows)
	}
	for _, table := range []string{"proposal", "invitation", "enrolment", "mail_cursor", "outbox", "checkpoint", "sqlite_sequence"} {
		delete(e, table)
	}
	return e
}

// diff compares a rebuilt state with the one that was lost.
func (d dump) diff(rebuilt dump) string {
	want, got := d.expected(), rebuilt.expected()
	for _, table := range []string{"entry", "hash"} { // some are added
		got[table] = got[table][:min(len(got[table]), len(want[table]))]
	}
	// Statements are forgotten when they are old, which a rebuild leaves to the
	// next tick.
	got["act"] = slices.DeleteFunc(got["act"], func(row string) bool { return !slices.Contains(want["act"], row) })
	return cmp.Diff(want, got, cmpopts.EquateEmpty())
}

// lose takes the state away and returns what it held.
func (h *hall) lose() dump {
	h.t.Helper()
	h.must(h.safe.Publish(h.t.Context()))
	h.must(h.safe.Close())
	was := dumpOf(h.t, statePath(h.cfg))
	h.loseFiles()
	return was
}

func (h *hall) loseFiles() {
	h.t.Helper()
	h.must(os.Rename(statePath(h.cfg), filepath.Join(h.t.TempDir(), "lost.db")))
}

// rebuild makes the state anew and opens the safe.
func (h *hall) rebuild(kept ...ledger.Checkpoint) *Rebuilt {
	h.t.Helper()
	rebuilt, err := Rebuild(h.t.Context(), h.cfg, RebuildOptions{Kept: kept}, h.options("honest"))
	h.must(err)
	h.reopen()
	return rebuilt
}

func (h *hall) reopen() {
	h.t.Helper()
	var err error
	h.safe, err = Open(h.t.Context(), h.cfg, h.options("honest"))
	h.must(err)
	h.t.Cleanup(func() { h.safe.Close() })
}

// refuses sees that a rebuild is refused, in these words, and that nothing is
// there afterwards that was not before.
func (h *hall) refuses(words string, kept ...ledger.Checkpoint) error {
	h.t.Helper()
	before := h.files()
	_, err := Rebuild(h.t.Context(), h.cfg, RebuildOptions{Kept: kept}, h.options("honest"))
	if err == nil || !strings.Contains(err.Error(), words) {
		h.t.Fatalf("got %v, want %q", err, words)
	}
	if diff := cmp.Diff(before, h.files()); diff != "" {
		h.t.Errorf("a rebuild that was refused has changed something:\n%s", diff)
	}
	return err
}

// files are all of the safe's and its store's with their content, but locks.
func (h *hall) files() map[string]string {
	h.t.Helper()
	all := make(map[string]string)
	for _, root := range []string{h.cfg.Dir, h.cfg.Store} {
		h.must(filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() || strings.Contains(path, "lock") {
				return err
			}
			b, err := os.ReadFile(path)
			all[path] = string(b)
			return err
		}))
	}
	return all
}

// checkpoint returns the newest of the state.
func (h *hall) checkpoint() ledger.Checkpoint {
	h.t.Helper()
	b, err := h.safe.state.Checkpoint(h.t.Context())
	h.must(err)
	c, err := ledger.ParseCheckpoint(b, h.safe.LedgerKeys()...)
	h.must(err)
	return c
}

// givesBack sees that the store could give back the state as it is now,
// whatever a test has done. Every test of a hall ends with it.
func (h *hall) givesBack() {
	if h.t.Failed() || h.t.Skipped() || h.strange {
		return
	}
	ctx := context.WithoutCancel(h.t.Context())
	h.must(h.safe.Publish(ctx))
	s := &Safe{config: h.cfg, opts: h.safe.opts, log: h.safe.log, keys: h.safe.keys, store: h.safe.store, id: h.safe.id}
	folder := filepath.Join(h.t.TempDir(), "given-back")
	if _, err := s.rebuildIn(ctx, folder, RebuildOptions{}); err != nil {
		h.t.Errorf("the state could not be rebuilt: %v", err)
		return
	}
	pending, err := h.safe.state.View(ctx).Pending()
	h.must(err)
	if slices.ContainsFunc(pending, func(o state.Opening) bool { return o.State == opening.Open }) {
		return // which would be closed; see TestRebuildGivesAllBack
	}
	if diff := dumpOf(h.t, statePath(h.cfg)).diff(dumpOf(h.t, filepath.Join(folder, stateFile))); diff != "" {
		h.t.Errorf("a rebuilt state would be another one (-lost +rebuilt):\n%s", diff)
	}
}
