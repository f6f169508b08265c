package sftp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"strongroom/internal/source/sftp/wire"
	"strongroom/internal/source/sshclient"
)

// connect makes the first connection.
func (s *Source) connect(ctx context.Context) (*host, error) {
	l, err := s.connectOne(ctx)
	if err != nil {
		return nil, err
	}
	return &host{links: []*link{l}, buffers: make(buffers, idleBuffers)}, nil
}

// shortPull is how long a pull goes on with one connection. Most of those that
// find nothing changed are over by then, and would wait for another in vain.
const shortPull = 300 * time.Millisecond

// grow makes the further connections, one after the other: a server that limits
// how many there may be, or how many may be about to log in, then has as many as
// it likes. That it refuses one is no reason to fail; but if one ends at a host
// that is not the one that was pinned, this error is returned, since then
// somebody else may have answered all along.
func (s *Source) grow(ctx context.Context, h *host) error {
	select {
	case <-time.After(shortPull):
	case <-ctx.Done():
		return nil
	}
	for range s.options.Connections - 1 {
		l, err := s.connectOne(ctx)
		if err != nil {
			var stranger *sshclient.HostKeyError
			if errors.As(err, &stranger) {
				return err
			}
			return nil // what there is must do
		}
		h.add(l)
	}
	return nil
}

// link is one connection with SFTP on it.
type link struct {
	conn   *sshclient.Conn
	client *wire.Client
	under  atomic.Int32   // files and folders that are being opened, read or listed
	wg     sync.WaitGroup // what reads and drops what is not SFTP
}

// open opens a file, openDir a folder; both are to be given back.
func (l *link) open(path string) (*wire.Handle, error)    { return l.count(l.client.Open, path) }
func (l *link) openDir(path string) (*wire.Handle, error) { return l.count(l.client.OpenDir, path) }

func (l *link) count(open func(string) (*wire.Handle, error), path string) (*wire.Handle, error) {
	l.under.Add(1)
	handle, err := open(path)
	if err != nil {
		l.under.Add(-1)
	}
	return handle, err
}

func (l *link) give(h *wire.Handle) {
	h.Close()
	l.under.Add(-1)
}

func (s *Source) connectOne(ctx context.Context) (*link, error) {
	l := &link{}
	var err error
	l.conn, err = s.host.Connect(ctx, func(conn *sshclient.Conn) error {
		if err := l.beginSFTP(conn, s.options.StallTimeout); err != nil {
			return fmt.Errorf("asking %s for SFTP: %w", s.options.Addr, sshclient.Plain(err))
		}
		return nil
	})
	if err != nil {
		l.end()
		return nil, err
	}
	return l, nil
}

func (l *link) beginSFTP(conn *sshclient.Conn, stall time.Duration) error {
	channel, requests, err := conn.Session()
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
	l.client, err = wire.NewClient(channel, conn.Interrupt, stall)
	return err
}

// close ends the connection and waits for everything that ran on it.
func (l *link) close() {
	l.conn.Interrupt()
	l.client.Close()
	l.conn.Close()
	l.wg.Wait()
}

// end waits for what ran on a connection that was closed before it was ready.
func (l *link) end() {
	if l.client != nil {
		l.client.Close()
	}
	l.wg.Wait()
}
