package web

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"strongroom/internal/access"
	"strongroom/internal/access/accesstest"
	"strongroom/internal/access/api"
	"strongroom/internal/access/opening"
	"strongroom/internal/access/passkey"
	"strongroom/internal/access/signature"
	"strongroom/internal/estate"
	"strongroom/internal/ledger"
	"strongroom/internal/report"
	"strongroom/internal/safe"
	"strongroom/internal/web/certificate"
	"strongroom/internal/web/signed"
)

// The addresses of the tests. Operators come from operatorAddress.
var (
	keeperAddress   = netip.MustParseAddr("127.0.0.3")
	operatorAddress = netip.MustParseAddr("127.0.0.2")
)

// theOpening is the one that the fakeDesk has.
var theOpening = safe.NewOpeningID(accesstest.Start)

// theToken is the one invitation of the fakeDesk.
var theToken = access.NewToken()

// A fakeDesk lets everything through that reaches it, and keeps a list.
type fakeDesk struct {
	team *accesstest.Team

	mu        sync.Mutex // guards what follows
	roster    access.Roster
	pending   map[safe.PersonName]bool
	suspended map[safe.PersonName]bool
	halted    map[signature.Key]bool              // keys that are suspended
	waiting   map[safe.PersonName][]signature.Key // of who has enrolled anew
	calls     []string
	refused   []string
	answer    func() error               // nil for none
	hold      func(done <-chan struct{}) // is told of the end of a request about people
	everyone  api.Everyone
	envelopes []api.Envelope
}

func (d *fakeDesk) called(what string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls = append(d.calls, what)
	if d.answer != nil {
		return d.answer()
	}
	return nil
}

func (d *fakeDesk) ID() safe.StoreID { return d.team.Store }

func (d *fakeDesk) Roster() access.Roster {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.roster
}

func (d *fakeDesk) Voice(_ context.Context, name safe.PersonName) (api.Voice, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s, ok := d.team.People[name]
	if !ok {
		return api.Voice{}, api.ErrNotFound
	}
	v := api.Voice{Person: s.Person, Usable: s.Keys(), Pending: d.pending[name], Waiting: d.waiting[name]}
	v.Usable = slices.DeleteFunc(v.Usable, func(key signature.Key) bool { return d.suspended[name] || d.halted[key] })
	return v, nil
}

func (d *fakeDesk) Admit(ctx context.Context, from netip.Addr, name safe.PersonName) error {
	if d.team.People[name].Has(access.Keykeeper) && from == operatorAddress {
		d.Refused(ctx, "address", string(name), from)
		return &api.DeniedError{What: "address", Reason: "keykeepers do not call from an operator's address"}
	}
	return nil
}

func (d *fakeDesk) Refused(_ context.Context, what, reason string, from netip.Addr) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.refused = append(d.refused, what+": "+reason+" ("+from.String()+")")
}

func (d *fakeDesk) Keyring(_ context.Context, name safe.PersonName) ([]byte, error) {
	if name == "ann" {
		return nil, api.ErrNotFound
	}
	return []byte("keyring of " + name), d.called("keyring")
}
func (d *fakeDesk) KeepKeyring(context.Context, netip.Addr, safe.PersonName, []byte) error {
	return d.called("keep keyring")
}
func (d *fakeDesk) BeginPasskeys(_ context.Context, _ netip.Addr, token access.Token) (api.Ceremony, error) {
	if token != theToken {
		return api.Ceremony{}, api.ErrNotFound
	}
	return api.Ceremony{Domain: "safe.test"}, d.called("begin passkeys")
}
func (d *fakeDesk) BeginSignIn(context.Context, netip.Addr) (api.SignInChallenge, error) {
	return api.SignInChallenge{Store: d.team.Store, Domain: "safe.test"}, d.called("begin sign-in")
}

