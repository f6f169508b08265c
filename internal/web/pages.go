package web

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"strongroom/internal/access/api"
	"strongroom/internal/estate"
	"strongroom/internal/report"
	"strongroom/internal/safe"
	"strongroom/internal/web/assets"
	"strongroom/internal/web/page"
	"strongroom/internal/web/signed"
)

// Pages tells of the safe's pages.
type Pages struct {
	// Origins are those that browsers find them under, as they spell them:
	// https://safe.acme.example:8443. Without one there are no pages, and nobody
	// signs in.
	Origins []string
	// ReleasePages are the origins of release pages on other hosts, which may
	// call for what a release needs.
	ReleasePages []string
	Safe         string // its name
	Version      string // of the program
}

// policy is what browsers are told of pages, and of the scripts that run beside
// them: nothing comes from elsewhere, nothing is within a page, no page is
// within another, and no text becomes a script but the name of the one that
// opens envelopes.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; worker-src 'self'; " +
	"frame-ancestors 'none'; base-uri 'none'; form-action 'self'; require-trusted-types-for 'script'; trusted-types strongroom-worker"

// pageHeader is on all that browsers show. A form tells its origin only if its
// page may tell it to the safe itself, so that is its referrer policy.
func pageHeader() http.Header {
	return http.Header{
		"Content-Security-Policy":    {policy},
		"Cross-Origin-Opener-Policy": {"same-origin"},
		"Referrer-Policy":            {"same-origin"},
		"Strict-Transport-Security":  {"max-age=31536000"},
	}
}

// A visit is somebody who looks at a page.
type visit struct {
	page.Frame
	name, id string     // in the path; not checked yet
	query    string     // the value of the page's parameter, if it knows one; not checked yet
	asked    url.Values // those of all that it knows
}

// A pageRoute is one kind of page. If it has no roles it is for strangers, too.
type pageRoute struct {
	route
	draw func(*Server, context.Context, visit, io.Writer) error
}

// look returns the route of a page that shows a report.
func look[R any](pattern, query string, enrolled admission, report func(Desk, context.Context, visit) (R, error),
	now func(R) time.Time, write func(*page.Pages, io.Writer, page.Frame, R) error) pageRoute {
	return pageRoute{
		route{pattern: pattern, name: "pages", query: query, roles: everybody, enrolled: enrolled},
		func(s *Server, ctx context.Context, v visit, w io.Writer) error {
			r, err := report(s.desk, ctx, v)
			if err != nil {
				return err
			}
			v.Now = now(r)
			return write(s.pages, w, v.Frame, r)
		},
	}
}

// allPages are all that there are.
var allPages = []pageRoute{
	look("GET /{$}", "", never, func(d Desk, ctx context.Context, _ visit) (report.Overview, error) { return d.LookOverview(ctx) },
		func(r report.Overview) time.Time { return r.Now }, (*page.Pages).Overview),
	look("GET /sources/{name}", "before", never, lookSource, func(r report.Source) time.Time { return r.Now }, (*page.Pages).Source),
	look("GET /applications/{name}", "", never, func(d Desk, ctx context.Context, v visit) (report.ApplicationPage, error) {
		return d.LookApplication(ctx, v.name)
	},
		func(r report.ApplicationPage) time.Time { return r.Now }, (*page.Pages).Application),
	look("GET /map", "text application kind evidence", never, lookMap, func(r report.MapPage) time.Time { return r.Now }, (*page.Pages).Map),
	look("GET /map/component", "id", never, lookComponent, func(r report.ComponentPage) time.Time { return r.Now }, (*page.Pages).Component),
	look("GET /openings", "", never, func(d Desk, ctx context.Context, _ visit) (report.OpeningsPage, error) { return d.LookOpenings(ctx) },
		func(r report.OpeningsPage) time.Time { return r.Now }, (*page.Pages).Openings),
	look("GET /openings/{id}", "", never, lookOpening, func(r report.OpeningPage) time.Time { return r.Now }, (*page.Pages).Opening),
	look("GET /people", "", always, func(d Desk, ctx context.Context, _ visit) (report.PeoplePage, error) { return d.LookPeople(ctx) },
		func(r report.PeoplePage) time.Time { return r.Now }, (*page.Pages).People),
	look("GET /ledger", "before", never, lookLedger, func(r report.LedgerPage) time.Time { return r.Now }, (*page.Pages).Ledger),
	look("GET /ledger/{id}", "", never, lookEntry, func(r report.EntryPage) time.Time { return r.Now }, (*page.Pages).Entry),

	{route{pattern: "GET /sign-in", query: "next"}, func(s *Server, _ context.Context, v visit, w io.Writer) error {
		if v.query != "" && !isNext(v.query) {
			return errNext
		}
		return s.pages.SignIn(w, v.Frame)
	}},
	{route{pattern: "GET /enrol"}, func(s *Server, _ context.Context, v visit, w io.Writer) error { return s.pages.Enrol(w, v.Frame) }},
}

