package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/ledger"
	"strongroom/internal/ledger/ledgertest"
)

// at returns the checkpoints of the sizes given.
func (h history) at(sizes ...int) []ledger.Checkpoint {
	var list []ledger.Checkpoint
	for _, size := range sizes {
		list = append(list, h.checkpoints[size])
	}
	return list
}

// verdict runs Verify and puts what it found in a few words.
func verdict(entries [][]byte, checkpoints []ledger.Checkpoint) string {
	got, err := ledger.Verify(context.Background(), ledgertest.Seq(entries), checkpoints, nil)
	var malformed *ledger.MalformedError
	var altered *ledger.AlteredError
	var short *ledger.ShortError
	var fork *ledger.ForkError
	switch {
	case err == nil:
		return fmt.Sprintf("good: %d entries, %d proven", got.Size, got.Proven)
	case errors.As(err, &malformed):
		return fmt.Sprintf("malformed: entry %d, %d proven", malformed.Index, malformed.Proven)
	case errors.As(err, &altered):
		return fmt.Sprintf("altered: at %d, %d proven", altered.Checkpoint.Size, altered.Proven)
	case errors.As(err, &short):
		return fmt.Sprintf("short: %d of %d, %d proven", short.Got.Size, short.Checkpoint.Size, short.Proven)
	case errors.As(err, &fork):
		return fmt.Sprintf("fork: %d against %d", fork.Old.Size, fork.New.Size)
	}
	return "error: " + err.Error()
}

