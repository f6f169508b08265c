package daemon

import (
	"bytes"
	"encoding/json"
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
	"strongroom/internal/access/passkey"
	"strongroom/internal/access/passkey/passkeytest"
	"strongroom/internal/access/signature"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
)

// newPageHall is a founded hall whose safe browsers find.
func newPageHall(t *testing.T) *hall {
	t.Helper()
	h := newHall(t)
	h.cfg.Serve.Passkeys.Domain = accesstest.Domain
	h.found("ada:keykeeper bob:operator")
	return h
}

// A bidding is somebody with an invitation, on the page of the safe.
type bidding struct {
	accesstest.Somebody
	token     access.Token
	challenge []byte
	enrolment access.Enrolment
	made      []api.Registration
	page      string
}

// invited has somebody make passkeys on the page.
func (h *hall) invited(s accesstest.Somebody) *bidding {
	h.t.Helper()
	i, err := h.safe.Invite(h.t.Context(), s.Name, s.Roles)
	h.must(err)
	c, err := h.safe.BeginPasskeys(h.t.Context(), from, i.Token)
	h.must(err)
	if c.Domain != accesstest.Domain || c.Name != "test" || len(c.Challenge) != 32 {
		h.t.Errorf("the page is told %+v", c)
	}
	b := &bidding{Somebody: s, token: i.Token, challenge: c.Challenge, page: accesstest.Origin, enrolment: h.enrolment(s)}
	b.enrolment.Domain = c.Domain
	b.make()
	return b
}

// make has the authenticators hand over what they are.
func (b *bidding) make() {
	b.made = []api.Registration{registered(b.SignIn, access.SignIn, b.challenge)}
	if b.Release != nil {
		b.made = append(b.made, registered(b.Release, access.Release, b.challenge))
	}
}

func registered(a *passkeytest.Authenticator, use access.PasskeyUse, challenge []byte) api.Registration {
	r := a.Register(challenge)
	return api.Registration{Use: use, AttestationObject: r.AttestationObject, ClientData: r.ClientData}
}

func (h *hall) send(b *bidding) error {
	return h.safe.Enrol(h.t.Context(), from, b.page, api.Enrolling{Token: b.token, Enrolment: b.enrolment.Encode(), Passkeys: b.made})
}

// enrolOnPage has somebody with passkeys enrol.
func (h *hall) enrolOnPage(s accesstest.Somebody) {
	h.t.Helper()
	h.must(h.send(h.invited(s)))
	h.people[s.Name] = s
}

// challenge asks for a nonce to sign in with.
func (h *hall) challenge() opening.Nonce {
	h.t.Helper()
	c, err := h.safe.BeginSignIn(h.t.Context(), from)
	h.must(err)
	if c.Domain != accesstest.Domain || c.Store != h.safe.ID() {
		h.t.Errorf("passkeys are asked for the domain %q and store %s", c.Domain, c.Store)
	}
	return c.Nonce
}

// touches signs a nonce.
func (h *hall) touches(a *passkeytest.Authenticator, nonce opening.Nonce) api.SignIn {
	h.t.Helper()
	return h.touchesFor(h.safe.ID(), a, nonce)
}

// touchesFor signs a nonce for the safe of a store.
func (h *hall) touchesFor(store safe.StoreID, a *passkeytest.Authenticator, nonce opening.Nonce) api.SignIn {
	h.t.Helper()
	return api.SignIn{Nonce: nonce, Assertion: a.Get(h.t, passkey.Challenge(api.SignInNamespace, api.SignInMessage(store, nonce)))}
}

func (h *hall) signIn(m api.SignIn) (safe.PersonName, passkey.Key, error) {
	return h.safe.SignIn(h.t.Context(), from, accesstest.Origin, m)
}

