package state

import (
	"database/sql"
	"errors"
	"fmt"
	"time"

	"strongroom/internal/ledger"
)

// A Finding is something that the ledger says people must look at: all entries
// that raise one kind and subject, until one clears it. docs/states.md draws it.
type Finding struct {
	N       int64 // the entry that raised it first
	Kind    string
	Subject ledger.Text
	Text    ledger.Text // as it was raised last
	Last    int64       // the entry that raised it last
	Count   int         // how many entries have raised it
	First   time.Time
	Seen    time.Time // when it was raised last

	Ack     *ledger.FindingAcknowledged // nil if nobody has, or it does not count any more
	Acked   int64                       // the entry with that
	Cleared *Numbered                   // what cleared it; nil if nothing has
}

// Live reports whether nothing has cleared it.
func (f Finding) Live() bool { return f.Cleared == nil }

// Silent reports whether an acknowledgement is in force.
func (f Finding) Silent(now time.Time) bool { return f.Ack != nil && now.Before(f.Ack.Until) }

// Open reports whether somebody must look at it.
func (f Finding) Open(now time.Time) bool { return f.Live() && !f.Silent(now) }

// TakeFinding does what the nth entry says of findings, nothing if it is about
// something else. Record does so itself.
func (tx *Tx) TakeFinding(n int64, at time.Time, what ledger.Event) error {
	var err error
	switch e := what.(type) {
	case ledger.FindingRaised:
		err = tx.raise(n, at, e)
	case ledger.FindingCleared:
		err = tx.set("UPDATE finding SET cleared = ? WHERE n = ? AND cleared IS NULL", n, e.Entry)
	case ledger.FindingAcknowledged:
		err = tx.set("UPDATE finding SET ack = ? WHERE n = ? AND cleared IS NULL", n, e.Entry)
	}
	if err != nil {
		return fmt.Errorf("taking entry %d into the findings: %w", n, err)
	}
	return nil
}

// raise begins a finding, or adds to the one that is there. An acknowledgement
// ends with its time, and when it is not the same any more that is raised.
func (tx *Tx) raise(n int64, at time.Time, e ledger.FindingRaised) error {
	known, ok, err := tx.View().LiveFinding(e.Finding, e.Subject)
	if err != nil {
		return err
	}
	if !ok {
		return tx.set("INSERT INTO finding (n, kind, subject, last, count) VALUES (?, ?, ?, ?, 1)", n, e.Finding, string(e.Subject), n)
	}
	silent := known.Silent(at) && known.Text == e.Text
	return tx.set("UPDATE finding SET last = ?, count = count + 1, ack = iif(?, ack, NULL) WHERE n = ?", n, silent, known.N)
}

// LiveFinding returns the one of that kind and subject that nothing has cleared.
func (v View) LiveFinding(kind string, subject ledger.Text) (Finding, bool, error) {
	all, err := v.findings("WHERE f.kind = ? AND f.subject = ? AND f.cleared IS NULL", kind, string(subject))
	if err != nil || len(all) == 0 {
		return Finding{}, false, err
	}
	return all[0], true, nil
}

// LiveFindings returns those that nothing has cleared, oldest first, at most so
// many.
func (v View) LiveFindings(most int) ([]Finding, error) {
	return v.findings("WHERE f.cleared IS NULL ORDER BY f.n LIMIT ?", most)
}

// LiveOf returns those that nothing has cleared, of all kinds that begin so: only
// their numbers, kinds and subjects.
func (v View) LiveOf(kinds string) (all []Finding, err error) {
	err = v.each(func(rows *sql.Rows) error {
		var f Finding
		err := rows.Scan(&f.N, &f.Kind, &f.Subject)
		all = append(all, f)
		return err
	}, "SELECT n, kind, subject FROM finding WHERE cleared IS NULL AND substr(kind, 1, ?2) = ?1", kinds, len(kinds))
	if err != nil {
		return nil, fmt.Errorf("reading findings: %w", err)
	}
	return all, nil
}

// ClearedFindings returns those that were cleared, the newest first, at most so
// many.
func (v View) ClearedFindings(most int) ([]Finding, error) {
	return v.findings("WHERE f.cleared IS NOT NULL ORDER BY f.cleared DESC LIMIT ?", most)
}

