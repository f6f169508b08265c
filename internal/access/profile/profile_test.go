package profile_test

import (
	"crypto/ed25519"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"strongroom/internal/access"
	"strongroom/internal/access/api"
	"strongroom/internal/access/profile"
	"strongroom/internal/access/sshsig"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/store/seal"
)

var now = time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)

// raceDetector says that the tests are linked with it.
var raceDetector = false

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A chain is a roster that grows, with the two people who agree on it.
type chain struct {
	t       *testing.T
	signers map[safe.PersonName]ssh.Signer
	first   access.Roster
	links   []access.Link
	last    access.Roster
}

func newChain(t *testing.T) *chain {
	t.Helper()
	outer, err := seal.NewOuterIdentity()
	check(t, err)
	inner, err := seal.NewInnerIdentity()
	check(t, err)
	key, _ := ledger.GenerateKey(safe.NewStoreID())
	c := &chain{t: t, signers: make(map[safe.PersonName]ssh.Signer)}
	c.first = access.First(key.Public(), sshsig.PublicKey{}, access.Period{From: now, Outer: outer.Recipient(), Inner: inner.Recipient()})
	c.last = c.first
	next := c.first.Next()
	for _, name := range []safe.PersonName{"kim", "otto"} {
		personal, err := seal.NewPersonalIdentity()
		check(t, err)
		p := access.Person{Name: name, Roles: []access.Role{access.Keykeeper}, Key: personal.Recipient(), SSH: []sshsig.PublicKey{c.sshKey(name)}}
		if name == "otto" {
			p.Roles, p.Addresses = []access.Role{access.Operator}, []netip.Addr{netip.MustParseAddr("127.0.0.2")}
		}
		next.People = append(next.People, p)
	}
	c.links = append(c.links, access.Link{Roster: c.first.Encode()})
	c.append(next)
	return c
}

func (c *chain) sshKey(name safe.PersonName) sshsig.PublicKey {
	_, private, err := ed25519.GenerateKey(nil)
	check(c.t, err)
	signer, err := ssh.NewSignerFromKey(private)
	check(c.t, err)
	c.signers[name] = signer
	key, err := sshsig.PublicKeyOf(signer.PublicKey())
	check(c.t, err)
	return key
}

func (c *chain) append(next access.Roster) {
	link := access.Link{Roster: next.Encode()}
	for name, signer := range c.signers {
		signed, err := access.Sign(access.Statement{Store: next.Store, Person: name, Time: now, Act: access.Agree{Number: next.Number, Digest: next.Digest()}}, signer)
		check(c.t, err)
		link.Agreements = append(link.Agreements, signed)
	}
	c.links, c.last = append(c.links, link), next
}

// grow appends a version with one more address of otto's.
func (c *chain) grow(address string) {
	next := c.last.Next()
	next.People[1].Addresses = []netip.Addr{netip.MustParseAddr(address)}
	c.append(next)
}

// everyone is what the safe shows after version n; all of a founded safe if 0.
func (c *chain) everyone(after int) api.Everyone {
	return api.Everyone{Links: c.links[max(1, after):], Current: c.last.Encode()}
}

func (c *chain) data() profile.Data {
	return profile.Data{Safe: "acme", Store: c.first.Store, URL: "https://127.0.0.1:8443", Person: "kim", Roles: []access.Role{access.Keykeeper}, SSHKey: "/home/kim/.ssh/id_ed25519"}
}

func (c *chain) profile() *profile.Profile {
	c.t.Helper()
	d, err := profile.NewDraft(filepath.Join(c.t.TempDir(), "acme"), c.data(), seal.PersonalIdentity{}, "", now)
	check(c.t, err)
	p, err := d.Commit("")
	check(c.t, err)
	return p
}

func TestDraft(t *testing.T) {
	c := newChain(t)
	base := filepath.Join(t.TempDir(), "config", "strongroom")
	dir := filepath.Join(base, "acme")
	personal, err := seal.NewPersonalIdentity()
	check(t, err)
	if raceDetector {
		t.Skip("trying a passphrase takes ten times as long with the race detector, which has nothing to find in it")
	}
	const passphrase = "correct horse battery"

	d, err := profile.NewDraft(dir, c.data(), seal.PersonalIdentity{}, "", now)
	check(t, err)
	var find *profile.FindError
	if _, err := profile.Find(base); !errors.As(err, &find) || len(find.Found) != 0 {
		t.Errorf("a draft is found as a profile: %v", err)
	}
	d.Discard()
	if entries, err := os.ReadDir(base); err != nil || len(entries) > 0 {
		t.Errorf("a discarded draft leaves %v, %v", entries, err)
	}

	d, err = profile.NewDraft(dir, c.data(), personal, passphrase, now)
	check(t, err)
	p, err := d.Commit("")
	check(t, err)
	d.Discard()
	for file, mode := range map[string]fs.FileMode{"": 0o700, "profile.json": 0o600, "personal.age": 0o600} {
		info, err := os.Stat(filepath.Join(dir, file))
		check(t, err)
		if info.Mode().Perm() != mode {
			t.Errorf("%q has mode %v, want %v", file, info.Mode().Perm(), mode)
		}
	}
	found, err := profile.Find(base)
	if err != nil || found != dir {
		t.Errorf("found %s, %v", found, err)
	}
	got, err := p.Unlock(passphrase)
	check(t, err)
	if got.Recipient() != personal.Recipient() {
		t.Error("another key comes out")
	}
	if _, err := profile.NewDraft(dir, c.data(), personal, passphrase, now); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a profile over another: %v", err)
	}
}

func TestOfficersHaveNoKey(t *testing.T) {
	if _, err := newChain(t).profile().Unlock("whatever it may be"); !errors.Is(err, profile.ErrNoKey) {
		t.Errorf("the error is %v", err)
	}
}