func TestSignIn(t *testing.T) {
	h := newPageHall(t)
	dan := accesstest.NewPasskeyPerson(t, "dan", access.Auditor)
	h.enrolOnPage(dan)
	signsIn := func() {
		t.Helper()
		name, key, err := h.signIn(h.touches(dan.SignIn, h.challenge()))
		if err != nil || name != "dan" || key != dan.SignIn.Key(t) {
			t.Errorf("got %s, %s, %v", name, key, err)
		}
	}
	signsIn() // as somebody who waits to be in the roster
	next := h.roster().Next()
	next.Domain = accesstest.Domain
	next.People = append(next.People, dan.Person)
	h.changed(next, "ada", "bob")
	signsIn()
	v, err := h.safe.Voice(t.Context(), "dan")
	h.must(err)
	if v.Pending || !slices.Equal(v.Usable, []signature.Key{signature.FromPasskey(dan.SignIn.Key(t))}) {
		t.Errorf("the safe knows dan as %+v", v)
	}
	// With a second device before the roster has it, and no longer with one that
	// was suspended.
	again := accesstest.NewPasskeyPerson(t, "dan", access.Auditor)
	h.enrolOnPage(again)
	signsIn()
	if name, key, err := h.signIn(h.touches(again.SignIn, h.challenge())); err != nil || name != "dan" || key != again.SignIn.Key(t) {
		t.Errorf("with the new passkey: %s, %s, %v", name, key, err)
	}
	h.must(h.suspend("ada", "dan"))
	if v, err := h.safe.Voice(t.Context(), "dan"); err != nil || len(v.Usable) > 0 {
		t.Errorf("dan is suspended, and can use %v, %v", v.Usable, err)
	}
	// Once the roster names the domain, the configuration does not.
	h.cfg.Serve.Passkeys.Domain = "other.example"
	signsIn()
}

