package daemon

import (
	"context"
	"fmt"

	"strongroom/internal/access"
	"strongroom/internal/access/compose"
	"strongroom/internal/access/signature"
	"strongroom/internal/daemon/state"
	"strongroom/internal/ledger"
	"strongroom/internal/report"
	"strongroom/internal/safe"
	"strongroom/internal/safe/words"
)

// LookPeople returns who holds what.
func (s *Safe) LookPeople(ctx context.Context) (p report.PeoplePage, err error) {
	err = s.look(ctx, func(g glance) error {
		p, err = g.people()
		return err
	})
	return p, err
}

func (g glance) people() (p report.PeoplePage, err error) {
	roster := g.sit.roster
	p = report.PeoplePage{Safe: g.config.Safe, Now: g.now, Version: roster.Number, Words: words.Of(roster.Digest()), Founded: roster.Founded()}
	if p.Founded {
		links, err := g.linksFromFounding(g.v)
		if err != nil {
			return p, err
		}
		p.Pinned = words.Of(safe.DigestOf(links[0].Roster)) // there is one, as it is founded
	}
	checks, err := g.v.KeyChecks()
	if err != nil {
		return p, err
	}
	for _, person := range roster.People {
		p.People = append(p.People, g.person(person, checks))
	}
	nags, err := g.rosterNags(g.v, g.sit)
	if err != nil {
		return p, err
	}
	p.Missing = nagFindings(nags)
	if p.Proposals, err = g.proposals(); err != nil {
		return p, err
	}
	if p.Enrolments, err = g.enrolments(); err != nil {
		return p, err
	}
	p.Invited, err = g.invited()
	return p, err
}

func (g glance) person(p access.Person, checks []state.KeyCheck) report.PersonLine {
	line := report.PersonLine{Name: p.Name, FullName: string(p.FullName), Roles: p.Roles, Mail: p.Mail, Addresses: p.Addresses,
		Keys: keyLines(p), Suspended: g.sit.suspended.Stop(p.Name, signature.Key{})}
	for i, key := range p.Keys() {
		line.Keys[i].Suspended = g.sit.suspended.Stop(p.Name, key)
	}
	n := nagging{situation: g.sit, checks: checks}
	period := len(g.sit.roster.Periods)
	for _, r := range roleKeys {
		if !p.Has(r.role) {
			continue
		}
		own := n.proven(ledger.Who(p.Name), r.key, period, false)
		line.Proven = append(line.Proven, report.KeyProof{Role: r.key, Time: own, Old: n.old(own), Page: len(p.SSH) == 0})
		if paper := n.proven(ledger.Who(p.Name), r.key, period, true); !paper.IsZero() {
			line.Proven = append(line.Proven, report.KeyProof{Role: r.key, Paper: true, Time: paper, Old: n.old(paper)})
		}
	}
	return line
}

// keyLines are the keys by which the safe knows a person, in the order of
// access.Person.Keys.
func keyLines(p access.Person) (all []report.KeyLine) {
	for _, key := range p.SSH {
		all = append(all, report.KeyLine{Fingerprint: key.Fingerprint(), Use: report.UseSSH})
	}
	for _, use := range []access.PasskeyUse{access.Release, access.SignIn} {
		for _, k := range p.Passkeys {
			if k.Use == use {
				all = append(all, report.KeyLine{Fingerprint: k.Key.Fingerprint(), Use: report.KeyUse(use), Synced: k.Synced})
			}
		}
	}
	return all
}

func (g glance) proposals() (all []report.ProposalLine, err error) {
	waiting, err := g.v.Proposals()
	if err != nil {
		return nil, err
	}
	for _, p := range waiting {
		p = p.Recount(g.sit.roster, g.sit.suspended)
		next := p.Next()
		line := report.ProposalLine{Version: next.Number, Digest: next.Digest(), Words: words.Of(next.Digest()), By: p.By, Proposed: p.Proposed,
			Changes: compose.Changes(g.sit.roster, next), Objected: p.Objected, Papers: p.Papers, Ready: p.Ready}
		for _, signed := range p.Agreed {
			st, err := access.ParseStatement([]byte(signed.Statement))
			if err != nil {
				return nil, fmt.Errorf("reading an agreement with version %d of the roster: %w", next.Number, err)
			}
			line.Agreed = append(line.Agreed, st.Person)
		}
		all = append(all, line)
	}
	return all, nil
}

func (g glance) enrolments() (all []report.EnrolmentLine, err error) {
	received, err := g.v.Enrolments()
	if err != nil {
		return nil, err
	}
	waiting, err := g.v.Proposals()
	if err != nil {
		return nil, err
	}
	for _, r := range received {
		e, err := access.ParseEnrolment(r.Bytes)
		if err != nil {
			return nil, fmt.Errorf("reading an enrolment: %w", err)
		}
		proposed := 0
		for _, p := range waiting {
			next := p.Next()
			if person, ok := next.Person(e.Person.Name); ok && person.Equal(e.Person) {
				proposed = next.Number
			}
		}
		all = append(all, report.EnrolmentLine{Person: e.Person.Name, FullName: string(e.Person.FullName), Roles: e.Person.Roles,
			From: r.From, Time: r.Time, Words: words.Of(e.Digest()), Keys: keyLines(e.Person), Proposed: proposed})
	}
	return all, nil
}

func (g glance) invited() (all []report.InvitationLine, err error) {
	waiting, err := g.v.Invitations()
	if err != nil {
		return nil, err
	}
	for _, i := range waiting {
		if g.now.Before(i.Until) {
			all = append(all, report.InvitationLine{Person: i.Person, Roles: i.Roles, Until: i.Until})
		}
	}
	return all, nil
}
