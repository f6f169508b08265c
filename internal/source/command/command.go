// Package command pulls the output of one fixed command of a host, such as a
// dump, over SSH.
//
// The command is fixed by the host: the key that the safe logs in with runs it
// and nothing else (restrict,command="..." in authorized_keys). So the safe
// sends no text. It asks for a shell without a terminal, at which OpenSSH runs
// the forced command, and closes standard input. An account that forces
// nothing starts its shell, which reads the end of its input and ends: no
// output, which is not complete. Whatever a login there prints would pass for
// output, though; EndsWith tells it apart, and Probe finds a key that may have
// a terminal.
//
// The output is one entry of type stream. It is complete only if the host says
// that the output ended and that the command ended with status 0, and not by a
// signal; if the connection was there until then; and if the last lines are as
// EndsWith wants them. What came until something went wrong is kept all the
// same, by a collection that is not complete. What the command writes to its
// standard error is told as a warning, cleaned and bounded, and is never in an
// error, since errors are recorded where anyone may read them.
//
// The package cannot know whether the command did what it should: a command
// that hides failures, as a pipe does without pipefail, ends well all the same.
package command

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"strongroom/internal/safe"
	"strongroom/internal/source"
	"strongroom/internal/source/sshclient"
)

// Options says whose output to pull.
type Options struct {
	SSH  sshclient.Options
	Name string // of the entry, without slash; required

	// Command is sent to be run, for hosts that cannot force one. "" sends no
	// text and is the better way.
	Command string
	// EndsWith is how one of the last lines has to begin, as "-- Dump
	// completed"; "" is satisfied by any.
	EndsWith string
	// AllowEmpty says that no output at all may be complete, whatever EndsWith
	// says.
	AllowEmpty bool

	// Limits bounds the output by its Bytes; the rest is for trees.
	Limits source.Limits
	// Stall is after how long without output a command that has not ended is
	// given up; 0 means 10 minutes.
	Stall time.Duration
	// Now tells the time; nil means time.Now.
	Now func() time.Time
}

// Source is a source.Source of one entry.
type Source struct {
	options Options
	host    *sshclient.Host
}

var _ source.Source = (*Source)(nil)

// New checks options. No error of it holds anything of the private key.
func New(options Options) (*Source, error) {
	if err := safe.CheckPath(options.Name); err != nil || strings.Contains(options.Name, "/") {
		return nil, fmt.Errorf("the name %.80q cannot be that of a file", options.Name)
	}
	host, err := sshclient.New(options.SSH)
	if err != nil {
		return nil, err
	}
	if options.Stall == 0 {
		options.Stall = 10 * time.Minute
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	return &Source{options, host}, nil
}

// Pull implements source.Source.
func (s *Source) Pull(ctx context.Context, request source.Request) iter.Seq2[source.Item, error] {
	return func(yield func(source.Item, error) bool) {
		started := s.options.Now().UTC()
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		r, err := s.start(ctx, cancel)
		if err != nil {
			yield(source.Item{}, err)
			return
		}
		defer r.close()
		defer context.AfterFunc(ctx, r.conn.Interrupt)()

		// A command that fails before it gives anything leaves no entry.
		some := r.begin()
		if !some {
			err = r.finish()
		}
		if some || err == nil {
			entry := safe.Entry{Path: s.options.Name, Type: safe.Stream, Mode: 0o600, MTime: started}
			if !yield(source.Item{Entry: entry, Content: r}, nil) {
				return
			}
		}
		if some {
			err = r.finish()
		}
		if text := r.complaint(); text != "" && request.Report != nil {
			request.Report(source.Problem{Kind: source.Complaint, Path: s.options.Name, Err: errors.New(text)})
		}
		if err != nil {
			yield(source.Item{}, err)
		}
	}
}

// Matches implements source.Source: there are no lines to match.
func (s *Source) Matches() []source.Match { return []source.Match{} }

// Probe tries the connection without running the command: it connects, checks
// the host's key, logs in, opens a session, and asks for a terminal. A key that
// gets one is not restricted to a command.
func (s *Source) Probe(ctx context.Context) error {
	var terminal bool
	var wg sync.WaitGroup
	defer wg.Wait()
	conn, err := s.host.Connect(ctx, func(conn *sshclient.Conn) error {
		channel, requests, err := conn.Session()
		if err != nil {
			return fmt.Errorf("asking %s for a session: %w", s.host.Addr(), sshclient.Plain(err))
		}
		wg.Go(func() { ssh.DiscardRequests(requests) })
		terminal, err = channel.SendRequest("pty-req", true, ssh.Marshal(struct {
			Term                         string
			Columns, Rows, Width, Height uint32
			Modes                        string
		}{Term: "dumb", Columns: 80, Rows: 24}))
		if err != nil {
			return fmt.Errorf("asking %s whether there is a terminal: %w", s.host.Addr(), sshclient.Plain(err))
		}
		return nil
	})
	if err != nil {
		return err
	}
	conn.Close()
	if terminal {
		return fmt.Errorf("%s gives the safe a terminal, so its key is good for more than one command: write restrict,command=\"...\" before it in authorized_keys", s.host.Addr())
	}
	return nil
}
