package tree

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"golang.org/x/sync/semaphore"

	"strongroom/internal/safe"
	"strongroom/internal/source"
	"strongroom/internal/source/pattern"
)

const (
	// queued is how many entries the walk is ahead of the consumer.
	queued = 2048
	// aheadBytes bounds the memory of content that is read ahead: at 40 ms for a
	// round trip it is 100 MB a second in files of which each takes two.
	aheadBytes = 8 << 20
)

// A reach is how much is under way at once.
type reach struct {
	files    int // that are being opened, or open
	listings int // of folders that come next
}

// near is enough for a disk.
var near = reach{files: 128, listings: 64}

// reachOf returns how much to have under way in t. At 40 ms for a round trip,
// of which a small file or folder takes two, it is up to 12,000 files and 3,000
// folders a second.
func reachOf(t Tree) reach {
	d, ok := t.(Distant)
	if !ok {
		return near
	}
	handles := d.Handles()
	r := reach{listings: min(handles/4, 256)}
	r.files = max(1, min(handles-r.listings-1, 1024)) // one is for the folder whose turn it is
	return r
}

// pull is one run over a tree.
type pull struct {
	request source.Request
	limits  source.Limits
	queue   chan *job           // in path order; closed when the walk has ended
	wg      sync.WaitGroup      // of all goroutines
	budget  *semaphore.Weighted // of bytes
	least   int64               // with how much of it a file counts at least, so that there are not too many

	// The fields below belong to the consumer's goroutine.
	bytes int64
	fatal error // from reading content
}

// job is an entry, or a problem, on its way to the consumer.
type job struct {
	problem *source.Problem // if set, there is nothing else
	entry   safe.Entry
	link    *link // if the file has several names

	fetch bool    // content or a link's target is wanted
	name  string  // in dir
	dir   *handle // retained from start until done is closed
	cost  int64   // of the budget

	done chan struct{} // closed when the fields below are settled; nil if nothing was fetched
	file File
	err  error
}

// Pull walks root for what list asks for and yields it as source.Source
// demands. It counts into tally, which may be read when the sequence has ended.
func Pull(ctx context.Context, t Tree, list *pattern.List, tally *pattern.Tally, limits source.Limits, request source.Request, yield func(source.Item, error) bool) {
	if limits.FolderEntries == 0 {
		limits.FolderEntries = folderEntries
	}
	if limits.Growth == 0 {
		limits.Growth = 64 << 20
	}
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(ctx, t.Interrupt)
	p := &pull{request: request, limits: limits, queue: make(chan *job, queued), budget: semaphore.NewWeighted(aheadBytes)}
	var walkErr error // settled when the queue is closed
	p.wg.Go(func() {
		defer close(p.queue)
		walkCtx, endWalk := context.WithCancel(ctx)
		defer endWalk()
		reach := reachOf(t)
		p.least = aheadBytes / int64(reach.files)
		w := &walker{ctx: walkCtx, cancel: endWalk, pull: p, limits: limits, listings: reach.listings, tally: tally, settled: make(chan struct{}, 1), links: make(map[[2]uint64]*link)}
		root, err := t.Root()
		if err == nil {
			err = w.walk(root, list)
		}
		walkErr = err
	})
	// However the sequence ends, nothing of it is left behind.
	defer func() {
		cancel()
		for j := range p.queue {
			j.discard(p)
		}
		p.wg.Wait()
		stop()
	}()

	for {
		var j *job
		var open bool
		select {
		case j, open = <-p.queue:
		case <-ctx.Done():
		}
		switch {
		case ctx.Err() != nil:
			if open {
				j.discard(p)
			}
			yield(source.Item{}, context.Cause(ctx))
			return
		case !open:
			if walkErr != nil {
				yield(source.Item{}, walkErr)
			}
			return
		}
		if !p.deliver(ctx, j, yield) {
			return
		}
		if p.fatal != nil {
			if err := context.Cause(ctx); err != nil {
				p.fatal = err // the connection was closed because of it
			}
			yield(source.Item{}, p.fatal)
			return
		}
	}
}

// start begins to fetch what j needs. It blocks until the budget has room,
// which the entries before it give back as they are consumed.
func (p *pull) start(ctx context.Context, j *job) error {
	if !j.fetch {
		return nil
	}
	j.cost = max(min(j.entry.Size, Ahead), p.least)
	if err := p.budget.Acquire(ctx, j.cost); err != nil {
		return err
	}
	j.done = make(chan struct{})
	j.dir.retain()
	p.wg.Go(func() {
		defer close(j.done)
		defer j.dir.release()
		if j.entry.Type == safe.Symlink {
			j.entry.Target, j.err = j.dir.Readlink(j.name)
			if j.err == nil {
				j.err = checkTarget(j.entry.Target)
			}
			return
		}
		j.file, j.err = j.dir.Open(j.name, j.entry)
	})
	return nil
}

