package daemon

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/access/api"
	"strongroom/internal/access/signature"
	"strongroom/internal/daemon/state"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
)

const (
	maxInvitations = 100
	// maxTries is how often the right token may come with an enrolment that is
	// not as invited.
	maxTries = 5
)

// Invite makes an invitation, in the place of an earlier one of that name. Only
// its token's hash is kept. URL, Safe and CA are for the caller to fill in.
func (s *Safe) Invite(ctx context.Context, name safe.PersonName, roles []access.Role) (access.Invitation, error) {
	if _, err := safe.ParsePersonName(string(name)); err != nil {
		return access.Invitation{}, err
	}
	if s.keys.gate.public.IsZero() {
		return access.Invitation{}, ErrNoGate
	}
	roles = slices.Compact(slices.Sorted(slices.Values(roles)))
	if len(roles) == 0 {
		return access.Invitation{}, invalid("an invitation is for a role at least")
	}
	if slices.Contains(roles, access.Keykeeper) && slices.Contains(roles, access.Operator) {
		return access.Invitation{}, invalid("%s cannot be keykeeper and operator: one person would open the safe alone", name)
	}
	now := s.opts.Now().UTC()
	i := access.Invitation{Safe: s.config.Safe, Store: s.id, Person: name, Roles: roles, Token: access.NewToken()}
	until := now.Add(access.InvitationLife)
	err := s.state.Update(ctx, func(tx *state.Tx) error {
		waiting, err := tx.View().Invitations()
		if err != nil {
			return err
		}
		if len(waiting) >= maxInvitations {
			return invalid("%d invitations wait already", len(waiting))
		}
		err = tx.SetInvitation(state.Invitation{Person: name, Roles: roles, Token: safe.DigestOf(i.Token[:]), Until: until})
		if err != nil {
			return err
		}
		return tx.Append(now, ledger.Safe, ledger.PersonInvited{Person: ledger.Who(name), Role: rolesText(roles), Until: until})
	})
	if err != nil {
		return access.Invitation{}, fmt.Errorf("inviting %s: %w", name, err)
	}
	s.publishSoon(ctx)
	return i, nil
}

func rolesText(roles []access.Role) ledger.Text {
	var names []string
	for _, r := range roles {
		names = append(names, string(r))
	}
	return ledger.TextOf(strings.Join(names, ", "))
}

// Enrol takes the enrolment of somebody who was invited, from a page of that
// origin or from none. A token that is none gives no hint why, and costs no more
// than a look: tokens cannot be guessed, and whoever tries shall keep nobody out
// who has one.
func (s *Safe) Enrol(ctx context.Context, from netip.Addr, origin string, m api.Enrolling) error {
	const what = "enrol"
	now := s.opts.Now().UTC()
	invited, err := goodInvitation(s.state.View(ctx), m.Token, now)
	if err != nil {
		return s.settle(ctx, from, what, err)
	}
	var wrong error // why an enrolment is not as invited, which is counted all the same
	err = s.change(ctx, from, what, func(tx *state.Tx) error {
		if invited, err = goodInvitation(tx.View(), m.Token, now); err != nil {
			return err // somebody has used it meanwhile
		}
		e, err := s.checkEnrolment(*invited, m.Enrolment)
		if err == nil {
			err = s.checkPasskeys(m.Token, e, origin, m.Passkeys)
		}
		if err == nil {
			err = s.checkOwn(tx.View(), e.Person)
		}
		if err != nil {
			wrong = err
			if invited.Tries++; invited.Tries >= maxTries {
				return tx.DropInvitation(invited.Person)
			}
			return tx.SetInvitation(*invited)
		}
		if err := tx.DropInvitation(invited.Person); err != nil {
			return err
		}
		if err := tx.SetEnrolment(invited.Person, state.Enrolment{Bytes: m.Enrolment, From: from.Unmap().WithZone(""), Time: now}); err != nil {
			return err
		}
		err = tx.Append(now, ledger.Who(invited.Person), ledger.EnrolmentReceived{
			Person: ledger.Who(invited.Person), Digest: e.Digest(), From: from.Unmap().WithZone(""),
		})
		if err != nil || m.Keyring == nil {
			return err
		}
		sit, err := s.situation(tx.View())
		if err != nil {
			return err
		}
		return s.keepKeyring(tx, sit, e.Person, m.Keyring)
	})
	if err == nil && wrong != nil {
		return s.settle(ctx, from, what, deny(wrong))
	}
	if err == nil { // until then the page may mend what was wrong, and send it again
		s.callers.passkeys.take(now, safe.DigestOf(m.Token[:]))
	}
	return err
}

