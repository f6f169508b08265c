package gate

import (
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// a session is a connection that is logged in.
type session struct {
	server *Server
	number int
	ssh    *ssh.ServerConn
	conn   net.Conn
	wg     sync.WaitGroup

	// Those of the conversation, and of others when it has ended.
	handles int   // files and listings that are open
	bytes   int64 // that were read
}

func newSession(s *Server, server *ssh.ServerConn, conn net.Conn, from netip.AddrPort) *session {
	return &session{server: s, number: s.report.connected(from), ssh: server, conn: conn}
}

func (c *session) denied(method, path string) { c.server.report.denied(c.number, method, path) }

// run serves until the connection ends. There is one channel at most.
func (c *session) run(channels <-chan ssh.NewChannel, requests <-chan *ssh.Request) {
	defer func() { c.server.report.disconnected(c.number, c.bytes) }()
	defer c.wg.Wait()
	done := make(chan struct{}) // closed when the connection has ended
	defer close(done)
	c.wg.Go(func() { c.refuseRequests(requests) })
	c.wg.Go(func() { c.keepAlive(done) })
	opened := false
	for n := range channels {
		if opened || n.ChannelType() != "session" {
			c.denied(n.ChannelType(), "")
			n.Reject(ssh.Prohibited, "this is SFTP, once, and nothing else") // the client sees it, or has gone
			continue
		}
		channel, requests, err := n.Accept()
		if err != nil {
			continue // the connection has ended
		}
		opened = true
		c.wg.Go(func() { c.serveChannel(channel, requests) })
	}
}

// refuseRequests answers what concerns the whole connection. Only forwarding is
// reported: the rest is what clients tell each server.
func (c *session) refuseRequests(requests <-chan *ssh.Request) {
	for r := range requests {
		switch r.Type {
		case "tcpip-forward", "cancel-tcpip-forward", "streamlocal-forward@openssh.com":
			c.denied(r.Type, "")
		}
		r.Reply(false, nil) // the client sees it, or has gone
	}
}

// keepAlive closes the connection when the peer does not answer any more, so
// that it does not keep its place.
func (c *session) keepAlive(done <-chan struct{}) {
	ticker := time.NewTicker(c.server.patience.keepAlive)
	defer ticker.Stop()
	for {
		select {
		case <-done:
			return
		case <-ticker.C:
		}
		overdue := time.AfterFunc(c.server.patience.answer, func() { reset(c.conn) })
		_, _, err := c.ssh.SendRequest("keepalive@openssh.com", true, nil)
		overdue.Stop()
		if err != nil {
			return // the connection has ended
		}
	}
}

// serveChannel starts SFTP when it is asked for, and grants nothing else.
func (c *session) serveChannel(channel ssh.Channel, requests <-chan *ssh.Request) {
	started := false
	for r := range requests {
		var subsystem struct{ Name string }
		if r.Type == "subsystem" && !started && ssh.Unmarshal(r.Payload, &subsystem) == nil && subsystem.Name == "sftp" {
			started = true
			// Whatever happens, a connection has an end.
			c.conn.SetDeadline(time.Now().Add(c.server.until.Sub(c.server.now().Round(0))))
			r.Reply(true, nil) // or the connection has ended, which SFTP notices
			c.wg.Go(func() { c.serveSFTP(channel) })
			continue
		}
		switch r.Type { // no env, which every client sends unasked
		case "shell", "exec", "subsystem", "pty-req", "x11-req", "auth-agent-req@openssh.com":
			c.denied(r.Type, firstString(r.Payload))
		}
		r.Reply(false, nil) // the client sees it, or has gone
	}
}

// firstString returns the string that a payload starts with: a command, the
// name of a subsystem.
func firstString(payload []byte) string {
	var p struct {
		First string
		Rest  []byte `ssh:"rest"`
	}
	if ssh.Unmarshal(payload, &p) != nil {
		return ""
	}
	return p.First
}

// serveSFTP serves until the client ends it, and lets it learn the exit status
// before the connection ends.
func (c *session) serveSFTP(channel ssh.Channel) {
	c.converse(channel)
	c.conn.SetDeadline(time.Now().Add(c.server.patience.leave)) // fails only if it is closed
	// Errors mean that the client has gone already.
	channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{0}))
	channel.Close()
}
