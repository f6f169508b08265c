package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/safe"
	"strongroom/internal/store"
	"strongroom/internal/store/blob"
	"strongroom/internal/store/layout"
	"strongroom/internal/store/manifest"
	"strongroom/internal/store/seal"
	"strongroom/internal/store/storetest"
)

// twoRuns makes a store with a snapshot that needs the packs of two runs.
func twoRuns(t *testing.T) (*storetest.Store, safe.Snapshot, map[string]string) {
	s := storetest.New(t)
	first := s.Snapshot(storetest.File("old", "what the first run stored"))
	shared := storetest.File("etc/shared", "and some more ")
	shared.Chunks = s.Chunks(first, "old")
	d := s.Snapshot(
		storetest.File("etc/hosts", "127.0.0.1 localhost\n").Cut(7),
		shared,
		storetest.Stream("dump", strings.Repeat("insert into t values (1);\n", 30)),
		storetest.Symlink("link", "etc"),
		storetest.File("nothing", ""),
	)
	return s, d, map[string]string{
		"dump": strings.Repeat("insert into t values (1);\n", 30), "etc": "", "etc/hosts": "127.0.0.1 localhost\n",
		"etc/shared": "and some more what the first run stored", "link": "", "nothing": "",
	}
}

// readAll returns the content of all entries.
func readAll(ctx context.Context, r blob.Reader, d safe.Snapshot, identities store.Identities) (map[string]string, error) {
	s, err := store.Open(ctx, r, d, identities)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	m, _, err := s.Manifest(ctx)
	if err != nil {
		return nil, err
	}
	all := make(map[string]string)
	for {
		e, err := m.Next()
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		b, err := io.ReadAll(s.Content(ctx, m))
		if err != nil {
			return all, err
		}
		all[e.Path] = string(b)
	}
}

func read(s *storetest.Store, d safe.Snapshot) (map[string]string, error) {
	return readAll(context.Background(), s.Blobs, d, s.Identities(s.Blobs, d))
}

func TestReadsBack(t *testing.T) {
	s, d, want := twoRuns(t)
	got, err := read(s, d)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestEveryDamage changes the bytes of packs and roots, one after the other:
// what is read is right, or it is an error. Of age's headers and of roots, which
// are judged as a whole, it takes samples.
// TestKeysOfSeveralPeriods reads with keys of which some fit nothing, and with
// none that fits.
func TestKeysOfSeveralPeriods(t *testing.T) {
	s, d, want := twoRuns(t)
	others := storetest.New(t)
	outer, inner := []seal.OuterIdentity{others.Outer, s.Outer}, []seal.InnerIdentity{others.Inner, s.Inner}
	got, err := readAll(t.Context(), s.Blobs, d, store.WithRoleKeys(s.Blobs, d, outer, inner))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("content (-want +got):\n%s", diff)
	}
	for name, identities := range map[string]store.Identities{
		"another outer key": store.WithRoleKeys(s.Blobs, d, outer[:1], inner),
		"another inner key": store.WithRoleKeys(s.Blobs, d, outer, inner[:1]),
		"no outer key":      store.WithRoleKeys(s.Blobs, d, nil, inner),
		"no inner key":      store.WithRoleKeys(s.Blobs, d, outer, nil),
	} {
		if _, err := readAll(t.Context(), s.Blobs, d, identities); !errors.Is(err, seal.ErrWrongKey) {
			t.Errorf("%s: error %v, want ErrWrongKey", name, err)
		}
	}
}

