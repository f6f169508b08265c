package mail

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"strongroom/internal/daemon/state"
	"strongroom/internal/ledger"
	"strongroom/internal/report"
	"strongroom/internal/safe"
)

const (
	// mostWaiting is how many mails may wait for one recipient before they are
	// summed up in one: nobody reads a hundred mails after an outage.
	mostWaiting = 20
	// Patience is how often in a row the server must refuse a mail before the
	// refusal is a finding. From then on what waits is summed up, so that a mail
	// that the server does not like for what is in it holds up nothing behind it.
	Patience = 3
	// gather is how long refused attempts are collected before people are told
	// of them, so that nobody can make the safe send a mail a minute.
	gather = 10 * time.Minute

	firstWait, longestWait = time.Minute, time.Hour
)

// Options are what a Mailer needs to know.
type Options struct {
	State  *state.State
	Sender *Sender
	// Safe says what every mail says of the safe. It is called once a Deliver
	// that has something to send.
	Safe func(ctx context.Context) (Safe, error)
	// Keys returns those that may have signed the newest checkpoint.
	Keys func() []ledger.PublicKey
	// Recipients returns the addresses of all who are told, each once.
	Recipients func() []string
	// Refused is called when the server has refused a mail for the Patience-th
	// time in a row, with the transaction that records it; nil does nothing.
	Refused func(tx *state.Tx, refusal *RefusedError) error
	Logger  *slog.Logger     // nil discards
	Now     func() time.Time // nil means time.Now
}

// A Mailer delivers mails. It is used by one goroutine; one process at a time
// delivers the mails of a safe, which the caller sees to.
type Mailer struct {
	opts  Options
	waits map[string]wait // by recipient; of the server by ""
}

// A wait is for the time after a failure.
type wait struct {
	until time.Time
	last  time.Duration
}

// New returns a Mailer.
func New(opts Options) *Mailer {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &Mailer{opts: opts, waits: make(map[string]wait)}
}

// A round is one Deliver.
type round struct {
	*Mailer
	checkpoint []byte // the newest; signed
	size       int64  // of the ledger, by the checkpoint
	cursors    map[string]state.MailCursor
	about      *Safe       // nil before the first mail
	conn       *connection // nil if there is none, or none any more
	sent       int
	next       time.Time // when something that waits may be tried again
}

// Deliver sends everything that waits, to all recipients once, and returns how
// many mails the server took. next is when to call again though nothing new
// happens; it is zero if nothing waits.
//
// The error joins what went wrong: *ServerError if nothing can be sent now,
// *LaterError and *RefusedError for single recipients, who do not keep the
// others from their mails. What could not be sent is sent by a later call.
func (m *Mailer) Deliver(ctx context.Context) (sent int, next time.Time, err error) {
	r := &round{Mailer: m}
	recipients := m.opts.Recipients()
	if err := r.look(ctx, recipients); err != nil {
		return 0, time.Time{}, err
	}
	defer r.hangUp()
	var errs []error
	for _, recipient := range recipients {
		if r.mustWait(recipient) {
			continue
		}
		// Before the one that follows: the server waits for everyone.
		if r.mustWait("") {
			break
		}
		err := r.deliverTo(ctx, recipient)
		if ctx.Err() != nil {
			return r.sent, r.next, errors.Join(append(errs, ctx.Err())...)
		}
		if err != nil {
			errs = append(errs, err)
			r.hangUp()
			r.waitAfter(recipient, err)
		}
	}
	return r.sent, r.next, errors.Join(errs...)
}

// look reads what a round needs of the state.
func (r *round) look(ctx context.Context, recipients []string) error {
	if err := r.opts.State.MeetRecipients(ctx, recipients); err != nil {
		return err
	}
	var err error
	if r.cursors, err = r.opts.State.MailCursors(ctx); err != nil {
		return err
	}
	if r.checkpoint, err = r.opts.State.Checkpoint(ctx); err != nil {
		return err
	}
	c, err := ledger.ParseCheckpoint(r.checkpoint, r.opts.Keys()...)
	r.size = c.Size
	return err
}

// mustWait reports whether it is too early to try again.
func (r *round) mustWait(whom string) bool {
	w, ok := r.waits[whom]
	if !ok || !r.opts.Now().Before(w.until) {
		return false
	}
	r.again(w.until)
	return true
}

// again notes when something may be tried again.
func (r *round) again(at time.Time) {
	if r.next.IsZero() || at.Before(r.next) {
		r.next = at
	}
}

// waitAfter lets time pass before the next attempt: before the recipient's, or
// before everyone's if the server is at fault.
func (r *round) waitAfter(recipient string, err error) {
	var server *ServerError
	if errors.As(err, &server) {
		recipient = ""
	}
	w := r.waits[recipient]
	w.last = min(max(firstWait, 2*w.last), longestWait)
	w.until = r.opts.Now().Add(w.last)
	r.waits[recipient] = w
	r.again(w.until)
	r.opts.Logger.Warn("mail not delivered", "recipient", recipient, "err", err, "again", w.until)
}

// hangUp ends the connection, if there is one.
func (r *round) hangUp() {
	if r.conn != nil {
		r.conn.close()
		r.conn = nil
	}
}

