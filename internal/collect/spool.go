package collect

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"os"

	"strongroom/internal/store/manifest"
	"strongroom/internal/store/seal"
)

// A spool has where the chunks of a file lie that is too great for all of them
// to be in memory. Nothing of such a file can be listed before its end: only
// then it is known to be there, and its first line in the manifest says how
// long it is.
//
// It is a file without a name, so that nothing is left of it after a crash, and
// is sealed as everything that is remembered.
type spool struct {
	file   *os.File
	key    seal.MemoryIdentity
	sealed io.WriteCloser // to file
	count  int            // chunks that it has
}

// newSpool makes a spool on the filesystem of dir, where its file has a name
// for a moment.
func newSpool(dir string, key seal.MemoryIdentity) (_ *spool, err error) {
	file, err := os.CreateTemp(dir, "spool-*.tmp")
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			file.Close() // nothing was written
		}
	}()
	if err := os.Remove(file.Name()); err != nil {
		return nil, err
	}
	sealed, err := key.Seal(file)
	if err != nil {
		return nil, err
	}
	return &spool{file: file, key: key, sealed: sealed}, nil
}

// add appends to the spool.
func (s *spool) add(chunks []manifest.Chunk) error {
	s.count += len(chunks)
	return binary.Write(s.sealed, binary.LittleEndian, chunks)
}

// seal ends the adding. It may be repeated.
func (s *spool) seal() error {
	if s.sealed == nil {
		return nil
	}
	err := s.sealed.Close()
	s.sealed = nil
	return err
}

// all returns what was added, after which nothing more can be. It may be called
// again.
func (s *spool) all() iter.Seq2[manifest.Chunk, error] {
	return func(yield func(manifest.Chunk, error) bool) {
		err := s.each(func(c manifest.Chunk) bool { return yield(c, nil) })
		if err != nil {
			yield(manifest.Chunk{}, fmt.Errorf("reading back where content lies: %w", err))
		}
	}
}

// each calls do with what was added, until it returns false.
func (s *spool) each(do func(manifest.Chunk) bool) error {
	if err := s.seal(); err != nil {
		return err
	}
	src, err := s.key.Open(io.NewSectionReader(s.file, 0, math.MaxInt64))
	if err != nil {
		return err
	}
	part := make([]manifest.Chunk, min(s.count, manifest.ChunksPerLine))
	for left := s.count; left > 0; left -= len(part) {
		part = part[:min(left, len(part))]
		if err := binary.Read(src, binary.LittleEndian, part); err != nil {
			return err
		}
		for _, c := range part {
			if !do(c) {
				return nil
			}
		}
	}
	return nil
}

func (s *spool) close() error { return errors.Join(s.seal(), s.file.Close()) }
