// Package report has what people look at, as data: how the safe is, what
// became of a source, what the ledger says, who may do what and who got in, what
// depends on what, and what of an application would be missing.
//
// The daemon fills the reports from its state; pages, or a command, show them.
// Here are the types, and the functions that judge: which days are well, what a
// person must see to, what an entry of the ledger says in a sentence. They are
// pure and have no clock.
//
// The package does not promise that a text is fit for where it is shown: what
// stands in the ledger may have been said by a host that somebody broke into,
// so whoever shows a text escapes it. Times are shown by whoever knows the
// reader; there are none within texts but dates of agreements.
package report

import (
	"net/netip"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/access/opening"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
)

// A Level says how much of a person's attention something needs.
type Level string

const (
	OK    Level = "ok"    // as it should be
	Look  Level = "look"  // somebody should see to it
	Alarm Level = "alarm" // data is missing, or will be
)

// A Verdict answers whether a company could rise from ruins tonight.
type Verdict struct {
	Level    Level
	Sentence string // with the worst reason, if there is one
	Remedy   string // what to do about that; "" if there is nothing to do
	Others   int    // how many more findings there are
}

// A Finding is something that a person must see to, or at least know.
type Finding struct {
	Level   Level
	What    string            // a sentence without its full stop
	Why     string            // what is known of the cause; "" if nothing is
	Do      string            // what to do next, as "See why: strongroom doctor; then do it"; "" if there is nothing
	Since   time.Time         // zero if it is not known
	Sources []safe.SourceName // that it is about, if it is about sources: all of them, in their order
	Entry   int64             // of the ledger that tells of it; -1 if there is none
	Opening safe.OpeningID    // that it is about; zero if it is about none
}

// An Overview is the safe at a glance.
type Overview struct {
	Safe     string
	Store    safe.StoreID
	Now      time.Time // when it was looked at; in the zone in which days are counted
	Verdict  Verdict
	Sources  []SourceStrip // as they are configured; then those that no longer are, by name
	Opening  *OpeningLine  // that is open; nil if there is none
	Requests []OpeningLine // that wait for an answer, oldest first
	Findings []Finding     // the worst first
	// Applications are in the order of the configuration.
	Applications []ApplicationCard
	Checkpoint   Checkpoint
	LastScrub    *Scrub // nil if the store was never scrubbed
}

// A SourceStrip is one source at a glance.
type SourceStrip struct {
	Name   safe.SourceName
	Kind   string // "sftp"; "" if it is no longer configured
	Gone   bool   // it is no longer configured, and what was kept is still kept
	Newest *SnapshotLine
	Whole  *SnapshotLine // the newest complete one; nil if there is none
	Last   *Collection   // nil if it was never collected
	Days   []Day         // DaysShown of them, oldest first; the last is today
	Count  int64         // of its snapshots
	Bytes  int64         // of the newest complete snapshot
	New    int64         // of the newest snapshot
}

// DaysShown is how many days a strip has.
const DaysShown = 30

// A Day of a source is one of a strip's cells.
type Day struct {
	Date time.Time // midnight at its beginning, in the zone of the strip
	Mark Mark
	Runs int // that began on it
}

// A Mark says what became of a source on a day.
type Mark string

const (
	MarkKept    Mark = "kept"    // a complete snapshot was begun on it
	MarkPartial Mark = "partial" // no complete one, but a partial one
	MarkFailed  Mark = "failed"  // collections, and nothing was kept of any
	MarkLate    Mark = "late"    // no collection, though there should have been one
	MarkNone    Mark = "none"    // none was due: before the first, soon enough after the last, or no longer configured
	MarkFuture  Mark = "future"  // still to come today, or under way
)

// Marks are all there are, the best first.
var Marks = []Mark{MarkKept, MarkPartial, MarkFailed, MarkLate, MarkNone, MarkFuture}

// An Outcome says what became of a collection.
type Outcome string

const (
	Complete Outcome = "complete"
	Partial  Outcome = "partial"
	Failed   Outcome = "failed"
	Underway Outcome = "underway" // it has begun and may still run
	Broken   Outcome = "broken"   // it has begun and never ended: killed, or the power failed
	Lost     Outcome = "lost"     // it was kept, and both copies of its description are lost
)

