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

// nights collects a source for the first time, the same again, and with a part
// of its files changed.
func (m *measuring) nights(ctx context.Context, shape generated.Shape) error {
	room, err := newRoom(m.options, false, m.progress)
	if err != nil {
		return err
	}
	defer room.close() // what it leaves is seen
	for _, what := range []string{"collect first", "collect again", "collect 1 % changed"} {
		if what == "collect 1 % changed" {
			shape.Night++
		}
		a, err := room.collect(ctx, shape)
		if err != nil {
			return err
		}
		m.add(shape, what, a)
	}
	return nil
}

// first collects a source for the first time.
func (m *measuring) first(ctx context.Context, shape generated.Shape) error {
	room, err := newRoom(m.options, false, m.progress)
	if err != nil {
		return err
	}
	defer room.close() // what it leaves is seen
	a, err := room.collect(ctx, shape)
	if err != nil {
		return err
	}
	m.add(shape, "collect first", a)
	return nil
}

// kept collects a source into a folder, and reads what is there.
func (m *measuring) kept(ctx context.Context, shape generated.Shape) error {
	room, err := newRoom(m.options, true, m.progress)
	if err != nil {
		return err
	}
	defer room.close() // what it leaves is seen
	a, err := room.collect(ctx, shape)
	if err != nil {
		return err
	}
	m.add(shape, "collect into a folder", a)
	one, all := filepath.Join(room.folder, "one"), filepath.Join(room.folder, "all")
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
		a, err := room.read(ctx, each.reading)
		if err != nil {
			return err
		}
		m.add(shape, each.what, a)
	}
	return nil
}
