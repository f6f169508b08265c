// Package restore turns an opened snapshot into files, or reads all of it to
// see that this is possible.
//
// The manifest and the target are not trusted. Everything goes through an
// os.Root, folder by folder, so nothing is written outside of the target
// whatever names and links there are. Every chunk is verified before a byte of
// it is written, and a file gets its name when it is whole and has its
// metadata: what is there under its name is complete.
//
// What goes wrong with one entry is a Loss in the Report and does not stop the
// others. A restore that broke off is continued by the same call on the same
// target; a marker file in the target says that it is not finished.
//
// The package does not promise that a filesystem can hold everything that was
// collected: owners without root, modes on Windows, two names that differ in
// case only. What it could not hold is listed. It removes nothing that does
// not stand in the way of an entry. Folders that enclose a lost entry have the
// modification time of the manifest all the same.
package restore

import (
	"context"
	"errors"
	"fmt"
	"os"

	"strongroom/internal/safe"
	"strongroom/internal/store"
	"strongroom/internal/store/manifest"
)

// ErrNotEmpty means that the target holds something, and no unfinished
// restore of the snapshot.
var ErrNotEmpty = errors.New("the target is not empty")

// GCPercent is the setting of Go's garbage collector (debug.SetGCPercent) for a
// process that restores: its heap is collected when it has grown by so much
// instead of to the double.
const GCPercent = 50

// Owner says to whom restored files are given.
type Owner int

const (
	// ByNumber gives files to the user and group numbers of the source.
	ByNumber Owner = iota
	// ByName gives them to the users and groups that have the names of the
	// source's on this host. Where there is no such name, the number counts and
	// the name is a Loss.
	ByName
	// NoOwner leaves files to whoever restores them, without a Loss. Files are
	// then restored without setuid and setgid, which are a Loss.
	NoOwner
)

// Options tunes Run and Verify. The zero value is ready to use.
type Options struct {
	// Include lists what is wanted, as the lines of a source do (see package
	// pattern), with or without the slash at the beginning; nil means all.
	// Folders on the way to something are restored with it.
	Include []string
	// Recheck compares the content of files that an earlier, unfinished
	// restore has put in place; otherwise size and modification time are
	// enough. If the host was started anew meanwhile it is done anyway.
	Recheck bool
	Owner   Owner
	// Progress is called now and then, never concurrently; nil for no calls.
	Progress func(Progress)
}

// Progress is how much has been dealt with. Without Options.Include both end
// at what the snapshot's description says, if nothing is lost.
type Progress struct {
	Entries int64
	Bytes   int64 // of content
}

// Run restores s into target, which must be empty (but for lost+found), or one
// where an earlier Run of the same snapshot did not finish. The error is
// ErrNotEmpty if it is neither.
//
// An error means that the restore broke off: ctx ended, the manifest could not
// be read on, or the target failed, for example because it is full. The Report
// then tells how far it came, and Run can be called again. So it can if the
// Report has missing entries: the marker stays until nothing is missing. After
// ctx has ended the snapshot must be opened anew.
//
// Nothing is synced to disk one by one; at the end the whole filesystem of the
// target is, before the marker is removed. So after a power loss the marker is
// still there, and what it says leads to a recheck.
func Run(ctx context.Context, s *store.Snapshot, target *os.Root, opts Options) (Report, error) {
	sel, err := newSelection(opts.Include)
	if err != nil {
		return Report{}, err
	}
	// Opened before anything is written, so that the kernel tells it of every
	// write that fails from now on, whoever else asks meanwhile.
	filesystem, err := target.Open(".")
	if err != nil {
		return Report{}, fmt.Errorf("opening the target: %w", err)
	}
	defer filesystem.Close() // was opened for reading
	mark, resumed, err := begin(target, s.Description)
	if err != nil {
		return Report{}, err
	}
	t := newTally(opts.Progress)
	r := &restorer{
		target:  target,
		opts:    opts,
		mark:    mark,
		resumed: resumed,
		recheck: resumed && (opts.Recheck || mark.boot == "" || mark.boot != bootID()),
		folds:   foldsCase(target, mark),
		tally:   t,
		pipe:    newPipe(ctx, s, t),
	}
	err = r.restore(ctx, s, sel)
	report := t.finish(sel)
	if err != nil {
		return report, err
	}
	if err := syncAll(filesystem); err != nil {
		return report, fmt.Errorf("writing the target's filesystem to disk: %w", err)
	}
	if report.Missing > 0 {
		return report, nil
	}
	if err := target.Remove(mark.name); err != nil {
		return report, fmt.Errorf("removing the marker of the unfinished restore: %w", err)
	}
	return report, nil
}

// Verify reads and verifies everything that Run would restore, and writes
// nothing. Files in the Report are those that could be restored. Of the
// options, only Include and Progress matter.
func Verify(ctx context.Context, s *store.Snapshot, opts Options) (Report, error) {
	sel, err := newSelection(opts.Include)
	if err != nil {
		return Report{}, err
	}
	t := newTally(opts.Progress)
	p := newPipe(ctx, s, t)
	err = walk(ctx, s, p, func(m *manifest.Reader, e safe.Entry) error {
		if sel.take(e) != wanted {
			return nil
		}
		switch e.Type {
		case safe.File, safe.Stream:
			return p.send(&content{entry: e, sink: discard{}}, m.Chunks())
		default:
			t.count(e.Type)
			t.done()
			return nil
		}
	})
	err = p.close(err)
	return t.finish(sel), err
}

// discard is the sink of Verify.
type discard struct{}

func (discard) mayHold() bool                            { return false }
func (discard) holds([]byte, manifest.Chunk, int64) bool { return false }
func (discard) write([]byte, int64) error                { return nil }
func (discard) finish() (kept bool, err error)           { return false, nil }
func (discard) abort()                                   {}
