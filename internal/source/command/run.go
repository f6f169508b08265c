package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"strongroom/internal/source"
	"strongroom/internal/source/sshclient"
)

// maxStderr is how much a command may complain before it is given up: it is
// read only to be thrown away.
const maxStderr = 16 << 20

// A run is a command that was started, and the reader of its output. Its
// methods are for one goroutine.
type run struct {
	options Options
	addr    string
	conn    *sshclient.Conn
	channel ssh.Channel
	giveUp  context.CancelCauseFunc // ends the connection, and says why
	givenUp func() error            // that reason; nil as long as there is none
	watch   *time.Timer             // gives up a stalled command while something is waited for
	wg      sync.WaitGroup

	told   chan struct{} // closed when the host has closed the session, or all is over
	ending ending        // valid once told is closed
	stderr *tail         // valid once the goroutines have ended

	first []byte // of the output, read ahead
	total int64
	last  *tail // of the output
	ended bool  // the output has
}

// An ending is what the host says about how the command ended.
type ending struct {
	known  bool
	status uint32 // if it says several, the first that is not 0
	signal string // "" if there was none
}

// start connects and starts the command. The run ends its connection when ctx
// does, which giveUp cancels, from the moment that the caller sees to it.
func (s *Source) start(ctx context.Context, giveUp context.CancelCauseFunc) (*run, error) {
	r := &run{
		options: s.options,
		addr:    s.host.Addr(),
		giveUp:  giveUp,
		givenUp: func() error { return context.Cause(ctx) },
		told:    make(chan struct{}),
		stderr:  &tail{most: 600},
		last:    &tail{most: 4 << 10},
	}
	stalled := fmt.Errorf("the command on %s gave no output for %v and did not end", r.addr, s.options.Stall)
	r.watch = time.AfterFunc(s.options.Stall, func() { giveUp(stalled) })
	r.watch.Stop()
	var err error
	r.conn, err = s.host.Connect(ctx, r.request)
	if err != nil {
		r.wg.Wait()
		return nil, err
	}
	return r, nil
}

// request asks for the command.
func (r *run) request(conn *sshclient.Conn) error {
	fail := func(err error) error {
		return fmt.Errorf("asking %s to run the command: %w", r.addr, sshclient.Plain(err))
	}
	channel, requests, err := conn.Session()
	if err != nil {
		return fail(err)
	}
	r.channel = channel
	r.wg.Go(func() { r.listen(requests) })
	r.wg.Go(r.readStderr)
	request, payload := "shell", []byte(nil)
	if r.options.Command != "" {
		request, payload = "exec", ssh.Marshal(struct{ Command string }{r.options.Command})
	}
	ok, err := channel.SendRequest(request, true, payload)
	if err != nil {
		return fail(err)
	}
	if !ok {
		return fail(errors.New("the host refuses: may the account run anything?"))
	}
	// It gets no input. If it has ended by now that does not matter any more.
	_ = channel.CloseWrite()
	return nil
}

// listen hears how the command ends.
func (r *run) listen(requests <-chan *ssh.Request) {
	defer close(r.told)
	for q := range requests {
		switch q.Type {
		case "exit-status":
			var is struct{ Status uint32 }
			if ssh.Unmarshal(q.Payload, &is) == nil {
				r.ending.known = true
				if r.ending.status == 0 {
					r.ending.status = is.Status
				}
			}
		case "exit-signal":
			r.ending.known = true
			r.ending.signal = signalOf(q.Payload)
		}
		if q.WantReply {
			_ = q.Reply(false, nil) // the end of the connection shows elsewhere
		}
	}
}

// signals are those that RFC 4254 knows; another name is only words of the host.
var signals = []string{"ABRT", "ALRM", "FPE", "HUP", "ILL", "INT", "KILL", "PIPE", "QUIT", "SEGV", "TERM", "USR1", "USR2"}

func signalOf(payload []byte) string {
	var is struct {
		Signal    string
		Core      bool
		Text, Tag string
	}
	if ssh.Unmarshal(payload, &is) == nil && slices.Contains(signals, is.Signal) {
		return "SIG" + is.Signal
	}
	return "of an unknown name"
}

