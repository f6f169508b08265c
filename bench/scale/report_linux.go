package main

import (
	"fmt"
	"math"
	"os"
	"runtime"
	"strings"

	"strongroom/bench/scale/generated"
)

// What must hold. The memory is that of the design's table, in bytes.
const (
	mostMemory     = 128 << 20 // up to many files, and for files of any size
	many           = 1_000_000
	mostMemoryMany = 1 << 30 // beyond that
	// mostGrowth is by how much what a file or a GB costs may grow from one
	// size to the next, or from the first tenth to the last, on a machine that
	// does nothing else meanwhile.
	mostGrowth = 1.3
)

// A row is one measurement.
type row struct {
	shape  generated.Shape
	what   string // was done
	cost   cost
	tenths []cost // up to the end of each tenth of what was pulled; empty if nothing was
	live   []live
}

// great tells whether it is the bytes of a source that matter, not its files.
func great(shape generated.Shape) bool { return shape.Shortest >= 1e6 }

// units is what a source has much of: files, or GB.
func (r row) units() float64 {
	if great(r.shape) {
		return float64(r.shape.Files*r.shape.Longest) / 1e9
	}
	return float64(r.shape.Files)
}

// each is what one of the units costs: microseconds of a processor for a file,
// seconds for a GB.
func (r row) each(cores, units float64) float64 {
	if great(r.shape) {
		return cores / units
	}
	return cores / units * 1e6
}

func (r row) content() string {
	if great(r.shape) {
		return fmt.Sprintf("%.4g GB", float64(r.shape.Longest)/1e9)
	}
	return fmt.Sprintf("%d to %d bytes", r.shape.Shortest, r.shape.Longest)
}

// subject names what was collected or read.
func (r row) subject() string {
	if r.shape.Files == 1 {
		return "one file of " + r.content()
	}
	return count(r.shape.Files) + " files of " + r.content()
}

// String is what is told as soon as it was measured.
func (r row) String() string {
	s := fmt.Sprintf("%s, %s: %.1f s, %.1f core s, %.0f MiB", r.subject(), r.what, r.cost.Wall, r.cost.Cores, mebibytes(r.cost.Peak))
	for _, l := range r.live {
		s += fmt.Sprintf(", %.0f MiB live when %s", mebibytes(int64(l.Bytes)), l.When)
	}
	return s
}

