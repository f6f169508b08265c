package review_test

import (
	"errors"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/access/accesstest"
	"strongroom/internal/access/api"
	"strongroom/internal/access/opening"
	"strongroom/internal/access/profile"
	"strongroom/internal/access/proven"
	"strongroom/internal/access/review"
	"strongroom/internal/access/vaulttest"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/store/blob"
	"strongroom/internal/store/layout"
	"strongroom/internal/store/seal"
	"strongroom/internal/store/storetest"
)

// A story is a safe with two snapshots, an operator's request for both, and
// what the safe answers a keykeeper.
type story struct {
	t         *testing.T
	vault     *vaulttest.Vault
	snapshots []safe.Snapshot
	request   access.Request
	signed    ledger.Signed
	known     ledger.Checkpoint
	granted   api.Granted
	earlier   *opening.Release
	now       time.Time
}

func newStory(t *testing.T) *story {
	t.Helper()
	v := vaulttest.New(t, "ada:keykeeper bob:operator")
	s := &story{t: t, vault: v, now: time.Now().UTC().Truncate(time.Second)}
	s.snapshots = append(s.snapshots, v.Keep(storetest.File("etc/hosts", "127.0.0.1 localhost\n")))
	s.known = s.checkpoint()
	v.NewPeriod()
	s.snapshots = append(s.snapshots, v.Keep(storetest.File("etc/motd", "be kind\n")))
	slices.SortFunc(s.snapshots, func(a, b safe.Snapshot) int { return a.Run.Compare(b.Run) })
	s.request = access.Request{Opening: safe.NewOpeningID(s.now), NotAfter: s.now.Add(time.Hour), Hours: 4, Reason: "rehearsal", Address: v.People["bob"].Addresses[0]}
	for _, d := range s.snapshots {
		s.request.Snapshots = append(s.request.Snapshots, d.Run)
	}
	s.grant()
	return s
}

func (s *story) checkpoint() ledger.Checkpoint {
	s.t.Helper()
	c, err := ledger.ParseCheckpoint(s.vault.Checkpoint(), s.vault.Signer.Public())
	check(s.t, err)
	return c
}

