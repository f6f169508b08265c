package scrub

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/store/blob"
	"strongroom/internal/store/layout"
	"strongroom/internal/store/parity"
)

// A Remedy says where the right bytes of an object are to be had.
type Remedy struct {
	Name string
	From ledger.Repair // "" if nothing is known to have them
}

// Plan decides what to do about the Harmful among the findings of a Check; the
// others are for people. offers, which may be nil, reports whether the caller
// has the bytes of a small object, in its state or elsewhere.
//
// Packs come before parity, which is made from them.
func Plan(findings []Finding, offers func(name string) bool) []Remedy {
	harmed := make(map[string]bool)
	for _, f := range findings {
		if f.Harmful() {
			harmed[f.Name] = true
		}
	}
	var plan, later []Remedy
	for _, f := range findings {
		if !f.Harmful() {
			continue
		}
		n := layout.Parse(f.Name)
		remedy := Remedy{Name: f.Name}
		switch other := n.Other(); {
		case n.Kind == layout.PackObject && f.Parity:
			remedy.From = ledger.FromParity
		case n.Kind == layout.ParityObject:
			remedy.From = ledger.ParityRebuilt
			later = append(later, remedy)
			continue
		case other != "" && !harmed[other]:
			remedy.From = ledger.FromCopy
		case offers != nil && offers(f.Name):
			remedy.From = ledger.FromState
		}
		plan = append(plan, remedy)
	}
	return append(plan, later...)
}

// A Result says what became of a Remedy.
type Result string

const (
	// Sound: the object is as it must be, because an earlier repair was broken
	// off after it, or because what could not be read can be read again.
	Sound Result = "sound"
	// Repaired: the object was replaced, and read back.
	Repaired Result = "repaired"
	// Lost: nothing has its bytes any more.
	Lost Result = "lost"
	// Failed: it could not be tried, and may be another time.
	Failed Result = "failed"
)

// An Outcome is what became of a Remedy.
type Outcome struct {
	Name   string
	Result Result
	From   ledger.Repair // of what is Repaired
	Err    error         // of what is Lost or Failed
}

// A Store can be repaired.
type Store interface {
	blob.Store
	blob.Replacer
}

// Offer returns the bytes of a small object from elsewhere than the store, nil
// if there are none. They are checked like any others.
type Offer func(ctx context.Context, name string) ([]byte, error)

// Repair carries out a plan. Each object is looked at first, since the plan may
// be old or from a process that is believed less than this one; what is put in
// its place is what the truth or the name wants, whatever the plan says. What
// was there is kept by the store.
//
// Every object is a step of its own, which is done or not, so a Repair that
// was broken off is completed by the next. One failure does not keep it from
// the others; only the end of ctx does, and then the outcomes are those so
// far.
func Repair(ctx context.Context, store Store, truth *Truth, plan []Remedy, offer Offer) ([]Outcome, error) {
	m := mender{store: store, truth: truth, offer: offer, buf: make([]byte, bufferSize)}
	var outcomes []Outcome
	for _, remedy := range plan {
		o := m.mend(ctx, remedy)
		if err := ctx.Err(); err != nil {
			return outcomes, fmt.Errorf("repairing the store: %w", err)
		}
		outcomes = append(outcomes, o)
	}
	return outcomes, nil
}

// errLost is wrapped by the errors that say that the bytes of an object are
// nowhere.
var errLost = errors.New("it cannot be rebuilt")

type mender struct {
	store Store
	truth *Truth
	offer Offer
	buf   []byte
}

func (m *mender) mend(ctx context.Context, remedy Remedy) Outcome {
	o := Outcome{Name: remedy.Name}
	n := layout.Parse(remedy.Name)
	sound, err := m.isSound(ctx, n)
	if sound {
		o.Result = Sound
		return o
	}
	if err == nil {
		o.From, err = m.replace(ctx, n)
	}
	if err == nil {
		// The writing is not believed either.
		if sound, err = m.isSound(ctx, n); err == nil && !sound {
			err = errors.New("it was replaced, and is damaged again")
		}
	}
	switch {
	case err == nil:
		o.Result = Repaired
	case errors.Is(err, errLost):
		o.Result = Lost
	default:
		o.Result = Failed
	}
	if err != nil {
		o.From, o.Err = "", fmt.Errorf("repairing %q: %w", remedy.Name, err)
	}
	return o
}

func (m *mender) isSound(ctx context.Context, n layout.Name) (bool, error) {
	if !m.truth.knows(n) {
		return false, errors.New("the ledger knows nothing of such an object")
	}
	v, err := m.truth.judge(ctx, m.store, n, m.buf)
	return err == nil && v.problem == "", err
}

