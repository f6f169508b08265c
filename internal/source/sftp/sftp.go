// Package sftp pulls files and folders of a host over SSH, with a key that may
// only read.
//
// It connects to a host whose keys were pinned beforehand, and to no other. It
// can only read: the client beneath (package wire) has no words for writing.
// The other side is treated as hostile: what it sends is bounded, names are
// checked, sizes compared, and if it goes silent the pull ends with an error.
//
// What SFTP version 3 does not show is not kept: extended attributes, ACLs,
// hard links (each name is a file of its own), holes, and fractions of seconds.
// A server follows symbolic links when it opens a file; should a file be
// exchanged for a link after it was listed, the content of what the link leads
// to is kept under the file's name, with the warning that it changed. It is
// never more than the account may read. A big file is opened and read over several
// connections at once; they must agree on its size and time at its end.
package sftp

import (
	"context"
	"fmt"
	"iter"
	"net"
	"sync"
	"time"

	"strongroom/internal/source"
	"strongroom/internal/source/pattern"
	"strongroom/internal/source/sshclient"
	"strongroom/internal/source/tree"
)

// Options says from where to pull what.
type Options struct {
	Addr     string   // host:port; required
	User     string   // required
	HostKeys []string // each as in "ssh-ed25519 AAAA..."; at least one
	Key      []byte   // the private key, unencrypted, in OpenSSH's or a PEM format; required
	Include  []string // see package pattern; required
	Exclude  []string

	Limits source.Limits

	// Connections is how many connections share the work, at most; 0 means 1.
	// More of them help where one core of the other side is the limit, or how
	// much one connection lets be on its way. A pull begins with one, and when
	// there is much to read goes on with those that the server lets it have. To
	// a distant host all but the first have several sessions, which each let as
	// much be on its way.
	Connections int
	// ConnectTimeout is how long connecting may take, until files can be
	// asked for; 0 means 20 seconds.
	ConnectTimeout time.Duration
	// StallTimeout is after how long without a byte a server that owes an
	// answer is given up; 0 means 60 seconds.
	StallTimeout time.Duration
	// Dial connects to Addr; nil dials TCP.
	Dial func(ctx context.Context, addr string) (net.Conn, error)
}

// Source is a source.Source of the files of a host.
type Source struct {
	options Options
	host    *sshclient.Host
	list    *pattern.List
	tally   *pattern.Tally
}

var _ source.Source = (*Source)(nil)

// New checks options. No error of it holds anything of the private key.
func New(options Options) (*Source, error) {
	s := &Source{options: options}
	var err error
	if s.list, err = pattern.Compile(options.Include, options.Exclude); err != nil {
		return nil, err
	}
	s.tally = s.list.NewTally()
	if s.host, err = sshclient.New(sshclient.Options{
		Addr: options.Addr, User: options.User, HostKeys: options.HostKeys, Key: options.Key,
		Timeout: options.ConnectTimeout, Dial: options.Dial,
	}); err != nil {
		return nil, err
	}
	if s.options.Connections == 0 {
		s.options.Connections = 1
	}
	if s.options.Connections < 0 || s.options.Connections > maxConnections {
		return nil, fmt.Errorf("%d connections: want 1 to %d", options.Connections, maxConnections)
	}
	if s.options.StallTimeout == 0 {
		s.options.StallTimeout = time.Minute
	}
	return s, nil
}

// maxConnections is how many connections OpenSSH lets wait for authentication
// before it begins to refuse some (MaxStartups), less two for others. The
// configuration takes no more.
const maxConnections = 8

// Pull implements source.Source.
func (s *Source) Pull(ctx context.Context, request source.Request) iter.Seq2[source.Item, error] {
	return func(yield func(source.Item, error) bool) {
		h, err := s.connect(ctx)
		if err != nil {
			yield(source.Item{}, err)
			return
		}
		defer h.Close()
		h.foresee(s.list)
		ctx, cancel := context.WithCancelCause(ctx)
		var growing sync.WaitGroup
		growing.Go(func() {
			if err := s.grow(ctx, h); err != nil {
				cancel(err)
			}
		})
		defer growing.Wait()
		defer cancel(nil)
		tree.Pull(ctx, h, s.list, s.tally, s.options.Limits, request, yield)
	}
}

// Matches implements source.Source.
func (s *Source) Matches() []source.Match { return s.tally.Matches() }

// Probe tries the connection without pulling anything: it connects, checks the
// host's key, logs in and asks for the attributes of "/". Whether the account
// can write is not tried: that would take writing.
func (s *Source) Probe(ctx context.Context) error {
	h, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer h.Close()
	stop := context.AfterFunc(ctx, h.Interrupt)
	defer stop()
	if _, err := h.lstat(h.pick().client, "/"); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return fmt.Errorf("reading from %s: %w", s.options.Addr, err)
	}
	return nil
}
