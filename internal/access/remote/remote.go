// Package remote reads a store through the gate of a safe: it implements
// blob.Reader over SFTP, for the operator's program. The tree at the gate has
// the names of a store, so whoever can read a folder can read through a gate.
//
// It is made for links that are far away. Several connections share the work,
// a large read is cut into many requests that are under way together, and what
// can be asked at once is. A connection that was lost is made anew; when that
// fails, the Store is gone for good and says so: ErrCut.
//
// The other side is not trusted. Only the host with the pinned key is spoken
// to, and what it sends is bounded in size and number. That the bytes are those
// that were asked for this package does not promise: package store verifies
// them. A gate can be as slow as it likes, as long as it sends something.
package remote

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"strongroom/internal/source/sftp/wire"
	"strongroom/internal/source/sshclient"
	"strongroom/internal/store/blob"
)

// ErrCut means that the connections to the gate have ended and no new one
// could be made: most likely the opening has ended. It is a blob.ErrGone.
var ErrCut = fmt.Errorf("the gate is closed or cannot be reached any more: %w", blob.ErrGone)

// Options says where the gate is. Connections, From and Stall may be zero.
type Options struct {
	Addr    string        // host:port
	User    string        // as the opening names it
	HostKey ssh.PublicKey // the only one that the gate may have
	Signer  ssh.Signer    // the operator's key
	From    netip.Addr    // of this host, to connect from; invalid for whatever fits

	// Connections is how many are made; 0 means 6. Each has at most 2 MiB under
	// way, and is decrypted by one core. A gate has room for 8.
	Connections int
	// Stall is how long the gate may owe an answer and send nothing; 0 means
	// 30s. So long may connecting take, too.
	Stall time.Duration
}

// A Store is a blob.Reader. After Close nothing can be read.
type Store struct {
	options Options
	host    *sshclient.Host
	// ctx is kept because a connection may have to be made anew whenever
	// something is read.
	ctx   context.Context
	end   context.CancelCauseFunc
	lines []*line // one for each connection
	turn  atomic.Uint32
	gone  atomic.Pointer[error] // why nothing can be read any more; nil as long as it can

	background sync.WaitGroup // with what nobody waits for but Close
}

var errClosed = errors.New("the store at the gate was closed")

// Dial connects. The connections end with ctx, and what is under way on them.
// If the gate does not prove to be the pinned one, the error is a
// *HostKeyError.
//
// The first connection is enough to begin with, and the others are used as soon
// as they are there. Those that cannot be made are done without.
func Dial(ctx context.Context, o Options) (*Store, error) {
	if o.Connections == 0 {
		o.Connections = 6
	}
	if o.Stall == 0 {
		o.Stall = 30 * time.Second
	}
	host, err := o.host()
	if err != nil {
		return nil, fmt.Errorf("reaching the gate: %w", err)
	}
	s := &Store{options: o, host: host}
	s.ctx, s.end = context.WithCancelCause(ctx)
	dialled := make(chan error, o.Connections) // one for each line
	for range o.Connections {
		l := &line{store: s}
		s.lines = append(s.lines, l)
		s.background.Go(func() { dialled <- l.dial() })
	}
	var first error
	for range s.lines {
		err := <-dialled
		if err == nil {
			return s, nil
		}
		first = cmp.Or(first, err)
	}
	s.Close()
	return nil, first
}

// Close ends all connections and waits for what ran on them. It returns nil.
func (s *Store) Close() error {
	s.end(errClosed)
	for _, l := range s.lines {
		l.close()
	}
	s.background.Wait()
	return nil
}

// next returns the lines that can be used in turn. There is one at least.
func (s *Store) next() *line {
	for {
		if l := s.lines[s.turn.Add(1)%uint32(len(s.lines))]; l.up.Load() {
			return l
		}
	}
}

// row returns all lines that can be used, and first of all the given one.
func (s *Store) row(first *line) []*line {
	row := []*line{first}
	for _, l := range s.lines {
		if l != first && l.up.Load() {
			row = append(row, l)
		}
	}
	return row
}

// do does something on a line, and does it once more if the connection is lost
// meanwhile.
func (s *Store) do(ctx context.Context, line *line, do func(*link) error) error {
	for attempt := 1; ; attempt++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		link, err := line.link()
		if err != nil {
			return err
		}
		err = do(link)
		if err == nil || answered(err) {
			return err
		}
		line.lose(link)
		var broken *wire.ProtocolError
		if attempt == 2 || errors.As(err, &broken) {
			return s.isGone(err)
		}
	}
}

// isGone notes that nothing can be read any more, and returns the first reason
// for that.
func (s *Store) isGone(err error) error {
	switch cause := context.Cause(s.ctx); {
	case errors.Is(cause, errClosed):
		return fmt.Errorf("%w: %w", blob.ErrGone, errClosed)
	case cause != nil:
		return cause
	}
	err = fmt.Errorf("%w: %w", ErrCut, err)
	s.gone.CompareAndSwap(nil, &err)
	return *s.gone.Load()
}

// An oddError says that the gate's answer cannot be used. It concerns one name.
type oddError string

func (e oddError) Error() string { return string(e) }

// answered tells whether the gate has answered, if not what was hoped for.
// After any other error the connection is of no more use.
func answered(err error) bool {
	var refused *wire.StatusError
	var odd oddError
	return errors.As(err, &refused) || errors.As(err, &odd)
}

// nameError says in the words of package blob what is wrong at a name.
func nameError(name string, err error) error {
	switch {
	case err == nil:
		return nil
	case !answered(err):
		return fmt.Errorf("object %s: %w", name, err)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("object %s: %w", name, blob.ErrNotExist)
	}
	return &blob.NameError{Name: name, Err: err}
}

// Stat implements blob.Reader.
func (s *Store) Stat(ctx context.Context, name string) (blob.Info, error) {
	if err := blob.CheckName(name); err != nil {
		return blob.Info{}, err
	}
	var info blob.Info
	err := s.do(ctx, s.next(), func(l *link) error {
		a, err := l.client.Lstat(name)
		if err == nil {
			info, err = describe(name, a)
		}
		return err
	})
	return info, nameError(name, err)
}

// describe makes an Info of what the gate says.
func describe(name string, a wire.Attrs) (blob.Info, error) {
	switch {
	case !a.Has(wire.HasSize|wire.HasMode|wire.HasTimes) || int64(a.Size) < 0:
		return blob.Info{}, oddError("the gate does not tell its type, size and time")
	case a.Mode&typeBits != regular:
		return blob.Info{}, oddError("is not a regular file")
	}
	return blob.Info{Name: name, Size: int64(a.Size), ModTime: time.Unix(int64(a.MTime), 0)}, nil
}

// Types of files, as in stat(2).
const (
	typeBits = 0o170000
	regular  = 0o100000
	folder   = 0o040000
)
