// Package web serves people: the requests of package api over HTTPS, and pages
// for browsers.
//
// It sees who calls, from where, and whether their role may ask for such a
// thing at all; what becomes of a request is decided by the Desk behind it,
// which looks at everything once more. A stranger learns nothing here, neither
// who is a person of this safe nor which openings there are, and cannot make
// it read or remember much.
//
// Programs sign each request for itself (package signed). In a browser people
// sign in with a passkey, and are known for a while by a session (package
// session), whose id is in the one cookie that there is. It is sent by the
// safe's own pages alone, under the safe's own name, and is good for looking
// and for handing in what bears a signature of its own: nobody decides anything
// by being signed in. Who signed in is looked up anew with each request, so
// that a suspension counts at once. Release pages on other hosts, if the
// configuration names some, keep the id themselves and send it as a token.
//
// Pages are drawn by package page. What browsers are told of them keeps out
// whatever is not the safe's own; it does not help against the safe's host,
// which can serve other pages.
package web

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/access/api"
	"strongroom/internal/access/opening"
	"strongroom/internal/access/passkey"
	"strongroom/internal/access/signature"
	"strongroom/internal/access/sshsig"
	"strongroom/internal/estate"
	"strongroom/internal/ledger"
	"strongroom/internal/report"
	"strongroom/internal/safe"
	"strongroom/internal/web/page"
	"strongroom/internal/web/session"
	"strongroom/internal/web/signed"
)

// A Desk is the safe behind the counter. Its methods are called concurrently.
// They return the errors of package api and opening.ErrState for people, and
// otherwise errors that are nobody's business outside. Whoever calls is known by
// then; what they may do is for the Desk to decide, and to record if it is
// refused.
type Desk interface {
	ID() safe.StoreID
	Roster() access.Roster // in force
	// Voice returns api.ErrNotFound if nobody may call by that name.
	Voice(ctx context.Context, name safe.PersonName) (api.Voice, error)
	// Admit reports why the person may not call from that address.
	Admit(ctx context.Context, from netip.Addr, name safe.PersonName) error
	// Refused records that somebody tried what they may not.
	Refused(ctx context.Context, what, reason string, from netip.Addr)

	// BeginPasskeys and BeginSignIn return what passkeys are to sign, and SignIn
	// whose passkey has, on a page of that origin.
	BeginPasskeys(ctx context.Context, from netip.Addr, token access.Token) (api.Ceremony, error)
	BeginSignIn(ctx context.Context, from netip.Addr) (api.SignInChallenge, error)
	// Whether they may is to be seen afterwards.
	SignIn(ctx context.Context, from netip.Addr, origin string, signed api.SignIn) (safe.PersonName, passkey.Key, error)

	// Keyring returns api.ErrNotFound if the person has none.
	Keyring(ctx context.Context, name safe.PersonName) ([]byte, error)
	KeepKeyring(ctx context.Context, from netip.Addr, name safe.PersonName, keyring []byte) error

	// Enrol takes an enrolment from a page of that origin, or from none.
	Enrol(ctx context.Context, from netip.Addr, origin string, enrolling api.Enrolling) error
	BeginRecovery(ctx context.Context, from netip.Addr) (api.Challenge, error)
	AnswerRecovery(ctx context.Context, from netip.Addr, answer api.Answer) (api.Recovery, error)
	Recover(ctx context.Context, from netip.Addr, ticket access.Token, roster []byte) error

	Everyone(ctx context.Context, after int) (api.Everyone, error)
	Propose(ctx context.Context, from netip.Addr, roster []byte, signed ledger.Signed) error
	Agree(ctx context.Context, from netip.Addr, signed ledger.Signed) error
	Object(ctx context.Context, from netip.Addr, signed ledger.Signed) error
	Suspend(ctx context.Context, from netip.Addr, signed ledger.Signed) error
	BeginKeyCheck(ctx context.Context, from netip.Addr, who safe.PersonName, check api.KeyCheck) (api.Challenge, error)
	AnswerKeyCheck(ctx context.Context, from netip.Addr, who safe.PersonName, answer api.Answer) error
	Head(ctx context.Context, from int64) (api.Head, error)
	Snapshots(ctx context.Context) ([]api.Snapshot, error)

	Openings(ctx context.Context) ([]api.Opening, error)
	Opening(ctx context.Context, id safe.OpeningID) (api.Opening, error)
	Request(ctx context.Context, from netip.Addr, signed ledger.Signed) error
	Grant(ctx context.Context, from netip.Addr, keykeeper safe.PersonName, id safe.OpeningID, known int64) (api.Granted, error)
	Envelopes(ctx context.Context, from netip.Addr, keykeeper safe.PersonName, id safe.OpeningID, after safe.RunID) ([]api.Envelope, error)
	Release(ctx context.Context, from netip.Addr, release opening.Release, inner []api.Inner) error
	Refuse(ctx context.Context, from netip.Addr, signed ledger.Signed) error
	Withdraw(ctx context.Context, from netip.Addr, signed ledger.Signed) error
	CloseOpening(ctx context.Context, from netip.Addr, signed ledger.Signed) error
	RuleMap(ctx context.Context, from netip.Addr, signed ledger.Signed) error
	TakeBackRuling(ctx context.Context, from netip.Addr, signed ledger.Signed) error

	// What people look at. What is not there is api.ErrNotFound.
	LookOverview(ctx context.Context) (report.Overview, error)
	LookSource(ctx context.Context, name safe.SourceName, before safe.RunID) (report.Source, error)
	LookMap(ctx context.Context, asked report.MapFilter) (report.MapPage, error)
	LookComponent(ctx context.Context, id estate.ID) (report.ComponentPage, error)
	LookApplication(ctx context.Context, name string) (report.ApplicationPage, error)
	LookOpenings(ctx context.Context) (report.OpeningsPage, error)
	LookOpening(ctx context.Context, id safe.OpeningID) (report.OpeningPage, error)
	LookPeople(ctx context.Context) (report.PeoplePage, error)
	LookLedger(ctx context.Context, before int64) (report.LedgerPage, error)
	LookEntry(ctx context.Context, n int64) (report.EntryPage, error)
}

