package ledger_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"strongroom/internal/ledger"
)

// treeHash is the definition of RFC 6962, section 2.1, word for word.
func treeHash(entries [][]byte) [32]byte {
	switch len(entries) {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return sha256.Sum256(append([]byte{0}, entries[0]...))
	}
	k := 1 // the largest power of two smaller than the number of entries
	for k*2 < len(entries) {
		k *= 2
	}
	left, right := treeHash(entries[:k]), treeHash(entries[k:])
	return sha256.Sum256(append(append([]byte{1}, left[:]...), right[:]...))
}

func TestRootsAreThoseOfRFC6962(t *testing.T) {
	h := newHistory(t, 70, scrub)
	for n, c := range h.checkpoints {
		want := ledger.Head{Size: int64(n), Root: treeHash(h.entries[:n])}
		if c.Head != want {
			t.Errorf("Append: %d entries have root %s, want %s", n, c.Root, want.Root)
		}
		if got := ledger.FrontierHead(h.entries[:n]); got != want {
			t.Errorf("replay: %d entries have root %s, want %s", n, got.Root, want.Root)
		}
		if got, err := ledger.HeadOf(int64(n), h.log); err != nil || got != want {
			t.Errorf("HeadOf: %d entries have root %s, %v, want %s", n, got.Root, err, want.Root)
		}
	}
}

func TestAppendRefuses(t *testing.T) {
	h := newHistory(t, 5, scrub)
	broken := tlog.HashReaderFunc(func([]int64) ([]tlog.Hash, error) { return nil, errors.New("disk is gone") })
	short := tlog.HashReaderFunc(func([]int64) ([]tlog.Hash, error) { return nil, nil })
	tests := []struct {
		name   string
		size   int64
		hashes tlog.HashReader
		entry  []byte
	}{
		{"malformed entry", 5, h.log, []byte("{}\n")},
		{"negative size", -1, h.log, h.entries[0]},
		{"too large", 1 << 62, h.log, h.entries[0]},
		{"overflow", 1<<63 - 1, h.log, h.entries[0]},
		{"hashes cannot be read", 5, broken, h.entries[0]},
		{"hashes are missing", 5, short, h.entries[0]},
	}
	for _, tt := range tests {
		if _, head, err := ledger.Append(tt.size, tt.hashes, tt.entry); err == nil {
			t.Errorf("%s: appended, head %v", tt.name, head)
		}
	}
}

func TestInclusion(t *testing.T) {
	const n = 33
	h := newHistory(t, n, scrub)
	for size := int64(1); size <= n; size++ {
		for index := range size {
			p, err := ledger.ProveInclusion(index, size, h.log)
			if err != nil {
				t.Fatal(err)
			}
			if p, err = ledger.ParseInclusion(p.Encode()); err != nil {
				t.Fatal(err)
			}
			if err := p.Verify(h.entries[index], h.checkpoints[size]); err != nil {
				t.Errorf("entry %d of %d: %v", index, size, err)
			}
			for _, wrong := range []struct {
				what  string
				proof ledger.Inclusion
				entry int64
				at    int64
			}{
				{"other entry", p, (index + 1) % n, size},
				{"other checkpoint", p, index, size%n + 1},
				{"other index", ledger.Inclusion{Index: index + 1, Size: size, Path: p.Path}, index, size},
				{"index beyond the log", ledger.Inclusion{Index: size, Size: size, Path: p.Path}, index, size},
				{"longer path", ledger.Inclusion{Index: index, Size: size, Path: append(slices.Clone(p.Path), tlog.Hash{})}, index, size},
				{"no path", ledger.Inclusion{Index: index, Size: size}, index, size},
			} {
				if err := wrong.proof.Verify(h.entries[wrong.entry], h.checkpoints[wrong.at]); !errors.Is(err, ledger.ErrNotProven) {
					t.Errorf("entry %d of %d, %s: error %v, want ErrNotProven", index, size, wrong.what, err)
				}
			}
			for i := range p.Path {
				bad := ledger.Inclusion{Index: index, Size: size, Path: slices.Clone(p.Path)}
				bad.Path[i][7] ^= 1
				if err := bad.Verify(h.entries[index], h.checkpoints[size]); !errors.Is(err, ledger.ErrNotProven) {
					t.Errorf("entry %d of %d, hash %d altered: error %v, want ErrNotProven", index, size, i, err)
				}
			}
		}
	}
}

