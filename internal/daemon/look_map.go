package daemon

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"strongroom/internal/access/api"
	"strongroom/internal/estate"
	"strongroom/internal/estate/coverage"
	"strongroom/internal/estate/order"
	"strongroom/internal/report"
	"strongroom/internal/safe/config"
)

// A shape is what the pages of a map say that follows from it and from the
// configuration alone. Like the map it is shared.
type shape struct {
	order order.Order
	layer map[estate.ID]int
	knot  map[estate.ID]int      // its number, from 1
	apps  map[estate.ID][]string // that need it
	kinds []estate.Kind          // that there are
	// lines are all components, foundations first, and arrows what is drawn
	// between them. The state of a line is left out.
	lines  []report.MapComponent
	arrows []report.MapArrow
}

func shapeOf(c *config.Config, d *drawing) (shape, error) {
	o, err := d.order()
	if err != nil {
		return shape{}, err
	}
	v := shape{order: o, knot: make(map[estate.ID]int), apps: make(map[estate.ID][]string)}
	for i, k := range o.Knots {
		for _, id := range k.Components {
			v.knot[id] = i + 1
		}
	}
	v.layer = layersOf(d.Map, o.Knots, v.knot)
	for _, a := range c.Applications {
		of, ok := d.Known(a.ID)
		if !ok {
			of = a.ID
		}
		for _, id := range d.Closure(of, estate.Ordering) {
			v.apps[id] = append(v.apps[id], of.Name())
		}
	}
	bases := basesOf(d.Map)
	there := make(map[estate.Kind]bool)
	for _, one := range d.Components {
		there[one.ID.Kind()] = true
		v.lines = append(v.lines, report.MapComponent{
			ID: one.ID, Label: one.Label, Also: alsoOf(one), Layer: v.layer[one.ID], Knot: v.knot[one.ID], Applications: v.apps[one.ID], Bases: bases[one.ID],
			Needs: others(d.Needs(one.ID), toEnd), NeededBy: others(d.NeededBy(one.ID), fromEnd),
		})
	}
	slices.SortStableFunc(v.lines, func(a, b report.MapComponent) int { return cmp.Compare(a.Layer, b.Layer) })
	for _, kind := range estate.Kinds {
		if there[kind] {
			v.kinds = append(v.kinds, kind)
		}
	}
	v.arrows = arrowsOf(d.Dependencies)
	return v, nil
}

// arrowsOf returns one arrow for each two of which one needs the other: for what
// binds them most, which comes first.
func arrowsOf(all []estate.Dependency) []report.MapArrow {
	var arrows []report.MapArrow
	for _, d := range all {
		if last := len(arrows) - 1; last < 0 || arrows[last].From != d.From || arrows[last].To != d.To {
			arrows = append(arrows, report.MapArrow{From: d.From, To: d.To, Need: d.Need})
		}
	}
	return arrows
}

// A survey is the map at one moment, with all that its pages say of it.
type survey struct {
	Coverage
	shape
	now    time.Time
	states map[estate.ID]coverage.State
}

// survey draws the map, and works out what its pages show beside it.
func (s *Safe) survey(ctx context.Context) (survey, error) {
	c, err := s.Coverage(ctx)
	if err != nil {
		return survey{}, err
	}
	v := survey{Coverage: c, now: c.in.Now.In(time.Local), states: make(map[estate.ID]coverage.State)}
	d, err := s.drawingOf(ctx, c.in.Map)
	if err != nil {
		return v, err
	}
	if v.shape, err = d.shape(); err != nil {
		return v, err
	}
	for _, r := range c.Reports {
		for _, item := range r.Items {
			v.states[item.Component] = worse(v.states[item.Component], item.State)
		}
		// An application that consists of others is as the worst of them.
		v.states[r.Application] = worse(v.states[r.Application], r.Worst())
	}
	return v, nil
}

// worse returns the worse of two states, of which "" is none.
func worse(a, b coverage.State) coverage.State {
	if a == "" || slices.Index(coverage.States, b) < slices.Index(coverage.States, a) {
		return b
	}
	return a
}

// layersOf returns where each component stands on the picture: above all that it
// needs, and together with the others of its knot. In the order itself those of a
// knot come one after the other, so it cannot be read off there.
func layersOf(m *estate.Map, knots []order.Knot, knot map[estate.ID]int) map[estate.ID]int {
	layer := make(map[estate.ID]int, len(m.Components))
	var of func(id estate.ID) int
	of = func(id estate.ID) int {
		if l, ok := layer[id]; ok {
			return l
		}
		together := []estate.ID{id}
		if n := knot[id]; n > 0 {
			together = knots[n-1].Components
		}
		for _, one := range together {
			layer[one] = 1 // so that a circle, which only a knot can be, would have an end
		}
		below := 0
		for _, one := range together {
			for _, d := range m.Needs(one) {
				if d.Need.Orders() && (knot[d.To] == 0 || knot[d.To] != knot[id]) {
					below = max(below, of(d.To))
				}
			}
		}
		for _, one := range together {
			layer[one] = below + 1
		}
		return below + 1
	}
	for _, c := range m.Components {
		of(c.ID)
	}
	return layer
}

