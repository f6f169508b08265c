package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"strongroom/bench/scale/generated"
	"strongroom/internal/safe"
	"strongroom/internal/store/blob"
	"strongroom/internal/store/blob/dir"
	"strongroom/internal/store/layout"
	"strongroom/internal/store/memory"
	"strongroom/internal/store/seal"
)

// firstNight is when the first collection of a room begins. The later ones
// follow within the day, so that nothing has its turn to be read again.
var firstNight = time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)

// A room is a safe around the collections of one source, as far as they need
// one: keys, what is remembered of the source, and perhaps a store.
type room struct {
	folder    string // removed by close
	id        safe.StoreID
	outer     seal.OuterIdentity
	inner     seal.InnerIdentity
	memoryKey seal.MemoryIdentity
	blobs     *dir.Store // nil if nothing is kept
	last      *safe.Snapshot
	profiles  string // folder for memory profiles; empty for none
	stderr    io.Writer
}

// newRoom makes a room in a new folder. With keeping it has a store.
func newRoom(o options, keeping bool, stderr io.Writer) (_ *room, err error) {
	r := &room{id: safe.NewStoreID(), profiles: o.profiles, stderr: stderr}
	if r.folder, err = os.MkdirTemp(o.within, "strongroom-scale-"); err != nil {
		return nil, err
	}
	var errs [4]error
	r.outer, errs[0] = seal.NewOuterIdentity()
	r.inner, errs[1] = seal.NewInnerIdentity()
	r.memoryKey, errs[2] = seal.NewMemoryIdentity()
	if keeping {
		r.blobs, errs[3] = dir.Create(r.storeFolder())
	}
	if err := errors.Join(append(errs[:], os.Mkdir(r.memoryFolder(), 0o700))...); err != nil {
		return nil, errors.Join(err, r.close())
	}
	return r, nil
}

func (r *room) storeFolder() string  { return filepath.Join(r.folder, "store") }
func (r *room) memoryFolder() string { return filepath.Join(r.folder, "memory") }

func (r *room) close() error {
	if r.blobs != nil {
		r.blobs.Close() // nothing that counts was written
	}
	return os.RemoveAll(r.folder)
}

// collect has a child collect a source of that shape, and goes on from there.
func (r *room) collect(ctx context.Context, shape generated.Shape) (answer, error) {
	started := firstNight
	if r.last != nil {
		started = r.last.Started.Add(time.Hour)
	}
	run := safe.NewRunID(started)
	label := seal.Label{Store: r.id, Run: run, Source: sourceName, Time: started, Roster: 1}
	envelope, recipient, err := seal.NewEnvelope(label, r.outer.Recipient(), r.inner.Recipient())
	if err != nil {
		return answer{}, err
	}
	var key bytes.Buffer
	if err := r.memoryKey.Write(&key, started); err != nil {
		return answer{}, err
	}
	t := &collecting{
		Shape: shape, Store: r.id, Run: run, Started: started, Recipient: recipient,
		MemoryDir: r.memoryFolder(), MemoryKey: key.Bytes(), Last: r.last,
	}
	if r.profiles != "" {
		t.Profile = filepath.Join(r.profiles, fmt.Sprintf("%d-of-%d-%s-", shape.Files, shape.Longest, started.Format("15h")))
	}
	if r.blobs != nil {
		t.Into = r.storeFolder()
		if err := blob.Put(ctx, r.blobs, layout.Envelope(run), envelope); err != nil {
			return answer{}, err
		}
	}
	a, err := inChild(ctx, task{Collect: t}, r.stderr)
	if err != nil {
		return answer{}, fmt.Errorf("collecting %d files: %w", shape.Files, err)
	}
	r.last = r.describe(t, a.Collect, envelope)
	return a, memory.Sweep(r.memoryFolder(), run)
}

// describe returns the description of what was collected. It is complete for a
// source that is collected once.
func (r *room) describe(t *collecting, c *collected, envelope []byte) *safe.Snapshot {
	d := &safe.Snapshot{
		Version: 1, Store: t.Store, Run: t.Run, Source: sourceName, Kind: "generated", Started: t.Started,
		Entries: c.Result.Entries, Bytes: c.Result.Bytes, Root: c.Result.Root, Runs: make(map[safe.RunID]safe.RunPacks),
	}
	for run, packs := range c.Result.Runs {
		d.Runs[run] = safe.RunPacks{Envelope: safe.DigestOf(envelope), Packs: packs}
	}
	return d
}

// read has a child read the last snapshot.
func (r *room) read(ctx context.Context, t reading) (answer, error) {
	var outer, inner bytes.Buffer
	if err := errors.Join(r.outer.Write(&outer, firstNight), r.inner.Write(&inner, firstNight)); err != nil {
		return answer{}, err
	}
	t.Store, t.Snapshot, t.Outer, t.Inner = r.storeFolder(), *r.last, outer.Bytes(), inner.Bytes()
	a, err := inChild(ctx, task{Read: &t}, r.stderr)
	if err != nil {
		return answer{}, fmt.Errorf("reading %d entries: %w", r.last.Entries, err)
	}
	return a, nil
}