func TestConsistency(t *testing.T) {
	const n = 33
	h := newHistory(t, n, scrub)
	// Another history that the same key has signed, different from entry 10 on.
	fork := newHistory(t, n, func(i int) ledger.Event {
		if i < 10 {
			return scrub(i)
		}
		return scrub(1000 + i)
	})
	for to := int64(0); to <= n; to++ {
		for from := int64(0); from <= to; from++ {
			p, err := ledger.ProveConsistency(from, to, h.log)
			if err != nil {
				t.Fatal(err)
			}
			if p, err = ledger.ParseConsistency(p.Encode()); err != nil {
				t.Fatal(err)
			}
			if err := p.Verify(h.checkpoints[from], h.checkpoints[to]); err != nil {
				t.Errorf("from %d to %d: %v", from, to, err)
			}
			if from > 10 {
				var forked *ledger.ForkError
				err := p.Verify(fork.checkpoints[from], h.checkpoints[to])
				if from == to && !errors.As(err, &forked) || from < to && !errors.Is(err, ledger.ErrNotProven) {
					t.Errorf("from %d of a fork to %d: error %v", from, to, err)
				}
			}
			if from < to {
				if err := p.Verify(h.checkpoints[to], h.checkpoints[from]); !errors.Is(err, ledger.ErrNotProven) {
					t.Errorf("from %d back to %d: error %v, want ErrNotProven", to, from, err)
				}
			}
			longer := ledger.Consistency{From: from, To: to, Path: append(slices.Clone(p.Path), tlog.Hash{})}
			if err := longer.Verify(h.checkpoints[from], h.checkpoints[to]); !errors.Is(err, ledger.ErrNotProven) {
				t.Errorf("from %d to %d, longer path: error %v, want ErrNotProven", from, to, err)
			}
			for i := range p.Path {
				bad := ledger.Consistency{From: from, To: to, Path: slices.Clone(p.Path)}
				bad.Path[i][7] ^= 1
				if err := bad.Verify(h.checkpoints[from], h.checkpoints[to]); !errors.Is(err, ledger.ErrNotProven) {
					t.Errorf("from %d to %d, hash %d altered: error %v, want ErrNotProven", from, to, i, err)
				}
			}
		}
	}

	other := h.checkpoints[7]
	other.Store[0]++
	p, err := ledger.ProveConsistency(7, 9, h.log)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Verify(other, h.checkpoints[9]); !errors.Is(err, ledger.ErrNotProven) {
		t.Errorf("checkpoints of two safes: error %v, want ErrNotProven", err)
	}
}

func TestProveRefuses(t *testing.T) {
	h := newHistory(t, 5, scrub)
	for _, tt := range []struct{ index, size int64 }{{5, 5}, {-1, 5}, {0, 0}, {0, 6}, {0, 1 << 62}} {
		if p, err := ledger.ProveInclusion(tt.index, tt.size, h.log); err == nil {
			t.Errorf("ProveInclusion(%d, %d) = %v", tt.index, tt.size, p)
		}
	}
	for _, tt := range []struct{ from, to int64 }{{6, 5}, {-1, 5}, {2, 6}, {1, 1 << 62}} {
		if p, err := ledger.ProveConsistency(tt.from, tt.to, h.log); err == nil {
			t.Errorf("ProveConsistency(%d, %d) = %v", tt.from, tt.to, p)
		}
	}
}

