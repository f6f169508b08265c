package access

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/crypto/ssh"

	"strongroom/internal/access/signature"
	"strongroom/internal/access/sshsig"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/spelling"
)

// ActNamespace is the namespace of the signatures under acts.
const ActNamespace = "strongroom/v1/act"

// An Act is what a person states and signs: one of the types of this file, and
// Request of package opening. Statements are spelled like ledger entries, one
// line of JSON.
type Act interface {
	// Act names the kind of act: "roster.agree".
	Act() string
}

// Agree says that a proposed version of the roster may come into force.
type Agree struct {
	Number int         `json:"n"`
	Digest safe.Digest `json:"digest"`
	// After is the number of the ledger entry of the last objection to the
	// version, 0 if there was none. So what was agreed before an objection
	// cannot be used again after it.
	After int64 `json:"after"`
}

func (Agree) Act() string { return "roster.agree" }

// Object stops a proposed version of the roster.
type Object struct {
	Number int         `json:"n"`
	Digest safe.Digest `json:"digest"`
	Reason ledger.Text `json:"reason"`
}

func (Object) Act() string { return "roster.object" }

// Suspend stops a person, or one key of a person.
type Suspend struct {
	Person safe.PersonName `json:"person"`
	Key    signature.Key   `json:"key,omitzero"` // zero for all that the person has
	Reason ledger.Text     `json:"reason"`
}

func (Suspend) Act() string { return "person.suspend" }

// Refuse is a keykeeper's no to a request.
type Refuse struct {
	Opening safe.OpeningID `json:"opening"`
	Reason  ledger.Text    `json:"reason"`
}

func (Refuse) Act() string { return "opening.refuse" }

// Withdraw takes a request back.
type Withdraw struct {
	Opening safe.OpeningID `json:"opening"`
	Reason  ledger.Text    `json:"reason"`
}

func (Withdraw) Act() string { return "opening.withdraw" }

// Close shuts the gate of an opening.
type Close struct {
	Opening safe.OpeningID `json:"opening"`
	Reason  ledger.Text    `json:"reason"`
}

func (Close) Act() string { return "opening.close" }

// Rule says whether a component of the map needs another. What its texts mean,
// and which of them can be, is for package estate.
type Rule struct {
	Verdict ledger.Verdict `json:"verdict"`
	From    ledger.Text    `json:"from"`
	To      ledger.Text    `json:"to"`
	Need    ledger.Text    `json:"need"` // what for; "" for whatever is rejected
	Reason  ledger.Text    `json:"reason"`
}

func (Rule) Act() string { return "map.rule" }

// TakeBack takes back what somebody has said of the map.
type TakeBack struct {
	Entry  int64       `json:"entry"` // of the ledger, that says it
	Reason ledger.Text `json:"reason"`
}

func (TakeBack) Act() string { return "map.take-back" }

// Request asks for an opening.
type Request struct {
	Opening   safe.OpeningID `json:"opening"` // is good once
	NotAfter  time.Time      `json:"not_after"`
	Snapshots []safe.RunID   `json:"snapshots"` // ascending, each once
	Hours     int            `json:"hours"`
	Reason    ledger.Text    `json:"reason"`
	Address   netip.Addr     `json:"address"` // that the operator will come from
	// Known is the size of the newest checkpoint that the operator's machine
	// remembers: the gate will have a proof from there on.
	Known int64 `json:"known"`
}

func (Request) Act() string { return "opening.request" }

const (
	// MaxHours bounds how long an opening may last.
	MaxHours = 72
	// MaxWaiting bounds how long a request may wait for its release.
	MaxWaiting = 7 * 24 * time.Hour
)

// Check reports why nobody may ask for this.
func (q Request) Check(stated time.Time) error {
	switch {
	case q.Opening.IsZero():
		return errors.New("it has no id")
	case len(q.Snapshots) == 0 || len(q.Snapshots) > ledger.MaxOpeningSnapshots:
		return fmt.Errorf("it is for %d snapshots, and may be for 1 to %d", len(q.Snapshots), ledger.MaxOpeningSnapshots)
	case q.Hours < 1 || q.Hours > MaxHours:
		return fmt.Errorf("it is for %d hours, and may be for 1 to %d", q.Hours, MaxHours)
	case q.Reason == "":
		return errors.New("it gives no reason")
	case !q.Address.IsValid() || q.Address != q.Address.Unmap():
		return fmt.Errorf("%s is no address that somebody comes from", q.Address)
	case !q.NotAfter.After(stated) || q.NotAfter.After(stated.Add(MaxWaiting)):
		return fmt.Errorf("it is good until %s, which must be within %s", q.NotAfter.Format(time.RFC3339), MaxWaiting)
	case q.Known < 0:
		return errors.New("it knows a checkpoint of negative size")
	}
	for i, run := range q.Snapshots {
		if i > 0 && q.Snapshots[i-1].Compare(run) >= 0 {
			return errors.New("its snapshots are not in order")
		}
	}
	return nil
}

