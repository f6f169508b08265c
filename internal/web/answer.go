package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"runtime/debug"
	"slices"
	"strconv"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/access/api"
	"strongroom/internal/access/signature"
	"strongroom/internal/safe"
	"strongroom/internal/web/signed"
)

// A call is a request whose sender is known, or need not be, and whose body is
// there.
type call struct {
	from   netip.Addr
	person safe.PersonName // empty for strangers
	id     string          // in the path, of an opening; not checked yet
	query  string          // the value of the route's one parameter; not checked yet
	body   []byte
}

// wrap makes a handler of what returns an answer or an error. Here is the only
// place where errors become log lines and what people are told.
func (s *Server) wrap(pattern string, serve func(http.ResponseWriter, *http.Request) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if !s.serving.TryRLock() {
			panic(http.ErrAbortHandler) // Serve has ended: the connection is cut off without an answer
		}
		defer s.serving.RUnlock()
		status, body, err := s.render(serve(w, req))
		if err != nil {
			s.logRefusal(req, pattern, status, err)
		}
		header := w.Header()
		header.Set("Cache-Control", "no-store")
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Referrer-Policy", "no-referrer")
		if len(body) > 0 {
			header.Set("Content-Type", "application/json")
			header.Set("Content-Length", strconv.Itoa(len(body)))
		}
		if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
			header.Set("Retry-After", "10")
		}
		w.WriteHeader(status)
		w.Write(body) // if the other side is gone, there is nobody to tell
	})
}

// render returns what is sent for an answer or an error.
func (s *Server) render(answer any, err error) (status int, body []byte, _ error) {
	if err == nil && answer == nil {
		return http.StatusNoContent, nil, nil
	}
	status = http.StatusOK
	if err == nil {
		body, err = json.Marshal(answer)
	}
	if err != nil {
		var problem api.Problem
		status, problem = problemOf(err)
		body, _ = json.Marshal(problem) // three fields that cannot fail
	}
	return status, append(body, '\n'), err
}

func (s *Server) logRefusal(req *http.Request, pattern string, status int, err error) {
	level := s.log.Info
	switch {
	case errors.Is(err, errTooFast), errors.Is(err, errBusy), errors.Is(err, signed.ErrTooMany):
		level = s.log.Debug // whoever sends too much shall not fill the log instead
	case status >= 500:
		level = s.log.Error
	}
	var refused *signed.RefusedError
	if errors.As(err, &refused) {
		err = fmt.Errorf("%w: %w", err, refused.Cause)
	}
	level("request refused", "from", req.RemoteAddr, "route", pattern, "status", status, "err", err)
}

// A bodyError tells why the body of a request could not be had.
type bodyError struct{ error }

func (e *bodyError) Unwrap() error { return e.error }

// A panicError is a mistake of this program, which must not end the safe.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v\n%s", e.value, e.stack) }

// answer answers one request. The order matters: who sent it is known before a
// byte of its body is read, and whether they may ask such a thing at all
// before anything is looked up.
func (s *Server) answer(r route, w http.ResponseWriter, req *http.Request) (_ any, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicError{v, debug.Stack()}
		}
	}()
	within := s.times.body
	if r.slow {
		within = s.times.release
	}
	ctx, cancel := context.WithTimeout(req.Context(), within+s.times.answer)
	defer cancel()
	c := call{id: req.PathValue("id")}
	at, err := netip.ParseAddrPort(req.RemoteAddr)
	if err != nil {
		return nil, fmt.Errorf("finding out where a request comes from: %w", err)
	}
	c.from = at.Addr().Unmap().WithZone("")
	// The server's own deadline is not for what is slow.
	if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(within + s.times.answer)); err != nil {
		return nil, fmt.Errorf("setting a deadline for an answer: %w", err)
	}
	read := signed.ReadBody
	if r.roles == nil {
		if !s.attempts.begin(c.from) {
			return nil, errTooFast
		}
		defer s.attempts.end(c.from)
	} else {
		claim, err := s.admit(r, c.from, req)
		if err != nil {
			return nil, err
		}
		c.person, read = claim.Person, claim.ReadBody
	}
	if c.query, err = r.parameter(req.URL.RawQuery); err != nil {
		return nil, err
	}
	if err := r.checkType(req); err != nil {
		return nil, err
	}
	if r.limit > enrolBody { // so many others as there are connections do no harm, and what shuts the safe never waits
		room := s.strangers
		if r.roles != nil {
			room = s.people
		}
		if !room.TryAcquire(r.limit) {
			return nil, errBusy
		}
		defer room.Release(r.limit)
	}
	if c.body, err = read(w, req, r.limit, within); err != nil {
		return nil, &bodyError{err}
	}
	return r.handle(s, ctx, c)
}

