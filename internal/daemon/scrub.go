package daemon

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"

	"strongroom/internal/daemon/child"
	"strongroom/internal/daemon/state"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/store/blob"
	"strongroom/internal/store/layout"
	"strongroom/internal/store/scrub"
)

// ScrubOptions tunes a Scrub. The zero value reads everything and changes
// nothing but the ledger.
type ScrubOptions struct {
	// Repair allows damaged objects to be replaced.
	Repair bool
	// Packs is the share of the packs that is read; small objects always are.
	Packs scrub.Share
	// Progress, which may be nil, is called from one goroutine at a time.
	Progress func(scrub.Progress)
}

// A ScrubReport is what a Scrub has found and done.
type ScrubReport struct {
	scrub.Report
	Outcomes []scrub.Outcome // of what was Harmful; nil without Repair
}

// Left returns the findings that nothing was done about, or in vain.
func (r ScrubReport) Left() []scrub.Finding {
	mended := make(map[string]bool)
	for _, o := range r.Outcomes {
		if o.Result == scrub.Sound || o.Result == scrub.Repaired {
			mended[o.Name] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(r.Findings), func(f scrub.Finding) bool { return f.Harmful() && mended[f.Name] })
}

// Scrub looks for damage in the store, repairs what can be repaired if it may,
// and records in the ledger what it did, what is lost, and what a person must
// look at: each once, however often it is found.
//
// The order matters:
//
//  1. publish  what was committed, so that it is not missed
//  2. check    a child that can only read the store
//  3. repair   object by object; a crash leaves each as it was or repaired
//  4. record   one transaction
//  5. publish  what was recorded
//
// A crash before 4 loses the record of the repairs before it, but not what they
// replaced, which the store keeps; the next Scrub goes on with the rest.
func (s *Safe) Scrub(ctx context.Context, opts ScrubOptions) (ScrubReport, error) {
	if err := s.publishBefore(ctx); err != nil {
		return ScrubReport{}, err
	}
	report, err := s.scrub(ctx, opts)
	if err != nil {
		return ScrubReport{}, err
	}
	if opts.Repair && sawNoDescription(report.Findings) {
		// Of which packs it speaks was not known until it was restored.
		opts.Packs = scrub.NoPacks
		again, err := s.scrub(ctx, opts)
		if err != nil {
			return ScrubReport{}, err
		}
		report.add(again)
	}
	if err := s.recordScrub(ctx, report); err != nil {
		return report, fmt.Errorf("recording the scrub: %w", err)
	}
	return report, s.Publish(ctx)
}

// publishBefore is Publish, but that an object of the outbox is in the store
// with other bytes is no reason not to look for damage: that may be the damage.
func (s *Safe) publishBefore(ctx context.Context) error {
	err := s.Publish(ctx)
	var conflict *blob.ConflictError
	if errors.As(err, &conflict) {
		s.log.Warn("an object waits to be published, and other bytes are in its place", "object", conflict.Name)
		return nil
	}
	return err
}

// scrub checks the store once, and repairs it if it may.
func (s *Safe) scrub(ctx context.Context, opts ScrubOptions) (ScrubReport, error) {
	truth, excused, err := s.truth(ctx)
	if err != nil {
		return ScrubReport{}, err
	}
	task := child.ScrubTask{
		StorePath: s.config.Store, Store: s.id, Keys: s.LedgerKeys(),
		Entries: truth.Size(), Excused: excused, Packs: opts.Packs,
	}
	var report ScrubReport
	if report.Report, err = s.runScrubber(ctx, task, opts.Progress); err != nil {
		return ScrubReport{}, err
	}
	if report.Findings, err = s.withoutNews(ctx, report.Findings); err != nil || !opts.Repair {
		return report, err
	}
	plan := scrub.Plan(report.Findings, s.mayKnow)
	report.Outcomes, err = scrub.Repair(ctx, s.store, truth, plan, s.known)
	return report, err
}

// truth is what must be in the store, on the authority of the state. What waits
// to be published may be missing.
func (s *Safe) truth(ctx context.Context) (truth *scrub.Truth, excused []string, err error) {
	size, err := s.state.Size(ctx)
	if err != nil {
		return nil, nil, err
	}
	if truth, err = scrub.NewTruth(ctx, s.id, s.LedgerKeys(), s.entries(ctx, size)); err != nil {
		return nil, nil, err
	}
	// Read after the entries: whatever they tell of and is not in the outbox
	// was published before.
	const all = 1 << 20
	parcels, err := s.state.Outbox(ctx, all)
	if err != nil {
		return nil, nil, err
	}
	for _, p := range parcels {
		excused = append(excused, p.Name)
	}
	truth.Excuse(excused...)
	return truth, excused, nil
}

// entries yields the first count entries of the state's ledger.
func (s *Safe) entries(ctx context.Context, count int64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for b, err := range s.state.Entries(ctx, 0) {
			if count--; count < 0 || !yield(b, err) {
				return
			}
		}
	}
}

