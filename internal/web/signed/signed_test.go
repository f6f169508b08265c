package signed

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"strongroom/internal/access/sshsig"
	"strongroom/internal/safe"
)

var (
	store = safe.StoreID{1, 2, 3}
	start = time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)
)

func newSigner(t testing.TB) (ssh.Signer, sshsig.PublicKey) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	key, err := sshsig.PublicKeyOf(signer.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	return signer, key
}

// A scene is a safe with two people and a clock.
type scene struct {
	*Verifier
	ana, anaOld, ben ssh.Signer
	anaKey           sshsig.PublicKey
	now              atomic.Pointer[time.Time]
	lookups          atomic.Int64
}

func newScene(t testing.TB) *scene {
	t.Helper()
	s := &scene{}
	var benKey, old sshsig.PublicKey
	s.ana, s.anaKey = newSigner(t)
	s.ben, benKey = newSigner(t)
	s.anaOld, old = newSigner(t)
	s.set(start)
	s.Verifier = NewVerifier(store, func() time.Time { return *s.now.Load() }, func(_ context.Context, person safe.PersonName) ([]sshsig.PublicKey, error) {
		s.lookups.Add(1)
		switch person {
		case "ana":
			return []sshsig.PublicKey{old, s.anaKey}, nil
		case "ben":
			return []sshsig.PublicKey{benKey}, nil
		case "broken":
			return nil, context.DeadlineExceeded
		}
		return nil, nil
	})
	return s
}

func (s *scene) set(now time.Time) { s.now.Store(&now) }

// signed returns a request as the server sees it, signed at a time.
func (s *scene) signed(t testing.TB, person safe.PersonName, signer ssh.Signer, at time.Time) *http.Request {
	t.Helper()
	body := []byte("the body")
	req := httptest.NewRequest("POST", "/v1/openings?dry=1", bytes.NewReader(body))
	if err := Sign(req, body, store, person, signer, at); err != nil {
		t.Fatal(err)
	}
	return req
}

func TestCheck(t *testing.T) {
	s := newScene(t)
	got, err := s.Check(s.signed(t, "ana", s.ana, start.Add(300*time.Millisecond)))
	want := Claim{Person: "ana", Key: s.anaKey, Body: safe.DigestOf([]byte("the body")), Time: start}
	if err != nil || got != want {
		t.Errorf("Check = %+v, %v, want %+v", got, err, want)
	}
}

