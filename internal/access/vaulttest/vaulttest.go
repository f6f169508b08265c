// Package vaulttest makes what a safe leaves behind, in memory: a store with
// snapshots, its ledger, and the roster of its people. It is for the tests of
// those who read without the safe, from a copy of the store or through a gate.
//
//	v := vaulttest.New(t, "ada:keykeeper bob:operator")
//	d := v.Keep(storetest.File("etc/hosts", "127.0.0.1 localhost\n"))
//	v.Write(folder)
package vaulttest

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"io"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"strongroom/internal/access"
	"strongroom/internal/access/accesstest"
	"strongroom/internal/access/gate"
	"strongroom/internal/access/proven"
	"strongroom/internal/access/sshsig"
	"strongroom/internal/ledger"
	"strongroom/internal/ledger/ledgertest"
	"strongroom/internal/safe"
	"strongroom/internal/store/blob"
	"strongroom/internal/store/layout"
	"strongroom/internal/store/seal"
	"strongroom/internal/store/storetest"
)

// A Vault is a store with a ledger and people. Outer and Inner of the Store
// are the role keys of the newest period.
type Vault struct {
	*storetest.Store
	Signer ledger.Key // of the ledger
	People map[safe.PersonName]accesstest.Somebody
	Roster access.Roster // the newest version

	t       testing.TB
	log     ledgertest.Log
	head    ledger.Head
	entries [][]byte
	hostKey []byte               // of the gate, private
	outers  []seal.OuterIdentity // of all periods
	kept    map[safe.RunID]int64 // entry of each snapshot
}

// New returns a vault without snapshots, whose safe was founded by people,
// given as "ada:keykeeper bob:operator". Failures end the test.
func New(t testing.TB, people string) *Vault {
	t.Helper()
	v := &Vault{Store: storetest.New(t), People: make(map[safe.PersonName]accesstest.Somebody), t: t, kept: make(map[safe.RunID]int64)}
	v.Signer, _ = ledger.GenerateKey(v.ID)
	v.outers = []seal.OuterIdentity{v.Outer}
	host, private := hostKey(t)
	v.hostKey = private
	first := access.First(v.Signer.Public(), host, access.Period{From: accesstest.Start, Outer: v.Outer.Recipient(), Inner: v.Inner.Recipient()})
	v.publish(first, ledger.SafeCreated{Name: "acme", Store: v.ID, Roster: first.Digest(), Key: v.Signer.Public()})
	v.Change(func(r *access.Roster) {
		for word := range strings.FieldsSeq(people) {
			name, role, _ := strings.Cut(word, ":")
			s := accesstest.NewPerson(t, safe.PersonName(name), access.Role(role))
			v.People[s.Name] = s
			r.People = append(r.People, s.Person)
		}
		slices.SortFunc(r.People, func(a, b access.Person) int { return strings.Compare(string(a.Name), string(b.Name)) })
		r.Periods[0].OuterCopies, r.Periods[0].InnerCopies = v.copies(*r)
	})
	return v
}

func hostKey(t testing.TB) (sshsig.PublicKey, []byte) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	signer, err := ssh.NewSignerFromKey(private)
	must(t, err)
	public, err := sshsig.PublicKeyOf(signer.PublicKey())
	must(t, err)
	block, err := ssh.MarshalPrivateKey(private, "")
	must(t, err)
	return public, pem.EncodeToMemory(block)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("making a vault: %v", err)
	}
}

// copies seals the role keys of the newest period to those who hold them.
func (v *Vault) copies(r access.Roster) (outer, inner []access.Copy) {
	v.t.Helper()
	for _, p := range r.People {
		if p.Has(access.Keykeeper) {
			sealed, err := v.Outer.SealTo(p.Key, accesstest.Start)
			must(v.t, err)
			outer = append(outer, access.Copy{Person: p.Name, Sealed: sealed})
		}
		if p.Has(access.Operator) {
			sealed, err := v.Inner.SealTo(p.Key, accesstest.Start)
			must(v.t, err)
			inner = append(inner, access.Copy{Person: p.Name, Sealed: sealed})
		}
	}
	return outer, inner
}

// Change brings a new version of the roster into force.
func (v *Vault) Change(change func(*access.Roster)) {
	v.t.Helper()
	next := v.Roster.Next()
	change(&next)
	v.publish(next, ledger.RosterChanged{Version: int64(next.Number), Digest: next.Digest()})
}

// NewPeriod begins a period with new role keys, which all hold who should.
func (v *Vault) NewPeriod() {
	v.t.Helper()
	var err error
	v.Outer, err = seal.NewOuterIdentity()
	must(v.t, err)
	v.Inner, err = seal.NewInnerIdentity()
	must(v.t, err)
	v.outers = append(v.outers, v.Outer)
	v.Change(func(r *access.Roster) {
		p := access.Period{From: r.Current().From.AddDate(1, 0, 0), Outer: v.Outer.Recipient(), Inner: v.Inner.Recipient()}
		p.OuterCopies, p.InnerCopies = v.copies(*r)
		r.Periods = append(r.Periods, p)
	})
}

func (v *Vault) publish(r access.Roster, what ledger.Event) {
	v.t.Helper()
	v.Roster = accesstest.Reread(v.t, r)
	v.put(layout.Roster(r.Number), r.Encode())
	v.append(what)
	v.checkpoint()
}

// Keep stores a snapshot, and records it.
func (v *Vault) Keep(entries ...storetest.Entry) safe.Snapshot {
	v.t.Helper()
	d := v.Snapshot(entries...)
	v.append(ledger.RunBegun{Run: d.Run, Source: d.Source, Envelope: d.Runs[d.Run].Envelope, Roster: int64(v.Roster.Number)})
	v.append(ledger.KeptOf(d, ""))
	v.kept[d.Run] = v.head.Size - 1
	v.checkpoint()
	return d
}

