package sftp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"
	"unicode"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sync/errgroup"

	"strongroom/internal/source/sftp/wire"
)

// keepAlive is how often an idle connection shows that it lives, to firewalls
// and to the server.
const keepAlive = 15 * time.Second

// HostKeyError means that a host did not prove to be the one that was pinned.
// Nothing was sent to it but the greeting, and nothing must be.
type HostKeyError struct {
	Addr string
	Want []string // fingerprints of the pinned keys, with their types
	Got  string   // of the key that the host showed; "" if it has none of a pinned type
}

func (e *HostKeyError) Error() string {
	what := "shows the host key " + e.Got
	if e.Got == "" {
		what = "has no host key of a pinned type"
	}
	return fmt.Sprintf("%s %s, but pinned is %s: either the host was given a new key, or someone else answers in its place. "+
		"Nothing was pulled. Compare the fingerprint at the console of the host, not over the network (ssh-keygen -lf on /etc/ssh/ssh_host_*_key.pub). "+
		"If the new key is legitimate, update host_key in the configuration; if nobody can explain it, treat it as an attack",
		e.Addr, what, strings.Join(e.Want, " or "))
}

func fingerprint(key ssh.PublicKey) string {
	return key.Type() + " " + ssh.FingerprintSHA256(key)
}

// hostKeyAlgorithms returns with which signatures a host may prove to have key.
func hostKeyAlgorithms(key ssh.PublicKey) ([]string, error) {
	switch t := key.Type(); t {
	case ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521:
		return []string{t}, nil
	case ssh.KeyAlgoRSA:
		return []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}, nil
	default:
		return nil, fmt.Errorf("keys of type %.40q are not taken: want ssh-ed25519, ecdsa or rsa", t)
	}
}

// config returns what to agree on with the host. hostKey receives why its key
// was refused.
func (s *Source) config(hostKey *error) *ssh.ClientConfig {
	var algorithms []string
	for _, key := range s.keys {
		a, _ := hostKeyAlgorithms(key) // New has seen to it
		algorithms = append(algorithms, a...)
	}
	return &ssh.ClientConfig{
		Config: ssh.Config{
			KeyExchanges: []string{ssh.KeyExchangeMLKEM768X25519, ssh.KeyExchangeCurve25519, ssh.KeyExchangeECDHP256},
			Ciphers:      []string{ssh.CipherAES128GCM, ssh.CipherAES256GCM, ssh.CipherChaCha20Poly1305, ssh.CipherAES256CTR},
			MACs:         []string{ssh.HMACSHA256ETM, ssh.HMACSHA512ETM},
		},
		User:              s.options.User,
		Auth:              []ssh.AuthMethod{ssh.PublicKeys(s.signer)},
		HostKeyAlgorithms: algorithms,
		HostKeyCallback: func(_ string, _ net.Addr, got ssh.PublicKey) error {
			for _, key := range s.keys {
				if bytes.Equal(key.Marshal(), got.Marshal()) {
					return nil
				}
			}
			*hostKey = &HostKeyError{Addr: s.options.Addr, Want: s.pinned(), Got: fingerprint(got)}
			return *hostKey
		},
		ClientVersion: "SSH-2.0-Strongroom",
	}
}

// pinned returns the fingerprints of the keys that the host may have.
func (s *Source) pinned() []string {
	var all []string
	for _, key := range s.keys {
		all = append(all, fingerprint(key))
	}
	return all
}

// dial connects without MPTCP, which Landlock's rules on TCP do not see.
func dial(ctx context.Context, addr string) (net.Conn, error) {
	var d net.Dialer
	d.SetMultipathTCP(false)
	return d.DialContext(ctx, "tcp", addr)
}

// connect makes all connections.
func (s *Source) connect(ctx context.Context) (*host, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.options.ConnectTimeout,
		fmt.Errorf("connecting to %s took longer than %v", s.options.Addr, s.options.ConnectTimeout))
	defer cancel()
	h := &host{}
	links := make([]*link, s.options.Connections)
	group, groupCtx := errgroup.WithContext(ctx)
	for i := range links {
		group.Go(func() (err error) {
			links[i], err = s.connectOne(groupCtx)
			return err
		})
	}
	err := group.Wait()
	for _, l := range links {
		if l != nil {
			h.links = append(h.links, l)
			h.clients = append(h.clients, l.client)
		}
	}
	if err == nil {
		return h, nil
	}
	h.Close()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return nil, err
}

