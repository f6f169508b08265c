package restore

import (
	"bytes"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"strongroom/internal/safe"
	"strongroom/internal/store/manifest"
)

// there says what an earlier Run has left under the name of a file.
type there int

const (
	nothing  there = iota
	trusted        // size and time are right: it is taken as it is
	unproven       // the size is right: chunks that have their digest are taken
)

// A file is the sink for one file of the target.
type file struct {
	r     *restorer
	in    *folder // held until the file has ended
	entry safe.Entry
	name  string
	there there

	once    sync.Once // opens
	temp    string    // the name until the file is whole; "" if it has none
	f       *os.File
	openErr error

	wrong atomic.Bool // a chunk of what was there is not what it should be
}

// open begins the temporary file. Workers call it, whoever comes first.
func (f *file) open() error {
	f.once.Do(func() { f.f, f.openErr = f.begin() })
	return f.openErr
}

func (f *file) begin() (*os.File, error) {
	temp := f.r.mark.temporary(f.r.temporaries.Add(1))
	if f.there == nothing {
		file, err := f.in.root.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_EXCL|noPoll, 0o600)
		if err == nil {
			f.temp = temp
		}
		return file, err
	}
	// What is there becomes the temporary file: it gets its name back when it
	// has been found or made whole.
	if f.there == unproven {
		if err := f.in.root.Rename(f.name, temp); err != nil {
			return nil, err
		}
		f.temp = temp
	}
	return f.reopen()
}

// reopen opens what an earlier Run has left, if it still is what was listed.
func (f *file) reopen() (*os.File, error) {
	name := f.name
	if f.temp != "" {
		name = f.temp
	}
	listed, err := f.in.root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if listed.Mode().Perm()&0o600 != 0o600 {
		if err := f.in.root.Chmod(name, 0o600); err != nil {
			return nil, err
		}
	}
	file, err := f.in.root.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	opened, err := file.Stat()
	if err == nil && (!os.SameFile(listed, opened) || !opened.Mode().IsRegular() || links(opened) != 1) {
		err = errors.New("something else has taken the name of the file")
	}
	if err != nil {
		file.Close() // nothing was written
		return nil, err
	}
	return file, nil
}

func (f *file) mayHold() bool { return f.there == unproven }

func (f *file) holds(buf []byte, c manifest.Chunk, off int64) bool {
	if f.there != unproven || f.open() != nil {
		return false
	}
	buf = buf[:c.Length]
	_, err := f.f.ReadAt(buf, off)
	if err != nil || safe.DigestOf(buf) != c.Hash {
		f.wrong.Store(true)
		return false
	}
	return true
}

func (f *file) write(p []byte, off int64) error {
	if err := f.open(); err != nil {
		return err
	}
	if f.entry.Sparse && f.there == nothing {
		return f.writeSparse(p, off)
	}
	_, err := f.f.WriteAt(p, off)
	return err
}

// hole is the least run of zeros that is left out of a sparse file, and where
// it may begin: the block of usual filesystems.
const hole = 4096

var zeros [hole]byte

// writeSparse writes all blocks of the file that have more than zeros.
func (f *file) writeSparse(p []byte, off int64) error {
	begin := 0 // of what is still to be written
	flush := func(end int) error {
		if begin == end {
			return nil
		}
		_, err := f.f.WriteAt(p[begin:end], off+int64(begin))
		return err
	}
	for i := 0; i < len(p); {
		n := min(len(p)-i, hole-int((off+int64(i))%hole))
		if bytes.Equal(p[i:i+n], zeros[:n]) {
			if err := flush(i); err != nil {
				return err
			}
			begin = i + n
		}
		i += n
	}
	return flush(len(p))
}

// finish gives the file its metadata and its name, in this order: what is seen
// under the name is complete, and its modification time says so to a later
// Run.
func (f *file) finish() (kept bool, err error) {
	defer f.in.release()
	if err := f.open(); err != nil {
		return false, err
	}
	if err := f.complete(); err != nil {
		f.discard()
		return false, err
	}
	if f.there == trusted {
		f.r.tally.moved(f.entry.Size)
	}
	return f.there != nothing && !f.wrong.Load(), nil
}

func (f *file) complete() error {
	if f.entry.Sparse && f.there == nothing {
		if err := f.f.Truncate(f.entry.Size); err != nil {
			return err
		}
	}
	if syncsFiles {
		if err := f.f.Sync(); err != nil {
			return err
		}
	}
	name := f.name
	if f.temp != "" {
		name = f.temp
	}
	f.r.describe(f.f, f.in.root, name, f.entry)
	if err := f.f.Close(); err != nil {
		return err
	}
	if f.temp == "" {
		return nil
	}
	return f.in.root.Rename(f.temp, f.name)
}

func (f *file) abort() {
	f.once.Do(func() {}) // if it was not opened, there is nothing to discard
	if f.temp != "" && f.there == unproven && !f.wrong.Load() && f.r.pipe.cause() != nil {
		// The restore ended before all was read. What was there for the last
		// Run is there for the next.
		if f.in.root.Rename(f.temp, f.name) == nil {
			f.temp = ""
		}
	}
	f.discard()
	f.in.release()
}

// discard removes the temporary file. What cannot be removed now is removed
// when the restore is continued.
func (f *file) discard() {
	if f.f != nil {
		f.f.Close()
	}
	if f.temp != "" {
		f.in.root.Remove(f.temp)
	}
}

// timeFits tells whether a time can be given to a file: package os counts
// nanoseconds since 1970 in 64 bits.
func timeFits(t time.Time) bool { return 1678 <= t.Year() && t.Year() < 2262 }
