package report

import (
	"slices"
	"time"

	"strongroom/internal/estate"
	"strongroom/internal/estate/coverage"
	"strongroom/internal/safe/config"
)

// A MapPage is the map, or the part of it that somebody asked for.
type MapPage struct {
	Safe         string
	Now          time.Time
	Asked        MapFilter
	Applications []string       // that are configured
	Kinds        []estate.Kind  // of which there are components
	All          int            // how many components there are on the whole map
	Components   []MapComponent // that were asked for, at most MostMapped: by layer, foundations first, then by ID
	More         int            // that were asked for, too, and are left out
	Arrows       []MapArrow     // among these
	Knots        []MapKnot      // that have one of these
	Doubts       []string       // what people should look at, in words
}

// MostMapped is how many components are on one page: a hostile source can tell of
// twenty times as many, and what shows them takes as much memory.
const MostMapped = 10_000

// A MapFilter says which part of the map somebody asks for. The zero value is all
// of it.
type MapFilter struct {
	Text        string // in the ID, the label, an alias or the owner; letters small and large are the same
	Application string // that needs it
	Kind        estate.Kind
	Basis       estate.Basis // of some evidence for it, or for what it needs or is needed by
}

// A MapComponent is a component in a list.
type MapComponent struct {
	ID           estate.ID
	Label        string
	Also         []string       // its owner and aliases: by these it is found, too
	Layer        int            // 1 is at the bottom
	Knot         int            // the number of its knot; 0 if it is in none
	State        coverage.State // the worst of what applications need of it; "" if none needs anything
	Applications []string       // that need it
	Bases        []estate.Basis // of the evidence for it, and for its dependencies
	Needs        int            // others that it needs, directly
	NeededBy     int            // others that need it, directly
}

// A MapArrow says that a component needs another.
type MapArrow struct {
	From, To estate.ID
	Need     estate.Need // the one that binds most
}

// A MapKnot is components that need each other in a circle.
type MapKnot struct {
	Number         int
	Components     []estate.ID // at most MostInKnot
	MoreComponents int
	Why            string   // how it is opened, in words
	Opened         []string // each need that the order does not wait for, with the reason; at most MostInKnot
	MoreOpened     int
}

// Size is how many components it has.
func (k MapKnot) Size() int { return len(k.Components) + k.MoreComponents }

// MostInKnot is how much of one knot is listed.
const MostInKnot = 200

// A ComponentPage is what is known of one component.
type ComponentPage struct {
	Safe        string
	Now         time.Time
	ID          estate.ID
	Label       string
	Owner       string
	Aliases     []string
	Roles       []string
	Listens     []string // ports
	Undescribed bool     // nobody has told more of it than that there is such a thing
	Layer       int
	Knot        []estate.ID // the others of its knot
	Notes       []string    // what the order says of it: that it is a foundation, or doubtful
	State       coverage.State
	Covers      []Cover // what applications need of it
	Steps       []string
	Evidence    []estate.Evidence
	Merges      []string // what else it was called, and why that is the same
	Needs       []Neighbour
	NeededBy    []Neighbour
	MoreNeeds   int // that are not listed
	MoreNeeded  int
	Overruled   []Overruled
	Others      []estate.ID // of the map, to choose from; none if they are more than MostOffered
}

// MostNeighbours is how many of those that a component needs, or that need it,
// are listed.
const MostNeighbours = 200

// MostOffered is how many components are offered to choose from.
const MostOffered = 2000

// A Cover is what one application needs of a component.
type Cover struct {
	Application string
	Items       []coverage.Item
}

// A Neighbour is a component that needs another, or that another needs.
type Neighbour struct {
	ID       estate.ID
	Layer    int
	State    coverage.State
	Need     estate.Need
	Ports    []string
	Evidence []estate.Evidence
	Said     []int64 // entries of the ledger in which people said so
}

// An Overruled need is not on the map because people say so.
type Overruled struct {
	From, To estate.ID
	Need     estate.Need // "" if every one is rejected
	By       []estate.Evidence
	Said     []int64 // as of a Neighbour
}

// An ApplicationCard is an application at a glance.
type ApplicationCard struct {
	Name   string
	Held   int
	Needed int
	States []StateCount // the worst first, those of which there are any
	Levels []coverage.Level
}

// A StateCount is how many of what an application needs are in a state.
type StateCount struct {
	State coverage.State `json:"state"`
	N     int            `json:"n"`
}

// MostCovered is of how many components a page says how it stands with them: it
// says of the most urgent. MostProposed is of how many misses it says what closes
// them.
const (
	MostCovered  = 200
	MostProposed = 50
)

