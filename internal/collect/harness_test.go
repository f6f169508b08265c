package collect_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/collect"
	"strongroom/internal/safe"
	"strongroom/internal/source"
	"strongroom/internal/store"
	"strongroom/internal/store/blob"
	"strongroom/internal/store/blob/mem"
	"strongroom/internal/store/layout"
	"strongroom/internal/store/memory"
	"strongroom/internal/store/seal"
)

var underRace bool // set by race_test.go

const day = 24 * time.Hour

// firstNight is when simulated time begins.
var firstNight = time.Date(2026, 1, 1, 2, 0, 0, 0, time.UTC)

// A room is a store with one source's memory, and does what the supervisor
// does around a collection.
type room struct {
	t      *testing.T
	blobs  *mem.Store
	store  safe.StoreID
	outer  seal.OuterIdentity
	inner  seal.InnerIdentity
	keys   memory.Keys
	cut    seal.CutKey
	memory string // folder

	envelopes  map[safe.RunID]safe.Digest
	mayReferTo map[safe.RunID]map[safe.RunID]bool // of each run
	complete   safe.Snapshot                      // the newest; Run is zero if there is none
	unfinished safe.RunID
	kept       []safe.Snapshot
}

func newRoom(t *testing.T) *room {
	t.Helper()
	outer, err1 := seal.NewOuterIdentity()
	inner, err2 := seal.NewInnerIdentity()
	sealed, err3 := seal.NewMemoryIdentity()
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	return &room{
		t: t, blobs: mem.New(mem.Options{}), store: safe.NewStoreID(), outer: outer, inner: inner,
		keys: memory.Keys{Seal: sealed, Tag: seal.TagKey{1}}, cut: seal.CutKey{2}, memory: t.TempDir(),
		envelopes:  make(map[safe.RunID]safe.Digest),
		mayReferTo: make(map[safe.RunID]map[safe.RunID]bool),
	}
}

// begin makes the key of a run and returns what its collection needs.
func (r *room) begin(at time.Time, from source.Source) collect.Input {
	r.t.Helper()
	run := safe.NewRunID(at)
	label := seal.Label{Store: r.store, Run: run, Source: "erp", Time: at, Roster: 1}
	envelope, recipient, err := seal.NewEnvelope(label, r.outer.Recipient(), r.inner.Recipient())
	if err != nil {
		r.t.Fatal(err)
	}
	for _, name := range []string{layout.Envelope(run), layout.EnvelopeCopy(run)} {
		if err := blob.Put(context.Background(), r.blobs, name, envelope); err != nil {
			r.t.Fatal(err)
		}
	}
	if err := r.blobs.Sync(context.Background()); err != nil {
		r.t.Fatal(err)
	}
	r.envelopes[run] = safe.DigestOf(envelope)
	may := map[safe.RunID]bool{run: true}
	for _, earlier := range []safe.RunID{r.complete.Run, r.unfinished} {
		for other := range r.mayReferTo[earlier] {
			may[other] = true
		}
	}
	r.mayReferTo[run] = may
	return collect.Input{
		Store: r.store, Run: run, Source: "erp", Kind: "files", Started: at,
		From: from, Into: r.blobs, Seal: recipient.Seal, Cut: r.cut,
		MemoryDir: r.memory, Memory: r.keys,
		Complete: r.complete.Run, Unfinished: r.unfinished,
		LastStarted: r.complete.Started, LastBytes: r.complete.Bytes,
	}
}

// end records what became of a run. Without a root there is no snapshot.
func (r *room) end(in collect.Input, result collect.Result) safe.Snapshot {
	r.t.Helper()
	if !result.Complete {
		r.unfinished = in.Run
	}
	if result.Root.IsZero() {
		r.sweep()
		return safe.Snapshot{}
	}
	d := safe.Snapshot{
		Version: 1, Store: r.store, Run: in.Run, Source: in.Source, Kind: in.Kind, Started: in.Started,
		Entries: result.Entries, Bytes: result.Bytes, NewBytes: result.NewBytes,
		StoredBytes: result.StoredBytes, ParityBytes: result.ParityBytes, Warnings: result.Warnings,
		Partial: !result.Complete, Root: result.Root, Runs: make(map[safe.RunID]safe.RunPacks),
	}
	for run, packs := range result.Runs {
		if !r.mayReferTo[in.Run][run] {
			r.t.Errorf("run %s refers to run %s, which it must not", in.Run, run)
		}
		d.Runs[run] = safe.RunPacks{Envelope: r.envelopes[run], Packs: packs}
	}
	// What a later run may find through this one is what this one names.
	clear(r.mayReferTo[in.Run])
	for run := range d.Runs {
		r.mayReferTo[in.Run][run] = true
	}
	if result.Complete {
		r.complete, r.unfinished = d, safe.RunID{}
	}
	r.kept = append(r.kept, d)
	r.sweep()
	return d
}

