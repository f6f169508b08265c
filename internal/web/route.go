package web

import (
	"context"
	"net/http"
	"path"
	"strings"

	"strongroom/internal/access"
	"strongroom/internal/access/api"
	"strongroom/internal/access/keyring"
	"strongroom/internal/safe"
)

// A route is one kind of request, and who may make it.
type route struct {
	pattern string
	name    string // for the ledger, if it is refused
	query   string // the parameter that it may have; only a page may have several, with blanks between
	// roles may call; nil is for strangers, who sign nothing.
	roles []access.Role
	// enrolled says when people may call who are in no roster yet.
	enrolled admission
	limit    int64 // bytes of the body; none may come if it is 0
	slow     bool  // the body may take long to come
	session  bool  // who is signed in on a page of the safe may call, as if they had signed
	browser  bool  // only pages of the safe call, if there are any
	// elsewhere says that release pages on other hosts need it, too.
	elsewhere bool
	handle    func(*Server, context.Context, call) (any, error)
}

type admission int

const (
	never admission = iota
	untilFounded
	always
)

var (
	everybody = []access.Role{access.Keykeeper, access.Operator, access.Officer, access.Auditor}
	holders   = []access.Role{access.Keykeeper, access.Operator} // of role keys, who decide about the roster
	closers   = []access.Role{access.Keykeeper, access.Operator, access.Officer}
	keykeeper = []access.Role{access.Keykeeper}
	operator  = []access.Role{access.Operator}
	officer   = []access.Role{access.Officer}
)

// Limits of bodies. What was bytes is base64 in JSON, and some text around it.
const (
	smallBody   = 64 << 10
	enrolBody   = access.MaxEnrolment/3*4 + smallBody
	rosterBody  = access.MaxRoster/3*4 + smallBody
	releaseBody = api.MaxReleased
	keyringBody = keyring.MaxKeyring/3*4 + smallBody
)

// allRoutes are all that there is. Suspending is for everybody: it only ever
// shuts.
var allRoutes = []route{
	{pattern: api.Enrol, name: "enrol", limit: enrolBody, handle: taking((*Server).enrol)},
	{pattern: api.RecoveryBegin, name: "recovery", handle: (*Server).beginRecovery},
	{pattern: api.RecoveryAnswer, name: "recovery", limit: smallBody, handle: taking((*Server).answerRecovery)},
	{pattern: api.RecoveryPropose, name: "recovery", limit: rosterBody, handle: taking((*Server).recover)},

	{pattern: api.PasskeysBegin, name: "enrol", browser: true, limit: smallBody, handle: taking((*Server).beginPasskeys)},
	{pattern: api.SignInBegin, name: "sign-in", browser: true, elsewhere: true, handle: (*Server).beginSignIn},
	{pattern: api.SignInFinish, name: "sign-in", browser: true, elsewhere: true, limit: smallBody, handle: taking((*Server).signIn)},
	{pattern: api.WhoAmI, name: "session", roles: everybody, enrolled: always, session: true, elsewhere: true, handle: (*Server).whoAmI},

	{pattern: api.KeyringGet, name: "keyring", roles: keykeeper, session: true, elsewhere: true, handle: (*Server).keyring},
	{pattern: api.KeyringKeep, name: "keyring", roles: keykeeper, session: true, elsewhere: true, limit: keyringBody, handle: taking((*Server).keepKeyring)},

	{pattern: api.People, name: "people.read", query: "after", roles: everybody, session: true, elsewhere: true, enrolled: always, handle: (*Server).everyone},
	{pattern: api.Propose, name: "roster.propose", roles: holders, session: true, enrolled: untilFounded, limit: rosterBody, handle: taking((*Server).propose)},
	{pattern: api.Agree, name: "roster.agree", roles: holders, session: true, enrolled: untilFounded, limit: smallBody, handle: acting[access.Agree](Desk.Agree, nil)},
	{pattern: api.Object, name: "roster.object", roles: holders, session: true, limit: smallBody, handle: acting[access.Object](Desk.Object, nil)},
	{pattern: api.Suspend, name: "person.suspend", roles: everybody, session: true, limit: smallBody, handle: acting[access.Suspend](Desk.Suspend, nil)},
	{pattern: api.KeyBegin, name: "key.check", roles: holders, session: true, limit: smallBody, handle: taking((*Server).beginKeyCheck)},
	{pattern: api.KeyAnswer, name: "key.check", roles: holders, session: true, limit: smallBody, handle: taking((*Server).answerKeyCheck)},
	{pattern: api.Ledger, name: "ledger.read", query: "from", roles: everybody, session: true, handle: (*Server).head},
	{pattern: api.Snapshots, name: "snapshots.read", roles: everybody, session: true, handle: (*Server).snapshots},

	{pattern: api.Openings, name: "openings.read", roles: everybody, session: true, elsewhere: true, handle: (*Server).openings},
	{pattern: api.OneOpening, name: "openings.read", roles: everybody, session: true, elsewhere: true, handle: (*Server).opening},
	{pattern: api.Request, name: "opening.request", roles: operator, limit: smallBody, handle: acting[access.Request](Desk.Request, nil)},
	{pattern: api.Grant, name: "opening.grant", query: "known", roles: keykeeper, session: true, elsewhere: true, handle: (*Server).grant},
	{pattern: api.Envelopes, name: "opening.envelopes", query: "after", roles: keykeeper, session: true, elsewhere: true, handle: (*Server).envelopes},
	{pattern: api.Release, name: "opening.release", roles: keykeeper, session: true, elsewhere: true, limit: releaseBody, slow: true, handle: taking((*Server).release)},
	{pattern: api.Refuse, name: "opening.refuse", roles: keykeeper, session: true, elsewhere: true, limit: smallBody, handle: acting(Desk.Refuse, func(a access.Refuse) safe.OpeningID { return a.Opening })},
	{pattern: api.Withdraw, name: "opening.withdraw", roles: operator, limit: smallBody, handle: acting(Desk.Withdraw, func(a access.Withdraw) safe.OpeningID { return a.Opening })},
	{pattern: api.CloseIt, name: "opening.close", roles: closers, session: true, elsewhere: true, limit: smallBody, handle: acting(Desk.CloseOpening, func(a access.Close) safe.OpeningID { return a.Opening })},

	{pattern: api.Rule, name: "map.rule", roles: officer, session: true, limit: smallBody, handle: acting[access.Rule](Desk.RuleMap, nil)},
	{pattern: api.TakeBack, name: "map.take-back", roles: officer, session: true, limit: smallBody, handle: acting[access.TakeBack](Desk.TakeBackRuling, nil)},
}

