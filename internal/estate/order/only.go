package order

import (
	"strongroom/internal/estate"
)

// Only returns the part of an order that is about some components: those that
// one needs, and that itself. Whoever has all of these has whole knots, and
// nothing in the part waits for what is not in it.
func (o Order) Only(ids []estate.ID) Order {
	in := make(map[estate.ID]bool, len(ids))
	for _, id := range ids {
		in[id] = true
	}
	var part Order
	for _, layer := range o.Layers {
		if steps := only(layer, func(s Step) bool { return in[s.Component] }); len(steps) > 0 {
			part.Layers = append(part.Layers, steps)
		}
	}
	part.Knots = only(o.Knots, func(k Knot) bool { return in[k.Components[0]] })
	part.Unfit = only(o.Unfit, func(u Unfit) bool { return in[u.From] && in[u.To] })
	part.Foundations = only(o.Foundations, func(f Foundation) bool { return in[f.Components[0]] })
	part.Doubtful = only(o.Doubtful, func(d Doubtful) bool { return in[d.Component] })
	return part
}

// only returns those that are asked for, and leaves the others where they are.
func only[T any](all []T, is func(T) bool) (some []T) {
	for _, one := range all {
		if is(one) {
			some = append(some, one)
		}
	}
	return some
}