// SignIn believes whoever names a passkey.
func (d *fakeDesk) SignIn(_ context.Context, _ netip.Addr, origin string, m api.SignIn) (safe.PersonName, passkey.Key, error) {
	for name, s := range d.team.People {
		for _, k := range s.Passkeys {
			if bytes.Equal(k.Key.Credential(), m.Assertion.Credential) {
				return name, k.Key, d.called("sign-in from " + origin)
			}
		}
	}
	return "", passkey.Key{}, &api.DeniedError{What: "sign-in", Reason: "nobody has that passkey"}
}
func (d *fakeDesk) Enrol(_ context.Context, _ netip.Addr, origin string, m api.Enrolling) error {
	if m.Token != theToken {
		return api.ErrNotFound
	}
	return d.called(strings.TrimSpace("enrol " + origin))
}
func (d *fakeDesk) BeginRecovery(context.Context, netip.Addr) (api.Challenge, error) {
	return api.Challenge{Sealed: []byte("sealed")}, d.called("recovery")
}
func (d *fakeDesk) AnswerRecovery(_ context.Context, _ netip.Addr, a api.Answer) (api.Recovery, error) {
	return api.Recovery{Ticket: a.ID, Everyone: d.everyone}, d.called("recovery answer")
}
func (d *fakeDesk) Recover(context.Context, netip.Addr, access.Token, []byte) error {
	return d.called("recover")
}
func (d *fakeDesk) Everyone(ctx context.Context, after int) (api.Everyone, error) {
	if d.hold != nil {
		d.hold(ctx.Done())
	}
	e := d.everyone
	if after > 0 {
		e.Links = slices.DeleteFunc(slices.Clone(e.Links), func(l access.Link) bool {
			r, err := access.ParseRoster(l.Roster)
			return err == nil && r.Number <= after
		})
	}
	return e, d.called("people")
}
func (d *fakeDesk) Propose(context.Context, netip.Addr, []byte, ledger.Signed) error {
	return d.called("propose")
}
func (d *fakeDesk) Agree(context.Context, netip.Addr, ledger.Signed) error { return d.called("agree") }
func (d *fakeDesk) Object(context.Context, netip.Addr, ledger.Signed) error {
	return d.called("object")
}
func (d *fakeDesk) Suspend(context.Context, netip.Addr, ledger.Signed) error {
	return d.called("suspend")
}
func (d *fakeDesk) BeginKeyCheck(context.Context, netip.Addr, safe.PersonName, api.KeyCheck) (api.Challenge, error) {
	return api.Challenge{}, d.called("key check")
}
func (d *fakeDesk) AnswerKeyCheck(context.Context, netip.Addr, safe.PersonName, api.Answer) error {
	return d.called("key answer")
}
func (d *fakeDesk) Head(context.Context, int64) (api.Head, error) {
	return api.Head{Checkpoint: []byte("checkpoint")}, d.called("head")
}
func (d *fakeDesk) Snapshots(context.Context) ([]api.Snapshot, error) {
	return nil, d.called("snapshots")
}
func (d *fakeDesk) Openings(context.Context) ([]api.Opening, error) {
	return []api.Opening{{ID: theOpening, State: opening.Open, Release: &opening.Release{}}}, d.called("openings")
}
func (d *fakeDesk) Opening(_ context.Context, id safe.OpeningID) (api.Opening, error) {
	if id != theOpening {
		return api.Opening{}, api.ErrNotFound
	}
	return api.Opening{ID: id, State: opening.Requested}, d.called("opening")
}
func (d *fakeDesk) Request(context.Context, netip.Addr, ledger.Signed) error {
	return d.called("request")
}
func (d *fakeDesk) Grant(_ context.Context, _ netip.Addr, _ safe.PersonName, id safe.OpeningID, _ int64) (api.Granted, error) {
	if id != theOpening {
		return api.Granted{}, api.ErrNotFound
	}
	return api.Granted{Grant: []byte("grant")}, d.called("grant")
}
func (d *fakeDesk) Envelopes(_ context.Context, _ netip.Addr, _ safe.PersonName, _ safe.OpeningID, after safe.RunID) ([]api.Envelope, error) {
	i := slices.IndexFunc(d.envelopes, func(e api.Envelope) bool { return e.Run.Compare(after) > 0 })
	if i < 0 {
		i = len(d.envelopes)
	}
	return d.envelopes[i:], d.called("envelopes")
}
func (d *fakeDesk) Release(_ context.Context, _ netip.Addr, _ opening.Release, inner []api.Inner) error {
	return d.called("release")
}
func (d *fakeDesk) Refuse(context.Context, netip.Addr, ledger.Signed) error {
	return d.called("refuse")
}
func (d *fakeDesk) Withdraw(context.Context, netip.Addr, ledger.Signed) error {
	return d.called("withdraw")
}
func (d *fakeDesk) CloseOpening(context.Context, netip.Addr, ledger.Signed) error {
	return d.called("close")
}

