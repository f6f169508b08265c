package dir

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"

	"strongroom/internal/store/blob"
)

// An AddOnly is a blob.Writer for a process that confines itself so far that
// it can open nothing in the store any more: it adds to a few folders that it
// opened before. Landlock must leave it these rights:
//
//	stage/                write_file, read_file, make_reg, refer
//	each of the folders   make_reg, refer
//
// All methods but Close may be called concurrently.
type AddOnly struct {
	stage   *os.File
	folders map[string]*os.File // immutable
	fsync   func(*os.File) error
	changes changes
}

// AddOnly opens the folders, such as "runs/<run>/packs", creating them if need
// be; their names are durable on return. An object can be published directly
// in one of them and nowhere else.
func (s *Store) AddOnly(ctx context.Context, folders ...string) (*AddOnly, error) {
	w := &AddOnly{folders: map[string]*os.File{}, fsync: s.fsync}
	if err := w.open(ctx, s, folders); err != nil {
		w.Close() // the first error says more
		return nil, fmt.Errorf("opening folders of the store to add to: %w", err)
	}
	return w, nil
}

func (w *AddOnly) open(ctx context.Context, s *Store, folders []string) (err error) {
	if w.stage, err = s.folder(stageFolder); err != nil {
		return err
	}
	for _, name := range folders {
		if err := blob.CheckName(name); err != nil {
			return err
		}
		if w.folders[name] != nil {
			continue
		}
		f, err := s.folder(name)
		if err != nil {
			return err
		}
		w.folders[name] = f
		s.changes.add(name)
		w.changes.settle(name)
	}
	return s.Sync(ctx)
}

// Stage implements blob.Writer.
func (w *AddOnly) Stage(ctx context.Context) (blob.Staged, error) {
	return newStaged(ctx, w.stage, w.fsync, w.link)
}

func (w *AddOnly) link(f *os.File, name string) error {
	folder, ok := w.folders[path.Dir(name)]
	if !ok {
		return fmt.Errorf("folder %s is none of those that may be added to", path.Dir(name))
	}
	err := link(f, folder, path.Base(name))
	// Whatever happened: the name may be there without being durable.
	w.changes.add(path.Dir(name))
	return err
}

// Sync implements blob.Writer.
func (w *AddOnly) Sync(ctx context.Context) error {
	err := w.changes.sync(ctx, func(name string) error { return w.fsync(w.folders[name]) })
	if err != nil {
		return fmt.Errorf("syncing the store: %w", err)
	}
	return nil
}

// Close releases the folders. It syncs nothing.
func (w *AddOnly) Close() error {
	var errs []error
	if w.stage != nil {
		errs = append(errs, w.stage.Close())
	}
	for _, f := range w.folders {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}
