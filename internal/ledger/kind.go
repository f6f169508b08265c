package ledger

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"strongroom/internal/safe"
	"strongroom/internal/spelling"
)

// Kind says what sort of thing happened: "run.begun". The kinds are a closed
// list with one type each.
type Kind string

// An Event is what an entry records: one of the types of this file.
type Event interface {
	Kind() Kind
	// check reports why the event cannot stand in an entry, beyond what its
	// fields' types see to.
	check() error
}

// kinds is the closed list. A new kind is a type below, a line here and a
// line in the test of golden bytes; the fields of an old one never change.
var kinds = map[Kind]func([]byte) (Event, error){
	SafeCreated{}.Kind():     read[SafeCreated],
	RosterChanged{}.Kind():   read[RosterChanged],
	RunBegun{}.Kind():        read[RunBegun],
	SnapshotKept{}.Kind():    read[SnapshotKept],
	RunFailed{}.Kind():       read[RunFailed],
	MemoryForgotten{}.Kind(): read[MemoryForgotten],
	ObjectRepaired{}.Kind():  read[ObjectRepaired],
	ObjectLost{}.Kind():      read[ObjectLost],
	ScrubDone{}.Kind():       read[ScrubDone],
	FindingRaised{}.Kind():   read[FindingRaised],

	FindingCleared{}.Kind():      read[FindingCleared],
	FindingAcknowledged{}.Kind(): read[FindingAcknowledged],

	KeepExtended{}.Kind(): read[KeepExtended],
	StateRebuilt{}.Kind(): read[StateRebuilt],
	MapRuled{}.Kind():     read[MapRuled],
	MapWithdrawn{}.Kind(): read[MapWithdrawn],
	MapAnswered{}.Kind():  read[MapAnswered],

	SafeStarted{}.Kind():       read[SafeStarted],
	SafeStopped{}.Kind():       read[SafeStopped],
	RosterProposed{}.Kind():    read[RosterProposed],
	RosterAgreed{}.Kind():      read[RosterAgreed],
	RosterObjected{}.Kind():    read[RosterObjected],
	RosterDropped{}.Kind():     read[RosterDropped],
	PersonInvited{}.Kind():     read[PersonInvited],
	EnrolmentReceived{}.Kind(): read[EnrolmentReceived],
	PersonSuspended{}.Kind():   read[PersonSuspended],
	KeyChecked{}.Kind():        read[KeyChecked],
	KeyringKept{}.Kind():       read[KeyringKept],
	OpeningRequested{}.Kind():  read[OpeningRequested],
	OpeningReleased{}.Kind():   read[OpeningReleased],
	OpeningOpened{}.Kind():     read[OpeningOpened],
	OpeningRefused{}.Kind():    read[OpeningRefused],
	OpeningWithdrawn{}.Kind():  read[OpeningWithdrawn],
	OpeningExpired{}.Kind():    read[OpeningExpired],
	OpeningClosed{}.Kind():     read[OpeningClosed],
	RecordReceived{}.Kind():    read[RecordReceived],
	RecordAccepted{}.Kind():    read[RecordAccepted],
	RecordRefused{}.Kind():     read[RecordRefused],
	AccessRefused{}.Kind():     read[AccessRefused],
}

func read[E Event](b []byte) (Event, error) {
	var e E
	if err := spelling.Decode(b, &e); err != nil {
		return nil, err
	}
	return e, e.check()
}

// SafeCreated is the first entry of a ledger.
type SafeCreated struct {
	Name   Text         `json:"name"`
	Store  safe.StoreID `json:"store"`
	Roster safe.Digest  `json:"roster"` // of the first version of the roster
	Key    PublicKey    `json:"key"`    // the first that signs checkpoints
}

func (SafeCreated) Kind() Kind { return "safe.created" }
func (e SafeCreated) check() error {
	switch {
	case e.Name == "":
		return errors.New("the safe has no name")
	case e.Store.IsZero():
		return errors.New("the store has no id")
	case e.Key.Store() != e.Store:
		return fmt.Errorf("the ledger's key is for store %s, not for %s", e.Key.Store(), e.Store)
	}
	return checkDigest("roster", e.Roster)
}

// RosterChanged records a new version of the roster.
type RosterChanged struct {
	Version int64       `json:"version"`
	Digest  safe.Digest `json:"digest"`
}

func (RosterChanged) Kind() Kind { return "roster.changed" }
func (e RosterChanged) check() error {
	if e.Version < 1 {
		return fmt.Errorf("version %d of the roster", e.Version)
	}
	return checkDigest("digest", e.Digest)
}