// withoutNews leaves out what the ledger did not know when the check began and
// does now, because a collection has gone on meanwhile.
func (s *Safe) withoutNews(ctx context.Context, findings []scrub.Finding) ([]scrub.Finding, error) {
	unproven := func(f scrub.Finding) bool { return f.Problem == scrub.Unproven }
	if !slices.ContainsFunc(findings, unproven) {
		return findings, nil
	}
	truth, _, err := s.truth(ctx)
	return slices.DeleteFunc(findings, func(f scrub.Finding) bool {
		return unproven(f) && err == nil && truth.Knows(f.Name)
	}), err
}

// sawNoDescription reports whether both copies of a description are harmed.
func sawNoDescription(findings []scrub.Finding) bool {
	harmed := make(map[safe.RunID]int)
	for _, f := range findings {
		if n := layout.Parse(f.Name); n.Kind == layout.SnapshotObject && f.Harmful() {
			harmed[n.Run]++
		}
	}
	for _, copies := range harmed {
		if copies == 2 {
			return true
		}
	}
	return false
}

// add takes in what a second look has found, but for what is known already.
func (r *ScrubReport) add(again ScrubReport) {
	known := make(map[string]bool)
	for _, f := range r.Findings {
		known[f.Name] = true
	}
	for _, f := range again.Findings {
		if !known[f.Name] {
			r.Findings = append(r.Findings, f)
		}
	}
	for _, o := range again.Outcomes {
		if !known[o.Name] {
			r.Outcomes = append(r.Outcomes, o)
		}
	}
}

// runScrubber runs the child that checks the store.
func (s *Safe) runScrubber(ctx context.Context, task child.ScrubTask, progress func(scrub.Progress)) (scrub.Report, error) {
	var head bytes.Buffer
	if err := child.WriteTask(&head, task); err != nil {
		return scrub.Report{}, err
	}
	next, stop := iter.Pull2(s.entries(ctx, task.Entries))
	defer stop()
	cmd := command(ctx, s.opts.Program, "scrub")
	tail := new(tail)
	// Package exec feeds the child while its answers are read here.
	cmd.Stdin, cmd.Stderr = io.MultiReader(&head, &sequence{next: next}), tail
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return scrub.Report{}, err
	}
	if err := cmd.Start(); err != nil {
		return scrub.Report{}, fmt.Errorf("starting the scrub: %w", err)
	}
	report, readErr := followScrub(bufio.NewReader(stdout), progress)
	if readErr != nil {
		cmd.Process.Kill() // it may wait for somebody to read on
	}
	waitErr := cmd.Wait()
	switch {
	case ctx.Err() != nil:
		return scrub.Report{}, ctx.Err()
	case errors.Is(readErr, errNoResult):
		return scrub.Report{}, fmt.Errorf("checking the store: the scrub %w (%v): %s", readErr, waitErr, tail)
	case readErr != nil:
		return scrub.Report{}, fmt.Errorf("checking the store: %w", readErr)
	case waitErr != nil:
		return scrub.Report{}, fmt.Errorf("checking the store: the scrub: %w: %s", waitErr, tail)
	}
	return report, nil
}

