package manifest

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"strongroom/internal/safe"
)

// A scanner reads one line in the one spelling that append.go writes. The
// first error stays; after it every method does nothing.
type scanner struct {
	line []byte
	rest []byte
	err  error
	last *lately
}

// lately is what was read last of fields that are mostly the same from chunk to
// chunk, so that it need not be parsed each time. The texts are empty at first.
type lately struct {
	runText  string
	run      safe.RunID
	packText string
	pack     safe.Digest
}

func (s *scanner) fail(format string, args ...any) {
	if s.err == nil {
		s.err = fmt.Errorf("at byte %d: %w", len(s.line)-len(s.rest), fmt.Errorf(format, args...))
	}
}

// has consumes text if it comes next, and tells whether it did.
func (s *scanner) has(text string) bool {
	if s.err == nil && len(s.rest) >= len(text) && string(s.rest[:len(text)]) == text {
		s.rest = s.rest[len(text):]
		return true
	}
	return false
}

// hasKey consumes "key" and what follows it, if they come next.
func (s *scanner) hasKey(key, then string) bool {
	mark := s.rest
	if s.has(`"`) && s.has(key) && s.has(then) {
		return true
	}
	s.rest = mark
	return false
}

func (s *scanner) want(text string) {
	if !s.has(text) {
		s.fail("want %s", text)
	}
}

// until returns what comes before the next quotation mark, and consumes both.
// It serves values that need no escapes.
func (s *scanner) until() []byte {
	if s.err != nil {
		return nil
	}
	for i, c := range s.rest {
		if c == '"' {
			v := s.rest[:i]
			s.rest = s.rest[i+1:]
			return v
		}
	}
	s.fail("a string has no end")
	return nil
}

// text reads the value of "key" or "key64".
func (s *scanner) text(key string) string {
	if s.hasKey(key, `64":"`) {
		b, err := base64.StdEncoding.Strict().AppendDecode(nil, s.until())
		switch {
		case err != nil:
			s.fail("%s64: %w", key, err)
		case utf8.Valid(b):
			s.fail("%s64 holds UTF-8, which has to stand in %s", key, key)
		}
		return string(b)
	}
	if !s.hasKey(key, `":"`) {
		s.fail("want %q", key)
	}
	if s.err != nil {
		return ""
	}
	for i, c := range s.rest {
		switch {
		case c == '\\' || c < 0x20:
			return s.escaped(i)
		case c == '"':
			return s.checked(string(s.until()))
		}
	}
	s.fail("a string has no end")
	return ""
}

// escaped reads the remainder of a string whose first escape is at i.
func (s *scanner) escaped(i int) string {
	v := append([]byte(nil), s.rest[:i]...)
	s.rest = s.rest[i:]
	for s.err == nil {
		switch {
		case len(s.rest) == 0:
			s.fail("a string has no end")
		case s.has(`"`):
			return s.checked(string(v))
		case s.has(`\"`):
			v = append(v, '"')
		case s.has(`\\`):
			v = append(v, '\\')
		case s.has(`\u00`):
			var c [1]byte
			if len(s.rest) < 2 || hexLower(c[:], s.rest[:2]) != nil || c[0] >= 0x20 {
				s.fail("an escape that is not used here")
				return ""
			}
			v = append(v, c[0])
			s.rest = s.rest[2:]
		case s.rest[0] == '\\' || s.rest[0] < 0x20:
			s.fail("an escape or control character that is not used here")
		default:
			v = append(v, s.rest[0])
			s.rest = s.rest[1:]
		}
	}
	return ""
}

func (s *scanner) checked(v string) string {
	if !utf8.ValidString(v) {
		s.fail("a string is not UTF-8")
	}
	return v
}

// optionalText reads ,"key":"..." if it comes next.
func (s *scanner) optionalText(key string) string {
	mark := s.rest
	if !s.has(`,"`) || !s.has(key) {
		s.rest = mark
		return ""
	}
	s.rest = mark[1:]
	v := s.text(key)
	if v == "" {
		s.fail("%s is empty, and would have been left out", key)
	}
	return v
}