// TestSignInIsRefused changes one thing at a time. Whoever tried is told the
// same, and the ledger has the reason.
func TestSignInIsRefused(t *testing.T) {
	h := newPageHall(t)
	dan := accesstest.NewPasskeyPerson(t, "dan", access.Officer)
	h.enrolOnPage(dan)
	stranger := passkeytest.New(t, accesstest.Domain, accesstest.Origin)
	// lying returns dan's passkey where it, or the browser, says something else.
	lying := func(lie func(*passkeytest.Authenticator)) *passkeytest.Authenticator {
		a := *dan.SignIn
		lie(&a)
		return &a
	}
	used := h.touches(dan.SignIn, h.challenge())
	if _, _, err := h.signIn(used); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		m      func() api.SignIn
		reason string
	}{
		{"replayed", func() api.SignIn { return used }, "or it was used"},
		{"with a nonce that nobody has given out", func() api.SignIn { return h.touches(dan.SignIn, opening.NewNonce()) }, "none that was given out"},
		{"another nonce than was signed", func() api.SignIn {
			m := h.touches(dan.SignIn, h.challenge())
			m.Nonce = h.challenge()
			return m
		}, "signed something else"},
		{"too late", func() api.SignIn {
			m := h.touches(dan.SignIn, h.challenge())
			h.pass(signInLife + time.Second)
			return m
		}, "last 5 minutes"},
		{"signed for another purpose", func() api.SignIn {
			nonce := h.challenge()
			return api.SignIn{Nonce: nonce, Assertion: dan.SignIn.Get(t, passkey.Challenge(access.ActNamespace, api.SignInMessage(h.safe.ID(), nonce)))}
		}, "signed something else"},
		{"relayed by another safe", func() api.SignIn { return h.touchesFor(safe.NewStoreID(), dan.SignIn, h.challenge()) }, "signed something else"},
		{"for no safe in particular", func() api.SignIn {
			nonce := h.challenge()
			return api.SignIn{Nonce: nonce, Assertion: dan.SignIn.Get(t, passkey.Challenge(api.SignInNamespace, nonce[:]))}
		}, "signed something else"},
		{"user not verified", func() api.SignIn {
			return h.touches(lying(func(a *passkeytest.Authenticator) { a.Flags &^= passkeytest.UserVerified }), h.challenge())
		}, "did not ask who touched it"},
		{"user not there", func() api.SignIn {
			return h.touches(lying(func(a *passkeytest.Authenticator) { a.Flags &^= passkeytest.UserPresent }), h.challenge())
		}, "nobody touched"},
		{"for another domain", func() api.SignIn {
			return h.touches(lying(func(a *passkeytest.Authenticator) { a.Domain = "evil.example" }), h.challenge())
		}, "another domain"},
		{"on another page", func() api.SignIn {
			return h.touches(lying(func(a *passkeytest.Authenticator) { a.Origin = "https://evil.example" }), h.challenge())
		}, "another page"},
		{"on a neighbour's page", func() api.SignIn {
			return h.touches(lying(func(a *passkeytest.Authenticator) { a.Origin = "https://www.acme.example" }), h.challenge())
		}, "another page"},
		{"on another port", func() api.SignIn {
			return h.touches(lying(func(a *passkeytest.Authenticator) { a.Origin = accesstest.Origin + ":8443" }), h.challenge())
		}, "another page"},
		{"without TLS", func() api.SignIn {
			return h.touches(lying(func(a *passkeytest.Authenticator) { a.Origin = "http://safe.acme.example" }), h.challenge())
		}, "another page"},
		{"within another page", func() api.SignIn {
			return h.touches(lying(func(a *passkeytest.Authenticator) { a.CrossOrigin = true }), h.challenge())
		}, "inside another"},
		{"as a registration", func() api.SignIn {
			return h.touches(lying(func(a *passkeytest.Authenticator) { a.Type = "webauthn.create" }), h.challenge())
		}, "webauthn.create"},
		{"nobody's passkey", func() api.SignIn { return h.touches(stranger, h.challenge()) }, "nobody has that passkey"},
		{"in the name of another's", func() api.SignIn {
			m := h.touches(stranger, h.challenge())
			m.Assertion.Credential = dan.SignIn.Key(t).Credential()
			return m
		}, "is not one of this assertion"},
		{"altered", func() api.SignIn {
			m := h.touches(dan.SignIn, h.challenge())
			m.Assertion.AuthenticatorData = append(slices.Clone(m.Assertion.AuthenticatorData[:36]), 9)
			return m
		}, "is not one of this assertion"},
		{"client data that is none", func() api.SignIn {
			m := h.touches(dan.SignIn, h.challenge())
			m.Assertion.ClientData = []byte("[]")
			return m
		}, "another page"},
		{"nothing at all", func() api.SignIn { return api.SignIn{Nonce: h.challenge()} }, "another page"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h.pass(2 * time.Hour) // or the ledger would count them together
			name, key, err := h.signIn(tt.m())
			d, denied := err.(*api.DeniedError)
			if !denied || d.Reason != errNotKnown.Error() || name != "" || !key.IsZero() {
				t.Fatalf("got %s, %s, %v", name, key, err)
			}
			if got := last[ledger.AccessRefused](h); got.What != "sign-in" || !strings.Contains(string(got.Reason), tt.reason) || got.From != from {
				t.Errorf("the ledger says %+v, want %q", got, tt.reason)
			}
		})
	}
	h.pass(2 * time.Hour)
	if _, _, err := h.safe.SignIn(t.Context(), from, "", h.touches(dan.SignIn, h.challenge())); err == nil {
		t.Error("somebody who comes from no page is signed in")
	}
	if _, _, err := h.safe.SignIn(t.Context(), from, "https://other.acme.example", h.touches(dan.SignIn, h.challenge())); err == nil {
		t.Error("what was signed on one page is taken from another")
	}
	h.pass(2 * time.Hour)
	release := *dan.Release
	refused := len(all[ledger.AccessRefused](h))
	_, _, err := h.signIn(h.touches(&release, h.challenge()))
	var wrong *api.InvalidError
	if !errors.As(err, &wrong) || !strings.Contains(wrong.Reason, "the passkey that is for releases") {
		t.Errorf("who touches the other passkey is told %v", err)
	}
	if n := len(all[ledger.AccessRefused](h)); n != refused {
		t.Errorf("a slip of the finger is told as %d refused attempts", n-refused)
	}
}

