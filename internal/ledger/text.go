package ledger

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// MaxText bounds the bytes of a Text.
const MaxText = 4 << 10

// Text is a line for people in an entry: a reason, a name. It is valid UTF-8
// of at most MaxText bytes without characters that break or disguise a line.
type Text string

// TextOf makes a Text of any string: what may not stand in one is replaced,
// what is too long is cut. It never fails, because a failure must be recorded
// also when the error's text is odd.
func TextOf(s string) Text {
	s = strings.Map(replaceUnfit, strings.ToValidUTF8(s, "\uFFFD"))
	if len(s) > MaxText {
		const ellipsis = "…"
		end := MaxText - len(ellipsis)
		for !utf8.RuneStart(s[end]) {
			end--
		}
		s = s[:end] + ellipsis
	}
	return Text(s)
}

// replaceUnfit is part of the format and so names its characters itself:
// unicode.IsPrint changes with the Unicode version that a Go release has, and
// would make entries of one program malformed for the next.
func replaceUnfit(r rune) rune {
	switch {
	case r == '\n', r == '\r', r == '\t', r == '\u2028', r == '\u2029':
		return ' '
	case r < 0x20, 0x7f <= r && r < 0xa0: // control characters
		return '\uFFFD'
	case 0x202a <= r && r <= 0x202e, 0x2066 <= r && r <= 0x2069: // change the direction of what follows
		return '\uFFFD'
	}
	return r
}

func (t Text) check() error {
	if TextOf(string(t)) != t {
		return errors.New("a text has characters that an entry cannot hold, or is too long")
	}
	return nil
}

// MarshalText refuses what TextOf would have changed. Without that, JSON
// would replace invalid UTF-8 silently.
func (t Text) MarshalText() ([]byte, error) { return []byte(t), t.check() }

func (t *Text) UnmarshalText(b []byte) error {
	*t = Text(b)
	return t.check()
}
