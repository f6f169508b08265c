// Package order says in which order an estate can be rebuilt, and why.
//
// What needs nothing comes first, then what needs only that, and so on: layers,
// in which everything may be rebuilt at once. Where components need each other in
// a circle there is no such order. Such a knot is opened: by what people have
// answered, then by knowledge of how such things start without each other, and
// what is left by giving up the dependencies that it harms least to start
// without; each of these is a question to a person. A component for which one is
// given up has two steps: it starts without what it needs, and is completed once
// that is there.
//
// Needs to start, to run, and of a host make the order. Soft needs only choose
// how the steps of one layer are listed; telemetry and administration do nothing.
//
// Everything here is a value and follows from the input alone, whatever order
// that is in. It does not promise that the order works, only that it breaks no
// dependency that is known without saying so: a rehearsal proves it.
package order

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"strongroom/internal/estate"
)

// An Input is what an order is made from.
type Input struct {
	Components   []estate.Component
	Dependencies []estate.Dependency
	Rules        []Rule // the owners'; they go before those that are built in
	Harm         []Harm
	Answers      []Answer
}

// A Pair is two components of which one needs the other.
type Pair struct {
	From estate.ID `json:"from"`
	To   estate.ID `json:"to"`
}

// Compare orders pairs by their components.
func (p Pair) Compare(q Pair) int {
	return cmp.Or(cmp.Compare(p.From, q.From), cmp.Compare(p.To, q.To))
}

// Question is the name of the question whether From may start without To. It is
// the same every night, whatever else changes.
func (p Pair) Question() string {
	sum := sha256.Sum256([]byte(p.From + "\x00" + p.To))
	return "cut-" + hex.EncodeToString(sum[:6])
}

// A Harm is what somebody says it costs to start From without To.
type Harm struct {
	Pair
	Cost int `json:"cost"` // from 1 to MaxHarm
}

// MaxHarm is the greatest harm that a dependency may be given up for.
const MaxHarm = 1000

// harms of giving up a need, if nobody says otherwise.
var harms = map[estate.Need]int{estate.Run: 100, estate.Start: 300, estate.Hosting: MaxHarm}

// An Answer is what a person has said to a question.
type Answer struct {
	Pair
	May  bool      `json:"may"` // From may start without To
	Who  string    `json:"who"`
	When time.Time `json:"when"`
	Why  string    `json:"why"`
}

// An Order is an order of an estate with its reasons.
type Order struct {
	Layers      [][]Step     `json:"layers"`
	Knots       []Knot       `json:"knots,omitempty"`
	Unfit       []Unfit      `json:"unfit,omitempty"` // answers that were of no use
	Foundations []Foundation `json:"foundations,omitempty"`
	Doubtful    []Doubtful   `json:"doubtful,omitempty"`
}

// A Phase is a part of what is done to a component.
type Phase string

const (
	Install   Phase = "install"   // it is placed, with its programs and its data
	Bootstrap Phase = "bootstrap" // it starts without some of what it needs
	Start     Phase = "start"     // it starts with all of that
	Verify    Phase = "verify"    // it is shown to work
)

// A Step is done to one component in one go.
type Step struct {
	Component estate.ID `json:"component"`
	Phases    []Phase   `json:"phases"`
	Modes     []Mode    `json:"modes,omitempty"` // what is done without, or what is ended now
	After     []Wait    `json:"after,omitempty"` // what has to be done before
	Why       string    `json:"why"`
}

// A Mode says how a component does without another.
type Mode struct {
	Without estate.ID `json:"without"`
	Rule    string    `json:"rule,omitempty"`  // by which; none if a dependency was given up
	How     string    `json:"how"`             // what to do
	Check   string    `json:"check,omitempty"` // what proves that it works
}

// A Wait is the reason why a step is not done earlier.
type Wait struct {
	For   estate.ID `json:"for"`
	Phase Phase     `json:"phase"` // that has to be over
	Why   string    `json:"why"`
}

