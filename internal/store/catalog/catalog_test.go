package catalog_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/ledger"
	"strongroom/internal/ledger/ledgertest"
	"strongroom/internal/safe"
	"strongroom/internal/store/blob"
	"strongroom/internal/store/blob/mem"
	"strongroom/internal/store/catalog"
	"strongroom/internal/store/layout"
)

var began = time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)

// A vault is a store with a ledger, as the supervisor publishes it.
type vault struct {
	t      *testing.T
	blobs  *mem.Store
	id     safe.StoreID
	key    ledger.Key
	log    ledgertest.Log
	head   ledger.Head
	latest ledger.Checkpoint
}

func newVault(t *testing.T) *vault {
	t.Helper()
	v := &vault{t: t, blobs: mem.New(mem.Options{}), id: safe.NewStoreID()}
	v.key, _ = ledger.GenerateKey(v.id)
	v.put(layout.FormatName, layout.Format(v.id))
	v.append(ledger.SafeCreated{Name: "the safe", Store: v.id, Roster: safe.Digest{1}, Key: v.key.Public()})
	v.append(ledger.RosterChanged{Version: 1, Digest: safe.Digest{1}})
	v.checkpoint()
	return v
}

// put publishes an object and its copy.
func (v *vault) put(name string, b []byte) {
	v.t.Helper()
	for _, name := range []string{name, layout.Copy(name)} {
		if err := blob.Put(context.Background(), v.blobs, name, b); err != nil {
			v.t.Fatal(err)
		}
	}
}

func (v *vault) append(what ledger.Event) {
	v.t.Helper()
	n := v.log.Size()
	b, err := ledger.Entry{Time: began.Add(time.Duration(n) * time.Hour), Who: ledger.Safe, What: what}.Encode()
	if err == nil {
		v.head, err = v.log.AppendBytes(b)
	}
	if err != nil {
		v.t.Fatal(err)
	}
	v.put(layout.Entry(n), b)
}

func (v *vault) checkpoint() ledger.Checkpoint {
	v.t.Helper()
	b, err := v.key.Sign(v.head)
	if err == nil {
		v.latest, err = ledger.ParseCheckpoint(b, v.key.Public())
	}
	if err != nil {
		v.t.Fatal(err)
	}
	v.put(layout.Checkpoint(v.head.Size), b)
	return v.latest
}

// begin records a run.
func (v *vault) begin(source safe.SourceName) safe.RunID {
	run := safe.NewRunID(began.Add(time.Duration(v.log.Size()) * time.Hour))
	v.append(ledger.RunBegun{Run: run, Source: source, Envelope: envelopeOf(run), Roster: 1})
	return run
}

func envelopeOf(run safe.RunID) safe.Digest { return safe.DigestOf(run[:]) }

// describe makes a description of a run that needs others too.
func (v *vault) describe(source safe.SourceName, run safe.RunID, others ...safe.RunID) safe.Snapshot {
	d := safe.Snapshot{Version: 1, Store: v.id, Run: run, Source: source, Kind: "local", Started: run.Time(),
		Finished: run.Time(), KeepUntil: run.Time().Add(1000 * time.Hour), Tier: safe.Daily, Root: safe.Digest{2},
		Runs: make(map[safe.RunID]safe.RunPacks)}
	for _, r := range append(others, run) {
		d.Runs[r] = safe.RunPacks{Envelope: envelopeOf(r), Packs: []safe.Digest{{3}}}
	}
	return d
}

// keep commits and publishes a description.
func (v *vault) keep(d safe.Snapshot) {
	v.append(ledger.KeptOf(d, ""))
	v.put(d.Name(), d.Encode())
	v.checkpoint()
}

func (v *vault) snapshot(source safe.SourceName, others ...safe.RunID) safe.Snapshot {
	d := v.describe(source, v.begin(source), others...)
	v.keep(d)
	return d
}

func (v *vault) read(opts catalog.Options) (*catalog.Catalog, error) {
	return catalog.Read(context.Background(), v.blobs, opts)
}

