package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"testing"
	"time"

	"strongroom/internal/collect"
	"strongroom/internal/safe"
	contract "strongroom/internal/source"
	"strongroom/internal/store/blob"
	"strongroom/internal/store/chunk"
	"strongroom/internal/store/memory"
	"strongroom/internal/store/refresh"
	"strongroom/internal/store/seal"
)

// TestLongAsTheProgram lets the program itself collect a small source, night after
// night, and the simulation the same one.
func TestLongAsTheProgram(t *testing.T) {
	if underRace {
		t.Skip("90 collections; make test runs it without the race detector")
	}
	const nights = 90
	r := product
	r.Rules = refresh.Rules{Reread: 10 * day, Refresh: 40 * day}
	p := newProgram(t, r.Rules)
	src := newSource(1)
	for i := range 8 { // of several chunks each
		p.add(src, fmt.Sprintf("a-%02d", i), 3<<20)
	}
	for i := range 300 {
		p.add(src, fmt.Sprintf("b-%03d", i), 20_000+i*997%60_000)
	}
	calendar := defaultCalendar(nights)
	sim, manifests := newStore(r, firstNight, calendar), newStore(r, firstNight, calendar)
	list := newListing(1)
	var simulated, real, again int64 // after the first night
	for night := range nights {
		var changed []int
		if night > 0 {
			changed = p.live(src, night)
		}
		got := sim.collect(src, changed)
		manifests.collect(list.lines, list.follow(src, sim.put))
		want, packs := p.collect(src, night)
		if got.source != want.Bytes {
			t.Fatalf("night %d: the simulated source has %d bytes, the real one %d", night, got.source, want.Bytes)
		}
		if night == 0 && got.fresh != want.NewBytes {
			t.Errorf("the first night stored %d bytes, simulated were %d", want.NewBytes, got.fresh)
		}
		if night > 0 {
			simulated, real, again = simulated+got.fresh+got.again, real+want.NewBytes, again+got.again
		}
		// The program's processors spend a night's budget side by side, so that
		// it ends with a chunk more or less, which the next night makes up for.
		if diff := simulated - real; max(diff, -diff) > 4<<20 {
			t.Errorf("until night %d the program stored %d bytes, simulated were %d", night, real, simulated)
		}
		alive := 0
		for run, n := range sim.alive {
			alive += n + manifests.alive[run]
		}
		if diff := alive - packs; max(diff, -diff) > 4+packs/10 {
			t.Errorf("night %d: the simulation needs %d packs, the program %d", night, alive, packs)
		}
	}
	t.Logf("after the first night the program stored %d bytes; simulated were %d, %d of them again", real, simulated, again)
	if again < simulated/4 {
		t.Error("too little was stored again to tell whether the rules are those of the program")
	}
	if diff := simulated - real; 100*max(diff, -diff) > 3*real {
		t.Error("that differs by more than 3 %")
	}
}

// A program is what runs the real collections. What it stores is not kept: a
// collection never reads it back.
type program struct {
	t      *testing.T
	rules  refresh.Rules
	keys   memory.Keys
	cut    seal.CutKey
	outer  seal.OuterIdentity
	inner  seal.InnerIdentity
	store  safe.StoreID
	folder string
	last   collect.Input
	bytes  int64

	content map[string][]byte
	changed map[string]time.Time
}

func newProgram(t *testing.T, r refresh.Rules) *program {
	outer, err1 := seal.NewOuterIdentity()
	inner, err2 := seal.NewInnerIdentity()
	sealed, err3 := seal.NewMemoryIdentity()
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	return &program{
		t: t, rules: r, outer: outer, inner: inner, store: safe.NewStoreID(), folder: t.TempDir(),
		keys: memory.Keys{Seal: sealed, Tag: seal.TagKey{1}}, cut: seal.CutKey{2},
		content: make(map[string][]byte), changed: make(map[string]time.Time),
	}
}

