package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"strongroom/internal/access"
	"strongroom/internal/access/api"
	"strongroom/internal/access/passkey"
	"strongroom/internal/access/signature"
	"strongroom/internal/safe"
	"strongroom/internal/web/page"
	"strongroom/internal/web/session"
)

// cookieName begins with what has browsers take the cookie from this very host
// only, over HTTPS, and for all of its paths: no neighbour can plant one.
const cookieName = "__Host-strongroom"

// newCookie returns the cookie of a session. It is not sent with what a page
// from elsewhere starts, also not with a link, and no script reads it.
func newCookie(value string) *http.Cookie {
	return &http.Cookie{Name: cookieName, Value: value, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode}
}

// sessionCookie returns the one cookie that may tell who has signed in. If there
// are two, nobody knows which of them the safe has set.
func sessionCookie(req *http.Request) string {
	if all := req.CookiesNamed(cookieName); len(all) == 1 {
		return all[0].Value
	}
	return ""
}

// origin returns that of the page that has sent a request, if it is one of
// these: "" otherwise, and if no page has.
func origin(req *http.Request, of []string) string {
	if all := req.Header["Origin"]; len(all) == 1 && slices.Contains(of, all[0]) {
		return all[0]
	}
	return ""
}

// A callingPage is the page that sends a request, and what it brings along to tell
// who has signed in: a cookie, or, on another host, a token.
type callingPage struct {
	origin    string // "" if no page of the safe sends it
	elsewhere bool   // the page is on another host
	session   string // not checked yet; "" if it brings none
}

// pageOf returns which page sends a request.
func (s *Server) pageOf(r route, req *http.Request) callingPage {
	if page := origin(req, s.opts.Pages.ReleasePages); page != "" && r.elsewhere {
		token, ok := strings.CutPrefix(req.Header.Get("Authorization"), "Bearer ")
		if !ok {
			token = ""
		}
		return callingPage{origin: page, elsewhere: true, session: token}
	}
	return callingPage{origin: origin(req, s.opts.Pages.Origins), session: sessionCookie(req)}
}

// isBrowser reports whether a browser sends a request, and not a program: that
// has no session, and nothing to say of pages.
func isBrowser(page callingPage, req *http.Request) bool {
	return page.session != "" || page.origin != "" || req.Header.Get("Sec-Fetch-Site") != ""
}

// host returns the origin of a page on another host, "" for those of the safe
// itself, which share their sessions as browsers have them share cookies.
func (p callingPage) host() string {
	if p.elsewhere {
		return p.origin
	}
	return ""
}

// checkHost sees that a browser looks for this safe, and not for another name
// that somebody has led to its address.
func (s *Server) checkHost(req *http.Request) error {
	if slices.Contains(s.opts.Pages.Origins, "https://"+req.Host) {
		return nil
	}
	return errHost
}

// protection knows requests that a page from elsewhere has started, by what
// browsers say of them.
var protection = http.NewCrossOriginProtection()

// checkPage sees that a request comes from that page, which is one of the safe
// itself, or, on another host, one that its configuration names. Browsers name
// the origin with whatever could change something, so there it must be.
func (s *Server) checkPage(page callingPage, req *http.Request) error {
	if err := s.checkHost(req); err != nil || page.elsewhere {
		return err
	}
	changes := req.Method != http.MethodGet && req.Method != http.MethodHead
	site := req.Header.Get("Sec-Fetch-Site")
	if protection.Check(req) != nil || changes && page.origin != "https://"+req.Host || site != "" && site != "same-origin" {
		return errCrossSite
	}
	return nil
}

// A visitor is somebody who has signed in, as the safe knows them now.
type visitor struct {
	person  access.Person
	pending bool // the person, or the passkey, is not in the roster yet
}

func (v visitor) shown() *page.Visitor {
	return &page.Visitor{Name: v.person.Name, Roles: v.person.Roles}
}

// errKey means that nobody of that name may come with that passkey any more.
var errKey = errors.New("the person, or the passkey that was used, is suspended or was taken out")

