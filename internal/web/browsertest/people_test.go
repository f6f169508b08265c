package browsertest

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"

	"strongroom/internal/access"
	"strongroom/internal/access/accesstest"
	"strongroom/internal/access/api"
	"strongroom/internal/access/compose"
	"strongroom/internal/access/keyring"
	"strongroom/internal/access/opening"
	"strongroom/internal/access/signature"
	"strongroom/internal/ledger"
	"strongroom/internal/report"
	"strongroom/internal/safe"
	"strongroom/internal/safe/words"
	"strongroom/internal/spelling"
	"strongroom/internal/store/seal"
	"strongroom/internal/web/page"
)

// addPeople adds what the page "People" asks for and sends, and the page itself.
func (s *fakeSafe) addPeople(mux *http.ServeMux, handle func(string, func(*http.Request, []byte) (any, error))) {
	handle("GET /v1/people", func(*http.Request, []byte) (any, error) {
		r := s.team.Roster
		if s.lie != nil {
			s.lie(&r)
		}
		e := api.Everyone{Current: r.Encode(), Proposals: s.proposals, Suspensions: s.suspensions}
		for _, enrolment := range s.enrolments {
			e.Enrolments = append(e.Enrolments, api.Enrolled{Enrolment: enrolment.Encode()})
		}
		return e, nil
	})
	handle("POST /v1/roster/agree", s.decide(func(p access.Proposal, signed ledger.Signed, _ access.Act) (access.Proposal, error) {
		return p.Agree(s.team.Roster, signed, access.Situation{Now: time.Now(), Snapshots: true, Suspended: s.suspensions})
	}))
	handle("POST /v1/roster/object", s.decide(func(p access.Proposal, signed ledger.Signed, _ access.Act) (access.Proposal, error) {
		if _, _, err := s.team.Roster.Verify(signed); err != nil {
			return p, err
		}
		s.entries++
		return p.Object(s.person, s.entries), p.MayObject(s.person)
	}))
	handle("POST /v1/roster/propose", func(_ *http.Request, body []byte) (any, error) {
		var m api.Proposing
		if err := spelling.Decode(body, &m); err != nil {
			return nil, err
		}
		p, err := access.Propose(s.team.Roster, m.Roster, ledger.Who(s.person), time.Now())
		if err == nil {
			p, err = p.Agree(s.team.Roster, m.Signed, access.Situation{Now: time.Now(), Snapshots: true, Suspended: s.suspensions})
		}
		if err == nil {
			s.proposals = append(s.proposals, p)
		}
		return nil, err
	})
	handle("POST /v1/keys/check", func(_ *http.Request, body []byte) (any, error) {
		var m api.KeyCheck
		if err := spelling.Decode(body, &m); err != nil {
			return nil, err
		}
		s.asked, s.askedNonce = m, opening.NewNonce()
		sealed, err := seal.NewOuterProof(s.askedNonce, s.team.Roster.Periods[m.Period-1].Outer)
		return api.Challenge{ID: s.token, Sealed: sealed}, err
	})
	handle("POST /v1/keys/answer", func(_ *http.Request, body []byte) (any, error) {
		var m api.Answer
		if err := spelling.Decode(body, &m); err != nil {
			return nil, err
		}
		if m.ID != s.token || m.Nonce != s.askedNonce {
			return nil, errors.New("another nonce")
		}
		s.proven = append(s.proven, s.asked)
		return nil, nil
	})
	handle("POST /v1/people/suspend", func(_ *http.Request, body []byte) (any, error) {
		st, err := s.hear(body)
		if err != nil {
			return nil, err
		}
		act, ok := st.Act.(access.Suspend)
		if !ok {
			return nil, errors.New("it suspends nobody")
		}
		s.entries++
		s.suspensions = append(s.suspensions, access.Suspension{Entry: s.entries, Person: act.Person, Key: act.Key})
		return nil, nil
	})
	pages, err := page.New()
	if err != nil {
		s.t.Fatal(err)
	}
	static := http.StripPrefix(page.Assets, http.FileServerFS(page.Static()))
	for _, name := range []string{"pages.css", "mark.svg"} {
		mux.Handle("GET "+page.Assets+name, static)
	}
	mux.HandleFunc("GET /people", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", policy)
		visitor := &page.Visitor{Name: s.person, Roles: s.roles()}
		if err := pages.People(w, page.Frame{Safe: "acme", Path: "/people", Now: time.Now().UTC(), Visitor: visitor}, s.lookPeople()); err != nil {
			s.t.Error(err)
		}
	})
}

