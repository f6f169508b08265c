package daemon

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"strongroom/internal/access/api"
	"strongroom/internal/access/gate"
	"strongroom/internal/access/opening"
	"strongroom/internal/daemon/child"
	"strongroom/internal/daemon/state"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
)

// A door is the gate of an opening, a child process.
type door struct {
	id     safe.OpeningID
	until  time.Time
	peer   netip.Addr
	listen netip.AddrPort
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	before state.Counts  // of earlier doors of the same opening
	ended  chan struct{} // closed when the child has ended
	why    *closing      // why it was shut, nil if nobody has; s.callers.opening guards it

	mu     sync.Mutex // guards the fields below
	counts state.Counts
	read   map[string]bool // names of what was read, until the child has counted
	saved  state.Counts    // what the state knows
	totals *gate.Totals    // nil until the child has told them
	err    error           // why the child has told none
}

// hasEnded reports whether nobody can come through any more.
func (d *door) hasEnded() bool {
	select {
	case <-d.ended:
		return true
	default:
		return false
	}
}

// total returns what went through this door and those before it.
func (d *door) total() (counts state.Counts, complete bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.counts
	return state.Counts{Sessions: d.before.Sessions + c.Sessions, Objects: d.before.Objects + c.Objects, Bytes: d.before.Bytes + c.Bytes}, d.totals != nil
}

const (
	// opensWithin is how long a gate may take to listen.
	opensWithin = 15 * time.Second
	// shutsWithin is how long a gate that was told to end may take to say what
	// it was; it has stopped serving at once.
	shutsWithin = 3 * time.Second
)

// openDoorLocked opens the gate for what was released, in the place of one that
// is open for the same opening. s.callers.opening must be held.
func (s *Safe) openDoorLocked(ctx context.Context, a asked, grant opening.Grant, inner []api.Inner) error {
	listen := s.config.Serve.Gate.Listen
	var before state.Counts
	if old := s.callers.door; old != nil {
		s.callers.door = nil
		old.shut()
		before, _ = old.total()
		listen = old.listen // the same port, if any was good
	}
	task, err := s.gateTask(ctx, a, grant, inner, listen)
	if err != nil {
		return err
	}
	d, err := s.startDoor(task, grant, before)
	if err != nil {
		return err
	}
	s.callers.door = d
	s.step("gate", "opening", d.id)
	err = s.state.Update(ctx, func(tx *state.Tx) error {
		if err := tx.SetGate(d.id, d.listen); err != nil {
			return err
		}
		return tx.Append(s.opts.Now(), ledger.Safe, ledger.OpeningOpened{Opening: d.id, Listen: d.listen, Until: d.until.UTC()})
	})
	if err == nil {
		s.publishSoon(ctx)
	}
	return err
}

// startDoor starts the child and returns when it listens.
func (s *Safe) startDoor(task child.GateTask, grant opening.Grant, before state.Counts) (*door, error) {
	cmd := command(s.life, s.opts.Program, "gate")
	tail := new(tail)
	cmd.Stderr = tail
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting it: %w", err)
	}
	d := &door{id: grant.Opening, until: grant.Until, peer: grant.Address, cmd: cmd, stdin: stdin, before: before,
		ended: make(chan struct{}), read: make(map[string]bool)}
	late := time.AfterFunc(opensWithin, func() { cmd.Process.Kill() })
	writeErr := child.WriteTask(stdin, task)
	answers := bufio.NewReader(stdout)
	var first child.GateAnswer
	readErr := child.ReadAnswer(answers, &first)
	late.Stop()
	if first.Event == nil || first.Event.Listening == nil {
		cmd.Process.Kill()
		waitErr := cmd.Wait()
		if first.Failed != "" {
			return nil, errors.New(first.Failed)
		}
		return nil, fmt.Errorf("it ended before it listened (%v): %s", errors.Join(writeErr, readErr, waitErr), tail)
	}
	d.listen = first.Event.Listening.Addr
	s.callers.doors.Go(func() {
		d.follow(answers, s.tellGate)
		waitErr := cmd.Wait()
		d.mu.Lock()
		if d.totals == nil && d.err == nil {
			d.err = fmt.Errorf("it ended without a word (%v): %s", waitErr, tail)
		}
		d.mu.Unlock()
		close(d.ended)
		s.doorEnded(d)
	})
	return d, nil
}