// goodInvitation compares the token with those of all invitations, in a time
// that does not depend on it.
func goodInvitation(v state.View, token access.Token, now time.Time) (found *state.Invitation, err error) {
	all, err := v.Invitations()
	digest := safe.DigestOf(token[:])
	for i := range all {
		if subtle.ConstantTimeCompare(all[i].Token[:], digest[:]) == 1 {
			found = &all[i]
		}
	}
	if err == nil && (found == nil || !now.Before(found.Until)) {
		err = denyf("this invitation is not good: it was used, its time is over, or it never was one")
	}
	return found, err
}

func (s *Safe) checkEnrolment(invited state.Invitation, b []byte) (access.Enrolment, error) {
	e, err := access.ParseEnrolment(b)
	switch {
	case err != nil:
		return e, err
	case e.Store != s.id:
		return e, fmt.Errorf("it is for store %s, not for %s", e.Store, s.id)
	case e.Person.Name != invited.Person || !slices.Equal(e.Person.Roles, invited.Roles):
		return e, fmt.Errorf("it is of %s, %s: invited is %s, %s", e.Person.Name, rolesText(e.Person.Roles), invited.Person, rolesText(invited.Roles))
	}
	return e, nil
}

// maxLinks bounds the versions of the roster that are handed out at a time.
const maxLinks = 20

// Everyone returns what people's machines need to know about people, with the
// versions of the roster after that one; from the one that founded the safe on,
// if after is 0.
func (s *Safe) Everyone(ctx context.Context, after int) (api.Everyone, error) {
	v := s.state.View(ctx)
	e, err := s.everyoneNow(v)
	if err != nil {
		return e, err
	}
	if after > 0 {
		e.Links, err = v.Links(after, maxLinks)
		return e, err
	}
	e.Links, err = s.linksFromFounding(v)
	return e, err
}

func (s *Safe) linksFromFounding(v state.View) (links []access.Link, err error) {
	for after := 0; ; after += maxLinks {
		all, err := v.Links(after, maxLinks)
		if err != nil {
			return nil, err
		}
		for i, link := range all {
			r, err := access.ParseRoster(link.Roster)
			if err != nil {
				return nil, err
			}
			if r.Founded() {
				more, err := v.Links(r.Number, maxLinks-1)
				return append([]access.Link{all[i]}, more...), err
			}
		}
		links = append(links, all...)
		if len(all) < maxLinks {
			return links, nil
		}
	}
}

// everyoneNow is Everyone without links.
func (s *Safe) everyoneNow(v state.View) (api.Everyone, error) {
	sit, err := s.situation(v)
	if err != nil {
		return api.Everyone{}, err
	}
	e := api.Everyone{Links: []access.Link{}, Current: sit.roster.Encode(), Suspensions: sit.suspended, Snapshots: sit.snapshots, Now: sit.now,
		Enrolments: []api.Enrolled{}, Checks: []api.Check{}}
	if e.Proposals, err = v.Proposals(); err != nil {
		return e, err
	}
	enrolments, err := v.Enrolments()
	if err != nil {
		return e, err
	}
	for _, en := range enrolments {
		e.Enrolments = append(e.Enrolments, api.Enrolled{Enrolment: en.Bytes, From: en.From, Time: en.Time})
	}
	checks, err := v.KeyChecks()
	for _, c := range checks {
		e.Checks = append(e.Checks, api.Check(c))
	}
	return e, err
}

// Voice returns who goes by that name: api.ErrNotFound if nobody may call by it.
func (s *Safe) Voice(ctx context.Context, name safe.PersonName) (api.Voice, error) {
	v := s.state.View(ctx)
	sit, err := s.situation(v)
	if err != nil {
		return api.Voice{}, err
	}
	voice := api.Voice{}
	p, ok := sit.roster.Person(name)
	e, enrolled, err := v.Enrolment(name)
	if err != nil {
		return voice, err
	}
	if enrolled {
		parsed, err := access.ParseEnrolment(e.Bytes)
		if err != nil {
			return voice, fmt.Errorf("reading the enrolment of %s: %w", name, err)
		}
		if ok {
			voice.Waiting = slices.DeleteFunc(parsed.Person.Keys(), func(key signature.Key) bool { return slices.Contains(p.Keys(), key) })
		} else {
			p, voice.Pending = parsed.Person, true
		}
	}
	if !ok && !enrolled {
		return voice, api.ErrNotFound
	}
	voice.Person = p
	voice.Usable = slices.DeleteFunc(p.Keys(), func(key signature.Key) bool { return sit.suspended.Stop(name, key) })
	return voice, nil
}

