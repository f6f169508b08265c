package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"

	"strongroom/internal/collect"
	"strongroom/internal/daemon/child"
	"strongroom/internal/daemon/state"
	"strongroom/internal/estate"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/safe/config"
	"strongroom/internal/safe/keep"
	"strongroom/internal/source"
	"strongroom/internal/store/blob"
	"strongroom/internal/store/layout"
	"strongroom/internal/store/memory"
	"strongroom/internal/store/seal"
)

// An Outcome is what became of a collection.
type Outcome struct {
	Snapshot *safe.Snapshot // nil if nothing could be kept
	Reason   string         // why it is partial or missing; "" if complete
	Finding  *child.Finding // nil if there is none
	Matches  []source.Match
	Facts    *estate.Facts // what it tells of the estate; nil if it could not
}

// Kinds of findings about a collection, beside child.HostKeyRefused.
const (
	collectorLied  = "source.collector_lied"
	contentChanged = "source.content_changed"
)

// ErrBusy says that another process is collecting the same source.
var ErrBusy = errors.New("this source is being collected already")

// A FailedError says that a collection kept nothing.
type FailedError struct {
	Source safe.SourceName
	Reason string
	Err    error // what does not hold of the collector's claims, or ENOSPC; nil if it is neither
}

func (e *FailedError) Unwrap() error { return e.Err }

func (e *FailedError) Error() string {
	return fmt.Sprintf("collecting %s: nothing could be kept: %s", e.Source, e.Reason)
}

// Collect runs a source and commits what came of it. Cancelling stop ends the
// pulling and keeps what was collected until then, as a partial snapshot;
// cancelling ctx leaves things as a crash would. events, which may be nil, is
// called from one goroutine at a time.
//
// The order matters:
//
//  1. run.begun  one transaction: state, ledger entry, envelope's bytes
//  2. publish    envelope with its copy, ledger entry, checkpoint, from that
//  3. packs      the child; as often as is configured a checkpoint of what
//     survives a crash
//  4. root       the child; it is the last thing that it writes
//  5. commit     one transaction: state, ledger entry, description's bytes
//  6. forget     what is remembered of all runs that the next cannot build on
//  7. publish    description, ledger entry, checkpoint, from the transaction
//
// A crash before 1 leaves nothing, since the run's key was in memory only. One
// before 5 leaves a run without a snapshot, whose checkpointed packs the next
// run may use. One after 1 or 5 leaves a full outbox, which the next Publish
// empties, and memories, which the next collection forgets before it begins.
// So the ledger, or the outbox, knows every run of which there is anything in
// the store; a pack is sealed only to a key whose envelope is durable; and
// nothing in the store ever refers to what is not there.
func (s *Safe) Collect(ctx, stop context.Context, src config.Source, events func(collect.Event)) (Outcome, error) {
	if events == nil {
		events = func(collect.Event) {}
	}
	unlock, err := s.lockSource(src.Name)
	if err != nil {
		return Outcome{}, err
	}
	defer unlock()
	if err := s.Publish(ctx); err != nil {
		return Outcome{}, err
	}
	if err := s.meetRecipients(ctx); err != nil {
		return Outcome{}, err
	}
	r := &run{safe: s, source: src, events: events, started: s.opts.Now().UTC()}
	if err := r.lookBack(ctx); err != nil {
		return Outcome{}, err
	}
	r.id = r.newID()
	recipient, err := r.begin(ctx)
	if err != nil {
		return Outcome{}, err
	}
	task, err := r.task(recipient)
	if err != nil {
		// It has begun, so that this failure too is in the ledger.
		return r.commit(ctx, child.CollectAnswer{Failed: err.Error()})
	}
	answer, err := r.collect(ctx, stop, task)
	if err != nil {
		return Outcome{}, err
	}
	return r.commit(ctx, answer)
}

// A run is one collection, seen from the supervisor.
type run struct {
	safe    *Safe
	source  config.Source
	events  func(collect.Event)
	id      safe.RunID
	started time.Time

	runs     map[safe.RunID]state.Run // earlier ones of the source, and this one
	last     *safe.Snapshot           // the newest complete; nil if there is none
	broken   safe.RunID               // the unfinished one since that remembers most; zero if there is none
	poisoned int                      // files whose content changed though size and time did not
	learned  bool                     // whether the source ever told something of the estate
}

