package scrub_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/ledger"
	"strongroom/internal/ledger/ledgertest"
	"strongroom/internal/safe"
	"strongroom/internal/store/blob"
	"strongroom/internal/store/blob/mem"
	"strongroom/internal/store/layout"
	"strongroom/internal/store/parity"
	"strongroom/internal/store/scrub"
)

var begun = time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)

// A fixture is a small store as a safe writes it. A scrub never opens what is
// sealed, so packs, roots and envelopes are random bytes.
//
//	run first     2 packs with parity, a sketch; a snapshot
//	run second    1 pack with parity; a snapshot that needs a pack of first as well
//	run third     1 pack without parity; a snapshot
//	run broken    1 pack with parity, a root without its copy; no snapshot
type fixture struct {
	t       testing.TB
	store   *mem.Store
	id      safe.StoreID
	key     ledger.Key
	log     ledgertest.Log
	random  *rand.ChaCha8
	objects map[string][]byte // all that is in the store

	first, second, third, broken safe.RunID
	packs                        map[safe.RunID][]safe.Digest // in the order in which they were made
	lonely                       safe.Digest                  // the pack of third
}

const packSize = 1500 // shards of 128 bytes, the last of them empty

func newFixture(t testing.TB) *fixture {
	f := &fixture{
		t: t, store: mem.New(mem.Options{}), id: safe.StoreID{1, 2, 3}, random: rand.NewChaCha8([32]byte{7}),
		objects: make(map[string][]byte), packs: make(map[safe.RunID][]safe.Digest),
	}
	f.key, _ = ledger.GenerateKey(f.id)
	f.small(layout.FormatName, layout.Format(f.id))
	roster := f.bytes(300)
	f.small(layout.Roster(1), roster)
	f.record(ledger.SafeCreated{Name: "test", Store: f.id, Roster: safe.DigestOf(roster), Key: f.key.Public()})

	f.first = f.begin()
	f.pack(f.first, true)
	f.pack(f.first, true)
	f.put(layout.Run(f.first)+"/sketch/", f.bytes(100))
	f.keep(f.first, 1000, f.first)
	f.second = f.begin()
	f.pack(f.second, true)
	f.keep(f.second, 500, f.first, f.second)
	f.third = f.begin()
	f.lonely = f.pack(f.third, false)
	f.keep(f.third, 0, f.third)
	f.broken = f.begin()
	f.pack(f.broken, true)
	f.put(layout.Run(f.broken)+"/root/", f.bytes(200))
	return f
}

func (f *fixture) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) bytes(n int) []byte {
	b := make([]byte, n)
	f.random.Read(b)
	return b
}

// put puts an object; a name that ends in a slash gets its digest.
func (f *fixture) put(name string, b []byte) {
	if strings.HasSuffix(name, "/") {
		name += safe.DigestOf(b).String()
	}
	f.must(blob.Put(context.Background(), f.store, name, b))
	f.objects[name] = b
}

func (f *fixture) small(name string, b []byte) {
	f.put(name, b)
	f.put(layout.Parse(name).Other(), b)
}

// record appends an entry and publishes it with its checkpoint.
func (f *fixture) record(what ledger.Event) {
	n := f.log.Size()
	head, err := f.log.Append(begun.Add(time.Duration(n)*time.Minute), what)
	f.must(err)
	f.small(layout.Entry(n), f.entry(n))
	if n == 4 || n == 5 { // as if they had been committed together with the next
		return
	}
	checkpoint, err := f.key.Sign(head)
	f.must(err)
	f.small(layout.Checkpoint(n+1), checkpoint)
}

func (f *fixture) entry(n int64) []byte {
	var i int64
	for b := range f.log.Entries() {
		if i == n {
			return b
		}
		i++
	}
	f.t.Fatalf("there is no entry %d", n)
	return nil
}

func (f *fixture) begin() safe.RunID {
	run := safe.NewRunID(begun.Add(time.Duration(f.log.Size()) * time.Hour))
	envelope := f.bytes(250)
	f.small(layout.Envelope(run), envelope)
	f.record(ledger.RunBegun{Run: run, Source: "erp", Envelope: safe.DigestOf(envelope), Roster: 1})
	return run
}

