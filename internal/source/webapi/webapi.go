// Package webapi pulls what an API answers to a few GETs, over HTTP or HTTPS: one
// entry for each, or one for each page if an answer names a next one.
//
// It goes to the host that it was told and to no other: a redirect, or a next
// page elsewhere, is an error. An answer is held in memory until it is whole;
// half an answer is none. What the API says is not looked at beyond the address
// of the next page, and by whoever knows what an answer looks like.
package webapi

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"strongroom/internal/safe"
	"strongroom/internal/source"
)

// A Question is one GET.
type Question struct {
	URL  *url.URL // http or https, without a user
	Name string   // of the entry; pages after the first have their number behind it
}

// Options says what to ask.
type Options struct {
	Ask []Question // at least one, all of one host, by names that differ
	// Check reports why an answer is none of this API, such as a page to log in
	// at; nil takes all. No error of it may hold what the answer says.
	Check func(name string, answer []byte) error
	// Limits are those of all answers together.
	Limits source.Limits
	// Authorization is the whole header of that name; "" sends none.
	Authorization string
	Roots         *x509.CertPool // nil means the system's
	// Dial makes connections; nil means a net.Dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Timeout is how long one answer may take, of thirty times of which there is
	// for all of them; 0 means a minute.
	Timeout time.Duration
	// Now tells the time; nil means time.Now.
	Now func() time.Time
}

const (
	// Most bounds in bytes what one answer may have.
	Most = 64 << 20
	// maxPages bounds how many are asked for.
	maxPages = 1000
	// maxAddress bounds in bytes that of a next page.
	maxAddress = 8 << 10
	// wholeTakes is how many times the time of one answer there is for all: an API
	// that gives page after page slowly would keep the collection for days.
	wholeTakes = 30
)

// Source is a source.Source of an API's answer.
type Source struct {
	options Options
	client  *http.Client
}

var _ source.Source = (*Source)(nil)

// New checks options. No error of it holds anything of the authorization.
func New(options Options) (*Source, error) {
	if len(options.Ask) == 0 {
		return nil, errors.New("there is nothing to ask the API")
	}
	for _, q := range options.Ask {
		if err := q.check(options.Ask[0]); err != nil {
			return nil, err
		}
	}
	if strings.ContainsFunc(options.Authorization, func(r rune) bool { return r < ' ' || r > '~' }) {
		return nil, errors.New("what authorizes at the API has a character that no header can have")
	}
	if options.Timeout == 0 {
		options.Timeout = time.Minute
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	transport := &http.Transport{
		DialContext:            options.Dial,
		TLSClientConfig:        &tls.Config{RootCAs: options.Roots, MinVersion: tls.VersionTLS12},
		DisableCompression:     true, // so that an answer is as large as it is
		MaxResponseHeaderBytes: 64 << 10,
		MaxConnsPerHost:        1,
	}
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return &Source{options, client}, nil
}

// check reports why a question cannot be asked beside the first one.
func (q Question) check(first Question) error {
	u := q.URL
	switch {
	case u == nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "":
		return errors.New("the address of an API begins with https:// or http:// and a host")
	case u.User != nil:
		return errors.New("the address of an API has no user or password in it")
	case u.Scheme != first.URL.Scheme || u.Host != first.URL.Host:
		return errors.New("what is asked is on several hosts")
	case safe.CheckPath(q.Name) != nil || strings.Contains(q.Name, "/"):
		return fmt.Errorf("the name %.80q cannot be that of a file", q.Name)
	}
	return nil
}

// page returns the name of a page's entry: names sort as the pages come.
func (q Question) page(n int) string {
	if n == 1 {
		return q.Name
	}
	return fmt.Sprintf("%s.%04d", q.Name, n)
}

// where returns what an error calls an address: without the query, which may
// hold what is nobody's business, and as it is spelled, since an API may have
// named it.
func where(u *url.URL) string {
	return fmt.Sprintf("%s://%s%.200s", u.Scheme, u.Host, u.EscapedPath())
}

// Matches implements source.Source: there are no lines to match.
func (s *Source) Matches() []source.Match { return []source.Match{} }

// Probe asks everything once, and drops the answers. What has several pages is
// asked for the first.
func (s *Source) Probe(ctx context.Context) error {
	defer s.client.CloseIdleConnections()
	for _, q := range s.options.Ask {
		if _, err := s.get(ctx, q.Name, q.URL); err != nil {
			return err
		}
	}
	return nil
}

// Pull implements source.Source.
func (s *Source) Pull(ctx context.Context, request source.Request) iter.Seq2[source.Item, error] {
	return func(yield func(source.Item, error) bool) {
		defer s.client.CloseIdleConnections()
		within := wholeTakes * s.options.Timeout
		ctx, cancel := context.WithTimeoutCause(ctx, within, fmt.Errorf("not all answers from %s within %v", where(s.options.Ask[0].URL), within))
		defer cancel()
		var taken taken
		for _, q := range s.options.Ask {
			for item, err := range s.pages(ctx, q, request) {
				if err == nil {
					err = taken.add(item.Size, s.options.Limits)
				}
				if err != nil {
					yield(source.Item{}, err)
					return
				}
				if !yield(item, nil) {
					return
				}
			}
		}
	}
}

// taken is how much there was until now.
type taken struct{ bytes, entries int64 }

// add counts an answer, and returns a *source.LimitError if it is beyond a limit.
func (t *taken) add(size int64, limits source.Limits) error {
	t.bytes, t.entries = t.bytes+size, t.entries+1
	switch {
	case limits.Bytes > 0 && t.bytes > limits.Bytes:
		return &source.LimitError{What: "bytes", Limit: limits.Bytes}
	case limits.Entries > 0 && t.entries > limits.Entries:
		return &source.LimitError{What: "entries", Limit: limits.Entries}
	}
	return nil
}

// pages yields the answer to a question, a page at a time.
func (s *Source) pages(ctx context.Context, q Question, request source.Request) iter.Seq2[source.Item, error] {
	return func(yield func(source.Item, error) bool) {
		at := q.URL
		given := make(map[string]bool)
		for page := 1; at != nil; page++ {
			if given[at.String()] {
				yield(source.Item{}, fmt.Errorf("the pages of %s lead in a circle", where(q.URL)))
				return
			}
			given[at.String()] = true
			if page > maxPages {
				yield(source.Item{}, fmt.Errorf("%s has more than %d pages", where(q.URL), maxPages))
				return
			}
			answer, err := s.get(ctx, q.page(page), at)
			if err != nil {
				yield(source.Item{}, err)
				return
			}
			e := safe.Entry{Path: q.page(page), Type: safe.File, Mode: 0o600, MTime: s.options.Now().UTC(), Size: int64(len(answer))}
			item := source.Item{Entry: e}
			if request.Need == nil || request.Need(e) {
				item.Content = io.NopCloser(bytes.NewReader(answer))
			}
			if !yield(item, nil) {
				return
			}
			if at, err = next(q.URL, answer); err != nil {
				yield(source.Item{}, err)
				return
			}
		}
	}
}

// get returns a whole answer, which is one of this API.
func (s *Source) get(ctx context.Context, name string, at *url.URL) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.options.Timeout, fmt.Errorf("no whole answer from %s within %v", where(at), s.options.Timeout))
	defer cancel()
	answer, err := s.ask(ctx, at)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		return nil, err
	}
	if s.options.Check != nil {
		if err := s.options.Check(name, answer); err != nil {
			return nil, fmt.Errorf("the answer of %s: %w", where(at), err)
		}
	}
	return answer, nil
}