func (r *room) sweep() {
	r.t.Helper()
	if err := memory.Sweep(r.memory, r.complete.Run, r.unfinished); err != nil {
		r.t.Fatal(err)
	}
}

// collect runs a source that must give a complete snapshot.
func (r *room) collect(at time.Time, from source.Source, tune ...func(*collect.Input)) safe.Snapshot {
	r.t.Helper()
	in := r.begin(at, from)
	for _, f := range tune {
		f(&in)
	}
	result, err := collect.Run(context.Background(), context.Background(), in, nil)
	if err != nil || !result.Complete {
		r.t.Fatalf("collecting: complete %t, %q, %v", result.Complete, result.Reason, err)
	}
	return r.end(in, result)
}

// An item is an entry as it was read back.
type item struct {
	safe.Entry
	Content string
}

// read reads a snapshot whole.
func (r *room) read(d safe.Snapshot) []item {
	r.t.Helper()
	items, err := r.tryRead(d)
	if err != nil {
		r.t.Fatalf("reading the snapshot of run %s: %v", d.Run, err)
	}
	return items
}

func (r *room) tryRead(d safe.Snapshot) (items []item, err error) {
	ctx := context.Background()
	s, err := store.Open(ctx, r.blobs, d, store.WithRoleKeys(r.blobs, d, []seal.OuterIdentity{r.outer}, []seal.InnerIdentity{r.inner}))
	if err != nil {
		return nil, err
	}
	defer s.Close()
	m, _, err := s.Manifest(ctx)
	if err != nil {
		return nil, err
	}
	for {
		e, err := m.Next()
		if err == io.EOF {
			return items, nil
		}
		if err != nil {
			return nil, err
		}
		content, err := io.ReadAll(s.Content(ctx, m))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.Path, err)
		}
		items = append(items, item{e, string(content)})
	}
}

// readAll reads every snapshot that was kept.
func (r *room) readAll() {
	r.t.Helper()
	for _, d := range r.kept {
		if got := int64(len(r.read(d))); got != d.Entries {
			r.t.Errorf("run %s has %d entries, its description says %d", d.Run, got, d.Entries)
		}
	}
}

// holds compares a snapshot with what a tree holds.
func (r *room) holds(d safe.Snapshot, tree *tree) {
	r.t.Helper()
	if diff := cmp.Diff(tree.items(), r.read(d)); diff != "" {
		r.t.Errorf("the snapshot differs from the source (- source):\n%.2000s", diff)
	}
}

// A tree is a source of entries in memory, in path order. It looks eight
// entries ahead.
type tree struct {
	entries []entry
	reads   map[string]int // how often content was opened

	// before, if set, is called before the entry of that index is yielded; its
	// error ends the sequence.
	before func(ctx context.Context, i int) error
}

// An entry is one of a tree. Its Size is what the source claims.
type entry struct {
	safe.Entry
	content []byte
	err     error            // of reading, after the content
	reports []source.Problem // while it is read
	amid    func(left int)   // called before each Read
}

func file(path string, content []byte) entry {
	return entry{Entry: safe.Entry{Path: path, Type: safe.File, Mode: 0o644, User: "root", MTime: firstNight, CTime: firstNight, Inode: 7, Size: int64(len(content))}, content: content}
}

func folder(path string) entry {
	return entry{Entry: safe.Entry{Path: path, Type: safe.Dir, Mode: 0o755, MTime: firstNight}}
}

func (t *tree) Matches() []source.Match {
	return []source.Match{{Pattern: "/", Entries: int64(len(t.entries))}}
}

func (t *tree) Pull(ctx context.Context, request source.Request) iter.Seq2[source.Item, error] {
	if t.reads == nil {
		t.reads = make(map[string]int)
	}
	return func(yield func(source.Item, error) bool) {
		need := make(map[int]bool)
		asked := 0
		for i, e := range t.entries {
			for ; asked < min(i+8, len(t.entries)); asked++ {
				if t.entries[asked].Type == safe.File {
					need[asked] = request.Need(t.entries[asked].Entry)
				}
			}
			err := context.Cause(ctx)
			if err == nil && t.before != nil {
				err = t.before(ctx, i)
			}
			if err != nil {
				yield(source.Item{}, err)
				return
			}
			it := source.Item{Entry: e.Entry}
			if need[i] || e.Type == safe.Stream {
				t.reads[e.Path]++
				it.Content = &content{ctx: ctx, entry: e, report: request.Report, left: bytes.NewReader(e.content)}
			}
			if !yield(it, nil) {
				return
			}
		}
	}
}

