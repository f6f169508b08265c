package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"strongroom/internal/access"
	"strongroom/internal/access/api"
	"strongroom/internal/access/opening"
	"strongroom/internal/access/profile"
	"strongroom/internal/access/proven"
	"strongroom/internal/access/remote"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/store"
	"strongroom/internal/store/blob"
	"strongroom/internal/store/catalog"
	"strongroom/internal/store/layout"
	"strongroom/internal/store/seal"
	"strongroom/internal/ui"
)

// A gateway is who reads through a gate, what that person's machine has
// verified before, and how it asks the safe for the head of the ledger.
type gateway struct {
	person *person
	roster access.Roster
	head   func(ctx context.Context, known int64) (api.Head, error)
}

// The objects at a gate that a store does not have.
const (
	gateCheckpoint  = "ledger/checkpoint"
	gateConsistency = "ledger/proofs/consistency.json"
)

func gateProof(run safe.RunID) string { return "ledger/proofs/" + run.String() + ".json" }

// openGate opens the gate of an opening. What it shows is verified with the
// roster that this machine has verified before, before any key is asked for.
func (r *reading) openGate(ctx context.Context) (_ *openStore, err error) {
	if r.storePath != "" {
		return nil, &ui.UsageError{Problem: "--store and --from exclude each other", Remedy: "Read a folder, or through a gate."}
	}
	p, err := r.app.openPerson()
	if err != nil {
		return nil, err
	}
	g := &gateway{person: p, head: p.client.Head}
	s := &openStore{gate: g}
	defer func() {
		if err != nil {
			p.Close()
		}
	}()
	var known bool
	if g.roster, known, err = p.profile.Verified(); err != nil {
		return nil, err
	}
	if !known {
		return nil, explainTrust(profile.ErrNotPinned)
	}
	if g.roster.Gate.IsZero() {
		return nil, fmt.Errorf("version %d of the roster names no host key of the gate, so nothing can be trusted to be it", g.roster.Number)
	}
	addr, err := r.gateAddress(ctx, p)
	if err != nil {
		return nil, err
	}
	blobs, err := remote.Dial(ctx, remote.Options{Addr: addr, User: string(p.profile.Person), HostKey: g.roster.Gate.SSH(), Signer: p.signer,
		From: p.profile.From, Connections: r.connections})
	if err != nil {
		return nil, explainDial(err)
	}
	s.blobs = blobs
	if err := g.follow(ctx, blobs); err != nil {
		blobs.Close() // nothing was written
		return nil, explainGate(err)
	}
	if err := r.readGate(ctx, s); err != nil {
		blobs.Close() // nothing was written
		return nil, explainGate(err)
	}
	return s, nil
}

