package report_test

import (
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"

	"strongroom/internal/ledger"
	"strongroom/internal/ledger/ledgertest"
	"strongroom/internal/report"
)

// TestPathOf goes from every entry to the root in ledgers of every size up to
// one in which the tree is not whole at several places.
func TestPathOf(t *testing.T) {
	var log ledgertest.Log
	var entries [][]byte
	for size := int64(1); size <= 41; size++ {
		e := ledger.Entry{Time: now, Who: ledger.Safe, What: ledger.ScrubDone{Objects: size}}
		head, err := log.Append(e.Time, e.What)
		if err != nil {
			t.Fatal(err)
		}
		b, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, b)
		for n := range size {
			proof, err := ledger.ProveInclusion(n, size, &log)
			if err != nil {
				t.Fatal(err)
			}
			root, path := report.PathOf(entries[n], proof)
			for _, node := range path {
				given := node.Right
				if node.GivenRight {
					given = node.Left
				}
				if given != root {
					t.Errorf("entry %d of %d: %+v does not join what is before it, %s", n, size, node, root)
				}
				root = node.Hash
			}
			if want := hex.EncodeToString(head.Root[:]); root != want {
				t.Errorf("entry %d of %d leads to %s, not to the root %s", n, size, root, want)
			}
		}
	}
}

func TestByHand(t *testing.T) {
	root := strings.Repeat("cd", 32)
	raw, err := hex.DecodeString(root)
	if err != nil {
		t.Fatal(err)
	}
	path := []report.Node{{Left: "11", Right: "22", Hash: "33", GivenRight: true}, {Left: "44", Right: "33", Hash: root}}
	got := report.ByHand("11", path, report.Checkpoint{Size: 3, Root: base64.StdEncoding.EncodeToString(raw)})
	var lines []string
	for _, s := range got {
		lines = append(lines, s.Command+" -> "+s.Shows)
	}
	want := ` -> 
(printf '\000'; cat entry.json) | sha256sum -> 11
printf 011122 | xxd -r -p | sha256sum -> 33
printf 014433 | xxd -r -p | sha256sum -> ` + root + `
printf ` + root + ` | xxd -r -p | base64 -> zc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc0=
strongroom ledger verify --checkpoint MAIL -> `
	if all := strings.Join(lines, "\n"); all != want {
		t.Errorf("got\n%s\nwant\n%s", all, want)
	}
	if !strings.Contains(got[2].Text, "stands right") || !strings.Contains(got[3].Text, "stands left") {
		t.Errorf("the sides are %q, %q", got[2].Text, got[3].Text)
	}
}
