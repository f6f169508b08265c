package daemon

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"strongroom/internal/access"
	"strongroom/internal/access/api"
	"strongroom/internal/access/opening"
	"strongroom/internal/access/proven"
	"strongroom/internal/access/sshsig"
	"strongroom/internal/daemon/state"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/store/layout"
)

// ErrNoGate means that operators have no door to come through.
var ErrNoGate = errors.New("this safe was made before there were openings: it has no key for a gate, so make a new one for what is collected from now on")

var errNoListen = invalid("this safe has no gate: its configuration has no serve.gate")

// maxRequests bounds the requests of one operator that wait.
const maxRequests = 5

// Request asks for an opening.
func (s *Safe) Request(ctx context.Context, from netip.Addr, signed ledger.Signed) error {
	return s.change(ctx, from, "opening.request", func(tx *state.Tx) error {
		sit, h, q, err := hearAct[access.Request](s, tx, signed)
		if err != nil {
			return err
		}
		if err := s.mayRequest(tx.View(), sit, h, q, from); err != nil {
			return err
		}
		requested := ledger.OpeningRequested{Opening: q.Opening, Address: q.Address, Hours: q.Hours, Reason: q.Reason, Until: q.NotAfter.UTC(), Signed: signed}
		descriptions, err := described(tx.View(), q)
		if err != nil {
			return err
		}
		for _, d := range descriptions {
			requested.Snapshots = append(requested.Snapshots, ledger.SnapshotNamed{Run: d.Run, Source: d.Source})
		}
		n, err := tx.Record(sit.now, ledger.Who(h.Person), requested)
		if err != nil {
			return err
		}
		return tx.AddOpening(state.Opening{ID: q.Opening, Operator: h.Person, Request: signed, Recorded: n, Until: q.NotAfter})
	})
}

func (s *Safe) mayRequest(v state.View, sit situation, h heard, q access.Request, from netip.Addr) error {
	switch {
	case !h.person.Has(access.Operator):
		return denyf("%s is no operator", h.Person)
	case q.Address != from.Unmap():
		return denyf("the request is for address %s and comes from %s", q.Address, from)
	case !h.person.ComesFrom(from):
		return denyf("%s is no address of %s in the roster", from, h.Person)
	case s.config.Serve == nil || s.config.Serve.Gate == nil:
		return errNoListen
	}
	if err := q.Check(h.Time); err != nil {
		return invalid("the request cannot be: %v", err)
	}
	if _, known, err := v.Opening(q.Opening); err != nil || known {
		return either(err, denyf("the opening %s was asked for before: an id is good once", q.Opening))
	}
	size, err := v.Size()
	if err != nil {
		return err
	}
	if q.Known > size {
		return invalid("%s", turnedBack(size, q.Known))
	}
	pending, err := v.Pending()
	waiting := 0
	for _, o := range pending {
		if o.Operator == h.Person && o.State == opening.Requested {
			waiting++
		}
	}
	if waiting >= maxRequests {
		return invalid("%d requests of %s wait already: withdraw one", waiting, h.Person)
	}
	return err
}

// described returns the descriptions of the snapshots that are asked for, in
// the order of the request.
func described(v state.View, q access.Request) ([]safe.Snapshot, error) {
	var all []safe.Snapshot
	for _, run := range q.Snapshots {
		b, err := v.Description(run)
		if err != nil {
			return nil, err
		}
		if b == nil {
			return nil, invalid("there is no snapshot %s", run)
		}
		d, err := safe.ParseSnapshot(b)
		if err != nil {
			return nil, fmt.Errorf("reading the description of snapshot %s: %w", run, err)
		}
		all = append(all, d)
	}
	return all, nil
}

// An asked opening has its request taken apart.
type asked struct {
	state.Opening
	by      access.Statement
	key     sshsig.PublicKey // that signed the request
	request access.Request
}

// asked returns an opening whose operator still may read, and why not
// otherwise.
func (sit situation) asked(o state.Opening) (asked, error) {
	by, key, err := sit.roster.Verify(o.Request)
	if err != nil {
		return asked{}, fmt.Errorf("%s, or the key that asked, is not in the roster any more", o.Operator)
	}
	q, ok := by.Act.(access.Request)
	p, _ := sit.roster.Person(by.Person)
	switch {
	case !ok:
		return asked{}, errors.New("it was not asked for with a request")
	case !p.Has(access.Operator):
		return asked{}, fmt.Errorf("%s is no operator any more", p.Name)
	case !p.ComesFrom(q.Address):
		return asked{}, fmt.Errorf("%s is no address of %s any more", q.Address, p.Name)
	case sit.suspended.Stop(p.Name, key):
		return asked{}, fmt.Errorf("%s, or the key that asked, is suspended", p.Name)
	}
	ssh, ok := key.SSH()
	if !ok {
		return asked{}, errors.New("it was asked for with a passkey, which opens no gate")
	}
	return asked{o, by, ssh, q}, nil
}

