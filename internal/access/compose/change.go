package compose

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"strongroom/internal/access"
	"strongroom/internal/safe"
)

// Changes tells what next changes, a line each, so that whoever agrees knows
// with what. Every field of a roster that may change shows in one.
func Changes(r, next access.Roster) []string {
	var lines []string
	for _, p := range next.People {
		old, ok := r.Person(p.Name)
		switch {
		case !ok:
			lines = append(lines, "adds "+describe(p))
		default:
			lines = append(lines, personChanges(old, p)...)
		}
	}
	for _, p := range r.People {
		if _, ok := next.Person(p.Name); !ok {
			lines = append(lines, fmt.Sprintf("removes %s, %s", p.Name, roles(p)))
		}
	}
	if r.Gate != next.Gate {
		lines = append(lines, "gives the gate the host key "+fingerprint(next))
	}
	switch {
	case r.Domain == next.Domain:
	case r.Domain == "":
		lines = append(lines, fmt.Sprintf("binds passkeys to the domain %q", next.Domain))
	default:
		lines = append(lines, fmt.Sprintf("binds passkeys to the domain %q, did to %q", next.Domain, r.Domain))
	}
	for _, key := range next.LedgerKeys[min(len(r.LedgerKeys), len(next.LedgerKeys)):] {
		lines = append(lines, "gives the ledger one more key: "+key.String())
	}
	for _, entry := range next.Lifted {
		if !slices.Contains(r.Lifted, entry) {
			lines = append(lines, fmt.Sprintf("lifts the suspension of ledger entry %d", entry))
		}
	}
	return append(lines, periodChanges(r, next)...)
}

func fingerprint(r access.Roster) string {
	if r.Gate.IsZero() {
		return "none"
	}
	return r.Gate.Fingerprint()
}

// describe writes who somebody is, with all that they act with. The full name is
// quoted: it is what they call themselves, and could go on like the line does.
func describe(p access.Person) string {
	s := string(p.Name)
	if p.FullName != "" {
		s += fmt.Sprintf(" (%q)", p.FullName)
	}
	s += ", " + roles(p)
	if len(p.SSH) > 0 {
		s += ", SSH key " + sshKeys(p)
	}
	if len(p.Passkeys) > 0 {
		s += ", " + passkeys(p)
	}
	if len(p.Addresses) > 0 {
		s += ", from " + addresses(p)
	}
	if p.Mail != "" {
		s += ", mail to " + p.Mail
	}
	return s
}

func roles(p access.Person) string {
	var s []string
	for _, r := range p.Roles {
		s = append(s, string(r))
	}
	return strings.Join(s, " and ")
}

// sshKeys is never empty, unlike its list: "did with none".
func sshKeys(p access.Person) string {
	if len(p.SSH) == 0 {
		return "none"
	}
	var s []string
	for _, k := range p.SSH {
		s = append(s, k.Fingerprint())
	}
	return strings.Join(s, " and ")
}

func passkeys(p access.Person) string {
	if len(p.Passkeys) == 0 {
		return "no passkey"
	}
	var s []string
	for _, k := range p.Passkeys {
		s = append(s, passkeyText(k))
	}
	return strings.Join(s, " and ")
}

func passkeyText(k access.Passkey) string {
	s := "passkey to sign in "
	if k.Use == access.Release {
		s = "passkey for releases "
	}
	s += k.Key.Fingerprint()
	if k.Synced {
		s += " (synced)"
	}
	return s
}

func addresses(p access.Person) string {
	if len(p.Addresses) == 0 {
		return "nowhere"
	}
	var s []string
	for _, a := range p.Addresses {
		s = append(s, a.String())
	}
	return strings.Join(s, " or ")
}

