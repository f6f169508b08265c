// Package storetest makes sealed stores in memory, with snapshots of whatever
// entries a test needs. What it writes is what a collection writes, piece by
// piece through the same packages, so that readers are tested on the real
// thing; only the cutting is simpler, to let a test choose where chunks end.
//
//	s := storetest.New(t)
//	d := s.Snapshot(
//		storetest.Dir("etc"),
//		storetest.File("etc/hosts", "127.0.0.1 localhost\n"),
//	)
//	snapshot := s.Open(d)
package storetest

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"strongroom/internal/safe"
	"strongroom/internal/store"
	"strongroom/internal/store/blob"
	"strongroom/internal/store/blob/mem"
	"strongroom/internal/store/layout"
	"strongroom/internal/store/manifest"
	"strongroom/internal/store/pack"
	"strongroom/internal/store/seal"
)

// Begun is when runs begin and entries were modified, unless a test says
// otherwise.
var Begun = time.Date(2026, 11, 21, 2, 0, 0, 123456789, time.UTC)

// An Entry is an entry of a source with its content.
type Entry struct {
	safe.Entry
	Content string
	// ChunkSize is where the content is cut; 0 means into pieces of 1 MiB.
	ChunkSize int
	// Chunks follow the Content. They lie in the store already, in whatever
	// run of it.
	Chunks []manifest.Chunk
}

// File is a file with the mode 0644 and root as its owner.
func File(path, content string) Entry {
	return Entry{Entry: entry(path, safe.File, 0o644), Content: content}
}

// Stream is the output of a program.
func Stream(path, content string) Entry {
	return Entry{Entry: entry(path, safe.Stream, 0o600), Content: content}
}

// Dir is a folder with the mode 0755 and root as its owner.
func Dir(path string) Entry { return Entry{Entry: entry(path, safe.Dir, 0o755)} }

// Symlink is a symbolic link to target.
func Symlink(path, target string) Entry {
	e := Entry{Entry: entry(path, safe.Symlink, 0o777)}
	e.Target = target
	return e
}

// Hardlink is another name of the file target.
func Hardlink(path, target string) Entry {
	e := Entry{Entry: entry(path, safe.Hardlink, 0o644)}
	e.Target = target
	return e
}

// Special is a device, socket or pipe.
func Special(path string) Entry { return Entry{Entry: entry(path, safe.Special, 0o600)} }

func entry(path string, kind safe.EntryType, mode uint32) safe.Entry {
	return safe.Entry{Path: path, Type: kind, Mode: mode, User: "root", Group: "root", MTime: Begun}
}

// With returns the entry after changes to its metadata.
func (e Entry) With(change func(*safe.Entry)) Entry {
	change(&e.Entry)
	return e
}

// Cut returns the entry with another ChunkSize.
func (e Entry) Cut(size int) Entry {
	e.ChunkSize = size
	return e
}

// A Store is a store in memory with its role keys.
type Store struct {
	Blobs  *mem.Store
	ID     safe.StoreID
	Source safe.SourceName
	Outer  seal.OuterIdentity
	Inner  seal.InnerIdentity

	// PackChunks is how many chunks go into a pack; 0 means as many as fit.
	PackChunks int

	t         testing.TB
	envelopes map[safe.RunID]safe.Digest
}

// New returns a store without snapshots. Failures end the test.
func New(t testing.TB) *Store {
	t.Helper()
	s := &Store{Blobs: mem.New(mem.Options{}), ID: safe.NewStoreID(), Source: "erp-files", t: t, envelopes: make(map[safe.RunID]safe.Digest)}
	var err error
	s.Outer, err = seal.NewOuterIdentity()
	s.must(err)
	s.Inner, err = seal.NewInnerIdentity()
	s.must(err)
	s.put(layout.FormatName, layout.Format(s.ID))
	return s
}

func (s *Store) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatalf("making a store: %v", err)
	}
}

func (s *Store) put(name string, data []byte) {
	s.t.Helper()
	s.must(blob.Put(context.Background(), s.Blobs, name, data))
}

