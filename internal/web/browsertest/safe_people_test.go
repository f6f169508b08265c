package browsertest

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/access/accesstest"
	"strongroom/internal/access/api"
	"strongroom/internal/access/opening"
	"strongroom/internal/ledger"
	"strongroom/internal/report"
	"strongroom/internal/safe"
	"strongroom/internal/safe/words"
	"strongroom/internal/spelling"
	"strongroom/internal/store/seal"
	"strongroom/internal/web/page"
)

// addPeople adds what the page "People" asks for and sends, and the page itself.
func (s *fakeSafe) addPeople(mux *http.ServeMux, handle func(string, func(*http.Request, []byte) (any, error))) {
	handle("GET /v1/people", func(*http.Request, []byte) (any, error) {
		r := s.team.Roster
		if s.lie != nil {
			s.lie(&r)
		}
		e := api.Everyone{Current: r.Encode(), Proposals: s.proposals, Suspensions: s.suspensions}
		for _, enrolment := range s.enrolments {
			e.Enrolments = append(e.Enrolments, api.Enrolled{Enrolment: enrolment.Encode()})
		}
		return e, nil
	})
	handle("POST /v1/roster/agree", s.decide(func(p access.Proposal, signed ledger.Signed, _ access.Act) (access.Proposal, error) {
		return p.Agree(s.team.Roster, signed, access.Situation{Now: time.Now(), Snapshots: true, Suspended: s.suspensions})
	}))
	handle("POST /v1/roster/object", s.decide(func(p access.Proposal, signed ledger.Signed, _ access.Act) (access.Proposal, error) {
		if _, _, err := s.team.Roster.Verify(signed); err != nil {
			return p, err
		}
		s.entries++
		return p.Object(s.person, s.entries), p.MayObject(s.person)
	}))
	handle("POST /v1/roster/propose", func(_ *http.Request, body []byte) (any, error) {
		var m api.Proposing
		if err := spelling.Decode(body, &m); err != nil {
			return nil, err
		}
		p, err := access.Propose(s.team.Roster, m.Roster, ledger.Who(s.person), time.Now())
		if err == nil {
			p, err = p.Agree(s.team.Roster, m.Signed, access.Situation{Now: time.Now(), Snapshots: true, Suspended: s.suspensions})
		}
		if err == nil {
			s.proposals = append(s.proposals, p)
		}
		return nil, err
	})
	handle("POST /v1/keys/check", func(_ *http.Request, body []byte) (any, error) {
		var m api.KeyCheck
		if err := spelling.Decode(body, &m); err != nil {
			return nil, err
		}
		s.asked, s.askedNonce = m, opening.NewNonce()
		sealed, err := seal.NewOuterProof(s.askedNonce, s.team.Roster.Periods[m.Period-1].Outer)
		return api.Challenge{ID: s.token, Sealed: sealed}, err
	})
	handle("POST /v1/keys/answer", func(_ *http.Request, body []byte) (any, error) {
		var m api.Answer
		if err := spelling.Decode(body, &m); err != nil {
			return nil, err
		}
		if m.ID != s.token || m.Nonce != s.askedNonce {
			return nil, errors.New("another nonce")
		}
		s.proven = append(s.proven, s.asked)
		return nil, nil
	})
	handle("POST /v1/people/suspend", func(_ *http.Request, body []byte) (any, error) {
		st, err := s.hear(body)
		if err != nil {
			return nil, err
		}
		act, ok := st.Act.(access.Suspend)
		if !ok {
			return nil, errors.New("it suspends nobody")
		}
		s.entries++
		s.suspensions = append(s.suspensions, access.Suspension{Entry: s.entries, Person: act.Person, Key: act.Key})
		return nil, nil
	})
	pages, err := page.New()
	if err != nil {
		s.t.Fatal(err)
	}
	static := http.StripPrefix(page.Assets, http.FileServerFS(page.Static()))
	for _, name := range []string{"pages.css", "mark.svg"} {
		mux.Handle("GET "+page.Assets+name, static)
	}
	mux.HandleFunc("GET /people", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", policy)
		visitor := &page.Visitor{Name: s.person, Roles: s.roles()}
		if err := pages.People(w, page.Frame{Safe: "acme", Path: "/people", Now: time.Now().UTC(), Visitor: visitor}, s.lookPeople()); err != nil {
			s.t.Error(err)
		}
	})
}

func (s *fakeSafe) roles() []access.Role {
	if p, ok := s.team.Roster.Person(s.person); ok {
		return p.Roles
	}
	return s.enrolment.Person.Roles
}

func (s *fakeSafe) hear(body []byte) (access.Statement, error) {
	var m api.Act
	if err := spelling.Decode(body, &m); err != nil {
		return access.Statement{}, err
	}
	st, _, err := s.team.Roster.Verify(m.Signed)
	if err == nil && st.Person != s.person {
		err = errors.New("another person's")
	}
	return st, err
}

