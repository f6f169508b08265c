package estate

import (
	"errors"
	"fmt"
	"slices"

	"strongroom/internal/spelling"
)

// MaxEncoded bounds a map as Encode writes it, in bytes: ten times what 5,000
// components with 50,000 dependencies take, of which each was seen in one place.
const MaxEncoded = 128 << 20

// version is that of what Encode writes.
const version = 1

// An encoded map is a line of JSON.
type encoded struct {
	Version      int          `json:"version"`
	Components   []Component  `json:"components,omitempty"`
	Dependencies []Dependency `json:"dependencies,omitempty"`
	Overruled    []Overruled  `json:"overruled,omitempty"`
	Merges       []Merge      `json:"merges,omitempty"`
	Undescribed  []ID         `json:"undescribed,omitempty"`
	Doubts       []string     `json:"doubts,omitempty"`
}

// Encode returns the map as bytes to keep, which are the same for the same map.
func (m *Map) Encode() ([]byte, error) {
	b, err := spelling.Of(encoded{version, m.Components, m.Dependencies, m.Overruled, m.Merges, m.Undescribed, m.Doubts})
	if err != nil {
		return nil, fmt.Errorf("encoding the map: %w", err)
	}
	if len(b) > MaxEncoded {
		return nil, fmt.Errorf("the map takes %d bytes, at most %d are possible", len(b), MaxEncoded)
	}
	return b, nil
}

// Decode reads what Encode wrote. It takes no map that contradicts itself.
func Decode(b []byte) (*Map, error) {
	if len(b) > MaxEncoded {
		return nil, fmt.Errorf("reading a map of %d bytes, at most %d are possible", len(b), MaxEncoded)
	}
	var e encoded
	// Not spelling.Parse, whose bound on values is for what somebody sends: a map
	// is short words, and the safe's own.
	if err := spelling.Decode(b, &e); err != nil {
		return nil, fmt.Errorf("reading a map: %w", err)
	}
	if e.Version != version {
		return nil, fmt.Errorf("reading a map: version %d, expected %d", e.Version, version)
	}
	m := &Map{Components: e.Components, Dependencies: e.Dependencies, Overruled: e.Overruled, Merges: e.Merges, Undescribed: e.Undescribed, Doubts: e.Doubts}
	if err := m.seal().check(); err != nil {
		return nil, fmt.Errorf("reading a map: %w", err)
	}
	return m, nil
}

// check sees that a map that was read is one that Draw could have made.
func (m *Map) check() error {
	if !isSorted(m.Components, func(a, b Component) bool { return a.ID < b.ID }) ||
		!isSorted(m.Dependencies, func(a, b Dependency) bool { return a.Compare(b) < 0 }) ||
		!isSorted(m.Merges, func(a, b Merge) bool { return a.Was < b.Was }) ||
		!isSorted(m.Overruled, func(a, b Overruled) bool { return a.compare(b) < 0 }) ||
		!isSorted(m.Undescribed, func(a, b ID) bool { return a < b }) {
		return errors.New("something is there twice, or out of order")
	}
	for _, c := range m.Components {
		if c.ID == "" {
			return errors.New("a component has no name")
		}
		if !isSorted(c.Aliases, func(a, b Alias) bool { return a < b }) {
			return fmt.Errorf("aliases of %s are there twice, or out of order", c.ID)
		}
		if err := checkEvidence(c.Evidence); err != nil {
			return fmt.Errorf("%s: %w", c.ID, err)
		}
	}
	has := func(id ID) bool { _, ok := m.at[id]; return ok }
	for _, d := range m.Dependencies {
		switch {
		case !has(d.From) || !has(d.To) || d.From == d.To:
			return fmt.Errorf("%q needs %q, which are not two components", d.From, d.To)
		case !d.Need.Valid():
			return fmt.Errorf("%s needs %s, and it does not say what for", d.From, d.To)
		}
		if err := checkEvidence(d.Evidence); err != nil {
			return fmt.Errorf("%s needs %s: %w", d.From, d.To, err)
		}
	}
	for _, o := range m.Overruled {
		if o.From == "" || o.To == "" || o.From == o.To || len(o.By) == 0 {
			return fmt.Errorf("nobody rejects that %q needs %q", o.From, o.To)
		}
		if err := checkEvidence(slices.Concat(o.Found, o.By)); err != nil {
			return fmt.Errorf("%s does not need %s: %w", o.From, o.To, err)
		}
	}
	for _, merge := range m.Merges {
		if merge.Was == "" || has(merge.Was) || !has(merge.Into) {
			return fmt.Errorf("%q cannot have become %q", merge.Was, merge.Into)
		}
		if err := checkEvidence(merge.Evidence); err != nil {
			return fmt.Errorf("%s was %s: %w", merge.Into, merge.Was, err)
		}
	}
	for _, id := range m.Undescribed {
		if !has(id) {
			return fmt.Errorf("there is no %q that nobody described", id)
		}
	}
	return nil
}

func checkEvidence(all []Evidence) error {
	for _, e := range all {
		if !e.Basis.Valid() || e.Count < 0 {
			return errors.New("evidence without a basis, or of less than nothing")
		}
	}
	return nil
}

// isSorted reports whether each value is less than the next.
func isSorted[T any](all []T, less func(a, b T) bool) bool {
	for i := 1; i < len(all); i++ {
		if !less(all[i-1], all[i]) {
			return false
		}
	}
	return true
}