// lookBack finds the runs that this one may build on.
func (r *run) lookBack(ctx context.Context) (err error) {
	if r.runs, err = r.safe.state.Runs(ctx, r.source.Name); err != nil {
		return err
	}
	snapshots, err := r.safe.state.Snapshots(ctx, r.source.Name)
	if err != nil {
		return err
	}
	for i, snapshot := range snapshots {
		if !snapshot.Partial {
			r.last = &snapshots[i]
		}
	}
	if err := os.MkdirAll(r.safe.memoryPath(r.source.Name), 0o700); err != nil {
		return err
	}
	var complete safe.RunID
	if r.last != nil {
		complete = r.last.Run
	}
	r.broken, err = r.forget(complete)
	return err
}

// newID returns an id behind those of all earlier runs of the source, whatever
// the clock says. Ids tell what is newest, to those who build on it and to those
// who restore: after a clock that was ahead once, an old snapshot would be the
// newest until time has caught up.
func (r *run) newID() safe.RunID {
	begun := r.started
	for id := range r.runs {
		if next := id.Time().Add(time.Millisecond); begun.Before(next) {
			begun = next
		}
	}
	return safe.NewRunID(begun)
}

// forget drops what is remembered of the runs that the next one cannot build
// on, so that the safe never knows a name of what was deleted in production
// for longer than until the next snapshot.
//
// The next one can build on the newest complete run, and on one that broke off
// since. That is the one that remembers most, not the last one: a first pull
// takes days and may break more than once, and what comes after a break may
// break sooner than what came before it.
func (r *run) forget(complete safe.RunID) (broken safe.RunID, err error) {
	folder := r.safe.memoryPath(r.source.Name)
	var most int64
	for id, earlier := range r.runs {
		if earlier.Outcome == state.Complete || id.Compare(complete) <= 0 {
			continue
		}
		size, err := memory.Size(folder, id)
		if err != nil {
			return safe.RunID{}, err
		}
		if size > most || size == most && size > 0 && id.Compare(broken) > 0 {
			broken, most = id, size
		}
	}
	return broken, memory.Sweep(folder, complete, broken)
}

// task says what the collecting child shall do.
func (r *run) task(recipient seal.RunRecipient) (child.CollectTask, error) {
	s, src := r.safe, r.source
	tag, cut := s.keys.secret.SourceKeys(src.Name)
	memoryKey, err := memoryKeyText(s.keys.memory, r.started)
	if err != nil {
		return child.CollectTask{}, err
	}
	task := child.CollectTask{
		StorePath: s.config.Store, Store: s.id, Run: r.id, Source: src.Name, Started: r.started, Recipient: recipient,
		CutKey: cut[:], TagKey: tag[:], MemoryKey: memoryKey, MemoryDir: s.memoryPath(src.Name),
		Unfinished: r.broken,
		Limits:     child.Limits{Bytes: src.Limits.Bytes, Entries: src.Limits.Entries},
		Options:    optionsOf(src),
	}
	if r.last != nil {
		task.Complete, task.LastStarted, task.LastBytes = r.last.Run, r.last.Started, r.last.Bytes
	}
	return task, specify(&task, src.Spec)
}

// begin makes the run's key, and records that the run has begun.
func (r *run) begin(ctx context.Context) (seal.RunRecipient, error) {
	s := r.safe
	fail := func(err error) (seal.RunRecipient, error) {
		return seal.RunRecipient{}, fmt.Errorf("beginning a run of %s: %w", r.source.Name, err)
	}
	key, begun, err := r.makeKey(ctx)
	if errors.Is(err, errOldRoster) {
		key, begun, err = r.makeKey(ctx)
	}
	if err != nil {
		return fail(err)
	}
	s.step("begun", "run", r.id)
	r.runs[r.id] = state.Run{ID: r.id, Source: r.source.Name, Envelope: begun.Envelope}
	return key.Recipient, s.Publish(ctx)
}

// errOldRoster says that a version of the roster came into force while a run's
// key was made. Who was taken out must not be able to read what begins now.
var errOldRoster = errors.New("another version of the roster has come into force")

