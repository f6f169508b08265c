// Package api has the messages between people's machines and the safe: JSON
// over HTTPS. All but enrolment and recovery are signed by a person's SSH key
// (package signed). Statements inside them are signed once more, as evidence
// for the ledger (package access).
package api

import (
	"fmt"
	"net/netip"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/access/opening"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
)

// The routes. {id} is an OpeningID, {run} a RunID.
const (
	Enrol           = "POST /v1/enrol"            // Enrolling -> nothing; not signed
	RecoveryBegin   = "POST /v1/recovery"         // nothing -> Challenge; not signed
	RecoveryAnswer  = "POST /v1/recovery/answer"  // Answer -> Recovery; not signed
	RecoveryPropose = "POST /v1/recovery/propose" // Recovering -> nothing; not signed

	People     = "GET /v1/people"                  // ?after=VERSION -> Everyone
	Propose    = "POST /v1/roster/propose"         // Proposing -> nothing
	Agree      = "POST /v1/roster/agree"           // Act -> nothing
	Object     = "POST /v1/roster/object"          // Act -> nothing
	Suspend    = "POST /v1/people/suspend"         // Act -> nothing
	KeyBegin   = "POST /v1/keys/check"             // KeyCheck -> Challenge
	KeyAnswer  = "POST /v1/keys/answer"            // Answer -> nothing
	Ledger     = "GET /v1/ledger"                  // ?from=SIZE -> Head
	Snapshots  = "GET /v1/snapshots"               // -> []Snapshot
	Openings   = "GET /v1/openings"                // -> []Opening, newest first, without their releases
	OneOpening = "GET /v1/openings/{id}"           // -> Opening
	Request    = "POST /v1/openings"               // Act -> nothing
	Grant      = "POST /v1/openings/{id}/grant"    // ?known=SIZE -> Granted
	Envelopes  = "GET /v1/openings/{id}/envelopes" // ?after=RUN -> []Envelope, some at a time, empty at the end
	Release    = "POST /v1/openings/{id}/release"  // Released -> nothing
	Refuse     = "POST /v1/openings/{id}/refuse"   // Act -> nothing
	Withdraw   = "POST /v1/openings/{id}/withdraw" // Act -> nothing
	CloseIt    = "POST /v1/openings/{id}/close"    // Act -> nothing
	Rule       = "POST /v1/map/rule"               // Act -> nothing
	TakeBack   = "POST /v1/map/take-back"          // Act -> nothing
)

// Enrolling uses an invitation.
type Enrolling struct {
	Token     access.Token `json:"token"`
	Enrolment []byte       `json:"enrolment"` // exact bytes
	// Passkeys are what a browser gave for each of the person's, in their order.
	Passkeys []Registration `json:"passkeys,omitempty"`
	Keyring  []byte         `json:"keyring,omitempty"` // of a keykeeper with passkeys
}

// Act is a signed statement.
type Act struct {
	Signed ledger.Signed `json:"signed"`
}

// Proposing proposes a version of the roster, and agrees with it.
type Proposing struct {
	Roster []byte        `json:"roster"`
	Signed ledger.Signed `json:"signed"` // access.Agree
}

// Everyone is what people's machines need to know about people. Nothing of it
// is to be believed before Roster.Follow has verified the links from the
// pinned version on.
type Everyone struct {
	// Links are the versions of the roster from the one that founded the safe
	// on, or those after ?after=N; all of them, from the first, before it is
	// founded. If they are many, only some of them are here, and the last is not
	// the current one: ask for those after it. A Recovery has none.
	Links       []access.Link      `json:"links"`
	Current     []byte             `json:"current"` // the version in force
	Proposals   []access.Proposal  `json:"proposals"`
	Enrolments  []Enrolled         `json:"enrolments"`
	Suspensions access.Suspensions `json:"suspensions"` // in force
	Snapshots   bool               `json:"snapshots"`   // the safe has any
	Checks      []Check            `json:"checks"`      // newest of each key and holder
	Now         time.Time          `json:"now"`
}

// Enrolled is an enrolment that is not in the roster.
type Enrolled struct {
	Enrolment []byte     `json:"enrolment"`
	From      netip.Addr `json:"from"`
	Time      time.Time  `json:"time"`
}

// Check says when a role key was proven last.
type Check struct {
	Person ledger.Who `json:"person"`
	Role   string     `json:"role"` // "outer" or "inner"
	Period int        `json:"period"`
	Paper  bool       `json:"paper"`
	Time   time.Time  `json:"time"`
}

