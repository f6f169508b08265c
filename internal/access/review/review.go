// Package review is what a keykeeper's machine does between "somebody asks"
// and "released": it checks everything that the safe says against the roster
// and the ledger that this machine has verified, tells what would be
// disclosed, and opens the outer seals.
//
// The safe is not believed. What it cannot be held to here is whether the
// operator should read: that is for the person who is shown the Review.
package review

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/access/api"
	"strongroom/internal/access/opening"
	"strongroom/internal/access/profile"
	"strongroom/internal/access/proven"
	"strongroom/internal/access/sshsig"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/store/seal"
)

// A Review is what was checked and is shown to the keykeeper.
type Review struct {
	Grant        opening.Grant
	Request      access.Request
	Asked        time.Time // when, as the operator states
	Operator     access.Person
	Key          sshsig.PublicKey  // that signed the request
	Checkpoint   ledger.Checkpoint // newest, verified
	Descriptions []safe.Snapshot
	Disclosed    []Disclosed

	envelopes map[safe.RunID]want
}

// A want is what the ledger vouches for of a run's envelope.
type want struct {
	source safe.SourceName
	digest safe.Digest
}

// Disclosed is what a release opens of one source: every file that was new in
// one of these collections.
type Disclosed struct {
	Source      safe.SourceName
	Collections int
	From, To    time.Time // when the first and the last was begun
}

// Head verifies the newest checkpoint of the ledger against the one that this
// machine remembers; the zero Checkpoint means none.
func Head(head api.Head, known ledger.Checkpoint, keys []ledger.PublicKey) (ledger.Checkpoint, error) {
	newest, err := ledger.ParseCheckpoint(head.Checkpoint, keys...)
	if err != nil {
		return newest, fmt.Errorf("the ledger's checkpoint: %w", err)
	}
	if known.Size == 0 {
		return newest, nil
	}
	return newest, proven.Follows(known, newest, head.Consistency)
}

// Check checks a grant. The roster was verified, and known is the checkpoint
// that this machine remembers. If the opening is open and is to last longer,
// earlier is its release; nil if it is not.
func Check(id safe.OpeningID, g api.Granted, earlier *opening.Release, roster access.Roster, known ledger.Checkpoint, now time.Time) (*Review, error) {
	newest, err := Head(g.Head, known, roster.LedgerKeys)
	if err != nil {
		return nil, err
	}
	if newest.Store != roster.Store {
		return nil, fmt.Errorf("the ledger is that of store %s, not of %s", newest.Store, roster.Store)
	}
	by, key, err := roster.Verify(g.Request)
	if err != nil {
		return nil, fmt.Errorf("the request: %w", err)
	}
	request, ok := by.Act.(access.Request)
	if !ok {
		return nil, fmt.Errorf("the request is none: it is %s", by.Act.Act())
	}
	ssh, ok := key.SSH()
	if !ok {
		return nil, errors.New("the request is signed with a passkey, and who reads has an SSH key")
	}
	if request.Opening != id {
		return nil, fmt.Errorf("the request is for opening %s, not for %s", request.Opening, id)
	}
	if err := request.Check(by.Time); err != nil {
		return nil, fmt.Errorf("the request cannot be: %w", err)
	}
	if err := inTime(request, g.Request, earlier, roster, now); err != nil {
		return nil, err
	}
	grant, err := opening.ParseGrant(g.Grant)
	if err != nil {
		return nil, err
	}
	r := &Review{Grant: grant, Request: request, Asked: by.Time, Key: ssh, Checkpoint: newest, envelopes: make(map[safe.RunID]want)}
	r.Operator, _ = roster.Person(by.Person)
	if r.Descriptions, err = described(g.Snapshots, request.Snapshots, newest); err != nil {
		return nil, err
	}
	if err := grant.Check(by, ssh, opening.Circumstances{Roster: roster, Descriptions: r.Descriptions}); err != nil {
		return nil, fmt.Errorf("the grant is not what was asked for: %w", err)
	}
	if grant.Size != newest.Size || grant.Root != newest.Root {
		return nil, errors.New("the grant was made for another state of the ledger than the one that is proven")
	}
	// A grant lasts from when it is made: one that begins later was made for
	// another day than this.
	if grant.From.After(now.Add(maxAhead)) || !grant.Until.After(now) {
		return nil, fmt.Errorf("the grant is for %s to %s, which is not now", grant.From.Format(time.RFC3339), grant.Until.Format(time.RFC3339))
	}
	return r, r.disclose()
}