func TestEveryDamage(t *testing.T) {
	s, d, want := twoRuns(t)
	// The keys are opened once; envelopes have their turn below.
	identities := make(map[safe.RunID]seal.RunIdentity)
	for run := range d.Runs {
		var err error
		if identities[run], err = s.Identities(s.Blobs, d)(t.Context(), run); err != nil {
			t.Fatal(err)
		}
	}
	withKeys := func(_ context.Context, run safe.RunID) (seal.RunIdentity, error) { return identities[run], nil }

	var names []string
	for run, needs := range d.Runs {
		for _, digest := range needs.Packs {
			names = append(names, layout.Pack(run, digest))
		}
	}
	root := layout.Root(d.Run, d.Root)
	names = append(names, root, layout.Copy(root))
	for _, name := range names {
		kind := layout.Parse(name).Kind
		object, err := blob.ReadAll(t.Context(), s.Blobs, name, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		header := bytes.Index(object, []byte("\n---"))
		for i := 0; i < len(object); i++ {
			if (i < header || kind == layout.RootObject) && i%29 > 0 {
				continue
			}
			flip := func(b []byte) []byte {
				b[i] ^= 1 << (i % 8)
				return b
			}
			s.Blobs.Corrupt(name, flip)
			got, err := readAll(t.Context(), s.Blobs, d, withKeys)
			s.Blobs.Corrupt(name, flip)
			for path, content := range got {
				if content != want[path] {
					t.Fatalf("byte %d of %s: %s is read as %q", i, name, path, content)
				}
			}
			var corrupt *store.CorruptError
			switch {
			case kind == layout.RootObject && err != nil:
				t.Fatalf("byte %d of %s: the copy was not used: %v", i, name, err)
			case err == nil && len(got) != len(want):
				t.Fatalf("byte %d of %s: %d entries were read without an error", i, name, len(got))
			case err != nil && !errors.As(err, &corrupt):
				t.Fatalf("byte %d of %s: %v", i, name, err)
			}
		}
	}
}

func TestDamagedEnvelopes(t *testing.T) {
	s, d, want := twoRuns(t)
	for run := range d.Runs {
		names := []string{layout.Envelope(run), layout.EnvelopeCopy(run)}
		info, err := s.Blobs.Stat(t.Context(), names[0])
		if err != nil {
			t.Fatal(err)
		}
		for i := int64(0); i < info.Size; i += 101 {
			flip := func(b []byte) []byte {
				b[i] ^= 1 << (i % 8)
				return b
			}
			for _, name := range names {
				s.Blobs.Corrupt(name, flip)
				if got, err := read(s, d); err != nil || !maps.Equal(got, want) {
					t.Fatalf("byte %d of %s: the other copy was not used: %v", i, name, err)
				}
				s.Blobs.Corrupt(name, flip)
			}
			s.Blobs.Corrupt(names[0], flip)
			s.Blobs.Corrupt(names[1], flip)
			var corrupt *store.CorruptError
			if _, err := read(s, d); !errors.As(err, &corrupt) || corrupt.Name != names[0] {
				t.Fatalf("byte %d of both envelopes: %v", i, err)
			}
			s.Blobs.Corrupt(names[0], flip)
			s.Blobs.Corrupt(names[1], flip)
		}
	}
}

func TestMissingObjects(t *testing.T) {
	for _, test := range []struct {
		name string
		lose func(safe.Snapshot) []string
		ok   bool
	}{
		{"envelope", func(d safe.Snapshot) []string { return []string{layout.Envelope(d.Run)} }, true},
		{"envelopes", func(d safe.Snapshot) []string { return []string{layout.Envelope(d.Run), layout.EnvelopeCopy(d.Run)} }, false},
		{"root", func(d safe.Snapshot) []string { return []string{layout.Root(d.Run, d.Root)} }, true},
		{"roots", func(d safe.Snapshot) []string {
			return []string{layout.Root(d.Run, d.Root), layout.Copy(layout.Root(d.Run, d.Root))}
		}, false},
		{"pack", func(d safe.Snapshot) []string { return []string{layout.Pack(d.Run, d.Runs[d.Run].Packs[0])} }, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, d, _ := twoRuns(t)
			for _, name := range test.lose(d) {
				s.Blobs.Delete(name)
			}
			_, err := read(s, d)
			var corrupt *store.CorruptError
			if test.ok && err != nil || !test.ok && (!errors.As(err, &corrupt) || !errors.Is(err, blob.ErrNotExist)) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestSwappedObjects puts sound objects where they do not belong, with a
// description that goes along.
func TestSwappedObjects(t *testing.T) {
	bytesOf := func(s *storetest.Store, name string) []byte {
		b, err := blob.ReadAll(context.Background(), s.Blobs, name, 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	replace := func(s *storetest.Store, b []byte, names ...string) {
		for _, name := range names {
			s.Blobs.Corrupt(name, func([]byte) []byte { return b })
		}
	}
	for _, test := range []struct {
		name string
		swap func(s *storetest.Store, d *safe.Snapshot, other safe.Snapshot)
		want string
	}{
		{"envelope", func(s *storetest.Store, d *safe.Snapshot, other safe.Snapshot) {
			b := bytesOf(s, layout.Envelope(other.Run))
			replace(s, b, layout.Envelope(d.Run), layout.EnvelopeCopy(d.Run))
			d.Runs[d.Run] = safe.RunPacks{Envelope: safe.DigestOf(b), Packs: d.Runs[d.Run].Packs}
		}, "belongs elsewhere"},
		{"root", func(s *storetest.Store, d *safe.Snapshot, other safe.Snapshot) {
			b := bytesOf(s, layout.Root(other.Run, other.Root))
			d.Root = other.Root
			if err := blob.Put(context.Background(), s.Blobs, layout.Root(d.Run, d.Root), b); err != nil {
				t.Fatal(err)
			}
		}, seal.ErrWrongKey.Error()},
		{"pack", func(s *storetest.Store, d *safe.Snapshot, other safe.Snapshot) {
			b := bytesOf(s, layout.Pack(other.Run, other.Runs[other.Run].Packs[0]))
			for _, digest := range d.Runs[d.Run].Packs {
				replace(s, b, layout.Pack(d.Run, digest))
			}
		}, seal.ErrWrongKey.Error()},
		{"pack of the same run", func(s *storetest.Store, d *safe.Snapshot, other safe.Snapshot) {
			packs := d.Runs[d.Run].Packs
			a, b := bytesOf(s, layout.Pack(d.Run, packs[0])), bytesOf(s, layout.Pack(d.Run, packs[1]))
			replace(s, a, layout.Pack(d.Run, packs[1]))
			replace(s, b, layout.Pack(d.Run, packs[0]))
		}, "pack is damaged"},
		{"source in the description", func(s *storetest.Store, d *safe.Snapshot, other safe.Snapshot) { d.Source = "crm" }, "belongs elsewhere"},
		{"store in the description", func(s *storetest.Store, d *safe.Snapshot, other safe.Snapshot) { d.Store = safe.NewStoreID() }, "belongs elsewhere"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, d, want := twoRuns(t)
			other := s.Snapshot(storetest.File("other", "of another run"))
			test.swap(s, &d, other)
			got, err := read(s, d)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
			for path, content := range got {
				if content != want[path] {
					t.Errorf("%s is read as %q", path, content)
				}
			}
		})
	}
}

func TestRootOfAnotherRun(t *testing.T) {
	s, d, _ := twoRuns(t)
	identity, err := s.Identities(s.Blobs, d)(t.Context(), d.Run)
	if err != nil {
		t.Fatal(err)
	}
	good := manifest.Root{Store: d.Store, Run: d.Run, Source: d.Source}
	for _, change := range []func(*manifest.Root){
		func(r *manifest.Root) { r.Store = safe.NewStoreID() },
		func(r *manifest.Root) { r.Run = safe.NewRunID(storetest.Begun) },
		func(r *manifest.Root) { r.Source = "crm" },
	} {
		root := good
		change(&root)
		object, err := store.SealRoot(root, identity.Recipient().Seal)
		if err != nil {
			t.Fatal(err)
		}
		d.Root = safe.DigestOf(object)
		if err := blob.Put(t.Context(), s.Blobs, layout.Root(d.Run, d.Root), object); err != nil {
			t.Fatal(err)
		}
		if _, err := read(s, d); err == nil || !strings.Contains(err.Error(), "swapped") {
			t.Errorf("root %+v: %v", root, err)
		}
	}
}

func TestManifestOfAnotherRun(t *testing.T) {
	s := storetest.New(t)
	d := s.Raw(func(r *storetest.Run) []byte {
		h := r.Header
		h.Source = "crm"
		return manifest.AppendTotals(manifest.AppendHeader(nil, h), manifest.Totals{})
	})
	if _, err := read(s, d); err == nil || !strings.Contains(err.Error(), "belongs to") {
		t.Errorf("got %v", err)
	}
}

func TestOnlyWhatTheDescriptionNamesIsTouched(t *testing.T) {
	s, d, _ := twoRuns(t)
	var first safe.RunID
	for run := range d.Runs {
		if run != d.Run {
			first = run
		}
	}
	for name, narrow := range map[string]func(safe.Snapshot){
		"run":  func(d safe.Snapshot) { delete(d.Runs, first) },
		"pack": func(d safe.Snapshot) { d.Runs[first] = safe.RunPacks{Envelope: d.Runs[first].Envelope} },
	} {
		narrowed := d
		narrowed.Runs = maps.Clone(d.Runs)
		narrow(narrowed)
		asked := make(map[safe.RunID]int)
		inner := s.Identities(s.Blobs, narrowed)
		before := s.Blobs.Counts().Opens
		_, err := readAll(t.Context(), s.Blobs, narrowed, func(ctx context.Context, run safe.RunID) (seal.RunIdentity, error) {
			asked[run]++
			return inner(ctx, run)
		})
		if err == nil || !strings.Contains(err.Error(), "does not name") {
			t.Errorf("without the %s: %v", name, err)
		}
		if diff := cmp.Diff(map[safe.RunID]int{d.Run: 1}, asked); diff != "" {
			t.Errorf("without the %s, envelopes opened:\n%s", name, diff)
		}
		for _, digest := range d.Runs[first].Packs {
			if reads := s.Blobs.Reads(layout.Pack(first, digest)); reads.Calls > 0 {
				t.Errorf("without the %s, its pack was read", name)
			}
		}
		if opens := s.Blobs.Counts().Opens - before; opens > 4 {
			t.Errorf("without the %s, %d objects were opened", name, opens)
		}
	}
}

// counted counts the objects that are open, and fails opening packs as often
// as it is told.
type counted struct {
	blob.Reader
	open, most atomic.Int64
	failing    atomic.Int64
}

type countedObject struct {
	blob.Object
	in *counted
}

var errTransient = errors.New("the network was away")

func (c *counted) Open(ctx context.Context, name string) (blob.Object, error) {
	if layout.Parse(name).Kind == layout.PackObject && c.failing.Add(-1) >= 0 {
		return nil, errTransient
	}
	o, err := c.Reader.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	n := c.open.Add(1)
	for most := c.most.Load(); n > most && !c.most.CompareAndSwap(most, n); most = c.most.Load() {
	}
	return &countedObject{o, c}, nil
}

func (o *countedObject) Close() error {
	o.in.open.Add(-1)
	return o.Object.Close()
}

// manyPacks makes a snapshot of which every file lies in a pack of its own.
func manyPacks(t *testing.T, n int) (*storetest.Store, safe.Snapshot, []manifest.Chunk) {
	s := storetest.New(t)
	s.PackChunks = 1
	var entries []storetest.Entry
	for i := range n {
		entries = append(entries, storetest.File(fmt.Sprintf("%03d", i), fmt.Sprint("content of ", i)))
	}
	d := s.Snapshot(entries...)
	var chunks []manifest.Chunk
	for i := range n {
		chunks = append(chunks, s.Chunks(d, fmt.Sprintf("%03d", i))...)
	}
	return s, d, chunks
}

func TestConcurrentReadingOpensEachEnvelopeOnceAndFewPacks(t *testing.T) {
	const readers = 8
	s, d, chunks := manyPacks(t, 100)
	r := &counted{Reader: s.Blobs}
	var asked atomic.Int64
	inner := s.Identities(r, d)
	snapshot, err := store.Open(t.Context(), r, d, func(ctx context.Context, run safe.RunID) (seal.RunIdentity, error) {
		asked.Add(1)
		return inner(ctx, run)
	})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for reader := range readers {
		wg.Go(func() {
			order := rand.New(rand.NewPCG(1, uint64(reader))).Perm(len(chunks))
			for _, i := range slices.Concat(order, order) {
				got, err := snapshot.Chunk(t.Context(), []byte("> "), chunks[i])
				if want := fmt.Sprint("> content of ", i); err != nil || string(got) != want {
					t.Errorf("chunk %d: %q, %v", i, got, err)
				}
			}
		})
	}
	wg.Wait()
	if asked.Load() != 1 {
		t.Errorf("the envelope was asked for %d times", asked.Load())
	}
	if most := r.most.Load(); most > 32+readers {
		t.Errorf("%d objects were open at a time", most)
	}
	if err := snapshot.Close(); err != nil {
		t.Error(err)
	}
	if open := r.open.Load(); open != 0 {
		t.Errorf("%d objects are left open", open)
	}
}

func TestOneReadersContextDoesNotEndTheOthers(t *testing.T) {
	s, d, chunks := manyPacks(t, 1)
	snapshot := s.Open(d)
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := snapshot.Chunk(ctx, nil, chunks[0]); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := snapshot.Chunk(ctx, nil, chunks[0]); !errors.Is(err, context.Canceled) {
		t.Errorf("after cancelling: %v", err)
	}
	if _, err := snapshot.Chunk(t.Context(), nil, chunks[0]); err != nil {
		t.Errorf("the next reader: %v", err)
	}
}

func TestCancellingTheWholeIsNoDamage(t *testing.T) {
	s, d, chunks := manyPacks(t, 2)
	ctx, cancel := context.WithCancel(t.Context())
	snapshot, err := store.Open(ctx, s.Blobs, d, s.Identities(s.Blobs, d))
	if err != nil {
		t.Fatal(err)
	}
	defer snapshot.Close()
	if _, err := snapshot.Chunk(t.Context(), nil, chunks[0]); err != nil {
		t.Fatal(err)
	}
	cancel()
	for i, c := range chunks { // one that is open, one that is not
		_, err := snapshot.Chunk(t.Context(), nil, c)
		var corrupt *store.CorruptError
		if !errors.Is(err, context.Canceled) || errors.As(err, &corrupt) {
			t.Errorf("chunk %d: %v", i, err)
		}
	}
}

func TestOpeningIsTriedAgain(t *testing.T) {
	s, d, chunks := manyPacks(t, 1)
	r := &counted{Reader: s.Blobs}
	snapshot, err := store.Open(t.Context(), r, d, s.Identities(r, d))
	if err != nil {
		t.Fatal(err)
	}
	r.failing.Store(1)
	if _, err := snapshot.Chunk(t.Context(), nil, chunks[0]); !errors.Is(err, errTransient) {
		t.Errorf("the first time: %v", err)
	}
	if _, err := snapshot.Chunk(t.Context(), nil, chunks[0]); err != nil {
		t.Errorf("the second time: %v", err)
	}
	if err := snapshot.Close(); err != nil || r.open.Load() != 0 {
		t.Errorf("closing: %v, and %d objects are open", err, r.open.Load())
	}
}

func TestReadersThatAreGivenUpLeaveNothing(t *testing.T) {
	s, d, _ := twoRuns(t)
	snapshot, err := store.Open(t.Context(), s.Blobs, d, s.Identities(s.Blobs, d))
	if err != nil {
		t.Fatal(err)
	}
	before := runtime.NumGoroutine()
	for range 50 {
		m, _, err := snapshot.Manifest(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.Next(); err != nil {
			t.Fatal(err)
		}
		if _, err := snapshot.Content(t.Context(), m).Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	// Close waits for what was being fetched.
	if err := snapshot.Close(); err != nil {
		t.Error(err)
	}
	// One that has done its work needs a moment to be gone.
	after := runtime.NumGoroutine()
	for range 100 {
		if after <= before {
			return
		}
		time.Sleep(20 * time.Millisecond)
		after = runtime.NumGoroutine()
	}
	t.Errorf("there were %d goroutines, now %d", before, after)
}

// TestWrongChunk asks for chunks that the packs do not hold.
func TestWrongChunk(t *testing.T) {
	s, d, chunks := manyPacks(t, 2)
	snapshot := s.Open(d)
	for name, change := range map[string]func(*manifest.Chunk){
		"hash":   func(c *manifest.Chunk) { c.Hash[0] ^= 1 },
		"offset": func(c *manifest.Chunk) { c.Offset++ },
		"beyond": func(c *manifest.Chunk) { c.Offset = 1 << 40 },
		"before": func(c *manifest.Chunk) { c.Offset = -1 },
		"stored": func(c *manifest.Chunk) { c.Stored-- },
		"length": func(c *manifest.Chunk) { c.Length++ },
		"huge":   func(c *manifest.Chunk) { c.Length = 1 << 31 },
		"empty":  func(c *manifest.Chunk) { c.Length = 0 },
		"run":    func(c *manifest.Chunk) { c.Run[15] ^= 1 },
		"pack":   func(c *manifest.Chunk) { c.Pack = chunks[1].Pack },
	} {
		c := chunks[0]
		change(&c)
		got, err := snapshot.Chunk(t.Context(), []byte("kept"), c)
		if err == nil || !bytes.Equal(got, []byte("kept")) {
			t.Errorf("another %s: %q, %v", name, got, err)
		}
	}
}