// A Collection is one run of a source. The figures are those of its snapshot,
// zero if it has none.
type Collection struct {
	Run      safe.RunID
	Begun    time.Time
	Took     time.Duration // 0 if it has not ended
	Outcome  Outcome
	Reason   string // why it is not complete, in the words of the collector
	Entries  int64
	Bytes    int64
	New      int64
	Warnings int64
}

// A SnapshotLine is a snapshot in a list.
type SnapshotLine struct {
	Name      string // as other commands take it: erp-files@2026-11-21T02:10
	Run       safe.RunID
	Source    safe.SourceName
	Time      time.Time // when its collection began
	Tier      safe.Tier
	KeepUntil time.Time
	Entries   int64
	Bytes     int64
	New       int64
	Warnings  int64
	Partial   bool
}

// A Source is what happened to one source.
type Source struct {
	Safe        string
	Now         time.Time // as in Overview
	Name        safe.SourceName
	Kind        string // "" if it is no longer configured
	Gone        bool
	Where       string   // the host and user that it is pulled from; "this host" for a local one
	Include     []string // paths, or the command
	Exclude     []string
	Strip       SourceStrip
	Collections []Collection   // newest first, at most PageOfRuns
	Snapshots   []SnapshotLine // of these collections, newest first
	Before      safe.RunID     // those listed are older than this; zero for the newest
	Older       safe.RunID     // to ask for those before the ones listed; zero if there are none
}

// PageOfRuns is how many collections of a source are listed at a time.
const PageOfRuns = 200

// A Scrub is the newest reading of the whole store.
type Scrub struct {
	Time    time.Time
	Objects int64
	Bytes   int64
	Damaged int64
	Left    int64 // of Damaged, those that were not repaired
}

// A Checkpoint is the newest signed head of the ledger.
type Checkpoint struct {
	Size  int64
	Root  string    // as it stands in mails
	Time  time.Time // of the newest entry
	Words string    // of the root, for people to compare
	Bytes []byte    // signed, as in mails
}

// A LedgerPage is a part of the ledger.
type LedgerPage struct {
	Safe       string
	Now        time.Time
	Entries    []LedgerLine // newest first, at most PageOfEntries
	Checkpoint Checkpoint
	Older      int64 // the before of the next older page; 0 if there is none
	Newer      int64 // the before of the next newer page; 0 if this is the newest
}

// PageOfEntries is how many entries are listed at a time.
const PageOfEntries = 100

// A LedgerLine is an entry in a list.
type LedgerLine struct {
	N       int64
	Time    time.Time
	Kind    ledger.Kind
	Who     ledger.Who
	What    string // a sentence without its full stop
	Detail  string // what else is known, such as the reason; "" if nothing is
	Level   Level
	Source  safe.SourceName // that it is about; "" if about none
	Opening safe.OpeningID  // zero if about none
}

// An EntryPage is one entry, and what anybody needs to see that it stands in
// the ledger whose checkpoint they hold.
type EntryPage struct {
	Safe       string
	Now        time.Time
	Line       LedgerLine
	Bytes      []byte // exactly
	Leaf       string // SHA-256 of a zero byte and Bytes, in hex
	Path       []Node // from the leaf to the root
	Proof      []byte // the same for programs: ledger.Inclusion
	Checkpoint Checkpoint
	RootHex    string // of Checkpoint, in hex: the Hash of the last of Path, or Leaf if there is none
	Steps      []Step // how to check it by hand
	Last       int64  // the number of the ledger's newest entry
}

// A Node of an inclusion proof is the SHA-256 of a byte 1, Left and Right. One
// of them is the node before; Given says that the right one is the other.
type Node struct {
	Left, Right, Hash string // in hex
	GivenRight        bool   // Right comes from the proof and Left from the node before
}

// A Step is something to do, by hand or with a command.
type Step struct {
	Text    string
	Command string // "" if there is none
	Shows   string // what the command prints if all is well; "" if that is not known
}

