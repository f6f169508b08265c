package memory

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"

	"strongroom/internal/safe"
	"strongroom/internal/store/manifest"
)

// A Writer writes the memory of a run while it goes on. It is used by one
// goroutine. After an error it takes nothing more but Close; what was
// checkpointed before stands.
type Writer struct {
	folder *folder
	sorter sorter
	recall recall
	packs  []Pack
	places map[safe.Digest]int // in packs
	lines  *sealedFile         // the next lines file; nil if nothing is in it

	// What the checkpoints so far hold.
	sizes  []uint64 // of the lines files
	chunks int      // of the sorter's files
	known  int      // of packs

	err    error // the first failure
	closed bool
}

// Create begins the memory of a run in dir, the memory of its source. A folder
// of that run that is there already is an fs.ErrExist.
func Create(dir string, run safe.RunID, keys Keys, options Options) (*Writer, error) {
	f, err := createFolder(dir, run, keys)
	if err != nil {
		return nil, fmt.Errorf("creating the memory of run %s: %w", run, err)
	}
	w := &Writer{
		folder: f,
		sorter: sorter{folder: f, limit: options.records()},
		recall: recall{folder: f, maker: keys.tagMaker()},
		places: make(map[safe.Digest]int),
	}
	w.sorter.written = w.recallable
	return w, nil
}

// recallable makes what is in a chunks file available to Lookup.
func (w *Writer) recallable(ctx context.Context, file sortedFile, records []record) error {
	g := newGuide(file.count, recallBits)
	for i := range records {
		g.note(uint64(i), &records[i])
	}
	t, err := w.folder.openTable(file, g)
	if err != nil {
		return err
	}
	return w.recall.add(ctx, t, w.packs)
}

// Lookup returns where a chunk lies that was added a while ago, when it was
// written to disk, and whether it was. It may be called concurrently with
// everything; after Finish or Close it finds nothing.
func (w *Writer) Lookup(hash safe.Digest) (manifest.Chunk, bool, error) {
	c, ok, err := w.recall.find(hash)
	if err != nil {
		return manifest.Chunk{}, false, damaged(w.folder.run, "chunks", err)
	}
	return c, ok, nil
}

func createFolder(dir string, run safe.RunID, keys Keys) (*folder, error) {
	parent, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer parent.Close()
	if err := parent.Mkdir(run.String(), 0o700); err != nil {
		return nil, err
	}
	if err := syncFolder(parent); err != nil {
		return nil, err
	}
	root, err := parent.OpenRoot(run.String())
	if err != nil {
		return nil, err
	}
	return &folder{root, run, keys}, nil
}

// AddPack announces a pack in which chunks added later lie: of this run, once
// it is published, or of an older memory, as its Packs and Pack return it.
// Announcing one again does nothing.
func (w *Writer) AddPack(p Pack) error {
	return w.do("adding a pack to", func() error {
		if i, ok := w.places[p.Digest]; ok {
			if known := w.packs[i]; known.Run != p.Run || known.Frames != p.Frames {
				return fmt.Errorf("pack %s of run %s with %d bytes is known as one of run %s with %d", p.Digest, p.Run, p.Frames, known.Run, known.Frames)
			}
			return nil
		}
		if p.Frames < 0 || p.Frames > math.MaxUint32 {
			return fmt.Errorf("pack %s has %d bytes", p.Digest, p.Frames)
		}
		if len(w.packs) == maxPacks {
			return fmt.Errorf("there are more than %d packs", maxPacks)
		}
		w.places[p.Digest] = len(w.packs)
		p.Used = 0
		w.packs = append(w.packs, p)
		return nil
	})
}

// Add appends a line of the manifest, its newline included, with the chunks
// that it refers to. Lines come in the manifest's order. Now and then it takes
// seconds, to merge what is on disk.
func (w *Writer) Add(ctx context.Context, line []byte, chunks []manifest.Chunk) error {
	return w.do("adding a line to", func() error {
		if !bytes.HasSuffix(line, []byte("\n")) {
			return errors.New("a line does not end as one")
		}
		if err := w.addChunks(ctx, chunks); err != nil {
			return err
		}
		if w.lines == nil {
			if err := w.beginLines(); err != nil {
				return err
			}
		}
		_, err := w.lines.Write(line)
		return err
	})
}

// AddChunks adds chunks that no line refers to, such as those of the manifest
// itself.
func (w *Writer) AddChunks(ctx context.Context, chunks []manifest.Chunk) error {
	return w.do("adding chunks to", func() error { return w.addChunks(ctx, chunks) })
}

