package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/access/api"
	"strongroom/internal/access/opening"
	"strongroom/internal/daemon/state"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/store/layout"
)

// maxInner bounds an inner file; real ones have about 2 kB.
const maxInner = 16 << 10

// ageMark is how every age file begins.
const ageMark = "age-encryption.org/v1\n"

// Release verifies what a keykeeper has released, commits it and opens the
// gate; an opening that is open is prolonged. The inner files go to the gate
// and nowhere else.
//
// The order matters:
//
//  1. verify   the nonce is used up, whatever comes of it
//  2. commit   state, ledger entry, the release itself
//  3. gate     the child listens
//  4. opened   state, ledger entry
//
// A crash after 2 leaves an opening that is open without a gate, which the next
// Serve closes.
func (s *Safe) Release(ctx context.Context, from netip.Addr, release opening.Release, inner []api.Inner) error {
	s.callers.opening.Lock()
	defer s.callers.opening.Unlock()
	grant, err := s.useGrant(release)
	if err != nil {
		return s.settle(ctx, from, "opening.release", err)
	}
	if d := s.callers.door; d != nil && d.id == grant.Opening && d.why != nil {
		return fmt.Errorf("it was closed, which is not recorded yet: %w", opening.ErrState)
	}
	var a asked
	err = s.change(ctx, from, "opening.release", func(tx *state.Tx) error {
		sit, err := s.situation(tx.View())
		if err != nil {
			return err
		}
		if a, err = s.mayRelease(tx.View(), sit, release, grant, inner); err != nil {
			return err
		}
		b := release.Encode()
		if err := tx.Release(grant.Opening, b, grant.Until); err != nil {
			return err
		}
		if err := tx.Publish(layout.Release(grant.Opening, safe.DigestOf(b)), b); err != nil {
			return err
		}
		return tx.Append(sit.now, ledger.Who(release.Keykeeper), ledger.OpeningReleased{
			Opening: grant.Opening, Runs: int64(len(grant.Runs)), Release: safe.DigestOf(b), Until: grant.Until.UTC(),
		})
	})
	if err != nil {
		return err
	}
	s.step("released", "opening", grant.Opening)
	// From here on it is open, whoever waits for the answer.
	ctx = context.WithoutCancel(ctx)
	if err := s.openDoorLocked(ctx, a, grant, inner); err != nil {
		closeErr := s.closeLocked(ctx, grant.Opening, closing{cause: fmt.Sprintf("the gate could not be opened: %v", err)})
		return errors.Join(fmt.Errorf("opening the gate: %w", err), closeErr)
	}
	return nil
}

// useGrant returns the grant that is released, if this safe has made it just
// now, for this keykeeper, under this nonce.
func (s *Safe) useGrant(release opening.Release) (opening.Grant, error) {
	was, ok := s.callers.grants.take(s.opts.Now().UTC(), release.Nonce)
	switch {
	case !ok:
		return opening.Grant{}, denyf("its nonce is none that was given out in the last %d minutes, or it was used", int(actLife.Minutes()))
	case was.keykeeper != release.Keykeeper:
		return opening.Grant{}, denyf("its nonce was given to %s, not to %s", was.keykeeper, release.Keykeeper)
	case was.grant != safe.DigestOf([]byte(release.Grant)):
		return opening.Grant{}, denyf("what was signed is not the grant that was given out with its nonce")
	}
	g, err := opening.ParseGrant([]byte(release.Grant))
	if err != nil {
		return g, deny(err)
	}
	return g, nil
}

// mayRelease checks everything about a release but its nonce.
func (s *Safe) mayRelease(v state.View, sit situation, release opening.Release, grant opening.Grant, inner []api.Inner) (asked, error) {
	key, err := release.Verify(sit.roster)
	if err != nil {
		return asked{}, deny(err)
	}
	if sit.suspended.Stop(release.Keykeeper, key) {
		return asked{}, deny(access.ErrSuspended)
	}
	a, err := s.forKeykeeper(v, sit, release.Keykeeper, grant.Opening)
	if err != nil {
		return a, err
	}
	if release.Request != a.Request {
		return a, denyf("it is for another request than the one that was recorded")
	}
	descriptions, err := described(v, a.request)
	if err != nil {
		return a, err
	}
	if err := grant.Check(a.by, a.key, opening.Circumstances{Roster: sit.roster, Now: sit.now, Descriptions: descriptions}); err != nil {
		return a, deny(err)
	}
	for _, d := range descriptions {
		_, entry, err := v.Kept(d.Run)
		if err != nil {
			return a, err
		}
		if err := keptAs(entry, d); err != nil {
			return a, deny(err)
		}
	}
	if sit.now.Before(grant.From.Add(-time.Second)) || !sit.now.Before(grant.Until) {
		return a, denyf("it is good from %s until %s", grant.From.Format(time.RFC3339), grant.Until.Format(time.RFC3339))
	}
	if err := checkInner(grant.Runs, inner); err != nil {
		return a, deny(err)
	}
	return a, nil
}

// keptAs sees that a description is the one that the ledger has recorded.
func keptAs(entry []byte, d safe.Snapshot) error {
	if entry != nil {
		e, err := ledger.ParseEntry(entry)
		if kept, ok := e.What.(ledger.SnapshotKept); err == nil && ok && kept.Description == safe.DigestOf(d.Encode()) {
			return nil
		}
	}
	return fmt.Errorf("snapshot %s is not described as the ledger has it", d.Run)
}

// checkInner sees that there is one inner file for each run that was granted.
// Whether it is the right one can be seen only with the operators' key: the
// operator's program compares its label.
func checkInner(runs []safe.RunID, inner []api.Inner) error {
	got := make([]safe.RunID, len(inner))
	for i, in := range inner {
		got[i] = in.Run
		if len(in.File) > maxInner || !bytes.HasPrefix(in.File, []byte(ageMark)) {
			return fmt.Errorf("the inner file of run %s is none", in.Run)
		}
	}
	if !slices.Equal(got, runs) {
		return fmt.Errorf("it comes with inner files of %d runs, and there must be one of each of the %d runs that are granted, in their order", len(got), len(runs))
	}
	return nil
}
