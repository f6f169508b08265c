package estate

import (
	"errors"
	"fmt"
)

// Statements are what people say of the estate. They win over everything that
// is discovered.
type Statements struct {
	// Components are those that people describe. No two of them become one,
	// whatever they share, unless somebody says that they are the same. Their
	// evidence is Stated.
	Components []Component `json:"components,omitempty"`
	// Same are two names of one component, Apart names of two.
	Same    []Pair   `json:"same,omitempty"`
	Apart   []Pair   `json:"apart,omitempty"`
	Rulings []Ruling `json:"rulings,omitempty"`
}

// A Pair is two names of components and who says something of them.
type Pair struct {
	A        ID       `json:"a"`
	B        ID       `json:"b"`
	Evidence Evidence `json:"evidence"`
}

// A Verdict is what a person says of a dependency.
type Verdict string

const (
	// Confirmed: it is there, beside whatever else is between the two.
	Confirmed Verdict = "confirmed"
	// Rejected: it is not there.
	Rejected Verdict = "rejected"
	// Added: it is there, and what people add is all that the one uses the other
	// for. Discovered dependencies of the two for another need are set aside, but
	// for hosting: to run on something and to use it are two things.
	Added Verdict = "added"
)

// A Ruling is what a person says of one dependency. Of two that contradict each
// other the later one is in force, and the map has a doubt about it.
type Ruling struct {
	Verdict  Verdict  `json:"verdict"`
	From     ID       `json:"from"`
	To       ID       `json:"to"`
	Need     Need     `json:"need,omitempty"` // empty only if rejected: whatever the need
	Port     Port     `json:"port,omitzero"`
	Evidence Evidence `json:"evidence"` // Source: who says so; Detail: why; First: when it was said
}

// Check reports why nobody can say that.
func (r Ruling) Check() error {
	for _, id := range []ID{r.From, r.To} {
		if _, err := ParseID(string(id)); err != nil {
			return err
		}
	}
	switch {
	case r.From == r.To:
		return errors.New("a component does not need itself")
	case r.Need == "" && r.Verdict != Rejected:
		return errors.New("it must be said what for")
	case r.Need != "" && !r.Need.Valid():
		return fmt.Errorf("%.40q is no need", string(r.Need))
	}
	return nil
}