// TestClaimedPasskey: who was invited can say that they have somebody's passkey,
// and gains nothing by it.
func TestClaimedPasskey(t *testing.T) {
	h := newPageHall(t)
	dan := accesstest.NewPasskeyPerson(t, "dan", access.Auditor)
	mallory := accesstest.NewPasskeyPerson(t, "mallory", access.Auditor)
	b := h.invited(mallory)
	own, claimed := mallory.SignIn.Key(t).Credential(), dan.SignIn.Key(t).Credential()
	b.made[0].AttestationObject = bytes.ReplaceAll(b.made[0].AttestationObject, own, claimed)
	key, err := readRegistration(b.made[0], accesstest.Domain, accesstest.Origin, passkeyChallenge(b.challenge))
	h.must(err)
	b.enrolment.Person.Passkeys = []access.Passkey{key}
	h.must(h.send(b))
	h.enrolOnPage(dan)

	if name, _, err := h.signIn(h.touches(dan.SignIn, h.challenge())); err != nil || name != "dan" {
		t.Errorf("dan signs in as %q, %v", name, err)
	}
	m := h.touches(mallory.SignIn, h.challenge())
	m.Assertion.Credential = claimed
	if name, _, err := h.signIn(m); err != nil || name != "mallory" {
		t.Errorf("mallory signs in as %q, %v", name, err)
	}
}

// TestCopiedPasskey: nor can they copy all of somebody's passkey, who would then
// sign in as them.
func TestCopiedPasskey(t *testing.T) {
	h := newPageHall(t)
	dan := accesstest.NewPasskeyPerson(t, "dan", access.Auditor)
	h.enrolOnPage(dan)
	aron := h.invited(accesstest.NewPasskeyPerson(t, "aron", access.Auditor))
	aron.made = []api.Registration{registered(dan.SignIn, access.SignIn, aron.challenge)}
	aron.enrolment.Person.Passkeys = dan.Passkeys
	h.denied(h.send(aron), "has a passkey of dan")
	if name, _, err := h.signIn(h.touches(dan.SignIn, h.challenge())); err != nil || name != "dan" {
		t.Errorf("dan signs in as %q, %v", name, err)
	}
	again := h.invited(dan)
	h.must(h.send(again))
}