func (d *fakeDesk) RuleMap(context.Context, netip.Addr, ledger.Signed) error {
	return d.called("rule map")
}
func (d *fakeDesk) TakeBackRuling(context.Context, netip.Addr, ledger.Signed) error {
	return d.called("take back ruling")
}
func (d *fakeDesk) LookOverview(context.Context) (report.Overview, error) {
	return report.Overview{Now: accesstest.Start}, d.called("look at /")
}
func (d *fakeDesk) LookSource(_ context.Context, name safe.SourceName, before safe.RunID) (report.Source, error) {
	if name != "files" {
		return report.Source{}, api.ErrNotFound
	}
	return report.Source{Name: name, Now: accesstest.Start, Before: before}, d.called("look at source")
}
func (d *fakeDesk) LookMap(_ context.Context, asked report.MapFilter) (report.MapPage, error) {
	return report.MapPage{Now: accesstest.Start, Asked: asked}, d.called(fmt.Sprintf("look at map %+v", asked))
}
func (d *fakeDesk) LookComponent(_ context.Context, id estate.ID) (report.ComponentPage, error) {
	if id != "host/erp" {
		return report.ComponentPage{}, api.ErrNotFound
	}
	return report.ComponentPage{Now: accesstest.Start, ID: id}, d.called("look at component")
}
func (d *fakeDesk) LookApplication(_ context.Context, name string) (report.ApplicationPage, error) {
	if name != "files" {
		return report.ApplicationPage{}, api.ErrNotFound
	}
	return report.ApplicationPage{Now: accesstest.Start, Card: report.ApplicationCard{Name: name}}, d.called("look at application")
}
func (d *fakeDesk) LookOpenings(context.Context) (report.OpeningsPage, error) {
	return report.OpeningsPage{Now: accesstest.Start}, d.called("look at openings")
}
func (d *fakeDesk) LookOpening(_ context.Context, id safe.OpeningID) (report.OpeningPage, error) {
	if id != theOpening {
		return report.OpeningPage{}, api.ErrNotFound
	}
	return report.OpeningPage{Now: accesstest.Start, Opening: report.OpeningLine{ID: id, State: opening.Requested}}, d.called("look at opening")
}
func (d *fakeDesk) LookPeople(context.Context) (report.PeoplePage, error) {
	return report.PeoplePage{Now: accesstest.Start}, d.called("look at people")
}
func (d *fakeDesk) LookLedger(_ context.Context, before int64) (report.LedgerPage, error) {
	return report.LedgerPage{Now: accesstest.Start}, d.called(fmt.Sprint("look at ledger before ", before))
}
func (d *fakeDesk) LookEntry(_ context.Context, n int64) (report.EntryPage, error) {
	if n > 7 {
		return report.EntryPage{}, api.ErrNotFound
	}
	return report.EntryPage{Now: accesstest.Start, Line: report.LedgerLine{N: n}}, d.called(fmt.Sprint("look at entry ", n))
}

// everybodyOfTheTests are the fakeDesk's people, one of each role, and one who
// may do nothing any more. Two are only enrolled.
const everybodyOfTheTests = "ada:keykeeper bob:operator cyd:officer dan:auditor sue:keykeeper pam:keykeeper pol:operator ann:keykeeper"

