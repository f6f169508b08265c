package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// What was promised beside speed.
const (
	memoryMust = 128 << 20 // bytes, of all processes of ours together
	memoryAim  = 80 << 20
	sizeMust   = 1.03 // of the smallest of those in sizePeers
)

// sizePeers are those that compress about as hard as we do.
var sizePeers = []string{kopia.name, borg.name}

// ran is a course on a medium, with what was found.
type ran struct {
	course
	result
	medium string
}

// document writes all results of the courses that are in dir, as Markdown.
func document(w io.Writer, all []course, dir string) error {
	var have []ran
	for _, c := range all {
		for _, medium := range c.media {
			r, found, err := load(dir, c.name, medium)
			if err != nil {
				return fmt.Errorf("reading the results of %s on %s: %w", c.name, medium, err)
			}
			if found {
				have = append(have, ran{c, r, medium})
			}
		}
	}
	host, err := machine()
	if err != nil {
		return err
	}
	fmt.Fprintf(w, `# Performance

Written by `+"`make bench`"+`, which measures Strongroom and other programs in one run, on the same data, by turns. Ratios are
worth comparing between machines; seconds are those of this one: %s.

%s
## What was promised, and what is

How many times as fast as the fastest of the others, by time and by core seconds. What is met is judged by time.

`, host, method)
	for _, medium := range []string{tmpfs, disk} {
		promises(w, have, medium)
	}
	sizes(w, have)
	memories(w, have)
	fmt.Fprintf(w, "## Everything that was measured\n\nMedians. Memory is the greatest resident size of any one process, and of all processes of a program together.\n\n")
	for _, r := range have {
		r.details(w)
	}
	programs(w, have)
	return nil
}

// method is how it is measured, for the document.
const method = `All that belongs to a run lies on one medium: data, repository, target. On *tmpfs* that is memory, so the work alone counts; on
*disk* each run ends when everything it wrote is on the disk (` + "`syncfs`" + `), whoever syncs by themselves or not. Each turn begins
with an empty repository; turns alternate between the programs. The source was read once before, so it is in memory. Nothing is
removed from a disk until the end: ext4 makes files slowly for minutes after many were removed. Core seconds are user and system
time of all processes of a program. What is restored is compared with the source in the first turn of each.
`

// promises writes the table of what was promised about time on a medium.
func promises(w io.Writer, have []ran, medium string) {
	var lines []string
	for _, r := range have {
		if r.medium != medium {
			continue
		}
		for _, s := range r.steps {
			m, measured := r.median(s.name, ours)
			quick, compared := r.fastest(s.name, r.contenders, wall)
			if !measured || !compared {
				continue
			}
			thrifty, _ := r.fastest(s.name, r.contenders, cores)
			times := ratio(quick.Cost.Wall, m.Cost.Wall)
			lines = append(lines, fmt.Sprintf("| %s: %s | %s %s | %s | **%.2f** | %s %s | %s | %.2f | %s | %s |", r.title, s.name,
				quick.Contender, seconds(quick.Cost.Wall), seconds(m.Cost.Wall), times,
				thrifty.Contender, seconds(thrifty.Cost.Cores), seconds(m.Cost.Cores), ratio(thrifty.Cost.Cores, m.Cost.Cores),
				promise(s), verdict(s, times)))
		}
	}
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(w, "### On %s\n\n| work | fastest other, s | ours, s | times as fast | least core seconds of others | ours | times | must / aim | |\n|---|---|---|---|---|---|---|---|---|\n%s\n\n",
		medium, strings.Join(lines, "\n"))
}

// promise is how fast a step is to be.
func promise(s step) string {
	if s.must == 0 {
		return ""
	}
	if s.aim == 0 {
		return fmt.Sprintf("%g", s.must)
	}
	return fmt.Sprintf("%g / %g", s.must, s.aim)
}

// verdict says what of a promise is met.
func verdict(s step, times float64) string {
	switch {
	case s.must == 0:
		return ""
	case s.aim > 0 && times >= s.aim:
		return "aim met"
	case times >= s.must:
		return "must met"
	default:
		return "**not met**"
	}
}

// sizes writes what is stored where that was promised. It is the same on each
// medium, so it is told once.
func sizes(w io.Writer, have []ran) {
	told := make(map[string]bool)
	for _, r := range have {
		for _, s := range r.steps {
			m, measured := r.median(s.name, ours)
			if !s.size || !measured || told[r.course.name+s.name] {
				continue
			}
			told[r.course.name+s.name] = true
			smallest, least := int64(0), int64(0) // of sizePeers, of all
			var others []string
			for _, c := range r.contenders {
				p, measured := r.median(s.name, c.name)
				if !measured || c.name == ours {
					continue
				}
				others = append(others, fmt.Sprintf("%s %s", c.name, megabytes(p.Stored)))
				if least == 0 || p.Stored < least {
					least = p.Stored
				}
				if slices.Contains(sizePeers, c.name) && (smallest == 0 || p.Stored < smallest) {
					smallest = p.Stored
				}
			}
			if smallest == 0 {
				continue
			}
			verdict := "**not met**"
			if m.Stored <= least {
				verdict = "aim met"
			} else if float64(m.Stored) <= sizeMust*float64(smallest) {
				verdict = "must met"
			}
			fmt.Fprintf(w, "### Stored size\n\n%s, %s: %s MB, and %s MB of parity; %s MB. Must: at most 3 %% more than the smaller of %s; aim: the smallest. %s.\n\n",
				r.title, s.name, megabytes(m.Stored), megabytes(m.Parity), strings.Join(others, " MB, "), strings.Join(sizePeers, " and "), verdict)
		}
	}
}

