package daemon

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"strongroom/internal/access"
	"strongroom/internal/access/api"
	"strongroom/internal/access/compose"
	"strongroom/internal/daemon/state"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/store/layout"
)

// Propose proposes a version of the roster, with which its proposer agrees. It
// takes the place of an earlier proposal of theirs.
func (s *Safe) Propose(ctx context.Context, from netip.Addr, roster []byte, signed ledger.Signed) error {
	return s.change(ctx, from, "roster.propose", func(tx *state.Tx) error {
		sit, err := s.situation(tx.View())
		if err != nil {
			return err
		}
		st, err := access.ParseStatement([]byte(signed.Statement))
		if err != nil {
			return deny(err)
		}
		p, err := s.newProposal(tx.View(), sit, roster, ledger.Who(st.Person))
		if err != nil {
			return err
		}
		digest := safe.DigestOf(roster)
		if _, known, err := tx.View().Proposal(digest); err != nil || known {
			return either(err, invalid("this version is proposed already: agree with it"))
		}
		if err := s.mayFound(tx.View(), sit, p, st.Person); err != nil {
			return err
		}
		if p, err = p.Agree(sit.roster, signed, sit.access()); err != nil {
			return deny(err)
		}
		if err := s.fresh(tx, sit.now, signed); err != nil {
			return err
		}
		if err := s.replaceProposals(tx, sit, p.By); err != nil {
			return err
		}
		if err := tx.Append(sit.now, p.By, proposed(sit, p, signed)); err != nil {
			return err
		}
		return tx.SetProposal(p)
	})
}