// TestRefused alters one part at a time. What a stranger can do is answered in
// the same words each time.
func TestRefused(t *testing.T) {
	stranger, _ := newSigner(t)
	replace := func(old, new string) func(*scene, *http.Request) {
		return func(_ *scene, r *http.Request) {
			h := r.Header.Get(Header)
			if altered := strings.Replace(h, old, new, 1); altered != h {
				r.Header.Set(Header, altered)
				return
			}
			panic(h + " has no " + old)
		}
	}
	resign := func(person safe.PersonName, signer func(*scene) ssh.Signer) func(*scene, *http.Request) {
		return func(s *scene, r *http.Request) { *r = *s.signed(t, person, signer(s), start) }
	}
	tests := []struct {
		name  string
		alter func(*scene, *http.Request)
		cause string
	}{
		{"method", func(_ *scene, r *http.Request) { r.Method = "PUT" }, "not one of this message"},
		{"method of other letters", func(_ *scene, r *http.Request) { r.Method = "post" }, "not one in capitals"},
		{"path", func(_ *scene, r *http.Request) { r.RequestURI = "/v1/opening?dry=1" }, "not one of this message"},
		{"query", func(_ *scene, r *http.Request) { r.RequestURI = "/v1/openings?dry=0" }, "not one of this message"},
		{"no query", func(_ *scene, r *http.Request) { r.RequestURI = "/v1/openings" }, "not one of this message"},
		{"escaped path", func(_ *scene, r *http.Request) { r.RequestURI = "/v1/%6fpenings?dry=1" }, "not one of this message"},
		{"absolute", func(_ *scene, r *http.Request) { r.RequestURI = "https://safe/v1/openings?dry=1" }, "begins with /"},
		{"line break", func(_ *scene, r *http.Request) { r.RequestURI = "/v1/openings?dry=1\nbody x" }, "plain characters"},
		{"long path", func(_ *scene, r *http.Request) { r.RequestURI = "/" + strings.Repeat("x", maxTarget) }, "plain characters"},
		{"store", func(s *scene, _ *http.Request) { s.store = safe.StoreID{9} }, "not one of this message"},
		{"body", replace("body="+safe.DigestOf([]byte("the body")).String(), "body="+safe.DigestOf(nil).String()), "not one of this message"},
		{"time", replace("T02:00:00Z", "T02:00:01Z"), "not one of this message"},
		{"nonce", func(_ *scene, r *http.Request) {
			c, _ := parseClaim(r.Header.Get(Header))
			c.nonce[15]++
			r.Header.Set(Header, c.String())
		}, "not one of this message"},
		{"person", replace("person=ana", "person=ben"), "not one of this message"},
		{"namespace", func(s *scene, r *http.Request) {
			c, _ := parseClaim(r.Header.Get(Header))
			message, _ := c.message(store, r.Method, r.RequestURI)
			c.signature, _ = sshsig.Sign(s.ana, "strongroom/v1/other", message)
			r.Header.Set(Header, c.String())
		}, "for the purpose"},
		{"key of another person", resign("ana", func(s *scene) ssh.Signer { return s.ben }), "ana has no SSH key"},
		{"key of nobody", resign("ana", func(*scene) ssh.Signer { return stranger }), "ana has no SSH key"},
		{"person whom nobody knows", resign("eve", func(*scene) ssh.Signer { return stranger }), "eve has no SSH key"},
		{"person whom nobody knows, key of another", resign("eve", func(s *scene) ssh.Signer { return s.ana }), "eve has no SSH key"},
		{"stranger whose clock is off", func(s *scene, r *http.Request) { *r = *s.signed(t, "ana", stranger, start.Add(time.Hour)) }, "ana has no SSH key"},
		{"no header", func(_ *scene, r *http.Request) { r.Header.Del(Header) }, "0 headers"},
		{"two headers", func(_ *scene, r *http.Request) { r.Header.Add(Header, r.Header.Get(Header)) }, "2 headers"},
		{"empty header", func(_ *scene, r *http.Request) { r.Header.Set(Header, "") }, "not of the form"},
		{"oversized header", func(_ *scene, r *http.Request) {
			r.Header.Set(Header, r.Header.Get(Header)+strings.Repeat("A", maxHeader))
		}, "characters, at most"},
		{"signature of nothing", func(_ *scene, r *http.Request) {
			h, _, _ := strings.Cut(r.Header.Get(Header), "sig=")
			r.Header.Set(Header, h+"sig=AAAA")
		}, "SSHSIG"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newScene(t)
			req := s.signed(t, "ana", s.ana, start)
			tt.alter(s, req)
			_, err := s.Check(req)
			var refused *RefusedError
			if !errors.As(err, &refused) {
				t.Fatalf("Check = %v, want a RefusedError", err)
			}
			if !strings.Contains(refused.Cause.Error(), tt.cause) {
				t.Errorf("the cause is %q, want %q", refused.Cause, tt.cause)
			}
			if err.Error() != (&RefusedError{}).Error() {
				t.Errorf("a stranger is told %q", err)
			}
			if len(s.seen) != 0 {
				t.Errorf("the request is remembered")
			}
		})
	}
}

func TestLookupFails(t *testing.T) {
	s := newScene(t)
	_, err := s.Check(s.signed(t, "broken", s.ana, start))
	var refused *RefusedError
	if !errors.Is(err, context.DeadlineExceeded) || errors.As(err, &refused) {
		t.Errorf("Check = %v, want the failure", err)
	}
	// Who cannot sign at all does not get so far.
	req := s.signed(t, "broken", s.ana, start)
	req.Method = "GET"
	before := s.lookups.Load()
	if _, err := s.Check(req); !errors.As(err, &refused) || s.lookups.Load() != before {
		t.Errorf("Check = %v after %d lookups", err, s.lookups.Load()-before)
	}
}

// TestWindow moves both clocks. Offsets are those of the sender.
func TestWindow(t *testing.T) {
	const late = time.Hour // after the safe was started
	tests := []struct {
		off  time.Duration
		says string // "" if the request is taken
	}{
		{0, ""},
		{-Window, ""},
		{-Window - time.Second, "is 5m1s behind the safe's, which says 2026-11-21T03:00:00Z"},
		{Window, ""},
		{Window + time.Second, "is 5m1s ahead of the safe's"},
		{-24 * time.Hour, "is 24h0m0s behind"},
		{365 * 24 * time.Hour, "is 8760h0m0s ahead of"},
	}
	for _, tt := range tests {
		s := newScene(t)
		s.set(start.Add(late))
		req := s.signed(t, "ana", s.ana, start.Add(late+tt.off))
		_, err := s.Check(req)
		var clock *ClockError
		switch {
		case tt.says == "" && err != nil:
			t.Errorf("off by %s: %v", tt.off, err)
		case tt.says != "" && (!errors.As(err, &clock) || !strings.Contains(err.Error(), tt.says)):
			t.Errorf("off by %s: Check = %v, want %q", tt.off, err, tt.says)
		case tt.says != "" && !(clock.Safe.Equal(start.Add(late)) && clock.Sent.Equal(start.Add(late+tt.off))):
			t.Errorf("off by %s: the error has %s and %s", tt.off, clock.Safe, clock.Sent)
		}
		if tt.says != "" {
			continue
		}
		// As long as its time is in the window, the request is remembered; and
		// then it is too old.
		for _, later := range []time.Duration{0, time.Second, Window - time.Second, Window, Window + time.Second, 2 * Window, 2*Window + time.Second, 24 * time.Hour} {
			s.set(start.Add(late + later))
			other := s.signed(t, "ana", s.ana, start.Add(late+later)) // has the memory swept
			if _, err := s.Check(other); err != nil {
				t.Errorf("another request, %s later: %v", later, err)
			}
			if _, err := s.Check(req); err == nil {
				t.Errorf("off by %s: taken again %s later", tt.off, later)
			}
		}
	}
}