// forKeykeeper returns the opening that a keykeeper may release or prolong.
func (s *Safe) forKeykeeper(v state.View, sit situation, keykeeper safe.PersonName, id safe.OpeningID) (asked, error) {
	if _, err := sit.holder(keykeeper, access.Keykeeper); err != nil {
		return asked{}, err
	}
	o, ok, err := v.Opening(id)
	switch {
	case err != nil:
		return asked{}, err
	case !ok:
		return asked{}, api.ErrNotFound
	case o.Operator == keykeeper:
		return asked{}, deny(opening.ErrSelf)
	}
	if err := o.State.Check(opening.Open); err != nil {
		return asked{}, err
	}
	if !sit.now.Before(o.Until) {
		return asked{}, fmt.Errorf("its time is over: %w", opening.ErrState)
	}
	a, err := sit.asked(o)
	if err != nil {
		return a, deny(err)
	}
	return a, notBusy(v, id)
}

// notBusy returns api.ErrBusy if another opening is open.
func notBusy(v state.View, id safe.OpeningID) error {
	pending, err := v.Pending()
	if err != nil {
		return err
	}
	for _, o := range pending {
		if o.State == opening.Open && o.ID != id {
			return api.ErrBusy
		}
	}
	return nil
}

// issued is what was granted and is not released yet.
type issued struct {
	keykeeper safe.PersonName
	grant     safe.Digest
}

// Grant makes what a keykeeper signs to release an opening. What is known is
// the size of the newest checkpoint that the keykeeper's machine remembers.
func (s *Safe) Grant(ctx context.Context, from netip.Addr, keykeeper safe.PersonName, id safe.OpeningID, known int64) (api.Granted, error) {
	granted, err := s.grant(ctx, keykeeper, id, known)
	return granted, s.settle(ctx, from, "opening.grant", err)
}

func (s *Safe) grant(ctx context.Context, keykeeper safe.PersonName, id safe.OpeningID, known int64) (api.Granted, error) {
	v := s.state.View(ctx)
	sit, err := s.situation(v)
	if err != nil {
		return api.Granted{}, err
	}
	a, err := s.forKeykeeper(v, sit, keykeeper, id)
	if err != nil {
		return api.Granted{}, err
	}
	head, size, err := s.head(ctx, known)
	if err != nil {
		return api.Granted{}, err
	}
	granted := api.Granted{Nonce: opening.NewNonce(), Request: a.Request, Head: head}
	c := opening.Circumstances{Roster: sit.roster, Now: sit.now}
	if c.Ledger, err = s.state.HeadOf(ctx, size); err != nil {
		return api.Granted{}, err
	}
	if c.Descriptions, err = described(v, a.request); err != nil {
		return api.Granted{}, err
	}
	for _, d := range c.Descriptions {
		proof, err := s.prove(ctx, v, d.Run, size)
		if err != nil {
			return api.Granted{}, err
		}
		granted.Snapshots = append(granted.Snapshots, api.Proven{Description: d.Encode(), Entry: proof.Entry, Inclusion: proof.Inclusion})
	}
	g, err := opening.Make(a.by, a.key, c)
	if err != nil {
		return api.Granted{}, deny(err)
	}
	granted.Grant = g.Encode()
	s.callers.grants.put(sit.now, actLife, ledger.Who(keykeeper), granted.Nonce, issued{keykeeper, safe.DigestOf(granted.Grant)})
	return granted, nil
}

// prove proves that a description stands in the first size entries of the
// ledger.
func (s *Safe) prove(ctx context.Context, v state.View, run safe.RunID, size int64) (proven.Proof, error) {
	n, entry, err := v.Kept(run)
	if err != nil {
		return proven.Proof{}, err
	}
	if entry == nil {
		return proven.Proof{}, denyf("the ledger knows no snapshot %s", run)
	}
	inclusion, err := s.state.ProveInclusion(ctx, n, size)
	return proven.Proof{Entry: entry, Inclusion: inclusion.Encode()}, err
}

// Head returns the ledger's newest checkpoint, and proves that it goes on from
// the first entries that somebody knows.
func (s *Safe) Head(ctx context.Context, from int64) (api.Head, error) {
	head, _, err := s.head(ctx, from)
	return head, err
}

