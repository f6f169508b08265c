package ledger

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"strongroom/internal/safe"
)

// The kinds of this file tell what people did, and what was done about them.
// Who did it stands in the entry.

// Signed is the evidence that a person did what an entry says: the exact bytes
// that were signed, and the signature: one with an SSH key (SSHSIG) without its
// armor, in base64, or what a passkey gave, five words on a line. Package access
// says what the bytes mean; with them, the roster and stock ssh-keygen anyone
// can check an entry later.
type Signed struct {
	Statement string `json:"statement"`
	Signature string `json:"signature"`
}

const (
	maxStatement = 16 << 10 // a request names up to 64 snapshots and gives a reason
	maxSignature = 7 << 10  // one by an SSH key takes 260, one by a passkey about 410, with the longest id of all 6200
)

func (s Signed) check() error {
	switch {
	case s.Statement == "" || len(s.Statement) > maxStatement:
		return fmt.Errorf("a statement of %d bytes", len(s.Statement))
	case s.Signature == "" || len(s.Signature) > maxSignature:
		return fmt.Errorf("a signature of %d bytes", len(s.Signature))
	}
	if words, ok := strings.CutPrefix(s.Signature, passkeyWord); ok {
		return checkPasskey(strings.Split(words, " "))
	}
	_, err := base64.StdEncoding.Strict().DecodeString(s.Signature)
	return err
}

// passkeyWord begins what a passkey gave. Package passkey reads it; here it has
// the form that everybody can pass over.
const passkeyWord = "strongroom-passkey-v1 "

func checkPasskey(words []string) error {
	if len(words) != 4 {
		return fmt.Errorf("a passkey's signature of %d parts, want 4", len(words))
	}
	for _, word := range words {
		if _, err := base64.RawURLEncoding.Strict().DecodeString(word); err != nil || word == "" {
			return errors.New("a passkey's signature is not in base64url")
		}
	}
	return nil
}

// checkOptional is check for a Signed that may be left out.
func (s Signed) checkOptional() error {
	if s == (Signed{}) {
		return nil
	}
	return s.check()
}

// Papers is who acts when both role keys have been typed in from paper, with
// no person of the roster.
const Papers Who = "papers"

// SafeStarted records that the safe began to serve people.
type SafeStarted struct {
	Program safe.Digest `json:"program"`           // of the program's file
	Pages   safe.Digest `json:"pages,omitzero"`    // of the scripts of its pages; not if it has none
	Unclean bool        `json:"unclean,omitempty"` // it had not been stopped before: it crashed, or lost power
}

func (SafeStarted) Kind() Kind     { return "safe.started" }
func (e SafeStarted) check() error { return checkDigest("program", e.Program) }

// SafeStopped records that the safe ceased to serve people as it should.
type SafeStopped struct{}

func (SafeStopped) Kind() Kind   { return "safe.stopped" }
func (SafeStopped) check() error { return nil }

// RosterProposed records that a new version of the roster was proposed. Its
// proposer agrees with it; if the proposer is Papers, the evidence is a proof
// that only the safe saw.
type RosterProposed struct {
	Version  int64       `json:"version"`
	Digest   safe.Digest `json:"digest"`
	Previous safe.Digest `json:"previous"`
	Changes  []Text      `json:"changes"` // for people, a line each
	Signed   Signed      `json:"signed,omitzero"`
}

const maxChanges = 200

func (RosterProposed) Kind() Kind { return "roster.proposed" }
func (e RosterProposed) check() error {
	if e.Version < 2 {
		return fmt.Errorf("version %d of the roster", e.Version)
	}
	if e.Changes == nil || len(e.Changes) > maxChanges {
		return fmt.Errorf("%d changes", len(e.Changes))
	}
	if err := errors.Join(checkDigest("digest", e.Digest), checkDigest("previous", e.Previous)); err != nil {
		return err
	}
	return e.Signed.checkOptional()
}

