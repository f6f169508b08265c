package browsertest

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"strongroom/internal/access"
	"strongroom/internal/access/accesstest"
	"strongroom/internal/access/api"
	"strongroom/internal/access/keyring"
	"strongroom/internal/access/opening"
	"strongroom/internal/access/passkey"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/spelling"
	"strongroom/internal/store/seal"
	"strongroom/internal/web/wiretest"
)

// The parts of the safe's pages that the scripts work on, with the ids that
// package page gives them.
const (
	signInPage = `<h1>Sign in</h1><button type="button" id="sign-in-button">Sign in</button><p id="sign-in-status" role="status"></p>`
	enrolPage  = `<section id="enrol"><p id="enrol-status" role="status"></p><ol><li id="enrol-check"></li><li id="enrol-sign-in"></li>` +
		`<li id="enrol-release"></li><li id="enrol-paper"></li><li id="enrol-words"></li></ol></section>`
	releasePage = `<p id="acts">%d acts</p><section id="release" data-opening="%s" data-state="%s"><h2>Release</h2><div id="release-panel"><p>without a script</p></div></section>`
)

// An enrolling is what the page sends to enrol.
type enrolling struct {
	api.Enrolling
	Passkeys []struct {
		Use         access.PasskeyUse `json:"use"`
		Attestation []byte            `json:"attestation_object"`
		ClientData  []byte            `json:"client_data"`
	} `json:"passkeys"`
	Keyring []byte `json:"keyring,omitempty"`
}

// A fakeSafe answers the pages as a safe does, and checks what they send with
// the packages that a safe checks with. It is in memory, and has one opening.
type fakeSafe struct {
	t      testing.TB
	url    string
	domain string // of its passkeys
	team   *accesstest.Team
	token  access.Token

	founding  map[string]any // what a founder is told, nil for nobody
	makes     bool           // the founder makes the outer key, and brings no file
	elsewhere string         // origin of a release page on another host

	mu        sync.Mutex // guards the fields below
	begun     [32]byte   // nonce of who signs in
	challenge []byte     // of registrations
	person    safe.PersonName
	enrolment access.Enrolment
	sentRaw   []byte
	keyring   []byte
	requested ledger.Signed
	request   access.Request
	snapshots []safe.Snapshot
	envelopes map[safe.RunID][]byte
	grant     opening.Grant
	nonce     opening.Nonce
	released  *api.Released
	acts      []access.Act
	tamper    func(*api.Granted)
	lie       func(*access.Roster) // about the roster in force
	session   func(*api.Session)   // a lie about who is there
	says      struct {             // which safe it is
		store  safe.StoreID
		domain string
	}

	proposals   []access.Proposal
	enrolments  []access.Enrolment // that wait
	suspensions access.Suspensions
	entries     int64        // of a ledger
	asked       api.KeyCheck // with askedNonce
	askedNonce  opening.Nonce
	proven      []api.KeyCheck
	drawn       safe.Digest // of a proposal, as the page shows it; zero for the true one
}

func newSafe(t testing.TB) *fakeSafe {
	t.Helper()
	s, mux := makeSafe(t, "localhost")
	s.url = serve(t, mux)
	return s
}

// newSafeBelow is a safe with a name below a domain, so that its release page
// can be on another host.
func newSafeBelow(t testing.TB, domain string) *fakeSafe {
	t.Helper()
	s, mux := makeSafe(t, domain)
	withScripts(mux)
	s.url = serveAt(t, "safe."+domain, mux)
	return s
}

// change changes what the safe answers: a page that was left may still ask it.
func (s *fakeSafe) change(how func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	how()
}