func (s *Safe) head(ctx context.Context, from int64) (head api.Head, size int64, err error) {
	if head.Checkpoint, err = s.state.Checkpoint(ctx); err != nil {
		return head, 0, err
	}
	c, err := ledger.ParseCheckpoint(head.Checkpoint, s.LedgerKeys()...)
	if err != nil {
		return head, 0, err
	}
	switch {
	case from < 0 || from > c.Size:
		return head, 0, invalid("%s", turnedBack(c.Size, from))
	case from > 0:
		proof, err := s.state.ProveConsistency(ctx, from, c.Size)
		if err != nil {
			return head, 0, err
		}
		head.Consistency = proof.Encode()
	}
	return head, c.Size, nil
}

// turnedBack tells somebody who knows more of the ledger than there is that
// they hold the evidence.
func turnedBack(size, known int64) string {
	return fmt.Sprintf("the ledger has %d entries, and %d are known to you: this safe was turned back, or is a copy; keep your checkpoint, it proves that", size, known)
}

// runsOf returns all runs that snapshots refer to, ascending.
func runsOf(descriptions []safe.Snapshot) []safe.RunID {
	all := make(map[safe.RunID]bool)
	for _, d := range descriptions {
		for run := range d.Runs {
			all[run] = true
		}
	}
	return slices.SortedFunc(maps.Keys(all), safe.RunID.Compare)
}

const maxEnvelope = 64 << 10 // real ones have about 8 kB

// Envelopes returns the sealed keys of an opening's runs after that one, some
// at a time, to a keykeeper.
func (s *Safe) Envelopes(ctx context.Context, from netip.Addr, keykeeper safe.PersonName, id safe.OpeningID, after safe.RunID) ([]api.Envelope, error) {
	all, err := s.envelopes(ctx, keykeeper, id, after)
	return all, s.settle(ctx, from, "opening.envelopes", err)
}

func (s *Safe) envelopes(ctx context.Context, keykeeper safe.PersonName, id safe.OpeningID, after safe.RunID) ([]api.Envelope, error) {
	v := s.state.View(ctx)
	sit, err := s.situation(v)
	if err != nil {
		return nil, err
	}
	a, err := s.forKeykeeper(v, sit, keykeeper, id)
	if err != nil {
		return nil, err
	}
	descriptions, err := described(v, a.request)
	if err != nil {
		return nil, err
	}
	envelopes := []api.Envelope{}
	for _, run := range runsOf(descriptions) {
		if run.Compare(after) <= 0 {
			continue
		}
		if len(envelopes) == api.MaxEnvelopes {
			break
		}
		b, err := s.envelope(ctx, v, run)
		if err != nil {
			return nil, fmt.Errorf("reading the envelope of run %s: %w", run, err)
		}
		envelopes = append(envelopes, api.Envelope{Run: run, Envelope: b})
	}
	return envelopes, nil
}

func (s *Safe) envelope(ctx context.Context, v state.View, run safe.RunID) ([]byte, error) {
	digest, ok, err := v.Envelope(run)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, errors.New("the state knows no such run")
	}
	return s.readOrOutbox(ctx, layout.Envelope(run), maxEnvelope, func(b []byte) error {
		if safe.DigestOf(b) != digest {
			return errors.New("it is not the envelope that the ledger recorded")
		}
		return nil
	})
}

// Refuse is a keykeeper's no to a request.
func (s *Safe) Refuse(ctx context.Context, from netip.Addr, signed ledger.Signed) error {
	return s.change(ctx, from, "opening.refuse", func(tx *state.Tx) error {
		sit, h, act, err := hearAct[access.Refuse](s, tx, signed)
		if err != nil {
			return err
		}
		if !h.person.Has(access.Keykeeper) {
			return denyf("%s is no keykeeper", h.Person)
		}
		if err := s.endRequest(tx, act.Opening, opening.Refused, act.Reason); err != nil {
			return err
		}
		return tx.Append(sit.now, ledger.Who(h.Person), ledger.OpeningRefused{Opening: act.Opening, Reason: act.Reason, Signed: signed})
	})
}

// Withdraw takes an operator's request back.
func (s *Safe) Withdraw(ctx context.Context, from netip.Addr, signed ledger.Signed) error {
	return s.change(ctx, from, "opening.withdraw", func(tx *state.Tx) error {
		sit, h, act, err := hearAct[access.Withdraw](s, tx, signed)
		if err != nil {
			return err
		}
		o, known, err := tx.View().Opening(act.Opening)
		if err == nil && known && o.Operator != h.Person {
			err = denyf("%s has asked for this opening, not %s", o.Operator, h.Person)
		}
		if err != nil {
			return err
		}
		if err := s.endRequest(tx, act.Opening, opening.Withdrawn, act.Reason); err != nil {
			return err
		}
		return tx.Append(sit.now, ledger.Who(h.Person), ledger.OpeningWithdrawn{Opening: act.Opening, Reason: act.Reason, Signed: signed})
	})
}