// Admit reports why a person, whose signature was verified, may not call from
// that address, with an *api.DeniedError: whoever can act as both an operator
// and a keykeeper, because one has taken over the machine of the other, could
// open the safe alone. That goes for who is to be a keykeeper, too. An operator
// is one of the roster: whoever has only enrolled could claim any address, and
// keep the keykeepers out.
func (s *Safe) Admit(ctx context.Context, from netip.Addr, name safe.PersonName) error {
	v := s.state.View(ctx)
	sit, err := s.situation(v)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(sit.roster.People, func(p access.Person) bool { return p.Has(access.Operator) && p.ComesFrom(from) })
	if i < 0 {
		return nil
	}
	operator := sit.roster.People[i].Name
	if p, ok := sit.roster.Person(name); ok && p.Has(access.Keykeeper) {
		return s.settle(ctx, from, "call", denyf("%s is a keykeeper and calls from an address of the operator %s", name, operator))
	}
	e, enrolled, err := v.Enrolment(name)
	if err != nil || !enrolled {
		return err
	}
	parsed, err := access.ParseEnrolment(e.Bytes)
	if err != nil {
		return fmt.Errorf("reading the enrolment of %s: %w", name, err)
	}
	if parsed.Person.Has(access.Keykeeper) {
		return s.settle(ctx, from, "call", denyf("%s has enrolled as a keykeeper and calls from an address of the operator %s", name, operator))
	}
	return nil
}

// Suspend stops a person, or one key, at once. The gate is shut also if nothing
// can be recorded, because the disk is full.
func (s *Safe) Suspend(ctx context.Context, from netip.Addr, signed ledger.Signed) error {
	var stopped []access.Suspension
	err := s.change(ctx, from, "person.suspend", func(tx *state.Tx) error {
		sit, err := s.situation(tx.View())
		if err != nil {
			return err
		}
		h, err := s.recognize(sit, signed)
		if err != nil {
			return err
		}
		act, ok := h.Act.(access.Suspend)
		if !ok {
			return invalid("%s is no suspension", h.Act.Act())
		}
		if err := sit.maySuspend(act); err != nil {
			return err
		}
		if err = s.fresh(tx, sit.now, signed); isDenied(err) {
			return err
		}
		stopped = append(stopped, access.Suspension{Person: act.Person, Key: act.Key})
		if err != nil {
			return err
		}
		return s.suspend(tx, sit, h, act, signed)
	})
	if err != nil && stopped != nil {
		return errors.Join(err, s.review(ctx, stopped...))
	}
	return s.thenReview(ctx, err)
}

func (sit situation) maySuspend(act access.Suspend) error {
	p, ok := sit.roster.Person(act.Person)
	switch {
	case !ok:
		return api.ErrNotFound
	case !act.Key.IsZero() && !slices.Contains(p.Keys(), act.Key):
		return invalid("%s does not have that key", act.Person)
	case sit.suspended.Stop(act.Person, act.Key):
		return invalid("%s is suspended already", act.Person)
	}
	return nil
}

func (s *Safe) suspend(tx *state.Tx, sit situation, h heard, act access.Suspend, signed ledger.Signed) error {
	e := ledger.PersonSuspended{Person: ledger.Who(act.Person), Reason: act.Reason, Signed: signed}
	if !act.Key.IsZero() {
		e.Key = ledger.TextOf(act.Key.Fingerprint())
	}
	n, err := tx.Record(sit.now, ledger.Who(h.Person), e)
	if err != nil {
		return err
	}
	made := access.Suspension{Entry: n, Person: act.Person, Key: act.Key}
	if err := tx.Suspend(made); err != nil {
		return err
	}
	after := sit
	after.suspended = append(slices.Clone(sit.suspended), made)
	for _, f := range after.raiseNobody(sit) {
		if err := tx.Append(sit.now, ledger.Safe, f); err != nil {
			return err
		}
	}
	return nil
}
