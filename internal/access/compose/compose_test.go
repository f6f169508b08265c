package compose_test

import (
	"crypto/ed25519"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"

	"strongroom/internal/access"
	"strongroom/internal/access/accesstest"
	"strongroom/internal/access/compose"
	"strongroom/internal/access/profile"
	"strongroom/internal/access/sshsig"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/store/seal"
)

var begun = time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)

// A cast is people with their keys, and a safe that they found.
type cast struct {
	t        *testing.T
	first    access.Roster
	outer    seal.OuterIdentity
	inner    seal.InnerIdentity
	personal map[safe.PersonName]seal.PersonalIdentity
}

func newCast(t *testing.T) *cast {
	t.Helper()
	outer, err := seal.NewOuterIdentity()
	check(t, err)
	inner, err := seal.NewInnerIdentity()
	check(t, err)
	key, _ := ledger.GenerateKey(safe.NewStoreID())
	first := access.First(key.Public(), sshsig.PublicKey{}, access.Period{From: begun, Outer: outer.Recipient(), Inner: inner.Recipient()})
	return &cast{t, first, outer, inner, make(map[safe.PersonName]seal.PersonalIdentity)}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// enrol makes somebody with new keys.
func (c *cast) enrol(name safe.PersonName, roles ...access.Role) access.Enrolment {
	c.t.Helper()
	public, _, err := ed25519.GenerateKey(nil)
	check(c.t, err)
	line, err := ssh.NewPublicKey(public)
	check(c.t, err)
	key, err := sshsig.PublicKeyOf(line)
	check(c.t, err)
	p := access.Person{Name: name, Roles: roles, SSH: []sshsig.PublicKey{key}}
	if p.Has(access.Operator) {
		p.Addresses = []netip.Addr{netip.MustParseAddr("127.0.0.2")}
	}
	if p.Has(access.Keykeeper) || p.Has(access.Operator) {
		personal, err := seal.NewPersonalIdentity()
		check(c.t, err)
		c.personal[name] = personal
		p.Key = personal.Recipient()
	}
	return access.Enrolment{Version: 1, Store: c.first.Store, Time: begun, Person: p}
}

// founder is enrol for somebody who has made the role's key.
func (c *cast) founder(name safe.PersonName, role access.Role) access.Enrolment {
	c.t.Helper()
	e := c.enrol(name, role)
	var err error
	if role == access.Keykeeper {
		e.OuterCopy, err = c.outer.SealTo(e.Person.Key, begun)
	} else {
		e.InnerCopy, err = c.inner.SealTo(e.Person.Key, begun)
	}
	check(c.t, err)
	return e
}

// found founds the safe with kim the keykeeper and otto the operator.
func (c *cast) found() access.Roster {
	c.t.Helper()
	r, err := compose.Found(c.first, []access.Enrolment{c.founder("otto", access.Operator), c.founder("kim", access.Keykeeper)}, compose.Keyring{}, begun)
	check(c.t, err)
	return r
}

// ring is what somebody of r can open, all of it.
func (c *cast) ring(r access.Roster, name safe.PersonName) compose.Keyring {
	c.t.Helper()
	outer, err := profile.OuterKeys(r, name, c.personal[name])
	check(c.t, err)
	inner, err := profile.InnerKeys(r, name, c.personal[name])
	check(c.t, err)
	return compose.Keyring{Outer: outer, Inner: inner}
}

// opens returns of which periods somebody can open role keys, newest first.
func (c *cast) opens(r access.Roster, name safe.PersonName) (periods []int) {
	ring := c.ring(r, name)
	for _, k := range ring.Outer {
		periods = append(periods, k.Period)
	}
	for _, k := range ring.Inner {
		periods = append(periods, k.Period)
	}
	return periods
}

func (c *cast) expect(r access.Roster, want map[safe.PersonName][]int) {
	c.t.Helper()
	got := make(map[safe.PersonName][]int)
	for _, p := range r.People {
		got[p.Name] = c.opens(r, p.Name)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		c.t.Errorf("who can open the keys of which periods (-want +got):\n%s", diff)
	}
}

func TestFounding(t *testing.T) {
	c := newCast(t)
	r := c.found()
	if r.Number != 2 || !r.Founded() || r.Previous != c.first.Digest() {
		t.Fatalf("version %d, founded %v", r.Number, r.Founded())
	}
	c.expect(r, map[safe.PersonName][]int{"kim": {1}, "otto": {1}})
}

// A founder who brought a role key shares it with others of the role, if it is
// that founder who proposes.
func TestFoundingWithSecondKeykeeper(t *testing.T) {
	c := newCast(t)
	kim, otto, kate := c.founder("kim", access.Keykeeper), c.founder("otto", access.Operator), c.enrol("kate", access.Keykeeper)
	ring := compose.Keyring{Outer: []profile.OuterKey{{Period: 1, Key: c.outer}}}
	r, err := compose.Found(c.first, []access.Enrolment{kim, otto, kate}, ring, begun)
	check(t, err)
	c.expect(r, map[safe.PersonName][]int{"kate": {1}, "kim": {1}, "otto": {1}})
}

// maker is enrol for a keykeeper who has made a new outer key.
func (c *cast) maker(name safe.PersonName) access.Enrolment {
	c.t.Helper()
	e := c.enrol(name, access.Keykeeper)
	key, err := seal.NewOuterIdentity()
	check(c.t, err)
	e.Outer = key.Recipient()
	e.OuterCopy, err = key.SealTo(e.Person.Key, begun)
	check(c.t, err)
	return e
}

// The outer key that a founder has made begins a period. Who holds it needs no
// other to go on, as nobody else has one of the keykeepers'.
func TestFoundingWithAnOuterKeyMadeForIt(t *testing.T) {
	c := newCast(t)
	kim, otto, kate := c.maker("kim"), c.founder("otto", access.Operator), c.enrol("kate", access.Keykeeper)
	r, err := compose.Found(c.first, []access.Enrolment{otto, kate, kim}, compose.Keyring{Inner: []profile.InnerKey{{Period: 1, Key: c.inner}}}, begun)
	check(t, err)
	c.expect(r, map[safe.PersonName][]int{"kate": nil, "kim": {2}, "otto": {2, 1}})
	if r.Current().Outer != kim.Outer || r.Current().Inner != c.inner.Recipient() || !r.Current().From.After(r.Periods[0].From) {
		t.Errorf("the newest period is %+v", r.Current())
	}
	if err := access.CheckFounding(c.first, r, []access.Enrolment{otto, kate, kim}); err != nil {
		t.Errorf("it cannot found the safe: %v", err)
	}
	if want, got := []string{
		"there is no second operator: if the one falls ill, nothing can be read",
		"nobody has a copy of the outer key of period 1: what was sealed to it opens with that key's own file or page",
		"kate has no copy of the outer key of period 2",
	}, compose.Lacks(r); !slices.Equal(got, want) {
		t.Errorf("it lacks %q, want %q", got, want)
	}
	all, err := compose.Add(r, nil, c.ring(r, "kim"), nil, begun)
	check(t, err)
	all, err = compose.Add(all, []access.Enrolment{c.enrol("zoe", access.Keykeeper)}, c.ring(all, "kate"), nil, begun)
	check(t, err)
	c.expect(all, map[safe.PersonName][]int{"kate": {2}, "kim": {2}, "otto": {2, 1}, "zoe": {2}})
	var need *compose.NeedError
	if _, err := compose.Add(all, []access.Enrolment{c.enrol("mia", access.Keykeeper)}, c.ring(all, "otto"), nil, begun); !errors.As(err, &need) {
		t.Errorf("an operator adds a keykeeper: %v", err)
	}
	// With the key that the safe was made with there, too, both periods are needed.
	ada := c.founder("ada", access.Keykeeper)
	both, err := compose.Found(c.first, []access.Enrolment{otto, kim, ada}, compose.Keyring{}, begun)
	check(t, err)
	c.expect(both, map[safe.PersonName][]int{"ada": {1}, "kim": {2}, "otto": {2, 1}})
	if _, err := compose.Add(both, []access.Enrolment{c.enrol("mia", access.Keykeeper)}, c.ring(both, "kim"), nil, begun); !errors.As(err, &need) {
		t.Errorf("somebody adds a keykeeper who has one key of two: %v", err)
	}
}

func TestFoundingRefused(t *testing.T) {
	c := newCast(t)
	kim, otto := c.founder("kim", access.Keykeeper), c.founder("otto", access.Operator)
	for want, founders := range map[string][]access.Enrolment{
		"a keykeeper and an operator at least":          {kim},
		"kim and kate have each made a new outer key":   {c.maker("kim"), otto, c.maker("kate")},
		"none of the keykeepers has brought":            {c.enrol("kate", access.Keykeeper), otto},
		"none of the operators has brought":             {kim, c.enrol("olga", access.Operator)},
		"cannot be keykeeper and operator":              {kim, otto, c.enrol("both", access.Keykeeper, access.Operator)},
		"kim and zoe have the same personal key: two p": {kim, otto, {Version: 1, Person: access.Person{Name: "zoe", Roles: []access.Role{access.Keykeeper}, Key: kim.Person.Key, SSH: c.enrol("zoe", access.Officer).Person.SSH}}},
	} {
		if _, err := compose.Found(c.first, founders, compose.Keyring{}, begun); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want one with %q", err, want)
		}
	}
}

