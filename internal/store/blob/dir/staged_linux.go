package dir

import (
	"context"
	"errors"
	"fmt"
	"os"

	"strongroom/internal/store/blob"
)

// staged is a blob.Staged: a file that has no name yet.
type staged struct {
	file  *os.File
	fsync func(*os.File) error
	link  func(f *os.File, name string) error

	damage error // of the Write that failed
	done   bool  // Publish or Replace was called
	closed bool
}

func newStaged(ctx context.Context, stage *os.File, fsync func(*os.File) error, link func(*os.File, string) error) (blob.Staged, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("staging an object: %w", err)
	}
	f, err := unnamed(stage)
	if err != nil {
		return nil, fmt.Errorf("staging an object: %w", err)
	}
	return &staged{file: f, fsync: fsync, link: link}, nil
}

func (o *staged) Write(p []byte) (int, error) {
	if o.done {
		return 0, errors.New("writing to an object that is no longer staged")
	}
	n, err := o.file.Write(p)
	if err != nil {
		o.damage = err
	}
	return n, err
}

func (o *staged) ReadAt(p []byte, off int64) (int, error) { return o.file.ReadAt(p, off) }

func (o *staged) Publish(ctx context.Context, name string) error {
	if err := o.finish(ctx, name); err != nil {
		return fmt.Errorf("publishing %s: %w", name, err)
	}
	if err := o.link(o.file, name); err != nil {
		return fmt.Errorf("publishing %s: %w", name, err)
	}
	return nil
}

// finish makes the bytes durable. It succeeds once at most: an fsync that
// failed may have dropped what it could not write, and the next one would
// report success.
func (o *staged) finish(ctx context.Context, name string) error {
	switch {
	case o.done, o.closed:
		return errors.New("the object is no longer staged")
	case o.damage != nil:
		return fmt.Errorf("an earlier write failed: %w", o.damage)
	}
	o.done = true
	if err := blob.CheckName(name); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := o.fsync(o.file); err != nil {
		return err
	}
	return ctx.Err()
}

func (o *staged) Discard() error {
	if o.closed {
		return nil
	}
	o.closed = true
	return o.file.Close()
}
