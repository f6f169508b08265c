package state

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"net/netip"
	"time"

	"strongroom/internal/access/opening"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
)

// An Opening is how one stands.
type Opening struct {
	ID       safe.OpeningID
	State    opening.State
	Operator safe.PersonName
	Request  ledger.Signed
	Recorded int64          // the ledger's entry of the request
	Release  []byte         // the newest; nil if there is none
	Gate     netip.AddrPort // while it listens
	Until    time.Time      // the request is good until then, and then the opening
	Cause    string         // why it is over
	Counts
}

// Counts are what is known of what went through a gate.
type Counts struct{ Sessions, Objects, Bytes int64 }

const openingColumns = "id, state, operator, request, recorded, release, gate, until, cause, sessions, objects, bytes"

// Openings returns the newest, newest first, at most so many, without their
// releases, which can be large.
func (v View) Openings(most int) ([]Opening, error) {
	return v.openings("SELECT id, state, operator, request, recorded, NULL, gate, until, cause, sessions, objects, bytes FROM opening ORDER BY id DESC LIMIT ?", most)
}

// Pending returns the openings that are not over, oldest first.
func (v View) Pending() ([]Opening, error) {
	return v.openings("SELECT " + openingColumns + " FROM opening WHERE state IN ('requested', 'open') ORDER BY id")
}

// Opening returns that opening; ok is false if there is none.
func (v View) Opening(id safe.OpeningID) (o Opening, ok bool, err error) {
	all, err := v.openings("SELECT "+openingColumns+" FROM opening WHERE id = ?", id.String())
	if err != nil || len(all) == 0 {
		return o, false, err
	}
	return all[0], true, nil
}

func (v View) openings(query string, args ...any) (all []Opening, err error) {
	err = v.each(func(rows *sql.Rows) error {
		var o Opening
		var id, gate string
		var request []byte
		var until int64
		err := rows.Scan(&id, &o.State, &o.Operator, &request, &o.Recorded, &o.Release, &gate, &until, &o.Cause, &o.Sessions, &o.Objects, &o.Bytes)
		if err == nil {
			o.ID, err = safe.ParseOpeningID(id)
		}
		if err == nil {
			err = json.Unmarshal(request, &o.Request)
		}
		if err == nil && gate != "" {
			o.Gate, err = netip.ParseAddrPort(gate)
		}
		o.Until = time.Unix(until, 0).UTC()
		all = append(all, o)
		return err
	}, query, args...)
	if err != nil {
		return nil, fmt.Errorf("reading the openings: %w", err)
	}
	return all, nil
}

// AddOpening keeps a request.
func (tx *Tx) AddOpening(o Opening) error {
	request, err := json.Marshal(o.Request)
	if err != nil {
		return err
	}
	const insert = "INSERT INTO opening (id, state, operator, request, recorded, until) VALUES (?, 'requested', ?, ?, ?, ?)"
	return tx.set(insert, o.ID.String(), string(o.Operator), request, o.Recorded, o.Until.Unix())
}

// EndOpening ends an opening that is not over: opening.ErrState if it is.
func (tx *Tx) EndOpening(id safe.OpeningID, next opening.State, cause ledger.Text) error {
	if err := tx.pass(id, next); err != nil {
		return err
	}
	return tx.set("UPDATE opening SET state = ?, cause = ?, gate = '' WHERE id = ?", string(next), string(cause), id.String())
}

// Release opens an opening, or prolongs one that is open: opening.ErrState if
// it is over.
func (tx *Tx) Release(id safe.OpeningID, release []byte, until time.Time) error {
	if err := tx.pass(id, opening.Open); err != nil {
		return err
	}
	return tx.set("UPDATE opening SET state = 'open', release = ?, until = ? WHERE id = ?", release, until.Unix(), id.String())
}

// pass compares the state with the one that shall follow.
func (tx *Tx) pass(id safe.OpeningID, next opening.State) error {
	o, ok, err := tx.View().Opening(id)
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("opening %s: %w", id, opening.ErrState)
	}
	return o.State.Check(next)
}

// SetGate notes where an open opening's gate listens.
func (tx *Tx) SetGate(id safe.OpeningID, at netip.AddrPort) error {
	return tx.set("UPDATE opening SET gate = ? WHERE id = ? AND state = 'open'", at.String(), id.String())
}

// Count notes what went through a gate so far.
func (tx *Tx) Count(id safe.OpeningID, c Counts) error {
	return tx.set("UPDATE opening SET sessions = ?, objects = ?, bytes = ? WHERE id = ?", c.Sessions, c.Objects, c.Bytes, id.String())
}
