package restore

import (
	"fmt"
	"strings"

	"strongroom/internal/safe"
	"strongroom/internal/source/pattern"
)

// A choice is what a selection says of an entry.
type choice int

const (
	unwanted choice = iota
	onTheWay        // a folder that is wanted if something in it is
	wanted
)

// A selection applies the include lines to the entries of a manifest, in their
// order. Without lines everything is wanted.
type selection struct {
	tally *pattern.Tally
	// places has the Place of the target and of each folder that encloses the
	// current entry; nil where nothing beneath can be wanted.
	places []*pattern.Place
}

func newSelection(include []string) (*selection, error) {
	if len(include) == 0 {
		return &selection{}, nil
	}
	lines := make([]string, len(include))
	for i, line := range include {
		lines[i] = "/" + strings.TrimPrefix(line, "/")
	}
	list, err := pattern.Compile(lines, nil)
	if err != nil {
		return nil, fmt.Errorf("what is to be restored: %w", err)
	}
	return &selection{tally: list.NewTally(), places: []*pattern.Place{list.Root()}}, nil
}

func (s *selection) take(e safe.Entry) choice {
	if s.tally == nil {
		return wanted
	}
	depth := strings.Count(e.Path, "/")
	s.places = s.places[:depth+1] // the manifest lists every folder before what is in it
	var v pattern.Verdict
	if in := s.places[depth]; in != nil {
		v = in.Match(base(e.Path))
	}
	if e.Type == safe.Dir {
		s.places = append(s.places, v.Beneath)
	}
	switch {
	case v.Included:
		s.tally.Count(v)
		return wanted
	case e.Type == safe.Dir && v.Beneath != nil:
		return onTheWay
	}
	return unwanted
}

func (s *selection) unmatched() (lines []string) {
	if s.tally == nil {
		return nil
	}
	for _, m := range s.tally.Matches() {
		if m.Entries == 0 {
			lines = append(lines, m.Pattern)
		}
	}
	return lines
}