// deliverTo sends one recipient all that waits for them.
func (r *round) deliverTo(ctx context.Context, recipient string) error {
	cursor := r.cursors[recipient]
	groups, err := r.waiting(ctx, cursor.Next)
	if err != nil {
		return err
	}
	if len(groups) > mostWaiting || cursor.Refused >= Patience && len(groups) > 0 {
		return r.sendOne(ctx, recipient, &cursor, groups[len(groups)-1], func(p Proof) (Message, error) {
			return Summarize(*r.about, groups, p)
		})
	}
	for i, group := range groups {
		_, attempts := group[0].Entry.What.(ledger.AccessRefused)
		// What comes after them must not wait for them.
		if told := group[0].Entry.Time.Add(gather); attempts && i == len(groups)-1 && r.opts.Now().Before(told) {
			r.again(told)
			return nil
		}
		err := r.sendOne(ctx, recipient, &cursor, group, func(p Proof) (Message, error) {
			return Compose(*r.about, group, p)
		})
		if err != nil {
			return err
		}
	}
	if cursor.Next == r.size {
		return nil
	}
	cursor.Next = r.size // over entries that nobody is told of
	return r.opts.State.SetMailCursor(ctx, recipient, cursor)
}

// waiting returns what people are told of from the entry of that number on: a
// group of entries for each mail.
func (r *round) waiting(ctx context.Context, from int64) ([][]Item, error) {
	var groups [][]Item
	n := from
	for b, err := range r.opts.State.Entries(ctx, from) {
		if err != nil {
			return nil, err
		}
		if n >= r.size {
			break // newer than the checkpoint
		}
		e, err := ledger.ParseEntry(b)
		if err != nil {
			return nil, fmt.Errorf("entry %d of the ledger: %w", n, err)
		}
		if Deserves(e.What) {
			item, err := r.lookUp(ctx, Item{Number: n, Entry: e})
			if err != nil {
				return nil, err
			}
			last := len(groups) - 1
			if last >= 0 && together(groups[last][0].Entry.What, e.What) {
				groups[last] = append(groups[last], item)
			} else {
				groups = append(groups, []Item{item})
			}
		}
		n++
	}
	return groups, nil
}

// lookUp completes an item with what the state knows.
func (r *round) lookUp(ctx context.Context, item Item) (Item, error) {
	switch e := item.Entry.What.(type) {
	case ledger.SnapshotKept:
		kept, ok, err := r.opts.State.Snapshot(ctx, e.Run)
		if err != nil {
			return item, err
		}
		if ok {
			item.Snapshot = &kept
		}
		return r.lookBefore(ctx, item, e.Source, e.Run)
	case ledger.RunFailed:
		return r.lookBefore(ctx, item, e.Source, e.Run)
	case ledger.RosterChanged:
		proposal, ok, err := r.opts.State.RosterProposal(ctx, e.Digest, item.Number)
		if ok {
			item.Proposal = &proposal
		}
		return item, err
	}
	if opening := report.OpeningOf(item.Entry.What); !opening.IsZero() {
		request, ok, err := r.opts.State.OpeningRequest(ctx, opening, item.Number)
		if err != nil {
			return item, err
		}
		if ok {
			item.Request = &request
		}
	}
	return item, nil
}

func (r *round) lookBefore(ctx context.Context, item Item, source safe.SourceName, run safe.RunID) (Item, error) {
	before, ok, err := r.opts.State.CompleteBefore(ctx, source, run)
	if ok {
		item.Before = &before
	}
	return item, err
}

// sendOne sends a mail whose last entry is that of the group, and moves the
// recipient's cursor past it. The server has the mail before the cursor moves:
// a crash in between sends it again.
func (r *round) sendOne(ctx context.Context, recipient string, cursor *state.MailCursor, last []Item, compose func(Proof) (Message, error)) error {
	if r.about == nil {
		about, err := r.opts.Safe(ctx)
		if err != nil {
			return err
		}
		r.about = &about
	}
	proof := Proof{Checkpoint: r.checkpoint}
	var err error
	if proof.Consistency, err = r.opts.State.ProveConsistency(ctx, cursor.Mailed, r.size); err != nil {
		return err
	}
	message, err := compose(proof)
	if err != nil {
		return err
	}
	if r.conn == nil {
		if r.conn, err = r.opts.Sender.dial(ctx); err != nil {
			return err
		}
		delete(r.waits, "")
	}
	err = r.opts.Sender.send(ctx, r.conn, recipient, message)
	var refusal *RefusedError
	if errors.As(err, &refusal) {
		cursor.Refused++
		return errors.Join(err, r.recordRefusal(ctx, recipient, *cursor, refusal))
	}
	if err != nil {
		return err
	}
	r.sent++
	delete(r.waits, recipient)
	*cursor = state.MailCursor{Next: last[len(last)-1].Number + 1, Mailed: r.size}
	// Not the caller's context: what the server took must not be sent again
	// because somebody is in a hurry.
	committing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	return r.opts.State.SetMailCursor(committing, recipient, *cursor)
}

func (r *round) recordRefusal(ctx context.Context, recipient string, cursor state.MailCursor, refusal *RefusedError) error {
	return r.opts.State.Update(ctx, func(tx *state.Tx) error {
		if err := tx.SetMailCursor(recipient, cursor); err != nil {
			return err
		}
		if cursor.Refused != Patience || r.opts.Refused == nil {
			return nil
		}
		return r.opts.Refused(tx, refusal)
	})
}
