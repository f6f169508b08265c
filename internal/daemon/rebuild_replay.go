package daemon

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/access/keyring"
	"strongroom/internal/access/opening"
	"strongroom/internal/daemon/state"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/store/blob"
	"strongroom/internal/store/catalog"
	"strongroom/internal/store/layout"
)

// tellAgain is how much of the past people are told of again: who was told of
// what is lost with a state, and twice is better than not at all.
const tellAgain = 24 * time.Hour

// A replay does once more to a new state what a ledger says was done to the old
// one. docs/states.md says of each table what comes of that.
type replay struct {
	safe    *Safe // has no state
	kept    []ledger.Checkpoint
	catalog *catalog.Catalog
	tx      *state.Tx
	now     time.Time

	versions  map[safe.Digest]int64 // of the roster, that came into force
	roster    access.Roster         // in force
	suspended access.Suspensions    // all that were ever recorded
	proposed  map[safe.Digest]*waiting
	invited   map[safe.PersonName]time.Time // until when
	enrolled  map[safe.PersonName]time.Time // since they are in no roster
	named     map[layout.Name]bool          // releases and keyrings of which the ledger tells
	open      safe.OpeningID                // the one that is, zero if none is
	recent    []moment                      // the newest entries

	rebuilt Rebuilt
}

// A waiting version of the roster was proposed. How it stands is known of those
// that came into force: of others the ledger has the digest only.
type waiting struct {
	number int64
	by     ledger.Who
	body   *access.Proposal
}

// A moment is when an entry was recorded.
type moment struct {
	entry int64
	at    time.Time
}

func newReplay(s *Safe, c *catalog.Catalog, kept []ledger.Checkpoint) *replay {
	r := &replay{safe: s, kept: kept, catalog: c, now: s.opts.Now().UTC(), versions: make(map[safe.Digest]int64),
		proposed: make(map[safe.Digest]*waiting), invited: make(map[safe.PersonName]time.Time),
		enrolled: make(map[safe.PersonName]time.Time), named: make(map[layout.Name]bool)}
	for n, digest := range c.Rosters {
		r.versions[digest] = n
	}
	return r
}

// run makes the state within the transaction.
func (r *replay) run(ctx context.Context, tx *state.Tx) error {
	r.tx = tx
	if err := r.replay(ctx); err != nil {
		return err
	}
	if err := r.checkKey(); err != nil {
		return err
	}
	if err := r.compareCheckpoints(ctx); err != nil {
		return err
	}
	if err := r.lookBeyond(ctx); err != nil {
		return err
	}
	r.rebuilt.Store, r.rebuilt.Ledger, r.rebuilt.Roster = r.safe.id, r.catalog.Checkpoint.Head, r.roster.Number
	for _, c := range r.kept {
		r.rebuilt.Compared = max(r.rebuilt.Compared, c.Size)
	}
	return r.record()
}

// replay takes every entry once more.
func (r *replay) replay(ctx context.Context) error {
	n := int64(0)
	for b, err := range r.catalog.Entries(ctx, r.safe.store) {
		if err != nil {
			return err
		}
		e, err := ledger.ParseEntry(b)
		if err != nil {
			return fmt.Errorf("reading entry %d of the ledger: %w", n, err)
		}
		if err := r.tx.Adopt(n, b); err != nil {
			return err
		}
		if err := r.take(ctx, n, e); err != nil {
			return fmt.Errorf("replaying entry %d of the ledger, %s: %w", n, e.What.Kind(), err)
		}
		r.recent = append(r.recent, moment{n, e.Time})
		for r.recent[0].at.Before(e.Time.Add(-tellAgain)) {
			r.recent = r.recent[1:]
		}
		n++
	}
	head, err := r.tx.HeadOf(n)
	if err == nil && head != r.catalog.Checkpoint.Head {
		err = errors.New("the store's ledger has changed while it was read")
	}
	return err
}

