// Package client is how people's programs speak to a safe: one method for each
// request of package api, signed with the person's SSH key.
//
// What it returns has the right form and size, and comes from the safe whose
// certificate is pinned. It is not to be believed for that: rosters, proofs
// and grants are for their own packages to verify, since the safe is one of
// those whom a person's machine does not trust.
package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"iter"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"golang.org/x/crypto/ssh"

	"strongroom/internal/access"
	"strongroom/internal/access/api"
	"strongroom/internal/access/opening"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/store/seal"
	"strongroom/internal/web/certificate"
)

// Options say which safe, and who calls.
type Options struct {
	URL string // https://safe.example.com:8443
	// CA is the one certificate authority that may vouch for the safe, in PEM;
	// the system's may if it is empty.
	CA    []byte
	Store safe.StoreID
	// Person and Signer are who calls. Recovery needs neither.
	Person safe.PersonName
	Signer ssh.Signer
	From   netip.Addr       // the address to come from; any if it is zero
	Now    func() time.Time // nil means time.Now
}

// A Client calls one safe. Its methods may be called concurrently if the
// signer can be. They return a *ProblemError if the safe says no, a
// *ClockError if the clocks are apart, and an *UnreachableError if there was
// no answer.
type Client struct {
	opts Options
	base *url.URL
	http *http.Client
}

// New returns a Client, without connecting yet.
func New(opts Options) (*Client, error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	base, err := parseURL(opts.URL)
	if err != nil {
		return nil, err
	}
	secure := &tls.Config{MinVersion: tls.VersionTLS13}
	if len(opts.CA) > 0 {
		if secure, err = certificate.Trust(opts.CA); err != nil {
			return nil, err
		}
	}
	return &Client{opts: opts, base: base, http: newHTTP(opts.From, secure)}, nil
}

// Close closes connections that are kept for the next call.
func (c *Client) Close() { c.http.CloseIdleConnections() }

func parseURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("%.200q is not the address of a safe, such as https://safe.example.com:8443", s)
	}
	return u, nil
}

const (
	connectTimeout = 10 * time.Second
	// idleTimeout is shorter than the server's, so that a connection is not
	// shut in the moment of its next use.
	idleTimeout = 20 * time.Second
)

// newHTTP returns what makes connections: from the address that the safe
// expects a person at, so never by a proxy, and to nowhere else than asked.
func newHTTP(from netip.Addr, secure *tls.Config) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DialContext:            dialer(from).DialContext,
			TLSClientConfig:        secure,
			TLSHandshakeTimeout:    connectTimeout,
			IdleConnTimeout:        idleTimeout,
			ExpectContinueTimeout:  connectTimeout,
			MaxResponseHeaderBytes: 32 << 10,
			MaxConnsPerHost:        4,
			DisableCompression:     true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func dialer(from netip.Addr) *net.Dialer {
	d := &net.Dialer{Timeout: connectTimeout}
	if from.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
	}
	d.SetMultipathTCP(false)
	return d
}

// maxPeople bounds one answer about people. Servers hand out far less.
const maxPeople = 64 << 20

// People returns all about people, with the links of the roster after version
// n, or with all if n is 0. It asks as often as the links need.
func (c *Client) People(ctx context.Context, n int) (api.Everyone, error) {
	var links []access.Link
	for {
		var e api.Everyone
		query := url.Values{}
		if n > 0 {
			query.Set("after", strconv.Itoa(n))
		}
		if err := c.get(ctx, api.People, "", query, maxPeople, &e); err != nil {
			return api.Everyone{}, err
		}
		links = append(links, e.Links...)
		if len(e.Links) == 0 || string(e.Links[len(e.Links)-1].Roster) == string(e.Current) {
			e.Links = links
			return e, nil
		}
		last, err := access.ParseRoster(e.Links[len(e.Links)-1].Roster)
		if err != nil {
			return api.Everyone{}, err
		}
		if last.Number <= n {
			return api.Everyone{}, errors.New("the safe tells the same versions of the roster again and again")
		}
		n = last.Number
	}
}

// Propose proposes a version of the roster and agrees with it: signed is an
// access.Agree.
func (c *Client) Propose(ctx context.Context, roster []byte, signed ledger.Signed) error {
	return c.post(ctx, api.Propose, "", nil, api.Proposing{Roster: roster, Signed: signed}, nil)
}

// Agree sends an access.Agree.
func (c *Client) Agree(ctx context.Context, signed ledger.Signed) error {
	return c.post(ctx, api.Agree, "", nil, api.Act{Signed: signed}, nil)
}

// Object sends an access.Object.
func (c *Client) Object(ctx context.Context, signed ledger.Signed) error {
	return c.post(ctx, api.Object, "", nil, api.Act{Signed: signed}, nil)
}

// Suspend sends an access.Suspend.
func (c *Client) Suspend(ctx context.Context, signed ledger.Signed) error {
	return c.post(ctx, api.Suspend, "", nil, api.Act{Signed: signed}, nil)
}

// BeginKeyCheck asks for a challenge to a role key.
func (c *Client) BeginKeyCheck(ctx context.Context, check api.KeyCheck) (ch api.Challenge, err error) {
	err = c.post(ctx, api.KeyBegin, "", nil, check, &ch)
	return ch, err
}

// AnswerKeyCheck proves it.
func (c *Client) AnswerKeyCheck(ctx context.Context, answer api.Answer) error {
	return c.post(ctx, api.KeyAnswer, "", nil, answer, nil)
}

