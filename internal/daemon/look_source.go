package daemon

import (
	"context"
	"slices"

	"strongroom/internal/access/api"
	"strongroom/internal/report"
	"strongroom/internal/safe"
	"strongroom/internal/safe/config"
)

// LookSource returns what happened to a source, of the collections before that
// run; of the newest if it is zero. api.ErrNotFound means that there is no such
// source, and never was.
func (s *Safe) LookSource(ctx context.Context, name safe.SourceName, before safe.RunID) (r report.Source, err error) {
	err = s.look(ctx, func(g glance) error {
		r, err = g.source(name, before)
		return err
	})
	return r, err
}

func (g glance) source(name safe.SourceName, before safe.RunID) (r report.Source, err error) {
	known, ok, err := g.v.Source(name)
	if err != nil {
		return r, err
	}
	i := slices.IndexFunc(g.config.Sources, func(c config.Source) bool { return c.Name == name })
	if !ok && i < 0 {
		return r, api.ErrNotFound
	}
	r = report.Source{Safe: g.config.Safe, Now: g.now, Name: name, Gone: i < 0, Before: before}
	var conf *config.Source
	if i >= 0 {
		conf = &g.config.Sources[i]
		r.Kind = conf.Spec.Kind()
		r.Where, r.Include, r.Exclude = specified(conf.Spec)
	}
	if !ok {
		r.Strip = g.strip(name, conf, nil, nil)
		return r, nil
	}
	nights, err := g.v.NightsOf(name, g.firstNight())
	if err != nil {
		return r, err
	}
	r.Strip = g.strip(name, conf, &known, nights)
	// One more than is shown tells whether there are older ones.
	runs, err := g.v.RunsBefore(name, before, report.PageOfRuns+1)
	if err != nil {
		return r, err
	}
	if len(runs) > report.PageOfRuns {
		runs = runs[:report.PageOfRuns]
		r.Older = runs[len(runs)-1].ID
	}
	for _, run := range runs {
		r.Collections = append(r.Collections, g.collection(run, run.ID == known.Last.ID))
		if run.Kept == nil {
			continue
		}
		r.Snapshots = append(r.Snapshots, snapshotLine(run))
	}
	return r, nil
}

// specified says where a source is pulled from, and what.
func specified(spec config.Spec) (where string, include, exclude []string) {
	switch s := spec.(type) {
	case config.SFTP:
		return s.Host.String(), s.Include, s.Exclude
	case config.Command:
		if s.Text != "" {
			include = []string{s.Text}
		}
		return s.Host.String(), include, nil
	case config.Facts:
		return s.Host.String(), s.Files, nil
	case config.FactsAPI:
		return s.Where(), []string{string(s.Format)}, nil
	case config.Local:
		return "this host", s.Include, s.Exclude
	default:
		return "", nil, nil
	}
}