func (s *Source) ask(ctx context.Context, at *url.URL) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", where(at), err)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "Strongroom")
	if s.options.Authorization != "" {
		req.Header.Set("Authorization", s.options.Authorization)
	}
	res, err := s.client.Do(req)
	if err != nil {
		var failed *url.Error // which quotes the query
		if errors.As(err, &failed) {
			err = failed.Err
		}
		return nil, fmt.Errorf("asking %s: %w", where(at), err)
	}
	defer res.Body.Close() // nothing was written
	switch {
	case res.StatusCode >= 300 && res.StatusCode < 400:
		return nil, fmt.Errorf("%s sends us elsewhere (status %d), and we go nowhere else: configure the address that answers", where(at), res.StatusCode)
	case res.StatusCode == http.StatusUnauthorized || res.StatusCode == http.StatusForbidden:
		return nil, fmt.Errorf("%s does not let us in (status %d): is the token good?", where(at), res.StatusCode)
	case res.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%s answers with status %d", where(at), res.StatusCode)
	}
	answer, err := io.ReadAll(io.LimitReader(res.Body, Most+1))
	if err != nil {
		return nil, fmt.Errorf("reading the answer of %s: %w", where(at), err)
	}
	if len(answer) > Most {
		return nil, fmt.Errorf("the answer of %s has more than %d bytes", where(at), Most)
	}
	return answer, nil
}

// next returns the address of the next page, nil if the answer names none.
func next(of *url.URL, answer []byte) (*url.URL, error) {
	var page struct {
		Next json.RawMessage `json:"next"` // whatever it is, it takes no more memory than the answer
	}
	var text string
	if json.Unmarshal(answer, &page) != nil || json.Unmarshal(page.Next, &text) != nil || text == "" {
		return nil, nil // no object, or none that says so
	}
	if len(text) > maxAddress {
		return nil, fmt.Errorf("%s names a next page with an address of more than %d bytes", where(of), maxAddress)
	}
	u, err := of.Parse(text)
	if err != nil || u.Scheme != of.Scheme || u.Host != of.Host || u.User != nil {
		return nil, fmt.Errorf("%s names a next page that lies elsewhere, and we go nowhere else", where(of))
	}
	return u, nil
}
