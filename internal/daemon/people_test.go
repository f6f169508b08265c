package daemon

import (
	"bytes"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/access/accesstest"
	"strongroom/internal/access/api"
	"strongroom/internal/access/compose"
	"strongroom/internal/access/opening"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/store/seal"
)

func TestInvitations(t *testing.T) {
	h := newHall(t)
	ada := accesstest.NewPerson(t, "ada", access.Keykeeper)
	invite := func() access.Token {
		t.Helper()
		i, err := h.safe.Invite(t.Context(), "ada", []access.Role{access.Keykeeper})
		h.must(err)
		return i.Token
	}
	enrol := func(token access.Token, e access.Enrolment) error {
		return h.safe.Enrol(t.Context(), from, "", api.Enrolling{Token: token, Enrolment: e.Encode()})
	}
	good := h.enrolment(ada)
	h.denied(enrol(access.NewToken(), good), "this invitation is not good")
	first := invite()
	token := invite()
	h.denied(enrol(first, good), "this invitation is not good") // the second took its place
	for name, spoil := range map[string]func(*access.Enrolment){
		"of another name":  func(e *access.Enrolment) { e.Person.Name = "eve" },
		"of another role":  func(e *access.Enrolment) { e.Person.Roles = []access.Role{access.Auditor, access.Keykeeper} },
		"of another store": func(e *access.Enrolment) { e.Store = safe.NewStoreID() },
	} {
		e := good
		spoil(&e)
		if err := enrol(token, e); err == nil {
			t.Errorf("an enrolment %s was taken", name)
		}
	}
	h.must(enrol(token, good))
	h.denied(enrol(token, good), "this invitation is not good")
	if got := last[ledger.EnrolmentReceived](h); got.Digest != good.Digest() || got.From != from {
		t.Errorf("the ledger says %+v", got)
	}
	if v, err := h.safe.Voice(t.Context(), "ada"); err != nil || !v.Pending || len(v.Usable) != 1 {
		t.Errorf("got voice %+v, %v", v, err)
	}
	if _, err := h.safe.Voice(t.Context(), "eve"); !errors.Is(err, api.ErrNotFound) {
		t.Errorf("somebody whom nobody knows: %v", err)
	}

	h.pass(time.Hour) // whatever was counted is forgotten
	token = invite()
	h.pass(access.InvitationLife)
	h.denied(enrol(token, good), "this invitation is not good")
	token = invite()
	bad := good
	bad.Person.Name = "eve"
	for range maxTries {
		if err := enrol(token, bad); err == nil {
			t.Error("it was taken")
		}
	}
	h.denied(enrol(token, good), "this invitation is not good")
	if _, err := h.safe.Invite(t.Context(), "mia", []access.Role{access.Keykeeper, access.Operator}); err == nil {
		t.Error("somebody was invited to be both")
	}
}

// Whoever tries many tokens fills no ledger with that, and keeps nobody out
// who has one.
func TestGuessingTokens(t *testing.T) {
	h := newHall(t)
	ada := accesstest.NewPerson(t, "ada", access.Keykeeper)
	e := h.enrolment(ada)
	const tries = 500
	for i := range tries {
		at := netip.AddrFrom4([4]byte{192, 0, 2, byte(i % 50)})
		if err := h.safe.Enrol(t.Context(), at, "", api.Enrolling{Token: access.NewToken(), Enrolment: e.Encode()}); err == nil {
			t.Fatal("a token that is none was good")
		}
	}
	if got := len(all[ledger.AccessRefused](h)); got > refusalsAnHour {
		t.Errorf("the ledger has %d entries of it", got)
	}
	// Nor does all that hide what a person has tried.
	h.denied(h.safe.KeepKeyring(t.Context(), from, "ada", nil), "ada is no keykeeper")
	if last := all[ledger.AccessRefused](h); last[len(last)-1].What != "keyring" {
		t.Errorf("the ledger does not tell of it: %+v", last[len(last)-1])
	}
	h.enrol(ada)
	h.pass(2 * time.Hour)
	h.tick()
	var sum int64
	for _, e := range all[ledger.AccessRefused](h) {
		sum += e.Count
	}
	if sum != tries+1 {
		t.Errorf("the ledger counts %d attempts, want %d", sum, tries+1)
	}
	// Also if the clock was ahead for a while, refusals are told.
	h.pass(-24 * time.Hour)
	h.denied(h.safe.Enrol(t.Context(), from, "", api.Enrolling{Token: access.NewToken(), Enrolment: e.Encode()}), "is not good")
}

