package client_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/access"
	"strongroom/internal/access/accesstest"
	"strongroom/internal/access/api"
	"strongroom/internal/access/opening"
	"strongroom/internal/access/sshsig"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/spelling"
	"strongroom/internal/store/seal"
	"strongroom/internal/web/certificate"
	"strongroom/internal/web/client"
	"strongroom/internal/web/signed"
)

// A desk is a server that takes every signed request of ada and answers what a
// test says.
type desk struct {
	*httptest.Server
	store safe.StoreID
	ada   accesstest.Somebody
	auto  *certificate.Auto
}

func newDesk(t *testing.T, answer http.HandlerFunc) desk {
	t.Helper()
	d := desk{store: safe.NewStoreID(), ada: accesstest.NewPerson(t, "ada", access.Auditor)}
	var err error
	if d.auto, err = certificate.Open(filepath.Join(t.TempDir(), "tls"), []string{"127.0.0.1"}, time.Now); err != nil {
		t.Fatal(err)
	}
	verifier := signed.NewVerifier(d.store, time.Now, func(context.Context, safe.PersonName) ([]sshsig.PublicKey, error) { return d.ada.SSH, nil })
	d.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		unsigned := req.URL.Path == "/v1/enrol" || strings.HasPrefix(req.URL.Path, "/v1/recovery")
		if _, err := verifier.Check(req); (err == nil) == unsigned {
			t.Errorf("%s %s: %v", req.Method, req.URL, err)
		}
		w.Header().Set("Content-Type", "application/json")
		answer(w, req)
	}))
	d.Config.ErrorLog = log.New(io.Discard, "", 0)
	own, err := d.auto.GetCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	d.TLS = &tls.Config{Certificates: []tls.Certificate{*own}} // or httptest would show one of its own
	d.StartTLS()
	t.Cleanup(d.Close)
	return d
}

