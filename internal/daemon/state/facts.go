package state

import (
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

// Facts returns what is known from all sources that ever told something, by
// source.
func (v View) Facts() (map[safe.SourceName]estate.Facts, error) {
	all := make(map[safe.SourceName]estate.Facts)
	err := v.each(func(rows *sql.Rows) error {
		var source string
		var b []byte
		if err := rows.Scan(&source, &b); err != nil {
			return err
		}
		var f estate.Facts
		if err := json.Unmarshal(b, &f); err != nil {
			return fmt.Errorf("%s: %w", source, err)
		}
		all[safe.SourceName(source)] = f
		return nil
	}, "SELECT source, bytes FROM fact")
	if err != nil {
		return nil, fmt.Errorf("reading facts: %w", err)
	}
	return all, nil
}