// memories writes the most memory that we took in any step of any turn.
func memories(w io.Writer, have []ran) {
	var most measurement
	var where string
	for _, r := range have {
		for _, m := range r.Measurements {
			if m.Contender == ours && m.Cost.Sum > most.Cost.Sum {
				most, where = m, r.title+": "+m.Step+", on "+r.medium
			}
		}
	}
	if where == "" {
		return
	}
	verdict := "**not met**"
	if most.Cost.Sum <= memoryAim {
		verdict = "aim met"
	} else if most.Cost.Sum <= memoryMust {
		verdict = "must met"
	}
	fmt.Fprintf(w, "### Memory\n\nThe most in any step of any turn was %d MiB of all our processes together, %d MiB of one (%s). Must: %d MiB; aim: %d MiB. %s.\n\n",
		most.Cost.Sum>>20, most.Cost.Peak>>20, where, memoryMust>>20, memoryAim>>20, verdict)
}

// details writes all medians of a course on a medium.
func (r ran) details(w io.Writer) {
	fmt.Fprintf(w, "### %s, on %s\n\n%s. Files: %d, folders: %d, links: %d, %s MB. Turns of each: %d.", r.title, r.medium,
		strings.ToUpper(r.Data.What[:1])+r.Data.What[1:], r.Data.Files, r.Data.Folders, r.Data.Links, megabytes(r.Data.Bytes), r.Runs)
	if r.medium == disk {
		fmt.Fprintf(w, " The filesystem is %s.", r.Filesystem)
	}
	fmt.Fprintf(w, "\n\n| step | program | s | core s | MiB of one | MiB of all | stored MB | of it new | parity MB |\n|---|---|---|---|---|---|---|---|---|\n")
	for _, s := range r.steps {
		for _, c := range r.contenders {
			m, measured := r.median(s.name, c.name)
			if !measured {
				continue
			}
			stored, added, parity := "", "", ""
			if s.do == collect {
				stored, added = megabytes(m.Stored), megabytes(m.New)
			}
			if s.do == collect && m.Parity > 0 {
				parity = megabytes(m.Parity)
			}
			fmt.Fprintf(w, "| %s | %s | %s | %s | %d | %d | %s | %s | %s |\n", s.name, c.name,
				seconds(m.Cost.Wall), seconds(m.Cost.Cores), m.Cost.Peak>>20, m.Cost.Sum>>20, stored, added, parity)
		}
	}
	fmt.Fprintln(w)
	if r.remark != "" {
		fmt.Fprintf(w, "%s\n\n", r.remark)
	}
}

// programs writes versions, settings and command lines.
func programs(w io.Writer, have []ran) {
	fmt.Fprintf(w, "## Programs and how they are called\n\n"+
		"`$HOME` is a folder of each program's own, `$SOURCE` what is to be kept, `$REPO` where, `$TARGET` where it is restored to, `$ONE` a file\n"+
		"of the source, `$N` how many collections there were, `$SNAPSHOT` what the last of them was named. What comes before the first\n"+
		"collection is not measured.\n\n")
	told := make(map[string]bool)
	for _, r := range have {
		for _, c := range r.contenders {
			version, measured := r.Programs[c.name]
			if !measured || told[c.name+c.note] {
				continue
			}
			told[c.name+c.note] = true
			fmt.Fprintf(w, "### %s\n\n%s. %s.\n\n```sh\n", c.name, version, strings.ToUpper(c.note[:1])+c.note[1:])
			for _, v := range c.env {
				fmt.Fprintf(w, "export %s\n", v)
			}
			for _, line := range c.prepare {
				fmt.Fprintln(w, line)
			}
			for _, do := range []operation{collect, restore, find, one} {
				if line, able := c.lines[do]; able {
					fmt.Fprintln(w, line)
				}
			}
			fmt.Fprintf(w, "```\n\n")
			for _, name := range slices.Sorted(maps.Keys(c.files)) {
				fmt.Fprintf(w, "`$HOME/%s`:\n\n```\n%s```\n\n", name, c.files[name])
			}
		}
	}
}

// ratio is how many times as fast ours is.
func ratio(other, ours time.Duration) float64 { return float64(other) / float64(ours) }

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f", d.Seconds()) }

func megabytes(n int64) string { return fmt.Sprintf("%.1f", float64(n)/1e6) }
