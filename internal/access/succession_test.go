package access_test

import (
	"encoding/json"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"strongroom/internal/access"
	"strongroom/internal/access/accesstest"
	"strongroom/internal/access/sshsig"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/store/seal"
)

const fourPeople = "ada:keykeeper bob:operator kim:keykeeper otto:operator"

// withAuditor returns the version after r in which one more person looks.
func withAuditor(t *testing.T, team *accesstest.Team) access.Roster {
	t.Helper()
	next := team.Roster.Next()
	next.People = append(next.People, accesstest.NewPerson(t, "zoe", access.Auditor).Person)
	return accesstest.Reread(t, next)
}

func link(next access.Roster, agreements ...ledger.Signed) []access.Link {
	return []access.Link{{Roster: next.Encode(), Agreements: agreements}}
}

func TestFollow(t *testing.T) {
	team := accesstest.NewTeam(t, fourPeople)
	next := withAuditor(t, team)
	other := withAuditor(t, team) // of the same number, with another person
	agree := func(name safe.PersonName, r access.Roster, after int64) ledger.Signed {
		return team.Agrees(t, name, r, after)
	}
	afterNext := next.Next()
	afterNext.Lifted = []int64{1}
	stranger := accesstest.NewPerson(t, "ada", access.Keykeeper) // of the same name, with another key
	forged := stranger.States(t, team.Store, accesstest.Start, access.Agree{Number: next.Number, Digest: next.Digest()})
	altered := agree("ada", next, 0)
	altered.Statement = strings.Replace(altered.Statement, `"after":0`, `"after":1`, 1)
	wrongAct := team.People["ada"].States(t, team.Store, accesstest.Start, access.Object{Number: next.Number, Digest: next.Digest(), Reason: "no"})
	zoe := accesstest.NewPerson(t, "zoe", access.Auditor)

	tests := []struct {
		name  string
		links []access.Link
		ok    bool
	}{
		{"keykeeper and operator", link(next, agree("ada", next, 0), agree("bob", next, 0)), true},
		{"either order", link(next, agree("otto", next, 0), agree("kim", next, 0)), true},
		{"three", link(next, agree("ada", next, 0), agree("bob", next, 0), agree("kim", next, 0)), true},
		{"after an objection", link(next, agree("ada", next, 7), agree("bob", next, 7)), true},
		{"nobody", link(next), false},
		{"one signature", link(next, agree("ada", next, 0)), false},
		{"two of one person", link(next, agree("ada", next, 0), agree("ada", next, 0)), false},
		{"two keykeepers", link(next, agree("ada", next, 0), agree("kim", next, 0)), false},
		{"two operators", link(next, agree("bob", next, 0), agree("otto", next, 0)), false},
		{"one from before an objection", link(next, agree("ada", next, 0), agree("bob", next, 7)), false},
		{"of another version", link(next, agree("ada", other, 0), agree("bob", next, 0)), false},
		{"another key of that name", link(next, forged, agree("bob", next, 0)), false},
		{"altered statement", link(next, altered, agree("bob", next, 0)), false},
		{"an objection instead", link(next, wrongAct, agree("bob", next, 0)), false},
		{"somebody of the new version", link(next, zoe.States(t, team.Store, accesstest.Start, access.Agree{Number: next.Number, Digest: next.Digest()}), agree("bob", next, 0)), false},
		{"a version left out", link(afterNext, agree("ada", afterNext, 0), agree("bob", afterNext, 0)), false},
		{"itself", link(team.Roster, agree("ada", team.Roster, 0), agree("bob", team.Roster, 0)), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := team.Roster.Follow(tt.links)
			if (err == nil) != tt.ok {
				t.Fatalf("Follow: %v, want success %t", err, tt.ok)
			}
			want := team.Roster
			if tt.ok {
				want = next
			}
			if got.Digest() != want.Digest() {
				t.Errorf("came to version %d, want %d", got.Number, want.Number)
			}
		})
	}
	papers := []access.Link{{Roster: next.Encode(), Papers: true}}
	if _, err := team.Roster.Follow(papers); !errors.Is(err, access.ErrPapers) {
		t.Errorf("a version by papers is followed: %v", err)
	}
}