func (f *fixture) pack(run safe.RunID, withParity bool) safe.Digest {
	b := f.bytes(packSize)
	d := safe.DigestOf(b)
	f.put(layout.Pack(run, d), b)
	if withParity {
		var par bytes.Buffer
		_, err := parity.Write(&par, bytes.NewReader(b), packSize, d)
		f.must(err)
		f.put(layout.Parity(run, d), par.Bytes())
	}
	f.packs[run] = append(f.packs[run], d)
	return d
}

// keep makes a snapshot that needs all packs of its own run, and the first of
// the others.
func (f *fixture) keep(run safe.RunID, parityBytes int64, runs ...safe.RunID) safe.Snapshot {
	root := f.bytes(200)
	f.put(layout.Run(run)+"/root/", root)
	f.put(layout.Copy(layout.Root(run, safe.DigestOf(root))), root)
	d := safe.Snapshot{
		Version: 1, Store: f.id, Run: run, Source: "erp", Kind: "local", Started: begun, Finished: begun,
		ParityBytes: parityBytes, KeepUntil: begun.AddDate(0, 0, 35), Tier: safe.Daily, Root: safe.DigestOf(root),
		Runs: make(map[safe.RunID]safe.RunPacks),
	}
	for _, r := range runs {
		packs := slices.Clone(f.packs[r])
		if r != run {
			packs = packs[:1]
		}
		slices.SortFunc(packs, safe.Digest.Compare)
		d.Runs[r] = safe.RunPacks{Envelope: safe.DigestOf(f.objects[layout.Envelope(r)]), Packs: packs}
	}
	f.small(d.Name(), d.Encode())
	f.record(ledger.KeptOf(d, ""))
	return d
}

func (f *fixture) truth() *scrub.Truth {
	f.t.Helper()
	truth, err := scrub.NewTruth(context.Background(), f.id, []ledger.PublicKey{f.key.Public()}, f.log.Entries())
	f.must(err)
	return truth
}

func (f *fixture) check(r blob.Reader, opts scrub.Options) scrub.Report {
	f.t.Helper()
	report, err := scrub.Check(context.Background(), r, f.truth(), opts)
	f.must(err)
	return report
}

// offer is what a safe's state has.
func (f *fixture) offer(_ context.Context, name string) ([]byte, error) {
	if !f.offers(name) {
		return nil, nil
	}
	return f.objects[name], nil
}

func (f *fixture) offers(name string) bool {
	switch layout.Parse(name).Kind {
	case layout.EntryObject, layout.CheckpointObject, layout.SnapshotObject, layout.FormatObject:
		return true
	}
	return false
}

func (f *fixture) repair(store scrub.Store, findings []scrub.Finding, offer scrub.Offer) []scrub.Outcome {
	f.t.Helper()
	plan := scrub.Plan(findings, func(name string) bool { return offer != nil && f.offers(name) })
	outcomes, err := scrub.Repair(context.Background(), store, f.truth(), plan, offer)
	f.must(err)
	return outcomes
}

// whole fails the test unless a full check passes and every object has its
// bytes.
func (f *fixture) whole(r blob.Reader) {
	f.t.Helper()
	if report := f.check(r, scrub.Options{}); len(report.Findings) > 0 {
		f.t.Fatalf("after the repair: %v", report.Findings)
	}
	if diff := cmp.Diff(f.objects, contents(f.t, r), cmp.Comparer(bytes.Equal)); diff != "" {
		f.t.Fatalf("after the repair the store differs (-want +got):\n%s", diff)
	}
}

