// Screenshots draws every page of a made-up safe in a real browser, light and
// dark, wide and narrow, and writes the pictures to a folder, for people to
// look at. Scripts do nothing in them: what they make of pages, the tests of
// package browsertest make pictures of. What can be checked without eyes, the tests of the pages check.
//
// Usage:
//
//	go run ./hack/screenshots [-o FOLDER] [-page NAME]
package main

import (
	"context"
	"flag"
	"fmt"
	"net/http/httptest"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"strongroom/internal/web/page/pagetest"
)

// A look is a way of looking at a page.
type look struct {
	name   string // in the name of the file
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
	handler, err := pagetest.Handler()
	if err != nil {
		return err
	}
	server := httptest.NewServer(handler)
	defer server.Close()
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}

	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	ctx, cancel = chromedp.NewExecAllocator(ctx, append(chromedp.DefaultExecAllocatorOptions[:], chromedp.DisableGPU)...)
	defer cancel()
	ctx, cancel = chromedp.NewContext(ctx)
	defer cancel()
	for _, look := range looks {
		if err := look.begin(ctx); err != nil {
			return err
		}
		for _, sheet := range pagetest.Sheets() {
			if !strings.HasPrefix(sheet.Name, only) {
				continue
			}
			picture, err := at(ctx, server.URL+"/"+sheet.Name)
			if err != nil {
				return fmt.Errorf("%s, %s: %w", sheet.Name, look.name, err)
			}
			if err := os.WriteFile(filepath.Join(folder, sheet.Name+"-"+look.name+".png"), picture, 0o644); err != nil {
				return err
			}
		}
	}
	return nil
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

// at makes a picture of a whole page.
func at(ctx context.Context, url string) ([]byte, error) {
	if err := chromedp.Do(ctx, chromedp.Navigate(url)); err != nil {
		return nil, fmt.Errorf("opening the page: %w", err)
	}
	picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		return nil, fmt.Errorf("making the picture: %w", err)
	}
	return picture, nil
}