func TestSuccessorRefused(t *testing.T) {
	team := accesstest.NewTeam(t, fourPeople)
	team.Roster.Lifted = []int64{5}
	newOuter, err := seal.NewOuterIdentity()
	if err != nil {
		t.Fatal(err)
	}
	newInner, err := seal.NewInnerIdentity()
	if err != nil {
		t.Fatal(err)
	}
	begin := func(r *access.Roster, outer seal.OuterRecipient, inner seal.InnerRecipient) {
		r.Periods = append(r.Periods, access.Period{From: accesstest.Start.AddDate(len(r.Periods), 0, 0), Outer: outer, Inner: inner})
	}
	asInner, err := seal.ParseInnerRecipient(team.Outer.Recipient().String())
	if err != nil {
		t.Fatal(err)
	}
	otherKey, _ := ledger.GenerateKey(team.Store)
	tests := []struct {
		name   string
		change func(*access.Roster)
		want   string // "" for allowed
	}{
		{"nothing", func(*access.Roster) {}, ""},
		{"new outer key", func(r *access.Roster) { begin(r, newOuter.Recipient(), team.Inner.Recipient()) }, ""},
		{"new inner key", func(r *access.Roster) { begin(r, team.Outer.Recipient(), newInner.Recipient()) }, ""},
		{"lifted", func(r *access.Roster) { r.Lifted = append(r.Lifted, 9) }, ""},
		{"another key of the ledger", func(r *access.Roster) { r.LedgerKeys = append(r.LedgerKeys, otherKey.Public()) }, ""},
		{"no new key", func(r *access.Roster) { begin(r, team.Outer.Recipient(), team.Inner.Recipient()) }, "without a new role key"},
		{"two periods", func(r *access.Roster) {
			begin(r, newOuter.Recipient(), team.Inner.Recipient())
			begin(r, newOuter.Recipient(), newInner.Recipient())
		}, "one at most"},
		{"a role key changes sides", func(r *access.Roster) { begin(r, newOuter.Recipient(), asInner) }, "becomes that of the other"},
		{"changed outer key", func(r *access.Roster) { r.Periods[0].Outer = newOuter.Recipient() }, "are changed"},
		{"changed time", func(r *access.Roster) { r.Periods[0].From = r.Periods[0].From.Add(1) }, "are changed"},
		{"ledger key taken out", func(r *access.Roster) { r.LedgerKeys = []ledger.PublicKey{otherKey.Public()} }, "is taken out"},
		{"suspension not lifted", func(r *access.Roster) { r.Lifted = nil }, "entry 5"},
		{"no operator left", func(r *access.Roster) {
			r.People = slices.DeleteFunc(r.People, func(p access.Person) bool { return p.Has(access.Operator) })
			r.Periods[0].InnerCopies = nil
		}, "must remain"},
		{"number", func(r *access.Roster) { r.Number++ }, "does not follow"},
		{"previous", func(r *access.Roster) { r.Previous[0]++ }, "follows another"},
		{"store", func(r *access.Roster) { r.Store = safe.NewStoreID() }, "of store"},
		{"gate", func(r *access.Roster) { r.Gate = accesstest.NewPerson(t, "x1", access.Auditor).SSH[0] }, "host key"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			next := team.Roster.Next()
			tt.change(&next)
			err := team.Roster.CheckSuccessor(next)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("CheckSuccessor: %v, want %q", err, tt.want)
			}
		})
	}
}

func TestRosterThatCannotBe(t *testing.T) {
	team := accesstest.NewTeam(t, fourPeople)
	ada := slices.IndexFunc(team.Roster.People, func(p access.Person) bool { return p.Name == "ada" })
	bob := slices.IndexFunc(team.Roster.People, func(p access.Person) bool { return p.Name == "bob" })
	tests := []struct {
		name   string
		change func(*access.Roster)
		want   string
	}{
		{"one person in both roles", func(r *access.Roster) {
			r.People[ada].Roles = []access.Role{access.Keykeeper, access.Operator}
			r.People[ada].Addresses = r.People[bob].Addresses
		}, "keykeeper and operator"},
		{"one SSH key for two", func(r *access.Roster) { r.People[bob].SSH = r.People[ada].SSH }, "same SSH key"},
		{"one personal key for two", func(r *access.Roster) { r.People[bob].Key = r.People[ada].Key }, "same personal key"},
		{"one role key for both", func(r *access.Roster) {
			var err error
			if r.Periods[0].Inner, err = seal.ParseInnerRecipient(r.Periods[0].Outer.String()); err != nil {
				t.Fatal(err)
			}
		}, "two role keys"},
		{"an operator with the keykeepers' key", func(r *access.Roster) {
			r.Periods[0].OuterCopies[1] = access.Copy{Person: "bob", Sealed: []byte("x")}
		}, "and is none"},
		{"a copy for nobody", func(r *access.Roster) {
			r.Periods[0].OuterCopies = append(r.Periods[0].OuterCopies, access.Copy{Person: "zz", Sealed: []byte("x")})
		}, "and is none"},
		{"empty copy", func(r *access.Roster) { r.Periods[0].OuterCopies[0].Sealed = nil }, "has 0 bytes"},
		{"out of order", func(r *access.Roster) { slices.Reverse(r.People) }, "in order"},
		{"twice", func(r *access.Roster) { r.People = append(r.People, r.People[len(r.People)-1]) }, "order"},
		{"no address", func(r *access.Roster) { r.People[bob].Addresses = nil }, "address"},
		{"keykeeper with an address", func(r *access.Roster) { r.People[ada].Addresses = r.People[bob].Addresses }, "only operators"},
		{"any address", func(r *access.Roster) { r.People[bob].Addresses = []netip.Addr{netip.IPv4Unspecified()} }, "cannot be the address"},
		{"mail with a name", func(r *access.Roster) { r.People[ada].Mail = "Ada <ada@example.com>" }, "not a mail address"},
		{"mail in another direction", func(r *access.Roster) { r.People[ada].Mail = "ada\u202e@example.com" }, "not a mail address"},
		{"mail with a terminal's command", func(r *access.Roster) { r.People[ada].Mail = "ada\u009b2J@example.com" }, "not a mail address"},
		{"mail with a header", func(r *access.Roster) { r.People[ada].Mail = "ada@example.com\r\nBcc: x@example.com" }, "not a mail address"},
		{"no key", func(r *access.Roster) { r.People[ada].SSH = nil }, "SSH keys"},
		{"empty key", func(r *access.Roster) { r.People[ada].SSH = []sshsig.PublicKey{{}} }, ""},
		{"taken name", func(r *access.Roster) { r.People[ada].Name = "papers" }, "taken"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := accesstest.Reread(t, team.Roster)
			tt.change(&r)
			b, err := json.Marshal(r)
			if err == nil {
				_, err = access.ParseRoster(append(b, '\n'))
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("ParseRoster: %v, want %q", err, tt.want)
			}
		})
	}
}