func (d desk) client(t *testing.T, change ...func(*client.Options)) *client.Client {
	t.Helper()
	opts := client.Options{URL: d.URL, CA: d.auto.CA(), Store: d.store, Person: "ada", Signer: d.ada.Signer}
	for _, f := range change {
		f(&opts)
	}
	c, err := client.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func answer(t *testing.T, w io.Writer, v any) {
	if err := json.NewEncoder(w).Encode(v); err != nil {
		t.Error(err)
	}
}

var id = safe.NewOpeningID(accesstest.Start)

// TestRequests makes each call once and looks at what is on the wire.
func TestRequests(t *testing.T) {
	var got string
	var with any
	d := newDesk(t, func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			t.Error(err)
		}
		got = strings.ReplaceAll(strings.TrimSpace(fmt.Sprintf("%s %s %s", req.Method, req.RequestURI, body)), id.String(), "ID")
		if with == nil {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		answer(t, w, with)
	})
	c, ctx := d.client(t), t.Context()
	act := ledger.Signed{Statement: "x", Signature: "y"}
	const actJSON = `{"signed":{"statement":"x","signature":"y"}}`
	check := func(want string, answer any, call func() error) {
		t.Helper()
		with = answer
		if err := call(); err != nil {
			t.Errorf("%s: %v", want, err)
		}
		if got != want {
			t.Errorf("sent %s, want %s", got, want)
		}
	}
	check("POST /v1/roster/propose "+`{"roster":"cg==","signed":{"statement":"x","signature":"y"}}`, nil, func() error { return c.Propose(ctx, []byte("r"), act) })
	check("POST /v1/roster/agree "+actJSON, nil, func() error { return c.Agree(ctx, act) })
	check("POST /v1/roster/object "+actJSON, nil, func() error { return c.Object(ctx, act) })
	check("POST /v1/people/suspend "+actJSON, nil, func() error { return c.Suspend(ctx, act) })
	check("POST /v1/openings "+actJSON, nil, func() error { return c.Request(ctx, act) })
	check("POST /v1/openings/ID/refuse "+actJSON, nil, func() error { return c.Refuse(ctx, id, act) })
	check("POST /v1/openings/ID/withdraw "+actJSON, nil, func() error { return c.Withdraw(ctx, id, act) })
	check("POST /v1/openings/ID/close "+actJSON, nil, func() error { return c.CloseOpening(ctx, id, act) })
	token, nonce := access.NewToken(), opening.NewNonce()
	challenge := api.Challenge{ID: token, Sealed: []byte("sealed")}
	tokenText, _ := token.MarshalText()
	nonceText, _ := nonce.MarshalText()
	answered := fmt.Sprintf(`{"id":%q,"nonce":%q}`, tokenText, nonceText)
	check(`POST /v1/keys/check {"role":"inner","period":2,"paper":true}`, challenge, func() error {
		ch, err := c.BeginKeyCheck(ctx, api.KeyCheck{Role: "inner", Period: 2, Paper: true})
		if !cmp.Equal(ch, challenge) {
			t.Errorf("challenge %v", ch)
		}
		return err
	})
	check("POST /v1/keys/answer "+answered, nil, func() error { return c.AnswerKeyCheck(ctx, api.Answer{ID: token, Nonce: nonce}) })
	check("GET /v1/ledger?from=7", api.Head{Checkpoint: []byte("c")}, func() error {
		h, err := c.Head(ctx, 7)
		if string(h.Checkpoint) != "c" {
			t.Errorf("head %v", h)
		}
		return err
	})
	check("GET /v1/snapshots", []api.Snapshot{{Run: safe.NewRunID(accesstest.Start), Source: "files", Tier: safe.Daily}}, func() error {
		all, err := c.Snapshots(ctx)
		if len(all) != 1 || all[0].Source != "files" {
			t.Errorf("snapshots %v", all)
		}
		return err
	})
	check("GET /v1/openings", []api.Opening{{ID: id}}, func() error {
		all, err := c.Openings(ctx)
		if len(all) != 1 || all[0].ID != id {
			t.Errorf("openings %v", all)
		}
		return err
	})
	check("GET /v1/openings/ID", api.Opening{ID: id, State: opening.Open}, func() error {
		o, err := c.Opening(ctx, id)
		if o.State != opening.Open {
			t.Errorf("opening %v", o)
		}
		return err
	})
	check("POST /v1/openings/ID/grant?known=9", api.Granted{Nonce: nonce, Grant: []byte("g")}, func() error {
		g, err := c.Grant(ctx, id, 9)
		if g.Nonce != nonce || string(g.Grant) != "g" {
			t.Errorf("granted %v", g)
		}
		return err
	})

	// What is for those whom nobody knows is not signed.
	stranger := d.client(t, func(o *client.Options) { o.Person, o.Signer = "", nil })
	check("POST /v1/recovery", challenge, func() error { _, err := stranger.BeginRecovery(ctx); return err })
	check("POST /v1/recovery/answer "+answered, api.Recovery{Ticket: token}, func() error {
		r, err := stranger.AnswerRecovery(ctx, api.Answer{ID: token, Nonce: nonce})
		if r.Ticket != token {
			t.Errorf("recovery %v", r)
		}
		return err
	})
	check(fmt.Sprintf(`POST /v1/recovery/propose {"ticket":%q,"roster":"cg=="}`, tokenText), nil, func() error { return stranger.Recover(ctx, token, []byte("r")) })
}

