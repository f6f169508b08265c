package memory

import (
	"errors"
	"sync"

	"strongroom/internal/safe"
	"strongroom/internal/store/manifest"
)

// maxRecalled bounds the files in which a Writer looks for chunks of its own
// run, each of which takes a file descriptor and a filter: with the default
// buffer they hold 64 million chunks at most, and less where checkpoints cut
// them short. Of what came before those it knows nothing; if it comes again, it
// is stored again.
const maxRecalled = 512

// A recall finds what a Writer has written to its chunks files. It may be used
// concurrently.
type recall struct {
	maker *tagMaker

	mu     sync.RWMutex // guards the fields below, not what they lead to
	tables []*table     // the newest last
	packs  []Pack       // that their records refer to; Used is not valid
}

// add takes over what has been written to t.
func (r *recall) add(t *table, packs []Pack) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tables, r.packs = append(r.tables, t), packs
	if len(r.tables) <= maxRecalled {
		return nil
	}
	oldest := r.tables[0]
	r.tables = r.tables[1:]
	return oldest.close()
}

// find returns where a chunk lies, if it is in one of the files.
func (r *recall) find(hash safe.Digest) (manifest.Chunk, bool, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if len(r.tables) == 0 {
		return manifest.Chunk{}, false, nil
	}
	wanted := r.maker.tag(hash)
	for i := len(r.tables) - 1; i >= 0; i-- {
		found, ok, err := r.tables[i].find(wanted)
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

// close forgets everything.
func (r *recall) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var errs []error
	for _, t := range r.tables {
		errs = append(errs, t.close())
	}
	r.tables, r.packs = nil, nil
	return errors.Join(errs...)
}
