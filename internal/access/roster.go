// Package access says who may do what. For now that is the roster: the public
// keys that a safe seals to and signs with, in numbered versions.
package access

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/store/seal"
)

// A Roster is one version of the roster. Only public keys stand in it.
type Roster struct {
	Version    int                `json:"v"`
	Store      safe.StoreID       `json:"store"`
	Number     int                `json:"n"`           // from 1
	LedgerKeys []ledger.PublicKey `json:"ledger_keys"` // all that were ever valid, the newest last
	Periods    []Period           `json:"periods"`     // the newest last
}

// A Period has its own pair of role keys. Runs are sealed to those of the
// newest period.
type Period struct {
	From  time.Time           `json:"from"`
	Outer seal.OuterRecipient `json:"outer"` // the keykeepers' role key
	Inner seal.InnerRecipient `json:"inner"` // the operators' role key
}

// MaxRoster bounds the bytes of a roster.
const MaxRoster = 4 << 20

const rosterVersion = 1

// First returns version 1 of the roster of the safe whose ledger the key signs.
func First(key ledger.PublicKey, period Period) Roster {
	return Roster{Version: rosterVersion, Store: key.Store(), Number: 1, LedgerKeys: []ledger.PublicKey{key}, Periods: []Period{period}}
}

// Current returns the period whose keys runs are sealed to.
func (r Roster) Current() Period { return r.Periods[len(r.Periods)-1] }

// Encode returns the one spelling of r that is stored and hashed.
func (r Roster) Encode() []byte {
	b, err := json.Marshal(r)
	if err != nil {
		panic(fmt.Sprintf("a roster cannot be encoded: %v", err)) // no field can fail
	}
	return append(b, '\n')
}

// ParseRoster reads what Encode writes, strictly.
func ParseRoster(b []byte) (Roster, error) {
	if len(b) > MaxRoster {
		return Roster{}, fmt.Errorf("roster of %d bytes, at most %d are possible", len(b), MaxRoster)
	}
	var r Roster
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		return Roster{}, fmt.Errorf("reading a roster: %w", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return Roster{}, errors.New("a roster is followed by something else")
	}
	switch {
	case r.Version != rosterVersion:
		return Roster{}, fmt.Errorf("a roster has version %d of the format, this program knows version %d", r.Version, rosterVersion)
	case r.Number < 1 || len(r.Periods) == 0 || len(r.LedgerKeys) == 0:
		return Roster{}, errors.New("a roster lacks its number, its role keys or the ledger's key")
	case !bytes.Equal(r.Encode(), b):
		return Roster{}, errors.New("a roster is not in its canonical spelling")
	}
	return r, nil
}