// decide handles what is said of the proposal that a statement names.
func (s *fakeSafe) decide(change func(access.Proposal, ledger.Signed, access.Act) (access.Proposal, error)) func(*http.Request, []byte) (any, error) {
	return func(_ *http.Request, body []byte) (any, error) {
		var m api.Act
		if err := spelling.Decode(body, &m); err != nil {
			return nil, err
		}
		st, err := access.ParseStatement([]byte(m.Signed.Statement))
		if err != nil {
			return nil, err
		}
		var digest safe.Digest
		switch act := st.Act.(type) {
		case access.Agree:
			digest = act.Digest
		case access.Object:
			digest = act.Digest
		}
		i := slices.IndexFunc(s.proposals, func(p access.Proposal) bool { return safe.DigestOf(p.Roster) == digest })
		if i < 0 || st.Person != s.person {
			return nil, errors.New("there is no such thing")
		}
		p, err := change(s.proposals[i], m.Signed, st.Act)
		if err != nil {
			return nil, err
		}
		s.acts = append(s.acts, st.Act)
		s.proposals[i] = p
		return nil, nil
	}
}

// lookPeople is what a safe would have its page show.
func (s *fakeSafe) lookPeople() report.PeoplePage {
	r := s.team.Roster
	look := report.PeoplePage{Safe: "acme", Now: time.Now().UTC(), Version: r.Number, Words: "as the safe says", Pinned: words.Of(s.team.First.Digest()), Founded: r.Founded()}
	for _, p := range r.People {
		line := report.PersonLine{Name: p.Name, FullName: string(p.FullName), Roles: p.Roles, Mail: p.Mail, Addresses: p.Addresses}
		for _, key := range p.Keys() {
			line.Keys = append(line.Keys, report.KeyLine{Fingerprint: key.Fingerprint(), Use: report.UseRelease})
		}
		look.People = append(look.People, line)
	}
	for _, e := range s.enrolments {
		look.Enrolments = append(look.Enrolments, report.EnrolmentLine{Person: e.Person.Name, Roles: e.Person.Roles, Words: "as the safe says"})
	}
	for _, p := range s.proposals {
		digest := safe.DigestOf(p.Roster)
		if !s.drawn.IsZero() {
			digest = s.drawn
		}
		var agreed []safe.PersonName
		for _, signed := range p.Agreed {
			if st, err := access.ParseStatement([]byte(signed.Statement)); err == nil {
				agreed = append(agreed, st.Person)
			}
		}
		look.Proposals = append(look.Proposals, report.ProposalLine{Version: r.Number + 1, Digest: digest, Words: "as the safe says", By: p.By, Proposed: p.Proposed,
			Changes: []string{"what the safe says"}, Agreed: agreed, Objected: p.Objected, Papers: p.Papers, Ready: p.Ready})
	}
	return look
}

// propose has somebody of the team propose a version, as it changes the one in
// force.
func (s *fakeSafe) propose(by safe.PersonName, change func(*access.Roster)) access.Roster {
	s.t.Helper()
	next := s.team.Roster.Next()
	change(&next)
	next = accesstest.Reread(s.t, next)
	p, err := access.Propose(s.team.Roster, next.Encode(), ledger.Who(by), time.Now())
	if err == nil {
		p, err = p.Agree(s.team.Roster, s.team.People[by].States(s.t, s.team.Store, time.Now(), access.Agree{Number: next.Number, Digest: next.Digest()}), access.Situation{Now: time.Now(), Snapshots: true})
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.change(func() { s.proposals = []access.Proposal{p} })
	return next
}

// aPeriodMore begins a second period, of which ada has the key and kim does not.
func (s *fakeSafe) aPeriodMore() seal.OuterIdentity {
	s.t.Helper()
	outer := must(seal.NewOuterIdentity())(s.t)
	period := s.team.Roster.Current()
	period.From, period.Outer = period.From.Add(time.Hour), outer.Recipient()
	period.OuterCopies = []access.Copy{{Person: "ada", Sealed: must(outer.SealTo(s.enrolment.Person.Key, made))(s.t)}}
	s.change(func() {
		s.team.Roster.Periods = append(s.team.Roster.Periods, period)
		s.team.Roster = accesstest.Reread(s.t, s.team.Roster)
	})
	return outer
}

// adds returns a change that adds somebody, in the order of names.
func adds(p access.Person) func(*access.Roster) {
	return func(r *access.Roster) {
		r.People = append(r.People, p)
		slices.SortFunc(r.People, func(a, b access.Person) int { return strings.Compare(string(a.Name), string(b.Name)) })
	}
}

// newcomer is an operator who may be added.
func newcomer(t testing.TB, name safe.PersonName) access.Person {
	t.Helper()
	p := accesstest.NewPerson(t, name, access.Operator).Person
	p.FullName = `Otto "the <b>second</b>"`
	return p
}