// put publishes an object and its copy.
func (v *Vault) put(name string, b []byte) {
	v.t.Helper()
	for _, name := range []string{name, layout.Copy(name)} {
		must(v.t, blob.Put(context.Background(), v.Blobs, name, b))
	}
}

func (v *Vault) append(what ledger.Event) {
	v.t.Helper()
	n := v.log.Size()
	b, err := ledger.Entry{Time: accesstest.Start.Add(time.Duration(n) * time.Minute), Who: ledger.Safe, What: what}.Encode()
	must(v.t, err)
	v.head, err = v.log.AppendBytes(b)
	must(v.t, err)
	v.entries = append(v.entries, b)
	v.put(layout.Entry(n), b)
}

// checkpoint signs the ledger as it is.
func (v *Vault) checkpoint() {
	v.t.Helper()
	v.put(layout.Checkpoint(v.head.Size), v.Checkpoint())
}

// Checkpoint returns the newest checkpoint.
func (v *Vault) Checkpoint() []byte {
	v.t.Helper()
	b, err := v.Signer.Sign(v.head)
	must(v.t, err)
	return b
}

// Size returns how many entries the ledger has.
func (v *Vault) Size() int64 { return v.head.Size }

// Growth returns the proof that the ledger is what it was at a size, with
// entries added.
func (v *Vault) Growth(from int64) []byte {
	v.t.Helper()
	c, err := ledger.ProveConsistency(from, v.head.Size, &v.log)
	must(v.t, err)
	return c.Encode()
}

// Write writes the store into a folder, which is made.
func (v *Vault) Write(folder string) {
	v.t.Helper()
	for info, err := range v.Blobs.List(context.Background(), "") {
		must(v.t, err)
		b, err := blob.ReadAll(context.Background(), v.Blobs, info.Name, 1<<30)
		must(v.t, err)
		file := filepath.Join(folder, info.Name)
		must(v.t, os.MkdirAll(filepath.Dir(file), 0o700))
		must(v.t, os.WriteFile(file, b, 0o600))
	}
}

// WriteKey writes the private half of a key as a file, and returns its path.
func WriteKey(t testing.TB, file string, key interface {
	Write(io.Writer, time.Time) error
}) string {
	t.Helper()
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o400)
	must(t, err)
	must(t, key.Write(f, accesstest.Start))
	must(t, f.Close())
	return file
}

// Task returns what the gate is to show, and to whom, if an opening of the
// snapshots was released to the operator, whose machine knew a ledger of that
// size.
func (v *Vault) Task(operator safe.PersonName, known int64, snapshots ...safe.Snapshot) gate.Task {
	v.t.Helper()
	files := v.atGate(known, snapshots)
	p := v.People[operator]
	task := gate.Task{Listen: netip.MustParseAddrPort("127.0.0.1:0"), Peer: p.Addresses[0], User: string(operator), Key: p.SSH[0].String(), HostKey: v.hostKey,
		Until: time.Now().Add(time.Hour)}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		task.Files = append(task.Files, gate.File{Name: name, Content: files[name]})
	}
	scopes := make(map[safe.RunID]*gate.Scope)
	for _, d := range snapshots {
		for run, needs := range d.Runs {
			if scopes[run] == nil {
				scopes[run] = &gate.Scope{Run: run}
			}
			scopes[run].Packs = append(scopes[run].Packs, needs.Packs...)
		}
		scopes[d.Run].Roots = append(scopes[d.Run].Roots, d.Root)
	}
	for _, scope := range scopes {
		slices.SortFunc(scope.Packs, safe.Digest.Compare)
		scope.Packs = slices.Compact(scope.Packs)
		task.Scope = append(task.Scope, *scope)
	}
	return task
}

// atGate returns the small files.
func (v *Vault) atGate(known int64, snapshots []safe.Snapshot) map[string][]byte {
	v.t.Helper()
	files := map[string][]byte{layout.FormatName: layout.Format(v.ID), "README": []byte("See strongroom restore --help.\n"), "ledger/checkpoint": v.Checkpoint()}
	if known > 0 {
		files["ledger/proofs/consistency.json"] = v.Growth(known)
	}
	for n := 1; n <= v.Roster.Number; n++ {
		files[layout.Roster(n)] = v.read(layout.Roster(n))
	}
	for _, d := range snapshots {
		files[layout.Snapshot(d.Run)] = d.Encode()
		inclusion, err := ledger.ProveInclusion(v.kept[d.Run], v.head.Size, &v.log)
		must(v.t, err)
		proof, err := json.Marshal(proven.Proof{Entry: v.entries[v.kept[d.Run]], Inclusion: inclusion.Encode()})
		must(v.t, err)
		files["ledger/proofs/"+d.Run.String()+".json"] = proof
		for run := range d.Runs {
			files[layout.Run(run)+"/inner.age"] = v.innerFile(d, run)
		}
	}
	return files
}

// innerFile takes the outer seal off the key of a run.
func (v *Vault) innerFile(d safe.Snapshot, run safe.RunID) []byte {
	v.t.Helper()
	for _, outer := range v.outers {
		inner, err := seal.OpenOuter(outer, v.read(layout.Envelope(run)), seal.Want{Store: v.ID, Run: run, Source: d.Source})
		if err == nil {
			return inner
		}
	}
	v.t.Fatalf("no outer key opens run %s", run)
	return nil
}

func (v *Vault) read(name string) []byte {
	v.t.Helper()
	b, err := blob.ReadAll(context.Background(), v.Blobs, name, 1<<30)
	must(v.t, err)
	return b
}