func personChanges(old, p access.Person) []string {
	var lines []string
	add := func(changed bool, format string, args ...any) {
		if changed {
			lines = append(lines, fmt.Sprintf(format, args...))
		}
	}
	add(old.FullName != p.FullName, "%s is called %q, was %q", p.Name, p.FullName, old.FullName)
	add(!slices.Equal(old.Roles, p.Roles), "%s becomes %s, was %s", p.Name, roles(p), roles(old))
	add(old.Key != p.Key, "replaces the personal key of %s", p.Name)
	add(!slices.Equal(old.SSH, p.SSH), "%s signs with the SSH key %s, did with %s", p.Name, sshKeys(p), sshKeys(old))
	add(!slices.Equal(old.Passkeys, p.Passkeys), "%s has %s, had %s", p.Name, passkeys(p), passkeys(old))
	add(!slices.EqualFunc(old.Addresses, p.Addresses, func(a, b netip.Addr) bool { return a == b }), "%s comes from %s, did from %s", p.Name, addresses(p), addresses(old))
	add(old.Mail != p.Mail, "mails for %s go to %q, did to %q", p.Name, p.Mail, old.Mail)
	return lines
}

func periodChanges(r, next access.Roster) []string {
	var lines []string
	for i, period := range next.Periods {
		var old access.Period
		if i < len(r.Periods) {
			old = r.Periods[i]
		} else {
			last := r.Periods[len(r.Periods)-1]
			var fresh []string
			if last.Outer != period.Outer {
				fresh = append(fresh, "keykeepers")
			} else {
				old.Outer, old.OuterCopies = last.Outer, last.OuterCopies
			}
			if last.Inner != period.Inner {
				fresh = append(fresh, "operators")
			} else {
				old.Inner, old.InnerCopies = last.Inner, last.InnerCopies
			}
			lines = append(lines, fmt.Sprintf("begins period %d with a new role key of the %s", i+1, strings.Join(fresh, ", and one of the ")))
		}
		lines = append(lines, copyChanges(next, "outer", i+1, old.OuterCopies, period.OuterCopies)...)
		lines = append(lines, copyChanges(next, "inner", i+1, old.InnerCopies, period.InnerCopies)...)
	}
	return lines
}

// copyChanges tells whose copies of a role key come, go and are replaced. That
// those who go lose theirs goes without saying.
func copyChanges(next access.Roster, key string, period int, old, now []access.Copy) []string {
	var lines []string
	for _, c := range now {
		before, had := find(old, c.Person)
		switch {
		case !had:
			lines = append(lines, fmt.Sprintf("gives %s a copy of the %s key of period %d", c.Person, key, period))
		case !bytes.Equal(before, c.Sealed):
			lines = append(lines, fmt.Sprintf("replaces the copy of the %s key of period %d that %s has", key, period, c.Person))
		}
	}
	for _, c := range old {
		_, remains := next.Person(c.Person)
		if _, has := find(now, c.Person); !has && remains {
			lines = append(lines, fmt.Sprintf("takes the copy of the %s key of period %d from %s", key, period, c.Person))
		}
	}
	return lines
}

func find(copies []access.Copy, name safe.PersonName) ([]byte, bool) {
	for _, c := range copies {
		if c.Person == name {
			return c.Sealed, true
		}
	}
	return nil, false
}

// Lacks tells what a roster lacks, a line each: roles of which one person
// falls ill, and people without a copy that they should have.
func Lacks(r access.Roster) []string {
	var lines []string
	for _, role := range []access.Role{access.Keykeeper, access.Operator} {
		if r.Count(role) < 2 {
			lines = append(lines, fmt.Sprintf("there is no second %s: if the one falls ill, nothing can be read", role))
		}
	}
	for i, period := range r.Periods {
		lines = append(lines, lacksCopies(r, access.Keykeeper, "outer", i+1, period.OuterCopies)...)
		lines = append(lines, lacksCopies(r, access.Operator, "inner", i+1, period.InnerCopies)...)
	}
	return lines
}

// lacksCopies tells who has no copy of a role key and could have one.
func lacksCopies(r access.Roster, role access.Role, key string, period int, copies []access.Copy) (lines []string) {
	if len(copies) == 0 {
		return []string{fmt.Sprintf("nobody has a copy of the %s key of period %d: what was sealed to it opens with that key's own file or page", key, period)}
	}
	for _, p := range r.People {
		if _, has := find(copies, p.Name); p.Has(role) && !has {
			lines = append(lines, fmt.Sprintf("%s has no copy of the %s key of period %d", p.Name, key, period))
		}
	}
	return lines
}
