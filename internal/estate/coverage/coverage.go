// Package coverage answers for an application: is all that it takes to rebuild
// it in the safe, fresh enough, read for damage and proven by a restore? And are
// the service levels kept that were promised for it?
//
// What an application needs is its closure on the map, by the needs that order a
// restore. For each component of that, people say what the safe must hold; of a
// component for which nobody did, everything is missing. Coverage is decided from
// what the safe knows of snapshots, scrubs and rehearsals, and from nothing else:
// it reads no clock and no store, and the same input gives the same report.
//
// It does not promise that what is held is enough: only a rehearsal shows that.
package coverage

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"strongroom/internal/estate"
	"strongroom/internal/safe"
	"strongroom/internal/safe/config"
	"strongroom/internal/safe/keep"
)

// An Input is what is known.
type Input struct {
	Map     *estate.Map
	Said    map[estate.ID]config.Component // by the names that the map has for them
	Sources map[safe.SourceName]Source     // those that are configured
	// Scrubbed is when the last scrub of the store ended that read all of it; the
	// zero time if none has.
	Scrubbed time.Time
	Proofs   []Proof
	Wrong    map[safe.SourceName]time.Time // when a snapshot last came back and was not right
	Now      time.Time
}

// A Source is what the safe has of one.
type Source struct {
	Keep      keep.Rules
	Files     bool       // it takes files as they are
	Snapshots []Snapshot // complete ones that are still kept, oldest first
}

// A Snapshot is one complete collection.
type Snapshot struct {
	Run               safe.RunID
	Started, Finished time.Time
	Damaged           bool // a scrub found that something of it is lost
}

// A Proof says that a snapshot of a source came back and was found to be right.
type Proof struct {
	Source safe.SourceName
	Run    safe.RunID
	At     time.Time
	By     string // who restored it
	// Application is the one that was rebuilt as a whole, and Took how long that
	// took; "" and 0 if none was, or it was not right.
	Application estate.ID
	Took        time.Duration
}

// A State is how it stands with one thing that is needed.
type State string

const (
	Missing  State = "missing"  // the safe has nothing of it that could be restored
	Stale    State = "stale"    // what it has is older than was promised
	Unproven State = "unproven" // nobody knows whether it would come back
	Waived   State = "waived"   // it is not held, and somebody has taken that on themselves
	Held     State = "held"
)

// States are all of them, the worst first.
var States = []State{Missing, Stale, Unproven, Waived, Held}

// An Item is one thing that an application needs the safe to hold.
type Item struct {
	Component estate.ID       `json:"component"`
	Matter    config.Matter   `json:"matter,omitempty"` // "" if nobody said what the component takes
	Source    safe.SourceName `json:"source,omitempty"` // that has it, if there is one
	State     State           `json:"state"`
	Why       string          `json:"why"`
	// Without is the state that a waiver covers, Until its last day.
	Without State     `json:"without,omitzero"`
	Until   time.Time `json:"until,omitzero"`
}

// A Report is how it stands with an application.
type Report struct {
	Application estate.ID `json:"application"`
	Items       []Item    `json:"items"` // the worst first
	// Outside are components that it needs and others run: nothing of them can be
	// held.
	Outside []estate.ID `json:"outside,omitempty"`
	Levels  []Level     `json:"levels,omitempty"`
}

// Count returns how many of the items are held, and how many there are.
func (r Report) Count() (held, needed int) {
	for _, item := range r.Items {
		if item.State == Held {
			held++
		}
	}
	return held, len(r.Items)
}

// Worst returns the worst state of all items.
func (r Report) Worst() State {
	if len(r.Items) == 0 {
		return Held
	}
	return r.Items[0].State
}

// Of returns how it stands with an application.
func Of(in Input, app config.Application) Report {
	id, known := in.Map.Known(app.ID)
	if !known {
		id = app.ID
	}
	r := Report{Application: id}
	for _, component := range in.Map.Closure(id, estate.Ordering) {
		switch kind := component.Kind(); {
		case kind == estate.External || kind == estate.Person:
			r.Outside = append(r.Outside, component)
		case component == id && len(app.MustHold) == 0:
			// It is what it consists of.
		default:
			r.Items = append(r.Items, in.component(component, app.Levels)...)
		}
	}
	slices.SortFunc(r.Items, func(a, b Item) int {
		return cmp.Or(cmp.Compare(slices.Index(States, a.State), slices.Index(States, b.State)), cmp.Compare(a.Component, b.Component),
			cmp.Compare(slices.Index(config.Matters, a.Matter), slices.Index(config.Matters, b.Matter)), cmp.Compare(a.Source, b.Source))
	})
	r.Levels = in.levels(r, app)
	return r
}

