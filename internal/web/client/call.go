package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"strongroom/internal/access/api"
	"strongroom/internal/ledger"
	"strongroom/internal/spelling"
	"strongroom/internal/web/signed"
)

// What an answer may have at most.
const (
	maxSmall = 1 << 20
	maxLarge = 64 << 20
)

const (
	// callTimeout is for one call as a whole.
	callTimeout = 2 * time.Minute
	// largeTimeout is for one that carries much: a release on a slow line.
	largeTimeout = 20 * time.Minute
	// largeBody is what carries much.
	largeBody = 1 << 20
)

// attempts is how often something is asked that can be asked again.
const attempts = 3

// get asks, again if the connection breaks. Each attempt is signed for itself,
// since a signature is good once.
func (c *Client) get(ctx context.Context, route, id string, query url.Values, limit int64, into any) error {
	for attempt := 1; ; attempt++ {
		err := c.call(ctx, route, id, query, nil, limit, into)
		if err == nil || attempt == attempts || !worthAnother(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(time.Duration(attempt) * time.Second / 4):
		}
	}
}

// worthAnother tells whether a question may be asked again. Package http sends
// one again by itself if a connection broke at its begin, with the same
// signature, which the safe then has seen already.
func worthAnother(err error) bool {
	var unreachable *UnreachableError
	var problem *ProblemError
	return errors.As(err, &unreachable) && unreachable.broken || errors.As(err, &problem) && problem.Status == http.StatusConflict
}

// post sends something once: it may have been done even if no answer came.
func (c *Client) post(ctx context.Context, route, id string, query url.Values, message, into any) error {
	var body []byte
	if message != nil {
		var err error
		if body, err = json.Marshal(message); err != nil {
			return fmt.Errorf("writing a message: %w", err)
		}
	}
	return c.call(ctx, route, id, query, body, maxLarge, into)
}

// call makes one request and reads its answer into what is not nil.
func (c *Client) call(ctx context.Context, route, id string, query url.Values, body []byte, limit int64, into any) error {
	timeout := callTimeout
	if len(body) > largeBody {
		timeout = largeTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := c.request(ctx, route, id, query, body)
	if err != nil {
		return err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return unreachable(c.base.Host, err)
	}
	defer res.Body.Close() // it was read
	answer, err := io.ReadAll(io.LimitReader(res.Body, limit+1))
	if err != nil {
		return unreachable(c.base.Host, err)
	}
	if int64(len(answer)) > limit {
		return fmt.Errorf("%s answers with more than %d bytes", c.base.Host, limit)
	}
	return c.read(res, answer, into)
}

func (c *Client) request(ctx context.Context, route, id string, query url.Values, body []byte) (*http.Request, error) {
	method, path, _ := strings.Cut(route, " ")
	at := c.base.JoinPath(strings.Replace(path, "{id}", id, 1))
	at.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, method, at.String(), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("making a request: %w", err)
	}
	req.Header.Set("User-Agent", "strongroom")
	if len(body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	if len(body) > largeBody {
		req.Header.Set("Expect", "100-continue") // a no shall come before all of it is sent
	}
	if c.opts.Signer == nil {
		return req, nil
	}
	return req, signed.Sign(req, body, c.opts.Store, c.opts.Person, c.opts.Signer, c.opts.Now())
}

// read takes an answer apart.
func (c *Client) read(res *http.Response, answer []byte, into any) error {
	isJSON := false
	if kind, _, err := mime.ParseMediaType(res.Header.Get("Content-Type")); err == nil {
		isJSON = kind == "application/json"
	}
	if res.StatusCode/100 != 2 {
		var p api.Problem
		if !isJSON || spelling.Decode(answer, &p) != nil || p.Error == "" {
			return &UnreachableError{Host: c.base.Host, Cause: fmt.Errorf("what answers there, with status %d, is no safe", res.StatusCode)}
		}
		if !p.Now.IsZero() {
			return &ClockError{Here: c.opts.Now(), Safe: p.Now}
		}
		// On one line each, so that a safe cannot write lines that look like ours.
		return &ProblemError{Status: res.StatusCode, Text: string(ledger.TextOf(p.Error)), Remedy: string(ledger.TextOf(p.Remedy))}
	}
	if into == nil {
		if len(answer) > 0 {
			return fmt.Errorf("%s answers with %d bytes where it has nothing to say", c.base.Host, len(answer))
		}
		return nil
	}
	if !isJSON {
		return &UnreachableError{Host: c.base.Host, Cause: errors.New("what answers there is no safe")}
	}
	if err := spelling.Decode(answer, into); err != nil {
		return fmt.Errorf("%s answers in a way that this program does not understand: %w", c.base.Host, err)
	}
	return nil
}