// either returns err, or else if it is nil.
func either(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

// newProposal checks what can be checked of a version whoever agrees with it.
func (s *Safe) newProposal(v state.View, sit situation, roster []byte, by ledger.Who) (access.Proposal, error) {
	p, err := access.Propose(sit.roster, roster, by, sit.now)
	if err != nil {
		return p, deny(err)
	}
	// A version that lifted what is not suspended yet would make that
	// suspension void before it is made.
	known, err := v.Suspensions()
	if err != nil {
		return p, err
	}
	for _, entry := range p.Next().Lifted {
		if !slices.ContainsFunc(known, func(s access.Suspension) bool { return s.Entry == entry }) {
			return p, denyf("it lifts the suspension of ledger entry %d, which suspends nobody", entry)
		}
	}
	return p, nil
}

func proposed(sit situation, p access.Proposal, signed ledger.Signed) ledger.RosterProposed {
	next := p.Next()
	changes := []ledger.Text{}
	for _, line := range compose.Changes(sit.roster, next) {
		changes = append(changes, ledger.TextOf(line))
	}
	const most, room = 200, 32 << 10 // what an entry holds
	size := 0
	for i, line := range changes {
		if size += len(line) + 16; i == most-1 || size > room {
			changes = append(changes[:i:i], ledger.TextOf(fmt.Sprintf("and %d more", len(changes)-i)))
			break
		}
	}
	return ledger.RosterProposed{Version: int64(next.Number), Digest: next.Digest(), Previous: next.Previous, Changes: changes, Signed: signed}
}

// mayFound sees that whoever founds the safe was invited and has enrolled as
// they stand in the roster, and that its role keys are those of founders. Once
// it is founded, its people decide who joins.
func (s *Safe) mayFound(v state.View, sit situation, p access.Proposal, name safe.PersonName) error {
	if sit.roster.Founded() {
		return nil
	}
	all, err := v.Enrolments()
	if err != nil {
		return err
	}
	var enrolments []access.Enrolment
	for _, e := range all {
		parsed, err := access.ParseEnrolment(e.Bytes)
		if err != nil {
			return fmt.Errorf("reading an enrolment: %w", err)
		}
		enrolments = append(enrolments, parsed)
	}
	next := p.Next()
	person, _ := next.Person(name)
	if !slices.ContainsFunc(enrolments, func(e access.Enrolment) bool { return e.Person.Equal(person) }) {
		return denyf("%s has not enrolled as the proposed roster has them", name)
	}
	if err := access.CheckFounding(sit.roster, next, enrolments); err != nil {
		return deny(err)
	}
	return nil
}

// replaceProposals drops what somebody has proposed before.
func (s *Safe) replaceProposals(tx *state.Tx, sit situation, by ledger.Who) error {
	all, err := tx.View().Proposals()
	if err != nil {
		return err
	}
	for _, p := range all {
		if p.By == by {
			if err := s.drop(tx, sit, p, "its proposer proposes another version"); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Safe) drop(tx *state.Tx, sit situation, p access.Proposal, reason ledger.Text) error {
	next := p.Next()
	if err := tx.DropProposal(next.Digest()); err != nil {
		return err
	}
	return tx.Append(sit.now, ledger.Safe, ledger.RosterDropped{Version: int64(next.Number), Digest: next.Digest(), Reason: reason})
}

// Agree adds a person's agreement to a proposed version. If nothing is to be
// waited for, it comes into force.
func (s *Safe) Agree(ctx context.Context, from netip.Addr, signed ledger.Signed) error {
	err := s.change(ctx, from, "roster.agree", func(tx *state.Tx) error {
		sit, err := s.situation(tx.View())
		if err != nil {
			return err
		}
		st, err := access.ParseStatement([]byte(signed.Statement))
		if err != nil {
			return deny(err)
		}
		act, ok := st.Act.(access.Agree)
		if !ok {
			return invalid("%s is no agreement", st.Act.Act())
		}
		p, err := s.proposal(tx.View(), act.Digest)
		if err != nil {
			return err
		}
		if err := s.mayFound(tx.View(), sit, p, st.Person); err != nil {
			return err
		}
		waiting := p.Ready
		p = p.Recount(sit.roster, sit.suspended)
		if p, err = p.Agree(sit.roster, signed, sit.access()); err != nil {
			return deny(err)
		}
		if err := s.fresh(tx, sit.now, signed); err != nil {
			return err
		}
		agreed := ledger.RosterAgreed{Version: int64(act.Number), Digest: act.Digest, Signed: signed}
		if p.Ready != waiting {
			agreed.Ready = p.Ready
		}
		if err := tx.Append(sit.now, ledger.Who(st.Person), agreed); err != nil {
			return err
		}
		if p.Due(sit.now) {
			return s.enact(tx, sit, p)
		}
		return tx.SetProposal(p)
	})
	if err == nil {
		_, err = s.inForce(ctx) // whoever calls next is judged by it
	}
	return s.thenReview(ctx, err)
}

// thenReview reviews what may have lost its ground by a change that worked.
func (s *Safe) thenReview(ctx context.Context, err error) error {
	if err == nil {
		err = s.review(ctx)
	}
	return err
}

// proposal returns the proposal of that version, api.ErrNotFound if there is
// none.
func (s *Safe) proposal(v state.View, digest safe.Digest) (access.Proposal, error) {
	p, ok, err := v.Proposal(digest)
	if err == nil && !ok {
		err = api.ErrNotFound
	}
	return p, err
}

// Object stops a proposed version.
func (s *Safe) Object(ctx context.Context, from netip.Addr, signed ledger.Signed) error {
	return s.change(ctx, from, "roster.object", func(tx *state.Tx) error {
		sit, err := s.situation(tx.View())
		if err != nil {
			return err
		}
		st, err := access.ParseStatement([]byte(signed.Statement))
		if err != nil {
			return deny(err)
		}
		act, ok := st.Act.(access.Object)
		if !ok {
			return invalid("%s is no objection", st.Act.Act())
		}
		p, err := s.proposal(tx.View(), act.Digest)
		if err != nil {
			return err
		}
		if err := s.mayFound(tx.View(), sit, p, st.Person); err != nil {
			return err
		}
		voters := sit
		if !sit.roster.Founded() {
			voters.roster = p.Next()
		}
		if _, err := s.hear(tx, voters, signed); err != nil {
			return err
		}
		if err := p.MayObject(st.Person); err != nil {
			return deny(err)
		}
		entry, err := tx.Record(sit.now, ledger.Who(st.Person), ledger.RosterObjected{
			Version: int64(act.Number), Digest: act.Digest, Reason: act.Reason, Signed: signed,
		})
		if err != nil {
			return err
		}
		return tx.SetProposal(p.Object(st.Person, entry))
	})
}

// enact brings a proposal into force. The others, which follow the version
// before it, can no longer.
func (s *Safe) enact(tx *state.Tx, sit situation, p access.Proposal) error {
	next := p.Next()
	link := access.Link{Roster: p.Roster, Papers: p.Papers}
	if !p.Papers && sit.roster.Founded() {
		link.Agreements = p.Agreed
	}
	if err := tx.Enforce(next.Number, link); err != nil {
		return err
	}
	if err := tx.Publish(layout.Roster(next.Number), p.Roster); err != nil {
		return err
	}
	entry, err := tx.Record(sit.now, ledger.Safe, ledger.RosterChanged{Version: int64(next.Number), Digest: next.Digest()})
	if err != nil {
		return err
	}
	if err := s.welcome(tx, sit.roster, next, entry); err != nil {
		return err
	}
	if err := tx.DropProposal(next.Digest()); err != nil {
		return err
	}
	others, err := tx.View().Proposals()
	if err != nil {
		return err
	}
	for _, other := range others {
		if err := s.drop(tx, sit, other, "another version has come into force"); err != nil {
			return err
		}
	}
	return s.dropEnrolled(tx, next)
}

// dropEnrolled forgets the enrolments of people who stand in the roster now.
func (s *Safe) dropEnrolled(tx *state.Tx, r access.Roster) error {
	enrolments, err := tx.View().Enrolments()
	if err != nil {
		return err
	}
	for _, e := range enrolments {
		parsed, err := access.ParseEnrolment(e.Bytes)
		if err != nil {
			return fmt.Errorf("reading an enrolment: %w", err)
		}
		if p, ok := r.Person(parsed.Person.Name); ok && p.Equal(parsed.Person) {
			if err := tx.DropEnrolment(p.Name); err != nil {
				return err
			}
		}
	}
	return nil
}