func count(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func mebibytes(n int64) float64 { return math.Ceil(float64(n) / (1 << 20)) }

// A report is everything that was measured, in the order of growing sources.
type report []row

// text returns the report as it is printed, and written into documents.
func (r report) text() string {
	t := table{{"files", "of", "what", "wall s", "core s", "core us a file, s a GB", "times the smaller", "peak MiB"}}
	for i, row := range r {
		growth := ""
		if g, ok := r.growth(i); ok {
			growth = fmt.Sprintf("%.2f", g)
		}
		t = append(t, []string{count(row.shape.Files), row.content(), row.what,
			fmt.Sprintf("%.1f", row.cost.Wall), fmt.Sprintf("%.1f", row.cost.Cores),
			fmt.Sprintf("%.1f", row.each(row.cost.Cores, row.units())), growth, fmt.Sprintf("%.0f", mebibytes(row.cost.Peak))})
	}
	parts := []string{machine() + ".\n", t.String()}
	for _, row := range r {
		if len(row.tenths) > 0 && (great(row.shape) || row.shape.Files > many) {
			parts = append(parts, row.byTenths())
		}
	}
	lines := ""
	for _, m := range r.musts() {
		lines += "- " + m.String() + "\n"
	}
	return strings.Join(append(parts, lines), "\n")
}

// machine says what was measured on.
func machine() string {
	model := "unknown"
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(info)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	return fmt.Sprintf("%s, %d processors (%s)", runtime.Version(), runtime.NumCPU(), model)
}

// growth returns by how much a unit of a row costs more than a unit of the next
// smaller source of the same kind; ok is false if there is none.
func (r report) growth(i int) (factor float64, ok bool) {
	for j := i - 1; j >= 0; j-- {
		a, b := r[j], r[i]
		if a.what == b.what && a.shape.Shortest == b.shape.Shortest && a.shape.Longest == b.shape.Longest && a.shape.Files < b.shape.Files {
			return b.each(b.cost.Cores, b.units()) / a.each(a.cost.Cores, a.units()), true
		}
	}
	return 0, false
}

// byTenths shows whether what comes late costs more than what comes early.
func (r row) byTenths() string {
	t := table{{"tenth of it", "MB/s", "core s a GB", "MiB"}}
	share, speed := r.units()/10, 1000.0
	if !great(r.shape) {
		t[0][1], t[0][2], speed = "files/s", "core us a file", 1
	}
	var last cost
	for i, tenth := range r.tenths {
		t = append(t, []string{fmt.Sprint(i + 1),
			fmt.Sprintf("%.0f", share*speed/(tenth.Wall-last.Wall)),
			fmt.Sprintf("%.2f", r.each(tenth.Cores-last.Cores, share)),
			fmt.Sprintf("%.0f", mebibytes(tenth.Peak))})
		last = tenth
	}
	return fmt.Sprintf("Tenth by tenth, %s, %s:\n\n%s", r.subject(), r.what, t)
}

// A must is something that must hold.
type must struct {
	text string
	held bool
}

func (m must) String() string {
	if m.held {
		return "held: " + m.text
	}
	return "NOT held: " + m.text
}

// musts compares what was measured with what must hold.
func (r report) musts() (all []must) {
	var peak, peakMany int64
	var worst, late float64
	for i, row := range r {
		if row.shape.Files > many {
			peakMany = max(peakMany, row.cost.Peak)
		} else {
			peak = max(peak, row.cost.Peak)
		}
		// Below a second there is the beginning of a process in it.
		if g, ok := r.growth(i); ok && row.cost.Cores >= 10 {
			worst = max(worst, g)
		}
		if great(row.shape) && len(row.tenths) == 10 {
			first, last := row.tenths[0].Cores, row.tenths[9].Cores-row.tenths[8].Cores
			late = max(late, last/first)
		}
	}
	add := func(measured bool, held bool, format string, args ...any) {
		if measured {
			all = append(all, must{fmt.Sprintf(format, args...), held})
		}
	}
	add(peak > 0, peak <= mostMemory, "at most %.0f MiB up to %s files, and for great ones: %.0f", mebibytes(mostMemory), count(many), mebibytes(peak))
	add(peakMany > 0, peakMany <= mostMemoryMany, "at most %.0f MiB for more files than that: %.0f", mebibytes(mostMemoryMany), mebibytes(peakMany))
	add(worst > 0, worst <= mostGrowth, "a file of a source ten times as large takes at most %.1f times the core seconds: %.2f", mostGrowth, worst)
	add(late > 0, late <= mostGrowth, "the last tenth of a great source takes at most %.1f times the core seconds of the first: %.2f", mostGrowth, late)
	return all
}

// held tells whether everything does.
func (r report) held() bool {
	for _, m := range r.musts() {
		if !m.held {
			return false
		}
	}
	return true
}

// A table has its headings in the first row.
type table [][]string

// String returns the table in Markdown, aligned for who reads it as it is.
func (t table) String() string {
	widths := make([]int, len(t[0]))
	for _, cells := range t {
		for i, cell := range cells {
			widths[i] = max(widths[i], len(cell))
		}
	}
	var b strings.Builder
	line := func(cells []string) {
		for i, cell := range cells {
			fmt.Fprintf(&b, "| %*s ", widths[i], cell)
		}
		b.WriteString("|\n")
	}
	line(t[0])
	for _, width := range widths {
		b.WriteString("|" + strings.Repeat("-", width+1) + ":")
	}
	b.WriteString("|\n")
	for _, cells := range t[1:] {
		line(cells)
	}
	return b.String()
}

// The lines of a document between which the figures stand.
const (
	figuresBegin = "<!-- what follows is written by make bench-scale -->\n"
	figuresEnd   = "<!-- what was written by make bench-scale ends here -->\n"
)

// replaceFigures puts the text of a report into a document, in place of an
// older one.
func replaceFigures(document, text string) error {
	old, err := os.ReadFile(document)
	if err != nil {
		return err
	}
	before, rest, begins := strings.Cut(string(old), figuresBegin)
	_, after, ends := strings.Cut(rest, figuresEnd)
	if !begins || !ends {
		return fmt.Errorf("writing figures into %s: it lacks the lines between which they stand", document)
	}
	return os.WriteFile(document, []byte(before+figuresBegin+"\n"+text+"\n"+figuresEnd+after), 0o644)
}