// KeyCheck asks for a challenge that only the holder of a role key can answer.
type KeyCheck struct {
	Role   string `json:"role"` // "outer" or "inner"
	Period int    `json:"period"`
	Paper  bool   `json:"paper"`
}

// Challenge is sealed to one role key, or, in a recovery, to both.
type Challenge struct {
	ID     access.Token `json:"id"`
	Sealed []byte       `json:"sealed"`
}

// Answer is what a challenge contained.
type Answer struct {
	ID    access.Token  `json:"id"`
	Nonce opening.Nonce `json:"nonce"`
}

// Recovery is what somebody gets who has proven both role keys.
type Recovery struct {
	Ticket   access.Token `json:"ticket"` // for one proposal
	Everyone Everyone     `json:"everyone"`
}

// Recovering proposes a version of the roster with a ticket.
type Recovering struct {
	Ticket access.Token `json:"ticket"`
	Roster []byte       `json:"roster"`
}

// Head is the ledger's newest checkpoint, and the proof that leads there from
// the size that was asked for.
type Head struct {
	Checkpoint  []byte `json:"checkpoint"`
	Consistency []byte `json:"consistency,omitempty"` // none if nothing was asked for
}

// Snapshot is what there is to ask for.
type Snapshot struct {
	Run       safe.RunID      `json:"run"`
	Source    safe.SourceName `json:"source"`
	Started   time.Time       `json:"started"`
	Finished  time.Time       `json:"finished"`
	Entries   int64           `json:"entries"`
	Bytes     int64           `json:"bytes"`
	Partial   bool            `json:"partial"`
	Tier      safe.Tier       `json:"tier"`
	KeepUntil time.Time       `json:"keep_until"`
	Runs      int             `json:"runs"`
}

// Opening tells how an opening stands.
type Opening struct {
	ID       safe.OpeningID    `json:"id"`
	State    opening.State     `json:"state"`
	Request  ledger.Signed     `json:"request"`
	Sources  []safe.SourceName `json:"sources"` // of the snapshots, in their order
	Release  *opening.Release  `json:"release,omitempty"`
	Gate     netip.AddrPort    `json:"gate,omitzero"` // where it listens, while it is open
	GateName string            `json:"gate_name,omitempty"`
	Until    time.Time         `json:"until,omitzero"`
	Cause    string            `json:"cause,omitempty"` // why it is over
	Sessions int64             `json:"sessions"`
	Objects  int64             `json:"objects"`
	Bytes    int64             `json:"bytes"`
}

// GateAddress returns host and port under which operators reach the gate, ""
// while there is none. What it listens on may be every address of its host.
func (o Opening) GateAddress() string {
	addr, err := netip.ParseAddr(o.GateName)
	switch {
	case !o.Gate.IsValid():
		return ""
	case o.GateName == "":
		return o.Gate.String()
	case err == nil:
		return netip.AddrPortFrom(addr, o.Gate.Port()).String()
	}
	return fmt.Sprintf("%s:%d", o.GateName, o.Gate.Port())
}

// Granted is what a keykeeper's machine needs to check and sign a release.
type Granted struct {
	Nonce     opening.Nonce `json:"nonce"` // good once, for a quarter of an hour
	Grant     []byte        `json:"grant"`
	Request   ledger.Signed `json:"request"`
	Snapshots []Proven      `json:"snapshots"` // in the order of the request
	Head      Head          `json:"head"`      // that the proofs lead to
}

// Proven is a description with the proof that it stands in the ledger.
type Proven struct {
	Description []byte `json:"description"`
	Entry       []byte `json:"entry"`     // snapshot.kept
	Inclusion   []byte `json:"inclusion"` // ledger.Inclusion
}

// Envelope is the sealed key of a run.
type Envelope struct {
	Run      safe.RunID `json:"run"`
	Envelope []byte     `json:"envelope"`
}

// Released is a signed release with the inner files that the keykeeper's
// machine has taken out of the envelopes.
type Released struct {
	Release opening.Release `json:"release"`
	Inner   []Inner         `json:"inner"` // by run, ascending
}

// Inner is the inner layer of an envelope, still sealed to the operators.
type Inner struct {
	Run  safe.RunID `json:"run"`
	File []byte     `json:"file"`
}

// Problem is the body of an answer that is not 2xx.
type Problem struct {
	Error  string    `json:"error"`            // for people
	Remedy string    `json:"remedy,omitempty"` // for people
	Now    time.Time `json:"now,omitzero"`     // the safe's time, if the caller's is wrong
}