// RunBegun records that a run has its key, before anything is collected.
type RunBegun struct {
	Run      safe.RunID      `json:"run"`
	Source   safe.SourceName `json:"source"`
	Envelope safe.Digest     `json:"envelope"` // of the envelope's bytes
	Roster   int64           `json:"roster"`   // version whose keys seal the envelope
}

func (RunBegun) Kind() Kind { return "run.begun" }
func (e RunBegun) check() error {
	if e.Roster < 1 {
		return fmt.Errorf("version %d of the roster", e.Roster)
	}
	return checkDigest("envelope", e.Envelope)
}

// SnapshotKept records that a run has become a snapshot. It is written in the
// transaction that makes it one.
type SnapshotKept struct {
	Run         safe.RunID      `json:"run"`
	Source      safe.SourceName `json:"source"`
	Description safe.Digest     `json:"description"` // of the bytes of snapshots/<run>.json
	Partial     bool            `json:"partial,omitempty"`
	Reason      Text            `json:"reason,omitempty"` // why it is partial; names nothing from inside the source
	Tier        safe.Tier       `json:"tier"`
	KeepUntil   time.Time       `json:"keep_until"`
	Entries     int64           `json:"entries"`
	Bytes       int64           `json:"bytes"`
	NewBytes    int64           `json:"new_bytes"`
	Warnings    int64           `json:"warnings"`
	Root        safe.Digest     `json:"root"`
}

// KeptOf returns the event for a snapshot with the description s, and why it
// is partial if it is.
func KeptOf(s safe.Snapshot, reason string) SnapshotKept {
	return SnapshotKept{
		Run:         s.Run,
		Source:      s.Source,
		Description: safe.DigestOf(s.Encode()),
		Partial:     s.Partial,
		Reason:      TextOf(reason),
		Tier:        s.Tier,
		KeepUntil:   s.KeepUntil.UTC(),
		Entries:     s.Entries,
		Bytes:       s.Bytes,
		NewBytes:    s.NewBytes,
		Warnings:    s.Warnings,
		Root:        s.Root,
	}
}

func (SnapshotKept) Kind() Kind { return "snapshot.kept" }
func (e SnapshotKept) check() error {
	switch e.Tier {
	case safe.Daily, safe.Weekly, safe.Monthly, safe.Yearly, safe.Broken:
	default:
		return fmt.Errorf("unknown tier %.40q", e.Tier)
	}
	if e.Reason != "" && !e.Partial {
		return errors.New("a reason goes with partial")
	}
	if e.Partial != (e.Tier == safe.Broken) {
		return fmt.Errorf("tier %q does not go with partial: %t", e.Tier, e.Partial)
	}
	if min(e.Entries, e.Bytes, e.NewBytes, e.Warnings) < 0 {
		return errors.New("a count is negative")
	}
	if err := checkTime("keep_until", e.KeepUntil); err != nil {
		return err
	}
	if err := checkDigest("description", e.Description); err != nil {
		return err
	}
	return checkDigest("root", e.Root)
}

// RunFailed records that nothing could be kept of a run.
type RunFailed struct {
	Run    safe.RunID      `json:"run"`
	Source safe.SourceName `json:"source"`
	Reason Text            `json:"reason"`
}

func (RunFailed) Kind() Kind   { return "run.failed" }
func (RunFailed) check() error { return nil }

// MemoryForgotten records that what the safe remembered of a source is gone,
// so that its next collection reads and stores everything.
type MemoryForgotten struct {
	Source safe.SourceName `json:"source"`
	Reason Text            `json:"reason"`
}

func (MemoryForgotten) Kind() Kind   { return "memory.forgotten" }
func (MemoryForgotten) check() error { return nil }

// A Repair says where the right bytes of a damaged object came from.
type Repair string

const (
	FromParity    Repair = "parity"
	FromCopy      Repair = "copy"    // the object of that name ending in .2, or the other way round
	FromReplica   Repair = "replica" // another store
	FromState     Repair = "state"   // what the safe knows itself: entries, descriptions
	ParityRebuilt Repair = "parity-rebuilt"
)

// ObjectRepaired records that a damaged object of the store was replaced by
// the right bytes.
type ObjectRepaired struct {
	Name string `json:"name"`
	How  Repair `json:"how"`
}

func (ObjectRepaired) Kind() Kind { return "object.repaired" }
func (e ObjectRepaired) check() error {
	switch e.How {
	case FromParity, FromCopy, FromReplica, FromState, ParityRebuilt:
	default:
		return fmt.Errorf("unknown way to repair: %.40q", e.How)
	}
	return checkObject(e.Name)
}

// maxLost bounds the snapshots that an ObjectLost names, so that the entry
// stays well below MaxEntry.
const maxLost = 1000

