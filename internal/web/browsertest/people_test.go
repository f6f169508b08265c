package browsertest

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"

	"strongroom/internal/access"
	"strongroom/internal/access/accesstest"
	"strongroom/internal/access/compose"
	"strongroom/internal/access/signature"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/safe/words"
	"strongroom/internal/store/seal"
)

func (p *Page) texts(selector string) []string {
	p.t.Helper()
	return Eval[[]string](p, fmt.Sprintf(`[...document.querySelectorAll(%q)].map(e => e.textContent)`, selector))
}

// agree ticks that the words were compared, and agrees.
func (p *Page) agree() {
	p.t.Helper()
	p.Click("label.check input")
	p.Press("Agree with your passkey")
}

func TestAgree(t *testing.T) {
	s, p, secrets := keykeeper(t)
	next := s.propose("bob", adds(newcomer(t, "otto")))
	p.Go(s.url + "/people")
	p.Wait(`document.querySelector(".panel button")`)
	if diff := cmp.Diff(compose.Changes(s.team.Roster, next), p.texts(".notice .list li")); diff != "" {
		t.Errorf("what it changes (-a terminal +the page)\n%s", diff)
	}
	if got, want := p.Text(".notice dd.words"), words.Of(next.Digest()); got != want {
		t.Errorf("the page shows the words %q, want %q", got, want)
	}
	if got, want := p.Text("#roster dd.words"), words.Of(s.team.Roster.Digest()); got != want {
		t.Errorf("the page shows the words %q of the roster in force, want %q", got, want)
	}
	if got := p.Text(".panel"); !strings.Contains(got, "otto has no copy of the inner key of period 1") || !strings.Contains(got, "Call bob") {
		t.Errorf("the page says %s", got)
	}
	p.Press("Agree with your passkey")
	if n := Eval[int](p, "spied.touches"); n != 0 || len(s.acts) > 0 {
		t.Errorf("%d touches before the words were compared", n)
	}
	p.agree()
	p.Wait(`document.querySelector(".ended")`)
	if n := p.spied(secrets); n != 1 || len(s.proposals[0].Agreed) != 2 || s.proposals[0].Ready.IsZero() {
		t.Errorf("%d touches; the proposal is %+v", n, s.proposals[0])
	}
	if got, want := p.Text(".ended"), "You have agreed with version 3. It comes into force on "+s.proposals[0].Ready.Format("2006-01-02 15:04")+" UTC"; !strings.HasPrefix(got, want) {
		t.Errorf("the page says %q, want %q", got, want)
	}
	// Without anybody loading it anew, the page shows how things are.
	p.Wait(`document.querySelector(".panel")?.innerText.startsWith("You have agreed.")`)
	p.keepsToItself(secrets)
	if complaints := p.Complaints(); len(complaints) > 0 {
		t.Errorf("the browser complains: %q", complaints)
	}
}

// TestAgreementIsStale has something happen between the look at a page and the
// touch.
func TestAgreementIsStale(t *testing.T) {
	s, p, _ := keykeeper(t)
	for _, tt := range []struct {
		name, want string
		meanwhile  func()
	}{
		{"somebody objects", access.ErrStale.Error(), func() { s.change(func() { s.proposals[0] = s.proposals[0].Object("kim", 77) }) }},
		{"another version", "there is no such thing", func() { s.propose("bob", adds(newcomer(t, "olga"))) }},
		{"she is suspended", access.ErrSuspended.Error(), func() { s.change(func() { s.suspensions = access.Suspensions{{Entry: 9, Person: "ada"}} }) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.propose("bob", adds(newcomer(t, "otto")))
			p.Go(s.url + "/people")
			p.Wait(`document.querySelector(".panel button")`)
			tt.meanwhile()
			p.agree()
			p.Wait(`document.querySelector("#people-status").innerText !== ""`)
			if got := p.Text("#people-status"); !strings.EqualFold(got, tt.want+". Do something about it.") || len(s.acts) > 0 {
				t.Errorf("the page says %q, want %q", got, tt.want)
			}
		})
	}
}