// A Knot is components that need each other.
type Knot struct {
	Components []estate.ID `json:"components"`
	Circle     []estate.ID `json:"circle"` // a shortest way around, as an example: each needs the next, the last one the first
	Opened     []Opening   `json:"opened"`
	Cost       int         `json:"cost"`  // the harm of all that the program gave up
	Least      int         `json:"least"` // no choice of such harms less
	Why        string      `json:"why"`
}

// A Means is how a dependency of a knot was dealt with.
type Means string

const (
	ByAnswer Means = "answer" // a person has said so
	ByRule   Means = "rule"   // it is known how to
	Weak     Means = "weak"   // there is little evidence for it
	Least    Means = "least"  // giving it up harms least
)

// An Opening is a dependency of a knot that the order does not wait for.
type Opening struct {
	Pair
	Need     estate.Need `json:"need"` // the hardest there is
	Means    Means       `json:"means"`
	Rule     *Rule       `json:"rule,omitempty"`
	Answer   *Answer     `json:"answer,omitempty"`
	Question string      `json:"question,omitempty"` // what a person should be asked
	Why      string      `json:"why"`
}

// An Unfit answer is one that changes nothing.
type Unfit struct {
	Answer
	Because string `json:"because"`
}

// A Foundation needs nothing outside its own knot.
type Foundation struct {
	Components []estate.ID `json:"components"` // one, or a knot
	Needed     int         `json:"needed"`     // how many others need it, directly or not
	Why        string      `json:"why"`
}

// MuchNeeded is by how many others a component has to be needed, directly, to be
// doubtful if nothing of it was observed.
const MuchNeeded = 5

// A Doubtful component is one that much depends on and that no observation
// covers.
type Doubtful struct {
	Component estate.ID `json:"component"`
	Needed    int       `json:"needed"` // by how many, directly
	Why       string    `json:"why"`
}

// Questions are the openings that a person has to decide about, in the order of
// their components.
func (o Order) Questions() []Opening {
	var list []Opening
	for _, k := range o.Knots {
		for _, opening := range k.Opened {
			if opening.Question != "" {
				list = append(list, opening)
			}
		}
	}
	slices.SortFunc(list, func(a, b Opening) int { return a.Pair.Compare(b.Pair) })
	return list
}

// Of returns the order of an estate. The only errors are of the input: a rule or
// a harm that says nothing sensible, and a knot beyond all measure.
func Of(in Input) (Order, error) {
	rules, err := checked(in)
	if err != nil {
		return Order{}, err
	}
	g := newGraph(in)
	var o Order
	for _, part := range g.knots() {
		k, err := g.open(part, rules)
		if err != nil {
			return Order{}, fmt.Errorf("opening the knot of %s and %d others: %w", g.ids[part[0]], len(part)-1, err)
		}
		o.Knots = append(o.Knots, k)
	}
	slices.SortFunc(o.Knots, func(a, b Knot) int {
		return cmp.Or(cmp.Compare(len(b.Components), len(a.Components)), cmp.Compare(a.Components[0], b.Components[0]))
	})
	o.Unfit = g.unfit()
	o.Layers = g.layers()
	o.Foundations = g.foundations()
	o.Doubtful = g.doubtful()
	return o, nil
}

// checked returns the rules, the owners' first.
func checked(in Input) ([]Rule, error) {
	rules := append(slices.Clone(in.Rules), BuiltIn()...)
	names := make(map[string]bool)
	for _, r := range rules {
		if err := r.check(); err != nil {
			return nil, err
		}
		if names[r.Name] {
			return nil, fmt.Errorf("there are two rules %q", r.Name)
		}
		names[r.Name] = true
	}
	for _, h := range in.Harm {
		if h.Cost < 1 || h.Cost > MaxHarm {
			return nil, fmt.Errorf("the harm of %s without %s is %d, and may be from 1 to %d", h.From, h.To, h.Cost, MaxHarm)
		}
	}
	return rules, nil
}
