package state

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"strongroom/internal/ledger"
	"strongroom/internal/safe"
)

// Snapshots returns the descriptions of a source's snapshots, oldest first;
// of all sources if the name is empty.
func (s *State) Snapshots(ctx context.Context, source safe.SourceName) ([]safe.Snapshot, error) {
	return snapshots(ctx, s.db, source)
}

func snapshots(ctx context.Context, q querier, source safe.SourceName) ([]safe.Snapshot, error) {
	query, args := "SELECT description FROM snapshot ORDER BY run", []any(nil)
	if source != "" { // and not both in one, which would read all of either
		query, args = "SELECT description FROM run JOIN snapshot ON snapshot.run = run.id WHERE run.source = ? ORDER BY run.id", []any{string(source)}
	}
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("reading the snapshots: %w", err)
	}
	defer rows.Close()
	var all []safe.Snapshot
	for rows.Next() {
		var b []byte
		if err := rows.Scan(&b); err != nil {
			return nil, fmt.Errorf("reading the snapshots: %w", err)
		}
		snapshot, err := safe.ParseSnapshot(b)
		if err != nil {
			return nil, fmt.Errorf("reading the snapshots: %w", err)
		}
		all = append(all, snapshot)
	}
	return all, rows.Err()
}

// Checkpoint returns the ledger's newest signed checkpoint.
func (s *State) Checkpoint(ctx context.Context) ([]byte, error) {
	return s.View(ctx).Checkpoint()
}

// Entries yields the bytes of the ledger's entries, from the nth on.
func (s *State) Entries(ctx context.Context, from int64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		// Some at a time: entries are small, and no query stays open while the
		// consumer works.
		for n := from; ; {
			batch, err := s.entries(ctx, n)
			if err != nil {
				yield(nil, fmt.Errorf("reading the ledger from entry %d on: %w", n, err))
				return
			}
			for _, b := range batch {
				if !yield(b, nil) {
					return
				}
			}
			if n += int64(len(batch)); len(batch) < entriesAtATime {
				return
			}
		}
	}
}

const entriesAtATime = 256

// entries returns the entries from the nth on, not all of them if there are
// many. That they are without a gap is what their transactions see to.
func (s *State) entries(ctx context.Context, n int64) ([][]byte, error) {
	rows, err := s.db.QueryContext(ctx, "SELECT bytes FROM entry WHERE n >= ? ORDER BY n LIMIT ?", n, entriesAtATime)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var batch [][]byte
	for rows.Next() {
		var b []byte
		if err := rows.Scan(&b); err != nil {
			return nil, err
		}
		batch = append(batch, b)
	}
	return batch, rows.Err()
}

// ProveConsistency proves that the ledger of to entries is that of from
// entries with others added.
func (s *State) ProveConsistency(ctx context.Context, from, to int64) (ledger.Consistency, error) {
	return ledger.ProveConsistency(from, to, hashReader{ctx, s.db})
}

// ProveInclusion proves that the nth entry stands in the ledger of size
// entries.
func (s *State) ProveInclusion(ctx context.Context, n, size int64) (ledger.Inclusion, error) {
	return s.View(ctx).ProveInclusion(n, size)
}

// A Parcel is an object that waits to be published.
type Parcel struct {
	Seq   int64
	Name  string
	Bytes []byte
}

// Outbox returns the first objects that wait to be published, in order, at
// most so many.
func (s *State) Outbox(ctx context.Context, most int) ([]Parcel, error) {
	rows, err := s.db.QueryContext(ctx, "SELECT seq, name, bytes FROM outbox ORDER BY seq LIMIT ?", most)
	if err != nil {
		return nil, fmt.Errorf("reading the outbox: %w", err)
	}
	defer rows.Close()
	var all []Parcel
	for rows.Next() {
		var o Parcel
		if err := rows.Scan(&o.Seq, &o.Name, &o.Bytes); err != nil {
			return nil, fmt.Errorf("reading the outbox: %w", err)
		}
		all = append(all, o)
	}
	return all, rows.Err()
}

// Sent removes objects from the outbox. It may be repeated.
func (s *State) Sent(ctx context.Context, sent []Parcel) error {
	for _, o := range sent {
		if _, err := s.db.ExecContext(ctx, "DELETE FROM outbox WHERE seq = ? AND name = ?", o.Seq, o.Name); err != nil {
			return fmt.Errorf("clearing the outbox: %w", err)
		}
	}
	return nil
}

// Outgoing returns the bytes of an object that waits to be published, nil if
// it does not.
func (s *State) Outgoing(ctx context.Context, name string) ([]byte, error) {
	var b []byte
	err := s.db.QueryRowContext(ctx, "SELECT bytes FROM outbox WHERE name = ?", name).Scan(&b)
	if isNoRows(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the outbox: %w", err)
	}
	return b, nil
}

// Roster returns the number and digest of the newest roster that the ledger
// records.
func (s *State) Roster(ctx context.Context) (number int, digest safe.Digest, err error) {
	// The first entry records the first version; later ones have entries of
	// their own.
	for b, err := range s.Entries(ctx, 0) {
		if err != nil {
			return 0, safe.Digest{}, err
		}
		if !bytes.Contains(b, []byte(ledger.SafeCreated{}.Kind())) && !bytes.Contains(b, []byte(ledger.RosterChanged{}.Kind())) {
			continue // to parse all of a long ledger takes seconds
		}
		e, err := ledger.ParseEntry(b)
		if err != nil {
			return 0, safe.Digest{}, fmt.Errorf("reading the ledger: %w", err)
		}
		switch what := e.What.(type) {
		case ledger.SafeCreated:
			number, digest = 1, what.Roster
		case ledger.RosterChanged:
			number, digest = int(what.Version), what.Digest
		}
	}
	if number == 0 {
		return 0, safe.Digest{}, errors.New("the state's ledger has no entry about a roster: the safe was not made completely")
	}
	return number, digest, nil
}

// A ShortError says that the ledger has fewer entries than were asked for.
type ShortError struct{ Size, Want int64 }

func (e *ShortError) Error() string {
	return fmt.Sprintf("the ledger has %d entries, not %d", e.Size, e.Want)
}

// HeadOf returns the head of the ledger's first size entries, or a
// *ShortError.
func (s *State) HeadOf(ctx context.Context, size int64) (ledger.Head, error) {
	have, err := s.Size(ctx)
	if err != nil {
		return ledger.Head{}, err
	}
	if size > have {
		return ledger.Head{}, &ShortError{Size: have, Want: size}
	}
	return ledger.HeadOf(size, hashReader{ctx, s.db})
}

// Size returns the number of the ledger's entries.
func (s *State) Size(ctx context.Context) (n int64, err error) {
	return s.View(ctx).Size()
}

// Newest returns the time of the ledger's newest entry.
func (s *State) Newest(ctx context.Context) (time.Time, error) {
	var b []byte
	if err := s.db.QueryRowContext(ctx, "SELECT bytes FROM entry ORDER BY n DESC LIMIT 1").Scan(&b); err != nil {
		return time.Time{}, fmt.Errorf("reading the ledger: %w", err)
	}
	e, err := ledger.ParseEntry(b)
	if err != nil {
		return time.Time{}, fmt.Errorf("reading the ledger: %w", err)
	}
	return e.Time, nil
}

// LastScrub returns the newest record of a scrub and its time; ok is false if
// there is none.
func (s *State) LastScrub(ctx context.Context) (done ledger.ScrubDone, at time.Time, ok bool, err error) {
	return s.View(ctx).LastScrub()
}