func TestAddAndReplace(t *testing.T) {
	c := newCast(t)
	r := c.found()
	r, err := compose.Renew(r, access.Keykeeper, begun.Add(time.Hour))
	check(t, err)
	c.expect(r, map[safe.PersonName][]int{"kim": {2, 1}, "otto": {2, 1}})

	// A keykeeper seals the keys of all periods to another one, and nobody
	// else can.
	kate := c.enrol("kate", access.Keykeeper)
	var need *compose.NeedError
	if _, err := compose.Add(r, []access.Enrolment{kate}, c.ring(r, "otto"), nil, begun); !errors.As(err, &need) || need.Role != access.Keykeeper {
		t.Errorf("an operator adds a keykeeper: %v", err)
	}
	added, err := compose.Add(r, []access.Enrolment{kate, c.enrol("ada", access.Auditor)}, c.ring(r, "kim"), nil, begun)
	check(t, err)
	c.expect(added, map[safe.PersonName][]int{"ada": nil, "kate": {2, 1}, "kim": {2, 1}, "otto": {2, 1}})

	// Kim has lost the laptop: kate puts kim's new keys in the place of the
	// old ones, and the old ones open nothing any more.
	lost := c.personal["kim"]
	replaced, err := compose.Add(added, []access.Enrolment{c.enrol("kim", access.Keykeeper)}, c.ring(added, "kate"), nil, begun)
	check(t, err)
	c.expect(replaced, map[safe.PersonName][]int{"ada": nil, "kate": {2, 1}, "kim": {2, 1}, "otto": {2, 1}})
	if keys, err := profile.OuterKeys(replaced, "kim", lost); err == nil || len(keys) > 0 {
		t.Errorf("the lost key opens %d copies", len(keys))
	}
	if _, err := compose.Add(replaced, []access.Enrolment{c.enrol("kim", access.Officer)}, c.ring(replaced, "kate"), nil, begun); err == nil {
		t.Error("kim becomes officer and takes the role key along")
	}
}

