// Scale shows that collections, listings and restores work with millions of
// files and with terabytes, in memory that does not grow with them. Sources are
// made up as they are pulled, each measurement has a process of its own, and
// apart from what a reading needs nothing is kept. Run it by make bench-scale.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) == 1 && args[0] == childWord {
		if err := child(ctx, stdin, stdout); err != nil {
			fmt.Fprintln(stderr, err)
			return 1
		}
		return 0
	}
	o, err := parse(args, stderr)
	if err != nil {
		return 2 // the problem was told
	}
	report, err := measure(ctx, o, stderr)
	if err == nil {
		_, err = io.WriteString(stdout, report.text())
	}
	if err == nil && o.write != "" {
		err = replaceFigures(o.write, report.text())
	}
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	if !report.held() {
		return 1
	}
	return 0
}

// options say what is measured.
type options struct {
	files    numbers   // of sources of many files
	size     gigabytes // of sources of great files; 0 for none
	kept     numbers   // of files of stores that are read
	within   string    // folder for what is written
	profiles string
	write    string
}

// parse reads the command line. With -soak come the sizes that take hours.
func parse(args []string, stderr io.Writer) (options, error) {
	o := options{files: numbers{10_000, 100_000, 1_000_000}, kept: numbers{100_000, 1_000_000}, size: 10e9}
	flags := flag.NewFlagSet("scale", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Var(&o.files, "files", "`numbers` of files, with commas; none if empty")
	flags.Var(&o.size, "size", "`GB` of great files; 0 for none")
	flags.Var(&o.kept, "kept", "`numbers` of files of stores that are listed and restored from; none if empty")
	flags.StringVar(&o.within, "dir", "", "`folder` for what is written, several GB; the system's for temporary files if empty")
	flags.StringVar(&o.profiles, "profile", "", "`folder` for profiles of the memory; making them takes time and memory")
	flags.StringVar(&o.write, "write", "", "`document` to write the figures into")
	soak := flags.Bool("soak", false, "10 million files and 200 GB, where nothing else is asked for")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	if *soak {
		given := make(map[string]bool)
		flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
		if !given["files"] {
			o.files = append(o.files, 10_000_000)
		}
		if !given["size"] {
			o.size = 200e9
		}
	}
	return o, nil
}

// numbers is a list of them on the command line.
type numbers []int64

func (n *numbers) String() string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint([]int64(*n)), " ", ","), "[]")
}

func (n *numbers) Set(s string) error {
	*n = nil
	for part := range strings.SplitSeq(s, ",") {
		if part == "" {
			continue
		}
		number, err := strconv.ParseInt(part, 10, 64)
		if err != nil {
			return err
		}
		*n = append(*n, number)
	}
	return nil
}

// gigabytes is a size on the command line.
type gigabytes int64

func (g *gigabytes) String() string { return fmt.Sprintf("%dGB", int64(*g)/1e9) }

func (g *gigabytes) Set(s string) error {
	n, err := strconv.ParseInt(strings.TrimSuffix(s, "GB"), 10, 64)
	*g = gigabytes(n * 1e9)
	return err
}
