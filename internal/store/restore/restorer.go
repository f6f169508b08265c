package restore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync/atomic"

	"strongroom/internal/safe"
	"strongroom/internal/store"
	"strongroom/internal/store/manifest"
)

// A restorer is one Run. The goroutine that reads the manifest makes folders
// and links and frees the names of files; the workers of the pipe write files
// and, when all in a folder is done, give the folder its metadata.
type restorer struct {
	target  *os.Root
	opts    Options
	mark    marker
	resumed bool // an earlier Run may have left something
	recheck bool // what it left is to be read
	folds   bool // the target does not distinguish case

	tally *tally
	pipe  *pipe
	names nameNumbers

	temporaries atomic.Int64
	stack       []frame    // the target, and the folders that enclose the current entry
	made        int        // folders since the pipe was flushed
	links       []hardlink // put off, in the order of the manifest
}

// A hardlink is put off, since its file may be under way for long. Its folder
// is held.
type hardlink struct {
	in    *folder
	entry safe.Entry
}

// maxFolders bounds the folders that are made before what is in them is under
// way: as many may be open, and about twice as many of which the files are
// being written.
const maxFolders = 400

// maxLinks bounds the hard links that are put off: as many folders may be open
// for them.
const maxLinks = 256

// A frame is a folder that the manifest is in.
type frame struct {
	entry  safe.Entry // not of the target
	folder *folder    // nil as long as nothing in it was wanted
}

// restore goes through the manifest. When it returns, all work has ended.
func (r *restorer) restore(ctx context.Context, s *store.Snapshot, sel *selection) error {
	top := r.newFolder(nil, safe.Entry{}, r.target)
	r.stack = []frame{{folder: top}}
	var err error
	if r.resumed {
		err = r.removeTemporaries(r.target)
	}
	if err == nil {
		err = walk(ctx, s, r.pipe, func(m *manifest.Reader, e safe.Entry) error {
			return r.entry(m, e, sel.take(e))
		})
	}
	if err == nil {
		err = r.makeLinks()
	}
	if err != nil {
		r.pipe.stop(err) // first: folders that are not complete get no metadata
	}
	for _, l := range r.links {
		l.in.release()
	}
	r.leave(0)
	return r.pipe.close(err)
}

// leave lets go of all folders but the first n.
func (r *restorer) leave(n int) {
	for len(r.stack) > n {
		last := r.stack[len(r.stack)-1]
		r.stack = r.stack[:len(r.stack)-1]
		if last.folder != nil {
			last.folder.release()
		}
	}
}

// entry restores one entry, or sees to it that it will be. An error ends the
// restore.
func (r *restorer) entry(m *manifest.Reader, e safe.Entry, c choice) error {
	r.leave(strings.Count(e.Path, "/") + 1)
	if e.Type == safe.Dir {
		r.stack = append(r.stack, frame{entry: e})
	}
	if c != wanted {
		return nil
	}
	if e.Type == safe.Special {
		r.tally.count(e.Type)
		r.tally.done()
		return nil
	}
	in, err := r.folder(len(r.stack) - 1)
	if err != nil || e.Type == safe.Dir {
		return err
	}
	if e.Type == safe.File || e.Type == safe.Stream {
		return r.file(m, in, e)
	}
	err = in.claim(base(e.Path))
	switch {
	case err != nil:
	case e.Type == safe.Symlink:
		err = r.symlink(in, e)
	default:
		in.retain()
		r.links = append(r.links, hardlink{in, e})
		if len(r.links) < maxLinks {
			return nil
		}
		return r.makeLinks()
	}
	return r.settle(e, err)
}

// makeLinks makes the hard links that were put off.
func (r *restorer) makeLinks() error {
	for len(r.links) > 0 {
		l := r.links[0]
		r.links = r.links[1:]
		err := r.settle(l.entry, r.hardlink(l.in, l.entry))
		if err != nil {
			r.pipe.stop(err) // as in restore
		}
		l.in.release()
		if err != nil {
			return err
		}
	}
	return nil
}

// settle notes what became of an entry that is no file. It returns err if it
// ends the restore.
func (r *restorer) settle(e safe.Entry, err error) error {
	if err != nil && (fatal(err) || r.pipe.cause() != nil) {
		return fmt.Errorf("restoring %q: %w", e.Path, err)
	}
	if err != nil {
		r.tally.lose(e.Path, Whole, err)
	} else {
		r.tally.count(e.Type)
	}
	r.tally.done()
	return nil
}

// folder returns the folder of the nth frame, making it and those around it if
// that was not done yet.
func (r *restorer) folder(n int) (*folder, error) {
	at := &r.stack[n]
	if at.folder != nil {
		return at.folder, nil
	}
	parent, err := r.folder(n - 1)
	if err != nil {
		return nil, err
	}
	if r.made++; r.made == maxFolders {
		r.made = 0
		r.pipe.flush()
	}
	at.folder, err = r.makeFolder(parent, at.entry)
	return at.folder, r.settle(at.entry, err)
}

// file sends a file on its way.
func (r *restorer) file(m *manifest.Reader, in *folder, e safe.Entry) error {
	f := &file{r: r, in: in, entry: e, name: base(e.Path)}
	c := &content{entry: e, sink: f}
	err := in.claim(f.name)
	if err == nil && r.resumed {
		f.there, err = r.whatIsThere(in, e)
	}
	if err != nil {
		return r.settle(e, err)
	}
	in.retain()
	if f.there == trusted {
		return r.pipe.send(c, noChunks)
	}
	return r.pipe.send(c, m.Chunks())
}

// whatIsThere judges what an earlier Run has left under the name of a file,
// and removes it if it is of no use: then nothing has the name until the file
// is whole.
func (r *restorer) whatIsThere(in *folder, e safe.Entry) (there, error) {
	info, err := in.root.Lstat(base(e.Path))
	if errors.Is(err, fs.ErrNotExist) {
		return nothing, nil
	}
	if err != nil {
		return nothing, err
	}
	// A file that has further names is not touched: one of them might be
	// outside of the target.
	if info.Mode().IsRegular() && links(info) == 1 && info.Size() == e.Size {
		if r.recheck {
			return unproven, nil
		}
		if info.ModTime().Equal(e.MTime) {
			return trusted, nil
		}
	}
	return nothing, in.root.Remove(base(e.Path))
}

// symlink makes a link anew each time: that is as quick as to compare it.
func (r *restorer) symlink(in *folder, e safe.Entry) error {
	name := base(e.Path)
	if err := r.free(in, name); err != nil {
		return err
	}
	if err := in.root.Symlink(e.Target, name); err != nil {
		return err
	}
	r.describeSymlink(in.root, name, e)
	return nil
}

// hardlink gives a file that is in place another name.
func (r *restorer) hardlink(in *folder, e safe.Entry) error {
	if err := r.pipe.wait(e.Target); err != nil {
		return err
	}
	info, err := r.target.Lstat(e.Target)
	if err != nil || !info.Mode().IsRegular() {
		return fmt.Errorf("it is another name of %q, which was not restored", e.Target)
	}
	if err := r.free(in, base(e.Path)); err != nil {
		return err
	}
	return r.target.Link(e.Target, e.Path)
}

// free removes what an earlier Run has left under a name.
func (r *restorer) free(in *folder, name string) error {
	if !r.resumed {
		return nil
	}
	err := in.root.Remove(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