// LookMap returns the part of the map that somebody asks for.
func (s *Safe) LookMap(ctx context.Context, asked report.MapFilter) (report.MapPage, error) {
	v, err := s.survey(ctx)
	if err != nil {
		return report.MapPage{}, err
	}
	m := v.in.Map
	p := report.MapPage{Safe: s.config.Safe, Now: v.now, Asked: asked, All: len(m.Components), Doubts: m.Doubts}
	for _, a := range s.config.Applications {
		p.Applications = append(p.Applications, a.ID.Name())
	}
	p.Kinds = v.kinds
	shown := make(map[estate.ID]bool)
	for _, line := range v.lines {
		if !passes(asked, line) {
			continue
		}
		line.State = v.states[line.ID]
		p.Components = append(p.Components, line)
	}
	cutMap(&p)
	for _, line := range p.Components {
		shown[line.ID] = true
	}
	arrows := v.arrows
	if asked.Basis != "" {
		arrows = arrowsOf(slices.DeleteFunc(slices.Clone(m.Dependencies), func(d estate.Dependency) bool { return !rests(d.Evidence, asked.Basis) }))
	}
	for _, a := range arrows {
		if shown[a.From] && shown[a.To] {
			p.Arrows = append(p.Arrows, a)
		}
	}
	for i, k := range v.order.Knots {
		if slices.ContainsFunc(k.Components, func(id estate.ID) bool { return shown[id] }) {
			p.Knots = append(p.Knots, knotLine(i+1, k))
		}
	}
	return p, nil
}

// cutMap leaves out what is more than a page has. What applications need stays
// before anything else, so that nobody hides it by telling of much.
func cutMap(p *report.MapPage) {
	more := len(p.Components) - report.MostMapped
	if more <= 0 {
		return
	}
	needed := func(c report.MapComponent) int { return min(1, len(c.Applications)) }
	slices.SortStableFunc(p.Components, func(a, b report.MapComponent) int { return cmp.Compare(needed(b), needed(a)) })
	p.Components, p.More = p.Components[:report.MostMapped], more
	slices.SortStableFunc(p.Components, func(a, b report.MapComponent) int { return cmp.Compare(a.Layer, b.Layer) })
}

func knotLine(number int, k order.Knot) report.MapKnot {
	line := report.MapKnot{Number: number, Why: k.Why}
	line.Components, line.MoreComponents = atMost(k.Components, report.MostInKnot)
	opened, more := atMost(k.Opened, report.MostInKnot)
	line.MoreOpened = more
	for _, o := range opened {
		text := fmt.Sprintf("%s does not wait for %s: %s", o.From, o.To, o.Why)
		if o.Question != "" {
			text += " (nobody has confirmed that yet)"
		}
		line.Opened = append(line.Opened, text)
	}
	return line
}

// atMost returns the first of them, and how many more there are.
func atMost[T any](all []T, most int) (first []T, more int) {
	if len(all) <= most {
		return all, 0
	}
	return all[:most], len(all) - most
}

// alsoOf returns by what else a component is found.
func alsoOf(c estate.Component) []string {
	var also []string
	if c.Owner != "" {
		also = append(also, c.Owner)
	}
	for _, a := range c.Aliases {
		also = append(also, string(a))
	}
	return also
}

// basesOf returns how each component became known, and what it needs or is needed
// by.
func basesOf(m *estate.Map) map[estate.ID][]estate.Basis {
	found := make(map[estate.ID]map[estate.Basis]bool)
	add := func(id estate.ID, all []estate.Evidence) {
		for _, e := range all {
			if found[id] == nil {
				found[id] = make(map[estate.Basis]bool)
			}
			found[id][e.Basis] = true
		}
	}
	for _, c := range m.Components {
		add(c.ID, c.Evidence)
	}
	for _, d := range m.Dependencies {
		add(d.From, d.Evidence)
		add(d.To, d.Evidence)
	}
	bases := make(map[estate.ID][]estate.Basis, len(found))
	for id, some := range found {
		for _, b := range estate.Bases {
			if some[b] {
				bases[id] = append(bases[id], b)
			}
		}
	}
	return bases
}

func rests(evidence []estate.Evidence, on estate.Basis) bool {
	return slices.ContainsFunc(evidence, func(e estate.Evidence) bool { return e.Basis == on })
}

// passes reports whether a component was asked for.
func passes(asked report.MapFilter, c report.MapComponent) bool {
	if asked.Kind != "" && c.ID.Kind() != asked.Kind ||
		asked.Application != "" && !slices.Contains(c.Applications, asked.Application) ||
		asked.Basis != "" && !slices.Contains(c.Bases, asked.Basis) {
		return false
	}
	text := strings.ToLower(asked.Text)
	return text == "" || slices.ContainsFunc(append([]string{string(c.ID), c.Label}, c.Also...), func(s string) bool { return strings.Contains(strings.ToLower(s), text) })
}

func fromEnd(d estate.Dependency) estate.ID { return d.From }
func toEnd(d estate.Dependency) estate.ID   { return d.To }

