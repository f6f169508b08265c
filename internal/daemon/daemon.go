// Package daemon is a safe at work: it keeps the state and the ledger, starts
// the children that make run keys and collect, checks what they claim, commits
// it, and publishes what was committed to the store.
//
// It holds no key that reads what was stored. Here and in cmd/strongroom
// concrete types are wired together.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/daemon/state"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/safe/config"
	"strongroom/internal/store/blob"
	"strongroom/internal/store/blob/dir"
	"strongroom/internal/store/catalog"
	"strongroom/internal/store/layout"
	"strongroom/internal/store/seal"
)

// Options tunes a Safe. The zero value is ready to use.
type Options struct {
	Logger *slog.Logger     // nil discards
	Now    func() time.Time // nil means time.Now
	// Pages is the digest of the scripts of its pages, for the ledger and mails;
	// zero if it has none.
	Pages safe.Digest
	// Program runs the children: its path and the arguments before the name of
	// the child. Empty means this executable with the argument "child".
	Program []string
	// Grace is how long a child may take to end when it has nothing left to
	// do, before it is killed; 0 means 10 seconds.
	Grace time.Duration
}

func (o Options) withDefaults() (Options, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Grace == 0 {
		o.Grace = 10 * time.Second
	}
	if len(o.Program) == 0 {
		self, err := os.Executable()
		if err != nil {
			return o, fmt.Errorf("finding this program, to start children: %w", err)
		}
		o.Program = []string{self, "child"}
	}
	return o, nil
}

// A Safe is one installation. Its methods may be called concurrently, and
// several processes may have it open.
type Safe struct {
	config  *config.Config
	opts    Options
	log     *slog.Logger
	keys    keys
	unlock  func() // lets go of the state
	state   *state.State
	store   *dir.Store
	id      safe.StoreID
	roster  atomic.Pointer[access.Roster] // as it was read last
	post    post
	callers callers
	atlas   atlas
	learned atomic.Bool // whether a source has told something since a version of the map was kept

	life context.Context // of the children that serve people; ends with Close
	end  context.CancelFunc
}

// A NotInitialisedError says that there is no safe yet where the configuration
// says.
type NotInitialisedError struct{ Dir string }

func (e *NotInitialisedError) Error() string {
	return fmt.Sprintf("there is no safe in %s yet", e.Dir)
}

// A StateLostError says that there was a safe where the configuration says, and
// that its state is gone. Rebuild makes it anew.
type StateLostError struct{ Path string }

func (e *StateLostError) Error() string {
	return fmt.Sprintf("the state database %s is not there, though the safe has keys and its store a ledger: it was lost", e.Path)
}

const stateFile = "state.db"

// paths of a safe beneath its folder.
func statePath(cfg *config.Config) string { return filepath.Join(cfg.Dir, stateFile) }
func keysPath(cfg *config.Config) string  { return filepath.Join(cfg.Dir, "keys") }

// stateLockPath is shared by all who have the state open, though its file be
// gone meanwhile: what they sign would contradict what a new one signs.
func stateLockPath(cfg *config.Config) string { return filepath.Join(cfg.Dir, "state.lock") }

func (s *Safe) memoryPath(source safe.SourceName) string {
	return filepath.Join(s.config.Dir, "memory", string(source))
}
func (s *Safe) lockPath(source safe.SourceName) string {
	return filepath.Join(s.config.Dir, "locks", string(source))
}

// ErrExists says that Init would have made a safe over another.
var ErrExists = errors.New("what is there is left as it is")

// ErrSameKey says that one person could read alone.
var ErrSameKey = errors.New("outer and inner key are the same: two people must hold two different keys")

// Init makes a new safe whose runs are sealed to the two role keys: ErrSameKey,
// ErrExists, dir.ErrNotEmpty or a *StateLostError if it must not. The order matters:
//
//  1. keys    appear all at once, and name the store
//  2. store   its mark, with that name
//  3. ledger  its first entry, with the roster: from now on there is a safe
//  4. publish
//
// A crash before 3 leaves what the next Init goes on with.
func Init(ctx context.Context, cfg *config.Config, outer seal.OuterRecipient, inner seal.InnerRecipient, opts Options) (*Safe, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	if outer.String() == inner.String() {
		return nil, ErrSameKey
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, err
	}
	if err := checkFolders(cfg); err != nil {
		return nil, err
	}
	k, err := readKeys(keysPath(cfg))
	if errors.Is(err, os.ErrNotExist) {
		k, err = makeKeys(keysPath(cfg), safe.NewStoreID(), opts.Now())
	}
	if err != nil {
		return nil, fmt.Errorf("making the safe's keys: %w", err)
	}
	if err := checkLost(ctx, cfg, k); err != nil {
		return nil, err
	}
	db, err := state.Open(ctx, statePath(cfg), k.ledger)
	if err != nil {
		return nil, err
	}
	defer db.Close() // what counts was committed
	size, err := db.Size(ctx)
	if err != nil {
		return nil, err
	}
	if size > 0 {
		return nil, fmt.Errorf("%s holds a safe already: %w", cfg.Dir, ErrExists)
	}
	if err := makeStore(ctx, cfg.Store, k.ledger.Public().Store()); err != nil {
		return nil, fmt.Errorf("making the store: %w", err)
	}
	period := access.Period{From: opts.Now().UTC().Truncate(time.Second), Outer: outer, Inner: inner}
	if err := recordCreation(ctx, db, cfg.Safe, access.First(k.ledger.Public(), k.gate.public, period), opts.Now()); err != nil {
		return nil, err
	}
	s, err := Open(ctx, cfg, opts)
	if err != nil {
		return nil, err
	}
	return s, errors.Join(s.Publish(ctx), s.meetRecipients(ctx))
}