// TestPeople follows the versions of a roster over several answers.
func TestPeople(t *testing.T) {
	team := accesstest.NewTeam(t, "ada:keykeeper bob:operator")
	var links []access.Link
	r := team.Roster
	for range 4 {
		links = append(links, access.Link{Roster: r.Encode()})
		r = r.Next()
	}
	last := links[len(links)-1].Roster
	var asked []string
	stuck := false
	d := newDesk(t, func(w http.ResponseWriter, req *http.Request) {
		asked = append(asked, req.URL.RawQuery)
		rest := links
		switch req.URL.RawQuery {
		case "after=3":
			rest = links[2:]
		case "after=5":
			rest = nil
		}
		if stuck {
			rest = links
		}
		answer(t, w, api.Everyone{Links: rest[:min(2, len(rest))], Current: last})
	})
	e, err := d.client(t).People(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(links, e.Links); diff != "" {
		t.Errorf("links (-want +got)\n%s", diff)
	}
	if e, err = d.client(t).People(t.Context(), 5); err != nil || len(e.Links) != 0 {
		t.Errorf("%d links after the last: %v", len(e.Links), err)
	}
	if diff := cmp.Diff([]string{"", "after=3", "after=5"}, asked); diff != "" {
		t.Errorf("asked (-want +got)\n%s", diff)
	}
	stuck = true
	if _, err := d.client(t).People(t.Context(), 0); err == nil || !strings.Contains(err.Error(), "again and again") {
		t.Errorf("of a server that does not come to an end: %v", err)
	}
}

func TestEnvelopes(t *testing.T) {
	var runs []safe.RunID
	for i := range 5 {
		runs = append(runs, safe.NewRunID(accesstest.Start.Add(time.Duration(i)*time.Hour)))
	}
	pages := func() func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, req *http.Request) {
			some := []api.Envelope{}
			from := 0
			for i, run := range runs {
				if run.String() == req.URL.Query().Get("after") {
					from = i + 1
				}
			}
			for _, run := range runs[from:min(from+2, len(runs))] {
				some = append(some, api.Envelope{Run: run, Envelope: []byte("e")})
			}
			answer(t, w, some)
		}
	}
	collect := func(d desk) (got []safe.RunID, err error) {
		for e, err := range d.client(t).Envelopes(t.Context(), id) {
			if err != nil {
				return got, err
			}
			got = append(got, e.Run)
		}
		return got, nil
	}
	got, err := collect(newDesk(t, pages()))
	if diff := cmp.Diff(runs, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got)\n%s", err, diff)
	}
	for name, odd := range map[string][]api.Envelope{
		"out of order": {{Run: runs[1]}, {Run: runs[0]}},
		"repeated":     {{Run: runs[0]}, {Run: runs[0]}},
		"without run":  {{Envelope: []byte("e")}},
		"too large":    {{Run: runs[0], Envelope: make([]byte, seal.MaxEnvelope+1)}},
		"too many":     make([]api.Envelope, api.MaxEnvelopes+1),
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := collect(newDesk(t, func(w http.ResponseWriter, _ *http.Request) { answer(t, w, odd) })); err == nil {
				t.Errorf("taken: %v", got)
			}
		})
	}
	// Whoever has seen enough asks no more.
	var asked atomic.Int64
	d := newDesk(t, func(w http.ResponseWriter, req *http.Request) { asked.Add(1); pages()(w, req) })
	for range d.client(t).Envelopes(t.Context(), id) {
		break
	}
	if asked.Load() != 1 {
		t.Errorf("asked %d times", asked.Load())
	}
}

// TestAnswers has servers that answer in odd ways.
func TestAnswers(t *testing.T) {
	tests := []struct {
		name string
		say  func(w http.ResponseWriter)
		want string
	}{
		{"problem", func(w http.ResponseWriter) {
			w.WriteHeader(403)
			fmt.Fprint(w, `{"error":"not yours","remedy":"Ask bob."}`)
		}, "problem 403 not yours Ask bob."},
		{"problem of several lines", func(w http.ResponseWriter) {
			w.WriteHeader(403)
			fmt.Fprint(w, `{"error":"no\nVersion 3 is pinned.\u001b[2J","remedy":"a\r\nb"}`)
		}, "problem 403 no Version 3 is pinned.\ufffd[2J a  b"},
		{"clock", func(w http.ResponseWriter) {
			w.WriteHeader(401)
			fmt.Fprint(w, `{"error":"clock","now":"2026-11-21T02:00:00Z"}`)
		}, "clock"},
		{"problem that is none", func(w http.ResponseWriter) { w.WriteHeader(500); fmt.Fprint(w, `{}`) }, "no safe"},
		{"page", func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, `<html>`)
		}, "no safe"},
		{"page of an error", func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(502)
			fmt.Fprint(w, `<html>`)
		}, "no safe"},
		{"redirect", func(w http.ResponseWriter) {
			w.Header().Set("Location", "https://evil.example/")
			w.WriteHeader(307)
		}, "no safe"},
		{"unknown field", func(w http.ResponseWriter) { fmt.Fprint(w, `{"checkpoint":"","x":1}`) }, "does not understand"},
		{"two answers", func(w http.ResponseWriter) { fmt.Fprint(w, `{"checkpoint":""}{}`) }, "does not understand"},
		{"nothing", func(w http.ResponseWriter) {}, "does not understand"},
		{"without end", func(w http.ResponseWriter) {
			w.Write([]byte(`{"checkpoint":"`))
			for range 3 << 10 {
				if _, err := w.Write(make([]byte, 1024)); err != nil {
					return
				}
			}
		}, "answers with more than"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := newDesk(t, func(w http.ResponseWriter, _ *http.Request) { tt.say(w) })
			_, err := d.client(t).Head(t.Context(), 0)
			var problem *client.ProblemError
			var clock *client.ClockError
			got := fmt.Sprint(err)
			switch {
			case errors.As(err, &problem):
				got = fmt.Sprintf("problem %d %s %s", problem.Status, problem.Text, problem.Remedy)
			case errors.As(err, &clock):
				if !clock.Safe.Equal(accesstest.Start) {
					t.Errorf("the safe's clock says %s", clock.Safe)
				}
			}
			if err == nil || !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	d := newDesk(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "{}") })
	if err := d.client(t).Agree(t.Context(), ledger.Signed{}); err == nil {
		t.Error("an answer where none belongs is taken")
	}
	other := newDesk(t, func(w http.ResponseWriter, _ *http.Request) {
		answer(t, w, api.Opening{ID: safe.NewOpeningID(time.Now())})
	})
	if _, err := other.client(t).Opening(t.Context(), id); err == nil {
		t.Error("another opening than was asked for is taken")
	}
}

