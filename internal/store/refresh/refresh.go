// Package refresh decides which files are read again although they look
// unchanged, and which chunks are stored again although the store has them.
//
// Without it a poisoned or rotten chunk would live for ever, an old pack would
// stay for a few chunks, and a snapshot would come to depend on ever more
// runs. With it, done all at once, one night would carry a whole source. So
// every file and every chunk has its turn, once in a period, by a hash of its
// name, and a night has a budget.
//
// It is pure: no clock, no I/O.
package refresh

import (
	"hash/fnv"
	"slices"
	"sync/atomic"
	"time"

	"strongroom/internal/store/manifest"
)

// Rules say how often. The zero value is ready to use.
type Rules struct {
	Reread  time.Duration // how often an unchanged file is read; 0 means 30 days
	Refresh time.Duration // how old a chunk may get; 0 means 365 days
}

const day = 24 * time.Hour

// share is the part of a source that one night may store again. The turns of
// 30 days bring 3.3 % on average, so what a night of many turns leaves over is
// soon made up for; and with the lines of the manifest that change with them,
// small files stay below the 5 % that a night is promised to stay under.
const share = 1.0 / 27

// A Night is one collection's view of the rules. Its methods may be called
// concurrently.
type Night struct {
	rules     Rules
	last, now time.Time
	budget    int64 // bytes that may be stored again
	spent     atomic.Int64
}

// NewNight plans a collection that begins now, when the one whose snapshot it
// builds on began at last and held so many bytes.
func NewNight(rules Rules, last, now time.Time, bytes int64) *Night {
	if rules.Reread == 0 {
		rules.Reread = 30 * day
	}
	if rules.Refresh == 0 {
		rules.Refresh = 365 * day
	}
	return &Night{rules: rules, last: last, now: now, budget: int64(float64(bytes) * share)}
}

// FileTurn tells whether a file that looks unchanged, and consisted of these
// chunks, is to be read.
func (n *Night) FileTurn(path string, chunks []manifest.Chunk) bool {
	key := []byte(path)
	return n.turn(key) || slices.ContainsFunc(chunks, func(c manifest.Chunk) bool { return n.missed(key, c) })
}

// turn tells whether one of the days on which key has its turn lies after the
// day of the last collection, up to today. A night that was missed is thus
// made up for.
func (n *Night) turn(key []byte) bool {
	today, before := dayNumber(n.now), dayNumber(n.last)
	return n.rules.Reread < day || today-n.sinceTurn(key) > before
}

// missed tells whether a chunk was too old already when key last had its turn.
// That the store still refers to it means that the budget was spent that
// night; it then does not wait for the next turn.
func (n *Night) missed(key []byte, c manifest.Chunk) bool {
	over := n.now.Sub(c.Run.Time()) - n.rules.Refresh
	return over > 0 && over > time.Duration(n.sinceTurn(key))*day
}

// sinceTurn returns how many days ago the last turn of key was, 0 for today.
func (n *Night) sinceTurn(key []byte) int64 {
	period := int64(n.rules.Reread / day)
	if period <= 1 {
		return 0
	}
	h := fnv.New64a()
	h.Write(key)
	slot := int64(h.Sum64() % uint64(period))
	return ((dayNumber(n.now)-slot)%period + period) % period
}

func dayNumber(t time.Time) int64 { return t.Unix() / int64(day/time.Second) }

// A Pack is what decides whether a pack is worth keeping.
type Pack struct {
	Frames int64 // bytes of all its frames
	Used   int64 // bytes of those that the last snapshot refers to
}

// FileChunk tells whether a chunk that the store has, and that was read
// because its file changed or had its turn, is to be stored again: it is too
// old, or less than a third of its pack is used.
func (n *Night) FileChunk(c manifest.Chunk, p Pack) bool {
	return n.due(c, p) && n.afford(int64(c.Length))
}

// StreamChunk is FileChunk for a stream, which is read every night, so that
// it is each chunk that has its turn.
func (n *Night) StreamChunk(c manifest.Chunk, p Pack) bool {
	key := c.Hash[:]
	return n.due(c, p) && (n.turn(key) || n.missed(key, c)) && n.afford(int64(c.Length))
}

// due tells whether a chunk is to be stored again once it is read. By the
// simulation in bench/growth a third keeps about the least over the years: to
// leave packs earlier stores too much again, to leave them later keeps too many
// for a few chunks.
func (n *Night) due(c manifest.Chunk, p Pack) bool {
	age := n.now.Sub(c.Run.Time())
	return age > n.rules.Refresh || 3*p.Used < p.Frames
}

// afford spends from the budget. The first chunk of a night is always
// affordable, so that a source of few chunks is refreshed too.
func (n *Night) afford(bytes int64) bool {
	before := n.spent.Add(bytes) - bytes
	if before == 0 || before+bytes <= n.budget {
		return true
	}
	n.spent.Add(-bytes)
	return false
}