// Whoever founds a safe was invited. Nobody does alone.
func TestFounding(t *testing.T) {
	h := newHall(t)
	ada := h.enrol(accesstest.NewPerson(t, "ada", access.Keykeeper))
	bob := h.enrol(accesstest.NewPerson(t, "bob", access.Operator))
	// An operator whom ada has made up.
	mallory := accesstest.NewPerson(t, "mallory", access.Operator)
	h.people["mallory"] = mallory
	invented, err := compose.Found(h.roster(), []access.Enrolment{ada, h.enrolment(mallory)}, compose.Keyring{}, h.now())
	h.must(err)
	h.must(h.propose("ada", invented))
	h.denied(h.agree("mallory", invented, 0), "has not enrolled")
	h.denied(h.agree("ada", invented, 0), "agreed already")

	good, err := compose.Found(h.roster(), []access.Enrolment{ada, bob}, compose.Keyring{}, h.now())
	h.must(err)
	h.must(h.propose("bob", good))
	h.must(h.agree("ada", good, 0))
	if got := h.roster(); got.Digest() != good.Digest() {
		t.Errorf("version %d is in force", got.Number)
	}
	if got := last[ledger.RosterChanged](h); got.Version != 2 || got.Digest != good.Digest() {
		t.Errorf("the ledger says %+v", got)
	}
	if got := all[ledger.RosterDropped](h); len(got) != 1 || got[0].Digest != invented.Digest() {
		t.Errorf("the ledger says that was dropped: %+v", got)
	}
	e, err := h.safe.Everyone(t.Context(), 0)
	h.must(err)
	if len(e.Links) != 1 || len(e.Enrolments) != 0 || len(e.Proposals) != 0 || !bytes.Equal(e.Current, good.Encode()) {
		t.Errorf("everyone is %+v", e)
	}
	h.sound()
}

// A keykeeper has made the outer key, and an operator proposes the version that
// a period with it begins with. Another key is nobody's to put there.
func TestFoundingWithAnOuterKeyMadeForIt(t *testing.T) {
	h := newHall(t)
	first := h.outer[0].Recipient()
	fresh, err := seal.NewOuterIdentity()
	h.must(err)
	other, err := seal.NewOuterIdentity()
	h.must(err)
	made := func(s accesstest.Somebody, key seal.OuterIdentity) access.Enrolment {
		e := h.enrolment(s)
		e.Outer = key.Recipient()
		e.OuterCopy, err = key.SealTo(s.Key, h.now())
		h.must(err)
		return e
	}
	ada := accesstest.NewPerson(t, "ada", access.Keykeeper)
	enrolled := made(ada, fresh)
	h.people["ada"] = ada
	i, err := h.safe.Invite(t.Context(), "ada", []access.Role{access.Keykeeper})
	h.must(err)
	h.must(h.safe.Enrol(t.Context(), from, "", api.Enrolling{Token: i.Token, Enrolment: enrolled.Encode()}))
	bob := h.enrol(accesstest.NewPerson(t, "bob", access.Operator))

	forged, err := compose.Found(h.roster(), []access.Enrolment{made(ada, other), bob}, compose.Keyring{}, h.now())
	h.must(err)
	h.denied(h.propose("bob", forged), "none of its keykeepers has enrolled")
	good, err := compose.Found(h.roster(), []access.Enrolment{enrolled, bob}, compose.Keyring{}, h.now())
	h.must(err)
	h.must(h.propose("bob", good))
	h.must(h.agree("ada", good, 0))
	if r := h.roster(); len(r.Periods) != 2 || r.Current().Outer != fresh.Recipient() || r.Periods[0].Outer != first {
		t.Errorf("in force is version %d with %d periods", r.Number, len(r.Periods))
	}
	h.outer = append(h.outer, fresh)
	h.sound()
}

