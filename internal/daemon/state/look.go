package state

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"strongroom/internal/ledger"
	"strongroom/internal/safe"
)

// A Numbered entry of the ledger.
type Numbered struct {
	N     int64
	Bytes []byte
	ledger.Entry
}

func (v View) entries(query string, args ...any) (all []Numbered, err error) {
	err = v.each(func(rows *sql.Rows) error {
		var e Numbered
		err := rows.Scan(&e.N, &e.Bytes)
		if err == nil {
			e.Entry, err = ledger.ParseEntry(e.Bytes)
		}
		all = append(all, e)
		return err
	}, "SELECT n, bytes FROM entry WHERE "+query, args...)
	if err != nil {
		return nil, fmt.Errorf("reading the ledger: %w", err)
	}
	return all, nil
}

// EntriesBefore returns the newest entries of the ledger of numbers below
// before, at most so many, newest first.
func (v View) EntriesBefore(before int64, most int) ([]Numbered, error) {
	return v.entries("n < ? ORDER BY n DESC LIMIT ?", before, most)
}

// EntriesFrom returns the entries of the ledger from that number on, at most so
// many.
func (v View) EntriesFrom(n int64, most int) ([]Numbered, error) {
	return v.entries("n >= ? ORDER BY n LIMIT ?", n, most)
}

const ofKind = "CAST(bytes AS TEXT) ->> '$.kind' = ? ORDER BY n DESC LIMIT ?"

// NewestOf returns the newest entries of a kind, at most so many, newest first.
func (v View) NewestOf(kind ledger.Kind, most int) ([]Numbered, error) {
	return v.entries(ofKind, string(kind), most)
}

const ofOpening = `CAST(bytes AS TEXT) ->> '$.kind' IN ('opening.requested', 'opening.released', 'opening.opened', 'opening.refused',
	'opening.withdrawn', 'opening.expired', 'opening.closed', 'record.received', 'record.accepted', 'record.refused') AND instr(bytes, ?) > 0 ORDER BY n`

// OfOpening returns all entries about an opening, oldest first.
func (v View) OfOpening(id safe.OpeningID) ([]Numbered, error) {
	// What an entry quotes cannot have unescaped quotation marks, so only a
	// field of the entry itself has these bytes.
	return v.entries(ofOpening, fmt.Appendf(nil, `"opening":%q`, id))
}

// RunsNamed returns the runs of those ids that there are, by id.
func (v View) RunsNamed(ids []safe.RunID) (map[safe.RunID]Run, error) {
	named, err := json.Marshal(ids)
	if err != nil {
		return nil, err
	}
	all, err := v.runs("WHERE id IN (SELECT value FROM json_each(?))", string(named))
	if err != nil {
		return nil, fmt.Errorf("reading runs: %w", err)
	}
	runs := make(map[safe.RunID]Run, len(all))
	for _, r := range all {
		runs[r.ID] = r
	}
	return runs, nil
}

// Checkpoint returns the ledger's newest signed checkpoint.
func (v View) Checkpoint() ([]byte, error) {
	var b []byte
	if err := v.sql.QueryRowContext(v.ctx, "SELECT bytes FROM checkpoint").Scan(&b); err != nil {
		return nil, fmt.Errorf("reading the ledger's checkpoint: %w", err)
	}
	return b, nil
}

// LastScrub returns the newest record of a scrub and its time; ok is false if
// there is none.
func (v View) LastScrub() (done ledger.ScrubDone, at time.Time, ok bool, err error) {
	newest, err := v.NewestOf(ledger.ScrubDone{}.Kind(), 1)
	if err != nil || len(newest) == 0 {
		return done, at, false, err
	}
	done, ok = newest[0].What.(ledger.ScrubDone)
	return done, newest[0].Time, ok, nil
}

// ProveInclusion proves that the nth entry stands in the ledger of size
// entries.
func (v View) ProveInclusion(n, size int64) (ledger.Inclusion, error) {
	return ledger.ProveInclusion(n, size, hashReader(v))
}

// Size returns the number of the ledger's entries.
func (v View) Size() (n int64, err error) {
	if n, err = v.size(); err != nil {
		err = fmt.Errorf("reading the ledger: %w", err)
	}
	return n, err
}

// size counts the entries, without reading them all: their numbers have no gap.
func (v View) size() (n int64, err error) {
	err = v.sql.QueryRowContext(v.ctx, "SELECT coalesce(max(n) + 1, 0) FROM entry").Scan(&n)
	return n, err
}
