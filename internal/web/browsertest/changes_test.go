package browsertest

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/access"
	"strongroom/internal/access/accesstest"
	"strongroom/internal/access/compose"
	"strongroom/internal/safe"
)

// TestChanges compares what the page says that a version changes with what a
// terminal says.
func TestChanges(t *testing.T) {
	p := kit(t)
	team := accesstest.NewTeam(t, "ada:keykeeper bob:operator kim:keykeeper")
	team.Join(t, accesstest.NewPasskeyPerson(t, "eva", access.Officer))
	team.Roster.Domain = accesstest.Domain
	r := accesstest.Reread(t, team.Roster)
	other := accesstest.NewTeam(t, "zoe:operator")
	person := func(r *access.Roster, name safe.PersonName) *access.Person {
		return &r.People[slices.IndexFunc(r.People, func(p access.Person) bool { return p.Name == name })]
	}
	for name, change := range map[string]func(*access.Roster){
		"nothing": func(*access.Roster) {},
		"people": func(r *access.Roster) {
			adds(newcomer(t, "otto"))(r)
			r.People = r.People[1:]
			r.Periods[0].OuterCopies = r.Periods[0].OuterCopies[1:]
		},
		"with passkeys": func(r *access.Roster) { adds(accesstest.NewPasskeyPerson(t, "lea", access.Keykeeper).Person)(r) },
		"a name that goes on like the line": func(r *access.Roster) {
			lea := accesstest.NewPasskeyPerson(t, "lea", access.Keykeeper).Person
			lea.FullName = `Lea"), auditor, passkey to sign in SHA256:0 ("`
			adds(lea)(r)
		},
		"a person": func(r *access.Roster) {
			fresh := accesstest.NewPerson(t, "bob", access.Operator)
			bob := person(r, "bob")
			bob.FullName, bob.Mail, bob.SSH, bob.Key = "Bob \\ \"Ω\"", "", fresh.SSH, fresh.Key
			bob.Addresses = append(bob.Addresses, netip.MustParseAddr("2001:db8::1"))
			bob.Roles = []access.Role{access.Auditor, access.Operator}
		},
		"passkeys": func(r *access.Roster) {
			eva := person(r, "eva")
			eva.Passkeys[0].Synced, eva.Passkeys[1].Synced = true, true
			person(r, "kim").SSH = nil
			person(r, "kim").Passkeys = accesstest.NewPasskeyPerson(t, "kim", access.Keykeeper).Passkeys
		},
		"gate, domain, ledger, lifted": func(r *access.Roster) {
			r.Gate, r.Domain, r.Lifted = other.Roster.Gate, "other.example", []int64{4, 11}
			r.LedgerKeys = append(r.LedgerKeys, other.Roster.LedgerKeys...)
		},
		"copies": func(r *access.Roster) {
			copies := r.Periods[0].OuterCopies
			copies[0].Sealed, copies[1].Person = []byte("another"), "otto"
			adds(newcomer(t, "otto"))(r)
			r.Periods[0].InnerCopies = nil
		},
		"an outer key": func(r *access.Roster) {
			r.Periods = append(r.Periods, access.Period{From: r.Periods[0].From.Add(time.Hour), Outer: other.Outer.Recipient(), Inner: r.Periods[0].Inner, InnerCopies: r.Periods[0].InnerCopies})
		},
		"both keys": func(r *access.Roster) {
			r.Periods = append(r.Periods, access.Period{From: r.Periods[0].From.Add(time.Hour), Outer: other.Outer.Recipient(), Inner: other.Inner.Recipient(), OuterCopies: r.Periods[0].OuterCopies})
		},
	} {
		t.Run(name, func(t *testing.T) {
			next := r.Next()
			change(&next)
			got := Eval[struct{ Changes, Lacks []string }](p, async(`
				const [r, next] = [%s, %s].map(b => m.roster.readRoster(m.base64.fromBase64(b)))
				return {Changes: await m.changes.changes(r, next), Lacks: m.changes.lacks(next)}`, js(r.Encode()), js(next.Encode())))
			if diff := cmp.Diff(append([]string{}, compose.Changes(r, next)...), got.Changes); diff != "" {
				t.Errorf("changes (-a terminal +the page)\n%s", diff)
			}
			if diff := cmp.Diff(append([]string{}, compose.Lacks(next)...), got.Lacks); diff != "" {
				t.Errorf("what it lacks (-a terminal +the page)\n%s", diff)
			}
		})
	}
}