// link is one connection.
type link struct {
	conn   net.Conn
	ssh    *ssh.Client
	client *wire.Client
	wg     sync.WaitGroup
	closed chan struct{} // tells keepAlive to end
}

func (s *Source) connectOne(ctx context.Context) (*link, error) {
	conn, err := s.options.Dial(ctx, s.options.Addr)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", s.options.Addr, err)
	}
	// Cancelling, and the time allowed for connecting, show as a closed
	// connection below; connect knows the reason.
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	l, err := s.login(conn)
	if err != nil {
		conn.Close()
	}
	if !stop() && err == nil {
		l.close()
		return nil, ctx.Err()
	}
	return l, err
}

func (s *Source) login(conn net.Conn) (*link, error) {
	var badKey error
	c, channels, requests, err := ssh.NewClientConn(conn, s.options.Addr, s.config(&badKey))
	if err != nil {
		return nil, s.explain(err, badKey)
	}
	l := &link{conn: conn, ssh: ssh.NewClient(c, channels, requests), closed: make(chan struct{})}
	if err := l.beginSFTP(s.options.StallTimeout); err != nil {
		l.close()
		return nil, fmt.Errorf("asking %s for SFTP: %w", s.options.Addr, plain(err))
	}
	l.wg.Go(l.keepAlive)
	return l, nil
}

// explain says in words that a person can act on why there is no connection.
func (s *Source) explain(err, badKey error) error {
	var none *ssh.AlgorithmNegotiationError
	switch {
	case badKey != nil:
		return badKey
	case errors.As(err, &none) && none.What == "host key":
		return &HostKeyError{Addr: s.options.Addr, Want: s.pinned()}
	case strings.Contains(err.Error(), "unable to authenticate"):
		return fmt.Errorf("logging in to %s as %s: the host does not accept the key %s: is it in the account's authorized_keys, and may the account log in from here?",
			s.options.Addr, s.options.User, fingerprint(s.signer.PublicKey()))
	}
	return fmt.Errorf("beginning SSH with %s: %w", s.options.Addr, plain(err))
}

// plain returns an error of the SSH library as text. The server can put words
// of its own into some, so what could confuse a terminal or a mail is
// replaced, and the length bounded.
func plain(err error) error {
	text := strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, err.Error())
	if r := []rune(text); len(r) > 200 {
		text = string(r[:200]) + "..."
	}
	return errors.New(text)
}

func (l *link) beginSFTP(stall time.Duration) error {
	channel, requests, err := l.ssh.OpenChannel("session", nil)
	if err != nil {
		return err
	}
	l.wg.Go(func() { ssh.DiscardRequests(requests) })
	// What is said here is for nobody, but unread it would block the channel.
	l.wg.Go(func() { io.Copy(io.Discard, channel.Stderr()) })
	ok, err := channel.SendRequest("subsystem", true, ssh.Marshal(struct{ Name string }{"sftp"}))
	if err != nil {
		return err
	}
	if !ok {
		return errors.New("the host refuses it: is the sftp subsystem enabled for this account?")
	}
	l.client, err = wire.NewClient(channel, func() { l.conn.Close() }, stall)
	return err
}

// keepAlive asks for an answer now and then. If none comes nobody minds, until
// one of package wire's requests waits in vain too.
func (l *link) keepAlive() {
	tick := time.NewTicker(keepAlive)
	defer tick.Stop()
	for {
		select {
		case <-l.closed:
			return
		case <-tick.C:
			if _, _, err := l.ssh.SendRequest("keepalive@openssh.com", true, nil); err != nil {
				return // the connection has ended; its user will see why
			}
		}
	}
}

// close ends the connection and waits for everything that ran on it.
func (l *link) close() {
	close(l.closed)
	l.conn.Close()
	if l.client != nil {
		l.client.Close()
	}
	_ = l.ssh.Wait() // why it ended: because we closed it
	l.wg.Wait()
}
