package state

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"strongroom/internal/ledger"
	"strongroom/internal/safe"
)

// A Run is a run that was begun.
type Run struct {
	ID       safe.RunID
	Source   safe.SourceName
	Envelope safe.Digest
	Outcome  Outcome
	Ended    time.Time   // as the ledger has it; zero if it has not
	Reason   ledger.Text // why it failed, or is partial
	Kept     *Figures    // nil if it has no snapshot, or that has lost its description
}

// Outcome says what became of a run.
type Outcome string

const (
	Underway Outcome = "" // or broken off by a crash
	Complete Outcome = "complete"
	Partial  Outcome = "partial"
	Failed   Outcome = "failed"
)

// Figures are what the description of a snapshot says beside what it needs.
type Figures struct {
	Tier      safe.Tier
	Started   time.Time
	KeepUntil time.Time
	Entries   int64
	Bytes     int64
	NewBytes  int64
	Warnings  int64
}

// Lost reports whether the run became a snapshot that nobody can describe any
// more: both copies of its description were lost, and then the state.
func (r Run) Lost() bool { return r.Kept == nil && (r.Outcome == Complete || r.Outcome == Partial) }

const runColumns = "id, source, envelope, outcome, ended, reason, tier, started, keep_until, entries, bytes, new_bytes, warnings"

func scanRun(rows *sql.Rows) (r Run, err error) {
	var id, envelope, ended, started, until string
	var kept Figures
	err = rows.Scan(&id, &r.Source, &envelope, &r.Outcome, &ended, &r.Reason, &kept.Tier, &started, &until, &kept.Entries, &kept.Bytes, &kept.NewBytes, &kept.Warnings)
	if err != nil {
		return r, err
	}
	if r.ID, err = safe.ParseRunID(id); err != nil {
		return r, err
	}
	if r.Envelope, err = safe.ParseDigest(envelope); err != nil {
		return r, err
	}
	if ended != "" {
		if r.Ended, err = time.Parse(time.RFC3339Nano, ended); err != nil {
			return r, err
		}
	}
	if kept.Tier == "" {
		return r, nil
	}
	if kept.Started, err = time.Parse(time.RFC3339Nano, started); err != nil {
		return r, err
	}
	if kept.KeepUntil, err = time.Parse(time.RFC3339Nano, until); err != nil {
		return r, err
	}
	r.Kept = &kept
	return r, nil
}