func makeSafe(t testing.TB, domain string) (*fakeSafe, *http.ServeMux) {
	t.Helper()
	s := &fakeSafe{t: t, domain: domain, team: accesstest.NewTeam(t, "bob:operator kim:keykeeper"), token: access.NewToken(), envelopes: map[safe.RunID][]byte{}}
	s.team.Roster.Domain = domain
	s.says.store, s.says.domain = s.team.Store, domain
	s.challenge = slices.Repeat([]byte{9}, 32)
	mux := http.NewServeMux()
	handle := func(pattern string, serve func(*http.Request, []byte) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if !s.admits(w, r) {
				return
			}
			body, err := io.ReadAll(r.Body)
			if err == nil && len(body) > 0 && r.Header.Get("Content-Type") != "application/json" {
				err = errors.New("the body is not JSON")
			}
			var answer any
			if err == nil {
				s.mu.Lock()
				answer, err = serve(r, body)
				s.mu.Unlock()
			}
			if err != nil {
				w.WriteHeader(http.StatusBadRequest)
				answer = api.Problem{Error: err.Error(), Remedy: "Do something about it."}
			}
			json.NewEncoder(w).Encode(answer)
		})
	}
	handle("POST /v1/sign-in/begin", s.beginSignIn)
	handle("POST /v1/sign-in", s.signIn)
	handle("POST /v1/passkeys/begin", s.beginPasskeys)
	handle("POST /v1/enrol", s.enrol)
	handle("GET /v1/session", func(*http.Request, []byte) (any, error) {
		answer := api.Session{Person: s.person, Safe: "acme", Store: s.says.store, Domain: s.says.domain}
		if s.session != nil {
			s.session(&answer)
		}
		return answer, nil
	})
	s.addPeople(mux, handle)
	s.addMap(mux, handle)
	handle("GET /v1/keyring", func(*http.Request, []byte) (any, error) {
		if s.keyring == nil {
			return map[string]any{}, nil
		}
		return map[string]any{"keyring": s.keyring}, nil
	})
	handle("POST /v1/keyring", func(_ *http.Request, body []byte) (any, error) {
		var m struct{ Keyring []byte }
		if err := spelling.Decode(body, &m); err != nil {
			return nil, err
		}
		p, _ := s.team.Roster.Person(s.person)
		s.keyring = m.Keyring
		return map[string]any{}, s.checkKeyring(m.Keyring, p)
	})
	handle("GET /v1/openings", func(*http.Request, []byte) (any, error) {
		return []api.Opening{{ID: s.request.Opening, State: opening.Requested, Request: s.requested}, {ID: safe.NewOpeningID(made), State: opening.Closed, Request: s.requested}}, nil
	})
	handle("GET /v1/openings/{id}", func(*http.Request, []byte) (any, error) {
		return api.Opening{ID: s.request.Opening, State: opening.Requested, Request: s.requested}, nil
	})
	handle("POST /v1/openings/{id}/grant", s.makeGrant)
	handle("GET /v1/openings/{id}/envelopes", s.handOut)
	handle("POST /v1/openings/{id}/release", s.release)
	for _, act := range []string{"refuse", "close"} {
		handle("POST /v1/openings/{id}/"+act, s.act)
	}
	mux.HandleFunc("OPTIONS /v1/", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Origin") == s.elsewhere {
			w.Header().Set("Access-Control-Allow-Origin", s.elsewhere)
			w.Header().Set("Access-Control-Allow-Headers", "authorization, content-type")
		}
	})
	page := func(script, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.Header().Set("Content-Security-Policy", policy)
			fmt.Fprintf(w, `<!DOCTYPE html><html lang="en"><title>test</title><script type="module" src="/assets/%s"></script><main id="main">%s</main>`, script, body)
		}
	}
	mux.HandleFunc("GET /sign-in", page("signin.js", signInPage))
	mux.HandleFunc("GET /enrol", page("enrol.js", enrolPage))
	mux.HandleFunc("GET /openings/{id}", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		acts := len(s.acts)
		s.mu.Unlock()
		page("release.js", fmt.Sprintf(releasePage, acts, r.PathValue("id"), r.URL.Query().Get("state")))(w, r)
	})
	return s, mux
}

// admits has whoever comes from the other host show that they are signed in,
// and everybody else come from a page of the safe.
func (s *fakeSafe) admits(w http.ResponseWriter, r *http.Request) bool {
	origin, path := r.Header.Get("Origin"), r.URL.Path
	if origin == "" || origin == s.url {
		return true
	}
	if origin != s.elsewhere {
		w.WriteHeader(http.StatusForbidden)
		return false
	}
	w.Header().Set("Access-Control-Allow-Origin", origin)
	if strings.HasPrefix(path, "/v1/sign-in") || r.Header.Get("Authorization") == "Bearer "+theSession {
		return true
	}
	w.WriteHeader(http.StatusUnauthorized)
	return false
}

// theSession is that of a page on the other host.
const theSession = "a-session"

// invitation is the link, as people invite writes it.
func (s *fakeSafe) invitation(role access.Role) string {
	i := access.Invitation{URL: s.url, Safe: "acme", Store: s.team.Store, Person: "ada", Roles: []access.Role{role}, Token: s.token}
	return i.String()
}

func (s *fakeSafe) beginSignIn(_ *http.Request, body []byte) (any, error) {
	if len(body) > 0 {
		return nil, errors.New("there is a body")
	}
	s.begun = opening.NewNonce()
	return api.SignInChallenge{Nonce: s.begun, Store: s.says.store, Domain: s.says.domain}, nil
}

