package daemon

import (
	"context"
	"errors"
	"io/fs"

	"strongroom/internal/collect"
	"strongroom/internal/daemon/child"
	"strongroom/internal/safe/config"
	"strongroom/internal/source"
)

// Found is what a source would yield.
type Found struct {
	Entries int64
	Bytes   int64 // of files, as they are listed
	Matches []source.Match
	// Unknown says that Bytes cannot be known: the one entry is the output of a
	// command, which was not run.
	Unknown bool
}

// DryRun looks at what a source would yield, in a child that is confined as
// for a collection. It needs no safe, and reads no content. Of a source that
// is the output of a command it tries only whether that could be run.
func DryRun(ctx context.Context, src config.Source, opts Options, problem func(collect.Problem)) (Found, error) {
	limits := child.Limits{Bytes: src.Limits.Bytes, Entries: src.Limits.Entries}
	result, err := look(ctx, src, opts, child.CollectTask{DryRun: true, Limits: limits}, func(e collect.Event) {
		if e.Problem != nil {
			problem(*e.Problem)
		}
	})
	_, unknown := src.Spec.(config.Command)
	return Found{Entries: result.Entries, Bytes: result.Bytes, Matches: result.Matches, Unknown: unknown}, err
}

// Probe tells whether a source can be reached, without pulling anything.
func Probe(ctx context.Context, src config.Source, opts Options) error {
	_, err := look(ctx, src, opts, child.CollectTask{Probe: true}, func(collect.Event) {})
	return err
}

// CheckPlaces refuses a source that would read what the safe itself writes.
// What it must not look at here the collection looks at again.
func CheckPlaces(cfg *config.Config, src config.Source) error {
	spec, ok := src.Spec.(config.Local)
	if !ok {
		return nil
	}
	_, _, err := child.Beside(spec.Include, child.Place{Path: cfg.Store, What: "the store"}, child.Place{Path: cfg.Dir, What: "the safe's own folder"})
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	return err
}

func look(ctx context.Context, src config.Source, opts Options, task child.CollectTask, note func(collect.Event)) (collect.Result, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return collect.Result{}, err
	}
	if err := specify(&task, src.Spec); err != nil {
		return collect.Result{}, err
	}
	answer, err := runCollector(ctx, ctx, opts, task, note)
	if err != nil {
		return collect.Result{}, err
	}
	if answer.Failed != "" {
		return collect.Result{}, errors.New(answer.Failed)
	}
	return *answer.Result, nil
}