// Snapshot stores a snapshot of the entries, in any order, with its
// description. Folders that are missing on the way to an entry are added.
func (s *Store) Snapshot(entries ...Entry) safe.Snapshot {
	s.t.Helper()
	return s.Raw(func(r *Run) []byte {
		all := complete(entries)
		chunks := make([][]manifest.Chunk, len(all))
		for i, e := range all {
			all[i].Size = int64(len(e.Content))
			chunks[i] = r.Store(e.Content, e.ChunkSize)
			for _, c := range e.Chunks {
				all[i].Size += int64(c.Length)
			}
		}
		r.Finish()
		lines := manifest.AppendHeader(nil, r.Header)
		var totals manifest.Totals
		for i, e := range all {
			lines = manifest.AppendEntry(lines, manifest.Entry{Entry: e.Entry, Chunks: append(chunks[i], e.Chunks...)})
			totals.Entries++
			totals.Bytes += e.Size
		}
		return manifest.AppendTotals(lines, totals)
	})
}

// complete sorts entries and adds what folders are missing.
func complete(entries []Entry) []Entry {
	all := slices.Clone(entries)
	listed := make(map[string]bool)
	for _, e := range entries {
		listed[e.Path] = true
	}
	for _, e := range entries {
		for path := e.Path; ; {
			i := strings.LastIndexByte(path, '/')
			if i < 0 || listed[path[:i]] {
				break
			}
			path = path[:i]
			listed[path] = true
			all = append(all, Dir(path))
		}
	}
	slices.SortFunc(all, func(a, b Entry) int { return safe.ComparePaths(a.Path, b.Path) })
	return all
}

// A Run is a run while it stores.
type Run struct {
	Header manifest.Header

	s      *Store
	to     seal.RunRecipient
	packs  []safe.Digest
	frames *pack.Compressor
	open   *openPack // nil if there is none
}

// An openPack is a pack that is being filled.
type openPack struct {
	object bytes.Buffer
	writer *pack.Writer
	chunks []*manifest.Chunk // those in it
}

// Raw stores a snapshot with whatever manifest write returns, for the tests of
// what must be refused. The description's counts are right if the totals are.
func (s *Store) Raw(write func(*Run) []byte) safe.Snapshot {
	s.t.Helper()
	begun := Begun.AddDate(0, 0, len(s.envelopes)) // one run a day
	id := safe.NewRunID(begun)
	envelope, to, err := seal.NewEnvelope(
		seal.Label{Store: s.ID, Run: id, Source: s.Source, Time: begun, Roster: 1}, s.Outer.Recipient(), s.Inner.Recipient())
	s.must(err)
	s.envelopes[id] = safe.DigestOf(envelope)
	s.put(layout.Envelope(id), envelope)
	s.put(layout.EnvelopeCopy(id), envelope)
	r := &Run{
		Header: manifest.Header{Store: s.ID, Run: id, Source: s.Source, Kind: "local", Started: begun},
		s:      s, to: to, frames: pack.NewCompressor(pack.Fastest),
	}
	lines := write(r)
	r.Finish() // the manifest has packs of its own
	root := manifest.Root{Store: s.ID, Run: id, Source: s.Source, Chunks: r.Store(string(lines), 128<<10)}
	r.Finish()
	packs := map[safe.RunID][]safe.Digest{id: r.packs}
	root.Entries, root.Bytes = survey(lines, packs)
	object, err := store.SealRoot(root, to.Seal)
	s.must(err)
	d := safe.Snapshot{
		Version: 1, Store: s.ID, Run: id, Source: s.Source, Kind: "local",
		Started: begun, Finished: begun.Add(time.Minute), KeepUntil: begun.AddDate(0, 0, 35),
		Tier: safe.Daily, Root: safe.DigestOf(object),
	}
	d.Runs = make(map[safe.RunID]safe.RunPacks)
	for run, digests := range packs {
		slices.SortFunc(digests, safe.Digest.Compare)
		d.Runs[run] = safe.RunPacks{Envelope: s.envelopes[run], Packs: slices.Compact(digests)}
	}
	d.Entries, d.Bytes = root.Entries, root.Bytes
	s.put(layout.Root(id, d.Root), object)
	s.put(layout.Copy(layout.Root(id, d.Root)), object)
	s.put(layout.Snapshot(id), d.Encode())
	return d
}

// survey counts what a manifest lists and notes the packs it refers to, as far
// as it can be read.
func survey(lines []byte, packs map[safe.RunID][]safe.Digest) (entries, bytes int64) {
	m, _, err := manifest.NewReader(strings.NewReader(string(lines)))
	if err != nil {
		return 0, 0
	}
	for {
		if _, err := m.Next(); err != nil {
			return entries, bytes
		}
		entries++
		for c, err := range m.Chunks() {
			if err != nil {
				return entries, bytes
			}
			bytes += int64(c.Length)
			packs[c.Run] = append(packs[c.Run], c.Pack)
		}
	}
}

