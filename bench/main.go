// Bench measures Strongroom as a whole program against others of its kind: in
// one run, on the same data, by turns, each at the setting that is comparable.
// It is run by make bench, which keeps what it finds in docs/performance.md.
//
// A course is a set of data and what each contender does with it, step by step.
// Courses are in course_*.go; a new one is one more file, and a line in the
// table of courses below.
//
// It promises figures of the machine it runs on, at the time it runs: ratios
// are worth comparing across machines, seconds are not.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// courses are all that can be measured, in the order of the document.
func courses(short bool) []course {
	return append([]course{
		incompressible(short),
		tree(short),
		dump(short),
		small(short),
	}, overSFTP(short)...)
}

func main() {
	ctx, release := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer release()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return
		}
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		release()
		os.Exit(1)
	}
}

// options are what the command line and the environment say.
type options struct {
	short   bool     // tiny data, one run, contenders that are there already
	dir     string   // where data, results and all work is kept
	memory  string   // a folder of a tmpfs
	courses []string // by name; none means all
	media   []string // likewise
	runs    int      // of each contender; 0 means as many as the course wants
	report  string   // file to write the document to; none means standard output
}

func run(ctx context.Context, args []string, out io.Writer) error {
	var o options
	o.short = os.Getenv("BENCH_SHORT") != ""
	var only, media string
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.StringVar(&o.dir, "dir", os.Getenv("BENCH_DIR"), "`folder` for data, work and results; kept (default: a temporary one)")
	flags.StringVar(&o.memory, "memory", "/dev/shm", "`folder` of a tmpfs")
	flags.StringVar(&only, "courses", "", "only these, separated by commas")
	flags.StringVar(&media, "media", "", "only tmpfs or only disk")
	flags.IntVar(&o.runs, "runs", 0, "how many of each contender, instead of what the course wants")
	flags.StringVar(&o.report, "o", "", "`file` for the document (default: standard output)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%q is not understood; -help lists what is", flags.Arg(0))
	}
	o.courses, o.media = list(only), list(media)

	// The programs that the Makefile has built come before those of the machine.
	bin, err := filepath.Abs("bin")
	if err != nil {
		return err
	}
	path := strings.Join([]string{bin, filepath.Join(bin, "peers"), os.Getenv("PATH")}, string(filepath.ListSeparator))
	if err := os.Setenv("PATH", path); err != nil {
		return err
	}

	if o.dir == "" {
		dir, err := os.MkdirTemp("", "strongroom-bench-")
		if err != nil {
			return fmt.Errorf("making a folder to work in: %w", err)
		}
		defer os.RemoveAll(dir) // among temporary files; nothing of it is wanted
		o.dir = dir
	}
	dir, err := filepath.Abs(o.dir)
	if err != nil {
		return err
	}
	o.dir = dir

	chosen, err := choose(courses(o.short), o.courses)
	if err != nil {
		return err
	}
	for _, c := range chosen {
		if err := c.measure(ctx, o, out); err != nil {
			return fmt.Errorf("course %s: %w", c.name, err)
		}
	}
	return publish(o, out)
}

// publish writes the document of everything that is among the results, also of
// earlier runs with the same folder.
func publish(o options, out io.Writer) error {
	var doc bytes.Buffer
	if err := document(&doc, courses(o.short), o.results()); err != nil {
		return fmt.Errorf("writing the document: %w", err)
	}
	switch {
	case o.report != "":
		return os.WriteFile(o.report, doc.Bytes(), 0o644)
	case o.short:
		return nil // its figures tell nothing; it was to show that it can be written
	default:
		_, err := fmt.Fprintf(out, "\n%s", doc.Bytes())
		return err
	}
}

// results is the folder that keeps what was measured.
func (o options) results() string {
	if o.short {
		return filepath.Join(o.dir, "results-short")
	}
	return filepath.Join(o.dir, "results")
}

// list splits what is separated by commas.
func list(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' })
}

// choose returns the courses of these names, or all of them if there are none.
func choose(all []course, names []string) ([]course, error) {
	if len(names) == 0 {
		return all, nil
	}
	var chosen []course
	for _, name := range names {
		i := slices.IndexFunc(all, func(c course) bool { return c.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no course %q", name)
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}