// added composes a version with one more keykeeper.
func (h *hall) added(name safe.PersonName) access.Roster {
	h.t.Helper()
	next, err := compose.Add(h.roster(), []access.Enrolment{h.enrol(accesstest.NewPerson(h.t, name, access.Keykeeper))}, h.keyring(), nil, h.now())
	h.must(err)
	return next
}

func TestVersionsOfTheRosterThatAreDenied(t *testing.T) {
	h := newFoundedHall(t, pair+" eve:keykeeper tim:auditor")
	h.collect(0)
	next := h.added("mia")
	h.denied(h.propose("tim", next), "only keykeepers and operators")
	h.denied(h.propose("mia", next), "not signed by the person")
	h.must(h.propose("ada", next))
	h.denied(h.agree("ada", next, 0), "agreed already")
	h.must(h.agree("eve", next, 0)) // two keykeepers are no pair
	h.pass(access.Wait)
	h.tick()
	if got := h.roster().Number; got != 2 {
		t.Fatalf("version %d came into force without an operator", got)
	}
	h.denied(h.agree("tim", next, 0), "only keykeepers and operators")
	altered := next
	altered.People = append([]access.Person{}, next.People...)
	altered.Lifted = []int64{500}
	h.denied(h.propose("eve", altered), "suspends nobody")

	both := h.roster().Next()
	for i := range both.People {
		if both.People[i].Name == "bob" {
			both.People[i].Roles = []access.Role{access.Keykeeper, access.Operator}
		}
	}
	h.denied(h.propose("ada", both), "cannot be keykeeper and operator")
	alone := h.roster().Next()
	alone.People = alone.People[:1]
	h.denied(h.propose("ada", alone), "")

	h.must(h.agree("bob", next, 0))
	if got := last[ledger.RosterAgreed](h); !got.Ready.Equal(h.now().Add(access.Wait)) {
		t.Errorf("it comes into force at %s", got.Ready)
	}
	h.tick()
	if got := h.roster().Number; got != 2 {
		t.Fatal("it did not wait")
	}
	h.pass(access.Wait)
	h.tick()
	if got := h.roster(); got.Digest() != next.Digest() {
		t.Errorf("version %d is in force", got.Number)
	}
	// What people pin leads to it.
	e, err := h.safe.Everyone(t.Context(), 2)
	h.must(err)
	founding, err := h.safe.Everyone(t.Context(), 0)
	h.must(err)
	pinned, err := access.ParseRoster(founding.Links[0].Roster)
	h.must(err)
	if got, err := pinned.Follow(e.Links); err != nil || got.Digest() != next.Digest() {
		t.Errorf("the links lead to version %d, %v", got.Number, err)
	}
	h.sound()
}

