package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"

	"strongroom/internal/daemon"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/store/blob"
	"strongroom/internal/store/catalog"
	"strongroom/internal/store/layout"
)

// remembered is what this user's machine knows of a store's ledger from the
// last time: a store that was rolled back or rewritten since contradicts it.
type remembered struct {
	file string // "" if there is no place to remember
	keys []ledger.PublicKey
	kept []ledger.Checkpoint
}

// A note is the file's content.
type note struct {
	Version    int                `json:"v"`
	Keys       []ledger.PublicKey `json:"keys"`
	Checkpoint string             `json:"checkpoint"`
}

// recall reads what is remembered of a store. What cannot be read is as good
// as nothing: then the store is met for the first time.
func recall(id safe.StoreID) *remembered {
	base := os.Getenv("XDG_STATE_HOME")
	if base == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return &remembered{}
		}
		base = filepath.Join(home, ".local", "state")
	}
	r := &remembered{file: filepath.Join(base, "strongroom", id.String()+".json")}
	b, err := os.ReadFile(r.file)
	if err != nil {
		return r
	}
	var n note
	if err := json.Unmarshal(b, &n); err != nil || n.Version != 1 {
		return r
	}
	c, err := ledger.ParseCheckpoint([]byte(n.Checkpoint), n.Keys...)
	if err != nil || c.Store != id {
		return r
	}
	r.keys, r.kept = n.Keys, []ledger.Checkpoint{c}
	return r
}

// remember keeps the newest checkpoint of a ledger that was verified, if it can.
func (a *app) remember(ctx context.Context, known *remembered, blobs blob.Reader, c *catalog.Catalog) {
	if err := known.remember(ctx, blobs, c); err != nil {
		a.talk().Note("The newest checkpoint could not be remembered: %v", err)
	}
}

// rememberOwn keeps the key of the safe's ledger and its newest checkpoint.
func (a *app) rememberOwn(s *daemon.Safe) error {
	c, err := catalog.Read(a.ctx, s.Store(), catalog.Options{Keys: s.LedgerKeys()})
	if err != nil {
		return err
	}
	a.remember(a.ctx, recall(s.ID()), s.Store(), c)
	return nil
}

// remember keeps the newest checkpoint of a ledger that was verified.
func (r *remembered) remember(ctx context.Context, blobs blob.Reader, c *catalog.Catalog) error {
	if r.file == "" || len(r.kept) > 0 && r.kept[0].Size >= c.Checkpoint.Size {
		return nil
	}
	name := layout.Checkpoint(c.Checkpoint.Size)
	good := func(b []byte) error {
		_, err := ledger.ParseCheckpoint(b, c.Keys...)
		return err
	}
	signed, err := blob.ReadEither(ctx, blobs, 64<<10, good, name, layout.Copy(name))
	if err != nil {
		return err
	}
	return r.keep(c.Checkpoint, c.Keys, signed)
}

// keep keeps a checkpoint that was verified, unless a newer one is kept.
func (r *remembered) keep(c ledger.Checkpoint, keys []ledger.PublicKey, signed []byte) error {
	if r.file == "" || len(r.kept) > 0 && r.kept[0].Size >= c.Size {
		return nil
	}
	b, err := json.Marshal(note{Version: 1, Keys: keys, Checkpoint: string(signed)})
	if err != nil {
		return err
	}
	return replaceFile(r.file, b)
}

// replaceFile writes a file that is there as a whole, old or new.
func replaceFile(file string, b []byte) error {
	folder := filepath.Dir(file)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(folder, ".new-")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		os.Remove(f.Name()) // the error above is the one to report
	}
	return err
}
