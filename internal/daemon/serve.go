package daemon

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"strongroom/internal/access/opening"
	"strongroom/internal/daemon/state"
	"strongroom/internal/ledger"
)

// ErrServed says that another process serves people already.
var ErrServed = errors.New("another process serves this safe already")

const (
	// tickEvery is how often the state is looked at: a suspension that another
	// process has recorded ends an opening within that time.
	tickEvery = 500 * time.Millisecond
	// saveEvery is how often the state learns what went through the gate.
	saveEvery = 5 * time.Second
	// mailEvery is how often it is seen whether somebody is to be told
	// something.
	mailEvery = 2 * time.Second
	// drawEvery is how often it is seen whether the map has to be drawn anew.
	drawEvery = 10 * time.Second
)

// Serve looks after people and openings until ctx ends, in one process at a
// time: ErrServed. Answering their calls is for people, which is called with
// everything ready and ends when its context does, or by an error that ends
// Serve; nil if there is nobody to answer.
//
// It first closes what a crash has left open, and does what came due while
// nobody served, so that no call is answered by what is over. When people has
// ended, and with it whatever calls the methods of s, it closes what is open,
// and records that it stopped.
func (s *Safe) Serve(ctx context.Context, people func(context.Context) error) error {
	if s.keys.gate.public.IsZero() {
		return ErrNoGate
	}
	unlock, err := lockFile(filepath.Join(s.config.Dir, "serve.lock"))
	if errors.Is(err, ErrBusy) {
		return ErrServed
	}
	if err != nil {
		return err
	}
	defer unlock()
	// Whoever stops it that early has it begin and end as it should.
	if err := s.begin(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("beginning to serve: %w", err)
	}
	serving, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() { s.every(serving, tickEvery, "looking for what is due", s.tickAndPublish) })
	wg.Go(func() { s.every(serving, saveEvery, "counting what went through the gate", s.saveCounts) })
	wg.Go(func() { s.deliver(serving) })
	wg.Go(func() { s.every(serving, drawEvery, "drawing the map", s.prepareMap) })
	wg.Go(func() { s.every(serving, assessEvery, "looking for what applications miss", s.Assess) })
	if people != nil {
		err = people(serving)
	} else {
		<-serving.Done()
	}
	cancel()
	wg.Wait()
	if stopErr := s.stop(context.WithoutCancel(ctx)); stopErr != nil {
		err = errors.Join(err, fmt.Errorf("ceasing to serve: %w", stopErr))
	}
	return err
}

// begin records that the safe serves, closes what another one left open, and
// does what is due.
func (s *Safe) begin(ctx context.Context) error {
	program, err := ownDigest()
	if err != nil {
		return err
	}
	err = s.state.Update(ctx, func(tx *state.Tx) error {
		unclean, err := tx.BeginServing(s.opts.Now())
		if err != nil {
			return err
		}
		return tx.Append(s.opts.Now(), ledger.Safe, ledger.SafeStarted{Program: program, Pages: s.opts.Pages, Unclean: unclean})
	})
	if err != nil {
		return err
	}
	s.step("serving")
	if err := s.closeAll(ctx, "the safe has stopped without closing it"); err != nil {
		return err
	}
	return errors.Join(s.emptyInboxes(), s.tickAndPublish(ctx))
}

// stop is the end that everything should come to.
func (s *Safe) stop(ctx context.Context) error {
	closeErr := s.closeAll(ctx, "the safe was stopped")
	s.tellRefusals(ctx, true)
	err := s.state.Update(ctx, func(tx *state.Tx) error {
		if err := tx.EndServing(); err != nil {
			return err
		}
		return tx.Append(s.opts.Now(), ledger.Safe, ledger.SafeStopped{})
	})
	return errors.Join(closeErr, err, s.Publish(ctx))
}

// closeAll closes what is open.
func (s *Safe) closeAll(ctx context.Context, cause string) error {
	pending, err := s.state.View(ctx).Pending()
	if err != nil {
		return err
	}
	var errs []error
	for _, o := range pending {
		if o.State != opening.Open {
			continue
		}
		if err := s.closeOpening(ctx, o.ID, closing{cause: cause}); err != nil && !errors.Is(err, opening.ErrState) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (s *Safe) tickAndPublish(ctx context.Context) error {
	if err := s.Tick(ctx); err != nil {
		return err
	}
	return s.Publish(ctx)
}

// every does something again and again until ctx ends. What fails is done
// again, and told once as long as it fails in the same way.
func (s *Safe) every(ctx context.Context, interval time.Duration, what string, do func(context.Context) error) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	var last string
	for {
		err := do(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			last = ""
		case err.Error() != last:
			last = err.Error()
			s.log.Error("the safe could not do what it does all the time, and goes on trying", "what", what, "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// deliver sends mails while there is something to tell.
func (s *Safe) deliver(ctx context.Context) {
	var told int64 // size of the ledger that was told of
	var again time.Time
	s.every(ctx, mailEvery, "delivering mails", func(ctx context.Context) error {
		size, err := s.state.Size(ctx)
		if err != nil {
			return err
		}
		if size == told && (again.IsZero() || s.opts.Now().Before(again)) {
			return nil
		}
		_, next, err := s.DeliverMails(ctx)
		told, again = size, next
		return err
	})
}
