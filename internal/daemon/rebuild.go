package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"strongroom/internal/daemon/state"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/safe/config"
	"strongroom/internal/store/blob/dir"
	"strongroom/internal/store/catalog"
)

// RebuildOptions tunes a Rebuild. The zero value goes by the store alone.
type RebuildOptions struct {
	// Kept are checkpoints from elsewhere, such as mails: the store's ledger
	// must agree with each, and reach it.
	Kept []ledger.Checkpoint
	// DryRun makes the state, tells of it, and throws it away. Then a state may
	// be there already.
	DryRun bool
}

// Rebuilt is what a store has given back.
type Rebuilt struct {
	Store     safe.StoreID
	Ledger    ledger.Head // without what the rebuild has added
	Compared  int64       // size of the largest checkpoint from elsewhere; 0 if there was none
	Roster    int         // version in force
	Runs      int
	Snapshots int
	Openings  int
	Lost      []LostObject // of which the ledger speaks, and of which no copy is sound
	Again     []string     // what people have to do again
}

// A LostObject is a small object that no copy gives back.
type LostObject struct {
	Name string
	Err  error
}

// Errors of a Rebuild that nothing in the store can change.
var (
	// ErrNoKeys says that the safe's own keys are gone: nobody can go on with
	// its ledger.
	ErrNoKeys = errors.New("the safe's own keys are not there, and nobody can go on with its ledger without them")
	// ErrStateExists says that a Rebuild would have written over a state.
	ErrStateExists = errors.New("there is a state, or a part of one, and none is ever written over")
	// ErrAtWork says that another process works with the safe.
	ErrAtWork = errors.New("another process works with this safe: stop it first")
)

// An UnfitError says that no state can be made from a store, as its ledger is
// not whole, not the one that was signed, or not the newest.
type UnfitError struct{ Err error }

func (e *UnfitError) Error() string { return e.Err.Error() }
func (e *UnfitError) Unwrap() error { return e.Err }

func unfit(format string, args ...any) error { return &UnfitError{fmt.Errorf(format, args...)} }

// A BeyondError says that the store has objects of which its ledger knows
// nothing, as far as that is proven. Nothing gets into a store before its entry
// but the rest of one transaction, so the ledger once went further: its newest
// entries or its newest checkpoint are damaged or were taken out, or a crash
// came while they were written. Or somebody has put the objects there. What
// they say cannot be believed, and not be passed over: it may be a suspension.
type BeyondError struct {
	Size  int64    // of the ledger that is proven
	Names []string // the first of them
	More  int
}

func (e *BeyondError) Error() string {
	more := ""
	if e.More > 0 {
		more = fmt.Sprintf(" and %d more", e.More)
	}
	return fmt.Sprintf("the store's ledger is proven up to entry %d, and the store has what came later, or what nobody has recorded: %s%s",
		e.Size-1, strings.Join(e.Names, ", "), more)
}

// LedgerKey returns the public half of the key with which the safe signs its
// ledger: ErrNoKeys if it is gone.
func LedgerKey(cfg *config.Config) (ledger.PublicKey, error) {
	k, err := ownKeys(cfg)
	return k.ledger.Public(), err
}

func ownKeys(cfg *config.Config) (keys, error) {
	k, err := readKeys(keysPath(cfg))
	if errors.Is(err, fs.ErrNotExist) {
		return keys{}, fmt.Errorf("%s: %w", keysPath(cfg), ErrNoKeys)
	}
	if err != nil {
		return keys{}, fmt.Errorf("reading the safe's keys: %w", err)
	}
	return k, nil
}

// Rebuild makes the state of a safe anew from its store. Its errors are
// ErrNoKeys, ErrStateExists, ErrAtWork, *UnfitError, *BeyondError and
// *ContradictionError. If only publishing has failed, it returns what was
// rebuilt with the error: the state is there, and the next command publishes.
//
// The order matters:
//
//  1. lock     nobody works with an older state, be its file gone, or makes
//     another
//  2. verify   the whole ledger, up to the store's newest checkpoint
//  3. replay   it into a new database, in a folder of its own, which ends with
//     the entry that says so
//  4. place    one rename, which replaces nothing: from now on it is the state
//  5. publish  what 3 has recorded
//
// A crash before 4 leaves a folder that the next Rebuild removes. What it had
// signed nobody has seen, so the ledger is not forked. One after 4 leaves a full
// outbox, as after any commit.
func Rebuild(ctx context.Context, cfg *config.Config, ropts RebuildOptions, opts Options) (*Rebuilt, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := checkFolders(cfg); err != nil {
		return nil, err
	}
	k, err := ownKeys(cfg)
	if err != nil {
		return nil, err
	}
	unlock, err := lockForRebuild(cfg, ropts.DryRun)
	if err != nil {
		return nil, err
	}
	defer unlock()
	unlockState := func() {}
	if !ropts.DryRun {
		if err := checkNoState(cfg); err != nil {
			return nil, err
		}
		if unlockState, err = lockOut(stateLockPath(cfg)); err != nil {
			return nil, err
		}
		defer unlockState()
		if err := checkNoState(cfg); err != nil { // whoever had it may have left something
			return nil, err
		}
	}
	store, err := dir.Open(cfg.Store)
	if err != nil {
		return nil, err
	}
	defer store.Close() // nothing was written
	s := &Safe{config: cfg, opts: opts, log: opts.Logger, keys: k, store: store}
	if err := s.knowStore(ctx); err != nil {
		return nil, err
	}
	folder := filepath.Join(cfg.Dir, ".rebuild")
	defer os.RemoveAll(folder) // what is left there, the next one removes
	rebuilt, err := s.rebuildIn(ctx, folder, ropts)
	if err != nil || ropts.DryRun {
		return rebuilt, err
	}
	s.step("rebuilt")
	if err := placeState(filepath.Join(folder, stateFile), statePath(cfg)); err != nil {
		return nil, fmt.Errorf("putting the new state into its place: %w", err)
	}
	s.step("placed")
	unlockState() // it is a state like any other now
	return rebuilt, publishRebuilt(ctx, cfg, opts)
}

