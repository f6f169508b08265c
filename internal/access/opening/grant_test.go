package opening_test

import (
	"bytes"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"strongroom/internal/access"
	"strongroom/internal/access/accesstest"
	"strongroom/internal/access/opening"
	"strongroom/internal/access/passkey"
	"strongroom/internal/access/passkey/passkeytest"
	"strongroom/internal/access/signature"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
)

var now = accesstest.Start.AddDate(0, 0, 7)

// A scene has a request that was verified, and what it is about.
type scene struct {
	team          *accesstest.Team
	request       access.Request
	by            access.Statement
	signed        ledger.Signed
	circumstances opening.Circumstances
}

func description(store safe.StoreID, source safe.SourceName, at time.Time, earlier ...safe.RunID) safe.Snapshot {
	d := safe.Snapshot{Version: 1, Store: store, Run: safe.NewRunID(at), Source: source, Kind: "sftp", Started: at, Finished: at,
		KeepUntil: at.AddDate(0, 1, 0), Tier: safe.Daily, Root: safe.Digest{7}, Runs: make(map[safe.RunID]safe.RunPacks)}
	for _, run := range append(earlier, d.Run) {
		d.Runs[run] = safe.RunPacks{Envelope: safe.Digest{9}, Packs: []safe.Digest{}}
	}
	return d
}

func newScene(t *testing.T) *scene {
	t.Helper()
	team := accesstest.NewTeam(t, "ada:keykeeper bob:operator kim:keykeeper otto:operator")
	first := description(team.Store, "erp", now.Add(-48*time.Hour))
	second := description(team.Store, "erp", now.Add(-24*time.Hour), first.Run)
	mail := description(team.Store, "mail", now.Add(-12*time.Hour))
	q := access.Request{Opening: safe.NewOpeningID(now), NotAfter: now.Add(time.Hour), Snapshots: []safe.RunID{second.Run, mail.Run}, Hours: 4,
		Reason: "rehearsal", Address: netip.MustParseAddr("127.0.0.2"), Known: 3}
	s := &scene{team: team, request: q,
		by:     access.Statement{Store: team.Store, Person: "bob", Time: now, Act: q},
		signed: team.People["bob"].States(t, team.Store, now, q),
		circumstances: opening.Circumstances{Roster: team.Roster, Now: now, Ledger: ledger.Head{Size: 12, Root: tlog.Hash{5}},
			Descriptions: []safe.Snapshot{second, mail}}}
	return s
}

func (s *scene) grant(t *testing.T) opening.Grant {
	t.Helper()
	g, err := opening.Make(s.by, s.team.People["bob"].SSH[0], s.circumstances)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestGrantNamesWhatIsDisclosed(t *testing.T) {
	s := newScene(t)
	g := s.grant(t)
	var want []safe.RunID
	for _, d := range s.circumstances.Descriptions {
		for run := range d.Runs {
			want = append(want, run)
		}
	}
	slices.SortFunc(want, safe.RunID.Compare)
	if !slices.Equal(g.Runs, want) || len(g.Runs) != 3 {
		t.Errorf("runs are %v, want %v", g.Runs, want)
	}
	if got := g.Until.Sub(g.From); got != 4*time.Hour || !g.From.Equal(now) {
		t.Errorf("from %v for %v, want from %v for 4 hours", g.From, got, now)
	}
	again, err := opening.ParseGrant(g.Encode())
	if err != nil || !bytes.Equal(again.Encode(), g.Encode()) {
		t.Errorf("read again: %+v, %v", again, err)
	}
}

func TestGrantRefused(t *testing.T) {
	s := newScene(t)
	otherRun := description(s.team.Store, "payroll", now.Add(-time.Hour)).Run
	next := s.team.Roster.Next()
	next.Lifted = []int64{1}
	tests := []struct {
		name  string
		alter func(*opening.Grant)
		want  string
	}{
		{"a run of another source", func(g *opening.Grant) { g.Runs = append(g.Runs, otherRun) }, "other runs"},
		{"a run left out", func(g *opening.Grant) { g.Runs = g.Runs[1:] }, "other runs"},
		{"another snapshot", func(g *opening.Grant) { g.Snapshots[0].Run = otherRun }, "is for snapshot"},
		{"another source", func(g *opening.Grant) { g.Snapshots[0].Source = "payroll" }, "in another way"},
		{"another description", func(g *opening.Grant) { g.Snapshots[0].Description[0]++ }, "in another way"},
		{"one snapshot more", func(g *opening.Grant) { g.Snapshots = append(g.Snapshots, g.Snapshots[0]) }, "snapshots"},
		{"longer", func(g *opening.Grant) { g.Until = g.Until.Add(time.Second) }, "hours were asked for"},
		{"over before it begins", func(g *opening.Grant) { g.Until = g.From }, "hours were asked for"},
		{"another operator", func(g *opening.Grant) { g.Operator = "otto" }, "not the operator"},
		{"another key", func(g *opening.Grant) { g.Key = s.team.People["otto"].SSH[0] }, "SSH key"},
		{"another address", func(g *opening.Grant) { g.Address = netip.MustParseAddr("127.0.0.9") }, "address"},
		{"another reason", func(g *opening.Grant) { g.Reason = "audit" }, "reason"},
		{"another opening", func(g *opening.Grant) { g.Opening = safe.NewOpeningID(now) }, "is for opening"},
		{"another store", func(g *opening.Grant) { g.Store = safe.NewStoreID() }, "is for store"},
		{"another roster", func(g *opening.Grant) { g.Roster = next.Digest() }, "another version of the roster"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := s.grant(t)
			tt.alter(&g)
			err := g.Check(s.by, s.team.People["bob"].SSH[0], s.circumstances)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Check: %v, want %q", err, tt.want)
			}
		})
	}
	wrongDescription := s.circumstances
	wrongDescription.Descriptions = slices.Clone(wrongDescription.Descriptions)
	wrongDescription.Descriptions[0].Bytes++
	if err := s.grant(t).Check(s.by, s.team.People["bob"].SSH[0], wrongDescription); err == nil {
		t.Error("a grant for an altered description is accepted")
	}
}