// follow asks the safe for the versions of the roster that this machine has
// not verified yet, if the gate shows that there are any: a new period may have
// begun. The gate has the versions, but not who agreed on them. What was
// verified before is enough for all periods until then, so the reading goes on
// with it if the safe does not answer.
func (g *gateway) follow(ctx context.Context, r blob.Reader) error {
	next := g.roster.Number + 1
	_, err := r.Stat(ctx, layout.Roster(next))
	if errors.Is(err, blob.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, followed, err := g.person.people(ctx)
	if err != nil {
		g.person.talk().Warn("the gate has version %d of the roster, which this machine cannot verify: %v; see strongroom people list", next, err)
		return ctx.Err()
	}
	g.roster = followed
	return nil
}

// gateAddress returns host and port of the gate: those given, or those of the
// one opening of this person that is open.
func (r *reading) gateAddress(ctx context.Context, p *person) (string, error) {
	if r.from != "opening" {
		return parseGate(r.from)
	}
	all, err := p.client.Openings(ctx)
	if err != nil {
		return "", explainCall(err)
	}
	for _, o := range all {
		request, err := access.ParseStatement([]byte(o.Request.Statement))
		if err == nil && o.State == opening.Open && request.Person == p.profile.Person && o.Gate.IsValid() {
			return o.GateAddress(), nil
		}
	}
	return "", ui.WithRemedy(errors.New("no opening of yours is open"), "See how they stand: strongroom opening list. Ask for one: strongroom opening request")
}

func parseGate(s string) (string, error) {
	u, err := url.Parse(s)
	if err == nil && u.Scheme == "sftp" && u.User == nil && (u.Path == "" || u.Path == "/") && u.RawQuery == "" && u.Fragment == "" {
		if _, port, err := net.SplitHostPort(u.Host); err == nil && port != "" {
			return u.Host, nil
		}
	}
	return "", &ui.UsageError{Problem: fmt.Sprintf("--from %q is not the address of a gate", s), Remedy: "Write it as the opening shows it: sftp://HOST:PORT, or only: opening"}
}

// explainDial says what to do if the gate does not open.
func explainDial(err error) error {
	var host *remote.HostKeyError
	if errors.As(err, &host) {
		return refusedError{ui.WithRemedy(err, "Tell the others before you do anything else: the roster is what they agreed on, and this is not the gate in it.")}
	}
	return ui.WithRemedy(err, "A gate is there for one opening, one address and one key. See how yours stands: strongroom opening list")
}

// explainGate says how to go on after a gate has closed.
func explainGate(err error) error {
	if errors.Is(err, remote.ErrCut) {
		return ui.WithRemedy(err, "If the opening has ended, ask for another: strongroom opening request. Once it is released, call the same command again; what is restored already stays.")
	}
	return err
}

// readGate reads and verifies what a gate shows of the ledger, and of the
// snapshots.
func (r *reading) readGate(ctx context.Context, s *openStore) error {
	id, err := catalog.ReadStoreID(ctx, s.blobs)
	if err != nil {
		return err
	}
	if want := s.gate.person.profile.Store; id != want {
		return refusedError{fmt.Errorf("this is the gate to store %s, and the profile is of %s", id, want)}
	}
	known := recall(id)
	opts, err := r.trust(&remembered{keys: s.gate.roster.LedgerKeys, kept: known.kept})
	if err != nil {
		return err
	}
	s.kept = opts.Kept
	signed, err := blob.ReadAll(ctx, s.blobs, gateCheckpoint, ledger.MaxCheckpoint)
	if err != nil {
		return err
	}
	checkpoint, err := s.gate.verifyHead(ctx, s.blobs, signed, opts)
	switch {
	case err != nil && ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, blob.ErrGone):
		return err
	case err != nil && !r.unproven:
		return refusedError{ui.WithRemedy(err, "Do not trust this gate before you know why: tell the others. --unproven reads without the ledger.")}
	case err != nil:
		r.app.talk().Warn("nothing is proven: %v", err)
	default:
		if err := known.keep(checkpoint, opts.Keys, signed); err != nil {
			r.app.talk().Note("The newest checkpoint could not be remembered: %v", err)
		}
	}
	s.listed, s.lost, err = gateSnapshots(ctx, s.blobs, checkpoint)
	s.nameAll()
	return err
}

// verifyHead verifies the checkpoint that a gate shows against those that this
// machine has kept.
func (g *gateway) verifyHead(ctx context.Context, r blob.Reader, signed []byte, opts catalog.Options) (ledger.Checkpoint, error) {
	shown, err := ledger.ParseCheckpoint(signed, opts.Keys...)
	if err != nil {
		return ledger.Checkpoint{}, err
	}
	if shown.Store != g.roster.Store {
		return ledger.Checkpoint{}, fmt.Errorf("the checkpoint is of store %s, not of %s", shown.Store, g.roster.Store)
	}
	proof, err := blob.ReadAll(ctx, r, gateConsistency, proven.MaxProof)
	if err != nil && !errors.Is(err, blob.ErrNotExist) {
		return ledger.Checkpoint{}, err
	}
	for _, kept := range opts.Kept {
		err := proven.Follows(kept, shown, proof)
		if gap := new(proven.GapError); errors.As(err, &gap) {
			err = g.closeGap(ctx, gap, opts.Keys)
		}
		if err != nil {
			return ledger.Checkpoint{}, err
		}
	}
	return shown, nil
}

// closeGap asks the safe for what joins two checkpoints: the gate's proof
// begins at the one that was newest when the opening was asked for, and this
// machine may have learned of another since, also of a newer one than the
// gate's.
func (g *gateway) closeGap(ctx context.Context, gap *proven.GapError, keys []ledger.PublicKey) error {
	// The ledger may grow between two questions.
	var err error
	for range 3 {
		var onward, upward proven.Way
		if onward, err = g.way(ctx, gap.Known, keys); err != nil {
			break
		}
		if upward, err = g.way(ctx, gap.Shown, keys); err != nil {
			break
		}
		if err = proven.Meet(gap.Known, onward, gap.Shown, upward); !errors.As(err, new(*proven.GapError)) {
			return err
		}
	}
	return fmt.Errorf("%w, and the safe could not be asked: %w", gap, explainCall(err))
}