// take does what an entry says. It is the closed list of what each kind means
// for the state; one that is new to it is an error, not passed over.
func (r *replay) take(ctx context.Context, n int64, e ledger.Entry) error {
	switch what := e.What.(type) {
	case ledger.SafeCreated:
		return r.create(ctx, what)
	case ledger.RunBegun:
		r.rebuilt.Runs++
		return r.tx.AddRun(what)
	case ledger.SnapshotKept:
		return r.keep(ctx, e.Time, what)
	case ledger.RunFailed:
		return r.tx.EndRun(what.Run, state.End{Outcome: state.Failed, Time: e.Time, Reason: what.Reason})
	case ledger.SafeStarted:
		_, err := r.tx.BeginServing(e.Time)
		return err
	case ledger.SafeStopped:
		return r.tx.EndServing()
	case ledger.KeyChecked:
		return r.tx.SetKeyCheck(state.KeyCheck{Person: e.Who, Role: string(what.Role), Period: what.Period, Paper: what.Paper, Time: e.Time})
	case ledger.KeyringKept:
		return r.keyring(ctx, n, what)
	case ledger.PersonSuspended:
		return r.suspend(n, e, what)
	case ledger.PersonInvited:
		r.invited[safe.PersonName(what.Person)] = what.Until
		return nil
	case ledger.EnrolmentReceived:
		delete(r.invited, safe.PersonName(what.Person))
		r.enrolled[safe.PersonName(what.Person)] = e.Time
		return nil
	case ledger.RosterProposed, ledger.RosterAgreed, ledger.RosterObjected, ledger.RosterDropped, ledger.RosterChanged:
		return r.takeRoster(ctx, n, e)
	case ledger.OpeningRequested, ledger.OpeningReleased, ledger.OpeningOpened, ledger.OpeningRefused, ledger.OpeningWithdrawn,
		ledger.OpeningExpired, ledger.OpeningClosed:
		return r.takeOpening(ctx, n, e)
	case ledger.FindingRaised, ledger.FindingCleared, ledger.FindingAcknowledged:
		return r.tx.TakeFinding(n, e.Time, what)
	case ledger.StateRebuilt:
		clear(r.invited) // who waited then was told to begin again
		clear(r.enrolled)
		return nil
	case ledger.MemoryForgotten, ledger.ObjectRepaired, ledger.ObjectLost, ledger.ScrubDone, ledger.KeepExtended,
		ledger.RecordReceived, ledger.RecordAccepted, ledger.RecordRefused, ledger.AccessRefused, ledger.MapAnswered:
		return nil // the entry is all that there is of it
	case ledger.MapRuled:
		return r.use(what.Signed, e.Time)
	case ledger.MapWithdrawn:
		return r.use(what.Signed, e.Time)
	default:
		return errors.New("this program does not know what it means for the state")
	}
}

// create takes the first version of the roster.
func (r *replay) create(ctx context.Context, created ledger.SafeCreated) error {
	b, err := r.readRoster(ctx, 1, created.Roster)
	if err != nil {
		return err
	}
	if r.roster, err = access.ParseRoster(b); err != nil {
		return err
	}
	return r.tx.Enforce(1, access.Link{Roster: b})
}

// readRoster reads a version that came into force. Without one nobody's machine
// could follow to the next, and nobody would know who may do what.
func (r *replay) readRoster(ctx context.Context, n int64, digest safe.Digest) ([]byte, error) {
	b, err := r.small(ctx, layout.Roster(int(n)), digest, access.MaxRoster)
	if err != nil && ctx.Err() == nil {
		err = unfit("version %d of the roster is in no sound copy in the store: %w", n, err)
	}
	return b, err
}

// small reads a small object that has the digest, in whichever copy.
func (r *replay) small(ctx context.Context, name string, digest safe.Digest, limit int64) ([]byte, error) {
	good := func(b []byte) error {
		if safe.DigestOf(b) != digest {
			return errors.New("it is not what the ledger recorded")
		}
		return nil
	}
	return blob.ReadEither(ctx, r.safe.store, limit, good, name, layout.Parse(name).Other())
}

// lose notes that no copy of an object can be read, unless it is because the
// work shall end.
func (r *replay) lose(ctx context.Context, name string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	r.rebuilt.Lost = append(r.rebuilt.Lost, LostObject{name, err})
	return nil
}

// keep takes a snapshot. One whose description is lost is a run that was
// complete, and nothing that could be built on or restored.
func (r *replay) keep(ctx context.Context, at time.Time, kept ledger.SnapshotKept) error {
	if err := r.tx.EndRun(kept.Run, state.EndOf(at, kept)); err != nil {
		return err
	}
	name := layout.Snapshot(kept.Run)
	b, err := r.small(ctx, name, kept.Description, safe.MaxSnapshot)
	if err != nil {
		return r.lose(ctx, name, err)
	}
	d, err := safe.ParseSnapshot(b)
	if err != nil || d.Run != kept.Run || d.Store != r.safe.id {
		return unfit("the description of run %s that the ledger recorded is none: %w", kept.Run, err)
	}
	r.rebuilt.Snapshots++
	return r.tx.AddSnapshot(d)
}