// DaysBack is how far a page looks back on how it stood with an application.
const DaysBack = 365

// An ApplicationPage says what of an application would be missing.
type ApplicationPage struct {
	Safe           string
	Now            time.Time
	Card           ApplicationCard
	Items          []coverage.Item // the worst first, of at most MostCovered components
	MoreComponents int             // that it needs, too
	Outside        []estate.ID     // that it needs, and that others run, at most MostCovered
	MoreOutside    int
	Proposals      []coverage.Proposal // at most MostProposed
	MoreProposals  int
	History        []Standing // of the last DaysBack days, oldest first
}

// A Standing is how it stood with an application on a day.
type Standing struct {
	Taken  time.Time       `json:"taken,omitzero"`
	States []StateCount    `json:"states"`
	Levels []LevelStanding `json:"levels,omitempty"`
}

// Count returns how many of the states there were, and how many of all.
func (s Standing) Count(state coverage.State) (n, all int64) {
	for _, c := range s.States {
		all += int64(c.N)
		if c.State == state {
			n = int64(c.N)
		}
	}
	return n, all
}

// A LevelStanding is how it stood with a service level on a day.
type LevelStanding struct {
	Promise coverage.Promise `json:"promise"`
	Verdict coverage.Verdict `json:"verdict"`
	Seconds int64            `json:"seconds,omitempty"` // what was measured, if that is a time
	Limit   int64            `json:"limit,omitempty"`   // what it may be, in seconds
}

// A LevelSum is how it stood with a service level on many days.
type LevelSum struct {
	Promise coverage.Promise
	Days    map[coverage.Verdict]int64
	Worst   int64     // what was measured at most, in seconds; 0 if that is no time
	Since   time.Time // the first of the days
	Broken  time.Time // the last day on which it was broken, if there was one
}

// SumLevels sums up the days of an application, by level in the order in which
// they came up.
func SumLevels(days []Standing) (sums []LevelSum) {
	for _, day := range days {
		for _, l := range day.Levels {
			i := slices.IndexFunc(sums, func(s LevelSum) bool { return s.Promise == l.Promise })
			if i < 0 {
				i = len(sums)
				sums = append(sums, LevelSum{Promise: l.Promise, Days: make(map[coverage.Verdict]int64), Since: day.Taken})
			}
			sums[i].Days[l.Verdict]++
			sums[i].Worst = max(sums[i].Worst, l.Seconds)
			if l.Verdict == coverage.Broken {
				sums[i].Broken = day.Taken
			}
		}
	}
	return sums
}

// CardOf sums a report up.
func CardOf(r coverage.Report) ApplicationCard {
	c := ApplicationCard{Name: r.Application.Name(), Levels: r.Levels}
	c.Held, c.Needed = r.Count()
	for _, state := range coverage.States {
		n := 0
		for _, item := range r.Items {
			if item.State == state {
				n++
			}
		}
		if n > 0 {
			c.States = append(c.States, StateCount{state, n})
		}
	}
	return c
}

// A Matrix is coverage by component and matter.
type Matrix struct {
	Matters []config.Matter // the columns: those of which anything is needed
	Rows    []MatrixRow     // the components with the worst first
}

// A MatrixRow is what is needed of one component.
type MatrixRow struct {
	Component estate.ID
	// Cells are as many as there are columns, each with the items of its matter.
	// There are none if nobody has said what the component takes: Unsaid has that.
	Cells  [][]coverage.Item
	Unsaid *coverage.Item
}

// Matrix puts the items of an application into rows and columns.
func (a ApplicationPage) Matrix() Matrix {
	var m Matrix
	for _, matter := range config.Matters {
		if slices.ContainsFunc(a.Items, func(i coverage.Item) bool { return i.Matter == matter }) {
			m.Matters = append(m.Matters, matter)
		}
	}
	rows := make(map[estate.ID]int)
	for _, item := range a.Items {
		at, ok := rows[item.Component]
		if !ok {
			at = len(m.Rows)
			rows[item.Component] = at
			m.Rows = append(m.Rows, MatrixRow{Component: item.Component})
		}
		row := &m.Rows[at]
		column := slices.Index(m.Matters, item.Matter)
		if column < 0 {
			row.Unsaid = &item
			continue
		}
		if row.Cells == nil {
			row.Cells = make([][]coverage.Item, len(m.Matters))
		}
		row.Cells[column] = append(row.Cells[column], item)
	}
	return m
}