// Store stores content in chunks of a size, 0 for 1 MiB. Which packs they lie
// in is filled in by Finish.
func (r *Run) Store(content string, size int) []manifest.Chunk {
	r.s.t.Helper()
	if content == "" {
		return nil
	}
	if size == 0 {
		size = 1 << 20
	}
	chunks := make([]manifest.Chunk, (len(content)+size-1)/size)
	for i := range chunks {
		data := []byte(content[i*size : min(len(content), (i+1)*size)])
		chunks[i] = r.add(data)
		r.open.chunks = append(r.open.chunks, &chunks[i])
	}
	return chunks
}

// add puts a chunk into the open pack, or into a new one.
func (r *Run) add(data []byte) manifest.Chunk {
	r.s.t.Helper()
	frame := r.frames.Append(nil, data)
	if o := r.open; o != nil && (!o.writer.Fits(len(frame)) || len(o.chunks) == r.s.PackChunks && r.s.PackChunks > 0) {
		r.Finish()
	}
	if r.open == nil {
		o := new(openPack)
		var err error
		o.writer, err = pack.NewWriter(&o.object, r.to.Seal)
		r.s.must(err)
		r.open = o
	}
	c := manifest.Chunk{Hash: safe.DigestOf(data), Run: r.Header.Run, Stored: uint32(len(frame)), Length: uint32(len(data))}
	var err error
	c.Offset, err = r.open.writer.Add(c.Hash, frame, len(data))
	r.s.must(err)
	return c
}

// Finish ends the pack that is being filled.
func (r *Run) Finish() {
	r.s.t.Helper()
	o := r.open
	if o == nil {
		return
	}
	r.open = nil
	sealed, err := o.writer.Close()
	r.s.must(err)
	r.s.put(layout.Pack(r.Header.Run, sealed.Digest), o.object.Bytes())
	r.packs = append(r.packs, sealed.Digest)
	for _, c := range o.chunks {
		c.Pack = sealed.Digest
	}
}

// Identities opens the envelopes that are in r with both role keys.
func (s *Store) Identities(r blob.Reader, d safe.Snapshot) store.Identities {
	return store.WithRoleKeys(r, d, []seal.OuterIdentity{s.Outer}, []seal.InnerIdentity{s.Inner})
}

// Open opens a snapshot with both role keys. It is closed when the test ends.
func (s *Store) Open(d safe.Snapshot) *store.Snapshot {
	s.t.Helper()
	snapshot, err := store.Open(context.Background(), s.Blobs, d, s.Identities(s.Blobs, d))
	if err != nil {
		s.t.Fatalf("opening a snapshot: %v", err)
	}
	s.t.Cleanup(func() {
		if err := snapshot.Close(); err != nil {
			s.t.Errorf("closing a snapshot: %v", err)
		}
	})
	return snapshot
}

// Chunks returns the chunks of an entry of a snapshot, for a test that wants
// to damage them.
func (s *Store) Chunks(d safe.Snapshot, path string) []manifest.Chunk {
	s.t.Helper()
	m, _, err := s.Open(d).Manifest(context.Background())
	s.must(err)
	for {
		e, err := m.Next()
		if err != nil {
			s.t.Fatalf("looking for %q in a snapshot: %v", path, err)
		}
		if e.Path != path {
			continue
		}
		var chunks []manifest.Chunk
		for c, err := range m.Chunks() {
			s.must(err)
			chunks = append(chunks, c)
		}
		return chunks
	}
}

// Damage changes one bit in the middle of a chunk, where it lies in its pack.
// A second call repairs it.
func (s *Store) Damage(c manifest.Chunk) {
	s.Blobs.Corrupt(layout.Pack(c.Run, c.Pack), func(object []byte) []byte {
		object = bytes.Clone(object)
		object[place(object, c.Offset+int64(c.Stored)/2)] ^= 1
		return object
	})
}

// place returns where in an age file a byte of the plaintext lies: the
// header ends with the line of its MAC, a nonce of 16 bytes follows, then
// pieces of 64 KiB with a tag of 16 bytes each.
func place(object []byte, offset int64) int64 {
	mac := bytes.Index(object, []byte("\n---"))
	header := int64(mac + 1 + bytes.IndexByte(object[mac+1:], '\n') + 1)
	return header + 16 + offset + offset/(64<<10)*16
}