// TestBrokenConnections: a question is asked again, with a new signature, and
// something that does something is not.
func TestBrokenConnections(t *testing.T) {
	var requests atomic.Int64
	broken := int64(2)
	d := newDesk(t, func(w http.ResponseWriter, req *http.Request) {
		if requests.Add(1) <= broken {
			panic(http.ErrAbortHandler)
		}
		answer(t, w, api.Head{Checkpoint: []byte("c")})
	})
	if _, err := d.client(t).Head(t.Context(), 0); err != nil || requests.Load() != 3 {
		t.Errorf("after %d requests: %v", requests.Load(), err)
	}
	requests.Store(0)
	var unreachable *client.UnreachableError
	if err := d.client(t).Agree(t.Context(), ledger.Signed{}); !errors.As(err, &unreachable) || requests.Load() != 1 {
		t.Errorf("after %d requests: %v, want one, and UnreachableError", requests.Load(), err)
	}
	broken = 10
	requests.Store(0)
	if _, err := d.client(t).Head(t.Context(), 0); !errors.As(err, &unreachable) || requests.Load() > 6 {
		t.Errorf("after %d requests: %v, want UnreachableError", requests.Load(), err)
	}
}

// TestUnreachable: each reason is told in words of its own.
func TestUnreachable(t *testing.T) {
	d := newDesk(t, func(w http.ResponseWriter, _ *http.Request) { answer(t, w, api.Head{}) })
	other := newDesk(t, func(http.ResponseWriter, *http.Request) {})
	plain := httptest.NewUnstartedServer(http.NotFoundHandler())
	plain.Config.ErrorLog = log.New(io.Discard, "", 0)
	plain.Start()
	defer plain.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := l.Addr().String()
	l.Close()
	tests := []struct {
		name   string
		change func(*client.Options)
		want   string
	}{
		{"nobody listens", func(o *client.Options) { o.URL = "https://" + nobody }, "nothing listens there"},
		{"other safe", func(o *client.Options) { o.CA = other.auto.CA() }, "not the safe that this machine knows"},
		{"system's authorities", func(o *client.Options) { o.CA = nil }, "not the safe that this machine knows"},
		{"other name", func(o *client.Options) { o.URL = strings.Replace(d.URL, "127.0.0.1", "localhost", 1) }, "not the safe that this machine knows"},
		{"no TLS", func(o *client.Options) { o.URL = "https://" + plain.Listener.Addr().String() }, "does not speak HTTPS"},
		{"no name", func(o *client.Options) { o.URL = "https://safe.invalid:8443" }, "no address is known for the name safe.invalid"},
		{"other address", func(o *client.Options) { o.From = netip.MustParseAddr("192.0.2.1") }, "does not have the address"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := d.client(t, tt.change).Head(t.Context(), 0)
			var unreachable *client.UnreachableError
			if !errors.As(err, &unreachable) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want UnreachableError with %q", err, tt.want)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.client(t).Head(ctx, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("after Ctrl-C: %v", err)
	}
}

func TestFrom(t *testing.T) {
	var from string
	d := newDesk(t, func(w http.ResponseWriter, req *http.Request) { from = req.RemoteAddr; answer(t, w, api.Head{}) })
	if _, err := d.client(t, func(o *client.Options) { o.From = netip.MustParseAddr("127.0.0.2") }).Head(t.Context(), 0); err != nil || !strings.HasPrefix(from, "127.0.0.2:") {
		t.Errorf("came from %s: %v", from, err)
	}
}

// TestEnrol uses invitations, genuine and not.
func TestEnrol(t *testing.T) {
	var got api.Enrolling
	d := newDesk(t, func(w http.ResponseWriter, req *http.Request) {
		if err := json.NewDecoder(req.Body).Decode(&got); err != nil {
			t.Error(err)
		}
		w.WriteHeader(http.StatusNoContent)
	})
	invitation := access.Invitation{URL: d.URL, Store: d.store, Token: access.NewToken(), CA: d.auto.Fingerprint()}
	ca, err := client.Enrol(t.Context(), invitation, []byte("enrolment"), netip.Addr{})
	if err != nil || string(ca) != string(d.auto.CA()) {
		t.Errorf("authority %q, %v; want %q", ca, err, d.auto.CA())
	}
	if got.Token != invitation.Token || string(got.Enrolment) != "enrolment" {
		t.Errorf("sent %+v", got)
	}

	got = api.Enrolling{}
	for name, change := range map[string]func(*access.Invitation){
		"other fingerprint": func(i *access.Invitation) { i.CA = safe.DigestOf([]byte("another")) },
		"none":              func(i *access.Invitation) { i.CA = safe.Digest{} },
		"leaf's": func(i *access.Invitation) {
			c, err := d.auto.GetCertificate(nil)
			if err != nil {
				t.Fatal(err)
			}
			i.CA = safe.DigestOf(c.Certificate[0])
		},
		"other name": func(i *access.Invitation) { i.URL = strings.Replace(d.URL, "127.0.0.1", "localhost", 1) },
	} {
		t.Run(name, func(t *testing.T) {
			i := invitation
			change(&i)
			var unreachable *client.UnreachableError
			if ca, err := client.Enrol(t.Context(), i, []byte("enrolment"), netip.Addr{}); !errors.As(err, &unreachable) || ca != nil {
				t.Errorf("%q, %v; want UnreachableError", ca, err)
			}
		})
	}

	// Somebody between has a certificate of their own and shows the safe's
	// authority beside it, which everybody can have.
	own, err := certificate.Open(filepath.Join(t.TempDir(), "tls"), []string{"127.0.0.1"}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	mallory, err := own.GetCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	genuine, err := d.auto.GetCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	between := httptest.NewUnstartedServer(http.NotFoundHandler())
	between.Config.ErrorLog = log.New(io.Discard, "", 0)
	between.TLS = &tls.Config{Certificates: []tls.Certificate{{
		Certificate: [][]byte{mallory.Certificate[0], genuine.Certificate[len(genuine.Certificate)-1]}, PrivateKey: mallory.PrivateKey}}}
	between.StartTLS()
	defer between.Close()
	invitation.URL = between.URL
	if ca, err := client.Enrol(t.Context(), invitation, []byte("enrolment"), netip.Addr{}); err == nil || ca != nil {
		t.Errorf("from somebody between: %q, %v", ca, err)
	}
	if got.Enrolment != nil {
		t.Errorf("the token was sent although nothing was right: %+v", got)
	}
}

func TestNewRefuses(t *testing.T) {
	for _, url := range []string{"", "safe.example.com", "http://safe.example.com", "https://", "https://me:pw@safe", "https://safe/v1", "https://safe?x=y", "https://safe#x", "https://safe:port"} {
		if _, err := client.New(client.Options{URL: url}); err == nil {
			t.Errorf("%q is taken for a safe", url)
		}
	}
	if _, err := client.New(client.Options{URL: "https://safe:8443", CA: []byte("no certificate")}); err == nil {
		t.Error("a certificate that is none is taken")
	}
}

func TestClockErrorSaysWhich(t *testing.T) {
	at := accesstest.Start
	for want, e := range map[string]client.ClockError{
		"10m0s ahead of": {Here: at.Add(10 * time.Minute), Safe: at},
		"10m0s behind":   {Here: at.Add(-10 * time.Minute), Safe: at},
	} {
		if !strings.Contains(e.Error(), want) {
			t.Errorf("%q does not say %q", e.Error(), want)
		}
	}
}

// FuzzAnswers reads answers of all kinds. What is read can be told again.
func FuzzAnswers(f *testing.F) {
	for _, v := range []any{
		api.Head{Checkpoint: []byte("c")}, api.Problem{Error: "clock", Now: accesstest.Start}, api.Everyone{Current: []byte("r")},
		[]api.Snapshot{{Run: safe.NewRunID(accesstest.Start), Source: "files"}}, api.Challenge{}, nil,
	} {
		b, err := json.Marshal(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, into := range []any{
			new(api.Everyone), new([]api.Snapshot), new([]api.Opening), new(api.Granted), new([]api.Envelope),
			new(api.Recovery), new(api.Problem), new(api.Head), new(api.Challenge),
		} {
			if spelling.Decode(b, into) != nil {
				continue
			}
			// A key that is missing has no text; all else has.
			if _, err := json.Marshal(into); err != nil && !strings.Contains(err.Error(), "an SSH key is missing") {
				t.Errorf("%T is read from %q and cannot be written: %v", into, b, err)
			}
		}
	})
}