// A scene is a server in front of a fakeDesk.
type scene struct {
	*fakeDesk
	t    *testing.T
	s    *Server
	addr string
	ca   *tls.Config // of clients
	auto *certificate.Auto
	log  *lockedBuffer
	stop func() error // ends the server and returns what Serve did
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// newScene makes a scene whose server has no pages.
func newScene(t *testing.T, change ...func(*Server)) *scene {
	t.Helper()
	return newSceneWith(t, func(string) Pages { return Pages{} }, change...)
}

// newSceneWith makes a scene with pages, which are told the server's port.
func newSceneWith(t *testing.T, pages func(port string) Pages, change ...func(*Server)) *scene {
	t.Helper()
	team := accesstest.NewTeam(t, everybodyOfTheTests)
	d := &fakeDesk{team: team, roster: team.Roster,
		pending: map[safe.PersonName]bool{"pam": true, "pol": true}, suspended: map[safe.PersonName]bool{"sue": true}}
	auto, err := certificate.Open(filepath.Join(t.TempDir(), "tls"), []string{"127.0.0.1", "safe.test"}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := certificate.Trust(auto.CA())
	if err != nil {
		t.Fatal(err)
	}
	sc := &scene{fakeDesk: d, t: t, ca: ca, auto: auto, log: new(lockedBuffer)}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	sc.addr = l.Addr().String()
	_, port, err := net.SplitHostPort(sc.addr)
	if err != nil {
		t.Fatal(err)
	}
	sc.s = New(d, Options{TLS: certificate.Server(auto.GetCertificate), Logger: slog.New(slog.NewTextHandler(sc.log, nil)), Pages: pages(port)})
	for _, f := range change {
		f(sc.s)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- sc.s.Serve(ctx, l) }()
	sc.stop = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() {
		if err := sc.stop(); err != nil {
			t.Errorf("Serve returned %v", err)
		}
	})
	return sc
}

// dial connects to the server from an address.
func (sc *scene) dial(from netip.Addr) *tls.Conn {
	sc.t.Helper()
	conn, err := sc.tryDial(from)
	if err != nil {
		sc.t.Fatal(err)
	}
	return conn
}

func (sc *scene) tryDial(from netip.Addr) (*tls.Conn, error) {
	d := tls.Dialer{NetDialer: &net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0)), Timeout: 5 * time.Second}, Config: sc.ca}
	conn, err := d.DialContext(sc.t.Context(), "tcp", sc.addr)
	if err != nil {
		return nil, err
	}
	sc.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	return conn.(*tls.Conn), nil
}

// A shot is a request of a test.
type shot struct {
	method, target string
	body           []byte
	who            safe.PersonName // "" for nobody
	signBody       []byte          // another body than is sent, if it is not nil
	signAt         time.Time       // zero for now
	key            ssh.Signer      // nil for that of who
	from           netip.Addr
	header         http.Header
	chunked        bool
}

func (sc *scene) request(x shot) *http.Request {
	sc.t.Helper()
	var body io.Reader = bytes.NewReader(x.body)
	if x.chunked {
		body = io.MultiReader(body)
	}
	req, err := http.NewRequest(x.method, "https://"+sc.addr+x.target, body)
	if err != nil {
		sc.t.Fatal(err)
	}
	if len(x.body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	if x.who != "" {
		key, at, content := x.key, x.signAt, x.signBody
		if key == nil {
			key = sc.team.People[x.who].Signer
		}
		if at.IsZero() {
			at = time.Now()
		}
		if content == nil {
			content = x.body
		}
		if err := signed.Sign(req, content, sc.team.Store, x.who, key, at); err != nil {
			sc.t.Fatal(err)
		}
	}
	for key, values := range x.header {
		req.Header[key] = values
	}
	return req
}

// fire sends a request on a connection of its own.
func (sc *scene) fire(x shot) (*http.Response, []byte) {
	sc.t.Helper()
	res, body, err := sc.try(x)
	if err != nil {
		sc.t.Fatalf("%s %s: %v", x.method, x.target, err)
	}
	return res, body
}

func (sc *scene) try(x shot) (*http.Response, []byte, error) {
	from := x.from
	if !from.IsValid() {
		from = keeperAddress
	}
	client := sc.client(from)
	defer client.CloseIdleConnections()
	return do(client, sc.request(x))
}

// client returns one that comes from an address, and reaches the server under
// whichever name.
func (sc *scene) client(from netip.Addr) *http.Client {
	dialer := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))}
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig: sc.ca,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, sc.addr)
		},
	}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, Timeout: 10 * time.Second}
}

func do(client *http.Client, req *http.Request) (*http.Response, []byte, error) {
	res, err := client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return res, body, err
}