// RosterAgreed records that a person agreed with a proposed version.
type RosterAgreed struct {
	Version int64       `json:"version"`
	Digest  safe.Digest `json:"digest"`
	Signed  Signed      `json:"signed,omitzero"` // left out by Papers
	// Ready is when the version comes into force unless somebody objects, if
	// this was the last agreement that it needed.
	Ready time.Time `json:"ready,omitzero"`
}

func (RosterAgreed) Kind() Kind { return "roster.agreed" }
func (e RosterAgreed) check() error {
	if !e.Ready.IsZero() {
		if err := checkTime("ready", e.Ready); err != nil {
			return err
		}
	}
	return errors.Join(checkDigest("digest", e.Digest), e.Signed.checkOptional())
}

// RosterObjected records that a person stopped a proposed version. What was
// agreed until then counts no more.
type RosterObjected struct {
	Version int64       `json:"version"`
	Digest  safe.Digest `json:"digest"`
	Reason  Text        `json:"reason"`
	Signed  Signed      `json:"signed"`
}

func (RosterObjected) Kind() Kind { return "roster.objected" }
func (e RosterObjected) check() error {
	return errors.Join(checkDigest("digest", e.Digest), e.Signed.check())
}

// RosterDropped records that a proposed version can no longer come into force.
type RosterDropped struct {
	Version int64       `json:"version"`
	Digest  safe.Digest `json:"digest"`
	Reason  Text        `json:"reason"`
}

func (RosterDropped) Kind() Kind     { return "roster.dropped" }
func (e RosterDropped) check() error { return checkDigest("digest", e.Digest) }

// PersonInvited records that somebody with access to the safe's host made an
// invitation.
type PersonInvited struct {
	Person Who       `json:"person"`
	Role   Text      `json:"role"`
	Until  time.Time `json:"until"`
}

func (PersonInvited) Kind() Kind     { return "person.invited" }
func (e PersonInvited) check() error { return checkTime("until", e.Until) }

// EnrolmentReceived records that an invitation was used. The person is in no
// roster yet.
type EnrolmentReceived struct {
	Person Who         `json:"person"`
	Digest safe.Digest `json:"digest"` // of the enrolment, whose words both sides compare
	From   netip.Addr  `json:"from"`
}

func (EnrolmentReceived) Kind() Kind { return "enrolment.received" }
func (e EnrolmentReceived) check() error {
	return errors.Join(checkDigest("digest", e.Digest), checkAddress(e.From))
}

// PersonSuspended records that a person, or a key, may do nothing more. Only a
// new version of the roster, which names the number of this entry, lifts it.
type PersonSuspended struct {
	Person Who    `json:"person"`
	Key    Text   `json:"key,omitempty"` // fingerprint of the one key that is meant; all if empty
	Reason Text   `json:"reason"`
	Signed Signed `json:"signed"`
}

func (PersonSuspended) Kind() Kind     { return "person.suspended" }
func (e PersonSuspended) check() error { return e.Signed.check() }

// KeyChecked records that somebody proved to hold a role key.
type KeyChecked struct {
	Role   Text `json:"role"`   // "outer" or "inner"
	Period int  `json:"period"` // of the roster, from 1
	Paper  bool `json:"paper"`  // typed in from paper, not from the person's own copy
}

func (KeyChecked) Kind() Kind { return "key.checked" }
func (e KeyChecked) check() error {
	if e.Role != "outer" && e.Role != "inner" || e.Period < 1 {
		return fmt.Errorf("no role key %.20q of period %d", e.Role, e.Period)
	}
	return nil
}

// KeyringKept records that a person has sent what their passkey wraps. The
// newest counts.
type KeyringKept struct {
	Person Who         `json:"person"`
	Digest safe.Digest `json:"digest"` // of the object keyrings/<person>/<digest>.json
}

func (KeyringKept) Kind() Kind { return "keyring.kept" }
func (e KeyringKept) check() error {
	if _, err := safe.ParsePersonName(string(e.Person)); err != nil {
		return err
	}
	return checkDigest("digest", e.Digest)
}

