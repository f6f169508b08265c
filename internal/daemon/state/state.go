// Package state keeps what a running safe knows in a SQL database: the ledger,
// the runs, the descriptions, and the objects that are still to be published.
//
// Whatever changes does so in one transaction with the ledger entry that
// records it. It holds nothing that store and ledger cannot give back, but what
// waits for people: proposals, invitations, enrolments. docs/states.md says of
// each table where it comes back from.
package state

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"net/url"
	"time"

	"golang.org/x/mod/sumdb/tlog"
	"modernc.org/sqlite" // and the driver "sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/store/layout"
)

//go:embed schema.sql
var schema string

//go:embed mail.sql
var mailSchema string

//go:embed people.sql
var peopleSchema string

//go:embed entry.sql
var entryIndexes string

//go:embed run.sql
var runFigures string

//go:embed keyring.sql
var keyringSchema string

//go:embed facts.sql
var factsSchema string

//go:embed map.sql
var mapSchema string

//go:embed finding.sql
var findingSchema string

// migrations lead from one version of the schema to the next, from an empty
// database on. How many of them a database has had is its user_version.
var migrations = []string{schema, mailSchema, peopleSchema, entryIndexes, runFigures, keyringSchema, factsSchema, mapSchema, findingSchema}

// State is an open database. Its methods may be called concurrently, and
// several processes may have it open.
type State struct {
	db    *sql.DB
	key   ledger.Key
	watch watch
}

// Open opens the database in the file, which it makes if there is none. The
// key signs the ledger's checkpoints.
func Open(ctx context.Context, file string, key ledger.Key) (*State, error) {
	query := url.Values{
		"_txlock": {"immediate"}, // a transaction that reads first must not find later that it may not write
		"_pragma": {
			"busy_timeout(30000)", // longer than the longest transaction, which writes a few megabytes
			"journal_mode(WAL)",
			"synchronous(FULL)", // what was committed survives a power cut
			"foreign_keys(1)",
		},
	}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: file}).EscapedPath()+"?"+query.Encode())
	if err != nil {
		return nil, fmt.Errorf("opening the state database %s: %w", file, err)
	}
	s := &State{db: db, key: key}
	if err := s.migrate(ctx); err != nil {
		db.Close() // the error is the one to report
		return nil, fmt.Errorf("opening the state database %s: %w", file, inWords(err))
	}
	return s, nil
}

// inWords adds what a number of SQLite's means to people: the small file beside
// the database, through which its processes share it, could not be made.
func inWords(err error) error {
	known, ok := errors.AsType[*sqlite.Error](err)
	if ok && known.Code() == sqlite3.SQLITE_IOERR_SHMSIZE {
		return fmt.Errorf("no space left on device: %w", err)
	}
	return err
}

// Close closes the database.
func (s *State) Close() error { return errors.Join(s.watch.close(), s.db.Close()) }

func (s *State) migrate(ctx context.Context) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // after Commit it does nothing
	var version int
	if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	if version > len(migrations) {
		return fmt.Errorf("it has schema version %d, this program knows version %d: it was written by a newer program", version, len(migrations))
	}
	for _, step := range migrations[version:] {
		if _, err := tx.ExecContext(ctx, step); err != nil {
			return err
		}
	}
	if version == len(migrations) {
		return nil
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", len(migrations))); err != nil {
		return err
	}
	return tx.Commit()
}

// Update runs change in a transaction. If it appends to the ledger, the new
// checkpoint is signed and put into the outbox with the rest.
func (s *State) Update(ctx context.Context, change func(*Tx) error) error {
	sqlTx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("changing the state: %w", err)
	}
	defer sqlTx.Rollback() // after Commit it does nothing
	tx := &Tx{ctx: ctx, sql: sqlTx}
	if err := change(tx); err != nil {
		return err
	}
	if err := tx.sign(s.key); err != nil {
		return err
	}
	if err := sqlTx.Commit(); err != nil {
		return fmt.Errorf("committing the state: %w", err)
	}
	return nil
}

// Look has look read what was known at one moment, however many queries it
// makes. Nobody waits for it to end.
func (s *State) Look(ctx context.Context, look func(View) error) error {
	sqlTx, err := s.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return fmt.Errorf("looking at the state: %w", err)
	}
	defer sqlTx.Rollback() // nothing was written
	return look(View{ctx, sqlTx})
}

// A Tx is a transaction. It is used by one goroutine, within Update only.
type Tx struct {
	ctx  context.Context // of the Update
	sql  *sql.Tx
	head *ledger.Head // after what was appended; nil if nothing was
}

// Append records an event in the ledger.
func (tx *Tx) Append(at time.Time, who ledger.Who, what ledger.Event) error {
	_, err := tx.Record(at, who, what)
	return err
}

// Record is Append, and returns the number of the entry.
func (tx *Tx) Record(at time.Time, who ledger.Who, what ledger.Event) (int64, error) {
	b, err := ledger.Entry{Time: at.UTC(), Who: who, What: what}.Encode()
	if err != nil {
		return 0, fmt.Errorf("recording %s: %w", what.Kind(), err)
	}
	size, err := tx.View().size()
	if err != nil {
		return 0, err
	}
	added, head, err := ledger.Append(size, hashReader{tx.ctx, tx.sql}, b)
	if err != nil {
		return 0, fmt.Errorf("recording %s: %w", what.Kind(), err)
	}
	if err := tx.addEntry(size, b, added); err != nil {
		return 0, err
	}
	tx.head = &head
	if err := tx.TakeFinding(size, at, what); err != nil {
		return 0, err
	}
	return size, tx.Publish(layout.Entry(size), b)
}