// act returns the body of a request with a statement of the person.
func (d *fakeDesk) act(t testing.TB, who safe.PersonName, act access.Act) []byte {
	return encode(t, api.Act{Signed: d.team.People[who].States(t, d.team.Store, time.Now(), act)})
}

func encode(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// forRoute returns a request that is right for a route, as far as anybody but
// the Desk can tell.
func (sc *scene) forRoute(pattern string, who safe.PersonName) shot {
	method, target, _ := strings.Cut(pattern, " ")
	return shot{method: method, target: strings.Replace(target, "{id}", theOpening.String(), 1), who: who, body: sc.bodyFor(sc.t, pattern, who)}
}

func (d *fakeDesk) bodyFor(t testing.TB, pattern string, who safe.PersonName) []byte {
	states := func(act access.Act) []byte {
		if who == "" {
			return []byte("{}")
		}
		return d.act(t, who, act)
	}
	switch pattern {
	case api.Enrol:
		return encode(t, api.Enrolling{Token: theToken, Enrolment: d.enrolment()})
	case api.KeyringKeep:
		return encode(t, api.Keyring{Keyring: []byte("{}")})
	case api.PasskeysBegin:
		return encode(t, api.Invited{Token: theToken})
	case api.SignInFinish:
		return encode(t, api.SignIn{Assertion: passkey.Assertion{Credential: []byte("nobody's"), AuthenticatorData: make([]byte, 37), ClientData: []byte("{}"), Signature: []byte("x")}})
	case api.RecoveryAnswer, api.KeyAnswer:
		return encode(t, api.Answer{})
	case api.RecoveryPropose:
		return encode(t, api.Recovering{Roster: []byte("{}")})
	case api.Propose:
		if who == "" {
			return []byte("{}")
		}
		agree := d.team.People[who].States(t, d.team.Store, time.Now(), access.Agree{Number: 2})
		return encode(t, api.Proposing{Roster: []byte("{}"), Signed: agree})
	case api.Agree:
		return states(access.Agree{Number: 2})
	case api.Object:
		return states(access.Object{Number: 2, Reason: "no"})
	case api.Suspend:
		return states(access.Suspend{Person: "bob", Reason: "lost laptop"})
	case api.KeyBegin:
		return encode(t, api.KeyCheck{Role: "outer", Period: 1})
	case api.Request:
		return states(access.Request{Opening: theOpening, Reason: "drill", Address: operatorAddress})
	case api.Release:
		return encode(t, api.Released{Release: d.release(t, who)})
	case api.Refuse:
		return states(access.Refuse{Opening: theOpening, Reason: "no"})
	case api.Withdraw:
		return states(access.Withdraw{Opening: theOpening, Reason: "no need"})
	case api.CloseIt:
		return states(access.Close{Opening: theOpening, Reason: "done"})
	case api.Rule:
		return states(access.Rule{Verdict: ledger.Rejected, From: "host/erp", To: "host/backup", Reason: "it pulls"})
	case api.TakeBack:
		return states(access.TakeBack{Entry: 7, Reason: "wrong"})
	default:
		return nil
	}
}

func (d *fakeDesk) enrolment() []byte {
	p := d.team.People["dan"].Person
	p.Passkeys = nil
	return access.Enrolment{Version: 1, Store: d.team.Store, Time: accesstest.Start, Person: p}.Encode()
}

// release returns a release of theOpening, in form only.
func (d *fakeDesk) release(t testing.TB, who safe.PersonName) opening.Release {
	by := d.team.People["ada"]
	grant := opening.Grant{Version: 1, Store: d.team.Store, Opening: theOpening, Operator: "bob",
		Key: by.SSH[0], Address: operatorAddress, Reason: "drill"}
	r, err := opening.Sign(by.Name, opening.NewNonce(), grant.Encode(), ledger.Signed{}, by.Signer)
	if err != nil {
		t.Fatal(err)
	}
	if who != "" {
		r.Keykeeper = who
	}
	return r
}

func (d *fakeDesk) list() (calls, refused []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.calls), slices.Clone(d.refused)
}

var errInside = errors.New("SELECT secret FROM keys")
