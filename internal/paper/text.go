package paper

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"rsc.io/qr"
)

// Text writes the page as plain text of 80 columns, its QR code in half-block
// characters. The code is for black ink on white: most cameras do not read it
// from a terminal with a dark background.
func (p Page) Text(w io.Writer) error {
	if err := p.check(); err != nil {
		return fmt.Errorf("printing the page %q: %w", p.Title, err)
	}
	var t textPage
	t.paragraph("", p.Title)
	t.line(strings.Repeat("=", min(utf8.RuneCountInString(p.Title), columns)))
	t.line("")
	t.paragraph("", fmt.Sprintf("Strongroom, safe %s. Made %s.", p.Safe, p.made()))
	for _, s := range p.Purpose {
		t.line("")
		t.paragraph("", s)
	}
	if p.hasSecret() {
		if err := t.secret(p.Secret); err != nil {
			return fmt.Errorf("printing the page %q: %w", p.Title, err)
		}
	}
	if len(p.Facts) > 0 {
		t.heading("To compare")
		for _, fact := range p.Facts {
			t.line("")
			t.paragraph("", fact.Label+":")
			t.paragraph("    ", fact.Value)
		}
	}
	if len(p.Steps) > 0 {
		t.heading("How to use it")
		for i, step := range p.Steps {
			t.line("")
			t.paragraph(fmt.Sprintf("%2d. ", i+1), step.Text)
			for line := range strings.Lines(step.Command) {
				t.line("      " + strings.TrimSuffix(line, "\n"))
			}
		}
	}
	_, err := w.Write(t.Bytes())
	return err
}

// A textPage gathers lines of at most 80 columns.
type textPage struct{ bytes.Buffer }

func (t *textPage) line(s string) {
	t.WriteString(strings.TrimRight(s, " "))
	t.WriteByte('\n')
}

func (t *textPage) heading(s string) {
	t.line("")
	t.line("")
	t.line(s)
	t.line(strings.Repeat("-", utf8.RuneCountInString(s)))
}

// paragraph writes s with first before its first line, and as many blanks
// before the others.
func (t *textPage) paragraph(first, s string) {
	indent := strings.Repeat(" ", len(first))
	for i, line := range wrap(s, columns-len(first)) {
		if i == 0 {
			t.line(first + line)
		} else {
			t.line(indent + line)
		}
	}
}

func (t *textPage) secret(s Secret) error {
	code, err := s.Key.code()
	if err != nil {
		return fmt.Errorf("making the QR code of the key: %w", err)
	}
	t.heading(s.Label)
	t.line("")
	t.paragraph("  ", string(s.Key))
	t.line("")
	for _, row := range s.Key.rows() {
		t.line("    " + row.Name + "   " + strings.Join(row.Groups, " "))
	}
	for _, paragraph := range typing {
		t.line("")
		t.paragraph("", paragraph)
	}
	t.line("")
	for _, line := range halfBlocks(code) {
		t.line(line)
	}
	return nil
}

// halfBlocks draws the code and its border, two rows of modules to a line.
func halfBlocks(code *qr.Code) []string {
	blocks := map[[2]bool]string{{true, true}: "█", {true, false}: "▀", {false, true}: "▄", {false, false}: " "}
	var lines []string
	for y := -quiet; y < code.Size+quiet; y += 2 {
		var line strings.Builder
		for x := -quiet; x < code.Size+quiet; x++ {
			line.WriteString(blocks[[2]bool{code.Black(x, y), code.Black(x, y+1)}])
		}
		lines = append(lines, line.String())
	}
	return lines
}

// wrap breaks s at blanks into lines of at most width characters. What is
// longer without a blank, such as a public key, is broken anywhere.
func wrap(s string, width int) []string {
	var lines []string
	var line []rune
	for word := range strings.FieldsSeq(s) {
		rest := []rune(word)
		if len(line) > 0 && len(line)+1+len(rest) > width {
			lines, line = append(lines, string(line)), nil
		}
		if len(line) > 0 {
			line = append(line, ' ')
		}
		for len(rest) > width {
			lines, rest = append(lines, string(rest[:width])), rest[width:]
		}
		line = append(line, rest...)
	}
	return append(lines, string(line))
}
