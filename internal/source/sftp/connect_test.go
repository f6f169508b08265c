package sftp_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"strongroom/internal/source/sftp/sftptest"
	"strongroom/internal/source/sshclient"
)

// many is a folder of files that all say hello.
func many(n int) fake {
	f := fake{Data: make(map[string]string)}
	for i := range n {
		name := fmt.Sprintf("f%03d", i)
		f.Files = append(f.Files, entry(name, attrs(modeFile, 5)))
		f.Data[name] = "hello"
	}
	return f
}

// When a pull lasts, further connections take their part of it.
func TestConnectionsShareTheWork(t *testing.T) {
	const connections, files = 3, 600
	var opened [connections]atomic.Int64
	var count atomic.Int64
	all := make(chan struct{}) // closed when the last connection has begun
	o := fakeSSH(t, sftptest.Signer(t, sftptest.NewKey(t)), func(channel ssh.Channel, conn net.Conn) {
		i := count.Add(1) - 1
		f := many(files)
		f.Answer = func(typ byte, id uint32, _ string, _ uint64) []byte {
			switch typ {
			case sftptest.Open:
				if opened[i].Add(1) == 1 {
					<-all
					time.Sleep(100 * time.Millisecond) // until the pull knows that as well
				}
				time.Sleep(time.Millisecond)
			case sftptest.Init:
				if i == connections-1 {
					close(all)
				}
			}
			return nil
		}
		f.Serve(channel, conn)
	})
	o.Connections, o.StallTimeout = connections, time.Minute
	lines, err := outcome(t, o)
	if err != nil || len(lines) != 1+files || strings.Count(strings.Join(lines, "\n"), ": xxxxx") != files {
		t.Fatalf("%d lines, %v", len(lines), err)
	}
	for i := range opened {
		if opened[i].Load() < 20 {
			t.Errorf("connection %d opened %d of %d files", i, opened[i].Load(), files)
		}
	}
}

// A host that lets no more connections be is pulled over those that it does.
func TestRefusedConnectionIsNoFailure(t *testing.T) {
	f := many(100)
	refused := make(chan struct{})
	f.Answer = func(typ byte, _ uint32, _ string, _ uint64) []byte {
		if typ == sftptest.Open {
			<-refused
		}
		return nil
	}
	o := fakeSSH(t, sftptest.Signer(t, sftptest.NewKey(t)), f.Serve)
	o.Connections, o.StallTimeout = 4, time.Minute
	var dialed atomic.Int64
	var once sync.Once
	o.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
		if dialed.Add(1) > 1 {
			defer once.Do(func() { close(refused) })
			return nil, errors.New("no more")
		}
		return new(net.Dialer).DialContext(ctx, "tcp", addr)
	}
	lines, err := outcome(t, o)
	if err != nil || len(lines) != 1+100 || strings.Count(strings.Join(lines, "\n"), ": xxxxx") != 100 {
		t.Errorf("%d lines, %v", len(lines), err)
	}
	if dialed.Load() != 2 {
		t.Errorf("dialed %d times, want no more after the host has refused", dialed.Load())
	}
}

// Who answers a further connection with another key ends the pull.
func TestStrangerOnFurtherConnection(t *testing.T) {
	f := many(100)
	f.Answer = func(typ byte, _ uint32, _ string, _ uint64) []byte {
		if typ == sftptest.Open {
			return silence
		}
		return nil
	}
	o := fakeSSH(t, sftptest.Signer(t, sftptest.NewKey(t)), f.Serve)
	stranger := fakeSSH(t, sftptest.Signer(t, sftptest.NewKey(t)), f.Serve)
	o.Connections, o.StallTimeout = 2, time.Hour
	var dialed atomic.Int64
	o.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
		if dialed.Add(1) > 1 {
			addr = stranger.Addr
		}
		return new(net.Dialer).DialContext(ctx, "tcp", addr)
	}
	_, err := outcome(t, o)
	if _, ok := errors.AsType[*sshclient.HostKeyError](err); !ok {
		t.Errorf("error %v, want a HostKeyError", err)
	}
}

// The folders on the way to what is wanted are asked for all at once.
func TestWayIsAskedForAtOnce(t *testing.T) {
	var way []byte // answers that wait for the last; belongs to Serve
	f := fake{Files: []named{entry("e/g", attrs(modeFile, 5))}, Data: map[string]string{"e/g": "hello"}}
	f.Answer = func(typ byte, id uint32, text string, _ uint64) []byte {
		switch {
		case typ != sftptest.Lstat:
			return nil
		case text == "/d/e/g":
			return append(way, sftptest.Attributes(id, attrs(modeFile, 5))...)
		default:
			way = append(way, sftptest.Attributes(id, attrs(sftptest.Dir, 0))...)
			return silence
		}
	}
	o := fakeSSH(t, sftptest.Signer(t, sftptest.NewKey(t)), f.Serve)
	o.Include = []string{"/d/e/g"}
	lines, err := outcome(t, o)
	if want := "d: dir|d/e: dir|d/e/g: xxxxx"; err != nil || strings.Join(lines, "|") != want {
		t.Errorf("got %s, %v; want %s", strings.Join(lines, "|"), err, want)
	}
}