// Adopt takes an entry of a ledger that was verified, as the nth of this one.
// It is in the store already, and signed: Adopt publishes nothing.
func (tx *Tx) Adopt(n int64, entry []byte) error {
	added, err := tlog.StoredHashes(n, entry, hashReader{tx.ctx, tx.sql})
	if err != nil {
		return fmt.Errorf("adopting entry %d: %w", n, err)
	}
	return tx.addEntry(n, entry, added)
}

// addEntry keeps an entry, and the hashes that it adds to the tree.
func (tx *Tx) addEntry(n int64, entry []byte, added []tlog.Hash) error {
	if err := tx.set("INSERT INTO entry (n, bytes) VALUES (?, ?)", n, entry); err != nil {
		return err
	}
	first := tlog.StoredHashCount(n)
	for i, h := range added {
		if err := tx.set("INSERT INTO hash (i, bytes) VALUES (?, ?)", first+int64(i), h[:]); err != nil {
			return err
		}
	}
	return nil
}

// HeadOf returns the head of the ledger's first size entries, of which there
// must be so many.
func (tx *Tx) HeadOf(size int64) (ledger.Head, error) {
	return ledger.HeadOf(size, hashReader{tx.ctx, tx.sql})
}

// sign signs the ledger's new checkpoint, if there is one.
func (tx *Tx) sign(key ledger.Key) error {
	if tx.head == nil {
		return nil
	}
	b, err := key.Sign(*tx.head)
	if err != nil {
		return fmt.Errorf("signing the ledger's checkpoint: %w", err)
	}
	const replace = "INSERT INTO checkpoint (one, size, bytes) VALUES (1, ?, ?) ON CONFLICT (one) DO UPDATE SET size = excluded.size, bytes = excluded.bytes"
	if _, err := tx.sql.ExecContext(tx.ctx, replace, tx.head.Size, b); err != nil {
		return err
	}
	return tx.Publish(layout.Checkpoint(tx.head.Size), b)
}

// Publish puts a small object and its copy into the outbox.
func (tx *Tx) Publish(name string, b []byte) error {
	for _, name := range []string{name, layout.Parse(name).Other()} {
		if name == "" {
			continue
		}
		if _, err := tx.sql.ExecContext(tx.ctx, "INSERT INTO outbox (name, bytes) VALUES (?, ?)", name, b); err != nil {
			return fmt.Errorf("putting %s into the outbox: %w", name, err)
		}
	}
	return nil
}

// BeginRun records a run and puts its envelope into the outbox.
func (tx *Tx) BeginRun(at time.Time, begun ledger.RunBegun, envelope []byte) error {
	if err := tx.AddRun(begun); err != nil {
		return err
	}
	if err := tx.Publish(layout.Envelope(begun.Run), envelope); err != nil {
		return err
	}
	return tx.Append(at, ledger.Safe, begun)
}

// KeepSnapshot records a snapshot and puts its description into the outbox. It
// refuses a description that could not be read again: with one such, no
// snapshot could be listed any more.
func (tx *Tx) KeepSnapshot(at time.Time, snapshot safe.Snapshot, reason string) error {
	b := snapshot.Encode()
	if _, err := safe.ParseSnapshot(b); err != nil {
		return fmt.Errorf("keeping the snapshot of run %s: %w", snapshot.Run, err)
	}
	kept := ledger.KeptOf(snapshot, reason)
	if err := tx.EndRun(snapshot.Run, EndOf(at, kept)); err != nil {
		return err
	}
	if err := tx.AddSnapshot(snapshot); err != nil {
		return err
	}
	if err := tx.Publish(snapshot.Name(), b); err != nil {
		return err
	}
	return tx.Append(at, ledger.Safe, kept)
}

// FailRun records that a run ended without a snapshot.
func (tx *Tx) FailRun(at time.Time, failed ledger.RunFailed) error {
	if err := tx.EndRun(failed.Run, End{Outcome: Failed, Time: at, Reason: failed.Reason}); err != nil {
		return err
	}
	return tx.Append(at, ledger.Safe, failed)
}

// Snapshots returns the descriptions of a source's snapshots, oldest first.
func (tx *Tx) Snapshots(source safe.SourceName) ([]safe.Snapshot, error) {
	return snapshots(tx.ctx, tx.sql, source)
}

// A hashReader reads the hashes of the ledger's tree.
type hashReader struct {
	ctx context.Context
	sql querier
}

type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func (r hashReader) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		var b []byte
		if err := r.sql.QueryRowContext(r.ctx, "SELECT bytes FROM hash WHERE i = ?", index).Scan(&b); err != nil {
			return nil, fmt.Errorf("reading hash %d of the ledger: %w", index, err)
		}
		if copy(hashes[i][:], b) != tlog.HashSize || len(b) != tlog.HashSize {
			return nil, fmt.Errorf("hash %d of the ledger has %d bytes", index, len(b))
		}
	}
	return hashes, nil
}

// isNoRows tells whether a query that wants one row found none.
func isNoRows(err error) bool { return errors.Is(err, sql.ErrNoRows) }