func contents(t testing.TB, r blob.Reader) map[string][]byte {
	t.Helper()
	all := make(map[string][]byte)
	for info, err := range r.List(context.Background(), "") {
		if err != nil {
			t.Fatal(err)
		}
		b, err := blob.ReadAll(context.Background(), r, info.Name, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		all[info.Name] = b
	}
	return all
}

// set gives an object other bytes, whether or not it is there.
func (f *fixture) set(name string, b []byte) {
	if _, err := f.store.Stat(context.Background(), name); err != nil {
		f.must(blob.Put(context.Background(), f.store, name, b))
	}
	f.store.Corrupt(name, func([]byte) []byte { return b })
}

func flip(b []byte, i int) []byte {
	b = bytes.Clone(b)
	b[i] ^= byte(1 << (i % 8))
	return b
}

func problems(findings []scrub.Finding) map[string]scrub.Problem {
	all := make(map[string]scrub.Problem)
	for _, f := range findings {
		all[f.Name] = f.Problem
	}
	return all
}

func results(outcomes []scrub.Outcome) map[string]scrub.Result {
	all := make(map[string]scrub.Result)
	for _, o := range outcomes {
		all[o.Name] = o.Result
	}
	return all
}

func TestSoundStore(t *testing.T) {
	f := newFixture(t)
	var last scrub.Progress
	report := f.check(f.store, scrub.Options{Progress: func(p scrub.Progress) { last = p }})
	var size int64
	for _, b := range f.objects {
		size += int64(len(b))
	}
	want := scrub.Report{Objects: int64(len(f.objects)), Bytes: size}
	if diff := cmp.Diff(want, report); diff != "" {
		t.Errorf("report of a sound store differs (-want +got):\n%s", diff)
	}
	if last.Objects != want.Objects || last.Bytes != want.Bytes {
		t.Errorf("the last progress was %v, want all of %v", last, want)
	}
	if n := f.store.Counts().Publishes; n != int64(len(f.objects)) {
		t.Errorf("%d objects were published, want only the fixture's %d", n, len(f.objects))
	}
}

// Every byte of every object is flipped once. To have it done in seconds, the
// same byte is flipped in many objects at a time: never in both copies of one,
// nor in a pack and its parity.
func TestEveryFlippedByte(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	groups := map[string]func(layout.Name) bool{
		"originals and packs": func(n layout.Name) bool { return !n.Copied && n.Kind != layout.ParityObject },
		"copies and parity":   func(n layout.Name) bool { return n.Copied || n.Kind == layout.ParityObject },
	}
	for group, in := range groups {
		var names []string
		longest := 0
		for name, b := range f.objects {
			if n := layout.Parse(name); in(n) && n.Kind != layout.SketchObject && n.Digest != f.lonely && (n.Run != f.broken || n.Kind != layout.RootObject) {
				names = append(names, name)
				longest = max(longest, len(b))
			}
		}
		for i := range longest {
			// Only packs are that long, and all their bytes are alike.
			if i%35 != 0 && (i > 800 || testing.Short()) {
				continue
			}
			want := make(map[string]scrub.Problem)
			for _, name := range names {
				if i < len(f.objects[name]) {
					f.store.Corrupt(name, func(b []byte) []byte { return flip(b, i) })
					want[name] = scrub.Damaged
				}
			}
			report := f.check(f.store, scrub.Options{})
			if diff := cmp.Diff(want, problems(report.Findings)); diff != "" {
				t.Fatalf("%s, byte %d flipped: findings differ (-want +got):\n%s", group, i, diff)
			}
			if i%7 != 0 { // a repair does not depend on which byte it was
				for name := range want {
					f.set(name, f.objects[name])
				}
				continue
			}
			outcomes := f.repair(f.store, report.Findings, nil)
			for _, o := range outcomes {
				if o.Result != scrub.Repaired {
					t.Fatalf("%s, byte %d flipped: %+v", group, i, o)
				}
			}
			if len(outcomes) != len(want) {
				t.Fatalf("%s, byte %d flipped: %d outcomes for %d objects", group, i, len(outcomes), len(want))
			}
			f.whole(f.store)
		}
		f.whole(f.store)
	}
}

// harms are what may happen to an object as a whole.
var harms = map[string]func([]byte) []byte{
	"deleted":   nil,
	"emptied":   func([]byte) []byte { return []byte{} },
	"truncated": func(b []byte) []byte { return b[:len(b)-1] },
	"extended":  func(b []byte) []byte { return append(b, 0) },
	"zeroed":    func(b []byte) []byte { return make([]byte, len(b)) },
}

func TestEveryObjectHarmed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for harm, change := range harms {
		if testing.Short() && harm != "deleted" && harm != "truncated" {
			continue
		}
		for name := range f.objects {
			n := layout.Parse(name)
			want := scrub.Repaired
			switch {
			case n.Kind == layout.SketchObject, n.Digest == f.lonely, n.Run == f.broken && n.Kind == layout.RootObject:
				want = scrub.Lost // there is nothing to rebuild it from
			case n.Kind == layout.PackObject && (harm == "deleted" || harm == "emptied" || harm == "zeroed"):
				want = scrub.Lost
			}
			problem := scrub.Damaged
			if change == nil {
				problem = scrub.Missing
				f.store.Delete(name)
			} else {
				f.store.Corrupt(name, change)
			}
			report := f.check(f.store, scrub.Options{})
			wantProblems := map[string]scrub.Problem{name: problem}
			if change == nil && (n.Kind == layout.SketchObject || n.Run == f.broken && n.Kind != layout.EnvelopeObject) {
				wantProblems = map[string]scrub.Problem{} // nothing says that it must be there
			}
			if diff := cmp.Diff(wantProblems, problems(report.Findings)); diff != "" {
				t.Fatalf("%s %s: findings differ (-want +got):\n%s", name, harm, diff)
			}
			for _, o := range f.repair(f.store, report.Findings, nil) {
				if o.Result != want || (o.Err != nil) != (want == scrub.Lost) {
					t.Errorf("%s %s: outcome %+v, want %s", name, harm, o, want)
				}
			}
			if want == scrub.Lost || len(wantProblems) == 0 {
				f.set(name, f.objects[name])
			}
			f.whole(f.store)
		}
	}
}