// replace puts the right bytes at a name, and says where they came from.
func (m *mender) replace(ctx context.Context, n layout.Name) (ledger.Repair, error) {
	switch n.Kind {
	case layout.PackObject:
		return ledger.FromParity, m.rebuildPack(ctx, n)
	case layout.ParityObject:
		return ledger.ParityRebuilt, m.rebuildParity(ctx, n)
	default:
		return m.replaceSmall(ctx, n)
	}
}

// put replaces what is at a name by what write writes. An error of write is
// returned as it is.
func (m *mender) put(ctx context.Context, n layout.Name, write func(io.Writer) error) error {
	s, err := m.store.Stage(ctx)
	if err != nil {
		return err
	}
	defer s.Discard() // what fails to be released takes nothing back
	if err := write(s); err != nil {
		return err
	}
	return m.store.Replace(ctx, n.String(), s)
}

// open opens an object to take from it what can be had; one that is missing or
// cannot be opened is empty.
func (m *mender) open(ctx context.Context, n layout.Name) (blob.Object, error) {
	o, err := m.store.Open(ctx, n.String())
	var nameErr *blob.NameError
	if errors.Is(err, blob.ErrNotExist) || errors.As(err, &nameErr) {
		return nothing{bytes.NewReader(nil)}, nil
	}
	return o, err
}

// nothing is an object without bytes.
type nothing struct{ *bytes.Reader }

func (nothing) Close() error { return nil }

func (m *mender) rebuildPack(ctx context.Context, n layout.Name) error {
	object, err := m.open(ctx, n)
	if err != nil {
		return err
	}
	defer object.Close() // nothing was written
	p := n
	p.Kind = layout.ParityObject
	par, err := m.open(ctx, p)
	if err != nil {
		return err
	}
	defer par.Close() // nothing was written
	if par.Size() == 0 {
		return fmt.Errorf("%w: it has no parity", errLost)
	}
	return m.put(ctx, n, func(w io.Writer) error {
		report, err := parity.Repair(w, object, object.Size(), par, par.Size())
		switch {
		case errors.Is(err, parity.ErrBeyondRepair), errors.Is(err, parity.ErrDamaged):
			return fmt.Errorf("%w: %w", errLost, err)
		case err != nil:
			return err
		case report.Digest != n.Digest:
			return fmt.Errorf("%w: what has the name of its parity is that of %s", errLost, report.Digest)
		}
		return nil
	})
}

func (m *mender) rebuildParity(ctx context.Context, n layout.Name) error {
	p := n
	p.Kind = layout.PackObject
	sound, err := m.isSound(ctx, p)
	if err != nil {
		return err
	}
	if !sound {
		return fmt.Errorf("%w: its pack is not sound", errLost)
	}
	object, err := m.open(ctx, p)
	if err != nil {
		return err
	}
	defer object.Close() // nothing was written
	return m.put(ctx, n, func(w io.Writer) error {
		_, err := parity.Write(w, object, object.Size(), n.Digest)
		return err
	})
}

// replaceSmall takes the copy, and what is offered if that will not do.
func (m *mender) replaceSmall(ctx context.Context, n layout.Name) (ledger.Repair, error) {
	b, from, err := m.findSmall(ctx, n)
	if err != nil {
		return "", err
	}
	return from, m.put(ctx, n, func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
}

func (m *mender) findSmall(ctx context.Context, n layout.Name) ([]byte, ledger.Repair, error) {
	lost := errLost
	if other := n.Other(); other != "" {
		// Whatever keeps it from being read now, it may not keep it for ever,
		// but what is offered is as good.
		b, err := blob.ReadAll(ctx, m.store, other, maxSmall)
		if err == nil {
			err = m.truth.checkBytes(n, b)
		}
		if err == nil {
			return b, ledger.FromCopy, nil
		}
		lost = fmt.Errorf("%w; its copy: %w", lost, err)
	}
	if m.offer == nil {
		return nil, "", lost
	}
	b, err := m.offer(ctx, n.String())
	switch {
	case err != nil:
		return nil, "", err
	case b == nil:
		return nil, "", lost
	}
	if err := m.truth.checkBytes(n, b); err != nil {
		return nil, "", fmt.Errorf("%w; what the state has of it: %w", lost, err)
	}
	return b, ledger.FromState, nil
}

// LostOf returns the outcomes that are Lost, with the snapshots that need each
// object according to the findings, for the ledger.
func LostOf(outcomes []Outcome, findings []Finding) []ledger.ObjectLost {
	needers := make(map[string][]safe.RunID)
	for _, f := range findings {
		needers[f.Name] = f.Snapshots
	}
	var lost []ledger.ObjectLost
	for _, o := range outcomes {
		if o.Result == Lost {
			lost = append(lost, ledger.LostOf(o.Name, needers[o.Name]))
		}
	}
	return lost
}