func (v View) findings(where string, args ...any) (all []Finding, err error) {
	const query = `SELECT f.n, f.last, f.count, first.bytes, last.bytes, f.ack, ack.bytes, f.cleared, cleared.bytes FROM finding AS f
		JOIN entry AS first ON first.n = f.n JOIN entry AS last ON last.n = f.last
		LEFT JOIN entry AS ack ON ack.n = f.ack LEFT JOIN entry AS cleared ON cleared.n = f.cleared `
	err = v.each(func(rows *sql.Rows) error {
		var f Finding
		var first, last, ack, cleared []byte
		var acked, clearedBy sql.NullInt64
		if err := rows.Scan(&f.N, &f.Last, &f.Count, &first, &last, &acked, &ack, &clearedBy, &cleared); err != nil {
			return err
		}
		if err := f.read(first, last, ack); err != nil {
			return err
		}
		f.Acked = acked.Int64
		if clearedBy.Valid {
			e, err := ledger.ParseEntry(cleared)
			if err != nil {
				return err
			}
			f.Cleared = &Numbered{N: clearedBy.Int64, Bytes: cleared, Entry: e}
		}
		all = append(all, f)
		return nil
	}, query+where, args...)
	if err != nil {
		return nil, fmt.Errorf("reading findings: %w", err)
	}
	return all, nil
}

// read takes from the entries of a finding what they say.
func (f *Finding) read(first, last, ack []byte) error {
	e, err := ledger.ParseEntry(first)
	if err != nil {
		return err
	}
	f.First = e.Time
	if e, err = ledger.ParseEntry(last); err != nil {
		return err
	}
	raised, ok := e.What.(ledger.FindingRaised)
	if !ok {
		return errors.New("an entry that should raise one does not")
	}
	f.Kind, f.Subject, f.Text, f.Seen = raised.Finding, raised.Subject, raised.Text, e.Time
	if ack == nil {
		return nil
	}
	if e, err = ledger.ParseEntry(ack); err != nil {
		return err
	}
	acknowledged, ok := e.What.(ledger.FindingAcknowledged)
	if !ok {
		return errors.New("an entry that should acknowledge one does not")
	}
	f.Ack = &acknowledged
	return nil
}

// A Standing is how it stood with an application on a day.
type Standing struct {
	Application string
	Taken       time.Time
	Bytes       []byte // as the caller writes it
}

// KeepStanding keeps a standing in the place of one of the same day. Of more
// days than so many the oldest are dropped.
func (tx *Tx) KeepStanding(s Standing, most int) error {
	taken := s.Taken.Unix()
	err := tx.set("INSERT OR REPLACE INTO standing (application, day, taken, bytes) VALUES (?, ?, ?, ?)", s.Application, taken/secondsOfDay, taken, s.Bytes)
	if err == nil {
		const drop = "DELETE FROM standing WHERE application = ?1 AND day NOT IN (SELECT day FROM standing WHERE application = ?1 ORDER BY day DESC LIMIT ?2)"
		err = tx.set(drop, s.Application, most)
	}
	if err != nil {
		return fmt.Errorf("keeping how it stands with %s: %w", s.Application, err)
	}
	return nil
}

// Standings returns how it stood with an application since a time, by day,
// oldest first.
func (v View) Standings(application string, since time.Time) (all []Standing, err error) {
	err = v.each(func(rows *sql.Rows) error {
		s := Standing{Application: application}
		var taken int64
		err := rows.Scan(&taken, &s.Bytes)
		s.Taken = time.Unix(taken, 0).UTC()
		all = append(all, s)
		return err
	}, "SELECT taken, bytes FROM standing WHERE application = ? AND taken >= ? ORDER BY day", application, since.Unix())
	if err != nil {
		return nil, fmt.Errorf("reading how it stood with %s: %w", application, err)
	}
	return all, nil
}

// NewestStanding returns when it was last looked how it stands with
// applications; the zero time if that never was.
func (v View) NewestStanding() (time.Time, error) {
	var taken sql.NullInt64
	if err := v.sql.QueryRowContext(v.ctx, "SELECT max(taken) FROM standing").Scan(&taken); err != nil {
		return time.Time{}, fmt.Errorf("reading how it stood with applications: %w", err)
	}
	if !taken.Valid {
		return time.Time{}, nil
	}
	return time.Unix(taken.Int64, 0).UTC(), nil
}

// HaveTold returns the sources that have ever told anything of the estate.
func (v View) HaveTold() (map[string]bool, error) {
	told := make(map[string]bool)
	err := v.each(func(rows *sql.Rows) error {
		var source string
		err := rows.Scan(&source)
		told[source] = true
		return err
	}, "SELECT source FROM fact")
	if err != nil {
		return nil, fmt.Errorf("reading which sources have told something: %w", err)
	}
	return told, nil
}
