package browsertest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/access"
	"strongroom/internal/access/api"
	"strongroom/internal/access/compose"
	"strongroom/internal/access/opening"
	"strongroom/internal/access/signature"
	"strongroom/internal/safe"
	"strongroom/internal/safe/words"
	"strongroom/internal/store/seal"
	"strongroom/internal/web/wiretest"
)

// visit opens a page of the safe with an authenticator and the spy.
func (s *fakeSafe) visit(path string) (*Page, *Authenticator) {
	s.t.Helper()
	b, err := shared()
	skipOrFail(s.t, err)
	p := b.Open(s.t, s.url+"/")
	a := p.Authenticate(true)
	p.Spy()
	p.Go(path)
	return p, a
}

// spied adds what the authenticator gave in this document to secrets.
func (p *Page) spied(secrets map[string][]byte) (touches int) {
	p.t.Helper()
	touches, results := p.Spied()
	for i, r := range results {
		secrets[fmt.Sprintf("PRF result %d of touch %d, %.3x", i%2+1, i/2+1, r)] = r
	}
	return touches
}

var privateLine = regexp.MustCompile(`AGE-SECRET-KEY-PQ-1[0-9A-Z]{50,}`)

// enrolKeykeeper enrols ada as a keykeeper in a page, as a person would. It
// returns her private key from the paper, and what must not have been sent.
func enrolKeykeeper(t *testing.T, s *fakeSafe, p *Page) (seal.PersonalIdentity, map[string][]byte) {
	t.Helper()
	p.Fill("#full-name", "Ada Fischer")
	p.Fill("#mail", "ada@example.com")
	p.Press("Begin")
	p.Press("Make the passkey for looking")
	p.Press("Make the passkey that signs")
	p.Press("Put your personal key under this passkey")
	if s.makes {
		p.Press("Make the outer key")
	} else if s.founding != nil {
		p.Click("#enrol-release summary")
		file := filepath.Join(t.TempDir(), "outer.key")
		var key strings.Builder
		if err := s.team.Outer.Write(&key, made); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(key.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		p.Upload("#outer-file", file)
		p.Press("Bring the outer key")
		p.Press("Put the outer key under this passkey, too")
	}
	p.Wait(`document.querySelector("#paper")`)
	line := privateLine.FindString(strings.ReplaceAll(p.Text("#paper"), "\n  ", ""))
	personal, err := seal.ReadPersonalIdentity(strings.NewReader(line))
	if err != nil {
		t.Fatalf("the key on paper: %v\n%s", err, p.Text("#paper"))
	}

	p.Fill("#paper-check", "ABCD")
	p.Press("I have it on paper")
	p.Wait(`document.querySelector("#enrol-status").innerText.includes("not the last characters")`)
	p.Fill("#paper-check", " "+strings.ToLower(line[len(line)-4:]))
	p.Press("I have it on paper")
	p.Press("Send your public keys to the safe")
	p.Wait(`document.querySelector("#enrol-status").innerText.includes("You are enrolled")`)
	secrets := map[string][]byte{"the personal key": must(wiretest.KeyOf(line))(t)}
	p.spied(secrets)
	return personal, secrets
}

// TestEnrolment has a founder enrol, who brings the outer key.
func TestEnrolment(t *testing.T) {
	s := newSafe(t)
	s.founding = map[string]any{"outer": s.team.Outer.Recipient(), "period": 1}
	p, _ := s.visit(s.invitation(access.Keykeeper))
	if got := Eval[string](p, "location.href"); strings.Contains(got, "#") {
		t.Errorf("the link stays in the address: %s", got)
	}
	personal, secrets := enrolKeykeeper(t, s, p)
	secrets["the outer key"] = must(wiretest.KeyOf(s.team.Outer.PrivateLine()))(t)
	p.keepsToItself(secrets)
	if got, want := p.Text("#words"), words.Of(s.enrolment.Digest()); got != want {
		t.Errorf("the page shows the words %q, the safe %q", got, want)
	}
	if strings.Contains(Eval[string](p, "document.documentElement.outerHTML"), "AGE-SECRET") {
		t.Error("the page still shows the key")
	}

	e := s.enrolment
	if e.Person.Key != personal.Recipient() {
		t.Error("the enrolment has another key than the paper")
	}
	if e.Person.FullName != "Ada Fischer" || e.Person.Mail != "ada@example.com" || !e.Person.Has(access.Keykeeper) || e.Domain != "localhost" || e.Store != s.team.Store {
		t.Errorf("the enrolment is %s", s.sentRaw)
	}
	if n, m := len(e.Person.PasskeysFor(access.SignIn)), len(e.Person.PasskeysFor(access.Release)); n != 1 || m != 1 {
		t.Errorf("%d passkeys for sign-in, %d for releases", n, m)
	}
	outer, err := seal.OpenOuterCopy(personal, e.OuterCopy, s.team.Outer.Recipient())
	if err != nil || outer.Recipient() != s.team.Outer.Recipient() {
		t.Errorf("the copy of the outer key: %v", err)
	}
	if complaints := p.Complaints(); len(complaints) > 0 {
		t.Errorf("the browser complains: %q", complaints)
	}
	// Two passkeys made, two keys wrapped.
	if n := Eval[int](p, "spied.touches"); n != 4 {
		t.Errorf("it took %d touches", n)
	}
}

// TestEnrolmentMakesTheOuterKey has a founder enrol who has no file, and finds
// the key in the version that the safe is founded with.
func TestEnrolmentMakesTheOuterKey(t *testing.T) {
	s := newSafe(t)
	s.founding, s.makes = map[string]any{"outer": s.team.Outer.Recipient(), "period": 1}, true
	p, _ := s.visit(s.invitation(access.Keykeeper))
	personal, secrets := enrolKeykeeper(t, s, p)
	if n := Eval[int](p, "spied.touches"); n != 3 {
		t.Errorf("it took %d touches", n)
	}
	e := s.enrolment
	if e.Outer.IsZero() || e.Outer == s.team.Outer.Recipient() {
		t.Fatalf("the enrolment is %s", s.sentRaw)
	}
	outer := must(seal.OpenOuterCopy(personal, e.OuterCopy, e.Outer))(t)
	secrets["the outer key"] = []byte(outer.PrivateLine())
	bob := access.Enrolment{Version: 1, Store: s.team.Store, Time: made, Person: s.team.People["bob"].Person}
	bob.InnerCopy = must(s.team.Inner.SealTo(bob.Person.Key, made))(t)
	s.change(func() { s.team.Roster = s.team.First })
	s.change(func() { s.person, s.enrolments = "ada", []access.Enrolment{e, bob} })

	// Bob proposes a version with a key of his own first.
	forged := e
	other := must(seal.NewOuterIdentity())(t)
	forged.Outer = other.Recipient()
	forged.OuterCopy = must(other.SealTo(e.Person.Key, made))(t)
	for _, tt := range []struct {
		enrolment access.Enrolment
		waiting   []access.Enrolment
		want      string
	}{
		{forged, s.enrolments, "none of its keykeepers has enrolled"},
		{forged, []access.Enrolment{forged, bob}, words.Of(forged.Digest())}, // which ada has not seen
		{access.Enrolment{Version: 1, Person: e.Person, Domain: e.Domain, OuterCopy: must(s.team.Outer.SealTo(e.Person.Key, made))(t)}, s.enrolments, "does not have the outer key that you have made"},
		{e, s.enrolments, words.Of(e.Digest())},
	} {
		s.change(func() { s.enrolments = tt.waiting })
		next := must(compose.Found(s.team.First, []access.Enrolment{tt.enrolment, bob}, compose.Keyring{}, time.Now()))(t)
		s.propose("bob", func(r *access.Roster) { *r = next })
		p.Go(s.url + "/people")
		p.Wait(`document.querySelector(".panel button, .panel .error")`)
		if got := p.Text(".panel"); !strings.Contains(got, tt.want) {
			t.Errorf("the page says %q, want %q", got, tt.want)
		}
	}
	p.agree()
	p.Wait(`document.querySelector(".ended")`)
	if n := p.spied(secrets); n != 1 || s.proposals[0].Ready.IsZero() {
		t.Errorf("%d touches; the proposal is %+v", n, s.proposals[0])
	}
	p.keepsToItself(secrets)
}

// TestEnrolmentOfOthers has people enrol who hold no key.
func TestEnrolmentOfOthers(t *testing.T) {
	for role, uses := range map[access.Role][]access.PasskeyUse{access.Auditor: {access.SignIn}, access.Officer: {access.SignIn, access.Release}} {
		t.Run(string(role), func(t *testing.T) {
			s := newSafe(t)
			p, _ := s.visit(s.invitation(role))
			p.Press("Begin")
			p.Press("Make the passkey for looking")
			if len(uses) > 1 {
				p.Press("Make the passkey that signs")
			}
			p.Press("Send your public keys to the safe")
			p.Wait(`document.querySelector("#enrol-status").innerText.includes("You are enrolled")`)
			var got []access.PasskeyUse
			for _, k := range s.enrolment.Person.Passkeys {
				got = append(got, k.Use)
			}
			if diff := cmp.Diff(uses, got); diff != "" {
				t.Errorf("passkeys (-want +got)\n%s", diff)
			}
			if !s.enrolment.Person.Key.IsZero() || s.keyring != nil {
				t.Error("somebody who opens nothing has a personal key")
			}
		})
	}
}

// TestEnrolmentIsToldWhatIsWrong looks at what people see.
func TestEnrolmentIsToldWhatIsWrong(t *testing.T) {
	s := newSafe(t)
	t.Run("a link that is not whole", func(t *testing.T) {
		link := s.invitation(access.Keykeeper)
		p, _ := s.visit(link[:len(link)-7])
		p.Wait(`document.querySelector("#enrol-status").innerText.includes("not whole. Copy all of it")`)
	})
	t.Run("a page that was loaded anew", func(t *testing.T) {
		link := s.invitation(access.Keykeeper)
		p, _ := s.visit(link)
		p.Wait(`document.querySelector("#enrol-check button")`)
		Eval[bool](p, "location.reload(); true")
		p.Wait(`document.querySelector("#enrol-status").innerText.includes("Open the link of your invitation once more")`)
		// In the same window, where nothing but the fragment changes.
		Eval[bool](p, fmt.Sprintf("location.href = %q; true", link))
		p.Wait(`document.querySelector("#enrol-check button")`)
	})
	t.Run("an operator", func(t *testing.T) {
		p, _ := s.visit(s.invitation(access.Operator))
		p.Wait(`document.querySelector("#enrol-status").innerText.includes("strongroom enrol")`)
	})
	t.Run("an invitation that was used", func(t *testing.T) {
		link := s.invitation(access.Auditor)
		s.token = access.NewToken()
		p, _ := s.visit(link)
		p.Press("Begin")
		p.Wait(`document.querySelector("#enrol-status").innerText === "The invitation is used. Do something about it."`)
	})
	t.Run("an authenticator without PRF", func(t *testing.T) {
		b, err := shared()
		skipOrFail(t, err)
		p := b.Open(t, s.url+"/")
		without := p.Authenticate(false)
		p.Go(s.invitation(access.Keykeeper))
		p.Press("Begin")
		p.Press("Make the passkey for looking")
		p.Press("Make the passkey that signs")
		p.Wait(`document.querySelector("#enrol-status").innerText.includes("Take another authenticator")`)
		// With another one it goes on.
		without.Remove()
		p.Authenticate(true)
		p.Press("Make the passkey that signs")
		p.Press("Put your personal key under this passkey")
	})
}

// keykeeper enrols ada, takes her into the roster and signs her in.
func keykeeper(t *testing.T) (*fakeSafe, *Page, map[string][]byte) {
	t.Helper()
	s := newSafe(t)
	p, secrets := keykeeperOf(t, s)
	return s, p, secrets
}

func keykeeperOf(t *testing.T, s *fakeSafe) (*Page, map[string][]byte) {
	t.Helper()
	p, _ := s.visit(s.invitation(access.Keykeeper))
	personal, secrets := enrolKeykeeper(t, s, p)
	s.join()
	s.sealCopies(t, personal.Recipient())
	p.Go(s.url + "/sign-in?next=%2Fopenings%2Fx%3Fstate%3Dclosed")
	p.Press("Sign in")
	p.Wait(`location.pathname === "/openings/x"`)
	if s.person != "ada" {
		t.Fatalf("%q is signed in", s.person)
	}
	return p, secrets
}

// sealCopies gives ada her copy of the first period's key.
func (s *fakeSafe) sealCopies(t *testing.T, ada seal.PersonalRecipient) {
	t.Helper()
	if _, ok := s.team.Roster.Periods[0].OuterCopy("ada"); !ok || s.enrolment.Person.Key != ada {
		t.Fatal("ada has no copy of the outer key")
	}
}

func TestSignIn(t *testing.T) {
	s, p, _ := keykeeper(t)
	for next, want := range map[string]string{
		"":                          "/",
		"?next=%2Fledger":           "/ledger",
		"?next=https://evil.test/":  "/",
		"?next=//evil.test/":        "/",
		"?next=/%5Cevil.test/":      "/",
		"?next=javascript:alert(1)": "/",
	} {
		p.Go(s.url + "/sign-in" + next)
		p.Press("Sign in")
		p.Wait(`location.pathname !== "/sign-in"`)
		if got := Eval[string](p, "location.href"); got != s.url+want {
			t.Errorf("%q leads to %s", next, got)
		}
	}
	s.change(func() { s.team.Roster.People = nil })
	p.Go(s.url + "/sign-in")
	p.Press("Sign in")
	p.Wait(`document.querySelector("#sign-in-status").innerText === "The safe does not know this passkey. Do something about it."`)
}

// TestRelease releases an opening of two sources with one touch, by the copy in
// the roster, then keeps the period's key under the passkey, and uses that.
func TestRelease(t *testing.T) {
	s, p, secrets := keykeeper(t)
	now := time.Now()
	s.snapshot("erp-files", s.team.Outer.Recipient(), now.Add(-72*time.Hour), now.Add(-48*time.Hour), now.Add(-24*time.Hour), now.Add(-time.Hour))
	s.snapshot("intranet", s.team.Outer.Recipient(), now.Add(-2*time.Hour))
	id := safe.NewOpeningID(now)
	s.ask(id)
	secrets["the outer key"] = must(wiretest.KeyOf(s.team.Outer.PrivateLine()))(t)

	for round, wrapped := range []bool{false, true} {
		s.change(func() { s.released = nil })
		p.Go(fmt.Sprintf("%s/openings/%s?state=requested", s.url, id))
		p.Press("Look at what would be released")
		p.Wait(`document.querySelector("#release-button")`)
		shown := p.Text("#grant")
		for _, want := range []string{"bob", "127.0.0.2", "restore drill <b>bold</b>", "erp-files: everything that was new in 4 collections, ", "intranet: one collection, "} {
			if !strings.Contains(shown, want) {
				t.Errorf("the page does not show %q:\n%s", want, shown)
			}
		}
		if n := Eval[int](p, "spied.touches"); n != 0 {
			t.Errorf("%d touches before anybody agreed", n)
		}
		p.Click("#release-button")
		p.Wait(`document.querySelector("#ended")`)
		if n := p.spied(secrets); n != 1 {
			t.Errorf("round %d: the release took %d touches", round, n)
		}
		if s.released == nil || s.released.Release.Keykeeper != "ada" {
			t.Fatalf("nothing was released: %s", p.Text("body"))
		}
		if key := Eval[bool](p, `!!document.querySelector("#keep")`); key == wrapped {
			t.Errorf("round %d: the page offers to keep the key: %t", round, key)
		}
		if !wrapped {
			p.Click("#keep")
			p.Wait(`document.querySelector("#release-panel").innerText.includes("Done.")`)
			p.spied(secrets)
		}
	}
	p.keepsToItself(secrets)
	if complaints := p.Complaints(); len(complaints) > 0 {
		t.Errorf("the browser complains: %q", complaints)
	}
}

// TestReleaseOverPeriods needs a key of each of two periods.
func TestReleaseOverPeriods(t *testing.T) {
	s, p, secrets := keykeeper(t)
	now := time.Now()
	second := must(seal.NewOuterIdentity())(t)
	copy := must(second.SealTo(s.enrolment.Person.Key, now))(t)
	period := access.Period{From: now.Add(-36 * time.Hour).UTC().Truncate(time.Second), Outer: second.Recipient(), Inner: s.team.Inner.Recipient(),
		OuterCopies: []access.Copy{{Person: "ada", Sealed: copy}}}
	s.change(func() { s.team.Roster.Periods = append(s.team.Roster.Periods, period) })
	s.snapshot("erp-files", s.team.Outer.Recipient(), now.Add(-96*time.Hour), now.Add(-72*time.Hour))
	// The new period came into force a day after it had begun.
	s.snapshot("erp-files", s.team.Outer.Recipient(), now.Add(-24*time.Hour))
	s.snapshot("erp-files", second.Recipient(), now.Add(-time.Hour))
	id := safe.NewOpeningID(now)
	s.ask(id)
	address := fmt.Sprintf("%s/openings/%s?state=requested", s.url, id)

	// With the personal key, one touch opens the copies of both periods.
	p.Go(address)
	p.Press("Look at what would be released")
	p.Click("#release-button")
	p.Wait(`document.querySelector("#ended")`)
	if n := p.spied(secrets); n != 1 || s.released == nil {
		t.Errorf("by copies it took %d touches: %s", n, p.Text("body"))
	}
	p.Click("#keep")
	p.Wait(`document.querySelector("#release-panel").innerText.includes("Done.")`)

	// Now the newest period has a file of its own, which opens no more than that.
	s.change(func() { s.released = nil })
	p.Go(address)
	p.Press("Look at what would be released")
	p.Click("#release-button")
	p.Wait(`document.querySelector("#again")`)
	if got := p.Text("#work"); !strings.Contains(got, "3 envelopes are of an older period") || s.released != nil {
		t.Errorf("the page says %s", got)
	}
	p.Click("#again")
	p.Wait(`document.querySelector("#ended")`)
	if n := p.spied(secrets); n != 2 || s.released == nil {
		t.Errorf("by period it took %d touches: %s", n, p.Text("body"))
	}
	secrets["the first outer key"], secrets["the second outer key"] = must(wiretest.KeyOf(s.team.Outer.PrivateLine()))(t), must(wiretest.KeyOf(second.PrivateLine()))(t)
	p.keepsToItself(secrets)
}

// TestReleaseAsksForThePersonalKey: it opens more than the key of a period, and
// is used if the person wants it to be, for what is needed.
func TestReleaseAsksForThePersonalKey(t *testing.T) {
	s, p, _ := keykeeper(t)
	now := time.Now()
	second := must(seal.NewOuterIdentity())(t)
	s.change(func() {
		s.team.Roster.Periods = append(s.team.Roster.Periods, access.Period{From: now.Add(-36 * time.Hour).UTC().Truncate(time.Second), Outer: second.Recipient(),
			Inner: s.team.Inner.Recipient(), OuterCopies: []access.Copy{{Person: "ada", Sealed: []byte("damaged")}}})
	})
	s.snapshot("erp-files", s.team.Outer.Recipient(), now.Add(-72*time.Hour))
	id := safe.NewOpeningID(now)
	s.ask(id)
	address := fmt.Sprintf("%s/openings/%s?state=requested", s.url, id)

	// The copy of the second period is of no use here, and so is left alone.
	p.Go(address)
	p.Press("Look at what would be released")
	p.Wait(`document.querySelector("#ask .why").innerText.includes("The key of period 1 is not under your passkey yet: “Check your keys”, on the page People, puts it there. Your personal key can do instead")`)
	p.Press("Release with your personal key")
	p.Wait(`document.querySelector("#ended")`)
	p.Click("#keep")
	p.Wait(`document.querySelector("#release-panel").innerText.includes("Done.")`)

	// What the passkey has wrapped is damaged: nothing goes on by itself.
	var kept struct {
		Periods []struct{ Sealed []byte }
	}
	if err := json.Unmarshal(s.keyring, &kept); err != nil {
		t.Fatal(err)
	}
	sealed := kept.Periods[0].Sealed
	whole := base64.StdEncoding.EncodeToString(sealed)
	sealed[len(sealed)-1] ^= 1
	s.change(func() {
		s.keyring = []byte(strings.Replace(string(s.keyring), whole, base64.StdEncoding.EncodeToString(sealed), 1))
	})
	s.change(func() { s.released = nil })
	p.Go(address)
	p.Press("Look at what would be released")
	p.Press("Release with your passkey")
	p.Wait(`document.querySelector("#ask .why").innerText.startsWith("Nothing was released: what your passkey has wrapped as the outer key of period 1 does not open")`)
	if touches, _ := p.Spied(); touches != 1 || s.released != nil {
		t.Errorf("after %d touches it is released: %t", touches, s.released != nil)
	}
	p.Press("Release with your personal key")
	p.Wait(`document.querySelector("#ended")`)
	if touches, _ := p.Spied(); touches != 2 || s.released == nil {
		t.Errorf("after %d touches it is released: %t", touches, s.released != nil)
	}

	// What needs the second period says what is wrong with its copy.
	s.change(func() { s.snapshots = nil })
	s.snapshot("intranet", second.Recipient(), now.Add(-time.Hour))
	s.ask(id)
	p.Go(address)
	p.Press("Look at what would be released")
	p.Press("Release with your personal key")
	p.Wait(`document.querySelector("#release-status").innerText.startsWith("Your copy of the outer key of period 2, in the roster, does not open")`)
	if got := p.Text("#release-status"); !strings.Contains(got, "strongroom people add") {
		t.Errorf("the page does not say what to do: %s", got)
	}
}

// TestKeyringIsOfNoUse has the safe hand out keyrings that no page can go by:
// each says what to do.
func TestKeyringIsOfNoUse(t *testing.T) {
	s, p, _ := keykeeper(t)
	s.snapshot("erp-files", s.team.Outer.Recipient(), time.Now().Add(-time.Hour))
	id := safe.NewOpeningID(time.Now())
	s.ask(id)
	good := string(s.keyring)
	for _, tt := range []struct{ name, keyring, want, do string }{
		{"another version", strings.Replace(good, `"v":1`, `"v":2`, 1), "The safe's copy of your keyring cannot be read", "Then enrol anew with this device"},
		{"damaged", good[:len(good)/2], "The safe's copy of your keyring cannot be read", "have another keykeeper act"},
		{"another's", strings.Replace(good, `"person":"ada"`, `"person":"kim"`, 1), "The safe hands out another person's keyring", "you have spoken with your colleagues"},
	} {
		for _, at := range []struct{ path, status string }{{"/openings/" + id.String() + "?state=requested", "#release-status"}, {"/people", "#people-status"}} {
			s.change(func() { s.keyring = []byte(tt.keyring) })
			p.Go(s.url + at.path)
			p.Wait(fmt.Sprintf(`document.querySelector(%q)?.innerText`, at.status))
			if got := p.Text(at.status); !strings.Contains(got, tt.want) || !strings.Contains(got, tt.do) {
				t.Errorf("%s, %s: the page says %q, want %q and %q", tt.name, at.path, got, tt.want, tt.do)
			}
		}
	}
}

// TestReleaseIsRefusedByThePage gives it grants that are not what was asked
// for, and envelopes that belong elsewhere.
func TestReleaseIsRefusedByThePage(t *testing.T) {
	s, p, _ := keykeeper(t)
	now := time.Now()
	s.snapshot("erp-files", s.team.Outer.Recipient(), now.Add(-24*time.Hour), now.Add(-time.Hour))
	s.snapshot("payroll", s.team.Outer.Recipient(), now.Add(-2*time.Hour))
	payroll := s.snapshots[1]
	s.change(func() { s.snapshots = s.snapshots[:1] })
	id := safe.NewOpeningID(now)
	s.ask(id)
	address := fmt.Sprintf("%s/openings/%s?state=requested", s.url, id)

	alter := func(change func(*opening.Grant)) func(*api.Granted) {
		return func(g *api.Granted) {
			grant := must(opening.ParseGrant(g.Grant))(t)
			change(&grant)
			g.Grant = grant.Encode()
		}
	}
	for _, tt := range []struct {
		name, want string
		tamper     func(*api.Granted)
	}{
		{"another operator", "another operator", alter(func(g *opening.Grant) { g.Operator = "eve" })},
		{"another address", "another operator, address", alter(func(g *opening.Grant) { g.Address = g.Address.Next() })},
		{"another reason", "or reason", alter(func(g *opening.Grant) { g.Reason = "audit" })},
		{"longer", "another time", alter(func(g *opening.Grant) { g.Until = g.Until.Add(time.Second) })},
		{"over", "another time", alter(func(g *opening.Grant) { g.From, g.Until = now.Add(-3*time.Hour).UTC(), now.Add(-time.Hour).UTC() })},
		{"another opening", "another opening", alter(func(g *opening.Grant) { g.Opening = safe.NewOpeningID(now) })},
		{"another store", "another opening", alter(func(g *opening.Grant) { g.Store = safe.NewStoreID() })},
		{"another snapshot", "other snapshots", alter(func(g *opening.Grant) { g.Snapshots[0].Run = payroll.Run })},
		{"another description", "in another way", alter(func(g *opening.Grant) { g.Snapshots[0].Description[0]++ })},
		{"a run more", "other runs", alter(func(g *opening.Grant) { g.Runs = append(g.Runs, safe.NewRunID(now.Add(time.Hour))) })},
		{"a run less", "other runs", alter(func(g *opening.Grant) { g.Runs = g.Runs[1:] })},
		{"the description of another snapshot", "in another way", func(g *api.Granted) { g.Snapshots[0].Description = payroll.Encode() }},
		{"a request for something else", "another opening", func(g *api.Granted) {
			q := s.request
			q.Opening = safe.NewOpeningID(now)
			g.Request = s.team.People["bob"].States(t, s.team.Store, now, q)
		}},
		{"another act", "does not know its form", func(g *api.Granted) {
			g.Request = s.team.People["bob"].States(t, s.team.Store, now, access.Close{Opening: id, Reason: "x"})
		}},
		{"two spellings", "cannot be read", func(g *api.Granted) { g.Grant = append([]byte(" "), g.Grant...) }},
		{"a field twice", "cannot be read", func(g *api.Granted) {
			g.Grant = []byte(strings.Replace(string(g.Grant), `"operator":"bob"`, `"operator":"eve","operator":"bob"`, 1))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.tamper = tt.tamper
			p.Go(address)
			p.Press("Look at what would be released")
			p.Wait(`document.querySelector("#release-status").innerText !== ""`)
			if got := p.Text("#release-status"); !strings.Contains(got, tt.want) || Eval[bool](p, `!!document.querySelector("#release-button")`) {
				t.Errorf("the page says %q, want %q", got, tt.want)
			}
		})
	}
	s.tamper = nil

	first, other := s.snapshots[0].Run, payroll.Run
	good := s.envelopes[first]
	for _, tt := range []struct {
		name, want string
		envelope   []byte
	}{
		{"another run's envelope", "is not the one that the snapshot's description names", s.envelopes[other]},
		{"damaged", "is not the one that the snapshot's description names", append(good[:len(good)-1:len(good)-1], good[len(good)-1]^1)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.envelopes[first] = tt.envelope
			p.Go(address)
			p.Press("Look at what would be released")
			p.Click("#release-button")
			p.Wait(`document.querySelector("#release-status").innerText !== ""`)
			if got := p.Text("#release-status"); !strings.Contains(got, tt.want) || s.released != nil {
				t.Errorf("the page says %q, want %q", got, tt.want)
			}
		})
	}
}