func (v *vault) mustRead(opts catalog.Options) *catalog.Catalog {
	v.t.Helper()
	c, err := v.read(opts)
	if err != nil {
		v.t.Fatal(err)
	}
	return c
}

// spoil makes an object unreadable as what it was.
func (v *vault) spoil(names ...string) {
	for _, name := range names {
		v.blobs.Corrupt(name, func(b []byte) []byte {
			b[len(b)/2] ^= 0x80
			return b
		})
	}
}

// list returns what Snapshots says, in words.
func list(t *testing.T, v *vault, c *catalog.Catalog) (proven, unproven, lost []safe.RunID) {
	t.Helper()
	listed, missing, err := c.Snapshots(t.Context(), v.blobs)
	if err != nil {
		t.Fatal(err)
	}
	for i, l := range listed {
		if i > 0 && listed[i-1].Run.Compare(l.Run) >= 0 {
			t.Error("the list is not in the order of the runs")
		}
		if l.Unproven == nil {
			proven = append(proven, l.Run)
		} else {
			unproven = append(unproven, l.Run)
		}
	}
	for run := range missing {
		lost = append(lost, run)
	}
	return proven, unproven, lost
}

func TestRead(t *testing.T) {
	v := newVault(t)
	a := v.snapshot("erp")
	b := v.snapshot("erp", a.Run)
	open := v.begin("crm") // under way
	v.append(ledger.RosterChanged{Version: 2, Digest: safe.Digest{9}})
	v.checkpoint()
	for name, opts := range map[string]catalog.Options{
		"trusting":         {},
		"with the key":     {Keys: []ledger.PublicKey{v.key.Public()}},
		"with checkpoints": {Keys: []ledger.PublicKey{v.key.Public()}, Kept: []ledger.Checkpoint{v.latest}},
	} {
		c := v.mustRead(opts)
		if c.Store != v.id || c.Name != "the safe" || c.Checkpoint != v.latest || c.Replay.Proven != v.log.Size() {
			t.Errorf("%s: %+v", name, c)
		}
		if diff := cmp.Diff(map[int64]safe.Digest{1: {1}, 2: {9}}, c.Rosters); diff != "" {
			t.Errorf("%s: rosters (-want +got):\n%s", name, diff)
		}
		want := map[safe.RunID]catalog.Run{
			a.Run: {Source: "erp", Envelope: envelopeOf(a.Run)},
			b.Run: {Source: "erp", Envelope: envelopeOf(b.Run)},
			open:  {Source: "crm", Envelope: envelopeOf(open)},
		}
		if diff := cmp.Diff(want, c.Runs); diff != "" {
			t.Errorf("%s: runs:\n%s", name, diff)
		}
		if diff := cmp.Diff(map[safe.RunID]ledger.SnapshotKept{a.Run: ledger.KeptOf(a, ""), b.Run: ledger.KeptOf(b, "")}, c.Kept); diff != "" {
			t.Errorf("%s: kept:\n%s", name, diff)
		}
		proven, unproven, lost := list(t, v, c)
		if diff := cmp.Diff([]safe.RunID{a.Run, b.Run}, proven); diff != "" || unproven != nil || lost != nil {
			t.Errorf("%s: proven:\n%s\nunproven %v, lost %v", name, diff, unproven, lost)
		}
	}
}

func TestEntriesBeyondTheCheckpointProveNothing(t *testing.T) {
	v := newVault(t)
	d := v.describe("erp", v.begin("erp"))
	v.append(ledger.KeptOf(d, ""))
	v.put(d.Name(), d.Encode()) // the power failed before the checkpoint
	proven, unproven, lost := list(t, v, v.mustRead(catalog.Options{}))
	if proven != nil || len(unproven) != 1 || lost != nil {
		t.Errorf("proven %v, unproven %v, lost %v", proven, unproven, lost)
	}
}

func TestNothingIsProvenWithoutACatalog(t *testing.T) {
	v := newVault(t)
	v.snapshot("erp")
	proven, unproven, lost := list(t, v, nil)
	if proven != nil || len(unproven) != 1 || lost != nil {
		t.Errorf("proven %v, unproven %v, lost %v", proven, unproven, lost)
	}
}

