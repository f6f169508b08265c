package intake_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/safe"
	"strongroom/internal/store/blob"
	"strongroom/internal/store/blob/fault"
	"strongroom/internal/store/blob/mem"
	"strongroom/internal/store/chunk"
	"strongroom/internal/store/intake"
	"strongroom/internal/store/layout"
	"strongroom/internal/store/manifest"
	"strongroom/internal/store/pack"
	"strongroom/internal/store/seal"
)

var underRace bool // set by race_test.go

// A run is what tests store under, and the key that reads it back.
type run struct {
	id       safe.RunID
	identity seal.RunIdentity
}

func newRun(t *testing.T) run {
	t.Helper()
	outer, err1 := seal.NewOuterIdentity()
	inner, err2 := seal.NewInnerIdentity()
	id, store := safe.NewRunID(time.Now()), safe.NewStoreID()
	envelope, _, err3 := seal.NewEnvelope(seal.Label{Store: store, Run: id, Source: "web", Time: time.Now(), Roster: 1}, outer.Recipient(), inner.Recipient())
	want := seal.Want{Store: store, Run: id, Source: "web"}
	file, err4 := seal.OpenOuter(outer, envelope, want)
	identity, err5 := seal.OpenInner(inner, file, want)
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		t.Fatal(err)
	}
	return run{id, identity}
}

func (r run) intake(ctx context.Context, dst blob.Writer, known intake.Known, opts intake.Options) *intake.Intake {
	if known == nil {
		known = func(safe.Digest) (manifest.Chunk, bool, error) { return manifest.Chunk{}, false, nil }
	}
	return intake.New(ctx, dst, r.id, r.identity.Recipient().Seal, known, opts)
}

// read returns the content of a chunk out of its pack.
func (r run) read(t *testing.T, from blob.Reader, c manifest.Chunk) []byte {
	t.Helper()
	o, err := from.Open(context.Background(), layout.Pack(c.Run, c.Pack))
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	p, err := pack.Open(o, o.Size(), r.identity.OpenAt)
	if err != nil {
		t.Fatal(err)
	}
	b, err := p.Chunk(nil, pack.Ref{Hash: c.Hash, Offset: c.Offset, Stored: c.Stored, Length: c.Length})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// tables returns the chunks of the packs, in the order in which they lie.
func (r run) tables(t *testing.T, from blob.Reader, packs []intake.Finished) (all []pack.Ref) {
	t.Helper()
	for _, f := range packs {
		sealed, err := blob.ReadAll(context.Background(), from, layout.Pack(r.id, f.Digest), pack.Target)
		if err != nil {
			t.Fatal(err)
		}
		if safe.DigestOf(sealed) != f.Digest || int64(len(sealed)) != f.Stored {
			t.Errorf("pack %s does not have the digest and size that were told", f.Digest)
		}
		p, err := pack.Open(bytes.NewReader(sealed), f.Stored, r.identity.OpenAt)
		if err != nil {
			t.Fatal(err)
		}
		refs, err := p.Table()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, refs...)
	}
	return all
}

func cutter(sizes chunk.Sizes) *chunk.Cutter {
	return chunk.NewCutter(chunk.NewTable([]byte("a key")), sizes)
}

// noise returns bytes that cannot be compressed, the same for the same seed.
func noise(seed uint64, n int) []byte {
	b := make([]byte, n)
	var key [32]byte
	key[0], key[1] = byte(seed), byte(seed>>8)
	rand.NewChaCha8(key).Read(b)
	return b
}

func text(n int) []byte { return bytes.Repeat([]byte("all work and no play "), n/21+1)[:n] }

// chunksOf returns the places of pieces, all of which must have one.
func chunksOf(t *testing.T, pieces []*intake.Piece) []manifest.Chunk {
	t.Helper()
	chunks := make([]manifest.Chunk, len(pieces))
	for i, p := range pieces {
		var ok bool
		if chunks[i], ok = p.Chunk(); !ok {
			t.Fatalf("piece %d of %d has no place", i, len(pieces))
		}
	}
	return chunks
}

// storeAll has a lane store all of src, and returns the pieces.
func storeAll(lane *intake.Lane, src io.Reader, cutter *chunk.Cutter, renew intake.Renew) (pieces []*intake.Piece, size int64, err error) {
	size, err = lane.Store(src, cutter, renew, func(p *intake.Piece) { pieces = append(pieces, p) })
	return pieces, size, err
}