// TestAgreementIsRefusedByThePage shows it versions that nobody should agree
// with, as a safe would show that has been taken over.
func TestAgreementIsRefusedByThePage(t *testing.T) {
	s, p, _ := keykeeper(t)
	s.change(func() { s.team.Roster.Lifted = []int64{7} })
	foreign := accesstest.NewTeam(t, "bob:operator kim:keykeeper")
	otto := newcomer(t, "otto")
	outer, inner := must(seal.NewOuterIdentity())(t), must(seal.NewInnerIdentity())(t)
	begin := func(r *access.Roster) *access.Period {
		period := r.Current()
		period.From = period.From.Add(time.Hour)
		r.Periods = append(r.Periods, period)
		return &r.Periods[len(r.Periods)-1]
	}
	for _, tt := range []struct {
		name, want string
		change     func(*access.Roster)
	}{
		{"another safe", "another safe", func(r *access.Roster) { r.Store = foreign.Store }},
		{"another version before", "does not follow", func(r *access.Roster) { r.Previous[3]++ }},
		{"a number left out", "does not follow", func(r *access.Roster) { r.Number++ }},
		{"nobody who restores", "no operator", func(r *access.Roster) {
			r.People = slices.DeleteFunc(r.People, func(p access.Person) bool { return p.Has(access.Operator) })
		}},
		{"a key of the ledger is replaced", "a key of the ledger", func(r *access.Roster) { r.LedgerKeys = foreign.Roster.LedgerKeys }},
		{"what was lifted", "was lifted", func(r *access.Roster) { r.Lifted = nil }},
		{"the key of an old period", "the role keys of a period", func(r *access.Roster) { r.Periods[0].Inner = inner.Recipient() }},
		{"two periods", "more than one", func(r *access.Roster) {
			begin(r).Inner = inner.Recipient()
			begin(r).Inner = foreign.Inner.Recipient()
		}},
		{"a period without a key", "without a new role key", func(r *access.Roster) { begin(r) }},
		{"a key of the other role", "that of the other", func(r *access.Roster) {
			b := must(s.team.Inner.Recipient().MarshalText())(t)
			if err := begin(r).Outer.UnmarshalText(b); err != nil {
				t.Fatal(err)
			}
			r.Periods[1].Inner = inner.Recipient()
		}},
		{"the keykeepers' key, made by an operator", "nobody of that role has proposed", func(r *access.Roster) { begin(r).Outer = outer.Recipient() }},
		{"her passkeys replaced", "You do not stand in it as you have enrolled", func(r *access.Roster) {
			i := slices.IndexFunc(r.People, func(p access.Person) bool { return p.Name == "ada" })
			r.People[i].Passkeys = accesstest.NewPasskeyPerson(t, "ada", access.Keykeeper).Passkeys
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			next := s.team.Roster.Next()
			adds(otto)(&next)
			tt.change(&next)
			agreed := s.team.People["bob"].States(t, s.team.Store, time.Now(), access.Agree{Number: next.Number, Digest: next.Digest()})
			s.change(func() {
				s.proposals = []access.Proposal{{Roster: next.Encode(), Proposed: time.Now(), By: "bob", Agreed: []ledger.Signed{agreed}}}
			})
			p.Go(s.url + "/people")
			p.Wait(`document.querySelector(".panel .error")`)
			got := p.Text(".panel")
			if !strings.Contains(got, tt.want) || !strings.Contains(got, "Object, and tell the others.") || strings.Contains(got, "Agree") {
				t.Errorf("the page says %q, want %q", got, tt.want)
			}
		})
	}
	t.Run("two spellings", func(t *testing.T) {
		next := s.team.Roster.Next()
		adds(otto)(&next)
		s.change(func() {
			s.proposals = []access.Proposal{{Roster: bytes.Replace(next.Encode(), []byte(`"n":3`), []byte(`"n":2,"n":3`), 1), By: "bob"}}
		})
		p.Go(s.url + "/people")
		p.Wait(`document.querySelector("#people-status").innerText.includes("cannot be read")`)
	})
	t.Run("other bytes than the page was drawn of", func(t *testing.T) {
		s.propose("bob", adds(otto))
		s.change(func() { s.drawn = safe.DigestOf([]byte("another version")) })
		p.Go(s.url + "/people")
		p.Wait(`document.querySelector(".panel")?.innerText.startsWith("It is decided, or proposed anew.")`)
	})
	if len(s.acts) > 0 {
		t.Errorf("she has signed %v", s.acts)
	}
}

