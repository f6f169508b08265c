package restore

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"strongroom/internal/safe"
)

// What says which part of an entry is lost.
type What string

const (
	Whole What = "entry" // nothing is in place under its name
	Owned What = "owner"
	Mode  What = "mode"
	MTime What = "mtime"
	Xattr What = "xattr"
)

// A Loss is something of an entry that was not restored, or not found sound by
// Verify.
type Loss struct {
	Path string // "" if it concerns many entries for the same reason
	What What
	Err  error
}

func (l Loss) String() string {
	switch {
	case l.Path == "":
		return fmt.Sprintf("%s: %v", l.What, l.Err)
	case l.What == Whole:
		return fmt.Sprintf("%q: %v", l.Path, l.Err)
	}
	return fmt.Sprintf("%q: %s: %v", l.Path, l.What, l.Err)
}

// maxLosses bounds the list of losses: more than anyone reads, a few megabytes.
const maxLosses = 10_000

// A Report says what became of the entries that were wanted. The counts are
// of entries in place, or, from Verify, sound.
type Report struct {
	Files     int64 // streams among them
	Kept      int64 // of Files, those that an earlier, unfinished restore had put in place
	Bytes     int64 // of all Files
	Dirs      int64
	Symlinks  int64
	Hardlinks int64
	// Special counts devices, sockets and pipes: they are recorded in a
	// snapshot, and by design never restored. They are no Loss.
	Special int64
	// Missing counts the entries of which nothing is in place, each of them a
	// Loss too.
	Missing int64
	// Losses lists up to 10,000 losses, by path; LossCount counts all.
	Losses    []Loss
	LossCount int64
	// Unmatched are the lines of Options.Include that matched nothing.
	Unmatched []string
}

// A tally gathers the Report. Its methods may be called concurrently.
type tally struct {
	progress func(Progress)

	mu      sync.Mutex // guards the fields below
	report  Report
	so      Progress
	skipped map[What]skip

	calling sync.Mutex // held while progress is called
}

// A skip is a kind of metadata that is not restored for any entry.
type skip struct {
	entries int64
	why     string
}

func newTally(progress func(Progress)) *tally {
	return &tally{progress: progress, skipped: make(map[What]skip)}
}

func (t *tally) lose(path string, what What, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if what == Whole {
		t.report.Missing++
	}
	t.report.LossCount++
	if len(t.report.Losses) < maxLosses {
		t.report.Losses = append(t.report.Losses, Loss{path, what, err})
	}
}

// skip notes metadata that cannot be restored here for any entry: one Loss for
// all of them.
func (t *tally) skip(what What, why string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.skipped[what] = skip{t.skipped[what].entries + 1, why}
}

// count counts an entry other than a file.
func (t *tally) count(kind safe.EntryType) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch kind {
	case safe.Dir:
		t.report.Dirs++
	case safe.Symlink:
		t.report.Symlinks++
	case safe.Hardlink:
		t.report.Hardlinks++
	case safe.Special:
		t.report.Special++
	}
}

func (t *tally) countFile(size int64, kept bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.report.Files++
	t.report.Bytes += size
	if kept {
		t.report.Kept++
	}
}

// done advances the progress by an entry, moved by some content.
func (t *tally) done()         { t.advance(1, 0) }
func (t *tally) moved(n int64) { t.advance(0, n) }

func (t *tally) advance(entries, bytes int64) {
	t.mu.Lock()
	t.so.Entries += entries
	t.so.Bytes += bytes
	so := t.so
	t.mu.Unlock()
	// Whoever finds the caller busy leaves it to the next: nobody waits for a
	// terminal.
	if t.progress != nil && t.calling.TryLock() {
		t.progress(so)
		t.calling.Unlock()
	}
}

// finish returns the report, after all work has ended.
func (t *tally) finish(sel *selection) Report {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, what := range []What{Owned, Mode} {
		if s, ok := t.skipped[what]; ok {
			t.report.LossCount++
			t.report.Losses = append(t.report.Losses, Loss{What: what, Err: fmt.Errorf("of %d entries: %s", s.entries, s.why)})
		}
	}
	slices.SortStableFunc(t.report.Losses, func(a, b Loss) int { return safe.ComparePaths(a.Path, b.Path) })
	t.report.Unmatched = sel.unmatched()
	if t.progress != nil {
		t.progress(t.so)
	}
	return t.report
}

// base returns the last component of a path.
func base(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }
