package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"strongroom/internal/daemon/mail"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/store"
	"strongroom/internal/store/blob"
	"strongroom/internal/store/blob/dir"
	"strongroom/internal/store/catalog"
	"strongroom/internal/store/seal"
	"strongroom/internal/ui"
)

// reading is what commands that read a store have in common. They need no
// safe: a copy of the store and the keys are enough. Or they read through the
// gate of an opening, where the outer seal is off already.
type reading struct {
	app         *app
	storePath   string
	from        string // the gate; "" to read a folder
	connections int
	passphrase  passphrase
	ledgerKeys  []string
	checkpoints []string
	unproven    bool
	at          string
}

func (r *reading) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&r.storePath, "store", "", "`folder` of the store, or of a copy (default: that of the configuration)")
	f.StringArrayVar(&r.ledgerKeys, "ledger-key", nil, "public `key` of the ledger, as init showed it (default: that of the profile, the one remembered, or else the store's own)")
	f.StringArrayVar(&r.checkpoints, "checkpoint", nil, "`file` with a checkpoint of the ledger from before: a mail as it was saved, or what is attached to it")
}

// registerGate adds the flags of commands that can read through a gate.
func (r *reading) registerGate(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&r.from, "from", "", "read through the gate of an opening: sftp://`HOST:PORT`, or \"opening\" for that of your own")
	f.IntVar(&r.connections, "connections", 0, "how many connections to the gate (default 2)")
}

// registerChoice adds the flags of commands that read what is in snapshots.
func (r *reading) registerChoice(cmd *cobra.Command) {
	r.register(cmd)
	r.registerGate(cmd)
	r.passphrase.register(cmd)
	cmd.Flags().StringVar(&r.at, "at", "", "the newest snapshot at or before this `time`, such as 2026-11-20 or 2026-11-20T12:00")
	cmd.Flags().BoolVar(&r.unproven, "unproven", false, "read also what the ledger does not vouch for")
}

// An openStore is a store with what its ledger says.
type openStore struct {
	blobs interface {
		blob.Reader
		io.Closer
	}
	gate    *gateway            // nil if it is a folder
	catalog *catalog.Catalog    // nil at a gate, or if the ledger cannot be relied on and that was allowed
	kept    []ledger.Checkpoint // with which the ledger was compared
	listed  []catalog.Listed    // oldest first
	names   names               // of those listed
	lost    map[safe.RunID]error
}

func (s *openStore) Close() error {
	err := s.blobs.Close()
	if s.gate != nil {
		s.gate.person.Close()
	}
	return err
}

// open opens the store, or the gate to it, and reads its ledger.
func (r *reading) open(ctx context.Context) (*openStore, error) {
	if r.from != "" {
		return r.openGate(ctx)
	}
	path := r.storePath
	if path == "" {
		cfg, err := r.app.config()
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				err = ui.WithRemedy(err, "Name the store with --store FOLDER, or the safe's configuration with --config FILE.")
			}
			return nil, err
		}
		path = cfg.Store
	}
	blobs, err := dir.Open(path)
	if err != nil {
		return nil, explainStore(err)
	}
	s := &openStore{blobs: blobs}
	if err := r.read(ctx, s); err != nil {
		blobs.Close() // nothing was written
		return nil, err
	}
	return s, nil
}

func (r *reading) read(ctx context.Context, s *openStore) error {
	id, err := catalog.ReadStoreID(ctx, s.blobs)
	if err != nil {
		return explainStore(err)
	}
	known := recall(id)
	if roster, ok := r.app.verifiedRoster(id); ok {
		// Two people have agreed on these, which is more than to have met them.
		known.keys = roster.LedgerKeys
	}
	opts, err := r.trust(known)
	if err != nil {
		return err
	}
	s.kept = opts.Kept
	s.catalog, err = catalog.Read(ctx, s.blobs, opts)
	switch {
	case err != nil && ctx.Err() != nil:
		return ctx.Err()
	case err != nil && !r.unproven:
		return refusedError{ui.WithRemedy(err,
			"Do not trust this store before you know why. Restore from a replica; if there is none, --unproven reads without the ledger.")}
	case err != nil:
		r.app.talk().Warn("nothing is proven: %v", err)
		s.catalog = nil
	default:
		if len(opts.Keys) == 0 {
			// Whoever can write to a store can make another one: all that takes
			// is public.
			r.app.talk().Warn("nothing is known of this store from before, and a forged one would be as consistent: see that init showed the same ledger key, %s", s.catalog.Keys[0])
		}
		r.app.remember(ctx, known, s.blobs, s.catalog)
	}
	s.listed, s.lost, err = s.catalog.Snapshots(ctx, s.blobs)
	s.nameAll()
	return err
}

// nameAll finds names for what is listed.
func (s *openStore) nameAll() {
	s.names = make(names)
	for _, l := range s.listed {
		s.names.add(l.Snapshot)
	}
}