// OpeningRequested records that an operator asks to read.
type OpeningRequested struct {
	Opening   safe.OpeningID  `json:"opening"`
	Address   netip.Addr      `json:"address"`
	Snapshots []SnapshotNamed `json:"snapshots"`
	Hours     int             `json:"hours"`
	Reason    Text            `json:"reason"`
	Until     time.Time       `json:"until"` // the request is good until then
	Signed    Signed          `json:"signed"`
}

// SnapshotNamed names a snapshot for people and for programs.
type SnapshotNamed struct {
	Run    safe.RunID      `json:"run"`
	Source safe.SourceName `json:"source"`
}

// MaxOpeningSnapshots bounds the snapshots of one opening.
const MaxOpeningSnapshots = 64

func (OpeningRequested) Kind() Kind { return "opening.requested" }
func (e OpeningRequested) check() error {
	if n := len(e.Snapshots); n == 0 || n > MaxOpeningSnapshots {
		return fmt.Errorf("an opening of %d snapshots, at most %d are possible", n, MaxOpeningSnapshots)
	}
	if e.Hours < 1 || e.Hours > 72 {
		return fmt.Errorf("an opening of %d hours", e.Hours)
	}
	return errors.Join(checkOpening(e.Opening), checkAddress(e.Address), checkTime("until", e.Until), e.Signed.check())
}

// OpeningReleased records that a keykeeper opened the outer seals for an
// opening.
type OpeningReleased struct {
	Opening safe.OpeningID `json:"opening"`
	Runs    int64          `json:"runs"`    // whose outer seal was opened
	Release safe.Digest    `json:"release"` // of the object openings/<id>/<digest>.json: nonce, grant, signature
	Until   time.Time      `json:"until"`
}

func (OpeningReleased) Kind() Kind { return "opening.released" }
func (e OpeningReleased) check() error {
	if e.Runs < 1 {
		return fmt.Errorf("an opening of %d runs", e.Runs)
	}
	return errors.Join(checkOpening(e.Opening), checkDigest("release", e.Release), checkTime("until", e.Until))
}

// OpeningOpened records that the gate listens.
type OpeningOpened struct {
	Opening safe.OpeningID `json:"opening"`
	Listen  netip.AddrPort `json:"listen"`
	Until   time.Time      `json:"until"`
}

func (OpeningOpened) Kind() Kind { return "opening.opened" }
func (e OpeningOpened) check() error {
	if !e.Listen.IsValid() {
		return errors.New("the gate has no address")
	}
	return errors.Join(checkOpening(e.Opening), checkTime("until", e.Until))
}

// OpeningRefused records that a keykeeper refused a request.
type OpeningRefused struct {
	Opening safe.OpeningID `json:"opening"`
	Reason  Text           `json:"reason"`
	Signed  Signed         `json:"signed"`
}

func (OpeningRefused) Kind() Kind { return "opening.refused" }
func (e OpeningRefused) check() error {
	return errors.Join(checkOpening(e.Opening), e.Signed.check())
}

// OpeningWithdrawn records that the operator took a request back.
type OpeningWithdrawn struct {
	Opening safe.OpeningID `json:"opening"`
	Reason  Text           `json:"reason"`
	Signed  Signed         `json:"signed"`
}

func (OpeningWithdrawn) Kind() Kind { return "opening.withdrawn" }
func (e OpeningWithdrawn) check() error {
	return errors.Join(checkOpening(e.Opening), e.Signed.check())
}

// OpeningExpired records that nobody answered a request in time, or that it
// lost its ground.
type OpeningExpired struct {
	Opening safe.OpeningID `json:"opening"`
	Reason  Text           `json:"reason"`
}

func (OpeningExpired) Kind() Kind     { return "opening.expired" }
func (e OpeningExpired) check() error { return checkOpening(e.Opening) }

// OpeningClosed records that the gate of an opening is shut for good, and what
// went through it.
type OpeningClosed struct {
	Opening  safe.OpeningID `json:"opening"`
	Cause    Text           `json:"cause"`
	Sessions int64          `json:"sessions"`
	Objects  int64          `json:"objects"` // that were read from
	Bytes    int64          `json:"bytes"`
	// Unknown means that the safe did not live to count: it crashed, or lost
	// power, and the counts are what was known before.
	Unknown bool   `json:"unknown,omitempty"`
	Signed  Signed `json:"signed,omitzero"` // if a person closed it
}

