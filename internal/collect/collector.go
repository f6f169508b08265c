package collect

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"strongroom/internal/safe"
	"strongroom/internal/source"
	"strongroom/internal/store"
	"strongroom/internal/store/blob"
	"strongroom/internal/store/chunk"
	"strongroom/internal/store/intake"
	"strongroom/internal/store/layout"
	"strongroom/internal/store/manifest"
	"strongroom/internal/store/memory"
	"strongroom/internal/store/refresh"
)

const (
	// maxWaiting bounds the entries that wait for a pack to be finished before
	// they can be listed. It is reached when few files are new among very
	// many; a small pack is then the lesser evil.
	maxWaiting = 1 << 16

	// maxEvents bounds the problems that are told one by one; all are counted.
	maxEvents = 1000

	// progressEvery is how often progress is told.
	progressEvery = 200 * time.Millisecond
)

// A collector is one collection under way. Its methods are called from one
// goroutine, but for need, known and the renewals.
type collector struct {
	in     Input
	events func(Event)
	night  *refresh.Night

	complete   *recollection // nil if there is none
	unfinished *recollection

	intake  *intake.Intake
	data    *intake.Lane
	list    *list
	memory  *memory.Writer
	files   *chunk.Cutter
	streams *chunk.Cutter
	meter   *meter

	mu        sync.Mutex // guards the fields below, which need writes
	decisions []decision
	memoryErr error

	sequence  manifest.Sequence
	changed   string    // path of the last file that changed while it was read
	waiting   []listing // in path order, not yet listed
	parts     int       // pieces of the content being read that are remembered
	broken    bool      // the source broke off while content was read
	line      []byte    // reused
	announced int       // packs of this run that the memory knows
	needed    map[safe.Digest]safe.RunID
	root      manifest.Root

	saved    time.Time // of the last checkpoint
	savedAt  int       // packs at the last checkpoint
	told     time.Time // of the last progress
	problems int
	progress Progress
	result   Result
}

// A decision is what need found out about a file.
type decision struct {
	path   string
	before manifest.Entry // the earlier entry; only if it looks the same
	same   bool           // the file looks as it did
}

// A listing is an entry that waits for its content to have a place.
type listing struct {
	entry  safe.Entry
	pieces []*intake.Piece
	chunks []manifest.Chunk // of a file that was not read
	before *manifest.Entry  // of a file that was read although it looked the same
}

func (c *collector) close() {
	if c.list != nil {
		c.list.abandon()
	}
	if c.intake != nil {
		c.intake.Close() // its error was seen by whatever waited for it
	}
	if c.memory != nil {
		c.memory.Close() // what counts was checkpointed
	}
	c.complete.close()
	c.unfinished.close()
}

// need decides whether a file is read. It is called ahead of the entries.
func (c *collector) need(e safe.Entry) bool {
	before, same, fromComplete := c.before(e)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !same {
		return true
	}
	c.decisions = append(c.decisions, decision{path: e.Path, before: before, same: true})
	// What an unfinished run read has been read just now.
	return fromComplete && c.night.FileTurn(e.Path, before.Chunks)
}

// before looks for an earlier entry that looks the same.
func (c *collector) before(e safe.Entry) (before manifest.Entry, same, fromComplete bool) {
	for _, earlier := range []*recollection{c.complete, c.unfinished} {
		found, ok, err := earlier.find(e.Path)
		if err != nil {
			c.lose(err)
			continue
		}
		if ok && !same && looksSame(found.Entry, e) {
			before, same, fromComplete = found, true, earlier == c.complete
		}
	}
	return before, same, fromComplete
}

// decided returns what need found out about the file, and forgets what it
// found out about those before.
func (c *collector) decided(path string) decision {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.decisions) > 0 && safe.ComparePaths(c.decisions[0].path, path) <= 0 {
		d := c.decisions[0]
		c.decisions = c.decisions[1:]
		if d.path == path {
			return d
		}
	}
	return decision{path: path}
}

// lose notes that a memory, or a part of it, is of no use.
func (c *collector) lose(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.memoryErr == nil {
		c.memoryErr = err
	}
}

