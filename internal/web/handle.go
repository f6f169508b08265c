package web

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	"strongroom/internal/access"
	"strongroom/internal/access/api"
	"strongroom/internal/access/opening"
	"strongroom/internal/access/signature"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/spelling"
)

// taking makes a handler of what takes one message.
func taking[M any](handle func(*Server, context.Context, call, M) (any, error)) func(*Server, context.Context, call) (any, error) {
	return func(s *Server, ctx context.Context, c call) (any, error) {
		var message M
		err := spelling.CheckValues(c.body)
		if err == nil {
			err = spelling.Decode(c.body, &message)
		}
		var answer any
		if err != nil {
			err = invalid("the request cannot be understood: %v", err)
		} else {
			answer, err = handle(s, ctx, c, message)
		}
		var wrong *api.InvalidError
		if errors.As(err, &wrong) && hasPRF(c.body) { // nothing that is right has a place for it
			return nil, s.refuse(ctx, "prf", leaked(c.person), c.from)
		}
		return answer, err
	}
}

// leaked is told, and recorded, in the place of the message. Whose passkey is to
// be suspended is to be seen from it, where it is known who sent that.
func leaked(by safe.PersonName) string {
	sent := "what was sent"
	if by != "" {
		sent = fmt.Sprintf("what %s sent", by)
	}
	return sent + " has the result of a passkey's PRF, a key that must never leave the page: " +
		"the page was not the safe's own, or has a mistake, and the passkey can no longer be trusted"
}

// hasPRF reports whether a body that is refused in any case has the results of
// a PRF somewhere, as credential.toJSON() of a browser spells them, or has a
// text with them, which may be in base64: an enrolment, a keyring, a statement.
func hasPRF(body []byte) bool {
	if spellsPRF(body) {
		return true
	}
	for d := json.NewDecoder(bytes.NewReader(body)); ; {
		token, err := d.Token()
		if err != nil {
			return false // its end, or what cannot be read on
		}
		text, ok := token.(string)
		if !ok {
			continue
		}
		if within, err := base64.StdEncoding.DecodeString(text); spellsPRF([]byte(text)) || err == nil && spellsPRF(within) {
			return true
		}
	}
}

func spellsPRF(b []byte) bool {
	return bytes.Contains(b, []byte(`"prf"`)) && bytes.Contains(b, []byte(`"results"`))
}

// acting makes a handler of what takes a signed statement of one kind. If the
// path names an opening, about tells which one the statement is about.
func acting[A access.Act](do func(Desk, context.Context, netip.Addr, ledger.Signed) error, about func(A) safe.OpeningID) func(*Server, context.Context, call) (any, error) {
	return taking(func(s *Server, ctx context.Context, c call, message api.Act) (any, error) {
		act, err := stated[A](ctx, s, c, message.Signed)
		if err != nil {
			return nil, err
		}
		if about != nil && about(act).String() != c.id {
			return nil, invalid("what was signed is about another opening")
		}
		return nil, do(s.desk, ctx, c.from, message.Signed)
	})
}

// stated returns what the person who calls has stated. That it bears their
// signature is for the Desk to verify.
func stated[A access.Act](ctx context.Context, s *Server, c call, evidence ledger.Signed) (act A, err error) {
	statement, err := access.ParseStatement([]byte(evidence.Statement))
	if err != nil {
		return act, invalid("what was signed cannot be understood: %v", err)
	}
	act, ok := statement.Act.(A)
	switch {
	case !ok:
		return act, invalid("what was signed is %s, not %s", statement.Act.Act(), act.Act())
	case statement.Store != s.desk.ID():
		return act, invalid("what was signed is for another safe")
	case statement.Person != c.person:
		return act, s.refuse(ctx, act.Act(), fmt.Sprintf("%s sent what %s is said to have signed", c.person, statement.Person), c.from)
	}
	made, err := signature.Parse(evidence.Signature)
	if err != nil {
		return act, nil // the Desk refuses it
	}
	return act, s.checkOrigin(ctx, c, act.Act(), made)
}

// checkOrigin sees that a passkey has signed on one of the safe's own pages, or
// on one that its configuration names. To be good for the domain is not enough:
// all other hosts below it could ask for a touch, and have something else signed
// than they show.
func (s *Server) checkOrigin(ctx context.Context, c call, what string, made signature.Signature) error {
	assertion, ok := made.Assertion()
	if !ok {
		return nil // no browser had a part in it
	}
	origin, err := assertion.Origin()
	if err != nil {
		return invalid("what was signed cannot be understood: %v", err)
	}
	if slices.Contains(s.opts.Pages.Origins, origin) || slices.Contains(s.opts.Pages.ReleasePages, origin) {
		return nil
	}
	return s.refuse(ctx, what, fmt.Sprintf("the passkey of %s has signed it on a page of %.100q, which is none of this safe's", c.person, origin), c.from)
}

// number returns a parameter that is a number and not below 0; 0 if there is
// none.
func number(parameter string) (int64, error) {
	if parameter == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(parameter, 10, 64)
	if err != nil || n < 0 || strconv.FormatInt(n, 10) != parameter {
		return 0, invalid("%.40q in the query of the request is not a number", parameter)
	}
	return n, nil
}

// opening returns which one the path names. An id that is none is not found,
// as one that is not there.
func (c call) opening() (safe.OpeningID, error) {
	id, err := safe.ParseOpeningID(c.id)
	if err != nil {
		return id, api.ErrNotFound
	}
	return id, nil
}

