// Command growth simulates how a store grows over years, and writes
// docs/growth.md:
//
//	go run ./bench/growth -write docs
//
// What is stored again, and when, is decided by package refresh and how long a
// snapshot is kept by package keep, as in the program itself: what is
// simulated is what changes in a source, and which bytes are where. Its test
// lets the program and the simulation collect the same source. Expiry is
// simulated by the design: a pack stays as long as any snapshot that is kept
// needs any chunk in it.
//
// It promises nothing for a source that changes in other ways than these, and
// says nothing of compression: all bytes are those that are left after it.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// terabyte is what a source has at first, at full scale.
const terabyte = 1_000_000_000_000

func main() {
	switch err := run(os.Args[1:], os.Stdout, os.Stderr); {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "growth:", err)
		os.Exit(1)
	}
}

func run(args []string, out, problems io.Writer) error {
	flags := flag.NewFlagSet("growth", flag.ContinueOnError)
	flags.SetOutput(problems)
	scale := flags.Float64("scale", 1, "how many terabytes a source has")
	years := flags.Int("years", 7, "for how long")
	write := flags.String("write", "", "write growth.md and growth.svg into this `folder`")
	only := flags.String("only", "", "simulate only the source of this `name`")
	r := product
	reread := flags.Int("reread", 30, "an unchanged file is read after so many days")
	renewed := flags.Int("refresh", 365, "a chunk is stored again after so many days")
	flags.Func("threshold", "chunks are stored again if less `per cent` of their pack are in use (default a third)", func(s string) error {
		percent, err := strconv.ParseFloat(s, 64)
		if err == nil && !(percent >= 0 && percent <= 100) {
			err = errors.New("want 0 to 100")
		}
		r.threshold = percent / 100
		return err
	})
	packs := flags.String("packs", "one", "what goes into packs together: "+strings.Join(laneNames(), ", "))
	if err := flags.Parse(args); err != nil {
		return err
	}
	r.Reread, r.Refresh = time.Duration(*reread)*day, time.Duration(*renewed)*day
	var ok bool
	if r.lane, ok = laneRules[*packs]; !ok {
		return fmt.Errorf("-packs %s: want one of %s", *packs, strings.Join(laneNames(), ", "))
	}
	bytes := int64(*scale * terabyte)
	if bytes < least {
		return fmt.Errorf("-scale %g: want at least %g", *scale, float64(least)/terabyte)
	}
	if *years < 1 || *years > mostYears {
		return fmt.Errorf("-years %d: want 1 to %d", *years, mostYears)
	}
	if *write != "" {
		return writeReport(*write, bytes)
	}

	var trials []trial
	for _, sc := range scenarios(bytes) {
		if *only == "" || sc.name == *only {
			trials = append(trials, trial{scenario: sc, rules: r})
		}
	}
	simulate(trials, defaultCalendar(nightsOf(*years)))
	for _, t := range trials {
		fmt.Fprintln(out, t.line(*years))
	}
	return nil
}

// least is the smallest source: below, a night changes less than a chunk.
const least = 1_000_000_000

// mostYears keeps the numbers of nights within 16 bits.
const mostYears = 50

// writeReport simulates all that the report tells of.
func writeReport(folder string, bytes int64) error {
	main := mainTrials(bytes)
	others := otherTrials(min(bytes, terabyte/100))
	all := slices.Concat(main, others)
	simulate(all, defaultCalendar(nightsOf(reportYears)))
	text, err := report(all[:len(main)], all[len(main):])
	if err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	for name, content := range map[string]string{"growth.md": text, "growth.svg": chart(all[:len(main)])} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o644); err != nil {
			return fmt.Errorf("writing the report: %w", err)
		}
	}
	return nil
}
