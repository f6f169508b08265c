package gate

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/store/blob/mem"
)

// u64 spells an offset.
func u64(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// TestConversation: what comes of requests that no decent client makes. Answers
// are written as their type, and the code of a status.
func TestConversation(t *testing.T) {
	var (
		hello     = request(typeInit)
		readme    = request(typeOpen, str("/README"), u32(openRead), u32(0))
		record    = request(typeOpen, str("/inbox/x.json"), u32(openWrite|openCreate), u32(0))
		top       = request(typeOpendir, str("/"))
		readFirst = request(typeRead, str("1"), u64(0), u32(100))
		write     = request(typeWrite, str("1"), u64(0), str("{}"))
		closing   = request(typeClose, str("1"))
	)
	for name, test := range map[string]struct {
		requests [][]byte
		want     string
		kept     int // files in the inbox
	}{
		"read":                 {[][]byte{hello, readme, readFirst, closing}, "version handle data 0", 0},
		"no beginning":         {[][]byte{readme}, "", 0},
		"twice begun":          {[][]byte{hello, hello}, "version 8", 0},
		"before it is open":    {[][]byte{hello, readFirst, readme, readFirst}, "version 4 handle data", 0},
		"after it was closed":  {[][]byte{hello, readme, closing, readFirst, closing}, "version handle 0 4 4", 0},
		"write what is read":   {[][]byte{hello, readme, write}, "version handle 4", 0},
		"read what is written": {[][]byte{hello, record, readFirst, write, closing}, "version handle 4 0 0", 1},
		"not closed":           {[][]byte{hello, record, write}, "version handle 0", 0},
		"folder as a file":     {[][]byte{hello, top, readFirst, write, closing}, "version handle 4 4 0", 0},
		"file as a folder":     {[][]byte{hello, readme, request(typeReaddir, str("1"))}, "version handle 4", 0},
		"folder to its end":    {[][]byte{hello, top, request(typeReaddir, str("1")), request(typeReaddir, str("1"))}, "version handle name 1", 0},
		"open a folder":        {[][]byte{hello, request(typeOpen, str("/"), u32(openRead), u32(0))}, "version 4", 0},
		"list a file":          {[][]byte{hello, request(typeOpendir, str("/README"))}, "version 2", 0},
		"no flags":             {[][]byte{hello, request(typeOpen, str("/README"), u32(0), u32(0))}, "version 8", 0},
		"far behind the end":   {[][]byte{hello, readme, request(typeRead, str("1"), u64(math.MaxUint64), u32(1))}, "version handle 1", 0},
		"behind the end":       {[][]byte{hello, readme, request(typeRead, str("1"), u64(math.MaxInt64), u32(math.MaxUint32))}, "version handle 1", 0},
		"write far behind":     {[][]byte{hello, record, request(typeWrite, str("1"), u64(math.MaxUint64), str("x")), closing}, "version handle 3 3", 0},
		"write backwards":      {[][]byte{hello, record, request(typeWrite, str("1"), u64(1), str("}")), write, closing}, "version handle 0 0 0", 1},
		"open twice to write":  {[][]byte{hello, record, record, write, closing}, "version handle 3 0 0", 1},
		"what is open":         {[][]byte{hello, readme, request(typeFstat, str("1")), request(typeFstat, str("2"))}, "version handle attrs 4", 0},
		"change what is open":  {[][]byte{hello, readme, request(typeFsetstat, str("1"), u32(0)), request(typeFsetstat, str("2"), u32(0))}, "version handle 3 4", 0},
		"limits":               {[][]byte{hello, request(typeExtended, str(limitsExtension))}, "version extended", 0},
		"unknown extension":    {[][]byte{hello, request(typeExtended, str("copy-data"))}, "version 8", 0},
		"unknown type":         {[][]byte{hello, request(99)}, "version 8", 0},
		"read a link":          {[][]byte{hello, request(typeReadlink, str("/README"))}, "version 4", 0},
		"long path":            {[][]byte{hello, request(typeStat, str(strings.Repeat("x", maxPath+1)))}, "version 4", 0},
		"real path":            {[][]byte{hello, request(typeRealpath, str("a/../../b"))}, "version name", 0},
		"cut short":            {[][]byte{hello, request(typeOpen, u32(100), []byte("/README")), readme}, "version 5", 0},
		"cut short in the end": {[][]byte{hello, readme, readFirst[:10]}, "version handle", 0},
		"lie about a length":   {[][]byte{hello, request(typeWrite, str("1"), u64(0), u32(math.MaxUint32))}, "version 5", 0},
		"empty packet":         {[][]byte{hello, u32(0), readme}, "version", 0},
		"endless packet":       {[][]byte{hello, u32(math.MaxUint32), readme}, "version", 0},
		"remove, cut short":    {[][]byte{hello, request(typeRename, str("/README"))}, "version 5", 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			kept := mem.New(mem.Options{})
			server, err := New(s.task, s.store, Options{Inbox: &Inbox{Into: kept}})
			if err != nil {
				t.Fatal(err)
			}
			c, channel := &session{server: server}, &pipe{Reader: bytes.NewReader(bytes.Join(test.requests, nil))}
			c.converse(channel)
			got, err := answers(channel.Bytes())
			if err != nil || got != test.want {
				t.Errorf("answers %q, %v; want %q", got, err, test.want)
			}
			n := 0
			for _, err := range kept.List(t.Context(), "") {
				if err != nil {
					t.Fatal(err)
				}
				n++
			}
			if n != test.kept {
				t.Errorf("%d files were kept, want %d", n, test.kept)
			}
			if c.handles != 0 {
				t.Errorf("%d handles are left", c.handles)
			}
		})
	}
}

