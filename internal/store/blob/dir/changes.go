package dir

import (
	"context"
	"maps"
	"path"
	"slices"
	"sync"
)

// changes knows which folders to fsync so that the names in them are durable.
type changes struct {
	// syncing is held while folders are fsynced, so that a second sync does
	// not return before the first has made durable what it took over.
	syncing sync.Mutex

	mu    sync.Mutex // guards the fields below
	dirty map[string]bool
	// settled holds the folders of which it is known that the folders above
	// them have been fsynced since they came into being, by whichever process.
	settled map[string]bool
}

// add notes that a name was added to a folder.
func (c *changes) add(folder string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dirty == nil {
		c.dirty = map[string]bool{}
	}
	c.dirty[folder] = true
	if c.settled[folder] {
		return
	}
	// Another process may have made the folders and died before it synced.
	for folder != "." {
		folder = path.Dir(folder)
		c.dirty[folder] = true
	}
}

// settle notes that the folders above these are durable.
func (c *changes) settle(folders ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.settled == nil {
		c.settled = map[string]bool{}
	}
	for _, f := range folders {
		c.settled[f] = true
	}
}

// sync calls fsync for every folder that was added to since the last sync.
// What fails stays to be done: a file system that could not write its own
// structures does not go on as if it had, so trying again is sound, other than
// with the content of a file.
func (c *changes) sync(ctx context.Context, fsync func(folder string) error) error {
	c.syncing.Lock()
	defer c.syncing.Unlock()
	c.mu.Lock()
	folders := slices.Sorted(maps.Keys(c.dirty))
	c.dirty = nil
	c.mu.Unlock()
	for i, f := range folders {
		err := ctx.Err()
		if err == nil {
			err = fsync(f)
		}
		if err != nil {
			for _, f := range folders[i:] {
				c.add(f)
			}
			return err
		}
	}
	c.settle(folders...)
	return nil
}