// follow takes in what the child tells, until its end.
func (d *door) follow(answers *bufio.Reader, tell func(*door, gate.Event)) {
	for {
		var answer child.GateAnswer
		err := child.ReadAnswer(answers, &answer)
		d.mu.Lock()
		switch {
		case err != nil:
			if err != io.EOF {
				d.err = err
				d.cmd.Process.Kill() // it may wait for somebody to read on
			}
		case answer.Done != nil:
			t := answer.Done
			d.totals = t
			d.counts = state.Counts{Sessions: max(t.Sessions, 0), Objects: max(t.Objects, 0), Bytes: max(t.Bytes, 0)}
		case answer.Failed != "":
			d.err = errors.New(answer.Failed)
		case answer.Event != nil:
			d.countLocked(*answer.Event)
		}
		d.mu.Unlock()
		if err != nil || answer.Done != nil || answer.Failed != "" {
			return
		}
		if answer.Event != nil {
			tell(d, *answer.Event)
		}
	}
}

func (d *door) countLocked(e gate.Event) {
	switch {
	case e.Connected != nil:
		d.counts.Sessions++
	case e.Read != nil && e.Read.Bytes >= 0:
		d.counts.Bytes += e.Read.Bytes
		// A gate tells of no more, unless it was taken over.
		if !d.read[e.Read.Name] && len(d.read) < gate.MaxReads {
			d.read[e.Read.Name] = true
			d.counts.Objects++
		}
	}
}

// tellGate records what should not have been tried at the gate.
func (s *Safe) tellGate(d *door, e gate.Event) {
	switch {
	case e.Refused != nil:
		s.Refused(s.life, "gate", e.Refused.Why, e.Refused.From.Addr())
	case e.Denied != nil:
		s.Refused(s.life, "gate", strings.TrimSpace(e.Denied.Method+" "+e.Denied.Path), d.peer)
	case e.Failed != nil:
		s.log.Warn("the gate could not do what it should", "opening", d.id, "object", e.Failed.Name, "why", e.Failed.Why)
	case e.Connected != nil || e.Disconnected != nil:
		s.step("session", "opening", d.id)
	}
}

// shut ends the child.
func (d *door) shut() {
	child.Stop(d.stdin) // if the child is gone, there is nothing to stop
	late := time.AfterFunc(shutsWithin, func() { d.cmd.Process.Kill() })
	defer late.Stop()
	<-d.ended
	d.stdin.Close() // as above
}

// doorEnded closes the opening of a door that ended though nobody has shut it.
func (s *Safe) doorEnded(d *door) {
	if s.life.Err() != nil {
		return // the safe is closed, and the next Serve closes the opening
	}
	// Whoever shuts a door waits for its end, with the lock held: so this waits
	// in a goroutine of its own.
	s.callers.doors.Go(func() {
		s.callers.opening.Lock()
		defer s.callers.opening.Unlock()
		if s.callers.door != d || d.why != nil || s.life.Err() != nil {
			return
		}
		cause := overtime
		d.mu.Lock()
		switch {
		case d.err != nil:
			cause = fmt.Sprintf("the gate has failed: %v", d.err)
		case d.totals.End != gate.Deadline:
			cause = "the gate was stopped"
		}
		d.mu.Unlock()
		if err := s.closeLocked(context.WithoutCancel(s.life), d.id, closing{cause: cause}); err != nil {
			s.log.Error("an opening whose gate has ended could not be closed", "opening", d.id, "error", err)
		}
	})
}

