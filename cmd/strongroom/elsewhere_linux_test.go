package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/access"
	"strongroom/internal/access/accesstest"
	"strongroom/internal/access/api"
	"strongroom/internal/access/keyring"
	"strongroom/internal/access/opening"
	"strongroom/internal/safe"
	"strongroom/internal/store/seal"
	"strongroom/internal/web/certificate"
)

// TestReleaseFromAnotherHost has a keykeeper release on the page that the
// operator's program has written for another host, at a real safe with somebody
// in between who has root on the safe's host. Whatever that one changes of what
// the safe answers, the page says what is wrong and releases nothing; what they
// change of the safe's own pages and scripts, it does not load.
func TestReleaseFromAnotherHost(t *testing.T) {
	if testing.Short() {
		t.Skip("what people do takes a while")
	}
	page, strange := newOtherHost(t), newOtherHost(t)
	s := newSite(t, page.origin)
	root := s.takeOver()
	ada := s.guestAt("ada", root.at, map[string]netip.AddrPort{page.name: page.at, strange.name: strange.at})
	ada.enrol("Make the outer key")
	s.enrol("bob", "operator", "--role-key", s.inner)
	ada.founds(lastWords(t, s.as("bob", "people", "add", "ada", "bob", "--yes", "--words", "ada="+ada.words)))
	s.as("safe", "collect", "erp-files")
	s.as("bob", "opening", "request", "--snapshot", "erp-files", "--hours", "2", "--reason", "disk array lost")
	link := s.mailed("ada@acme.example", "bob asks to read erp-files")
	wanted := strings.TrimPrefix(link, s.origin+"/openings/")

	s.as("bob", "web", "export", "page", "--url", s.origin)
	page.serve(s)
	strange.serve(s)

	// Scripts of root's own make the safe's own pages theirs.
	scripts := func(route string, answer []byte) []byte {
		if strings.HasPrefix(route, "GET /assets/") && strings.HasSuffix(route, ".js") {
			return []byte(`document.title = "taken over"`)
		}
		return answer
	}
	root.answer(scripts)
	ada.Go(s.origin + "/sign-in")
	ada.Wait(`document.title === "taken over"`)

	before := 0
	for _, lie := range root.lies(wanted) {
		t.Run(lie.name, func(t *testing.T) {
			root.answer(append(lie.forgeries, scripts)...)
			said, gone := ada.releasesAt(page.origin, wanted)
			if before == 0 {
				before = len(root.heard()) // the icon of the page before may have come late
			}
			if !strings.Contains(said, lie.want) || gone != lie.gone {
				t.Errorf("after pressing %s the page says %q, want %q after %s", gone, said, lie.want, lie.gone)
			}
		})
	}
	if said, gone := ada.releasesAt(strange.origin, wanted); !strings.Contains(said, "The safe cannot be reached at "+s.origin) || gone != "#sign-in" {
		t.Errorf("a page at an origin that the safe does not know says %q after pressing %s", said, gone)
	}
	if shown := s.as("bob", "opening", "show"); !strings.Contains(shown, "requested") || slices.ContainsFunc(root.heard(), func(route string) bool { return strings.HasSuffix(route, "/release") }) {
		t.Fatalf("something was released:\n%s%q", shown, root.heard())
	}

	root.answer(scripts)
	complaints := len(ada.Complaints())
	if said, gone := ada.releasesAt(page.origin, wanted); gone != "#release-button" || !strings.Contains(ada.Text("#ended"), "It is released.") {
		t.Fatalf("the page says %q after pressing %s", said, gone)
	}

	gate := regexp.MustCompile(`sftp://\S+`).FindString(s.as("bob", "opening", "show"))
	s.as("bob", "restore", "erp-files", "--from", gate, "--to", "out")
	if diff := cmp.Diff(tree(t, s.data), tree(t, filepath.Join(s.root, "bob", "out", s.data))); diff != "" {
		t.Errorf("restored (-want +got)\n%s", diff)
	}
	ada.Press("Look at what else waits")
	ada.Press("Close or prolong")
	ada.Fill("#reason", "bob has it all back")
	ada.Press("Close it")
	ada.says("#ended", "It is closed.")
	ada.keep()

	for _, route := range root.heard()[before:] {
		if _, path, _ := strings.Cut(route, " "); !strings.HasPrefix(path, "/v1/") {
			t.Errorf("the page has loaded something of the safe: %s", route)
		}
	}
	page.wasOnlyRead(t)
	if more := ada.Complaints()[complaints:]; len(more) > 0 {
		t.Errorf("the browser complains: %q", more)
	}
	ledger := s.as("safe", "ledger", "show")
	if !regexp.MustCompile(`(?s)opening\.released +ada.*opening\.closed +ada .*bob has it all back`).MatchString(ledger) {
		t.Errorf("the ledger tells\n%s", ledger)
	}
	s.as("safe", "ledger", "verify")
	s.knowsNothing(ada)
}

