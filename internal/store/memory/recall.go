package memory

import (
	"context"
	"errors"
	"slices"
	"sync"

	"strongroom/internal/safe"
	"strongroom/internal/store/manifest"
)

// tierWidth is how many tables of one size become one of the next. With a
// greater one a lookup asks more filters, with a smaller one records are copied
// more often. Of 4 there are 30 tables at most, of all the chunks files that a
// memory may have, which are merged at once.
const tierWidth = 4

// A recall finds what a Writer has written to its chunks files.
//
// The files are merged in tiers, so that there are few of them to look in: as
// soon as four tables stand for as many chunks files each, they become one.
// Thus of n chunks files there are as many tables as the digits of n to the
// base 4 add up to, and a record is copied once for each digit behind the
// first. With seven chunks files, and then with an eighth:
//
//	[1 2 3 4] [5] [6] [7]
//	[1 2 3 4] [5 6 7 8]
//
// Merged files are for looking up only, and for making the tags of a run that
// comes to its end. The chunks files stay, since checkpoints name them.
//
// Lookups may be concurrent with everything; the rest is for one goroutine.
type recall struct {
	folder *folder
	maker  *tagMaker
	added  int // chunks files

	mu     sync.RWMutex // guards the fields below, not what they lead to
	tables []*table     // the newest last
	packs  []Pack       // that their records refer to; Used is not valid
}

// add takes over what has been written to t, a chunks file, and merges what is
// then due.
func (r *recall) add(ctx context.Context, t *table, packs []Pack) error {
	r.added++
	r.replace(nil, t, packs)
	n := due(r.added)
	if n == 1 {
		return nil
	}
	old := r.tables[len(r.tables)-n:]
	merged, err := r.merge(ctx, old)
	if err != nil {
		return err
	}
	r.replace(old, merged, packs)
	return errors.Join(closeTables(old), r.folder.removeMerged(filesOf(old)))
}

// due returns how many of the newest tables become one when there are n chunks
// files. Where a merged table would be due to be merged again, all of it is
// done at once.
func due(n int) int {
	tables := 1
	for ; n%tierWidth == 0; n /= tierWidth {
		tables += tierWidth - 1
	}
	return tables
}

// merge makes one table of several.
func (r *recall) merge(ctx context.Context, tables []*table) (*table, error) {
	files := filesOf(tables)
	g := newGuide(recordsIn(files), recallBits)
	// At most one merge ends with a chunks file, so its number is free.
	merged, err := mergeInto(ctx, r.folder, files, r.added, g.note)
	if err != nil {
		return nil, err
	}
	return r.folder.openTable(merged, g)
}

// replace puts t in the place of the newest tables, which are old.
func (r *recall) replace(old []*table, t *table, packs []Pack) {
	r.mu.Lock()
	defer r.mu.Unlock()
	// In a slice of its own, for old is a part of the other.
	r.tables = append(slices.Clone(r.tables[:len(r.tables)-len(old)]), t)
	r.packs = packs
}

// find returns where a chunk lies, if it is in one of the files.
func (r *recall) find(hash safe.Digest) (manifest.Chunk, bool, error) {
	r.mu.RLock()
	defer r.mu.RUnlock() // no table is closed while it is searched
	if len(r.tables) == 0 {
		return manifest.Chunk{}, false, nil
	}
	wanted := r.maker.tag(hash)
	for _, t := range slices.Backward(r.tables) {
		found, ok, err := t.find(wanted)
		if ok {
			err = checkPlace(&found, r.packs)
		}
		if err != nil {
			return manifest.Chunk{}, false, err
		}
		if ok {
			return found.chunk(hash, r.packs), true, nil
		}
	}
	return manifest.Chunk{}, false, nil
}

// files returns those that hold all that was added.
func (r *recall) files() []sortedFile { return filesOf(r.tables) }

func filesOf(tables []*table) []sortedFile {
	var files []sortedFile
	for _, t := range tables {
		files = append(files, t.sortedFile)
	}
	return files
}

// close forgets everything. The files stay.
func (r *recall) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	err := closeTables(r.tables)
	r.tables, r.packs = nil, nil
	return err
}

func closeTables(tables []*table) error {
	var errs []error
	for _, t := range tables {
		errs = append(errs, t.close())
	}
	return errors.Join(errs...)
}
