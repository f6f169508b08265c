package sftp

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"strongroom/internal/source/sftp/wire"
	"strongroom/internal/source/sshclient"
)

// connect makes the first connection.
func (s *Source) connect(ctx context.Context) (*host, error) {
	c, err := s.connectOne(ctx, 1)
	if err != nil {
		return nil, err
	}
	return newHost(c), nil
}

// longWalk is how long a pull that reads next to nothing goes on with one
// connection. Most of those that find nothing changed are over by then, and
// would wait for another in vain.
const longWalk = 3 * time.Second

// grow makes the further connections as soon as there is work for them, one
// after the other: a server that limits how many there may be, or how many may
// be about to log in, then has as many as it likes. That it refuses one is no
// reason to fail; but if one ends at a host that is not the one that was pinned,
// this error is returned, since then somebody else may have answered all along.
func (s *Source) grow(ctx context.Context, h *host) error {
	defer close(h.grown)
	further := s.options.Connections - 1
	if further == 0 {
		return nil
	}
	select {
	case <-h.busy:
	case <-time.After(longWalk):
	case <-ctx.Done():
		return nil
	}
	sessions := 1
	if h.connections[0].distance > nearby { // nobody else adds any
		sessions = max(1, (maxLanes-1)/further)
	}
	for range further {
		c, err := s.connectOne(ctx, sessions)
		if err != nil {
			var stranger *sshclient.HostKeyError
			if errors.As(err, &stranger) {
				return err
			}
			return nil // what there is must do
		}
		h.add(c)
	}
	return nil
}

// nearby is how long an answer takes, at most, from a host for which one session
// of each connection is enough. SSH lets 2 MiB be on their way in a session, so
// beyond that it could bring less than 400 MB a second.
const nearby = 5 * time.Millisecond

// connection is a connection with one session or more.
type connection struct {
	conn     *sshclient.Conn
	links    []*link
	distance time.Duration // how long an answer takes, about
}

// link is one session with SFTP in it.
type link struct {
	client *wire.Client
	under  atomic.Int32 // files and folders that are being opened, read or listed
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

// connectOne makes a connection with so many sessions, or with as many of them
// as the server lets there be.
func (s *Source) connectOne(ctx context.Context, sessions int) (*connection, error) {
	c := &connection{}
	conn, err := s.host.Connect(ctx, func(conn *sshclient.Conn) error {
		if err := c.begin(conn, sessions, s.options.StallTimeout); err != nil {
			return fmt.Errorf("asking %s for SFTP: %w", s.options.Addr, sshclient.Plain(err))
		}
		return nil
	})
	if err != nil {
		c.end() // it was closed
		return nil, err
	}
	c.conn = conn
	return c, nil
}

func (c *connection) begin(conn *sshclient.Conn, sessions int, stall time.Duration) error {
	asked := time.Now()
	channel, requests, err := conn.Session()
	if err != nil {
		return err
	}
	c.distance = time.Since(asked)
	first, err := beginSFTP(conn, channel, requests, stall)
	if err != nil {
		return err
	}
	links := make([]*link, sessions) // nil where the server refuses
	links[0] = first
	var wg sync.WaitGroup
	for i := 1; i < sessions; i++ {
		wg.Go(func() {
			if channel, requests, err := conn.Session(); err == nil {
				links[i], _ = beginSFTP(conn, channel, requests, stall)
			}
		})
	}
	wg.Wait()
	c.links = slices.DeleteFunc(links, func(l *link) bool { return l == nil })
	if len(c.links) < sessions {
		return conn.Alive() // what there is must do, if there still is anything
	}
	return nil
}

func beginSFTP(conn *sshclient.Conn, channel ssh.Channel, requests <-chan *ssh.Request, stall time.Duration) (*link, error) {
	if err := conn.Subsystem(channel, requests, "sftp"); err != nil {
		return nil, err
	}
	client, err := wire.NewClient(channel, conn.Interrupt, stall)
	if err != nil {
		return nil, err
	}
	return &link{client: client}, nil
}

// close ends the connection and waits for everything that ran on it.
func (c *connection) close() {
	c.conn.Interrupt()
	c.conn.Close()
	c.end()
}

// end lets go of sessions whose connection was closed.
func (c *connection) end() {
	for _, l := range c.links {
		l.client.Close()
	}
}
