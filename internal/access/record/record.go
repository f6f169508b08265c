// Package record is what people state of snapshots that they have restored: that
// they came back, and whether they were found to be right.
//
// A record is signed by who did it. It is no act: nothing is done by it, it is
// good for as long as somebody can bring it, and it comes in a file, through the
// gate of an opening or by hand. So it has a namespace of its own, in which
// nothing else is signed.
//
// A signature says who claims something, and not that it is true. Package
// coverage takes one person's word for what came back, and two people's where
// that was promised.
package record

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/crypto/ssh"

	"strongroom/internal/access"
	"strongroom/internal/access/signature"
	"strongroom/internal/access/sshsig"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/spelling"
)

// Namespace is the namespace of the signatures under records.
const Namespace = "strongroom/v1/record"

// A Kind says what was done. There is one; what else there may be one day has
// more to tell, and another version.
type Kind string

// Restore is a restore by hand.
const Restore Kind = "restore"

// A Result is what somebody found who looked at what had been restored.
type Result string

const (
	Right Result = "right"
	Wrong Result = "wrong"
)

// A Record says what came of snapshots that somebody has restored.
type Record struct {
	Version int             `json:"v"`
	Store   safe.StoreID    `json:"store"`
	Kind    Kind            `json:"kind"`
	Person  safe.PersonName `json:"person"`
	// Application is the one that was rebuilt as a whole, from its first step to
	// its last; empty if none was.
	Application ledger.Text `json:"application,omitempty"`
	Host        ledger.Text `json:"host"` // on which it was done
	Started     time.Time   `json:"started"`
	Ended       time.Time   `json:"ended"`
	Snapshots   []Restored  `json:"snapshots"` // ascending by run, each once
	Note        ledger.Text `json:"note,omitempty"`
}

// A Restored is one snapshot that was restored. The run names it: the ledger of
// the store has the digest of its description.
type Restored struct {
	Run     safe.RunID      `json:"run"`
	Source  safe.SourceName `json:"source"`
	Result  Result          `json:"result"`
	Checked ledger.Text     `json:"checked"` // how that was found out, in words
}

const (
	version = 1
	// MaxSnapshots bounds those of a record, as those of an opening are.
	MaxSnapshots = ledger.MaxOpeningSnapshots
	// maxStatement is what a ledger entry holds of one.
	maxStatement = 16 << 10
	// MaxFile bounds a file with a record: the statement in quotation marks, in
	// which some bytes take two or six, and the signature.
	MaxFile = 64 << 10
)

// New returns a record of the restore of snapshots, without what is optional.
func New(store safe.StoreID, person safe.PersonName, host ledger.Text, started, ended time.Time, snapshots []Restored) Record {
	return Record{Version: version, Store: store, Kind: Restore, Person: person, Host: host,
		Started: started.UTC().Truncate(time.Second), Ended: ended.UTC().Truncate(time.Second), Snapshots: snapshots}
}

// Check reports why nobody can have done this.
func (r Record) Check() error {
	switch {
	case r.Version != version:
		return fmt.Errorf("a record of version %d, this program knows version %d", r.Version, version)
	case r.Kind != Restore:
		return fmt.Errorf("a record of the kind %.40q, which this program does not know", r.Kind)
	case r.Store.IsZero():
		return errors.New("it does not say of which safe it is")
	case r.Person == "":
		return errors.New("it does not say who did it")
	case r.Host == "":
		return errors.New("it does not say on which host it was done")
	case !isSecond(r.Started) || !isSecond(r.Ended):
		return errors.New("it does not say when it was done, in UTC and in whole seconds")
	case r.Started.After(r.Ended):
		return fmt.Errorf("it started at %s, after its end at %s", r.Started.Format(time.RFC3339), r.Ended.Format(time.RFC3339))
	case len(r.Snapshots) == 0 || len(r.Snapshots) > MaxSnapshots:
		return fmt.Errorf("it is of %d snapshots, and may be of 1 to %d", len(r.Snapshots), MaxSnapshots)
	}
	for i, s := range r.Snapshots {
		switch {
		case i > 0 && r.Snapshots[i-1].Run.Compare(s.Run) >= 0:
			return errors.New("its snapshots are not in order, each once")
		case s.Source == "":
			return fmt.Errorf("it does not say of which source snapshot %s is", s.Run)
		case s.Result != Right && s.Result != Wrong:
			return fmt.Errorf("it says that snapshot %s is %.40q: it is right or wrong", s.Run, s.Result)
		case s.Checked == "":
			return fmt.Errorf("it does not say how snapshot %s was checked", s.Run)
		}
	}
	return nil
}

