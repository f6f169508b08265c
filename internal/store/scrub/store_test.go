package scrub_test

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/ledger"
	"strongroom/internal/ledger/ledgertest"
	"strongroom/internal/store/blob"
	"strongroom/internal/store/blob/dir"
	"strongroom/internal/store/blob/fault"
	"strongroom/internal/store/catalog"
	"strongroom/internal/store/layout"
	"strongroom/internal/store/scrub"
)

// Whichever operation fails, and however, the next repair completes it.
func TestRepairFailsAnywhere(t *testing.T) {
	t.Parallel()
	for _, mode := range fault.Modes {
		for n := 1; ; n++ {
			f := newFixture(t)
			harmed := []string{
				layout.Pack(f.first, f.packs[f.first][0]), layout.Parity(f.second, f.packs[f.second][0]),
				layout.Envelope(f.first), layout.Entry(1), layout.Copy(layout.Entry(1)),
			}
			for _, name := range harmed {
				f.store.Corrupt(name, func(b []byte) []byte { return flip(b, 77) })
			}
			gone := layout.Parity(f.first, f.packs[f.first][1])
			f.store.Delete(gone)
			findings := f.check(f.store, scrub.Options{}).Findings
			if len(findings) != len(harmed)+1 {
				t.Fatalf("findings %v, want %d", findings, len(harmed)+1)
			}
			faulty := fault.New(f.store, mode, n)
			outcomes := f.repair(faulty, findings, f.offer)
			for _, o := range outcomes {
				if o.Result == scrub.Lost {
					t.Errorf("%s at operation %d: a failure is taken for a loss: %+v", mode, n, o)
				}
			}
			// A scrub may be broken off after any of its repairs.
			f.repair(f.store, f.check(f.store, scrub.Options{}).Findings, f.offer)
			f.whole(f.store)
			for _, name := range harmed {
				if kept := f.store.Damaged(name); len(kept) == 0 || cmp.Equal(kept[0], f.objects[name]) {
					t.Errorf("%s at operation %d: the damaged bytes of %s are not kept", mode, n, name)
				}
			}
			if !faulty.Struck() {
				break
			}
		}
	}
}

// inFolder puts the fixture's objects into a folder.
func (f *fixture) inFolder() (*dir.Store, string) {
	f.t.Helper()
	path := filepath.Join(f.t.TempDir(), "store")
	store, err := dir.Create(path)
	f.must(err)
	f.t.Cleanup(func() { store.Close() })
	for name, b := range f.objects {
		f.must(blob.Put(context.Background(), store, name, b))
	}
	return store, path
}

// What is no regular file is never taken for an object, and goes where damaged
// objects go if it stands in the place of one.
func TestLinksAndPipes(t *testing.T) {
	f := newFixture(t)
	store, path := f.inFolder()
	f.whole(store)
	places := map[string]scrub.Problem{
		layout.Pack(f.first, f.packs[f.first][0]):   scrub.Damaged,
		layout.Parity(f.first, f.packs[f.first][1]): scrub.Damaged,
		layout.Entry(1):                    scrub.Damaged,
		layout.EnvelopeCopy(f.broken):      scrub.Damaged,
		layout.Checkpoint(2):               scrub.Damaged,
		layout.Roster(5):                   scrub.Unproven,
		layout.Run(f.third) + "/packs/etc": scrub.Unknown,
		"etc":                              scrub.Unknown,
	}
	kinds := map[string]func(string) error{
		"link to an object": func(p string) error { return os.Symlink(filepath.Join(path, "format"), p) },
		"link to nothing":   func(p string) error { return os.Symlink("nowhere", p) },
		"pipe":              func(p string) error { return syscall.Mkfifo(p, 0o600) },
	}
	for kind, makeOne := range kinds {
		for name := range places {
			p := filepath.Join(path, filepath.FromSlash(name))
			if err := os.Remove(p); err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
			f.must(makeOne(p))
		}
		report := f.check(store, scrub.Options{})
		if diff := cmp.Diff(places, problems(report.Findings)); diff != "" {
			t.Errorf("%s: findings differ (-want +got):\n%s", kind, diff)
		}
		for name, problem := range places {
			if problem != scrub.Damaged {
				f.must(os.Remove(filepath.Join(path, filepath.FromSlash(name))))
			}
		}
		outcomes := f.repair(store, report.Findings, nil)
		for _, o := range outcomes {
			want := scrub.Repaired
			if layout.Parse(o.Name).Kind == layout.PackObject {
				want = scrub.Lost // a link has none of its bytes
			}
			if o.Result != want {
				t.Errorf("%s: %+v, want %s", kind, o, want)
			}
		}
		for name, problem := range places {
			if problem == scrub.Damaged && layout.Parse(name).Kind == layout.PackObject {
				p := filepath.Join(path, filepath.FromSlash(name))
				f.must(os.Remove(p))
				f.must(blob.Put(context.Background(), store, name, f.objects[name]))
			}
		}
		f.whole(store)
	}
}

