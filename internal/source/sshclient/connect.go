package sshclient

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// keepAlive is how often an idle connection shows that it lives, to firewalls
// and to the server.
const keepAlive = 15 * time.Second

// keepAliveRequest is what OpenSSH asks, and everybody answers, if only that it
// is not known.
const keepAliveRequest = "keepalive@openssh.com"

// A Conn is one connection to a host that proved who it is.
type Conn struct {
	conn   net.Conn
	client *ssh.Client
	wg     sync.WaitGroup // keepAlive, and what drops what nobody reads
	closed chan struct{}  // tells keepAlive to end
}

// Connect connects, logs in and calls begin, which asks the host for what the
// connection is for. If begin fails its error is returned as it is, and the
// connection was closed. The time allowed for connecting covers all of that;
// when it is over, or ctx is cancelled, the connection closes, so that begin
// ends too, and the error tells why.
//
// A host that does not prove to be the one that was pinned is a *HostKeyError,
// and one that does not accept the key a *LoginError.
func (h *Host) Connect(ctx context.Context, begin func(*Conn) error) (*Conn, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, h.options.Timeout,
		fmt.Errorf("connecting to %s took longer than %v", h.options.Addr, h.options.Timeout))
	defer cancel()
	c, err := h.connect(ctx, begin)
	if err != nil && ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return c, err
}

func (h *Host) connect(ctx context.Context, begin func(*Conn) error) (*Conn, error) {
	conn, err := h.options.Dial(ctx, h.options.Addr)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", h.options.Addr, err)
	}
	// Cancelling, and the time allowed for connecting, show as a closed
	// connection below; Connect knows the reason.
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	c, err := h.login(conn)
	if err != nil {
		stop()
		conn.Close()
		return nil, err
	}
	err = begin(c)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func (h *Host) login(conn net.Conn) (*Conn, error) {
	var badKey error
	session, channels, requests, err := ssh.NewClientConn(conn, h.options.Addr, h.config(&badKey))
	if err != nil {
		return nil, h.explain(err, badKey)
	}
	c := &Conn{conn: conn, client: ssh.NewClient(session, channels, requests), closed: make(chan struct{})}
	c.wg.Go(c.keepAlive)
	return c, nil
}

// config returns what to agree on with the host. hostKey receives why its key
// was refused.
func (h *Host) config(hostKey *error) *ssh.ClientConfig {
	var algorithms []string
	for _, key := range h.keys {
		a, _ := hostKeyAlgorithms(key) // New has seen to it
		algorithms = append(algorithms, a...)
	}
	return &ssh.ClientConfig{
		Config: ssh.Config{
			KeyExchanges: []string{ssh.KeyExchangeMLKEM768X25519, ssh.KeyExchangeCurve25519, ssh.KeyExchangeECDHP256},
			Ciphers:      []string{ssh.CipherAES128GCM, ssh.CipherAES256GCM, ssh.CipherChaCha20Poly1305, ssh.CipherAES256CTR},
			MACs:         []string{ssh.HMACSHA256ETM, ssh.HMACSHA512ETM},
		},
		User:              h.options.User,
		Auth:              []ssh.AuthMethod{ssh.PublicKeys(h.signer)},
		HostKeyAlgorithms: algorithms,
		HostKeyCallback: func(_ string, _ net.Addr, got ssh.PublicKey) error {
			for _, key := range h.keys {
				if bytes.Equal(key.Marshal(), got.Marshal()) {
					return nil
				}
			}
			*hostKey = &HostKeyError{Addr: h.options.Addr, Want: h.pinned(), Got: fingerprint(got)}
			return *hostKey
		},
		ClientVersion: "SSH-2.0-Strongroom",
	}
}

// Session opens a session, in which nothing runs yet. Both the requests and
// the channel's streams must be read, or the connection stands still.
func (c *Conn) Session() (ssh.Channel, <-chan *ssh.Request, error) {
	return c.client.OpenChannel("session", nil)
}

// Subsystem lets a session speak the protocol of a subsystem, such as "sftp",
// and drops what comes beside it.
func (c *Conn) Subsystem(channel ssh.Channel, requests <-chan *ssh.Request, name string) error {
	c.wg.Go(func() { ssh.DiscardRequests(requests) })
	// What is said here is for nobody, but unread it would block the channel.
	c.wg.Go(func() { io.Copy(io.Discard, channel.Stderr()) })
	ok, err := channel.SendRequest("subsystem", true, ssh.Marshal(struct{ Name string }{name}))
	if err == nil && !ok {
		err = fmt.Errorf("the host refuses it: is the %s subsystem enabled for this account?", name)
	}
	return err
}

// Alive asks the host for an answer and waits for it. Nil means that up to now
// the connection was not lost: whatever has ended on it was ended by the host.
func (c *Conn) Alive() error {
	_, _, err := c.client.SendRequest(keepAliveRequest, true, nil)
	return err
}

// keepAlive asks for an answer now and then. If none comes nobody minds, until
// whoever uses the connection waits in vain too.
func (c *Conn) keepAlive() {
	tick := time.NewTicker(keepAlive)
	defer tick.Stop()
	for {
		select {
		case <-c.closed:
			return
		case <-tick.C:
			if err := c.Alive(); err != nil {
				return // the connection has ended; its user will see why
			}
		}
	}
}

// Interrupt ends the connection without waiting for anything. It may be called
// repeatedly and by anyone.
func (c *Conn) Interrupt() { c.conn.Close() }

// Close ends the connection and waits for what ran on it. It must be called
// once.
func (c *Conn) Close() {
	close(c.closed)
	c.conn.Close()
	_ = c.client.Wait() // why it ended: because we closed it
	c.wg.Wait()
}
