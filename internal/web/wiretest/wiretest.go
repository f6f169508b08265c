// Package wiretest is the line between a browser and a server in a test: it
// passes on what they send each other, from an address of its choice, and keeps
// it as it was before it was encrypted. Nothing that a page sends passes it by,
// whether by a Worker, in a header or in an address. Find then looks for what
// must not have been sent.
//
// To do that a Line shows the server's certificate, so only a test that has its
// key can have one.
package wiretest

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"testing"
)

// Options say where a Line leads.
type Options struct {
	Name string         // host and port that the browser knows the server by
	To   netip.AddrPort // of the server
	From netip.Addr     // where the server sees it come from
	Show *tls.Config    // how the server shows itself
	Know *tls.Config    // how its certificate is known

	// Beside has other servers, by host and port. What passes to and from them
	// is not kept, and no further one is connected.
	Beside map[string]netip.AddrPort
}

// A Line leads from one browser to one server. Its methods may be called
// concurrently.
type Line struct {
	URL string // of the proxy that a browser is to use

	opts Options
	ctx  context.Context // of all connections
	wait sync.WaitGroup

	mu    sync.Mutex // guards what follows
	calls []*call
}

// A call is what passed in one connection.
type call struct{ sent, received bytes.Buffer }

// Open opens a Line. It is cut when the test ends.
func Open(t testing.TB, opts Options) *Line {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	l := &Line{opts: opts, ctx: ctx}
	// Requests and answers can be read as they stand in this version alone.
	for _, side := range []**tls.Config{&l.opts.Show, &l.opts.Know} {
		*side = (*side).Clone()
		(*side).NextProtos = []string{"http/1.1"}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.URL = "http://" + listener.Addr().String()
	l.wait.Go(func() {
		for {
			browser, err := listener.Accept()
			if err != nil {
				return // the test has ended
			}
			l.wait.Go(func() { l.connect(browser) })
		}
	})
	t.Cleanup(func() {
		cancel()
		listener.Close()
		l.wait.Wait()
	})
	return l
}

// connect does what a browser asks of a proxy: it connects it to the server.
// What goes wrong is for the browser to tell, which sees a connection that
// breaks.
func (l *Line) connect(browser net.Conn) {
	defer browser.Close()
	defer context.AfterFunc(l.ctx, func() { browser.Close() })()
	r, err := http.ReadRequest(bufio.NewReader(browser)) // it waits for the answer before it sends more
	if err != nil {
		return
	}
	to, beside := l.opts.Beside[r.Host]
	if !beside {
		to = l.opts.To
	}
	if r.Method != http.MethodConnect || !beside && r.Host != l.opts.Name {
		fmt.Fprint(browser, "HTTP/1.1 403 This line leads elsewhere\r\n\r\n")
		return
	}
	dialer := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(l.opts.From, 0))}
	server, err := dialer.DialContext(l.ctx, "tcp", to.String())
	if err != nil {
		return
	}
	defer server.Close()
	defer context.AfterFunc(l.ctx, func() { server.Close() })()
	fmt.Fprint(browser, "HTTP/1.1 200 Connected\r\n\r\n")
	if beside {
		exchange(browser, server, io.Discard, io.Discard)
		return
	}
	l.pass(tls.Server(browser, l.opts.Show), server)
}

// pass passes on what browser and server send, and keeps it.
func (l *Line) pass(browser *tls.Conn, out net.Conn) {
	if browser.HandshakeContext(l.ctx) != nil {
		return
	}
	know := l.opts.Know.Clone()
	know.ServerName = browser.ConnectionState().ServerName
	server := tls.Client(out, know)
	c := new(call)
	l.mu.Lock()
	l.calls = append(l.calls, c)
	l.mu.Unlock()
	exchange(browser, server, l.keep(&c.sent), l.keep(&c.received))
}

// exchange passes on what browser and server send, until one of them ends.
func exchange(browser, server net.Conn, sent, received io.Writer) {
	var both sync.WaitGroup
	both.Go(func() {
		io.Copy(server, io.TeeReader(browser, sent))
		server.Close()
	})
	io.Copy(browser, io.TeeReader(server, received))
	browser.Close()
	both.Wait()
}

// keep returns a writer into one of the buffers of a call.
func (l *Line) keep(b *bytes.Buffer) io.Writer {
	return writer(func(p []byte) (int, error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		return b.Write(p)
	})
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

// Sent returns what the browser has sent until now, by connection.
func (l *Line) Sent() [][]byte { return l.all(func(c *call) []byte { return c.sent.Bytes() }) }

// Received returns what the server has sent until now, by connection.
func (l *Line) Received() [][]byte { return l.all(func(c *call) []byte { return c.received.Bytes() }) }

func (l *Line) all(of func(*call) []byte) (all [][]byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.calls {
		all = append(all, bytes.Clone(of(c)))
	}
	return all
}
