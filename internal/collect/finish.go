package collect

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"

	"strongroom/internal/safe"
	"strongroom/internal/store"
	"strongroom/internal/store/blob"
	"strongroom/internal/store/intake"
	"strongroom/internal/store/layout"
	"strongroom/internal/store/manifest"
)

// finish completes the snapshot: the last packs, the manifest, the root.
func (c *collector) finish(ctx context.Context) (Result, error) {
	if err := c.data.Finish(); err != nil {
		return Result{}, err
	}
	if err := c.listReady(ctx); err != nil {
		return Result{}, err
	}
	if err := c.setAside(ctx); err != nil { // there is something if the source broke off while content was read
		return Result{}, err
	}
	if c.result.Entries == 0 {
		c.incomplete(ErrNothing)
		return c.result, c.checkpoint(ctx) // for the next run
	}
	if err := c.finishList(ctx); err != nil {
		return Result{}, err
	}
	c.tellLoss()
	if err := c.checkpoint(ctx); err != nil {
		return Result{}, err
	}
	if err := c.putRoot(ctx); err != nil {
		return Result{}, err
	}
	if c.result.Complete {
		if err := c.memory.Finish(ctx); err != nil {
			return Result{}, fmt.Errorf("completing what is remembered: %w", err)
		}
	}
	c.tell()
	c.result.NewBytes = c.data.NewBytes()
	for _, pack := range c.intake.Finished() {
		c.result.StoredBytes += pack.Stored
		c.result.ParityBytes += pack.Parity
	}
	c.result.Runs = c.runs()
	return c.result, nil
}

// finishList ends the manifest, whose own chunks are remembered too: most of
// them will be the same next time.
func (c *collector) finishList(ctx context.Context) error {
	totals := manifest.Totals{Entries: c.result.Entries, Bytes: c.result.Bytes}
	if _, err := c.list.Write(manifest.AppendTotals(nil, totals)); err != nil {
		return fmt.Errorf("storing the manifest: %w", err)
	}
	pieces, err := c.list.finish()
	if err != nil {
		return fmt.Errorf("storing the manifest: %w", err)
	}
	c.root.Store, c.root.Run, c.root.Source = c.in.Store, c.in.Run, c.in.Source
	c.root.Entries, c.root.Bytes = totals.Entries, totals.Bytes
	if c.root.Chunks, err = c.rememberPieces(ctx, pieces); err != nil {
		return err
	}
	if len(c.root.Encode()) <= manifest.MaxRoot {
		return nil
	}
	c.root.List = true
	longer := manifest.AppendChunkList(nil, c.root.Chunks)
	pieces = nil
	_, err = c.list.lane.Store(bytes.NewReader(longer), c.files, c.renewStream, func(p *intake.Piece) { pieces = append(pieces, p) })
	if err == nil {
		err = c.list.lane.Finish()
	}
	if err != nil {
		return fmt.Errorf("storing the list of the manifest's chunks: %w", err)
	}
	c.root.Chunks, err = c.rememberPieces(ctx, pieces)
	return err
}

func (c *collector) rememberPieces(ctx context.Context, pieces []*intake.Piece) ([]manifest.Chunk, error) {
	chunks := make([]manifest.Chunk, len(pieces))
	for i, p := range pieces {
		var ok bool
		if chunks[i], ok = p.Chunk(); !ok {
			panic("collect: a piece has no place after its lane was finished")
		}
	}
	if err := c.announce(chunks); err != nil {
		return nil, err
	}
	return chunks, c.memory.AddChunks(ctx, chunks)
}

// putRoot seals and publishes the root, twice.
func (c *collector) putRoot(ctx context.Context) error {
	object, err := store.SealRoot(c.root, c.in.Seal)
	if err != nil {
		return fmt.Errorf("sealing the root: %w", err)
	}
	c.result.Root = safe.DigestOf(object)
	name := layout.Root(c.in.Run, c.result.Root)
	for _, name := range []string{name, layout.Copy(name)} {
		if err := blob.Put(ctx, c.in.Into, name, object); err != nil {
			return fmt.Errorf("publishing the root: %w", err)
		}
	}
	if err := c.in.Into.Sync(ctx); err != nil {
		return fmt.Errorf("making the root durable: %w", err)
	}
	return nil
}

// runs sorts the packs that the snapshot needs by run.
func (c *collector) runs() map[safe.RunID][]safe.Digest {
	runs := map[safe.RunID][]safe.Digest{c.in.Run: {}}
	for _, digest := range slices.SortedFunc(maps.Keys(c.needed), safe.Digest.Compare) {
		run := c.needed[digest]
		runs[run] = append(runs[run], digest)
	}
	return runs
}