// use takes a statement as used: it could be heard once more otherwise.
func (r *replay) use(signed ledger.Signed, at time.Time) error {
	if signed == (ledger.Signed{}) {
		return nil
	}
	err := r.tx.Use(safe.DigestOf([]byte(signed.Statement)), at)
	if errors.Is(err, state.ErrUsed) {
		return nil
	}
	return err
}

// suspend takes the whole key from what was signed; the entry has its
// fingerprint.
func (r *replay) suspend(n int64, e ledger.Entry, what ledger.PersonSuspended) error {
	st, err := access.ParseStatement([]byte(what.Signed.Statement))
	if err != nil {
		return err
	}
	act, ok := st.Act.(access.Suspend)
	if !ok || act.Person != safe.PersonName(what.Person) || act.Key.IsZero() != (what.Key == "") {
		return fmt.Errorf("what %s has signed is another act", st.Person)
	}
	s := access.Suspension{Entry: n, Person: act.Person, Key: act.Key}
	r.suspended = append(r.suspended, s)
	return errors.Join(r.tx.Suspend(s), r.use(what.Signed, e.Time))
}

// takeRoster takes what happened to a version of the roster.
func (r *replay) takeRoster(ctx context.Context, n int64, e ledger.Entry) error {
	switch what := e.What.(type) {
	case ledger.RosterProposed:
		p := &waiting{number: what.Version, by: e.Who}
		r.proposed[what.Digest] = p
		if err := r.use(what.Signed, e.Time); err != nil {
			return err
		}
		version, ok := r.versions[what.Digest]
		if !ok {
			return nil
		}
		b, err := r.readRoster(ctx, version, what.Digest)
		if err != nil {
			return err
		}
		body, err := access.Propose(r.roster, b, e.Who, e.Time)
		if err != nil {
			return err
		}
		p.body = &body
		return r.agree(p, e, what.Signed)
	case ledger.RosterAgreed:
		if err := r.use(what.Signed, e.Time); err != nil {
			return err
		}
		p, err := r.proposal(what.Digest)
		if err != nil {
			return err
		}
		if e.Who == ledger.Papers && p.body != nil {
			*p.body = p.body.Prove(e.Time)
		}
		return r.agree(p, e, what.Signed)
	case ledger.RosterObjected:
		p, err := r.proposal(what.Digest)
		if err == nil && p.body != nil {
			*p.body = p.body.Object(safe.PersonName(e.Who), n)
		}
		return errors.Join(err, r.use(what.Signed, e.Time))
	case ledger.RosterDropped:
		delete(r.proposed, what.Digest)
		return nil
	case ledger.RosterChanged:
		return r.enact(what, e.Time)
	default:
		panic(fmt.Sprintf("%s is nothing about a roster", e.What.Kind())) // take passes no other
	}
}

func (r *replay) proposal(digest safe.Digest) (*waiting, error) {
	p, ok := r.proposed[digest]
	if !ok {
		return nil, errors.New("nobody has proposed this version of the roster")
	}
	return p, nil
}

// agree adds a person's agreement, verified, to a version that came into force.
func (r *replay) agree(p *waiting, e ledger.Entry, signed ledger.Signed) error {
	if p.body == nil || signed == (ledger.Signed{}) {
		return nil
	}
	suspended := r.suspended.In(r.roster)
	agreed, err := p.body.Recount(r.roster, suspended).Agree(r.roster, signed, access.Situation{Now: e.Time, Suspended: suspended})
	if err != nil {
		return err
	}
	*p.body = agreed
	return nil
}

// enact brings a version into force, as Safe.enact does, and sees that people's
// machines can follow.
func (r *replay) enact(what ledger.RosterChanged, at time.Time) error {
	p, err := r.proposal(what.Digest)
	if err != nil {
		return err
	}
	if p.body == nil {
		return fmt.Errorf("another version %d came into force", what.Version)
	}
	body := p.body.Recount(r.roster, r.suspended.In(r.roster))
	link := access.Link{Roster: body.Roster, Papers: body.Papers}
	next := body.Next()
	if !body.Papers && r.roster.Founded() {
		link.Agreements = body.Agreed
		if next, err = r.roster.Follow([]access.Link{link}); err != nil {
			return err
		}
	}
	if err := r.tx.Enforce(next.Number, link); err != nil {
		return err
	}
	r.roster = next
	delete(r.proposed, what.Digest)
	for _, person := range next.People {
		if since, ok := r.enrolled[person.Name]; ok && !since.After(at) {
			delete(r.enrolled, person.Name)
		}
	}
	return nil
}