// A lost object is named together with the snapshots that cannot do without.
func TestSnapshotsThatNeedIt(t *testing.T) {
	f := newFixture(t)
	firstPack, otherPack := f.packs[f.first][0], f.packs[f.first][1]
	secondRoot := findRoot(f, f.second)
	tests := []struct {
		name string
		want []safe.RunID
	}{
		{layout.Pack(f.first, firstPack), []safe.RunID{f.first, f.second}},
		{layout.Pack(f.first, otherPack), []safe.RunID{f.first}},
		{layout.Pack(f.broken, f.packs[f.broken][0]), nil},
		{layout.Parity(f.first, firstPack), []safe.RunID{f.first, f.second}},
		{layout.Envelope(f.first), []safe.RunID{f.first, f.second}},
		{layout.EnvelopeCopy(f.broken), nil},
		{layout.Snapshot(f.second), []safe.RunID{f.second}},
		{secondRoot, []safe.RunID{f.second}},
		{layout.Entry(0), nil},
		{layout.Checkpoint(2), nil},
		{layout.FormatName, nil},
	}
	for _, tt := range tests {
		f.store.Corrupt(tt.name, func(b []byte) []byte { return flip(b, 50%len(b)) })
		report := f.check(f.store, scrub.Options{})
		if len(report.Findings) != 1 {
			t.Fatalf("%s damaged: findings %v, want one", tt.name, report.Findings)
		}
		if diff := cmp.Diff(tt.want, report.Findings[0].Snapshots); diff != "" {
			t.Errorf("%s damaged: snapshots differ (-want +got):\n%s", tt.name, diff)
		}
		f.set(tt.name, f.objects[tt.name])
	}
	f.whole(f.store)
}

func findRoot(f *fixture, run safe.RunID) string {
	for name := range f.objects {
		if n := layout.Parse(name); n.Kind == layout.RootObject && n.Run == run && !n.Copied {
			return name
		}
	}
	f.t.Fatal("there is no root")
	return ""
}

// Any two of the 22 shards may be lost, in the pack or in its parity.
func TestAnyTwoShards(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	digest := f.packs[f.first][0]
	pack, par := layout.Pack(f.first, digest), layout.Parity(f.first, digest)
	const shard = 128
	head := (len(f.objects[par]) - 2*shard) / 2
	wreck := func(s int) {
		name, at := pack, s*shard
		if s >= 20 {
			name, at = par, head+(s-20)*shard
		}
		f.store.Corrupt(name, func(b []byte) []byte {
			for i := at; i < min(at+shard, len(b)); i++ {
				b[i] ^= 0xff
			}
			return b
		})
	}
	for a := range 22 {
		for b := range a {
			if testing.Short() && (a+b)%5 != 0 {
				continue
			}
			wreck(a)
			wreck(b)
			report := f.check(f.store, scrub.Options{})
			for _, o := range f.repair(f.store, report.Findings, nil) {
				if o.Result != scrub.Repaired {
					t.Fatalf("shards %d and %d lost: %+v", a, b, o)
				}
			}
			f.whole(f.store)
		}
	}
	for _, s := range []int{0, 3, 21} {
		wreck(s)
	}
	report := f.check(f.store, scrub.Options{})
	outcomes := f.repair(f.store, report.Findings, nil)
	want := map[string]scrub.Result{pack: scrub.Lost, par: scrub.Lost}
	if diff := cmp.Diff(want, results(outcomes)); diff != "" {
		t.Errorf("three shards lost: results differ (-want +got):\n%s", diff)
	}
	lost := scrub.LostOf(outcomes, report.Findings)
	needers := []safe.RunID{f.first, f.second}
	wantLost := []ledger.ObjectLost{ledger.LostOf(pack, needers), ledger.LostOf(par, needers)}
	if diff := cmp.Diff(wantLost, lost); diff != "" {
		t.Errorf("three shards lost: what the ledger is told differs (-want +got):\n%s", diff)
	}
}

