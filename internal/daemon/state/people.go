package state

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/access/signature"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
)

// A View reads what is known of people and openings: at any time, each query
// for itself, or in a transaction.
type View struct {
	ctx context.Context // of the call, or the transaction
	sql querier
}

// View returns what is known at the time of each query.
func (s *State) View(ctx context.Context) View { return View{ctx, s.db} }

// View returns what is known within the transaction.
func (tx *Tx) View() View { return View{tx.ctx, tx.sql} }

// each calls scan for every row of a query.
func (v View) each(scan func(*sql.Rows) error, query string, args ...any) error {
	rows, err := v.sql.QueryContext(v.ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// set executes one change.
func (tx *Tx) set(query string, args ...any) error {
	_, err := tx.sql.ExecContext(tx.ctx, query, args...)
	return err
}

// Links returns the versions of the roster after the nth, with what brought
// them into force, at most so many.
func (v View) Links(after, most int) (all []access.Link, err error) {
	err = v.each(func(rows *sql.Rows) error {
		var b []byte
		var link access.Link
		if err := rows.Scan(&b); err != nil {
			return err
		}
		all = append(all, link)
		return json.Unmarshal(b, &all[len(all)-1])
	}, "SELECT link FROM roster WHERE n > ? ORDER BY n LIMIT ?", after, most)
	if err != nil {
		return nil, fmt.Errorf("reading the versions of the roster: %w", err)
	}
	return all, nil
}

// InForce returns the version of the roster that is in force; ok is false if
// the state was made before it kept them.
func (v View) InForce() (r access.Roster, ok bool, err error) {
	var b []byte
	switch err := v.sql.QueryRowContext(v.ctx, "SELECT link FROM roster ORDER BY n DESC LIMIT 1").Scan(&b); {
	case isNoRows(err):
		return r, false, nil
	case err != nil:
		return r, false, fmt.Errorf("reading the roster: %w", err)
	}
	var link access.Link
	if err := json.Unmarshal(b, &link); err != nil {
		return r, false, fmt.Errorf("reading the roster: %w", err)
	}
	r, err = access.ParseRoster(link.Roster)
	return r, err == nil, err
}

// RosterBytes returns those of the nth version, nil if there is none.
func (v View) RosterBytes(n int) ([]byte, error) {
	links, err := v.Links(n-1, 1)
	if err != nil || len(links) == 0 {
		return nil, err
	}
	r, err := access.ParseRoster(links[0].Roster)
	if err != nil || r.Number != n {
		return nil, err
	}
	return links[0].Roster, nil
}

// Enforce makes a version of the roster the one that is in force.
func (tx *Tx) Enforce(n int, link access.Link) error {
	b, err := json.Marshal(link)
	if err != nil {
		return err
	}
	if err := tx.set("INSERT INTO roster (n, link) VALUES (?, ?)", n, b); err != nil {
		return fmt.Errorf("keeping version %d of the roster: %w", n, err)
	}
	return nil
}

// Proposals returns the versions of the roster that wait.
func (v View) Proposals() (all []access.Proposal, err error) {
	err = v.each(func(rows *sql.Rows) error {
		var b []byte
		if err := rows.Scan(&b); err != nil {
			return err
		}
		all = append(all, access.Proposal{})
		return json.Unmarshal(b, &all[len(all)-1])
	}, "SELECT body FROM proposal ORDER BY rowid")
	if err != nil {
		return nil, fmt.Errorf("reading the proposals: %w", err)
	}
	return all, nil
}

// Proposal returns the one of that version; ok is false if there is none.
func (v View) Proposal(digest safe.Digest) (p access.Proposal, ok bool, err error) {
	var b []byte
	switch err := v.sql.QueryRowContext(v.ctx, "SELECT body FROM proposal WHERE digest = ?", digest.String()).Scan(&b); {
	case isNoRows(err):
		return p, false, nil
	case err != nil:
		return p, false, fmt.Errorf("reading a proposal: %w", err)
	}
	if err := json.Unmarshal(b, &p); err != nil {
		return p, false, fmt.Errorf("reading a proposal: %w", err)
	}
	return p, true, nil
}

// SetProposal keeps a proposal as it is now.
func (tx *Tx) SetProposal(p access.Proposal) error {
	b, err := json.Marshal(p)
	if err != nil {
		return err
	}
	const set = "INSERT INTO proposal (digest, body) VALUES (?, ?) ON CONFLICT (digest) DO UPDATE SET body = excluded.body"
	return tx.set(set, safe.DigestOf(p.Roster).String(), b)
}

// DropProposal forgets a proposal.
func (tx *Tx) DropProposal(digest safe.Digest) error {
	return tx.set("DELETE FROM proposal WHERE digest = ?", digest.String())
}

// An Invitation waits for its token.
type Invitation struct {
	Person safe.PersonName
	Roles  []access.Role
	Token  safe.Digest // of the secret
	Until  time.Time
	Tries  int
}

// Invitations returns those that wait.
func (v View) Invitations() (all []Invitation, err error) {
	err = v.each(func(rows *sql.Rows) error {
		var i Invitation
		var roles, token string
		var until int64
		err := rows.Scan(&i.Person, &roles, &token, &until, &i.Tries)
		if err == nil {
			err = json.Unmarshal([]byte(roles), &i.Roles)
		}
		if err == nil {
			i.Token, err = safe.ParseDigest(token)
		}
		i.Until = time.Unix(until, 0).UTC()
		all = append(all, i)
		return err
	}, "SELECT person, roles, token, until, tries FROM invitation ORDER BY person")
	if err != nil {
		return nil, fmt.Errorf("reading the invitations: %w", err)
	}
	return all, nil
}

// SetInvitation keeps an invitation, in the place of an earlier one of the
// person.
func (tx *Tx) SetInvitation(i Invitation) error {
	roles, err := json.Marshal(i.Roles)
	if err != nil {
		return err
	}
	return tx.set("INSERT OR REPLACE INTO invitation (person, roles, token, until, tries) VALUES (?, ?, ?, ?, ?)",
		string(i.Person), string(roles), i.Token.String(), i.Until.Unix(), i.Tries)
}

// DropInvitation forgets a person's invitation.
func (tx *Tx) DropInvitation(person safe.PersonName) error {
	return tx.set("DELETE FROM invitation WHERE person = ?", string(person))
}

// An Enrolment is one that was received and is in no roster.
type Enrolment struct {
	Bytes []byte
	From  netip.Addr
	Time  time.Time
}

// Enrolments returns those that are in no roster, by person.
func (v View) Enrolments() (all []Enrolment, err error) {
	return v.enrolments("SELECT bytes, sender, time FROM enrolment ORDER BY person")
}

// Enrolment returns that of a person; ok is false if there is none.
func (v View) Enrolment(person safe.PersonName) (e Enrolment, ok bool, err error) {
	all, err := v.enrolments("SELECT bytes, sender, time FROM enrolment WHERE person = ?", string(person))
	if err != nil || len(all) == 0 {
		return e, false, err
	}
	return all[0], true, nil
}

func (v View) enrolments(query string, args ...any) (all []Enrolment, err error) {
	err = v.each(func(rows *sql.Rows) error {
		var e Enrolment
		var from string
		var at int64
		err := rows.Scan(&e.Bytes, &from, &at)
		if err == nil {
			e.From, err = netip.ParseAddr(from)
		}
		e.Time = time.Unix(at, 0).UTC()
		all = append(all, e)
		return err
	}, query, args...)
	if err != nil {
		return nil, fmt.Errorf("reading the enrolments: %w", err)
	}
	return all, nil
}

// SetEnrolment keeps a person's enrolment, in the place of an earlier one.
func (tx *Tx) SetEnrolment(person safe.PersonName, e Enrolment) error {
	return tx.set("INSERT OR REPLACE INTO enrolment (person, bytes, sender, time) VALUES (?, ?, ?, ?)",
		string(person), e.Bytes, e.From.String(), e.Time.Unix())
}

// DropEnrolment forgets a person's enrolment.
func (tx *Tx) DropEnrolment(person safe.PersonName) error {
	return tx.set("DELETE FROM enrolment WHERE person = ?", string(person))
}

// Suspensions returns all that were ever recorded, oldest first.
func (v View) Suspensions() (all access.Suspensions, err error) {
	err = v.each(func(rows *sql.Rows) error {
		var s access.Suspension
		var key string
		err := rows.Scan(&s.Entry, &s.Person, &key)
		if err == nil && key != "" {
			s.Key, err = signature.ParseKey(key)
		}
		all = append(all, s)
		return err
	}, "SELECT entry, person, key FROM suspension ORDER BY entry")
	if err != nil {
		return nil, fmt.Errorf("reading the suspensions: %w", err)
	}
	return all, nil
}

// Suspend records a suspension.
func (tx *Tx) Suspend(s access.Suspension) error {
	return tx.set("INSERT INTO suspension (entry, person, key) VALUES (?, ?, ?)", s.Entry, string(s.Person), s.Key.String())
}

// A KeyCheck says when somebody proved to hold a role key.
type KeyCheck struct {
	Person ledger.Who
	Role   string
	Period int
	Paper  bool
	Time   time.Time
}

// KeyChecks returns the newest of each person and key.
func (v View) KeyChecks() (all []KeyCheck, err error) {
	err = v.each(func(rows *sql.Rows) error {
		var c KeyCheck
		var at int64
		err := rows.Scan(&c.Person, &c.Role, &c.Period, &c.Paper, &at)
		c.Time = time.Unix(at, 0).UTC()
		all = append(all, c)
		return err
	}, "SELECT person, role, period, paper, time FROM key_check ORDER BY person, role, period, paper")
	if err != nil {
		return nil, fmt.Errorf("reading the checks of keys: %w", err)
	}
	return all, nil
}

// SetKeyCheck keeps the newest check of a key by a person.
func (tx *Tx) SetKeyCheck(c KeyCheck) error {
	return tx.set("INSERT OR REPLACE INTO key_check (person, role, period, paper, time) VALUES (?, ?, ?, ?, ?)",
		string(c.Person), c.Role, c.Period, c.Paper, c.Time.Unix())
}

// ErrUsed means that a statement was used before.
var ErrUsed = errors.New("this statement was used already")

// Use notes that a statement was used: ErrUsed if it was before.
func (tx *Tx) Use(statement safe.Digest, at time.Time) error {
	result, err := tx.sql.ExecContext(tx.ctx, "INSERT INTO act (digest, time) VALUES (?, ?) ON CONFLICT DO NOTHING", statement.String(), at.Unix())
	if err != nil {
		return err
	}
	n, err := result.RowsAffected()
	if err == nil && n == 0 {
		return ErrUsed
	}
	return err
}

// Ages says from when on something is kept.
type Ages struct {
	Acts        time.Time // statements that were used
	Enrolments  time.Time // those that nobody has taken into the roster
	Invitations time.Time // those that are good until later
}

// Tidy forgets what is older.
func (s *State) Tidy(ctx context.Context, keep Ages) error {
	for _, old := range []struct {
		query string
		until time.Time
	}{
		{"DELETE FROM act WHERE time < ?", keep.Acts},
		{"DELETE FROM enrolment WHERE time < ?", keep.Enrolments},
		{"DELETE FROM invitation WHERE until <= ?", keep.Invitations},
	} {
		if _, err := s.db.ExecContext(ctx, old.query, old.until.Unix()); err != nil {
			return fmt.Errorf("tidying the state: %w", err)
		}
	}
	return nil
}

// BeginServing notes that a process serves people; unclean says that one
// before it has not noted its end.
func (tx *Tx) BeginServing(at time.Time) (unclean bool, err error) {
	result, err := tx.sql.ExecContext(tx.ctx, "DELETE FROM serving")
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	if err != nil {
		return false, err
	}
	return n > 0, tx.set("INSERT INTO serving (one, since) VALUES (1, ?)", at.Unix())
}

// EndServing notes that nobody is served any more.
func (tx *Tx) EndServing() error { return tx.set("DELETE FROM serving") }

// Entry returns the nth entry of the ledger.
func (v View) Entry(n int64) (ledger.Entry, error) {
	var b []byte
	err := v.sql.QueryRowContext(v.ctx, "SELECT bytes FROM entry WHERE n = ?", n).Scan(&b)
	if err != nil {
		return ledger.Entry{}, fmt.Errorf("reading entry %d of the ledger: %w", n, err)
	}
	e, err := ledger.ParseEntry(b)
	if err != nil {
		return ledger.Entry{}, fmt.Errorf("reading entry %d of the ledger: %w", n, err)
	}
	return e, nil
}

// HasSnapshots reports whether the safe keeps any.
func (v View) HasSnapshots() (any bool, err error) {
	if err = v.sql.QueryRowContext(v.ctx, "SELECT EXISTS (SELECT 1 FROM snapshot)").Scan(&any); err != nil {
		err = fmt.Errorf("looking for snapshots: %w", err)
	}
	return any, err
}

// Description returns the bytes of the description of a run's snapshot; nil if
// there is none.
func (v View) Description(run safe.RunID) ([]byte, error) {
	var b []byte
	err := v.sql.QueryRowContext(v.ctx, "SELECT description FROM snapshot WHERE run = ?", run.String()).Scan(&b)
	if isNoRows(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading a snapshot's description: %w", err)
	}
	return b, nil
}

// Envelope returns the digest of a run's envelope; ok is false if there is no
// such run.
func (v View) Envelope(run safe.RunID) (d safe.Digest, ok bool, err error) {
	var text string
	switch err := v.sql.QueryRowContext(v.ctx, "SELECT envelope FROM run WHERE id = ?", run.String()).Scan(&text); {
	case isNoRows(err):
		return d, false, nil
	case err != nil:
		return d, false, fmt.Errorf("reading run %s: %w", run, err)
	}
	d, err = safe.ParseDigest(text)
	return d, err == nil, err
}

const keptQuery = "SELECT n, bytes FROM entry WHERE CAST(bytes AS TEXT) ->> '$.kind' = 'snapshot.kept' AND CAST(bytes AS TEXT) ->> '$.what.run' = ?"

// Kept returns the entry with which a run's snapshot was kept, and its number;
// nil if there is none.
func (v View) Kept(run safe.RunID) (n int64, entry []byte, err error) {
	err = v.sql.QueryRowContext(v.ctx, keptQuery, run.String()).Scan(&n, &entry)
	if isNoRows(err) {
		return 0, nil, nil
	}
	if err != nil {
		return 0, nil, fmt.Errorf("reading the ledger: %w", err)
	}
	return n, entry, nil
}