// BeginRecovery asks for a challenge to both role keys.
func (c *Client) BeginRecovery(ctx context.Context) (ch api.Challenge, err error) {
	err = c.post(ctx, api.RecoveryBegin, "", nil, nil, &ch)
	return ch, err
}

// AnswerRecovery proves both, for a ticket.
func (c *Client) AnswerRecovery(ctx context.Context, answer api.Answer) (r api.Recovery, err error) {
	err = c.post(ctx, api.RecoveryAnswer, "", nil, answer, &r)
	return r, err
}

// Recover proposes a version of the roster with the ticket.
func (c *Client) Recover(ctx context.Context, ticket access.Token, roster []byte) error {
	return c.post(ctx, api.RecoveryPropose, "", nil, api.Recovering{Ticket: ticket, Roster: roster}, nil)
}

// Head returns the ledger's newest checkpoint, and the proof that leads there
// from the size known; none if that is 0.
func (c *Client) Head(ctx context.Context, known int64) (h api.Head, err error) {
	err = c.get(ctx, api.Ledger, "", sized("from", known), maxSmall, &h)
	return h, err
}

// Snapshots returns what there is to ask for.
func (c *Client) Snapshots(ctx context.Context) (all []api.Snapshot, err error) {
	err = c.get(ctx, api.Snapshots, "", nil, maxLarge, &all)
	return all, err
}

// Openings returns the newest openings, without their releases.
func (c *Client) Openings(ctx context.Context) (all []api.Opening, err error) {
	err = c.get(ctx, api.Openings, "", nil, maxLarge, &all)
	if err == nil && len(all) > api.MaxOpenings {
		err = fmt.Errorf("the safe lists %d openings, at most %d are possible", len(all), api.MaxOpenings)
	}
	return all, err
}

// Opening returns how an opening stands.
func (c *Client) Opening(ctx context.Context, id safe.OpeningID) (o api.Opening, err error) {
	err = c.get(ctx, api.OneOpening, id.String(), nil, maxLarge, &o)
	if err == nil && o.ID != id {
		err = fmt.Errorf("asked for opening %s, the safe tells of %s", id, o.ID)
	}
	return o, err
}

// Request sends an access.Request.
func (c *Client) Request(ctx context.Context, signed ledger.Signed) error {
	return c.post(ctx, api.Request, "", nil, api.Act{Signed: signed}, nil)
}

// Grant returns what a keykeeper has to check and sign. known is the size of
// the newest checkpoint that this machine remembers.
func (c *Client) Grant(ctx context.Context, id safe.OpeningID, known int64) (g api.Granted, err error) {
	err = c.post(ctx, api.Grant, id.String(), sized("known", known), nil, &g)
	if err == nil && (len(g.Grant) > opening.MaxGrant || len(g.Snapshots) > ledger.MaxOpeningSnapshots) {
		err = fmt.Errorf("the safe grants %d snapshots in %d bytes, which is more than is possible", len(g.Snapshots), len(g.Grant))
	}
	return g, err
}

// Envelopes yields the envelopes of an opening's runs in their order, which
// the safe hands out some at a time. An error is the last that it yields.
func (c *Client) Envelopes(ctx context.Context, id safe.OpeningID) iter.Seq2[api.Envelope, error] {
	return func(yield func(api.Envelope, error) bool) {
		var last safe.RunID
		for {
			query := url.Values{}
			if !last.IsZero() {
				query.Set("after", last.String())
			}
			var some []api.Envelope
			err := c.get(ctx, api.Envelopes, id.String(), query, maxLarge, &some)
			if err == nil && len(some) > api.MaxEnvelopes {
				err = fmt.Errorf("the safe hands out %d envelopes at a time, at most %d are possible", len(some), api.MaxEnvelopes)
			}
			if err != nil {
				yield(api.Envelope{}, err)
				return
			}
			if len(some) == 0 {
				return
			}
			for _, e := range some {
				if e.Run.Compare(last) <= 0 || len(e.Envelope) > seal.MaxEnvelope {
					yield(api.Envelope{}, fmt.Errorf("the safe hands out an envelope of %d bytes for run %s after that of %s, which cannot be", len(e.Envelope), e.Run, last))
					return
				}
				last = e.Run
				if !yield(e, nil) {
					return
				}
			}
		}
	}
}

// Release sends a release and the inner files of its runs, in their order.
func (c *Client) Release(ctx context.Context, id safe.OpeningID, release opening.Release, inner []api.Inner) error {
	return c.post(ctx, api.Release, id.String(), nil, api.Released{Release: release, Inner: inner}, nil)
}

// Refuse sends an access.Refuse.
func (c *Client) Refuse(ctx context.Context, id safe.OpeningID, signed ledger.Signed) error {
	return c.post(ctx, api.Refuse, id.String(), nil, api.Act{Signed: signed}, nil)
}

// Withdraw sends an access.Withdraw.
func (c *Client) Withdraw(ctx context.Context, id safe.OpeningID, signed ledger.Signed) error {
	return c.post(ctx, api.Withdraw, id.String(), nil, api.Act{Signed: signed}, nil)
}

// CloseOpening sends an access.Close.
func (c *Client) CloseOpening(ctx context.Context, id safe.OpeningID, signed ledger.Signed) error {
	return c.post(ctx, api.CloseIt, id.String(), nil, api.Act{Signed: signed}, nil)
}

// sized returns a query with the size of a checkpoint; none for 0.
func sized(key string, size int64) url.Values {
	if size == 0 {
		return nil
	}
	return url.Values{key: {strconv.FormatInt(size, 10)}}
}
