package memory

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"strongroom/internal/safe"
)

// version is that of all files in a folder; they are made and lost together.
const version = 1

// A kind says what a file holds; the first four bytes of its plaintext.
type kind string

const (
	linesKind      kind = "SRML"
	chunksKind     kind = "SRMC"
	mergedKind     kind = "SRMM" // chunks files merged; nothing names it
	checkpointKind kind = "SRMK"
	tagsKind       kind = "SRMT"
	indexKind      kind = "SRMX"
)

const (
	tagsName  = "tags.age"
	indexName = "index.age"
)

func linesName(n int) string      { return fmt.Sprintf("lines-%08d.age", n) }
func chunksName(n int) string     { return fmt.Sprintf("chunks-%08d.age", n) }
func checkpointName(n int) string { return fmt.Sprintf("checkpoint-%08d.age", n) }
func mergedName(n int) string     { return fmt.Sprintf("merged-%08d.tmp", n) }

// headerSize is a record's size, so that records stay within the blocks that
// age seals.
const headerSize = recordSize

// header returns what the plaintext of a file begins with: kind, version,
// run, number. It keeps a whole file of one place from passing in another.
func header(k kind, run safe.RunID, n int) []byte {
	b := make([]byte, 0, headerSize)
	b = append(b, k...)
	b = binary.BigEndian.AppendUint32(b, version)
	b = append(b, run[:]...)
	return binary.BigEndian.AppendUint64(b, uint64(n))
}

// checkHeader compares the beginning of a file with what it must be.
func checkHeader(b []byte, k kind, run safe.RunID, n int) error {
	want := header(k, run, n)
	switch {
	case string(b[:4]) != string(k):
		return fmt.Errorf("is of kind %q, not %q", b[:4], k)
	case string(b[4:8]) != string(want[4:8]):
		return fmt.Errorf("has version %d, this program knows version %d", binary.BigEndian.Uint32(b[4:]), version)
	case string(b[8:24]) != string(run[:]):
		return fmt.Errorf("is of run %s", safe.RunID(b[8:24]))
	case string(b) != string(want):
		return fmt.Errorf("has number %d, not %d", binary.BigEndian.Uint64(b[24:]), n)
	}
	return nil
}

// A folder holds the files of one run.
type folder struct {
	root *os.Root
	run  safe.RunID
	keys Keys
}

// create makes a file that was not there. It must be committed or dropped.
func (f *folder) create(name string, k kind, n int) (*sealedFile, error) {
	file, err := f.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	s := &sealedFile{file: file}
	s.seal, err = f.keys.Seal.Seal(file)
	if err == nil {
		_, err = s.seal.Write(header(k, f.run, n))
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("sealing %s: %w", name, err)
	}
	return s, nil
}

// write makes a small file that appears whole or not at all, and makes it and
// all names in the folder durable.
func (f *folder) write(name string, k kind, n int, body []byte) error {
	const temporary = "new.tmp"
	if err := f.remove(temporary); err != nil {
		return err
	}
	s, err := f.create(temporary, k, n)
	if err != nil {
		return err
	}
	if _, err := s.Write(body); err != nil {
		s.drop()
		return err
	}
	if _, err := s.commit(); err != nil {
		return err
	}
	if err := f.root.Rename(temporary, name); err != nil {
		return err
	}
	return syncFolder(f.root)
}

// remove removes a file if it is there.
func (f *folder) remove(name string) error {
	if err := f.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// openFile opens a file for reading, but nothing that could hold up the reader.
func (f *folder) openFile(name string) (*os.File, error) {
	info, err := f.root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("is not a regular file")
	}
	return f.root.Open(name)
}

// open returns a reader of a file's plaintext behind the header.
func (f *folder) open(name string, k kind, n int) (_ io.ReadCloser, err error) {
	file, err := f.openFile(name)
	if err != nil {
		return nil, f.damaged(name, err)
	}
	defer func() {
		if err != nil {
			file.Close()
			err = f.damaged(name, err)
		}
	}()
	plain, err := f.keys.Seal.Open(file)
	if err != nil {
		return nil, err
	}
	var h [headerSize]byte
	if _, err := io.ReadFull(plain, h[:]); err != nil {
		return nil, err
	}
	if err := checkHeader(h[:], k, f.run, n); err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{plain, file}, nil
}

func (f *folder) damaged(name string, err error) error { return damaged(f.run, name, err) }

// A sealedFile is a file while it is written. Its bytes are sealed as they
// come; none of them waits on disk in clear.
type sealedFile struct {
	file *os.File
	seal io.WriteCloser
}

func (s *sealedFile) Write(p []byte) (int, error) { return s.seal.Write(p) }

// finish ends and closes a file that nobody needs after a crash.
func (s *sealedFile) finish() error { return errors.Join(s.seal.Close(), s.file.Close()) }

// commit makes the file's bytes durable, closes it, and returns its size on
// disk. Its name is durable after the next syncFolder.
func (s *sealedFile) commit() (size int64, err error) {
	defer func() { err = errors.Join(err, s.file.Close()) }()
	if err := s.seal.Close(); err != nil {
		return 0, err
	}
	if err := s.file.Sync(); err != nil {
		return 0, err
	}
	info, err := s.file.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// drop closes the file as it is: cut short, so that it cannot be opened.
func (s *sealedFile) drop() { s.file.Close() } // what it holds does not matter
