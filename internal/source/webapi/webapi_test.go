package webapi_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/source"
	"strongroom/internal/source/webapi"
)

// an API that answers in every way.
func serve(t *testing.T) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	say := func(pattern, answer string) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, answer) })
	}
	say("GET /one", `{"data":[1]}`)
	say("GET /list", `[{"next":"/one"}]`)
	say("GET /null", `{"next":null}`)
	say("GET /empty", ``)
	say("GET /elsewhere", `{"next":"https://192.0.2.1/one"}`)
	say("GET /loop", `{"next":"/back"}`)
	say("GET /back", `{"next":"/loop"}`)
	say("GET /odd", `{"next":"/%1b%5b31m%0ainjected"}`)
	say("GET /long", `{"next":"/`+strings.Repeat("x", 9<<10)+`"}`)
	say("GET /no-address", `{"next":[{},{}]}`)
	mux.HandleFunc("GET /on", func(w http.ResponseWriter, req *http.Request) {
		n, _ := strconv.Atoi(req.URL.Query().Get("n"))
		if req.URL.Query().Has("slow") {
			time.Sleep(20 * time.Millisecond)
			fmt.Fprintf(w, `{"next":"/on?slow&n=%d"}`, n+1)
			return
		}
		fmt.Fprintf(w, `{"next":"/on?n=%d"}`, n+1)
	})
	mux.HandleFunc("GET /pages", func(w http.ResponseWriter, req *http.Request) {
		n := len(req.URL.Query().Get("p"))
		next := "null"
		if n < 2 {
			next = fmt.Sprintf(`"https://%s/pages?p=%s"`, req.Host, strings.Repeat("x", n+1))
		}
		fmt.Fprintf(w, `{"next":%s,"n":%d}`, next, n)
	})
	mux.HandleFunc("GET /secret", func(w http.ResponseWriter, req *http.Request) {
		if req.Header.Get("Authorization") != "Token 0123" {
			w.WriteHeader(http.StatusForbidden)
		}
	})
	mux.HandleFunc("GET /moved", func(w http.ResponseWriter, req *http.Request) { http.Redirect(w, req, "/one", http.StatusFound) })
	mux.HandleFunc("GET /broken", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	mux.HandleFunc("GET /half", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, "half")
	})
	mux.HandleFunc("GET /great", func(w http.ResponseWriter, _ *http.Request) {
		part := make([]byte, 1<<20)
		for range webapi.Most/len(part) + 1 {
			w.Write(part)
		}
	})
	mux.HandleFunc("GET /silent", func(_ http.ResponseWriter, req *http.Request) { <-req.Context().Done() })
	s := httptest.NewTLSServer(mux)
	t.Cleanup(s.Close)
	return s
}

func options(t *testing.T, s *httptest.Server, path string) webapi.Options {
	t.Helper()
	u, err := url.Parse(s.URL + path)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return webapi.Options{Ask: []webapi.Question{{URL: u, Name: "answer.json"}}, Roots: roots}
}

func pull(t *testing.T, o webapi.Options) (map[string]string, error) {
	t.Helper()
	s, err := webapi.New(o)
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]string)
	for item, err := range s.Pull(t.Context(), source.Request{}) {
		if err != nil {
			return got, err
		}
		b, err := io.ReadAll(item.Content)
		if err != nil || int64(len(b)) != item.Size {
			t.Errorf("%d bytes of %d, %v", len(b), item.Size, err)
		}
		got[item.Path] = string(b)
	}
	return got, nil
}