// Who is suspended and enrols anew with other keys counts again; with one of the
// old ones, which may be what was stolen, a suspension stays.
func TestAddLifts(t *testing.T) {
	c := newCast(t)
	r := c.found()
	r, err := compose.Add(r, []access.Enrolment{c.enrol("kate", access.Keykeeper)}, c.ring(r, "kim"), nil, begun)
	check(t, err)
	old, _ := r.Person("kim")
	suspended := access.Suspensions{{Entry: 7, Person: "kim"}, {Entry: 8, Person: "kim", Key: old.Keys()[0]}, {Entry: 9, Person: "otto"}}
	anew := c.enrol("kim", access.Keykeeper)
	sameSSH, samePersonal := anew, anew
	sameSSH.Person.SSH = append(slices.Clone(old.SSH), anew.Person.SSH...)
	samePersonal.Person.Key = old.Key
	for _, tt := range []struct {
		name string
		e    access.Enrolment
		want []int64
	}{
		{"all keys are new", anew, []int64{7}},
		{"one signs as before", sameSSH, nil},
		{"the personal key is the same", samePersonal, nil},
		{"somebody else", c.enrol("zoe", access.Keykeeper), nil},
	} {
		next, err := compose.Add(r, []access.Enrolment{tt.e}, c.ring(r, "kate"), suspended, begun)
		check(t, err)
		if !slices.Equal(next.Lifted, tt.want) {
			t.Errorf("%s: it lifts %v, want %v", tt.name, next.Lifted, tt.want)
		}
		lines := compose.Changes(r, next)
		if said := slices.Contains(lines, "lifts the suspension of ledger entry 7"); said != (len(tt.want) > 0) {
			t.Errorf("%s: it says %q", tt.name, lines)
		}
	}
}

