package promise

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/safe"
	"strongroom/internal/store"
	"strongroom/internal/store/blob"
	"strongroom/internal/store/layout"
	"strongroom/internal/store/restore"
	"strongroom/internal/store/seal"
)

// twins makes a safe with two sources of equal content, of which the first is
// collected a second time after something was added. It returns the three
// snapshots in that order: first and second of "one", and "two".
func twins(t *testing.T) (s *site, first, second, other safe.Snapshot) {
	t.Helper()
	folders := t.TempDir()
	one, two := filepath.Join(folders, "one"), filepath.Join(folders, "two")
	files := newTree("both").files
	for i := range 3 {
		// Large enough to be cut in several places.
		files[fmt.Sprintf("large-%d", i)] = randomText(3 << 20)
	}
	write(t, one, files)
	write(t, two, files)
	s = newSite(t, localSource("one", one, "")+localSource("two", two, ""))
	s.must("collect", "one")
	s.must("collect", "two")
	write(t, one, newTree("later").files)
	s.must("collect", "one")
	all := s.snapshots(s.openStore(s.path("host/store")))
	if len(all) != 3 {
		t.Fatalf("%d snapshots, want 3", len(all))
	}
	return s, all[0], all[2], all[1]
}

// A watched store notes what is done with it.
type watched struct {
	blob.Reader
	mu     sync.Mutex
	opened []string // also what was only looked at
	lists  []string
}

func (w *watched) Open(ctx context.Context, name string) (blob.Object, error) {
	w.note(&w.opened, name)
	return w.Reader.Open(ctx, name)
}

func (w *watched) Stat(ctx context.Context, name string) (blob.Info, error) {
	w.note(&w.opened, name)
	return w.Reader.Stat(ctx, name)
}

func (w *watched) List(ctx context.Context, prefix string) iter.Seq2[blob.Info, error] {
	w.note(&w.lists, prefix)
	return w.Reader.List(ctx, prefix)
}

func (w *watched) note(list *[]string, name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	*list = append(*list, name)
}

// TestOpeningTouchesItsOwnRunsOnce shows that no key is found by trial, and
// that a snapshot has nothing to do with another source's.
func TestOpeningTouchesItsOwnRunsOnce(t *testing.T) {
	s, first, second, _ := twins(t)
	if len(second.Runs) != 2 || len(second.Runs[first.Run].Packs) == 0 {
		t.Fatalf("the second snapshot does not build on the first, so there is little to see: %v", second.Runs)
	}
	w := &watched{Reader: s.openStore(s.path("host/store"))}
	roles := s.identities(w, second)
	asked := map[safe.RunID]int{}
	snapshot, err := store.Open(t.Context(), w, second, func(ctx context.Context, run safe.RunID) (seal.RunIdentity, error) {
		asked[run]++ // store.Open promises nothing about goroutines; -race would tell
		return roles(ctx, run)
	})
	if err != nil {
		t.Fatal(err)
	}
	defer snapshot.Close()
	report, err := restore.Verify(t.Context(), snapshot, restore.Options{})
	if err != nil || report.LossCount > 0 {
		t.Fatal(err, report)
	}
	once := map[safe.RunID]int{first.Run: 1, second.Run: 1}
	if diff := cmp.Diff(once, asked); diff != "" {
		t.Errorf("identities asked for (-want +got):\n%s", diff)
	}
	envelopes := map[safe.RunID]int{}
	for _, name := range w.opened {
		n := layout.Parse(name)
		switch n.Kind {
		case layout.EnvelopeObject:
			envelopes[n.Run]++
		case layout.PackObject:
			if _, named := slices.BinarySearchFunc(second.Runs[n.Run].Packs, n.Digest, safe.Digest.Compare); !named {
				t.Errorf("%s was opened, which the description does not name", name)
			}
		case layout.RootObject:
			if n.Run != second.Run {
				t.Errorf("%s was opened, the root of another snapshot", name)
			}
		default:
			t.Errorf("%s was opened", name)
		}
	}
	if diff := cmp.Diff(once, envelopes); diff != "" {
		t.Errorf("envelopes read (-want +got):\n%s", diff)
	}
	if len(w.lists) > 0 {
		t.Errorf("listed %q: what belongs to a snapshot stands in its description", w.lists)
	}
}