// endRequest ends a request that waits.
func (s *Safe) endRequest(tx *state.Tx, id safe.OpeningID, next opening.State, cause ledger.Text) error {
	if _, known, err := tx.View().Opening(id); err != nil || !known {
		return either(err, api.ErrNotFound)
	}
	return tx.EndOpening(id, next, cause)
}

// CloseOpening shuts the gate: the operator who asked may, and every keykeeper
// and officer. It is shut also if nothing can be recorded, because the disk is
// full.
func (s *Safe) CloseOpening(ctx context.Context, from netip.Addr, signed ledger.Signed) error {
	var c closing
	var id safe.OpeningID
	may := false
	err := s.change(ctx, from, "opening.close", func(tx *state.Tx) error {
		sit, err := s.situation(tx.View())
		if err != nil {
			return err
		}
		h, err := s.recognize(sit, signed)
		if err != nil {
			return err
		}
		act, ok := h.Act.(access.Close)
		if !ok {
			return invalid("%s closes nothing", h.Act.Act())
		}
		o, known, err := tx.View().Opening(act.Opening)
		if err != nil || !known {
			return either(err, api.ErrNotFound)
		}
		if h.Person != o.Operator && !h.person.Has(access.Keykeeper) && !h.person.Has(access.Officer) {
			return denyf("%s is neither the operator who asked, nor a keykeeper, nor an officer", h.Person)
		}
		if err := o.State.Check(opening.Closed); err != nil {
			return err
		}
		id, c = act.Opening, closing{cause: string(act.Reason), who: ledger.Who(h.Person), signed: signed}
		err = s.fresh(tx, sit.now, signed)
		may = !isDenied(err)
		return err
	})
	if !may {
		return err
	}
	return s.closeOpening(ctx, id, c)
}

// Openings returns how openings stand, the newest first, without their
// releases.
func (s *Safe) Openings(ctx context.Context) ([]api.Opening, error) {
	v := s.state.View(ctx)
	rows, err := v.Openings(api.MaxOpenings)
	if err != nil {
		return nil, err
	}
	all := []api.Opening{}
	for _, o := range rows {
		shown, err := s.show(v, o)
		if err != nil {
			return nil, err
		}
		all = append(all, shown)
	}
	return all, nil
}

// Opening returns how one stands: api.ErrNotFound if there is none.
func (s *Safe) Opening(ctx context.Context, id safe.OpeningID) (api.Opening, error) {
	v := s.state.View(ctx)
	o, ok, err := v.Opening(id)
	if err != nil || !ok {
		return api.Opening{}, either(err, api.ErrNotFound)
	}
	return s.show(v, o)
}

func (s *Safe) show(v state.View, o state.Opening) (api.Opening, error) {
	shown := s.standing(o)
	recorded, err := v.Entry(o.Recorded)
	if err != nil {
		return shown, err
	}
	if requested, ok := recorded.What.(ledger.OpeningRequested); ok {
		for _, snapshot := range requested.Snapshots {
			shown.Sources = append(shown.Sources, snapshot.Source)
		}
	}
	if o.Release != nil {
		release, err := opening.ParseRelease(o.Release)
		if err != nil {
			return shown, fmt.Errorf("reading the release of opening %s: %w", o.ID, err)
		}
		shown.Release = &release
	}
	return shown, nil
}

// standing says how an opening stands, by its row alone.
func (s *Safe) standing(o state.Opening) api.Opening {
	shown := api.Opening{ID: o.ID, State: o.State, Request: o.Request, Gate: o.Gate, Cause: o.Cause,
		Sources: []safe.SourceName{}, Sessions: o.Sessions, Objects: o.Objects, Bytes: o.Bytes}
	if o.State == opening.Open || o.State == opening.Closed {
		shown.Until = o.Until
	}
	if o.Gate.IsValid() && s.config.Serve != nil && s.config.Serve.Gate != nil {
		shown.GateName = s.config.Serve.Gate.Name
	}
	return shown
}

// Snapshots returns what there is to ask for, by source and age.
func (s *Safe) Snapshots(ctx context.Context) ([]api.Snapshot, error) {
	descriptions, err := s.state.Snapshots(ctx, "")
	if err != nil {
		return nil, err
	}
	all := []api.Snapshot{}
	for _, d := range descriptions {
		all = append(all, api.Snapshot{Run: d.Run, Source: d.Source, Started: d.Started, Finished: d.Finished, Entries: d.Entries, Bytes: d.Bytes,
			Partial: d.Partial, Tier: d.Tier, KeepUntil: d.KeepUntil, Runs: len(d.Runs)})
	}
	return all, nil
}