func TestRemove(t *testing.T) {
	c := newCast(t)
	r := c.found()
	if _, err := compose.Remove(r, "otto", c.ring(r, "otto"), begun); err == nil {
		t.Error("the only operator was removed")
	}
	r, err := compose.Add(r, []access.Enrolment{c.enrol("olga", access.Operator), c.enrol("ada", access.Auditor)}, c.ring(r, "otto"), nil, begun)
	check(t, err)
	if _, err := compose.Remove(r, "otto", c.ring(r, "kim"), begun); err == nil {
		t.Error("a keykeeper has removed an operator, and made the new key")
	}
	old := r
	r, err = compose.Remove(r, "otto", c.ring(r, "olga"), begun)
	check(t, err)
	c.expect(r, map[safe.PersonName][]int{"ada": nil, "kim": {2, 1}, "olga": {2, 1}})
	if r.Current().Inner == old.Current().Inner || r.Current().Outer != old.Current().Outer {
		t.Error("not the inner key alone is a new one")
	}
	without, err := compose.Remove(r, "ada", compose.Keyring{}, begun)
	check(t, err)
	if len(without.Periods) != 2 {
		t.Error("a period begins because an auditor leaves")
	}
	if _, err := compose.Remove(r, "nobody", compose.Keyring{}, begun); err == nil {
		t.Error("nobody was removed")
	}
}

func TestRecover(t *testing.T) {
	c := newCast(t)
	r := c.found()
	paper := compose.Keyring{Outer: []profile.OuterKey{{Period: 1, Key: c.outer}}, Inner: []profile.InnerKey{{Period: 1, Key: c.inner}}}
	keys := c.opens(r, "otto")
	r, err := compose.Recover(r, []access.Enrolment{c.enrol("kurt", access.Keykeeper)}, paper, access.Suspensions{{Entry: 7, Person: "kurt"}, {Entry: 8, Person: "otto"}}, begun)
	check(t, err)
	if !slices.Equal(r.Lifted, []int64{7}) {
		t.Errorf("lifted are %v: who begins anew must not stay suspended, and nobody else is lifted", r.Lifted)
	}
	c.expect(r, map[safe.PersonName][]int{"kurt": {2, 1}, "otto": append([]int{2}, keys...)})
	if r.Current().Inner.String() != c.inner.Recipient().String() || r.Current().Outer.String() == c.outer.Recipient().String() {
		t.Error("not the outer key alone is a new one")
	}

	both, err := compose.Recover(c.found(), []access.Enrolment{c.enrol("kurt", access.Keykeeper), c.enrol("ole", access.Operator)}, paper, nil, begun)
	check(t, err)
	c.expect(both, map[safe.PersonName][]int{"kurt": {2, 1}, "ole": {2, 1}})
}