// TestFoundersAgree has somebody agree who is in no roster yet.
func TestFoundersAgree(t *testing.T) {
	s := newSafe(t)
	p, _ := s.visit(s.invitation(access.Keykeeper))
	_, secrets := enrolKeykeeper(t, s, p)
	s.join()
	founding := s.team.Roster
	s.change(func() { s.team.Roster = s.team.First })
	founding.Number, founding.Previous = 2, s.team.First.Digest()
	s.change(func() { s.person, s.enrolments = "ada", []access.Enrolment{s.enrolment} })
	s.propose("bob", func(r *access.Roster) { *r = founding })
	p.Go(s.url + "/people")
	p.Wait(`document.querySelector(".panel button")`)
	if got, want := p.Text(".panel"), words.Of(s.enrolment.Digest()); !strings.Contains(got, want) || strings.Contains(got, "Object") {
		t.Errorf("the page says %s, want the words of her enrolment: %s", got, want)
	}
	if n := Eval[int](p, `document.querySelectorAll("[data-person] details").length`); n != 0 {
		t.Errorf("%d people could be suspended by nobody", n)
	}
	p.agree()
	p.Wait(`document.querySelector(".ended")`)
	if len(s.proposals[0].Agreed) != 2 || s.proposals[0].Ready.IsZero() {
		t.Errorf("the proposal is %+v", s.proposals[0])
	}
	p.spied(secrets)
	p.keepsToItself(secrets)
}

func TestObject(t *testing.T) {
	s, p, _ := keykeeper(t)
	next := s.propose("bob", adds(newcomer(t, "otto")))
	p.Go(s.url + "/people")
	p.Wait(`document.querySelector(".panel summary")`)
	p.Click(".panel summary")
	p.Press("Object with your passkey")
	p.Fill(".panel details input", "  who is otto? ")
	p.Press("Object with your passkey")
	p.Wait(`document.querySelector(".ended")?.innerText.startsWith("You have objected to version 3.")`)
	if diff := cmp.Diff([]access.Act{access.Object{Number: 3, Digest: next.Digest(), Reason: "who is otto?"}}, s.acts); diff != "" {
		t.Errorf("acts (-want +got)\n%s", diff)
	}
	p.Wait(`document.querySelector(".panel")?.innerText.startsWith("You have objected.")`)
	if n := Eval[int](p, `document.querySelectorAll(".notice button").length`); n != 0 {
		t.Error("who has objected can do something more")
	}
}