// known finds a chunk that this run may refer to.
func (c *collector) known(hash safe.Digest) (manifest.Chunk, bool, error) {
	for _, earlier := range []*recollection{c.complete, c.unfinished} {
		found, ok, err := earlier.lookup(hash)
		if damaged, isDamaged := errors.AsType[*memory.DamagedError](err); isDamaged {
			c.lose(damaged)
			continue
		}
		if ok || err != nil {
			return found, ok, err
		}
	}
	return manifest.Chunk{}, false, nil
}

// packOf returns what is known of an earlier run's pack.
func (c *collector) packOf(digest safe.Digest) (memory.Pack, bool) {
	for _, earlier := range []*recollection{c.complete, c.unfinished} {
		if earlier == nil {
			continue
		}
		if p, ok := earlier.memory.Pack(digest); ok {
			return p, true
		}
	}
	return memory.Pack{}, false
}

func (c *collector) renewFile(known manifest.Chunk) bool {
	p, _ := c.packOf(known.Pack)
	return c.night.FileChunk(known, refresh.Pack{Frames: p.Frames, Used: p.Used})
}

func (c *collector) renewStream(known manifest.Chunk) bool {
	p, _ := c.packOf(known.Pack)
	return c.night.StreamChunk(known, refresh.Pack{Frames: p.Frames, Used: p.Used})
}

// pull takes everything that the source yields. broke is why it ended early;
// err is a failure of the safe itself.
func (c *collector) pull(ctx, pull context.Context) (broke, err error) {
	if d := c.in.Options.Limits.Duration; d > 0 {
		limited, cancel := context.WithTimeoutCause(pull, d, &limitError{d})
		defer cancel()
		pull = limited
	}
	pull, cancel := context.WithCancelCause(pull)
	defer cancel(nil)
	defer context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })()
	c.meter = &meter{ctx: pull, rate: c.in.Options.Limits.Rate, began: time.Now()}
	request := source.Request{Need: c.need, Report: c.report}
	for item, sourceErr := range c.in.From.Pull(pull, request) {
		if sourceErr == nil {
			sourceErr, err = c.take(ctx, item)
		}
		if err != nil {
			return nil, err
		}
		if sourceErr != nil {
			if cause := context.Cause(pull); cause != nil {
				sourceErr = cause // says why rather than that it was cancelled
			}
			broke = sourceErr
			break
		}
		if err := c.keepUp(ctx); err != nil {
			return nil, err
		}
	}
	c.result.Matches = c.in.From.Matches()
	return broke, context.Cause(ctx)
}

// tellLoss warns of what came to light of the memories since they were opened.
func (c *collector) tellLoss() {
	c.mu.Lock()
	err := c.memoryErr
	c.mu.Unlock()
	if err != nil {
		c.warn(Problem{Kind: "memory lost", Text: err.Error() + "; what it would have told was read and stored again"})
	}
}

// take takes one entry in. sourceErr is a failure of the source that ends the
// pulling, err one of the safe.
func (c *collector) take(ctx context.Context, item source.Item) (sourceErr, err error) {
	if item.Content != nil {
		defer item.Content.Close() // nothing was written
	}
	l := listing{entry: item.Entry}
	hasContent := item.Type == safe.File || item.Type == safe.Stream
	if !hasContent {
		l.entry.Size = 0
	}
	// The source promised as much; what it yields comes from production, and
	// one entry that no reader takes would spoil the snapshot.
	if err := c.sequence.Check(l.entry); err != nil {
		c.report(source.Problem{Kind: source.Invalid, Path: item.Path, Err: err})
		return nil, nil
	}
	switch {
	case !hasContent:
	case item.Content == nil:
		d := c.decided(item.Path)
		if !d.same {
			return errors.New("the source yields a file without its content, which was needed"), nil
		}
		l.chunks = d.before.Chunks
	default:
		problem, sourceErr, err := c.read(ctx, item, &l)
		if err != nil || sourceErr != nil {
			return sourceErr, err
		}
		if problem != nil {
			c.report(*problem)
			return nil, nil
		}
	}
	c.waiting = append(c.waiting, l)
	c.progress.Entries++
	c.progress.Bytes += l.entry.Size
	return nil, nil
}

