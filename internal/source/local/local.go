// Package local pulls files of the safe's own host: what was brought in by
// hand, and the safe's own configuration.
//
// It reads names, metadata, extended attributes and content, and changes
// nothing but access times. Symbolic links are recorded and not followed,
// anywhere in a path; a folder that is exchanged for a link during a walk
// leads nowhere. Only the folders that the include lines take need to be
// readable; those above them need not be. It works on Linux only.
package local

import (
	"context"
	"iter"

	"strongroom/internal/source"
	"strongroom/internal/source/pattern"
	"strongroom/internal/source/tree"
)

// Options says what to pull.
type Options struct {
	Include []string // see package pattern; required
	Exclude []string
	Limits  source.Limits
}

// Source is a source.Source of local files.
type Source struct {
	files  *files
	list   *pattern.List
	tally  *pattern.Tally
	limits source.Limits
}

var _ source.Source = (*Source)(nil)

// New checks options.
func New(options Options) (*Source, error) {
	list, err := pattern.Compile(options.Include, options.Exclude)
	if err != nil {
		return nil, err
	}
	return &Source{files: newFiles(), list: list, tally: list.NewTally(), limits: options.Limits}, nil
}

// LearnOwners reads what the users and groups of this host are called. It is
// for a process that will not be able to look that up while it pulls; without
// it entries then have the numbers alone.
func (s *Source) LearnOwners() { s.files.learnOwners() }

// Pull implements source.Source.
func (s *Source) Pull(ctx context.Context, request source.Request) iter.Seq2[source.Item, error] {
	return func(yield func(source.Item, error) bool) {
		tree.Pull(ctx, s.files, s.list, s.tally, s.limits, request, yield)
	}
}

// Matches implements source.Source.
func (s *Source) Matches() []source.Match { return s.tally.Matches() }
