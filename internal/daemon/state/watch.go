package state

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
)

// A Generation is of a State, and is another one after every transaction that
// was committed meanwhile, by whatever process. It means nothing to another State.
type Generation struct {
	watched int   // how often a connection had to be opened for this
	version int64 // as that connection counts them
}

// A watch looks on as others commit. It has a connection of its own, since a
// connection counts what others commit, and not what it commits itself.
type watch struct {
	mu      sync.Mutex // guards the fields below, and is held while the database is asked: one connection is asked one thing at a time
	conn    *sql.Conn  // nil if there is none
	watched int
}

// Generation returns the present one. It reads next to nothing. What is read
// after it may be newer than it, and is not older.
func (s *State) Generation(ctx context.Context) (g Generation, err error) {
	w := &s.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conn == nil {
		if w.conn, err = s.db.Conn(ctx); err != nil {
			return g, fmt.Errorf("asking whether the state has changed: %w", err)
		}
		w.watched++
	}
	g.watched = w.watched
	if err := w.conn.QueryRowContext(ctx, "PRAGMA data_version").Scan(&g.version); err != nil {
		w.conn.Close() // the error is the one to report; the next one asks anew, and counts anew
		w.conn = nil
		return g, fmt.Errorf("asking whether the state has changed: %w", err)
	}
	return g, nil
}

func (w *watch) close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conn == nil {
		return nil
	}
	conn := w.conn
	w.conn = nil
	return conn.Close()
}