func checkTarget(target string) error {
	if target == "" || len(target) > safe.MaxPath || strings.IndexByte(target, 0) >= 0 {
		return &source.Problem{Kind: source.Invalid, Err: fmt.Errorf("is a symbolic link to %.80q, which no path can be", target)}
	}
	return nil
}

// discard frees what was fetched for j, which is not going to be delivered.
func (j *job) discard(p *pull) {
	if j.done == nil {
		return
	}
	<-j.done
	if j.file != nil {
		j.file.Close()
	}
	p.budget.Release(j.cost)
}

// deliver waits for j and hands it over; false means that the sequence ends.
func (p *pull) deliver(ctx context.Context, j *job, yield func(source.Item, error) bool) bool {
	if j.problem != nil {
		p.report(j.problem)
		return true
	}
	if j.done != nil {
		defer p.budget.Release(j.cost)
		<-j.done // a cancelled ctx interrupts the tree, so this does not last
		if j.file != nil {
			defer j.file.Close()
		}
	}
	switch {
	case ctx.Err() != nil:
		yield(source.Item{}, context.Cause(ctx))
		return false
	case isFatal(j.err):
		yield(source.Item{}, j.err)
		return false
	case j.err != nil:
		j.lose()
		p.report(problemOf(j.entry.Path, j.err))
		return true
	case j.entry.Type == safe.Hardlink && j.link.lost:
		p.report(&source.Problem{Kind: source.Unreadable, Path: j.entry.Path, Err: fmt.Errorf("is another name of %q, of which nothing was kept", j.link.path)})
		return true
	case j.file != nil:
		return yield(source.Item{Entry: j.entry, Content: &content{job: j, pull: p}}, nil)
	}
	return yield(source.Item{Entry: j.entry}, nil)
}

// lose notes that nothing is kept of a file, for its other names.
func (j *job) lose() {
	if j.link != nil {
		j.link.lost = true
	}
}

func (p *pull) report(problem *source.Problem) {
	if p.request.Report != nil {
		p.request.Report(*problem)
	}
}

// content is what an Item's consumer reads: a File under observation.
type content struct {
	job  *job
	pull *pull
	n    int64
	err  error // what every further Read returns
}

var errClosed = errors.New("content was closed")

func (c *content) Close() error {
	if c.err == nil {
		c.err = errClosed
	}
	return nil // deliver closes the file
}

func (c *content) Read(b []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.job.file.Read(b)
	c.n += int64(n)
	c.pull.bytes += int64(n)
	listed := c.job.entry
	switch limits := c.pull.limits; {
	case limits.Bytes > 0 && c.pull.bytes > limits.Bytes:
		err = &Fatal{&source.LimitError{What: "bytes", Limit: limits.Bytes}}
	case c.n-listed.Size > listed.Size && c.n-2*listed.Size > limits.Growth:
		err = &source.Problem{Kind: source.Invalid, Err: fmt.Errorf("yields more than %d bytes, and was listed with %d: it may be endless", c.n-1, listed.Size)}
	case err == io.EOF:
		err = c.judge()
	}
	switch {
	case err == nil:
		return n, nil
	case err == io.EOF:
		c.err = err
	case isFatal(err):
		c.pull.fatal = err
		c.err = err
	default:
		c.job.lose()
		c.err = problemOf(listed.Path, err)
	}
	return n, c.err
}

// judge compares a file that was read to its end with how it was listed.
func (c *content) judge() error {
	listed := c.job.entry
	now, err := c.job.file.Stat()
	if err != nil {
		return err
	}
	var what string
	switch {
	case now.Size != listed.Size:
		what = fmt.Sprintf("its size went from %d to %d", listed.Size, now.Size)
	case !now.MTime.Equal(listed.MTime):
		what = "its time of modification changed"
	case !now.CTime.Equal(listed.CTime):
		what = "its time of change changed"
	case now.Inode != listed.Inode:
		what = "another file has taken its name"
	case c.n != listed.Size:
		return &source.Problem{Kind: source.Invalid, Err: fmt.Errorf("yields %d bytes, and claims before and after to have %d", c.n, listed.Size)}
	default:
		return io.EOF
	}
	c.pull.report(&source.Problem{Kind: source.Changed, Path: listed.Path, Err: fmt.Errorf("changed between listing and reading: %s", what)})
	return io.EOF
}