// component returns what is needed of one component.
func (in Input) component(id estate.ID, levels config.Levels) []Item {
	said := in.Said[id]
	var items []Item
	add := func(matter config.Matter, source safe.SourceName, state State, why string) {
		items = append(items, in.waive(said, Item{Component: id, Matter: matter, Source: source, State: state, Why: why}))
	}
	for _, h := range said.MustHold {
		switch {
		case len(h.People) > 0:
			add(h.Matter, "", Held, strings.Join(h.People, ", ")+" know how it is brought back")
		case len(h.Sources) == 0:
			add(h.Matter, "", Missing, "the configuration says that it is missing")
		}
		for _, source := range h.Sources {
			state, why := in.source(source, levels)
			add(h.Matter, source, state, why)
		}
	}
	if len(items) == 0 {
		add("", "", Missing, "nobody has said what it takes to rebuild it")
	}
	return items
}

// waive returns the item as waived if somebody has waived it and that is still
// good: until the end of its last day.
func (in Input) waive(said config.Component, item Item) Item {
	if item.State == Held {
		return item
	}
	for _, w := range said.Waived {
		if w.Matter == item.Matter && in.Now.Before(w.Until.AddDate(0, 0, 1)) {
			item.Without, item.State, item.Until = item.State, Waived, w.Until
			item.Why = fmt.Sprintf("%s has waived it until %s: %s (%s)", w.By, w.Until.Format(time.DateOnly), w.Reason, item.Why)
			return item
		}
	}
	return item
}

// source decides how it stands with what a source holds.
func (in Input) source(name safe.SourceName, levels config.Levels) (State, string) {
	src, ok := in.Sources[name]
	if !ok {
		return Missing, fmt.Sprintf("there is no source %s", name)
	}
	newest, ok := src.newest()
	switch {
	case !ok && len(src.Snapshots) > 0:
		return Missing, fmt.Sprintf("every snapshot of %s is damaged", name)
	case !ok:
		return Missing, fmt.Sprintf("there is no complete snapshot of %s", name)
	}
	age := in.Now.Sub(newest.Started)
	if levels.RPO > 0 && age > levels.RPO {
		return Stale, fmt.Sprintf("the newest snapshot of %s is %s old, and may be %s", name, round(age), round(levels.RPO))
	}
	if why := in.doubt(name, src, levels); why != "" {
		return Unproven, why
	}
	return Held, fmt.Sprintf("the newest snapshot of %s is %s old", name, round(age))
}

// newest returns the newest snapshot that can be restored.
func (s Source) newest() (Snapshot, bool) {
	for _, snapshot := range slices.Backward(s.Snapshots) {
		if !snapshot.Damaged {
			return snapshot, true
		}
	}
	return Snapshot{}, false
}

// doubt returns why nobody knows whether a source would come back, "" if that is
// known. A snapshot of tonight cannot have been scrubbed or rehearsed: an earlier
// one of the same source stands for it.
func (in Input) doubt(name safe.SourceName, src Source, levels config.Levels) string {
	if !slices.ContainsFunc(src.Snapshots, func(s Snapshot) bool { return s.Finished.Before(in.Scrubbed) }) {
		return fmt.Sprintf("no scrub has read a snapshot of %s yet", name)
	}
	last, ok := in.lastProof(name)
	wrong, everWrong := in.Wrong[name]
	switch {
	case everWrong && !last.At.After(wrong):
		return fmt.Sprintf("%s was restored %s ago and found to be wrong", name, round(in.Now.Sub(wrong)))
	case !ok:
		return fmt.Sprintf("no snapshot of %s was ever restored and found to be right", name)
	case levels.RehearsedEvery > 0 && in.Now.Sub(last.At) > levels.RehearsedEvery:
		return fmt.Sprintf("%s was restored and found to be right %s ago, and that may be %s", name, round(in.Now.Sub(last.At)), round(levels.RehearsedEvery))
	}
	return ""
}

func (in Input) lastProof(name safe.SourceName) (last Proof, ok bool) {
	for _, p := range in.Proofs {
		if p.Source == name && p.At.After(last.At) {
			last, ok = p, true
		}
	}
	return last, ok
}

// round writes a duration for people, in its largest unit.
func round(d time.Duration) string {
	const day = 24 * time.Hour
	d = max(d, 0) // of a record, whose clock was ahead
	switch {
	case d >= 2*day:
		return fmt.Sprintf("%d days", d/day)
	case d >= 2*time.Hour:
		return fmt.Sprintf("%d hours", d/time.Hour)
	case d >= 2*time.Minute:
		return fmt.Sprintf("%d minutes", d/time.Minute)
	}
	return fmt.Sprintf("%d seconds", d/time.Second)
}