const (
	goldenInclusion   = `{"v":1,"index":2,"size":3,"path":["8TkxDP01MwByxLrLCgzX+fRK/WvYB+PZMenjOlrfhC8="]}` + "\n"
	goldenConsistency = `{"v":1,"from":2,"to":3,"path":["z5vBtYjZv7ekx3yo5xnvogAZiNb8dqkhVdFglCd4N7Y="]}` + "\n"
)

func TestGoldenProofs(t *testing.T) {
	log, _ := goldenLog(t)
	inclusion, err := ledger.ProveInclusion(2, 3, log)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(inclusion.Encode()); got != goldenInclusion {
		t.Errorf("inclusion proof %s, want %s", got, goldenInclusion)
	}
	consistency, err := ledger.ProveConsistency(2, 3, log)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(consistency.Encode()); got != goldenConsistency {
		t.Errorf("consistency proof %s, want %s", got, goldenConsistency)
	}
}

func TestParseProofRefuses(t *testing.T) {
	for _, tt := range []struct{ name, old, new string }{
		{"version", `"v":1`, `"v":2`},
		{"space", `"v":1`, `"v": 1`},
		{"unknown field", `"v":1`, `"v":1,"w":2`},
		{"null path", `["8TkxDP01MwByxLrLCgzX+fRK/WvYB+PZMenjOlrfhC8="]`, `null`},
		{"stray bits in a hash", `hC8="`, `hC9="`},
		{"short hash", `hC8="`, `="`},
		{"index beyond the log", `"index":2`, `"index":3`},
		{"negative index", `"index":2`, `"index":-1`},
		{"size for which tlog does not end", `"size":3`, `"size":9223372036854775807`},
		{"more hashes than any tree has", `["`, `[` + strings.Repeat(`"8TkxDP01MwByxLrLCgzX+fRK/WvYB+PZMenjOlrfhC8=",`, 41) + `"`},
		{"too long", `["`, `[` + strings.Repeat(" ", 5000) + `"`},
		{"no newline", "\n", ""},
		{"two", "\n", "\n{}\n"},
	} {
		if !strings.Contains(goldenInclusion, tt.old) {
			t.Fatalf("%q is not in the proof", tt.old)
		}
		if p, err := ledger.ParseInclusion([]byte(strings.Replace(goldenInclusion, tt.old, tt.new, 1))); err == nil {
			t.Errorf("%s: accepted as %v", tt.name, p)
		}
	}
	for _, bad := range []string{
		strings.Replace(goldenConsistency, `"from":2`, `"from":4`, 1),
		strings.Replace(goldenConsistency, `"from":2`, `"from":-2`, 1),
		strings.Replace(goldenConsistency, `"to":3`, `"to":9223372036854775807`, 1),
		goldenInclusion,
	} {
		if p, err := ledger.ParseConsistency([]byte(bad)); err == nil {
			t.Errorf("%s is accepted as %v", bad, p)
		}
	}
}

func FuzzParseProof(f *testing.F) {
	f.Add([]byte(goldenInclusion))
	f.Add([]byte(goldenConsistency))
	f.Add([]byte(`{"v":1,"from":0,"to":0,"path":[]}` + "\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := ledger.ParseInclusion(b); err == nil {
			if !bytes.Equal(p.Encode(), b) {
				t.Errorf("%q is accepted and spelled %q", b, p.Encode())
			}
			if err := p.Verify(nil, ledger.Checkpoint{Head: ledger.Head{Size: p.Size}}); err == nil {
				t.Errorf("%q proves what is not true", b)
			}
		}
		if p, err := ledger.ParseConsistency(b); err == nil {
			if !bytes.Equal(p.Encode(), b) {
				t.Errorf("%q is accepted and spelled %q", b, p.Encode())
			}
			if err := p.Verify(ledger.Checkpoint{Head: ledger.Head{Size: p.From}}, ledger.Checkpoint{Head: ledger.Head{Size: p.To, Root: tlog.Hash{1}}}); err == nil {
				t.Errorf("%q proves what is not true", b)
			}
		}
	})
}