func (s *fakeSafe) roles() []access.Role {
	if p, ok := s.team.Roster.Person(s.person); ok {
		return p.Roles
	}
	return s.enrolment.Person.Roles
}

func (s *fakeSafe) hear(body []byte) (access.Statement, error) {
	var m api.Act
	if err := spelling.Decode(body, &m); err != nil {
		return access.Statement{}, err
	}
	st, _, err := s.team.Roster.Verify(m.Signed)
	if err == nil && st.Person != s.person {
		err = errors.New("another person's")
	}
	return st, err
}

// decide handles what is said of the proposal that a statement names.
func (s *fakeSafe) decide(change func(access.Proposal, ledger.Signed, access.Act) (access.Proposal, error)) func(*http.Request, []byte) (any, error) {
	return func(_ *http.Request, body []byte) (any, error) {
		var m api.Act
		if err := spelling.Decode(body, &m); err != nil {
			return nil, err
		}
		st, err := access.ParseStatement([]byte(m.Signed.Statement))
		if err != nil {
			return nil, err
		}
		var digest safe.Digest
		switch act := st.Act.(type) {
		case access.Agree:
			digest = act.Digest
		case access.Object:
			digest = act.Digest
		}
		i := slices.IndexFunc(s.proposals, func(p access.Proposal) bool { return safe.DigestOf(p.Roster) == digest })
		if i < 0 || st.Person != s.person {
			return nil, errors.New("there is no such thing")
		}
		p, err := change(s.proposals[i], m.Signed, st.Act)
		if err != nil {
			return nil, err
		}
		s.acts = append(s.acts, st.Act)
		s.proposals[i] = p
		return nil, nil
	}
}

// lookPeople is what a safe would have its page show.
func (s *fakeSafe) lookPeople() report.PeoplePage {
	r := s.team.Roster
	look := report.PeoplePage{Safe: "acme", Now: time.Now().UTC(), Version: r.Number, Words: "as the safe says", Founded: r.Founded()}
	for _, p := range r.People {
		line := report.PersonLine{Name: p.Name, FullName: string(p.FullName), Roles: p.Roles, Mail: p.Mail, Addresses: p.Addresses}
		for _, key := range p.Keys() {
			line.Keys = append(line.Keys, report.KeyLine{Fingerprint: key.Fingerprint(), Use: report.UseRelease})
		}
		look.People = append(look.People, line)
	}
	for _, e := range s.enrolments {
		look.Enrolments = append(look.Enrolments, report.EnrolmentLine{Person: e.Person.Name, Roles: e.Person.Roles, Words: "as the safe says"})
	}
	for _, p := range s.proposals {
		digest := safe.DigestOf(p.Roster)
		if !s.drawn.IsZero() {
			digest = s.drawn
		}
		look.Proposals = append(look.Proposals, report.ProposalLine{Version: r.Number + 1, Digest: digest, Words: "as the safe says", By: p.By, Proposed: p.Proposed,
			Changes: []string{"what the safe says"}, Objected: p.Objected, Papers: p.Papers, Ready: p.Ready})
	}
	return look
}

