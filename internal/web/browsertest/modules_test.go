package browsertest

import (
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"strongroom/internal/web/assets"
)

// policy is that of the safe's pages.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; worker-src 'self'; " +
	"frame-ancestors 'none'; base-uri 'none'; form-action 'self'; require-trusted-types-for 'script'; trusted-types strongroom-worker"

// serve serves what a test has, and the scripts and an empty page besides, under
// a name that passkeys are possible for.
func serve(t testing.TB, mux *http.ServeMux) string {
	t.Helper()
	withScripts(mux)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
}

// serveAt is serve over HTTPS, under that name.
func serveAt(t testing.TB, name string, handler http.Handler) string {
	t.Helper()
	server := httptest.NewTLSServer(handler)
	t.Cleanup(server.Close)
	return strings.Replace(server.URL, "127.0.0.1", name, 1)
}

// withScripts adds the scripts and an empty page.
func withScripts(mux *http.ServeMux) {
	script := func(name string, content []byte) {
		mux.HandleFunc("GET /assets/"+name, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/javascript")
			w.Header().Set("Content-Security-Policy", policy)
			w.Write(content)
		})
	}
	for _, s := range assets.Scripts() {
		script(s.Name, s.Content)
	}
	script("modules.js", Modules)
	mux.HandleFunc("GET /", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", policy)
		io.WriteString(w, `<!DOCTYPE html><title>test</title>`)
	})
}

// shared is the browser of all tests of this package, which takes longer to
// start than most of them. It takes the one certificate of package httptest.
var shared = sync.OnceValues(func() (*Browser, error) {
	server := httptest.NewTLSServer(nil)
	defer server.Close() // its certificate is that of all
	b, stop, err := launch([]*x509.Certificate{server.Certificate()})
	stopShared = stop
	return b, err
})

var stopShared func()

func TestMain(m *testing.M) {
	code := m.Run()
	if stopShared != nil {
		stopShared()
	}
	os.Exit(code)
}

// kit is a page with all modules in m, and with g for what a test keeps.
func kit(t testing.TB) *Page {
	t.Helper()
	b, err := shared()
	skipOrFail(t, err)
	p := b.Open(t, serve(t, http.NewServeMux()))
	Eval[bool](p, `(async () => { globalThis.m = await import("/assets/modules.js"); globalThis.g = {}; return true })()`)
	return p
}

// js is v as an expression.
func js(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("a value of a test: %v", err))
	}
	return string(b)
}

// async wraps statements, whose last one returns, into an expression.
func async(format string, args ...any) string {
	return "(async () => {" + fmt.Sprintf(format, args...) + "})()"
}

// fails evaluates what must fail, and returns name and message of the error.
func fails(t testing.TB, p *Page, expression string) (name, message string) {
	t.Helper()
	got := Eval[[2]string](p, async(`try { await (%s); return ["", "it did not fail"] } catch (e) { return [e.name, e.message + (e.remedy ? " " + e.remedy : "")] }`, expression))
	return got[0], got[1]
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