// read reads the content of an item into the listing.
func (c *collector) read(ctx context.Context, item source.Item, l *listing) (problem *source.Problem, sourceErr, err error) {
	cutter, renew := c.files, intake.Renew(c.renewFile)
	if item.Type == safe.Stream {
		cutter, renew = c.streams, c.renewStream
	}
	c.parts = 0
	content := &content{src: c.meter.reader(item.Content), amid: func() error { return c.amid(ctx) }}
	l.pieces, l.entry.Size, err = c.data.Store(content, cutter, renew)
	if content.err == nil && err != nil {
		return nil, nil, fmt.Errorf("storing content: %w", err)
	}
	if errors.As(content.err, &problem) {
		return problem, nil, nil
	}
	c.broken = content.err != nil
	// A file that changed just now has been reported.
	if d := c.decided(item.Path); d.same && c.changed != item.Path {
		l.before = &d.before
	}
	return nil, content.err, nil
}

// content is what is read of an entry. It tells an error of the source from one
// of the safe, and lets other work be done on the way.
type content struct {
	src  io.Reader
	amid func() error // an error of it ends the reading
	err  error        // of src, but for io.EOF
}

func (r *content) Read(p []byte) (int, error) {
	if err := r.amid(); err != nil {
		return 0, err
	}
	n, err := r.src.Read(p)
	if err != nil && err != io.EOF && r.err == nil {
		r.err = err
	}
	return n, err
}

// report counts and tells a problem of the source.
func (c *collector) report(p source.Problem) {
	lost := p.Kind == source.Invalid || p.Kind == source.Unreadable && !c.in.Options.AllowUnreadable
	if lost {
		c.incomplete(fmt.Errorf("an entry is %s", p.Kind)) // which, is told by the event
	}
	if p.Kind == source.Changed {
		c.changed = p.Path
	}
	c.warn(Problem{Kind: p.Kind, Path: []byte(p.Path), Text: p.Err.Error()})
}

func (c *collector) warn(p Problem) {
	c.result.Warnings++
	if c.problems++; c.problems <= maxEvents {
		c.events(Event{Problem: &p})
	}
}

// incomplete notes that the snapshot will be partial. The first reason stays;
// like every error of Run it may be published, so it names no entry.
func (c *collector) incomplete(reason error) {
	if c.result.Complete {
		c.result.Complete, c.result.Reason, c.result.Cause = false, reason.Error(), reason
	}
}

// keepUp does what is due between two entries.
func (c *collector) keepUp(ctx context.Context) error {
	if len(c.waiting) >= maxWaiting {
		if err := c.data.Finish(); err != nil {
			return err
		}
	}
	if err := c.listReady(); err != nil {
		return err
	}
	c.tellNowAndThen()
	if !c.checkpointDue() {
		return nil
	}
	return c.checkpoint(ctx)
}

// amid does what is due while the content of an entry is read, which may take
// hours: what is stored of it so far is not lost in a crash either.
func (c *collector) amid(ctx context.Context) error {
	c.tellNowAndThen()
	if !c.checkpointDue() {
		return nil
	}
	if err := c.listReady(); err != nil {
		return err
	}
	if err := c.rememberPart(); err != nil {
		return err
	}
	return c.checkpoint(ctx)
}

func (c *collector) checkpointDue() bool {
	packs := len(c.intake.Finished())
	return packs-c.savedAt >= c.in.Options.CheckpointPacks ||
		packs > c.savedAt && time.Since(c.saved) >= c.in.Options.CheckpointEvery
}

// rememberPart remembers what has its place of content that was not read to
// its end, so that another run need not store it again.
func (c *collector) rememberPart() error {
	var chunks []manifest.Chunk
	for _, p := range c.data.Taken()[c.parts:] {
		chunk, ok := p.Chunk()
		if !ok {
			break
		}
		chunks = append(chunks, chunk)
	}
	c.parts += len(chunks)
	if err := c.announce(chunks); err != nil {
		return err
	}
	return c.memory.AddChunks(chunks)
}

func (c *collector) tellNowAndThen() {
	if now := time.Now(); now.Sub(c.told) >= progressEvery {
		c.told = now
		c.tell()
	}
}

func (c *collector) tell() {
	p := c.progress
	p.Read, p.NewBytes = c.meter.read, c.data.NewBytes()
	c.events(Event{Progress: &p})
}

