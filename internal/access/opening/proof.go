package opening

import "encoding/json"

// A Proof shows that a description stands in the ledger. The gate has one for
// each snapshot, /ledger/proofs/<run>.json, to the checkpoint beside it.
type Proof struct {
	Entry     []byte `json:"entry"`     // snapshot.kept
	Inclusion []byte `json:"inclusion"` // as ledger.Inclusion encodes it
}

// maxProof bounds the bytes of a proof: an entry and a path.
const maxProof = 128 << 10

// Encode returns the bytes of the file.
func (p Proof) Encode() []byte {
	b, err := json.Marshal(p)
	if err != nil {
		panic(err) // two strings of bytes always can
	}
	return append(b, '\n')
}

// ParseProof reads what Encode writes. What it says is not verified yet.
func ParseProof(b []byte) (p Proof, err error) {
	return p, parse(b, maxProof, "a proof", &p)
}
