package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/access/api"
	"strongroom/internal/access/opening"
	"strongroom/internal/access/passkey"
	"strongroom/internal/daemon/state"
	"strongroom/internal/safe"
)

// signInLife is how long somebody has to find their passkey and touch it.
const signInLife = 5 * time.Minute

// BeginSignIn returns what somebody is to sign who wants to see the pages.
func (s *Safe) BeginSignIn(context.Context, netip.Addr) (api.SignInChallenge, error) {
	domain, err := s.domain(s.Roster())
	if err != nil {
		return api.SignInChallenge{}, err
	}
	nonce := opening.NewNonce()
	s.callers.signIns.put(s.opts.Now().UTC(), signInLife, "", nonce, struct{}{})
	return api.SignInChallenge{Nonce: nonce, Store: s.id, Domain: domain}, nil
}

// errNotKnown is told to whoever does not sign in. The reason is in the ledger.
var errNotKnown = errors.New("that was no passkey of somebody of this safe, used just now on its own page")

// errOtherPage does not name the page: anybody can claim any, and each would be
// another refusal, of which the ledger takes so many in an hour.
var errOtherPage = errors.New("it was signed on another page than the one that sent it")

// SignIn returns whose passkey has signed a nonce, on a page of that origin, and
// which it is. Whether it is suspended, and whether its holder may come from
// that address, is to be seen afterwards.
func (s *Safe) SignIn(ctx context.Context, from netip.Addr, origin string, m api.SignIn) (safe.PersonName, passkey.Key, error) {
	const what = "sign-in"
	now := s.opts.Now().UTC()
	_, fresh := s.callers.signIns.take(now, m.Nonce) // whatever comes of it
	roster := s.Roster()
	domain, err := s.domain(roster)
	if err != nil {
		return "", passkey.Key{}, err
	}
	people, err := everybody(s.state.View(ctx), roster)
	if err != nil {
		return "", passkey.Key{}, err
	}
	p, key, err := s.signedIn(people, domain, origin, m)
	if !fresh {
		err = fmt.Errorf("its nonce is none that was given out in the last %d minutes, or it was used", int(signInLife.Minutes()))
	}
	if err != nil {
		s.Refused(ctx, what, err.Error(), from)
		return "", passkey.Key{}, &api.DeniedError{What: what, Reason: errNotKnown.Error(), Err: err}
	}
	if key.Use != access.SignIn {
		// Devices offer both, and nobody but the person could touch it: a slip of
		// the finger alarms nobody.
		s.log.Info("the passkey for releases was touched to sign in", "person", p.Name, "from", from)
		return "", passkey.Key{}, invalid("%s has touched the passkey that is for releases: the other one signs in", p.Name)
	}
	return p.Name, key.Key, nil
}

// everybody returns who may have a passkey: the people of the roster, and after
// them those who have enrolled.
func everybody(v state.View, roster access.Roster) ([]access.Person, error) {
	people := slices.Clone(roster.People)
	enrolments, err := v.Enrolments()
	for _, en := range enrolments {
		e, err := access.ParseEnrolment(en.Bytes)
		if err != nil {
			return nil, fmt.Errorf("reading an enrolment: %w", err)
		}
		people = append(people, e.Person)
	}
	return people, err
}

// signedIn finds the person and the passkey that signed. Somebody who was
// invited can claim the id of another's passkey; so each of that id is tried.
func (s *Safe) signedIn(people []access.Person, domain, origin string, m api.SignIn) (access.Person, access.Passkey, error) {
	if page, err := m.Assertion.Origin(); err != nil || origin == "" || page != origin {
		return access.Person{}, access.Passkey{}, errOtherPage
	}
	err := errors.New("nobody has that passkey")
	for _, p := range people {
		for _, k := range p.Passkeys {
			if !slices.Equal(k.Key.Credential(), m.Assertion.Credential) {
				continue
			}
			if err = m.Assertion.Verify(k.Key, domain, api.SignInNamespace, api.SignInMessage(s.id, m.Nonce)); err == nil {
				return p, k, nil
			}
			err = fmt.Errorf("with a passkey of %s: %w", p.Name, err)
		}
	}
	return access.Person{}, access.Passkey{}, err
}
