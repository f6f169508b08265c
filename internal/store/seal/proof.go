package seal

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
)

// MaxProof bounds a challenge. Real ones have up to 5 kB.
const MaxProof = 16 << 10

// A holding is what a challenge asks to be shown: which role keys somebody
// holds. It stands in the challenge, so that an answer given for one purpose
// is no answer for another.
type holding string

const (
	bothKeys holding = "both"
	outerKey holding = "outer"
	innerKey holding = "inner"
)

// proofDomain keeps a challenge apart from everything else that is sealed to
// role keys: layers of envelopes are JSON.
const proofDomain = "strongroom/v1/proof\n"

// NewProof makes a challenge that only both role keys together can answer:
// nonce, sealed to inner and that to outer, as an envelope is. The nonce is
// random, good for one challenge, and known to nobody but who asks:
//
//	age(outer){ age(inner){ "strongroom/v1/proof\n" "both\n" <nonce in 64 hex digits> "\n" } }
//
// An answer proves that somebody with the keys opened this challenge. It does
// not say who asked: an asker can pass on what another has asked. So answer
// only over a connection on which the asker is known.
func NewProof(nonce [32]byte, outer OuterRecipient, inner InnerRecipient) ([]byte, error) {
	challenge, err := newProof(nonce, bothKeys, inner.recipient)
	if err != nil {
		return nil, err
	}
	if challenge, err = outer.sealBytes(challenge); err != nil {
		return nil, fmt.Errorf("making a challenge to both role keys: %w", err)
	}
	return challenge, nil
}

// AnswerProof answers what NewProof makes: it returns the nonce. It takes
// nothing else, so that nobody can have a person open an envelope, or another
// kind of challenge, in the guise of a proof. The error is ErrWrongKey if
// either layer is sealed to another key.
func AnswerProof(outer OuterIdentity, inner InnerIdentity, challenge []byte) ([32]byte, error) {
	within, err := outer.openBytes(challenge, MaxProof)
	if err != nil {
		return [32]byte{}, fmt.Errorf("answering a challenge to both role keys: outer layer: %w", err)
	}
	return inner.answerProof(within, bothKeys)
}

// NewOuterProof makes a challenge that only the outer key can answer; see
// NewProof.
func NewOuterProof(nonce [32]byte, outer OuterRecipient) ([]byte, error) {
	return newProof(nonce, outerKey, outer.recipient)
}

// AnswerOuterProof answers what NewOuterProof makes, and nothing else; see
// AnswerProof.
func AnswerOuterProof(outer OuterIdentity, challenge []byte) ([32]byte, error) {
	return outer.answerProof(challenge, outerKey)
}

// NewInnerProof makes a challenge that only the inner key can answer; see
// NewProof.
func NewInnerProof(nonce [32]byte, inner InnerRecipient) ([]byte, error) {
	return newProof(nonce, innerKey, inner.recipient)
}

// AnswerInnerProof answers what NewInnerProof makes, and nothing else; see
// AnswerProof.
func AnswerInnerProof(inner InnerIdentity, challenge []byte) ([32]byte, error) {
	return inner.answerProof(challenge, innerKey)
}

func newProof(nonce [32]byte, of holding, to recipient) ([]byte, error) {
	challenge, err := to.sealBytes(proofText(nonce, of))
	if err != nil {
		return nil, fmt.Errorf("making a challenge to %s: %w", of.name(), err)
	}
	return challenge, nil
}

func (i identity) answerProof(challenge []byte, of holding) ([32]byte, error) {
	plain, err := i.openBytes(challenge, MaxProof)
	if err != nil {
		return [32]byte{}, fmt.Errorf("answering a challenge to %s: %w", of.name(), err)
	}
	nonce, err := parseProof(plain, of)
	if err != nil {
		return [32]byte{}, fmt.Errorf("answering a challenge to %s: %w", of.name(), err)
	}
	return nonce, nil
}

// name is the holding in an error's words.
func (h holding) name() string {
	if h == bothKeys {
		return "both role keys"
	}
	return "the " + string(h) + " key"
}

func proofText(nonce [32]byte, of holding) []byte {
	return fmt.Appendf(nil, "%s%s\n%x\n", proofDomain, of, nonce)
}

// parseProof reads the form that proofText writes, and no other. What is wrong
// is not said in detail, since an error must not repeat what was under a seal.
func parseProof(plain []byte, of holding) ([32]byte, error) {
	var nonce [32]byte
	digits, ok := bytes.CutPrefix(plain, []byte(proofDomain+string(of)+"\n"))
	if ok && len(digits) == 2*len(nonce)+1 {
		_, err := hex.Decode(nonce[:], digits[:2*len(nonce)])
		if err == nil && bytes.Equal(plain, proofText(nonce, of)) {
			return nonce, nil
		}
	}
	return [32]byte{}, errors.New("what is under the seal is not such a challenge, and is not disclosed")
}