func TestFindSeveral(t *testing.T) {
	c := newChain(t)
	base := t.TempDir()
	for _, name := range []string{"blue", "acme"} {
		d, err := profile.NewDraft(filepath.Join(base, name), c.data(), seal.PersonalIdentity{}, "", now)
		check(t, err)
		_, err = d.Commit("")
		check(t, err)
	}
	var find *profile.FindError
	if _, err := profile.Find(base); !errors.As(err, &find) || len(find.Found) != 2 || filepath.Base(find.Found[0]) != "acme" {
		t.Errorf("the error is %v", err)
	}
}

func TestDamagedProfile(t *testing.T) {
	c := newChain(t)
	p := c.profile()
	file := filepath.Join(p.Dir(), "profile.json")
	good, err := os.ReadFile(file)
	check(t, err)
	for want, content := range map[string]string{
		"unknown field":    strings.Replace(string(good), `"safe"`, `"vault"`, 1),
		"version 2":        strings.Replace(string(good), `"v": 1`, `"v": 2`, 1),
		"something else":   string(good) + "{}",
		"address of a saf": strings.Replace(string(good), "https:", "http:", 1),
		"unexpected EOF":   string(good[:len(good)/2]),
		"pin of version 3": strings.Replace(string(good), `"ssh_key"`, `"pin": {"n": 3, "digest": "`+strings.Repeat("0", 64)+`"}, "ssh_key"`, 1),
	} {
		check(t, os.WriteFile(file, []byte(content), 0o600))
		if _, err := profile.Open(p.Dir()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want one with %q", err, want)
		}
	}
}

func TestFollowFromThePin(t *testing.T) {
	c := newChain(t)
	p := c.profile()
	if _, err := p.Follow(c.everyone(0)); !errors.Is(err, profile.ErrNotPinned) {
		t.Fatalf("without a pin: %v", err)
	}
	founding, ok, err := profile.Candidate(c.everyone(0))
	if err != nil || !ok || founding.Number != 2 {
		t.Fatalf("the version to be compared is %d, %v, %v", founding.Number, ok, err)
	}
	c.grow("127.0.0.9")
	check(t, p.SetPin(founding))
	for range 2 { // from the pin, then from what was verified
		p, err = profile.Open(p.Dir())
		check(t, err)
		r, err := p.Follow(c.everyone(p.After()))
		check(t, err)
		if r.Digest() != c.last.Digest() {
			t.Fatalf("followed to version %d", r.Number)
		}
	}
	if p.After() != 3 {
		t.Errorf("version %d is remembered", p.After())
	}
	c.grow("127.0.0.8")
	if _, err := p.Follow(c.everyone(0)); err != nil { // more than was asked for does no harm
		t.Error(err)
	}
}

func TestFollowRefusesForgeries(t *testing.T) {
	c := newChain(t)
	c.grow("127.0.0.9")
	known := c.profile()
	check(t, known.SetPin(c.last))

	other := newChain(t)
	forged := c.everyone(0)
	forged.Links = append(forged.Links, access.Link{Roster: func() []byte {
		next := c.last.Next()
		next.People[0].SSH = other.last.People[0].SSH
		forged.Current = next.Encode()
		return forged.Current
	}()})
	if _, err := known.Follow(forged); err == nil || !strings.Contains(err.Error(), "needs a keykeeper and an operator") {
		t.Errorf("a version that nobody agreed on: %v", err)
	}
	if _, err := known.Follow(other.everyone(0)); err == nil || !strings.Contains(err.Error(), "is of store") {
		t.Errorf("the roster of another safe: %v", err)
	}
	back := api.Everyone{Links: c.links[1:2], Current: c.links[1].Roster}
	if _, err := known.Follow(back); err == nil || !strings.Contains(err.Error(), "says that version 2 of the roster is in force, and proves version 3") {
		t.Errorf("a roster that was rolled back: %v", err)
	}

	// The pin is of a version that was only agreed on, and another one was
	// founded.
	p := c.profile()
	check(t, p.Expect(2, safe.DigestOf([]byte("another"))))
	if _, err := p.Follow(c.everyone(0)); !errors.Is(err, profile.ErrOtherPin) {
		t.Errorf("another version than the pinned one: %v", err)
	}
}

func TestBeforeTheSafeIsFounded(t *testing.T) {
	c := newChain(t)
	p := c.profile()
	check(t, p.Expect(2, c.last.Digest()))
	r, err := p.Follow(api.Everyone{Links: c.links[:1], Current: c.first.Encode()})
	if err != nil || r.Founded() {
		t.Fatalf("founded %v, %v", r.Founded(), err)
	}
	r, err = p.Follow(c.everyone(0))
	if err != nil || r.Number != 2 {
		t.Fatalf("version %d, %v", r.Number, err)
	}
}

func TestPapersNeedPinningAnew(t *testing.T) {
	c := newChain(t)
	p := c.profile()
	check(t, p.SetPin(c.last))
	c.grow("127.0.0.9")
	c.links[2] = access.Link{Roster: c.links[2].Roster, Papers: true}
	c.grow("127.0.0.8")
	if _, err := p.Follow(c.everyone(0)); !errors.Is(err, access.ErrPapers) {
		t.Fatalf("followed silently: %v", err)
	}
	candidate, _, err := profile.Candidate(c.everyone(0))
	if err != nil || candidate.Number != 3 {
		t.Fatalf("the version to be compared is %d, %v", candidate.Number, err)
	}
	check(t, p.SetPin(candidate))
	if r, err := p.Follow(c.everyone(0)); err != nil || r.Number != 4 {
		t.Fatalf("version %d, %v", r.Number, err)
	}
}