// copy returns the story for somebody to change.
func (s *story) copy(t *testing.T) *story {
	another := *s
	another.t = t
	another.granted.Snapshots = slices.Clone(s.granted.Snapshots)
	return &another
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// grant makes what an honest safe answers.
func (s *story) grant() {
	s.t.Helper()
	bob := s.vault.People["bob"]
	s.signed = bob.States(s.t, s.vault.ID, s.now, s.request)
	c := s.checkpoint()
	g, err := opening.Make(access.Statement{Store: s.vault.ID, Person: "bob", Time: s.now, Act: s.request}, bob.SSH[0],
		opening.Circumstances{Roster: s.vault.Roster, Now: s.now, Ledger: c.Head, Descriptions: s.snapshots})
	check(s.t, err)
	s.granted = api.Granted{Nonce: opening.NewNonce(), Grant: g.Encode(), Request: s.signed,
		Head: api.Head{Checkpoint: s.vault.Checkpoint(), Consistency: s.vault.Growth(s.known.Size)}}
	for _, f := range s.vault.Task("bob", 0, s.snapshots...).Files {
		name, isProof := strings.CutPrefix(f.Name, "ledger/proofs/")
		if !isProof {
			continue
		}
		at := slices.IndexFunc(s.snapshots, func(d safe.Snapshot) bool { return d.Run.String()+".json" == name })
		p, err := proven.ParseProof(f.Content)
		check(s.t, err)
		s.granted.Snapshots = append(s.granted.Snapshots, api.Proven{Description: s.snapshots[at].Encode(), Entry: p.Entry, Inclusion: p.Inclusion})
	}
}

func (s *story) check() (*review.Review, error) {
	return review.Check(s.request.Opening, s.granted, s.earlier, s.vault.Roster, s.known, s.now)
}

// envelopes are those of the grant's runs, as change leaves them.
func (s *story) envelopes(r *review.Review, change func(*api.Envelope)) iter.Seq2[api.Envelope, error] {
	return func(yield func(api.Envelope, error) bool) {
		for _, run := range r.Grant.Runs {
			b, err := blob.ReadAll(s.t.Context(), s.vault.Blobs, layout.Envelope(run), seal.MaxEnvelope)
			e := api.Envelope{Run: run, Envelope: b}
			if change != nil {
				change(&e)
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

func (s *story) keys() []profile.OuterKey {
	keys, err := profile.OuterKeys(s.vault.Roster, "ada", s.vault.People["ada"].Identity)
	check(s.t, err)
	return keys
}

func TestReviewOfAnHonestSafe(t *testing.T) {
	s := newStory(t)
	r, err := s.check()
	check(t, err)
	if len(r.Disclosed) != 1 || r.Disclosed[0].Collections != len(r.Grant.Runs) || r.Operator.Name != "bob" || r.Checkpoint != s.checkpoint() {
		t.Errorf("shown is %+v to %s", r.Disclosed, r.Operator.Name)
	}
	opened := 0
	inner, err := r.Open(s.envelopes(r, nil), s.keys(), func(int64) { opened++ })
	check(t, err)
	if opened != len(r.Grant.Runs) || len(inner) != opened {
		t.Fatalf("%d of %d were opened", opened, len(r.Grant.Runs))
	}
	for _, i := range inner { // what comes out is what an operator opens
		_, ok := openInner(s, i)
		if !ok {
			t.Errorf("the inner file of run %s does not open", i.Run)
		}
	}
	if _, err := r.Open(s.envelopes(r, nil), s.keys()[1:], func(int64) {}); !errors.Is(err, seal.ErrWrongKey) {
		t.Errorf("without the key of the newest period: %v", err)
	}
}

func openInner(s *story, i api.Inner) (seal.RunIdentity, bool) {
	keys, err := profile.InnerKeys(s.vault.Roster, "bob", s.vault.People["bob"].Identity)
	check(s.t, err)
	for _, k := range keys {
		if run, err := seal.OpenInner(k.Key, i.File, seal.Want{Store: s.vault.ID, Run: i.Run}); err == nil {
			return run, true
		}
	}
	return seal.RunIdentity{}, false
}

// release signs what was granted, as ada would.
func (s *story) release() *opening.Release {
	r, err := opening.Sign("ada", s.granted.Nonce, s.granted.Grant, s.granted.Request, s.vault.People["ada"].Signer)
	check(s.t, err)
	return &r
}

// What is open lasts longer with another release, also when the request would
// not be good any more; what is over does not.
func TestReviewOfALongerOpening(t *testing.T) {
	s := newStory(t)
	s.earlier = s.release()
	signed := s.signed
	regrant := func(after time.Duration) error {
		s.now = s.now.Add(after)
		s.grant()
		s.granted.Request = signed
		_, err := s.check()
		return err
	}
	if err := regrant(2 * time.Hour); err != nil {
		t.Errorf("while it is open: %v", err)
	}
	if err := regrant(2 * time.Hour); err == nil || !strings.Contains(err.Error(), "it takes a new request") {
		t.Errorf("when it is over: %v", err)
	}

	s = newStory(t)
	s.earlier = s.release()
	s.earlier.Grant = strings.Replace(s.earlier.Grant, "rehearsal", "emergency", 1)
	if _, err := s.check(); !errors.Is(err, opening.ErrNoRelease) {
		t.Errorf("a release that nobody has signed: %v", err)
	}
}

// A safe that lies is refused, whatever it lies about.
func TestReviewRefusesLies(t *testing.T) {
	regrant := func(change func(*opening.Grant)) func(*story) {
		return func(s *story) {
			g, err := opening.ParseGrant(s.granted.Grant)
			check(s.t, err)
			change(&g)
			s.granted.Grant = g.Encode()
		}
	}
	honest := newStory(t)
	for _, tt := range []struct {
		name string
		lie  func(*story)
		want string
	}{
		{"another operator's request", func(s *story) {
			s.granted.Request = s.vault.People["ada"].States(s.t, s.vault.ID, s.now, s.request)
		}, "not the operator that asked"},
		{"a request with another reason", func(s *story) {
			s.granted.Request.Statement = strings.Replace(s.signed.Statement, "rehearsal", "emergency", 1)
		}, "not signed by the person"},
		{"an agreement for a request", func(s *story) {
			s.granted.Request = s.vault.People["bob"].States(s.t, s.vault.ID, s.now, access.Close{Opening: s.request.Opening})
		}, "the request is none"},
		{"another opening", func(s *story) { s.request.Opening = safe.NewOpeningID(s.now.Add(time.Minute)) }, "is for opening"},
		{"a request that is over", func(s *story) { s.now = s.now.Add(2 * time.Hour) }, "was good until"},
		{"longer than asked", regrant(func(g *opening.Grant) { g.Until = g.Until.Add(time.Hour) }), "4 hours were asked for"},
		{"for another day", regrant(func(g *opening.Grant) { g.From, g.Until = g.From.Add(48*time.Hour), g.Until.Add(48*time.Hour) }), "which is not now"},
		{"a run more", regrant(func(g *opening.Grant) { g.Runs = append(g.Runs, safe.NewRunID(time.Now().Add(time.Hour))) }), "other runs"},
		{"a run less", regrant(func(g *opening.Grant) { g.Runs = g.Runs[1:] }), "other runs"},
		{"another address", regrant(func(g *opening.Grant) { g.Address = g.Address.Next() }), "address"},
		{"another key", regrant(func(g *opening.Grant) { g.Key = accesstest.NewPerson(t, "eve", access.Operator).SSH[0] }), "another SSH key"},
		{"another roster", regrant(func(g *opening.Grant) { g.Roster = safe.DigestOf(nil) }), "another version of the roster"},
		{"another state of the ledger", regrant(func(g *opening.Grant) { g.Size-- }), "another state of the ledger"},
		{"a snapshot less", func(s *story) { s.granted.Snapshots = s.granted.Snapshots[1:] }, "describes 1 snapshots"},
		{"snapshots exchanged", func(s *story) { slices.Reverse(s.granted.Snapshots) }, "it describes snapshot"},
		{"a description with a run more", func(s *story) {
			d := s.snapshots[0]
			d.Runs = map[safe.RunID]safe.RunPacks{d.Run: d.Runs[d.Run], s.snapshots[1].Run: s.snapshots[1].Runs[s.snapshots[1].Run]}
			s.granted.Snapshots[0].Description = d.Encode()
		}, "not proven"},
		{"a proof of something else", func(s *story) { s.granted.Snapshots[0].Inclusion = s.granted.Snapshots[1].Inclusion }, "not proven"},
		{"another ledger", func(s *story) {
			other := vaulttest.New(t, "ada:keykeeper bob:operator")
			s.granted.Head.Checkpoint = other.Checkpoint()
		}, "checkpoint"},
		{"a ledger that was turned back", func(s *story) {
			c := s.checkpoint()
			s.known = ledger.Checkpoint{Store: c.Store, Head: ledger.Head{Size: c.Size + 7}}
		}, ""},
		{"a ledger that was written anew", func(s *story) { s.known.Root[0] ^= 1 }, ""},
		{"no proof that it grew", func(s *story) { s.granted.Head.Consistency = nil }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := honest.copy(t)
			tt.lie(s)
			if _, err := s.check(); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("the error is %v, want one with %q", err, tt.want)
			}
		})
	}
}

func TestOpenRefusesOtherEnvelopes(t *testing.T) {
	s := newStory(t)
	r, err := s.check()
	check(t, err)
	foreign := vaulttest.New(t, "ada:keykeeper bob:operator")
	run := foreign.Keep(storetest.File("etc/hosts", "x\n")).Run
	b, err := blob.ReadAll(t.Context(), foreign.Blobs, layout.Envelope(run), seal.MaxEnvelope)
	check(t, err)
	for name, change := range map[string]func(*api.Envelope){
		"of another safe": func(e *api.Envelope) { e.Envelope = b },
		"of another run":  func(e *api.Envelope) { e.Run = run },
		"damaged":         func(e *api.Envelope) { e.Envelope[len(e.Envelope)-1] ^= 1 },
	} {
		if _, err := r.Open(s.envelopes(r, change), s.keys(), func(int64) {}); err == nil {
			t.Errorf("an envelope %s was opened", name)
		}
	}
	none := func(func(api.Envelope, error) bool) {}
	if _, err := r.Open(none, s.keys(), func(int64) {}); err == nil || !strings.Contains(err.Error(), "hands out 0 envelopes") {
		t.Errorf("no envelopes: %v", err)
	}
}
