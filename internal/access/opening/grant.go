// Package opening is the act of reading, from its request to its end: what is
// signed in it, and in which order its states follow one another.
//
// It is computation for all who take part: the safe, the keykeeper's machine
// and the operator's each check the same things, since none believes the
// others. docs/states.md draws the states.
package opening

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/mod/sumdb/tlog"

	"strongroom/internal/access"
	"strongroom/internal/access/signature"
	"strongroom/internal/access/sshsig"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/spelling"
)

// A Grant says exactly what is released. The safe makes its bytes, the
// keykeeper signs them.
type Grant struct {
	Version   int              `json:"v"`
	Store     safe.StoreID     `json:"store"`
	Opening   safe.OpeningID   `json:"opening"`
	Operator  safe.PersonName  `json:"operator"`
	Key       sshsig.PublicKey `json:"key"` // that opens the gate
	Address   netip.Addr       `json:"address"`
	Snapshots []Granted        `json:"snapshots"` // as the request names them
	Runs      []safe.RunID     `json:"runs"`      // ascending: all that the snapshots refer to, and no other
	From      time.Time        `json:"from"`
	Until     time.Time        `json:"until"`
	Reason    ledger.Text      `json:"reason"`
	Roster    safe.Digest      `json:"roster"` // the version in force
	Size      int64            `json:"size"`   // of the ledger
	Root      tlog.Hash        `json:"root"`
}

// A Granted is one snapshot of a Grant.
type Granted struct {
	Run         safe.RunID      `json:"run"`
	Source      safe.SourceName `json:"source"`
	Description safe.Digest     `json:"description"`
}

const (
	grantVersion = 1
	// MaxGrant bounds the bytes of a grant, of which a run takes 39.
	MaxGrant = 4 << 20
)

// Encode returns the bytes that are signed.
func (g Grant) Encode() []byte {
	b, err := spelling.Of(g)
	if err != nil {
		panic(fmt.Sprintf("a grant cannot be encoded: %v", err)) // its key and texts were checked when they came
	}
	return b
}

// ParseGrant reads what Encode writes, and nothing else.
func ParseGrant(b []byte) (Grant, error) {
	var g Grant
	if err := spelling.Parse(b, MaxGrant, "a grant", &g); err != nil {
		return Grant{}, err
	}
	if g.Version != grantVersion {
		return Grant{}, fmt.Errorf("a grant of version %d, this program knows version %d", g.Version, grantVersion)
	}
	if !spelling.Is(b, g) {
		return Grant{}, errors.New("a grant is not in its canonical spelling")
	}
	return g, nil
}

// Circumstances are what a Grant takes from elsewhere.
type Circumstances struct {
	Roster       access.Roster // in force
	Now          time.Time
	Ledger       ledger.Head
	Descriptions []safe.Snapshot // of the snapshots requested, in their order
}

// Make makes the grant for a request that was verified.
func Make(by access.Statement, key sshsig.PublicKey, c Circumstances) (Grant, error) {
	q, ok := by.Act.(access.Request)
	if !ok {
		return Grant{}, fmt.Errorf("a grant for %s", by.Act.Act())
	}
	from := c.Now.UTC().Truncate(time.Second)
	g := Grant{Version: grantVersion, Store: by.Store, Opening: q.Opening, Operator: by.Person, Key: key, Address: q.Address,
		From: from, Until: from.Add(time.Duration(q.Hours) * time.Hour), Reason: q.Reason,
		Roster: c.Roster.Digest(), Size: c.Ledger.Size, Root: c.Ledger.Root}
	for _, d := range c.Descriptions {
		g.Snapshots = append(g.Snapshots, Granted{Run: d.Run, Source: d.Source, Description: safe.DigestOf(d.Encode())})
		for run := range d.Runs {
			g.Runs = append(g.Runs, run)
		}
	}
	slices.SortFunc(g.Runs, safe.RunID.Compare)
	g.Runs = slices.Compact(g.Runs)
	return g, g.Check(by, key, c)
}

// Check reports what in the grant is not as the request, the roster and the
// descriptions have it. Whoever signs, serves or reads by a grant asks.
func (g Grant) Check(by access.Statement, key sshsig.PublicKey, c Circumstances) error {
	q, ok := by.Act.(access.Request)
	operator, known := c.Roster.Person(by.Person)
	switch {
	case !ok:
		return fmt.Errorf("it is for %s, not for a request", by.Act.Act())
	case g.Store != by.Store || g.Store != c.Roster.Store:
		return fmt.Errorf("it is for store %s", g.Store)
	case g.Opening != q.Opening:
		return fmt.Errorf("it is for opening %s, not for %s", g.Opening, q.Opening)
	case g.Operator != by.Person || !known || !operator.Has(access.Operator):
		return fmt.Errorf("it is for %s, who is not the operator that asked", g.Operator)
	case g.Key != key || !slices.Contains(operator.SSH, key):
		return errors.New("it is for another SSH key than the one that signed the request")
	case g.Address != q.Address || !operator.ComesFrom(g.Address):
		return fmt.Errorf("it is for address %s, which is not the one of the request and the roster", g.Address)
	case g.Roster != c.Roster.Digest():
		return errors.New("it was made under another version of the roster")
	case g.Reason != q.Reason:
		return errors.New("it gives another reason than the request")
	case !g.Until.After(g.From) || g.Until.Sub(g.From) > time.Duration(q.Hours)*time.Hour || g.Until.Sub(g.From) > access.MaxHours*time.Hour:
		return fmt.Errorf("it lasts from %s until %s, and %d hours were asked for", g.From.Format(time.RFC3339), g.Until.Format(time.RFC3339), q.Hours)
	}
	return g.checkSnapshots(q, c.Descriptions)
}