// way asks the safe for the way from a checkpoint to its newest.
func (g *gateway) way(ctx context.Context, from ledger.Checkpoint, keys []ledger.PublicKey) (proven.Way, error) {
	head, err := g.head(ctx, from.Size)
	if err != nil {
		return proven.Way{}, err
	}
	to, err := ledger.ParseCheckpoint(head.Checkpoint, keys...)
	return proven.Way{To: to, Proof: head.Consistency}, err
}

// lookups bounds how many snapshots are looked at at a time: a few round trips
// each, which take their time where the gate is far away.
const lookups = 8

// gateSnapshots returns the descriptions at a gate, oldest run first, as
// catalog.Snapshots does. A zero checkpoint proves nothing.
func gateSnapshots(ctx context.Context, r blob.Reader, c ledger.Checkpoint) (listed []catalog.Listed, lost map[safe.RunID]error, err error) {
	lost = make(map[safe.RunID]error)
	var mu sync.Mutex // guards listed and lost
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(lookups)
	for info, err := range r.List(ctx, "snapshots/") {
		if nameErr := new(blob.NameError); errors.As(err, &nameErr) {
			continue // not an object
		}
		if err != nil {
			return nil, nil, errors.Join(fmt.Errorf("listing the snapshots at the gate: %w", err), group.Wait())
		}
		name := layout.Parse(info.Name)
		if name.Kind != layout.SnapshotObject || name.Copied {
			continue
		}
		group.Go(func() error {
			l, err := gateSnapshot(ctx, r, name.Run, c)
			if errors.Is(err, blob.ErrGone) || ctx.Err() != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				lost[name.Run] = err
				return nil
			}
			listed = append(listed, l)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, nil, err
	}
	slices.SortFunc(listed, func(a, b catalog.Listed) int { return a.Run.Compare(b.Run) })
	return listed, lost, nil
}

// gateSnapshot reads a description and the proof that the ledger vouches for
// it. What is not proven is returned as such if it can be read at all.
func gateSnapshot(ctx context.Context, r blob.Reader, run safe.RunID, c ledger.Checkpoint) (catalog.Listed, error) {
	description, err := blob.ReadAll(ctx, r, layout.Snapshot(run), safe.MaxSnapshot)
	if err != nil {
		return catalog.Listed{}, err
	}
	d, err := safe.ParseSnapshot(description)
	if err == nil && d.Run != run {
		err = fmt.Errorf("it describes run %s", d.Run)
	}
	if err != nil {
		return catalog.Listed{}, err
	}
	if c.Store.IsZero() {
		return catalog.Listed{Snapshot: d, Unproven: errors.New("the ledger could not be relied on")}, nil
	}
	b, err := blob.ReadAll(ctx, r, gateProof(run), proven.MaxProof)
	if errors.Is(err, blob.ErrGone) {
		return catalog.Listed{}, err
	}
	var proof proven.Proof
	if err == nil {
		proof, err = proven.ParseProof(b)
	}
	if err == nil {
		_, err = proof.Verify(description, c)
	}
	return catalog.Listed{Snapshot: d, Unproven: err}, nil
}

// unlockGate opens the operators' role keys: with the personal key of the
// profile, or with a key that was given.
func (r *reading) unlockGate(s *openStore, keys *roleKeys) (unlocker, error) {
	if keys.outerFile != "" {
		return nil, &ui.UsageError{Problem: "at a gate the outer seal is off already", Remedy: "Leave out --outer-key."}
	}
	inner, err := r.innerKeys(s.gate, keys)
	return func(d safe.Snapshot) store.Identities { return store.WithInnerFiles(s.blobs, d, inner) }, err
}

func (r *reading) innerKeys(g *gateway, keys *roleKeys) ([]seal.InnerIdentity, error) {
	var k keyFile
	h := holder{g.person.profile.Person, &g.roster}
	if keys.innerFile == "" {
		personal, err := r.app.unlock(g.person.profile, &r.passphrase)
		if err != nil {
			return nil, err
		}
		k.personal = &personal
	} else {
		var err error
		if k, err = readKeyFile(r.app, keys.innerFile); err != nil {
			return nil, err
		}
		h = findHolder(k, []access.Roster{g.roster})
	}
	switch {
	case h.roster != nil && !h.keepsInner():
		return nil, refusedError{fmt.Errorf("%s has no copy of the operators' role key in version %d of the roster", h.name, g.roster.Number)}
	case h.roster == nil && k.inner == nil:
		return nil, unknownKey(keys.innerFile)
	}
	return h.openInner(r.app, k), nil
}
