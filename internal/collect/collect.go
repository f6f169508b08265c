// Package collect runs one source into the store: it pulls the entries, reads
// what is new or has its turn, hands the content to intake, and writes
// manifest, memory and root.
//
// It is the work of a child process that may do little else (see package
// child): it knows the run's recipient and not its identity, and can neither
// read nor overwrite what lies in the store. It does not commit anything: its
// Result is a claim, which the process that keeps the ledger checks and records.
package collect

import (
	"context"
	"errors"
	"fmt"
	"time"

	"strongroom/internal/safe"
	"strongroom/internal/source"
	"strongroom/internal/store/blob"
	"strongroom/internal/store/chunk"
	"strongroom/internal/store/intake"
	"strongroom/internal/store/manifest"
	"strongroom/internal/store/memory"
	"strongroom/internal/store/pack"
	"strongroom/internal/store/refresh"
	"strongroom/internal/store/seal"
)

// GCPercent is the setting of Go's garbage collector (debug.SetGCPercent) for a
// process that collects: its heap is collected when it has grown by so much
// instead of to the double. What a host has to have spare at night is the peak.
const GCPercent = 35

// Input is what a collection needs. Everything but Options and the earlier
// runs is required.
type Input struct {
	Store   safe.StoreID
	Run     safe.RunID
	Source  safe.SourceName
	Kind    string
	Started time.Time

	From source.Source
	Into blob.Writer
	Seal intake.Seal // to the run's recipient
	Cut  seal.CutKey

	MemoryDir string // of the source
	Memory    memory.Keys

	// Complete is the run of the source's newest complete snapshot, Unfinished
	// that of its last unfinished run; zero if there is none. No other run's
	// memory is looked at, and what it says is checked by whoever commits.
	Complete   safe.RunID
	Unfinished safe.RunID
	// LastStarted and LastBytes are those of the newest complete snapshot.
	LastStarted time.Time
	LastBytes   int64

	Options Options
}

// Options tunes a collection. The zero value is ready to use.
type Options struct {
	Rules           refresh.Rules
	Level           pack.Level
	NoParity        bool
	AllowUnreadable bool // what cannot be read does not make the collection incomplete
	Limits          Limits

	// CheckpointEvery and CheckpointPacks say how much a crash may cost, besides
	// what does not fill a pack yet: a pack is not ended early for a checkpoint.
	// 0 means 60 s and 64 packs.
	CheckpointEvery time.Duration
	CheckpointPacks int
}

// Result is what became of a collection.
type Result struct {
	Complete bool   `json:"complete"`
	Reason   string `json:"reason,omitempty"` // why it is not complete: the first cause, without a name
	Cause    error  `json:"-"`                // the same, for decisions; lost on the way to another process

	Entries     int64 `json:"entries"`
	Bytes       int64 `json:"bytes"`
	NewBytes    int64 `json:"new_bytes"`
	StoredBytes int64 `json:"stored_bytes"`
	ParityBytes int64 `json:"parity_bytes"`
	Warnings    int64 `json:"warnings"`

	// Root is zero if there was nothing to keep.
	Root safe.Digest `json:"root"`
	// Runs are those that the snapshot refers to, each with the packs of it
	// that are needed, ascending.
	Runs    map[safe.RunID][]safe.Digest `json:"runs"`
	Matches []source.Match               `json:"matches"`
}

// An Event is something that happened on the way. Exactly one field is set.
type Event struct {
	Progress   *Progress   `json:"progress,omitempty"`
	Problem    *Problem    `json:"problem,omitempty"`
	Checkpoint *Checkpoint `json:"checkpoint,omitempty"`
}

// Progress counts what was done so far.
type Progress struct {
	Entries  int64 `json:"entries"`
	Bytes    int64 `json:"bytes"`     // of content, read or known
	Read     int64 `json:"read"`      // of content that was read
	NewBytes int64 `json:"new_bytes"` // of content that was stored
}

// A Problem is a source.Problem on its way to another process.
type Problem struct {
	Kind source.Kind `json:"kind"`
	Path []byte      `json:"path"` // any bytes
	Text string      `json:"text"`
}

// A Checkpoint says that what was stored so far survives a crash.
type Checkpoint struct {
	Packs int `json:"packs"`
}

// Poisoned is the kind of problem with a file whose content changed while its
// size and times did not. Nothing honest does that.
const Poisoned source.Kind = "content changed, size and time did not"

