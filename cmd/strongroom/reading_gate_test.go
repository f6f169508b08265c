package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/crypto/ssh"

	"strongroom/internal/access"
	"strongroom/internal/access/accesstest"
	"strongroom/internal/access/api"
	"strongroom/internal/access/gate"
	"strongroom/internal/access/profile"
	"strongroom/internal/access/sshsig"
	"strongroom/internal/access/vaulttest"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/store/blob"
	"strongroom/internal/store/blob/mem"
	"strongroom/internal/store/catalog"
	"strongroom/internal/store/layout"
	"strongroom/internal/store/storetest"
)

// A desk is the machine of the operator bob, with his profile, and a vault.
type desk struct {
	*vaulttest.Vault
	t             *testing.T
	at            string // home
	first, second safe.Snapshot
}

const deskPassphrase = "correct horse battery staple"

// atDesk makes bob's machine. With a personal key, which takes a second to
// lock and one to unlock, it can read; without, it can look.
func atDesk(t *testing.T, withKey bool) *desk {
	t.Helper()
	d := &desk{t: t, at: atHome(t)}
	d.Vault, d.first, d.second = twoPeriods(t, "ada:keykeeper bob:operator")
	public, file := newSSHKey(t, filepath.Join(d.at, "id_ed25519"))
	d.Change(func(r *access.Roster) { r.People[1].SSH = []sshsig.PublicKey{public} })
	bob := d.People["bob"]
	bob.SSH = []sshsig.PublicKey{public}
	d.People["bob"] = bob

	data := profile.Data{Safe: "acme", Store: d.ID, URL: "https://127.0.0.1:1", Person: "bob", Roles: []access.Role{access.Operator}, SSHKey: file,
		From: bob.Addresses[0]}
	passphrase := ""
	if withKey {
		passphrase = deskPassphrase
	}
	draft, err := profile.NewDraft(filepath.Join(d.at, ".config", "strongroom", "acme"), data, bob.Identity, passphrase, accesstest.Start)
	if err != nil {
		t.Fatal(err)
	}
	p, err := draft.Commit("")
	if err == nil {
		err = p.SetPin(d.Roster)
	}
	if err != nil {
		t.Fatal(err)
	}
	phrase := filepath.Join(d.at, "passphrase")
	if err := os.WriteFile(phrase, []byte(deskPassphrase+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("STRONGROOM_PASSPHRASE_FILE", phrase)
	return d
}

func newSSHKey(t *testing.T, file string) (sshsig.PublicKey, string) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	public, err := sshsig.PublicKeyOf(signer.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	return public, file
}

// objects is what a gate needs of a store.
type objects interface {
	Open(ctx context.Context, name string) (blob.Object, error)
	Stat(ctx context.Context, name string) (blob.Info, error)
}

// serve opens a gate, until the test ends or shut is called.
func (d *desk) serve(task gate.Task, from objects) (address string, shut func()) {
	d.t.Helper()
	server, err := gate.New(task, from, gate.Options{})
	if err != nil {
		d.t.Fatal(err)
	}
	l, err := gate.Listen(d.t.Context(), task.Listen)
	if err != nil {
		d.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		server.Serve(ctx, l) // what clients see of an error is tested
	}()
	d.t.Cleanup(func() { cancel(); <-done })
	return "sftp://" + l.Addr().String(), cancel
}

// alter changes the file of that name which a gate shows; nil takes it out.
func alter(task *gate.Task, name string, change func([]byte) []byte) {
	for i, f := range task.Files {
		if f.Name != name {
			continue
		}
		if task.Files[i].Content = change(bytes.Clone(f.Content)); task.Files[i].Content == nil {
			task.Files = append(task.Files[:i], task.Files[i+1:]...)
		}
		return
	}
	panic("the gate does not show " + name)
}

func TestReadThroughAGate(t *testing.T) {
	d := atDesk(t, true)
	from, _ := d.serve(d.Task("bob", 0, d.first, d.second), d.Blobs)

	call(t, "snapshots", "--from", from).want(0, "erp-files@2026-11-21", "erp-files@2026-11-22")
	to := filepath.Join(d.at, "restored")
	call(t, "restore", "erp-files", "--from", from, "--to", to, "--connections", "3").want(0, "restored: 3 files")
	has(t, filepath.Join(to, "srv/old"), "from before\n")
	has(t, filepath.Join(to, "srv/changes"), "two!\n")

	// What the ledger was is remembered: a shorter one is refused from now on.
	if kept := recall(d.ID); kept.newest().Size != d.Size() {
		t.Errorf("remembered is a checkpoint of %d entries, want %d", kept.newest().Size, d.Size())
	}

	paper := filepath.Join(d.at, "paper")
	if err := os.WriteFile(paper, []byte(d.People["bob"].Identity.PrivateLine()), 0o400); err != nil {
		t.Fatal(err)
	}
	t.Setenv("STRONGROOM_PASSPHRASE_FILE", "")
	call(t, "cat", d.first.Run.String(), "srv/changes", "--from", from, "--inner-key", paper).want(0, "one\n")
	call(t, "find", "--name", "changes", "--source", "erp-files", "--from", from, "--inner-key", paper).want(0, "there", "content")
	ada := vaulttest.WriteKey(t, filepath.Join(d.at, "ada"), d.People["ada"].Identity)
	call(t, "ls", "erp-files", "--from", from, "--inner-key", ada).want(4, "ada has no copy of the operators' role key")
	call(t, "ls", "erp-files", "--from", from, "--outer-key", ada, "--inner-key", paper).want(2, "the outer seal is off already")
	call(t, "ls", "erp-files", "--from", from, "--store", d.at).want(2, "--store and --from exclude each other")
	call(t, "ls", "erp-files", "--from", "127.0.0.1:22").want(2, "is not the address of a gate")
}

// TestProfileKnowsTheLedger reads a copy of a store on a machine that has never
// read it, but has verified its roster.
func TestProfileKnowsTheLedger(t *testing.T) {
	d := atDesk(t, false)
	copied := filepath.Join(d.at, "copied")
	d.Write(copied)
	warning := "nothing is known of this store"
	if got := call(t, "snapshots", "--store", copied).want(0, "erp-files@"); strings.Contains(got.stderr, warning) {
		t.Errorf("what the profile knows is not used: %s", got.stderr)
	}

	// Also if there is a second profile, of another safe.
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	base := filepath.Join(d.at, ".config", "strongroom")
	if err := os.MkdirAll(filepath.Join(base, "other"), 0o700); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(base, "acme", "profile.json"))
	if err != nil {
		t.Fatal(err)
	}
	other := vaulttest.New(t, "ada:keykeeper bob:operator")
	if err := os.WriteFile(filepath.Join(base, "other", "profile.json"), bytes.ReplaceAll(b, []byte(d.ID.String()), []byte(other.ID.String())), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := call(t, "snapshots", "--store", copied).want(0, "erp-files@"); strings.Contains(got.stderr, warning) {
		t.Errorf("what one of two profiles knows is not used: %s", got.stderr)
	}

	// Another store is met for the first time, as before.
	theirs := filepath.Join(d.at, "theirs")
	other.Keep(storetest.File("a", "b"))
	other.Write(theirs)
	call(t, "snapshots", "--store", theirs).want(0, warning)

	// A ledger of this store with another key is none.
	forged := vaulttest.New(t, "ada:keykeeper bob:operator")
	forged.Keep(storetest.File("a", "b"))
	forged.Write(filepath.Join(d.at, "forged"))
	if err := os.WriteFile(filepath.Join(d.at, "forged", layout.FormatName), layout.Format(d.ID), 0o600); err != nil {
		t.Fatal(err)
	}
	call(t, "ls", "erp-files", "--store", filepath.Join(d.at, "forged"), "--outer-key", "x", "--inner-key", "x").want(4, "ledger")
}

// TestBehindAtTheGate has a new version of the roster at the gate, and a safe
// that does not answer: what was verified before is enough for what is older.
func TestBehindAtTheGate(t *testing.T) {
	d := atDesk(t, false)
	paper := vaulttest.WriteKey(t, filepath.Join(d.at, "paper"), d.People["bob"].Identity)
	known := d.Roster.Number
	d.NewPeriod()
	from, _ := d.serve(d.Task("bob", 0, d.first, d.second), d.Blobs)
	call(t, "cat", d.first.Run.String(), "srv/changes", "--from", from, "--inner-key", paper).
		want(0, "one\n", fmt.Sprintf("the gate has version %d of the roster, which this machine cannot verify", known+1), "strongroom people list")
}

// TestGateIsNotBelieved alters what a gate shows, one thing after the other.
func TestGateIsNotBelieved(t *testing.T) {
	d := atDesk(t, false)
	paper := vaulttest.WriteKey(t, filepath.Join(d.at, "paper"), d.People["bob"].Identity)
	run := d.second.Run
	proof := "ledger/proofs/" + run.String() + ".json"
	inner := func(run safe.RunID) string { return layout.Run(run) + "/inner.age" }
	flip := func(b []byte) []byte { b[len(b)/2] ^= 1; return b }
	gone := func([]byte) []byte { return nil }
	other := vaulttest.New(t, "ada:keykeeper bob:operator")
	theirs := other.Task("bob", 0, other.Keep(storetest.File("a", "b")))
	content := func(task gate.Task, name string) (found []byte) {
		alter(&task, name, func(b []byte) []byte { found = b; return b })
		return found
	}
	mine := d.Task("bob", 0, d.first, d.second)

	for _, c := range []struct {
		name string
		file string
		with func([]byte) []byte
		want string
	}{
		{"as it is", proof, func(b []byte) []byte { return b }, ""},
		{"a checkpoint that nobody signed", "ledger/checkpoint", flip, "checkpoint"},
		{"a checkpoint of another safe", "ledger/checkpoint", func([]byte) []byte { return other.Checkpoint() }, "not signed by a key that is known"},
		{"the mark of another store", layout.FormatName, func([]byte) []byte { return layout.Format(other.ID) }, "this is the gate to store"},
		{"a proof with a bit changed", proof, flip, "is not proven"},
		{"no proof", proof, gone, "is not proven"},
		{"the proof of another snapshot", proof, func([]byte) []byte { return content(mine, "ledger/proofs/"+d.first.Run.String()+".json") }, "is not proven"},
		{"another description", layout.Snapshot(run), func(b []byte) []byte { return bytes.Replace(b, []byte(`"entries":`), []byte(`"entries":1`), 1) }, "is not proven"},
		{"the description of another snapshot", layout.Snapshot(run), func([]byte) []byte { return d.first.Encode() }, "it describes run"},
		{"the inner file of another run", inner(run), func([]byte) []byte { return content(mine, inner(d.first.Run)) }, "labelled with run"},
		{"the inner file of another safe", inner(run), func([]byte) []byte { return content(theirs, inner(newestOf(t, other))) }, "sealed to another key"},
		{"an inner file with a bit changed", inner(run), flip, ""},
		{"no inner file", inner(run), gone, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("XDG_STATE_HOME", t.TempDir())
			task := d.Task("bob", 0, d.first, d.second)
			alter(&task, c.file, c.with)
			from, _ := d.serve(task, d.Blobs)
			got := call(t, "ls", run.String(), "--from", from, "--inner-key", paper)
			switch {
			case c.name == "as it is":
				got.want(0, "srv/new")
			case c.want == "":
				if got.code == 0 {
					t.Errorf("accepted: %s", got.stdout)
				}
			default:
				got.want(4, c.want)
			}
		})
	}

	t.Run("another host key", func(t *testing.T) {
		task := d.Task("bob", 0, d.first)
		task.HostKey = theirs.HostKey
		from, _ := d.serve(task, d.Blobs)
		call(t, "snapshots", "--from", from).want(4, "someone else answers in the gate's place")
	})
	t.Run("a ledger that was rolled back", func(t *testing.T) {
		old := d.Task("bob", 0, d.first)
		d.Keep(storetest.File("more", "more"))
		from, shut := d.serve(d.Task("bob", 0, d.first), d.Blobs)
		call(t, "snapshots", "--from", from).want(0)
		shut()
		from, _ = d.serve(old, d.Blobs)
		call(t, "snapshots", "--from", from).want(3, "NOT PROVEN: the ledger could not be relied on")
		call(t, "ls", d.first.Run.String(), "--from", from, "--inner-key", paper).want(4, "nothing shows that the ledger", "the safe could not be asked")
		call(t, "ls", d.first.Run.String(), "--unproven", "--from", from, "--inner-key", paper).want(0, "nothing is proven", "srv/old")
	})
}

// newestOf returns the newest run of a vault.
func newestOf(t *testing.T, v *vaulttest.Vault) (run safe.RunID) {
	t.Helper()
	for info, err := range v.Blobs.List(t.Context(), "snapshots/") {
		if err != nil {
			t.Fatal(err)
		}
		run = layout.Parse(info.Name).Run
	}
	return run
}

// TestGapIsClosedByTheSafe gives a machine another checkpoint than the gate's
// proof begins at, also a newer one than the gate's.
func TestGapIsClosedByTheSafe(t *testing.T) {
	v := vaulttest.New(t, "ada:keykeeper bob:operator")
	parse := func(signed []byte) ledger.Checkpoint {
		c, err := ledger.ParseCheckpoint(signed, v.Signer.Public())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	asked := v.Size()
	between := parse(v.Checkpoint())
	v.Keep(storetest.File("a", "1"))
	between = parse(v.Checkpoint())
	v.Keep(storetest.File("a", "2"))
	shown, growth := v.Checkpoint(), v.Growth(asked)
	v.Keep(storetest.File("a", "3"))
	newer := parse(v.Checkpoint())
	v.Keep(storetest.File("a", "4"))
	_, forger := vaulttest.New(t, ""), v.Signer
	fork, err := forger.Sign(ledger.Head{Size: newer.Size, Root: between.Root})
	if err != nil {
		t.Fatal(err)
	}

	files := mem.New(mem.Options{})
	for name, b := range map[string][]byte{gateCheckpoint: shown, gateConsistency: growth} {
		if err := blob.Put(t.Context(), files, name, b); err != nil {
			t.Fatal(err)
		}
	}
	asks := 0
	honest := func(_ context.Context, known int64) (api.Head, error) {
		asks++
		return api.Head{Checkpoint: v.Checkpoint(), Consistency: v.Growth(known)}, nil
	}
	growing := func(ctx context.Context, known int64) (api.Head, error) {
		if asks == 1 {
			v.Keep(storetest.File("a", "while it was asked"))
		}
		return honest(ctx, known)
	}
	away := func(context.Context, int64) (api.Head, error) { return api.Head{}, errors.New("nobody there") }
	for _, c := range []struct {
		name string
		kept ledger.Checkpoint
		head func(context.Context, int64) (api.Head, error)
		ok   bool
	}{
		{"one that is newer than that of the request", between, honest, true},
		{"one that is newer than the gate's", newer, honest, true},
		{"a ledger that grows meanwhile", newer, growing, true},
		{"nobody to ask", newer, away, false},
		{"a fork", parse(fork), honest, false},
	} {
		asks = 0
		g := &gateway{roster: v.Roster, head: c.head}
		got, err := g.verifyHead(t.Context(), files, shown, catalog.Options{Keys: v.Roster.LedgerKeys, Kept: []ledger.Checkpoint{c.kept}})
		if (err == nil) != c.ok || err == nil && got != parse(shown) {
			t.Errorf("%s: %v, error %v; want ok: %v", c.name, got, err, c.ok)
		}
	}
}

// cutOff is a store behind a gate, which calls cut as the nth pack is opened
// and goes on when the gate is shut.
type cutOff struct {
	objects
	left    atomic.Int64
	cut     func()
	address string // of the gate
}

func (c *cutOff) Open(ctx context.Context, name string) (blob.Object, error) {
	if strings.Contains(name, "/packs/") && c.left.Add(-1) <= 0 {
		c.cut()
		for {
			conn, err := net.Dial("tcp", c.address)
			if err != nil {
				break
			}
			conn.Close()
		}
	}
	return c.objects.Open(ctx, name)
}

// TestRestoreGoesOnInTheNextOpening ends an opening in the midst of a restore.
func TestRestoreGoesOnInTheNextOpening(t *testing.T) {
	d := atDesk(t, false)
	paper := vaulttest.WriteKey(t, filepath.Join(d.at, "paper"), d.People["bob"].Identity)
	d.PackChunks = 1
	var entries []storetest.Entry
	for i := range 40 {
		entries = append(entries, storetest.File(fmt.Sprintf("many/%02d", i), strings.Repeat(fmt.Sprint(i), 1000)))
	}
	big := d.Keep(entries...)
	store := &cutOff{objects: d.Blobs}
	store.left.Store(30)
	task := d.Task("bob", 0, big)
	from, shut := d.serve(task, store)
	store.cut, store.address = shut, strings.TrimPrefix(from, "sftp://")
	to := filepath.Join(d.at, "restored")
	call(t, "restore", "erp-files", "--from", from, "--to", to, "--inner-key", paper).
		want(1, "If the opening has ended, ask for another: strongroom opening request", "call the same command again")
	from, _ = d.serve(task, d.Blobs)
	call(t, "restore", "erp-files", "--from", from, "--to", to, "--inner-key", paper).want(0, "restored: 40 files")
	for _, e := range entries {
		has(t, filepath.Join(to, e.Path), e.Content)
	}
	call(t, "restore", "erp-files", "--from", from, "--verify", "--inner-key", paper).want(0, "verified: 40 files")
}