// ObjectLost records that an object of the store is damaged or missing and
// could not be rebuilt. Make it with LostOf.
type ObjectLost struct {
	Name      string       `json:"name"`
	Snapshots []safe.RunID `json:"snapshots"`      // that need it, ascending, the newest of them
	More      int          `json:"more,omitempty"` // older snapshots that need it
}

// LostOf returns the event for an object that the snapshots given need.
func LostOf(name string, snapshots []safe.RunID) ObjectLost {
	all := slices.SortedFunc(slices.Values(snapshots), safe.RunID.Compare)
	all = slices.Compact(all)
	more := max(0, len(all)-maxLost)
	// The empty list is spelled [], not null.
	return ObjectLost{Name: name, Snapshots: append([]safe.RunID{}, all[more:]...), More: more}
}

func (ObjectLost) Kind() Kind { return "object.lost" }
func (e ObjectLost) check() error {
	for i := 1; i < len(e.Snapshots); i++ {
		if e.Snapshots[i-1].Compare(e.Snapshots[i]) >= 0 {
			return errors.New("the snapshots are not in ascending order")
		}
	}
	switch {
	case e.Snapshots == nil:
		return errors.New("no list of snapshots")
	case len(e.Snapshots) > maxLost:
		return fmt.Errorf("%d snapshots, at most %d are named", len(e.Snapshots), maxLost)
	case e.More < 0, e.More > 0 && len(e.Snapshots) < maxLost:
		return fmt.Errorf("%d snapshots and %d more", len(e.Snapshots), e.More)
	}
	return checkObject(e.Name)
}

// ScrubDone records that a scrub came to its end.
type ScrubDone struct {
	Objects int64 `json:"objects"` // that were read
	Bytes   int64 `json:"bytes"`
	Damaged int64 `json:"damaged"`        // of Objects, repaired or not
	Left    int64 `json:"left,omitempty"` // of Damaged, those that were not repaired
}

func (ScrubDone) Kind() Kind { return "scrub.done" }
func (e ScrubDone) check() error {
	if min(e.Objects, e.Bytes, e.Damaged, e.Left) < 0 {
		return errors.New("a count is negative")
	}
	return nil
}

// FindingRaised records a suspicion that a person must look at. Those of one kind
// and subject are one finding until it is cleared: the number of the first entry
// is what FindingCleared and FindingAcknowledged refer to.
type FindingRaised struct {
	Finding string `json:"kind"`    // such as "source.host_key_refused"
	Subject Text   `json:"subject"` // what it is about: a source, an object, a run
	Text    Text   `json:"text"`
}

var findingForm = regexp.MustCompile(`^[a-z][a-z0-9_.-]{0,63}$`)

func (FindingRaised) Kind() Kind     { return "finding.raised" }
func (e FindingRaised) check() error { return checkFinding(e.Finding) }

func checkFinding(kind string) error {
	if !findingForm.MatchString(kind) {
		return fmt.Errorf("%.80q cannot be the kind of a finding", kind)
	}
	return nil
}

// FindingCleared records that what a finding is about is not so any more.
type FindingCleared struct {
	Entry   int64  `json:"entry"` // the FindingRaised that it began with
	Finding string `json:"kind"`  // as it was raised
	Subject Text   `json:"subject"`
	Reason  Text   `json:"reason"` // what has mended it
}

func (FindingCleared) Kind() Kind { return "finding.cleared" }
func (e FindingCleared) check() error {
	if e.Entry < 1 {
		return fmt.Errorf("entry %d raises no finding", e.Entry)
	}
	return checkFinding(e.Finding)
}

// FindingAcknowledged records that somebody knows of a finding and takes it on
// themselves, until a time. It silences that finding and no other, and ends when
// the same kind and subject are raised with another text. Whoever works at the
// safe's host is not proven to be anybody: so the safe acts, and the entry has
// the account.
type FindingAcknowledged struct {
	Entry   int64     `json:"entry"` // the FindingRaised that it began with
	Finding string    `json:"kind"`  // as it was raised
	Subject Text      `json:"subject"`
	Until   time.Time `json:"until"` // when it comes up again, if it is still so
	Reason  Text      `json:"reason"`
	Account Text      `json:"account"` // of the safe's host
}

func (FindingAcknowledged) Kind() Kind { return "finding.acknowledged" }
func (e FindingAcknowledged) check() error {
	switch {
	case e.Entry < 1:
		return fmt.Errorf("entry %d raises no finding", e.Entry)
	case e.Reason == "":
		return errors.New("it does not say why")
	}
	if err := checkFinding(e.Finding); err != nil {
		return err
	}
	return checkTime("until", e.Until)
}

// KeepExtended records that a snapshot is kept longer.
type KeepExtended struct {
	Run   safe.RunID `json:"run"`
	Until time.Time  `json:"until"`
}