// share lets a release page on another host read an answer, and reports whether
// one has asked. Cookies are not for those pages.
func (s *Server) share(w http.ResponseWriter, req *http.Request) bool {
	w.Header().Set("Vary", "Origin")
	page := origin(req, s.opts.Pages.ReleasePages)
	if page != "" {
		w.Header().Set("Access-Control-Allow-Origin", page)
	}
	return page != ""
}

// shared makes a handler whose answers release pages on other hosts can read.
func (s *Server) shared(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		s.share(w, req)
		handler.ServeHTTP(w, req)
	})
}

// mayShare answers what browsers ask before they let such a page ask anything.
func (s *Server) mayShare(w http.ResponseWriter, req *http.Request) (any, error) {
	if err := s.checkHost(req); err != nil {
		return nil, err
	}
	if !s.share(w, req) {
		return nil, errNoRoute
	}
	w.Header().Set("Access-Control-Allow-Methods", "GET, POST")
	w.Header().Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
	w.Header().Set("Access-Control-Max-Age", "600")
	return nil, nil
}

// routes returns the handler of all routes. Everything else is not found, also
// a path that there is with another method, or in another spelling.
func (s *Server) routes() http.Handler {
	none := s.inJSON("", func(http.ResponseWriter, *http.Request) (any, error) { return nil, errNoRoute })
	mux := http.NewServeMux()
	mux.Handle("/", none)
	asked := make(map[string]bool) // paths for which browsers may ask first
	for _, r := range allRoutes {
		if r.browser && len(s.opts.Pages.Origins) == 0 {
			continue
		}
		handler := s.inJSON(r.pattern, func(w http.ResponseWriter, req *http.Request) (any, error) { return s.answer(r, w, req) })
		if r.elsewhere && len(s.opts.Pages.ReleasePages) > 0 {
			handler = s.shared(handler)
			if _, target, _ := strings.Cut(r.pattern, " "); !asked[target] {
				asked[target] = true
				mux.Handle("OPTIONS "+target, s.inJSON("OPTIONS "+target, s.mayShare))
			}
		}
		mux.Handle(r.pattern, handler)
	}
	if len(s.opts.Pages.Origins) > 0 {
		s.addPages(mux, none)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.RawPath != "" || req.URL.Path != path.Clean(req.URL.Path) {
			none.ServeHTTP(w, req) // a mux would send it elsewhere
			return
		}
		mux.ServeHTTP(w, req)
	})
}
