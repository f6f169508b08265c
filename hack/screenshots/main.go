// Screenshots draws every page of a made-up safe in a real browser, light and
// dark, wide and narrow, and writes the pictures to a folder. It fails if a
// page is wider than its window, breaks the policy that it is served with, or
// asks for anything that is not there.
//
// Usage:
//
//	go run ./hack/screenshots [-o FOLDER] [-page NAME]
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"strongroom/internal/web/page"
	"strongroom/internal/web/page/pagetest"
)

// policy is what the pages are served with.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; worker-src 'self'; " +
	"frame-ancestors 'none'; base-uri 'none'; form-action 'self'; require-trusted-types-for 'script'; trusted-types 'none'"

// A look is a way of looking at a page.
type look struct {
	name   string // of the file, after that of the page
	width  int64
	scheme string
}

var looks = []look{
	{"wide", 1280, "light"},
	{"wide-dark", 1280, "dark"},
	{"narrow", 390, "light"},
	{"narrow-dark", 390, "dark"},
}

func main() {
	folder := flag.String("o", "bin/screenshots", "`folder` for the pictures")
	only := flag.String("page", "", "draw only pages whose `name` begins so")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, *folder, *only)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "screenshots:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, folder, only string) error {
	sheets, err := draw(only)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	server := httptest.NewServer(serve(sheets))
	defer server.Close()

	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.DisableGPU)
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	defer cancel()
	ctx, cancel = chromedp.NewContext(ctx)
	defer cancel()

	var wrong []error
	for _, look := range looks {
		if err := look.begin(ctx); err != nil {
			return err
		}
		for name := range sheets {
			picture, err := look.at(ctx, server.URL+"/"+name)
			if err != nil {
				wrong = append(wrong, fmt.Errorf("%s, %s: %w", name, look.name, err))
			}
			if picture == nil {
				continue
			}
			if err := os.WriteFile(filepath.Join(folder, name+"-"+look.name+".png"), picture, 0o644); err != nil {
				return err
			}
		}
	}
	return errors.Join(wrong...)
}

// draw returns the pages as HTML, by name.
func draw(only string) (map[string][]byte, error) {
	pages, err := page.New()
	if err != nil {
		return nil, err
	}
	sheets := make(map[string][]byte)
	for _, sheet := range pagetest.Sheets() {
		if !strings.HasPrefix(sheet.Name, only) {
			continue
		}
		var b bytes.Buffer
		if err := sheet.Draw(pages, &b); err != nil {
			return nil, err
		}
		sheets[sheet.Name] = b.Bytes()
	}
	return sheets, nil
}

func serve(sheets map[string][]byte) http.Handler {
	assets := http.StripPrefix(page.Assets, http.FileServerFS(page.Static()))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, ".js") {
			w.Header().Set("Content-Type", "text/javascript") // pages are drawn as they are before their scripts run
			return
		}
		if strings.HasPrefix(r.URL.Path, page.Assets) {
			assets.ServeHTTP(w, r)
			return
		}
		html, ok := sheets[strings.TrimPrefix(r.URL.Path, "/")]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Security-Policy", policy)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Write(html) // the browser that started this server reads it
	})
}

func (l look) begin(ctx context.Context) error {
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(l.width, 800)); err != nil {
		return fmt.Errorf("setting the width of the window: %w", err)
	}
	_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: l.scheme}},
	})
	if err != nil {
		return fmt.Errorf("setting the colours of the browser: %w", err)
	}
	return nil
}

// at makes a picture of a whole page. It also returns one, if it can, of a page
// that is wrong.
func (l look) at(ctx context.Context, url string) ([]byte, error) {
	if err := chromedp.Do(ctx, chromedp.Navigate(url)); err != nil {
		return nil, fmt.Errorf("opening the page: %w", err)
	}
	width, err := chromedp.Run(ctx, chromedp.Evaluate[int64]("document.documentElement.scrollWidth"))
	if err != nil {
		return nil, fmt.Errorf("measuring the page: %w", err)
	}
	picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		return nil, fmt.Errorf("making the picture: %w", err)
	}
	if width > l.width {
		err = fmt.Errorf("the page is %d pixels wide in a window of %d", width, l.width)
	}
	return picture, err
}
