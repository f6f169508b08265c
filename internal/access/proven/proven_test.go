package proven_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/access/proven"
	"strongroom/internal/ledger"
	"strongroom/internal/ledger/ledgertest"
	"strongroom/internal/safe"
)

var began = time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)

// A history is a ledger with one snapshot in it, and the checkpoint of every
// size.
type history struct {
	t           *testing.T
	log         ledgertest.Log
	store       safe.StoreID
	checkpoints []ledger.Checkpoint // by size
	description []byte
	index       int64 // of the snapshot's entry
}

func newHistory(t *testing.T, store safe.StoreID, before, after int) *history {
	t.Helper()
	h := &history{t: t, store: store, checkpoints: make([]ledger.Checkpoint, 1)}
	for range before {
		h.append(ledger.RunBegun{Run: safe.NewRunID(began), Source: "erp", Envelope: safe.Digest{1}, Roster: 1})
	}
	d := describe(store)
	h.description, h.index = d.Encode(), h.log.Size()
	h.append(ledger.KeptOf(d, ""))
	h.grow(after)
	return h
}

func describe(store safe.StoreID) safe.Snapshot {
	run := safe.NewRunID(began)
	return safe.Snapshot{Version: 1, Store: store, Run: run, Source: "erp", Kind: "local", Started: began, Finished: began, KeepUntil: began.AddDate(1, 0, 0),
		Tier: safe.Daily, Root: safe.Digest{2}, Runs: map[safe.RunID]safe.RunPacks{run: {Envelope: safe.Digest{3}, Packs: []safe.Digest{}}}}
}

func (h *history) append(what ledger.Event) {
	h.t.Helper()
	head, err := h.log.Append(began, what)
	if err != nil {
		h.t.Fatal(err)
	}
	h.checkpoints = append(h.checkpoints, ledger.Checkpoint{Store: h.store, Head: head})
}

func (h *history) grow(entries int) {
	h.t.Helper()
	for range entries {
		h.append(ledger.RunBegun{Run: safe.NewRunID(began), Source: "crm", Envelope: safe.Digest{4}, Roster: 1})
	}
}

func (h *history) newest() ledger.Checkpoint { return h.checkpoints[len(h.checkpoints)-1] }

// entry returns the nth entry.
func (h *history) entry(n int64) []byte {
	h.t.Helper()
	for b := range h.log.Entries() {
		if n == 0 {
			return b
		}
		n--
	}
	h.t.Fatal("there is no such entry")
	return nil
}

// prove returns the proof for the nth entry at a size.
func (h *history) prove(n, size int64) proven.Proof {
	h.t.Helper()
	inclusion, err := ledger.ProveInclusion(n, size, &h.log)
	if err != nil {
		h.t.Fatal(err)
	}
	return proven.Proof{Entry: h.entry(n), Inclusion: inclusion.Encode()}
}

// growth returns the proof that the ledger grew.
func (h *history) growth(from, to int64) []byte {
	h.t.Helper()
	c, err := ledger.ProveConsistency(from, to, &h.log)
	if err != nil {
		h.t.Fatal(err)
	}
	return c.Encode()
}

func TestProofOfADescription(t *testing.T) {
	h := newHistory(t, safe.NewStoreID(), 5, 7)
	d, err := safe.ParseSnapshot(h.description)
	if err != nil {
		t.Fatal(err)
	}
	for size := h.index + 1; size <= h.newest().Size; size++ {
		b, err := json.Marshal(h.prove(h.index, size))
		if err != nil {
			t.Fatal(err)
		}
		p, err := proven.ParseProof(b)
		if err != nil {
			t.Fatal(err)
		}
		got, err := p.Verify(h.description, h.checkpoints[size])
		if err != nil {
			t.Fatalf("at %d entries: %v", size, err)
		}
		if diff := cmp.Diff(d, got); diff != "" {
			t.Errorf("at %d entries (-want +got):\n%s", size, diff)
		}
	}
}

// TestWhatIsNotProven alters each part of a proof in turn.
func TestWhatIsNotProven(t *testing.T) {
	h := newHistory(t, safe.NewStoreID(), 5, 7)
	newest := h.newest()
	good := h.prove(h.index, newest.Size)
	flipped := func(b []byte, i int) []byte {
		b = slices.Clone(b)
		b[i] ^= 1
		return b
	}
	other := describe(h.store)
	twin := newHistory(t, safe.NewStoreID(), 5, 7) // of another store

	// A ledger that vouches for what is not its own.
	foreign := newHistory(t, h.store, 0, 0)
	stranger := describe(safe.NewStoreID())
	foreign.append(ledger.KeptOf(stranger, ""))
	lying := describe(h.store)
	lie := ledger.KeptOf(lying, "")
	lie.Source = "crm"
	foreign.append(lie)

	for _, c := range []struct {
		name        string
		proof       proven.Proof
		description []byte
		at          ledger.Checkpoint
	}{
		{"another description", good, other.Encode(), newest},
		{"a description with a bit changed", good, flipped(h.description, 9), newest},
		{"no description", good, nil, newest},
		{"an entry with a bit changed", proven.Proof{Entry: flipped(good.Entry, 20), Inclusion: good.Inclusion}, h.description, newest},
		{"another entry", proven.Proof{Entry: h.entry(0), Inclusion: good.Inclusion}, h.description, newest},
		{"an entry about something else", h.prove(0, newest.Size), h.description, newest},
		{"a path with a bit changed", proven.Proof{Entry: good.Entry, Inclusion: flipped(good.Inclusion, len(good.Inclusion)-20)}, h.description, newest},
		{"no path", proven.Proof{Entry: good.Entry}, h.description, newest},
		{"a proof for an older checkpoint", h.prove(h.index, newest.Size-1), h.description, newest},
		{"an older checkpoint", good, h.description, h.checkpoints[newest.Size-1]},
		{"the checkpoint of another ledger", good, h.description, twin.newest()},
		{"a description of another store", foreign.prove(1, 3), stranger.Encode(), foreign.newest()},
		{"an entry of another source", foreign.prove(2, 3), lying.Encode(), foreign.newest()},
	} {
		if _, err := c.proof.Verify(c.description, c.at); !errors.Is(err, ledger.ErrNotProven) {
			t.Errorf("%s: error %v, want ErrNotProven", c.name, err)
		}
	}
	if _, err := good.Verify(h.description, newest); err != nil {
		t.Errorf("the test itself spoiled the proof: %v", err)
	}
}