func TestObjection(t *testing.T) {
	h := newFoundedHall(t, pair+" eve:keykeeper carl:operator")
	h.collect(0)
	next := h.added("mia")
	h.must(h.propose("ada", next))
	h.must(h.agree("bob", next, 0))
	objection := h.says("carl", access.Object{Number: next.Number, Digest: next.Digest(), Reason: "who is mia?"})
	h.must(h.safe.Object(t.Context(), from, objection))
	h.pass(access.Wait)
	h.tick()
	if h.roster().Number != 2 {
		t.Fatal("it came into force all the same")
	}
	e, err := h.safe.Everyone(t.Context(), 0)
	h.must(err)
	after := e.Proposals[0].After
	h.denied(h.agree("eve", next, 0), "before an objection")
	h.denied(h.agree("carl", next, after), "cannot agree with it any more")
	h.must(h.agree("eve", next, after))
	h.must(h.agree("bob", next, after))
	// The objection cannot be used once more, nor can the objector stop it again.
	h.denied(h.safe.Object(t.Context(), from, objection), "")
	h.pass(time.Second)
	again := h.says("carl", access.Object{Number: next.Number, Digest: next.Digest(), Reason: "who is mia?"})
	h.denied(h.safe.Object(t.Context(), from, again), "a pair without them")
	h.pass(access.Wait)
	h.tick()
	if h.roster().Number != 3 {
		t.Error("a pair without the objector did not bring it into force")
	}
}

// What somebody agreed to counts for nothing once they are suspended, until a
// version lifts that.
func TestSuspendedPeopleCountForNothing(t *testing.T) {
	h := newFoundedHall(t, pair+" eve:keykeeper carl:operator")
	h.collect(0)
	next := h.added("mia")
	h.must(h.propose("ada", next))
	h.must(h.agree("bob", next, 0))
	h.must(h.suspend("eve", "ada"))
	entry := func() int64 {
		e, err := h.safe.Everyone(t.Context(), 0)
		h.must(err)
		return e.Suspensions[0].Entry
	}()
	h.pass(access.Wait)
	h.tick()
	if h.roster().Number != 2 {
		t.Fatal("it came into force with the agreement of somebody who is suspended")
	}
	if v, err := h.safe.Voice(t.Context(), "ada"); err != nil || len(v.Usable) != 0 {
		t.Errorf("a suspended person's voice: %+v, %v", v, err)
	}
	h.denied(h.suspend("ada", "eve"), "suspended people")
	h.denied(h.propose("ada", h.added("zoe")), "suspended people")
	lifting, err := compose.Lift(h.roster(), entry)
	h.must(err)
	h.denied(h.propose("ada", lifting), "suspended people")
	h.changed(lifting, "eve", "carl")
	h.must(h.suspend("ada", "bob"))
	h.sound()
}

// A removed keykeeper can release nothing, and what is collected from then on
// is sealed to a key that they never had.
func TestRemovedKeykeeper(t *testing.T) {
	h := newFoundedHall(t, pair+" eve:keykeeper")
	d := h.collect(0)
	id := h.request("bob", d)
	next, err := compose.Remove(h.roster(), "eve", h.keyring(), h.now())
	h.must(err)
	h.must(h.propose("ada", next))
	h.must(h.agree("bob", next, 0))
	h.pass(access.Wait - time.Hour)
	id2 := h.request("bob", d)
	h.pass(time.Hour)
	waiting := h.sign("eve", id2)
	h.tick()
	h.denied(h.release(waiting), "")
	_, err = h.safe.Grant(t.Context(), from, "eve", id2, 0)
	h.denied(err, "is no keykeeper")
	if got := h.opening(id).State; got != opening.Expired {
		t.Errorf("the first request is %s", got)
	}
	after := h.collect(0)
	begun := all[ledger.RunBegun](h)
	if got := begun[len(begun)-1]; got.Run != after.Run || got.Roster != int64(next.Number) {
		t.Errorf("the run was begun under version %d of the roster", got.Roster)
	}
	h.must(h.release(h.sign("ada", h.request("bob", after))))
	h.sound()
}

// An opening that a keykeeper has released ends when they are taken out.
func TestOpeningOfSomebodyWhoIsTakenOut(t *testing.T) {
	h := newFoundedHall(t, pair+" eve:keykeeper carl:operator")
	d := h.collect(0)
	next, err := compose.Remove(h.roster(), "eve", h.keyring(), h.now())
	h.must(err)
	h.must(h.propose("ada", next))
	h.must(h.agree("carl", next, 0))
	h.pass(access.Wait - time.Hour)
	id := h.request("bob", d)
	h.must(h.release(h.sign("eve", id)))
	h.pass(time.Hour)
	h.tick()
	if got := h.closed(id); !strings.Contains(string(got.Cause), "eve") {
		t.Errorf("the ledger says %+v", got)
	}
}