func (w *Writer) addChunks(ctx context.Context, chunks []manifest.Chunk) error {
	for _, c := range chunks {
		place, ok := w.places[c.Pack]
		if !ok {
			return fmt.Errorf("chunk %s lies in pack %s, which was not announced", c.Hash, c.Pack)
		}
		p := &w.packs[place]
		if c.Run != p.Run || c.Offset < 0 || c.Stored == 0 || c.Length == 0 || c.Offset > p.Frames-int64(c.Stored) {
			return fmt.Errorf("chunk %s of %d bytes cannot lie at %d+%d in run %s: pack %s is of run %s and has %d bytes",
				c.Hash, c.Length, c.Offset, c.Stored, c.Run, c.Pack, p.Run, p.Frames)
		}
		r := newRecord(w.recall.maker.tag(c.Hash), uint32(place), uint32(c.Offset), c.Stored, c.Length)
		if err := w.sorter.add(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

func (w *Writer) beginLines() (err error) {
	n := len(w.sizes) + 1
	w.lines, err = w.folder.create(linesName(n), linesKind, n)
	return err
}

// Checkpoint makes all that was added so far survive a crash. Every chunk of it
// must lie in a pack that would survive too. After cancellation nothing is
// committed.
func (w *Writer) Checkpoint(ctx context.Context) error {
	return w.do("checkpointing", func() error { return w.checkpoint(ctx) })
}

// The order matters:
//  1. lines, chunks  synced, and their names; nothing names them yet
//  2. checkpoint     one rename; until it happens the previous one stands
//
// A crash between steps leaves files that no checkpoint names, which are never
// read.
func (w *Writer) checkpoint(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := w.sorter.flush(ctx); err != nil {
		return err
	}
	next := &checkpoint{
		chunks: w.sorter.files[w.chunks:],
		packs:  w.packs[w.known:],
	}
	if w.lines == nil && len(next.chunks) == 0 && len(next.packs) == 0 {
		return nil
	}
	if w.lines == nil {
		if err := w.beginLines(); err != nil {
			return err
		}
	}
	size, err := w.lines.commit()
	w.lines = nil
	if err != nil {
		return err
	}
	next.lines = uint64(size)
	if err := syncFolder(w.folder.root); err != nil {
		return err
	}
	w.sizes, w.chunks, w.known = append(w.sizes, next.lines), len(w.sorter.files), len(w.packs)
	if err := w.state().check(); err != nil {
		return err
	}
	n := len(w.sizes)
	return w.folder.write(checkpointName(n), checkpointKind, n, next.encode())
}

// state returns the sum of the checkpoints.
func (w *Writer) state() *state {
	return &state{lines: w.sizes, chunks: w.sorter.files[:w.chunks], packs: w.packs[:w.known]}
}

// Finish makes a last checkpoint, prepares the memory for reading and closes
// the Writer. A run that broke off is prepared by Open instead, as is one whose
// Finish failed behind its checkpoint.
func (w *Writer) Finish(ctx context.Context) error {
	return w.do("finishing", func() error {
		if err := w.checkpoint(ctx); err != nil {
			return err
		}
		w.sorter.buffer, w.places = nil, nil // what follows needs the room
		files := w.recall.files()
		if err := w.recall.close(); err != nil {
			return err
		}
		if err := build(ctx, w.folder, w.state(), files); err != nil {
			return err
		}
		w.closed = true
		return w.folder.root.Close()
	})
}

// Close ends the writing. What was not checkpointed is lost. After Finish, or
// again, it does nothing.
func (w *Writer) Close() error {
	if w.closed {
		return nil
	}
	w.closed = true
	if w.lines != nil {
		w.lines.drop()
	}
	return errors.Join(w.recall.close(), w.folder.removeAll("merged-*.tmp"), w.folder.root.Close())
}

// do runs an operation unless one failed before, in which case a line may have
// been written in part, or the Writer is closed.
func (w *Writer) do(doing string, f func() error) error {
	if w.err == nil && w.closed {
		w.err = fs.ErrClosed
	}
	if w.err == nil {
		w.err = f()
	}
	var known *DamagedError
	if w.err == nil || errors.As(w.err, &known) {
		return w.err
	}
	return fmt.Errorf("%s the memory of run %s: %w", doing, w.folder.run, w.err)
}
