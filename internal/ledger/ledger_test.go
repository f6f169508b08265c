package ledger_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"strongroom/internal/ledger"
	"strongroom/internal/ledger/ledgertest"
	"strongroom/internal/safe"
)

var testTime = time.Date(2026, 11, 21, 2, 0, 0, 123456789, time.UTC)

func testStore(t testing.TB) safe.StoreID {
	t.Helper()
	id, err := safe.ParseStoreID("000102030405060708090a0b0c0d0e0f")
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// testPrivate is a key whose seed is zero, so that what it signs can be
// compared with golden bytes.
const testPrivate = "PRIVATE+KEY+strongroom/000102030405060708090a0b0c0d0e0f+2b118d6b+AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

func testKey(t testing.TB) ledger.Key {
	t.Helper()
	key, err := ledger.ParseKey(testPrivate)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// sign signs head and reads the result back.
func sign(t testing.TB, key ledger.Key, head ledger.Head) ledger.Checkpoint {
	t.Helper()
	b, err := key.Sign(head)
	if err != nil {
		t.Fatal(err)
	}
	c, err := ledger.ParseCheckpoint(b, key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// history is a log of n different entries, with their bytes and with a
// checkpoint of every size up to n.
type history struct {
	log         *ledgertest.Log
	entries     [][]byte
	checkpoints []ledger.Checkpoint // by size, from 0
}

func newHistory(t testing.TB, n int, event func(i int) ledger.Event) history {
	t.Helper()
	key := testKey(t)
	h := history{log: new(ledgertest.Log)}
	empty, err := ledger.HeadOf(0, h.log)
	if err != nil {
		t.Fatal(err)
	}
	h.checkpoints = append(h.checkpoints, sign(t, key, empty))
	for i := range n {
		head, err := h.log.Append(testTime.Add(time.Duration(i)*time.Minute), event(i))
		if err != nil {
			t.Fatal(err)
		}
		h.checkpoints = append(h.checkpoints, sign(t, key, head))
	}
	for entry := range h.log.Entries() {
		h.entries = append(h.entries, entry)
	}
	return h
}

func scrub(i int) ledger.Event {
	return ledger.ScrubDone{Objects: int64(i), Bytes: int64(i) << 20}
}

// randomSource prints its seed when the test fails.
func randomSource(t *testing.T) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	})
	return rand.New(rand.NewPCG(seed, 0))
}

// randomEvent returns one of the kinds, with random content.
func randomEvent(r *rand.Rand) ledger.Event {
	at := time.Unix(r.Int64N(1<<34), r.Int64N(1e9)).UTC()
	digest := safe.DigestOf(fmt.Appendf(nil, "%d", r.Uint64()))
	source := safe.SourceName(fmt.Sprintf("source-%d", r.IntN(1000)))
	run := safe.NewRunID(at)
	raw := make([]byte, r.IntN(100))
	if r.IntN(20) == 0 {
		raw = make([]byte, 2*ledger.MaxText)
	}
	for i := range raw {
		raw[i] = byte(r.Uint32())
	}
	text := ledger.TextOf(string(raw) + `"\<>&` + "\u2028é")
	switch r.IntN(8) {
	case 0:
		return ledger.RosterChanged{Version: 1 + r.Int64N(100), Digest: digest}
	case 1:
		return ledger.RunBegun{Run: run, Source: source, Envelope: digest, Roster: 1 + r.Int64N(100)}
	case 2:
		return ledger.SnapshotKept{Run: run, Source: source, Description: digest, Tier: safe.Daily, KeepUntil: at.Add(1), Entries: r.Int64(), Root: digest}
	case 3:
		return ledger.RunFailed{Run: run, Source: source, Reason: text}
	case 4:
		runs := make([]safe.RunID, r.IntN(3)*r.IntN(10))
		for i := range runs {
			runs[i] = safe.NewRunID(at.Add(time.Duration(r.Int64N(1e15))))
		}
		return ledger.LostOf("runs/"+run.String()+"/packs/"+digest.String(), runs)
	case 5:
		return ledger.FindingRaised{Finding: "memory.differs", Subject: text, Text: text}
	case 6:
		return ledger.KeepExtended{Run: run, Until: at}
	}
	return ledger.ScrubDone{Objects: r.Int64(), Bytes: r.Int64(), Damaged: r.Int64()}
}