type content struct {
	ctx    context.Context
	entry  entry
	report func(source.Problem)
	left   *bytes.Reader
}

func (c *content) Close() error { return nil }

func (c *content) Read(p []byte) (int, error) {
	if err := context.Cause(c.ctx); err != nil {
		return 0, err
	}
	if c.entry.amid != nil {
		c.entry.amid(c.left.Len())
	}
	n, err := c.left.Read(p)
	if err == io.EOF {
		for _, p := range c.entry.reports {
			c.report(p)
		}
		if c.entry.err != nil {
			err = c.entry.err
		}
	}
	return n, err
}

// items is what a snapshot of the whole tree must hold.
func (t *tree) items() []item {
	items := make([]item, len(t.entries))
	for i, e := range t.entries {
		items[i] = item{e.Entry, string(e.content)}
		items[i].Size = int64(len(e.content))
	}
	return items
}

// at returns the entry of a path.
func (t *tree) at(path string) *entry {
	i := slices.IndexFunc(t.entries, func(e entry) bool { return e.Path == path })
	return &t.entries[i]
}

// total returns how often content was read.
func (t *tree) total() (n int) {
	for _, reads := range t.reads {
		n += reads
	}
	return n
}

// fresh returns the tree as it is, without the memory of what was read.
func (t *tree) fresh() *tree { return &tree{entries: slices.Clone(t.entries)} }

// add puts entries where they belong, in place of others of the same path.
func (t *tree) add(entries ...entry) {
	for _, e := range entries {
		t.remove(e.Path)
	}
	t.entries = append(t.entries, entries...)
	slices.SortFunc(t.entries, func(a, b entry) int { return safe.ComparePaths(a.Path, b.Path) })
}

func (t *tree) remove(path string) {
	t.entries = slices.DeleteFunc(t.entries, func(e entry) bool { return e.Path == path })
}

// noise returns bytes that cannot be compressed, the same for the same seed.
func noise(seed uint64, n int) []byte {
	b := make([]byte, n)
	var key [32]byte
	for i := range 8 {
		key[i] = byte(seed >> (8 * i))
	}
	rand.NewChaCha8(key).Read(b)
	return b
}

// someTree has entries of every kind, and files of n different contents.
func someTree(n int) *tree {
	t := new(tree)
	t.add(folder("empty"), folder("etc"), file("etc/hosts", []byte("127.0.0.1 localhost\n")), file("etc/nothing", nil), folder("srv"))
	for i := range n {
		t.add(file(fmt.Sprintf("srv/%03d", i), noise(uint64(i), 1+i*4099%50_000)))
	}
	t.add(file("srv/big", noise(1000, 3<<20)))
	t.add(entry{Entry: safe.Entry{Path: "srv/dump", Type: safe.Stream, Mode: 0o600, MTime: firstNight}, content: noise(2000, 1<<20)})
	t.add(entry{Entry: safe.Entry{Path: "srv/link", Type: safe.Symlink, Mode: 0o777, MTime: firstNight, Target: "../etc/hosts"}})
	t.add(entry{Entry: safe.Entry{Path: "srv/other name", Type: safe.Hardlink, Mode: 0o644, MTime: firstNight, Target: "srv/big"}})
	t.add(entry{Entry: safe.Entry{Path: "srv/pipe", Type: safe.Special, Mode: 0o600, MTime: firstNight}})
	t.add(entry{Entry: safe.Entry{Path: "srv/umlaut \xfc", Type: safe.File, Mode: 0o4755, UID: 5, GID: 6, MTime: firstNight, Xattrs: map[string][]byte{"user.a": {0, 1}}}})
	return t
}

// events gathers what a collection tells.
type events struct {
	mu  sync.Mutex
	all []collect.Event
}

func (e *events) take(event collect.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, event)
}

// problems lists the problems as "kind path".
func (e *events) problems() (all []string) {
	for _, event := range e.all {
		if p := event.Problem; p != nil {
			all = append(all, fmt.Sprintf("%s %s", p.Kind, p.Path))
		}
	}
	return all
}