// TestSourcesShareNothing shows that equal content of two sources is stored
// twice, each cut in its own way.
func TestSourcesShareNothing(t *testing.T) {
	s, first, second, other := twins(t)
	if first.NewBytes != first.Bytes || other.NewBytes != other.Bytes || other.StoredBytes < first.StoredBytes/2 {
		t.Errorf("of %d bytes, %d were new for the first source and %d for the second: all should have been", first.Bytes, first.NewBytes, other.NewBytes)
	}
	if second.NewBytes >= second.Bytes {
		t.Error("nothing was recognised within a source, so this shows nothing")
	}
	packs := map[safe.Digest]safe.SourceName{}
	runs := map[safe.RunID]safe.SourceName{}
	for _, d := range []safe.Snapshot{first, second, other} {
		for run, of := range d.Runs {
			if owner, ok := runs[run]; ok && owner != d.Source {
				t.Errorf("run %s belongs to %s, and %s refers to it", run, owner, d.Source)
			}
			runs[run] = d.Source
			for _, pack := range of.Packs {
				if owner, ok := packs[pack]; ok && owner != d.Source {
					t.Errorf("pack %s belongs to %s, and %s refers to it", pack, owner, d.Source)
				}
				packs[pack] = d.Source
			}
		}
	}
	if diff := cmp.Diff(s.cuts(first), s.cuts(other)); diff == "" {
		t.Error("both sources are cut at the same places, which tells that they are equal")
	}
	if diff := cmp.Diff(s.cuts(first), s.cuts(first)); diff != "" {
		t.Error("the comparison of cuts is worth nothing")
	}
}

// cuts returns the lengths of all chunks of the large files.
func (s *site) cuts(d safe.Snapshot) (lengths []uint32) {
	s.t.Helper()
	r := s.openStore(s.path("host/store"))
	snapshot, err := store.Open(s.t.Context(), r, d, s.identities(r, d))
	if err != nil {
		s.t.Fatal(err)
	}
	defer snapshot.Close()
	m, _, err := snapshot.Manifest(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	for e, err := m.Next(); err == nil; e, err = m.Next() {
		if e.Size < 1<<20 {
			continue
		}
		for c, err := m.NextChunk(); err == nil; c, err = m.NextChunk() {
			lengths = append(lengths, uint32(c.Length))
		}
	}
	return lengths
}

// A swap puts one thing into another's place, in a copy of the store.
type swap struct {
	name string
	do   func(p put)
	args []string // beside those of a restore
	code int
	say  string // among what the program says
	// newest says that the same comes of asking for the newest of the source.
	newest bool
}

// A put has the store and what is in it.
type put struct {
	site                 *site
	store                string
	first, second, other safe.Snapshot
}

// bytes copies objects over others.
func (p put) over(from string, to ...string) {
	p.site.t.Helper()
	b := mustRead(p.site.t, filepath.Join(p.store, from))
	for _, name := range to {
		p.write(name, b)
	}
}

func (p put) write(name string, b []byte) {
	p.site.t.Helper()
	path := filepath.Join(p.store, name)
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		p.site.t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o400); err != nil {
		p.site.t.Fatal(err)
	}
}

// believe puts a description that was changed into the place of the second
// snapshot's, for a reader who has lost the ledger and takes what there is.
func (p put) believe(change func(d *safe.Snapshot)) {
	p.site.t.Helper()
	p.describe(change)
	if err := os.RemoveAll(filepath.Join(p.store, "ledger")); err != nil {
		p.site.t.Fatal(err)
	}
}

// describe puts a description that was changed into the place of the second
// snapshot's.
func (p put) describe(change func(d *safe.Snapshot)) {
	p.site.t.Helper()
	d, err := safe.ParseSnapshot(mustRead(p.site.t, filepath.Join(p.store, layout.Snapshot(p.second.Run))))
	if err != nil {
		p.site.t.Fatal(err)
	}
	change(&d)
	for _, name := range []string{layout.Snapshot(d.Run), layout.Copy(layout.Snapshot(d.Run))} {
		p.write(name, d.Encode())
	}
}