func TestRelease(t *testing.T) {
	s := newScene(t)
	grant := s.grant(t).Encode()
	nonce := opening.NewNonce()
	sign := func(name safe.PersonName, as accesstest.Somebody) opening.Release {
		r, err := opening.Sign(name, nonce, grant, s.signed, as.Signer)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	ada, bob, kim := s.team.People["ada"], s.team.People["bob"], s.team.People["kim"]
	good := sign("ada", ada)
	if key, err := good.Verify(s.team.Roster); err != nil || key != ada.Keys()[0] {
		t.Fatalf("Verify: %s, %v", key, err)
	}
	again, err := opening.ParseRelease(good.Encode())
	if err != nil || !bytes.Equal(again.Encode(), good.Encode()) {
		t.Errorf("read again: %+v, %v", again, err)
	}

	longer := s.grant(t)
	longer.Until = longer.Until.Add(time.Hour)
	selfish := s.grant(t)
	selfish.Operator = "ada"
	tests := []struct {
		name string
		r    opening.Release
		want error
	}{
		{"another nonce", with(good, func(r *opening.Release) { r.Nonce = opening.NewNonce() }), opening.ErrNoRelease},
		{"another version", with(good, func(r *opening.Release) { r.Version = 2 }), opening.ErrNoRelease},
		{"altered grant", with(good, func(r *opening.Release) { r.Grant = string(longer.Encode()) }), opening.ErrNoRelease},
		{"in another's name", with(good, func(r *opening.Release) { r.Keykeeper = "kim" }), opening.ErrNoRelease},
		{"another keykeeper's signature", sign("ada", kim), opening.ErrNoRelease},
		{"by an operator", sign("bob", bob), opening.ErrNoRelease},
		{"by nobody of the roster", sign("eve", accesstest.NewPerson(t, "eve", access.Keykeeper)), opening.ErrNoRelease},
	}
	for _, tt := range tests {
		if _, err := tt.r.Verify(s.team.Roster); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
	own, err := opening.Sign("ada", nonce, selfish.Encode(), s.signed, ada.Signer)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := own.Verify(s.team.Roster); !errors.Is(err, opening.ErrSelf) {
		t.Errorf("her own request: %v, want %v", err, opening.ErrSelf)
	}
	// A signature of another time is no release of this grant.
	act := ada.States(t, s.team.Store, now, access.Close{Opening: s.request.Opening, Reason: "done"})
	var other opening.Release
	if other = good; other.Signature.UnmarshalText([]byte(act.Signature)) == nil {
		if _, err := other.Verify(s.team.Roster); !errors.Is(err, opening.ErrNoRelease) {
			t.Errorf("the signature of an act: %v", err)
		}
	}
}

// With a passkey, what the page signs is the nonce and the grant, as a terminal
// does; and the release stands for itself, with all that it takes to check it.
func TestReleaseByPasskey(t *testing.T) {
	s := newScene(t)
	petra := accesstest.NewPasskeyPerson(t, "petra", access.Keykeeper)
	s.team.Join(t, petra)
	s.circumstances.Roster = s.team.Roster
	grant := s.grant(t).Encode()
	nonce := opening.NewNonce()
	release := func(by *passkeytest.Authenticator, nonce opening.Nonce, grant []byte) opening.Release {
		signed, err := signature.OfPasskey(by.Get(t, passkey.Challenge(opening.ReleaseNamespace, append(nonce[:], grant...))))
		if err != nil {
			t.Fatal(err)
		}
		return opening.Release{Version: 1, Keykeeper: "petra", Nonce: nonce, Grant: string(grant), Request: s.signed, Signature: signed}
	}
	good := release(petra.Release, nonce, grant)
	again, err := opening.ParseRelease(good.Encode())
	if err != nil {
		t.Fatal(err)
	}
	if key, err := again.Verify(s.team.Roster); err != nil || key != signature.FromPasskey(petra.Release.Key(t)) {
		t.Errorf("Verify: %s, %v", key, err)
	}
	longer := s.grant(t)
	longer.Until = longer.Until.Add(time.Hour)
	act := petra.States(t, s.team.Store, now, access.Close{Opening: s.request.Opening, Reason: "done"})
	ofAct, err := signature.Parse(act.Signature)
	if err != nil {
		t.Fatal(err)
	}
	unverified := *petra.Release
	unverified.Flags &^= passkeytest.UserVerified
	for name, r := range map[string]opening.Release{
		"another nonce":            with(good, func(r *opening.Release) { r.Nonce = opening.NewNonce() }),
		"altered grant":            with(good, func(r *opening.Release) { r.Grant = string(longer.Encode()) }),
		"in another's name":        with(good, func(r *opening.Release) { r.Keykeeper = "ada" }),
		"the signature of an act":  with(good, func(r *opening.Release) { r.Signature = ofAct }),
		"the passkey for sign-in":  release(petra.SignIn, nonce, grant),
		"user verification absent": release(&unverified, nonce, grant),
		"a passkey of nobody":      release(passkeytest.New(t, accesstest.Domain, accesstest.Origin), nonce, grant),
	} {
		if _, err := r.Verify(s.team.Roster); !errors.Is(err, opening.ErrNoRelease) {
			t.Errorf("%s: %v, want %v", name, err, opening.ErrNoRelease)
		}
	}
}

func with(r opening.Release, change func(*opening.Release)) opening.Release {
	change(&r)
	return r
}

func TestStates(t *testing.T) {
	all := []opening.State{opening.Requested, opening.Open, opening.Closed, opening.Refused, opening.Withdrawn, opening.Expired}
	allowed := map[[2]opening.State]bool{
		{opening.Requested, opening.Open}:      true,
		{opening.Requested, opening.Refused}:   true,
		{opening.Requested, opening.Withdrawn}: true,
		{opening.Requested, opening.Expired}:   true,
		{opening.Open, opening.Open}:           true,
		{opening.Open, opening.Closed}:         true,
	}
	for _, from := range all {
		for _, to := range all {
			if err := from.Check(to); (err == nil) != allowed[[2]opening.State{from, to}] {
				t.Errorf("%s -> %s: %v", from, to, err)
			}
		}
		if over := from != opening.Requested && from != opening.Open; from.Over() != over {
			t.Errorf("%s is over: %t", from, from.Over())
		}
	}
}

func FuzzParseGrant(f *testing.F) {
	f.Add([]byte(`{"v":1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		g, err := opening.ParseGrant(b)
		if err == nil && !bytes.Equal(g.Encode(), b) {
			t.Errorf("accepted %q, which is written %q", b, g.Encode())
		}
	})
}

func FuzzParseRelease(f *testing.F) {
	f.Add([]byte(`{"v":1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := opening.ParseRelease(b)
		if err == nil && !bytes.Equal(r.Encode(), b) {
			t.Errorf("accepted %q, which is written %q", b, r.Encode())
		}
	})
}