// TestDescriptions has one snapshot, does something to its description, and
// tells what becomes of it.
func TestDescriptions(t *testing.T) {
	for _, test := range []struct {
		name  string
		harm  func(v *vault, d safe.Snapshot)
		want  string // proven, unproven or lost
		cause string
	}{
		{"original damaged", func(v *vault, d safe.Snapshot) { v.spoil(d.Name()) }, "proven", ""},
		{"copy damaged", func(v *vault, d safe.Snapshot) { v.spoil(layout.Copy(d.Name())) }, "proven", ""},
		{"original gone", func(v *vault, d safe.Snapshot) { v.blobs.Delete(d.Name()) }, "proven", ""},
		{"copy gone", func(v *vault, d safe.Snapshot) { v.blobs.Delete(layout.Copy(d.Name())) }, "proven", ""},
		{"both damaged", func(v *vault, d safe.Snapshot) { v.spoil(d.Name(), layout.Copy(d.Name())) }, "lost", ""},
		{"both gone", func(v *vault, d safe.Snapshot) {
			v.blobs.Delete(d.Name())
			v.blobs.Delete(layout.Copy(d.Name()))
		}, "lost", "does not exist"},
		{"original well formed and another", func(v *vault, d safe.Snapshot) {
			d.Warnings = 7
			v.blobs.Corrupt(d.Name(), func([]byte) []byte { return d.Encode() })
		}, "proven", ""},
		{"both well formed and others", func(v *vault, d safe.Snapshot) {
			d.Warnings = 7
			for _, name := range []string{d.Name(), layout.Copy(d.Name())} {
				v.blobs.Corrupt(name, func([]byte) []byte { return d.Encode() })
			}
		}, "lost", "not the description that the ledger recorded"},
		{"another run's", func(v *vault, d safe.Snapshot) {
			other := v.snapshot("erp")
			for _, name := range []string{d.Name(), layout.Copy(d.Name())} {
				v.blobs.Corrupt(name, func([]byte) []byte { return other.Encode() })
			}
		}, "lost", "it describes run"},
	} {
		t.Run(test.name, func(t *testing.T) {
			v := newVault(t)
			d := v.snapshot("erp")
			test.harm(v, d)
			expect(t, v, d.Run, test.want, test.cause)
		})
	}
}

// expect says what must have become of one snapshot.
func expect(t *testing.T, v *vault, run safe.RunID, want, cause string) {
	t.Helper()
	listed, lost, err := v.mustRead(catalog.Options{}).Snapshots(t.Context(), v.blobs)
	if err != nil {
		t.Fatal(err)
	}
	got, why := "nothing", lost[run]
	if why != nil {
		got = "lost"
	}
	for _, l := range listed {
		switch {
		case l.Run != run:
		case l.Unproven == nil:
			got = "proven"
		default:
			got, why = "unproven", l.Unproven
		}
	}
	if got != want || cause != "" && !strings.Contains(fmt.Sprint(why), cause) {
		t.Errorf("the snapshot is %s (%v), want it %s because of %q", got, why, want, cause)
	}
}

// TestDescriptionsThatSayTooMuch commits descriptions that an honest supervisor
// would not have committed.
func TestDescriptionsThatSayTooMuch(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(v *vault, d *safe.Snapshot)
		cause  string
	}{
		{"another source's run", func(v *vault, d *safe.Snapshot) {
			other := v.begin("crm")
			d.Runs[other] = safe.RunPacks{Envelope: envelopeOf(other), Packs: []safe.Digest{{4}}}
		}, "of another source"},
		{"a run that never was", func(v *vault, d *safe.Snapshot) {
			d.Runs[safe.NewRunID(began)] = safe.RunPacks{Envelope: safe.Digest{5}, Packs: []safe.Digest{{4}}}
		}, "knows nothing"},
		{"another envelope", func(v *vault, d *safe.Snapshot) {
			d.Runs[d.Run] = safe.RunPacks{Envelope: safe.Digest{5}, Packs: []safe.Digest{{4}}}
		}, "another envelope"},
		{"another source", func(v *vault, d *safe.Snapshot) { d.Source = "crm" }, "of another source"},
		{"another store", func(v *vault, d *safe.Snapshot) { d.Store = safe.NewStoreID() }, "another store"},
	} {
		t.Run(test.name, func(t *testing.T) {
			v := newVault(t)
			d := v.describe("erp", v.begin("erp"))
			test.change(v, &d)
			v.keep(d)
			expect(t, v, d.Run, "lost", test.cause)
		})
	}
}