// spelled writes a time as entries and descriptions do.
func spelled(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

func (v View) runs(query string, args ...any) (all []Run, err error) {
	err = v.each(func(rows *sql.Rows) error {
		r, err := scanRun(rows)
		all = append(all, r)
		return err
	}, "SELECT "+runColumns+" FROM run "+query, args...)
	return all, err
}

// Runs returns the runs of a source by id.
func (s *State) Runs(ctx context.Context, source safe.SourceName) (map[safe.RunID]Run, error) {
	all, err := s.View(ctx).runs("WHERE source = ?", string(source))
	if err != nil {
		return nil, fmt.Errorf("reading the runs of %s: %w", source, err)
	}
	runs := make(map[safe.RunID]Run, len(all))
	for _, r := range all {
		runs[r.ID] = r
	}
	return runs, nil
}

// RunsBefore returns the newest runs of a source that are older than before,
// at most so many, newest first; the newest of all if before is zero.
func (v View) RunsBefore(source safe.SourceName, before safe.RunID, most int) ([]Run, error) {
	behind := "~" // behind every id
	if !before.IsZero() {
		behind = before.String()
	}
	all, err := v.runs("WHERE source = ? AND id < ? ORDER BY id DESC LIMIT ?", string(source), behind, most)
	if err != nil {
		return nil, fmt.Errorf("reading the runs of %s: %w", source, err)
	}
	return all, nil
}

// A Night is what became of a run, in short.
type Night struct {
	Run     safe.RunID
	Outcome Outcome
	Lost    bool // as Run.Lost
}

// NightsSince returns what became of the runs that were begun since then, of
// each source oldest first.
func (v View) NightsSince(since time.Time) (map[safe.SourceName][]Night, error) {
	all := make(map[safe.SourceName][]Night)
	err := v.nights(func(source safe.SourceName, n Night) { all[source] = append(all[source], n) }, "id >= ?", firstID(since))
	return all, err
}

// NightsOf is NightsSince for one source.
func (v View) NightsOf(source safe.SourceName, since time.Time) (all []Night, err error) {
	err = v.nights(func(_ safe.SourceName, n Night) { all = append(all, n) }, "source = ? AND id >= ?", string(source), firstID(since))
	return all, err
}

// firstID sorts before all ids of runs that were begun at that time or later:
// an id begins with its milliseconds, in 12 digits.
func firstID(t time.Time) string {
	ms := t.UnixMilli()
	return fmt.Sprintf("%08x-%04x", ms>>16, ms&0xffff)
}

func (v View) nights(add func(safe.SourceName, Night), where string, args ...any) error {
	err := v.each(func(rows *sql.Rows) error {
		var n Night
		var id string
		var source safe.SourceName
		err := rows.Scan(&id, &source, &n.Outcome, &n.Lost)
		if err == nil {
			n.Run, err = safe.ParseRunID(id)
		}
		add(source, n)
		return err
	}, "SELECT id, source, outcome, tier = '' AND outcome IN ('complete', 'partial') FROM run WHERE "+where+" ORDER BY id", args...)
	if err != nil {
		return fmt.Errorf("reading the newest runs: %w", err)
	}
	return nil
}

// A Held run has a complete snapshot.
type Held struct {
	Run            safe.RunID
	Started, Ended time.Time
}

const (
	isHeld     = "outcome = 'complete' AND tier <> ''"
	heldFields = "SELECT id, source, started, ended FROM run WHERE "
)

// HeldSince returns the complete snapshots of each source that there are, oldest
// first: all that were begun since then, and of those before the first and the
// last one.
func (v View) HeldSince(since time.Time) (map[safe.SourceName][]Held, error) {
	const query = heldFields + isHeld + ` AND id >= ?1
		UNION ` + heldFields + `id IN (SELECT (SELECT id FROM run WHERE source = name AND id < ?1 AND ` + isHeld + ` ORDER BY id LIMIT 1) FROM source)
		UNION ` + heldFields + `id IN (SELECT (SELECT id FROM run WHERE source = name AND id < ?1 AND ` + isHeld + ` ORDER BY id DESC LIMIT 1) FROM source)
		ORDER BY id`
	return v.held(query, firstID(since))
}

// HeldOf returns all complete snapshots of a source, oldest first.
func (v View) HeldOf(source safe.SourceName) ([]Held, error) {
	all, err := v.held(heldFields+isHeld+" AND source = ? ORDER BY id", string(source))
	return all[source], err
}

func (v View) held(query string, args ...any) (map[safe.SourceName][]Held, error) {
	all := make(map[safe.SourceName][]Held)
	err := v.each(func(rows *sql.Rows) error {
		var h Held
		var source safe.SourceName
		var id, started, ended string
		err := rows.Scan(&id, &source, &started, &ended)
		if err == nil {
			h.Run, err = safe.ParseRunID(id)
		}
		if err == nil {
			h.Started, err = time.Parse(time.RFC3339Nano, started)
		}
		if err == nil {
			h.Ended, err = time.Parse(time.RFC3339Nano, ended)
		}
		all[source] = append(all[source], h)
		return err
	}, query, args...)
	if err != nil {
		return nil, fmt.Errorf("reading the runs with complete snapshots: %w", err)
	}
	return all, nil
}

// A Source was ever collected.
type Source struct {
	Name      safe.SourceName
	First     safe.RunID
	Last      Run   // its newest
	Newest    *Run  // its newest that is Kept; nil if there is none
	Complete  *Run  // likewise, and complete
	Snapshots int64 // how many of its runs are Kept
}

// Sources returns all that were ever collected, by name.
func (v View) Sources() ([]Source, error) {
	all, err := v.sources("")
	if err != nil {
		return nil, fmt.Errorf("reading the sources: %w", err)
	}
	return all, nil
}

// Source returns that source; ok is false if it was never collected.
func (v View) Source(name safe.SourceName) (s Source, ok bool, err error) {
	all, err := v.sources(name)
	if err != nil {
		return s, false, fmt.Errorf("reading the source %s: %w", name, err)
	}
	if len(all) == 0 {
		return s, false, nil
	}
	return all[0], true, nil
}

// sources returns the one of that name, or all if it is empty.
func (v View) sources(name safe.SourceName) (all []Source, err error) {
	const which = "FROM source WHERE ?1 IN ('', name)"
	runs, err := v.runs("WHERE id IN (SELECT last "+which+" UNION SELECT newest "+which+" UNION SELECT complete "+which+")", string(name))
	if err != nil {
		return nil, err
	}
	byID := make(map[string]*Run, len(runs))
	for i := range runs {
		byID[runs[i].ID.String()] = &runs[i]
	}
	err = v.each(func(rows *sql.Rows) error {
		var s Source
		var first, last, newest, complete string
		err := rows.Scan(&s.Name, &first, &last, &newest, &complete, &s.Snapshots)
		if err != nil {
			return err
		}
		if s.First, err = safe.ParseRunID(first); err != nil {
			return err
		}
		if byID[last] == nil {
			return fmt.Errorf("%s has no run %s", s.Name, last) // runs are never removed
		}
		s.Last, s.Newest, s.Complete = *byID[last], byID[newest], byID[complete]
		all = append(all, s)
		return nil
	}, "SELECT name, first, last, newest, complete, snapshots "+which+" ORDER BY name", string(name))
	return all, err
}

// AddRun keeps a run that was begun.
func (tx *Tx) AddRun(begun ledger.RunBegun) error {
	id, source := begun.Run.String(), string(begun.Source)
	err := tx.set("INSERT INTO run (id, source, envelope, outcome) VALUES (?, ?, ?, '')", id, source, begun.Envelope.String())
	if err == nil {
		err = tx.set(`INSERT INTO source (name, first, last) VALUES (?1, ?2, ?2)
			ON CONFLICT (name) DO UPDATE SET first = min(first, excluded.first), last = max(last, excluded.last)`, source, id)
	}
	if err != nil {
		return fmt.Errorf("beginning run %s: %w", begun.Run, err)
	}
	return nil
}

// An End is what a run came to.
type End struct {
	Outcome Outcome
	Time    time.Time   // of the ledger's entry
	Reason  ledger.Text // "" if it is complete
}

// EndOf returns what a run came to of which a snapshot was kept.
func EndOf(at time.Time, kept ledger.SnapshotKept) End {
	if kept.Partial {
		return End{Outcome: Partial, Time: at, Reason: kept.Reason}
	}
	return End{Outcome: Complete, Time: at}
}

// EndRun gives a run its end, once.
func (tx *Tx) EndRun(run safe.RunID, end End) error {
	const query = "UPDATE run SET outcome = ?, ended = ?, reason = ? WHERE id = ? AND outcome = ''"
	result, err := tx.sql.ExecContext(tx.ctx, query, string(end.Outcome), spelled(end.Time), string(end.Reason), run.String())
	if err != nil {
		return err
	}
	n, err := result.RowsAffected()
	if err == nil && n != 1 {
		err = fmt.Errorf("run %s is not under way", run)
	}
	return err
}

// AddSnapshot keeps the snapshot of a run that has ended.
func (tx *Tx) AddSnapshot(s safe.Snapshot) error {
	run := s.Run.String()
	err := tx.set("INSERT INTO snapshot (run, description) VALUES (?, ?)", run, s.Encode())
	if err == nil {
		err = tx.set("UPDATE run SET tier = ?, started = ?, keep_until = ?, entries = ?, bytes = ?, new_bytes = ?, warnings = ? WHERE id = ?",
			string(s.Tier), spelled(s.Started), spelled(s.KeepUntil), s.Entries, s.Bytes, s.NewBytes, s.Warnings, run)
	}
	if err == nil {
		err = tx.set(`UPDATE source SET snapshots = snapshots + 1, newest = max(newest, run.id), complete = iif(run.outcome = 'complete', max(complete, run.id), complete)
			FROM run WHERE run.id = ? AND source.name = run.source`, run)
	}
	if err != nil {
		return fmt.Errorf("keeping the snapshot of run %s: %w", s.Run, err)
	}
	return nil
}
