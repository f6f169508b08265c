package tree

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync/atomic"

	"strongroom/internal/safe"
	"strongroom/internal/source"
	"strongroom/internal/source/pattern"
)

const (
	// folderEntries is the default of source.Limits.FolderEntries: about
	// 400 MB of names.
	folderEntries = 5_000_000
	// heldBack is how many names of a folder ahead of the walk are read
	// before its turn has come.
	heldBack = 4096
	// siblings and listings bound how many folders are listed ahead: below
	// one folder, and in all.
	siblings = 8
	listings = 32
	// maxLinks bounds how many files with further names are remembered; what
	// is beyond is kept as separate files.
	maxLinks = 1 << 18
	// maxBadNames bounds how many bad names of one folder are told apart.
	maxBadNames = 100
)

// walker goes through a tree in path order and sends what it finds to a queue.
// It runs in one goroutine, to which all its state belongs.
type walker struct {
	ctx     context.Context // of the walk, and of the listings ahead of it
	cancel  func()
	pull    *pull
	limits  source.Limits
	tally   *pattern.Tally
	stack   []*frame
	entries int64
	ahead   int // listings in all frames
	links   map[[2]uint64]*link
}

// frame is a folder that the walk is in.
type frame struct {
	entry safe.Entry
	sent  bool // the entry was sent; on the way to something it waits until that is found
	dir   *handle
	place *pattern.Place
	names []Name
	next  int              // where prefetch goes on looking for folders
	lists map[int]*listing // begun ahead, by index in names
}

// take returns the listing of the i-th name if it was begun ahead, else nil.
func (w *walker) take(f *frame, i int) *listing {
	l := f.lists[i]
	if l != nil {
		delete(f.lists, i)
		w.ahead--
	}
	return l
}

// handle counts the users of a Dir: the walk, and files that are yet to be
// opened in it.
type handle struct {
	Dir
	users atomic.Int32
}

func newHandle(d Dir) *handle {
	h := &handle{Dir: d}
	h.users.Store(1)
	return h
}

func (h *handle) retain() { h.users.Add(1) }
func (h *handle) release() {
	if h.users.Add(-1) == 0 {
		h.Close()
	}
}

// link is a file with several names.
type link struct {
	path string // the first, in path order
	left uint64 // names that were not seen yet; belongs to the walker
	lost bool   // nothing was kept under the first name; belongs to the consumer
}

// listing is a folder that is being listed.
type listing struct {
	wanted chan struct{} // closed by the walker when the folder's turn has come
	done   chan struct{} // closed when the fields below are settled
	taken  bool          // the walk has used it; belongs to the walker
	dir    Dir           // nil if it could not be opened
	names  []Name        // sorted
	bad    []*source.Problem
	err    error // why names are not all
}

var errTooMany = errors.New("too many names")

// list begins to list the folder called name in parent.
func (w *walker) list(parent *handle, name, path string) *listing {
	l := &listing{wanted: make(chan struct{}), done: make(chan struct{})}
	w.pull.wg.Go(func() {
		defer close(l.done)
		if l.dir, l.err = parent.Sub(name, true); l.err != nil {
			return
		}
		l.read(w.ctx, path, w.limits.FolderEntries)
	})
	return l
}