// A year and two periods later a new keykeeper opens what is old.
func TestNewKeykeeperOpensWhatIsOld(t *testing.T) {
	h := newFoundedHall(t, pair)
	old := h.collect(0)
	h.pass(365 * 24 * time.Hour)
	renewed, err := compose.Renew(h.roster(), access.Keykeeper, h.now())
	h.must(err)
	h.changed(renewed, "ada", "bob")
	sealed, _ := h.roster().Current().OuterCopy("ada")
	second, err := seal.OpenOuterCopy(h.people["ada"].Identity, sealed, h.roster().Current().Outer)
	h.must(err)
	h.outer = append(h.outer, second)
	recent := h.collect(0)
	h.changed(h.added("mia"), "ada", "bob")
	id := h.request("bob", old, recent)
	h.must(h.release(h.sign("mia", id)))
	c := h.inside("bob", id)
	for _, run := range []safe.RunID{old.Run, recent.Run} {
		if _, err := seal.OpenInner(h.inner, h.read(c, "/runs/"+run.String()+"/inner.age"), seal.Want{Store: h.safe.ID(), Run: run}); err != nil {
			t.Error(err)
		}
	}
	h.sound()
}

func TestKeyChecks(t *testing.T) {
	h := newFoundedHall(t, pair+" tim:auditor")
	begin := func(name safe.PersonName, check api.KeyCheck) api.Challenge {
		t.Helper()
		c, err := h.safe.BeginKeyCheck(t.Context(), from, name, check)
		h.must(err)
		return c
	}
	outer := api.KeyCheck{Role: "outer", Period: 1, Paper: true}
	_, err := h.safe.BeginKeyCheck(t.Context(), from, "tim", outer)
	h.denied(err, "is no keykeeper")
	c := begin("ada", outer)
	nonce, err := seal.AnswerOuterProof(h.outer[0], c.Sealed)
	h.must(err)
	h.denied(h.safe.AnswerKeyCheck(t.Context(), from, "bob", api.Answer{ID: c.ID, Nonce: nonce}), "not what the challenge contains")
	h.denied(h.safe.AnswerKeyCheck(t.Context(), from, "ada", api.Answer{ID: c.ID, Nonce: nonce}), "answered before")
	c = begin("ada", outer)
	nonce, err = seal.AnswerOuterProof(h.outer[0], c.Sealed)
	h.must(err)
	h.must(h.safe.AnswerKeyCheck(t.Context(), from, "ada", api.Answer{ID: c.ID, Nonce: nonce}))
	c = begin("bob", api.KeyCheck{Role: "inner", Period: 1})
	h.denied(h.safe.AnswerKeyCheck(t.Context(), from, "bob", api.Answer{ID: c.ID, Nonce: opening.NewNonce()}), "not what the challenge contains")
	if got := all[ledger.KeyChecked](h); len(got) != 1 || got[0] != (ledger.KeyChecked{Role: "outer", Period: 1, Paper: true}) {
		t.Errorf("the ledger says %+v", got)
	}
	e, err := h.safe.Everyone(t.Context(), 0)
	h.must(err)
	if len(e.Checks) != 1 || e.Checks[0].Person != "ada" || !e.Checks[0].Time.Equal(h.now()) {
		t.Errorf("the checks are %+v", e.Checks)
	}
}