// number reads a decimal integer from 0 to max, without sign or leading zeros.
func (s *scanner) number(max uint64) uint64 {
	n := 0
	for n < len(s.rest) && '0' <= s.rest[n] && s.rest[n] <= '9' {
		n++
	}
	digits := s.rest[:n]
	if n == 0 || n > 20 || n > 1 && digits[0] == '0' {
		s.fail("want a number")
		return 0
	}
	v, err := strconv.ParseUint(string(digits), 10, 64)
	if err != nil || v > max {
		s.fail("number %s is greater than %d", digits, max)
		return 0
	}
	s.rest = s.rest[n:]
	return v
}

func (s *scanner) time(key string) time.Time {
	text := s.until()
	t, ok := parseTime(text)
	if !ok {
		s.fail("%s %.40q is not a time as it is written here", key, text)
	}
	return t
}

// parseTime reads a time in UTC as time.RFC3339Nano formats it, in no other
// spelling. Every entry has two, and time.Parse takes five times as long.
func parseTime(text []byte) (t time.Time, ok bool) {
	const form = "2006-01-02T15:04:05Z"
	if len(text) < len(form) || text[len(text)-1] != 'Z' {
		return t, false
	}
	whole, fraction := text[:len(form)-1], text[len(form)-1:len(text)-1]
	for i, c := range whole {
		if isDigit(form[i]) != isDigit(c) || !isDigit(c) && c != form[i] {
			return t, false
		}
	}
	nanoseconds := 0
	if n := len(fraction); n > 0 {
		if n < 2 || n > 10 || fraction[0] != '.' || fraction[n-1] == '0' {
			return t, false
		}
		unit := 1_000_000_000
		for _, c := range fraction[1:] {
			if !isDigit(c) {
				return t, false
			}
			unit /= 10
			nanoseconds += int(c-'0') * unit
		}
	}
	two := func(i int) int { return int(whole[i]-'0')*10 + int(whole[i+1]-'0') }
	year, month, day := two(0)*100+two(2), two(5), two(8)
	hour, minute, second := two(11), two(14), two(17)
	t = time.Date(year, time.Month(month), day, hour, minute, second, nanoseconds, time.UTC)
	// Date makes sense of everything: a day 31 of June would be one of July.
	ok = t.Day() == day && int(t.Month()) == month && hour < 24 && minute < 60 && second < 60
	return t, ok
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func (s *scanner) mode() uint32 {
	digits := s.until()
	if len(digits) != 4 {
		s.fail("mode %.10q: want four octal digits", digits)
		return 0
	}
	v, err := strconv.ParseUint(string(digits), 8, 12)
	if err != nil {
		s.fail("mode %q: want four octal digits", digits)
	}
	return uint32(v)
}

func (s *scanner) xattrs() map[string][]byte {
	if !s.has(`,"xattrs":[`) {
		return nil
	}
	xattrs := make(map[string][]byte)
	total, last := 0, ""
	for s.err == nil {
		s.want(`{`)
		name := s.text("name")
		s.want(`,"value":"`)
		value, err := base64.StdEncoding.Strict().AppendDecode(nil, s.until())
		s.want(`}`)
		total += len(name) + len(value)
		switch {
		case err != nil:
			s.fail("an extended attribute: %w", err)
		case name == "" || len(xattrs) > 0 && name <= last:
			s.fail("extended attributes are not in order")
		case total > maxXattrs:
			s.fail("extended attributes of more than %d bytes", maxXattrs)
		}
		xattrs[name], last = value, name
		if !s.has(`,`) {
			break
		}
	}
	s.want(`]`)
	return xattrs
}

// chunks appends the chunks of a line to dst and tells whether more follow in
// the next.
func (s *scanner) chunks(dst []Chunk) (chunks []Chunk, more bool) {
	s.want(`"chunks":[`)
	for n := 1; s.err == nil; n++ {
		if n > ChunksPerLine {
			s.fail("more than %d chunks in one line", ChunksPerLine)
		}
		dst = append(dst, s.chunk())
		if !s.has(`,`) {
			break
		}
	}
	s.want(`]`)
	more = s.has(`,"more":true`)
	if more && len(dst) != ChunksPerLine {
		s.fail("a line of %d chunks goes on, want %d", len(dst), ChunksPerLine)
	}
	return dst, more
}

func (s *scanner) chunk() Chunk {
	var c Chunk
	s.want(`{"h":"`)
	s.hex(c.Hash[:])
	s.want(`","r":"`)
	c.Run = s.run()
	s.want(`","p":"`)
	c.Pack = s.pack()
	s.want(`","o":`)
	c.Offset = int64(s.number(1 << 40))
	s.want(`,"z":`)
	c.Stored = uint32(s.number(2 * maxChunk))
	s.want(`,"n":`)
	c.Length = uint32(s.number(maxChunk))
	s.want(`}`)
	if c.Length == 0 || c.Stored == 0 {
		s.fail("a chunk of no bytes")
	}
	return c
}

func (s *scanner) run() safe.RunID {
	const length = 36
	if s.err != nil || s.last.runText != "" && s.has(s.last.runText) {
		return s.last.run
	}
	if len(s.rest) < length {
		s.fail("want a run id")
		return safe.RunID{}
	}
	text := string(s.rest[:length])
	run, err := safe.ParseRunID(text)
	if err != nil {
		s.fail("%w", err)
		return safe.RunID{}
	}
	s.last.run, s.last.runText, s.rest = run, text, s.rest[length:]
	return run
}

func (s *scanner) pack() safe.Digest {
	if s.err != nil || s.last.packText != "" && s.has(s.last.packText) {
		return s.last.pack
	}
	text := s.rest
	var pack safe.Digest
	if s.hex(pack[:]); s.err == nil {
		s.last.pack, s.last.packText = pack, string(text[:2*len(pack)])
	}
	return pack
}

func (s *scanner) hex(dst []byte) {
	if s.err != nil {
		return
	}
	if len(s.rest) < 2*len(dst) || hexLower(dst, s.rest[:2*len(dst)]) != nil {
		s.fail("want %d lower-case hex digits", 2*len(dst))
		return
	}
	s.rest = s.rest[2*len(dst):]
}

// hexLower decodes 2*len(dst) hexadecimal digits, in lower case only.
func hexLower(dst, src []byte) error {
	var bad byte
	for i := range dst {
		high, low := hexValue[src[2*i]], hexValue[src[2*i+1]]
		bad |= high | low
		dst[i] = high<<4 | low
	}
	if bad > 0xf {
		return errors.New("not a lower-case hex digit")
	}
	return nil
}

// hexValue is what a digit stands for, 0xff for other bytes.
var hexValue = func() (values [256]byte) {
	for i := range values {
		values[i] = 0xff
	}
	for i, c := range []byte("0123456789abcdef") {
		values[c] = byte(i)
	}
	return values
}()

// entry reads the first line of an entry.
func (s *scanner) entry(chunks []Chunk) (e Entry, more bool) {
	s.want(`{`)
	e.Path = s.text("path")
	s.want(`,"type":"`)
	e.Type = safe.EntryType(s.until())
	s.want(`,"mode":"`)
	e.Mode = s.mode()
	s.want(`,"uid":`)
	e.UID = uint32(s.number(1<<32 - 1))
	s.want(`,"gid":`)
	e.GID = uint32(s.number(1<<32 - 1))
	e.User = s.optionalText("user")
	e.Group = s.optionalText("group")
	s.want(`,"mtime":"`)
	e.MTime = s.time("mtime")
	if s.has(`,"ctime":"`) {
		e.CTime = s.time("ctime")
	}
	if s.has(`,"inode":`) {
		e.Inode = s.number(1<<64 - 1)
	}
	s.want(`,"size":`)
	e.Size = int64(s.number(1<<63 - 1))
	e.Target = s.optionalText("target")
	e.Sparse = s.has(`,"sparse":true`)
	e.Xattrs = s.xattrs()
	if s.has(`,`) {
		e.Chunks, more = s.chunks(chunks)
	}
	s.end()
	return e, more
}

func (s *scanner) end() {
	s.want(`}`)
	if s.err == nil && len(s.rest) > 0 {
		s.fail("something follows the end of the line's object")
	}
}
