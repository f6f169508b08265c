package report

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"strongroom/internal/ledger"
)

// PathOf computes the hashes from an entry up to the root of the ledger, as RFC
// 9162 does to verify a proof (section 2.1.3.2): the last is the root, if the
// entry stands where the proof says. It does not say whether that is so.
func PathOf(entry []byte, p ledger.Inclusion) (leaf string, path []Node) {
	hash := sha256.Sum256(append([]byte{0}, entry...))
	leaf = hex.EncodeToString(hash[:])
	at, last := p.Index, p.Size-1 // of the subtree that hash is the root of, and of the last one beside it
	for _, given := range p.Path {
		left, right, isLeft := hash[:], given[:], true
		if at%2 == 1 || at == last {
			left, right, isLeft = given[:], hash[:], false
		}
		sum := sha256.Sum256(append(append([]byte{1}, left...), right...))
		path = append(path, Node{Left: hex.EncodeToString(left), Right: hex.EncodeToString(right), Hash: hex.EncodeToString(sum[:]), GivenRight: isLeft})
		// A subtree without a sibling is its own parent.
		for !isLeft && at%2 == 0 && at != 0 {
			at, last = at/2, last/2
		}
		hash, at, last = sum, at/2, last/2
	}
	return leaf, path
}

// ByHand says how to check the path from an entry to a checkpoint with nothing
// of this program.
func ByHand(leaf string, path []Node, c Checkpoint) []Step {
	steps := []Step{
		{Text: "Save the entry as entry.json, to the byte: one line, with the newline at its end."},
		{Text: "Compute its hash.", Command: `(printf '\000'; cat entry.json) | sha256sum`, Shows: leaf},
	}
	root := leaf
	for i, n := range path {
		side := "left"
		if n.GivenRight {
			side = "right"
		}
		steps = append(steps, Step{
			Text:    fmt.Sprintf("Join it with hash %d of the proof, which stands %s.", i+1, side),
			Command: fmt.Sprintf("printf 01%s%s | xxd -r -p | sha256sum", n.Left, n.Right), Shows: n.Hash,
		})
		root = n.Hash
	}
	return append(steps,
		Step{Text: "That is the root. Write it as checkpoints do.", Command: fmt.Sprintf("printf %s | xxd -r -p | base64", root), Shows: c.Root},
		Step{Text: fmt.Sprintf("Compare it with a checkpoint of %s that you have from elsewhere: in a mail, its second line is the number of entries, its third the root. If your newest mail is older, this proves that the ledger goes on from there:",
			Counted(c.Size, "entry", "entries")), Command: "strongroom ledger verify --checkpoint MAIL"})
}
