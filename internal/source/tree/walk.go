package tree

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
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
	heldBack = 1024
	// maxAhead bounds the names in folders that were listed ahead, about
	// 20 MB. Beyond it folders are listed when their turn comes. A path, with
	// what is kept along with it, counts as so many names: a folder has one,
	// though it be empty, and each bad name too. That is 70 MB at most.
	maxAhead  = 256 << 10
	pathNames = 16
	// maxLinks bounds how many files with further names are remembered; what
	// is beyond is kept as separate files.
	maxLinks = 1 << 18
	// maxBadNames bounds how many bad names of one folder are told apart, and
	// badName how much of one is told: some are bad by being very long.
	maxBadNames = 100
	badName     = 2 * safe.MaxName
)

// walker goes through a tree in path order and sends what it finds to a queue.
// It runs in one goroutine, to which all its state belongs but for what its
// listings leave to it.
type walker struct {
	ctx      context.Context // of the walk, and of the listings ahead of it
	cancel   func()
	pull     *pull
	limits   source.Limits
	listings int // how many folders are listed ahead of the walk at once
	tally    *pattern.Tally
	stack    []*folder
	entries  int64
	under    atomic.Int64 // listings under way
	ahead    atomic.Int64 // names in folders whose turn has not come
	links    map[[2]uint64]*link

	candidates candidates    // of each listed folder the next one; some are behind the walk
	settled    chan struct{} // holds one token if listed may have grown since lookAhead

	mu     sync.Mutex // guards listed
	listed []*folder  // since lookAhead
}

// folder is a folder that the walk is in, or is going to be in.
type folder struct {
	entry safe.Entry
	place *pattern.Place
	sent  bool // the entry was sent; on the way to something it waits until that is found

	// A listing settles the fields below in a goroutine of its own, and
	// closes done.
	wanted chan struct{} // closed by the walker when the folder's turn has come
	done   chan struct{}
	dir    *handle // nil if it could not be opened
	names  []Name  // sorted
	subs   []sub   // the folders among them that are known to need listing, in order
	bad    []*source.Problem
	err    error // why names are not all

	next int // in subs: the first that the walk has not come to; belongs to the walker
}

