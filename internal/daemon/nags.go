package daemon

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/daemon/state"
	"strongroom/internal/ledger"
	"strongroom/internal/report"
	"strongroom/internal/safe"
)

// A Nag is what people should see to. Most is not wrong yet, and will be one day
// if nobody does anything; that nobody can act in a role is an alarm.
type Nag struct {
	Level  report.Level // Look or Alarm
	Text   string
	Remedy string
}

// provenEvery is how long a proof that somebody holds a key counts.
const provenEvery = 60 * 24 * time.Hour

// Nags returns what people should see to.
func (s *Safe) Nags(ctx context.Context) ([]Nag, error) {
	v := s.state.View(ctx)
	sit, err := s.situation(v)
	if err != nil {
		return nil, err
	}
	n, err := s.rosterNags(v, sit)
	if err != nil {
		return nil, err
	}
	open, err := s.openNags(ctx)
	return slices.Concat(n, s.configNags(sit), open), err
}

// openNags says that findings are open.
func (s *Safe) openNags(ctx context.Context) ([]Nag, error) {
	all, err := s.Findings(ctx)
	if err != nil {
		return nil, err
	}
	open := slices.DeleteFunc(all, func(f state.Finding) bool { return !f.Open(s.opts.Now()) })
	if len(open) == 0 {
		return nil, nil
	}
	return []Nag{{report.Look, report.Counted(len(open), "finding is open", "findings are open"), "See what, and what to do: strongroom findings list"}}, nil
}

// rosterNags are about people and keys.
func (s *Safe) rosterNags(v state.View, sit situation) ([]Nag, error) {
	checks, err := v.KeyChecks()
	if err != nil {
		return nil, err
	}
	n := &nagging{situation: sit, checks: checks}
	switch {
	case s.keys.gate.public.IsZero():
		n.add(ErrNoGate.Error(), "")
	case !sit.roster.Founded():
		remedy, err := founding(v)
		if err != nil {
			return nil, err
		}
		n.add("nobody stands in the roster: whoever has both role keys opens this safe alone", remedy)
	default:
		n.roles()
	}
	return n.all, nil
}

// configNags are about what is not configured.
func (s *Safe) configNags(sit situation) (all []Nag) {
	if sit.roster.Founded() && !s.keys.gate.public.IsZero() && s.config.Serve == nil {
		all = append(all, Nag{report.Look, "people cannot reach the safe", "Add a section serve to the configuration, and run: strongroom serve"})
	}
	if s.config.Mail == nil {
		all = append(all, Nag{report.Look, "nobody is told what happens: no mail is configured", "Add a section mail to the configuration; see strongroom config example"})
	}
	return all
}

// founding returns what is left to do until people stand in the roster.
func founding(v state.View) (string, error) {
	proposals, err := v.Proposals()
	if err != nil {
		return "", err
	}
	for _, p := range proposals {
		if !p.Ready.IsZero() {
			return "It is agreed who will, and comes into force on " + p.Ready.Local().Format("2006-01-02 at 15:04"), nil
		}
	}
	if len(proposals) > 0 {
		by := proposals[len(proposals)-1].By
		return fmt.Sprintf("%s has proposed who will; a keykeeper and an operator agree, on the page People or with: strongroom people agree", by), nil
	}
	received, err := v.Enrolments()
	if err != nil {
		return "", err
	}
	var names []string
	enrolled := make(map[access.Role]bool)
	var proposer safe.PersonName // an operator, who has a terminal, or a keykeeper with one
	for _, r := range received {
		e, err := access.ParseEnrolment(r.Bytes)
		if err != nil {
			return "", fmt.Errorf("reading an enrolment: %w", err)
		}
		names = append(names, string(e.Person.Name))
		for _, role := range e.Person.Roles {
			enrolled[role] = true
		}
		if len(e.Person.SSH) > 0 && proposer == "" {
			proposer = e.Person.Name
		}
	}
	for _, role := range []access.Role{access.Keykeeper, access.Operator} {
		if !enrolled[role] {
			return fmt.Sprintf("Whoever keeps the safe's host goes on with: strongroom people invite NAME --role %s", role), nil
		}
	}
	return fmt.Sprintf("%s, at a terminal, has the words of the others read, and proposes all: strongroom people add %s", proposer, strings.Join(names, " ")), nil
}

type nagging struct {
	situation
	checks []state.KeyCheck
	all    []Nag
}

func (n *nagging) add(text, remedy string) {
	n.all = append(n.all, Nag{report.Look, text, remedy})
}

// roles nags about the two role keys and those who hold them.
func (n *nagging) roles() {
	period := len(n.roster.Periods)
	for _, r := range roleKeys {
		paper := n.proven("", r.key, period, true)
		n.hands(r, paper.IsZero())
		if n.old(paper) && n.terminal(r.role) {
			n.add(fmt.Sprintf("the %s key on paper was %s", r.key, n.when(paper)), fmt.Sprintf("The %s who has it types it in: strongroom keys check --paper -", r.role))
		}
		for _, p := range n.roster.People {
			if !p.Has(r.role) {
				continue
			}
			last := n.proven(ledger.Who(p.Name), r.key, period, false)
			if n.hindrance(p, r) == none && n.old(last) { // or else there is nothing to prove, or nobody to do it
				n.add(fmt.Sprintf("the %s key of %s was %s", r.key, p.Name, n.when(last)), howToProve(p))
			}
			if p.Mail == "" {
				n.add(fmt.Sprintf("%s has no mail address and is told nothing", p.Name), fmt.Sprintf("%s enrols anew, with an address for mails: strongroom people invite %s --role %s", p.Name, p.Name, r.role))
			}
		}
	}
}

// terminal reports whether anybody of the role has an SSH key. A key on paper is
// typed in at a terminal alone: where nobody has one, a finding would stay for
// ever, and copies that are proven on the page have to be enough.
func (n *nagging) terminal(role access.Role) bool {
	return slices.ContainsFunc(n.roster.People, func(p access.Person) bool { return p.Has(role) && len(p.SSH) > 0 })
}

// howToProve says how somebody proves their keys: on the page, who has nothing
// but passkeys.
func howToProve(p access.Person) string {
	if len(p.SSH) == 0 {
		return fmt.Sprintf("%s presses “Check your keys” on the page People", p.Name)
	}
	return fmt.Sprintf("%s runs: strongroom keys check", p.Name)
}

// proven returns when a key was proven last, by anybody if who is empty; the
// zero time if never.
func (n *nagging) proven(who ledger.Who, role string, period int, paper bool) (last time.Time) {
	for _, c := range n.checks {
		if c.Role == role && c.Period == period && c.Paper == paper && (who == "" || c.Person == who) && c.Time.After(last) {
			last = c.Time
		}
	}
	return last
}

func (n *nagging) old(last time.Time) bool { return n.now.Sub(last) > provenEvery }

func (n *nagging) when(last time.Time) string {
	if last.IsZero() {
		return "never proven: nobody knows whether it opens anything"
	}
	return fmt.Sprintf("proven last on %s, and should be every %d days", last.Format(time.DateOnly), int(provenEvery.Hours()/24))
}
