package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
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
	page   callingPage     // that calls
	body   []byte
}

// A reply is what is sent.
type reply struct {
	status int
	header http.Header // beside the usual
	kind   string      // of the body, if there is one
	body   []byte
}

// reply makes a handler of what returns a reply or an error, of which problem
// makes one. Here is the only place where errors become log lines and what
// people are told.
func (s *Server) reply(pattern string, serve func(http.ResponseWriter, *http.Request) (reply, error), problem func(*http.Request, int, api.Problem) reply) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if !s.serving.TryRLock() {
			panic(http.ErrAbortHandler) // Serve has ended: the connection is cut off without an answer
		}
		defer s.serving.RUnlock()
		r, err := withoutPanic(serve, w, req)
		if err != nil {
			status, text := problemOf(err)
			s.logRefusal(req, pattern, status, err)
			r = problem(req, status, text)
			if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
				w.Header().Set("Retry-After", "10")
			}
		}
		header := w.Header()
		header.Set("Cache-Control", "no-store")
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Referrer-Policy", "no-referrer")
		maps.Copy(header, r.header)
		if len(r.body) > 0 {
			header.Set("Content-Type", r.kind)
			header.Set("Content-Length", strconv.Itoa(len(r.body)))
		}
		w.WriteHeader(r.status)
		w.Write(r.body) // if the other side is gone, there is nobody to tell
	})
}

// withoutPanic makes an error of a mistake of this program, which must not end
// the safe.
func withoutPanic(serve func(http.ResponseWriter, *http.Request) (reply, error), w http.ResponseWriter, req *http.Request) (_ reply, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicError{v, debug.Stack()}
		}
	}()
	return serve(w, req)
}

// inJSON makes a handler of what returns an answer or an error, both for
// programs.
func (s *Server) inJSON(pattern string, serve func(http.ResponseWriter, *http.Request) (any, error)) http.Handler {
	write := func(status int, message any) (reply, error) {
		b, err := json.Marshal(message)
		return reply{status: status, kind: "application/json", body: append(b, '\n')}, err
	}
	answer := func(w http.ResponseWriter, req *http.Request) (reply, error) {
		message, err := serve(w, req)
		if err != nil || message == nil {
			return reply{status: http.StatusNoContent}, err
		}
		e, ok := message.(entered)
		if !ok {
			return write(http.StatusOK, message)
		}
		r, err := write(http.StatusOK, e.SignedIn)
		r.header = http.Header{"Set-Cookie": {e.cookie.String()}}
		return r, err
	}
	return s.reply(pattern, answer, func(_ *http.Request, status int, problem api.Problem) reply {
		r, _ := write(status, problem) // three fields that cannot fail
		return r
	})
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

// A panicError is a mistake of this program.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v\n%s", e.value, e.stack) }

// answer answers one request. The order matters: who sent it is known before a
// byte of its body is read, and whether they may ask such a thing at all
// before anything is looked up.
func (s *Server) answer(r route, w http.ResponseWriter, req *http.Request) (any, error) {
	within := s.times.body
	if r.slow {
		within = s.times.release
	}
	ctx, cancel := context.WithTimeout(req.Context(), within+s.times.answer)
	defer cancel()
	from, err := sender(req)
	if err != nil {
		return nil, err
	}
	c := call{from: from, id: req.PathValue("id"), page: s.pageOf(r, req)}
	// The server's own deadline is not for what is slow.
	if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(within + s.times.answer)); err != nil {
		return nil, fmt.Errorf("setting a deadline for an answer: %w", err)
	}
	read := signed.ReadBody
	if r.browser {
		if err := s.checkPage(c.page, req); err != nil {
			return nil, err
		}
	}
	switch {
	case r.roles == nil:
		if !s.attempts.begin(c.from) {
			return nil, errTooFast
		}
		defer s.attempts.end(c.from)
	case r.session && isBrowser(c.page, req) && req.Header.Get(signed.Header) == "":
		if c.person, err = s.admitVisitor(r, c.page, c.from, req); err != nil {
			return nil, err
		}
	default:
		claim, err := s.admit(r, c.from, req)
		if err != nil {
			return nil, err
		}
		c.person, read = claim.Person, claim.ReadBody
	}
	query, err := r.parameters(req.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	c.query = query.Get(r.query)
	if err := r.checkType(req); err != nil {
		return nil, err
	}
	if size := r.size(req); size > enrolBody { // so many others as there are connections do no harm, and what shuts the safe never waits
		room := s.strangers
		if r.roles != nil {
			room = s.people
		}
		if !room.take(c.person, size) {
			return nil, errBusy
		}
		defer room.leave(c.person, size)
	}
	if c.body, err = read(w, req, r.limit, within); err != nil {
		return nil, &bodyError{err}
	}
	return r.handle(s, ctx, c)
}

// sender returns the address that a request comes from.
func sender(req *http.Request) (netip.Addr, error) {
	at, err := netip.ParseAddrPort(req.RemoteAddr)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("finding out where a request comes from: %w", err)
	}
	return at.Addr().Unmap().WithZone(""), nil
}

// parameters returns the values of the parameters that the route knows, each of
// which may be there once.
func (r route) parameters(query string) (url.Values, error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return nil, invalid("the query of the request cannot be read")
	}
	for key, all := range values {
		if !slices.Contains(strings.Fields(r.query), key) || len(all) != 1 {
			return nil, invalid("the query of the request has %.40q, which does not belong there", key)
		}
	}
	return values, nil
}

// size returns how many bytes the body of a request has at most: as many as it
// says, since no more are read then.
func (r route) size(req *http.Request) int64 {
	if req.ContentLength < 0 {
		return r.limit
	}
	return min(req.ContentLength, r.limit)
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
	return claim, s.mayAsk(ctx, r, from, voice.Person, voice.Pending || waits)
}

// mayAsk reports why a person, who is known for sure, may not ask for such a
// thing from that address.
func (s *Server) mayAsk(ctx context.Context, r route, from netip.Addr, p access.Person, pending bool) error {
	if err := s.desk.Admit(ctx, from, p.Name); err != nil {
		return err
	}
	if !slices.ContainsFunc(r.roles, p.Has) {
		return s.refuse(ctx, r.name, fmt.Sprintf("that is for %s, and %s is none", list(r.roles), p.Name), from)
	}
	if pending && !(r.enrolled == always || r.enrolled == untilFounded && !s.desk.Roster().Founded()) {
		return s.refuse(ctx, r.name, fmt.Sprintf("%s is enrolled, and not in the roster yet", p.Name), from)
	}
	return nil
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
