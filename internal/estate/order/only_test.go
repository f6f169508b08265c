package order

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/estate"
)

// closure returns a component and all that it needs.
func closure(in Input, id estate.ID) []estate.ID {
	all := []estate.ID{id}
	for i := 0; i < len(all); i++ {
		for _, d := range in.Dependencies {
			if d.From == all[i] && d.Need.Orders() && !slices.Contains(all, d.To) {
				all = append(all, d.To)
			}
		}
	}
	return all
}

func TestOnly(t *testing.T) {
	in := draw(t, "web -> ldap[directory] -> dns[dns] ~> ldap; shop -> db; a -> b -> a; b -> a")
	o := of(t, in)
	part := o.Only(closure(in, "service/web"))
	if got, want := spell(part.Layers), "ldap:bootstrap | dns | ldap:verify | web"; got != want {
		t.Errorf("the order of web is %q, want %q", got, want)
	}
	if len(part.Knots) != 1 || len(part.Foundations) != 1 || len(o.Knots) != 2 {
		t.Errorf("web has %+v, want the one knot and its foundation", part)
	}
	if got := spell(o.Only(closure(in, "service/shop")).Layers); got != "db | shop" {
		t.Errorf("the order of shop is %q", got)
	}
}

// The part of one is in the order that it would have if there were nothing else,
// and waits for nothing that is not in it.
func TestOnlyIsWhatThereWouldBe(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 11))
		n := 2 + r.IntN(20)
		in := chance(r, n, r.IntN(4*n))
		in.Dependencies = slices.DeleteFunc(in.Dependencies, func(d estate.Dependency) bool { return !d.Need.Orders() })
		o := of(t, in)
		for _, c := range in.Components {
			ids := closure(in, c.ID)
			has := func(id estate.ID) bool { return slices.Contains(ids, id) }
			alone := Input{
				Components:   only(in.Components, func(c estate.Component) bool { return has(c.ID) }),
				Dependencies: only(in.Dependencies, func(d estate.Dependency) bool { return has(d.From) && has(d.To) }),
				Answers:      only(in.Answers, func(a Answer) bool { return has(a.From) && has(a.To) }),
			}
			part, want := o.Only(ids), of(t, alone)
			if diff := cmp.Diff(spell(want.Layers), spell(part.Layers)); diff != "" {
				t.Fatalf("seed %d: the order of %s (-alone +part):\n%s", seed, c.ID, diff)
			}
			if len(part.Knots) != len(want.Knots) || len(part.Questions()) != len(want.Questions()) || len(part.Unfit) != len(want.Unfit) {
				t.Fatalf("seed %d: the knots of %s: %+v, alone %+v", seed, c.ID, part.Knots, want.Knots)
			}
			for _, layer := range part.Layers {
				for _, step := range layer {
					for _, w := range step.After {
						if !has(w.For) {
							t.Fatalf("seed %d: %s waits for %s, which %s does not need", seed, step.Component, w.For, c.ID)
						}
					}
				}
			}
		}
	}
}