// knowStore sees that the store is the one whose ledger the safe's key signs.
func (s *Safe) knowStore(ctx context.Context) (err error) {
	if s.id, err = catalog.ReadStoreID(ctx, s.store); err != nil {
		return fmt.Errorf("opening the store %s: %w", s.config.Store, err)
	}
	if got := s.keys.ledger.Public().Store(); got != s.id {
		return contradiction("the store in %s is %s, and this safe's is %s: check `store` in the configuration", s.config.Store, s.id, got)
	}
	return nil
}

// lockForRebuild keeps others from working with the safe: another Rebuild and,
// unless it is dry, also whoever serves, collects or sends mails with a state
// that is not there any more.
func lockForRebuild(cfg *config.Config, dry bool) (unlock func(), err error) {
	files := []string{filepath.Join(cfg.Dir, "rebuild.lock")}
	if !dry {
		files = append(files, filepath.Join(cfg.Dir, "serve.lock"), filepath.Join(cfg.Dir, "mail.lock"))
		locks, err := filepath.Glob(filepath.Join(cfg.Dir, "locks", "*"))
		if err != nil {
			return nil, err
		}
		files = append(files, locks...)
	}
	var held []func()
	unlock = func() {
		for _, u := range held {
			u()
		}
	}
	for _, file := range files {
		u, err := lockOut(file)
		if err != nil {
			unlock()
			return nil, err
		}
		held = append(held, u)
	}
	return unlock, nil
}

// lockOut is lockFile: ErrAtWork if another process has the lock.
func lockOut(file string) (unlock func(), err error) {
	unlock, err = lockFile(file)
	if errors.Is(err, ErrBusy) {
		err = fmt.Errorf("%s is locked: %w", file, ErrAtWork)
	}
	return unlock, err
}

// checkNoState refuses to go on where there is a state, or one of the files
// that SQLite keeps beside it: they hold what was written last, and would be
// taken for a part of the new one.
func checkNoState(cfg *config.Config) error {
	for _, end := range []string{"", "-wal", "-shm", "-journal"} {
		path := statePath(cfg) + end
		_, err := os.Lstat(path)
		if err == nil {
			return fmt.Errorf("%s: %w", path, ErrStateExists)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// rebuildIn makes the state in a folder, which it empties first.
func (s *Safe) rebuildIn(ctx context.Context, folder string, ropts RebuildOptions) (*Rebuilt, error) {
	if err := os.RemoveAll(folder); err != nil {
		return nil, err
	}
	c, err := s.readLedger(ctx, ropts.Kept)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	file := filepath.Join(folder, stateFile)
	db, err := state.Open(ctx, file, s.keys.ledger)
	if err != nil {
		return nil, err
	}
	r := newReplay(s, c, ropts.Kept)
	err = db.Update(ctx, func(tx *state.Tx) error { return r.run(ctx, tx) })
	// The last one to close a database brings all into its file.
	if err := errors.Join(err, db.Close()); err != nil {
		return nil, err
	}
	if _, err := os.Lstat(file + "-wal"); !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the new state is not in one file: %s-wal: %w", file, errors.Join(err, ErrStateExists))
	}
	return &r.rebuilt, syncFile(file)
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// readLedger verifies the store's ledger up to its newest checkpoint, or up to
// one from elsewhere that is newer.
func (s *Safe) readLedger(ctx context.Context, kept []ledger.Checkpoint) (*catalog.Catalog, error) {
	c, err := catalog.Read(ctx, s.store, catalog.Options{Keys: []ledger.PublicKey{s.keys.ledger.Public()}, Kept: kept})
	if err != nil && ctx.Err() == nil {
		err = &UnfitError{err}
	}
	return c, err
}

// publishRebuilt brings into the store what the rebuild has recorded.
func publishRebuilt(ctx context.Context, cfg *config.Config, opts Options) error {
	s, err := Open(ctx, cfg, opts)
	if err != nil {
		return err
	}
	return errors.Join(s.Publish(ctx), s.Assess(ctx), s.Close())
}
