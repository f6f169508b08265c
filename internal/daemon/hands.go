package daemon

import (
	"fmt"
	"slices"
	"strings"

	"strongroom/internal/access"
	"strongroom/internal/access/passkey"
	"strongroom/internal/access/signature"
	"strongroom/internal/ledger"
	"strongroom/internal/report"
	"strongroom/internal/safe"
)

// A roleKey says who holds which role key, and what for.
type roleKey struct {
	role access.Role
	key  string
	does string // what takes the key
}

var roleKeys = []roleKey{{access.Keykeeper, outerRole, "release"}, {access.Operator, innerRole, "read"}}

// copyOf returns the person's copy of the key of the newest period.
func (r roleKey) copyOf(roster access.Roster, name safe.PersonName) ([]byte, bool) {
	if r.role == access.Keykeeper {
		return roster.Current().OuterCopy(name)
	}
	return roster.Current().InnerCopy(name)
}

// A hindrance is why somebody cannot do what their role is for.
type hindrance int

const (
	none      hindrance = iota
	suspended           // with all keys
	keyless             // the keys that it takes are suspended
	copyless            // the role key was never sealed to them
)

// hindrance returns the first that a person of that role has.
func (sit situation) hindrance(p access.Person, r roleKey) hindrance {
	_, has := r.copyOf(sit.roster, p.Name)
	switch {
	case sit.suspended.Stop(p.Name, signature.Key{}):
		return suspended
	case !sit.acts(p):
		return keyless
	case !has:
		return copyless
	}
	return none
}

// acts reports whether the person has keys left to act with: an SSH key, or a
// passkey for releases and one to come to the page where it is touched.
func (sit situation) acts(p access.Person) bool {
	free := func(key signature.Key) bool { return !sit.suspended.Stop(p.Name, key) }
	passkeys := func(use access.PasskeyUse) bool {
		return slices.ContainsFunc(p.PasskeysFor(use), func(k passkey.Key) bool { return free(signature.FromPasskey(k)) })
	}
	for _, k := range p.SSH {
		if free(signature.FromSSH(k)) {
			return true
		}
	}
	return passkeys(access.Release) && passkeys(access.SignIn)
}

// able returns those of a role who can do what it is for, and the others.
func (sit situation) able(r roleKey) (able, others []access.Person) {
	for _, p := range sit.roster.People {
		switch {
		case !p.Has(r.role):
		case sit.hindrance(p, r) == none:
			able = append(able, p)
		default:
			others = append(others, p)
		}
	}
	return able, others
}

// hindered says of a person, who cannot do what the role is for, why.
func (sit situation) hindered(p access.Person, r roleKey) string {
	switch sit.hindrance(p, r) {
	case suspended:
		return fmt.Sprintf("%s is suspended", p.Name)
	case keyless:
		return fmt.Sprintf("%s has suspended keys and no others", p.Name)
	default:
		return fmt.Sprintf("%s has no copy of the %s key of period %d", p.Name, r.key, len(sit.roster.Periods))
	}
}

// hands nags if those are few, or none, who can do what a role is for.
func (n *nagging) hands(r roleKey, noPaper bool) {
	able, others := n.able(r)
	if len(able) == 0 {
		n.all = append(n.all, Nag{report.Alarm, n.nobody(r, others), n.everybodyBack(r, others)})
		return
	}
	if len(able) == 1 && noPaper {
		text := fmt.Sprintf("there is one %s", r.role)
		remedy := fmt.Sprintf("strongroom people invite NAME --role %s", r.role)
		if len(others) > 0 {
			text = fmt.Sprintf("of %d %ss only %s can %s", 1+len(others), r.role, able[0].Name, r.does)
			remedy = n.back(others[0], r, able)
		}
		n.add(text+" and no proven paper key: if that person is gone, nobody can read what was stored", remedy)
	}
	for _, p := range others {
		n.add(fmt.Sprintf("%s, and cannot %s", n.hindered(p, r), r.does), n.back(p, r, able))
	}
}

// nobody says why nobody can do what the role is for.
func (sit situation) nobody(r roleKey, people []access.Person) string {
	var why []string
	for _, p := range people {
		why = append(why, sit.hindered(p, r))
	}
	return fmt.Sprintf("nobody can %s what was stored: %s", r.does, strings.Join(why, ", "))
}

// back says how somebody can do again what the role is for.
func (n *nagging) back(p access.Person, r roleKey, able []access.Person) string {
	switch n.hindrance(p, r) {
	case suspended:
		return fmt.Sprintf("If the keys are where they belong: strongroom people lift %s; if they are not, with new ones: strongroom people invite %s --role %s", p.Name, p.Name, r.role)
	case keyless:
		return fmt.Sprintf("With new keys: strongroom people invite %s --role %s", p.Name, r.role)
	}
	if giver := able[0]; len(giver.SSH) > 0 {
		return fmt.Sprintf("%s runs: strongroom people add %s", giver.Name, p.Name)
	}
	return fmt.Sprintf("%s presses “Give the missing copies” on the page People", able[0].Name)
}

// everybodyBack says what is to be done if nobody can do what the role is for.
// A suspension can be lifted as long as a pair can agree on that.
func (n *nagging) everybodyBack(r roleKey, people []access.Person) string {
	papers := "with both role keys on paper, as the handbook says in “Everything is lost but paper”: strongroom people recover NAME --outer - --inner -"
	for _, p := range people {
		if _, has := r.copyOf(n.roster, p.Name); has && n.hindrance(p, r) == suspended && n.voices(access.Keykeeper) && n.voices(access.Operator) {
			return fmt.Sprintf("If the keys of %s are where they belong: strongroom people lift %s; if they are not, %s", p.Name, p.Name, papers)
		}
	}
	return "Begin anew, " + papers
}

// voices reports whether anybody of that role counts who agrees.
func (sit situation) voices(role access.Role) bool {
	return slices.ContainsFunc(sit.roster.People, func(p access.Person) bool {
		return p.Has(role) && slices.ContainsFunc(p.Signing(), func(k signature.Key) bool { return !sit.suspended.Stop(p.Name, k) })
	})
}

// raiseNobody tells everybody that nobody can do any more what a role is for, if
// that was not so before.
func (sit situation) raiseNobody(before situation) (all []ledger.FindingRaised) {
	for _, r := range roleKeys {
		could, _ := before.able(r)
		can, others := sit.able(r)
		if len(could) > 0 && len(can) == 0 {
			n := nagging{situation: sit}
			all = append(all, ledger.FindingRaised{Finding: report.NobodyLeft, Subject: ledger.TextOf(string(r.role)),
				Text: ledger.TextOf(sit.nobody(r, others) + ". " + n.everybodyBack(r, others))})
		}
	}
	return all
}
