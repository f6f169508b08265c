// Package memory keeps what a safe remembers of one run of a source: the lines
// of the manifest as a stream, and where each distinct chunk lies. A later
// collection of the same source reads it to leave out what is stored already.
//
// A memory is a folder, <memory of the source>/<run>. Which runs count is for
// the caller to decide; this package neither knows what a complete snapshot is
// nor what a line says. A run that broke off is remembered as far as its last
// checkpoint.
//
// # Files
//
// Every file is an ordinary age file for one recipient. Its plaintext begins
// with a header of 32 bytes: what kind of file it is, version, run, number.
// All numbers are big-endian.
//
//	lines-N.age       the manifest's bytes between checkpoints N-1 and N
//	chunks-M.age      sorted records of chunks, see record
//	checkpoint-N.age  size of lines-N.age, the chunks files since checkpoint N-1,
//	                  and the packs that their records refer to by number
//	tags.age          the chunks files merged: one record for each chunk
//	index.age         the sizes of all lines files, the packs, and what makes a
//	                  search in tags.age take one read: see index
//	merged-M.tmp      chunks files up to chunks-M merged, while a run goes on: see
//	                  recall; and on the way to the tags
//
// A lines or chunks file counts once a checkpoint names it, and all checkpoints
// are replaced by the index, after which only lines-N.age, tags.age and
// index.age remain. What nothing names is garbage of a crash.
//
// # Promises
//
// On disk there are no names, digests or lengths of the source in clear. What
// can be seen is the id of the run, sizes of files, and when they were written.
//
// A chunk is found by a tag of 128 bits, keyed with a secret of the source. The
// digest itself is not kept in the record and not compared: without the key
// nobody can look for two contents with the same tag, and by chance it does not
// happen (10^9 chunks: once in 10^20 safes).
//
// A file that is missing, cut short, changed, or belongs elsewhere is reported
// as a *DamagedError, never returned as if it were whole. The exception is the
// newest checkpoint of a run that broke off: nothing tells that it was there,
// so without it the run is remembered as of the one before. Against somebody
// who has the memory's recipient, which is as secret as its identity, nothing
// is promised.
//
// RAM is bounded whatever the files hold. A Writer takes the buffer of Options,
// about 150 bytes for each pack, and 14 bits for each record of the tables that
// it looks in, but at most 32 MiB for each of these, of which there are three of
// a size: 17 MiB for 10 million chunks, 150 MiB for 134 million. While it merges
// some, it takes as much again for those. A Memory takes about 70 bytes for each
// pack and ten bits for each chunk, at most 32 MiB; merging takes 13 MiB.
package memory

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"

	"strongroom/internal/safe"
	"strongroom/internal/store/seal"
)

// Keys are what the memory of a source is sealed and searched with.
type Keys struct {
	Seal seal.MemoryIdentity
	Tag  seal.TagKey // the source's own
}

// A tagMaker makes tags of digests. It may be used concurrently.
type tagMaker struct{ macs sync.Pool }

func (k *Keys) tagMaker() *tagMaker {
	key := k.Tag
	return &tagMaker{sync.Pool{New: func() any { return hmac.New(sha256.New, key[:]) }}}
}

// tag returns what a chunk is known by.
func (m *tagMaker) tag(chunk safe.Digest) tag {
	mac := m.macs.Get().(hash.Hash)
	defer m.macs.Put(mac)
	mac.Reset()
	mac.Write(chunk[:])
	var sum [sha256.Size]byte
	return tag(mac.Sum(sum[:0])[:len(tag{})])
}

// Options tunes a Writer. The zero value is ready to use.
type Options struct {
	Buffer int // bytes of records that are sorted in RAM; 0 means 4 MiB
}

// records returns how many records fit into the buffer.
func (o Options) records() int {
	if o.Buffer <= 0 {
		return 4 << 20 / recordSize
	}
	return max(o.Buffer/recordSize, 1)
}

// A Pack is a pack that remembered chunks lie in.
type Pack struct {
	Run    safe.RunID
	Digest safe.Digest
	Frames int64 // bytes of all its frames, which begin at offset 0
	// Used counts the bytes of those frames that the run refers to, each frame
	// once. It is filled in by this package.
	Used int64
}

// ErrNone says that nothing is remembered of a run.
var ErrNone = errors.New("nothing is remembered of this run")

