package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"time"

	"strongroom/bench/scale/discard"
	"strongroom/bench/scale/generated"
	"strongroom/internal/collect"
	"strongroom/internal/safe"
	"strongroom/internal/source"
	"strongroom/internal/store/blob"
	"strongroom/internal/store/blob/dir"
	"strongroom/internal/store/layout"
	"strongroom/internal/store/memory"
	"strongroom/internal/store/seal"
)

const sourceName safe.SourceName = "generated"

// A collecting is the task of a child that collects.
type collecting struct {
	Shape     generated.Shape
	Store     safe.StoreID
	Run       safe.RunID
	Started   time.Time
	Recipient seal.RunRecipient
	MemoryDir string
	MemoryKey []byte // as a key file
	Last      *safe.Snapshot
	Into      string // folder of the store; empty to keep nothing
	Profile   string // what the names of memory profiles begin with; empty for none
}

// collected is what became of it.
type collected struct {
	Result collect.Result
	Stored discard.Counts // where nothing is kept
	// Tenths is what was used when each tenth of the source had been pulled,
	// with the memory that was held just then.
	Tenths []cost
	Live   []live // where profiles are made
}

// live is how much of the heap was in use, after a collection of garbage.
type live struct {
	When  string
	Bytes uint64
}

func (t *collecting) do(ctx context.Context) (_ *collected, err error) {
	key, err := seal.ReadMemoryIdentity(bytes.NewReader(t.MemoryKey))
	if err != nil {
		return nil, err
	}
	debug.SetGCPercent(collect.GCPercent)
	done := new(collected)
	in := collect.Input{
		Store: t.Store, Run: t.Run, Source: sourceName, Kind: "generated", Started: t.Started,
		From: &observed{Source: generated.New(t.Shape), shape: t.Shape, began: time.Now(), into: done, profile: t.Profile},
		Seal: t.Recipient.Seal, Cut: seal.CutKey{1},
		MemoryDir: t.MemoryDir, Memory: memory.Keys{Seal: key, Tag: seal.TagKey{2}},
	}
	if t.Last != nil {
		in.Complete, in.LastStarted, in.LastBytes = t.Last.Run, t.Last.Started, t.Last.Bytes
	}
	if t.Into == "" {
		counting := discard.New()
		defer func() { err = errors.Join(err, counting.Close()) }()
		defer func() { done.Stored = counting.Counts() }()
		in.Into = counting
	} else {
		into, err := openRun(ctx, t.Into, t.Run)
		if err != nil {
			return nil, err
		}
		defer into.Close() // what counts was synced
		in.Into = into
	}
	ending := &rootWatch{Writer: in.Into}
	in.Into = ending
	done.Result, err = collect.Run(ctx, ctx, in, func(e collect.Event) {
		// The first progress told after the root is that of the very end, while
		// all that a collection holds is still there.
		if e.Progress != nil && ending.seen && t.Profile != "" {
			err = errors.Join(err, done.profile(t.Profile, "finish"))
		}
	})
	if err == nil && !done.Result.Complete {
		err = fmt.Errorf("the collection is not complete: %s", done.Result.Reason)
	}
	return done, err
}

// openRun opens a run's folders in a store as a collector does.
func openRun(ctx context.Context, path string, run safe.RunID) (*dir.AddOnly, error) {
	store, err := dir.Open(path)
	if err != nil {
		return nil, err
	}
	defer store.Close() // nothing was written
	var names []string
	for _, folder := range []string{"packs", "parity", "root"} {
		names = append(names, layout.Run(run)+"/"+folder)
	}
	return store.AddOnly(ctx, names...)
}

// rootWatch notices that the root was published, near the end.
type rootWatch struct {
	blob.Writer
	seen bool
}

func (w *rootWatch) Stage(ctx context.Context) (blob.Staged, error) {
	s, err := w.Writer.Stage(ctx)
	return &rootStaged{s, w}, err
}

type rootStaged struct {
	blob.Staged
	watch *rootWatch
}

func (s *rootStaged) Publish(ctx context.Context, name string) error {
	if layout.Parse(name).Kind == layout.RootObject {
		s.watch.seen = true // roots are published by the goroutine that tells progress
	}
	return s.Staged.Publish(ctx, name)
}

// profile notes how much of the heap is in use, and writes for what.
func (c *collected) profile(prefix, when string) error {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	c.Live = append(c.Live, live{when, m.HeapAlloc})
	f, err := os.Create(prefix + when + ".heap")
	if err != nil {
		return err
	}
	return errors.Join(pprof.WriteHeapProfile(f), f.Close())
}

// observed is a source that notes what every tenth of it cost: of many files
// of their number, of few of their bytes.
type observed struct {
	source.Source
	shape   generated.Shape
	began   time.Time
	into    *collected
	profile string
}

func (o *observed) Pull(ctx context.Context, request source.Request) iter.Seq2[source.Item, error] {
	return func(yield func(source.Item, error) bool) {
		progress := &progress{total: o.shape.Files, note: o.note}
		byBytes := great(o.shape)
		if byBytes {
			progress.total = o.shape.Files * o.shape.Longest
		}
		for item, err := range o.Source.Pull(ctx, request) {
			switch {
			case byBytes && item.Content != nil:
				item.Content = &observedContent{item.Content, progress}
			case !byBytes && item.Type == safe.File:
				progress.add(1)
			}
			if !yield(item, err) {
				return
			}
		}
		if o.profile != "" {
			if err := o.into.profile(o.profile, "pulled"); err != nil {
				yield(source.Item{}, err)
			}
		}
	}
}

func (o *observed) note() {
	held, err := memoryOf("VmRSS")
	if err != nil {
		held = 0 // the peak, which counts, fails the measurement
	}
	o.into.Tenths = append(o.into.Tenths, cost{Wall: time.Since(o.began).Seconds(), Cores: cores(), Peak: held})
}

// progress calls note at every tenth of a total.
type progress struct {
	done, total int64
	tenths      int64
	note        func()
}

func (p *progress) add(n int64) {
	p.done += n
	for p.tenths < 10 && p.done*10 >= p.total*(p.tenths+1) {
		p.tenths++
		p.note()
	}
}

type observedContent struct {
	io.ReadCloser
	progress *progress
}

func (c *observedContent) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.progress.add(int64(n))
	return n, err
}
