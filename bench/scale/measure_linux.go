package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"strongroom/bench/scale/generated"
)

// Short files, of which there may be many: some content, as little as a file
// can have without being the same as another, so that what a file costs for
// itself is left.
var contents = []generated.Shape{
	{Seed: 1, Shortest: 200, Longest: 1000, Change: 0.01},
	{Seed: 1, Shortest: 8, Longest: 16, Change: 0.01},
}

// A measuring is all that one run of the program measures.
type measuring struct {
	options  options
	progress io.Writer
	report   report
}

// measure does everything that the options ask for, and tells of it on the way.
func measure(ctx context.Context, o options, progress io.Writer) (report, error) {
	m := &measuring{options: o, progress: progress}
	fmt.Fprintln(progress, machine())
	for _, files := range o.files {
		for _, shape := range contents {
			shape.Files = files
			if err := m.nights(ctx, shape); err != nil {
				return nil, err
			}
		}
	}
	if size := int64(o.size); size > 0 {
		for _, files := range []int64{1, 100} {
			shape := generated.Shape{Seed: 1, Files: files, Shortest: size / files, Longest: size / files}
			if err := m.first(ctx, shape); err != nil {
				return nil, err
			}
		}
	}
	for _, files := range o.kept {
		shape := contents[0]
		shape.Files = files
		if err := m.kept(ctx, shape); err != nil {
			return nil, err
		}
	}
	return m.report, nil
}

// add adds a measurement to the report.
func (m *measuring) add(shape generated.Shape, what string, a answer) {
	r := row{shape: shape, what: what, cost: a.Cost}
	if a.Collect != nil {
		r.tenths, r.live = a.Collect.Tenths, a.Collect.Live
	}
	m.report = append(m.report, r)
	fmt.Fprintln(m.progress, r)
}

// inRoom calls do with a room that is there for so long.
func (m *measuring) inRoom(keep bool, do func(*room) error) error {
	r, err := newRoom(m.options, keep, m.progress)
	if err != nil {
		return err
	}
	defer r.close() // what it leaves is seen
	return do(r)
}

// collect collects a source and adds what that took.
func (m *measuring) collect(ctx context.Context, r *room, shape generated.Shape, what string) error {
	a, err := r.collect(ctx, shape)
	if err == nil {
		m.add(shape, what, a)
	}
	return err
}

// nights collects a source for the first time, the same again, and with a part
// of its files changed.
func (m *measuring) nights(ctx context.Context, shape generated.Shape) error {
	return m.inRoom(false, func(r *room) error {
		if err := m.collect(ctx, r, shape, "collect first"); err != nil {
			return err
		}
		if err := m.collect(ctx, r, shape, "collect again"); err != nil {
			return err
		}
		shape.Night++
		return m.collect(ctx, r, shape, "collect 1 % changed")
	})
}

// first collects a source for the first time.
func (m *measuring) first(ctx context.Context, shape generated.Shape) error {
	return m.inRoom(false, func(r *room) error { return m.collect(ctx, r, shape, "collect first") })
}

// kept collects a source into a folder, and reads what is there.
func (m *measuring) kept(ctx context.Context, shape generated.Shape) error {
	return m.inRoom(true, func(r *room) error {
		if err := m.collect(ctx, r, shape, "collect into a folder"); err != nil {
			return err
		}
		return m.read(ctx, r, shape)
	})
}

// read reads what a source was collected into, in every way.
func (m *measuring) read(ctx context.Context, r *room, shape generated.Shape) error {
	one, all := filepath.Join(r.folder, "one"), filepath.Join(r.folder, "all")
	if err := errors.Join(os.Mkdir(one, 0o700), os.Mkdir(all, 0o700)); err != nil {
		return err
	}
	for _, each := range []struct {
		what    string
		reading reading
	}{
		{"list all", reading{List: true}},
		{"verify all", reading{Verify: true}},
		{"restore one", reading{Restore: generated.New(shape).File(ctx, shape.Files/2).Path, To: one}},
		{"restore all", reading{To: all}},
	} {
		a, err := r.read(ctx, each.reading)
		if err != nil {
			return err
		}
		m.add(shape, each.what, a)
	}
	return nil
}
