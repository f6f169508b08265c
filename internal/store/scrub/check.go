package scrub

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"strongroom/internal/safe"
	"strongroom/internal/store/blob"
	"strongroom/internal/store/layout"
	"strongroom/internal/store/parity"
)

// defaultWorkers: see Options.
const defaultWorkers = 2

// bufferSize is what a worker reads at a time.
const bufferSize = 256 << 10

// Check looks at everything in a store. It returns an error only if the store
// cannot be read at all; whatever is wrong in it is a Finding.
//
// A store that grows meanwhile has objects that the truth does not know yet;
// the caller tells them from others by a newer truth.
func Check(ctx context.Context, r blob.Reader, truth *Truth, opts Options) (Report, error) {
	if opts.Workers == 0 {
		opts.Workers = defaultWorkers
	}
	c := &check{r: r, truth: truth, opts: opts, needs: make(map[safe.RunID]*needs)}
	c.buffers.New = func() any { b := make([]byte, bufferSize); return &b }
	// The order matters: which packs must be there is known when all
	// descriptions have been read, and of those the damaged ones are passed
	// over.
	for _, step := range []func(context.Context) error{c.small, c.descriptions, c.listed, c.needers} {
		if err := step(ctx); err != nil {
			return Report{}, fmt.Errorf("checking the store: %w", err)
		}
	}
	slices.SortFunc(c.report.Findings, func(a, b Finding) int { return cmp.Compare(a.Name, b.Name) })
	return c.report, nil
}

// A check is one Check under way.
type check struct {
	r       blob.Reader
	truth   *Truth
	opts    Options
	buffers sync.Pool // *[]byte of bufferSize

	mu     sync.Mutex // guards the fields below while workers run
	report Report
	needs  map[safe.RunID]*needs
}

// needs is what all snapshots together need of a run.
type needs struct {
	packs     map[safe.Digest]struct{}
	described bool // the run's own description was read
	parity    bool // and says that its packs have parity
}

// workers returns a group for reading objects at the same time.
func (c *check) workers(ctx context.Context) (*errgroup.Group, context.Context) {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(c.opts.Workers)
	return g, ctx
}

// examine judges one object and notes what is wrong; hasParity goes into the
// finding.
func (c *check) examine(ctx context.Context, n layout.Name, hasParity bool) error {
	buf := c.buffers.Get().(*[]byte)
	defer c.buffers.Put(buf)
	v, err := c.truth.judge(ctx, c.r, n, *buf)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	name := n.String()
	if v.problem != "" && !(v.problem == Missing && c.truth.excused[name]) {
		c.report.Findings = append(c.report.Findings, Finding{Name: name, Problem: v.problem, Why: v.why, Parity: hasParity})
	}
	c.report.Objects++
	c.report.Bytes += v.size
	if c.opts.Progress != nil {
		c.opts.Progress(Progress{Objects: c.report.Objects, Bytes: c.report.Bytes})
	}
	return nil
}

// note notes a finding about what was not examined.
func (c *check) note(name string, problem Problem, why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.report.Findings = append(c.report.Findings, Finding{Name: name, Problem: problem, Why: why})
}

// small examines the small objects that must be there.
func (c *check) small(ctx context.Context) error {
	g, ctx := c.workers(ctx)
	for n := range c.truth.required() {
		g.Go(func() error { return c.examine(ctx, n, false) })
	}
	return g.Wait()
}

// descriptions finds out which packs the snapshots need.
func (c *check) descriptions(ctx context.Context) error {
	g, ctx := c.workers(ctx)
	for run := range c.truth.kept {
		g.Go(func() error {
			d, err := c.describe(ctx, run)
			if d != nil {
				c.need(*d)
			}
			return err
		})
	}
	return g.Wait()
}