// inTime sees that the request is still good, or that the opening is open:
// then a keykeeper has signed until when. So a safe cannot have a request
// released that was over long ago.
func inTime(request access.Request, signed ledger.Signed, earlier *opening.Release, roster access.Roster, now time.Time) error {
	if earlier == nil {
		if now.After(request.NotAfter) {
			return fmt.Errorf("the request was good until %s", request.NotAfter.Format(time.RFC3339))
		}
		return nil
	}
	if _, err := earlier.Verify(roster); err != nil {
		return fmt.Errorf("the earlier release: %w", err)
	}
	grant, err := opening.ParseGrant([]byte(earlier.Grant))
	switch {
	case err != nil:
		return err
	case grant.Opening != request.Opening || earlier.Request != signed:
		return errors.New("the earlier release is for another request")
	case !now.Before(grant.Until):
		return fmt.Errorf("the opening was to last until %s: it takes a new request", grant.Until.Format(time.RFC3339))
	}
	return nil
}

// maxAhead is how far the safe's clock may be ahead, as for signed requests.
const maxAhead = 5 * time.Minute

// described checks that each description is one that the ledger vouches for.
func described(all []api.Proven, snapshots []safe.RunID, c ledger.Checkpoint) ([]safe.Snapshot, error) {
	if len(all) != len(snapshots) {
		return nil, fmt.Errorf("the safe describes %d snapshots, and %d were asked for", len(all), len(snapshots))
	}
	var descriptions []safe.Snapshot
	for i, p := range all {
		d, err := proven.Proof{Entry: p.Entry, Inclusion: p.Inclusion}.Verify(p.Description, c)
		if err == nil && d.Run != snapshots[i] {
			err = fmt.Errorf("it describes snapshot %s", d.Run)
		}
		if err != nil {
			return nil, fmt.Errorf("snapshot %s: %w", snapshots[i], err)
		}
		descriptions = append(descriptions, d)
	}
	return descriptions, nil
}

// disclose works out what the runs of the grant are, by source.
func (r *Review) disclose() error {
	for _, d := range r.Descriptions {
		for run, packs := range d.Runs {
			w := want{d.Source, packs.Envelope}
			if other, ok := r.envelopes[run]; ok && other != w {
				return fmt.Errorf("run %s is said to be of %s and of %s: a snapshot needs runs of its own source alone", run, other.source, w.source)
			}
			r.envelopes[run] = w
		}
	}
	bySource := make(map[safe.SourceName]*Disclosed)
	for run, w := range r.envelopes {
		d, ok := bySource[w.source]
		if !ok {
			d = &Disclosed{Source: w.source, From: run.Time(), To: run.Time()}
			bySource[w.source] = d
		}
		d.Collections++
		if run.Time().Before(d.From) {
			d.From = run.Time()
		}
		if run.Time().After(d.To) {
			d.To = run.Time()
		}
	}
	for _, d := range bySource {
		r.Disclosed = append(r.Disclosed, *d)
	}
	slices.SortFunc(r.Disclosed, func(a, b Disclosed) int { return strings.Compare(string(a.Source), string(b.Source)) })
	return nil
}

// Open opens the outer layer of each run of the grant. Envelopes come in the
// order of the runs; done is called with the size
// of each one that is open.
func (r *Review) Open(envelopes iter.Seq2[api.Envelope, error], keys []profile.OuterKey, done func(size int64)) ([]api.Inner, error) {
	var inner []api.Inner
	for e, err := range envelopes {
		if err != nil {
			return nil, err
		}
		if len(inner) == len(r.Grant.Runs) || e.Run != r.Grant.Runs[len(inner)] {
			return nil, fmt.Errorf("the safe hands out the envelope of run %s, which is not the next one of the grant", e.Run)
		}
		file, err := r.openOne(e, keys)
		if err != nil {
			return nil, err
		}
		inner = append(inner, api.Inner{Run: e.Run, File: file})
		done(int64(len(e.Envelope)))
	}
	if len(inner) != len(r.Grant.Runs) {
		return nil, fmt.Errorf("the safe hands out %d envelopes, and the grant is for %d", len(inner), len(r.Grant.Runs))
	}
	return inner, nil
}

// openOne tries the keys, newest period first, since most of what is asked for
// is new.
func (r *Review) openOne(e api.Envelope, keys []profile.OuterKey) (seal.InnerFile, error) {
	w := r.envelopes[e.Run]
	if safe.DigestOf(e.Envelope) != w.digest {
		return nil, fmt.Errorf("the envelope of run %s is not the one that the snapshot's description names", e.Run)
	}
	err := seal.ErrWrongKey
	for _, k := range keys {
		var file seal.InnerFile
		file, err = seal.OpenOuter(k.Key, e.Envelope, seal.Want{Store: r.Grant.Store, Run: e.Run, Source: w.source})
		if err == nil || !errors.Is(err, seal.ErrWrongKey) {
			return file, err
		}
	}
	return nil, fmt.Errorf("the envelope of run %s opens with none of your %d keys: %w", e.Run, len(keys), err)
}