// others counts the ends of dependencies, each once; those of one end follow each
// other.
func others(all []estate.Dependency, end func(estate.Dependency) estate.ID) (n int) {
	var last estate.ID
	for _, d := range all {
		if id := end(d); n == 0 || id != last {
			n, last = n+1, id
		}
	}
	return n
}

// LookComponent returns what is known of the component that is called id, or was.
// api.ErrNotFound means that there is none on the map.
func (s *Safe) LookComponent(ctx context.Context, id estate.ID) (report.ComponentPage, error) {
	v, err := s.survey(ctx)
	if err != nil {
		return report.ComponentPage{}, err
	}
	m := v.in.Map
	c, ok := m.Component(id)
	if !ok {
		return report.ComponentPage{}, api.ErrNotFound
	}
	p := report.ComponentPage{
		Safe: s.config.Safe, Now: v.now, ID: c.ID, Label: c.Label, Owner: c.Owner, Undescribed: slices.Contains(m.Undescribed, c.ID),
		Layer: v.layer[c.ID], State: v.states[c.ID], Evidence: c.Evidence,
	}
	for _, a := range c.Aliases {
		p.Aliases = append(p.Aliases, string(a))
	}
	for _, r := range c.Roles {
		p.Roles = append(p.Roles, string(r))
	}
	for _, port := range c.Listens {
		p.Listens = append(p.Listens, port.String())
	}
	for _, r := range v.Reports {
		items := slices.DeleteFunc(slices.Clone(r.Items), func(i coverage.Item) bool { return i.Component != c.ID })
		if len(items) > 0 || slices.Contains(v.apps[c.ID], r.Application.Name()) {
			p.Covers = append(p.Covers, report.Cover{Application: r.Application.Name(), Items: items})
		}
	}
	v.addOrder(&p)
	for _, merge := range m.Merges {
		if merge.Into == c.ID {
			p.Merges = append(p.Merges, mergeLine(merge))
		}
	}
	rulings, err := rulingsOf(s.state.View(ctx))
	if err != nil {
		return p, err
	}
	p.Needs, p.MoreNeeds = v.neighbours(m.Needs(c.ID), toEnd, rulings)
	p.NeededBy, p.MoreNeeded = v.neighbours(m.NeededBy(c.ID), fromEnd, rulings)
	for _, o := range m.Overruled {
		if o.From == c.ID || o.To == c.ID {
			p.Overruled = append(p.Overruled, report.Overruled{From: o.From, To: o.To, Need: o.Need, By: o.By, Said: said(rulings, o.By)})
		}
	}
	if len(m.Components) <= report.MostOffered {
		for _, other := range m.Components {
			if other.ID != c.ID {
				p.Others = append(p.Others, other.ID)
			}
		}
	}
	return p, nil
}

// said returns the entries of the ledger that evidence is from.
func said(rulings []Ruling, evidence []estate.Evidence) (entries []int64) {
	for _, r := range rulings {
		from := func(e estate.Evidence) bool { return e.Basis == estate.Stated && e.Place == r.Evidence.Place }
		if slices.ContainsFunc(evidence, from) {
			entries = append(entries, r.Entry)
		}
	}
	return entries
}

// addOrder adds what the order says of a component.
func (v survey) addOrder(p *report.ComponentPage) {
	if n := v.knot[p.ID]; n > 0 {
		p.Knot = slices.DeleteFunc(slices.Clone(v.order.Knots[n-1].Components), func(id estate.ID) bool { return id == p.ID })
	}
	for _, f := range v.order.Foundations {
		if slices.Contains(f.Components, p.ID) {
			p.Notes = append(p.Notes, f.Why)
		}
	}
	for _, d := range v.order.Doubtful {
		if d.Component == p.ID {
			p.Notes = append(p.Notes, d.Why)
		}
	}
	for i, layer := range v.order.Layers {
		for _, step := range layer {
			if step.Component == p.ID {
				var phases []string
				for _, phase := range step.Phases {
					phases = append(phases, string(phase))
				}
				p.Steps = append(p.Steps, fmt.Sprintf("layer %d of the order, %s: %s", i+1, strings.Join(phases, ", "), step.Why))
			}
		}
	}
}

func mergeLine(m estate.Merge) string {
	var by []string
	for _, a := range m.By {
		by = append(by, string(a))
	}
	if len(by) == 0 {
		return fmt.Sprintf("%s: people say that it is the same", m.Was)
	}
	return fmt.Sprintf("%s: they share %s", m.Was, strings.Join(by, ", "))
}

// neighbours returns the other ends of dependencies, and how many more there are.
func (v survey) neighbours(all []estate.Dependency, end func(estate.Dependency) estate.ID, rulings []Ruling) (list []report.Neighbour, more int) {
	all, more = atMost(all, report.MostNeighbours)
	for _, d := range all {
		id := end(d)
		n := report.Neighbour{ID: id, Layer: v.layer[id], State: v.states[id], Need: d.Need, Evidence: d.Evidence, Said: said(rulings, d.Evidence)}
		for _, port := range d.Ports {
			n.Ports = append(n.Ports, port.String())
		}
		list = append(list, n)
	}
	return list, more
}
