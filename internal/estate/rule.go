package estate

import (
	"cmp"
	"fmt"
	"slices"
)

// A pairing is all that is known of whether one component needs another.
type pairing struct {
	from, to ID
	found    map[Need]*Dependency
	rulings  []Ruling // of people, those in force last
	doubts   []string
}

func (o Overruled) compare(p Overruled) int {
	return cmp.Or(cmp.Compare(o.From, p.From), cmp.Compare(o.To, p.To), cmp.Compare(slices.Index(Needs, o.Need), slices.Index(Needs, p.Need)))
}

// rule returns the dependencies that were discovered and that people say are
// there, without those that people say are not, and these.
func (d *drawing) rule(said Statements, called map[int]ID) (deps []Dependency, over []Overruled) {
	type ends struct{ from, to ID }
	pairs := make(map[ends]*pairing)
	between := func(from, to ID) *pairing {
		p := pairs[ends{from, to}]
		if p == nil {
			p = &pairing{from: from, to: to, found: make(map[Need]*Dependency)}
			pairs[ends{from, to}] = p
		}
		return p
	}
	for at, dep := range d.links {
		between(called[at.from], called[at.to]).found[at.need] = dep
	}
	for _, r := range said.Rulings {
		from, to := d.meant(r.From, called), d.meant(r.To, called)
		if from == to {
			d.ids.doubt("%s and %s are one component, of which it is said that it needs itself, or does not", r.From, r.To)
			continue
		}
		p := between(from, to)
		p.rulings = append(p.rulings, r)
	}
	for _, p := range pairs {
		some, others := p.judge()
		deps, over = append(deps, some...), append(over, others...)
		d.ids.doubts = append(d.ids.doubts, p.doubts...)
	}
	return deps, over
}

// meant returns what the map has under an ID that a person wrote, or the ID if
// it has nothing.
func (d *drawing) meant(id ID, called map[int]ID) ID {
	if i, ok := d.ids.index[id]; ok {
		return called[d.ids.root(i)]
	}
	if a, ok := implied(id); ok {
		if root, ok := d.owners.of(a); ok {
			return called[root]
		}
	}
	return id
}

// judge applies the rulings.
func (p *pairing) judge() (deps []Dependency, over []Overruled) {
	if p.rulings == nil {
		for need, found := range p.found {
			deps = append(deps, p.dependency(need, found, nil))
		}
		return deps, nil
	}
	slices.SortFunc(p.rulings, func(a, b Ruling) int {
		return cmp.Or(a.Evidence.First.Compare(b.Evidence.First),
			// Of two at one time the need stays: a step too many still restores.
			first(a.Verdict == Rejected, b.Verdict == Rejected),
			cmp.Compare(a.Verdict, b.Verdict), compareEvidence(a.Evidence, b.Evidence))
	})
	holds := make(map[Need][]Ruling)
	rejected := make(map[Need][]Ruling)
	var uses []Ruling // that people added: there are no others
	for _, need := range Needs {
		holds[need], rejected[need] = p.inForce(need)
		for _, r := range holds[need] {
			if r.Verdict == Added && need != Hosting {
				uses = append(uses, r)
			}
		}
	}
	for _, need := range Needs {
		found, by := p.found[need], rejected[need]
		if by == nil && holds[need] == nil && need != Hosting {
			by = uses
		}
		switch {
		case by != nil && (found != nil || slices.ContainsFunc(by, func(r Ruling) bool { return r.Need == need })):
			over = append(over, p.overruled(need, found, by))
		case by == nil && (found != nil || holds[need] != nil):
			deps = append(deps, p.dependency(need, found, holds[need]))
		}
	}
	if len(deps)+len(over) == 0 { // all needs are rejected, and none was found
		over = append(over, p.overruled("", nil, p.rulings))
	}
	return deps, over
}

// inForce returns the rulings that say that there is such a need, or else those
// that say that there is none: if there are both, the ones of the last word.
func (p *pairing) inForce(need Need) (holds, rejected []Ruling) {
	var last Verdict
	for _, r := range p.rulings {
		switch {
		case r.Verdict == Rejected && (r.Need == need || r.Need == ""):
			rejected = append(rejected, r)
		case r.Verdict != Rejected && r.Need == need:
			holds = append(holds, r)
		default:
			continue
		}
		last = r.Verdict
	}
	if holds == nil || rejected == nil {
		return holds, rejected
	}
	p.doubts = append(p.doubts, fmt.Sprintf("people contradict each other on whether %s needs %s (%s): what was said last is taken", p.from, p.to, need))
	if last == Rejected {
		return nil, rejected
	}
	return holds, nil
}

func (p *pairing) dependency(need Need, found *Dependency, holds []Ruling) Dependency {
	d := Dependency{From: p.from, To: p.to, Need: need}
	if found != nil {
		d.Ports, d.Evidence = found.Ports, found.Evidence
	}
	for _, r := range holds {
		if r.Port != (Port{}) {
			d.Ports = append(d.Ports, r.Port)
		}
	}
	d.Ports = sortedPorts(d.Ports)
	d.Evidence = joinEvidence(append(d.Evidence, evidenceOf(holds)...))
	return d
}

func (p *pairing) overruled(need Need, found *Dependency, by []Ruling) Overruled {
	o := Overruled{From: p.from, To: p.to, Need: need, By: joinEvidence(evidenceOf(by))}
	if found != nil {
		o.Ports, o.Found = sortedPorts(found.Ports), joinEvidence(found.Evidence)
	}
	return o
}

func evidenceOf(rulings []Ruling) []Evidence {
	var all []Evidence
	for _, r := range rulings {
		all = append(all, r.Evidence)
	}
	return all
}