func (s *fakeSafe) signIn(r *http.Request, body []byte) (any, error) {
	var m struct {
		Nonce     opening.Nonce     `json:"nonce"`
		Assertion passkey.Assertion `json:"assertion"`
	}
	if err := spelling.Decode(body, &m); err != nil {
		return nil, err
	}
	if m.Nonce != s.begun {
		return nil, errors.New("another nonce")
	}
	for _, p := range s.team.Roster.People {
		for _, k := range p.Passkeys {
			if m.Assertion.Verify(k.Key, s.domain, api.SignInNamespace, api.SignInMessage(s.team.Store, m.Nonce)) == nil {
				s.person = p.Name
				answer := map[string]any{"person": p.Name, "pending": false}
				if r.Header.Get("Origin") == s.elsewhere {
					answer["session"] = theSession
				}
				return answer, nil
			}
		}
	}
	return nil, errors.New("the safe does not know this passkey")
}

func (s *fakeSafe) beginPasskeys(_ *http.Request, body []byte) (any, error) {
	var m struct{ Token access.Token }
	if err := spelling.Decode(body, &m); err != nil {
		return nil, err
	}
	if m.Token != s.token {
		return nil, errors.New("the invitation is used")
	}
	answer := map[string]any{"challenge": s.challenge, "domain": s.domain, "name": "acme"}
	if s.founding != nil {
		answer["founding"] = s.founding
	}
	return answer, nil
}

func (s *fakeSafe) enrol(_ *http.Request, body []byte) (any, error) {
	var m enrolling
	if err := spelling.Decode(body, &m); err != nil {
		return nil, err
	}
	e, err := access.ParseEnrolment(m.Enrolment)
	if err != nil {
		return nil, err
	}
	if len(m.Passkeys) != len(e.Person.Passkeys) {
		return nil, errors.New("there are not as many registrations as passkeys")
	}
	for i, p := range m.Passkeys {
		k := e.Person.Passkeys[i]
		want := base64.RawURLEncoding.EncodeToString(s.challenge)
		if p.Use != k.Use || !strings.Contains(string(p.Attestation), string(k.Key.Credential())) || !strings.Contains(string(p.ClientData), want) {
			return nil, fmt.Errorf("passkey %d was not registered", i)
		}
	}
	if m.Keyring != nil {
		if err := s.checkKeyring(m.Keyring, e.Person); err != nil {
			return nil, err
		}
	}
	s.enrolment, s.keyring, s.sentRaw, s.token = e, m.Keyring, m.Enrolment, access.Token{}
	return nil, nil
}

func (s *fakeSafe) checkKeyring(b []byte, p access.Person) error {
	k, err := keyring.Parse(b)
	if err != nil {
		return err
	}
	return k.Belongs(s.team.Store, p, len(s.team.Roster.Periods))
}

// join takes who has enrolled into the roster, with copies of the outer key.
func (s *fakeSafe) join() {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.team.Join(s.t, accesstest.Somebody{Person: s.enrolment.Person})
	s.team.Roster.Domain = s.enrolment.Domain
	s.team.Roster = accesstest.Reread(s.t, s.team.Roster)
}

// snapshot is kept, with runs of these times, whose keys are sealed to an outer
// key: the last run is the snapshot's own.
func (s *fakeSafe) snapshot(source safe.SourceName, outer seal.OuterRecipient, times ...time.Time) {
	s.t.Helper()
	runs := make(map[safe.RunID]safe.RunPacks)
	var run safe.RunID
	for _, at := range times {
		run = safe.NewRunID(at)
		envelope, _, err := seal.NewEnvelope(seal.Label{Store: s.team.Store, Run: run, Source: source, Time: at, Roster: 2}, outer, s.team.Inner.Recipient())
		if err != nil {
			s.t.Fatal(err)
		}
		s.envelopes[run] = envelope
		runs[run] = safe.RunPacks{Envelope: safe.DigestOf(envelope), Packs: []safe.Digest{}}
	}
	at := times[len(times)-1]
	if len(s.snapshots) > 0 && s.snapshots[len(s.snapshots)-1].Source == source {
		last := &s.snapshots[len(s.snapshots)-1] // goes on from it
		for old, packs := range last.Runs {
			runs[old] = packs
		}
		s.snapshots = s.snapshots[:len(s.snapshots)-1]
	}
	s.snapshots = append(s.snapshots, safe.Snapshot{Version: 1, Store: s.team.Store, Run: run, Source: source, Kind: "sftp", Started: at, Finished: at,
		KeepUntil: at.AddDate(1, 0, 0), Tier: safe.Daily, Root: safe.Digest{7}, Runs: runs})
}