func TestDescriptionsWithoutALedgerEntry(t *testing.T) {
	v := newVault(t)
	planted := v.describe("erp", v.begin("erp"))
	v.checkpoint()
	v.put(planted.Name(), planted.Encode())
	expect(t, v, planted.Run, "unproven", "knows nothing")
	v.spoil(planted.Name(), layout.Copy(planted.Name()))
	expect(t, v, planted.Run, "nothing", "")
}

func TestLedgerWithDamage(t *testing.T) {
	entry := layout.Entry
	for _, test := range []struct {
		name string
		harm func(v *vault)
		ok   bool
	}{
		{"an entry", func(v *vault) { v.spoil(entry(2)) }, true},
		{"an entry is gone", func(v *vault) { v.blobs.Delete(entry(2)) }, true},
		{"the first entry", func(v *vault) { v.spoil(entry(0)) }, true},
		{"a copy of an entry", func(v *vault) { v.spoil(layout.Copy(entry(2))) }, true},
		{"an entry in both copies", func(v *vault) { v.spoil(entry(2), layout.Copy(entry(2))) }, false},
		{"an entry that is well formed", func(v *vault) { v.alter(entry(3), 5) }, true},
		{"a copy that is well formed", func(v *vault) { v.alter(layout.Copy(entry(3)), 5) }, true},
		{"several that are well formed", func(v *vault) {
			v.alter(entry(2), 5)
			v.alter(layout.Copy(entry(3)), 5)
			v.alter(entry(4), 5)
		}, true},
		{"both copies are well formed", func(v *vault) {
			v.alter(entry(3), 5)
			v.alter(layout.Copy(entry(3)), 6)
		}, false},
		{"entries exchanged", func(v *vault) {
			for _, names := range [][2]string{{entry(2), entry(3)}, {layout.Copy(entry(2)), layout.Copy(entry(3))}} {
				var a, b []byte
				v.blobs.Corrupt(names[0], func(old []byte) []byte { a = old; return old })
				v.blobs.Corrupt(names[1], func(old []byte) []byte { b = old; return a })
				v.blobs.Corrupt(names[0], func([]byte) []byte { return b })
			}
		}, false},
		{"the newest checkpoint", func(v *vault) { v.spoil(layout.Checkpoint(v.log.Size())) }, true},
		{"the format", func(v *vault) { v.spoil(layout.FormatName) }, true},
		{"the format in both copies", func(v *vault) { v.spoil(layout.FormatName, layout.Copy(layout.FormatName)) }, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			v := newVault(t)
			for range 3 {
				v.snapshot("erp")
			}
			test.harm(v)
			c, err := v.read(catalog.Options{Kept: []ledger.Checkpoint{v.latest}})
			if (err == nil) != test.ok {
				t.Fatalf("got %v", err)
			}
			if err == nil && (len(c.Kept) != 3 || c.Replay.Proven != v.log.Size()) {
				t.Errorf("%d snapshots, proven up to %d", len(c.Kept), c.Replay.Proven)
			}
		})
	}
}

// alter puts another well-formed entry in the place of one.
func (v *vault) alter(name string, version int64) {
	b, err := ledger.Entry{Time: began, Who: ledger.Safe, What: ledger.RosterChanged{Version: version, Digest: safe.Digest{6}}}.Encode()
	if err != nil {
		v.t.Fatal(err)
	}
	v.blobs.Corrupt(name, func([]byte) []byte { return b })
}