// sub is a folder in a folder.
type sub struct {
	name   int // index in names
	place  *pattern.Place
	folder *folder // its listing, if it was begun; belongs to the walker
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

var errTooMany = errors.New("too many names")

// list begins to list f, which is called name in parent.
func (w *walker) list(parent *handle, name string, f *folder) {
	f.wanted, f.done = make(chan struct{}), make(chan struct{})
	path := f.entry.Path // the walker may fill in the entry meanwhile
	parent.retain()
	w.under.Add(1)
	w.pull.wg.Go(func() {
		defer parent.release()
		defer func() {
			w.under.Add(-1)
			w.ahead.Add(f.weight())
			w.mu.Lock()
			w.listed = append(w.listed, f)
			w.mu.Unlock()
			close(f.done)
			select {
			case w.settled <- struct{}{}:
			default:
			}
		}()
		dir, err := parent.Sub(name, true)
		if err != nil {
			f.err = err
			return
		}
		f.dir = newHandle(dir)
		f.read(w.ctx, path, w.limits.FolderEntries)
	})
}

// weight is what f counts towards maxAhead once it was listed.
func (f *folder) weight() int64 {
	return int64(len(f.names) + pathNames*(1+len(f.bad)))
}

// read lists f, whose path is path.
func (f *folder) read(ctx context.Context, path string, limit int) {
	seen := 0
	f.err = f.dir.Names(func(n Name) error {
		if seen++; seen > limit {
			return errTooMany
		}
		if seen%heldBack == 0 {
			select {
			case <-f.wanted:
			case <-ctx.Done():
			}
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		if err := checkName(path, n.Name); err == nil {
			f.names = append(f.names, n)
		} else if len(f.bad) < maxBadNames {
			f.bad = append(f.bad, &source.Problem{Kind: source.Invalid, Path: path + "/" + n.Name[:min(len(n.Name), badName)], Err: err})
		}
		return nil
	})
	if errors.Is(f.err, errTooMany) {
		f.err = fmt.Errorf("the folder has more than the %d entries that its limit allows", limit)
	}
	slices.SortFunc(f.names, func(a, b Name) int { return strings.Compare(a.Name, b.Name) })
	for i, n := range f.names {
		if !n.Listed || TypeOf(n.Mode) != safe.Dir || i > 0 && n.Name == f.names[i-1].Name {
			continue
		}
		if v := f.place.Match(n.Name); !v.Excluded && v.Beneath != nil {
			if _, all := v.Beneath.Names(); all {
				f.subs = append(f.subs, sub{name: i, place: v.Beneath})
			}
		}
	}
}

// A candidate is a folder that can be listed ahead: the i-th of those in f.
// Those that follow it in f become candidates after it, since a folder can have
// millions.
type candidate struct {
	f    *folder
	i    int
	path string
}

// candidates is a heap, the one that the walk comes to next on top.
type candidates []candidate

func (c candidates) Len() int           { return len(c) }
func (c candidates) Less(i, j int) bool { return safe.ComparePaths(c[i].path, c[j].path) < 0 }
func (c candidates) Swap(i, j int)      { c[i], c[j] = c[j], c[i] }
func (c *candidates) Push(x any)        { *c = append(*c, x.(candidate)) }
func (c *candidates) Pop() any {
	last := (*c)[len(*c)-1]
	(*c)[len(*c)-1] = candidate{}
	*c = (*c)[:len(*c)-1]
	return last
}

// lookAhead begins to list the folders that the walk comes to next, as far as
// they are known.
func (w *walker) lookAhead() {
	w.mu.Lock()
	listed := w.listed
	w.listed = nil
	w.mu.Unlock()
	for _, f := range listed {
		w.consider(f, f.next)
	}
	for len(w.candidates) > 0 && w.under.Load() < int64(w.listings) && w.ahead.Load() < maxAhead {
		c := heap.Pop(&w.candidates).(candidate)
		if c.i < c.f.next { // the walk was there meanwhile
			w.consider(c.f, c.f.next)
			continue
		}
		s := &c.f.subs[c.i]
		s.folder = &folder{entry: safe.Entry{Path: c.path}, place: s.place}
		w.list(c.f.dir, c.f.names[s.name].Name, s.folder)
		w.consider(c.f, c.i+1)
	}
}

// consider makes the i-th folder in f a candidate, if there are so many.
func (w *walker) consider(f *folder, i int) {
	if i < len(f.subs) {
		heap.Push(&w.candidates, candidate{f, i, join(f.entry.Path, f.names[f.subs[i].name].Name)})
	}
}

// take returns the folder that is the i-th name of f, if its listing was begun.
// The walk asks in order.
func (f *folder) take(i int) *folder {
	if f.next == len(f.subs) || f.subs[f.next].name != i {
		return nil
	}
	f.next++
	return f.subs[f.next-1].folder
}

// drop lets go of a folder that was begun and that the walk does not come to.
func (w *walker) drop(f *folder) {
	close(f.wanted)
	<-f.done
	w.ahead.Add(-f.weight())
	w.leave(f)
}

// leave lets go of what a folder holds.
func (w *walker) leave(f *folder) {
	left := f.subs[f.next:] // none, unless the walk ends early or does not come to f
	f.next = len(f.subs)
	for _, s := range left {
		if s.folder != nil {
			w.cancel()
			w.drop(s.folder)
		}
	}
	if f.dir != nil {
		f.dir.release()
	}
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
	f := &folder{dir: newHandle(root), place: list.Root(), sent: true}
	defer w.leave(f)
	var err error
	if names, all := f.place.Names(); all {
		// "/" was opened for passing through; "." is the same for listing.
		err = w.descend(f, ".", &folder{place: f.place, sent: true})
	} else {
		f.names = known(names)
		err = w.visitAll(f)
	}
	if err != nil {
		return err
	}
	for _, m := range w.tally.Matches() {
		if m.Entries == 0 && !m.Exclude {
			kind, what := source.Unmatched, "this line of the include list matched nothing"
			if pattern.NamesOne(m.Pattern) {
				kind, what = source.Missing, "the include list names it, and it is not there"
			}
			if err := w.report(kind, m.Pattern, errors.New(what)); err != nil {
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

// visitAll visits the names of f.
func (w *walker) visitAll(f *folder) error {
	w.stack = append(w.stack, f)
	defer func() { w.stack = w.stack[:len(w.stack)-1] }()
	for i, n := range f.names {
		if i > 0 && n.Name == f.names[i-1].Name {
			if err := w.report(source.Invalid, join(f.entry.Path, n.Name), errors.New("is listed twice in its folder")); err != nil {
				return err
			}
			continue
		}
		if err := w.visit(f, n, f.take(i)); err != nil {
			return err
		}
	}
	return nil
}

// visit deals with one entry of the folder f, and if it is a folder with all
// that is in it; it is begun then, or nil.
func (w *walker) visit(f *folder, n Name, begun *folder) (err error) {
	defer func() {
		if begun != nil { // descend has not got it
			w.drop(begun)
		}
	}()
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
		sub := begun
		if sub == nil {
			sub = &folder{place: v.Beneath}
		}
		sub.entry = st.Entry
		if v.Included {
			w.tally.Count(v)
			if err := w.send(&job{entry: st.Entry}); err != nil {
				return err
			}
			sub.sent = true
		}
		begun = nil
		return w.descend(f, n.Name, sub)
	case v.Included:
		w.tally.Count(v)
		return w.leaf(f, n.Name, st)
	case st.Type == safe.Symlink && v.Named:
		return w.throughLink(f, n.Name, path, listed)
	}
	return nil
}

// descend visits the folder called name in f.
func (w *walker) descend(f *folder, name string, sub *folder) error {
	if names, all := sub.place.Names(); !all {
		dir, err := f.dir.Sub(name, false)
		if err != nil {
			return w.fail(sub.entry.Path, err)
		}
		sub.dir, sub.names = newHandle(dir), known(names)
		defer w.leave(sub)
		return w.visitAll(sub)
	}
	if sub.done == nil {
		w.list(f.dir, name, sub)
	}
	close(sub.wanted)
	defer w.leave(sub)
	for waiting := true; waiting; {
		w.lookAhead()
		select {
		case <-sub.done:
			waiting = false
		case <-w.settled:
		}
	}
	w.lookAhead() // what is in it comes next
	w.ahead.Add(-sub.weight())
	if sub.dir == nil {
		return w.fail(sub.entry.Path, sub.err)
	}
	for _, p := range sub.bad {
		if err := w.send(&job{problem: p}); err != nil {
			return err
		}
	}
	if sub.err != nil {
		if err := w.fail(sub.entry.Path, fmt.Errorf("listing the folder: %w", sub.err)); err != nil {
			return err
		}
	}
	return w.visitAll(sub)
}

// leaf sends an entry that is not a folder.
func (w *walker) leaf(f *folder, name string, st Stat) error {
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
func (w *walker) throughLink(f *folder, name, path string, listed bool) error {
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