// add adds a file to both: the simulated one has the chunks that the real one
// is cut into.
func (p *program) add(src *source, path string, size int) {
	b := make([]byte, size)
	rand.NewChaCha8([32]byte{byte(len(src.files)), byte(len(src.files) >> 8)}).Read(b)
	p.content[path], p.changed[path] = b, firstNight
	f := file{path: path, first: len(src.lengths)}
	table := chunk.NewTable(p.cut[:])
	for len(b) > 0 {
		n := table.Cut(b, chunk.Files)
		src.lengths = append(src.lengths, uint32(n))
		b = b[n:]
	}
	f.end = len(src.lengths)
	src.files = append(src.files, f)
	src.bytes += int64(size)
}

// live is a churn, of both. What changes of a real chunk are its first bytes,
// which nothing is cut by.
func (p *program) live(src *source, night int) (changed []int) {
	if night%8 == 0 {
		p.add(src, fmt.Sprintf("c-%03d", night), 150_000)
	}
	if night == 60 {
		src.bytes -= src.size(src.files[0])
		src.gone = 1
	}
	for _, c := range src.some(len(src.lengths), 0.02) {
		if c < src.files[src.gone].first {
			continue
		}
		changed = append(changed, c)
		f := src.files[src.fileOf(c)]
		at := 0
		for _, n := range src.lengths[f.first:c] {
			at += int(n)
		}
		binary.BigEndian.PutUint64(p.content[f.path][at:], uint64(night))
		p.changed[f.path] = firstNight.AddDate(0, 0, night)
	}
	return changed
}

// collect collects what src has, and returns also how many packs the snapshot
// needs.
func (p *program) collect(src *source, night int) (collect.Result, int) {
	at := firstNight.AddDate(0, 0, night)
	run := safe.NewRunID(at)
	label := seal.Label{Store: p.store, Run: run, Source: "erp", Time: at, Roster: 1}
	_, recipient, err := seal.NewEnvelope(label, p.outer.Recipient(), p.inner.Recipient())
	if err != nil {
		p.t.Fatal(err)
	}
	in := collect.Input{
		Store: p.store, Run: run, Source: "erp", Kind: "files", Started: at,
		From: &files{p, src}, Into: drain{}, Seal: recipient.Seal, Cut: p.cut,
		MemoryDir: p.folder, Memory: p.keys,
		Complete: p.last.Run, LastStarted: p.last.Started, LastBytes: p.bytes,
		Options: collect.Options{Rules: p.rules, NoParity: true},
	}
	result, err := collect.Run(context.Background(), context.Background(), in, nil)
	if err != nil || !result.Complete {
		p.t.Fatalf("collecting: complete %t, %q, %v", result.Complete, result.Reason, err)
	}
	if err := memory.Sweep(p.folder, run); err != nil {
		p.t.Fatal(err)
	}
	p.last, p.bytes = in, result.Bytes
	packs := 0
	for _, needs := range result.Runs {
		packs += len(needs)
	}
	return result, packs
}

// files is the real source.
type files struct {
	program *program
	src     *source
}

func (f *files) Matches() []contract.Match { return nil }

func (f *files) Pull(_ context.Context, request contract.Request) iter.Seq2[contract.Item, error] {
	return func(yield func(contract.Item, error) bool) {
		for _, simulated := range f.src.files[f.src.gone:] {
			content, changed := f.program.content[simulated.path], f.program.changed[simulated.path]
			item := contract.Item{Entry: safe.Entry{
				Path: simulated.path, Type: safe.File, Mode: 0o644, MTime: changed, CTime: changed, Inode: 7, Size: int64(len(content)),
			}}
			if request.Need(item.Entry) {
				item.Content = io.NopCloser(bytes.NewReader(content))
			}
			if !yield(item, nil) {
				return
			}
		}
	}
}

// A drain is a store that keeps nothing.
type drain struct{}

func (drain) Stage(context.Context) (blob.Staged, error) { return drain{}, nil }
func (drain) Sync(context.Context) error                 { return nil }
func (drain) Write(b []byte) (int, error)                { return len(b), nil }
func (drain) Publish(context.Context, string) error      { return nil }
func (drain) Discard() error                             { return nil }
func (drain) ReadAt([]byte, int64) (int, error) {
	return 0, errors.New("nothing is kept here")
}