// TestNewestCheckpointDamaged falls back to an older one, which a checkpoint
// that the reader kept shows to be too old.
func TestNewestCheckpointDamaged(t *testing.T) {
	v := newVault(t)
	old := v.snapshot("erp")
	before := v.latest
	young := v.snapshot("erp")
	name := layout.Checkpoint(v.log.Size())
	v.spoil(name, layout.Copy(name))
	c := v.mustRead(catalog.Options{})
	if c.Checkpoint != before {
		t.Errorf("the catalog goes up to %v", c.Checkpoint)
	}
	expect(t, v, old.Run, "proven", "")
	expect(t, v, young.Run, "unproven", "knows nothing")
	if _, err := v.read(catalog.Options{Kept: []ledger.Checkpoint{before}}); err != nil {
		t.Errorf("with the checkpoint before: %v", err)
	}
	// The entries up to the kept one are there, so the truth is found.
	c, err := v.read(catalog.Options{Kept: []ledger.Checkpoint{v.latest}})
	if err != nil || c.Kept[young.Run].Run != young.Run {
		t.Errorf("with the newest checkpoint: %v", err)
	}
}

// TestNoCheckpointLeft relies on the one that the reader kept, and on nothing
// else.
func TestNoCheckpointLeft(t *testing.T) {
	for name, lose := range map[string]func(*vault, string){
		"damaged": func(v *vault, name string) { v.spoil(name) },
		"deleted": func(v *vault, name string) { v.blobs.Delete(name) },
	} {
		t.Run(name, func(t *testing.T) {
			v := newVault(t)
			kept := v.snapshot("erp")
			before := v.latest
			v.snapshot("erp")
			for info, err := range v.blobs.List(t.Context(), "ledger/checkpoints/") {
				if err != nil {
					t.Fatal(err)
				}
				lose(v, info.Name)
			}
			if _, err := v.read(catalog.Options{}); err == nil {
				t.Error("a ledger that nothing vouches for was believed")
			}
			c, err := v.read(catalog.Options{Kept: []ledger.Checkpoint{before}})
			if err != nil {
				t.Fatalf("with a kept checkpoint: %v", err)
			}
			if len(c.Kept) != 1 || c.Kept[kept.Run].Run != kept.Run || c.Checkpoint != before {
				t.Errorf("%d snapshots up to %v, want that of %s up to %v", len(c.Kept), c.Checkpoint, kept.Run, before)
			}
		})
	}
}

// TestNewestEntriesHidden removes the end of the ledger: only who kept a
// checkpoint notices.
func TestNewestEntriesHidden(t *testing.T) {
	v := newVault(t)
	v.snapshot("erp")
	size := v.log.Size()
	v.snapshot("erp")
	for n := size; n < v.log.Size(); n++ {
		v.blobs.Delete(layout.Entry(n))
		v.blobs.Delete(layout.Copy(layout.Entry(n)))
	}
	name := layout.Checkpoint(v.log.Size())
	v.blobs.Delete(name)
	v.blobs.Delete(layout.Copy(name))
	if c := v.mustRead(catalog.Options{}); c.Replay.Size != size {
		t.Errorf("the catalog has %d entries", c.Replay.Size)
	}
	if _, err := v.read(catalog.Options{Kept: []ledger.Checkpoint{v.latest}}); err == nil {
		t.Error("hidden entries were not noticed")
	}
}

func TestFork(t *testing.T) {
	v := newVault(t)
	kept := v.latest
	// The key signs another history for somebody else.
	other := &vault{t: t, blobs: mem.New(mem.Options{}), id: v.id, key: v.key}
	other.put(layout.FormatName, layout.Format(v.id))
	other.append(ledger.SafeCreated{Name: "another", Store: v.id, Roster: safe.Digest{1}, Key: v.key.Public()})
	other.append(ledger.RosterChanged{Version: 1, Digest: safe.Digest{1}})
	other.checkpoint()
	other.snapshot("erp")
	_, err := other.read(catalog.Options{Kept: []ledger.Checkpoint{kept}})
	var fork *ledger.ForkError
	if !errors.As(err, &fork) {
		t.Errorf("got %v, want a fork", err)
	}
	if _, err := other.read(catalog.Options{}); err != nil {
		t.Errorf("without what was kept: %v", err)
	}
}

