// Demo shows what Strongroom promises, on real files and real servers, and
// checks each claim before it makes it. It uses the program as people do: by
// its command line, on a machine for each. The machines are folders, each with
// a home of its own, and addresses of the loopback network.
//
// It works in ./demo, which it removes first if an earlier demo made it, and
// leaves there what it made, to be looked at. It is no test: it shows each
// thing once, with one set of files.
package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"strongroom/internal/daemon/mail/smtptest"
)

func main() {
	ctx, release := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer release()
	if err := run(ctx, newStory(os.Stdout)); err != nil {
		if ctx.Err() != nil {
			err = errors.New("interrupted; nothing of it is left running")
		}
		fmt.Fprintf(os.Stderr, "\ndemo: %v\n", err)
		release()
		os.Exit(1)
	}
}

// A demo is one performance.
type demo struct {
	*story
	ctx        context.Context
	home       string // the folder ./demo
	production *production
	post       *smtptest.Server
	serving    *background // the safe's process
	safe       door
	kim, otto  *person
	ledgerKey  string // as init showed it
	words      string // of the roster that both have compared
	page       string // a mail for a browser
	nights     [2]night
	restoring  time.Time // when Otto began to
	rotten     string    // path of the pack that was damaged
}

// A night is one collection of all sources.
type night struct {
	files   map[string]inventory // what production had, by source
	kept    map[string]snapshot  // by source
	seconds float64
}

// An act shows one thing, or returns why it could not.
type act struct {
	title string
	play  func(*demo) error
}

var acts = []act{
	{"Production", (*demo).opens},
	{"A safe, and two people", (*demo).build},
	{"Eight words", (*demo).found},
	{"The first night", (*demo).firstNight},
	{"A day of work, and the second night", (*demo).secondNight},
	{"Is it all in there?", (*demo).cover},
	{"Alone, nobody reads it", (*demo).alone},
	{"Otto asks, Kim releases", (*demo).open},
	{"The gate", (*demo).gate},
	{"Otto restores through it", (*demo).restore},
	{"Is it the same?", (*demo).compare},
	{"Who has read what?", (*demo).close},
	{"A laptop is stolen", (*demo).theft},
	{"A disk rots", (*demo).rot},
	{"Everything is lost but paper", (*demo).paper},
	{"What happened, and can it be proven?", (*demo).prove},
}

func run(ctx context.Context, s *story) error {
	home, err := prepare()
	if err != nil {
		return err
	}
	began := time.Now()
	d := &demo{story: s, ctx: ctx, home: home}
	defer d.stop()
	for i, a := range acts {
		s.heading(fmt.Sprintf("%d. %s", i+1, a.title))
		if err := a.play(d); err != nil {
			return fmt.Errorf("act %d, %q: %w", i+1, a.title, err)
		}
	}
	if err := d.end(time.Since(began)); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "\ndemo: all %d acts as promised\n", len(acts))
	return nil
}

// stop ends all that runs. It may be called at any time, and again.
func (d *demo) stop() {
	d.serving.stop() // first: it talks to the others
	if d.post != nil {
		d.post.Stop()
	}
	d.production.stop()
}

// marker is the file that tells our folder from others. It also keeps the go
// command out of the Go files that are restored there.
const (
	marker     = "go.mod"
	markerText = "// made by make demo, which removes this folder when it runs again\nmodule demo\n"
)

// prepare makes the folder ./demo anew and returns its path.
func prepare() (string, error) {
	for _, built := range []string{"bin/strongroom", "bin/age"} {
		if _, err := os.Stat(built); err != nil {
			return "", fmt.Errorf("%s is missing: run make demo, at the top of the repository", built)
		}
	}
	home, err := filepath.Abs("demo")
	if err != nil {
		return "", err
	}
	switch b, err := os.ReadFile(filepath.Join(home, marker)); {
	case err == nil && string(b) == markerText:
		if err := remove(home); err != nil {
			return "", fmt.Errorf("removing what the last demo left: %w", err)
		}
	case err == nil || !errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("%s was not made by a demo: move it away", home)
	}
	if err := os.Mkdir(home, 0o755); err != nil {
		return "", fmt.Errorf("making a folder to play in (move away what is there): %w", err)
	}
	return home, os.WriteFile(filepath.Join(home, marker), []byte(markerText), 0o644)
}

// remove removes a folder, also folders in it that were restored as read-only.
func remove(folder string) error {
	err := filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.IsDir() {
			return err
		}
		return os.Chmod(path, 0o700)
	})
	if err != nil {
		return err
	}
	return os.RemoveAll(folder)
}