func TestReplay(t *testing.T) {
	t.Run("again", func(t *testing.T) {
		s := newScene(t)
		req := s.signed(t, "ana", s.ana, start)
		if _, err := s.Check(req); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Check(req); !errors.Is(err, ErrReplayed) {
			t.Errorf("Check = %v, want ErrReplayed", err)
		}
	})
	t.Run("signed before the start", func(t *testing.T) {
		s := newScene(t)
		if _, err := s.Check(s.signed(t, "ana", s.ana, start.Add(-time.Second))); !errors.Is(err, ErrReplayed) {
			t.Errorf("Check = %v, want ErrReplayed", err)
		}
	})
	t.Run("after the clock was turned back", func(t *testing.T) {
		s := newScene(t)
		s.set(start.Add(time.Hour))
		req := s.signed(t, "ana", s.ana, start.Add(time.Hour))
		if _, err := s.Check(req); err != nil {
			t.Fatal(err)
		}
		s.set(start.Add(2 * time.Hour))
		if _, err := s.Check(s.signed(t, "ana", s.ana, start.Add(2*time.Hour))); err != nil {
			t.Fatal(err)
		}
		if n := len(s.seen[s.anaKey]); n != 1 {
			t.Errorf("%d requests are remembered, want the last", n)
		}
		s.set(start.Add(time.Hour))
		if _, err := s.Check(req); !errors.Is(err, ErrReplayed) {
			t.Errorf("Check = %v, want ErrReplayed", err)
		}
	})
}

func TestTooMany(t *testing.T) {
	s := newScene(t)
	for i := range maxNonces {
		c := claim{person: "ana", time: start, nonce: nonce{byte(i), byte(i >> 8)}}
		if err := s.once(c, s.anaKey); err != nil {
			t.Fatal(i, err)
		}
	}
	if _, err := s.Check(s.signed(t, "ana", s.ana, start)); !errors.Is(err, ErrTooMany) {
		t.Errorf("Check = %v, want ErrTooMany", err)
	}
	if _, err := s.Check(s.signed(t, "ben", s.ben, start)); err != nil {
		t.Errorf("another person: %v", err)
	}
	// As whoever has stolen ana's newest key cannot keep her from suspending it.
	if _, err := s.Check(s.signed(t, "ana", s.anaOld, start)); err != nil {
		t.Errorf("another key of the same person: %v", err)
	}
	later := start.Add(Window + time.Second)
	s.set(later)
	if _, err := s.Check(s.signed(t, "ana", s.ana, later)); err != nil {
		t.Errorf("when the window has passed: %v", err)
	}
}