// checkSnapshots sees that the grant names the snapshots of the request, as
// their descriptions are, and the runs of these descriptions and no other.
func (g Grant) checkSnapshots(q access.Request, descriptions []safe.Snapshot) error {
	if len(g.Snapshots) != len(q.Snapshots) || len(descriptions) != len(q.Snapshots) {
		return fmt.Errorf("it is for %d snapshots, not for the %d of the request", len(g.Snapshots), len(q.Snapshots))
	}
	var runs []safe.RunID
	for i, d := range descriptions {
		granted := g.Snapshots[i]
		switch {
		case granted.Run != q.Snapshots[i] || d.Run != granted.Run || d.Store != g.Store:
			return fmt.Errorf("it is for snapshot %s, not for %s", granted.Run, q.Snapshots[i])
		case granted.Source != d.Source || granted.Description != safe.DigestOf(d.Encode()):
			return fmt.Errorf("it describes snapshot %s in another way than its description does", granted.Run)
		}
		for run := range d.Runs {
			runs = append(runs, run)
		}
	}
	slices.SortFunc(runs, safe.RunID.Compare)
	if !slices.Equal(slices.Compact(runs), g.Runs) {
		return errors.New("it names other runs than those of its snapshots")
	}
	return nil
}

// A Nonce makes the signature under a release good once.
type Nonce [32]byte

// NewNonce returns a random Nonce.
func NewNonce() (n Nonce) {
	rand.Read(n[:]) // never fails: crypto/rand aborts the program instead
	return n
}

func (n Nonce) MarshalText() ([]byte, error) {
	return []byte(base64.RawURLEncoding.EncodeToString(n[:])), nil
}

func (n *Nonce) UnmarshalText(b []byte) error {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(string(b))
	if err != nil || len(raw) != len(n) {
		return errors.New("a nonce that is none")
	}
	copy(n[:], raw)
	return nil
}

// ReleaseNamespace is the namespace of the signature under a release.
const ReleaseNamespace = "strongroom/v1/release"

// message is what a keykeeper signs under ReleaseNamespace.
func message(nonce Nonce, grant []byte) []byte { return append(nonce[:], grant...) }

// A Release is the evidence that a keykeeper released a grant. It becomes the
// object openings/<id>/<digest>.json.
type Release struct {
	Version   int                 `json:"v"`
	Keykeeper safe.PersonName     `json:"keykeeper"`
	Nonce     Nonce               `json:"nonce"`
	Grant     string              `json:"grant"` // its exact bytes
	Request   ledger.Signed       `json:"request"`
	Signature signature.Signature `json:"signature"`
}

const releaseVersion = 1

// MaxRelease bounds the bytes of a release.
const MaxRelease = 2*MaxGrant + 64<<10

// Sign makes a release with an SSH key. With a passkey, the page makes it.
func Sign(keykeeper safe.PersonName, nonce Nonce, grant []byte, request ledger.Signed, signer ssh.Signer) (Release, error) {
	made, err := sshsig.Sign(signer, ReleaseNamespace, message(nonce, grant))
	if err != nil {
		return Release{}, fmt.Errorf("signing the release: %w", err)
	}
	return Release{Version: releaseVersion, Keykeeper: keykeeper, Nonce: nonce, Grant: string(grant), Request: request,
		Signature: signature.OfSSH(made)}, nil
}

// Encode returns the one spelling of r.
func (r Release) Encode() []byte {
	b, err := spelling.Of(r)
	if err != nil {
		panic(fmt.Sprintf("a release cannot be encoded: %v", err)) // Sign has put a signature in
	}
	return b
}

// ParseRelease reads what Encode writes, and nothing else.
func ParseRelease(b []byte) (Release, error) {
	var r Release
	if err := spelling.Parse(b, MaxRelease, "a release", &r); err != nil {
		return Release{}, err
	}
	if r.Version != releaseVersion || !spelling.Is(b, r) {
		return Release{}, errors.New("a release is of another version, or not in its canonical spelling")
	}
	return r, nil
}

// Errors of a release that does not hold.
var (
	ErrSelf      = errors.New("a keykeeper cannot release what they asked for themselves")
	ErrNoRelease = errors.New("it does not bear the signature of a keykeeper of this roster under this grant")
)

// Verify returns the key of the keykeeper who signed the release. What the
// grant says is for Grant.Check.
func (r Release) Verify(roster access.Roster) (signature.Key, error) {
	p, ok := roster.Person(r.Keykeeper)
	if !ok || !p.Has(access.Keykeeper) {
		return signature.Key{}, ErrNoRelease
	}
	if r.Version != releaseVersion { // which nobody signs, and nobody could read again
		return signature.Key{}, ErrNoRelease
	}
	grant, err := ParseGrant([]byte(r.Grant))
	if err != nil {
		return signature.Key{}, err
	}
	if grant.Operator == r.Keykeeper {
		return signature.Key{}, ErrSelf
	}
	key, ok := roster.SignedBy(r.Keykeeper, r.Signature, ReleaseNamespace, message(r.Nonce, []byte(r.Grant)))
	if !ok {
		return signature.Key{}, ErrNoRelease
	}
	return key, nil
}