func lookSource(d Desk, ctx context.Context, v visit) (report.Source, error) {
	name, err := safe.ParseSourceName(v.name)
	if err != nil {
		return report.Source{}, api.ErrNotFound
	}
	var before safe.RunID
	if v.query != "" {
		if before, err = safe.ParseRunID(v.query); err != nil {
			return report.Source{}, invalid("%v", err)
		}
	}
	return d.LookSource(ctx, name, before)
}

// maxSearch bounds in bytes what somebody looks for on the map.
const maxSearch = 200

func lookMap(d Desk, ctx context.Context, v visit) (report.MapPage, error) {
	f := report.MapFilter{
		Text: strings.TrimSpace(v.asked.Get("text")), Application: v.asked.Get("application"),
		Kind: estate.Kind(v.asked.Get("kind")), Basis: estate.Basis(v.asked.Get("evidence")),
	}
	switch {
	case len(f.Text) > maxSearch || !utf8.ValidString(f.Text):
		return report.MapPage{}, invalid("what is searched for has at most %d bytes, of UTF-8", maxSearch)
	case f.Kind != "" && !f.Kind.Valid():
		return report.MapPage{}, invalid("%.40q is no kind of component", f.Kind)
	case f.Basis != "" && !f.Basis.Valid():
		return report.MapPage{}, invalid("%.40q is no basis of evidence", f.Basis)
	}
	return d.LookMap(ctx, f)
}

func lookComponent(d Desk, ctx context.Context, v visit) (report.ComponentPage, error) {
	id, err := estate.ParseID(v.query)
	if err != nil {
		return report.ComponentPage{}, api.ErrNotFound
	}
	return d.LookComponent(ctx, id)
}

func lookOpening(d Desk, ctx context.Context, v visit) (report.OpeningPage, error) {
	id, err := safe.ParseOpeningID(v.id)
	if err != nil {
		return report.OpeningPage{}, api.ErrNotFound
	}
	return d.LookOpening(ctx, id)
}

func lookLedger(d Desk, ctx context.Context, v visit) (report.LedgerPage, error) {
	before, err := number(v.query)
	if err != nil {
		return report.LedgerPage{}, err
	}
	return d.LookLedger(ctx, before)
}

func lookEntry(d Desk, ctx context.Context, v visit) (report.EntryPage, error) {
	n, err := number(v.id)
	if err != nil || v.id == "" {
		return report.EntryPage{}, api.ErrNotFound
	}
	return d.LookEntry(ctx, n)
}

// addPages adds the pages, and what belongs to them, to a mux.
func (s *Server) addPages(mux *http.ServeMux, none http.Handler) {
	mux.Handle("GET /v1/", none)
	mux.Handle("GET /v1", none) // which a mux would send to the other
	mux.Handle("GET /", s.inHTML("", func(http.ResponseWriter, *http.Request) (reply, error) { return reply{}, errNoPage }))
	for _, p := range allPages {
		mux.Handle(p.pattern, s.inHTML(p.pattern, func(w http.ResponseWriter, req *http.Request) (reply, error) { return s.show(p, w, req) }))
	}
	mux.Handle("POST /sign-out", s.inHTML("POST /sign-out", s.signOut))
	for name, a := range readAssets() {
		pattern := "GET " + page.Assets + name
		mux.Handle(pattern, s.inHTML(pattern, func(_ http.ResponseWriter, req *http.Request) (reply, error) { return a.serve(req), s.checkHost(req) }))
	}
}

// inHTML makes a handler of what returns a page or an error, both for people.
func (s *Server) inHTML(pattern string, serve func(http.ResponseWriter, *http.Request) (reply, error)) http.Handler {
	return s.reply(pattern, serve, func(req *http.Request, status int, problem api.Problem) reply {
		f := s.frame(req)
		if v, err := s.visitor(req.Context(), s.pageOf(route{}, req)); err == nil {
			f.Visitor = v.shown()
		}
		var b bytes.Buffer
		if err := s.pages.Problem(&b, f, page.Problem{Status: status, Text: problem.Error, Remedy: problem.Remedy}); err != nil {
			s.log.Error("a problem could not be drawn", "err", err)
		}
		return htmlReply(status, b.Bytes())
	})
}

func htmlReply(status int, body []byte) reply {
	return reply{status: status, header: pageHeader(), kind: "text/html; charset=utf-8", body: body}
}

// frame returns what stands around a page that nobody in particular looks at.
func (s *Server) frame(req *http.Request) page.Frame {
	p := s.opts.Pages
	return page.Frame{Safe: p.Safe, Path: req.URL.Path, Now: s.opts.Now(), Digest: assets.Digest().String(), Version: p.Version}
}