// Changes must show whatever a version changes, or somebody agrees with what
// they have not seen.
func TestChangesShowEverything(t *testing.T) {
	c := newCast(t)
	r := c.found()
	change := func(f func(*access.Roster)) access.Roster {
		next := r.Next()
		f(&next)
		return next
	}
	other := c.enrol("xavi", access.Operator).Person
	added, err := compose.Add(r, []access.Enrolment{c.enrol("kate", access.Keykeeper)}, c.ring(r, "kim"), nil, begun)
	check(t, err)
	renewed, err := compose.Renew(r, access.Operator, begun.Add(time.Hour))
	check(t, err)
	ring := c.ring(r, "kim")
	replaced, err := compose.Add(r, []access.Enrolment{c.enrol("kim", access.Keykeeper)}, ring, nil, begun)
	check(t, err)
	for _, tt := range []struct {
		name string
		next access.Roster
		want []string // in order, parts of lines
	}{
		{"nothing", change(func(*access.Roster) {}), nil},
		{"somebody more", added, []string{"adds kate, keykeeper, SSH key SHA256:", "gives kate a copy of the outer key of period 1"}},
		{"other keys", replaced, []string{"replaces the personal key of kim", "kim signs with the SSH key SHA256:", "replaces the copy of the outer key of period 1 that kim has"}},
		{"a period", renewed, []string{"begins period 2 with a new role key of the operators", "gives otto a copy of the inner key of period 2"}},
		{"a copy that opens to nothing", change(func(n *access.Roster) { n.Periods[0].OuterCopies[0].Sealed = []byte("x") }), []string{"replaces the copy of the outer key of period 1 that kim has"}},
		{"a copy less", change(func(n *access.Roster) { n.Periods[0].InnerCopies = nil }), []string{"takes the copy of the inner key of period 1 from otto"}},
		{"somebody less", change(func(n *access.Roster) { n.People = n.People[:1]; n.Periods[0].InnerCopies = nil }), []string{"removes otto, operator"}},
		{"an address", change(func(n *access.Roster) {
			n.People[1].Addresses = append(n.People[1].Addresses, netip.MustParseAddr("192.0.2.7"))
		}), []string{"otto comes from 127.0.0.2 or 192.0.2.7, did from 127.0.0.2"}},
		{"an SSH key more", change(func(n *access.Roster) { n.People[1].SSH = append(n.People[1].SSH, other.SSH...) }), []string{"otto signs with the SSH key SHA256:"}},
		{"a role more", change(func(n *access.Roster) { n.People[0].Roles = []access.Role{access.Keykeeper, access.Officer} }), []string{"kim becomes keykeeper and officer, was keykeeper"}},
		{"a name that goes on like the line", change(func(n *access.Roster) {
			zoe := accesstest.NewPerson(t, "zoe", access.Officer).Person
			zoe.FullName = `Zoe"), auditor, SSH key SHA256:0, mail to zoe@example.com ("`
			n.People = append(n.People, zoe)
		}), []string{`adds zoe ("Zoe\"), auditor, SSH key SHA256:0, mail to zoe@example.com (\""), officer, SSH key SHA256:`}},
		{"names and mails", change(func(n *access.Roster) { n.People[0].FullName, n.People[0].Mail = "Kim", "kim@example.com" }), []string{`kim is called "Kim"`, `mails for kim go to "kim@example.com"`}},
		{"a suspension", change(func(n *access.Roster) { n.Lifted = []int64{17} }), []string{"lifts the suspension of ledger entry 17"}},
		{"the gate", change(func(n *access.Roster) { n.Gate = other.SSH[0] }), []string{"gives the gate the host key SHA256:"}},
		{"the ledger", change(func(n *access.Roster) {
			key, _ := ledger.GenerateKey(r.Store)
			n.LedgerKeys = append(n.LedgerKeys, key.Public())
		}), []string{"gives the ledger one more key: strongroom/"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := compose.Changes(r, tt.next)
			if !slices.EqualFunc(got, tt.want, func(line, part string) bool { return strings.Contains(line, part) }) {
				t.Errorf("the changes are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
		})
	}
}

// Who enrols in a browser brings passkeys, and the domain that they are for.
func TestPasskeys(t *testing.T) {
	c := newCast(t)
	r := c.found()
	browser := func(name safe.PersonName, role access.Role, domain string) access.Enrolment {
		p := accesstest.NewPasskeyPerson(t, name, role).Person
		p.Mail = ""
		return access.Enrolment{Version: 1, Person: p, Domain: domain}
	}
	zoe, yuri := browser("zoe", access.Auditor, "acme.example"), browser("yuri", access.Officer, "acme.example")
	next, err := compose.Add(r, []access.Enrolment{zoe, yuri}, compose.Keyring{}, nil, begun)
	if err != nil {
		t.Fatal(err)
	}
	of := func(r access.Roster, name safe.PersonName) []access.Passkey {
		p, _ := r.Person(name)
		return p.Passkeys
	}
	if next.Domain != "acme.example" || !slices.Equal(of(next, "zoe"), zoe.Person.Passkeys) || !slices.Equal(of(next, "yuri"), yuri.Person.Passkeys) {
		t.Errorf("the roster has passkeys for %q: %v", next.Domain, next.People)
	}
	lines := compose.Changes(r, next)
	for _, want := range []string{
		"adds zoe, auditor, passkey to sign in SHA256:", "adds yuri, officer, passkey to sign in SHA256:", " and passkey for releases SHA256:",
		`binds passkeys to the domain "acme.example"`,
	} {
		if !slices.ContainsFunc(lines, func(line string) bool { return strings.Contains(line, want) }) {
			t.Errorf("the changes do not say %q:\n%s", want, strings.Join(lines, "\n"))
		}
	}

	// Whatever else changes, they stay.
	for name, change := range map[string]func() (access.Roster, error){
		"adding": func() (access.Roster, error) {
			return compose.Add(next, []access.Enrolment{c.enrol("kate", access.Keykeeper)}, c.ring(next, "kim"), nil, begun)
		},
		"removing": func() (access.Roster, error) { return compose.Remove(next, "yuri", compose.Keyring{}, begun) },
		"renewing": func() (access.Roster, error) { return compose.Renew(next, access.Keykeeper, begun.Add(time.Hour)) },
		"lifting":  func() (access.Roster, error) { return compose.Lift(next, 7) },
		"recovery": func() (access.Roster, error) {
			return compose.Recover(next, []access.Enrolment{c.enrol("kurt", access.Keykeeper)}, c.ring(next, "kim"), nil, begun.Add(time.Hour))
		},
	} {
		later, err := change()
		if err != nil || later.Domain != "acme.example" || !slices.Equal(of(later, "zoe"), zoe.Person.Passkeys) {
			t.Errorf("after %s the roster has passkeys for %q, zoe %v, %v", name, later.Domain, of(later, "zoe"), err)
		}
	}

	// Who enrols anew has the new keys and no others, and everybody is told.
	anew := c.enrol("zoe", access.Auditor)
	replaced, err := compose.Add(next, []access.Enrolment{anew}, compose.Keyring{}, nil, begun)
	if err != nil || len(of(replaced, "zoe")) != 0 {
		t.Errorf("zoe has %v, %v", of(replaced, "zoe"), err)
	}
	if lines := compose.Changes(next, replaced); len(lines) != 2 || !strings.Contains(lines[0], "did with none") || !strings.Contains(lines[1], "zoe has no passkey, had passkey to sign in SHA256:") {
		t.Errorf("the changes are %q", lines)
	}

	// Passkeys of another domain would be good for nothing.
	if _, err := compose.Add(next, []access.Enrolment{browser("xenia", access.Auditor, "other.example")}, compose.Keyring{}, nil, begun); err == nil || !strings.Contains(err.Error(), "xenia has made passkeys for other.example, and those of the others are for acme.example") {
		t.Errorf("passkeys for another domain: %v", err)
	}
	if moved, err := compose.Add(r, []access.Enrolment{browser("xenia", access.Auditor, "other.example")}, compose.Keyring{}, nil, begun); err != nil || moved.Domain != "other.example" {
		t.Errorf("the first passkeys: %q, %v", moved.Domain, err)
	}
}

func TestLacks(t *testing.T) {
	c := newCast(t)
	r := c.found()
	if got := len(compose.Lacks(r)); got != 2 {
		t.Errorf("two roles with one person each: %q", compose.Lacks(r))
	}
	r.Periods[0].OuterCopies[0].Person = "kate"
	if got := compose.Lacks(r); !slices.Contains(got, "kim has no copy of the outer key of period 1") {
		t.Errorf("a copy is missing: %q", got)
	}
}