// TestPasskeysOfAnEnrolment: an enrolment has the passkeys that were just made
// with its invitation, and no others.
func TestPasskeysOfAnEnrolment(t *testing.T) {
	const told = "passkey"
	type change = func(*hall, *bidding)
	lie := func(f func(*passkeytest.Authenticator)) change {
		return func(_ *hall, b *bidding) { f(b.SignIn); b.make() }
	}
	tests := []struct {
		name   string
		change change
		reason string // "" if it is taken
	}{
		{"as it should be", func(*hall, *bidding) {}, ""},
		{"after a printer was fetched", func(h *hall, _ *bidding) { h.pass(20 * time.Minute) }, ""},
		{"synced", func(_ *hall, b *bidding) {
			b.SignIn.Flags |= passkeytest.BackupEligible
			b.make()
			b.enrolment.Person.Passkeys[0].Synced = true
		}, ""},
		{"synced, and does not say so", lie(func(a *passkeytest.Authenticator) { a.Flags |= passkeytest.BackupEligible }), "is not the one"},
		{"not made on a page", func(_ *hall, b *bidding) { b.made = nil }, "it has 2 passkeys, and 0"},
		{"one of two", func(_ *hall, b *bidding) { b.made = b.made[:1] }, "it has 2 passkeys, and 1"},
		{"none in the enrolment", func(h *hall, b *bidding) {
			b.enrolment = h.enrolment(accesstest.NewPerson(h.t, b.Name, access.Officer))
		}, "it has 0 passkeys, and 2"},
		{"in another order", func(_ *hall, b *bidding) { slices.Reverse(b.made) }, "passkey 1 is not the one"},
		{"uses exchanged", func(_ *hall, b *bidding) {
			b.made[0].Use, b.made[1].Use = b.made[1].Use, b.made[0].Use
		}, "passkey 1 is not the one"},
		{"another passkey than in the enrolment", func(h *hall, b *bidding) {
			b.made[1] = registered(passkeytest.New(h.t, accesstest.Domain, accesstest.Origin), access.Release, b.challenge)
		}, "passkey 2 is not the one"},
		{"another challenge", func(_ *hall, b *bidding) { b.challenge = make([]byte, 32); b.make() }, "another challenge"},
		{"begun anew", func(h *hall, b *bidding) {
			_, err := h.safe.BeginPasskeys(h.t.Context(), from, b.token)
			h.must(err)
		}, "another challenge"},
		{"user not verified", lie(func(a *passkeytest.Authenticator) { a.Flags &^= passkeytest.UserVerified }), "did not ask who touched it"},
		{"for another domain", lie(func(a *passkeytest.Authenticator) { a.Domain = "evil.example" }), "another domain"},
		{"for another domain, and the enrolment says so", func(_ *hall, b *bidding) { b.enrolment.Domain = "evil.example" }, `are for "evil.example"`},
		{"on another page", lie(func(a *passkeytest.Authenticator) { a.Origin = "https://evil.example" }), "evil.example"},
		{"within another page", lie(func(a *passkeytest.Authenticator) { a.CrossOrigin = true }), "not on the safe's own"},
		{"as an assertion", lie(func(a *passkeytest.Authenticator) { a.Type = "webauthn.get" }), "webauthn.get"},
		{"sent from no page", func(_ *hall, b *bidding) { b.page = "" }, "not on the safe's own"},
		{"no CBOR", func(_ *hall, b *bidding) { b.made[0].AttestationObject = []byte("x") }, "cannot be read"},
		{"no JSON", func(_ *hall, b *bidding) { b.made[0].ClientData = []byte("x") }, "cannot be read"},
		{"cut short", func(_ *hall, b *bidding) {
			b.made[0].AttestationObject = b.made[0].AttestationObject[:len(b.made[0].AttestationObject)-1]
		}, "cannot be read"},
	}
	h := newPageHall(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h.pass(2 * time.Hour)
			b := h.invited(accesstest.NewPasskeyPerson(t, "cyd", access.Officer))
			tt.change(h, b)
			err := h.send(b)
			if tt.reason != "" {
				h.denied(err, tt.reason)
				h.denied(err, told)
				return
			}
			h.must(err)
			h.denied(h.send(b), "this invitation is not good")
		})
	}
}

// TestEnrolWithKeyring: what a passkey has wrapped at enrolment is kept with it,
// or nothing is, and is there once the person is in the roster.
func TestEnrolWithKeyring(t *testing.T) {
	h := newPageHall(t)
	petra := accesstest.NewPasskeyPerson(t, "petra", access.Keykeeper)
	b := h.invited(petra)
	send := func(keyring []byte) error {
		return h.safe.Enrol(t.Context(), from, b.page, api.Enrolling{Token: b.token, Enrolment: b.enrolment.Encode(), Passkeys: b.made, Keyring: keyring})
	}
	if err := send([]byte("{}")); err == nil {
		t.Error("a keyring that is none is taken")
	}
	if _, err := h.safe.Voice(t.Context(), "petra"); !errors.Is(err, api.ErrNotFound) {
		t.Errorf("who was refused is enrolled: %v", err)
	}
	kept := ring(h, petra, 1).Encode()
	h.must(send(kept))
	next, err := compose.Add(h.roster(), []access.Enrolment{b.enrolment}, h.keyring(), nil, h.now())
	h.must(err)
	h.changed(next, "ada", "bob")
	if got, err := h.safe.Keyring(t.Context(), "petra"); err != nil || !bytes.Equal(got, kept) {
		t.Errorf("petra's keyring is %.100s, %v", got, err)
	}
}