// A Statement is an act with who states it, where and when.
type Statement struct {
	Store  safe.StoreID
	Person safe.PersonName
	Time   time.Time // in UTC, in whole seconds
	Act    Act
}

// statement has the fields in the order in which they are signed.
type statement[A any] struct {
	Version int             `json:"v"`
	Store   safe.StoreID    `json:"store"`
	Act     string          `json:"act"`
	Person  safe.PersonName `json:"person"`
	Time    time.Time       `json:"time"`
	What    A               `json:"what"`
}

// acts is the closed list.
var acts = map[string]func([]byte) (Act, error){
	Agree{}.Act():    readAct[Agree],
	Object{}.Act():   readAct[Object],
	Suspend{}.Act():  readAct[Suspend],
	Request{}.Act():  readAct[Request],
	Refuse{}.Act():   readAct[Refuse],
	Withdraw{}.Act(): readAct[Withdraw],
	Close{}.Act():    readAct[Close],
	Rule{}.Act():     readAct[Rule],
	TakeBack{}.Act(): readAct[TakeBack],
}

func readAct[A Act](b []byte) (Act, error) {
	var a A
	return a, spelling.Parse(b, maxStatement, "an act", &a)
}

// maxStatement is what a ledger entry holds of one.
const maxStatement = 16 << 10

// Encode returns the bytes that are signed.
func (s Statement) Encode() ([]byte, error) {
	b, err := spelling.Of(statement[Act]{1, s.Store, s.Act.Act(), s.Person, s.Time, s.Act})
	if err == nil && len(b) > maxStatement {
		err = fmt.Errorf("a statement of %d bytes, at most %d are possible", len(b), maxStatement)
	}
	return b, err
}

// ParseStatement reads what Encode writes, and nothing else.
func ParseStatement(b []byte) (Statement, error) {
	var raw statement[json.RawMessage]
	if err := spelling.Parse(b, maxStatement, "a statement", &raw); err != nil {
		return Statement{}, err
	}
	read, ok := acts[raw.Act]
	if raw.Version != 1 || !ok {
		return Statement{}, fmt.Errorf("a statement of version %d, %.40q, which this program does not know", raw.Version, raw.Act)
	}
	act, err := read(raw.What)
	if err != nil {
		return Statement{}, err
	}
	s := Statement{Store: raw.Store, Person: raw.Person, Time: raw.Time, Act: act}
	again, err := s.Encode()
	if err != nil {
		return Statement{}, err
	}
	if !bytes.Equal(again, b) {
		return Statement{}, errors.New("a statement is not in its canonical spelling")
	}
	return s, nil
}

// Sign states an act and signs it with the person's SSH key.
func Sign(s Statement, signer ssh.Signer) (ledger.Signed, error) {
	s.Time = s.Time.UTC().Truncate(time.Second)
	b, err := s.Encode()
	if err != nil {
		return ledger.Signed{}, fmt.Errorf("stating %s: %w", s.Act.Act(), err)
	}
	made, err := sshsig.Sign(signer, ActNamespace, b)
	if err != nil {
		return ledger.Signed{}, fmt.Errorf("signing %s: %w", s.Act.Act(), err)
	}
	return ledger.Signed{Statement: string(b), Signature: made.String()}, nil
}

// ErrNotSigned means that a statement does not bear the signature of the
// person whom it names, as the roster knows that person.
var ErrNotSigned = errors.New("it is not signed by the person whom it names")

// Verify returns what a person of the roster has stated, and with which key.
// Suspensions are for the caller, who knows them. It returns ErrNotSigned
// whatever is wrong with person, key or signature.
func (r Roster) Verify(signed ledger.Signed) (Statement, signature.Key, error) {
	s, err := ParseStatement([]byte(signed.Statement))
	if err != nil {
		return Statement{}, signature.Key{}, err
	}
	if s.Store != r.Store {
		return Statement{}, signature.Key{}, fmt.Errorf("a statement for store %s, not for %s", s.Store, r.Store)
	}
	made, err := signature.Parse(signed.Signature)
	if err != nil {
		return Statement{}, signature.Key{}, ErrNotSigned
	}
	key, ok := r.SignedBy(s.Person, made, ActNamespace, []byte(signed.Statement))
	if !ok {
		return Statement{}, signature.Key{}, ErrNotSigned
	}
	return s, key, nil
}

// SignedBy finds the key with which that person of the roster has signed a
// message for the purpose that the namespace names.
func (r Roster) SignedBy(name safe.PersonName, made signature.Signature, namespace string, message []byte) (signature.Key, bool) {
	p, _ := r.Person(name)
	for _, key := range p.Signing() {
		if made.Verify(key, r.Domain, namespace, message) == nil {
			return key, true
		}
	}
	return signature.Key{}, false
}
