package daemon

import (
	"context"
	"crypto/subtle"
	"errors"
	"net/netip"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/access/api"
	"strongroom/internal/access/opening"
	"strongroom/internal/daemon/state"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/store/seal"
)

const (
	challengeLife = 10 * time.Minute
	ticketLife    = time.Hour
)

// The role keys, as people name them.
const (
	outerRole = "outer"
	innerRole = "inner"
)

// A challenge asks to show that somebody holds role keys.
type challenge struct {
	nonce  opening.Nonce
	who    ledger.Who
	check  api.KeyCheck // zero if both keys of the current period are asked for
	roster safe.Digest
}

var errWrongAnswer = errors.New("this is not what the challenge contains, or it was answered before, or its time is over")

// A ticket is for one proposal.
type ticket struct {
	roster safe.Digest // that was in force
	until  time.Time
}

// answered returns the challenge that an answer is for. There is one answer.
func answered(challenges *once[access.Token, challenge], now time.Time, answer api.Answer, who ledger.Who) (challenge, error) {
	c, ok := challenges.take(now, answer.ID)
	if !ok || c.who != who || subtle.ConstantTimeCompare(c.nonce[:], answer.Nonce[:]) != 1 {
		return c, deny(errWrongAnswer)
	}
	return c, nil
}

// BeginKeyCheck makes a challenge by which a person shows to hold a role key.
func (s *Safe) BeginKeyCheck(ctx context.Context, from netip.Addr, who safe.PersonName, check api.KeyCheck) (api.Challenge, error) {
	sit, err := s.situation(s.state.View(ctx))
	if err != nil {
		return api.Challenge{}, err
	}
	if check.Period < 1 || check.Period > len(sit.roster.Periods) {
		return api.Challenge{}, invalid("there is no period %d", check.Period)
	}
	period := sit.roster.Periods[check.Period-1]
	if err := sit.mayProve(who, roleOf(check.Role)); err != nil {
		return api.Challenge{}, s.settle(ctx, from, "key.check", err)
	}
	c := challenge{nonce: opening.NewNonce(), who: ledger.Who(who), check: check, roster: sit.roster.Digest()}
	var sealed []byte
	switch check.Role {
	case outerRole:
		sealed, err = seal.NewOuterProof(c.nonce, period.Outer)
	case innerRole:
		sealed, err = seal.NewInnerProof(c.nonce, period.Inner)
	default:
		err = invalid("there is no role key %.20q: there are %s and %s", check.Role, outerRole, innerRole)
	}
	if err != nil {
		return api.Challenge{}, err
	}
	id := access.NewToken()
	s.callers.challenges.put(sit.now, challengeLife, c.who, id, c)
	return api.Challenge{ID: id, Sealed: sealed}, nil
}

// mayProve reports why nothing is proven by that person. Who has no key left
// that signs holds nothing: whoever answers may have found what was lost.
func (sit situation) mayProve(who safe.PersonName, role access.Role) error {
	p, err := sit.holder(who, role)
	if err == nil && !sit.acts(p) {
		err = deny(access.ErrSuspended)
	}
	return err
}

// roleOf returns the role whose key that is.
func roleOf(key string) access.Role {
	if key == innerRole {
		return access.Operator
	}
	return access.Keykeeper
}

// AnswerKeyCheck records that a person holds a role key.
func (s *Safe) AnswerKeyCheck(ctx context.Context, from netip.Addr, who safe.PersonName, answer api.Answer) error {
	now := s.opts.Now().UTC()
	c, err := answered(&s.callers.challenges, now, answer, ledger.Who(who))
	if err != nil {
		return s.settle(ctx, from, "key.check", err)
	}
	return s.change(ctx, from, "key.check", func(tx *state.Tx) error {
		sit, err := s.situation(tx.View())
		if err != nil {
			return err
		}
		if err := sit.mayProve(who, roleOf(c.check.Role)); err != nil {
			return err
		}
		return s.recordCheck(tx, now, c.who, c.check)
	})
}

func (s *Safe) recordCheck(tx *state.Tx, now time.Time, who ledger.Who, check api.KeyCheck) error {
	err := tx.SetKeyCheck(state.KeyCheck{Person: who, Role: check.Role, Period: check.Period, Paper: check.Paper, Time: now})
	if err != nil {
		return err
	}
	return tx.Append(now, who, ledger.KeyChecked{Role: ledger.Text(check.Role), Period: check.Period, Paper: check.Paper})
}

