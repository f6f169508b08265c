//go:build linux

package sftp_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	pkgsftp "github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"strongroom/internal/safe"
	"strongroom/internal/source"
	"strongroom/internal/source/sftp"
	"strongroom/internal/source/sftp/sftptest"
	"strongroom/internal/source/sftp/wire"
	"strongroom/internal/source/sourcetest"
)

// outcome is what a pull came to: "path: n bytes" or "path: type", and
// "path: kind of problem", in order; then the error.
func outcome(t *testing.T, o sftp.Options) (lines []string, err error) {
	t.Helper()
	s, err := sftp.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	note := func(p source.Problem) {
		if len(p.Path) > 20 {
			p.Path = p.Path[:20]
		}
		lines = append(lines, p.Path+": "+string(p.Kind))
		if strings.Contains(p.Error(), "words of the server") {
			t.Errorf("a problem repeats what the server says: %v", &p)
		}
	}
	for item, err := range s.Pull(ctx, source.Request{Report: note}) {
		if err != nil {
			return lines, err
		}
		if item.Content == nil {
			lines = append(lines, item.Path+": "+string(item.Type))
			continue
		}
		n, err := io.Copy(io.Discard, item.Content)
		var p *source.Problem
		switch {
		case errors.As(err, &p):
			note(*p)
		case err == nil:
			lines = append(lines, item.Path+": "+strings.Repeat("x", int(min(n, 20))))
		}
	}
	return lines, nil
}

var (
	small = entry("f", attrs(modeFile, 5))
	big   = entry("f", attrs(modeFile, 10<<20))
)