// recognize returns who goes by that name and has that passkey.
func (s *Server) recognize(ctx context.Context, name safe.PersonName, with passkey.Key) (visitor, error) {
	voice, err := s.desk.Voice(ctx, name)
	if errors.Is(err, api.ErrNotFound) {
		return visitor{}, errKey
	}
	if err != nil {
		return visitor{}, err
	}
	key := signature.FromPasskey(with)
	waits := slices.Contains(voice.Waiting, key)
	if !waits && !slices.Contains(voice.Usable, key) {
		return visitor{}, errKey
	}
	return visitor{voice.Person, voice.Pending || waits}, nil
}

// visitor returns who has signed in on a page.
func (s *Server) visitor(ctx context.Context, page callingPage) (visitor, error) {
	id, ok := session.ParseID(page.session)
	if !ok {
		return visitor{}, errSignedOut
	}
	found, ok := s.sessions.Find(id)
	if !ok || found.Page != page.host() {
		return visitor{}, errSignedOut
	}
	v, err := s.recognize(ctx, found.Person, found.Passkey)
	if errors.Is(err, errKey) {
		s.sessions.End(id)
		return visitor{}, errSignedOut
	}
	return v, err
}

// admitVisitor tells who calls from a page, if they may make such a request.
func (s *Server) admitVisitor(r route, page callingPage, from netip.Addr, req *http.Request) (safe.PersonName, error) {
	ctx := req.Context()
	v, err := s.visitor(ctx, page)
	if err != nil {
		return "", err
	}
	if err := s.checkPage(page, req); err != nil {
		s.desk.Refused(ctx, r.name, fmt.Sprintf("%s is signed in, and %v", v.person.Name, err), from)
		return "", err
	}
	return v.person.Name, s.mayAsk(ctx, r, from, v.person, v.pending)
}

// entered is the answer to who has signed in on a page of the safe itself.
type entered struct {
	api.SignedIn
	cookie *http.Cookie
}

func (s *Server) beginSignIn(ctx context.Context, c call) (any, error) {
	return s.desk.BeginSignIn(ctx, c.from)
}

// signIn begins a session, under an id that nobody knew before: the session that
// the browser has brought along ends.
func (s *Server) signIn(ctx context.Context, c call, m api.SignIn) (any, error) {
	const what = "sign-in"
	name, key, err := s.desk.SignIn(ctx, c.from, c.page.origin, m)
	if err != nil {
		return nil, err
	}
	v, err := s.recognize(ctx, name, key)
	if errors.Is(err, errKey) {
		return nil, s.refuse(ctx, what, fmt.Sprintf("%s, or the passkey that was used, is suspended", name), c.from)
	}
	if err != nil {
		return nil, err
	}
	if err := s.desk.Admit(ctx, c.from, name); err != nil {
		return nil, err
	}
	s.endSession(c.page.session)
	id := s.sessions.Begin(name, key, c.page.host())
	s.log.Info("signed in", "person", name, "from", c.from, "passkey", key.Fingerprint())
	answer := api.SignedIn{Person: name, Pending: v.pending}
	if c.page.elsewhere { // browsers keep no cookie of ours there
		answer.Session = id.String()
		return answer, nil
	}
	return entered{answer, newCookie(id.String())}, nil
}

// whoAmI answers who is signed in, or has signed.
func (s *Server) whoAmI(_ context.Context, c call) (any, error) {
	return api.Session{Person: c.person, Safe: s.opts.Pages.Safe, Store: s.desk.ID(), Domain: s.desk.Roster().Domain}, nil
}

// endSession ends the session that was brought along, if it is one.
func (s *Server) endSession(brought string) {
	if id, ok := session.ParseID(brought); ok {
		s.sessions.End(id)
	}
}

// signOut ends a session, and has the browser forget it.
func (s *Server) signOut(_ http.ResponseWriter, req *http.Request) (reply, error) {
	page := s.pageOf(route{}, req)
	if err := s.checkPage(page, req); err != nil {
		return reply{}, err
	}
	s.endSession(page.session)
	gone := newCookie("")
	gone.MaxAge = -1
	r := seeOther(signInPath)
	r.header.Set("Set-Cookie", gone.String())
	return r, nil
}
