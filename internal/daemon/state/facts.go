package state

import (
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"strongroom/internal/estate"
	"strongroom/internal/safe"
)

// SetFacts keeps what is known from a source, in the place of what was.
func (tx *Tx) SetFacts(source safe.SourceName, f estate.Facts) error {
	b, err := json.Marshal(f)
	if err != nil {
		return fmt.Errorf("encoding the facts of %s: %w", source, err)
	}
	return tx.set("INSERT OR REPLACE INTO fact (source, bytes) VALUES (?, ?)", string(source), b)
}

// FactsOf returns what is known from a source, nothing if it told nothing yet.
func (v View) FactsOf(source safe.SourceName) (f estate.Facts, err error) {
	var b []byte
	err = v.sql.QueryRowContext(v.ctx, "SELECT bytes FROM fact WHERE source = ?", string(source)).Scan(&b)
	if errors.Is(err, sql.ErrNoRows) {
		return estate.Facts{}, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &f)
	}
	if err != nil {
		return estate.Facts{}, fmt.Errorf("reading the facts of %s: %w", source, err)
	}
	return f, nil
}

// Told is what is known from one source, as it is kept.
type Told struct {
	Source safe.SourceName
	bytes  []byte
}

// Facts reads it.
func (t Told) Facts() (f estate.Facts, err error) {
	if err := json.Unmarshal(t.bytes, &f); err != nil {
		return estate.Facts{}, fmt.Errorf("reading the facts of %s: %w", t.Source, err)
	}
	return f, nil
}

// Told returns what is known from all sources that ever told something, by
// source, and a digest of it, which is another one if any of it is.
func (v View) Told() (all []Told, digest safe.Digest, err error) {
	sum := sha256.New()
	err = v.each(func(rows *sql.Rows) error {
		var t Told
		if err := rows.Scan(&t.Source, &t.bytes); err != nil {
			return err
		}
		fmt.Fprintf(sum, "%d %d\n%s", len(t.Source), len(t.bytes), t.Source)
		sum.Write(t.bytes)
		all = append(all, t)
		return nil
	}, "SELECT source, bytes FROM fact ORDER BY source")
	if err != nil {
		return nil, safe.Digest{}, fmt.Errorf("reading facts: %w", err)
	}
	return all, safe.Digest(sum.Sum(nil)), nil
}