// propose has somebody of the team propose a version, as it changes the one in
// force.
func (s *fakeSafe) propose(by safe.PersonName, change func(*access.Roster)) access.Roster {
	s.t.Helper()
	next := s.team.Roster.Next()
	change(&next)
	next = accesstest.Reread(s.t, next)
	p, err := access.Propose(s.team.Roster, next.Encode(), ledger.Who(by), time.Now())
	if err == nil {
		p, err = p.Agree(s.team.Roster, s.team.People[by].States(s.t, s.team.Store, time.Now(), access.Agree{Number: next.Number, Digest: next.Digest()}), access.Situation{Now: time.Now(), Snapshots: true})
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.change(func() { s.proposals = []access.Proposal{p} })
	return next
}

// adds returns a change that adds somebody, in the order of names.
func adds(p access.Person) func(*access.Roster) {
	return func(r *access.Roster) {
		r.People = append(r.People, p)
		slices.SortFunc(r.People, func(a, b access.Person) int { return strings.Compare(string(a.Name), string(b.Name)) })
	}
}

// newcomer is an operator who may be added.
func newcomer(t testing.TB, name safe.PersonName) access.Person {
	t.Helper()
	p := accesstest.NewPerson(t, name, access.Operator).Person
	p.FullName = `Otto "the <b>second</b>"`
	return p
}

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
	p.Click(".ended a")
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
	p.Click(".ended a")
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
	p.Click("[data-person=kim] summary")
	if got, want := p.texts("#suspend-what-kim option"), []string{"kim, with all keys", "the SSH key " + kim.SSH[0].Fingerprint()}; !slices.Equal(got, want) {
		t.Errorf("there is to suspend %q, want %q", got, want)
	}
	p.Fill("#suspend-what-kim", kim.SSH[0].String())
	p.Fill("#suspend-why-kim", "her laptop, too")
	p.Press("Suspend kim with your passkey")
	p.Wait(`document.querySelectorAll(".ended").length === 2`)
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
	p.Wait(`document.querySelector("#people-status").innerText.includes("You have no passkey that signs")`)
}

// aPeriodMore begins a second period, of which ada has the key and kim does not.
func (s *fakeSafe) aPeriodMore() seal.OuterIdentity {
	s.t.Helper()
	outer := must(seal.NewOuterIdentity())(s.t)
	period := s.team.Roster.Current()
	period.From, period.Outer = period.From.Add(time.Hour), outer.Recipient()
	period.OuterCopies = []access.Copy{{Person: "ada", Sealed: must(outer.SealTo(s.enrolment.Person.Key, made))(s.t)}}
	s.change(func() {
		s.team.Roster.Periods = append(s.team.Roster.Periods, period)
		s.team.Roster = accesstest.Reread(s.t, s.team.Roster)
	})
	return outer
}