func TestWhatIsStoredCanBeReadBack(t *testing.T) {
	r, store := newRun(t), mem.New(mem.Options{})
	in := r.intake(t.Context(), store, nil, intake.Options{})
	defer in.Close()
	lane := in.NewLane()
	files := cutter(chunk.Files)

	type stored struct {
		content []byte
		pieces  []*intake.Piece
	}
	var all []stored
	for i, size := range []int{0, 1, 64 << 10, 64<<10 + 1, 256 << 10, 1 << 20, 4 << 20, 9<<20 + 7} {
		for _, content := range [][]byte{noise(uint64(i), size), text(size)} {
			pieces, n, err := storeAll(lane, bytes.NewReader(content), files, nil)
			if err != nil || n != int64(size) {
				t.Fatalf("storing %d bytes: %d, %v", size, n, err)
			}
			all = append(all, stored{content, pieces})
		}
	}
	if err := lane.Finish(); err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		var got []byte
		for _, c := range chunksOf(t, s.pieces) {
			got = append(got, r.read(t, store, c)...)
		}
		if !bytes.Equal(got, s.content) {
			t.Errorf("%d bytes came back as %d other ones", len(s.content), len(got))
		}
	}
	if err := in.Close(); err != nil {
		t.Error(err)
	}
}

func TestPacksHoldPiecesInOrder(t *testing.T) {
	r, store := newRun(t), mem.New(mem.Options{})
	in := r.intake(t.Context(), store, nil, intake.Options{Workers: 4})
	defer in.Close()
	lane := in.NewLane()
	var want, got []safe.Digest
	var pieces []*intake.Piece
	for i := range 300 { // sizes vary, so that later pieces are ready before earlier ones
		p, _, err := storeAll(lane, bytes.NewReader(noise(uint64(i), 1+i*7919%200_000)), cutter(chunk.Files), nil)
		if err != nil {
			t.Fatal(err)
		}
		pieces = append(pieces, p...)
		if i%100 == 99 {
			if err := lane.Finish(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, c := range chunksOf(t, pieces) {
		want = append(want, c.Hash)
	}
	if n := len(in.Finished()); n != 3 {
		t.Errorf("there are %d packs, want one for each Finish", n)
	}
	for _, ref := range r.tables(t, store, in.Finished()) {
		got = append(got, ref.Hash)
	}
	if !slices.Equal(got, want) {
		t.Error("packs do not hold the pieces in the order in which they were read")
	}
}

func TestEqualContentIsStoredOnce(t *testing.T) {
	r, store := newRun(t), mem.New(mem.Options{})
	in := r.intake(t.Context(), store, nil, intake.Options{Workers: 4})
	defer in.Close()
	content := noise(1, 3<<20)
	var unique int64
	var pieces [4][]*intake.Piece
	lanes := make([]*intake.Lane, len(pieces))
	for i := range lanes {
		lanes[i] = in.NewLane()
	}
	for range 3 { // under way, in an open pack, in a finished one
		var wg sync.WaitGroup
		for i, lane := range lanes {
			wg.Go(func() {
				for range 3 {
					p, _, err := storeAll(lane, bytes.NewReader(content), cutter(chunk.Files), nil)
					if err != nil {
						t.Error(err)
					}
					pieces[i] = append(pieces[i], p...)
				}
			})
		}
		wg.Wait()
		// Every lane has its places after its own Finish, wherever the content
		// went.
		for i, lane := range lanes {
			if err := lane.Finish(); err != nil {
				t.Fatal(err)
			}
			chunksOf(t, pieces[i])
		}
	}
	for _, lane := range lanes {
		unique += lane.NewBytes()
	}
	if unique != int64(len(content)) {
		t.Errorf("%d bytes count as new, want %d", unique, len(content))
	}
	seen := make(map[safe.Digest]bool)
	for _, ref := range r.tables(t, store, in.Finished()) {
		if seen[ref.Hash] {
			t.Errorf("chunk %s is in the packs twice", ref.Hash)
		}
		seen[ref.Hash] = true
	}
}

func TestFinishCoversContentOfAnotherLane(t *testing.T) {
	r, store := newRun(t), mem.New(mem.Options{})
	in := r.intake(t.Context(), store, nil, intake.Options{})
	defer in.Close()
	first, second := in.NewLane(), in.NewLane()
	var pieces [2][]*intake.Piece
	var err error
	for i, lane := range []*intake.Lane{first, second} {
		if pieces[i], _, err = storeAll(lane, bytes.NewReader(noise(1, 1<<20)), cutter(chunk.Files), nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := second.Finish(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(chunksOf(t, pieces[0]), chunksOf(t, pieces[1])); diff != "" {
		t.Errorf("equal content has two places:\n%s", diff)
	}
}

func TestPacksEndAtTheirTarget(t *testing.T) {
	r, store := newRun(t), mem.New(mem.Options{})
	in := r.intake(t.Context(), store, nil, intake.Options{NoParity: true})
	defer in.Close()
	lane := in.NewLane()
	const size = 80 << 20
	if _, _, err := storeAll(lane, bytes.NewReader(noise(1, size)), cutter(chunk.Files), nil); err != nil {
		t.Fatal(err)
	}
	if err := lane.Finish(); err != nil {
		t.Fatal(err)
	}
	packs := in.Finished()
	if len(packs) != 3 {
		t.Errorf("80 MiB take %d packs, want 3", len(packs))
	}
	var frames int64
	for i, p := range packs {
		if p.Stored > pack.Target {
			t.Errorf("pack %d has %d bytes, at most %d are allowed", i, p.Stored, pack.Target)
		}
		if least := int64(pack.Target - chunk.Files.Max - 1<<20); i < len(packs)-1 && p.Stored < least {
			t.Errorf("pack %d was ended at %d bytes", i, p.Stored)
		}
		if p.Parity != 0 {
			t.Errorf("pack %d has parity of %d bytes, which nobody asked for", i, p.Parity)
		}
		frames += p.Frames
	}
	if frames < size {
		t.Errorf("%d bytes that repeat nothing take frames of %d", size, frames)
	}
}

func TestParityStandsBesideEveryPack(t *testing.T) {
	r, store := newRun(t), mem.New(mem.Options{})
	in := r.intake(t.Context(), store, nil, intake.Options{})
	defer in.Close()
	lane := in.NewLane()
	storeAll(lane, bytes.NewReader(noise(1, 1<<20)), cutter(chunk.Files), nil)
	if err := lane.Finish(); err != nil {
		t.Fatal(err)
	}
	for _, p := range in.Finished() {
		info, err := store.Stat(t.Context(), layout.Parity(r.id, p.Digest))
		if err != nil || info.Size != p.Parity {
			t.Errorf("parity of %d bytes (%v), told were %d", info.Size, err, p.Parity)
		}
		info, err = store.Stat(t.Context(), layout.Pack(r.id, p.Digest))
		if err != nil || info.Size != p.Stored {
			t.Errorf("a pack of %d bytes (%v), told were %d", info.Size, err, p.Stored)
		}
	}
}

func TestKnownContentIsLeftOutUnlessRenewed(t *testing.T) {
	content := noise(1, 1000)
	before := manifest.Chunk{Hash: safe.DigestOf(content), Run: safe.NewRunID(time.Now()), Pack: safe.Digest{1}, Stored: 1010, Length: 1000}
	wrong := before
	wrong.Length = 999
	for _, test := range []struct {
		name   string
		known  manifest.Chunk
		renew  intake.Renew
		stored bool
	}{
		{"known", before, nil, false},
		{"known, not due", before, func(manifest.Chunk) bool { return false }, false},
		{"known and due", before, func(c manifest.Chunk) bool { return c == before }, true},
		{"known with another length", wrong, nil, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, store := newRun(t), mem.New(mem.Options{})
			known := func(h safe.Digest) (manifest.Chunk, bool, error) { return test.known, h == test.known.Hash, nil }
			in := r.intake(t.Context(), store, known, intake.Options{})
			defer in.Close()
			lane := in.NewLane()
			var pieces []*intake.Piece
			for range 2 { // renewed once, not each time
				p, _, err := storeAll(lane, bytes.NewReader(content), cutter(chunk.Files), test.renew)
				if err != nil {
					t.Fatal(err)
				}
				pieces = append(pieces, p...)
			}
			if err := lane.Finish(); err != nil {
				t.Fatal(err)
			}
			chunks := chunksOf(t, pieces)
			if stored := chunks[0].Run == r.id; stored != test.stored || chunks[0] != chunks[1] {
				t.Errorf("the chunk lies in %+v and %+v", chunks[0], chunks[1])
			}
			if stored := lane.NewBytes() > 0; stored != test.stored || lane.NewBytes() > 1000 {
				t.Errorf("%d bytes count as new", lane.NewBytes())
			}
		})
	}
}

func TestErrorOfTheSourceComesWithWhatWasBefore(t *testing.T) {
	r, store := newRun(t), mem.New(mem.Options{})
	in := r.intake(t.Context(), store, nil, intake.Options{})
	defer in.Close()
	lane := in.NewLane()
	broken := errors.New("the line is dead")
	content := noise(1, 5<<20)
	pieces, n, err := storeAll(lane, io.MultiReader(bytes.NewReader(content), iotest.ErrReader(broken)), cutter(chunk.Files), nil)
	if !errors.Is(err, broken) || len(pieces) == 0 {
		t.Fatalf("%d pieces and %v", len(pieces), err)
	}
	// The Intake goes on.
	more, _, err := storeAll(lane, bytes.NewReader(text(1000)), cutter(chunk.Files), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := lane.Finish(); err != nil {
		t.Fatal(err)
	}
	var got []byte
	for _, c := range chunksOf(t, pieces) {
		got = append(got, r.read(t, store, c)...)
	}
	if n != int64(len(got)) || !bytes.Equal(got, content[:n]) {
		t.Errorf("the pieces before the error are not what was read")
	}
	chunksOf(t, more)
}

func TestErrorOfLookingUpEndsTheWork(t *testing.T) {
	r := newRun(t)
	broken := errors.New("the memory is gone")
	known := func(safe.Digest) (manifest.Chunk, bool, error) { return manifest.Chunk{}, false, broken }
	in := r.intake(t.Context(), mem.New(mem.Options{}), known, intake.Options{})
	lane := in.NewLane()
	_, _, err := storeAll(lane, bytes.NewReader(noise(1, 100<<20)), cutter(chunk.Files), nil)
	if !errors.Is(err, broken) {
		t.Errorf("Store: %v", err)
	}
	if err := lane.Finish(); !errors.Is(err, broken) {
		t.Errorf("Finish: %v", err)
	}
	if err := in.Close(); !errors.Is(err, broken) {
		t.Errorf("Close: %v", err)
	}
}

// TestFaults lets the store fail at every operation in every manner. In the
// bubble of synctest, goroutines that wait for one another for ever, or that
// are left behind, fail the test.
func TestFaults(t *testing.T) {
	r := newRun(t)
	for _, mode := range fault.Modes {
		t.Run(string(mode), func(t *testing.T) {
			struck, step := 0, 1
			if underRace {
				step = 7
			}
			for n := 1; ; n += step {
				store := mem.New(mem.Options{})
				faulty := fault.New(store, mode, n)
				var chunks []manifest.Chunk
				var packs []intake.Finished
				synctest.Test(t, func(t *testing.T) { chunks, packs = storeThreePacks(t, r, faulty) })
				for _, c := range chunks {
					r.read(t, store, c) // so its pack is there
				}
				r.tables(t, store, packs)
				if !faulty.Struck() {
					break
				}
				struck += step
			}
			if struck < 20 {
				t.Errorf("only %d operations could fail", struck)
			}
		})
	}
}

// TestErrorOfWritingSaysItOnce lets the first write of a pack fail: an error for
// people names what was being done, and once is enough.
func TestErrorOfWritingSaysItOnce(t *testing.T) {
	r := newRun(t)
	for _, test := range []struct {
		where string
		size  int
	}{
		{"when the pack is ended", 80_000},
		{"when more is added", 8 << 20}, // more than is under way to the store
	} {
		t.Run(test.where, func(t *testing.T) {
			in := r.intake(t.Context(), fault.New(mem.New(mem.Options{}), fault.Fail, 2), nil, intake.Options{})
			lane := in.NewLane()
			if _, _, err := storeAll(lane, bytes.NewReader(noise(1, test.size)), cutter(chunk.Files), nil); err == nil {
				lane.Finish() // what it returns is that of Close
			}
			err := in.Close()
			if err == nil || err.Error() != "writing a pack: writing: "+fault.ErrInjected.Error() {
				t.Errorf("Close returns %v", err)
			}
		})
	}
}

// storeThreePacks stores something through two lanes, and returns the chunks
// and packs that have a place according to the Intake.
func storeThreePacks(t *testing.T, r run, faulty *fault.Store) (chunks []manifest.Chunk, packs []intake.Finished) {
	in := r.intake(t.Context(), faulty, nil, intake.Options{Workers: 2})
	lanes := []*intake.Lane{in.NewLane(), in.NewLane()}
	var all [2][]*intake.Piece
	var errs [2]error
	var wg sync.WaitGroup
	for i, lane := range lanes {
		wg.Go(func() {
			for j := range 3 {
				// The second of the three is in both lanes.
				pieces, _, err := storeAll(lane, bytes.NewReader(noise(uint64(j*(i+1-j%2*i)), 80_000)), cutter(chunk.Files), nil)
				all[i] = append(all[i], pieces...)
				if err == nil {
					err = lane.Finish()
				}
				if errs[i] = err; err != nil {
					return
				}
				for _, p := range all[i] {
					if _, ok := p.Chunk(); !ok {
						t.Error("after Finish a piece has no place")
					}
				}
			}
		})
	}
	wg.Wait()
	err := in.Close()
	if faulty.Struck() != (err != nil) || err != nil && !errors.Is(err, fault.ErrInjected) {
		t.Errorf("fault at operation %d: Close returns %v", faulty.Operations(), err)
	}
	for i := range lanes {
		if err == nil && errs[i] != nil || errs[i] != nil && !errors.Is(errs[i], fault.ErrInjected) {
			t.Errorf("lane %d: %v, and Close %v", i, errs[i], err)
		}
		for _, p := range all[i] {
			if c, ok := p.Chunk(); ok {
				chunks = append(chunks, c)
			} else if err == nil {
				t.Error("a piece has no place")
			}
		}
	}
	return chunks, in.Finished()
}

func TestCancellingEndsEverything(t *testing.T) {
	r := newRun(t)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		why := errors.New("enough")
		in := r.intake(ctx, mem.New(mem.Options{}), nil, intake.Options{Workers: 2})
		lane := in.NewLane()
		endless := &endless{after: 10 << 20, then: func() { cancel(why) }}
		if _, _, err := storeAll(lane, endless, cutter(chunk.Files), nil); !errors.Is(err, why) {
			t.Errorf("Store: %v", err)
		}
		if err := lane.Finish(); !errors.Is(err, why) {
			t.Errorf("Finish: %v", err)
		}
		in.Close()
	})
}

func TestCloseWithoutFinishLosesOnlyWhatWasOpen(t *testing.T) {
	r := newRun(t)
	synctest.Test(t, func(t *testing.T) {
		store := mem.New(mem.Options{})
		in := r.intake(t.Context(), store, nil, intake.Options{})
		lane := in.NewLane()
		kept, _, _ := storeAll(lane, bytes.NewReader(noise(1, 1000)), cutter(chunk.Files), nil)
		if err := lane.Finish(); err != nil {
			t.Fatal(err)
		}
		lost, _, _ := storeAll(lane, bytes.NewReader(noise(2, 1000)), cutter(chunk.Files), nil)
		for range 2 {
			if err := in.Close(); err != nil {
				t.Error(err)
			}
		}
		chunksOf(t, kept)
		if _, ok := lost[0].Chunk(); ok {
			t.Error("a piece has a place in a pack that was not finished")
		}
	})
}

// An endless source yields what cannot be compressed, and calls then once.
type endless struct {
	src   *rand.ChaCha8
	after int
	then  func()
}

func (e *endless) Read(p []byte) (int, error) {
	if e.src == nil {
		e.src = rand.NewChaCha8([32]byte{})
	}
	if e.after -= len(p); e.after < 0 && e.then != nil {
		e.then()
		e.then = nil
	}
	return e.src.Read(p)
}

// nowhere is a store that keeps nothing.
type nowhere struct{ blob.Staged }

func (nowhere) Stage(context.Context) (blob.Staged, error) { return nowhere{}, nil }
func (nowhere) Sync(context.Context) error                 { return nil }
func (nowhere) Write(p []byte) (int, error)                { return len(p), nil }
func (nowhere) Publish(_ context.Context, _ string) error  { return nil }
func (nowhere) Discard() error                             { return nil }

func TestMemoryIsBounded(t *testing.T) {
	const size, most = 200 << 20, 100 << 20
	runtime.GC()
	var peak uint64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapAlloc)
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	})
	r := newRun(t)
	in := r.intake(t.Context(), nowhere{}, nil, intake.Options{NoParity: true})
	lane := in.NewLane()
	if _, n, err := storeAll(lane, io.LimitReader(&endless{}, size), cutter(chunk.Files), nil); n != size || err != nil {
		t.Errorf("stored %d bytes: %v", n, err)
	}
	if err := errors.Join(lane.Finish(), in.Close()); err != nil {
		t.Error(err)
	}
	close(stop)
	wg.Wait()
	t.Logf("the heap had %d MiB at most", peak>>20)
	if peak > most {
		t.Errorf("the heap had %d MiB, at most %d are allowed", peak>>20, most>>20)
	}
}