// describe returns the description of a kept snapshot, nil if neither copy is
// sound.
func (c *check) describe(ctx context.Context, run safe.RunID) (*safe.Snapshot, error) {
	n := layout.Name{Kind: layout.SnapshotObject, Run: run}
	good := func(b []byte) error { return c.truth.checkBytes(n, b) }
	b, err := blob.ReadEither(ctx, c.r, maxSmall, good, n.String(), n.Other())
	if err != nil {
		return nil, ctx.Err() // else it has its finding already
	}
	d, err := safe.ParseSnapshot(b)
	if err != nil {
		c.note(n.String(), Contradiction, fmt.Sprintf("it is what the ledger recorded, and no description: %v", err))
		return nil, nil
	}
	return &d, nil
}

// maxSmall bounds a small object; the longest are descriptions.
const maxSmall = safe.MaxSnapshot

// need takes in a description.
func (c *check) need(d safe.Snapshot) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for run, wants := range d.Runs {
		if envelope, begun := c.truth.runs[run]; !begun || envelope != wants.Envelope {
			c.report.Findings = append(c.report.Findings, Finding{Name: d.Name(), Problem: Contradiction, Snapshots: []safe.RunID{d.Run},
				Why: fmt.Sprintf("it names run %s with an envelope that the ledger does not know", run)})
		}
		n := c.needs[run]
		if n == nil {
			n = &needs{packs: make(map[safe.Digest]struct{})}
			c.needs[run] = n
		}
		for _, pack := range wants.Packs {
			n.packs[pack] = struct{}{}
		}
		if run == d.Run {
			n.described, n.parity = true, d.ParityBytes > 0
		}
	}
}

// listed walks through all that is in the store: it examines what only names
// tell of, and notes what should not be there.
func (c *check) listed(ctx context.Context) error {
	g, ctx := c.workers(ctx)
	w := walk{check: c, ctx: ctx, group: g, done: make(map[safe.RunID]bool), checkpoint: -1}
	for info, err := range c.r.List(ctx, "") {
		var nameErr *blob.NameError
		switch {
		case errors.As(err, &nameErr):
			w.see(nameErr.Name, -1, nameErr.Err.Error())
		case err != nil:
			return cmp.Or(g.Wait(), err) // the list ends because a worker has failed
		default:
			w.see(info.Name, info.Size, "")
		}
	}
	w.leaveRun()
	for run := range c.needs { // those of which no folder is left
		if !w.done[run] {
			w.run = run
			w.leaveRun()
		}
	}
	return g.Wait()
}

// A walk goes through the store in the order of names, one run at a time.
type walk struct {
	check *check
	ctx   context.Context // of the group, for the time of the walk
	group *errgroup.Group

	run        safe.RunID // whose folder is walked through; zero if none
	packs      map[safe.Digest]int64
	parity     map[safe.Digest]int64 // sizes; -1 if that is not known
	done       map[safe.RunID]bool
	checkpoint int64 // that was examined last
}

func (w *walk) examine(n layout.Name, hasParity bool) {
	w.group.Go(func() error { return w.check.examine(w.ctx, n, hasParity) })
}

// see takes in one name. flaw says why what is there is not an object, "" if it
// is one.
func (w *walk) see(name string, size int64, flaw string) {
	t, n := w.check.truth, layout.Parse(name)
	if inRun(n) && n.Run != w.run {
		w.leaveRun()
		w.run = n.Run
	}
	switch {
	case n.Kind == layout.Unknown && flaw != "":
		w.check.note(name, Unknown, flaw)
	case n.Kind == layout.Unknown:
		w.check.note(name, Unknown, "nothing in a store has such a name")
	case !t.knows(n):
		w.check.note(name, Unproven, "the ledger knows nothing of it")
	case n.Kind == layout.PackObject:
		w.packs = with(w.packs, n.Digest, size)
	case n.Kind == layout.ParityObject:
		w.parity = with(w.parity, n.Digest, size)
	case t.isRequired(n): // it was examined
	case n.Kind == layout.CheckpointObject:
		w.seeCheckpoint(n.Number)
	default:
		w.examine(n, false)
	}
}

// inRun reports whether the object lies in a run's folder.
func inRun(n layout.Name) bool { return n.Kind != layout.SnapshotObject && !n.Run.IsZero() }

func with(sizes map[safe.Digest]int64, d safe.Digest, size int64) map[safe.Digest]int64 {
	if sizes == nil {
		sizes = make(map[safe.Digest]int64)
	}
	sizes[d] = size
	return sizes
}

