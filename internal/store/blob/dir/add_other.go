//go:build !linux

package dir

import (
	"context"
	"errors"
	"fmt"

	"strongroom/internal/store/blob"
)

var errNotLinux = fmt.Errorf("adding to a store in a folder: %w on this system, it needs Linux", errors.ErrUnsupported)

// Create needs Linux.
func Create(path string) (*Store, error) { return nil, errNotLinux }

// Stage implements blob.Writer; it needs Linux.
func (s *Store) Stage(ctx context.Context) (blob.Staged, error) { return nil, errNotLinux }

// Sync implements blob.Writer. Nothing was published.
func (s *Store) Sync(ctx context.Context) error { return nil }

// Replace implements blob.Replacer; it needs Linux.
func (s *Store) Replace(ctx context.Context, name string, st blob.Staged) error { return errNotLinux }