// TestTakeIn has ada take a keykeeper and an officer in, who gets the keys of
// all periods.
func TestTakeIn(t *testing.T) {
	s, p, secrets := keykeeper(t)
	second := s.aPeriodMore()
	petra, eva, olga := accesstest.NewPasskeyPerson(t, "petra", access.Keykeeper), accesstest.NewPasskeyPerson(t, "eva", access.Officer), accesstest.NewPerson(t, "olga", access.Operator)
	for _, who := range []accesstest.Somebody{petra, eva, olga} {
		e := access.Enrolment{Version: 1, Store: s.team.Store, Time: made, Person: who.Person}
		if len(who.Passkeys) > 0 {
			e.Domain = "localhost"
		}
		s.change(func() { s.enrolments = append(s.enrolments, e) })
	}
	p.Go(s.url + "/people")
	p.Wait(`document.querySelector("#join")`)
	if got := p.texts("#joining-panel .words"); !slices.Equal(got, []string{words.Of(s.enrolments[0].Digest()), words.Of(s.enrolments[1].Digest())}) {
		t.Errorf("the page shows the words %q", got)
	}
	p.Press("Take in whose words you have heard")
	p.Wait(`document.querySelector("#people-status").innerText.includes("then tick their names")`)
	p.Click("#heard-petra")
	p.Click("#heard-eva")
	p.Press("Take in whose words you have heard")
	p.Wait(`document.querySelector("#joining-panel .list")`)
	shown := p.texts("#joining-panel .list li")
	p.Press("Propose it with your passkey")
	p.Wait(`document.querySelector("#joining-panel .ended")`)
	if n := p.spied(secrets); n != 2 || len(s.proposals) != 1 {
		t.Fatalf("%d touches, %d proposals: %s", n, len(s.proposals), p.Text("body"))
	}
	next := s.proposals[0].Next()
	if diff := cmp.Diff(compose.Changes(s.team.Roster, next), shown); diff != "" {
		t.Errorf("what it changes (-a terminal +the page)\n%s", diff)
	}
	if got := p.Text("#joining-panel .words"); got != words.Of(next.Digest()) {
		t.Errorf("the page shows the words %q", got)
	}
	if _, ok := next.Person("olga"); ok || len(next.People) != 5 {
		t.Errorf("there are %d people", len(next.People))
	}
	for i, key := range []seal.OuterIdentity{s.team.Outer, second} {
		for name, identity := range map[safe.PersonName]seal.PersonalIdentity{"petra": petra.Identity, "kim": s.team.People["kim"].Identity} {
			sealed, _ := next.Periods[i].OuterCopy(name)
			if _, err := seal.OpenOuterCopy(identity, sealed, key.Recipient()); err != nil {
				t.Errorf("the copy of %s of period %d: %v", name, i+1, err)
			}
		}
		if _, ok := next.Periods[i].OuterCopy("eva"); ok {
			t.Error("an officer has a copy")
		}
	}
	secrets["the first outer key"], secrets["the second outer key"] = []byte(s.team.Outer.PrivateLine()), []byte(second.PrivateLine())
	p.keepsToItself(secrets)
	if complaints := p.Complaints(); len(complaints) > 0 {
		t.Errorf("the browser complains: %q", complaints)
	}
}

// TestTakeInIsRefusedByThePage has it compose what nobody should propose.
func TestTakeInIsRefusedByThePage(t *testing.T) {
	s, p, _ := keykeeper(t)
	good := s.team.Roster
	petra := accesstest.NewPasskeyPerson(t, "petra", access.Keykeeper)
	officer := accesstest.NewPasskeyPerson(t, "kim", access.Officer)
	for _, tt := range []struct {
		name, want string
		person     access.Person
		domain     string
		before     func()
	}{
		{"passkeys of another domain", "they must enrol there", petra.Person, "evil.example", func() {}},
		{"a keykeeper becomes officer", "would no longer be what they are", officer.Person, "localhost", func() {}},
		{"she lacks a key", "you cannot", petra.Person, "localhost", func() {
			s.aPeriodMore()
			copies := s.team.Roster.Periods[1].OuterCopies
			copies[0] = access.Copy{Person: "kim", Sealed: copies[0].Sealed}
		}},
		{"her copy holds another key", "does not hold that key", petra.Person, "localhost", func() {
			s.aPeriodMore()
			s.change(func() {
				s.team.Roster.Periods[1].OuterCopies[0].Sealed = must(s.team.Outer.SealTo(s.enrolment.Person.Key, made))(t)
			})
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.change(func() { s.team.Roster = accesstest.Reread(t, good) })
			tt.before()
			s.change(func() {
				s.enrolments = []access.Enrolment{{Version: 1, Store: s.team.Store, Time: made, Person: tt.person, Domain: tt.domain}}
			})
			p.Go(s.url + "/people")
			p.Click("#heard-" + string(tt.person.Name))
			p.Press("Take in whose words you have heard")
			p.Wait(`document.querySelector("#people-status").innerText !== ""`)
			if got := p.Text("#people-status"); !strings.Contains(got, tt.want) || len(s.proposals) > 0 {
				t.Errorf("the page says %q, want %q", got, tt.want)
			}
		})
	}
}

