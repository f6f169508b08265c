// Package ui is how commands talk to people and to scripts: results, tables,
// progress, questions and errors.
//
// What it writes for people cannot be hijacked: names from a source pass
// through Clean, so that none of them moves a cursor or changes a colour. It
// formats and writes; it does not log, exit, or read flags and environment.
//
// Results go to standard output, all else to standard error. In JSON mode
// there are only messages, one a line, on standard output; the functions that
// write for people then do nothing, so a command calls both kinds without
// asking for the mode.
package ui

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"unicode"

	"golang.org/x/term"
)

// Options say how to talk. The zero value talks to people.
type Options struct {
	JSON    bool // messages for scripts on standard output, nothing else
	Quiet   bool // neither notes nor progress
	NoColor bool // what the NO_COLOR variable says: set to anything but ""
}

// A Terminal is where a command's input and output go, terminal or not. All
// its methods may be called concurrently.
type Terminal struct {
	opts Options
	in   input

	mu   sync.Mutex // guards the fields below and keeps lines whole
	out  stream
	err  stream
	live *Progress // owns the last line of err; nil if there is none
	lost error     // first failure to write to out
}

// A stream is one of the two outputs.
type stream struct {
	io.Writer
	columns func() int // width of the terminal; nil if it is none
}

// An input is where answers come from.
type input struct {
	io.Reader
	person bool // at a terminal
}

// New makes a Terminal. Which of the three are terminals is found out here.
func New(stdin io.Reader, stdout, stderr io.Writer, opts Options) *Terminal {
	f, ok := stdin.(*os.File)
	return &Terminal{
		opts: opts,
		in:   input{stdin, ok && term.IsTerminal(int(f.Fd()))},
		out:  newStream(stdout),
		err:  newStream(stderr),
	}
}

func newStream(w io.Writer) stream {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return stream{Writer: w}
	}
	return stream{w, func() int {
		width, _, err := term.GetSize(int(f.Fd()))
		if err != nil || width <= 0 {
			return 80 // as terminals were when they could not tell
		}
		return width
	}}
}

// JSON reports whether output is for scripts, for a command that would do
// much work for a text that is not shown.
func (t *Terminal) JSON() bool { return t.opts.JSON }

// Err returns the first failure to write to standard output, such as a full
// disk. A command that was asked for a result fails with it.
func (t *Terminal) Err() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.lost
}

// Printf writes a result for people. Control characters are escaped, but for
// ends of lines; a missing last one is added.
func (t *Terminal) Printf(format string, args ...any) {
	if !t.opts.JSON {
		t.result(text(fmt.Sprintf(format, args...)))
	}
}

// Note tells people something beside the result. Quiet and JSON silence it.
func (t *Terminal) Note(format string, args ...any) {
	if !t.opts.JSON && !t.opts.Quiet {
		t.remark(text(fmt.Sprintf(format, args...)))
	}
}

// Warn tells people of something that is wrong, although the command goes on.
// In JSON mode it is a message of the type "warning".
func (t *Terminal) Warn(format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	if t.opts.JSON {
		t.Emit("warning", struct {
			Text string `json:"text"`
		}{message})
		return
	}
	t.remark(t.err.style(bold, "warning:", t.opts) + " " + text(message))
}

// messageVersion is the "v" of every message. It grows when a message that
// exists changes its meaning; new types and fields do not count.
const messageVersion = 1

// Emit writes a message for scripts, which begins with version and type; the
// fields of v follow. Without JSON mode it does nothing. V must become a JSON
// object without the keys "v" and "type".
func (t *Terminal) Emit(typ string, v any) {
	if t.opts.JSON {
		t.result(message(typ, v))
	}
}

func message(typ string, v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(fmt.Sprintf("ui: a message of type %s cannot be encoded: %v", typ, err)) // a mistake in its type
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(b.Bytes(), &fields); err != nil || fields == nil {
		panic(fmt.Sprintf("ui: a message of type %s is not an object", typ))
	}
	for _, own := range []string{"v", "type"} {
		if _, ok := fields[own]; ok {
			panic(fmt.Sprintf("ui: a message of type %s has its own key %q", typ, own))
		}
	}
	head := fmt.Sprintf(`{"v":%d,"type":%q`, messageVersion, typ)
	if len(fields) > 0 {
		head += ","
	}
	return escapeJSON(head+b.String()[1:len(b.String())-1]) + "\n"
}

// escapeJSON escapes what JSON leaves as it is but a terminal might obey.
// Such characters can only be within strings.
func escapeJSON(s string) string {
	if !strings.ContainsFunc(s, isHostile) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case !isHostile(r):
			b.WriteRune(r)
		case r > 0xffff:
			r -= 0x10000
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

func isHostile(r rune) bool { return !unicode.IsPrint(r) }

// A UsageError says that a command was not called as it can be.
type UsageError struct {
	Problem string // what is wrong
	Remedy  string // what to do about it, most likely
}

func (e *UsageError) Error() string { return e.Problem }

// WithRemedy adds to an error what a person can most likely do about it.
func WithRemedy(err error, remedy string) error { return &remedied{err, remedy} }

type remedied struct {
	error
	remedy string
}

func (e *remedied) Unwrap() error { return e.error }

// Remedy returns what a person can most likely do about an error; "" if it
// does not say.
func Remedy(err error) string {
	var usage *UsageError
	var other *remedied
	switch {
	case errors.As(err, &other):
		return other.remedy
	case errors.As(err, &usage):
		return usage.Remedy
	default:
		return ""
	}
}

// Error shows why the command failed, and the remedy on its own line if err
// has one. In JSON mode it is a message of the type "error".
func (t *Terminal) Error(err error) {
	remedy := Remedy(err)
	if t.opts.JSON {
		t.Emit("error", struct {
			Problem string `json:"problem"`
			Remedy  string `json:"remedy,omitempty"`
		}{err.Error(), remedy})
		return
	}
	s := t.err.style(boldRed, "error:", t.opts) + " " + text(err.Error())
	if remedy != "" {
		s += text(remedy)
	}
	t.remark(s)
}

// text makes s fit to be shown as lines.
func text(s string) string {
	lines := strings.Split(strings.TrimSuffix(s, "\n"), "\n")
	for i, line := range lines {
		lines[i] = Clean(line)
	}
	return strings.Join(lines, "\n") + "\n"
}

// result writes whole lines to standard output.
func (t *Terminal) result(s string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.live.eraseLocked()
	if _, err := io.WriteString(t.out, s); err != nil && t.lost == nil {
		t.lost = fmt.Errorf("writing the result: %w", err)
	}
}

// remark writes whole lines to standard error.
func (t *Terminal) remark(s string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.live.eraseLocked()
	io.WriteString(t.err, s) // there is no place left to report a failure to
}

// A style is what comes before and after a text that stands out.
type style string

const (
	plain   style = ""
	bold    style = "\x1b[1m"
	red     style = "\x1b[31m"
	boldRed style = "\x1b[1;31m"
)

// style makes s stand out if that is seen by a person.
func (s stream) style(as style, text string, opts Options) string {
	if as == plain || text == "" || s.columns == nil || opts.NoColor {
		return text
	}
	return string(as) + text + "\x1b[0m"
}