// TestWhoIsSuspendedIsToldAtOnce, and not after a touch.
func TestWhoIsSuspendedIsToldAtOnce(t *testing.T) {
	s, p, _ := keykeeper(t)
	s.snapshot("erp-files", s.team.Outer.Recipient(), time.Now().Add(-time.Hour))
	id := safe.NewOpeningID(time.Now())
	s.ask(id)
	ada, _ := s.team.Roster.Person("ada")
	for _, tt := range []struct {
		what string
		key  signature.Key
		want string
	}{
		{"the person", signature.Key{}, "You are suspended: nothing that you sign counts. Another keykeeper and an operator lift that (strongroom people lift ada)"},
		{"the key", signature.FromPasskey(ada.PasskeysFor(access.Release)[0]), "Your passkey that signs is suspended: nothing that it signs counts. If it is lost, enrol anew"},
	} {
		s.change(func() { s.suspensions = access.Suspensions{{Entry: 9, Person: "ada", Key: tt.key}} })
		p.Go(fmt.Sprintf("%s/openings/%s?state=requested", s.url, id))
		p.Wait(`document.querySelector("#release-status").innerText !== ""`)
		if got := p.Text("#release-status"); !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s is suspended, and the page says %q, want %q", tt.what, got, tt.want)
		}
		if n := Eval[int](p, `document.querySelectorAll("#release button").length`); n != 0 {
			t.Errorf("%s is suspended, and there are %d things to press", tt.what, n)
		}
	}
}