// overtime is why openings are closed as a rule.
const overtime = "its time is over"

// A closing says why an opening is closed, and who does.
type closing struct {
	cause  string
	who    ledger.Who    // "" for the safe
	signed ledger.Signed // if it is a person
}

// closeOpening shuts the gate of an opening and records what it was.
func (s *Safe) closeOpening(ctx context.Context, id safe.OpeningID, c closing) error {
	s.callers.opening.Lock()
	defer s.callers.opening.Unlock()
	return s.closeLocked(context.WithoutCancel(ctx), id, c)
}

// closeLocked is closeOpening for those who hold s.callers.opening.
//
// The order matters: first the door, so that nothing is read that is not
// counted; then state, ledger and the records that the operator has left, in
// one transaction; then the records' files are moved. A crash before the
// transaction leaves an open opening, which the next Serve closes in the same
// way; one after it files, which the next Serve moves. If the transaction
// fails, as when the disk is full, the door is shut all the same, and the next
// review records who has shut it.
func (s *Safe) closeLocked(ctx context.Context, id safe.OpeningID, c closing) error {
	counts, complete, err := s.shutLocked(ctx, id, &c)
	if err != nil {
		return err
	}
	received, err := s.lookIntoInbox(id)
	if err != nil {
		s.log.Error("the inbox of an opening cannot be read", "opening", id, "error", err)
	}
	if c.who == "" {
		c.who = ledger.Safe
	}
	cause := ledger.TextOf(c.cause)
	err = s.state.Update(ctx, func(tx *state.Tx) error {
		now := s.opts.Now()
		if err := tx.EndOpening(id, opening.Closed, cause); err != nil {
			return err
		}
		if err := tx.Count(id, counts); err != nil {
			return err
		}
		if err := s.takeInbox(tx, received); err != nil {
			return err
		}
		return tx.Append(now, c.who, ledger.OpeningClosed{Opening: id, Cause: cause, Sessions: counts.Sessions, Objects: counts.Objects,
			Bytes: counts.Bytes, Unknown: !complete, Signed: c.signed})
	})
	if err != nil {
		return fmt.Errorf("closing opening %s: %w", id, err)
	}
	if d := s.callers.door; d != nil && d.id == id {
		s.callers.door = nil
	}
	s.publishSoon(ctx)
	s.step("closed", "opening", id)
	return s.emptyInbox(id)
}

// shutLocked shuts the door of an opening, if it has one, and returns what is
// known of what went through; complete says that it is all. Whoever shut it
// first is who closes the opening.
func (s *Safe) shutLocked(ctx context.Context, id safe.OpeningID, c *closing) (counts state.Counts, complete bool, err error) {
	if d := s.callers.door; d != nil && d.id == id {
		if d.why == nil {
			why := *c
			d.why = &why
		}
		*c = *d.why
		d.shut()
		counts, complete = d.total()
		return counts, complete, nil
	}
	o, ok, err := s.state.View(ctx).Opening(id)
	if err != nil || !ok {
		return counts, false, either(err, api.ErrNotFound)
	}
	// Without a gate nothing can have been read.
	return o.Counts, !o.Gate.IsValid(), nil
}

// saveCounts notes what went through the door until now, for after a crash.
func (s *Safe) saveCounts(ctx context.Context) error {
	s.callers.opening.Lock()
	defer s.callers.opening.Unlock()
	d := s.callers.door
	if d == nil {
		return nil
	}
	counts, _ := d.total()
	if counts == d.saved {
		return nil
	}
	err := s.state.Update(ctx, func(tx *state.Tx) error { return tx.Count(d.id, counts) })
	if err == nil {
		d.saved = counts
	}
	return err
}

func (s *Safe) inboxPath(id safe.OpeningID) string {
	return filepath.Join(s.config.Dir, "inbox", id.String())
}

func (s *Safe) recordsPath(id safe.OpeningID) string {
	return filepath.Join(s.config.Dir, "records", id.String())
}