func answers(b []byte) (string, error) {
	names := map[byte]string{
		typeVersion: "version", typeHandle: "handle", typeData: "data", typeName: "name", typeAttrs: "attrs", typeExtendedReply: "extended",
	}
	var all []string
	for r := bytes.NewReader(b); r.Len() > 0; {
		p, err := readPacket(r, nil)
		if err != nil {
			return "", err
		}
		name := names[p[0]]
		if p[0] == typeStatus {
			f := &fields{rest: p[5:]}
			name = fmt.Sprint(f.u32())
			if f.text(); f.text() != "" || f.bad || len(f.rest) > 0 {
				return "", errors.New("a status that is none")
			}
		}
		all = append(all, name)
	}
	return strings.Join(all, " "), nil
}

// TestData: what is answered is what was asked for, however much that is.
func TestData(t *testing.T) {
	s := newSite(t)
	large := bytes.Repeat([]byte("0123456789abcde\n"), 40_000)
	s.task.Files = append(s.task.Files, File{"large", large})
	server, err := New(s.task, s.store, Options{})
	if err != nil {
		t.Fatal(err)
	}
	requests := [][]byte{request(typeInit), request(typeOpen, str("/large"), u32(openRead), u32(0))}
	type part struct{ off, n, want int }
	var parts []part
	for _, n := range []int{0, 1, 1000, 32 << 10, maxData, maxData + 1, maxPacket} {
		for _, off := range []int{0, 7, len(large) - 1000, len(large) - 1} {
			parts = append(parts, part{off, n, min(n, maxData, len(large)-off)})
			requests = append(requests, request(typeRead, str("1"), u64(uint64(off)), u32(uint32(n))))
		}
	}
	c, channel := &session{server: server}, &pipe{Reader: bytes.NewReader(bytes.Join(requests, nil))}
	c.converse(channel)
	r := bytes.NewReader(channel.Bytes())
	for range 2 {
		if _, err := readPacket(r, nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range parts {
		b, err := readPacket(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		f := &fields{rest: b[5:]}
		got := f.bytes()
		if b[0] != typeData || f.bad || len(f.rest) > 0 {
			t.Fatalf("%+v: an answer of type %d", p, b[0])
		}
		if want := large[p.off : p.off+p.want]; !bytes.Equal(got, want) {
			t.Errorf("%+v: %d bytes (-want +got):\n%s", p, len(got), cmp.Diff(want[:min(40, len(want))], got[:min(40, len(got))]))
		}
	}
}