func envelopes(run safe.RunID) []string {
	return []string{layout.Envelope(run), layout.EnvelopeCopy(run)}
}

func roots(run safe.RunID, digest safe.Digest) []string {
	return []string{layout.Root(run, digest), layout.Copy(layout.Root(run, digest))}
}

func descriptions(run safe.RunID) []string {
	return []string{layout.Snapshot(run), layout.Copy(layout.Snapshot(run))}
}

var swaps = []swap{
	{name: "envelope of another run", code: 1, say: "it does not have the digest that the snapshot's description gives", do: func(p put) {
		p.over(layout.Envelope(p.first.Run), envelopes(p.second.Run)...)
	}},
	{name: "envelope of another source", code: 1, say: "it does not have the digest that the snapshot's description gives", do: func(p put) {
		p.over(layout.Envelope(p.other.Run), envelopes(p.second.Run)...)
	}},
	{name: "envelope of an earlier run", code: 3, say: "it does not have the digest that the snapshot's description gives", do: func(p put) {
		p.over(layout.Envelope(p.second.Run), envelopes(p.first.Run)...)
	}},
	{name: "envelope of another run, believed", code: 4, say: "the outer layer is labelled with run", args: []string{"--unproven"}, do: func(p put) {
		p.over(layout.Envelope(p.first.Run), envelopes(p.second.Run)...)
		p.believe(func(d *safe.Snapshot) {
			d.Runs[d.Run] = safe.RunPacks{Envelope: p.first.Runs[p.first.Run].Envelope, Packs: d.Runs[d.Run].Packs}
		})
	}},
	{name: "envelope of another source, believed", code: 4, say: "the outer layer is labelled with run", args: []string{"--unproven"}, do: func(p put) {
		p.over(layout.Envelope(p.other.Run), envelopes(p.second.Run)...)
		p.believe(func(d *safe.Snapshot) {
			d.Runs[d.Run] = safe.RunPacks{Envelope: p.other.Runs[p.other.Run].Envelope, Packs: d.Runs[d.Run].Packs}
		})
	}},
	{name: "pack of another run", code: 4, say: "it is sealed to another key", do: func(p put) {
		for _, pack := range p.second.Runs[p.second.Run].Packs {
			p.over(layout.Pack(p.first.Run, p.first.Runs[p.first.Run].Packs[0]), layout.Pack(p.second.Run, pack))
		}
	}},
	{name: "pack of an earlier run", code: 3, say: "it is sealed to another key", do: func(p put) {
		for _, pack := range p.first.Runs[p.first.Run].Packs {
			p.over(layout.Pack(p.second.Run, p.second.Runs[p.second.Run].Packs[0]), layout.Pack(p.first.Run, pack))
		}
	}},
	{name: "pack of another source", code: 3, say: "it is sealed to another key", do: func(p put) {
		for _, pack := range p.first.Runs[p.first.Run].Packs {
			p.over(layout.Pack(p.other.Run, p.other.Runs[p.other.Run].Packs[0]), layout.Pack(p.first.Run, pack))
		}
	}},
	{name: "root of another run", code: 1, say: "it does not have the digest that the snapshot's description gives", do: func(p put) {
		p.over(layout.Root(p.first.Run, p.first.Root), roots(p.second.Run, p.second.Root)...)
	}},
	{name: "root of another source", code: 1, say: "it does not have the digest that the snapshot's description gives", do: func(p put) {
		p.over(layout.Root(p.other.Run, p.other.Root), roots(p.second.Run, p.second.Root)...)
	}},
	{name: "root of another run, believed", code: 4, say: "it is sealed to another key", args: []string{"--unproven"}, do: func(p put) {
		p.over(layout.Root(p.first.Run, p.first.Root), roots(p.second.Run, p.first.Root)...)
		p.believe(func(d *safe.Snapshot) { d.Root = p.first.Root })
	}},
	{name: "root that says another run, believed", code: 1, say: "it was swapped", args: []string{"--unproven"}, do: func(p put) {
		p.reroot(p.first)
	}},
	{name: "root that says another source, believed", code: 1, say: "it was swapped", args: []string{"--unproven"}, do: func(p put) {
		p.reroot(p.other)
	}},
	{name: "description of another run", newest: true, code: 4, say: "it describes run", do: func(p put) {
		p.over(layout.Snapshot(p.first.Run), descriptions(p.second.Run)...)
	}},
	{name: "description of another source", newest: true, code: 4, say: "it describes run", do: func(p put) {
		p.over(layout.Snapshot(p.other.Run), descriptions(p.second.Run)...)
	}},
	{name: "description of another source's content", newest: true, code: 4, say: "it is not the description that the ledger recorded", do: func(p put) {
		p.describe(func(d *safe.Snapshot) { d.Runs = p.other.Runs; d.Runs[d.Run] = p.second.Runs[d.Run] })
	}},
	{name: "description of another source's content, believed", code: 3, say: "which its description does not name", args: []string{"--unproven"}, do: func(p put) {
		p.believe(func(d *safe.Snapshot) { d.Runs = p.other.Runs; d.Runs[d.Run] = p.second.Runs[d.Run] })
	}},
	{name: "description renamed to another source, believed", code: 4, say: "the outer layer is labelled with source one, not two", args: []string{"--unproven"}, do: func(p put) {
		p.believe(func(d *safe.Snapshot) { d.Source = "two" })
	}},
}