func (s *Server) enrol(ctx context.Context, c call, m api.Enrolling) (any, error) {
	// Whatever is wrong with it is told before the token is looked at.
	if _, err := access.ParseEnrolment(m.Enrolment); err != nil {
		return nil, invalid("the enrolment cannot be: %v", err)
	}
	return nil, s.desk.Enrol(ctx, c.from, c.page.origin, m)
}

func (s *Server) beginPasskeys(ctx context.Context, c call, m api.Invited) (any, error) {
	return s.desk.BeginPasskeys(ctx, c.from, m.Token)
}

func (s *Server) keyring(ctx context.Context, c call) (any, error) {
	b, err := s.desk.Keyring(ctx, c.person)
	if errors.Is(err, api.ErrNotFound) {
		err = nil
	}
	return api.Keyring{Keyring: b}, err
}

func (s *Server) keepKeyring(ctx context.Context, c call, m api.Keyring) (any, error) {
	return nil, s.desk.KeepKeyring(ctx, c.from, c.person, m.Keyring)
}

func (s *Server) beginRecovery(ctx context.Context, c call) (any, error) {
	return s.desk.BeginRecovery(ctx, c.from)
}

func (s *Server) answerRecovery(ctx context.Context, c call, m api.Answer) (any, error) {
	r, err := s.desk.AnswerRecovery(ctx, c.from, m)
	r.Everyone.Links = nil // nobody has a version to follow them from
	return r, err
}

func (s *Server) recover(ctx context.Context, c call, m api.Recovering) (any, error) {
	return nil, s.desk.Recover(ctx, c.from, m.Ticket, m.Roster)
}

func (s *Server) everyone(ctx context.Context, c call) (any, error) {
	after, err := number(c.query)
	if err != nil {
		return nil, err
	}
	if after != int64(int(after)) {
		return nil, invalid("there is no version %d of the roster", after)
	}
	e, err := s.desk.Everyone(ctx, int(after))
	e.Links = some(e.Links)
	return e, err
}

// maxLinks bounds in bytes the versions of the roster that one answer has. A
// large one has 1 MB.
const maxLinks = 16 << 20

// some returns the first links, one at least, that are not too many.
func some(links []access.Link) []access.Link {
	size := 0
	for i, link := range links {
		if size += len(link.Roster); size > maxLinks && i > 0 {
			return links[:i]
		}
	}
	return links
}

func (s *Server) propose(ctx context.Context, c call, m api.Proposing) (any, error) {
	if _, err := stated[access.Agree](ctx, s, c, m.Signed); err != nil {
		return nil, err
	}
	return nil, s.desk.Propose(ctx, c.from, m.Roster, m.Signed)
}

func (s *Server) beginKeyCheck(ctx context.Context, c call, m api.KeyCheck) (any, error) {
	return s.desk.BeginKeyCheck(ctx, c.from, c.person, m)
}

func (s *Server) answerKeyCheck(ctx context.Context, c call, m api.Answer) (any, error) {
	return nil, s.desk.AnswerKeyCheck(ctx, c.from, c.person, m)
}

func (s *Server) head(ctx context.Context, c call) (any, error) {
	from, err := number(c.query)
	if err != nil {
		return nil, err
	}
	return s.desk.Head(ctx, from)
}

func (s *Server) snapshots(ctx context.Context, c call) (any, error) {
	all, err := s.desk.Snapshots(ctx)
	return append([]api.Snapshot{}, all...), err // [] in JSON, not null
}

func (s *Server) openings(ctx context.Context, c call) (any, error) {
	all, err := s.desk.Openings(ctx)
	all = append([]api.Opening{}, all[:min(len(all), api.MaxOpenings)]...)
	for i := range all {
		all[i].Release = nil
	}
	return all, err
}

func (s *Server) opening(ctx context.Context, c call) (any, error) {
	id, err := c.opening()
	if err != nil {
		return nil, err
	}
	return s.desk.Opening(ctx, id)
}

func (s *Server) grant(ctx context.Context, c call) (any, error) {
	known, err := number(c.query)
	if err != nil {
		return nil, err
	}
	id, err := c.opening()
	if err != nil {
		return nil, err
	}
	return s.desk.Grant(ctx, c.from, c.person, id, known)
}

func (s *Server) envelopes(ctx context.Context, c call) (any, error) {
	id, err := c.opening()
	if err != nil {
		return nil, err
	}
	var after safe.RunID
	if c.query != "" {
		if after, err = safe.ParseRunID(c.query); err != nil {
			return nil, invalid("%v", err)
		}
	}
	all, err := s.desk.Envelopes(ctx, c.from, c.person, id, after)
	return append([]api.Envelope{}, all[:min(len(all), api.MaxEnvelopes)]...), err
}

func (s *Server) release(ctx context.Context, c call, m api.Released) (any, error) {
	id, err := c.opening()
	if err != nil {
		return nil, err
	}
	if m.Release.Keykeeper != c.person {
		return nil, s.refuse(ctx, "opening.release", fmt.Sprintf("%s sent a release of %s", c.person, m.Release.Keykeeper), c.from)
	}
	grant, err := opening.ParseGrant([]byte(m.Release.Grant))
	if err != nil {
		return nil, invalid("the release cannot be understood: %v", err)
	}
	if grant.Opening != id {
		return nil, invalid("what was signed is about another opening")
	}
	if err := s.checkOrigin(ctx, c, "opening.release", m.Release.Signature); err != nil {
		return nil, err
	}
	return nil, s.desk.Release(ctx, c.from, m.Release, m.Inner)
}
