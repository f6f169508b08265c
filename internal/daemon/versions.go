package daemon

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"strongroom/internal/daemon/state"
	"strongroom/internal/estate"
)

// Bounds of the versions of the map that are kept: years of an estate of a few
// hundred components that changes twice a week.
const (
	mostMaps     = 400
	mostMapBytes = 64 << 20 // of all of them, compressed
)

// KeepMap keeps how the map is now, if a source has told something since then. It
// is to be called when all of a night is collected: a map takes longer to draw
// than most sources to tell.
func (s *Safe) KeepMap(ctx context.Context) error {
	if !s.learned.Swap(false) {
		return nil
	}
	return s.keepMap(ctx)
}

// keepMap keeps how the map is now, if it says something else than the newest
// version that is kept. Nobody waits while it is drawn and compared. If what it
// is drawn of changes meanwhile, nothing is kept: whoever changed that keeps the
// map as it is then.
func (s *Safe) keepMap(ctx context.Context) error {
	d, err := s.drawn(ctx)
	if err != nil {
		return err
	}
	return s.keepDrawing(ctx, d)
}

func (s *Safe) keepDrawing(ctx context.Context, d *drawing) error {
	now := s.opts.Now().UTC()
	newest, ok, err := s.state.View(ctx).NewestMap(now)
	if err != nil {
		return err
	}
	old := new(estate.Map)
	if ok {
		if old, err = unpackMap(newest.Bytes); err != nil {
			return err
		}
	}
	if estate.Same(old, d.Map) {
		return nil
	}
	b, err := packMap(d.Map)
	if err != nil {
		return err
	}
	return s.state.Update(ctx, func(tx *state.Tx) error {
		k, err := knowledgeOf(tx.View())
		if err != nil || k.of != d.of {
			return err
		}
		return tx.KeepMap(state.MapVersion{Taken: now, Bytes: b}, mostMaps, mostMapBytes)
	})
}

// packMap returns the map as it is kept.
func packMap(m *estate.Map) ([]byte, error) {
	b, err := m.Encode()
	if err != nil {
		return nil, err
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write(b); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	if packed.Len() > mostMapBytes {
		return nil, fmt.Errorf("a version of the map takes %d bytes, at most %d are kept", packed.Len(), mostMapBytes)
	}
	return packed.Bytes(), nil
}

func unpackMap(b []byte) (*estate.Map, error) {
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("reading a version of the map: %w", err)
	}
	encoded, err := io.ReadAll(io.LimitReader(r, estate.MaxEncoded+1))
	if err != nil {
		return nil, fmt.Errorf("reading a version of the map: %w", err)
	}
	return estate.Decode(encoded)
}

// ErrNoMap says that no version of the map was kept yet.
var ErrNoMap = errors.New("no version of the map was kept yet")

// MapAt returns how the map was at a time, and since when it was so. If none was
// kept before that, it is the oldest one, which is younger.
func (s *Safe) MapAt(ctx context.Context, at time.Time) (*estate.Map, time.Time, error) {
	v := s.state.View(ctx)
	version, ok, err := v.NewestMap(at)
	if err == nil && !ok {
		version, ok, err = v.OldestMap()
	}
	if err != nil {
		return nil, time.Time{}, err
	}
	if !ok {
		return nil, time.Time{}, ErrNoMap
	}
	m, err := unpackMap(version.Bytes)
	return m, version.Taken, err
}