// Options tunes a Server. The zero value is ready to use.
type Options struct {
	Logger *slog.Logger     // nil discards
	Now    func() time.Time // nil means time.Now
	// TLS is what the server shows and speaks; Serve needs it.
	TLS *tls.Config
	// Pages tells of those for browsers; the zero Pages is none.
	Pages Pages
}

// Bounds of what may be going on at a time.
const (
	// maxConnections is of all, maxOfAddress of one address: a person's
	// program has at most four, and an office may be behind one address.
	maxConnections = 256
	maxOfAddress   = 32
	// maxStrangers and maxPeople bound in bytes the large bodies that are read
	// or worked on, of requests that are not signed and of those that are. The
	// largest release fits, and leaves room for one of ten thousand runs.
	maxStrangers = 64 << 20
	maxPeople    = 128 << 20
)

// times bound what a request, and the end of the server, may take.
type times struct {
	header, body, idle time.Duration
	release            time.Duration // for the body of one
	answer             time.Duration // for the work, and for the answer on its way
	stop               time.Duration // that requests have to end when the server stops
}

// usual lets the largest release through at 1.3 Mbit/s.
var usual = times{header: 10 * time.Second, body: 30 * time.Second, idle: time.Minute,
	release: 10 * time.Minute, answer: 5 * time.Minute, stop: 5 * time.Second}

// maxHeader bounds a request's header, which has a signature of 2 kB at most.
const maxHeader = 32 << 10

// A Server serves one Desk.
type Server struct {
	desk     Desk
	opts     Options
	log      *slog.Logger
	times    times
	verifier *signed.Verifier
	sessions *session.Table
	pages    *page.Pages
	handler  http.Handler

	strangers, people *room
	attempts          *limiter // of what is not signed
	turns             turns    // of pages

	// serving is read-locked by every request, and locked for good when Serve
	// has ended: then nothing calls the Desk any more.
	serving sync.RWMutex
}

// New returns a Server. Requests that were signed before that are refused.
func New(desk Desk, opts Options) *Server {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	s := &Server{
		desk: desk, opts: opts, log: opts.Logger, times: usual,
		strangers: newRoom(maxStrangers, maxStrangers), people: newRoom(maxPeople, releaseBody),
		attempts: newLimiter(opts.Now), sessions: session.New(opts.Now),
	}
	// A suspended key, and one that waits to be in the roster, tell who calls.
	// What they are good for is seen afterwards.
	s.verifier = signed.NewVerifier(desk.ID(), opts.Now, func(ctx context.Context, name safe.PersonName) ([]sshsig.PublicKey, error) {
		voice, err := desk.Voice(ctx, name)
		if errors.Is(err, api.ErrNotFound) {
			return nil, nil
		}
		return sshKeys(slices.Concat(voice.Person.Keys(), voice.Waiting)), err
	})
	var err error
	if s.pages, err = page.New(); err != nil {
		panic(fmt.Sprintf("the embedded pages cannot be read: %v", err))
	}
	s.handler = s.routes()
	return s
}

// sshKeys returns those of the keys that sign requests.
func sshKeys(keys []signature.Key) []sshsig.PublicKey {
	var all []sshsig.PublicKey
	for _, k := range keys {
		if key, ok := k.SSH(); ok {
			all = append(all, key)
		}
	}
	return all
}

// Handler returns what answers requests.
func (s *Server) Handler() http.Handler { return s.handler }

// Serve answers what comes to l until ctx ends, lets requests that are under
// way end for some seconds, and returns nil when none is left. It closes l.
// A Server serves once.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var protocols http.Protocols
	protocols.SetHTTP1(true) // one request at a time on a connection, so the bounds on connections bound the work
	server := &http.Server{
		Handler:   s.handler,
		TLSConfig: s.opts.TLS,
		Protocols: &protocols,

		DisableGeneralOptionsHandler: true,

		ReadHeaderTimeout: s.times.header,
		ReadTimeout:       s.times.body,
		WriteTimeout:      s.times.body + s.times.answer,
		IdleTimeout:       s.times.idle,
		MaxHeaderBytes:    maxHeader,
		BaseContext:       func(net.Listener) context.Context { return work },
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug), // handshakes that strangers break off
	}
	ended := make(chan error, 1)
	go func() { ended <- server.ServeTLS(bound(l, maxConnections, maxOfAddress), "", "") }()
	var err error
	select {
	case err = <-ended:
		err = fmt.Errorf("serving people: %w", err)
	case <-ctx.Done():
		grace, stop := context.WithTimeout(work, s.times.stop)
		if server.Shutdown(grace) != nil {
			server.Close() // what it did not wait for is cut off
		}
		stop()
		<-ended // the listener is closed
	}
	cancel()
	s.serving.Lock()
	return err
}
