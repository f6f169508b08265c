package pagetest

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"

	"strongroom/internal/web/page"
)

// policy is what pages are served with.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; worker-src 'self'; " +
	"frame-ancestors 'none'; base-uri 'none'; form-action 'self'; require-trusted-types-for 'script'; trusted-types 'none'"

// Handler serves the Sheets by their names, as a safe would but for its
// scripts, which are empty: pages look as they do before a script has done
// anything.
func Handler() (http.Handler, error) {
	pages, err := page.New()
	if err != nil {
		return nil, err
	}
	static := http.StripPrefix(page.Assets, http.FileServerFS(page.Static()))
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+page.Assets, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, ".js") {
			w.Header().Set("Content-Type", "text/javascript")
			return
		}
		static.ServeHTTP(w, r)
	})
	mux.Handle("GET /pages.css", http.FileServerFS(page.Static())) // beside the page that is for another host
	mux.Handle("GET /mark.svg", http.FileServerFS(page.Static()))
	mux.HandleFunc("GET /release.js", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Type", "text/javascript") })
	for _, sheet := range Sheets() {
		var b bytes.Buffer
		if err := sheet.Draw(pages, &b); err != nil {
			return nil, fmt.Errorf("drawing %s: %w", sheet.Name, err)
		}
		mux.HandleFunc("GET /"+sheet.Name, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Security-Policy", policy)
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.Write(b.Bytes()) // who looks on is the same process
		})
	}
	return mux, nil
}