// takeOpening takes what happened to an opening.
func (r *replay) takeOpening(ctx context.Context, n int64, e ledger.Entry) error {
	end := func(id safe.OpeningID, next opening.State, cause ledger.Text, signed ledger.Signed) error {
		if id == r.open {
			r.open = safe.OpeningID{}
		}
		return errors.Join(r.tx.EndOpening(id, next, cause), r.use(signed, e.Time))
	}
	switch what := e.What.(type) {
	case ledger.OpeningRequested:
		r.rebuilt.Openings++
		o := state.Opening{ID: what.Opening, Operator: safe.PersonName(e.Who), Request: what.Signed, Recorded: n, Until: what.Until}
		return errors.Join(r.tx.AddOpening(o), r.use(what.Signed, e.Time))
	case ledger.OpeningReleased:
		return r.release(ctx, what)
	case ledger.OpeningOpened:
		return r.tx.SetGate(what.Opening, what.Listen)
	case ledger.OpeningRefused:
		return end(what.Opening, opening.Refused, what.Reason, what.Signed)
	case ledger.OpeningWithdrawn:
		return end(what.Opening, opening.Withdrawn, what.Reason, what.Signed)
	case ledger.OpeningExpired:
		return end(what.Opening, opening.Expired, what.Reason, ledger.Signed{})
	case ledger.OpeningClosed:
		counts := state.Counts{Sessions: what.Sessions, Objects: what.Objects, Bytes: what.Bytes}
		return errors.Join(end(what.Opening, opening.Closed, what.Cause, what.Signed), r.tx.Count(what.Opening, counts))
	default:
		panic(fmt.Sprintf("%s is nothing about an opening", e.What.Kind())) // take passes no other
	}
}

func (r *replay) release(ctx context.Context, what ledger.OpeningReleased) error {
	name := layout.Release(what.Opening, what.Release)
	r.named[layout.Parse(name)] = true
	b, err := r.small(ctx, name, what.Release, opening.MaxRelease)
	if err == nil {
		_, err = opening.ParseRelease(b)
	}
	if err != nil {
		b = nil
		if err := r.lose(ctx, name, err); err != nil {
			return err
		}
	}
	r.open = what.Opening
	return r.tx.Release(what.Opening, b, what.Until)
}

// keyring takes what a passkey has wrapped. If it is lost, its person has the
// personal key on paper.
func (r *replay) keyring(ctx context.Context, n int64, what ledger.KeyringKept) error {
	name := layout.Keyring(safe.PersonName(what.Person), what.Digest)
	r.named[layout.Parse(name)] = true
	b, err := r.small(ctx, name, what.Digest, keyring.MaxKeyring)
	if err != nil {
		return r.lose(ctx, name, err)
	}
	k, err := keyring.Parse(b)
	if err != nil {
		return r.lose(ctx, name, err)
	}
	return r.tx.SetKeyring(safe.PersonName(what.Person), k.Passkey, n, b)
}

// checkKey sees that the roster knows the key with which the ledger goes on.
func (r *replay) checkKey() error {
	own := r.safe.keys.ledger.Public().String()
	if !slices.ContainsFunc(r.roster.LedgerKeys, func(key ledger.PublicKey) bool { return key.String() == own }) {
		return unfit("the safe's key signs the ledger, and version %d of the roster does not know it", r.roster.Number)
	}
	return nil
}

// compareCheckpoints compares the ledger with every signed checkpoint of the
// store, each copy for itself: two histories that the same key has signed are
// evidence, wherever they are. What is not signed is for a scrub to name.
func (r *replay) compareCheckpoints(ctx context.Context) error {
	size := r.catalog.Checkpoint.Size
	for info, err := range r.safe.store.List(ctx, "ledger/checkpoints/") {
		if nameErr := (*blob.NameError)(nil); errors.As(err, &nameErr) {
			continue
		}
		if err != nil {
			return fmt.Errorf("listing the ledger's checkpoints: %w", err)
		}
		b, err := blob.ReadAll(ctx, r.safe.store, info.Name, ledger.MaxCheckpoint)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			continue
		}
		signed, err := ledger.ParseCheckpoint(b, r.roster.LedgerKeys...)
		if err != nil || signed.Store != r.safe.id || signed.Size > size {
			continue // lookBeyond names those that are larger
		}
		head, err := r.tx.HeadOf(signed.Size)
		if err != nil {
			return err
		}
		if head != signed.Head {
			return &UnfitError{&ledger.ForkError{Old: signed, New: r.catalog.Checkpoint}}
		}
	}
	return nil
}