// Everything is lost but the two keys on paper.
func TestRecovery(t *testing.T) {
	h := newFoundedHall(t, pair)
	old := h.collect(0)
	begin := func() api.Challenge {
		t.Helper()
		h.pass(time.Minute)
		c, err := h.safe.BeginRecovery(t.Context(), from)
		h.must(err)
		return c
	}
	c := begin()
	_, err := h.safe.AnswerRecovery(t.Context(), from, api.Answer{ID: c.ID, Nonce: opening.NewNonce()})
	h.denied(err, "not what the challenge contains")
	c = begin()
	nonce, err := seal.AnswerProof(h.outer[0], h.inner, c.Sealed)
	h.must(err)
	recovery, err := h.safe.AnswerRecovery(t.Context(), from, api.Answer{ID: c.ID, Nonce: nonce})
	h.must(err)
	next, err := compose.Recover(h.roster(), []access.Enrolment{
		h.enrol(accesstest.NewPerson(t, "kim", access.Keykeeper)), h.enrol(accesstest.NewPerson(t, "otto", access.Operator)),
	}, h.keyring(), nil, h.now())
	h.must(err)
	h.denied(h.safe.Recover(t.Context(), from, access.NewToken(), next.Encode()), "this ticket is none")
	h.denied(h.safe.Recover(t.Context(), from, recovery.Ticket, []byte("{}")), "")
	h.must(h.safe.Recover(t.Context(), from, recovery.Ticket, next.Encode()))
	h.denied(h.safe.Recover(t.Context(), from, recovery.Ticket, next.Encode()), "this ticket is none")
	h.pass(access.PapersWait - time.Second)
	h.tick()
	if h.roster().Number != 2 {
		t.Fatal("it did not wait")
	}
	h.pass(time.Second)
	h.tick()
	if got := h.roster(); got.Digest() != next.Digest() {
		t.Fatalf("version %d is in force", got.Number)
	}
	e, err := h.safe.Everyone(t.Context(), 2)
	h.must(err)
	before, err := h.safe.Everyone(t.Context(), 0)
	h.must(err)
	pinned, err := access.ParseRoster(before.Links[0].Roster)
	h.must(err)
	if _, err := pinned.Follow(e.Links); !errors.Is(err, access.ErrPapers) {
		t.Errorf("people's machines follow it: %v", err)
	}
	// Who is gone can do nothing, and who came can read what is old.
	h.denied(h.suspend("ada", "kim"), "not signed by the person")
	id := h.request("otto", old)
	h.must(h.release(h.sign("kim", id)))
	h.sound()
}

// A ticket has an end, however often what was wrong with a roster is mended.
func TestTicketHasAnEnd(t *testing.T) {
	h := newFoundedHall(t, pair)
	c, err := h.safe.BeginRecovery(t.Context(), from)
	h.must(err)
	nonce, err := seal.AnswerProof(h.outer[0], h.inner, c.Sealed)
	h.must(err)
	recovery, err := h.safe.AnswerRecovery(t.Context(), from, api.Answer{ID: c.ID, Nonce: nonce})
	h.must(err)
	h.pass(ticketLife)
	h.denied(h.safe.Recover(t.Context(), from, recovery.Ticket, []byte("{}")), "")
	h.pass(time.Second)
	h.denied(h.safe.Recover(t.Context(), from, recovery.Ticket, []byte("{}")), "its time is over")
}

// Anybody may ask for the challenge of a recovery, and so nobody who does keeps
// people from checking their keys.
func TestStrangersVoidNoKeyCheck(t *testing.T) {
	h := newFoundedHall(t, pair)
	c, err := h.safe.BeginKeyCheck(t.Context(), from, "ada", api.KeyCheck{Role: outerRole, Period: 1})
	h.must(err)
	for range mostKept + 1 {
		_, err := h.safe.BeginRecovery(t.Context(), from)
		h.must(err)
	}
	nonce, err := seal.AnswerOuterProof(h.outer[0], c.Sealed)
	h.must(err)
	h.must(h.safe.AnswerKeyCheck(t.Context(), from, "ada", api.Answer{ID: c.ID, Nonce: nonce}))
}