func TestSwapped(t *testing.T) {
	f := newFixture(t)
	p := f.packs[f.first]
	both := func(a, b string) []string { return []string{a, b} }
	tests := []struct {
		name  string
		pairs [][]string
		want  scrub.Result
	}{
		{"packs", [][]string{both(layout.Pack(f.first, p[0]), layout.Pack(f.first, p[1]))}, scrub.Lost},
		{"parity", [][]string{both(layout.Parity(f.first, p[0]), layout.Parity(f.first, p[1]))}, scrub.Repaired},
		{"parity and pack", [][]string{both(layout.Parity(f.first, p[0]), layout.Pack(f.first, p[0]))}, scrub.Lost},
		{"envelopes", [][]string{both(layout.Envelope(f.first), layout.Envelope(f.second))}, scrub.Repaired},
		{"descriptions", [][]string{both(layout.Snapshot(f.first), layout.Snapshot(f.second))}, scrub.Repaired},
		{"descriptions and their copies", [][]string{
			both(layout.Snapshot(f.first), layout.Snapshot(f.second)),
			both(layout.Copy(layout.Snapshot(f.first)), layout.Copy(layout.Snapshot(f.second))),
		}, scrub.Repaired},
		{"entries", [][]string{both(layout.Entry(1), layout.Entry(2))}, scrub.Repaired},
		{"entries and their copies", [][]string{
			both(layout.Entry(1), layout.Entry(2)), both(layout.Copy(layout.Entry(1)), layout.Copy(layout.Entry(2))),
		}, scrub.Repaired},
		{"checkpoints", [][]string{both(layout.Checkpoint(1), layout.Checkpoint(2))}, scrub.Repaired},
		{"roots", [][]string{both(findRoot(f, f.first), findRoot(f, f.second))}, scrub.Repaired},
		{"roster and format", [][]string{both(layout.Roster(1), layout.FormatName)}, scrub.Repaired},
	}
	for _, tt := range tests {
		want := make(map[string]scrub.Problem)
		wantResults := make(map[string]scrub.Result)
		for _, pair := range tt.pairs {
			for i, name := range pair {
				f.set(name, f.objects[pair[1-i]])
				want[name] = scrub.Damaged
				wantResults[name] = tt.want
			}
		}
		report := f.check(f.store, scrub.Options{})
		if diff := cmp.Diff(want, problems(report.Findings)); diff != "" {
			t.Errorf("swapped %s: findings differ (-want +got):\n%s", tt.name, diff)
		}
		got := results(f.repair(f.store, report.Findings, f.offer))
		if diff := cmp.Diff(wantResults, got); diff != "" {
			t.Errorf("swapped %s: results differ (-want +got):\n%s", tt.name, diff)
		}
		if tt.want == scrub.Lost {
			for name := range want {
				f.set(name, f.objects[name])
			}
		}
		f.whole(f.store)
	}
}

// With both copies gone, the safe's state is the last to ask.
func TestBothCopies(t *testing.T) {
	f := newFixture(t)
	for name := range f.objects {
		n := layout.Parse(name)
		other := n.Other()
		if other == "" || n.Copied || n.Run == f.broken {
			continue
		}
		for _, name := range []string{name, other} {
			f.store.Corrupt(name, func(b []byte) []byte { return flip(b, len(b)/2) })
		}
		report := f.check(f.store, scrub.Options{})
		want := map[string]scrub.Problem{name: scrub.Damaged, other: scrub.Damaged}
		got := problems(report.Findings)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("both copies of %s: findings differ (-want +got):\n%s", name, diff)
		}
		if diff := cmp.Diff(map[string]scrub.Result{name: scrub.Lost, other: scrub.Lost}, results(f.repair(f.store, report.Findings, nil))); diff != "" {
			t.Errorf("both copies of %s, and no state: results differ (-want +got):\n%s", name, diff)
		}
		for _, o := range f.repair(f.store, report.Findings, f.offer) {
			// The first comes from the state, the second may come from the first.
			if wanted := f.offers(name); wanted != (o.Result == scrub.Repaired) {
				t.Errorf("both copies of %s: %+v, want repaired: %t", name, o, wanted)
			}
		}
		for _, name := range []string{name, other} {
			f.set(name, f.objects[name])
		}
		f.whole(f.store)
	}
}