// makeKey makes the run's key, sealed to the roster that is in force when the
// run begins, and commits that it has begun.
func (r *run) makeKey(ctx context.Context) (key child.KeyAnswer, begun ledger.RunBegun, err error) {
	s := r.safe
	roster, err := s.inForce(ctx)
	if err != nil {
		return key, begun, err
	}
	period := roster.Current()
	label := seal.Label{Store: s.id, Run: r.id, Source: r.source.Name, Time: r.started, Roster: roster.Number}
	if err := s.ask(ctx, "runkey", child.KeyTask{Label: label, Outer: period.Outer, Inner: period.Inner}, &key); err != nil {
		return key, begun, err
	}
	s.step("runkey", "run", r.id)
	begun = ledger.RunBegun{Run: r.id, Source: r.source.Name, Envelope: safe.DigestOf(key.Envelope), Roster: int64(roster.Number)}
	return key, begun, s.state.Update(ctx, func(tx *state.Tx) error {
		now, ok, err := tx.View().InForce()
		if err != nil {
			return err
		}
		if ok && now.Number != roster.Number {
			return errOldRoster
		}
		return tx.BeginRun(s.opts.Now(), begun, key.Envelope)
	})
}

// commit records what the child claims, as far as it is true.
func (r *run) commit(ctx context.Context, answer child.CollectAnswer) (Outcome, error) {
	outcome, claimErr := r.judge(ctx, answer)
	if claimErr != nil {
		delete(r.runs, r.id) // what it remembers is not believed either
		outcome.Reason = fmt.Sprintf("what the collector claims does not hold: %v", claimErr)
		// An object that is gone may have been lost by the disk; anything else
		// no honest collector says.
		if !errors.Is(claimErr, blob.ErrNotExist) {
			outcome.Finding = &child.Finding{Kind: collectorLied, Text: claimErr.Error()}
		}
	}
	if outcome.Finding == nil && r.poisoned > 0 {
		outcome.Finding = &child.Finding{Kind: contentChanged,
			Text: fmt.Sprintf("files with other content than before, though their size and times are the same: %d", r.poisoned)}
	}
	if err := r.safe.state.Update(ctx, func(tx *state.Tx) error { return r.record(tx, &outcome) }); err != nil {
		return Outcome{}, fmt.Errorf("recording the collection of %s: %w", r.source.Name, err)
	}
	r.safe.step("committed", "run", r.id)
	if r.learned {
		r.safe.learned.Store(true)
	}
	var complete safe.RunID
	switch {
	case outcome.Snapshot != nil && !outcome.Snapshot.Partial:
		complete = r.id
	case r.last != nil:
		complete = r.last.Run
	}
	_, err := r.forget(complete)
	if err := errors.Join(err, r.safe.Publish(ctx)); err != nil {
		return outcome, err
	}
	if outcome.Snapshot != nil {
		return outcome, nil
	}
	if claimErr == nil && answer.NoSpace {
		claimErr = syscall.ENOSPC
	}
	return outcome, &FailedError{Source: r.source.Name, Reason: outcome.Reason, Err: claimErr}
}

// judge returns what the child claims. If an error says what of it does not
// hold, there is no snapshot.
func (r *run) judge(ctx context.Context, answer child.CollectAnswer) (Outcome, error) {
	outcome := Outcome{Reason: answer.Failed, Finding: answer.Finding}
	if f := answer.Finding; f != nil && f.Kind != child.HostKeyRefused {
		outcome.Finding = nil
		return outcome, fmt.Errorf("it has found %.60q, which no collector looks for", f.Kind)
	}
	if answer.Result == nil {
		return outcome, nil
	}
	outcome.Reason, outcome.Matches = answer.Result.Reason, answer.Result.Matches
	if answer.Result.Root.IsZero() {
		return outcome, nil
	}
	snapshot, err := r.describe(ctx, *answer.Result)
	if err != nil {
		return outcome, err
	}
	outcome.Snapshot = &snapshot
	outcome.Facts = answer.Facts
	return outcome, nil
}