func (l *listing) read(ctx context.Context, path string, limit int) {
	seen := 0
	l.err = l.dir.Names(func(n Name) error {
		if seen++; seen > limit {
			return errTooMany
		}
		if seen%heldBack == 0 {
			select {
			case <-l.wanted:
			case <-ctx.Done():
			}
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		if err := checkName(path, n.Name); err == nil {
			l.names = append(l.names, n)
		} else if len(l.bad) < maxBadNames {
			l.bad = append(l.bad, &source.Problem{Kind: source.Invalid, Path: path + "/" + n.Name, Err: err})
		}
		return nil
	})
	if errors.Is(l.err, errTooMany) {
		l.err = fmt.Errorf("the folder has more than the %d entries that its limit allows", limit)
	}
	slices.SortFunc(l.names, func(a, b Name) int { return strings.Compare(a.Name, b.Name) })
}

// checkName reports whether name, as listed in the folder path, can be taken.
func checkName(path, name string) error {
	if strings.IndexByte(name, '/') >= 0 {
		return errors.New("the listing of its folder has a name with a slash")
	}
	return safe.CheckPath(join(path, name))
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "/" + name
}

// walk sends everything. The error is fatal.
func (w *walker) walk(root Dir, list *pattern.List) error {
	f := &frame{dir: newHandle(root), place: list.Root(), sent: true}
	defer f.dir.release()
	var err error
	if names, all := f.place.Names(); all {
		// "/" was opened for passing through; "." is the same for listing.
		err = w.descend(f, ".", &frame{place: f.place, sent: true}, nil)
	} else {
		f.names = known(names)
		err = w.folder(f)
	}
	if err != nil {
		return err
	}
	for _, m := range w.tally.Matches() {
		if m.Entries == 0 && !m.Exclude {
			if err := w.report(source.Unmatched, m.Pattern, errors.New("this line of the include list matched nothing")); err != nil {
				return err
			}
		}
	}
	return nil
}

// known turns names that need no listing into Names.
func known(names []string) []Name {
	all := make([]Name, len(names))
	for i, name := range names {
		all[i].Name = name
	}
	return all
}

// folder visits the names of f.
func (w *walker) folder(f *frame) error {
	w.stack = append(w.stack, f)
	defer func() { w.stack = w.stack[:len(w.stack)-1] }()
	defer func() {
		for _, l := range f.lists { // only a walk that ends early leaves any
			w.cancel()
			drop(l)
		}
	}()
	for i, n := range f.names {
		if i > 0 && n.Name == f.names[i-1].Name {
			if err := w.report(source.Invalid, join(f.entry.Path, n.Name), errors.New("is listed twice in its folder")); err != nil {
				return err
			}
			continue
		}
		w.prefetch(f, i)
		l := w.take(f, i)
		err := w.visit(f, n, l)
		if l != nil && !l.taken {
			drop(l)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// drop lets go of a listing that the walk does not need after all.
func drop(l *listing) {
	close(l.wanted)
	<-l.done
	if l.dir != nil {
		l.dir.Close()
	}
}

// prefetch begins to list folders from the i-th name of f on.
func (w *walker) prefetch(f *frame, i int) {
	f.next = max(f.next, i+1) // the folder at i is listed by visit
	for ; f.next < len(f.names) && len(f.lists) < siblings && w.ahead < listings; f.next++ {
		n := f.names[f.next]
		if !n.Listed || TypeOf(n.Mode) != safe.Dir || n.Name == f.names[f.next-1].Name {
			continue
		}
		v := f.place.Match(n.Name)
		if v.Excluded || v.Beneath == nil {
			continue
		}
		if _, all := v.Beneath.Names(); !all {
			continue
		}
		if f.lists == nil {
			f.lists = make(map[int]*listing)
		}
		f.lists[f.next] = w.list(f.dir, n.Name, join(f.entry.Path, n.Name))
		w.ahead++
	}
}

// visit deals with one entry of the folder f, and if it is a folder with all
// that is in it. ahead is its listing if that was begun before.
func (w *walker) visit(f *frame, n Name, ahead *listing) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	v := f.place.Match(n.Name)
	if v.Excluded {
		w.tally.Count(v)
		return nil
	}
	if !v.Included && v.Beneath == nil {
		return nil
	}
	path := join(f.entry.Path, n.Name)
	_, listed := f.place.Names()
	st, err := f.dir.Describe(n)
	if errors.Is(err, fs.ErrNotExist) && !listed {
		return nil // the include list names it, nobody promised that it is there
	}
	if err != nil {
		return w.fail(path, err)
	}
	st.Path = path
	switch {
	case st.Type == safe.Dir:
		sub := &frame{entry: st.Entry, place: v.Beneath}
		if v.Included {
			w.tally.Count(v)
			if err := w.send(&job{entry: st.Entry}); err != nil {
				return err
			}
			sub.sent = true
		}
		return w.descend(f, n.Name, sub, ahead)
	case v.Included:
		w.tally.Count(v)
		return w.leaf(f, n.Name, st)
	case st.Type == safe.Symlink && v.Named:
		return w.throughLink(f, n.Name, path, listed)
	}
	return nil
}

// descend visits the folder called name in f. ahead is its listing if that was
// begun before.
func (w *walker) descend(f *frame, name string, sub *frame, ahead *listing) error {
	if names, all := sub.place.Names(); !all {
		dir, err := f.dir.Sub(name, false)
		if err != nil {
			return w.fail(sub.entry.Path, err)
		}
		sub.dir, sub.names = newHandle(dir), known(names)
		defer sub.dir.release()
		return w.folder(sub)
	}
	if ahead == nil {
		ahead = w.list(f.dir, name, sub.entry.Path)
	}
	ahead.taken = true
	close(ahead.wanted)
	<-ahead.done
	if ahead.dir == nil {
		return w.fail(sub.entry.Path, ahead.err)
	}
	sub.dir, sub.names = newHandle(ahead.dir), ahead.names
	defer sub.dir.release()
	for _, p := range ahead.bad {
		if err := w.send(&job{problem: p}); err != nil {
			return err
		}
	}
	if ahead.err != nil {
		if err := w.fail(sub.entry.Path, fmt.Errorf("listing the folder: %w", ahead.err)); err != nil {
			return err
		}
	}
	return w.folder(sub)
}

// leaf sends an entry that is not a folder.
func (w *walker) leaf(f *frame, name string, st Stat) error {
	j := &job{entry: st.Entry, name: name, dir: f.dir}
	switch st.Type {
	case safe.Symlink:
		j.fetch = true
	case safe.File:
		if st.Links > 1 {
			if l, ok := w.links[st.File]; ok {
				j.entry.Type, j.entry.Target, j.entry.Size = safe.Hardlink, l.path, 0
				j.link = l
				if l.left--; l.left == 0 {
					delete(w.links, st.File)
				}
				return w.send(j)
			}
			if len(w.links) < maxLinks {
				j.link = &link{path: st.Path, left: st.Links - 1}
				w.links[st.File] = j.link
			}
		}
		j.fetch = w.pull.request.Need == nil || w.pull.request.Need(st.Entry)
	}
	return w.send(j)
}

// throughLink reports that a line of the include list leads through a symbolic
// link. If the line names it (listed is false), what is behind was wanted for
// sure; if a wildcard happened to match it, that is only worth a warning.
func (w *walker) throughLink(f *frame, name, path string, listed bool) error {
	kind := source.Unreadable
	if listed {
		kind = source.Unmatched
	}
	target, err := f.dir.Readlink(name)
	if err != nil {
		return w.fail(path, err)
	}
	return w.report(kind, path, fmt.Errorf("is a symbolic link to %q, and links are not followed: list what it leads to instead, or exclude it", target))
}

// fail reports err as a problem with path, unless nothing can follow it.
func (w *walker) fail(path string, err error) error {
	if isFatal(err) {
		return err
	}
	return w.send(&job{problem: problemOf(path, err)})
}

func (w *walker) report(kind source.Kind, path string, err error) error {
	return w.send(&job{problem: &source.Problem{Kind: kind, Path: path, Err: err}})
}

// problemOf says what an error of a Tree means for the entry at path.
func problemOf(path string, err error) *source.Problem {
	var p *source.Problem
	switch {
	case errors.As(err, &p):
		return &source.Problem{Kind: p.Kind, Path: path, Err: p.Err}
	case errors.Is(err, fs.ErrNotExist):
		return &source.Problem{Kind: source.Vanished, Path: path, Err: err}
	}
	return &source.Problem{Kind: source.Unreadable, Path: path, Err: err}
}

// send puts j into the queue; before an entry, the folders on the way to it.
func (w *walker) send(j *job) error {
	if j.problem == nil {
		for _, f := range w.stack {
			if !f.sent {
				f.sent = true
				if err := w.enqueue(&job{entry: f.entry}); err != nil {
					return err
				}
			}
		}
	}
	return w.enqueue(j)
}

func (w *walker) enqueue(j *job) error {
	if j.problem == nil {
		if w.entries++; w.limits.Entries > 0 && w.entries > w.limits.Entries {
			return &source.LimitError{What: "entries", Limit: w.limits.Entries}
		}
	}
	if err := w.pull.start(w.ctx, j); err != nil {
		return err
	}
	select {
	case w.pull.queue <- j:
		return nil
	case <-w.ctx.Done():
		j.discard(w.pull)
		return w.ctx.Err()
	}
}