// A DamagedError says that a memory cannot be trusted or read, also because it
// was sealed for another identity. There is no remedy but to go on without it:
// the next collection then stores everything again.
type DamagedError struct {
	Run  safe.RunID
	File string
	Err  error
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("memory of run %s is damaged: %s: %v", e.Run, e.File, e.Err)
}
func (e *DamagedError) Unwrap() error { return e.Err }

// damaged returns err, met while reading the named file, as a DamagedError,
// unless the operating system refused something that it may grant another time.
func damaged(run safe.RunID, file string, err error) error {
	var path *fs.PathError
	if errors.As(err, &path) && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.EIO) {
		return fmt.Errorf("reading the memory of run %s: %w", run, err)
	}
	return &DamagedError{Run: run, File: file, Err: err}
}

// errNoFolder says that under the name of a run there is something that no
// Writer leaves. It is no memory, and in nobody's way.
var errNoFolder = errors.New("not a folder")

// openRun opens the folder of a run.
func openRun(dir *os.Root, run safe.RunID) (*os.Root, error) {
	info, err := dir.Lstat(run.String())
	if err == nil && !info.IsDir() {
		err = errNoFolder
	}
	if err != nil {
		return nil, err
	}
	return dir.OpenRoot(run.String())
}

// Size tells about how much a run remembers: what the manifest's lines take on
// disk, 0 if nothing was checkpointed. It takes no key and opens no file, so it
// serves to choose between runs that broke off and proves nothing.
func Size(dir string, run safe.RunID) (size int64, err error) {
	root, err := os.OpenRoot(dir)
	if err == nil {
		defer root.Close()
		root, err = openRun(root, run)
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errNoFolder) {
		return 0, nil
	}
	if err == nil {
		defer root.Close()
		size, err = sizeOf(root)
	}
	if err != nil {
		return 0, fmt.Errorf("measuring the memory of run %s: %w", run, err)
	}
	return size, nil
}

func sizeOf(root *os.Root) (size int64, err error) {
	checkpointed := false
	var infoErr error
	err = eachName(root, func(name string) {
		switch kind, _, _ := strings.Cut(name, "-"); {
		case kind == "checkpoint", name == indexName:
			checkpointed = true
		case kind == "lines":
			info, err := root.Lstat(name)
			if err != nil {
				infoErr = err
				return
			}
			size += info.Size()
		}
	})
	if !checkpointed {
		size = 0
	}
	return size, errors.Join(err, infoErr)
}

// Sweep removes everything in dir, the memory of a source, but the runs to
// keep. It may be repeated, and a dir that does not exist is as good as empty.
func Sweep(dir string, keep ...safe.RunID) error {
	// The folder belongs to a process that is trusted less than the one that
	// may be sweeping, so nothing in it may lead out of it.
	root, err := openNoLink(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("sweeping a memory: %w", err)
	}
	defer root.Close()
	var names []string
	err = eachName(root, func(name string) {
		isKept := func(run safe.RunID) bool { return run.String() == name }
		if !slices.ContainsFunc(keep, isKept) {
			names = append(names, name)
		}
	})
	for _, name := range names {
		err = errors.Join(err, root.RemoveAll(name))
	}
	if err := errors.Join(err, syncFolder(root)); err != nil {
		return fmt.Errorf("sweeping a memory: %w", err)
	}
	return nil
}

// openNoLink opens a folder, but not what a symbolic link of that name leads to:
// whoever planted the link would have all emptied that the process may empty.
func openNoLink(dir string) (*os.Root, error) {
	listed, err := os.Lstat(dir)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	opened, err := root.Stat(".")
	if err == nil && !os.SameFile(listed, opened) {
		err = fmt.Errorf("%s is a symbolic link, or something else has taken its name", dir)
	}
	if err != nil {
		root.Close() // nothing was written
		return nil, err
	}
	return root, nil
}

// eachName calls f for every name in a folder, in no order, without holding
// them all.
func eachName(root *os.Root, f func(name string)) error {
	d, err := root.Open(".")
	if err != nil {
		return err
	}
	defer d.Close()
	for {
		names, err := d.Readdirnames(1000)
		for _, name := range names {
			f(name)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// syncFolder makes the names in a folder durable.
func syncFolder(root *os.Root) error {
	d, err := root.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