func (KeepExtended) Kind() Kind     { return "keep.extended" }
func (e KeepExtended) check() error { return checkTime("until", e.Until) }

// StateRebuilt records that the safe's state was lost, and made anew from the
// store. What was recorded after the entries before this one, and had not come
// into the store, is lost.
type StateRebuilt struct {
	Entries int64 `json:"entries"` // of the ledger, that the store gave back: the number of this entry
	// Compared is the size of the largest checkpoint from elsewhere that was
	// compared with them; 0 if there was none, and nobody knows whether there
	// were more entries.
	Compared int64 `json:"compared,omitempty"`
}

func (StateRebuilt) Kind() Kind { return "state.rebuilt" }
func (e StateRebuilt) check() error {
	if e.Entries < 1 || e.Compared < 0 || e.Compared > e.Entries {
		return fmt.Errorf("a state of %d entries, compared with %d", e.Entries, e.Compared)
	}
	return nil
}

// checkTime refuses other zones than UTC, so that one moment has one
// spelling, and the zero time, which is a field that was forgotten.
func checkTime(field string, t time.Time) error {
	if t.IsZero() {
		return fmt.Errorf("%s is not set", field)
	}
	if _, offset := t.Zone(); offset != 0 {
		return fmt.Errorf("%s is not in UTC", field)
	}
	return nil
}

// checkDigest refuses the zero digest, which is a field that was forgotten.
func checkDigest(field string, d safe.Digest) error {
	if d.IsZero() {
		return fmt.Errorf("%s is not set", field)
	}
	return nil
}

var objectForm = regexp.MustCompile(`^[a-z0-9/._-]{1,255}$`)

func checkObject(name string) error {
	if !objectForm.MatchString(name) {
		return fmt.Errorf("%.260q cannot be the name of an object", name)
	}
	return safe.CheckPath(name)
}

// A Verdict is what somebody says of a dependency on the map. Package estate has
// what each means.
type Verdict string

const (
	Confirmed Verdict = "confirmed"
	Rejected  Verdict = "rejected"
	Added     Verdict = "added"
)

// MapRuled records what somebody says of whether a component needs another:
// an officer, who has signed it, or somebody at the safe's host. Who works there
// is not proven to be anybody: so the safe acts, and the entry has the account.
type MapRuled struct {
	Verdict Verdict `json:"verdict"`
	From    Text    `json:"from"` // components, as package estate names them
	To      Text    `json:"to"`
	Need    Text    `json:"need"` // what for, as package estate has it; "" for whatever is rejected
	Reason  Text    `json:"reason"`
	Account Text    `json:"account,omitempty"` // of the safe's host
	Signed  Signed  `json:"signed,omitzero"`   // if a person says it
}

func (MapRuled) Kind() Kind { return "map.ruled" }
func (e MapRuled) check() error {
	switch e.Verdict {
	case Confirmed, Rejected, Added:
	default:
		return fmt.Errorf("unknown verdict %.40q", e.Verdict)
	}
	switch {
	case e.From == "" || e.To == "" || e.From == e.To:
		return errors.New("it is not about two components")
	case e.Need == "" && e.Verdict != Rejected:
		return errors.New("it does not say what for")
	}
	return checkSayer(e.Account, e.Signed)
}

// checkSayer sees that either an account is there or what a person has signed.
func checkSayer(account Text, signed Signed) error {
	if (account == "") == (signed == Signed{}) {
		return errors.New("it must be said by an account of the safe's host, or by a person")
	}
	return signed.checkOptional()
}

// MapWithdrawn records that somebody takes back what an entry says of the map.
type MapWithdrawn struct {
	Entry   int64  `json:"entry"` // the MapRuled that is not in force any more
	Reason  Text   `json:"reason"`
	Account Text   `json:"account,omitempty"` // as of MapRuled
	Signed  Signed `json:"signed,omitzero"`
}

func (MapWithdrawn) Kind() Kind { return "map.withdrawn" }
func (e MapWithdrawn) check() error {
	if e.Entry < 1 {
		return fmt.Errorf("entry %d says nothing of the map", e.Entry)
	}
	return checkSayer(e.Account, e.Signed)
}

// MapAnswered records what somebody answers to the question whether a component
// may start without another that it needs, as a knot is opened by.
type MapAnswered struct {
	From    Text `json:"from"` // components, as package estate names them
	To      Text `json:"to"`
	May     bool `json:"may"`
	Reason  Text `json:"reason"`
	Account Text `json:"account"` // of the safe's host
}

func (MapAnswered) Kind() Kind { return "map.answered" }
func (e MapAnswered) check() error {
	if e.From == "" || e.To == "" || e.From == e.To {
		return errors.New("it is not about two components")
	}
	return nil
}