// An offer is not believed: what the ledger did not record is not put anywhere.
func TestWrongOffer(t *testing.T) {
	f := newFixture(t)
	name := layout.Entry(2)
	for _, name := range []string{name, layout.Copy(name)} {
		f.store.Corrupt(name, func(b []byte) []byte { return b[:10] })
	}
	report := f.check(f.store, scrub.Options{})
	outcomes := f.repair(f.store, report.Findings, func(context.Context, string) ([]byte, error) { return f.entry(1), nil })
	for _, o := range outcomes {
		if o.Result != scrub.Lost {
			t.Errorf("entry 1 was offered for entry 2: %+v", o)
		}
	}
	if n := f.store.Counts().Replaces; n != 0 {
		t.Errorf("%d objects were replaced, want none", n)
	}
}

// Repair looks for itself, whatever the plan says.
func TestRepairDoesNotBelieveThePlan(t *testing.T) {
	f := newFixture(t)
	plan := []scrub.Remedy{
		{Name: layout.Entry(0), From: ledger.FromState},
		{Name: layout.Pack(f.first, f.packs[f.first][0]), From: ledger.FromParity},
		{Name: layout.Parity(f.first, f.packs[f.first][0]), From: ledger.ParityRebuilt},
		{Name: "roster/99.json", From: ledger.FromCopy},
		{Name: "../../etc/passwd", From: ledger.FromCopy},
	}
	outcomes, err := scrub.Repair(context.Background(), f.store, f.truth(), plan, f.offer)
	f.must(err)
	want := map[string]scrub.Result{
		plan[0].Name: scrub.Sound, plan[1].Name: scrub.Sound, plan[2].Name: scrub.Sound,
		plan[3].Name: scrub.Failed, plan[4].Name: scrub.Failed,
	}
	if diff := cmp.Diff(want, results(outcomes)); diff != "" {
		t.Errorf("results differ (-want +got):\n%s", diff)
	}
	if n := f.store.Counts().Replaces; n != 0 {
		t.Errorf("%d objects were replaced, want none", n)
	}
	f.whole(f.store)
}

func TestReplacedIsKept(t *testing.T) {
	f := newFixture(t)
	name := layout.Pack(f.second, f.packs[f.second][0])
	f.store.Corrupt(name, func(b []byte) []byte { return flip(b, 9) })
	outcomes := f.repair(f.store, f.check(f.store, scrub.Options{}).Findings, nil)
	if len(outcomes) != 1 || outcomes[0].From != ledger.FromParity {
		t.Errorf("outcomes %+v, want one repair from parity", outcomes)
	}
	if diff := cmp.Diff([][]byte{flip(f.objects[name], 9)}, f.store.Damaged(name)); diff != "" {
		t.Errorf("what was replaced and kept differs (-want +got):\n%s", diff)
	}
	f.whole(f.store)
}

func TestPlan(t *testing.T) {
	f := newFixture(t)
	pack := layout.Pack(f.first, f.packs[f.first][0])
	par := layout.Parity(f.first, f.packs[f.first][0])
	entry := layout.Entry(3)
	findings := []scrub.Finding{
		{Name: "ledger/junk", Problem: scrub.Unknown},
		{Name: entry, Problem: scrub.Damaged},
		{Name: layout.Copy(entry), Problem: scrub.Missing},
		{Name: layout.Roster(1), Problem: scrub.Missing},
		{Name: layout.Roster(2), Problem: scrub.Unproven},
		{Name: par, Problem: scrub.Damaged},
		{Name: pack, Problem: scrub.Damaged, Parity: true},
		{Name: layout.Pack(f.third, f.lonely), Problem: scrub.Damaged},
	}
	want := []scrub.Remedy{
		{Name: entry, From: ledger.FromState},
		{Name: layout.Copy(entry), From: ledger.FromState},
		{Name: layout.Roster(1), From: ledger.FromCopy},
		{Name: pack, From: ledger.FromParity},
		{Name: layout.Pack(f.third, f.lonely)},
		{Name: par, From: ledger.ParityRebuilt},
	}
	if diff := cmp.Diff(want, scrub.Plan(findings, f.offers)); diff != "" {
		t.Errorf("plan differs (-want +got):\n%s", diff)
	}
}

