package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"

	"golang.org/x/crypto/ssh"

	"strongroom/internal/source/sftp/wire"
)

// keepAlive is how often an idle connection shows that it lives.
const keepAlive = 15 * time.Second

// A HostKeyError means that what answered at the gate's address did not prove
// to be the gate. It was told nothing.
type HostKeyError struct {
	Addr string
	Want string // fingerprint of the pinned key
	Got  string // of the key that was shown; "" if there was none of its type
}

func (e *HostKeyError) Error() string {
	got := "has no host key of the pinned type"
	if e.Got != "" {
		got = "shows the host key " + e.Got
	}
	return fmt.Sprintf("%s %s, but the roster names %s: someone else answers in the gate's place. It was told nothing", e.Addr, got, e.Want)
}

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

// A line is one connection, or what comes after it when it is lost.
type line struct {
	store *Store
	up    atomic.Bool // there was a connection

	mu     sync.Mutex // guards what follows; held while connecting, so that one does it for all
	now    *link      // nil if there is none
	ended  bool
	losers sync.WaitGroup // of connections that are being closed
}

// dial makes the first connection.
func (l *line) dial() (err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return errClosed
	}
	if l.now, err = l.store.options.connect(l.store.ctx); err == nil {
		l.up.Store(true)
	}
	return err
}

// link returns the connection, making one anew if need be.
func (l *line) link() (*link, error) {
	if l.store.ctx.Err() != nil { // the connection may not have noticed yet
		return nil, l.store.isGone(errClosed)
	}
	if err := l.store.gone.Load(); err != nil {
		return nil, *err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.now != nil {
		return l.now, nil
	}
	if l.ended {
		return nil, l.store.isGone(errClosed)
	}
	if err := l.store.gone.Load(); err != nil {
		return nil, *err
	}
	var err error
	if l.now, err = l.store.options.connect(l.store.ctx); err != nil {
		return nil, l.store.isGone(err)
	}
	return l.now, nil
}

// lose closes a connection, for the first who noticed that it is lost.
func (l *line) lose(lost *link) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.now == lost {
		l.now = nil
		l.losers.Go(lost.close)
	}
}

func (l *line) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	if l.now != nil {
		l.now.close()
		l.now = nil
	}
	l.losers.Wait()
}

// A link is one SSH connection with SFTP on it.
type link struct {
	conn   net.Conn
	ssh    *ssh.Client
	client *wire.Client
	wg     sync.WaitGroup
	closed chan struct{} // tells keepAlive to end
}

// connect makes a connection that ends with ctx.
func (o *Options) connect(ctx context.Context) (*link, error) {
	within, cancel := context.WithTimeoutCause(ctx, o.Stall, fmt.Errorf("connecting to %s took longer than %v", o.Addr, o.Stall))
	defer cancel()
	var d net.Dialer
	d.SetMultipathTCP(false) // as everywhere: package confine does not see it
	if o.From.IsValid() {
		d.LocalAddr = &net.TCPAddr{IP: o.From.AsSlice(), Zone: o.From.Zone()}
	}
	conn, err := d.DialContext(within, "tcp", o.Addr)
	if err != nil {
		return nil, fmt.Errorf("connecting to the gate: %w", err)
	}
	stop := context.AfterFunc(within, func() { conn.Close() })
	l, err := o.login(conn)
	if err != nil {
		conn.Close()
	}
	if !stop() {
		if err == nil {
			l.close()
		}
		return nil, context.Cause(within)
	}
	if err != nil {
		return nil, err
	}
	stop = context.AfterFunc(ctx, func() { conn.Close() })
	l.wg.Go(func() {
		<-l.closed
		stop()
	})
	return l, nil
}

func (o *Options) login(conn net.Conn) (*link, error) {
	var badKey *HostKeyError
	algorithms, err := hostKeyAlgorithms(o.HostKey)
	if err != nil {
		return nil, err
	}
	c, channels, requests, err := ssh.NewClientConn(conn, o.Addr, &ssh.ClientConfig{
		Config: ssh.Config{
			KeyExchanges: []string{ssh.KeyExchangeMLKEM768X25519, ssh.KeyExchangeCurve25519},
			Ciphers:      []string{ssh.CipherAES128GCM, ssh.CipherAES256GCM, ssh.CipherChaCha20Poly1305},
			MACs:         []string{ssh.HMACSHA256ETM, ssh.HMACSHA512ETM},
		},
		User:              o.User,
		Auth:              []ssh.AuthMethod{ssh.PublicKeys(o.Signer)},
		HostKeyAlgorithms: algorithms,
		HostKeyCallback: func(_ string, _ net.Addr, got ssh.PublicKey) error {
			if bytes.Equal(o.HostKey.Marshal(), got.Marshal()) {
				return nil
			}
			badKey = &HostKeyError{Addr: o.Addr, Want: fingerprint(o.HostKey), Got: fingerprint(got)}
			return badKey
		},
		ClientVersion: "SSH-2.0-Strongroom",
	})
	if err != nil {
		return nil, o.explain(err, badKey)
	}
	l := &link{conn: conn, ssh: ssh.NewClient(c, channels, requests), closed: make(chan struct{})}
	if err := l.beginSFTP(o.Stall); err != nil {
		l.close()
		return nil, fmt.Errorf("asking the gate at %s for SFTP: %w", o.Addr, plain(err))
	}
	l.wg.Go(l.keepAlive)
	return l, nil
}

func fingerprint(key ssh.PublicKey) string { return key.Type() + " " + ssh.FingerprintSHA256(key) }

// explain says in words that a person can act on why there is no connection.
func (o *Options) explain(err error, badKey *HostKeyError) error {
	var none *ssh.AlgorithmNegotiationError
	switch {
	case badKey != nil:
		return badKey
	case errors.As(err, &none) && none.What == "host key":
		return &HostKeyError{Addr: o.Addr, Want: fingerprint(o.HostKey)}
	case strings.Contains(err.Error(), "unable to authenticate"):
		return fmt.Errorf("logging in to the gate at %s as %s: it does not accept the key %s", o.Addr, o.User, fingerprint(o.Signer.PublicKey()))
	}
	return fmt.Errorf("beginning SSH with the gate at %s: %w", o.Addr, plain(err))
}

// plain returns an error of the SSH library as text: the other side can put
// words of its own into some.
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
		return errors.New("it refuses")
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
