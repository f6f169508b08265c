package manifest

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"strongroom/internal/safe"
)

// AppendHeader appends the first line of a manifest, newline included.
func AppendHeader(b []byte, h Header) []byte {
	h.Version = version
	line, err := json.Marshal(h)
	if err != nil {
		panic(fmt.Sprintf("a manifest's header cannot be encoded: %v", err)) // no field can fail
	}
	return append(append(b, line...), '\n')
}

// AppendTotals appends the last line of a manifest, newline included.
func AppendTotals(b []byte, t Totals) []byte {
	b = append(b, `{"entries":`...)
	b = strconv.AppendInt(b, t.Entries, 10)
	b = append(b, `,"bytes":`...)
	b = strconv.AppendInt(b, t.Bytes, 10)
	return append(b, "}\n"...)
}

// AppendEntry appends the lines of one entry, newlines included: one, or more
// if it has more than ChunksPerLine chunks. A time outside the years 0 to 9999
// is written as the nearest that can be.
func AppendEntry(b []byte, e Entry) []byte {
	n := min(len(e.Chunks), ChunksPerLine)
	b = AppendFirst(b, Entry{Entry: e.Entry, Chunks: e.Chunks[:n]}, n < len(e.Chunks))
	return appendRest(b, e.Chunks[n:])
}

// AppendFirst appends the first line of an entry, for whoever does not want to
// have all chunks of a file at hand: ChunksPerLine of them, and more says that
// those after them come by AppendMore, or all that there are.
func AppendFirst(b []byte, e Entry, more bool) []byte {
	b = append(b, '{')
	b = appendText(b, "path", e.Path)
	b = append(b, `,"type":"`...)
	b = append(b, e.Type...)
	b = append(b, `","mode":"`...)
	b = appendMode(b, e.Mode)
	b = append(b, `","uid":`...)
	b = strconv.AppendUint(b, uint64(e.UID), 10)
	b = append(b, `,"gid":`...)
	b = strconv.AppendUint(b, uint64(e.GID), 10)
	b = appendOptionalText(b, "user", e.User)
	b = appendOptionalText(b, "group", e.Group)
	b = appendTime(b, "mtime", e.MTime)
	if !e.CTime.IsZero() {
		b = appendTime(b, "ctime", e.CTime)
	}
	if e.Inode != 0 {
		b = append(b, `,"inode":`...)
		b = strconv.AppendUint(b, e.Inode, 10)
	}
	b = append(b, `,"size":`...)
	b = strconv.AppendInt(b, e.Size, 10)
	b = appendOptionalText(b, "target", e.Target)
	if e.Sparse {
		b = append(b, `,"sparse":true`...)
	}
	b = appendXattrs(b, e.Xattrs)
	if len(e.Chunks) > 0 {
		b = appendChunks(append(b, ','), e.Chunks, more)
	}
	return append(b, "}\n"...)
}

// AppendMore appends another line of an entry: ChunksPerLine chunks, if more
// follow in further lines, or the rest.
func AppendMore(b []byte, chunks []Chunk, more bool) []byte {
	b = appendChunks(append(b, '{'), chunks, more)
	return append(b, "}\n"...)
}

// appendRest appends as many lines as chunks take.
func appendRest(b []byte, chunks []Chunk) []byte {
	for part := range slices.Chunk(chunks, ChunksPerLine) {
		chunks = chunks[len(part):]
		b = AppendMore(b, part, len(chunks) > 0)
	}
	return b
}

func appendChunks(b []byte, chunks []Chunk, more bool) []byte {
	b = append(b, `"chunks":[`...)
	for i, c := range chunks {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendChunk(b, c)
	}
	b = append(b, ']')
	if more {
		b = append(b, `,"more":true`...)
	}
	return b
}

func appendChunk(b []byte, c Chunk) []byte {
	b = append(b, `{"h":"`...)
	b = hex.AppendEncode(b, c.Hash[:])
	b = append(b, `","r":"`...)
	b = appendRun(b, c.Run)
	b = append(b, `","p":"`...)
	b = hex.AppendEncode(b, c.Pack[:])
	b = append(b, `","o":`...)
	b = strconv.AppendInt(b, c.Offset, 10)
	b = append(b, `,"z":`...)
	b = strconv.AppendUint(b, uint64(c.Stored), 10)
	b = append(b, `,"n":`...)
	b = strconv.AppendUint(b, uint64(c.Length), 10)
	return append(b, '}')
}

func appendRun(b []byte, r safe.RunID) []byte {
	for i, part := range [][]byte{r[0:4], r[4:6], r[6:8], r[8:10], r[10:16]} {
		if i > 0 {
			b = append(b, '-')
		}
		b = hex.AppendEncode(b, part)
	}
	return b
}

func appendMode(b []byte, mode uint32) []byte {
	return append(b,
		'0'+byte(mode>>9&7), '0'+byte(mode>>6&7), '0'+byte(mode>>3&7), '0'+byte(mode&7))
}

func appendTime(b []byte, key string, t time.Time) []byte {
	t = t.UTC()
	switch {
	case t.Year() < 0:
		t = time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)
	case t.Year() > 9999:
		t = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	}
	b = append(b, `,"`...)
	b = append(b, key...)
	b = append(b, `":"`...)
	b = t.AppendFormat(b, time.RFC3339Nano)
	return append(b, '"')
}

func appendXattrs(b []byte, xattrs map[string][]byte) []byte {
	if len(xattrs) == 0 {
		return b
	}
	b = append(b, `,"xattrs":[`...)
	for i, name := range slices.Sorted(maps.Keys(xattrs)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '{')
		b = appendText(b, "name", name)
		b = append(b, `,"value":"`...)
		b = base64.StdEncoding.AppendEncode(b, xattrs[name])
		b = append(b, `"}`...)
	}
	return append(b, ']')
}

func appendOptionalText(b []byte, key, s string) []byte {
	if s == "" {
		return b
	}
	return appendText(append(b, ','), key, s)
}

// appendText appends "key":"text", or "key64":"base64" if s is not UTF-8,
// since names on Unix are bytes and come back as they were.
func appendText(b []byte, key, s string) []byte {
	b = append(b, '"')
	b = append(b, key...)
	if !utf8.ValidString(s) {
		b = append(b, `64":"`...)
		b = base64.StdEncoding.AppendEncode(b, []byte(s))
		return append(b, '"')
	}
	b = append(b, `":"`...)
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"', c == '\\':
			b = append(b, '\\', c)
		case c < 0x20:
			const digits = "0123456789abcdef"
			b = append(b, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}
