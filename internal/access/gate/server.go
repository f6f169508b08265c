package gate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"strongroom/internal/store/blob"
)

const (
	// An operator's program reads over several connections, because each is
	// encrypted by one core.
	maxSessions = 8
	// Those who do not get past the handshake have places of their own, so
	// that they take none of an operator behind the same address.
	maxHandshakes = 8
	maxAuthTries  = 3 // clients offer the keys of their agent in turns
)

// patience is how long the gate waits for a peer.
type patience struct {
	handshake time.Duration // until there is an SFTP session
	keepAlive time.Duration // between questions whether the peer is still there
	answer    time.Duration // to such a question
	leave     time.Duration // after the session's end
}

var defaultPatience = patience{handshake: 10 * time.Second, keepAlive: 15 * time.Second, answer: 30 * time.Second, leave: 5 * time.Second}

// Options tunes a Server. The zero value is ready to use.
type Options struct {
	Events func(Event)      // called for one event at a time, and must not block for long; nil discards
	Now    func() time.Time // nil means time.Now
	Inbox  *Inbox           // nil takes no files
}

// objects is what the gate needs of a store.
type objects interface {
	Open(ctx context.Context, name string) (blob.Object, error)
	Stat(ctx context.Context, name string) (blob.Info, error)
}

// A Server serves one opening, once.
type Server struct {
	grant
	store    objects
	inbox    *inbox // nil if there is none
	config   *ssh.ServerConfig
	report   *reporter
	now      func() time.Time
	made     time.Time
	patience patience

	handshakes, sessions chan struct{} // each element is a place taken

	mu    sync.Mutex // guards the fields below
	ended bool
	conns map[net.Conn]bool
}

// New checks a task. Objects are read from the store when they are asked for.
func New(task Task, store objects, opts Options) (*Server, error) {
	grant, err := task.check()
	if err != nil {
		return nil, fmt.Errorf("making the gate: %w", err)
	}
	inbox, err := newInbox(opts.Inbox)
	if err != nil {
		return nil, fmt.Errorf("making the gate: %w", err)
	}
	if opts.Events == nil {
		opts.Events = func(Event) {}
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	s := &Server{
		grant: grant, store: store, inbox: inbox, report: newReporter(opts.Events, opts.Now),
		now: opts.Now, made: opts.Now().UTC(), patience: defaultPatience,
		handshakes: make(chan struct{}, maxHandshakes), sessions: make(chan struct{}, maxSessions),
		conns: map[net.Conn]bool{},
	}
	s.config = s.sshConfig()
	return s, nil
}

// Listen opens the port, as a Server needs it: without Multipath TCP, which
// would pass by what Landlock confines; and at an address of IPv4 on that alone,
// where "tcp" would have 0.0.0.0 mean all addresses of IPv6, too.
func Listen(ctx context.Context, addr netip.AddrPort) (net.Listener, error) {
	config := net.ListenConfig{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}}
	config.SetMultipathTCP(false)
	network := "tcp"
	if addr.Addr().Is4() {
		network = "tcp4"
	}
	l, err := config.Listen(ctx, network, addr.String())
	if err != nil {
		return nil, fmt.Errorf("opening the gate: %w", err)
	}
	return l, nil
}

// info describes a file or folder.
func (s *Server) info(name string, mode fs.FileMode, size int64) fs.FileInfo {
	return info{name: name, mode: mode, size: size, time: s.made}
}

const (
	keyExtension = "strongroom-key"
	badLogin     = "only the opening's own user and key are accepted"
)

// sshConfig allows what two current programs agree upon. Ciphers are those
// that authenticate what they encrypt and that processors help with.
func (s *Server) sshConfig() *ssh.ServerConfig {
	// What a callback returns for a key counts only if the client then proves
	// to have that key; so nothing is remembered on the side.
	allow := func(conn ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		switch {
		case conn.User() != s.user:
			return nil, fmt.Errorf("%s: another user", badLogin)
		case !bytes.Equal(key.Marshal(), s.key):
			return nil, fmt.Errorf("%s: another key", badLogin)
		}
		return &ssh.Permissions{Extensions: map[string]string{keyExtension: ssh.FingerprintSHA256(key)}}, nil
	}
	config := &ssh.ServerConfig{
		Config: ssh.Config{
			KeyExchanges: []string{ssh.KeyExchangeMLKEM768X25519, ssh.KeyExchangeCurve25519},
			Ciphers:      []string{ssh.CipherAES128GCM, ssh.CipherAES256GCM},
			// Not used with these ciphers, but clients want to agree on one.
			MACs: []string{ssh.HMACSHA256ETM, ssh.HMACSHA512ETM},
		},
		PublicKeyAuthAlgorithms: []string{ssh.KeyAlgoED25519, ssh.KeyAlgoSKED25519},
		MaxAuthTries:            maxAuthTries,
		ServerVersion:           "SSH-2.0-strongroom",
		PublicKeyCallback:       allow,
		VerifiedPublicKeyCallback: func(conn ssh.ConnMetadata, key ssh.PublicKey, _ *ssh.Permissions, algorithm string) (*ssh.Permissions, error) {
			if !keyTypes[algorithm] {
				return nil, fmt.Errorf("%s: a signature of another kind", badLogin)
			}
			return allow(conn, key)
		},
	}
	config.AddHostKey(s.hostKey)
	return config
}