// Nor does a colleague, or who has stolen their cookie: neither from that, nor
// from a release.
func TestPeopleVoidNothingOfOthers(t *testing.T) {
	var o once[int, string]
	now := time.Now()
	o.put(now, time.Minute, "ada", -1, "of ada")
	for i := range 2 * mostKept {
		now = now.Add(time.Millisecond)
		o.put(now, time.Minute, "kim", i+1, "of kim")
	}
	if len(o.all) != 1+mostOfOne {
		t.Errorf("%d are kept", len(o.all))
	}
	if got, ok := o.take(now, -1); !ok || got != "of ada" {
		t.Errorf("that of ada is %q, %t", got, ok)
	}
	if _, ok := o.take(now, 1); ok {
		t.Error("the oldest of kim is kept")
	}
	if _, ok := o.take(now, 2*mostKept); !ok {
		t.Error("the newest of kim is not kept")
	}
}

// People who are left can stop a recovery that is none.
func TestRecoveryIsObjectedTo(t *testing.T) {
	h := newFoundedHall(t, pair)
	h.collect(0)
	c, err := h.safe.BeginRecovery(t.Context(), from)
	h.must(err)
	nonce, err := seal.AnswerProof(h.outer[0], h.inner, c.Sealed)
	h.must(err)
	recovery, err := h.safe.AnswerRecovery(t.Context(), from, api.Answer{ID: c.ID, Nonce: nonce})
	h.must(err)
	next := h.added("kim")
	h.must(h.safe.Recover(t.Context(), from, recovery.Ticket, next.Encode()))
	h.must(h.safe.Object(t.Context(), from, h.says("bob", access.Object{Number: next.Number, Digest: next.Digest(), Reason: "that was not us"})))
	h.pass(access.PapersWait)
	h.tick()
	if h.roster().Number != 2 {
		t.Error("it came into force all the same")
	}
	h.pass(access.ProposalLife)
	h.tick()
	if got := last[ledger.RosterDropped](h); got.Digest != next.Digest() {
		t.Errorf("the ledger says that was dropped: %+v", got)
	}
	if e, err := h.safe.Everyone(t.Context(), 0); err != nil || len(e.Enrolments) != 0 {
		t.Errorf("whom nobody took into the roster still waits: %+v, %v", e.Enrolments, err)
	}
}

// A long collection of many sources begins each run under the roster of that
// moment, also if another process has changed it.
func TestRunsBeginUnderTheRosterInForce(t *testing.T) {
	h := newFoundedHall(t, pair+" eve:keykeeper")
	other, err := Open(t.Context(), h.cfg, h.options("honest"))
	h.must(err)
	defer other.Close()
	h.collect(0)
	next, err := compose.Renew(h.roster(), access.Keykeeper, h.now())
	h.must(err)
	h.changed(next, "ada", "bob")
	if _, err := other.Collect(t.Context(), t.Context(), h.cfg.Sources[1], nil); err != nil {
		t.Fatal(err)
	}
	if got := last[ledger.RunBegun](h); got.Roster != int64(next.Number) {
		t.Errorf("the run was begun under version %d, and %d is in force", got.Roster, next.Number)
	}
}

// Whoever enrols on a new machine is heard there, but not as who they are yet,
// and what was known of them stays good until others have agreed.
func TestEnrolledAnew(t *testing.T) {
	h := newFoundedHall(t, "ada:keykeeper bob:operator")
	before := h.people["ada"]
	after := accesstest.NewPerson(t, "ada", access.Keykeeper)
	h.enrol(after)
	v, err := h.safe.Voice(t.Context(), "ada")
	h.must(err)
	if v.Pending || !slices.Equal(v.Usable, before.Keys()) || !slices.Equal(v.Waiting, after.Keys()) {
		t.Errorf("got voice %+v", v)
	}
	h.denied(h.suspend("ada", "bob"), access.ErrNotSigned.Error())
}