// TestBeginPasskeys: without an invitation there is no ceremony, and looking at
// one does not use it up.
func TestBeginPasskeys(t *testing.T) {
	h := newPageHall(t)
	_, err := h.safe.BeginPasskeys(t.Context(), from, access.NewToken())
	h.denied(err, "this invitation is not good")
	b := h.invited(accesstest.NewPasskeyPerson(t, "dan", access.Auditor))
	first := b.made
	c, err := h.safe.BeginPasskeys(t.Context(), from, b.token)
	h.must(err)
	b.challenge = c.Challenge
	b.make()
	b.made, first = first, b.made
	h.denied(h.send(b), "another challenge")
	b.made = first // an attempt that is refused does not make what was made on the page void
	h.must(h.send(b))
	_, err = h.safe.BeginPasskeys(t.Context(), from, b.token)
	h.denied(err, "this invitation is not good")
}

// Who founds a safe as a keykeeper is told of the outer key that they bring.
func TestFoundingOnAPage(t *testing.T) {
	h := newHall(t)
	h.cfg.Serve.Passkeys.Domain = accesstest.Domain
	for name, role := range map[safe.PersonName]access.Role{"ada": access.Keykeeper, "cyd": access.Officer} {
		i, err := h.safe.Invite(t.Context(), name, []access.Role{role})
		h.must(err)
		c, err := h.safe.BeginPasskeys(t.Context(), from, i.Token)
		h.must(err)
		if got := c.Founding; (got != nil) != (role == access.Keykeeper) || got != nil && *got != (api.Founding{Outer: h.outer[0].Recipient(), Period: 1}) {
			t.Errorf("%s is told of %+v", name, got)
		}
	}
	h = newPageHall(t)
	i, err := h.safe.Invite(t.Context(), "eva", []access.Role{access.Keykeeper})
	h.must(err)
	if c, err := h.safe.BeginPasskeys(t.Context(), from, i.Token); err != nil || c.Founding != nil {
		t.Errorf("once it is founded: %+v, %v", c.Founding, err)
	}
}

// A safe that people reach by addresses alone has no passkeys.
func TestNoDomain(t *testing.T) {
	h := newHall(t)
	if _, err := h.safe.BeginSignIn(t.Context(), from); err == nil || !strings.Contains(err.Error(), "addresses only") {
		t.Errorf("begin to sign in: %v", err)
	}
	if _, _, err := h.signIn(api.SignIn{}); err == nil || !strings.Contains(err.Error(), "addresses only") {
		t.Errorf("sign in: %v", err)
	}
	i, err := h.safe.Invite(t.Context(), "dan", []access.Role{access.Auditor})
	h.must(err)
	if _, err := h.safe.BeginPasskeys(t.Context(), from, i.Token); err == nil || !strings.Contains(err.Error(), "addresses only") {
		t.Errorf("begin to make passkeys: %v", err)
	}
}

// Whoever asks for challenges without end has the safe remember a few.
func TestManyChallenges(t *testing.T) {
	h := newPageHall(t)
	first := h.challenge()
	for range mostKept {
		h.pass(time.Millisecond)
		h.challenge()
	}
	if got := len(h.safe.callers.signIns.all); got > mostKept {
		t.Errorf("%d challenges are remembered", got)
	}
	if _, ok := h.safe.callers.signIns.take(h.now(), first); ok {
		t.Error("the oldest is remembered")
	}
}

