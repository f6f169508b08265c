// Package webapi pulls what an API answers to one GET, over HTTP or HTTPS: one
// entry, or one for each page if the answer names a next one.
//
// It goes to the host that it was told and to no other: a redirect, or a next
// page elsewhere, is an error. An answer is held in memory until it is whole;
// half an answer is none. What the API says is not looked at beyond the address
// of the next page.
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

// Options says what to ask.
type Options struct {
	URL  *url.URL // http or https, without a user
	Name string   // of the entry; pages after the first have their number behind it
	// Authorization is the whole header of that name; "" sends none.
	Authorization string
	Roots         *x509.CertPool // nil means the system's
	// Dial makes connections; nil means a net.Dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Timeout is how long one answer may take; 0 means a minute.
	Timeout time.Duration
	// Now tells the time; nil means time.Now.
	Now func() time.Time
}

const (
	// Most bounds in bytes what one answer may have.
	Most = 64 << 20
	// maxPages bounds how many are asked for.
	maxPages = 1000
)

// Source is a source.Source of an API's answer.
type Source struct {
	options Options
	client  *http.Client
}

var _ source.Source = (*Source)(nil)

// New checks options. No error of it holds anything of the authorization.
func New(options Options) (*Source, error) {
	u := options.URL
	switch {
	case u == nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "":
		return nil, errors.New("the address of an API begins with https:// or http:// and a host")
	case u.User != nil:
		return nil, errors.New("the address of an API has no user or password in it")
	case safe.CheckPath(options.Name) != nil || strings.Contains(options.Name, "/"):
		return nil, fmt.Errorf("the name %.80q cannot be that of a file", options.Name)
	case strings.ContainsFunc(options.Authorization, func(r rune) bool { return r < ' ' || r > '~' }):
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

// Matches implements source.Source: there are no lines to match.
func (s *Source) Matches() []source.Match { return []source.Match{} }

// Probe asks once, and drops the answer.
func (s *Source) Probe(ctx context.Context) error {
	defer s.client.CloseIdleConnections()
	_, err := s.get(ctx, s.options.URL)
	return err
}

// Pull implements source.Source.
func (s *Source) Pull(ctx context.Context, request source.Request) iter.Seq2[source.Item, error] {
	return func(yield func(source.Item, error) bool) {
		defer s.client.CloseIdleConnections()
		at := s.options.URL
		for page := 1; ; page++ {
			if page > maxPages {
				yield(source.Item{}, fmt.Errorf("%s has more than %d pages", s.where(), maxPages))
				return
			}
			answer, err := s.get(ctx, at)
			if err != nil {
				yield(source.Item{}, err)
				return
			}
			e := safe.Entry{Path: s.name(page), Type: safe.File, Mode: 0o600, MTime: s.options.Now().UTC(), Size: int64(len(answer))}
			item := source.Item{Entry: e}
			if request.Need == nil || request.Need(e) {
				item.Content = io.NopCloser(bytes.NewReader(answer))
			}
			if !yield(item, nil) {
				return
			}
			if at, err = s.next(answer); err != nil || at == nil {
				if err != nil {
					yield(source.Item{}, err)
				}
				return
			}
		}
	}
}

// name returns that of a page's entry: names sort as the pages come.
func (s *Source) name(page int) string {
	if page == 1 {
		return s.options.Name
	}
	return fmt.Sprintf("%s.%04d", s.options.Name, page)
}

// where returns what an error calls the API: without the query, which may hold
// what is nobody's business.
func (s *Source) where() string {
	return s.options.URL.Scheme + "://" + s.options.URL.Host + s.options.URL.Path
}

// get returns a whole answer.
func (s *Source) get(ctx context.Context, at *url.URL) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.options.Timeout, fmt.Errorf("no whole answer from %s within %v", s.where(), s.options.Timeout))
	defer cancel()
	answer, err := s.ask(ctx, at)
	if err != nil && ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return answer, err
}

func (s *Source) ask(ctx context.Context, at *url.URL) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", s.where(), err)
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
		return nil, fmt.Errorf("asking %s: %w", s.where(), err)
	}
	defer res.Body.Close() // nothing was written
	switch {
	case res.StatusCode >= 300 && res.StatusCode < 400:
		return nil, fmt.Errorf("%s sends us elsewhere (status %d), and we go nowhere else: configure the address that answers", s.where(), res.StatusCode)
	case res.StatusCode == http.StatusUnauthorized || res.StatusCode == http.StatusForbidden:
		return nil, fmt.Errorf("%s does not let us in (status %d): is the token good?", s.where(), res.StatusCode)
	case res.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%s answers with status %d", s.where(), res.StatusCode)
	}
	answer, err := io.ReadAll(io.LimitReader(res.Body, Most+1))
	if err != nil {
		return nil, fmt.Errorf("reading the answer of %s: %w", s.where(), err)
	}
	if len(answer) > Most {
		return nil, fmt.Errorf("the answer of %s has more than %d bytes", s.where(), Most)
	}
	return answer, nil
}

// next returns the address of the next page, nil if the answer names none.
func (s *Source) next(answer []byte) (*url.URL, error) {
	var page struct {
		Next any `json:"next"`
	}
	if json.Unmarshal(answer, &page) != nil {
		return nil, nil // no object, or none that says so
	}
	text, ok := page.Next.(string)
	if !ok || text == "" {
		return nil, nil
	}
	u, err := s.options.URL.Parse(text)
	if err != nil || u.Scheme != s.options.URL.Scheme || u.Host != s.options.URL.Host || u.User != nil {
		return nil, fmt.Errorf("%s names a next page that lies elsewhere, and we go nowhere else", s.where())
	}
	return u, nil
}