func isSecond(t time.Time) bool {
	_, offset := t.Zone()
	return !t.IsZero() && offset == 0 && t.Nanosecond() == 0
}

// Right reports whether all that was restored was found to be right.
func (r Record) Right() bool {
	for _, s := range r.Snapshots {
		if s.Result != Right {
			return false
		}
	}
	return true
}

// Sign states the record and signs it with the SSH key of its person.
func Sign(r Record, signer ssh.Signer) (ledger.Signed, error) {
	if err := r.Check(); err != nil {
		return ledger.Signed{}, err
	}
	b, err := spelling.Of(r)
	if err != nil {
		return ledger.Signed{}, fmt.Errorf("stating a record: %w", err)
	}
	if len(b) > maxStatement {
		return ledger.Signed{}, fmt.Errorf("a record of %d bytes, at most %d are possible", len(b), maxStatement)
	}
	made, err := sshsig.Sign(signer, Namespace, b)
	if err != nil {
		return ledger.Signed{}, fmt.Errorf("signing a record: %w", err)
	}
	return ledger.Signed{Statement: string(b), Signature: made.String()}, nil
}

// Encode returns the bytes of a file with what was signed.
func Encode(signed ledger.Signed) ([]byte, error) { return spelling.Of(signed) }

// Parse reads what Encode writes of a good record, and nothing else. Who has
// signed it is not looked at.
func Parse(b []byte) (ledger.Signed, Record, error) {
	var signed ledger.Signed
	if err := spelling.Parse(b, MaxFile, "a record", &signed); err != nil {
		return ledger.Signed{}, Record{}, err
	}
	if !spelling.Is(b, signed) {
		return ledger.Signed{}, Record{}, errors.New("the file of a record is not in its canonical spelling")
	}
	r, err := ParseStatement([]byte(signed.Statement))
	if err != nil {
		return ledger.Signed{}, Record{}, err
	}
	return signed, r, nil
}

// ParseStatement reads the statement of a record, as Sign makes it.
func ParseStatement(b []byte) (Record, error) {
	var r Record
	if err := spelling.Parse(b, maxStatement, "a record", &r); err != nil {
		return Record{}, err
	}
	if err := r.Check(); err != nil {
		return Record{}, err
	}
	if !spelling.Is(b, r) {
		return Record{}, errors.New("a record is not in its canonical spelling")
	}
	return r, nil
}

// Verify returns the key with which the person of a record has signed it, as a
// roster knows that person. Suspensions are for the caller, who knows them. It
// returns access.ErrNotSigned whatever is wrong with person, key or signature.
func Verify(roster access.Roster, r Record, signed ledger.Signed) (signature.Key, error) {
	if r.Store != roster.Store {
		return signature.Key{}, fmt.Errorf("a record of store %s, not of %s", r.Store, roster.Store)
	}
	made, err := signature.Parse(signed.Signature)
	if err != nil {
		return signature.Key{}, access.ErrNotSigned
	}
	key, ok := roster.SignedBy(r.Person, made, Namespace, []byte(signed.Statement))
	if !ok {
		return signature.Key{}, access.ErrNotSigned
	}
	return key, nil
}