// BeginRecovery makes a challenge that only both current role keys together can
// answer. Anybody may ask for it.
func (s *Safe) BeginRecovery(ctx context.Context, from netip.Addr) (api.Challenge, error) {
	sit, err := s.situation(s.state.View(ctx))
	if err != nil {
		return api.Challenge{}, err
	}
	period := sit.roster.Current()
	c := challenge{nonce: opening.NewNonce(), who: ledger.Papers, roster: sit.roster.Digest()}
	sealed, err := seal.NewProof(c.nonce, period.Outer, period.Inner)
	if err != nil {
		return api.Challenge{}, err
	}
	id := access.NewToken()
	s.callers.recoveries.put(sit.now, challengeLife, "", id, c)
	return api.Challenge{ID: id, Sealed: sealed}, nil
}

// AnswerRecovery gives a ticket for one proposal to somebody who holds both
// current role keys. That both are in one place stands in the ledger.
func (s *Safe) AnswerRecovery(ctx context.Context, from netip.Addr, answer api.Answer) (api.Recovery, error) {
	now := s.opts.Now().UTC()
	c, err := answered(&s.callers.recoveries, now, answer, ledger.Papers)
	if err != nil {
		return api.Recovery{}, s.settle(ctx, from, "recovery", err)
	}
	recovery := api.Recovery{Ticket: access.NewToken()}
	err = s.change(ctx, from, "recovery", func(tx *state.Tx) error {
		sit, err := s.situation(tx.View())
		if err != nil {
			return err
		}
		if sit.roster.Digest() != c.roster {
			return denyf("another version of the roster has come into force meanwhile")
		}
		for _, role := range []string{outerRole, innerRole} {
			if err := s.recordCheck(tx, now, ledger.Papers, api.KeyCheck{Role: role, Period: len(sit.roster.Periods), Paper: true}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return api.Recovery{}, err
	}
	if recovery.Everyone, err = s.everyoneNow(s.state.View(ctx)); err != nil {
		return api.Recovery{}, err
	}
	s.callers.tickets.put(now, ticketLife, "", recovery.Ticket, ticket{c.roster, now.Add(ticketLife)})
	return recovery, nil
}

// Recover proposes a version of the roster for somebody who holds both role
// keys. It waits, and people who are left can object.
func (s *Safe) Recover(ctx context.Context, from netip.Addr, token access.Token, roster []byte) error {
	now := s.opts.Now().UTC()
	t, ok := s.callers.tickets.take(now, token)
	if !ok {
		return s.settle(ctx, from, "recovery.propose", denyf("this ticket is none, or was used, or its time is over"))
	}
	err := s.change(ctx, from, "recovery.propose", func(tx *state.Tx) error {
		sit, err := s.situation(tx.View())
		if err != nil {
			return err
		}
		if sit.roster.Digest() != t.roster {
			return denyf("another version of the roster has come into force meanwhile: prove the keys again")
		}
		return s.recover(tx, sit, roster)
	})
	if err != nil {
		// What was wrong can be mended without typing two keys in again.
		s.callers.tickets.put(now, t.until.Sub(now), "", token, t)
	}
	return err
}

func (s *Safe) recover(tx *state.Tx, sit situation, roster []byte) error {
	digest := safe.DigestOf(roster)
	p, known, err := tx.View().Proposal(digest)
	if err != nil {
		return err
	}
	if !known {
		if p, err = s.newProposal(tx.View(), sit, roster, ledger.Papers); err != nil {
			return err
		}
		if err := s.replaceProposals(tx, sit, ledger.Papers); err != nil {
			return err
		}
		if err := tx.Append(sit.now, ledger.Papers, proposed(sit, p, ledger.Signed{})); err != nil {
			return err
		}
	}
	p = p.Prove(sit.now)
	if err := tx.SetProposal(p); err != nil {
		return err
	}
	return tx.Append(sit.now, ledger.Papers, ledger.RosterAgreed{Version: int64(p.Next().Number), Digest: digest, Ready: p.Ready})
}
