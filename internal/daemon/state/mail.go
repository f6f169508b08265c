package state

import (
	"context"
	"database/sql"
	"fmt"

	"strongroom/internal/ledger"
	"strongroom/internal/safe"
)

// A MailCursor says how much of the ledger a recipient of mails was told.
type MailCursor struct {
	Next    int64 // the first entry that they were not told of
	Mailed  int64 // size of the checkpoint last mailed to them; 0 if none was
	Refused int   // how often in a row the mail server would not have the next mail
}

// MailCursors returns the cursors of all recipients that were ever met.
func (s *State) MailCursors(ctx context.Context) (map[string]MailCursor, error) {
	return s.View(ctx).MailCursors()
}

// MailCursors returns the cursors of all recipients that were ever met.
func (v View) MailCursors() (map[string]MailCursor, error) {
	all := make(map[string]MailCursor)
	err := v.each(func(rows *sql.Rows) error {
		var recipient string
		var c MailCursor
		err := rows.Scan(&recipient, &c.Next, &c.Mailed, &c.Refused)
		all[recipient] = c
		return err
	}, "SELECT recipient, next, mailed, refused FROM mail_cursor")
	if err != nil {
		return nil, fmt.Errorf("reading what was mailed: %w", err)
	}
	return all, nil
}

// MeetRecipients gives those recipients a cursor that have none: they are told
// what happens from now on. Nothing is written if all were met before.
func (s *State) MeetRecipients(ctx context.Context, recipients []string) error {
	known, err := s.MailCursors(ctx)
	if err != nil {
		return err
	}
	for _, recipient := range recipients {
		if _, ok := known[recipient]; ok {
			continue
		}
		const insert = "INSERT INTO mail_cursor (recipient, next, mailed, refused) SELECT ?, coalesce(max(n) + 1, 0), 0, 0 FROM entry WHERE true ON CONFLICT DO NOTHING"
		if _, err := s.db.ExecContext(ctx, insert, recipient); err != nil {
			return fmt.Errorf("meeting the recipient %s: %w", recipient, err)
		}
	}
	return nil
}

// MeetRecipient has a recipient told what happens from the entry of that number
// on, whether they are new or were told of things until some time ago.
func (tx *Tx) MeetRecipient(recipient string, from int64) error {
	const meet = `INSERT INTO mail_cursor (recipient, next, mailed, refused) VALUES (?, ?, 0, 0)
		ON CONFLICT DO UPDATE SET next = excluded.next, refused = 0`
	if _, err := tx.sql.ExecContext(tx.ctx, meet, recipient, from); err != nil {
		return fmt.Errorf("meeting the recipient %s: %w", recipient, err)
	}
	return nil
}

const setCursor = "UPDATE mail_cursor SET next = ?, mailed = ?, refused = ? WHERE recipient = ?"

// SetMailCursor records what a recipient that was met has been told.
func (s *State) SetMailCursor(ctx context.Context, recipient string, c MailCursor) error {
	if _, err := s.db.ExecContext(ctx, setCursor, c.Next, c.Mailed, c.Refused, recipient); err != nil {
		return fmt.Errorf("recording what was mailed to %s: %w", recipient, err)
	}
	return nil
}

// SetMailCursor is State.SetMailCursor with what else the transaction records.
func (tx *Tx) SetMailCursor(recipient string, c MailCursor) error {
	if _, err := tx.sql.ExecContext(tx.ctx, setCursor, c.Next, c.Mailed, c.Refused, recipient); err != nil {
		return fmt.Errorf("recording what was mailed to %s: %w", recipient, err)
	}
	return nil
}

// Snapshot returns the description of a run's snapshot; ok is false if there
// is none.
func (s *State) Snapshot(ctx context.Context, run safe.RunID) (snapshot safe.Snapshot, ok bool, err error) {
	return s.snapshot(ctx, "SELECT description FROM snapshot WHERE run = ?", run.String())
}

// CompleteBefore returns the newest complete snapshot of a source from before
// a run; ok is false if there is none.
func (s *State) CompleteBefore(ctx context.Context, source safe.SourceName, run safe.RunID) (snapshot safe.Snapshot, ok bool, err error) {
	const query = `SELECT description FROM snapshot JOIN run ON run.id = snapshot.run
		WHERE run.source = ? AND run.id < ? AND run.outcome = 'complete' ORDER BY run.id DESC LIMIT 1`
	return s.snapshot(ctx, query, string(source), run.String())
}

func (s *State) snapshot(ctx context.Context, query string, args ...any) (snapshot safe.Snapshot, ok bool, err error) {
	var b []byte
	if err := s.db.QueryRowContext(ctx, query, args...).Scan(&b); isNoRows(err) {
		return snapshot, false, nil
	} else if err != nil {
		return snapshot, false, fmt.Errorf("reading a snapshot's description: %w", err)
	}
	if snapshot, err = safe.ParseSnapshot(b); err != nil {
		return snapshot, false, fmt.Errorf("reading a snapshot's description: %w", err)
	}
	return snapshot, true, nil
}

// OpeningRequest returns the entry with which an opening was asked for, from
// before the entry of that number; ok is false if there is none.
func (s *State) OpeningRequest(ctx context.Context, opening safe.OpeningID, before int64) (request ledger.Entry, ok bool, err error) {
	return s.lastEntry(ctx, ledger.OpeningRequested{}.Kind(), fmt.Appendf(nil, `"opening":%q`, opening), before)
}

// RosterProposal returns the entry with which a version of the roster was
// proposed last, from before the entry of that number; ok is false if there is
// none.
func (s *State) RosterProposal(ctx context.Context, digest safe.Digest, before int64) (proposal ledger.Entry, ok bool, err error) {
	return s.lastEntry(ctx, ledger.RosterProposed{}.Kind(), fmt.Appendf(nil, `"digest":%q`, digest), before)
}

// lastEntry returns the last entry of a kind that has a field as it is spelled
// in entries, from before the entry of that number.
func (s *State) lastEntry(ctx context.Context, kind ledger.Kind, field []byte, before int64) (e ledger.Entry, ok bool, err error) {
	// What an entry quotes cannot have unescaped quotation marks, so only a
	// field of the entry itself has these bytes.
	const query = `SELECT bytes FROM entry WHERE n < ?1 AND CAST(bytes AS TEXT) ->> '$.kind' = ?2 AND instr(bytes, ?3) > 0 ORDER BY n DESC LIMIT 1`
	var b []byte
	if err := s.db.QueryRowContext(ctx, query, before, string(kind), field).Scan(&b); isNoRows(err) {
		return e, false, nil
	} else if err != nil {
		return e, false, fmt.Errorf("reading the ledger: %w", err)
	}
	if e, err = ledger.ParseEntry(b); err != nil {
		return e, false, fmt.Errorf("reading the ledger: %w", err)
	}
	return e, true, nil
}