// checkFolders refuses folders of the safe that are not its alone.
func checkFolders(cfg *config.Config) error {
	return errors.Join(checkGuarded(cfg.Dir), checkGuarded(keysPath(cfg)), checkGuarded(cfg.Store))
}

// checkLost returns a *StateLostError if there is no state, and the safe's store
// has checkpoints of a ledger: a new one would contradict it.
func checkLost(ctx context.Context, cfg *config.Config, k keys) error {
	if _, err := os.Stat(statePath(cfg)); !errors.Is(err, os.ErrNotExist) {
		return nil // whatever else is wrong is found when it is opened
	}
	store, err := dir.Open(cfg.Store)
	if err != nil {
		return nil // there is no store yet, or none in its place: as above
	}
	defer store.Close() // nothing was written
	public := k.ledger.Public()
	id, err := catalog.ReadStoreID(ctx, store)
	if err != nil || id != public.Store() {
		return ctx.Err() // as above
	}
	_, err = catalog.Newest(ctx, store, id, []ledger.PublicKey{public})
	if errors.Is(err, catalog.ErrNoCheckpoint) || ctx.Err() != nil {
		return ctx.Err()
	}
	return &StateLostError{Path: statePath(cfg)}
}

// makeStore makes the store of that id, or completes it.
func makeStore(ctx context.Context, path string, id safe.StoreID) error {
	store, err := dir.Open(path)
	if err == nil {
		got, idErr := catalog.ReadStoreID(ctx, store)
		if idErr == nil && got != id {
			err = fmt.Errorf("%s is the store of another safe, %s: %w", path, got, ErrExists)
		}
		if idErr != nil || err != nil {
			store.Close() // nothing was written
		}
		if err != nil {
			return err
		}
		err = idErr
	}
	if err != nil {
		if store, err = dir.Create(path); err != nil {
			return err
		}
	}
	defer store.Close() // Sync has made it durable
	for _, name := range []string{layout.FormatName, layout.Copy(layout.FormatName)} {
		if err := blob.PutOnce(ctx, store, name, layout.Format(id)); err != nil {
			return err
		}
	}
	return store.Sync(ctx)
}

// recordCreation writes the first entry of the ledger, and the roster.
func recordCreation(ctx context.Context, db *state.State, name string, roster access.Roster, now time.Time) error {
	encoded := roster.Encode()
	return db.Update(ctx, func(tx *state.Tx) error {
		if err := tx.Publish(layout.Roster(roster.Number), encoded); err != nil {
			return err
		}
		if err := tx.Enforce(roster.Number, access.Link{Roster: encoded}); err != nil {
			return err
		}
		return tx.Append(now, ledger.Safe, ledger.SafeCreated{
			Name: ledger.TextOf(name), Store: roster.Store, Roster: safe.DigestOf(encoded), Key: roster.LedgerKeys[0],
		})
	})
}

// Open opens a safe that Init has made. If state and store contradict each
// other, it refuses to with a *ContradictionError.
func Open(ctx context.Context, cfg *config.Config, opts Options) (*Safe, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := checkFolders(cfg); err != nil {
		return nil, err
	}
	k, err := readKeys(keysPath(cfg))
	if errors.Is(err, os.ErrNotExist) {
		return nil, &NotInitialisedError{Dir: cfg.Dir}
	}
	if err != nil {
		return nil, fmt.Errorf("reading the safe's keys: %w", err)
	}
	unlock, err := shareFile(stateLockPath(cfg))
	if err != nil { // ErrBusy while a Rebuild makes another
		return nil, fmt.Errorf("locking the safe's state: %w", err)
	}
	s := &Safe{config: cfg, opts: opts, log: opts.Logger, keys: k, unlock: unlock}
	s.life, s.end = context.WithCancel(context.WithoutCancel(ctx))
	if err := s.open(ctx); err != nil {
		s.Close() // the error is the one to report
		return nil, err
	}
	return s, nil
}

