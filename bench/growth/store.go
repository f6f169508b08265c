package main

import (
	"encoding/binary"
	"time"

	"strongroom/internal/safe"
	"strongroom/internal/store/manifest"
	"strongroom/internal/store/pack"
	"strongroom/internal/store/refresh"
)

const day = 24 * time.Hour

// rules are those of the product, and some that were tried.
type rules struct {
	refresh.Rules
	// threshold is the share of a pack that must be in use: of one of which less
	// is, chunks are stored again.
	threshold float64
	// lane chooses the packs that a chunk goes into: nil is the product, where
	// all go into one sequence of packs.
	lane func(how) int
}

// product has the rules that are in force unless configured otherwise.
var product = rules{Rules: refresh.Rules{Reread: 30 * day, Refresh: 365 * day}, threshold: 1.0 / 3}

// how is why a chunk is stored.
type how struct {
	again bool // refreshed; else it is new
	age   int  // nights that what it replaces was there; of a new file 0
}

const lanes = 3 // that rules may choose from

// A store is what the simulated program knows and does: where each chunk of
// the newest snapshot lies, and what is used of each pack. Whether a chunk is
// stored again is decided by package refresh, as in the product.
type store struct {
	rules  rules
	visits *visits
	night  int          // the next
	bytes  int64        // of the newest snapshot
	runs   []safe.RunID // by night

	files  int     // those before it were there the last time
	gone   int     // those before it were gone the last time
	oldest []int16 // by file: the night on which its oldest chunk was stored
	places []place // by chunk
	packs  []packed
	open   [lanes]int // indices into packs, -1 if none
	put    []int      // chunks, tonight, ascending
	left   []leaving  // tonight
	alive  []int      // by night: packs of that run that the newest snapshot uses

	whole *shelf // packs, kept whole
	exact *shelf // chunks, each stored once, kept as long as a snapshot needs them
}

// A place is where a chunk lies.
type place struct {
	pack   uint32
	stored int16 // night
	began  int16 // night on which the chunk got its content
}

type packed struct {
	frames int64
	used   int64 // by the newest snapshot
	stored int
}

// A leaving is that of a chunk from the newest snapshot's part of a pack. What
// is used is counted once a night, as the product does.
type leaving struct {
	pack   uint32
	length int64
}

// A tally is what a night came to, in bytes.
type tally struct {
	source int64 // size of it
	read   int64
	fresh  int64 // stored because it was new
	again  int64 // stored again
}

func newStore(r rules, first time.Time, c *calendar) *store {
	s := &store{rules: r, visits: newVisits(r.Rules, first), whole: newShelf(c), exact: newShelf(c), alive: make([]int, c.nights())}
	for i := range c.nights() {
		s.runs = append(s.runs, safe.NewRunID(first.AddDate(0, 0, i)))
	}
	return s
}

// collect takes the source in, of which the chunks in changed, ascending, have
// other content than the last time.
func (s *store) collect(src *source, changed []int) tally {
	t := tally{source: src.bytes}
	plan, tomorrow := s.visits.plan(s.night, s.bytes), s.visits.plan(s.night+1, 0)
	s.open = [lanes]int{-1, -1, -1}
	s.put = s.put[:0]
	s.forget(src)
	s.places = append(s.places, make([]place, len(src.lengths)-len(s.places))...)
	s.oldest = append(s.oldest, make([]int16, len(src.files)-len(s.oldest))...)
	oldest := make([]manifest.Chunk, 1)
	for _, i := range s.visits.tonight(src, s.night, changed) {
		f := src.files[i]
		isNew := i >= s.files
		isChanged := len(changed) > 0 && changed[0] < f.end
		if !isNew && !isChanged && !src.stream {
			// A file is read when any of its chunks has missed its turn, which
			// the oldest has if one has.
			oldest[0].Run = s.runs[s.oldest[i]]
			if !plan.FileTurn(f.path, oldest) {
				continue
			}
		}
		s.oldest[i] = int16(s.night)
		for c := f.first; c < f.end; c++ {
			length := int64(src.lengths[c])
			t.read += length
			was := s.places[c]
			differs := len(changed) > 0 && changed[0] == c
			if differs {
				changed = changed[1:]
			}
			switch {
			case isNew:
				t.fresh += length
				s.add(c, length, how{})
			case differs:
				t.fresh += length
				s.end(was, length)
				s.add(c, length, how{age: s.night - int(was.began)})
			case s.renew(plan, c, length, src.stream):
				t.again += length
				s.left = append(s.left, leaving{was.pack, length})
				s.add(c, length, how{again: true})
				s.places[c].began = was.began
			}
			s.oldest[i] = min(s.oldest[i], s.places[c].stored)
		}
		if src.stream {
			continue
		}
		oldest[0].Run = s.runs[s.oldest[i]]
		s.visits.wasRead(i, f.path, oldest, tomorrow)
	}
	if len(changed) > 0 {
		panic("growth: a chunk changed that is not in the source, or chunks that are not in order")
	}
	s.settle()
	s.files, s.bytes = len(src.files), src.bytes
	s.night++
	return t
}