func TestAnswers(t *testing.T) {
	s := serve(t)
	for path, want := range map[string]map[string]string{
		"/one":  {"answer.json": `{"data":[1]}`},
		"/list": {"answer.json": `[{"next":"/one"}]`},
		"/null": {"answer.json": `{"next":null}`},

		"/no-address": {"answer.json": `{"next":[{},{}]}`},
		"/empty":      {"answer.json": ""},
		"/pages?p=x":  {"answer.json": "", "answer.json.0002": ""},
	} {
		got, err := pull(t, options(t, s, path))
		if err != nil {
			t.Errorf("%s: %v", path, err)
		}
		if path == "/pages?p=x" {
			if len(got) != 2 || !strings.Contains(got["answer.json"], `"n":1`) || !strings.Contains(got["answer.json.0002"], `"n":2`) {
				t.Errorf("pages: %v", got)
			}
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
	o := options(t, s, "/secret")
	o.Authorization = "Token 0123"
	if _, err := pull(t, o); err != nil {
		t.Errorf("with its token: %v", err)
	}
}

func TestAnswersThatAreNone(t *testing.T) {
	s := serve(t)
	for path, want := range map[string]string{
		"/secret?key=hush": "is the token good?",
		"/moved":           "configure the address that answers",
		"/broken":          "answers with status 502",
		"/none":            "answers with status 404",
		"/half":            "unexpected EOF",
		"/great":           "more than 67108864 bytes",
		"/elsewhere":       "a next page that lies elsewhere",
		"/loop":            "lead in a circle",
		"/on":              "more than 1000 pages",
		"/odd":             "%1b%5b31m%0ainjected answers with status 404",
		"/long":            "an address of more than 8192 bytes",
	} {
		_, err := pull(t, options(t, s, path))
		if err == nil || !strings.Contains(err.Error(), want) || strings.ContainsAny(err.Error(), "\x1b\n") || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: the error is %q, want that %s", path, err, want)
		}
	}
	o := options(t, s, "/silent?key=hush")
	o.Timeout = 50 * time.Millisecond
	if _, err := pull(t, o); err == nil || !strings.Contains(err.Error(), "no whole answer") || strings.Contains(err.Error(), "hush") {
		t.Errorf("silent: the error is %v", err)
	}
	o = options(t, s, "/on?slow")
	o.Timeout = 100 * time.Millisecond
	if pages, err := pull(t, o); err == nil || !strings.Contains(err.Error(), " within ") || len(pages) > 200 {
		t.Errorf("one slow page after the other: %d pages, and the error is %v", len(pages), err)
	}
	o = options(t, s, "/one?key=hush")
	o.Roots = x509.NewCertPool()
	if _, err := pull(t, o); err == nil || !strings.Contains(err.Error(), "certificate") || strings.Contains(err.Error(), "hush") {
		t.Errorf("an unknown certificate: the error is %v", err)
	}
}

func TestStopped(t *testing.T) {
	s, err := webapi.New(options(t, serve(t), "/silent"))
	if err != nil {
		t.Fatal(err)
	}
	why := errors.New("stopped")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(50*time.Millisecond, func() { cancel(why) })
	if err := s.Probe(ctx); !errors.Is(err, why) {
		t.Errorf("the error is %v, want %v", err, why)
	}
}

func TestAddressesThatCannotBe(t *testing.T) {
	for _, address := range []string{"ftp://a/", "https://user:hush@a/", "https:///x", "/x"} {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := webapi.New(webapi.Options{Ask: []webapi.Question{{URL: u, Name: "a"}}}); err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: the error is %v", address, err)
		}
	}
	u := &url.URL{Scheme: "https", Host: "a"}
	ask := func(all ...webapi.Question) webapi.Options { return webapi.Options{Ask: all} }
	bad := ask(webapi.Question{URL: u, Name: "a"})
	bad.Authorization = "Bearer hush\r\nX: y"
	for _, o := range []webapi.Options{
		{}, bad, ask(webapi.Question{URL: u, Name: "a/b"}), ask(webapi.Question{URL: u}), ask(webapi.Question{Name: "a"}),
		ask(webapi.Question{URL: u, Name: "a"}, webapi.Question{URL: &url.URL{Scheme: "https", Host: "b"}, Name: "b"}),
	} {
		if _, err := webapi.New(o); err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("%v: the error is %v", o, err)
		}
	}
}

func TestQuestions(t *testing.T) {
	s := serve(t)
	several := func() webapi.Options {
		o := options(t, s, "/one")
		o.Ask = append(o.Ask, webapi.Question{URL: options(t, s, "/pages").Ask[0].URL, Name: "pages.json"})
		return o
	}
	got, err := pull(t, several())
	want := []string{"answer.json", "pages.json", "pages.json.0002", "pages.json.0003"}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(got))); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}

	for _, limits := range []source.Limits{{Entries: 3}, {Bytes: 12}} {
		o := several()
		o.Limits = limits
		var beyond *source.LimitError
		if _, err := pull(t, o); !errors.As(err, &beyond) {
			t.Errorf("with %+v the error is %v", limits, err)
		}
	}

	o := several()
	o.Check = func(name string, _ []byte) error {
		if name == "pages.json.0002" {
			return errors.New("not what is known here")
		}
		return nil
	}
	if _, err := pull(t, o); err == nil || !strings.HasSuffix(err.Error(), "/pages: not what is known here") {
		t.Errorf("an answer that is none: the error is %v", err)
	}
	all, err := webapi.New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := all.Probe(t.Context()); err != nil {
		t.Errorf("first pages that are good: %v", err)
	}
}