func TestShares(t *testing.T) {
	f := newFixture(t)
	const days = 3
	for name := range f.objects {
		kind := layout.Parse(name).Kind
		if kind != layout.PackObject && kind != layout.ParityObject {
			continue
		}
		f.store.Corrupt(name, func(b []byte) []byte { return flip(b, 200) })
		found := 0
		for day := range days {
			found += len(f.check(f.store, scrub.Options{Packs: scrub.ShareOn(begun.AddDate(0, 0, day), days)}).Findings)
		}
		if found != 1 {
			t.Errorf("%s damaged: found %d times in %d consecutive days, want once", name, found, days)
		}
		if n := len(f.check(f.store, scrub.Options{Packs: scrub.NoPacks}).Findings); n != 0 {
			t.Errorf("%s damaged: %d findings without reading any pack", name, n)
		}
		f.store.Corrupt(name, func(b []byte) []byte { return b[:len(b)/10] })
		wantFound := 1
		if kind == layout.PackObject && layout.Parse(name).Digest == f.lonely {
			wantFound = 0 // nothing tells its size
		}
		if kind == layout.ParityObject {
			wantFound = 1
		}
		report := f.check(f.store, scrub.Options{Packs: scrub.NoPacks})
		if len(report.Findings) != wantFound {
			t.Errorf("%s truncated: findings %v without reading any pack, want %d", name, report.Findings, wantFound)
		}
		f.store.Delete(name)
		report = f.check(f.store, scrub.Options{Packs: scrub.NoPacks})
		if missing := len(report.Findings) == 1; missing != (layout.Parse(name).Run != f.broken) {
			t.Errorf("%s deleted: findings %v without reading any pack", name, report.Findings)
		}
		f.set(name, f.objects[name])
	}
	f.whole(f.store)
}

func TestShareOn(t *testing.T) {
	for _, days := range []int{1, 2, 30, 90} {
		turns := make(map[scrub.Share]bool)
		for day := range days {
			turns[scrub.ShareOn(begun.AddDate(0, 0, day), days)] = true
		}
		if len(turns) != days {
			t.Errorf("%d consecutive days have %d different shares", days, len(turns))
		}
	}
}

// What waits to be published is not missed; if it is there, it must be right.
func TestExcused(t *testing.T) {
	f := newFixture(t)
	name := layout.Copy(layout.Entry(f.log.Size() - 1))
	truth := f.truth()
	truth.Excuse(name)
	f.store.Delete(name)
	report, err := scrub.Check(context.Background(), f.store, truth, scrub.Options{})
	f.must(err)
	if len(report.Findings) != 0 {
		t.Errorf("findings %v about what is still to be published", report.Findings)
	}
	f.set(name, []byte("x"))
	if report, err = scrub.Check(context.Background(), f.store, truth, scrub.Options{}); err != nil || len(report.Findings) != 1 {
		t.Errorf("findings %v (%v) about what was published wrongly, want one", report.Findings, err)
	}
}

// A run whose folder is gone is missed all the same.
func TestRunDeleted(t *testing.T) {
	f := newFixture(t)
	want := make(map[string]scrub.Problem)
	for name := range f.objects {
		if strings.HasPrefix(name, layout.Run(f.first)+"/") {
			f.store.Delete(name)
			if layout.Parse(name).Kind != layout.SketchObject {
				want[name] = scrub.Missing
			}
		}
	}
	got := problems(f.check(f.store, scrub.Options{}).Findings)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("findings differ (-want +got):\n%s", diff)
	}
}