// TestOwnKeys has ada give kim a copy, begin a period, and prove her keys.
func TestOwnKeys(t *testing.T) {
	s, p, secrets := keykeeper(t)
	second := s.aPeriodMore()
	kim := s.team.People["kim"].Identity
	proposed := func() access.Roster {
		t.Helper()
		p.Press("Propose it with your passkey")
		p.Wait(`document.querySelector("#keys-panel .ended")`)
		if len(s.proposals) != 1 {
			t.Fatalf("%d proposals: %s", len(s.proposals), p.Text("body"))
		}
		next := s.proposals[0].Next()
		s.change(func() { s.proposals = nil })
		return next
	}
	p.Go(s.url + "/people")
	p.Press("Give the missing copies")
	next := proposed()
	if diff := cmp.Diff([]string{"gives kim a copy of the outer key of period 2"}, compose.Changes(s.team.Roster, next)); diff != "" {
		t.Errorf("what it changes (-want +got)\n%s", diff)
	}
	sealed, _ := next.Periods[1].OuterCopy("kim")
	must(seal.OpenOuterCopy(kim, sealed, second.Recipient()))(t)
	if n := p.spied(secrets); n != 2 {
		t.Errorf("it took %d touches", n)
	}

	p.Go(s.url + "/people")
	p.Press("Begin a new period")
	next = proposed()
	changes := compose.Changes(s.team.Roster, next)
	if want := []string{"begins period 3 with a new role key of the keykeepers", "gives ada a copy of the outer key of period 3", "gives kim a copy of the outer key of period 3"}; !slices.Equal(changes, want) {
		t.Errorf("it changes %q, want %q", changes, want)
	}
	sealed, _ = next.Periods[2].OuterCopy("kim")
	third := must(seal.OpenOuterCopy(kim, sealed, next.Periods[2].Outer))(t)
	secrets["the third outer key"] = []byte(third.PrivateLine())
	if n := p.spied(secrets); n != 1 {
		t.Errorf("it took %d touches", n)
	}

	p.Go(s.url + "/people")
	p.Press("Check your keys")
	p.Wait(`document.querySelector("#keep")`)
	if n := p.spied(secrets); n != 1 || !slices.Equal(s.proven, []api.KeyCheck{{Role: "outer", Period: 1}, {Role: "outer", Period: 2}}) {
		t.Errorf("%d touches have proven %+v: %s", n, s.proven, p.Text("body"))
	}
	if got := p.Text("#keys-panel"); !strings.Contains(got, "The outer key of period 1 is proven.\n\nThe outer key of period 2 is proven.") {
		t.Errorf("the page says %s", got)
	}
	p.Press("Put it under your passkey")
	p.Wait(`document.querySelector("#kept")`)
	if n := p.spied(secrets); n != 2 {
		t.Errorf("it took %d touches to keep a key", n)
	}
	kept := must(keyring.Parse(s.keyring))(t)
	if len(kept.Periods) != 1 || kept.Periods[0].Number != 2 {
		t.Errorf("the keyring has %+v", kept.Periods)
	}

	// What is kept is not offered again, and a copy that holds something else
	// proves nothing.
	p.Go(s.url + "/people")
	p.Press("Check your keys")
	p.Wait(`document.querySelector("#keys-panel .ended")`)
	if Eval[bool](p, `!!document.querySelector("#keep")`) {
		t.Error("the key is to be kept twice")
	}
	p.spied(secrets)
	s.change(func() { s.proven = nil })
	s.change(func() {
		s.team.Roster.Periods[1].OuterCopies[0].Sealed = must(third.SealTo(s.enrolment.Person.Key, made))(t)
	})
	p.Go(s.url + "/people")
	p.Press("Check your keys")
	p.Wait(`document.querySelector("#people-status").innerText.includes("does not hold that key")`)
	if len(s.proven) > 0 {
		t.Errorf("the page has proven %+v", s.proven)
	}
	p.spied(secrets)
	secrets["the first outer key"], secrets["the second outer key"] = []byte(s.team.Outer.PrivateLine()), []byte(second.PrivateLine())
	p.keepsToItself(secrets)
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
		call(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
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