// seeCheckpoint examines an older checkpoint and its copy when the first of
// them is seen: they stand next to each other.
func (w *walk) seeCheckpoint(size int64) {
	if size == w.checkpoint {
		return
	}
	w.checkpoint = size
	for _, n := range copies(layout.Name{Kind: layout.CheckpointObject, Number: size}) {
		w.examine(n, false)
	}
}

// leaveRun examines the packs of the run that was walked through, and their
// parity.
func (w *walk) leaveRun() {
	if w.run.IsZero() {
		return
	}
	need := w.check.needs[w.run]
	if need == nil {
		need = &needs{}
	}
	share := w.check.opts.Packs
	for digest, size := range w.packs {
		par, hasParity := w.parity[digest]
		// What has lost its end can be told by its size on any day.
		if share.includes(digest) || size < 0 || hasParity && par != parity.Size(size) {
			w.examine(w.pack(digest), hasParity)
		}
	}
	for digest, size := range w.parity {
		pack, hasPack := w.packs[digest]
		if share.includes(digest) || size < 0 || hasPack && size != parity.Size(pack) {
			w.examine(w.parityOf(digest), false)
		}
	}
	// A run that has no snapshot does not say whether its packs have parity.
	wantParity := need.parity || !need.described && len(w.parity) > 0
	for digest := range need.packs {
		_, hasParity := w.parity[digest]
		if _, there := w.packs[digest]; !there {
			w.examine(w.pack(digest), hasParity)
		}
		if wantParity && !hasParity {
			w.examine(w.parityOf(digest), false)
		}
	}
	w.done[w.run] = true
	w.run, w.packs, w.parity = safe.RunID{}, nil, nil
}

func (w *walk) pack(d safe.Digest) layout.Name {
	return layout.Name{Kind: layout.PackObject, Run: w.run, Digest: d}
}

func (w *walk) parityOf(d safe.Digest) layout.Name {
	return layout.Name{Kind: layout.ParityObject, Run: w.run, Digest: d}
}

// needers names the snapshots that need what was found to be harmed. It reads
// the descriptions a second time: to keep them would take more memory than all
// else, and mostly for nothing.
func (c *check) needers(ctx context.Context) error {
	harmed := make(map[safe.RunID][]int) // indexes of findings, by the run that the object belongs to
	for i, f := range c.report.Findings {
		n := layout.Parse(f.Name)
		switch {
		case !f.Harmful() || n.Run.IsZero():
		case n.Kind == layout.SnapshotObject, n.Kind == layout.RootObject:
			if _, kept := c.truth.kept[n.Run]; kept {
				c.report.Findings[i].Snapshots = []safe.RunID{n.Run}
			}
		default:
			harmed[n.Run] = append(harmed[n.Run], i)
		}
	}
	if len(harmed) == 0 {
		return nil
	}
	for _, run := range c.keptRuns() {
		d, err := c.describe(ctx, run)
		if err != nil {
			return err
		}
		if d != nil {
			c.nameNeeder(*d, harmed)
		}
	}
	return nil
}

// keptRuns returns the runs with a snapshot, ascending.
func (c *check) keptRuns() []safe.RunID {
	var runs []safe.RunID
	for run := range c.truth.kept {
		runs = append(runs, run)
	}
	slices.SortFunc(runs, safe.RunID.Compare)
	return runs
}

// nameNeeder adds a snapshot to the findings about what it needs.
func (c *check) nameNeeder(d safe.Snapshot, harmed map[safe.RunID][]int) {
	for run, wants := range d.Runs {
		for _, i := range harmed[run] {
			f := &c.report.Findings[i]
			n := layout.Parse(f.Name)
			needed := n.Kind == layout.EnvelopeObject
			if n.Kind == layout.PackObject || n.Kind == layout.ParityObject {
				_, needed = slices.BinarySearchFunc(wants.Packs, n.Digest, safe.Digest.Compare)
			}
			if needed {
				f.Snapshots = append(f.Snapshots, d.Run)
			}
		}
	}
}