// readStderr reads what the command complains about, and keeps the end of it.
func (r *run) readStderr() {
	n, _ := io.Copy(r.stderr, io.LimitReader(r.channel.Stderr(), maxStderr)) // it ends with the session, for whatever reason
	if n == maxStderr {
		r.giveUp(fmt.Errorf("the command wrote more than %d MiB to its standard error", maxStderr>>20))
	}
}

// begin waits for the first of the output, and tells whether there is any.
func (r *run) begin() bool {
	b := make([]byte, 32<<10) // what a packet holds
	n, _ := r.Read(b)         // it ends in no other way than Read does later
	r.first = b[:n]
	return n > 0
}

// Read reads the output. It ends with io.EOF, whatever the reason; finish
// tells that.
func (r *run) Read(p []byte) (int, error) {
	if len(r.first) > 0 {
		n := copy(p, r.first)
		r.first = r.first[n:]
		return n, nil
	}
	if r.ended {
		return 0, io.EOF
	}
	r.watch.Reset(r.options.Stall)
	n, err := r.channel.Read(p)
	r.watch.Stop()
	if limit := r.options.Limits.Bytes; limit > 0 && r.total+int64(n) > limit {
		r.giveUp(&source.LimitError{What: "bytes", Limit: limit})
		n, err = int(limit-r.total), io.EOF
	}
	r.total += int64(n)
	r.last.Write(p[:n])
	r.ended = err != nil
	if r.ended && n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// Close implements io.Closer. The connection ends with the sequence.
func (r *run) Close() error { return nil }

// finish waits for the end of the command, ends the connection, and tells
// whether all went well.
func (r *run) finish() error {
	if !r.ended {
		r.end()
		return errors.New("the output was not read to its end")
	}
	// The host closes the session when the command has ended, which may be
	// some time after its output.
	r.watch.Reset(r.options.Stall)
	<-r.told
	// A connection that is lost looks as if the output had ended. The status
	// does not tell it apart: a host may send that before all of the output.
	lost := r.conn.Alive()
	r.watch.Stop()
	r.end()
	switch cause := r.givenUp(); {
	case cause != nil:
		return cause
	case r.ending.signal != "":
		return fmt.Errorf("the command was ended by a signal %s", r.ending.signal)
	case r.ending.status != 0:
		return fmt.Errorf("the command ended with exit status %d", r.ending.status)
	case lost != nil:
		return fmt.Errorf("the connection to %s ended before it was certain that the output had", r.addr)
	case !r.ending.known:
		return fmt.Errorf("%s did not tell how the command ended", r.addr)
	}
	if r.total == 0 {
		return r.checkNothing()
	}
	return r.checkEnd()
}

// end ends the session, and waits for what listens to it.
func (r *run) end() {
	r.conn.Interrupt()
	r.wg.Wait()
}

func (r *run) checkNothing() error {
	if r.options.AllowEmpty {
		return nil
	}
	return errors.New("the command ended well and gave no output. Perhaps none is forced for this key " +
		"(restrict,command=\"...\" in authorized_keys): a mere shell, which the safe gives no input, ends like that. " +
		"If no output is right, say allow_empty")
}

// maxEndLines is among how many lines at the end one must be as EndsWith wants
// it. After its completion line pg_dump writes one of two hyphens, and newer
// ones then \unrestrict.
const maxEndLines = 5

func (r *run) checkEnd() error {
	want := r.options.EndsWith
	if want == "" {
		return nil
	}
	lines := r.last.lines()
	lines = lines[max(0, len(lines)-maxEndLines):]
	if slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, want) }) {
		return nil
	}
	return fmt.Errorf("the output does not end as it should: none of its last %d lines begins with %q", maxEndLines, want)
}

// complaint returns what the command wrote to its standard error, the end of
// it, in words that are safe to show; "" if there was nothing. The session must
// have ended.
func (r *run) complaint() string {
	lines := r.stderr.lines()
	if len(lines) == 0 {
		return ""
	}
	text := strings.Join(lines[max(0, len(lines)-5):], " | ")
	if r.stderr.cut {
		text = "... " + text
	}
	return "the command wrote to its standard error: " + sshclient.Printable(text, r.stderr.most)
}

// close lets go of everything. It must be called once.
func (r *run) close() {
	r.conn.Close()
	r.wg.Wait()
}