func TestAnotherKey(t *testing.T) {
	v := newVault(t)
	v.snapshot("erp")
	stranger, _ := ledger.GenerateKey(v.id)
	if _, err := v.read(catalog.Options{Keys: []ledger.PublicKey{stranger.Public()}}); !errors.Is(err, ledger.ErrNotSigned) {
		t.Errorf("got %v", err)
	}
	if _, err := v.read(catalog.Options{Keys: []ledger.PublicKey{stranger.Public(), v.key.Public()}}); err != nil {
		t.Errorf("with both keys: %v", err)
	}
}

func TestNothingInTheStore(t *testing.T) {
	blobs := mem.New(mem.Options{})
	if _, err := catalog.Read(t.Context(), blobs, catalog.Options{}); !errors.Is(err, blob.ErrNotExist) {
		t.Errorf("an empty store: %v", err)
	}
	id := safe.NewStoreID()
	key, _ := ledger.GenerateKey(id)
	if err := blob.Put(t.Context(), blobs, layout.FormatName, layout.Format(id)); err != nil {
		t.Fatal(err)
	}
	if _, err := catalog.Read(t.Context(), blobs, catalog.Options{}); !errors.Is(err, blob.ErrNotExist) {
		t.Errorf("a store without a ledger: %v", err)
	}
	if _, err := catalog.Read(t.Context(), blobs, catalog.Options{Keys: []ledger.PublicKey{key.Public()}}); !errors.Is(err, catalog.ErrNoCheckpoint) {
		t.Errorf("a store without a checkpoint: %v", err)
	}
	var c *catalog.Catalog
	if listed, lost, err := c.Snapshots(t.Context(), blobs); err != nil || len(listed)+len(lost) > 0 {
		t.Errorf("%v, %v, %v", listed, lost, err)
	}
}

func TestNamesThatNobodyWrites(t *testing.T) {
	v := newVault(t)
	d := v.snapshot("erp")
	for _, name := range []string{
		"ledger/checkpoints/00003", "ledger/checkpoints/-1", "ledger/checkpoints/3.2.2", "ledger/checkpoints/x",
		"ledger/checkpoints/99999999999999999999", "ledger/checkpoints/9223372036854775807", "ledger/checkpoints/1000000",
		"ledger/checkpoints/0", "ledger/checkpoints/4x/5",
		"snapshots/x.json", "snapshots/" + d.Run.String(), "snapshots/" + strings.ToUpper(d.Run.String()) + ".json",
		"snapshots/" + d.Run.String() + ".json.2.2", "snapshots/sub/" + d.Run.String() + ".json",
	} {
		if err := blob.Put(t.Context(), v.blobs, name, bytes.Repeat([]byte("garbage"), 100)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	planted := safe.NewRunID(began)
	if err := blob.Put(t.Context(), v.blobs, layout.Snapshot(planted), []byte("garbage")); err != nil {
		t.Fatal(err)
	}
	c := v.mustRead(catalog.Options{})
	proven, unproven, lost := list(t, v, c)
	if len(proven) != 1 || unproven != nil || lost != nil || c.Checkpoint != v.latest {
		t.Errorf("proven %v, unproven %v, lost %v, up to %v", proven, unproven, lost, c.Checkpoint)
	}
}

func TestCancelled(t *testing.T) {
	v := newVault(t)
	v.snapshot("erp")
	c := v.mustRead(catalog.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := catalog.Read(ctx, v.blobs, catalog.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Read: %v", err)
	}
	if _, lost, err := c.Snapshots(ctx, v.blobs); !errors.Is(err, context.Canceled) || lost != nil {
		t.Errorf("Snapshots: %v, %v", lost, err)
	}
}
