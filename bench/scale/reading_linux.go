package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"strongroom/internal/safe"
	"strongroom/internal/store"
	"strongroom/internal/store/blob/dir"
	"strongroom/internal/store/restore"
	"strongroom/internal/store/seal"
)

// A reading is the task of a child that reads a snapshot: it lists all of it,
// verifies all of it, or restores all or one path of it into a folder.
type reading struct {
	Store        string // folder
	Snapshot     safe.Snapshot
	Outer, Inner []byte // as key files

	List    bool
	Verify  bool
	To      string // folder; empty to restore nothing
	Restore string // the path; empty for all
}

// read is what was read.
type read struct {
	Entries, Bytes int64
}

func (t *reading) do(ctx context.Context) (*read, error) {
	outer, err1 := seal.ReadOuterIdentity(bytes.NewReader(t.Outer))
	inner, err2 := seal.ReadInnerIdentity(bytes.NewReader(t.Inner))
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	debug.SetGCPercent(restore.GCPercent)
	blobs, err := dir.Open(t.Store)
	if err != nil {
		return nil, err
	}
	defer blobs.Close() // nothing was written
	identities := store.WithRoleKeys(blobs, t.Snapshot, []seal.OuterIdentity{outer}, []seal.InnerIdentity{inner})
	snapshot, err := store.Open(ctx, blobs, t.Snapshot, identities)
	if err != nil {
		return nil, err
	}
	defer snapshot.Close() // nothing was written
	switch {
	case t.List:
		return list(ctx, snapshot)
	case t.Verify:
		return reported(restore.Verify(ctx, snapshot, restore.Options{}))
	}
	target, err := os.OpenRoot(t.To)
	if err != nil {
		return nil, err
	}
	defer target.Close() // Run has synced it
	opts := restore.Options{Owner: restore.NoOwner}
	if t.Restore != "" {
		opts.Include = []string{t.Restore}
	}
	return reported(restore.Run(ctx, snapshot, target, opts))
}

func list(ctx context.Context, snapshot *store.Snapshot) (*read, error) {
	entries, _, err := snapshot.Manifest(ctx)
	if err != nil {
		return nil, err
	}
	done := new(read)
	for {
		e, err := entries.Next()
		if err == io.EOF {
			return done, nil
		}
		if err != nil {
			return nil, err
		}
		done.Entries++
		done.Bytes += e.Size
	}
}

func reported(r restore.Report, err error) (*read, error) {
	if err == nil && r.LossCount > 0 {
		err = fmt.Errorf("%d entries or their metadata were lost, first %+v", r.LossCount, r.Losses[0])
	}
	return &read{Entries: r.Files, Bytes: r.Bytes}, err
}