func (OpeningClosed) Kind() Kind { return "opening.closed" }
func (e OpeningClosed) check() error {
	if min(e.Sessions, e.Objects, e.Bytes) < 0 {
		return errors.New("a count is negative")
	}
	return errors.Join(checkOpening(e.Opening), e.Signed.checkOptional())
}

// RecordReceived records that the operator left a record in the inbox of an
// opening's gate.
type RecordReceived struct {
	Opening safe.OpeningID `json:"opening"`
	Name    Text           `json:"name"`
	Digest  safe.Digest    `json:"digest"`
	Size    int64          `json:"size"`
}

func (RecordReceived) Kind() Kind { return "record.received" }
func (e RecordReceived) check() error {
	return errors.Join(checkOpening(e.Opening), checkDigest("digest", e.Digest))
}

// RecordAccepted records that a person, who acts, has signed what came of
// snapshots that were restored, as package record has it. A person may be wrong,
// or lie: the entry says who claims it.
type RecordAccepted struct {
	Opening     safe.OpeningID     `json:"opening,omitzero"`  // through whose gate it came
	Account     Text               `json:"account,omitempty"` // of the safe's host, if it came there
	Application Text               `json:"application,omitempty"`
	Started     time.Time          `json:"started"`
	Ended       time.Time          `json:"ended"`
	Snapshots   []SnapshotRestored `json:"snapshots"`
	Signed      Signed             `json:"signed"`
}

// A SnapshotRestored is one that came back, and was right or wrong.
type SnapshotRestored struct {
	Run    safe.RunID      `json:"run"`
	Source safe.SourceName `json:"source"`
	Right  bool            `json:"right"`
}

func (RecordAccepted) Kind() Kind { return "record.accepted" }
func (e RecordAccepted) check() error {
	if n := len(e.Snapshots); n == 0 || n > MaxOpeningSnapshots {
		return fmt.Errorf("a record of %d snapshots, at most %d are possible", n, MaxOpeningSnapshots)
	}
	if e.Opening.IsZero() == (e.Account == "") {
		return errors.New("a record comes through a gate, or from an account of the host")
	}
	if e.Started.After(e.Ended) {
		return errors.New("a record of what ended before it started")
	}
	return errors.Join(checkTime("started", e.Started), checkTime("ended", e.Ended), e.Signed.check())
}

// RecordRefused records that what an operator left in the inbox of an opening's
// gate is no record that can be believed, and why.
type RecordRefused struct {
	Opening safe.OpeningID `json:"opening"`
	Name    Text           `json:"name"`
	Digest  safe.Digest    `json:"digest"`
	Reason  Text           `json:"reason"`
}

func (RecordRefused) Kind() Kind { return "record.refused" }
func (e RecordRefused) check() error {
	return errors.Join(checkOpening(e.Opening), checkDigest("digest", e.Digest))
}

// AccessRefused records that somebody tried what they may not. Equal attempts
// that follow in short time are one entry, so that nobody can fill the ledger.
type AccessRefused struct {
	What   Text       `json:"what"`          // "opening.release", "gate", ...
	Reason Text       `json:"reason"`        // for people
	From   netip.Addr `json:"from,omitzero"` // unknown if it is zero
	Count  int64      `json:"count"`
}

func (AccessRefused) Kind() Kind { return "access.refused" }
func (e AccessRefused) check() error {
	if e.What == "" || e.Count < 1 {
		return fmt.Errorf("%d attempts at %q", e.Count, e.What)
	}
	return nil
}

func checkOpening(id safe.OpeningID) error {
	if id.IsZero() {
		return errors.New("opening is not set")
	}
	return nil
}

func checkAddress(a netip.Addr) error {
	if !a.IsValid() || a != a.Unmap() || a.Zone() != "" {
		return fmt.Errorf("%s cannot be the address of a person", a)
	}
	return nil
}