// listReady lists the entries at the front whose content has its place.
func (c *collector) listReady() error {
	n := 0
	for ; n < len(c.waiting); n++ {
		l := &c.waiting[n]
		chunks, ok := placesOf(l)
		if !ok {
			break
		}
		if l.before != nil && !sameContent(chunks, l.before.Chunks) {
			c.warn(Problem{Kind: Poisoned, Path: []byte(l.entry.Path),
				Text: fmt.Sprintf("it was read because it had its turn, and differs from what was read until %s", c.in.LastStarted.UTC().Format(time.DateOnly))})
		}
		if err := c.enter(manifest.Entry{Entry: l.entry, Chunks: chunks}); err != nil {
			return err
		}
	}
	clear(c.waiting[:n]) // lets go of the pieces
	if c.waiting = c.waiting[n:]; len(c.waiting) == 0 {
		c.waiting = nil
	}
	return nil
}

// placesOf returns the chunks of a listing; ok is false if not all of them
// have a place yet.
func placesOf(l *listing) (chunks []manifest.Chunk, ok bool) {
	if l.pieces == nil {
		return l.chunks, true
	}
	// The last piece gets its place last, most of the time.
	if _, ok := l.pieces[len(l.pieces)-1].Chunk(); !ok {
		return nil, false
	}
	chunks = make([]manifest.Chunk, len(l.pieces))
	for i, p := range l.pieces {
		if chunks[i], ok = p.Chunk(); !ok {
			return nil, false
		}
	}
	return chunks, true
}

func sameContent(a, b []manifest.Chunk) bool {
	return slices.EqualFunc(a, b, func(a, b manifest.Chunk) bool { return a.Hash == b.Hash })
}

// enter writes an entry into manifest and memory.
func (c *collector) enter(e manifest.Entry) error {
	if err := c.announce(e.Chunks); err != nil {
		return err
	}
	c.line = manifest.AppendEntry(c.line[:0], e)
	if err := c.memory.Add(c.line, e.Chunks); err != nil {
		return fmt.Errorf("remembering an entry: %w", err)
	}
	if _, err := c.list.Write(c.line); err != nil {
		return fmt.Errorf("storing the manifest: %w", err)
	}
	c.result.Entries++
	c.result.Bytes += e.Size
	return nil
}

// announce makes the packs of the chunks known to the memory, and notes that
// the snapshot needs them.
func (c *collector) announce(chunks []manifest.Chunk) error {
	if err := c.announceOwn(); err != nil {
		return err
	}
	for _, chunk := range chunks {
		if _, done := c.needed[chunk.Pack]; done {
			continue
		}
		c.needed[chunk.Pack] = chunk.Run
		if chunk.Run == c.in.Run {
			continue
		}
		p, ok := c.packOf(chunk.Pack)
		if !ok {
			return fmt.Errorf("the memory names pack %s and says nothing of it", chunk.Pack)
		}
		if err := c.memory.AddPack(p); err != nil {
			return err
		}
	}
	return nil
}

// announceOwn makes known to the memory what this run has finished.
func (c *collector) announceOwn() error {
	finished := c.intake.Finished()
	for _, f := range finished[c.announced:] {
		if err := c.memory.AddPack(memory.Pack{Run: c.in.Run, Digest: f.Digest, Frames: f.Frames}); err != nil {
			return err
		}
	}
	c.announced = len(finished)
	return nil
}

// checkpoint makes what was stored so far survive a crash. The order matters:
//
//  1. packs   their names are made durable; nothing refers to them yet
//  2. memory  from now on the next run may refer to chunks in those packs
//
// Entries enter the memory only after their packs are published, so what step
// 2 saves refers to nothing that step 1 has not.
func (c *collector) checkpoint(ctx context.Context) error {
	if err := c.announceOwn(); err != nil {
		return err
	}
	if err := c.in.Into.Sync(ctx); err != nil {
		return fmt.Errorf("making packs durable: %w", err)
	}
	if err := c.memory.Checkpoint(ctx); err != nil {
		return fmt.Errorf("saving what is remembered: %w", err)
	}
	c.saved, c.savedAt = time.Now(), c.announced
	c.events(Event{Checkpoint: &Checkpoint{Packs: c.announced}})
	return nil
}

