package intake

import "strongroom/internal/safe"

// A place says where in the packs of this run a frame lies.
type place struct {
	pack   uint32 // index into Intake.packs
	offset uint32
	stored uint32
}

// generation is how many places are remembered at least, and half of how many
// at most: about 6 MB of them in each generation.
const generation = 1 << 16

// placed remembers where the newest chunks of a run lie, in two generations: the
// older is forgotten when the younger is full. So its memory is bounded however
// many chunks a run stores, and a chunk that comes again and again is not
// forgotten. One that comes again after very many others is left to whoever
// knows what the run has stored so far; see Known.
type placed struct {
	young, old map[safe.Digest]place
}

func (p *placed) find(hash safe.Digest) (place, bool) {
	if at, ok := p.young[hash]; ok {
		return at, true
	}
	at, ok := p.old[hash]
	if ok {
		p.add(hash, at)
	}
	return at, ok
}

func (p *placed) add(hash safe.Digest, at place) {
	if len(p.young) == generation {
		// The map that is forgotten is used again: it has its full size already.
		p.young, p.old = p.old, p.young
		clear(p.young)
	}
	if p.young == nil {
		p.young = make(map[safe.Digest]place)
	}
	p.young[hash] = at
}