func TestSuspend(t *testing.T) {
	s, p, secrets := keykeeper(t)
	kim := s.team.People["kim"]
	p.Go(s.url + "/people")
	p.Wait(`document.querySelectorAll("[data-person] summary").length === 3`)
	p.Click("[data-person=bob] summary")
	p.Press("Suspend bob with your passkey")
	if n := Eval[int](p, "spied.touches"); n != 0 {
		t.Errorf("%d touches without a reason", n)
	}
	p.Fill("#suspend-why-bob", "laptop lost")
	p.Press("Suspend bob with your passkey")
	p.Wait(`document.querySelector(".ended")?.innerText.startsWith("bob is suspended.")`)
	p.Wait(`document.querySelectorAll("[data-person] summary").length === 2`)
	p.Click("[data-person=kim] summary")
	if got, want := p.texts("#suspend-what-kim option"), []string{"kim, with all keys", "the SSH key " + kim.SSH[0].Fingerprint()}; !slices.Equal(got, want) {
		t.Errorf("there is to suspend %q, want %q", got, want)
	}
	p.Fill("#suspend-what-kim", kim.SSH[0].String())
	p.Fill("#suspend-why-kim", "her laptop, too")
	p.Press("Suspend kim with your passkey")
	p.Wait(`document.querySelector(".ended")?.innerText.startsWith("This key of kim is suspended.")`)
	want := access.Suspensions{{Entry: 1, Person: "bob"}, {Entry: 2, Person: "kim", Key: signature.FromSSH(kim.SSH[0])}}
	if diff := cmp.Diff(want, s.suspensions); diff != "" {
		t.Errorf("suspensions (-want +got)\n%s", diff)
	}
	p.spied(secrets)
	p.keepsToItself(secrets)

	// Her own passkeys by themselves; who is suspended, and a key that is, no more.
	p.Go(s.url + "/people")
	p.Wait(`document.querySelectorAll("[data-person] summary").length === 2`)
	ada, _ := s.team.Roster.Person("ada")
	wantKeys := []string{"ada, with all keys", "the passkey for releases " + ada.PasskeysFor(access.Release)[0].Fingerprint(), "the passkey to sign in " + ada.PasskeysFor(access.SignIn)[0].Fingerprint()}
	if got := p.texts("#suspend-what-ada option"); !slices.Equal(got, wantKeys) {
		t.Errorf("there is to suspend %q, want %q", got, wantKeys)
	}
	if got := p.texts("#suspend-what-kim option"); len(got) != 1 {
		t.Errorf("there is to suspend %q", got)
	}
	s.change(func() {
		s.suspensions = access.Suspensions{{Entry: 3, Person: "ada", Key: signature.FromPasskey(ada.PasskeysFor(access.Release)[0])}}
	})
	p.Go(s.url + "/people")
	p.Click("[data-person=bob] summary")
	p.Fill("#suspend-why-bob", "x")
	p.Press("Suspend bob with your passkey")
	p.Wait(`document.querySelector("#people-status").innerText.includes("You have no passkey that signs, or it is suspended. Enrol anew")`)
}

// TestPeopleWithoutBarriers looks at the page as its script has filled it, with
// all that is folded, in light and dark, on a phone.
func TestPeopleWithoutBarriers(t *testing.T) {
	s, p, _ := keykeeper(t)
	s.aPeriodMore()
	s.propose("bob", adds(newcomer(t, "otto")))
	petra := accesstest.NewPasskeyPerson(t, "petra", access.Keykeeper).Person
	s.change(func() {
		s.enrolments = []access.Enrolment{{Version: 1, Store: s.team.Store, Time: made, Person: petra, Domain: "localhost"}}
	})
	p.must(p.do(chromedp.EmulateViewport(320, 800)))
	axe, err := os.ReadFile(os.Getenv("STRONGROOM_AXE"))
	if err != nil && os.Getenv("CI") != "" {
		t.Fatalf("axe-core, which make axe puts there: %v", err)
	}
	for _, scheme := range []string{"light", "dark"} {
		p.scheme(scheme)
		p.Go(s.url + "/people")
		p.Wait(`document.querySelector("#join")`)
		Eval[bool](p, `{ for (const d of document.querySelectorAll("details")) d.open = true; true }`)
		if width := Eval[int](p, "document.documentElement.scrollWidth"); width > 320 {
			t.Errorf("it is %d pixels wide in a window of 320", width)
		}
		if err != nil {
			continue
		}
		Eval[bool](p, string(axe)+"; true")
		for _, barrier := range Eval[[]string](p, `axe.run().then(found => found.violations.flatMap(v => v.nodes.map(n => v.id + ": " + n.failureSummary + " " + n.html)))`) {
			t.Errorf("%s: %s", scheme, barrier)
		}
	}
}
