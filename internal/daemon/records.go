package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/access/record"
	"strongroom/internal/daemon/state"
	"strongroom/internal/estate"
	"strongroom/internal/estate/coverage"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
)

// mostRecords bounds how many records are read, the newest: some years of a team
// that rehearses every week. What is older can be brought again, and proves then
// what it proved before.
const mostRecords = 1000

// wrongRestore is the kind of finding of a snapshot that came back and was not
// right.
const wrongRestore = "restore.wrong"

// A RecordError says why a record is not believed.
type RecordError struct{ Reason string }

func (e *RecordError) Error() string { return "the record is refused: " + e.Reason }

func refuseRecord(format string, args ...any) error {
	return &RecordError{fmt.Sprintf(format, args...)}
}

// AddRecord takes in a record that somebody brings to the safe's host, from that
// account of it. Its error is a *RecordError if it is not believed.
func (s *Safe) AddRecord(ctx context.Context, b []byte, account string) (record.Record, error) {
	signed, r, err := record.Parse(b)
	if err != nil {
		return r, refuseRecord("%v", err)
	}
	err = s.state.Update(ctx, func(tx *state.Tx) error {
		return s.takeRecord(tx, r, ledger.RecordAccepted{Account: ledger.TextOf(account), Signed: signed})
	})
	if err == nil {
		s.publishSoon(ctx)
	}
	return r, err
}