// finish completes the snapshot: the last packs, the manifest, the root.
func (c *collector) finish(ctx context.Context) (Result, error) {
	if err := c.data.Finish(); err != nil {
		return Result{}, err
	}
	if err := c.listReady(); err != nil {
		return Result{}, err
	}
	if c.broken {
		if err := c.rememberPart(); err != nil {
			return Result{}, err
		}
	}
	if c.result.Entries == 0 {
		c.incomplete(ErrNothing)
		return c.result, c.checkpoint(ctx) // for the next run
	}
	if err := c.finishList(); err != nil {
		return Result{}, err
	}
	c.tellLoss()
	if err := c.checkpoint(ctx); err != nil {
		return Result{}, err
	}
	if err := c.putRoot(ctx); err != nil {
		return Result{}, err
	}
	if c.result.Complete {
		if err := c.memory.Finish(ctx); err != nil {
			return Result{}, fmt.Errorf("completing what is remembered: %w", err)
		}
	}
	c.tell()
	c.result.NewBytes = c.data.NewBytes()
	c.result.StoredBytes, c.result.ParityBytes = c.intake.StoredBytes(), c.intake.ParityBytes()
	c.result.Runs = c.runs()
	return c.result, nil
}

// finishList ends the manifest, whose own chunks are remembered too: most of
// them will be the same next time.
func (c *collector) finishList() error {
	totals := manifest.Totals{Entries: c.result.Entries, Bytes: c.result.Bytes}
	if _, err := c.list.Write(manifest.AppendTotals(nil, totals)); err != nil {
		return fmt.Errorf("storing the manifest: %w", err)
	}
	pieces, err := c.list.finish()
	if err != nil {
		return fmt.Errorf("storing the manifest: %w", err)
	}
	c.root.Store, c.root.Run, c.root.Source = c.in.Store, c.in.Run, c.in.Source
	c.root.Entries, c.root.Bytes = totals.Entries, totals.Bytes
	if c.root.Chunks, err = c.rememberPieces(pieces); err != nil {
		return err
	}
	if len(c.root.Encode()) <= manifest.MaxRoot {
		return nil
	}
	c.root.List = true
	longer := manifest.AppendChunkList(nil, c.root.Chunks)
	if pieces, _, err = c.list.lane.Store(bytes.NewReader(longer), c.files, c.renewStream); err == nil {
		err = c.list.lane.Finish()
	}
	if err != nil {
		return fmt.Errorf("storing the list of the manifest's chunks: %w", err)
	}
	c.root.Chunks, err = c.rememberPieces(pieces)
	return err
}

func (c *collector) rememberPieces(pieces []*intake.Piece) ([]manifest.Chunk, error) {
	chunks, ok := placesOf(&listing{pieces: pieces})
	if !ok {
		panic("collect: a piece has no place after its lane was finished")
	}
	if err := c.announce(chunks); err != nil {
		return nil, err
	}
	return chunks, c.memory.AddChunks(chunks)
}

// putRoot seals and publishes the root, twice.
func (c *collector) putRoot(ctx context.Context) error {
	object, err := store.SealRoot(c.root, c.in.Seal)
	if err != nil {
		return fmt.Errorf("sealing the root: %w", err)
	}
	c.result.Root = safe.DigestOf(object)
	name := layout.Root(c.in.Run, c.result.Root)
	for _, name := range []string{name, layout.Copy(name)} {
		if err := blob.Put(ctx, c.in.Into, name, object); err != nil {
			return fmt.Errorf("publishing the root: %w", err)
		}
	}
	if err := c.in.Into.Sync(ctx); err != nil {
		return fmt.Errorf("making the root durable: %w", err)
	}
	return nil
}

// runs sorts the packs that the snapshot needs by run.
func (c *collector) runs() map[safe.RunID][]safe.Digest {
	runs := map[safe.RunID][]safe.Digest{c.in.Run: {}}
	for _, digest := range slices.SortedFunc(maps.Keys(c.needed), safe.Digest.Compare) {
		run := c.needed[digest]
		runs[run] = append(runs[run], digest)
	}
	return runs
}
