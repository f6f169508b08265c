package remote

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"strongroom/internal/source/sftp/wire"
	"strongroom/internal/source/sshclient"
)

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
	if l.now, err = l.store.connect(l.store.ctx); err == nil {
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
	if l.now, err = l.store.connect(l.store.ctx); err != nil {
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
	conn   *sshclient.Conn
	client *wire.Client
	unbind func() bool // from the context that would end it
}

// host checks who the gate is, and how to reach it.
func (o *Options) host() (*sshclient.Host, error) {
	if o.HostKey == nil || o.Signer == nil {
		return nil, errors.New("the key of the gate, or the operator's, is missing")
	}
	return sshclient.New(sshclient.Options{
		Addr: o.Addr, User: o.User, HostKeys: []string{string(ssh.MarshalAuthorizedKey(o.HostKey))}, Signer: o.Signer, Timeout: o.Stall,
		Dial: func(ctx context.Context, addr string) (net.Conn, error) {
			var d net.Dialer
			d.SetMultipathTCP(false) // as everywhere: package confine does not see it
			if o.From.IsValid() {
				d.LocalAddr = &net.TCPAddr{IP: o.From.AsSlice(), Zone: o.From.Zone()}
			}
			return d.DialContext(ctx, "tcp", addr)
		},
	})
}

// connect makes a connection that ends with ctx.
func (s *Store) connect(ctx context.Context) (*link, error) {
	l := &link{}
	conn, err := s.host.Connect(ctx, func(conn *sshclient.Conn) error {
		if err := l.beginSFTP(conn, s.options.Stall); err != nil {
			return fmt.Errorf("asking the gate at %s for SFTP: %w", s.options.Addr, sshclient.Plain(err))
		}
		return nil
	})
	if err != nil {
		if l.client != nil {
			l.client.Close()
		}
		return nil, explain(err)
	}
	l.conn = conn
	l.unbind = context.AfterFunc(ctx, conn.Interrupt)
	return l, nil
}

// explain says of a gate what package sshclient says of a host to collect from.
func explain(err error) error {
	var stranger *sshclient.HostKeyError
	var refused *sshclient.LoginError
	switch {
	case errors.As(err, &stranger):
		return &HostKeyError{Addr: stranger.Addr, Want: strings.Join(stranger.Want, " or "), Got: stranger.Got}
	case errors.As(err, &refused):
		return fmt.Errorf("logging in to the gate at %s as %s: it does not accept the key %s", refused.Addr, refused.User, refused.Key)
	}
	return err
}

func (l *link) beginSFTP(conn *sshclient.Conn, stall time.Duration) error {
	channel, requests, err := conn.Session()
	if err != nil {
		return err
	}
	if err := conn.Subsystem(channel, requests, "sftp"); err != nil {
		return err
	}
	l.client, err = wire.NewClient(channel, conn.Interrupt, stall)
	return err
}

// close ends the connection and waits for everything that ran on it.
func (l *link) close() {
	l.unbind()
	l.conn.Interrupt()
	l.client.Close()
	l.conn.Close()
}