func TestUnproven(t *testing.T) {
	f := newFixture(t)
	stranger := safe.NewRunID(begun)
	unknownPack := f.bytes(10)
	head, err := f.log.Append(begun, ledger.ScrubDone{})
	f.must(err)
	entry := f.entry(f.log.Size() - 1)
	checkpoint, err := f.key.Sign(head)
	f.must(err)
	older := *f // its ledger has an entry less
	older.log = ledgertest.Log{}
	for b := range f.log.Entries() {
		if older.log.Size() < f.log.Size()-1 {
			_, err := older.log.AppendBytes(b)
			f.must(err)
		}
	}
	secondRoot := f.bytes(70)
	strays := map[string][]byte{
		layout.Entry(f.log.Size() - 1):                        entry,
		layout.Checkpoint(f.log.Size()):                       checkpoint,
		layout.Snapshot(stranger):                             []byte("{}\n"),
		layout.Roster(7):                                      []byte("{}\n"),
		layout.Envelope(stranger):                             f.bytes(20),
		layout.Pack(stranger, safe.DigestOf(unknownPack)):     unknownPack,
		layout.Root(f.first, safe.DigestOf(secondRoot)):       secondRoot,
		layout.Copy(layout.Root(f.first, safe.DigestOf(nil))): nil,
		"ledger/entries/007":                                  entry,
		"runs/" + f.first.String() + "/packs/nonsense":        nil,
		"runs/" + f.first.String() + "/packs/nonsense.2":      nil,
		"notes": []byte("buy milk"),
		"runs/" + strings.ToUpper(f.first.String()) + "/packs/x": nil,
	}
	want := make(map[string]scrub.Problem)
	for name, b := range strays {
		f.must(blob.Put(context.Background(), f.store, name, b))
		want[name] = scrub.Unproven
		if layout.Parse(name).Kind == layout.Unknown {
			want[name] = scrub.Unknown
		}
	}
	report := older.check(f.store, scrub.Options{})
	if diff := cmp.Diff(want, problems(report.Findings)); diff != "" {
		t.Errorf("findings differ (-want +got):\n%s", diff)
	}
	if report.Harmed() != 0 || len(scrub.Plan(report.Findings, nil)) != 0 {
		t.Errorf("a plan was made to do something about what is only unknown: %v", report.Findings)
	}
}

// The ledger may record a description that refers to what it does not know;
// that is no damage, but someone's doing.
func TestContradiction(t *testing.T) {
	f := newFixture(t)
	stranger := safe.NewRunID(begun)
	f.small(layout.Envelope(stranger), f.bytes(40))
	f.packs[stranger] = []safe.Digest{f.pack(stranger, false)}
	run := f.begin()
	d := f.keep(run, 0, run, stranger)
	report := f.check(f.store, scrub.Options{})
	got := problems(report.Findings)
	if got[d.Name()] != scrub.Contradiction {
		t.Errorf("findings %v, want a contradiction at %s", report.Findings, d.Name())
	}
}

// A checkpoint that is signed for another history is none of this ledger.
func TestForkedCheckpoint(t *testing.T) {
	f := newFixture(t)
	var fork ledgertest.Log
	head, err := fork.AppendBytes(f.entry(0))
	f.must(err)
	for head.Size < 3 {
		head, err = fork.Append(begun, ledger.ScrubDone{})
		f.must(err)
	}
	forged, err := f.key.Sign(head)
	f.must(err)
	f.set(layout.Checkpoint(3), forged)
	report := f.check(f.store, scrub.Options{})
	if len(report.Findings) != 1 || report.Findings[0].Problem != scrub.Contradiction {
		t.Errorf("findings %v, want one contradiction", report.Findings)
	}
	// It is evidence, which no repair may put away.
	if plan := scrub.Plan(report.Findings, f.offers); len(plan) != 0 {
		t.Errorf("the plan is %v, want none", plan)
	}
}

func FuzzCheckpoint(f *testing.F) {
	x := newFixture(f)
	name := layout.Checkpoint(4)
	original := x.objects[name]
	f.Add(original)
	f.Add(append(bytes.Clone(original), "— witness.example AAAAAAAA\n"...))
	f.Add(bytes.ReplaceAll(original, []byte("="), []byte("")))
	f.Add(binary.LittleEndian.AppendUint64(nil, 1<<63))
	text, signature, _ := bytes.Cut(original, []byte("\n\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		x.t = t
		x.set(name, b)
		findings := x.check(x.store, scrub.Options{Packs: scrub.NoPacks}).Findings
		whole := bytes.HasPrefix(b, slices.Concat(text, []byte("\n\n"))) && bytes.Contains(b, signature)
		if len(findings) == 0 && !whole {
			t.Errorf("%q passes for the checkpoint %q", b, original)
		}
		if bytes.Equal(b, original) && len(findings) > 0 {
			t.Errorf("the checkpoint is refused: %v", findings)
		}
	})
}
