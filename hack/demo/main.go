// Demo shows what Strongroom promises, on real files and a real SSH server, and
// checks each claim before it makes it. It uses the program as people do: by
// its command line.
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
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, release := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
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
	nights     [2]night
	rotten     string // path of the pack that was damaged
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
	{"Two people, one safe", (*demo).people},
	{"The first night", (*demo).firstNight},
	{"A day of work, and the second night", (*demo).secondNight},
	{"Alone, nobody reads it", (*demo).alone},
	{"Two people together restore it", (*demo).together},
	{"Is it the same?", (*demo).compare},
	{"A disk rots", (*demo).rot},
	{"What happened, and can it be proven?", (*demo).prove},
}

func run(ctx context.Context, s *story) error {
	home, err := prepare()
	if err != nil {
		return err
	}
	began := time.Now()
	d := &demo{story: s, ctx: ctx, home: home}
	defer func() { d.production.stop() }()
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

// path returns a path below ./demo.
func (d *demo) path(elements ...string) string {
	return filepath.Join(append([]string{d.home}, elements...)...)
}

// environment is what commands get to see: our program first, and nothing
// remembered in the home of who plays the demo.
func (d *demo) environment() []string {
	bin := filepath.Join(filepath.Dir(d.home), "bin")
	return append(os.Environ(),
		"PATH="+bin+string(filepath.ListSeparator)+os.Getenv("PATH"),
		"XDG_STATE_HOME="+d.path("machine"),
		"NO_COLOR=1")
}

// shell runs a line as the shell would in a folder below ./demo, and shows its
// output as it comes. The exit status must be want.
func (d *demo) shell(folder, line string, want int) (output string, err error) {
	d.command(folder, line)
	return d.call(folder, line, want, true)
}

// quietly is shell without showing it.
func (d *demo) quietly(folder, line string, want int) (string, error) {
	return d.call(folder, line, want, false)
}

func (d *demo) call(folder, line string, want int, show bool) (string, error) {
	cmd := exec.CommandContext(d.ctx, "sh", "-c", line)
	cmd.Dir = d.path(folder)
	cmd.Env = d.environment()
	// A group of its own, so that an interrupt reaches all that it started,
	// and once only: a second one would be an order to break off.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	cmd.WaitDelay = 10 * time.Second
	var collected strings.Builder
	out := d.output(&collected, show)
	cmd.Stdout, cmd.Stderr = out, out
	err := cmd.Run()
	out.finish()
	status := cmd.ProcessState
	if status == nil || status.ExitCode() < 0 {
		return "", fmt.Errorf("$ %s\n%s%w", line, collected.String(), err)
	}
	if got := status.ExitCode(); got != want {
		return "", fmt.Errorf("$ %s\n%sexit status %d, where %d was promised", line, collected.String(), got, want)
	}
	if show && want != 0 {
		d.item("(exit status %d)", want)
	}
	return collected.String(), nil
}