// releasesAt has the guest release an opening on a page at that origin, as far
// as the page lets them. It returns what the page says is wrong, and the button
// that was pressed last.
func (g *guest) releasesAt(origin, opening string) (said, pressed string) {
	g.s.t.Helper()
	g.Go(fmt.Sprintf("%s/?%d#opening=%s", origin, len(g.Sent()), opening)) // another address each time, so that it is loaded anew
	g.Choose(g.name + " at acme")
	steps := []string{"#sign-in", "#look", "#release-button", "#ended"}
	for i, button := range steps[:3] {
		g.Click(button)
		g.Wait(fmt.Sprintf(`document.querySelector("#release-status").innerText !== "" || document.querySelector(%q)`, steps[i+1]))
		said, pressed = g.Text("#release-status"), button
		if said != "" {
			break
		}
	}
	g.keep()
	return said, pressed
}

// A lie is what root has the safe answer, and what the page says of it after
// which button.
type lie struct {
	name       string
	forgeries  []forgery
	want, gone string
}

// lies are those of which the page must notice each, for an opening that was
// asked for.
func (h *takenOver) lies(wanted string) []lie {
	t := h.s.t
	roster := func(how func(*access.Roster)) []forgery {
		return []forgery{forge(t, "GET /v1/people", func(e *api.Everyone) {
			r, err := access.ParseRoster(e.Current)
			if err != nil {
				t.Error(err)
				return
			}
			how(&r)
			e.Current = r.Encode()
		})}
	}
	granted := func(how func(*api.Granted, *opening.Grant)) forgery {
		return forge(t, "POST /v1/openings/"+wanted+"/grant", func(g *api.Granted) {
			grant, err := opening.ParseGrant(g.Grant)
			if err != nil {
				t.Error(err)
				return
			}
			how(g, &grant)
			g.Grant = grant.Encode()
		})
	}
	session := func(how func(*api.Session)) []forgery { return []forgery{forge(t, "GET /v1/session", how)} }
	mallory := accesstest.NewTeam(t, "bob:operator kim:keykeeper")
	bob := mallory.People["bob"]

	// An envelope that root can open, of a run that the snapshot refers to.
	var planted []byte
	plant := []forgery{
		granted(func(g *api.Granted, grant *opening.Grant) {
			d, err := safe.ParseSnapshot(g.Snapshots[0].Description)
			if err != nil {
				t.Error(err)
				return
			}
			label := seal.Label{Store: d.Store, Run: d.Run, Source: d.Source, Time: d.Started, Roster: 2}
			if planted, _, err = seal.NewEnvelope(label, mallory.Outer.Recipient(), mallory.Inner.Recipient()); err != nil {
				t.Error(err)
				return
			}
			packs := d.Runs[d.Run]
			packs.Envelope = safe.DigestOf(planted)
			d.Runs[d.Run] = packs
			g.Snapshots[0].Description = d.Encode()
			grant.Snapshots[0].Description = safe.DigestOf(d.Encode())
		}),
		forge(t, "GET /v1/openings/"+wanted+"/envelopes", func(all *[]api.Envelope) { (*all)[0].Envelope = planted }),
	}

	return []lie{
		{"the session is of another safe", session(func(s *api.Session) { s.Store = safe.NewStoreID() }), "answers another safe", "#sign-in"},
		{"the session is of another domain", session(func(s *api.Session) { s.Domain = "keys.safe.test" }), "answers another safe", "#sign-in"},
		{"the session is of somebody else", session(func(s *api.Session) { s.Person = "bob" }), "says that you are bob, whose passkey is not the one", "#sign-in"},
		{"another roster", roster(func(r *access.Roster) {
			i := slices.IndexFunc(r.People, func(p access.Person) bool { return p.Name == "bob" })
			r.People[i].SSH = bob.SSH
		}), "shows another roster than version 2", "#sign-in"},
		{"a newer roster", roster(func(r *access.Roster) { *r = r.Next() }), "version 3 of its roster is in force", "#sign-in"},
		{"another person's keyring", []forgery{forge(t, "GET /v1/keyring", func(k *api.Keyring) {
			k.Keyring = bytes.Replace(k.Keyring, []byte(`"person":"ada"`), []byte(`"person":"kim"`), 1)
		})}, "hands out another person's keyring", "#sign-in"},
		{"another address", []forgery{granted(func(_ *api.Granted, g *opening.Grant) { g.Address = netip.MustParseAddr("127.0.0.9") })},
			"names another operator, address or reason", "#look"},
		{"another key for the gate", []forgery{granted(func(_ *api.Granted, g *opening.Grant) { g.Key = bob.SSH[0] })},
			"no SSH key of bob has signed the request", "#look"},
		{"another key for the gate, and a request signed with it", []forgery{granted(func(g *api.Granted, grant *opening.Grant) {
			asked, err := access.ParseStatement([]byte(g.Request.Statement))
			if err != nil {
				t.Error(err)
				return
			}
			g.Request, grant.Key = bob.States(t, asked.Store, asked.Time, asked.Act), bob.SSH[0]
		})}, "no SSH key of bob has signed the request", "#look"},
		{"what the passkey has wrapped, damaged", []forgery{forge(t, "GET /v1/keyring", func(k *api.Keyring) {
			ring, err := keyring.Parse(k.Keyring)
			if err != nil {
				t.Error(err)
				return
			}
			ring.Personal[len(ring.Personal)-1] ^= 1
			for i := range ring.Periods {
				ring.Periods[i].Sealed[len(ring.Periods[i].Sealed)-1] ^= 1
			}
			k.Keyring = ring.Encode()
		})}, "does not open", "#release-button"},
		{"another envelope", []forgery{forge(t, "GET /v1/openings/"+wanted+"/envelopes", func(all *[]api.Envelope) { (*all)[0].Envelope[9] ^= 1 })},
			"is not the one that the snapshot's description names", "#release-button"},
		{"an envelope with root's key, and a description of it", plant, "opens with none of your keys", "#release-button"},
	}
}