// reroot seals a root of another snapshot to the key of the second one's run,
// which only who has opened that can do.
func (p put) reroot(of safe.Snapshot) {
	t := p.site.t
	t.Helper()
	ours, theirs := p.site.identity(p.second), p.site.identity(of)
	plain, err := theirs.Open(bytes.NewReader(mustRead(t, filepath.Join(p.store, layout.Root(of.Run, of.Root)))))
	if err != nil {
		t.Fatal(err)
	}
	var sealed bytes.Buffer
	w, err := ours.Recipient().Seal(&sealed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(w, plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	digest := safe.DigestOf(sealed.Bytes())
	for _, name := range roots(p.second.Run, digest) {
		p.write(name, sealed.Bytes())
	}
	p.believe(func(d *safe.Snapshot) { d.Root = digest })
}

// TestSwapped puts sealed things, each sound in itself, where they do not
// belong. None may be taken for the right one.
func TestSwapped(t *testing.T) {
	s, first, second, other := twins(t)
	restore := func(t *testing.T, path string, args ...string) (r result, files int) {
		out := t.TempDir()
		r = s.read(path, append([]string{"restore", second.Run.String(), "--to", out}, args...)...)
		everyFile(t, out, func(path string) {
			rel, _ := filepath.Rel(out, path)
			if strings.HasPrefix(rel, ".strongroom-restore-") {
				return // says that the restore is not finished
			}
			// Sources keep their place: what is restored is compared with what
			// was collected.
			if files++; string(mustRead(t, path)) != string(mustRead(t, "/"+rel)) {
				t.Errorf("%s was restored with other content", rel)
			}
		})
		return r, files
	}
	if r, files := restore(t, s.path("host/store")); r.code != 0 || files != 9 {
		t.Fatalf("%d files of a sound store: %s", files, r)
	}
	for _, tt := range swaps {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			copied := filepath.Join(t.TempDir(), "store")
			if err := os.CopyFS(copied, os.DirFS(s.path("host/store"))); err != nil {
				t.Fatal(err)
			}
			tt.do(put{s, copied, first, second, other})
			r, files := restore(t, copied, tt.args...)
			if r.code != tt.code || !containsAll(r.err, tt.say) {
				t.Errorf("want exit status %d and %q, got %s", tt.code, tt.say, r)
			}
			if tt.newest {
				// Nor is the snapshot before given in its place.
				if r := s.read(copied, "restore", "one", "--verify"); r.code != tt.code || !containsAll(r.err, tt.say) {
					t.Errorf("asked for the newest: want exit status %d and %q, got %s", tt.code, tt.say, r)
				}
			}
			if tt.code != 3 && files > 0 {
				t.Errorf("%d files were restored", files)
			}
			if tt.code == 3 && files != 3 {
				t.Errorf("%d files were restored, want the 3 that were not touched", files)
			}
		})
	}
}
