package daemon

import (
	"context"
	"errors"
	"fmt"

	"strongroom/internal/access"
	"strongroom/internal/access/api"
	"strongroom/internal/access/opening"
	"strongroom/internal/access/signature"
	"strongroom/internal/daemon/state"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
)

// Tick does what is due: versions of the roster come into force, what waited
// too long is dropped, openings end. It may be called at any time.
func (s *Safe) Tick(ctx context.Context) error {
	now := s.opts.Now().UTC()
	s.tellRefusals(ctx, false)
	// Review whatever else fails: a full disk must not keep the gate open.
	err := errors.Join(
		s.state.Tidy(ctx, state.Ages{Acts: now.Add(-2 * actLife), Enrolments: now.Add(-access.ProposalLife), Invitations: now}),
		s.settleProposals(ctx), s.review(ctx))
	if err != nil {
		return err
	}
	_, err = s.inForce(ctx) // for those who ask Roster
	return err
}

// settleProposals brings into force what is due, and drops what can no longer
// be.
func (s *Safe) settleProposals(ctx context.Context) error {
	v := s.state.View(ctx)
	proposals, err := v.Proposals()
	if err != nil || len(proposals) == 0 {
		return err
	}
	sit, err := s.situation(v)
	if err != nil {
		return err
	}
	for _, p := range proposals {
		if !sit.unsettled(p) {
			continue
		}
		err := s.state.Update(ctx, func(tx *state.Tx) error { return s.settleProposal(tx, safe.DigestOf(p.Roster)) })
		if err != nil {
			return fmt.Errorf("settling a proposed version of the roster: %w", err)
		}
		s.publishSoon(ctx)
	}
	return nil
}

// unsettled reports whether something is to be done about a proposal.
func (sit situation) unsettled(p access.Proposal) bool {
	counted := p.Recount(sit.roster, sit.suspended)
	return len(counted.Agreed) != len(p.Agreed) || counted.Due(sit.now) || sit.hopeless(p) != ""
}

// hopeless says why a proposal can no longer come into force.
func (sit situation) hopeless(p access.Proposal) ledger.Text {
	switch {
	case sit.roster.CheckSuccessor(p.Next()) != nil:
		return "another version has come into force"
	case p.Ready.IsZero() && sit.now.Sub(p.Proposed) > access.ProposalLife:
		return "too few agreed in time"
	}
	return ""
}

func (s *Safe) settleProposal(tx *state.Tx, digest safe.Digest) error {
	p, ok, err := tx.View().Proposal(digest)
	if err != nil || !ok {
		return err // another process has settled it
	}
	sit, err := s.situation(tx.View())
	if err != nil {
		return err
	}
	if reason := sit.hopeless(p); reason != "" {
		return s.drop(tx, sit, p, reason)
	}
	p = p.Recount(sit.roster, sit.suspended)
	if p.Due(sit.now) {
		return s.enact(tx, sit, p)
	}
	return tx.SetProposal(p)
}

// review ends what has lost its ground: requests whose operator may not read
// any more, and the opening whose time is over, or whose people may not act any
// more. more are suspensions that could not be recorded.
func (s *Safe) review(ctx context.Context, more ...access.Suspension) error {
	v := s.state.View(ctx)
	pending, err := v.Pending()
	if err != nil || len(pending) == 0 {
		return err
	}
	sit, err := s.situation(v)
	if err != nil {
		return err
	}
	var errs []error
	for _, o := range pending {
		var err error
		if o.State == opening.Open {
			err = s.reviewOpen(ctx, o.ID, more)
		} else {
			err = s.reviewRequest(ctx, v, sit, o)
		}
		if errors.Is(err, opening.ErrState) {
			err = nil // somebody else has ended it meanwhile
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// reviewRequest expires a request that nobody may answer any more.
func (s *Safe) reviewRequest(ctx context.Context, v state.View, sit situation, o state.Opening) error {
	cause, err := sit.groundless(v, o)
	if err != nil || cause == "" {
		return err
	}
	return s.expire(ctx, o.ID, ledger.TextOf(cause))
}

// reviewOpen closes an opening. It looks while nobody else can change it: one
// that is prolonged in this moment goes on.
func (s *Safe) reviewOpen(ctx context.Context, id safe.OpeningID, more []access.Suspension) error {
	s.callers.opening.Lock()
	defer s.callers.opening.Unlock()
	v := s.state.View(ctx)
	o, ok, err := v.Opening(id)
	if err != nil || !ok || o.State != opening.Open {
		return err
	}
	sit, err := s.situation(v)
	if err != nil {
		return err
	}
	sit.suspended = append(sit.suspended, more...)
	cause, err := sit.groundless(v, o)
	if d := s.callers.door; err == nil && cause == "" && d != nil && d.id == id && d.hasEnded() {
		cause = "its gate has ended" // which could not be recorded
	}
	if err != nil || cause == "" {
		return err
	}
	return s.closeLocked(context.WithoutCancel(ctx), id, closing{cause: cause})
}

// groundless says why an opening cannot stay as it is, "" if it can.
func (sit situation) groundless(v state.View, o state.Opening) (string, error) {
	if !sit.now.Before(o.Until) {
		if o.State == opening.Requested {
			return "nobody has answered in time", nil
		}
		return overtime, nil
	}
	a, err := sit.asked(o)
	if err != nil {
		return err.Error(), nil
	}
	if o.State == opening.Requested {
		_, err := described(v, a.request)
		if missing, ok := errors.AsType[*api.InvalidError](err); ok {
			return missing.Reason, nil
		}
		return "", err
	}
	release, err := opening.ParseRelease(o.Release)
	if err != nil { // then nobody can tell by whose word it is open
		return fmt.Sprintf("its release cannot be read: %v", err), nil
	}
	key, err := release.Verify(sit.roster)
	switch {
	case err != nil:
		return fmt.Sprintf("%s, or the key that released it, is no keykeeper's any more", release.Keykeeper), nil
	case sit.suspended.Stop(release.Keykeeper, key), sit.suspended.Stop(release.Keykeeper, signature.Key{}):
		return fmt.Sprintf("%s, or the key that released it, is suspended", release.Keykeeper), nil
	}
	return "", nil
}

// expire ends a request that nobody may answer any more.
func (s *Safe) expire(ctx context.Context, id safe.OpeningID, reason ledger.Text) error {
	err := s.state.Update(ctx, func(tx *state.Tx) error {
		if err := tx.EndOpening(id, opening.Expired, reason); err != nil {
			return err
		}
		return tx.Append(s.opts.Now(), ledger.Safe, ledger.OpeningExpired{Opening: id, Reason: reason})
	})
	if err == nil {
		s.publishSoon(ctx)
	}
	return err
}