// TestOnceAmongMany sends the same requests from several sides: each is taken
// exactly once.
func TestOnceAmongMany(t *testing.T) {
	s := newScene(t)
	var requests []*http.Request
	for range 20 {
		requests = append(requests, s.signed(t, "ana", s.ana, start), s.signed(t, "ben", s.ben, start))
	}
	var taken, replayed atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for _, req := range requests {
				switch _, err := s.Check(req); {
				case err == nil:
					taken.Add(1)
				case errors.Is(err, ErrReplayed):
					replayed.Add(1)
				default:
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if taken.Load() != 40 || replayed.Load() != 7*40 {
		t.Errorf("%d taken, %d replayed, want 40 and 280", taken.Load(), replayed.Load())
	}
}

// TestServer sends requests over real connections of both versions of HTTP.
func TestServer(t *testing.T) {
	const limit = 1000
	s := newScene(t)
	mux := http.NewServeMux()
	mux.HandleFunc("/v1/", func(w http.ResponseWriter, req *http.Request) {
		claim, err := s.Check(req)
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		b, err := claim.ReadBody(w, req, limit, 10*time.Second)
		var large *http.MaxBytesError
		switch {
		case errors.As(err, &large):
			http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		case err != nil:
			http.Error(w, err.Error(), http.StatusBadRequest)
		default:
			fmt.Fprintf(w, "%s %s: %d bytes", claim.Person, req.Proto, len(b))
		}
	})
	for _, http2 := range []bool{false, true} {
		server := httptest.NewUnstartedServer(mux)
		server.EnableHTTP2 = http2
		server.StartTLS()
		defer server.Close()
		proto := map[bool]string{false: "HTTP/1.1", true: "HTTP/2.0"}[http2]
		tests := []struct {
			name         string
			method, path string
			signed, sent string
			chunked      bool
			status       int
			answer       string
		}{
			{"get", "GET", "/v1/x?a=b&c=%2F%20;", "", "", false, 200, "ana " + proto + ": 0 bytes"},
			{"post", "POST", "/v1/%7Ex/%2e", "hello", "hello", false, 200, "ana " + proto + ": 5 bytes"},
			{"chunked", "POST", "/v1/", "hello", "hello", true, 200, "ana " + proto + ": 5 bytes"},
			{"largest", "POST", "/v1/", strings.Repeat("x", limit), strings.Repeat("x", limit), true, 200, "1000 bytes"},
			{"too large", "POST", "/v1/", strings.Repeat("x", limit+1), strings.Repeat("x", limit+1), false, 413, "has 1001 bytes"},
			{"too large, chunked", "POST", "/v1/", strings.Repeat("x", limit+1), strings.Repeat("x", limit+1), true, 413, "too large"},
			{"other body", "POST", "/v1/", "hello", "hallo", false, 400, "not the one that was signed"},
			{"body where none was signed", "POST", "/v1/", "", "hello", true, 400, "not the one that was signed"},
			{"shorter", "POST", "/v1/", "hello", "hell", false, 400, "not the one that was signed"},
		}
		for _, tt := range tests {
			t.Run(proto+" "+tt.name, func(t *testing.T) {
				var body io.Reader = strings.NewReader(tt.sent)
				if tt.chunked {
					body = io.MultiReader(body)
				}
				req, err := http.NewRequest(tt.method, server.URL+tt.path, body)
				if err != nil {
					t.Fatal(err)
				}
				if err := Sign(req, []byte(tt.signed), store, "ana", s.ana, start); err != nil {
					t.Fatal(err)
				}
				res, err := server.Client().Do(req)
				if err != nil {
					t.Fatal(err)
				}
				defer res.Body.Close()
				answer, err := io.ReadAll(res.Body)
				if err != nil || res.StatusCode != tt.status || !strings.Contains(string(answer), tt.answer) {
					t.Errorf("answered %s %q, %v, want %d %q", res.Status, answer, err, tt.status, tt.answer)
				}
			})
		}
	}
}

// TestBodyNeedsDeadline: behind a writer that cannot set one, a body that never
// comes would hold the handler for ever.
func TestBodyNeedsDeadline(t *testing.T) {
	w := httptest.NewRecorder()
	if _, err := (Claim{Body: safe.DigestOf(nil)}).ReadBody(w, httptest.NewRequest("POST", "/", strings.NewReader("")), 10, time.Second); !errors.Is(err, http.ErrNotSupported) {
		t.Errorf("ReadBody = %v, want ErrNotSupported", err)
	}
}

func TestSignRefuses(t *testing.T) {
	ana, _ := newSigner(t)
	for _, req := range []*http.Request{
		httptest.NewRequest("GET", "/"+strings.Repeat("x", maxTarget), nil),
		{Method: "get", URL: httptest.NewRequest("GET", "/", nil).URL, Header: http.Header{}},
	} {
		if err := Sign(req, nil, store, "ana", ana, start); err == nil || req.Header.Get(Header) != "" {
			t.Errorf("Sign(%s %.20s) = %v", req.Method, req.URL, err)
		}
	}
}

func FuzzParseClaim(f *testing.F) {
	s := newScene(f)
	f.Add(s.signed(f, "ana", s.ana, start).Header.Get(Header))
	f.Add("person=ana, time=2026-02-30T02:00:00Z, nonce=00000000000000000000000000000000, body=" + strings.Repeat("0", 64) + ", sig=AAAA")
	f.Fuzz(func(t *testing.T, header string) {
		c, err := parseClaim(header)
		if err == nil && c.String() != header {
			t.Errorf("%q is written as %q", header, c)
		}
		if err == nil {
			req := httptest.NewRequest("GET", "/", nil)
			req.Header.Set(Header, header)
			s.Check(req) // must not panic
		}
	})
}