func (s *Safe) open(ctx context.Context) (err error) {
	if err := checkLost(ctx, s.config, s.keys); err != nil {
		return err
	}
	if _, err := os.Stat(statePath(s.config)); errors.Is(err, os.ErrNotExist) {
		return &NotInitialisedError{Dir: s.config.Dir}
	}
	if s.state, err = state.Open(ctx, statePath(s.config), s.keys.ledger); err != nil {
		return err
	}
	if s.store, err = dir.Open(s.config.Store); err != nil {
		return err
	}
	if err = s.knowStore(ctx); err != nil {
		return err
	}
	if _, err = s.inForce(ctx); err != nil {
		return err
	}
	return s.compareLedgers(ctx)
}

// inForce returns the version of the roster that is in force now, whichever
// process has changed it.
func (s *Safe) inForce(ctx context.Context) (access.Roster, error) {
	r, ok, err := s.state.View(ctx).InForce()
	if err == nil && !ok {
		r, err = s.adoptRoster(ctx)
	}
	if err != nil {
		return access.Roster{}, err
	}
	s.roster.Store(&r)
	return r, nil
}

// adoptRoster takes the roster that the ledger vouches for into a state that
// was made before it kept rosters.
func (s *Safe) adoptRoster(ctx context.Context) (access.Roster, error) {
	number, digest, err := s.state.Roster(ctx)
	if err != nil {
		return access.Roster{}, err
	}
	b, err := s.readOrOutbox(ctx, layout.Roster(number), access.MaxRoster, func(b []byte) error {
		if safe.DigestOf(b) != digest {
			return errors.New("it is not the roster that the ledger recorded")
		}
		return nil
	})
	if err != nil {
		return access.Roster{}, fmt.Errorf("reading the roster: %w", err)
	}
	r, err := access.ParseRoster(b)
	if err != nil {
		return access.Roster{}, err
	}
	return r, s.state.Update(ctx, func(tx *state.Tx) error {
		if _, ok, err := tx.View().InForce(); err != nil || ok {
			return err // another process was faster
		}
		return tx.Enforce(number, access.Link{Roster: b})
	})
}

// readOrOutbox reads a small object from the store or, if a crash came before
// it was published, from the outbox.
func (s *Safe) readOrOutbox(ctx context.Context, name string, limit int64, good func([]byte) error) ([]byte, error) {
	b, err := blob.ReadEither(ctx, s.store, limit, good, name, layout.Parse(name).Other())
	if err == nil {
		return b, nil
	}
	waiting, waitingErr := s.state.Outgoing(ctx, name)
	if waitingErr != nil {
		return nil, errors.Join(err, waitingErr)
	}
	if waiting != nil && good(waiting) == nil {
		return waiting, nil
	}
	return nil, err
}

// A ContradictionError says that state and store do not belong to the same
// moment or the same history. Going on would fork the ledger.
type ContradictionError struct{ Text string }

func (e *ContradictionError) Error() string { return e.Text }

func contradiction(format string, args ...any) error {
	return &ContradictionError{fmt.Sprintf(format, args...)}
}

// compareLedgers refuses a store whose ledger is not the beginning of the
// state's, with a *ContradictionError: then one of them is a copy from another
// time, or was rewritten.
func (s *Safe) compareLedgers(ctx context.Context) error {
	stored, err := catalog.Newest(ctx, s.store, s.id, s.LedgerKeys())
	if errors.Is(err, catalog.ErrNoCheckpoint) {
		return nil // nothing was published yet
	}
	if err != nil {
		return fmt.Errorf("comparing the store's ledger with the state's: %w", err)
	}
	head, err := s.state.HeadOf(ctx, stored.Size)
	var short *state.ShortError
	switch {
	case errors.As(err, &short):
		return contradiction("the state database %s knows %d entries of the ledger, the store %d: it is an older copy, and writing would fork the ledger",
			statePath(s.config), short.Size, stored.Size)
	case err != nil:
		return err
	case head.Root != stored.Root:
		return contradiction("the ledger of the state database %s and that of the store contradict each other: one of them was rewritten. Nothing was changed; keep both, and compare them with checkpoints in old mails",
			statePath(s.config))
	}
	return nil
}

// Close closes the safe. An opening that is still open loses its gate; what
// the ledger says of it waits for the next Serve.
func (s *Safe) Close() error {
	s.end()
	s.callers.doors.Wait()
	var errs []error
	if s.state != nil {
		errs = append(errs, s.state.Close())
	}
	if s.store != nil {
		errs = append(errs, s.store.Close())
	}
	s.unlock()
	return errors.Join(errs...)
}

// Config, ID, Roster, Store and State are what the safe works with; the Roster
// is the one that was in force when the safe looked last.
func (s *Safe) Config() *config.Config { return s.config }
func (s *Safe) ID() safe.StoreID       { return s.id }
func (s *Safe) Roster() access.Roster  { return *s.roster.Load() }
func (s *Safe) Store() *dir.Store      { return s.store }
func (s *Safe) State() *state.State    { return s.state }

// LedgerKeys are those that may have signed the ledger's checkpoints.
func (s *Safe) LedgerKeys() []ledger.PublicKey { return s.Roster().LedgerKeys }