// A forgery is what root makes of the answer to a route.
type forgery func(route string, answer []byte) []byte

// forge changes the answer to one route. It runs beside the test.
func forge[T any](t *testing.T, route string, how func(*T)) forgery {
	return func(asked string, answer []byte) []byte {
		if asked != route {
			return answer
		}
		var v T
		if err := json.Unmarshal(answer, &v); err != nil {
			t.Errorf("the safe answers %s with %.200q: %v", asked, answer, err)
			return answer
		}
		how(&v)
		b, err := json.Marshal(v)
		if err != nil {
			t.Error(err)
		}
		return b
	}
}

// A takenOver safe's host has somebody with root, who stands between browsers
// and the safe with the safe's own certificate.
type takenOver struct {
	s  *site
	at netip.AddrPort

	mu        sync.Mutex // guards what follows
	from      netip.Addr // where the safe sees browsers come from
	forgeries []forgery
	routes    []string
}

// takeOver takes the safe's host over. For now, all is passed on as it is.
func (s *site) takeOver() *takenOver {
	s.t.Helper()
	know, err := certificate.Trust(s.auto.CA())
	s.must(err)
	h := &takenOver{s: s, from: netip.MustParseAddr("127.0.1.1")}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "https", Host: s.listen.String()})
			r.Out.Host = r.In.Host
			for _, name := range []string{"Accept-Encoding", "If-None-Match", "If-Modified-Since"} { // whole answers, as they are
				r.Out.Header.Del(name)
			}
		},
		Transport: &http.Transport{TLSClientConfig: know, DisableKeepAlives: true, DisableCompression: true, DialContext: h.dial},
		ModifyResponse: func(r *http.Response) error {
			answer, err := io.ReadAll(r.Body)
			if err != nil {
				return err
			}
			answer = h.change(r.Request.Method+" "+r.Request.URL.Path, answer)
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(answer)), int64(len(answer))
			r.Header.Set("Content-Length", strconv.Itoa(len(answer)))
			return nil
		},
	}
	server := httptest.NewUnstartedServer(proxy)
	server.TLS = certificate.Server(s.auto.GetCertificate)
	server.StartTLS()
	s.t.Cleanup(server.Close)
	h.at = netip.MustParseAddrPort(server.Listener.Addr().String())
	return h
}