// record writes the outcome into the state and the ledger, in one transaction.
func (r *run) record(tx *state.Tx, outcome *Outcome) error {
	now := r.safe.opts.Now()
	if f := outcome.Finding; f != nil {
		raised := ledger.FindingRaised{Finding: f.Kind, Subject: ledger.TextOf(string(r.source.Name)), Text: ledger.TextOf(f.Text)}
		if err := tx.Append(now, ledger.Safe, raised); err != nil {
			return err
		}
	}
	if outcome.Snapshot == nil {
		return tx.FailRun(now, ledger.RunFailed{Run: r.id, Source: r.source.Name, Reason: ledger.TextOf(outcome.Reason)})
	}
	earlier, err := tx.Snapshots(r.source.Name)
	if err != nil {
		return err
	}
	r.decideKeep(outcome.Snapshot, earlier)
	if err := r.learn(tx, outcome.Facts, !outcome.Snapshot.Partial); err != nil {
		return err
	}
	return tx.KeepSnapshot(now, *outcome.Snapshot, outcome.Reason)
}

// decideKeep fixes how long the snapshot is kept.
func (r *run) decideKeep(snapshot *safe.Snapshot, earlier []safe.Snapshot) {
	if snapshot.Partial {
		snapshot.Tier, snapshot.KeepUntil = keep.Partial(snapshot.Finished)
		return
	}
	var past []keep.Past
	for _, e := range earlier {
		if !e.Partial {
			past = append(past, keep.Past{Started: e.Started, Tier: e.Tier})
		}
	}
	snapshot.Tier, snapshot.KeepUntil = keep.Decide(r.source.Keep, r.started, past)
}

// describe turns the child's result into a description, after checking that
// everything it refers to is there and belongs to this source.
func (r *run) describe(ctx context.Context, result collect.Result) (safe.Snapshot, error) {
	runs := make(map[safe.RunID]safe.RunPacks)
	for id, packs := range result.Runs {
		known, ok := r.runs[id]
		if !ok {
			return safe.Snapshot{}, fmt.Errorf("it refers to run %s, which is none of this source", id)
		}
		if packs == nil {
			packs = []safe.Digest{}
		}
		if !slices.IsSortedFunc(packs, safe.Digest.Compare) || len(slices.Compact(slices.Clone(packs))) != len(packs) {
			return safe.Snapshot{}, fmt.Errorf("its packs of run %s are not in order", id)
		}
		for _, pack := range packs {
			if _, err := r.safe.store.Stat(ctx, layout.Pack(id, pack)); err != nil {
				return safe.Snapshot{}, fmt.Errorf("it refers to a pack: %w", err)
			}
		}
		runs[id] = safe.RunPacks{Envelope: known.Envelope, Packs: packs}
	}
	if _, ok := runs[r.id]; !ok {
		return safe.Snapshot{}, errors.New("it does not name its own run")
	}
	if err := r.checkRoot(ctx, result.Root); err != nil {
		return safe.Snapshot{}, err
	}
	snapshot := safe.Snapshot{
		Version: 1, Store: r.safe.id, Run: r.id, Source: r.source.Name, Kind: r.source.Spec.Kind(),
		Started: r.started, Finished: r.safe.opts.Now().UTC(),
		Entries: result.Entries, Bytes: result.Bytes, NewBytes: result.NewBytes,
		StoredBytes: result.StoredBytes, ParityBytes: result.ParityBytes, Warnings: result.Warnings,
		Partial: !result.Complete, Root: result.Root, Runs: runs,
	}
	// The safe must be able to read again what it commits: no negative counts,
	// and no more packs than a description has room for.
	if _, err := safe.ParseSnapshot(snapshot.Encode()); err != nil {
		return safe.Snapshot{}, err
	}
	return snapshot, nil
}

// checkRoot sees that the root and its copy are there as they are named.
func (r *run) checkRoot(ctx context.Context, digest safe.Digest) error {
	const most = 2 << 20 // twice the size of a root before compression
	name := layout.Root(r.id, digest)
	for _, name := range []string{name, layout.Copy(name)} {
		b, err := blob.ReadAll(ctx, r.safe.store, name, most)
		if err != nil {
			return fmt.Errorf("its root: %w", err)
		}
		if safe.DigestOf(b) != digest {
			return fmt.Errorf("its root %s does not match its name", name)
		}
	}
	return nil
}