// ErrStopped is the cause with which a caller cancels the pulling, so that
// what was collected until then is kept as a partial snapshot.
var ErrStopped = errors.New("stopped by request")

// ErrNothing is the cause if a source yields nothing at all, as where a
// filesystem is not mounted: that is no snapshot to rely on, however well it
// went.
var ErrNothing = errors.New("nothing that was specified is there")

// Run collects. When pulling ends, whether it fails, finishes, or is stopped
// by cancelling pull, what was collected is completed to a snapshot: partial
// unless everything went well. Cancelling ctx, which also ends the pulling,
// leaves things as a crash would.
//
// An error means that there is no snapshot, and why. It goes into the ledger,
// which anyone may read, so it names no entry of the source: problems with
// entries are events. events, which may be nil, is called from one goroutine
// at a time.
func Run(ctx, pull context.Context, in Input, events func(Event)) (Result, error) {
	c, err := begin(ctx, in, events)
	if err != nil {
		return Result{}, err
	}
	defer c.close()
	return c.run(ctx, pull)
}

func (c *collector) run(ctx, pull context.Context) (Result, error) {
	broke, err := c.pull(ctx, pull)
	if err != nil {
		return Result{}, err
	}
	if broke != nil {
		c.incomplete(broke)
	}
	return c.finish(ctx)
}

// begin opens what a collection works with.
func begin(ctx context.Context, in Input, events func(Event)) (*collector, error) {
	if in.Options.CheckpointEvery == 0 {
		in.Options.CheckpointEvery = time.Minute
	}
	if in.Options.CheckpointPacks == 0 {
		in.Options.CheckpointPacks = 64
	}
	if events == nil {
		events = func(Event) {}
	}
	c := &collector{
		in:     in,
		events: events,
		night:  refresh.NewNight(in.Options.Rules, in.LastStarted, in.Started, in.LastBytes),

		sinceBroken: refresh.NewNight(in.Options.Rules, in.Unfinished.Time(), in.Started, in.LastBytes),
		needed:      make(map[safe.Digest]safe.RunID),
		result:      Result{Complete: true},
		saved:       time.Now(),
	}
	if err := c.recall(ctx); err != nil {
		c.close()
		return nil, err
	}
	var err error
	if c.memory, err = memory.Create(in.MemoryDir, in.Run, in.Memory, memory.Options{}); err != nil {
		c.close()
		return nil, fmt.Errorf("beginning the memory of the run: %w", err)
	}
	table := chunk.NewTable(in.Cut[:])
	c.files = chunk.NewCutter(table, chunk.Files)
	c.streams = chunk.NewCutter(table, chunk.Records)
	c.intake = intake.New(ctx, in.Into, in.Run, in.Seal, c.known, intake.Options{Level: in.Options.Level, NoParity: in.Options.NoParity})
	c.data = c.intake.NewLane()
	c.list = newList(c.intake.NewLane(), chunk.NewCutter(table, chunk.Manifests), c.renewStream)
	header := manifest.Header{Store: in.Store, Run: in.Run, Source: in.Source, Kind: in.Kind, Started: in.Started.UTC()}
	if _, err := c.list.Write(manifest.AppendHeader(nil, header)); err != nil {
		c.close()
		return nil, fmt.Errorf("storing the manifest: %w", err)
	}
	return c, nil
}

// recall opens the memories of earlier runs. One that is lost costs space,
// since everything is then stored again, and is a warning.
func (c *collector) recall(ctx context.Context) error {
	for _, earlier := range []struct {
		run  safe.RunID
		into **recollection
	}{{c.in.Complete, &c.complete}, {c.in.Unfinished, &c.unfinished}} {
		if earlier.run.IsZero() {
			continue
		}
		m, err := memory.Open(ctx, c.in.MemoryDir, earlier.run, c.in.Memory)
		var damaged *memory.DamagedError
		switch {
		case errors.Is(err, memory.ErrNone) && earlier.run == c.in.Unfinished:
			continue // it broke off before its first checkpoint
		case errors.Is(err, memory.ErrNone):
			c.warn(Problem{Kind: "memory lost", Text: err.Error() + "; everything is read and stored again"})
			continue
		case errors.As(err, &damaged):
			c.warn(Problem{Kind: "memory lost", Text: err.Error() + "; everything is read and stored again"})
			continue
		case err != nil:
			return err
		}
		*earlier.into = newRecollection(m)
	}
	return nil
}
