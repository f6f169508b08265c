package command

import (
	"strings"
	"unicode"
)

// A tail keeps the end of what is written to it.
type tail struct {
	most int // bytes that are kept
	b    []byte
	cut  bool // there was more
}

// Write implements io.Writer. It does not fail.
func (t *tail) Write(p []byte) (int, error) {
	n := len(p)
	if over := len(t.b) + n - t.most; over > 0 {
		t.cut = true
		drop := min(over, len(t.b))
		t.b = t.b[:copy(t.b, t.b[drop:])]
		p = p[over-drop:]
	}
	t.b = append(t.b, p...)
	return n, nil
}

// lines returns the lines that have something on them, without blanks at their
// ends. The first may have lost its beginning.
func (t *tail) lines() []string {
	var all []string
	for line := range strings.Lines(string(t.b)) {
		if line = strings.TrimRightFunc(line, unicode.IsSpace); line != "" {
			all = append(all, line)
		}
	}
	return all
}
