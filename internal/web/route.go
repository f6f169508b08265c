package web

import (
	"context"
	"net/http"
	"path"

	"strongroom/internal/access"
	"strongroom/internal/access/api"
	"strongroom/internal/safe"
)

// A route is one kind of request, and who may make it.
type route struct {
	pattern string
	name    string // for the ledger, if it is refused
	query   string // the one parameter that it may have
	// roles may call; nil is for strangers, who sign nothing.
	roles []access.Role
	// enrolled says when people may call who are in no roster yet.
	enrolled admission
	limit    int64 // bytes of the body; none may come if it is 0
	slow     bool  // the body may take long to come
	handle   func(*Server, context.Context, call) (any, error)
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
)

// Limits of bodies. What was bytes is base64 in JSON, and some text around it.
const (
	smallBody   = 64 << 10
	enrolBody   = access.MaxEnrolment/3*4 + 4<<10
	rosterBody  = access.MaxRoster/3*4 + smallBody
	releaseBody = api.MaxReleased
)

// allRoutes are all that there is. Suspending is for everybody: it only ever
// shuts.
var allRoutes = []route{
	{pattern: api.Enrol, name: "enrol", limit: enrolBody, handle: taking((*Server).enrol)},
	{pattern: api.RecoveryBegin, name: "recovery", handle: (*Server).beginRecovery},
	{pattern: api.RecoveryAnswer, name: "recovery", limit: smallBody, handle: taking((*Server).answerRecovery)},
	{pattern: api.RecoveryPropose, name: "recovery", limit: rosterBody, handle: taking((*Server).recover)},

	{pattern: api.People, name: "people.read", query: "after", roles: everybody, enrolled: always, handle: (*Server).everyone},
	{pattern: api.Propose, name: "roster.propose", roles: holders, enrolled: untilFounded, limit: rosterBody, handle: taking((*Server).propose)},
	{pattern: api.Agree, name: "roster.agree", roles: holders, enrolled: untilFounded, limit: smallBody, handle: acting[access.Agree](Desk.Agree, nil)},
	{pattern: api.Object, name: "roster.object", roles: holders, limit: smallBody, handle: acting[access.Object](Desk.Object, nil)},
	{pattern: api.Suspend, name: "person.suspend", roles: everybody, limit: smallBody, handle: acting[access.Suspend](Desk.Suspend, nil)},
	{pattern: api.KeyBegin, name: "key.check", roles: holders, limit: smallBody, handle: taking((*Server).beginKeyCheck)},
	{pattern: api.KeyAnswer, name: "key.check", roles: holders, limit: smallBody, handle: taking((*Server).answerKeyCheck)},
	{pattern: api.Ledger, name: "ledger.read", query: "from", roles: everybody, handle: (*Server).head},
	{pattern: api.Snapshots, name: "snapshots.read", roles: everybody, handle: (*Server).snapshots},

	{pattern: api.Openings, name: "openings.read", roles: everybody, handle: (*Server).openings},
	{pattern: api.OneOpening, name: "openings.read", roles: everybody, handle: (*Server).opening},
	{pattern: api.Request, name: "opening.request", roles: operator, limit: smallBody, handle: acting[access.Request](Desk.Request, nil)},
	{pattern: api.Grant, name: "opening.grant", query: "known", roles: keykeeper, handle: (*Server).grant},
	{pattern: api.Envelopes, name: "opening.envelopes", query: "after", roles: keykeeper, handle: (*Server).envelopes},
	{pattern: api.Release, name: "opening.release", roles: keykeeper, limit: releaseBody, slow: true, handle: taking((*Server).release)},
	{pattern: api.Refuse, name: "opening.refuse", roles: keykeeper, limit: smallBody, handle: acting(Desk.Refuse, func(a access.Refuse) safe.OpeningID { return a.Opening })},
	{pattern: api.Withdraw, name: "opening.withdraw", roles: operator, limit: smallBody, handle: acting(Desk.Withdraw, func(a access.Withdraw) safe.OpeningID { return a.Opening })},
	{pattern: api.CloseIt, name: "opening.close", roles: closers, limit: smallBody, handle: acting(Desk.CloseOpening, func(a access.Close) safe.OpeningID { return a.Opening })},
}

// routes returns the handler of all routes. Everything else is not found, also
// a path that there is with another method, or in another spelling.
func (s *Server) routes() http.Handler {
	none := s.wrap("", func(http.ResponseWriter, *http.Request) (any, error) { return nil, errNoRoute })
	mux := http.NewServeMux()
	mux.Handle("/", none)
	for _, r := range allRoutes {
		mux.Handle(r.pattern, s.wrap(r.pattern, func(w http.ResponseWriter, req *http.Request) (any, error) { return s.answer(r, w, req) }))
	}
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.RawPath != "" || req.URL.Path != path.Clean(req.URL.Path) {
			none.ServeHTTP(w, req) // a mux would send it elsewhere
			return
		}
		mux.ServeHTTP(w, req)
	})
}
