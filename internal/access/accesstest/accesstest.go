// Package accesstest makes people with their keys, and rosters of them, for
// tests.
package accesstest

import (
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"strongroom/internal/access"
	"strongroom/internal/access/passkey"
	"strongroom/internal/access/passkey/passkeytest"
	"strongroom/internal/access/sshsig"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/store/seal"
)

// Start is when the safes of these tests were made.
var Start = time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)

// A Somebody is a person with the private halves.
type Somebody struct {
	access.Person
	Identity seal.PersonalIdentity
	Signer   ssh.Signer // nil if the person has passkeys instead
	// SignIn and Release are the person's passkeys, nil if there are none.
	SignIn, Release *passkeytest.Authenticator
}

// Domain is that of the passkeys, and Origin the page that asks for them.
const (
	Domain = "acme.example"
	Origin = "https://safe.acme.example"
)

// NewPerson makes a person of a role. An operator comes from 127.0.0.2.
func NewPerson(t testing.TB, name safe.PersonName, role access.Role) Somebody {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s := Somebody{Person: access.Person{Name: name, Roles: []access.Role{role}, Mail: string(name) + "@example.com"}}
	if s.Signer, err = ssh.NewSignerFromSigner(private); err != nil {
		t.Fatal(err)
	}
	key, err := sshsig.PublicKeyOf(s.Signer.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	s.SSH = []sshsig.PublicKey{key}
	if role == access.Operator {
		s.Addresses = []netip.Addr{netip.MustParseAddr("127.0.0.2")}
	}
	s.makePersonalKey(t)
	return s
}

// NewPasskeyPerson makes a person of a role, other than operator, who has no
// SSH key but a passkey for each use; an auditor has one for sign-in alone.
func NewPasskeyPerson(t testing.TB, name safe.PersonName, role access.Role) Somebody {
	t.Helper()
	s := Somebody{Person: access.Person{Name: name, Roles: []access.Role{role}, Mail: string(name) + "@example.com"}}
	s.SignIn = passkeytest.New(t, Domain, Origin)
	s.Passkeys = []access.Passkey{{Key: s.SignIn.Key(t), Use: access.SignIn}}
	if role != access.Auditor {
		s.Release = passkeytest.New(t, Domain, Origin)
		s.Passkeys = append(s.Passkeys, access.Passkey{Key: s.Release.Key(t), Use: access.Release})
	}
	s.makePersonalKey(t)
	return s
}

func (s *Somebody) makePersonalKey(t testing.TB) {
	t.Helper()
	if !s.Has(access.Operator) && !s.Has(access.Keykeeper) {
		return
	}
	var err error
	if s.Identity, err = seal.NewPersonalIdentity(); err != nil {
		t.Fatal(err)
	}
	s.Key = s.Identity.Recipient()
}

// States signs an act of the person.
func (s Somebody) States(t testing.TB, store safe.StoreID, at time.Time, act access.Act) ledger.Signed {
	t.Helper()
	statement := access.Statement{Store: store, Person: s.Name, Time: at.UTC().Truncate(time.Second), Act: act}
	if s.Signer == nil {
		b, err := statement.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return ledger.Signed{Statement: string(b), Signature: s.Release.Get(t, passkey.Challenge(access.ActNamespace, b)).String()}
	}
	signed, err := access.Sign(statement, s.Signer)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// A Team is a safe's people with their keys.
type Team struct {
	Store  safe.StoreID
	Ledger ledger.Key
	Outer  seal.OuterIdentity // of the first period
	Inner  seal.InnerIdentity
	People map[safe.PersonName]Somebody
	First  access.Roster // version 1, without people
	Roster access.Roster // the version that founds the safe
}

// NewTeam makes people, given as "ada:keykeeper bob:operator", and the roster
// that founds their safe.
func NewTeam(t testing.TB, people string) *Team {
	t.Helper()
	team := &Team{Store: safe.NewStoreID(), People: make(map[safe.PersonName]Somebody)}
	team.Ledger, _ = ledger.GenerateKey(team.Store)
	var err error
	if team.Outer, err = seal.NewOuterIdentity(); err != nil {
		t.Fatal(err)
	}
	if team.Inner, err = seal.NewInnerIdentity(); err != nil {
		t.Fatal(err)
	}
	gate := NewPerson(t, "gate", access.Auditor).SSH[0]
	period := access.Period{From: Start, Outer: team.Outer.Recipient(), Inner: team.Inner.Recipient()}
	team.First = access.First(team.Ledger.Public(), gate, period)
	team.Roster = team.First.Next()
	for _, word := range strings.Fields(people) {
		name, role, ok := strings.Cut(word, ":")
		if !ok {
			t.Fatalf("%q does not say the role", word)
		}
		team.Join(t, NewPerson(t, safe.PersonName(name), access.Role(role)))
	}
	team.Roster = Reread(t, team.Roster)
	return team
}

// Join puts a person into the team and its Roster as it is, with copies of the
// first period's role key.
func (team *Team) Join(t testing.TB, s Somebody) {
	t.Helper()
	team.People[s.Name] = s
	if len(s.Passkeys) > 0 {
		team.Roster.Domain = Domain
	}
	team.Roster.People = append(team.Roster.People, s.Person)
	slices.SortFunc(team.Roster.People, func(a, b access.Person) int { return strings.Compare(string(a.Name), string(b.Name)) })
	period := &team.Roster.Periods[0]
	switch {
	case s.Has(access.Keykeeper):
		sealed, err := team.Outer.SealTo(s.Key, Start)
		if err != nil {
			t.Fatal(err)
		}
		period.OuterCopies = withCopy(period.OuterCopies, access.Copy{Person: s.Name, Sealed: sealed})
	case s.Has(access.Operator):
		sealed, err := team.Inner.SealTo(s.Key, Start)
		if err != nil {
			t.Fatal(err)
		}
		period.InnerCopies = withCopy(period.InnerCopies, access.Copy{Person: s.Name, Sealed: sealed})
	}
}

func withCopy(copies []access.Copy, c access.Copy) []access.Copy {
	copies = append(copies, c)
	slices.SortFunc(copies, func(a, b access.Copy) int { return strings.Compare(string(a.Person), string(b.Person)) })
	return copies
}

// Agrees signs the person's agreement with a version.
func (team *Team) Agrees(t testing.TB, name safe.PersonName, next access.Roster, after int64) ledger.Signed {
	t.Helper()
	s, ok := team.People[name]
	if !ok {
		t.Fatalf("there is no %s in the team", name)
	}
	return s.States(t, team.Store, Start, access.Agree{Number: next.Number, Digest: next.Digest(), After: after})
}

// Reread returns r as it is after being written and read.
func Reread(t testing.TB, r access.Roster) access.Roster {
	t.Helper()
	again, err := access.ParseRoster(r.Encode())
	if err != nil {
		t.Fatal(fmt.Errorf("the test's roster: %w", err))
	}
	return again
}