// lookBeyond returns a *BeyondError if the store has more than its ledger tells
// of.
func (r *replay) lookBeyond(ctx context.Context) error {
	const most = 8
	beyond := &BeyondError{Size: r.catalog.Checkpoint.Size}
	for info, err := range r.safe.store.List(ctx, "") {
		if nameErr := (*blob.NameError)(nil); errors.As(err, &nameErr) {
			continue // no object of this program's; a scrub names it
		}
		if err != nil {
			return fmt.Errorf("listing the store: %w", err)
		}
		switch {
		case r.accounts(layout.Parse(info.Name)):
		case len(beyond.Names) < most:
			beyond.Names = append(beyond.Names, info.Name)
		default:
			beyond.More++
		}
	}
	if len(beyond.Names) > 0 {
		return beyond
	}
	return nil
}

// accounts reports whether the ledger tells of an object of that name. What is
// no name of a store's is not looked at.
func (r *replay) accounts(n layout.Name) bool {
	ok := true
	switch n.Kind {
	case layout.EntryObject:
		ok = n.Number < r.catalog.Checkpoint.Size
	case layout.CheckpointObject:
		ok = n.Number <= r.catalog.Checkpoint.Size
	case layout.RosterObject:
		_, ok = r.catalog.Rosters[n.Number]
	case layout.SnapshotObject:
		_, ok = r.catalog.Kept[n.Run]
	case layout.EnvelopeObject, layout.PackObject, layout.ParityObject, layout.RootObject, layout.SketchObject:
		_, ok = r.catalog.Runs[n.Run]
	case layout.ReleaseObject, layout.KeyringObject:
		n.Copied = false
		ok = r.named[n]
	}
	return ok
}

// record appends what the rebuild itself has brought about.
func (r *replay) record() error {
	events := []ledger.Event{ledger.StateRebuilt{Entries: r.catalog.Checkpoint.Size, Compared: r.rebuilt.Compared}}
	for _, lost := range r.rebuilt.Lost {
		var needed []safe.RunID
		if n := layout.Parse(lost.Name); n.Kind == layout.SnapshotObject {
			needed = append(needed, n.Run)
		}
		events = append(events, ledger.LostOf(lost.Name, needed))
	}
	events = append(events, r.dropProposals()...)
	closing, err := r.closeOpening()
	if err != nil {
		return err
	}
	for _, what := range append(events, closing...) {
		if err := r.tx.Append(r.now, ledger.Safe, what); err != nil {
			return err
		}
	}
	r.repeat()
	for _, address := range r.safe.recipientsWith(r.roster) {
		if err := r.tx.MeetRecipient(address, r.recent[0].entry); err != nil {
			return err
		}
	}
	return nil
}

// dropProposals says that versions of the roster that waited are gone: the
// ledger has their digests, not their bytes. Nothing of them comes into force
// before it is proposed, agreed on and waited for anew.
func (r *replay) dropProposals() (events []ledger.Event) {
	for _, digest := range slices.SortedFunc(maps.Keys(r.proposed), safe.Digest.Compare) {
		p := r.proposed[digest]
		events = append(events, ledger.RosterDropped{Version: p.number, Digest: digest, Reason: "the state of the safe was lost: propose it again"})
		r.rebuilt.Again = append(r.rebuilt.Again, fmt.Sprintf("version %d of the roster, which %s has proposed", p.number, p.by))
	}
	return events
}

// closeOpening closes what was open. The gate is shut, as it ends with its
// parent; nobody knows any more what went through it.
func (r *replay) closeOpening() (events []ledger.Event, err error) {
	if r.open.IsZero() {
		return nil, nil
	}
	const cause = "the state of the safe was lost while it was open"
	received, err := r.safe.lookIntoInbox(r.open)
	if err != nil {
		r.safe.log.Error("the inbox of an opening cannot be read", "opening", r.open, "error", err)
	}
	for _, l := range received {
		// What the roster and the ledger say of it is not known before the replay is.
		events = append(events, l.RecordReceived, l.refuse("the state of the safe was lost: add it at the safe's host, strongroom record add FILE"))
	}
	events = append(events, ledger.OpeningClosed{Opening: r.open, Cause: cause, Unknown: true})
	return events, r.tx.EndOpening(r.open, opening.Closed, cause)
}

// repeat names what people have to do again, as only they can.
func (r *replay) repeat() {
	for name, since := range r.enrolled {
		if r.now.Sub(since) < access.ProposalLife {
			r.rebuilt.Again = append(r.rebuilt.Again, fmt.Sprintf("the enrolment of %s, after another invitation", name))
		}
	}
	for name, until := range r.invited {
		if r.now.Before(until) {
			r.rebuilt.Again = append(r.rebuilt.Again, fmt.Sprintf("the invitation of %s", name))
		}
	}
	slices.Sort(r.rebuilt.Again)
}
