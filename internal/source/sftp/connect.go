package sftp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sync/errgroup"

	"strongroom/internal/source/sftp/wire"
	"strongroom/internal/source/sshclient"
)

// connect makes all connections.
func (s *Source) connect(ctx context.Context) (*host, error) {
	links := make([]*link, s.options.Connections)
	group, ctx := errgroup.WithContext(ctx)
	for i := range links {
		group.Go(func() (err error) {
			links[i], err = s.connectOne(ctx)
			return err
		})
	}
	err := group.Wait()
	h := &host{}
	for _, l := range links {
		if l != nil {
			h.links = append(h.links, l)
			h.clients = append(h.clients, l.client)
		}
	}
	if err != nil {
		h.Close()
		return nil, err
	}
	return h, nil
}

// link is one connection with SFTP on it.
type link struct {
	conn   *sshclient.Conn
	client *wire.Client
	wg     sync.WaitGroup // what reads and drops what is not SFTP
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