func (h *takenOver) dial(ctx context.Context, network, address string) (net.Conn, error) {
	h.mu.Lock()
	from := h.from
	h.mu.Unlock()
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))}
	return d.DialContext(ctx, network, address)
}

func (h *takenOver) change(route string, answer []byte) []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.routes = append(h.routes, route)
	for _, f := range h.forgeries {
		answer = f(route, answer)
	}
	return answer
}

// answer has the safe answer with these forgeries from now on, to browsers from
// somewhere else: nobody here waits until strangers of one network may try once
// more.
func (h *takenOver) answer(forgeries ...forgery) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.forgeries, h.from = forgeries, h.from.Next()
}

// heard returns all that browsers have asked so far.
func (h *takenOver) heard() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.routes)
}

// An otherHost is one that has a release page, with a web server that knows
// nothing but files.
type otherHost struct {
	origin, name string // name has the port, too
	at           netip.AddrPort
	listener     net.Listener
	names        []string // of the files

	mu    sync.Mutex // guards asked
	asked []string
}

func newOtherHost(t *testing.T) *otherHost {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() }) // if it did not come to serving
	at := netip.MustParseAddrPort(l.Addr().String())
	name := fmt.Sprintf("keys.safe.test:%d", at.Port())
	return &otherHost{origin: "https://" + name, name: name, at: at, listener: l}
}

var addHeader = regexp.MustCompile(`(?m)^ +add_header (\S+) "(.*)" always;$`)

// serve serves what bob has exported, with the headers of its nginx.conf.
func (o *otherHost) serve(s *site) {
	s.t.Helper()
	folder := filepath.Join(s.root, "bob", "page")
	entries, err := os.ReadDir(folder)
	s.must(err)
	for _, e := range entries {
		o.names = append(o.names, e.Name())
	}
	conf, err := os.ReadFile(filepath.Join(folder, "nginx.conf"))
	s.must(err)
	headers := addHeader.FindAllSubmatch(conf, -1)
	if len(headers) < 5 {
		s.t.Fatalf("nginx.conf sends %d headers:\n%s", len(headers), conf)
	}
	files := http.FileServer(http.Dir(folder))
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.mu.Lock()
		o.asked = append(o.asked, r.Method+" "+r.URL.Path)
		o.mu.Unlock()
		for _, h := range headers {
			w.Header().Set(string(h[1]), string(h[2]))
		}
		files.ServeHTTP(w, r)
	}))
	server.Listener.Close() // it has one by itself
	server.Listener = o.listener
	server.TLS = certificate.Server(s.auto.GetCertificate) // of another name; the browser takes it
	server.StartTLS()
	s.t.Cleanup(server.Close)
}

// wasOnlyRead fails the test if browsers have asked for something else than the
// files.
func (o *otherHost) wasOnlyRead(t *testing.T) {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, asked := range o.asked {
		if name, ok := strings.CutPrefix(asked, "GET /"); !ok || name != "" && !slices.Contains(o.names, name) {
			t.Errorf("the host of the page is asked %s", asked)
		}
	}
	if len(o.asked) == 0 {
		t.Error("nobody has read the page")
	}
}