// trust collects what the reader knows of the ledger.
func (r *reading) trust(known *remembered) (catalog.Options, error) {
	opts := catalog.Options{Keys: known.keys, Kept: known.kept}
	if len(r.ledgerKeys) > 0 {
		opts.Keys = nil
		for _, text := range r.ledgerKeys {
			key, err := ledger.ParsePublicKey(text)
			if err != nil {
				return opts, &ui.UsageError{Problem: "--ledger-key: " + err.Error(), Remedy: `It begins with "strongroom/", as init has shown it.`}
			}
			opts.Keys = append(opts.Keys, key)
		}
	}
	for _, file := range r.checkpoints {
		if len(opts.Keys) == 0 {
			return opts, &ui.UsageError{Problem: "a checkpoint proves nothing without the ledger's key", Remedy: "Give it too: --ledger-key KEY"}
		}
		c, err := readCheckpoint(file, opts.Keys)
		if err != nil {
			return opts, err
		}
		opts.Kept = append(opts.Kept, c)
	}
	return opts, nil
}

// readCheckpoint reads a checkpoint by itself, or a mail that has one.
func readCheckpoint(file string, keys []ledger.PublicKey) (ledger.Checkpoint, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return ledger.Checkpoint{}, err
	}
	if inMail, err := mail.Checkpoint(b); err == nil {
		b = inMail
	}
	c, err := ledger.ParseCheckpoint(b, keys...)
	if err != nil {
		return ledger.Checkpoint{}, refusedError{ui.WithRemedy(fmt.Errorf("%s: %w", file, err), "Whatever it is, it proves nothing about this store.")}
	}
	return c, nil
}

// choose returns the snapshot of that name, refusing one that is not proven.
func (r *reading) choose(s *openStore, name string) (safe.Snapshot, error) {
	until, err := parseTime(r.at)
	if err != nil {
		return safe.Snapshot{}, err
	}
	chosen, err := choose(s.candidates(), name, until)
	if err != nil {
		return safe.Snapshot{}, err
	}
	short := s.names.of(chosen.Snapshot)
	if err, lost := s.lost[chosen.Run]; lost {
		return safe.Snapshot{}, refusedError{ui.WithRemedy(fmt.Errorf("the description of %s is lost or was changed: %w", short, err),
			"Restore it from a replica, or take an earlier one by its time. See what there is: strongroom snapshots")}
	}
	if chosen.Unproven != nil {
		if !r.unproven {
			return safe.Snapshot{}, refusedError{ui.WithRemedy(fmt.Errorf("%s is not proven: %w", short, chosen.Unproven),
				"It may be forged. Take another one, or add --unproven if you must.")}
		}
		r.app.talk().Warn("%s is not proven: %v", short, chosen.Unproven)
	}
	if chosen.Partial {
		r.app.talk().Warn("%s is partial: its collection was not complete", short)
	}
	return chosen.Snapshot, nil
}

// candidates returns what a name can mean, oldest first. What the ledger knows
// and the store has no sound description of is among it, so that nobody is
// given an older snapshot for it.
func (s *openStore) candidates() []catalog.Listed {
	all := slices.Clone(s.listed)
	for run := range s.lost {
		l := catalog.Listed{Snapshot: safe.Snapshot{Run: run, Started: run.Time()}}
		if s.catalog != nil {
			l.Source, l.Partial = s.catalog.Kept[run].Source, s.catalog.Kept[run].Partial
		}
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b catalog.Listed) int { return a.Run.Compare(b.Run) })
	return all
}

// openSnapshot opens a snapshot with both role keys.
func (r *reading) openSnapshot(ctx context.Context, s *openStore, name string, keys *roleKeys) (*store.Snapshot, error) {
	unlock, err := r.unlock(ctx, s, keys)
	if err != nil {
		return nil, err
	}
	d, err := r.choose(s, name)
	if err != nil {
		return nil, err
	}
	return s.openWith(ctx, d, unlock)
}

// An unlocker opens the runs of a snapshot.
type unlocker func(safe.Snapshot) store.Identities

// openWith opens a snapshot that was chosen.
func (s *openStore) openWith(ctx context.Context, d safe.Snapshot, unlock unlocker) (*store.Snapshot, error) {
	snapshot, err := store.Open(ctx, s.blobs, d, unlock(d))
	switch {
	case errors.Is(err, seal.ErrWrongKey) && s.gate != nil:
		err = ui.WithRemedy(err, "If a new period has begun, this machine may not know it yet: call strongroom people list, then try again.")
	case errors.Is(err, seal.ErrWrongKey):
		err = ui.WithRemedy(err, "It takes the private halves of the two keys that this safe was made with; a key with a comment says which role it has.")
	}
	return snapshot, explainGate(err)
}

// unlock reads the keys, with what the roster says of them.
func (r *reading) unlock(ctx context.Context, s *openStore, keys *roleKeys) (unlocker, error) {
	if s.gate != nil {
		return r.unlockGate(s, keys)
	}
	if err := keys.given(); err != nil {
		return nil, err
	}
	keys.warn(r.app.talk())
	// What is lost of the rosters matters only if a key is then not found.
	rosters, lost := readRosters(ctx, s.blobs, s.catalog)
	outer, inner, err := keys.open(r.app, rosters)
	if err != nil && lost != nil {
		err = fmt.Errorf("%w (%w)", err, lost)
	}
	return func(d safe.Snapshot) store.Identities { return store.WithRoleKeys(s.blobs, d, outer, inner) }, err
}

var errNothingThere = errors.New("there is no such file in the snapshot")
