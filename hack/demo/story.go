package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// A story is told to a person, in acts.
type story struct {
	out   io.Writer
	bold  bool
	width int // columns of the terminal
}

// newStory tells it on f, in bold where that is a terminal.
func newStory(f *os.File) *story {
	s := &story{out: f, width: 80}
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return s
	}
	s.bold = os.Getenv("NO_COLOR") == ""
	stty := exec.Command("stty", "size")
	stty.Stdin = f
	var rows, columns int
	if size, err := stty.Output(); err == nil {
		if _, err := fmt.Sscan(string(size), &rows, &columns); err == nil && columns > 40 {
			s.width = columns
		}
	}
	return s
}

// heading begins something new.
func (s *story) heading(title string) {
	if s.bold {
		title = "\x1b[1m" + title + "\x1b[0m"
	}
	fmt.Fprintf(s.out, "\n%s\n", title)
}

// say tells a paragraph.
func (s *story) say(format string, args ...any) {
	fmt.Fprintf(s.out, "\n%s", wrap(fmt.Sprintf(format, args...), "", "", min(s.width, 80)))
}

// item tells a line of a list.
func (s *story) item(format string, args ...any) {
	fmt.Fprint(s.out, wrap(fmt.Sprintf(format, args...), "  ", "      ", s.width))
}

// command shows what is typed, and in which folder.
func (s *story) command(folder, line string) {
	typed := wrap(folder+"$ "+line, "", "    ", s.width-2)
	fmt.Fprintf(s.out, "\n%s\n", strings.ReplaceAll(strings.TrimSpace(typed), "\n", " \\\n"))
}

// output returns a writer that keeps a command's output in w and may show it.
func (s *story) output(w io.Writer, show bool) *output {
	return &output{story: s, keep: w, show: show}
}

// An output shows the lines of a command as they come, indented.
type output struct {
	*story
	keep io.Writer
	show bool
	line []byte // not ended yet
}

func (o *output) Write(b []byte) (int, error) {
	if _, err := o.keep.Write(b); err != nil {
		return 0, err
	}
	o.line = append(o.line, b...)
	for {
		line, rest, ended := bytes.Cut(o.line, []byte("\n"))
		if !ended {
			return len(b), nil
		}
		o.tell(line)
		o.line = rest
	}
}

// finish shows a last line that was not ended.
func (o *output) finish() {
	if len(o.line) > 0 {
		o.tell(o.line)
	}
}

func (o *output) tell(line []byte) {
	if o.show {
		fmt.Fprint(o.out, wrap(string(line), "  ", "    ", o.width))
	}
}

// wrap breaks a line at spaces. It keeps other spaces as they are, so that
// tables stay tables; a word that does not fit stays whole.
func wrap(line, first, next string, width int) string {
	var b strings.Builder
	rest, indent := []rune(line), first
	for len(indent)+len(rest) > width {
		at := lastSpace(rest, width-len(indent))
		if at < 0 {
			break
		}
		b.WriteString(indent + strings.TrimRight(string(rest[:at]), " ") + "\n")
		rest, indent = []rune(strings.TrimLeft(string(rest[at:]), " ")), next
	}
	b.WriteString(strings.TrimRight(indent+string(rest), " ") + "\n")
	return b.String()
}

// lastSpace returns where a line can end that has room for so many runes, or
// else the first place after that; -1 if there is none.
func lastSpace(line []rune, room int) int {
	last, text := -1, false
	for i, r := range line {
		if i > room && last >= 0 {
			break
		}
		if r == ' ' && text {
			last = i
		}
		text = text || r != ' '
	}
	return last
}

// count writes 26583 as 26,583.
func count[N int | int64](n N) string {
	digits := fmt.Sprint(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// size writes bytes in powers of ten, as the program does.
func size(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	x, unit := float64(n), ""
	for _, unit = range []string{"kB", "MB", "GB", "TB"} {
		if x /= 1000; x < 999.5 {
			break
		}
	}
	if x < 99.95 {
		return fmt.Sprintf("%.1f %s", x, unit)
	}
	return fmt.Sprintf("%.0f %s", x, unit)
}