// parameter returns the value of the one parameter that the route knows.
func (r route) parameter(query string) (string, error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return "", invalid("the query of the request cannot be read")
	}
	for key, all := range values {
		if key != r.query || len(all) != 1 {
			return "", invalid("the query of the request has %.40q, which does not belong there", key)
		}
	}
	return values.Get(r.query), nil
}

// checkType sees that a body says what it is. A form of a page from elsewhere
// cannot say so without asking first.
func (r route) checkType(req *http.Request) error {
	kind, _, err := mime.ParseMediaType(req.Header.Get("Content-Type"))
	if r.limit > 0 && (err != nil || kind != "application/json") || req.Header.Get("Content-Encoding") != "" {
		return errType
	}
	return nil
}

// admit tells who signed a request, if they may make it.
func (s *Server) admit(r route, from netip.Addr, req *http.Request) (signed.Claim, error) {
	ctx := req.Context()
	claim, err := s.verifier.Check(req)
	var stranger *signed.RefusedError
	if errors.As(err, &stranger) && req.Header.Get(signed.Header) != "" {
		s.desk.Refused(ctx, "api", stranger.Error(), from) // as one, whatever they try
	}
	if err != nil {
		return signed.Claim{}, err
	}
	voice, err := s.desk.Voice(ctx, claim.Person)
	if errors.Is(err, api.ErrNotFound) {
		err = &signed.RefusedError{Cause: errors.New("the person was taken out in this moment")}
	}
	if err != nil {
		return signed.Claim{}, err
	}
	key := signature.FromSSH(claim.Key)
	waits := slices.Contains(voice.Waiting, key)
	if !waits && !slices.Contains(voice.Usable, key) {
		return signed.Claim{}, s.refuse(ctx, r.name, fmt.Sprintf("%s, or the key that was used, is suspended", claim.Person), from)
	}
	if err := s.desk.Admit(ctx, from, claim.Person); err != nil {
		return signed.Claim{}, err
	}
	if !slices.ContainsFunc(r.roles, voice.Person.Has) {
		return signed.Claim{}, s.refuse(ctx, r.name, fmt.Sprintf("that is for %s, and %s is none", list(r.roles), claim.Person), from)
	}
	if (voice.Pending || waits) && !(r.enrolled == always || r.enrolled == untilFounded && !s.desk.Roster().Founded()) {
		return signed.Claim{}, s.refuse(ctx, r.name, fmt.Sprintf("%s is enrolled, and not in the roster yet", claim.Person), from)
	}
	return claim, nil
}

// refuse records an attempt and returns the error that tells of it.
func (s *Server) refuse(ctx context.Context, what, reason string, from netip.Addr) error {
	s.desk.Refused(ctx, what, reason, from)
	return &api.DeniedError{What: what, Reason: reason}
}

func list(roles []access.Role) string {
	text := ""
	for i, role := range roles {
		switch {
		case i > 0 && i == len(roles)-1:
			text += " and "
		case i > 0:
			text += ", "
		}
		text += string(role) + "s"
	}
	return text
}