func TestVerifyFindsTampering(t *testing.T) {
	const n = 12
	h := newHistory(t, n, scrub)
	// What an adversary with the key shows today: entry 6 was never so.
	fork := newHistory(t, n, func(i int) ledger.Event {
		if i == 6 {
			return scrub(1000)
		}
		return scrub(i)
	})
	strange := fork.entries[6] // well-formed, and not of the log

	flip := func(index, bit int) [][]byte {
		entries := slices.Clone(h.entries)
		entries[index] = slices.Clone(entries[index])
		entries[index][bit/8] ^= 1 << (bit % 8)
		return entries
	}
	replace := func(index int, entry []byte) [][]byte {
		entries := slices.Clone(h.entries)
		entries[index] = entry
		return entries
	}
	swap := func(i, j int) [][]byte {
		entries := slices.Clone(h.entries)
		entries[i], entries[j] = entries[j], entries[i]
		return entries
	}
	remove := func(i, j int) [][]byte { return slices.Delete(slices.Clone(h.entries), i, j) }
	insert := func(i int, entry []byte) [][]byte { return slices.Insert(slices.Clone(h.entries), i, entry) }

	tests := []struct {
		name        string
		entries     [][]byte
		checkpoints []ledger.Checkpoint
		want        string
	}{
		{"nothing", nil, nil, "good: 0 entries, 0 proven"},
		{"no checkpoints", h.entries, nil, "good: 12 entries, 0 proven"},
		{"untouched", h.entries, h.checkpoints, "good: 12 entries, 12 proven"},
		{"untouched, checkpoints in any order, twice", h.entries, h.at(12, 3, 7, 12, 3), "good: 12 entries, 12 proven"},
		{"more entries than the checkpoint", h.entries, h.at(5), "good: 12 entries, 5 proven"},
		{"empty at first", h.entries, h.at(0), "good: 12 entries, 0 proven"},

		{"first altered", replace(0, strange), h.at(4, 8, 12), "altered: at 4, 0 proven"},
		{"middle altered", replace(5, strange), h.at(4, 8, 12), "altered: at 8, 4 proven"},
		{"last altered", replace(11, strange), h.at(4, 8, 12), "altered: at 12, 8 proven"},
		{"altered, one checkpoint", replace(5, strange), h.at(12), "altered: at 12, 0 proven"},
		{"altered behind the checkpoint", replace(11, strange), h.at(11), "good: 12 entries, 11 proven"},
		{"altered to something else than an entry", flip(5, 0), h.at(4, 8, 12), "malformed: entry 5, 4 proven"},
		{"not an entry, after an alteration", slices.Concat(replace(2, strange)[:9], [][]byte{{'x'}}), h.at(4, 8, 12), "altered: at 4, 0 proven"},
		{"empty entry", replace(5, nil), h.at(4, 8, 12), "malformed: entry 5, 4 proven"},

		{"first removed", remove(0, 1), h.at(4, 8, 12), "altered: at 4, 0 proven"},
		{"middle removed", remove(5, 6), h.at(4, 8, 12), "altered: at 8, 4 proven"},
		{"middle removed, one checkpoint", remove(5, 6), h.at(12), "short: 11 of 12, 0 proven"},
		{"removed and filled up", append(remove(5, 6), strange), h.at(12), "altered: at 12, 0 proven"},
		{"last removed", remove(11, 12), h.at(4, 8, 12), "short: 11 of 12, 8 proven"},
		{"truncated at a checkpoint", remove(8, 12), h.at(4, 8, 12), "short: 8 of 12, 8 proven"},
		{"all removed", nil, h.at(4, 8, 12), "short: 0 of 12, 0 proven"},

		{"inserted in front", insert(0, strange), h.at(4, 8, 12), "altered: at 4, 0 proven"},
		{"inserted in the middle", insert(5, strange), h.at(4, 8, 12), "altered: at 8, 4 proven"},
		{"one doubled", insert(5, h.entries[5]), h.at(4, 8, 12), "altered: at 8, 4 proven"},
		{"last doubled", insert(12, h.entries[11]), h.at(4, 8, 12), "good: 13 entries, 12 proven"},

		{"neighbours swapped", swap(5, 6), h.at(4, 8, 12), "altered: at 8, 4 proven"},
		{"swapped across a checkpoint", swap(3, 9), h.at(4, 8, 12), "altered: at 4, 0 proven"},
		{"swapped behind the checkpoint", swap(9, 10), h.at(4, 8), "good: 12 entries, 8 proven"},

		{"fork against an old mail", fork.entries, slices.Concat(fork.at(12), h.at(9)), "fork: 9 against 12"},
		{"fork, old mail from before it", fork.entries, slices.Concat(fork.at(12), h.at(6)), "good: 12 entries, 12 proven"},
		{"fork, old mail and log of the same size", fork.entries, slices.Concat(fork.at(12), h.at(12)), "fork: 12 against 12"},
		{"fork, the log agrees with the older", h.entries, slices.Concat(fork.at(12), h.at(9)), "altered: at 12, 9 proven"},
		{"fork, the log is too short for the older", fork.entries[:8], slices.Concat(fork.at(8), h.at(12)), "short: 8 of 12, 8 proven"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := verdict(tt.entries, tt.checkpoints); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// Whatever is done to a log of any content, Verify finds it exactly if a
// checkpoint covers it.
func TestVerifyFindsTamperingOfRandomLogs(t *testing.T) {
	r := randomSource(t)
	for range 20 {
		n := 2 + r.IntN(40)
		h := newHistory(t, n, func(int) ledger.Event { return randomEvent(r) })
		var sizes []int
		for range 1 + r.IntN(4) {
			sizes = append(sizes, 1+r.IntN(n))
		}
		covered := slices.Max(sizes)
		if got, want := verdict(h.entries, h.at(sizes...)), fmt.Sprintf("good: %d entries, %d proven", n, covered); got != want {
			t.Fatalf("checkpoints %v: got %q, want %q", sizes, got, want)
		}
		for range 20 {
			entries := slices.Clone(h.entries)
			i, j := r.IntN(n), r.IntN(n)
			what := r.IntN(5)
			switch what {
			case 0: // a bit
				entries[i] = slices.Clone(entries[i])
				entries[i][r.IntN(len(entries[i]))] ^= 1 << r.IntN(8)
			case 1: // another entry
				b, err := ledger.Entry{Time: testTime, Who: "mallory", What: randomEvent(r)}.Encode()
				if err != nil {
					t.Fatal(err)
				}
				entries[i] = b
			case 2: // removed
				j = min(n, i+1+r.IntN(3))
				entries = slices.Delete(entries, i, j)
			case 3: // inserted
				entries = slices.Insert(entries, i, h.entries[j])
			case 4: // moved
				moved := entries[i]
				entries = slices.Insert(slices.Delete(entries, i, i+1), j, moved)
			}
			harmed := !slices.EqualFunc(entries[:min(covered, len(entries))], h.entries[:covered], bytes.Equal)
			got := verdict(entries, h.at(sizes...))
			// What no checkpoint covers may be malformed, and nothing else.
			if good := strings.HasPrefix(got, "good"); good && harmed || !good && !harmed && !strings.HasPrefix(got, "malformed") {
				t.Fatalf("%d entries, checkpoints %v, tampering %d at %d and %d: got %q", n, sizes, what, i, j, got)
			}
		}
	}
}

func TestVerifyHandsOutEntries(t *testing.T) {
	r := randomSource(t)
	var events []ledger.Event
	h := newHistory(t, 20, func(int) ledger.Event {
		e := randomEvent(r)
		events = append(events, e)
		return e
	})
	var got []ledger.Event
	collect := func(index int64, e ledger.Entry) error {
		if index != int64(len(got)) {
			t.Errorf("entry %d comes as number %d", index, len(got))
		}
		got = append(got, e.What)
		return nil
	}
	if _, err := ledger.Verify(t.Context(), h.log.Entries(), h.at(20), collect); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(events, got); diff != "" {
		t.Errorf("entries differ (-want +got):\n%s", diff)
	}

	enough := errors.New("enough")
	calls := 0
	_, err := ledger.Verify(t.Context(), h.log.Entries(), nil, func(int64, ledger.Entry) error {
		calls++
		return enough
	})
	if !errors.Is(err, enough) || calls != 1 {
		t.Errorf("each failed: error %v after %d calls, want its own after 1", err, calls)
	}

	// Nothing is handed out any more once the log is known to be altered.
	entries := slices.Clone(h.entries)
	entries[3], entries[4] = entries[4], entries[3]
	calls = 0
	ledger.Verify(t.Context(), ledgertest.Seq(entries), h.at(8, 20), func(int64, ledger.Entry) error {
		calls++
		return nil
	})
	if calls != 8 {
		t.Errorf("%d entries of an altered log were handed out, want 8", calls)
	}
}

func TestVerifyStops(t *testing.T) {
	h := newHistory(t, 5, scrub)
	gone := errors.New("disk is gone")
	failing := func(yield func([]byte, error) bool) {
		if yield(h.entries[0], nil) {
			yield(nil, gone)
		}
	}
	_, err := ledger.Verify(t.Context(), failing, h.at(5), nil)
	if !errors.Is(err, gone) || !strings.Contains(err.Error(), "entry 1") {
		t.Errorf("a read fails: error %v, want one about entry 1", err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := ledger.Verify(ctx, h.log.Entries(), nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: error %v", err)
	}

	other := h.checkpoints[2]
	other.Store[0]++
	if _, err := ledger.Verify(t.Context(), h.log.Entries(), []ledger.Checkpoint{h.checkpoints[3], other}, nil); err == nil {
		t.Error("checkpoints of two safes are accepted together")
	}
}

// The sentences that a person reads in the worst week of the year.
func TestVerdictsSayWhatIsWrong(t *testing.T) {
	h := newHistory(t, 12, scrub)
	fork := newHistory(t, 12, func(i int) ledger.Event { return scrub(i + 1) })
	swapped := slices.Clone(h.entries)
	swapped[8], swapped[11] = swapped[11], swapped[8]
	damaged := slices.Clone(h.entries)
	damaged[7] = []byte("{}\n")
	root := func(c ledger.Checkpoint) string { return c.Root.String() }
	tests := []struct {
		name        string
		entries     [][]byte
		checkpoints []ledger.Checkpoint
		want        string
	}{
		{"altered", swapped, h.at(8, 12),
			"the ledger is not the one that was signed: its first 12 entries have root " + ledger.FrontierHead(swapped).Root.String() +
				", against the signed checkpoint of 12 entries with root " + root(h.checkpoints[12]) +
				"; of entries 8 to 11 at least one was altered, removed, inserted or reordered"},
		{"altered between neighbours", swapped, h.at(8, 9, 12),
			"the ledger is not the one that was signed: its first 9 entries have root " + ledger.FrontierHead(swapped[:9]).Root.String() +
				", against the signed checkpoint of 9 entries with root " + root(h.checkpoints[9]) +
				"; entry 8 was altered, removed, inserted or reordered"},
		{"short", h.entries[:9], h.at(8, 12),
			"the ledger ends after 9 entries, but there is a signed checkpoint of 12 entries with root " + root(h.checkpoints[12]) +
				": at least 3 were removed somewhere from entry 8 on, or an old copy of the ledger was put in its place"},
		{"malformed", damaged, h.at(12),
			"entry 7 of the ledger is malformed: entry has version 0, this program knows version 1; it was damaged or altered, or a newer program wrote it"},
		{"fork", fork.entries, slices.Concat(h.at(8), fork.at(12)),
			"the ledger's key has signed two histories that contradict one another: the checkpoint of 8 entries with root " + root(h.checkpoints[8]) +
				" and the checkpoint of 12 entries with root " + root(fork.checkpoints[12]) +
				" cannot both be of one ledger; somebody with this key has rewritten the ledger, keep both checkpoints as evidence"},
	}
	for _, tt := range tests {
		_, err := ledger.Verify(t.Context(), ledgertest.Seq(tt.entries), tt.checkpoints, nil)
		if err == nil || err.Error() != tt.want {
			t.Errorf("%s:\n got %v\nwant %s", tt.name, err, tt.want)
		}
	}
}