func FuzzRegistration(f *testing.F) {
	a := passkeytest.New(f, accesstest.Domain, accesstest.Origin)
	challenge := passkeyChallenge{1}
	for _, kind := range []passkeytest.Kind{passkeytest.ES256, passkeytest.EdDSA, passkeytest.RS256} {
		r := passkeytest.NewKind(f, kind, accesstest.Domain, accesstest.Origin).Register(challenge[:])
		f.Add(r.AttestationObject, r.ClientData)
	}
	right := a.Register(challenge[:])
	f.Add(right.AttestationObject, []byte("{}"))
	f.Add([]byte{0xa1, 0x68, 'a', 'u', 't', 'h', 'D', 'a', 't', 'a', 0x58, 0x20}, right.ClientData)
	f.Fuzz(func(t *testing.T, object, clientData []byte) {
		r := api.Registration{Use: access.SignIn, AttestationObject: object, ClientData: clientData}
		got, err := readRegistration(r, accesstest.Domain, accesstest.Origin, challenge)
		if err != nil {
			return
		}
		// What was read is a passkey that a roster can hold.
		p := access.Person{Name: "dan", Roles: []access.Role{access.Auditor}, Passkeys: []access.Passkey{got}}
		if err := p.Check(); err != nil {
			t.Error(err)
		}
		b, err := json.Marshal(got)
		var again access.Passkey
		if err != nil || json.Unmarshal(b, &again) != nil || again != got {
			t.Errorf("%v is read again as %v, %v", got, again, err)
		}
	})
}

// An operator's desk is no place for a keykeeper, by whatever way they come.
func TestKeykeeperSignsInAtOperatorsDesk(t *testing.T) {
	h := newPageHall(t)
	eva := accesstest.NewPasskeyPerson(t, "eva", access.Keykeeper)
	h.enrolOnPage(eva)
	next := h.roster().Next()
	next.Domain = accesstest.Domain
	next.People = append(next.People, eva.Person)
	h.changed(next, "ada", "bob")
	name, _, err := h.signIn(h.touches(eva.SignIn, h.challenge()))
	h.must(err)
	h.must(h.safe.Admit(t.Context(), from, name))
	h.denied(h.safe.Admit(t.Context(), netip.MustParseAddr("127.0.0.2"), name), "address of the operator bob")
}

// Nor for who is to be one: from the enrolment on, also of somebody who was
// something else until now.
func TestPendingKeykeeperAtOperatorsDesk(t *testing.T) {
	h := newPageHall(t)
	operators := netip.MustParseAddr("127.0.0.2")
	dan := accesstest.NewPasskeyPerson(t, "dan", access.Auditor)
	h.enrolOnPage(dan)
	h.must(h.safe.Admit(t.Context(), operators, "dan"))
	h.enrolOnPage(accesstest.NewPasskeyPerson(t, "eva", access.Keykeeper))
	h.must(h.safe.Admit(t.Context(), from, "eva"))
	h.denied(h.safe.Admit(t.Context(), operators, "eva"), "eva has enrolled as a keykeeper and calls from an address of the operator bob")

	next := h.roster().Next()
	next.Domain = accesstest.Domain
	next.People = append(next.People, dan.Person)
	h.changed(next, "ada", "bob")
	h.must(h.safe.Admit(t.Context(), operators, "dan"))
	h.enrolOnPage(accesstest.NewPasskeyPerson(t, "dan", access.Keykeeper))
	h.denied(h.safe.Admit(t.Context(), operators, "dan"), "dan has enrolled as a keykeeper")

	// Who has only said that an address is theirs keeps nobody out of it.
	olaf := accesstest.NewPerson(t, "olaf", access.Operator)
	olaf.Addresses = []netip.Addr{from}
	h.enrol(olaf)
	h.must(h.safe.Admit(t.Context(), from, "ada"))
	h.must(h.safe.Admit(t.Context(), from, "eva"))
}