// forget lets go of the files that were deleted.
func (s *store) forget(src *source) {
	for ; s.gone < src.gone; s.gone++ {
		f := src.files[s.gone]
		for c := f.first; c < f.end; c++ {
			s.end(s.places[c], int64(src.lengths[c]))
		}
	}
}

// end notes that the newest snapshot no longer has a content.
func (s *store) end(was place, length int64) {
	s.left = append(s.left, leaving{was.pack, length})
	s.exact.hold(int(was.began), s.night-1, length)
}

// renew asks whether a chunk that was read and is known is stored again.
func (s *store) renew(plan *refresh.Night, c int, length int64, stream bool) bool {
	was := s.places[c]
	p := s.packs[was.pack]
	// Another threshold than the product's is the product's of another number.
	known := refresh.Pack{Frames: p.frames, Used: p.frames}
	if s.rules.threshold > 0 {
		known.Used = int64(float64(p.used) * (product.threshold / s.rules.threshold))
	}
	chunk := manifest.Chunk{Run: s.runs[was.stored], Length: uint32(length)}
	if !stream {
		return plan.FileChunk(chunk, known)
	}
	// The turn of a chunk of a stream goes by its digest: any will do that
	// stays the same as long as the content does.
	binary.LittleEndian.PutUint64(chunk.Hash[:], uint64(c)<<16|uint64(was.began))
	return plan.StreamChunk(chunk, known)
}

// add stores a chunk in tonight's packs.
func (s *store) add(c int, length int64, why how) {
	lane := 0
	if s.rules.lane != nil {
		lane = s.rules.lane(why)
	}
	open := s.open[lane]
	if open < 0 || s.packs[open].frames+length > pack.Target {
		open = len(s.packs)
		s.open[lane] = open
		s.packs = append(s.packs, packed{stored: s.night})
		s.alive[s.night]++
	}
	s.packs[open].frames += length
	s.packs[open].used += length
	s.places[c] = place{pack: uint32(open), stored: int16(s.night), began: int16(s.night)}
	s.put = append(s.put, c)
}

// settle counts what left tonight. A pack of which nothing is used will never
// be referred to again.
func (s *store) settle() {
	for _, l := range s.left {
		p := &s.packs[l.pack]
		if p.used -= l.length; p.used == 0 {
			s.whole.hold(p.stored, s.night-1, p.frames)
			s.alive[p.stored]--
		}
	}
	s.left = s.left[:0]
}

// close counts what the newest snapshot has. Nothing is collected after it.
func (s *store) close(src *source) {
	for _, f := range src.files[src.gone:] {
		for c := f.first; c < f.end; c++ {
			s.exact.hold(int(s.places[c].began), s.night-1, int64(src.lengths[c]))
		}
	}
	for _, p := range s.packs {
		if p.used > 0 {
			s.whole.hold(p.stored, s.night-1, p.frames)
		}
	}
}
