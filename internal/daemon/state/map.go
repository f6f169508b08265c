package state

import (
	"fmt"
	"time"
)

// A MapVersion is how the map of the estate was, from a time on.
type MapVersion struct {
	Taken time.Time
	Bytes []byte // as the caller packs it
}

const secondsOfDay = 24 * 60 * 60

// KeepMap keeps a version in the place of one of the same day. Of more than so
// many, or of more bytes, the oldest are dropped.
func (tx *Tx) KeepMap(v MapVersion, most int, mostBytes int64) error {
	taken := v.Taken.Unix()
	if err := tx.set("INSERT OR REPLACE INTO map (day, taken, bytes) VALUES (?, ?, ?)", taken/secondsOfDay, taken, v.Bytes); err != nil {
		return fmt.Errorf("keeping a version of the map: %w", err)
	}
	const drop = `DELETE FROM map WHERE day IN (SELECT day FROM (
		SELECT day, row_number() OVER newer AS n, sum(length(bytes)) OVER newer AS total FROM map WINDOW newer AS (ORDER BY day DESC)
	) WHERE n > ? OR total > ?)`
	if err := tx.set(drop, most, mostBytes); err != nil {
		return fmt.Errorf("dropping old versions of the map: %w", err)
	}
	return nil
}

// NewestMap returns the newest version that was taken at that time or before.
func (v View) NewestMap(at time.Time) (MapVersion, bool, error) {
	return v.mapVersion("SELECT taken, bytes FROM map WHERE taken <= ? ORDER BY day DESC LIMIT 1", at.Unix())
}

// OldestMap returns the oldest version.
func (v View) OldestMap() (MapVersion, bool, error) {
	return v.mapVersion("SELECT taken, bytes FROM map ORDER BY day LIMIT 1")
}

func (v View) mapVersion(query string, args ...any) (m MapVersion, ok bool, err error) {
	var taken int64
	err = v.sql.QueryRowContext(v.ctx, query, args...).Scan(&taken, &m.Bytes)
	if isNoRows(err) {
		return MapVersion{}, false, nil
	}
	if err != nil {
		return MapVersion{}, false, fmt.Errorf("reading a version of the map: %w", err)
	}
	m.Taken = time.Unix(taken, 0).UTC()
	return m, true, nil
}