// A PeoplePage is who holds what.
type PeoplePage struct {
	Safe       string
	Now        time.Time
	Version    int    // of the roster in force
	Words      string // of that version
	Pinned     string // words of the version that founded the safe, which people have compared; "" as long as there is none
	Founded    bool
	People     []PersonLine
	Missing    []Finding // what people should see to
	Proposals  []ProposalLine
	Enrolments []EnrolmentLine // of people who are in no roster
	Invited    []InvitationLine
}

// A PersonLine is a person of the roster.
type PersonLine struct {
	Name      safe.PersonName
	FullName  string
	Roles     []access.Role
	Mail      string
	Keys      []KeyLine
	Addresses []netip.Addr
	Suspended bool       // with all keys
	Proven    []KeyProof // role keys of the newest period that the person holds
}

// A KeyLine is a key that signs for a person.
type KeyLine struct {
	Fingerprint string
	Use         KeyUse
	Synced      bool // a passkey that its maker copies to other devices
	Suspended   bool
}

// A KeyUse says what a key is for.
type KeyUse string

const (
	UseSSH     KeyUse = "ssh"     // signs acts, and opens the gate
	UseSignIn  KeyUse = "sign-in" // a passkey to look with
	UseRelease KeyUse = "release" // a passkey that signs acts
)

// A KeyProof says when a role key was proven last.
type KeyProof struct {
	Role  string // "outer" or "inner"
	Paper bool
	Time  time.Time // zero if it never was
	Old   bool      // it should be proven again
	Page  bool      // the person proves it on the page
}

// A ProposalLine is a version of the roster that waits.
type ProposalLine struct {
	Version  int
	Digest   safe.Digest
	Words    string
	By       ledger.Who
	Proposed time.Time
	Changes  []string
	Agreed   []safe.PersonName
	Objected []safe.PersonName
	Papers   bool
	Ready    time.Time // when it comes into force; zero while agreement is missing
}

// An EnrolmentLine is somebody who has sent their keys.
type EnrolmentLine struct {
	Person   safe.PersonName
	FullName string
	Roles    []access.Role
	From     netip.Addr
	Time     time.Time
	Words    string
	Keys     []KeyLine
	Proposed int // the version that has them as they have enrolled, and waits; 0 if there is none
}

// An InvitationLine is somebody who was invited and has not come yet.
type InvitationLine struct {
	Person safe.PersonName
	Roles  []access.Role
	Until  time.Time
}

// An OpeningsPage lists who got in, and who wants to.
type OpeningsPage struct {
	Safe     string
	Now      time.Time
	Openings []OpeningLine // newest first
	More     bool          // there are older ones that are not listed
}

// An OpeningLine is an opening in a list.
type OpeningLine struct {
	ID       safe.OpeningID
	State    opening.State
	Operator safe.PersonName
	Address  netip.Addr // that the operator comes from
	Sources  []safe.SourceName
	Count    int // of its snapshots
	Reason   string
	Hours    int
	Asked    time.Time
	Until    time.Time // the request is good until then, or the opening
	Gate     string    // host and port, while it listens
	Cause    string    // why it is over
	Sessions int64
	Objects  int64
	Bytes    int64
}

// An OpeningPage is an opening from its request to its close.
type OpeningPage struct {
	Safe      string
	Now       time.Time
	Opening   OpeningLine
	Events    []OpeningEvent  // in time
	Snapshots []SnapshotLine  // that were asked for, in the order of the request; without figures if a description is gone
	Runs      int             // whose keys are disclosed, or would be
	Keykeeper safe.PersonName // who released it last; "" if nobody has
	Unknown   bool            // the safe did not live to count what was read
	Records   []RecordLine    // that the operator left
}

// An OpeningEvent is a step of an opening.
type OpeningEvent struct {
	Entry  int64 // of the ledger
	Time   time.Time
	Kind   ledger.Kind
	Who    ledger.Who
	From   string    // address that it came from, or where the gate listens; "" if that is not known
	What   string    // a sentence without its full stop
	Detail string    // what else is known, such as the reason; "" if nothing is
	Until  time.Time // zero if it brings no new end
}

// A RecordLine is a record that an operator left in the gate's inbox.
type RecordLine struct {
	Name   string
	Size   int64
	Digest safe.Digest
	Time   time.Time
}
