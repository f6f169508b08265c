package memory

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
)

// build makes the tags and the index of what was checkpointed, whose records
// are in files. Tags of a build that broke off must have been removed.
//
// The order matters:
//  1. tags   nothing names them yet
//  2. index  one rename; from now on the checkpoints are not looked at
//  3. the checkpoints and chunks files go
//
// A crash between steps leaves files that are never read, and that go with the
// folder.
func build(ctx context.Context, f *folder, s *state, files []sortedFile) error {
	x, err := buildTags(ctx, f, s, files)
	if err != nil {
		return err
	}
	if err := syncFolder(f.root); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := f.write(indexName, indexKind, 0, x.encode()); err != nil {
		return err
	}
	return f.removeAll("checkpoint-*", "chunks-*", "*.tmp")
}

// buildTags writes the tags and returns the index to them.
func buildTags(ctx context.Context, f *folder, s *state, files []sortedFile) (*index, error) {
	x := &index{lines: s.lines, packs: s.packs, guide: newGuide(recordsIn(files), indexBits)}
	out, err := f.create(tagsName, tagsKind, 0)
	if err != nil {
		return nil, err
	}
	emit := func(r record) error {
		if x.chunks == maxChunks {
			return f.damaged("chunks", fmt.Errorf("are more than %d", maxChunks))
		}
		x.note(x.chunks, &r)
		x.chunks++
		_, err := out.Write(r[:])
		return err
	}
	t := tagger{folder: f, packs: x.packs, emit: emit}
	err = merge(ctx, f, files, t.add)
	if err == nil {
		err = t.flush()
	}
	if err != nil {
		out.drop()
		return nil, err
	}
	_, err = out.commit()
	return x, err
}

// removeAll removes the files whose names match one of the patterns.
func (f *folder) removeAll(patterns ...string) error {
	var names []string
	err := eachName(f.root, func(name string) {
		for _, pattern := range patterns {
			if ok, _ := path.Match(pattern, name); ok { // the patterns are constants of this package
				names = append(names, name)
				return
			}
		}
	})
	for _, name := range names {
		err = errors.Join(err, f.remove(name))
	}
	return err
}

// load adds up the checkpoints of a run that broke off. It returns ErrNone if
// there are none.
func load(f *folder) (*state, error) {
	n, err := f.checkpoints()
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, ErrNone
	}
	s := new(state)
	for i := range n {
		name := checkpointName(i + 1)
		c, err := f.readCheckpoint(name, i+1)
		if err != nil {
			return nil, err
		}
		if err := s.add(c); err != nil {
			return nil, f.damaged(name, err)
		}
	}
	return s, nil
}

// checkpoints returns how many there are, after making sure that none before
// the last is missing.
func (f *folder) checkpoints() (int, error) {
	found, last := 0, 0
	err := eachName(f.root, func(name string) {
		var n int
		if _, err := fmt.Sscanf(name, "checkpoint-%d.age", &n); err == nil && n > 0 && checkpointName(n) == name {
			found++
			last = max(last, n)
		}
	})
	switch {
	case err != nil:
		return 0, f.damaged(".", err)
	case found != last:
		return 0, f.damaged(checkpointName(last), fmt.Errorf("is there, but of those before it %d are not", last-found))
	}
	return last, nil
}

func (f *folder) readCheckpoint(name string, n int) (*checkpoint, error) {
	src, err := f.open(name, checkpointKind, n)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	c, err := decodeCheckpoint(src)
	if err != nil {
		return nil, f.damaged(name, err)
	}
	return c, nil
}

// readIndex returns an error that is fs.ErrNotExist if there is no index.
func (f *folder) readIndex() (*index, error) {
	if _, err := f.root.Lstat(indexName); errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	src, err := f.open(indexName, indexKind, 0)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	x, err := decodeIndex(src)
	if err != nil {
		return nil, f.damaged(indexName, err)
	}
	return x, nil
}