// errNoResult says that the child was not heard to its end.
var errNoResult = errors.New("ended without a result")

// followScrub reads what the child has found, until it is done.
func followScrub(stdout *bufio.Reader, progress func(scrub.Progress)) (report scrub.Report, err error) {
	for {
		var answer child.ScrubAnswer
		err := child.ReadAnswer(stdout, &answer)
		switch {
		case err == io.EOF:
			return report, errNoResult
		case err != nil:
			return report, err
		case answer.Failed != "":
			return report, errors.New(answer.Failed)
		case answer.Finding != nil:
			if !answer.Finding.Problem.Known() {
				return report, fmt.Errorf("it has found %.40q, which no scrub looks for", answer.Finding.Problem)
			}
			report.Findings = append(report.Findings, *answer.Finding)
		case answer.Progress != nil && progress != nil:
			progress(*answer.Progress)
		case answer.Done != nil:
			if min(answer.Done.Objects, answer.Done.Bytes) < 0 {
				return report, errors.New("it counts less than nothing")
			}
			report.Objects, report.Bytes = answer.Done.Objects, answer.Done.Bytes
			return report, nil
		}
	}
}

// A sequence reads pieces one after the other.
type sequence struct {
	next func() ([]byte, error, bool)
	rest []byte
}

func (s *sequence) Read(p []byte) (int, error) {
	for len(s.rest) == 0 {
		b, err, ok := s.next()
		if !ok {
			return 0, io.EOF
		}
		if err != nil {
			return 0, err
		}
		s.rest = b
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// mayKnow reports whether known has the bytes of an object, going by its name.
func (s *Safe) mayKnow(name string) bool {
	n := layout.Parse(name)
	switch n.Kind {
	case layout.FormatObject, layout.EntryObject, layout.CheckpointObject, layout.SnapshotObject, layout.RosterObject:
		return true
	default:
		return false
	}
}

// known returns the bytes of a small object as the state has them, nil if it
// does not.
func (s *Safe) known(ctx context.Context, name string) ([]byte, error) {
	n := layout.Parse(name)
	switch n.Kind {
	case layout.FormatObject:
		return layout.Format(s.id), nil
	case layout.EntryObject:
		for b, err := range s.state.Entries(ctx, n.Number) {
			return b, err
		}
	case layout.CheckpointObject:
		// To sign the same head again gives the same bytes.
		head, err := s.state.HeadOf(ctx, n.Number)
		if err != nil {
			return nil, err
		}
		return s.keys.ledger.Sign(head)
	case layout.SnapshotObject:
		return s.knownDescription(ctx, n.Run)
	case layout.RosterObject:
		return s.state.View(ctx).RosterBytes(int(n.Number))
	}
	return nil, nil
}

func (s *Safe) knownDescription(ctx context.Context, run safe.RunID) ([]byte, error) {
	all, err := s.state.Snapshots(ctx, "")
	if err != nil {
		return nil, err
	}
	for _, d := range all {
		if d.Run == run {
			return d.Encode(), nil
		}
	}
	return nil, nil
}

// mostRecorded bounds what one scrub records of the objects that are lost or a
// matter for people: a store that is destroyed, or flooded by somebody, must
// not flood the ledger as well. The next scrubs go on with the others.
const mostRecorded = 250

// harmful counts the findings that are.
func harmful(findings []scrub.Finding) (n int64) {
	for _, f := range findings {
		if f.Harmful() {
			n++
		}
	}
	return n
}

// recordScrub writes into the ledger what the scrub has come to.
func (s *Safe) recordScrub(ctx context.Context, report ScrubReport) error {
	var events []ledger.Event
	for _, o := range report.Outcomes {
		if o.Result == scrub.Repaired {
			events = append(events, ledger.ObjectRepaired{Name: o.Name, How: o.From})
		}
	}
	news, err := s.news(ctx, report)
	if err != nil {
		return err
	}
	events = append(events, news...)
	events = append(events, ledger.ScrubDone{Objects: report.Objects, Bytes: report.Bytes, Damaged: report.Harmed(), Left: harmful(report.Left())})
	return s.state.Update(ctx, func(tx *state.Tx) error {
		for _, e := range events {
			if err := tx.Append(s.opts.Now(), ledger.Safe, e); err != nil {
				return err
			}
		}
		return nil
	})
}

// news returns what is lost and what a person must look at, as far as the
// ledger does not tell of it yet, and what is not found any more of that.
func (s *Safe) news(ctx context.Context, report ScrubReport) ([]ledger.Event, error) {
	var events []ledger.Event
	for _, lost := range scrub.LostOf(report.Outcomes, report.Findings) {
		events = append(events, lost)
	}
	for _, f := range report.Findings {
		if !f.Harmful() {
			events = append(events, ledger.FindingRaised{
				Finding: storeFinding + string(f.Problem), Subject: ledger.TextOf(f.Name), Text: ledger.TextOf(f.Why),
			})
		}
	}
	live, err := s.state.View(ctx).LiveOf(storeFinding)
	if err != nil {
		return nil, err
	}
	gone := make(map[telling]ledger.FindingCleared, len(live))
	told := make(map[telling]bool)
	for _, f := range live {
		t := telling{ledger.FindingRaised{}.Kind(), f.Kind, string(f.Subject)}
		told[t], gone[t] = true, clearing(f, "the last scrub has not found it any more")
	}
	for _, e := range events {
		delete(gone, tellingOf(e))
	}
	if slices.ContainsFunc(events, func(e ledger.Event) bool { return e.Kind() == ledger.ObjectLost{}.Kind() }) {
		if err := s.toldLost(ctx, told); err != nil {
			return nil, err
		}
	}
	events = slices.DeleteFunc(events, func(e ledger.Event) bool { return told[tellingOf(e)] })
	events = events[:min(len(events), mostRecorded)]
	mended := slices.SortedFunc(maps.Values(gone), func(a, b ledger.FindingCleared) int { return cmp.Compare(a.Entry, b.Entry) })
	for _, e := range mended[:min(len(mended), mostRecorded)] {
		events = append(events, e)
	}
	return events, nil
}

// storeFinding begins the kinds of findings about objects of the store.
const storeFinding = "store."

// A telling is what makes an entry about an object one that needs no other.
type telling struct {
	kind    ledger.Kind
	finding string
	object  string
}

// tellingOf returns the zero telling for other events.
func tellingOf(e ledger.Event) telling {
	switch e := e.(type) {
	case ledger.ObjectLost:
		return telling{kind: e.Kind(), object: e.Name}
	case ledger.FindingRaised:
		return telling{e.Kind(), e.Finding, string(e.Subject)}
	default:
		return telling{}
	}
}

// toldLost adds what the ledger tells of lost objects. One that was repaired
// later, and is lost again, is news.
func (s *Safe) toldLost(ctx context.Context, told map[telling]bool) error {
	for b, err := range s.state.Entries(ctx, 0) {
		if err != nil {
			return err
		}
		e, err := ledger.ParseEntry(b)
		if err != nil {
			return fmt.Errorf("reading the ledger: %w", err)
		}
		switch what := e.What.(type) {
		case ledger.ObjectRepaired:
			delete(told, telling{kind: ledger.ObjectLost{}.Kind(), object: what.Name})
		case ledger.ObjectLost:
			told[tellingOf(what)] = true
		}
	}
	return nil
}