// takeInbox records what an operator has left, and takes in what can be believed
// of it.
func (s *Safe) takeInbox(tx *state.Tx, all []left) error {
	now := s.opts.Now()
	for _, l := range all {
		if err := tx.Append(now, ledger.Safe, l.RecordReceived); err != nil {
			return err
		}
	}
	for _, l := range all {
		err := l.err
		if err != nil {
			err = refuseRecord("%v", err)
		} else {
			err = s.takeRecord(tx, l.record, ledger.RecordAccepted{Opening: l.Opening, Signed: l.signed})
		}
		if refusal, ok := errors.AsType[*RecordError](err); ok {
			err = tx.Append(now, ledger.Safe, l.refuse(refusal.Reason))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (l left) refuse(reason string) ledger.RecordRefused {
	return ledger.RecordRefused{Opening: l.Opening, Name: l.Name, Digest: l.Digest, Reason: ledger.TextOf(reason)}
}

// takeRecord records what a record says, which came as the entry has it, and
// raises a finding for each snapshot that was not right.
func (s *Safe) takeRecord(tx *state.Tx, r record.Record, entry ledger.RecordAccepted) error {
	sit, err := s.situation(tx.View())
	if err != nil {
		return err
	}
	if err := s.mayBelieve(tx.View(), sit, r, entry.Signed); err != nil {
		return err
	}
	entry.Application, entry.Started, entry.Ended = r.Application, r.Started, r.Ended
	for _, restored := range r.Snapshots {
		entry.Snapshots = append(entry.Snapshots, ledger.SnapshotRestored{Run: restored.Run, Source: restored.Source, Right: restored.Result == record.Right})
	}
	if err := tx.Append(sit.now, ledger.Who(r.Person), entry); err != nil {
		return err
	}
	for _, restored := range r.Snapshots {
		if restored.Result == record.Right {
			continue
		}
		text := fmt.Sprintf("%s restored the snapshot %s on %s and found it to be wrong: %s", r.Person, restored.Run, r.Host, restored.Checked)
		raised := ledger.FindingRaised{Finding: wrongRestore, Subject: ledger.TextOf(string(restored.Source)), Text: ledger.TextOf(text)}
		if err := tx.Append(sit.now, ledger.Safe, raised); err != nil {
			return err
		}
	}
	return nil
}

// mayBelieve reports why a record is not believed. Operators can restore, and
// officers answer for what was restored. A keykeeper stands outside of both, and
// has nothing to do with what was read; an auditor only looks.
func (s *Safe) mayBelieve(v state.View, sit situation, r record.Record, signed ledger.Signed) error {
	key, err := record.Verify(sit.roster, r, signed)
	if err != nil {
		return refuseRecord("%v", err)
	}
	p, _ := sit.roster.Person(r.Person)
	switch {
	case sit.suspended.Stop(r.Person, key):
		return refuseRecord("%s, or the key that signed it, is suspended", r.Person)
	case !p.Has(access.Operator) && !p.Has(access.Officer):
		return refuseRecord("%s is neither operator nor officer", r.Person)
	case r.Ended.After(sit.now.Add(actLife)): // as far as clocks may differ
		return refuseRecord("it ended at %s, which is still to come", r.Ended.Format(time.RFC3339))
	case r.Application != "" && !s.hasApplication(r.Application):
		return refuseRecord("the configuration has no application %s", r.Application)
	}
	for _, restored := range r.Snapshots {
		if err := isOurs(v, r, restored); err != nil {
			return err
		}
	}
	before, err := v.NewestOf(ledger.RecordAccepted{}.Kind(), mostRecords)
	if err != nil {
		return err
	}
	for _, e := range before {
		// The statement counts: whoever has it can sign it again, in other bytes.
		if what, ok := e.What.(ledger.RecordAccepted); ok && what.Signed.Statement == signed.Statement {
			return refuseRecord("it was taken in before, entry %d of the ledger", e.N)
		}
	}
	return nil
}

// hasApplication reports whether the configuration has an application that a
// record calls by its name, or by its id.
func (s *Safe) hasApplication(name ledger.Text) bool {
	for _, a := range s.config.Applications {
		if applicationOf(name) == a.ID {
			return true
		}
	}
	return false
}

func applicationOf(name ledger.Text) estate.ID {
	if id, err := estate.ParseID(string(name)); err == nil {
		return id
	}
	return estate.ID(string(estate.Application) + "/" + string(name))
}

// isOurs sees that a snapshot of a record is one that this safe has kept, and
// that it was there when it was restored.
func isOurs(v state.View, r record.Record, restored record.Restored) error {
	_, b, err := v.Kept(restored.Run)
	if err != nil {
		return err
	}
	if b == nil {
		return refuseRecord("there is no snapshot %s", restored.Run)
	}
	entry, err := ledger.ParseEntry(b)
	if err != nil {
		return err
	}
	kept, ok := entry.What.(ledger.SnapshotKept)
	switch {
	case !ok || kept.Source != restored.Source:
		return refuseRecord("snapshot %s is not of %s", restored.Run, restored.Source)
	case r.Started.Before(entry.Time.Truncate(time.Second)):
		return refuseRecord("it started at %s, before snapshot %s was complete", r.Started.Format(time.RFC3339), restored.Run)
	case kept.Partial && restored.Result == record.Right:
		return refuseRecord("snapshot %s is partial, and proves nothing of the whole of %s", restored.Run, restored.Source)
	}
	return nil
}

// proofsOf returns what records say of the snapshots that came back, and when
// one of a source last was wrong. It does not matter who is in the roster by now.
func proofsOf(v state.View) (proofs []coverage.Proof, wrong map[safe.SourceName]time.Time, err error) {
	records, err := v.NewestOf(ledger.RecordAccepted{}.Kind(), mostRecords)
	if err != nil {
		return nil, nil, err
	}
	wrong = make(map[safe.SourceName]time.Time)
	for _, e := range records {
		what, ok := e.What.(ledger.RecordAccepted)
		if !ok {
			continue
		}
		proof := coverage.Proof{At: what.Ended, By: string(e.Who)}
		isWrong := func(s ledger.SnapshotRestored) bool { return !s.Right }
		if what.Application != "" && !slices.ContainsFunc(what.Snapshots, isWrong) {
			proof.Application, proof.Took = applicationOf(what.Application), what.Ended.Sub(what.Started)
		}
		for _, restored := range what.Snapshots {
			if !restored.Right {
				if at := wrong[restored.Source]; what.Ended.After(at) {
					wrong[restored.Source] = what.Ended
				}
				continue
			}
			proof.Source, proof.Run = restored.Source, restored.Run
			proofs = append(proofs, proof)
		}
	}
	return proofs, wrong, nil
}