// ask has bob ask for all snapshots, with a reason that could do something in a
// page.
func (s *fakeSafe) ask(id safe.OpeningID) {
	s.t.Helper()
	s.askFor(id, "restore drill <b>bold</b>")
}

func (s *fakeSafe) askFor(id safe.OpeningID, reason ledger.Text) {
	s.t.Helper()
	now := time.Now().UTC().Truncate(time.Second)
	slices.SortFunc(s.snapshots, func(a, b safe.Snapshot) int { return a.Run.Compare(b.Run) })
	q := access.Request{Opening: id, NotAfter: now.Add(time.Hour), Hours: 4, Reason: reason, Address: netip.MustParseAddr("127.0.0.2")}
	for _, d := range s.snapshots {
		q.Snapshots = append(q.Snapshots, d.Run)
	}
	s.request, s.requested = q, s.team.People["bob"].States(s.t, s.team.Store, now, q)
}

func (s *fakeSafe) makeGrant(r *http.Request, body []byte) (any, error) {
	if len(body) > 0 {
		return nil, errors.New("there is a body")
	}
	by, _, err := s.team.Roster.Verify(s.requested)
	if err != nil {
		return nil, err
	}
	circumstances := opening.Circumstances{Roster: s.team.Roster, Now: time.Now(), Ledger: ledger.Head{Size: 12, Root: tlog.Hash{5}}, Descriptions: s.snapshots}
	if s.grant, err = opening.Make(by, s.team.People["bob"].SSH[0], circumstances); err != nil {
		return nil, err
	}
	s.nonce = opening.NewNonce()
	granted := api.Granted{Nonce: s.nonce, Grant: s.grant.Encode(), Request: s.requested}
	for _, d := range s.snapshots {
		granted.Snapshots = append(granted.Snapshots, api.Proven{Description: d.Encode()})
	}
	if s.tamper != nil {
		s.tamper(&granted)
	}
	return granted, nil
}

// handOut hands out three envelopes at a time.
func (s *fakeSafe) handOut(r *http.Request, _ []byte) (any, error) {
	after := r.URL.Query().Get("after")
	var page []api.Envelope
	for _, run := range s.grant.Runs {
		if run.String() > after && len(page) < 3 {
			page = append(page, api.Envelope{Run: run, Envelope: s.envelopes[run]})
		}
	}
	return page, nil
}

func (s *fakeSafe) release(_ *http.Request, body []byte) (any, error) {
	var m api.Released
	if err := spelling.Decode(body, &m); err != nil {
		return nil, err
	}
	key, err := m.Release.Verify(s.team.Roster)
	if err != nil {
		return nil, err
	}
	if _, ok := key.Passkey(); !ok || m.Release.Nonce != s.nonce || m.Release.Grant != string(s.grant.Encode()) || m.Release.Request != s.requested {
		return nil, errors.New("it is the release of something else")
	}
	if len(m.Inner) != len(s.grant.Runs) {
		return nil, fmt.Errorf("%d inner files for %d runs", len(m.Inner), len(s.grant.Runs))
	}
	for i, inner := range m.Inner {
		if inner.Run != s.grant.Runs[i] {
			return nil, errors.New("the inner files are not in order")
		}
		if _, err := seal.OpenInner(s.team.Inner, inner.File, seal.Want{Store: s.team.Store, Run: inner.Run}); err != nil {
			return nil, err
		}
	}
	s.released = &m
	return nil, nil
}

func (s *fakeSafe) act(r *http.Request, body []byte) (any, error) {
	var m api.Act
	if err := spelling.Decode(body, &m); err != nil {
		return nil, err
	}
	statement, _, err := s.team.Roster.Verify(m.Signed)
	if err != nil {
		return nil, err
	}
	if statement.Person != s.person || r.PathValue("id") != s.request.Opening.String() {
		return nil, errors.New("another person's, or of another opening")
	}
	s.acts = append(s.acts, statement.Act)
	return nil, nil
}

// keepsToItself fails the test if the page has sent one of the secrets, in any
// request and any form.
func (p *Page) keepsToItself(secrets map[string][]byte) {
	p.t.Helper()
	sent := p.Sent()
	posts := 0
	for _, r := range sent {
		if len(r.Body) > 0 {
			posts++
		}
		for name, secret := range secrets {
			if forms := append(wiretest.Find(r.Body, secret), wiretest.Find([]byte(r.URL), secret)...); len(forms) > 0 {
				p.t.Errorf("%s %s has %s: %q", r.Method, r.URL, name, forms)
			}
		}
	}
	if posts == 0 || len(secrets) == 0 {
		p.t.Errorf("%d of %d requests had a body, and there are %d secrets: nothing was tested", posts, len(sent), len(secrets))
	}
}