// show answers a request for a page. The order is that of answer.
func (s *Server) show(p pageRoute, w http.ResponseWriter, req *http.Request) (reply, error) {
	if err := s.checkHost(req); err != nil {
		return reply{}, err
	}
	from, err := sender(req)
	if err != nil {
		return reply{}, err
	}
	ctx, cancel := context.WithTimeout(req.Context(), s.times.answer)
	defer cancel()
	v := visit{Frame: s.frame(req), name: req.PathValue("name"), id: req.PathValue("id")}
	if p.roles != nil {
		who, err := s.visitor(ctx, s.pageOf(p.route, req))
		if errors.Is(err, errSignedOut) {
			return toSignIn(req.URL), nil
		}
		if err != nil {
			return reply{}, err
		}
		v.Visitor = who.shown()
		if who.pending && p.enrolled != always {
			return seeOther("/people"), nil // which is all that there is for them yet
		}
		if err := s.mayAsk(ctx, p.route, from, who.person, who.pending); err != nil {
			return reply{}, err
		}
		leave, err := s.turns.take(ctx, who.person.Name)
		if err != nil {
			return reply{}, err
		}
		defer leave()
	}
	if v.asked, err = p.parameters(req.URL.RawQuery); err != nil {
		return reply{}, err
	}
	v.query = v.asked.Get(p.query)
	if _, err := signed.ReadBody(w, req, 0, s.times.body); err != nil {
		return reply{}, &bodyError{err}
	}
	var b bytes.Buffer
	if err := p.draw(s, ctx, v, &b); errors.Is(err, errNext) {
		return seeOther(signInPath), nil
	} else if err != nil {
		return reply{}, err
	}
	return htmlReply(http.StatusOK, b.Bytes()), nil
}

const signInPath = "/sign-in"

// toSignIn sends somebody to sign in who asked for a page, and remembers which.
func toSignIn(asked *url.URL) reply {
	if next := asked.RequestURI(); next != "/" && isNext(next) {
		return seeOther(signInPath + "?next=" + url.QueryEscape(next))
	}
	return seeOther(signInPath)
}

// errNext means that the address of the page to sign in on names a next one that
// cannot be: it is not for the page's script to judge.
var errNext = errors.New("there is no such page to go on to")

// isNext reports whether somebody who has signed in may be sent there: to a page
// of this safe, as its addresses are spelled. A page is in small letters; what is
// asked of it may be anything that is escaped.
func isNext(asked string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789-"
	front, query, _ := strings.Cut(asked, "?")
	return len(asked) <= maxNext && strings.HasPrefix(front, "/") && front == path.Clean(front) &&
		strings.Trim(front, letters+"/") == "" && strings.Trim(query, letters+"ABCDEFGHIJKLMNOPQRSTUVWXYZ%+*._~=&") == ""
}

// maxNext is enough for the longest name of a component, in letters that are
// escaped, and what is asked beside it.
const maxNext = 1200

func seeOther(to string) reply {
	header := pageHeader()
	header.Set("Location", to)
	return reply{status: http.StatusSeeOther, header: header}
}

// An asset is a file that pages need.
type asset struct {
	kind, tag string
	body      []byte
}

// assetKinds are what browsers are told of files, by the ends of their names.
var assetKinds = map[string]string{"": "text/plain; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}

// readAssets returns the scripts, their list, and the files of package page, by
// name.
func readAssets() map[string]asset {
	all := make(map[string]asset)
	add := func(name string, content []byte) {
		kind, known := assetKinds[path.Ext(name)]
		if !known {
			panic("it is not known what kind of file " + name + " is") // all are embedded
		}
		all[name] = asset{kind: kind, tag: strconv.Quote(safe.DigestOf(content).String()), body: content}
	}
	for _, script := range assets.Scripts() {
		add(script.Name, script.Content)
	}
	add("SHA256SUMS", []byte(assets.Sums()))
	err := fs.WalkDir(page.Static(), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := fs.ReadFile(page.Static(), name)
		add(name, b)
		return err
	})
	if err != nil {
		panic(fmt.Sprintf("the embedded files of the pages cannot be read: %v", err))
	}
	return all
}

// serve answers a request for the file. A browser keeps it, and asks each time
// whether it still is the one: so a new program never meets an old script.
func (a asset) serve(req *http.Request) reply {
	header := pageHeader()
	header.Set("Cache-Control", "no-cache")
	header.Set("ETag", a.tag)
	if req.Header.Get("If-None-Match") == a.tag {
		return reply{status: http.StatusNotModified, header: header}
	}
	return reply{status: http.StatusOK, header: header, kind: a.kind, body: a.body}
}