// A folder with a name that no object can have is a stray, and so is what an
// object's name leads to if that is a folder.
func TestFolders(t *testing.T) {
	f := newFixture(t)
	store, path := f.inFolder()
	f.must(os.Mkdir(filepath.Join(path, "with space"), 0o700))
	name := layout.Entry(1)
	f.must(os.Remove(filepath.Join(path, filepath.FromSlash(name))))
	f.must(os.Mkdir(filepath.Join(path, filepath.FromSlash(name)), 0o700))
	f.must(os.WriteFile(filepath.Join(path, filepath.FromSlash(name), "inside"), nil, 0o600))
	report := f.check(store, scrub.Options{})
	want := map[string]scrub.Problem{"with space": scrub.Unknown, name: scrub.Damaged, name + "/inside": scrub.Unknown}
	if diff := cmp.Diff(want, problems(report.Findings)); diff != "" {
		t.Errorf("findings differ (-want +got):\n%s", diff)
	}
	f.must(os.Remove(filepath.Join(path, "with space")))
	f.repair(store, report.Findings, nil)
	f.whole(store)
}

// A store without a safe is compared with its own ledger, of which either copy
// may be damaged.
func TestFromStore(t *testing.T) {
	f := newFixture(t)
	store, _ := f.inFolder()
	truth, err := scrub.FromStore(context.Background(), store, catalog.Options{})
	f.must(err)
	report, err := scrub.Check(context.Background(), store, truth, scrub.Options{})
	if err != nil || len(report.Findings) != 0 {
		t.Errorf("findings %v, %v in a sound store", report.Findings, err)
	}

	// One copy is no entry any more, the other entry has two well-formed
	// versions, of which only the ledger's head tells which was signed.
	forged := ledgertest.Log{}
	_, err = forged.Append(begun, ledger.MemoryForgotten{Source: "erp"})
	f.must(err)
	var other []byte
	for b := range forged.Entries() {
		other = b
	}
	f.set(layout.Entry(3), []byte("junk"))
	f.set(layout.Entry(4), other)
	f.set(layout.FormatName, []byte("junk"))
	truth, err = scrub.FromStore(context.Background(), f.store, catalog.Options{Keys: []ledger.PublicKey{f.key.Public()}})
	f.must(err)
	report, err = scrub.Check(context.Background(), f.store, truth, scrub.Options{})
	f.must(err)
	want := map[string]scrub.Problem{
		layout.Entry(3): scrub.Damaged, layout.Entry(4): scrub.Damaged, layout.FormatName: scrub.Damaged,
	}
	if diff := cmp.Diff(want, problems(report.Findings)); diff != "" {
		t.Errorf("findings differ (-want +got):\n%s", diff)
	}
}

// A store that cannot be read is an error, not a store full of damage.
func TestUnreadableStore(t *testing.T) {
	f := newFixture(t)
	dead := fault.New(f.store, fault.Stop, 1)
	if s, err := dead.Stage(context.Background()); err == nil {
		s.Discard()
		t.Fatal("the store is not dead")
	}
	if report, err := scrub.Check(context.Background(), dead, f.truth(), scrub.Options{}); err == nil {
		t.Errorf("a report of a store that cannot be read: %v", report)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if report, err := scrub.Check(ctx, f.store, f.truth(), scrub.Options{}); err == nil {
		t.Errorf("a report after the end of ctx: %v", report)
	}
	if outcomes, err := scrub.Repair(ctx, f.store, f.truth(), []scrub.Remedy{{Name: layout.FormatName}}, nil); err == nil {
		t.Errorf("outcomes after the end of ctx: %v", outcomes)
	}
}

// Looking is faster with more workers, and finds the same.
func TestWorkers(t *testing.T) {
	f := newFixture(t)
	for i, digest := range f.packs[f.first] {
		f.store.Corrupt(layout.Pack(f.first, digest), func(b []byte) []byte { return flip(b, i) })
	}
	want := f.check(f.store, scrub.Options{Workers: 1})
	for _, workers := range []int{2, 16} {
		if diff := cmp.Diff(want, f.check(f.store, scrub.Options{Workers: workers})); diff != "" {
			t.Errorf("with %d workers the report differs (-1 worker):\n%s", workers, diff)
		}
	}
}
