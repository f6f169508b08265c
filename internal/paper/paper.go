// Package paper makes the pages that people print and lock away: a private key
// that can be scanned or typed back, and what somebody needs to know who finds
// the page years later and has nothing else.
//
// A page comes as HTML for a browser's printer, on A4 or Letter, and as plain
// text for a printer without a browser. Either is complete in itself and loads
// nothing. The package does no I/O but to the writer it is given, and keeps no
// secret: whoever sees the file has the key, so it belongs in memory or on a
// disk that will be wiped, and then on paper.
package paper

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"rsc.io/qr"
)

// A Page is what stands on one. Title, Safe and Made are required. No text may
// hold a control character, or one that does not show.
type Page struct {
	Title   string
	Safe    string // its name
	Made    time.Time
	Purpose []string // paragraphs: what the page is for, what to do with it, where to keep it
	Secret  Secret   // the zero value if the page holds none
	Facts   []Fact
	Steps   []Step
}

// A Secret is a private key with what it is called.
type Secret struct {
	Label string
	Key   Key
}

// A Key is a private key in Bech32 in upper case, as age writes it:
// "AGE-SECRET-KEY-PQ-1...". It redacts itself like a key of package seal.
type Key string

// A Fact is a row of the table of what else must be known, such as a public
// key, a digest or words to be compared.
type Fact struct{ Label, Value string }

// A Step is one of the numbered steps that tell how to use the page.
type Step struct {
	Text    string
	Command string // lines to be typed, none if empty; each has at most MaxCommand characters
}

// MaxCommand is how many characters of a line that is to be typed fit on the
// page: lines are not broken where a shell would not.
const MaxCommand = 72

// columns is the width of a page of text.
const columns = 80

// maxKey bounds a key, so that its QR code stays large enough for any camera.
// Those of age have 77 characters.
const maxKey = 120

const redacted = "[redacted]"

func (Key) String() string             { return redacted }
func (Key) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }
func (Key) LogValue() slog.Value       { return slog.StringValue(redacted) }
func (Key) MarshalText() ([]byte, error) {
	return nil, errors.New("a private key is not written into a document")
}

// data are the characters of Bech32 after the 1 that ends its prefix.
const data = "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L"

// split returns the prefix, up to and with the last 1, and what follows it.
func (k Key) split() (prefix, rest string) {
	at := strings.LastIndexByte(string(k), '1') + 1
	return string(k)[:at], string(k)[at:]
}

// check says what is wrong with the key and nothing of what it is.
func (k Key) check() error {
	prefix, rest := k.split()
	for _, c := range prefix {
		if !('A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-') {
			return errors.New("the key is not in Bech32 in upper case: a character of its prefix is none of A to Z, 0 to 9 and -")
		}
	}
	if len(prefix) < 2 || len(rest) < 6 || strings.Trim(rest, data) != "" {
		return errors.New("the key is not in Bech32 in upper case")
	}
	if len(k) > maxKey {
		return fmt.Errorf("the key has %d characters, at most %d fit", len(k), maxKey)
	}
	return nil
}

// group is how many characters of a key stand together where it is typed from,
// and rowGroups how many groups stand in a row.
const (
	group     = 4
	rowGroups = 5
)

// A row is one line of a key in groups. Rows are lettered, so that one does
// not lose one's place.
type row struct {
	Name   string // "A", "B" ...
	Groups []string
}

// rows cuts the key into groups. Its prefix stands in the first row alone: it
// is the same on every page, and what follows has no 1.
func (k Key) rows() []row {
	prefix, rest := k.split()
	rows := []row{{"A", []string{prefix}}}
	for rest != "" {
		r := row{Name: string(rune('A' + len(rows)))}
		for rest != "" && len(r.Groups) < rowGroups {
			n := min(group, len(rest))
			r.Groups = append(r.Groups, rest[:n])
			rest = rest[n:]
		}
		rows = append(rows, r)
	}
	return rows
}

// typing are the words about how a key is read from paper. They hold for
// Bech32 (BIP-173): its alphabet after the prefix lacks 1, B, I and O, and its
// last six characters are a checksum that finds up to four wrong characters
// in 89.
var typing = []string{
	"To type the key: rows in order, without the row letters, without blanks, in one line, in upper case. " +
		"After the first row there are no letters B, I and O and no digit 1: what looks like an O is a zero, like a B an eight.",
	"The last six characters are a checksum. If a character is wrong or missing, the program that reads the key says so. " +
		"The QR code holds the same line.",
}

// code returns the QR code of the key. Level H stands the most damage: a fold
// or a stain.
func (k Key) code() (*qr.Code, error) { return qr.Encode(string(k), qr.H) }

// quiet is the white border that a QR code needs, in modules.
const quiet = 4

// made is how a time stands on the page.
func (p Page) made() string { return p.Made.UTC().Format("2 January 2006, 15:04 UTC") }

// hasSecret reports whether there is a key on the page.
func (p Page) hasSecret() bool { return p.Secret != Secret{} }

func (p Page) check() error {
	if p.Title == "" || p.Safe == "" || p.Made.IsZero() {
		return errors.New("a page needs a title, a safe and a time")
	}
	lines := map[string][]string{"title": {p.Title}, "safe's name": {p.Safe}, "purpose": p.Purpose, "label of the key": {p.Secret.Label}}
	for _, fact := range p.Facts {
		lines["facts"] = append(lines["facts"], fact.Label, fact.Value)
	}
	for _, step := range p.Steps {
		lines["steps"] = append(lines["steps"], step.Text)
		for line := range strings.Lines(step.Command) {
			line = strings.TrimSuffix(line, "\n")
			if n := utf8.RuneCountInString(line); n > MaxCommand {
				return fmt.Errorf("a line to be typed has %d characters, at most %d fit: %q", n, MaxCommand, line)
			}
			lines["commands"] = append(lines["commands"], line)
		}
	}
	for where, texts := range lines {
		for _, s := range texts {
			if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
				return fmt.Errorf("the page's %s has a character that does not show: %q", where, s)
			}
		}
	}
	if !p.hasSecret() {
		return nil
	}
	if p.Secret.Label == "" {
		return errors.New("the page's key has no label")
	}
	return p.Secret.Key.check()
}