func TestHostileServer(t *testing.T) {
	endless := func(chunk string) func(byte, uint32, string, uint64) []byte {
		return func(typ byte, id uint32, text string, offset uint64) []byte {
			switch typ {
			case 5:
				return packet(103, id, str(chunk))
			case 8:
				return packet(105, id, attrs(modeFile, offset+1<<40))
			}
			return nil
		}
	}
	on := func(want byte, reply func(id uint32) []byte) func(byte, uint32, string, uint64) []byte {
		return func(typ byte, id uint32, text string, _ uint64) []byte {
			if typ == want {
				return reply(id)
			}
			return nil
		}
	}
	tests := []struct {
		name   string
		fake   fake
		limits source.Limits
		want   string // lines of the outcome, separated by "|"
		err    string // part of the error; "" for none
	}{
		{name: "honest", fake: fake{Files: []named{small}, Data: map[string]string{"f": "hello"}}, want: "d: dir|d/f: xxxxx"},
		{name: "empty folder", want: "d: dir"},
		{name: "yields less than it claims", fake: fake{Files: []named{small}, Data: map[string]string{"f": "hi"}}, want: "d: dir|d/f: invalid"},
		{name: "yields nothing", fake: fake{Files: []named{small}}, want: "d: dir|d/f: invalid"},
		{name: "big file yields less", fake: fake{Files: []named{big}, Data: map[string]string{"f": strings.Repeat("x", 3<<20)}}, want: "d: dir|d/f: invalid"},
		{
			name: "grew, and says so",
			fake: fake{Files: []named{small}, Data: map[string]string{"f": "hello world"}, Answer: on(8, func(id uint32) []byte { return packet(105, id, attrs(modeFile, 11)) })},
			want: "d: dir|d/f: changed|d/f: xxxxxxxxxxx",
		},
		{
			name: "endless file", fake: fake{Files: []named{small}, Answer: endless("hello")},
			limits: source.Limits{Growth: 1000}, want: "d: dir|d/f: invalid",
		},
		{
			name: "endless empty file", fake: fake{Files: []named{entry("f", attrs(modeFile, 0))}, Answer: endless("hello")},
			limits: source.Limits{Growth: 1000}, want: "d: dir|d/f: invalid",
		},
		{
			name: "endless file over the limit of bytes", fake: fake{Files: []named{small}, Answer: endless("hello")},
			limits: source.Limits{Bytes: 500}, want: "d: dir", err: "more than the 500 bytes",
		},
		{name: "reads without data", fake: fake{Files: []named{small}, Answer: on(5, func(id uint32) []byte { return packet(103, id, str("")) })}, want: "d: dir", err: "does not keep to the SFTP protocol"},
		{name: "more data than asked for", fake: fake{Files: []named{small}, Answer: on(5, func(id uint32) []byte { return packet(103, id, str("hello!")) })}, want: "d: dir", err: "does not keep to the SFTP protocol"},
		{name: "silent when read", fake: fake{Files: []named{small}, Answer: on(5, func(uint32) []byte { return silence })}, want: "d: dir", err: "gone silent"},
		{
			name: "silent in mid-file",
			fake: fake{Files: []named{big}, Data: map[string]string{"f": strings.Repeat("x", 10<<20)}, Answer: func(typ byte, _ uint32, _ string, offset uint64) []byte {
				if typ == 5 && offset > 5<<20 {
					return silence
				}
				return nil
			}},
			want: "d: dir", err: "gone silent",
		},
		{name: "silent when listed", fake: fake{Answer: on(12, func(uint32) []byte { return silence })}, want: "d: dir", err: "gone silent"},
		{name: "silent from the start", fake: fake{Answer: on(1, func(uint32) []byte { return silence })}, err: "gone silent"},
		{
			name: "hangs up in mid-file",
			fake: fake{Files: []named{big}, Data: map[string]string{"f": strings.Repeat("x", 10<<20)}, Answer: func(typ byte, _ uint32, _ string, offset uint64) []byte {
				if typ == 5 && offset > 5<<20 {
					return hangUp
				}
				return nil
			}},
			want: "d: dir", err: "the server closed the connection",
		},
		{name: "hangs up when listed", fake: fake{Answer: on(12, func(uint32) []byte { return hangUp })}, want: "d: dir", err: "closed the connection"},
		{
			name:   "endless folder",
			fake:   fake{Answer: on(12, func(id uint32) []byte { return page(id, entry(string(rune('a'+id)), attrs(modeLink, 0))) }), Target: "x"},
			limits: source.Limits{FolderEntries: 3}, want: "d: dir|d: unreadable|d/d: symlink|d/e: symlink|d/f: symlink",
		},
		{name: "endless dots", fake: fake{Answer: on(12, func(id uint32) []byte { return page(id, entry(".", u32(0)), entry("..", u32(0))) })}, want: "d: dir|d: invalid"},
		{name: "endless empty parts", fake: fake{Answer: on(12, func(id uint32) []byte { return page(id) })}, want: "d: dir", err: "does not keep to the SFTP protocol"},
		{
			name: "names that lead elsewhere",
			fake: fake{Files: []named{
				entry("../../etc/cron.d/x", small.Attrs), entry("/etc/passwd", small.Attrs), entry("a/b", small.Attrs), entry("", small.Attrs), entry("nul\x00", small.Attrs), entry(strings.Repeat("n", 256), small.Attrs), entry(".", u32(0)), entry("..", u32(0)), small,
			}, Data: map[string]string{"f": "hello"}},
			want: "d: dir|d/../../etc/cron.d/x: invalid|d//etc/passwd: invalid|d/a/b: invalid|d/: invalid|d/nul\x00: invalid|d/nnnnnnnnnnnnnnnnnn: invalid|d/f: xxxxx",
		},
		{name: "a name twice", fake: fake{Files: []named{small, small}, Data: map[string]string{"f": "hello"}}, want: "d: dir|d/f: xxxxx|d/f: invalid"},
		{name: "a count that is a lie", fake: fake{Answer: on(12, func(id uint32) []byte { return packet(104, id, u32(1<<31)) })}, want: "d: dir", err: "does not keep to the SFTP protocol"},
		{name: "a size beyond all files", fake: fake{Files: []named{entry("f", attrs(modeFile, 1<<63))}}, want: "d: dir|d/f: invalid"},
		{name: "a huge size", fake: fake{Files: []named{entry("f", attrs(modeFile, 1<<63-1))}, Data: map[string]string{"f": "hi"}}, want: "d: dir|d/f: invalid"},
		{name: "no attributes", fake: fake{Files: []named{entry("f", u32(0))}}, want: "d: dir|d/f: invalid"},
		{name: "attributes only when asked", fake: fake{Files: []named{entry("f", u32(0))}, Data: map[string]string{"f": "hello"}, Answer: on(7, func(id uint32) []byte { return nil })}, want: "d: dir|d/f: invalid"},
		{name: "a link with NUL", fake: fake{Files: []named{entry("l", attrs(modeLink, 0))}, Target: "a\x00b"}, want: "d: dir|d/l: invalid"},
		{name: "a link to nothing at all", fake: fake{Files: []named{entry("l", attrs(modeLink, 0))}}, want: "d: dir|d/l: invalid"},
		{name: "permission denied", fake: fake{Files: []named{small}, Answer: on(3, func(id uint32) []byte { return status(id, 3) })}, want: "d: dir|d/f: unreadable"},
		{name: "folder denied", fake: fake{Answer: on(11, func(id uint32) []byte { return status(id, 3) })}, want: "d: dir|d: unreadable"},
		{name: "error in mid-file", fake: fake{Files: []named{small}, Answer: on(5, func(id uint32) []byte { return status(id, 4) })}, want: "d: dir|d/f: unreadable"},
		{name: "gone", fake: fake{Files: []named{small}, Answer: on(3, func(id uint32) []byte { return status(id, 2) })}, want: "d: dir|d/f: vanished"},
		{name: "OK instead of data", fake: fake{Files: []named{small}, Answer: on(5, func(id uint32) []byte { return status(id, 0) })}, want: "d: dir|d/f: unreadable"},
		{name: "an answer of another kind", fake: fake{Files: []named{small}, Answer: on(3, func(id uint32) []byte { return packet(105, id, small.Attrs) })}, want: "d: dir", err: "does not keep to the SFTP protocol"},
		{name: "an answer to nothing", fake: fake{Files: []named{small}, Answer: on(3, func(id uint32) []byte { return status(id+1000, 0) })}, want: "d: dir", err: "does not keep to the SFTP protocol"},
		{name: "a huge packet", fake: fake{Files: []named{small}, Answer: on(3, func(uint32) []byte { return u32(1<<32 - 1)[:4:4] })}, want: "d: dir", err: "gone silent"},
		{name: "a huge packet with a type", fake: fake{Files: []named{small}, Answer: on(3, func(uint32) []byte { return append(u32(1<<32-1), 102) })}, want: "d: dir", err: "does not keep to the SFTP protocol"},
		{name: "another version", fake: fake{Answer: on(1, func(uint32) []byte { return []byte{0, 0, 0, 5, 2, 0, 0, 0, 6} })}, err: "version 6"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := fakeSSH(t, sftptest.Signer(t, sftptest.NewKey(t)), tt.fake.Serve)
			o.Limits = tt.limits
			begin := time.Now()
			lines, err := outcome(t, o)
			// What comes before a lost connection depends on when it is
			// lost, but never is it more than that.
			got := strings.Join(lines, "|")
			if diff := cmp.Diff(tt.want, got); diff != "" && !(tt.err != "" && strings.HasPrefix(tt.want, got)) {
				t.Errorf("outcome (-want +got):\n%s", diff)
			}
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
			if took := time.Since(begin); took > 15*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

func TestSilentServerEndsWithContext(t *testing.T) {
	for _, typ := range []byte{1, 3, 5, 8, 12} {
		silent := fake{Files: []named{small}, Answer: func(got byte, _ uint32, _ string, _ uint64) []byte {
			if got == typ {
				return silence
			}
			return nil
		}}
		o := fakeSSH(t, sftptest.Signer(t, sftptest.NewKey(t)), silent.Serve)
		o.StallTimeout = time.Hour
		s, err := sftp.New(o)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		timer := time.AfterFunc(300*time.Millisecond, cancel)
		begin := time.Now()
		var last error
		for item, err := range s.Pull(ctx, source.Request{}) {
			last = err
			if item.Content != nil {
				if _, err := io.Copy(io.Discard, item.Content); err == nil {
					t.Errorf("request %d unanswered: a file was read as if it were whole", typ)
				}
			}
		}
		if !errors.Is(last, context.Canceled) {
			t.Errorf("request %d unanswered: the error is %v", typ, last)
		}
		if took := time.Since(begin); took > 1300*time.Millisecond {
			t.Errorf("request %d unanswered: the pull ended %v after it was cancelled", typ, took-300*time.Millisecond)
		}
		timer.Stop()
		cancel()
	}
}

func TestEarlyStopWithSilentServer(t *testing.T) {
	silent := fake{Files: []named{entry("a", attrs(modeLink, 0)), small}, Target: "x", Answer: func(got byte, _ uint32, _ string, _ uint64) []byte {
		if got == 5 {
			return silence
		}
		return nil
	}}
	o := fakeSSH(t, sftptest.Signer(t, sftptest.NewKey(t)), silent.Serve)
	o.StallTimeout = time.Hour
	s, err := sftp.New(o)
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	for item := range s.Pull(t.Context(), source.Request{}) {
		if item.Type == safe.Symlink {
			break
		}
	}
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("stopping took %v", took)
	}
}

func TestNobodyAnswers(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") // accepts by itself, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	f := fake{}
	o := fakeSSH(t, sftptest.Signer(t, sftptest.NewKey(t)), f.Serve)
	o.Addr = listener.Addr().String()
	o.ConnectTimeout = 200 * time.Millisecond
	if _, err := outcome(t, o); err == nil || !strings.Contains(err.Error(), "took longer than 200ms") {
		t.Errorf("error %v", err)
	}
	listener.Close()
	if _, err := outcome(t, o); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("error %v", err)
	}
}

func TestNewRefuses(t *testing.T) {
	f := fake{}
	good := fakeSSH(t, sftptest.Signer(t, sftptest.NewKey(t)), f.Serve)
	locked, err := ssh.MarshalPrivateKeyWithPassphrase(sftptest.NewKey(t), "", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*sftp.Options){
		"include":       func(o *sftp.Options) { o.Include = []string{"relative"} },
		"address":       func(o *sftp.Options) { o.Addr = "host" },
		"account":       func(o *sftp.Options) { o.User = "" },
		"pinned":        func(o *sftp.Options) { o.HostKeys = nil },
		"host key":      func(o *sftp.Options) { o.HostKeys = []string{"ssh-ed25519 AAAA"} },
		"one line":      func(o *sftp.Options) { o.HostKeys = []string{o.HostKeys[0] + "\n" + o.HostKeys[0]} },
		"private key":   func(o *sftp.Options) { o.Key = []byte("SECRET-MATERIAL") },
		"passphrase":    func(o *sftp.Options) { o.Key = locked.Bytes },
		"1 to 8":        func(o *sftp.Options) { o.Connections = 9 },
		"0 connections": nil,
	} {
		o := good
		if change == nil {
			if _, err := sftp.New(o); err != nil {
				t.Errorf("good options: %v", err)
			}
			continue
		}
		change(&o)
		_, err := sftp.New(o)
		if name == "passphrase" {
			name = "private key" // bare bytes are no PEM
		}
		if err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// TestConformanceOfAnotherServer runs the suite against a server that answers
// out of order and knows none of OpenSSH's extensions.
func TestConformanceOfAnotherServer(t *testing.T) {
	o := fakeSSH(t, sftptest.Signer(t, sftptest.NewKey(t)), func(channel ssh.Channel, _ net.Conn) {
		defer channel.Close()
		server, err := pkgsftp.NewServer(channel, pkgsftp.ReadOnly())
		if err == nil {
			_ = server.Serve() // ends with the connection
		}
	})
	o.StallTimeout = time.Minute
	sourcetest.Run(t, sourcetest.Kind{New: func(include, exclude []string, limits source.Limits) (source.Source, error) {
		o := o
		o.Include, o.Exclude, o.Limits = include, exclude, limits
		return sftp.New(o)
	}})
}

func TestStallIsTyped(t *testing.T) {
	f := fake{Answer: func(typ byte, _ uint32, _ string, _ uint64) []byte {
		if typ == 7 {
			return silence
		}
		return nil
	}}
	o := fakeSSH(t, sftptest.Signer(t, sftptest.NewKey(t)), f.Serve)
	o.StallTimeout = 100 * time.Millisecond
	s, err := sftp.New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Probe(t.Context()); !errors.Is(err, wire.ErrStalled) {
		t.Errorf("error %v, want ErrStalled", err)
	}
}