func TestFollows(t *testing.T) {
	h := newHistory(t, safe.NewStoreID(), 5, 7)
	rewritten := newHistory(t, h.store, 5, 7)
	newest := h.newest()
	flipped := slices.Clone(h.growth(4, newest.Size))
	flipped[len(flipped)-20] ^= 1
	const (
		fine = iota
		notProven
		gap
		fork
	)
	for _, c := range []struct {
		name         string
		known, later ledger.Checkpoint
		proof        []byte
		want         int
	}{
		{"the same", newest, newest, nil, fine},
		{"grown", h.checkpoints[4], newest, h.growth(4, newest.Size), fine},
		{"grown by one", h.checkpoints[newest.Size-1], newest, h.growth(newest.Size-1, newest.Size), fine},
		{"no proof", h.checkpoints[4], newest, nil, gap},
		{"a proof from another size", h.checkpoints[4], newest, h.growth(5, newest.Size), gap},
		{"a proof to another size", h.checkpoints[4], newest, h.growth(4, newest.Size-1), gap},
		{"shrunk", newest, h.checkpoints[4], h.growth(4, newest.Size), gap},
		{"a proof with a bit changed", h.checkpoints[4], newest, flipped, notProven},
		{"not a proof", h.checkpoints[4], newest, []byte("{}\n"), notProven},
		{"rewritten", rewritten.checkpoints[4], newest, h.growth(4, newest.Size), notProven},
		{"rewritten since", h.checkpoints[4], rewritten.newest(), rewritten.growth(4, newest.Size), notProven},
		{"forked", rewritten.newest(), newest, nil, fork},
		{"another store", ledger.Checkpoint{Store: safe.NewStoreID(), Head: h.checkpoints[4].Head}, newest, h.growth(4, newest.Size), notProven},
	} {
		err := proven.Follows(c.known, c.later, c.proof)
		var isGap *proven.GapError
		var isFork *ledger.ForkError
		got := fine
		switch {
		case errors.As(err, &isGap):
			got = gap
		case errors.As(err, &isFork):
			got = fork
		case errors.Is(err, ledger.ErrNotProven):
			got = notProven
		case err != nil:
			got = -1
		}
		if got != c.want {
			t.Errorf("%s: error %v, of kind %d, want %d", c.name, err, got, c.want)
		}
	}
}

func TestMeet(t *testing.T) {
	h := newHistory(t, safe.NewStoreID(), 5, 7)
	rewritten := newHistory(t, h.store, 5, 7)
	known, shown, newest := h.checkpoints[9], h.checkpoints[6], h.newest()
	way := func(h *history, from int64) proven.Way {
		return proven.Way{To: h.newest(), Proof: h.growth(from, h.newest().Size)}
	}
	for name, c := range map[string]struct {
		known  ledger.Checkpoint
		onward proven.Way
		shown  ledger.Checkpoint
		upward proven.Way
		ok     bool
	}{
		"the shown one is older":          {known, way(h, 9), shown, way(h, 6), true},
		"the known one is older":          {shown, way(h, 6), known, way(h, 9), true},
		"the known one is the newest":     {newest, proven.Way{To: newest}, shown, way(h, 6), true},
		"the shown one is of a fork":      {known, way(h, 9), rewritten.checkpoints[6], way(h, 6), false},
		"the ways lead to a fork":         {known, way(h, 9), rewritten.checkpoints[6], way(rewritten, 6), false},
		"the known one is of a fork":      {rewritten.checkpoints[9], way(h, 9), shown, way(h, 6), false},
		"the ways end apart":              {known, proven.Way{To: h.checkpoints[11], Proof: h.growth(9, 11)}, shown, way(h, 6), false},
		"a way is missing":                {known, way(h, 9), shown, proven.Way{To: newest}, false},
		"a way does not begin at the one": {known, way(h, 8), shown, way(h, 6), false},
	} {
		if err := proven.Meet(c.known, c.onward, c.shown, c.upward); (err == nil) != c.ok {
			t.Errorf("%s: error %v, want ok: %v", name, err, c.ok)
		}
	}
}

func TestParseProofRefuses(t *testing.T) {
	for name, b := range map[string][]byte{
		"nothing":         nil,
		"unknown field":   []byte(`{"entry":"","inclusion":"","more":1}`),
		"two proofs":      []byte(`{"entry":"","inclusion":""}{}`),
		"not base64":      []byte(`{"entry":"!","inclusion":""}`),
		"too many bytes":  bytes.Repeat([]byte(" "), proven.MaxProof+1),
		"not a JSON type": []byte(`[]`),
	} {
		if p, err := proven.ParseProof(b); err == nil {
			t.Errorf("%s: accepted as %+v", name, p)
		}
	}
}

func FuzzParseProof(f *testing.F) {
	f.Add([]byte(`{"entry":"e30K","inclusion":"e30K"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := proven.ParseProof(b)
		if err != nil {
			return
		}
		if _, err := p.Verify(nil, ledger.Checkpoint{}); err == nil {
			t.Errorf("%q proves nothing at all", b)
		}
	})
}