// Serve answers at l until ctx ends or the opening's time is over, and then
// closes l and resets all connections. The totals are complete; an error says
// that nothing could be served.
func (s *Server) Serve(ctx context.Context, l net.Listener) (Totals, error) {
	addr, err := netip.ParseAddrPort(l.Addr().String())
	if err != nil {
		l.Close() // the first error says more
		return Totals{}, fmt.Errorf("opening the gate: %w", err)
	}
	s.report.listening(addr)
	var wg sync.WaitGroup
	var end End
	wg.Go(func() {
		end = s.untilEnd(ctx)
		s.cut(l)
	})
	for {
		conn, err := l.Accept()
		if s.isEnded() {
			if err == nil {
				reset(conn)
			}
			break
		}
		if err != nil {
			// Such as too many open files, which passes.
			s.report.failed(0, "", fmt.Errorf("waiting for connections: %w", err))
			time.Sleep(100 * time.Millisecond)
			continue
		}
		s.admit(conn, &wg)
	}
	wg.Wait()
	return s.report.sum(end), nil
}

// untilEnd returns when the time is over or ctx has ended.
func (s *Server) untilEnd(ctx context.Context) End {
	// The timer keeps the time that passes, and stands still while a machine
	// sleeps; the clock does not, and can be set.
	passed := time.NewTimer(s.until.Sub(s.now().Round(0)))
	defer passed.Stop()
	look := time.NewTicker(250 * time.Millisecond)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return Stopped
		case <-passed.C:
			return Deadline
		case <-look.C:
			if s.over() {
				return Deadline
			}
		}
	}
}

// over reports whether it is time to end, by the clock.
func (s *Server) over() bool { return !s.now().Round(0).Before(s.until) }

// cut ends everything, whatever is in flight.
func (s *Server) cut(l net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	l.Close() // nobody waits there
	for conn := range s.conns {
		reset(conn)
	}
}

func (s *Server) isEnded() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended
}

// reset closes a connection without sending what is still to be sent.
func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		tcp.SetLinger(0) // or else it is closed in order, which is a pity at most
	}
	conn.Close() // nothing is lost that should not be
}

// admit begins to serve a connection if it is from the peer and there is room.
func (s *Server) admit(conn net.Conn, wg *sync.WaitGroup) {
	from, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	switch {
	case err != nil || from.Addr().Unmap() != s.peer:
		s.report.refused(from, "another address than the opening's")
	case s.over():
		s.report.refused(from, "the opening is over")
	case !s.track(conn):
	case !take(s.handshakes):
		s.untrack(conn)
		s.report.refused(from, fmt.Sprintf("%d others are logging in", maxHandshakes))
	default:
		wg.Go(func() { s.serve(conn, from) })
		return
	}
	reset(conn)
}

// track has cut reset a connection; there is none after the end.
func (s *Server) track(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.conns[conn] = true
	}
	return !s.ended
}

func (s *Server) untrack(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, conn)
}

// take takes a place if there is one.
func take(places chan struct{}) bool {
	select {
	case places <- struct{}{}:
		return true
	default:
		return false
	}
}

// serve logs somebody in, in a place among the handshakes, and serves what may
// be a session.
func (s *Server) serve(conn net.Conn, from netip.AddrPort) {
	defer conn.Close() // nobody reads any more
	defer s.untrack(conn)
	leave := sync.OnceFunc(func() { <-s.handshakes })
	defer leave()

	conn.SetDeadline(time.Now().Add(s.patience.handshake)) // fails only if it is closed
	server, channels, requests, err := ssh.NewServerConn(conn, s.config)
	if err != nil {
		s.report.refused(from, whyNot(err))
		return
	}
	if server.User() != s.user || server.Permissions == nil || server.Permissions.Extensions[keyExtension] == "" {
		s.report.refused(from, badLogin)
		return
	}
	if !take(s.sessions) {
		s.report.refused(from, fmt.Sprintf("%d sessions are open already", maxSessions))
		turnAway(channels, requests)
		return
	}
	defer func() { <-s.sessions }()
	leave()
	newSession(s, server, conn, from).run(channels, requests)
}

// whyNot tells in a few words why there was no login.
func whyNot(err error) string {
	if auth, ok := errors.AsType[*ssh.ServerAuthError](err); ok && len(auth.Errors) > 0 {
		return "no login: " + auth.Errors[len(auth.Errors)-1].Error()
	}
	return "no handshake: " + err.Error()
}

// turnAway tells a client that there are too many, until it has gone or its
// time for a handshake is over.
func turnAway(channels <-chan ssh.NewChannel, requests <-chan *ssh.Request) {
	var wg sync.WaitGroup
	wg.Go(func() { ssh.DiscardRequests(requests) })
	for c := range channels {
		// The client sees it, or has gone.
		c.Reject(ssh.ResourceShortage, fmt.Sprintf("%d sessions are open already, which is all that an opening has", maxSessions))
	}
	wg.Wait()
}