// TestRefuseAndClose signs acts.
func TestRefuseAndClose(t *testing.T) {
	s, p, _ := keykeeper(t)
	s.snapshot("erp-files", s.team.Outer.Recipient(), time.Now().Add(-time.Hour))
	id := safe.NewOpeningID(time.Now())
	s.ask(id)
	p.Go(fmt.Sprintf("%s/openings/%s?state=requested", s.url, id))
	p.Press("Refuse it")
	if got := Eval[int](p, "spied.touches"); got != 0 {
		t.Errorf("%d touches without a reason", got)
	}
	p.Fill("#reason", "who is that?")
	p.Press("Refuse it")
	p.Wait(`document.querySelector("#ended")`)
	// Around it the page shows how things are now.
	p.Wait(`document.querySelector("#acts").innerText === "1 acts" && document.activeElement.id === "ended"`)
	p.Go(fmt.Sprintf("%s/openings/%s?state=open", s.url, id))
	p.Fill("#reason", "fertig – “danke” & <b>")
	p.Press("Close it")
	p.Wait(`document.querySelector("#ended")`)
	want := []access.Act{access.Refuse{Opening: id, Reason: "who is that?"}, access.Close{Opening: id, Reason: "fertig – “danke” & <b>"}}
	if diff := cmp.Diff(want, s.acts); diff != "" {
		t.Errorf("acts (-want +got)\n%s", diff)
	}
}
