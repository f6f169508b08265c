//go:build !linux

package dir

import (
	"context"

	"strongroom/internal/store/blob"
)

// An AddOnly needs Linux; here there is none.
type AddOnly struct{}

// AddOnly needs Linux.
func (s *Store) AddOnly(ctx context.Context, folders ...string) (*AddOnly, error) {
	return nil, errNotLinux
}

// Stage implements blob.Writer.
func (*AddOnly) Stage(context.Context) (blob.Staged, error) { return nil, errNotLinux }

// Sync implements blob.Writer.
func (*AddOnly) Sync(context.Context) error { return nil }

// Close releases nothing.
func (*AddOnly) Close() error { return nil }
